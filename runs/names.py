"""The rule for names of studies, tasks, variants and hyperparameters, which become folders, files, columns and runs."""

from __future__ import annotations

import re
from typing import Any

RULE = "must be 1 to 64 letters (a-z, A-Z), digits, '_', '-' or '.', and begin with a letter, digit or '_'"
# An environment variable: dotted paths of classes or packages that may be imported, separated by commas.
CLASSES = "LSTM_VARIANTS_CLASSES"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def checked_name(value: Any, thing: str) -> str:
    """Return the value if it is a name, which can stand unchanged in a path, a shell, a URL and a filter of MLflow.

    value: what may be a name. thing: what it names, for the message.
    Raises ValueError with the rule and the value where it is no name.

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
