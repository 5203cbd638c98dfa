"""What the gates of a layer do, found by watching a cell's own step while it runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..cell import Cell, Values
from ..layers.recurrent import Recurrent
from . import eager

AS_IT_IS = "as it is"
SQUASHING = frozenset(
    (
        *(
            "sigmoid",
            "tanh",
            "relu",
            "hardtanh",
            "hardsigmoid",
            "hardswish",
            "softplus",
            "elu",
            "gelu",
            "silu",
            "mish",
            "leaky_relu",
        ),
        *("clamp", "clamp_min", "clamp_max", "erf", "sin", "cos", "exp"),
    )
)
"""Operations whose result is the value of a gate when a pre-activation goes in."""

_PASSING = frozenset(("view", "_unsafe_view", "expand", "clone", "detach", "alias", "_to_copy", "squeeze", "unsqueeze"))
_SUMS = frozenset(("add", "sub", "rsub", "neg"))


class Gates(NamedTuple):
    """The gates of one layer and direction over a sequence.

    values: by name, [T, B, H] in the order in which the step was called. functions: what squashed each, `as it is` for
    none.
    """

    values: dict[str, Tensor]
    functions: dict[str, str]


class Watch:
    """What has been seen of the layers of a module, layer 0 forward first."""

    def __init__(self, recorders: Sequence[_Recorder]) -> None:
        self._recorders = recorders

    def gates(self, layer: int) -> Gates:
        """The gates of a layer (times directions) since the watch began; those that are also fields of the state are
        left out.
        """
        recorder = self._recorders[layer]
        if not recorder.steps:
            return Gates({}, {})
        names = [name for name in recorder.steps[0] if all(name in step for step in recorder.steps)]
        return Gates(
            {name: torch.stack([step[name] for step in recorder.steps]) for name in names},
            {name: recorder.functions[name] for name in names},
        )


@contextmanager
def watching(module: Recurrent) -> Iterator[Watch]:
    """Watch the steps that a module makes inside the block.

    A cell declares pre-activations and squashes them somewhere in its step, so that the value of a gate has no name. It
    is found by following the pre-activations: where one, or a sum it is a term of, times constants or not, enters a
    squashing function, the result is the value of the gate of that name (`f` for `sigmoid(a.f + p.p_f * s.c)`, `n` for
    `tanh(a.n + r * a.m)`, `a+b` for two terms). Constant factors and shifts behind the function belong to the gate
    where it is used with them only (`2 tanh(v/2)`). A pre-activation that nothing squashes is shown as it is. What
    squashes a field of the new state (`tanh(c)`) is no gate.

    Raises ValueError for a module that another engine than the eager one runs.
    """
    if module.engine != "eager":
        raise ValueError(f"{module.cell.title}: only the eager engine can be watched, got {module.engine!r}")
    cells, run = module.cells, module._run
    recorders = [_Recorder(cell) for cell in cells]
    try:
        module._run = eager.run  # also for calls that the fused engine could serve
        module.cells = [_watched(cell, recorder) for cell, recorder in zip(cells, recorders, strict=True)]
        with torch.no_grad():
            yield Watch(recorders)
    finally:
        module.cells, module._run = cells, run


def _watched(cell: Cell, recorder: _Recorder) -> Cell:
    """A copy of a cell whose step and feeds are recorded; everything else is the cell's own."""
    copied = copy.copy(cell)
    for source in cell.sources:
        if source.feed is not None:
            setattr(copied, source.name, recorder.during(source.feed))
    step = recorder.during(cell.step)

    def recorded(a: Values, s: Any, p: Values) -> Any:
        new = step(a, s, p)
        recorder.finish(a, new)
        return new

    copied.step = recorded  # type: ignore[method-assign]
    return copied


@dataclass
class _Node:
    """What is known of a tensor: gates that are terms of it, the squashing whose rescaled result it is, whether it is
    constant.
    """

    terms: frozenset[str] = frozenset()
    squashing: _Squashing | None = None
    constant: bool = False


@dataclass
class _Squashing:
    """A squashing function that was applied: to which memory, sums of which gates, its result, and as what it was used."""

    function: str
    argument: int
    terms: frozenset[str]
    result: Tensor
    uses: list[Tensor] = field(default_factory=list)

    @property
    def shown(self) -> Tensor:
        """The result, or its rescaled form where only that is used."""
        plain = not self.uses or any(u.data_ptr() == self.result.data_ptr() for u in self.uses)
        return self.result if plain else self.uses[0]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the tensors of one step at a time; they are known by their memory.

    steps: one dictionary of gates by name for every step made.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = [gate.name for gate in cell.plan]
        self.steps: list[dict[str, Tensor]] = []
        self.functions: dict[str, str] = {}
        self._nodes: dict[int, _Node] = {}
        self._squashings: list[_Squashing] = []
        self._alive: list[Tensor] = []  # so that no memory is used twice within a step

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it would import the whole of it, for a second and a half

    def during(self, function: Callable[[Values, Any, Values], Any]) -> Callable[[Values, Any, Values], Any]:
        """A step or feed that is followed while it runs."""

        def followed(a: Values, s: Any, p: Values) -> Any:
            for name, tensor in vars(a).items():
                self._note(tensor, _Node(terms=frozenset([name]) if name in self.names else frozenset()))
            for tensor in vars(p).values():
                self._note(tensor, _Node(constant=True))
            with self:
                return function(a, s, p)

        return followed

    def finish(self, a: Values, new: Any) -> None:
        """Note the gates of the step that has just been made, and forget everything else of it."""
        state = {v.data_ptr() for v in new}
        for value in new:
            self._use(value)
        found: dict[str, list[_Squashing]] = {}
        for squashing in self._squashings:
            if squashing.terms and squashing.argument not in state:
                found.setdefault("+".join(n for n in self.names if n in squashing.terms), []).append(squashing)
        squashed = {name for s in self._squashings if s.argument not in state for name in s.terms}
        gates: dict[str, tuple[str, Tensor]] = {}
        for name, made in found.items():
            for function in dict.fromkeys(s.function for s in made):
                same = [s for s in made if s.function == function]
                if any(s.shown.data_ptr() in state for s in same):
                    continue
                best = next((s for s in same if s.shown is s.result), same[0])
                label = function if torch.equal(best.shown, best.result) else f"{function}, rescaled"
                gates[name if len({s.function for s in made}) == 1 else f"{function}({name})"] = (label, best.shown)
        for name in self.names:
            if name not in squashed and getattr(a, name).data_ptr() not in state:
                gates[name] = (AS_IT_IS, getattr(a, name))
        place = {name: k for k, name in enumerate(self.names)}
        ordered = sorted(
            gates, key=lambda name: min(k for n, k in place.items() if n in name.split("(")[-1].rstrip(")").split("+"))
        )
        self.functions |= {name: gates[name][0] for name in ordered}
        self.steps.append({name: gates[name][1].clone() for name in ordered})
        self._nodes, self._squashings, self._alive = {}, [], []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function._overloadpacket.__name__
        name = name.rstrip("_") if not name.startswith("_") else name
        tensors = [t for t in args if isinstance(t, Tensor)]
        varying = [t for t in tensors if not self._node(t).constant]
        if not isinstance(result, Tensor):
            for tensor in tensors:
                self._use(tensor)
        elif not varying:
            self._note(result, _Node(constant=True))
        elif name in _PASSING:
            self._note(result, self._node(tensors[0]))
        elif name in SQUASHING:
            self._use(tensors[0])
            squashing = _Squashing(name, tensors[0].data_ptr(), self._node(tensors[0]).terms, result)
            self._squashings.append(squashing)
            self._note(result, _Node(squashing=squashing))
        elif len(varying) == 1 and (name in _SUMS or name == "mul" or (name == "div" and varying[0] is args[0])):
            self._note(result, self._node(varying[0]))
        else:
            for tensor in varying:
                self._use(tensor)
            terms = frozenset().union(*(self._node(t).terms for t in varying)) if name in _SUMS else frozenset()
            self._note(result, _Node(terms=terms))
        return result

    def _node(self, tensor: Tensor) -> _Node:
        return self._nodes.get(tensor.data_ptr(), _Node())

    def _note(self, tensor: Tensor, node: _Node) -> None:
        self._alive.append(tensor)
        self._nodes[tensor.data_ptr()] = node

    def _use(self, tensor: Tensor) -> None:
        squashing = self._node(tensor).squashing
        if squashing is not None:
            squashing.uses.append(tensor)
