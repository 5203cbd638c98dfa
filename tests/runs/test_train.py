import math

import pytest
import torch
from torch import nn

from runs.train import Interrupted, evaluation_grid, make_optimiser, run
from runs.trial import Model, Training, Trial
from tasks import Task
from tasks.adding import Adding
from variants import streams

NODES = {
    "variant": {"_target_": "variants.lstm.Vanilla", "label": "vanilla"},
    "task": {"_target_": "tasks.adding.Adding", "label": "adding", "lag": 5},
    "initialisation": {"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
}


def trial(**changes):
    training = {"budget": 12, "evaluations": 4, "evaluation_sequences": 16, "batch_size": 3} | changes.pop("training", {})
    return Trial(**NODES | changes, model=Model(hidden_size=4), training=Training(**training), seed=1)


def no_seconds(outcome):
    return {k: v for k, v in outcome.as_dict().items() if k != "seconds"}


def test_the_same_trial_gives_the_same_bits():
    assert no_seconds(run(trial())) == no_seconds(run(trial()))


def test_a_trial_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    run(trial())
    assert torch.equal(before, torch.get_rng_state())


def test_input_noise_does_not_shift_the_training_data():
    drawn = {}

    class Spy(Adding):
        def batch(self, size, generator):
            batch = super().batch(size, generator)
            drawn.setdefault(noise, []).append(batch.targets)
            return batch

    import runs.train as module

    original = module.construct
    module.construct = lambda node, kind: Spy(lag=5) if kind is Task else original(node, kind)
    try:
        for noise in (0.0, 0.5):
            run(trial(training={"input_noise": noise}))
    finally:
        module.construct = original
    assert all(torch.equal(a, b) for a, b in zip(drawn[0.0], drawn[0.5], strict=True))


def test_training_lowers_the_loss():
    outcome = run(trial(training={"budget": 60, "learning_rate": 0.02, "batch_size": 16}))
    assert outcome.curve_losses[-1] < outcome.curve_losses[0]


def test_a_divergence_is_recorded_with_the_loss_before_it():
    outcome = run(trial(training={"optimiser": "nesterov", "learning_rate": 1e30, "clip_norm": 0.0, "momentum": 0.0}))
    assert outcome.status == "diverged"
    assert math.isfinite(outcome.validation_loss)
    assert outcome.solved_step is None


def test_an_error_becomes_a_failed_outcome_that_names_it():
    outcome = run(trial(variant={"_target_": "variants.lstm.Vanilla", "label": "vanilla", "peepholes": ("q",)}))
    assert outcome.status == "failed"
    assert "'q'" in outcome.error


def test_a_trial_that_is_asked_to_stop_has_no_outcome():
    with pytest.raises(Interrupted):
        run(trial(), stopping=lambda: True)


def test_a_solved_trial_stops_at_the_confirming_evaluation(monkeypatch):
    monkeypatch.setattr(Adding, "solved", lambda self, metrics: True)
    outcome = run(trial(training={"confirmations": 2}))
    assert (outcome.status, outcome.solved_step, outcome.steps, outcome.score) == ("solved", 0, 1, 1.0)


def test_a_criterion_met_once_is_not_enough(monkeypatch):
    answers = iter([True, False, True, False, True, False])
    monkeypatch.setattr(Adding, "solved", lambda self, metrics: next(answers))
    assert run(trial(training={"confirmations": 2})).status == "finished"


def test_patience_stops_after_evaluations_without_improvement():
    outcome = run(trial(training={"learning_rate": 1e-30, "patience": 2, "evaluations": 12}))
    assert outcome.steps < 12


def test_the_test_loss_is_that_of_the_best_validation():
    outcome = run(trial(training={"budget": 40, "learning_rate": 0.5}))
    at_best = outcome.curve_losses[outcome.curve_steps.index(outcome.best_step)]
    assert outcome.validation_loss == min(outcome.curve_losses) == at_best


def test_the_evaluation_grid_starts_at_zero_and_ends_at_the_budget():
    grid = evaluation_grid(Training(budget=100, evaluations=10))
    assert grid[0] == 0
    assert grid[-1] == 100
    assert grid == sorted(set(grid))


def test_the_learning_rate_of_nesterov_is_scaled_by_one_minus_momentum():
    optimiser = make_optimiser(nn.Linear(2, 1), Training(optimiser="nesterov", learning_rate=0.1, momentum=0.75))
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.025)


def test_streams_of_different_purposes_differ():
    a, b = (torch.rand(5, generator=streams(0)(purpose)) for purpose in ("training data", "validation"))
    assert not torch.equal(a, b)


def test_validation_and_test_sets_do_not_depend_on_the_seed_of_the_trial():
    first, second = (
        run(Trial(**NODES, model=Model(hidden_size=4), training=Training(budget=1, evaluation_sequences=8), seed=s)) for s in (1, 1)
    )
    assert first.curve_losses[0] == second.curve_losses[0]
