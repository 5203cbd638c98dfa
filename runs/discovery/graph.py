"""A candidate cell as a graph of nodes, which is read from equations and printed as equations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..rules import require

ACTIVATIONS = ("sigmoid", "tanh", "relu")
"""Functions of one value that are not linear."""
UNARY = (*ACTIVATIONS, "one_minus", "one_plus", "minus")
"""All functions of one value: also 1 - v, 1 + v and -v."""
BINARY = ("add", "sub", "mul")
"""Operations on two values: v + w, v - w, v * w."""
KINDS = ("field", "lin", "constant", *UNARY, *BINARY)


class Node(NamedTuple):
    """One node of a graph.

    kind: one of `KINDS`. "field" is the value of a field of the state before the step; "lin" is the pre-activation
        W x + R v + b of one gate; "constant" appears only in a graph that has degenerated, as that of v - v.
    of: the numbers of the nodes that it is computed from; of "lin" the one that R is multiplied with, or none.
    input, bias: of "lin", whether there are W x and b.
    number: of "field" the number of the field, of "constant" its value.
    """

    kind: str
    of: tuple[int, ...] = ()
    input: bool = False
    bias: bool = False
    number: int = 0


@dataclass(frozen=True)
class Graph:
    """A recurrent cell as a directed acyclic graph.

    nodes: each is computed from earlier ones.
    new: for each field of the state the node that is its new value; field 0 is the output.

    Raises ValueError where a node is computed from a later one, or a field is missing.

    >>> graph = Graph.read("h = tanh(W x + R h' + b)")
    >>> [node.kind for node in graph.nodes], graph.new
    (['field', 'lin', 'tanh'], (2,))
    >>> print(graph.equations())
    h = tanh(W_h x + R_h h' + b_h)
    """

    nodes: tuple[Node, ...]
    new: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.new) > 0, "graph: there must be at least one field, the output", len(self.new))
        for number, node in enumerate(self.nodes):
            earlier = all(0 <= k < number for k in node.of)
            require(earlier, f"graph: node {number} must be computed from earlier nodes", node.of)
            known = node.kind != "field" or node.number < len(self.new)
            require(known, f"graph: node {number} must be one of {len(self.new)} fields", node.number)
        require(all(0 <= k < len(self.nodes) for k in self.new), "graph: each new value must be a node", self.new)

    @classmethod
    def read(cls, equations: str) -> Graph:
        """Return the graph of a cell that equations describe, as the variant `formula` reads them.

        equations: in lines or divided by ";". A gate that hears several sources becomes a sum of gates.

        Raises ValueError for equations that do not parse, and for what a graph has no node for: learned vectors,
        division, numbers that are not whole, and functions other than s, tanh and relu.
        """
        from .reading import graph_of

        return graph_of(equations)

    def equations(self) -> str:
        """Return the equations of the normal form, as the variant `formula` runs them."""
        from .printing import text_of

        return text_of(self.normal)

    @cached_property
    def normal(self) -> Graph:
        """The normal form, the same for all graphs that differ only by what `normal` says."""
        from .normal import normal

        return normal(self)

    @cached_property
    def key(self) -> str:
        """Ten hexadecimal digits that are the same for all graphs of one normal form."""
        said = repr(([tuple(node) for node in self.normal.nodes], self.normal.new))
        return hashlib.sha256(said.encode()).hexdigest()[:10]

    @cached_property
    def gates(self) -> tuple[int, ...]:
        """The numbers of the nodes that are pre-activations."""
        return tuple(k for k, node in enumerate(self.nodes) if node.kind == "lin")

    def reached(self, roots: Sequence[int]) -> set[int]:
        """Return the numbers of the nodes from which some nodes are computed within a step, these included."""
        found, stack = set[int](), list(roots)
        while stack:
            k = stack.pop()
            if k not in found:
                found.add(k)
                stack.extend(self.nodes[k].of)
        return found


class Builder:
    """Collects nodes; equal ones become one, except pre-activations, each of which has weights of its own."""

    def __init__(self) -> None:
        self.nodes = list[Node]()
        self._numbers = dict[Node, int]()

    def add(self, kind: str, *of: int, number: int = 0) -> int:
        """Return the number of a node, which is made where there is none."""
        node = Node(kind, of, number=number)
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]

    def gate(self, of: tuple[int, ...], input: bool, bias: bool) -> int:
        """Return the number of a new pre-activation."""
        self.nodes.append(Node("lin", of, input, bias))
        return len(self.nodes) - 1

    def graph(self, new: Sequence[int]) -> Graph:
        """Return the graph of the nodes."""
        return Graph(tuple(self.nodes), tuple(new))
