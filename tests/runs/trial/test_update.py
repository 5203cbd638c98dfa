"""Updates in compiled code against their specification: the eager engine, `Task.loss` and `torch.optim` in float64."""

import copy
import itertools
import math
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from runs.networks.readout import Network
from runs.trial.optimiser import Flat
from runs.trial.trial import Model, Training
from runs.trial.update import Compiled, update_of
from tasks import Batch, Task
from tests.variants.cases import REGISTERED, fitting
from variants import Cell, Recurrent, streams
from variants.engine.cpu.optimise import Finish
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


def network_of(cell: Cell, task: Task, least: int, **options: Any) -> Network:
    """A network with random parameters, which are not small."""
    options["layers"] = max(options.get("layers", 1), cell.min_layers)
    size = fitting(cell, least)
    network = Network(cell, task, Model(hidden_size=size, **options), GlorotOrthogonal(), streams(0))
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


def named(network: Network) -> dict[str, nn.Parameter]:
    return dict(network.named_parameters())


def by_compiled_code(network: Network, task: Task, training: Training, batch: Batch) -> Updated:
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


def by_specification(network: Network, task: Task, training: Training, batch: Batch) -> tuple[float, dict[str, Tensor]]:
    """Return loss and gradients of a network in float64 on the eager engine."""
    assert network.recurrent.engine == "eager"
    loss = task.loss(network(doubled(batch)), doubled(batch))
    (loss * len(batch.reads) if training.loss == "sum" else loss).backward()
    return loss.item(), {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named(network).items()}


def doubled(batch: Batch) -> Batch:
    return Batch(*(v.double() if v is not None and v.is_floating_point() else v for v in batch))


def stepped(network: Network, gradients: dict[str, Tensor], training: Training) -> dict[str, Tensor]:
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
    assert all(g.any() for n, g in gradients.items() if n.startswith("readout"))
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
