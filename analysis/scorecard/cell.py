"""What a scorecard says of the cell itself: its diagram, equations and parameters. This needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from runs.trial.classes import construct
from variants import Cell, knobs_of
from variants.catalogue import equations, formula, relation, summary
from variants.engine import fused
from variants.engine.ir.tracing import CannotFuse
from variants.formula.cell import Formula
from variants.formula.writing import write
from variants.layers.recurrent import count_parameters

from ..diagram.drawing import Drawing, draw
from ..diagram.reading import CannotDraw
from ..typeset import readable
from ..walk.parts import equations_of, parts

INPUTS, HIDDEN = 2, 32
LONGEST = 64
"""Letters of an equation of the traced graph; where one is longer, those of the docstring are shown."""


class About(NamedTuple):
    """A cell as a scorecard shows it.

    about: what it is, and how it differs from its relative.
    equations: one a line, in plain text.
    formula: its parameters in letters, empty where its docstring does not say.
    parameters: their number with 2 inputs and 32 units; 0 where it is not known. baseline: that of the baseline.
    layers: that it needs at least.
    source: where it comes from.
    drawing: None where there is none, and `why` says why.
    """

    about: str = ""
    equations: tuple[str, ...] = ()
    formula: str = ""
    parameters: int = 0
    baseline: int = 0
    layers: int = 1
    source: str = ""
    drawing: Drawing | None = None
    why: str = ""


def about(node: Mapping[str, Any], baseline: Mapping[str, Any]) -> About:
    """Return what is known of a cell; of one whose class may not be imported that is the reason only.

    node, baseline: of the variants in a design: `_target_`, `label` and knobs.
    """
    try:
        cell = construct(node, Cell)
    except (KeyError, TypeError, ValueError) as error:  # an archive says what it likes of its classes
        return About(why=str(error))
    cls = type(cell)
    try:
        drawing, why = draw(cell), ""
    except CannotDraw as error:
        drawing, why = None, str(error)
    own = isinstance(cell, Formula)  # of which the docstring tells of other equations
    return About(
        about="A cell from its equations." if own else readable(" ".join(filter(None, (summary(cls), relation(cls))))),
        equations=tuple(_equations(cell, _as_described(node, cls))),
        formula="" if own else formula(cls),
        parameters=_count(cell),
        baseline=_count_of(baseline),
        layers=cell.min_layers,
        source="its equations" if own else cls.source,
        drawing=drawing,
        why=why,
    )


def _as_described(node: Mapping[str, Any], cls: type[Cell]) -> bool:
    """Return whether a node has the knobs of which the docstring tells; a keep bias is in no equation."""
    usual = {name: knob.default for name, knob in knobs_of(cls).items()}
    return all(value == usual.get(knob, value) for knob, value in node.items() if knob != "keep_bias")


def _equations(cell: Cell, described: bool) -> list[str]:
    """Return the equations of the traced graph, with the knobs of the cell; else those of its docstring.

    described: whether those of the docstring are those of the cell.
    """
    if isinstance(cell, Formula):
        return write(cell.program).splitlines()
    written = [line.split("   ")[0].strip() for line in equations(type(cell))]
    if cell.control:
        return written
    here = cell.for_layer(1)
    try:
        traced = equations_of(parts(here, fused.derivation(here, lowest=not here.above)))
    except CannotFuse:
        return written
    return written if described and written and max(map(len, traced)) > LONGEST else traced


def _count(cell: Cell) -> int:
    try:
        return count_parameters(cell, INPUTS, HIDDEN, layers=cell.min_layers)
    except ValueError:  # a width that the cell does not accept
        return 0


def _count_of(node: Mapping[str, Any]) -> int:
    try:
        return _count(construct(node, Cell))
    except (KeyError, TypeError, ValueError):
        return 0
