"""Exact losses of simple models, which tasks use as floors and baselines."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def entropy(probabilities: Tensor) -> float:
    """Compute the entropy of a distribution in nats: the loss of a model that knows it and nothing more.

    probabilities: [N], not negative, with the sum 1.

    Returns a number of at least 0.

    >>> round(entropy(torch.tensor([0.5, 0.25, 0.25])) / math.log(2), 6)
    1.5
    """
    return float(torch.special.entr(probabilities.double()).sum())


def loss_without_order(draws: int, symbols: int) -> float:
    """Compute the loss of a model that knows which symbols were drawn and how often, but not which of them is asked.

    Where a symbol was drawn c times of n, the model gives it the probability c/n. The expectation of the entropy of
    these shares is, as all K symbols are alike, K times that of one term, whose c is binomial: -K sum over c of
    Binomial(c; n, 1/K) c/n ln(c/n).

    draws: n, how many symbols were drawn, each uniformly and independently, at least 1.
    symbols: K, the number of different symbols, at least 1.

    Returns the expected loss in nats.

    >>> loss_without_order(2, 2) == math.log(2) / 2  # two equal symbols leave no doubt, and half of the pairs are equal
    True
    """
    total = 0.0
    for count in range(1, draws + 1):
        chance = math.comb(draws, count) * (1 / symbols) ** count * (1 - 1 / symbols) ** (draws - count)
        total -= symbols * chance * count / draws * math.log(count / draws)
    return total
