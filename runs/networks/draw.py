"""DRAW: a picture of the whole sequence, drawn in several glimpses by two recurrent networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tasks import Batch
from variants import Recurrent

from .latent import Latent, LatentModule, Terms, log_likelihood, normal_of, one_step, standard_normal
from .network import RECURRENT, Linear, Parts, Readout, Setting


class DrawModule(LatentModule):
    """The layers are called once a glimpse, since the encoder hears what was drawn so far."""

    network: Draw
    recurrent: Recurrent
    encoder: Recurrent
    posterior: Readout

    def terms(self, batch: Batch, copies: int, generator: torch.Generator) -> Terms:
        size = batch.size
        rows, glimpses = copies * size, self.network.glimpses
        picture = batch.targets.transpose(0, 1).reshape(size, -1).repeat(copies, 1)  # [K B, T O]
        noise = self.noise((glimpses, rows, self.network.latent), generator)
        canvas = torch.zeros_like(picture)
        written = noise.new_zeros(rows, self.readout.in_features)  # the output of the decoder
        divergence, ratio = torch.zeros_like(noise[0]), noise.new_zeros(rows)
        prior = standard_normal(noise[0])
        seen: tuple[Any, ...] | None = None
        state: tuple[Any, ...] | None = None
        for glimpse in noise:
            heard = torch.cat((picture, picture - canvas.sigmoid(), written), -1)
            h, seen = one_step(self.encoder, heard, seen)
            posterior = normal_of(self.posterior(h))
            z = posterior.at(glimpse)
            written, state = one_step(self.recurrent, z, state)
            canvas = canvas + self.readout(written)
            divergence = divergence + posterior.divergence(prior)
            ratio = ratio + prior.log_density(z) - posterior.log_density(z)
        return Terms(log_likelihood(canvas, picture), divergence, ratio)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, steps: int | None = None) -> Tensor:
        there = self.task.steps
        assert there is not None
        if steps not in (None, there):
            raise ValueError(f"draw: steps must be {there}, as of every sequence of {self.task.name}, got {steps}")
        canvas, state = self.readout.weight.new_zeros(count, self.readout.out_features), None
        for _ in range(self.network.glimpses):
            written, state = one_step(self.recurrent, self.noise((count, self.network.latent), generator), state)
            canvas = canvas + self.readout(written)
        drawn = torch.bernoulli(canvas.sigmoid(), generator=generator)
        return drawn.view(count, there, -1).transpose(0, 1)


class Draw(Latent, name="draw"):
    """A picture of all steps of a sequence, to which a recurrent network adds a layer of paint in each glimpse.

        q(z_g | x, z_<g) = N(mu_g, sigma_g^2)  linear in e_g, e = cell over (x, x - s(c_{g-1}), d_{g-1}), the encoder
        p(z_g)           = N(0, 1)
        d_g              = cell over z_g, the decoder
        c_g              = c_{g-1} + W d_g + w, the canvas, c_0 = 0
        p(x | z)         = Bernoulli(s(c_G)) of all T O bits at once

    A step of the network is a glimpse, not a step of the sequence, of which all is seen at once. For sequences of one
    length, such as images.

    latent: number of latent variables Z of a glimpse, at least 1.
    samples: K of the importance-weighted bound, by which looks and tests measure, at least 1.
    glimpses: G, how many layers of paint, at least 1.

    Differs from the paper: reading and writing take the whole picture, without windows (its equations 17 and 18).
    """

    source = "Gregor et al. 2015, 'DRAW: A Recurrent Neural Network For Image Generation'"
    Module = DrawModule

    def __init__(self, *, latent: int = 8, samples: int = 16, glimpses: int = 8) -> None:
        self.glimpses = glimpses
        super().__init__(latent=latent, samples=samples)
        self.require("glimpses", 1)

    def refuse(self, setting: Setting) -> None:
        super().refuse(setting)
        self.refuse_masks(setting)
        if getattr(setting.task, "steps", None) is None:
            raise ValueError(
                f"draw: sequences must have one length, since they are drawn as one picture, got {setting.task.name}, "
                "whose lengths differ"
            )

    def parts(self, setting: Setting) -> Parts:
        task, width = setting.task, setting.output_size
        picture = getattr(task, "steps", 1) * task.output_size
        return Parts(
            layers={RECURRENT: self.latent, "encoder": 2 * picture + width},
            linear={"readout": Linear(width, picture), "posterior": Linear(width, 2 * self.latent)},
        )
