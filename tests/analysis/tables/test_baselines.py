"""The table of baselines shows what the facts of a study say, in order."""

import math
from dataclasses import replace

import pytest

from analysis.study import Study
from analysis.tables.baselines import baselines, guessed
from runs.record.rows import tidy
from tests.analysis.synthetic import study

RECORDS = {
    "copying": [
        {"name": "random weights", "kind": "guessing", "loss": None, "solved": 0.25, "note": "3 of 12"},
        {"name": "last 2 inputs", "kind": "window", "loss": 0.5, "solved": None, "note": "accuracy 0.7"},
        {"name": "no input", "kind": "no_input", "loss": 0.75, "solved": None, "note": ""},
    ],
    "adding": [{"name": "random weights", "kind": "guessing", "loss": None, "solved": 0.0, "note": ""}],
    "gone": [{"name": "no input", "kind": "no_input", "loss": 1.0, "solved": None, "note": ""}],
}


@pytest.fixture(scope="module")
def plain():
    rows, design = study(("vanilla", "gru"), ("adding", "copying"), points=3)
    return Study.of(tidy(rows), design)


def with_records(plain, records):
    return replace(plain, about={**plain.about, "baselines": records})


def test_a_study_without_baselines_gives_a_table_without_rows(plain):
    table = baselines(plain)
    assert list(table) == ["task", "name", "kind", "loss", "solved", "note"]
    assert len(table) == 0
    assert guessed(table) == []


def test_rows_come_in_the_order_of_tasks_and_kinds_and_of_the_tasks_of_the_study_only(plain):
    table = baselines(with_records(plain, RECORDS))
    assert table[["task", "kind"]].to_numpy().tolist() == [
        ["adding", "guessing"],
        ["copying", "no_input"],
        ["copying", "window"],
        ["copying", "guessing"],
    ]


def test_what_is_not_there_is_nan(plain):
    table = baselines(with_records(plain, RECORDS)).set_index(["task", "kind"])
    assert math.isnan(table.loc[("copying", "guessing"), "loss"])
    assert math.isnan(table.loc[("copying", "window"), "solved"])
    assert table.loc[("copying", "window"), "loss"] == 0.5


def test_a_task_that_some_guess_solves_is_named(plain):
    assert guessed(baselines(with_records(plain, RECORDS))) == ["copying"]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ([], "baselines must be lists by the label of a task, got list"),
        ({"adding": {}}, "the baselines of adding must be a list of records"),
        ({"adding": [{"name": "x", "kind": "y"}]}, "a kind among no_input"),
        ({"adding": [{"name": "x", "kind": "window", "loss": "1"}]}, "loss of a baseline of adding must be a finite"),
        ({"adding": [{"name": "x", "kind": "guessing", "solved": 2}]}, "must be a share, 0..1, got 2"),
        ({"adding": [{"name": "x", "kind": "window", "note": 3}]}, "note of a baseline of adding must be a text"),
    ],
)
def test_other_facts_are_refused_with_the_rule(plain, wrong, rule):
    with pytest.raises(ValueError, match=rule):
        baselines(with_records(plain, wrong))
