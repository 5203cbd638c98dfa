"""What the losses of a task are held against, and the unit in which they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .statistics.intervals import Floats

EXPLODED = 3.0  # times the floor: stands for the loss before training where that is not on record


class Goal(NamedTuple):
    """What the losses of a task are held against.

    floor: loss of the best model without memory.
    solved_loss: loss at which the task is solved; NaN for a task without a criterion of success.
    reference: for a task without a criterion, the loss at which the score is 1; NaN where there is none, or it is 0.
    limit: loss of the best constant answer, or that before training where it is not on record; it stands for every loss
        above it and for trials without any.
    unit: of a loss times `scale`; empty where none is on record.
    scale: what a loss is multiplied by.
    lag: of the task, 0 for one without.
    """

    floor: float
    solved_loss: float
    reference: float = np.nan
    limit: float = np.nan
    unit: str = ""
    scale: float = 1.0
    lag: int = 0

    @property
    def solvable(self) -> bool:
        """Whether the task has a criterion of success."""
        return bool(np.isfinite(self.solved_loss))

    @property
    def span(self) -> float:
        """The range of losses that counts, in the unit: from the floor to the reference, or to 0 without one.

        >>> round(Goal(9.25, np.nan, 8.38).span, 2), Goal(2.0, np.nan).span
        (0.87, 2.0)
        """
        below = self.floor - self.reference
        return float(self.scale * (below if below > 0 else self.floor))

    def shown(self, losses: ArrayLike) -> Floats:
        """Return losses in the unit."""
        return self.scale * np.asarray(losses, dtype=float)

    def axis(self, best: ArrayLike) -> tuple[float, float]:
        """Return the ends of an axis of losses, in the unit: around floor and reference, without what is far above.

        best: losses in the unit that must be in view up to the limit, such as the lowest one of each variant; the
            lowest of them is in view in any case.

        >>> low, high = Goal(9.0, np.nan, 8.0, limit=11.0).axis([8.5, 10.5, 700.0])
        >>> round(low, 2), round(high, 2)
        (7.7, 11.3)
        """
        floor, reference = self.scale * self.floor, self.scale * self.reference
        seen = [loss for loss in np.ravel(best).tolist() if np.isfinite(loss)]
        top = max([self.scale * self.limit, *sorted(seen)[:1]]) if np.isfinite(self.limit) else np.inf
        known = [loss for loss in (floor, reference) if np.isfinite(loss)]
        low = min([*known, *seen], default=0.0)
        high = max([*known, floor + min(0.7 * self.span, 0.15 * floor), *(min(loss, top) for loss in seen)])
        margin = 0.1 * (high - low)
        return low - margin if low - margin > 0 else 0.0, high + margin

    def limited(self, losses: ArrayLike) -> Floats:
        """Return losses in the unit, at most the limit, which also stands for a loss that is missing.

        >>> Goal(9.0, np.nan, limit=60.0).limited([8.5, 700.0, np.nan]).tolist()
        [8.5, 60.0, 60.0]
        """
        own = np.asarray(losses, dtype=float)
        limited: Floats = self.scale * np.where(np.isfinite(own), np.minimum(own, self.limit), self.limit)
        return limited

    def label(self, loss: str) -> str:
        """Return the label of an axis of losses.

        >>> Goal(9.0, np.nan, unit="nats per step").label("test loss"), Goal(9.0, 0.1).label("test loss")
        ('test loss (nats per step)', 'test loss')
        """
        return f"{loss} ({self.unit})" if self.unit else loss


UNKNOWN = Goal(np.nan, 0.0)
"""That of a task without any trial, which is taken to have a criterion of success."""


def goals_of(table: pd.DataFrame, constant: Mapping[str, float], *, stops: bool = True) -> dict[str, Goal]:
    """Return the goal of each task of a table of trials.

    A criterion of success that ends no training and that no trial meets decides nothing: there the losses do, and the
    loss of the criterion is what they are held against.

    constant: losses of constant answers, where known.
    stops: whether a training ends where its task is solved.
    """
    groups = table.groupby("task", sort=False)
    return {str(task): _goal(own, constant.get(str(task), np.nan), stops=stops) for task, own in groups}


def _goal(own: pd.DataFrame, constant: float, *, stops: bool) -> Goal:
    first: dict[Any, Any] = {name: own[name].dropna().head(1).tolist() for name in _FACTS if name in own}
    known = {name: values[0] for name, values in first.items() if values}
    floor, solved = float(known.get("floor", np.nan)), float(known.get("solved_loss", np.nan))
    reference = float(known.get("reference", np.nan))
    if not stops and np.isfinite(solved) and not (own["status"] == "solved").any():
        reference, solved = solved, np.nan
    return Goal(
        floor=floor,
        solved_loss=solved,
        reference=reference if reference > 0 else np.nan,  # at a loss of 0 nothing was reached
        limit=np.nan if np.isfinite(solved) else _limit(own, floor, constant),
        unit=str(known.get("unit", "")),
        scale=float(known.get("unit_scale", 1.0)),
        lag=int(known.get("lag", 0)),
    )


_FACTS = ("floor", "solved_loss", "reference", "unit", "unit_scale", "lag")


def _limit(own: pd.DataFrame, floor: float, constant: float) -> float:
    """Return the loss of the best constant answer, else the median loss before the first update, at least the floor."""
    if np.isfinite(constant):
        return max(constant, floor)
    before = own["first_loss"].to_numpy(dtype=float)
    before = before[np.isfinite(before)]
    return max(float(np.median(before)), floor) if len(before) else EXPLODED * floor
