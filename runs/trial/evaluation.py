"""Evaluation: at which steps of a training, on which sequences, and whether the task's criterion is met there."""

from __future__ import annotations

import numpy as np
import torch

from tasks import Batch, Task

from ..networks.readout import Network
from .data import part_of
from .trial import Training

MOST_EVALUATED, FEWEST_EVALUATED = 256, 16
"""How many sequences are evaluated at a time; fewer where they are long, but not so few that products become slow."""
EVALUATED_STEPS = 2**17
"""How many steps these sequences may have together.

The state of 64 units at so many steps takes 32 MiB in float32. Larger blocks of memory are given back to the system by
the C library each time, and to fetch them again takes as long as the forward pass that fills them.
"""


def evaluation_grid(training: Training) -> list[int]:
    """Return the steps at which to evaluate: 0, then at most `evaluations` log-spaced ones up to the budget.

    >>> evaluation_grid(Training(budget=100, evaluations=5))
    [0, 1, 3, 10, 32, 100]
    """
    first = 1 if training.evaluations > 1 else training.budget
    points = np.geomspace(first, training.budget, training.evaluations)
    return [0, *np.unique(np.rint(points).astype(int)).tolist()]


def evaluate(network: Network, task: Task, batch: Batch) -> dict[str, float]:
    """Return the task's metrics of a network on held-out sequences, among them `loss`."""
    return task.metrics(_answers(network, batch), batch)


def _answers(network: Network, batch: Batch) -> torch.Tensor:
    """Return the answers [K, B, O] of a network to a batch of any size, without gradients and regularisers."""
    steps, size = batch.inputs.shape[:2]
    chunk = max(FEWEST_EVALUATED, min(MOST_EVALUATED, EVALUATED_STEPS // steps))
    network.eval()
    with torch.inference_mode():
        parts = [network(part_of(batch, k, k + chunk)) for k in range(0, size, chunk)]
    network.train()
    return torch.cat(parts, dim=1)


class Validation:
    """A validation set that is looked at in two steps: at its first sequences, and only where these meet the task's
    criterion at all of them.

    task: of the sequences.
    batch: all of them.
    few: how many of them come first, 0 for all.
    """

    def __init__(self, task: Task, batch: Batch, few: int) -> None:
        self.task, self.batch = task, batch
        self.few = part_of(batch, 0, few or None)
        count, size = self.few.inputs.shape[1], batch.inputs.shape[1]
        self._others = part_of(batch, count, None) if count < size else None

    def evaluate(self, network: Network) -> tuple[float, bool]:
        """Return the loss on the first sequences, and whether these and all together meet the task's criterion."""
        answers = _answers(network, self.few)
        metrics = self.task.metrics(answers, self.few)
        solved = self.task.solved(metrics)
        if solved and self._others is not None:
            every = torch.cat((answers, _answers(network, self._others)), dim=1)
            solved = self.task.solved(self.task.metrics(every, self.batch))
        return metrics["loss"], solved
