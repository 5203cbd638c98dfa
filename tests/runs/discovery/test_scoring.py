"""Scores, by hand: the smallest ratio to the best GRU at the same points, over the tasks that count."""

from dataclasses import replace

import pytest

from runs.discovery.candidate import SCORED, Candidate, Result, Told
from runs.discovery.plan import MUTATION, RANDOM, REFERENCE
from runs.discovery.scoring import members, ratio, reference_of, unsolved_by_gru
from tests.runs.discovery.conftest import make_plan

REFERENCE_VALUES = [{"memorisation": 2.0, "delayed_recall": 1.6, "adding": 1.5}, {"delayed_recall": 1.8, "adding": 0.5}]


def one(index, key, values, block=0, arm=MUTATION, print_=""):
    """A candidate that was scored with one value a task."""
    candidate = Candidate(
        index=index, generation=1, arm=arm, operation=arm, equations=key, key=key, block=block, parents=()
    )
    found = {task: (value,) for task, value in values.items()}
    return Told(candidate, Result(status=SCORED, values=found, fingerprint=print_))


def gru(plan):
    return [one(k, "gru", values, block=k, arm=REFERENCE) for k, values in enumerate(REFERENCE_VALUES)][: plan.blocks]


def test_the_ratio_is_that_of_the_worst_task_without_the_toy():
    plan = make_plan()
    reference = reference_of(plan, gru(plan))
    assert (
        ratio(plan, {0: {"memorisation": (0.1,), "delayed_recall": (1.6,), "adding": (1.2,)}}, reference) == 1.2 / 1.5
    )


def test_more_points_of_a_cell_are_held_against_more_points_of_the_gru():
    plan = make_plan()
    reference = reference_of(plan, gru(plan))
    values = {0: {"delayed_recall": (1.6,), "adding": (1.5,)}, 1: {"delayed_recall": (0.2,), "adding": (1.9,)}}
    assert ratio(plan, values, reference) == pytest.approx(min(1.6 / 1.8, 1.9 / 1.5))
    assert ratio(plan, {0: {"delayed_recall": (1.6,)}}, reference) is None


def test_the_pool_is_sorted_and_has_each_function_once():
    plan = make_plan()
    good, equal = {"delayed_recall": 1.6, "adding": 1.5}, {"delayed_recall": 1.6, "adding": 1.2}
    told = [
        *gru(plan),
        one(2, "b", equal),
        one(3, "a", good, print_="f"),
        one(4, "c", equal),
        one(5, "d", good, print_="f"),
    ]
    found = [(m.first.key, m.score) for m in members(plan, told, MUTATION)]
    assert found == [("gru", 1.0), ("a", 1.0), ("b", pytest.approx(0.8)), ("c", pytest.approx(0.8))]
    assert members(plan, told, RANDOM) == []


def test_evaluations_of_one_cell_are_one_member():
    plan = make_plan()
    told = [*gru(plan), one(2, "a", {"delayed_recall": 1.6, "adding": 0.75})]
    told.append(one(3, "a", {"delayed_recall": 1.8, "adding": 0.9}, block=1))
    (member,) = [m for m in members(plan, told, MUTATION) if m.first.key == "a"]
    assert (member.first.index, member.blocks, member.score) == (2, (0, 1), pytest.approx(0.9 / 1.5))


def test_a_task_that_the_gru_solves_in_the_first_block_is_taken():
    plan = make_plan()
    assert unsolved_by_gru(plan, gru(plan)) == ""
    lost = [
        replace(each, result=replace(each.result, values={**each.result.values, "adding": (0.9,)}))
        for each in gru(plan)
    ]
    assert "task adding" in unsolved_by_gru(plan, lost)
