"""The share of trials that have solved a task, against training steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..statistics.intervals import wilson
from .curves import FEWEST_IN_A_BAND, CurveLook, Curves, curve, curves_of, draw_curves
from .entry import Entry, a_family_for_each_task
from .learning_curves import steps_of
from .look import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Share of trials that have solved the task"
CAPTION = (
    "A trial counts from the look at which it met the task's criterion, also on fresh sequences. Diverged trials "
    "stay in the denominator. Bands: Wilson, 95 %, pointwise; they need ten trials."
)
LOOKS = CurveLook("training steps", "share solved", x_log=True, steps=True)


def numbers(study: Study) -> Curves:
    """Return the share of trials that solved the task up to each step, with its Wilson interval, by task and variant.

    Diverged trials never solve a task. No trial is left out before the budget ends, so the shares are proportions.
    """
    parts = []
    for task, own in study.trials.groupby("task"):
        if not study.solvable(str(task)):
            continue
        steps = steps_of(own)
        steps = steps[steps > 0]
        for variant, group in own.groupby("variant"):
            solved = np.sort(group["solved_step"].dropna().to_numpy())
            upto = np.searchsorted(solved, steps, side="right")
            band = np.full((2, len(steps)), np.nan)
            if len(group) >= FEWEST_IN_A_BAND:
                for k in np.flatnonzero(upto):
                    band[:, k] = wilson(int(upto[k]), len(group))
            parts.append(curve(str(task), str(variant), steps, upto / len(group), band))
    highest = max([0.1, *(np.nanmax([part["y"].max(), part["high"].max()]) for part in parts if len(part))])
    return curves_of(study, parts, (-0.02 * highest, 1.04 * min(1.0, 1.05 * highest)))


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the shares as steps."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry("solve_curves", TITLE, CAPTION, numbers, draw, rows=a_family_for_each_task, most=6, of_solving=True)
