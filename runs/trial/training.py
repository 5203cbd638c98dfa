"""Training: updates, the evaluation grid, stopping, and divergence. `run` turns a trial into its outcome."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.sgd import sgd

from tasks import Batch, Task
from tasks.contract import check_answers, draw
from variants import FlatMemory, Recurrent, streams

from ..networks.readout import Network, untrained
from .trial import Outcome, Training, Trial

Report = Callable[[int, float], None]
# sequences that are evaluated at a time, and how many steps they may have together
MOST_EVALUATED, EVALUATED_STEPS = 256, 2**17
MOST_DRAWN, DRAWN_NUMBERS = 16, 2**20  # batches that are drawn at a time, and how many numbers their inputs may have


class Interrupted(Exception):
    """The trial was asked to stop before its end; it has no outcome."""


class OutOfTime(Exception):
    """The trial has taken more time than it was given."""


class MachineFault(Exception):
    """The machine could not run the trial: no memory, no open file left, a full disk.

    The same trial may work another time.
    """


class Pruned(Exception):
    """The pruner of a search gave the trial up."""


def prepare_process() -> None:
    """Make this process compute like every other worker: one thread, denormals flushed."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def run(
    trial: Trial,
    report: Report = lambda step, loss: None,
    stopping: Callable[[], bool] = lambda: False,
    *,
    raise_faults: bool = False,
) -> Outcome:
    """Run a trial. Whatever goes wrong in it becomes an outcome of status failed with the error.

    report: called with (step, validation loss) at every evaluation.
    stopping: asked at every update; `Interrupted` is raised as soon as it answers True. It may raise `OutOfTime`.
    raise_faults: raise MachineFault where the machine lacked something, in place of a failed outcome.
    """
    return trained(trial, report, stopping, raise_faults=raise_faults)[1]


def trained(
    trial: Trial,
    report: Report = lambda step, loss: None,
    stopping: Callable[[], bool] = lambda: False,
    *,
    raise_faults: bool = False,
) -> tuple[Network | None, Outcome]:
    """As `run`, and the network with the parameters of `best_step`; None where the trial failed."""
    start = time.perf_counter()
    try:
        network, task = untrained(trial)
        outcome = _train(network, task, trial, report, stopping)
    except Interrupted:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, OutOfTime) else f"{type(error).__name__}: {error}"
        if raise_faults and of_the_machine(error):
            raise MachineFault(text) from error
        return None, Outcome(status="failed", error=text, seconds=time.perf_counter() - start)
    return network, Outcome(**{**outcome, "seconds": time.perf_counter() - start})


# How libraries word what the system refused: torch's allocators raise RuntimeError, a library that cannot be loaded
# ImportError.
SHORTAGES = (
    *(
        os.strerror(code).lower()
        for code in (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
    ),
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "can't start new thread",
)


def of_the_machine(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, says that the machine lacked something, in place of something about the
    trial.
    """
    while error is not None:
        if isinstance(error, OSError | MemoryError) or any(words in str(error).lower() for words in SHORTAGES):
            return True
        error = error.__cause__
    return False


def evaluation_grid(training: Training) -> list[int]:
    """Steps at which to evaluate: 0, then at most `evaluations` log-spaced ones, the last of them the budget."""
    points = np.geomspace(1, training.budget, training.evaluations)
    return [0, *np.unique(np.rint(points).astype(int)).tolist()]


def evaluate(network: Network, task: Task, batch: Batch) -> dict[str, float]:
    """The task's metrics on a batch of held-out sequences."""
    return task.metrics(_answers(network, batch), batch)


def _answers(network: Network, batch: Batch) -> torch.Tensor:
    steps, size = batch.inputs.shape[:2]
    # Memory beyond what the allocator keeps is fetched anew each time, which takes as long as the kernel.
    chunk = max(16, min(MOST_EVALUATED, EVALUATED_STEPS // steps))
    network.eval()
    with torch.inference_mode():
        parts = [network(_part(batch, k, k + chunk)) for k in range(0, size, chunk)]
    network.train()
    return torch.cat(parts, dim=1)


def _part(batch: Batch, start: int, stop: int | None) -> Batch:
    """Some sequences of a batch."""
    part = slice(start, stop)
    lengths = None if batch.lengths is None else batch.lengths[part]
    return Batch(batch.inputs[:, part], batch.targets[:, part], batch.reads[:, part], lengths)


class Validation:
    """A validation set of which an evaluation looks at the first sequences, and at the others only where these meet the
    criterion.
    """

    def __init__(self, task: Task, batch: Batch, few: int) -> None:
        self.task, self.batch = task, batch
        self.few = _part(batch, 0, few or None)
        looked_at, size = self.few.inputs.shape[1], batch.inputs.shape[1]
        self._others = _part(batch, looked_at, None) if looked_at < size else None

    def look(self, network: Network) -> tuple[float, bool]:
        """Loss on the first sequences, and whether these and all together meet the task's criterion."""
        answers = _answers(network, self.few)
        metrics = self.task.metrics(answers, self.few)
        solved = self.task.solved(metrics)
        if solved and self._others is not None:
            every = torch.cat((answers, _answers(network, self._others)), dim=1)
            solved = self.task.solved(self.task.metrics(every, self.batch))
        return metrics["loss"], solved


class Flat:
    """The parameters of a network as one vector and their gradients as another: clipping and optimiser are one
    operation each.

    The network's own parameters and gradients become views of the two. A parameter that layers share is there once.
    """

    def __init__(self, network: nn.Module) -> None:
        memory = FlatMemory(network.parameters())
        self.values, self.gradient = memory.values, memory.gradient
        self._recurrent = [m for m in network.modules() if isinstance(m, Recurrent)]
        for module in self._recurrent:
            module.flatten_parameters(memory)
            module.start_training()

    def release(self) -> None:
        """End the short way of a training step; the network's parameters stay views."""
        for module in self._recurrent:
            module.end_training()

    def clip(self, largest: float) -> None:
        """Scale the gradient down to this norm where its own is larger; one that is not finite stays so."""
        norm = float(torch.linalg.vector_norm(self.gradient))
        if not norm <= largest:
            self.gradient.mul_(largest / norm)


class Optimiser:
    """Updates of a vector by its gradient, by the functional forms of torch: its classes import torch.compile, which
    takes seconds.
    """

    def __init__(self, values: torch.Tensor, gradient: torch.Tensor, training: Training) -> None:
        self._training, self._vectors = training, ([values], [gradient])
        self._mean, self._square, self._count = torch.zeros_like(values), torch.zeros_like(values), torch.zeros(())
        self._momentum: list[torch.Tensor | None] = [None]

    def step(self) -> None:
        """Adam with its published constants, or Nesterov momentum with the learning rate of `Training`."""
        given = self._training
        if given.optimiser == "adam":
            # What Adam(fused=True) calls, without what it does around it, which takes longer than the
            # update of a small network.
            torch._fused_adam_(
                *self._vectors,
                *([self._mean], [self._square], [], [self._count.add_(1)]),
                lr=given.learning_rate,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
        else:
            sgd(
                *self._vectors,
                self._momentum,
                fused=True,
                weight_decay=0.0,
                momentum=given.momentum,
                lr=given.learning_rate * (1.0 - given.momentum),
                dampening=0.0,
                nesterov=given.momentum > 0,
                maximize=False,
            )


def batches(task: Task, trial: Trial) -> Iterator[Batch]:
    """The training data of a trial without end, drawn many batches at a time."""
    training = trial.training
    data, noise = streams(trial.seed)("training data"), streams(trial.seed)("input noise")
    size, count = training.batch_size, 1
    while True:
        drawn = draw(task, count * size, data)
        if training.input_noise > 0:
            disturbed = drawn.inputs + training.input_noise * torch.randn(drawn.inputs.shape, generator=noise)
            drawn = drawn._replace(inputs=disturbed)
        inputs, targets, reads = (torch.split(v, size, dim=1) for v in drawn[:3])
        lengths = [None] * count if drawn.lengths is None else torch.split(drawn.lengths, size)
        yield from map(Batch, inputs, targets, reads, lengths)
        count = max(1, min(MOST_DRAWN, DRAWN_NUMBERS * count // drawn.inputs.numel()))


def _train(network: Network, task: Task, trial: Trial, report: Report, stopping: Callable[[], bool]) -> dict[str, Any]:
    training = trial.training
    size = training.evaluation_sequences or task.evaluation_size
    validation = Validation(task, draw(task, size, streams(trial.data_seed)("validation")), training.curve_sequences)
    check_answers(task, validation.few)
    data = batches(task, trial)
    flat = Flat(network)
    optimiser = Optimiser(flat.values, flat.gradient, training)

    curve: list[tuple[int, float, float | None]] = []
    best: torch.Tensor | None = None
    best_loss, best_step, since_best = math.inf, 0, 0
    in_a_row, solved_step = 0, None
    status, step, losses = "finished", 0, 0.0
    for until in evaluation_grid(training):
        drawn = until - step
        while step < until:
            if stopping():
                raise Interrupted(trial.id)
            batch = next(data)
            loss = task.loss(network(batch), batch)
            step += 1
            value = loss.item()
            if not math.isfinite(value):
                status = "diverged"
                break
            losses += value
            flat.gradient.zero_()
            torch.autograd.backward(loss)
            if training.clip_norm > 0:
                flat.clip(training.clip_norm)
            optimiser.step()
        if status == "diverged":
            break
        seen, meets = validation.look(network)
        if not math.isfinite(seen):
            status = "diverged"
            break
        curve.append((step, seen, losses / drawn if drawn else None))
        losses = 0.0
        if seen < best_loss:
            best_loss, best_step, since_best = seen, step, 0
            best = flat.values.clone()
        else:
            since_best += 1
        try:
            report(step, seen)
        except Pruned:
            status = "pruned"
            break
        in_a_row = in_a_row + 1 if meets else 0
        if in_a_row == training.confirmations and solved_step is None:
            status, solved_step = "solved", curve[-training.confirmations][0]
            if training.stop_when_solved:
                break
        if 0 < training.patience <= since_best:
            break

    flat.release()
    validation_loss, test_metrics = None, dict[str, float]()
    if best is not None:
        flat.values.copy_(best)
        validation_loss = evaluate(network, task, validation.batch)["loss"]
        test_metrics = evaluate(network, task, draw(task, size, streams(trial.data_seed)("test")))
    # on sequences that the curve does not look at
    if validation_loss is not None and not math.isfinite(validation_loss):
        status, solved_step, validation_loss, test_metrics = "diverged", None, None, {}
    return {
        "status": status,
        "steps": step,
        "sequences": step * training.batch_size,
        "solved_step": solved_step,
        "best_step": best_step,
        "validation_loss": validation_loss,
        "test_loss": test_metrics.get("loss"),
        "test_metrics": test_metrics,
        "score": 1.0 if status == "solved" else task.score(test_metrics["loss"]) if test_metrics else 0.0,
        "curve_steps": tuple(c[0] for c in curve),
        "curve_losses": tuple(c[1] for c in curve),
        "train_losses": tuple(c[2] for c in curve),
        "parameters": network.parameter_count,
        "flops_per_step": network.flops_per_step,
        "engine": network.recurrent.engine,
        "why_eager": network.recurrent.why_eager,
    }
