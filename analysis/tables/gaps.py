"""How far the losses on the training and the validation part of a finite data set come apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..goals import Goal
from ..statistics.best import best_decile
from ..statistics.intervals import Floats
from ..study import Study

COLUMNS = [
    *("task", "variant", "trials", "epochs_best", "epochs_end", "train_best", "validation_best", "gap_best"),
    *("train_end", "validation_end", "gap_end"),
]
AT_A_LOOK = ("step", "train_loss", "loss")  # columns of a trial, after `low_` for its best look and `last_`


def with_training_set(trials: pd.DataFrame) -> list[str]:
    """Return the tasks with a training set, whose trials count epochs."""
    return list(dict.fromkeys(trials.loc[trials["epochs"].notna(), "task"])) if "epochs" in trials else []


def in_epochs(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with the epoch of each look in place of its step, on tasks with a training set."""
    sets = with_training_set(trials)
    if not sets:
        return trials
    chosen = trials["task"].isin(sets)
    columns = zip(trials["curve_steps"], trials["steps"], trials["epochs"], chosen, strict=True)
    epochs = [
        np.asarray(steps, dtype=float) * (number / max(whole, 1)) if counts else steps
        for steps, whole, number, counts in columns
    ]
    return trials.assign(curve_steps=pd.Series(epochs, trials.index, dtype="object"))


def gaps(study: Study) -> pd.DataFrame:
    """Return one row per task with a training set and variant: losses of the best decile on both parts.

    Columns:
    trials: of the best decile that have a look with both losses.
    epochs_best, epochs_end: the epoch of the lowest validation loss, and of the last look.
    train_best, validation_best, gap_best: mean losses at the former, in the unit of the task; the gap is validation
        minus training. The training loss is the mean over the epoch before the look, with input noise where the trial
        has it, and while the parameters still change.
    train_end, validation_end, gap_end: the same at the last look whose losses are finite.
    """
    trials, rows = study.trials, []
    for task in with_training_set(trials):
        for variant in study.variants:
            own = trials[(trials["task"] == task) & (trials["variant"] == variant)]
            if len(own):
                rows.append({"task": task, "variant": variant, **_of(own, study.goals[task])})
    return pd.DataFrame(rows, columns=COLUMNS)


def _of(own: pd.DataFrame, goal: Goal) -> dict[str, Any]:
    best = own.iloc[best_decile(own["order"])]
    found = [ends for row in best.to_dict("records") if (ends := _ends(row)) is not None]
    if not found:
        return {"trials": 0}
    epochs_best, train_best, validation_best, epochs_end, train_end, validation_end = np.mean(found, axis=0)
    train_best, validation_best, train_end, validation_end = goal.shown(
        [train_best, validation_best, train_end, validation_end]
    )
    return {
        "trials": len(found),
        "epochs_best": epochs_best,
        "epochs_end": epochs_end,
        "train_best": train_best,
        "validation_best": validation_best,
        "gap_best": validation_best - train_best,
        "train_end": train_end,
        "validation_end": validation_end,
        "gap_end": validation_end - train_end,
    }


def _ends(row: dict[Any, Any]) -> Floats | None:
    """Return epoch, training and validation loss at the best look and at the last one; None without such a look."""
    looks = np.array([[row[f"{look}_{name}"] for name in AT_A_LOOK] for look in ("low", "last")], dtype=float)
    if np.isnan(looks).any():
        return None
    looks[:, 0] *= row["epochs"] / max(row["steps"], 1)
    return looks.ravel()
