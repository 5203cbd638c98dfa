"""Finished trials that run again: which are chosen, what is compared, and what is said of other bits."""

import json

import pytest

from runs.study.plan import Search
from runs.study.verifying import NUMBERS, Check, Rerun, lines, numbers_of, rerun, sample, trial_of, verdict
from runs.trial.training import run
from tests.runs.conftest import make_design


def row(task="adding", variant="vanilla", point=0, status="solved", seconds=1.0, **more):
    return {"task": task, "variant": variant, "point": point, "status": status, "seconds": seconds, **more}


def numbers(**changed):
    usual = dict.fromkeys(NUMBERS, 0) | {"status": "solved", "solved_step": 50, "validation_loss": 0.5, "steps": 50}
    return usual | changed


def again(there=None, here=None, seconds_here=3.0, error="", **place):
    place = {"task": "adding", "variant": "vanilla", "point": 7} | place
    return Rerun(
        **place,
        there=numbers(**there or {}),
        here=numbers(**here or {}),
        seconds_there=2.0,
        seconds_here=seconds_here,
        error=error,
    )


# The sample


def test_sample_takes_other_tasks_before_a_second_trial_of_one():
    rows = [row(), row(point=1), row("recall"), row("copying")]
    assert {r["task"] for r in sample(rows, 3)} == {"adding", "copying", "recall"}


def test_sample_takes_other_variants_where_there_are_some():
    rows = [row(), row("recall"), row("recall", "gru", seconds=5.0)]
    assert [r["variant"] for r in sample(rows, 2)] == ["vanilla", "gru"]


def test_sample_prefers_a_solved_trial_to_a_cheaper_one():
    assert sample([row(status="finished", seconds=0.1), row(point=4)], 1)[0]["point"] == 4


def test_sample_takes_the_one_of_the_most_usual_length_of_those():
    """The shortest would be timed by its start alone."""
    rows = [row(point=k, seconds=s) for k, s in enumerate((0.01, 2.0, 3.0, 4.0, 20.0))]
    assert [r["point"] for r in sample(rows, 2)] == [2, 3]


def test_sample_takes_no_long_trial_where_there_is_another():
    rows = [row(point=k, seconds=s) for k, s in enumerate((40.0, 50.0, 60.0, 1.0))]
    assert [r["point"] for r in sample(rows, 2)] == [3, 0]


@pytest.mark.parametrize("status", ["failed", "diverged", "pruned"])
def test_sample_leaves_out_what_was_not_trained_to_its_end(status):
    assert sample([row(status=status)], 3) == []


def test_sample_is_of_the_search():
    assert sample([row(stage="confirm")], 3) == []


# Running again


@pytest.fixture(scope="module")
def search():
    return Search(make_design())


@pytest.fixture(scope="module")
def rows(search):
    """A trial of each task as the table has them."""
    found = []
    for task in search.design.tasks:
        outcome = run(search.trial(task, "vanilla", 1)).as_dict() | {"task": task, "variant": "vanilla", "point": 1}
        found.append(outcome | search.design.values(task, 1) | {"session": 0, "stage": "search"})
    return found


def test_the_trial_of_a_row_is_that_of_the_plan(search, rows):
    assert trial_of(search, rows[0]).id == search.trial("adding", "vanilla", 1).id


def test_the_same_code_gives_the_same_bits(search, rows):
    check = rerun(search, sample(rows, 2))
    assert {each.task for each in check.reruns} == {"adding", "recall"}
    assert check.exact


def test_one_bit_of_a_loss_is_a_difference(search, rows):
    loss = rows[0]["validation_loss"]
    check = rerun(search, [rows[0] | {"validation_loss": loss * (1 + 2**-52)}])
    assert (check.same, check.exact) == (0, False)
    assert 0 < check.reruns[0].off < 1e-15


def test_what_differs_between_a_session_and_here_is_named(search, rows):
    check = rerun(search, rows[:1], [{"processor": "an abacus"}])
    assert check.changed[0].startswith("processor an abacus -> ")


def test_a_gap_in_a_table_is_what_an_outcome_lacks():
    table, outcome = numbers(solved_step=float("nan")), numbers(solved_step=None)
    assert numbers_of(table) == numbers_of(outcome)


# Words


def test_the_same_bits_are_said_in_one_sentence():
    (line,) = lines(Check((again(), again(point=8))))
    assert line.startswith(
        "2 of 2 trials of the archive that were run again here have the same bits: trials from there"
    )


def test_other_bits_are_said_with_their_size_their_cause_and_their_meaning():
    check = Check((again(here={"validation_loss": 0.55, "solved_step": 60}), again(point=8)), ("commit a -> b",))
    first, second = lines(check)
    assert first.startswith("1 of 2 trials of the archive that were run again here have the same bits; what differs: ")
    assert "commit a -> b. Differences in the last bits grow during training" in first
    assert "solve rates and medians stay comparable, paired differences lose some precision" in first
    losses = "validation loss 0.5, here 0.55 (10 % off)"
    assert second == f"  adding vanilla 7: solved at update 50, here solved at update 60; {losses}"


def test_another_network_is_not_a_matter_of_rounding():
    check = Check((again(here={"parameters": 12}),))
    assert "Rounding does not explain it (adding vanilla 7 failed or built another network)" in verdict(check)


def test_a_trial_that_fails_here_is_not_a_matter_of_rounding():
    check = Check((again(here={"status": "failed"}, error="ValueError: no"),))
    assert "Rounding does not explain it" in verdict(check)
    assert lines(check)[1] == "  adding vanilla 7: failed here: ValueError: no"


def test_solved_trials_of_which_none_solves_its_task_here_are_a_warning():
    unsolved = {"status": "finished", "solved_step": None}
    assert "more than rounding explains" in verdict(Check((again(here=unsolved),)))
    assert "more than rounding explains" not in verdict(Check((again(here=unsolved), again(point=8))))


def test_without_a_trial_nobody_knows():
    assert verdict(Check()).startswith("No finished trial could be run again")


def test_the_slowdown_is_that_of_all_reruns_together():
    assert Check(tuple(again(seconds_here=s) for s in (1.0, 3.0, 8.0))).slowdown == 2.0  # 12 s against 6 s
    assert Check().slowdown == 1.0


def test_a_check_survives_being_stored():
    check = Check((again(here={"solved_step": None}),), ("commit a -> b",))
    assert Check.from_dict(json.loads(json.dumps(check.as_dict()))) == check
