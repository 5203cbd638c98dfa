"""The multiplication problem of 1997: multiply two marked numbers of a sequence of random length."""

from __future__ import annotations

import torch
from torch import Tensor

from ..task import Batch
from .adding_1997 import Adding1997


class Multiplication(Adding1997, name="multiplication"):
    """Multiply the two numbers that are marked: the sequences of `adding_1997` with values U[0, 1].

        value    .2   .6   .9   .3   .5  ...   .4   .7
        marker   -1    1    0    0    1  ...    0   -1
        target    .    .    .    .    .  ...    .   .3       .6 * .5, read at the last step

    A number whose mark falls on the first pair, where it is not seen, counts as 1 (published as "X1 = 1"). Mean squared
    error. The best model without memory predicts the mean. Of two visible numbers the product has mean 1/4 and variance
    1/9 - 1/16 = 7/144 = 0.0486; with probability u = 1/10 + 9/10 / (lag/2 - 1) only one is visible, with mean 1/2 and
    mean square 1/3, so that the floor is (1 + 2u) / 9 - ((1 + u) / 4)^2: 0.0592 for lag = 100. Solved when fewer than
    140 of 2000 sequences have an absolute error of 0.04 or more, the published criterion, or the mean squared error is
    below 0.005, both on held-out data.

    lag: shortest length T in steps, at least 20; both numbers are at least T/2 steps old.
    logistic: whether a logistic function squashes the answer, as in the paper's networks; else the answer is linear.

    For T = 100 the paper met that criterion after 482,000 sequences, and 13 wrong of 2000, which the metric `wrong`
    shows, after 1,273,000.
    """

    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.5"
    solved_loss = 0.005
    lowest = 0.0
    neutral = 1.0

    def variance(self, unseen: float) -> float:
        return (1 + 2 * unseen) / 9 - ((1 + unseen) / 4) ** 2

    def answer(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second

    def published(self, metrics: dict[str, float]) -> bool:
        """Return the criterion of the publication: fewer than 140 of 2000 sequences wrong."""
        return metrics["wrong"] < 140 / 2000

    def solved(self, metrics: dict[str, float]) -> bool:
        return self.published(metrics) or metrics["loss"] < self.solved_loss

    def oracle(self, batch: Batch) -> Tensor:
        values, markers = batch.inputs.unbind(-1)
        return torch.where(markers == 1, values, 1.0).prod(0).view(1, -1, 1)
