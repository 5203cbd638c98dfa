"""Tests of the numbers of a walk: they are those of the engine that defines a cell."""

import pytest
import torch

from analysis.walk.interpreter import numbers, why_not
from runs.networks.network import Setting
from runs.networks.reader import Reader
from runs.trial.trial import Model
from tasks import Adding, SelectiveCopying
from variants import Cell, GlorotOrthogonal, Vanilla, streams
from variants.engine.ir.names import Name

OWN = [name for name, cls in Cell.registry.items() if not cls.control]
UNITS = 8
# By how much more a cell may differ: a graph has constants such as 0.95 in single precision, and a derivative that is
# truly 0 has no relative error.
SINGLE = {"cornn": 1e4, "antisymmetric_rnn": 1e4, "scrn": 1e4, "slstm": 1e3}


def network_of(cell, task, **model):
    layers = max(cell.min_layers, model.pop("layers", 1))
    setting = Setting(cell, task, Model(hidden_size=UNITS, layers=layers, **model))
    return Reader().build(setting, GlorotOrthogonal(), streams(3))


def batch_of(task):
    return task.batch(1, torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", OWN)
def test_answers_and_derivatives_are_those_of_the_eager_engine_in_both_kinds_of_layer(name):
    task = Adding(lag=3)
    found = numbers(network_of(Cell.registry[name](), task, layers=2), task, batch_of(task))
    rounded = SINGLE.get(name, 1.0)
    assert found.error < 1e-12 * rounded
    assert found.slope_error < 1e-10 * rounded


@pytest.mark.parametrize("name", ["vanilla", "gru", "lstm_1997"])
def test_the_derivative_of_each_bias_is_the_sum_of_those_by_its_sums_over_time(name):
    task = Adding(lag=4)
    found = numbers(network_of(Cell.registry[name](), task), task, batch_of(task))
    layer = found.layers[-1]
    graph = layer.derivation.graph
    for gate in layer.cell.preactivations:
        if not gate.bias or gate.name in layer.cell.shared:
            continue
        slopes = layer.slopes[graph.input(Name("a", gate.name))]
        wanted = found.gradients[f"recurrent.parts.{len(found.layers) - 1}.b_{gate.name}"]
        torch.testing.assert_close(slopes.sum(0), wanted)


def test_the_states_are_those_that_the_layer_returns():
    task = Adding(lag=6)
    network = network_of(Vanilla(), task).double()
    batch = batch_of(task)
    layer = numbers(network, task, batch).layers[0]
    _, (state,) = network.recurrent(batch.inputs.double())
    for field in state._fields:
        torch.testing.assert_close(layer.values[layer.derivation.new(field)][-1], getattr(state, field)[0].detach())


def test_the_derivative_by_a_state_is_that_of_changing_it():
    """Add a little to the cell of one unit after step 2, and run on from there."""
    task = Adding(lag=6)
    network = network_of(Vanilla(), task).double()
    batch = batch_of(task)
    found = numbers(network, task, batch).layers[0]
    doubles = batch._replace(targets=batch.targets.double())

    def loss(change):
        x = batch.inputs.double()
        _, (state,) = network.recurrent(x[:3])
        moved = state.c.detach().clone()
        moved[0, 4] += change
        outputs, _ = network.recurrent(x[3:], (state._replace(c=moved),))
        return task.loss(network.answers(outputs[-1:]), doubles).item()

    wanted = (loss(1e-5) - loss(-1e-5)) / 2e-5
    # the cell acts on the output of its own step as well, which the next step hears; here it is left as it was
    node = found.derivation.graph.input(Name("s", "c"))
    assert found.slopes[node][3, 4].item() == pytest.approx(wanted, rel=1e-5)


def test_the_terms_of_a_sum_add_up_to_it():
    task = Adding(lag=5)
    layer = numbers(network_of(Vanilla(), task), task, batch_of(task)).layers[0]
    terms = [values for (gate, _), values in layer.terms.items() if gate == "f"]
    assert len(terms) == 3
    torch.testing.assert_close(sum(terms), layer.values[layer.derivation.graph.input(Name("a", "f"))])


def test_a_task_of_many_answers_is_served():
    task = SelectiveCopying(lag=7)
    found = numbers(network_of(Vanilla(), task), task, batch_of(task))
    assert found.error < 1e-12


def test_the_parameters_stay_as_they_were():
    task = Adding(lag=5)
    network = network_of(Vanilla(), task)
    before = [p.clone() for p in network.parameters()]
    numbers(network, task, batch_of(task))
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"bidirectional": True}, "model.bidirectional must be false"),
        ({"layer_norm": True}, "model.layer_norm must be false"),
        ({"zoneout": 0.1}, "model.zoneout must be 0"),
    ],
)
def test_a_network_of_more_than_the_cell_is_refused_with_the_reason(model, why):
    assert why_not(network_of(Vanilla(), Adding(lag=5), **model)).startswith(why)


@pytest.mark.parametrize("name", [name for name, cls in Cell.registry.items() if cls.control])
def test_a_cell_of_the_library_is_refused_with_the_reason(name):
    assert "does not show its numbers" in why_not(network_of(Cell.registry[name](), Adding(lag=5)))
