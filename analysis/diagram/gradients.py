"""Whether the gradient of a cell takes the lines of its graph: `detach` and hooks leave no trace in the graph."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from variants.engine.ir.derive import Derivation
from variants.engine.ir.graph import Graph
from variants.engine.ir.names import Name, derivative
from variants.engine.ir.tracing import Traced

from .operations import OPERATIONS, ROOTED

SAMPLES = 64  # numbers of each input at which derivatives are compared
NEAR = 1e-5
_SLOPES = {
    "level_slope": lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x)),
    "bounded_slope": lambda x: 1 - torch.tanh(x) ** 2,
}
_WRITTEN = {"s": "{}'", "below": "{}_below"}


def changed(derivation: Derivation) -> list[str]:
    """Return what a cell reads whose derivative is not the one that follows from its formula, as equations write it.

    A source that is cut from the gradient as a whole is left out, since it is drawn as such.

    Raises KeyError, with its name, for an operation that has no derivative here.
    """
    cut = [t for t in derivation.operand_traces.values() if not t.pulled]
    constants = {Name("p", constant) for constant in derivation.variation.constants}
    traces = [t for t in (derivation.step, *derivation.operand_traces.values()) if t not in cut]
    found = [name for t in traces for name in _changed(derivation.graph, t) if name not in constants]
    return list(dict.fromkeys(_WRITTEN.get(name.kind, "{}").format(name.of) for name in found))


def _changed(graph: Graph, traced: Traced) -> list[Name]:
    """Return the inputs of which the traced derivative is not that of the traced outputs."""
    outputs, pulled = list(traced.outputs.values()), list(traced.pulled.values())
    generator = torch.Generator().manual_seed(1)

    def example() -> Tensor:
        return 4 * torch.rand(SAMPLES, generator=generator, dtype=torch.float64) - 2

    names = sorted(graph.inputs_of([*outputs, *pulled]) | {derivative(name) for name in traced.outputs}, key=str)
    given = {name: example().requires_grad_() for name in names}
    made = _Values(graph, given)
    total = sum((given[derivative(name)] * made[node] for name, node in traced.outputs.items()), torch.zeros(SAMPLES))
    wanted = [name for name in names if name in graph.inputs_of(outputs)]
    if not wanted:  # only constants, of which torch takes no derivative
        return []
    slopes = torch.autograd.grad(total.sum(), [given[name] for name in wanted], allow_unused=True)
    zero = torch.zeros(SAMPLES, dtype=torch.float64)
    wrong = []
    for name, slope in zip(wanted, slopes, strict=True):
        theirs = made[traced.pulled[name]].detach() if name in traced.pulled else zero
        mine = zero if slope is None else slope
        known = mine.isfinite() & theirs.isfinite()
        if not torch.allclose(mine[known], theirs[known], rtol=NEAR, atol=NEAR):
            wrong.append(name)
    return wrong


class _Values(dict[int, Tensor]):
    """The values of nodes of a graph, each computed when it is first asked for."""

    def __init__(self, graph: Graph, given: Mapping[Name, Tensor]) -> None:
        super().__init__()
        self._graph, self._given = graph, given

    def __missing__(self, node: int) -> Tensor:
        operation, operands = self._graph.nodes[node][0], self._graph.operands(node)
        name, value = self._graph.name(node), self._graph.value(node)
        if name is not None:
            found = self._given[name]
        elif value is not None:
            kind = torch.bool if isinstance(value, bool) else torch.float64
            found = torch.full((SAMPLES,), value, dtype=kind)
        elif operation in ROOTED or operation in _SLOPES:
            function = ROOTED[operation] if operation in ROOTED else _SLOPES[operation]
            found = function(self[self._graph.operands(operands[0])[0]])
        else:
            found = OPERATIONS[operation](*(self[n] for n in operands))
        self[node] = found
        return found
