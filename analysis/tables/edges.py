"""Whether the best settings, or those that solve a task, pile up at an end of the search space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..statistics.best import best_decile
from ..statistics.intervals import Integers
from ..study import Study

Flags = NDArray[np.bool_]

TENTH = 0.1  # of a range, at each end
ALARM = 0.05  # largest chance of a notice in a study in which nothing piles up
TWICE = 2.0  # how many times the expected share of the best tenth lies at an end, at least, for a notice
CLEAR = 0.1  # how much higher the solve rate is at an end than in the rest, at least, for a notice
LEARNED = 0.25  # score that the best trial of a variant must reach; below it, the ranking is of noise
COLUMNS = [
    *("task", "hyperparameter", "end", "points", "best", "share", "expected", "solve_outer", "solve_rest"),
    *("p_best", "p_solved", "possible", "notice"),
]


class _Outer(NamedTuple):
    """The outer tenth of a range: its end, whether each point lies in it [P], or in the two tenths beside it [P]."""

    end: str
    inside: Flags
    beside: Flags


def edges(study: Study) -> pd.DataFrame:
    """Return one row per task, hyperparameter and end of its range: what lies in the outer tenth of the range.

    There are none for a search, whose points are not due to chance.

    Trials of all variants are pooled that come off the floor at some setting: their best trial has a score of .25, or
    a loss below the floor on a task without a criterion of success, where solve rates are NaN. Since variants share
    their points, the points are what chance deals out: the p-values are the exact chance that as many points as lie in
    the outer tenth, drawn from all points of the task, hold as many of the best trials (or of the solved ones) as are
    seen there. They are multiplied by the number of tests of the study (Bonferroni).

    There is a notice where one of the two has p at most .05 and three things hold: the end holds at least twice the
    expected share of the best (solves at least ten percentage points more than the rest), and no fewer than the two
    tenths beside it do on average, for else the best lies inside. So at most one study in twenty has a notice where no
    hyperparameter has an influence.

    Columns:
    end: `lower` or `upper` end of the values.
    points: of the task.
    best: number of trials in the best tenths of the variants, each by the ranking of trials.
    share, expected: of these in the outer tenth; and the share of the points that lie there.
    solve_outer, solve_rest: solve rates of the trials in the outer tenth and of all others.
    p_best, p_solved: adjusted p-values of the two.
    possible: whether a notice is possible with so many points and tests: whether the smallest p-value would be enough.
    notice: whether the range should be wider at this end.

    Source: the exact permutation test of a sum, Fisher 1935; Pitman 1937.
    """
    tasks = study.tasks if study.comparable else []
    rows = [row for task in tasks for row in _of_task(study, task)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    tests = 2 * len(table)
    for name in ("p_best", "p_solved"):
        table[name] = np.minimum(1.0, tests * table[name].astype(float))
    table["possible"] = tests * table["possible"].astype(float) <= ALARM
    best = (table["p_best"] <= ALARM) & (table["share"] >= TWICE * table["expected"])
    solved = (table["p_solved"] <= ALARM) & (table["solve_outer"] >= table["solve_rest"] + CLEAR)
    table["notice"] = (best | solved).astype(bool)
    return table


def _of_task(study: Study, task: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a task, with p-values that are not adjusted."""
    own = study.trials[study.trials["task"] == task]
    if study.solvable(task):
        own = own[own.groupby("variant")["score"].transform("max") >= LEARNED]
    else:
        own = own[own.groupby("variant")["test_loss"].transform("min") < study.goals[task].floor]
    if own.empty:
        return
    for name in study.hyperparameters:
        heard = _hearing(own, study.design.space[name].key)
        place = coordinates(study, heard, name)
        if not heard.empty and place.notna().all():
            yield from ({"task": task, "hyperparameter": name, **row} for row in _ends(study, heard, name, place))


def coordinates(study: Study, trials: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the place of each trial in the range of a hyperparameter, from 0 to 1."""
    if f"u_{name}" in trials:
        return trials[f"u_{name}"].astype(float)
    return trials[name].map(study.design.space[name].coordinate).astype(float)


def _hearing(own: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the trials that a hyperparameter has an influence on: those of cells with a keep gate for its bias."""
    if key != "variant.keep_bias" or "kept" not in own:
        return own
    return own[own["kept"].notna() & (own["kept"] < 1)]


def _ends(study: Study, own: pd.DataFrame, name: str, place: pd.Series[float]) -> Iterator[dict[str, Any]]:
    """Yield a row for each end of a range; place: of each trial in it."""
    best = np.concatenate([g.index[best_decile(g["order"])] for _, g in own.groupby("variant")])
    facts = {"point": own["point"], "u": place, "best": own.index.isin(best), "solved": own["status"] == "solved"}
    solvable = study.solvable(str(own["task"].iloc[0]))
    points = pd.DataFrame({**facts, "trials": 1}).groupby("point")
    u = points["u"].first().to_numpy()
    chosen, solved, trials = (points[name].sum().to_numpy(dtype=np.int64) for name in ("best", "solved", "trials"))
    ends = [_Outer("lower", u <= TENTH, (u > TENTH) & (u <= 3 * TENTH))]
    ends += [_Outer("upper", u >= 1 - TENTH, (u < 1 - TENTH) & (u >= 1 - 3 * TENTH))]
    turned = study.design.space[name].complement  # the value falls where its coordinate rises
    for (_, inside, beside), (end, *_) in zip(ends, reversed(ends) if turned else ends, strict=True):
        most = int(np.sort(chosen)[len(u) - int(inside.sum()) :].sum())
        yield {
            "end": end,
            "points": len(u),
            "best": int(chosen.sum()),
            "share": float(chosen[inside].sum() / chosen.sum()),
            "expected": float(inside.mean()),
            "solve_outer": _mean(solved[inside], trials[inside]) if solvable else np.nan,
            "solve_rest": _mean(solved[~inside], trials[~inside]) if solvable else np.nan,
            "p_best": _p(chosen, trials, inside, beside),
            "p_solved": _p(solved, trials, inside, beside),
            "possible": chance(chosen, int(inside.sum()), most),
        }


def _mean(counts: Integers, trials: Integers) -> float:
    return float(counts.sum() / trials.sum()) if trials.sum() else np.nan


def _p(counts: Integers, trials: Integers, inside: Flags, beside: Flags) -> float:
    """Return the chance of as many counts [P] inside; 1 where the tenths beside hold more of them on average."""
    if _mean(counts[inside], trials[inside]) < _mean(counts[beside], trials[beside]):
        return 1.0
    return chance(counts, int(inside.sum()), int(counts[inside].sum()))


def chance(counts: ArrayLike, drawn: int, least: int) -> float:
    """Return the exact chance that some of the points, drawn without replacement, hold at least so many together.

    counts: whole numbers, one a point [P].
    drawn: number of points drawn.
    least: the sum that they must reach.

    Let F(n, k, s) be the chance that k points drawn from the first n have the sum s. The n-th is among them with the
    chance k / n: F(n, k, s) = (1 - k / n) F(n - 1, k, s) + k / n F(n - 1, k - 1, s - counts[n]).

    >>> chance([1, 1, 0, 0], 2, 2)  # one of the six pairs
    0.16666666666666666
    """
    values = np.asarray(counts, dtype=np.int64)
    drawn = min(drawn, len(values))
    most = int(np.sort(values)[len(values) - drawn :].sum())
    if least <= 0 or least > most:
        return float(least <= 0)
    found = np.zeros((drawn + 1, most + 1))
    found[0, 0] = 1.0
    for n, value in enumerate(values.tolist(), start=1):
        share = np.minimum(np.arange(drawn + 1) / n, 1.0)[:, None]
        with_it = np.zeros_like(found)
        with_it[1:, value:] = found[:-1, : most + 1 - value] if value <= most else 0.0
        found = (1 - share) * found + share * with_it
    return float(found[drawn, least:].sum())
