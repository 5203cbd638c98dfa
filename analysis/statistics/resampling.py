"""Differences between variants: simultaneous confidence intervals and p-values that always agree, from label swaps.

Letters of shapes: V differences, P points of the design (trials of one variant on one task), B swaps, K trials.

All three comparisons are a signed sum of statistics. They differ in whose labels are swapped: `compare_pairs` has
partners that met the same points, `compare_groups` has partners that met different points, and `compare_advantages`
has a difference in differences. The steps are the same:

1. Labels are swapped at random, the same swaps for all V differences. If the labels mean nothing, the differences
   after a swap are as likely as the one that was seen.
2. Each difference is divided by its standard deviation over the swaps. Only the difference between means of different
   points is divided by the standard error of Welch 1947, after each swap anew, since groups of different sizes may
   differ in their variances.
3. The largest of the V quotients of each swap gives one critical value for all of them (`_comparison`): the interval
   is the difference, give or take that many standard errors, and the p-value is at most .05 exactly where the interval
   excludes zero.

A swap mixes the trials of both sides. Where these differ much, the best of a mixture vary less than the best of one
side, so the standard error of a statistic of the best trials is at least that of a bootstrap over points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from .endpoints import Weights, mean_weights
from .intervals import LEVEL, Floats, Integers

FEWEST = 2  # points below which nothing is compared
RESAMPLES = 500  # of the bootstrap
ALIKE = 1e-9  # relative difference between two quotients that count as equal
Sample = tuple[ArrayLike, ArrayLike]  # values and orders of trials, each [V, P]; NaN in values marks a missing point


@dataclass(frozen=True)
class Comparison:
    """V differences and what may be said of them. NaN where there are fewer than two points.

    difference: ours minus theirs [V].
    low, high: ends of the simultaneous 95 % confidence intervals [V].
    p: p-values adjusted for the number of differences [V]; at most .05 exactly where the interval excludes zero.
    points: number of points on which the difference rests, of the smaller side [V].
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    points: Integers


class _Term(NamedTuple):
    """A statistic in a signed sum: its sign, and the values and orders of its trials [K]."""

    sign: int
    values: Floats
    order: Floats


class _Estimate(NamedTuple):
    """A difference, its standard error, the quotients of both after swaps [B], degrees of freedom, and points."""

    difference: float
    error: float
    swapped: Floats
    freedom: float
    points: int


# Comparisons
# ----------------------------------------------------------------------------------------------------------------------


def compare(
    weights: Weights, values: ArrayLike, order: ArrayLike, *, span: float, swaps: int = 1999, seed: int = 0
) -> Comparison:
    """Compare variants with a baseline that met the same points.

    This is `compare_pairs` with the baseline as every partner.

    values, order: of the trials [1 + V, P], the baseline first; NaN in `values` marks a point that is missing.
    Other arguments: as in `compare_pairs`.

    >>> found = compare(mean_weights, [[0] * 8, [1] * 8], [[0] * 8, [0] * 8], span=1.0)
    >>> found.difference.tolist(), bool(found.low[0] > 0), bool(found.p[0] < 0.05)
    ([1.0], True, True)
    """
    first, second = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (values, order))
    baseline = tuple(np.broadcast_to(x[0], x[1:].shape) for x in (first, second))
    ours, theirs = (first[1:], second[1:]), (baseline[0], baseline[1])
    return compare_pairs(weights, ours, theirs, span=span, swaps=swaps, seed=seed)


def compare_pairs(
    weights: Weights, ours: Sample, theirs: Sample, *, span: float, swaps: int = 1999, seed: int = 0
) -> Comparison:
    """Compare partners that met the same points: their labels are swapped point by point.

    weights: of the statistic that is compared.
    ours, theirs: values and orders of trials, each [V, P]; NaN in values marks a point that is missing. Orders choose
        the best trials, lower is better.
    span: range of the values, see `_floor`.
    swaps: number of random label swaps. 19 is the least with which anything can be told apart; the smallest p-value
        is 1 / (1 + swaps).
    seed: of the random draws.

    The p-value of a single difference is exact under the hypothesis that the labels mean nothing.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing"; Romano & Wolf 2005.
    """
    first, second = _sample(ours), _sample(theirs)
    count, points = first[0].shape
    rng = np.random.default_rng(seed)
    swapped = (rng.random((swaps, points)) < 0.5).astype(float)
    found = []
    for v in range(count):
        both = np.isfinite(first[0][v]) & np.isfinite(second[0][v])
        terms = [_Term(s, x[v, both], y[v, both]) for s, (x, y) in ((1, first), (-1, second))]
        found.append(_of_pairs(weights, terms, swapped[:, both], span, rng))
    return _comparison(found, swaps)


def compare_groups(
    weights: Weights, ours: Sample, theirs: Sample, *, span: float, swaps: int = 1999, seed: int = 0
) -> Comparison:
    """Compare partners that met different points: the labels are assigned at random to the trials of both sides.

    ours, theirs: values and orders of trials, [V, P] and [V, Q].
    Other arguments: as in `compare_pairs`.
    """
    samples = _sample(ours), _sample(theirs)
    rng = np.random.default_rng(seed)
    keys = rng.random((swaps, sum(x.shape[1] for x, _ in samples)))
    found = []
    for v in range(len(samples[0][0])):
        here = [np.isfinite(x[v]) for x, _ in samples]
        sides = [[_Term(1, x[v, h], y[v, h])] for (x, y), h in zip(samples, here, strict=True)]
        found.append(_of_groups(weights, sides, _labels(keys[:, np.concatenate(here)], int(here[0].sum())), span, rng))
    return _comparison(found, swaps)


def compare_advantages(
    weights: Weights,
    ours: tuple[Sample, Sample],
    theirs: tuple[Sample, Sample],
    *,
    paired: bool,
    span: float,
    swaps: int = 1999,
    seed: int = 0,
) -> Comparison:
    """Compare the advantages of variants over their baselines between two studies: a difference in differences.

    A variant and its baseline change the study together: point by point where the studies are paired, else at random.
    That is exact where nothing changed at all. Where both changed alike it is approximate.

    ours, theirs: in each study, the variants and their baselines, each a sample [V, P] on the same points.
    paired: whether both studies have the same points.
    Other arguments: as in `compare_pairs`.
    """
    studies = [(_sample(variant), _sample(baseline)) for variant, baseline in (ours, theirs)]
    rng, sizes = np.random.default_rng(seed), [variant[0].shape[1] for variant, _ in studies]
    drawn = rng.random((swaps, sizes[0] if paired else sum(sizes)))
    found = []
    for v in range(len(studies[0][0][0])):
        here = [np.isfinite(variant[0][v]) & np.isfinite(baseline[0][v]) for variant, baseline in studies]
        if paired:
            here = [here[0] & here[1]] * 2
        sides = [
            [_Term(sign, x[v, h], y[v, h]) for sign, (x, y) in zip((1, -1), study, strict=True)]
            for study, h in zip(studies, here, strict=True)
        ]
        if paired:
            terms = [term._replace(sign=s * term.sign) for s, side in zip((1, -1), sides, strict=True) for term in side]
            found.append(_of_pairs(weights, terms, (drawn[:, here[0]] < 0.5).astype(float), span, rng))
        else:
            found.append(
                _of_groups(weights, sides, _labels(drawn[:, np.concatenate(here)], int(here[0].sum())), span, rng)
            )
    return _comparison(found, swaps)


def _sample(sample: Sample) -> tuple[Floats, Floats]:
    values, order = (np.atleast_2d(np.asarray(x, dtype=float)) for x in sample)
    return values, order


def _labels(keys: Floats, ours: int) -> Floats:
    """Return assignments of labels [B, K] from random keys [B, K]: 1 for the trials with the `ours` smallest keys."""
    labels = np.zeros(keys.shape)
    np.put_along_axis(labels, np.argsort(keys, axis=1)[:, :ours], 1.0, axis=1)
    return labels


# Partners at the same points
# ----------------------------------------------------------------------------------------------------------------------


def _of_pairs(
    weights: Weights, terms: Sequence[_Term], swapped: Floats, span: float, rng: np.random.Generator
) -> _Estimate:
    """Return the estimate of a signed sum whose first half of terms is ours, and whose second half is its partner.

    swapped: 1 where the two halves change places at a point, else 0 [B, P].
    """
    points = len(terms[0].values)
    if points < FEWEST:
        return _nothing(points, len(swapped))
    floor = _floor(terms, span) / points
    if weights is mean_weights:
        return _of_mean_pairs(np.sum([term.sign * term.values for term in terms], axis=0), swapped, floor)
    half, labels = len(terms) // 2, np.hstack([1.0 - swapped, swapped])
    under_swaps = np.zeros(len(swapped))
    for first, second in zip(terms[:half], terms[half:], strict=True):
        under_swaps += first.sign * _exchanged(weights, first, second, labels)
    least = _bootstrap_error(weights, [terms], rng)
    return _of_swaps(_seen(weights, terms), under_swaps, (least, floor), points)


def _of_mean_pairs(differences: Floats, swapped: Floats, floor: float) -> _Estimate:
    """Return the estimate of the mean of differences d [P], whose signs are swapped.

    The standard deviation of the mean over all swaps is (sum of d^2)^½ / P.
    """
    points = len(differences)
    spread = float(np.sqrt(np.sum(differences**2))) / points
    error = spread or floor
    moved = (1 - 2 * swapped) @ differences / points
    return _Estimate(float(np.mean(differences)), error, moved / error, np.inf, points)


# Partners at different points
# ----------------------------------------------------------------------------------------------------------------------


def _of_groups(
    weights: Weights, sides: Sequence[Sequence[_Term]], labels: Floats, span: float, rng: np.random.Generator
) -> _Estimate:
    """Return the estimate of the difference between the signed sums of two sides, whose labels are swapped.

    labels: [B, K], 1 where a trial of both sides together counts as ours.
    """
    points = min(len(side[0].values) for side in sides)
    if points < FEWEST:
        return _nothing(points, len(labels))
    floor = _floor([term for side in sides for term in side], span) / points
    if weights is mean_weights:
        sums = [np.sum([term.sign * term.values for term in side], axis=0) for side in sides]
        return _of_mean_groups(sums[0], sums[1], labels, floor)
    under_swaps, seen = np.zeros(len(labels)), 0.0
    for first, second in zip(*sides, strict=True):
        under_swaps += first.sign * _exchanged(weights, first, second, labels)
        seen += _seen(weights, [first, second._replace(sign=-second.sign)])
    return _of_swaps(seen, under_swaps, (_bootstrap_error(weights, sides, rng), floor), points)


def _of_mean_groups(ours: Floats, theirs: Floats, labels: Floats, floor: float) -> _Estimate:
    """Return the estimate of the difference of two means, with the standard error of Welch 1947."""
    sizes, both = (len(ours), len(theirs)), np.concatenate([ours, theirs])
    both = both - both.mean()  # so that squares lose no digits
    unswapped = np.repeat([1.0, 0.0], sizes)[None]

    def moments(assigned: Floats) -> tuple[Floats, Floats, Floats]:
        """Return differences of means, and the squared standard error of each mean."""
        means = [part @ both / n for part, n in zip((assigned, 1 - assigned), sizes, strict=True)]
        squares = [part @ both**2 / n for part, n in zip((assigned, 1 - assigned), sizes, strict=True)]
        first, second = (
            np.maximum(square - mean**2, 0) / (n - 1) for square, mean, n in zip(squares, means, sizes, strict=True)
        )
        return means[0] - means[1], first, second

    def error(first: Floats, second: Floats) -> Floats:
        variance = first + second
        return np.where(variance > 1e-12 * np.mean(both**2), np.sqrt(variance), floor)

    seen, *squares = moments(unswapped)
    moved, *others = moments(labels)
    welch = [float(s[0]) ** 2 / (n - 1) for s, n in zip(squares, sizes, strict=True)]
    total = float(squares[0][0] + squares[1][0])
    freedom = total**2 / sum(welch) if sum(welch) > 0 else min(sizes) - 1
    return _Estimate(float(seen[0]), float(error(*squares)[0]), moved / error(*others), freedom, min(sizes))


# Statistics other than means
# ----------------------------------------------------------------------------------------------------------------------


def _seen(weights: Weights, terms: Sequence[_Term]) -> float:
    """Return a signed sum of statistics."""
    return sum(t.sign * float(weights(np.ones((1, len(t.values))), t.order)[0] @ t.values) for t in terms)


def _exchanged(weights: Weights, first: _Term, second: _Term, labels: Floats) -> Floats:
    """Return the difference of a statistic between two partners for each assignment of labels [B, K]."""
    values, order = (np.concatenate(both) for both in ((first.values, second.values), (first.order, second.order)))
    moved: Floats = weights(labels, order) @ values - weights(1 - labels, order) @ values
    return moved


def _of_swaps(seen: float, under_swaps: Floats, errors: tuple[float, float], points: int) -> _Estimate:
    """Return the estimate of a difference of which the values after swaps are known [B].

    errors: the standard error of the bootstrap, and the one that stands in where nothing varies.
    """
    least, floor = errors
    spread = float(np.sqrt(np.mean(under_swaps**2)))
    spread = spread if spread > 1e-12 else floor
    return _Estimate(seen, max(spread, least), under_swaps / spread, np.inf, points)


def _bootstrap_error(weights: Weights, sides: Sequence[Sequence[_Term]], rng: np.random.Generator) -> float:
    """Return the standard error of a signed sum of statistics, from a bootstrap over the points of each side.

    The bootstrap takes the trials for the whole population. In the mean of k trials its variance is (1 - 1/k) times
    the true one, so the standard error is divided by (1 - 1/k)^½, where k is the smallest number of trials on which a
    statistic rests.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 5.3 (the plug-in variance).
    """
    resampled = np.zeros(RESAMPLES)
    for side, sign in zip(sides, (1, -1), strict=False):
        points = len(side[0].values)
        counts = rng.multinomial(points, np.full(points, 1 / points), size=RESAMPLES).astype(float)
        for term in side:
            resampled += sign * term.sign * (weights(counts, term.order) @ term.values)
    effective = min(_effective(weights, term.order) for side in sides for term in side)
    return float(np.std(resampled, ddof=1) / np.sqrt(1 - 1 / effective))


def _effective(weights: Weights, order: Floats) -> float:
    """Return the number of trials on which a statistic rests: k = 1 / (sum of squared weights), at least 1.5.

    The best decile of n trials rests on k = n/10 of them, the expected best of 20 on about n/13. Below 1.5 the
    correction by 1 - 1/k would blow up: the best decile of ten trials is a single one, k = 1.

    Source: Kish 1965, "Survey Sampling", the effective sample size of a weighted mean.
    """
    sample = weights(np.ones((1, len(order))), order)[0]
    return max(float(1 / np.sum(sample**2)), 1.5)


# Estimates
# ----------------------------------------------------------------------------------------------------------------------


def _floor(terms: Sequence[_Term], span: float) -> float:
    """Return how much the values of terms differ at most; the span where they are all the same.

    A standard error of zero, where nothing varies, is replaced by what one point could change, this number divided by
    the number of points: two columns of zeros are not called equal beyond doubt.
    """
    values = np.concatenate([term.values for term in terms])
    return min(float(np.ptp(values)), span) or span


def _nothing(points: int, swaps: int) -> _Estimate:
    """Return the estimate from too few points."""
    return _Estimate(np.nan, np.nan, np.zeros(swaps), np.inf, points)


def _comparison(found: Sequence[_Estimate], swaps: int) -> Comparison:
    """Return the comparison of V estimates.

    The critical value is the one that the largest quotient of a swap exceeds in 5 % of the swaps, where the labels as
    they were count as one swap more. It is at least that of one normal deviate (of Student's t between means of
    different points), which matters only where hardly any point differs and there are few different swaps.
    """
    difference, error, freedom = (np.array([float(estimate[k]) for estimate in found]) for k in (0, 1, 3))
    points = np.array([estimate.points for estimate in found], dtype=np.int64)
    largest = np.sort(np.max([np.zeros(swaps), *(np.abs(estimate.swapped) for estimate in found)], axis=0))
    largest *= 1 + ALIKE
    quotient = np.abs(difference) / error
    as_large = swaps - np.searchsorted(largest, quotient, side="left")
    p = np.maximum((1 + as_large) / (1 + swaps), 2 * student.sf(quotient, freedom))
    allowed = int(round(1 - LEVEL, 9) * (1 + swaps))  # largest quotients that may reach the critical value
    critical = largest[-allowed] if allowed else np.inf
    half = np.maximum(critical, student.isf((1 - LEVEL) / 2, freedom)) * error
    return Comparison(difference, difference - half, difference + half, np.where(np.isfinite(error), p, np.nan), points)


# P-values
# ----------------------------------------------------------------------------------------------------------------------


def holm(p: ArrayLike) -> Floats:
    """Return p-values adjusted for their number by Holm's step-down method; NaN stays and does not count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, float("nan")]).tolist()
    [0.02, 0.04, nan]
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted
