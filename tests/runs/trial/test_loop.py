"""The training loop to the exact step: what it counts, when it stops, what it keeps; validations are scripted."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from runs.networks.building import untrained
from runs.networks.network import Setting
from runs.networks.reader import Reader
from runs.trial.data import batches, fresh_sets, held_out
from runs.trial.evaluation import Validation, evaluate, evaluation_grid
from runs.trial.faults import Interrupted, Pruned
from runs.trial.progress import Recent
from runs.trial.training import run, trained
from runs.trial.trial import Model, Training, Trial
from tasks import Batch
from tasks.synthetic.adding import Adding
from tasks.synthetic.temporal_order import TemporalOrder
from variants import Vanilla, streams
from variants.initialisation import GlorotOrthogonal

GRID = [0, 5, 11, 16, 21, 27, 32]  # sixths of 32, rounded


def trial(**training):
    values = {"budget": 32, "evaluations": 6, "evaluation_sequences": 16, "batch_size": 3, "confirmations": 0}
    return Trial(
        variant={"_target_": "variants.Vanilla", "label": "vanilla"},
        task={"_target_": "tasks.Adding", "label": "adding", "lag": 5},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=4),
        training=Training(**values | training),
        seed=1,
        data_seed=6,
    )


@pytest.fixture
def script(monkeypatch):
    """Replace the validations of a training by given losses, and by whether the criterion is met."""

    def scripted(losses, meets=()):
        answers = [(loss, k < len(meets) and meets[k]) for k, loss in enumerate(losses)]
        given = iter(answers)
        monkeypatch.setattr(Validation, "evaluate", lambda self, network, criterion: next(given))

    return scripted


def falling(n=7):
    return [1.0 - 0.1 * k for k in range(n)]


def test_the_grid_of_these_tests_is_the_one_that_they_count_on():
    assert evaluation_grid(trial().training) == GRID


@pytest.mark.parametrize(
    ("patience", "losses", "steps"),
    [
        (1, [3.0, 2.0, 2.5, 1.0], 11),
        (2, [3.0, 2.0, 2.5, 2.1, 1.0], 16),
        (2, [3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 1.0], 27),
        (2, [3.0, 2.0, 2.0, 2.0, 1.0], 16),
        (3, [3.0, 2.0, 2.5, 2.1, 2.2, 1.0], 21),
        (0, [1.0] * 7, 32),
    ],
)
def test_patience_stops_at_that_look_without_improvement(script, patience, losses, steps):
    script(losses)
    outcome = run(trial(patience=patience))
    assert (outcome.status, outcome.steps) == ("finished", steps)


def test_the_first_of_equally_good_looks_is_the_best(script):
    script([3.0, 2.0, 1.0, 1.0, 1.5, 1.0, 1.0])
    assert run(trial()).best_step == 11


def test_the_network_ends_with_the_parameters_of_the_best_look(script):
    script([3.0, 2.0, 1.0, 0.5, 0.7, 0.8, 0.9])
    best, outcome = trained(trial())
    assert outcome.best_step == 16
    script(falling())
    up_to_there, _ = trained(trial(budget=16, evaluations=3))
    for a, b in zip(best.parameters(), up_to_there.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def fresh(monkeypatch):
    """Replace the criterion of a task on fresh sequences by given answers; returns the sets that were asked."""

    def scripted(answers):
        given, sets = iter(answers), []
        monkeypatch.setattr(Adding, "solved", lambda self, metrics: next(given) if sets else False)

        def looked(network, task, batch):
            sets.append(batch.inputs)
            return evaluate(network, task, batch)

        monkeypatch.setattr("runs.trial.evaluation.evaluate", looked)
        return sets

    return scripted


@pytest.mark.parametrize(
    ("confirmations", "meets", "answers", "solved_step", "sets"),
    [
        (0, [False, True], [], 5, 0),
        (1, [True], [True], 0, 1),
        (1, [False, True, True], [False, True], 11, 2),
        (2, [False, True, False, True], [True, False, True, True], 16, 4),
        (2, [False, True, True], [False, True, True], 11, 3),
        (1, [False] * 6 + [True], [True], 32, 1),
    ],
)
def test_a_trial_is_solved_at_the_first_look_that_all_fresh_sets_confirm(
    script, fresh, confirmations, meets, answers, solved_step, sets
):
    script(falling(), meets)
    asked = fresh(answers)
    outcome = run(trial(confirmations=confirmations))
    assert (outcome.status, outcome.solved_step, outcome.steps, outcome.score) == (
        "solved",
        solved_step,
        solved_step,
        1,
    )
    assert len(asked) == sets


def test_no_sequence_confirms_twice(script, fresh):
    script(falling(), [True] * 7)
    asked = fresh([False] * 7)
    assert run(trial(confirmations=1)).status == "finished"
    numbers = torch.cat([inputs[:, :, 0].T for inputs in asked])  # [B, T]
    assert len(numbers) == 7 * Adding.evaluation_size
    assert len(torch.unique(numbers, dim=0)) == len(numbers)


@pytest.mark.parametrize(("asked", "size"), [(16, 1000), (1024, 1024), (0, 1000)])
def test_a_fresh_set_is_as_large_as_the_criterion_or_the_validation_set_asks_for(asked, size):
    task, given = Adding(lag=5), trial(evaluation_sequences=asked)
    expected = streams(6)("confirmation")
    for found in (fresh_sets(task, given), fresh_sets(task, replace(given, seed=5))):
        assert torch.equal(next(found).inputs, task.batch(size, streams(6)("confirmation")).inputs)
    assert [torch.equal(next(found).inputs, task.batch(size, expected).inputs) for _ in range(2)] == [False, False]


def test_a_training_that_does_not_stop_when_solved_keeps_the_first_solution_and_the_score_of_its_loss(script, fresh):
    script(falling(), [False, True, True, False, True, True, True])
    asked = fresh([True])
    outcome = run(trial(confirmations=1, stop_when_solved=False))
    assert (outcome.status, outcome.solved_step, outcome.steps, len(asked)) == ("solved", 5, 32, 1)
    assert outcome.score == Adding(lag=5).score(outcome.test_loss) < 1


def test_a_solved_task_that_diverges_later_is_not_solved(script):
    script([*falling(3), math.inf], [False, True])
    outcome = run(trial(stop_when_solved=False))
    assert (outcome.status, outcome.steps, outcome.solved_step) == ("diverged", 16, None)


def hits(monkeypatch, right):
    """Make a task solved where all of its last four training sequences are right: by their numbers."""
    numbers = iter(range(10**6))

    def metrics(self, outputs, batch):
        size = outputs.shape[1]
        loss = float(self.loss(outputs, batch))
        if size >= 16:  # held-out
            return {"loss": loss, "right": 1.0}
        return {"loss": loss, "right": sum(next(numbers) in right for _ in range(size)) / size}

    monkeypatch.setattr(Adding, "evaluation_size", 4)
    monkeypatch.setattr(Adding, "metrics", metrics)
    monkeypatch.setattr(Adding, "solved", lambda self, metrics: metrics["right"] >= 1)


@pytest.mark.parametrize(
    ("batch_size", "right", "solved_step"),
    [(1, range(4), 4), (1, range(7, 99), 11), (1, [*range(3, 6), *range(7, 99)], 11), (3, range(4, 99), 4)],
)
def test_training_sequences_solve_a_task_at_the_very_update(monkeypatch, batch_size, right, solved_step):
    hits(monkeypatch, right)
    outcome = run(trial(criterion="training", batch_size=batch_size))
    assert (outcome.status, outcome.solved_step, outcome.steps) == ("solved", solved_step, solved_step)
    assert outcome.sequences == solved_step * batch_size
    assert outcome.curve_steps == (*(s for s in GRID if s < solved_step), solved_step)


def test_training_sequences_that_solve_do_not_stop_a_training_that_goes_on(monkeypatch):
    hits(monkeypatch, range(7, 99))
    outcome = run(trial(criterion="training", batch_size=1, stop_when_solved=False))
    assert (outcome.status, outcome.solved_step, outcome.curve_steps) == ("solved", 11, tuple(GRID))


def test_held_out_sequences_do_not_solve_where_training_sequences_decide(monkeypatch):
    hits(monkeypatch, ())
    assert run(trial(criterion="training", batch_size=1)).status == "finished"


def test_recent_metrics_are_those_of_the_fewest_last_batches_with_so_many_sequences():
    recent, found = Recent(5), []
    for size, value in [(2, 1.0), (2, 2.0), (2, 4.0), (3, math.nan), (1, 8.0), (1, 9.0), (3, 1.0), (2, 0.0), (9, 7.0)]:
        recent.add({"loss": value}, size)
        found.append(recent.means())
    assert found[:3] == [None, None, {"loss": 14 / 6}]
    assert [v["loss"] for v in found[7:]] == [3 / 5, 7.0]
    assert found[6] == {"loss": 20 / 5}


def test_recent_metrics_do_not_gather_rounding_errors():
    recent, generator = Recent(50), torch.Generator().manual_seed(2)
    values = (10 ** (30 * torch.rand(4000, generator=generator, dtype=torch.float64))).tolist()
    for value in [*values, *[0.1] * 100]:
        recent.add({"loss": value}, 1)
    assert recent.means()["loss"] == pytest.approx(0.1, rel=1e-12)


def test_what_is_not_solved_has_the_score_of_its_test_loss(script):
    script(falling())
    network, outcome = trained(trial())
    task = Adding(lag=5)
    test = evaluate(network, task, held_out(task, trial(), "test"))
    assert (outcome.status, outcome.test_loss, outcome.test_metrics) == ("finished", test["loss"], test)
    assert outcome.score == task.score(test["loss"])


@pytest.mark.parametrize(("bad", "steps"), [(0, 0), (1, 5), (4, 21)])
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


def test_the_curve_has_the_mean_training_loss_since_the_look_before(monkeypatch):
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


def test_every_look_is_reported_with_its_step_and_loss(script):
    script(falling())
    seen = []
    outcome = run(trial(), lambda step, loss: seen.append((step, loss)))
    assert seen == list(zip(GRID, falling(), strict=True))
    assert (outcome.curve_steps, outcome.curve_losses) == tuple(zip(*seen, strict=True))


def test_a_pruned_trial_ends_at_the_report_that_pruned_it(script):
    script(falling(), [False, False, True])

    def report(step, loss):
        if step == 11:
            raise Pruned

    outcome = run(trial(), report)
    assert (outcome.status, outcome.steps, outcome.best_step, outcome.curve_steps) == ("pruned", 11, 11, (0, 5, 11))


def test_a_trial_is_asked_before_every_update_whether_to_stop():
    asked = []
    run(trial(budget=4, evaluations=3), stopping=lambda: bool(asked.append(1)))
    assert len(asked) == 4
    with pytest.raises(Interrupted):
        run(trial(), stopping=lambda: bool(asked.append(1)) or len(asked) == 10)
    assert len(asked) == 10


def test_a_loss_that_is_infinite_on_the_other_sequences_is_a_divergence(script, monkeypatch):
    script(falling(), [False, True])
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


def test_a_summed_loss_has_the_gradient_of_the_sum_over_answers_and_the_curve_of_the_mean():
    given = replace(trial(optimiser="sgd", clip_norm=0.0, budget=2, evaluations=1, learning_rate=0.01, loss="sum"))
    given = replace(given, task={"_target_": "tasks.Copying", "label": "copying", "lag": 3, "length": 4, "symbols": 2})
    network, outcome = trained(given)
    plain, task = untrained(given)
    data, losses = batches(task, given), []
    for _ in range(2):
        batch = next(data)
        plain.zero_grad()
        answers = plain(batch)
        entropy = nn.functional.cross_entropy(answers.flatten(0, 1), batch.targets.flatten(), reduction="sum") / 3
        entropy.backward()
        losses.append(task.loss(answers, batch).item())
        with torch.no_grad():
            for p in plain.parameters():
                p -= 0.01 * p.grad
    assert outcome.best_step == 2
    for a, b in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert outcome.train_losses[1] == pytest.approx(sum(losses) / 2, rel=1e-5)


def of_set(count, **training):
    given = trial(training_sequences=7, **training)
    data = batches(Adding(lag=5), given)
    return [next(data) for _ in range(count)]


def test_an_epoch_uses_every_sequence_of_the_training_set_once_in_a_new_order():
    every = Adding(lag=5).batch(7, streams(1)("training data"))
    epochs = [of_set(6)[:3], of_set(6)[3:]]
    orders = []
    for epoch in epochs:
        assert [b.inputs.shape[1] for b in epoch] == [3, 3, 1]
        inputs, targets = (torch.cat([getattr(b, name) for b in epoch], dim=1) for name in ("inputs", "targets"))
        orders.append([int((every.inputs == inputs[:, k : k + 1]).all(-1).all(0).nonzero()) for k in range(7)])
        assert torch.equal(every.targets[:, orders[-1]], targets)
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(7))
    assert orders[0] != orders[1]


def test_noise_on_a_training_set_is_new_for_each_batch_and_leaves_its_order():
    clean, noisy = of_set(6), of_set(6, input_noise=0.25)
    noise = streams(1)("input noise")
    for one, other in zip(clean, noisy, strict=True):
        torch.testing.assert_close(other.inputs - one.inputs, 0.25 * torch.randn(one.inputs.shape, generator=noise))


def test_batches_of_a_training_set_end_with_their_longest_sequence():
    task = TemporalOrder(lag=20)
    data = batches(task, trial(training_sequences=9, batch_size=2))
    for batch in (next(data) for _ in range(4)):
        assert len(batch.inputs) == int(batch.lengths.max())
    assert next(data).lengths is None  # the last batch of the epoch is a single sequence


@pytest.mark.parametrize(
    ("epochs", "patience", "losses", "steps", "sequences"),
    [(4, 0, falling(), 12, 28), (4, 2, [3.0, 2.0, 2.5, 2.1, 1.0], 9, 21)],
)
def test_epochs_decide_the_updates_the_looks_and_patience(script, epochs, patience, losses, steps, sequences):
    script(losses)
    outcome = run(trial(training_sequences=7, epochs=epochs, patience=patience, budget=1))
    assert (outcome.steps, outcome.sequences) == (steps, sequences)
    assert outcome.curve_steps == tuple(range(0, steps + 1, 3))


def test_a_training_set_without_epochs_keeps_to_the_budget(script):
    script(falling())
    outcome = run(trial(training_sequences=7, budget=8, evaluations=2))
    assert (outcome.steps, outcome.sequences, outcome.curve_steps) == (8, 7 + 7 + 3 + 3, (0, 4, 8))


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
    setting = Setting(Vanilla(), task, Model(hidden_size=4))
    network = Reader().build(setting, GlorotOrthogonal(), streams(0))
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


@pytest.mark.parametrize(("stop", "best"), [(True, 16), (False, 5)])
def test_a_solution_that_ends_the_training_is_the_best_look_whatever_its_loss(script, stop, best):
    script([0.9, 0.1, 0.5, 0.4, 0.6, 0.7, 0.8], meets=(False, False, False, True))
    found = run(trial(stop_when_solved=stop))
    assert (found.solved_step, found.best_step) == (16, best)
