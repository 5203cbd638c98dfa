"""The ELBO of each network with latent variables equals its equations, written in NumPy for a plain tanh cell."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from runs.networks.latent import LatentModule
from tasks.task import step_by_step
from tests.runs.networks.latent_models import Tiny, module_of

Array = NDArray[np.float64]
T, B, Z, WIDTH = 5, 3, 4, 2


class Five(Tiny):
    """Five steps of two bits."""

    steps = T


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


class Weights:
    """The parameters of a module as arrays."""

    def __init__(self, module: LatentModule) -> None:
        self.values = {name: value.detach().numpy() for name, value in module.named_parameters()}

    def linear(self, name: str, x: Array) -> Array:
        found: Array = x @ self.values[f"{name}.weight"].T + self.values[f"{name}.bias"]
        return found

    def cell(self, name: str, x: Array, h: Array) -> Array:
        W, R, b = (self.values[f"{name}.parts.0.{block}_h"] for block in "WRb")
        found: Array = np.tanh(x @ W.T + h @ R.T + b)
        return found

    def normal(self, name: str, x: Array) -> tuple[Array, Array]:
        mean, raw = np.split(self.linear(name, x), 2, -1)
        return mean, softplus(raw) + 1e-3


def kl(q: tuple[Array, Array], p: tuple[Array, Array]) -> Array:
    found: Array = (np.log(p[1] / q[1]) + (q[1] ** 2 + (q[0] - p[0]) ** 2) / (2 * p[1] ** 2) - 0.5).sum(-1)
    return found


def bits(logits: Array, x: Array) -> Array:
    p = sigmoid(logits)
    found: Array = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(-1)
    return found


def storn(w: Weights, x: Array, noise: Array, H: int) -> Array:
    r, h, before, elbo = np.zeros((B, H)), np.zeros((B, H)), np.zeros((B, WIDTH)), np.zeros(B)
    for t in range(T):
        r = w.cell("recognition", x[t], r)
        mean, scale = w.normal("posterior", r)
        h = w.cell("recurrent", np.concatenate((before, mean + scale * noise[t]), -1), h)
        elbo += bits(w.linear("readout", h), x[t]) - kl((mean, scale), (np.zeros((B, Z)), np.ones((B, Z))))
        before = x[t]
    return elbo


def vrnn(w: Weights, x: Array, noise: Array, H: int) -> Array:
    def relu(name: str, *values: Array) -> Array:
        found: Array = np.maximum(w.linear(name, np.concatenate(values, -1)), 0)
        return found

    nothing = relu("latent_features", np.zeros((B, Z)))
    start = np.concatenate((relu("step_features", np.zeros((B, WIDTH))), nothing), -1)
    h, elbo = w.cell("recurrent", start, np.zeros((B, H))), np.zeros(B)
    for t in range(T):
        seen = relu("step_features", x[t])
        prior = w.normal("prior", relu("prior_hidden", h))
        mean, scale = w.normal("posterior", relu("posterior_hidden", seen, h))
        drawn = relu("latent_features", mean + scale * noise[t])
        elbo += bits(w.linear("readout", relu("readout_hidden", drawn, h)), x[t]) - kl((mean, scale), prior)
        h = w.cell("recurrent", np.concatenate((seen, drawn), -1), h)
    return elbo


def draw(w: Weights, x: Array, noise: Array, H: int) -> Array:
    picture = x.transpose(1, 0, 2).reshape(B, -1)
    e, d, canvas, elbo = np.zeros((B, H)), np.zeros((B, H)), np.zeros((B, T * WIDTH)), np.zeros(B)
    for glimpse in noise:
        e = w.cell("encoder", np.concatenate((picture, picture - sigmoid(canvas), d), -1), e)
        mean, scale = w.normal("posterior", e)
        d = w.cell("recurrent", mean + scale * glimpse, d)
        canvas = canvas + w.linear("readout", d)
        elbo -= kl((mean, scale), (np.zeros((B, Z)), np.ones((B, Z))))
    return elbo + bits(canvas, picture)


@pytest.mark.parametrize(("form", "knobs"), [(storn, {}), (vrnn, {}), (draw, {"glimpses": 6})])
def test_the_elbo_of_an_untrained_network_is_that_of_its_equations(form: Any, knobs: dict[str, int]) -> None:
    module = module_of(form.__name__, "rnn", Five(), latent=Z, **knobs)
    source = torch.Generator().manual_seed(1)
    x = torch.bernoulli(torch.full((T, B, WIDTH), 0.4, dtype=torch.float64), generator=source)
    noise = torch.randn(knobs.get("glimpses", T), B, Z, generator=source, dtype=torch.float64)
    module.noise = lambda shape, generator: noise  # type: ignore[method-assign]
    found = module.terms(step_by_step(x), 1, source).elbo.detach().numpy()
    np.testing.assert_allclose(found, form(Weights(module), x.numpy(), noise.numpy(), 3), rtol=1e-9)
