"""Cells drawn from their traced graph, in the grammar of the figures of Olah 2015."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .drawing import Drawing, Node, Wire, draw
from .markup import svg
from .picture import png
from .reading import CannotDraw


def svg_of(target: Mapping[str, Any]) -> str:
    """Return the drawing of a variant of a study as SVG.

    target: the variant's node of the design: `_target_`, `label` and knobs.

    Returns an empty text for a cell that cannot be drawn, or whose class may not be imported.
    """
    from runs.trial.classes import construct
    from variants import Cell

    try:
        return svg(draw(construct(target, Cell)))
    except ValueError:
        return ""


__all__ = ["CannotDraw", "Drawing", "Node", "Wire", "draw", "png", "svg", "svg_of"]
