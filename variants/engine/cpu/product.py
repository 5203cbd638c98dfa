"""Matrix products as LLVM code: what the loop over time needs, without the cost of a call into a BLAS in every step.

A product is C = init + sum over operands A_j of A_j * M_j for B rows. All M_j stand one under the other in one packed
matrix: panels of 16 columns, each [sum of K_j, 16], zeros behind the last column. So C has room for a multiple of 16
columns. C is computed in tiles of up to six rows and one panel, which stay in registers over all operands:

               k             panel: 16 columns
            +-----+        +---------+---------+
    A_j     |     |      k | 8 lanes | 8 lanes |  packed M
    6 rows  |  a  |        +---------+---------+
            |     |
            +-----+        +---------+---------+
                           |  sum    |  sum    |  tile of C: 6 x 2 vectors
                           |   .     |   .     |
                           |  sum    |  sum    |  sum += (a in all 8 lanes) * (8 numbers of row k)
                           +---------+---------+

The other function, `outer`, is the product with the first factor transposed, out[r, c] += sum over k of u[k, r] *
g[k, c], where k runs over many steps and sequences: the derivative by a matrix. Its tile is the same, and nothing is
packed, as a row of g is read as it lies in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial

from llvmlite import ir

from ..ir.names import Name
from . import machine

FLOAT = ir.FloatType()
LONG = ir.IntType(64)
INT = ir.IntType(32)
POINTER = ir.PointerType(FLOAT)
LANES = 8
VECTOR = ir.VectorType(FLOAT, LANES)
PANEL = 2 * LANES
UNROLLED = {1: 4, 2: 3, 3: 2, 4: 1, 5: 1, 6: 1}
"""Rows of a tile: how many k it takes at once, each with sums of its own.

A tile of n rows that takes u numbers k at once has u * n * 2 vectors of sums. Besides them it needs two registers for a
row of the panel and one for a number of A in all lanes. AVX2 has 16 registers of 8 numbers, so 2 u n + 3 <= 16: six
rows are the most, with 12 + 3. Fewer rows take several k at once because a sum waits about four cycles for its last
addition while two start in each cycle: at least eight sums hide the waiting.
"""
PRODUCT = ir.FunctionType(
    ir.VoidType(), [LONG, LONG, LONG.as_pointer(), LONG, LONG, POINTER, POINTER, LONG, POINTER, LONG]
)
PACK = ir.FunctionType(ir.VoidType(), [LONG, LONG, LONG, LONG, POINTER, LONG, LONG, POINTER])
OUTER = ir.FunctionType(ir.VoidType(), [LONG, LONG, POINTER, LONG, LONG, POINTER, LONG, POINTER, LONG])
SPREAD = ir.FunctionType(ir.VoidType(), [LONG, LONG, POINTER, LONG, POINTER])
OPERAND = 3  # numbers that describe an operand: address, distance of rows, K


def padded(columns: int) -> int:
    """Return the room that a row of a product needs."""
    return columns + -columns % PANEL


@contextmanager
def loop(build: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int | ir.Value = 1) -> Iterator[ir.Value]:
    """Code for index = start, start + step, ... while index < stop."""
    before = build.block
    head, body, end = (build.append_basic_block(name) for name in ("head", "body", "end"))
    build.branch(head)
    build.position_at_end(head)
    index = build.phi(LONG)
    index.add_incoming(start, before)
    build.cbranch(build.icmp_signed("<", index, stop), body, end)
    build.position_at_end(body)
    yield index
    index.add_incoming(build.add(index, LONG(step) if isinstance(step, int) else step), build.block)
    build.branch(head)
    build.position_at_end(end)


@cache
def addresses() -> dict[Name, int]:
    """Return the compiled functions that kernels call: their addresses in this process."""
    return {
        Name("product"): _compile("product", _define_product),
        Name("pack"): _compile("pack", _define_pack),
        Name("outer"): _compile("outer", _define_outer),
        Name("spread"): _compile("spread", _define_spread),
    }


def _compile(name: str, define: Callable[[ir.Module, str], None]) -> int:
    module = ir.Module(name=name)
    define(module, name)
    return machine.load(str(module), name, optimise=True)


def _define_pack(module: ir.Module, name: str) -> None:
    """The function pack(columns, inner, start, K, source, row_stride, column_stride, packed).

    Puts a matrix [K, columns] in the rows `start` to `start + K` of a packed matrix with `inner` rows.
    """
    function = ir.Function(module, PACK, name)
    columns, inner, start, rows, source, row_stride, column_stride, packed = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    with loop(build, LONG(0), columns, PANEL) as column:
        panel = build.gep(
            packed, [build.mul(build.add(build.mul(build.sdiv(column, LONG(PANEL)), inner), start), LONG(PANEL))]
        )
        left = build.sub(columns, column)
        full = build.select(build.icmp_signed("<", left, LONG(PANEL)), left, LONG(PANEL))
        corner = build.gep(source, [build.mul(column, column_stride)])
        with loop(build, LONG(0), rows) as k:
            row = build.gep(corner, [build.mul(k, row_stride)])
            target = build.gep(panel, [build.mul(k, LONG(PANEL))])
            with loop(build, LONG(0), full) as c:
                build.store(build.load(build.gep(row, [build.mul(c, column_stride)])), build.gep(target, [c]))
            with loop(build, full, LONG(PANEL)) as c:
                build.store(FLOAT(0.0), build.gep(target, [c]))
    build.ret_void()


def _define_product(module: ir.Module, name: str) -> None:
    """The function product(rows, columns, operands, count, inner, packed, init, init_stride, result, result_stride).

    operands: address of `count` descriptions (address, distance of rows, K). inner: sum of K. Distances count numbers;
    init_stride may be 0.
    """
    tiles = {rows: _define_tile(module, rows) for rows in UNROLLED}
    function = ir.Function(module, PRODUCT, name)
    rows, columns, operands, count, inner, packed, init, init_stride, result, result_stride = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    with loop(build, LONG(0), columns, PANEL) as column:
        panel = build.gep(packed, [build.mul(column, inner)])

        def tile(size: int, row: ir.Value) -> None:
            first = build.gep(init, [build.add(build.mul(row, init_stride), column)])
            target = build.gep(result, [build.add(build.mul(row, result_stride), column)])
            build.call(tiles[size], [operands, count, row, panel, first, init_stride, target, result_stride])

        _by_rows(build, rows, tile)
    build.ret_void()


def _define_outer(module: ir.Module, name: str) -> None:
    """The function outer(inner, rows, u, u_stride, columns, g, g_stride, out, out_stride).

    Adds sum over k < inner of u[k, r] * g[k, c] to out[r, c]. Strides count numbers; u_stride may be 0. Columns come in
    panels: rows of g and of out are read, and those of out written, up to a multiple of 16 columns.
    """
    tiles = {rows: _define_outer_tile(module, rows) for rows in UNROLLED}
    function = ir.Function(module, OUTER, name)
    inner, rows, u, u_stride, columns, g, g_stride, out, out_stride = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    with loop(build, LONG(0), columns, PANEL) as column:
        panel = build.gep(g, [column])

        def tile(size: int, row: ir.Value) -> None:
            target = build.gep(out, [build.add(build.mul(row, out_stride), column)])
            build.call(tiles[size], [inner, build.gep(u, [row]), u_stride, panel, g_stride, target, out_stride])

        _by_rows(build, rows, tile)
    build.ret_void()


def _by_rows(build: ir.IRBuilder, rows: ir.Value, tile: Callable[[int, ir.Value], None]) -> None:
    """Write calls of tiles of six rows, then one of those that are left."""
    highest = max(UNROLLED)
    whole = build.mul(build.sdiv(rows, LONG(highest)), LONG(highest))
    with loop(build, LONG(0), whole, highest) as row:
        tile(highest, row)
    done = build.append_basic_block("done")
    choice = build.switch(build.sub(rows, whole), done)
    for size in range(1, highest):
        block = build.append_basic_block(f"rest{size}")
        choice.add_case(LONG(size), block)
        build.position_at_end(block)
        tile(size, whole)
        build.branch(done)
    build.position_at_end(done)


def _define_spread(module: ir.Module, name: str) -> None:
    """The function spread(rows, columns, source, stride, target): target[c, r] += source[r, c].

    The rows of `source` are `stride` numbers apart; `target` [columns, rows] is contiguous.
    """
    function = ir.Function(module, SPREAD, name)
    rows, columns, source, stride, target = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    with loop(build, LONG(0), columns) as c, loop(build, LONG(0), rows) as r:
        place = build.gep(target, [build.add(build.mul(c, rows), r)])
        number = build.load(build.gep(source, [build.add(build.mul(r, stride), c)]))
        build.store(build.fadd(build.load(place), number), place)
    build.ret_void()


def _define_tile(module: ir.Module, rows: int) -> ir.Function:
    """Return one tile: a few rows of one panel."""
    kind = ir.FunctionType(ir.VoidType(), [LONG.as_pointer(), LONG, LONG, POINTER, POINTER, LONG, POINTER, LONG])
    function = ir.Function(module, kind, f"tile{rows}")
    function.linkage = "internal"
    operands, count, row, panel, init, init_stride, result, result_stride = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    unrolled = UNROLLED[rows]
    sums = [[[build.alloca(VECTOR) for _ in range(2)] for _ in range(rows)] for _ in range(unrolled)]
    position = build.alloca(POINTER)
    build.store(panel, position)
    zero = ir.Constant(VECTOR, [0.0] * LANES)
    vector = partial(_vector, build)

    for part in range(unrolled):
        for i in range(rows):
            for half in range(2):
                first = (
                    build.load(vector(build.gep(init, [build.mul(init_stride, LONG(i))]), half), align=4)
                    if part == 0
                    else zero
                )
                build.store(first, sums[part][i][half])

    def advance(addresses: Sequence[ir.Value], k: ir.Value, parts: int) -> None:
        """Add k, k + 1, ... to the sums, each to its own."""
        here = build.load(position)
        for part in range(parts):
            factors = [build.load(vector(build.gep(here, [LONG(part * PANEL)]), half), align=4) for half in range(2)]
            for i, address in enumerate(addresses):
                number = build.load(build.gep(address, [build.add(k, LONG(part))]))
                _multiply_add(build, number, factors, sums[part][i])
        build.store(build.gep(here, [LONG(parts * PANEL)]), position)

    with loop(build, LONG(0), count) as j:
        description = build.gep(operands, [build.mul(j, LONG(OPERAND))])
        address, stride, inner = (build.load(build.gep(description, [LONG(n)])) for n in range(OPERAND))
        start = build.inttoptr(address, POINTER)
        addresses = [build.gep(start, [build.mul(build.add(row, LONG(i)), stride)]) for i in range(rows)]
        even = build.mul(build.sdiv(inner, LONG(unrolled)), LONG(unrolled))
        with loop(build, LONG(0), even, unrolled) as k:
            advance(addresses, k, unrolled)
        if unrolled > 1:
            with loop(build, even, inner) as k:
                advance(addresses, k, 1)
    for i in range(rows):
        for half in range(2):
            total = build.load(sums[0][i][half])
            for part in range(1, unrolled):
                total = build.fadd(total, build.load(sums[part][i][half]))
            build.store(total, vector(build.gep(result, [build.mul(result_stride, LONG(i))]), half), align=4)
    build.ret_void()
    return function


def _define_outer_tile(module: ir.Module, rows: int) -> ir.Function:
    """Return one tile of `outer`: a few rows of one panel.

    The sums over these k start at zero and are added to `out` at the end, so that a sum over very many k, made by many
    calls, loses few digits.
    """
    kind = ir.FunctionType(ir.VoidType(), [LONG, POINTER, LONG, POINTER, LONG, POINTER, LONG])
    function = ir.Function(module, kind, f"outer_tile{rows}")
    function.linkage = "internal"
    inner, u, u_stride, g, g_stride, out, out_stride = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    unrolled = UNROLLED[rows]
    sums = [[[build.alloca(VECTOR) for _ in range(2)] for _ in range(rows)] for _ in range(unrolled)]
    vector = partial(_vector, build)
    for place in itertools.chain.from_iterable(itertools.chain.from_iterable(sums)):
        build.store(ir.Constant(VECTOR, [0.0] * LANES), place)

    def advance(k: ir.Value, parts: int) -> None:
        """Add k, k + 1, ... to the sums, each to its own."""
        for part in range(parts):
            at = build.add(k, LONG(part))
            row = build.gep(g, [build.mul(at, g_stride)])
            factors = [build.load(vector(row, half), align=4) for half in range(2)]
            numbers = build.gep(u, [build.mul(at, u_stride)])
            for i in range(rows):
                _multiply_add(build, build.load(build.gep(numbers, [LONG(i)])), factors, sums[part][i])

    even = build.mul(build.sdiv(inner, LONG(unrolled)), LONG(unrolled))
    with loop(build, LONG(0), even, unrolled) as k:
        advance(k, unrolled)
    if unrolled > 1:
        with loop(build, even, inner) as k:
            advance(k, 1)
    for i in range(rows):
        for half in range(2):
            total = build.load(sums[0][i][half])
            for part in range(1, unrolled):
                total = build.fadd(total, build.load(sums[part][i][half]))
            place = vector(build.gep(out, [build.mul(out_stride, LONG(i))]), half)
            build.store(build.fadd(build.load(place, align=4), total), place, align=4)
    build.ret_void()
    return function


def _vector(build: ir.IRBuilder, address: ir.Value, half: int) -> ir.Value:
    """Return the address of half a row of a panel, as that of a vector."""
    return build.bitcast(build.gep(address, [LONG(half * LANES)]), VECTOR.as_pointer())


def _multiply_add(build: ir.IRBuilder, number: ir.Value, factors: Sequence[ir.Value], sums: Sequence[ir.Value]) -> None:
    """Add a number times half a row of a panel to the sum of each half."""
    nothing = ir.Constant(VECTOR, ir.Undefined)
    one = build.insert_element(nothing, number, INT(0))
    many = build.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))
    for factor, place in zip(factors, sums, strict=True):
        product = build.fmul(many, factor, flags=("contract",))
        build.store(build.fadd(build.load(place), product, flags=("contract",)), place)
