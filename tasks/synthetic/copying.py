"""The copying problem: keep some symbols through a long blank, then write them down."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..task import Batch, Classification, one_hot


class Copying(Classification, name="copying"):
    """Repeat ten symbols after a delimiter that comes `lag` steps later.

        input    3 1 4 .. 7   _ _ .. _   :   _ _ _ .. _        _ blank, : delimiter
        target   _ _ _ .. _   _ _ .. _   _   3 1 4 .. 7        an answer is read at every step
                 10 symbols   lag - 1        10 answers

    T = lag + 20. The symbols are uniform over 8; inputs are one-hot vectors of 10 (symbols, blank, delimiter), answers
    one of 9 classes (never the delimiter). Every symbol is due lag + 10 steps after it was seen, the first of them one
    step after the delimiter. Cross-entropy over all steps. The floor is that of a model without memory of the symbols
    that still counts steps: it knows the lag + 10 blanks and is uniform over 8 on the last ten steps, 10 ln 8 / (lag +
    20), or ln 8 = 2.079 on those ten alone. One that cannot count either is worse. For long lags the loss over all
    steps hides the recall, so `recall_loss` and `recall_accuracy`, of the last ten answers, stand beside it. Solved
    when the recall accuracy is at least 99 %.

    lag: steps from the last symbol to the delimiter, at least 1.
    length: number of symbols to keep, L; published: 10. The floor becomes L ln K / (lag + 2 L).
    symbols: number of different symbols, K, at least 2; published: 8.

    The idea is that of Hochreiter & Schmidhuber 1997.
    """

    lag: int
    source = "Arjovsky, Shah & Bengio 2016, 'Unitary Evolution Recurrent Neural Networks', section 4.1"

    def __init__(self, *, lag: int = 100, length: int = 10, symbols: int = 8) -> None:
        self.lag, self.length, self.symbols = lag, length, symbols
        self.require("lag", 1)
        self.require("length", 1)
        self.require("symbols", 2)
        self.blank, self.delimiter = symbols, symbols + 1
        self.input_size, self.output_size = symbols + 2, symbols + 1
        recalled = length / (lag + 2 * length)
        self.floor = recalled * math.log(symbols)
        self.solved_loss = -recalled * math.log(0.99)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        steps = self.lag + 2 * self.length
        drawn = torch.randint(self.symbols, (self.length, size), generator=generator)
        symbols = torch.full((steps, size), self.blank)
        targets = symbols.clone()
        symbols[: self.length] = drawn
        symbols[self.length + self.lag - 1] = self.delimiter
        targets[-self.length :] = drawn
        return Batch(one_hot(symbols, self.input_size), targets, torch.arange(steps).view(-1, 1).repeat(1, size))

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        recalled, due = outputs[-self.length :], batch.targets[-self.length :]
        return {
            **super().metrics(outputs, batch),
            "recall_loss": float(functional.cross_entropy(recalled.flatten(0, 1), due.flatten())),
            "recall_accuracy": float((recalled.argmax(-1) == due).float().mean()),
        }

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["recall_accuracy"] >= 0.99

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs.argmax(-1).T  # [B, T]
        kept = seen[seen < self.symbols].view(-1, self.length).T
        blanks = torch.full((self.lag + self.length, len(seen)), self.blank)
        return torch.cat((blanks, kept))

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.blank] == 0
