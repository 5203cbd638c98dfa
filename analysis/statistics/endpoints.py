"""What variants are compared by: each endpoint is a weighted mean of one number per trial.

Letters of shapes: B resamples, K trials that the resamples are made of. A resample is a row of counts: how often each
trial occurs in it. A label swap counts 0 or 1 of each of the trials of two variants.

The order of trials says which are the best: lower is better, see `analysis.statistics.best.order_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .best import DECILE, best_weights, ranking
from .intervals import Floats

Weights = Callable[[Floats, Floats], Floats]  # counts [B, K], order [K] -> weights [B, K], each row with the sum 1
EASE, QUALITY = "ease", "quality"
"""The two questions about a variant: what settings that were not chosen reach, and what tuning gets out of it."""

SEARCH = 20  # trials of the search whose expected best score is an endpoint
LOSS, LOSS_TO_FLOOR = "loss", "loss_to_floor"  # what the endpoints of a task without a criterion of success average


def mean_weights(counts: Floats, order: Floats) -> Floats:
    """Return the weights [B, K] of the mean in each resample."""
    weights: Floats = counts / counts.sum(axis=1, keepdims=True)
    return weights


def decile_weights(counts: Floats, order: Floats) -> Floats:
    """Return the weights [B, K] of the mean over the best decile in each resample.

    It chooses as `best_decile` does. Where only some of the repetitions of a trial fit into the decile, the trial
    counts with those.
    """
    best_first = ranking(order)
    ranked = counts[:, best_first]
    quota = np.maximum(1, np.ceil(DECILE * ranked.sum(axis=1, keepdims=True) - 1e-9))
    weights = np.empty_like(ranked)
    weights[:, best_first] = np.clip(quota - (np.cumsum(ranked, axis=1) - ranked), 0, ranked) / quota
    return weights


def expected_best_weights(counts: Floats, order: Floats) -> Floats:
    """Return the weights [B, K] of the expected best of 20 trials in each resample, as `expected_best` has it.

    A resample of fewer than 20 trials is searched as a whole.
    """
    best_first = ranking(order)
    ranked = counts[:, best_first]
    upto = np.cumsum(ranked, axis=1).astype(np.int64)
    before = np.concatenate([np.zeros((len(upto), 1), dtype=np.int64), upto[:, :-1]], axis=1)
    found = np.empty_like(ranked)
    for total in np.unique(upto[:, -1]):
        rows = upto[:, -1] == total
        # by rank 0..total
        chosen_upto = np.concatenate([[0.0], np.cumsum(best_weights(int(total), min(SEARCH, int(total))))])
        found[rows] = chosen_upto[upto[rows]] - chosen_upto[before[rows]]
    weights = np.empty_like(ranked)
    weights[:, best_first] = found
    return weights


@dataclass(frozen=True)
class Endpoint:
    """What variants are compared by.

    name: as it stands in tables.
    title: as it stands in sentences.
    weights: of the statistic, a weighted mean over trials.
    column: what is averaged, see `analysis.tables.comparisons.values_of`.
    question: that it decides: ease or quality; empty for an endpoint that decides nothing.
    lower_is_better: True where less is better.
    unit: written after a number: %, steps, or nothing; losses have the unit of their task.
    """

    name: str
    title: str
    weights: Weights
    column: str
    question: str = ""
    lower_is_better: bool = False
    unit: str = ""

    @property
    def of_losses(self) -> bool:
        """Whether it belongs to tasks without a criterion of success."""
        return self.column in (LOSS, LOSS_TO_FLOOR)

    def span(self, budget: float) -> float:
        """Return the range of the values: the budget in training steps for steps, else 1."""
        return float(budget) if self.column == "steps_to_solve" else 1.0

    def statistic(self, values: ArrayLike, order: ArrayLike) -> float:
        """Return the endpoint of trials with these values [P] and this order [P]; NaN in values is left out."""
        values, order = np.asarray(values, dtype=float), np.asarray(order, dtype=float)
        here = np.isfinite(values)
        return float((self.weights(np.ones((1, int(here.sum()))), order[here]) @ values[here])[0])


ENDPOINTS = {
    e.name: e
    for e in (
        Endpoint("solve_rate", "solve rate", mean_weights, "solved", EASE, unit="%"),
        Endpoint(
            "restricted_steps",
            "mean steps to solve",
            mean_weights,
            "steps_to_solve",
            lower_is_better=True,
            unit="steps",
        ),
        Endpoint("best_decile", "score of the best decile", decile_weights, "score"),
        Endpoint("expected_best_20", "expected best score of 20 trials", expected_best_weights, "score", QUALITY),
        Endpoint("mean_loss", "mean test loss", mean_weights, LOSS_TO_FLOOR, EASE, lower_is_better=True),
        Endpoint(
            "best_decile_loss", "test loss of the best decile", decile_weights, LOSS, QUALITY, lower_is_better=True
        ),
        Endpoint(
            "expected_best_20_loss",
            "expected test loss of the best of 20 trials",
            expected_best_weights,
            LOSS,
            lower_is_better=True,
        ),
    )
}


def endpoints_of(*, solvable: bool) -> list[Endpoint]:
    """Return the endpoints of a task; solvable: whether it has a criterion of success.

    >>> [endpoint.name for endpoint in endpoints_of(solvable=False)]
    ['mean_loss', 'best_decile_loss', 'expected_best_20_loss']
    """
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint.of_losses != solvable]


def restricted_steps(solved_step: ArrayLike, budget: ArrayLike) -> Floats:
    """Return the steps to solve, at most the budget [P]; an unsolved trial (NaN) counts with its whole budget.

    Source: restricted mean survival time; Royston & Parmar 2013.

    >>> restricted_steps([100, float("nan")], [500, 500]).tolist()
    [100.0, 500.0]
    """
    steps = np.asarray(solved_step, dtype=float)
    limit = np.asarray(budget, dtype=float)
    restricted: Floats = np.minimum(np.where(np.isnan(steps), limit, steps), limit)
    return restricted
