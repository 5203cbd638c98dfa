"""Looks: at which updates of a training, on which sequences, and whether the task is solved there."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks import Batch, Task
from variants import Recurrent
from variants.layers.passes import EvaluationPass

from ..networks.network import NetworkModule
from ..networks.reader import ReaderModule
from .data import fresh_sets
from .progress import Recent
from .trial import Training, Trial
from .update import why_called

MOST_EVALUATED, FEWEST_EVALUATED = 256, 16
"""How many sequences are evaluated at a time; fewer where they are long, but not so few that products become slow."""
EVALUATED_STEPS = 2**17
"""How many steps these sequences may have together.

The state of 64 units at so many steps takes 32 MiB in float32. Larger blocks of memory are given back to the system by
the C library each time, and to fetch them again takes as long as the forward pass that fills them.
"""


def evaluation_grid(training: Training) -> list[int]:
    """Return the updates at which to look: 0, then at most `evaluations` evenly spaced ones, or the end of each epoch.

    >>> evaluation_grid(Training(budget=100, evaluations=5))
    [0, 20, 40, 60, 80, 100]
    >>> evaluation_grid(Training(training_sequences=100, epochs=3))
    [0, 4, 8, 12]
    """
    looks, updates = training.epochs or training.evaluations, training.updates
    return sorted({(2 * k * updates + looks) // (2 * looks) for k in range(looks + 1)})  # rounded


def chunk_of(steps: int) -> int:
    """Return how many sequences of so many steps are evaluated at a time."""
    return max(FEWEST_EVALUATED, min(MOST_EVALUATED, EVALUATED_STEPS // steps))


def _all_of(answers: Tensor, batch: Batch) -> Tensor:
    """Return answers [K, B, O] with as many rows as a batch has; a part of it may have been asked fewer."""
    missing = len(batch.reads) - len(answers)
    return answers if missing == 0 else functional.pad(answers, (0, 0, 0, 0, 0, missing))


class Evaluator:
    """The answers of a network in training, without gradients and regularisers.

    Where the layers can be evaluated in prepared memory, nothing is looked up, checked and allocated anew at each call.
    Else the network is called.

    network: its parameters stay where they are, and are changed in place.
    noise: gives the generator of a look, of a network that draws random numbers; by default one of seed 0.
    """

    def __init__(self, network: nn.Module, noise: Callable[[], torch.Generator] | None = None) -> None:
        self._network, self._noise = network, noise or (lambda: torch.Generator().manual_seed(0))
        self.answering = getattr(network, "answering", True)
        self._passes: dict[bool, EvaluationPass] = {}
        self._calls = bool(why_called(network))

    def metrics(self, task: Task, batch: Batch) -> dict[str, float]:
        """Return the metrics of a batch of any size, among them `loss`.

        task: gives the metrics of answers; a network without answers measures itself.
        """
        if self.answering:
            return task.metrics(self.answers(batch), batch)
        network = cast(NetworkModule, self._network)
        network.eval()
        with torch.no_grad():
            found = network.look(batch, self._noise())
        network.train()
        return found

    def answers(self, batch: Batch) -> Tensor:
        """Return the answers [K, B, O] to a batch of any size; where nothing is asked they are any finite numbers."""
        steps, size = batch.inputs.shape[:2]
        if batch.lengths is None:
            chunk = chunk_of(steps)
            answer = self._prepared(steps, min(size, chunk), False) or self._called
            with torch.inference_mode():
                parts = [_all_of(answer(batch.part(k, k + chunk)), batch) for k in range(0, size, chunk)]
            return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return self._by_length(batch, batch.lengths)

    def _by_length(self, batch: Batch, lengths: Tensor) -> Tensor:
        """Return the answers to sequences that have lengths; those of similar lengths run together, the longest first.

        What comes after the end of a sequence takes time, and decides nothing.
        """
        order = torch.argsort(lengths, descending=True, stable=True)
        found, start = torch.empty(0), 0
        with torch.inference_mode():
            while start < batch.size:
                steps = int(lengths[order[start]])
                chosen = order[start : start + chunk_of(steps)]
                answer = self._prepared(steps, len(chosen), True) or self._called
                answers = answer(batch.select(chosen))
                if start == 0:
                    found = answers.new_zeros(len(batch.reads), batch.size, answers.shape[-1])
                found[: len(answers), chosen] = answers
                start += len(chosen)
        return found

    def _called(self, batch: Batch) -> Tensor:
        self._network.eval()
        answers: Tensor = self._network(batch)
        self._network.train()
        return answers

    def _prepared(self, steps: int, size: int, padded: bool) -> Callable[[Batch], Tensor] | None:
        """Return what answers up to so many sequences of so many steps in prepared memory; None where nothing can."""
        if self._calls:
            return None
        network = cast(ReaderModule, self._network)
        found = self._passes.get(padded)
        if found is None or found.size[0] < steps or found.size[1] < size:
            recurrent = cast(Recurrent, network.recurrent)
            most = (steps, size) if found is None else (max(steps, found.size[0]), max(size, found.size[1]))
            self._passes.pop(padded, None)
            found = self._passes[padded] = recurrent.evaluation_pass(*most, padded=padded)
        return lambda part: network.answers(found.outputs(part.inputs, part.lengths, part.reads))


def evaluate(network: nn.Module | Evaluator, task: Task, batch: Batch) -> dict[str, float]:
    """Return the task's metrics of a network on held-out sequences, among them `loss`."""
    return _evaluator(network).metrics(task, batch)


def _evaluator(network: nn.Module | Evaluator) -> Evaluator:
    return network if isinstance(network, Evaluator) else Evaluator(network)


class Validation:
    """A validation set that is looked at in two steps: at its first sequences, and only where these meet the task's
    criterion at all of them.

    task: of the sequences.
    batch: all of them.
    few: how many of them come first, 0 for all.
    """

    def __init__(self, task: Task, batch: Batch, few: int) -> None:
        self.task, self.batch = task, batch
        self.few = batch.part(0, few or None)
        count = self.few.size
        self._others = batch.part(count, None) if count < batch.size else None

    def evaluate(self, network: nn.Module | Evaluator, criterion: bool = True) -> tuple[float, bool]:
        """Return the loss on the first sequences, and whether these and all together meet the task's criterion.

        network: what is evaluated, or its evaluator.
        criterion: whether that is asked; without it the second answer is False.
        """
        evaluator = _evaluator(network)
        if not evaluator.answering:
            return self._measured(evaluator, criterion)
        answers = evaluator.answers(self.few)
        metrics = self.task.metrics(answers, self.few)
        meets = criterion and self.task.solved(metrics)
        if meets and self._others is not None:
            parts = (_all_of(answers, self.batch), _all_of(evaluator.answers(self._others), self.batch))
            every = torch.cat(parts, dim=1)
            meets = self.task.solved(self.task.metrics(every, self.batch))
        return metrics["loss"], meets

    def _measured(self, evaluator: Evaluator, criterion: bool) -> tuple[float, bool]:
        """Do the same for a network without answers, whose metrics of several parts cannot be joined."""
        metrics = evaluator.metrics(self.task, self.few)
        meets = criterion and self.task.solved(metrics)
        if meets and self._others is not None:
            meets = self.task.solved(evaluator.metrics(self.task, self.batch))
        return metrics["loss"], meets


class Solution:
    """Whether and when the task of a trial is solved, as `Training` defines it.

    step: update at which it was; None while it is not.
    """

    def __init__(self, task: Task, trial: Trial) -> None:
        self.step: int | None = None
        self._task, self._training = task, trial.training
        self._fresh = fresh_sets(task, trial)
        self._recent = Recent(task.evaluation_size) if trial.training.criterion == "training" else None

    @property
    def stops(self) -> bool:
        """Whether the training stops, as the task is solved."""
        return self.step is not None and self._training.stop_when_solved

    @property
    def by_looks(self) -> bool:
        """Whether a look can still solve the task."""
        return self.step is None and self._recent is None

    def look(self, step: int, network: nn.Module | Evaluator, meets: bool) -> None:
        """Confirm a look on fresh sequences; meets: whether it met the criterion on the validation set."""
        if not (meets and self.by_looks):
            return
        sets = (next(self._fresh) for _ in range(self._training.confirmations))
        if all(self._task.solved(evaluate(network, self._task, fresh)) for fresh in sets):
            self.step = step

    def update(self, step: int, answers: Callable[[], Tensor], batch: Batch) -> None:
        """Note the answers [K, B, O] to a training batch, where training sequences decide."""
        if self._recent is None or self.step is not None:
            return
        self._recent.add(self._task.metrics(answers(), batch), batch.inputs.shape[1])
        means = self._recent.means()
        if means is not None and self._task.solved(means):
            self.step = step
