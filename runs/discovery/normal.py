"""The normal form of a graph: one graph for all that compute the same by the rules that are known here.

Known are: nodes and fields that nothing reads, fields that stay 0, equal fields, equal parts (never two gates, each of
which has weights of its own), sums and products in any order, whole numbers, 1 - (1 - v) = v, tanh(-v) = -tanh(v),
s(-v) = 1 - s(v), relu(relu(v)) = relu(v), and that -W, -R and -b are weights as good as W, R and b. So a gate may have
the other sign, and so may a field, also the output, as what reads it has weights too. Of all signs that can be chosen
so, the first in order are plus.

`terms.py` turns a graph into sums and products, `labelling.py` puts these into an order that does not depend on the
order of nodes and fields, and here they become nodes again.
"""

from __future__ import annotations

from .graph import Builder, Graph
from .labelling import Labelled, labelled
from .terms import Parts, parts_of


def normal(graph: Graph) -> Graph:
    """Return the normal form of a graph.

    Raises ValueError where its numbers or powers grow too large for a graph.

    >>> gates = "u = s(W_u x + R_u h'); n = tanh(W_n x);"
    >>> both = [Graph.read(f"{gates} h = {h}") for h in ("u*h' + n - u*n", "n*(1 - u) - (-h')*u", "n*u + (1 - u)*h'")]
    >>> [normal(graph) == normal(both[1]) for graph in both]
    [False, True, True]
    """
    parts = parts_of(graph)
    return _Emitter(parts, labelled(parts)).graph()


class _Emitter:
    """Turns parts into nodes, in the order of their labels."""

    def __init__(self, parts: Parts, order: Labelled) -> None:
        self._parts, self._new, self._order = parts.parts, parts.new, order
        self._builder = Builder()
        self._numbers = dict[int, int]()
        number = {parts.parts[k].number: place for place, k in enumerate(order.order) if parts.parts[k].kind == "field"}
        # The output first, then the others in their order.
        self._fields = sorted(parts.new, key=lambda f: (f > 0, number.get(f, 0)))

    def graph(self) -> Graph:
        new = []
        for f in self._fields:
            found = self._node(self._new[f].part)
            new.append(self._builder.add("minus", found) if (-1, f) in self._order.minus else found)
        return self._builder.graph(new)

    def _node(self, k: int) -> int:
        """Return the node of a part."""
        if k not in self._numbers:
            self._numbers[k] = self._made(k)
        return self._numbers[k]

    def _made(self, k: int) -> int:
        part, add = self._parts[k], self._builder.add
        terms = sorted(part.terms, key=lambda term: self._order.rank[term[0]])
        match part.kind:
            case "field":
                return add("field", number=self._fields.index(part.number))
            case "lin":
                return self._builder.gate(tuple(self._node(of) for of, _ in terms), part.input, part.bias)
            case "sum":
                return self._sum(k, terms, part.twice)
            case "product":
                first, *others = [self._node(of) for of, power in terms for _ in range(power)]
                for other in others:
                    first = add("mul", first, other)
                return first
            case "relu":
                of = self._node(terms[0][0])
                return add("relu", add("minus", of) if (k, terms[0][0]) in self._order.minus else of)
        return add("sigmoid" if part.kind == "half" else part.kind, self._node(terms[0][0]))

    def _sum(self, k: int, terms: list[tuple[int, int]], twice: int) -> int:
        """Return the node of a sum: what is added, what is taken away, and then the number."""
        add = self._builder.add
        signs = [-1 if (k, of) in self._order.minus else 1 for of, _ in terms]
        halves = [sign * abs(a) for sign, (of, a) in zip(signs, terms, strict=True) if self._parts[of].kind == "half"]
        whole = (twice - sum(halves)) // 2
        found = -1
        for wanted in (1, -1):
            for sign, (of, a) in zip(signs, terms, strict=True):
                for _ in range(abs(a) if sign == wanted else 0):
                    node = self._node(of)
                    if found >= 0:
                        found = add("add" if wanted > 0 else "sub", found, node)
                    elif wanted > 0:
                        found = node
                    elif whole > 0:
                        found, whole = add("one_minus", node), whole - 1
                    else:
                        found = add("minus", node)
        if found < 0:
            return add("constant", number=whole)
        for _ in range(abs(whole)):
            found = add("one_plus", found) if whole > 0 else add("minus", add("one_minus", found))
        return found
