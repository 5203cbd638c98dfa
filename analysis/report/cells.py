"""The cells of a study, drawn from their definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def drawings(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the drawing of each variant as SVG, empty where it cannot be drawn; needs torch.

    nodes: those of the variants in a design: `_target_`, `label` and knobs.
    """
    from ..diagram import svg_of

    def drawn(node: Mapping[str, Any]) -> str:
        try:
            return svg_of(node)
        except (KeyError, TypeError, ValueError, AttributeError):  # an archive says what it likes of its classes
            return ""

    return [drawn(node) for node in nodes]
