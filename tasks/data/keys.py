"""Finds the key of a piece by comparing how long each pitch class sounds with the profiles of Bellman and Budge."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .musicxml import Score

MAJOR = np.array([16.80, 0.86, 12.95, 1.41, 13.49, 11.93, 1.25, 20.28, 1.80, 8.04, 0.62, 10.57])
MINOR = np.array([18.16, 0.69, 12.99, 13.34, 1.07, 11.15, 1.38, 21.07, 7.49, 1.53, 0.92, 10.21])
"""Share of each pitch class in music in C, in per cent. Source: Bellman 2005, 'About the Determination of Key of a
Musical Excerpt', from the frequencies of chords that Budge counted in 1943."""


class Key(NamedTuple):
    """A key.

    tonic: pitch class, 0 for C to 11 for B.
    minor: whether it is a minor key.
    """

    tonic: int
    minor: bool


def durations(score: Score) -> np.ndarray[Any, Any]:
    """Return for how many quarter notes each pitch class [12] sounds, over all parts and without repeats."""
    found = np.zeros(12)
    for measure in score.measures:
        for note in measure.notes:
            found[note.pitch % 12] += float(note.end - note.onset)
    return found


def key_of(sounding: np.ndarray[Any, Any]) -> Key:
    """Return the key whose profile correlates best with the time that each pitch class sounds.

    sounding: [12], of any unit; see `durations`.

    Returns the first of the best: major before minor, C before C sharp.

    >>> key_of(np.array([4, 0, 1, 0, 2, 1, 0, 3, 0, 1, 0, 1.0]))
    Key(tonic=0, minor=False)
    """
    profiles = [np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)]
    centred = sounding - sounding.mean()
    fits = [round(float(centred @ (p - p.mean()) / np.linalg.norm(p - p.mean())), 9) for p in profiles]
    best = int(np.argmax(fits))
    return Key(best % 12, best >= 12)


def shift_to(key: Key, tonic: int) -> int:
    """Return by how many semitones a piece moves to another tonic: the nearer way, -5 to 6.

    key: of the piece.
    tonic: pitch class of the new tonic.

    >>> shift_to(Key(tonic=7, minor=False), 0), shift_to(Key(tonic=6, minor=True), 0)
    (5, 6)
    """
    return (tonic - key.tonic + 5) % 12 - 5
