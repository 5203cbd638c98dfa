"""How far back the gradients of a cell reach: its best trial on one task of a study is trained again, and diagnosed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..record.archive import Archive
from ..study.ranking import rank_key
from ..trial.trial import Trial
from .measured import Reach

if TYPE_CHECKING:
    import pandas as pd

UNRANKED = ("failed", "pruned")


def chosen_task(archive: Archive, variant: str) -> str:
    """Return the task on which the reach of a variant is measured; empty where it has no trial.

    It is the one of the longest lag that the variant solves at least once, of equals the one that it solves most often;
    where it solves none, the one of the shortest lag.

    archive: the study.
    variant: its label.
    """
    own = _trials(archive, variant)
    if own.empty:
        return ""
    tasks = own.assign(solved=own["status"] == "solved").groupby("task", sort=False)
    facts = [(str(task), float(rows["lag"].iloc[0]), int(rows["solved"].sum())) for task, rows in tasks]
    solved = [fact for fact in facts if fact[2]]
    if solved:
        return max(solved, key=lambda fact: (fact[1], fact[2]))[0]
    return min(facts, key=lambda fact: fact[1])[0]


def best_trial(archive: Archive, task: str, variant: str) -> tuple[int, Trial] | None:
    """Return the point and the trial that a study recommends for a variant on a task, None where it has none.

    It is the best one by `runs.study.ranking.rank_key`, with the width that it had.

    archive: the study. task, variant: labels.

    Raises ValueError where the design does not say enough to train it again.
    """
    own = _trials(archive, variant)
    rows: list[dict[Any, Any]] = own[(own["task"] == task) & np.isfinite(own["validation_loss"])].to_dict("records")
    if not rows:
        return None
    by_steps = archive.design.training.stop_when_solved
    row = min(rows, key=lambda r: (rank_key(r["solved_step"], r["validation_loss"], by_steps), r["point"]))
    return int(row["point"]), archive.design.trial_again(task, variant, row)


def reach_of(archive: Archive, task: str, variant: str, known: Mapping[str, Reach]) -> tuple[Reach | None, str]:
    """Return the reach of the gradients of a variant on a task, and why there is none; this trains it once.

    archive: the study.
    task, variant: labels.
    known: by the id of a trial, what was measured before by the same code.
    """
    from ..trial.diagnosis import diagnose
    from ..trial.training import prepare_process, trained

    try:
        best = best_trial(archive, task, variant)
        if best is None:
            return None, f"gradients of {variant}: no trial on {task} has a validation loss"
        point, trial = best
        if trial.id in known:
            return known[trial.id]._replace(variant=variant), ""
        prepare_process()
        network, outcome = trained(trial)
        if network is None:
            return None, f"gradients of {variant}: the training failed: {outcome.error}"
        arrays = diagnose(trial, network, outcome).arrays
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # an archive says what it likes of its trials
        return None, f"gradients of {variant}: {error}"
    curves = [_relative(arrays[name]) for name in ("gradient_start", "gradient_trained")]
    return Reach(variant, trial.id, point, trial.model.hidden_size, outcome.status, *curves), ""


def _relative(norms: np.ndarray) -> list[float]:
    """Return norms relative to the first; none where that is not a positive number."""
    usable = len(norms) and np.isfinite(norms[0]) and norms[0] > 0
    return [float(f"{x:.4g}") for x in norms / norms[0]] if usable else []


def _trials(archive: Archive, variant: str) -> pd.DataFrame:
    table = archive.table
    return table[(table["variant"] == variant) & (table["stage"] == "search") & ~table["status"].isin(UNRANKED)]
