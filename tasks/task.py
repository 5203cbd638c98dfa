"""The contract of a task: what must be remembered, for how long, when it counts as solved, and under which name.

Shapes: T steps, B sequences, I inputs, O outputs, K answers per sequence; time comes first. A task draws everything
from the generator it is given and knows nothing of models.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional


class Batch(NamedTuple):
    """Sequences, and what is asked of them; `tasks.contract` refuses a batch that does not fit this description.

    inputs: [T, B, I] float32, finite. T may differ from batch to batch.
    targets: [K, B, O] float32, finite (regression), or [K, B] int64, classes in 0..O-1 (classification).
    reads: [K, B] int64 in 0..T-1, the step at which each answer is read from the model's output.
    lengths: [B] int64 in 1..T, the number of steps of each sequence, or None where all have T. What comes after the
        end of a sequence changes nothing.

    >>> from tasks import Adding
    >>> batch = Adding(lag=20).batch(3, torch.Generator().manual_seed(0))
    >>> batch.inputs.shape[1:], batch.targets.shape, batch.reads.shape
    (torch.Size([3, 2]), torch.Size([1, 3, 1]), torch.Size([1, 3]))
    """

    inputs: Tensor
    targets: Tensor
    reads: Tensor
    lengths: Tensor | None = None


LOSS_FORMS = ("squared_error", "logistic_squared_error", "cross_entropy", "binary_cross_entropy")
"""What a trainer may compute instead of calling `Task.loss`; see `loss_form`."""
Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def loss_form(form: Callable[[Any], str]) -> Callable[[Loss], Loss]:
    """Decorate a `loss` with the name of what it computes, so that a trainer can compute the same in compiled code.

    form: gives, for a task, one of `LOSS_FORMS` (the mean over all answers, and over their numbers or classes as torch
        has it: `mse_loss` of the answers or of their sigmoids, `cross_entropy`, `binary_cross_entropy_with_logits`), or
        an empty string where the loss is none of these. Classes as targets of a squared error stand for one-hot
        vectors.

    The name belongs to the function: a class that overrides `loss` does not inherit it, and is trained by autograd.
    """

    def decorate(loss: Loss) -> Loss:
        loss.form, loss.formed = form, loss  # type: ignore[attr-defined]
        return loss

    return decorate


class Task:
    """A synthetic task.

    A subclass with a name is registered: `class Adding(Regression, name="adding")`. It defines `batch`, `loss`,
    `solved` and `oracle`; `Regression` and `Classification` have the loss already. Keyword arguments of `__init__` are
    the knobs of the task; they become its typed configuration.

    Attributes:
        registry: all classes with a name, by name.
        name: under which the task is registered; for a class without a name that of the class.
        source: where the definition comes from. It becomes the last line of the docstring.
        evaluation_size: number of sequences in a validation or test set, large enough for the criterion.
        lag: number of steps over which information must be kept; the knob that every task has.
        input_size: width I of the inputs.
        output_size: width O of the answers.
        floor: loss of the best model without memory.
        solved_loss: loss at which the score reaches 1.

    >>> from tasks import Adding
    >>> task = Adding(lag=20)
    >>> task.name, task.input_size, task.output_size
    ('adding', 2, 1)
    >>> task.score(task.floor), task.score(task.solved_loss)
    (0.0, 1.0)
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
        """Check a whole-number knob; the constructors of tasks use this.

        knob: its name.
        least: the smallest value that is allowed.

        Raises ValueError, naming task, knob, rule and value, for a smaller one.
        """
        value = getattr(self, knob)
        if value < least:
            raise ValueError(f"{self.name}: {knob} must be at least {least}, got {value}")

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw a batch.

        size: number of sequences B.
        generator: where all random numbers come from. The same state of it gives the same batch.

        Returns the sequences and what is asked of them.
        """
        raise NotImplementedError

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Compute the mean loss of some answers.

        outputs: the answers [K, B, O].
        batch: what they answer.

        Returns a scalar that gradients flow through.
        Raises ValueError where answers and targets do not fit each other.
        """
        raise NotImplementedError

    @property
    def loss_form(self) -> str:
        """The name of what `loss` computes, see `loss_form`; empty for a loss of its own."""
        loss: Any = getattr(self.loss, "__func__", None)
        # a function around the decorated one may have its attributes: functools.wraps copies them
        known = loss is not None and getattr(loss, "formed", None) is loss
        return str(loss.form(self)) if known else ""

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        """Measure some answers.

        outputs: the answers [K, B, O].
        batch: what they answer.

        Returns numbers by name: `loss`, and what else the task reports, such as `accuracy` or `recall_loss`.
        """
        return {"loss": float(self.loss(outputs, batch))}

    def solved(self, metrics: dict[str, float]) -> bool:
        """Decide whether the task is solved.

        metrics: those of a validation or test set.

        Returns True where they meet the task's criterion.
        """
        raise NotImplementedError

    def oracle(self, batch: Batch) -> Tensor:
        """Compute the targets a second time, in another way than `batch` does; the tests compare the two.

        batch: of which only `inputs` and `lengths` are used.

        Returns [K, B, O] or [K, B], as `Batch.targets`.
        """
        raise NotImplementedError

    def relevant(self, batch: Batch) -> Tensor:
        """Find the steps whose inputs decide the answers: cues, marked numbers, the query. Figures mark them.

        batch: the sequences.

        Returns [T, B] bool, by default False everywhere.
        """
        return torch.zeros(batch.inputs.shape[:2], dtype=torch.bool)

    def score(self, loss: float) -> float:
        """Say how far a loss has come from the floor to `solved_loss`, on a logarithmic scale.

        loss: of a validation or test set.

        Returns a number in [0, 1], 0 for a loss that is not finite. Higher is better.
        """
        if not math.isfinite(loss):
            return 0.0
        if loss <= 0:
            return 1.0
        return min(1.0, max(0.0, math.log(self.floor / loss) / math.log(self.floor / self.solved_loss)))


def one_hot(symbols: Tensor, size: int, present: Tensor | None = None) -> Tensor:
    """Write symbols as one-hot vectors.

    symbols: [T, B] int64 in 0..size-1.
    size: number of symbols.
    present: [T, B] bool; where False the vector is zero. By default all are present.

    Returns [T, B, size].

    >>> one_hot(torch.tensor([[1, 0]]), 3).tolist()
    [[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]
    """
    vectors = torch.zeros(*symbols.shape, size)
    ones = torch.ones_like(symbols, dtype=vectors.dtype) if present is None else present.to(vectors.dtype)
    return vectors.scatter_(2, symbols.unsqueeze(-1), ones.unsqueeze(-1))


class Regression(Task):
    """A task whose answers are real numbers, with the mean squared error as loss.

    >>> from tasks import Adding
    >>> task, generator = Adding(lag=20), torch.Generator().manual_seed(0)
    >>> batch = task.batch(3, generator)
    >>> task.loss(batch.targets + 0.5, batch)
    tensor(0.2500)
    """

    @loss_form(lambda task: "squared_error")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.shape != batch.targets.shape:  # else they would be broadcast
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must have the shape of the answers, [K, B, O] = {shapes}")
        return functional.mse_loss(outputs, batch.targets)


class Classification(Task):
    """A task whose answers are classes, with the cross-entropy in nats as loss; solved at 99 % accuracy.

    `solved_loss` is the loss of a model that gives every right answer the probability 0.99.

    >>> from tasks import DelayedRecall
    >>> task, generator = DelayedRecall(lag=20), torch.Generator().manual_seed(0)
    >>> batch = task.batch(3, generator)
    >>> certain = 100.0 * one_hot(batch.targets, task.output_size)
    >>> task.metrics(certain, batch)
    {'loss': 0.0, 'accuracy': 1.0}
    """

    solved_loss = -math.log(0.99)

    @loss_form(lambda task: "cross_entropy")
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
