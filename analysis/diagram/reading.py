"""What a cell's traced graph shows as a diagram: layers, pointwise operations, and what each of them reads."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from variants import Cell, Control
from variants.engine import fused
from variants.engine.ir.derive import Derivation
from variants.engine.ir.gates import CALLED, Called
from variants.engine.ir.graph import COMPARISONS, Graph
from variants.engine.ir.names import Name
from variants.engine.ir.tracing import CannotFuse

from .gradients import changed
from .operations import ROOTED

INPUT = -1
"""The number of the input x, which is no node of the graph."""
MOST = 40  # elements: a larger drawing says nothing to anybody
_SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "minimum": "min", "maximum": "max", "where": "switch"}
_SIGNS |= {"lt": "<", "le": "≤", "gt": ">", "ge": "≥", "eq": "=", "ne": "≠"}
PARTS = ("if", "then", "else")
"""Roles of what a switch reads."""
ORDERED = ("a", "b")
"""Roles of what an operation reads where the order matters."""
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_ALONE = {"neg": "−v", "abs": "|v|", "sqrt": "√", "sigmoid": "σ", "log_sigmoid": "log σ", "not": "not"}
_ROLES = {"where": PARTS} | dict.fromkeys(("sub", "div", "lt", "le", "gt", "ge"), ORDERED)


class CannotDraw(ValueError):
    """Why a cell cannot be drawn, in one line."""


def is_vector(role: str) -> bool:
    """Return whether what is written at the end of a line is a vector by which its value is multiplied."""
    return role not in ("", *PARTS, *ORDERED)


@dataclass(frozen=True)
class Entry:
    """A line that ends at an element.

    of: the number of the value that it brings.
    role: what is written beside its end: a vector by which it is multiplied, or its part in an operation.
    """

    of: int
    role: str = ""


@dataclass
class Element:
    """Something that the diagram shows at a place.

    number: by which others read it.
    value: the node of the graph that it computes; negative for a merge of lines, which is none.
    kind: layer, point, constant, cut (of the gradient) or merge (of lines).
    label: what stands in it.
    name: of the gate that it is, for a layer.
    entries: the lines that end at it.
    """

    number: int
    value: int
    kind: str
    label: str
    entries: list[Entry]
    name: str = ""


@dataclass
class Abstract:
    """A cell as a diagram without places.

    old, below, new: by field of the state, the number of its previous value, of its value in the layer below, and of
        its new value. Fields that nothing reads are missing in the first two.
    feeds: numbers of what the gates hear beside fields, in the order in which they can be computed.
    shown, above: fields that make up the output, and that the layer above reads.
    gates: names of the pre-activations in the order of the declaration.
    users: by number, the elements that read it.
    """

    title: str
    graph: Graph
    elements: dict[int, Element]
    old: dict[str, int]
    below: dict[str, int]
    new: dict[str, int]
    feeds: list[int]
    shown: tuple[str, ...]
    above: tuple[str, ...]
    gates: tuple[str, ...]
    users: dict[int, list[int]] = field(default_factory=dict)

    def edges(self) -> set[tuple[int, int, str]]:
        """Return every line: what it brings, the element at which it ends, and what is written there."""
        return {(entry.of, e.number, entry.role) for e in self.elements.values() for entry in e.entries}

    def after(self, numbers: set[int]) -> set[int]:
        """Return the elements that are computed from some values, without those themselves."""
        reached, stack = set[int](), list(numbers)
        while stack:
            for user in self.users.get(stack.pop(), ()):
                if user not in reached:
                    reached.add(user)
                    stack.append(user)
        return reached


def read(cell: Cell) -> Abstract:
    """Read a cell as it stands in a layer above the lowest one, where these differ.

    Raises CannotDraw, with the reason, for one that cannot be traced or has too many operations.
    """
    if isinstance(cell, Control):
        raise CannotDraw(f"{cell.title}: {cell.is_a}, whose formula is not declared here")
    try:
        here = cell.for_layer(1)
        derivation = fused.derivation(here, lowest=not here.above)
    except CannotFuse as error:
        raise CannotDraw(f"{cell.title}: cannot be traced: {error}") from None
    except Exception as error:  # a mistake in a formula may be of any kind
        reason = " ".join(str(error).split())
        raise CannotDraw(f"{cell.title}: its formula fails: {type(error).__name__}: {reason}") from error
    _refuse_changed(cell.title, derivation)
    found = _Reader(here, derivation).abstract()
    if len(found.elements) > MOST:
        raise CannotDraw(f"{cell.title}: too large to be drawn: {len(found.elements)} elements, at most {MOST}")
    return found


def _refuse_changed(title: str, derivation: Derivation) -> None:
    """Raise CannotDraw for a cell of which the gradient does not take the lines of its graph."""
    try:
        names = changed(derivation)
    except KeyError as error:
        raise CannotDraw(f"{title}: its gradient cannot be checked, since it uses {error.args[0]}") from None
    if names:
        raise CannotDraw(
            f"{title}: its formula cuts or changes the gradient by {', '.join(names)}, which no line of a drawing shows"
        )


class _Reader:
    """Groups the nodes of a derivation into elements."""

    def __init__(self, cell: Cell, derivation: Derivation) -> None:
        self._cell, self._derivation, self._graph = cell, derivation, derivation.graph
        self._called: dict[int, Called] = dict(derivation.step.called)
        for traced in derivation.operand_traces.values():
            self._called |= traced.called
        self._new = {f: derivation.new(f) for f in derivation.fields}
        self._elements: dict[int, Element] = {}
        self._next = INPUT
        self._users: dict[int, list[int]] = defaultdict(list)
        self._roots = [*self._new.values(), *derivation.operands.values()]
        for node in self._live():
            for operand in self._operands(node):
                self._users[operand].append(node)
        self._gates = {gate.name: self._grown(gate.name) for gate in cell.preactivations}
        self._values = {box[0]: gate for gate, box in self._gates.items()}

    def abstract(self) -> Abstract:
        feeds = self._feeds()
        new = {f: self._read(node) for f, node in self._new.items()}
        for gate in self._cell.preactivations:
            self._layer(gate.name)
        self._hear(feeds)
        self._forget(set(new.values()))
        used = {entry.of for e in self._elements.values() for entry in e.entries} | set(new.values())
        numbers = {n: self._graph.name(n) for n in used if n >= 0}

        def named(kind: str) -> dict[str, int]:
            found = {name.of: n for n, name in numbers.items() if name is not None and name.kind == kind}
            return {f: found[f] for f in self._cell.State._fields if f in found}

        users: dict[int, list[int]] = defaultdict(list)
        for e in self._elements.values():
            for entry in e.entries:
                users[entry.of].append(e.number)
        fed = [n for n in feeds.values() if n in self._elements]
        return Abstract(
            self._cell.title,
            self._graph,
            self._elements,
            named("s"),
            named("below"),
            new,
            fed,
            self._cell.shown,
            tuple(self._cell.above),
            tuple(gate.name for gate in self._cell.preactivations),
            dict(users),
        )

    # The graph, in which a function that a formula calls is one operation
    # -----------------------------------------------------------------------------------------------------------------

    def _operands(self, node: int) -> tuple[int, ...]:
        if node in self._called:
            return self._called[node].operands
        if self._graph.nodes[node][0] in ROOTED:
            return self._graph.operands(self._graph.operands(node)[0])
        return self._graph.operands(node)

    def _operation(self, node: int) -> str:
        if node in self._called:
            return self._called[node].function
        operation = self._graph.nodes[node][0]
        return ROOTED[operation].__name__ if operation in ROOTED else operation

    def _live(self) -> list[int]:
        reached, stack = set[int](), list(self._roots)
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                stack.extend(self._operands(node))
        return sorted(reached)

    def _only_user(self, node: int) -> int | None:
        users = self._users[node]
        return users[0] if len(users) == 1 and node not in self._roots else None

    def _constant(self, node: int) -> str | None:
        """Return how a number or a vector of the cell is written, None for what changes with time."""
        value, name = self._graph.value(node), self._graph.name(node)
        if value is not None:
            return f"{value:g}".replace("-", "−") if not isinstance(value, bool) else str(value).lower()
        return name.of if name is not None and name.kind == "p" else None

    def _factor(self, node: int) -> tuple[float, int] | None:
        """Return the number and the other operand of a product with a number."""
        operands = self._operands(node)
        if self._operation(node) != "mul" or len(operands) != 2:
            return None
        for one, other in (operands, operands[::-1]):
            value = self._graph.value(one)
            if isinstance(value, float):
                return value, other
        return None

    def _peephole(self, node: int) -> tuple[str, int] | None:
        """Return the vector and the value of a term `vector * value` of a sum."""
        operands = self._operands(node)
        if self._operation(node) != "mul" or len(operands) != 2 or self._only_user(node) is None:
            return None
        for one, other in (operands, operands[::-1]):
            name = self._graph.name(one)
            if name is not None and name.kind == "p" and self._constant(other) is None:
                return name.of, other
        return None

    # Layers
    # -----------------------------------------------------------------------------------------------------------------

    def _grown(self, gate: str) -> tuple[int, str, list[tuple[str, int]]]:
        """Return the value of a gate's layer, what stands in it, and its peepholes.

        A layer is the pre-activation with the function that squashes it, also where it looks at values through vectors
        or is multiplied by a number on the way.
        """
        start = self._graph.input(Name("a", gate))
        node, before, peepholes = start, "v", list[tuple[str, int]]()
        while (user := self._only_user(node)) is not None:
            operation = self._operation(user)
            if operation in CALLED and len(set(self._operands(user))) == 1:
                return *self._rescaled(user, _call(operation, before)), peepholes
            factor = self._factor(user)
            if operation == "add" and before == "v":
                other = next((n for n in self._operands(user) if n != node), node)
                peephole = self._peephole(other)
                if peephole is None:
                    break
                peepholes.append(peephole)
            elif factor is not None:
                before = _scaled(factor[0])
            else:
                break
            node = user
        return start, "linear", []

    def _rescaled(self, node: int, label: str) -> tuple[int, str]:
        """Return a squashed value, or its product with a number where only that is used."""
        user = self._only_user(node)
        factor = self._factor(user) if user is not None else None
        if user is None or factor is None:
            return node, label
        return user, f"{factor[0]:g} {label}".replace("-", "−")

    def _layer(self, gate: str) -> int:
        value, label, peepholes = self._gates[gate]
        if value not in self._elements:
            self._elements[value] = Element(value, value, "layer", label, [], gate)
            self._elements[value].entries = [Entry(self._read(of), vector) for vector, of in peepholes]
        return value

    def _hear(self, feeds: dict[str, int]) -> None:
        """Add to each layer the lines of what it hears; lines that several layers hear together are merged once."""
        groups: dict[frozenset[int], list[str]] = defaultdict(list)
        for gate in self._cell.preactivations:
            heard = [feeds[name] for name in feeds if name in gate.hears]
            groups[frozenset([*heard, *([INPUT] if gate.input else [])])].append(gate.name)
        merged: dict[frozenset[int], int] = {}
        for parts in sorted(groups, key=len):
            numbers = set(parts)
            for smaller in sorted(merged, key=len, reverse=True):
                if smaller < parts and smaller <= numbers:
                    numbers = (numbers - smaller) | {merged[smaller]}
            ordered = sorted(numbers, key=lambda n: (n == INPUT, n >= 0, n))
            common = len(groups[parts]) > 1 or any(parts < other for other in groups) or self._is_bus(parts)
            if len(parts) > 1 and (common or len(groups) == 1 or len(parts) > 3):
                ordered = [merged.setdefault(parts, self._merge(ordered))]
            for name in groups[parts]:
                self._elements[self._gates[name][0]].entries[:0] = [Entry(n) for n in ordered]

    def _is_bus(self, parts: frozenset[int]) -> bool:
        """Whether the previous output and the input, and nothing else, are heard together."""
        names = {self._graph.name(n) for n in parts if n >= 0}
        return INPUT in parts and names == {Name("s", self._cell.State._fields[0])}

    def _merge(self, numbers: list[int]) -> int:
        """Return the merge of several lines, two at a time."""

        def place(n: int) -> tuple[bool, bool, bool, int]:
            is_merge = n in self._elements and self._elements[n].kind == "merge"
            return not is_merge, n == INPUT, n >= 0, abs(n)

        first, *others = sorted(numbers, key=place)
        if INPUT in others and first >= 0:
            others.remove(INPUT)
            others.insert(0, INPUT)
        for other in others:
            first = self._add("merge", "", INPUT, [first, other])
        return first

    def _add(self, kind: str, label: str, value: int, reads: list[int]) -> int:
        """Return the number of a new element that has none in the graph."""
        self._next -= 1
        self._elements[self._next] = Element(self._next, value, kind, label, [Entry(n) for n in reads])
        return self._next

    def _feeds(self) -> dict[str, int]:
        """Return by source the number of what its matrices R are multiplied with."""
        feeds = {}
        for source, node in self._derivation.operands.items():
            number = self._read(node)
            changes = any(n.kind != "p" for n in self._graph.inputs_of([node]))
            if changes and not self._derivation.operand_traces[source].pulled:
                number = self._add("cut", "", node, [number])
            feeds[source] = number
        return feeds

    # Pointwise operations
    # -----------------------------------------------------------------------------------------------------------------

    def _read(self, node: int) -> int:
        """Return the number by which a value is read, with the elements that compute it."""
        name = self._graph.name(node)
        if node in self._values:
            return self._layer(self._values[node])
        if (constant := self._constant(node)) is not None:
            return self._add("constant", constant, node, [])
        if name is not None or node in self._elements:
            return node
        operation, operands = self._operation(node), self._operands(node)
        written = [self._constant(n) for n in operands]
        changing = list(dict.fromkeys(n for n, text in zip(operands, written, strict=True) if text is None))
        self._elements[node] = element = Element(node, node, "point", "", [])
        if operation != "where" and (len(changing) == 1 or len(operands) == 1):
            label, of = self._of_one(node, operation, operands, next(iter(changing), operands[0]))
            element.label, element.entries = label, [Entry(self._read(of))]
            return node
        roles = _ROLES.get(operation, ("",) * len(operands))
        sign = _SIGNS.get(operation, operation.replace("_", " "))
        element.label = f"a {sign} b" if roles[0] == "a" else sign
        element.entries = [Entry(self._read(n), role) for n, role in zip(operands, roles, strict=False)]
        return node

    def _of_one(self, node: int, operation: str, operands: tuple[int, ...], of: int) -> tuple[str, int]:
        """Return what stands in an operation on one value, its other operands being constant, and that value."""
        sign = _SIGNS.get(operation, operation)
        if len(operands) == 1:
            factor = self._factor(of) if self._only_user(of) == node and operation in CALLED else None
            if factor is not None:
                return _call(operation, _scaled(factor[0])), factor[1]
            return _ALONE.get(operation, operation.replace("_", " ")), of
        if operands == (of, of):
            return {"mul": "v²", "add": "2×"}.get(operation, f"v {sign} v"), of
        if len(operands) > 2:
            others = ", ".join(self._constant(n) or "v" for n in operands)
            return f"{operation.replace('_', ' ')}({others})", of
        left = self._constant(operands[0])
        constant = left if left is not None else self._constant(operands[1])
        if operation in COMPARISONS:
            return f"{_SIGNS[_FLIPPED.get(operation, operation) if left is not None else operation]} {constant}", of
        if operation in ("minimum", "maximum"):
            return f"{sign} {constant}", of
        if operation not in _SIGNS:
            return f"{operation} {constant}", of
        if operation == "add":
            return f"+{constant}" if not str(constant).startswith("−") else str(constant), of
        return f"{constant}{sign}" if left is not None or operation == "mul" else f"{sign}{constant}", of

    def _forget(self, roots: set[int]) -> None:
        """Drop elements that nothing reads: merges and cuts of sources that no layer hears."""
        while True:
            used = {entry.of for e in self._elements.values() for entry in e.entries} | roots
            idle = [n for n, e in self._elements.items() if n not in used and e.kind in ("merge", "cut", "constant")]
            if not idle:
                return
            for n in idle:
                del self._elements[n]


def _scaled(factor: float) -> str:
    return f"v/{1 / factor:g}" if 0 < factor < 1 and (1 / factor).is_integer() else f"{factor:g}v".replace("-", "−")


def _call(operation: str, argument: str) -> str:
    name = _ALONE.get(operation, operation.replace("_", " "))
    return name if argument == "v" else f"{name} {argument}"
