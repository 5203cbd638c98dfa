"""The settings that a study recommends: the best trials of each variant on each task, and how to train
them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..statistics.best import best_decile, ranking
from ..study import Study
from .trial_commands import trial_commands

if TYPE_CHECKING:
    from runs.trial.trial import Trial

BEST = 3  # trials shown of each variant on each task
NARROW = 5  # trials, at least, whose spread says how free the choice of a hyperparameter is
RESULTS = ("hidden_size", "parameters", "status", "validation_loss", "test_loss", "score", "solved_step", "seconds")


def recommended(study: Study, commands: Callable[[Sequence[Trial | None]], list[str]] = trial_commands) -> pd.DataFrame:
    """Return one row per task, variant and rank 1 to 3: the best trials (`statistics.best.order_of`).

    Trials without any loss are not ranked.

    study: the study.
    commands: `trial_commands`, or what runs it in a process that has torch already.

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
    best: list[Trial | None] = []
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
            best.append(trial_of(study, task, variant, row) if rank == 1 else None)
            place = {"task": task, "variant": variant, "trials": len(every), "rank": rank}
            rows.append({**place, **row, **spread})
    ranges = [f"{name}_{end}" for name in names for end in ("low", "high")]
    table = pd.DataFrame(rows, columns=["task", "variant", "trials", "rank", *shown, *ranges])
    return table.assign(command=pd.Series(commands(best), table.index, dtype="object"))


def trial_of(study: Study, task: str, variant: str, row: Mapping[str, Any]) -> Trial | None:
    """Return the trial of a row again, with its width; None where the design does not say enough."""
    try:
        return study.design.trial_again(task, variant, row)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
