"""Time warping: remember the previous symbol while the present one is repeated at random."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..task import Batch, Classification, one_hot


class TimeWarp(Classification, name="time_warp"):
    """Name the previous different symbol, where every symbol is repeated a random number of times.

        input    C  C  C  A  A  A  A  D  B  B  B
        target   .  .  .  .  .  .  C  A  .  .  D        read at the last step of each run but the first

    A sequence has `runs` runs, and the length of each is uniform over 1 .. lag. The symbol of a run is uniform over
    those that differ from the one before; inputs are one-hot vectors. Cross-entropy at the last step of a run, where
    the symbol that is asked was last seen as many steps ago as the run is long: (lag + 1) / 2 on average. A model
    without memory sees the present symbol, which the answer never is: ln (K - 1) = 2.197 exactly, not ln K. A model
    that sees the last m symbols knows the answer where the run is shorter than m. Its loss, which `baselines` gives, is
    (1 - (m - 1) / lag) ln (K - 1). Solved when the accuracy is at least 99 %.

    lag: largest number of repetitions, at least 1.
    symbols: number of different symbols, K, at least 3; published: 10.
    runs: number of runs in a sequence, at least 2.

    In the paper an answer is asked at every step. Here a run never has the symbol of the one before, as the two could
    not be told from one longer run. This is why the answer is never the present symbol, and the floor below ln K.
    """

    source = "after Tallec & Ollivier 2018, 'Can Recurrent Neural Networks Warp Time?', section 3"
    lag: int

    def __init__(self, *, lag: int = 20, symbols: int = 10, runs: int = 5) -> None:
        self.lag, self.symbols, self.runs = lag, symbols, runs
        self.require("lag", 1)
        self.require("symbols", 3)
        self.require("runs", 2)
        self.input_size = self.output_size = symbols
        self.floor = math.log(symbols - 1)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        longest = self.runs * self.lag
        jumps = torch.randint(1, self.symbols, (self.runs, size), generator=generator)
        jumps[0] = torch.randint(self.symbols, (size,), generator=generator)
        named = jumps.cumsum(0) % self.symbols
        ends = torch.randint(1, self.lag + 1, (self.runs, size), generator=generator).cumsum(0)
        steps = torch.arange(longest).expand(size, -1).contiguous()
        run = torch.searchsorted(ends.T.contiguous(), steps, right=True).T.clamp(max=self.runs - 1)
        lengths = ends[-1].clone()
        inputs = one_hot(named.gather(0, run), self.symbols, present=torch.arange(longest).view(-1, 1) < lengths)
        return Batch(inputs, named[:-1].clone(), ends[1:] - 1, lengths)

    def baselines(self) -> dict[str, float]:
        """Return the losses of the best models of the last 2 and the last 4 symbols."""
        return {f"last {m} symbols": max(0.0, 1 - (m - 1) / self.lag) * self.floor for m in (2, 4)}

    def oracle(self, batch: Batch) -> Tensor:
        begins = batch.inputs.clone()  # a one where a run begins
        begins[1:] *= 1 - batch.inputs[:-1]
        named = begins.transpose(0, 1).nonzero()[:, 2].view(-1, self.runs)
        return named[:, :-1].T

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs.sum(-1) > 0
