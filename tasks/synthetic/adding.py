"""The adding problem in its modern form: add two marked numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..task import Batch, Regression


class Adding(Regression, name="adding"):
    """Add the two numbers that are marked, one in each half of the sequence.

        value   .3  .9  .1  .5  .7  .2
        marker   0   1   0   0   1   0
        target   .   .   .   .   .  1.6        read at the last step

    Values are U[0, 1], T = lag; the first mark is uniform over steps 0 .. T//2 - 1, the second over T//2 .. T - 1. Mean
    squared error. The best model without memory predicts 1 and has the variance of a sum of two uniforms, 2/12 =
    0.1667, except where the last step is marked, in one of h = T - T//2 sequences: there it knows one of the numbers
    and has 1/12. Its loss is (1 - 1/(2h)) / 6, 0.165 for a lag of 100. A model that keeps one of the two numbers has
    1/12 = 0.0833. Solved when the held-out error is below 0.01.

    lag: length of the sequence in steps, at least 2.

    The task is that of Hochreiter & Schmidhuber 1997, section 5.4, in a later form.
    """

    lag: int
    source = (
        "Le, Jaitly & Hinton 2015, 'A Simple Way to Initialize Recurrent Networks of Rectified Linear Units', "
        "section 4.1"
    )
    input_size = 2
    output_size = 1
    solved_loss = 0.01

    def __init__(self, *, lag: int = 100) -> None:
        self.lag = lag
        self.require("lag", 2)
        self.floor = (1 - 1 / (2 * (lag - lag // 2))) / 6

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        half, columns = self.lag // 2, torch.arange(size)
        values = torch.rand(self.lag, size, generator=generator)
        first = torch.randint(0, half, (size,), generator=generator)
        second = torch.randint(half, self.lag, (size,), generator=generator)
        inputs = torch.zeros(self.lag, size, 2)
        inputs[..., 0] = values
        markers = inputs[..., 1]
        markers[first, columns] = 1.0
        markers[second, columns] = 1.0
        targets = values[first, columns] + values[second, columns]
        return Batch(inputs, targets.view(1, size, 1), torch.full((1, size), self.lag - 1))

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["loss"] < self.solved_loss

    def oracle(self, batch: Batch) -> Tensor:
        return (batch.inputs[..., 0] * batch.inputs[..., 1]).sum(0).view(1, -1, 1)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., 1] == 1
