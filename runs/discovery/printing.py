"""Prints the graph of a cell as equations, one gate, shared value and field a line, the output last."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import ACTIVATIONS, Graph

_SUM, _PRODUCT, _SIGN, _ATOM = 2, 3, 4, 5  # how strongly a text binds
_CALLS = {"sigmoid": "s", "tanh": "tanh", "relu": "relu"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*"}
_NAMES = {"sigmoid": "urfoiklm", "tanh": "nzqgw", "relu": "nzqgw", "": "aejtq"}


def names_of_fields(graph: Graph) -> tuple[str, ...]:
    """Return the names of the fields of the state, the output first: h, or y, c, d and so on.

    >>> names_of_fields(Graph.read("c = c' + s(W_c x + R_c y'); y = tanh(c)"))
    ('y', 'c')
    """
    many = len(graph.new)
    return ("h",) if many == 1 else ("y", "c", "d", *(f"c{number}" for number in range(4, many + 1)))[:many]


def text_of(graph: Graph) -> str:
    """Return the equations of a graph as it stands, which read as the same graph up to the order of its nodes.

    >>> print(text_of(Graph.read("h = (1 - s(W_u x + R_u h'))*h' + tanh(W_n x)")))
    u = s(W_u x + R_u h')
    n = tanh(W_n x)
    h = (1 - u)*h' + n
    """
    return "\n".join(_Printer(graph).lines())


class _Printer:
    """Prints one graph. named: the names of the nodes that have a line."""

    def __init__(self, graph: Graph) -> None:
        self._nodes, self._new, self._fields = graph.nodes, graph.new, names_of_fields(graph)
        live = graph.reached(graph.new)
        self._uses = [0] * len(graph.nodes)
        for k in [*(of for number in sorted(live) for of in graph.nodes[number].of), *graph.new]:
            self._uses[k] += 1
        self._lines = list[str]()
        self._named = dict[int, str]()
        self._taken = set(self._fields)

    def lines(self) -> Sequence[str]:
        for number, k in [*enumerate(self._new)][1:]:
            name = self._fields[number]
            if k not in self._named and self._nodes[k].kind not in ("field", "constant"):
                self._line(k, name)
            else:
                self._lines.append(f"{name} = {self._text(k)[0]}")
        if self._new[0] in self._named or not self._nodes[self._new[0]].of:
            self._lines.append(f"{self._fields[0]} = {self._text(self._new[0])[0]}")
        else:
            self._line(self._new[0], self._fields[0])
        return self._lines

    def _line(self, k: int, name: str = "") -> None:
        """Add the line of a node. name: of the field whose new value it is, else one is chosen."""
        node = self._nodes[k]
        if node.kind in ACTIVATIONS and self._inside(node.of[0]):
            name = name or self._free(_NAMES[node.kind])
            right = f"{_CALLS[node.kind]}({self._gate(node.of[0], name)})"
        elif node.kind == "lin":
            name = name or self._free(_NAMES[""])
            right = self._gate(k, name)
        else:
            right = self._written(k)[0]
            name = name or self._free("")
        self._lines.append(f"{name} = {right}")
        self._named[k] = name

    def _inside(self, k: int) -> bool:
        """Return whether a gate stands inside of the activation that uses it, and has no line of its own."""
        return self._nodes[k].kind == "lin" and self._uses[k] == 1

    def _free(self, names: str) -> str:
        number = 0
        while True:
            number += 1
            name = names[number - 1] if number <= len(names) else f"{names[:1] or 'v'}{number}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def _gate(self, k: int, name: str) -> str:
        node = self._nodes[k]
        terms = [f"W_{name} x"] if node.input else []
        for of in node.of:
            text, strength = self._text(of)
            terms.append(f"R_{name} {_bracketed(text, strength == _ATOM and '(' not in text)}")
        return " + ".join([*terms, f"b_{name}"] if node.bias else terms) or "0"

    def _text(self, k: int) -> tuple[str, int]:
        """Return how a node stands in an expression, and how strongly that binds."""
        node = self._nodes[k]
        if node.kind == "field":
            return f"{self._fields[node.number]}'", _ATOM
        if node.kind == "constant":
            return str(node.number), _ATOM if node.number >= 0 else _SIGN
        gate = node.kind == "lin" or (node.kind in ACTIVATIONS and self._inside(node.of[0]))
        if k not in self._named and (self._uses[k] > 1 or gate):
            self._line(k)
        return (self._named[k], _ATOM) if k in self._named else self._written(k)

    def _written(self, k: int) -> tuple[str, int]:
        """Return the expression of a node that is neither a field nor a gate."""
        node = self._nodes[k]
        texts = [self._text(of) for of in node.of]
        match node.kind:
            case "add" | "sub":
                (left, _), (right, strength) = texts
                return f"{left} {_SIGNS[node.kind]} {_bracketed(right, strength > _SUM)}", _SUM
            case "mul":
                (left, first), (right, strength) = texts
                return f"{_bracketed(left, first >= _PRODUCT)}*{_bracketed(right, strength > _PRODUCT)}", _PRODUCT
            case "one_minus" | "one_plus":
                return (
                    f"1 {'-' if node.kind == 'one_minus' else '+'} {_bracketed(texts[0][0], texts[0][1] > _SUM)}",
                    _SUM,
                )
            case "minus":
                return f"-{_bracketed(texts[0][0], texts[0][1] >= _SIGN)}", _SIGN
        return f"{_CALLS[node.kind]}({texts[0][0]})", _ATOM


def _bracketed(text: str, bare: bool) -> str:
    return text if bare else f"({text})"
