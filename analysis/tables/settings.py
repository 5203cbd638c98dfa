"""The settings that a study recommends: the best trials by validation of each variant on each task, and how to train
them again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..statistics import stats
from .summary import order, usable

if TYPE_CHECKING:
    from runs.study.design import Design as Planned
    from runs.trial.trial import Trial

Design = Mapping[str, Any]
BEST = 3  # trials shown of each variant on each task
NARROW = 5  # trials, at least, whose spread says how free the choice of a hyperparameter is


def recommended(table: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row per (task, variant, rank 1..3): the best trials by validation loss, with a command that trains the first
    again.

    Columns: trials (N), rank, point, the hyperparameters, for each also `<name>_low` and `<name>_high` (the range over
    the best decile, at least five trials), hidden_size, parameters, status, validation_loss, test_loss, score (test
    data), solved_step, seconds, command (of rank 1; empty where the design does not say enough). Trials without any
    loss are not ranked.
    """
    trials, planned = usable(table), _planned(design)
    names = [n for n in (design.get("space") or {}) if n in table]
    shown = [
        "point",
        *names,
        "hidden_size",
        "parameters",
        "status",
        "validation_loss",
        "test_loss",
        "score",
        "solved_step",
        "seconds",
    ]
    ranges = [f"{name}_{end}" for name in names for end in ("low", "high")]
    rows: list[dict[str, Any]] = []
    for task in order(table, design, "task"):
        for variant in order(table, design, "variant"):
            every = trials[(trials["task"] == task) & (trials["variant"] == variant)]
            own = every[np.isfinite(every["validation_loss"])]
            ranked = own.iloc[stats.ranking(own["validation_loss"])]
            good = ranked.head(max(NARROW, len(stats.best_decile(own["validation_loss"]))))
            spread = {
                f"{n}_{end}": float(getattr(good[n], f)())
                for n in names
                for end, f in (("low", "min"), ("high", "max"))
            }
            for rank, row in enumerate(ranked.head(BEST)[shown].to_dict("records"), start=1):
                again = _command(planned, task, variant, row, names) if rank == 1 and planned else ""
                rows.append(
                    {
                        "task": task,
                        "variant": variant,
                        "trials": len(every),
                        "rank": rank,
                        **row,
                        **spread,
                        "command": again,
                    }
                )
    return pd.DataFrame(rows, columns=["task", "variant", "trials", "rank", *shown, *ranges, "command"])


def command(trial: Trial) -> str:
    """The command line that runs exactly this trial: what differs from the defaults of `python -m runs`.

    A class that is not imported stays so, and stands with all its knobs as the trial has them. Raises ValueError where
    a word could mean something else to Hydra, which the trial of an archive may.
    """
    from runs.trial.classes import construct
    from runs.trial.trial import Model, Training
    from tasks import Task
    from variants import Cell, Scheme

    words = []
    for group, node, kind in (
        ("variant", trial.variant, Cell),
        ("task", trial.task, Task),
        ("initialisation", trial.initialisation, Scheme),
    ):
        try:
            part = construct(node, kind)
        except ValueError:  # of a class that only an archive names
            words.append(f"{group}._target_={node['_target_']}")
            words += [f"+{group}.{k}={_word(v)}" for k, v in node.items() if k not in ("_target_", "label")]
            words += [f"{group}.label={_word(node['label'])}"] if "label" in node else []
            continue
        known = kind.registry.get(part.name) is type(part)
        words.append(f"{group}={part.name}" if known else f"{group}._target_={node['_target_']}")
        usual = dict(_knobs(construct({"_target_": node["_target_"]}, kind), node)) | {
            "label": part.name if known else None
        }
        words += [
            f"{group}.{k}={_word(v)}"
            for k, v in node.items()
            if k != "_target_" and not (k in usual and _same(usual[k], v))
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


def _knobs(part: Any, node: Mapping[str, Any]) -> list[tuple[str, Any]]:
    from variants import knobs_of

    return [(name, knob.default) for name, knob in knobs_of(type(part)).items() if name in node]


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, tuple | list) and isinstance(b, tuple | list) else bool(a == b)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else str(value)


def _planned(design: Design) -> Planned | None:
    """The design as the runner knows it, but for widths; None where an archive does not hold all of it.

    No class of it is imported.
    """
    from runs.study.design import Design as Planned

    try:
        return Planned.from_dict(design)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _command(planned: Planned, task: str, variant: str, row: Mapping[str, Any], names: list[str]) -> str:
    values = {n: int(row[n]) if planned.space[n].integer else float(row[n]) for n in names}
    try:
        trial = planned.trial(task, variant, int(row["point"]), values)
        return command(
            replace(trial, model=replace(trial.model, hidden_size=int(row["hidden_size"])))
        )  # the width that it had, matched or not
    except (KeyError, TypeError, ValueError):
        return ""
