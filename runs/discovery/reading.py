"""Reads the graph of a cell from its equations."""

from __future__ import annotations

from variants.formula.expressions import (
    Binary,
    Expression,
    Function,
    Linear,
    Minus,
    Number,
    Old,
    Preactivation,
    Program,
    Value,
)
from variants.formula.reading import read

from .graph import Builder, Graph

MOST = 9  # ones that a whole number may stand for
_FUNCTIONS = {"s": "sigmoid", "tanh": "tanh", "relu": "relu"}
_SIGNS = {"+": "add", "-": "sub", "*": "mul"}


def graph_of(equations: str) -> Graph:
    """Return the graph of a cell that equations describe; `Graph.read` says what it can hold."""
    program = read(equations)
    reader = _Reader(program)
    for line in program.lines:
        reader.known[line.name] = reader.node(line.value)
    return reader.builder.graph([reader.known[field] for field in program.fields])


class _Reader:
    """Turns the expressions of one cell into nodes. known: nodes of the lines that were read."""

    def __init__(self, program: Program) -> None:
        self.builder = Builder()
        self.known = dict[str, int]()
        self._made = dict[str, int]()  # gates
        self._gates = {gate.name: gate for gate in program.gates}
        self._fields = program.fields

    def node(self, expression: Expression) -> int:
        """Return the node of an expression."""
        add = self.builder.add
        match expression:
            case Value(name) if name in self.known:
                return self.known[name]
            case Value(name):
                raise _refused(f"the learned vector {name}")
            case Old(name):
                return add("field", number=self._fields.index(name))
            case Preactivation(name):
                if name not in self._made:
                    self._made[name] = self._gate(self._gates[name])
                return self._made[name]
            case Minus(of):
                return add("minus", self.node(of))
            case Function(name, (of,)) if name in _FUNCTIONS:
                return add(_FUNCTIONS[name], self.node(of))
            case Function("max", (Number(0.0), of) | (of, Number(0.0))):
                return add("relu", self.node(of))
            case Binary("*", Number(value), of) | Binary("*", of, Number(value)):
                return self._times(value, of)
            case Binary("+" | "-" as sign, left, right):
                return self._sum(sign, left, right)
            case Binary("*", left, right):
                return add("mul", self.node(left), self.node(right))
            case Function(name) | Binary(name):
                raise _refused(f"{name!r}")
        raise _refused("a number that stands alone")

    def _gate(self, gate: Linear) -> int:
        heard = [self.node(source) for source in gate.hears]
        found = self.builder.gate(tuple(heard[:1]), gate.input, gate.bias)
        for of in heard[1:]:
            found = self.builder.add("add", found, self.builder.gate((of,), False, False))
        return found

    def _times(self, value: float, of: Expression) -> int:
        number = _whole(value)
        if number == 0:
            raise _refused("a product with 0")
        one = found = self.node(of)
        for _ in range(abs(number) - 1):
            found = self.builder.add("add", found, one)
        return found if number > 0 else self.builder.add("minus", found)

    def _sum(self, sign: str, left: Expression, right: Expression) -> int:
        add = self.builder.add
        if isinstance(right, Number):
            return self._plus(_whole(right.value) * (1 if sign == "+" else -1), self.node(left))
        if isinstance(left, Number):
            number, found = _whole(left.value), self.node(right)
            if sign == "+":
                return self._plus(number, found)
            return self._plus(number - 1, add("one_minus", found))
        return add(_SIGNS[sign], self.node(left), self.node(right))

    def _plus(self, number: int, found: int) -> int:
        for _ in range(abs(number)):
            if number > 0:
                found = self.builder.add("one_plus", found)
            else:
                found = self.builder.add("minus", self.builder.add("one_minus", found))
        return found


def _whole(value: float) -> int:
    if value != int(value) or abs(value) > MOST:
        raise _refused(f"the number {value:g}; numbers must be whole and at most {MOST}")
    return int(value)


def _refused(what: str) -> ValueError:
    return ValueError(f"graph: the cells of a search are made of gates, s, tanh, relu, + - * and fields, got {what}")
