"""Permuted copying: keep a list of symbols and write it down in an order that is told at the end."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..exact import loss_without_order
from ..task import Batch, Classification, one_hot


class PermutedCopying(Classification, name="permuted_copying"):
    """Keep a list of symbols, and write it down in an order that is told when it is asked.

        input    3 1 2    _ .. _    c a b        1 2 3 .. symbols, _ blank, a b c .. the place that is asked
        target   . . .    . .. .    2 3 1        read at the last steps
                 length   lag - 1   a random order of all places

    T = 2 * length + lag - 1. Symbols are uniform and independent, the order is a uniform permutation; inputs are
    one-hot vectors of symbols, places and blank. Cross-entropy at the last steps. The place at hand says nothing of its
    symbol, so that a model without memory is uniform over the K symbols: ln K = 2.079 exactly, accuracy 1/K. A model
    that remembers which symbols it saw, but not their order, has the entropy of their shares, which `baselines` gives.
    Solved when the accuracy is at least 99 %.

    In `copying` the order is always that of the list, so that a network can prepare one answer after the other. Here
    all of them must be at hand; what looks back at the list needs to know the place of each symbol.

    lag: steps from the last symbol to the first question, at least 1.
    length: number of symbols to keep, at least 1.
    symbols: number of different symbols, K, at least 2.
    """

    source = (
        "copying after Arjovsky, Shah & Bengio 2016, 'Unitary Evolution Recurrent Neural Networks', section 5.1, with "
        "an order of our own"
    )
    lag: int

    def __init__(self, *, lag: int = 30, length: int = 5, symbols: int = 8) -> None:
        self.lag, self.length, self.symbols = lag, length, symbols
        self.require("lag", 1)
        self.require("length", 1)
        self.require("symbols", 2)
        self.blank = symbols + length
        self.input_size, self.output_size = symbols + length + 1, symbols
        self.floor = math.log(symbols)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        kept = torch.randint(self.symbols, (self.length, size), generator=generator)
        order = torch.rand(self.length, size, generator=generator).argsort(0)
        first = self.length + self.lag - 1
        symbols = torch.full((first + self.length, size), self.blank)
        symbols[: self.length] = kept
        symbols[first:] = self.symbols + order
        reads = torch.arange(first, first + self.length).view(-1, 1).repeat(1, size)
        return Batch(one_hot(symbols, self.input_size), kept.gather(0, order), reads)

    def baselines(self) -> dict[str, float]:
        """Return the loss of a model that knows which symbols were seen, but not in which order."""
        return {"symbols without their order": loss_without_order(self.length, self.symbols)}

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs[: self.length, :, : self.symbols]
        places = batch.inputs[-self.length :, :, self.symbols : self.blank]
        return torch.einsum("qbp,pbs->qbs", places, seen).argmax(-1)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.blank] == 0
