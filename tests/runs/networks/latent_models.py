"""Tiny networks with latent variables, and their exact likelihoods by quadrature."""

import math
from itertools import product

import numpy as np
import torch
from torch import Tensor

from runs.networks.latent import LEAST_SCALE, LatentModule
from runs.networks.network import Network, Setting
from runs.trial.trial import Model
from tasks import Batch
from tasks.task import Density, step_by_step
from variants import Cell, Gaussian, streams

STEPS, BITS = 2, 2
NODES = 40
"""Of the quadrature, along each of the two latent variables."""
WIDE = {"storn": 0.8, "vrnn": 0.5, "draw": 0.8}
"""Standard deviation of the weights: so large that the latent variables matter, in a network of that depth."""
KNOBS = {"storn": {}, "vrnn": {}, "draw": {"glimpses": 2}}
"""Two steps, or glimpses, of one latent variable each."""


class Tiny(Density):
    """Two steps of two bits, each bit on with its own probability."""

    lag, floor, solved_loss = 1, 2.0, 1.0
    input_size = output_size = BITS
    steps = STEPS

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        chance = torch.tensor([0.3, 0.6]).expand(STEPS, size, BITS)
        return step_by_step(torch.bernoulli(chance, generator=generator))


def every_sequence() -> Batch:
    """All 16 sequences of two steps of two bits."""
    bits = torch.tensor(list(product((0.0, 1.0), repeat=STEPS * BITS)))
    return step_by_step(bits.view(-1, STEPS, BITS).transpose(0, 1).contiguous())


def module_of(
    name: str, cell: str = "gru", task: Density | None = None, seed: int = 0, **knobs: object
) -> LatentModule:
    """An untrained network in double precision."""
    model = Model(hidden_size=3, engine="eager")
    setting = Setting(Cell.registry[cell](), task or Tiny(), model)
    network = Network.registry[name](**{"latent": 1, **KNOBS[name], **knobs})
    module: LatentModule = network.build(setting, Gaussian(std=WIDE[name]), streams(seed)).double()
    return module


def doubled(batch: Batch) -> Batch:
    return batch._replace(inputs=batch.inputs.double(), targets=batch.targets.double())


@torch.no_grad()
def exact_log_probability(module: LatentModule, batch: Batch, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    """Compute ln p(x) of each sequence [B] by Gauss-Hermite quadrature over both latent variables.

    mean, scale: of a normal distribution around which the nodes lie; it takes the place of the posterior, and the
        result does not depend on it.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    pairs = torch.tensor(list(product(nodes, repeat=2)))  # [K, 2]
    mass = torch.tensor(list(product(weights / math.sqrt(2 * math.pi), repeat=2))).prod(-1)  # [K]
    noise = pairs.T.repeat_interleave(batch.size, dim=1).unsqueeze(-1)  # [2, K B, 1]
    weight, bias = (value.clone() for value in (module.posterior.weight, module.posterior.bias))
    module.posterior.weight.zero_()
    module.posterior.bias.copy_(torch.tensor([mean, math.log(math.expm1(scale - LEAST_SCALE))]))
    module.noise = lambda shape, generator: noise  # type: ignore[method-assign]
    try:
        terms = module.terms(doubled(batch), len(pairs), torch.Generator())
    finally:
        del module.noise
        module.posterior.weight.copy_(weight)
        module.posterior.bias.copy_(bias)
    found = (terms.likelihood + terms.ratio).view(len(pairs), -1) + mass.log().unsqueeze(-1)
    return found.logsumexp(0)
