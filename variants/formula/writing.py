"""Writes a cell as equations, so that reading them gives the same cell."""

from __future__ import annotations

from .expressions import (
    Binary,
    Expression,
    Function,
    Kept,
    Linear,
    Minus,
    Number,
    Old,
    Preactivation,
    Program,
    Value,
    arranged,
    fields_of,
    kept_of,
    vectors_of,
)

_STRENGTH = {"+": 2, "-": 2, "*": 3, "/": 3}
_ATOM = 5


def write(program: Program) -> str:
    """Return the equations of a cell in normal form, one a line.

    Every W, R and b has the name of its gate as a subscript. What does not follow from the equations, such as another
    order of the gates, stands above them.

    >>> from variants.formula.reading import read
    >>> write(read("u = sigmoid(W x+b+R h'); h = u * h' + (1-u)·tanh(W_n x)"))
    "u = s(W_u x + R_u h' + b_u)\\nh = u*h' + (1 - u)*tanh(W_n x)"
    """
    return "\n".join([*said(program), *equations(program)])


def equations(program: Program) -> list[str]:
    """Return the equations, one a line, without what is said above them."""
    writer = _Writer(program)
    return [f"{line.name} = {writer.sum(line.value)}" for line in program.lines]


def said(program: Program) -> list[str]:
    """Return the lines on what does not follow from the equations."""
    gates = {gate.name: gate for gate in program.gates}
    found = []
    if program.fields != fields_of(program.lines, gates):
        found.append(f"state {', '.join(program.fields)}")
    if tuple(gates) != arranged(program.lines, gates):
        found.append(f"gates {', '.join(gates)}")
    derived = vectors_of(program.lines, gates)
    if program.vectors != derived or not all(name.startswith("p_") for name in derived):
        found.append(f"vectors {', '.join(program.vectors)}")
    follows = kept_of(program.lines, gates, program.fields)
    kept = program.kept
    if (kept.keeps, kept.never_forgets) != (follows.keeps, follows.never_forgets):
        found.append(f"keeps {keeper(kept)}")
    if kept.writes != follows.writes:
        found.append(f"writes {_gate(kept.writes) if kept.writes else 'nothing'}")
    return found


def keeper(kept: Kept) -> str:
    """Return what keeps: a gate, 1 minus a gate, all or nothing."""
    if kept.never_forgets:
        return "all"
    return _gate(kept.keeps) if kept.keeps else "nothing"


def _gate(pair: tuple[str, int]) -> str:
    return pair[0] if pair[1] == 1 else f"1-{pair[0]}"


def number(value: float) -> str:
    """Return a number so that reading it gives the same."""
    return repr(value).removesuffix(".0")


class _Writer:
    """Writes expressions of one cell."""

    def __init__(self, program: Program) -> None:
        self._gates = {gate.name: gate for gate in program.gates}

    def sum(self, expression: Expression) -> str:
        """Return an expression as it stands where nothing binds it."""
        return self._text(expression)[0]

    def _text(self, expression: Expression) -> tuple[str, int]:
        """Return an expression and how strongly its outermost sign binds."""
        match expression:
            case Number(value):
                return number(value), _ATOM
            case Value(name):
                return name, _ATOM
            case Old(name):
                return f"{name}'", _ATOM
            case Preactivation(gate):
                return self._terms(self._gates[gate]), 1
            case Function(name, arguments):
                return f"{name}({', '.join(self._argument(a) for a in arguments)})", _ATOM
            case Minus(of):
                text, strength = self._text(of)
                return f"-{_bracketed(text, strength >= 4)}", 4
            case Binary("+" | "-", _, _):
                return self._added(expression), 2
            case Binary(sign, left, right):
                return f"{self._factor(left, 3)}{sign}{self._factor(right, 4)}", 3
        raise AssertionError(expression)

    def _argument(self, argument: Expression) -> str:
        if isinstance(argument, Binary) and argument.sign not in _STRENGTH:
            return f"{self.sum(argument.left)} {argument.sign} {self.sum(argument.right)}"
        return self.sum(argument)

    def _factor(self, expression: Expression, least: int) -> str:
        text, strength = self._text(expression)
        return _bracketed(text, strength >= least)

    def _added(self, expression: Expression) -> str:
        """Return a sum. A gate may have its terms in it without brackets once."""
        terms = list[tuple[str, Expression]]()
        while isinstance(expression, Binary) and expression.sign in ("+", "-"):
            terms.append((expression.sign, expression.right))
            expression = expression.left
        terms.append(("+", expression))
        written, seen = list[str](), set[Expression]()
        for sign, term in reversed(terms):
            text, strength = self._text(term)
            bare = strength >= 3 or (sign == "+" and isinstance(term, Preactivation) and term not in seen)
            seen.add(term)
            written += [sign, _bracketed(text, bare)]
        return " ".join(written[1:])

    def _terms(self, gate: Linear) -> str:
        found = [f"W_{gate.name} x"] if gate.input else []
        for k, heard in enumerate(gate.hears):
            source = f"_{heard.name}" if k and isinstance(heard, Old | Value) else ""
            text, strength = self._text(heard)
            found.append(
                f"R_{gate.name}{source} {_bracketed(text, strength == _ATOM and isinstance(heard, Old | Value))}"
            )
        return " + ".join([*found, f"b_{gate.name}"] if gate.bias else found)


def _bracketed(text: str, bare: bool) -> str:
    return text if bare else f"({text})"
