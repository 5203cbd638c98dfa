"""The fused engine: a whole sequence as one compiled kernel that is derived from the definition of a cell, in float32 on the CPU.

One BLAS product per source and elementwise passes in each time step; the derivative by R as one product after the loop. A kernel holds
no state between calls and gives the same bits for the same inputs.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..cell import Cell
from . import emit, machine
from .blas import sgemm
from .derive import Backward, Derivation, Variation
from .trace import CannotFuse


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
    preactivations: Tensor,
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
    variation = Variation(tuple(constants), tuple(below), tuple(keep), tuple(drop), active is not None)
    tensors = (
        preactivations,
        *state,
        *(recurrent[s.name] for s in cell.sources),
        *(values[name] for name in cell.vectors),
        *below.values(),
    )
    _check(cell, (*tensors, *constants.values(), *keep.values(), *drop.values()))
    steps, batch, width = preactivations.shape
    size = (steps, batch, width // len(cell.plan))
    fixed = {f"p.{name}": v.detach().contiguous() for name, v in constants.items()}
    fixed |= {f"drop.{name}": v.detach().expand(size[1:]).contiguous() for name, v in drop.items()}
    fixed |= {f"keep.{name}": _strided(v.detach(), size) for name, v in keep.items()}
    if active is not None:
        fixed["active"] = active.to(torch.uint8).contiguous()
    call = _Call(program(cell, variation), size, fixed)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        results = _Fused.apply(call, *tensors)
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


_programs: weakref.WeakKeyDictionary[Cell, dict[Variation, Program]] = weakref.WeakKeyDictionary()


def program(cell: Cell, variation: Variation) -> Program:
    """The kernels of a cell under a variation; raises CannotFuse."""
    known = _programs.setdefault(cell, {})
    if variation not in known:
        known[variation] = Program(cell, variation)
    return known[variation]


class _Compiled:
    def __init__(self, kernel: emit.Kernel) -> None:
        self._function = machine.load(kernel.code, emit.ENTRY)
        self._slots = kernel.slots
        self._table = ctypes.c_int64 * len(kernel.slots)

    def __call__(self, size: tuple[int, int, int], arrays: Mapping[str, Tensor]) -> None:
        steps, batch, units = size
        numbers = {"T": steps, "B": batch, "H": units, "sgemm": sgemm().address}
        for name, tensor in arrays.items():
            numbers[name] = tensor.data_ptr()
            if name.startswith("keep."):
                numbers[f"{name}.t"], numbers[f"{name}.b"] = tensor.stride()[:2]
        self._function(self._table(*(numbers[name] for name in self._slots)))


class _Call(NamedTuple):
    """One run: its kernels, sizes T, B, H, and the arrays without derivatives by name."""

    program: Program
    size: tuple[int, int, int]
    fixed: dict[str, Tensor]

    def split(self, tensors: Sequence[Any]) -> tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Pre-activations, and by name: first state, R, vectors, sequences of the layer below."""
        derivation = self.program.derivation
        rest = iter(tensors[1:])
        groups = (derivation.fields, derivation.operands, self.program.vectors, derivation.variation.below)
        state, recurrent, vectors, below = ({name: next(rest) for name in names} for names in groups)
        return tensors[0], state, recurrent, vectors, below

    def shared(self, state: Mapping[str, Tensor], vectors: Mapping[str, Tensor], below: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Arrays that both kernels read."""
        return {
            **self.fixed,
            **{f"state.{name}": v for name, v in state.items()},
            **{f"p.{name}": v for name, v in vectors.items()},
            **{f"below.{name}": v for name, v in below.items()},
        }

    def forward(self, tensors: Sequence[Tensor], training: bool) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """States of all steps and the last ones, and what the backward kernel needs: tensors as it reads them, and saved arrays."""
        steps, batch, units = self.size
        derivation = self.program.derivation
        tensors = [t.detach().contiguous() for t in tensors]
        pre, state, recurrent, vectors, below = self.split(tensors)
        outputs = {name: pre.new_empty(steps, batch, units) for name in derivation.fields}
        lead = (steps, batch) if training else (batch,)
        kept = {f"operand.{n}": pre.new_empty(*lead, units) for n in derivation.operands if n not in derivation.state_operands}
        if training:
            kept["saved"] = pre.new_empty(steps, batch, len(derivation.saved) * units)
        arrays = self.shared(state, vectors, below) | kept
        arrays |= {f"out.{name}": v for name, v in outputs.items()}
        arrays |= {f"R.{name}": v.t().contiguous() for name, v in recurrent.items()}
        arrays |= {"pre": pre, "mix": pre.new_empty(batch, pre.shape[-1])}
        self.program.forward(training)(self.size, arrays)
        return (*outputs.values(), *(v[-1].clone() for v in outputs.values())), tuple(tensors[1:]), tuple(kept.values())

    def backward(
        self,
        tensors: Sequence[Tensor],
        outputs: Sequence[Tensor],
        kept: Sequence[Tensor],
        arriving: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Derivatives by all tensors of the forward call."""
        steps, batch, units = self.size
        derivation = self.program.derivation
        fields = derivation.fields
        _, state, recurrent, vectors, below = self.split((None, *tensors))
        at_sequence = {n: d.contiguous() for n, d in zip(fields, arriving, strict=False) if d is not None}
        at_end = {n: d for n, d in zip(fields, arriving[len(fields) :], strict=True) if d is not None}
        step, kernel = self.program.backward(tuple(at_sequence), tuple(at_end))

        out = dict(zip(fields, outputs, strict=True))
        like = outputs[0]
        dpre = like.new_empty(steps, batch, len(derivation.gates) * units)
        carry = {
            n: at_end[n].clone(memory_format=torch.contiguous_format) if n in at_end else torch.zeros_like(state[n]) for n in step.fields
        }
        dbelow = {n: torch.empty_like(below[n]) for n in step.below}
        dvectors = {n: torch.zeros_like(vectors[n]) for n in step.vectors}
        names = [n for n in derivation.operands if n not in derivation.state_operands]
        operands = dict(zip(names, kept, strict=False))
        arrays = self.shared(state, vectors, below)
        arrays |= {"dpre": dpre, "saved": kept[-1]}
        arrays |= {f"operand.{n}": v for n, v in operands.items()}
        arrays |= {f"du.{n}": like.new_empty(batch, units) for n in names}
        arrays |= {f"out.{n}": v for n, v in out.items()}
        arrays |= {f"R.{n}": v for n, v in recurrent.items()}
        arrays |= {f"dout.{n}": v for n, v in at_sequence.items()}
        arrays |= {f"carry.{n}": v for n, v in carry.items()}
        arrays |= {f"dbelow.{n}": v for n, v in dbelow.items()}
        arrays |= {f"dp.{n}": v for n, v in dvectors.items()}
        arrays |= {f"part.{n}": torch.zeros_like(v) for n, v in dvectors.items()}
        kernel(self.size, arrays)

        flat = dpre.view(steps * batch, -1)
        _, _, wanted_r, _, _ = self.split(wanted)
        drecurrent: dict[str, Tensor] = {}
        for name, gates in derivation.heard_by.items():
            if not wanted_r[name]:
                continue
            first = derivation.gates.index(gates[0])
            heard = flat[:, first * units : (first + len(gates)) * units].t()
            if name in operands:
                drecurrent[name] = heard @ operands[name].view(-1, units)
                continue
            field = derivation.state_operands[name]
            # What R was multiplied with: the first state, then the states of all steps but the last.
            drecurrent[name] = torch.addmm(heard[:, :batch] @ state[field], heard[:, batch:], out[field][:-1].view(-1, units))
        groups = (
            (fields, carry),
            (derivation.operands, drecurrent),
            (self.program.vectors, dvectors),
            (derivation.variation.below, dbelow),
        )
        return [dpre, *(found.get(name) for names, found in groups for name in names)]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, read, kept = call.forward(tensors, training=True)
        count = len(call.program.derivation.fields)
        ctx.call = call
        ctx.counts = (len(read), count)
        ctx.save_for_backward(*read, *results[:count], *kept)
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        read, count = ctx.counts
        saved = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        return None, *ctx.call.backward(saved[:read], saved[read : read + count], saved[read + count :], arriving, wanted)


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
