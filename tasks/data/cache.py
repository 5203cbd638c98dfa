"""Keeps what was parsed or fitted on disk, so that only the first process waits for it.

The folder is `data` in LSTM_VARIANTS_CACHE, else in `lstm-variants` in XDG_CACHE_HOME, else in `~/.cache`. A file is
the SHA-256 of all that follows, a header in JSON, and the bytes of the arrays. It is written under a temporary name and
renamed, so that several processes may do so at once. A file that is damaged, or that other versions wrote, is made
again, and one line on stderr says so. No file is ever run as code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FORMAT = 1
"""Version of the layout of a file."""


class Parsed(NamedTuple):
    """What a parser found or a fit gave.

    arrays: by name; of numbers or truth values, in any shape.
    facts: by name; what JSON can write: numbers, texts, lists and dictionaries of them.
    """

    arrays: dict[str, np.ndarray[Any, Any]]
    facts: dict[str, Any] = {}


def folder() -> Path | None:
    """Return where data are kept, whether it exists or not; None for a user without a home."""
    chosen = os.environ.get("LSTM_VARIANTS_CACHE")
    if chosen:
        return Path(chosen) / "data"
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm-variants" / "data"
    except RuntimeError:
        return None


def cached(name: str, versions: Mapping[str, object], parse: Callable[[], Parsed]) -> Parsed:
    """Return what a parser finds, from disk where it was found before.

    name: of the data set, for the file and the messages: letters, digits, `-` and `_`.
    versions: of all that the result depends on (package, parser, options), with short values. Each has a file of its
        own.
    parse: finds it. The same versions must give the same result.

    Returns the result, with arrays that may be changed.
    """
    wanted = {key: str(value) for key, value in sorted(versions.items())}
    path = file_of(name, wanted)
    why = ""
    if path is not None:
        try:
            return _decoded(path.read_bytes(), wanted)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if why:
        print(f"{name}: {path} {why}; it is made again", file=sys.stderr)
    found = parse()
    if path is not None:
        with suppress(OSError):  # a folder that cannot be written: nothing is kept
            _write(path, _encoded(found, wanted))
    return found


def file_of(name: str, versions: Mapping[str, object]) -> Path | None:
    """Return where a result is kept, whether it exists or not; None where nothing can be kept.

    name, versions: as `cached` takes them.
    """
    place = folder()
    text = json.dumps({key: str(value) for key, value in sorted(versions.items())})
    return place and place / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.data"


def digest(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return the SHA-256, in hexadecimal, over names, types, shapes and contents of arrays.

    arrays: by name; their order does not matter.

    >>> digest({"a": np.arange(3)}) == digest({"a": np.arange(3)}), digest({"a": np.arange(3)}) == digest({})
    (True, False)
    """
    whole = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        whole.update(json.dumps([key, plain.dtype.str, list(plain.shape)]).encode())
        whole.update(plain.tobytes())
    return whole.hexdigest()


def _encoded(found: Parsed, versions: dict[str, str]) -> bytes:
    plain = {key: np.ascontiguousarray(array) for key, array in found.arrays.items()}
    header = {
        "format": FORMAT,
        "versions": versions,
        "facts": found.facts,
        "sha256": digest(plain),
        "arrays": [[key, array.dtype.str, list(array.shape)] for key, array in plain.items()],
    }
    body = b"".join([json.dumps(header).encode(), b"\n", *(array.tobytes() for array in plain.values())])
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _decoded(content: bytes, versions: dict[str, str]) -> Parsed:
    """Return what was written; ValueError, beginning with a verb, where it is damaged or of other versions."""
    if content[:64] != hashlib.sha256(memoryview(content)[65:]).hexdigest().encode():
        raise ValueError("is damaged")
    start = content.index(b"\n", 65) + 1
    header = json.loads(content[65:start])
    if header["format"] != FORMAT or header["versions"] != versions:
        raise ValueError(f"was written for {header['versions']}, not for {versions}")
    arrays = {}
    for key, kind, shape in header["arrays"]:
        count = math.prod(shape)
        arrays[key] = np.frombuffer(content, kind, count, start).reshape(shape).copy()
        start += arrays[key].nbytes
    if digest(arrays) != header["sha256"]:
        raise ValueError("holds other arrays than its header says")
    return Parsed(arrays, header["facts"])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
