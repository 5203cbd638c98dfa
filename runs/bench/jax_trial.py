"""A trial in JAX: an update with clipping and Adam that is compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy
import torch
from torch import Tensor

from tasks import Batch, Task
from tasks.task import Classification

from ..trial.classes import construct
from ..trial.trial import Trial
from .plain import follow
from .scan import Parameters, load, outputs, start
from .trials import Stopping

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # constants of Adam


class Compiled:
    """The two functions that a trial calls, compiled once for each shape of their arguments.

    name: one of `scan.GATES`.
    classes: whether answers are classes, by cross-entropy; else they are numbers, by squared error.
    rate, largest: learning rate, and norm of the gradient above which it is clipped.
    """

    def __init__(self, name: str, classes: bool, rate: float, largest: float) -> None:
        jax = load()

        def answers(p: Any, x: Any, count: int) -> Any:
            return outputs(name, p, x)[-count:] @ p["V"] + p["d"]

        def loss(p: Any, x: Any, targets: Any) -> Any:
            found = answers(p, x, len(targets))
            if not classes:
                return ((found - targets) ** 2).mean()
            right = jax.numpy.take_along_axis(jax.nn.log_softmax(found), targets[..., None], axis=-1)
            return -right.mean()

        def update(state: Any, x: Any, targets: Any) -> Any:
            value, gradient = jax.value_and_grad(loss)(state[0], x, targets)
            return value, adam(state, gradient, rate, largest)

        self.answers = partial(jax.jit, static_argnames="count")(answers)
        self.update = jax.jit(update, donate_argnums=0)


def adam(state: Any, gradient: Any, rate: float, largest: float) -> Any:
    """Return parameters, means, squares and count after one clipped step.

    state: the same before it.
    gradient: as the parameters.
    rate, largest: learning rate and largest norm.

    Source: Kingma & Ba 2015, "Adam".
    """
    jax = load()
    jnp, over = jax.numpy, jax.tree_util.tree_map
    p, mean, square, count = state
    count = count + 1
    norm = jnp.sqrt(sum((g * g).sum() for g in jax.tree_util.tree_leaves(gradient)))
    gradient = over(lambda g: g * jnp.minimum(1.0, largest / (norm + 1e-6)), gradient)
    mean = over(lambda m, g: FIRST * m + (1 - FIRST) * g, mean, gradient)
    square = over(lambda v, g: SECOND * v + (1 - SECOND) * g * g, square, gradient)
    size, scale = rate / (1 - FIRST**count), jnp.sqrt(1 - SECOND**count)
    return over(lambda w, m, v: w - size * m / (jnp.sqrt(v) / scale + TINY), p, mean, square), mean, square, count


class Learner:
    """What learns in the loop of `plain.follow`.

    compiled: its two functions.
    parameters: as they start.
    """

    def __init__(self, compiled: Compiled, parameters: Parameters) -> None:
        jax = load()
        self._compiled = compiled
        mean, square = (jax.tree_util.tree_map(jax.numpy.zeros_like, parameters) for _ in range(2))
        self._state = parameters, mean, square, jax.numpy.zeros(())

    def update(self, batch: Batch) -> float:
        """Make one update and return the loss before it."""
        loss, self._state = self._compiled.update(self._state, batch.inputs.numpy(), batch.targets.numpy())
        return float(loss)

    def answers(self, batch: Batch) -> Tensor:
        """Return the answers to a batch, [K, B, O]."""
        found = self._compiled.answers(self._state[0], batch.inputs.numpy(), count=len(batch.reads))
        return torch.from_numpy(numpy.array(found))


def contestant(trial: Trial) -> Callable[[Trial, Stopping], list[float]]:
    """Return a contestant for trials that differ from this one in the number of updates; it is compiled once."""
    name, task, training = trial.variant["label"], construct(trial.task, Task), trial.training
    compiled = Compiled(name, isinstance(task, Classification), training.learning_rate, training.clip_norm)

    def jax(trial: Trial, stopping: Stopping) -> list[float]:
        parameters = start(name, task.input_size, trial.model.hidden_size, task.output_size)
        return follow(Learner(compiled, parameters), task, trial, stopping)

    return jax
