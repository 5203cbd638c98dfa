"""The plan of a search: how candidates are numbered, what is refused, and what it costs in records."""

import pytest

from runs.discovery.plan import CellPlan
from tests.runs.discovery.conftest import TASKS, make_plan


@pytest.mark.parametrize(("generations", "mutants", "fresh", "names", "blocks"), [(1, 3, 2, 0, 1), (4, 1, 0, 3, 2)])
def test_every_candidate_has_one_number_in_one_generation(generations, mutants, fresh, names, blocks):
    plan = make_plan(generations=generations, mutants=mutants, fresh=fresh, names=names, blocks=blocks)
    numbers = [(k, g) for g in range(generations + 1) for k in plan.numbers(g)]
    assert [k for k, _ in numbers] == [*range(plan.length)]
    assert [plan.generation(k) for k, _ in numbers] == [g for _, g in numbers]


def test_more_generations_leave_the_numbers_of_the_first_ones():
    short, long = make_plan(generations=2), make_plan(generations=5)
    assert [short.numbers(g) for g in range(3)] == [long.numbers(g) for g in range(3)]
    assert short.fixed() == long.fixed()
    assert (short.grown(long), long.grown(short)) == (long, long)


def test_the_toy_comes_first_and_does_not_count():
    plan = make_plan(toy="adding")
    assert (plan.stages, plan.tasks) == (
        ["adding", "memorisation", "delayed_recall"],
        ["memorisation", "delayed_recall"],
    )


def test_a_plan_is_read_from_its_plain_values():
    plan = make_plan(budgets={"adding": 70})
    assert CellPlan.from_dict(plan.as_dict()) == plan
    assert (plan.budget("adding"), plan.budget("delayed_recall")) == (70, 150)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mutants": 0, "fresh": 0}, "mutants or fresh must be at least 1, or no cell is tried, got 0"),
        ({"generations": 0}, "generations must be at least 1, got 0"),
        ({"names": -1}, "names must be 0 or more, got -1"),
        ({"again": 1.0}, r"again must be in \[0, 1\), got 1.0"),
        ({"reach": 2.5}, r"reach must be in \[0, 2\], got 2.5"),
        ({"budgets": {"adding": 0}}, "budgets.adding must be at least 1, got 0"),
        ({"budgets": {"parity": 9}}, "budgets must be those of memorisation, delayed_recall, adding, got 'parity'"),
        ({"tasks": {"memorisation": TASKS["memorisation"]}}, r"tasks must have at least one task, got \[\]"),
    ],
)
def test_bad_values_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make_plan(**changes)
