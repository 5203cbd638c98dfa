"""Prints derived passes and products as LLVM code: the loop over a whole sequence, forward and backward.

A kernel has one argument, a table of 64-bit integers: sizes, strides and addresses in the order of `Kernel.slots`. Arrays are float32:

    pre, dpre [T, B, G*H]    pre-activations from the input and their derivatives      mix [B, G*H]  the recurrent part of one step
    saved [T, B, S*H]        what the forward kernel keeps for the backward kernel
    operand.x [T, B, H]      what R of source x is multiplied with ([B, H] where nothing is kept)
    state.f [B, H]           first state       out.f [T, B, H]  states             dout.f [T, B, H]   derivatives that arrive at them
    carry.f [B, H]           derivative by the state of the next step, at the end by the first state
    p.v, dp.v, part.v [H]    vectors, their derivatives, and the sum of one step
    below.f, dbelow.f [T, B, H]                                   du.x [B, H]  derivative by an operand
    R.x                      [H, n*H] forward, [n*H, H] backward
    keep.f, drop.x [B, H], active [T, B] bytes

Elementwise code is written with vectors of 8 units (then 4, then 1 for what remains): nothing depends on what a compiler can vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import ir

from .derive import Backward, BackwardProduct, Derivation, Product
from .elementwise import FLOAT, Elementwise

WIDTHS = (8, 4, 1)
LONG = ir.IntType(64)
BYTE = ir.IntType(8)
POINTER = ir.PointerType(FLOAT)
SGEMM = ir.FunctionType(ir.VoidType(), [ir.PointerType(BYTE)] * 13)
ENTRY = "kernel"


class Kernel(NamedTuple):
    """Code of a kernel, and the names of what it expects in its table of arguments."""

    code: str
    slots: tuple[str, ...]


class Place(NamedTuple):
    """Where one value per unit is in this time step: address for the first sequence of the batch, and the distance to the next."""

    address: ir.Value
    stride: ir.Value


class Write(NamedTuple):
    """A node's value and the place where it is stored, or added to what is there."""

    place: Place
    node: int
    add: bool = False


Leaves = Mapping[int, tuple[Place, ...]]
"""Nodes that are read from memory; their value is the sum over the places."""


class _Emitter:
    """What both kernels need: arguments, loops, elementwise passes and products."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation, self.graph, self.variation = derivation, derivation.graph, derivation.variation
        self.fields = derivation.fields
        self.module = ir.Module(name=ENTRY)
        self.function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [LONG.as_pointer()]), ENTRY)
        # Arguments are read in the block `entry` when the code that follows first asks for them.
        self.entry = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.build = ir.IRBuilder(self.function.append_basic_block("start"))
        self._slots: dict[str, ir.Value] = {}
        self._known: dict[tuple[str, object], ir.Value] = {}
        self.steps, self.batch, self.units = self.slot("T"), self.slot("B"), self.slot("H")
        self.time: ir.Value = LONG(0)

    def finish(self) -> Kernel:
        self.build.ret_void()
        self.entry.branch(self.function.basic_blocks[1])
        return Kernel(str(self.module), tuple(self._slots))

    # Arguments and addresses -----------------------------------------------------------------------------------------------

    def slot(self, name: str) -> ir.Value:
        """An argument by name."""
        if name not in self._slots:
            self._slots[name] = self.entry.load(self.entry.gep(self.function.args[0], [LONG(len(self._slots))], inbounds=True))
        return self._slots[name]

    def pointer(self, name: str) -> ir.Value:
        """The address of an array by name."""
        return self._once("pointer", name, lambda: self.entry.inttoptr(self.slot(name), POINTER))

    def times_units(self, count: int) -> ir.Value:
        """A number of units: count * H."""
        return self._once("units", count, lambda: self.entry.mul(self.units, LONG(count)))

    def place(self, name: str, slots: int = 1, slot: int = 0, moves: bool = False) -> Place:
        """The place of an array [B, slots * H], or [T, B, slots * H] if it moves with time."""
        address = self.pointer(name)
        if moves:
            row = self._once("row", slots, lambda: self.entry.mul(self.times_units(slots), self.batch))
            address = self.build.gep(address, [self.build.mul(self.time, row)], inbounds=True)
        if slot:
            address = self.build.gep(address, [self.times_units(slot)], inbounds=True)
        return Place(address, self.times_units(slots))

    def previous(self, field: str) -> Place:
        """The place of the previous state."""
        first = self.build.icmp_signed("==", self.time, LONG(0))
        before = self.build.mul(self.build.sub(self.time, LONG(1)), self.build.mul(self.batch, self.units))
        address = self.build.select(first, self.pointer(f"state.{field}"), self.build.gep(self.pointer(f"out.{field}"), [before]))
        return Place(address, self.units)

    def common_leaves(self) -> dict[int, tuple[Place, ...]]:
        """Inputs that both kernels read in the same way."""
        leaves: dict[int, tuple[Place, ...]] = {}
        for name in sorted(self._inputs()):
            kind, _, rest = name.partition(".")
            node = self.graph.input(name)
            if kind == "s":
                leaves[node] = (self.previous(rest),)
            elif kind == "p":
                leaves[node] = (Place(self.pointer(name), LONG(0)),)
            elif kind == "below":
                leaves[node] = (self.place(name, moves=True),)
            elif kind == "drop":
                leaves[node] = (self.place(name),)
            elif kind == "keep":
                offset = self.build.mul(self.time, self.slot(f"{name}.t"))
                leaves[node] = (Place(self.build.gep(self.pointer(name), [offset]), self.slot(f"{name}.b")),)
        return leaves

    def _inputs(self) -> set[str]:
        return {str(arguments[0]) for operation, arguments in self.graph.nodes if operation == "input"}

    def _once(self, kind: str, key: object, make: Callable[[], ir.Value]) -> ir.Value:
        if (kind, key) not in self._known:
            self._known[kind, key] = make()
        return self._known[kind, key]

    # Loops -----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        before = self.build.block
        head, body, end = (self.function.append_basic_block(name) for name in ("head", "body", "end"))
        self.build.branch(head)
        self.build.position_at_end(head)
        index = self.build.phi(LONG)
        index.add_incoming(start, before)
        self.build.cbranch(self.build.icmp_signed("<", index, stop), body, end)
        self.build.position_at_end(body)
        yield index
        index.add_incoming(self.build.add(index, LONG(step)), self.build.block)
        self.build.branch(head)
        self.build.position_at_end(end)

    def lanes(self, body: Callable[[ir.Value, int], None]) -> None:
        """Run over all units of one row, `width` at a time."""
        start: ir.Value = LONG(0)
        for width in WIDTHS:
            stop = self.units if width == 1 else self._once("lanes", width, lambda w=width: self.entry.and_(self.units, LONG(-w)))
            with self.loop(start, stop, width) as index:
                body(index, width)
            start = stop

    # Elementwise passes ----------------------------------------------------------------------------------------------------

    def elementwise(self, leaves: Leaves, writes: Sequence[Write], inactive: Sequence[Write] = ()) -> None:
        """Compute nodes for all sequences and units of a step and write them; for sequences that are not active something else."""
        with self.loop(LONG(0), self.batch) as b:
            if not self.variation.active:
                self._row(b, leaves, writes)
                return
            address = self.entry.inttoptr(self.slot("active"), ir.PointerType(BYTE))
            flag = self.build.load(self.build.gep(address, [self.build.add(self.build.mul(self.time, self.batch), b)]))
            with self.build.if_else(self.build.icmp_unsigned("!=", flag, BYTE(0))) as (then, otherwise):
                with then:
                    self._row(b, leaves, writes)
                with otherwise:
                    self._row(b, leaves, inactive)

    def _row(self, b: ir.Value, leaves: Leaves, writes: Sequence[Write]) -> None:
        def row(place: Place) -> ir.Value:
            return self.build.gep(place.address, [self.build.mul(b, place.stride)], inbounds=True)

        reads = {node: [row(place) for place in leaves[node]] for node in self._read(leaves, [w.node for w in writes])}
        targets = [row(w.place) for w in writes]

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
                        assert not isinstance(arguments[0], str)
                        values[node] = math.constant(arguments[0])
                    else:
                        values[node] = math.apply(operation, [value(n) for n in self.graph.operands(node)])
                return values[node]

            results = [value(w.node) for w in writes]
            for write, target, result in zip(writes, targets, results, strict=True):
                if write.add:
                    result = math.apply("add", [self.load(target, h, math), result])
                self.store(result, target, h, math)

        self.lanes(body)

    def _read(self, leaves: Leaves, nodes: Sequence[int]) -> list[int]:
        """Leaves that nodes are computed from."""
        reached: set[int] = set()
        stack = list(nodes)
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                if node not in leaves:
                    assert self.graph.nodes[node][0] != "input", f"{self.graph.nodes[node][1][0]} is used where it is not known"
                    stack.extend(self.graph.operands(node))
        return sorted(node for node in reached if node in leaves)

    def load(self, address: ir.Value, h: ir.Value, math: Elementwise) -> ir.Value:
        place = self.build.bitcast(self.build.gep(address, [h], inbounds=True), math.floats.as_pointer())
        return self.build.load(place, align=4)

    def store(self, value: ir.Value, address: ir.Value, h: ir.Value, math: Elementwise) -> None:
        place = self.build.bitcast(self.build.gep(address, [h], inbounds=True), math.floats.as_pointer())
        self.build.store(value, place, align=4)

    # Products --------------------------------------------------------------------------------------------------------------

    def product(
        self, rows: int, inner: int, matrix: ir.Value, stride: int, operand: Place, target: Place, add: bool, columns: int = 0
    ) -> None:
        """target[b, :] (+)= matrix * operand[b, :] for all b, by the BLAS; sizes and the matrix's stride are multiples of H.

        The matrix is stored by columns; the first `columns` * H of its rows are left out.
        """
        if columns:
            matrix = self.build.gep(matrix, [self.times_units(columns)], inbounds=True)
        function = self._once("sgemm", None, lambda: self.entry.inttoptr(self.slot("sgemm"), SGEMM.as_pointer()))
        arguments = [
            *(self._stacked(BYTE(ord("N"))),) * 2,
            self._stacked(self.times_units(rows)),
            self._stacked(self.batch),
            self._stacked(self.times_units(inner)),
            self._stacked(FLOAT(1.0)),
            matrix,
            self._stacked(self.times_units(stride)),
            operand.address,
            self._stacked(operand.stride),
            self._stacked(FLOAT(1.0 if add else 0.0)),
            target.address,
            self._stacked(target.stride),
        ]
        self.build.call(function, [self.build.bitcast(a, ir.PointerType(BYTE)) for a in arguments])

    def _stacked(self, value: ir.Value) -> ir.Value:
        """The address of a copy of a value: Fortran takes everything by address; an integer of 64 bits serves where 32 are read."""

        def make() -> ir.Value:
            place = self.entry.alloca(value.type)
            self.entry.store(value, place)
            return place

        return self._once("stacked", str(value), make)


def forward(derivation: Derivation, training: bool) -> Kernel:
    """The kernel that runs a cell over a sequence; with training it keeps what the backward kernel needs."""
    emit = _Emitter(derivation)
    with emit.loop(LONG(0), emit.steps) as emit.time:
        _forward_step(emit, derivation, training)
    return emit.finish()


def _forward_step(emit: _Emitter, derivation: Derivation, training: bool) -> None:
    graph, gates = emit.graph, derivation.gates
    width = len(gates)
    leaves = emit.common_leaves()
    saved = derivation.saved if training else ()
    unsaved = list(saved)
    mixed: set[int] = set()
    for item in derivation.schedule:
        if isinstance(item, Product):
            name = derivation.state_operands.get(item.source)
            operand = emit.previous(name) if name is not None else emit.place(f"operand.{item.source}", moves=training)
            numbers = range(item.first, item.first + item.count)
            for first, count in _runs(numbers, mixed):
                target = emit.place("mix", width, first)
                emit.product(
                    count,
                    1,
                    emit.pointer(f"R.{item.source}"),
                    len(derivation.heard_by[item.source]),
                    operand,
                    target,
                    first in mixed,
                    first - item.first,
                )
            mixed.update(numbers)
            continue
        # Pre-activations whose products are not all done are read here too, but only by what waits for them.
        for k, gate in enumerate(gates):
            parts = [emit.place("pre", width, k, moves=True), emit.place("mix", width, k)]
            leaves.setdefault(graph.input(f"a.{gate}"), tuple(parts[: 2 if derivation.hears[gate] else 1]))
        writes, inactive = [], []
        for source in item.operands:
            target = emit.place(f"operand.{source}", moves=training)
            writes.append(Write(target, derivation.operands[source]))
            inactive.append(Write(target, graph.constant(0.0)))
        if not item.operands:
            for name in emit.fields:
                target = emit.place(f"out.{name}", moves=True)
                writes.append(Write(target, derivation.step.outputs[name]))
                inactive.append(Write(target, graph.input(f"s.{name}")))
        now = [n for n in unsaved if not item.operands or n in derivation.reach(w.node for w in writes)]
        places = {n: emit.place("saved", len(saved), saved.index(n), moves=True) for n in now}
        emit.elementwise(leaves, [*writes, *(Write(place, n) for n, place in places.items())], inactive)
        unsaved = [n for n in unsaved if n not in now]
        leaves.update({n: (place,) for n, place in places.items()})
        leaves.update({derivation.operands[s]: (w.place,) for s, w in zip(item.operands, writes, strict=False)})


def _runs(numbers: range, done: set[int]) -> list[tuple[int, int]]:
    """Neighbours (first, count) that are all done, or all not."""
    runs: list[tuple[int, int]] = []
    for n in numbers:
        if runs and (n in done) == (n - 1 in done):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((n, 1))
    return runs


def backward(derivation: Derivation, step: Backward, sequences: Sequence[str]) -> Kernel:
    """The kernel that takes derivatives by states and final state back to pre-activations, vectors, first state and layer below."""
    emit = _Emitter(derivation)
    with emit.loop(LONG(0), emit.steps) as index:
        emit.time = emit.build.sub(emit.build.sub(emit.steps, LONG(1)), index)
        _backward_step(emit, derivation, step, sequences)
    return emit.finish()


def _backward_step(emit: _Emitter, derivation: Derivation, step: Backward, sequences: Sequence[str]) -> None:
    graph, gates = emit.graph, derivation.gates
    width = len(gates)
    zero = graph.constant(0.0)
    leaves = emit.common_leaves()
    for name in emit.fields:
        leaves[derivation.step.outputs[name]] = (emit.place(f"out.{name}", moves=True),)
    for source, node in derivation.operands.items():
        if source not in derivation.state_operands:
            leaves[node] = (emit.place(f"operand.{source}", moves=True),)
            leaves[graph.input(f"d.u.{source}")] = (emit.place(f"du.{source}"),)
    for k, node in enumerate(derivation.saved):
        leaves[node] = (emit.place("saved", len(derivation.saved), k, moves=True),)
    for name in step.fields:
        arriving = (emit.place(f"dout.{name}", moves=True),) if name in sequences else ()
        leaves[graph.input(f"d.{name}")] = (emit.place(f"carry.{name}"), *arriving)

    for item in step.items:
        if isinstance(item, BackwardProduct):
            source, first, count = item.product
            target = emit.place(f"carry.{item.field}" if item.field is not None else f"du.{source}")
            emit.product(1, count, emit.pointer(f"R.{source}"), 1, emit.place("dpre", width, first, moves=True), target, item.add)
            continue
        writes, inactive = [], []
        for store in item.stores:
            kind, _, name = store.target.partition(".")
            if kind == "p":
                writes.append(Write(Place(emit.pointer(f"part.{name}"), LONG(0)), store.node, True))
                continue
            if kind == "a":
                target = emit.place("dpre", width, gates.index(name), moves=True)
            else:
                target = emit.place(f"carry.{name}") if kind == "s" else emit.place(f"dbelow.{name}", moves=True)
            writes.append(Write(target, store.node, store.add))
            if kind == "s" and not item.forward.operands:
                inactive.append(Write(target, graph.input(f"d.{name}")))
            elif not store.add:
                inactive.append(Write(target, zero))
        emit.elementwise(leaves, writes, inactive)
    _sum_parts(emit, step.vectors)


def _sum_parts(emit: _Emitter, names: Sequence[str]) -> None:
    """Add the sum of this step to the derivative of each vector: in two levels, as a plain sum over all steps loses digits."""

    def body(h: ir.Value, width: int) -> None:
        math = Elementwise(emit.build, width)
        for name in names:
            part, whole = emit.pointer(f"part.{name}"), emit.pointer(f"dp.{name}")
            emit.store(math.apply("add", [emit.load(whole, h, math), emit.load(part, h, math)]), whole, h, math)
            emit.store(math.constant(0.0), part, h, math)

    if names:
        emit.lanes(body)
