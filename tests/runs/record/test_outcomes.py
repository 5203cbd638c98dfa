"""From the table of a study back to what happened in its trials."""

import math
from dataclasses import replace

import pytest

from runs.record.archive import load, read_archive
from runs.record.rows import outcome_of
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design

TASK = {
    "lag": 3,
    "floor": 1 / 6,
    "solved_loss": 0.01,
    "reference": None,
    "reference_source": "",
    "unit": "squared error",
    "unit_scale": 1.0,
}
SOLVED = Outcome(
    status="solved",
    steps=6,
    budget=8,
    sequences=192,
    solved_step=6,
    best_step=6,
    validation_loss=0.1 + 0.2,
    test_loss=0.1234567890123,
    test_metrics={"loss": 0.1234567890123, "accuracy": 1 / 3},
    score=1 / 7,
    curve_steps=(0, 3, 6),
    curve_losses=(1.5, math.nan, 0.3),
    train_losses=(None, 1 / 3, 2 / 3),
    parameters=41,
    flops_per_step=82,
    kept=0.7310585786300049,
    seconds=1.23456789,
    engine="fused",
    update="autograd",
    why_autograd="a reason",
    task=TASK,
)
OUTCOMES = [
    SOLVED,
    replace(SOLVED, status="finished", solved_step=None, kept=None, engine="eager", why_eager="another"),
    replace(
        SOLVED,
        status="exploded",
        solved_step=None,
        epochs=1.5,
        curve_steps=(0,),
        curve_losses=(1.0,),
        train_losses=(None,),
        task={**TASK, "solved_loss": None, "reference": 0.5},
    ),
    replace(SOLVED, status="diverged", solved_step=None, validation_loss=None, test_loss=None, test_metrics={}),
    replace(SOLVED, status="pruned", solved_step=None, steps=3),
    Outcome(status="failed", error="ValueError: no\nsecond line", seconds=0.5),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The rows of a study with one trial of each status, read from its archive."""
    results = tmp_path_factory.mktemp("results")
    tried = Study.create(open_storage("", results / "study"), Search(make_design(points=2)), {})
    for outcome in OUTCOMES:
        tried.finish(tried.claim(), outcome)
    load("study", results)
    return read_archive(results / "study" / "trials.parquet").table.to_dict("records")


@pytest.mark.parametrize("status", [outcome.status for outcome in OUTCOMES])
def test_a_row_gives_back_the_outcome_to_the_last_bit(rows, status):
    (wanted,) = (outcome for outcome in OUTCOMES if outcome.status == status)
    (row,) = (row for row in rows if row["status"] == status)
    assert repr(outcome_of(row)) == repr(replace(wanted, task={**outcome_of(row).task} if wanted.task else {}))
    assert outcome_of(row).task == wanted.task
