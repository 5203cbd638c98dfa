"""The rule for names: of studies, their tasks, variants and hyperparameters, which become names of folders, files,
columns and runs.
"""

from __future__ import annotations

import re
from typing import Any

RULE = "must be 1 to 64 letters (a-z, A-Z), digits, '_', '-' or '.', and begin with a letter, digit or '_'"
# in the environment: dotted paths of classes or packages that may be imported, separated by commas
CLASSES = "LSTM_VARIANTS_CLASSES"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def checked_name(value: Any, thing: str) -> str:
    """The value, where it may be a name. Names are the same in a path, a shell, a URL and a filter of MLflow, whoever
    wrote them.

    value: what may be a name. thing: what it names, for the message. Raises ValueError with the rule and the value
    where it is none.

    >>> checked_name("adding_400", "name of a task")
    'adding_400'
    """
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        shown = repr(value)
        raise ValueError(f"{thing} {RULE}, got {shown if len(shown) <= 120 else shown[:117] + '...'}")
    return value


def file_name(label: str) -> str:
    """Return a label as the name of a file or a folder: whatever could mean something in a path becomes "_".

    >>> file_name("adding 400/b")
    'adding_400_b'
    """
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in label)


def checked_design(design: Any) -> None:
    """Raise ValueError where a design from a file or a storage holds a name that is none: of itself, its tasks,
    variants or space.

    design: plain values, in which variants and tasks are a mapping by label or a list of labels.
    """
    if not isinstance(design, dict):
        raise ValueError(f"the design of a study must be a mapping, got {type(design).__name__}")
    checked_name(design.get("name"), "name of a study")
    for key, thing in (
        ("variants", "name of a variant"),
        ("tasks", "name of a task"),
        ("space", "name of a hyperparameter"),
    ):
        for entry in design.get(key) or ():
            checked_name(entry.get("label", entry.get("name")) if isinstance(entry, dict) else entry, thing)
    if design.get("baseline") is not None:
        checked_name(design["baseline"], "name of the baseline")
