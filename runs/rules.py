"""How a value that breaks a rule is refused: the error names the thing, the rule and the value."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .console.known import one_of


def require(condition: bool, rule: str, value: Any) -> None:
    """Raise ValueError unless a condition holds.

    rule: what must hold, for the message. value: what was given, for the message.

    >>> require(0 >= 1, "points must be at least 1", 0)
    Traceback (most recent call last):
    ValueError: points must be at least 1, got 0
    """
    if not condition:
        raise ValueError(f"{rule}, got {value!r}")


def require_one_of(name: str, value: str, names: Collection[str], which: str = "") -> None:
    """Raise ValueError, with the nearest name, unless a value is one of several names.

    name: what the value is for. names: those that are allowed. which: words before their list.

    >>> require_one_of("match", "size", ["parameters", "width"])
    Traceback (most recent call last):
    ValueError: match must be one of parameters, width, got 'size'
    """
    if value not in names:
        raise ValueError(one_of(name, value, names, which))
