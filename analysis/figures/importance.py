"""What the figures of the functional analysis of variance share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..tables.importance import SCORE
from .choice import Axis
from .pieces import log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..study import Study

TOO_FEW = "too few trials for an analysis of variance"


def with_bands(marginals: pd.DataFrame) -> pd.DataFrame:
    """Return marginal curves with y, and low and high two standard errors to either side.

    marginals: of `tables.importance`. A missing error counts as zero.
    """
    mean, half = marginals["mean"], 2 * marginals["error"].fillna(0.0)
    return marginals.assign(y=mean, low=mean - half, high=mean + half)


def loss_axis(study: Study, task: str, curves: pd.DataFrame) -> tuple[str, float, float]:
    """Return label and ends of the axis of mean losses; curves: of `with_bands`, with the response `score` for them."""
    own = curves.loc[(curves["task"] == task) & (curves["response"] == SCORE), ["low", "high"]].to_numpy(dtype=float)
    goal = study.goals[task]
    ends = [goal.scale * loss for loss in (goal.floor, goal.reference) if np.isfinite(loss)]
    seen = [*own[np.isfinite(own) & (own > 0)], *ends]
    return goal.label("test loss"), float(min(seen) / 1.05), float(max(seen) * 1.05)


def axis_along_x(axes: Axes, axis: Axis) -> None:
    """Give an x axis the range and the scale of a hyperparameter."""
    axes.set_xscale("log" if axis.log else "linear")
    axes.set_xlim(axis.low, axis.high)
    if axis.log:
        log_ticks(axes.xaxis, labels=4)
    else:
        axes.locator_params(axis="x", nbins=4)
