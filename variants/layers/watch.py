"""The values of a layer's gates, for figures: the step of the cell is followed while it runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ..cell import Cell, S, Values
from ..engine import eager
from ..engine.ir import gates
from ..engine.ir.graph import Graph
from ..engine.ir.names import Name
from ..engine.ir.tracing import Follower
from .recurrent import Recurrent

R = TypeVar("R")


class Gates(NamedTuple):
    """The gates of one layer and direction over a sequence.

    values: by name, [T, B, H] in the order in which the step was called.
    functions: by name, what squashed each, `as it is` for none.
    """

    values: dict[str, Tensor]
    functions: dict[str, str]


class Watch:
    """What has been seen of the layers of a module.

    followed: the cells of the module while they are followed, layer 0 forward first.
    """

    def __init__(self, followed: Sequence[_FollowedCell]) -> None:
        self._followed = followed

    def gates(self, layer: int) -> Gates:
        """Read the gates of a layer since the watch began.

        layer: its number times the number of directions, plus 1 for the backward direction.

        Returns values and functions by name. Gates that are also fields of the state are left out.
        """
        cell = self._followed[layer]
        if not cell.steps:
            return Gates({}, {})
        names = [name for name in cell.steps[0] if all(name in step for step in cell.steps)]
        return Gates(
            {name: torch.stack([step[name] for step in cell.steps]) for name in names},
            {name: cell.functions[name] for name in names},
        )


@contextmanager
def watching(module: Recurrent) -> Iterator[Watch]:
    """Watch the steps that a module makes inside the block.

    `engine.ir.gates.find` decides which value belongs to which gate. Cells that cannot be fused are watched too.

    module: one that the eager engine runs.

    Returns a context manager that gives the `Watch`.
    Raises ValueError for a module that another engine runs.

    >>> from variants import GRU
    >>> module = Recurrent(GRU(), input_size=2, hidden_size=3, engine="eager")
    >>> with watching(module) as watch:
    ...     outputs, state = module(torch.zeros(5, 1, 2))
    >>> watch.gates(0).functions
    {'r': 'sigmoid', 'u': 'sigmoid', 'n': 'tanh'}
    >>> watch.gates(0).values["u"].shape
    torch.Size([5, 1, 3])
    """
    if module.engine != "eager":
        raise ValueError(f"{module.cell.title}: only the eager engine can be watched, got {module.engine!r}")
    cells, run = module.cells, module._run
    followed = [_FollowedCell(cell) for cell in cells]
    try:
        module._run = eager.run  # also for calls that the fused engine could serve
        module.cells = [f.copied() for f in followed]
        with torch.no_grad():
            yield Watch(followed)
    finally:
        module.cells, module._run = cells, run


class _FollowedCell:
    """A cell whose steps are followed.

    steps: one dictionary of gates by name for every step made.
    functions: what squashes each gate, by name.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.steps: list[dict[str, Tensor]] = []
        self.functions: dict[str, str] = {}
        self._follower = Follower(Graph())

    def copied(self) -> Cell:
        """Return a copy of the cell whose step and feeds are followed; everything else is the cell's own."""
        copied = copy.copy(self._cell)
        for source in self._cell.sources:
            if source.feed is not None:
                setattr(copied, source.name, self._followed(source.feed))
        step = self._followed(self._cell.step)

        def recorded(a: Values, s: NamedTuple, p: Values) -> NamedTuple:
            new: NamedTuple = step(a, s, p)
            self._finish(new)
            return new

        copied.step = recorded  # type: ignore[method-assign]
        return copied

    def _followed(self, function: Callable[[Values, S, Values], R]) -> Callable[[Values, S, Values], R]:
        """Return a step or feed that is followed while it runs."""

        def followed(a: Values, s: S, p: Values) -> R:
            names = {gate.name for gate in self._cell.preactivations}
            for name, tensor in vars(a).items():
                self._follower.name(Name("a" if name in names else "below", name), tensor)
            for name, tensor in s._asdict().items():
                self._follower.name(Name("s", name), tensor)
            for name, tensor in vars(p).items():
                self._follower.name(Name("p", name), tensor)
            with self._follower:
                return function(a, s, p)

        return followed

    def _finish(self, new: NamedTuple) -> None:
        """Note the gates of the step that has just been made, and forget everything else of it."""
        follower = self._follower
        state = [follower.number(value) for value in new]
        names = [gate.name for gate in self._cell.preactivations]
        found = gates.find(follower.graph, follower.called, names, state)
        self.functions |= {gate.name: gate.function for gate in found}
        self.steps.append({gate.name: follower.tensors[gate.node].clone() for gate in found})
        self._follower = Follower(Graph())
