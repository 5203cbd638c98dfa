"""Every variant against the baseline, task by task, with what may be said of the differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..goals import Goal
from ..statistics.best import best_decile, greff_welch
from ..statistics.endpoints import EASE, ENDPOINTS, LOSS, LOSS_TO_FLOOR, Endpoint, endpoints_of, restricted_steps
from ..statistics.intervals import Floats
from ..statistics.resampling import Comparison, compare
from ..study import Study

FEWEST_FOR_INFERENCE = 10  # points below which differences are shown without interval or p-value
SIGNIFICANT = 0.05
MARGIN = 0.1  # of the span: a difference below it counts as none
BETTER, WORSE, SAME, OPEN = "better", "worse", "same", "open"
NOTHING_LEARNED, HARDLY_SOLVED, EVERYTHING_SOLVED = "nothing learned", "hardly solved", "everything solved"
"""The verdicts on a difference, see `verdict_of`."""

LEARNED = {"solve_rate": 0.05, "best_decile": 0.25}  # a variant that reaches one of them has learned something
SOLVED = {"solve_rate": 0.95, "best_decile": 0.99, "expected_best_20": 0.99}  # above it there is nothing to tell apart
COLUMNS = [
    *("task", "series", "variant", "baseline", "endpoint", "question", "primary", "points", "value", "reference"),
    *("difference", "low", "high", "p", "verdict", "significant", "needed", "greff_welch_p", "span", "unit"),
]
FLOOR = "floor"  # the level that a loss must come below, beside the endpoints of a task without a criterion of success
Levels = Mapping[str, float]  # the endpoints of one variant, by name


class Measure(NamedTuple):
    """How the values of an endpoint on a task are measured.

    span: the range that counts; a tenth of it is the margin.
    reach: the largest possible difference, at which intervals end.
    unit: written after a number.
    """

    span: float
    reach: float
    unit: str


def measure_of(endpoint: Endpoint, goal: Goal, budget: float) -> Measure:
    """Return how an endpoint is measured; budget: the largest number of training steps of the task."""
    if endpoint.of_losses:
        return Measure(goal.span, np.inf, goal.unit)
    span = endpoint.span(budget)
    return Measure(span, span, endpoint.unit)


def comparisons(study: Study, *, swaps: int = 1999, seed: int = 0) -> pd.DataFrame:
    """Return one row per task, endpoint and variant other than the baseline; none without a baseline.

    study: the study.
    swaps: number of label swaps.
    seed: of the swaps.

    Columns:
    series: of the task; the task itself where it is in none.
    question: that the endpoint decides: ease (by the solve rate) or quality (by the expected best of 20 trials); on a
    task without a criterion of success by the mean test loss and by that of the best decile; empty for endpoints that
    decide nothing.
    primary: whether the endpoint decides a question.
    value, reference: the statistic of the variant and of the baseline.
    difference: between them, over the points that both have.
    low, high: simultaneous 95 % confidence intervals over the variants of a task, NaN below 10 points.
    p: p-value adjusted over the variants of a task; at most .05 exactly where the interval excludes zero.
    verdict: see `verdict_of`. significant: whether it is better or worse.
    needed: see `needed`.
    greff_welch_p: see `statistics.best.greff_welch`; the same for all endpoints.
    span: the range of the endpoint's values that counts; of losses from the floor to the reference of the task, or to 0
    where it has none.
    unit: of value, reference, difference, low, high and span.
    """
    rows: list[dict[str, Any]] = []
    for task in study.tasks:
        own = study.trials[study.trials["task"] == task]
        present = [v for v in study.variants if (own["variant"] == v).any()]
        if study.baseline not in present:
            continue
        place = {"task": task, "series": series_of(own, task), "baseline": study.baseline}
        order, goal = matrix(own, own["order"], present), study.goals[task]
        endpoints = endpoints_of(solvable=goal.solvable)
        values = {e.name: matrix(own, values_of(own, e.column, goal), present) for e in endpoints}
        levels = [levels_of(values, order, k, goal) for k in range(len(present))]
        welch = _greff_welch(own, present)
        for endpoint in endpoints:
            measure = measure_of(endpoint, goal, own["budget"].max())
            found = compare(endpoint.weights, values[endpoint.name], order, span=measure.span, swaps=swaps, seed=seed)
            inferred = inferences(found, endpoint, measure, [(mine, levels[0]) for mine in levels[1:]])
            for variant, mine, row in zip(present[1:], levels[1:], inferred, strict=True):
                shown = {"variant": variant, "value": mine[endpoint.name], "reference": levels[0][endpoint.name]}
                rows.append({**place, **shown, **row, "greff_welch_p": welch[variant]})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"primary": bool, "significant": bool})


def series_of(own: pd.DataFrame, task: str) -> str:
    """Return the series that the trials of a task name; the task where they name none."""
    return str(own["series"].iloc[0]) or task if "series" in own else task


def levels_of(values: Mapping[str, Floats], order: Floats, k: int, goal: Goal) -> Levels:
    """Return the endpoints of variant k over all its points, NaN where it has none; values, order: [V, P].

    On a task without a criterion of success the floor stands beside them.
    """
    levels = {
        name: ENDPOINTS[name].statistic(own[k], order[k]) if np.isfinite(own[k]).any() else np.nan
        for name, own in values.items()
    }
    return levels if goal.solvable else {**levels, FLOOR: float(goal.shown(goal.floor))}


def values_of(table: pd.DataFrame, column: str, goal: Goal) -> pd.Series[float]:
    """Return what an endpoint averages: `solved` as 0 or 1, `steps_to_solve` up to the budget, or a column.

    A loss is that on the test set in the unit of the task, at most the limit, see `Goal.limited`; `loss_to_floor` is at
    most the floor, so that a mean says how much the settings learn and not how far some of them diverge.
    """
    if column in (LOSS, LOSS_TO_FLOOR):
        losses = goal.limited(table["test_loss"])
        most = goal.shown(goal.floor) if column == LOSS_TO_FLOOR and np.isfinite(goal.floor) else np.inf
        return pd.Series(np.minimum(losses, most), index=table.index)
    if column == "solved":
        return (table["status"] == "solved").astype(float)
    if column == "steps_to_solve":
        return pd.Series(restricted_steps(table["solved_step"], table["budget"]), index=table.index)
    return table[column]


def matrix(own: pd.DataFrame, values: pd.Series[float], variants: list[str], points: list[int] | None = None) -> Floats:
    """Return values [V, P] of one task by variant and point; NaN where a variant has no trial at a point.

    own: trials of one task.
    values: of the trials.
    variants, points: in the order of rows and columns; by default all points.
    """
    wide = own.assign(value=values).pivot(index="variant", columns="point", values="value")
    wide = wide.reindex(index=variants)
    return (wide if points is None else wide.reindex(columns=points)).to_numpy(dtype=float)


def inferences(
    found: Comparison, endpoint: Endpoint, measure: Measure, levels: Sequence[Sequence[Levels]], sides: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield what the columns of a table say of each difference.

    There is no interval and no p-value below 10 points.

    found: the differences.
    endpoint: that is compared.
    measure: how it is measured on the task.
    levels: for each difference, the endpoints of all sides of it, for `verdict_of`.
    sides: 1, or 2 for a difference of differences, which may be twice as large.
    """
    span, reach = measure.span, sides * measure.reach
    for k, (points, known) in enumerate(zip(found.points, levels, strict=True)):
        enough = bool(points >= FEWEST_FOR_INFERENCE)
        ends = (float(np.clip(end[k], -reach, reach)) for end in (found.low, found.high))
        low, high, p = (x if enough else np.nan for x in (*ends, float(found.p[k])))
        difference = float(found.difference[k])
        verdict = verdict_of(endpoint, (low, difference, high), span, known)
        yield {
            "endpoint": endpoint.name,
            "question": endpoint.question,
            "primary": endpoint.question != "",
            "points": int(points),
            "difference": difference,
            "low": low,
            "high": high,
            "p": p,
            "verdict": verdict,
            "significant": verdict in (BETTER, WORSE),
            "needed": np.nan
            if verdict in GUARDS
            else needed(difference, half_width(low, difference, high), points, span),
            "span": span,
            "unit": measure.unit,
        }


def verdict_of(endpoint: Endpoint, interval: tuple[float, float, float], span: float, sides: Sequence[Levels]) -> str:
    """Return what may be said of a difference.

    nothing learned: every side solves less than 5 % of its trials, and its best decile scores below .25; on a task
        without a criterion of success, the mean test loss of its best decile is not below the floor.
    hardly solved: something was learned, but all sides together solve less than 5 % of their trials (solve rate and
        steps to solve), so that they are about equal because both fail.
    everything solved: all sides together solve more than 95 % of their trials (solve rate), or every side scores above
        .99 and the interval includes zero (scores). Steps to solve differ even then.
    same: the interval lies inside a tenth of the span on both sides of zero, whether or not it includes zero.
    better, worse: the interval excludes zero.
    open: neither, or there are too few points for an interval.

    endpoint: that is compared.
    interval: low end, difference and high end; NaN ends for no interval.
    span: the range of the endpoint's values.
    sides: the endpoints of every side of the difference, such as the variant and the baseline.
    """
    low, difference, high = interval
    if not any(learned(side) for side in sides):
        return NOTHING_LEARNED
    guard = _solved_or_not(endpoint, sides, apart=low * high > 0)
    if guard:
        return guard
    found = by_interval(low, difference, high, MARGIN * span)
    return towards_better(found, endpoint)


def learned(side: Levels) -> bool:
    """Return whether a variant has learned something; side: its endpoints.

    >>> learned({"best_decile_loss": 8.6, FLOOR: 9.2}), learned({"solve_rate": 0.0, "best_decile": 0.1})
    (True, False)
    """
    if FLOOR in side:
        return side["best_decile_loss"] < side[FLOOR]
    return any(not side[name] < least for name, least in LEARNED.items())


def _solved_or_not(endpoint: Endpoint, sides: Sequence[Levels], *, apart: bool) -> str:
    """Return the verdict on sides that hardly solve a task, or solve it always; empty for others.

    apart: whether the interval excludes zero.
    """
    if any(FLOOR in side for side in sides):
        return ""
    rate = float(np.mean([side["solve_rate"] for side in sides]))
    if endpoint.column in ("solved", "steps_to_solve") and rate < LEARNED["solve_rate"]:
        return HARDLY_SOLVED
    if endpoint.question == EASE and rate > SOLVED["solve_rate"]:
        return EVERYTHING_SOLVED
    scores = endpoint.question != EASE and endpoint.name in SOLVED
    if scores and not apart and all(side[endpoint.name] > SOLVED[endpoint.name] for side in sides):
        return EVERYTHING_SOLVED
    return ""


def by_interval(low: float, difference: float, high: float, margin: float) -> str:
    """Return what an interval alone says of a difference of which more is better: same, open, better or worse.

    low, difference, high: the interval and its middle; NaN ends for no interval.
    margin: a difference below it counts as none.

    >>> by_interval(0.01, 0.05, 0.09, 0.1), by_interval(0.01, 0.2, 0.4, 0.1), by_interval(-0.1, 0.1, 0.3, 0.1)
    ('same', 'better', 'open')
    """
    if max(-low, high) < margin:
        return SAME
    if not low * high > 0:
        return OPEN
    return BETTER if difference > 0 else WORSE


def towards_better(verdict: str, endpoint: Endpoint) -> str:
    """Return a verdict of `by_interval` for an endpoint of which less may be better.

    >>> towards_better("better", ENDPOINTS["best_decile_loss"]), towards_better("better", ENDPOINTS["solve_rate"])
    ('worse', 'better')
    """
    return {BETTER: WORSE, WORSE: BETTER}.get(verdict, verdict) if endpoint.lower_is_better else verdict


GUARDS = (NOTHING_LEARNED, HARDLY_SOLVED, EVERYTHING_SOLVED)  # verdicts that turn no interval into a sentence


def half_width(low: float, difference: float, high: float) -> float:
    """Return half the width of an interval, also where one of its ends was cut off at the largest difference."""
    return max(difference - low, high - difference)


def needed(difference: float, half: float, points: float, span: float) -> float:
    """Return the number of points at which an interval of such a difference would decide; NaN where no number would.

    Widths of intervals fall with the root of the number of points. With enough of them the interval excludes zero, or
    lies inside the margin of a tenth of the span; the number at which the first of these happens is returned.

    difference: that was seen, taken for the true one.
    half: half the width of its interval.
    points: on which it rests.
    span: the range of the endpoint's values.

    >>> needed(0.2, 0.3, 50, 1.0), needed(0.02, 0.24, 50, 1.0)
    (113.0, 450.0)
    """
    farthest = max(abs(difference), MARGIN * span - abs(difference))
    return float(np.ceil(points * (half / farthest) ** 2 - 1e-9)) if np.isfinite(half) else np.nan


def is_better(row: Mapping[Any, Any]) -> bool:
    """Return whether the difference of a row is to the advantage of the variant."""
    return bool((row["difference"] > 0) != ENDPOINTS[row["endpoint"]].lower_is_better)


def resolution(compared: pd.DataFrame) -> pd.DataFrame:
    """Return half the width of the intervals: the smallest difference that the study can distinguish from none.

    compared: of `comparisons`. Differences where nothing was learned or everything was solved are left out.

    Columns: task, endpoint, question, primary, half_width (median over variants), points (the fewest), and needed: the
    number of points at which the half width would be a tenth of the span.
    """
    inferred = compared[np.isfinite(compared["low"]) & ~compared["verdict"].isin(GUARDS)]
    ends = (inferred["difference"] - inferred["low"], inferred["high"] - inferred["difference"])
    inferred = inferred.assign(half_width=np.maximum(*ends))
    groups = inferred.groupby(["task", "endpoint", "question", "primary"], sort=False)
    found: pd.DataFrame = groups.agg(
        half_width=("half_width", "median"), points=("points", "min"), span=("span", "first")
    ).reset_index()
    found["needed"] = np.ceil(found["points"] * (found["half_width"] / (MARGIN * found["span"])) ** 2 - 1e-9)
    return found.drop(columns="span")


def _greff_welch(own: pd.DataFrame, present: Sequence[str]) -> dict[str, float]:
    """Return the p-value of Greff's test by variant, against the first of those present, which is the baseline."""
    losses = {}
    for variant in present:
        trials = own[own["variant"] == variant]
        losses[variant] = trials["test_loss"].to_numpy()[best_decile(trials["order"])]
    return {variant: greff_welch(losses[variant], losses[present[0]]) for variant in present[1:]}
