from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis import stats


def test_wilson_interval_equals_the_published_formula():
    p, n, z = 7 / 23, 23, 1.959963984540054
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    assert stats.wilson(7, 23) == pytest.approx(expected)


def test_wilson_interval_without_trials_excludes_nothing():
    assert stats.wilson(0, 0) == (0.0, 1.0)


def test_ranking_puts_trials_without_a_loss_last():
    assert stats.ranking([0.3, np.nan, 0.1, np.inf, 0.2]).tolist() == [2, 4, 0, 1, 3]


@pytest.mark.parametrize(("trials", "size"), [(1, 1), (9, 1), (10, 1), (11, 2), (30, 3), (200, 20)])
def test_best_decile_is_a_tenth_rounded_up(trials, size):
    assert len(stats.best_decile(np.arange(trials))) == size


def test_best_decile_is_chosen_by_validation():
    validation = np.arange(30)[::-1]
    assert stats.best_decile(validation).tolist() == [29, 28, 27]


def test_expected_best_equals_the_mean_over_all_subsets():
    rng = np.random.default_rng(3)
    score, validation = rng.random(7), rng.random(7)
    for n in (1, 2, 3, 5, 7):
        brute = np.mean([score[min(subset, key=lambda k: validation[k])] for subset in combinations(range(7), n)])
        assert stats.expected_best(score, validation, [n])[0] == pytest.approx(brute), f"n = {n}"


def test_expected_best_of_one_is_the_mean_and_of_all_is_the_chosen_one():
    score, validation = np.array([0.2, 0.9, 0.4]), np.array([3.0, 2.0, 1.0])
    assert stats.expected_best(score, validation, [1, 3]).tolist() == pytest.approx([0.5, 0.4])


def test_expected_best_counts_a_diverged_trial_as_chosen_last():
    assert stats.expected_best([1.0, 0.0], [0.5, np.nan], [2])[0] == pytest.approx(1.0)


def test_weights_of_the_best_sum_to_one_for_large_studies():
    assert stats.best_weights(5000, 500).sum() == pytest.approx(1.0)


def test_weights_refuse_more_draws_than_trials():
    with pytest.raises(ValueError, match=r"between 1 and the number of trials \(4\), got 5"):
        stats.best_weights(4, 5)


@pytest.mark.parametrize(("trials", "last"), [(3, 3), (10, 5), (50, 5), (200, 20)])
def test_expected_best_is_drawn_to_a_tenth_or_at_least_a_few(trials, last):
    assert stats.search_budgets(trials)[-1] == last


def test_unsolved_trials_count_with_their_whole_budget():
    assert stats.restricted_steps([100.0, np.nan, 900.0], [500, 500, 800]).tolist() == [100, 500, 800]
