"""The contract of a task: what must be remembered, for how long, and when it counts as solved; and the registry.

Shapes: T steps, B sequences, I inputs, O outputs, K answers per sequence; time comes first. A task draws everything
from the generator it is given and knows nothing of models.
"""

from __future__ import annotations

import inspect
import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Batch(NamedTuple):
    """Sequences and what is asked of them. `tasks.contract` refuses a batch that is anything else.

    inputs: [T, B, I] float32, finite. T may differ from batch to batch.
    targets: [K, B, O] float32, finite (regression), or [K, B] int64, classes in 0..O-1 (classification).
    reads: [K, B] int64 in 0..T-1, the step at which each answer is read from the model's output.
    lengths: [B] int64 in 1..T, or None where all sequences are T steps long. What lies behind the end of a sequence
    changes nothing.
    """

    inputs: Tensor
    targets: Tensor
    reads: Tensor
    lengths: Tensor | None = None


class Task:
    """A synthetic task.

    Attributes:
        input_size, output_size: I and O.
        lag: number of steps over which information must be kept; the knob that every task has.
        floor: loss of the best model without memory.
        solved_loss: loss at which the score reaches 1.
        evaluation_size: sequences in a validation or test set that make the criterion meaningful.
        source: where the definition comes from; it becomes the last line of the docstring.

    Keyword arguments of `__init__` are the task's knobs; they become its typed configuration.
    """

    registry: ClassVar[dict[str, type[Task]]] = {}
    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    evaluation_size: ClassVar[int] = 1000

    lag: int
    input_size: int
    output_size: int
    floor: float
    solved_loss: float

    def __init_subclass__(cls, name: str | None = None) -> None:
        super().__init_subclass__()
        if cls.__doc__ and "source" in vars(cls) and "Source:" not in cls.__doc__:
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__)}\n\nSource: {cls.source}."
        if name is None:
            cls.name = cls.__name__  # for messages
            return
        if name in Task.registry:
            other = Task.registry[name]
            raise TypeError(
                f"task name {name!r} is used twice: {other.__module__}.{other.__qualname__} and "
                f"{cls.__module__}.{cls.__qualname__}"
            )
        cls.name = name
        Task.registry[name] = cls

    def require(self, knob: str, least: int) -> None:
        """Raise ValueError, naming task, knob, rule and value, where an integer knob is too small."""
        value = getattr(self, knob)
        if value < least:
            raise ValueError(f"{self.name}: {knob} must be at least {least}, got {value}")

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences, everything from the generator: the same state of it gives the same batch."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean loss of the answers `outputs` [K, B, O], a scalar. Raises ValueError for targets of another shape."""
        raise NotImplementedError

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        """What is reported of the answers [K, B, O]: `loss` and, by task, `accuracy`, `recall_loss`, ..."""
        return {"loss": float(self.loss(outputs, batch))}

    def solved(self, metrics: dict[str, float]) -> bool:
        """The criterion of success, on the metrics of held-out data."""
        raise NotImplementedError

    def oracle(self, batch: Batch) -> Tensor:
        """The targets recomputed from `batch.inputs` (and lengths) alone, by other means than `batch` drew them: [K,
        B(, O)].
        """
        raise NotImplementedError

    def relevant(self, batch: Batch) -> Tensor:
        """The steps whose inputs decide the answers, [T, B] bool: cues, marked numbers, the query.

        Figures mark them; by default none.
        """
        return torch.zeros(batch.inputs.shape[:2], dtype=torch.bool)

    def score(self, loss: float) -> float:
        """How far a loss has come from the floor to solved, on a log scale, in [0, 1]; higher is better."""
        if not math.isfinite(loss):
            return 0.0
        if loss <= 0:
            return 1.0
        return min(1.0, max(0.0, math.log(self.floor / loss) / math.log(self.floor / self.solved_loss)))


def one_hot(symbols: Tensor, size: int, present: Tensor | None = None) -> Tensor:
    """Symbols [T, B] as one-hot vectors [T, B, size], zero where `present` [T, B] is False."""
    vectors = torch.zeros(*symbols.shape, size)
    ones = torch.ones_like(symbols, dtype=vectors.dtype) if present is None else present.to(vectors.dtype)
    return vectors.scatter_(2, symbols.unsqueeze(-1), ones.unsqueeze(-1))


class Regression(Task):
    """A task with real-valued answers and mean squared error."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.shape != batch.targets.shape:  # else they would be broadcast
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must have the shape of the answers, [K, B, O] = {shapes}")
        return functional.mse_loss(outputs, batch.targets)


class Classification(Task):
    """A task whose answers are classes, with cross-entropy in nats; solved at 99 % accuracy.

    `solved_loss` is the loss of a model that gives every right answer the probability 0.99.
    """

    solved_loss = -math.log(0.99)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() != 3 or outputs.shape[:2] != batch.targets.shape:
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must be one class for each of the answers [K, B, O] = {shapes}")
        return functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        hits = (outputs.argmax(-1) == batch.targets).float()
        return {"loss": float(self.loss(outputs, batch)), "accuracy": float(hits.mean())}

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
