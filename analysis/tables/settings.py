"""The settings that a study recommends: the best trials of each variant on each task, and how to train
them again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..statistics.best import best_decile, ranking
from ..study import Study

if TYPE_CHECKING:
    from runs.trial.trial import Trial
    from tasks import Task
    from variants import Cell, Scheme

    Part = Cell | Task | Scheme

BEST = 3  # trials shown of each variant on each task
NARROW = 5  # trials, at least, whose spread says how free the choice of a hyperparameter is
RESULTS = ("hidden_size", "parameters", "status", "validation_loss", "test_loss", "score", "solved_step", "seconds")


def recommended(study: Study) -> pd.DataFrame:
    """Return one row per task, variant and rank 1 to 3: the best trials (`statistics.best.order_of`).

    Trials without any loss are not ranked.

    Columns:
    trials (N), rank, point, the hyperparameters;
    for each hyperparameter also `<name>_low` and `<name>_high`: the range over the best decile, at least five trials;
    hidden_size, parameters, status, validation_loss, test_loss, score (test data), solved_step, seconds;
    command (of rank 1): trains this trial again; empty where the design does not say enough.
    """
    names = study.hyperparameters
    shown = ["point", *names, *RESULTS]
    groups = dict(tuple(study.trials.groupby(["task", "variant"])))
    rows: list[dict[str, Any]] = []
    for task, variant in study.pairs:
        every = groups.get((task, variant), study.trials.iloc[:0])
        own = every[np.isfinite(every["validation_loss"])]
        ranked = own.iloc[ranking(own["order"])]
        good = ranked.head(max(NARROW, len(best_decile(own["order"]))))
        spread = {
            f"{n}_{end}": float(value)
            for n in names
            for end, value in (("low", good[n].min()), ("high", good[n].max()))
        }
        for rank, row in enumerate(ranked.head(BEST)[shown].to_dict("records"), start=1):
            again = _command(study, task, variant, row) if rank == 1 else ""
            place = {"task": task, "variant": variant, "trials": len(every), "rank": rank}
            rows.append({**place, **row, **spread, "command": again})
    ranges = [f"{name}_{end}" for name in names for end in ("low", "high")]
    return pd.DataFrame(rows, columns=["task", "variant", "trials", "rank", *shown, *ranges, "command"])


def command(trial: Trial) -> str:
    """Return the command line that runs exactly this trial: what differs from the defaults of `python -m runs`.

    A class that is not imported is not imported here either; it stands with all its knobs as the trial has them.

    Raises ValueError where a word could mean something else to Hydra, which the trial of an archive may.
    """
    from runs.trial.trial import Model, Training
    from tasks import Task
    from variants import Cell, Scheme

    words = [
        *_part("variant", trial.variant, Cell),
        *_part("task", trial.task, Task),
        *_part("initialisation", trial.initialisation, Scheme),
    ]
    for group, values, default in (("model", trial.model, Model()), ("training", trial.training, Training())):
        words += [f"{group}.{k}={_word(v)}" for k, v in asdict(values).items() if v != getattr(default, k)]
    words += [f"{name}={value}" for name, value in (("seed", trial.seed), ("data_seed", trial.data_seed)) if value]
    odd = [word for word in words if not word.isprintable() or set(word) & set("${}\\'\"")]
    if odd:
        raise ValueError(
            f"a word of a command must be printable and without any of $ {{ }} \\ and quotation marks, got {odd[0]!r}"
        )
    return " ".join(["python -m runs", *(shlex.quote(word) for word in words)])


def _part(group: str, node: Mapping[str, Any], kind: type[Part]) -> Iterator[str]:
    """The words that set one part of a trial: its class, and the knobs that differ from the defaults of the class."""
    from runs.trial.classes import construct

    knobs = {k: v for k, v in node.items() if k != "_target_"}
    try:
        part = construct(node, kind)
    except ValueError:  # of a class that only an archive names
        yield f"{group}._target_={node['_target_']}"
        yield from (f"+{group}.{k}={_word(v)}" for k, v in knobs.items() if k != "label")
        yield from (f"{group}.label={_word(v)}" for k, v in knobs.items() if k == "label")
        return
    known = kind.registry.get(part.name) is type(part)
    yield f"{group}={part.name}" if known else f"{group}._target_={node['_target_']}"
    usual = {**_defaults(node, kind), "label": part.name if known else None}
    yield from (f"{group}.{k}={_word(v)}" for k, v in knobs.items() if not (k in usual and _same(usual[k], v)))


def _defaults(node: Mapping[str, Any], kind: type[Part]) -> dict[str, Any]:
    """Return the defaults of those knobs of a class that a node names."""
    from runs.trial.classes import construct
    from variants import knobs_of

    usual = construct({"_target_": node["_target_"]}, kind)
    return {name: knob.default for name, knob in knobs_of(type(usual)).items() if name in node}


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, tuple | list) and isinstance(b, tuple | list) else bool(a == b)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else str(value)


def _command(study: Study, task: str, variant: str, row: Mapping[str, Any]) -> str:
    """Return the command that trains a trial again with its width; empty where the design does not say enough."""
    design = study.design
    if design.unknown or not design.initialisation:
        return ""
    values = {n: int(row[n]) if design.space[n].integer else float(row[n]) for n in study.hyperparameters}
    try:
        trial = design.trial(task, variant, int(row["point"]), values)
        return command(replace(trial, model=replace(trial.model, hidden_size=int(row["hidden_size"]))))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""
