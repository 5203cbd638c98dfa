"""What the gallery says of a cell itself: its drawing, equations, parameters, and how it differs from its relative."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from variants import Cell, Native
from variants.catalogue import entries, equations, formula, relation, summary
from variants.engine import fused
from variants.engine.ir.tracing import CannotFuse
from variants.layers.recurrent import count_parameters

from ..diagram import CannotDraw, draw, svg
from ..typeset import readable, typeset, typeset_lines
from ..walk.parts import equations_of, parts
from ..words import spoken

INPUTS, HIDDEN = 2, 32


class Card(NamedTuple):
    """A cell as the page shows it; texts that end with `html` are safe.

    label: its name in the registry. title: in words. family: its family in words. about: what it is.
    relation: how it differs from its relative, empty for one that is defined in full.
    equations_html: those of its traced graph, with its default knobs, empty where it cannot be traced.
    written_html: those of its docstring, lines of columns.
    formula_html: its parameters in letters. parameters: their number.
    source: where it comes from. drawing_html: as SVG, empty where there is none, and `why` says why.
    control: whether it is the library's own. width: of the drawing in pixels.
    """

    label: str
    title: str
    family: str
    about: str
    relation: str
    equations_html: list[str]
    written_html: list[list[str]]
    formula_html: str
    parameters: str
    source: str
    drawing_html: str
    why: str
    control: bool
    width: float = 0.0


def cards() -> list[Card]:
    """Return a card of every cell of this package, each followed by those that derive from it, the controls last."""
    return [_card(label, cls) for label, cls in entries().items()]


def _card(label: str, cls: type[Cell]) -> Card:
    cell = cls()
    try:
        shape = draw(cell)
        drawing, width, why = svg(shape), shape.width, ""
    except CannotDraw as error:
        drawing, width, why = "", 0.0, str(error)
    count = count_parameters(cell, INPUTS, HIDDEN, layers=cell.min_layers)
    layers = f", in the {cell.min_layers} layers that it needs at least" if cell.min_layers > 1 else ""
    return Card(
        label=label,
        title=spoken(label),
        family=family(cls),
        about=readable(summary(cls)),
        relation=readable(relation(cls)),
        equations_html=_traced(cell),
        written_html=typeset_lines(equations(cls)),
        formula_html=typeset(formula(cls)),
        parameters=f"{count:,} with {INPUTS} inputs and {HIDDEN} units{layers}",
        source=cls.source,
        drawing_html=drawing,
        why=why,
        control=cls.control,
        width=width,
    )


def _traced(cell: Cell) -> list[str]:
    """Return the equations of a cell as it stands in a layer above the lowest, where these differ."""
    if cell.control:
        return []
    here = cell.for_layer(1)
    try:
        found = parts(here, fused.derivation(here, lowest=not here.above))
    except CannotFuse:
        return []
    return [typeset(equation) for equation in equations_of(found)]


def family(cls: type[Cell]) -> str:
    """Return the family of a cell in words: what the first sentence of its file begins with.

    >>> from variants import GRU
    >>> family(GRU)
    'Gated recurrent units'
    """
    if cls.control:
        return "Controls of the library" if issubclass(cls, Native) else "Eager blocks"
    text = sys.modules[cls.__module__].__doc__ or ""
    return re.split(r"[:,;.]", " ".join(text.split()))[0]
