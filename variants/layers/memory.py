"""Parameters of a module in one vector, and their gradients in another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class FlatMemory:
    """The parameters of a module one behind the other in one vector, and their gradients in another.

    Clipping and optimiser are then one operation each, and neighbours are one array for the kernels. The parameters and
    their gradients become views of the two vectors. A parameter that layers share is there once.

    parameters: those of the module in the order in which they shall lie, such as `module.parameters()`.

    Attributes:
        values: the parameters, a vector.
        gradient: their gradients, a vector; zero at first.

    >>> linear = nn.Linear(2, 3)
    >>> memory = FlatMemory(linear.parameters())
    >>> linear(torch.ones(1, 2)).sum().backward()
    >>> memory.gradient
    tensor([1., 1., 1., 1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        parameters = list(dict.fromkeys(parameters))
        self.values = torch.cat([p.detach().flatten() for p in parameters])
        self.gradient = torch.zeros_like(self.values)
        self._starts: dict[nn.Parameter, int] = {}
        start = 0
        for p in parameters:
            self._starts[p] = start
            values, gradient = (v.narrow(0, start, p.numel()).view_as(p) for v in (self.values, self.gradient))
            p.data, p.grad = values, gradient
            start += p.numel()

    def together(self, parameters: Sequence[nn.Parameter | None]) -> tuple[Tensor, Tensor] | None:
        """Return blocks of parameters as one array [n * H, ...], and their gradients as another.

        parameters: of the same shape [H, ...]; None stands for one that a cell does not have.

        Returns None where they are not neighbours in this order, one is missing, or one has been moved elsewhere.
        """
        there = [p for p in parameters if p is not None and self._holds(p)]
        if not there or len(there) < len(parameters):
            return None
        first, size = self._starts[there[0]], there[0].numel()
        if [self._starts[p] for p in there] != [first + k * size for k in range(len(there))]:
            return None
        shape = (len(there) * len(there[0]), *there[0].shape[1:])
        values, gradient = (v.narrow(0, first, len(there) * size).view(shape) for v in (self.values, self.gradient))
        return values, gradient

    def _holds(self, parameter: nn.Parameter) -> bool:
        """Return whether a parameter and its gradient are where they were put."""
        start, gradient = self._starts.get(parameter), parameter.grad
        if start is None or gradient is None:
            return False
        offset = start * self.values.element_size()
        return (
            parameter.data_ptr() == self.values.data_ptr() + offset
            and gradient.data_ptr() == self.gradient.data_ptr() + offset
        )
