"""A short calibration: among equal variants an interval excludes the true difference, zero, as rarely as it says."""

import numpy as np
import pytest

from analysis.statistics.endpoints import decile_weights, mean_weights
from analysis.statistics.resampling import compare_advantages, compare_groups, compare_pairs

pytestmark = [pytest.mark.slow, pytest.mark.calibration]
STUDIES, VARIANTS, POINTS = 300, 4, 50


def equal_variants(rng, variants):
    """Scores and validation losses [variants, POINTS]; a point is good or bad luck for every variant."""
    scores = 0.7 * rng.normal(size=POINTS) + rng.normal(size=(variants, POINTS))
    return scores, np.exp(-scores - 0.3 * rng.normal(size=scores.shape))


def wrongly_told_apart(compare):
    """Share of studies of equal variants in which some interval excludes zero; the intervals are simultaneous."""
    found = (compare(np.random.default_rng([2026, k]), k) for k in range(STUDIES))
    return np.mean([bool(((result.low > 0) | (result.high < 0)).any()) for result in found])


def half(sample, part):
    return sample[0][part], sample[1][part]


def pairs(rng, k, weights):
    sample = equal_variants(rng, 2 * VARIANTS)
    ours, theirs = half(sample, slice(VARIANTS)), half(sample, slice(VARIANTS, None))
    return compare_pairs(weights, ours, theirs, span=0.1, swaps=399, seed=k)


def groups(rng, k, weights):
    ours, theirs = equal_variants(rng, VARIANTS), equal_variants(rng, VARIANTS)
    return compare_groups(weights, ours, theirs, span=0.1, swaps=399, seed=k)


def advantages(rng, k, weights):
    samples = [equal_variants(rng, VARIANTS) for _ in range(2)]
    sides = [((x[1:], y[1:]), (x[[0] * (VARIANTS - 1)], y[[0] * (VARIANTS - 1)])) for x, y in samples]
    return compare_advantages(weights, *sides, paired=False, span=0.1, swaps=399, seed=k)


# 5 % is what the intervals promise. A share of 300 studies has a standard error of 1.3 points, so the limit is 7 %. An
# interval that never errs is too wide.
@pytest.mark.parametrize("comparison", [pairs, groups, advantages])
@pytest.mark.parametrize("weights", [mean_weights, decile_weights])
def test_equal_variants_are_told_apart_in_at_most_five_percent_of_studies(comparison, weights):
    assert 0.01 <= wrongly_told_apart(lambda rng, k: comparison(rng, k, weights)) <= 0.07
