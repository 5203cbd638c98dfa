"""The temporal order problem: tell in which order widely separated symbols came."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ..task import Batch, Classification, loss_form, one_hot

START, END, DISTRACTOR, X = 0, 1, 2, 6


class TemporalOrder(Classification, name="temporal_order"):
    """Name the order of two relevant symbols, each X or Y, that stand far apart among distractors.

        input    E  b d .. a   X   c a .. d   Y   b b .. c   B
        target   .  . . .. .   .   . . .. .   .   . . .. .   R        X,X: Q   X,Y: R   Y,X: S   Y,Y: U; read at the
        last step
                 0            t1             t2           length - 1

    Inputs are one-hot vectors of 8 (E, B, distractors a b c d, X, Y). For lag = 100 the length is uniform over 100 ..
    110, t1 over 10 .. 20 and t2 over 50 .. 60 (steps, counted from 0); other lags scale these numbers, rounded down.
    Cross-entropy at the end.
    A model without memory is uniform over the four classes: ln 4 = 1.386. Solved when the accuracy is at least 99 %.
    The published criterion is reported as `published`: 2000 sequences all with an absolute error below 0.3 on every
    output, and a mean error below 0.1. With outputs that sum to 1 the largest error is 1 - p of the right class, and
    this is the error used here, on held-out data: `absolute_error` is its mean, `wrong` the share of sequences where it
    is 0.3 or more.

    lag: shortest length in steps, at least 10; the first relevant symbol is 0.8 to 1 lag old at the end.
    logistic: whether the outputs are logistic units that learn 1 for the right class and 0 for the others by the mean
    squared error, as published. Then a model without memory answers 1/4 everywhere, with a loss of 3/16 = 0.1875, and
    the published criterion is the task's own: `wrong` is the share of sequences with an error of 0.3 or more on some
    output, `absolute_error` the mean over outputs and sequences. That the paper's average error is this one is assumed.

    The paper needed 31,390 sequences.
    """

    lag: int
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.6, task 6a"
    evaluation_size = 2000
    input_size = 8
    output_size = 4
    floor = math.log(4)
    windows: ClassVar[tuple[tuple[int, int], ...]] = ((10, 20), (50, 60))
    """First and last possible step of each relevant symbol, in percent of the lag."""

    def __init__(self, *, lag: int = 100, logistic: bool = False) -> None:
        self.lag, self.logistic = lag, logistic
        self.require("lag", 10)
        if logistic:
            share = 1 / self.output_size
            self.floor, self.solved_loss = share * (1 - share), 0.1**2

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        longest, columns = self.lag + self.lag // 10, torch.arange(size)
        lengths = torch.randint(self.lag, longest + 1, (size,), generator=generator)
        windows = [(self.lag * first // 100, self.lag * last // 100) for first, last in self.windows]
        times = torch.stack([torch.randint(first, last + 1, (size,), generator=generator) for first, last in windows])
        relevant = torch.randint(2, times.shape, generator=generator)
        symbols = torch.randint(DISTRACTOR, X, (longest, size), generator=generator)
        symbols[0] = START
        symbols[times, columns] = X + relevant
        symbols[lengths - 1, columns] = END
        inputs = one_hot(symbols, self.input_size, present=torch.arange(longest).view(-1, 1) < lengths)
        targets = torch.zeros(1, size, dtype=torch.int64)
        for digit in relevant:
            targets = 2 * targets + digit
        return Batch(inputs, targets, (lengths - 1).view(1, size), lengths)

    @loss_form(lambda task: "logistic_squared_error" if task.logistic else "cross_entropy")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if not self.logistic:
            return super().loss(outputs, batch)
        return functional.mse_loss(outputs.sigmoid(), one_hot(batch.targets, self.output_size))

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        if self.logistic:
            errors = (outputs.sigmoid() - one_hot(batch.targets, self.output_size)).abs()
            largest = errors.amax(-1)
        else:
            errors = largest = 1 - outputs.softmax(-1).gather(-1, batch.targets.unsqueeze(-1))
        metrics = {
            **super().metrics(outputs, batch),
            "absolute_error": float(errors.mean()),
            "wrong": float((~(largest < 0.3)).float().mean()),
        }
        return {**metrics, "published": float(self.published(metrics))}

    def published(self, metrics: dict[str, float]) -> bool:
        """Return the criterion of the publication: no sequence wrong and a mean absolute error below 0.1."""
        return metrics["wrong"] == 0 and metrics["absolute_error"] < 0.1

    def solved(self, metrics: dict[str, float]) -> bool:
        return self.published(metrics) if self.logistic else super().solved(metrics)

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs.argmax(-1).T  # [B, T]
        order = seen[seen >= X].view(len(seen), -1) - X
        return (order @ 2 ** torch.arange(order.shape[1]).flip(0)).unsqueeze(0)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., X:].sum(-1) > 0


class TemporalOrder3(TemporalOrder, name="temporal_order_3"):
    """Name the order of three relevant symbols: `temporal_order` with a third one and eight classes.

        input    E  b .. a   X   c .. d   Y   b .. c   Y   a .. d   B
        target   .  . .. .   .   . .. .   .   . .. .   .   . .. .   U       XXX: Q  XXY: R  XYX: S  XYY: U  YXX: V  YXY:
        A  YYX: B  YYY: C
                 0          t1           t2           t3        length - 1

    For lag = 100: t1 in 10 .. 20, t2 in 33 .. 43, t3 in 66 .. 76. A model without memory is uniform over the eight
    classes: ln 8 = 2.079. Solved, and published criterion, as in `temporal_order`.

    lag: shortest length in steps, at least 10.
    logistic: as in `temporal_order`; a model without memory then has a loss of 7/64 = 0.1094.

    The paper needed 571,100 sequences.
    """

    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.6, task 6b"
    output_size = 8
    floor = math.log(8)
    windows = ((10, 20), (33, 43), (66, 76))
