"""Finite data: parts, epochs, weights of answers, what an outcome says of them, and what is refused."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from runs.networks.building import untrained
from runs.trial.data import batches, held_out, sized
from runs.trial.evaluation import Evaluator
from runs.trial.training import run
from runs.trial.trial import Model, Training, Trial
from tasks import Adding, Batch
from tasks.contract import check_task, try_out
from tests.tasks.samples import WEIGHTED, Tunes

TUNES = Tunes()


def trial(model=None, task="tests.tasks.samples.Tunes", **training) -> Trial:
    values = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05}
    return Trial(
        variant={"_target_": "variants.Vanilla", "label": "vanilla"},
        task={"_target_": task, "label": "tunes"},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=model or Model(hidden_size=4),
        training=Training(**values | training),
        seed=1,
        data_seed=6,
    )


def with_data(asked: Trial) -> Trial:
    return replace(asked, training=sized(asked.training, TUNES))


def first_inputs(batch: Batch) -> list[tuple[float, ...]]:
    """What tells the sequences of a part apart: the inputs of their steps, without those after the end."""
    lengths = batch.lengths if batch.lengths is not None else torch.full((batch.size,), len(batch.inputs))
    return [tuple(batch.inputs[: int(n), k].flatten().tolist()) for k, n in enumerate(lengths)]


# Batches
# ---------------------------------------------------------------------------------------------------------------------


def test_chosen_sequences_end_with_the_longest_of_them():
    batch = TUNES.part("train")
    chosen = torch.argsort(batch.lengths)[:3]
    few = batch.select(chosen)
    longest = int(batch.lengths[chosen].max())
    assert [len(few.inputs), len(few.reads), len(few.targets), len(few.weights)] == [longest] * 4
    assert longest < len(batch.inputs)


def test_chosen_sequences_keep_what_is_asked_of_them():
    batch = WEIGHTED["Keys"].batch(7, torch.Generator().manual_seed(2))
    few = batch.select(torch.tensor([5, 2]))
    for place, k in enumerate((5, 2)):
        steps = int(batch.lengths[k])
        for own, every in zip(few[:3] + few[4:5], batch[:3] + batch[4:5], strict=True):
            assert torch.equal(own[:steps, place], every[:steps, k])
        assert few.lengths[place] == steps


def test_a_part_of_a_batch_is_the_choice_of_the_same_sequences():
    batch = TUNES.part("train")
    for one, other in zip(batch.part(2, 6), batch.select(torch.arange(2, 6)), strict=True):
        assert (one is other is None) or torch.equal(one, other)


def test_an_epoch_uses_each_sequence_of_the_training_part_once():
    asked = with_data(trial())
    source = batches(TUNES, asked)
    for _ in range(2):
        seen = Counter(s for _ in range(3) for s in first_inputs(next(source)))
        assert seen == Counter(first_inputs(TUNES.part("train")))


def test_a_training_set_is_the_beginning_of_the_training_part():
    source = batches(TUNES, with_data(trial(training_sequences=5, batch_size=5)))
    assert Counter(first_inputs(next(source))) == Counter(first_inputs(TUNES.part("train").part(0, 5)))


@pytest.mark.parametrize("purpose", ["validation", "test"])
def test_held_out_sequences_are_a_part_whatever_the_seed(purpose):
    for seed in (0, 1):
        assert torch.equal(
            held_out(TUNES, replace(trial(), data_seed=seed), purpose).inputs, TUNES.part(purpose).inputs
        )


def test_fewer_held_out_sequences_are_the_first_of_a_part():
    few = held_out(TUNES, trial(evaluation_sequences=2), "test")
    assert first_inputs(few) == first_inputs(TUNES.part("test"))[:2]
    assert held_out(TUNES, trial(evaluation_sequences=99), "test").size == TUNES.sizes["test"]


# Losses
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", WEIGHTED.values(), ids=WEIGHTED)
def test_what_has_no_weight_changes_no_metric(task):
    batch = task.batch(5, torch.Generator().manual_seed(0))
    answers = torch.randn(*batch.reads.shape, task.output_size)
    asked = batch.weights > 0
    other = torch.where(asked.unsqueeze(-1), answers, 7.0)
    assert not torch.equal(answers, other)
    assert task.metrics(answers, batch) == task.metrics(other, batch)


@pytest.mark.parametrize("task", WEIGHTED.values(), ids=WEIGHTED)
def test_a_loss_is_the_mean_over_answers_by_their_weights(task):
    batch = task.batch(5, torch.Generator().manual_seed(0))
    answers = torch.randn(*batch.reads.shape, task.output_size)
    total, weight = 0.0, 0.0
    for k, b in (batch.weights > 0).nonzero().tolist():
        alone = Batch(
            batch.inputs[:, b : b + 1], batch.targets[k : k + 1, b : b + 1], batch.reads[k : k + 1, b : b + 1]
        )
        own = float(batch.weights[k, b])
        total, weight = total + own * float(task.loss(answers[k : k + 1, b : b + 1], alone)), weight + own
    assert float(task.loss(answers, batch)) == pytest.approx(total / weight, rel=1e-5)


def test_the_loss_of_sequences_counts_long_and_short_ones_alike():
    task = WEIGHTED["Keys"]
    inputs, targets = torch.zeros(2, 2, 3), torch.zeros(2, 2, 3)
    weights = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    batch = Batch(inputs, targets, torch.zeros(2, 2, dtype=torch.int64), torch.tensor([2, 1]), weights)
    answers = torch.zeros(2, 2, 3)
    answers[0, 1] = math.log(3.0)  # a probability of 3/4 for each key: ln 4 nats
    metrics = task.metrics(answers, batch)
    of_long, of_short = 3 * math.log(2), 3 * math.log(4)
    assert metrics["loss"] == pytest.approx((2 * of_long + of_short) / 3)
    assert metrics["sequence_loss"] == pytest.approx((of_long + of_short) / 2)


def test_sequences_of_several_lengths_get_the_answers_that_they_get_alone(monkeypatch):
    monkeypatch.setattr("runs.trial.evaluation.chunk_of", lambda steps: 3)
    network, task = untrained(trial())
    every = task.part("train")
    answers = Evaluator(network).answers(every)
    for k in range(every.size):
        alone = every.select(torch.tensor([k]))
        torch.testing.assert_close(answers[: len(alone.reads), k], network(alone)[:, 0].detach(), rtol=0, atol=2e-6)
    assert answers.shape == (*every.reads.shape, task.output_size)


# Outcomes
# ---------------------------------------------------------------------------------------------------------------------


def test_a_trial_on_data_says_its_epochs_and_what_the_task_says_of_losses():
    outcome = run(trial())
    assert (outcome.status, outcome.steps, outcome.budget, outcome.epochs) == ("finished", 9, 9, 3.0)
    assert outcome.curve_steps == (0, 3, 6, 9)
    assert outcome.update == "compiled"
    assert outcome.task == {
        "lag": None,
        "floor": 2.0,
        "solved_loss": None,
        "reference": 1.5,
        "reference_source": "nobody's",
        "unit": "nats per step",
        "unit_scale": 1.0,
    }


def test_an_outcome_without_a_training_set_has_no_epochs():
    outcome = run(trial(task="tests.tasks.samples.Numbers", epochs=0, budget=2, evaluation_sequences=8))
    assert (outcome.epochs, outcome.budget) == (None, 2)


def test_patience_counts_epochs():
    outcome = run(trial(learning_rate=5.0, epochs=60, patience=2, clip_norm=0))
    assert outcome.steps % 3 == 0
    assert outcome.steps == outcome.best_step + 2 * 3


def test_a_training_that_ends_far_above_its_start_has_exploded():
    outcome = run(trial(learning_rate=200.0, clip_norm=0, optimiser="sgd"))
    assert outcome.status == "exploded"
    assert math.isfinite(outcome.curve_losses[-1])
    assert outcome.curve_losses[-1] > 3 * max(TUNES.floor, outcome.curve_losses[0])
    assert outcome.test_loss < outcome.curve_losses[-1]  # of the best look


@pytest.mark.parametrize(
    ("loss", "score"), [(2.5, 0.0), (2.0, 0.0), (1.75, 0.5), (1.5, 1.0), (1.0, 1.0), (math.nan, 0.0)]
)
def test_the_score_of_a_task_without_a_criterion_is_linear_down_to_the_reference(loss, score):
    assert TUNES.score(loss) == score


def test_a_task_without_a_reference_scores_the_share_of_the_floor_that_is_gone():
    task = Tunes()
    task.reference = None
    assert [task.score(loss) for loss in (2.0, 1.5, 0.0)] == [0.0, 0.25, 1.0]


def test_further_tests_are_reported_beside_the_test(monkeypatch):
    longer = {"x2": Tunes(seed=3).part("test")}
    monkeypatch.setattr(Tunes, "further_tests", lambda self, size, generator: longer)
    outcome = run(trial())
    assert set(outcome.test_metrics) == {"loss", "sequence_loss", "loss_x2", "sequence_loss_x2"}
    assert outcome.test_metrics["loss_x2"] != outcome.test_metrics["loss"]


# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def test_the_sample_keeps_the_contract():
    try_out(TUNES)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (
            {"training_sequences": 12},
            "training.training_sequences must be at most the 11 of the training part of Tunes, got 12",
        ),
        (
            {"batch_size": 12},
            "training.batch_size must be at most the 11 sequences of the training part of Tunes, got 12",
        ),
        (
            {"criterion": "training"},
            "training.criterion must be held_out for Tunes, which has no criterion, got 'training'",
        ),
    ],
)
def test_a_training_that_the_data_do_not_allow_is_refused(change, rule):
    with pytest.raises(ValueError, match=rule):
        sized(trial(**change).training, TUNES)


def test_epochs_need_a_training_set():
    with pytest.raises(ValueError, match="since adding draws fresh sequences, got 3"):
        sized(Training(epochs=3), Adding())


def test_a_network_that_reads_backwards_is_refused_where_answers_are_steps_to_come():
    outcome = run(trial(model=Model(hidden_size=4, bidirectional=True)))
    assert "Tunes: model.bidirectional must be false, since each answer is a step to come" in outcome.error


def test_changed_data_are_refused():
    changed = Tunes(seed=1).fingerprint
    with pytest.raises(ValueError, match=f"of the SHA-256 {changed[:12]}..., got {TUNES.fingerprint[:12]}"):
        Tunes(sha256=changed)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"floor": 1.5}, "reference must be below the floor 1.5, got 1.5"),
        ({"reference": "x"}, "reference, the loss at which .*, must be a finite number, got 'x'"),
    ],
)
def test_a_reference_that_is_not_below_the_floor_is_refused(change, rule):
    task = Tunes()
    vars(task).update(change)
    with pytest.raises(ValueError, match=rule):
        check_task(task)
