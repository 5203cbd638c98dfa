"""Arguments whose value is text, such as equations, as Hydra reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

TEXTS = ("equations",)
"""Knobs of variants whose value is taken as it is written."""


def quoted(arguments: Sequence[str]) -> list[str]:
    """Return arguments of a command line in which equations stand in quotes, as brackets mean something to Hydra.

    arguments: such as `variant.equations=h = tanh(W x + R h' + b)`. What stands in quotes already is left as it is.

    >>> print(*quoted(["variant=formula", "variant.equations=h = tanh(W x + R h' + b)"]))
    variant=formula variant.equations="h = tanh(W x + R h' + b)"
    """
    return [_quoted(argument) for argument in arguments]


def _quoted(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not equals or not re.fullmatch(rf"[+]{{0,2}}variant[.]({'|'.join(TEXTS)})", key):
        return argument
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return argument
    escaped = value.replace('"', '\\"')
    return f'{key}="{escaped}"'
