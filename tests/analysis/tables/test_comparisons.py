from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.report.sentences import verdicts
from analysis.statistics.resampling import Comparison
from analysis.tables import comparisons as module
from analysis.tables.comparisons import comparisons, is_better, is_significant, primary_endpoints, resolution
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
    return made, comparisons(made, resamples=400, swaps=399)


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


def test_only_one_endpoint_of_a_task_decides(compared):
    made, found = compared
    decided = found[found["primary"]].groupby("task")["endpoint"].unique()
    assert {task: list(names) for task, names in decided.items()} == {
        t: [e] for t, e in primary_endpoints(made).items()
    }


def test_only_the_primary_endpoint_can_be_significant(compared):
    found = compared[1]
    assert not (found["significant"] & ~found["primary"]).any()


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
    intervals = [(-0.1, 0.1, 40), (0.0, 0.4, 30), (-0.5, 0.5, 50), (np.nan, np.nan, 12)]
    frame = pd.DataFrame(intervals, columns=["low", "high", "points"])
    found = resolution(frame.assign(task="adding", endpoint="solve_rate", primary=True))
    assert found[["half_width", "points"]].to_numpy().tolist() == [[pytest.approx(0.2), 30]]


@pytest.mark.parametrize(("points", "inferred"), [(19, False), (20, True)])
def test_intervals_and_p_values_begin_at_twenty_points(points, inferred):
    found = comparisons(as_study(*study(("vanilla", "gru"), points=points)), resamples=50, swaps=49)
    assert found["difference"].notna().all()
    assert found[["low", "high", "p", "p_holm"]].notna().to_numpy().tolist() == [[inferred] * 4] * len(found)
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
    found = comparisons(made, resamples=50, swaps=49).set_index("endpoint")
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
        "expected_best_20": False,
    }
    assert (found["points"] == 20).all()
    assert (found["baseline"] == "vanilla").all()
    assert (found["greff_welch_p"] == 1.0).all()


def test_the_value_of_a_variant_is_over_all_its_points_and_the_difference_over_the_common_ones():
    made = by_hand(*trials("vanilla", 10, 24), *trials("gru", 15, 20))
    found = row(comparisons(made, resamples=9, swaps=9), "adding", "gru")
    assert (found["value"], found["reference"]) == pytest.approx((15 / 20, 10 / 24))
    assert found["difference"] == pytest.approx(15 / 20 - 10 / 20)


@pytest.mark.parametrize(
    ("solved", "endpoint"), [(1, "best_decile"), (2, "solve_rate"), (38, "solve_rate"), (39, "restricted_steps")]
)
def test_the_endpoint_that_decides_follows_the_solve_rate_of_all_variants_together(solved, endpoint):
    first = min(solved, 20)
    failed = [{"variant": "gru", "status": "failed"}] * 20
    made = by_hand(*trials("vanilla", first), *trials("gru", solved - first), *failed)
    assert primary_endpoints(made) == {"adding": endpoint}


def test_greffs_test_is_on_the_test_losses_of_the_best_deciles():
    from scipy.stats import ttest_ind

    ours, theirs = ([{"variant": v, "validation_loss": k, "test_loss": (1 + k) * f} for k in range(30)] for v, f in
                    (("vanilla", 1.0), ("gru", 3.0)))  # fmt: skip
    found = comparisons(by_hand(*ours, *theirs), resamples=9, swaps=9)
    p = ttest_ind([3.0, 6.0, 9.0], [1.0, 2.0, 3.0], equal_var=False).pvalue
    assert found["greff_welch_p"].tolist() == pytest.approx([p] * 4)


def given(monkeypatch, *, low, high, p=0.01, points=20):
    """Make every comparison of one variant come out like this."""
    found = Comparison(*(np.array([x]) for x in (0.25, low, high, p / 2, p)), np.array([points]))
    monkeypatch.setattr(module, "compare", lambda *args, **options: found)


@pytest.mark.parametrize(
    ("low", "high", "p", "points", "significant"),
    [
        (0.1, 0.4, 0.05, 20, True),
        (-0.4, -0.1, 0.05, 20, True),
        (0.1, 0.4, 0.0501, 20, False),
        (-0.1, 0.4, 0.01, 20, False),
        (0.0, 0.4, 0.01, 20, False),
        (0.1, 0.4, 0.01, 19, False),
    ],
)
def test_a_difference_is_claimed_where_p_and_interval_agree_over_enough_points(
    monkeypatch, low, high, p, points, significant
):
    given(monkeypatch, low=low, high=high, p=p, points=points)
    found = comparisons(by_hand(*trials("vanilla", 10), *trials("gru", 15)))
    assert found["significant"].tolist() == [significant, False, False, False]


def test_intervals_end_where_no_difference_can_be_larger(monkeypatch):
    given(monkeypatch, low=-1000.0, high=1000.0)
    found = comparisons(by_hand(*trials("vanilla", 10), *trials("gru", 15)))
    assert found["low"].tolist() == [-1.0, -400.0, -1.0, -1.0]
    assert found["high"].tolist() == [1.0, 400.0, 1.0, 1.0]
    assert found[["p", "p_holm"]].to_numpy().tolist() == [[0.005, 0.01]] * 4


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


@pytest.mark.parametrize(("p", "claimed"), [(0.05, True), (0.051, False), (np.nan, False)])
def test_a_claim_needs_a_p_value_of_at_most_five_percent(p, claimed):
    assert is_significant(0.1, 0.2, p) is claimed


def test_intervals_are_ordered(compared):
    found = compared[1]
    known = found[np.isfinite(found["low"])]
    assert (known["low"] <= known["difference"]).all()
    assert (known["difference"] <= known["high"]).all()
