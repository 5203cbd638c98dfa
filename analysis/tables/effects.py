"""What each part of a cell is worth and how much the parts help each other, task by task, in a study with factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from runs.study.factors import Effect, Factors

from ..goals import Goal
from ..statistics.effects import Effects, compare_best, compare_means, ratio_interval
from ..statistics.endpoints import EASE, ENDPOINTS, LOSS, SEARCH, Endpoint, endpoints_of, mean_weights
from ..statistics.intervals import Floats
from ..study import Study
from .comparisons import (
    FEWEST_FOR_INFERENCE,
    LEARNED,
    SOLVED,
    inferences,
    levels_of,
    matrix,
    measure_of,
    values_of,
)

MAIN, PAIR = "main", "pair"  # kinds of effects
FLOOR, CEILING = "floor", "ceiling"
"""At which bound of an endpoint a corner of a pair is."""

NEAR = LEARNED["solve_rate"]  # share of the range of an endpoint that counts as its floor
SHOWN = ("solve_rate", "restricted_steps", "expected_best_20", "mean_loss", "best_decile_loss")
"""Endpoints that have effects."""

COLUMNS = [
    *("task", "series", "lag", "endpoint", "question", "primary", "kind", "effect", "part", "other", "plus", "minus"),
    *("other_plus", "other_minus", "aliases", "points", "cells", "difference", "low", "high", "error", "p", "verdict"),
    *("significant", "where_plus", "where_minus", "ratio_low", "ratio_high", "other_where_plus", "other_where_minus"),
    *("other_ratio_low", "other_ratio_high", "bound", "needed", "span", "unit"),
]


def effects(study: Study, *, flips: int = 1999, resamples: int = 999, seed: int = 0) -> pd.DataFrame:
    """Return one row per task, endpoint and effect of the factors of a study; none for a study without factors.

    A family is all effects on one task for one endpoint: their intervals hold together.

    study: the study.
    flips: number of random flips of signs, for means over trials.
    resamples: number of resamples of the points, for statistics of the best trials; there are none below 20 points,
        since a search of 20 trials needs as many.
    seed: of both.

    Columns:
    kind: main or pair. effect: its name, as in the design. aliases: effects that it cannot be told from.
    part, plus, minus: the part and its two levels. other, other_plus, other_minus: those of the second part of a pair.
    points: on which it rests. cells: how many combinations it compares.
    difference: of a main effect, the endpoint of the cells at `plus` less that at `minus`, all other parts being the
        same. Of a pair, half of how much larger that is where the other part is at `other_plus`.
    low, high, p: simultaneous over the effects of the family, NaN below 10 points. error: standard error.
    where_plus, where_minus: of a pair, the effect of the part where the other is at `other_plus` and at `other_minus`.
    ratio_low, ratio_high: interval for how many times the larger of these two is the smaller, both having one sign;
        NaN where the smaller may be zero, and for statistics of the best trials.
    other_where_plus, ..., other_ratio_high: the same for the effect of the other part where the part is at `plus` and
        at `minus`.
    bound: floor or ceiling, where a corner of a pair has hardly anything to lose or to gain, which alone can make the
        pair differ from zero in this direction: a rate does not fall below 0. Empty elsewhere.
    verdict: as in `tables.comparisons`: better where the part helps, or where the two help each other.
    Other columns: as in `tables.comparisons`.
    """
    factors = study.design.factors
    if factors is None:
        return pd.DataFrame(columns=COLUMNS)
    known = [effect for effect in factors.effects if effect.weights is not None]
    rows: list[dict[str, Any]] = []
    for task in study.tasks:
        own = study.trials[(study.trials["task"] == task) & study.trials["variant"].isin(list(factors.cells))]
        if own.empty or not known:
            continue
        rows += _of_task(study, task, own, factors, known, (flips, resamples, seed))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"primary": bool, "significant": bool})


def _of_task(
    study: Study, task: str, own: pd.DataFrame, factors: Factors, known: Sequence[Effect], draws: tuple[int, int, int]
) -> list[dict[str, Any]]:
    """Return the rows of one task; draws: flips, resamples and seed."""
    goal, variants = study.goals[task], list(factors.cells)
    place = {"task": task, "series": study.design.series_of(task), "lag": int(own["lag"].max())}
    order = matrix(own, own["order"], variants)
    endpoints = endpoints_of(solvable=goal.solvable)
    values = {e.name: matrix(own, values_of(own, e.column, goal), variants) for e in endpoints}
    levels = [levels_of(values, order, k, goal) for k in range(len(variants))]
    there = [own_levels for own_levels, row in zip(levels, order, strict=True) if np.isfinite(row).any()]
    rows = []
    for endpoint in (e for e in endpoints if e.name in SHOWN):
        measure = measure_of(endpoint, goal, own["budget"].max())
        found = _compared(endpoint, values[endpoint.name], order, known, measure.span, draws)
        if found is None:
            continue
        inferred = inferences(found, endpoint, measure, [there] * len(known))
        for k, (effect, row) in enumerate(zip(known, inferred, strict=True)):
            quotient = (found.high[k] - found.difference[k]) / found.error[k]
            cells = _at_cells(endpoint, effect, values[endpoint.name], order)
            more = {**_by_other(effect, cells, quotient), "bound": _bound(effect, cells, row, endpoint, goal)}
            rows.append({**place, **_named(effect), **row, "error": float(found.error[k]), **more})
    return rows


def _compared(
    endpoint: Endpoint, values: Floats, order: Floats, known: Sequence[Effect], span: float,
    draws: tuple[int, int, int],
) -> Effects | None:  # fmt: skip
    """Return the effects in an endpoint; None where there are too few points for it."""
    flips, resamples, seed = draws
    contrasts = np.stack([effect.weights for effect in known if effect.weights is not None])
    if endpoint.weights is mean_weights:
        return compare_means(contrasts, values, span=span, flips=flips, seed=seed)
    if not endpoint.of_losses and int(np.isfinite(values).all(axis=0).sum()) < SEARCH:
        return None
    return compare_best(contrasts, endpoint.weights, values, order, span=span, resamples=resamples, seed=seed)


def _named(effect: Effect) -> dict[str, Any]:
    """Return what a row says of which effect it is."""
    second = [(name[1] if len(effect.parts) > 1 else "") for name in (effect.parts, effect.plus, effect.minus)]
    weights = effect.weights if effect.weights is not None else np.zeros(0)
    return {
        "kind": PAIR if len(effect.parts) > 1 else MAIN,
        "effect": effect.name,
        "aliases": "; ".join(effect.aliases),
        "part": effect.parts[0],
        "plus": effect.plus[0],
        "minus": effect.minus[0],
        "other": second[0],
        "other_plus": second[1],
        "other_minus": second[2],
        "cells": int(np.count_nonzero(weights)),
    }


def _at_cells(endpoint: Endpoint, effect: Effect, values: Floats, order: Floats) -> Floats:
    """Return what each cell reaches at the points on which an effect rests: at each [C, P], or of the best [C, 1]."""
    used = np.any([w != 0 for w in (effect.weights, *(effect.corners if effect.corners is not None else ()))], axis=0)
    if endpoint.weights is mean_weights:
        return np.where(used[:, None], values, 0.0)[:, np.isfinite(values[used]).all(axis=0)]
    whole = np.isfinite(values).all(axis=0)
    if not whole.any():
        return np.zeros((len(values), 0))
    return np.array([[endpoint.statistic(v[whole], own[whole])] for v, own in zip(values, order, strict=True)])


def _by_other(effect: Effect, cells: Floats, quotient: float) -> dict[str, float]:
    """Return the effect of each part of a pair at both levels of the other; NaN for a main effect.

    quotient: how many standard errors an effect may be off.
    """
    found: dict[str, float] = {}
    for prefix, swapped in (("", False), ("other_", True)):
        plus = minus = np.zeros(0)
        if len(effect.parts) > 1 and effect.corners is not None:
            corners = (effect.corners[[0, 2, 1, 3]] if swapped else effect.corners) @ cells
            plus, minus = corners[0] - corners[2], corners[1] - corners[3]
        means = [float(end.mean()) if end.size else np.nan for end in (plus, minus)]
        larger, smaller = (plus, minus) if abs(means[0]) > abs(means[1]) else (minus, plus)
        comparable = plus.size >= FEWEST_FOR_INFERENCE and means[0] * means[1] > 0
        low, high = ratio_interval(larger, smaller, quotient) if comparable else (np.nan, np.nan)
        names = ("where_plus", "where_minus", "ratio_low", "ratio_high")
        found |= {f"{prefix}{name}": end for name, end in zip(names, (*means, low, high), strict=True)}
    return found


def _bound(effect: Effect, cells: Floats, row: Mapping[str, Any], endpoint: Endpoint, goal: Goal) -> str:
    """Return the bound that alone can make a pair differ from zero; empty where none can.

    A pair is above zero where a corner with the sign + lies above what the other three would add up to: so the floor
    can make that of it, and the ceiling the opposite. For a corner with the sign - it is the other way round.
    """
    if len(effect.parts) < 2 or effect.corners is None or not cells.size:
        return ""
    lowest, highest = _bounds(endpoint, goal, float(row["span"]))
    towards = -1.0 if endpoint.lower_is_better else 1.0
    direction = towards * np.sign(row["difference"])
    for sign, level in zip((1, -1, -1, 1), towards * (effect.corners @ cells).mean(axis=1), strict=True):
        if sign * direction > 0 and level < towards * lowest:
            return FLOOR
        if sign * direction < 0 and level > towards * highest:
            return CEILING
    return ""


def _bounds(endpoint: Endpoint, goal: Goal, span: float) -> tuple[float, float]:
    """Return the levels between which an endpoint has room to either side, the worse one first."""
    if endpoint.of_losses:
        worst = goal.limit if endpoint.column == LOSS and np.isfinite(goal.limit) else goal.floor
        return float(goal.shown(worst)) - NEAR * span, -np.inf
    if endpoint.lower_is_better:
        return (1 - NEAR) * span, -np.inf
    return NEAR if endpoint.question == EASE else LEARNED["best_decile"], SOLVED[endpoint.name]


def better_is_more(endpoint: str) -> bool:
    """Return whether more of an endpoint is better."""
    return not ENDPOINTS[endpoint].lower_is_better
