"""Elementwise expressions as a graph in which equal expressions are one node.

A rule that makes an expression simpler holds for all numbers, also for NaN, the infinities and -0.0: `1 * x` is `x`,
but `0 * x` is not 0.
"""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Iterable, Mapping

from .names import Name

Argument = int | float | bool | Name
Node = tuple[str, tuple[Argument, ...]]
"""Operation and arguments: nodes by their number, or the value of a `constant`, or the name of an `input`."""

COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
LOGIC = ("and", "or", "xor", "not")
COMMUTATIVE = ("add", "mul", "and", "or", "xor", "eq", "ne")


class Graph:
    """Nodes in an order in which they can be computed; a node is known by its number."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._numbers: dict[tuple[object, ...], int] = {}

    def input(self, name: Name) -> int:
        """Return a named value from outside."""
        return self._node("input", (name,))

    def constant(self, value: float | bool) -> int:
        """Return a number in single precision, or a truth value."""
        return self._node("constant", (value if isinstance(value, bool) else ctypes.c_float(value).value,))

    def nothing(self) -> int:
        """A derivative that does not arrive, which is less than a derivative of 0: what is computed from it is not
        computed.
        """
        return self._node("nothing", ())

    def value(self, number: int) -> float | bool | None:
        """Return the value of a constant, None for any other node."""
        operation, arguments = self.nodes[number]
        return arguments[0] if operation == "constant" and not isinstance(arguments[0], Name) else None

    def name(self, number: int) -> Name | None:
        """Return the name of an input, None for any other node."""
        operation, arguments = self.nodes[number]
        return arguments[0] if operation == "input" and isinstance(arguments[0], Name) else None

    def operands(self, number: int) -> tuple[int, ...]:
        """Return the nodes that a node is computed from."""
        operation, arguments = self.nodes[number]
        return () if operation in ("constant", "input") else tuple(a for a in arguments if isinstance(a, int))

    def is_truth(self, number: int) -> bool:
        """Return whether a node is true or false instead of a number."""
        operation, arguments = self.nodes[number]
        return (
            operation in COMPARISONS
            or operation in LOGIC
            or (operation == "constant" and isinstance(arguments[0], bool))
        )

    def apply(self, operation: str, *arguments: int) -> int:
        """Return an operation on nodes, simplified where a constant allows it."""
        nothing = self.nothing()
        if nothing in arguments:
            return self._without(operation, arguments, nothing)
        simpler = self._simplify(operation, arguments)
        if simpler is not None:
            return simpler
        if operation in COMMUTATIVE:
            arguments = tuple(sorted(arguments))
        return self._node(operation, arguments)

    def inputs(self) -> list[Name]:
        """Return the names of all inputs, in the order in which they were asked for."""
        return [name for name in map(self.name, range(len(self.nodes))) if name is not None]

    def inputs_of(self, numbers: Iterable[int]) -> set[Name]:
        """Return names of the inputs that nodes depend on."""
        names, stack, seen = set[Name](), list(numbers), set[int]()
        while stack:
            number = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            name = self.name(number)
            if name is not None:
                names.add(name)
            stack.extend(self.operands(number))
        return names

    def substitute(self, number: int, known: Mapping[int, int], done: dict[int, int] | None = None) -> int:
        """Return the node after some nodes have been replaced by others, simplified again."""
        done = {} if done is None else done
        if number in known:
            return known[number]
        if number not in done:
            operands = self.operands(number)
            new = tuple(self.substitute(n, known, done) for n in operands)
            done[number] = number if new == operands else self.apply(self.nodes[number][0], *new)
        return done[number]

    def _node(self, operation: str, arguments: tuple[Argument, ...]) -> int:
        # 0.0 and -0.0, 1 and True are equal but not the same.
        key = (operation, *((a.__class__, str(a)) for a in arguments))
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append((operation, arguments))
        return self._numbers[key]

    def _without(self, operation: str, arguments: tuple[int, ...], nothing: int) -> int:
        """Return an operation on a derivative that does not arrive.

        As in autograd, all that is linear in it is left out: `nothing * y` is nothing, also where y is NaN, because no
        product is ever made. Where something else is done with it, it counts as 0.
        """
        match operation, arguments:
            case "add", (x, y):
                return x if y == nothing else y
            case "sub", (x, y) if y == nothing:
                return x
            case "sub", (_, y):
                return self.apply("neg", y)
            case "neg" | "mul", _:
                return nothing
            case "div", (_, y) if y != nothing:
                return nothing
            case "where", (condition, x, y) if condition != nothing:
                rest = y if x == nothing else x
                if rest == nothing or self.value(rest) == 0.0:
                    return nothing
        return self.apply(operation, *(self.constant(0.0) if a == nothing else a for a in arguments))

    def _simplify(self, operation: str, arguments: tuple[int, ...]) -> int | None:
        """Return the node that an operation gives without being computed; None where it must be.

        Every rule holds for all numbers. `x + -0.0` is `x`, but `x + 0.0` is not (it makes 0.0 of -0.0); `1 * x` and
        `x / 1` are `x`. There is no rule for `0 * x`, `0 / x` and `x - x`, which are NaN where x is NaN or infinite. A
        derivative that is 0 by the structure of the formula is not such a product: it is `nothing`, see `_without`.
        """
        values = [self.value(n) for n in arguments]
        if operation in _FOLDED and all(isinstance(v, float) for v in values):
            return self.constant(_FOLDED[operation](*values))
        match operation, values:
            case "add", [float(x), _] if _is_negative_zero(x):
                return arguments[1]
            case "add", [_, float(y)] if _is_negative_zero(y):
                return arguments[0]
            case "sub", [_, float(y)] if y == 0.0 and not _is_negative_zero(y):
                return arguments[0]
            case "sub", [float(x), _] if _is_negative_zero(x):
                return self.apply("neg", arguments[1])
            case "mul", [1.0, _]:
                return arguments[1]
            case "mul" | "div", [_, 1.0]:
                return arguments[0]
            case "mul", [-1.0, _]:
                return self.apply("neg", arguments[1])
            case "mul", [_, -1.0]:
                return self.apply("neg", arguments[0])
            case "neg" | "not", _ if self.nodes[arguments[0]][0] == operation:
                return self.operands(arguments[0])[0]
            case "where", [True | False as chosen, *_]:
                return arguments[1 if chosen else 2]
            case "where", _ if arguments[1] == arguments[2]:
                return arguments[1]
            case "not", [True | False as truth]:
                return self.constant(not truth)
            case ("and", [True, _]) | ("or", [False, _]):
                return arguments[1]
            case ("and", [_, True]) | ("or", [_, False]):
                return arguments[0]
            case "and", [False, _] | [_, False]:
                return self.constant(False)
            case "or", [True, _] | [_, True]:
                return self.constant(True)
        return None


_FOLDED = {name: getattr(operator, name) for name in ("add", "sub", "mul", "neg", "abs", *COMPARISONS)}
"""What is computed while tracing. In double precision and then rounded, these are exact."""


def _is_negative_zero(value: float) -> bool:
    return value == 0.0 and math.copysign(1.0, value) < 0.0
