from __future__ import annotations

import numpy as np
import pytest

from analysis.load import tidy
from analysis.report.sentences import verdicts
from analysis.tables.comparisons import comparable, comparisons, primary_endpoints, resolution

from .synthetic import study


@pytest.fixture(scope="module")
def compared():
    """Table, design and comparisons of a study in which one variant is far worse, one equal, and one lacks a task."""
    skill = {"vanilla": 0.6, "gru": 0.6, "no_forget_gate": -3.0}
    tasks, missing = ("adding", "copying"), (("gru", "copying"),)
    rows, design = study(
        ("vanilla", "gru", "no_forget_gate"), tasks, points=60, skill=skill, missing=missing, failed=0.03
    )
    table = tidy(rows)
    return table, design, comparisons(table, design, resamples=400, swaps=399)


def row(found, task, variant, endpoint="solve_rate"):
    return found[(found["task"] == task) & (found["variant"] == variant) & (found["endpoint"] == endpoint)].iloc[0]


def test_a_much_worse_variant_is_found_and_an_equal_one_is_not(compared):
    found = compared[2]
    assert row(found, "adding", "no_forget_gate")["significant"]
    assert row(found, "adding", "no_forget_gate")["difference"] < 0
    assert not row(found, "adding", "gru")["significant"]


def test_difference_is_taken_over_the_points_that_both_have(compared):
    table, _, found = compared
    own = table[(table["task"] == "adding") & (table["status"] != "failed")]
    solved = own.assign(solved=own["status"] == "solved").pivot(index="point", columns="variant", values="solved")
    both = solved[["vanilla", "gru"]].dropna().astype(float)
    assert row(found, "adding", "gru")["difference"] == pytest.approx((both["gru"] - both["vanilla"]).mean())
    assert row(found, "adding", "gru")["points"] == len(both)


def test_only_one_endpoint_of_a_task_decides(compared):
    table, design, found = compared
    decided = found[found["primary"]].groupby("task")["endpoint"].unique()
    assert {task: list(names) for task, names in decided.items()} == {
        t: [e] for t, e in primary_endpoints(table, design).items()
    }


def test_only_the_primary_endpoint_can_be_significant(compared):
    found = compared[2]
    assert not (found["significant"] & ~found["primary"]).any()


def test_a_missing_pair_is_not_compared(compared):
    found = compared[2]
    assert found[(found["task"] == "copying") & (found["variant"] == "gru")].empty


def test_resolution_is_half_the_width_of_the_intervals(compared):
    found = compared[2]
    resolved = resolution(found).set_index(["task", "endpoint"])
    own = found[(found["task"] == "adding") & (found["endpoint"] == "solve_rate")]
    assert resolved.loc[("adding", "solve_rate"), "half_width"] == pytest.approx(
        ((own["high"] - own["low"]) / 2).median()
    )


def test_few_points_give_differences_without_inference():
    rows, design = study(("vanilla", "gru"), points=10)
    table = tidy(rows)
    found = comparisons(table, design, resamples=50, swaps=49)
    assert found["difference"].notna().all()
    assert found[["low", "high", "p", "p_holm"]].isna().all().all()
    assert not found["significant"].any()
    assert "nothing is concluded" in " ".join(verdicts(table, design, found))


def test_without_a_baseline_nothing_is_compared():
    rows, design = study(("gru", "coupled"), points=4)
    table = tidy(rows)
    found = comparisons(table, {**design, "baseline": None})
    assert found.empty
    assert verdicts(table, {**design, "baseline": None}, found) == []


def test_verdict_names_what_is_worse_and_never_says_that_there_is_no_difference(compared):
    text = " ".join(verdicts(*compared))
    assert "worse than vanilla: no_forget_gate" in text.lower()
    assert "largest difference that the data leave possible: gru (" in text
    assert "no difference" not in text
    assert "Resolution with" in text


def test_verdict_takes_fewer_steps_for_better(compared):
    table, design, found = compared
    flipped = found.assign(primary=found["endpoint"] == "restricted_steps")
    flipped = flipped.assign(significant=flipped["primary"] & (flipped["variant"] == "no_forget_gate"))
    assert row(flipped, "adding", "no_forget_gate", "restricted_steps")["difference"] > 0
    assert "Worse than vanilla: no_forget_gate" in verdicts(table, design, flipped)[0]


@pytest.mark.parametrize(
    ("design", "same"),
    [({}, True), ({"sampler": "sobol"}, True), ({"sampler": "tpe"}, False), ({"pruner": "asha"}, False)],
)
def test_a_search_is_not_comparable(design, same):
    assert comparable(design) is same


def test_intervals_are_ordered(compared):
    found = compared[2]
    known = found[np.isfinite(found["low"])]
    assert (known["low"] <= known["difference"]).all()
    assert (known["difference"] <= known["high"]).all()


def test_verdict_warns_where_another_endpoint_is_near(compared):
    table, design, found = compared
    warning = "close to one at which another endpoint takes over"
    for unsolved, near in ((30, False), (4, True)):  # of 60 points
        status = table["status"].where(
            table["status"] == "failed", np.where(table["point"] < unsolved, "finished", "solved")
        )
        assert (warning in " ".join(verdicts(table.assign(status=status), design, found))) is near
