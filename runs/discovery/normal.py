"""The normal form of a graph: one graph for all that compute the same by the rules that are known here.

Known are: nodes and fields that nothing reads, fields that stay 0, equal fields, equal parts (never two gates, each of
which has weights of its own), sums and products in any order, whole numbers, 1 - (1 - v) = v, tanh(-v) = -tanh(v),
s(-v) = 1 - s(v), relu(relu(v)) = relu(v), and that -W, -R and -b are weights as good as W, R and b. So a gate may have
the other sign, and so may a field, also the output, as what reads it has weights too. Of all signs that can be chosen
so, those of new values are plus as far as can be, then the first in order.

`terms.py` turns a graph into sums and products, `labelling.py` puts these into an order that does not depend on the
order of nodes and fields, and here they become nodes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
    return carried(graph).graph


class Origin(NamedTuple):
    """Where a gate of a normal form comes from: the gate of the graph, and the signs that its weights get.

    gate: the number of its node. sign: of W and b. recurrent: of R.
    """

    gate: int
    sign: int
    recurrent: int


@dataclass(frozen=True)
class Carried:
    """A normal form, where each of its gates comes from, and the sign of its output."""

    graph: Graph
    origins: dict[int, Origin]
    sign: int


def carried(graph: Graph) -> Carried:
    """Return the normal form of a graph, and how weights are carried over so that it computes the same."""
    parts = parts_of(graph)
    emitter = _Emitter(parts, labelled(parts))
    found, origins = emitter.graph(), emitter.origins
    if len(found.new) == 1 or len(parts_of(found).new) == len(found.new):
        return Carried(found, origins, emitter.sign)
    again = carried(found)  # two fields are equal, now that their signs are chosen
    both = {k: (second, origins[second.gate]) for k, second in again.origins.items()}
    composed = {
        k: Origin(first.gate, first.sign * second.sign, first.recurrent * second.recurrent)
        for k, (second, first) in both.items()
    }
    return Carried(again.graph, composed, emitter.sign * again.sign)


class _Emitter:
    """Turns parts into nodes, in the order of their labels."""

    def __init__(self, parts: Parts, order: Labelled) -> None:
        self._parts, self._new, self._order = parts.parts, parts.new, order
        self._builder = Builder()
        self._numbers = dict[int, int]()
        self.origins = dict[int, Origin]()
        self.sign = order.signs[-1]
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
                sign, recurrent = self._order.signs[k], 1
                for of, a in terms:
                    recurrent = sign * a * self._order.signs[of]
                number = self._builder.gate(tuple(self._node(of) for of, _ in terms), part.input, part.bias)
                self.origins[number] = Origin(part.number, sign, recurrent)
                return number
            case "sum":
                return self._sum(k, part.twice)
            case "product":
                return self._product(k, terms)
            case "relu":
                of = self._node(terms[0][0])
                return add("relu", add("minus", of) if (k, terms[0][0]) in self._order.minus else of)
        return add("sigmoid" if part.kind == "half" else part.kind, self._node(terms[0][0]))

    def _product(self, k: int, terms: list[tuple[int, int]]) -> int:
        """Return the node of a product. A product that is a node anyway is a factor as it stands."""
        left, factors = dict(terms), list[int]()
        while (inner := self._within(k, left)) is not None:
            factors.append(self._node(inner))
            for of, power in self._parts[inner].terms:
                left[of] -= power
        factors += [self._node(of) for of, power in left.items() for _ in range(power)]
        found = factors[0]
        for other in factors[1:]:
            found = self._builder.add("mul", found, other)
        return found

    def _within(self, k: int, left: dict[int, int]) -> int | None:
        """Return the largest other product, or sum, all of whose terms are in one; None where there is none."""
        best, most = None, 1
        for other in self._order.order:
            terms = self._parts[other].terms
            if other == k or self._parts[other].kind != self._parts[k].kind or len(terms) <= most:
                continue
            if all(0 < power <= left.get(of, 0) for of, power in terms):
                best, most = other, len(terms)
        return best

    def _factors(self, k: int) -> dict[int, int]:
        """Return the factors of the terms of a sum, with their signs, in order."""
        terms = sorted(self._parts[k].terms, key=lambda term: self._order.rank[term[0]])
        return {of: -abs(a) if (k, of) in self._order.minus else abs(a) for of, a in terms}

    def _sum(self, k: int, twice: int) -> int:
        """Return the node of a sum: what is added, what is taken away, and then the number."""
        left, found, many = self._factors(k), list[tuple[int, int]](), len(self._parts[k].terms)
        for other in self._order.order:  # a sum that is a node anyway is a term as it stands
            smaller = (len(self._parts[other].terms), self._order.rank[other]) < (many, self._order.rank[k])
            inner = self._factors(other) if smaller and self._parts[other].kind == "sum" else {}
            for sign in (1, -1):
                if len(inner) > 1 and all(left.get(of) == sign * a for of, a in inner.items()):
                    found.append((self._node(other), sign))
                    left = {of: a for of, a in left.items() if of not in inner}
                    twice -= sign * self._parts[other].twice
                    break
        halves = sum(a for of, a in left.items() if self._parts[of].kind == "half")
        return self._added([*found, *((self._node(of), a) for of, a in left.items())], (twice - halves) // 2)

    def _added(self, terms: list[tuple[int, int]], whole: int) -> int:
        """Return the node of a sum of nodes, each with a factor, and a whole number."""
        add, found = self._builder.add, -1
        for node in [node for node, a in terms for _ in range(max(a, 0))]:
            found = node if found < 0 else add("add", found, node)
        for node in [node for node, a in terms for _ in range(max(-a, 0))]:
            if found >= 0:
                found = add("sub", found, node)
            elif whole > 0:
                found, whole = add("one_minus", node), whole - 1
            else:
                found = add("minus", node)
        if found < 0:
            return add("constant", number=whole)
        for _ in range(abs(whole)):
            found = add("one_plus", found) if whole > 0 else add("minus", add("one_minus", found))
        return found
