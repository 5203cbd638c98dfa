"""Random weight guessing solves what two symbols decide, and not what a cell must learn."""

import doctest

import pytest
import torch

from runs.networks import guessing
from runs.networks.guessing import Guessed, guess
from tasks import DelayedRecall
from tasks.task import Batch, Regression

EASY = {"lag": 5, "symbols": 2, "distractors": 1}


@pytest.fixture(autouse=True)
def few_guesses_in_one_thread(monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(guessing, "GUESSES", 60)
    monkeypatch.setattr(guessing, "ENOUGH", 4)
    yield
    torch.set_num_threads(threads)


class Sign(Regression):
    """Tell the sign of the only input, 0 or 1."""

    lag, input_size, output_size, floor, solved_loss = 1, 1, 1, 0.25, 0.01
    evaluation_size = 300

    def batch(self, size, generator):
        sign = torch.randint(2, (1, size, 1), generator=generator).float()
        return Batch(2 * sign - 1, sign, torch.zeros(1, size, dtype=torch.int64))

    def solved(self, metrics):
        return metrics["loss"] < self.solved_loss


def test_two_cues_are_guessed():
    found = guess(DelayedRecall(**EASY))
    assert found.share > 0.005
    assert sum(found.solved.values()) >= guessing.ENOUGH


def test_eight_cues_are_not_guessed(monkeypatch):
    monkeypatch.setattr(guessing, "GUESSES", 9)
    found = guess(DelayedRecall(lag=20, symbols=8))
    assert found == Guessed(9 * 2 * len(guessing.HIDDEN_SIZES) * len(guessing.WIDTHS), {})
    assert found.share == 0


def test_the_example_gives_what_it_says():
    assert doctest.testmod(guessing) == (0, 2)


def test_a_regression_is_guessed_within_the_range_of_its_targets():
    assert guess(Sign()).share > 0.05


def test_the_same_seed_guesses_the_same():
    assert guess(DelayedRecall(**EASY)) == guess(DelayedRecall(**EASY))


def test_another_seed_guesses_otherwise():
    assert guess(DelayedRecall(**EASY)) != guess(DelayedRecall(**EASY), seed=1)


def test_long_sequences_are_tried_on_fewer_networks(monkeypatch):
    monkeypatch.setattr(guessing, "WORK", {"fused": 2**16, "eager": 2**16})
    assert guess(DelayedRecall(lag=20)).tried == 2 * len(guessing.HIDDEN_SIZES) * len(guessing.WIDTHS)


def test_a_network_must_also_solve_fresh_sequences(monkeypatch):
    drawn = guessing.draw

    def other(task, size, generator):
        batch = drawn(task, size, generator)
        fresh = generator.initial_seed() == guessing.streams(0)("confirmation").initial_seed()
        return batch._replace(targets=1 - batch.targets) if fresh else batch

    assert guess(DelayedRecall(**EASY)).share > 0
    monkeypatch.setattr(guessing, "draw", other)
    assert guess(DelayedRecall(**EASY)).share == 0


def test_the_eager_engine_is_given_less_work():
    assert guessing.WORK["eager"] < guessing.WORK["fused"]


@pytest.mark.parametrize("cell", guessing.CELLS)
def test_networks_have_the_units_that_are_said(cell):
    assert guessing._network(DelayedRecall(lag=2), cell(), 2).recurrent.hidden_size == 2
