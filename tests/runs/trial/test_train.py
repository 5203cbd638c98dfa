import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from runs.networks.building import untrained
from runs.networks.network import Setting
from runs.networks.reader import Reader
from runs.trial.data import batches
from runs.trial.evaluation import Validation, evaluate, evaluation_grid
from runs.trial.faults import Interrupted, MachineFault, OutOfTime
from runs.trial.optimiser import Flat, Optimiser
from runs.trial.training import run
from runs.trial.trial import Model, Training, Trial
from tasks import Task
from tasks.synthetic.adding import Adding
from variants import Vanilla, streams
from variants.initialisation import GlorotOrthogonal

NODES = {
    "variant": {"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla"},
    "task": {"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 5},
    "initialisation": {"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
}


def trial(**changes):
    training = {"budget": 12, "evaluations": 4, "evaluation_sequences": 16, "batch_size": 3} | changes.pop(
        "training", {}
    )
    return Trial(**NODES | changes, model=Model(hidden_size=4), training=Training(**training), seed=1)


def no_seconds(outcome):
    return {k: v for k, v in outcome.as_dict().items() if k != "seconds"}


def test_the_same_trial_gives_the_same_bits():
    assert no_seconds(run(trial())) == no_seconds(run(trial()))


REGULARISED = [{"dropout": 0.5, "layers": 2}, {"recurrent_dropout": 0.5}, {"zoneout": 0.5}]


def regularised(seed, **options):
    return replace(trial(), model=Model(hidden_size=4, **options), seed=seed)


@pytest.mark.parametrize("options", REGULARISED, ids=lambda o: next(iter(o)))
def test_masks_are_those_of_the_trial_whatever_ran_before_it(options):
    alone = no_seconds(run(regularised(1, **options)))
    torch.rand(3)
    run(regularised(2, **options))
    assert no_seconds(run(regularised(1, **options))) == alone


@pytest.mark.parametrize("options", REGULARISED, ids=lambda o: next(iter(o)))
def test_masks_change_the_training_and_not_the_start(options):
    plain = run(regularised(1, layers=options.get("layers", 1)))
    masked = run(regularised(1, **options))
    assert masked.curve_losses[1:] != plain.curve_losses[1:]
    if "zoneout" not in options:  # whose expectation acts in an evaluation too
        assert masked.curve_losses[0] == plain.curve_losses[0]


@pytest.mark.parametrize("options", REGULARISED, ids=lambda o: next(iter(o)))
def test_masks_depend_on_the_seed_of_the_trial(options):
    masks = []
    for seed in (1, 2):
        network, _ = untrained(regularised(seed, **options))
        masks.append(torch.rand(5, generator=network.recurrent.generator))
    assert not torch.equal(*masks)


def test_a_trial_of_a_version_without_regularisers_is_read_with_all_of_them_off():
    values = trial().as_dict()
    for name in ("dropout", "recurrent_dropout", "zoneout", "layer_norm"):
        del values["model"][name]
    assert Trial.from_dict(values) == trial()


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

    import runs.networks.building as module

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
    outcome = run(trial(variant={"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla", "peepholes": ("q",)}))
    assert outcome.status == "failed"
    assert "'q'" in outcome.error


def test_a_trial_that_is_asked_to_stop_has_no_outcome():
    with pytest.raises(Interrupted):
        run(trial(), stopping=lambda: True)


def test_a_solved_trial_stops_at_the_look_that_solves_it(monkeypatch):
    monkeypatch.setattr(Adding, "solved", lambda self, metrics: True)
    outcome = run(trial(training={"confirmations": 2}))
    assert (outcome.status, outcome.solved_step, outcome.steps, outcome.score) == ("solved", 0, 0, 1.0)


def test_a_criterion_that_only_the_validation_set_meets_is_not_enough(monkeypatch):
    sizes, plain = [], Adding.metrics
    monkeypatch.setattr(
        Adding, "metrics", lambda self, outputs, batch: sizes.append(outputs.shape[1]) or plain(self, outputs, batch)
    )
    monkeypatch.setattr(Adding, "solved", lambda self, metrics: sizes[-1] == 16)
    assert run(trial()).status == "finished"
    assert sizes.count(Adding.evaluation_size) == 5  # at each of the five looks


def test_patience_stops_after_looks_without_improvement():
    outcome = run(trial(training={"learning_rate": 1e-30, "patience": 2, "evaluations": 12}))
    assert outcome.steps < 12


def test_the_best_step_is_that_of_the_lowest_point_of_the_curve():
    outcome = run(trial(training={"budget": 40, "learning_rate": 0.5}))
    at_best = outcome.curve_losses[outcome.curve_steps.index(outcome.best_step)]
    assert outcome.validation_loss == pytest.approx(min(outcome.curve_losses), rel=1e-6)
    assert at_best == min(outcome.curve_losses)


def test_the_validation_loss_is_that_of_all_sequences():
    few, every = (run(trial(training={"curve_sequences": n, "evaluation_sequences": 40})) for n in (8, 0))
    assert few.curve_losses[0] != every.curve_losses[0]
    assert every.validation_loss == pytest.approx(min(every.curve_losses), rel=1e-6)
    assert few.validation_loss not in few.curve_losses


@pytest.mark.parametrize(
    ("budget", "evaluations", "steps"),
    [
        (100, 5, [0, 20, 40, 60, 80, 100]),
        (100, 3, [0, 33, 67, 100]),
        (100, 1, [0, 100]),
        (4, 9, [0, 1, 2, 3, 4]),
        (1, 3, [0, 1]),
        (2000, 40, list(range(0, 2001, 50))),
    ],
)
def test_looks_are_evenly_spaced_up_to_the_budget(budget, evaluations, steps):
    assert evaluation_grid(Training(budget=budget, evaluations=evaluations)) == steps


def updates(training, gradients):
    """A vector after updates by the given gradients."""
    values, gradient = torch.tensor([1.0, -2.0, 3.0]), torch.zeros(3)
    optimiser = Optimiser(values, gradient, training)
    for g in gradients:
        gradient.copy_(g)
        optimiser.step()
    return values


GRADIENTS = torch.tensor([[0.5, -1.0, 2.0], [0.1, 0.3, -0.7], [-2.0, 0.0, 0.4]])


def reference(make):
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimiser = make([parameter])
    for g in GRADIENTS:
        parameter.grad = g.clone()
        optimiser.step()
    return parameter.detach()


def test_adam_is_that_of_torch():
    expected = reference(lambda parameters: torch.optim.Adam(parameters, lr=0.1))
    torch.testing.assert_close(updates(Training(learning_rate=0.1), GRADIENTS), expected)


def test_nesterov_is_that_of_torch_with_the_learning_rate_scaled_by_one_minus_momentum():
    expected = reference(lambda parameters: torch.optim.SGD(parameters, lr=0.025, momentum=0.75, nesterov=True))
    torch.testing.assert_close(
        updates(Training(optimiser="nesterov", learning_rate=0.1, momentum=0.75), GRADIENTS), expected
    )


@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_sgd_is_that_of_torch_without_momentum(momentum):
    expected = reference(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    torch.testing.assert_close(
        updates(Training(optimiser="sgd", learning_rate=0.1, momentum=momentum), GRADIENTS), expected
    )


def test_a_flattened_network_computes_and_learns_as_before():
    def network():
        cell, scheme = Vanilla(), GlorotOrthogonal()
        return Reader().build(Setting(cell, Adding(lag=5), Model(hidden_size=4, layers=2)), scheme, streams(0))

    batch, task = Adding(lag=5).batch(3, torch.Generator().manual_seed(0)), Adding(lag=5)
    plain, flat_network = network(), network()
    flat = Flat(flat_network)
    for module in (plain, flat_network):
        task.loss(module(batch), batch).backward()
    gradients = torch.cat([p.grad.flatten() for p in plain.parameters()])
    torch.testing.assert_close(flat.gradient, gradients)
    assert all(
        p.grad.untyped_storage().data_ptr() == flat.gradient.untyped_storage().data_ptr()
        for p in flat_network.parameters()
    )
    flat.values.zero_()
    assert not any(p.any() for p in flat_network.parameters())
    torch.testing.assert_close(flat_network(batch), torch.zeros(1, 3, 1))


@pytest.mark.parametrize(("largest", "expected"), [(10.0, 5.0), (2.0, 2.0)])
def test_a_gradient_is_clipped_to_the_largest_norm(largest, expected):
    flat = Flat(nn.Linear(1, 1))
    flat.gradient.copy_(torch.tensor([3.0, -4.0]))
    flat.clip(largest)
    assert float(flat.gradient.norm()) == pytest.approx(expected)


def test_clipping_does_not_hide_a_gradient_that_is_not_finite():
    flat = Flat(nn.Linear(1, 1))
    flat.gradient.copy_(torch.tensor([3.0, math.nan]))
    flat.clip(1.0)
    assert flat.gradient.isnan().all()


def test_training_batches_are_all_different():
    data = batches(Adding(lag=5), trial())
    seen = [next(data) for _ in range(40)]
    assert len({tuple(b.targets.flatten().tolist()) for b in seen}) == 40
    assert {tuple(b.inputs.shape) for b in seen} == {(5, 3, 2)}


class Right(nn.Module):
    """Answers right, but for the sequences whose numbers are given."""

    def __init__(self, batch, wrong):
        super().__init__()
        self.answers, self.asked = {}, 0
        for k in range(batch.inputs.shape[1]):
            self.answers[tuple(batch.inputs[:, k, 0].tolist())] = batch.targets[:, k] + (k in wrong)

    def forward(self, batch):
        self.asked += batch.inputs.shape[1]
        return torch.stack(
            [self.answers[tuple(batch.inputs[:, k, 0].tolist())] for k in range(batch.inputs.shape[1])], dim=1
        )


@pytest.mark.parametrize(
    ("wrong", "expected", "asked"), [((), (0.0, True), 20), ((7,), (0.0, False), 20), ((2,), (0.2, False), 5)]
)
def test_an_evaluation_asks_for_all_sequences_only_where_the_first_meet_the_criterion(wrong, expected, asked):
    task = Adding(lag=6)
    batch = task.batch(20, torch.Generator().manual_seed(0))
    network = Right(batch, wrong)
    loss, solved = Validation(task, batch, 5).evaluate(network)
    assert (pytest.approx(loss, abs=1e-6), solved, network.asked) == (*expected, asked)


def test_an_evaluation_that_need_not_know_of_the_criterion_uses_the_first_sequences_only():
    task = Adding(lag=6)
    batch = task.batch(20, torch.Generator().manual_seed(0))
    network = Right(batch, ())
    assert Validation(task, batch, 5).evaluate(network, criterion=False) == (0.0, False)
    assert network.asked == 5


def test_streams_of_different_purposes_differ():
    a, b = (torch.rand(5, generator=streams(0)(purpose)) for purpose in ("training data", "validation"))
    assert not torch.equal(a, b)


def test_validation_and_test_sets_do_not_depend_on_the_seed_of_the_trial(monkeypatch):
    held_out = []

    def spy(network, task, batch):
        held_out.append(batch.inputs)
        return evaluate(network, task, batch)

    monkeypatch.setattr("runs.trial.training.evaluate", spy)
    for seed in (1, 2):
        run(Trial(**NODES, model=Model(hidden_size=4), training=Training(budget=1, evaluation_sequences=8), seed=seed))
    validation, test, *again = held_out
    assert torch.equal(validation, again[0])
    assert torch.equal(test, again[1])
    assert not torch.equal(validation, test)


def wrong_from(draw, **parts):
    """`Adding.batch` with other parts from a certain draw on: 1 is the validation set, 2 to 4 are the training data, 5
    is the test set.
    """
    plain, drawn = Adding.batch, []

    def batch(self, size, generator):
        drawn.append(size)
        right = plain(self, size, generator)
        return (
            right
            if len(drawn) < draw
            else right._replace(**{n: change(getattr(right, n)) for n, change in parts.items()})
        )

    return batch


@pytest.mark.parametrize("draw", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"inputs": torch.Tensor.double}, "adding: inputs must be torch.float32, got torch.float64; use .float()"),
        ({"inputs": torch.Tensor.log}, "adding: inputs must be finite, got -inf at step 0 of sequence "),
        ({"reads": lambda v: v + 1}, "adding: reads must be steps of a sequence of 5, 0..4, got 5"),
        ({"targets": lambda v: v[..., 0]}, "adding: targets must be [K, B, O] = "),
    ],
    ids=["float64", "not finite", "reads", "targets"],
)
def test_a_trial_whose_data_break_the_contract_fails_with_one_line_at_any_draw(monkeypatch, draw, parts, message):
    monkeypatch.setattr(Adding, "batch", wrong_from(draw, **parts))
    outcome = run(trial(training={"budget": 30}))
    assert outcome.status == "failed"
    assert outcome.error.startswith(f"ValueError: {message}")
    assert "\n" not in outcome.error


def test_a_trial_whose_task_has_no_floor_fails_with_one_line(monkeypatch):
    monkeypatch.setattr(Adding, "__init__", lambda self, *, lag: setattr(self, "lag", lag))
    assert run(trial()).error.startswith(
        "ValueError: adding: floor, the loss of the best model without memory, must be an attribute"
    )


def test_a_trial_whose_metrics_are_no_plain_numbers_fails_with_one_line(monkeypatch):
    monkeypatch.setattr(Adding, "metrics", lambda self, outputs, batch: {"loss": self.loss(outputs, batch)})
    assert (
        run(trial()).error == "ValueError: adding: metrics must be plain numbers, got Tensor for 'loss'; use float(...)"
    )


def test_batches_may_have_another_number_of_steps_at_each_draw(monkeypatch):
    plain, lags = Adding.batch, iter(range(4, 99))
    monkeypatch.setattr(Adding, "batch", lambda self, size, generator: plain(Adding(lag=next(lags)), size, generator))
    assert run(trial()).status == "finished"


class Unusual(Vanilla):
    """A cell that the fused engine cannot run."""

    def step(self, a, s, p):
        return super().step(a, s, p)._replace(y=torch.special.gammaln(a.z))


def test_an_outcome_says_why_the_eager_engine_ran(monkeypatch):
    outcome = run(replace(trial(), variant={"_target_": f"{__name__}.Unusual", "label": "unusual"}))
    assert outcome.engine == "eager"
    assert "gammaln" in outcome.why_eager or "lgamma" in outcome.why_eager


def test_an_outcome_of_the_fused_engine_has_no_reason_to_be_eager():
    assert run(trial()).why_eager == ""


def failing(error, monkeypatch):
    """A trial in which this happens."""

    def fail(*arguments):
        raise error

    monkeypatch.setattr("runs.trial.training.untrained", fail)
    return trial()


def caused(error, cause):
    error.__cause__ = cause
    return error


FAULTS = [
    OSError(24, "Too many open files"),
    MemoryError("Unable to allocate 8 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes"
    ),
    ImportError("libfoo.so: cannot open shared object file: Too many open files"),
    caused(ValueError("my task"), OSError(28, "No space left on device")),
]


@pytest.mark.parametrize("error", FAULTS, ids=str)
def test_what_the_machine_lacks_is_a_fault_where_that_is_asked_for(monkeypatch, error):
    with pytest.raises(MachineFault, match=type(error).__name__):
        run(failing(error, monkeypatch), raise_faults=True)


@pytest.mark.parametrize("error", FAULTS, ids=str)
def test_what_the_machine_lacks_is_a_failed_outcome_else(monkeypatch, error):
    assert run(failing(error, monkeypatch)).status == "failed"


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("shapes differ"), ZeroDivisionError()], ids=str)
def test_what_is_wrong_with_a_trial_is_no_fault_of_the_machine(monkeypatch, error):
    assert run(failing(error, monkeypatch), raise_faults=True).status == "failed"


def test_memory_that_torch_cannot_have_is_a_fault_of_the_machine(monkeypatch):
    try:
        torch.empty(2**60)
    except RuntimeError as error:
        with pytest.raises(MachineFault):
            run(failing(error, monkeypatch), raise_faults=True)


def test_a_trial_that_is_out_of_time_failed_for_that_reason():
    def stopping():
        raise OutOfTime("time limit of 3 s")

    outcome = run(trial(), stopping=stopping, raise_faults=True)
    assert (outcome.status, outcome.error) == ("failed", "time limit of 3 s")
