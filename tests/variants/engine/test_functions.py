"""What torch's functions mean in a fused cell: the same numbers, NaN and infinities, truth values, and derivatives."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from variants import Cell, Gate, Recurrent, feed
from variants.engine import Inputs, Request, eager, fused
from variants.engine.ir.graph import Graph

UNITS = 29
SPECIAL = [
    math.nan,
    math.inf,
    -math.inf,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    -3.0,
    6.0,
    -6.0,
    0.1,
    0.3,
    0.4,
    1.5,
    2.5,
    -1.5,
]
SPECIAL += [1e-40, -1e-40, 1e-30, -1e-30, 1e-10, 20.0, 20.5, 88.0, -88.0, 89.0, -89.0, 104.0, -104.0]
LARGE = [1e5, -1e10, 5e8, -7e20, 1e30, 1e38, -1e38]


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


class Hidden(NamedTuple):
    h: Tensor


def cell_of(function: Callable[..., Tensor], arguments: int) -> Cell:
    """A cell whose new state is a function of the old one."""

    class Function(Cell):
        State = Pair
        gates = (Gate("g", hears=()),)

        def step(self, a, s, p):
            return Pair(x=function(s.x) if arguments == 1 else function(s.x, s.y), y=s.y)

    return Function()


def results(engine, cell: Cell, state: Pair, kind: torch.dtype) -> list[Tensor]:
    """The new x of one step, and the derivatives of a weighted sum of it by the old state."""
    x, y = (v.to(kind).requires_grad_() for v in state)
    batch, units = x.shape
    inputs = Inputs(*(torch.zeros(shape, dtype=kind) for shape in ((1, batch, 1), (units, 1), (units,))))
    _, final = engine.run(Request(cell, inputs, Pair(x, y)))
    weights = torch.linspace(0.5, 1.5, x.numel(), dtype=kind).view_as(x)
    if not final.x.requires_grad:
        return [final.x]
    gradients = torch.autograd.grad((final.x * weights).sum(), (x, y), allow_unused=True)
    return [final.x.detach(), *(torch.zeros_like(x) if g is None else g for g in gradients)]


def one_argument() -> Pair:
    source = torch.Generator().manual_seed(0)
    drawn = [torch.randn(300, generator=source) * scale for scale in (3.0, 0.05, 30.0)] + [
        1 + 0.01 * torch.randn(300, generator=source)
    ]
    spread = torch.logspace(-38, 38, 300)
    x = torch.cat([torch.tensor(SPECIAL + LARGE), *drawn, spread, -spread])
    x = x[: len(x) // UNITS * UNITS].view(-1, UNITS)
    return Pair(x, torch.zeros_like(x))


def two_arguments() -> Pair:
    source = torch.Generator().manual_seed(0)
    columns = torch.meshgrid(torch.tensor(SPECIAL[:26]), torch.tensor(SPECIAL[:26]), indexing="ij")
    x, y = (torch.cat([c.flatten(), torch.randn(600, generator=source) * 3.0]) for c in columns)
    whole = len(x) // UNITS * UNITS
    return Pair(x[:whole].view(-1, UNITS), y[:whole].view(-1, UNITS))


ONE = {
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "square": torch.square,
    "abs": torch.abs,
    "relu": torch.relu,
    "softplus": F.softplus,
    "softplus with beta": lambda x: F.softplus(x, 2.0, 10.0),
    "logsigmoid": F.logsigmoid,
    "elu": F.elu,
    "elu with alpha": lambda x: F.elu(x, 0.5),
    "elu in place": lambda x: F.elu(x + 0.0, inplace=True),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.7),
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "leaky_relu": F.leaky_relu,
    "leaky_relu with slope": lambda x: F.leaky_relu(x, 0.3),
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": F.hardshrink,
    "softshrink": lambda x: F.softshrink(x, 0.4),
    "softsign": F.softsign,
    "threshold": lambda x: F.threshold(x, 0.25, 0.5),
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "atan": torch.atan,
    "erf": torch.erf,
    "x ** 0": lambda x: x**0,
    "x ** 1": lambda x: x**1,
    "x ** 2": lambda x: x**2,
    "x ** 3": lambda x: x**3,
    "x ** 4": lambda x: x**4,
    "x ** 5": lambda x: x**5,
    "x ** 2.5": lambda x: x**2.5,
    "x ** 0.5": lambda x: x**0.5,
    "x ** -0.5": lambda x: x**-0.5,
    "x ** -1": lambda x: x**-1,
    "x ** -2": lambda x: x**-2,
    "x ** -3": lambda x: x**-3,
    "x ** -0.75": lambda x: x**-0.75,
    "2 ** x": lambda x: 2.0**x,
    "1 ** x": lambda x: 1.0**x,
    "clamp": lambda x: x.clamp(-0.5, 0.75),
    "clamp(min=)": lambda x: x.clamp(min=0.25),
    "clamp(max=)": lambda x: x.clamp(max=0.25),
    "clamp with exchanged bounds": lambda x: x.clamp(0.75, -0.5),
    "clamp with NaN": lambda x: x.clamp(math.nan, 0.75),
    "clamp_min": lambda x: x.clamp_min(0.25),
    "clamp_max": lambda x: torch.clamp_max(x, 0.25),
    "clip": lambda x: x.clip(-0.5, 0.75),
    "lerp near the start": lambda x: torch.lerp(x, -x, 0.25),
    "lerp near the end": lambda x: torch.lerp(x, -x, 0.75),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
    "frac": torch.frac,
    "sign": lambda x: torch.sign(x) * x,
    "nan_to_num": torch.nan_to_num,
    "nan_to_num with values": lambda x: torch.nan_to_num(x, 1.0, 2.0, -2.0),
    "isnan": lambda x: torch.where(torch.isnan(x), 2.0, x),
    "isinf": lambda x: torch.where(torch.isinf(x), 2.0, x),
    "isposinf": lambda x: torch.where(torch.isposinf(x), 2.0, x),
    "isneginf": lambda x: torch.where(torch.isneginf(x), 2.0, x),
    "isfinite": lambda x: torch.where(torch.isfinite(x), x, 2.0),
    "NaN as a constant": lambda x: torch.where(x > 0.3, x, math.nan),
    "prelu": lambda x: torch.where(x > 0, x, 0.25 * x),
    # Truth values.
    "true + true": lambda x: ((x > 0) + (x < 1)) * x,
    "true * true": lambda x: ((x > 0) * (x < 1)) * x,
    "true + number": lambda x: ((x > 0) + 0.5) * x,
    "true / true": lambda x: ((x > 0) / (x < 9)) * x,
    "true < true": lambda x: ((x > 0) < (x > 1)) * x,
    "true == true": lambda x: ((x > 0) == (x > 1)) * x,
    "maximum of truths": lambda x: torch.maximum(x > 0, x < -1) * x,
    "minimum of truths": lambda x: torch.minimum(x > 0, x < 1) * x,
    "where of truths": lambda x: torch.where(torch.where(x > 0, x < 1, x > -2), x, -x),
    "xor": lambda x: ((x > 0) ^ (x < 1)) * x,
    "logical_xor": lambda x: torch.logical_xor(x > 0.3, x) * x,
    "sign of a truth": lambda x: (x > 0).sign() * x,
    "power of a truth": lambda x: (x > 0) ** 2.0 * x,
    "exp of a truth": lambda x: torch.exp(x > 0) * x,
    "number as a truth": lambda x: torch.where(x.bool(), x, 1.0),
    "truth filled": lambda x: (x > 0).masked_fill(x > 1, value=False) * x,
    "truth in place": lambda x: (x > 0).add_(x < -1) * x,
    "comparison in place": lambda x: (x + 0.0).detach().gt_(0.3) * x,
    # What must not be simplified.
    "0 * x": lambda x: 0.0 * x,
    "x * 0": lambda x: x * 0.0,
    "0 / x": lambda x: 0.0 / x,
    "1 / (x + 0)": lambda x: 1.0 / (x + 0.0),
    "1 / (0 - x)": lambda x: 1.0 / (0.0 - x),
}
TWO = {
    "clamp by tensors": lambda x, y: x.clamp(min=y, max=y + 1),
    "clamp(min=) by a tensor": lambda x, y: x.clamp(min=y),
    "clamp(max=) by a tensor": lambda x, y: torch.clamp(x, max=y),
    "lerp": lambda x, y: torch.lerp(x, -x, y),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=2),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y, value=0.5),
    "sub with alpha": lambda x, y: torch.sub(x, y, alpha=0.5),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "fmax": torch.fmax,
    "fmin": torch.fmin,
    "logaddexp": torch.logaddexp,
    "pow": torch.pow,
    "where": lambda x, y: torch.where(x > y, x, y),
    "sum of truths": lambda x, y: ((x > y) + (y > 1)) * x,
}
CASES = [pytest.param(f, 1, id=name) for name, f in ONE.items()] + [
    pytest.param(f, 2, id=name) for name, f in TWO.items()
]


def worst(actual: Tensor, exact: Tensor) -> float:
    """The largest relative error of finite results that have all their digits in single precision, or should be 0."""
    compared = (
        actual.isfinite() & exact.float().isfinite() & ((exact.abs() > torch.finfo(torch.float32).tiny) | (exact == 0))
    )
    error = (actual.double() - exact).abs() / torch.where(exact == 0, 1.0, exact.abs())
    return float(error[compared].max()) if compared.any() else 0.0


def unlike(one: Tensor, other: Tensor) -> Tensor:
    """Where only one of two is not a number, or infinite, or they are different infinities."""
    return (one.isnan() != other.isnan()) | (one.isinf() != other.isinf()) | (one.isinf() & (one != other))


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_a_function_and_its_derivatives_are_as_exact_as_torchs_and_keep_nan_and_infinity(function, arguments):
    cell, state = cell_of(function, arguments), one_argument() if arguments == 1 else two_arguments()
    assert fused.why_not(cell) == ""
    found, torchs = (results(engine, cell, state, torch.float32) for engine in (fused, eager))
    exact = results(eager, cell, state, torch.float64)
    for what, ours, theirs, truth in zip(
        ("output", "derivative by x", "derivative by y"), found, torchs, exact, strict=False
    ):
        # torch's own code for some processors errs: gelu(inf) is nan with AVX-512. Then the exact value is right.
        wrong = unlike(ours, theirs) & unlike(ours, truth.float())
        at = [float(v.detach()[wrong][0]) if wrong.any() else 0.0 for v in (state.x, state.y, ours, theirs)]
        assert not wrong.any(), f"{what} at x = {at[0]}, y = {at[1]}: {at[2]} instead of {at[3]}"
        assert worst(ours, truth) <= max(5e-7, 2.0 * worst(theirs, truth)), what


class Curve(torch.autograd.Function):
    """A value whose derivative is known better than autograd computes it."""

    @staticmethod
    def forward(ctx, x, value, slope):
        ctx.save_for_backward(slope)
        return value

    @staticmethod
    def backward(ctx, cotangent):
        return cotangent * ctx.saved_tensors[0], None, None


def exact_tanh(x: Tensor) -> Tensor:
    return Curve.apply(x, torch.tanh(x), torch.cosh(x.detach()) ** -2)


def exact_sigmoid(x: Tensor) -> Tensor:
    return Curve.apply(x, torch.sigmoid(x), 0.25 * torch.cosh(0.5 * x.detach()) ** -2)


def of_preactivations(function: Callable[[Tensor], Tensor]) -> Cell:
    """A cell of a single unit whose new state depends on a function of its input, which is no state itself."""

    class OfInput(Cell):
        State = Hidden
        gates = (Gate("a", hears=()),)

        def step(self, a, s, p):
            return Hidden(h=2.0 * function(a.a))

    return OfInput()


def of_input(engine, cell: Cell, x: Tensor) -> tuple[Tensor, Tensor]:
    """The function that `of_preactivations` was given, and its derivative."""
    x = x.clone().requires_grad_()
    zeros = torch.zeros(len(x), 1, dtype=x.dtype)
    _, final = engine.run(Request(cell, Inputs(x.view(1, -1, 1), torch.ones(1, 1, dtype=x.dtype)), Hidden(zeros)))
    (slope,) = torch.autograd.grad(final.h.sum(), x)
    return final.h.detach().flatten() / 2, slope / 2


@pytest.mark.parametrize(
    ("function", "exact"), [(torch.tanh, exact_tanh), (torch.sigmoid, exact_sigmoid)], ids=["tanh", "sigmoid"]
)
def test_a_derivative_keeps_its_digits_where_a_unit_saturates(function, exact):
    """Autograd takes it from 1 - y, of which nothing is left at x = 9."""
    x = torch.cat([torch.linspace(-40.0, 40.0, 8001), torch.logspace(-30, 0, 301)])
    value, slope = of_input(fused, of_preactivations(function), x)
    true_value, true_slope = of_input(eager, of_preactivations(exact), x.double())
    assert worst(value, true_value) < 2.5e-7
    assert worst(slope, true_slope) < 4e-7
    state = Pair(x[: len(x) // 7 * 7].view(-1, 7), torch.zeros(len(x) // 7, 7))
    found = results(fused, cell_of(function, 1), state, torch.float32)
    truth = results(eager, cell_of(exact, 1), state, torch.float64)
    assert worst(found[1], truth[1]) < 4e-7


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid], ids=["tanh", "sigmoid"])
def test_saturation_is_exact(function):
    x = torch.tensor([math.nan, math.inf, -math.inf, 1e30, -1e30, 100.0, -100.0, 0.0])
    (value, slope), (known, _) = (of_input(engine, of_preactivations(function), x) for engine in (fused, eager))
    assert torch.equal(value.nan_to_num(7.0), known.nan_to_num(7.0))
    assert slope[0].isnan()
    assert float(slope[1:-1].abs().max()) < 1e-30


NUMPY: dict[str, tuple[Callable, Callable, Callable]] = {
    "log": (torch.log, np.log, lambda x: 1.0 / x),
    "logsigmoid": (F.logsigmoid, lambda x: -np.logaddexp(0.0, -x), lambda x: 1.0 / (1.0 + np.exp(x))),
    "softplus": (F.softplus, lambda x: np.logaddexp(0.0, x), lambda x: 1.0 / (1.0 + np.exp(-x))),
    "sin": (torch.sin, np.sin, np.cos),
    "cos": (torch.cos, np.cos, lambda x: -np.sin(x)),
}
"""A function, and itself and its derivative in NumPy."""


@pytest.mark.parametrize("name", NUMPY)
def test_a_function_of_a_gate_is_that_of_numpy_in_double_precision_to_a_few_units_in_the_last_place(name):
    function, value, slope = NUMPY[name]
    x = torch.cat([torch.linspace(-30.0, 19.9, 4001), torch.logspace(-6, 1.2, 301)])
    x = x.abs() + 1e-7 if name == "log" else x
    numbers = x.double().numpy()
    for ours, exact in zip(of_input(fused, of_preactivations(function), x), (value, slope), strict=True):
        assert worst(ours, torch.from_numpy(exact(numbers))) < 4 * 2.0**-23


CONSTANTS = (0.0, -0.0, 1.0, -1.0, math.inf, math.nan)
ARITHMETIC: dict[str, Callable] = {
    "x + c": lambda x, c: x + c,
    "c + x": lambda x, c: c + x,
    "x - c": lambda x, c: x - c,
    "c - x": lambda x, c: c - x,
    "x * c": lambda x, c: x * c,
    "x / c": lambda x, c: x / torch.full_like(x, c),
    "c / x": lambda x, c: torch.full_like(x, c) / x,
    "-(c * -x)": lambda x, c: -(c * -x),
}


@pytest.mark.parametrize("operation", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic_with_a_constant_gives_torchs_bits(operation):
    state = NamedTuple("Many", [(f"c{k}", Tensor) for k in range(len(CONSTANTS))])  # type: ignore[misc]

    class WithConstants(Cell):
        State = state
        gates = (Gate("g", hears=()),)

        def step(self, a, s, p):
            return state(*(operation(x, c) for x, c in zip(s, CONSTANTS, strict=True)))

    x = torch.tensor(SPECIAL).view(1, -1)
    inputs = Inputs(torch.zeros(1, 1, 1), torch.zeros(x.shape[1], 1), torch.zeros(x.shape[1]))
    (_, ours), (_, theirs) = (
        engine.run(Request(WithConstants(), inputs, state(*[x] * len(CONSTANTS)))) for engine in (fused, eager)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.isnan(), other.isnan())
        assert torch.equal(one.nan_to_num(7.0).view(torch.int32), other.nan_to_num(7.0).view(torch.int32))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param(lambda x: x - x.mean(), "'mean' is not elementwise", id="reduction"),
        pytest.param(lambda x: x.cumsum(-1), "'cumsum' is not elementwise", id="cumulative sum"),
        pytest.param(lambda x: x * torch.rand_like(x), "'rand_like' is not elementwise", id="random numbers"),
        pytest.param(lambda x: torch.bernoulli(x.sigmoid()), "'bernoulli' is not elementwise", id="random truths"),
        pytest.param(lambda x: torch.cat([x[:, :1], x[:, 1:]], 1), "'slice' is not elementwise", id="slices"),
        pytest.param(lambda x: x * ((x > 0) + (x > 1) + 1), "gives torch.int64", id="integers"),
        pytest.param(
            lambda x: torch.add(x > 0, x > 1, alpha=2) * x, "'add' is used in a form", id="truth times a number"
        ),
        pytest.param(lambda x: torch.round(x, decimals=1), "'round' is used in a form", id="decimals"),
    ],
)
def test_what_is_not_elementwise_is_refused_with_its_reason(function, reason):
    assert reason in fused.why_not(cell_of(function, 1))


def test_a_derivative_that_does_not_arrive_is_not_computed():
    """Autograd leaves it out, so 0 times infinity must not become NaN."""
    state = Pair(torch.full((2, 3), 0.5), torch.full((2, 3), math.inf))

    class Overflowing(Cell):
        State = Pair
        gates = (Gate("g", hears=()),)

        def step(self, a, s, p):
            return Pair(x=2.0 * s.x, y=s.x * s.y)

    given = state._replace(x=state.x.clone().requires_grad_())
    _, final = fused.run(Request(Overflowing(), Inputs(torch.zeros(1, 2, 1), torch.zeros(3, 1)), given))
    (found,) = torch.autograd.grad(final.x.sum(), given.x)
    assert torch.equal(found, torch.full((2, 3), 2.0))


@pytest.mark.parametrize("operation", ["add", "sub"])
def test_a_sum_with_a_derivative_that_does_not_arrive_is_the_other_term(operation):
    graph = Graph()
    x, nothing = graph.input("x"), graph.nothing()
    assert graph.apply(operation, x, nothing) == x
    assert graph.apply("mul", graph.constant(math.inf), nothing) == nothing
    assert graph.apply("where", graph.apply("lt", x, x), nothing, graph.constant(0.0)) == nothing
    assert graph.apply("lt", nothing, graph.constant(1.0)) == graph.constant(True)


class Half(torch.autograd.Function):
    """The same value, and half of the derivative."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, cotangent):
        return 0.5 * cotangent


FEEDS = {
    "half of the derivative": lambda s, p: Half.apply(s.x),
    "either way the state": lambda s, p: torch.where(s.y > 0, s.x, s.x),
    "the state detached": lambda s, p: s.x.detach(),
    "another field, half of it": lambda s, p: Half.apply(s.y),
    "a vector": lambda s, p: p.v + 0.0 * s.x.detach(),
    "a vector as it is": lambda s, p: Half.apply(p.v).expand_as(s.x),
    "zeros": lambda s, p: torch.zeros_like(s.x),
    "ones": lambda s, p: torch.ones_like(s.x),
}


@pytest.mark.parametrize("fed", FEEDS.values(), ids=FEEDS)
def test_a_padded_sequence_keeps_its_state_whatever_is_fed(fed):
    class Fed(Cell):
        State = Pair
        gates = (Gate("g", hears=("fed",)),)
        vectors = ("v",)

        @feed
        def fed(self, a, s, p):
            return fed(s, p)

        def step(self, a, s, p):
            return Pair(x=torch.tanh(a.g) + 0.5 * s.x + 1.0, y=torch.zeros_like(s.y))

    found = []
    lengths = torch.tensor([7, 4, 1])
    for engine in ("eager", "fused"):
        module = Recurrent(Fed(), 2, 5, engine=engine)
        x = torch.randn(7, 3, 2, generator=torch.Generator().manual_seed(1))
        state = (Pair(*(torch.linspace(-1.0, 1.0, 15).view(3, 5).clone().requires_grad_() for _ in range(2))),)
        outputs, (last,) = module(x, state, lengths=lengths)
        by = [*module.parameters(), *state[0]]
        gradients = torch.autograd.grad(outputs.square().sum() + last.x.sum() + last.y.sum(), by, allow_unused=True)
        found.append(
            [outputs, *last, *(torch.zeros_like(p) if g is None else g for p, g in zip(by, gradients, strict=True))]
        )
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


class FromVectors(Cell):
    """A state that depends on vectors only, and one that is constant."""

    State = Pair
    gates = ("g",)
    vectors = ("v",)

    def step(self, a, s, p):
        return Pair(x=torch.tanh(p.v), y=torch.tensor(0.5))


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_state_made_of_vectors_only_has_the_batchs_shape(engine):
    module = Recurrent(FromVectors(), 2, 5, engine=engine)
    with torch.no_grad():
        module.parts[0]["v"].copy_(torch.linspace(-1.0, 1.0, 5))
    outputs, (last,) = module(torch.zeros(7, 3, 2))
    assert torch.allclose(outputs, torch.linspace(-1.0, 1.0, 5).tanh().expand(7, 3, 5), rtol=0.0, atol=1e-6)
    assert torch.equal(last.y, torch.full((3, 5), 0.5))
    outputs.sum().backward()
    assert torch.allclose(module.parts[0]["v"].grad, 21 / torch.linspace(-1.0, 1.0, 5).cosh() ** 2, rtol=1e-5)
