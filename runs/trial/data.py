"""The data of a trial: batches to train on without end, and the sets that it is evaluated on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from tasks import Batch, DataTask, Task
from tasks.contract import check_batch, draw
from variants import streams

from ..rules import require
from .trial import Training, Trial

MOST_DRAWN = 16
"""How many batches are drawn from the task at a time.

Tasks are vectorised: 16 batches of 32 short sequences at once take about twice as long as one of them.
"""
DRAWN_NUMBERS = 2**20
"""How many numbers the inputs of these batches may have together, 4 MB, so that long sequences do not fill the memory.

A trial's data depend on both: random numbers that are drawn at once come in another order than those that are drawn
one batch after the other. To change one of them is to change the numbers of every study.
"""


def sized(training: Training, task: Task) -> Training:
    """Return a training with the size of its training set, which a task with data decides where nobody else does.

    training: as it was asked for.
    task: what is learned.

    Raises ValueError where the task has fewer sequences than are asked for, and for epochs without a training set.
    """
    if not isinstance(task, DataTask):
        if training.training_sequences == 0:
            rule = "training.epochs must be 0 without training.training_sequences"
            require(training.epochs == 0, f"{rule}, since {task.name} draws fresh sequences", training.epochs)
        return training
    there, asked = task.part("train").size, training.training_sequences
    rule = f"training.training_sequences must be at most the {there} of the training part of {task.name}"
    require(asked <= there, rule, asked)
    rule = f"training.batch_size must be at most the {there} sequences of the training part of {task.name}"
    require(training.batch_size <= there, rule, training.batch_size)
    rule = f"training.criterion must be held_out for {task.name}, which has no criterion"
    require(training.criterion == "held_out" or task.solved_loss is not None, rule, training.criterion)
    return replace(training, training_sequences=asked or there)


def batches(task: Task, trial: Trial) -> Iterator[Batch]:
    """Yield the batches that a trial is trained on, without end: fresh sequences, or a training set again and again.

    task: what they are drawn from.
    trial: its `seed` gives the data and, from streams of their own, the noise on the inputs and the order of the
        training set in each epoch, so that the same data are drawn with and without noise.
    """
    return _from_training_set(task, trial) if trial.training.training_sequences else _fresh(task, trial)


def _fresh(task: Task, trial: Trial) -> Iterator[Batch]:
    """Yield batches of sequences that are drawn for them."""
    data, noise = streams(trial.seed)("training data"), streams(trial.seed)("input noise")
    size, count = trial.training.batch_size, 1
    while True:
        drawn = _noisy(draw(task, count * size, data), trial.training.input_noise, noise)
        # all of these batches are padded alike: how long a batch is decides the order of sums, and so the last bits
        axes = (1, 1, 1, 0, 1, 0)  # of the sequences in each field
        pieces = (
            [None] * count if v is None else torch.split(v, size, axis) for v, axis in zip(drawn, axes, strict=True)
        )
        yield from map(Batch, *pieces)
        count = max(1, min(MOST_DRAWN, DRAWN_NUMBERS * count // drawn.inputs.numel()))


def _from_training_set(task: Task, trial: Trial) -> Iterator[Batch]:
    """Yield the batches of a training set, in a new order in each epoch; the last of an epoch may be smaller.

    Batches of sequences that have lengths end with the longest of them. Each batch gets fresh noise.
    """
    training, stream = trial.training, streams(trial.seed)
    if isinstance(task, DataTask):
        every = _first(task, "train", training.training_sequences)
    else:
        every = draw(task, training.training_sequences, stream("training data"))
    order, noise = stream("order of the training set"), stream("input noise")
    while True:
        for chosen in torch.split(torch.randperm(training.training_sequences, generator=order), training.batch_size):
            batch = every.select(chosen)
            if batch.size == 1:
                batch = batch._replace(lengths=None)  # it ends where its inputs end
            yield _noisy(batch, training.input_noise, noise)


def _noisy(batch: Batch, deviation: float, noise: torch.Generator) -> Batch:
    """Return a batch with Gaussian noise on its inputs."""
    if deviation == 0:
        return batch
    return batch._replace(inputs=batch.inputs + deviation * torch.randn(batch.inputs.shape, generator=noise))


def held_out(task: Task, trial: Trial, purpose: str) -> Batch:
    """Return a set of sequences that a trial is not trained on: the same for all trials of the same `data_seed`.

    task: what they are drawn from, or a part of its data, which is the same for all trials.
    trial: says how many they are, by default as many as the task's criterion asks for, or the whole part.
    purpose: validation or test.
    """
    if isinstance(task, DataTask):
        return _first(task, purpose, trial.training.evaluation_sequences)
    size = trial.training.evaluation_sequences or task.evaluation_size
    return draw(task, size, streams(trial.data_seed)(purpose))


def fresh_sets(task: Task, trial: Trial) -> Iterator[Batch]:
    """Yield sets of sequences that a look is confirmed on, each of them new: the same for trials of one `data_seed`.

    task: what they are drawn from.
    trial: a set is as large as its validation set, and at least as large as the task's criterion asks for.
    """
    size = max(trial.training.evaluation_sequences, task.evaluation_size)
    generator = streams(trial.data_seed)("confirmation")
    while True:
        yield draw(task, size, generator)


def further_tests(task: Task, trial: Trial) -> dict[str, Batch]:
    """Return the sets that a trial is tested on besides its test set, by name; the same for trials of one `data_seed`.

    task: what they are drawn from.
    trial: they are as large as its test set.
    """
    size = trial.training.evaluation_sequences or task.evaluation_size
    found = task.further_tests(size, streams(trial.data_seed)("further tests"))
    for batch in found.values():
        check_batch(task, batch, batch.size if isinstance(batch, Batch) else size)
    return found


def _first(task: DataTask, name: str, count: int) -> Batch:
    """Return the first sequences of a part of a task's data, all of them where the count is 0 or too large."""
    part = task.part(name)
    check_batch(task, part, part.size if isinstance(part, Batch) else 0)
    return part.part(0, count) if 0 < count < part.size else part
