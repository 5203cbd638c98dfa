"""Engines that run a declared cell over a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cell import Cell
from . import eager

ENGINES = ("auto", "eager")


def choose(engine: str, cell: Cell) -> tuple[str, str, Callable[..., tuple[Any, Any]]]:
    """The engine that runs a cell: its name, why it is eager where something faster was wanted, and its `run` function."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    return "eager", "", eager.run
