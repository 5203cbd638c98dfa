"""Writes derived passes and products as LLVM code: the loop over a whole sequence, forward and backward.

A kernel has one argument, a table of 64-bit integers: sizes, strides and addresses in the order of `Kernel.slots`.
Arrays are float32:

    x [T, B, X], W [n*H, I], b [G*H]     input in the first I columns, weights and bias
    R.x [n*H, H]                         recurrent weights of the n gates that hear source x
    state.f [B, H], states.f [T+1, B, H] a field of the state: the first one, and all
    p.v [H], below.f [T, B, H]           vectors, and sequences of the layer below
    keep.f, drop.x [B, H], active [T, B] zoneout with its strides, dropout, and bytes
    operand.x [T, B, H]                  what R of source x is multiplied with ([B, H] where nothing is kept)
    saved [T, B, S*H]                    what the forward kernel keeps for the backward kernel
    dstates.f [T, B, H]                  derivatives that arrive at the states
    dpre [stop-start, B, G*H]            derivatives by the pre-activations of the steps that the backward kernel runs
    over carry.f [B, H']                      derivative by the state of the next step, at the end by the first state
    dbelow.f [T, B, H], dp.v, part.v [H] derivatives by the layer below and by vectors, and the sum of one step
    weights.k, bias.k, mix, packed.x, du.x, zeros [H']    room for packed matrices and for what one step computes

with H' the room for whole panels. Elementwise code is written with vectors of 16 units (then 8, 4 and 1 for what
remains): nothing depends on what a compiler can vectorise. A processor with registers of 8 numbers runs two such halves
side by side, which hides their waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from llvmlite import ir

from ..ir.derive import Backward, BackwardProduct, Derivation, Known, Mix
from ..ir.names import Name
from . import product
from .elementwise import Elementwise
from .product import LONG, POINTER, loop

WIDTHS = (16, 8, 4, 1)
BYTE = ir.IntType(8)
ENTRY = "kernel"


class Kernel(NamedTuple):
    """Code of a kernel, and the names of what it expects in its table of arguments."""

    code: str
    slots: tuple[Name, ...]


class Place(NamedTuple):
    """Where one value per unit is in this time step: address for the first sequence of the batch, and the distance to
    the next.
    """

    address: ir.Value
    stride: ir.Value


class Write(NamedTuple):
    """A node's value and the place where it is stored, or added to what is there."""

    place: Place
    node: int
    add: bool = False


class Operand(NamedTuple):
    """A factor of a product: K numbers per sequence."""

    place: Place
    inner: ir.Value


class Matrix(NamedTuple):
    """A matrix of K rows, and the distances of its rows and columns."""

    rows: ir.Value
    address: ir.Value
    row_stride: ir.Value
    column_stride: ir.Value


Leaves = Mapping[int, tuple[Place, ...]]
"""Nodes that are read from memory; their value is the sum over the places."""


class _Emitter:
    """What both kernels need: arguments, elementwise passes and products.

    Instructions go to two blocks at once. `build` writes the code of the loops, from the block `start` on. `entry`
    writes into the block before it, which runs once: arguments, addresses and sizes are computed there, at the moment
    when the code of a loop first asks for them (`once`). So everything in `entry` is known wherever `build` stands, and
    nothing of it is computed again in a loop. `finish` closes `entry` by a jump to `start`.
    """

    def __init__(self, derivation: Derivation) -> None:
        self.derivation, self.graph, self.variation = derivation, derivation.graph, derivation.variation
        self.fields = derivation.fields
        self.module = ir.Module(name=ENTRY)
        self.function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [LONG.as_pointer()]), ENTRY)
        self.entry = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.build = ir.IRBuilder(self.function.append_basic_block("start"))
        self._slots: dict[Name, ir.Value] = {}
        self._known: dict[tuple[str, object], ir.Value] = {}
        self.batch, self.units = self.slot(Name("B")), self.slot(Name("H"))
        self.time: ir.Value = LONG(0)

    def finish(self) -> Kernel:
        self.build.ret_void()
        self.entry.branch(self.function.basic_blocks[1])
        return Kernel(str(self.module), tuple(self._slots))

    # Arguments and addresses
    # -----------------------------------------------------------------------------------------------

    def slot(self, name: Name) -> ir.Value:
        """Return an argument by name."""
        if name not in self._slots:
            self._slots[name] = self.entry.load(
                self.entry.gep(self.function.args[0], [LONG(len(self._slots))], inbounds=True)
            )
        return self._slots[name]

    def pointer(self, name: Name) -> ir.Value:
        """Return the address of an array by name."""
        return self.once("pointer", name, lambda: self.entry.inttoptr(self.slot(name), POINTER))

    def times_units(self, count: int) -> ir.Value:
        """count * H."""
        return self.once("units", count, lambda: self.entry.mul(self.units, LONG(count)))

    def padded_units(self, count: int) -> ir.Value:
        """Return the room for count * H columns of a product."""

        def make() -> ir.Value:
            return self.entry.and_(
                self.entry.add(self.times_units(count), LONG(product.PANEL - 1)), LONG(-product.PANEL)
            )

        return self.once("padded", count, make)

    def place(self, name: Name, slots: int = 1, slot: int = 0, time: ir.Value | None = None) -> Place:
        """Return the place of an array [B, slots * H], or [T, B, slots * H] at a time."""
        address = self.pointer(name)
        if time is not None:
            row = self.once("row", slots, lambda: self.entry.mul(self.times_units(slots), self.batch))
            address = self.build.gep(address, [self.build.mul(time, row)], inbounds=True)
        if slot:
            address = self.build.gep(address, [self.times_units(slot)], inbounds=True)
        return Place(address, self.times_units(slots))

    def now(self, name: Name, slots: int = 1, slot: int = 0) -> Place:
        """Return the place of an array [T, B, slots * H] in this time step."""
        return self.place(name, slots, slot, self.time)

    def padded(self, name: Name) -> Place:
        """Return the place of an array [B, H']."""
        return Place(self.pointer(name), self.padded_units(1))

    def state(self, field: str, after: int) -> Place:
        """Return the place of the state before (0) or after (1) this time step."""
        return self.place(Name("states", field), time=self.build.add(self.time, LONG(after)))

    def common_leaves(self) -> dict[int, tuple[Place, ...]]:
        """Inputs that both kernels read in the same way."""
        leaves: dict[int, tuple[Place, ...]] = {}
        for name in sorted(self.graph.inputs()):
            node = self.graph.input(name)
            match name.kind:
                case "s":
                    leaves[node] = (self.state(name.of, 0),)
                case "p":
                    leaves[node] = (Place(self.pointer(name), LONG(0)),)
                case "below":
                    leaves[node] = (self.now(name),)
                case "drop":
                    leaves[node] = (self.place(name),)
                case "keep":
                    offset = self.build.mul(self.time, self.slot(name._replace(axis="t")))
                    address = self.build.gep(self.pointer(name), [offset])
                    leaves[node] = (Place(address, self.slot(name._replace(axis="b"))),)
        return leaves

    def once(self, kind: str, key: object, make: Callable[[], ir.Value]) -> ir.Value:
        """Return a value that is computed in `entry`, the first time it is asked for."""
        if (kind, key) not in self._known:
            self._known[kind, key] = make()
        return self._known[kind, key]

    # Elementwise passes
    # ----------------------------------------------------------------------------------------------------

    def lanes(self, body: Callable[[ir.Value, int], None]) -> None:
        """Run over all units of one row, `width` at a time."""
        start: ir.Value = LONG(0)
        for width in WIDTHS:
            stop = self.once("lanes", width, partial(self.entry.and_, self.units, LONG(-width)))
            with loop(self.build, start, stop, width) as index:
                body(index, width)
            start = stop

    def elementwise(self, leaves: Leaves, writes: Sequence[Write], inactive: Sequence[Write] = ()) -> None:
        """Compute nodes for all sequences and units of a step and write them; for sequences that are not active
        something else.
        """
        with loop(self.build, LONG(0), self.batch) as b:
            if not self.variation.active:
                self.row(b, leaves, writes)
                return
            address = self.entry.inttoptr(self.slot(Name("active")), ir.PointerType(BYTE))
            flag = self.build.load(self.build.gep(address, [self.build.add(self.build.mul(self.time, self.batch), b)]))
            with self.build.if_else(self.build.icmp_unsigned("!=", flag, BYTE(0))) as (then, otherwise):
                with then:
                    self.row(b, leaves, writes)
                with otherwise:
                    self.row(b, leaves, inactive)

    def row(self, b: ir.Value, leaves: Leaves, writes: Sequence[Write]) -> None:
        """Compute nodes for all units of one sequence and write them."""

        def at(place: Place) -> ir.Value:
            return self.build.gep(place.address, [self.build.mul(b, place.stride)], inbounds=True)

        reads = {node: [at(place) for place in leaves[node]] for node in self._read(leaves, [w.node for w in writes])}
        targets = [at(w.place) for w in writes]

        def body(h: ir.Value, width: int) -> None:
            math = Elementwise(self.build, width)
            values: dict[int, ir.Value] = {}

            def value(node: int) -> ir.Value:
                if node not in values:
                    operation, arguments = self.graph.nodes[node]
                    if node in reads:
                        parts = [self.load(address, h, math) for address in reads[node]]
                        values[node] = parts[0] if len(parts) == 1 else math.apply("add", parts)
                    elif operation == "constant":
                        assert isinstance(arguments[0], float | bool)
                        values[node] = math.constant(arguments[0])
                    else:
                        values[node] = math.apply(operation, [value(n) for n in self.graph.operands(node)])
                return values[node]

            results = [value(w.node) for w in writes]
            for write, target, result in zip(writes, targets, results, strict=True):
                total = math.apply("add", [self.load(target, h, math), result]) if write.add else result
                self.store(total, target, h, math)

        self.lanes(body)

    def _read(self, leaves: Leaves, nodes: Sequence[int]) -> list[int]:
        """Return leaves that nodes are computed from."""
        reached: set[int] = set()
        stack = list(nodes)
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                if node not in leaves:
                    assert self.graph.name(node) is None, f"{self.graph.name(node)} is used where it is not known"
                    stack.extend(self.graph.operands(node))
        return sorted(node for node in reached if node in leaves)

    def load(self, address: ir.Value, h: ir.Value, math: Elementwise) -> ir.Value:
        place = self.build.bitcast(self.build.gep(address, [h], inbounds=True), math.floats.as_pointer())
        return self.build.load(place, align=4)

    def store(self, value: ir.Value, address: ir.Value, h: ir.Value, math: Elementwise) -> None:
        place = self.build.bitcast(self.build.gep(address, [h], inbounds=True), math.floats.as_pointer())
        self.build.store(value, place, align=4)

    # Products
    # --------------------------------------------------------------------------------------------------------------

    def product(self, columns: int, operands: Sequence[Operand], packed: Name, init: Place, target: Place) -> None:
        """target = init + operands * packed, for columns * H columns."""
        function = self.entry.inttoptr(self.slot(Name("product")), product.PRODUCT.as_pointer())
        table = self.once(
            "table", len(operands), lambda: self.entry.alloca(LONG, max(1, len(operands)) * product.OPERAND)
        )
        inner: ir.Value = LONG(0)
        for k, operand in enumerate(operands):
            description = (self.build.ptrtoint(operand.place.address, LONG), operand.place.stride, operand.inner)
            for n, value in enumerate(description):
                self.build.store(value, self.build.gep(table, [LONG(k * product.OPERAND + n)]))
            inner = self.build.add(inner, operand.inner)
        self.build.call(
            function,
            [
                self.batch,
                self.times_units(columns),
                table,
                LONG(len(operands)),
                inner,
                self.pointer(packed),
                *init,
                *target,
            ],
        )

    def pack(self, columns: ir.Value, inner: ir.Value, start: ir.Value, matrix: Matrix, packed: Name) -> None:
        """Put a matrix into a packed matrix from row `start` on."""
        function = self.entry.inttoptr(self.slot(Name("pack")), product.PACK.as_pointer())
        self.build.call(function, [columns, inner, start, *matrix, self.pointer(packed)])


def forward(derivation: Derivation, training: bool) -> Kernel:
    """Return the kernel that runs a cell over a sequence; with training it keeps what the backward kernel needs."""
    emit = _Emitter(derivation)
    _pack_weights(emit, derivation)
    for name in emit.fields:
        node = emit.graph.input(Name("s", name))
        with loop(emit.build, LONG(0), emit.batch) as b:
            emit.row(b, {node: (emit.place(Name("state", name)),)}, [Write(emit.state(name, 0), node)])
    with loop(emit.build, LONG(0), emit.slot(Name("T"))) as emit.time:
        _forward_step(emit, derivation, training)
    return emit.finish()


def _forward_step(emit: _Emitter, derivation: Derivation, training: bool) -> None:
    graph = emit.graph
    mixes = derivation.mixes
    row = emit.once("mix", None, partial(_sum, emit, [emit.padded_units(m.size) for m in mixes]))
    leaves = emit.common_leaves()
    saved = derivation.saved if training else ()
    unsaved = list(saved)
    for item in derivation.schedule:
        if isinstance(item, Known):
            continue
        if isinstance(item, Mix):
            k = mixes.index(item)
            start = emit.once("mix", k, partial(_sum, emit, [emit.padded_units(m.size) for m in mixes[:k]]))
            target = Place(emit.build.gep(emit.pointer(Name("mix")), [start]), row)
            operands = []
            if item.input:
                row_of_x = emit.slot(Name("X"))
                step = emit.build.mul(emit.build.mul(emit.time, emit.batch), row_of_x)
                address = emit.build.gep(emit.pointer(Name("x")), [step])
                operands.append(Operand(Place(address, row_of_x), emit.slot(Name("I"))))
            for source in item.sources:
                name = derivation.state_operands.get(source)
                place = (
                    emit.state(name, 0)
                    if name is not None
                    else emit.place(Name("operand", source), time=emit.time if training else None)
                )
                operands.append(Operand(place, emit.units))
            bias = Place(emit.pointer(Name("bias", str(k))), LONG(0))
            emit.product(item.size, operands, Name("weights", str(k)), bias, target)
            for n, gate in enumerate(derivation.gates_of(item)):
                mixed = Place(emit.build.gep(target.address, [emit.times_units(n)]), row)
                leaves[graph.input(Name("a", gate))] = (mixed,)
            continue
        writes, inactive = [], []
        for source in item.operands:
            place = emit.place(Name("operand", source), time=emit.time if training else None)
            writes.append(Write(place, derivation.operands[source]))
            inactive.append(Write(place, graph.constant(0.0)))
        if not item.operands:
            for name in emit.fields:
                place = emit.state(name, 1)
                writes.append(Write(place, derivation.new(name)))
                inactive.append(Write(place, graph.input(Name("s", name))))
        reached = derivation.reach(w.node for w in writes)
        places = {
            n: emit.now(Name("saved"), len(saved), saved.index(n)) for n in unsaved if n in reached or not item.operands
        }
        emit.elementwise(leaves, [*writes, *(Write(place, n) for n, place in places.items())], inactive)
        unsaved = [n for n in unsaved if n not in places]
        leaves.update({n: (place,) for n, place in places.items()})
        for source, write in zip(item.operands, writes, strict=False):
            if derivation.is_kept(derivation.operands[source]):
                leaves[derivation.operands[source]] = (write.place,)


def _pack_weights(emit: _Emitter, derivation: Derivation) -> None:
    """Put W, R and b in the form that the products of a step read; on the way columns become rows."""
    for k, mix in enumerate(derivation.mixes):
        columns = emit.times_units(mix.size)
        matrices = []
        if mix.input:
            width = emit.slot(Name("I"))
            before = derivation.input_gates.index(derivation.gates[mix.first])
            address = emit.build.gep(emit.pointer(Name("W")), [emit.build.mul(emit.times_units(before), width)])
            matrices.append(Matrix(width, address, LONG(1), width))
        for source in mix.sources:
            before = mix.first - derivation.gates.index(derivation.heard_by[source][0])
            address = emit.build.gep(
                emit.pointer(Name("R", source)), [emit.build.mul(emit.times_units(before), emit.units)]
            )
            matrices.append(Matrix(emit.units, address, LONG(1), emit.units))
        inner = _sum(emit, [m.rows for m in matrices])
        start: ir.Value = LONG(0)
        for matrix in matrices:
            emit.pack(columns, inner, start, matrix, Name("weights", str(k)))
            start = emit.build.add(start, matrix.rows)
        address = emit.build.gep(emit.pointer(Name("b")), [emit.times_units(mix.first)])
        emit.pack(columns, LONG(1), LONG(0), Matrix(LONG(1), address, LONG(0), LONG(1)), Name("bias", str(k)))


def _sum(emit: _Emitter, values: Sequence[ir.Value]) -> ir.Value:
    total: ir.Value = LONG(0)
    for value in values:
        total = emit.entry.add(total, value)
    return total


def backward(derivation: Derivation, step: Backward, sequences: Sequence[str]) -> Kernel:
    """Return the kernel that takes derivatives back through the steps from `stop` - 1 down to `start`.

    sequences: fields of the state at whose sequences derivatives arrive.
    """
    emit = _Emitter(derivation)
    start, stop = emit.slot(Name("start")), emit.slot(Name("stop"))
    _pack_recurrent(emit, derivation, step)
    with loop(emit.build, LONG(0), emit.entry.sub(stop, start)) as index:
        emit.time = emit.build.sub(emit.build.sub(stop, LONG(1)), index)
        _backward_step(emit, derivation, step, sequences, emit.build.sub(emit.time, start))
    return emit.finish()


def _pack_recurrent(emit: _Emitter, derivation: Derivation, step: Backward) -> None:
    """Pack R once, for the steps that come first: the last ones."""
    with emit.build.if_then(emit.build.icmp_signed("==", emit.slot(Name("stop")), emit.slot(Name("T")))):
        for item in step.items:
            if isinstance(item, BackwardProduct):
                rows = emit.times_units(len(derivation.heard_by[item.source]))
                matrix = Matrix(rows, emit.pointer(Name("R", item.source)), emit.units, LONG(1))
                emit.pack(emit.units, rows, LONG(0), matrix, Name("packed", item.source))


def _backward_step(
    emit: _Emitter, derivation: Derivation, step: Backward, sequences: Sequence[str], index: ir.Value
) -> None:
    graph, gates = emit.graph, derivation.gates
    width = len(gates)
    leaves = emit.common_leaves()
    for name in emit.fields:
        if derivation.is_kept(derivation.new(name)):
            leaves[derivation.new(name)] = (emit.state(name, 1),)
    for source, node in derivation.operands.items():
        if source not in derivation.state_operands:
            if derivation.is_kept(node):
                leaves[node] = (emit.now(Name("operand", source)),)
            leaves[graph.input(Name("d.u", source))] = (emit.padded(Name("du", source)),)
    for k, node in enumerate(derivation.saved):
        leaves[node] = (emit.now(Name("saved"), len(derivation.saved), k),)
    for name in step.fields:
        arriving = (emit.now(Name("dstates", name)),) if name in sequences else ()
        leaves[graph.input(Name("d.new", name))] = (emit.padded(Name("carry", name)), *arriving)

    for item in step.items:
        if isinstance(item, BackwardProduct):
            heard = derivation.heard_by[item.source]
            target = emit.padded(Name("du", item.source) if item.field is None else Name("carry", item.field))
            init = target if item.add else Place(emit.pointer(Name("zeros")), LONG(0))
            place = emit.place(Name("dpre"), width, gates.index(heard[0]), index)
            operand = Operand(place, emit.times_units(len(heard)))
            emit.product(1, [operand], Name("packed", item.source), init, target)
            continue
        writes, inactive = [], []
        for store in item.stores:
            kind, of, _ = store.target
            if kind == "p":
                writes.append(Write(Place(emit.pointer(Name("part", of)), LONG(0)), store.node, True))
                continue
            if kind == "a":
                place = emit.place(Name("dpre"), width, gates.index(of), index)
            else:
                place = emit.padded(Name("carry", of)) if kind == "s" else emit.now(Name("dbelow", of))
            writes.append(Write(place, store.node, store.add))
            if kind == "s" and not item.forward.operands:
                inactive.append(Write(place, graph.input(Name("d.new", of))))
            elif not store.add:
                inactive.append(Write(place, graph.constant(0.0)))
        emit.elementwise(leaves, writes, inactive)
    _sum_parts(emit, step.vectors)


def _sum_parts(emit: _Emitter, names: Sequence[str]) -> None:
    """Add the sum of this step to the derivative of each vector: in two levels, as a plain sum over all steps loses
    digits.
    """

    def body(h: ir.Value, width: int) -> None:
        math = Elementwise(emit.build, width)
        for name in names:
            part, whole = emit.pointer(Name("part", name)), emit.pointer(Name("dp", name))
            emit.store(math.apply("add", [emit.load(whole, h, math), emit.load(part, h, math)]), whole, h, math)
            emit.store(math.constant(0.0), part, h, math)

    if names:
        emit.lanes(body)
