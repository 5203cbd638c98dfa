"""The cell that runs equations."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial, partialmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Cell, Gate, Values, feed
from ..cells.lstm import LSTMState
from .expressions import (
    Binary,
    Expression,
    Function,
    Line,
    Minus,
    Number,
    Old,
    Preactivation,
    Value,
)
from .reading import FormulaError, read

EXAMPLE = """\
z = tanh(W_z x + R_z y' + b_z)
i = s(W_i x + R_i y' + b_i)
f = s(W_f x + R_f y' + b_f)
c = f*c' + i*z
o = s(W_o x + R_o y' + b_o)
y = o*tanh(c)"""
CALLS: Mapping[str, Callable[..., Tensor]] = {
    "s": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "sign": torch.sign,
    "softplus": functional.softplus,
    "log_sigmoid": functional.logsigmoid,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}
"""What computes each function but `where`, `max` and `min`."""
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda v, w: v + w,
    "-": lambda v, w: v - w,
    "*": lambda v, w: v * w,
    "/": lambda v, w: v / w,
    "<": lambda v, w: v < w,
    "<=": lambda v, w: v <= w,
    ">": lambda v, w: v > w,
    ">=": lambda v, w: v >= w,
    "==": lambda v, w: v == w,
    "!=": lambda v, w: v != w,
}


class Formula(Cell[Any], name="formula"):
    """A cell from its equations, by default those of `vanilla`.

        z = tanh(W_z x + R_z y' + b_z)
        i = s(W_i x + R_i y' + b_i)
        f = s(W_f x + R_f y' + b_f)
        c = f*c' + i*z
        o = s(W_o x + R_o y' + b_o)
        y = o*tanh(c)

    `x` [B, I] is the input, `y'` and `c'` [B, H] are the values of the step before. Gates, feeds, vectors and the state
    follow from the equations: the last line is the output, and the state is the output and every name whose old value
    is read. `docs/library.md` describes the notation.

    equations: one a line, or divided by ";".
    keep_bias: added at the start of training to the bias of the gate that keeps, so that more is kept. Where no gate
        does, it has no effect.

    Parameters: 4H(I+H+1) by default.
    """

    State: type[Any] = LSTMState
    gates: Sequence[str | Gate] = ("z", "i", "f", "o")
    source = "your equations; by default Gers, Schmidhuber & Cummins 2000, 'Learning to Forget', section 3"

    def __init__(self, *, equations: str = EXAMPLE, keep_bias: float = 1.0) -> None:
        if not isinstance(equations, str):
            raise ValueError(f"{self.name}: equations must be text, as in h = tanh(W x + R h' + b), got {equations!r}")
        self.equations, self.keep_bias = equations.strip(), keep_bias
        self.program = read(self.equations)
        program, own = self.program, self.program.feeds
        self.State = state_of(program.fields)
        names = {heard: name for name, heard in own.items()}
        self.gates = tuple(
            Gate(g.name, tuple(h.name if isinstance(h, Old) else names[h] for h in g.hears), g.input, g.bias)
            for g in program.gates
        )
        self.vectors = program.vectors
        self.keeps, self.writes = program.kept.keeps, program.kept.writes
        self.never_forgets = program.kept.never_forgets
        self._check_names(own)
        for name, heard in own.items():
            setattr(self, name, partial(_fed, program.needed([heard]), heard))
        self._lines = program.needed([Value(field) for field in program.fields])

    def _check_names(self, feeds: Mapping[str, Expression]) -> None:
        """Raise FormulaError for a feed whose name a cell, or the class that is written for it, needs itself."""
        for name in feeds:
            if hasattr(type(self), name) or name in vars(self) or name == feed.__name__:
                found = re.search(rf"(?<![^;\n])[^\S\n]*{name}\s*=", self.equations)
                before = self.equations[: found.end() - len(found.group().lstrip())].split("\n") if found else [""]
                rule = f"{name} is heard by an R and cannot have this name"
                raise FormulaError(rule, self.equations, len(before), len(before[-1]) + 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made: its equations are read again, and it takes what was set later, such as gates."""
        derived = {"State", "program", "_lines", *self.program.feeds}
        return _built, (type(self), self.knobs), {k: v for k, v in self.__getstate__().items() if k not in derived}

    @cached_property
    def feeds(self) -> tuple[str, ...]:
        """Names of what gates hear beside fields of the state, in the order in which it can be computed."""
        return tuple(self.program.feeds)

    def step(self, a: Values, s: Any, p: Values) -> Any:
        known: dict[str, Tensor] = {}
        for line in self._lines:
            known[line.name] = _value(line.value, known, a, s, p)
        return self.State(*(known[field] for field in self.program.fields))


@cache
def state_of(fields: tuple[str, ...]) -> type[Any]:
    """Return the NamedTuple of a state with some fields, the same one at each call."""
    made: Any = namedtuple  # whose names a type checker cannot know
    State = made("State", fields)
    State.__doc__ = f"State of a cell from equations: {', '.join(fields)}, each [B, H]; the first is the output."
    State.__reduce__ = partialmethod(_reduced, fields)
    found: type[Any] = State
    return found


def _reduced(state: tuple[Tensor, ...], fields: tuple[str, ...]) -> tuple[Any, ...]:
    """Return how a state is made again, since its type has no name that could be imported."""
    return _state, (fields, tuple(state))


def _state(fields: tuple[str, ...], values: tuple[Tensor, ...]) -> Any:
    return state_of(fields)(*values)


def _built(cls: type[Formula], knobs: dict[str, Any]) -> Formula:
    return cls(**knobs)


def _fed(lines: Sequence[Line], heard: Expression, a: Values, s: Any, p: Values) -> Tensor:
    """Compute what an R is multiplied with, by the lines that it needs."""
    known: dict[str, Tensor] = {}
    for line in lines:
        known[line.name] = _value(line.value, known, a, s, p)
    found: Tensor = _value(heard, known, a, s, p)
    return found


def _value(expression: Expression, known: Mapping[str, Tensor], a: Values, s: Any, p: Values) -> Any:
    """Compute an expression: a tensor, or a number for one that holds numbers only."""
    match expression:
        case Number(value):
            return value
        case Value(name):
            return known[name] if name in known else getattr(p, name)
        case Old(name):
            return getattr(s, name)
        case Preactivation(gate):
            return getattr(a, gate)
        case Minus(of):
            return -_value(of, known, a, s, p)
        case Binary(sign, left, right):
            return SIGNS[sign](_value(left, known, a, s, p), _value(right, known, a, s, p))
        case Function("where", (Binary(sign, left, right), *others)):
            compared = [_value(side, known, a, s, p) for side in (left, right)]
            v, w = (_value(other, known, a, s, p) for other in others)
            return torch.where(SIGNS[sign](*compared), _like(v, w, compared), w)
        case Function(name, arguments):
            values = [_value(argument, known, a, s, p) for argument in arguments]
            return _extreme(name, *values) if name in ("max", "min") else CALLS[name](*values)


def _like(v: Any, w: Any, compared: Sequence[Any]) -> Any:
    """Return v; where it and w are numbers, as a tensor of the type of what is compared."""
    if isinstance(v, float) and isinstance(w, float):
        return torch.full_like(next(side for side in compared if not isinstance(side, float)), v)
    return v


def _extreme(name: str, v: Any, w: Any) -> Tensor:
    """Return the larger or the smaller one of two, of which one may be a number."""
    if isinstance(v, float):
        v, w = w, v
    if isinstance(w, float):
        return torch.clamp(v, min=w) if name == "max" else torch.clamp(v, max=w)
    found: Tensor = torch.maximum(v, w) if name == "max" else torch.minimum(v, w)
    return found
