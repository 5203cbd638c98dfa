"""What networks with latent variables share: their distributions, the bounds on the likelihood, and what is measured.

A network with latent variables z says how probable a sequence x is: p(x) is the mean of p(x | z) over the prior p(z).
The mean cannot be computed, but bounded from below by draws of z from a posterior q(z | x) that is learned as well:

    ELBO       = E[ln p(x | z)] - KL(q(z | x) || p(z))                   z drawn from q; what training maximises
    bound of K = E[ln 1/K sum over k of p(x | z_k) p(z_k) / q(z_k | x)]  grows with K, and never exceeds ln p(x)

Source: Kingma & Welling 2014, "Auto-Encoding Variational Bayes"; Burda, Grosse & Salakhutdinov 2016, "Importance
Weighted Autoencoders", for the second bound.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tasks import Batch, Task
from tasks.task import Density
from variants import Recurrent

from .network import Network, NetworkModule, Readout, Setting

LEAST_SCALE = 1e-3
"""The smallest standard deviation of a latent variable, so that no divergence is infinite."""
BERNOULLI = "bernoulli"
"""The likelihood that these networks have: a step is bits."""
USED = 0.01
"""A latent dimension is used, if its divergence from the prior is larger, in nats a step."""
MOST_COPIES = 4096
"""How many sequences a look evaluates at a time; each counts once for every draw of its latent variables."""


class Normal(NamedTuple):
    """Independent normal distributions.

    mean: [..., Z].
    scale: [..., Z], the standard deviations, above 0.
    """

    mean: Tensor
    scale: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """Return a draw [..., Z] for standard normal noise [..., Z]."""
        return self.mean + self.scale * noise

    def log_density(self, values: Tensor) -> Tensor:
        """Return the logarithm of the density [...] at values [..., Z]."""
        standard = (values - self.mean) / self.scale
        return (-0.5 * standard.square() - self.scale.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def divergence(self, other: Normal) -> Tensor:
        """Return the Kullback-Leibler divergence KL(self || other) of each dimension, [..., Z], in nats."""
        ratio = (self.scale / other.scale).square()
        shift = ((self.mean - other.mean) / other.scale).square()
        return 0.5 * (ratio + shift - 1 - ratio.log())

    def copied(self, copies: int) -> Normal:
        """Return the distributions of [T, B, Z] for so many copies of each sequence, [T, copies * B, Z]."""
        return Normal(self.mean.repeat(1, copies, 1), self.scale.repeat(1, copies, 1))


def normal_of(values: Tensor) -> Normal:
    """Return normal distributions [..., Z] of what a linear map gives, [..., 2 Z]: first the means, then the scales."""
    mean, raw = values.chunk(2, -1)
    return Normal(mean, functional.softplus(raw) + LEAST_SCALE)


def standard_normal(like: Tensor) -> Normal:
    """Return normal distributions of mean 0 and scale 1, one for each number of a tensor."""
    return Normal(torch.zeros_like(like), torch.ones_like(like))


def log_likelihood(logits: Tensor, steps: Tensor) -> Tensor:
    """Return the logarithm of the probability of bits.

    logits: [..., O], of the probability that a bit is on.
    steps: [..., O], the bits.

    Returns [...] in nats.
    """
    return -functional.binary_cross_entropy_with_logits(logits, steps, reduction="none").sum(-1)


class Terms(NamedTuple):
    """What the bounds of sequences consist of, for one draw of the latent variables of each sequence.

    likelihood: [B], ln p(x | z).
    divergence: [B, Z], KL(q || p) of each latent dimension, summed over steps; exact given what was drawn before.
    ratio: [B], ln p(z) - ln q(z | x) of the draw.
    """

    likelihood: Tensor
    divergence: Tensor
    ratio: Tensor

    @property
    def elbo(self) -> Tensor:
        """The ELBO of each sequence with the exact divergence, [B]; its mean over draws is below ln p(x)."""
        return self.likelihood - self.divergence.sum(-1)


def bound(terms: Terms, copies: int) -> Tensor:
    """Return the importance-weighted bound of each sequence.

    terms: of copies * B sequences, all sequences of the first copy first.
    copies: K, the number of draws.

    Returns [B] in nats. With one copy its mean is that of the ELBO.
    """
    weights = (terms.likelihood + terms.ratio).view(copies, -1)
    return weights.logsumexp(0) - math.log(copies)


class LatentModule(NetworkModule):
    """The module of a network with latent variables; a subclass defines `terms` and `sample`."""

    answering: ClassVar[bool] = False
    network: Latent
    task: Density
    readout: Readout

    def terms(self, batch: Batch, copies: int, generator: torch.Generator) -> Terms:
        """Draw the latent variables of sequences, and return what their bounds consist of.

        batch: B sequences, whose targets are the steps.
        copies: how often each sequence is drawn for.
        generator: where the noise comes from.

        Returns the terms of copies * B sequences, all sequences of the first copy first.
        """
        raise NotImplementedError

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, steps: int | None = None) -> Tensor:
        """Draw sequences from the model.

        count: n, how many.
        generator: where all random numbers come from.
        steps: T, by default as many as every sequence of the task has.

        Returns [T, n, O], bits.
        Raises ValueError where sequences of the task differ in length and no number of steps is given.
        """
        raise NotImplementedError

    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the negative ELBO in nats a step, with one draw of the latent variables."""
        return -self.terms(batch, 1, generator).elbo.sum() / steps_of(batch)

    def look(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Measure the bounds of sequences, in nats a step.

        Returns `loss`, the negative importance-weighted bound; `negative_elbo`; `kl`, the divergence of posterior and
        prior that the ELBO contains; `largest_kl`, that of the latent dimension with the largest one; and
        `used_dimensions`, how many latent dimensions have more than .01 nats a step, of all `latent_dimensions`.
        """
        found, kl = self.measured(batch, generator)
        used = float((kl > USED).sum())
        own = {"kl": float(kl.sum()), "largest_kl": float(kl.max()), "used_dimensions": used}
        return {**found, **own, "latent_dimensions": float(len(kl))}

    @torch.no_grad()
    def measured(self, batch: Batch, generator: torch.Generator) -> tuple[dict[str, float], Tensor]:
        """Return `loss` and `negative_elbo` as `look` has them, and the divergence of each latent dimension, [Z].

        batch: of any size; it is divided, so that memory stays small.
        generator: where the noise comes from.
        """
        copies, size = self.network.samples, max(1, MOST_COPIES // self.network.samples)
        best, elbo, kl = 0.0, 0.0, torch.zeros(self.network.latent, dtype=torch.float64)
        for start in range(0, batch.size, size):
            terms = self.terms(batch.part(start, start + size), copies, generator)
            best += float(bound(terms, copies).double().sum())
            elbo += float(terms.elbo.double().sum()) / copies
            kl += terms.divergence.double().sum(0) / copies
        count = steps_of(batch)
        return {"loss": -best / count, "negative_elbo": -elbo / count}, kl / count

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return standard normal noise in the precision of the parameters."""
        return torch.randn(shape, generator=generator).to(self.readout.weight.dtype)

    def steps_to_sample(self, steps: int | None) -> int:
        """Return how many steps a sample has; see `sample`."""
        found = self.task.steps if steps is None else steps
        if found is None:
            name = self.network.name
            raise ValueError(f"{name}: steps must be given, since sequences of {self.task.name} differ in length")
        return found


def steps_of(batch: Batch) -> float:
    """Return how many steps of all sequences of a batch are asked for."""
    return float(batch.reads.numel()) if batch.weights is None else float(batch.weights.sum())


def one_step(layers: Recurrent, inputs: Tensor, state: tuple[Any, ...] | None) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the output [B, H] of layers after one step, and their state.

    layers: what is called.
    inputs: [B, I].
    state: as the call before returned it; None before the first one.
    """
    outputs, state = layers(inputs.unsqueeze(0), state)
    return outputs[0], state


def asked(batch: Batch, copies: int) -> Tensor:
    """Return how much each step counts, [T, copies * B], or [1, 1] where all count alike."""
    return torch.ones(1, 1) if batch.weights is None else batch.weights.repeat(1, copies)


class Latent(Network):
    """A network with latent variables, whose loss is the negative of a bound on the log-likelihood.

    latent: number of latent variables Z of a step, at least 1.
    samples: K of the importance-weighted bound, by which looks and tests measure, at least 1.
    """

    def __init__(self, *, latent: int = 8, samples: int = 16) -> None:
        self.latent, self.samples = latent, samples
        for name in ("latent", "samples"):
            self.require(name, 1)

    def require(self, knob: str, least: int) -> None:
        """Raise ValueError, naming network, knob, rule and value, for a knob that is smaller."""
        value = getattr(self, knob)
        if value < least:
            raise ValueError(f"{self.name}: {knob} must be at least {least}, got {value}")

    def refuse(self, setting: Setting) -> None:
        """Raise ValueError for a task without a likelihood, and for layers that read backwards."""
        task = setting.task
        if not isinstance(task, Density):
            raise ValueError(
                f"{self.name}: task must ask for the probability of sequences, as {', '.join(densities())} do, got "
                f"{task.name}"
            )
        if task.likelihood != BERNOULLI:
            raise ValueError(f"{self.name}: the likelihood of {task.name} must be {BERNOULLI}, got {task.likelihood}")
        if setting.model.bidirectional:
            raise ValueError(
                f"{self.name}: model.bidirectional must be false, since steps are drawn one after the other, got true"
            )

    def refuse_masks(self, setting: Setting) -> None:
        """Raise ValueError for a mask of a whole sequence, where layers are called once a step."""
        rate = setting.model.recurrent_dropout
        if rate > 0:
            raise ValueError(
                f"{self.name}: model.recurrent_dropout must be 0, since its mask holds for a whole sequence and the "
                f"layers are called once a step, got {rate}"
            )


def densities() -> list[str]:
    """Return the names of the tasks that ask for the probability of sequences."""
    return sorted(name for name, cls in Task.registry.items() if issubclass(cls, Density))
