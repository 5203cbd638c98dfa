"""What `python -m runs.inside` saved of the best trials of a study, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runs.trial.diagnosis_file import damaged, read_diagnosis

OF_THE_NETWORK = ("hidden_size", "trial_id", "status", "test_loss", "reproduced")
PHASES = ("at the start", "trained")
GRADIENT_COLUMNS = ("task", "variant", "phase", "lag", "norm", "relative", "relevant", "sequences", *OF_THE_NETWORK)
ATTENTION_COLUMNS = ("task", "variant", "sequence", "answer", "read", "relevant", "values", *OF_THE_NETWORK)
INVENTED_COLUMNS = ("task", "variant", "kind", "sequence", "step", "values", "kl_by_dimension", *OF_THE_NETWORK)
SEQUENCE_COLUMNS = ("task", "variant", "layer", "top", "kind", "name", "function", "unit", "values", *OF_THE_NETWORK)


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of all diagnoses in a folder: `gradients`, `sequences`, `attention`, `invented`; maybe no rows.

    gradients: one row per (task, variant, phase, lag): `norm`, its value `relative` to that of lag 1, the share of
    sequences in which the input at this lag is `relevant` to the answer, and the number of `sequences`.
    sequences: one row per unit of a gate, state or input over one test sequence, `values` [T]; `kind` is gate, state,
    input, or mark (1 where an input is relevant) or read (1 where an answer is read); `top` is True for the highest
    layer, the inputs and the marks.
    attention: one row per answer of a few test sequences, of networks that attend: the step at which it is `read`,
    `values` [T], what it attends to, and `relevant` [T], 1 where an input decides the answers.
    invented: one row per step of a few sequences, of networks with latent variables: `values` [O], and of the network
    `kl_by_dimension` [Z]; `kind` is invented or data.
    All: hidden_size and trial_id of the network, the status and test_loss of the run that gave it, and whether that
    run reproduced the one on record. Files of another format are left out. Raises ValueError for a file that is
    damaged: nothing is unpickled.
    """
    gradients: list[pd.DataFrame] = []
    sequences: list[dict[str, Any]] = []
    attention: list[dict[str, Any]] = []
    invented: list[dict[str, Any]] = []
    for path in sorted(Path(folder).glob("*/[!.]*.npz")):
        found = read_diagnosis(path)
        if found is None:
            continue
        about, arrays = found
        try:
            facts = {name: about[name] for name in ("task", "variant", *OF_THE_NETWORK)}
            invented += _invented(arrays, facts)
            if "lag" not in arrays:  # of a network without answers
                continue
            gradients += [_gradients(arrays, phase, facts) for phase in PHASES]
            sequences += _sequences(arrays, about, facts)
            attention += _attention(arrays, facts)
        except (ValueError, KeyError, AttributeError, IndexError) as error:
            raise damaged(path, error) from None
    return {
        "gradients": pd.concat(gradients, ignore_index=True)[list(GRADIENT_COLUMNS)]
        if gradients
        else pd.DataFrame(columns=GRADIENT_COLUMNS),
        "sequences": pd.DataFrame(sequences, columns=list(SEQUENCE_COLUMNS)),
        "attention": pd.DataFrame(attention, columns=list(ATTENTION_COLUMNS)),
        "invented": pd.DataFrame(invented, columns=list(INVENTED_COLUMNS)),
    }


def _invented(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "invented" not in arrays:
        return []
    own = {**facts, "kl_by_dimension": arrays["kl_by_dimension"]}
    return [
        {**own, "kind": kind, "sequence": number, "step": step, "values": values}
        for kind in ("data", "invented")
        for number, sequence in enumerate(arrays[kind])
        for step, values in enumerate(sequence)
    ]


def _attention(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "attention" not in arrays:
        return []
    reads, relevant = arrays["attention_reads"], arrays["attention_relevant"]
    return [
        {**facts, "sequence": s, "answer": k, "read": int(reads[s, k]), "relevant": relevant[s], "values": values}
        for s, answers in enumerate(arrays["attention"])
        for k, values in enumerate(answers)
    ]


def _gradients(arrays: Mapping[str, np.ndarray], phase: str, facts: Mapping[str, Any]) -> pd.DataFrame:
    norm = arrays["gradient_trained" if phase == "trained" else "gradient_start"]
    relative = norm / norm[0] if len(norm) and norm[0] > 0 else np.full(len(norm), np.nan)
    columns = {"lag": arrays["lag"], "norm": norm, "relative": relative}
    columns |= {"relevant": arrays["relevant_by_lag"], "sequences": arrays["sequences"]}
    return pd.DataFrame({**facts, "phase": phase, **columns})


def _sequences(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    steps = len(arrays["inputs"])
    read = np.zeros(steps, dtype=bool)
    read[arrays["reads"]] = True
    found: list[tuple[int, bool, str, str, str, np.ndarray]] = [
        (-1, True, "input", "x", "", arrays["inputs"]),
        (-1, True, "mark", "relevant", "", arrays["relevant"][:, None]),
        (-1, True, "read", "read", "", read[:, None]),
    ]
    for key, values in arrays.items():
        layer, _, rest = key.partition(".")
        kind, _, name = rest.partition(".")
        if layer.isdecimal():
            found.append(
                (int(layer), int(layer) == about["layers"] - 1, kind, name, about["functions"].get(key, ""), values)
            )
    names = ("layer", "top", "kind", "name", "function")
    return [
        {**facts, **dict(zip(names, head, strict=True)), "unit": unit, "values": row.astype(np.float32)}
        for *head, values in found
        for unit, row in enumerate(values.T)
    ]
