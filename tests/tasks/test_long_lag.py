"""The long time lags of 1997: sequences, exact floors, published criteria."""

import math

import pytest
import torch

from tasks import LongLag, LongLagNext
from tasks.task import one_hot

COUNT = 10_000


def drawn(task, count=COUNT, seed=0):
    return task.batch(count, torch.Generator().manual_seed(seed))


def letters(task, batch, b):
    """A sequence of `long_lag` in the letters of its definition, each distractor being a number."""
    names = [*map(str, range(task.distractors)), "e", "b", "x", "y"]
    return [names[s] for s in batch.inputs[: batch.lengths[b], b].argmax(-1).tolist()]


def log_law(task, batch, last=1.0):
    """The log-probabilities of the best model of `long_lag_next`, with this probability for the right last symbol."""
    law = torch.zeros(*batch.targets.shape, task.output_size)
    if task.random:
        law[:-1, :, : task.lag - 1] = 1 / (task.lag - 1)
    else:
        law[:-1] = one_hot(batch.targets[:-1], task.output_size)
    law[-1, :, task.lag - 1 :] = 1 - last
    law[-1] += (2 * last - 1) * one_hot(batch.targets[-1:], task.output_size)[0]
    return law.clamp(min=1e-30).log()


def test_a_sequence_is_start_class_distractors_and_trigger():
    task = LongLag(lag=7, distractors=5)
    batch = drawn(task, 300)
    for b in range(300):
        start, named, *passing, trigger = letters(task, batch, b)
        assert (start, trigger) == ("b", "e")
        assert named == "xy"[batch.targets[0, b]]
        assert len(passing) >= 7
        assert set(passing) <= set("01234")


def test_further_distractors_are_geometric_with_the_published_probability():
    further = drawn(LongLag(lag=7, distractors=3)).lengths - 10
    assert int(further.min()) == 0
    for k in (0, 1, 5, 12):
        chance = 0.1 * 0.9**k
        share = float((further == k).float().mean())
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / COUNT)
    assert abs(float(further.float().mean()) - 9) < 4 * math.sqrt(90 / COUNT)


def test_distractors_and_classes_are_uniform():
    task = LongLag(lag=7, distractors=5)
    batch = drawn(task)
    assert abs(float(batch.targets.float().mean()) - 0.5) < 4 * 0.5 / math.sqrt(COUNT)
    counts = batch.inputs[2:9].sum((0, 1))
    assert not counts[5:].any()
    for count in counts[:5].tolist():
        assert abs(count / (7 * COUNT) - 0.2) < 4 * math.sqrt(0.16 / (7 * COUNT))


@pytest.mark.parametrize(("error", "published"), [(0.19, 1.0), (0.21, 0.0)])
def test_long_lag_reports_the_published_criterion(error, published):
    task = LongLag(lag=7, distractors=5)
    batch = drawn(task, 50)
    answers = 50.0 * one_hot(batch.targets, 2)
    answers[0, 3] = torch.tensor([error, 1 - error]).log()[[1, 0] if batch.targets[0, 3] == 0 else [0, 1]]
    metrics = task.metrics(answers, batch)
    assert metrics["accuracy"] == 1
    assert metrics["published"] == published
    assert metrics["wrong"] == pytest.approx((1 - published) / 50)


def test_the_next_symbols_are_distractors_and_the_first_symbol():
    task = LongLagNext(lag=6)
    batch = drawn(task, 300)
    seen = batch.inputs.argmax(-1)
    assert set(seen[0].tolist()) == {5, 6}
    assert set(seen[1:].flatten().tolist()) == set(range(5))
    assert torch.equal(batch.targets[:-1], seen[1:])
    assert torch.equal(batch.targets[-1], seen[0])


def test_fixed_distractors_come_in_their_order():
    batch = drawn(LongLagNext(lag=6, random=False), 50)
    assert batch.targets[:-1].unique(dim=1).flatten().tolist() == [0, 1, 2, 3, 4]
    assert set(batch.targets[-1].tolist()) == {5, 6}


def test_random_distractors_are_uniform():
    batch = drawn(LongLagNext(lag=6))
    for count in batch.inputs[1:].sum((0, 1))[:5].tolist():
        assert abs(count / (5 * COUNT) - 0.2) < 4 * math.sqrt(0.16 / (5 * COUNT))


@pytest.mark.parametrize("lag", [2, 3, 9])
@pytest.mark.parametrize("random", [False, True])
def test_the_floor_is_the_loss_of_a_table_of_the_present_symbol(lag, random):
    task = LongLagNext(lag=lag, random=random)
    batch = drawn(task)
    seen = batch.inputs.argmax(-1)
    counts = torch.zeros(lag + 1, lag + 1).index_put_((seen, batch.targets), torch.tensor(1.0), accumulate=True)
    losses = -(counts / counts.sum(1, keepdim=True))[seen, batch.targets].log()
    deviation = float(losses.mean(0).std()) / math.sqrt(COUNT)
    bias = (lag + 1) ** 2 / (2 * lag * COUNT)
    assert abs(float(losses.mean()) - task.floor) < 4 * deviation + bias


@pytest.mark.parametrize("random", [False, True])
def test_the_optimum_and_solved_loss_are_those_of_the_law(random):
    task = LongLagNext(lag=7, random=random)
    batch = drawn(task, 50)
    assert float(task.loss(log_law(task, batch), batch)) == pytest.approx(task.baselines()["best possible"], abs=1e-6)
    assert float(task.loss(log_law(task, batch, last=0.99), batch)) == pytest.approx(task.solved_loss, rel=1e-4)


@pytest.mark.parametrize("random", [False, True])
def test_a_network_that_lost_only_the_first_symbol_has_the_stated_loss(random):
    task = LongLagNext(lag=7, random=random)
    batch = drawn(task, 50)
    known = task.baselines()["all but the first symbol"]
    assert float(task.loss(log_law(task, batch, last=0.5), batch)) == pytest.approx(known, rel=1e-5)
    assert known <= task.floor


def test_floors_of_the_published_lag_are_those_of_the_docstring():
    assert LongLagNext(lag=100).floor == pytest.approx(4.612, abs=5e-4)
    assert LongLagNext(lag=100).optimum == pytest.approx(4.549, abs=5e-4)
    assert LongLagNext(lag=100, random=False).floor == pytest.approx(math.log(2) / 100)


@pytest.mark.parametrize(("last", "published"), [(0.76, 1.0), (0.74, 0.0)])
@pytest.mark.parametrize("random", [False, True])
def test_long_lag_next_reports_the_published_criterion(random, last, published):
    task = LongLagNext(lag=7, random=random)
    batch = drawn(task, 50)
    metrics = task.metrics(log_law(task, batch, last), batch)
    assert metrics["published"] == published
    assert metrics["recall_accuracy"] == 1
    assert metrics["recall_loss"] == pytest.approx(-math.log(last), rel=1e-5)


@pytest.mark.parametrize(("random", "published"), [(False, 0.0), (True, 1.0)])
def test_earlier_answers_count_for_the_published_criterion_where_they_can_be_known(random, published):
    task = LongLagNext(lag=7, random=random)
    batch = drawn(task, 50)
    answers = log_law(task, batch)
    answers[2, 4] = 0.0
    assert task.metrics(answers, batch)["published"] == published


def test_a_network_that_lost_the_first_symbol_does_not_solve_long_lag_next():
    task = LongLagNext(lag=7)
    batch = drawn(task, 500)
    metrics = task.metrics(log_law(task, batch, last=0.5), batch)
    assert metrics["recall_loss"] == pytest.approx(math.log(2))
    assert not task.solved(metrics)
