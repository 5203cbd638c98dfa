"""How many single changes lie between two graphs, at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

from .graph import BINARY, Graph, Node

Pair = tuple[int, int]


def distance(graph: Graph, other: Graph) -> int:
    """Return how many single changes turn one graph into another one, at most.

    The normal forms are laid over each other, so that few nodes differ. Counted are the operations of `mutate`: an
    activation or operation that becomes another one, a node that is put in or removed, or replaced by what it is
    computed from, W x put in or taken out. Changes that `mutate` does not make count one as well: b put in or taken
    out, each node of a part that is made anew, a gate that becomes two or two that become one, a field more or less.
    There may be a shorter way, as not all ways to lay the graphs over each other are tried.

    graph: from which.
    other: to which. The other way round the number may differ.

    >>> u, end = "u = s(W_u x + R_u h');", "h = u*h' + (1 - u)*n"
    >>> gru = Graph.read(f"{u} r = s(W_r x + R_r h'); n = tanh(W_n x + R_n (r*h')); {end}")
    >>> without_reset = Graph.read(f"{u} n = tanh(W_n x + R_n h'); {end}")
    >>> distance(gru, gru), distance(gru, without_reset)
    (0, 1)
    """
    ours, theirs = graph.normal, other.normal
    if ours == theirs:
        return 0
    return min(_Layer(ours, theirs, fields).changes() for fields in _mappings(len(ours.new), len(theirs.new)))


def _mappings(ours: int, theirs: int) -> list[dict[int, int]]:
    """Return the ways to lay fields over fields, as numbers of theirs by ours; the outputs lie over each other."""
    if ours <= theirs:
        return [{0: 0, **dict(zip(range(1, ours), to, strict=True))} for to in permutations(range(1, theirs), ours - 1)]
    return [{k: v for v, k in mapping.items()} for mapping in _mappings(theirs, ours)]


class _Way(NamedTuple):
    """How one node becomes another one: the number of changes in all, those of it alone, and what else must match."""

    total: int
    own: int
    pairs: tuple[Pair, ...]


class _Layer:
    """Lays one graph over another. fields: the numbers of their fields by the numbers of ours."""

    def __init__(self, ours: Graph, theirs: Graph, fields: Mapping[int, int]) -> None:
        self._ours, self._theirs, self._fields = ours, theirs, fields
        self._sizes = [len(theirs.reached([b])) for b in range(len(theirs.nodes))]
        self._ways = dict[Pair, _Way]()
        self._nearest = list[int]()  # for each of their nodes the one of ours from which it is made
        for b in range(len(theirs.nodes)):
            for a in range(len(ours.nodes)):
                self._ways[a, b] = min(self._all(a, b), key=lambda way: way.total)
            self._nearest.append(min(range(len(ours.nodes)), key=lambda a, b=b: self._ways[a, b].total))  # type: ignore[misc]

    def changes(self) -> int:
        """Return how many changes there are, each counted once."""
        stack = [(self._ours.new[a], self._theirs.new[b]) for a, b in self._fields.items()]
        added = [b for b in range(len(self._theirs.new)) if b not in self._fields.values()]
        stack += [(self._nearest[self._theirs.new[b]], self._theirs.new[b]) for b in added]
        seen = set[Pair]()
        while stack:
            pair = stack.pop()
            if pair not in seen:
                seen.add(pair)
                stack.extend(self._ways[pair].pairs)
        gates = [(a, b) for a, b in seen if self._ours.nodes[a].kind == self._theirs.nodes[b].kind == "lin"]
        split = len(gates) - min(len({a for a, _ in gates}), len({b for _, b in gates}))
        fields = abs(len(self._ours.new) - len(self._theirs.new))
        return sum(self._ways[pair].own for pair in seen) + split + fields

    def _way(self, own: int, pairs: Sequence[Pair]) -> _Way:
        return _Way(own + sum(self._ways[pair].total for pair in pairs), own, tuple(pairs))

    def _all(self, a: int, b: int) -> list[_Way]:
        """Return the ways in which our node a becomes their node b."""
        one, two = self._ours.nodes[a], self._theirs.nodes[b]
        found = [_Way(self._sizes[b], self._sizes[b], ())]  # nothing of it is kept
        if not one.of and not two.of:
            found.append(_Way(self._leaf(one, two), self._leaf(one, two), ()))
        if len(one.of) == len(two.of) > 0:
            own = self._difference(one, two)
            found.append(self._way(own, list(zip(one.of, two.of, strict=True))))
            if len(one.of) == 2 and not (one.kind == two.kind == "sub"):
                found.append(self._way(own, list(zip(one.of, two.of[::-1], strict=True))))
        found += [self._way(1, [(of, b)]) for of in one.of]  # removed, or an ancestor instead
        if len(two.of) == 1:  # put in
            found.append(self._way(1 + (two.kind == "lin" and two.input), [(a, two.of[0])]))
        for k, of in enumerate(two.of if two.kind in BINARY else ()):  # combined with what there is
            rest = two.of[1 - k]
            found.append(self._way(1, [(a, of), (self._nearest[rest], rest)]))
        return found

    def _leaf(self, one: Node, two: Node) -> int:
        if one.kind == two.kind == "field":
            return int(self._fields.get(one.number) != two.number)
        return self._difference(one, two) if one.kind == two.kind else 2

    def _difference(self, one: Node, two: Node) -> int:
        """Return how many changes make one node the other, apart from what they are computed from."""
        if one.kind != two.kind:
            return 1 + (two.kind == "lin" and two.input)
        return (one.input != two.input) + (one.bias != two.bias) + (one.kind == "constant" and one.number != two.number)
