"""Networks with latent variables stand around any cell, are trained, measured and stored as others are."""

from dataclasses import replace

import pytest
import torch

from runs.configuration.trial import checked
from runs.networks.building import untrained
from runs.networks.latent import Latent, LatentModule
from runs.networks.network import Network, Setting
from runs.study.design import Design
from runs.study.plan import Search
from runs.trial.diagnosis import diagnose
from runs.trial.optimiser import Flat
from runs.trial.training import run, trained
from runs.trial.trial import Model, Outcome, Training, Trial
from runs.trial.update import update_of
from runs.trial.weights import load_model, save_model
from tasks import Adding, JointBits
from tasks.task import Density
from variants import Cell, GlorotOrthogonal, Vanilla, streams

CELLS = ("vanilla", "gru", "rnn", "lstmp", "clockwork", "native_lstm")
LATENT = sorted(name for name, cls in Network.registry.items() if issubclass(cls, Latent))


def trial(network="storn", cell="gru", model=None, knobs=None, **training):
    usual = {"budget": 4, "evaluations": 2, "evaluation_sequences": 24, "batch_size": 5}
    node = {"_target_": f"runs.networks.{Network.registry[network].__name__}", "label": network}
    return Trial(
        variant={"_target_": f"variants.{Cell.registry[cell].__name__}", "label": cell},
        task={"_target_": "tasks.JointBits", "label": "joint_bits", "lag": 2, "after": 1},
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        network={**node, "latent": 3, "samples": 6, **(knobs or {})},
        model=Model(hidden_size=8, **(model or {})),
        training=Training(**{**usual, **training}),
        seed=3,
    )


def numbers(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("network", LATENT)
def test_any_cell_stands_in_a_network_and_the_counts_agree(network, cell):
    declared = Network.registry[network](latent=3)
    setting = Setting(Cell.registry[cell](), JointBits(lag=2, after=1), Model(hidden_size=16))
    module = declared.build(setting, GlorotOrthogonal(), streams(0))
    assert module.parameter_count == declared.parameter_count(setting)
    if cell in ("vanilla", "gru", "rnn"):  # no mask hides a value
        assert module.parameter_count == sum(p.numel() for p in module.parameters())
    module.objective(setting.task.batch(5, torch.Generator()), torch.Generator()).backward()
    assert all(p.grad is not None for name, p in module.named_parameters() if "latent_features" not in name)
    assert module.sample(7, torch.Generator()).shape == (3, 7, 8)


@pytest.mark.parametrize("network", LATENT)
def test_a_trial_gives_the_same_numbers_twice_and_others_with_another_seed(network):
    first, second = (run(trial(network)) for _ in range(2))
    assert first.error == ""
    assert numbers(first) == numbers(second)
    other = run(replace(trial(network), seed=4))
    assert other.curve_losses != first.curve_losses


@pytest.mark.parametrize("network", LATENT)
def test_layers_of_both_engines_give_the_same_losses(network):
    fused, eager = (run(trial(network, model={"engine": engine})) for engine in ("fused", "eager"))
    assert (fused.engine, eager.engine) == ("fused", "eager")
    assert fused.curve_losses == pytest.approx(eager.curve_losses, rel=1e-4)


@pytest.mark.parametrize("network", LATENT)
def test_an_outcome_has_the_bound_as_loss_and_its_parts(network):
    outcome = run(trial(network))
    metrics = outcome.test_metrics
    assert outcome.test_loss == metrics["loss"] <= metrics["negative_elbo"]
    assert 0 < metrics["largest_kl"] <= metrics["kl"]
    assert 0 <= metrics["used_dimensions"] <= metrics["latent_dimensions"] == 3
    assert outcome.why_autograd == f"the network is {network}"
    assert outcome.task["unit"] == "nats per step"


@pytest.mark.parametrize("network", LATENT)
def test_stored_weights_give_the_network_back(network, tmp_path):
    own = trial(network)
    module, outcome = trained(own)
    save_model(tmp_path / "model.safetensors", module, own, outcome, {})
    loaded, again = load_model(tmp_path / "model.safetensors")
    batch = JointBits(lag=2, after=1).batch(9, torch.Generator().manual_seed(1))
    looks = [m.eval().look(batch, torch.Generator().manual_seed(2)) for m in (module, loaded)]
    assert looks[0] == looks[1]
    assert again == own
    drawn = [m.sample(9, torch.Generator().manual_seed(2)) for m in (module, loaded)]
    assert torch.equal(*drawn)


def test_training_takes_storn_below_any_product_of_bits():
    outcome = run(trial(budget=200, batch_size=32, learning_rate=0.01, evaluation_sequences=200))
    assert outcome.test_loss < 0.7 * outcome.task["floor"]
    assert outcome.test_metrics["used_dimensions"] >= 1


class Numbers(Density):
    """A density of numbers, not of bits."""

    likelihood = "gaussian"


@pytest.mark.parametrize(
    ("network", "task", "knobs", "model", "message"),
    [
        ("storn", None, {"latent": 0}, {}, "storn: latent must be at least 1, got 0"),
        ("vrnn", None, {"samples": 0}, {}, "vrnn: samples must be at least 1, got 0"),
        ("draw", None, {"glimpses": 0}, {}, "draw: glimpses must be at least 1, got 0"),
        ("draw", None, {}, {"recurrent_dropout": 0.5}, "draw: model.recurrent_dropout must be 0, since its mask holds"),
        ("vrnn", None, {}, {"recurrent_dropout": 0.5}, "vrnn: model.recurrent_dropout must be 0, since its mask holds"),
        ("storn", None, {}, {"bidirectional": True}, "model.bidirectional must be false, since"),
        (
            "storn",
            Adding(),
            {},
            {},
            "storn: task must ask for the probability of sequences, as .*joint_bits.*, got adding",
        ),
        ("vrnn", Numbers(), {}, {}, "vrnn: the likelihood of Numbers must be bernoulli, got gaussian"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(network, task, knobs, model, message):
    setting = Setting(Vanilla(), task or JointBits(), Model(**model))
    with pytest.raises(ValueError, match=message) as caught:
        Network.registry[network](**knobs).refuse(setting)
    assert "\n" not in str(caught.value)


def test_training_sequences_cannot_decide_without_answers():
    config = trial(criterion="training")
    message = "^storn: training.criterion must be held_out, since the network gives no answers, got training$"
    with pytest.raises(ValueError, match=message):
        checked(config)


def test_a_picture_of_sequences_of_several_lengths_is_refused():
    task = JointBits()
    task.steps = None
    with pytest.raises(ValueError, match=r"^draw: sequences must have one length, .*, got joint_bits, whose lengths"):
        Network.registry["draw"]().refuse(Setting(Vanilla(), task, Model()))


@pytest.mark.parametrize("network", LATENT)
def test_more_latent_variables_are_more_parameters(network):
    few, many = (untrained(trial(network, knobs={"latent": n}))[0].parameter_count for n in (3, 5))
    assert few < many


def test_widths_of_pictures_are_matched_for_each_length_of_the_sequences():
    node = {"_target_": "tasks.JointBits", "after": 1}
    tasks = {f"bits_{lag}": {**node, "label": f"bits_{lag}", "lag": lag} for lag in (2, 30)}
    gru = {"_target_": "variants.GRU", "label": "gru"}
    draw = {"_target_": "runs.networks.Draw", "label": "draw"}
    design = Design(
        name="pictures",
        variants={"gru": gru, "gru_draw": {**gru, "label": "gru_draw"}},
        networks={"gru_draw": draw},
        tasks=tasks,
        baseline="gru",
        points=1,
        initialisation={"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
        model=Model(hidden_size=100),
    )
    search = Search(design)
    short, long = (search.matching_size(task, "gru_draw", Model(hidden_size=100)) for task in tasks)
    assert short > long + 20


@pytest.mark.parametrize("network", LATENT)
def test_a_diagnosis_has_what_a_network_invents_beside_data_and_the_use_of_each_dimension(network):
    own = trial(network)
    module, outcome = trained(own)
    about, arrays = diagnose(own, module, outcome)
    assert arrays["invented"].shape == arrays["data"].shape == (6, 3, 8)
    assert arrays["kl_by_dimension"].shape == (3,)
    assert set(arrays["invented"].flatten()) <= {0.0, 1.0}
    assert (about["lag"], about["variant"]) == (2, "gru")
    again = diagnose(own, module, outcome).arrays
    assert all((again[name] == values).all() for name, values in arrays.items())


@pytest.mark.parametrize("network", LATENT)
def test_the_noise_of_training_is_that_of_the_seed(network):
    own = trial(network)
    batch = JointBits(lag=2, after=1).batch(5, torch.Generator().manual_seed(1))

    def loss(seed):
        module, task = untrained(own)
        return update_of(module, task, own.training, Flat(module), seed).loss(batch)

    assert loss(3) == loss(3)
    assert loss(3) != loss(4)


def test_the_noise_of_looks_is_that_of_the_held_out_data(monkeypatch):
    seen = []
    monkeypatch.setattr(
        LatentModule, "look", lambda self, batch, generator: {"loss": seen.append(generator.initial_seed()) or 1.0}
    )
    for seed, data_seed in ((3, 0), (4, 0), (3, 1)):
        assert run(replace(trial(), seed=seed, data_seed=data_seed)).error == ""
    one, other_seed, other_data = (seen[k : k + len(seen) // 3] for k in range(0, len(seen), len(seen) // 3))
    assert len(set(one)) == 1
    assert one == other_seed
    assert set(one).isdisjoint(other_data)
