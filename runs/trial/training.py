"""Training: turns a trial into its outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from tasks import Task
from tasks.contract import check_answers
from variants import streams

from ..networks.building import refuse_criterion, untrained
from ..networks.network import NetworkModule
from .data import batches, further_tests, held_out, sized
from .evaluation import Evaluator, Solution, Validation, evaluate, evaluation_grid
from .faults import Interrupted, MachineFault, OutOfTime, Pruned, is_of_the_machine
from .optimiser import Flat
from .progress import Best, Curve
from .trial import OF_THE_TASK, Outcome, Trial
from .update import update_of

EXPLODED = 3.0
"""A training that ends at a loss so many times as high as the floor, and as before the training, has exploded."""
Report = Callable[[int, float], None]
Stopping = Callable[[], bool]


def train(network: NetworkModule, task: Task, trial: Trial, report: Report, stopping: Stopping) -> Outcome:
    """Train a network in place, to the parameters of its best look; the arguments are those of `run`."""
    trial = replace(trial, training=sized(trial.training, task))
    training = trial.training
    grid = frozenset(evaluation_grid(training))
    validation = Validation(task, held_out(task, trial, "validation"), training.curve_sequences)
    if network.answering:
        check_answers(task, validation.few)
    else:
        refuse_criterion(network.network, training)
    data = batches(task, trial)
    flat = Flat(network)
    update = update_of(network, task, training, flat, trial.seed)
    evaluator = Evaluator(network, lambda: streams(trial.data_seed)("latent"))
    curve, best, solution = Curve(), Best(), Solution(task, trial)
    step, status = 0, "finished"

    while True:
        # look
        if step in grid or solution.stops:
            value, meets = validation.evaluate(evaluator, solution.by_looks)
            if not math.isfinite(value):
                status = "diverged"
                break
            curve.add_evaluation(step, value)
            best.compare(step, value, flat.values)
            try:
                report(step, value)
            except Pruned:
                status = "pruned"
                break
            solution.look(step, evaluator, meets)
            if solution.stops:
                best.take(step, value, flat.values)
            if solution.stops or 0 < training.patience <= best.since or step == training.updates:
                break

        # update
        if stopping():
            raise Interrupted(trial.id)
        batch = next(data)
        value = update.loss(batch)
        step += 1
        if not math.isfinite(value):
            status = "diverged"
            break
        curve.add_update(value)
        solution.update(step, update.answers, batch)
        update.step()

    update.release()
    if best.parameters is not None:
        flat.values.copy_(best.parameters)
    if status == "finished" and solution.step is not None:
        status = "solved"
    elif status == "finished" and curve.losses[-1] > EXPLODED * max(task.floor, curve.losses[0]):
        status = "exploded"
    end = End(status, step, curve, best, solution, update.way, update.why_autograd)
    return _outcome(network, evaluator, task, trial, validation, end)


class End(NamedTuple):
    """How a training ended: its status, the updates that were made and their way, and what it kept in mind."""

    status: str
    step: int
    curve: Curve
    best: Best
    solution: Solution
    way: str
    why_autograd: str


def _outcome(
    network: NetworkModule, evaluator: Evaluator, task: Task, trial: Trial, validation: Validation, end: End
) -> Outcome:
    """Return what happened in a training, with the test of the network that it leaves."""
    status, solved_step = end.status, end.solution.step
    validation_loss, test_metrics = None, dict[str, float]()
    if end.best.parameters is not None:
        validation_loss = evaluate(evaluator, task, validation.batch)["loss"]
        test_metrics = evaluate(evaluator, task, held_out(task, trial, "test"))
        if not math.isfinite(validation_loss):  # on sequences that the curve does not use
            status, validation_loss, test_metrics = "diverged", None, {}
    if test_metrics:
        for name, further in further_tests(task, trial).items():
            found = evaluate(evaluator, task, further)
            test_metrics |= {f"{metric}_{name}": value for metric, value in found.items()}
    if status == "diverged":
        solved_step = None
    score = 0.0
    if status == "solved" and end.solution.stops:
        score = 1.0
    elif test_metrics:
        score = task.score(test_metrics["loss"])
    return Outcome(
        status=status,
        steps=end.step,
        budget=trial.training.updates,
        epochs=end.step / trial.training.updates_per_epoch if trial.training.updates_per_epoch else None,
        sequences=trial.training.sequences(end.step),
        solved_step=solved_step,
        best_step=end.best.step,
        validation_loss=validation_loss,
        test_loss=test_metrics.get("loss"),
        test_metrics=test_metrics,
        score=score,
        curve_steps=tuple(end.curve.steps),
        curve_losses=tuple(end.curve.losses),
        train_losses=tuple(end.curve.train_losses),
        parameters=network.parameter_count,
        flops_per_step=network.flops_per_step,
        kept=network.recurrent.kept,
        engine=network.recurrent.engine,
        why_eager=network.recurrent.why_eager,
        update=end.way,
        why_autograd=end.why_autograd,
        task={name: getattr(task, name) for name in OF_THE_TASK},
    )


def run(
    trial: Trial,
    report: Report = lambda step, loss: None,
    stopping: Stopping = lambda: False,
    *,
    raise_faults: bool = False,
) -> Outcome:
    """Run a trial; whatever goes wrong in it becomes an outcome of status failed with the error.

    trial: what to run.
    report: called with (step, validation loss) at every look; it may raise `Pruned` to end the trial there.
    stopping: asked before every update whether to stop. It may raise `OutOfTime`.
    raise_faults: raise MachineFault, not return a failed outcome, where the machine lacked something.

    Returns the outcome. Raises Interrupted as soon as `stopping` answers True.
    """
    return trained(trial, report, stopping, raise_faults=raise_faults)[1]


def trained(
    trial: Trial,
    report: Report = lambda step, loss: None,
    stopping: Stopping = lambda: False,
    *,
    raise_faults: bool = False,
) -> tuple[NetworkModule | None, Outcome]:
    """Run a trial as `run` does, and return its network with the parameters of `best_step` too; None if it failed."""
    start = time.perf_counter()
    try:
        network, task = untrained(trial)
        outcome = train(network, task, trial, report, stopping)
    except Interrupted:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, OutOfTime) else f"{type(error).__name__}: {error}"
        if raise_faults and is_of_the_machine(error):
            raise MachineFault(text) from error
        return None, Outcome(status="failed", error=text, seconds=time.perf_counter() - start)
    return network, replace(outcome, seconds=time.perf_counter() - start)


def prepare_process() -> None:
    """Make this process compute like every other worker: in one thread, with denormal numbers as zero."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
