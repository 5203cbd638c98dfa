"""A short calibration: among equal variants an interval excludes the true difference, zero, as rarely as it says."""

import numpy as np
import pytest
from scipy.stats import binom

from analysis.calibration.errors import RARE, most_errors
from analysis.statistics.endpoints import decile_weights, expected_best_weights, mean_weights
from analysis.statistics.resampling import Comparison, compare_advantages, compare_groups, compare_pairs

pytestmark = [pytest.mark.slow, pytest.mark.calibration]
STUDIES, VARIANTS, POINTS, SWAPS = 300, 4, 30, 99


def equal_variants(rng, variants):
    """Scores and validation losses [variants, POINTS]; a point is good or bad luck for every variant."""
    scores = 0.7 * rng.normal(size=POINTS) + rng.normal(size=(variants, POINTS))
    return scores, np.exp(-scores - 0.3 * rng.normal(size=scores.shape))


def errors(compare):
    """Number of studies of equal variants in which some interval excludes zero; the intervals are simultaneous."""
    found = (compare(np.random.default_rng([2026, k]), k) for k in range(STUDIES))
    return sum(bool(((result.low > 0) | (result.high < 0)).any()) for result in found)


def half(sample, part):
    return sample[0][part], sample[1][part]


def pairs(rng, k, weights):
    sample = equal_variants(rng, 2 * VARIANTS)
    ours, theirs = half(sample, slice(VARIANTS)), half(sample, slice(VARIANTS, None))
    return compare_pairs(weights, ours, theirs, span=0.1, swaps=SWAPS, seed=k)


def groups(rng, k, weights):
    ours, theirs = equal_variants(rng, VARIANTS), equal_variants(rng, VARIANTS)
    return compare_groups(weights, ours, theirs, span=0.1, swaps=SWAPS, seed=k)


def advantages(rng, k, weights):
    samples = [equal_variants(rng, VARIANTS) for _ in range(2)]
    sides = [((x[1:], y[1:]), (x[[0] * (VARIANTS - 1)], y[[0] * (VARIANTS - 1)])) for x, y in samples]
    return compare_advantages(weights, *sides, paired=False, span=0.1, swaps=SWAPS, seed=k)


def each_on_its_own(rng, k, weights):
    """A broken rule: each variant has its own quantile of the swaps in place of that of the largest."""
    ours, theirs = equal_variants(rng, VARIANTS), equal_variants(rng, VARIANTS)
    parts = [half(sample, [v]) for v in range(VARIANTS) for sample in (ours, theirs)]
    found = [
        compare_pairs(weights, *both, span=0.1, swaps=SWAPS, seed=k)
        for both in zip(parts[::2], parts[1::2], strict=True)
    ]
    names = ("difference", "low", "high", "p", "points")
    return Comparison(*(np.concatenate([getattr(one, name) for one in found]) for name in names))


# 5 % is what the intervals promise. A rule that keeps its promise has more than 28 errors in 300 studies, or fewer than
# 5, once in a thousand runs of this test each; an interval that never errs is too wide.
@pytest.mark.parametrize("comparison", [pairs, groups, advantages])
@pytest.mark.parametrize("weights", [mean_weights, decile_weights, expected_best_weights])
def test_equal_variants_are_told_apart_in_five_percent_of_studies(comparison, weights):
    found = errors(lambda rng, k: comparison(rng, k, weights))
    assert binom.ppf(RARE, STUDIES, 0.05) <= found <= most_errors(STUDIES)


def test_an_interval_for_each_variant_alone_breaks_the_promise():
    assert errors(lambda rng, k: each_on_its_own(rng, k, mean_weights)) > most_errors(STUDIES)
