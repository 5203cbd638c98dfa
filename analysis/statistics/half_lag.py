"""The half lag: the lag at which a solve rate has fallen to one half of its value at the shortest lag.

Letters of shapes: L lags from short to long, P points that all lags share, V variants, B resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm as normal
from scipy.stats import t as student

from .intervals import LEVEL, Floats

TRIM = 0.25  # share of the curve that is left out at both ends, at least
STEEP = 0.1  # a curve that falls from above 1 minus this to below it between two lags has its half lag anywhere there
_MOST = 0.5 - 1e-6  # at one half nothing would be left; just below, it is the place where the curve crosses one half


class HalfLags(NamedTuple):
    """Half lags of V variants, in doublings (log2 of a lag).

    log2: the half lags [V]; infinite where the rate never falls to one half, NaN where the shortest lag is never
        solved.
    low, high: ends of the 95 % confidence interval of each [V]; `high` is infinite where the data set no upper bound.
    later: by how many doublings each lies after that of the first variant, both at most the longest lag [V].
    later_low, later_high: ends of its simultaneous 95 % confidence interval over the V - 1 variants after the first.
    """

    log2: Floats
    low: Floats
    high: Floats
    later: Floats
    later_low: Floats
    later_high: Floats


def half_lags(lags: ArrayLike, solved: ArrayLike, *, resamples: int = 2000, seed: int = 0) -> HalfLags:
    """Return the half lag of each variant with its interval, from points that all lags and variants share.

    The points are resampled, all lags and variants together; the intervals are percentiles of the resamples, expanded
    as Student's t is against the normal distribution, for as many trials as are solved at the shortest lag. A resample
    in which nothing is solved there says nothing and is left out. Where none of the trials solve a lag, or all of them,
    the resamples do not vary; the interval is then extended to what it would be if three of them did otherwise. Where
    the whole fall, from nine tenths to one tenth, lies between two neighbouring lags, both of them take the place of
    the estimate in a resample: nothing says where between them it lies.

    lags: from short to long [L].
    solved: whether a trial solved the task, 0 or 1 [V, L, P], the baseline first; NaN marks a trial that is missing.
    resamples: number of bootstrap resamples of the points.
    seed: of the random draws.

    The differences to the first variant are of the half lags, each cut at the longest lag, as restricted mean survival
    times are; a variant that never falls to one half counts with the longest lag. Their intervals have the level
    1 - .05 / (V - 1), Bonferroni's.

    Raises ValueError where the lags do not rise.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3; Hesterberg 2015, "What Teachers
    Should Know About the Bootstrap", expanded percentiles; Hanley & Lippman-Hand 1983, "If Nothing Goes Wrong, Is
    Everything All Right?", the rule of three.
    """
    values = np.asarray(solved, dtype=float)
    variants, _, points = values.shape
    rng = np.random.default_rng(seed)
    counts = np.vstack([np.ones(points), rng.multinomial(points, np.full(points, 1 / points), size=resamples)])
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        trials = there.astype(float) @ counts.T  # [V, L, 1 + B], the sample itself first
        rates = np.where(there, values, 0.0) @ counts.T / trials
    rates = np.moveaxis(rates, 1, 2)  # [V, 1 + B, L]
    first = rates[:, 0, 0] * trials[:, 0, 0]
    found = half_lag(lags, rates)
    early, late = _where_it_may_lie(lags, rates, found)
    fewer, more = (half_lag(lags, rule)[:, None] for rule in _rule_of_three(rates[:, 0], trials[..., 0]))
    low, _ = _percentiles(early[:, 1:], 1 - LEVEL, first)
    _, high = _percentiles(late[:, 1:], 1 - LEVEL, first)
    longest = np.log2(np.asarray(lags, dtype=float)[-1])
    cut, early, late, least, most = (np.minimum(x, longest) for x in (found, early, late, fewer, more))
    level = (1 - LEVEL) / max(variants - 1, 1)
    sizes = np.fmin(first, first[0])
    after, _ = _percentiles((early - late[0])[:, 1:], level, sizes)
    _, before = _percentiles((late - early[0])[:, 1:], level, sizes)
    after = np.fmin(after, np.fmin(least[:, 0] - cut[0, 0], cut[:, 0] - most[0]))
    before = np.fmax(before, np.fmax(most[:, 0] - cut[0, 0], cut[:, 0] - least[0]))
    ends = np.fmin(low, fewer[:, 0]), np.fmax(high, more[:, 0])
    return HalfLags(found[:, 0], *ends, cut[:, 0] - cut[0, 0], after, before)


def _where_it_may_lie(lags: ArrayLike, rates: Floats, found: Floats) -> tuple[Floats, Floats]:
    """Return the half lags [V, B] twice; the lags on both sides of a steep fall take their place.

    rates: [V, B, L].
    """
    x = np.log2(np.asarray(lags, dtype=float))
    falling = non_increasing(rates)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = falling / falling[..., :1]
    steep = (relative[..., :-1] >= 1 - STEEP) & (relative[..., 1:] <= STEEP)
    place, any_steep = steep.argmax(axis=-1), steep.any(axis=-1)
    return np.where(any_steep, x[place], found), np.where(any_steep, x[place + 1], found)


def _rule_of_three(rates: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Return rates [V, L] with three trials less, and three more, where none or all solve a lag.

    The first have the shortest half lag, so the rate at the shortest lag stays; the second have the longest.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        three = np.minimum(3 / trials, 1.0)
    fewer = np.where(rates == 1, 1 - three, rates)
    more = np.where(rates == 0, three, rates)
    fewer[:, 0], more[:, 0] = rates[:, 0], np.where(rates[:, 0] == 1, 1 - three[:, 0], rates[:, 0])
    return fewer, more


def _percentiles(resampled: Floats, level: float, sizes: Floats) -> tuple[Floats, Floats]:
    """Return the two ends [V] outside which a share `level` lies, from resamples [V, B]; NaN where there are none.

    sizes: number of trials on which each rests [V].
    """
    ends = np.full((2, len(resampled)), np.nan)
    for v, row in enumerate(resampled):
        known, size = row[~np.isnan(row)], max(float(sizes[v]), 2.0)
        if len(known):
            tail = normal.sf(np.sqrt(size / (size - 1)) * student.isf(level / 2, size - 1))
            ends[0, v] = np.quantile(known, tail, method="lower")
            ends[1, v] = np.quantile(known, 1 - tail, method="higher")
    return ends[0], ends[1]


def half_lag(lags: ArrayLike, rates: ArrayLike, trim: float = TRIM) -> Floats:
    """Return log2 of the lag at which solve rates fall to one half of their value at the shortest lag.

    It is a trimmed Spearman-Kärber estimate. The rates are made to fall by isotonic regression and divided by the first
    of them; straight lines over log2 lag join them. Each height of this curve between 1 and 0 has a lag; the estimate
    is the mean log2 lag over the heights from `trim` to 1 - `trim`, or from the end of the curve to 1 minus that where
    it ends above `trim`. Of a curve that ends at one half, the lag at which it is one half is left. The lags need not
    double.

    It is a bound where the curve ends above one half: the half lag is then at least the longest lag, and infinite here.
    It is never below the shortest lag, since it is relative to the rate there: a variant that hardly ever solves the
    shortest lag may still have a long half lag. Where nothing is solved at the shortest lag there is none (NaN).
    Between two lags the place rests on the straight line, which no number of trials can check.

    lags: from short to long [L].
    rates: shares of solved trials, each over the same number of trials [..., L].
    trim: share that is left out at both ends of the curve, below one half.

    Raises ValueError where the lags do not rise.

    Source: Spearman 1908 and Kärber 1931; trimmed: Hamilton, Russo & Thurston 1977, "Trimmed Spearman-Karber Method for
    Estimating Median Lethal Concentrations in Toxicity Bioassays".

    >>> float(2 ** half_lag([30, 60, 120], [0.8, 0.4, 0.0]))
    60.0
    >>> half_lag([30, 60, 120], [[0.8, 0.7, 0.6], [0.0, 0.0, 0.0]]).tolist()
    [inf, nan]
    """
    steps = np.asarray(lags, dtype=float)
    if len(steps) < 2 or not (np.diff(steps) > 0).all():
        raise ValueError(f"half_lag: there must be at least two lags, from short to long, got {steps.tolist()}")
    x, falling = np.log2(steps), non_increasing(rates)
    first, last = falling[..., :1], falling[..., -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = falling / first
        cut = np.clip(last / first, trim, _MOST)
        heights = np.clip(relative, cut, 1 - cut)
        upper, lower = heights[..., :-1], heights[..., 1:]
        fall = relative[..., :-1] - relative[..., 1:]
        middle = (relative[..., :-1] - (upper + lower) / 2) / np.where(fall > 0, fall, 1.0)
        weights = np.where(fall > 0, upper - lower, 0.0)
        places = x[:-1] + middle * np.diff(x)
        mean = (weights * places).sum(axis=-1) / weights.sum(axis=-1)
        found = np.where(relative[..., -1] > 0.5, np.inf, mean)
    known = np.isfinite(first[..., 0]) & (first[..., 0] > 0)
    return np.asarray(np.where(known, found, np.nan), dtype=float)


def non_increasing(rates: ArrayLike) -> Floats:
    """Return the rates [..., L] that never rise and are closest to those given: isotonic regression, equal weights.

    Source: Barlow, Bartholomew, Bremner & Brunk 1972, the min-max formula: the rate at place j is the smallest over
    a <= j of the largest over b >= j of the mean of the rates from a to b.

    >>> non_increasing([0.4, 0.6, 0.0]).tolist()
    [0.5, 0.5, 0.0]
    """
    given = np.asarray(rates, dtype=float)
    count = given.shape[-1]
    sums = np.concatenate([np.zeros((*given.shape[:-1], 1)), np.cumsum(given, axis=-1)], axis=-1)
    found = np.empty_like(given)
    for j in range(count):
        largest = [
            np.max([(sums[..., b + 1] - sums[..., a]) / (b + 1 - a) for b in range(j, count)], axis=0)
            for a in range(j + 1)
        ]
        found[..., j] = np.min(largest, axis=0)
    return found
