"""The diagram of a cell with places for numbers, or why there is none."""

from __future__ import annotations

from variants import Cell
from variants.engine.ir.derive import Derivation


def drawn(cell: Cell, derivation: Derivation, *, lowest: bool) -> tuple[str, str]:
    """TEMPORARY."""
    return "", "the diagrams are not there yet"
