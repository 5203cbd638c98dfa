"""The best cells of a search, one card each: equations, drawing, scores, and how far they are from known cells."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from runs.arguments import command
from runs.discovery.distance import distance
from runs.discovery.graph import Graph
from runs.discovery.verdict import found_label
from variants.formula.cell import Formula

from ..diagram import CannotDraw, draw, svg
from ..typeset import typeset
from ..words import spoken
from .search import Search, Standing
from .traits import size

SHOWN = 10
RELATIVES = ("gru", "vanilla")
"""The cells to which the distance is counted."""


class Card(NamedTuple):
    """A cell that was found, as the page shows it; texts that end with `html` are safe.

    key: its hash. rank: its place, from 1. score: see `Standing`. evaluations: at how many blocks of points.
    ratios: by task in words. distances: number of single changes from a known cell, by its name in words.
    equations_html: of its normal form. drawing_html: as SVG, empty where it cannot be drawn, and `why` says why.
    wide: whether the drawing needs the whole width. parameters: of its network on the first task, as text.
    size: parameters of the cell at the width of the GRU. adopt: the command with which it becomes a variant.
    """

    key: str
    rank: int
    score: float
    evaluations: int
    ratios: dict[str, float]
    distances: dict[str, int]
    equations_html: list[str]
    drawing_html: str
    why: str
    wide: bool
    parameters: str
    size: int
    adopt: str

    @property
    def label(self) -> str:
        """The name that it gets as a variant."""
        return found_label(self.key)


BROAD = 600
"""Pixels; a wider drawing stands above its equations instead of beside them."""


def cards(search: Search, results: Path) -> list[Card]:
    """Return a card of each of the best cells; results: the folder of the search, for the commands."""
    relatives = {label: Graph.read(search.cells[label]) for label in RELATIVES if label in search.cells}
    return [_card(search, each, rank, relatives, results) for rank, each in enumerate(search.best[:SHOWN], start=1)]


def _card(search: Search, cell: Standing, rank: int, relatives: dict[str, Graph], results: Path) -> Card:
    graph = Graph.read(cell.equations)
    drawing, width, why = "", 0.0, ""
    try:
        shape = draw(Formula(equations=cell.equations))
        drawing, width = svg(shape), shape.width
    except (CannotDraw, ValueError) as error:
        why = str(error)
    return Card(
        key=cell.key,
        rank=rank,
        score=cell.score,
        evaluations=cell.evaluations,
        ratios={spoken(task): ratio for task, ratio in cell.ratios.items()},
        distances={spoken(label): distance(known, graph) for label, known in relatives.items()},
        equations_html=[typeset(line) for line in cell.equations.splitlines()],
        drawing_html=drawing,
        why=why,
        wide=width > BROAD,
        parameters="" if cell.parameters is None else f"{cell.parameters:,}",
        size=size(cell.equations, search.width),
        adopt=command("runs.discover", results=results, name=search.name, action="adopt", hash=cell.key),
    )
