"""An instance of every task with data, made of small files in the form of the real ones where these may be missing.

A new task with data gets an entry in `INSTANCES`.
"""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tasks import Task
from tasks.data.packages import Package
from tasks.real import chorales, folk
from tests.tasks.real.copies import keep_in, write_iam, write_timit

LETTERS = ("C", "D", "E", "F", "G", "A", "B")


def note(step: str, octave: int, duration: int, inside: str = "", alter: int = 0) -> str:
    """A note of MusicXML; `inside` stands before its pitch."""
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
    return f"<note>{inside}{pitch}<duration>{duration}</duration></note>"


def score(parts: list[list[str]], divisions: int = 2, beats: int = 4) -> bytes:
    """A score of MusicXML, of parts of measures."""
    time = f"<time><beats>{beats}</beats><beat-type>4</beat-type></time>"
    first = f"<attributes><divisions>{divisions}</divisions>{time}</attributes>"
    written = ""
    for one, *others in parts:
        measures = "".join(f"<measure>{measure}</measure>" for measure in (first + one, *others))
        written += f"<part>{measures}</part>"
    return f"<?xml version='1.0'?><score-partwise>{written}</score-partwise>".encode()


def chorale(seed: int) -> bytes:
    """A piece in four parts of 4 to 9 measures, of notes near each other."""
    source = random.Random(seed)
    length, parts = source.randint(4, 9), []
    for octave in (5, 4, 4, 3):
        place, measures = source.randrange(7), []
        for _ in range(length):
            notes = []
            for _ in range(4):
                place = min(6, max(0, place + source.choice((-1, 0, 1))))
                notes.append(note(LETTERS[place], octave, 2))
            measures.append("".join(notes))
        parts.append(measures)
    return score(parts)


def tune(seed: int) -> str:
    """A tune in ABC notation, of 40 to 80 letters that go up and down by steps and turn at every third."""
    source = random.Random(seed)
    place, direction, body = source.randrange(1, 6), 1, ""
    for _ in range(source.randint(40, 80)):
        if place + direction not in range(7) or source.random() < 0.35:
            direction = -direction
        place = min(6, max(0, place + direction))
        body += "ABcdefg"[place]
    return f"X: {seed}\nT: Tune {seed}\nK:G\n{body}|\n\n"


def in_place_of_music21(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write a small corpus, and let the tasks take it for that of music21; return its folder."""
    (folder / "corpus" / "bach").mkdir(parents=True)
    (folder / "corpus" / "oneills1850").mkdir()
    for seed in range(15):
        (folder / "corpus" / "bach" / f"bwv{seed}.xml").write_bytes(chorale(seed))
        (folder / "corpus" / "oneills1850" / f"{seed}.abc").write_text(tune(seed) + tune(100 + seed))
    patch.setenv("LSTM_VARIANTS_CACHE", str(folder / "cache"))
    patch.setattr(chorales, "PENALTIES", (0.1,) * 7)  # a quick fit
    for module in (chorales, folk):
        patch.setattr(module, "installed", lambda *names: Package(folder, "0"))
        module.load.cache_clear()
    return folder


def from_small_corpus(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Task:
    """A task on music of which the corpus is small."""
    in_place_of_music21(folder, patch)
    return Task.registry[name]()


def from_package(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Task:
    """A task on small data that a package brings which the tests need anyway."""
    return Task.registry[name]()


def sequences_of_ones_own(folder: Path, patch: pytest.MonkeyPatch) -> Task:
    """Classes of sequences of several lengths, from a file."""
    patch.setenv("LSTM_VARIANTS_CACHE", str(folder / "cache"))
    source = random.Random(0)
    rows = ["sequence,step,x,label"]
    for number in range(40):
        label = source.choice("ab")
        x = {"a": 1.0, "b": -1.0}[label]
        for step in range(source.randint(3, 8)):
            rows.append(f"{number},{step},{x + source.gauss(0, 1):.4f},{label}")
    (folder / "own.csv").write_text("\n".join(rows))
    return Task.registry["sequences"](path=str(folder / "own.csv"))


def of_a_copy(name: str, write: Callable[[Path], object], folder: Path, patch: pytest.MonkeyPatch) -> Task:
    """A task on a small copy of a data set that has to be bought."""
    keep_in(folder, patch)
    write(folder / "copy")
    return Task.registry[name](path=str(folder / "copy"))


INSTANCES = {
    "chorales": partial(from_small_corpus, "chorales"),
    "folk": partial(from_small_corpus, "folk"),
    "digits": partial(from_package, "digits"),
    "digits_permuted": partial(from_package, "digits_permuted"),
    "digit_rows": partial(from_package, "digit_rows"),
    "iam_ondb": partial(of_a_copy, "iam_ondb", write_iam),
    "sequences": sequences_of_ones_own,
    "timit": partial(of_a_copy, "timit", write_timit),
}
"""By the name of the task: gives an instance, from a folder in which it may write and a patch for what it replaces."""
