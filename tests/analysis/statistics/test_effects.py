"""Intervals of effects: points are the units, and all effects of a task hold together."""

from itertools import product

import numpy as np
import pytest

from analysis.calibration.effects import Kind, effect_powers
from analysis.statistics.effects import compare_best, compare_means, ratio_interval
from analysis.statistics.endpoints import expected_best_weights

FULL = np.array(list(product((1.0, -1.0), repeat=3)))
CONTRASTS = np.vstack([FULL.T, (FULL[:, 0] * FULL[:, 1])[None]]) / 4.0


def made(points, seed=0, effect=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=points) + 0.3 * rng.normal(size=(8, points)) + effect / 2 * FULL[:, :1]


def test_an_effect_and_its_standard_error_are_those_of_the_contrast_at_each_point():
    values = made(12)
    found = compare_means(CONTRASTS, values, span=1.0, flips=99)
    own = CONTRASTS @ values
    assert found.difference == pytest.approx(own.mean(axis=1))
    assert found.error == pytest.approx(own.std(axis=1, ddof=1) / np.sqrt(12))
    assert found.points.tolist() == [12] * 4


def test_what_all_cells_of_a_point_share_does_not_matter():
    values = made(12, effect=0.5)
    shifted = values + 100.0 * np.arange(12)
    first, second = (compare_means(CONTRASTS, v, span=1.0, flips=99) for v in (values, shifted))
    assert first.low == pytest.approx(second.low)


def test_p_is_at_most_5_percent_exactly_where_the_interval_excludes_zero():
    for seed in range(30):
        found = compare_means(CONTRASTS, made(11, seed, effect=0.25), span=1.0, flips=199, seed=seed)
        assert ((found.low * found.high > 0) == (found.p <= 0.05)).all()


def test_a_point_that_lacks_a_cell_is_left_out():
    values = made(13)
    values[2, 4] = np.nan
    whole = np.delete(values, 4, axis=1)
    assert compare_means(CONTRASTS, values, span=1.0, flips=99).difference == pytest.approx(
        (CONTRASTS @ whole).mean(axis=1)
    )


def test_where_nothing_varies_nothing_is_told_apart():
    found = compare_means(CONTRASTS, np.zeros((8, 12)), span=1.0, flips=99)
    assert (found.low < 0).all()
    assert (found.high > 0).all()
    assert (found.p > 0.05).all()


def test_an_effect_on_the_best_is_that_of_the_statistic_of_each_cell():
    values = made(25)
    found = compare_best(CONTRASTS, expected_best_weights, values, -values, span=1.0, resamples=99)
    best = [float(expected_best_weights(np.ones((1, 25)), -own)[0] @ own) for own in values]
    assert found.difference == pytest.approx(CONTRASTS @ best)


def test_equal_cells_err_in_about_5_percent_of_studies_and_an_interaction_is_found():
    kinds = (Kind("none"), Kind("pair", interaction=0.2), Kind("all", main=0.2))
    found = effect_powers(20, 150, kinds=kinds, parts=3, flips=199).set_index("kind")
    # 5 % of 150 studies has a standard error of 1.8 points
    assert (found["wrong"] <= 0.05 + 3 * 0.018).all()
    assert found.loc["pair", "found"] > 0.5
    assert np.isnan(found.loc["none", "found"])
    assert (found["covered"] >= 0.95 - 3 * 0.018).all()


def test_simultaneous_intervals_do_not_shrink_where_all_effects_are_large():
    # flips of effects that are large beside their spread move all of them together: one quotient in place of many
    equal, large = (
        compare_means(CONTRASTS, made(12) + shift, span=1.0) for shift in (0.0, 20 * CONTRASTS.sum(0)[:, None])
    )
    factors = [(found.high - found.difference) / found.error for found in (equal, large)]
    assert factors[1] == pytest.approx(factors[0], rel=0.1)


def test_the_interval_of_a_ratio_is_what_lies_within_so_many_standard_errors():
    rng = np.random.default_rng(1)
    smaller = 1 + 0.3 * rng.normal(size=30)
    larger = 2 + 0.5 * rng.normal(size=30)
    for end in ratio_interval(larger, smaller, 2.5):
        off = larger - end * smaller
        assert abs(off.mean()) == pytest.approx(2.5 * off.std(ddof=1) / np.sqrt(30))
    assert np.isnan(ratio_interval(larger, smaller - 1, 2.5)).all()
