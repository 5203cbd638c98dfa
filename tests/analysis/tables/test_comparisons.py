from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.report.sentences import verdicts
from analysis.statistics.endpoints import ENDPOINTS
from analysis.statistics.resampling import Comparison
from analysis.tables import comparisons as module
from analysis.tables.comparisons import comparisons, is_better, needed, resolution, verdict_of
from tests.analysis.synthetic import as_study, by_hand, study


@pytest.fixture(scope="module")
def compared():
    """A study in which one variant is far worse, one equal, and one lacks a task, and its comparisons."""
    skill = {"vanilla": 0.6, "gru": 0.6, "no_forget_gate": -3.0}
    tasks, missing = ("adding", "copying"), (("gru", "copying"),)
    rows, design = study(
        ("vanilla", "gru", "no_forget_gate"), tasks, points=60, skill=skill, missing=missing, failed=0.03
    )
    made = as_study(rows, design)
    return made, comparisons(made, swaps=399)


def row(found, task, variant, endpoint="solve_rate"):
    return found[(found["task"] == task) & (found["variant"] == variant) & (found["endpoint"] == endpoint)].iloc[0]


def test_a_much_worse_variant_is_found_and_an_equal_one_is_not(compared):
    found = compared[1]
    assert row(found, "adding", "no_forget_gate")["significant"]
    assert row(found, "adding", "no_forget_gate")["difference"] < 0
    assert not row(found, "adding", "gru")["significant"]


def test_difference_is_taken_over_the_points_that_both_have(compared):
    made, found = compared
    table = made.table
    own = table[(table["task"] == "adding") & (table["status"] != "failed")]
    solved = own.assign(solved=own["status"] == "solved").pivot(index="point", columns="variant", values="solved")
    both = solved[["vanilla", "gru"]].dropna().astype(float)
    assert row(found, "adding", "gru")["difference"] == pytest.approx((both["gru"] - both["vanilla"]).mean())
    assert row(found, "adding", "gru")["points"] == len(both)


def test_each_question_is_decided_by_one_endpoint(compared):
    decided = compared[1].loc[compared[1]["primary"], ["question", "endpoint"]].drop_duplicates()
    assert dict(decided.to_numpy()) == {"ease": "solve_rate", "quality": "expected_best_20"}
    assert set(compared[1].loc[~compared[1]["primary"], "question"]) == {""}


def test_p_is_at_most_five_percent_exactly_where_the_interval_excludes_zero(compared):
    found = compared[1]
    assert ((found["p"] <= 0.05) == (found["low"] * found["high"] > 0)).all()
    assert (found["p"] <= 0.05).any()


def test_the_series_of_a_task_is_its_own_name_where_it_is_in_none(compared):
    assert (compared[1]["series"] == compared[1]["task"]).all()


def test_a_missing_pair_is_not_compared(compared):
    found = compared[1]
    assert found[(found["task"] == "copying") & (found["variant"] == "gru")].empty


def test_resolution_is_half_the_width_of_the_intervals(compared):
    found = compared[1]
    resolved = resolution(found).set_index(["task", "endpoint"])
    own = found[(found["task"] == "adding") & (found["endpoint"] == "solve_rate")]
    assert resolved.loc[("adding", "solve_rate"), "half_width"] == pytest.approx(
        ((own["high"] - own["low"]) / 2).median()
    )


def test_resolution_is_the_median_over_variants_with_the_fewest_points():
    intervals = [(-0.1, 0.1, 40, "open"), (0.0, 0.4, 30, "open"), (-0.5, 0.5, 50, "open"), (np.nan, np.nan, 12, "open")]
    frame = pd.DataFrame([*intervals, (-0.9, 0.9, 5, "nothing learned")], columns=["low", "high", "points", "verdict"])
    frame = frame.assign(difference=(frame["low"] + frame["high"]) / 2, span=1.0)
    found = resolution(frame.assign(task="adding", endpoint="solve_rate", question="ease", primary=True))
    assert found[["half_width", "points", "needed"]].to_numpy().tolist() == [[pytest.approx(0.2), 30, 120]]


def test_half_a_width_is_taken_from_the_end_that_was_not_cut_off():
    frame = pd.DataFrame({"low": [-1.0], "high": [-0.3], "difference": [-0.8], "points": 20, "span": 1.0})
    frame = frame.assign(task="adding", endpoint="solve_rate", question="ease", primary=True, verdict="worse")
    assert resolution(frame)["half_width"].tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(("points", "inferred"), [(9, False), (10, True)])
def test_intervals_and_p_values_begin_at_ten_points(points, inferred):
    found = comparisons(as_study(*study(("vanilla", "gru"), points=points)), swaps=49)
    assert found["difference"].notna().all()
    assert found[["low", "high", "p"]].notna().to_numpy().tolist() == [[inferred] * 3] * len(found)
    assert (found["points"] == points).all()


def test_without_a_baseline_nothing_is_compared():
    rows, design = study(("gru", "coupled"), points=4)
    without = as_study(rows, {**design, "baseline": ""})
    found = comparisons(without)
    assert found.empty
    assert verdicts(without, found) == []


@pytest.mark.parametrize(
    ("design", "same"),
    [({}, True), ({"sampler": "sobol"}, True), ({"sampler": "tpe"}, False), ({"pruner": "asha"}, False)],
)
def test_a_search_is_not_comparable(design, same):
    assert as_study(study(points=1)[0], {**study(points=1)[1], **design}).comparable is same


def trials(variant, solved, points=20, **columns):
    """Trials of a variant of which the first so many solve the task, after 100 of 400 steps."""
    good, bad = {"status": "solved", "solved_step": 100.0}, {"status": "finished"}
    facts = {"variant": variant, "budget": 400, **columns}
    return [{**facts, **(good if k < solved else bad)} for k in range(points)]


def test_rows_of_two_variants_are_what_a_hand_computes():
    score = {"score": 0.25, "test_loss": 0.5, "validation_loss": 0.5}
    made = by_hand(*trials("vanilla", 10, **score), *trials("gru", 15, **score | {"score": 0.75}))
    found = comparisons(made, swaps=49).set_index("endpoint")
    assert found["value"].to_dict() == pytest.approx(
        {"solve_rate": 0.75, "restricted_steps": 175, "best_decile": 0.75, "expected_best_20": 0.75}
    )
    assert found["reference"].to_dict() == pytest.approx(
        {"solve_rate": 0.5, "restricted_steps": 250, "best_decile": 0.25, "expected_best_20": 0.25}
    )
    assert found["difference"].to_dict() == pytest.approx(
        {"solve_rate": 0.25, "restricted_steps": -75, "best_decile": 0.5, "expected_best_20": 0.5}
    )
    assert found["span"].to_dict() == {
        "solve_rate": 1,
        "restricted_steps": 400,
        "best_decile": 1,
        "expected_best_20": 1,
    }
    assert found["primary"].to_dict() == {
        "solve_rate": True,
        "restricted_steps": False,
        "best_decile": False,
        "expected_best_20": True,
    }
    assert (found["points"] == 20).all()
    assert (found["baseline"] == "vanilla").all()
    assert (found["greff_welch_p"] == 1.0).all()


def test_the_value_of_a_variant_is_over_all_its_points_and_the_difference_over_the_common_ones():
    made = by_hand(*trials("vanilla", 10, 24), *trials("gru", 15, 20))
    found = row(comparisons(made, swaps=19), "adding", "gru")
    assert (found["value"], found["reference"]) == pytest.approx((15 / 20, 10 / 24))
    assert found["difference"] == pytest.approx(15 / 20 - 10 / 20)


def test_greffs_test_is_on_the_test_losses_of_the_best_deciles():
    from scipy.stats import ttest_ind

    ours, theirs = ([{"variant": v, "validation_loss": k, "test_loss": (1 + k) * f} for k in range(30)] for v, f in
                    (("vanilla", 1.0), ("gru", 3.0)))  # fmt: skip
    found = comparisons(by_hand(*ours, *theirs), swaps=19)
    p = ttest_ind([3.0, 6.0, 9.0], [1.0, 2.0, 3.0], equal_var=False).pvalue
    assert found["greff_welch_p"].tolist() == pytest.approx([p] * 4)


LEARNED = {"solve_rate": 0.5, "best_decile": 0.9, "expected_best_20": 0.9, "restricted_steps": 200.0}
FLOOR = {"solve_rate": 0.04, "best_decile": 0.24, "expected_best_20": 0.3, "restricted_steps": 400.0}
EASY = {"solve_rate": 0.96, "best_decile": 1.0, "expected_best_20": 0.995, "restricted_steps": 50.0}


@pytest.mark.parametrize(
    ("endpoint", "low", "high", "verdict"),
    [
        ("solve_rate", 0.01, 0.3, "better"),
        ("solve_rate", -0.3, -0.01, "worse"),
        ("restricted_steps", 4.0, 120.0, "worse"),
        ("restricted_steps", -120.0, -4.0, "better"),
        ("solve_rate", 0.0, 0.3, "open"),
        ("solve_rate", -0.2, 0.05, "open"),
        ("solve_rate", -0.099, 0.099, "same"),
        ("solve_rate", 0.01, 0.099, "same"),  # it excludes zero, and is the same within the margin
        ("solve_rate", -0.1, 0.05, "open"),
        ("restricted_steps", -39.0, 39.0, "same"),
        ("restricted_steps", -41.0, 39.0, "open"),
        ("solve_rate", np.nan, np.nan, "open"),
    ],
)
def test_the_verdict_follows_from_interval_margin_and_direction(endpoint, low, high, verdict):
    span = 400.0 if endpoint == "restricted_steps" else 1.0
    interval = (low, (low + high) / 2, high)
    assert verdict_of(ENDPOINTS[endpoint], interval, span, (LEARNED, LEARNED)) == verdict


@pytest.mark.parametrize("endpoint", list(ENDPOINTS))
def test_nothing_is_said_of_a_pair_that_learned_nothing(endpoint):
    assert verdict_of(ENDPOINTS[endpoint], (0.2, 0.3, 0.4), 1.0, (FLOOR, FLOOR)) == "nothing learned"


@pytest.mark.parametrize("more", [{"solve_rate": 0.1}, LEARNED])
def test_one_of_a_pair_that_learned_is_enough_for_a_verdict(more):
    for sides in ((FLOOR | more, FLOOR), (FLOOR, FLOOR | more)):
        assert verdict_of(ENDPOINTS["solve_rate"], (0.2, 0.3, 0.4), 1.0, sides) == "better"


def test_a_pair_that_solves_less_than_five_percent_together_is_not_called_equal_in_ease():
    sides = (FLOOR | {"solve_rate": 0.0, "best_decile": 0.4}, FLOOR | {"solve_rate": 0.099, "best_decile": 0.4})
    found = {name: verdict_of(end, (-0.05, 0.0, 0.05), 1.0, sides) for name, end in ENDPOINTS.items()}
    assert found == {
        "solve_rate": "hardly solved",
        "restricted_steps": "hardly solved",
        "best_decile": "same",
        "expected_best_20": "same",
        "mean_loss": "same",
        "best_decile_loss": "same",
        "expected_best_20_loss": "same",
    }


@pytest.mark.parametrize(
    ("endpoint", "low", "sides", "verdict"),
    [
        ("solve_rate", 0.01, (EASY, EASY), "everything solved"),
        ("solve_rate", 0.01, (EASY | {"solve_rate": 0.8}, EASY), "better"),
        ("expected_best_20", -0.2, (EASY, EASY), "everything solved"),
        ("expected_best_20", 0.01, (EASY, EASY), "better"),
        ("expected_best_20", -0.2, (EASY | {"expected_best_20": 0.99}, EASY), "open"),
        ("restricted_steps", 1.0, (EASY, EASY), "worse"),
    ],
)
def test_where_both_solve_everything_only_steps_are_compared(endpoint, low, sides, verdict):
    assert verdict_of(ENDPOINTS[endpoint], (low, 0.1, 0.3), 1.0, sides) == verdict


def test_a_study_on_the_floor_gives_no_verdict():
    rng = np.random.default_rng(0)
    rows = [
        {"variant": v, "status": "finished", "validation_loss": x, "score": 0.036 * x}
        for v in ("vanilla", "gru", "rnn")
        for x in rng.random(200)
    ]
    made = by_hand(*rows)
    found = comparisons(made, swaps=199)
    assert set(found["verdict"]) == {"nothing learned"}
    assert not found["significant"].any()
    assert found["needed"].isna().all()
    assert resolution(found).empty
    text = " ".join(verdicts(made, found))
    assert text.count("Nothing was learned.") == 2
    for word in ("Better", "Worse", "same within", "told apart from it"):
        assert word not in text, word


@pytest.mark.parametrize(
    ("difference", "half", "number"),
    [
        (0.2, 0.3, 113),  # the interval excludes zero at 50 * (.3 / .2)²
        (0.02, 0.24, 450),  # it lies inside the margin of .1 at 50 * (.24 / .08)²
        (0.0, 0.1, 50),
        (-0.2, 0.1, 13),
    ],
)
def test_the_number_of_points_that_would_decide_follows_from_the_root_of_n(difference, half, number):
    assert needed(difference, half, 50, 1.0) == number


def test_no_number_of_points_is_named_without_an_interval():
    assert np.isnan(needed(0.2, np.nan, 5, 1.0))


def given(monkeypatch, *, low, high, p=0.01, points=10):
    """Make every comparison of one variant come out like this."""
    found = Comparison(*(np.array([x]) for x in (0.25, low, high, p)), np.array([points]))
    monkeypatch.setattr(module, "compare", lambda *args, **options: found)


@pytest.mark.parametrize(
    ("low", "high", "points", "significant"), [(0.1, 0.4, 10, True), (-0.1, 0.4, 10, False), (0.1, 0.4, 9, False)]
)
def test_significant_is_a_verdict_of_better_or_worse_over_enough_points(monkeypatch, low, high, points, significant):
    given(monkeypatch, low=low, high=high, points=points)
    found = comparisons(by_hand(*trials("vanilla", 10), *trials("gru", 15))).set_index("endpoint")
    assert found.loc["solve_rate", "significant"] == significant
    assert (found["significant"] == found["verdict"].isin(["better", "worse"])).all()


def test_intervals_end_where_no_difference_can_be_larger(monkeypatch):
    given(monkeypatch, low=-1000.0, high=1000.0)
    found = comparisons(by_hand(*trials("vanilla", 10), *trials("gru", 15)))
    assert found["low"].tolist() == [-1.0, -400.0, -1.0, -1.0]
    assert found["high"].tolist() == [1.0, 400.0, 1.0, 1.0]
    assert found["p"].tolist() == [0.01] * 4


@pytest.mark.parametrize(
    ("endpoint", "difference", "better"),
    [
        ("solve_rate", 0.1, True),
        ("solve_rate", -0.1, False),
        ("restricted_steps", 9, False),
        ("restricted_steps", -9, True),
    ],
)
def test_a_difference_is_better_in_the_direction_of_its_endpoint(endpoint, difference, better):
    assert is_better({"endpoint": endpoint, "difference": difference}) is better


def test_intervals_are_ordered(compared):
    found = compared[1]
    known = found[np.isfinite(found["low"])]
    assert (known["low"] <= known["difference"]).all()
    assert (known["difference"] <= known["high"]).all()
