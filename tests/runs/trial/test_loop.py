"""The training loop to the exact step: what it counts, when it stops, what it keeps; validations are scripted."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from runs.networks.readout import Network, untrained
from runs.trial.data import batches, held_out
from runs.trial.evaluation import Validation, evaluate, evaluation_grid
from runs.trial.faults import Interrupted, Pruned
from runs.trial.training import run, trained
from runs.trial.trial import Model, Training, Trial
from tasks import Batch
from tasks.synthetic.adding import Adding
from tasks.synthetic.temporal_order import TemporalOrder
from variants import Vanilla, streams
from variants.initialisation import GlorotOrthogonal

GRID = [0, 1, 2, 4, 8, 16, 32]  # evaluations at powers of two


def trial(**training):
    values = {"budget": 32, "evaluations": 6, "evaluation_sequences": 16, "batch_size": 3} | training
    return Trial(
        variant={"_target_": "variants.Vanilla", "label": "vanilla"},
        task={"_target_": "tasks.Adding", "label": "adding", "lag": 5},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=4),
        training=Training(**values),
        seed=1,
        data_seed=6,
    )


@pytest.fixture
def script(monkeypatch):
    """Replace the validations of a training by given losses, and by whether the criterion is met."""

    def scripted(losses, meets=()):
        answers = [(loss, k < len(meets) and meets[k]) for k, loss in enumerate(losses)]
        given = iter(answers)
        monkeypatch.setattr(Validation, "evaluate", lambda self, network: next(given))

    return scripted


def falling(n=7):
    return [1.0 - 0.1 * k for k in range(n)]


def test_the_grid_of_these_tests_is_the_one_that_they_count_on():
    assert evaluation_grid(trial().training) == GRID


@pytest.mark.parametrize(
    ("patience", "losses", "steps"),
    [
        (1, [3.0, 2.0, 2.5, 1.0], 2),
        (2, [3.0, 2.0, 2.5, 2.1, 1.0], 4),
        (2, [3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 1.0], 16),
        (2, [3.0, 2.0, 2.0, 2.0, 1.0], 4),
        (3, [3.0, 2.0, 2.5, 2.1, 2.2, 1.0], 8),
        (0, [1.0] * 7, 32),
    ],
)
def test_patience_stops_at_that_evaluation_without_improvement(script, patience, losses, steps):
    script(losses)
    outcome = run(trial(patience=patience))
    assert (outcome.status, outcome.steps) == ("finished", steps)


def test_the_first_of_equally_good_evaluations_is_the_best(script):
    script([3.0, 2.0, 1.0, 1.0, 1.5, 1.0, 1.0])
    assert run(trial()).best_step == 2


def test_the_network_ends_with_the_parameters_of_the_best_evaluation(script):
    script([3.0, 2.0, 1.0, 0.5, 0.7, 0.8, 0.9])
    best, outcome = trained(trial())
    assert outcome.best_step == 4
    script(falling())
    up_to_there, _ = trained(trial(budget=4, evaluations=3))
    for a, b in zip(best.parameters(), up_to_there.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("needed", "meets", "solved_step", "steps"),
    [
        (1, [False, True], 1, 1),
        (2, [True, True], 0, 1),
        (2, [True, False, True, True], 2, 4),
        (3, [False, True, True, False, True, True, True], 8, 32),
    ],
)
def test_a_solution_is_confirmed_by_so_many_evaluations_in_a_row(script, needed, meets, solved_step, steps):
    script(falling(), meets)
    outcome = run(trial(confirmations=needed))
    assert (outcome.status, outcome.solved_step, outcome.steps, outcome.score) == ("solved", solved_step, steps, 1.0)


def test_a_training_that_does_not_stop_when_solved_keeps_the_first_solution(script):
    script(falling(), [False, True, True, False, True, True, True])
    outcome = run(trial(confirmations=2, stop_when_solved=False))
    assert (outcome.status, outcome.solved_step, outcome.steps) == ("solved", 1, 32)


def test_what_is_not_solved_has_the_score_of_its_test_loss(script):
    script(falling())
    network, outcome = trained(trial())
    task = Adding(lag=5)
    test = evaluate(network, task, held_out(task, trial(), "test"))
    assert (outcome.status, outcome.test_loss, outcome.test_metrics) == ("finished", test["loss"], test)
    assert outcome.score == task.score(test["loss"])


@pytest.mark.parametrize(("bad", "steps"), [(0, 0), (1, 1), (4, 8)])
def test_a_validation_loss_that_is_not_finite_ends_the_training_there(script, bad, steps):
    losses = falling()
    losses[bad] = math.inf
    script(losses)
    outcome = run(trial())
    assert (outcome.status, outcome.steps, outcome.curve_steps) == ("diverged", steps, tuple(GRID[:bad]))
    assert outcome.validation_loss is None if bad == 0 else math.isfinite(outcome.validation_loss)


@pytest.mark.parametrize("bad", [1, 6, 32])
def test_a_training_loss_that_is_not_finite_ends_the_training_at_this_step(monkeypatch, bad):
    plain, losses = Adding.loss, []  # the first of them is that of the check before the training

    def loss(self, outputs, batch):
        losses.append(plain(self, outputs, batch) * (math.nan if len(losses) == bad else 1.0))
        return losses[-1]

    monkeypatch.setattr(Adding, "loss", loss)
    monkeypatch.setattr(Adding, "metrics", lambda self, outputs, batch: {"loss": 0.5})
    outcome = run(trial())
    assert (outcome.status, outcome.steps, outcome.sequences) == ("diverged", bad, 3 * bad)
    assert outcome.curve_steps == tuple(step for step in GRID if step < bad)


def test_the_curve_has_the_mean_training_loss_since_the_evaluation_before(monkeypatch):
    plain, losses = Adding.loss, []  # the first of them is that of the check before the training

    def loss(self, outputs, batch):
        found = plain(self, outputs, batch)
        if outputs.requires_grad:
            losses.append(found.item())
        return found

    monkeypatch.setattr(Adding, "loss", loss)
    outcome = run(trial())
    del losses[0]
    assert len(losses) == 32
    assert outcome.train_losses[0] is None
    means = [sum(losses[a:b]) / (b - a) for a, b in pairwise(GRID)]
    assert outcome.train_losses[1:] == pytest.approx(means, rel=1e-12)


def test_every_evaluation_is_reported_with_its_step_and_loss(script):
    script(falling())
    seen = []
    outcome = run(trial(), lambda step, loss: seen.append((step, loss)))
    assert seen == list(zip(GRID, falling(), strict=True))
    assert (outcome.curve_steps, outcome.curve_losses) == tuple(zip(*seen, strict=True))


def test_a_pruned_trial_ends_at_the_report_that_pruned_it(script):
    script(falling(), [True] * 7)

    def report(step, loss):
        if step == 4:
            raise Pruned

    outcome = run(trial(confirmations=7), report)
    assert (outcome.status, outcome.steps, outcome.best_step, outcome.curve_steps) == ("pruned", 4, 4, (0, 1, 2, 4))


def test_a_trial_is_asked_before_every_update_whether_to_stop():
    asked = []
    run(trial(budget=4, evaluations=3), stopping=lambda: bool(asked.append(1)))
    assert len(asked) == 4
    with pytest.raises(Interrupted):
        run(trial(), stopping=lambda: bool(asked.append(1)) or len(asked) == 10)
    assert len(asked) == 10


def test_a_loss_that_is_infinite_on_the_other_sequences_is_a_divergence(script, monkeypatch):
    script(falling(), [True, True])
    monkeypatch.setattr("runs.trial.training.evaluate", lambda network, task, batch: {"loss": math.inf})
    outcome = run(trial())
    assert (outcome.status, outcome.solved_step, outcome.validation_loss) == ("diverged", None, None)
    assert (outcome.test_loss, outcome.test_metrics, outcome.score) == (None, {}, 0.0)


@pytest.mark.parametrize("clip_norm", [0.0, 0.2])
def test_updates_are_those_of_a_plain_loop_with_the_parts_of_torch(clip_norm):
    given = trial(clip_norm=clip_norm, learning_rate=0.01, input_noise=0.1)
    network, _ = trained(given)
    plain, task = untrained(given)
    optimiser, data = torch.optim.Adam(plain.parameters(), lr=0.01), batches(task, given)
    for _ in range(run(given).best_step):
        batch = next(data)
        optimiser.zero_grad()
        task.loss(plain(batch), batch).backward()
        if clip_norm > 0:
            nn.utils.clip_grad_norm_(plain.parameters(), clip_norm)
        optimiser.step()
    for a, b in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_noise_is_added_to_the_inputs_from_a_stream_of_its_own():
    task, noise = Adding(lag=5), streams(1)("input noise")
    clean, noisy = batches(task, trial()), batches(task, trial(input_noise=0.25))
    for count in (1, 16):  # batches of a draw
        expected = 0.25 * torch.randn((5, 3 * count, 2), generator=noise)
        found = [next(noisy).inputs - next(clean).inputs for _ in range(count)]
        torch.testing.assert_close(torch.cat(found, dim=1), expected)


@pytest.mark.parametrize(
    ("lag", "drawn"), [(5, [3, 48, 48]), (30_000, [3, 15, 15]), (200_000, [3, 3, 3])], ids=["short", "long", "longest"]
)
def test_as_many_batches_are_drawn_at_a_time_as_memory_allows(monkeypatch, lag, drawn):
    """2^20 numbers: 5 batches of 3 sequences with 2 numbers a step at 30,000 steps, less than one at 200,000."""
    sizes, plain = [], Adding.batch
    monkeypatch.setattr(Adding, "batch", lambda self, n, generator: (sizes.append(n), plain(self, n, generator))[1])
    data = batches(Adding(lag=lag), trial())
    while len(sizes) < 3:
        next(data)
    assert sizes == drawn


def test_held_out_sets_have_the_size_that_is_asked_for_or_that_of_the_criterion():
    task = Adding(lag=5)
    assert held_out(task, trial(), "test").inputs.shape[1] == 16
    assert held_out(task, trial(evaluation_sequences=0), "test").inputs.shape[1] == task.evaluation_size


def test_held_out_sets_come_from_the_stream_of_their_purpose():
    task = Adding(lag=5)
    for purpose in ("validation", "test"):
        expected = task.batch(16, streams(6)(purpose)).inputs
        assert torch.equal(held_out(task, trial(), purpose).inputs, expected)
        assert torch.equal(held_out(task, replace(trial(), seed=5), purpose).inputs, expected)


class Recorder(nn.Module):
    """Answers zeros, and remembers how many sequences it is given at a time and in which mode."""

    def __init__(self):
        super().__init__()
        self.sizes, self.modes = [], []

    def forward(self, batch):
        self.sizes.append(batch.inputs.shape[1])
        self.modes.append((self.training, torch.is_grad_enabled()))
        return torch.zeros(1, batch.inputs.shape[1], 1)


@pytest.mark.parametrize(
    ("steps", "size", "sizes"),
    [(6, 600, [256, 256, 88]), (2**12, 70, [32, 32, 6]), (2**14, 40, [16, 16, 8])],
)
def test_few_sequences_are_evaluated_at_a_time_where_they_are_long(steps, size, sizes):
    batch = Batch(torch.zeros(steps, size, 1), torch.zeros(1, size, 1), torch.zeros(1, size, dtype=torch.int64))
    network = Recorder()
    evaluate(network, Adding(lag=5), batch)
    assert network.sizes == sizes


def test_an_evaluation_is_without_gradients_and_leaves_the_network_in_training_mode():
    network, task = Recorder(), Adding(lag=5)
    evaluate(network, task, held_out(task, trial(), "test"))
    assert network.modes == [(False, False)]
    assert network.training


def test_parts_of_padded_sequences_are_evaluated_with_their_own_lengths():
    task = TemporalOrder(lag=20)
    batch = task.batch(300, torch.Generator().manual_seed(3))
    network = Network(Vanilla(), task, Model(hidden_size=4), GlorotOrthogonal(), streams(0))
    with torch.no_grad():
        expected = task.metrics(network(batch), batch)
    assert evaluate(network, task, batch) == pytest.approx(expected, rel=1e-5)


def test_an_outcome_counts_what_the_network_has_and_how_long_it_took():
    """Vanilla with I=2, H=4: four W [4, 2], four R [4, 4], four b [4]; the read-out has 4 weights and a bias."""
    outcome = run(trial(budget=1))
    assert (outcome.parameters, outcome.flops_per_step) == (32 + 64 + 16 + 4 + 1, 2 * (32 + 64 + 4))
    assert outcome.seconds > 0


def test_the_read_out_starts_uniform_after_glorot_with_zero_bias():
    network, _ = untrained(replace(trial(), model=Model(hidden_size=600)))
    bound = math.sqrt(6 / (600 + 1))
    assert 0.98 * bound < network.readout.weight.abs().max() <= bound
    assert not network.readout.bias.any()


def test_the_outputs_of_a_trained_network_are_not_overwritten_by_its_next_call():
    network, _ = trained(trial(budget=1))
    first, _ = network.recurrent(torch.zeros(5, 3, 2), final=False)
    before = first.clone()
    network.recurrent(torch.ones(5, 3, 2), final=False)
    assert torch.equal(first, before)
