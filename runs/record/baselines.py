"""The baselines of a study's tasks, kept in `baselines.json`: simple models and random networks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..files import write_whole

FILE = "baselines.json"
KINDS = ("no_input", "no_memory", "window", "published", "guessing")
"""What a baseline is: a constant answer, a model of the present input, one of the last few inputs, a loss that the task
states, or networks with random weights."""
METHOD = 1
"""Changes with the way in which baselines are computed, so that those of another version are computed again."""

Record = dict[str, Any]
"""A baseline as plain values: name, kind, loss (None where there is none), solved (None, or the share of random
networks that solve the task), note, and `of`, the hash of what it was computed for."""
Records = dict[str, list[Record]]


def read_baselines(path: Path) -> Records:
    """Return the baselines of a file by the label of their task; none where there is no file.

    Raises ValueError, in one line, for a file that holds something else.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return checked(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no baselines: {error}") from None


def write_baselines(path: Path, records: Mapping[str, Iterable[Record]]) -> None:
    """Write a file of baselines, whole or not at all. Raises OSError where that is not possible."""
    write_whole(path, json.dumps(records, indent=1) + "\n")


def checked(found: Any) -> Records:
    """Return baselines that somebody else may have written, if they are what `Record` says; else raise ValueError."""
    if not isinstance(found, dict):
        raise ValueError(f"baselines must be lists by the label of a task, got {type(found).__name__}")
    for task, records in found.items():
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise ValueError(f"the baselines of {task} must be a list of records")
        for record in records:
            _check(task, record)
    return found


def _check(task: str, record: Record) -> None:
    for key in ("name", "kind", "note", "of"):
        if not isinstance(record.get(key, ""), str):
            raise ValueError(f"{key} of a baseline of {task} must be a text, got {record[key]!r}")
    if not record.get("name") or record.get("kind") not in KINDS:
        raise ValueError(f"a baseline of {task} must have a name and a kind among {', '.join(KINDS)}, got {record!r}")
    for key in ("loss", "solved"):
        value = record.get(key)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise ValueError(f"{key} of a baseline of {task} must be a finite number or null, got {value!r}")
    if not 0 <= (record.get("solved") or 0) <= 1:
        raise ValueError(f"solved of a baseline of {task} must be a share, 0..1, got {record['solved']}")


def identity(node: Mapping[str, Any]) -> str:
    """Return the hash of what the baselines of a task depend on: its class, its knobs and the method.

    node: configuration of the task; its label does not count.
    """
    described = {key: value for key, value in node.items() if key != "label"}
    return hashlib.sha256(json.dumps([METHOD, described], sort_keys=True, default=str).encode()).hexdigest()[:16]
