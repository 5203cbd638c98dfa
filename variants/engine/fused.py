"""The fused engine: a whole sequence as one compiled kernel that is derived from the definition of a cell, in float32 on the CPU.

A time step is one product for the pre-activations and one elementwise pass (more where a gate hears a feed); going back, one pass and one
product. Derivatives by W, R and b are products over many steps at once. A kernel holds no state between calls and gives the same bits for
the same inputs.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..cell import Cell
from . import emit, machine, product
from .derive import Backward, Derivation, Variation
from .inputs import Inputs
from .tracing import CannotFuse

CHUNK = 2**18
"""Derivatives by pre-activations that are kept at a time while going back, in numbers: few enough to stay in the processor's cache."""
CHUNK_ROWS = 256
"""The least number of rows of the products over many steps."""
ALIGNED = 16
"""Numbers in 64 bytes."""
NARROW = 32
"""Widths of the input up to which the derivative by the bias comes from the same product as that by W."""


def why_not(cell: Cell) -> str:
    """Why a cell cannot be fused, empty if it can."""
    try:
        for layer in range(max(2, cell.min_layers)):
            here = cell.for_layer(layer)
            program(here, Variation(constants=_constants(here), below=tuple(here.above) if layer > 0 else ()))
    except CannotFuse as error:
        return str(error)
    except Exception as error:
        return f"its formula failed on single tensors: {type(error).__name__}: {error}"
    return ""


def run(
    cell: Cell,
    inputs: Inputs,
    state: Any,
    recurrent: Mapping[str, Tensor],
    values: Mapping[str, Tensor],
    below: Mapping[str, Tensor] | None = None,
    active: Tensor | None = None,
    keep: Mapping[str, Tensor] | None = None,
    drop: Mapping[str, Tensor] | None = None,
    normalise: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Run one layer in one direction over a sequence; arguments and results as in `eager.run`.

    Raises ValueError for what it cannot do: another type or device than float32 on the CPU, layer normalisation, a cell that cannot be
    traced. There are no derivatives by active, keep and drop, and no second derivatives.
    """
    if normalise is not None:
        raise ValueError(f"{cell.name}: layer normalisation needs engine='eager', not 'fused'")
    below, keep = below or {}, keep or {}
    drop = {s.name: drop[s.name] for s in cell.sources} if drop else {}
    constants = {name: v for name, v in values.items() if name not in cell.vectors}
    x, weight, bias = inputs
    variation = Variation(tuple(constants), tuple(below), tuple(keep), tuple(drop), active is not None)
    units = state[0].shape[-1]
    tensors = (
        x,
        weight,
        x.new_zeros(len(cell.plan) * units) if bias is None else bias,
        *state,
        *(recurrent[s.name] for s in cell.sources),
        *(values[name] for name in cell.vectors),
        *below.values(),
    )
    _check(cell, (*tensors, *constants.values(), *keep.values(), *drop.values()))
    size = (*x.shape[:2], units)
    fixed = {f"p.{name}": v.detach().contiguous() for name, v in constants.items()}
    fixed |= {f"drop.{name}": v.detach().expand(size[1:]).contiguous() for name, v in drop.items()}
    fixed |= {f"keep.{name}": _strided(v.detach(), size) for name, v in keep.items()}
    if active is not None:
        fixed["active"] = active.to(torch.uint8).contiguous()
    call = _Call(program(cell, variation), size, fixed)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        results = _Fused.apply(call, *tensors)  # type: ignore[no-untyped-call]
    else:
        results = call.forward(tensors, training=False)[0]
    count = len(cell.State._fields)
    return cell.State(*results[:count]), cell.State(*results[count:])


class Program:
    """The kernels of a cell under a variation, emitted and compiled when first asked for."""

    def __init__(self, cell: Cell, variation: Variation) -> None:
        self.derivation = Derivation(cell, variation)
        self.vectors = tuple(cell.vectors)
        self._forward: dict[bool, _Compiled] = {}
        self._backward: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Backward, _Compiled]] = {}

    def forward(self, training: bool) -> _Compiled:
        if training not in self._forward:
            self._forward[training] = _Compiled(emit.forward(self.derivation, training))
        return self._forward[training]

    def backward(self, sequences: tuple[str, ...], finals: tuple[str, ...]) -> tuple[Backward, _Compiled]:
        key = (sequences, finals)
        if key not in self._backward:
            step = self.derivation.backward(sequences, finals)
            self._backward[key] = step, _Compiled(emit.backward(self.derivation, step, sequences))
        return self._backward[key]


_programs: dict[int, dict[Variation, Program]] = {}


def program(cell: Cell, variation: Variation) -> Program:
    """The kernels of a cell under a variation, forgotten with the cell; raises CannotFuse."""
    if id(cell) not in _programs:
        _programs[id(cell)] = {}
        weakref.finalize(cell, _programs.pop, id(cell), None)
    known = _programs[id(cell)]
    if variation not in known:
        known[variation] = Program(cell, variation)
    return known[variation]


class _Compiled:
    def __init__(self, kernel: emit.Kernel) -> None:
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(machine.load(kernel.code, emit.ENTRY))
        self._slots = kernel.slots
        self._table = ctypes.c_int64 * len(kernel.slots)

    def bind(self, numbers: Mapping[str, int], arrays: Mapping[str, Tensor], rooms: Sequence[_Workspace]) -> Any:
        """The table of arguments."""
        known = {**numbers, **product.functions()._asdict()}
        for room in rooms:
            known |= room.addresses
        for name, tensor in arrays.items():
            known[name] = tensor.data_ptr()
            if name.startswith("keep."):
                known[f"{name}.t"], known[f"{name}.b"] = tensor.stride()[:2]
        return self._table(*(known[name] for name in self._slots))

    def set(self, table: Any, name: str, value: int) -> None:
        table[self._slots.index(name)] = value

    def run(self, table: Any) -> None:
        self._function(table)


class _Workspace:
    """Several arrays in one allocation.

    make: what allocates. room: how many numbers each array has.
    """

    def __init__(self, make: Callable[[int], Tensor], room: Mapping[str, int]) -> None:
        self._room = room
        self._starts = dict(zip(room, itertools.accumulate((-(-n // ALIGNED) * ALIGNED for n in room.values()), initial=0), strict=False))
        self._memory = make(sum(-(-n // ALIGNED) * ALIGNED for n in room.values()))
        base = self._memory.data_ptr()
        self.addresses = {name: base + 4 * start for name, start in self._starts.items()}

    def part(self, name: str) -> Tensor:
        start = self._starts[name]
        return self._memory[start : start + self._room[name]]


class _Tensors(NamedTuple):
    """What derivatives are taken by: x, W, b, and by name first state, R, vectors, sequences from below."""

    x: Any
    weight: Any
    bias: Any
    state: dict[str, Any]
    recurrent: dict[str, Any]
    vectors: dict[str, Any]
    below: dict[str, Any]

    def flat(self) -> list[Any]:
        return [*self[:3], *(v for group in self[3:] for v in group.values())]


class _Call(NamedTuple):
    """One run: its kernels, sizes T, B, H, and the arrays without derivatives by name."""

    program: Program
    size: tuple[int, int, int]
    fixed: dict[str, Tensor]

    @property
    def computed(self) -> list[str]:
        """Sources whose operand is computed by a pass."""
        derivation = self.program.derivation
        return [n for n in derivation.operands if n not in derivation.state_operands]

    def name(self, flat: Sequence[Any]) -> _Tensors:
        derivation = self.program.derivation
        rest = iter(flat[3:])
        groups = (derivation.fields, derivation.operands, self.program.vectors, derivation.variation.below)
        return _Tensors(*flat[:3], *({name: next(rest) for name in names} for names in groups))

    def shared(self, tensors: _Tensors) -> dict[str, Tensor]:
        """Arrays that both kernels read."""
        return {
            **self.fixed,
            **{f"R.{name}": v for name, v in tensors.recurrent.items()},
            **{f"p.{name}": v for name, v in tensors.vectors.items()},
            **{f"below.{name}": v for name, v in tensors.below.items()},
        }

    def forward(self, flat: Sequence[Tensor], training: bool) -> tuple[tuple[Tensor, ...], list[Tensor], list[Tensor]]:
        """States of all steps and the last ones, and for the backward kernel: the tensors as it reads them, and saved arrays.

        Saved are all states with the first one in front, operands of sources, and what the derivation chose.
        """
        steps, batch, units = self.size
        derivation = self.program.derivation
        flat = [t.detach().contiguous() for t in flat]
        tensors = self.name(flat)
        x = tensors.x
        states = {f"states.{n}": x.new_empty(steps + 1, batch, units) for n in derivation.fields}
        lead = (steps, batch) if training else (batch,)
        kept = states | {f"operand.{n}": x.new_empty(*lead, units) for n in self.computed}
        if training:
            kept["saved"] = x.new_empty(steps, batch, len(derivation.saved) * units)
        room = {"mix": batch * sum(product.padded(m.size * units) for m in derivation.mixes)}
        for k, mix in enumerate(derivation.mixes):
            inner = mix.input * x.shape[-1] + len(mix.sources) * units
            room[f"weights.{k}"] = inner * product.padded(mix.size * units)
            room[f"bias.{k}"] = product.padded(mix.size * units)
        arrays = self.shared(tensors) | kept | {f"state.{n}": v for n, v in tensors.state.items()}
        arrays |= {"x": x, "W": tensors.weight, "b": tensors.bias}
        numbers = {"T": steps, "B": batch, "H": units, "I": x.shape[-1]}
        kernel = self.program.forward(training)
        workspace = _Workspace(x.new_empty, room)
        kernel.run(kernel.bind(numbers, arrays, [workspace]))
        outputs = (_rest(v) for v in states.values())
        return (*outputs, *(v[-1].clone() for v in states.values())), flat, list(kept.values())

    def backward(
        self, flat: Sequence[Tensor], kept: Sequence[Tensor], arriving: Sequence[Tensor | None], wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """Derivatives by all tensors of the forward call, None where they are not wanted or there is no influence."""
        steps, batch, units = self.size
        derivation = self.program.derivation
        fields = derivation.fields
        tensors, want = self.name(flat), self.name(wanted)
        x = tensors.x
        at_sequence = {n: d.contiguous() for n, d in zip(fields, arriving, strict=False) if d is not None}
        at_end = {n: d for n, d in zip(fields, arriving[len(fields) :], strict=True) if d is not None}
        step, kernel = self.program.backward(tuple(at_sequence), tuple(at_end))

        states = dict(zip(fields, kept, strict=False))
        operands = dict(zip(self.computed, kept[len(fields) :], strict=False))
        padded = product.padded(units)
        zeros = _Workspace(
            x.new_zeros,
            {f"carry.{n}": batch * padded for n in step.fields}
            | {f"{kind}.{n}": units for n in step.vectors for kind in ("part", "dp")}
            | {"zeros": padded},
        )
        carry = {n: zeros.part(f"carry.{n}").view(batch, padded)[:, :units] for n in step.fields}
        for n in carry.keys() & at_end.keys():
            carry[n].copy_(at_end[n])
        dbelow = {n: torch.empty_like(tensors.below[n]) for n in step.below}
        width = len(derivation.gates) * units
        chunk = min(steps, -(-max(CHUNK_ROWS * width, CHUNK) // (batch * width)))
        dpre = x.new_empty(chunk, batch, width)
        work = {f"du.{n}": batch * padded for n in self.computed}
        work |= {f"packed.{n}": len(v) * padded for n, v in tensors.recurrent.items()}
        arrays = self.shared(tensors) | {"dpre": dpre, "saved": kept[-1]}
        arrays |= {f"operand.{n}": v for n, v in operands.items()}
        arrays |= {f"states.{n}": v for n, v in states.items()}
        arrays |= {f"dstates.{n}": v for n, v in at_sequence.items()}
        arrays |= {f"dbelow.{n}": v for n, v in dbelow.items()}
        numbers = {"T": steps, "B": batch, "H": units, "start": 0, "stop": 0}
        workspace = _Workspace(x.new_empty, work)
        table = kernel.bind(numbers, arrays, [zeros, workspace])

        # In a Python thread that torch has not set up, BLAS takes its own number of threads and rounds otherwise; asking sets it up.
        torch.get_num_threads()
        sums = _Sums(derivation, tensors, want)
        for stop in range(steps, 0, -chunk):
            start = max(0, stop - chunk)
            kernel.set(table, "start", start)
            kernel.set(table, "stop", stop)
            kernel.run(table)
            done = dpre[: stop - start].view(-1, width)
            sums.add_inputs(done, start, stop)
            for name, gates in derivation.heard_by.items():
                column = derivation.gates.index(gates[0]) * units
                heard = done[:, column : column + len(gates) * units]
                operand = operands[name] if name in operands else states[derivation.state_operands[name]]
                sums.add_recurrent(name, heard, operand[start:stop].view(-1, units), first=stop == steps)
        return _Tensors(
            *sums.inputs,
            {n: carry.get(n) for n in fields},
            {n: sums.recurrent.get(n) for n in derivation.operands},
            {n: zeros.part(f"dp.{n}") if n in step.vectors else None for n in self.program.vectors},
            {n: dbelow.get(n) for n in derivation.variation.below},
        ).flat()


class _Sums:
    """Derivatives by x, W, b and R, summed over chunks of the sequence."""

    def __init__(self, derivation: Derivation, tensors: _Tensors, want: _Tensors) -> None:
        self.recurrent = {n: torch.empty_like(v) for n, v in tensors.recurrent.items() if want.recurrent[n]}
        x, self._weight = tensors.x, tensors.weight
        self._x = torch.empty_like(x) if want.x else None
        # As [I, G * H]: in the other order BLAS is ten times slower for few inputs.
        self._narrow = x.shape[-1] <= NARROW
        self._operand = torch.cat([x, x.new_ones(*x.shape[:2], 1)], dim=-1) if self._narrow else x
        width = len(tensors.bias)
        self._total = x.new_empty(self._operand.shape[-1], width)
        self._bias = self._total[-1] if self._narrow else x.new_zeros(width)
        self._gates = len(derivation.gates)
        self._heard = [k for k, gate in enumerate(derivation.gates) if gate in derivation.input_gates]

    def add_inputs(self, done: Tensor, start: int, stop: int) -> None:
        first = stop == len(self._operand)
        self._total.addmm_(self._operand[start:stop].flatten(0, 1).t(), done, beta=0 if first else 1)
        if not self._narrow:
            self._bias += done.sum(0)
        if self._x is not None:
            torch.mm(self._with_input(done), self._weight, out=self._x[start:stop].view(len(done), -1))

    def add_recurrent(self, name: str, heard: Tensor, operand: Tensor, first: bool) -> None:
        if name in self.recurrent:
            self.recurrent[name].addmm_(heard.t(), operand, beta=0 if first else 1)

    def _with_input(self, rows: Tensor) -> Tensor:
        """The columns of the gates that have an input."""
        return rows if len(self._heard) == self._gates else rows.view(len(rows), self._gates, -1)[:, self._heard].flatten(1)

    @property
    def inputs(self) -> tuple[Tensor | None, Tensor, Tensor]:
        """Derivatives by x, W and b."""
        return self._x, self._with_input(self._total[: self._weight.shape[1]]).t().contiguous(), self._bias


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *flat: Tensor) -> tuple[Tensor, ...]:
        results, read, kept = call.forward(flat, training=True)
        # The states are in `kept`; saving the outputs, which share their memory, lets autograd notice when they are changed in place.
        ctx.call, ctx.counts = call, (len(read), len(kept))
        ctx.save_for_backward(*read, *kept, *results[: len(call.program.derivation.fields)])
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        read, kept = ctx.counts
        saved = ctx.saved_tensors
        return None, *ctx.call.backward(saved[:read], saved[read : read + kept], arriving, ctx.needs_input_grad[1:])


def _rest(states: Tensor) -> Tensor:
    """All states but the first: the same memory, but to autograd no view, so that it can be changed in place like any output."""
    _, batch, units = states.shape
    shape, stride = (len(states) - 1, batch, units), (batch * units, units, 1)
    return states.new_empty(0).set_(states.untyped_storage(), batch * units, shape, stride)


def _check(cell: Cell, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                f"{cell.name}: the fused engine runs in torch.float32 on the cpu, got {tensor.dtype} on {tensor.device}; "
                "build the module with engine='eager' for anything else"
            )


def _strided(tensor: Tensor, size: tuple[int, int, int]) -> Tensor:
    """As [T, B, H], where only the last axis must be contiguous."""
    tensor = tensor if tensor.dim() > 0 and tensor.shape[-1] == size[2] else tensor.expand(*tensor.shape[:-1], size[2])
    return (tensor if tensor.stride(-1) == 1 else tensor.contiguous()).expand(size)


def _constants(cell: Cell) -> tuple[str, ...]:
    """Names of the constants that a cell declares; they are the same for all sizes, but not every size is valid."""
    for units in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 60, 64, 120, 128, 256, 720, 1024, 5040):
        try:
            cell.validate(units, max(cell.min_layers, 1))
        except ValueError:
            continue
        return tuple(name for name in cell.constants(units) if name not in cell.vectors)
    return ()
