"""The baselines of a study's tasks, kept in `baselines.json`: simple models and random networks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_whole

if TYPE_CHECKING:
    from tasks import Task

FILE = "baselines.json"
KINDS = ("no_input", "no_memory", "window", "published", "guessing")
"""What a baseline is: a constant answer, a model of the present input, one of some of the inputs so far, another loss
that the task states, or networks with random weights."""
METHOD = 2
"""Changes with the way in which baselines are computed, so that those of another version are computed again."""

Record = dict[str, Any]
"""A baseline as plain values: name, kind, loss (None where there is none), solved (None, or the share of random
networks that solve the task), note, and `of`, the hash of what it was computed for."""
Records = dict[str, list[Record]]


def recorded(nodes: Mapping[str, Mapping[str, Any]], places: Iterable[Path]) -> tuple[Records, list[str]]:
    """Return the baselines of some tasks that are on record.

    nodes: configuration of each task, by its label.
    places: files of baselines; the first one that has those of a task counts.

    Returns them by label, and a line for each file that holds something else.
    """
    found: Records = {}
    lines = []
    for path in places:
        try:
            there = read_baselines(path)
        except ValueError as error:
            lines.append(f"{error}; computed again")
            continue
        found = fitting(there, nodes) | found
    return found, lines


def fitting(found: Any, nodes: Mapping[str, Mapping[str, Any]]) -> Records:
    """Return those of some baselines, as the facts of a study have them, that are of the tasks of these nodes.

    Raises ValueError for something else than baselines.
    """
    known = checked(found or {})
    return {
        label: known[label]
        for label, node in nodes.items()
        if known.get(label) and all(record.get("of") == identity(node) for record in known[label])
    }


def computed(nodes: Mapping[str, Mapping[str, Any]]) -> tuple[Records, list[str]]:
    """Compute the baselines of some tasks, which takes seconds for each of them and needs torch.

    nodes: configuration of each task, by its label.

    Returns them by label, and a line for each task that cannot be built or fails.
    """
    import torch

    found: Records = {}
    lines = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the last digits of large products depend on it
    for label, node in nodes.items():
        try:
            found[label] = [{**record, "of": identity(node)} for record in _records(node)]
        except Exception as error:  # whatever a class of the user's raises
            first = (str(error).splitlines() or [type(error).__name__])[0]
            lines.append(f"baselines of {label} are left out: {first}")
    torch.set_num_threads(threads)
    return found, lines


def _records(node: Mapping[str, Any]) -> list[Record]:
    from tasks import Task
    from tasks.baselines import baselines

    from ..trial.classes import construct

    task = construct(node, Task)
    simple = [
        {
            "name": found.name,
            "kind": found.kind,
            "loss": found.loss if math.isfinite(found.loss) else None,
            "solved": None,
            "note": f"accuracy {found.metrics['accuracy']:.3g}" if "accuracy" in found.metrics else "",
        }
        for found in baselines(task)
    ]
    return [*simple, {"name": "random weights", "kind": "guessing", "loss": None, **_guessed(task)}]


def _guessed(task: Task) -> Record:
    """Return the share of random networks that solve a task, and a note that says which."""
    from ..networks.guessing import guess

    if task.solved_loss is None:
        return {"solved": None, "note": "not guessed: the task has no criterion of success"}
    found = guess(task)
    count = sum(found.solved.values())
    if count == 0:
        return {"solved": 0.0, "note": f"none of {found.tried} random networks solves it"}
    ways = [
        f"{number} of {cell} with {units} unit{'s' * (units > 1)} and weights in -{width}..{width}"
        for (cell, units, width), number in sorted(found.solved.items(), key=lambda item: -item[1])
    ]
    verb = "solves" if count == 1 else "solve"
    return {"solved": found.share, "note": f"{count} of {found.tried} random networks {verb} it: {', '.join(ways)}"}


def read_baselines(path: Path) -> Records:
    """Return the baselines of a file by the label of their task; none where there is no file.

    Raises ValueError, in one line, for a file that holds something else.
    """
    try:
        content = path.read_text(encoding="utf-8")
        return checked(json.loads(content))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
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
