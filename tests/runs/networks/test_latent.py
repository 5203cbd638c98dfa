"""Bounds of networks with latent variables hold against exact likelihoods, and their samples follow the model."""

import math

import pytest
import torch
from torch.distributions import Normal as Reference
from torch.distributions import kl_divergence

from runs.networks.latent import Latent, Normal, Terms, bound, normal_of, steps_of
from runs.networks.network import Network
from tasks import Batch, Task
from tests.runs.networks.latent_models import STEPS, Tiny, doubled, every_sequence, exact_log_probability, module_of

LATENT = sorted(name for name, cls in Network.registry.items() if issubclass(cls, Latent))
ALL = every_sequence()


def normals(seed: int) -> Normal:
    return normal_of(torch.randn(4, 3, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def test_the_divergence_is_that_of_torch():
    ours, theirs = normals(1), normals(2)
    expected = kl_divergence(Reference(*ours), Reference(*theirs))
    torch.testing.assert_close(ours.divergence(theirs), expected)


def test_the_log_density_is_that_of_torch():
    normal, values = normals(1), normals(3).mean
    torch.testing.assert_close(normal.log_density(values), Reference(*normal).log_prob(values).sum(-1))


def test_a_draw_has_mean_and_scale():
    normal = Normal(torch.tensor([2.0]), torch.tensor([3.0]))
    assert normal.at(torch.tensor([-1.0])).tolist() == [-1.0]


@pytest.mark.parametrize("name", LATENT)
def test_the_probabilities_of_all_sequences_sum_to_one(name):
    chance = exact_log_probability(module_of(name), ALL).exp()
    assert float(chance.sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(chance.max() / chance.min()) > 2, "the network should not find all sequences alike"


@pytest.mark.parametrize("name", LATENT)
def test_the_likelihood_does_not_depend_on_the_posterior(name):
    module = module_of(name)
    one, other = exact_log_probability(module, ALL), exact_log_probability(module, ALL, 0.3, 1.3)
    torch.testing.assert_close(one, other, rtol=0, atol=0.01)


@pytest.mark.parametrize("name", LATENT)
def test_bounds_grow_with_their_draws_up_to_the_likelihood(name):
    module, draws = module_of(name), 4096
    exact = float(exact_log_probability(module, ALL).mean())
    with torch.no_grad():
        terms = module.terms(doubled(ALL), draws, torch.Generator().manual_seed(3))
    means = []
    for copies in (1, 8, 64, draws):
        parts = zip(*(value.split(copies * ALL.size) for value in terms), strict=True)
        means.append(float(torch.stack([bound(Terms(*part), copies).mean() for part in parts]).mean()))
    assert means == sorted(means)
    assert means[0] < means[1] - 0.01, "the posterior should not be exact"
    assert means[2] < exact
    assert means[3] == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("name", LATENT)
def test_the_bound_of_one_draw_has_the_mean_of_the_elbo(name):
    module, generator = module_of(name), torch.Generator().manual_seed(3)
    with torch.no_grad():
        terms = module.terms(doubled(ALL), 4000, generator)
    assert float(bound(terms, 1).mean()) == pytest.approx(float(terms.elbo.mean()), abs=0.02)


@pytest.mark.parametrize("name", LATENT)
def test_samples_have_the_probabilities_of_the_model(name):
    module, count = module_of(name), 20_000
    drawn = module.sample(count, torch.Generator().manual_seed(4))
    assert drawn.shape == (STEPS, count, 2)
    place = torch.tensor([8, 4, 2, 1], dtype=drawn.dtype)
    code = (drawn.transpose(0, 1).reshape(count, -1) @ place).long()
    shares = torch.bincount(code, minlength=16) / count
    chance = exact_log_probability(module, ALL).exp()
    assert float((shares - chance).abs().max()) < 0.012


@pytest.mark.parametrize("name", LATENT)
def test_a_network_that_ignores_its_latent_variables_has_the_exact_likelihood_and_uses_none(name):
    module = module_of(name)
    with torch.no_grad():
        for readout in (module.readout, module.posterior, getattr(module, "prior", module.posterior)):
            readout.weight.zero_()
            readout.bias.zero_()
        if name != "vrnn":  # the prior is standard normal
            module.posterior.bias[1] = math.log(math.e - 1) - 1e-3 * math.e / (math.e - 1)
        metrics = module.look(doubled(ALL), torch.Generator().manual_seed(5))
    assert metrics["loss"] == pytest.approx(2 * math.log(2), abs=1e-4)
    assert metrics["negative_elbo"] == pytest.approx(metrics["loss"], abs=1e-4)
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-5)
    assert (metrics["used_dimensions"], metrics["latent_dimensions"]) == (0, 1)


@pytest.mark.parametrize("name", LATENT)
def test_a_look_measures_in_nats_a_step_whatever_it_evaluates_at_a_time(name, monkeypatch):
    module = module_of(name, samples=64)
    batch = doubled(
        Batch(*(None if v is None else v.repeat(1, 15, 1)[..., : v.shape[-1]] for v in ALL[:2]), ALL[2].repeat(1, 15))
    )
    with torch.no_grad():
        whole = module.look(batch, torch.Generator().manual_seed(6))
        exact = -float(exact_log_probability(module, ALL).mean()) / STEPS
        monkeypatch.setattr("runs.networks.latent.MOST_COPIES", 700)
        parts = module.look(batch, torch.Generator().manual_seed(6))
    assert whole["loss"] == pytest.approx(exact, abs=0.02)
    assert {key: pytest.approx(value, abs=0.03) for key, value in whole.items()} == parts
    assert whole != parts
    assert whole["largest_kl"] == pytest.approx(whole["kl"])


@pytest.mark.parametrize("name", LATENT)
def test_the_objective_is_the_mean_negative_elbo_of_a_step(name):
    module = module_of(name)
    loss = module.objective(doubled(ALL), torch.Generator().manual_seed(7))
    terms = module.terms(doubled(ALL), 1, torch.Generator().manual_seed(7))
    assert float(loss.detach()) == pytest.approx(-float(terms.elbo.detach().mean()) / STEPS)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())
    assert all(bool(p.grad.any()) for n, p in module.named_parameters() if n.startswith(("posterior", "readout")))


def padded() -> Batch:
    """Three sequences of 2, 4 and 3 steps."""
    lengths = torch.tensor([2, 4, 3])
    steps = torch.arange(4).view(-1, 1)
    there = steps < lengths
    bits = torch.bernoulli(torch.full((5, 3, 2), 0.5), generator=torch.Generator().manual_seed(8))
    targets = torch.where(there.unsqueeze(-1), bits[1:], 0.0)
    inputs = torch.where(there.unsqueeze(-1), bits[:-1], 0.0)
    return Batch(inputs, targets, torch.where(there, steps, 0), lengths, there.float())


@pytest.mark.parametrize("name", ["storn", "vrnn"])
def test_what_comes_after_the_end_of_a_sequence_changes_nothing(name):
    module, batch = module_of(name), doubled(padded())
    module.noise = lambda shape, generator: torch.zeros(shape, dtype=torch.float64)
    with torch.no_grad():
        together = module.terms(batch, 2, torch.Generator())
        for b, length in enumerate(batch.lengths.tolist()):
            alone = Batch(
                batch.inputs[:length, b : b + 1], batch.targets[:length, b : b + 1], batch.reads[:length, b : b + 1]
            )
            single = module.terms(alone, 1, torch.Generator())
            for ours, theirs in zip(together, single, strict=True):
                torch.testing.assert_close(ours[b], theirs[0])
                torch.testing.assert_close(ours[b + 3], theirs[0])
    assert steps_of(batch) == 9


@pytest.mark.parametrize("name", LATENT)
def test_the_same_generator_gives_the_same_objective_look_and_samples(name):
    module = module_of(name)
    for call in (
        lambda g: float(module.objective(doubled(ALL), g).detach()),
        lambda g: module.look(doubled(ALL), g),
        lambda g: module.sample(50, g).tolist(),
    ):
        one, same, other = (call(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert one == same != other


@pytest.mark.parametrize("name", ["storn", "vrnn"])
def test_samples_of_sequences_without_a_length_of_their_own_need_one(name):
    task = Tiny()
    task.steps = None
    module = module_of(name, task=task)
    assert len(module.sample(3, torch.Generator(), steps=5)) == 5
    with pytest.raises(ValueError, match=f"^{name}: steps must be given, since sequences of Tiny differ in length$"):
        module.sample(3, torch.Generator())


def test_a_picture_has_the_steps_of_its_task():
    with pytest.raises(ValueError, match=r"^draw: steps must be 2, as of every sequence of Tiny, got 5$"):
        module_of("draw").sample(3, torch.Generator(), steps=5)


def test_the_tasks_with_a_likelihood_are_found():
    assert {"joint_bits", "digit_rows", "chorales"} <= {
        n for n, c in Task.registry.items() if c.mro().count(Tiny.mro()[1])
    }
