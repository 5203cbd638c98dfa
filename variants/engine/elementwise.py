"""The operations of expression graphs as LLVM code on vectors of single-precision numbers.

All of it keeps NaN: comparisons that clamp are false for NaN, and no instruction carries a flag that lets the compiler assume that numbers
are finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from .doubles import Doubles

FLOAT = ir.FloatType()
INT = ir.IntType(32)
CONTRACT = ("contract",)  # a product and a sum may become one instruction; nothing else is relaxed

# x * P(x^2) / Q(x^2), a minimax fit of tanh by relative error on [-8.7, 8.7], where tanh is 1 to single precision: 2e-8 before rounding.
TANH_LIMIT = 8.7
TANH_P = (0.9999999851696647, 0.1340046088108205, 0.0035187371871677944, 2.0993722391054382e-05, 1.3897482851368795e-08)
TANH_Q = (1.0, 0.46733781116229506, 0.02596486779884661, 0.0003323636889290154, 7.996465674600534e-07)
# exp(r) = 1 + r + r^2 * P(r) for |r| <= log(2) / 2 (Cephes, expf).
EXP_P = (5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)
EXP_LOW, EXP_HIGH = -87.0, 89.0  # from a number that is still normal to infinity
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4  # their sum is log(2); n * LN2_HIGH is exact
TO_INTEGER = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits

IN_DOUBLE = frozenset(("expm1", "log", "log2", "log10", "log1p", "pow", "erf", "atan", "sin", "cos"))


class Elementwise:
    """Writes operations on vectors of a given width."""

    def __init__(self, build: ir.IRBuilder, width: int) -> None:
        self.build, self.width = build, width
        self.floats = ir.VectorType(FLOAT, width)
        self.ints = ir.VectorType(INT, width)

    def constant(self, value: float | bool) -> ir.Value:
        kind = ir.VectorType(ir.IntType(1), self.width) if isinstance(value, bool) else self.floats
        return ir.Constant(kind, [value] * self.width)

    def apply(self, operation: str, arguments: Sequence[ir.Value]) -> ir.Value:
        if operation in IN_DOUBLE:
            function: Callable[..., ir.Value] = getattr(Doubles(self.build, self.width), operation)
            return function(*arguments)
        return getattr(self, f"_{operation}")(*arguments)

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

    def _tanh(self, x: ir.Value) -> ir.Value:
        x = self._clamp(x, -TANH_LIMIT, TANH_LIMIT)
        square = self._mul(x, x)
        ratio = self._div(self._mul(x, self._polynomial(TANH_P, square)), self._polynomial(TANH_Q, square))
        return self._clamp(ratio, -1.0, 1.0)

    def _sigmoid(self, x: ir.Value) -> ir.Value:
        one = self.constant(1.0)
        return self._div(one, self._add(one, self._exp_within(self._clamp(self._neg(x), EXP_LOW, EXP_HIGH))))

    def _exp(self, x: ir.Value) -> ir.Value:
        root = self._exp_within(self._clamp(self._mul(x, self.constant(0.5)), -52.0, 52.0))
        return self._mul(root, root)  # so that it overflows and underflows where it should

    def _exp_within(self, x: ir.Value) -> ir.Value:
        """The exponential function between EXP_LOW and EXP_HIGH: 2^n * exp(x - n log 2)."""
        shifted = self._add(self._mul(x, self.constant(LOG2_E)), self.constant(TO_INTEGER))
        n = self.build.fsub(shifted, self.constant(TO_INTEGER))
        r = self._sub(self._sub(x, self._mul(n, self.constant(LN2_HIGH))), self._mul(n, self.constant(LN2_LOW)))
        fraction = self._add(self._add(self._mul(self._polynomial(EXP_P, r), self._mul(r, r)), r), self.constant(1.0))
        bits = self.build.add(self.build.bitcast(shifted, self.ints), ir.Constant(self.ints, [127] * self.width))
        power = self.build.bitcast(self.build.shl(bits, ir.Constant(self.ints, [23] * self.width)), self.floats)
        return self._mul(fraction, power)

    def _polynomial(self, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
        value = self.constant(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            value = self._add(self._mul(value, x), self.constant(c))
        return value

    def _clamp(self, x: ir.Value, low: float, high: float) -> ir.Value:
        least, most = self.constant(low), self.constant(high)
        x = self.build.select(self._lt(x, least), least, x)
        return self.build.select(self._gt(x, most), most, x)

    def _intrinsic(self, name: str, *arguments: ir.Value) -> ir.Value:
        module = self.build.module
        name = f"llvm.{name}.v{self.width}f32"
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(self.floats, [self.floats] * len(arguments)), name)
        return self.build.call(function, arguments)
