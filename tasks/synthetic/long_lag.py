"""The long time lags of 1997: remember one of the first two symbols through many distractors, and name it last."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..task import Batch, Classification, one_hot


class LongLag(Classification, name="long_lag"):
    """Name the second symbol, x or y, after a random number of distractors, at the trigger e.

        input    b   y   a7  a3  a3  ..  a9   e         b start, a1 .. ap distractors, e trigger
        target   .   .   .   .   .   ..  .    y         read at the last step
                         lag + k distractors

    Inputs are one-hot vectors of p + 4 symbols. The distractors are uniform and independent. k is geometric: after the
    first `lag` distractors each step is the trigger with probability 1/10, so that k has the mean 9. The answer needs
    a symbol that is lag + 1 + k steps old. Cross-entropy at the end, in nats. A model without memory sees e, which
    always comes last: ln 2 = 0.693, accuracy 1/2. Solved when the accuracy is at least 99 %.

    lag: the smallest number of distractors, q, at least 1.
    distractors: how many different distractors there are, p, at least 1.

    In the paper two outputs learn 1 and 0, and a run succeeds when the error of both is below 0.2 for 10,000 sequences
    in a row. The metric `published` is 1 if all held-out sequences are like that, `wrong` the share of those that are
    not; with outputs that sum to 1 both errors are 1 minus the probability of the right class. The paper needed 30,000
    sequences for q = 50 and p = 50, 31,000 for 100 and 100, 49,000 for 1000 and 1000, and 203,000 for 1000 and 50. That
    a network solves the task in fewer sequences is no merit of its architecture alone: training and initial forget
    gates differ too.
    """

    lag: int
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.2, task 2c"
    output_size = 2
    floor = math.log(2)

    def __init__(self, *, lag: int = 50, distractors: int = 50) -> None:
        self.lag, self.distractors = lag, distractors
        self.require("lag", 1)
        self.require("distractors", 1)
        self.input_size = distractors + 4

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        trigger, start, first = self.distractors, self.distractors + 1, self.distractors + 2
        further = torch.empty(size).geometric_(0.1, generator=generator).long() - 1
        lengths = self.lag + further + 3
        longest = int(lengths.max())
        classes = torch.randint(2, (1, size), generator=generator)
        symbols = torch.randint(self.distractors, (longest, size), generator=generator)
        symbols[0] = start
        symbols[1] = first + classes[0]
        symbols[lengths - 1, torch.arange(size)] = trigger
        inputs = one_hot(symbols, self.input_size, present=torch.arange(longest).view(-1, 1) < lengths)
        return Batch(inputs, classes, (lengths - 1).view(1, size), lengths)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        errors = 1 - outputs.softmax(-1).gather(-1, batch.targets.unsqueeze(-1))
        wrong = float((~(errors < 0.2)).float().mean())
        return {**super().metrics(outputs, batch), "wrong": wrong, "published": float(wrong == 0)}

    def oracle(self, batch: Batch) -> Tensor:
        return batch.inputs[:, :, -1].sum(0, keepdim=True).long()

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., -2:].sum(-1) > 0


class LongLagNext(Classification, name="long_lag_next"):
    """Predict each next symbol; the last one repeats the first, x or y, and the others are distractors.

        input    y   a7  a3  a3  ..  a9         a1 .. a(p-1) distractors, p = lag
        target   a7  a3  a3  ..  a9  y          read at every step; the last answer repeats the first symbol
                     p - 1 distractors

    Inputs are one-hot vectors of p + 1 symbols, T = p. The distractors are uniform and independent (task 2b), or they
    are a1, a2 .. a(p-1) in this order, so that there are two sequences only (`random=False`, task 2a). Cross-entropy
    over all steps, in nats.

    The best model without memory sees the present symbol only. After x or y it is uniform over p - 1 distractors. A
    distractor is followed by x or y with probability 1/(p-1), else by any of p - 1 distractors, so that the floor is
    ((p-1) ln(p-1) + ln 2 + (p-1) H(1/(p-1))) / p with H(u) = -u ln u - (1-u) ln(1-u): 4.612 for p = 100. The best of
    all (`baselines`) loses (p-1) ln(p-1) / p, 4.549, and one that has lost the first symbol but counts steps ln 2 / p
    more. For the fixed order the floor is ln 2 / p, as only the last symbol is unknown, and the best of all loses
    nothing. As these differences are small, `recall_loss` and `recall_accuracy` of the last answer stand beside the
    loss of all steps; without memory they are ln 2 = 0.693 and 1/2. Solved when the recall accuracy is at least 99 %.
    `solved_loss` is that of the best model of all if it gave the right last symbol a probability of 0.99.

    lag: number of inputs, p, at least 2. The last answer needs a symbol that is p - 1 steps old.
    random: whether the distractors are random (task 2b); else they come in a fixed order (task 2a).

    In the paper a run succeeds when the largest error of all outputs is below 0.25 for 10,000 sequences in a row, at
    the end of the sequence where the distractors are random, at all steps where they are fixed. The metric `published`
    is 1 if all held-out sequences are like that, `wrong` the share of those that are not; with outputs that sum to 1
    the largest error is 1 minus the probability of the right class. For p = 100 the paper needed 5,680 sequences with
    random distractors, 5,040 with fixed ones.
    """

    lag: int
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.2, tasks 2a and 2b"
    unit = "nats per step"
    causal = True

    def __init__(self, *, lag: int = 100, random: bool = True) -> None:
        self.lag, self.random = lag, random
        self.require("lag", 2)
        self.input_size = self.output_size = lag + 1
        self.optimum, unknown = 0.0, math.log(2)
        if random:
            share = torch.tensor([1 / (lag - 1), 1 - 1 / (lag - 1)], dtype=torch.float64)
            self.optimum = (lag - 1) * math.log(lag - 1) / lag
            unknown += (lag - 1) * float(torch.special.entr(share).sum())
        self.floor = self.optimum + unknown / lag
        self.solved_loss = self.optimum - math.log(0.99) / lag

    def baselines(self) -> dict[str, float]:
        return {"all but the first symbol": self.optimum + math.log(2) / self.lag, "best possible": self.optimum}

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        first = self.lag - 1 + torch.randint(2, (1, size), generator=generator)
        if self.random:
            distractors = torch.randint(self.lag - 1, (self.lag - 1, size), generator=generator)
        else:
            distractors = torch.arange(self.lag - 1).view(-1, 1).expand(-1, size)
        symbols = torch.cat((first, distractors, first))
        reads = torch.arange(self.lag).view(-1, 1).repeat(1, size)
        return Batch(one_hot(symbols[:-1], self.input_size), symbols[1:], reads)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        judged = -1 if self.random else 0
        right = outputs[judged:].softmax(-1).gather(-1, batch.targets[judged:].unsqueeze(-1))
        wrong = float((~(1 - right < 0.25)).any(0).float().mean())
        return {
            **super().metrics(outputs, batch),
            "recall_loss": float(functional.cross_entropy(outputs[-1], batch.targets[-1])),
            "recall_accuracy": float((outputs[-1].argmax(-1) == batch.targets[-1]).float().mean()),
            "wrong": wrong,
            "published": float(wrong == 0),
        }

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["recall_accuracy"] >= 0.99

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs.argmax(-1)
        return torch.cat((seen[1:], seen[:1]))

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., -2:].sum(-1) > 0
