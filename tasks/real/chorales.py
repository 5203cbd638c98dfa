"""Chorales: predict the next chord of a chorale by Bach."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.batches import every_step, rows_of
from ..data.cache import Parsed, cached, digest
from ..data.keys import Key, durations, key_of, shift_to
from ..data.models import PENALTIES, Rows, best_linear, binary_cross_entropy, mean_loss, smoothed_shares
from ..data.musicxml import KEYS, read_score, roll
from ..data.packages import installed
from ..data.split import similar, split
from ..task import PARTS, Batch, DataTask, Density

PARSER, FITS = 1, 1
"""Versions of what is kept on disk: a change of the code below that changes numbers raises them."""
GRAM, SHARED = 6, 0.2
"""How many chords in a row are compared, and the part of them that nearly equal pieces share."""
PUBLISHED = 8.38
"""Nats per step of the best of the LSTMs of Greff et al. on another encoding of other chorales."""
TONICS = {"C": 0, "A": 9}


class Chorales(DataTask, Density, name="chorales"):
    """Hear the chords of a chorale by Bach, one each quarter note, and say at each step which keys sound next.

        input    C4 E4 G4 C5   C4 E4 G4 C5   B3 D4 G4 D5   ..     88 keys of a piano, 1 where one sounds
        target   C4 E4 G4 C5   B3 D4 G4 D5   C4 E4 G4 E5   ..     the input of the next step

    The pieces in four parts of the corpus of the package music21 (365 in version 10.5). A step is a quarter note: a key
    is on where a note sounds at that instant, so that held and repeated notes look alike and what lies between is
    dropped. Steps at which all voices rest are kept. The key of a piece is the one whose profile (Bellman & Budge)
    correlates best with the time that each pitch class sounds; pieces in major are transposed to C, by at most six
    semitones. Pieces of which more than a fifth of the runs of six chords occur in another, in whatever key, stay
    together; the groups are dealt out to the parts 60 : 20 : 20. The first chord is not predicted.

    The loss is the cross-entropy summed over the 88 keys, in nats a step, over all steps of a part; `sequence_loss` is
    the mean over pieces. The best model without memory sees the present chord only: its floor is that of a logistic
    regression, fitted to the train part, with the penalty that the validation part chooses. There is no criterion by
    which the task would be solved; the score is 1 at 8.38 nats.

    minor: the tonic of pieces in minor, C or A.
    repeats: whether what stands between signs of repetition is played twice.
    split_seed: of the permutation of the groups.
    sha256: of the data and their parts, where they must be those of an earlier run; empty for no such claim.

    Differs from JSB Chorales (Boulanger-Lewandowski et al. 2012): other encodings of partly other chorales, an octave
    lower, another rule for the key, another split.
    """

    source = (
        "data: the corpus of music21 (Cuthbert & Ariza 2010); task: after Boulanger-Lewandowski, Bengio & Vincent "
        "2012, 'Modeling Temporal Dependencies in High-Dimensional Sequences'"
    )
    reference = PUBLISHED
    reference_source = (
        "the best of 200 LSTMs of Greff et al. 2015 on JSB Chorales: another encoding of partly other chorales, with "
        "another split"
    )

    def __init__(self, *, minor: str = "C", repeats: bool = False, split_seed: int = 0, sha256: str = "") -> None:
        if minor not in TONICS:
            raise ValueError(f"chorales: minor must be C or A, got {minor}")
        self.minor, self.repeats, self.split_seed = minor, repeats, split_seed
        self.input_size = self.output_size = KEYS
        self._data = load(minor, repeats, split_seed)
        self.floor = self._data.losses["last chord, logistic"]
        self.set_data(self._data.parts, self._data.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        versions = versions_of(self.fingerprint)
        windows = cached("chorales-windows", versions, lambda: Parsed({}, window_models(self.parts)))
        return {**self._data.losses, **windows.facts, "published for other chorales": PUBLISHED}


class Loaded(NamedTuple):
    """What all tasks of the same knobs share.

    parts: by name.
    names: of the pieces of each part.
    fingerprint: of the pieces and the parts.
    losses: of simple models, on the test part.
    """

    parts: dict[str, Batch]
    names: dict[str, list[str]]
    fingerprint: str
    losses: dict[str, float]


@cache
def load(minor: str, repeats: bool, split_seed: int) -> Loaded:
    """Read, transpose and split the pieces, once a process; the arguments are knobs of the task."""
    arrays, facts = pieces(repeats)
    names = facts["names"]
    rolls = np.split(np.unpackbits(arrays["rolls"], axis=1), arrays["ends"][:-1])
    tonics = [TONICS[minor] if is_minor else 0 for is_minor in arrays["minor"]]
    keys = [Key(int(tonic), bool(is_minor)) for tonic, is_minor in zip(arrays["tonic"], arrays["minor"], strict=True)]
    moved = [np.roll(r, shift_to(key, to), 1) for r, key, to in zip(rolls, keys, tonics, strict=True)]
    chosen = split("chorales", names, arrays["group"].tolist(), split_seed)
    parts = {}
    for part in PARTS:
        sequences = [torch.from_numpy(moved[place]).float() for place in chosen[part]]
        parts[part] = every_step([s[:-1] for s in sequences], [s[1:] for s in sequences])
    shares = {part: np.array(chosen[part]) for part in PARTS}
    fingerprint = digest({"rolls": np.concatenate(moved), "ends": arrays["ends"], **shares})
    losses = cached("chorales-fits", versions_of(fingerprint), lambda: Parsed({}, simple_models(parts))).facts
    return Loaded(parts, {part: [names[place] for place in chosen[part]] for part in PARTS}, fingerprint, losses)


def versions_of(fingerprint: str) -> dict[str, Any]:
    """Return what fits that are kept on disk must have been made with."""
    return {"data": fingerprint, "fits": FITS}


def pieces(repeats: bool) -> Parsed:
    """Return the pieces as they are written, from disk where they were parsed before.

    repeats: see the knob.

    Returns the arrays `rolls` [steps of all pieces, 11] of packed bits, `ends` [P], `tonic` [P], `minor` [P] and
    `group` [P], and the fact `names`.
    Raises ValueError where music21 is not installed.
    """
    package = installed("chorales", "music21", "music")
    folder = package.folder / "corpus" / "bach"

    def parse() -> Parsed:
        print("chorales: reads the corpus and fits its floor, once; about 40 s of processor time", file=sys.stderr)
        files = {path.stem: path.read_bytes() for path in folder.iterdir() if path.suffix in (".mxl", ".xml")}
        return in_four_parts(files, repeats)

    return cached("chorales", {"music21": package.version, "parser": PARSER, "repeats": repeats}, parse)


def in_four_parts(files: dict[str, bytes], repeats: bool) -> Parsed:
    """Parse those scores that have four parts.

    files: contents by name.
    repeats: see the knob.

    Returns what `pieces` describes.
    """
    names, rolls, keys = [], [], []
    for name, content in sorted(files.items()):
        score = read_score(content)
        found = roll(score, repeats)
        if score.parts == 4 and len(found) >= GRAM:
            names.append(name)
            rolls.append(found)
            keys.append(key_of(durations(score)))
    arrays = {
        "rolls": np.packbits(np.concatenate(rolls), axis=1),
        "ends": np.cumsum([len(found) for found in rolls]),
        "tonic": np.array([key.tonic for key in keys]),
        "minor": np.array([key.minor for key in keys]),
        "group": np.array(similar([runs(found) for found in rolls], SHARED), np.int64),
    }
    return Parsed(arrays, {"names": names})


def runs(piece: np.ndarray[Any, Any]) -> frozenset[tuple[tuple[int, ...], ...]]:
    """Return the runs of `GRAM` chords of a piece, the same in every key.

    piece: [steps, 88].

    Returns each run once, a chord as its keys above the lowest of the first chord that is not silent.
    """
    chords = [np.flatnonzero(row).tolist() for row in piece]
    found: set[tuple[tuple[int, ...], ...]] = set()
    for start in range(len(chords) - GRAM + 1):
        run = chords[start : start + GRAM]
        lowest = next((chord[0] for chord in run if chord), 0)
        found.add(tuple(tuple(key - lowest for key in chord) for chord in run))
    return frozenset(found)


def simple_models(parts: dict[str, Batch]) -> dict[str, float]:
    """Return the losses on the test part of models without memory that were fitted to the train part, by name.

    A key that is never on in the train part gets the same small probability from all models.
    """
    rows = {part: rows_of(batch, 0) for part, batch in parts.items()}
    constant = smoothed_shares(rows["train"].targets).logit().expand(len(rows["test"].targets), -1)
    return {
        "no input, share of each key": mean_loss(binary_cross_entropy, constant, rows["test"]),
        "each key from its own last value": mean_loss(binary_cross_entropy, own_last_value(parts), rows["test"]),
        "last chord, logistic": _of_last_chords(parts, 1, PENALTIES[2:], 1e-9),
    }


def window_models(parts: dict[str, Batch]) -> dict[str, float]:
    """Return the losses on the test part of logistic models of the last 2, 4 and 8 chords, by name.

    They take most of a minute, for which nobody waits who only trains.
    """
    return {f"last {n} chords, logistic": _of_last_chords(parts, n, PENALTIES[3:6], 1e-5) for n in (2, 4, 8)}


def _of_last_chords(parts: dict[str, Batch], chords: int, penalties: Sequence[float], tolerance: float) -> float:
    """Return the loss on the test part of a logistic model of some chords; the validation part chooses its penalty."""
    rows = {part: rows_of(batch, 0) for part, batch in parts.items()}
    on = rows["train"].targets.any(0)
    constant = smoothed_shares(rows["train"].targets).logit().expand(len(rows["test"].targets), -1)
    never = mean_loss(binary_cross_entropy, constant[:, ~on], Rows(constant, rows["test"].targets[:, ~on]))
    seen = {part: _of_keys(rows_of(batch, chords), on) for part, batch in parts.items()}
    model = best_linear(seen["train"], seen["validation"], binary_cross_entropy, int(on.sum()), penalties, tolerance)
    return never + mean_loss(binary_cross_entropy, model(seen["test"].features), seen["test"])


def own_last_value(parts: dict[str, Batch]) -> Tensor:
    """Return the logits of the test part [N, 88] of a model that knows of each key only whether it is on now."""
    train, test = rows_of(parts["train"], 1), rows_of(parts["test"], 1)
    was_on = train.features.bool()
    after = [((train.targets * was).sum(0).double() + 0.5) / (was.sum(0).double() + 1) for was in (~was_on, was_on)]
    return torch.where(test.features.bool(), after[1], after[0]).logit()


def _of_keys(rows: Rows, on: Tensor) -> Rows:
    """Return rows without the keys that never sound, neither in features [N, chords * 88] nor in targets [N, 88]."""
    return Rows(rows.features.view(len(rows.features), -1, KEYS)[..., on].flatten(1), rows.targets[:, on])
