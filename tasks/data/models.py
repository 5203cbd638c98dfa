"""Simple models that a network must beat, fitted with torch: logistic and linear regression of a window, and n-grams.

Rows are answers: N of them, each with F features and a weight. All fits are deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PENALTIES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""Strengths of the penalty among which the validation part chooses, from strong to weak."""


MOST_STEPS, MOST_PAIRS, FLAT = 300, 20, 1e-6
"""Of a fit: how many steps it takes and remembers at most, and the largest gradient at which it ends."""


class Rows(NamedTuple):
    """Answers to be explained, one a row.

    features: [N, F] float.
    targets: [N, O] float (numbers or probabilities) or [N] int64 (classes).
    weights: [N] float, how much each answer counts, or None where all count the same.
    """

    features: Tensor
    targets: Tensor
    weights: Tensor | None = None


class Linear(NamedTuple):
    """A fitted linear model, features times `weight` plus `bias`.

    weight: [F, O] float64.
    bias: [O] float64.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return the answers [N, O] to features [N, F]."""
        return features.double() @ self.weight + self.bias


Loss = Callable[[Tensor, Tensor], Tensor]
"""From answers [N, O] and targets the loss of each row [N]."""


def squared_error(answers: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of each row [N], of answers and targets [N, O]."""
    return (answers - targets).square().mean(1)


def cross_entropy(answers: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each row [N] in nats, of answers [N, O] and classes [N]."""
    return functional.cross_entropy(answers, targets, reduction="none")


def binary_cross_entropy(answers: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each row [N] in nats, summed over O, of answers and probabilities [N, O]."""
    return functional.binary_cross_entropy_with_logits(answers, targets, reduction="none").sum(1)


def mean_loss(loss: Loss, answers: Tensor, rows: Rows) -> float:
    """Return the weighted mean loss of answers [N, O] to some rows."""
    return float(_mean(loss(answers.double(), _targets(rows)), rows.weights))


def fit_linear(
    rows: Rows, loss: Loss, outputs: int, penalty: float, start: Linear | None = None, tolerance: float = 1e-9
) -> Linear:
    """Fit a linear model: least squares, logistic or softmax regression, depending on the loss.

    rows: what is fitted.
    loss: one of `squared_error`, `cross_entropy`, `binary_cross_entropy`, or another convex loss.
    outputs: number of answers O.
    penalty: added to the mean loss is half of it times the sum of squared weights (not of the biases).
        scikit-learn's `C` is 1 / (N penalty).
    start: a model from which to begin; it only saves time.
    tolerance: the fit ends when a step changes the loss by less.

    Returns the model, fitted by L-BFGS in float64.
    """
    features, targets = rows.features.double(), _targets(rows)
    if start is None:
        start = Linear(features.new_zeros(features.shape[1], outputs), features.new_zeros(outputs))
    split = [outputs * features.shape[1], outputs]

    def value(both: Tensor) -> tuple[float, Tensor]:
        both = both.detach().requires_grad_()
        weight, bias = torch.split(both, split)
        weight = weight.view(-1, outputs)
        found = _mean(loss(features @ weight + bias, targets), rows.weights) + penalty / 2 * weight.square().sum()
        (gradient,) = torch.autograd.grad(found, both)
        return float(found.detach()), gradient

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in the same order on every machine, and no waiting for a thread on a busy one
    try:
        least = _least(value, torch.cat([start.weight.flatten(), start.bias]), tolerance)
    finally:
        torch.set_num_threads(threads)
    weight, bias = torch.split(least, split)
    return Linear(weight.view(-1, outputs), bias)


def _least(value: Callable[[Tensor], tuple[float, Tensor]], place: Tensor, tolerance: float) -> Tensor:
    """Return where a smooth convex function is least, by L-BFGS with steps that are halved until they pay.

    value: gives the function and its gradient at a place.
    place: where the search begins.
    tolerance: the search ends where a step wins less than this.

    `torch.optim` would import the compiler of torch, which takes seconds.

    Source: Nocedal & Wright 2006, "Numerical Optimization", algorithms 3.1, 7.4 and 7.5.
    """
    found, gradient = value(place)
    pairs: list[tuple[Tensor, Tensor, float]] = []  # steps, changes of the gradient, one over their product
    for _ in range(MOST_STEPS):
        if float(gradient.abs().max()) <= FLAT:
            break
        direction, parts = -gradient, list[float]()
        for step, change, scale in reversed(pairs):
            parts.append(scale * float(step @ direction))
            direction = direction - parts[-1] * change
        if pairs:
            step, change, scale = pairs[-1]
            direction = direction / (scale * float(change @ change))
        else:
            direction = direction / max(1.0, float(gradient.norm()))
        for (step, change, scale), part in zip(pairs, reversed(parts), strict=True):
            direction = direction + (part - scale * float(change @ direction)) * step
        slope, length = float(gradient @ direction), 1.0
        after, steeper = value(place + direction)
        while not after <= found + 1e-4 * length * slope and length > 1e-10:
            length /= 2
            after, steeper = value(place + length * direction)
        if length <= 1e-10:
            break
        step, change = length * direction, steeper - gradient
        product, won = float(step @ change), found - after
        place, found, gradient = place + step, after, steeper
        if product > 0:
            pairs = [*pairs, (step, change, 1 / product)][-MOST_PAIRS:]
        if won < tolerance:
            break
    return place


def best_linear(
    train: Rows,
    validation: Rows,
    loss: Loss,
    outputs: int,
    penalties: Sequence[float] = PENALTIES,
    tolerance: float = 1e-9,
    refit: bool = False,
) -> Linear:
    """Fit linear models of different penalties and choose the one with the smallest loss on the validation part.

    train: what is fitted.
    validation: what chooses.
    loss, outputs, tolerance: as `fit_linear` takes them.
    penalties: from strong to weak. The search ends at the first one that is worse than the one before.
    refit: whether the chosen penalty is used to fit both parts together.

    Returns the chosen model.
    """
    model, least, chosen, strength = None, math.inf, None, 0.0
    for penalty in penalties:
        model = fit_linear(train, loss, outputs, penalty, model, tolerance)
        found = mean_loss(loss, model(validation.features), validation)
        if found >= least:
            break
        least, chosen, strength = found, model, penalty
    if chosen is None:
        raise ValueError(f"no loss of the validation part is a number, with penalties {list(penalties)}")
    return fit_linear(_together(train, validation), loss, outputs, strength, chosen, tolerance) if refit else chosen


def _together(first: Rows, second: Rows) -> Rows:
    """Return the rows of two parts, which both have weights or both have none."""
    weights = None
    if first.weights is not None and second.weights is not None:
        weights = torch.cat((first.weights, second.weights))
    features, targets = (torch.cat(pair) for pair in zip(first[:2], second[:2], strict=True))
    return Rows(features, targets, weights)


def window(inputs: Tensor, steps: int) -> Tensor:
    """Set the last inputs side by side at every step.

    inputs: [T, B, I].
    steps: how many, the present one included.

    Returns [T, B, steps * I], the oldest last; zero before the first step.

    >>> window(torch.tensor([[[1.0]], [[2.0]], [[3.0]]]), 2)[:, 0].tolist()
    [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    """
    shifted = [functional.pad(inputs, (0, 0, 0, 0, back, 0))[: len(inputs)] for back in range(steps)]
    return torch.cat(shifted, -1)


def smoothed_shares(targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the share of ones in each column, with half a one and half a zero added to it.

    targets: [N, O] in 0..1.
    weights: [N] or None.

    Returns [O] float64, strictly between 0 and 1.
    """
    weighted = torch.ones(len(targets), dtype=torch.float64) if weights is None else weights.double()
    return (weighted @ targets.double() + 0.5) / (weighted.sum() + 1)


class Ngram:
    """An n-gram model of symbols with Witten-Bell smoothing.

    After a context h that was followed n(h) times by t(h) different symbols, the probability of c is (n(h c) +
    t(h) p(c | h without its oldest symbol)) / (n(h) + t(h)). Below the empty context stands the uniform distribution.
    The beginning of a sequence counts as a symbol of its own in contexts.

    sequences: of symbols [n] int64 in 0..alphabet-1.
    alphabet: number of symbols.
    order: number of symbols of the longest context; (alphabet + 1) ** (order + 1) must be below 2 ** 63.

    >>> model = Ngram([np.array([0, 1, 0, 1])], alphabet=2, order=1)
    >>> model.probabilities(np.array([0, 1])).round(3).tolist()
    [0.75, 0.833]

    Source: Witten & Bell 1991, 'The Zero-Frequency Problem', method C.
    """

    def __init__(self, sequences: Sequence[np.ndarray[Any, Any]], alphabet: int, order: int) -> None:
        self.alphabet, self.order = alphabet, order
        if (alphabet + 1) ** (order + 1) >= 2**63:
            raise ValueError(f"(alphabet + 1) ** (order + 1) must be below 2 ** 63, got {alphabet} and {order}")
        self._counts: list[tuple[np.ndarray[Any, Any], ...]] = []
        for length in range(order + 1):
            codes = [self._codes(sequence, length) for sequence in sequences]
            pairs, times = np.unique(np.concatenate([pair for _, pair in codes]), return_counts=True)
            contexts, inverse = np.unique(pairs // (alphabet + 1), return_inverse=True)
            totals = np.bincount(inverse, times, len(contexts))
            self._counts.append((pairs, times, contexts, totals, np.bincount(inverse, minlength=len(contexts))))

    def _codes(self, sequence: np.ndarray[Any, Any], length: int) -> tuple[np.ndarray[Any, Any], ...]:
        """Return, for each symbol, the number of its context of some length, and that of context and symbol."""
        base = self.alphabet + 1
        padded = np.concatenate([np.full(length, self.alphabet, np.int64), sequence.astype(np.int64)])
        context = np.zeros(len(sequence), np.int64)
        for place in range(length):
            context = context * base + padded[place : place + len(sequence)]
        return context, context * base + sequence

    def probabilities(self, sequence: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the probability of each symbol [n] after those before it.

        sequence: [n] int64.
        """
        found = np.full(len(sequence), 1 / self.alphabet)
        for length, (pairs, times, contexts, totals, kinds) in enumerate(self._counts):
            context, pair = self._codes(sequence, length)
            n_pair = _look_up(pairs, times, pair)
            n, t = _look_up(contexts, totals, context), _look_up(contexts, kinds, context)
            found = np.where(n > 0, (n_pair + t * found) / np.maximum(n + t, 1), found)
        return found


def _look_up(
    keys: np.ndarray[Any, Any], values: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return the value of each wanted key, 0 for an unknown one; the keys are sorted."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


def _targets(rows: Rows) -> Tensor:
    return rows.targets.double() if rows.targets.is_floating_point() else rows.targets


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values @ weights.double()) / weights.double().sum()
