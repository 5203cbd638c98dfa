"""The operations of expression graphs as LLVM code on vectors of single-precision numbers.

All of it keeps NaN: comparisons that clamp are false for NaN, and no instruction carries a flag that lets the compiler
assume that numbers are finite. As a product and a sum may become one instruction, a product that would overflow on its
own may be finite in its sum.

tanh and sigmoid are made of two steps. The first one gives a number from which value and derivative follow without a
loss of digits:

    swing(x) = sign(x) * expm1(2 |x|) / 2
        tanh(x) = s / (1 + |s|)                     tanh'(x) = d (2 - d) with d = 1 / (1 + |s|)
    tail(x) = sign(x) * exp(-|x|) / (1 + exp(-|x|))
        sigmoid(x) = 1 - t or, for x < 0, |t|       sigmoid'(x) = |t| (1 - |t|)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from .doubles import Doubles

FLOAT = ir.FloatType()
INT = ir.IntType(32)
CONTRACT = ("contract",)  # a product and a sum may become one instruction; nothing else is relaxed

# exp(r) = 1 + r + r^2 * P(r) for |r| <= log(2) / 2, and expm1(2 q) / 2 = q + q^2 * P(q) for half of that: least-squares
# fits on Chebyshev nodes, right to 1e-8 before rounding.
EXP_P = (0.5000000013543257, 0.1666657664354715, 0.041666464167313115, 0.00836323538462817, 0.0013933733216281662)
SWING_P = (1.0000000027086513, 0.666663065741886, 0.3333317133385049, 0.13381176615405072, 0.04458794629210132)
EXP_LOW, EXP_HIGH = -104.0, 89.0  # from 0 to infinity
TAIL_LOW = -88.02  # the exponential function becomes 0 here
SWING_HIGH = 44.0  # expm1 of twice this is a number still
LOG2_E = 1.44269504088896341
LN2 = 0.693147180559945309  # of which single precision keeps more digits than it must: n * LN2 is right to 2e-9 * n
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4  # their sum is log(2); n * LN2_HIGH is exact
TO_INTEGER = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
TO_INTEGER_BITS = 0x4B400000
BIAS = 127  # of the exponent of a number


class Elementwise:
    """Writes operations on vectors of a given width."""

    def __init__(self, build: ir.IRBuilder, width: int) -> None:
        self.build, self.width = build, width
        self.floats = ir.VectorType(FLOAT, width)
        self.ints = ir.VectorType(INT, width)
        self._sizes: dict[ir.Value, ir.Value] = {}

    def constant(self, value: float | bool) -> ir.Value:
        kind = ir.VectorType(ir.IntType(1), self.width) if isinstance(value, bool) else self.floats
        return ir.Constant(kind, [value] * self.width)

    def integer(self, value: int) -> ir.Value:
        return ir.Constant(self.ints, [value] * self.width)

    def apply(self, operation: str, arguments: Sequence[ir.Value]) -> ir.Value:
        """Return the code of an operation of the table below."""
        if operation in IN_DOUBLE:
            return IN_DOUBLE[operation](Doubles(self.build, self.width), *arguments)
        return OPERATIONS[operation](self, *arguments)

    def _add(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fadd(x, y, flags=CONTRACT)

    def _sub(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fsub(x, y, flags=CONTRACT)

    def _mul(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fmul(x, y, flags=CONTRACT)

    def _div(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fdiv(x, y)

    def _neg(self, x: ir.Value) -> ir.Value:
        return self.build.fneg(x)

    def _abs(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("fabs", x)

    def _sqrt(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("sqrt", x)

    def _floor(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("floor", x)

    def _ceil(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("ceil", x)

    def _trunc(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("trunc", x)

    def _round(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("rint", x)  # halves go to the even neighbour

    def _minimum(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self._intrinsic("minimum", x, y)

    def _maximum(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self._intrinsic("maximum", x, y)

    def _lt(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_ordered("<", x, y)

    def _le(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_ordered("<=", x, y)

    def _gt(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_ordered(">", x, y)

    def _ge(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_ordered(">=", x, y)

    def _eq(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_ordered("==", x, y)

    def _ne(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fcmp_unordered("!=", x, y)

    def _and(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.and_(x, y)

    def _or(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.or_(x, y)

    def _xor(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.xor(x, y)

    def _not(self, x: ir.Value) -> ir.Value:
        return self.build.not_(x)

    def _where(self, condition: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.select(condition, x, y)

    def _swing(self, x: ir.Value) -> ir.Value:
        """expm1(2 |x|) / 2 with the sign of x."""
        size = self._at_most(self._abs(x), SWING_HIGH)
        shifted = self._add(self._mul(size, self.constant(2.0 * LOG2_E)), self.constant(TO_INTEGER + BIAS))
        n = self.build.fsub(shifted, self.constant(TO_INTEGER + BIAS))
        q = self._sub(size, self._mul(n, self.constant(0.5 * LN2)))
        part = self._near_zero(SWING_P, q)
        power = self._power_of_two(shifted)
        rest = self._sub(self._mul(power, self.constant(0.5)), self.constant(0.5))
        return self._signed(self._add(self._mul(part, power), rest), x)

    def _bounded(self, swing: ir.Value) -> ir.Value:
        """tanh(x) from its swing: s / (1 + |s|)."""
        return self._div(swing, self._add(self._size(swing), self.constant(1.0)))

    def _bounded_slope(self, swing: ir.Value) -> ir.Value:
        """Return the derivative of tanh from the swing: d * (2 - d) with d = 1 - |tanh(x)|."""
        distance = self._div(self.constant(1.0), self._add(self._size(swing), self.constant(1.0)))
        return self._mul(distance, self._sub(self.constant(2.0), distance))

    def _tail(self, x: ir.Value) -> ir.Value:
        """Return the distance of sigmoid(x) from 0 or 1, whichever is nearer, with the sign of x."""
        low = self._at_least(self.build.fneg(self._abs(x)), TAIL_LOW)
        shifted = self._add(self._mul(low, self.constant(LOG2_E)), self.constant(TO_INTEGER + BIAS))
        n = self.build.fsub(shifted, self.constant(TO_INTEGER + BIAS))
        r = self._sub(low, self._mul(n, self.constant(LN2)))
        power = self._power_of_two(shifted)
        exponential = self._add(self._mul(self._near_zero(EXP_P, r), power), power)
        return self._signed(self._div(exponential, self._add(exponential, self.constant(1.0))), x)

    def _level(self, tail: ir.Value) -> ir.Value:
        """sigmoid(x) from its tail."""
        size = self._size(tail)
        negative = self.build.icmp_signed("<", self.build.bitcast(tail, self.ints), self.integer(0))
        return self.build.select(negative, size, self._sub(self.constant(1.0), size))

    def _level_slope(self, tail: ir.Value) -> ir.Value:
        """Return the derivative of sigmoid from its tail."""
        size = self._size(tail)
        return self._mul(size, self._sub(self.constant(1.0), size))

    def _exp(self, x: ir.Value) -> ir.Value:
        x = self._at_most(self._at_least(x, EXP_LOW), EXP_HIGH)
        shifted = self._add(self._mul(x, self.constant(LOG2_E)), self.constant(TO_INTEGER))
        n = self.build.fsub(shifted, self.constant(TO_INTEGER))
        # 2^n in two factors, so that the result overflows and underflows where it should.
        whole = self.build.sub(self.build.bitcast(shifted, self.ints), self.integer(TO_INTEGER_BITS))
        half = self.build.ashr(whole, self.integer(1))
        one, other = (
            self.build.bitcast(self.build.shl(self.build.add(k, self.integer(BIAS)), self.integer(23)), self.floats)
            for k in (half, self.build.sub(whole, half))
        )
        r = self._sub(self._sub(x, self._mul(n, self.constant(LN2_HIGH))), self._mul(n, self.constant(LN2_LOW)))
        return self._mul(self._add(self._mul(self._near_zero(EXP_P, r), one), one), other)

    def _near_zero(self, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
        """x + x^2 * P(x) for a polynomial of five terms, in an order in which few operations wait for each other."""
        c = [self.constant(value) for value in coefficients]
        square = self._mul(x, x)
        low = self._add(self._mul(x, c[1]), c[0])
        high = self._add(self._mul(x, c[3]), c[2])
        high = self._add(self._mul(square, c[4]), high)
        return self._add(self._mul(self._add(self._mul(high, square), low), square), x)

    def _power_of_two(self, shifted: ir.Value) -> ir.Value:
        """2^n for the number n + TO_INTEGER + BIAS, 0 for n = -BIAS."""
        return self.build.bitcast(self.build.shl(self.build.bitcast(shifted, self.ints), self.integer(23)), self.floats)

    def _signed(self, size: ir.Value, sign: ir.Value) -> ir.Value:
        """Return a number that is not negative, with the sign of another one."""
        bit = self.build.and_(self.build.bitcast(sign, self.ints), self.integer(-(1 << 31)))
        value = self.build.bitcast(self.build.or_(self.build.bitcast(size, self.ints), bit), self.floats)
        self._sizes[value] = size
        return value

    def _size(self, value: ir.Value) -> ir.Value:
        """Return the absolute value; for the result of `_signed` it is known already."""
        return self._sizes[value] if value in self._sizes else self._abs(value)

    def _at_least(self, x: ir.Value, low: float) -> ir.Value:
        return self.build.select(self._lt(x, self.constant(low)), self.constant(low), x)

    def _at_most(self, x: ir.Value, high: float) -> ir.Value:
        return self.build.select(self._gt(x, self.constant(high)), self.constant(high), x)

    def _intrinsic(self, name: str, *arguments: ir.Value) -> ir.Value:
        module = self.build.module
        name = f"llvm.{name}.v{self.width}f32"
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(self.floats, [self.floats] * len(arguments)), name)
        return self.build.call(function, arguments)


OPERATIONS: dict[str, Callable[..., ir.Value]] = {
    "add": Elementwise._add,
    "sub": Elementwise._sub,
    "mul": Elementwise._mul,
    "div": Elementwise._div,
    "neg": Elementwise._neg,
    "abs": Elementwise._abs,
    "sqrt": Elementwise._sqrt,
    "exp": Elementwise._exp,
    "floor": Elementwise._floor,
    "ceil": Elementwise._ceil,
    "trunc": Elementwise._trunc,
    "round": Elementwise._round,
    "minimum": Elementwise._minimum,
    "maximum": Elementwise._maximum,
    "lt": Elementwise._lt,
    "le": Elementwise._le,
    "gt": Elementwise._gt,
    "ge": Elementwise._ge,
    "eq": Elementwise._eq,
    "ne": Elementwise._ne,
    "and": Elementwise._and,
    "or": Elementwise._or,
    "xor": Elementwise._xor,
    "not": Elementwise._not,
    "where": Elementwise._where,
    "swing": Elementwise._swing,
    "bounded": Elementwise._bounded,
    "bounded_slope": Elementwise._bounded_slope,
    "tail": Elementwise._tail,
    "level": Elementwise._level,
    "level_slope": Elementwise._level_slope,
}
"""The operations of a graph in single precision."""
IN_DOUBLE: dict[str, Callable[..., ir.Value]] = {
    "expm1": Doubles.expm1,
    "log": Doubles.log,
    "log2": Doubles.log2,
    "log10": Doubles.log10,
    "log1p": Doubles.log1p,
    "pow": Doubles.pow,
    "erf": Doubles.erf,
    "atan": Doubles.atan,
    "sin": Doubles.sin,
    "cos": Doubles.cos,
}
"""The operations of a graph that are computed in double precision and rounded."""
