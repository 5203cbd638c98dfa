"""Time, layers and directions: turns a cell into a sequence module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cell import Cell
from .engine import Blocks, Inputs, Parameters, Session, at, choose
from .initialisation import GlorotOrthogonal, Scheme, Stream, scheme_of, streams, within
from .regularisation import bernoulli, check_rate, dropout_mask, zoneout_rates

MOST_SESSIONS = 4
"""How many sizes of a call a trainer's module keeps memory for."""


class Recurrent(nn.Module):
    """A stack of recurrent layers of one cell.

    cell: the declared cell.
    input_size, hidden_size: I and H.
    layers, bidirectional: depth, and whether a second cell reads each layer's input backwards in time.
    engine: "auto" (fused where possible), "eager" or "fused"; `self.engine` says which one runs, `self.why_eager` why.
    initialisation, stream: how parameters start (a scheme or its name), and from which random streams.
    dropout: rate between layers. recurrent_dropout: rate on what the recurrent matrices see, one mask per sequence.
    zoneout: rate at which a unit keeps its state, one for all or by field of the state.
    layer_norm: whether each pre-activation is normalised over the units, `g * (v - mean) / deviation + b` with a learned gain g
        (Ba, Kiros & Hinton 2016, "Layer Normalization", section 3.1), by the eager engine.
    generator: where the masks of these regularisers come from, by default the stream "masks"; `self.generator` can be replaced.

    Parameters live in `self.parts`, one dictionary per layer and direction with the names of `cell.blocks` (W_f, R_f, b_f, p_f, ...), all
    in the layout [H, I], [H, H], [H]; gains of layer normalisation are g_f, ....
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
        initialisation: Scheme | str | None = None,
        stream: Stream | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        layer_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        cell.validate(hidden_size, layers)
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.layers, self.directions = layers, 2 if bidirectional else 1
        scheme, stream = scheme_of(initialisation, GlorotOrthogonal), stream or streams(0)
        self.dropout = check_rate(cell, "dropout", dropout)
        if dropout > 0.0 and layers < 2:
            raise ValueError(f"{cell.name}: dropout acts between layers and needs at least 2, got layers={layers}")
        self.recurrent_dropout = check_rate(cell, "recurrent_dropout", recurrent_dropout)
        self.zoneout = zoneout_rates(cell, zoneout)
        self.layer_norm = layer_norm
        self.generator = generator if generator is not None else stream("masks")
        if layer_norm and engine == "fused":
            raise ValueError(f"{cell.name}: layer normalisation needs engine eager or auto, got 'fused'")
        self.engine, self.why_eager, self._run = choose("eager" if layer_norm else engine, cell)
        if layer_norm and engine == "auto":
            self.why_eager = "layer normalisation"

        self.project: nn.ParameterDict | None = None
        if cell.projects_input:
            self.project = nn.ParameterDict({"P": nn.Parameter(torch.empty(hidden_size, input_size))})
        self.cells: list[Cell] = []
        self.parts = nn.ModuleList()
        self._wirings: list[_Wiring] = []
        self._sessions: dict[tuple[Any, ...], Session] | None = None
        for layer in range(layers):
            below = hidden_size * self.directions
            width = below if layer > 0 else hidden_size if cell.projects_input else input_size
            for direction in range(self.directions):
                here = cell.for_layer(layer)
                shapes = {"W": (hidden_size, width), "R": (hidden_size,) * 2, "b": (hidden_size,), "p": (hidden_size,)}
                part = nn.ParameterDict([(b.name, nn.Parameter(torch.empty(shapes[b.kind]))) for b in here.blocks])
                blocks: dict[str, Tensor] = dict(part.items())
                if layer == 0 and direction == 0 and self.project is not None:
                    blocks["P"] = self.project["P"]
                scheme(here, blocks, within(stream, f"{layer}.{direction}"))
                if layer_norm:
                    part.update({f"g_{gate.name}": nn.Parameter(torch.ones(hidden_size)) for gate in here.plan})
                self._share(here, part, direction)
                constants = {}
                for name, value in here.constants(hidden_size).items():
                    constants[name] = f"constant_{layer}_{direction}_{name}"
                    self.register_buffer(constants[name], value, persistent=False)
                self.cells.append(here)
                self.parts.append(part)
                self._wirings.append(_wiring(here, constants))
        self.recurrent_mask: Tensor | None
        self.register_buffer("recurrent_mask", cell.recurrent_mask(hidden_size), persistent=False)

    def _share(self, cell: Cell, part: nn.ParameterDict, direction: int) -> None:
        """Put the parameters of the lowest layer that has them in the place of this layer's own, for the gates that layers share."""
        for block in cell.blocks:
            if block.gate not in cell.shared:
                continue
            lower = (self._part(k) for k in range(direction, len(self.parts), self.directions))
            shared = next((p[block.name] for p in lower if block.name in p), None)
            if shared is None:
                continue
            if shared.shape != part[block.name].shape:
                raise ValueError(
                    f"{cell.name}: layers that share weights need inputs of the same width, got {tuple(part[block.name].shape)} above "
                    f"{tuple(shared.shape)} for {block.name}"
                )
            part[block.name] = shared

    def _part(self, k: int) -> nn.ParameterDict:
        return cast(nn.ParameterDict, self.parts[k])

    @property
    def output_size(self) -> int:
        """Width of an output: H times the number of directions."""
        return self.hidden_size * self.directions

    @property
    def parameter_count(self) -> int:
        """Number of trainable values, without those that a recurrent mask hides."""
        gains = sum(v.numel() for name, v in self.named_parameters() if ".g_" in name)
        return gains + count_parameters(
            self.cell, self.input_size, self.hidden_size, layers=self.layers, bidirectional=self.directions == 2
        )

    def zero_state(self, batch_size: int, like: Tensor | None = None) -> tuple[Any, ...]:
        """The state before the first step, one State per layer and direction, fields [B, H].

        like: a tensor of the type and on the device that it shall have, by default a parameter.
        """
        zeros = (next(self.parameters()) if like is None else like).new_zeros(batch_size, self.hidden_size)
        return tuple(c.State(*(zeros for _ in c.State._fields)) for c in self.cells)

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Any, ...] | None = None,
        lengths: Tensor | None = None,
        *,
        final: bool = True,
        reads: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a sequence.

        inputs: [T, B, I].
        state: one State per layer and direction as returned by an earlier call (layer 0 forward, layer 0 backward, layer 1 ...).
        lengths: [B] integers in 1..T; what lies behind a sequence's length changes nothing, and its outputs there are 0.
        final: whether the last state is wanted; without, it is empty.
        reads: [K, B] integers, the steps of which outputs are wanted, each within its sequence's length; by default all.

        Returns outputs [T, B, H * directions] of the highest layer, or [K, B, H * directions], and the state after each sequence's last
        step.
        """
        reads = None if reads is None or len(reads) == len(inputs) else reads
        short = self._sessions is not None and state is None and not final and self._differentiated()
        states = (None,) * len(self.cells) if short else self.zero_state(inputs.shape[1], inputs) if state is None else state
        active = None
        if lengths is not None:
            steps = torch.arange(len(inputs), device=inputs.device).unsqueeze(-1)
            active = steps < lengths.to(inputs.device)  # [T, B]
            inputs = inputs.masked_fill(~active.unsqueeze(-1), 0.0)
        x = inputs if self.project is None else functional.linear(inputs, self.project["P"])
        below: list[Mapping[str, Tensor] | None] = [None] * self.directions
        ends: list[Any] = []
        for layer in range(self.layers):
            if layer > 0 and self.dropout > 0.0 and self.training:
                x = x * dropout_mask(self.dropout, tuple(x.shape), x, self.generator)
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                here = reads if short and k == len(self.cells) - 1 and self.directions == 1 else None  # else read at the end
                sequences, last = self._layer(
                    *(k, x, states[k], below[direction], active), backwards=direction == 1, final=final, short=short, reads=here
                )
                if here is not None:
                    return sequences[0], ()
                ends.append(last)
                outputs.append(sequences[0])
                below[direction] = {n: getattr(sequences, n) for n in self.cells[k].above} or None
            x = outputs[0] if self.directions == 1 else torch.cat(outputs, dim=-1)
            if active is not None:
                x = x.masked_fill(~active.unsqueeze(-1), 0.0)
        return at(x, reads), tuple(ends) if final else ()

    def _differentiated(self) -> bool:
        """Whether a call is one that is to be differentiated and draws no masks inside of layers."""
        return torch.is_grad_enabled() and not (self.training and (self.zoneout or self.recurrent_dropout > 0.0))

    def join(self) -> None:
        """From now on take training steps the short way of a trainer that changes values and gradients in place only, until `release`.

        A call that is to be differentiated and whose last state is not wanted then adds to the gradients as it goes backward, and what it
        gave is overwritten by the next one. For a trainer that keeps all parameters in one vector and all gradients in another, from which
        blocks are used as they lie. Without effect on the eager engine and while masks are drawn.
        """
        self._sessions = {} if self.engine == "fused" else None

    def release(self) -> None:
        """End what `join` began."""
        self._sessions = None

    def _session(self, k: int, x: Tensor, below: Mapping[str, Tensor], *, padded: bool) -> Session:
        """The session of a layer and direction for calls of this size."""
        assert self._sessions is not None
        key = (k, *x.shape, x.requires_grad, tuple(below), padded)
        if key not in self._sessions:
            if len(self._sessions) >= MOST_SESSIONS * len(self.cells):
                self._sessions.clear()
            part, wiring = self._part(k), self._wirings[k]

            def blocks(names: Sequence[str | None], mask: Tensor | None = None) -> Blocks:
                return Blocks([None if n is None else getattr(part, n) for n in names], self.hidden_size, mask)

            parameters = Parameters(
                blocks(wiring.inputs),
                blocks(wiring.biases),
                {source: blocks(names, self.recurrent_mask) for source, names in wiring.recurrent.items()},
                {n: getattr(part, n) for n in wiring.vectors},
                {n: getattr(self, b) for n, b in wiring.constants.items()},
            )
            self._sessions[key] = Session(self.cells[k], parameters, x, below, wiring.read, padded=padded)
        return self._sessions[key]

    def _stacked(self, k: int, names: tuple[str | None, ...]) -> Tensor:
        """The named blocks of a layer and direction one below the other, zeros [H] for None."""
        part = self._part(k)
        some: Tensor = getattr(part, next(n for n in names if n is not None))
        return torch.cat([some.new_zeros(self.hidden_size) if n is None else getattr(part, n) for n in names])

    def _layer(
        self,
        k: int,
        x: Tensor,
        state: Any,
        below: Mapping[str, Tensor] | None,
        active: Tensor | None,
        *,
        backwards: bool,
        final: bool,
        short: bool,
        reads: Tensor | None = None,
    ) -> tuple[Any, Any]:
        """One layer in one direction; sequences come back in the order of the input, those that nobody reads as None.

        short: as a trainer that has joined the parameters does it. reads: with that, the steps of the first sequence that are wanted.
        """
        x = _reverse(x, active) if backwards else x
        below = {n: _reverse(v, active) if backwards else v for n, v in (below or {}).items()}
        if short:
            sequences, last = self._session(k, x, below, padded=active is not None).run(x, below, active, reads), None
        else:
            sequences, last = self._called(k, x, state, below, active, final=final)
        if backwards:
            sequences = type(sequences)(*(None if v is None else _reverse(v, active) for v in sequences))
        return sequences, last

    def _called(self, k: int, x: Tensor, state: Any, below: Mapping[str, Tensor], active: Tensor | None, *, final: bool) -> tuple[Any, Any]:
        """One layer in one direction by a call of the engine."""
        cell, part, wiring = self.cells[k], self._part(k), self._wirings[k]
        bias = None if self.layer_norm else self._stacked(k, wiring.biases)  # a normalisation has its own
        inputs = Inputs(x, self._stacked(k, wiring.inputs), bias)
        recurrent = {}
        for source, names in wiring.recurrent.items():
            matrix = self._stacked(k, names)  # [gates * H, H]
            recurrent[source] = matrix if self.recurrent_mask is None else matrix * self.recurrent_mask.repeat(len(names), 1)
        values = {n: getattr(part, n) for n in wiring.vectors} | {n: getattr(self, b) for n, b in wiring.constants.items()}
        masks = self._masks(cell, x)
        if self.layer_norm:
            masks["normalise"] = {g.name: (part[f"g_{g.name}"], part[f"b_{g.name}"] if g.bias else None) for g in cell.plan}
        return self._run(cell, inputs, state, recurrent, values, below, active, **masks, read=wiring.read, final=final)

    def _masks(self, cell: Cell, x: Tensor) -> dict[str, Any]:
        """What the regularisers ask of an engine for one layer: `keep` by field of the state, `drop` by source."""
        masks: dict[str, Any] = {}
        steps, batch = x.shape[:2]
        if self.zoneout:
            shape = (steps, batch, self.hidden_size)
            masks["keep"] = {
                field: bernoulli(rate, shape, x, self.generator) if self.training else x.new_full((1, 1, 1), rate)
                for field, rate in self.zoneout.items()
            }
        if self.recurrent_dropout > 0.0 and self.training:
            masks["drop"] = {
                s.name: dropout_mask(self.recurrent_dropout, (batch, self.hidden_size), x, self.generator) for s in cell.sources
            }
        return masks

    def extra_repr(self) -> str:
        return f"{self.cell!r}, {self.input_size}, {self.hidden_size}, layers={self.layers}, engine={self.engine!r}"


class _Wiring(NamedTuple):
    """Names of the parameters of one layer and direction by the part they play, found once.

    inputs: W of the gates that have one. biases: b of every gate, None where it has none.
    recurrent: R of the gates that hear a source, by source. vectors: p. constants: buffer of the module by constant.
    read: fields of the state whose sequences somebody reads, in their order: the outputs, and what goes to the layer above.
    """

    inputs: tuple[str, ...]
    biases: tuple[str | None, ...]
    recurrent: Mapping[str, tuple[str, ...]]
    vectors: tuple[str, ...]
    constants: Mapping[str, str]
    read: tuple[str, ...]


def _wiring(cell: Cell, constants: Mapping[str, str]) -> _Wiring:
    return _Wiring(
        inputs=tuple(f"W_{g.name}" for g in cell.plan if g.input),
        biases=tuple(f"b_{g.name}" if g.bias else None for g in cell.plan),
        recurrent={s.name: tuple(b.name for b in cell.blocks if b.kind == "R" and b.source == s.name) for s in cell.sources},
        vectors=tuple(cell.vectors),
        constants=constants,
        read=tuple(n for n in cell.State._fields if n == cell.State._fields[0] or n in cell.above),
    )


def count_parameters(cell: Cell, input_size: int, hidden_size: int, *, layers: int = 1, bidirectional: bool = False) -> int:
    """Number of trainable values of a whole `Recurrent`, from the declaration alone."""
    directions = 2 if bidirectional else 1
    total = hidden_size * input_size if cell.projects_input else 0
    counted: set[str] = set()
    for layer in range(layers):
        here = cell.for_layer(layer)
        width = hidden_size * directions if layer > 0 else hidden_size if cell.projects_input else input_size
        shared = {b.name for b in here.blocks if b.gate in here.shared}
        sizes = here.block_sizes(width, hidden_size)
        total += directions * sum(n for name, n in sizes.items() if name not in counted & shared)
        counted |= shared
    return total


def _reverse(sequence: Tensor, active: Tensor | None) -> Tensor:
    """Each sequence of [T, B, ...] backwards in time within its own length; the padding stays where it is."""
    if active is None:
        return sequence.flip(0)
    steps = torch.arange(len(sequence), device=sequence.device).unsqueeze(-1)
    index = torch.where(active, active.sum(0) - 1 - steps, steps)  # [T, B]
    return sequence.gather(0, index.unsqueeze(-1).expand_as(sequence))
