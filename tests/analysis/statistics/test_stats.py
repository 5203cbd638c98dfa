from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t as student

from analysis.statistics.best import (
    best_decile,
    best_weights,
    expected_best,
    greff_welch,
    order_of,
    ranking,
    search_budgets,
)
from analysis.statistics.endpoints import (
    ENDPOINTS,
    decile_weights,
    expected_best_weights,
    mean_weights,
    restricted_steps,
)
from analysis.statistics.horizon import memory_horizon
from analysis.statistics.intervals import bootstrap_interval, wilson
from analysis.statistics.resampling import compare, compare_advantages, compare_groups, compare_pairs, holm
from analysis.statistics.scores import (
    improvement_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    swap_p_of_improvement,
)
from analysis.tables import halves


def test_wilson_interval_equals_the_published_formula():
    p, n, z = 7 / 23, 23, 1.959963984540054
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    assert wilson(7, 23) == pytest.approx(expected)


def test_wilson_interval_without_trials_excludes_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_ranking_puts_trials_without_a_loss_last():
    assert ranking([0.3, np.nan, 0.1, np.inf, 0.2]).tolist() == [2, 4, 0, 1, 3]


def test_order_puts_solved_trials_first_by_steps_then_loss():
    steps = [np.nan, 300, 200, 200, np.nan, np.nan, 50]
    losses = [0.01, 0.001, 0.3, 0.2, 0.005, np.nan, np.nan]
    assert ranking(order_of(steps, losses)).tolist() == [3, 2, 1, 4, 0, 5, 6]
    assert order_of(steps, losses)[:5].tolist() == [4, 2, 1, 0, 3]
    assert np.isnan(order_of(steps, losses)[5:]).all()


def test_order_is_that_of_the_losses_where_training_does_not_stop_at_the_solution():
    assert order_of([np.nan, 300, 200], [0.01, 0.1, 0.3], by_steps=False).tolist() == [0, 1, 2]


def test_equal_trials_have_the_same_place_in_the_order():
    assert order_of([200, 200, np.nan], [0.1, 0.1, np.inf]).tolist()[:2] == [0, 0]
    assert order_of([], []).tolist() == []


@pytest.mark.parametrize(("trials", "size"), [(1, 1), (9, 1), (10, 1), (11, 2), (30, 3), (200, 20)])
def test_best_decile_is_a_tenth_rounded_up(trials, size):
    assert len(best_decile(np.arange(trials))) == size


def test_best_decile_is_the_lowest_in_order():
    order = np.arange(30)[::-1]
    assert best_decile(order).tolist() == [29, 28, 27]


def test_expected_best_equals_the_mean_over_all_subsets():
    rng = np.random.default_rng(3)
    score, validation = rng.random(7), rng.random(7)
    for n in (1, 2, 3, 5, 7):
        brute = np.mean([score[min(subset, key=lambda k: validation[k])] for subset in combinations(range(7), n)])
        assert expected_best(score, validation, [n])[0] == pytest.approx(brute), f"n = {n}"


def test_expected_best_of_one_is_the_mean_and_of_all_is_the_chosen_one():
    score, validation = np.array([0.2, 0.9, 0.4]), np.array([3.0, 2.0, 1.0])
    assert expected_best(score, validation, [1, 3]).tolist() == pytest.approx([0.5, 0.4])


def test_expected_best_counts_a_diverged_trial_as_chosen_last():
    assert expected_best([1.0, 0.0], [0.5, np.nan], [2])[0] == pytest.approx(1.0)


def test_weights_of_the_best_sum_to_one_for_large_studies():
    assert best_weights(5000, 500).sum() == pytest.approx(1.0)


def test_weights_refuse_more_draws_than_trials():
    with pytest.raises(ValueError, match=r"between 1 and the number of trials \(4\), got 5"):
        best_weights(4, 5)


@pytest.mark.parametrize(("trials", "last"), [(3, 3), (10, 5), (50, 5), (200, 20)])
def test_expected_best_is_drawn_to_a_tenth_or_at_least_a_few(trials, last):
    assert search_budgets(trials)[-1] == last


def test_unsolved_trials_count_with_their_whole_budget():
    assert restricted_steps([100.0, np.nan, 900.0], [500, 500, 800]).tolist() == [100, 500, 800]


@pytest.mark.parametrize("weights", [mean_weights, decile_weights, expected_best_weights])
def test_weights_of_resamples_equal_the_statistic_of_the_repeated_trials(weights):
    rng = np.random.default_rng(5)
    validation, counts = rng.random(43), rng.multinomial(43, np.full(43, 1 / 43), size=4).astype(float)
    for row, found in zip(counts, weights(counts, validation), strict=True):
        repeated = np.repeat(np.arange(43), row.astype(int))
        expected = np.bincount(repeated, weights=weights(np.ones((1, 43)), validation[repeated])[0], minlength=43)
        assert found == pytest.approx(expected)
        assert found.sum() == pytest.approx(1)


def test_decile_and_expected_best_weights_equal_their_plain_definitions():
    rng = np.random.default_rng(6)
    score, validation = rng.random(37), rng.random(37)
    one = np.ones((1, 37))
    assert decile_weights(one, validation)[0] @ score == pytest.approx(score[best_decile(validation)].mean())
    assert expected_best_weights(one, validation)[0] @ score == pytest.approx(expected_best(score, validation, [20])[0])


def test_holm_equals_the_worked_example():
    assert holm([0.01, 0.04, 0.03, np.nan, 0.005]) == pytest.approx([0.03, 0.06, 0.06, np.nan, 0.02], nan_ok=True)


def test_label_swap_p_value_equals_the_full_enumeration():
    ours, theirs = np.array([1, 1, 1, 1, 0, 1.0]), np.array([0, 0, 1, 0, 0, 0.0])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = np.mean(np.abs(signs.T @ (ours - theirs)) >= np.abs((ours - theirs).sum()) - 1e-12)
    found = compare(mean_weights, [theirs, ours], np.zeros((2, 6)), span=1.0, swaps=20_000)
    assert found.p[0] == pytest.approx(exact, abs=0.01)


def test_interval_of_a_mean_difference_is_the_normal_one():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 400))
    found = compare(mean_weights, values, np.zeros((2, 400)), span=0.01, swaps=3999)
    half = 1.96 * np.std(values[1] - values[0]) / np.sqrt(400)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)


def test_intervals_widen_with_the_number_of_variants():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 100))
    one, eight = (compare(mean_weights, values[:k], np.zeros((k, 100)), span=0.01, swaps=999) for k in (2, 9))
    assert eight.high[0] - eight.low[0] > 1.2 * (one.high[0] - one.low[0])


def test_same_points_narrow_the_interval():
    rng = np.random.default_rng(2)
    luck = rng.normal(size=200)
    values = luck + 0.5 * rng.normal(size=(2, 200))
    shuffled = [values[0], rng.permutation(values[1])]
    paired, unpaired = (compare(mean_weights, v, np.zeros((2, 200)), span=0.01, swaps=999) for v in (values, shuffled))
    assert paired.high[0] - paired.low[0] < 0.6 * (unpaired.high[0] - unpaired.low[0])


def test_two_columns_of_zeros_are_not_called_equal_beyond_doubt():
    found = compare(mean_weights, np.zeros((2, 50)), np.zeros((2, 50)), span=1.0, swaps=99)
    assert found.low[0] < -0.01 < 0.01 < found.high[0]


def test_points_that_a_variant_lacks_are_left_out_of_its_comparison():
    values = np.array([[0.0, 0, 1, 1, 0], [1, np.nan, 1, np.nan, 1], [np.nan] * 5])
    found = compare(mean_weights, values, np.zeros((3, 5)), span=1.0, swaps=99)
    assert found.points.tolist() == [3, 0]
    assert found.difference[0] == pytest.approx(1 - 1 / 3)
    assert np.isnan(found.difference[1])


def test_comparison_is_the_same_every_time():
    values = np.random.default_rng(4).random((3, 30))
    first, second = (compare(decile_weights, values, values, span=1.0, swaps=99) for _ in range(2))
    assert first.low.tolist() == second.low.tolist()
    assert first.p.tolist() == second.p.tolist()


def test_greffs_test_equals_welchs_and_needs_two_losses():
    from scipy.stats import ttest_ind

    a, b = [0.1, 0.2, 0.15], [0.3, 0.35, 0.31, 0.5]
    assert greff_welch(a, [*b, np.nan]) == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert np.isnan(greff_welch(a, [0.3]))
    assert greff_welch([1.0, 1.0], [1.0, 1.0]) == 1.0


def test_interquartile_mean_is_the_mean_of_the_middle_half():
    assert interquartile_mean([0, 100, 4, 5, 6, 7, -50, 900]) == pytest.approx((4 + 5 + 6 + 7) / 4)


def test_performance_profile_counts_scores_that_reach_the_threshold():
    assert performance_profile([0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.51, 1.0]).tolist() == [1.0, 0.75, 0.25, 0.25]


def test_probability_of_improvement_counts_ties_half():
    assert probability_of_improvement([1.0, 2.0], [1.0, 0.0, 3.0]) == pytest.approx((0.5 + 1 + 0 + 1 + 1 + 0) / 6)


def test_bootstrap_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).normal(size=300)
    low, high = bootstrap_interval(np.mean, values)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(300), rel=0.1)


def test_memory_horizon_is_the_lag_solved_in_half_of_the_runs():
    log2, error = memory_horizon([16, 32, 64, 128], [10, 10, 5, 0], [10] * 4)
    assert log2 == pytest.approx(6.0)
    assert error == pytest.approx(np.sqrt(0.25 / 9))


def test_memory_horizon_recovers_a_logistic_threshold():
    lags = 2.0 ** np.arange(1, 13)
    shares = 1 / (1 + np.exp(2.5 * (np.log2(lags) - 6.3)))
    assert memory_horizon(lags, 1000 * shares, [1000] * 12)[0] == pytest.approx(6.3, abs=0.02)


def test_memory_horizon_refuses_lags_that_do_not_double():
    with pytest.raises(ValueError, match=r"must double from one to the next, got \[10.0, 30.0\]"):
        memory_horizon([10, 30], [1, 0], [1, 1])


def null_study(rng, variants, points, rate):
    """Losses [V, P] of equal variants that meet the same points, and what follows from them: solved, steps to solve,
    score.
    """

    def surface(count):
        u = rng.random((3, count))
        return 2.0 * (1 - 6 * (u[0] - 0.6) ** 2) + 0.8 * u[1] - 0.5 * u[2] + 0.5 * rng.normal(size=count)

    threshold = np.quantile(np.exp(-surface(4000) - 0.7 * rng.normal(size=4000)), rate)
    loss = np.exp(-surface(points) - 0.7 * rng.normal(size=(variants, points)))
    solved = loss < threshold
    steps = np.where(solved, 2000 * np.minimum(1, loss / threshold * rng.uniform(0.5, 1, size=loss.shape)), 2000)
    score = np.clip(np.log(4.5 / loss) / np.log(4.5 / threshold), 0, 1)
    return loss, {"solved": solved.astype(float), "steps_to_solve": steps, "score": score}


@pytest.mark.slow
@pytest.mark.parametrize("points", [10, 50, 200])
@pytest.mark.parametrize(("rate", "name"), [(0.02, "best_decile"), (0.3, "solve_rate"), (0.3, "expected_best_20"),
                                            (0.98, "restricted_steps")])  # fmt: skip
def test_equal_variants_are_told_apart_in_at_most_five_percent_of_studies(points, rate, name):
    studies, wrong, endpoint = 400, 0, ENDPOINTS[name]
    for k in range(studies):
        loss, columns = null_study(np.random.default_rng([k, points]), 5, points, rate)
        found = compare(endpoint.weights, columns[endpoint.column], loss, span=endpoint.span(2000), swaps=399, seed=k)
        wrong += bool((found.p <= 0.05).any())
    # two standard errors (2.2 points) are the luck of 400 studies
    assert wrong / studies <= 0.05 + 0.022, f"a true null is rejected in {wrong} of {studies} studies"


@pytest.mark.slow
def test_greffs_test_calls_equal_variants_different_in_a_fifth_of_the_cases():
    rng, rejected, studies = np.random.default_rng(0), 0, 1000
    for _ in range(studies):
        deciles = [np.sort(null_study(rng, 1, 200, 0.3)[0][0])[:20] for _ in range(2)]
        rejected += greff_welch(*deciles) < 0.05
    assert 0.12 <= rejected / studies <= 0.28, f"{rejected} of {studies}"


def sides(rng, variants, points, rate):
    """Values and losses [V, P] of equal variants in an endpoint, that endpoint and its span."""
    loss, columns = null_study(rng, variants, points, rate)
    endpoint = ENDPOINTS["solve_rate" if rate >= 0.05 else "best_decile"]
    return columns[endpoint.column], loss, endpoint, 2000.0 if endpoint.unit == "steps" else 1.0


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_equal_studies_are_told_apart_in_at_most_seven_percent_of_the_cases(rate):
    studies, found = 200, {"paired": 0, "unpaired": 0, "paired lead": 0, "unpaired lead": 0}
    for k in range(studies):
        values, loss, endpoint, span = sides(np.random.default_rng([k, 50]), 10, 50, rate)
        same, ours = (values[5:], loss[5:]), (values[:5], loss[:5])
        other = sides(np.random.default_rng([k, 51]), 5, 50, rate)[:2]
        options = {"span": span, "swaps": 399, "seed": k}
        with_baseline = [((x[1:], y[1:]), (x[[0] * 4], y[[0] * 4])) for x, y in (ours, same, other)]
        for name, theirs, lead, compare_them in (
            ("paired", same, with_baseline[1], compare_pairs),
            ("unpaired", other, with_baseline[2], compare_groups),
        ):
            result = compare_them(endpoint.weights, ours, theirs, **options)
            found[name] += bool(((result.low > 0) | (result.high < 0)).any())
            result = compare_advantages(endpoint.weights, with_baseline[0], lead, paired=name == "paired", **options)
            found[f"{name} lead"] += bool(((result.low > 0) | (result.high < 0)).any())
    # 7 % is the limit of the true rate; two standard errors (3.6 points) are the luck of 200 cases
    assert max(found.values()) / studies <= 0.07 + 0.036, f"of {studies}: {found}"


def test_groups_differ_by_their_means_and_permuting_them_is_exact():
    ours, theirs = np.array([[1, 1, 1, 0, 1.0]]), np.array([[0, 0, 1, 0, 0, 0.0]])
    both = np.concatenate([ours[0], theirs[0]])
    exact = [abs(both[list(c)].mean() - np.delete(both, c).mean()) for c in combinations(range(11), 5)]
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=1.0, swaps=20_000)
    assert found.difference[0] == pytest.approx(0.8 - 1 / 6)
    assert found.p[0] == pytest.approx(np.mean(np.array(exact) >= found.difference[0] - 1e-12), abs=0.01)
    assert found.points.tolist() == [5]


def test_interval_of_groups_is_the_normal_one():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(size=(1, 300)), 2 * rng.normal(size=(1, 500))
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=0.01, swaps=3999)
    half = 1.96 * np.sqrt(ours.var() / 300 + theirs.var() / 500)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)


def test_a_lead_is_known_better_where_luck_is_shared():
    rng = np.random.default_rng(4)
    luck = rng.normal(size=(1, 200))
    samples = [luck + 0.3 * rng.normal(size=(1, 200)) for _ in range(4)]
    pair = [((a, a), (b, b)) for a, b in (samples[:2], samples[2:])]
    found = compare_advantages(mean_weights, *pair, paired=True, span=0.01, swaps=3999)
    half = 1.96 * np.std(samples[0] - samples[1] - samples[2] + samples[3]) / np.sqrt(200)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)
    assert found.p[0] > 0.05


def test_improvement_interval_turns_with_the_sides_and_is_no_point_at_its_ends():
    low, high = improvement_interval([1, 2, 3, 5], [0, 2, 4, 6])
    assert improvement_interval([0, 2, 4, 6], [1, 2, 3, 5]) == pytest.approx((1 - high, 1 - low))
    above, below = improvement_interval([2] * 10, [1] * 10), improvement_interval([1] * 10, [2] * 10)
    assert above[1] == 1.0
    assert 0.7 < above[0] < 0.9
    assert below == pytest.approx((0.0, 1 - above[0]))


def test_improvement_interval_is_where_the_variance_of_hanley_and_mcneil_says():
    ours, theirs = [1, 2, 3, 5, 9], [0, 2, 4, 6]
    found = probability_of_improvement(ours, theirs)
    for p in improvement_interval(ours, theirs):
        q1, q2 = p / (2 - p), 2 * p * p / (1 + p)
        m = (len(ours) + len(theirs)) / 2  # Newcombe's method 5 takes the mean of the two sizes
        variance = (p * (1 - p) + (m - 1) * (q1 - p * p + q2 - p * p)) / (len(ours) * len(theirs))
        assert abs(found - p) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_improvement_interval_covers_the_truth(shift):
    from scipy.stats import norm

    rng, truth, runs = np.random.default_rng(0), norm.cdf(shift / np.sqrt(2)), 400
    intervals = (improvement_interval(rng.normal(shift, 1, 10), rng.normal(0, 1, 10)) for _ in range(runs))
    assert sum(low <= truth <= high for low, high in intervals) >= 0.93 * runs


def test_swap_p_of_improvement_counts_all_ways_of_swapping():
    assert swap_p_of_improvement([2, 3, 4, 5, 6], [1, 1, 1, 1, 1]) == pytest.approx(2 / 2**5)
    assert swap_p_of_improvement([1, 1, 1], [1, 1, 1]) == 1.0


def test_swap_p_of_improvement_rejects_a_true_null_rarely():
    rng, runs = np.random.default_rng(1), 300
    luck = rng.normal(size=(runs, 10))  # of the block, shared by both
    p = [swap_p_of_improvement(u + rng.normal(size=10), u + rng.normal(size=10)) for u in luck]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


# Exact half widths and p-values: every step by hand
# ----------------------------------------------------------------------------------------------------------------------


def half_widths(found):
    return ((found.high - found.low) / 2).tolist()


def columns(*rows):
    values = np.array(rows, dtype=float)
    return values, np.arange(values.size, dtype=float).reshape(values.shape)


def critical(quotients, least=1.959964):
    """The value that the largest quotients [V, B] of a swap, with the one that was seen, exceed in 5 % of all."""
    largest = np.sort(np.max(np.abs(quotients), axis=0))[::-1]
    return max(largest[int(0.05 * (len(largest) + 1)) - 1], least)


def test_half_widths_of_pairs_are_the_critical_value_times_the_standard_deviation_over_swaps():
    ours, theirs = np.random.default_rng(8).random((2, 2, 10))
    found = compare_pairs(mean_weights, (ours, ours), (theirs, theirs), span=1.0, swaps=199, seed=3)
    signs = np.where(np.random.default_rng(3).random((199, 10)) < 0.5, -1, 1)
    gaps = ours - theirs
    errors = [np.sqrt(np.sum(gap**2)) / 10 for gap in gaps]
    quotients = np.array([signs @ gap / 10 / error for gap, error in zip(gaps, errors, strict=True)])
    assert half_widths(found) == pytest.approx([critical(quotients) * error for error in errors], rel=1e-6)
    seen = [abs(gap.mean()) / error for gap, error in zip(gaps, errors, strict=True)]
    assert found.p.tolist() == [(1 + int((abs(quotients).max(axis=0) >= t).sum())) / 200 for t in seen]


def test_half_widths_of_a_decile_are_from_the_deciles_of_swapped_trials():
    rng = np.random.default_rng(9)
    score, order = rng.random((2, 20)), rng.random((2, 20))
    found = compare(decile_weights, score, order, span=1.0, swaps=99, seed=3)
    rng = np.random.default_rng(3)
    swapped = rng.random((99, 20)) < 0.5

    def decile(first):
        return np.mean([score[first[k], k] for k in np.argsort(order[first, np.arange(20)])[:2]])

    moved = np.array([decile(np.where(s, 0, 1)) - decile(np.where(s, 1, 0)) for s in swapped])
    spread = np.sqrt(np.mean(moved**2))
    counts = rng.multinomial(20, np.full(20, 0.05), size=500).astype(float)
    means = [decile_weights(counts, o) @ x for x, o in zip(score, order, strict=True)]
    least = np.std(means[1] - means[0], ddof=1) / np.sqrt(1 - 1 / 2)  # a decile of 20 rests on two trials
    assert half_widths(found) == pytest.approx([critical([moved / spread]) * max(spread, least)], rel=1e-6)


def test_an_interval_of_the_best_is_as_wide_as_a_bootstrap_says_where_the_sides_differ_much():
    """The best of any mixture are the baseline's, which are all alike; those of the variant vary."""
    rng = np.random.default_rng(1)
    score, order = np.array([np.ones(40), rng.random(40) / 2]), np.array([np.zeros(40), rng.random(40)])
    found = compare(decile_weights, score, order, span=1.0, swaps=199)
    best = score[1][np.argsort(order[1])[:4]]
    assert half_widths(found)[0] > 1.96 * best.std(ddof=1) / 2 * 0.8
    assert found.high[0] < 0


def test_half_width_of_groups_adds_the_variances_of_both_sides():
    ours, theirs = (np.random.default_rng(k).random(n) for k, n in ((8, 10), (9, 14)))
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=1.0, swaps=99, seed=6)
    keys, both = np.random.default_rng(6).random((99, 24)), np.concatenate([ours, theirs])

    def welch(a, b):
        return np.sqrt(a.var(ddof=1) / 10 + b.var(ddof=1) / 14)

    parts = [(both[np.argsort(key)[:10]], both[np.argsort(key)[10:]]) for key in keys]
    quotients = [(a.mean() - b.mean()) / welch(a, b) for a, b in parts]
    first, second = ours.var(ddof=1) / 10, theirs.var(ddof=1) / 14
    least = student.isf(0.025, (first + second) ** 2 / (first**2 / 9 + second**2 / 13))
    assert half_widths(found) == pytest.approx([critical([quotients], least) * welch(ours, theirs)], rel=1e-6)


def test_where_nothing_varies_a_difference_is_as_uncertain_as_one_point_makes_it():
    found = compare_pairs(mean_weights, columns([3.0] * 10), columns([3.0] * 10), span=4.0, swaps=99)
    assert half_widths(found) == pytest.approx([1.959964 * 4 / 10], rel=1e-6)


def test_the_range_that_was_seen_is_what_a_point_can_change():
    same = [100.0, 120.0] * 5
    found = compare_pairs(mean_weights, columns(same), columns(same), span=800.0, swaps=99)
    assert half_widths(found) == pytest.approx([1.959964 * 20 / 10], rel=1e-6)


def test_half_width_of_a_paired_advantage_is_that_of_the_difference_in_differences():
    values = np.random.default_rng(2).random((4, 1, 10))
    sides = [((a, a), (b, b)) for a, b in (values[:2], values[2:])]
    found = compare_advantages(mean_weights, *sides, paired=True, span=1.0, swaps=99, seed=4)
    gap = values[0] - values[1] - (values[2] - values[3])
    plain = compare_pairs(mean_weights, (gap, gap), (0 * gap, gap), span=1.0, swaps=99, seed=4)
    assert found.difference == pytest.approx([gap.mean()])
    assert half_widths(found) == pytest.approx(half_widths(plain))
    assert found.p == pytest.approx(plain.p)


def test_an_unpaired_advantage_is_the_difference_between_two_groups_of_differences():
    values = [np.random.default_rng(k).random((1, 10)) for k in range(4)]
    sides = [((a, a), (b, b)) for a, b in (values[:2], values[2:])]
    found = compare_advantages(mean_weights, *sides, paired=False, span=1.0, swaps=99, seed=18)
    gaps = values[0] - values[1], values[2] - values[3]
    plain = compare_groups(mean_weights, *((gap, gap) for gap in gaps), span=1.0, swaps=99, seed=18)
    assert half_widths(found) == pytest.approx(half_widths(plain))
    assert found.p == pytest.approx(plain.p)


def test_an_advantage_in_the_best_decile_swaps_variant_and_baseline_together():
    rng = np.random.default_rng(5)
    samples = [(rng.random((1, 10)), rng.random((1, 10))) for _ in range(4)]
    found = compare_advantages(
        decile_weights, (samples[0], samples[1]), (samples[2], samples[3]), paired=True, span=1.0, swaps=99, seed=7
    )
    rng = np.random.default_rng(7)
    swapped = rng.random((99, 10)) < 0.5

    def best(first, second, moved):
        score, order = (np.where(moved, b, a)[0] for a, b in zip(samples[first], samples[second], strict=True))
        return score[np.argmin(order)]

    moved = np.array([best(0, 2, s) - best(1, 3, s) - best(2, 0, s) + best(3, 1, s) for s in swapped])
    spread, signs = np.sqrt(np.mean(moved**2)), (1, -1, -1, 1)
    counts = rng.multinomial(10, np.full(10, 0.1), size=500).astype(float)
    drawn = sum(s * decile_weights(counts, o[0]) @ x[0] for s, (x, o) in zip(signs, samples, strict=True))
    least = np.std(drawn, ddof=1) / np.sqrt(1 - 1 / 1.5)  # the decile of ten is one trial, which counts as 1.5
    assert half_widths(found) == pytest.approx([critical([moved / spread]) * max(spread, least)], rel=1e-6)


@pytest.mark.parametrize("weights", [mean_weights, decile_weights])
@pytest.mark.parametrize("seed", range(12))
def test_p_is_at_most_five_percent_exactly_where_the_interval_excludes_zero(weights, seed):
    rng = np.random.default_rng(seed)
    values = (rng.random((8, 24)) < np.linspace(0.1, 0.9, 8)[:, None]).astype(float)
    found = compare(weights, values, rng.random((8, 24)) - values, span=1.0, swaps=199, seed=seed)
    apart = (found.low > 0) | (found.high < 0)
    assert (apart == (found.p <= 0.05)).all()
    assert apart.any() or weights is decile_weights


def test_one_point_that_differs_out_of_five_hundred_is_not_told_apart_by_its_ties():
    values = np.zeros((2, 500))
    values[1, :4] = 1.0
    found = compare(mean_weights, values, values, span=1.0, swaps=1999)
    assert found.low[0] < 0 < found.high[0]
    assert found.p[0] > 0.05


def test_nothing_is_told_apart_with_fewer_than_nineteen_swaps():
    values = np.array([[0.0] * 30, [1.0] * 30])
    for swaps, apart in ((18, False), (19, True)):
        found = compare(mean_weights, values, values, span=1.0, swaps=swaps)
        assert bool(found.low[0] > 0) is apart, swaps


@pytest.mark.parametrize("compare_them", [compare_pairs, compare_groups])
def test_nothing_is_compared_over_one_point(compare_them):
    one, two = ([0.5, np.nan, np.nan], [0.5, 0.25, np.nan])
    found = compare_them(mean_weights, columns(one, two), columns(one, two), span=1.0, swaps=19)
    assert found.points.tolist() == [1, 2]
    assert np.isnan([found.difference[0], found.low[0], found.high[0], found.p[0]]).all()
    assert np.isfinite([found.difference[1], found.low[1], found.high[1], found.p[1]]).all()


def test_nothing_is_compared_between_advantages_over_one_point():
    side = columns([0.5, np.nan, np.nan], [0.5, 0.25, np.nan])
    found = compare_advantages(mean_weights, (side, side), (side, side), paired=True, span=1.0, swaps=19)
    assert np.isnan(found.difference).tolist() == [True, False]


def test_an_advantage_counts_points_that_variant_and_baseline_both_have():
    variant, baseline = columns([1, 1, np.nan, 0, 1.0]), columns([0, 0, 0, np.nan, 0.0])
    nothing = columns([0.0] * 5)
    found = compare_advantages(mean_weights, (variant, baseline), (nothing, nothing), paired=True, span=1, swaps=19)
    assert found.points.tolist() == [3]
    assert found.difference.tolist() == [1.0]


def test_an_advantage_of_paired_studies_counts_points_that_both_studies_have():
    ours, theirs = columns([1, 1, 0, 0, np.nan]), columns([1, np.nan, 0, 0, 0.0])
    nothing = columns([0.0] * 5)
    found = compare_advantages(mean_weights, (ours, nothing), (theirs, nothing), paired=True, span=1, swaps=19)
    assert found.points.tolist() == [3]
    assert found.difference.tolist() == [0.0]  # over points 0, 2 and 3, where the studies agree


def test_bootstrap_interval_holds_the_middle_95_percent_of_the_resamples():
    rng = np.random.default_rng(1)
    first, second = np.array([0.0, 1, 4]), np.array([2.0, 3])
    means = []
    for _ in range(40):
        means.append(first[rng.integers(3, size=3)].mean() - second[rng.integers(2, size=2)].mean())
    found = bootstrap_interval(lambda a, b: a.mean() - b.mean(), first, second, resamples=40, seed=1)
    assert found == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_span_of_an_endpoint_is_the_budget_where_steps_are_counted():
    assert {e.name: e.span(300) for e in ENDPOINTS.values()} == {
        "solve_rate": 1.0,
        "restricted_steps": 300.0,
        "best_decile": 1.0,
        "expected_best_20": 1.0,
        "mean_loss": 1.0,
        "best_decile_loss": 1.0,
        "expected_best_20_loss": 1.0,
    }


def test_statistic_of_an_endpoint_leaves_missing_trials_out():
    assert ENDPOINTS["solve_rate"].statistic([1, np.nan, 0, 1], [0, 0, 0, 0.0]) == pytest.approx(2 / 3)
    assert ENDPOINTS["best_decile"].statistic([0.5, np.nan, 0.25], [2.0, 0.0, 1.0]) == 0.25


@pytest.mark.parametrize(("name", "lower"), [("solve_rate", False), ("restricted_steps", True), ("best_decile", False)])
def test_fewer_steps_are_better_and_higher_scores_are(name, lower):
    assert ENDPOINTS[name].lower_is_better is lower


def test_greffs_test_of_constant_losses_that_differ_is_sure():
    assert greff_welch([1.0, 1.0], [2.0, 2.0]) == 0.0


def test_horizon_of_two_runs_has_the_error_of_a_binomial_share():
    assert memory_horizon([16, 32], [2, 1], [2, 2]) == (pytest.approx(5.0), pytest.approx(0.5))


def test_horizon_of_single_runs_has_no_error():
    assert memory_horizon([16, 32], [1, 0], [1, 1]) == (4.5, 0.0)


def test_swaps_of_many_pairs_are_random_and_count_the_labels_as_they_were():
    wins = swap_p_of_improvement(np.arange(2, 15), np.ones(13))
    assert 1 / 4096 <= wins < 5 / 4096
    assert swap_p_of_improvement([2] * 12, [1] * 12) == 2 / 2**12


def test_search_budgets_of_two_trials_are_both():
    assert search_budgets(2).tolist() == [1, 2]


def test_welchs_test_takes_losses_that_are_equal_but_for_their_last_bits():
    near, others = 5.5 + np.array([0.0, 1e-15, 2e-15]), np.array([5.0, 5.1, 5.2])
    assert greff_welch(near, others) < 0.05
    low, high = halves.welch(near, others)
    assert low < 0.4 < high < 0.75
