"""The numbers of every figure, compared with values computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.figures import (
    boxes,
    choice,
    confirmation_scores,
    confirmed_profiles,
    expected_best_trials,
    forest,
    heat_map,
    hyperparameters,
    importance,
    learning_curves,
    marginals,
    memory_horizon,
    pairs,
    performance_profiles,
    shares,
    solve_curves,
    two_studies,
    winners_curse,
)
from analysis.tables.importance import with_score
from analysis.tables.two_studies import ADVANTAGE, CHANGE
from tests.analysis.synthetic import by_hand

NAN = float("nan")
CURVE = {"curve_steps": [0, 10, 20, 40], "curve_losses": [1.0, 1.0, 1.0, 1.0], "train_losses": []}
WILSON_5_OF_10 = (0.236593, 0.763407)  # (p + z²/2n ± z (p (1 - p)/n + z²/4n²)^½) / (1 + z²/n)


def solved(step, **more):
    return {**CURVE, "status": "solved", "solved_step": float(step), **more}


def unsolved(status="finished", **more):
    return {**CURVE, "status": status, **more}


def of(frame, **where):
    return frame[np.logical_and.reduce([frame[name] == value for name, value in where.items()])]


# Curves
# ----------------------------------------------------------------------------------------------------------------------


def test_solve_curve_counts_trials_up_to_a_step_and_diverged_ones_below_the_line():
    curves = solve_curves.numbers(by_hand(solved(10), solved(20), solved(20), unsolved(), unsolved("diverged")))
    assert curves.data["x"].tolist() == [10, 20, 40]
    assert curves.data["y"].tolist() == pytest.approx([20, 60, 60])
    assert curves.data[["low", "high"]].isna().all(axis=None), "five trials are too few for a band"


def test_solve_curve_begins_shortly_before_the_first_trial_solves():
    late = {"curve_steps": [0, 10, 900, 950, 1000], "curve_losses": [1.0] * 5}
    data = solve_curves.numbers(by_hand({**solved(950), **late}, {**unsolved(), **late})).data
    assert data["x"].tolist() == [900, 950, 1000], "8 % of the steps before the first solved trial"


def test_tasks_that_no_trial_solved_have_no_solve_curve():
    curves = solve_curves.numbers(by_hand(solved(10), {"task": "copying", **unsolved()}))
    assert curves.tasks == ["adding"]


def test_solve_curve_of_ten_trials_has_a_wilson_band_where_any_is_solved():
    data = solve_curves.numbers(by_hand(*[solved(20)] * 5, *[unsolved()] * 5)).data.set_index("x")
    assert data.loc[20, ["y", "low", "high"]].tolist() == pytest.approx(
        [50, *(100 * end for end in WILSON_5_OF_10)], abs=1e-4
    )


def test_failed_trials_are_in_no_curve():
    study = by_hand(solved(10, score=1.0), {**CURVE, "status": "failed", "score": 0.0, "seconds": 99.0})
    assert solve_curves.numbers(study).data["y"].tolist() == [100.0, 100.0, 100.0]


def test_performance_profile_is_the_share_of_trials_at_or_above_each_threshold():
    curves = performance_profiles.numbers(by_hand(*({"score": s} for s in (0.0, 0.5, 0.5, 1.0))))
    at = curves.data.set_index(curves.data["x"].round(2))["y"]
    assert at[[0.0, 0.02, 0.5, 0.52, 1.0]].tolist() == [100, 75, 75, 25, 25]
    assert len(curves.data) == 51
    assert curves.data["low"].isna().all()


def test_performance_profile_of_ten_trials_has_a_wilson_band():
    data = performance_profiles.numbers(by_hand(*({"score": float(k % 2)} for k in range(10)))).data
    assert data.loc[25, ["x", "y", "low", "high"]].tolist() == pytest.approx(
        [0.5, 50, *(100 * end for end in WILSON_5_OF_10)], abs=1e-4
    )


def test_confirmed_profile_is_of_the_trials_in_its_table():
    study = by_hand({"score": 0.1})
    data = confirmed_profiles.numbers(study, study.table.assign(score=0.9)).data
    assert data.loc[data["x"].between(0.5, 0.89), "y"].unique().tolist() == [100.0]


@pytest.fixture(scope="module")
def three():
    """Three trials; the order by validation loss is second, third, first."""
    columns = ((3.0, 0.3, 2.0), (1.0, 0.9, 4.0), (2.0, 0.5, 9.0))
    return by_hand(*({"validation_loss": loss, "score": s, "seconds": time} for loss, s, time in columns))


def test_expected_best_is_the_mean_over_all_subsets(three):
    data = expected_best_trials.numbers(three).data
    assert data["x"].tolist() == data["n"].tolist() == [1, 2, 3]
    assert data["y"].tolist() == pytest.approx([(0.3 + 0.9 + 0.5) / 3, (0.9 + 0.9 + 0.5) / 3, 0.9])
    assert data["low"].isna().all()


def test_band_of_the_expected_best_covers_95_percent_of_resamples_of_the_trials():
    scores = np.arange(10) / 10
    study = by_hand(*({"validation_loss": 10.0 - k, "score": float(s)} for k, s in enumerate(scores)))
    data = expected_best_trials.numbers(study).data
    drawn = np.random.default_rng(0).integers(10, size=(400, 10))
    means = scores[::-1][drawn].mean(axis=1)  # of one trial the expected best is the mean
    assert data.loc[0, ["low", "high"]].tolist() == pytest.approx(np.quantile(means, (0.025, 0.975)).tolist())


def evaluated(loss, **more):
    return {**CURVE, "curve_losses": [9.0, loss, loss, loss], "validation_loss": loss, **more}


def test_learning_curves_are_quartiles_of_all_trials_and_of_the_best_decile():
    study = by_hand(*(evaluated(float(k), floor=2.0, solved_loss=0.5) for k in (1, 2, 3, 4, 5)))
    curves = learning_curves.numbers(study)
    every = of(curves.data, subset="all trials")
    assert every["x"].tolist() == [10, 20, 40], "the evaluation before the first step has no place on a log axis"
    assert every[["low", "y", "high"]].to_numpy().tolist() == [[2.0, 3.0, 4.0]] * 3
    best = of(curves.data, subset="best decile")
    assert best["y"].tolist() == [1.0, 1.0, 1.0]
    assert best["low"].isna().all()
    assert curves.limits["adding"] == pytest.approx((0.75 * 0.5, 1.2 * 3.0))
    assert curves.levels["adding"] == [(2.0, "floor"), (0.5, "score 1")]


@pytest.mark.parametrize(
    ("losses", "limits"),
    [
        ([0.001], (0.5 / 100, 1.6 * 2.0)),  # far below the solved loss: not below a hundredth of it
        ([100.0], (0.75 * 0.5, 4 * 2.0)),  # far above the floor: not above four times it
        ([1.0], (0.75 * 0.5, 1.6 * 2.0)),  # below the floor: some room above it
    ],
)
def test_learning_curves_stay_near_the_floor_and_the_solved_loss(losses, limits):
    curves = learning_curves.numbers(by_hand(*(evaluated(x, floor=2.0, solved_loss=0.5) for x in losses)))
    assert curves.limits["adding"] == pytest.approx(limits)


def test_a_stopped_trial_keeps_its_last_loss_and_a_diverged_one_is_infinite():
    stopped = solved(20, curve_steps=[0, 10, 20], curve_losses=[1.0, 0.5, 0.1])
    diverged = unsolved("diverged", curve_steps=[0, 10], curve_losses=[1.0, 0.7])
    losses = learning_curves.settled(by_hand(stopped, diverged).table, np.array([0, 10, 20, 40]))
    assert losses.tolist() == [[1.0, 0.5, 0.1, 0.1], [1.0, 0.7, np.inf, np.inf]]


# Trials
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def five_losses():
    losses = (4.0, 1.0, 8.0, 2.0)
    trials = [{"test_loss": x, "validation_loss": x, "parameters": int(100 * x)} for x in losses]
    other = {"variant": "gru", "test_loss": 2.0, "parameters": 400}
    lost = {"test_loss": None, "validation_loss": None, "status": "diverged"}
    return boxes.numbers(by_hand(*trials, lost, other, floor=3.0, solved_loss=0.5))


def test_boxes_are_order_statistics_and_a_missing_loss_is_the_largest(five_losses):
    box = of(five_losses.boxes, variant="vanilla", subset="all trials").iloc[0]
    edge = 8.0**1.09  # a bit right of the largest loss
    assert box[["whislo", "q1", "med", "q3", "whishi"]].tolist() == pytest.approx([1.0, 2.0, 4.0, 8.0, edge])
    assert box["mean"] == pytest.approx((4.0 * 1.0 * 8.0 * 2.0 * edge) ** 0.2), "the geometric mean"


def test_dots_stand_at_their_losses_in_the_order_of_the_table(five_losses):
    chosen = (five_losses.data["subset"] == "all trials") & (five_losses.data["variant"] == "vanilla")
    assert five_losses.x[chosen].tolist() == pytest.approx([4.0, 1.0, 8.0, 2.0, 8.0**1.09])
    assert five_losses.data.loc[chosen, "test_loss"].isna().tolist() == [False, False, False, False, True]


def test_best_decile_has_its_own_scale_and_no_box_of_few_trials(five_losses):
    best = of(five_losses.data, subset="best decile", variant="vanilla")
    assert best["test_loss"].tolist() == [1.0]
    assert np.isnan(of(five_losses.boxes, variant="vanilla", subset="best decile")["med"].iloc[0])
    scale = five_losses.scales["adding", "best decile"]
    assert (scale.low, scale.high, scale.lost) == (1.0, 2.0, False)
    assert scale.last_tick == np.inf


def test_levels_of_the_boxes_are_floor_and_solved_loss():
    study = by_hand({"floor": 3.0, "solved_loss": 0.5}, {"task": "copying", "floor": 2.0, "solved_loss": 0.1})
    values = {task: tuple(line.value for line in lines) for task, lines in boxes.numbers(study).levels.items()}
    assert values == {"adding": (3.0, 0.5), "copying": (2.0, 0.1)}


def test_heat_map_has_counts_solve_rate_and_steps_to_solve():
    trials = solved(500, score=0.9, validation_loss=0.1), unsolved("diverged", score=0.0, validation_loss=None)
    row = heat_map.numbers(by_hand(*trials, unsolved(score=0.3, validation_loss=0.2), {"status": "failed"})).data.iloc[
        0
    ]
    assert row[["trials", "solved", "diverged", "failed"]].tolist() == [3, 1, 1, 1]
    assert row[["solve_rate", "restricted_steps"]].tolist() == pytest.approx([1 / 3, (500 + 2000 + 2000) / 3])


@pytest.mark.parametrize(
    ("tasks", "most", "parts"),
    [
        ("a1 a2 b1 b2 c1 c2", 5, [4, 2]),
        ("a1 a2 a3 a4 b1 b2 b3 b4 c1 c2 c3 c4 d1 d2 d3 d4", 13, [8, 8]),
        ("a b c d e f g", 5, [4, 3]),
        ("a1 a2 a3 b", 2, [2, 2]),
    ],
)
def test_a_map_that_is_too_wide_is_cut_evenly_and_between_series(tasks, most, parts):
    whole = heat_map.Map("solve_rate", pd.Series(dtype=float), "", tasks.split())
    found = [part.tasks for part in heat_map._cut(whole, most, {task: task[0] for task in whole.tasks})]
    assert [task for part in found for task in part] == whole.tasks
    assert [len(part) for part in found] == parts


def test_cells_of_the_heat_map_are_the_darker_the_fewer_steps_of_the_budget_are_needed():
    rate, steps = heat_map.numbers(by_hand(solved(500), unsolved())).maps
    assert (rate.dark.tolist(), steps.dark.tolist()) == ([0.5], [pytest.approx(1 - 1250 / 2000)])


def test_outer_tenths_of_a_range_follow_its_scale_and_count_the_best_trials_in_them():
    best = {"validation_loss": 0.1, "score": 1.0}
    study = by_hand(
        {**best, "learning_rate": 1.9e-4, "size": 128, "input_noise": 0.05},
        {"validation_loss": 0.5, "learning_rate": 1e-2, "size": 8, "input_noise": 0.5},
        {**best, "variant": "gru", "learning_rate": 1e-2, "size": 90, "input_noise": 0.3},
    )
    numbers = hyperparameters.numbers(study)
    assert numbers.axes["learning_rate"] == (1e-4, 1e-1, True)
    assert numbers.axes["input_noise"] == (0.0, 0.5, False)
    assert numbers.edges["learning_rate"] == pytest.approx((1e-4 * 10**0.3, 1e-4 * 10**2.7))
    assert numbers.edges["size"] == pytest.approx((8 * 16**0.1, 8 * 16**0.9))
    assert numbers.edges["input_noise"] == pytest.approx((0.05, 0.45))
    assert numbers.outside == {
        ("adding", "learning_rate"): (0.5, 0.0),
        ("adding", "size"): (0.0, 0.5),
        ("adding", "input_noise"): (0.5, 0.0),
    }
    assert of(numbers.data, hyperparameter="size")["best_decile"].tolist() == [True, True, False]
    assert of(numbers.data, hyperparameter="size")["value"].tolist() == [90, 128, 8]


# Comparisons
# ----------------------------------------------------------------------------------------------------------------------


def test_forest_has_the_endpoints_that_decide_in_the_order_of_the_study():
    study = by_hand({}, {"variant": "gru"}, {"variant": "rnn"})
    frame = pd.DataFrame(
        [("adding", "rnn", True, 0.1), ("adding", "gru", True, 0.2), ("adding", "gru", False, 0.3)],
        columns=["task", "variant", "primary", "difference"],
    )
    numbers = forest.numbers(study, frame)
    assert numbers.rows == {"adding": ["gru", "rnn"]}
    assert numbers.data["difference"].tolist() == [0.1, 0.2]


def test_two_studies_have_the_endpoints_that_decide():
    study = by_hand({}, {"variant": "gru"})
    rows = [
        ("gru", True, CHANGE, 0.1),
        ("gru", True, ADVANTAGE, 0.2),
        ("vanilla", True, CHANGE, 0.3),
        ("gru", False, CHANGE, 0.4),
    ]
    frame = pd.DataFrame(rows, columns=["variant", "primary", "what", "difference"]).assign(task="adding")
    numbers = two_studies.numbers(study, frame)
    assert numbers.rows == {"adding": ["vanilla", "gru"]}
    assert numbers.data["difference"].tolist() == [0.1, 0.2, 0.3]


# Importance of the hyperparameters
# ----------------------------------------------------------------------------------------------------------------------


def curve(response, mean, error, name="size", **more):
    place = {"task": "adding", "variant": "vanilla", "response": response, "hyperparameter": name}
    return {**place, "u": 0.5, "value": 32, "mean": mean, "error": error, **more}


def test_bands_are_two_standard_errors():
    frame = pd.DataFrame([curve("score", 0.5, 0.1), curve("loss", 2.0, NAN)])
    bands = importance.with_bands(frame)[["y", "low", "high"]].to_numpy()
    assert bands == pytest.approx(np.array([[0.5, 0.3, 0.7], [2.0, 2.0, 2.0]]))


def test_marginals_have_the_axes_of_the_search_space():
    rows = [curve("score", 1.0, 0.1), curve("score", 0.5, 0.1, name="input_noise")]
    numbers = marginals.numbers(by_hand({}), pd.DataFrame(rows))
    assert numbers.axes == {"size": (8.0, 128.0, True), "input_noise": (0.0, 0.5, False)}
    assert numbers.of("adding", "score", "size")["y"].tolist() == [1.0]


def test_axis_of_a_hyperparameter_that_the_space_does_not_have_is_the_range_of_its_values():
    assert choice.axis_of(by_hand({}), "unknown", pd.Series([3.0, 1.0])) == (1.0, 3.0, False)


def test_axis_of_a_complement_is_not_logarithmic():
    space = {"momentum": {"low": 0.01, "high": 1.0, "log": True, "complement": True}}
    assert choice.axis_of(by_hand({}, space=space), "momentum", pd.Series([0.5])) == (0.0, 0.99, False)


TERMS = [
    ("size", 1, 0.3, 0.02),
    ("learning_rate", 1, 0.4, 0.03),
    ("learning_rate × size", 2, 0.1, 0.01),
    ("rest", 3, 0.2, NAN),
]


@pytest.fixture(scope="module")
def terms():
    frame = pd.DataFrame(TERMS, columns=["term", "order", "share", "error"])
    frame = frame.assign(task="adding", variant="vanilla", surrogate="process", r2_forest=0.3, r2_process=0.6)
    return with_score(frame.assign(trials=50))


def test_shares_are_each_hyperparameter_then_all_pairs_then_the_rest(terms):
    more = with_score(terms.iloc[[2]].assign(term="size × input_noise", share=0.05))
    numbers = shares.numbers(by_hand({}), pd.concat([terms, more]))
    assert numbers.bars["part"].tolist() == ["learning_rate", "size", "all pairs", "three and more"]
    assert numbers.bars["share"].tolist() == pytest.approx([0.24, 0.18, 0.09, 0.12]), (
        "of the score's variance: times .6"
    )
    assert numbers.bars["error"].tolist() == pytest.approx([0.018, 0.012, NAN, NAN], nan_ok=True)
    assert numbers.fits[["r2", "surrogate", "trials"]].iloc[0].tolist() == [0.6, "process", 50]


def test_pairs_are_of_the_baseline_with_surfaces_and_shares_in_either_order(terms):
    study = by_hand({"variant": "gru"}, {}, baseline="vanilla")
    surface = pd.DataFrame(
        {"first": "learning_rate", "second": "size", "u_first": [0.25, 0.25, 0.75, 0.75], "u_second": [0.25, 0.75] * 2}
    )
    surface = surface.assign(task="adding", variant="vanilla", mean=[0.1, 0.2, 0.3, 0.4])
    frame = pd.DataFrame([curve("loss", 0.5, 0.1)])
    numbers = pairs.numbers(study, frame, pd.concat([terms.assign(variant="gru", share=0.9), terms]), surface)
    assert (numbers.variant, numbers.tasks, list(numbers.axes)) == ("vanilla", ["adding"], ["learning_rate", "size"])
    assert numbers.term("adding", "size")["share"] == 0.3
    assert numbers.term("adding", "size", "learning_rate")["share"] == 0.1
    assert numbers.surface("adding", across="learning_rate", up="size").tolist() == [[0.1, 0.3], [0.2, 0.4]]
    assert numbers.surface("adding", across="size", up="learning_rate").tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert numbers.edges["size"] == pytest.approx([8.0, 8 * 4.0, 128.0])
    assert numbers.curves["response"].tolist() == ["score"]


# Stages
# ----------------------------------------------------------------------------------------------------------------------


def test_horizon_figure_has_the_share_of_solved_runs_at_each_lag():
    runs = [
        {"lag": lag, "status": "solved" if k < n else "finished"} for lag, n in ((16, 4), (32, 1)) for k in range(4)
    ]
    other = {"variant": "gru", "lag": 16, "status": "solved"}
    study = by_hand({}, {"variant": "gru"})
    numbers = memory_horizon.numbers(study, by_hand(*runs, other, {"lag": 32, "status": "failed"}).table)
    solved_runs = numbers.solved["adding"]
    assert solved_runs.columns.tolist() == [16, 32]
    assert solved_runs.loc["vanilla"].tolist() == [1.0, 0.25]
    assert solved_runs.loc["gru"].tolist() == [1.0, pytest.approx(NAN, nan_ok=True)]
    assert of(numbers.data, variant="vanilla")["horizon"].tolist() == pytest.approx([2 ** (4 + 2 / 3)], rel=0.2)


def test_confirmation_has_winners_and_best_configurations_without_failed_runs():
    study = by_hand({}, {"variant": "gru"}, baseline="vanilla")
    winners = by_hand({"score": 0.4}, {"score": 0.6}, {"score": 0.0, "status": "failed"}).table
    best = by_hand({"score": 0.9}).table
    found = pd.DataFrame([{"task": "adding", "variant": "vanilla", "iqm": 0.5}])
    numbers = confirmation_scores.numbers(study, winners, found, best)
    assert numbers.scores[["score", "winner"]].to_numpy().tolist() == [[0.4, True], [0.6, True], [0.9, False]]
    assert (numbers.rows, numbers.baseline) == ({"adding": ["vanilla"]}, "vanilla")
    assert of(numbers.counts, variant="vanilla")[["trials", "failed"]].to_numpy().tolist() == [[2, 1]]


def test_winners_curse_has_the_mean_drop_of_each_task():
    rows = [("adding", 0.9, 0.6), ("adding", 0.5, 0.4), ("copying", 0.5, 0.7)]
    frame = pd.DataFrame(rows, columns=["task", "search_score", "fresh_score"]).assign(variant="vanilla")
    numbers = winners_curse.numbers(by_hand({}, {"task": "copying"}), frame)
    assert numbers.drops == pytest.approx({"adding": 0.2, "copying": -0.2})
    assert numbers.marks[["x", "y"]].to_numpy().tolist() == [[0.9, 0.6], [0.5, 0.4], [0.5, 0.7]]


def test_marks_on_the_same_spot_lie_around_it():
    x, y = winners_curse.apart(np.full(3, 0.5), np.full(3, 0.5))
    radii = np.hypot(x - 0.5, y - 0.5)
    assert radii.tolist() == pytest.approx([0.0, 0.024, 0.024 * 2**0.5])
    assert np.arctan2(y - 0.5, x - 0.5)[1] == pytest.approx(2.4)
