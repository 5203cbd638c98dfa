"""Functions that need more digits than they give, as LLVM code: single precision in and out, double precision between.

A result is the rounded value of one that is right to about 1e-10, so half a unit in the last place. Double precision
also makes short work of denormal numbers, of overflow and of long arguments. The polynomials are least-squares fits on
Chebyshev nodes, made with 40 digits.

Sources: log(1 + x) as in s_log1p.c of fdlibm (Sun Microsystems 1993) and the angle within a quarter of a turn as in its
e_rem_pio2.c; very long angles after Payne & Hanek 1983, "Radian Reduction for Trigonometric Functions".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from llvmlite import ir

CONTRACT = ("contract",)
LONG = ir.IntType(64)
# expm1(r) = r + r^2 * P(r) for |r| <= log(2) / 2.
EXPM1_P = (
    0.49999999999954736,
    0.16666666719322767,
    0.04166666678700098,
    0.008333298340603958,
    0.0013888838907577356,
    0.00019899392456492918,
    2.4868004871807483e-05,
)
# 2^f = P(f) for |f| <= 1/2.
EXP2_P = (
    0.9999999999997472,
    0.693147180546472,
    0.24022650699071557,
    0.055504109395689394,
    0.009618128505520901,
    0.0013333451806296416,
    0.00015403874949286385,
    1.5309812902325425e-05,
    1.3171371768884978e-06,
)
# log((1 + s) / (1 - s)) = s * (2 + s^2 * P(s^2)) for numbers between sqrt(1/2) and sqrt(2).
LOG_P = (0.6666666666741662, 0.3999999874240445, 0.28571765512399866, 0.2219071569019063, 0.19375779455401193)
# erf(x) = x * P(x^2) for |x| <= 3.92, where it is 1 to single precision.
ERF_LIMIT = 3.92
ERF_P = (
    1.128379167053974,
    -0.3761263871074451,
    0.11283790147733329,
    -0.02686612175708638,
    0.00522389316981942,
    -0.0008547421768031943,
    0.00012048780339591924,
    -1.4891791195379964e-05,
    1.6332298346666275e-06,
    -1.5986060763523642e-07,
    1.394140155852028e-08,
    -1.072729915681359e-09,
    7.157157500961682e-11,
    -4.043915554158348e-12,
    1.8797908121533987e-13,
    -6.9397978936837825e-15,
    1.9432732071055547e-16,
    -3.856764225464575e-18,
    4.814339668390071e-20,
    -2.8335551677231833e-22,
)
# atan(x) = x * P(x^2) for |x| <= 1.
ATAN_P = (
    0.9999999999318802,
    -0.3333333135030654,
    0.19999903388683923,
    -0.14283847808970396,
    0.11092192118764035,
    -0.08975399834202512,
    0.07231781136037786,
    -0.05402101080682266,
    0.03390226572987034,
    -0.015884236200469807,
    0.004755748637492676,
    -0.0006675804334831933,
)
# sin(x) = x + x^3 * P(x^2) and cos(x) = 1 + x^2 * P(x^2) for |x| <= pi / 4.
SIN_P = (-0.16666666663835572, 0.008333331866776412, -0.00019840082365179317, 2.724935206141975e-06)
COS_P = (-0.4999999996890842, 0.04166665055904727, -0.0013887584428341768, 2.4463166044043027e-05)
# their sum is pi / 2; n * HALF_PI_HIGH is exact up to 2^28
HALF_PI_HIGH, HALF_PI_LOW = 1.5707963109016418, 1.5893254773528196e-08
LONG_ANGLE = 2.0**28
# The binary digits of 1 / (2 pi) behind the point, 32 to a word.
TURNS = (0x28BE60DB, 0x9391054A, 0x7F09D5F4, 0x7D4D3770, 0x36D8A566, 0x4F10E410, 0x7F9458EA)
TO_INTEGER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits
ROOT_HALF = 0x3FE6A09E00000000  # the bits of sqrt(1/2), almost
ONE = 0x3FF0000000000000  # the bits of 1.0
MANTISSA = 0x000FFFFFFFFFFFFF
TWO_52 = 0x4330000000000000  # the bits of 2^52: a small integer in its low bits is added to it


class Doubles:
    """Writes functions of vectors of a given width."""

    def __init__(self, build: ir.IRBuilder, width: int) -> None:
        self.build, self.width = build, width
        self.floats, self.doubles, self.longs = (
            ir.VectorType(kind, width) for kind in (ir.FloatType(), ir.DoubleType(), LONG)
        )

    def expm1(self, x: ir.Value) -> ir.Value:
        given = self._wide(x)
        x = self._clamp(given, -100.0, 100.0)
        shifted = self._add(self._times(x, 1.0 / math.log(2.0)), self._number(TO_INTEGER))
        r = self._sub(x, self._times(self._sub(shifted, self._number(TO_INTEGER)), math.log(2.0)))
        small = self._add(self._mul(self._mul(r, r), self._polynomial(EXPM1_P, r)), r)
        power = self._power_of_two(shifted)
        value = self._add(self._mul(small, power), self._sub(power, self._number(1.0)))
        return self._narrow(self._copysign(self._abs(value), given))

    def log(self, x: ir.Value) -> ir.Value:
        return self._narrow(self._log(self._wide(x)))

    def log2(self, x: ir.Value) -> ir.Value:
        return self._narrow(self._times(self._log(self._wide(x)), 1.0 / math.log(2.0)))

    def log10(self, x: ir.Value) -> ir.Value:
        return self._narrow(self._times(self._log(self._wide(x)), 1.0 / math.log(10.0)))

    def log1p(self, x: ir.Value) -> ir.Value:
        x = self._wide(x)
        return self._narrow(self._copysign(self._abs(self._log(self._add(x, self._number(1.0)), x)), x))

    def pow(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """x^y as in IEEE 754: 1 for y = 0 and for x = 1, also where the other one is NaN."""
        build, x, y = self.build, self._wide(x), self._wide(y)
        size, zero, one, infinity = self._abs(x), self._number(0.0), self._number(1.0), self._number(math.inf)
        result = self._exp2(self._mul(y, self._times(self._log(size), 1.0 / math.log(2.0))))
        whole = build.fcmp_ordered("==", self._intrinsic("trunc", y), y)
        half = self._times(y, 0.5)
        odd = build.and_(whole, build.fcmp_ordered("!=", self._intrinsic("trunc", half), half))
        negative = build.icmp_signed("<", build.bitcast(x, self.longs), self._integer(0))
        result = build.select(build.and_(odd, negative), build.fneg(result), result)
        finite = build.and_(build.fcmp_ordered("<", x, zero), build.fcmp_ordered("<", size, infinity))
        result = build.select(build.and_(finite, build.not_(whole)), self._number(math.nan), result)
        endless = build.and_(build.fcmp_ordered("==", self._abs(y), infinity), build.fcmp_ordered("==", size, one))
        ones = build.or_(build.or_(build.fcmp_ordered("==", y, zero), build.fcmp_ordered("==", x, one)), endless)
        return self._narrow(build.select(ones, one, result))

    def erf(self, x: ir.Value) -> ir.Value:
        x = self._clamp(self._wide(x), -ERF_LIMIT, ERF_LIMIT)
        return self._narrow(self._mul(x, self._polynomial(ERF_P, self._mul(x, x))))

    def atan(self, x: ir.Value) -> ir.Value:
        build, x = self.build, self._wide(x)
        steep = build.fcmp_ordered(">", self._abs(x), self._number(1.0))
        a = build.select(steep, build.fdiv(self._number(-1.0), x), x)
        angle = self._mul(a, self._polynomial(ATAN_P, self._mul(a, a)))
        quarter = self._copysign(self._number(math.pi / 2), x)
        return self._narrow(build.select(steep, self._add(angle, quarter), angle))

    def sin(self, x: ir.Value) -> ir.Value:
        return self._circular(x, 0)

    def cos(self, x: ir.Value) -> ir.Value:
        return self._circular(x, 1)

    def _circular(self, x: ir.Value, ahead: int) -> ir.Value:
        """Return the sine of x and a number of quarters of a turn."""
        build = self.build
        wide = self._wide(x)
        shifted = self._add(self._times(wide, 2.0 / math.pi), self._number(TO_INTEGER))
        n = self._sub(shifted, self._number(TO_INTEGER))
        near = self._sub(self._sub(wide, self._times(n, HALF_PI_HIGH)), self._times(n, HALF_PI_LOW))
        near_quarter = build.bitcast(shifted, self.longs)
        size = self._abs(wide)
        is_long = build.fcmp_ordered(">=", size, self._number(LONG_ANGLE))
        # infinity becomes NaN as it is
        far = build.and_(is_long, build.fcmp_ordered("<", size, self._number(math.inf)))
        lanes = ir.IntType(self.width)
        before = build.block
        with build.if_then(build.icmp_unsigned("!=", build.bitcast(far, lanes), lanes(0)), likely=False):
            far_angle, far_quarter = self._long_angle(x)
            angle, quarter = build.select(far, far_angle, near), build.select(far, far_quarter, near_quarter)
            inside = build.block
        found = []
        for there, here in ((angle, near), (quarter, near_quarter)):
            value = build.phi(here.type)
            value.add_incoming(here, before)
            value.add_incoming(there, inside)
            found.append(value)
        angle, quarter = found
        quarter = build.add(quarter, self._integer(ahead))
        square = self._mul(angle, angle)
        sine = self._add(self._mul(self._mul(angle, square), self._polynomial(SIN_P, square)), angle)
        cosine = self._add(self._mul(square, self._polynomial(COS_P, square)), self._number(1.0))
        value = build.select(self._bit(quarter, 1), cosine, sine)
        return self._narrow(build.select(self._bit(quarter, 2), build.fneg(value), value))

    def _long_angle(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the angle from the nearest quarter of a turn and that quarter's number, for |x| from LONG_ANGLE on.

        |x| = m * 2^e with an integer m of 24 bits. Of x / (2 pi), whole turns do not matter: the digits of 1 / (2 pi)
        from number e on do.
        """
        build = self.build
        bits = build.zext(build.bitcast(x, ir.VectorType(ir.IntType(32), self.width)), self.longs)
        m = build.or_(build.and_(bits, self._integer(0x7FFFFF)), self._integer(0x800000))
        e = build.sub(build.and_(build.lshr(bits, self._integer(23)), self._integer(0xFF)), self._integer(150))
        word, shift = build.lshr(e, self._integer(5)), build.and_(e, self._integer(31))

        def digits(first: int) -> ir.Value:
            """32 digits, `first` words behind the place."""
            chosen = self._integer(TURNS[first])
            for k in range(1, 4):
                chosen = build.select(
                    build.icmp_unsigned("==", word, self._integer(k)), self._integer(TURNS[first + k]), chosen
                )
            return chosen

        words = [digits(k) for k in range(4)]
        long_word = [build.or_(build.shl(words[k], self._integer(32)), words[k + 1]) for k in (0, 2)]
        rest = build.lshr(build.shl(words[2], shift), self._integer(32))
        high = build.or_(build.shl(long_word[0], shift), rest)
        low = build.lshr(build.shl(long_word[1], shift), self._integer(32))
        turn = build.add(build.mul(m, high), build.lshr(build.mul(m, low), self._integer(32)))  # in units of 2^-64
        quarter = build.lshr(build.add(turn, self._integer(1 << 61)), self._integer(62))
        left = build.sub(turn, build.shl(quarter, self._integer(62)))
        angle = self._times(build.sitofp(left, self.doubles), math.pi / 2 * 2.0**-62)
        negative = build.icmp_unsigned("!=", build.lshr(bits, self._integer(31)), self._integer(0))
        return build.select(negative, build.fneg(angle), angle), build.select(negative, build.neg(quarter), quarter)

    def _log(self, x: ir.Value, less: ir.Value | None = None) -> ir.Value:
        """Return the logarithm of x, which is 1 + `less` where that is given."""
        build = self.build
        moved = build.add(build.bitcast(x, self.longs), self._integer(ONE - ROOT_HALF))
        exponent = build.lshr(moved, self._integer(52))
        fraction = build.bitcast(
            build.add(build.and_(moved, self._integer(MANTISSA)), self._integer(ROOT_HALF)), self.doubles
        )
        f = self._sub(fraction, self._number(1.0))
        if less is not None:
            f = build.select(build.icmp_unsigned("==", exponent, self._integer(1023)), less, f)
        k = self._sub(
            build.bitcast(build.or_(exponent, self._integer(TWO_52)), self.doubles), self._number(2.0**52 + 1023)
        )
        s = build.fdiv(f, self._add(f, self._number(2.0)))
        square = self._mul(s, s)
        tail = self._add(self._mul(square, self._polynomial(LOG_P, square)), self._number(2.0))
        value = self._add(self._mul(s, tail), self._times(k, math.log(2.0)))
        positive = build.fcmp_ordered(">", x, self._number(0.0))
        usual = build.and_(positive, build.fcmp_ordered("<", x, self._number(math.inf)))
        is_zero = build.fcmp_ordered("==", x, self._number(0.0))
        other = build.select(positive, x, build.select(is_zero, self._number(-math.inf), self._number(math.nan)))
        return build.select(usual, value, other)

    def _exp2(self, x: ir.Value) -> ir.Value:
        x = self._clamp(x, -1000.0, 1000.0)
        shifted = self._add(x, self._number(TO_INTEGER))
        fraction = self._sub(x, self._sub(shifted, self._number(TO_INTEGER)))
        return self._mul(self._polynomial(EXP2_P, fraction), self._power_of_two(shifted))

    def _power_of_two(self, shifted: ir.Value) -> ir.Value:
        """2^n for the number n + TO_INTEGER."""
        bits = self.build.add(self.build.bitcast(shifted, self.longs), self._integer(1023))
        return self.build.bitcast(self.build.shl(bits, self._integer(52)), self.doubles)

    def _polynomial(self, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
        value = self._number(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            value = self._add(self._mul(value, x), self._number(c))
        return value

    def _clamp(self, x: ir.Value, low: float, high: float) -> ir.Value:
        least, most = self._number(low), self._number(high)
        x = self.build.select(self.build.fcmp_ordered("<", x, least), least, x)
        return self.build.select(self.build.fcmp_ordered(">", x, most), most, x)

    def _copysign(self, size: ir.Value, sign: ir.Value) -> ir.Value:
        bit = self.build.and_(self.build.bitcast(sign, self.longs), self._integer(-(1 << 63)))
        return self.build.bitcast(self.build.or_(self.build.bitcast(size, self.longs), bit), self.doubles)

    def _bit(self, x: ir.Value, mask: int) -> ir.Value:
        return self.build.icmp_unsigned("!=", self.build.and_(x, self._integer(mask)), self._integer(0))

    def _abs(self, x: ir.Value) -> ir.Value:
        return self._intrinsic("fabs", x)

    def _intrinsic(self, name: str, x: ir.Value) -> ir.Value:
        name = f"llvm.{name}.v{self.width}f64"
        function = self.build.module.globals.get(name)
        if function is None:
            function = ir.Function(self.build.module, ir.FunctionType(self.doubles, [self.doubles]), name)
        return self.build.call(function, [x])

    def _wide(self, x: ir.Value) -> ir.Value:
        return self.build.fpext(x, self.doubles)

    def _narrow(self, x: ir.Value) -> ir.Value:
        return self.build.fptrunc(x, self.floats)

    def _number(self, value: float) -> ir.Value:
        return ir.Constant(self.doubles, [value] * self.width)

    def _integer(self, value: int) -> ir.Value:
        return ir.Constant(self.longs, [value] * self.width)

    def _add(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fadd(x, y, flags=CONTRACT)

    def _sub(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fsub(x, y, flags=CONTRACT)

    def _mul(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.build.fmul(x, y, flags=CONTRACT)

    def _times(self, x: ir.Value, factor: float) -> ir.Value:
        return self._mul(x, self._number(factor))
