"""Statistics of a comparison as pure functions of arrays.

Letters of shapes: P points of the design (trials of one variant on one task), V variants, B resamples,
K trials that resamples are made of, n a budget in trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln
from scipy.stats import binomtest, trim_mean, ttest_ind
from scipy.stats import norm as normal
from scipy.stats import t as student

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Range = tuple[float, float]


def wilson(successes: int, trials: int, level: float = 0.95) -> Range:
    """Interval of a share: Wilson 1927. (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(int(successes), int(trials)).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def ranking(validation: ArrayLike) -> Integers:
    """Indices [P] from the best to the worst trial by validation loss [P]; without a loss (diverged) last, ties in the
    order given.
    """
    losses = np.asarray(validation, dtype=float)
    return np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")


def best_decile(validation: ArrayLike, share: float = 0.1) -> Integers:
    """Indices of the best decile of the trials by validation loss [P], at least one (Greff et al. 2017, section V)."""
    order = ranking(validation)
    return order[: max(1, int(np.ceil(share * len(order) - 1e-9)))] if len(order) else order


def best_weights(trials: int, n: int) -> Floats:
    """Probability [P] that the trial of rank 1..P is the best among n drawn without replacement from P = `trials`."""
    if not 1 <= n <= trials:
        raise ValueError(f"best_weights: n must lie between 1 and the number of trials ({trials}), got {n}")
    worse = trials - np.arange(1, trials + 1)
    with np.errstate(divide="ignore"):
        log_weights = np.where(
            worse >= n - 1,
            gammaln(worse + 1) - gammaln(n) - gammaln(np.maximum(worse - n + 2, 1)),
            -np.inf,
        )
    log_all = gammaln(trials + 1) - gammaln(n + 1) - gammaln(trials - n + 1)
    return np.exp(log_weights - log_all)


def expected_best(values: ArrayLike, validation: ArrayLike, budgets: ArrayLike) -> Floats:
    """Expected value of the trial that validation picks out of n, for each n in `budgets`: the unbiased estimator.

    values: what is reported [P] (the test score). validation: what chooses [P], lower is better. Without replacement,
    so every subset of n trials counts once; Dodge et al. 2019 ("Show your work") draw with replacement, which is biased
    downwards.
    """
    ranked = np.asarray(values, dtype=float)[ranking(validation)]
    return np.array([best_weights(len(ranked), int(n)) @ ranked for n in np.atleast_1d(budgets)])


def search_budgets(trials: int, few: int = 5) -> Integers:
    """The budgets 1..P/10 to which a curve of the expected best is drawn, at least up to `few` where there are so many
    trials.
    """
    return np.arange(1, max(trials // 10, min(few, trials)) + 1)


def restricted_steps(solved_step: ArrayLike, budget: ArrayLike) -> Floats:
    """Steps to solve, min(T, budget) [P]; an unsolved trial (NaN) counts with its whole budget."""
    steps = np.asarray(solved_step, dtype=float)
    limit = np.asarray(budget, dtype=float)
    return np.minimum(np.where(np.isnan(steps), limit, steps), limit)


# Statistics of resamples
# ---------------------------------------------------------------------------------------------------
#
# A resample is a row of counts: how often each trial occurs in it. The bootstrap draws counts of points, a label swap
# counts of 0 or 1 of the trials of two variants; both then ask the same functions. Every statistic here is a weighted
# mean, and a function returns the weights.

Weights = Callable[[Floats, Floats], Floats]  # counts [B, K], validation [K] -> weights [B, K], each row with the sum 1


def mean_weights(counts: Floats, validation: Floats) -> Floats:
    """Weights of the mean in each resample."""
    return counts / counts.sum(axis=1, keepdims=True)


def decile_weights(counts: Floats, validation: Floats, share: float = 0.1) -> Floats:
    """Weights of the mean over the best decile by validation in each resample, as `best_decile` chooses it."""
    order = ranking(validation)
    ranked = counts[:, order]
    quota = np.maximum(1, np.ceil(share * ranked.sum(axis=1, keepdims=True) - 1e-9))
    weights = np.empty_like(ranked)
    weights[:, order] = np.clip(quota - (np.cumsum(ranked, axis=1) - ranked), 0, ranked) / quota
    return weights


def expected_best_weights(counts: Floats, validation: Floats, n: int = 20) -> Floats:
    """Weights of the expected best of n in each resample, as `expected_best`; of all trials where there are fewer than
    n.
    """
    order = ranking(validation)
    ranked = counts[:, order]
    upto = np.cumsum(ranked, axis=1).astype(np.int64)
    before = np.concatenate([np.zeros((len(upto), 1), dtype=np.int64), upto[:, :-1]], axis=1)
    found = np.empty_like(ranked)
    for total in np.unique(upto[:, -1]):
        rows = upto[:, -1] == total
        # by rank 0..total
        chosen_upto = np.concatenate([[0.0], np.cumsum(best_weights(int(total), min(n, int(total))))])
        found[rows] = chosen_upto[upto[rows]] - chosen_upto[before[rows]]
    weights = np.empty_like(ranked)
    weights[:, order] = found
    return weights


@dataclass(frozen=True)
class Endpoint:
    """What variants are compared by.

    weights: of the statistic. lower_is_better: its direction. column: of the values, see `analysis.tables.comparisons`.
    unit: written after a number.
    """

    name: str
    title: str
    weights: Weights
    column: str
    lower_is_better: bool = False
    unit: str = ""


ENDPOINTS = {
    e.name: e
    for e in (
        Endpoint("solve_rate", "solve rate", mean_weights, "solved"),
        Endpoint(
            "restricted_steps",
            "mean steps to solve",
            mean_weights,
            "steps_to_solve",
            lower_is_better=True,
            unit="steps",
        ),
        Endpoint("best_decile", "score of the best decile", decile_weights, "score"),
        Endpoint("expected_best_20", "expected best score of 20 trials", expected_best_weights, "score"),
    )
}


RATES = (0.05, 0.95)  # solve rates between which they decide


def primary_endpoint(solved: int, trials: int) -> str:
    """The endpoint that decides, from the solve rate pooled over all variants.

    The solve rate itself where it lies in 5-95 %, above it the steps to solve, below it the score of the best decile.
    """
    rate = solved / trials if trials else 0.0
    if rate > RATES[1]:
        return "restricted_steps"
    return "solve_rate" if rate >= RATES[0] else "best_decile"


# Comparison with a baseline
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Differences of variants to the baseline, for V variants.

    difference: variant minus baseline [V]. low, high: simultaneous intervals [V]. p: by label swaps [V]. p_holm:
    adjusted for their number.
    points: that both have [V]. NaN where a variant shares too few points with the baseline.
    """

    difference: Floats
    low: Floats
    high: Floats
    p: Floats
    p_holm: Floats
    points: Integers


def compare(
    weights: Weights,
    values: ArrayLike,
    validation: ArrayLike,
    *,
    span: float,
    level: float = 0.95,
    resamples: int = 2000,
    swaps: int = 2000,
    fewest: int = 2,
    seed: int = 0,
) -> Comparison:
    """Compare variants with a baseline that met the same points: `compare_pairs` with the baseline as every partner.

    values, validation: [1 + V, P], the baseline first; NaN in `values` marks a point that a variant lacks.
    """
    values, validation = (
        np.atleast_2d(np.asarray(values, dtype=float)),
        np.atleast_2d(np.asarray(validation, dtype=float)),
    )
    partner = np.broadcast_to(values[0], values[1:].shape), np.broadcast_to(validation[0], values[1:].shape)
    ours, theirs = (values[1:], validation[1:]), partner
    return compare_pairs(
        weights, ours, theirs, span=span, level=level, resamples=resamples, swaps=swaps, fewest=fewest, seed=seed
    )


Sample = tuple[ArrayLike, ArrayLike]  # values and validation losses, each [V, P]


def compare_pairs(
    weights: Weights,
    ours: Sample,
    theirs: Sample,
    *,
    span: float,
    level: float = 0.95,
    resamples: int = 2000,
    swaps: int = 2000,
    fewest: int = 2,
    seed: int = 0,
) -> Comparison:
    """V differences between partners that met the same points.

    weights: of the statistic that is compared. ours, theirs: values and validation losses, each [V, P]; NaN in values
    marks a point that is missing. span: the range of the values. fewest: points needed for a comparison.

    Intervals: bootstrap over points, all differences in the same resamples, with the (level)-quantile of the largest
    studentised deviation (Westfall & Young 1993; Romano & Wolf 2005). A statistic that rests on k trials in effect, k =
    1 / sum of squared weights, has an error that the bootstrap understates by (1 - 1/k)^(1/2) and deviations that
    follow Student's t with 2 (k - 1) degrees of freedom rather than the normal distribution; without both corrections
    the best decile of 50 trials excludes a true zero in 13 % instead of 5 %. The standard error is at least that of one
    point in which the two differ by the whole span, so that two columns of zeros are not called equal beyond doubt.

    P-values: the labels of the two partners are swapped point by point, exact under the hypothesis that the labels mean
    nothing; Holm 1979 over the V differences.
    """
    values, validation, values_b, validation_b = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (*ours, *theirs))
    count, points = values.shape
    rng = np.random.default_rng(seed)
    drawn = (
        rng.multinomial(points, np.full(points, 1 / points), size=resamples).astype(float)
        if points
        else np.zeros((resamples, 0))
    )
    swapped = (rng.random((swaps, points)) < 0.5).astype(float)
    difference, error, p = (np.full(count, np.nan) for _ in range(3))
    shared = np.zeros(count, dtype=np.int64)
    freedom = np.full(count, np.inf)
    deviations = np.zeros((count, resamples))
    for v in range(count):
        both = np.isfinite(values[v]) & np.isfinite(values_b[v])
        shared[v] = n = int(both.sum())
        if n < fewest:
            continue
        a, b = (values[v, both], validation[v, both]), (values_b[v, both], validation_b[v, both])
        sample = weights(np.ones((1, n)), a[1])[0]
        difference[v] = sample @ a[0] - (weights(np.ones((1, n)), b[1]) @ b[0])[0]
        effective = max(1 / np.sum(sample**2), 1.5)
        freedom[v] = 2 * (effective - 1)
        counts = drawn[:, both]
        counts = counts[counts.sum(axis=1) > 0]
        resampled = weights(counts, a[1]) @ a[0] - weights(counts, b[1]) @ b[0]
        error[v] = max(float(np.std(resampled, ddof=1)) / np.sqrt(1 - 1 / effective), span / n)
        deviations[v, : len(resampled)] = np.abs(resampled - difference[v]) / error[v]
        trials, losses = np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])
        moved = swapped[:, both]
        p[v] = _swapped_p(weights, trials, losses, np.hstack([1 - moved, moved]), difference[v])
    half = _half_widths(deviations, error, freedom, level)
    return Comparison(difference, difference - half, difference + half, p, holm(p), shared)


def compare_groups(
    weights: Weights,
    ours: Sample,
    theirs: Sample,
    *,
    span: float,
    level: float = 0.95,
    resamples: int = 2000,
    swaps: int = 2000,
    fewest: int = 2,
    seed: int = 0,
) -> Comparison:
    """V differences between partners that met different points, as `compare_pairs`; [V, P] and [V, Q] trials.

    The two sides are resampled each by itself, all V in the same resamples of a side; p-values deal the labels anew
    over the trials of both. Degrees of freedom after Welch 1947. `points` of the result is the smaller number of the
    two sides.
    """
    values, validation, values_b, validation_b = (np.atleast_2d(np.asarray(x, dtype=float)) for x in (*ours, *theirs))
    count, rng = len(values), np.random.default_rng(seed)
    drawn = [
        rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
        for n in (values.shape[1], values_b.shape[1])
    ]
    difference, error, p = (np.full(count, np.nan) for _ in range(3))
    smaller = np.zeros(count, dtype=np.int64)
    freedom = np.full(count, np.inf)
    deviations = np.zeros((count, resamples))
    for v in range(count):
        sides = []
        for x, losses, counts in ((values, validation, drawn[0]), (values_b, validation_b, drawn[1])):
            here = np.isfinite(x[v])
            sides.append((x[v, here], losses[v, here], counts[:, here]))
        smaller[v] = n = min(len(x) for x, _, _ in sides)
        if n < fewest:
            continue
        statistics, resampled, squares, effects = [], [], [], []
        for x, losses, counts in sides:
            sample = weights(np.ones((1, len(x))), losses)[0]
            effective = max(1 / np.sum(sample**2), 1.5)
            counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, 1.0)
            statistics.append(sample @ x)
            resampled.append(weights(counts, losses) @ x)
            squares.append(
                max(float(np.std(resampled[-1], ddof=1)) / np.sqrt(1 - 1 / effective), span / len(x) / np.sqrt(2)) ** 2
            )
            effects.append(effective)
        difference[v] = statistics[0] - statistics[1]
        error[v] = np.sqrt(sum(squares))
        freedom[v] = sum(squares) ** 2 / sum(s**2 / (k - 1) for s, k in zip(squares, effects, strict=True))
        deviations[v] = np.abs(resampled[0] - resampled[1] - difference[v]) / error[v]
        trials, losses = np.concatenate([s[0] for s in sides]), np.concatenate([s[1] for s in sides])
        dealt = np.zeros((swaps, len(trials)))
        dealt[:, : len(sides[0][0])] = 1.0
        p[v] = _swapped_p(weights, trials, losses, rng.permuted(dealt, axis=1), difference[v])
    half = _half_widths(deviations, error, freedom, level)
    return Comparison(difference, difference - half, difference + half, p, holm(p), smaller)


def compare_advantages(
    weights: Weights,
    ours: tuple[Sample, Sample],
    theirs: tuple[Sample, Sample],
    *,
    paired: bool,
    span: float,
    level: float = 0.95,
    resamples: int = 2000,
    fewest: int = 2,
    seed: int = 0,
) -> Comparison:
    """V differences of differences: by how much the lead of a variant over its baseline is larger on our side than on
    theirs.

    ours, theirs: variants and their baselines on each side, each a sample [V, P], within a side on the same points.
    paired: whether both sides have the same points too; else they are resampled each by itself. Intervals as in
    `compare_pairs`, without p-values: swapping the sides would test that nothing changed at all, not that the lead did
    not.
    """
    first, second = (
        [(np.atleast_2d(np.asarray(x, dtype=float)), np.atleast_2d(np.asarray(y, dtype=float))) for x, y in s]
        for s in (ours, theirs)
    )
    count, rng = len(first[0][0]), np.random.default_rng(seed)
    drawn = [
        rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
        for n in (first[0][0].shape[1], second[0][0].shape[1])
    ]
    if paired:
        drawn[1] = drawn[0]
    difference, error = np.full(count, np.nan), np.full(count, np.nan)
    smaller, freedom, deviations = np.zeros(count, dtype=np.int64), np.full(count, np.inf), np.zeros((count, resamples))
    for v in range(count):
        here = [np.isfinite(side[0][0][v]) & np.isfinite(side[1][0][v]) for side in (first, second)]
        if paired:
            here = [here[0] & here[1]] * 2
        smaller[v] = n = min(int(h.sum()) for h in here)
        if n < fewest:
            continue
        effective, total, resampled = np.inf, 0.0, np.zeros(resamples)
        for side, mask, counts, outer in zip((first, second), here, drawn, (1, -1), strict=True):
            own = counts[:, mask]
            own = np.where(own.sum(axis=1, keepdims=True) > 0, own, 1.0)
            for (x, losses), inner in zip(side, (1, -1), strict=True):
                sample = weights(np.ones((1, int(mask.sum()))), losses[v, mask])[0]
                effective = min(effective, max(1 / np.sum(sample**2), 1.5))
                total += outer * inner * (sample @ x[v, mask])
                resampled += outer * inner * (weights(own, losses[v, mask]) @ x[v, mask])
        difference[v], freedom[v] = total, 2 * (effective - 1)
        error[v] = max(float(np.std(resampled, ddof=1)) / np.sqrt(1 - 1 / effective), span / n)
        deviations[v] = np.abs(resampled - total) / error[v]
    half = _half_widths(deviations, error, freedom, level)
    nothing = np.full(count, np.nan)
    return Comparison(difference, difference - half, difference + half, nothing, nothing, smaller)


def _swapped_p(weights: Weights, trials: Floats, losses: Floats, ours: Floats, difference: float) -> float:
    """Share of dealings of labels [B, K], ours 1, theirs 0, under which the difference is at least as large as the one
    seen.
    """
    under_null = weights(ours, losses) @ trials - weights(1 - ours, losses) @ trials
    return float((1 + np.sum(np.abs(under_null) >= abs(difference) - 1e-12)) / (1 + len(ours)))


def _half_widths(deviations: Floats, error: Floats, freedom: Floats, level: float) -> Floats:
    """Half widths [V] of simultaneous intervals from studentised deviations [V, B]."""
    quantile = float(np.quantile(deviations.max(axis=0), level, method="higher")) if len(deviations) else np.nan
    quantile = max(quantile, float(normal.isf((1 - level) / 2)))
    return student.isf(normal.sf(quantile), freedom) * error


def holm(p: ArrayLike) -> Floats:
    """P-values adjusted for their number by Holm's step-down method; NaN stays and does not count."""
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def greff_welch(ours: ArrayLike, theirs: ArrayLike) -> float:
    """P-value of Welch's test on the test losses of the best deciles, as in Greff et al. 2017, section V.

    Not to be relied upon: the best decile are order statistics that share a random threshold, and the test rejects a
    true null far more often than the 5 % it promises. NaN where there are fewer than two losses on a side.
    """
    samples = [np.asarray(x, dtype=float) for x in (ours, theirs)]
    samples = [x[np.isfinite(x)] for x in samples]
    if min(len(x) for x in samples) < 2:
        return float("nan")
    if all(np.ptp(x) == 0 for x in samples):
        return 1.0 if samples[0][0] == samples[1][0] else 0.0
    return float(ttest_ind(*samples, equal_var=False).pvalue)


# Confirmation and memory horizon
# --------------------------------------------------------------------------------------------


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> Floats:
    """Mean of the middle half (Agarwal et al. 2021), over all values or along an axis."""
    return trim_mean(np.asarray(values, dtype=float), 0.25, axis=axis)


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of scores that reach each threshold (Dolan & Moré 2002; Agarwal et al. 2021)."""
    ranked = np.sort(np.asarray(scores, dtype=float).ravel())
    return 1 - np.searchsorted(ranked, np.asarray(thresholds, dtype=float), side="left") / len(ranked)


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Probability that one of ours scores higher than one of theirs, ties counted half (Mann & Whitney 1947)."""
    a, b = np.asarray(ours, dtype=float), np.sort(np.asarray(theirs, dtype=float))
    below = np.searchsorted(b, a, side="left")
    upto = np.searchsorted(b, a, side="right")
    return float((below + upto).sum() / (2 * len(a) * len(b)))


def improvement_interval(ours: ArrayLike, theirs: ArrayLike, level: float = 0.95) -> Range:
    """Interval of the probability of improvement: method 5 of Newcombe 2006, which stays within [0, 1] and is no point
    at its ends.

    It takes the samples for independent; scores that share blocks and seeds go up and down together, which makes it too
    wide rather than too narrow.
    """
    from scipy.optimize import brentq

    found, n, m = probability_of_improvement(ours, theirs), len(np.asarray(ours)), len(np.asarray(theirs))
    z, more = float(normal.isf((1 - level) / 2)), (n + m) / 2 - 1

    def excess(p: float) -> float:
        return float(
            (found - p) ** 2 - z**2 * p * (1 - p) / (n * m) * (1 + more * (1 - p) / (2 - p) + more * p / (1 + p))
        )

    edge = 1e-9  # at 0 and 1 the variance is 0: roots that mean nothing
    low = 0.0 if found == 0 else float(brentq(excess, 0.0, min(found, 1 - edge)))
    high = 1.0 if found == 1 else float(brentq(excess, max(found, edge), 1.0))
    return low, high


def swap_p_of_improvement(ours: ArrayLike, theirs: ArrayLike, swaps: int = 4095, seed: int = 0) -> float:
    """P-value of the probability of improvement of paired scores [P]: the labels are swapped pair by pair.

    All 2^P ways of swapping where those are at most `swaps` + 1, else so many random ones.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    pairs = len(a)
    if 2**pairs <= swaps + 1:
        swapped = (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1).astype(bool)
    else:
        swapped = np.random.default_rng(seed).random((swaps + 1, pairs)) < 0.5
        swapped[0] = False
    first, second = np.where(swapped, b, a), np.where(swapped, a, b)
    wins = np.sign(first[:, :, None] - second[:, None, :]).sum(axis=(1, 2))
    return float(np.mean(np.abs(wins) >= abs(wins[0])))


def bootstrap_interval(
    statistic: Callable[..., float], *samples: ArrayLike, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Range:
    """Percentile interval of a statistic of samples [P_k] that are resampled each by itself."""
    arrays, rng = [np.asarray(s, dtype=float) for s in samples], np.random.default_rng(seed)
    draws = [statistic(*(a[rng.integers(len(a), size=len(a))] for a in arrays)) for _ in range(resamples)]
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def memory_horizon(lags: ArrayLike, solved: ArrayLike, runs: ArrayLike) -> Range:
    """log2 of the lag at which half of the runs succeed, and its standard error, in doublings (Spearman 1908; Kärber
    1931).

    lags: doubling, from short to long [L]. solved, runs: counts at each lag [L].

        log2 H = log2(lag_min) - 1/2 + sum of the shares solved

    It is exact where all runs solve the shortest lag and none the longest; else it is a bound: at most half a doubling
    below the shortest lag, at least half a doubling above the longest.
    """
    lags, runs = np.asarray(lags, dtype=float), np.asarray(runs, dtype=float)
    if len(lags) == 0 or not np.allclose(np.diff(np.log2(lags)), 1.0):
        raise ValueError(f"memory_horizon: lags must double from one to the next, got {lags.tolist()}")
    shares = np.asarray(solved, dtype=float) / runs
    error = np.sqrt(np.sum(shares * (1 - shares) / np.maximum(runs - 1, 1)))
    return float(np.log2(lags[0]) - 0.5 + shares.sum()), float(error)
