"""What equations of a cell consist of: expressions, pre-activations, lines, and a whole cell as a `Program`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

SIGNS = ("+", "-", "*", "/")
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
FUNCTIONS: Mapping[str, int] = {
    **dict.fromkeys(("s", "tanh", "relu", "exp", "log", "sqrt", "abs", "sin", "cos", "softplus", "log_sigmoid"), 1),
    **dict.fromkeys(("elu", "gelu", "silu", "erf", "sign"), 1),
    "max": 2,
    "min": 2,
    "where": 3,
}
"""The functions that equations may use, and how many arguments each takes."""
SPELLINGS = {"sigmoid": "s", "logistic": "s", "logsigmoid": "log_sigmoid", "absolute": "abs"}
"""Other names of these functions."""
MOST_GROUPS = 7  # of gates that hear the same, of which every order is tried


@dataclass(frozen=True)
class Number:
    """A number that is written out."""

    value: float


@dataclass(frozen=True)
class Value:
    """What an earlier line has computed, or a vector: `c`, `p_i`."""

    name: str


@dataclass(frozen=True)
class Old:
    """The value of a field of the state before the step: `c'`."""

    name: str


@dataclass(frozen=True)
class Preactivation:
    """The value of a gate before it is squashed: `W_i x + R_i h' + b_i`."""

    gate: str


@dataclass(frozen=True)
class Function:
    """A function of one or more expressions."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Binary:
    """Two expressions and the sign between them, one of `SIGNS` or, in the first argument of `where`, `COMPARISONS`."""

    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Minus:
    """An expression with the other sign."""

    of: Expression


Expression = Number | Value | Old | Preactivation | Function | Binary | Minus


@dataclass(frozen=True)
class Linear:
    """The terms of a pre-activation.

    name: of the gate.
    input: whether there is W x.
    hears: what its matrices R are multiplied with.
    bias: whether there is b.
    """

    name: str
    input: bool
    hears: tuple[Expression, ...]
    bias: bool


@dataclass(frozen=True)
class Line:
    """One equation: a name, and what is computed for it."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Kept:
    """What decides how much of the state stays, as `Cell` declares it.

    keeps: the gate that keeps, and 1 where it keeps as `g*c'`, -1 where it keeps as `(1-g)*c'`.
    writes: the gate that lets in what is new, and 1.
    never_forgets: whether c' stands in the sum for c without a factor.
    """

    keeps: tuple[str, int] | None = None
    writes: tuple[str, int] | None = None
    never_forgets: bool = False


@dataclass(frozen=True)
class Program:
    """A cell as its equations say it.

    lines: in the order in which they are computed.
    gates: pre-activations, those that hear the same beside each other.
    vectors: names of what has one learned value per unit.
    fields: of the state, the output first.
    kept: what decides how much of the state stays.
    """

    lines: tuple[Line, ...]
    gates: tuple[Linear, ...]
    vectors: tuple[str, ...]
    fields: tuple[str, ...]
    kept: Kept

    @property
    def by_name(self) -> dict[str, Expression]:
        """What is computed for every name."""
        return {line.name: line.value for line in self.lines}

    @property
    def feeds(self) -> dict[str, Expression]:
        """What gates hear beside fields of the state, by name, in the order in which it can be computed.

        An earlier line has its own name, or `new_c` for the new value of a field c. What is written inside of a
        pre-activation of n is called `fed_n`.
        """
        found: dict[Expression, str] = {}
        gates = {gate.name: gate for gate in self.gates}
        for name in appearing(self.lines, gates):
            for heard in gates[name].hears:
                if heard not in found and not isinstance(heard, Old):
                    found[heard] = self._feed(heard, name, set(found.values()))
        return {name: heard for heard, name in found.items()}

    def _feed(self, heard: Expression, gate: str, taken: set[str]) -> str:
        if isinstance(heard, Value) and heard.name not in self.fields:
            return heard.name
        stem = name = f"new_{heard.name}" if isinstance(heard, Value) else f"fed_{gate}"
        number = 1
        while name in {*taken, *self.fields, *self.by_name, *self.vectors}:
            number += 1
            name = f"{stem}_{number}"
        return name

    def needed(self, roots: Sequence[Expression]) -> tuple[Line, ...]:
        """Return the lines that must be computed before some expressions, in order."""
        names, stack = set[str](), list(roots)
        known = self.by_name
        while stack:
            for part in parts(stack.pop()):
                if isinstance(part, Value) and part.name in known and part.name not in names:
                    names.add(part.name)
                    stack.append(known[part.name])
        return tuple(line for line in self.lines if line.name in names)


def operands(expression: Expression) -> tuple[Expression, ...]:
    """Return what an expression is computed from, in the order in which it is computed."""
    match expression:
        case Function(_, arguments):
            return arguments
        case Binary(_, left, right):
            return left, right
        case Minus(of):
            return (of,)
    return ()


def parts(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and all parts of it, from left to right."""
    yield expression
    for operand in operands(expression):
        yield from parts(operand)


def appearing(lines: Sequence[Line], gates: Mapping[str, Linear]) -> list[str]:
    """Return the names of the gates in the order in which equations mention them."""
    return [part.gate for part in _mentioned(lines, gates) if isinstance(part, Preactivation)]


def _mentioned(lines: Sequence[Line], gates: Mapping[str, Linear]) -> list[Expression]:
    """Return the parts of all lines, each pre-activation once, behind the parts of what it hears."""
    found: list[Expression] = []

    def visit(expression: Expression) -> None:
        if isinstance(expression, Preactivation):
            if expression not in found:
                for heard in gates[expression.gate].hears:
                    visit(heard)
                found.append(expression)
            return
        found.append(expression)
        for operand in operands(expression):
            visit(operand)

    for line in lines:
        visit(line.value)
    return found


def vectors_of(lines: Sequence[Line], gates: Mapping[str, Linear]) -> tuple[str, ...]:
    """Return the names that no line computes, in the order in which equations mention them."""
    known = {line.name for line in lines}
    names = [part.name for part in _mentioned(lines, gates) if isinstance(part, Value)]
    return tuple(dict.fromkeys(name for name in names if name not in known))


def read_before(lines: Sequence[Line], gates: Mapping[str, Linear]) -> set[str]:
    """Return the fields whose old value equations read."""
    return {part.name for part in _mentioned(lines, gates) if isinstance(part, Old)}


def fields_of(lines: Sequence[Line], gates: Mapping[str, Linear]) -> tuple[str, ...]:
    """Return the fields of the state: the last line, which is the output, then every name whose old value is read."""
    output, old = lines[-1].name, read_before(lines, gates)
    return (output, *(line.name for line in lines if line.name in old and line.name != output))


def arranged(lines: Sequence[Line], gates: Mapping[str, Linear]) -> tuple[str, ...] | None:
    """Return the order of the gates: as they appear, but those that hear the same beside each other.

    Returns None where there is no such order.
    """
    names = list(dict.fromkeys(appearing(lines, gates)))
    if _neighbours(names, gates):
        return tuple(names)
    groups: dict[frozenset[Expression], list[str]] = {}
    for name in names:
        groups.setdefault(frozenset(gates[name].hears), []).append(name)
    if len(groups) > MOST_GROUPS:
        return None
    orders = ([name for group in order for name in group] for order in permutations(groups.values()))
    return next((tuple(order) for order in orders if _neighbours(order, gates)), None)


def _neighbours(names: Sequence[str], gates: Mapping[str, Linear]) -> bool:
    """Return whether the gates that hear the same stand beside each other."""
    for heard in {heard for name in names for heard in gates[name].hears}:
        places = [k for k, name in enumerate(names) if heard in gates[name].hears]
        if places[-1] - places[0] >= len(places):
            return False
    return True


# What keeps
# --------------------------------------------------------------------------------------------------------------------


def kept_of(lines: Sequence[Line], gates: Mapping[str, Linear], fields: Sequence[str]) -> Kept:
    """Find what decides how much of the state stays.

    It is looked for in the sum that a field becomes, first in the fields that are not the output: a summand `g*c'` or
    `(1-g)*c'` where g is the logistic function of a gate with a bias. What writes is another such gate that is a factor
    of another summand.

    lines: the equations.
    gates: pre-activations by name.
    fields: of the state, the output first.
    """
    known = {line.name: line.value for line in lines}
    for field in (*fields[1:], *fields[:1]):
        found = _kept_in(field, _resolved(known[field], known), known, gates)
        if found is not None:
            return found
    return Kept()


def _kept_in(
    field: str, value: Expression, known: Mapping[str, Expression], gates: Mapping[str, Linear]
) -> Kept | None:
    """Return what the new value of a field says; None where its old value has no share in it."""
    products = [_factors(_resolved(summand, known)) for summand in _summands(value)]
    with_old = [product for product in products if Old(field) in product]
    if with_old == [[Old(field)]]:
        keeps = None
    else:
        shares = [[f for f in product if f != Old(field)] for product in with_old]
        alone = [share[0] for share in shares if len(share) == 1]
        keeps = next(filter(None, (_share(factor, known, gates) for factor in alone)), None)
        if keeps is None:
            return None
    rest = [factor for product in products if Old(field) not in product and len(product) > 1 for factor in product]
    found = [share for factor in rest if (share := _share(factor, known, gates)) and share[1] == 1]
    writes = found[0] if found and (keeps is None or found[0][0] != keeps[0]) else None
    return Kept(keeps, writes, never_forgets=keeps is None)


def _resolved(expression: Expression, known: Mapping[str, Expression]) -> Expression:
    """Return what stands behind a name."""
    while isinstance(expression, Value) and expression.name in known:
        expression = known[expression.name]
    return expression


def _summands(expression: Expression) -> list[Expression]:
    """Return the summands of a sum that have the sign plus."""
    match expression:
        case Binary("+", left, right):
            return [*_summands(left), *_summands(right)]
        case Binary("-", left, _):
            return _summands(left)
    return [expression]


def _factors(expression: Expression) -> list[Expression]:
    match expression:
        case Binary("*", left, right):
            return [*_factors(left), *_factors(right)]
    return [expression]


def _share(factor: Expression, known: Mapping[str, Expression], gates: Mapping[str, Linear]) -> tuple[str, int] | None:
    """Return the gate whose logistic function a factor is, and 1, or -1 for one minus it; else None."""
    sign, found = 1, _resolved(factor, known)
    match found:
        case Binary("-", Number(1.0), right):
            sign, found = -1, _resolved(right, known)
    match found:
        case Function("s", (argument,)):
            terms = [_resolved(term, known) for term in _summands(_resolved(argument, known))]
            names = [t.gate for t in terms if isinstance(t, Preactivation) and gates[t.gate].bias]
            return (names[0], sign) if names else None
    return None
