"""What each part of a cell is worth and how much the parts help each other, task by task, in a study with factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from runs.study.factors import Effect, Factors

from ..statistics.effects import Effects, compare_best, compare_means
from ..statistics.endpoints import ENDPOINTS, LOSS, SEARCH, Endpoint, endpoints_of, mean_weights
from ..statistics.intervals import Floats
from ..study import Study
from .comparisons import inferences, levels_of, matrix, measure_of, values_of

MAIN, PAIR = "main", "pair"  # kinds of effects
SHOWN = ("solve_rate", "restricted_steps", "expected_best_20", "best_decile_loss")  # endpoints that have effects
COLUMNS = [
    *("task", "series", "lag", "endpoint", "question", "primary", "kind", "effect", "part", "other", "plus", "minus"),
    *("other_plus", "other_minus", "aliases", "points", "cells", "difference", "low", "high", "error", "p", "verdict"),
    *("significant", "where_plus", "where_minus", "needed", "span", "unit"),
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
        statistics = np.array([level[endpoint.name] for level in levels])
        inferred = inferences(found, endpoint, measure, [there] * len(known))
        for k, (effect, row) in enumerate(zip(known, inferred, strict=True)):
            rows.append({**place, **_named(effect), **row, "error": float(found.error[k]),
                         **_by_other(effect, factors, statistics)})  # fmt: skip
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
    if endpoint.column != LOSS and int(np.isfinite(values).all(axis=0).sum()) < SEARCH:
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


def _by_other(effect: Effect, factors: Factors, statistics: Floats) -> dict[str, float]:
    """Return the effect of the first part of a pair at both levels of the second; NaN for a main effect."""
    if len(effect.parts) < 2 or effect.weights is None:
        return {"where_plus": np.nan, "where_minus": np.nan}
    place = list(factors.levels).index(effect.parts[1])
    at = np.array([levels[place] for levels in factors.cells.values()])
    used = np.where(effect.weights == 0, 0.0, statistics)  # a cell without trials that does not count is no gap
    return {
        name: float(2.0 * sign * (effect.weights * (at == level)) @ used)
        for name, sign, level in (("where_plus", 1, effect.plus[1]), ("where_minus", -1, effect.minus[1]))
    }


def better_is_more(endpoint: str) -> bool:
    """Return whether more of an endpoint is better."""
    return not ENDPOINTS[endpoint].lower_is_better
