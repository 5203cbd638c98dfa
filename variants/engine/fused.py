"""The fused engine: a whole sequence as one compiled kernel that is derived from the definition of a cell, in float32
on the CPU.

A time step is one product for the pre-activations and one elementwise pass (more where a gate hears a feed); going
back, one pass and one product. Derivatives by W, R and b are products over many steps at once. A kernel holds no state
between calls and gives the same bits for the same inputs.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Cell
from . import eager
from .cpu import emit, machine, product
from .inputs import Inputs, Request
from .ir.derive import Backward, Derivation, Variation
from .ir.names import Name
from .ir.tracing import CannotFuse

CHUNK = 2**18
"""How many derivatives by pre-activations are kept at a time while going back: few enough for the processor's cache."""
CHUNK_ROWS = 256
"""The least number of rows of the products over many steps."""
ALIGNED = 16
"""Numbers in 64 bytes."""
NARROW = 32
"""Widths of the input up to which the derivative by the bias comes from the same product as that by W."""
Table = ctypes.Array[ctypes.c_int64]
"""The arguments of a kernel: numbers and addresses."""
V = TypeVar("V")


def why_not(cell: Cell, layers: Sequence[Cell] = ()) -> str:
    """Return why a cell cannot be fused, empty if it can. The cell is traced at every call.

    cell: the declared cell.
    layers: the cell as it stands in each layer, by default in the two lowest.
    """
    try:
        layers = layers or [cell.for_layer(layer) for layer in range(max(2, cell.min_layers))]
        for k, here in enumerate(layers):
            if k > 1 and here is layers[1]:
                break
            _programs.pop(id(here), None)
            derivation(here, lowest=k == 0)
    except CannotFuse as error:
        return str(error)
    except Exception as error:
        return f"its formula failed on single tensors: {type(error).__name__}: {error}"
    return ""


def derivation(cell: Cell, *, lowest: bool = True) -> Derivation:
    """Return the expressions of a cell without regularisers, and the order of its time step.

    cell: the cell as it stands in a layer.
    lowest: whether that layer is the lowest one; others also read what the layer below hands up.

    Raises CannotFuse.
    """
    below = () if lowest else tuple(cell.above)
    return program(cell, Variation(constants=_constants(cell), below=below)).derivation


def run(request: Request) -> tuple[NamedTuple, NamedTuple | None]:
    """Run one layer in one direction over a sequence, as `Request` and `Engine` say.

    Raises ValueError for what it cannot do: another type or device than float32 on the CPU, layer normalisation, a cell
    that cannot be traced, tensors that do not fit each other. There are no derivatives by active, keep and drop.
    """
    cell, inputs, state, active = request.cell, request.inputs, request.state, request.active
    if request.normalise is not None:
        raise ValueError(f"{cell.title}: layer normalisation needs engine='eager', not 'fused'")
    if inputs.x.shape[1] == 0:  # no sequences, so nothing to compute; autograd gives zero gradients
        return eager.run(request)
    values, below, keep = request.values, request.below, request.keep
    drop = {s.name: request.drop[s.name] for s in cell.sources} if request.drop else {}
    constants = {name: v for name, v in values.items() if name not in cell.vectors}
    x, weight, bias = inputs
    variation = Variation(tuple(constants), tuple(below), tuple(keep), tuple(drop), active is not None)
    units = state[0].shape[-1]
    size = (*x.shape[:2], units)
    named = Tensors(
        x,
        weight,
        x.new_zeros(len(cell.preactivations) * units) if bias is None else bias,
        state._asdict(),
        {s.name: request.recurrent[s.name] for s in cell.sources},
        {name: values[name] for name in cell.vectors},
        dict(below),
    )
    tensors = named.flat()
    check_shapes(cell, size, named, {"constant": constants, "active": {"": active} if active is not None else {}})
    fixed = {Name("p", name): v for name, v in constants.items()}
    fixed |= {Name("drop", name): v.expand(size[1:]) for name, v in drop.items()}
    fixed |= {Name("keep", name): _strided(v, size) for name, v in keep.items()}
    check(cell, (*tensors, *fixed.values()))
    fixed = {name: v if name.kind == "keep" else plain(v) for name, v in fixed.items()}
    if active is not None:
        fixed[Name("active")] = active.to(torch.uint8).contiguous()
    names = cell.State._fields
    wanted = names if request.read is None else tuple(name for name in names if name in request.read)
    ends = names if request.final else ()
    call = Call(program(cell, variation), size, fixed, wanted, ends, cell, request.second)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        results = _Fused.apply(call, *tensors)  # type: ignore[no-untyped-call]
    else:
        results = call.forward(tensors, training=False)[0]
    sequences = dict(zip(call.sequences, results, strict=False))
    return cell.State(*map(sequences.get, names)), cell.State(*results[len(sequences) :]) if ends else None


class Program:
    """The kernels of a cell under a variation, emitted and compiled when first asked for."""

    def __init__(self, cell: Cell, variation: Variation) -> None:
        self.derivation = Derivation(cell, variation)
        self.vectors = tuple(cell.vectors)
        self.layouts: dict[tuple[object, ...], MemoryLayout] = {}
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
_by_formula: dict[str, Program] = {}


def program(cell: Cell, variation: Variation) -> Program:
    """Return the kernels of a cell under a variation; cells whose traced formulas are the same share them.

    Raises CannotFuse.
    """
    if id(cell) not in _programs:
        _programs[id(cell)] = {}
        weakref.finalize(cell, _programs.pop, id(cell), None)
    known = _programs[id(cell)]
    if variation not in known:
        # In a thread of its own, so that what torch is doing in this one (a checkpoint, autocast) does not see
        # the tracing, nor change it.
        with ThreadPoolExecutor(1) as thread:
            fresh = thread.submit(Program, cell, variation).result()
        known[variation] = _by_formula.setdefault(_formula(fresh), fresh)
    return known[variation]


def _formula(program: Program) -> str:
    """Return all that determines the kernels of a program as text, in which 0.0 and -0.0, 1 and True differ."""
    derivation = program.derivation
    traces = [(t.outputs, t.pulled) for t in (derivation.step, *derivation.operand_traces.values())]
    structure = (
        derivation.variation,
        derivation.fields,
        derivation.gates,
        derivation.input_gates,
        derivation.heard_by,
        program.vectors,
    )
    return repr(
        (
            *structure,
            derivation.schedule,
            derivation.operands,
            derivation.state_operands,
            traces,
            derivation.graph.nodes,
        )
    )


class _Compiled:
    def __init__(self, kernel: emit.Kernel) -> None:
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(machine.load(kernel.code, emit.ENTRY))
        self._table = ctypes.c_int64 * len(kernel.slots)
        self.slots = kernel.slots

    def run(self, table: Table) -> None:
        self._function(table)

    def table(self, values: Sequence[int]) -> Table:
        return self._table(*values)


class MemoryLayout:
    """Where the arrays of a kernel lie at one size, and how its table of arguments is made up; found once.

    kernel: the compiled kernel.
    numbers: arguments that are known, such as T and H.
    room: how many numbers each of the kernel's own arrays has; all of them lie in one allocation of `size` numbers.
    zero: how many arrays, from the first on, must start as zeros.
    """

    def __init__(self, kernel: _Compiled, numbers: Mapping[Name, int], room: Mapping[Name, int], zero: int = 0) -> None:
        whole = [-(-n // ALIGNED) * ALIGNED for n in room.values()]
        starts = list(itertools.accumulate(whole, initial=0))
        self.kernel, self.size, self.zero = kernel, starts[-1], starts[zero]
        self.starts, self.room = dict(zip(room, starts, strict=False)), room
        known = {**numbers, **product.addresses()}
        self._template = [known.get(name, 0) for name in kernel.slots]
        self._own = [(k, 4 * self.starts[name]) for k, name in enumerate(kernel.slots) if name in room]
        given = [(k, name) for k, name in enumerate(kernel.slots) if name not in known and name not in room]
        self._strides = [(k, name._replace(axis=""), "tb".index(name.axis)) for k, name in given if name.axis]
        self._given = [(k, name) for k, name in given if not name.axis]

    def table(self, memory: Tensor, arrays: Mapping[Name, Tensor]) -> Table:
        """Return the arguments, for its own arrays in `memory` and others by name."""
        values, base = self._template.copy(), memory.data_ptr()
        for k, offset in self._own:
            values[k] = base + offset
        for k, name in self._given:
            values[k] = arrays[name].data_ptr()
        for k, name, axis in self._strides:
            values[k] = arrays[name].stride(axis)
        return self.kernel.table(values)

    def part(self, memory: Tensor, name: Name) -> Tensor:
        return memory.narrow(0, self.starts[name], self.room[name])


class Tensors(NamedTuple, Generic[V]):
    """What derivatives are taken by: x, W, b, and by name first state, R, vectors, sequences from below.

    `V` is the type of what stands for each: the tensor, its derivative, or whether a derivative is wanted.
    """

    x: V
    weight: V
    bias: V
    state: dict[str, V]
    recurrent: dict[str, V]
    vectors: dict[str, V]
    below: dict[str, V]

    def flat(self) -> list[V]:
        return [*self[:3], *(v for group in self[3:] for v in group.values())]


class Call(NamedTuple):
    """One run of a layer in one direction.

    program: the kernels.
    size: T, B, H.
    fixed: arrays that no derivative is taken by: constants, masks, active steps.
    sequences: fields of the state whose sequences it gives.
    ends: fields of the state whose values after the last step it gives.
    cell: what the eager engine runs for a second derivative.
    second: called when a second derivative is asked for; None where it is refused.
    """

    program: Program
    size: tuple[int, int, int]
    fixed: dict[Name, Tensor]
    sequences: tuple[str, ...]
    ends: tuple[str, ...]
    cell: Cell
    second: Callable[[], None] | None = None

    @property
    def computed(self) -> list[str]:
        """Sources whose operand is computed by a pass."""
        derivation = self.program.derivation
        return [n for n in derivation.operands if n not in derivation.state_operands]

    def name(self, flat: Sequence[V]) -> Tensors[V]:
        derivation = self.program.derivation
        rest = iter(flat[3:])
        groups = (derivation.fields, derivation.operands, self.program.vectors, derivation.variation.below)
        x, weight, bias = flat[:3]
        return Tensors(x, weight, bias, *({name: next(rest) for name in names} for names in groups))

    def shared(self, tensors: Tensors[Tensor]) -> dict[Name, Tensor]:
        """Return arrays that both kernels read."""
        arrays = dict(self.fixed)
        arrays |= {Name("R", source): v for source, v in tensors.recurrent.items()}
        arrays |= {Name("p", vector): v for vector, v in tensors.vectors.items()}
        arrays |= {Name("below", field): v for field, v in tensors.below.items()}
        return arrays

    def forward_layout(self, width: int, row_of_x: int, training: bool, apart: tuple[str, ...]) -> MemoryLayout:
        """Return the layout of the forward kernel for W of `width` columns and x of `row_of_x`.

        With training its own arrays are what the backward kernel reads: all states with the first one in front,
        operands of sources, and what the derivation chose to save. apart: fields whose states are kept in memory of
        their own.
        """
        layouts, key = self.program.layouts, (*self.size, width, row_of_x, training, apart)
        if key not in layouts:
            steps, batch, units = self.size
            derivation = self.program.derivation
            room = {Name("states", n): (steps + 1) * batch * units for n in derivation.fields if n not in apart}
            room |= {Name("operand", n): (steps if training else 1) * batch * units for n in self.computed}
            room[Name("saved")] = steps * batch * len(derivation.saved) * units if training else 0
            room[Name("mix")] = batch * sum(product.padded(m.size * units) for m in derivation.mixes)
            for k, mix in enumerate(derivation.mixes):
                room[Name("weights", str(k))] = (mix.input * width + len(mix.sources) * units) * product.padded(
                    mix.size * units
                )
                room[Name("bias", str(k))] = product.padded(mix.size * units)
            numbers = {Name("T"): steps, Name("B"): batch, Name("H"): units, Name("I"): width, Name("X"): row_of_x}
            layouts[key] = MemoryLayout(self.program.forward(training), numbers, room)
        return layouts[key]

    def backward_layout(
        self, step: Backward, kernel: _Compiled, sequences: tuple[str, ...], finals: tuple[str, ...]
    ) -> MemoryLayout:
        layouts, key = self.program.layouts, (*self.size, sequences, finals)
        if key not in layouts:
            steps, batch, units = self.size
            derivation = self.program.derivation
            padded = product.padded(units)
            room = {Name("carry", n): batch * padded for n in step.fields}
            room |= {name: units for n in step.vectors for name in (Name("part", n), Name("dp", n))}
            room[Name("zeros")] = padded
            zero = len(room)
            row = batch * len(derivation.gates) * units
            room[Name("dpre")] = min(steps, -(-max(CHUNK_ROWS * row // batch, CHUNK) // row)) * row if row else 0
            room |= {Name("du", n): batch * padded for n in self.computed}
            room |= {Name("packed", n): len(derivation.heard_by[n]) * units * padded for n in derivation.operands}
            numbers = {Name("T"): steps, Name("B"): batch, Name("H"): units, Name("start"): 0, Name("stop"): 0}
            layouts[key] = MemoryLayout(kernel, numbers, room, zero)
        return layouts[key]

    def bind(
        self, tensors: Tensors[Tensor], width: int, training: bool, apart: Mapping[str, Tensor]
    ) -> tuple[MemoryLayout, Tensor, Table]:
        """Prepare a forward run.

        tensors: as the kernel reads them.
        width: columns of W.
        training: whether the backward kernel will need what this run computes.
        apart: memory for all states of some fields, [(T + 1) * B * H].

        Returns the layout, its arrays in one allocation, and the table of arguments.
        """
        arrays = self.shared(tensors)
        arrays |= {Name("x"): tensors.x, Name("W"): tensors.weight, Name("b"): tensors.bias}
        arrays |= {Name("state", n): v for n, v in tensors.state.items()}
        arrays |= {Name("states", n): v for n, v in apart.items()}
        layout = self.forward_layout(width, tensors.x.shape[-1], training, tuple(apart))
        memory = tensors.x.new_empty(layout.size)
        return layout, memory, layout.table(memory, arrays)

    def sequence(self, memory: Tensor, start: int = 0) -> Tensor:
        """Return the sequence [T, B, H] of a field: all its states but the first, in memory from `start` on.

        To autograd it is no view, so that it can be changed in place like any output.
        """
        steps, batch, units = self.size
        row = batch * units
        return memory.new_empty(0).set_(memory.untyped_storage(), start + row, (steps, batch, units), (row, units, 1))

    def forward(self, flat: Sequence[Tensor], training: bool) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """Sequences and ends, and what the backward kernel reads besides the tensors: x as it was read, its own arrays,
        states apart.
        """
        steps, batch, units = self.size
        x, width = flat[0], flat[0].shape[-1]
        # A column of ones makes the product that gives the derivative by W give that by b too; many inputs are
        # not copied for it.
        x = functional.pad(x, (0, 1), value=1.0) if training and width <= NARROW else plain(x)
        # An output has memory of its own, so that keeping it does not keep the rest.
        apart = {n: x.new_empty((steps + 1) * batch * units) for n in self.sequences}
        # alive until the kernel has run, as it knows addresses only
        tensors = self.name([x, *(plain(t) for t in flat[1:])])
        layout, memory, table = self.bind(tensors, width, training, apart)
        layout.kernel.run(table)
        states = {n: apart[n] if n in apart else layout.part(memory, Name("states", n)) for n in self.ends}
        ends = [v[steps * batch * units :].view(batch, units).clone() for v in states.values()]
        return (*map(self.sequence, apart.values()), *ends), [x, memory, *apart.values()]

    def backward(
        self, flat: Sequence[Tensor], kept: Sequence[Tensor], arriving: Sequence[Tensor | None], wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return derivatives by all tensors of the forward call; None where one is not wanted or has no influence.

        kept: what `forward` returned besides its results.
        """
        x, memory, *apart = kept
        tensors, want = self.name([x, *(plain(t) for t in flat[1:])]), self.name(wanted)
        at_sequence = {n: plain(d) for n, d in zip(self.sequences, arriving, strict=False) if d is not None}
        at_end = {n: d for n, d in zip(self.ends, arriving[len(self.sequences) :], strict=True) if d is not None}
        recurrent = {n: torch.empty_like(v) for n, v in tensors.recurrent.items() if want.recurrent[n]}
        states = dict(zip(self.sequences, apart, strict=True))
        back = Back(self, tensors, memory, at_sequence, tuple(at_end), recurrent, x_wanted=want.x, apart=states)
        back.run(at_end)
        fields, step = self.program.derivation.fields, back.step
        # Copies of what lies in working memory, so that keeping a gradient does not keep that.
        return Tensors[Tensor | None](
            back.dx,
            back.weight,
            back.dbias.clone(),
            {n: back.carry(n).clone() if n in step.fields and want.state[n] else None for n in fields},
            {n: recurrent.get(n) for n in self.program.derivation.operands},
            {n: back.vectors[n].clone() if n in back.vectors else None for n in self.program.vectors},
            {n: back.below.get(n) for n in self.program.derivation.variation.below},
        ).flat()

    def eagerly(self, flat: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the results of the same run by the eager engine, with derivatives of any order."""
        given, variation, fixed = self.name(flat), self.program.derivation.variation, self.fixed
        constants = {n: fixed[Name("p", n)] for n in variation.constants}
        request = Request(
            self.cell,
            Inputs(given.x, given.weight, given.bias),
            self.cell.State(**given.state),
            given.recurrent,
            given.vectors | constants,
            given.below,
            fixed[Name("active")].bool() if variation.active else None,
            {n: fixed[Name("keep", n)] for n in variation.keep},
            {n: fixed[Name("drop", n)] for n in variation.drop},
            read=self.sequences,
            final=bool(self.ends),
        )
        sequences, last = eager.run(request)
        return (*(getattr(sequences, n) for n in self.sequences), *(last or ()))

    def with_input(self, rows: Tensor) -> Tensor:
        """Return those columns, of the columns of all gates, whose gates have an input."""
        derivation = self.program.derivation
        if len(derivation.input_gates) == len(derivation.gates):
            return rows
        heard = [k for k, gate in enumerate(derivation.gates) if gate in derivation.input_gates]
        return rows.view(len(rows), len(derivation.gates), -1)[:, heard].flatten(1)


class Back:
    """The backward pass of a call: its memory, arguments and results.

    tensors, kept: as the forward kernel read them, and that one's own arrays.
    arriving: derivatives by sequences, contiguous [T, B, H]. ends: fields at whose ends derivatives arrive in `run`.
    recurrent: where to put the derivatives by R, by source. add: whether they are added to what is there. apart: states
    of fields that are not among the forward kernel's own arrays.
    """

    def __init__(
        self,
        call: Call,
        tensors: Tensors[Tensor],
        kept: Tensor,
        arriving: Mapping[str, Tensor],
        ends: tuple[str, ...],
        recurrent: Mapping[str, Tensor],
        *,
        x_wanted: bool,
        apart: Mapping[str, Tensor],
        add: bool = False,
    ) -> None:
        steps, batch, units = call.size
        self._call, self._add = call, add
        derivation = call.program.derivation
        x, width_of_x = tensors.x, tensors.weight.shape[-1]
        self.step, self._kernel = call.program.backward(tuple(arriving), ends)
        self._layout = layout = call.backward_layout(self.step, self._kernel, tuple(arriving), ends)
        self._memory = memory = x.new_empty(layout.size)
        self._zero = memory.narrow(0, 0, layout.zero)
        self.below = {n: torch.empty_like(tensors.below[n]) for n in self.step.below}
        arrays = call.shared(tensors)
        arrays |= {Name("dstates", n): d for n, d in arriving.items()}
        arrays |= {Name("dbelow", n): d for n, d in self.below.items()}
        forward = call.forward_layout(width_of_x, x.shape[-1], True, tuple(apart))
        own = [Name("states", n) for n in derivation.fields if n not in apart]
        for name in (*own, *(Name("operand", n) for n in call.computed), Name("saved")):
            arrays[name] = forward.part(kept, name)
        arrays |= {Name("states", n): v for n, v in apart.items()}
        self._table = layout.table(memory, arrays)
        self._bounds = self._kernel.slots.index(Name("start")), self._kernel.slots.index(Name("stop"))
        self._arrivals = {n: self._kernel.slots.index(Name("dstates", n)) for n in arriving}

        # Derivatives by W, b and R are products over many steps. That by W is taken as [I, G * H]: in the other
        # order BLAS is ten times slower for few inputs.
        width = len(derivation.gates) * units
        dpre = layout.part(memory, Name("dpre")).view(-1, width)
        inputs = x.view(steps * batch, -1).t()
        self._with_ones = len(inputs) > width_of_x
        self._product = x.new_empty(len(inputs), width)
        self._columns = self._product[:width_of_x]  # derivatives by W of all gates, those without an input too
        every = len(derivation.input_gates) == len(derivation.gates)
        self._dweight = self._columns.t() if every else None
        self.vectors = {n: layout.part(memory, Name("dp", n)) for n in self.step.vectors}
        self.dbias = self._product[-1] if self._with_ones else x.new_empty(width)
        self.dx = x.new_empty(steps, batch, width_of_x) if x_wanted else None
        self._weight = tensors.weight
        operands = {}
        for n in recurrent:
            state = derivation.state_operands.get(n)
            operands[n] = arrays[Name("operand", n) if state is None else Name("states", state)].view(-1, units)
        self._chunks = []
        chunk = len(dpre) // batch
        for stop in range(steps, 0, -chunk):
            start = max(0, stop - chunk)
            first, count = start * batch, (stop - start) * batch
            done = dpre.narrow(0, 0, count)
            sums = []
            for n, target in recurrent.items():
                gates = derivation.heard_by[n]
                columns = done.narrow(1, derivation.gates.index(gates[0]) * units, len(gates) * units)
                sums.append((target, columns.t(), operands[n].narrow(0, first, count)))
            dx = None if self.dx is None else self.dx.view(steps * batch, -1).narrow(0, first, count)
            self._chunks.append(((start, stop), inputs.narrow(1, first, count), done, dx, sums))

    def arrive(self, name: str, derivative: Tensor) -> None:
        """Use another derivative for the next `run`.

        name: field of the state at whose sequence it arrives.
        derivative: contiguous, [T, B, H]. Only its address is kept, so the caller keeps it until `run` has returned.
        """
        self._table[self._arrivals[name]] = derivative.data_ptr()

    def carry(self, name: str) -> Tensor:
        """Return the derivative by a field of the state before the first step, [B, H]."""
        return (
            self._layout.part(self._memory, Name("carry", name))
            .view(self._call.size[1], -1)
            .narrow(1, 0, self._call.size[2])
        )

    @property
    def weight(self) -> Tensor:
        """The derivative by W."""
        return self._dweight if self._dweight is not None else self._call.with_input(self._columns).t()

    def run(self, at_end: Mapping[str, Tensor]) -> None:
        """Compute all derivatives, for those that arrive by the state after the last step."""
        table, (start, stop) = self._table, self._bounds
        self._zero.zero_()
        for n in at_end.keys() & set(self.step.fields):
            self.carry(n).copy_(at_end[n])
        # In a Python thread that torch has not set up, BLAS takes its own number of threads and rounds
        # otherwise; asking sets it up.
        torch.get_num_threads()
        later = 0
        for (first, behind), inputs, done, dx, sums in self._chunks:
            table[start], table[stop] = first, behind  # the kernel's arguments: which steps it takes
            self._kernel.run(table)
            self._product.addmm_(inputs, done, beta=later)
            if not self._with_ones:
                torch.sum(done, 0, out=self.dbias) if not later else self.dbias.add_(done.sum(0))
            if dx is not None:
                torch.mm(self._call.with_input(done), self._weight, out=dx)
            for target, columns, operand in sums:
                target.addmm_(columns, operand, beta=1 if self._add else later)
            later = 1


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, *flat: Tensor) -> tuple[Tensor, ...]:
        results, kept = call.forward(flat, training=True)
        # What is saved is let go after the backward pass, and so not kept by whoever keeps an output. Saving
        # the outputs, which share the memory of their states, lets autograd notice when they are changed in
        # place.
        fixed, ctx.names = tuple(call.fixed.values()), tuple(call.fixed)
        ctx.call, ctx.counts = call._replace(fixed={}), (len(flat), len(fixed), len(kept))
        ctx.saved_as = [(t.dtype, t.shape) for t in (*flat, *fixed, *kept)]
        ctx.save_for_backward(*flat, *fixed, *kept, *results[: len(call.sequences)])
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        flat, fixed, kept = (list(itertools.islice(saved, count)) for count in ctx.counts)
        _check_unpacked(ctx.call.cell, ctx.saved_as, (*flat, *fixed, *kept))
        fixed = [
            t if t.stride(-1) == 1 and n.kind == "keep" else plain(t) for n, t in zip(ctx.names, fixed, strict=True)
        ]
        call: Call = ctx.call._replace(fixed=dict(zip(ctx.names, fixed, strict=True)))
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # the derivatives are to be differentiated again
            return None, *_differentiable(call, flat, arriving, wanted)
        return None, *call.backward(flat, [plain(t) for t in kept], arriving, wanted)


def _check_unpacked(cell: Cell, expected: Sequence[tuple[torch.dtype, torch.Size]], saved: Sequence[Tensor]) -> None:
    """Raise ValueError where a hook on saved tensors gives back another kind of tensor than it was given."""
    for (dtype, shape), t in zip(expected, saved, strict=True):
        if t.shape != shape or t.dtype is not dtype or not t.is_cpu or t.layout is not torch.strided:
            raise ValueError(
                f"{cell.title}: hooks on saved tensors must give back what they were given, {dtype} "
                f"{list(shape)} on the cpu, "
                f"got {t.dtype} {list(t.shape)} on {t.device}"
            )


def _differentiable(
    call: Call, flat: Sequence[Tensor], arriving: Sequence[Tensor | None], wanted: Sequence[bool]
) -> Iterator[Tensor | None]:
    """Derivatives by the tensors of a call that can be differentiated again, from a second run by the eager engine."""
    if call.second is None:
        raise ValueError(
            f"{call.cell.title}: the fused engine has no second derivatives, which create_graph=True asks for; "
            "build the module with engine='auto' or 'eager'"
        )
    call.second()
    pairs = [(r, d) for r, d in zip(call.eagerly(flat), arriving, strict=True) if d is not None and r.requires_grad]
    results, derivatives = ([p[k] for p in pairs] for k in range(2))
    inputs = [t for t, want in zip(flat, wanted, strict=True) if want]
    gradients: Sequence[Tensor | None] = [None] * len(inputs)
    if pairs:
        gradients = torch.autograd.grad(results, inputs, derivatives, create_graph=True, allow_unused=True)
    found = iter(gradients)
    return (next(found) if want else None for want in wanted)


def plain(tensor: Tensor) -> Tensor:
    """The same numbers as a kernel reads them: one behind the other, and none of them negated later, as torch does in a
    view of its own.
    """
    return tensor.resolve_neg().contiguous()


def check(cell: Cell, tensors: Iterable[Tensor]) -> None:
    """Raise ValueError, naming cell, type and device, for what the fused engine cannot read."""
    for tensor in tensors:
        if tensor.dtype is not torch.float32 or not tensor.is_cpu:
            raise ValueError(
                f"{cell.title}: the fused engine runs in torch.float32 on the cpu, got {tensor.dtype} "
                f"on {tensor.device}; "
                "build the module with engine='eager' for anything else"
            )


def check_shapes(
    cell: Cell, size: tuple[int, int, int], tensors: Tensors[Tensor], others: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Raise ValueError, naming what does not fit, so that a kernel never reads or writes behind the end of a tensor.

    size: T, B, H. others: constants and which steps are active.
    """
    steps, batch, units = size
    gates = cell.preactivations
    each = {
        "inputs": ({"x": tensors.x}, (steps, batch, tensors.x.shape[-1])),
        "W": ({"": tensors.weight}, (sum(g.input for g in gates) * units, tensors.x.shape[-1])),
        "b": ({"": tensors.bias}, (len(gates) * units,)),
        "state": (tensors.state, (batch, units)),
        "vector": (tensors.vectors, (units,)),
        "constant": (others["constant"], (units,)),
        "sequence of the layer below": (tensors.below, size),
        "active": (others["active"], (steps, batch)),
    }
    each |= {f"R of {s.name}": ({"": tensors.recurrent[s.name]}, (len(s.gates) * units, units)) for s in cell.sources}
    for what, (group, shape) in each.items():
        for name, tensor in group.items():
            if tensor.shape != shape:
                raise ValueError(
                    f"{cell.title}: {what} {name} must be {list(shape)} for H = {units}, got {list(tensor.shape)}"
                )


def _strided(tensor: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return a tensor as [T, B, H], of which only the last axis must be contiguous."""
    tensor = tensor if tensor.dim() > 0 and tensor.shape[-1] == size[2] else tensor.expand(*tensor.shape[:-1], size[2])
    return (tensor if tensor.stride(-1) == 1 else tensor.contiguous()).expand(size)


def _constants(cell: Cell) -> tuple[str, ...]:
    """Return names of the constants of a cell. They are the same for all sizes, but not every size is valid."""
    for units in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 60, 64, 120, 128, 256, 720, 1024, 5040):
        try:
            cell.validate(units, max(cell.min_layers, 1))
        except ValueError:
            continue
        return tuple(name for name in cell.constants(units) if name not in cell.vectors)
    return ()
