"""What a training keeps in mind: its curve, its best parameters, and its recent training sequences."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Curve:
    """The losses of a training at its looks.

    steps: updates at which it was evaluated.
    losses: on the validation set.
    train_losses: mean loss of the batches since the look before; None at step 0.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    train_losses: list[float | None] = field(default_factory=list)
    _sum: float = 0.0
    _updates: int = 0

    def add_update(self, loss: float) -> None:
        """Note the training loss of one batch."""
        self._sum += loss
        self._updates += 1

    def add_evaluation(self, step: int, loss: float) -> None:
        """Note the validation loss at a step, beside the mean training loss up to there."""
        self.steps.append(step)
        self.losses.append(loss)
        self.train_losses.append(self._sum / self._updates if self._updates else None)
        self._sum, self._updates = 0.0, 0


@dataclass
class Best:
    """The look with the lowest validation loss, the first of equal ones, or that at which a solution ends the training.

    step, loss: where it was and what it gave.
    parameters: a copy of the parameters there; None before the first look.
    since: how many looks there were after it.
    """

    step: int = 0
    loss: float = math.inf
    parameters: Tensor | None = None
    since: int = 0

    def compare(self, step: int, loss: float, parameters: Tensor) -> None:
        """Take this look as the best one where its loss is lower."""
        if loss < self.loss:
            self.take(step, loss, parameters)
        else:
            self.since += 1

    def take(self, step: int, loss: float, parameters: Tensor) -> None:
        """Take this look as the best one, as that of a solution at which the training stops."""
        self.step, self.loss, self.parameters, self.since = step, loss, parameters.clone(), 0


class Recent:
    """The mean metrics of the most recent training sequences.

    needed: how many sequences; the batch that exceeds the number counts with all of its sequences.
    """

    def __init__(self, needed: int) -> None:
        self._needed, self._sequences, self._added = needed, 0, 0
        self._batches: deque[tuple[int, dict[str, float]]] = deque()
        self._sums: dict[str, float] = {}

    def add(self, metrics: Mapping[str, float], sequences: int) -> None:
        """Note the metrics of one batch, which are means over so many sequences."""
        self._batches.append((sequences, {name: value * sequences for name, value in metrics.items()}))
        self._sequences += sequences
        self._sum_up(self._batches[-1][1], 1)
        while self._sequences - self._batches[0][0] >= self._needed:
            left, sums = self._batches.popleft()
            self._sequences -= left
            self._sum_up(sums, -1)
        self._added += 1
        if self._added >= len(self._batches):  # sum up again, so that rounding errors do not add up and no NaN stays
            self._added = 0
            self._sums = {name: sum(sums[name] for _, sums in self._batches) for name in metrics}

    def _sum_up(self, sums: Mapping[str, float], sign: int) -> None:
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + sign * value

    def means(self) -> dict[str, float] | None:
        """Return the mean metrics of the last sequences, or None while there are too few."""
        if self._sequences < self._needed:
            return None
        return {name: value / self._sequences for name, value in self._sums.items()}
