"""Folk: predict the next character of a folk tune that is written in letters."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..data.batches import every_step
from ..data.cache import Parsed, cached, digest
from ..data.models import Ngram
from ..data.packages import installed
from ..data.split import similar, split
from ..task import Batch, Classification, DataTask

PARSER, FITS = 1, 1
"""Versions of what is kept on disk: a change of the code below that changes numbers raises them."""
GRAM, SHARED = 12, 0.2
"""How many characters in a row are compared, and the part of them that nearly equal tunes share."""
ORDERS = (0, 1, 2, 3, 5, 7)
"""How many characters the n-grams know."""


class Folk(DataTask, Classification, name="folk"):
    """Read an Irish folk tune in ABC notation character by character, and say at each step which one comes next.

        input    d  e  |  f  e  d  B  |  ..  :      one of 79 characters, one-hot
        target   e  |  f  e  d  B  |  A  ..  |      the input of the next step

    The tunes of O'Neill's 'Music of Ireland' (1850 numbers, some in two transcriptions) in the corpus of the package
    music21: of each of its 2,009 tunes the lines after the field K: up to the next empty line, with blanks and ends of
    lines as they are (tabs as blanks). Tunes with more than `longest` characters are left out: 49 by default.
    Tunes of which more than a fifth of the runs of 12 characters (blanks aside) occur in another stay together; the
    groups are dealt out to the parts 60 : 20 : 20. Transposed copies count as different tunes. The first character is
    not predicted, the end of a tune neither.

    Cross-entropy in nats, reported in bits per character (divided by ln 2), over all characters of a part. The best
    model without memory sees the present character only: its floor is that of an n-gram model (Witten-Bell) of pairs,
    counted in the train part. There is no criterion by which the task would be solved; the score is the share of the
    floor that is gone, of which nobody can reach all. (Small cells pass the best n-gram model within minutes.)

    longest: the most characters of a tune, at least 2; it bounds the memory that a part takes.
    split_seed: of the permutation of the groups.
    sha256: of the data and their parts, where they must be those of an earlier run; empty for no such claim.
    """

    source = "data: O'Neill 1903, 'Music of Ireland', as transcribed in the corpus of music21; the task is defined here"
    causal = True
    solved_loss = None
    unit = "bits per character"
    unit_scale = float(1 / np.log(2))

    def __init__(self, *, longest: int = 500, split_seed: int = 0, sha256: str = "") -> None:
        self.longest, self.split_seed = longest, split_seed
        self.require("longest", 2)
        self._data = load(longest, split_seed)
        self.input_size = self.output_size = len(self._data.alphabet)
        self.floor = self._data.losses["last character"]
        self.set_data(self._data.parts, self._data.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        return dict(self._data.losses)


class Loaded(NamedTuple):
    """What all tasks of the same knobs share.

    parts: by name.
    alphabet: the characters, in the order of inputs and classes.
    fingerprint: of the tunes and the parts.
    losses: of n-gram models, on the test part, in nats.
    """

    parts: dict[str, Batch]
    alphabet: str
    fingerprint: str
    losses: dict[str, float]


@cache
def load(longest: int, split_seed: int) -> Loaded:
    """Read and split the tunes, once a process; the arguments are knobs of the task."""
    package = installed("folk", "music21", "music")
    folder = package.folder / "corpus" / "oneills1850"

    def parse() -> Parsed:
        files = {path.stem: path.read_bytes() for path in folder.glob("*.abc")}
        return in_groups({name: body for file in sorted(files) for name, body in tunes(file, files[file]).items()})

    arrays, facts = cached("folk", {"music21": package.version, "parser": PARSER}, parse)
    alphabet, names = facts["alphabet"], facts["names"]
    bodies = np.split(arrays["characters"].astype(np.int64), arrays["ends"][:-1])
    kept = [place for place, body in enumerate(bodies) if 2 <= len(body) <= longest]
    dealt = split("folk", [names[place] for place in kept], arrays["group"][kept].tolist(), split_seed)
    chosen = {part: np.array([kept[place] for place in places]) for part, places in dealt.items()}
    symbols = {part: [bodies[place] for place in places] for part, places in chosen.items()}
    fingerprint = digest({"characters": arrays["characters"], "ends": arrays["ends"], **chosen})
    versions = {"data": fingerprint, "fits": FITS}
    losses = cached("folk-fits", versions, lambda: Parsed({}, ngrams(symbols, len(alphabet)))).facts
    return Loaded({part: _batch(symbols[part], len(alphabet)) for part in symbols}, alphabet, fingerprint, losses)


def tunes(file: str, content: bytes) -> dict[str, str]:
    """Parse a file of tunes in ABC notation.

    file: its name, which begins the names of the tunes.
    content: its bytes.

    Returns the lines of each tune after its first field K: up to an empty line, without blanks at their ends, by name.
    """
    found = {}
    text = content.decode("latin-1").replace("\r", "").replace("\t", " ")
    for number, block in enumerate(re.split("^X:", text, flags=re.MULTILINE)[1:]):
        _, _, after = block.partition("\nK:")
        lines = [line.rstrip() for line in after.split("\n")[1:]]
        body = "\n".join(lines).lstrip("\n").partition("\n\n")[0].rstrip("\n")
        if body:
            found[f"{file} {number} X:{block.split()[0]}"] = body
    return found


def in_groups(bodies: dict[str, str]) -> Parsed:
    """Number the characters of some tunes, and find tunes that are nearly equal.

    bodies: by name.

    Returns the arrays `characters` uint8 of all tunes, `ends` and `group` of each, and the facts `names` and
    `alphabet`.
    """
    plain = [re.sub(r"\s", "", body) for body in bodies.values()]
    runs = [frozenset(body[start : start + GRAM] for start in range(len(body) - GRAM + 1)) for body in plain]
    alphabet = "".join(sorted(set("".join(bodies.values()))))
    number = {character: place for place, character in enumerate(alphabet)}
    arrays = {
        "characters": np.array([number[character] for body in bodies.values() for character in body], np.uint8),
        "ends": np.cumsum([len(body) for body in bodies.values()]),
        "group": np.array(similar(runs, SHARED), np.int64),
    }
    return Parsed(arrays, {"names": list(bodies), "alphabet": alphabet})


def ngrams(symbols: dict[str, list[np.ndarray[Any, Any]]], alphabet: int) -> dict[str, float]:
    """Return the losses on the test part of n-gram models of the train part, in nats per character, by name.

    symbols: of the tunes of each part.
    alphabet: number of characters.
    """
    losses = {}
    for order in ORDERS:
        model = Ngram(symbols["train"], alphabet, order)
        logs = [np.log(model.probabilities(tune)[1:]) for tune in symbols["test"]]  # the first one is not predicted
        names = {0: "no input, share of each character", 1: "last character"}
        losses[names.get(order, f"last {order} characters, n-gram")] = -float(np.concatenate(logs).mean())
    return losses


def _batch(tunes: list[np.ndarray[Any, Any]], alphabet: int) -> Batch:
    symbols = [torch.from_numpy(tune) for tune in tunes]
    inputs = [functional.one_hot(tune[:-1], alphabet).float() for tune in symbols]
    return every_step(inputs, [tune[1:] for tune in symbols])
