"""Every network keeps the contract around some cells: counts, starts, training, weights, and what it refuses."""

import re
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from runs.networks import Network
from runs.networks.building import network_of, untrained
from runs.networks.network import NetworkModule, Setting
from runs.trial.diagnosis import diagnose, double, specification, unrolled
from runs.trial.training import run, trained
from runs.trial.trial import READER, Model, Outcome, Training, Trial
from runs.trial.weights import load_model, save_model
from tasks import Copying
from variants import GlorotOrthogonal, streams
from variants.cell import Cell

CELLS = ("vanilla", "gru", "lstmp", "clockwork", "native_lstm")
NODES = {
    "reader": READER,
    "attention": {"_target_": "runs.networks.Attention", "label": "attention"},
    "attention by products": {"_target_": "runs.networks.Attention", "label": "p", "score": "product", "size": 3},
    "attention that feeds": {"_target_": "runs.networks.Attention", "label": "f", "feeds": True},
}
TASK = {"_target_": "tasks.Copying", "label": "copying", "lag": 2, "length": 3, "symbols": 4}


def trial(network="reader", cell="gru", **changes):
    values = {
        "variant": {"_target_": f"variants.{Cell.registry[cell].__name__}", "label": cell},
        "task": TASK,
        "initialisation": {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        "network": NODES[network],
        "model": Model(hidden_size=8),
        "training": Training(budget=6, evaluations=2, evaluation_sequences=8, batch_size=5),
        "seed": 3,
    }
    return Trial(**{**values, **changes})


def test_every_network_of_the_folder_is_in_these_tests():
    ours = {name for name, cls in Network.registry.items() if cls.__module__.startswith("runs.networks.")}
    answering = {name for name in ours if Network.registry[name].Module.answering}
    assert {network_of(node).name for node in NODES.values()} == answering


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("network", NODES)
def test_the_count_of_a_declaration_is_that_of_the_module(network, cell):
    network = network_of(NODES[network])
    setting = Setting(Cell.registry[cell](), Copying(lag=2, length=3, symbols=4), Model(hidden_size=16))
    module = network.build(setting, GlorotOrthogonal(), streams(0))
    assert module.parameter_count == network.parameter_count(setting)
    if cell in ("vanilla", "gru"):  # no mask hides a value
        assert module.parameter_count == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("network", NODES)
def test_a_network_is_trained_the_same_way_twice(network):
    first, second = (run(trial(network)) for _ in range(2))
    assert first.error == ""
    assert first.curve_losses == second.curve_losses
    assert first.curve_losses[0] != first.curve_losses[-1]


@pytest.mark.parametrize("network", NODES)
def test_weights_give_the_network_back(network, tmp_path):
    one = trial(network)
    module, outcome = trained(one)
    save_model(tmp_path / "a.safetensors", module, one, outcome, {})
    again, its_trial = load_model(tmp_path / "a.safetensors")
    batch = Copying(lag=2, length=3, symbols=4).batch(7, torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(module.eval()(batch), again(batch))
    assert its_trial == one


@pytest.mark.parametrize("network", NODES)
def test_blocks_that_two_networks_share_start_with_the_same_values(network):
    reader, _ = untrained(trial("reader", cell="vanilla"))
    other, _ = untrained(trial(network, cell="vanilla"))
    mine, its = dict(reader.recurrent.named_parameters()), dict(other.recurrent.named_parameters())
    recurrent = [name for name in mine if ".R_" in name]
    assert recurrent
    assert all(torch.equal(mine[name], its[name]) for name in recurrent)


def test_a_trial_of_the_reader_has_the_id_and_the_values_of_versions_without_networks():
    one = trial(
        variant={"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0},
        task={"_target_": "tasks.Adding", "label": "adding", "lag": 7},
        model=Model(),
        training=Training(budget=40, evaluations=4, evaluation_sequences=16, batch_size=3),
        seed=0,
    )
    assert one.id == "a902b95c05ffc8f5"  # computed by a version without networks
    assert "network" not in one.as_dict()
    assert replace(one, network=NODES["attention"]).id != one.id


def test_a_trial_of_another_network_survives_plain_values():
    one = trial(network="attention by products")
    assert Trial.from_dict(one.as_dict()) == one
    assert one.as_dict()["network"]["score"] == "product"


def test_an_outcome_says_why_updates_are_not_compiled():
    assert run(trial("attention")).why_autograd == "the network is attention"


def refused(node=None, **changes):
    one = replace(trial("attention"), **changes)
    if node:
        one = replace(one, network={**NODES["attention"], **node})
    with pytest.raises(ValueError, match=r"got|unknown") as error:
        untrained(one)
    return str(error.value)


def test_what_attention_cannot_do_is_one_line():
    assert refused({"score": "produkt"}) == (
        "network.score must be one of additive, product, got 'produkt'; did you mean 'product'?"
    )
    assert "network.size must be 0 (that of the outputs) or more, got -1" in refused({"size": -1})
    both = Model(hidden_size=8, bidirectional=True)
    assert "network.feeds must be false with model.bidirectional" in refused({"feeds": True}, model=both)
    masks = Model(hidden_size=8, recurrent_dropout=0.5)
    assert "network.feeds must be false with model.recurrent_dropout" in refused({"feeds": True}, model=masks)
    assert refused({"heads": 4}).startswith("attention: unknown knob 'heads'")


def test_attention_needs_an_earlier_step(monkeypatch):
    batch = Copying.batch

    def first_step(self, size, generator):
        found = batch(self, size, generator)
        return found._replace(reads=torch.zeros_like(found.reads))

    monkeypatch.setattr(Copying, "batch", first_step)
    assert (
        refused() == "copying: answers must be read after the first step with attention, which looks back at "
        "earlier ones, got 'step 1'"
    )


def test_products_with_matrices_that_are_remembered_are_counted():
    """mLSTM with inputs I, H=8, one head: four W [8, I], two [1, I], the read-out, and c [8, 8], used twice."""
    network, _ = untrained(trial(cell="mlstm"))
    task = Copying(lag=2, length=3, symbols=4)
    weights = (4 * 8 + 2 * 1) * task.input_size + 8 * task.output_size
    assert network.flops_per_step == 2 * weights + 2 * 2 * 8 * 8


def test_a_network_without_answers_is_trained_and_measured_by_what_it_says_itself(monkeypatch):
    class Mute(type(untrained(trial())[0])):
        answering = False
        seen = []

        def objective(self, batch, generator):
            self.seen.append(float(torch.rand((), generator=generator)))
            return self.task.loss(self(batch), batch)

        def look(self, batch, generator):
            noise = float(torch.rand((), generator=generator))
            return {"loss": float(self.task.loss(self(batch), batch)), "recall_accuracy": 0.0, "noise": noise}

    monkeypatch.setattr(Network.registry["reader"], "Module", Mute)
    outcome = run(trial())
    assert outcome.error == ""
    assert isinstance(outcome, Outcome)
    assert len(set(Mute.seen)) == 6  # it goes on from update to update
    assert outcome.test_metrics["noise"] > 0
    monkeypatch.undo()
    assert outcome.curve_losses == pytest.approx(run(trial()).curve_losses, rel=1e-5)


def test_the_network_of_the_recipe_is_trained_and_reads_the_mean_of_all_outputs(monkeypatch):
    page = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    recipe = types.ModuleType("a_package_for_networks")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], recipe.__dict__)
    monkeypatch.setitem(sys.modules, recipe.__name__, recipe)
    one = trial(network="reader")
    one = replace(one, network={"_target_": "a_package_for_networks.Mean", "label": "mean"})
    assert run(one).error == ""
    network, task = untrained(one)
    batch = task.batch(3, torch.Generator().manual_seed(0))
    outputs, _ = network.recurrent(batch.inputs)
    expected = network.readout(outputs[: int(batch.reads[1, 2]) + 1, 2].mean(0))
    torch.testing.assert_close(network(batch)[1, 2], expected)


@pytest.mark.parametrize("network", [name for name in NODES if name != "reader"])
def test_a_diagnosis_keeps_what_answers_attend_to(network):
    one = trial(network)
    module, outcome = trained(one)
    arrays = diagnose(one, module, outcome).arrays
    alpha, reads = arrays["attention"], arrays["attention_reads"]
    assert alpha.shape == (3, 8, 8)  # sequences, answers (one at every step), steps
    np.testing.assert_allclose(alpha.sum(2), 1.0, rtol=1e-6)
    later = np.arange(8) > reads[:, :, None]
    assert (alpha[later] == 0).all()
    assert arrays["attention_relevant"].shape == (3, 8)


@pytest.mark.parametrize("network", NODES)
def test_a_network_run_step_by_step_gives_the_answers_that_it_gives_at_once(network):
    module, task = specification(trial(network))
    batch = double(task.batch(4, torch.Generator().manual_seed(2)))
    with torch.no_grad():
        torch.testing.assert_close(unrolled(module, batch)[0], module(batch))


def test_a_diagnosis_of_the_reader_has_no_attention():
    one = trial("reader")
    module, outcome = trained(one)
    assert not [name for name in diagnose(one, module, outcome).arrays if name.startswith("attention")]


@pytest.mark.parametrize("name", ["objective", "look"])
def test_a_module_with_answers_may_not_define_what_training_would_not_call(name):
    with pytest.raises(TypeError, match=f"Own: answering must be False in a module with its own {name}, got True"):
        type("Own", (NetworkModule,), {name: lambda self, batch, generator: None})
    type("Own", (NetworkModule,), {name: lambda self, batch, generator: None, "answering": False})
