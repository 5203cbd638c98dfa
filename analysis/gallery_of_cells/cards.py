"""What the gallery says of a cell itself: its drawing, equations, parameters, and how it differs from its relative."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from variants import Cell
from variants.catalogue import entries, equations, formula, relation, summary
from variants.layers.recurrent import count_parameters

from ..diagram import CannotDraw, draw, svg
from ..typeset import readable, typeset, typeset_lines
from ..words import spoken

INPUTS, HIDDEN = 2, 32


class Card(NamedTuple):
    """A cell as the page shows it; texts that end with `html` are safe.

    label: its name in the registry. title: in words. family: its family in words. about: what it is.
    relation: how it differs from its relative, empty for one that is defined in full.
    equations_html: lines of columns. formula_html: its parameters in letters. parameters: their number.
    source: where it comes from. drawing_html: as SVG, empty where there is none, and `why` says why.
    """

    label: str
    title: str
    family: str
    about: str
    relation: str
    equations_html: list[list[str]]
    formula_html: str
    parameters: str
    source: str
    drawing_html: str
    why: str


def cards() -> list[Card]:
    """Return a card of every cell of this package, each followed by those that derive from it, the controls last."""
    return [_card(label, cls) for label, cls in entries().items()]


def _card(label: str, cls: type[Cell]) -> Card:
    cell = cls()
    try:
        drawing, why = svg(draw(cell)), ""
    except CannotDraw as error:
        drawing, why = "", str(error)
    count = count_parameters(cell, INPUTS, HIDDEN, layers=cell.min_layers)
    layers = f", in the {cell.min_layers} layers that it needs at least" if cell.min_layers > 1 else ""
    return Card(
        label=label,
        title=spoken(label),
        family=family(cls),
        about=readable(summary(cls)),
        relation=readable(relation(cls)),
        equations_html=typeset_lines(equations(cls)),
        formula_html=typeset(formula(cls)),
        parameters=f"{count:,} with {INPUTS} inputs and {HIDDEN} units{layers}",
        source=cls.source,
        drawing_html=drawing,
        why=why,
    )


def family(cls: type[Cell]) -> str:
    """Return the family of a cell in words: what the first sentence of its file begins with.

    >>> from variants import GRU
    >>> family(GRU)
    'Gated recurrent units'
    """
    if cls.control:
        return "Controls of the library"
    text = sys.modules[cls.__module__].__doc__ or ""
    return re.split(r"[:,;.]", " ".join(text.split()))[0]
