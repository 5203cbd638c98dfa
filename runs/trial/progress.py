"""What a training keeps in mind: its curve, its best parameters, and whether its task is solved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Curve:
    """The losses of a training at its evaluations.

    steps: at which it was evaluated.
    losses: on the validation set.
    train_losses: mean loss of the batches since the evaluation before; None at step 0.
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
    """The evaluation with the lowest validation loss, the first of equal ones.

    step, loss: where it was and what it gave.
    parameters: a copy of the parameters there; None before the first evaluation.
    since: how many evaluations there were after it.
    """

    step: int = 0
    loss: float = math.inf
    parameters: Tensor | None = None
    since: int = 0

    def compare(self, step: int, loss: float, parameters: Tensor) -> None:
        """Take this evaluation as the best one where its loss is lower."""
        if loss < self.loss:
            self.step, self.loss, self.parameters, self.since = step, loss, parameters.clone(), 0
        else:
            self.since += 1


@dataclass
class Solution:
    """Whether a task is solved: its criterion must be met at several evaluations in a row.

    needed: at how many.
    step: of the first of them; None while the task is not solved.
    """

    needed: int
    step: int | None = None
    _in_a_row: list[int] = field(default_factory=list)

    def confirmed(self, step: int, meets: bool) -> bool:
        """Note whether an evaluation meets the criterion; return True at the one that confirms the solution."""
        self._in_a_row = [*self._in_a_row, step] if meets else []
        if self.step is not None or len(self._in_a_row) < self.needed:
            return False
        self.step = self._in_a_row[0]
        return True
