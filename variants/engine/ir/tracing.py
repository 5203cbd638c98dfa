"""Turns elementwise tensor functions, and their derivatives as autograd takes them, into expression graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from . import operations
from .gates import CALLED, Called
from .graph import Graph
from .names import Name, derivative

Function = Callable[[Mapping[Name, Tensor]], Mapping[Name, Tensor]]


class CannotFuse(ValueError):
    """Why a cell cannot run as one kernel."""


class Traced:
    """A function's outputs and vector-Jacobian product as nodes of a graph.

    outputs: node by output name.
    pulled: node by input name, the sum over outputs of cotangent * derivative; an input without influence is missing.
    called: the functions of `gates.CALLED` that the function calls, by the node of the result.
    The cotangent of an output is the input node that `derivative` names.
    """

    def __init__(self, outputs: Mapping[Name, int], pulled: Mapping[Name, int], called: Mapping[int, Called]) -> None:
        self.outputs = dict(outputs)
        self.pulled = dict(pulled)
        self.called = dict(called)


def trace(
    graph: Graph, function: Function, inputs: Sequence[Name], outputs: Sequence[Name], differentiable: Sequence[Name]
) -> Traced:
    """Trace a function of named tensors of one shape into a graph.

    inputs: names that the function may read. outputs: names of what it returns.
    differentiable: inputs whose derivative is wanted.
    Raises CannotFuse for anything but elementwise operations of the table below.
    """
    traced = _trace(graph, function, inputs, outputs, differentiable, (2, 3))
    if _trace(graph, function, inputs, outputs, differentiable, (3, 5)).__dict__ != traced.__dict__:
        raise CannotFuse("its formula depends on the number of units or on values of tensors")
    if _trace(graph, function, inputs, outputs, (), (2, 3)).outputs != traced.outputs:
        raise CannotFuse("its formula depends on whether derivatives are taken")
    return traced


def _trace(
    graph: Graph,
    function: Function,
    inputs: Sequence[Name],
    outputs: Sequence[Name],
    differentiable: Sequence[Name],
    shape: tuple[int, int],
) -> Traced:
    generator = torch.Generator().manual_seed(shape[0])

    def example() -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")

    # The first call may come from an evaluation, where autograd is off.
    with torch.inference_mode(False), torch.set_grad_enabled(bool(differentiable)):
        leaves = {name: example().requires_grad_(name in differentiable) for name in inputs}
        cotangents = {name: example() for name in outputs}
        return _record(graph, function, leaves, cotangents, differentiable)


def _record(
    graph: Graph,
    function: Function,
    leaves: Mapping[Name, Tensor],
    cotangents: Mapping[Name, Tensor],
    differentiable: Sequence[Name],
) -> Traced:
    outputs = list(cotangents)
    with Recorder(graph, cotangents[outputs[0]].shape) as recorder:
        for name, tensor in leaves.items():
            recorder.name(name, tensor)
        for name, tensor in cotangents.items():
            recorder.name(derivative(name), tensor)
        with _Refusing(leaves.values()):
            results = function(leaves)
        nodes = {}
        for name in outputs:
            if not isinstance(results[name], Tensor):
                raise CannotFuse(f"{_described(name)} is a {type(results[name]).__name__}, not a tensor")
            nodes[name] = recorder.number(results[name], _described(name))
        called = dict(recorder.called)
        depending = [name for name in outputs if results[name].requires_grad]
        pulled = {}
        if depending and differentiable:
            seeds = [cotangents[name] for name in depending]
            total = _Seed.apply(seeds, *(results[name] for name in depending))  # type: ignore[no-untyped-call]
            # With create_graph, as autograd sums in place otherwise.
            gradients = torch.autograd.grad(
                total, [leaves[name] for name in differentiable], allow_unused=True, create_graph=True
            )
            for name, gradient in zip(differentiable, gradients, strict=True):
                if gradient is not None:
                    pulled[name] = recorder.number(gradient, f"the derivative by {name}")
    return Traced(nodes, {name: n for name, n in pulled.items() if graph.value(n) != 0.0}, called)


def _described(name: Name) -> str:
    """Return how a message calls a result of the cell: a field of the new state by its name."""
    return name.of if name.kind == "new" else str(name)


class _Seed(torch.autograd.Function):
    """A scalar whose derivatives are the given cotangents; passing them to autograd itself would import sympy, for half
    a second.
    """

    @staticmethod
    def forward(ctx: Any, cotangents: list[Tensor], *results: Tensor) -> Tensor:
        ctx.cotangents = cotangents
        return torch.zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        return None, *ctx.cotangents


READING = frozenset(
    (
        Tensor.numpy,
        Tensor.tolist,
        Tensor.__array__,
        Tensor.__dlpack__,
        Tensor.data_ptr,
        Tensor.storage,
        Tensor.untyped_storage,
    )
)
"""Methods that give away the memory of a tensor, or the numbers in it, without an operation that the recorder sees."""


class _Refusing(TorchFunctionMode):
    """Refuses what a formula may do with tensors unseen by the recorder, so that it would be left out of a kernel.

    given: arguments of the formula. A hook on one of them acts on its whole derivative, of which a formula is a part.
    """

    def __init__(self, given: Iterable[Tensor]) -> None:
        super().__init__()
        self._given = {t.data_ptr() for t in given}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in READING:
            raise CannotFuse(f"its formula reads numbers by Tensor.{function.__name__}")
        if function is Tensor.register_hook and args[0].data_ptr() in self._given:
            raise CannotFuse("its formula registers a hook on an argument of the cell")
        return function(*args, **(kwargs or {}))


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what every operation below autograd does to tensors of the given shape; tensors are known by their memory.

    called: the functions of `gates.CALLED` that were called, by the node of the result.
    """

    def __init__(self, graph: Graph, shape: torch.Size) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph, self.shape = graph, shape
        self.called: dict[int, Called] = {}
        self._numbers: dict[int, int] = {}
        self._given: set[int] = set()
        self._alive: list[Tensor] = []  # so that no memory is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it would import the whole of it, for a second and a half

    def name(self, name: Name, tensor: Tensor) -> None:
        self._note(tensor, self.graph.input(name))
        self._given.add(tensor.data_ptr())

    def number(self, tensor: Tensor, what: str) -> int:
        number = self._numbers.get(tensor.data_ptr())
        if number is None:
            raise CannotFuse(
                f"{what} is a tensor that is neither a pre-activation, a state, a vector nor a constant of the cell"
            )
        if tensor.shape not in (self.shape, ()):
            raise CannotFuse(f"{what} has another shape than the state")
        return number

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        called = function._overloadpacket.__name__
        name = called.removesuffix("_")
        if name not in operations.NUMBERS and name not in operations.TRUTHS:
            raise CannotFuse(f"operation {called!r} is not elementwise or not in the table of the fused engine")
        if called.endswith("_") and args[0].data_ptr() in self._given:
            raise CannotFuse(f"operation {called!r} changes an argument of the cell in place")
        result = function(*args, **kwargs)
        results: tuple[Tensor, ...] = result if isinstance(result, tuple) else (result,)
        for tensor in results:
            if tensor.shape not in (self.shape, ()):
                raise CannotFuse(f"operation {called!r} gives another shape than the state's")
            if tensor.dim() > 0 and tensor.dtype not in (torch.float32, torch.bool):
                raise CannotFuse(f"operation {called!r} gives {tensor.dtype}, only float32 and bool can be fused")
        if name in operations.EMPTY:
            self._alive.append(result)
            return result
        for tensor, number in zip(results, self._results(called, args, kwargs, results), strict=True):
            self._note(tensor, number)
        return result

    def _results(self, called: str, args: Any, kwargs: Mapping[str, Any], results: Sequence[Tensor]) -> tuple[int, ...]:
        """Return the nodes of an operation's results. Raises CannotFuse for one that is not in the table."""
        name = called.removesuffix("_")
        if name in operations.SOURCES or (name == "fill" and not isinstance(args[1], Tensor)):
            return (self._constant(results[0]),)
        if name in operations.VIEWS:
            return (self.number(args[0], f"an argument of {called!r}"),)
        options = {k: v for k, v in kwargs.items() if k not in _IGNORED}
        numbers = self._apply(name, called, args, options, results)
        if (function := name.removesuffix("_forward")) in CALLED:
            operands = tuple(self.number(a, f"an argument of {called!r}") for a in args if isinstance(a, Tensor))
            if self.graph.value(numbers[0]) is None and numbers[0] not in operands:
                self.called.setdefault(numbers[0], Called(function, operands))
        return numbers

    def _apply(
        self, name: str, called: str, args: Any, options: Mapping[str, Any], results: Sequence[Tensor]
    ) -> tuple[int, ...]:
        """Return the nodes of an operation's results."""
        nodes = [self.number(a, f"an argument of {called!r}") for a in args if isinstance(a, Tensor)]
        if all(self.graph.value(n) is not None for n in nodes):
            return tuple(map(self._constant, results))  # torch itself has computed it
        true_or_false = results[0].dtype == torch.bool
        handler = (operations.TRUTHS if true_or_false else operations.NUMBERS).get(name)
        arguments = [self._argument(a, called) for a in args]
        if handler is None and not true_or_false:
            handler = operations.TRUTHS[name]  # in place, on a tensor of numbers
        elif not true_or_false:
            mask = operations.MASKS.get(name)
            arguments = [
                a if k == mask or a is None else operations.number(self.graph, a) for k, a in enumerate(arguments)
            ]
        if handler is None or any(isinstance(v, Tensor) for v in options.values()):
            raise CannotFuse(f"operation {called!r} is used in a form that the fused engine does not have")
        try:
            found = handler(self.graph, *arguments, **options)
        except TypeError as error:
            raise CannotFuse(f"operation {called!r} is used in a form that the fused engine does not have") from error
        found = found if isinstance(found, tuple) else (found,)
        return found if true_or_false else tuple(operations.number(self.graph, n) for n in found)

    def _argument(self, argument: Any, called: str) -> int | None:
        if isinstance(argument, Tensor):
            return self.number(argument, f"an argument of {called!r}")
        if isinstance(argument, bool | int | float):
            return self.graph.constant(argument if isinstance(argument, bool) else float(argument))
        if argument is None:
            return None
        raise CannotFuse(f"operation {called!r} is used in a form that the fused engine does not have")

    def _note(self, tensor: Tensor, number: int) -> None:
        self._alive.append(tensor)
        self._numbers[tensor.data_ptr()] = number

    def _constant(self, tensor: Tensor) -> int:
        first = tensor.reshape(-1)[0]
        same = (tensor == first) | ((tensor != tensor) & (first != first))  # NaN is not equal to itself
        if not bool(same.all()):
            raise CannotFuse("a tensor made inside the step holds several values; declare it in `constants`")
        return self.graph.constant(first.item() if tensor.dtype == torch.bool else float(first))


class Follower(Recorder):  # type: ignore[no-untyped-call]
    """Notes what a step does while it really runs, on tensors of any shape and type.

    Nothing is refused: an operation that the table does not have becomes a node of its own, and a tensor that comes
    from elsewhere an input of its own.

    tensors: by node the first tensor that had its value.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, torch.Size())
        self.tensors: dict[int, Tensor] = {}

    def number(self, tensor: Tensor, what: str = "") -> int:
        if tensor.data_ptr() not in self._numbers:
            self._note(tensor, self.graph.input(Name("other", str(len(self._alive)))))
        return self._numbers[tensor.data_ptr()]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        called = function._overloadpacket.__name__
        if function.is_view and isinstance(result, Tensor) and result.data_ptr() in self._numbers:
            return result  # another form of a tensor that is known
        results = [t for t in (result if isinstance(result, tuple | list) else (result,)) if isinstance(t, Tensor)]
        try:
            numbers = self._results(called, args, kwargs, results)
        except (CannotFuse, KeyError, IndexError):
            given = [self.number(t) for t in args if isinstance(t, Tensor)]
            numbers = tuple(self.graph.apply(f"{called} {len(self._alive)}.{k}", *given) for k in range(len(results)))
        for tensor, number in zip(results, numbers, strict=True):
            self._note(tensor, number)
        return result

    def _note(self, tensor: Tensor, number: int) -> None:
        super()._note(tensor, number)
        self.tensors.setdefault(number, tensor)


_IGNORED = frozenset(("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking"))
"""Arguments that do not change what an operation means; the type of its result is looked at."""
