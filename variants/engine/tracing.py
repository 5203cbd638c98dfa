"""Turns elementwise tensor functions, and their derivatives as autograd takes them, into expression graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .graph import COMPARISONS, Graph

Function = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


class CannotFuse(ValueError):
    """Why a cell cannot run as one kernel."""


class Traced:
    """A function's outputs and vector-Jacobian product as nodes of a graph.

    outputs: node by output name.
    pulled: node by input name, the sum over outputs of cotangent * derivative; an input without influence is missing.
    The cotangent of an output is the input node `d.<output>`.
    """

    def __init__(self, outputs: Mapping[str, int], pulled: Mapping[str, int]) -> None:
        self.outputs = dict(outputs)
        self.pulled = dict(pulled)


def trace(graph: Graph, function: Function, inputs: Sequence[str], outputs: Sequence[str], differentiable: Sequence[str]) -> Traced:
    """Trace a function of named tensors of one shape into a graph.

    inputs: names that the function may read. outputs: names of what it returns.
    differentiable: inputs whose derivative is wanted.
    Raises CannotFuse for anything but elementwise operations of the table below.
    """
    traced = _trace(graph, function, inputs, outputs, differentiable, (2, 3))
    if _trace(graph, function, inputs, outputs, differentiable, (3, 5)).__dict__ != traced.__dict__:
        raise CannotFuse("its formula depends on the number of units or on values of tensors")
    return traced


def _trace(
    graph: Graph,
    function: Function,
    inputs: Sequence[str],
    outputs: Sequence[str],
    differentiable: Sequence[str],
    shape: tuple[int, int],
) -> Traced:
    generator = torch.Generator().manual_seed(shape[0])

    def example() -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")

    # The first call may come from an evaluation, where autograd is off.
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {name: example().requires_grad_(name in differentiable) for name in inputs}
        cotangents = {name: example() for name in outputs}
        return _record(graph, function, leaves, cotangents, differentiable)


def _record(
    graph: Graph,
    function: Function,
    leaves: Mapping[str, Tensor],
    cotangents: Mapping[str, Tensor],
    differentiable: Sequence[str],
) -> Traced:
    outputs = list(cotangents)
    with _Recorder(graph, cotangents[outputs[0]].shape) as recorder:
        for name, tensor in leaves.items():
            recorder.name(name, tensor)
        for name, tensor in cotangents.items():
            recorder.name(f"d.{name}", tensor)
        results = function(leaves)
        nodes = {}
        for name in outputs:
            if not isinstance(results[name], Tensor):
                raise CannotFuse(f"{name} is a {type(results[name]).__name__}, not a tensor")
            nodes[name] = recorder.number(results[name], name)
        depending = [name for name in outputs if results[name].requires_grad]
        pulled = {}
        if depending and differentiable:
            seeds = [cotangents[name] for name in depending]
            total = _Seed.apply(seeds, *(results[name] for name in depending))  # type: ignore[no-untyped-call]
            # With create_graph, as autograd sums in place otherwise.
            gradients = torch.autograd.grad(total, [leaves[name] for name in differentiable], allow_unused=True, create_graph=True)
            for name, gradient in zip(differentiable, gradients, strict=True):
                if gradient is not None:
                    pulled[name] = recorder.number(gradient, f"the derivative by {name}")
    return Traced(nodes, {name: n for name, n in pulled.items() if graph.value(n) != 0.0})


class _Seed(torch.autograd.Function):
    """A scalar whose derivatives are the given cotangents; passing them to autograd itself would import sympy, for half a second."""

    @staticmethod
    def forward(ctx: Any, cotangents: list[Tensor], *results: Tensor) -> Tensor:
        ctx.cotangents = cotangents
        return torch.zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        return None, *ctx.cotangents


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what every operation below autograd does to tensors of the given shape; tensors are known by their memory."""

    def __init__(self, graph: Graph, shape: torch.Size) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph, self.shape = graph, shape
        self._numbers: dict[int, int] = {}
        self._given: set[int] = set()
        self._alive: list[Tensor] = []  # so that no memory is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it would import the whole of it, for a second and a half

    def name(self, name: str, tensor: Tensor) -> None:
        self._note(tensor, self.graph.input(name))
        self._given.add(tensor.data_ptr())

    def number(self, tensor: Tensor, what: str) -> int:
        number = self._numbers.get(tensor.data_ptr())
        if number is None:
            raise CannotFuse(f"{what} is a tensor that is neither a pre-activation, a state, a vector nor a constant of the cell")
        if tensor.shape not in (self.shape, ()):
            raise CannotFuse(f"{what} has another shape than the state")
        return number

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._overloadpacket.__name__
        in_place = name.endswith("_")
        handler = _OPERATIONS.get(name.removesuffix("_"))
        if handler is None:
            raise CannotFuse(f"operation {name!r} is not elementwise or not in the table of the fused engine")
        if in_place and args[0].data_ptr() in self._given:
            raise CannotFuse(f"operation {name!r} changes an argument of the cell in place")
        result = function(*args, **(kwargs or {}))
        if result.shape not in (self.shape, ()):
            raise CannotFuse(f"operation {name!r} gives another shape than the state's")
        if name in _SOURCES:
            self._note(result, self._constant(result))
            return result
        arguments = [self._argument(a, name) for a in args]
        kwargs = {k: v for k, v in (kwargs or {}).items() if k not in _IGNORED}
        try:
            number = handler(self.graph, *arguments, **kwargs)
        except TypeError as error:
            raise CannotFuse(f"operation {name!r} is used in a form that the fused engine does not have") from error
        if result.dim() > 0 and result.dtype not in (torch.float32, torch.bool):
            raise CannotFuse(f"operation {name!r} gives {result.dtype}, only float32 and bool can be fused")
        self._note(result, number if result.dtype == torch.bool else _number(self.graph, number))
        return result

    def _argument(self, argument: Any, name: str) -> Any:
        if isinstance(argument, Tensor):
            return self.number(argument, f"an argument of {name!r}")
        if isinstance(argument, bool | int | float):
            return self.graph.constant(argument if isinstance(argument, bool) else float(argument))
        return argument

    def _note(self, tensor: Tensor, number: int) -> None:
        self._alive.append(tensor)
        self._numbers[tensor.data_ptr()] = number

    def _constant(self, tensor: Tensor) -> int:
        first = tensor.reshape(-1)[0]
        if not bool((tensor == first).all()):
            raise CannotFuse("a tensor made inside the step holds several values; declare it in `constants`")
        return self.graph.constant(first.item() if tensor.dtype == torch.bool else float(first))


def _number(graph: Graph, node: int) -> int:
    return graph.apply("where", node, graph.constant(1.0), graph.constant(0.0)) if graph.is_truth(node) else node


def _truth(graph: Graph, node: int) -> int:
    return node if graph.is_truth(node) else graph.apply("ne", node, graph.constant(0.0))


def _arithmetic(operation: str) -> Callable[..., int]:
    return lambda graph, *arguments: graph.apply(operation, *(_number(graph, a) for a in arguments))


def _logic(operation: str) -> Callable[..., int]:
    return lambda graph, *arguments: graph.apply(operation, *(_truth(graph, a) for a in arguments))


def _times(graph: Graph, *factors: int) -> int:
    product = _number(graph, factors[0])
    for factor in factors[1:]:
        product = graph.apply("mul", product, _number(graph, factor))
    return product


def _complement(graph: Graph, node: int) -> int:
    return graph.apply("sub", graph.constant(1.0), node)


def _add(graph: Graph, x: int, y: int, *, alpha: float = 1.0) -> int:
    return graph.apply("add", _number(graph, x), _times(graph, graph.constant(float(alpha)), y))


def _subtract(graph: Graph, x: int, y: int, *, alpha: float = 1.0) -> int:
    return graph.apply("sub", _number(graph, x), _times(graph, graph.constant(float(alpha)), y))


def _same(graph: Graph, x: int) -> int:
    return x


def _relu(graph: Graph, x: int) -> int:
    zero = graph.constant(0.0)
    return graph.apply("where", graph.apply("lt", x, zero), zero, x)  # in this order NaN stays NaN


def _threshold_backward(graph: Graph, cotangent: int, x: int, threshold: int) -> int:
    return graph.apply("where", graph.apply("le", x, threshold), graph.constant(0.0), cotangent)


def _sigmoid_backward(graph: Graph, cotangent: int, y: int) -> int:
    return _times(graph, cotangent, _times(graph, y, _complement(graph, y)))


def _tanh_backward(graph: Graph, cotangent: int, y: int) -> int:
    return _times(graph, cotangent, _complement(graph, _times(graph, y, y)))


def _where(graph: Graph, condition: int, x: int, y: int) -> int:
    return graph.apply("where", condition, _number(graph, x), _number(graph, y))


def _masked_fill(graph: Graph, x: int, mask: int, value: int) -> int:
    return _where(graph, mask, value, x)


def _clamp(graph: Graph, x: int, low: int | None = None, high: int | None = None) -> int:
    if low is not None:
        x = graph.apply("where", graph.apply("lt", x, low), low, x)
    if high is not None:
        x = graph.apply("where", graph.apply("gt", x, high), high, x)
    return x


def _sign(graph: Graph, x: int) -> int:
    zero, one, minus = graph.constant(0.0), graph.constant(1.0), graph.constant(-1.0)
    return graph.apply("where", graph.apply("gt", x, zero), one, graph.apply("where", graph.apply("lt", x, zero), minus, zero))


def _power(graph: Graph, x: int, exponent: int) -> int:
    value = graph.value(exponent)
    if value not in (1.0, 2.0, 3.0):
        raise TypeError
    return _times(graph, *([x] * int(value)))


_SOURCES = (
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
_IGNORED = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")

_OPERATIONS: dict[str, Callable[..., int]] = {
    **dict.fromkeys((*_SOURCES, "detach", "alias", "clone", "_to_copy"), _same),
    **{name: _arithmetic(name) for name in (*COMPARISONS, "div", "neg", "abs", "sqrt", "exp", "tanh", "sigmoid", "minimum", "maximum")},
    **{f"{prefix}_{name}": _logic(name) for name in ("and", "or", "not") for prefix in ("logical", "bitwise")},
    "mul": _times,
    "add": _add,
    "sub": _subtract,
    "rsub": lambda graph, x, y: _subtract(graph, y, x),
    "relu": _relu,
    "reciprocal": lambda graph, x: graph.apply("div", graph.constant(1.0), x),
    "square": lambda graph, x: _times(graph, x, x),
    "pow": _power,
    "sgn": _sign,
    "sign": _sign,
    "where": _where,
    "masked_fill": _masked_fill,
    "clamp": _clamp,
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": _tanh_backward,
    "threshold_backward": _threshold_backward,
}
