"""How the solve rate of each variant falls with the lag, and how it differs from that of the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.endpoints import mean_weights
from ..statistics.half_lag import half_lags as half_lags_of
from ..statistics.intervals import Floats, wilson
from ..statistics.resampling import compare
from ..study import Study
from .comparisons import (
    BETTER,
    FEWEST_FOR_INFERENCE,
    GUARDS,
    HARDLY_SOLVED,
    MARGIN,
    NOTHING_LEARNED,
    OPEN,
    WORSE,
    by_interval,
)
from .conditions import remembers

FEWEST_SOLVED = 10  # trials at the shortest lag, below which there is no half of their share to speak of
LAGS = ["series", "lag", "task", "variant", "trials", "solved", "solve_rate", "low", "high"]
HALF_LAGS = [
    *("series", "variant", "baseline", "points", "shortest", "longest", "first_rate", "half_lag", "low", "high"),
    *("at_least", "doublings", "doublings_low", "doublings_high", "significant"),
]
LAG_EFFECTS = [
    *("series", "variant", "baseline", "effect", "lag", "points", "value", "reference", "difference", "low", "high"),
    *("p", "significant", "verdict"),
]
MEAN, SLOPE, AT_LAG = "mean", "slope", "lag"  # effects: over all lags, per doubling of the lag, at one lag


def lag_tables(
    study: Study, compared: pd.DataFrame, *, resamples: int = 2000, swaps: int = 1999, seed: int = 0
) -> dict[str, pd.DataFrame]:
    """Return the tables `lags`, `half_lags` and `lag_effects` by name; none where no task has several lags.

    study: the study.
    compared: of `tables.comparisons.comparisons`.
    resamples: number of bootstrap resamples, for half lags.
    swaps: number of label swaps, for differences.
    seed: of the random draws.
    """
    if not several(study):
        return {}
    return {
        "lags": lags(study),
        "half_lags": half_lags(study, resamples=resamples, seed=seed),
        "lag_effects": lag_effects(study, compared, swaps=swaps, seed=seed),
    }


def several(study: Study) -> dict[str, dict[int, str]]:
    """Return the tasks by lag of each series that has trials at two lags or more."""
    there = set(study.trials["task"])
    there = {task for task in there if remembers(study, task)}
    found = {s: {lag: t for lag, t in tasks.items() if t in there} for s, tasks in study.series.items()}
    return {series: tasks for series, tasks in found.items() if len(tasks) > 1}


def lags(study: Study) -> pd.DataFrame:
    """Return one row per series, lag and variant that has trials, with its solve rate.

    Columns: those of `LAGS`; low and high are the ends of the 95 % interval (Wilson) of the solve rate.
    """
    rows = []
    for series, tasks in several(study).items():
        for lag, task in tasks.items():
            own = study.trials[study.trials["task"] == task]
            for variant in _present(study, own):
                solved = own.loc[own["variant"] == variant, "status"] == "solved"
                count, total = int(solved.sum()), len(solved)
                ends = wilson(count, total)
                rows.append([series, lag, task, variant, total, count, count / total, *ends])
    return pd.DataFrame(rows, columns=LAGS)


def half_lags(study: Study, *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Return the lag at which half of the solve rate is left, a row per series and variant with trials at all lags.

    study: the study.
    resamples: number of bootstrap resamples of the points, which all lags and variants share.
    seed: of the random draws.

    Columns:
    points: on which the row rests: those at which the variant has a trial at every lag.
    shortest, longest: lag of the series.
    first_rate: solve rate at the shortest lag.
    half_lag: see `statistics.half_lag`; the longest lag where it is a bound, NaN where the shortest lag is not solved.
    low, high: ends of its 95 % interval; `high` is infinite where there is no upper bound. NaN below 10 points, and
        where the variant solves fewer than ten trials at the shortest lag.
    at_least: whether the half lag is a bound: it is the longest lag or more.
    doublings: by how many doublings of the lag it lies after that of the baseline, both cut at the longest lag.
    doublings_low, doublings_high: ends of its 95 % interval, simultaneous over the variants of the series.
    significant: whether that interval excludes zero.
    """
    rows: list[dict[str, Any]] = []
    for series, tasks in several(study).items():
        solved, variants = solved_by_lag(study, tasks)
        if not variants:
            continue
        steps = list(tasks)
        found = half_lags_of(steps, solved, resamples=resamples, seed=seed)
        led = variants[0] == study.baseline
        for v, variant in enumerate(variants):
            first = solved[v, 0]
            points = int(np.isfinite(first).sum())
            enough = points >= FEWEST_FOR_INFERENCE and np.nansum(first) >= FEWEST_SOLVED
            ends = (found.low[v], found.high[v], found.later_low[v], found.later_high[v])
            low, high, after, before = ends if enough else (np.nan,) * 4
            if v == 0 or not led:
                after = before = np.nan
            at_least = bool(np.isinf(found.log2[v]))
            rows.append(
                {
                    "series": series,
                    "variant": variant,
                    "baseline": study.baseline if led else "",
                    "points": points,
                    "shortest": steps[0],
                    "longest": steps[-1],
                    "first_rate": float(np.nanmean(first)),
                    "half_lag": float(steps[-1] if at_least else 2 ** found.log2[v]),
                    "low": float(min(2.0**low, steps[-1])),
                    "high": float(2.0**high),
                    "at_least": at_least,
                    "doublings": float(found.later[v]) if v and led else np.nan,
                    "doublings_low": float(after),
                    "doublings_high": float(before),
                    "significant": bool(after * before > 0),
                }
            )
    return pd.DataFrame(rows, columns=HALF_LAGS).astype({"at_least": bool, "significant": bool})


def lag_effects(study: Study, compared: pd.DataFrame, *, swaps: int = 1999, seed: int = 0) -> pd.DataFrame:
    """Return how each variant differs from the baseline over the lags of a series: on average, in slope, at each lag.

    study: the study.
    compared: of `tables.comparisons.comparisons`; its rows of the solve rate give the differences at single lags.
    swaps: number of label swaps.
    seed: of the random draws.

    Columns:
    effect: `mean` (of the solve rate over the lags), `slope` (its change per doubling of the lag: least squares over
        log2 lag, point by point), or `lag` (at one lag).
    lag: of the effect at one lag, else 0.
    value, reference: of the variant and of the baseline.
    difference: between them over the points that both have at all lags.
    low, high, p: simultaneous over the variants of a series, for each effect on its own; NaN below 10 points. At
        single lags those of the comparisons, which are simultaneous over the variants at that lag.
    verdict: as in `tables.comparisons`. Of the mean and the slope it is one of `comparisons.GUARDS` where
        it is so at every lag, and `open` where one of them holds at each lag, but not the same. The margin of the slope
        is ten percentage points from the shortest lag to the longest; `worse` means that more is lost per doubling.
    significant: whether the verdict is `better` or `worse`.
    """
    rows: list[Mapping[Any, Any]] = []
    for series, tasks in several(study).items():
        single = compared[compared["task"].isin(list(tasks.values())) & (compared["endpoint"] == "solve_rate")]
        single = single.assign(
            series=series, effect=AT_LAG, lag=single["task"].map({t: lag for lag, t in tasks.items()})
        )
        solved, variants = solved_by_lag(study, tasks)
        if len(variants) > 1 and variants[0] == study.baseline:
            doublings = float(np.log2(max(tasks) / min(tasks)))
            for effect, weights, margin in (
                (MEAN, np.full(len(tasks), 1 / len(tasks)), MARGIN),
                (SLOPE, slope_weights(list(tasks)), MARGIN / doublings),
            ):
                place = {"series": series, "baseline": study.baseline, "effect": effect, "lag": 0}
                found = _contrast(np.einsum("l,vlp->vp", weights, solved), float(np.abs(weights).sum()), swaps, seed)
                for variant, row in zip(variants[1:], found, strict=True):
                    verdict = _verdict(row, margin, set(single[single["variant"] == variant]["verdict"]))
                    facts = {"variant": variant, "verdict": verdict, "significant": verdict in (BETTER, WORSE)}
                    rows.append({**place, **row, **facts})
        rows += single.to_dict("records")
    return pd.DataFrame(rows, columns=LAG_EFFECTS).astype({"significant": bool})


def slope_weights(lags: list[int]) -> Floats:
    """Return the weights [L] whose sum with solve rates is their slope per doubling of the lag: least squares.

    >>> slope_weights([30, 60, 120]).tolist()
    [-0.5, 0.0, 0.5]
    """
    x = np.log2(np.asarray(lags, dtype=float))
    x = x - x.mean()
    return np.asarray(x / (x @ x), dtype=float)


def solved_by_lag(study: Study, tasks: Mapping[int, str]) -> tuple[Floats, list[str]]:
    """Return whether trials solved their task, 0 or 1 [V, L, P], and the variants that have trials at every lag.

    A point at which a variant lacks a trial at any lag is NaN at all of them.

    tasks: of a series, by lag.
    """
    own = study.trials[study.trials["task"].isin(list(tasks.values()))]
    wide = own.assign(solved=(own["status"] == "solved").astype(float)).pivot(
        index=["variant", "task"], columns="point", values="solved"
    )
    parts, variants = [], []
    for variant in _present(study, own):
        part = wide.reindex([(variant, task) for task in tasks.values()]).to_numpy(dtype=float)
        whole = np.isfinite(part).all(axis=0)
        if whole.any():
            parts.append(np.where(whole, part, np.nan))
            variants.append(variant)
    return np.array(parts), variants


def _present(study: Study, own: pd.DataFrame) -> list[str]:
    there = set(own["variant"])
    return [variant for variant in study.variants if variant in there]


def _contrast(values: Floats, reach: float, swaps: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield for each variant but the first how a number per point differs from that of the first.

    values: by variant and point [V, P]. reach: the range of such a number, at which intervals end.
    """
    found = compare(mean_weights, values, np.zeros_like(values), span=reach, swaps=swaps, seed=seed)
    for k, points in enumerate(found.points):
        both = np.isfinite(values[k + 1]) & np.isfinite(values[0])
        mine, reference = (float(values[v][both].mean()) if both.any() else np.nan for v in (k + 1, 0))
        ends = (float(np.clip(end[k], -reach, reach)) for end in (found.low, found.high))
        low, high, p = (x if points >= FEWEST_FOR_INFERENCE else np.nan for x in (*ends, float(found.p[k])))
        row = {"points": int(points), "value": mine, "reference": reference}
        yield {**row, "difference": float(found.difference[k]), "low": low, "high": high, "p": p}


def _verdict(row: Mapping[str, Any], margin: float, at_lags: set[str]) -> str:
    """Return what may be said of a difference over the lags; at_lags: the verdicts at single lags."""
    guard = next((verdict for verdict in GUARDS if at_lags == {verdict}), "")
    if at_lags == {NOTHING_LEARNED, HARDLY_SOLVED}:
        guard = HARDLY_SOLVED
    if guard:
        return guard
    if at_lags and at_lags <= set(GUARDS):  # everything at some lags and nothing at others is no equality
        return OPEN
    return by_interval(row["low"], row["difference"], row["high"], margin)
