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
    weights: [K, B] float32, 0 or more, how much each answer counts in losses and metrics; where it is 0 nothing is
        asked, and `reads` may be 0 there. Each sequence is asked something. None where all answers count alike.
    target_lengths: [B] int64 in 1..S where the targets [S, B] are a sequence of their own for each input, not one for
        each answer; else None.

    >>> from tasks import Adding
    >>> batch = Adding(lag=20).batch(3, torch.Generator().manual_seed(0))
    >>> batch.inputs.shape[1:], batch.targets.shape, batch.reads.shape
    (torch.Size([3, 2]), torch.Size([1, 3, 1]), torch.Size([1, 3]))
    """

    inputs: Tensor
    targets: Tensor
    reads: Tensor
    lengths: Tensor | None = None
    weights: Tensor | None = None
    target_lengths: Tensor | None = None

    @property
    def size(self) -> int:
        """The number of sequences B."""
        return self.reads.shape[1]

    def part(self, start: int, stop: int | None) -> Batch:
        """Return the sequences `start` to `stop` (without it), up to the last one where `stop` is None.

        They share memory with this batch, and end with the longest of them as in `select`.
        """
        own = slice(start, stop)
        return self._trimmed(lambda values, axis: values[(slice(None),) * axis + (own,)])

    def select(self, chosen: Tensor) -> Batch:
        """Return some sequences in an order of your own.

        chosen: [n] int64, their numbers in this batch.

        Returns n sequences. Steps after the end of the longest of them are left out, and so are last answers that none
        of them is asked.
        """
        return self._trimmed(lambda values, axis: values.index_select(axis, chosen))

    def _trimmed(self, taken: Callable[[Tensor, int], Tensor]) -> Batch:
        """Return what `taken` takes of each field along the axis of sequences, without what none of them needs."""
        inputs, targets, reads = (taken(v, 1) for v in self[:3])
        lengths, targets_end = (None if v is None else taken(v, 0) for v in (self.lengths, self.target_lengths))
        weights = None if self.weights is None else taken(self.weights, 1)
        if lengths is not None and lengths.numel():
            inputs = inputs[: int(lengths.max())]
        if weights is not None:
            asked = int((weights > 0).any(1).nonzero().amax()) + 1 if weights.numel() else len(weights)
            reads, weights = reads[:asked], weights[:asked]
            targets = targets if targets_end is not None else targets[:asked]
        if targets_end is not None and targets_end.numel():
            targets = targets[: int(targets_end.max())]
        return Batch(inputs, targets, reads, lengths, weights, targets_end)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of numbers that belong to answers.

    values: [K, B].
    weights: [K, B], as in `Batch`; None for the plain mean.

    Returns a scalar, sum(weights * values) / sum(weights). A number that is not finite and has no weight is left out.

    >>> weighted_mean(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([[1.0], [1.0], [0.0]]))
    tensor(2.)
    """
    if weights is None:
        return values.mean()
    return torch.where(weights > 0, values * weights, 0.0).sum() / weights.sum()


def sequence_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over sequences of their mean number; see `weighted_mean`.

    >>> sequence_mean(torch.tensor([[1.0, 4.0], [3.0, 9.0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    tensor(3.)
    """
    if weights is None:
        return values.mean()
    return (torch.where(weights > 0, values * weights, 0.0).sum(0) / weights.sum(0)).mean()


LOSS_FORMS = (
    *("squared_error", "logistic_squared_error", "cross_entropy"),
    *("binary_cross_entropy", "binary_cross_entropy_sum"),
)
"""What a trainer may compute instead of calling `Task.loss`; see `loss_form`."""
Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def loss_form(form: Callable[[Any], str]) -> Callable[[Loss], Loss]:
    """Decorate a `loss` with the name of what it computes, so that a trainer can compute the same in compiled code.

    form: gives, for a task, one of `LOSS_FORMS` (the mean over all answers, and over their numbers or classes as torch
        has it: `mse_loss` of the answers or of their sigmoids, `cross_entropy`, `binary_cross_entropy_with_logits`), or
        an empty string where the loss is none of these; `binary_cross_entropy_sum` is the sum over the outputs of an
        answer. Answers count by their weights. Classes as targets of a squared error stand for one-hot vectors.

    The name belongs to the function: a class that overrides `loss` does not inherit it, and is trained by autograd.
    """

    def decorate(loss: Loss) -> Loss:
        loss.form, loss.formed = form, loss  # type: ignore[attr-defined]
        return loss

    return decorate


class Task:
    """What must be remembered, and when it counts as solved.

    A subclass with a name is registered: `class Adding(Regression, name="adding")`. It defines `batch`, `loss`,
    `solved` and `oracle`; `Regression`, `Classification` and `MultiLabel` have the loss already. `DataTask` is for a
    finite set of sequences. Keyword arguments of `__init__` are the knobs of the task; they become its typed
    configuration.

    Attributes:
        registry: all classes with a name, by name.
        name: under which the task is registered; for a class without a name that of the class.
        source: where the definition comes from. It becomes the last line of the docstring.
        evaluation_size: number of sequences in a validation or test set, large enough for the criterion.
        lag: number of steps over which information must be kept, a knob of every synthetic task; None where there is
            no such number.
        input_size: width I of the inputs.
        output_size: width O of the answers.
        floor: loss of the best model without memory, one that sees the present step only.
        solved_loss: loss at which the score reaches 1; None for a task without a criterion of success.
        reference: for a task without a criterion, the loss at which the score reaches 1.
        reference_source: whose loss that is, and what differs there.
        unit: of the loss, such as "nats per step".
        unit_scale: what a loss is multiplied by to be a number in this unit: 1 / ln 2 where `loss` is in nats and the
            unit in bits.
        causal: whether answers are steps to come, so that a network that reads backwards would see them.

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
    unit: str = ""
    unit_scale: float = 1.0
    causal: bool = False

    lag: int | None
    input_size: int
    output_size: int
    floor: float
    solved_loss: float | None
    reference: float | None = None
    reference_source: str = ""

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
        loss = getattr(self.loss, "__func__", None)
        # a function around the decorated one may have its attributes: functools.wraps copies them
        form = getattr(loss, "form", None) if getattr(loss, "formed", None) is loss else None
        return "" if form is None else str(form(self))

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

        Returns True where they meet the task's criterion, always False for a task without one.
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

    def further_tests(self, size: int, generator: torch.Generator) -> dict[str, Batch]:
        """Draw sets that a trained network is tested on besides the test set, such as longer sequences.

        size: number of sequences of each.
        generator: where all random numbers come from.

        Returns batches by name. The metrics of the batch "x10" are reported as `loss_x10`, `accuracy_x10` and so on.
        """
        return {}

    def baselines(self) -> dict[str, float]:
        """Return the losses of simple models that this task knows of, by a name that a reader understands."""
        return {}

    def score(self, loss: float) -> float:
        """Say how far a loss has come from the floor to `solved_loss`, on a logarithmic scale.

        For a task without a criterion: from the floor to `reference`, on a linear scale.

        loss: of a validation or test set.

        Returns a number in [0, 1], 0 for a loss that is not finite. Higher is better.
        """
        if not math.isfinite(loss):
            return 0.0
        if self.solved_loss is None:
            return min(1.0, max(0.0, (self.floor - loss) / (self.floor - (self.reference or 0.0))))
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

    unit = "squared error"

    @loss_form(lambda task: "squared_error")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.shape != batch.targets.shape:  # else they would be broadcast
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must have the shape of the answers, [K, B, O] = {shapes}")
        if batch.weights is None:
            return functional.mse_loss(outputs, batch.targets)
        return weighted_mean((outputs - batch.targets).square().mean(-1), batch.weights)


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

    solved_loss: float | None = -math.log(0.99)
    unit = "nats"

    @loss_form(lambda task: "cross_entropy")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        if outputs.dim() != 3 or outputs.shape[:2] != batch.targets.shape:
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must be one class for each of the answers [K, B, O] = {shapes}")
        if batch.weights is None:
            return functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())
        losses = functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten(), reduction="none")
        return weighted_mean(losses.view_as(batch.targets), batch.weights)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        hits = (outputs.argmax(-1) == batch.targets).float()
        return {"loss": float(self.loss(outputs, batch)), "accuracy": float(weighted_mean(hits, batch.weights))}

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99


class MultiLabel(Task):
    """A task whose answers are O independent probabilities, as of the keys of a piano that sound together.

    The loss is the binary cross-entropy of the logits, summed over the outputs of an answer, in nats.

    >>> class Keys(MultiLabel):
    ...     pass
    >>> batch = Batch(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 1.0]]]), torch.zeros(1, 1, dtype=torch.int64))
    >>> Keys().loss(torch.zeros(1, 1, 2), batch)  # two fair coins
    tensor(1.3863)
    """

    unit = "nats per step"

    @loss_form(lambda task: "binary_cross_entropy_sum")
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return weighted_mean(self._of_answers(outputs, batch), batch.weights)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        losses = self._of_answers(outputs, batch)
        return {
            "loss": float(weighted_mean(losses, batch.weights)),
            "sequence_loss": float(sequence_mean(losses, batch.weights)),
        }

    def _of_answers(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each answer, [K, B]."""
        if outputs.shape != batch.targets.shape:  # else they would be broadcast
            shapes = f"{list(outputs.shape)}, got {list(batch.targets.shape)}"
            raise ValueError(f"{self.name}: targets must have the shape of the answers, [K, B, O] = {shapes}")
        return functional.binary_cross_entropy_with_logits(outputs, batch.targets, reduction="none").sum(-1)


class Density(MultiLabel):
    """A task in which nothing is asked but the sequences themselves: say how probable they are, step by step.

    The targets are the steps, and the input of a step is the step before, zeros before the first one (or what is given
    of the sequence). Each step is O bits. A network with a read-out gives each bit a probability of its own, so that
    its likelihood is a product over the bits; a network with latent variables gives the bits a joint one, and its loss
    is the negative of a lower bound on the log-likelihood. All losses are in nats a step.

    Solved when the loss is at most `solved_loss`, where the entropy of the sequences is known; never elsewhere.

    Attributes:
        likelihood: what a step is, given all that is known: "bernoulli", bits.
        entropy: of the sequences, in nats a step; None where nobody knows it, as of data.
        steps: T of every sequence; None where sequences differ in length.

    >>> from tasks import JointBits
    >>> task = JointBits()
    >>> batch = task.batch(3, torch.Generator().manual_seed(0))
    >>> batch.inputs[1:].equal(batch.targets[:-1]), batch.inputs[0].any().item()
    (True, False)
    """

    likelihood: ClassVar[str] = "bernoulli"
    causal = True
    entropy: float | None = None
    steps: int | None = None

    def solved(self, metrics: dict[str, float]) -> bool:
        return self.solved_loss is not None and metrics["loss"] <= self.solved_loss

    def oracle(self, batch: Batch) -> Tensor:
        """Compute the exact log-probability of each step, given the steps before it.

        batch: whose targets are the steps.

        Returns [K, B] in nats. A class without a known distribution does not define it.
        """
        raise NotImplementedError


def step_by_step(steps: Tensor) -> Batch:
    """Make a batch for a `Density` of sequences of the same length.

    steps: [T, B, O] float32, bits.

    Returns a batch that hears each step after it has been asked for.

    >>> step_by_step(torch.ones(3, 1, 2)).inputs[:, 0].tolist()
    [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    """
    before = torch.cat((torch.zeros_like(steps[:1]), steps[:-1]))
    reads = torch.arange(len(steps)).view(-1, 1).expand(steps.shape[:2])
    return Batch(before, steps, reads.contiguous())


PARTS = ("train", "validation", "test")
"""The parts of a `DataTask`."""


class DataTask(Task):
    """A task whose sequences are a finite set in three parts: to train on, to choose by, and to report on.

    A subclass also takes one of the classes with a loss: `class Chorales(DataTask, MultiLabel, name="chorales")`. Its
    `__init__` loads the data, sets the sizes and the floor, and calls `set_data`, to which it passes its last knob,
    `sha256: str = ""`. The configuration of a study fills that knob in, so that the study refuses data that have been
    changed since.

    Attributes:
        parts: the data, by the names in `PARTS`.
        fingerprint: SHA-256 over the data and their parts, in hexadecimal digits.
        sha256: the fingerprint that the data must have; empty for any.
    """

    evaluation_size = 1
    lag = None
    solved_loss: float | None = None
    parts: dict[str, Batch]
    fingerprint: str
    sha256: str

    def set_data(self, parts: dict[str, Batch], fingerprint: str, sha256: str) -> None:
        """Set the attributes `parts`, `fingerprint` and `sha256`; the constructors of tasks use this.

        Raises ValueError where `sha256` is given and is not the fingerprint.
        """
        self.parts, self.fingerprint, self.sha256 = parts, fingerprint, sha256
        self.check_fingerprint(sha256)

    def part(self, name: str) -> Batch:
        """Return a part of the data, padded once, in an order of sequences that does not depend on their lengths.

        name: one of `PARTS`.

        Returns the same batch each time.
        """
        return self.parts[name]

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw sequences of the training part with replacement; a training takes them in epochs instead."""
        every = self.part("train")
        return every.select(torch.randint(every.size, (size,), generator=generator))

    def solved(self, metrics: dict[str, float]) -> bool:
        return False

    def understood(self) -> list[str]:
        """Return what was made of the data, one fact a line: for the card of the task."""
        return [f"{name.capitalize()}: {self.part(name).size} sequences." for name in PARTS]

    def check_fingerprint(self, sha256: str) -> None:
        """Raise ValueError where a fingerprint is given that the data do not have."""
        if sha256 not in ("", self.fingerprint):
            raise ValueError(
                f"{self.name}: the data must be those that this was made with, of the SHA-256 {sha256[:12]}..., got "
                f"{self.fingerprint[:12]}..."
            )
