"""Scores on a grid of quarter notes: pitches, upbeats, ties, rests, chords, repeats."""

import io
import zipfile

import numpy as np
import pytest

from tasks.data.musicxml import LOWEST, read_score, roll
from tests.tasks.real.instances import note, score

REST = "<note><rest/><duration>2</duration></note>"


def pitches(content, **options):
    """MIDI numbers of each step."""
    return [(np.flatnonzero(row) + LOWEST).tolist() for row in roll(read_score(content), **options)]


def test_a_key_is_on_for_each_quarter_note_that_it_sounds():
    assert pitches(score([[note("C", 4, 4) + note("A", 4, 2, alter=-1) + note("F", 3, 2, alter=1)]])) == [
        [60],
        [60],
        [68],
        [54],
    ]


def test_parts_sound_together():
    assert pitches(score([[note("C", 4, 2) + note("D", 4, 2)], [note("G", 3, 4)]])) == [[55, 60], [55, 62]]


def test_what_lies_between_steps_is_dropped():
    assert pitches(score([[note("C", 4, 1) + note("D", 4, 1) + note("E", 4, 2)]])) == [[60], [64]]


def test_a_tied_note_looks_like_a_held_one():
    tied = score([[note("C", 4, 4, "<tie type='start'/>"), note("C", 4, 4)]], beats=2)
    assert pitches(tied) == [[60]] * 4


@pytest.mark.parametrize(
    ("upbeat", "expected"),
    [
        (note("G", 4, 2), [[67], [60], [62]]),
        (note("G", 4, 1), [[60], [62]]),
        (note("G", 4, 1) + note("A", 4, 2), [[69], [60], [62]]),
    ],
    ids=["one quarter", "an eighth", "three eighths"],
)
def test_the_first_full_measure_begins_on_a_step(upbeat, expected):
    assert pitches(score([[upbeat, note("C", 4, 2) + note("D", 4, 2)]], beats=2)) == expected


def test_a_rest_in_the_middle_is_kept_and_at_the_ends_left_out():
    assert pitches(score([[REST + note("C", 4, 2) + REST + note("D", 4, 2) + REST]], beats=5)) == [[60], [], [62]]


def test_chords_voices_and_grace_notes():
    grace = "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
    second = "<backup><duration>4</duration></backup><forward><duration>2</duration></forward>" + note("A", 3, 2)
    measure = note("C", 4, 2) + note("E", 4, 2, "<chord/>") + grace + note("D", 4, 2) + second
    assert pitches(score([[measure]], beats=2)) == [[60, 64], [57, 62]]


def test_divisions_may_change():
    change = "<attributes><divisions>4</divisions></attributes>"
    assert pitches(score([[note("C", 4, 4), change + note("D", 4, 8)]], beats=2)) == [[60], [60], [62], [62]]


def test_repeats_are_played_once_or_twice():
    sign = "<barline><repeat direction='{}'/></barline>".format
    measures = [
        note("C", 4, 2) + sign("backward"),
        sign("forward") + note("D", 4, 2),
        note("E", 4, 2) + sign("backward"),
    ]
    assert pitches(score([measures], beats=1)) == [[60], [62], [64]]
    assert pitches(score([measures], beats=1), repeats=True) == [[60], [60], [62], [64], [62], [64]]


@pytest.mark.parametrize("measures", [b"", b"<measure/>"])
def test_a_score_without_notes_has_no_step(measures):
    content = b"<score-partwise><part>" + measures + b"</part></score-partwise>"
    assert roll(read_score(content)).shape == (0, 88)


def test_a_compressed_file_is_read_through_its_container():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("other.xml", "no score")
        archive.writestr("META-INF/container.xml", "<c><rootfiles><rootfile full-path='a.xml'/></rootfiles></c>")
        archive.writestr("a.xml", score([[note("C", 4, 2)]]))
    assert pitches(content.getvalue()) == [[60]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "is no MusicXML file"),
        (b"PK\3\4", "is no MusicXML file"),
        (b"<score-timewise/>", "must be score-partwise, got score-timewise"),
    ],
)
def test_another_file_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_score(content)


def test_a_note_that_a_piano_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"notes must lie within 21..108, got 120"):
        roll(read_score(score([[note("C", 9, 2)]])))
