"""All parameters of a network as one vector, and the optimisers of torch on it."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.sgd import sgd

from variants import FlatMemory, Recurrent

from .trial import Training


class Flat:
    """The parameters of a network as one vector and their gradients as another: clipping and optimiser are one
    operation each.

    The network's own parameters and gradients become views of the two. A parameter that layers share is there once.
    """

    def __init__(self, network: nn.Module) -> None:
        memory = FlatMemory(network.parameters())
        self.values, self.gradient = memory.values, memory.gradient
        self._recurrent = [m for m in network.modules() if isinstance(m, Recurrent)]
        for module in self._recurrent:
            module.flatten_parameters(memory)

    def start_training(self) -> None:
        """Reuse the buffers of training steps by autograd, until `release`."""
        for module in self._recurrent:
            module.start_training()

    def release(self) -> None:
        """Stop reusing the buffers of training steps; the network's parameters stay views of the vector."""
        for module in self._recurrent:
            module.end_training()

    def clip(self, largest: float) -> None:
        """Scale the gradient down to this norm where its own is larger; one that is not finite stays so."""
        norm = float(torch.linalg.vector_norm(self.gradient))
        if not norm <= largest:
            self.gradient.mul_(largest / norm)


class Optimiser:
    """Updates a vector of parameters by their gradient.

    values: the parameters [P], which every step changes in place.
    gradient: [P], read at every step.
    training: names the optimiser, its learning rate and its momentum.

    It calls the functional forms of torch's optimisers, because the classes around them import torch.compile at their
    first step, which takes seconds.
    """

    def __init__(self, values: torch.Tensor, gradient: torch.Tensor, training: Training) -> None:
        self._training, self._vectors = training, ([values], [gradient])
        self._mean, self._square, self._count = torch.zeros_like(values), torch.zeros_like(values), torch.zeros(())
        self._momentum: list[torch.Tensor | None] = [None]

    def step(self) -> None:
        """Take one step: of Adam with its published constants, of SGD with Nesterov momentum, or of plain SGD.

        Source: Kingma & Ba 2015, "Adam"; for the second Greff et al. 2017, section III, who scale the learning rate by
        1 - momentum.
        """
        given = self._training
        momentum = given.momentum if given.optimiser == "nesterov" else 0.0
        if given.optimiser == "adam":
            # Adam(fused=True) calls this as well; what it does around the call takes longer than the update of a
            # small network.
            torch._fused_adam_(
                *self._vectors,
                *([self._mean], [self._square], [], [self._count.add_(1)]),
                lr=given.learning_rate,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
        else:
            sgd(
                *self._vectors,
                self._momentum,
                fused=True,
                weight_decay=0.0,
                momentum=momentum,
                lr=given.learning_rate * (1.0 - momentum),
                dampening=0.0,
                nesterov=momentum > 0,
                maximize=False,
            )
