from __future__ import annotations

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from analysis.tables.summary import in_order, summarise
from tests.analysis.synthetic import as_study, by_hand, study


def row(study, task="adding", variant="vanilla"):
    numbers = study.summary
    return numbers[(numbers["task"] == task) & (numbers["variant"] == variant)].iloc[0]


@pytest.fixture(scope="module")
def eleven():
    """Eleven usable trials and a failed one; the best decile are those that solved soonest, the last and the first."""
    trials = [{"validation_loss": 1.0 + k, "test_loss": 2.0, "score": 0.1, "parameters": 1000} for k in range(9)]
    first = {"validation_loss": 0.5, "test_loss": 0.09, "score": 0.9, "parameters": 100, "seconds": 14.0}
    last = {"validation_loss": 0.6, "test_loss": 0.04, "score": 0.5, "parameters": 300, "seconds": 3.0}
    trials = [first, *trials, last]
    for k, trial in enumerate(trials):
        trial |= {"budget": 2000, "seconds": trial.get("seconds", 1.0)}
        trial |= {"status": "solved", "solved_step": 300.0 + k} if k < 3 else {}
    last |= {"status": "solved", "solved_step": 200.0}
    trials[4] |= {"status": "diverged", "validation_loss": None}
    return by_hand(*trials, {"status": "failed", "seconds": 99.0, "score": 0.0})


@pytest.mark.parametrize(
    ("column", "number"),
    [
        ("trials", 11),
        ("solved", 4),
        ("diverged", 1),
        ("failed", 1),
        ("solve_rate", 4 / 11),
        ("solve_low", 0.151665),  # Wilson: (p + z²/2n ± z (p (1 - p)/n + z²/4n²)^½) / (1 + z²/n)
        ("solve_high", 0.646197),
        ("restricted_steps", (300 + 301 + 302 + 200 + 7 * 2000) / 11),
        ("decile_score", (0.9 + 0.5) / 2),
        ("decile_loss", 0.06),  # (0.09 * 0.04)^½
        ("decile_parameters", 200),
        ("expected_best_20", 0.5),  # of all eleven: the score of the one that solved soonest
        ("score", (0.9 + 0.5 + 9 * 0.1) / 11),
        ("parameters", 9400 / 11),
        ("seconds", (14 + 3 + 9) / 11),
        ("best_loss", 0.04),
    ],
)
def test_every_column_of_the_summary_is_what_a_hand_computes(eleven, column, number):
    assert row(eleven)[column] == pytest.approx(number, rel=1e-5)


def test_expected_best_of_twenty_leaves_one_of_twenty_one_trials_out():
    trials = [{"validation_loss": 1.0 + k, "score": 0.8 if k == 0 else 0.2 if k == 1 else 0.0} for k in range(21)]
    assert row(by_hand(*trials))["expected_best_20"] == pytest.approx(0.8 * 20 / 21 + 0.2 / 21)


def test_a_pair_without_trials_has_a_row_with_N_zero():
    found = row(
        as_study(*study(points=5, tasks=("adding", "copying"), missing=(("gru", "copying"),))), "copying", "gru"
    )
    assert found["trials"] == 0
    assert np.isnan([found["solve_rate"], found["solve_low"], found["solve_high"]]).all()


def test_rows_stand_in_the_order_of_tasks_and_then_of_variants():
    found = as_study(*study(("gru", "vanilla"), ("copying", "adding"), points=2)).summary
    assert found[["task", "variant"]].to_numpy().tolist() == [
        ["copying", "vanilla"],
        ["copying", "gru"],
        ["adding", "vanilla"],
        ["adding", "gru"],
    ]


def test_baseline_comes_first_then_the_order_of_the_design_then_strangers():
    rows, design = study(("gru", "vanilla", "coupled"), points=2)
    extra = [{**row, "variant": "zz"} for row in rows if row["variant"] == "gru"]
    assert as_study(rows + extra, design).variants == ["vanilla", "gru", "coupled", "zz"]


def test_names_that_no_design_lists_come_by_name():
    assert in_order(["b"], ["d", "c", "b"]) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("variants", "baseline", "found"),
    [
        (("gru", "coupled"), "", None),
        (("gru", "coupled"), "gru", "gru"),
        (("gru", "vanilla"), "", "vanilla"),
        (("gru", "greff_v"), "", "greff_v"),
        (("gru", "vanilla"), "absent", "vanilla"),
    ],
)
def test_the_baseline_is_that_of_the_design_or_a_known_one(variants, baseline, found):
    rows, design = study(variants, points=2)
    assert as_study(rows, {**design, "baseline": baseline}).baseline == found


def test_a_study_of_one_task_has_its_trials_and_its_design():
    one = as_study(*study(("vanilla", "gru"), ("adding", "copying"), points=3)).of_task("copying")
    assert one.tasks == ["copying"]
    assert len(one.table) == 6
    assert list(one.design.tasks) == ["copying"]


def test_other_trials_take_the_place_of_those_of_the_search():
    whole = as_study(*study(("vanilla", "gru"), points=3))
    assert len(whole.with_trials(whole.table.head(2).assign(stage="confirm")).table) == 2


def test_the_summary_of_one_task_is_its_part_of_that_of_the_study():
    part = as_study(*study(points=5, tasks=("adding", "copying"))).of_task("copying")
    assert_frame_equal(part.summary, summarise(part.table, part.tasks, part.variants, part.goals))
