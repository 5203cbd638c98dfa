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
    """Yield the batches that a trial is trained on, without end.

    task: what they are drawn from.
    trial: its `seed` gives the data and, from a stream of its own, the noise on the inputs, so that the same data are
    drawn with and without noise.
    """
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


def held_out(task: Task, trial: Trial, purpose: str) -> Batch:
    """Return a set of sequences that a trial is not trained on: the same for all trials of the same `data_seed`.

    task: what they are drawn from.
    trial: says how many they are, by default as many as the task's criterion asks for.
    purpose: validation or test.
    """
    size = trial.training.evaluation_sequences or task.evaluation_size
    return draw(task, size, streams(trial.data_seed)(purpose))


def part_of(batch: Batch, start: int, stop: int | None) -> Batch:
    """Return the sequences `start` to `stop` (without it) of a batch, up to its end where `stop` is None."""
    part = slice(start, stop)
    lengths = None if batch.lengths is None else batch.lengths[part]
    return Batch(batch.inputs[:, part], batch.targets[:, part], batch.reads[:, part], lengths)
