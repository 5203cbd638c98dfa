"""STORN: a recurrent network that hears latent variables, which another one has recognised."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks import Batch
from variants import Recurrent

from .latent import Latent, LatentModule, Terms, asked, log_likelihood, normal_of, standard_normal
from .network import RECURRENT, Linear, Parts, Readout, Setting


class StornModule(LatentModule):
    """Both networks run over whole sequences at once, since no latent variable depends on a drawn one."""

    recurrent: Recurrent
    recognition: Recurrent
    posterior: Readout

    def terms(self, batch: Batch, copies: int, generator: torch.Generator) -> Terms:
        steps, size = batch.inputs.shape[:2]
        heard, _ = self.recognition(batch.targets, lengths=batch.lengths, final=False)  # [T, B, H]
        posterior = normal_of(self.posterior(heard)).copied(copies)  # [T, K B, Z]
        z = posterior.at(self.noise((steps, copies * size, self.network.latent), generator))
        prior = standard_normal(z)
        inputs = torch.cat((batch.inputs.repeat(1, copies, 1), z), -1)  # [T, K B, I + Z]
        lengths = None if batch.lengths is None else batch.lengths.repeat(copies)
        outputs, _ = self.recurrent(inputs, lengths=lengths, final=False)
        count = asked(batch, copies)
        likelihood = log_likelihood(self.readout(outputs), batch.targets.repeat(1, copies, 1))
        divergence = posterior.divergence(prior) * count.unsqueeze(-1)
        ratio = prior.log_density(z) - posterior.log_density(z)
        return Terms((likelihood * count).sum(0), divergence.sum(0), (ratio * count).sum(0))

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, steps: int | None = None) -> Tensor:
        drawn, state = [self.readout.weight.new_zeros(1, count, self.task.input_size)], None
        for _ in range(self.steps_to_sample(steps)):
            z = self.noise((1, count, self.network.latent), generator)
            outputs, state = self.recurrent(torch.cat((drawn[-1], z), -1), state)
            drawn.append(torch.bernoulli(self.readout(outputs).sigmoid(), generator=generator))
        return torch.cat(drawn[1:])


class Storn(Latent, name="storn"):
    """A recurrent network that hears the step before and latent variables, recognised by another recurrent network.

        q(z_t | x_1..x_t)    = N(mu_t, sigma_t^2)       mu_t, sigma_t linear in r_t, r = cell over x, the recognition
        p(z_t)               = N(0, 1)
        p(x_t | x_<t, z_1..t) = Bernoulli(s(V h_t + v))  h = cell over (x_{t-1}, z_t), the generation

    latent: number of latent variables Z of a step, at least 1.
    samples: K of the importance-weighted bound, by which looks and tests measure, at least 1.

    Differs from the paper: scales are a softplus of a linear map, where the paper squares one.
    """

    source = "Bayer & Osendorfer 2014, 'Learning Stochastic Recurrent Networks'"
    Module = StornModule

    def parts(self, setting: Setting) -> Parts:
        task, width = setting.task, setting.output_size
        return Parts(
            layers={RECURRENT: task.input_size + self.latent, "recognition": task.output_size},
            linear={"readout": Linear(width, task.output_size), "posterior": Linear(width, 2 * self.latent)},
        )
