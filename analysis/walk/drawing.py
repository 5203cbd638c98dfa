"""The diagram of a cell with places for numbers, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping

from variants import Cell
from variants.engine.ir.derive import Derivation
from variants.engine.ir.graph import COMMUTATIVE, Graph

from ..diagram import CannotDraw, draw, svg


def drawn(cell: Cell, derivation: Derivation) -> tuple[str, float, str]:
    """Return the diagram as SVG, in which wires and nodes name nodes of the derivation; its width, and why
    there is none, which is empty where there is one.

    cell: as it stands in the layer that is shown.
    derivation: of that layer.
    """
    try:
        drawing = draw(cell)
    except CannotDraw as error:
        return "", 0.0, str(error)
    values = {*(wire.value for wire in drawing.wires), *(node.value for node in drawing.nodes)}
    known = same_nodes(drawing.graph, derivation.graph)
    if not {value for value in values if value >= 0} <= {*known}:
        return "", 0.0, f"{cell.title}: the diagram is that of another layer than the one that is shown"
    text = svg(drawing, walk=True)
    return re.sub(r'data-value="(\d+)"', lambda found: f'data-value="{known[int(found[1])]}"', text), drawing.width, ""


def same_nodes(theirs: Graph, ours: Graph) -> Mapping[int, int]:
    """Return the nodes of one graph and, for each, the node of another graph that is the same expression.

    Two traces of a cell may number the same expressions differently.
    """
    numbers: dict[object, int] = {}
    for own, (operation, arguments) in enumerate(ours.nodes):
        numbers.setdefault(_key(operation, arguments, ours.operands(own)), own)
    found: dict[int, int] = {}
    for node, (operation, arguments) in enumerate(theirs.nodes):
        operands = theirs.operands(node)
        if not all(n in found for n in operands):
            continue
        mapped = tuple(found[n] for n in operands)
        either = sorted(mapped) if operation in COMMUTATIVE else mapped
        same = numbers.get(_key(operation, arguments, tuple(either)))
        if same is not None:
            found[node] = same
    return found


def _key(operation: str, arguments: tuple[object, ...], operands: tuple[int, ...]) -> object:
    return (operation, operands) if operands else (operation, *map(repr, arguments))
