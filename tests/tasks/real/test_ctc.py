"""CTC: the loss is that of all paths that spell the labels, and errors are counted by edit distance."""

import itertools
import math
from functools import cache

import pytest
import torch

from tasks import Batch
from tasks.real import ctc
from tasks.real.ctc import Transcription, alignable, answered, best_path, edit_distances, fit_without_memory

torch.set_num_threads(1)  # the tensors are tiny

T, B, WIDTH, BLANK = 5, 3, 4, 3


class Letters(Transcription):
    """A task of three labels."""

    input_size, output_size = 2, WIDTH


def batch_of(labels, steps, total=T):
    """Sequences with these labels, read at so many of all steps."""
    longest = max(len(some) for some in labels)
    targets = torch.tensor([[*some, *[0] * (longest - len(some))] for some in labels]).T
    inside = torch.arange(total).view(-1, 1) < torch.tensor(steps)
    reads = torch.where(inside, torch.arange(total).view(-1, 1), 0)
    inputs = torch.randn(total, len(labels), 2, generator=torch.Generator().manual_seed(3))
    ends = torch.tensor([len(some) for some in labels])
    return Batch(inputs, targets, reads, torch.tensor(steps), inside.float(), ends)


def random_outputs(steps=T, size=B, seed=0):
    return torch.randn(steps, size, WIDTH, generator=torch.Generator().manual_seed(seed))


def spelled(path):
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK]


LABELS, STEPS = [[0, 1], [2, 2, 0], [1]], [4, 5, 2]


def test_the_loss_is_that_of_all_paths_which_spell_the_labels():
    outputs, total = random_outputs(), 0.0
    for sequence, (labels, steps) in enumerate(zip(LABELS, STEPS, strict=True)):
        probabilities = outputs[:, sequence].softmax(-1).tolist()
        paths = (path for path in itertools.product(range(WIDTH), repeat=steps) if spelled(path) == labels)
        total -= math.log(sum(math.prod(probabilities[t][k] for t, k in enumerate(path)) for path in paths))
    loss = Letters().loss(outputs, batch_of(LABELS, STEPS))
    assert float(loss) == pytest.approx(total / 6, rel=1e-5)


def test_answers_behind_the_end_of_a_sequence_change_nothing():
    task, batch, outputs = Letters(), batch_of(LABELS, STEPS), random_outputs()
    changed = torch.where(batch.weights.bool().unsqueeze(-1), outputs, 9 * random_outputs(seed=1))
    assert not torch.equal(changed, outputs)
    assert task.metrics(changed, batch) == task.metrics(outputs, batch)


@pytest.mark.parametrize("chosen", [[0], [2, 0], [1, 2]])
def test_a_part_of_a_batch_has_the_loss_of_its_sequences(chosen):
    task, batch, outputs = Letters(), batch_of(LABELS, STEPS), random_outputs()

    def total(numbers):
        part = batch.select(torch.tensor(numbers))
        return float(task.loss(outputs[: len(part.reads), numbers], part)) * sum(len(LABELS[k]) for k in numbers)

    assert total(chosen) == pytest.approx(sum(total([k]) for k in chosen), rel=1e-5)


def test_gradients_flow_and_the_loss_is_not_compiled():
    task, outputs = Letters(), random_outputs().requires_grad_()
    task.loss(outputs, batch_of(LABELS, STEPS)).backward()
    assert outputs.grad.isfinite().all()
    assert outputs.grad.abs().sum() > 0
    assert task.loss_form == ""


def test_equal_labels_in_succession_need_a_step_for_the_blank():
    labels, steps = [[1, 1], [1, 1], [1, 2], [1, 1, 1]], [2, 3, 2, 4]
    assert alignable(batch_of(labels, steps)).tolist() == [False, True, True, False]


def test_what_cannot_be_aligned_counts_in_no_loss_and_is_reported():
    task, outputs = Letters(), random_outputs()
    with_it, without = batch_of([[0, 1], [2, 2, 0, 1], [1]], [4, 4, 2]), [0, 2]
    metrics = task.metrics(outputs, with_it)
    rest = with_it.select(torch.tensor(without))
    assert metrics["loss"] == pytest.approx(float(task.loss(outputs[: len(rest.reads), without], rest)), rel=1e-6)
    assert metrics["unaligned"] == pytest.approx(1 / 3)


def test_a_batch_without_any_sequence_that_can_be_aligned_has_no_gradient():
    outputs = random_outputs(size=1).requires_grad_()
    loss = Letters().loss(outputs, batch_of([[2, 2, 0]], [3]))
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad.abs().sum() == 0


def test_a_set_without_any_sequence_that_can_be_aligned_is_refused():
    with pytest.raises(
        ValueError, match=r"^Letters: a sequence must have at least as many steps as labels .* none of 1"
    ):
        Letters().metrics(random_outputs(size=1), batch_of([[2, 2, 0]], [3]))


def test_targets_without_lengths_are_refused():
    with pytest.raises(ValueError, match=r"^Letters: target_lengths must say"):
        Letters().loss(random_outputs(), batch_of(LABELS, STEPS)._replace(target_lengths=None))


def test_outputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"^Letters: outputs must be "):
        Letters().loss(random_outputs(steps=T + 1), batch_of(LABELS, STEPS))


def test_the_best_path_is_collapsed_up_to_the_end():
    outputs = random_outputs(steps=40, size=6)
    steps = torch.tensor([40, 1, 17, 33, 2, 9])
    labels, lengths = best_path(outputs, steps)
    for sequence, end in enumerate(steps.tolist()):
        expected = spelled(outputs[:end, sequence].argmax(-1).tolist())
        assert labels[: lengths[sequence], sequence].tolist() == expected
        assert labels[lengths[sequence] :, sequence].eq(0).all()


@cache
def distance(first, second):
    """Edit distance by its definition."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        distance(first[1:], second) + 1,
        distance(first, second[1:]) + 1,
        distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


def padded(sequences, longest):
    return torch.tensor([[*some, *[7] * (longest - len(some))] for some in sequences]).T


def test_edit_distances_are_those_of_the_definition():
    drawn = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 8, (2, 60), generator=drawn)
    lengths[0].clamp_(min=1)
    pairs = [[tuple(torch.randint(3, (n,), generator=drawn).tolist()) for n in some] for some in lengths.tolist()]
    found = edit_distances(padded(pairs[0], 7), lengths[0], padded(pairs[1], 7), lengths[1])
    assert found.tolist() == [distance(*pair) for pair in zip(*pairs, strict=True)]


def test_the_error_rate_is_all_errors_over_all_labels():
    symbols = torch.tensor([[0, 3, 1, 3, 3], [2, 2, 3, 2, 1], [3, 3, 3, 3, 3]]).T
    outputs = 9.0 * torch.nn.functional.one_hot(symbols, WIDTH)
    metrics = Letters().metrics(outputs, batch_of([[0, 1], [2, 2, 0], [1]], [5, 5, 5]))
    assert metrics["label_error_rate"] == pytest.approx((0 + 1 + 1) / 6)


def test_answers_with_a_weight_are_counted_up_to_the_last_one():
    assert answered(batch_of(LABELS, STEPS)).tolist() == STEPS
    assert answered(batch_of(LABELS, STEPS)._replace(weights=None)).tolist() == [T] * B


def test_the_fitted_constant_is_the_best_distribution():
    batch = batch_of([[0, 1, 2], [1, 2, 0], [2, 0, 1]], [12, 9, 12], total=12)
    batch = batch._replace(lengths=torch.tensor([12, 12, 12]), weights=None)  # so that the labels are interchangeable
    weight, bias = fit_without_memory(batch, WIDTH, inputs=False, steps=100)
    fitted = float(ctc.loss_per_label(ctc.memoryless_answers(batch, weight, bias), batch))
    constants = [torch.tensor([0.0, 0.0, 0.0, blank]) for blank in torch.linspace(0, 3, 31)]
    losses = [float(ctc.loss_per_label(constant.expand(12, 3, WIDTH), batch)) for constant in constants]
    assert fitted == pytest.approx(min(losses), abs=1e-3)
    assert weight.eq(0).all()


def test_a_model_of_the_present_step_uses_its_input():
    batch = batch_of([[0, 1], [1, 0], [1, 1]], [6, 6, 6], total=6)
    shown = torch.tensor([[0, 2, 2, 1, 2, 2], [2, 1, 2, 2, 0, 2], [1, 2, 1, 2, 2, 2]]).T  # each label once, blanks else
    told = batch._replace(inputs=torch.nn.functional.one_hot(shown, 3).float())
    losses = [
        float(ctc.loss_per_label(ctc.memoryless_answers(told, *fit_without_memory(told, 3, inputs, steps=100)), told))
        for inputs in (False, True)
    ]
    assert losses[1] < 0.2 < losses[0]
