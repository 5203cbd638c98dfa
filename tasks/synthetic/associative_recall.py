"""Associative recall: store pairs of a key and a value, then give the value of a key."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..exact import loss_without_order
from ..task import Batch, Classification, one_hot


class AssociativeRecall(Classification, name="associative_recall"):
    """Store pairs of a key and a value, let blanks pass, and give the value of each key that is shown again.

        input    C 2  A 7  D 2    _ .. _    A  D  C        A B C .. keys, 0 1 2 .. values, _ blank
        target   . .  . .  . .    . .. .    7  2  2        read at each of the last steps
                 3 pairs        lag - 1     the keys in random order

    T = 2 * pairs + lag - 1 + queries. The keys of a sequence are different from each other, the values are uniform and
    independent; inputs are one-hot vectors of keys, values and blank. The last value is lag steps before the first
    query. Cross-entropy at the queries. The key at hand says nothing of its value, so that a model without memory is
    uniform over the V values: ln V = 2.079 exactly, accuracy 1/V. A model that remembers which values it saw, but not
    their keys, has the entropy of their shares, which `baselines` gives. Solved when the accuracy is at least 99 %.

    lag: steps from the last value to the first query, at least 1.
    pairs: number of pairs, k, at least 1.
    keys: number of different keys, at least as many as there are pairs.
    values: number of different values, V, at least 2.
    queries: how many keys are asked, at most as many as there are pairs; 0 asks all of them. With 1 this is the
        induction task.

    Published are 4 to 64 pairs of 8192 symbols; the pairs here are fewer, for layers of a few dozen units.
    """

    source = (
        "Arora et al. 2023, 'Zoology: Measuring and Improving Recall in Efficient Language Models', section 3, "
        "with keys and values apart, and a delay"
    )
    lag: int

    def __init__(self, *, lag: int = 100, pairs: int = 3, keys: int = 8, values: int = 8, queries: int = 0) -> None:
        self.lag, self.pairs, self.keys, self.values, self.queries = lag, pairs, keys, values, queries
        self.require("lag", 1)
        self.require("pairs", 1)
        self.require("keys", 1)
        self.require("values", 2)
        self.require("queries", 0)
        for knob, value, most, whose in (("pairs", pairs, keys, "keys"), ("queries", queries, pairs, "pairs")):
            if value > most:
                raise ValueError(f"{self.name}: {knob} must be at most the number of {whose}, {most}, got {value}")
        self.asked = queries or pairs
        self.blank = keys + values
        self.input_size, self.output_size = keys + values + 1, values
        self.floor = math.log(values)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        keys = torch.rand(self.keys, size, generator=generator).argsort(0)[: self.pairs]
        values = torch.randint(self.values, (self.pairs, size), generator=generator)
        order = torch.rand(self.pairs, size, generator=generator).argsort(0)[: self.asked]
        first = 2 * self.pairs + self.lag - 1
        symbols = torch.full((first + self.asked, size), self.blank)
        symbols[0 : 2 * self.pairs : 2] = keys
        symbols[1 : 2 * self.pairs : 2] = self.keys + values
        symbols[first:] = keys.gather(0, order)
        reads = torch.arange(first, first + self.asked).view(-1, 1).repeat(1, size)
        return Batch(one_hot(symbols, self.input_size), values.gather(0, order), reads)

    def baselines(self) -> dict[str, float]:
        """Return the loss of a model that knows which values were seen, but not their keys."""
        return {"values without their keys": loss_without_order(self.pairs, self.values)}

    def oracle(self, batch: Batch) -> Tensor:
        keys, values = batch.inputs[..., : self.keys], batch.inputs[..., self.keys : self.blank]
        pairs = 2 * self.pairs
        dictionary = torch.einsum("kbi,kbv->biv", keys[0:pairs:2], values[1:pairs:2])
        return torch.einsum("qbi,biv->qbv", keys[-self.asked :], dictionary).argmax(-1)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.blank] == 0
