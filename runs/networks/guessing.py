"""Random weight guessing: whether a task is solved by some network whose weights are drawn at random.

Hochreiter & Schmidhuber 1996 found that some tasks with which long memory had been shown are solved this way faster
than by training. A task that guessing solves says little about what a cell can learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from tasks import Batch, Task
from tasks.contract import draw
from variants import RNN, Cell, GlorotOrthogonal, Vanilla, streams

from ..trial.evaluation import Evaluator
from ..trial.optimiser import Flat
from ..trial.trial import Model
from .network import Setting
from .reader import Reader, ReaderModule

CELLS = (Vanilla, RNN)
HIDDEN_SIZES = (1, 2, 4)
WIDTHS = (10, 100)
"""Weights are uniform in -w .. w, for each of these w in turn."""
GUESSES = 375
"""Networks of each cell, size and width at most."""
FEW = (16, 256)
"""On so many sequences a network must meet the criterion, before a network is tried on a whole validation set."""
ENOUGH = 20
"""So many networks that solve the task end the search."""
WORK = {"fused": 2**29, "eager": 2**24}
"""Bounds the search, by engine: steps times (16 + inputs + outputs). Long sequences are tried on fewer networks."""

Kind = tuple[str, int, int]
"""The name of a cell, the number of units, and the width of the weights."""


class Guessed(NamedTuple):
    """What random weight guessing came to.

    tried: number of networks.
    solved: how many of them solve the task, by cell, units and width, as in ("rnn", 1, 10); others are left out.
    """

    tried: int
    solved: dict[Kind, int]

    @property
    def share(self) -> float:
        """The share of the networks that solve the task."""
        return sum(self.solved.values()) / self.tried


def guess(task: Task, seed: int = 0) -> Guessed:
    """Draw all weights of small networks at random, read-out and biases included, again and again.

    A network solves the task if it meets the criterion on a validation set and then on fresh sequences, as in a trial.
    Answers with a squared error are squashed by a logistic function to the range of the targets, as in the networks of
    the paper: no linear answer would hit them. The number of networks is bounded by `GUESSES`, `ENOUGH` and `WORK`,
    never by a clock: a seed gives the same result wherever the engine is the same.

    task: has a criterion of success.
    seed: of the weights and the sequences.

    Source: Hochreiter & Schmidhuber 1996, "Bridging Long Time Lags by Weight Guessing and 'Long Short-Term Memory'".

    >>> from tasks import DelayedRecall
    >>> guess(DelayedRecall(lag=20, symbols=8)).share
    0.0
    """
    stream = streams(seed)
    few = draw(task, FEW[-1], stream("few"))
    stages: list[Callable[[], Batch]] = [cache(partial(few.part, 0, count)) for count in FEW]
    for name in ("validation", "confirmation"):  # most networks fail before these are needed
        stages.append(cache(partial(draw, task, task.evaluation_size, stream(name))))
    networks = {(cell.name, size): _network(task, cell(), size) for size in HIDDEN_SIZES for cell in CELLS}
    most = min(WORK[engine_of(network)] for network in networks.values()) / (16 + task.input_size + task.output_size)
    squash, tried, taken, solved = _squash(task, few), 0, 0, dict[Kind, int]()
    for kind, network in _guesses(networks, stream("weights")):
        tried += 1
        passed, steps = _tried(network, task, stages, squash)
        taken += steps
        if passed:
            solved[kind] = solved.get(kind, 0) + 1
        complete = tried % (len(networks) * len(WIDTHS)) == 0
        if complete and (taken >= most or sum(solved.values()) >= ENOUGH):
            break
    return Guessed(tried, solved)


def engine_of(network: ReaderModule) -> str:
    """Return the name of the engine that evaluates a network."""
    return "fused" if getattr(network.recurrent, "engine", "eager") == "fused" else "eager"


def _network(task: Task, cell: Cell, size: int) -> ReaderModule:
    setting = Setting(cell, task, Model(hidden_size=size))
    network: ReaderModule = Reader().build(setting, GlorotOrthogonal(), streams(0, "initialisation"))
    return network


def _guesses(
    networks: dict[tuple[str, int], ReaderModule], generator: torch.Generator
) -> Iterator[tuple[Kind, Evaluator]]:
    """Yield networks with new weights, of each cell, size and width in turn."""
    weights = [Flat(network).values for network in networks.values()]
    evaluators = [Evaluator(network) for network in networks.values()]
    for _ in range(GUESSES):
        for (name, size), values, evaluator in zip(networks, weights, evaluators, strict=True):
            for width in WIDTHS:
                values.uniform_(-width, width, generator=generator)
                yield (name, size, width), evaluator


def _squash(task: Task, batch: Batch) -> Callable[[Tensor], Tensor]:
    """Return what makes answers of the outputs of a network."""
    if task.loss_form != "squared_error":
        return lambda outputs: outputs
    low, high = batch.targets.amin((0, 1)), batch.targets.amax((0, 1))
    return lambda outputs: low + (high - low) * outputs.sigmoid()


def _tried(
    network: Evaluator, task: Task, stages: list[Callable[[], Batch]], squash: Callable[[Tensor], Tensor]
) -> tuple[bool, int]:
    """Return whether a network meets the criterion on all sets, and the steps that this took."""
    steps = 0
    for stage in stages:
        batch = stage()
        steps += len(batch.inputs) * batch.size
        if not task.solved(task.metrics(squash(network.answers(batch)), batch)):
            return False, steps
    return True, steps
