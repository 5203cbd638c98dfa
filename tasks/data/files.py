"""Reads sequences from a user's file: arrays of NumPy (.npz, .npy) or a table with one row a step (.csv, .parquet)."""

from __future__ import annotations

import difflib
import numbers
import warnings
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

SUFFIXES = (".npz", ".npy", ".csv", ".parquet")
USUAL = {
    "sequence": ("sequence", "sequence_id", "series", "id"),
    "step": ("step", "time", "t"),
    "target": ("target", "targets", "label", "class"),
    "split": ("split", "part"),
    "group": ("group",),
}
"""Names of columns and arrays that are understood without being named by a knob, the first that there is."""
WRITTEN_BY_NUMPY = (b"\x93NUM", b"PK\x03\x04", b"PK\x05\x06", b"\x80")
"""How files begin that `numpy.save` and `numpy.savez` write, the second without arrays too, and pickled objects."""
LARGEST = 1e30
"""The largest number that is read, so that its square is a number of 64 bits and itself one of 32."""
MOST_TEXTS = 20
"""A column of text with more different values than this must repeat each of them twice in the mean."""
ROLES = ("sequence", "step", "split", "group")
"""What a column may be beside input and target."""
NONE = "none"
"""What a knob is set to where none of the columns shall have its role."""


class Named(NamedTuple):
    """Which columns or arrays of a file have a role; those that a user has named, and empty where they are found.

    inputs: columns, or the array, of what is seen.
    targets: columns, or the array, of what is answered.
    symbols: columns whose numbers are names.
    sequence: the column that says to which sequence a row belongs.
    step: the column that orders the rows of a sequence.
    split: the column or array that says which part of the data a sequence belongs to.
    group: the column or array of groups of sequences that stay together.
    """

    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    sequence: str = ""
    step: str = ""
    split: str = ""
    group: str = ""


class Table(NamedTuple):
    """Sequences as they stand in a file, one below the other: R rows, which are steps, of N sequences.

    columns: by name; [R] float64, or [R] of text.
    inputs: names of the columns that are seen.
    targets: names of the columns that are answered; none where only a next step can be.
    lengths: [N], the number of rows of each sequence.
    names: [N], what messages call each sequence; empty where the file is one series.
    lines: [R], the number of each row in a table; None for arrays, where the step says enough.
    line: what messages call such a number: line or row.
    once: whether there is one target for a sequence (True), one for a step (False), or both may be meant (None).
    split: [R] text or None.
    group: [R] text or None.
    found: one sentence for each role that was found and not named by the user.
    """

    columns: dict[str, Array]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    lengths: Array
    names: list[str]
    lines: Array | None
    line: str
    once: bool | None
    split: Array | None
    group: Array | None
    found: list[str]

    def where(self, row: int) -> str:
        """Return where a row stands, in words: step and sequence, and the line of a table."""
        ends = np.cumsum(self.lengths)
        number = int(np.searchsorted(ends, row, side="right"))
        step = row - int(ends[number] - self.lengths[number])
        sequence = f" of sequence {self.names[number]}" if self.names else ""
        line = "" if self.lines is None else f" ({self.line} {self.lines[row]})"
        return f"step {step}{sequence}{line}"


def read(path: str, named: Named) -> Table:
    """Read sequences from a file.

    path: of a file that ends in .npz, .npy, .csv or .parquet.
    named: what the user says about its columns or arrays.

    Returns the sequences; all numbers are finite.
    Raises ValueError, in one line that begins with the name of the file, for a file that cannot be read, a column or
    array that does not exist, shapes that do not fit, and values that are missing.
    """
    file = Path(path).expanduser()
    name = file.name
    if not path:
        raise ValueError(f"path must name a file ({', '.join(SUFFIXES)}), as in path=my.csv, got ''")
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{name}: path must end in {', '.join(SUFFIXES)}, got {file.suffix or 'no ending'!r}")
    if file.is_dir():
        raise ValueError(f"{name}: path must be that of a file, got {path!r}, which is a folder")
    if not file.is_file():
        near = _near(name, [p.name for p in file.parent.glob("*") if p.suffix.lower() in SUFFIXES], 0.6)
        raise ValueError(f"{name}: path must be that of a file, got {path!r}, where there is none{near}")
    try:
        if file.suffix.lower() in (".npz", ".npy"):
            return _checked(_from_arrays(_arrays(file), named))
        return _checked(_from_frame(_frame(file), named, file.suffix.lower() == ".csv"))
    except OSError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


# Arrays
# ---------------------------------------------------------------------------------------------------------------------


def _arrays(file: Path) -> dict[str, Array]:
    """Return the arrays of a file by name. Python objects, which could run code, are not read."""
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
            if start and not start.startswith(WRITTEN_BY_NUMPY):
                raise ValueError(f"it must begin as numpy.save and numpy.savez write, got {start!r}")
            opened.seek(0)
            loaded = np.load(opened, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"inputs": loaded}
            return {key: loaded[key] for key in loaded.files}
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ValueError(f"cannot be read as arrays of NumPy: {error}") from None
    except ValueError as error:
        if "pickle" in str(error):
            raise ValueError(
                "must hold arrays of numbers or text, not pickled Python objects, which are never loaded; sequences of "
                "different lengths are one array [rows, I] and an array 'lengths'"
            ) from None
        raise ValueError(f"cannot be read as arrays of NumPy: {error}") from None


def _from_arrays(arrays: dict[str, Array], named: Named) -> Table:
    """Return the sequences of arrays: `inputs`, and where there are any `targets`, `lengths`, `split` and `group`."""
    for knob in ("sequence", "step"):
        if getattr(named, knob) not in ("", NONE):
            raise ValueError(f"{knob} must name a column of a table, but this file holds arrays; write {knob}=''")
    for role, several in (("inputs", named.inputs), ("target", named.targets)):
        if len(several) > 1 or (role, several) == ("inputs", (NONE,)):
            raise ValueError(f"{role} must be the name of one array, got {', '.join(several)}")
    wanted = {
        "inputs": (named.inputs or ("inputs",))[0],
        "targets": (named.targets or ("targets",))[0],
        "lengths": "lengths",
        "split": named.split or "split",
        "group": named.group or "group",
    }
    if wanted["targets"] == wanted["inputs"]:
        rule = f"target must be another array than the inputs, got {wanted['inputs']!r}"
        raise ValueError(f"{rule}; target={NONE} predicts their next step")
    given = {"inputs": True, "targets": bool(named.targets), "split": bool(named.split), "group": bool(named.group)}
    for role, asked in given.items():
        if asked and wanted[role] not in (*arrays, NONE):
            hint = "" if named.inputs else "; inputs= and target= name others"
            raise ValueError(unknown("array", wanted[role], arrays) + hint)
    found = {role: arrays.get(name) for role, name in wanted.items() if name != NONE}
    inputs = found["inputs"]
    assert inputs is not None
    for key, array in arrays.items():
        if array.dtype.kind not in "biufUS" and key in wanted.values():
            raise ValueError(f"array {key!r} must hold numbers or text, got {array.dtype}")
    flat, lengths, padded = _flattened(inputs, found["lengths"])
    names = [str(number) for number in range(len(lengths))] if inputs.ndim == 3 or found["lengths"] is not None else []
    columns = {f"input {number}": _values(column) for number, column in enumerate(flat.T)}
    others = [f"array {key!r} is not read" for key in arrays if key not in wanted.values()]
    table = Table(columns, tuple(columns), (), lengths, names, None, "", None, None, None, others)
    targets = found.get("targets")
    if targets is not None:
        table = _with_targets(table, targets, padded)
    for role in ("split", "group"):
        if (given_array := found.get(role)) is not None:
            rows = _of_rows(role, given_array, table)
            table = table._replace(split=rows) if role == "split" else table._replace(group=rows)
    symbols = {**table.columns}
    for column in named.symbols:
        if column not in symbols:
            raise ValueError(unknown("column", column, symbols))
        symbols[column] = _texts(symbols[column])
    return table._replace(columns=symbols)


def _flattened(inputs: Array, lengths: Array | None) -> tuple[Array, Array, int]:
    """Return inputs as [R, I], the length of each sequence, and the length T to which arrays are padded (0: none)."""
    shape = list(inputs.shape)
    if inputs.ndim not in (1, 2, 3) or 0 in shape:
        rule = "[N, T, I], [T, I] for one series, or [rows, I] with lengths, none of them 0"
        raise ValueError(f"inputs must be {rule}, got {shape}")
    if lengths is None:
        if inputs.ndim < 3:
            return inputs.reshape(len(inputs), -1), np.array([len(inputs)]), 0
        return inputs.reshape(-1, shape[2]), np.full(shape[0], shape[1]), shape[1]
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1:
        raise ValueError(f"lengths must be whole numbers [N], got {lengths.dtype} {list(lengths.shape)}")
    lengths = lengths.astype(np.int64)
    if (lengths < 1).any():
        number = int(np.argmax(lengths < 1))
        raise ValueError(f"lengths must be at least 1, got {lengths[number]} for sequence {number}")
    if inputs.ndim < 3 and lengths.sum() == len(inputs):
        return inputs.reshape(len(inputs), -1), lengths, 0
    if inputs.ndim == 1 or (inputs.ndim == 2 and len(lengths) != len(inputs)):
        raise ValueError(f"lengths must add up to the {len(inputs)} rows of inputs, got {lengths.sum()}")
    if len(lengths) != len(inputs):
        raise ValueError(f"lengths must be one for each of the {len(inputs)} sequences, got {len(lengths)}")
    if lengths.max() > shape[1]:
        number = int(np.argmax(lengths))
        raise ValueError(
            f"lengths must be at most the {shape[1]} steps of inputs, got {lengths[number]} for sequence {number}"
        )
    steps = np.arange(shape[1]) < lengths[:, None]
    return inputs.reshape(*shape[:2], -1)[steps], lengths, shape[1]


def _with_targets(table: Table, targets: Array, padded: int) -> Table:
    """Return a table with the columns of an array of targets: [N], [N, O], [N, T], [N, T, O], [rows] or [rows, O]."""
    count, rows, shape = len(table.lengths), int(table.lengths.sum()), list(targets.shape)
    once: bool | None = False
    if targets.ndim in (2, 3) and padded and shape[:2] == [count, padded]:
        flat = targets.reshape(count, padded, -1)[np.arange(padded) < table.lengths[:, None]]
    elif targets.ndim in (1, 2) and shape[0] == rows:
        flat = targets.reshape(rows, -1)
    elif targets.ndim in (1, 2) and shape[0] == count:
        flat, once = np.repeat(targets.reshape(count, -1), table.lengths, axis=0), True
    else:
        rule = f"one for each of the {count} sequences or of the {rows} steps, [N], [N, O], [N, T], [N, T, O] or [rows]"
        raise ValueError(f"targets must be {rule}, got {shape}")
    columns = {f"target {number}": _values(column) for number, column in enumerate(flat.T)}
    return table._replace(columns={**table.columns, **columns}, targets=tuple(columns), once=once)


def _of_rows(role: str, array: Array, table: Table) -> Array:
    """Return an array of one value for each sequence, or for each row, as text for each row."""
    count, rows = len(table.lengths), int(table.lengths.sum())
    if array.ndim != 1 or len(array) not in (count, rows):
        rule = f"one for each of the {count} sequences or of the {rows} rows"
        raise ValueError(f"{role} must be {rule}, got {list(array.shape)}")
    texts = _texts(_values(array))
    return texts if len(texts) == rows else np.repeat(texts, table.lengths)


# Tables
# ---------------------------------------------------------------------------------------------------------------------


def _frame(file: Path) -> Any:
    """Return a table as a DataFrame; pandas is imported where a table is read, and nowhere else in `tasks`."""
    import pandas as pd

    try:
        if file.suffix.lower() == ".csv":
            _check_header(pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].tolist())
            frame = pd.read_csv(file, low_memory=False)
        else:
            frame = pd.read_parquet(file)
    except (ValueError, ImportError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"cannot be read as a table: {reason}") from None
    except Exception as error:  # pyarrow has errors of its own
        if isinstance(error, OSError) or not type(error).__module__.startswith("pyarrow"):
            raise
        raise ValueError(f"cannot be read as a table: {str(error).splitlines()[0]}") from None
    if len(frame) == 0:
        raise ValueError("must have at least one row below its header, got none")
    frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    frame.columns = [str(column).strip() for column in frame.columns]
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"columns must have different names, got {twice[0]!r} twice")
    return frame


def _check_header(names: Sequence[str]) -> None:
    """Raise ValueError for the first line of a .csv file that does not name its columns."""
    names = [name.strip() for name in names]
    twice = [name for place, name in enumerate(names) if name and name in names[:place]]
    if twice:
        raise ValueError(f"columns must have different names, got {twice[0]!r} twice")
    if len(names) == 1 and (others := [mark for mark in (";", "\t") if mark in names[0]]):
        raise ValueError(f"columns must be separated by commas, got the first line {names[0]!r} with {others[0]!r}")
    values = [value for name in names if (value := _number(name)) is not None]
    if len(values) == len(names) and any(value != int(value) or value < 0 for value in values):
        raise ValueError(f"the first line must name the columns, got numbers: {', '.join(names[:5])}")


def _number(text: str) -> float | None:
    """Return a text as a number; None where it is none, or not finite."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _from_frame(frame: Any, named: Named, csv: bool) -> Table:
    """Return the sequences of a table in long form: one row a step."""
    there, sentences = list(frame.columns), list[str]()
    taken = _taken(named)
    free = [name for name in there if name not in taken]
    roles = {role: _role(role, getattr(named, role), there, free, sentences) for role in ROLES}
    targets = named.targets
    if not targets:
        free = [name for name in free if name not in (*named.inputs, *roles.values())]
        usual = _role("target", "", there, free, sentences)
        targets = (usual,) if usual else ()
    elif targets == (NONE,):
        targets = ()
    used = {*roles.values(), *targets}
    inputs = named.inputs or tuple(name for name in there if name not in used)
    for name in (*targets, *inputs, *named.symbols):
        if name not in there:
            raise ValueError(unknown("column", name, there))
    if not inputs:
        raise ValueError(f"inputs must be at least one column beside the others, got {', '.join(there)}")
    first, line = (2, "line") if csv else (0, "row")
    order, lengths, names = _ordered(frame, roles["sequence"], roles["step"], first, line)
    lines = order + first
    ordered = frame.iloc[order]
    columns = {}
    for name in there:
        if name in (*inputs, *targets):
            values, why, row = _column(ordered[name], name in named.symbols)
            if why:
                raise ValueError(f"column {name!r} must {why} at {line} {lines[row]}")
            columns[name] = values
    texts = {role: _texts(ordered[roles[role]]) if roles[role] else None for role in ("split", "group")}
    return Table(columns, inputs, targets, lengths, names, lines, line, None, texts["split"], texts["group"], sentences)


def _taken(named: Named) -> set[str]:
    """Return the columns that the user gave a role that no other column has. Raises ValueError for one with two."""
    for knob, several in (("inputs", named.inputs), ("target", named.targets)):
        twice = [name for place, name in enumerate(several) if name in several[:place]]
        if twice:
            raise ValueError(f"{knob} must name each column once, got {twice[0]!r} twice")
    taken: dict[str, str] = dict.fromkeys(named.targets, "target")
    for role in ROLES:
        name = getattr(named, role)
        if name in ("", NONE):
            continue
        if name in taken:
            raise ValueError(f"{role} must be another column than {taken[name]}, got {name!r} for both")
        taken[name] = role
    return set(taken)


def _role(role: str, given: str, there: Collection[str], free: Collection[str], sentences: list[str]) -> str:
    """Return the column that has a role; empty if there is none. What is found unasked becomes a sentence.

    there: all columns.
    free: those that may be found by their names.
    """
    if given == NONE:
        return ""
    if given:
        if given not in there:
            raise ValueError(unknown("column", given, there))
        return given
    lower = {name.lower(): name for name in reversed(list(free))}
    usual = next((lower[name] for name in USUAL[role] if name in lower), "")
    if usual:
        sentences.append(f"{role}={usual!r} by its name ({role}={NONE}: it is not)")
    return usual


def _ordered(frame: Any, sequence: str, step: str, first: int, line: str) -> tuple[Array, Array, list[str]]:
    """Return the order of the rows that sets sequences one below the other, their lengths and their names.

    first, line: number of the first row, and what such a number is called.
    """
    for column in filter(None, (sequence, step)):
        absent = frame[column].isna().to_numpy()
        if absent.any():
            row = int(absent.argmax())
            raise ValueError(f"column {column!r} must have a value in each row, got none at {line} {row + first}")
    codes, names = np.zeros(len(frame), np.int64), list[str]()
    if sequence:
        codes, found = frame[sequence].factorize()  # in the order of their first row
        names = [_plain(name) for name in found]
    ranks = np.arange(len(frame))
    if step:
        _, ranks = np.unique(_in_order(frame[step], step), return_inverse=True)
    order = np.lexsort((ranks, codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(ranks[order]) == 0)
    if same.any():
        row = int(order[int(same.argmax()) + 1])
        whose = f" of sequence {names[codes[row]]}" if names else ""
        raise ValueError(f"column {step!r} must order the rows{whose}, got {_plain(frame[step].iloc[row])} twice")
    return order, np.bincount(codes), names


def _in_order(series: Any, name: str) -> Array:
    """Return a column of steps as numbers or times; text is read as times."""
    import pandas as pd

    if series.dtype.kind in "iufMm":
        return np.asarray(series.to_numpy())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forms of dates that it tries
            return np.asarray(pd.to_datetime(series).to_numpy())
    except (ValueError, TypeError):
        rule = f"column {name!r}, the step, must hold numbers or times"
        raise ValueError(f"{rule}, got {_plain(series.iloc[0])!r}; step={NONE} takes the rows in order") from None


def _column(series: Any, symbols: bool) -> tuple[Array, str, int]:
    """Return a column as float64, or as text where it holds names; else what is wrong with it, and in which row."""
    import pandas as pd

    none = np.zeros(0)
    absent = series.isna().to_numpy()
    if absent.any():
        return none, "have a value in each row, got none (an empty field, NA or the like)", int(absent.argmax())
    if series.dtype.kind in "biuf" and not symbols:
        return np.asarray(series.to_numpy(dtype=np.float64)), "", 0
    if series.dtype.kind not in "biufO" and str(series.dtype) not in ("string", "str", "category"):
        return none, f"hold numbers or text, got {series.dtype}", 0
    strange = [not isinstance(value, str | numbers.Number) for value in series.tolist()]
    if any(strange):
        row = strange.index(True)
        return none, f"hold numbers or text, got {type(series.iloc[row]).__name__}", row
    texts = _texts(series)
    wrong = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").isna().to_numpy()
    if not symbols and not wrong.all() and wrong.mean() < 0.5 and wrong.any():
        row = int(wrong.argmax())
        return none, f"hold numbers, or be named by symbols= where its values are names, got {texts[row]!r}", row
    if not symbols and not wrong.any() and not any(isinstance(value, str) for value in series.tolist()):
        return np.array([float(value) for value in series.tolist()]), "", 0  # numbers of another kind, such as Decimal
    different = len(set(texts.tolist()))
    if not symbols and different > max(MOST_TEXTS, len(texts) / 2):
        rule = "hold names that come again, or numbers, unless inputs= leaves it out"
        return none, f"{rule}, got {different} different texts in {len(texts)} rows, the first", 0
    return texts, "", 0


# Both
# ---------------------------------------------------------------------------------------------------------------------


def _checked(table: Table) -> Table:
    """Return a table. Raises ValueError for a number that is not finite, or too large."""
    for name in dict.fromkeys((*table.inputs, *table.targets)):
        values = table.columns[name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values)))
            raise ValueError(f"column {name!r} must be finite, got {values[row]} at {table.where(row)}")
        if values.dtype.kind == "f" and (np.abs(values) > LARGEST).any():
            row = int(np.argmax(np.abs(values) > LARGEST))
            raise ValueError(
                f"column {name!r} must be at most {LARGEST:g} in size, got {values[row]:g} at {table.where(row)}"
            )
    return table


def _values(array: Array) -> Array:
    """Return numbers as float64, text as Python's strings."""
    if array.dtype.kind in "US":
        return array.astype("U").astype(object)
    return array.astype(np.float64)


def _texts(values: Any) -> Array:
    """Return the values of an array, or of a column of a table, as text."""
    return np.array([_plain(value) for value in values.tolist()], dtype=object)


def _plain(value: Any) -> str:
    """Return a value as text; a number that is whole has no point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def unknown(kind: str, name: str, names: Collection[str]) -> str:
    """Return one line that says that a column or array does not exist, which one may be meant, and which there are.

    kind: column or array.
    name: that does not exist.
    names: that exist; of many, the first are listed.

    >>> unknown("column", "lable", ["x", "label"])
    "there is no column 'lable'; did you mean 'label'? The columns are: x, label"
    """
    few: Sequence[str] = list(names)[:20]
    more = f" and {len(names) - len(few)} more" if len(names) > len(few) else ""
    near = _near(name, names, 0.6)
    end = f"? The {kind}s are" if near else f"; the {kind}s are"
    return f"there is no {kind} {name!r}{near.removesuffix('?')}{end}: {', '.join(few) or 'none'}{more}"


def _near(name: str, names: Collection[str], cutoff: float) -> str:
    """Return the end of a line that says which name may be meant; empty if none is similar."""
    lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""
