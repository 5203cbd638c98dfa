"""Changes a graph at random, as the search of Jozefowicz, Zaremba and Sutskever (2015) does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

from .graph import ACTIVATIONS, BINARY, UNARY, Graph, Node
from .validity import static_refusal

CHOICES = (*ACTIVATIONS, "one_minus", "one_plus", "lin")
"""What an activation may become; "lin" is a gate of its own, R v + b."""
MOST_TRIES = 100


@dataclass(frozen=True)
class Mutant:
    """A changed graph in normal form, and the operations that changed it, in the order of the nodes."""

    graph: Graph
    operations: tuple[str, ...]


def mutate(graph: Graph, generator: Generator) -> Graph:
    """Return a graph that differs from another one at random nodes.

    A probability is drawn from [0, 1], and with it each node is changed by one of the operations that it admits:

    - activation: its activation becomes another one;
    - elementwise: its sum, difference or product becomes another one of these;
    - insert: an activation is put between it and a node that it is computed from;
    - remove: it is removed, where it is computed from one node;
    - ancestor: one of the nodes that it depends on takes its place;
    - combine: the sum, difference or product of a node that it depends on and one that another node depends on;
    - input: W x of a gate is put in or taken out. The paper has no such operation: there, x is a node like others.

    What is no valid cell, or computes the same as the graph, is drawn again.

    graph: a valid cell.
    generator: all random numbers come from it.

    Returns the normal form. After `MOST_TRIES` draws it is that of the graph itself.
    Source: Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures',
    section 3.

    >>> from numpy.random import default_rng
    >>> gru = Graph.read("u = s(W_u x + R_u h'); n = tanh(W_n x + R_n h'); h = u*h' + (1 - u)*n")
    >>> mutate(gru, default_rng(1)) == mutate(gru, default_rng(1)) != gru.normal
    True
    """
    return mutant(graph, generator).graph


def mutant(graph: Graph, generator: Generator) -> Mutant:
    """Return what `mutate` does, and by which operations."""
    parent = graph.normal
    for _ in range(MOST_TRIES):
        mutation = _Mutation(parent, generator)
        mutation.run()
        found = mutation.graph()
        if found is None:
            continue
        if static_refusal(found) == "" and found.key != graph.key:
            return Mutant(found.normal, tuple(mutation.done))
    return Mutant(parent, ())


class _Mutation:
    """One offspring while it is made. nodes: by number, in no order. done: the operations so far."""

    def __init__(self, graph: Graph, generator: Generator) -> None:
        self._nodes = dict(enumerate(graph.nodes))
        self._new = list(graph.new)
        self._generator = generator
        self.done = list[str]()

    def run(self) -> None:
        """Change each node with one probability."""
        probability = self._generator.random()
        for k in list(self._nodes):
            changed = self._generator.random() < probability
            if not changed or self._nodes[k].kind == "field":
                continue
            admitted = self._admitted(k)
            name = admitted[self._generator.integers(len(admitted))]
            change: Callable[[int], None] = getattr(self, f"_{name}")
            change(k)
            self.done.append(name)

    def graph(self) -> Graph | None:
        """Return the offspring; None where nothing was changed, or a node came to depend on itself."""
        if not self.done:
            return None
        numbers, order, open_ = dict[int, int](), list[Node](), set[int]()
        stack = [*self._new]
        while stack:
            k = stack[-1]
            waiting = [of for of in self._nodes[k].of if of not in numbers]
            if k in numbers:
                stack.pop()
            elif not waiting:
                stack.pop()
                node = self._nodes[k]
                numbers[k] = len(order)
                order.append(node._replace(of=tuple(numbers[of] for of in node.of)))
            elif k in open_:
                return None
            else:
                open_.add(k)
                stack.extend(waiting)
        return Graph(tuple(order), tuple(numbers[k] for k in self._new))

    def _admitted(self, k: int) -> list[str]:
        """Return the operations that a node admits."""
        node = self._nodes[k]
        found = ["activation"] if node.kind in UNARY else []
        found += ["elementwise"] if node.kind in BINARY else []
        found += ["insert", "ancestor", "combine"] if node.of else []
        found += ["remove"] if len(node.of) == 1 else []
        return [*found, "input"] if node.kind == "lin" else found

    def _activation(self, k: int) -> None:
        self._nodes[k] = self._activated(
            self._chosen([c for c in CHOICES if c != self._nodes[k].kind]), self._nodes[k].of[0]
        )

    def _elementwise(self, k: int) -> None:
        kind = self._chosen([operation for operation in BINARY if operation != self._nodes[k].kind])
        self._nodes[k] = self._nodes[k]._replace(kind=kind)

    def _insert(self, k: int) -> None:
        of = list(self._nodes[k].of)
        place = int(self._generator.integers(len(of)))
        of[place] = self._added(self._activated(self._chosen(CHOICES), of[place]))
        self._nodes[k] = self._nodes[k]._replace(of=tuple(of))

    def _remove(self, k: int) -> None:
        self._replace(k, self._nodes[k].of[0])

    def _ancestor(self, k: int) -> None:
        self._replace(k, self._one_of(self._ancestors(k)))

    def _combine(self, k: int) -> None:
        one = self._one_of(self._ancestors(k))
        other = self._one_of(list(self._nodes))
        two = self._one_of(self._ancestors(other) or [other])
        self._nodes[k] = Node(self._chosen(BINARY), (one, two))

    def _input(self, k: int) -> None:
        self._nodes[k] = self._nodes[k]._replace(input=not self._nodes[k].input)

    def _ancestors(self, k: int) -> list[int]:
        """Return the nodes from which a node is computed, in order."""
        found, stack = set[int](), list(self._nodes[k].of)
        while stack:
            of = stack.pop()
            if of not in found:
                found.add(of)
                stack.extend(self._nodes[of].of)
        return sorted(found)

    def _replace(self, k: int, other: int) -> None:
        """Let what is computed from a node be computed from another one."""
        for number, node in self._nodes.items():
            if k in node.of:
                self._nodes[number] = node._replace(of=tuple(other if of == k else of for of in node.of))
        self._new = [other if new == k else new for new in self._new]

    def _activated(self, kind: str, of: int) -> Node:
        return Node(kind, (of,), bias=kind == "lin")

    def _added(self, node: Node) -> int:
        self._nodes[len(self._nodes)] = node
        return len(self._nodes) - 1

    def _one_of(self, numbers: list[int]) -> int:
        return numbers[self._generator.integers(len(numbers))]

    def _chosen(self, names: list[str] | tuple[str, ...]) -> str:
        return names[self._generator.integers(len(names))]
