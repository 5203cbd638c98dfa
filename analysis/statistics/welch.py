"""Welch's test of two means whose spreads may differ."""

from __future__ import annotations

import warnings
from typing import Any

from numpy.typing import ArrayLike
from scipy.stats import ttest_ind


def welch_test(ours: ArrayLike, theirs: ArrayLike) -> Any:
    """Return scipy's result of Welch's test, with `pvalue` and `confidence_interval(level)`.

    Values of one side may be equal but for their last bits, as losses at a floor are. Their spread is then taken as it
    is, without scipy's warning that it is one of rounding.

    ours, theirs: at least two finite values each.

    Source: Welch 1947, "The generalization of Student's problem when several different population variances are
    involved".
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss occurred", RuntimeWarning)
        return ttest_ind(ours, theirs, equal_var=False)
