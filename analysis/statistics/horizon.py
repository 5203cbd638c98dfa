"""The memory horizon: the lag at which half of the runs still solve a task."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .intervals import Range


def memory_horizon(lags: ArrayLike, solved: ArrayLike, runs: ArrayLike) -> Range:
    """Return log2 of the lag at which half of the runs succeed, and its standard error, in doublings.

        log2 H = log2(lag_min) - 1/2 + sum of the shares solved

    It is exact where all runs solve the shortest lag and none the longest. Otherwise it is a bound: at most half a
    doubling below the shortest lag, at least half a doubling above the longest. The variance is the sum of the
    binomial variances s (1 - s) / (R - 1) of the shares s over R runs.

    lags: lags that double, from short to long [L].
    solved: number of runs that solve the task at each lag [L].
    runs: number of runs at each lag [L].

    Raises ValueError where the lags do not double.

    Source: Spearman 1908 and Kärber 1931.

    >>> memory_horizon([16, 32, 64], [4, 4, 0], [4, 4, 4])
    (5.5, 0.0)
    """
    lags, runs = np.asarray(lags, dtype=float), np.asarray(runs, dtype=float)
    if len(lags) == 0 or not np.allclose(np.diff(np.log2(lags)), 1.0):
        raise ValueError(f"memory_horizon: lags must double from one to the next, got {lags.tolist()}")
    shares = np.asarray(solved, dtype=float) / runs
    error = np.sqrt(np.sum(shares * (1 - shares) / np.maximum(runs - 1, 1)))
    return float(np.log2(lags[0]) - 0.5 + shares.sum()), float(error)
