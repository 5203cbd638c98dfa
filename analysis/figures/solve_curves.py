"""The share of trials that have solved a task, against training steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..statistics.intervals import wilson
from .curves import FEWEST_IN_A_BAND, CurveLook, Curves, curve, curves_of, draw_curves
from .entry import EVIDENCE, Entry
from .learning_curves import steps_of
from .look import styled
from .small_multiples import lines_of_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Share of trials that have solved the task"
CAPTION = (
    "How many trials have solved the task after so many training steps? A curve that rises earlier than the grey "
    "baseline solves in fewer steps, one that ends higher solves more often. A trial counts from the look at which it"
    " met the task's criterion, also on fresh sequences; diverged trials count as unsolved. The axis begins shortly "
    "before the first trial solves. Bands: 95 % intervals (Wilson) at each step by itself, from ten trials on. Tasks "
    "that no trial solved are left out."
)
LOOKS = CurveLook("training steps", "% of trials solved", steps=True)
BEFORE = 0.08  # of the budget that is shown before the first trial solves


def numbers(study: Study) -> Curves:
    """Return the share of trials that solved the task up to each step, with its Wilson interval, by task and variant.

    Diverged trials never solve a task. No trial is left out before the budget ends, so the shares are proportions.
    """
    parts = []
    for task, own in study.trials.groupby("task"):
        if not study.solvable(str(task)):
            continue
        steps = _shown(steps_of(own), own["solved_step"])
        for variant, group in own.groupby("variant"):
            solved = np.sort(group["solved_step"].dropna().to_numpy())
            upto = np.searchsorted(solved, steps, side="right")
            band = np.full((2, len(steps)), np.nan)
            if len(group) >= FEWEST_IN_A_BAND:
                for k in np.flatnonzero(upto):
                    band[:, k] = wilson(int(upto[k]), len(group))
            parts.append(curve(str(task), str(variant), steps, 100 * upto / len(group), 100 * band))
    curves = curves_of(study, [part for part in parts if len(part)], (-2.0, 104.0))
    return curves._replace(nothing="no trial has solved a task yet")


def _shown(steps: np.ndarray, solved: pd.Series) -> np.ndarray:
    """Return the looks from shortly before the first trial solves; none where no trial does."""
    begin = solved.min() - BEFORE * steps.max(initial=0)
    shown: np.ndarray = steps[(steps > 0) & (steps >= begin)]  # no look is after a missing step
    return shown


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the shares as steps."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry(
    "solve_curves", TITLE, CAPTION, numbers, draw, part=EVIDENCE, rows=lines_of_panels, most=4, of_solving=True
)
