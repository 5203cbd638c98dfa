"""Every variant against the baseline, task by task, with what may be said of the differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.best import best_decile, greff_welch
from ..statistics.endpoints import ENDPOINTS, primary_endpoint, restricted_steps
from ..statistics.intervals import Floats
from ..statistics.resampling import Comparison, compare
from ..study import Study

FEWEST_FOR_INFERENCE = 20  # points below which differences are shown without interval or p-value
SIGNIFICANT = 0.05
COLUMNS = [
    *("task", "variant", "baseline", "endpoint", "primary", "points", "value", "reference", "difference", "low"),
    *("high", "p", "p_holm", "significant", "greff_welch_p", "span"),
]


def comparisons(study: Study, *, resamples: int = 2000, swaps: int = 1999, seed: int = 0) -> pd.DataFrame:
    """Return one row per task, endpoint and variant other than the baseline; none without a baseline.

    study: the study.
    resamples, swaps: numbers of bootstrap resamples and of label swaps.
    seed: of both.

    Columns:
    value, reference: the statistic of the variant and of the baseline.
    difference: between them, over the points that both have.
    low, high: simultaneous 95 % confidence intervals over the variants of a task, NaN below 20 points.
    p, p_holm: p-value by label swaps, and adjusted over the variants of a task.
    primary: whether the endpoint decides on this task.
    significant: of the primary endpoint, see `is_significant`.
    greff_welch_p: see `statistics.best.greff_welch`; the same for all endpoints.
    span: the range of the endpoint's values.
    """
    rows: list[dict[str, Any]] = []
    primary = primary_endpoints(study)
    for task, decides in primary.items():
        own = study.trials[study.trials["task"] == task]
        present = [v for v in study.variants if (own["variant"] == v).any()]
        if study.baseline not in present:
            continue
        losses = matrix(own, own["validation_loss"], present)
        welch = _greff_welch(own, present)
        for endpoint in ENDPOINTS.values():
            values = matrix(own, values_of(own, endpoint.column), present)
            span = endpoint.span(own["budget"].max())
            found = compare(endpoint.weights, values, losses, span=span, resamples=resamples, swaps=swaps, seed=seed)
            inferred = inferences(found, span, decides=endpoint.name == decides)
            for k, (variant, row) in enumerate(zip(present[1:], inferred, strict=True), start=1):
                rows.append(
                    {
                        "task": task,
                        "variant": variant,
                        "baseline": study.baseline,
                        "endpoint": endpoint.name,
                        "primary": endpoint.name == decides,
                        "value": endpoint.statistic(values[k], losses[k]),
                        "reference": endpoint.statistic(values[0], losses[0]),
                        "greff_welch_p": welch[variant],
                        "span": span,
                        **row,
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS).astype({"primary": bool, "significant": bool})


def primary_endpoints(study: Study) -> dict[str, str]:
    """Return by task the name of the endpoint that decides: a rule on the solve rate pooled over all variants."""
    solved = (study.trials["status"] == "solved").groupby(study.trials["task"]).agg(["sum", "count"])
    return {t: primary_endpoint(*map(int, solved.loc[t])) for t in study.tasks if t in solved.index}


def values_of(table: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return what an endpoint averages: `solved` as 0 or 1, `steps_to_solve` up to the budget, or a column."""
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


def inferences(found: Comparison, reach: float, *, decides: bool, with_p: bool = True) -> Iterator[dict[str, Any]]:
    """Yield for each difference its number of points, size, interval, p-values, and whether it is significant.

    There is no interval and no p-value below 20 points.

    found: the differences.
    reach: the largest possible difference, at which intervals end.
    decides: whether this is the primary endpoint; no other can be significant.
    with_p: False where there are no p-values, so that the interval alone decides.
    """
    for k, points in enumerate(found.points):
        enough = bool(points >= FEWEST_FOR_INFERENCE)
        low, high = (float(np.clip(end[k], -reach, reach)) for end in (found.low, found.high))
        numbers = {"low": low, "high": high, "p": float(found.p[k]), "p_holm": float(found.p_holm[k])}
        p = numbers["p_holm"] if with_p else 0.0
        yield {
            "points": int(points),
            "difference": float(found.difference[k]),
            **(numbers if enough else dict.fromkeys(numbers, np.nan)),
            "significant": decides and enough and is_significant(low, high, p),
        }


def is_significant(low: float, high: float, p: float) -> bool:
    """Return whether a difference is claimed: its adjusted p-value is at most .05 and its interval excludes zero.

    >>> is_significant(0.1, 0.3, 0.05), is_significant(-0.1, 0.3, 0.01), is_significant(0.1, 0.3, 0.06)
    (True, False, False)
    """
    return p <= SIGNIFICANT and low * high > 0


def is_better(row: Mapping[Any, Any]) -> bool:
    """Return whether the difference of a row is to the advantage of the variant."""
    return bool((row["difference"] > 0) != ENDPOINTS[row["endpoint"]].lower_is_better)


def resolution(compared: pd.DataFrame) -> pd.DataFrame:
    """Return half the width of the intervals: the smallest difference that the study can distinguish from none.

    compared: of `comparisons`.

    Columns: task, endpoint, primary, half_width (median over variants), points.
    """
    inferred = compared[np.isfinite(compared["low"])].assign(half_width=lambda t: (t["high"] - t["low"]) / 2)
    groups = inferred.groupby(["task", "endpoint", "primary"], sort=False)
    found: pd.DataFrame = groups.agg(half_width=("half_width", "median"), points=("points", "min")).reset_index()
    return found


def _greff_welch(own: pd.DataFrame, present: Sequence[str]) -> dict[str, float]:
    """Return the p-value of Greff's test by variant, against the first of those present, which is the baseline."""
    losses = {}
    for variant in present:
        trials = own[own["variant"] == variant]
        losses[variant] = trials["test_loss"].to_numpy()[best_decile(trials["validation_loss"])]
    return {variant: greff_welch(losses[variant], losses[present[0]]) for variant in present[1:]}
