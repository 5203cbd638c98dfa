"""Engines that run a declared cell over a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cell import Cell
from . import eager, fused
from .inputs import Inputs
from .session import Blocks, Parameters, Session, at

ENGINES = ("auto", "eager", "fused")

__all__ = ["ENGINES", "Blocks", "Inputs", "Parameters", "Session", "at", "choose"]


def choose(engine: str, cell: Cell) -> tuple[str, str, Callable[..., tuple[Any, Any]]]:
    """The engine that runs a cell: its name, why it is eager where something faster was wanted, and its `run` function.

    "auto" is fused where the cell can be traced, else eager with the reason. "fused" raises ValueError where it cannot. The choice is made
    once: a module that was built as fused and is then moved to another type or device raises in `run`, it never turns eager.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "eager":
        return "eager", "", eager.run
    reason = fused.why_not(cell)
    if not reason:
        return "fused", "", fused.run
    if engine == "fused":
        raise ValueError(f"{cell.name}: cannot be fused: {reason}")
    return "eager", reason, eager.run
