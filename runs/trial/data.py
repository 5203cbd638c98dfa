"""The data of a trial: batches to train on without end, and the sets that it is evaluated on."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from tasks import Batch, Task
from tasks.contract import draw
from variants import streams

from .trial import Trial

MOST_DRAWN = 16
"""How many batches are drawn from the task at a time.

Tasks are vectorised: 16 batches of 32 short sequences at once take about twice as long as one of them.
"""
DRAWN_NUMBERS = 2**20
"""How many numbers the inputs of these batches may have together, 4 MB, so that long sequences do not fill the memory.

A trial's data depend on both: random numbers that are drawn at once come in another order than those that are drawn
one batch after the other. To change one of them is to change the numbers of every study.
"""


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
        inputs, targets, reads = (torch.split(v, size, dim=1) for v in drawn[:3])
        lengths = [None] * count if drawn.lengths is None else torch.split(drawn.lengths, size)
        yield from map(Batch, inputs, targets, reads, lengths)
        count = max(1, min(MOST_DRAWN, DRAWN_NUMBERS * count // drawn.inputs.numel()))


def _from_training_set(task: Task, trial: Trial) -> Iterator[Batch]:
    """Yield the batches of a training set, in a new order in each epoch; the last of an epoch may be smaller.

    Batches of sequences that have lengths end with the longest of them. Each batch gets fresh noise.
    """
    training, stream = trial.training, streams(trial.seed)
    every = draw(task, training.training_sequences, stream("training data"))
    order, noise = stream("order of the training set"), stream("input noise")
    while True:
        for chosen in torch.split(torch.randperm(training.training_sequences, generator=order), training.batch_size):
            inputs, targets, reads = (v.index_select(1, chosen) for v in every[:3])
            lengths = None if every.lengths is None else every.lengths[chosen]
            if lengths is not None:
                inputs = inputs[: int(lengths.max())]
            yield _noisy(Batch(inputs, targets, reads, lengths), training.input_noise, noise)


def _noisy(batch: Batch, deviation: float, noise: torch.Generator) -> Batch:
    """Return a batch with Gaussian noise on its inputs."""
    if deviation == 0:
        return batch
    return batch._replace(inputs=batch.inputs + deviation * torch.randn(batch.inputs.shape, generator=noise))


def held_out(task: Task, trial: Trial, purpose: str) -> Batch:
    """Return a set of sequences that a trial is not trained on: the same for all trials of the same `data_seed`.

    task: what they are drawn from.
    trial: says how many they are, by default as many as the task's criterion asks for.
    purpose: validation or test.
    """
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


def part_of(batch: Batch, start: int, stop: int | None) -> Batch:
    """Return the sequences `start` to `stop` (without it) of a batch, up to its end where `stop` is None."""
    part = slice(start, stop)
    lengths = None if batch.lengths is None else batch.lengths[part]
    return Batch(batch.inputs[:, part], batch.targets[:, part], batch.reads[:, part], lengths)
