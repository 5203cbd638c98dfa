"""A part of a study: its trials alone are claimed, and all that is said is of them."""

import pytest

from runs.study.part import WHOLE, Part
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from runs.workers.status import next_step, share
from tests.runs.conftest import make_design

DONE = Outcome(status="finished", validation_loss=1.0, score=0.5)


@pytest.fixture
def study(tmp_path):
    """The second of two parts of a study of 2 x 2 x 7 trials."""
    plan = Search(make_design(points=7))
    return Study.create(open_storage("", tmp_path / "study"), plan, {"commit": "abc"}, part=Part(2, 2))


def run_all(study, most=100):
    """Finish trials, as many as there are or fewer; returns the variant and the index of each."""
    found = []
    while len(found) < most and (lease := study.claim()) is not None:
        study.finish(lease, DONE)
        found.append((lease.variant, lease.index))
    return found


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "1 / 2", "1/2.0", "1/99999"])
def test_what_names_no_part_is_refused(text):
    with pytest.raises(ValueError, match=r"^part must be K/N with K from 1 to N, as in part=1/2, got "):
        Part.read(text)


def test_every_trial_belongs_to_one_part():
    for of in (1, 2, 3, 5):
        for index in range(11):
            assert sum(Part(k, of).has(index) for k in range(1, of + 1)) == 1


def test_no_part_is_the_whole():
    assert Part.read("") == Part.read("1/1") == WHOLE
    assert (WHOLE.whole, Part(1, 2).whole) == (True, False)


def test_only_the_trials_of_the_part_are_claimed_the_pilot_first(study):
    claimed = run_all(study)
    assert len(claimed) == 12
    assert claimed[:4] == [("vanilla", 1)] * 2 + [("vanilla", 3)] * 2
    assert {index for _, index in claimed} == {1, 3, 5}


def test_what_is_left_waits_and_is_finished_is_of_the_part(study):
    assert (study.size, study.share, study.left(), study.waiting()) == (28, 12, 12, 12)
    study.claim()
    assert (study.left(), study.waiting(), study.finished()) == (12, 11, False)
    run_all(study)
    assert (study.left(), study.waiting(), study.finished()) == (1, 0, False)


def test_all_trials_are_planned_and_counted_as_waiting(study):
    assert sum(row["waiting"] for row in study.counts().values()) == 28


def test_the_pilot_speaks_of_the_points_of_the_part_once_they_are_finished(study):
    run_all(study, 3)
    assert study.pilot() == []
    run_all(study, 1)
    assert "0 of 2 points" in study.pilot()[-1]


def test_a_part_without_a_point_of_the_pilot_has_none(study):
    run_all(study)
    study.part = Part(7, 7)
    assert study.pilot() == []


def test_it_is_said_how_much_belongs_to_other_parts(study):
    run_all(study, 4)
    assert share(study) == "part 2/2: 4 of its 12 trials finished; 16 belong to other parts"
    study.part = Part(1, 2)
    said = "part 1/2: 0 of its 16 trials finished; 12 belong to other parts, 4 of which are finished here"
    assert share(study) == said


def test_the_next_step_after_a_part_is_its_archive_and_after_the_whole_the_analysis(study):
    run_all(study)
    line = next_step(study, "results")
    assert line.startswith("next: python -m runs.sweep name=study action=export; once all parts are finished, ")
    study.part = WHOLE
    study._queue = []
    run_all(study)
    assert next_step(study, "results") == "next: python -m analysis study=study"


def test_a_part_that_is_finished_begins_no_session(study):
    run_all(study)
    Study.create(study.storage, study.plan, {"commit": "two"}, part=study.part)
    assert len(study.sessions.all()) == 1
    Study.create(study.storage, study.plan, {"commit": "two"})
    assert len(study.sessions.all()) == 2
