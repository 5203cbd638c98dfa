"""Updates in compiled code against their specification: the eager engine, `Task.loss` and `torch.optim` in float64."""

import copy
import functools
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from runs.networks.network import Setting
from runs.networks.reader import Reader, ReaderModule
from runs.trial.evaluation import Evaluator
from runs.trial.optimiser import Flat
from runs.trial.training import run, trained
from runs.trial.trial import Model, Outcome, Training, Trial
from runs.trial.update import MOST_SIZES, Autograd, Compiled, Update, counted, update_of, why_autograd
from tasks import Adding, Batch, DataTask, Task
from tasks.task import Regression
from tests.tasks.samples import WEIGHTED, Numbers
from tests.variants.cases import REGISTERED, fitting
from variants import Cell, streams
from variants.engine.cpu.optimise import Finish
from variants.engine.fused import NARROW
from variants.initialisation import GlorotOrthogonal

B = 3
OPTIMISERS, HIDDEN, CLIP = ("adam", "nesterov", "sgd"), (1, 7, 8, 9, 31, 33), (0.0, 0.01)


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


class Case(NamedTuple):
    """A task, and the layers that learn it."""

    task: Task
    layers: dict[str, Any]


def task_of(name: str, **knobs: Any) -> Task:
    return Task.registry[name](**knobs)


CASES = {
    "one step read": Case(task_of("adding", lag=7), {}),
    "all steps read": Case(task_of("copying", lag=3, length=2, symbols=4), {}),
    "lengths": Case(task_of("temporal_order", lag=10), {}),
    "two layers": Case(task_of("copying", lag=3, length=2, symbols=4), {"layers": 2}),
    "two directions": Case(task_of("copying", lag=3, length=2, symbols=4), {"bidirectional": True}),
    "two layers in two directions with lengths": Case(
        task_of("temporal_order", lag=10), {"layers": 2, "bidirectional": True}
    ),
}


def network_of(cell: Cell, task: Task, least: int, **options: Any) -> ReaderModule:
    """A network with random parameters, which are not small."""
    options["layers"] = max(options.get("layers", 1), cell.min_layers)
    size = fitting(cell, least)
    setting = Setting(cell, task, Model(hidden_size=size, **options))
    network: ReaderModule = Reader().build(setting, GlorotOrthogonal(), streams(0))
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, min(0.5, size**-0.5), generator=source)
    return network


class Updated(NamedTuple):
    """What an update gives: the loss, and by parameter the gradient before it was clipped, and the new value."""

    loss: float
    gradients: dict[str, Tensor]
    values: dict[str, Tensor]


def named(network: ReaderModule) -> dict[str, nn.Parameter]:
    return dict(network.named_parameters())


def by_compiled_code(network: ReaderModule, task: Task, training: Training, batch: Batch) -> Updated:
    """Make one update in compiled code."""
    gradients: dict[str, Tensor] = {}

    class Seen(Finish):
        def step(self) -> None:
            gradients.update({n: p.grad.clone() for n, p in named(network).items()})
            super().step()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runs.trial.update.Finish", Seen)
        update = update_of(network, task, training, Flat(network))
    assert update.way == "compiled"
    loss = update.loss(batch)
    update.step()
    return Updated(loss, gradients, {n: p.detach().clone() for n, p in named(network).items()})


def by_specification(
    network: ReaderModule, task: Task, training: Training, batch: Batch
) -> tuple[float, dict[str, Tensor]]:
    """Return loss and gradients of a network in float64 on the eager engine."""
    assert network.recurrent.engine == "eager"
    loss = task.loss(network(doubled(batch)), doubled(batch))
    (loss * counted(batch) / batch.size if training.loss == "sum" else loss).backward()
    return loss.item(), {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named(network).items()}


def doubled(batch: Batch) -> Batch:
    return Batch(*(v.double() if v is not None and v.is_floating_point() else v for v in batch))


def stepped(network: ReaderModule, gradients: dict[str, Tensor], training: Training) -> dict[str, Tensor]:
    """Return the parameters of a network after a step of torch's own optimiser, clipped by torch, in float64."""
    parameters = {n: p.detach().clone().double().requires_grad_() for n, p in named(network).items()}
    for n, p in parameters.items():
        p.grad = gradients[n].double()
    rate, momentum, every = training.learning_rate, training.momentum, list(parameters.values())
    if training.clip_norm > 0:
        nn.utils.clip_grad_norm_(every, training.clip_norm)
    optimiser: torch.optim.Optimizer
    if training.optimiser == "adam":
        optimiser = torch.optim.Adam(every, lr=rate)
    elif training.optimiser == "nesterov":
        optimiser = torch.optim.SGD(every, lr=rate * (1 - momentum), momentum=momentum, nesterov=True)
    else:
        optimiser = torch.optim.SGD(every, lr=rate)
    optimiser.step()
    return {n: p.detach() for n, p in parameters.items()}


def check_close(ours: dict[str, Tensor], right: dict[str, Tensor], absolute: float) -> None:
    assert ours.keys() == right.keys()
    for name, expected in right.items():
        error, size = float((ours[name] - expected).abs().max()), float(expected.abs().max())
        assert error <= 1e-5 * size + absolute, f"{name} differs by {error:.2g} of {size:.2g}"


def check_update(cell: Cell, task: Task, training: Training, least: int, **options: Any) -> None:
    """Check loss, gradients and new values of one update."""
    batch = task.batch(B, torch.Generator().manual_seed(0))
    ours, right = (network_of(cell, task, least, **options, engine=engine) for engine in ("auto", "eager"))
    start = copy.deepcopy(ours)
    found = by_compiled_code(ours, task, training, batch)
    loss, gradients = by_specification(right.double(), task, training, batch)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    alive = bool(
        right.recurrent(batch.inputs.double(), lengths=batch.lengths)[0].any()
    )  # a rectified unit may be silent
    assert (bool(gradients["readout.weight"].any()), bool(gradients["readout.bias"].any())) == (alive, True)
    check_close(found.gradients, gradients, 1e-7)
    # From the gradients found, as the first step of Adam makes a whole step of what is noise in a gradient near zero.
    check_close(found.values, stepped(start, found.gradients, training), 1e-7)


class Point(NamedTuple):
    """One update of the design."""

    cell: str
    case: str
    hidden: int
    optimiser: str
    clip_norm: float


def design() -> list[Point]:
    """Every cell with every case, and of all other values every pair."""
    points = []
    for (a, cell), (b, case) in itertools.product(enumerate(REGISTERED), enumerate(CASES)):
        optimiser, clip = OPTIMISERS[(a // 6 + b) % 3], CLIP[(a // 3 + b) % 2]
        points.append(Point(cell, case, HIDDEN[(a + b) % 6], optimiser, clip))
    return points


def test_every_pair_of_values_appears():
    for one, other in itertools.combinations(range(len(Point._fields)), 2):
        values = [len({p[k] for p in design()}) for k in (one, other)]
        assert len({(p[one], p[other]) for p in design()}) == math.prod(values)


@pytest.mark.parametrize("point", design(), ids=lambda p: "-".join(map(str, p)))
def test_an_update_is_that_of_the_specification(point: Point):
    task, layers = CASES[point.case]
    training = Training(optimiser=point.optimiser, clip_norm=point.clip_norm, learning_rate=0.1)
    check_update(REGISTERED[point.cell](), task, training, point.hidden, **layers)


COPYING, LENGTHS = CASES["all steps read"].task, CASES["lengths"].task
EVERY_MASK = {"dropout": 0.4, "recurrent_dropout": 0.3, "zoneout": 0.2, "layers": 2}
SPECIAL = {
    "dropout": ("vanilla", COPYING, {"dropout": 0.5, "layers": 2}, {}),
    "recurrent dropout": ("full_gate_recurrence", COPYING, {"recurrent_dropout": 0.5, "layers": 2}, {}),
    "recurrent dropout of computed operands": ("mut3", COPYING, {"recurrent_dropout": 0.5}, {}),
    "zoneout": ("peephole", COPYING, {"zoneout": {"c": 0.5, "y": 0.1}}, {}),
    "every mask": ("gru", LENGTHS, {**EVERY_MASK, "bidirectional": True}, {}),
    "every mask with cells above": ("depth_gated", COPYING, EVERY_MASK, {}),
    "every mask with a projection": ("grid", LENGTHS, EVERY_MASK, {}),
    "sum": ("memory_blocks", COPYING, {}, {"loss": "sum"}),
    "logistic numbers": ("lstm_1997", task_of("adding_1997", lag=20, logistic=True), {}, {}),
    "logistic classes": ("memory_blocks", task_of("temporal_order", lag=10, logistic=True), {}, {"loss": "sum"}),
    "shared weights": ("grid", COPYING, {"layers": 3}, {}),
    "a mask of R": ("clockwork", COPYING, {"layers": 2, "bidirectional": True}, {}),
}


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("task", WEIGHTED.values(), ids=WEIGHTED)
def test_an_update_with_weights_of_answers_is_that_of_the_specification(task: Task, loss: str):
    check_update(REGISTERED["vanilla"](), task, Training(loss=loss, learning_rate=0.01), 7)


@pytest.mark.parametrize("special", SPECIAL)
def test_an_update_is_that_of_the_specification_with(special: str):
    name, task, options, training = SPECIAL[special]
    cell = REGISTERED[name](tied=True) if special == "shared weights" else REGISTERED[name]()
    check_update(cell, task, Training(optimiser="sgd", learning_rate=0.1, clip_norm=0.0, **training), 5, **options)


# Both ways
# --------------------------------------------------------------------------------------------------------------------


def both_ways(task: Task, cell: Cell, training: Training, **options: Any) -> tuple[Update, Update]:
    """Return the updates of the same network in compiled code and by autograd."""
    networks = [network_of(cell, task, 8, **options) for _ in range(2)]
    compiled = update_of(networks[0], task, training, Flat(networks[0]))
    assert isinstance(compiled, Compiled)
    return compiled, Autograd(networks[1], task, training, Flat(networks[1]), "")


def losses(update: Update, batches: Iterable[Batch]) -> list[float]:
    """Return the losses of some updates, up to the first one that is not finite."""
    found = []
    for batch in batches:
        found.append(update.loss(batch))
        if not math.isfinite(found[-1]):
            break
        update.step()
    update.release()
    return found


def check_both_ways(updates: tuple[Update, Update], batches: list[Batch]) -> None:
    ours, right = (losses(update, batches) for update in updates)
    assert len(ours) == len(right)
    for one, other in zip(ours, right, strict=True):
        assert math.isfinite(one) == math.isfinite(other)
        assert not math.isfinite(other) or abs(one - other) <= 1e-6 * max(1.0, abs(other))


def drawn(task: Task, sizes: Iterable[int]) -> list[Batch]:
    source = torch.Generator().manual_seed(0)
    return [task.batch(size, source) for size in sizes]


LEAST = {"adding_1997": 20, "multiplication": 20, "xml": 15}
TASKS = {name: cls(lag=LEAST.get(name, 10)) for name, cls in Task.registry.items() if not issubclass(cls, DataTask)}
TASKS |= {
    f"{name} logistic": Task.registry[name](lag=LEAST.get(name, 10), logistic=True)
    for name in ("adding_1997", "multiplication", "temporal_order", "temporal_order_3")
}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_both_ways_give_the_losses_of_the_first_updates(task: Task, optimiser: str):
    updates = both_ways(task, REGISTERED["vanilla"](), Training(optimiser=optimiser, learning_rate=0.01))
    check_both_ways(updates, drawn(task, [16] * 20))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_both_ways_give_the_same_answers(task: Task):
    batch = drawn(task, [B])[0]
    updates = both_ways(task, REGISTERED["vanilla"](), Training(), bidirectional=True)
    for update in updates:
        update.loss(batch)
    ours, right = (update.answers() for update in updates)
    assert ours.shape == right.shape
    torch.testing.assert_close(ours, right, rtol=1e-5, atol=1e-6)


def test_both_ways_agree_for_more_sizes_of_a_batch_than_are_kept():
    sizes = [*range(1, MOST_SIZES + 3)] * 2
    for task in (COPYING, LENGTHS):
        check_both_ways(both_ways(task, REGISTERED["gru"](), Training(), layers=2), drawn(task, sizes))


def test_both_ways_agree_for_single_sequences_of_any_length():
    batches = [Numbers(lag=lag).batch(1, torch.Generator().manual_seed(lag)) for lag in (3, 70, 5, 1, 140, 9, 2, 70)]
    ended = [batch._replace(lengths=None) for batch in batches]
    for given in (batches, ended):
        check_both_ways(both_ways(Numbers(), REGISTERED["vanilla"](), Training()), given)


def test_both_ways_agree_for_sequences_that_grow_and_shrink():
    lags = (3, 40, 5, 90, 3, 40)
    batches = [task_of("copying", lag=lag, length=2, symbols=4).batch(B, torch.Generator()) for lag in lags]
    check_both_ways(both_ways(COPYING, REGISTERED["vanilla"](), Training(), bidirectional=True), batches)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["inputs", "targets", "recurrent", "readout"])
@pytest.mark.parametrize("cell", ["vanilla", "irnn", "peephole"])
def test_both_ways_meet_what_is_not_finite_at_the_same_update(cell: str, where: str, value: float):
    task = CASES["one step read"].task
    updates = both_ways(task, REGISTERED[cell](), Training(learning_rate=0.01))
    batches = drawn(task, [B] * 5)
    if where in ("inputs", "targets"):
        getattr(batches[2], where)[0, 1, 0] = value
        check_both_ways(updates, batches)
    else:
        for update in updates:
            network = update._network  # type: ignore[attr-defined]
            with torch.no_grad():
                next(getattr(network, where).parameters()).view(-1)[0] = value
        check_both_ways(updates, batches)


class Wide(Regression):
    """A task with more inputs than kernels copy."""

    lag, input_size, output_size, floor, solved_loss = 5, NARROW + 8, 2, 1.0, 0.1

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        inputs = torch.randn(9, size, self.input_size, generator=generator)
        lengths = torch.randint(3, 8, (size,), generator=generator)
        return Batch(inputs, inputs[:1, :, :2], (lengths - 1).view(1, size), lengths)


@pytest.mark.parametrize("value", [1.0, 3.4e38, math.inf, math.nan])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}], ids=["one", "stack"])
@pytest.mark.parametrize("task", [LENGTHS, Wide()], ids=["narrow", "wide"])
@pytest.mark.parametrize("cell", ["vanilla", "irnn", "grid"])
def test_what_lies_behind_a_sequence_changes_nothing(cell: str, task: Task, options: dict[str, Any], value: float):
    batch = drawn(task, [B])[0]
    batch = batch._replace(inputs=torch.cat([batch.inputs, torch.zeros(4, B, task.input_size)]))
    padding = torch.arange(len(batch.inputs)).unsqueeze(-1) >= batch.lengths
    found = [
        by_compiled_code(
            network_of(REGISTERED[cell](), task, 5, **options),
            task,
            Training(),
            batch._replace(inputs=batch.inputs.masked_fill(padding.unsqueeze(-1), filled)),
        )
        for filled in (0.0, value)
    ]
    check_same_bits(*found)


def check_same_bits(one: Updated, other: Updated) -> None:
    assert one.loss == other.loss
    for name in one.gradients:
        assert torch.equal(one.gradients[name], other.gradients[name]), name
        assert torch.equal(one.values[name], other.values[name]), name


def negated(tensor: Tensor) -> Tensor:
    """Return the same numbers as torch keeps a part of a conjugate: the others, to be negated when they are read."""
    return torch._neg_view(-tensor)


VIEWS = {
    "steps last": lambda v: v.transpose(0, 1).contiguous().transpose(0, 1),
    "numbers apart": lambda v: v.repeat_interleave(2, -1)[..., ::2],
    "in a wider tensor": lambda v: torch.cat([v, v, v], -1)[..., v.shape[-1] : 2 * v.shape[-1]],
    "in a larger batch": lambda v: torch.cat([v, v, v], 1)[:, B : 2 * B],
    "negated": negated,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_a_batch_may_be_any_view(part: str, view: str):
    task = CASES["one step read"].task
    batch = drawn(task, [B])[0]
    networks = [network_of(REGISTERED["vanilla"](), task, 5) for _ in range(2)]
    viewed = batch._replace(**{part: VIEWS[view](getattr(batch, part))})
    assert torch.equal(getattr(viewed, part), getattr(batch, part))
    check_same_bits(*(by_compiled_code(n, task, Training(), b) for n, b in zip(networks, (batch, viewed), strict=True)))


def test_the_order_of_long_and_short_sequences_changes_no_bit():
    """Buffers are made for the longest sequences so far; those of the shorter one, then, are longer than it needs."""
    lags, training = (3, 70, 9), Training(optimiser="sgd", learning_rate=1e-30, clip_norm=0.0)
    found: dict[int, list[Tensor]] = {lag: [] for lag in lags}
    for order in itertools.permutations(lags):
        network = network_of(REGISTERED["peephole"](), COPYING, 5, layers=2, bidirectional=True)
        start = torch.cat([p.detach().flatten() for p in network.parameters()])
        flat, gradients = Flat(network), []

        class Seen(Finish):
            def step(self) -> None:
                gradients.append(flat.gradient.clone())  # noqa: B023
                super().step()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("runs.trial.update.Finish", Seen)
            update = update_of(network, COPYING, training, flat)
        for lag in order:
            update.loss(task_of("copying", lag=lag, length=2, symbols=4).batch(B, torch.Generator().manual_seed(lag)))
            update.step()
            found[lag].append(gradients[-1])
        assert torch.equal(flat.values, start)
    for same in found.values():
        assert len(same) == 6
        assert all(torch.equal(g, same[0]) for g in same)


# Which way
# --------------------------------------------------------------------------------------------------------------------


class Doubled(Adding):
    """A task with a loss of its own."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return 2.0 * super().loss(outputs, batch)


class Around(Adding):
    """A task with a loss of its own, whose function looks like that of another task."""

    @functools.wraps(Adding.loss)
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return 2.0 * super().loss(outputs, batch)


class Other(ReaderModule):
    """A network of its own."""

    def answers(self, outputs: Tensor) -> Tensor:
        return 2.0 * super().answers(outputs)


def trial(**changes: Any) -> Trial:
    nodes = {
        "variant": {"_target_": "variants.Vanilla", "label": "vanilla"},
        "task": {"_target_": "tasks.Adding", "label": "adding", "lag": 7},
        "initialisation": {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
    }
    training = {"budget": 12, "evaluations": 4, "evaluation_sequences": 16, "batch_size": 3}
    return Trial(
        **nodes | {k: v for k, v in changes.items() if k in nodes},
        model=Model(**{"hidden_size": 5} | changes.get("model", {})),
        training=Training(**training | changes.get("training", {})),
        seed=changes.get("seed", 1),
    )


def test_an_outcome_says_that_its_updates_were_compiled():
    outcome = run(trial())
    assert (outcome.status, outcome.update, outcome.why_autograd) == ("finished", "compiled", "")


WAYS = {
    "loss": ({"task": {"_target_": f"{__name__}.Doubled", "lag": 7}}, "Doubled has a loss of its own"),
    "wrapped loss": ({"task": {"_target_": f"{__name__}.Around", "lag": 7}}, "Around has a loss of its own"),
    "control": ({"variant": {"_target_": "variants.NativeLSTM"}}, "the layers are a module of torch"),
    "eager": ({"model": {"engine": "eager"}}, "engine=eager"),
    "layer_norm": ({"model": {"layer_norm": True}}, "layer normalisation"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_outcome_says_why_its_updates_went_by_autograd(way: str):
    changes, why = WAYS[way]
    outcome = run(trial(**changes))
    assert (outcome.status, outcome.update, outcome.error) == ("finished", "autograd", "")
    assert why in outcome.why_autograd


def test_a_network_of_ones_own_is_trained_by_autograd():
    task = CASES["one step read"].task
    network = Other(
        Reader(), Setting(REGISTERED["vanilla"](), task, Model(hidden_size=5)), GlorotOrthogonal(), streams(0)
    )
    Flat(network)
    assert why_autograd(network, task) == "the network is a Other with a forward of its own"


HIDDEN_WORK = {
    "a frozen R": lambda n: n.recurrent.parts[0]["R_z"].requires_grad_(False),
    "a frozen projection": lambda n: n.recurrent.project["P"].requires_grad_(False),
    "a frozen readout": lambda n: n.readout.weight.requires_grad_(False),
    "a hook on a bias": lambda n: n.readout.bias.register_hook(lambda g: 2.0 * g),
    "a later hook on a bias": lambda n: n.readout.bias.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(2.0)),
    "a hook on the network": lambda n: n.register_forward_hook(lambda m, given, outputs: 2.0 * outputs),
    "a hook on the readout": lambda n: n.readout.register_forward_pre_hook(lambda m, given: None),
}


@pytest.mark.parametrize("hidden", HIDDEN_WORK)
def test_what_only_autograd_respects_is_trained_by_autograd(hidden: str):
    cell = REGISTERED["grid" if "projection" in hidden else "vanilla"]()
    network, task = network_of(cell, COPYING, 5), COPYING
    Flat(network)
    assert why_autograd(network, task) == ""
    HIDDEN_WORK[hidden](network)
    assert "a parameter is frozen" in why_autograd(network, task) or "has a hook" in why_autograd(network, task)


@pytest.mark.parametrize("part", ["network", "recurrent", "readout"])
def test_a_network_that_is_changed_from_outside_is_trained_by_autograd(part: str):
    network = network_of(REGISTERED["vanilla"](), COPYING, 5)
    Flat(network)
    if part == "readout":
        nn.utils.parametrizations.weight_norm(network.readout)
    else:
        module = network if part == "network" else network.recurrent
        module.forward = functools.partial(type(module).forward, module)  # type: ignore[method-assign]
    assert why_autograd(network, COPYING)


def test_a_look_calls_a_network_that_has_a_hook():
    network, batch = network_of(REGISTERED["vanilla"](), COPYING, 5), drawn(COPYING, [B])[0]
    Flat(network)
    plain = Evaluator(network).answers(batch)
    network.register_forward_hook(lambda module, given, outputs: 2.0 * outputs)
    assert torch.equal(Evaluator(network).answers(batch), 2.0 * plain)


def test_a_task_whose_loss_is_replaced_during_a_training_is_refused():
    class Switched(Adding):
        pass

    task = Switched(lag=5)
    update, _ = both_ways(task, REGISTERED["vanilla"](), Training())
    batch = drawn(task, [B])[0]
    assert math.isfinite(update.loss(batch))
    task.loss = lambda outputs, batch: outputs.sum()  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"^Switched: loss must stay the same during a training"):
        update.loss(batch)


@pytest.mark.parametrize("part", ["W_z", "weight"])
def test_a_frozen_parameter_stays_as_it_is(part: str):
    network = network_of(REGISTERED["vanilla"](), COPYING, 5)
    frozen = network.recurrent.parts[0]["W_z"] if part == "W_z" else network.readout.weight
    flat = Flat(network)
    frozen.requires_grad_(False)
    before = flat.values.clone(), frozen.clone()
    losses(update_of(network, COPYING, Training(), flat), drawn(COPYING, [B] * 3))
    assert not torch.equal(flat.values, before[0])
    assert torch.equal(frozen, before[1])


# Bits
# --------------------------------------------------------------------------------------------------------------------

SAME = {
    "adding": trial(),
    "copying": trial(
        task={"_target_": "tasks.Copying", "lag": 3, "length": 2},
        variant={"_target_": "variants.Peephole"},
        model={"layers": 2, "bidirectional": True, "dropout": 0.3},
    ),
    "epochs": trial(
        task={"_target_": "tasks.TemporalOrder", "lag": 10},
        variant={"_target_": "variants.GRU"},
        training={"training_sequences": 20, "epochs": 3, "batch_size": 6, "optimiser": "nesterov"},
    ),
}


def bits(given: Trial) -> str:
    """Return all that a trial leaves, as text that differs where a bit does."""
    network, outcome = trained(given)
    assert network is not None
    assert outcome.update == "compiled"
    values = {k: v for k, v in outcome.as_dict().items() if k != "seconds"}
    return repr((values, [p.tolist() for p in network.parameters()]))


def outcome_of(given: Trial) -> Outcome:
    return trained(given)[1]


@pytest.mark.parametrize("which", SAME)
def test_a_trial_gives_the_same_bits_again_in_a_thread_and_after_others(which: str):
    first = bits(SAME[which])
    for other in SAME:
        outcome_of(SAME[other])
    outcome_of(trial(model={"hidden_size": 9}, training={"batch_size": 5}))
    assert bits(SAME[which]) == first
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(bits, [SAME[which]] * 2)) == [first] * 2


@pytest.mark.slow
def test_trials_give_the_same_bits_in_processes_of_one_and_two_threads():
    code = f"from {__name__} import SAME, bits\nfor name in reversed(SAME): print(bits(SAME[name]))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": str(count), "PYTHONPATH": os.getcwd()},
            stdout=subprocess.PIPE,
            text=True,
        )
        for count in (1, 2)
    ]
    found = [process.communicate()[0] for process in processes]
    assert found == ["".join(f"{bits(SAME[name])}\n" for name in reversed(SAME))] * 2


def test_an_epoch_with_a_smaller_last_batch_is_trained_as_by_autograd():
    task, training = LENGTHS, Training(learning_rate=0.01)
    check_both_ways(both_ways(task, REGISTERED["gru"](), training), drawn(task, [6, 6, 6, 2] * 5))
