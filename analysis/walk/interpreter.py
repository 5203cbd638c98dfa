"""Every number of a cell over one sequence, and the derivative of the loss by it, from the traced graph of its step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from runs.networks.reader import ReaderModule
from tasks import Batch, Task
from variants import Cell
from variants.engine import fused, select_steps
from variants.engine.ir.derive import Derivation
from variants.engine.ir.names import Name
from variants.engine.ir.tracing import CannotFuse
from variants.layers.control import ControlRecurrent

from ..diagram.operations import OPERATIONS, ROOTED, ROOTS

Term = tuple[str, str]
"""A part of a pre-activation: its gate, and the name of W, R or b."""


class LayerNumbers(NamedTuple):
    """The numbers of one layer.

    cell: as it stands in the layer.
    derivation: its traced expressions; nodes are those of `derivation.graph`.
    values: of each node, [T, H].
    slopes: the derivative of the loss by each of them, [T, H]; 0 where the loss does not depend on it.
    terms: the parts of each pre-activation that are added up, W x, R y' and b, [T, H].
    """

    cell: Cell
    derivation: Derivation
    values: dict[int, Tensor]
    slopes: dict[int, Tensor]
    terms: dict[Term, Tensor]


class Numbers(NamedTuple):
    """The numbers of a network over one sequence.

    layers: of each layer, the lowest first.
    answers: of the network, [K, 1, O].
    loss: of this sequence.
    gradients: derivatives of the loss by the parameters, by name.
    error: largest difference of an answer from that of the eager engine.
    slope_error: largest difference of a derivative by a parameter from the one of the eager engine, as a share of the
        largest derivative by that parameter.
    """

    layers: list[LayerNumbers]
    answers: Tensor
    loss: float
    gradients: dict[str, Tensor]
    error: float
    slope_error: float


def why_not(network: ReaderModule) -> str:
    """Return why the numbers of a network cannot be shown; empty where they can."""
    recurrent = network.recurrent
    if isinstance(recurrent, ControlRecurrent):
        return f"{recurrent.cell.title} runs {recurrent.cell.runs}, which does not show its numbers"
    if recurrent.directions > 1:
        return "model.bidirectional must be false, since the walk follows one direction; got true"
    if recurrent.layer_norm:
        return "model.layer_norm must be false, since the walk shows the cell alone; got true"
    if recurrent.zoneout:
        return "model.zoneout must be 0, since the walk shows the cell alone"
    try:
        for k, cell in enumerate(recurrent.cells):
            derivation = fused.derivation(cell, lowest=k == 0)
            live = derivation.reach([*derivation.step.outputs.values(), *derivation.operands.values()])
            if (odd := {derivation.graph.nodes[n][0] for n in live} - _KNOWN) != set():
                return f"{cell.title} uses an operation that the walk does not know: {min(odd)}"
    except CannotFuse as error:
        return f"{recurrent.cell.title} cannot be traced: {error}"
    return ""


_KNOWN = {*OPERATIONS, *ROOTED, *ROOTS, "input", "constant"}


def numbers(network: ReaderModule, task: Task, batch: Batch) -> Numbers:
    """Return every number of a network over one sequence, in double precision.

    network: its parameters are not changed.
    task: gives the loss.
    batch: of one sequence.

    Raises ValueError for a network whose numbers cannot be shown.
    """
    if why := why_not(network):
        raise ValueError(why)
    doubles = {k: v.double() for k, v in batch._asdict().items() if v is not None and v.is_floating_point()}
    batch = batch._replace(**doubles)
    mine, eager = (copy.deepcopy(network).double().eval() for _ in range(2))
    expected = eager(batch)
    task.loss(expected, batch).backward()  # type: ignore[no-untyped-call]
    answers, layers = _forward(mine, batch)
    loss = task.loss(answers, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients, wanted = (_gradients(net) for net in (mine, eager))
    return Numbers(
        layers=[layer.done() for layer in layers],
        answers=answers.detach(),
        loss=loss.item(),
        gradients=gradients,
        error=float((answers - expected).detach().abs().max()),
        slope_error=max((_off(gradients[name], right) for name, right in wanted.items()), default=0.0),
    )


def _gradients(network: ReaderModule) -> dict[str, Tensor]:
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in network.named_parameters()}


def _off(found: Tensor, right: Tensor) -> float:
    """Return the largest difference as a share of the largest right value."""
    return float((found - right).abs().max()) / max(float(right.abs().max()), 1e-9)


def _forward(network: ReaderModule, batch: Batch) -> tuple[Tensor, list[_Layer]]:
    """Return the answers of a network and its layers, whose numbers are complete after `backward`."""
    recurrent = network.recurrent
    assert not isinstance(recurrent, ControlRecurrent)
    x = batch.inputs[: None if batch.lengths is None else int(batch.lengths[0])]
    if recurrent.project is not None:
        x = functional.linear(x, recurrent.project["P"])
    below: dict[str, Tensor] = {}
    layers: list[_Layer] = []
    for k, cell in enumerate(recurrent.cells):
        part = recurrent.parts[k]
        assert isinstance(part, nn.ParameterDict)
        blocks: dict[str, Tensor] = dict(part.items())
        blocks |= {name: blocks[name].expand(recurrent.hidden_size) for name in cell.scalars}
        for name, value in cell.fixed_matrices(recurrent.hidden_size).items():
            blocks[name] = value.double()
        for block in cell.terms:
            if block.kind == "R" and recurrent.recurrent_mask is not None:
                blocks[block.name] = blocks[block.name] * recurrent.recurrent_mask
            if block.kind == "R" and cell.heads > 1:
                blocks[block.name] = torch.block_diag(*blocks[block.name].chunk(cell.heads))  # type: ignore[no-untyped-call]
            if block.kind == "R" and cell.projected:  # zeros for the units that a projected field does not have
                rows, columns = (recurrent.hidden_size - n for n in blocks[block.name].shape)
                blocks[block.name] = functional.pad(blocks[block.name], (0, columns, 0, rows))
            if block.kind == "R" and cell.transforms:
                blocks[block.name] = cell.transform_recurrent(blocks[block.name])
        layer = _Layer(cell, fused.derivation(cell, lowest=k == 0), blocks, recurrent.hidden_size)
        layer.run(x, below)
        x = torch.cat([layer.sequence(field) for field in cell.shown], dim=-1)
        below = {field: layer.sequence(field) for field in cell.above}
        layers.append(layer)
    return network.answers(select_steps(x, batch.reads)), layers


class _Layer:
    """Runs the graph of a layer over a sequence and keeps every number."""

    def __init__(self, cell: Cell, derivation: Derivation, blocks: Mapping[str, Tensor], units: int) -> None:
        self._cell, self._derivation, self._units = cell, derivation, units
        self._blocks = {**blocks, **{n: v.double() for n, v in cell.constants(units).items()}}
        self._live = sorted(derivation.reach([*derivation.step.outputs.values(), *derivation.operands.values()]))
        self._steps: list[dict[int, Tensor]] = []
        self._terms: list[dict[Term, Tensor]] = []

    def run(self, x: Tensor, below: Mapping[str, Tensor]) -> None:
        """Run over x [T, 1, I] and the fields of the layer below, [T, 1, H]."""
        zeros = torch.zeros(1, self._units, dtype=torch.float64, requires_grad=True)
        state = dict.fromkeys(self._derivation.fields, zeros + 0.0)
        state |= {field: zeros + self._blocks[f"{field}_0"] for field in self._cell.starts}
        for t, row in enumerate(x):
            step = _Step(self, row, state, {field: v[t] for field, v in below.items()})
            for node in self._live:
                step.value(node)
            self._steps.append(step.values)
            self._terms.append(step.terms)
            state = {field: step.values[self._derivation.new(field)] for field in self._derivation.fields}

    def sequence(self, field: str) -> Tensor:
        """Return the values of a field of the state, [T, 1, H]."""
        size = self._cell.size_of(field, self._units)
        return torch.stack([values[self._derivation.new(field)][:, :size] for values in self._steps])

    def done(self) -> LayerNumbers:
        """Return the numbers, after the derivatives have been computed."""
        nodes, terms = list(self._steps[0]), list(self._terms[0])
        values = {n: torch.cat([step[n].detach().double() for step in self._steps]) for n in nodes}
        slopes = {n: torch.cat([_slope(step[n]) for step in self._steps]) for n in nodes}
        parts = {k: torch.cat([step[k].detach() for step in self._terms]) for k in terms}
        return LayerNumbers(self._cell, self._derivation, values, slopes, parts)


def _slope(value: Tensor) -> Tensor:
    known = value.grad if value.requires_grad else None
    return torch.zeros(value.shape, dtype=torch.float64) if known is None else known


class _Step:
    """One time step: nodes are computed as they are asked for."""

    def __init__(self, layer: _Layer, x: Tensor, state: Mapping[str, Tensor], below: Mapping[str, Tensor]) -> None:
        self._layer, self._x, self._state, self._below = layer, x, state, below
        self._graph = layer._derivation.graph
        self.values: dict[int, Tensor] = {}
        self.terms: dict[Term, Tensor] = {}

    def value(self, node: int) -> Tensor | None:
        """Return the value of a node, [1, H]; None for a number that only a kernel needs."""
        operation, arguments = self._graph.nodes[node]
        if operation in ROOTS:
            return None
        if node not in self.values:
            found = self._computed(node, operation, arguments)
            if found.requires_grad:
                found.retain_grad()
            self.values[node] = found
        return self.values[node]

    def _computed(self, node: int, operation: str, arguments: tuple[object, ...]) -> Tensor:
        shape = (1, self._layer._units)
        if operation == "constant":
            known = self._graph.value(node)
            kind = torch.bool if isinstance(known, bool) else torch.float64
            return torch.full(shape, known, dtype=kind)  # type: ignore[arg-type]
        name = self._graph.name(node)
        if name is not None:
            return self._given(name).expand(shape) + 0.0  # a tensor of its own, which has a derivative of its own
        operands = self._graph.operands(node)
        if operation in ROOTED:
            (root,) = self._graph.operands(operands[0])
            return ROOTED[operation](self._known(root))
        return OPERATIONS[operation](*map(self._known, operands))

    def _known(self, node: int) -> Tensor:
        value = self.value(node)
        assert value is not None
        return value

    def _given(self, name: Name) -> Tensor:
        """Return a value from outside the formula."""
        match name.kind:
            case "a":
                return self._preactivation(name.of)
            case "s":
                return self._state[name.of]
            case "below":
                return self._below[name.of]
        return self._layer._blocks[name.of]

    def _preactivation(self, gate: str) -> Tensor:
        """Return W x + R y' + b of a gate, and keep its terms."""
        layer, derivation = self._layer, self._layer._derivation
        blocks = layer._blocks
        total = torch.zeros(1, layer._units, dtype=torch.float64)
        for block in (b for b in layer._cell.terms if b.gate == gate):
            if block.kind == "b":
                term = blocks[block.name].expand(1, -1)
            elif block.kind == "W":
                term = functional.linear(self._x, blocks[block.name])
            else:
                operand = self._known(derivation.operands[block.source])
                traced = derivation.operand_traces[block.source]
                term = functional.linear(operand if traced.pulled else operand.detach(), blocks[block.name])
            self.terms[gate, block.name] = term
            total = total + term
        return total
