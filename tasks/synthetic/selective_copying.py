"""Selective copying: keep the symbols that stand at random places in noise, then write them down in order."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..exact import loss_without_order
from ..task import Batch, Classification, one_hot


class SelectiveCopying(Classification, name="selective_copying"):
    """Keep the symbols that stand at random places in noise, and write them down in their order when asked.

        input    _ 3 _ _ 1 .. _ 3 _    : : :        1 2 3 .. symbols, _ noise, : query
        target   . . . . . .. . . .    3 1 3        read at the queries
                 lag steps             3 answers

    T = lag + length. The places are a uniform choice of `length` of the first lag steps, the symbols are uniform and
    independent; inputs are one-hot vectors of symbols, noise and query. Cross-entropy at the queries. A symbol is
    between `length` and lag steps old when it is asked. A model without memory is uniform over the K symbols: ln K =
    1.386 exactly, accuracy 1/K. A model that remembers which symbols it saw, but not their order, has the entropy of
    their shares, which `baselines` gives. Solved when the accuracy is at least 99 %.

    lag: number of steps over which the symbols are spread, at least 1 and at least `length`.
    length: number of symbols to keep, at least 1.
    symbols: number of different symbols, K, at least 2.

    Published are 16 symbols to keep, of 4096 steps, and of 256 in Poli et al. 2024 (MAD).
    """

    source = "Gu & Dao 2023, 'Mamba: Linear-Time Sequence Modeling with Selective State Spaces', section 3.1"
    lag: int

    def __init__(self, *, lag: int = 100, length: int = 3, symbols: int = 4) -> None:
        self.lag, self.length, self.symbols = lag, length, symbols
        self.require("lag", 1)
        self.require("length", 1)
        self.require("symbols", 2)
        if length > lag:
            raise ValueError(f"{self.name}: length must be at most lag, {lag}, got {length}")
        self.noise, self.query = symbols, symbols + 1
        self.input_size, self.output_size = symbols + 2, symbols
        self.floor = math.log(symbols)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        places = torch.rand(self.lag, size, generator=generator).topk(self.length, 0).indices.sort(0).values
        kept = torch.randint(self.symbols, (self.length, size), generator=generator)
        symbols = torch.full((self.lag + self.length, size), self.noise)
        symbols.scatter_(0, places, kept)
        symbols[self.lag :] = self.query
        reads = torch.arange(self.lag, self.lag + self.length).view(-1, 1).repeat(1, size)
        return Batch(one_hot(symbols, self.input_size), kept, reads)

    def baselines(self) -> dict[str, float]:
        """Return the loss of a model that knows which symbols were seen, but not in which order."""
        return {"symbols without their order": loss_without_order(self.length, self.symbols)}

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs.argmax(-1).T  # [B, T]
        return seen[seen < self.symbols].view(-1, self.length).T

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.noise] == 0
