"""The two-sequence problem: its law, its floors, the losses of the best models, the published criteria."""

import math

import pytest
import torch

from tasks import TwoSequence

COUNT = 20_000
FORMS = {"3a": {}, "3b": {"noisy_signals": True}, "3b, one": {"noisy_signals": True, "signals": 1}}
FORMS["3c"] = {"noisy_targets": True}


def drawn(task, count=COUNT, seed=0):
    return task.batch(count, torch.Generator().manual_seed(seed))


def test_signals_tell_the_class_and_noise_follows():
    batch = drawn(TwoSequence(lag=11, signals=4))
    signs = 2 * batch.targets[0, :, 0] - 1
    assert torch.equal(batch.inputs[:4, :, 0], signs.expand(4, -1))
    noise = batch.inputs[4:11].flatten()
    assert abs(float(noise.mean())) < 4 * math.sqrt(0.2 / len(noise))
    assert abs(float(noise.var()) - 0.2) < 4 * 0.2 * math.sqrt(2 / len(noise))


def test_classes_are_equally_frequent():
    assert abs(float(drawn(TwoSequence(lag=5)).targets.mean()) - 0.5) < 4 * 0.5 / math.sqrt(COUNT)


def test_noise_on_signals_has_the_published_variance():
    batch = drawn(TwoSequence(lag=11, signals=4, noisy_signals=True))
    noise = (batch.inputs[:4, :, 0] - (2 * batch.targets[0, :, 0] - 1)).flatten()
    assert abs(float(noise.mean())) < 4 * math.sqrt(0.2 / len(noise))
    assert abs(float(noise.var()) - 0.2) < 4 * 0.2 * math.sqrt(2 / len(noise))


def test_noisy_targets_have_the_published_mean_and_variance():
    batch = drawn(TwoSequence(lag=5, noisy_targets=True))
    noise = batch.targets[0, :, 0] - torch.where(batch.inputs[0, :, 0] == 1, 0.2, 0.8)
    assert abs(float(noise.mean())) < 4 * math.sqrt(0.1 / COUNT)
    assert abs(float(noise.var()) - 0.1) < 4 * 0.1 * math.sqrt(2 / COUNT)


@pytest.mark.parametrize("form", FORMS)
def test_the_floor_is_the_loss_of_the_best_model_of_the_last_value(form):
    task = TwoSequence(lag=5, **FORMS[form])
    batch = drawn(task)
    last = batch.inputs[batch.reads[0], torch.arange(COUNT), 0]
    kind = torch.bucketize(last, torch.linspace(-1, 1, 9))
    sums = torch.zeros(10).index_add_(0, kind, batch.targets[0, :, 0])
    answers = (sums / torch.bincount(kind, minlength=10))[kind].view(1, -1, 1)
    squares = (answers - batch.targets).square().flatten()
    assert abs(float(squares.mean()) - task.floor) < 4 * float(squares.std()) / math.sqrt(COUNT) + 10 / COUNT


@pytest.mark.parametrize("form", FORMS)
def test_the_best_loss_is_that_of_the_oracle(form):
    task = TwoSequence(lag=5, **FORMS[form])
    batch = drawn(task)
    squares = (task.oracle(batch) - batch.targets).square().flatten()
    deviation = float(squares.std()) / math.sqrt(COUNT)
    assert abs(float(squares.mean()) - task.baselines()["best possible"]) <= 4 * deviation


def test_the_chance_of_a_class_is_as_often_right_as_it_says():
    task = TwoSequence(lag=5, noisy_signals=True, signals=1)
    batch = drawn(task)
    chance, targets = task.oracle(batch).flatten(), batch.targets.flatten()
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (chance >= low) & (chance < low + 0.2)
        deviation = 0.5 / math.sqrt(int(inside.sum()))
        assert abs(float(targets[inside].mean() - chance[inside].mean())) < 4 * deviation


@pytest.mark.parametrize(("form", "floor", "mean_error"), [("3a", 0.25, 0.01), ("3b", 0.25, 0.04), ("3c", 0.19, 0.015)])
def test_floors_and_solved_losses_are_those_of_the_docstring(form, floor, mean_error):
    task = TwoSequence(**FORMS[form])
    assert task.floor == pytest.approx(floor)
    assert task.solved_loss == pytest.approx(task.baselines()["best possible"] + mean_error**2)


@pytest.mark.parametrize(
    ("form", "error", "wrong", "solved"),
    [
        ("3a", 0.009, 0, True),
        ("3a", 0.009, 1, False),
        ("3a", 0.011, 0, False),
        ("3b", 0.03, 59, True),
        ("3b", 0.03, 60, False),
        ("3b", 0.041, 0, False),
        ("3c", 0.014, 0, True),
        ("3c", 0.014, 1, False),
        ("3c", 0.016, 0, False),
    ],
)
def test_two_sequence_is_solved_as_published(form, error, wrong, solved):
    task = TwoSequence(lag=5, **FORMS[form])
    batch = drawn(task, task.evaluation_size)
    clean = task.oracle(batch) if form == "3c" else batch.targets.clone()
    answers = clean + error
    answers[:, :wrong] = clean[:, :wrong] + {"3a": 0.21, "3b": 0.21, "3c": 0.11}[form]
    metrics = task.metrics(answers, batch)
    assert metrics["wrong"] == pytest.approx(wrong / 2560)
    assert metrics["published"] == solved
    assert task.solved(metrics) is solved


def test_a_logistic_answer_is_that_of_the_squashed_output():
    linear, squashed = TwoSequence(lag=5), TwoSequence(lag=5, logistic=True)
    batch = drawn(linear, 7)
    outputs = torch.randn(1, 7, 1, generator=torch.Generator().manual_seed(2))
    assert squashed.metrics(outputs, batch) == linear.metrics(outputs.sigmoid(), batch)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lag": 7, "signals": 7}, "two_sequence: signals must be less than lag = 7, got 7"),
        (
            {"noisy_signals": True, "noisy_targets": True},
            "two_sequence: noisy_targets must be false where noisy_signals is true, got true",
        ),
    ],
)
def test_knobs_that_do_not_fit_each_other_are_refused_in_one_line(knobs, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TwoSequence(**knobs)
