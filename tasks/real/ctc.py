"""Tasks that answer with a sequence of labels, trained by connectionist temporal classification (CTC)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..task import Batch, Task

FIRST_RATE, LAST_RATE = 0.1, 0.001
"""Learning rates of `fit_without_memory`, at its first and last step."""
DECAYS = 0.9, 0.999
"""How much of the means of gradients and their squares is kept at each of its steps."""


class Transcription(Task):
    """A task whose answer is a sequence of labels, in the order of the input but not aligned with it.

    A network answers at every step of a sequence with O logits: of the labels 0 .. O-2, and of the blank, O-1. A path
    chooses one of them at every step. It spells what is left when symbols that follow themselves are taken once and
    blanks are left out. The probability of a label sequence is the sum over all paths that spell it.

    `Batch.targets` is [S, B] with the labels of each sequence, 0 behind their end, and `Batch.target_lengths` says how
    many there are. `Batch.reads` are all steps of a sequence. Answers behind its end have the weight 0.

    The loss is the negative log-probability of the labels in nats per label: the sum over the sequences, divided by the
    number of their labels. A sequence whose labels cannot be aligned, as it has fewer steps than labels and blanks
    between equal ones, counts in neither; a batch of such sequences alone has the loss 0 and no gradient. Metrics:

    - `label_error_rate`: edit distance between what is read from the outputs and the labels, divided by the number of
      labels, over all sequences. Read is the best path: the most probable symbol at every step.
    - `unaligned`: share of the sequences whose labels cannot be aligned.

    >>> class Letters(Transcription):
    ...     pass
    >>> batch = Batch(
    ...     torch.zeros(3, 1, 1),
    ...     torch.tensor([[0], [0]]),  # the label 0 twice: it needs a blank between
    ...     torch.arange(3).view(3, 1),
    ...     target_lengths=torch.tensor([2]),
    ... )
    >>> certain = 100.0 * torch.eye(2)[[0, 1, 0]].unsqueeze(1)  # label, blank, label
    >>> Letters().metrics(certain, batch)
    {'loss': 0.0, 'label_error_rate': 0.0, 'unaligned': 0.0}

    Source: Graves, Fernández, Gomez & Schmidhuber 2006, 'Connectionist Temporal Classification'.
    """

    unit = "nats per label"

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() != 3 or outputs.shape[:2] != batch.reads.shape:
            got = f"{list(batch.reads.shape)} and outputs {list(outputs.shape)}"
            raise ValueError(f"{self.name}: outputs must be [K, B, O] for reads [K, B], got reads {got}")
        if batch.target_lengths is None:
            raise ValueError(f"{self.name}: target_lengths must say how many labels each sequence has, got None")
        return loss_per_label(outputs, batch)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        possible = alignable(batch)
        if not possible.any():
            raise ValueError(
                f"{self.name}: a sequence must have at least as many steps as labels and blanks between equal ones, "
                f"got none of {batch.size} that has"
            )
        loss = float(self.loss(outputs, batch))
        lengths = labels_of(batch)
        found, found_lengths = best_path(outputs, answered(batch))
        errors = edit_distances(batch.targets, lengths, found, found_lengths)
        return {
            "loss": loss,
            "label_error_rate": float(errors.sum() / lengths.sum()),
            "unaligned": float((~possible).double().mean()),
        }


def loss_per_label(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the CTC loss of answers [K, B, O] in nats per label, of the sequences that can be aligned."""
    lengths = labels_of(batch)
    losses = functional.ctc_loss(
        outputs.log_softmax(-1),
        batch.targets.T,
        answered(batch),
        lengths,
        blank=outputs.shape[-1] - 1,
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / torch.where(alignable(batch), lengths, 0).sum().clamp(min=1)


def labels_of(batch: Batch) -> Tensor:
    """Return how many labels each sequence has, [B]; ValueError where the batch does not say it."""
    if batch.target_lengths is None:
        raise ValueError("target_lengths must say how many labels each sequence has, got None")
    return batch.target_lengths


def answered(batch: Batch) -> Tensor:
    """Return at how many steps each sequence is read, [B] int64: up to its last answer with a weight.

    >>> weights = torch.tensor([[1, 1], [0, 1]])
    >>> batch = Batch(torch.zeros(2, 2, 1), torch.zeros(1, 2), torch.zeros(2, 2), weights=weights)
    >>> answered(batch).tolist()
    [1, 2]
    """
    if batch.weights is None:
        return torch.full((batch.size,), len(batch.reads))
    return (torch.arange(1, len(batch.weights) + 1).view(-1, 1) * (batch.weights > 0)).amax(0)


def alignable(batch: Batch) -> Tensor:
    """Return whether some path spells the labels of each sequence, [B] bool.

    A path needs a step for each label, and one more for the blank between two equal labels in succession.
    """
    lengths = labels_of(batch)
    equal = (batch.targets[1:] == batch.targets[:-1]) & (torch.arange(1, len(batch.targets)).view(-1, 1) < lengths)
    return answered(batch) >= lengths + equal.sum(0)


def best_path(outputs: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Read labels from outputs: the most probable symbol at every step, repetitions taken once, blanks left out.

    outputs: [K, B, O], the last of the O is the blank.
    steps: [B] int64, how many answers of each sequence count.

    Returns labels [K, B] int64, 0 behind the end of each sequence, and their number [B] int64.

    >>> labels, lengths = best_path(torch.eye(3)[[0, 0, 2, 0, 1, 1]].unsqueeze(1), torch.tensor([5]))
    >>> labels[:, 0].tolist(), lengths.tolist()
    ([0, 0, 1, 0, 0, 0], [3])
    """
    symbols, blank = outputs.argmax(-1), outputs.shape[-1] - 1
    new = torch.ones_like(symbols, dtype=torch.bool)
    new[1:] = symbols[1:] != symbols[:-1]
    kept = new & (symbols != blank) & (torch.arange(len(symbols)).view(-1, 1) < steps)
    places = torch.where(kept, kept.cumsum(0) - 1, len(symbols))  # what is not kept goes behind the end
    labels = symbols.new_zeros(len(symbols) + 1, symbols.shape[1]).scatter_(0, places, symbols)[:-1]
    lengths = kept.sum(0)
    return labels.masked_fill_(torch.arange(len(labels)).view(-1, 1) >= lengths, 0), lengths


def edit_distances(first: Tensor, first_lengths: Tensor, second: Tensor, second_lengths: Tensor) -> Tensor:
    """Count the insertions, deletions and substitutions between pairs of label sequences.

    first, second: [S, B] and [R, B] int64.
    first_lengths, second_lengths: [B] int64, how many labels each sequence has.

    Returns the smallest numbers that turn one into the other, [B] int64.

    >>> pair = [torch.tensor([[ord(letter) for letter in word]]).T for word in ("kitten", "sitting")]
    >>> edit_distances(pair[0], torch.tensor([6]), pair[1], torch.tensor([7])).tolist()
    [3]

    Source: Levenshtein 1966, 'Binary Codes Capable of Correcting Deletions, Insertions, and Reversals'.
    """
    second = second[: int(second_lengths.max())].T
    places = torch.arange(second.shape[1] + 1)
    # [B, R + 1]: from no label of the first to each beginning of the second
    row = places.expand(len(second), -1).clone()
    found = row
    for count in range(1, int(first_lengths.max()) + 1):
        changed = row[:, :-1] + (second != first[count - 1].view(-1, 1))
        best = torch.cat([row[:, :1] + 1, torch.minimum(changed, row[:, 1:] + 1)], 1)
        row = (best - places).cummin(1).values + places  # insertions: 1 for every further label of the second
        found = torch.where((first_lengths >= count).view(-1, 1), row, found)
    return found.gather(1, second_lengths.view(-1, 1)).squeeze(1)


def fit_without_memory(
    train: Batch, outputs: int, inputs: bool, steps: int = 300, size: int = 16
) -> tuple[Tensor, Tensor]:
    """Fit a softmax regression of the present step by the CTC loss.

    train: what is fitted.
    outputs: number of labels and the blank, O.
    inputs: whether the model sees the inputs of the present step; otherwise it is the same distribution at every step.
    steps: of Adam.
    size: number of sequences of a step.

    Returns weight [I, O] and bias [O]. Sequences are drawn from a generator of a fixed seed. Adam is written out, as
    `torch.optim` would import the compiler of torch, which takes seconds.
    """
    weight = torch.zeros(train.inputs.shape[-1], outputs, requires_grad=inputs)
    # where the blank has the rest of the probability, every label is as often as it is in the texts
    bias = _shares(train, outputs).log().requires_grad_()
    parameters = [weight, bias] if inputs else [bias]
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        rate = FIRST_RATE * (LAST_RATE / FIRST_RATE) ** (step / steps)
        chosen = torch.randperm(train.size, generator=generator)[:size]
        part = train.select(chosen)
        gradients = torch.autograd.grad(loss_per_label(memoryless_answers(part, weight, bias), part), parameters)
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
                mean.lerp_(gradient, 1 - DECAYS[0])
                square.lerp_(gradient.square(), 1 - DECAYS[1])
                unbiased = mean / (1 - DECAYS[0] ** (step + 1)), square / (1 - DECAYS[1] ** (step + 1))
                parameter -= rate * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    return weight.detach(), bias.detach()


def memoryless_answers(batch: Batch, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the answers [K, B, O] of a linear model of the present step; weight [I, O], bias [O]."""
    reads = batch.reads.unsqueeze(-1).expand(-1, -1, batch.inputs.shape[-1])
    return batch.inputs.gather(0, reads) @ weight + bias


def _shares(batch: Batch, outputs: int) -> Tensor:
    """Return the share of the steps that each label would have if it took one step, and that of the blank, [O]."""
    lengths = labels_of(batch)
    inside = torch.arange(len(batch.targets)).view(-1, 1) < lengths
    counts = torch.bincount(batch.targets[inside], minlength=outputs - 1) + 0.5
    blank = max(float(answered(batch).sum()) - float(counts.sum()), 1.0)
    return torch.cat([counts, torch.tensor([blank])]) / (counts.sum() + blank)
