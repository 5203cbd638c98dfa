"""A kernel in readable form: the order of a time step, its formulas, what is saved, and the backward pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from . import gates
from .derive import Backward, BackwardProduct, Derivation, Known, Mix, Pass
from .names import Name

_INFIX = {
    "or": (" or ", 1),
    "xor": (" xor ", 1),
    "and": (" and ", 2),
    "lt": (" < ", 4),
    "le": (" <= ", 4),
    "gt": (" > ", 4),
    "ge": (" >= ", 4),
    "eq": (" == ", 4),
    "ne": (" != ", 4),
    "add": (" + ", 5),
    "sub": (" - ", 5),
    "mul": (" * ", 6),
    "div": (" / ", 6),
}
"""How an operation on two operands is written, and how strongly it binds."""
_PREFIX = {"not": ("not ", 3), "neg": ("-", 7)}
_OF_ROOTS = {"level": "s", "level_slope": "s'", "bounded": "tanh", "bounded_slope": "tanh'"}
"""Functions that a kernel computes by way of `tail` and `swing`, under the names of the formula."""
_ATOM = 9
_INDENT = " " * len("  1  product  ")
_HEAD = re.compile(r"( +\d+  (product|units)  +| +(states|operands|values) +| +)?(\| (forward \d+: | {11}))?")
"""What stands left of the text of a line, with the bar of a line that is quoted from the forward pass."""
_BREAKS = {sign.strip(): strength for sign, strength in _INFIX.values()} | {"if": 0, "else": 0}
"""Before which words a formula may go on in the next line; the weaker one binds, the better."""

LEGEND = """\
h'        a state before the step
a.r       the pre-activation of gate r
W R b     weights and biases of the gates on the left, one below the other
s, *      the logistic function, the elementwise product
s', tanh' derivatives
dh        derivative of the loss by h: what arrives at this step, plus what
          the next step hands back
tail(v)   a number from which s(v) and s'(v) follow without a loss of digits
swing(v)  the same for tanh(v) and tanh'(v)
T B I H   steps, sequences, inputs, hidden units"""


def show(derivation: Derivation, backward: Backward, bias: Iterable[str], columns: int | None = None) -> str:
    """The time step of a kernel as text: forward, what is saved, backward.

    derivation: the expressions of a cell and their order.
    backward: the backward time step, as `derivation.backward` gives it.
    bias: names of the gates that have a bias.
    columns: length of the longest line, which is broken at an operation or a comma; None for lines of any length.
    """
    writer = _Writer(derivation, frozenset(bias))
    lines = [*writer.forward(), "", *writer.saved(), "", *writer.backward(backward), "", *writer.products()]
    return "\n".join(lines if columns is None else [part for line in lines for part in _fitted(line, columns)])


class _Writer:
    """Writes nodes of a derivation as formulas."""

    def __init__(self, derivation: Derivation, bias: frozenset[str]) -> None:
        self._derivation, self._graph, self._bias = derivation, derivation.graph, bias
        self._called = dict(derivation.step.called)
        for traced in derivation.operand_traces.values():
            self._called |= traced.called
        self._names = self._results()
        items = [item for item in derivation.schedule if not isinstance(item, Known)]
        self._numbers = {item: number for number, item in enumerate(items, 1)}
        self._forward_lines: dict[Pass, list[str]] = {}

    def _results(self) -> dict[int, str]:
        """Names of nodes by which other formulas call them: gates, operands of sources, and the new state."""
        derivation, graph = self._derivation, self._graph
        operands = {n: source for source, n in derivation.operands.items() if source not in derivation.state_operands}
        state = {derivation.new(field): field for field in derivation.fields}
        found = gates.find(graph, self._called, derivation.gates, list(state), list(operands))
        taken = {*derivation.fields, *operands.values()}
        names = {
            gate.node: gate.name
            for gate in found
            if gate.function != gates.AS_IT_IS and gate.name.isidentifier() and gate.name not in taken
        }
        names |= state | operands
        return {n: name for n, name in names.items() if graph.name(n) is None and graph.value(n) is None}

    def forward(self) -> list[str]:
        """One paragraph for every product and pass of a time step."""
        lines, known = ["Forward, for t = 0 ... T-1"], set[int]()
        for item, number in self._numbers.items():
            if isinstance(item, Mix):
                lines.append(f"  {number}  product  {self._product(item)}")
                continue
            formulas = self._formulas(self._results_of(item), self._names, known)
            self._forward_lines[item] = formulas
            lines += [f"  {number}  units    {formulas[0]}", *(_INDENT + line for line in formulas[1:])]
        return lines

    def _product(self, mix: Mix) -> str:
        names = self._derivation.gates_of(mix)
        terms = ["W x"] if mix.input else []
        terms += [f"R {self._operand(source)}" for source in mix.sources]
        terms += ["b"] if self._bias.intersection(names) else []
        heads = self._derivation.heads
        units = "H" if heads == 1 else f"H/{heads}"  # of one head
        inner = "+".join([*(["I"] if mix.input else []), *[units] * len(mix.sources)])
        columns = "H" if mix.size == 1 else f"{mix.size}H"
        shapes = f"[B, {inner}] x [{inner}, {columns}]" if inner else f"[{columns}]"
        return f"{', '.join(f'a.{name}' for name in names)} = {' + '.join(terms)}    {shapes}"

    def _operand(self, source: str) -> str:
        field = self._derivation.state_operands.get(source)
        return source if field is None else f"{field}'"

    def _results_of(self, item: Pass) -> list[tuple[str, int]]:
        """The results of a pass: what stands left of the formula, and the node."""
        derivation = self._derivation
        if item.operands:
            return [(f"{source} =", derivation.operands[source]) for source in item.operands]
        return [(f"{field} =", derivation.new(field)) for field in derivation.fields]

    def _formulas(self, results: Sequence[tuple[str, int]], names: Mapping[int, str], known: set[int]) -> list[str]:
        """One line for each result, after lines for the parts that have a name or are used more than once.

        results: what stands left of a formula, and its node.
        names: nodes that have a name.
        known: those whose formula has been written; what is written here is added.
        """
        named, lines = dict(names), list[str]()
        uses = Counter(node for _, node in results)
        reached, stack = set[int](), [node for _, node in results]
        while stack:
            node = stack.pop()
            if node not in reached and node not in known:
                reached.add(node)
                uses.update(self._operands(node))
                stack.extend(self._operands(node))
        for node in sorted(n for n in reached if self._operands(n)):
            if node not in named and uses[node] > 1 and any(self._operands(n) for n in self._operands(node)):
                named[node] = f"v{len(named) - len(names) + 1}"
            if node in named:
                others = {n: name for n, name in named.items() if n != node}
                lines.append(f"{named[node]} = {self._text(node, others)[0]}")
                known.add(node)
        # what another pass has written is not written again
        written = {line.split("=")[0] + "=" for line in lines}
        return lines + [
            f"{left} {self._text(node, named)[0]}"
            for left, node in results
            if left not in written and left != f"{named.get(node)} ="
        ]

    def _operands(self, node: int) -> tuple[int, ...]:
        """What a formula shows a node to be computed from."""
        if node in self._called:
            return self._called[node].operands
        operation, operands = self._graph.nodes[node][0], self._graph.operands(node)
        if operation in _OF_ROOTS and self._graph.nodes[operands[0]][0] in ("tail", "swing"):
            return self._graph.operands(operands[0])
        return operands

    def _text(self, node: int, named: Mapping[int, str]) -> tuple[str, int]:
        """A node as a formula, and how strongly its outermost operation binds."""
        if node in named:
            return named[node], _ATOM
        name, value = self._graph.name(node), self._graph.value(node)
        if name is not None:
            return _input(name), _ATOM
        if value is not None:
            return (str(value).lower() if isinstance(value, bool) else f"{value:.7g}"), _ATOM
        operation, operands = self._graph.nodes[node][0], self._operands(node)
        parts = [self._text(n, named) for n in operands]
        if node in self._called:
            function = self._called[node].function
            return f"{'s' if function == 'sigmoid' else function}({', '.join(p for p, _ in parts)})", _ATOM
        if operation in _INFIX:
            sign, strength = _INFIX[operation]
            right = strength + (operation in ("sub", "div"))  # x - (y + z), x / (y * z)
            return sign.join((_bracketed(parts[0], strength), _bracketed(parts[1], right))), strength
        if operation in _PREFIX:
            sign, strength = _PREFIX[operation]
            return sign + _bracketed(parts[0], strength), strength
        if operation == "where":
            condition, chosen, other = (_bracketed(p, 1) for p in parts)
            return f"{chosen} if {condition} else {other}", 0
        return f"{_OF_ROOTS.get(operation, operation)}({', '.join(p for p, _ in parts)})", _ATOM

    def saved(self) -> list[str]:
        """What the forward kernel keeps."""
        derivation = self._derivation
        states = ", ".join(derivation.fields)
        operands = [source for source in derivation.operands if source not in derivation.state_operands]
        lines = ["Saved for the backward pass, of every step", f"  states    {states}"]
        lines += [f"  operands  {', '.join(operands)}"] if operands else []
        values = [self._text(node, self._states())[0] for node in derivation.saved]
        return [*lines, f"  values    {', '.join(values) or 'none: everything follows from the states'}"]

    def _states(self) -> dict[int, str]:
        """Nodes that the backward kernel reads as states and operands, by name."""
        derivation = self._derivation
        read = {derivation.new(field) for field in derivation.fields} | set(derivation.operands.values())
        return {n: name for n, name in self._names.items() if n in read}

    def backward(self, step: Backward) -> list[str]:
        """One paragraph for every pass and product of the backward time step, with the lines that it differentiates."""
        arriving = ", ".join(f"d{field}" for field in step.fields)
        lines = [f"Backward, for t = T-1 ... 0, from {arriving}"]
        for number, item in enumerate(step.items, 1):
            if isinstance(item, BackwardProduct):
                lines.append(f"  {number}  product  {self._backward_product(item)}")
                continue
            quoted = self._forward_lines[item.forward]
            lines += [f"  {number}  units    | forward {self._numbers[item.forward]}: {quoted[0]}"]
            lines += [f"{_INDENT}|            {line}" for line in quoted[1:]]
            stores = [(f"d{_input(s.target)} {'+=' if s.add else '='}", s.node) for s in item.stores]
            lines += [_INDENT + line for line in self._formulas(stores, self._names, set(self._names))]
        return lines

    def _backward_product(self, item: BackwardProduct) -> str:
        operand = self._operand(item.source)
        heard = ", ".join(f"da.{gate}" for gate in self._derivation.heard_by[item.source])
        forward = [str(n) for m, n in self._numbers.items() if isinstance(m, Mix) and item.source in m.sources]
        return f"d{operand} {'+=' if item.add else '='} R^T [{heard}]    | forward {', '.join(forward)}: R {operand}"

    def products(self) -> list[str]:
        """The derivatives that are products over many steps at once."""
        derivation = self._derivation
        lines = ["After the steps, one product over many of them for each"]
        lines += ["  dW = sum of da x^T", "  dx = W^T da"] if derivation.input_gates else []
        for source in derivation.operands:
            lines.append(f"  dR = sum of da {self._operand(source)}^T    for {', '.join(derivation.heard_by[source])}")
        return [*lines, "  db = sum of da"] if self._bias else lines


def _bracketed(part: tuple[str, int], least: int) -> str:
    text, strength = part
    return text if strength >= least else f"({text})"


def _input(name: Name) -> str:
    """How a formula calls an input or the target of a derivative."""
    match name.kind:
        case "s":
            return f"{name.of}'"
        case "a":
            return f"a.{name.of}"
        case "below":
            return f"below_{name.of}"
        case "d.new" | "d.u":
            return f"d{name.of}"
        case "keep" | "drop":
            return f"{name.kind}_{name.of}"
    return name.of


def _fitted(line: str, columns: int) -> list[str]:
    """Break a line that is too long: its remark goes below, and its formula goes on below itself."""
    if len(line) <= columns:
        return [line]
    found = _HEAD.match(line)
    head = found[0] if found else ""
    below = re.sub(r"[^|]", " ", head) + " " * 4
    fitted = list[str]()
    for text in line[len(head) :].split(" " * 4, 1):
        if fitted and len(fitted[-1]) + 4 + len(text) <= columns:
            fitted[-1] += " " * 4 + text
        else:
            fitted += _filled(text, columns, below if fitted else head, below)
    return fitted


def _filled(text: str, columns: int, first: str, later: str) -> list[str]:
    """Break a formula; `first` stands before the first line, `later` before each of the others."""
    lines, start = list[str](), first
    while len(start) + len(text) > columns and (end := _break(text, columns - len(start))):
        lines.append(start + text[:end].rstrip())
        text, start = text[end:].lstrip(), later
    return [*lines, start + text]


def _break(text: str, room: int) -> int:
    """Return where a formula is best broken: outside of brackets, late, at what binds weakly; 0 for nowhere."""
    found, depth = list[tuple[int, int, int]](), 0  # depth in brackets, strength, place
    for k, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter == " " and text[k - 1] == ",":
            found.append((depth, 0, k))
        elif letter == " " and (word := text[k + 1 :].partition(" ")[0]) in _BREAKS:
            found.append((depth, _BREAKS[word], k))
        elif letter == "(" and text[k + 1 : k + 2] != ")":
            found.append((depth, _ATOM, k + 1))
    fit = [place for place in found if place[2] <= room]
    late = [place for place in fit if place[2] > room // 4] or fit[-1:] or found[:1]
    return min(late, key=lambda place: (place[0], place[1], -place[2]), default=(0, 0, 0))[2]
