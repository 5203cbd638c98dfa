"""Training: updates, the evaluation grid, stopping, and divergence. `run` turns a trial into its outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks import Batch, Task
from variants import Cell, Scheme, streams

from .model import Network
from .trial import Outcome, Training, Trial, construct

Report = Callable[[int, float], None]
EVALUATION_CHUNK = 128


class Interrupted(Exception):
    """The trial was asked to stop before its end; it has no outcome."""


class Pruned(Exception):
    """The pruner of a search gave the trial up."""


def prepare_process() -> None:
    """Make this process compute like every other worker: one thread, denormals flushed."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def run(trial: Trial, report: Report = lambda step, loss: None, stopping: Callable[[], bool] = lambda: False) -> Outcome:
    """Run a trial. Whatever goes wrong in it becomes an outcome of status failed with the error.

    report: called with (step, validation loss) at every evaluation.
    stopping: asked at every update; `Interrupted` is raised as soon as it answers True.
    """
    start = time.perf_counter()
    try:
        task = construct(trial.task, Task)
        cell, scheme = construct(trial.variant, Cell), construct(trial.initialisation, Scheme)
        network = Network(cell, task, trial.model, scheme, streams(trial.seed, "initialisation"))
        outcome = _train(network, task, trial, report, stopping)
    except Interrupted:
        raise
    except Exception as error:
        return Outcome(status="failed", error=f"{type(error).__name__}: {error}", seconds=time.perf_counter() - start)
    return Outcome(**{**outcome, "seconds": time.perf_counter() - start})


def evaluation_grid(training: Training) -> list[int]:
    """Steps at which to evaluate: 0, then at most `evaluations` log-spaced ones, the last of them the budget."""
    points = np.geomspace(1, training.budget, training.evaluations)
    return [0, *np.unique(np.rint(points).astype(int)).tolist()]


def evaluate(network: Network, task: Task, batch: Batch) -> dict[str, float]:
    """The task's metrics on a batch of held-out sequences."""
    network.eval()
    answers = []
    with torch.inference_mode():
        for start in range(0, batch.inputs.shape[1], EVALUATION_CHUNK):
            part = slice(start, start + EVALUATION_CHUNK)
            lengths = None if batch.lengths is None else batch.lengths[part]
            answers.append(network(Batch(batch.inputs[:, part], batch.targets[:, part], batch.reads[:, part], lengths)))
        metrics = task.metrics(torch.cat(answers, dim=1), batch)
    network.train()
    return metrics


def make_optimiser(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimiser of a trial, with one fused update over all parameters."""
    if training.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)
    scaled = training.learning_rate * (1.0 - training.momentum)
    return torch.optim.SGD(network.parameters(), lr=scaled, momentum=training.momentum, nesterov=training.momentum > 0, fused=True)


def _train(network: Network, task: Task, trial: Trial, report: Report, stopping: Callable[[], bool]) -> dict[str, Any]:
    training = trial.training
    size = training.evaluation_sequences or task.evaluation_size
    validation = task.batch(size, streams(trial.data_seed)("validation"))
    data, noise = streams(trial.seed)("training data"), streams(trial.seed)("input noise")
    optimiser = make_optimiser(network, training)
    parameters = list(network.parameters())

    curve: list[tuple[int, float, float | None]] = []
    best: dict[str, torch.Tensor] = {}
    best_loss, best_step, since_best = math.inf, 0, 0
    in_a_row, solved_step = 0, None
    status, step, losses = "finished", 0, 0.0
    for until in evaluation_grid(training):
        drawn = until - step
        while step < until:
            if stopping():
                raise Interrupted(trial.id)
            batch = task.batch(training.batch_size, data)
            if training.input_noise > 0:
                disturbed = batch.inputs + training.input_noise * torch.randn(batch.inputs.shape, generator=noise)
                batch = batch._replace(inputs=disturbed)
            optimiser.zero_grad()
            loss = task.loss(network(batch), batch)
            step += 1
            value = float(loss.detach())
            if not math.isfinite(value):
                status = "diverged"
                break
            losses += value
            torch.autograd.backward(loss)
            if training.clip_norm > 0:
                nn.utils.clip_grad_norm_(parameters, training.clip_norm)
            optimiser.step()
        if status == "diverged":
            break
        metrics = evaluate(network, task, validation)
        if not math.isfinite(metrics["loss"]):
            status = "diverged"
            break
        curve.append((step, metrics["loss"], losses / drawn if drawn else None))
        losses = 0.0
        if metrics["loss"] < best_loss:
            best_loss, best_step, since_best = metrics["loss"], step, 0
            best = {k: v.clone() for k, v in network.state_dict().items()}
        else:
            since_best += 1
        try:
            report(step, metrics["loss"])
        except Pruned:
            status = "pruned"
            break
        in_a_row = in_a_row + 1 if task.solved(metrics) else 0
        if in_a_row == training.confirmations and solved_step is None:
            status, solved_step = "solved", curve[-training.confirmations][0]
            if training.stop_when_solved:
                break
        if 0 < training.patience <= since_best:
            break

    test_metrics: dict[str, float] = {}
    if best:
        network.load_state_dict(best)
        test_metrics = evaluate(network, task, task.batch(size, streams(trial.data_seed)("test")))
    return {
        "status": status,
        "steps": step,
        "sequences": step * training.batch_size,
        "solved_step": solved_step,
        "best_step": best_step,
        "validation_loss": best_loss if best else None,
        "test_loss": test_metrics.get("loss"),
        "test_metrics": test_metrics,
        "score": 1.0 if status == "solved" else task.score(test_metrics["loss"]) if test_metrics else 0.0,
        "curve_steps": tuple(c[0] for c in curve),
        "curve_losses": tuple(c[1] for c in curve),
        "train_losses": tuple(c[2] for c in curve),
        "parameters": network.parameter_count,
        "flops_per_step": network.flops_per_step,
        "engine": network.recurrent.engine,
    }
