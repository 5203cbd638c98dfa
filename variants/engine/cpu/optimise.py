"""Clipping and optimisers on one flat vector in compiled code.

A step reads the gradient twice: once for its norm, and once to scale it, update the values and set it to zero.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import torch
from llvmlite import ir
from torch import Tensor

from . import machine
from .elementwise import Elementwise
from .product import FLOAT, INT, LONG, POINTER, loop

BETAS = (0.9, 0.999)
EPSILON = 1e-8
WIDTHS = (16, 1)
DOUBLE = ir.DoubleType()
ENTRY = "finish"
NUMBERS = ("clip_norm", "rate", "momentum", "correction")
"""Names of what a kernel is told at every step, in double precision."""
Update = Callable[[Elementwise, dict[str, ir.Value], ir.Value, ir.Value, Sequence[ir.Value]], list[ir.Value]]
"""Writes a step: from numbers, values, gradient and state to new values and new state."""


def _adam(
    math: Elementwise, numbers: dict[str, ir.Value], value: ir.Value, gradient: ir.Value, state: Sequence[ir.Value]
) -> list[ir.Value]:
    """Write a step of Adam, where `rate` is divided by 1 - beta1^t and `correction` is 1 / sqrt(1 - beta2^t)."""
    apply, (mean, square) = math.apply, state
    remains, fades = (math.constant(1.0 - beta) for beta in BETAS)
    mean = apply("add", [mean, apply("mul", [apply("sub", [gradient, mean]), remains])])
    new = apply("mul", [apply("mul", [gradient, gradient]), fades])
    square = apply("add", [apply("mul", [square, math.constant(BETAS[1])]), new])
    size = apply("mul", [apply("sqrt", [square]), numbers["correction"]])
    change = apply("div", [apply("mul", [mean, numbers["rate"]]), apply("add", [size, math.constant(EPSILON)])])
    return [apply("sub", [value, change]), mean, square]


def _nesterov(
    math: Elementwise, numbers: dict[str, ir.Value], value: ir.Value, gradient: ir.Value, state: Sequence[ir.Value]
) -> list[ir.Value]:
    """Write a step of SGD with Nesterov momentum. Its buffer starts at zero, so it is the gradient after the first."""
    apply = math.apply
    buffer = apply("add", [apply("mul", [state[0], numbers["momentum"]]), gradient])
    ahead = apply("add", [gradient, apply("mul", [buffer, numbers["momentum"]])])
    return [apply("sub", [value, apply("mul", [ahead, numbers["rate"]])]), buffer]


def _sgd(
    math: Elementwise, numbers: dict[str, ir.Value], value: ir.Value, gradient: ir.Value, state: Sequence[ir.Value]
) -> list[ir.Value]:
    """Write a step of plain SGD."""
    return [math.apply("sub", [value, math.apply("mul", [gradient, numbers["rate"]])])]


UPDATES: dict[str, tuple[int, Update]] = {"adam": (2, _adam), "nesterov": (1, _nesterov), "sgd": (0, _sgd)}
"""For each optimiser how many vectors of state it has, and its step."""


def _code(optimiser: str) -> str:
    """Return the code of finish(P, arrays, numbers), with the addresses of values, gradient and state as arrays."""
    states, update = UPDATES[optimiser]
    module = ir.Module(name=ENTRY)
    kind = ir.FunctionType(ir.VoidType(), [LONG, LONG.as_pointer(), DOUBLE.as_pointer()])
    function = ir.Function(module, kind, ENTRY)
    build = ir.IRBuilder(function.append_basic_block("entry"))
    count = function.args[0]
    arrays = [build.inttoptr(build.load(build.gep(function.args[1], [LONG(k)])), POINTER) for k in range(2 + states)]
    numbers = {name: build.load(build.gep(function.args[2], [LONG(k)])) for k, name in enumerate(NUMBERS)}
    scale = _scale(build, arrays[1], count, numbers["clip_norm"])
    parts = [LONG(0), *(build.and_(count, LONG(-width)) for width in WIDTHS)]
    for width, (start, stop) in zip(WIDTHS, pairwise(parts), strict=True):
        math = Elementwise(build, width)
        inside = {n: _splat(build, build.fptrunc(v, FLOAT), width) for n, v in numbers.items()}
        factor = _splat(build, scale, width)
        with loop(build, start, stop, width) as index:
            places = [build.bitcast(build.gep(a, [index]), math.floats.as_pointer()) for a in arrays]
            value, gradient, *state = (build.load(place, align=4) for place in places)
            after = update(math, inside, value, build.fmul(gradient, factor), state)
            for new, place in zip((after[0], math.constant(0.0), *after[1:]), places, strict=True):
                build.store(new, place, align=4)
    build.ret_void()
    return str(module)


def _scale(build: ir.IRBuilder, gradient: ir.Value, count: ir.Value, clip_norm: ir.Value) -> ir.Value:
    """Write what the gradient is multiplied with: clip_norm / norm unless norm <= clip_norm, and 1 without clipping.

    The squares are added in double precision, where they cannot overflow.
    """
    result, total = build.alloca(FLOAT), build.alloca(DOUBLE)
    wide = ir.VectorType(DOUBLE, WIDTHS[0])
    sums = build.alloca(wide)
    build.store(FLOAT(1.0), result)
    build.store(DOUBLE(0.0), total)
    build.store(ir.Constant(wide, [0.0] * WIDTHS[0]), sums)
    with build.if_then(build.fcmp_ordered(">", clip_norm, DOUBLE(0.0))):
        whole = build.and_(count, LONG(-WIDTHS[0]))
        for cell, width, start, stop in ((sums, WIDTHS[0], LONG(0), whole), (total, 1, whole, count)):
            single = FLOAT if width == 1 else ir.VectorType(FLOAT, width)
            with loop(build, start, stop, width) as index:
                place = build.bitcast(build.gep(gradient, [index]), single.as_pointer())
                number = build.fpext(build.load(place, align=4), cell.type.pointee)
                square = build.fmul(number, number, flags=("contract",))
                build.store(build.fadd(build.load(cell), square, flags=("contract",)), cell)
        lanes = build.load(sums)
        for k in range(WIDTHS[0]):
            build.store(build.fadd(build.load(total), build.extract_element(lanes, INT(k))), total)
        root = ir.Function(build.module, ir.FunctionType(DOUBLE, [DOUBLE]), "llvm.sqrt.f64")
        norm = build.call(root, [build.load(total)])
        small = build.fcmp_ordered("<=", norm, clip_norm)  # false for NaN
        factor = build.fptrunc(build.fdiv(clip_norm, norm), FLOAT)
        build.store(build.select(small, FLOAT(1.0), factor), result)
    return build.load(result)


def _splat(build: ir.IRBuilder, value: ir.Value, width: int) -> ir.Value:
    """Return a number in all lanes."""
    nothing = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    one = build.insert_element(nothing, value, INT(0))
    return build.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(INT, width), [0] * width))


@cache
def _compiled(optimiser: str) -> Callable[..., None]:
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    return kind(machine.load(_code(optimiser), ENTRY, optimise=True))


class Finish:
    """The end of an update: clips a gradient, updates values by it and sets it to zero.

    values: the parameters [P], which every step changes in place.
    gradient: [P], read and set to zero by every step.
    optimiser: "adam" with its published constants, "nesterov" for SGD with Nesterov momentum, or "sgd".
    learning_rate: for "nesterov" it is multiplied by 1 - momentum.
    momentum: of "nesterov"; the others have none.
    clip_norm: a gradient whose norm is larger is scaled down to it; 0 for no clipping.

    Both vectors are float32, contiguous and on the CPU. They are kept, and their addresses are found once: they may be
    changed in place, but must not be given other memory.

    Raises ValueError for an unknown optimiser and for vectors of another type or shape.

    Source: Kingma & Ba 2015, "Adam"; for the second Greff et al. 2017, section III, who scale the learning rate by
    1 - momentum.

    >>> values, gradient = torch.ones(2), torch.tensor([3.0, 4.0])
    >>> Finish(values, gradient, optimiser="sgd", learning_rate=0.5, momentum=0.0, clip_norm=1.0).step()
    >>> values, gradient
    (tensor([0.7000, 0.6000]), tensor([0., 0.]))
    """

    def __init__(
        self,
        values: Tensor,
        gradient: Tensor,
        *,
        optimiser: str,
        learning_rate: float,
        momentum: float,
        clip_norm: float,
    ) -> None:
        if optimiser not in UPDATES:
            raise ValueError(f"optimiser must be one of {', '.join(UPDATES)}, got {optimiser!r}")
        for name, vector in (("values", values), ("gradient", gradient)):
            _check(name, vector, len(values))
        if optimiser != "nesterov":
            momentum = 0.0
        elif momentum == 0:
            optimiser = "sgd"  # the same numbers, without a momentum that would keep what is not finite
        self._kept = (values, gradient, *(torch.zeros_like(values) for _ in range(UPDATES[optimiser][0])))
        self._arrays = (ctypes.c_int64 * len(self._kept))(*(t.data_ptr() for t in self._kept))
        rate = learning_rate * (1.0 - momentum)
        self._numbers = (ctypes.c_double * len(NUMBERS))(clip_norm, rate, momentum, 1.0)
        self._rate, self._steps, self._adam = rate, 0, optimiser == "adam"
        self._count, self._function = len(values), _compiled(optimiser)

    def step(self) -> None:
        """Take one step.

        A gradient whose norm is infinite or NaN stays so: the values that it reaches become NaN.
        """
        if self._adam:
            self._steps += 1
            self._numbers[_RATE] = self._rate / (1.0 - BETAS[0] ** self._steps)
            self._numbers[_CORRECTION] = 1.0 / math.sqrt(1.0 - BETAS[1] ** self._steps)
        self._function(self._count, self._arrays, self._numbers)


def _check(name: str, vector: Tensor, count: int) -> None:
    """Raise ValueError for what a kernel cannot read."""
    fits = vector.shape == (count,) and vector.dtype is torch.float32
    if not fits or not vector.is_cpu or not vector.is_contiguous():
        raise ValueError(
            f"the optimiser needs {name} as contiguous float32 [{count}] on the cpu, got {vector.dtype} "
            f"{list(vector.shape)} with strides {vector.stride()} on {vector.device}"
        )


_RATE, _CORRECTION = NUMBERS.index("rate"), NUMBERS.index("correction")
