"""The updates of a training: from a batch to its loss, and from there to new parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from tasks import Batch, Task
from tasks.task import one_hot
from variants import ControlRecurrent, Recurrent, streams
from variants.engine.cpu.ending import Ending
from variants.engine.cpu.optimise import Finish
from variants.layers.passes import TrainingPass

from ..networks.network import NetworkModule
from ..networks.reader import Reader, ReaderModule
from .optimiser import Flat, Optimiser
from .trial import Training

MOST_SIZES = 4
"""For how many sizes of a batch the memory of an update is kept."""
GROWTH = 64
"""A longer batch than those before makes room for this many steps, or a multiple of it."""


OF_WHOLE_ANSWERS = ("cross_entropy", "binary_cross_entropy_sum")
"""Forms of losses that are means over answers; others are means over the numbers of answers."""


def counted(batch: Batch) -> float:
    """Return how many answers the loss of a batch is a mean of: the sum of their weights, or of lengths of targets."""
    if batch.target_lengths is not None:
        return float(batch.target_lengths.sum())
    return batch.reads.numel() if batch.weights is None else float(batch.weights.sum())


class Update(Protocol):
    """The updates of a training, each in two steps, since a training ends at a loss that is not finite.

    way: "compiled", or "autograd": torch's derivatives around the layers, torch's optimiser.
    why_autograd: why it is the latter; else empty.
    """

    way: str
    why_autograd: str

    def loss(self, batch: Batch) -> float:
        """Return the task's mean loss on a batch, and prepare its derivatives."""

    def answers(self) -> Tensor:
        """Return the answers [K, B, O] to the last batch; they are valid up to the next one."""

    def step(self) -> None:
        """Clip the gradient of the last loss and take a step of the optimiser."""

    def release(self) -> None:
        """End the updates; the parameters stay where they are."""


def update_of(network: NetworkModule, task: Task, training: Training, flat: Flat, seed: int = 0) -> Update:
    """Return the updates of a network: in compiled code, or by autograd where something cannot be compiled.

    network: in training mode.
    task: whose loss it learns.
    training: names optimiser, clipping, and whether the loss is a mean or a sum.
    flat: the parameters of the network in one vector.
    seed: of the random numbers of a network that draws some.
    """
    why = why_autograd(network, task)
    if why:
        return Autograd(network, task, training, flat, why, seed)
    return Compiled(cast(ReaderModule, network), task, training, flat)


def why_autograd(network: NetworkModule, task: Task) -> str:
    """Return why the updates of a network on a task cannot be compiled; empty where they can."""
    return why_called(network) or ("" if task.loss_form else f"{task.name} has a loss of its own")


def why_called(network: nn.Module) -> str:
    """Return why a network must be called, for updates and looks; empty where its layers can run in prepared memory."""
    if isinstance(network, NetworkModule) and network.network.name != Reader.name:
        return f"the network is {network.network.name}"
    if type(network) is not ReaderModule or "forward" in vars(network):
        return f"the network is a {type(network).__name__} with a forward of its own"
    recurrent = network.recurrent
    if isinstance(recurrent, ControlRecurrent):
        return recurrent.why_no_pass()
    if type(recurrent) is not Recurrent or "forward" in vars(recurrent):
        return f"the layers are a {type(recurrent).__name__} with a forward of its own"
    return recurrent.why_no_pass() or _hooked(network)


def _hooked(network: ReaderModule) -> str:
    """Return what only autograd respects in a network; empty where there is nothing of that kind."""
    readout = network.readout
    if not all(isinstance(p, nn.Parameter) and p.grad is not None for p in (readout.weight, readout.bias)):
        return "the read-out is parametrised, or has no gradient"
    for p in network.parameters():
        if not p.requires_grad or p._backward_hooks or p._post_accumulate_grad_hooks:
            return "a parameter is frozen or has a hook"
    for m in network.modules():
        if m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks:
            return "a module has a hook"
    return ""


class _Size(NamedTuple):
    """The memory of the updates by batches of B sequences.

    steps: the largest T. layers: the passes through the layers. ending: read-out and loss.
    """

    steps: int
    layers: TrainingPass
    ending: Ending


class Compiled:
    """Updates that run in compiled code from the first layer to the new parameters; see `update_of`."""

    way, why_autograd = "compiled", ""

    def __init__(self, network: ReaderModule, task: Task, training: Training, flat: Flat) -> None:
        self._network, self._summed = network, training.loss == "sum"
        self._form, self._outputs = task.loss_form, task.output_size
        self._task, self._loss = task, task.loss
        self._finish = Finish(
            flat.values,
            flat.gradient,
            optimiser=training.optimiser,
            learning_rate=training.learning_rate,
            momentum=training.momentum,
            clip_norm=training.clip_norm,
        )
        self._sizes: dict[tuple[int, bool], _Size] = {}
        self._last: tuple[_Size, Batch] | None = None

    def loss(self, batch: Batch) -> float:
        """See `Update`.

        Raises ValueError where the task has got another loss since its updates were compiled.
        """
        if self._task.loss != self._loss:
            raise ValueError(f"{self._task.name}: loss must stay the same during a training, got another function")
        size = self._size(batch)
        self._last = size, batch
        size.layers.forward(batch.inputs, batch.lengths)
        return self._end()

    def _end(self) -> float:
        """Return the loss for the states that the layers have given."""
        size, batch = self._batch()
        targets = batch.targets
        if targets.dim() == 2 and self._form != "cross_entropy":
            targets = one_hot(targets, self._outputs)
        targets = targets.resolve_neg()
        count = counted(batch)
        scale = 1.0 / (count if self._form in OF_WHOLE_ANSWERS else count * self._outputs)
        summed = scale * (count / batch.size) if self._summed else scale
        return size.ending.run(size.layers.reads(batch.reads), targets, batch.weights, scale, summed)

    def answers(self) -> Tensor:
        """See `Update`."""
        return self._batch()[0].ending.answers

    def step(self) -> None:
        """See `Update`."""
        size, _ = self._batch()
        size.layers.backward()
        size.ending.clear()
        self._finish.step()

    def release(self) -> None:
        """See `Update`."""
        self._sizes.clear()
        self._last = None

    def pieces(self) -> dict[str, Callable[[], object]]:
        """Return what an update consists of, as functions that run each part again on the last batch.

        forward and backward are the layers, with the derivatives by their parameters. Meant for measurements: the
        parameters change.
        """

        def layers() -> TrainingPass:
            return self._batch()[0].layers

        def forward() -> None:
            batch = self._batch()[1]
            layers().forward(batch.inputs, batch.lengths)

        def ending() -> None:
            self._end()
            self._batch()[0].ending.clear()

        return {
            "forward": forward,
            "ending": ending,
            "backward": lambda: layers().backward(),
            "finish": self._finish.step,
        }

    def _batch(self) -> tuple[_Size, Batch]:
        if self._last is None:
            raise RuntimeError("an update begins with the loss of a batch")
        return self._last

    def _size(self, batch: Batch) -> _Size:
        """Return the memory for a batch."""
        steps, sequences = batch.inputs.shape[:2]
        key = (sequences, batch.lengths is not None)
        found = self._sizes.get(key)
        if found is None or found.steps < steps:
            if found is not None:
                steps += -steps % GROWTH
            elif len(self._sizes) >= MOST_SIZES:
                self._sizes.clear()
            found = self._sizes[key] = self._made(steps, *key)
        return found

    def _made(self, steps: int, batch: int, padded: bool) -> _Size:
        recurrent, readout = self._network.recurrent, self._network.readout
        assert not isinstance(recurrent, ControlRecurrent)
        layers = recurrent.training_pass(steps, batch, padded=padded)
        weight, bias = readout.weight, readout.bias
        assert weight.grad is not None
        assert bias.grad is not None
        ending = Ending(
            self._form.removesuffix("_sum"),
            steps=steps,
            batch=batch,
            units=layers.sequences[0].shape[-1],
            answers=len(bias),
            weight=weight.detach(),
            bias=bias.detach(),
            weight_gradient=weight.grad,
            bias_gradient=bias.grad,
            sequences=layers.sequences,
            derivatives=layers.derivatives,
        )
        return _Size(steps, layers, ending)


class Autograd:
    """Updates by torch's derivatives and optimiser; see `update_of`."""

    way = "autograd"

    def __init__(
        self, network: NetworkModule, task: Task, training: Training, flat: Flat, why: str, seed: int = 0
    ) -> None:
        self.why_autograd = why
        self._network, self._task, self._training, self._flat = network, task, training, flat
        self._generator = streams(seed)("latent")
        self._optimiser = Optimiser(flat.values, flat.gradient, training)
        self._outputs = self._loss = torch.empty(0)
        flat.start_training()

    def loss(self, batch: Batch) -> float:
        """See `Update`."""
        if self._network.answering:
            self._outputs = self._network(batch)
            loss = self._task.loss(self._outputs, batch)
        else:
            loss = self._network.objective(batch, self._generator)
        value = loss.item()
        self._loss = loss * (counted(batch) / batch.size) if self._training.loss == "sum" else loss
        return value

    def answers(self) -> Tensor:
        """See `Update`."""
        return self._outputs.detach()

    def step(self) -> None:
        """See `Update`."""
        self._flat.gradient.zero_()
        torch.autograd.backward(self._loss)
        if self._training.clip_norm > 0:
            self._flat.clip(self._training.clip_norm)
        self._optimiser.step()

    def release(self) -> None:
        """See `Update`."""
        self._flat.release()
