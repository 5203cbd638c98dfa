"""VRNN: a recurrent network whose state decides the prior of the latent variables of the next step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tasks import Batch
from variants import Recurrent

from .latent import Latent, LatentModule, Normal, Terms, asked, log_likelihood, normal_of, one_step
from .network import RECURRENT, Linear, Parts, Readout, Setting


class VrnnModule(LatentModule):
    """The layers are called once a step, as they hear latent variables that depend on their state."""

    recurrent: Recurrent
    step_features: Readout
    latent_features: Readout
    prior_hidden: Readout
    prior: Readout
    posterior_hidden: Readout
    posterior: Readout
    readout_hidden: Readout

    def terms(self, batch: Batch, copies: int, generator: torch.Generator) -> Terms:
        steps, size = batch.inputs.shape[:2]
        rows = copies * size
        noise = self.noise((steps, rows, self.network.latent), generator)
        features = self._of_step(batch.targets).repeat(1, copies, 1)  # [T, K B, F]
        targets, count = batch.targets.repeat(1, copies, 1), asked(batch, copies)
        h, state = self._start(batch.inputs[0].repeat(copies, 1))
        likelihood, ratio = noise.new_zeros(rows), noise.new_zeros(rows)
        divergence = noise.new_zeros(rows, self.network.latent)
        for t in range(steps):
            prior, posterior = self._prior(h), self._posterior(features[t], h)
            z = posterior.at(noise[t])
            drawn = self._of_latent(z)
            here = count[min(t, len(count) - 1)]  # [K B], or [1]
            likelihood = likelihood + here * log_likelihood(self._logits(drawn, h), targets[t])
            divergence = divergence + here.unsqueeze(-1) * posterior.divergence(prior)
            ratio = ratio + here * (prior.log_density(z) - posterior.log_density(z))
            if t + 1 < steps:
                h, state = one_step(self.recurrent, torch.cat((features[t], drawn), -1), state)
        return Terms(likelihood, divergence, ratio)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, steps: int | None = None) -> Tensor:
        found = []
        h, state = self._start(self.readout.weight.new_zeros(count, self.task.input_size))
        for _ in range(self.steps_to_sample(steps)):
            drawn = self._of_latent(self._prior(h).at(self.noise((count, self.network.latent), generator)))
            step = torch.bernoulli(self._logits(drawn, h).sigmoid(), generator=generator)
            h, state = one_step(self.recurrent, torch.cat((self._of_step(step), drawn), -1), state)
            found.append(step)
        return torch.stack(found)

    def _start(self, given: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        """Return output and state after what is given of a sequence, [B, I]: zeros, or its first step."""
        nothing = self._of_latent(given.new_zeros(len(given), self.network.latent))
        return one_step(self.recurrent, torch.cat((self._of_step(given), nothing), -1), None)

    def _of_step(self, steps: Tensor) -> Tensor:
        return functional.relu(self.step_features(steps))

    def _of_latent(self, z: Tensor) -> Tensor:
        return functional.relu(self.latent_features(z))

    def _prior(self, h: Tensor) -> Normal:
        return normal_of(self.prior(functional.relu(self.prior_hidden(h))))

    def _posterior(self, features: Tensor, h: Tensor) -> Normal:
        return normal_of(self.posterior(functional.relu(self.posterior_hidden(torch.cat((features, h), -1)))))

    def _logits(self, drawn: Tensor, h: Tensor) -> Tensor:
        logits: Tensor = self.readout(functional.relu(self.readout_hidden(torch.cat((drawn, h), -1))))
        return logits


class Vrnn(Latent, name="vrnn"):
    """A recurrent network whose state decides the prior of the next latent variables, and hears step and variables.

        p(z_t | x_<t, z_<t)  = N(mu, sigma^2) of f_prior(h_{t-1})
        q(z_t | x_<=t, z_<t) = N(mu, sigma^2) of f_posterior(g_x(x_t), h_{t-1})
        p(x_t | x_<t, z_<=t) = Bernoulli(s(f_x(g_z(z_t), h_{t-1})))
        h_t                  = cell over (g_x(x_t), g_z(z_t))

    Each f has one hidden layer of rectified units, each g is one; all are as wide as the output of the cell. The state
    first hears what is given of a sequence, zeros or its first step.

    latent: number of latent variables Z of a step, at least 1.
    samples: K of the importance-weighted bound, by which looks and tests measure, at least 1.

    Differs from the paper: one hidden layer for each f where the paper has up to four.
    """

    source = "Chung et al. 2015, 'A Recurrent Latent Variable Model for Sequential Data'"
    Module = VrnnModule

    def refuse(self, setting: Setting) -> None:
        super().refuse(setting)
        self.refuse_masks(setting)

    def parts(self, setting: Setting) -> Parts:
        task, width, latent = setting.task, setting.output_size, self.latent
        linear = {
            "step_features": Linear(task.output_size, width),
            "latent_features": Linear(latent, width),
            "prior_hidden": Linear(width, width),
            "prior": Linear(width, 2 * latent),
            "posterior_hidden": Linear(2 * width, width),
            "posterior": Linear(width, 2 * latent),
            "readout_hidden": Linear(2 * width, width),
            "readout": Linear(width, task.output_size),
        }
        return Parts(layers={RECURRENT: 2 * width}, linear=linear)
