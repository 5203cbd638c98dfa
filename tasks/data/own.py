"""Turns a user's sequences into three parts: splits them, cuts windows, finds the kind of problem, writes numbers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..task import PARTS, Batch
from .batches import every_step
from .cache import digest
from .files import Table

Array = np.ndarray[Any, Any]

KINDS = ("auto", "regression", "classification", "multilabel")
ANSWERS = ("auto", "end", "every")
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What the values of a given split may be called, in small letters."""
FEW_CLASSES = 20
"""Whole numbers with at most so many different values are understood as classes."""
MOST_CLASSES = 1000
"""The largest number of classes of a target, and of symbols of a column."""
USUAL_WINDOW = 100
"""Steps of the windows that one long series is cut into, unless the knob or a shorter part says otherwise."""
LEAST_WINDOW, FEWEST_WINDOWS = 10, 32
"""Such a window has fewer steps, down to this, where the training part would have less than so many of them."""
MOST_NUMBERS = 2**30
"""The largest number of inputs of a part, padding included: 4 GB."""


class Options(NamedTuple):
    """What a user says about the problem, see the knobs of `tasks.Sequences`."""

    kind: str = "auto"
    answers: str = "auto"
    ahead: int = 0
    inputs_named: bool = False
    shares: tuple[float, ...] = (0.6, 0.2, 0.2)
    split_seed: int = 0
    window: int = 0
    stride: int = 0
    standardise: bool = True


class Piece(NamedTuple):
    """Some rows one below the other that are seen together: a sequence, a part of a series in time, or a window.

    start: number of the first row.
    steps: number of rows.
    part: of the data.
    """

    start: int
    steps: int
    part: str


class Prepared(NamedTuple):
    """Data that a task can give out.

    parts: the sequences of each part.
    kind: regression, classification or multilabel.
    answers: end or every.
    causal: whether the answer is a later step of the inputs, so that a network may not read backwards.
    inputs: names of the inputs [I].
    outputs: names of the outputs [O]: targets, or classes.
    present: for a regression of later steps, the inputs [O] that are the present values of the targets, else empty.
    mean: of the targets of the training part [O], as the batches have them; of a regression.
    deviation: what the targets were divided by [O], of a regression.
    facts: what was understood, as pairs of a heading and a text.
    fingerprint: SHA-256 over the values that are used and their parts.
    """

    parts: dict[str, Batch]
    kind: str
    answers: str
    causal: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    present: tuple[int, ...]
    mean: Array
    deviation: Array
    facts: list[tuple[str, str]]
    fingerprint: str


def prepare(table: Table, options: Options) -> Prepared:
    """Turn sequences into the parts of a task.

    table: the sequences, as they stand in the file.
    options: what the user says about the problem.

    Returns the parts, and what was understood.
    Raises ValueError, in one line, for what cannot be a problem.
    """
    ahead = options.ahead if table.targets else max(1, options.ahead)
    inputs, targets = _columns(table, options, ahead)
    once = _asked_once(table, options, targets, ahead)
    kind = _kind(table, options, targets, ahead)
    sequences, how = _split(table, options, ahead)
    pieces, cut = _windows(table, options, sequences, ahead)
    seen, asked = _rows_of(pieces, table, once, ahead)
    symbols = set(targets) & set(inputs) if kind == "classification" else set()
    values, names, notes = _encoded_inputs(table, inputs, symbols, seen, options.standardise)
    answers = _encoded_targets(
        table, targets, kind, asked, seen["train"] if ahead else asked["train"], options.standardise
    )
    # a file may be sorted by class or length
    order = np.random.default_rng(options.split_seed).permutation(len(pieces))
    pieces = [pieces[number] for number in order.tolist()]
    parts = {part: _batch(part, pieces, values, answers.values, once, ahead) for part in PARTS}
    in_sight = ahead > 0 and kind == "regression" and set(targets) <= set(names)
    present = tuple(names.index(target) for target in targets) if in_sight else ()
    arrays: dict[str, Array] = {f"column {name}": _for_digest(table.columns[name]) for name in {*inputs, *targets}}
    arrays["pieces"] = np.array([(piece.start, piece.steps, PARTS.index(piece.part)) for piece in pieces])
    facts = [
        ("Rows", _size_of(table)),
        *([("Understood", "; ".join(table.found))] if table.found else []),
        ("Inputs", f"{len(names)} a step: {_listed(names)}" + notes),
        ("Targets", _asked(targets, kind, once, ahead, options) + answers.note),
        ("Parts", how),
        *([("Windows", cut)] if cut else []),
        *((part, _part_in_words(part, parts[part], kind, answers.names)) for part in PARTS),
    ]
    return Prepared(
        parts,
        kind,
        "end" if once else "every",
        ahead > 0,
        tuple(names),
        tuple(answers.names),
        present,
        answers.mean,
        answers.deviation,
        facts,
        digest(arrays),
    )


# What is asked
# ---------------------------------------------------------------------------------------------------------------------


def _columns(table: Table, options: Options, ahead: int) -> tuple[list[str], list[str]]:
    """Return the columns that are seen and those that are answered."""
    if not table.targets:
        return list(table.inputs), list(table.inputs)
    both = [name for name in table.targets if name in table.inputs]
    if both and ahead == 0:
        raise ValueError(f"target {both[0]!r} must not be among the inputs, unless ahead is at least 1, got ahead=0")
    if ahead > 0 and table.once:
        raise ValueError(f"ahead must be 0 where there is one target for each sequence, got {ahead}")
    if ahead > 0 and not options.inputs_named:
        return list(table.columns), list(table.targets)
    return list(table.inputs), list(table.targets)


def _asked_once(table: Table, options: Options, targets: Sequence[str], ahead: int) -> bool:
    """Return True where one answer is asked at the end of each sequence, False where one is asked at every step."""
    if options.answers != "auto":
        return options.answers == "end"
    if table.once is not None:
        return table.once
    constant = all(_first_change(table, table.columns[name]) < 0 for name in targets)
    return constant and ahead == 0 and len(table.lengths) > 1


def _kind(table: Table, options: Options, targets: Sequence[str], ahead: int) -> str:
    """Return the kind of problem that the targets are, or the one that was asked for, if they can be that."""
    columns = {name: table.columns[name] for name in targets}
    text = [name for name, values in columns.items() if values.dtype.kind == "O"]
    if len(text) > 1 or (text and len(columns) > 1):
        numbers = [name for name in targets if name not in text]
        got = f"names in {_listed(text)}" + (f" and numbers in {_listed(numbers)}" if numbers else "")
        raise ValueError(f"target must be one column of names, or columns of numbers, got {got}; choose with target=")
    kind = options.kind
    if text:
        if kind not in ("auto", "classification"):
            raise ValueError(f"kind must be classification where the target {text[0]!r} holds names, got {kind}")
        return "classification"
    binary = all(_is_binary(values) for values in columns.values())
    if kind == "auto":
        if len(columns) == 1:
            (values,) = columns.values()
            few = len(np.unique(values)) <= FEW_CLASSES and _first_broken(values) < 0
            return "classification" if few else "regression"
        if binary and ahead == 0 and _one_each(columns):
            return "classification"
        return "multilabel" if binary else "regression"
    if kind == "classification" and len(columns) > 1 and not (binary and _one_each(columns)):
        raise ValueError(
            f"target must be one column for a classification, or columns with a single 1 in each row, got "
            f"{_listed(list(columns))}"
        )
    for name, values in columns.items():
        if kind == "classification" and (row := _first_broken(values)) >= 0:
            raise ValueError(f"target {name!r} must be names or whole numbers, got {values[row]} at {table.where(row)}")
        if kind == "multilabel" and not _is_binary(values):
            row = int(np.argmax((values != 0) & (values != 1)))
            raise ValueError(
                f"target {name!r} must be 0 or 1 for kind=multilabel, got {values[row]:g} at {table.where(row)}"
            )
    return kind


def _is_binary(values: Array) -> bool:
    return values.dtype.kind == "f" and bool(((values == 0) | (values == 1)).all())


def _one_each(columns: dict[str, Array]) -> bool:
    return bool((np.sum(list(columns.values()), axis=0) == 1).all())


def _first_broken(values: Array) -> int:
    """Return the first row whose number is not whole; -1 if there is none."""
    return _first(values != np.floor(values))


def _first(found: Array) -> int:
    """Return the first row for which something is true [R]; -1 if there is none."""
    return int(np.argmax(found)) if found.any() else -1


# Parts and windows
# ---------------------------------------------------------------------------------------------------------------------


def _split(table: Table, options: Options, ahead: int) -> tuple[list[Piece], str]:
    """Return the sequences, or parts of a series in time, with the part of the data that each belongs to; in words."""
    starts = np.cumsum(table.lengths) - table.lengths
    short = np.flatnonzero(table.lengths <= ahead)
    if len(short):
        rule = f"sequences must have more than {ahead} steps, as the answers lie {ahead} ahead"
        raise ValueError(f"{rule}, got {table.lengths[short[0]]} {_of_sequence(table, int(short[0]))}")
    groups = _groups(table, starts)
    if table.split is not None:
        pieces, how = _given(table, options, starts), "as the file says"
    elif len(table.lengths) == 1:
        pieces, how = _in_time(int(table.lengths[0]), options.shares), "one after the other in time, without overlap"
    else:
        pieces = _drawn(table, options, starts, groups)
        how = f"sequences by chance (shares {_numbers(options.shares)}, split_seed={options.split_seed})"
    if table.group is not None and len(table.lengths) > 1:
        _check_groups(table, pieces)
        how += f"; {len(set(groups))} groups that stay together"
    empty = [part for part in PARTS if not any(piece.part == part for piece in pieces)]
    if empty:
        what = "groups" if table.group is not None else "sequences"
        count = len(set(groups))
        got = f"{count} {what}" if len(starts) > 1 else f"one series of {_steps(int(table.lengths[0]))}"
        raise ValueError(f"split must leave something to each of {', '.join(PARTS)}, got {got}, none in {empty[0]}")
    return pieces, how


def _groups(table: Table, starts: Array) -> list[str]:
    """Return the group of each sequence; without groups each is one of its own."""
    if table.group is None:
        return [str(number) for number in range(len(starts))]
    if len(starts) > 1 and (row := _first_change(table, table.group)) >= 0:
        raise ValueError(
            f"group must be the same in the whole of a sequence, got {table.group[row]!r} at {table.where(row)}"
        )
    return [str(table.group[start]) for start in starts]


def _first_change(table: Table, values: Array) -> int:
    """Return the first row that has another value than the first row of its sequence; -1 if there is none."""
    firsts = np.repeat(values[np.cumsum(table.lengths) - table.lengths], table.lengths)
    return _first(values != firsts)


def _given(table: Table, options: Options, starts: Array) -> list[Piece]:
    """Return the pieces of a given split: sequences, or where there are windows, rows of one part in a sequence."""
    assert table.split is not None
    named = {value: PART_NAMES.get(value.strip().lower(), "") for value in set(table.split.tolist())}
    for row, value in enumerate(table.split.tolist()):
        if not named[value]:
            raise ValueError(f"split must be one of {', '.join(PARTS)}, got {value!r} at {table.where(row)}")
    cuts = len(starts) == 1 or options.window > 0
    if not cuts and (row := _first_change(table, table.split)) >= 0:
        rule = "split must be the same in the whole of a sequence, unless window cuts it"
        raise ValueError(f"{rule}, got {table.split[row]!r} at {table.where(row)}")
    pieces = []
    for start, length in zip(starts.tolist(), table.lengths.tolist(), strict=True):
        own = table.split[start : start + length]
        edges = [0, *(np.flatnonzero(own[1:] != own[:-1]) + 1).tolist(), length]
        pieces += [Piece(start + a, b - a, named[own[a]]) for a, b in itertools.pairwise(edges)]
    return pieces


def _in_time(length: int, shares: Sequence[float]) -> list[Piece]:
    """Return a series as three blocks one after the other."""
    ends = [round(length * total) for total in np.cumsum(shares).tolist()]
    edges = [0, ends[0], ends[1], length]
    blocks = zip(PARTS, edges[:-1], edges[1:], strict=True)
    return [Piece(first, last - first, part) for part, first, last in blocks if last > first]


def _drawn(table: Table, options: Options, starts: Array, groups: Sequence[str]) -> list[Piece]:
    """Return sequences with the parts that chance gives to their groups; each goes where most is missing.

    `split.split`, which deals out the data of packages, fills one part after the other instead. Neither can take the
    place of the other without a change of parts and fingerprints.
    """
    sizes = Counter(groups)
    order = np.random.default_rng(options.split_seed).permutation(len(sizes))
    names, filled, part_of = list(sizes), [0] * len(PARTS), dict[str, str]()
    for number in order.tolist():
        chosen = min(range(len(PARTS)), key=lambda k: filled[k] / options.shares[k])
        filled[chosen] += sizes[names[number]]
        part_of[names[number]] = PARTS[chosen]
    spans = zip(starts.tolist(), table.lengths.tolist(), groups, strict=True)
    return [Piece(start, length, part_of[group]) for start, length, group in spans]


def _check_groups(table: Table, pieces: Sequence[Piece]) -> None:
    """Raise ValueError for a group that a given split divides."""
    assert table.group is not None
    part_of: dict[str, str] = {}
    for piece in pieces:
        group = str(table.group[piece.start])
        if part_of.setdefault(group, piece.part) != piece.part:
            raise ValueError(f"group must be in one part only, got {group!r} in {part_of[group]} and {piece.part}")


def _windows(table: Table, options: Options, pieces: list[Piece], ahead: int) -> tuple[list[Piece], str]:
    """Return the pieces that are seen together, without the steps that are only answered; in words where cut."""
    window, why = options.window, ""
    usable = {part: max(p.steps for p in pieces if p.part == part) - ahead for part in PARTS}
    for part, most in usable.items():
        if most < 1:
            rule = f"{part} must have more than {_steps(ahead)} one after the other, as the answers lie {ahead} ahead"
            raise ValueError(f"{rule}, got {most + ahead}")
    if window == 0 and len(table.lengths) > 1:
        if options.stride:
            raise ValueError(f"stride must be 0 where no window cuts the sequences, got {options.stride}")
        return [piece._replace(steps=piece.steps - ahead) for piece in pieces if piece.steps > ahead], ""
    if window == 0:
        window, why = _usual_window(usable), " (window=0: found)"
    for part, most in usable.items():
        if most < window:
            longest = f"{most + ahead} steps" + (f", of which the last {ahead} are only answered" if ahead else "")
            raise ValueError(
                f"window must fit into each part, got {window} where the longest piece of {part} has {longest}"
            )
    stride = options.stride or window
    cut, lost = [], 0
    for piece in pieces:
        steps = piece.steps - ahead
        if steps < window:
            lost += max(0, steps)
            continue
        starts = range(0, steps - window + 1, stride)
        cut += [Piece(piece.start + start, window, piece.part) for start in starts]
        lost += steps - (starts[-1] + window)
    left = f"; {lost} steps at the ends fill no window and are left out" if lost else ""
    return cut, f"{window} steps, one every {stride}{why}{left}"


def _usual_window(usable: Mapping[str, int]) -> int:
    """Return the steps of the windows that one series is cut into.

    They are about 100, or fewer so that the training part has enough of them, and so that few steps are left over.
    usable: steps of the longest piece of each part.
    """
    least = min(usable.values())
    wanted = min(USUAL_WINDOW, max(LEAST_WINDOW, usable["train"] // FEWEST_WINDOWS), least)
    return max(1, least // math.ceil(least / max(1, wanted)))


def _rows_of(
    pieces: Sequence[Piece], table: Table, once: bool, ahead: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the rows of each part that are seen, and those that are answered."""
    seen: dict[str, Array] = {}
    asked: dict[str, Array] = {}
    for part in PARTS:
        own = [piece for piece in pieces if piece.part == part]
        seen[part] = np.unique(np.concatenate([np.arange(p.start, p.start + p.steps) for p in own]))
        ends = np.array([p.start + p.steps - 1 for p in own])
        asked[part] = (ends if once else seen[part]) + ahead
    return seen, asked


# Numbers
# ---------------------------------------------------------------------------------------------------------------------


def _encoded_inputs(
    table: Table, inputs: Sequence[str], symbols: set[str], seen: dict[str, Array], standardise: bool
) -> tuple[Array, list[str], str]:
    """Return the inputs [R, I] as float32, their names, and notes in words.

    Numbers are standardised by the rows of the training part, and text is one-hot. What a column of text has only
    elsewhere is a row of zeros.
    """
    blocks, names, unseen, scaled = list[Array](), list[str](), Counter[str](), 0
    train = seen["train"]
    for name in inputs:
        values = table.columns[name]
        if values.dtype.kind == "O" or name in symbols:
            found = _sorted(values[train])
            if len(found) > MOST_CLASSES:
                rule = f"must have at most {MOST_CLASSES} different values, got {len(found)}"
                raise ValueError(f"column {name!r}, of text, {rule}; inputs= says which columns are read")
            codes = _codes(values, found)
            unseen[name] = int(sum((codes[rows] < 0).sum() for rows in seen.values()))
            block = np.zeros((len(values), len(found)), np.float32)
            block[np.flatnonzero(codes >= 0), codes[codes >= 0]] = 1
            blocks.append(block)
            names += [f"{name}={_short(value)}" for value in found]
            continue
        mean, deviation = _moments(values, train, standardise)
        scaled += (mean, deviation) != (0, 1)
        blocks.append(((values - mean) / deviation).astype(np.float32)[:, None])
        names.append(name)
    notes = f". {scaled} of them standardised by the training part" if scaled else ""
    lost = {name: count for name, count in unseen.items() if count}
    if lost:
        counts = ", ".join(f"{name} ({count} steps)" for name, count in lost.items())
        notes += f". Zero where the training part lacks a symbol: {counts}"
    return np.concatenate(blocks, axis=1), names, notes


class _Targets(NamedTuple):
    """Targets as numbers.

    values: [R] int64, or [R, O] float32.
    names: of the outputs [O].
    mean: of the values in the training part [O], 0 where they are no numbers.
    deviation: what the numbers were divided by [O].
    note: in words.
    """

    values: Array
    names: list[str]
    mean: Array
    deviation: Array
    note: str


def _encoded_targets(
    table: Table, targets: Sequence[str], kind: str, asked: dict[str, Array], train: Array, standardise: bool
) -> _Targets:
    """Return the targets as classes or numbers, after checks that need the parts; train: the rows that standardise."""
    if kind == "classification":
        return _classes(table, targets, asked)
    numbers = np.stack([table.columns[target] for target in targets], axis=1)
    none = np.zeros(len(targets))
    if kind == "multilabel":
        return _Targets(numbers.astype(np.float32), list(targets), none, none + 1, "")
    constant = np.ptp(numbers[asked["train"]], axis=0) == 0
    if constant.all():
        name, value = targets[0], numbers[asked["train"][0], 0]
        raise ValueError(f"target {name!r} must vary in the training part, got {value:g} always")
    moments = [_moments(column, train, standardise) for column in numbers.T]
    means, deviations = (np.array(values) for values in zip(*moments, strict=True))
    scaled = ((numbers - means) / deviations).astype(np.float32)
    note = ""
    if (deviations != 1).any():
        note = ". Standardised by the training part: a squared error of 1 is about that of its mean"
    return _Targets(scaled, list(targets), scaled[asked["train"]].mean(0), deviations, note)


def _classes(table: Table, targets: Sequence[str], asked: dict[str, Array]) -> _Targets:
    """Return one column of names or whole numbers, or columns with a single 1, as the classes of the training part."""
    values, labels = table.columns[targets[0]], dict[float, str]()
    if len(targets) > 1:
        values = np.argmax(np.stack([table.columns[target] for target in targets]), axis=0).astype(np.float64)
        labels = {float(number): name for number, name in enumerate(targets)}
    found = _sorted(values[asked["train"]])
    names = [labels.get(value, "") or _short(value) for value in found]
    codes = _codes(values, found)
    for part in PARTS[1:]:
        for row in asked[part][codes[asked[part]] < 0][:1].tolist():
            label = labels.get(values[row], "") or _short(values[row])
            rule = f"target must have in {part} only classes of the training part"
            raise ValueError(f"{rule}, got {label!r} at {table.where(row)}")
    if not 2 <= len(found) <= MOST_CLASSES:
        rule = f"target must have 2 to {MOST_CLASSES} classes in the training part"
        raise ValueError(f"{rule}, got {len(found)}" + (f": always {names[0]!r}" if len(found) == 1 else ""))
    none = np.zeros(len(found))
    return _Targets(codes, names, none, none + 1, f". {len(found)} classes: {_listed(names)}")


def _moments(values: Array, rows: Array, standardise: bool) -> tuple[float, float]:
    """Return what is subtracted and what is divided by; columns of 0 and 1 stay, and a deviation of 0 counts as 1."""
    if not standardise or _is_binary(values):
        return 0.0, 1.0
    mean, deviation = float(values[rows].mean()), float(values[rows].std())
    return mean, deviation if deviation > 1e-12 * abs(mean) else 1.0


def _sorted(values: Array) -> list[Any]:
    return sorted(set(values.tolist()))


def _codes(values: Array, found: Sequence[Any]) -> Array:
    """Return the place of each value in a list, -1 for what is not in it."""
    places = {value: place for place, value in enumerate(found)}
    return np.array([places.get(value, -1) for value in values.tolist()], np.int64)


def _batch(part: str, pieces: Sequence[Piece], values: Array, targets: Array, once: bool, ahead: int) -> Batch:
    """Return the sequences of a part, padded to the longest."""
    own = [piece for piece in pieces if piece.part == part]
    steps = max(piece.steps for piece in own)
    if steps * len(own) * values.shape[1] > MOST_NUMBERS:
        shape = f"[{steps}, {len(own)}, {values.shape[1]}]"
        raise ValueError(
            f"{part} must have at most {MOST_NUMBERS} numbers with its padding, got {shape}; window cuts it"
        )
    shown, given = torch.from_numpy(values), torch.from_numpy(targets)
    inputs = [shown[piece.start : piece.start + piece.steps] for piece in own]
    answers = [given[piece.start + ahead : piece.start + ahead + piece.steps] for piece in own]
    batch = every_step(inputs, [answer[-1:] for answer in answers] if once else answers)
    lengths = torch.tensor([piece.steps for piece in own])
    if once:
        batch = batch._replace(reads=(lengths - 1).unsqueeze(0), weights=None)
    equal = bool((lengths == steps).all())
    return batch._replace(lengths=None, weights=None) if equal else batch


# Words
# ---------------------------------------------------------------------------------------------------------------------


def _for_digest(values: Array) -> Array:
    return values.astype("U") if values.dtype.kind == "O" else values


def _size_of(table: Table) -> str:
    lengths = table.lengths
    rows, count = int(lengths.sum()), len(lengths)
    if count == 1:
        return f"{rows}, one series"
    spread = f"{lengths.min()} to {lengths.max()}" if lengths.min() < lengths.max() else f"{lengths.max()}"
    return f"{rows}, in {count} sequences of {spread} steps (mean {lengths.mean():.1f})"


def _of_sequence(table: Table, number: int) -> str:
    return f"in sequence {table.names[number]}" if table.names else "in the file"


def _asked(targets: Sequence[str], kind: str, once: bool, ahead: int, options: Options) -> str:
    """Return what is asked in words."""
    kinds = {"multilabel": "multi-label (0 or 1 each)"}
    when = "at the end of each sequence" if once else "at every step"
    later = {0: "", 1: ", one step ahead"}.get(ahead, f", {ahead} steps ahead")
    found = [f"{knob}=auto" for knob in ("kind", "answers") if getattr(options, knob) == "auto"]
    note = f" ({', '.join(found)})" if found else ""
    return f"{_listed(list(targets))}{later}, {when}: {kinds.get(kind, kind)}{note}"


def _part_in_words(part: str, batch: Batch, kind: str, names: Sequence[str]) -> str:
    """Return the sizes of a part in words, with the frequency of each class."""
    asked = torch.ones_like(batch.reads, dtype=torch.bool) if batch.weights is None else batch.weights > 0
    steps = len(batch.inputs) * batch.inputs.shape[1] if batch.lengths is None else int(batch.lengths.sum())
    text = f"{batch.inputs.shape[1]} sequences, {steps} steps, {int(asked.sum())} answers"
    if kind == "classification":
        counts = torch.bincount(batch.targets[asked], minlength=len(names)).tolist()
        shares = [f"{name} {count / sum(counts):.1%}" for name, count in zip(names, counts, strict=True)]
        text += f"; {_listed(shares, 12)}"
    elif kind == "multilabel":
        text += f"; {float(batch.targets[asked].mean()):.1%} of the targets are 1"
    return text


def _steps(count: int) -> str:
    return f"{count} steps" if count != 1 else "1 step"


def _short(value: Any) -> str:
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text if len(text) <= 24 else f"{text[:21]}..."


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def check_shares(shares: Sequence[float]) -> None:
    """Raise ValueError unless shares are three positive numbers that add up to 1."""
    fits = (
        len(shares) == len(PARTS) and all(share > 0 for share in shares) and math.isclose(sum(shares), 1, abs_tol=1e-6)
    )
    if not fits:
        raise ValueError(
            f"shares must be three numbers above 0 that add up to 1, for {', '.join(PARTS)}, got {_numbers(shares)}"
        )
