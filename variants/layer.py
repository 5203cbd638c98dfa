"""Time, layers and directions: turns a cell into a sequence module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cell import Cell
from .engine import choose
from .initialisation import GlorotOrthogonal, Scheme, Stream, streams


class Recurrent(nn.Module):
    """A stack of recurrent layers of one cell.

    cell: the declared cell.
    input_size, hidden_size: I and H.
    layers, bidirectional: depth, and whether a second cell reads each layer's input backwards in time.
    engine: "auto" (fused where possible), "eager" or "fused"; `self.engine` says which one runs, `self.why_eager` why.
    initialisation, stream: how parameters start, and from which random streams.

    Parameters live in `self.parts`, one dictionary per layer and direction with the names of `cell.blocks` (W_f, R_f, b_f, p_f, ...), all
    in the layout [H, I], [H, H], [H].
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        engine: str = "auto",
        initialisation: Scheme | None = None,
        stream: Stream | None = None,
    ) -> None:
        super().__init__()
        cell.validate(hidden_size, layers)
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.layers, self.directions = layers, 2 if bidirectional else 1
        self.engine, self.why_eager, self._run = choose(engine, cell)
        scheme = initialisation or GlorotOrthogonal()
        stream = stream or streams(0)

        self.project: nn.ParameterDict | None = None
        if cell.projects_input:
            projection = torch.empty(hidden_size, input_size)
            self.project = nn.ParameterDict({"P": nn.Parameter(projection)})
        self.cells: list[Cell] = []
        self.parts = nn.ModuleList()
        for layer in range(layers):
            below = hidden_size * self.directions
            width = below if layer > 0 else hidden_size if cell.projects_input else input_size
            for direction in range(self.directions):
                here = cell.for_layer(layer)
                shapes = {"W": (hidden_size, width), "R": (hidden_size,) * 2, "b": (hidden_size,), "p": (hidden_size,)}
                part = nn.ParameterDict({b.name: nn.Parameter(torch.empty(shapes[b.kind])) for b in here.blocks})
                blocks = dict(part.items())
                if layer == 0 and direction == 0 and self.project is not None:
                    blocks["P"] = self.project["P"]
                scheme(here, blocks, lambda purpose, at=(layer, direction): stream(f"{at[0]}.{at[1]}.{purpose}"))
                if layer > 0:
                    self._tie(here, part, self.parts[direction])
                self.cells.append(here)
                self.parts.append(part)
                for name, value in here.constants(hidden_size).items():
                    self.register_buffer(f"constant_{layer}_{direction}_{name}", value, persistent=False)
        mask = cell.recurrent_mask(hidden_size)
        self.register_buffer("recurrent_mask", mask, persistent=False)

    @staticmethod
    def _tie(cell: Cell, part: nn.ParameterDict, lowest: nn.ParameterDict) -> None:
        for block in cell.blocks:
            if block.gate in cell.tied:
                if part[block.name].shape != lowest[block.name].shape:
                    raise ValueError(
                        f"{cell.name}: tied layers need inputs of the same width, got {tuple(part[block.name].shape)} above "
                        f"{tuple(lowest[block.name].shape)} for {block.name}"
                    )
                part[block.name] = lowest[block.name]

    @property
    def output_size(self) -> int:
        """Width of an output: H times the number of directions."""
        return self.hidden_size * self.directions

    def zero_state(self, batch_size: int) -> tuple[Any, ...]:
        """The state before the first step, one State per layer and direction, fields [B, H]."""
        like = next(self.parameters())
        zeros = like.new_zeros(batch_size, self.hidden_size)
        return tuple(c.State(*(zeros for _ in c.State._fields)) for c in self.cells)

    def forward(
        self, inputs: Tensor, state: tuple[Any, ...] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a sequence.

        inputs: [T, B, I].
        state: one State per layer and direction as returned by an earlier call (layer 0 forward, layer 0 backward, layer 1 ...).
        lengths: [B] integers in 1..T; what lies behind a sequence's length changes nothing, and its outputs there are 0.

        Returns outputs [T, B, H * directions] of the highest layer, and the state after each sequence's last step.
        """
        state = self.zero_state(inputs.shape[1]) if state is None else state
        active = None
        if lengths is not None:
            steps = torch.arange(len(inputs), device=inputs.device).unsqueeze(-1)
            active = steps < lengths.to(inputs.device)  # [T, B]
        x = inputs if self.project is None else functional.linear(inputs, self.project["P"])
        below: list[Mapping[str, Tensor] | None] = [None] * self.directions
        final: list[Any] = []
        for layer in range(self.layers):
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                sequences, last = self._layer(k, x, state[k], below[direction], active, backwards=direction == 1)
                final.append(last)
                outputs.append(sequences[0])
                below[direction] = {n: getattr(sequences, n) for n in self.cells[k].above} or None
            x = outputs[0] if self.directions == 1 else torch.cat(outputs, dim=-1)
            if active is not None:
                x = x * active.unsqueeze(-1)
        return x, tuple(final)

    def _layer(
        self, k: int, x: Tensor, state: Any, below: Mapping[str, Tensor] | None, active: Tensor | None, backwards: bool
    ) -> tuple[Any, Any]:
        """One layer in one direction; sequences come back in the order of the input."""
        cell, part = self.cells[k], self.parts[k]
        plan = cell.plan
        preactivations = self._inputs(cell, part, x)
        recurrent = {}
        for s in cell.sources:
            blocks = [b for b in cell.blocks if b.kind == "R" and b.source == s.name]
            matrices = [part[b.name] if self.recurrent_mask is None else part[b.name] * self.recurrent_mask for b in blocks]
            recurrent[s.name] = torch.cat(matrices)  # [gates * H, H]
        values = {name: part[name] for name in cell.vectors}
        prefix = f"constant_{k // self.directions}_{k % self.directions}_"
        values |= {n.removeprefix(prefix): v for n, v in self.named_buffers() if n.startswith(prefix)}
        if backwards:
            preactivations = _reverse(preactivations, active)
            below = {n: _reverse(v, active) for n, v in below.items()} if below else None
        assert preactivations.shape[-1] == len(plan) * self.hidden_size
        sequences, last = self._run(cell, preactivations, state, recurrent, values, below, active)
        if backwards:
            sequences = cell.State(*(_reverse(v, active) for v in sequences))
        return sequences, last

    def _inputs(self, cell: Cell, part: nn.ParameterDict, x: Tensor) -> Tensor:
        """W x + b of all gates for all steps in one product, [T, B, G * H]; absent terms are 0."""
        plan = cell.plan
        zero = x.new_zeros(self.hidden_size)
        bias = torch.cat([part[f"b_{g.name}"] if g.bias else zero for g in plan])
        heard = [g for g in plan if g.input]
        weight = torch.cat([part[f"W_{g.name}"] for g in heard])
        if len(heard) == len(plan):
            return functional.linear(x, weight, bias)
        products = dict(zip([g.name for g in heard], functional.linear(x, weight).chunk(len(heard), dim=-1), strict=True))
        empty = x.new_zeros(*x.shape[:-1], self.hidden_size)
        return torch.cat([products.get(g.name, empty) for g in plan], dim=-1) + bias

    def extra_repr(self) -> str:
        return f"{self.cell!r}, {self.input_size}, {self.hidden_size}, layers={self.layers}, engine={self.engine!r}"


def _reverse(sequence: Tensor, active: Tensor | None) -> Tensor:
    """Each sequence of [T, B, ...] backwards in time within its own length; the padding stays where it is."""
    if active is None:
        return sequence.flip(0)
    steps = torch.arange(len(sequence), device=sequence.device).unsqueeze(-1)
    index = torch.where(active, active.sum(0) - 1 - steps, steps)  # [T, B]
    return sequence.gather(0, index.unsqueeze(-1).expand_as(sequence))
