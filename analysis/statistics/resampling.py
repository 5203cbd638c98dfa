"""Differences between variants with simultaneous confidence intervals from the bootstrap and p-values from label swaps.

Letters of shapes: V differences, P points of the design (trials of one variant on one task), B resamples, K trials.

All three comparisons are a signed sum of statistics. They differ in what is resampled together: `compare_pairs` has
partners that met the same points, `compare_groups` has partners that met different points, and `compare_advantages`
has a difference in differences. The steps are the same:

1. The points are resampled, all V differences in the same resamples.
2. The standard error of a difference is that of its resamples, corrected for the number of trials on which the
   statistic rests (`_standard_error`).
3. The half width of the V intervals together comes from the largest studentised deviation (`_half_widths`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm as normal
from scipy.stats import t as student

from .endpoints import Weights
from .intervals import LEVEL, Floats, Integers

FEWEST = 2  # points below which nothing is compared
Sample = tuple[ArrayLike, ArrayLike]  # values and validation losses, each [V, P]; NaN in values marks a missing point


@dataclass(frozen=True)
class Comparison:
    """V differences and what may be said of them. NaN where there are fewer than two points.

    difference: ours minus theirs [V].
    low, high: ends of the simultaneous 95 % confidence intervals [V].
    p: p-values by label swaps [V].
    p_holm: p-values adjusted for their number by Holm's method [V].
    points: number of points on which the difference rests, of the smaller side [V].
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    p_holm: Floats
    points: Integers


class _Term(NamedTuple):
    """A statistic in a signed sum: its sign, the values and losses of its trials [K], and their resamples [B, K]."""

    sign: int
    values: Floats
    losses: Floats
    counts: Floats


class _Estimate(NamedTuple):
    """A difference, the same in every resample [B], its standard error, degrees of freedom, points and p-value."""

    difference: float
    resampled: Floats
    error: float
    freedom: float
    points: int
    p: float


# Comparisons
# ----------------------------------------------------------------------------------------------------------------------


def compare(
    weights: Weights,
    values: ArrayLike,
    validation: ArrayLike,
    *,
    span: float,
    resamples: int = 2000,
    swaps: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare variants with a baseline that met the same points.

    This is `compare_pairs` with the baseline as every partner.

    values, validation: of the trials [1 + V, P], the baseline first; NaN in `values` marks a point that is missing.
    Other arguments: as in `compare_pairs`.
    """
    values, losses = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (values, validation))
    baseline = tuple(np.broadcast_to(x[0], x[1:].shape) for x in (values, losses))
    return compare_pairs(
        weights,
        (values[1:], losses[1:]),
        (baseline[0], baseline[1]),
        span=span,
        resamples=resamples,
        swaps=swaps,
        seed=seed,
    )


def compare_pairs(
    weights: Weights,
    ours: Sample,
    theirs: Sample,
    *,
    span: float,
    resamples: int = 2000,
    swaps: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare partners that met the same points.

    weights: of the statistic that is compared.
    ours, theirs: values and validation losses, each [V, P]; NaN in values marks a point that is missing.
    span: range of the values. The standard error is at least that of one point at which the two differ by the whole
        span, so that two columns of zeros are not called equal beyond doubt.
    resamples: number of bootstrap resamples of the points.
    swaps: number of label swaps for the p-values.
    seed: of the random draws.

    P-values: the labels of the two partners are swapped point by point, which is exact under the hypothesis that the
    labels mean nothing; Holm 1979 over the V differences.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing"; Romano & Wolf 2005.
    """
    first, second = _sample(ours), _sample(theirs)
    count, points = first[0].shape
    rng = np.random.default_rng(seed)
    drawn = _draw(rng, points, resamples)
    swapped = (rng.random((swaps, points)) < 0.5).astype(float)
    found = []
    for v in range(count):
        both = np.isfinite(first[0][v]) & np.isfinite(second[0][v])
        n = int(both.sum())
        if n < FEWEST:
            found.append(_nothing(n, resamples))
            continue
        counts = np.ascontiguousarray(_not_empty(drawn[:, both]))  # the order in memory decides the last bit
        a, b = (_Term(s, x[v, both], y[v, both], counts) for s, (x, y) in ((1, first), (-1, second)))
        moved = swapped[:, both]
        estimate = _estimate(weights, [a, b], _effective(weights, a.losses), span / n)
        found.append(estimate._replace(p=_swapped_p(weights, a, b, np.hstack([1 - moved, moved]), estimate.difference)))
    return _comparison(found, resamples)


def compare_groups(
    weights: Weights,
    ours: Sample,
    theirs: Sample,
    *,
    span: float,
    resamples: int = 2000,
    swaps: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare partners that met different points.

    The two sides are resampled independently, all V differences in the same resamples of a side. The variances of the
    two sides add up, with the degrees of freedom of Welch 1947; each side's standard error is at least span / n / 2^½,
    so that two sides of equal size have the floor of `compare_pairs` together. For p-values the labels are assigned
    at random to the trials of both sides.

    ours, theirs: values and validation losses, [V, P] and [V, Q].
    Other arguments: as in `compare_pairs`.
    """
    samples = _sample(ours), _sample(theirs)
    count, rng = len(samples[0][0]), np.random.default_rng(seed)
    drawn = [_draw(rng, x.shape[1], resamples) for x, _ in samples]
    found = []
    for v in range(count):
        here = [np.isfinite(x[v]) for x, _ in samples]
        n = min(int(h.sum()) for h in here)
        if n < FEWEST:
            found.append(_nothing(n, resamples))
            continue
        terms = [
            _Term(1, x[v, h], y[v, h], _not_empty(counts[:, h]))
            for (x, y), h, counts in zip(samples, here, drawn, strict=True)
        ]
        effective = [_effective(weights, term.losses) for term in terms]
        a, b = (
            _estimate(weights, [term], k, span / len(term.values) / np.sqrt(2))
            for term, k in zip(terms, effective, strict=True)
        )
        squares = [a.error**2, b.error**2]
        difference = a.difference - b.difference
        labels = np.zeros((swaps, sum(len(term.values) for term in terms)))
        labels[:, : len(terms[0].values)] = 1.0
        found.append(
            _Estimate(
                difference=difference,
                resampled=a.resampled - b.resampled,
                error=float(np.sqrt(sum(squares))),
                freedom=sum(squares) ** 2 / sum(s**2 / (k - 1) for s, k in zip(squares, effective, strict=True)),
                points=n,
                p=_swapped_p(weights, terms[0], terms[1], rng.permuted(labels, axis=1), difference),
            )
        )
    return _comparison(found, resamples)


def compare_advantages(
    weights: Weights,
    ours: tuple[Sample, Sample],
    theirs: tuple[Sample, Sample],
    *,
    paired: bool,
    span: float,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the advantages of variants over their baselines between two studies: a difference in differences.

    There are no p-values: swapping the studies would test that nothing changed at all, not that the advantage did not.
    A statistic of the four that rests on the fewest trials decides the correction of the standard error.

    ours, theirs: in each study, the variants and their baselines, each a sample [V, P] on the same points.
    paired: whether both studies have the same points, which are then resampled together.
    Other arguments: as in `compare_pairs`.
    """
    studies = [(_sample(variant), _sample(baseline)) for variant, baseline in (ours, theirs)]
    count, rng = len(studies[0][0][0]), np.random.default_rng(seed)
    drawn = [_draw(rng, variant[0].shape[1], resamples) for variant, _ in studies]
    if paired:
        drawn[1] = drawn[0]
    found = []
    for v in range(count):
        here = [np.isfinite(variant[0][v]) & np.isfinite(baseline[0][v]) for variant, baseline in studies]
        if paired:
            here = [here[0] & here[1]] * 2
        n = min(int(h.sum()) for h in here)
        if n < FEWEST:
            found.append(_nothing(n, resamples))
            continue
        terms = [
            _Term(outer * inner, x[v, h], y[v, h], _not_empty(counts[:, h]))
            for study, h, counts, outer in zip(studies, here, drawn, (1, -1), strict=True)
            for (x, y), inner in zip(study, (1, -1), strict=True)
        ]
        effective = min(_effective(weights, term.losses) for term in terms)
        found.append(_estimate(weights, terms, effective, span / n))
    return _comparison(found, resamples)


# Resamples
# ----------------------------------------------------------------------------------------------------------------------


def _sample(sample: Sample) -> tuple[Floats, Floats]:
    values, losses = (np.atleast_2d(np.asarray(x, dtype=float)) for x in sample)
    return values, losses


def _draw(rng: np.random.Generator, points: int, resamples: int) -> Floats:
    """Return bootstrap resamples [B, P]: how often each point occurs."""
    if not points:
        return np.zeros((resamples, 0))
    return rng.multinomial(points, np.full(points, 1 / points), size=resamples).astype(float)


def _not_empty(counts: Floats) -> Floats:
    """Resamples [B, K] of some of the points; a resample that drew none of them becomes the sample itself."""
    return np.where(counts.sum(axis=1, keepdims=True) > 0, counts, 1.0)


# Estimates
# ----------------------------------------------------------------------------------------------------------------------


def _estimate(weights: Weights, terms: Sequence[_Term], effective: float, least: float) -> _Estimate:
    """Return the signed sum of the statistics of terms, without a p-value.

    effective: number of trials on which a statistic rests. least: the smallest standard error.
    """
    total, resampled = 0.0, np.zeros(len(terms[0].counts))
    for term in terms:
        total += term.sign * float(weights(np.ones((1, len(term.values))), term.losses)[0] @ term.values)
        resampled += term.sign * (weights(term.counts, term.losses) @ term.values)
    points = min(len(term.values) for term in terms)
    error = max(_standard_error(resampled, effective), least)
    return _Estimate(total, resampled, error, freedom=2 * (effective - 1), points=points, p=np.nan)


def _effective(weights: Weights, losses: Floats) -> float:
    """Return the number of trials on which a statistic rests: k = 1 / (sum of squared weights), at least 1.5.

    The mean of n trials rests on k = n of them, the best decile on n/10, the expected best of 20 on fewer than n/20.
    The losses decide which trials these are, not how many. Below 1.5 the corrections by 1 - 1/k and k - 1 would blow
    up: the best decile of ten trials is a single one, k = 1.

    Source: Kish 1965, "Survey Sampling", the effective sample size of a weighted mean.
    """
    sample = weights(np.ones((1, len(losses))), losses)[0]
    return max(float(1 / np.sum(sample**2)), 1.5)


def _standard_error(resampled: Floats, effective: float) -> float:
    """Return the standard error of a statistic that rests on k trials, from its bootstrap resamples [B].

    The bootstrap takes the trials for the whole population and so divides their squared deviations by k, not by
    k - 1. In the mean its variance is (1 - 1/k) times the true one, so the standard error is divided by
    (1 - 1/k)^½. Each of the two statistics of a difference then has a variance with k - 1 degrees of freedom, and their
    sum 2 (k - 1) where the two are equal (Welch 1947): the deviations follow Student's t rather than the normal
    distribution. Without both corrections the best decile of 50 trials, k = 5, excludes a true zero in 13 % instead
    of 5 % of studies; `analysis/notebooks/inference.py` shows what is left with them.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 5.3 (the plug-in variance).
    """
    return float(np.std(resampled, ddof=1)) / float(np.sqrt(1 - 1 / effective))


def _nothing(points: int, resamples: int) -> _Estimate:
    """Return the estimate from too few points."""
    return _Estimate(np.nan, np.zeros(resamples), np.nan, np.inf, points, np.nan)


def _comparison(found: Sequence[_Estimate], resamples: int) -> Comparison:
    """Return the comparison of V estimates."""
    difference, error, freedom, p = (np.array([float(estimate[k]) for estimate in found]) for k in (0, 2, 3, 5))
    deviations = np.zeros((len(found), resamples))
    for row, estimate in zip(deviations, found, strict=True):
        if np.isfinite(estimate.error):
            row[:] = np.abs(estimate.resampled - estimate.difference) / estimate.error
    half = _half_widths(deviations, error, freedom)
    points = np.array([estimate.points for estimate in found], dtype=np.int64)
    return Comparison(difference, difference - half, difference + half, p, holm(p), points)


def _half_widths(deviations: Floats, error: Floats, freedom: Floats) -> Floats:
    """Return half widths [V] of simultaneous 95 % intervals from studentised deviations [V, B].

    The 95 % quantile of the largest deviation of each resample, at least that of one normal deviate (1.96), is carried
    over to Student's t of each difference: the value that t exceeds as rarely as the normal deviate exceeds the
    quantile.
    """
    quantile = float(np.quantile(deviations.max(axis=0), LEVEL, method="higher")) if len(deviations) else np.nan
    quantile = max(quantile, float(normal.isf((1 - LEVEL) / 2)))
    half: Floats = student.isf(normal.sf(quantile), freedom) * error
    return half


# P-values
# ----------------------------------------------------------------------------------------------------------------------


def _swapped_p(weights: Weights, ours: _Term, theirs: _Term, labels: Floats, difference: float) -> float:
    """Return the share of assignments of labels under which the difference is at least as large as the one seen.

    labels: [B, K], 1 where a trial counts as ours, 0 where it counts as theirs; the trials of `ours` come first. The
    assignment that was seen counts as one of them, so the p-value is never 0.
    """
    trials, losses = (np.concatenate(both) for both in ((ours.values, theirs.values), (ours.losses, theirs.losses)))
    under_null = weights(labels, losses) @ trials - weights(1 - labels, losses) @ trials
    return float((1 + np.sum(np.abs(under_null) >= abs(difference) - 1e-12)) / (1 + len(labels)))


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
