"""Simple models that are fitted to a task: the best constant, the present input alone, and the last few inputs.

A model of few different inputs is a table with a mean of the targets for each context, which falls back on that of the
context that is one input shorter. A model of real inputs is linear or logistic in them, and in their products where
there are few of them. How much each is smoothed is decided by sequences or answers that are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .data.models import Rows, best_linear, binary_cross_entropy, cross_entropy
from .task import Batch, DataTask, Task

SEQUENCES = 8000
"""How many sequences of a synthetic task are drawn to fit the models, and again to test them."""
MOST_NUMBERS = 2**24
"""The largest number of inputs in these sequences; of a task with long ones, fewer are taken."""
MOST_TARGETS = 2**20
"""The largest number of answers times outputs; see above. A data set may have eight times as many of both."""
MOST_PRODUCTS = 2**27
"""A logistic model of several inputs is left out where answers times inputs times outputs are more than this."""
MOST_SYMBOLS = 128
"""A table is made for at most so many different inputs, and only where each is seen four times or more on average."""
MOST_SQUARED = 16
"""A model of real inputs also sees their products where there are at most so many of them."""
WINDOWS = {"no input": 0, "present input only": 1, "last 2 inputs": 2, "last 4 inputs": 4}
"""How many of the last inputs a model sees, by its name."""
KINDS = {0: "no_input", 1: "no_memory"}
PARTS = 20
"""The standard error of a loss is that of its mean over so many parts of the test sequences."""
COUNTS = (0.5, 2.0, 8.0, 32.0, 128.0, 512.0, math.inf)
"""For how many answers the shorter context counts in a table."""
RIDGES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Penalties of a linear model, per answer and with inputs of unit variance."""
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Penalties of a logistic model, from the strongest on."""
TOLERANCE = 1e-6
"""The fit of a logistic model ends where a step wins less than this."""
LEAST = 1e-6
"""A probability lies between this number and one minus it, before it becomes an output."""


class Baseline(NamedTuple):
    """A simple model of a task, and how well it does on sequences that it was not fitted to.

    name: of the model, for readers.
    kind: no_input, no_memory, window (of some of the inputs so far), or published for any other that the task states.
    loss: on the test sequences.
    error: standard error of the loss; NaN where it is not known.
    metrics: of the task, on the test sequences; empty for a loss that is only stated.
    """

    name: str
    kind: str
    loss: float
    error: float
    metrics: dict[str, float]


def baselines(task: Task) -> list[Baseline]:
    """Return the baselines of a task: models that are fitted here, then those that the task states.

    The models are a constant answer and those that see the present input only, the last 2, and the last 4. They do not
    know the number of the step. A model is left out where the task states the loss of such a model itself ("last 2
    symbols"), or where its fit would take too long. Nothing is fitted to a task whose loss has no `loss_form`, such as
    one whose answers are sequences.

    task: whose sequences are drawn with fixed seeds; of a data set the parts train and test are taken.

    >>> from tasks import DelayedRecall
    >>> for found in baselines(DelayedRecall(lag=5, symbols=4)):
    ...     print(f"{found.name}: {found.loss:.2f} (ln 4 = {math.log(4):.2f})")
    no input: 1.39 (ln 4 = 1.39)
    present input only: 1.39 (ln 4 = 1.39)
    last 2 inputs: 1.39 (ln 4 = 1.39)
    last 4 inputs: 1.39 (ln 4 = 1.39)
    """
    stated = [Baseline(name, kind_of(name), loss, math.nan, {}) for name, loss in task.baselines().items()]
    kinds = {known.kind for known in stated}
    windows = [
        window
        for window in WINDOWS.values()
        if KINDS.get(window) not in kinds and not any(known.name.startswith(f"last {window} ") for known in stated)
    ]
    if not task.loss_form or not windows:
        return stated
    return [*fitted(task, *_sets(task), windows), *stated]


def kind_of(name: str) -> str:
    """Return the kind of a model that a task states, which its name begins with.

    >>> [kind_of(name) for name in ("no input, equal shares", "last chord, logistic", "last 8 chords, logistic")]
    ['no_input', 'no_memory', 'window']
    >>> kind_of("no change"), kind_of("mean of the steps so far"), kind_of("published for other chorales")
    ('no_memory', 'window', 'published')
    """
    if name.startswith(("no input", "same answer")):
        return "no_input"
    if re.match(r"last \d|mean of |all .* at once", name):
        return "window"
    return "no_memory" if name.startswith(("present ", "last ", "no change", "each key")) else "published"


def fitted(task: Task, fit: Batch, test: Batch, windows: list[int]) -> list[Baseline]:
    """Return models that are fitted to some sequences and measured on others.

    task: of the sequences; the form of its loss decides what is fitted.
    fit, test: the sequences.
    windows: how many of the last inputs each model sees, a number of `WINDOWS`.
    """
    ours, theirs = _asked(task, fit), _asked(task, test)
    names = {window: name for name, window in WINDOWS.items()}
    found = []
    for window, mean in _means(task.loss_form, ours, theirs, windows):
        outputs = _outputs(task, test, theirs, mean)
        metrics = task.metrics(outputs, test)
        error = _standard_error(task, outputs, test)
        found.append(Baseline(names[window], KINDS.get(window, "window"), metrics["loss"], error, metrics))
    return found


# Sequences and what is asked of them
# --------------------------------------------------------------------------------------------------------------------


def _sets(task: Task) -> tuple[Batch, Batch]:
    if isinstance(task, DataTask):
        return _within(task, task.part("train"), 8 * MOST_TARGETS), _within(task, task.part("test"), 8 * MOST_TARGETS)
    few = task.batch(2, torch.Generator().manual_seed(0))
    size = max(PARTS, min(SEQUENCES, 2 * MOST_NUMBERS // few.inputs.numel()))
    fit, test = (task.batch(size, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    return _within(task, fit, MOST_TARGETS), _within(task, test, MOST_TARGETS)


def _within(task: Task, batch: Batch, targets: int) -> Batch:
    """Return the first sequences of a batch, with so many answers times outputs at most."""
    numbers = targets * MOST_NUMBERS // MOST_TARGETS
    steps, answers = batch.inputs[:, 0].numel(), len(batch.reads) * task.output_size
    most = max(PARTS, min(numbers // steps, targets // answers))
    return batch if batch.size <= most else batch.part(0, most)


class _Asked(NamedTuple):
    """The N answers of a batch that have a weight.

    places: [N] and [N], the answer k and the sequence b of each.
    steps: [N], the step at which it is read.
    inputs: [T, B, I], of the batch.
    targets: [N, O] float64, one-hot for a class.
    weights: [N, 1] float64.
    """

    places: tuple[Tensor, Tensor]
    steps: Tensor
    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def window(self, window: int) -> Tensor:
        """Return the last inputs [N, window, I] at each answer, the present one first; zeros before the first step."""
        steps = self.steps.unsqueeze(1) - torch.arange(window)
        seen = self.inputs[steps.clamp(min=0), self.places[1].unsqueeze(1)]
        return seen.masked_fill((steps < 0).unsqueeze(-1), 0.0)


def _asked(task: Task, batch: Batch) -> _Asked:
    weights = torch.ones(batch.reads.shape) if batch.weights is None else batch.weights
    places = (weights > 0).nonzero(as_tuple=True)
    targets = batch.targets[places]
    if not targets.is_floating_point():
        targets = torch.nn.functional.one_hot(targets, task.output_size)
    return _Asked(
        (places[0], places[1]), batch.reads[places], batch.inputs, targets.double(), weights[places].double()[:, None]
    )


def _outputs(task: Task, batch: Batch, asked: _Asked, means: Tensor) -> Tensor:
    """Return the outputs [K, B, O] by which the task understands means or probabilities [N, O]."""
    if task.loss_form == "cross_entropy":
        means = means.clamp(min=LEAST).log()
    elif task.loss_form != "squared_error":
        means = means.clamp(LEAST, 1 - LEAST).logit()
    outputs = torch.zeros(*batch.reads.shape, task.output_size)
    outputs[asked.places] = means.float()
    return outputs


def _standard_error(task: Task, outputs: Tensor, batch: Batch) -> float:
    edges = [batch.size * n // PARTS for n in range(PARTS + 1)]
    losses = []
    for start, stop in pairwise(edges):
        if start < stop:
            part = batch.part(start, stop)
            losses.append(float(task.loss(outputs[: len(part.reads), start:stop], part)))
    return float(torch.tensor(losses).std()) / math.sqrt(len(losses)) if len(losses) > 1 else math.nan


# Models
# --------------------------------------------------------------------------------------------------------------------


def _means(form: str, fit: _Asked, test: _Asked, windows: list[int]) -> Iterator[tuple[int, Tensor]]:
    """Yield each window, from the shortest on, and the means [N, O] of the test answers by the model of that window.

    A window whose model would take too long to fit is left out.
    """
    table, longest = _Table(form, fit, test), max(windows)
    codes = None if longest == 0 else _codes(fit.window(longest), test.window(longest))
    for window in range(longest + 1):
        if codes is not None and window > 0:
            ours, theirs, base = codes
            table.lengthen(ours[:, window - 1], theirs[:, window - 1], base)
        if window not in windows:
            continue
        if codes is not None or window == 0:
            yield window, table.mean
        elif not _too_large(form, fit, window):
            yield window, _of_features(form, fit, test, window)


def _too_large(form: str, fit: _Asked, window: int) -> bool:
    products = fit.targets.numel() * fit.inputs.shape[2] * window
    return window > 1 and "squared" not in form and products > MOST_PRODUCTS


class _Table:
    """Means of the targets by the last inputs; each context falls back on the one that is shorter by an input.

    form: of the loss.
    fit, test: the answers.

    mean: [N, O], of the test answers.
    """

    def __init__(self, form: str, fit: _Asked, test: _Asked) -> None:
        self._form, self._targets, self._weights = form, fit.targets, fit.weights
        total, weight = (fit.targets * fit.weights).sum(0), fit.weights.sum()
        prior = total / weight if "squared" in form else torch.full_like(total, 1 / _values(form, len(total)))
        self.mean = ((total + prior) / (weight + 1)).expand(len(test.targets), -1)
        # the same for each answer that the table is fitted to, without this answer
        self._others = (total - fit.weights * fit.targets + prior) / (weight - fit.weights + 1)
        self._codes = (
            torch.zeros(len(fit.targets), dtype=torch.int64),
            torch.zeros(len(test.targets), dtype=torch.int64),
        )

    def lengthen(self, ours: Tensor, theirs: Tensor, base: int) -> None:
        """Let the contexts be longer by an input.

        ours, theirs: [N] int64 in 0..base-1, the input at the answers that the table is fitted to, and at the test's.
        """
        self._codes = self._codes[0] * base + ours, self._codes[1] * base + theirs
        contexts, own = torch.unique(self._codes[0], return_inverse=True)
        weighted, width = self._weights * self._targets, self._targets.shape[1]
        sums = torch.zeros(len(contexts), width, dtype=torch.float64).index_add_(0, own, weighted)
        counts = torch.zeros(len(contexts), 1, dtype=torch.float64).index_add_(0, own, self._weights)
        without, rest = sums[own] - weighted, counts[own] - self._weights

        def others(count: float) -> Tensor:
            return self._others if count == math.inf else (without + count * self._others) / (rest + count)

        losses = [_loss(self._form, others(count), self._targets, self._weights) for count in COUNTS]
        count = COUNTS[losses.index(min(losses))]
        self._others = others(count)
        if count < math.inf:
            place = torch.searchsorted(contexts, self._codes[1]).clamp(max=len(contexts) - 1)
            known = (contexts[place] == self._codes[1]).double().unsqueeze(1)
            self.mean = (known * sums[place] + count * self.mean) / (known * counts[place] + count)


def _values(form: str, outputs: int) -> int:
    """How many values each of the outputs shares its probability with."""
    return outputs if form == "cross_entropy" else 2


def _loss(form: str, means: Tensor, targets: Tensor, weights: Tensor) -> float:
    if "squared" in form:
        losses = (means - targets).square()
    elif form == "cross_entropy":
        losses = -torch.xlogy(targets, means.clamp(min=LEAST))
    else:
        means = means.clamp(LEAST, 1 - LEAST)
        losses = -torch.xlogy(targets, means) - torch.xlogy(1 - targets, 1 - means)
    return float((losses * weights).sum() / weights.sum())


def _codes(fit: Tensor, test: Tensor) -> tuple[Tensor, Tensor, int] | None:
    """Return windows of few different inputs as whole numbers [N, window], and how many numbers there are.

    fit, test: [N, window, I]; an input that only the test has is a number of its own.

    Returns None where there are too many different inputs.
    """
    factors = torch.randint(-(2**62), 2**62, (fit.shape[2],), generator=torch.Generator().manual_seed(0)) | 1
    # a sum of whole numbers is exact: equal inputs have equal keys, others almost surely different ones
    ours, theirs = (((seen + 0.0).view(torch.int32).long() * factors).sum(-1) for seen in (fit, test))
    keys = torch.unique(ours)
    if len(keys) > min(MOST_SYMBOLS, len(ours) // 4):
        return None
    own, place = torch.searchsorted(keys, ours), torch.searchsorted(keys, theirs).clamp(max=len(keys) - 1)
    return own, torch.where(keys[place] == theirs, place, len(keys)), len(keys) + 1


def _of_features(form: str, fit: _Asked, test: _Asked, window: int) -> Tensor:
    """Return the means [N, O] of the test answers by a linear or logistic model of the last inputs."""
    ours, theirs = (_features(asked.window(window).flatten(1).double()) for asked in (fit, test))
    centre = (ours * fit.weights).sum(0) / fit.weights.sum()
    scale = (ours - centre).abs().amax(0)
    kept = scale > 0
    ours, theirs = (((features - centre) / scale)[:, kept] for features in (ours, theirs))
    if "squared" in form:
        return _linear(ours, fit.targets, fit.weights, theirs)
    return _logistic(form, ours, fit.targets, fit.weights, theirs)


def _features(inputs: Tensor) -> Tensor:
    """Return inputs [N, F], and their products beside them where they are few."""
    if inputs.shape[1] > MOST_SQUARED:
        return inputs
    one, other = torch.triu_indices(inputs.shape[1], inputs.shape[1])
    return torch.cat((inputs, inputs[:, one] * inputs[:, other]), 1)


def _linear(features: Tensor, targets: Tensor, weights: Tensor, asked: Tensor) -> Tensor:
    """Return predictions by ridge regression; its penalty has the least squared error on answers that are left out.

    features [N, F], centred; targets [N, O]; weights [N, 1]; asked [M, F].
    """
    root, total = weights.sqrt(), weights.sum()
    mean = (targets * weights).sum(0) / total
    values, vectors = torch.linalg.eigh((features * root).T @ (features * root))
    rotated, aimed = features @ vectors, targets - mean
    projected = (rotated * weights).T @ aimed
    best, found = math.inf, torch.zeros_like(projected)
    for ridge in RIDGES:
        shrunk = 1 / (values.clamp(min=0) + ridge * total)
        coefficients = shrunk.unsqueeze(1) * projected
        leverage = weights * ((rotated.square() * shrunk).sum(1, keepdim=True) + 1 / total)
        left_out = (aimed - rotated @ coefficients) / (1 - leverage).clamp(min=1e-9)
        error = float((weights * left_out.square()).sum())
        if error < best:
            best, found = error, coefficients
    predicted: Tensor = mean + (asked @ vectors) @ found
    return predicted


def _logistic(form: str, features: Tensor, targets: Tensor, weights: Tensor, asked: Tensor) -> Tensor:
    """Return probabilities by logistic regression; a fifth of the answers, the last ones, decide its penalty.

    features [N, F], centred; targets [N, O]; weights [N, 1]; asked [M, F].
    """
    cut = max(1, len(features) * 4 // 5)
    used, kept = (
        Rows(features[some], targets[some], weights[some, 0]) for some in (slice(None, cut), slice(cut, None))
    )
    loss = cross_entropy if form == "cross_entropy" else binary_cross_entropy
    model = best_linear(used, kept, loss, targets.shape[1], PENALTIES, TOLERANCE, refit=True)
    return model(asked).softmax(1) if form == "cross_entropy" else model(asked).sigmoid()
