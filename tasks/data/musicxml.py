"""Reads scores in MusicXML, plain or compressed, onto a grid of quarter notes.

Rules: a step is a quarter note; the grid is laid so that the first full measure begins on a step, and what an upbeat
has before its first step is dropped. A key is on where a note of any part sounds at the step's instant: a note that is
held, tied or struck again looks the same. Rests and what lies between steps leave no trace; a step at which all parts
rest is kept, with no key on, except before the first and after the last note. Grace notes are left out.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

LOWEST, KEYS = 21, 88
"""MIDI number of the lowest key of a piano, and how many keys there are."""
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Note(NamedTuple):
    """A sounding note.

    onset, end: in quarter notes from the beginning of its measure.
    pitch: MIDI number, 60 for middle C.
    """

    onset: Fraction
    end: Fraction
    pitch: int


class Measure(NamedTuple):
    """A measure of all parts together.

    notes: of all parts.
    length: in quarter notes, that of the longest part.
    full: what the time signature asks for, in quarter notes.
    opens, closes: whether a repeat begins or ends here.
    """

    notes: list[Note]
    length: Fraction
    full: Fraction
    opens: bool
    closes: bool


class Score(NamedTuple):
    """A piece.

    parts: number of parts.
    measures: in the order in which they are written.
    """

    parts: int
    measures: list[Measure]


def read_score(content: bytes) -> Score:
    """Read a score.

    content: of a MusicXML file (`score-partwise`), or of a compressed one, in which META-INF/container.xml names it.

    Raises ValueError, beginning with a verb, for what is no such file.
    """
    try:
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
                path = next(e.get("full-path", "") for e in container.iter() if e.tag.endswith("rootfile"))
                content = archive.read(path)
        root = ElementTree.fromstring(content)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, StopIteration) as error:
        raise ValueError(f"is no MusicXML file: {error}") from None
    parts = [list(_measures(part)) for part in root.findall("part")]
    if not parts:
        raise ValueError(f"has no parts: its outermost element must be score-partwise, got {root.tag}")
    together = []
    for number in range(max(map(len, parts))):
        same = [part[number] for part in parts if number < len(part)]
        together.append(
            Measure(
                [note for measure in same for note in measure.notes],
                max(measure.length for measure in same),
                same[0].full,
                any(measure.opens for measure in same),
                any(measure.closes for measure in same),
            )
        )
    return Score(len(parts), together)


def played(score: Score, repeats: bool) -> list[Measure]:
    """Return the measures in the order in which they are played.

    score: the piece.
    repeats: whether what stands between signs of repetition is played twice; else each measure is played once.
    """
    if not repeats:
        return score.measures
    order, start = [], 0
    for number, measure in enumerate(score.measures):
        if measure.opens:
            start = number
        order.append(measure)
        if measure.closes:
            order += score.measures[start : number + 1]
            start = number + 1
    return order


def roll(score: Score, repeats: bool = False) -> np.ndarray[Any, Any]:
    """Return which keys of a piano are on at each quarter note.

    score: the piece.
    repeats: see `played`.

    Returns [steps, 88] uint8 of zeros and ones, key 0 the lowest; no step for a score without notes.
    Raises ValueError for a note that a piano does not have.
    """
    measures, upbeat = played(score, repeats), Fraction(0)
    if measures and measures[0].length < measures[0].full:
        upbeat = measures[0].length
    begin, on = -(upbeat % 1), {}
    for measure in measures:
        for note in measure.notes:
            key = note.pitch - LOWEST
            if not 0 <= key < KEYS:
                raise ValueError(f"notes must lie within {LOWEST}..{LOWEST + KEYS - 1}, got {note.pitch}")
            for step in range(max(0, math.ceil(begin + note.onset)), math.ceil(begin + note.end)):
                on[step, key] = 1
        begin += measure.length
    steps = [step for step, _ in on]
    if not steps:
        return np.zeros((0, KEYS), np.uint8)
    found = np.zeros((max(steps) - min(steps) + 1, KEYS), np.uint8)
    for step, key in on:
        found[step - min(steps), key] = 1
    return found


def _measures(part: ElementTree.Element) -> Iterator[Measure]:
    """Yield the measures of one part."""
    divisions, full = Fraction(1), Fraction(4)
    for element in part.findall("measure"):
        notes: list[Note] = []
        now = onset = last = Fraction(0)
        opens = closes = False
        for child in element:
            if child.tag == "attributes":
                divisions = Fraction(child.findtext("divisions") or divisions)
                if child.find("time/beats") is not None:
                    beats = sum(int(beat) for beat in (child.findtext("time/beats") or "4").split("+"))
                    full = Fraction(4 * beats, int(child.findtext("time/beat-type") or 4))
            elif child.tag == "barline":
                opens |= child.find("repeat[@direction='forward']") is not None
                closes |= child.find("repeat[@direction='backward']") is not None
            elif child.tag in ("note", "backup", "forward") and child.find("grace") is None:
                duration = Fraction(child.findtext("duration") or 0) / divisions
                if child.tag == "backup":
                    now -= duration
                    continue
                if child.find("chord") is None:  # the notes of a chord begin with the first of them
                    onset, now = now, now + duration
                last = max(last, now)
                if child.find("pitch") is not None:
                    notes.append(Note(onset, onset + duration, _pitch(child)))
        yield Measure(notes, last, full, opens, closes)


def _pitch(note: ElementTree.Element) -> int:
    step, octave = note.findtext("pitch/step") or "", note.findtext("pitch/octave") or ""
    return 12 * (int(octave) + 1) + _STEPS[step] + round(float(note.findtext("pitch/alter") or 0))
