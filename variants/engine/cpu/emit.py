"""Writes derived passes and products as LLVM code: the loop over a whole sequence, forward and backward.

A kernel has one argument, a table of 64-bit integers: sizes, strides and addresses in the order of `Kernel.slots`.
Arrays are float32. In both kernels:

    x [T, B, I], W [n*H, I], b [G*H]     input with strides of its own, weights and bias
    R.x [n*H, H]                         recurrent weights of the n gates that hear source x
    states.f [T+1, B, H]                 all states of a field, the first one in front
    p.v [H], below.f [T, B, H]           vectors, and sequences of the layer below
    keep.f, drop.x [B, H], active [T, B] zoneout with its strides, dropout, and bytes
    operand.x [T, B, H']                 what R of source x is multiplied with ([B, H'] where nothing is kept)
    saved [T, B, S*H']                   what the forward kernel keeps for the backward kernel
    inputs [T, B, I+1]                   x with a column of ones; there where `copies` is 1, else nothing is copied

Forward, besides: given (what x is copied from), state.f [B, H], the first one.
Backward, besides:

    dstates.f [T, B, H]                  derivatives that arrive at the states, with strides of their own
    carry.f [B, H"]                      derivative by the state of the next step, at the end by the first state
    dpre [chunk*B, G*H']                 derivatives by the pre-activations of `chunk` steps
    sums.x [H, n*H'], sums [I+1, G*H']   derivatives by R, and by W and b, the other way round, over all steps
    dp.v, part.v [H']                    derivative by a vector, and the sum of one step
    dW, db, dR.x, gradient.v             what the derivatives are added to in the end
    dbelow.f [T, B, H'], dx [T*B, I"]    derivatives by the layer below; `dx` is 0 where nobody wants it

Room of their own for packed matrices and for what one step computes: weights.k, bias.k, mix, stage, vector.v, packed.x,
packed, du.x [B, H"], zeros [H"].

Where R is made of heads, each product with it is made by head, D = H / heads columns at a time, by way of `head`
[B, D"], as a product writes whole panels. Then R.x is [n*H, D]; headed.k and packed.x hold a packed matrix for each
head (and gate); mix is what comes from W and b alone, and `summed` is the whole; sums.x is [n, heads, D, D"].

A projected field has P numbers, as has its gate: R.x is [P, H] for that gate, and [n*H, P] for what hears the field.
Only products know this. Elementwise code runs over H numbers of both, and what stands behind the first P of a row has
no influence on them.

Elementwise code is written with vectors of 16 units, and of 8 for the last ones; nothing depends on what a compiler can
vectorise. A processor with registers of 8 numbers runs two halves of 16 side by side, which hides their waiting. The
last vector of a row may reach up to 7 numbers behind its end. H' is H with room for whole vectors, H" with room for
whole panels of products. Where rows of H numbers follow each other, what is written behind a row is overwritten by the
next one, and behind the last row there is room: `SLACK` numbers that belong to the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from llvmlite import ir

from ..ir.derive import Backward, BackwardProduct, Derivation, Known, Mix
from ..ir.names import Kind, Name
from . import product
from .elementwise import Elementwise
from .product import LONG, POINTER, loop

WIDEST, LANES = 16, 8
"""Units of a vector of elementwise code, and of the last vector of a row where few units are left."""
SLACK = 16
"""Numbers behind every array that kernels may read, and the elementwise code of the forward kernel may write."""
BYTE = ir.IntType(8)
ENTRY = "kernel"


def rounded(units: int) -> int:
    """Return the room that one number per unit needs: whole vectors."""
    return units + -units % LANES


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

    def size(self, name: str) -> ir.Value:
        """Return how many numbers a field of the state, a gate or a source has: P where it is projected, else H."""
        return self.slot(Name("P")) if name and name == self.derivation.projected else self.units

    def columns(self, gates: Sequence[str]) -> ir.Value:
        """Return how many columns of a product the pre-activations of some gates are; a projected one is alone."""
        if self.derivation.projected in gates:
            return self.slot(Name("P"))
        return self.times_units(len(gates))

    def rounded_units(self, count: int) -> ir.Value:
        """count * H', with H' the room for whole vectors."""

        def make() -> ir.Value:
            room = self.entry.and_(self.entry.add(self.units, LONG(LANES - 1)), LONG(-LANES))
            return self.entry.mul(room, LONG(count))

        return self.once("rounded", count, make)

    def padded_units(self, count: int) -> ir.Value:
        """Return the room for count * H columns of a product."""
        return self.panels(self.times_units(count))

    def panels(self, columns: ir.Value) -> ir.Value:
        """Return the room that a row of a product needs: whole panels. `columns` must be known in `entry`."""

        def make() -> ir.Value:
            return self.entry.and_(self.entry.add(columns, LONG(product.PANEL - 1)), LONG(-product.PANEL))

        return self.once("panels", columns, make)

    def place(self, name: Name, time: ir.Value | None = None) -> Place:
        """Return the place of an array [B, H], or [T, B, H] at a time."""
        return self._row(name, self.units, time)

    def slot_place(self, name: Name, slots: int = 1, slot: int = 0, time: ir.Value | None = None) -> Place:
        """Return the place of one slot in an array [B, slots * H'], or [T, B, slots * H'] at a time."""
        address, stride = self._row(name, self.rounded_units(slots), time)
        return Place(self.build.gep(address, [self.rounded_units(slot)], inbounds=True), stride)

    def _row(self, name: Name, stride: ir.Value, time: ir.Value | None) -> Place:
        address = self.pointer(name)
        if time is not None:
            step = self.once("step", stride, lambda: self.entry.mul(stride, self.batch))
            address = self.build.gep(address, [self.build.mul(time, step)], inbounds=True)
        return Place(address, stride)

    def now(self, name: Name) -> Place:
        """Return the place of an array [T, B, H] in this time step."""
        return self.place(name, self.time)

    def strided(self, name: Name) -> Place:
        """Return the place in this time step of an array whose distances along both axes are arguments."""
        offset = self.build.mul(self.time, self.slot(name._replace(axis="t")))
        address = self.build.gep(self.pointer(name), [offset], inbounds=True)
        return Place(address, self.slot(name._replace(axis="b")))

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
                    leaves[node] = (Place(self.pointer(Name("vector", name.of)), LONG(0)),)
                case "below":
                    leaves[node] = (self.now(name),)
                case "drop":
                    leaves[node] = (self.place(name),)
                case "keep":
                    leaves[node] = (self.strided(name),)
        return leaves

    def once(self, kind: str, key: object, make: Callable[[], ir.Value]) -> ir.Value:
        """Return a value that is computed in `entry`, the first time it is asked for."""
        if (kind, key) not in self._known:
            self._known[kind, key] = make()
        return self._known[kind, key]

    # Elementwise passes
    # ----------------------------------------------------------------------------------------------------

    def copy_vectors(self) -> None:
        """Copy vectors and constants, behind whose ends nothing may be read, to where there is room for it."""
        for name in sorted(self.graph.inputs()):
            if name.kind == "p":
                source, target = self.pointer(name), self.pointer(Name("vector", name.of))
                with loop(self.build, LONG(0), self.units) as h:
                    self.build.store(self.build.load(self.build.gep(source, [h])), self.build.gep(target, [h]))

    def lanes(self, body: Callable[[ir.Value, int], None]) -> None:
        """Run over all units of one row: by 16, and by 8 where no more than 8 are left."""

        def make() -> ir.Value:
            return self.entry.and_(self.entry.add(self.units, LONG(WIDEST - LANES - 1)), LONG(-WIDEST))

        stop = self.once("lanes", WIDEST, make)
        with loop(self.build, LONG(0), stop, WIDEST) as index:
            body(index, WIDEST)
        with loop(self.build, stop, self.units, LANES) as index:
            body(index, LANES)

    def elementwise(
        self,
        leaves: Leaves,
        writes: Sequence[Write],
        inactive: Sequence[Write] = (),
        first: Sequence[Write] = (),
    ) -> None:
        """Compute nodes for all sequences and units of a step and write them.

        inactive: what is written instead for sequences that are not active.
        first: what is written for all units of a sequence before the rest is computed from it. So the long chains of
            operations of the gates and of the new state do not wait for each other.
        """
        later = {**leaves, **{w.node: (w.place,) for w in first}}

        def active(b: ir.Value) -> None:
            if first:
                self.row(b, leaves, first)
            self.row(b, later, writes)

        with loop(self.build, LONG(0), self.batch) as b:
            if not self.variation.active:
                active(b)
                return
            with self.build.if_else(self.is_active(self.time, b)) as (then, otherwise):
                with then:
                    active(b)
                with otherwise:
                    self.row(b, leaves, inactive)

    def is_active(self, time: ir.Value, b: ir.Value) -> ir.Value:
        """Return whether a step is within the length of a sequence."""
        name = Name("active")
        address = self.once("bytes", name, lambda: self.entry.inttoptr(self.slot(name), ir.PointerType(BYTE)))
        flag = self.build.load(self.build.gep(address, [self.build.add(self.build.mul(time, self.batch), b)]))
        return self.build.icmp_unsigned("!=", flag, BYTE(0))

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

    def product(
        self,
        rows: ir.Value,
        columns: ir.Value,
        operands: Sequence[Operand],
        packed: ir.Value,
        init: Place,
        target: Place,
    ) -> None:
        """target = init + operands * packed."""
        table = self.once(
            "table", len(operands), lambda: self.entry.alloca(LONG, max(1, len(operands)) * product.OPERAND)
        )
        inner: ir.Value = LONG(0)
        for k, operand in enumerate(operands):
            description = (self.build.ptrtoint(operand.place.address, LONG), operand.place.stride, operand.inner)
            for n, value in enumerate(description):
                self.build.store(value, self.build.gep(table, [LONG(k * product.OPERAND + n)]))
            inner = self.build.add(inner, operand.inner)
        factors = (table, LONG(len(operands)), inner, packed)
        self.call("product", product.PRODUCT, [rows, columns, *factors, *init, *target])

    def pack(self, columns: ir.Value, inner: ir.Value, start: ir.Value, matrix: Matrix, packed: ir.Value) -> None:
        """Put a matrix into a packed matrix from row `start` on."""
        self.call("pack", product.PACK, [columns, inner, start, *matrix, packed])

    # Products by head
    # -----------------------------------------------------------------------------------------------------------

    @property
    def inner(self) -> ir.Value:
        """Return D = H / heads, how many units one head has."""
        return self.once("inner", None, lambda: self.entry.sdiv(self.units, LONG(self.derivation.heads)))

    def block(self) -> ir.Value:
        """Return the room of a packed matrix of one head, [D, D"]."""
        return self.once("block", None, lambda: self.entry.mul(self.inner, self.panels(self.inner)))

    def part(self, place: Place, head: ir.Value) -> Place:
        """Return the place of the units of one head."""
        return place._replace(address=self.build.gep(place.address, [self.build.mul(head, self.inner)], inbounds=True))

    def product_of_head(self, operands: Sequence[Place], packed: ir.Value, init: Place, target: Place) -> None:
        """target = init + operands * packed, for the D units of one head of each."""
        build = self.build
        result = Place(self.pointer(Name("head")), self.panels(self.inner))
        self.product(self.batch, self.inner, [Operand(p, self.inner) for p in operands], packed, init, result)
        whole = build.and_(self.inner, LONG(-LANES))
        vector = ir.VectorType(product.FLOAT, LANES).as_pointer()
        with loop(build, LONG(0), self.batch) as b:
            source, goal = (build.gep(p.address, [build.mul(b, p.stride)], inbounds=True) for p in (result, target))
            with loop(build, LONG(0), whole, LANES) as h:
                here, there = (build.bitcast(build.gep(v, [h], inbounds=True), vector) for v in (source, goal))
                build.store(build.load(here, align=4), there, align=4)
            with loop(build, whole, self.inner) as h:
                build.store(build.load(build.gep(source, [h])), build.gep(goal, [h]))

    def call(self, name: Kind, kind: ir.FunctionType, arguments: Sequence[ir.Value]) -> None:
        """Call a compiled function whose address stands in the table."""
        function = self.once("function", name, lambda: self.entry.inttoptr(self.slot(Name(name)), kind.as_pointer()))
        self.build.call(function, arguments)


def forward(derivation: Derivation, training: bool) -> Kernel:
    """Return the kernel that runs a cell over a sequence; with training it keeps what the backward kernel needs."""
    emit = _Emitter(derivation)
    emit.copy_vectors()
    _pack_weights(emit, derivation)
    if training:
        _copy_inputs(emit)
    for name in emit.fields:
        node = emit.graph.input(Name("s", name))
        with loop(emit.build, LONG(0), emit.batch) as b:
            emit.row(b, {node: (emit.place(Name("state", name)),)}, [Write(emit.state(name, 0), node)])
    with loop(emit.build, LONG(0), emit.slot(Name("T"))) as emit.time:
        _forward_step(emit, derivation, training)
    return emit.finish()


def _copy_inputs(emit: _Emitter) -> None:
    """Copy x and put a column of ones beside it, where the table asks for it."""
    build, width, given = emit.build, emit.slot(Name("I")), Name("given")
    row = emit.entry.add(width, LONG(1))
    with (
        build.if_then(build.icmp_signed("!=", emit.slot(Name("copies")), LONG(0))),
        loop(build, LONG(0), emit.slot(Name("T"))) as t,
        loop(build, LONG(0), emit.batch) as b,
    ):
        far = (build.mul(n, emit.slot(given._replace(axis=axis))) for n, axis in ((t, "t"), (b, "b")))
        source = build.gep(emit.pointer(given), [build.add(*far)])
        target = build.gep(emit.pointer(Name("inputs")), [build.mul(build.add(build.mul(t, emit.batch), b), row)])
        with loop(build, LONG(0), width) as k:
            number = build.load(build.gep(source, [k]))
            if emit.variation.active:  # what stands behind the end of a sequence may be NaN
                number = build.select(emit.is_active(t, b), number, ir.Constant(product.FLOAT, 0.0))
            build.store(number, build.gep(target, [k]))
        build.store(ir.Constant(product.FLOAT, 1.0), build.gep(target, [width]))


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
                operands.append(Operand(emit.strided(Name("x")), emit.slot(Name("I"))))
            heard = []
            for source in item.sources:
                name = derivation.state_operands.get(source)
                place = (
                    emit.state(name, 0)
                    if name is not None
                    else emit.slot_place(Name("operand", source), time=emit.time if training else None)
                )
                heard.append(place)
            if derivation.heads == 1:
                operands += [Operand(place, emit.size(n)) for n, place in zip(item.sources, heard, strict=True)]
            bias = Place(emit.pointer(Name("bias", str(k))), LONG(0))
            packed = emit.pointer(Name("weights", str(k)))
            columns = emit.columns(derivation.gates_of(item))
            emit.product(emit.batch, columns, operands, packed, bias, target)
            if derivation.heads > 1 and heard:
                whole = Place(emit.build.gep(emit.pointer(Name("summed")), [start]), row)
                _add_heads(emit, item, k, heard, target, whole)
                target = whole
            for n, gate in enumerate(derivation.gates_of(item)):
                mixed = Place(emit.build.gep(target.address, [emit.times_units(n)]), row)
                leaves[graph.input(Name("a", gate))] = (mixed,)
            continue
        writes, inactive = [], []
        for source in item.operands:
            place = emit.slot_place(Name("operand", source), time=emit.time if training else None)
            writes.append(Write(place, derivation.operands[source]))
            inactive.append(Write(place, graph.constant(0.0)))
        if not item.operands:
            for name in emit.fields:
                place = emit.state(name, 1)
                writes.append(Write(place, derivation.new(name)))
                inactive.append(Write(place, graph.input(Name("s", name))))
        reached = derivation.reach(w.node for w in writes)
        places = {
            n: emit.slot_place(Name("saved"), len(saved), saved.index(n), emit.time)
            for n in unsaved
            if n in reached or not item.operands
        }
        first = {} if item.operands else _first(emit, derivation, writes, places, training)
        rest = [Write(place, n) for n, place in places.items() if n not in first]
        emit.elementwise(leaves, [*writes, *rest], inactive, [Write(place, n) for n, place in first.items()])
        unsaved = [n for n in unsaved if n not in places]
        leaves.update({n: (place,) for n, place in places.items()})
        for source, write in zip(item.operands, writes, strict=False):
            if derivation.is_kept(derivation.operands[source]):
                leaves[derivation.operands[source]] = (write.place,)


def _add_heads(emit: _Emitter, mix: Mix, k: int, heard: Sequence[Place], init: Place, target: Place) -> None:
    """Add the products with R to pre-activations, gate by gate and head by head.

    heard: what R is multiplied with. init: the rest of the sum, at the same place as `target`.
    """
    build, heads = emit.build, emit.derivation.heads
    for n in range(mix.size):
        before, after = (p._replace(address=build.gep(p.address, [emit.times_units(n)])) for p in (init, target))
        with loop(build, LONG(0), LONG(heads)) as head:
            number = build.add(head, LONG(n * heads))
            offset = build.mul(number, build.mul(emit.block(), LONG(len(heard))))
            packed = build.gep(emit.pointer(Name("headed", str(k))), [offset])
            operands = [emit.part(place, head) for place in heard]
            emit.product_of_head(operands, packed, emit.part(before, head), emit.part(after, head))


def _first(
    emit: _Emitter, derivation: Derivation, writes: Sequence[Write], places: Mapping[int, Place], training: bool
) -> dict[int, Place]:
    """Return what a pass computes first for all units of a sequence: what is saved of its gates, with its place.

    Without training nothing is saved, and the same nodes stand in one row of memory for the moment.
    """
    graph, outputs = derivation.graph, {w.node for w in writes}
    reached = derivation.reach(outputs)
    nodes = [
        n
        for n in derivation.saved
        if graph.name(n) is None and n in reached and derivation.reach([n]).isdisjoint(outputs)
    ]
    if training:
        return {n: places[n] for n in nodes if n in places}
    room = (emit.slot_place(Name("stage"), len(derivation.saved), k) for k in range(len(nodes)))
    return {n: place._replace(stride=LONG(0)) for n, place in zip(nodes, room, strict=False)}


def _pack_weights(emit: _Emitter, derivation: Derivation) -> None:
    """Put W, R and b in the form that the products of a step read; on the way columns become rows."""
    for k, mix in enumerate(derivation.mixes):
        columns = emit.columns(derivation.gates_of(mix))
        matrices = []
        if mix.input:
            width = emit.slot(Name("I"))
            before = derivation.input_gates.index(derivation.gates[mix.first])
            address = emit.build.gep(emit.pointer(Name("W")), [emit.build.mul(emit.times_units(before), width)])
            matrices.append(Matrix(width, address, LONG(1), width))
        for source in mix.sources if derivation.heads == 1 else ():
            before = mix.first - derivation.gates.index(derivation.heard_by[source][0])
            heard = emit.size(source)
            address = emit.build.gep(emit.pointer(Name("R", source)), [emit.build.mul(emit.times_units(before), heard)])
            matrices.append(Matrix(heard, address, LONG(1), heard))
        inner = _sum(emit, [m.rows for m in matrices])
        start: ir.Value = LONG(0)
        for matrix in matrices:
            emit.pack(columns, inner, start, matrix, emit.pointer(Name("weights", str(k))))
            start = emit.build.add(start, matrix.rows)
        address = emit.build.gep(emit.pointer(Name("b")), [emit.times_units(mix.first)])
        bias = Matrix(LONG(1), address, LONG(0), LONG(1))
        emit.pack(columns, LONG(1), LONG(0), bias, emit.pointer(Name("bias", str(k))))
        if derivation.heads > 1:
            _pack_heads(emit, mix, k)


def _pack_heads(emit: _Emitter, mix: Mix, k: int) -> None:
    """Put R in the form that the products of each gate and head read; on the way columns become rows."""
    build, derivation, inner = emit.build, emit.derivation, emit.inner
    size = build.mul(inner, LONG(len(mix.sources)))
    for j, source in enumerate(mix.sources):
        before = mix.first - derivation.gates.index(derivation.heard_by[source][0])
        for n in range(mix.size):
            matrices = build.gep(emit.pointer(Name("R", source)), [build.mul(emit.times_units(before + n), inner)])
            with loop(build, LONG(0), LONG(derivation.heads)) as head:
                address = build.gep(matrices, [build.mul(head, build.mul(inner, inner))])
                offset = build.mul(build.add(head, LONG(n * derivation.heads)), emit.block())
                packed = build.gep(emit.pointer(Name("headed", str(k))), [build.mul(offset, LONG(len(mix.sources)))])
                matrix = Matrix(inner, address, LONG(1), inner)
                emit.pack(inner, size, build.mul(inner, LONG(j)), matrix, packed)


def _sum(emit: _Emitter, values: Sequence[ir.Value]) -> ir.Value:
    total: ir.Value = LONG(0)
    for value in values:
        total = emit.entry.add(total, value)
    return total


def backward(derivation: Derivation, step: Backward, sequences: Sequence[str]) -> Kernel:
    """Return the kernel that takes derivatives back through all steps and adds them to those by the parameters.

    sequences: fields of the state at whose sequences derivatives arrive.
    """
    emit = _Emitter(derivation)
    build = emit.build
    steps, chunk = emit.slot(Name("T")), emit.slot(Name("chunk"))
    emit.copy_vectors()
    _pack_recurrent(emit, derivation, step)
    with loop(build, LONG(0), steps, chunk) as done:
        stop = build.sub(steps, done)
        start = build.sub(stop, chunk)
        start = build.select(build.icmp_signed("<", start, LONG(0)), LONG(0), start)
        with loop(build, LONG(0), build.sub(stop, start)) as index:
            emit.time = build.sub(build.sub(stop, LONG(1)), index)
            _backward_step(emit, derivation, step, sequences, build.sub(emit.time, start))
        emit.time = start
        _products_of_chunk(emit, derivation, build.mul(build.sub(stop, start), emit.batch))
    _add_gradients(emit, derivation, step)
    return emit.finish()


def _pack_recurrent(emit: _Emitter, derivation: Derivation, step: Backward) -> None:
    """Pack R for the products of a step, and W for the derivative by x where that is wanted."""
    for item in step.items:
        if isinstance(item, BackwardProduct):
            rows, heard = emit.columns(derivation.heard_by[item.source]), emit.size(item.source)
            packed = emit.pointer(Name("packed", item.source))
            if derivation.heads > 1:
                _pack_heads_backward(emit, item.source, packed)
                continue
            matrix = Matrix(rows, emit.pointer(Name("R", item.source)), heard, LONG(1))
            emit.pack(heard, rows, LONG(0), matrix, packed)
    with emit.build.if_then(emit.build.icmp_signed("!=", emit.slot(Name("dx")), LONG(0))):
        rows, width = emit.times_units(len(derivation.input_gates)), emit.slot(Name("I"))
        matrix = Matrix(rows, emit.pointer(Name("W")), width, LONG(1))
        emit.pack(width, rows, LONG(0), matrix, emit.pointer(Name("packed")))


def _pack_heads_backward(emit: _Emitter, source: str, packed: ir.Value) -> None:
    """Pack R of a source, for each head the blocks of all gates one under the other."""
    build, inner, heads = emit.build, emit.inner, emit.derivation.heads
    gates = len(emit.derivation.heard_by[source])
    rows = build.mul(inner, LONG(gates))
    for n in range(gates):
        matrices = build.gep(emit.pointer(Name("R", source)), [build.mul(emit.times_units(n), inner)])
        with loop(build, LONG(0), LONG(heads)) as head:
            address = build.gep(matrices, [build.mul(head, build.mul(inner, inner))])
            target = build.gep(packed, [build.mul(head, build.mul(emit.block(), LONG(gates)))])
            emit.pack(inner, rows, build.mul(inner, LONG(n)), Matrix(inner, address, inner, LONG(1)), target)


def _gates(emit: _Emitter, derivation: Derivation, gates: Sequence[str], time: ir.Value | None) -> list[Operand]:
    """Return the derivatives by the pre-activations of some gates, as operands of a product."""
    every = derivation.gates
    places = (emit.slot_place(Name("dpre"), len(every), every.index(gate), time) for gate in gates)
    return [Operand(place, emit.size(gate)) for gate, place in zip(gates, places, strict=True)]


def _products_of_chunk(emit: _Emitter, derivation: Derivation, rows: ir.Value) -> None:
    """Add up the derivatives by R, W and b over the steps of a chunk, and compute those by x.

    rows: how many sequences of all these steps there are. `emit.time` is the first one of the steps.
    """
    build, gates, width = emit.build, derivation.gates, emit.slot(Name("I"))
    row = emit.rounded_units(len(gates))

    def outer(u: Place, count: ir.Value, first: int, size: int, sums: ir.Value) -> None:
        done = emit.slot_place(Name("dpre"), len(gates), first)
        columns = emit.rounded_units(size)
        arguments = (*u, columns, *done, sums, emit.panels(columns))
        emit.call("outer", product.OUTER, [rows, count, *arguments])

    for source, heard in derivation.heard_by.items():
        name = derivation.state_operands.get(source)
        u = emit.state(name, 0) if name is not None else emit.slot_place(Name("operand", source), time=emit.time)
        if derivation.heads > 1:
            _outer_by_head(emit, source, u, rows)
            continue
        outer(u, emit.size(source), gates.index(heard[0]), len(heard), emit.pointer(Name("sums", source)))
    if not gates:
        return
    sums, copies = emit.pointer(Name("sums")), emit.slot(Name("copies"))
    outer(emit.strided(Name("x")), build.add(width, copies), 0, len(gates), sums)
    with build.if_then(build.icmp_signed("==", copies, LONG(0))):
        one = emit.once("one", None, lambda: emit.entry.alloca(product.FLOAT))
        build.store(ir.Constant(product.FLOAT, 1.0), one)
        bias = build.gep(sums, [build.mul(width, emit.panels(row))])
        outer(Place(one, LONG(0)), LONG(1), 0, len(gates), bias)
    with build.if_then(build.icmp_signed("!=", emit.slot(Name("dx")), LONG(0))):
        stride = emit.panels(width)
        offset = build.mul(build.mul(emit.time, emit.batch), stride)
        target = Place(build.gep(emit.pointer(Name("dx")), [offset]), stride)
        zeros = Place(emit.pointer(Name("nothing")), LONG(0))
        packed = emit.pointer(Name("packed"))
        emit.product(rows, width, _gates(emit, derivation, derivation.input_gates, None), packed, zeros, target)


def _outer_by_head(emit: _Emitter, source: str, u: Place, rows: ir.Value) -> None:
    """Add up the derivatives by R of a source, gate by gate and head by head."""
    build, derivation, inner = emit.build, emit.derivation, emit.inner
    for n, gate in enumerate(derivation.heard_by[source]):
        done = emit.slot_place(Name("dpre"), len(derivation.gates), derivation.gates.index(gate))
        with loop(build, LONG(0), LONG(derivation.heads)) as head:
            arguments = (*emit.part(u, head), inner, *emit.part(done, head))
            sums = _sums_of_head(emit, source, n, head)
            emit.call("outer", product.OUTER, [rows, inner, *arguments, sums, emit.panels(inner)])


def _sums_of_head(emit: _Emitter, source: str, gate: int, head: ir.Value) -> ir.Value:
    """Return where the derivatives by R of one gate, a number, and one head are added up, [D, D"]."""
    number = emit.build.add(head, LONG(gate * emit.derivation.heads))
    return emit.build.gep(emit.pointer(Name("sums", source)), [emit.build.mul(number, emit.block())])


def _add_gradients(emit: _Emitter, derivation: Derivation, step: Backward) -> None:
    """Add the derivatives, of which the sums hold the other way round, to where they are wanted."""
    build, gates, width = emit.build, derivation.gates, emit.slot(Name("I"))

    def spread(rows: ir.Value, gate: str, source: ir.Value, size: int, slot: int, target: ir.Value) -> None:
        first = build.gep(source, [emit.rounded_units(slot)])
        stride = emit.panels(emit.rounded_units(size))
        emit.call("spread", product.SPREAD, [rows, emit.size(gate), first, stride, target])

    for source, heard in derivation.heard_by.items():
        wanted = build.icmp_signed("!=", emit.slot(Name("dR", source)), LONG(0))
        with build.if_then(wanted):
            for k in range(len(heard)):
                if derivation.heads > 1:
                    _add_gradient_of_heads(emit, source, k)
                    continue
                rows = emit.size(source)
                target = build.gep(emit.pointer(Name("dR", source)), [build.mul(emit.times_units(k), rows)])
                spread(rows, heard[k], emit.pointer(Name("sums", source)), len(heard), k, target)
    if gates:
        sums = emit.pointer(Name("sums"))
        bias = build.gep(sums, [build.mul(width, emit.panels(emit.rounded_units(len(gates))))])
        for k, gate in enumerate(gates):
            spread(LONG(1), gate, bias, len(gates), k, build.gep(emit.pointer(Name("db")), [emit.times_units(k)]))
        for n, gate in enumerate(derivation.input_gates):
            target = build.gep(emit.pointer(Name("dW")), [build.mul(emit.times_units(n), width)])
            spread(width, gate, sums, len(gates), gates.index(gate), target)
    for name in step.vectors:
        target = emit.pointer(Name("gradient", name))
        emit.call("spread", product.SPREAD, [LONG(1), emit.units, emit.pointer(Name("dp", name)), LONG(0), target])


def _add_gradient_of_heads(emit: _Emitter, source: str, gate: int) -> None:
    """Add the derivatives by R of one gate, a number, to where they are wanted."""
    build, inner = emit.build, emit.inner
    first = build.gep(emit.pointer(Name("dR", source)), [build.mul(emit.times_units(gate), inner)])
    with loop(build, LONG(0), LONG(emit.derivation.heads)) as head:
        target = build.gep(first, [build.mul(head, build.mul(inner, inner))])
        sums = _sums_of_head(emit, source, gate, head)
        emit.call("spread", product.SPREAD, [inner, inner, sums, emit.panels(inner), target])


def _backward_step(
    emit: _Emitter, derivation: Derivation, step: Backward, sequences: Sequence[str], index: ir.Value
) -> None:
    graph, build, gates = emit.graph, emit.build, derivation.gates
    width = len(gates)
    leaves = emit.common_leaves()
    for name in emit.fields:
        if derivation.is_kept(derivation.new(name)):
            leaves[derivation.new(name)] = (emit.state(name, 1),)
    for source, node in derivation.operands.items():
        if source not in derivation.state_operands:
            if derivation.is_kept(node):
                leaves[node] = (emit.slot_place(Name("operand", source), time=emit.time),)
            leaves[graph.input(Name("d.u", source))] = (emit.padded(Name("du", source)),)
    for k, node in enumerate(derivation.saved):
        leaves[node] = (emit.slot_place(Name("saved"), len(derivation.saved), k, emit.time),)
    for name in step.fields:
        arriving = (emit.strided(Name("dstates", name)),) if name in sequences else ()
        leaves[graph.input(Name("d.new", name))] = (emit.padded(Name("carry", name)), *arriving)

    for item in step.items:
        if isinstance(item, BackwardProduct):
            heard = derivation.heard_by[item.source]
            target = emit.padded(Name("du", item.source) if item.field is None else Name("carry", item.field))
            init = target if item.add else Place(emit.pointer(Name("zeros")), LONG(0))
            operands = _gates(emit, derivation, heard, index)
            packed = emit.pointer(Name("packed", item.source))
            if derivation.heads == 1:
                emit.product(emit.batch, emit.size(item.source), operands, packed, init, target)
                continue
            with loop(build, LONG(0), LONG(derivation.heads)) as head:
                block = build.gep(packed, [build.mul(head, build.mul(emit.block(), LONG(len(heard))))])
                parts = [emit.part(operand.place, head) for operand in operands]
                emit.product_of_head(parts, block, emit.part(init, head), emit.part(target, head))
            continue
        writes, inactive = [], []
        for store in item.stores:
            kind, of, _ = store.target
            if kind == "p":
                writes.append(Write(Place(emit.pointer(Name("part", of)), LONG(0)), store.node, True))
                continue
            if kind == "a":
                place = emit.slot_place(Name("dpre"), width, gates.index(of), index)
            elif kind == "s":
                place = emit.padded(Name("carry", of))
            else:
                place = emit.slot_place(Name("dbelow", of), time=emit.time)
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
