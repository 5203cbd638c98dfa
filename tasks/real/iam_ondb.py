"""Online handwriting: read a line of text from the movement of the pen (IAM-OnDB, from a copy of your own)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import torch

from ..data.batches import every_step
from ..data.cache import Parsed, cached, digest
from ..data.listing import listing_hash, user_folder
from ..task import PARTS, Batch, DataTask
from .ctc import Transcription, alignable, fit_without_memory, loss_per_label, memoryless_answers

PARSER = 1
"""Version of what is read from the files and fitted to it; a change makes every cached copy be made again."""
NEEDS = "a copy of IAM-OnDB: task.path=FOLDER with lineStrokes-all, ascii-all and trainset.txt in it"
LISTS = {"train": ("trainset",), "validation": ("testset_v", "testset_t"), "test": ("testset_f",)}
"""Which lists of forms make a part."""
STROKES = ("lineStrokes-all/lineStrokes", "lineStrokes-all", "lineStrokes")
TEXTS = ("ascii-all/ascii", "ascii-all", "ascii")
FORM = re.compile(r"((\w+)-\d+)[a-zA-Z]?")
"""Name of a form, such as a01-000u; it is in the folder a01/a01-000."""
MEASURED = 3
"""The first so many of the inputs are measured values, which are standardised; the last one is 0 or 1."""
FITTED, TESTED = 500, 500
"""The models without memory are fitted to and tested on at most so many lines: to test on all takes minutes."""


class IamOnDB(DataTask, Transcription, name="iam_ondb"):
    """Read the characters of a handwritten line from the movement of the pen.

        input    dx   dy   time  pen-up     a point of the pen at every step
        target   "A MOVE to stop Mr. Gaitskell"     not aligned with the points: CTC

    The data are not free: ask for IAM-OnDB at the University of Applied Sciences of Western Switzerland in Fribourg.
    `path` is the folder with `lineStrokes-all`, `ascii-all` and, in it or in a folder in it such as `task1`, the lists
    `trainset.txt`, `testset_v.txt`, `testset_t.txt` and `testset_f.txt`. The first is the training part, the next two
    together are the validation part, and the last one is the test part, as in Greff et al.

    Inputs are the distance from the point before (dx, dy, also from stroke to stroke), the time since the stroke began
    in seconds, and 1 at the last point of a stroke. The first three are standardised with mean and deviation of the
    training part. Of each stroke every `subsample`-th point is kept, counted back from its last one, so that the ends
    of strokes stay. Labels are the characters of the line behind "CSR:" in the text of its form, as they are in all
    three parts together; a line without strokes is left out. The lines of a part are in a fixed random order.

    The loss is that of CTC in nats per character, and `label_error_rate` is the character error rate. The floor is the
    loss on the test part of the better of two models without memory, by the validation part: one and the same
    distribution at every step, and a softmax regression of the present step. Both are fitted by CTC to the first 500
    lines and tested on the first 500. There is no criterion of success; the score reaches 1 at a loss of 0. Greff et
    al. report character error rates, which no loss follows from.

    path: folder of your copy.
    subsample: keep one in so many points; 1 for all. Greff et al. took every second one.
    sha256: of the data, to be sure that they are those of another run.
    """

    source = (
        "Liwicki & Bunke 2005, 'IAM-OnDB, an On-Line English Sentence Database Acquired from Handwritten Text on a "
        "Whiteboard'; inputs and parts: Greff et al. 2017, 'LSTM: A Search Space Odyssey', section IV"
    )
    input_size = 4
    reference = 0.0
    reference_source = "A loss of 0: every character is read with certainty. Published are error rates, no losses."

    def __init__(self, *, path: str = "", subsample: int = 2, sha256: str = "") -> None:
        self.path, self.subsample = path, subsample
        self.require("subsample", 1)
        self._loaded = _load(user_folder(path, self.name, NEEDS), subsample)
        self.alphabet = self._loaded.alphabet
        self.output_size = len(self.alphabet) + 1
        self.floor = self._loaded.floor
        self.set_data(self._loaded.parts, self._loaded.fingerprint, sha256)

    def baselines(self) -> dict[str, float]:
        return dict(self._loaded.without_memory["test"])


class _Loaded(NamedTuple):
    """All data; `without_memory` has the losses of the models without memory, by part and name."""

    parts: dict[str, Batch]
    alphabet: str
    fingerprint: str
    without_memory: dict[str, dict[str, float]]

    @property
    def floor(self) -> float:
        """The loss on the test part of the better model without memory, by the validation part."""
        chosen = min(self.without_memory["validation"].items(), key=lambda named: named[1])[0]
        return self.without_memory["test"][chosen]


class Line(NamedTuple):
    """A handwritten line.

    name: of its file, such as a01-000u-01.
    inputs: [T, 4] float32: dx, dy, time since the stroke began, pen-up.
    text: its characters.
    """

    name: str
    inputs: np.ndarray[Any, Any]
    text: str


@cache
def _load(root: Path, subsample: int) -> _Loaded:
    """Read all parts, from the cache where the files are unchanged."""
    forms = {part: _forms(root, part) for part in PARTS}
    strokes, texts = _folder(root, STROKES), _folder(root, TEXTS)
    lines = {form: _line_files(strokes, form) for names in forms.values() for form in names}
    files = [file for found in lines.values() for file in found]
    files += [text for form in lines if (text := _text_file(texts, form)).is_file()]
    versions = {
        "parser": PARSER,
        "numpy": np.__version__,
        "subsample": subsample,
        "files": listing_hash(root, files),
        "forms": digest({part: np.array(names) for part, names in forms.items()}),
    }

    def parse() -> Parsed:
        print(f"iam_ondb: reading {len(files)} files of {root}, once", file=sys.stderr)
        return _parsed({part: _lines(texts, lines, forms[part], subsample) for part in PARTS})

    found = cached("iam_ondb", versions, parse)
    alphabet = found.facts["alphabet"]
    parts, fingerprint = _parts(found.arrays), digest({**found.arrays, "alphabet": np.array(list(alphabet))})
    versions = {"parser": PARSER, "torch": torch.__version__, "data": fingerprint}
    fitted = cached("iam_ondb-floor", versions, lambda: Parsed({}, _without_memory(parts, len(alphabet) + 1)))
    return _Loaded(parts, alphabet, fingerprint, fitted.facts)


def _without_memory(parts: dict[str, Batch], outputs: int) -> dict[str, dict[str, float]]:
    """Return the losses of models without memory, by part and name."""
    train = parts["train"].part(0, FITTED)
    held_out = {part: parts[part].part(0, TESTED) for part in ("validation", "test")}
    losses: dict[str, dict[str, float]] = {part: {} for part in held_out}
    for name, inputs in (("same answer at every step", False), ("present step, softmax", True)):
        model = fit_without_memory(train, outputs, inputs)
        for part, batch in held_out.items():
            losses[part][name] = float(loss_per_label(memoryless_answers(batch, *model), batch))
    return losses


def _forms(root: Path, part: str) -> list[str]:
    """Return the names of the forms of a part."""
    names: list[str] = []
    for stem in LISTS[part]:
        places = [root / f"{stem}.txt", *sorted(root.glob(f"*/{stem}.txt"))]
        place = next((place for place in places if place.is_file()), None)
        if place is None:
            raise ValueError(f"iam_ondb needs {NEEDS}, got no {stem}.txt in {root} or a folder in it")
        found = place.read_text(encoding="latin-1").split()
        wrong = next((name for name in found if not FORM.fullmatch(name)), None)
        if wrong is not None or not found:
            got = "none" if wrong is None else repr(wrong)
            raise ValueError(f"iam_ondb: {place} must list names of forms, such as a01-000u, got {got}")
        names += found
    return names


def _folder(root: Path, choices: Iterable[str]) -> Path:
    """Return the first folder that there is."""
    found = next((root / choice for choice in choices if (root / choice).is_dir()), None)
    if found is None:
        raise ValueError(f"iam_ondb needs {NEEDS}, got no {' or '.join(choices)} in {root}")
    return found


def _place(form: str) -> str:
    """Return the folder that a form is in: a01/a01-000 for a01-000u."""
    match = FORM.fullmatch(form)
    assert match is not None  # `_forms` has checked it
    return f"{match[2]}/{match[1]}"


def _line_files(strokes: Path, form: str) -> list[Path]:
    """Return the files of the lines of a form, sorted."""
    return sorted((strokes / _place(form)).glob(f"{form}-[0-9]*.xml"))


def _text_file(texts: Path, form: str) -> Path:
    return texts / _place(form) / f"{form}.txt"


def _lines(texts: Path, files: dict[str, list[Path]], forms: list[str], subsample: int) -> list[Line]:
    """Return the lines of some forms."""
    found, left_out = [], 0
    for form in forms:
        text = text_of(_text_file(texts, form))
        numbered = {int(file.stem.rpartition("-")[2]): file for file in files[form]}
        if not numbered:
            raise ValueError(f"iam_ondb: the form {form} must have files {form}-01.xml, ..., got none")
        for number, line in enumerate(text, 1):
            if number in numbered:
                file = numbered[number]
                found.append(Line(file.stem, inputs_of(strokes_of(file), subsample), line))
        left_out += len(set(numbered) ^ set(range(1, len(text) + 1)))
    if left_out:
        print(f"iam_ondb: {left_out} lines have strokes or a text only and are left out", file=sys.stderr)
    return found


def text_of(file: Path) -> list[str]:
    """Return the lines behind "CSR:" in the text of a form; empty ones are left out.

    file: such as ascii-all/ascii/a01/a01-000/a01-000u.txt.

    Raises ValueError, in one line, where there is no such file, or no line in it.
    """
    if not file.is_file():
        raise ValueError(f"iam_ondb: {file.name} must be beside the other texts, got no {file}")
    _, mark, text = file.read_text(encoding="latin-1").partition("CSR:")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        got = f"nothing behind {mark}" if mark else "no CSR:"
        raise ValueError(f"iam_ondb: {file} must have the lines of the form behind CSR:, got {got}")
    return lines


def strokes_of(file: Path) -> list[np.ndarray[Any, Any]]:
    """Return the strokes of a line, each [n, 3]: x, y, and time in seconds.

    file: such as lineStrokes-all/lineStrokes/a01/a01-000/a01-000u-01.xml.

    Raises ValueError, in one line, where it is no such file.
    """
    try:
        root = ElementTree.parse(file).getroot()
        strokes = [
            np.array([[float(point.attrib[name]) for name in ("x", "y", "time")] for point in stroke.iter("Point")])
            for stroke in root.iter("Stroke")
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"iam_ondb: {file} must be strokes of points x, y, time in XML: {error}") from None
    strokes = [stroke for stroke in strokes if len(stroke)]
    if not strokes or not all(np.isfinite(stroke).all() for stroke in strokes):
        got = "a number that is not finite" if strokes else "no point"
        raise ValueError(f"iam_ondb: {file} must be strokes of points x, y, time in XML, got {got}")
    return strokes


def inputs_of(strokes: list[np.ndarray[Any, Any]], subsample: int) -> np.ndarray[Any, Any]:
    """Return the inputs [T, 4] of a line: dx, dy, time since the stroke began, pen-up.

    strokes: each [n, 3], n at least 1: x, y, time.
    subsample: of each stroke one in so many points is kept, counted back from its last one.

    >>> stroke = np.array([[1.0, 5.0, 10.0], [2.0, 5.0, 11.0], [4.0, 6.0, 12.0]])
    >>> inputs_of([stroke, stroke[:1]], 2).tolist()
    [[0.0, 0.0, 0.0, 0.0], [3.0, 1.0, 2.0, 1.0], [-3.0, -1.0, 0.0, 1.0]]
    """
    kept = [stroke[(len(stroke) - 1) % subsample :: subsample] for stroke in strokes]
    points = np.concatenate([stroke[:, :2] for stroke in kept])
    moves = np.diff(points, axis=0, prepend=points[:1])
    times = np.concatenate([some[:, 2] - stroke[0, 2] for some, stroke in zip(kept, strokes, strict=True)])
    ends = np.zeros(len(points))
    ends[np.cumsum([len(stroke) for stroke in kept]) - 1] = 1
    return np.column_stack([moves, times, ends]).astype(np.float32)


def _parsed(parts: dict[str, list[Line]]) -> Parsed:
    """Return the lines of all parts one after the other, the measured inputs standardised by the training part."""
    for part, lines in parts.items():
        if not lines:
            raise ValueError(f"iam_ondb: the part {part} must have lines, got none with strokes and a text")
    alphabet = "".join(sorted({letter for lines in parts.values() for line in lines for letter in line.text}))
    labels = {letter: label for label, letter in enumerate(alphabet)}
    measured = np.concatenate([line.inputs[:, :MEASURED] for line in parts["train"]]).astype(np.float64)
    mean, deviation = measured.mean(0), measured.std(0)
    deviation[deviation == 0] = 1
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part, lines in parts.items():
        order = np.random.default_rng(0).permutation(len(lines))
        ordered = [lines[number] for number in order]
        inputs = np.concatenate([line.inputs for line in ordered])
        inputs[:, :MEASURED] = (inputs[:, :MEASURED] - mean) / deviation
        arrays[f"{part}_inputs"] = inputs
        arrays[f"{part}_steps"] = np.array([len(line.inputs) for line in ordered])
        arrays[f"{part}_labels"] = np.array([labels[letter] for line in ordered for letter in line.text])
        arrays[f"{part}_characters"] = np.array([len(line.text) for line in ordered])
    return Parsed(arrays, {"alphabet": alphabet})


def _parts(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, Batch]:
    """Return the parts as batches; ValueError where no line of a part can be aligned."""
    parts = {}
    for part in PARTS:
        steps, characters = arrays[f"{part}_steps"].tolist(), arrays[f"{part}_characters"].tolist()
        inputs = torch.split(torch.from_numpy(arrays[f"{part}_inputs"]), steps)
        labels = torch.split(torch.from_numpy(arrays[f"{part}_labels"]), characters)
        parts[part] = every_step(inputs, labels)._replace(target_lengths=torch.tensor(characters))
        if not alignable(parts[part]).any():
            raise ValueError(
                f"iam_ondb: a line must have at least as many points as characters, and one more between equal ones, "
                f"got none in the part {part} that has; task.subsample is too large"
            )
    return parts
