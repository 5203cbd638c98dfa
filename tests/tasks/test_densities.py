"""Every task that asks for the probability of a sequence keeps the contract, and its exact numbers are exact."""

import math
from itertools import product

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from tasks import Batch, Task
from tasks.task import Density

KNOWN = sorted(
    name
    for name, cls in Task.registry.items()
    if issubclass(cls, Density) and cls.__module__.startswith("tasks.synthetic.")
)
"""Densities whose distribution is known."""
LAGS = (1, 3, 40)
MANY = 20_000


def draw(task: Task, size: int = MANY, seed: int = 1) -> Batch:
    return task.batch(size, torch.Generator().manual_seed(seed))


def bits_of(steps: Tensor) -> Tensor:
    """Steps [T, B, 8] as whole numbers [T, B]."""
    return (steps.long() << torch.arange(steps.shape[-1])).sum(-1)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", KNOWN)
def test_each_step_is_heard_after_it_was_asked_for(name, lag):
    batch = draw(Task.registry[name](lag=lag), 50)
    assert torch.equal(batch.inputs[1:], batch.targets[:-1])
    assert not batch.inputs[0].any()
    assert batch.reads[:, 3].tolist() == list(range(len(batch.inputs)))


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", KNOWN)
def test_the_entropy_is_the_mean_of_the_exact_log_probability(name, lag):
    task = Task.registry[name](lag=lag)
    exact = -task.oracle(draw(task))
    assert float(exact.mean()) == pytest.approx(task.entropy, rel=0.01)


@pytest.mark.parametrize("name", KNOWN)
def test_the_exact_probabilities_of_all_sequences_sum_to_one(name):
    task = Task.registry[name](lag=1, after=2)
    there = draw(task, 2000).targets.flatten(0, 1).unique(dim=0)
    sequences = torch.stack([torch.stack(steps) for steps in product(there, repeat=3)], dim=1)
    chance = task.oracle(Batch(sequences, sequences, torch.zeros(3, sequences.shape[1]))).sum(0).exp()
    assert float(chance.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", KNOWN)
def test_the_floor_is_the_loss_of_bits_that_are_on_half_of_the_time(name, lag):
    task = Task.registry[name](lag=lag)
    batch = draw(task)
    assert float(task.loss(torch.zeros_like(batch.targets), batch)) == pytest.approx(task.floor, rel=1e-5)
    shares = batch.targets.mean(1)
    assert float((shares - 0.5).abs().max()) < 0.02


def test_no_product_of_bits_after_any_past_beats_the_floor_of_joint_bits():
    task = Task.registry["joint_bits"](lag=2, after=1)
    batch = draw(task)
    pasts = bits_of(batch.targets[:2])
    for past in pasts.unique(dim=1).T:
        own = (pasts == past.unsqueeze(-1)).all(0)
        assert float((batch.targets[2, own].mean(0) - 0.5).abs().max()) < 0.05


@pytest.mark.parametrize("lag", LAGS)
def test_a_model_that_forgets_the_pair_of_joint_bits_does_not_solve_it_and_the_entropy_does(lag):
    task = Task.registry["joint_bits"](lag=lag)
    forgotten = task.baselines()["the patterns, without the pair"]
    assert task.solved({"loss": task.entropy})
    assert task.solved({"loss": task.solved_loss})
    assert not task.solved({"loss": forgotten})
    assert not task.solved({"loss": math.nan})


def test_the_default_joint_bits_are_solved_within_5_percent_of_their_entropy():
    task = Task.registry["joint_bits"]()
    assert task.entropy == pytest.approx(9 * math.log(2) / 8)
    assert task.solved_loss == pytest.approx(1.05 * task.entropy)


def test_the_loss_of_joint_bits_without_the_pair_is_that_of_their_patterns():
    task = Task.registry["joint_bits"](lag=3, after=1)
    codes = bits_of(draw(task).targets)
    exact = 0.0
    for step in codes:  # the last step without the one before the others
        shares = torch.bincount(step) / MANY
        exact += float(torch.special.entr(shares).sum())
    assert exact / len(codes) == pytest.approx(task.baselines()["the patterns, without the pair"], rel=0.01)


def test_the_pair_of_joint_bits_is_told_at_the_first_step_and_comes_back_after_the_lag():
    task = Task.registry["joint_bits"](lag=5, after=3)
    codes = bits_of(draw(task, 500).targets)
    pair = torch.minimum(codes, 255 - codes)  # the same for a pattern and its complement
    assert len(codes) == 8
    assert len(pair[0].unique()) == 2
    assert len(pair[1:5].unique()) == 1
    assert torch.equal(pair[5:], pair[:1].expand(3, -1))
    assert len(codes[4].unique()) == 2


def test_impossible_joint_bits_have_the_probability_zero():
    task = Task.registry["joint_bits"]()
    batch = draw(task, 3)
    batch.targets[2, 1, 4] = 1 - batch.targets[2, 1, 4]
    assert task.oracle(batch).sum(0).isinf().tolist() == [False, True, False]


def test_digit_rows_are_the_bright_pixels_of_the_images_row_by_row():
    bright = {(image > 7.5).tobytes() for image in load_digits().images}  # of [8, 8] bools, row by row
    images = Task.registry["digit_rows"]().part("test").targets.transpose(0, 1)
    assert {image.numpy().astype(bool).tobytes() for image in images} <= bright
    assert not images[:, :, 0].any(), "the left edge is white"


@pytest.mark.parametrize("name", ["digit_rows", "chorales"])
def test_densities_of_data_have_no_entropy_and_are_never_solved(name):
    cls = Task.registry[name]
    assert issubclass(cls, Density)
    assert cls.entropy is None
    assert not cls.solved(object.__new__(cls), {"loss": 0.0})
