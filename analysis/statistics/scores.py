"""What the scores of replicates say: their middle, their profile, and how likely one variant beats another.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm as normal
from scipy.stats import trim_mean

from .intervals import LEVEL, Floats, Range


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half of the values.

    >>> interquartile_mean([0, 4, 6, 100])
    5.0
    """
    return float(trim_mean(np.asarray(values, dtype=float), 0.25, axis=None))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return the share of scores that reach each threshold.

    Source: Dolan & Moré 2002, "Benchmarking optimization software with performance profiles".

    >>> performance_profile([0.0, 0.5, 1.0], [0.5, 0.6]).round(2).tolist()
    [0.67, 0.33]
    """
    ranked = np.sort(np.asarray(scores, dtype=float).ravel())
    return 1 - np.searchsorted(ranked, np.asarray(thresholds, dtype=float), side="left") / len(ranked)


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return the probability that one of our scores is higher than one of theirs, ties counted half.

    Source: Mann & Whitney 1947.

    >>> probability_of_improvement([1, 2], [1])
    0.75
    """
    a, b = np.asarray(ours, dtype=float), np.sort(np.asarray(theirs, dtype=float))
    below = np.searchsorted(b, a, side="left")
    upto = np.searchsorted(b, a, side="right")
    return float((below + upto).sum() / (2 * len(a) * len(b)))


def improvement_interval(ours: ArrayLike, theirs: ArrayLike) -> Range:
    """Return the 95 % confidence interval of the probability of improvement.

    It stays within [0, 1] and is no single point at the ends. It treats the samples as independent; scores that share
    blocks and seeds go up and down together, which makes it too wide rather than too narrow.

    Source: Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic",
    part 2, method 5.
    """
    found, n, m = probability_of_improvement(ours, theirs), len(np.asarray(ours)), len(np.asarray(theirs))
    z, more = float(normal.isf((1 - LEVEL) / 2)), (n + m) / 2 - 1

    def excess(p: float) -> float:
        return float(
            (found - p) ** 2 - z**2 * p * (1 - p) / (n * m) * (1 + more * (1 - p) / (2 - p) + more * p / (1 + p))
        )

    edge = 1e-9  # at 0 and 1 the variance is 0: roots that mean nothing
    low = 0.0 if found == 0 else float(brentq(excess, 0.0, min(found, 1 - edge)))
    high = 1.0 if found == 1 else float(brentq(excess, max(found, edge), 1.0))
    return low, high


def swap_p_of_improvement(ours: ArrayLike, theirs: ArrayLike, swaps: int = 4095, seed: int = 0) -> float:
    """Return the p-value of the probability of improvement of paired scores [P], by swapping labels pair by pair.

    ours, theirs: scores [P], paired by their place.
    swaps: all 2^P ways of swapping are taken where they are at most `swaps` + 1, else so many random ones.
    seed: of the random ways.

    >>> swap_p_of_improvement([2, 3, 4, 5, 6], [1, 1, 1, 1, 1]) == 2 / 2**5
    True
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
