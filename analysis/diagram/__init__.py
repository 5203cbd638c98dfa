"""Cells drawn from their traced graph, in the grammar of the figures of Olah 2015.

The names are imported when they are first used, since the command answers a mistake before torch is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .drawing import Drawing, Node, Wire, draw
    from .markup import svg
    from .picture import png
    from .reading import CannotDraw
    from .studied import svg_of

PLACES = {
    **dict.fromkeys(("Drawing", "Node", "Wire", "draw"), "drawing"),
    "CannotDraw": "reading",
    "png": "picture",
    "svg": "markup",
    "svg_of": "studied",
}


def __getattr__(name: str) -> Any:
    """Import a public name; AttributeError for any other."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PLACES[name]}", __name__), name)


__all__ = ["CannotDraw", "Drawing", "Node", "Wire", "draw", "png", "svg", "svg_of"]
