"""The network of a walk before and after its training: trained here in seconds, or read from a file of weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

from runs.configuration.composing import composed_trial
from runs.networks.building import untrained
from runs.networks.reader import ReaderModule
from runs.trial.data import held_out
from runs.trial.training import train
from runs.trial.trial import Outcome, Trial
from runs.trial.weights import load_model, read_about
from tasks import Batch, Task
from variants import Cell

from .options import Options, out_of_range


class Trained(NamedTuple):
    """A network at two times.

    before, after: its training. task: what it learned. trial: all about the training. outcome: what came of it.
    """

    before: ReaderModule
    after: ReaderModule
    task: Task
    trial: Trial
    outcome: Outcome


def planned(options: Options) -> Trial:
    """Return the trial that is asked for, with a short lag and as many layers as the cell needs where none are asked.

    Raises ValueError, one line, for a trial that cannot be.
    """
    words = list(options.may_be_short)
    chosen = next((word.partition("=")[2] for word in words if word.startswith("variant=")), "")
    cls = Cell.registry.get(chosen, Cell)
    least = max(cls.min_layers, 2 if cls.above else 1)  # a layer above the lowest is where such a cell is itself
    if least > 1 and not any(word.startswith("model.layers=") for word in words):
        words.append(f"model.layers={least}")
    try:
        return composed_trial(words)
    except ValueError:
        if options.may_be_short == options.words:
            raise
    short = {*options.may_be_short} - {*options.words}
    return composed_trial([word for word in words if word not in short])


def trained_here(trial: Trial, report: Callable[[int, float], None]) -> Trained:
    """Return the network of a trial before and after its training.

    report: called with (step, validation loss) at every look.
    """
    network, task = untrained(trial)
    before = copy.deepcopy(network)
    outcome = train(network, task, trial, report, lambda: False)
    return Trained(before, network.eval(), task, trial, outcome)


def read(options: Options) -> Trained:
    """Return the network of a file of weights, and the one that its training began with.

    Raises ValueError where there is no such file, or where the network is another one than the reader.
    """
    assert options.model is not None
    after, trial = load_model(options.model)
    if not isinstance(after, ReaderModule):
        rule = "a walk needs a network with the reader, whose every number it can show"
        raise ValueError(f"{options.model}: {rule}, got {trial.network['label']}")
    before, task = untrained(trial)
    return Trained(before, after, task, trial, Outcome.from_dict(read_about(options.model)["outcome"]))


def one_sequence(task: Task, trial: Trial, number: int) -> tuple[Batch, Batch]:
    """Return one sequence of the test set as a batch, and all of them.

    task: from which they are drawn.
    trial: says how many they are.
    number: of the sequence, from 0.

    Raises ValueError, one line, where there are fewer.
    """
    every = held_out(task, trial, "test")
    if number >= every.size:
        raise out_of_range("sequence", number + 1, every.size, f"the test set has {every.size}")
    return every.part(number, number + 1), every
