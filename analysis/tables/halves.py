"""What a large value of a hyperparameter does: the baseline in the upper and in the lower half of its range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.endpoints import ENDPOINTS
from ..statistics.intervals import LEVEL, Floats, wilson
from ..statistics.welch import welch_test
from ..study import Study
from .claim_rules import LSTMS, NOTHING, Finding, Test, directed
from .comparisons import (
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    HARDLY_SOLVED,
    LEARNED,
    MARGIN,
    SOLVED,
    by_interval,
    half_width,
    measure_of,
    needed,
    series_of,
    towards_better,
    values_of,
)

HALF = "half"  # effect: of the upper half of a hyperparameter's range


def helps(hyperparameter: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that more settings work in the upper half of a hyperparameter's range than in the lower one."""
    return _test(hyperparameter, baselines, claimed_better=True)


def harms(hyperparameter: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that fewer settings work in the upper half of a hyperparameter's range than in the lower one."""
    return _test(hyperparameter, baselines, claimed_better=False)


def _test(hyperparameter: str, baselines: tuple[str, ...], *, claimed_better: bool) -> Test:
    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        if "effect" not in rows or baseline not in baselines:
            return NOTHING
        own = rows[(rows["effect"] == HALF) & (rows["variant"] == name_of(hyperparameter))]
        return directed(own, claimed_better=claimed_better)

    return test


def name_of(hyperparameter: str) -> str:
    """Return what stands in the column `variant`.

    >>> name_of("keep_bias")
    'upper half of keep_bias'
    """
    return f"upper half of {hyperparameter}"


def halves(study: Study, longest: set[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each task and hyperparameter, in the form of `tables.comparisons`: of the baseline's trials in
    the upper half of the range against those in the lower half.

    The halves have different points, so that the difference is not paired. Its 95 % interval is Newcombe's for solve
    rates, and Welch's for test losses; it holds for all tasks together, by Bonferroni's rule, and for each
    hyperparameter on its own. It is NaN with fewer than 10 trials in a half.

    study: the study. longest: the tasks with the longest lag of a series.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
    """
    level = 1 - (1 - LEVEL) / max(1, len(study.tasks))
    for task in study.tasks:
        own = study.trials[(study.trials["task"] == task) & (study.trials["variant"] == study.baseline)]
        if own.empty:
            continue
        goal = study.goals[task]
        endpoint = ENDPOINTS["solve_rate" if goal.solvable else "mean_loss"]
        measure = measure_of(endpoint, goal, own["budget"].max())
        values: Floats = np.asarray(values_of(own, endpoint.column, goal), dtype=np.float64)
        for name in (h for h in study.hyperparameters if f"u_{h}" in own):
            high_half = own[f"u_{name}"].to_numpy(dtype=float) >= 0.5
            upper, lower = np.asarray(values[high_half]), np.asarray(values[~high_half])
            if not len(upper) or not len(lower):
                continue
            between = newcombe if goal.solvable else welch
            difference = float(upper.mean() - lower.mean())
            enough = min(len(upper), len(lower)) >= FEWEST_FOR_INFERENCE
            low, high = between(upper, lower, level) if enough else (np.nan, np.nan)
            verdict = towards_better(by_interval(low, difference, high, MARGIN * measure.span), endpoint)
            if goal.solvable:
                verdict = _guarded(float(values.mean()), verdict)
            yield {
                "task": task,
                "series": series_of(own, task),
                "variant": name_of(name),
                "baseline": study.baseline,
                "endpoint": endpoint.name,
                "question": "ease",
                "primary": True,
                "points": len(values),
                "value": float(upper.mean()),
                "reference": float(lower.mean()),
                "difference": difference,
                "low": low,
                "high": high,
                "verdict": verdict,
                "needed": needed(difference, half_width(low, difference, high), len(values), measure.span),
                "span": measure.span,
                "unit": measure.unit,
                "effect": HALF,
                "longest": task in longest,
            }


def newcombe(upper: Floats, lower: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the confidence interval of the difference between two shares, from values that are 0 or 1.

    >>> low, high = newcombe(np.array([1.0] * 56 + [0.0] * 14), np.array([1.0] * 48 + [0.0] * 32))
    >>> f"{low:.4f} {high:.4f}"
    '0.0524 0.3339'
    """
    (p1, l1, u1), (p2, l2, u2) = ((float(x.mean()), *wilson(int(x.sum()), len(x), level)) for x in (upper, lower))
    return (
        p1 - p2 - float(np.hypot(p1 - l1, u2 - p2)),
        p1 - p2 + float(np.hypot(u1 - p1, p2 - l2)),
    )


def welch(upper: Floats, lower: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the confidence interval of the difference between two means whose spreads may differ."""
    found = welch_test(upper, lower).confidence_interval(level)
    return float(found.low), float(found.high)


def _guarded(rate: float, verdict: str) -> str:
    """Return the verdict on two halves that together solve a share of their trials: on floor and ceiling, none."""
    if rate < LEARNED["solve_rate"]:
        return HARDLY_SOLVED
    return EVERYTHING_SOLVED if rate > SOLVED["solve_rate"] else verdict
