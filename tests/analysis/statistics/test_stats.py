from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis.statistics.best import best_decile, best_weights, expected_best, greff_welch, ranking, search_budgets
from analysis.statistics.endpoints import (
    ENDPOINTS,
    decile_weights,
    expected_best_weights,
    mean_weights,
    primary_endpoint,
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


def test_wilson_interval_equals_the_published_formula():
    p, n, z = 7 / 23, 23, 1.959963984540054
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    assert wilson(7, 23) == pytest.approx(expected)


def test_wilson_interval_without_trials_excludes_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_ranking_puts_trials_without_a_loss_last():
    assert ranking([0.3, np.nan, 0.1, np.inf, 0.2]).tolist() == [2, 4, 0, 1, 3]


@pytest.mark.parametrize(("trials", "size"), [(1, 1), (9, 1), (10, 1), (11, 2), (30, 3), (200, 20)])
def test_best_decile_is_a_tenth_rounded_up(trials, size):
    assert len(best_decile(np.arange(trials))) == size


def test_best_decile_is_chosen_by_validation():
    validation = np.arange(30)[::-1]
    assert best_decile(validation).tolist() == [29, 28, 27]


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


@pytest.mark.parametrize(
    ("solved", "name"),
    [(4, "best_decile"), (5, "solve_rate"), (95, "solve_rate"), (96, "restricted_steps"), (0, "best_decile")],
)
def test_primary_endpoint_follows_the_pooled_solve_rate(solved, name):
    assert primary_endpoint(solved, 100) == name


def test_holm_equals_the_worked_example():
    assert holm([0.01, 0.04, 0.03, np.nan, 0.005]) == pytest.approx([0.03, 0.06, 0.06, np.nan, 0.02], nan_ok=True)


def test_label_swap_p_value_equals_the_full_enumeration():
    ours, theirs = np.array([1, 1, 1, 1, 0, 1.0]), np.array([0, 0, 1, 0, 0, 0.0])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = np.mean(np.abs(signs.T @ (ours - theirs)) >= np.abs((ours - theirs).sum()) - 1e-12)
    found = compare(mean_weights, [theirs, ours], np.zeros((2, 6)), span=1.0, swaps=20_000, resamples=10)
    assert found.p[0] == pytest.approx(exact, abs=0.01)


def test_interval_of_a_mean_difference_is_the_normal_one():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 400))
    found = compare(mean_weights, values, np.zeros((2, 400)), span=0.01, resamples=4000, swaps=9)
    half = 1.96 * np.std(values[1] - values[0]) / np.sqrt(400)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)


def test_intervals_widen_with_the_number_of_variants():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 100))
    one, eight = (compare(mean_weights, values[:k], np.zeros((k, 100)), span=0.01, swaps=9) for k in (2, 9))
    assert eight.high[0] - eight.low[0] > 1.2 * (one.high[0] - one.low[0])


def test_same_points_narrow_the_interval():
    rng = np.random.default_rng(2)
    luck = rng.normal(size=200)
    values = luck + 0.5 * rng.normal(size=(2, 200))
    shuffled = [values[0], rng.permutation(values[1])]
    paired, unpaired = (compare(mean_weights, v, np.zeros((2, 200)), span=0.01, swaps=9) for v in (values, shuffled))
    assert paired.high[0] - paired.low[0] < 0.6 * (unpaired.high[0] - unpaired.low[0])


def test_two_columns_of_zeros_are_not_called_equal_beyond_doubt():
    found = compare(mean_weights, np.zeros((2, 50)), np.zeros((2, 50)), span=1.0, swaps=9)
    assert found.low[0] < -0.01 < 0.01 < found.high[0]


def test_points_that_a_variant_lacks_are_left_out_of_its_comparison():
    values = np.array([[0.0, 0, 1, 1, 0], [1, np.nan, 1, np.nan, 1], [np.nan] * 5])
    found = compare(mean_weights, values, np.zeros((3, 5)), span=1.0, swaps=99)
    assert found.points.tolist() == [3, 0]
    assert found.difference[0] == pytest.approx(1 - 1 / 3)
    assert np.isnan(found.difference[1])


def test_comparison_is_the_same_every_time():
    values = np.random.default_rng(4).random((3, 30))
    first, second = (compare(decile_weights, values, values, span=1.0, swaps=99, resamples=99) for _ in range(2))
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
@pytest.mark.parametrize("points", [50, 200])
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.98])
def test_equal_variants_are_told_apart_in_at_most_seven_percent_of_studies(points, rate):
    studies, by_interval, by_p = 500, 0, 0
    for k in range(studies):
        loss, columns = null_study(np.random.default_rng([k, points]), 5, points, rate)
        endpoint = ENDPOINTS[primary_endpoint(int(columns["solved"].sum()), loss.size)]
        span = 2000.0 if endpoint.unit == "steps" else 1.0
        found = compare(endpoint.weights, columns[endpoint.column], loss, span=span, resamples=400, swaps=399, seed=k)
        by_interval += bool(((found.low > 0) | (found.high < 0)).any())
        by_p += bool((found.p_holm <= 0.05).any())
    # 7 % is the limit of the true rate; two standard errors (2.3 points) are the luck of 500 studies
    assert by_interval / studies <= 0.07 + 0.023, f"intervals exclude a true zero in {by_interval} of {studies} studies"
    assert by_p / studies <= 0.07 + 0.023, f"p-values reject a true null in {by_p} of {studies} studies"


@pytest.mark.slow
def test_greffs_test_calls_equal_variants_different_in_a_fifth_of_the_cases():
    rng, rejected, studies = np.random.default_rng(0), 0, 1000
    for _ in range(studies):
        deciles = [np.sort(null_study(rng, 1, 200, 0.3)[0][0])[:20] for _ in range(2)]
        rejected += greff_welch(*deciles) < 0.05
    assert 0.12 <= rejected / studies <= 0.28, f"{rejected} of {studies}"


def sides(rng, variants, points, rate):
    """Values and losses [V, P] of equal variants in the endpoint that their solve rate chooses, and that endpoint with
    its span.
    """
    loss, columns = null_study(rng, variants, points, rate)
    endpoint = ENDPOINTS[primary_endpoint(int(columns["solved"].sum()), loss.size)]
    return columns[endpoint.column], loss, endpoint, 2000.0 if endpoint.unit == "steps" else 1.0


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_equal_studies_are_told_apart_in_at_most_seven_percent_of_the_cases(rate):
    studies, found = 200, {"paired": 0, "unpaired": 0, "paired lead": 0, "unpaired lead": 0}
    for k in range(studies):
        values, loss, endpoint, span = sides(np.random.default_rng([k, 50]), 10, 50, rate)
        same, ours = (values[5:], loss[5:]), (values[:5], loss[:5])
        other = sides(np.random.default_rng([k, 51]), 5, 50, rate)[:2]
        options = {"span": span, "resamples": 400, "seed": k}
        with_baseline = [((x[1:], y[1:]), (x[[0] * 4], y[[0] * 4])) for x, y in (ours, same, other)]
        for name, theirs, lead, compare_them in (
            ("paired", same, with_baseline[1], compare_pairs),
            ("unpaired", other, with_baseline[2], compare_groups),
        ):
            result = compare_them(endpoint.weights, ours, theirs, swaps=399, **options)
            found[name] += bool((((result.low > 0) | (result.high < 0)) & (result.p_holm <= 0.05)).any())
            result = compare_advantages(endpoint.weights, with_baseline[0], lead, paired=name == "paired", **options)
            found[f"{name} lead"] += bool(((result.low > 0) | (result.high < 0)).any())
    # 7 % is the limit of the true rate; two standard errors (3.6 points) are the luck of 200 cases
    assert max(found.values()) / studies <= 0.07 + 0.036, f"of {studies}: {found}"


def test_groups_differ_by_their_means_and_permuting_them_is_exact():
    ours, theirs = np.array([[1, 1, 1, 0, 1.0]]), np.array([[0, 0, 1, 0, 0, 0.0]])
    both = np.concatenate([ours[0], theirs[0]])
    exact = [abs(both[list(c)].mean() - np.delete(both, c).mean()) for c in combinations(range(11), 5)]
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=1.0, swaps=20_000, resamples=50)
    assert found.difference[0] == pytest.approx(0.8 - 1 / 6)
    assert found.p[0] == pytest.approx(np.mean(np.array(exact) >= found.difference[0] - 1e-12), abs=0.01)
    assert found.points.tolist() == [5]


def test_interval_of_groups_is_the_normal_one():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(size=(1, 300)), 2 * rng.normal(size=(1, 500))
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=0.01, resamples=4000, swaps=9)
    half = 1.96 * np.sqrt(ours.var() / 300 + theirs.var() / 500)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)


def test_a_lead_is_known_better_where_luck_is_shared():
    rng = np.random.default_rng(4)
    luck = rng.normal(size=(1, 200))
    samples = [luck + 0.3 * rng.normal(size=(1, 200)) for _ in range(4)]
    pair = [((a, a), (b, b)) for a, b in (samples[:2], samples[2:])]
    found = compare_advantages(mean_weights, *pair, paired=True, span=0.01, resamples=4000)
    half = 1.96 * np.std(samples[0] - samples[1] - samples[2] + samples[3]) / np.sqrt(200)
    assert (found.high[0] - found.low[0]) / 2 == pytest.approx(half, rel=0.06)
    assert np.isnan(found.p[0])


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


# Exact half widths: each correction by hand
# ----------------------------------------------------------------------------------------------------------------------


def half_widths(found):
    return ((found.high - found.low) / 2).tolist()


def columns(*rows):
    values = np.array(rows, dtype=float)
    return values, np.arange(values.size, dtype=float).reshape(values.shape)


def standard_error(resampled, trials):
    """Of a statistic that rests on so many trials: the bootstrap divides by k where k - 1 is right."""
    return resampled.std(ddof=1) / np.sqrt(1 - 1 / trials)


def simultaneous(deviations, errors, freedom):
    """Half widths from studentised deviations [V, B]: the 95 % quantile of the largest, carried over to Student's t."""
    from scipy.stats import norm, t

    largest = np.sort(np.max(deviations, axis=0))
    quantile = largest[int(np.ceil(0.95 * (len(largest) - 1)))]
    return [error * t.isf(norm.sf(max(quantile, norm.isf(0.025))), k) for error, k in zip(errors, freedom, strict=True)]


def test_ten_pairs_that_differ_by_the_same_have_the_half_width_of_students_t_with_18_degrees_of_freedom():
    found = compare_pairs(mean_weights, columns([0.5] * 10), columns([0.25] * 10), span=1.0, resamples=50, swaps=9)
    assert found.difference == pytest.approx([0.25])
    assert half_widths(found) == pytest.approx([2.100922 * 1 / 10], rel=1e-6)  # t, at .975 with 18; one point in ten


@pytest.mark.parametrize(
    ("points", "quantile"),
    [
        (10, 12.706205),  # the best decile is one trial; it counts as 1.5, so there is 1 degree of freedom
        (20, 4.302653),  # two trials, 2 degrees of freedom
        (40, 2.446912),  # four trials, 6 degrees of freedom
    ],
)
def test_degrees_of_freedom_are_those_of_the_trials_on_which_the_best_decile_rests(points, quantile):
    same = columns([0.5] * points)
    found = compare_pairs(decile_weights, same, same, span=3.0, resamples=50, swaps=9)
    assert half_widths(found) == pytest.approx([quantile * 3 / points], rel=1e-6)


def test_half_widths_of_ten_pairs_are_those_of_their_resamples_corrected_by_a_tenth():
    ours, theirs = np.random.default_rng(8).random((2, 2, 10))
    found = compare_pairs(mean_weights, (ours, ours), (theirs, theirs), span=0.01, resamples=50, swaps=9, seed=3)
    counts = np.random.default_rng(3).multinomial(10, [0.1] * 10, size=50)
    gaps = ours - theirs
    means = [counts @ gap / 10 for gap in gaps]
    errors = [standard_error(mean, 10) for mean in means]
    deviations = [abs(m - gap.mean()) / error for m, gap, error in zip(means, gaps, errors, strict=True)]
    assert half_widths(found) == pytest.approx(simultaneous(deviations, errors, [18, 18]), rel=1e-9)


def test_half_width_of_groups_adds_the_variances_of_both_sides():
    ours, theirs = (np.random.default_rng(k).random((1, n)) for k, n in ((8, 10), (9, 14)))
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=0.01, resamples=50, swaps=9, seed=6)
    rng = np.random.default_rng(6)
    means = [rng.multinomial(n, [1 / n] * n, size=50) @ x[0] / n for x, n in ((ours, 10), (theirs, 14))]
    first, second = standard_error(means[0], 10) ** 2, standard_error(means[1], 14) ** 2
    error = np.sqrt(first + second)
    freedom = (first + second) ** 2 / (first**2 / 9 + second**2 / 13)  # Welch
    deviation = abs(means[0] - means[1] - (ours.mean() - theirs.mean())) / error
    assert half_widths(found) == pytest.approx(simultaneous([deviation], [error], [freedom]), rel=1e-9)


@pytest.mark.parametrize(
    ("sizes", "half"),
    [
        ((10, 10), 2.100922 * 0.1),  # as for pairs: 1/10 of the span, 18 degrees of freedom
        ((10, 20), 2.149834 * 0.0790569),  # (1/200 + 1/800)^½, 13.66 degrees of freedom
    ],
)
def test_two_groups_of_zeros_differ_by_at_least_what_a_point_could_change(sizes, half):
    ours, theirs = (columns([0.0] * n) for n in sizes)
    found = compare_groups(mean_weights, ours, theirs, span=1.0, resamples=50, swaps=9)
    assert half_widths(found) == pytest.approx([half], rel=1e-4)
    assert found.points.tolist() == [10]


def test_half_width_of_an_advantage_is_that_of_the_four_together():
    values = np.random.default_rng(2).random((4, 1, 10))
    sides = [((a, a), (b, b)) for a, b in (values[:2], values[2:])]
    found = compare_advantages(mean_weights, *sides, paired=True, span=0.01, resamples=50, seed=4)
    counts = np.random.default_rng(4).multinomial(10, [0.1] * 10, size=50)
    gap = values[0, 0] - values[1, 0] - (values[2, 0] - values[3, 0])
    means = counts @ gap / 10
    error = standard_error(means, 10)
    assert found.difference == pytest.approx([gap.mean()])
    assert half_widths(found) == pytest.approx(simultaneous([abs(means - gap.mean()) / error], [error], [18]), rel=1e-9)


@pytest.mark.parametrize("sizes", [(10, 40), (40, 10)])
def test_the_side_with_the_fewest_trials_decides_the_degrees_of_freedom_of_an_advantage(sizes):
    sides = [(columns([0.5] * n), columns([0.5] * n)) for n in sizes]
    found = compare_advantages(decile_weights, *sides, paired=False, span=1.0, resamples=50)
    assert half_widths(found) == pytest.approx([12.706205 / 10], rel=1e-6)
    assert found.points.tolist() == [10]


def test_unpaired_sides_of_an_advantage_are_resampled_independently():
    values = [np.random.default_rng(k).random((1, 10)) for k in range(4)]
    sides = [((a, a), (b, b)) for a, b in (values[:2], values[2:])]
    found = compare_advantages(mean_weights, *sides, paired=False, span=0.01, resamples=50, seed=18)
    rng = np.random.default_rng(18)
    gaps = [(values[0] - values[1])[0], (values[2] - values[3])[0]]
    means = [rng.multinomial(10, [0.1] * 10, size=50) @ gap / 10 for gap in gaps]
    difference, resampled = gaps[0].mean() - gaps[1].mean(), means[0] - means[1]
    error = standard_error(resampled, 10)
    deviation = abs(resampled - difference) / error
    assert half_widths(found) == pytest.approx(simultaneous([deviation], [error], [18]), rel=1e-9)


@pytest.mark.parametrize("compare_them", [compare_pairs, compare_groups])
def test_nothing_is_compared_over_one_point(compare_them):
    one, two = ([0.5, np.nan, np.nan], [0.5, 0.25, np.nan])
    found = compare_them(mean_weights, columns(one, two), columns(one, two), span=1.0, resamples=20, swaps=9)
    assert found.points.tolist() == [1, 2]
    assert np.isnan([found.difference[0], found.low[0], found.high[0], found.p[0], found.p_holm[0]]).all()
    assert np.isfinite([found.difference[1], found.low[1], found.high[1], found.p[1], found.p_holm[1]]).all()


def test_nothing_is_compared_between_advantages_over_one_point():
    side = columns([0.5, np.nan, np.nan], [0.5, 0.25, np.nan])
    found = compare_advantages(mean_weights, (side, side), (side, side), paired=True, span=1.0, resamples=20)
    assert np.isnan(found.difference).tolist() == [True, False]


def test_an_advantage_counts_points_that_variant_and_baseline_both_have():
    variant, baseline = columns([1, 1, np.nan, 0, 1.0]), columns([0, 0, 0, np.nan, 0.0])
    nothing = columns([0.0] * 5)
    found = compare_advantages(mean_weights, (variant, baseline), (nothing, nothing), paired=True, span=1, resamples=9)
    assert found.points.tolist() == [3]
    assert found.difference.tolist() == [1.0]


def test_an_advantage_of_paired_studies_counts_points_that_both_studies_have():
    ours, theirs = columns([1, 1, 0, 0, np.nan]), columns([1, np.nan, 0, 0, 0.0])
    nothing = columns([0.0] * 5)
    found = compare_advantages(mean_weights, (ours, nothing), (theirs, nothing), paired=True, span=1, resamples=9)
    assert found.points.tolist() == [3]
    assert found.difference.tolist() == [0.0]  # over points 0, 2 and 3, where the studies agree


def test_p_values_count_the_swaps_of_pairs_and_the_labels_as_they_were():
    ours, theirs = np.array([1, 1, 1, 0, 1.0]), np.array([0, 0, 1, 0, 0.0])
    found = compare_pairs(mean_weights, (ours, ours), (theirs, theirs), span=1.0, resamples=7, swaps=30, seed=5)
    rng = np.random.default_rng(5)
    rng.multinomial(5, [0.2] * 5, size=7)
    signs = np.where(rng.random((30, 5)) < 0.5, -1, 1)
    as_large = int((abs(signs @ (ours - theirs)) >= 3).sum())
    assert found.p.tolist() == [(1 + as_large) / 31]


def test_p_values_of_groups_count_the_assignments_of_labels():
    ours, theirs = np.array([1, 1, 1, 0.0]), np.array([0, 0, 1, 0, 0.0])
    found = compare_groups(mean_weights, (ours, ours), (theirs, theirs), span=1.0, resamples=7, swaps=30, seed=5)
    rng = np.random.default_rng(5)
    for n in (4, 5):
        rng.multinomial(n, [1 / n] * n, size=7)
    labels = rng.permuted(np.tile([1] * 4 + [0] * 5, (30, 1)).astype(float), axis=1)
    both = np.concatenate([ours, theirs])
    differences = labels @ both / 4 - (1 - labels) @ both / 5
    assert found.p.tolist() == [(1 + int((abs(differences) >= 0.75 - 0.2 - 1e-9).sum())) / 31]


def test_p_holm_is_adjusted_over_all_differences():
    values = np.array([[1.0] * 6, [1.0] * 5 + [0.0], [0.0] * 6])
    found = compare(mean_weights, np.vstack([[0.0] * 6, values]), np.zeros((4, 6)), span=1.0, swaps=200, resamples=9)
    assert found.p_holm.tolist() == holm(found.p).tolist()
    assert found.p[2] == 1.0


def test_an_interval_is_never_narrower_than_that_of_one_normal_deviate():
    found = compare(mean_weights, np.zeros((2, 10_000)), np.zeros((2, 10_000)), span=100.0, swaps=9, resamples=9)
    assert half_widths(found) == pytest.approx([1.96 * 0.01], rel=1e-3)


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
    }


def test_statistic_of_an_endpoint_leaves_missing_trials_out():
    assert ENDPOINTS["solve_rate"].statistic([1, np.nan, 0, 1], [0, 0, 0, 0.0]) == pytest.approx(2 / 3)
    assert ENDPOINTS["best_decile"].statistic([0.5, np.nan, 0.25], [2.0, 0.0, 1.0]) == 0.25


@pytest.mark.parametrize(("name", "lower"), [("solve_rate", False), ("restricted_steps", True), ("best_decile", False)])
def test_fewer_steps_are_better_and_higher_scores_are(name, lower):
    assert ENDPOINTS[name].lower_is_better is lower


def test_primary_endpoint_without_trials_is_that_of_unsolved_tasks():
    assert primary_endpoint(0, 0) == "best_decile"


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
