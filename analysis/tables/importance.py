"""The functional analysis of variance of every variant on every task, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from runs.console.progress import SILENT, Progress
from runs.study.space import Dimension

from ..goals import Goal
from ..processes import shared
from ..statistics import anova
from ..study import Study

SCORE, LOSS = "score", "loss"  # what is taken apart: the loss on tasks without a criterion of success
FIELDS = 16  # of the surface of two hyperparameters along each side, in the table
# R2 of the better surrogate below which its shares answer no claim: with less than one half of the score's variance
# predicted, what is not known outweighs what is known, and the order of the shares could be another.
LEAST_R2 = 0.5
FEW = 100  # trials below which a share is good to one digit
COLUMNS = {
    "shares": [
        *("task", "variant", "term", "order", "share", "error", "of_score", "of_score_error", "surrogate", "trials"),
        *("r2", "r2_forest", "r2_process", "response"),
    ],
    "marginals": ["task", "variant", "response", "hyperparameter", "u", "value", "mean", "error"],
    "surfaces": ["task", "variant", "first", "second", "u_first", "u_second", "mean"],
}


def importance(study: Study, workers: int = 1, progress: Progress = SILENT) -> dict[str, pd.DataFrame]:
    """Return three tables of what each hyperparameter does to the test score, by name.

    On a task without a criterion of success it is the test loss in its unit, see `Goal.limited`. A score
    would be 0 for all trials that are no better than the best model without memory.

    They are without rows where every pair of a task and a variant has fewer than 40 trials.

    study: the study.
    workers: number of processes that share the pairs.
    progress: shows how many are done.

    shares: one row per task, variant and term, which is a hyperparameter, two of them, or `rest`: the share of the
        surrogate's variance and its standard error, the columns of `with_score`, the surrogate chosen and the
        cross-validated R2 of both kinds.
    marginals: one row per task, variant, response, hyperparameter and coordinate u: the marginal mean of the score (or
        loss) and its standard error.
    surfaces: one row per task, variant, two hyperparameters and two coordinates: the marginal mean score (or loss).
    """
    names = [name for name in study.design.space if f"u_{name}" in study.table]
    columns = [*(f"u_{name}" for name in names), "value"]
    values = {task: outcomes(own, study.goals[str(task)]) for task, own in study.trials.groupby("task")}
    trials = study.trials.assign(value=pd.concat(values.values()) if values else np.nan)
    groups = dict(tuple(trials.groupby(["task", "variant"])))
    space = {name: study.design.space[name] for name in names}
    jobs = [
        partial(_explain, *pair, SCORE if study.solvable(pair[0]) else LOSS, groups[pair][columns], space)
        for pair in study.pairs
        if names and pair in groups and len(groups[pair]) >= anova.FEWEST
    ]
    if jobs:
        anova.ready()
    found = list(progress.follow(shared(jobs, workers), "importance of the hyperparameters", len(jobs)))
    return {
        name: pd.concat([tables[name] for tables in found], ignore_index=True).reindex(columns=columns)
        if found
        else pd.DataFrame(columns=columns)
        for name, columns in COLUMNS.items()
    }


def outcomes(trials: pd.DataFrame, goal: Goal) -> pd.Series[float]:
    """Return the scores of trials, or their test losses, see `Goal.limited`, where the task cannot be solved."""
    return trials["score"] if goal.solvable else pd.Series(goal.limited(trials["test_loss"]), trials.index)


def loss_axis(study: Study, task: str) -> tuple[float, float]:
    """Return the ends of an axis of test losses of a task without a criterion of success, see `Goal.axis`."""
    goal, own = study.goals[task], study.trials[study.trials["task"] == task]
    return goal.axis(outcomes(own, goal).groupby(own["variant"]).min())


def with_score(shares: pd.DataFrame) -> pd.DataFrame:
    """Return shares with their part of the variance of the score itself.

    A surrogate explains a part of the variance of the score, and a hyperparameter a share of what the surrogate
    explains. What the surrogate does not predict (the luck of a seed, and what too few trials do not show) counts as
    explained by no hyperparameter.

    shares: with the columns share, error, r2_forest and r2_process.

    Columns that are added:
    r2: of the surrogate chosen, in cross-validation; 0 where it is negative.
    of_score, of_score_error: share and error times r2. The error of r2 is left out.
    """
    r2 = shares[["r2_forest", "r2_process"]].max(axis=1).clip(lower=0.0)
    return shares.assign(r2=r2, of_score=shares["share"] * r2, of_score_error=shares["error"] * r2)


def share_text(share: float, trials: int) -> str:
    """Write a share with as many digits as it is good for: one below 100 trials, else two.

    >>> share_text(0.4321, 50), share_text(0.4321, 200)
    ('0.4', '0.43')
    """
    return f"{share:.{_digits(trials)}f}"


def error_text(error: float, trials: int) -> str:
    """Write the error of a share with the digits of the share, rounded up so that an error does not read as none.

    >>> error_text(0.012, 50), error_text(0.012, 200), error_text(0.0, 50)
    ('0.1', '0.02', '0.0')
    """
    unit = 10 ** _digits(trials)
    return f"{np.ceil(max(error * unit - 1e-9, 0.0)) / unit:.{_digits(trials)}f}"


def _digits(trials: int) -> int:
    return 1 if trials < FEW else 2


def _explain(
    task: str, variant: str, response: str, trials: pd.DataFrame, space: Mapping[str, Dimension]
) -> dict[str, pd.DataFrame]:
    names, place = list(space), {"task": task, "variant": variant}
    points = trials[[f"u_{name}" for name in names]].to_numpy()
    found = anova.analyse(points, trials["value"], names)
    facts = {
        "surrogate": found.kind,
        "trials": found.trials,
        "response": response,
        **{f"r2_{k}": v for k, v in found.r2.items()},
    }
    curves = [pd.DataFrame({**place, "response": response, **columns}) for columns in _curves(found, space)]
    surfaces = [pd.DataFrame({**place, **columns}) for columns in _surfaces(found)]
    return {
        "shares": with_score(pd.DataFrame([{**place, **row, **facts} for row in _terms(found)])),
        "marginals": pd.concat(curves),
        "surfaces": pd.concat(surfaces) if surfaces else pd.DataFrame(),
    }


def _terms(found: anova.Anova) -> Iterator[dict[str, Any]]:
    for name, share, error in zip(found.names, found.shares, found.share_errors, strict=True):
        yield {"term": name, "order": 1, "share": share, "error": error}
    for (i, j), share in found.pairs.items():
        both = f"{found.names[i]} × {found.names[j]}"
        yield {"term": both, "order": 2, "share": share, "error": found.pair_errors[i, j]}
    yield {"term": "rest", "order": 3, "share": found.rest, "error": np.nan}


def _curves(found: anova.Anova, space: Mapping[str, Dimension]) -> Iterator[dict[str, Any]]:
    for name, curve, error in zip(found.names, found.curves, found.curve_errors, strict=True):
        values = [space[name].value(u) for u in found.grid]
        yield {"hyperparameter": name, "u": found.grid, "value": values, "mean": curve, "error": error}


def _surfaces(found: anova.Anova) -> Iterator[dict[str, Any]]:
    block = anova.GRID // FIELDS
    for (i, j), surface in found.surfaces.items():
        coarse = surface.reshape(FIELDS, block, FIELDS, block).mean(axis=(1, 3))
        at = (np.arange(FIELDS) + 0.5) / FIELDS
        first, second = np.meshgrid(at, at, indexing="ij")
        names = {"first": found.names[i], "second": found.names[j]}
        yield {**names, "u_first": first.ravel(), "u_second": second.ravel(), "mean": coarse.ravel()}
