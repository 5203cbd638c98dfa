"""Cells drawn from their traced graph, in the grammar of Olah's figures."""

from .drawing import CannotDraw, Drawing, Node, Wire, draw
from .markup import svg

__all__ = ["CannotDraw", "Drawing", "Node", "Wire", "draw", "svg"]
