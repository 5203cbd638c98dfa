"""Writes a declared cell as equations that compute the same, operation by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from ..cell import Cell
from .cell import Formula
from .expressions import (
    COMPARISONS,
    FUNCTIONS,
    SPELLINGS,
    Binary,
    Expression,
    Function,
    Kept,
    Line,
    Linear,
    Old,
    Preactivation,
    Program,
    Value,
    operands,
)
from .following import CannotWrite, Followed, expression_of, follow
from .reading import FormulaError
from .writing import write

SQUASHING = ("s", "tanh", "relu", "exp", "softplus", "log_sigmoid", "silu", "gelu", "elu", "erf", "sin", "cos")
"""Functions that make the value of a gate of a pre-activation; it gets a line of its own."""
SAID = frozenset(
    ("State", "gates", "vectors", "keeps", "writes", "never_forgets", "source", "name", "registry", "control")
)
"""Attributes of a cell that equations say, or that change nothing of what it computes."""
OWN = frozenset(("step", "validate", "after_initialisation", "add_keep_bias", "feeds", "sources"))
"""Methods that a cell may have of its own. How its parameters start is not in the equations."""
REASONS = {
    "recurrent_mask": "it has a mask on R, which equations do not say",
    "constants": "it has constants of its units, which equations do not say",
    "for_layer": "its layers differ, which equations do not say",
    "above": "it reads the layer below, which equations do not say",
    "projected": "its output is a projection of its units, which equations do not say",
    "shows": "its output has several fields of the state, which equations do not say",
}


def equations_of(cell: Cell) -> str:
    """Return the equations of a cell.

    cell: with its knobs.

    Returns text from which `Formula` makes a cell with the same parameters, outputs and gradients, to the last bit.
    Raises CannotWrite, a ValueError in one line, for a cell that equations cannot say.

    >>> from variants import GRU
    >>> print(equations_of(GRU()))
    r = s(W_r x + R_r h' + b_r)
    u = s(W_u x + R_u h' + b_u)
    n = tanh(W_n x + R_n (r*h') + b_n)
    h = u*h' + (1 - u)*n
    """
    if isinstance(cell, Formula):
        return write(cell.program)
    reason = why_not(cell)
    if reason:
        raise CannotWrite(f"{cell.title}: {reason}")
    try:
        followed = _followed(cell)
        for shared in (True, False):
            text = write(_Making(cell, followed, shared).program())
            try:
                again = Formula(equations=text)
            except FormulaError:
                continue
            if _followed(again) == followed and _declared(again) == _declared(cell):
                return text
    except CannotWrite as error:
        raise CannotWrite(f"{cell.title}: {error}") from None
    raise CannotWrite(f"{cell.title}: it computes in an order, or under names, that equations cannot say")


def why_not(cell: Cell) -> str:
    """Return why the declaration of a cell cannot be said by equations; empty where it can."""
    if cell.control:
        is_a = getattr(cell, "is_a", "a control")
        return f"it is {is_a}, whose formula is not declared here"
    names = [name for name in vars(Cell) if not name.startswith("_") and name not in SAID | OWN | REASONS.keys()]
    for name in (*REASONS, *names):
        usual = vars(Cell)[name]
        changed = f"it changes {name}, which equations do not say"
        if callable(usual) or isinstance(usual, property | cached_property | classmethod | staticmethod):
            if getattr(type(cell), name) is not getattr(Cell, name):
                return REASONS.get(name, changed)
        elif getattr(cell, name) != usual and name != "min_layers":
            return REASONS.get(name, changed)
    return ""


def _declared(cell: Cell) -> tuple[object, ...]:
    """Return what the declaration of a cell says besides its formulas."""
    gates = [(gate.name, len(gate.hears), gate.input, gate.bias) for gate in cell.preactivations]
    names = {block.name for block in cell.blocks}
    return gates, names, cell.State._fields, tuple(cell.vectors), cell.keeps, cell.writes, cell.never_forgets


def _followed(cell: Cell) -> tuple[dict[str, Followed], Followed]:
    """Return what each feed of a cell computes, by the first gate that hears it, and what its step computes."""
    ready, feeds = list[str](), {}
    for k, names in enumerate(cell.ready_after):
        source = cell.sources[k - 1] if k else None
        if source is not None and source.feed is not None:
            known = tuple(ready)
            feeds["+".join(source.gates)] = follow(cell, source.feed, known)
        ready += names
    return feeds, follow(cell, cell.step, ready, cell.State._fields)


class _Making:
    """Makes lines of what a cell computes.

    shared: whether a line that a feed needs also serves the step where it computes the same.
    """

    def __init__(self, cell: Cell, followed: tuple[dict[str, Followed], Followed], shared: bool) -> None:
        self.cell, self.shared = cell, shared
        self.feeds, self.step = followed
        self.lines: list[Line] = []
        self.fields = cell.State._fields
        self.heard: dict[str, Expression] = {field: Old(field) for field in self.fields}

    def program(self) -> Program:
        cell = self.cell
        sources = {"+".join(source.gates): source for source in cell.sources if source.feed is not None}
        for hearing, followed in self.feeds.items():
            source = sources[hearing]
            first = all(g.hears[0] == source.name for g in cell.preactivations if source.name in g.hears)
            root = _Function(self, followed, {} if first else {"": source.name}).roots()[""]
            if not first and not isinstance(root, Value):
                self.lines.append(Line(source.name, root))
                root = Value(source.name)
            self.heard[source.name] = root
        self._add_step()
        gates = tuple(
            Linear(g.name, g.input, tuple(self.heard[name] for name in g.hears), g.bias) for g in cell.preactivations
        )
        kept = Kept(cell.keeps, cell.writes, cell.never_forgets)
        return Program(tuple(self.lines), gates, tuple(cell.vectors), self.fields, kept)

    def _add_step(self) -> None:
        """Add the lines of the step. A field that is no operation of its own gets its line behind the others."""
        names = {name: name for name in self.fields}
        roots = _Function(self, self.step, names).roots()
        for field in reversed(self.fields):
            if not any(line.name == field for line in self.lines):
                self.lines.append(Line(field, roots[field]))


class _Function:
    """The lines of one step or feed, so that reading them computes in the same order.

    An operation stands inside of the one that uses it as long as this keeps the order; else it gets a line.

    making: whose lines are added to.
    names: the name of a line for a result.
    """

    def __init__(self, making: _Making, followed: Followed, names: Mapping[str, str]) -> None:
        self._making, self._followed = making, followed
        self._uses = Counter(o for _, given in followed.nodes for o in given if isinstance(o, int))
        self._uses.update(result for result in followed.results.values() if isinstance(result, int))
        self._names: dict[int, str] = {}
        for result, name in names.items():
            node = followed.results[result]
            if isinstance(node, int):
                self._names.setdefault(node, name)
        self._pending: list[int] = []
        self._written: dict[int, Expression] = {}
        self._before = len(making.lines)
        self._shared = -1

    def roots(self) -> dict[str, Expression]:
        """Add the lines; return the results."""
        for node, (operation, given) in enumerate(self._followed.nodes):
            self._make_room([o for o in given if isinstance(o, int) and o in self._pending])
            parts = tuple(self._written[o] if isinstance(o, int) else o for o in given)
            if operation in ("*", "/"):
                parts = tuple(map(self._named_gate, parts))
            self._written[node] = expression_of(operation, parts)
            squashes = operation in SQUASHING and _gate_in(parts[0]) and not self._compares()
            if node in self._names or self._uses[node] > 1 or squashes:
                self._flush(len(self._pending))
                self._name(node)
            else:
                self._pending.append(node)
        results = self._followed.results
        self._make_room([r for r in results.values() if isinstance(r, int) and r in self._pending])
        return {name: self._written[r] if isinstance(r, int) else r for name, r in results.items()}

    def _named_gate(self, factor: Expression) -> Expression:
        """Give a pre-activation that is a factor a line of its own, if its name is free; nothing is computed there."""
        if not isinstance(factor, Preactivation):
            return factor
        name, lines = factor.gate, self._making.lines
        if not any(line == Line(name, factor) for line in lines):
            if name in self._taken():
                return factor
            self._before += len(lines) == self._before
            lines.append(Line(name, factor))
        return Value(name)

    def _compares(self) -> bool:
        """Return whether a comparison waits for the operation that uses it; it has no name."""
        return any(self._followed.nodes[node][0] in COMPARISONS for node in self._pending)

    def _make_room(self, inside: Sequence[int]) -> None:
        """Give lines to what waits, until what is to stand inside of the next operation comes last and in its order."""
        for count in range(len(self._pending) + 1):
            rest = self._pending[count:]
            wanted = [node for node in inside if node in rest]
            if rest[len(rest) - len(wanted) :] == wanted:
                self._flush(count)
                self._pending = self._pending[: len(self._pending) - len(wanted)]
                return

    def _flush(self, count: int) -> None:
        for node in self._pending[:count]:
            self._name(node)
        self._pending = self._pending[count:]

    def _name(self, node: int) -> None:
        """Give an operation a line of its own."""
        value = self._written[node]
        if self._followed.nodes[node][0] in COMPARISONS:
            raise CannotWrite("it uses a comparison twice, or elsewhere than in where")
        lines = self._making.lines
        if self._making.shared and len(lines) == self._before and node not in self._names:
            known = [k for k, line in enumerate(lines) if line.value == value and k > self._shared]
            if known:
                self._shared = known[0]
                self._written[node] = Value(lines[known[0]].name)
                return
        name = self._names.get(node) or self._free(value)
        lines.append(Line(name, value))
        self._written[node] = Value(name)

    def _free(self, value: Expression) -> str:
        """Return a name that is not taken: that of the gate that is squashed, else v."""
        gate = _gate_in(value.arguments[0]) if isinstance(value, Function) and value.name in SQUASHING else ""
        stem, number, taken = gate or "v", 1, self._taken()
        name = stem
        while name in taken:
            number += 1
            name = f"{stem}{number}"
        return name

    def _taken(self) -> set[str]:
        """Return the names that no further line may have."""
        names = {*(line.name for line in self._making.lines), *self._making.fields, *self._making.cell.vectors}
        return names | {*self._making.cell.feeds, *FUNCTIONS, *SPELLINGS, "x", "W", "R", "b"}


def _gate_in(expression: Expression) -> str:
    """Return the first gate that is a term of a sum; empty where there is none."""
    if isinstance(expression, Preactivation):
        return expression.gate
    if isinstance(expression, Binary) and expression.sign in ("+", "-"):
        return next(filter(None, map(_gate_in, operands(expression))), "")
    return ""
