"""Which trial is better: solved before unsolved, then by steps to solve, then by loss."""

import itertools
import math

import numpy as np
import pytest

from analysis.statistics.best import order_of
from runs.study.ranking import Result, rank_key, ranked

TRIALS = [Result(0.9, 100), Result(0.2, 150), Result(0.4, 150), Result(0.01), Result(0.3), Result(None), Result(None)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5, 6), (4, 2, 0, 6, 5, 3, 1)])
def test_solved_trials_come_first_by_steps_then_loss_and_those_without_a_loss_last(order):
    assert ranked({k: TRIALS[k] for k in order}) == [0, 1, 2, 3, 4, 5, 6]


def test_without_steps_the_loss_alone_decides():
    assert ranked(dict(enumerate(TRIALS)), by_steps=False) == [3, 1, 4, 2, 0, 5, 6]


@pytest.mark.parametrize("loss", [None, math.nan, math.inf])
def test_a_trial_without_a_finite_loss_is_last_even_where_it_is_said_to_be_solved(loss):
    assert rank_key(5, loss) == rank_key(None, loss) == rank_key(None, None) > rank_key(None, 1e9)


def test_a_step_that_is_nan_is_none():
    assert rank_key(math.nan, 0.5) == rank_key(None, 0.5)


@pytest.mark.parametrize("by_steps", [True, False])
def test_the_analysis_orders_trials_by_the_same_rule(by_steps):
    rng = np.random.default_rng(0)
    steps = np.where(rng.random(60) < 0.5, rng.integers(1, 5, 60) * 50.0, np.nan)
    losses = np.where(rng.random(60) < 0.8, rng.integers(1, 6, 60) / 10, np.nan)
    order = order_of(steps, losses, by_steps)
    keys = [rank_key(step, loss, by_steps) for step, loss in zip(steps, losses, strict=True)]
    for (a, first), (b, second) in itertools.permutations(zip(order, keys, strict=True), 2):
        assert (np.nan_to_num(a, nan=np.inf) < np.nan_to_num(b, nan=np.inf)) == (first < second)
