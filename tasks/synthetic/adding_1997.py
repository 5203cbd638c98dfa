"""The adding problem as published in 1997: add two marked numbers of a sequence of random length."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..task import Batch, Regression, loss_form


class Adding1997(Regression, name="adding_1997"):
    """Add the two numbers that are marked, both in the first half of a sequence of random length.

        value   -.2   .6  -.9   .3   .5  ...  -.4  -.7
        marker   -1    1    0    0    1  ...    0   -1
        target    .    .    .    .    .  ...    .  .775       .5 + (.6 + .5) / 4, read at the last step

    Values are U[-1, 1]; the length is uniform over lag .. 1.1 lag. The first mark is uniform over the first ten pairs,
    the second over the first lag/2 - 1 pairs that are still unmarked. The first and the last marker are always -1:
    where a mark falls on the first pair it is not seen, and that number counts as 0 (published as "X1 = 0"). Mean
    squared error. The best model without memory predicts 0.5. Each visible number adds its variance, 1/3, and a mark is
    unseen with probability u = 1/10 + 9/10 / (lag/2 - 1), so that the floor is (2 - u) / 3 / 16: 0.0392 for lag = 100,
    and 1/24 = 0.0417 if no mark were lost. A sequence is right if its absolute error is below 0.04. Solved, as
    published, when 2000 sequences are all right and their mean absolute error is below 0.01, here on held-out data.
    `solved_loss` is the square of the latter.

    lag: shortest length T in steps, at least 20 (the first ten pairs must be in the first half); both numbers are at
    least T/2 steps old.
    logistic: whether a logistic function squashes the answer, as in the paper's networks; else the answer is linear.

    The paper needed 74,000 sequences for T = 100, 209,000 for 500, and 853,000 for 1000.
    """

    lag: int
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.4"
    evaluation_size = 2000
    input_size = 2
    output_size = 1
    solved_loss = 0.01**2
    lowest: ClassVar[float] = -1.0
    neutral: ClassVar[float] = 0.0

    def __init__(self, *, lag: int = 100, logistic: bool = False) -> None:
        self.lag, self.logistic = lag, logistic
        self.require("lag", 20)
        self.floor = self.variance(0.1 + 0.9 / (lag // 2 - 1))

    def variance(self, unseen: float) -> float:
        """Return the variance of the answer where one of the two marks is unseen with this probability."""
        return (2 - unseen) / 3 / 16

    def answer(self, first: Tensor, second: Tensor) -> Tensor:
        """Return what is asked of the two marked numbers."""
        return 0.5 + (first + second) / 4

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        longest, columns = self.lag + self.lag // 10, torch.arange(size)
        lengths = torch.randint(self.lag, longest + 1, (size,), generator=generator)
        values = self.lowest + (1 - self.lowest) * torch.rand(longest, size, generator=generator)
        values *= torch.arange(longest).view(-1, 1) < lengths
        first = torch.randint(10, (size,), generator=generator)
        second = torch.randint(self.lag // 2 - 1, (size,), generator=generator)
        second += second >= first
        inputs = torch.zeros(longest, size, 2)
        inputs[..., 0] = values
        markers = inputs[..., 1]
        markers[first, columns] = 1.0
        markers[second, columns] = 1.0
        markers[0] = -1.0
        markers[lengths - 1, columns] = -1.0
        marked = (torch.where(mark == 0, self.neutral, values[mark, columns]) for mark in (first, second))
        targets = self.answer(*marked)
        return Batch(inputs, targets.view(1, size, 1), (lengths - 1).view(1, size), lengths)

    def squashed(self, outputs: Tensor) -> Tensor:
        """Return the answers [1, B, 1] that the network gives by its outputs."""
        return outputs.sigmoid() if self.logistic else outputs

    @loss_form(lambda task: "logistic_squared_error" if task.logistic else "squared_error")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return super().loss(self.squashed(outputs), batch)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        errors = (self.squashed(outputs) - batch.targets).abs()
        metrics = {
            **super().metrics(outputs, batch),
            "absolute_error": float(errors.mean()),
            "wrong": float((~(errors < 0.04)).float().mean()),
        }
        return {**metrics, "published": float(self.published(metrics))}

    def published(self, metrics: dict[str, float]) -> bool:
        """Return the criterion of the publication: no sequence wrong and a mean absolute error below 0.01."""
        return metrics["wrong"] == 0 and metrics["absolute_error"] < 0.01

    def solved(self, metrics: dict[str, float]) -> bool:
        return self.published(metrics)

    def oracle(self, batch: Batch) -> Tensor:
        values, markers = batch.inputs.unbind(-1)
        return 0.5 + (values * (markers == 1)).sum(0).view(1, -1, 1) / 4

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., 1] == 1
