"""Whether a stage may be planned: only after every trial of its search, as it is stored or as it is wanted."""

from types import SimpleNamespace

import pytest

from runs.configuration import stage
from runs.configuration.stage import notes, staged
from runs.study.plan import Search
from tests.runs.conftest import make_design


@pytest.fixture
def message(monkeypatch, tmp_path):
    """What is said of a stage of a search with so many points, of which each pair has finished so many trials."""

    def refused(wanted, stored, finished, part=""):
        search = Search(make_design(points=stored))
        counts = {pair: {"done": done} for pair, done in zip(search.pairs, finished, strict=True)}
        study = SimpleNamespace(plan=search, refuse_another=lambda other: None, counts=lambda: counts)
        monkeypatch.setattr(stage, "find", lambda results, name, url: study)
        config, wished = SimpleNamespace(stage="confirm", part=part), Search(make_design(points=wanted))
        with pytest.raises(ValueError, match=r"^stage=confirm") as error:
            staged(config, wished, "", tmp_path / "study")
        return str(error.value)

    return refused


FIRST = "first the same command without stage=confirm"


@pytest.mark.parametrize(("wanted", "stored"), [(3, 3), (2, 3), (3, 2)])
def test_trials_that_are_missing_of_the_stored_or_the_wanted_points_are_counted(message, wanted, stored):
    assert message(wanted, stored, (3, 2, 3, 3)) == (
        "stage=confirm needs the complete search, but 1 trial is missing in study 'study' (adding gru 1); " + FIRST
    )


def test_pairs_with_missing_trials_are_named_up_to_four(message, monkeypatch):
    assert message(2, 2, (0, 1, 0, 0)).endswith(
        "but 7 trials are missing in study 'study' (adding vanilla 2, adding gru 1, recall vanilla 2, recall gru 2); "
        + FIRST
    )
    monkeypatch.setattr(stage, "NAMED", 2)
    assert message(2, 2, (0, 1, 0, 2)).endswith("(adding vanilla 2, adding gru 1 and 1 more); " + FIRST)


def test_who_runs_a_part_is_told_to_merge_all_parts_first(message):
    said = message(3, 3, (3, 2, 3, 3), part="1/2")
    assert said.endswith(
        f"{FIRST}, for each part, and action=restore 'from=[one.parquet,other.parquet]' with the archives of all parts"
    )


def test_fewer_points_than_are_stored_are_only_a_note_if_they_were_asked_for():
    two, three = (Search(make_design(points=points)) for points in (2, 3))
    asked = {"points": "points=2"}
    assert notes(two, three, asked) == ["points=2: the study has 3 points and keeps them"]
    assert [notes(two, three, {}), notes(three, three, asked), notes(three, two, asked)] == [[], [], []]
