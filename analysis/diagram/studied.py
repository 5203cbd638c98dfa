"""The drawing of a variant of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.trial.classes import construct
from variants import Cell

from .drawing import draw
from .markup import svg


def svg_of(target: Mapping[str, Any]) -> str:
    """Return the drawing of a variant of a study as SVG.

    target: the variant's node of the design: `_target_`, `label` and knobs.

    Returns an empty text for a cell that cannot be drawn, or whose class may not be imported.
    """
    try:
        return svg(draw(construct(target, Cell)))
    except ValueError:
        return ""
