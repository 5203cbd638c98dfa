"""Which nodes of a cell's expressions are the values of its gates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from .graph import Graph
from .names import Name

AS_IT_IS = "as it is"
SQUASHING = frozenset(
    (
        *("sigmoid", "tanh", "relu", "hardtanh", "hardsigmoid", "hardswish", "softplus", "elu", "gelu", "silu"),
        *("mish", "leaky_relu", "clamp", "clamp_min", "clamp_max", "erf", "sin", "cos", "exp"),
    )
)
"""Operations whose result is the value of a gate when a pre-activation goes in."""
CALLED = SQUASHING | {"log_sigmoid"}
"""Functions that stand in a formula as one operation; the logarithm of a gate is not its value."""

_SUMS = frozenset(("add", "sub", "neg"))


class Called(NamedTuple):
    """A function of `CALLED` that a formula calls, and the nodes that it is called with, the squashed one first."""

    function: str
    operands: tuple[int, ...]


class GateNode(NamedTuple):
    """The value of a gate.

    name: the pre-activation that is squashed, `a+b` for a sum of two; with its function, `relu(k)`, where one
        pre-activation is squashed by several.
    function: what squashes it, `as it is` for nothing; with `, rescaled` where only a multiple of it, or its sum with a
        constant, is used.
    node: its value.
    """

    name: str
    function: str
    node: int


def find(
    graph: Graph, called: Mapping[int, Called], gates: Sequence[str], state: Collection[int], roots: Iterable[int] = ()
) -> list[GateNode]:
    """Return the gates of a cell, in the order in which it declares them.

    A cell squashes its pre-activations somewhere in its step, so that the value of a gate has no name. It is found by
    following the pre-activations: where one, or a sum that it is a term of, times constants or not, enters a squashing
    function, the result is the value of the gate of that name: `f` for `sigmoid(a.f + p.p_f * s.c)`. Constant factors
    and shifts behind the function belong to the gate where it is used with them only: `2 * tanh(v / 2)`. A
    pre-activation that nothing squashes is shown as it is. What squashes a field of the new state, such as `tanh(c)`,
    is no gate, and neither is a value that is itself a field of the new state.

    graph: the expressions of the step and of its feeds.
    called: the functions of `CALLED` that they call, by the node of the result.
    gates: names of the pre-activations in the order of the declaration.
    state: the nodes of the new state.
    roots: further nodes that are computed, such as what feeds return.
    """
    followed = _Followed(graph, called, gates, state, roots)
    by_terms: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for result, terms in followed.squashed.items():
        if terms and called[result].operands[0] not in state:
            by_terms[terms].append(result)
    found: list[tuple[int, GateNode]] = []
    for terms, results in by_terms.items():
        functions = list(dict.fromkeys(called[r].function for r in results))
        for function in functions:
            same = [r for r in results if called[r].function == function]
            if any(followed.shown(r) in state for r in same):
                continue
            best = next((r for r in same if followed.shown(r) == r), same[0])
            label = function if followed.shown(best) == best else f"{function}, rescaled"
            name = "+".join(terms) if len(functions) == 1 else f"{function}({'+'.join(terms)})"
            found.append((gates.index(terms[0]), GateNode(name, label, followed.shown(best))))
    squashed = {gate for terms in by_terms for gate in terms}
    for place, gate in enumerate(gates):
        node = graph.input(Name("a", gate))
        if gate not in squashed and node not in state:
            found.append((place, GateNode(gate, AS_IT_IS, node)))
    return [gate for _, gate in sorted(found, key=lambda pair: pair[0])]


class _Followed:
    """What becomes of the pre-activations in the expressions of a cell.

    squashed: by result of a squashing function, the gates whose sum it squashes, in the order of the declaration.
    """

    def __init__(
        self,
        graph: Graph,
        called: Mapping[int, Called],
        gates: Sequence[str],
        state: Collection[int],
        roots: Iterable[int],
    ) -> None:
        self._graph, self._called = graph, called
        self._constant: dict[int, bool] = {}
        self._terms: dict[int, frozenset[str]] = {}
        self._squashing: dict[int, int | None] = {}  # the result of a squashing function that a node is a rescaling of
        self._uses: dict[int, list[int]] = defaultdict(list)
        self.squashed: dict[int, tuple[str, ...]] = {}
        for node in self._computed([*state, *roots, *called]):
            self._follow(node)
            if node in called and called[node].function in SQUASHING and not self._constant[node]:
                terms = self._terms[called[node].operands[0]]
                self.squashed[node] = tuple(gate for gate in gates if gate in terms)
        for node in state:
            self._use(node)

    def shown(self, result: int) -> int:
        """Return the result of a squashing function, or its rescaled form where only that is used."""
        uses = self._uses[result]
        return uses[0] if uses and result not in uses else result

    def _operands(self, node: int) -> tuple[int, ...]:
        """Return what a node is computed from; a squashing function is one operation, whatever its formula is."""
        return self._called[node].operands if node in self._called else self._graph.operands(node)

    def _computed(self, roots: Iterable[int]) -> list[int]:
        """Return the roots and everything that they are computed from, operands first."""
        reached, stack = set[int](), list(roots)
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                stack.extend(self._operands(node))
        return sorted(reached)

    def _follow(self, node: int) -> None:
        operands, name = self._operands(node), self._graph.name(node)
        varying = [n for n in operands if not self._constant[n]]
        self._constant[node] = name.kind == "p" if name is not None else not varying
        self._terms[node] = frozenset([name.of]) if name is not None and name.kind == "a" else frozenset()
        self._squashing[node] = None
        if node in self._called:
            self._use(operands[0])
            self._squashing[node] = node
        elif self._rescales(node, varying):
            self._terms[node], self._squashing[node] = self._terms[varying[0]], self._squashing[varying[0]]
        else:
            for n in varying:
                self._use(n)
            if self._graph.nodes[node][0] in _SUMS:
                self._terms[node] = frozenset().union(*(self._terms[n] for n in varying))

    def _rescales(self, node: int, varying: Sequence[int]) -> bool:
        """Return whether a node is another one plus, minus, times or divided by a constant."""
        operation = self._graph.nodes[node][0]
        if len(varying) != 1:
            return False
        divided = operation == "div" and varying[0] == self._graph.operands(node)[0]
        return divided or operation == "mul" or operation in _SUMS

    def _use(self, node: int) -> None:
        squashing = self._squashing[node]
        if squashing is not None:
            self._uses[squashing].append(node)
