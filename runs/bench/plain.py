"""The loop that a user would write without this project, around `torch.nn.LSTM` and its relatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tasks import Batch, Task

from ..trial.classes import construct
from ..trial.data import batches, held_out
from ..trial.evaluation import MOST_EVALUATED, evaluation_grid
from ..trial.trial import Trial
from .trials import Stopping

MODULES: dict[str, Callable[..., nn.Module]] = {
    "vanilla": nn.LSTM,
    "gru": nn.GRU,
    "gru_reset_after": nn.GRU,
    "rnn": nn.RNN,
    "irnn": partial(nn.RNN, nonlinearity="relu"),
}
"""The variants that torch has a module for; `nn.GRU` resets after the product, which makes no difference in work."""


class Learner(Protocol):
    """What learns in a loop: it is updated by batches and gives answers."""

    def update(self, batch: Batch) -> float:
        """Make one update and return the loss before it."""

    def answers(self, batch: Batch) -> Tensor:
        """Return the answers [K, B, O] to a batch, without gradients."""


def follow(learner: Learner, task: Task, trial: Trial, stopping: Stopping) -> list[float]:
    """Train a learner on the data of a trial, with its looks and its evaluation at the end; return the training losses.

    learner: as it starts.
    task, trial: what it is trained on.
    stopping: called before every update.
    """
    validation, test = held_out(task, trial, "validation"), held_out(task, trial, "test")
    few = validation.part(0, trial.training.curve_sequences or None)
    data, looks, losses = batches(task, trial), frozenset(evaluation_grid(trial.training)), list[float]()
    for step in range(trial.training.updates + 1):
        if step in looks:
            evaluate(learner, task, few)
        if step < trial.training.updates:
            stopping()
            losses.append(learner.update(next(data)))
    evaluate(learner, task, validation)
    evaluate(learner, task, test)
    return losses


def evaluate(learner: Learner, task: Task, batch: Batch) -> dict[str, float]:
    """Return the task's metrics of a learner on sequences of any number, of which 256 are answered at a time."""
    starts = range(0, batch.inputs.shape[1], MOST_EVALUATED)
    parts = [learner.answers(batch.part(k, k + MOST_EVALUATED)) for k in starts]
    return task.metrics(torch.cat(parts, dim=1), batch)


class Plain(nn.Module):
    """A recurrent module of torch with a linear read-out, Adam in one kernel, and clipping.

    name: of a variant in `MODULES`.
    task: gives the widths, and is read at its last steps only.
    trial: gives the other sizes and the learning rate. Its seed draws the parameters.
    """

    def __init__(self, name: str, task: Task, trial: Trial) -> None:
        super().__init__()
        torch.manual_seed(trial.seed)
        units = trial.model.hidden_size
        self.recurrent = MODULES[name](task.input_size, units)
        self.readout = nn.Linear(units, task.output_size)
        self.task, self.clip_norm = task, trial.training.clip_norm
        self.optimiser = torch.optim.Adam(self.parameters(), lr=trial.training.learning_rate, fused=True)

    def forward(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]; the K answers are read at the last K steps."""
        outputs, _ = self.recurrent(batch.inputs)
        answers: Tensor = self.readout(outputs[-len(batch.reads) :])
        return answers

    def update(self, batch: Batch) -> float:
        """Make one update and return the loss before it."""
        loss = self.task.loss(self(batch), batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), self.clip_norm)
        self.optimiser.step()
        return loss.item()

    @torch.no_grad()
    def answers(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O], without gradients."""
        answers: Tensor = self(batch)
        return answers


def plain(trial: Trial, stopping: Stopping) -> list[float]:
    """Run the loop for a trial; return the training losses."""
    task: Any = construct(trial.task, Task)
    return follow(Plain(trial.variant["label"], task, trial), task, trial, stopping)
