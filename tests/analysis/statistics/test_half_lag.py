"""Half lags of curves that were computed by hand, and how often their intervals contain the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.statistics.half_lag import half_lag, half_lags, non_increasing


@pytest.mark.parametrize(
    ("lags", "rates", "wanted"),
    [
        # heights 3/4 to 1/4 of a straight line from 1 at 2^4 to 0 at 2^6: its middle
        ([16, 64], [0.6, 0.0], 5.0),
        # 1, 3/4, 0 at 4, 5, 7: heights 3/4 to 1/4 lie on the second line, from 5 to 5 + 2 * 2/3
        ([16, 32, 128], [0.8, 0.6, 0.0], 5 + 2 / 3),
        # 1, 1/2, 0 at 4, 5, 6: half of the heights on each line, the first at 4.75 on average, the second at 5.25
        ([16, 32, 64], [0.8, 0.4, 0.0], 5.0),
        # 1, 1/2, 0 at 4, 6, 7: the heights 3/4 to 1/2 at 5.5, 1/2 to 1/4 at 6.25
        ([16, 64, 128], [0.8, 0.4, 0.0], (5.5 + 6.25) / 2),
        # ends at 0.4: the heights 0.6 to 0.4 of the line from 1 at 4 to 0.4 at 5 are at its end, 5 - 1/6
        ([16, 32], [0.5, 0.2], 5 - 1 / 6),
        # ends at one half: the lag at which it is one half
        ([16, 32], [0.5, 0.25], 5.0),
    ],
)
def test_half_lag_is_the_mean_over_the_middle_heights(lags, rates, wanted):
    assert float(half_lag(lags, rates)) == pytest.approx(wanted, abs=1e-5)


def test_a_rate_that_stays_above_one_half_has_only_a_bound():
    assert np.isinf(half_lag([16, 32, 64], [0.8, 0.7, 0.41]))


def test_a_half_lag_is_relative_to_the_rate_at_the_shortest_lag():
    high, low = half_lag([16, 32, 64], [[0.8, 0.6, 0.1], [0.08, 0.06, 0.01]])
    assert high == pytest.approx(low)


def test_rates_that_rise_are_pooled_before_they_are_compared_with_the_first():
    assert half_lag([16, 32, 64], [0.4, 0.6, 0.1]) == pytest.approx(half_lag([16, 32, 64], [0.5, 0.5, 0.1]))


def test_isotonic_regression_pools_neighbours_that_rise():
    assert non_increasing([0.2, 0.4, 0.6, 0.1]).tolist() == pytest.approx([0.4, 0.4, 0.4, 0.1])


@pytest.mark.parametrize("lags", [[30], [30, 30], [60, 30]])
def test_lags_must_rise(lags):
    with pytest.raises(ValueError, match="at least two lags, from short to long"):
        half_lag(lags, [0.5] * len(lags))


def solved(*counts, points=40):
    """Whether each point is solved, at each lag the first so many."""
    return (np.arange(points) < np.array(counts)[:, None]).astype(float)


def test_a_fall_between_two_lags_may_lie_anywhere_between_them():
    found = half_lags([16, 32, 64], solved(20, 1, 0)[None], resamples=200)
    assert (found.low[0], found.high[0]) == (4.0, 5.0)


def test_where_nothing_is_solved_three_trials_might_have_been():
    # without the rule every resample is 1, 0 at the two lags; three of forty instead of none give 10 and 3
    found = half_lags([16, 32], solved(10, 0)[None], resamples=200)
    assert found.high[0] == pytest.approx(max(5.0, float(half_lag([16, 32], [10 / 40, 3 / 40]))))


def test_identical_variants_do_not_differ():
    both = np.stack([solved(30, 20, 5)] * 2)
    found = half_lags([16, 32, 64], both, resamples=200)
    assert (found.later[1], found.later_low[1], found.later_high[1]) == (0.0, 0.0, 0.0)


def test_a_half_lag_beyond_the_longest_counts_with_the_longest_in_a_difference():
    found = half_lags([16, 32, 64], np.stack([solved(40, 20, 0), solved(40, 40, 40)]), resamples=200)
    assert np.isinf(found.log2[1])
    assert found.later[1] == pytest.approx(6.0 - found.log2[0])
    assert found.later_low[1] > 0


def test_a_point_that_is_missing_is_left_out():
    whole = solved(10, 5, 0, points=20)
    short = np.where(np.arange(40) < 20, np.pad(whole, ((0, 0), (0, 20))), np.nan)
    assert half_lags([16, 32, 64], short[None], resamples=9).log2 == pytest.approx(
        float(half_lag([16, 32, 64], [10, 5, 0]))
    )


@pytest.mark.slow
@pytest.mark.calibration
@pytest.mark.parametrize("points", [20, 50, 200])
@pytest.mark.parametrize(
    ("top", "middle", "steep"), [(0.8, 80, 2.0), (0.6, 100, 1.2), (0.95, 200, 2.0), (0.5, 35, 5.0)]
)
def test_intervals_contain_the_half_lag_of_a_logistic_curve(points, top, middle, steep):
    lags, studies, rng = np.array([30, 60, 120, 240]), 200, np.random.default_rng(2026)
    rate = lambda x: top / (1 + np.exp(steep * (x - np.log2(middle))))  # noqa: E731
    rates = rate(np.log2(lags))
    truth = brentq(lambda x: rate(x) - rates[0] / 2, np.log2(30), 20)
    held = []
    for k in range(studies):
        luck = np.sqrt(0.5) * (rng.normal(size=points) + rng.normal(size=(len(lags), points)))
        own = (luck < norm.ppf(rates)[:, None]).astype(float)
        if own[0].sum() >= 10:
            found = half_lags(lags, own[None], resamples=400, seed=k)
            held.append(found.low[0] <= truth <= found.high[0])
    assert np.mean(held) >= 0.91  # 95 % less twice its error over 100 to 200 studies
