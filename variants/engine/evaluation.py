"""The fused engine for evaluations: a layer's runs forward without derivatives, in memory that is used again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..cell import Cell
from .fused import Call, Tensors, program, with_room
from .ir.derive import Variation
from .ir.names import Name
from .training import Parameters


class EvaluationLayer:
    """Runs of one layer and direction over up to B sequences of up to T steps; each overwrites what the last one gave.

    The bits are those of a call of the engine without derivatives.

    cell: as it stands in the layer.
    parameters: of the layer; they may be changed in place between runs.
    size: the largest T, the largest B, and the width I of x.
    read: fields of the state whose sequences somebody reads.
    below: fields of the layer below that it reads besides x.
    zoneout: rates by field of the state; the expectation takes the place of masks.
    padded: whether a run says which steps are active.
    """

    def __init__(
        self,
        cell: Cell,
        parameters: Parameters,
        size: tuple[int, int, int],
        read: tuple[str, ...],
        below: tuple[str, ...],
        zoneout: Mapping[str, float],
        *,
        padded: bool,
    ) -> None:
        steps, batch, _ = size
        like = parameters.bias.values
        self.units = units = len(like) // len(cell.preactivations)
        fixed = {Name("p", name): v.contiguous() for name, v in parameters.constants.items()}
        for name, rate in zoneout.items():
            fixed[Name("keep", name)] = with_room((units,), like).fill_(rate).expand(steps, batch, units)
        if padded:
            fixed[Name("active")] = torch.empty(steps * batch, dtype=torch.uint8, device="cpu")
        self._active = fixed.get(Name("active"))
        variation = Variation(tuple(parameters.constants), below, tuple(zoneout), (), padded)
        call = Call(program(cell, variation), (steps, batch, units), fixed, read, (), cell)
        nothing = like.new_zeros(1)  # stands where a sequence comes later
        tensors = Tensors(
            nothing.expand(size),
            parameters.weight.values,
            parameters.bias.values,
            parameters.first_state(cell.State._fields, batch, units),
            {name: blocks.values for name, blocks in parameters.recurrent.items()},
            parameters.per_unit(units),
            dict.fromkeys(below, nothing.expand(steps, batch, units)),
        )
        self._layout, self._memory, self._table = call.bind(tensors, False, {})
        self._parameters, self._tensors = parameters, tensors  # the kernel knows addresses only
        self._call = call
        place = self._layout.kernel.place
        self._place_of_x, self._places_below = place(Name("x")), {name: place(Name("below", name)) for name in below}
        sizes = (place(Name("T")).address, place(Name("B")).address)
        self._places_of_sizes = [(k, axis) for axis, k in enumerate(sizes) if k is not None]
        self._starts = {name: self._layout.starts[Name("states", name)] for name in read}
        self._size = (steps, batch)

    def run(self, x: Tensor, below: Mapping[str, Tensor], active: Tensor | None) -> None:
        """Run over sequences.

        x: [T, B, I], float32, its last axis contiguous.
        below: sequences of the layer below by field, [T, B, H], contiguous with room behind them.
        active: [T, B] bool, where False the state stays as it was.
        """
        steps, batch, _ = x.shape
        self._size = (steps, batch)
        table = self._table
        for k, axis in self._places_of_sizes:
            table[k] = self._size[axis]
        self._place_of_x.put(table, x)
        for name, place in self._places_below.items():
            place.put(table, below[name])
        if active is not None and self._active is not None:
            self._active[: steps * batch].view(steps, batch).copy_(active)
        self._parameters.gather(self._tensors.vectors, self._tensors.state)
        self._layout.kernel.run(table)

    def sequence(self, name: str) -> Tensor:
        """Return the sequence of a field of the last run, [T, B, H], with room behind it."""
        steps, batch = self._size
        row = batch * self.units
        shape = (steps, batch, self._call.width(name))
        return self._memory.as_strided(shape, (row, self.units, 1), self._starts[name] + row)
