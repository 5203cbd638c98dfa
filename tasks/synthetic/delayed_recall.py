"""Delayed recall: name a cue that was seen `lag` steps ago."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..task import Batch, Classification, one_hot


class DelayedRecall(Classification, name="delayed_recall"):
    """Store a cue, let distractors pass, and name the cue when the query comes.

        input    C   b  d  a  a  ..  c   ?         A B C .. cues, a b c .. distractors, ? query
        target   .   .  .  .  .  ..  .   C         read at the query, step lag
                 cue  lag - 1 distractors

    With `cues` = 2 the first two steps are cues and the query says which of them is asked:

        input    C  A   b  d  a  ..  c  ?2         ?1 asks for the first cue, ?2 for the second
        target   .  .   .  .  .  ..  .   A

    Cues and distractors are uniform and independent, T = lag + cues; the last cue is lag steps before the query, the
    first lag + cues - 1. Cross-entropy at the query only. A model without memory is uniform over the K cue symbols: ln
    K, accuracy 1/K. Solved when the accuracy is at least 99 %.

    lag: steps from the last cue to the query, at least 1.
    symbols: K, how many different cues there are, at least 2.
    distractors: how many different distractors there are, at least 1.
    cues: how many cues are stored, at least 1.

    Differs from task 2c of the paper: there are K cues instead of two, a fixed delay instead of a random one, no start
    symbol, and a query that can name one of several cues instead of the end symbol.
    """

    lag: int
    source = "defined here, after Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 5.2, task 2c"

    def __init__(self, *, lag: int = 100, symbols: int = 8, distractors: int = 8, cues: int = 1) -> None:
        self.lag, self.symbols, self.distractors, self.cues = lag, symbols, distractors, cues
        self.require("lag", 1)
        self.require("symbols", 2)
        self.require("distractors", 1)
        self.require("cues", 1)
        self.input_size = symbols + distractors + cues
        self.output_size = symbols
        self.floor = math.log(symbols)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        first_query = self.symbols + self.distractors
        cues = torch.randint(self.symbols, (self.cues, size), generator=generator)
        passing = torch.randint(self.symbols, first_query, (self.lag - 1, size), generator=generator)
        asked = torch.randint(self.cues, (1, size), generator=generator)
        sequence = torch.cat((cues, passing, first_query + asked))
        return Batch(
            one_hot(sequence, self.input_size), cues.gather(0, asked), torch.full((1, size), len(sequence) - 1)
        )

    def oracle(self, batch: Batch) -> Tensor:
        cues = batch.inputs[: self.cues, :, : self.symbols]
        asked = batch.inputs[-1, :, -self.cues :]
        return torch.einsum("cbk,bc->bk", cues, asked).argmax(-1).unsqueeze(0)

    def relevant(self, batch: Batch) -> Tensor:
        steps = torch.arange(len(batch.inputs)).view(-1, 1)
        return ((steps < self.cues) | (steps == len(steps) - 1)).expand(batch.inputs.shape[:2])
