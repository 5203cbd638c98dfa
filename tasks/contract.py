"""The contract of a task as checks: a task that breaks it is refused with one sentence and never trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral, Real
from typing import TypeVar

import torch
from torch import Tensor

from .task import LOSS_FORMS, PARTS, Batch, Classification, DataTask, MultiLabel, Regression, Task

T = TypeVar("T")

FEW = 2
"""Sequences that `try_out` draws."""
MOST_NUMBERS = 2**20
"""The largest number of inputs that `try_out` draws. A task with a longer lag is first drawn in its trial."""

_WHOLE = {
    "input_size": (1, "the width I of the inputs"),
    "output_size": (1, "the width O of the answers"),
    "evaluation_size": (1, "the number of sequences in a validation or test set"),
    "lag": (0, "the number of steps over which information must be kept"),
}
_LOSSES = {
    "floor": "the loss of the best model without memory",
    "solved_loss": "the loss at which the score reaches 1",
    "reference": "the loss at which the score of a task without a criterion reaches 1",
}
_OR_NONE = {"lag", "solved_loss", "reference"}
_CASTS = {torch.float32: ".float()", torch.int64: ".long()"}


def draw(task: Task, size: int, generator: torch.Generator) -> Batch:
    """Draw a batch of a task and check it.

    The checks read every number once, which takes little time compared with the training on a batch.

    task: what is drawn from.
    size: number of sequences B.
    generator: where all random numbers come from.

    Returns the batch.
    Raises ValueError, naming the task, where it is not what `Batch` describes.

    >>> from tasks import Adding
    >>> draw(Adding(lag=20), 3, torch.Generator().manual_seed(0)).reads.shape
    torch.Size([1, 3])
    """
    batch = task.batch(size, generator)
    check_batch(task, batch, size)
    return batch


def try_out(task: Task) -> None:
    """Check a task before anything is started.

    Two sequences are drawn, three times. A task whose lag makes even these large is not drawn; then `draw` and
    `check_answers` find mistakes in its trial.

    task: what is checked.

    Raises ValueError, naming the task, the rule and the value, where the task breaks the contract.

    >>> from tasks import Adding
    >>> try_out(Adding(lag=20))
    """
    check_task(task)
    if FEW * (task.lag or 0) * task.input_size > MOST_NUMBERS:
        return
    if isinstance(task, DataTask):
        _check_parts(task)
    batch, again = (_tried(task, "batch", lambda: task.batch(FEW, torch.Generator().manual_seed(0))) for _ in range(2))
    check_batch(task, batch, FEW)
    for name, one, other in zip(Batch._fields, batch, again, strict=True):
        if one is not None and not (isinstance(other, Tensor) and torch.equal(one.nan_to_num(), other.nan_to_num())):
            raise ValueError(
                f"{task.name}: batch must draw from the generator alone, but {name} differ between two "
                "draws of one seed"
            )
    before, guesses = _copied(batch), _guesses(task, batch)
    _tried(task, "batch", lambda: task.batch(FEW, torch.Generator().manual_seed(1)))
    _check_same(
        task, batch, before, "batch must draw into memory of its own, but {name} of one draw change with the next"
    )
    check_loss(task, _tried(task, "loss", lambda: task.loss(guesses, batch)))
    metrics = None
    with suppress(Exception):  # a metric may need more sequences than these
        metrics = task.metrics(guesses.detach(), batch)
    _check_same(task, batch, before, "loss and metrics must leave the batch as it is, but {name} are changed")
    if guesses._version > 0:
        raise ValueError(
            f"{task.name}: loss and metrics must leave the outputs as they are, but they are changed in place"
        )
    if metrics is not None:
        check_metrics(task, metrics)


def check_task(task: Task) -> None:
    """Check the attributes and methods of a task, without drawing from it.

    task: what is checked.

    Raises ValueError where one of them is missing or out of range.
    """
    for method in ("batch", "loss", "solved"):
        if getattr(type(task), method) is getattr(Task, method):
            raise ValueError(f"{task.name}: {method} must be defined")
    if task.loss_form not in ("", *LOSS_FORMS):
        forms = ", ".join(LOSS_FORMS)
        raise ValueError(f"{task.name}: the form of its loss must be one of {forms}, got {task.loss_form!r}")
    for name, (least, meaning) in _WHOLE.items():
        value = _attribute(task, name, meaning)
        if value is None and name in _OR_NONE:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
            raise ValueError(
                f"{task.name}: {name}, {meaning}, must be a whole number of at least {least}, got {value!r}"
            )
    for name, meaning in _LOSSES.items():
        value = _attribute(task, name, meaning)
        if value is None and name in _OR_NONE:
            continue
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise ValueError(f"{task.name}: {name}, {meaning}, must be a finite number, got {value!r}")
    if type(task).score is not Task.score:
        return
    if task.solved_loss is None and not (task.reference or 0.0) < task.floor:
        raise ValueError(f"{task.name}: reference must be below the floor {task.floor}, got {task.reference or 0.0}")
    if task.solved_loss is not None and not 0 < task.solved_loss < task.floor:
        raise ValueError(
            f"{task.name}: solved_loss must be between 0 and the floor {task.floor}, got {task.solved_loss}"
        )


def _check_parts(task: DataTask) -> None:
    """Check every part of the data of a task; a training takes its batches from them."""
    for name in PARTS:
        part = _tried(task, f"part {name}", lambda name=name: task.part(name))  # type: ignore[misc]
        check_batch(task, part, part.size if isinstance(part, Batch) else 0)


def check_batch(task: Task, batch: Batch, size: int) -> None:
    """Check that a batch is what `Batch` describes.

    task: the task that it comes from, for its sizes and its name.
    batch: what is checked.
    size: the number of sequences that was asked for.

    Raises ValueError, naming the task, the rule and the value, where it is not.
    """
    name = task.name
    if not isinstance(batch, Batch):
        raise ValueError(f"{name}: batch must return a tasks.Batch, got {type(batch).__name__}")
    inputs, targets, reads, lengths, weights, target_lengths = batch
    if size < 1:
        raise ValueError(f"{name}: a batch must have at least one sequence, got {size}")
    _tensor(name, "inputs", inputs, torch.float32)
    if inputs.dim() != 3 or tuple(inputs.shape[1:]) != (size, task.input_size) or len(inputs) == 0:
        raise _shape(name, "inputs", f"[T, B, I] = [T, {size}, {task.input_size}], time first", inputs)
    steps = len(inputs)
    _tensor(name, "reads", reads, torch.int64)
    if reads.dim() != 2 or reads.shape[1] != size or len(reads) == 0:
        raise _shape(name, "reads", f"[K, B] = [K, {size}]", reads)
    answers = len(reads)
    if target_lengths is None:
        _check_targets(task, targets, (answers, size))
    else:
        _check_sequences(task, targets, target_lengths, size)
    if weights is not None:
        _check_weights(name, weights, (answers, size))
    _within(name, "reads", reads, 0, steps - 1, f"steps of a sequence of {steps}")
    if lengths is not None:
        _tensor(name, "lengths", lengths, torch.int64)
        if tuple(lengths.shape) != (size,):
            raise _shape(name, "lengths", f"[B] = [{size}]", lengths)
        _within(name, "lengths", lengths, 1, steps, "numbers of steps")
        late = reads >= lengths
        if late.any():
            answer, sequence = late.nonzero()[0].tolist()
            got = f"{int(reads[answer, sequence])} where the length is {int(lengths[sequence])}"
            raise ValueError(f"{name}: reads must be steps within the length of their sequence, got {got}")
    _finite(name, "inputs", inputs, lengths)
    if targets.is_floating_point():
        _finite(name, "targets", targets, None)


def _check_targets(task: Task, targets: Tensor, answers: tuple[int, int]) -> None:
    """Check targets by what the loss of the task computes; a loss of its own may take any.

    answers: K and B.
    """
    name, form, width = task.name, task.loss_form, task.output_size
    either = form == "logistic_squared_error" and isinstance(targets, Tensor)  # classes stand for one-hot vectors
    if isinstance(task, Classification) or form == "cross_entropy" or (either and targets.dtype is torch.int64):
        _tensor(name, "targets", targets, torch.int64)
        if tuple(targets.shape) != answers:
            raise _shape(name, "targets", f"classes [K, B] = {list(answers)}", targets)
        _within(name, "targets", targets, 0, width - 1, "classes")
    elif isinstance(task, Regression | MultiLabel) or form:
        _tensor(name, "targets", targets, torch.float32)
        if tuple(targets.shape) != (*answers, width):
            raise _shape(name, "targets", f"[K, B, O] = {[*answers, width]}", targets)
        if form.startswith("binary_cross_entropy"):
            _within(name, "targets", targets, 0, 1, "probabilities")
    else:
        _tensor(name, "targets", targets, None)
        if tuple(targets.shape[:2]) != answers:
            raise _shape(name, "targets", f"[K, B, ...] = [{answers[0]}, {answers[1]}, ...]", targets)


def _check_weights(name: str, weights: Tensor, answers: tuple[int, int]) -> None:
    _tensor(name, "weights", weights, torch.float32)
    if tuple(weights.shape) != answers:
        raise _shape(name, "weights", f"[K, B] = {list(answers)}", weights)
    _within(name, "weights", weights, 0, math.inf, "0 or more and finite")
    asked = (weights > 0).any(0)
    if not asked.all():
        raise ValueError(
            f"{name}: weights must be above 0 for at least one answer of each sequence, got none for sequence "
            f"{int((~asked).nonzero()[0])}"
        )


def _check_sequences(task: Task, targets: Tensor, lengths: Tensor, size: int) -> None:
    """Check targets that are a sequence of classes for each input; the loss decides which classes there may be."""
    name = task.name
    _tensor(name, "targets", targets, torch.int64)
    if targets.dim() != 2 or targets.shape[1] != size or len(targets) == 0:
        raise _shape(name, "targets", f"[S, B] = [S, {size}]", targets)
    _within(name, "targets", targets, 0, task.output_size - 1, "classes")
    _tensor(name, "target_lengths", lengths, torch.int64)
    if tuple(lengths.shape) != (size,):
        raise _shape(name, "target_lengths", f"[B] = [{size}]", lengths)
    _within(name, "target_lengths", lengths, 1, len(targets), "numbers of targets")


def check_answers(task: Task, batch: Batch) -> None:
    """Check the loss, the metrics, the criterion and the score of random answers.

    task: what is checked.
    batch: a batch of it, checked.

    Raises ValueError where one of them is not what the contract says.
    """
    guesses = _guesses(task, batch)
    check_loss(task, task.loss(guesses, batch))
    check_metrics(task, task.metrics(guesses.detach(), batch))


def check_loss(task: Task, loss: object) -> None:
    """Check what `loss` of a task has returned.

    task: for its name.
    loss: what it has returned.

    Raises ValueError where that is no scalar that gradients flow through.
    """
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        shown = f"a tensor {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"{task.name}: loss must return a scalar tensor, got {shown}")
    if not loss.requires_grad:
        raise ValueError(
            f"{task.name}: loss must depend on the outputs by operations of torch, got a tensor without gradient"
        )


def check_metrics(task: Task, metrics: dict[str, float]) -> None:
    """Check what `metrics` of a task has returned, and what `solved` and `score` make of it.

    task: what is checked.
    metrics: what it has returned.

    Raises ValueError where these are not plain numbers with the loss among them, or where `solved` does not return True
    or False, or `score` no number in [0, 1].
    """
    name = task.name
    if not isinstance(metrics, dict) or "loss" not in metrics:
        shown = f"the keys {', '.join(map(str, metrics))}" if isinstance(metrics, dict) else type(metrics).__name__
        raise ValueError(f"{name}: metrics must return a dictionary with the key 'loss', got {shown}")
    for key, value in metrics.items():
        if not isinstance(value, float | int):
            raise ValueError(
                f"{name}: metrics must be plain numbers, got {type(value).__name__} for {key!r}; use float(...)"
            )
    try:
        solved: object = task.solved(metrics)
    except KeyError as error:
        raise ValueError(
            f"{name}: solved must ask for metrics that there are ({', '.join(metrics)}), got {error}"
        ) from None
    if isinstance(solved, Tensor) or solved not in (True, False):
        raise ValueError(f"{name}: solved must return True or False, got {solved!r}")
    score: object = task.score(metrics["loss"])
    if not isinstance(score, float | int) or not 0 <= score <= 1:
        raise ValueError(f"{name}: score must be a number in 0..1, got {score!r} for the loss {metrics['loss']}")


def _attribute(task: Task, name: str, meaning: str) -> object:
    """Return the value of an attribute. Raises ValueError, saying what it means, where the task has none."""
    if not hasattr(task, name):
        raise ValueError(f"{task.name}: {name}, {meaning}, must be an attribute of the class or of the task, got none")
    value: object = getattr(task, name)
    return value


def _guesses(task: Task, batch: Batch) -> Tensor:
    """Return random answers [K, B, O] that require gradients."""
    return torch.randn(
        *batch.reads.shape, task.output_size, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()


def _tried(task: Task, method: str, call: Callable[[], T]) -> T:
    """Return what a method of a task returns. Any error becomes a ValueError that names the task and the method."""
    try:
        return call()
    except Exception as error:
        raise ValueError(f"{task.name}: {method} raised {type(error).__name__}: {error}") from error


def _tensor(name: str, what: str, value: object, dtype: torch.dtype | None) -> None:
    """Raise ValueError unless a value is a dense tensor of data on the CPU, of the given type where one is given."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: {what} must be a torch.Tensor, got {type(value).__name__}; use torch.as_tensor(...)")
    if dtype is not None and value.dtype != dtype:
        raise ValueError(f"{name}: {what} must be {dtype}, got {value.dtype}; use {_CASTS[dtype]}")
    if value.requires_grad:
        raise ValueError(
            f"{name}: {what} must be data without gradients, got a tensor that requires them; use .detach()"
        )
    if value.layout is not torch.strided:
        raise ValueError(f"{name}: {what} must be a dense tensor, got {value.layout}; use .to_dense()")
    if not value.is_cpu:
        raise ValueError(f"{name}: {what} must be on the cpu, got {value.device}; use .cpu()")


def _copied(batch: Batch) -> Batch:
    return Batch(*(None if v is None else v.clone() for v in batch))  # type: ignore[arg-type]


def _check_same(task: Task, batch: Batch, before: Batch, rule: str) -> None:
    for name, one, other in zip(Batch._fields, batch, before, strict=True):
        if one is not None and other is not None and not torch.equal(one.nan_to_num(), other.nan_to_num()):
            raise ValueError(f"{task.name}: {rule.format(name=name)}")


def _shape(name: str, what: str, rule: str, value: Tensor) -> ValueError:
    return ValueError(f"{name}: {what} must be {rule}, got {list(value.shape)}")


def _within(name: str, what: str, values: Tensor, least: int, greatest: float, rule: str) -> None:
    low, high = (v.item() for v in torch.aminmax(values))
    if not (least <= low and high <= greatest and math.isfinite(high)):
        raise ValueError(f"{name}: {what} must be {rule}, {least}..{greatest}, got {low if low < least else high}")


def _finite(name: str, what: str, values: Tensor, lengths: Tensor | None) -> None:
    """Raise ValueError for a value that is not finite; values after the end of a sequence are not looked at."""
    if math.isfinite(float(values.sum())):  # in one pass; where it is not, a sum may also have been too large
        return
    wrong = ~values.isfinite()
    if lengths is not None:
        wrong &= (torch.arange(len(values)).view(-1, 1) < lengths).unsqueeze(-1)
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        row = "step" if what == "inputs" else "answer"
        raise ValueError(
            f"{name}: {what} must be finite, got {values[tuple(place)]} at {row} {place[0]} of sequence {place[1]}"
        )
