"""Writes a cell from its equations as the Python class that CONTRIBUTING's recipe describes."""

from __future__ import annotations

from collections.abc import Sequence

from .cell import Formula
from .expressions import (
    Binary,
    Expression,
    Function,
    Line,
    Linear,
    Minus,
    Number,
    Old,
    Preactivation,
    Program,
    Value,
    operands,
)
from .writing import write

_OF_FUNCTIONAL = {"softplus": "softplus", "log_sigmoid": "logsigmoid", "elu": "elu", "gelu": "gelu", "silu": "silu"}
_OF_TORCH = {"s": "sigmoid", **{name: name for name in ("tanh", "relu", "exp", "log", "sqrt", "abs", "sin", "cos")}}
_OF_TORCH |= {"erf": "erf", "sign": "sign", "where": "where", "max": "maximum", "min": "minimum"}
_STRENGTH = {"+": 2, "-": 2, "*": 3, "/": 3}
_ATOM = 5


def class_text(cell: Formula, name: str = "MyCell") -> str:
    """Return a Python module with a class that computes what the equations of a cell say, to the last bit.

    cell: from equations.
    name: of the class.

    >>> print(class_text(Formula(equations="h = tanh(W x + R h' + b)")).rpartition("source")[2])
     = "its equations"
    <BLANKLINE>
        def step(self, a, s, p):
            h = torch.tanh(a.h)
            return MyCellState(h=h)
    <BLANKLINE>
    """
    program = cell.program
    writer = _Writer(program, f"{name}State")
    body = [*_declared(program, name), *_feeds(program, writer), *_step(program, writer, f"{name}State")]
    uses = "\n".join(body)
    imports = ["import torch", *(["from torch.nn import functional"] if "functional." in uses else [])]
    known = ["Cell", *(["Gate"] if "Gate(" in uses else []), "Keeping", *(["feed"] if "@feed" in uses else [])]
    return "\n".join(
        [
            f'"""The cell {name}, written from its equations."""\n',
            "from typing import NamedTuple\n",
            *imports,
            f"\nfrom variants.cell import {', '.join(known)}\n\n",
            f"class {name}State(NamedTuple):",
            f'    """State of {name}, each [B, H]; the first is the output."""\n',
            *(f"    {field}: torch.Tensor" for field in program.fields),
            f"\n\nclass {name}(Keeping, Cell[{name}State]):",
            '    """A cell from its equations.\n',
            *(f"        {line}" for line in write(program).splitlines()),
            '    """\n',
            f"    State = {name}State",
            *body,
            "",
        ]
    )


def _declared(program: Program, name: str) -> list[str]:
    """Return the attributes of the class."""
    kept, first = program.kept, Old(program.fields[0])
    feeds = {heard: name for name, heard in program.feeds.items()}
    gates = [_gate(gate, first, feeds) for gate in program.gates]
    lines = [f"    gates = {_tuple(gates)}"]
    if program.vectors:
        lines.append(f"    vectors = {_tuple([_quoted(v) for v in program.vectors])}")
    lines += [f"    keeps = ({_quoted(kept.keeps[0])}, {kept.keeps[1]})"] if kept.keeps else []
    lines += [f"    writes = ({_quoted(kept.writes[0])}, {kept.writes[1]})"] if kept.writes else []
    lines += ["    never_forgets = True"] if kept.never_forgets else []
    return [*lines, '    source = "its equations"']


def _gate(gate: Linear, first: Expression, feeds: dict[Expression, str]) -> str:
    if gate.input and gate.bias and gate.hears == (first,):
        return _quoted(gate.name)
    names = [_quoted(heard.name if isinstance(heard, Old) else feeds[heard]) for heard in gate.hears]
    terms = [_quoted(gate.name), *([f"hears={_tuple(names)}"] if names else [])]
    terms += [f"{word}=False" for word, there in (("input", gate.input), ("bias", gate.bias)) if not there]
    return f"Gate({', '.join(terms)})"


def _feeds(program: Program, writer: _Writer) -> list[str]:
    lines = []
    for name, heard in program.feeds.items():
        lines += ["", "    @feed", f"    def {name}(self, a, s, p):"]
        lines += [writer.line(line) for line in program.needed([heard])]
        lines.append(f"        return {writer.text(heard)}")
    return lines


def _step(program: Program, writer: _Writer, state: str) -> list[str]:
    lines = ["", "    def step(self, a, s, p):"]
    lines += [writer.line(line) for line in program.needed([Value(field) for field in program.fields])]
    given = ", ".join(f"{field}={writer.local(field)}" for field in program.fields)
    return [*lines, f"        return {state}({given})"]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _tuple(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)},)" if len(parts) == 1 else f"({', '.join(parts)})"


class _Writer:
    """Writes expressions of one cell as Python."""

    def __init__(self, program: Program, state: str) -> None:
        self._vectors = set(program.vectors)
        self._taken = {"a", "s", "p", "self", "torch", "functional", state}

    def local(self, name: str) -> str:
        """Return the variable for a line; some names are those of arguments, modules or the state."""
        return f"{name}_" if name.rstrip("_") in self._taken else name

    def line(self, line: Line) -> str:
        return f"        {self.local(line.name)} = {self.text(line.value)}"

    def text(self, expression: Expression) -> str:
        return self._text(expression)[0]

    def _text(self, expression: Expression) -> tuple[str, int]:
        match expression:
            case Number(value):
                return (repr(value), _ATOM if value >= 0 else 4)
            case Value(name):
                return (f"p.{name}" if name in self._vectors else self.local(name)), _ATOM
            case Old(name):
                return f"s.{name}", _ATOM
            case Preactivation(gate):
                return f"a.{gate}", _ATOM
            case Minus(of):
                return f"-{self._factor(of, 4)}", 4
            case Function(name, arguments):
                return self._called(name, arguments), _ATOM
            case Binary(sign, left, right):
                strength = _STRENGTH.get(sign, 1)
                return f"{self._factor(left, strength)} {sign} {self._factor(right, strength + 1)}", strength
        raise AssertionError(expression)

    def _factor(self, expression: Expression, least: int) -> str:
        text, strength = self._text(expression)
        return text if strength >= least else f"({text})"

    def _called(self, name: str, arguments: Sequence[Expression]) -> str:
        texts = [self.text(argument) for argument in arguments]
        if name == "where" and all(isinstance(argument, Number) for argument in arguments[1:]):
            side = next(side for side in operands(arguments[0]) if not isinstance(side, Number))
            texts[1] = f"torch.full_like({self.text(side)}, {texts[1]})"  # of the type of what is compared
        if name in ("max", "min"):
            v, w = arguments if isinstance(arguments[1], Number) else arguments[::-1]
            if isinstance(w, Number):
                bound = {"max": "min", "min": "max"}[name]
                return f"torch.clamp({self.text(v)}, {bound}={w.value!r})"
        module = f"functional.{_OF_FUNCTIONAL[name]}" if name in _OF_FUNCTIONAL else f"torch.{_OF_TORCH[name]}"
        return f"{module}({', '.join(texts)})"
