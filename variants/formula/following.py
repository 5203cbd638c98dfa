"""Follows what the step and the feeds of a cell compute, by calling them with symbols in place of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cell import Cell, Values
from .expressions import FUNCTIONS, Binary, Expression, Function, Minus, Number, Old, Preactivation, Value


class CannotWrite(ValueError):
    """Why a cell cannot be written as equations, in one line."""


_CALLED = {name: name for name in FUNCTIONS} | {
    "sigmoid": "s",
    "expit": "s",
    "logsigmoid": "log_sigmoid",
    "absolute": "abs",
    "maximum": "max",
    "minimum": "min",
    "add": "+",
    "sub": "-",
    "subtract": "-",
    "mul": "*",
    "multiply": "*",
    "div": "/",
    "divide": "/",
    "true_divide": "/",
    "rsub": "r-",
    "neg": "neg",
    "negative": "neg",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
    "less": "<",
    "greater": ">",
    "clamp": "clamp",
    "clip": "clamp",
    "clamp_min": "clamp_min",
    "clamp_max": "clamp_max",
    "reciprocal": "reciprocal",
    "square": "square",
    "full_like": "full_like",
}
"""What equations call a function of torch."""
_USUAL = (("inplace", False), ("alpha", 1), ("approximate", "none"))
"""Arguments that functions of torch have by default."""


@dataclass
class Followed:
    """What a function of a cell computes.

    nodes: every operation in the order in which it is made; its operands are numbers of nodes, or leaves.
    results: by name, the number of a node or a leaf.
    """

    nodes: list[tuple[str, tuple[int | Expression, ...]]] = field(default_factory=list)
    results: dict[str, int | Expression] = field(default_factory=dict)

    def living(self) -> Followed:
        """Return the same without operations whose result is not used, numbered anew."""
        used, stack = set[int](), [r for r in self.results.values() if isinstance(r, int)]
        while stack:
            number = stack.pop()
            if number not in used:
                used.add(number)
                stack.extend(o for o in self.nodes[number][1] if isinstance(o, int))
        new = {old: k for k, old in enumerate(sorted(used))}

        def renamed(operand: int | Expression) -> int | Expression:
            return new[operand] if isinstance(operand, int) else operand

        nodes = [(self.nodes[k][0], tuple(map(renamed, self.nodes[k][1]))) for k in sorted(used)]
        return Followed(nodes, {name: renamed(result) for name, result in self.results.items()})


def follow(
    cell: Cell, function: Callable[[Values, Any, Values], Any], gates: Iterable[str], fields: Iterable[str] = ()
) -> Followed:
    """Return what a step or a feed computes.

    cell: that it belongs to.
    function: the step or the feed.
    gates: names of the pre-activations that it may read.
    fields: of the new state that it returns; none for a feed, whose result is called "".

    Raises CannotWrite for what equations do not have.
    """
    followed = Followed()

    def leaf(expression: Expression) -> Any:
        return _Symbol(followed, expression)

    a = Values(**{name: leaf(Preactivation(name)) for name in gates})
    s = cell.State(*(leaf(Old(name)) for name in cell.State._fields))
    p = Values(**{name: leaf(Value(name)) for name in cell.vectors})
    try:
        result = function(a, s, p)
    except CannotWrite:
        raise
    except Exception as error:  # a mistake in a formula may be of any kind
        raise CannotWrite(f"its formula fails on symbols: {' '.join(str(error).split())}") from None
    results = {name: getattr(result, name) for name in fields} or {"": result}
    for name, value in results.items():
        if not isinstance(value, _Symbol):
            raise CannotWrite(f"{name or 'a feed'} is {value!r}, which is no expression of the step")
        followed.results[name] = value.of
    return followed.living()


class _Symbol:
    """What stands for a tensor. of: the number of the node that computes it, or a leaf."""

    def __init__(self, followed: Followed, of: int | Expression) -> None:
        self.followed, self.of = followed, of

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _applied(function.__name__, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name == "detach":
            raise CannotWrite("it cuts the gradient, which equations do not say")
        if name.startswith("__") or name not in _CALLED:
            raise CannotWrite(f"its formula uses {name.strip('_')}, which equations do not have")
        return lambda *args, **kwargs: _applied(name, (self, *args), kwargs)

    def __bool__(self) -> bool:
        raise CannotWrite("its formula asks for the value of a number")

    def __pow__(self, power: Any) -> Any:
        if power == 2:
            return _applied("square", (self,), {})
        raise CannotWrite("its formula uses a power, which equations do not have")

    def __neg__(self) -> Any:
        return _made(self, "neg", self)

    def __abs__(self) -> Any:
        return _made(self, "abs", self)

    __hash__ = None  # type: ignore[assignment]


def _operator(sign: str, *, turned: bool) -> Callable[[_Symbol, Any], Any]:
    def operator(self: _Symbol, other: Any) -> Any:
        return _made(self, sign, *((other, self) if turned else (self, other)))

    return operator


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
    setattr(_Symbol, f"__{_name}__", _operator(_sign, turned=False))
    setattr(_Symbol, f"__r{_name}__", _operator(_sign, turned=True))
for _name, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="), ("ne", "!=")):
    setattr(_Symbol, f"__{_name}__", _operator(_sign, turned=False))


def _applied(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the result of a function of torch."""
    called = _CALLED.get(name, "")
    symbol = next((value for value in args if isinstance(value, _Symbol)), None)
    if not called or symbol is None:
        raise CannotWrite(f"its formula uses {name}, which equations do not have")
    if called == "clamp":
        bounds = dict(zip(("min", "max"), args[1:], strict=False)) | dict(kwargs)
        found: Any = args[0]
        for bound, function in (("min", "max"), ("max", "min")):
            if bounds.get(bound) is not None:
                found = _made(symbol, function, found, bounds[bound])
        return found
    if called == "full_like" and len(args) == 2 and not kwargs:
        return args[1]
    given = [key for key, value in kwargs.items() if (key, value) not in _USUAL]
    if given:
        raise CannotWrite(f"its formula uses {name} with {', '.join(given)}, which equations do not have")
    if called in ("clamp_min", "clamp_max"):
        return _made(symbol, {"clamp_min": "max", "clamp_max": "min"}[called], *args)
    if called == "r-":
        return _made(symbol, "-", args[1], args[0])
    if called == "reciprocal":
        return _made(symbol, "/", 1.0, args[0])
    if called == "square":
        return _made(symbol, "*", args[0], args[0])
    if called in FUNCTIONS and len(args) != FUNCTIONS[called]:
        raise CannotWrite(f"its formula uses {name} with {len(args)} arguments, which equations do not have")
    return _made(symbol, called, *args)


def _made(symbol: _Symbol, operation: str, *values: Any) -> _Symbol:
    """Note an operation. What is multiplied or divided by 1 stays what it is."""
    followed = symbol.followed
    if operation == "*" and isinstance(values[0], int | float) and values[0] == 1:
        return values[1]  # type: ignore[no-any-return]
    if operation in "*/" and isinstance(values[1], int | float) and values[1] == 1:
        return values[0]  # type: ignore[no-any-return]
    operands = tuple(map(_operand, values))
    followed.nodes.append((operation, operands))
    return _Symbol(followed, len(followed.nodes) - 1)


def _operand(value: Any) -> int | Expression:
    if isinstance(value, _Symbol):
        return value.of
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CannotWrite(f"its formula uses {type(value).__name__} {value!r}, which equations do not have")
    return Number(float(value))


def expression_of(operation: str, operands: tuple[Expression, ...]) -> Expression:
    """Return an operation of `Followed` as an expression."""
    if operation == "neg":
        return Minus(operands[0])
    if operation in FUNCTIONS:
        return Function(operation, operands)
    return Binary(operation, *operands)
