"""The fused engine: a whole sequence as one compiled kernel that is derived from the definition of a cell, in float32
on the CPU.

A time step is one product for the pre-activations and one elementwise pass (more where a gate hears a feed); going
back, one pass and one product. Derivatives by W, R and b are products over a chunk of steps at once, in the same
kernel. A kernel holds no state between calls and gives the same bits for the same inputs.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..cell import Cell
from . import eager
from .cpu import emit, machine, product
from .inputs import Inputs, Request
from .ir.derive import Backward, Derivation, Variation
from .ir.names import Name
from .ir.tracing import CannotFuse

CHUNK = 2**15
"""How many derivatives by pre-activations are kept at a time while going back, at most: 128 KiB, which stay in the
cache of any processor of today. It depends on no processor, as the order of sums, and so their last digits, follow from
it.
"""
CHUNK_ROWS = 128
"""How many rows of them suffice: more make the products over them no faster."""
ALIGNED = 16
"""Numbers in 64 bytes."""
NARROW = 32
"""Widths of the input up to which x is copied beside a column of ones, so that the product that gives the derivative by
W gives that by b too."""
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
    constants = {name: v for name, v in values.items() if name not in cell.learned}
    x, weight, bias = inputs
    variation = Variation(tuple(constants), tuple(below), tuple(keep), tuple(drop), active is not None)
    units = request.units
    size = (*x.shape[:2], units)
    named = Tensors(
        x,
        weight,
        x.new_zeros(len(cell.preactivations) * units) if bias is None else bias,
        state._asdict(),
        {s.name: request.recurrent[s.name] for s in cell.sources},
        {name: values[name] for name in cell.learned},
        dict(below),
    )
    tensors = named.flat()
    check_shapes(cell, size, named, {"constant": constants, "active": {"": active} if active is not None else {}})
    fixed = {Name("p", name): v for name, v in constants.items()}
    fixed |= {Name("drop", name): widened(v, units).expand(size[1:]) for name, v in drop.items()}
    wide = {name: v if v.shape[-1] == 1 else widened(v, units) for name, v in keep.items()}
    fixed |= {Name("keep", name): _strided(v, size) for name, v in wide.items()}
    check(cell, (*tensors, *fixed.values()))
    fixed = {name: v if name.kind == "keep" else roomy(v) for name, v in fixed.items()}
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
    sequences = dict(zip(call.sequences, map(Tensor.contiguous, results), strict=False))
    return cell.State(*map(sequences.get, names)), cell.State(*results[len(sequences) :]) if ends else None


class Program:
    """The kernels of a cell under a variation, emitted and compiled when first asked for."""

    def __init__(self, cell: Cell, variation: Variation) -> None:
        self.derivation = Derivation(cell, variation)
        self.vectors = cell.learned
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
        derivation.heads,
        derivation.projected,
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
        self._place = {name: k for k, name in enumerate(kernel.slots)}

    def run(self, table: Table) -> None:
        self._function(table)

    def table(self, values: Sequence[int]) -> Table:
        return self._table(*values)

    def place(self, name: Name) -> Place:
        """Return where the table has an array."""
        find = self._place.get
        return Place(find(name), find(name._replace(axis="t")), find(name._replace(axis="b")))


class Place(NamedTuple):
    """Where a table of arguments has the address of an array and its distances along time and sequences, if at all."""

    address: int | None
    time: int | None
    sequence: int | None

    def put(self, table: Table, array: Tensor) -> None:
        """Change the array."""
        address, time, sequence = self
        if address is not None:
            table[address] = array.data_ptr()
        if time is not None and sequence is not None:
            table[time], table[sequence], *_ = array.stride()


class MemoryLayout:
    """Where the arrays of a kernel lie at one size, and how its table of arguments is made up; found once.

    kernel: the compiled kernel.
    numbers: arguments that are known, such as T and H.
    room: how many numbers each of the kernel's own arrays has; all of them lie in one allocation of `size` numbers.
    zero: how many arrays, from the first on, must start as zeros.
    """

    def __init__(self, kernel: _Compiled, numbers: Mapping[Name, int], room: Mapping[Name, int], zero: int = 0) -> None:
        whole = [-(-n // ALIGNED) * ALIGNED + emit.SLACK for n in room.values()]
        starts = list(itertools.accumulate(whole, initial=0))
        self.kernel, self.size, self.zero = kernel, starts[-1], starts[zero]
        self.starts, self.room = dict(zip(room, starts, strict=False)), room
        known = {**numbers, **product.addresses()}
        self._template = [known.get(name, 0) for name in kernel.slots]
        self._own = [(k, 4 * self.starts[name]) for k, name in enumerate(kernel.slots) if name in room]
        given = [(k, name) for k, name in enumerate(kernel.slots) if name not in known and name not in room]
        self._strides = [(k, name._replace(axis=""), "tb".index(name.axis)) for k, name in given if name.axis]
        self._given = [(k, name) for k, name in given if not name.axis]

    def table(self, memory: Tensor, arrays: Mapping[Name, Tensor | None]) -> Table:
        """Return the arguments, for its own arrays in `memory` and others by name, of which None has the address 0."""
        values, base = self._template.copy(), memory.data_ptr()
        for k, offset in self._own:
            values[k] = base + offset
        for k, name in self._given:
            array = arrays[name]
            values[k] = 0 if array is None else array.data_ptr()
        for k, name, axis in self._strides:
            array = arrays[name]
            assert array is not None
            values[k] = array.stride(axis)
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

    def width(self, name: str) -> int:
        """Return how many numbers a field of the state or a source has for each sequence: H, or P where projected."""
        return self.cell.size_of(name, self.size[2])

    @property
    def numbers(self) -> dict[Name, int]:
        """Return the arguments of both kernels that are sizes."""
        steps, batch, units = self.size
        projected = self.cell.projected_size(units)
        return {Name("T"): steps, Name("B"): batch, Name("H"): units, Name("P"): projected}

    def name(self, flat: Sequence[V]) -> Tensors[V]:
        derivation = self.program.derivation
        rest = iter(flat[3:])
        groups = (derivation.fields, derivation.operands, self.program.vectors, derivation.variation.below)
        x, weight, bias = flat[:3]
        return Tensors(x, weight, bias, *({name: next(rest) for name in names} for names in groups))

    def shared(self, tensors: Tensors[Tensor]) -> dict[Name, Tensor | None]:
        """Return arrays that both kernels read."""
        arrays: dict[Name, Tensor | None] = {Name("W"): tensors.weight, **self.fixed}
        arrays |= {Name("R", source): v for source, v in tensors.recurrent.items()}
        arrays |= {Name("p", vector): v for vector, v in tensors.vectors.items()}
        arrays |= {Name("below", field): v for field, v in tensors.below.items()}
        return arrays

    def _vectors(self) -> dict[Name, int]:
        """Return the room for copies of vectors and constants."""
        room = emit.rounded(self.size[2])
        return {Name("vector", n): room for n in (*self.program.vectors, *self.program.derivation.variation.constants)}

    def _room_of_heads(self) -> dict[Name, int]:
        """Return the room of the forward kernel for products by head."""
        _, batch, units = self.size
        derivation = self.program.derivation
        inner = units // derivation.heads
        block = inner * product.padded(inner)
        room = {Name("head"): batch * product.padded(inner)}
        room[Name("summed")] = batch * sum(product.padded(m.size * units) for m in derivation.mixes)
        for k, mix in enumerate(derivation.mixes):
            room[Name("headed", str(k))] = mix.size * derivation.heads * len(mix.sources) * block
        return room

    def forward_layout(self, width: int, training: bool, apart: tuple[str, ...]) -> MemoryLayout:
        """Return the layout of the forward kernel for x of `width` columns.

        With training its own arrays are what the backward kernel reads: all states with the first one in front, x where
        it is copied, operands of sources, and what the derivation chose to save. apart: fields whose states are kept in
        memory of their own.
        """
        layouts, key = self.program.layouts, (*self.numbers.values(), width, training, apart)
        if key not in layouts:
            steps, batch, units = self.size
            derivation, rounded = self.program.derivation, emit.rounded(units)
            copies = training and width <= NARROW
            room = {Name("states", n): (steps + 1) * batch * units for n in derivation.fields if n not in apart}
            room |= {Name("operand", n): (steps if training else 1) * batch * rounded for n in self.computed}
            room[Name("saved")] = steps * batch * len(derivation.saved) * rounded if training else 0
            room[Name("inputs")] = steps * batch * (width + 1) if copies else 0
            room[Name("stage")] = len(derivation.saved) * rounded
            room[Name("mix")] = batch * sum(product.padded(m.size * units) for m in derivation.mixes)
            room |= self._vectors()
            if derivation.heads > 1:
                room |= self._room_of_heads()
            for k, mix in enumerate(derivation.mixes):
                whole = len(mix.sources) * units if derivation.heads == 1 else 0
                room[Name("weights", str(k))] = (mix.input * width + whole) * product.padded(mix.size * units)
                room[Name("bias", str(k))] = product.padded(mix.size * units)
            numbers = self.numbers | {Name("I"): width, Name("copies"): int(copies)}
            zero = int(bool(derivation.projected))  # of its pre-activation, the numbers behind the first P
            room = {Name("mix"): room.pop(Name("mix"))} | room if zero else room
            layouts[key] = MemoryLayout(self.program.forward(training), numbers, room, zero)
        return layouts[key]

    def backward_layout(
        self, sequences: tuple[str, ...], finals: tuple[str, ...], width: int, x_wanted: bool
    ) -> MemoryLayout:
        layouts, key = self.program.layouts, (*self.numbers.values(), sequences, finals, width, x_wanted)
        if key not in layouts:
            steps, batch, units = self.size
            step, kernel = self.program.backward(sequences, finals)
            derivation, rounded, padded = self.program.derivation, emit.rounded(units), product.padded(units)
            row = len(derivation.gates) * rounded
            room = {Name("carry", n): batch * padded for n in step.fields}
            room |= {name: rounded for n in step.vectors for name in (Name("part", n), Name("dp", n))}
            room |= {Name("zeros"): padded, Name("nothing"): product.padded(width)}
            inner = units // derivation.heads
            rows = units * product.padded(inner)  # all heads of one gate
            room |= {
                Name("sums", n): units * product.padded(len(heard) * rounded)
                if derivation.heads == 1
                else len(heard) * rows
                for n, heard in derivation.heard_by.items()
            }
            room[Name("sums")] = (width + 1) * product.padded(row)
            zero = len(room)
            chunk = max(1, min(steps, CHUNK_ROWS // batch, CHUNK // (batch * max(1, row))))
            room[Name("dpre")] = chunk * batch * row
            room |= {Name("du", n): batch * padded for n in self.computed}
            room |= {
                Name("packed", n): len(derivation.heard_by[n]) * (units * padded if derivation.heads == 1 else rows)
                for n in derivation.operands
            }
            room[Name("head")] = batch * product.padded(inner) if derivation.heads > 1 else 0
            room[Name("packed")] = len(derivation.input_gates) * units * product.padded(width) if x_wanted else 0
            room |= self._vectors()
            numbers = self.numbers | {Name("I"): width, Name("chunk"): chunk, Name("copies"): int(width <= NARROW)}
            layouts[key] = MemoryLayout(kernel, numbers, room, zero)
        return layouts[key]

    def bind(
        self, tensors: Tensors[Tensor], training: bool, apart: Mapping[str, Tensor]
    ) -> tuple[MemoryLayout, Tensor, Table]:
        """Prepare a forward run.

        tensors: as the kernel reads them.
        training: whether the backward kernel will need what this run computes.
        apart: memory for all states of some fields, [(T + 1) * B * H] and room behind it.

        Returns the layout, its arrays in one allocation, and the table of arguments.
        """
        layout = self.forward_layout(tensors.x.shape[-1], training, tuple(apart))
        memory = tensors.x.new_empty(layout.size)
        if layout.zero > 0:
            memory.narrow(0, 0, layout.zero).zero_()
        arrays = self.shared(tensors)
        arrays |= {Name("given"): tensors.x, Name("x"): self.read_inputs(layout, memory, tensors.x)}
        arrays[Name("b")] = tensors.bias
        arrays |= {Name("state", n): v for n, v in tensors.state.items()}
        arrays |= {Name("states", n): v for n, v in apart.items()}
        return layout, memory, layout.table(memory, arrays)

    def read_inputs(self, layout: MemoryLayout, memory: Tensor, x: Tensor) -> Tensor:
        """Return x as the products read it: copied beside a column of ones where the layout has room for it."""
        if not layout.room[Name("inputs")]:
            return x
        return layout.part(memory, Name("inputs")).view(*x.shape[:2], -1)

    def sequence(self, name: str, memory: Tensor, start: int = 0, steps: int | None = None) -> Tensor:
        """Return the sequence [T, B, H] of a field: all its states but the first, in memory from `start` on.

        name: of the field; of a projected one, [T, B, P] with the strides of [T, B, H].
        steps: T where it is less than that of the call.

        To autograd it is no view, so that it can be changed in place like any output.
        """
        most, batch, units = self.size
        steps = most if steps is None else steps
        row, shape = batch * units, (steps, batch, self.width(name))
        return memory.new_empty(0).set_(memory.untyped_storage(), start + row, shape, (row, units, 1))

    def forward(self, flat: Sequence[Tensor], training: bool) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """Sequences and ends, and what the backward kernel reads besides the tensors: x as it was read, its own arrays,
        states apart.
        """
        steps, batch, units = self.size
        room = (steps + 1) * batch * units + emit.SLACK
        # An output has memory of its own, so that keeping it does not keep the rest.
        apart = {n: flat[0].new_empty(room) for n in self.sequences}
        # alive until the kernel has run, as it knows addresses only
        tensors = self.read(flat, training)
        layout, memory, table = self.bind(tensors, training, apart)
        layout.kernel.run(table)
        states = {n: apart[n] if n in apart else layout.part(memory, Name("states", n)) for n in self.ends}
        last = steps * batch * units
        whole = {n: v[last : last + batch * units].view(batch, units) for n, v in states.items()}
        ends = [v.narrow(1, 0, self.width(n)).clone() for n, v in whole.items()]
        return (*(self.sequence(n, v) for n, v in apart.items()), *ends), [memory, *apart.values()]

    def read(self, flat: Sequence[Tensor], training: bool) -> Tensors[Tensor]:
        """Return the tensors of a call as kernels read them."""
        given = self.name([flat[0], *(plain(t) for t in flat[1:])])
        x = given.x.resolve_neg()
        if x.stride(-1) != 1 or (training and x.shape[-1] > NARROW):
            x = plain(x)
        state = {n: widened(v, self.size[2]) for n, v in given.state.items()}
        return given._replace(x=x, state=_all_roomy(state), below=_all_roomy(given.below))

    def backward(
        self, flat: Sequence[Tensor], kept: Sequence[Tensor], arriving: Sequence[Tensor | None], wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return derivatives by all tensors of the forward call; None where one is not wanted or has no influence.

        kept: what `forward` returned besides its results.
        """
        memory, *apart = kept
        tensors, want = self.read(flat, training=True), self.name(wanted)
        at_sequence = {
            n: rows(widened(d, self.size[2])) for n, d in zip(self.sequences, arriving, strict=False) if d is not None
        }
        at_end = {n: d for n, d in zip(self.ends, arriving[len(self.sequences) :], strict=True) if d is not None}
        targets = Targets(
            torch.zeros_like(tensors.weight),
            torch.zeros_like(tensors.bias),
            {n: torch.zeros_like(v) for n, v in tensors.recurrent.items() if want.recurrent[n]},
            {n: torch.zeros_like(v) for n, v in tensors.vectors.items()},
        )
        states = dict(zip(self.sequences, apart, strict=True))
        back = Back(self, tensors, memory, at_sequence, tuple(at_end), targets, x_wanted=want.x, apart=states)
        back.run(at_end)
        fields, step = self.program.derivation.fields, back.step
        # Copies of what lies in working memory, so that keeping a gradient does not keep that.
        return Tensors[Tensor | None](
            None if back.dx is None else back.dx.contiguous(),
            targets.weight,
            targets.bias,
            {n: back.carry(n).clone() if n in step.fields and want.state[n] else None for n in fields},
            {n: targets.recurrent.get(n) for n in self.program.derivation.operands},
            {n: targets.vectors[n] if n in step.vectors else None for n in self.program.vectors},
            {n: back.below[n].contiguous() if n in back.below else None for n in tensors.below},
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
            {n: fixed[Name("keep", n)][..., : self.width(n)] for n in variation.keep},
            {n: fixed[Name("drop", n)][..., : self.width(n)] for n in variation.drop},
            read=self.sequences,
            final=bool(self.ends),
        )
        sequences, last = eager.run(request)
        return (*(getattr(sequences, n) for n in self.sequences), *(last or ()))


class Targets(NamedTuple):
    """What the derivatives of a call are added to, each contiguous.

    weight: [n * H, I], bias: [G * H], recurrent: by source [n * H, H], without those that are not wanted, vectors: by
    name [H].
    """

    weight: Tensor
    bias: Tensor
    recurrent: Mapping[str, Tensor]
    vectors: Mapping[str, Tensor]


class Back:
    """The backward pass of a call: its memory, arguments and results.

    tensors, kept: as the forward kernel read them, and that one's own arrays.
    arriving: derivatives by sequences, [T, B, H], as `rows` gives them. ends: fields at whose ends derivatives arrive
    in `run`.
    targets: what the derivatives by parameters are added to. apart: states of fields that are not among the forward
    kernel's own arrays.

    Attributes:
        step: what the kernel does in one step.
        dx: the derivative by x, [T, B, I]; None where it is not wanted.
        below: derivatives by the sequences of the layer below, [T, B, H].
    """

    def __init__(
        self,
        call: Call,
        tensors: Tensors[Tensor],
        kept: Tensor,
        arriving: Mapping[str, Tensor],
        ends: tuple[str, ...],
        targets: Targets,
        *,
        x_wanted: bool,
        apart: Mapping[str, Tensor],
    ) -> None:
        steps, batch, units = call.size
        self._call = call
        derivation = call.program.derivation
        x, width = tensors.x, tensors.x.shape[-1]
        self.step, self._kernel = call.program.backward(tuple(arriving), ends)
        self._layout = layout = call.backward_layout(tuple(arriving), ends, width, x_wanted)
        self._memory = memory = x.new_empty(layout.size)
        self._zero = memory.narrow(0, 0, layout.zero)
        below = {n: x.new_empty(steps, batch, emit.rounded(units)) for n in self.step.below}
        self.below = {n: d.narrow(2, 0, units) for n, d in below.items()}
        dx = with_room((steps, batch, product.padded(width)), x) if x_wanted else None
        self.dx = None if dx is None else dx.narrow(2, 0, width)
        arrays = call.shared(tensors)
        arrays |= {Name("dstates", n): d for n, d in arriving.items()}
        arrays |= {Name("dbelow", n): d for n, d in below.items()}
        forward = call.forward_layout(width, True, tuple(apart))
        own = [Name("states", n) for n in derivation.fields if n not in apart]
        for name in (*own, *(Name("operand", n) for n in call.computed), Name("saved")):
            arrays[name] = forward.part(kept, name)
        arrays |= {Name("states", n): v for n, v in apart.items()}
        arrays |= {Name("x"): call.read_inputs(forward, kept, x), Name("dx"): dx}
        arrays |= {Name("dW"): targets.weight, Name("db"): targets.bias}
        arrays |= {Name("dR", n): targets.recurrent.get(n) for n in derivation.operands}
        arrays |= {Name("gradient", n): targets.vectors[n] for n in self.step.vectors}
        self._table = layout.table(memory, arrays)
        self._steps = self._kernel.place(Name("T"))
        self._places = {n: self._kernel.place(n) for n in (Name("x"), *(Name("below", n) for n in tensors.below))}
        self._arrivals = {n: self._kernel.place(Name("dstates", n)) for n in arriving}

    def use(self, name: Name, array: Tensor) -> None:
        """Read x or a sequence from below elsewhere from now on; the caller keeps the array alive."""
        self._places[name].put(self._table, array)

    def arrive(self, name: str, derivative: Tensor) -> None:
        """Read the derivative by the sequence of a field elsewhere from now on, as `use` says."""
        self._arrivals[name].put(self._table, derivative)

    def use_steps(self, steps: int) -> None:
        """Run over the first steps only from now on; the arrays stay as long as they are."""
        if self._steps.address is not None:
            self._table[self._steps.address] = steps

    def carry(self, name: str) -> Tensor:
        """Return the derivative by a field of the state before the first step, [B, H]."""
        whole = self._layout.part(self._memory, Name("carry", name)).view(self._call.size[1], -1)
        return whole.narrow(1, 0, self._call.width(name))

    def run(self, at_end: Mapping[str, Tensor]) -> None:
        """Compute all derivatives, for those that arrive by the state after the last step."""
        self._zero.zero_()
        for n in at_end.keys() & set(self.step.fields):
            self.carry(n).copy_(at_end[n])
        self._kernel.run(self._table)


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
            _strided(t, ctx.call.size) if n.kind == "keep" else roomy(t) for n, t in zip(ctx.names, fixed, strict=True)
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


def roomy(tensor: Tensor) -> Tensor:
    """The same numbers as `plain`, with room behind them, as a kernel that reads whole vectors of units reads on."""
    tensor = plain(tensor)
    return tensor if has_room(tensor) else with_room(tensor.shape, tensor).copy_(tensor)


def rows(tensor: Tensor) -> Tensor:
    """The same numbers as `roomy`, of which only the last axis need be contiguous."""
    return tensor if tensor.stride(-1) == 1 and not tensor.is_neg() and has_room(tensor) else roomy(tensor)


def widened(tensor: Tensor, units: int) -> Tensor:
    """Return numbers of a projected field [..., P] as kernels read them, [..., H] with zeros behind.

    Those of other fields are returned as given.
    """
    width = tensor.shape[-1]
    if width == units:
        return tensor
    made = with_room((*tensor.shape[:-1], units), tensor)
    made.narrow(-1, 0, width).copy_(tensor)
    return made


def has_room(tensor: Tensor) -> bool:
    """Return whether memory of the same allocation follows a tensor, or its rows are whole vectors anyway."""
    if tensor.dim() == 0 or tensor.shape[-1] % emit.LANES == 0:
        return True
    last = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    end = tensor.storage_offset() + last + 1 + emit.LANES
    return tensor.untyped_storage().nbytes() >= end * tensor.element_size()


def with_room(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return zeros, of the type and device of another tensor, with room behind them."""
    count = math.prod(shape)
    return like.new_zeros(count + emit.SLACK, requires_grad=False).narrow(0, 0, count).view(shape)


def _all_roomy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: roomy(t) for n, t in tensors.items()}


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
    each: dict[str, tuple[Mapping[str, Tensor], tuple[int, ...]]] = {
        "inputs": ({"x": tensors.x}, (steps, batch, tensors.x.shape[-1])),
        "W": ({"": tensors.weight}, (sum(g.input for g in gates) * units, tensors.x.shape[-1])),
        "b": ({"": tensors.bias}, (len(gates) * units,)),
        "vector": (tensors.vectors, (units,)),
        "constant": (others["constant"], (units,)),
        "sequence of the layer below": (tensors.below, size),
        "active": (others["active"], (steps, batch)),
    }
    each |= {f"state {n}": ({"": v}, (batch, cell.size_of(n, units))) for n, v in tensors.state.items()}
    for s in cell.sources:
        rows, heard = cell.recurrent_shape(s.gates[0], s.name, units)
        each[f"R of {s.name}"] = {"": tensors.recurrent[s.name]}, (len(s.gates) * rows, heard)
    for what, (group, shape) in each.items():
        for name, tensor in group.items():
            if tensor.shape != shape:
                raise ValueError(
                    f"{cell.title}: {what} {name} must be {list(shape)} for H = {units}, got {list(tensor.shape)}"
                )


def _strided(tensor: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return a tensor as [T, B, H] without copies along axes on which it is the same; it has room behind it."""
    tensor = tensor[(None,) * (3 - tensor.dim())]
    tensor = tensor[:1] if tensor.stride(0) == 0 else tensor
    tensor = tensor[:, :1] if tensor.stride(1) == 0 else tensor
    return roomy(tensor.expand(*tensor.shape[:2], size[2])).expand(size)


def _constants(cell: Cell) -> tuple[str, ...]:
    """Return names of the constants of a cell. They are the same for all sizes, but not every size is valid."""
    for units in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 60, 64, 120, 128, 256, 720, 1024, 5040):
        try:
            cell.validate(units, max(cell.min_layers, 1))
        except ValueError:
            continue
        return tuple(name for name in cell.constants(units) if name not in cell.learned)
    return ()
