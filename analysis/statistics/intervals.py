"""Confidence intervals of a share and of any statistic of samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Range = tuple[float, float]

LEVEL = 0.95  # of every confidence interval


def wilson(successes: int, trials: int, level: float = LEVEL) -> Range:
    """Return the confidence interval of a share.

    successes: number of successes among the trials.
    trials: number of trials.
    level: of confidence.

    Returns the two ends in [0, 1]; (0, 1) without trials.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> low, high = wilson(5, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.237 0.763'
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, float(ndtri(0.5 + level / 2)) ** 2 / trials  # z2: the squared quantile per trial
    middle = share + z2 / 2
    half = (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    low, high = (middle - half) / (1 + z2), (middle + half) / (1 + z2)
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def bootstrap_interval(
    statistic: Callable[..., float], *samples: ArrayLike, resamples: int = 2000, seed: int = 0, level: float = LEVEL
) -> Range:
    """Return the percentile interval of a statistic of samples that are resampled independently.

    statistic: takes one array [P_k] per sample and returns a number.
    samples: arrays [P_k].
    resamples: number of bootstrap resamples.
    seed: of the random draws.
    level: of confidence.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    arrays, rng = [np.asarray(s, dtype=float) for s in samples], np.random.default_rng(seed)
    draws = [statistic(*(a[rng.integers(len(a), size=len(a))] for a in arrays)) for _ in range(resamples)]
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
