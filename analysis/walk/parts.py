"""The parts of a cell, one for each node of its graph: their names, equations and what they do in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from variants import Cell
from variants.engine.ir import gates
from variants.engine.ir.derive import Derivation
from variants.engine.ir.names import Name

from ..diagram.operations import ROOTED, ROOTS

_INFIX = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2)}
_COMPARED = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ATOM = 9
SHOWN = ("gate", "content", "state")
"""Kinds of parts that have an equation and a strip of their own."""


class Part(NamedTuple):
    """One node of the graph of a cell.

    node: its number.
    name: a short name, empty for a part that has none of its own.
    kind: gate, content (what a tanh or the like makes of a pre-activation), state (the new value of a field), old (its
        value of the step before), sum (a pre-activation), vector, constant, below, or operation.
    equation: how it is computed, in plain text.
    words: what it does.
    operation: how its number follows from those of its operands: one of torch's names, or a function.
    operands: nodes that it is computed from.
    gate: whose pre-activation it is; else empty.
    """

    node: int
    name: str
    kind: str
    equation: str
    words: str
    operation: str
    operands: tuple[int, ...]
    gate: str


def parts(cell: Cell, derivation: Derivation) -> list[Part]:
    """Return the parts of a cell in an order in which they can be computed.

    >>> from variants import Vanilla
    >>> from variants.engine.fused import derivation
    >>> found = {part.name: part.equation for part in parts(Vanilla(), derivation(Vanilla()))}
    >>> found["c"], found["f"]
    ("c = f * c' + i * z", "f = s(W_f x + R_f y' + b_f)")
    """
    return _Namer(cell, derivation).parts()


def equations_of(found: Sequence[Part]) -> list[str]:
    """Return the equations of a cell: of its gates, of what they let in, and of its state.

    >>> from variants import RNN
    >>> from variants.engine.fused import derivation
    >>> equations_of(parts(RNN(), derivation(RNN())))
    ["h = tanh(W_h x + R_h h' + b_h)"]
    """
    return [part.equation for part in found if part.kind in SHOWN and part.name]


class _Namer:
    def __init__(self, cell: Cell, derivation: Derivation) -> None:
        self._cell, self._derivation, self._graph = cell, derivation, derivation.graph
        self._called = dict(derivation.step.called)
        for traced in derivation.operand_traces.values():
            self._called |= traced.called
        self._live = derivation.reach([*derivation.step.outputs.values(), *derivation.operands.values()])
        self._state = {derivation.new(field): field for field in derivation.fields}
        self._operands = {n: s for s, n in derivation.operands.items() if s not in derivation.state_operands}
        found = gates.find(self._graph, self._called, derivation.gates, list(self._state), list(self._operands))
        self._gates = {g.node: g for g in found if g.function != gates.AS_IT_IS}
        taken = derivation.fields
        named = {n: g.name for n, g in self._gates.items() if g.name.isidentifier() and g.name not in taken}
        named |= self._state
        self._names = {n: name for n, name in named.items() if self._graph.name(n) is None}

    def parts(self) -> list[Part]:
        return [self._part(n) for n in sorted(self._live) if self._graph.nodes[n][0] not in ROOTS]

    def _part(self, node: int) -> Part:
        operation, name = self._graph.nodes[node][0], self._graph.name(node)
        own = self._names.get(node, "") or ("" if name is None else _given(name))
        kind = self._kind(node)
        others = {n: label for n, label in self._names.items() if n != node}
        text = self._text(node, others)[0]
        gate = name.of if name is not None and name.kind == "a" else ""
        if operation in ROOTED:
            operation = {"level": "sigmoid", "bounded": "tanh"}[operation]
        equation = text if own in ("", text) else f"{own} = {text}"
        return Part(node, own, kind, equation, self._words(node, kind, own), operation, self._of(node), gate)

    def _of(self, node: int) -> tuple[int, ...]:
        """Return the nodes that a reader sees a node computed from."""
        operands = self._graph.operands(node)
        if self._graph.nodes[node][0] in ROOTED:
            return self._graph.operands(operands[0])
        if self._graph.nodes[node][0] == "mul":  # what decides stands first: f * c'
            return tuple(sorted(operands, key=self._rank))
        return operands

    def _rank(self, node: int) -> int:
        """Return where a factor stands in a product."""
        if self._graph.nodes[node][0] in ("sub", "constant") or self._kind(node) == "gate":
            return 0
        return {"vector": 0, "state": 0, "content": 1}.get(self._kind(node), 2)

    def _kind(self, node: int) -> str:
        name = self._graph.name(node)
        if name is not None:
            return {"a": "sum", "s": "old", "below": "below"}.get(name.kind, "vector")
        if self._graph.nodes[node][0] == "constant":
            return "constant"
        if node in self._state:
            return "state"
        if node in self._gates:
            return "gate" if self._gates[node].function.startswith(("sigmoid", "hardsigmoid")) else "content"
        return "operation"

    def _words(self, node: int, kind: str, name: str) -> str:
        """Return what a part does, in one or two sentences."""
        operation = self._graph.nodes[node][0]
        if kind == "state":
            return f"The new value of {name}, {self._use(name)}."
        if kind == "gate":
            return f"Gate {name}: a number between 0 (shut: nothing passes) and 1 (open: everything passes)."
        said = {
            "old": f"The value of {name.removesuffix(_OLD)} that the step before has left.",
            "below": "What the layer below hands up at this step.",
            "vector": f"{name}: one number for each unit, learned; a fixed one where the cell counts or scales.",
            "constant": "A fixed number.",
            "content": "New content: what the unit would like to write, squashed into a fixed range.",
            "sum": "A weighted sum of the inputs and of what all units said before, before it is squashed.",
        }.get(kind)
        products = {
            "mul": "A product: one factor decides how much of the other passes.",
            "add": "A sum: both contributions are kept side by side, and the gradient flows back to both unchanged.",
            "sub": "A difference.",
            "bounded": "tanh squashes into the range from -1 to 1.",
            "level": "The logistic function squashes into the range from 0 to 1.",
            "where": "A switch: takes one of two values.",
            **dict.fromkeys(_COMPARED, "A comparison: 1 where it is true, 0 where it is not."),
        }
        return said or products.get(operation, "A function of each unit by itself.")

    def _use(self, field: str) -> str:
        """Return what happens to the new value of a field of the state."""
        if field in self._cell.shown:
            return "the output of the unit: what reads the answer hears it, and so does the next step"
        if Name("s", field) in self._graph.inputs_of(self._live):
            return "kept for the next step"
        return "handed to the layer above"

    def _text(self, node: int, names: Mapping[int, str]) -> tuple[str, int]:
        """Return a node as a formula, and how strongly its outermost operation binds."""
        if node in names:
            return names[node], _ATOM
        operation, name, value = self._graph.nodes[node][0], self._graph.name(node), self._graph.value(node)
        if name is not None:
            return (self._sum(name.of, names), 1) if name.kind == "a" else (_given(name), _ATOM)
        if value is not None:
            return f"{value:.4g}", _ATOM
        operands = [self._text(n, names) for n in self._of(node)]
        if operation in _INFIX:
            sign, strength = _INFIX[operation]
            left, right = operands
            tight = strength + (operation in ("sub", "div"))
            return f"{_bracketed(left, strength)} {sign} {_bracketed(right, tight)}", strength
        inside = [text for text, _ in operands]
        if operation in _COMPARED:
            return f"{inside[0]} {_COMPARED[operation]} {inside[1]}", 0
        if operation == "where":
            return f"{inside[1]} if {inside[0]} else {inside[2]}", 0
        if operation == "neg":
            return f"-{_bracketed(operands[0], 2)}", 1
        function = {"level": "s", "bounded": "tanh"}.get(operation, operation)
        return f"{function}({', '.join(inside)})", _ATOM

    def _sum(self, gate: str, names: Mapping[int, str]) -> str:
        """Return the pre-activation of a gate as a formula."""
        terms = []
        for block in (b for b in self._cell.terms if b.gate == gate):
            if block.kind == "R":
                operand = self._text(self._derivation.operands[block.source], names)
                terms.append(f"{block.name} {_bracketed(operand, _ATOM)}")
            else:
                terms.append({"W": f"{block.name} x", "b": block.name}[block.kind])
        return " + ".join(terms) or "0"


_OLD = "'"


def _given(name: Name) -> str:
    """Return how a formula calls a value from outside."""
    if name.kind == "s":
        return f"{name.of}{_OLD}"
    if name.kind == "a":
        return f"a_{name.of}"
    return f"{name.of}_below" if name.kind == "below" else name.of


def _bracketed(text: tuple[str, int], least: int) -> str:
    return text[0] if text[1] >= least else f"({text[0]})"
