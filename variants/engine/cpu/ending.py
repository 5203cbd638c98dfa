"""The end of an update in compiled code: from the states that are read to the loss, and back to their derivatives.

With N = K * B answers of O numbers each, from P sequences of states:

    answer[n, o] = bias[o] + sum over p, h of weight[o, p * H + h] * sequence_p[read_p[n], h]
    loss = scale * sum over n (and o) of weights[n] * loss(answer[n], target[n])

A kernel runs over chunks of answers, which stay in the processor's cache from the gathered states to their derivatives.
The three products (answers, derivative by the weight, derivative by the states) are those of `product`. Answers are
computed in columns: the loss runs over 16 answers side by side, so that the classes of an answer are not summed over
lanes. What a product needs in the other order is transposed in blocks of 8 x 8.

    gathered: panels of 16 units, each [CHUNK, 16]       turned: panels of 16 answers, each [P * H, 16]
    answers:  O rows       n
              o  +---------+---------+
                 | 8 lanes | 8 lanes |  one instruction for 16 answers
                 +---------+---------+
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from llvmlite import ir
from torch import Tensor

from ..ir.names import Name
from . import machine, product
from .elementwise import Elementwise
from .product import FLOAT, INT, LANES, LONG, OPERAND, PANEL, POINTER, loop, padded

LOSSES = ("squared_error", "logistic_squared_error", "cross_entropy", "binary_cross_entropy")
"""The squared errors, the second one of the sigmoids of the answers, and binary cross-entropy (of logits) have targets
of the shape of the answers, float32 [K, B, O]; cross-entropy (of logits) has classes, int64 [K, B].
"""
CHUNK = 96  # answers at a time: whole tiles of 6 rows, whole vectors of 16 lanes
WIDE = 16
DOUBLE = ir.DoubleType()
FLOATS = ir.VectorType(FLOAT, WIDE)
DOUBLES = ir.VectorType(DOUBLE, WIDE)
INTS = ir.VectorType(INT, WIDE)
VECTOR = ir.VectorType(FLOAT, LANES)
ENTRY = "ending"
ARGUMENTS = (
    *("T", "B", "H", "O", "P", "N"),  # sizes; N = K * B
    *("product", "pack"),  # functions
    *("weight", "bias", "weight_gradient", "bias_gradient"),
    *("targets", "target_k", "target_b", "target_o", "weights", "weight_k", "weight_b"),  # addresses and strides
    *("answers", "distance", "rows"),  # [O, N'] with the distance of its rows, and [P, N] addresses of derivatives
    *("gathered", "turned", "columns", "derivative", "arriving", "wanted", "classes", "factors"),  # of a chunk
    *("packed", "init", "sum", "zeros", "missing", "nowhere"),
)
"""Names of the first numbers in a table of arguments; behind them stand `SEQUENCE` numbers for each sequence (address,
address of derivatives, address and strides of the steps read) and the description of one operand."""
SEQUENCE = 5


class Rows(NamedTuple):
    """Address of the first row of a matrix, and the distance to the next."""

    address: ir.Value
    stride: ir.Value


class Operand(NamedTuple):
    """A factor of a product: K numbers in each row."""

    address: ir.Value
    stride: ir.Value
    inner: ir.Value


class Packed(NamedTuple):
    """A packed matrix, and how many rows its panels have room for."""

    address: ir.Value
    room: ir.Value


class _Writer:
    """Writes the kernel of a loss, one pass after the other."""

    def __init__(self, loss: str) -> None:
        self.loss = loss
        self.module = ir.Module(name=ENTRY)
        self.function = ir.Function(self.module, ir.FunctionType(DOUBLE, [LONG.as_pointer(), DOUBLE, DOUBLE]), ENTRY)
        self.build = build = ir.IRBuilder(self.function.append_basic_block("entry"))
        table = self.function.args[0]
        self.at = {name: build.load(build.gep(table, [LONG(k)])) for k, name in enumerate(ARGUMENTS)}
        self.sequences = build.gep(table, [LONG(len(ARGUMENTS))])
        self.weights = build.gep(self.sequences, [build.mul(self.at["P"], LONG(SEQUENCE))])
        self.shown = build.mul(self.at["P"], self.at["H"])
        self.turned_room = build.add(self.shown, LONG(LANES))
        self.room = self.round_up(self.at["H"], PANEL)  # columns of one sequence
        self.width = build.mul(self.room, self.at["P"])  # and of all
        self.derivative_room = self.round_up(self.at["O"], LANES)
        self.total = build.alloca(DOUBLES)
        build.store(ir.Constant(DOUBLES, [0.0] * WIDE), self.total)
        self.part, self.largest, self.picked = (build.alloca(FLOATS) for _ in range(3))
        self.k, self.b = build.alloca(LONG), build.alloca(LONG)
        for counter in (self.k, self.b):
            build.store(LONG(0), counter)
        self.operand = build.alloca(LONG, OPERAND)
        self.math = Elementwise(build, WIDE)
        self.factor = self.splat(build.fptrunc(self.function.args[2], FLOAT))

    def code(self) -> str:
        build, count = self.build, self.at["N"]
        self.pack()
        with loop(build, LONG(0), count, CHUNK) as first:
            left = build.sub(count, first)
            rows = build.select(build.icmp_signed("<", left, LONG(CHUNK)), left, LONG(CHUNK))
            self.gather(first, rows)
            self.turn(rows)
            self.answer(first, rows)
            with loop(build, LONG(0), rows, WIDE) as n:
                LOSS[self.loss](self, first, n, self.lanes_below(build.sub(rows, n)))
            derivative = self.pointer("derivative")
            with loop(build, LONG(0), self.at["O"], LANES) as o, loop(build, LONG(0), rows, LANES) as n:
                source = build.gep(self.pointer("columns"), [build.add(build.mul(o, LONG(CHUNK)), n)])
                target = build.gep(derivative, [build.add(build.mul(n, self.derivative_room), o)])
                self.transpose(Rows(source, LONG(CHUNK)), Rows(target, self.derivative_room))
            self.add_outer(first, rows)
            operand = Operand(derivative, self.derivative_room, self.at["O"])
            init, target = Rows(self.pointer("zeros"), LONG(0)), Rows(self.pointer("arriving"), self.width)
            self.product(rows, operand, Packed(self.pointer("packed"), self.at["O"]), init, target)
            self.scatter(first, rows)
        self.add_weight()
        build.ret(build.fmul(self.sum_lanes(build.load(self.total), WIDE), self.function.args[1]))
        return str(self.module)

    # Addresses and vectors
    # -----------------------------------------------------------------------------------------------------------

    def pointer(self, name: str, kind: ir.Type = FLOAT) -> ir.Value:
        return self.build.inttoptr(self.at[name], kind.as_pointer())

    def round_up(self, value: ir.Value, step: int) -> ir.Value:
        return self.build.and_(self.build.add(value, LONG(step - 1)), LONG(-step))

    def load(self, address: ir.Value, index: ir.Value, kind: ir.Type = FLOATS) -> ir.Value:
        place = self.build.bitcast(self.build.gep(address, [index]), kind.as_pointer())
        return self.build.load(place, align=4)

    def store(self, value: ir.Value, address: ir.Value, index: ir.Value) -> None:
        place = self.build.bitcast(self.build.gep(address, [index]), value.type.as_pointer())
        self.build.store(value, place, align=4)

    def splat(self, value: ir.Value) -> ir.Value:
        """Return a number in all lanes."""
        nothing = ir.Constant(ir.VectorType(value.type, WIDE), ir.Undefined)
        one = self.build.insert_element(nothing, value, INT(0))
        return self.build.shuffle_vector(one, nothing, ir.Constant(INTS, [0] * WIDE))

    def lanes_below(self, count: ir.Value) -> ir.Value:
        """Return which of 16 lanes hold one of `count` answers."""
        lanes = ir.Constant(INTS, list(range(WIDE)))
        return self.build.icmp_signed("<", lanes, self.splat(self.build.trunc(count, INT)))

    def sum_lanes(self, vector: ir.Value, width: int) -> ir.Value:
        """Return the sum of all lanes, always in the same order."""
        while width > 1:
            width //= 2
            halves = (
                self.build.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(INT, width), list(half)))
                for half in (range(width), range(width, 2 * width))
            )
            vector = self.build.fadd(*halves)
        return self.build.extract_element(vector, INT(0))

    def units(self, body: Callable[[ir.Value, ir.Type], None]) -> None:
        """Run over the H units of one row, as many as fit a vector at a time."""
        start: ir.Value = LONG(0)
        for width in (16, 8, 4, 1):
            stop = self.build.and_(self.at["H"], LONG(-width))
            with loop(self.build, start, stop, width) as h:
                body(h, ir.VectorType(FLOAT, width))
            start = stop

    # Passes
    # --------------------------------------------------------------------------------------------------------------

    def pack(self) -> None:
        """Pack the weight for the derivative by the states, and put the bias where columns of answers start from."""
        build, pack = self.build, self.pointer("pack", product.PACK)
        answers, units = self.at["O"], self.at["H"]
        with loop(build, LONG(0), self.at["P"]) as p:
            columns = build.gep(self.pointer("weight"), [build.mul(p, units)])
            panels = build.gep(self.pointer("packed"), [build.mul(build.mul(p, self.room), answers)])
            build.call(pack, [units, answers, LONG(0), answers, columns, self.shown, LONG(1), panels])
        with loop(build, LONG(0), answers) as o:
            bias = self.splat(build.load(build.gep(self.pointer("bias"), [o])))
            row = build.gep(self.pointer("init"), [build.mul(o, LONG(CHUNK))])
            for n in range(0, CHUNK, WIDE):
                self.store(bias, row, LONG(n))

    def gather(self, first: ir.Value, rows: ir.Value) -> None:
        """Copy the states that a chunk reads, its targets and its weights; note where the derivatives go."""
        build = self.build
        with loop(build, LONG(0), rows) as n:
            k, b = build.load(self.k), build.load(self.b)

            def strided(name: str, short: str, k: ir.Value = k, b: ir.Value = b) -> ir.Value:
                return build.add(build.mul(k, self.at[f"{short}_k"]), build.mul(b, self.at[f"{short}_b"]))

            factor = build.load(build.gep(self.pointer("weights"), [strided("weights", "weight")]))
            target = strided("targets", "target")
            if self.loss == "cross_entropy":
                number = build.load(build.gep(self.pointer("targets", LONG), [target]))
                known = build.icmp_unsigned("<", number, self.at["O"])
                factor = build.select(known, factor, FLOAT(math.nan))
                build.store(build.trunc(number, INT), build.gep(self.pointer("classes", INT), [n]))
            else:
                start = build.gep(self.pointer("targets"), [target])
                with loop(build, LONG(0), self.at["O"]) as o:
                    number = build.load(build.gep(start, [build.mul(o, self.at["target_o"])]))
                    place = build.add(build.mul(o, LONG(CHUNK)), n)
                    build.store(number, build.gep(self.pointer("wanted"), [place]))
            build.store(factor, build.gep(self.pointer("factors"), [n]))
            with loop(build, LONG(0), self.at["P"]) as p:
                self.gather_row(p, first, n, k, b)
            following = build.add(b, LONG(1))
            wraps = build.icmp_signed("==", following, self.at["B"])
            build.store(build.select(wraps, LONG(0), following), self.b)
            build.store(build.add(k, build.zext(wraps, LONG)), self.k)

    def gather_row(self, p: ir.Value, first: ir.Value, n: ir.Value, k: ir.Value, b: ir.Value) -> None:
        """Copy what one answer reads of one sequence. A step that is none gives NaN and has no derivative."""
        build = self.build
        described = build.gep(self.sequences, [build.mul(p, LONG(SEQUENCE))])
        states, derivatives, reads, read_k, read_b = (build.load(build.gep(described, [LONG(i)])) for i in range(5))
        place = build.add(build.mul(k, read_k), build.mul(b, read_b))
        step = build.load(build.gep(build.inttoptr(reads, LONG.as_pointer()), [place]))
        known = build.icmp_unsigned("<", step, self.at["T"])
        offset = build.mul(build.mul(build.add(build.mul(step, self.at["B"]), b), self.at["H"]), LONG(4))
        source = build.inttoptr(build.select(known, build.add(states, offset), self.at["missing"]), POINTER)
        row = build.select(known, build.add(derivatives, offset), self.at["nowhere"])
        where = build.add(build.mul(p, self.at["N"]), build.add(first, n))
        build.store(row, build.gep(self.pointer("rows", LONG), [where]))
        start = build.add(build.mul(build.mul(p, self.room), LONG(CHUNK)), build.mul(n, LONG(PANEL)))
        target = build.gep(self.pointer("gathered"), [start])

        def copy(h: ir.Value, kind: ir.Type) -> None:
            panel = build.and_(h, LONG(-PANEL))
            place = build.add(build.mul(panel, LONG(CHUNK)), build.sub(h, panel))
            self.store(self.load(source, h, kind), target, place)

        self.units(copy)

    def turn(self, rows: ir.Value) -> None:
        """Transpose gathered states into a packed matrix of answers.

        The rows of a sequence that are there because blocks are whole are those of the next one, which comes later.
        """
        build = self.build
        panel = build.mul(self.turned_room, LONG(PANEL))
        with (
            loop(build, LONG(0), rows, PANEL) as n,
            loop(build, LONG(0), self.at["P"]) as p,
            loop(build, LONG(0), self.at["H"], LANES) as h,
        ):
            first = build.and_(h, LONG(-PANEL))
            start = build.mul(build.add(build.mul(p, self.room), first), LONG(CHUNK))
            source = build.gep(self.pointer("gathered"), [build.add(start, build.sub(h, first))])
            target = build.gep(self.pointer("turned"), [build.mul(build.sdiv(n, LONG(PANEL)), panel)])
            target = build.gep(target, [build.mul(build.add(build.mul(p, self.at["H"]), h), LONG(PANEL))])
            for half in (0, LANES):
                corner = build.gep(source, [build.mul(build.add(n, LONG(half)), LONG(PANEL))])
                to = build.gep(target, [LONG(half)])
                self.transpose(Rows(corner, LONG(PANEL)), Rows(to, LONG(PANEL)))

    def answer(self, first: ir.Value, rows: ir.Value) -> None:
        """answers = bias + weight * turned, for which the columns of each sequence are an operand."""
        operands = [self.weights, self.at["P"], self.turned_room, self.pointer("turned")]
        init = [self.pointer("init"), LONG(CHUNK)]
        answers = [self.build.gep(self.pointer("answers"), [first]), self.at["distance"]]
        self.build.call(self.pointer("product", product.PRODUCT), [self.at["O"], rows, *operands, *init, *answers])

    def product(self, rows: ir.Value, operand: Operand, packed: Packed, init: Rows, target: Rows) -> None:
        """target = init + operand * packed, for the columns of all sequences."""
        build = self.build
        for k, value in enumerate((build.ptrtoint(operand.address, LONG), operand.stride, operand.inner)):
            build.store(value, build.gep(self.operand, [LONG(k)]))
        build.call(
            self.pointer("product", product.PRODUCT),
            [rows, self.width, self.operand, LONG(1), packed.room, packed.address, *init, *target],
        )

    def transpose(self, source: Rows, target: Rows) -> None:
        """target[c, r] = source[r, c] for a block of 8 x 8 numbers."""
        build = self.build
        block = [self.load(source.address, build.mul(source.stride, LONG(i)), VECTOR) for i in range(LANES)]
        for distance in (1, 2, 4):  # each stage exchanges one bit of the row's number and of the lane's
            for i in (i for i in range(LANES) if not i & distance):
                low, high = block[i], block[i + distance]
                for k, moved in enumerate((0, distance)):
                    lanes = [[j + moved, LANES + j - distance + moved][bool(j & distance)] for j in range(LANES)]
                    mask = ir.Constant(ir.VectorType(INT, LANES), lanes)
                    block[i + k * distance] = build.shuffle_vector(low, high, mask)
        for i, vector in enumerate(block):
            self.store(vector, target.address, build.mul(target.stride, LONG(i)))

    def add_outer(self, first: ir.Value, rows: ir.Value) -> None:
        """Add what a chunk gives to the derivatives by weight (in a sum of its own) and bias."""
        build, columns = self.build, self.pointer("columns")
        starts = build.icmp_signed("==", first, LONG(0))
        init = build.select(starts, self.pointer("zeros"), self.pointer("sum"))
        stride = build.select(starts, LONG(0), self.width)
        gathered, target = Packed(self.pointer("gathered"), LONG(CHUNK)), Rows(self.pointer("sum"), self.width)
        self.product(self.at["O"], Operand(columns, LONG(CHUNK), rows), gathered, Rows(init, stride), target)
        part = self.part
        with loop(build, LONG(0), self.at["O"]) as o:
            build.store(self.math.constant(0.0), part)
            row = build.gep(columns, [build.mul(o, LONG(CHUNK))])
            with loop(build, LONG(0), rows, WIDE) as n:
                build.store(build.fadd(build.load(part), self.load(row, n)), part)
            place = build.gep(self.pointer("bias_gradient"), [o])
            build.store(build.fadd(build.load(place), self.sum_lanes(build.load(part), WIDE)), place)

    def scatter(self, first: ir.Value, rows: ir.Value) -> None:
        """Add the derivatives by the states of a chunk to the rows that were read."""
        build = self.build
        with loop(build, LONG(0), rows) as n, loop(build, LONG(0), self.at["P"]) as p:
            where = build.add(build.mul(p, self.at["N"]), build.add(first, n))
            target = build.inttoptr(build.load(build.gep(self.pointer("rows", LONG), [where])), POINTER)
            start = build.add(build.mul(n, self.width), build.mul(p, self.room))
            source = build.gep(self.pointer("arriving"), [start])
            self.units(lambda h, kind: self.add_at(source, h, target, h, kind))

    def add_at(self, source: ir.Value, at: ir.Value, target: ir.Value, to: ir.Value, kind: ir.Type) -> None:
        self.store(self.build.fadd(self.load(target, to, kind), self.load(source, at, kind)), target, to)

    def add_weight(self) -> None:
        """Add the sum over all chunks to the derivative by the weight."""
        build, shown = self.build, self.shown
        with loop(build, LONG(0), self.at["O"]) as o, loop(build, LONG(0), self.at["P"]) as p:
            start = build.add(build.mul(o, self.width), build.mul(p, self.room))
            source = build.gep(self.pointer("sum"), [start])
            start = build.add(build.mul(o, shown), build.mul(p, self.at["H"]))
            target = build.gep(self.pointer("weight_gradient"), [start])
            self.units(lambda h, kind: self.add_at(source, h, target, h, kind))

    # Losses of 16 answers, from number n of the chunk on. Each puts the derivatives in `columns`.
    # --------------------------------------------------------------------------------------------------------------

    def answers_at(self, o: ir.Value, first: ir.Value, n: ir.Value) -> ir.Value:
        place = self.build.add(self.build.mul(o, self.at["distance"]), self.build.add(first, n))
        return self.load(self.pointer("answers"), place)

    def add_loss(self, loss: ir.Value, n: ir.Value, real: ir.Value) -> None:
        """Add weight * loss, in double precision, for the lanes that hold an answer."""
        build = self.build
        weighted = build.fpext(build.fmul(self.load(self.pointer("factors"), n), loss), DOUBLES)
        weighted = build.select(real, weighted, ir.Constant(DOUBLES, [0.0] * WIDE))
        build.store(build.fadd(build.load(self.total), weighted), self.total)

    def squared_error(self, first: ir.Value, n: ir.Value, real: ir.Value) -> None:
        """(y - t)^2 and 2 (y - t)."""

        def each(answer: ir.Value, target: ir.Value) -> tuple[ir.Value, ir.Value]:
            difference = self.build.fsub(answer, target)
            return self.build.fmul(difference, difference), self.build.fadd(difference, difference)

        self.by_number(first, n, real, each)

    def logistic_squared_error(self, first: ir.Value, n: ir.Value, real: ir.Value) -> None:
        """(s - t)^2 and 2 (s - t) s (1 - s) with s = sigmoid(y)."""
        apply = self.math.apply

        def each(answer: ir.Value, target: ir.Value) -> tuple[ir.Value, ir.Value]:
            tail = apply("tail", [answer])
            difference = apply("sub", [apply("level", [tail]), target])
            slope = apply("mul", [apply("add", [difference, difference]), apply("level_slope", [tail])])
            return apply("mul", [difference, difference]), slope

        self.by_number(first, n, real, each)

    def binary_cross_entropy(self, first: ir.Value, n: ir.Value, real: ir.Value) -> None:
        """(1 - t) y - min(y, 0) + log(1 + exp(-|y|)) and sigmoid(y) - t."""
        apply, constant = self.math.apply, self.math.constant

        def each(answer: ir.Value, target: ir.Value) -> tuple[ir.Value, ir.Value]:
            small = apply("exp", [apply("neg", [apply("abs", [answer])])])
            negative = apply("where", [apply("lt", [answer, constant(0.0)]), answer, constant(0.0)])
            linear = apply("mul", [apply("sub", [constant(1.0), target]), answer])
            loss = apply("add", [apply("sub", [linear, negative]), apply("log1p", [small])])
            sigmoid = apply("level", [apply("tail", [answer])])
            return loss, apply("sub", [sigmoid, target])

        self.by_number(first, n, real, each)

    def by_number(
        self,
        first: ir.Value,
        n: ir.Value,
        real: ir.Value,
        each: Callable[[ir.Value, ir.Value], tuple[ir.Value, ir.Value]],
    ) -> None:
        """Run a loss that is a sum over the numbers of an answer; `each` gives loss and derivative of one."""
        build = self.build
        factor = build.fmul(self.load(self.pointer("factors"), n), self.factor)
        with loop(build, LONG(0), self.at["O"]) as o:
            place = build.add(build.mul(o, LONG(CHUNK)), n)
            loss, derivative = each(self.answers_at(o, first, n), self.load(self.pointer("wanted"), place))
            self.add_loss(loss, n, real)
            derivative = build.select(real, build.fmul(factor, derivative), self.math.constant(0.0))
            self.store(derivative, self.pointer("columns"), place)

    def cross_entropy(self, first: ir.Value, n: ir.Value, real: ir.Value) -> None:
        """log(sum of exp(y - m)) - (y_t - m) with the largest y as m, and exp(y - m) / sum - [o = t]."""
        build, apply, columns = self.build, self.math.apply, self.pointer("columns")
        classes = self.load(self.pointer("classes", INT), n, INTS)
        zero = self.math.constant(0.0)
        largest, total, picked = self.largest, self.part, self.picked
        for cell, start in ((largest, self.math.constant(-math.inf)), (total, zero), (picked, zero)):
            build.store(start, cell)

        def hit(o: ir.Value) -> ir.Value:
            return build.icmp_signed("==", classes, self.splat(build.trunc(o, INT)))

        with loop(build, LONG(0), self.at["O"]) as o:
            answer, before = self.answers_at(o, first, n), build.load(largest)
            build.store(apply("where", [apply("gt", [answer, before]), answer, before]), largest)
        with loop(build, LONG(0), self.at["O"]) as o:
            less = build.fsub(self.answers_at(o, first, n), build.load(largest))
            power = apply("exp", [less])
            self.store(power, columns, build.add(build.mul(o, LONG(CHUNK)), n))
            build.store(build.fadd(build.load(total), power), total)
            build.store(build.select(hit(o), less, build.load(picked)), picked)
        self.add_loss(build.fsub(apply("log", [build.load(total)]), build.load(picked)), n, real)
        factor = build.fmul(self.load(self.pointer("factors"), n), self.factor)
        share = build.fdiv(factor, build.load(total))
        with loop(build, LONG(0), self.at["O"]) as o:
            place = build.add(build.mul(o, LONG(CHUNK)), n)
            power = apply("mul", [self.load(columns, place), share])
            derivative = apply("sub", [power, build.select(hit(o), factor, zero)])
            self.store(build.select(real, derivative, zero), columns, place)


LOSS: dict[str, Callable[[_Writer, ir.Value, ir.Value, ir.Value], None]] = {
    "squared_error": _Writer.squared_error,
    "logistic_squared_error": _Writer.logistic_squared_error,
    "cross_entropy": _Writer.cross_entropy,
    "binary_cross_entropy": _Writer.binary_cross_entropy,
}


def _clear_code() -> str:
    """Return the code of a function that sets rows to zero: how many, their addresses, and H."""
    module = ir.Module(name="clear")
    kind = ir.FunctionType(ir.VoidType(), [LONG, LONG.as_pointer(), LONG])
    function = ir.Function(module, kind, "clear")
    count, rows, units = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    with loop(build, LONG(0), count) as n:
        row = build.inttoptr(build.load(build.gep(rows, [n])), POINTER)
        with loop(build, LONG(0), units) as h:
            build.store(FLOAT(0.0), build.gep(row, [h]))
    build.ret_void()
    return str(module)


@cache
def _compiled(loss: str) -> Callable[..., float]:
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_double, ctypes.c_double)
    return kind(machine.load(_Writer(loss).code(), ENTRY, optimise=True))


@cache
def _clear() -> Callable[..., None]:
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    return kind(machine.load(_clear_code(), "clear", optimise=True))


class Sizes(NamedTuple):
    """Sizes of an ending.

    steps: T, of the sequences.
    batch: B.
    units: H, of one sequence.
    answers: O, numbers of an answer.
    sequences: P.
    """

    steps: int
    batch: int
    units: int
    answers: int
    sequences: int

    def room(self) -> dict[str, int]:
        """Return how many numbers each array of a kernel has, without those that depend on K."""
        width, answers = self.sequences * padded(self.units), self.answers
        block = -(-answers // LANES) * LANES
        return {
            "gathered": CHUNK * width,
            "turned": CHUNK * (self.sequences * self.units + LANES),
            "columns": CHUNK * block,
            "derivative": CHUNK * block,
            "arriving": CHUNK * width,
            "wanted": CHUNK * answers,
            "classes": CHUNK,
            "factors": CHUNK,
            "packed": answers * width,
            "init": CHUNK * answers,
            "sum": answers * width,
            "zeros": width,
            "missing": self.units,
            "nowhere": self.units,
            "one": 1,
        }


class Ending:
    """The end of an update of one size: read-out, loss, and the derivatives of both.

    loss: one of `LOSSES`.
    steps: T, of the sequences.
    batch: B.
    units: H, of one sequence.
    answers: O, numbers of an answer.
    weight: [O, P * H]; columns p * H to (p + 1) * H belong to sequence p.
    bias: [O].
    weight_gradient: [O, P * H]; every run adds the derivative by the weight.
    bias_gradient: [O]; every run adds the derivative by the bias.
    sequences: P arrays [T, B, H], the states that answers are made of.
    derivatives: P arrays [T, B, H], zero at first. Every run adds the derivatives by the rows of states that were read;
        all others stay as they are.

    All tensors are float32, contiguous and on the CPU. They are kept, and their addresses are found once: they may be
    changed in place, but must not be given other memory.

    Raises ValueError for an unknown loss and for a tensor of another type or shape.

    >>> states, weight, bias = torch.ones(3, 1, 2), torch.ones(1, 2), torch.zeros(1)
    >>> gradients, derivative = (torch.zeros(1, 2), torch.zeros(1)), torch.zeros(3, 1, 2)
    >>> ending = Ending("squared_error", steps=3, batch=1, units=2, answers=1, weight=weight, bias=bias,
    ...                 weight_gradient=gradients[0], bias_gradient=gradients[1],
    ...                 sequences=[states], derivatives=[derivative])
    >>> ending.run([torch.tensor([[2]])], torch.tensor([[[5.0]]]), None, 1.0)
    9.0
    >>> derivative.flatten().tolist(), gradients[1].tolist()
    ([0.0, 0.0, 0.0, 0.0, -6.0, -6.0], [-6.0])
    """

    def __init__(
        self,
        loss: str,
        *,
        steps: int,
        batch: int,
        units: int,
        answers: int,
        weight: Tensor,
        bias: Tensor,
        weight_gradient: Tensor,
        bias_gradient: Tensor,
        sequences: Sequence[Tensor],
        derivatives: Sequence[Tensor],
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        self.loss, self.size = loss, Sizes(steps, batch, units, answers, len(sequences))
        if min(self.size) < 1:
            raise ValueError(f"all sizes of an ending must be at least 1, got {self.size}")
        whole = {"weight": weight, "weight_gradient": weight_gradient, "bias": bias, "bias_gradient": bias_gradient}
        for name, tensor in whole.items():
            _check(name, tensor, (answers, len(sequences) * units) if name.startswith("weight") else (answers,))
        if len(derivatives) != len(sequences):
            raise ValueError(f"there must be {len(sequences)} derivatives as sequences, got {len(derivatives)}")
        for tensor in (*sequences, *derivatives):
            _check("sequence", tensor, (steps, batch, units))
        room = self.size.room()
        starts, end = {}, 0
        for name, count in room.items():
            starts[name], end = end, end + count + -count % PANEL
        self._memory = memory = torch.zeros(end)
        memory.narrow(0, starts["missing"], units).fill_(math.nan)
        memory[starts["one"]] = 1.0
        places = {name: memory.data_ptr() + 4 * start for name, start in starts.items()}
        self._one = places.pop("one")
        functions = product.addresses()
        values = dict(zip("TBHOP", self.size, strict=True)) | places
        values |= {name: functions[Name(name)] for name in ("product", "pack")}
        values |= {name: tensor.data_ptr() for name, tensor in whole.items()}
        given = [(s.data_ptr(), d.data_ptr(), 0, 0, 0) for s, d in zip(sequences, derivatives, strict=True)]
        shown = units * len(sequences)
        operands = [(weight.data_ptr() + 4 * p * units, shown, units) for p in range(len(sequences))]
        numbers = [*(values.get(name, 0) for name in ARGUMENTS), *(v for one in (*given, *operands) for v in one)]
        self._table = (ctypes.c_int64 * len(numbers))(*numbers)
        self._kept = (*whole.values(), *sequences, *derivatives)
        self._function, self._clear = _compiled(loss), _clear()
        self._answers = self._rows = self._memory_of_answers = self._all_rows = torch.empty(0)
        self._most = self._distance = 0
        self._given: tuple[tuple[torch.Size, torch.dtype], ...] = ()
        self._accepted: dict[tuple[tuple[torch.Size, torch.dtype], ...], tuple[Tensor, Tensor]] = {}

    def run(
        self,
        reads: Sequence[Tensor],
        targets: Tensor,
        weights: Tensor | None,
        scale: float,
        derivative_scale: float | None = None,
    ) -> float:
        """Compute the loss, and add its derivatives to the gradients and to the rows of `derivatives` that are read.

        reads: for each sequence int64 [K, B]: at which step each answer is read. A step outside of the sequence makes
            the loss NaN.
        targets: float32 [K, B, O], for cross-entropy int64 [K, B]. A class outside of 0 .. O - 1 makes the loss NaN.
        weights: float32 [K, B], what the loss of each answer is multiplied with, as torch multiplies: 0 times a loss
            that is not finite is NaN. None for ones.
        scale: factor of the sum over all answers, 1 / (K * B * O) for the mean squared error.
        derivative_scale: factor of the sum whose derivatives are taken, by default `scale`.

        All may have any strides.

        Returns the loss, summed in double precision.
        Raises ValueError for a tensor of another type or shape.
        """
        every = (*reads, targets) if weights is None else (*reads, targets, weights)
        given = tuple([(t.shape, t.dtype) for t in every])
        if given != self._given:
            self._given = ()
            known = self._accepted.get(given)
            if known is None:
                self._accept(reads, targets, weights)
                self._accepted[given] = known = self._answers, self._rows
            self._answers, self._rows = known
            self._rows.fill_(self._table[_NOWHERE])
            self._table[_N] = known[1].numel() // len(reads)
            self._given = given
        table, place = self._table, len(ARGUMENTS) + 2
        for read in reads:
            table[place] = read.data_ptr()
            table[place + 1], table[place + 2] = read.stride()
            place += SEQUENCE
        table[_TARGETS] = targets.data_ptr()
        table[_TARGETS + 1 : _TARGETS + 1 + targets.dim()] = list(targets.stride())
        if weights is None:
            table[_WEIGHTS : _WEIGHTS + 3] = [self._one, 0, 0]
        else:
            table[_WEIGHTS : _WEIGHTS + 3] = [weights.data_ptr(), *weights.stride()]
        return self._function(table, scale, scale if derivative_scale is None else derivative_scale)

    def clear(self) -> None:
        """Set the rows of `derivatives` to zero that the last run added to."""
        self._clear(self._rows.numel(), self._rows.data_ptr(), self.size.units)

    @property
    def answers(self) -> Tensor:
        """The answers of the last run, [K, B, O]: a view of memory that the next run uses again."""
        return self._answers

    def _accept(self, reads: Sequence[Tensor], targets: Tensor, weights: Tensor | None) -> None:
        """Make room for K * B answers.

        Raises ValueError for what a kernel cannot read.
        """
        _, batch, _, answers, sequences = self.size
        classes = self.loss == "cross_entropy"
        count = len(reads[0]) if reads and reads[0].dim() else 0
        shape = (count, batch)
        expected: list[tuple[tuple[int, ...], torch.dtype]] = [(shape, torch.int64)] * sequences
        expected.append((shape, torch.int64) if classes else ((*shape, answers), torch.float32))
        given = [*reads, targets]
        if weights is not None:
            expected.append((shape, torch.float32))
            given.append(weights)
        if count < 1 or [(t.shape, t.dtype) for t in given] != expected or not all(t.is_cpu for t in given):
            kind = "int64 [K, B]" if classes else f"float32 [K, B, {answers}]"
            raise ValueError(
                f"{self.loss}: the steps read must be int64 [K, B] for each of {sequences} sequences with B = {batch}, "
                f"targets {kind}, weights float32 [K, B], all on the cpu and K at least 1, got "
                + ", ".join(f"{t.dtype} {list(t.shape)}" for t in given)
            )
        count *= batch
        if count > self._most:  # then the memory is made anew, and serves for fewer answers as well
            self._most = count
            # not a power of two, for which the rows would share few places in the cache
            self._distance = padded(count) + PANEL
            self._memory_of_answers = torch.zeros(answers * self._distance)
            self._all_rows = torch.empty(sequences * count, dtype=torch.int64)
            self._accepted.clear()
            table = self._table
            table[_ANSWERS], table[_ROWS] = self._memory_of_answers.data_ptr(), self._all_rows.data_ptr()
            table[_DISTANCE] = self._distance
        self._answers = self._memory_of_answers.as_strided((*shape, answers), (batch, 1, self._distance))
        self._rows = self._all_rows[: sequences * count]


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError where a tensor is not what a kernel can read."""
    if tensor.shape != shape or tensor.dtype is not torch.float32 or not tensor.is_cpu or not tensor.is_contiguous():
        raise ValueError(
            f"the ending needs {name} as contiguous float32 {list(shape)} on the cpu, got {tensor.dtype} "
            f"{list(tensor.shape)} with strides {tensor.stride()} on {tensor.device}"
        )


_TARGETS, _WEIGHTS = ARGUMENTS.index("targets"), ARGUMENTS.index("weights")
_N, _ANSWERS, _DISTANCE = (ARGUMENTS.index(name) for name in ("N", "answers", "distance"))
_ROWS, _NOWHERE = ARGUMENTS.index("rows"), ARGUMENTS.index("nowhere")
