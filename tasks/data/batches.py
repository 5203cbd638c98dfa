"""Makes batches of sequences of different lengths, and the rows of a regression of batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..task import Batch
from .models import Rows, window


def every_step(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Batch:
    """Ask for an answer at every step of some sequences.

    inputs: [n, I] float32 each, with n of its own, at least 1.
    targets: [n, O] float32 or [n] int64 each. They have another length where the caller sets `target_lengths`, or other
        `reads` and no weights, in the batch that is returned.

    Returns a batch in which each answer counts 1, with zeros after the end of the shorter sequences.
    """
    lengths = torch.tensor([len(values) for values in inputs])
    steps = torch.arange(int(lengths.max())).view(-1, 1)
    within = steps < lengths
    reads = torch.where(within, steps, 0)
    return Batch(pad_sequence(list(inputs)), pad_sequence(list(targets)), reads, lengths, within.float())


def rows_of(batch: Batch, steps: int) -> Rows:
    """Return the answers of a batch as rows, each explained by the inputs up to the step at which it is read.

    batch: sequences that are asked something.
    steps: how many inputs explain an answer; zero before the first. With 0 there are no features.

    Returns rows with steps * I features, the present input first, without the answers of weight 0.
    """
    seen = window(batch.inputs, steps) if steps else batch.inputs[..., :0]
    features = seen.gather(0, batch.reads.unsqueeze(-1).expand(-1, -1, seen.shape[-1]))
    if batch.weights is None:
        return Rows(features.flatten(0, 1), batch.targets.flatten(0, 1))
    asked = batch.weights > 0
    weights = batch.weights[asked]
    return Rows(features[asked], batch.targets[asked], None if bool((weights == weights[0]).all()) else weights)
