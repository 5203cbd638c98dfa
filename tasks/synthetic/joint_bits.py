"""Joint bits: say how probable patterns of bits are, which belong together and to a pair that was told long ago."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..task import Batch, Density, step_by_step

PATTERNS = ((1, 1, 1, 1, 0, 0, 0, 0), (1, 1, 0, 0, 1, 1, 0, 0), (1, 0, 1, 0, 1, 0, 1, 0))
"""One pattern of each pair; the other one is its complement. The last pair tells nothing."""
BITS = 8
NEAR = 0.05
"""A bound is near the entropy, if it is larger by this part of it at most."""


class JointBits(Density, name="joint_bits"):
    """Say how probable each of some patterns of bits is; which two patterns there can be was told `lag` steps ago.

        input    0         11110000  01010101  10101010  00001111  11110000  ..     the step before
        target   11110000  01010101  10101010  00001111  11110000  11110000  ..     8 bits, asked at every step
                 pair A    lag - 1 steps tell nothing    pair A again, `after` steps

    Each step is one of two patterns that are each other's complement, drawn anew. The first step is of the pair A
    (11110000 or its complement) or of the pair B (11001100 or its complement), both equally probable. The lag - 1 steps
    after it are always of a third pair, 10101010 and its complement; all steps from step lag on are of the pair of the
    first step. T = lag + after.

    Loss in nats a step, a mean over all T steps. The entropy is that of two bits at the first step and of one bit at
    each other one: (T + 1) ln 2 / T, .780 for eight steps. But half of the time each single bit is on, whatever came
    before: a model that gives each bit a probability of its own, with or without memory, cannot do better than 8 ln 2 =
    5.545. That is the floor, the loss of such a model without memory. A model that knows the patterns and forgets the
    pair pays one bit more, at step lag only: from there on the step before tells the pair.

    Solved when the loss is at most 5 % above the entropy, and where sequences are so long that a model without memory
    would pass (T of 10 or more), when it is above it by at most half of what the memory saves, ln 2 / T.

    lag: steps from the first step to the next one of its pair, at least 1.
    after: steps from there to the end, at least 1.
    """

    lag: int
    source = (
        "defined here in 2026, for networks with latent variables as in Bayer & Osendorfer 2014 and Chung et al. 2015"
    )

    def __init__(self, *, lag: int = 4, after: int = 4) -> None:
        self.lag, self.after = lag, after
        self.require("lag", 1)
        self.require("after", 1)
        self.input_size = self.output_size = BITS
        self.steps = steps = lag + after
        self.floor = BITS * math.log(2)
        self.entropy = (steps + 1) / steps * math.log(2)
        self.solved_loss = self.entropy + min(NEAR * self.entropy, math.log(2) / steps / 2)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        told = torch.randint(2, (1, size), generator=generator)
        flipped = torch.randint(2, (self.lag + self.after, size), generator=generator)
        pairs = torch.cat((told, torch.full((self.lag - 1, size), 2), told.expand(self.after, -1)))
        return step_by_step((torch.tensor(PATTERNS)[pairs] ^ flipped.unsqueeze(-1)).float())

    def baselines(self) -> dict[str, float]:
        steps = self.lag + self.after
        return {
            "the patterns, without the pair": (steps + 2) / steps * math.log(2),
            "entropy": (steps + 1) / steps * math.log(2),
        }

    def oracle(self, batch: Batch) -> Tensor:
        pairs = self._pairs(batch.targets)
        allowed = pairs == torch.where(self._free(len(pairs)), pairs[:1], 2)
        allowed[0] = (pairs[0] == 0) | (pairs[0] == 1)
        chance = torch.full_like(batch.targets[..., 0], 0.5)
        chance[0] = 0.25
        return torch.where(allowed, chance, 0.0).log()

    def relevant(self, batch: Batch) -> Tensor:
        steps = torch.arange(len(batch.inputs)).view(-1, 1)
        return (steps == 1).expand(batch.inputs.shape[:2])  # where the first pattern is heard

    def _free(self, steps: int) -> Tensor:
        """Return the steps of the pair of the first step, [T, 1] bool."""
        place = torch.arange(steps).view(-1, 1)
        return (place == 0) | (place >= self.lag)

    def _pairs(self, steps: Tensor) -> Tensor:
        """Return the pair that each step [T, B, 8] belongs to, [T, B]: 0, 1 or 2, and -1 where it is no pattern."""
        found = torch.full(steps.shape[:2], -1)
        for pair, pattern in enumerate(torch.tensor(PATTERNS, dtype=steps.dtype)):
            found[(steps == pattern).all(-1) | (steps == 1 - pattern).all(-1)] = pair
        return found
