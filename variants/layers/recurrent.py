"""Time, layers and directions: turns a cell into a sequence module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter, is_
from typing import Any, NamedTuple, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..cell import Cell
from ..declaration import (
    check_declaration,
    check_options,
    check_shared,
    check_sizes,
    check_transform,
    check_whole_numbers,
    checked_constants,
    checked_fixed,
    checked_mask,
    declared_layers,
    try_step,
)
from ..engine import Blocks, Engine, Inputs, Parameters, Request, Session, choose, eager, select_steps, unserved
from ..engine.evaluation import EvaluationLayer
from ..engine.ir.derive import Variation
from ..engine.training import Layer
from ..initialisation import GlorotOrthogonal, initialise, scheme_of, streams, within
from . import boundary
from .memory import FlatMemory
from .options import GivenOptions, Options
from .passes import EvaluationPass, Regularisers, TrainingPass, reverse
from .regularisation import Replay, bernoulli, check_rate, dropout_mask, zoneout_rates

MOST_SESSIONS = 4
"""For how many sizes [T, B] of a call a module in training keeps the buffers of each layer at least."""
KEPT_NUMBERS = 2**20
"""More sizes are kept as long as their steps, sequences and units, multiplied, make no more than this together.

Each of these numbers stands for the ten to twenty float32 values that a step of a unit needs: 64 MB in all.
"""
_TAKEN = frozenset(dir(nn.ParameterDict()))


def attribute(name: str) -> str:
    """Return the name under which a layer keeps a parameter: its own, or with a mark where torch uses that name itself
    (`copy`).
    """
    return f"{name}*" if name in _TAKEN else name


class Recurrent(nn.Module):
    """A stack of recurrent layers of one cell.

    cell: the declared cell, such as `Vanilla()`.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    options: those of `Options`, as keyword arguments, such as `layers=2`.

    Attributes:
        engine: which engine ran last, "fused" or "eager"; before the first call, which one will run.
        why_eager: why it was the eager one where "auto" was asked for; else empty.
        kept: which share of the state is kept from one step to the next at the start, by the biases alone: the mean
            over the units of all layers; 1 for a cell that never forgets, None where no gate decides it.
        parts: one dictionary of parameters per layer and direction, layer 0 forward first, with the names of
            `cell.blocks`: W_f [H, I], R_f [H, H / heads], b_f [H], p_f [H], scalars [1]; gains of layer normalisation
            are g_f [H]. With a projected output, [P] takes the place of [H] as `Cell.recurrent_shape` says.
        generator: where the masks of the regularisers come from; it can be replaced.

    Raises ValueError, naming the cell, for a size, an option or a declaration that is wrong.

    >>> from variants import GRU
    >>> module = Recurrent(GRU(), input_size=3, hidden_size=5, layers=2)
    >>> outputs, state = module(torch.zeros(7, 2, 3))
    >>> outputs.shape, len(state), state[1].h.shape
    (torch.Size([7, 2, 5]), 2, torch.Size([2, 5]))
    """

    def __init__(self, cell: Cell, input_size: int, hidden_size: int, **options: Unpack[GivenOptions]) -> None:
        super().__init__()
        given = Options(**options)
        layers, engine = given.layers, given.engine
        check_sizes(cell, input_size=input_size, hidden_size=hidden_size, layers=layers)
        check_options(cell, given)
        cell = copy.copy(cell)  # what is done to the given one later is for later layers
        declared = declared_layers(cell, layers)
        constants = [_checked_layer(here, hidden_size, layer) for layer, here in enumerate(declared)]
        check_shared(cell, declared)
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.layers, self.directions = layers, 2 if given.bidirectional else 1
        scheme, stream = scheme_of(cell, given.initialisation, GlorotOrthogonal), given.stream or streams(0)
        self.dropout = check_rate(cell, "dropout", given.dropout)
        if self.dropout > 0.0 and layers < 2:
            raise ValueError(f"{cell.title}: dropout acts between layers and needs at least 2, got layers={layers}")
        self.recurrent_dropout = check_rate(cell, "recurrent_dropout", given.recurrent_dropout)
        self.zoneout = zoneout_rates(cell, given.zoneout)
        self.layer_norm = given.layer_norm
        self.generator = given.generator if given.generator is not None else stream("masks")
        self._replay = Replay()
        if self.layer_norm and engine == "fused":
            raise ValueError(f"{cell.title}: layer normalisation needs engine eager or auto, got 'fused'")
        self.asked_engine = engine
        self.engine, self._never_fused, self._run = choose("eager" if self.layer_norm else engine, cell, declared)
        if self.layer_norm and engine == "auto":
            self._never_fused = "layer normalisation"
        self.why_eager = self._never_fused

        self.project: nn.ParameterDict | None = None
        if cell.projects_input:
            self.project = nn.ParameterDict({"P": nn.Parameter(torch.empty(hidden_size, input_size))})
        self.cells: list[Cell] = []
        self.parts = nn.ModuleList()
        self._wirings: list[_Wiring] = []
        self._sessions: dict[tuple[object, ...], Session] | None = None
        self._places: _Places | None = None
        self._memory: FlatMemory | None = None
        for layer in range(layers):
            width = self.output_size if layer > 0 else hidden_size if cell.projects_input else input_size
            for direction in range(self.directions):
                here = declared[layer]
                shapes = here.block_shapes(width, hidden_size)
                part = nn.ParameterDict([(attribute(n), nn.Parameter(torch.empty(s))) for n, s in shapes.items()])
                blocks: dict[str, Tensor] = {b.name: part[attribute(b.name)] for b in here.blocks}
                if layer == 0 and direction == 0 and self.project is not None:
                    blocks["P"] = self.project["P"]
                initialise(scheme, here, blocks, within(stream, f"{layer}.{direction}"))
                if self.layer_norm:
                    sizes = {gate.name: here.size_of(gate.name, hidden_size) for gate in here.preactivations}
                    part.update({f"g_{gate}": nn.Parameter(torch.ones(size)) for gate, size in sizes.items()})
                self._share(here, part, direction)
                buffers = {}
                for name, value in constants[layer].items():
                    buffers[name] = f"constant_{layer}_{direction}_{name}"
                    self.register_buffer(buffers[name], value.clone(), persistent=False)
                fixed = {}
                for name, value in checked_fixed(here, hidden_size).items():
                    fixed[name] = f"fixed_{layer}_{direction}_{name}"
                    self.register_buffer(fixed[name], value.clone(), persistent=False)
                self.cells.append(here)
                self.parts.append(part)
                self._wirings.append(_wiring(here, buffers, fixed, shapes))
        self.recurrent_mask: Tensor | None
        self.register_buffer("recurrent_mask", checked_mask(cell, hidden_size), persistent=False)
        self.kept = kept_at_start(
            (here, {b.name: self._part(k)[attribute(b.name)] for b in here.blocks}) for k, here in enumerate(self.cells)
        )

    def _share(self, cell: Cell, part: nn.ParameterDict, direction: int) -> None:
        """Replace this layer's parameters of shared gates by those of the lowest layer that has them."""
        for block in cell.blocks:
            if block.gate not in cell.shared:
                continue
            lower = (self._part(k) for k in range(direction, len(self.parts), self.directions))
            shared = next((p[block.name] for p in lower if block.name in p), None)
            if shared is None:
                continue
            if shared.shape != part[block.name].shape:
                raise ValueError(
                    f"{cell.title}: layers that share weights need inputs of the same width, got "
                    f"{tuple(part[block.name].shape)} above "
                    f"{tuple(shared.shape)} for {block.name}"
                )
            part[block.name] = shared

    def _part(self, k: int) -> nn.ParameterDict:
        return cast(nn.ParameterDict, self.parts[k])

    @property
    def output_size(self) -> int:
        """Width of an output: that of one direction, `Cell.output_size`, times their number."""
        return self.directions * self.cell.output_size(self.hidden_size)

    @property
    def parameter_count(self) -> int:
        """Number of trainable values, without those that a recurrent mask hides."""
        return count_parameters(
            self.cell,
            self.input_size,
            self.hidden_size,
            layers=self.layers,
            bidirectional=self.directions == 2,
            layer_norm=self.layer_norm,
        )

    def zero_state(self, batch_size: int, like: Tensor | None = None) -> tuple[Any, ...]:
        """Make the state before the first step.

        batch_size: number of sequences B.
        like: a tensor of the wanted type and device, by default a parameter.

        Returns one State per layer and direction, fields [B, H] and a projected one [B, P], each with memory of its
        own: zeros, or the learned start of a field that has one.
        """
        model = next(self.parameters()) if like is None else like
        units = self.hidden_size
        states = [
            c.State(*(model.new_zeros(batch_size, c.size_of(n, units)) for n in c.State._fields)) for c in self.cells
        ]
        for k, cell in enumerate(self.cells):
            learned = {n: getattr(self._part(k), stored) for n, stored in self._wirings[k].starts.items()}
            if learned:
                rows = {n: value.to(model).expand(batch_size, -1).clone() for n, value in learned.items()}
                states[k] = cell.State(**{**states[k]._asdict(), **rows})
        return tuple(states)

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Any, ...] | None = None,
        lengths: Tensor | None = None,
        *,
        final: bool = True,
        reads: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a batch of sequences.

        inputs: [T, B, I], floating-point numbers, which are converted to the type of the parameters.
        state: the state before the first step, as an earlier call returned it; by default that of `zero_state`. One
            State per layer and direction (layer 0 forward, layer 0 backward, layer 1 ...), fields [B, H] or, for all
            sequences alike, [1, H] or [H]. Or as `torch.nn.LSTM` has it: one tensor [layers * directions, B, H] for
            each field. A projected field has P in place of H.
        lengths: [B] integers in 1..T; by default all are T. What lies behind a sequence's length changes nothing, and
            its outputs there are 0.
        final: whether the last state is wanted.
        reads: [K, B] integers, the steps of which outputs are wanted, each within its sequence's length; by default
            all.

        Returns the outputs of the highest layer, [T, B, O] or [K, B, O] with O = `output_size`, and the state after
        each sequence's last step, empty without `final`.
        Raises ValueError, naming cell, rule and value, for anything else.
        """
        call = self._checked(inputs, state, lengths, reads, final=final)
        x, active, last = call.x, call.active, len(self.cells) - 1
        below: list[Mapping[str, Tensor]] = [{}] * self.directions
        ends: list[NamedTuple | None] = []
        for layer in range(self.layers):
            if layer > 0 and self.dropout > 0.0 and self.training:
                x = x * dropout_mask(self.dropout, tuple(x.shape), x, call.generator)
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                # in one direction and one field only, they are read at once
                if call.reuse and call.reads is not None and k == last == layer and len(self.cell.shown) == 1:
                    return self._layer(k, call, x, below[direction], final=False, reads=call.reads)[0][0], ()
                sequences, end = self._layer(k, call, x, below[direction], final=final)
                ends.append(end)
                outputs += [getattr(sequences, name) for name in self.cell.shown]
                below[direction] = {n: getattr(sequences, n) for n in self.cells[k].above}
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if active is not None:
                x = x.masked_fill(~active.unsqueeze(-1), 0.0)
        return select_steps(x, call.reads), tuple(ends) if final else ()

    def _checked(
        self, inputs: Tensor, state: object, lengths: Tensor | None, reads: Tensor | None, *, final: bool
    ) -> _Call:
        """Return the arguments of a call after all checks, and how it is served."""
        like = self._places.parameters[0] if self._places is not None else self._like()
        x = boundary.checked_inputs(self.cell, inputs, self.input_size, like)
        mode = boundary.mode()
        states: tuple[NamedTuple, ...] = ()
        if state is not None:
            states = boundary.checked_state(self.cell, state, x, self.hidden_size, self.layers, self.directions)
        run = self._engine(x, like, mode, states)
        readable = not mode and not x.is_meta
        active = None
        if lengths is not None:
            lengths = boundary.checked_lengths(self.cell, lengths, x, readable=readable)
            active = torch.arange(len(x), device=x.device).unsqueeze(-1) < lengths
        if reads is not None:
            reads = boundary.checked_reads(self.cell, reads, x, lengths, readable=readable)
        reuse = state is None and not final and run is not eager.run and x.shape[1] > 0 and self._can_reuse()
        if state is None and not reuse:
            states = self.zero_state(x.shape[1], x)
        generator = self.generator
        if self.training and readable and (self.dropout > 0.0 or self.recurrent_dropout > 0.0 or self.zoneout):
            generator = self._replay.generator(self.cell, generator, inputs)
        if active is not None:
            x = x.masked_fill(~active.unsqueeze(-1), 0.0)
        if self.project is not None:
            x = functional.linear(x, self.project["P"])
        return _Call(x, states, active, reads, run, reuse, generator)

    def _layer(
        self, k: int, call: _Call, x: Tensor, below: Mapping[str, Tensor], *, final: bool, reads: Tensor | None = None
    ) -> tuple[NamedTuple, NamedTuple | None]:
        """Run one layer in one direction.

        k: which layer and direction.
        x: [T, B, I], below: by field what the layer below hands up, both in the order of time.
        final: whether the state after the last step is wanted.
        reads: the steps of the first sequence that are wanted; only where buffers are reused.

        Returns the State of sequences in the order of time, None for those that are not read, and the last State.
        """
        active, backwards = call.active, k % self.directions == 1
        if backwards:
            x, below = reverse(x, active), {n: reverse(v, active) for n, v in below.items()}
        if call.reuse:
            sequences, end = self._session(k, x, below, padded=active is not None).run(x, below, active, reads), None
        else:
            sequences, end = self._called(k, call, x, below, final=final)
        if backwards:
            sequences = self.cells[k].State(*(None if v is None else reverse(v, active) for v in sequences))
        return sequences, end

    def _like(self) -> Tensor:
        """Return a parameter: inputs must have its type and device."""
        first = next(iter(self._part(0)._parameters.values()), None)
        return next(self.parameters()) if first is None else first

    def _engine(self, x: Tensor, like: Tensor, mode: str, states: tuple[NamedTuple, ...]) -> Engine:
        """Return the engine that serves this call. Notes which one it is, and why it is not the fused one.

        mode: what torch is doing besides computing. states: those given, else none.
        Raises ValueError where engine "fused" was asked for and cannot serve it.
        """
        if self._run is eager.run:
            return eager.run
        tensors: Iterable[Tensor] = (x, like)
        if self._places is None:  # those of a module in training have been looked at already
            parts = (self._part(k)._parameters.values() for k in range(len(self.cells)))
            tensors = (x, *(v for part in parts for v in part if v is not None))
        if states:
            tensors = chain(tensors, chain.from_iterable(states))
        why = mode or unserved(tensors, projected=self.project is not None)
        if why and self.asked_engine == "fused":
            rule = "the fused engine needs plain torch.float32 tensors on the cpu"
            raise ValueError(f"{self.cell.title}: {rule}, got {why}; build the module with engine='auto' or 'eager'")
        if why != self.why_eager:
            self._ran_eager(why)
        return eager.run if why else self._run

    def _ran_eager(self, why: str) -> None:
        """Note which engine serves a call: the eager one for this reason, or the fused one where there is none."""
        self.why_eager, self.engine = why, "eager" if why else "fused"

    def flatten_parameters(self, memory: FlatMemory | None = None) -> FlatMemory:
        """Lay all parameters into one vector and all gradients into another; they become views of the two.

        Training is fastest like this: the kernels use neighbours where they are, and copy nothing.

        memory: vectors that hold these parameters already, together with those of other modules; by default new ones.

        Returns the two vectors, in the order of `parameters()`.

        >>> from variants import GRU
        >>> module = Recurrent(GRU(), input_size=2, hidden_size=3)
        >>> memory = module.flatten_parameters()
        >>> memory.values.shape, memory.gradient.shape
        (torch.Size([54]), torch.Size([54]))
        """
        self._memory = FlatMemory(self.parameters()) if memory is None else memory
        self._places = None
        return self._memory

    def start_training(self) -> None:
        """Reuse buffers between training steps, until `end_training`.

        The outputs of a call are overwritten by the next call. Gradients are added to those that the parameters have,
        also by `torch.autograd.grad`, and no hooks are called. This holds for calls with gradients, without a given
        state and with `final=False`. Any other call runs as usual. So does every call on the eager engine, while masks
        are drawn, and where a parameter is frozen, has a hook or has no gradient yet. A trainer should change values
        and gradients in place: gradients that are replaced are still added to, more slowly. See `flatten_parameters`
        for the fastest way.
        """
        self._sessions, self._places = {}, None

    def end_training(self) -> None:
        """Stop reusing buffers: every call has outputs of its own again. The parameters stay where they are."""
        self._sessions, self._places = None, None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Recurrent:
        """As for any module, but constants and mask come from the declaration: no checkpoint has them, and `to_empty`
        loses them.
        """
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        kind = torch.get_default_dtype()
        with torch.no_grad(), torch.device("cpu"):
            for cell, wiring in zip(self.cells, self._wirings, strict=True):
                for name, value in cell.constants(self.hidden_size).items():
                    getattr(self, wiring.constants[name]).copy_(value.to(kind))
                for name, value in cell.fixed_matrices(self.hidden_size).items():
                    getattr(self, wiring.fixed[name]).copy_(value.to(kind))
            mask = self.cell.recurrent_mask(self.hidden_size)
            if mask is not None and self.recurrent_mask is not None:
                self.recurrent_mask.copy_(mask.to(kind))
        return self

    def __getstate__(self) -> dict[str, object]:
        """Return a copy of a module has parameters and buffers of its own, and is not in training."""
        return {**self.__dict__, "_sessions": None, "_places": None, "_memory": None}

    def _can_reuse(self) -> bool:
        """Whether a call can reuse the buffers of an earlier one: the module is in training, and its parameters are
        where they were.
        """
        if (
            self._sessions is None
            or not torch.is_grad_enabled()
            or self.zoneout
            or (self.training and self.recurrent_dropout > 0.0)
        ):
            return False
        if self._places is not None and self._places.as_they_were():
            return True
        self._sessions.clear()
        self._places = self._found_places()
        return self._places is not None

    def _found_places(self) -> _Places | None:
        """Return the parameters of all layers and where they are; None where one of them cannot be updated in place."""
        parameters: list[nn.Parameter] = []
        owners = []
        for k, cell in enumerate(self.cells):
            own = self._part(k)._parameters
            for block in cell.blocks:
                p, shape = own.get(attribute(block.name)), self._wirings[k].shapes[block.name]
                if (
                    p is None
                    or p.grad is None
                    or not p.requires_grad
                    or p._backward_hooks
                    or p._post_accumulate_grad_hooks
                ):
                    return None
                if not all(
                    type(t) in (Tensor, nn.Parameter) and t.shape == shape and _as_kernels_read(t) for t in (p, p.grad)
                ):
                    return None
                parameters.append(p)
            owners.append(own)
        return _Places(parameters, owners)

    def _session(self, k: int, x: Tensor, below: Mapping[str, Tensor], *, padded: bool) -> Session:
        """Return the session of a layer and direction for calls of this size."""
        assert self._sessions is not None
        key = (k, *x.shape, x.requires_grad, tuple(below), padded)
        if key not in self._sessions:
            self._make_room(x)
            lowest = k < self.directions
            self._sessions[key] = Session(
                self.cells[k],
                self._in_place(k, x.shape[-1]),
                x,
                below,
                self._wirings[k].read,
                padded=padded,
                lowest=lowest,
            )
        return self._sessions[key]

    def _make_room(self, x: Tensor) -> None:
        """Drop the sessions that were made first, where those of one more size would take too much memory."""
        assert self._sessions is not None
        kept, least = self._sessions, MOST_SESSIONS * len(self.cells)
        numbers = (sum(s.steps * s.batch for s in kept.values()) + x[..., 0].numel()) * self.hidden_size
        while len(kept) >= least and numbers > KEPT_NUMBERS:
            first = kept.pop(next(iter(kept)))
            numbers -= first.steps * first.batch * self.hidden_size

    def _in_place(self, k: int, width: int) -> Parameters:
        """Return the parameters of a layer and direction, whose inputs have this width, where kernels read them."""
        part, wiring, units, cell = self._part(k), self._wirings[k], self.hidden_size, self.cells[k]
        like = self._like()
        shapes = {s.name: cell.recurrent_shape(s.gates[0], s.name, units) for s in cell.sources}
        transform, fixed = cell.transform_recurrent if cell.transforms else None, wiring.fixed

        def blocks(names: Sequence[str | None], shape: tuple[int, ...]) -> Blocks:
            given = [None if n is None else getattr(part, n) for n in names]
            together = None if self._memory is None else self._memory.together(given)
            return Blocks(given, shape, like, together)

        def matrices(source: str, names: Sequence[str]) -> Blocks:
            if any(n in fixed for n in names):
                given = [getattr(self, fixed[n]) if n in fixed else getattr(part, n) for n in names]
                return Blocks(given, shapes[source], like)
            if self.recurrent_mask is None and transform is None:
                return blocks(names, shapes[source])
            given = [getattr(part, n) for n in names]
            return Blocks(given, (units, units), like, None, self.recurrent_mask, transform)

        return Parameters(
            blocks(wiring.inputs, (units, width)),
            blocks(wiring.biases, (units,)),
            {source: matrices(source, names) for source, names in wiring.recurrent.items()},
            {n: getattr(part, stored) for n, stored in wiring.vectors.items()},
            {n: getattr(part, stored) for n, stored in wiring.scalars.items()},
            {n: getattr(part, stored) for n, stored in wiring.starts.items()},
            {n: getattr(self, b) for n, b in wiring.constants.items()},
        )

    def training_pass(self, steps: int, batch: int, *, padded: bool) -> TrainingPass:
        """Prepare training steps without autograd, for a trainer that changes values and gradients in place.

        steps, batch: the largest T, and B of all calls.
        padded: whether sequences have lengths.

        Returns the steps, which are valid while parameters and gradients stay where they are. Masks are drawn as in
        training mode.
        Raises ValueError where `why_no_pass` gives a reason.
        """
        self._refuse_pass()
        layers = []
        for k, cell in enumerate(self.cells):
            level, wiring = k // self.directions, self._wirings[k]
            width = self._width(level)
            variation = Variation(
                tuple(wiring.constants),
                tuple(self.cells[k - self.directions].above) if level > 0 else (),
                tuple(self.zoneout),
                tuple(s.name for s in cell.sources) if self.recurrent_dropout > 0.0 else (),
                padded,
            )
            wanted = level > 0 or self.project is not None
            size = (steps, batch, width)
            layers.append(Layer(cell, self._in_place(k, width), size, wiring.read, variation, x_wanted=wanted))
        masks = Regularisers(self.dropout, self.recurrent_dropout, self.zoneout, self.generator)
        project = None if self.project is None else self.project["P"]
        above = [cell.above for cell in self.cells]
        return TrainingPass(layers, self.directions, self.cell.shown, above, masks, project)

    def evaluation_pass(self, steps: int, batch: int, *, padded: bool) -> EvaluationPass:
        """Prepare evaluations without gradients and regularisers, for a trainer that changes values in place.

        steps, batch: the largest T and B.
        padded: whether sequences have lengths.

        Returns the evaluations, which are valid while parameters stay where they are.
        Raises ValueError where `why_no_pass` gives a reason.
        """
        self._refuse_pass()
        layers = []
        for k, cell in enumerate(self.cells):
            level = k // self.directions
            width = self._width(level)
            layers.append(
                EvaluationLayer(
                    cell,
                    self._in_place(k, width),
                    (steps, batch, width),
                    self._wirings[k].read,
                    tuple(self.cells[k - self.directions].above) if level > 0 else (),
                    self.zoneout,
                    padded=padded,
                )
            )
        project = None if self.project is None else self.project["P"]
        above = [cell.above for cell in self.cells]
        return EvaluationPass(layers, self.directions, self.cell.shown, above, project, (steps, batch))

    def why_no_pass(self) -> str:
        """Say why there are no training steps or evaluations in prepared memory.

        Returns the reason: the module runs on the eager engine, or a parameter is frozen, has a hook or has no gradient
        yet. It is empty where there are such passes.
        """
        if self._run is eager.run:
            return self._never_fused or "engine=eager"
        if why := unserved([self._like()], projected=False):
            return why
        return "" if self._found_places() is not None else "a parameter is frozen, has a hook or has no gradient"

    def _refuse_pass(self) -> None:
        if why := self.why_no_pass():
            raise ValueError(
                f"{self.cell.title}: a pass in prepared memory needs the fused engine and gradients, got {why}"
            )

    def _width(self, level: int) -> int:
        """Return the width of what a layer reads."""
        if level > 0:
            return self.output_size
        return self.input_size if self.project is None else self.hidden_size

    def _block(self, k: int, name: str, like: Tensor) -> Tensor:
        """Return a named block of a layer and direction.

        Raises ValueError where it has another shape or type than it was built with.
        """
        if name in self._wirings[k].fixed:
            return cast(Tensor, getattr(self, self._wirings[k].fixed[name]))
        value: Tensor = getattr(self._part(k), attribute(name))
        shape = self._wirings[k].shapes[name]
        if value.shape != shape or value.dtype is not like.dtype or value.device != like.device:
            raise ValueError(
                f"{self.cell.title}: parameter {name} of layer {k // self.directions} must be "
                f"{like.dtype} {list(shape)} on {like.device}, "
                f"got {value.dtype} {list(value.shape)} on {value.device}"
            )
        return value

    def _stacked(
        self, k: int, names: tuple[str | None, ...], shape: tuple[int, ...], x: Tensor, like: Tensor
    ) -> Tensor:
        """Return the named blocks [H, ...] of a layer and direction one below the other, zeros for None."""
        blocks = [x.new_zeros(shape) if n is None else self._block(k, n, like) for n in names]
        return torch.cat(blocks) if blocks else x.new_zeros(0, *shape[1:])

    def _called(
        self, k: int, call: _Call, x: Tensor, below: Mapping[str, Tensor], *, final: bool
    ) -> tuple[NamedTuple, NamedTuple | None]:
        """Return one layer in one direction by a call of an engine."""
        part = self._part(k)
        # pruning and normalisations compute a parameter for each call in such a hook
        for hook in part._forward_pre_hooks.values():
            hook(part, ())
        cell, wiring, units = self.cells[k], self._wirings[k], self.hidden_size
        like = self._like()
        # a normalisation has its own
        bias = None if self.layer_norm else self._stacked(k, wiring.biases, (units,), x, like)
        inputs = Inputs(x, self._stacked(k, wiring.inputs, (units, x.shape[-1]), x, like), bias)
        recurrent = {}
        for source, gates, _ in cell.sources:
            names = wiring.recurrent[source]
            shape = cell.recurrent_shape(gates[0], source, units)
            matrix = self._stacked(k, names, shape, x, like)  # [gates * H, H / heads]
            if self.recurrent_mask is not None:
                matrix = matrix * self.recurrent_mask.repeat(len(names), 1)
            if cell.transforms:
                matrix = torch.cat([cell.transform_recurrent(each) for each in torch.split(matrix, units)])
            recurrent[source] = matrix
        values = {n: self._block(k, n, like) for n in wiring.vectors}
        values |= {n: self._block(k, n, like).expand(units) for n in wiring.scalars}
        values |= {n: getattr(self, b) for n, b in wiring.constants.items()}
        normalise = None
        if self.layer_norm:
            normalise = {
                g.name: (part[f"g_{g.name}"], part[f"b_{g.name}"] if g.bias else None) for g in cell.preactivations
            }
        request = Request(
            cell,
            inputs,
            call.states[k],
            recurrent,
            values,
            below,
            call.active,
            self._zoneout_masks(x, call.generator),
            self._dropout_masks(cell, x, call.generator),
            normalise,
            read=wiring.read,
            final=final,
            second=self._second if self.asked_engine == "auto" else None,
        )
        return call.run(request)

    def _second(self) -> None:
        """Note that the eager engine serves a second derivative."""
        self._ran_eager("a second derivative")

    def _zoneout_masks(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Return how much of the old value is kept, by field of the state: a mask in training, else the expectation."""
        shapes = {field: (*x.shape[:2], self.cell.size_of(field, self.hidden_size)) for field in self.zoneout}
        return {
            field: bernoulli(rate, shapes[field], x, generator) if self.training else x.new_full((1, 1, 1), rate)
            for field, rate in self.zoneout.items()
        }

    def _dropout_masks(self, cell: Cell, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Return what each source is multiplied with in training, [B, H]; one mask serves a whole sequence."""
        if self.recurrent_dropout == 0.0 or not self.training:
            return {}
        shapes = {s.name: (x.shape[1], cell.size_of(s.name, self.hidden_size)) for s in cell.sources}
        return {n: dropout_mask(self.recurrent_dropout, shape, x, generator) for n, shape in shapes.items()}

    def extra_repr(self) -> str:
        return f"{self.cell!r}, {self.input_size}, {self.hidden_size}, layers={self.layers}, engine={self.engine!r}"


class _Call(NamedTuple):
    """A call after all checks.

    x: inputs [T, B, I], after the projection where there is one.
    states: one per layer and direction; none where buffers are reused.
    active: [T, B], which steps are within a sequence's length, or None.
    reads: [K, B], or None for all steps.
    run: the engine.
    reuse: whether the buffers of an earlier training step are used again.
    generator: of the masks.
    """

    x: Tensor
    states: tuple[NamedTuple, ...]
    active: Tensor | None
    reads: Tensor | None
    run: Engine
    reuse: bool
    generator: torch.Generator


class _Places:
    """The parameters that a trainer updates in place, and where they were when the buffers were made.

    They are compared before each training step, and so without a loop in Python.

    parameters: those of all layers.
    owners: the dictionary of parameters of each layer and direction.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], owners: Sequence[dict[str, nn.Parameter | None]]) -> None:
        self.parameters, self._owners = parameters, owners
        self._addresses = list(map(Tensor.data_ptr, parameters))

    def as_they_were(self) -> bool:
        """Return whether parameters are where they were, none is frozen, and none has a hook.

        Their gradients are looked at going backward.
        """
        parameters = self.parameters
        return (
            list(map(Tensor.data_ptr, parameters)) == self._addresses
            and all(map(is_, chain.from_iterable([own.values() for own in self._owners]), parameters))
            and all(map(Tensor.is_contiguous, parameters))
            and all(map(_LEARNED, parameters))
            and not any(map(_HOOKS, parameters))
            and not any(map(_LATER_HOOKS, parameters))
        )


_LEARNED, _HOOKS, _LATER_HOOKS = map(attrgetter, ("requires_grad", "_backward_hooks", "_post_accumulate_grad_hooks"))


class _Wiring(NamedTuple):
    """Which parameters of one layer and direction play which part, by name; found once.

    inputs: W of the gates that have one.
    biases: b of every gate, None where it has none.
    recurrent: by source, R of the gates that hear it.
    vectors, scalars, starts: parameter of the layer by vector, by scalar, by field of the state.
    constants, fixed: buffer by constant, by fixed matrix.
    read: fields of the state whose sequences somebody reads: the outputs, and what goes to the layer above.
    shapes: of every block.
    """

    inputs: tuple[str, ...]
    biases: tuple[str | None, ...]
    recurrent: Mapping[str, tuple[str, ...]]
    vectors: Mapping[str, str]
    scalars: Mapping[str, str]
    starts: Mapping[str, str]
    constants: Mapping[str, str]
    fixed: Mapping[str, str]
    read: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]


def _checked_layer(cell: Cell, hidden_size: int, layer: int) -> dict[str, Tensor]:
    """Return the constants of a cell in one layer. Raises ValueError for whatever is wrong in its declaration."""
    check_declaration(cell)
    constants = checked_constants(cell, hidden_size)
    try_step(cell, hidden_size, constants, cell.above if layer > 0 else ())
    check_transform(cell, hidden_size)
    return constants


def _as_kernels_read(tensor: Tensor) -> bool:
    """Return whether numbers lie in memory one behind the other, as a kernel reads them."""
    return (
        tensor.dtype is torch.float32
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not tensor.is_neg()
    )


def _wiring(
    cell: Cell, constants: Mapping[str, str], fixed: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> _Wiring:
    return _Wiring(
        inputs=tuple(f"W_{g.name}" for g in cell.preactivations if g.input),
        biases=tuple(f"b_{g.name}" if g.bias else None for g in cell.preactivations),
        recurrent={
            s.name: tuple(b.name for b in cell.terms if b.kind == "R" and b.source == s.name) for s in cell.sources
        },
        vectors={name: attribute(name) for name in cell.vectors},
        scalars={name: attribute(name) for name in cell.scalars},
        starts={field: attribute(f"{field}_0") for field in cell.starts},
        constants=constants,
        fixed=fixed,
        read=tuple(n for n in cell.State._fields if n in cell.shown or n in cell.above),
        shapes=shapes,
    )


def kept_at_start(layers: Iterable[tuple[Cell, Mapping[str, Tensor]]]) -> float | None:
    """Compute which share of the state is kept from one step to the next, by the biases alone.

    layers: the cell and its blocks by name, of each layer and direction, after the initialisation.

    Returns the mean over the units of all layers; None where no gate decides it, and where tensors have no values.
    """
    shares = [cell.kept(blocks) for cell, blocks in layers]
    known = [share.mean() for share in shares if share is not None]
    if len(known) < len(shares) or any(share.is_meta for share in known) or boundary.mode():
        return None
    return float(sum(known)) / len(known)


def count_parameters(
    cell: Cell,
    input_size: int,
    hidden_size: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    layer_norm: bool = False,
) -> int:
    """Count the trainable values of a `Recurrent` from the declaration of its cell, without building it.

    cell: the declared cell.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    layers: how many layers.
    bidirectional: whether there are two directions.

    Returns the count; what a recurrent mask hides is left out, and so are gains of layer normalisation.
    Raises ValueError for a size below 1.

    >>> from variants import GRU
    >>> count_parameters(GRU(), input_size=2, hidden_size=3)
    54
    """
    check_whole_numbers(cell, input_size=input_size, hidden_size=hidden_size, layers=layers)
    directions = 2 if bidirectional else 1
    total = hidden_size * input_size if cell.projects_input else 0
    counted: set[str] = set()
    for layer in range(layers):
        here = cell.for_layer(layer)
        width = input_size
        if layer > 0:
            width = directions * cell.output_size(hidden_size)
        elif cell.projects_input:
            width = hidden_size
        shared = {b.name for b in here.blocks if b.gate in here.shared}
        sizes = here.block_sizes(width, hidden_size)
        total += directions * sum(n for name, n in sizes.items() if name not in counted & shared)
        counted |= shared
        gains = sum(here.size_of(gate.name, hidden_size) for gate in here.preactivations)
        total += directions * gains if layer_norm else 0
    return total
