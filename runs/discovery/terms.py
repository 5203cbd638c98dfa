"""The graph of a cell as sums and products, in which parts that are equal are one part.

Signs are kept outside of parts. So a logistic function is written as 1/2 + half(v), since half(v) = s(v) - 1/2 changes
its sign where v does, as tanh does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

from ..rules import require
from .graph import Graph, Node

MOST = 64  # times that a part may stand in a sum or product


class Part(NamedTuple):
    """A part of a graph.

    kind: "field", "lin", "tanh", "half", "relu", "sum" or "product".
    terms: the numbers of the parts that it is computed from, in rising order; with each, its factor in a sum, its power
        in a product, its sign in relu and in a gate, else 1.
    twice: of a sum, two times the number in it, at least 0. A sum without terms is a number.
    input, bias, number: those of the node of a "lin" or "field".
    """

    kind: str
    terms: tuple[tuple[int, int], ...] = ()
    twice: int = 0
    input: bool = False
    bias: bool = False
    number: int = 0


class Value(NamedTuple):
    """The number of a part, and the sign that stands before it, 1 or -1."""

    sign: int
    part: int


@dataclass
class Parts:
    """The parts of a graph, and the new value of each field that is read. Field 0 is the output."""

    parts: list[Part]
    new: dict[int, Value]


def parts_of(graph: Graph) -> Parts:
    """Return the parts of a graph without fields that stay 0, that equal another field, or that nothing reads.

    Raises ValueError where a part stands in a sum or product more than `MOST` times.
    """
    live = sorted(graph.reached(graph.new))
    fields = range(len(graph.new))
    same = dict.fromkeys(fields, -1)  # all are 0, until one is not
    while True:
        maker = _Maker(graph, live, same)
        zero = {f for f in fields if same[f] < 0 and maker.parts[maker.new[f].part] == Part("sum")}
        if zero == {f for f in fields if same[f] < 0}:
            break
        same = {f: -1 if f in zero else 0 for f in fields}
    others = [f for f in fields if same[f] >= 0]
    classes = 1
    while others:  # all others are equal, until two are not
        first = dict[tuple[int, Value], int]()
        for f in others:
            first.setdefault((same[f], maker.new[f]), f)
        same = {f: first[same[f], maker.new[f]] if f in others else -1 for f in fields}
        maker = _Maker(graph, live, same)
        if len(first) == classes:
            break
        classes = len(first)
    return Parts(maker.parts, maker.read())


class _Maker:
    """Makes the parts of one graph. same: for each field the one that it equals, or -1 for one that is 0."""

    def __init__(self, graph: Graph, live: Sequence[int], same: Mapping[int, int]) -> None:
        self.parts = list[Part]()
        self._numbers = dict[Part, int]()
        self._values = dict[int, Value]()
        self._same = same
        for k in live:
            self._values[k] = self._value(k, graph.nodes[k])
        self.new = [self._values[k] for k in graph.new]

    def read(self) -> dict[int, Value]:
        """Return the new values of the fields from which the output is computed, also by way of earlier steps."""
        found, stack = dict[int, Value](), [0]
        while stack:
            field = stack.pop()
            if field in found:
                continue
            found[field] = self.new[field]
            seen, parts = set[int](), [self.new[field].part]
            while parts:
                k = parts.pop()
                if k in seen:
                    continue
                seen.add(k)
                parts.extend(of for of, _ in self.parts[k].terms)
                if self.parts[k].kind == "field":
                    stack.append(self.parts[k].number)
        return found

    def _part(self, part: Part) -> int:
        if part not in self._numbers:
            self._numbers[part] = len(self.parts)
            self.parts.append(part)
        return self._numbers[part]

    def _value(self, k: int, node: Node) -> Value:
        of = [self._values[j] for j in node.of]
        match node.kind:
            case "field":
                same = self._same[node.number]
                return self._number(0) if same < 0 else Value(1, self._part(Part("field", number=same)))
            case "lin":
                return self._gate(k, node, of)
            case "constant":
                return self._number(2 * node.number)
            case "add" | "sub":
                return self._sum([(1, of[0]), (1 if node.kind == "add" else -1, of[1])], 0)
            case "one_minus" | "one_plus":
                return self._sum([(-1 if node.kind == "one_minus" else 1, of[0])], 2)
            case "minus":
                return Value(-of[0].sign, of[0].part)
            case "mul":
                return self._product(*of)
            case "sigmoid":
                return self._sum([(1, Value(of[0].sign, self._part(Part("half", ((of[0].part, 1),)))))], 1)
            case "tanh":
                zero = self.parts[of[0].part] == Part("sum")
                return of[0] if zero else Value(of[0].sign, self._part(Part("tanh", ((of[0].part, 1),))))
        return self._relu(of[0])

    def _number(self, twice: int) -> Value:
        return Value(-1 if twice < 0 else 1, self._part(Part("sum", twice=abs(twice))))

    def _gate(self, k: int, node: Node, of: Sequence[Value]) -> Value:
        """Return a gate. R times a number is a bias."""
        bias, terms = node.bias, tuple((v.part, v.sign) for v in of)
        if of and not self.parts[of[0].part].terms and self.parts[of[0].part].kind == "sum":
            bias, terms = bias or self.parts[of[0].part].twice > 0, ()
        if not (node.input or terms or bias):
            return self._number(0)
        return Value(1, self._part(Part("lin", terms, 0, node.input, bias, k)))

    def _sum(self, added: Sequence[tuple[int, Value]], twice: int) -> Value:
        """Return the sum of values, each with a factor, and of half a number."""
        factors = dict[int, int]()
        for factor, value in added:
            part = self.parts[value.part]
            factor *= value.sign
            terms = part.terms if part.kind == "sum" else ((value.part, 1),)
            twice += factor * part.twice
            for k, inner in terms:
                factors[k] = factors.get(k, 0) + factor * inner
        terms = tuple(sorted((k, factor) for k, factor in factors.items() if factor))
        most = max((abs(factor) for _, factor in terms), default=0)
        require(max(most, abs(twice)) <= MOST, f"graph: numbers in it must be at most {MOST}", max(most, abs(twice)))
        if twice == 0 and len(terms) == 1 and most == 1:
            return Value(terms[0][1], terms[0][0])
        flip = twice < 0 or (twice == 0 and len(terms) > 0 and terms[0][1] < 0)
        sign = -1 if flip else 1
        found = tuple((k, sign * factor) for k, factor in terms)
        return Value(sign, self._part(Part("sum", found, sign * twice)))

    def _product(self, *values: Value) -> Value:
        """Return the product of values. Whole factors of a sum are taken out of it."""
        sign, whole, powers = 1, 1, dict[int, int]()
        for value in values:
            part = self.parts[value.part]
            sign *= value.sign
            terms = part.terms if part.kind == "product" else ((value.part, 1),)
            if part.kind == "sum" and not part.terms and part.twice % 2 == 0:
                whole, terms = whole * (part.twice // 2), ()
            elif part.kind == "sum" and part.twice == 0:
                divisor = gcd(*(factor for _, factor in part.terms))
                inner = self._sum([(factor // divisor, Value(1, k)) for k, factor in part.terms], 0)
                whole, sign, terms = whole * divisor, sign * inner.sign, ((inner.part, 1),)
                if self.parts[inner.part].kind == "product":
                    terms = self.parts[inner.part].terms
            for k, power in terms:
                powers[k] = powers.get(k, 0) + power
        most = max(powers.values(), default=0)
        require(most <= MOST, f"graph: powers in it must be at most {MOST}", most)
        terms = tuple(sorted(powers.items()))
        if whole == 0 or not terms:
            return self._number(2 * sign * whole)
        one = len(terms) == 1 and terms[0][1] == 1
        found = terms[0][0] if one else self._part(Part("product", terms))
        return self._sum([(sign * whole, Value(1, found))], 0)

    def _relu(self, of: Value) -> Value:
        part = self.parts[of.part]
        if part.kind == "sum" and not part.terms:
            return of if of.sign > 0 else self._number(0)
        if self._positive(of.part):
            return of if of.sign > 0 else self._number(0)
        return Value(1, self._part(Part("relu", ((of.part, of.sign),))))

    def _positive(self, k: int) -> bool:
        """Return whether a part is known to be nowhere below 0."""
        part = self.parts[k]
        if part.kind == "product":
            return all(power % 2 == 0 or self._positive(of) for of, power in part.terms)
        if part.kind == "sum":
            halves = sum(abs(factor) for of, factor in part.terms if self.parts[of].kind == "half")
            others = [(of, factor) for of, factor in part.terms if self.parts[of].kind != "half"]
            return part.twice >= halves and all(factor > 0 and self._positive(of) for of, factor in others)
        return part.kind == "relu"
