"""Speech: name the phone that is spoken at every step (TIMIT, from a copy of your own)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data import models
from ..data.batches import every_step, rows_of
from ..data.cache import Parsed, cached, digest
from ..data.listing import files_below, listing_hash, user_folder
from ..task import PARTS, Batch, Classification, DataTask

PARSER = 1
"""Version of what is computed from the files; a change makes every cached copy be made again."""
NEEDS = "a copy of TIMIT (LDC93S1): task.path=FOLDER with TRAIN and TEST in it"

RATE, FRAME, SHIFT = 16_000, 400, 160
"""Samples per second, per frame (25 ms) and from frame to frame (10 ms)."""
EMPHASIS = 0.97
TRANSFORM, BANDS, COEFFICIENTS = 2048, 40, 13
"""Points of the Fourier transform, mel bands, and cepstral coefficients, of which the first is the energy."""
LEAST_POWER = 1e-100
UNCOVERED = 1_600
"""So many samples of a sound (0.1 s) may have no phone in its PHN file, or be in that file only."""
VALIDATION_SHARE = 10
"""One in so many speakers of TRAIN is held out for the validation part."""
FITTED, PENALTY = 50_000, 1e-5
"""The model without memory is fitted to at most so many frames, evenly spaced, with so small a penalty."""

_PHONES = (
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l "
    "m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh"
)
PHONES = _PHONES.split()
"""The 61 phones of the corpus."""
SILENCE = PHONES.index("h#")
_SILENT = ("pcl", "tcl", "kcl", "bcl", "dcl", "gcl", "epi", "pau")
FOLDED = dict.fromkeys(_SILENT, "h#") | {
    "ao": "aa",
    "ax": "ah",
    "ax-h": "ah",
    "axr": "er",
    "el": "l",
    "em": "m",
    "en": "n",
    "eng": "ng",
    "hv": "hh",
    "ix": "ih",
    "nx": "n",
    "ux": "uw",
    "zh": "sh",
}
"""What 39 phones take together; the glottal stop q is left out."""


class Timit(DataTask, Classification, name="timit"):
    """Name the phone that is spoken, at every step of a sentence.

        input    39 numbers a step: the sound of 25 ms, every 10 ms
        target   h# h# h# sh sh sh sh ix ix hv hv hv eh eh eh eh eh dcl ...

    The data are not free: the Linguistic Data Consortium has them as LDC93S1. `path` is the folder with `TRAIN` and
    `TEST`. Names may have upper or lower case. The package soundfile is needed to read the sounds, which have 16,000
    samples a second; with all files that takes some two minutes, once, and the parts take half a gigabyte in memory.

    A frame has 400 samples and begins 160 samples after the one before, so that n samples have 1 + (n - 400) // 160
    frames. Each is multiplied by a Hamming window and then emphasised (from each sample 0.97 of the one before is
    taken). Its power spectrum of 2048 points is summed in 40 triangles on the mel scale; the first 13 coefficients of
    the orthonormal cosine transform of their logarithms, their differences and the differences of these
    (`numpy.gradient`) are the 39 inputs. They are standardised with mean and deviation of the training part. The target
    is the phone that most samples of a frame belong to. Samples without a phone count as h#.

    The sentences SA1 and SA2, which all speakers say, are left out. The test part are all speakers of TEST or those of
    `core_test`. The validation part is one in ten speakers of TRAIN, drawn by `split_seed`, or those of `validation`,
    who may be from TEST; nobody is in two parts. The sentences of a part are in a random order, drawn by `split_seed`.

    The loss is the cross-entropy in nats per frame. The floor, that of a model without memory, is the loss on the test
    part of a softmax regression of the present frame. There is no criterion of success; the score reaches 1 at a loss
    of 0. Greff et al. report rates of wrong frames (1 - `accuracy`) on the core test set, which no loss follows from.
    Their training part are all speakers of TRAIN, and their validation part the speakers of TEST whom Halberstadt
    lists.

    path: folder of your copy.
    phones: 61 as in the corpus, or 39 after Lee and Hon: allophones and silences are taken together, and frames of the
        glottal stop q are not asked for.
    core_test: text file with the names of the speakers of the test part, such as mdab0, or nothing for all.
    validation: text file with the names of the speakers of the validation part, or nothing to draw them from TRAIN.
    split_seed: of the order of the sentences, and of the speakers of the validation part where these are drawn.
    sha256: of the data, to be sure that they are those of another run.
    """

    source = (
        "Garofolo et al. 1993, 'TIMIT Acoustic-Phonetic Continuous Speech Corpus'; inputs, targets and parts: Greff et "
        "al. 2017, 'LSTM: A Search Space Odyssey', section IV; 39 phones: Lee & Hon 1989, 'Speaker-Independent Phone "
        "Recognition Using Hidden Markov Models'"
    )
    input_size = 3 * COEFFICIENTS
    unit = "nats per step"
    reference = 0.0
    reference_source = "A loss of 0: every phone is named with certainty. Published are error rates, no losses."

    def __init__(
        self,
        *,
        path: str = "",
        phones: int = 61,
        core_test: str = "",
        validation: str = "",
        split_seed: int = 0,
        sha256: str = "",
    ) -> None:
        self.path, self.phones = path, phones
        self.core_test, self.validation, self.split_seed = core_test, validation, split_seed
        if phones not in (61, 39):
            raise ValueError(f"{self.name}: phones must be 61 or 39, got {phones}")
        self.require("split_seed", 0)
        lists = tuple(_speakers(name, getattr(self, name)) for name in ("core_test", "validation"))
        self._loaded = _load(user_folder(path, self.name, NEEDS), phones, *lists, split_seed)
        self.output_size = phones
        self.floor = self._loaded.baselines["present step, softmax"]
        self.set_data(self._loaded.parts, self._loaded.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        return dict(self._loaded.baselines)


class _Loaded(NamedTuple):
    parts: dict[str, Batch]
    fingerprint: str
    baselines: dict[str, float]


class Sentence(NamedTuple):
    """A recorded sentence.

    side: TRAIN or TEST.
    speaker: such as mdab0, in lower case.
    sound, phones: its files.
    """

    side: str
    speaker: str
    sound: Path
    phones: Path


# Files
# --------------------------------------------------------------------------------------------------------------------


def _speakers(knob: str, path: str) -> tuple[str, ...]:
    """Return the speakers of a list, in lower case, sorted."""
    if not path:
        return ()
    try:
        names = Path(path).expanduser().read_text(encoding="utf-8").lower().split()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"timit: {knob} must be a text file with names of speakers, got {path!r}: {why}") from None
    if not names:
        raise ValueError(f"timit: {knob} must be a text file with names of speakers, got none in {path!r}")
    return tuple(sorted(set(names)))


def sentences(root: Path) -> list[Sentence]:
    """Return all sentences below a folder but SA1 and SA2, in the order of their names.

    root: the folder with TRAIN and TEST in it.

    Raises ValueError, in one line, where one of the two is missing or empty, or a sound has no phones beside it.
    """
    sides = {entry.name.upper(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    found = []
    for side in ("TRAIN", "TEST"):
        if side not in sides:
            raise ValueError(f"timit needs {NEEDS}, got no {side} in {root}")
        files = files_below(sides[side])
        named = {(file.parent, *_stem_and_kind(file)): file for file in reversed(files)}  # of two copies the first one
        sounds = sorted(key for key in named if key[2] == "WAV" and not key[1].startswith("SA"))
        if not sounds:
            raise ValueError(f"timit needs {NEEDS}, got no SI or SX sentence (.WAV) in {sides[side]}")
        for folder, stem, kind in sounds:
            sound, phones = named[folder, stem, kind], named.get((folder, stem, "PHN"))
            if phones is None:
                raise ValueError(f"timit: {sound} must have its phones beside it, got no {stem}.PHN")
            found.append(Sentence(side, folder.name.lower(), sound, phones))
    return found


def _stem_and_kind(file: Path) -> tuple[str, str]:
    """Return the name of a sentence and the kind of its file; SX1.WAV.wav is a copy of SX1.WAV."""
    stem, *kinds = file.name.upper().split(".")
    return stem, kinds[0] if kinds else ""


def samples_of(file: Path) -> np.ndarray[Any, Any]:
    """Return the samples [n] of a sound, from -1 to 1.

    Raises ValueError, in one line, where it cannot be read, has another rate or more than one channel, or is shorter
    than two frames.
    """
    import soundfile  # an extra; loaded where a sound is read

    try:
        samples, rate = soundfile.read(str(file), dtype="float64", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's own are of the second kind
        raise ValueError(f"timit: {file} must be a sound that soundfile reads: {error}") from None
    if rate != RATE or samples.shape[1] != 1:
        got = f"{rate} and {samples.shape[1]}"
        raise ValueError(f"timit: {file} must have {RATE} samples a second in one channel, got {got}")
    if len(samples) < FRAME + SHIFT:  # differences need two frames
        raise ValueError(f"timit: {file} must have at least {FRAME + SHIFT} samples, got {len(samples)}")
    return np.asarray(samples[:, 0])


def phones_of(file: Path, samples: int) -> np.ndarray[Any, Any]:
    """Return the number of the phone that each sample belongs to, [samples].

    file: with lines "start stop phone", in samples.
    samples: of the sound.

    Raises ValueError, in one line, where a line is another one, segments overlap, or they do not cover the sound.
    """
    phones, covered, before = np.full(samples, SILENCE), 0, 0
    for line in file.read_text(encoding="latin-1").splitlines():
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 3 or not all(word.isdigit() for word in words[:2]) or words[2].lower() not in PHONES:
            raise ValueError(f"timit: {file} must have lines 'start stop phone' of the 61 phones, got {line.strip()!r}")
        start, stop = int(words[0]), int(words[1])
        if start < before or stop <= start:
            raise ValueError(
                f"timit: {file} must have segments that follow one another, got {line.strip()!r} after sample {before}"
            )
        phones[start:stop] = PHONES.index(words[2].lower())
        covered, before = covered + max(0, min(stop, samples) - start), stop
    if samples - covered > UNCOVERED or before - samples > UNCOVERED:
        raise ValueError(
            f"timit: {file} must cover its sound of {samples} samples, got phones for {covered} of them, up to "
            f"sample {before}"
        )
    return phones


# Features
# --------------------------------------------------------------------------------------------------------------------


@cache
def mel_triangles() -> np.ndarray[Any, Any]:
    """Return the weight of each frequency in each band, [40, 1025].

    On the mel scale the bands are triangles of height 2 that begin and end at the middle of their neighbours.
    """
    frequencies = np.arange(TRANSFORM // 2 + 1) * RATE / TRANSFORM
    mel = np.log(1 + frequencies / 700)
    positions = mel / mel[-1] * (BANDS + 1)
    return np.asarray(2 * np.maximum(0, 1 - np.abs(positions - np.arange(1, BANDS + 1).reshape(-1, 1))))


@cache
def cosine_transform() -> np.ndarray[Any, Any]:
    """Return the first 13 rows of the orthonormal cosine transform (DCT-II) of 40 numbers, [13, 40]."""
    rows, columns = np.arange(COEFFICIENTS).reshape(-1, 1), np.arange(BANDS)
    matrix = np.sqrt(2 / BANDS) * np.cos(np.pi * rows * (2 * columns + 1) / (2 * BANDS))
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


def frames_of(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the frames of some samples [n] as a view, [1 + (n - 400) // 160, 400].

    >>> frames_of(np.arange(720)).shape
    (3, 400)
    """
    return np.lib.stride_tricks.sliding_window_view(values, FRAME)[::SHIFT]


def coefficients_of(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the mel-frequency cepstral coefficients of each frame of some samples [n], [T, 13]."""
    window = 0.54 - 0.46 * np.cos(2 * np.pi * (np.arange(FRAME) + 0.5) / FRAME)
    frames = frames_of(samples) * window
    frames[:, 1:] -= EMPHASIS * frames[:, :-1].copy()
    power = np.maximum(np.abs(np.fft.rfft(frames, TRANSFORM)) ** 2, LEAST_POWER)
    return np.asarray(np.log(power @ mel_triangles().T) @ cosine_transform().T)


def with_differences(coefficients: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return coefficients [T, 13], their differences and the differences of these, [T, 39]; T at least 2."""
    first = np.gradient(coefficients, axis=0)
    return np.concatenate([coefficients, first, np.gradient(first, axis=0)], 1)


def most_frequent(phones: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the phone that most samples of each frame belong to, [T]; of several the first by number.

    phones: [n], that of each sample.
    """
    frames = frames_of(phones)
    places = len(PHONES) * np.arange(len(frames)).reshape(-1, 1) + frames
    counts = np.bincount(places.ravel(), minlength=len(PHONES) * len(frames))
    return np.asarray(counts.reshape(-1, len(PHONES)).argmax(1))


# Parts
# --------------------------------------------------------------------------------------------------------------------


@cache
def _load(root: Path, phones: int, core_test: tuple[str, ...], validation: tuple[str, ...], seed: int) -> _Loaded:
    """Read all sentences, from the cache where the files are unchanged, and make the parts of them."""
    every = sentences(root)
    chosen = _parts_of(every, core_test, validation, seed)
    coefficients, labels, frames = _parsed(root, every)
    ends = np.cumsum(frames)
    sequences = [
        (with_differences(coefficients[end - count : end]), labels[end - count : end])
        for end, count in zip(ends, frames, strict=True)
    ]
    inside = np.concatenate([sequences[number][0] for number in chosen["train"]])
    mean, deviation = inside.mean(0), inside.std(0)
    deviation[deviation == 0] = 1
    parts = {
        part: _batch([((sequences[n][0] - mean) / deviation, sequences[n][1]) for n in numbers], phones)
        for part, numbers in chosen.items()
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {"coefficients": coefficients, "labels": labels, "frames": frames}
    fingerprint = digest({**arrays, "phones": np.array(phones), **{k: np.array(v) for k, v in chosen.items()}})
    versions = {"parser": PARSER, "torch": torch.__version__, "data": fingerprint}
    fitted = cached("timit-floor", versions, lambda: Parsed({}, _without_memory(parts, phones)))
    return _Loaded(parts, fingerprint, fitted.facts)


def _parsed(root: Path, every: list[Sentence]) -> tuple[np.ndarray[Any, Any], ...]:
    """Return coefficients [N, 13] and phones [N] of all frames of all sentences, and how many frames each one has."""
    files = [file for sentence in every for file in (sentence.sound, sentence.phones)]
    versions = {"parser": PARSER, "numpy": np.__version__, "files": listing_hash(root, files)}

    def parse() -> Parsed:
        if importlib.util.find_spec("soundfile") is None:
            raise ValueError("timit needs soundfile: pip install -c constraints.txt -e '.[speech]'")
        print(f"timit: reading {len(every)} sentences of {root}, once", file=sys.stderr)
        coefficients, labels = [], []
        for sentence in every:
            samples = samples_of(sentence.sound)
            coefficients.append(coefficients_of(samples).astype(np.float32))
            labels.append(most_frequent(phones_of(sentence.phones, len(samples))))
        frames = np.array([len(some) for some in labels])
        arrays = {"coefficients": np.concatenate(coefficients), "labels": np.concatenate(labels).astype(np.uint8)}
        return Parsed({**arrays, "frames": frames})

    found = cached("timit", versions, parse).arrays
    return found["coefficients"], found["labels"].astype(np.int64), found["frames"]


def _parts_of(
    every: list[Sentence], core_test: Iterable[str], validation: Iterable[str], seed: int
) -> dict[str, list[int]]:
    """Return the numbers of the sentences of each part, in a random order."""
    sides = {sentence.speaker: sentence.side for sentence in every}
    rng = np.random.default_rng(seed)
    speakers = {side: sorted(name for name in sides if sides[name] == side) for side in ("TRAIN", "TEST")}
    _known("core_test", core_test, speakers["TEST"], "TEST")
    _known("validation", validation, sides, "TRAIN or TEST")
    both = sorted(set(core_test) & set(validation))
    if both:
        raise ValueError(f"timit: nobody may be in core_test and validation, got {both[0]}")
    drawn = rng.permutation(speakers["TRAIN"])[: max(1, len(speakers["TRAIN"]) // VALIDATION_SHARE)]
    chosen = {"validation": set(validation or drawn.tolist())}
    chosen["test"] = set(core_test or speakers["TEST"]) - chosen["validation"]
    chosen["train"] = set(speakers["TRAIN"]) - chosen["validation"]
    parts = {}
    for part in PARTS:
        numbers = [number for number, sentence in enumerate(every) if sentence.speaker in chosen[part]]
        if not numbers:
            raise ValueError(f"timit: the part {part} must have speakers, got none; all are in the validation part")
        parts[part] = rng.permutation(numbers).tolist()
    return parts


def _known(knob: str, names: Iterable[str], speakers: Iterable[str], where: str) -> None:
    unknown = sorted(set(names) - set(speakers))
    if unknown:
        raise ValueError(f"timit: {knob} must name speakers of {where}, got {unknown[0]}")


def classes(phones: int) -> np.ndarray[Any, Any]:
    """Return the class of each of the 61 phones, [61], -1 for one that is left out.

    phones: 61 or 39.
    """
    if phones == len(PHONES):
        return np.arange(len(PHONES))
    kept = [phone for phone in PHONES if phone not in FOLDED and phone != "q"]
    return np.array([-1 if phone == "q" else kept.index(FOLDED.get(phone, phone)) for phone in PHONES])


def _batch(sequences: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], phones: int) -> Batch:
    """Return sentences, inputs [T, 39] and phones [T] of each, as a batch with an answer at every step."""
    table = torch.from_numpy(classes(phones))
    inputs = [torch.from_numpy(some.astype(np.float32)) for some, _ in sequences]
    batch = every_step(inputs, [table[torch.from_numpy(labels)] for _, labels in sequences])
    assert batch.weights is not None  # `every_step` makes them
    asked = (batch.weights > 0) & (batch.targets >= 0)
    reads = torch.where(asked, batch.reads, 0)
    return batch._replace(targets=batch.targets.clamp(min=0), reads=reads, weights=asked.float())


def _without_memory(parts: dict[str, Batch], phones: int) -> dict[str, float]:
    """Return the losses on the test part of models without memory, by name."""
    train, test = (rows_of(parts[part], 1) for part in ("train", "test"))
    shares = (torch.bincount(train.targets, minlength=phones) + 0.5).double()
    marginal = (shares / shares.sum()).log().expand(len(test.targets), -1)
    few = slice(None, None, max(1, len(train.targets) // FITTED))
    rows = models.Rows(train.features[few], train.targets[few])
    model = models.fit_linear(rows, models.cross_entropy, phones, PENALTY)
    return {
        "same answer at every step": models.mean_loss(models.cross_entropy, marginal, test),
        "present step, softmax": models.mean_loss(models.cross_entropy, model(test.features), test),
    }
