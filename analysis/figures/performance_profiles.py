"""The share of trials whose test score reaches a threshold, against the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..statistics.intervals import Floats, wilson
from ..statistics.scores import performance_profile
from ..tables.importance import loss_axis
from .curves import FEWEST_IN_A_BAND, CurveLook, Curves, curve, curves_of, draw_curves
from .entry import Entry
from .look import styled
from .small_multiples import lines_of_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Performance profiles"
CAPTION = (
    "How does a variant fare when its hyperparameters are drawn at random? The share of all trials whose test score "
    "is at least the score below. A variant whose curve lies above the grey baseline everywhere is more robust; where"
    " they cross, neither is. The score measures the test loss, and a trial can reach 1 without having met the task's"
    " criterion, so the curves may end above the solve rate. Bands: 95 % intervals (Wilson) at each score by itself, "
    "from ten trials on."
)
OF_LOSSES = "On a task without a criterion of success: the share of trials whose test loss is at most that below."
THRESHOLDS = np.linspace(0, 1, 51)
LOOKS = CurveLook("test score", "% of trials at or above")


def numbers(study: Study) -> Curves:
    """Return the share of trials that score at least each threshold, with its Wilson interval, by task and variant."""
    parts = []
    for (task, variant), group in study.trials.groupby(["task", "variant"]):
        goal = study.goals[str(task)]
        if goal.solvable:
            at, shares = THRESHOLDS, performance_profile(group["score"], THRESHOLDS)
        else:
            at = thresholds(study, str(task))
            shares = performance_profile(-goal.limited(group["test_loss"]), -at)
        band = np.full((2, len(shares)), np.nan)
        if len(group) >= FEWEST_IN_A_BAND:
            band = np.array([wilson(round(share * len(group)), len(group)) for share in shares]).T
        parts.append(curve(str(task), str(variant), at, 100 * shares, 100 * band))
    curves = curves_of(study, parts, (-2.0, 104.0))
    losses = [task for task in curves.tasks if not study.solvable(task)]
    return curves._replace(
        looks={t: CurveLook(study.goals[t].label("test loss"), "% of trials at or below") for t in losses}
    )


def thresholds(study: Study, task: str) -> Floats:
    """Return the losses at which a profile is taken: all of the axis, see `Goal.axis`."""
    return np.linspace(*loss_axis(study, task), 201)


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the shares as lines."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry("performance_profiles", TITLE, CAPTION, numbers, draw, rows=lines_of_panels, most=4, of_losses=OF_LOSSES)
