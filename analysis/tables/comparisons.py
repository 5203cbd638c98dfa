"""Every variant against the baseline, task by task, with what may be said of the differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics import stats
from .summary import baseline_of, order, usable

Design = Mapping[str, Any]
FEWEST_FOR_INFERENCE = 20  # points below which differences are shown without interval or p-value
COLUMNS = (
    *(
        "task",
        "variant",
        "baseline",
        "endpoint",
        "primary",
        "points",
        "value",
        "reference",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
    ),
    *("significant", "greff_welch_p", "span"),
)


def comparable(design: Design) -> bool:
    """Whether all variants got the same trials: points drawn beforehand, none cut short."""
    return design.get("sampler", "random") in ("random", "sobol") and design.get("pruner", "none") == "none"


def values_of(table: pd.DataFrame, column: str) -> pd.Series:
    """What an endpoint averages: `solved` as 0 or 1, `steps_to_solve` up to the budget, or a column of the table."""
    if column == "solved":
        return (table["status"] == "solved").astype(float)
    if column == "steps_to_solve":
        return pd.Series(stats.restricted_steps(table["solved_step"], table["budget"]), index=table.index)
    return table[column]


def primary_endpoints(table: pd.DataFrame, design: Design) -> dict[str, str]:
    """The name of the endpoint that decides, by task: a rule on the solve rate pooled over all variants."""
    trials = usable(table)
    return {
        task: stats.primary_endpoint(int((own["status"] == "solved").sum()), len(own))
        for task in order(table, design, "task")
        if len(own := trials[trials["task"] == task])
    }


def comparisons(
    table: pd.DataFrame, design: Design, *, resamples: int = 2000, swaps: int = 1999, seed: int = 0
) -> pd.DataFrame:
    """One row per task, endpoint and variant other than the baseline.

    value, reference: the statistic of variant and baseline. difference: between them, over the points that both have.
    low, high: simultaneous 95 % intervals over the variants of a task, NaN below 20 points. p, p_holm: label swaps, and
    adjusted over the variants of a task. significant: of the primary endpoint, where p_holm is at most .05 and the
    interval excludes zero. greff_welch_p: see `stats.greff_welch`; the same for all endpoints. span: the range of the
    endpoint's values.
    """
    trials, baseline = usable(table), baseline_of(table, design)
    variants = [v for v in order(table, design, "variant") if v != baseline]
    rows: list[dict[str, Any]] = []
    for task, primary in primary_endpoints(table, design).items():
        own = trials[trials["task"] == task]
        if baseline is None or not (own["variant"] == baseline).any():
            continue
        names = [baseline, *(v for v in variants if (own["variant"] == v).any())]
        validation = _matrix(own, own["validation_loss"], names)
        losses = {v: _decile_losses(own[own["variant"] == v]) for v in names}
        for endpoint in stats.ENDPOINTS.values():
            values = _matrix(own, values_of(own, endpoint.column), names)
            span = float(own["budget"].max()) if endpoint.column == "steps_to_solve" else 1.0
            found = stats.compare(
                endpoint.weights, values, validation, span=span, resamples=resamples, swaps=swaps, seed=seed
            )
            for k, variant in enumerate(names[1:]):
                enough = found.points[k] >= FEWEST_FOR_INFERENCE
                # no difference can be larger
                low, high = (float(np.clip(end[k], -span, span)) for end in (found.low, found.high))
                inferred = {"low": low, "high": high, "p": found.p[k], "p_holm": found.p_holm[k]}
                rows.append(
                    {
                        "task": task,
                        "variant": variant,
                        "baseline": baseline,
                        "endpoint": endpoint.name,
                        "primary": endpoint.name == primary,
                        "points": int(found.points[k]),
                        "value": _statistic(endpoint, values[k + 1], validation[k + 1]),
                        "reference": _statistic(endpoint, values[0], validation[0]),
                        "difference": found.difference[k],
                        **(inferred if enough else dict.fromkeys(inferred, np.nan)),
                        "significant": bool(
                            enough
                            and endpoint.name == primary
                            and found.p_holm[k] <= 0.05
                            and found.low[k] * found.high[k] > 0
                        ),
                        "greff_welch_p": stats.greff_welch(losses[variant], losses[baseline]),
                        "span": span,
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"primary": bool, "significant": bool})


def resolution(found: pd.DataFrame) -> pd.DataFrame:
    """Half width of the simultaneous intervals, by task and endpoint: the smallest difference that the study can tell
    from none.

    Columns task, endpoint, primary, half_width (median over variants), points.
    """
    inferred = found[np.isfinite(found["low"])].assign(half_width=lambda t: (t["high"] - t["low"]) / 2)
    groups = inferred.groupby(["task", "endpoint", "primary"], sort=False)
    return groups.agg(half_width=("half_width", "median"), points=("points", "min")).reset_index()


def _matrix(own: pd.DataFrame, values: pd.Series, names: list[str]) -> np.ndarray:
    """Values [V, P] of one task by variant and point; NaN where a variant has no trial at a point."""
    wide = own.assign(value=values).pivot(index="variant", columns="point", values="value")
    return wide.reindex(names).to_numpy(dtype=float)


def _statistic(endpoint: stats.Endpoint, values: np.ndarray, validation: np.ndarray) -> float:
    here = np.isfinite(values)
    return float((endpoint.weights(np.ones((1, int(here.sum()))), validation[here]) @ values[here])[0])


def _decile_losses(own: pd.DataFrame) -> np.ndarray:
    return own["test_loss"].to_numpy()[stats.best_decile(own["validation_loss"])]
