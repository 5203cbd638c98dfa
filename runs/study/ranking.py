"""Which of two trials is better: one rule for stages, recommended settings and saved models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

RankKey = tuple[int, float, float]
"""What trials are sorted by, the best first."""


class Result(NamedTuple):
    """What the rank of a trial depends on.

    validation_loss: the lowest one, None where the trial has none.
    solved_step: the update at which the trial solved its task, None where it did not.
    """

    validation_loss: float | None
    solved_step: float | None = None


Results = Mapping[int, Result]
"""The result of the trial at each point."""


def rank_key(solved_step: float | None, validation_loss: float | None, by_steps: bool = True) -> RankKey:
    """Return the key by which trials of a pair are sorted, the best first.

    Trials that solved the task come before those that did not. They are sorted by the steps they took to solve it, then
    by validation loss: a solved trial stops training, so that its loss says little. Unsolved trials are sorted by
    validation loss. Trials without a finite loss come last, and all of them have the same key.

    solved_step: the update at which the trial solved its task; None or NaN where it did not.
    validation_loss: the lowest one; None or NaN where the trial has none.
    by_steps: False for training that does not stop when the task is solved (`training.stop_when_solved=false`): the
        validation loss alone decides.

    >>> rank_key(200, 0.3) < rank_key(300, 0.1) < rank_key(None, 0.01) < rank_key(None, None)
    True
    >>> rank_key(200, 0.3, by_steps=False) < rank_key(None, 0.01, by_steps=False)
    False
    """
    if validation_loss is None or not math.isfinite(validation_loss):
        return 2, 0.0, 0.0
    if by_steps and solved_step is not None and math.isfinite(solved_step):
        return 0, float(solved_step), validation_loss
    return 1, validation_loss, 0.0


def ranked(results: Results, by_steps: bool = True) -> list[int]:
    """Return points from the best result to the worst, equal ones in the order of the search.

    by_steps: see `rank_key`.

    >>> ranked({0: Result(0.5), 1: Result(None), 2: Result(0.7, solved_step=90), 3: Result(0.1)})
    [2, 3, 0, 1]
    """
    return sorted(results, key=lambda p: (*rank_key(results[p].solved_step, results[p].validation_loss, by_steps), p))
