"""What a report says of a study whose variants were added to an archive."""

import pytest

from analysis.report.notices import notices, urgent
from analysis.report.reproduction import commands
from runs.study.verifying import NUMBERS, Check, Rerun
from tests.analysis.synthetic import by_hand

THERE = {"commit": "abc1234", "processor": "A", "command": "python -m runs.sweep study=old"}
HERE = {"commit": "def5678", "processor": "B", "command": "python -m runs.sweep against=archive:old"}


def check(**here):
    numbers = dict.fromkeys(NUMBERS, 0) | {"status": "solved", "solved_step": 5, "validation_loss": 0.5}
    return Check((Rerun("adding", "vanilla", 3, numbers, numbers | here, 1.0, 1.0),), ("processor A -> B",))


def union(made=None, sessions=(1, 0)):
    """A study of two variants, of which vanilla comes from an archive; sessions: of vanilla and of mine."""
    trials = [
        {"variant": variant, "point": k, "session": session}
        for variant, session in zip(("vanilla", "mine"), sessions, strict=True)
        for k in range(12)
    ]
    known = {"archive": "old", "variants": ["vanilla"], "check": (made or check()).as_dict()}
    return by_hand(*trials, points=12, **HERE, against=known, sessions=[HERE, THERE])


def test_variants_of_an_archive_are_named_with_code_and_processor():
    first, second = [text for text in notices(union()) if "archive" in text]
    assert first.startswith("The 12 trials of vanilla are those of the archive old (code abc1234 on A). Trained later")
    assert first.endswith("with the same seeds: mine (code def5678 on B). All 2 variants count in every interval.")
    assert second.startswith("1 of 1 trials of the archive that were run again here have the same bits")


def test_other_code_of_the_archive_is_not_said_to_be_a_continued_study():
    assert not any("continued" in text for text in notices(union()))


def test_bits_that_differ_are_listed():
    _, notice = [text for text in notices(union(check(validation_loss=0.6))) if "archive" in text]
    assert "what differs: processor A -> B. Differences in the last bits grow during training" in notice
    assert (
        "Trial by trial: adding vanilla 3: solved at update 5, here solved at update 5; validation loss 0.5, " in notice
    )


def test_what_rounding_does_not_explain_stands_at_the_top():
    assert any("Rounding does not explain it" in text for text in urgent(union(check(parameters=9))))
    assert not any("archive" in text for text in urgent(union()))


@pytest.mark.parametrize("against", [None, 5, {}, {"archive": 3, "variants": []}, {"archive": "old"}])
def test_a_study_of_its_own_has_no_such_notice(against):
    trials = [{"variant": v, "point": k, "session": 0} for v in ("vanilla", "mine") for k in range(12)]
    study = by_hand(*trials, points=12, sessions=[HERE, THERE], against=against)
    assert not any("archive" in text for text in notices(study))
    assert "archive" not in commands(study.about, "new")


def test_the_commands_of_the_archive_come_before_those_of_the_study():
    study = union()
    assert commands(study.about, "new").splitlines() == [
        "# the archive old was made by",
        "git checkout abc1234",
        "python -m runs.sweep study=old",
        "# and what was added to it by",
        "git checkout def5678",
        "python -m runs.sweep against=archive:old",
        "python -m analysis from=results/new/trials.parquet",
    ]
