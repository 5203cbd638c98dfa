"""Parity and cycle: add up the steps of a walk on a ring, and generalise to longer walks."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..exact import entropy
from ..task import Batch, Classification, one_hot


class Parity(Classification, name="parity"):
    """Say whether the number of ones is odd, in a sequence of random length.

        input    1  0  1  1
        target   .  .  .  1        1 odd, 0 even; read at the last step

    Bits are uniform and independent, inputs are one-hot vectors of 2; the length n is uniform over shortest .. lag.
    Cross-entropy at the end. The present bit x alone says something, as the sequence may end with its first bit:
    without the other n - 1 bits the answer is x plus their parity, which is even with the probability 1 for n = 1 and
    1/2 for longer sequences. A model without memory then has the entropy of (1/2 + u, 1/2 - u) with u = 1 / (2 lag):
    0.6928 for lag = 40, where ln 2 is 0.6931; with a `shortest` above 1 it has ln 2. Likewise exact are the
    `baselines`, models of the last few bits, which see a short sequence as a whole. Solved when the accuracy is at
    least 99 %. `further_tests` has sequences of ten times the longest length, lag, so that a trial also reports
    `accuracy_x10`: whether the rule or its short cases were learnt.

    lag: longest length of a sequence in steps, at least 2.
    shortest: shortest length, at least 1 and at most lag.

    Published are lengths of 1 to 40 in training, and longer ones in tests. Short sequences are the way by which a
    network finds the rule: without them (shortest = lag) the task is among the hardest here.
    """

    source = "Deletang et al. 2023, 'Neural Networks and the Chomsky Hierarchy', section 4 and appendix A"
    lag: int
    moves: ClassVar[tuple[int, ...]] = (0, 1)
    """How far each symbol moves on the ring."""
    places: ClassVar[int] = 2
    """Number of places on the ring; the walk begins at place 0."""
    factor: ClassVar[int] = 10
    """How many times longer the sequences of the further test are."""

    def __init__(self, *, lag: int = 40, shortest: int = 1) -> None:
        self.lag, self.shortest = lag, shortest
        self.require("lag", 2)
        self.require("shortest", 1)
        if shortest > lag:
            raise ValueError(f"{self.name}: shortest must be at most lag, {lag}, got {shortest}")
        self.input_size, self.output_size = len(self.moves), self.places
        self.floor = self.loss_of_window(1)

    def loss_of_window(self, steps: int) -> float:
        """Compute the loss of the best model of the last few symbols exactly.

        A sequence that is shorter than the window is seen whole. Otherwise the model knows where the window leads from
        its first place, and must guess that place: its distribution after n - steps moves, averaged over the lengths n
        that the window leaves open.

        steps: number of symbols, at least 1, that the model sees.

        Returns the expected cross-entropy in nats.
        """
        step = torch.zeros(self.places, dtype=torch.float64)
        for move in self.moves:
            step[move % self.places] += 1 / len(self.moves)
        moved = torch.stack([step.roll(place) for place in range(self.places)])
        place = torch.zeros_like(step)
        place[0] = 1.0
        total, lengths = torch.zeros_like(step), 0
        for length in range(steps, self.lag + 1):
            if length >= self.shortest:
                total, lengths = total + place, lengths + 1
            place = place @ moved
        if lengths == 0:
            return 0.0
        return lengths / (self.lag - self.shortest + 1) * entropy(total / lengths)

    def walks(self, lengths: Tensor, longest: int, generator: torch.Generator) -> Batch:
        """Draw walks.

        lengths: [B] int64 in 1..longest, how many moves each of them has.
        longest: number of steps T of the batch.
        generator: where all random numbers come from.

        Returns the walks and where they end.
        """
        size = len(lengths)
        symbols = torch.randint(len(self.moves), (longest, size), generator=generator)
        walked = torch.arange(longest).view(-1, 1) < lengths
        targets = (torch.tensor(self.moves)[symbols] * walked).sum(0, keepdim=True) % self.places
        inputs = one_hot(symbols, self.input_size, present=walked)
        return Batch(inputs, targets, (lengths - 1).view(1, size), lengths)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        lengths = torch.randint(self.shortest, self.lag + 1, (size,), generator=generator)
        return self.walks(lengths, self.lag, generator)

    def further_tests(self, size: int, generator: torch.Generator) -> dict[str, Batch]:
        """Draw sequences that are ten times as long as the longest of the training.

        size: number of sequences B.
        generator: where all random numbers come from.

        Returns the batch under the name `x10`.
        """
        longest = self.factor * self.lag
        return {f"x{self.factor}": self.walks(torch.full((size,), longest), longest, generator)}

    def baselines(self) -> dict[str, float]:
        """Return the losses of the best models of the last 2 and the last 4 symbols."""
        return {f"last {steps} symbols": self.loss_of_window(steps) for steps in (2, 4)}

    def oracle(self, batch: Batch) -> Tensor:
        place = torch.zeros(batch.inputs.shape[1], dtype=torch.int64)
        for counts in batch.inputs.long():  # a vector of zeros, after the end, does not move
            place = (place + counts @ torch.tensor(self.moves)) % self.places
        return place.unsqueeze(0)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs.sum(-1) > 0


class Cycle(Parity, name="cycle"):
    """Say where a walk on a ring of five places ends: `parity` on a larger cyclic group.

        input    +  +  0  -  +  +  +  +        + one place on, - one back, 0 stay
        target   .  .  .  .  .  .  .  0        read at the last step: the sum of the moves, modulo 5

    Moves are uniform and independent, inputs are one-hot vectors of 3; the length n is uniform over shortest .. lag.
    Cross-entropy at the end. A model without memory knows the last move x, and its best guess of the place before it is
    the distribution after n - 1 moves, averaged over n, whose entropy is computed exactly: 1.6061 for lag = 40,
    where ln 5 is 1.6094. Solved when the accuracy is at least 99 %. `further_tests` has sequences of ten times the
    longest length, lag, so that a trial also reports `accuracy_x10`.

    lag: longest length of a sequence in steps, at least 2.
    shortest: shortest length, at least 1 and at most lag.

    Published as cycle navigation, with lengths of 1 to 40 in training, and longer ones in tests.
    """

    source = "Deletang et al. 2023, 'Neural Networks and the Chomsky Hierarchy', section 4 and appendix A"
    moves = (0, 1, -1)
    places = 5
