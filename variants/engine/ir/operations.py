"""What torch's elementwise operations mean: each as a function that puts its formula into a graph.

The names are those that the dispatcher sees below autograd, so derivatives are here too (`elu_backward`). A function
gets the graph and the node of each argument; what has a name in torch's signature and stands behind its star comes as a
plain value. Numbers and truth values are
kept apart as in torch: `NUMBERS` gives what an operation does where its result is a number, `TRUTHS` where it is true
or false. A formula may be another one than torch's where it is closer to the true value, never where it gives another
NaN or infinity.

A form of an operation that is not here raises TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .graph import COMPARISONS, Graph

Operation = Callable[..., "int | tuple[int, ...]"]
LARGEST = (2 - 2.0**-23) * 2.0**127


def number(graph: Graph, node: int) -> int:
    """Return a node as a number: 1 for true, 0 for false."""
    return graph.apply("where", node, graph.constant(1.0), graph.constant(0.0)) if graph.is_truth(node) else node


def truth(graph: Graph, node: int) -> int:
    """Return a node as a truth value: whether it is another number than 0."""
    return node if graph.is_truth(node) else graph.apply("ne", node, graph.constant(0.0))


def _value(graph: Graph, node: int) -> float:
    """Return the value of an argument that must be a constant."""
    value = graph.value(node)
    if value is None:
        raise TypeError
    return float(value)


def _plain(operation: str) -> Operation:
    return lambda graph, *arguments: graph.apply(operation, *arguments)


def _logic(operation: str) -> Operation:
    return lambda graph, *arguments: graph.apply(operation, *(truth(graph, a) for a in arguments))


def _comparison(operation: str) -> Operation:
    return lambda graph, *arguments: graph.apply(operation, *(number(graph, a) for a in arguments))


# Arithmetic
# ----------------------------------------------------------------------------------------------------------------


def _same(graph: Graph, x: int) -> int:
    return x


def _times(graph: Graph, *factors: int) -> int:
    product = factors[0]
    for factor in factors[1:]:
        product = graph.apply("mul", product, factor)
    return product


def _scaled(graph: Graph, x: int, factor: float) -> int:
    return graph.apply("mul", graph.constant(float(factor)), x)


def _add(graph: Graph, x: int, y: int, *, alpha: float = 1.0) -> int:
    return graph.apply("add", x, _scaled(graph, y, alpha))


def _subtract(graph: Graph, x: int, y: int, *, alpha: float = 1.0) -> int:
    return graph.apply("sub", x, _scaled(graph, y, alpha))


def _reverse_subtract(graph: Graph, x: int, y: int, *, alpha: float = 1.0) -> int:
    return _subtract(graph, y, x, alpha=alpha)


def _complement(graph: Graph, x: int) -> int:
    return graph.apply("sub", graph.constant(1.0), x)


def _reciprocal(graph: Graph, x: int) -> int:
    return graph.apply("div", graph.constant(1.0), x)


def _plus(graph: Graph, x: int, offset: float) -> int:
    return graph.apply("add", x, graph.constant(offset))


def _multiply_add(graph: Graph, x: int, y: int, z: int, *, value: float = 1.0) -> int:
    return graph.apply("add", x, graph.apply("mul", _scaled(graph, y, value), z))


def _divide_add(graph: Graph, x: int, y: int, z: int, *, value: float = 1.0) -> int:
    return graph.apply("add", x, graph.apply("div", _scaled(graph, y, value), z))


def _interpolate(graph: Graph, x: int, end: int, weight: int) -> int:
    distance = graph.apply("sub", end, x)
    from_start = graph.apply("add", x, _times(graph, weight, distance))
    from_end = graph.apply("sub", end, _times(graph, distance, _complement(graph, weight)))
    near = graph.apply("lt", graph.apply("abs", weight), graph.constant(0.5))
    return graph.apply("where", near, from_start, from_end)


# Choices
# -------------------------------------------------------------------------------------------------------------------


def _where(graph: Graph, condition: int, x: int, y: int) -> int:
    return graph.apply("where", truth(graph, condition), number(graph, x), number(graph, y))


def _masked_fill(graph: Graph, x: int, mask: int, value: int) -> int:
    return _where(graph, mask, value, x)


def _where_of_truths(graph: Graph, condition: int, x: int, y: int) -> int:
    condition, x, y = (truth(graph, n) for n in (condition, x, y))
    other = graph.apply("and", graph.apply("not", condition), y)
    return graph.apply("or", graph.apply("and", condition, x), other)


def _filled_truth(graph: Graph, x: int, mask: int, value: int) -> int:
    return _where_of_truths(graph, mask, value, x)


def _fill(graph: Graph, x: int, value: int) -> int:
    return value


def _at_least(graph: Graph, x: int, low: int) -> int:
    if graph.value(low) is None or math.isnan(_value(graph, low)):
        return graph.apply("maximum", x, low)
    return graph.apply("where", graph.apply("lt", x, low), low, x)  # in this order NaN stays NaN


def _at_most(graph: Graph, x: int, high: int) -> int:
    if graph.value(high) is None or math.isnan(_value(graph, high)):
        return graph.apply("minimum", x, high)
    return graph.apply("where", graph.apply("gt", x, high), high, x)


def _clamp(graph: Graph, x: int, low: int | None = None, high: int | None = None) -> int:
    x = x if low is None else _at_least(graph, x, low)
    return x if high is None else _at_most(graph, x, high)


def _maximum_of_numbers(graph: Graph, x: int, y: int) -> int:
    """Return the larger one; where one is NaN, the other one."""
    return graph.apply(
        "where", _is_nan(graph, x), y, graph.apply("where", _is_nan(graph, y), x, graph.apply("maximum", x, y))
    )


def _minimum_of_numbers(graph: Graph, x: int, y: int) -> int:
    """Return the smaller one; where one is NaN, the other one."""
    return graph.apply(
        "where", _is_nan(graph, x), y, graph.apply("where", _is_nan(graph, y), x, graph.apply("minimum", x, y))
    )


def _relu(graph: Graph, x: int) -> int:
    return _threshold(graph, x, graph.constant(0.0), graph.constant(0.0))  # unlike `clamp`, of slope 0 at 0


def _threshold(graph: Graph, x: int, threshold: int, value: int) -> int:
    return graph.apply("where", graph.apply("le", x, threshold), value, x)


def _threshold_backward(graph: Graph, cotangent: int, x: int, threshold: int) -> int:
    return graph.apply("where", graph.apply("le", x, threshold), graph.constant(0.0), cotangent)


def _sign(graph: Graph, x: int) -> int:
    zero, one, minus = graph.constant(0.0), graph.constant(1.0), graph.constant(-1.0)
    return graph.apply(
        "where", graph.apply("gt", x, zero), one, graph.apply("where", graph.apply("lt", x, zero), minus, zero)
    )


def _is_nan(graph: Graph, x: int) -> int:
    return graph.apply("ne", x, x)


def _is_infinite(graph: Graph, x: int) -> int:
    return graph.apply("eq", graph.apply("abs", x), graph.constant(math.inf))


def _nan_to_num(graph: Graph, x: int, nan: int | None = None, high: int | None = None, low: int | None = None) -> int:
    for found, replacement, usual in ((math.inf, high, LARGEST), (-math.inf, low, -LARGEST)):
        value = graph.constant(usual) if replacement is None else replacement
        x = graph.apply("where", graph.apply("eq", x, graph.constant(found)), value, x)
    return graph.apply("where", _is_nan(graph, x), graph.constant(0.0) if nan is None else nan, x)


# Powers and logarithms
# -----------------------------------------------------------------------------------------------------


def _power(graph: Graph, x: int, y: int) -> int:
    """x^y, by the formulas that torch uses for an exponent that is a constant."""
    one = graph.constant(1.0)
    if graph.value(x) == 1.0:
        return one
    match graph.value(y):
        case 0.0:
            return one
        case 1.0 | 2.0 | 3.0 as times:
            return _times(graph, *([x] * int(times)))
        case 0.5:
            return graph.apply("sqrt", x)
        case -0.5:
            return _inverse_root(graph, x)
        case -1.0:
            return _reciprocal(graph, x)
        case -2.0:
            return _reciprocal(graph, _times(graph, x, x))
    return graph.apply("pow", x, y)


def _inverse_root(graph: Graph, x: int) -> int:
    return _reciprocal(graph, graph.apply("sqrt", x))


def _power_of_two(graph: Graph, x: int) -> int:
    return graph.apply("pow", graph.constant(2.0), x)


def _log_of_sum(graph: Graph, x: int, y: int) -> int:
    """log(exp(x) + exp(y))."""
    distance = graph.apply("neg", graph.apply("abs", graph.apply("sub", x, y)))
    total = graph.apply("add", graph.apply("maximum", x, y), graph.apply("log1p", graph.apply("exp", distance)))
    return graph.apply("where", graph.apply("and", _is_infinite(graph, x), graph.apply("eq", x, y)), x, total)


def _tan(graph: Graph, x: int) -> int:
    return graph.apply("div", graph.apply("sin", x), graph.apply("cos", x))


def _fraction(graph: Graph, x: int) -> int:
    return graph.apply("sub", x, graph.apply("trunc", x))


# Activations
# ---------------------------------------------------------------------------------------------------------------


def _sigmoid(graph: Graph, x: int) -> int:
    """Return sigmoid from its tail, whose derivative is precise even where a gate is open or closed."""
    return graph.apply("level", graph.apply("tail", x))


def _sigmoid_backward(graph: Graph, cotangent: int, y: int) -> int:
    operation, _ = graph.nodes[y]
    slope = graph.apply("level_slope", *graph.operands(y)) if operation == "level" else _slope_of_sigmoid(graph, y)
    return _times(graph, cotangent, slope)


def _slope_of_sigmoid(graph: Graph, y: int) -> int:
    """Return the derivative of sigmoid from its value."""
    return _times(graph, y, _complement(graph, y))


def _tanh(graph: Graph, x: int) -> int:
    """Return tanh from its swing, whose derivative is precise even where a unit saturates."""
    return graph.apply("bounded", graph.apply("swing", x))


def _tanh_backward(graph: Graph, cotangent: int, y: int) -> int:
    operation, _ = graph.nodes[y]
    slope = graph.apply("bounded_slope", *graph.operands(y)) if operation == "bounded" else _slope_of_tanh(graph, y)
    return _times(graph, cotangent, slope)


def _slope_of_tanh(graph: Graph, y: int) -> int:
    """Return the derivative of tanh from its value."""
    return _complement(graph, _times(graph, y, y))


SLOPES = {"level_slope": ("level", _slope_of_sigmoid), "bounded_slope": ("bounded", _slope_of_tanh)}
"""A derivative by name: its function, and how it follows from the value of the function, with fewer digits."""


def _log_sigmoid(graph: Graph, x: int) -> tuple[int, int]:
    """Return the logarithm of the logistic function, and exp(-|x|), which its derivative uses."""
    small = graph.apply("exp", graph.apply("neg", graph.apply("abs", x)))
    return graph.apply("sub", _at_most(graph, x, graph.constant(0.0)), graph.apply("log1p", small)), small


def _log_sigmoid_backward(graph: Graph, cotangent: int, x: int, small: int) -> int:
    one = graph.constant(1.0)
    upper = graph.apply("where", graph.apply("lt", x, graph.constant(0.0)), one, small)
    return _times(graph, cotangent, graph.apply("div", upper, graph.apply("add", one, small)))


def _softplus(graph: Graph, x: int, beta: int | None = None, threshold: int | None = None) -> int:
    beta, threshold = (
        graph.constant(1.0) if beta is None else beta,
        graph.constant(20.0) if threshold is None else threshold,
    )
    steep = _times(graph, beta, x)
    curve = graph.apply("div", graph.apply("log1p", graph.apply("exp", steep)), beta)
    return graph.apply("where", graph.apply("gt", steep, threshold), x, curve)


def _softplus_backward(graph: Graph, cotangent: int, x: int, beta: int, threshold: int) -> int:
    steep = _times(graph, beta, x)
    power = graph.apply("exp", steep)
    curve = graph.apply("div", _times(graph, cotangent, power), _plus(graph, power, 1.0))
    return graph.apply("where", graph.apply("gt", steep, threshold), cotangent, curve)


def _elu(graph: Graph, x: int, alpha: int | None = None, scale: int | None = None, inner: int | None = None) -> int:
    alpha, scale, inner = (graph.constant(1.0) if n is None else n for n in (alpha, scale, inner))
    curve = _times(graph, graph.apply("expm1", _times(graph, inner, x)), _times(graph, alpha, scale))
    return graph.apply("where", graph.apply("le", x, graph.constant(0.0)), curve, _times(graph, scale, x))


def _celu(graph: Graph, x: int, alpha: int | None = None) -> int:
    alpha = graph.constant(1.0) if alpha is None else alpha
    return _elu(graph, x, alpha, None, graph.constant(1.0 / _value(graph, alpha)))


def _elu_backward(graph: Graph, cotangent: int, alpha: int, scale: int, inner: int, is_result: int, x: int) -> int:
    factor = _times(graph, alpha, scale)
    power = _times(graph, factor, graph.apply("exp", _times(graph, inner, x)))
    slope = graph.apply("add", x, factor) if graph.value(is_result) else power
    slope = graph.apply("where", graph.apply("gt", x, graph.constant(0.0)), scale, _times(graph, inner, slope))
    return _times(graph, cotangent, slope)


def _leaky_relu(graph: Graph, x: int, slope: int | None = None) -> int:
    slope = graph.constant(0.01) if slope is None else slope
    return graph.apply("where", graph.apply("gt", x, graph.constant(0.0)), x, _times(graph, slope, x))


def _leaky_relu_backward(graph: Graph, cotangent: int, x: int, slope: int, is_result: int) -> int:
    return graph.apply("where", graph.apply("gt", x, graph.constant(0.0)), cotangent, _times(graph, slope, cotangent))


def _normal_below(graph: Graph, x: int) -> int:
    """Return the part of a normal distribution that lies below x."""
    return _scaled(graph, _plus(graph, graph.apply("erf", _scaled(graph, x, math.sqrt(0.5))), 1.0), 0.5)


def _gelu_tanh(graph: Graph, x: int) -> int:
    cubic = _plus(graph, _scaled(graph, _times(graph, x, x), 0.044715), 1.0)
    return _tanh(graph, _scaled(graph, _times(graph, x, cubic), math.sqrt(2 / math.pi)))


def _gelu(graph: Graph, x: int, *, approximate: str = "none") -> int:
    if approximate == "none":
        return _times(graph, x, _normal_below(graph, x))
    return _times(graph, _scaled(graph, x, 0.5), _plus(graph, _gelu_tanh(graph, x), 1.0))


def _gelu_backward(graph: Graph, cotangent: int, x: int, *, approximate: str = "none") -> int:
    square = _times(graph, x, x)
    if approximate == "none":
        below = _normal_below(graph, x)
        rise = _scaled(graph, graph.apply("exp", _scaled(graph, square, -0.5)), 1 / math.sqrt(2 * math.pi))
    else:
        curve = _gelu_tanh(graph, x)
        below = _scaled(graph, _plus(graph, curve, 1.0), 0.5)
        inner = _scaled(graph, _plus(graph, _scaled(graph, square, 3 * 0.044715), 1.0), 0.5 * math.sqrt(2 / math.pi))
        rise = _times(graph, _complement(graph, _times(graph, curve, curve)), inner)
    return _times(graph, cotangent, graph.apply("add", below, _times(graph, x, rise)))


def _silu(graph: Graph, x: int) -> int:
    return _times(graph, x, _sigmoid(graph, x))


def _mish(graph: Graph, x: int) -> int:
    return _times(graph, x, _tanh(graph, graph.apply("log1p", graph.apply("exp", x))))


def _inside(graph: Graph, x: int, low: int, high: int, value: int) -> int:
    """Return a value where x lies strictly between two numbers, else 0."""
    inside = graph.apply("and", graph.apply("gt", x, low), graph.apply("lt", x, high))
    return graph.apply("where", inside, value, graph.constant(0.0))


def _hardtanh(graph: Graph, x: int, low: int | None = None, high: int | None = None) -> int:
    return _clamp(graph, x, graph.constant(-1.0) if low is None else low, graph.constant(1.0) if high is None else high)


def _hardtanh_backward(graph: Graph, cotangent: int, x: int, low: int, high: int) -> int:
    return _inside(graph, x, low, high, cotangent)


def _hard_sigmoid(graph: Graph, x: int) -> int:
    return graph.apply(
        "div", _clamp(graph, _plus(graph, x, 3.0), graph.constant(0.0), graph.constant(6.0)), graph.constant(6.0)
    )


def _hard_sigmoid_backward(graph: Graph, cotangent: int, x: int) -> int:
    sloped = graph.apply("div", cotangent, graph.constant(6.0))
    return _inside(graph, x, graph.constant(-3.0), graph.constant(3.0), sloped)


def _hard_swish(graph: Graph, x: int) -> int:
    lifted = _clamp(graph, _plus(graph, x, 3.0), graph.constant(0.0), graph.constant(6.0))
    return graph.apply("div", _times(graph, x, lifted), graph.constant(6.0))


def _hard_swish_backward(graph: Graph, cotangent: int, x: int) -> int:
    low, high = graph.constant(-3.0), graph.constant(3.0)
    slope = _plus(graph, graph.apply("div", x, high), 0.5)
    steep = graph.apply("where", graph.apply("ge", x, high), cotangent, _times(graph, cotangent, slope))
    return graph.apply("where", graph.apply("le", x, low), graph.constant(0.0), steep)


def _hard_shrink(graph: Graph, x: int, limit: int | None = None) -> int:
    limit = graph.constant(0.5) if limit is None else limit
    return graph.apply("where", graph.apply("le", graph.apply("abs", x), limit), graph.constant(0.0), x)


def _soft_shrink(graph: Graph, x: int, limit: int | None = None) -> int:
    limit = graph.constant(0.5) if limit is None else limit
    negative = graph.apply(
        "where", graph.apply("lt", x, graph.apply("neg", limit)), graph.apply("add", x, limit), _scaled(graph, x, 0.0)
    )
    return graph.apply("where", graph.apply("gt", x, limit), graph.apply("sub", x, limit), negative)


def _shrink_backward(graph: Graph, cotangent: int, x: int, limit: int) -> int:
    return graph.apply("where", graph.apply("gt", graph.apply("abs", x), limit), cotangent, graph.constant(0.0))


# The tables
# ----------------------------------------------------------------------------------------------------------------

SOURCES = frozenset(
    (
        "lift_fresh",
        "zeros",
        "ones",
        "full",
        "scalar_tensor",
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
    )
)
"""Operations that make a tensor of one value."""
EMPTY = frozenset(("empty", "empty_like", "new_empty"))
"""Operations that make a tensor of no value yet."""
VIEWS = frozenset(("expand", "view"))
"""Operations that leave the values as they are; another shape is refused."""
MASKS = {"where": 0, "masked_fill": 1}
"""Which argument of an operation on numbers is true or false."""
_COPIES = ("detach", "alias", "clone", "_to_copy")
_PLAIN = ("div", "neg", "abs", "sqrt", "exp", "minimum", "maximum")
_FUNCTIONS = ("expm1", "log", "log2", "log10", "log1p", "erf", "atan", "sin", "cos", "floor", "ceil", "trunc", "round")

NUMBERS: dict[str, Operation] = {
    **dict.fromkeys((*SOURCES, *EMPTY, *VIEWS, *_COPIES), _same),
    **{name: _plain(name) for name in (*_PLAIN, *_FUNCTIONS)},
    "add": _add,
    "sub": _subtract,
    "rsub": _reverse_subtract,
    "mul": _times,
    "addcmul": _multiply_add,
    "addcdiv": _divide_add,
    "lerp": _interpolate,
    "reciprocal": _reciprocal,
    "square": lambda graph, x: _times(graph, x, x),
    "pow": _power,
    "rsqrt": _inverse_root,
    "exp2": _power_of_two,
    "logaddexp": _log_of_sum,
    "tan": _tan,
    "frac": _fraction,
    "fill": _fill,
    "where": _where,
    "masked_fill": _masked_fill,
    "sgn": _sign,
    "sign": _sign,
    "clamp": _clamp,
    "clamp_min": _at_least,
    "clamp_max": _at_most,
    "fmax": _maximum_of_numbers,
    "fmin": _minimum_of_numbers,
    "nan_to_num": _nan_to_num,
    "relu": _relu,
    "threshold": _threshold,
    "threshold_backward": _threshold_backward,
    "sigmoid": _sigmoid,
    "sigmoid_backward": _sigmoid_backward,
    "tanh": _tanh,
    "tanh_backward": _tanh_backward,
    "log_sigmoid_forward": _log_sigmoid,
    "log_sigmoid_backward": _log_sigmoid_backward,
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "elu": _elu,
    "elu_backward": _elu_backward,
    "celu": _celu,
    "leaky_relu": _leaky_relu,
    "leaky_relu_backward": _leaky_relu_backward,
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "silu": _silu,
    "mish": _mish,
    "hardtanh": _hardtanh,
    "hardtanh_backward": _hardtanh_backward,
    "hardsigmoid": _hard_sigmoid,
    "hardsigmoid_backward": _hard_sigmoid_backward,
    "hardswish": _hard_swish,
    "hardswish_backward": _hard_swish_backward,
    "hardshrink": _hard_shrink,
    "hardshrink_backward": _shrink_backward,
    "softshrink": _soft_shrink,
    "softshrink_backward": _shrink_backward,
}
TRUTHS: dict[str, Operation] = {
    **dict.fromkeys((*SOURCES, *EMPTY), _same),
    **dict.fromkeys((*_COPIES, "sign", "sgn"), truth),
    **{name: _comparison(name) for name in COMPARISONS},
    **{f"{prefix}_{name}": _logic(name) for name in ("and", "or", "xor", "not") for prefix in ("logical", "bitwise")},
    "add": _logic("or"),
    "mul": _logic("and"),
    "maximum": _logic("or"),
    "minimum": _logic("and"),
    "fmax": _logic("or"),
    "fmin": _logic("and"),
    "where": _where_of_truths,
    "masked_fill": _filled_truth,
    "fill": lambda graph, x, value: truth(graph, value),
    "isnan": lambda graph, x: _is_nan(graph, number(graph, x)),
    "isinf": lambda graph, x: _is_infinite(graph, number(graph, x)),
    "isposinf": lambda graph, x: graph.apply("eq", number(graph, x), graph.constant(math.inf)),
    "isneginf": lambda graph, x: graph.apply("eq", number(graph, x), graph.constant(-math.inf)),
}
