"""Validation losses against training steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..statistics.best import best_decile
from ..tables.gaps import in_epochs, with_training_set
from .choice import lines_of, losses_of, quantiles
from .curves import ALL, BEST, CurveLook, Curves, curve, curves_of, draw_curves
from .entry import EVIDENCE, Entry
from .look import styled
from .small_multiples import lines_of_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..goals import Goal
    from ..study import Study

TITLE = "Learning curves"
CAPTION = (
    "How fast do the variants learn? Solid: the median validation loss of the best tenth of the trials, with a band "
    "between the quartiles (from five trials on); dashed: the median of all trials. A variant learns faster than the "
    "grey baseline where its solid line falls earlier. A trial that stopped keeps its last loss; one that diverged "
    "counts as infinite. Floor: the best model without memory. Score 1: the loss at which the score is 1; a task "
    "whose criterion is an accuracy can be solved above it."
)
OF_LOSSES = (
    "On a task without a criterion of success the axis is linear, with lines at the floor, at the reference and at "
    "the best model of the last few inputs; with a training set it counts epochs."
)
FEWEST_IN_A_BAND = 5  # trials, for quartiles
NEAR = 1e-3  # of a step or an epoch: two looks that are nearer are the same
LOOKS = CurveLook("training steps", "validation loss", x_log=True, y_log=True)


def numbers(study: Study) -> Curves:
    """Return quartiles of the validation loss at each step by task, variant and subset (all trials, best decile).

    A trial that stopped keeps its last loss, one that diverged counts as infinite. The evaluation before the first
    step is left out, since the axis is logarithmic. Losses are in the unit of the task, and steps are epochs where
    there is a training set.
    """
    parts = []
    shown = in_epochs(study.trials)
    grids = {str(task): steps_of(group) for task, group in shown.groupby("task")}
    for (task, variant), group in shown.groupby(["task", "variant"]):
        steps, goal = grids[str(task)], study.goals[str(task)]
        decile = group.iloc[best_decile(group["order"])]
        for subset, chosen in ((ALL, group), (BEST, decile)):
            low, middle, high = goal.scale * quantiles(settled(chosen, steps), (0.25, 0.5, 0.75))
            if len(chosen) < FEWEST_IN_A_BAND:
                low, high = np.full((2, len(steps)), np.nan)
            kept = steps > 0
            parts.append(
                curve(str(task), str(variant), steps[kept], middle[kept], np.array([low, high])[:, kept], subset=subset)
            )
    levels = lines_of(study)
    curves = curves_of(study, parts, {})
    if not parts:  # the table has the column all the same
        curves = curves._replace(data=pd.DataFrame(columns=["task", "variant", "subset", "x", "y", "low", "high"]))
    return curves._replace(
        limits={task: _limits(curves.data[curves.data["task"] == task], study.goals[task]) for task in curves.tasks},
        levels={task: levels[task] for task in curves.tasks},
        looks=_looks(study, curves.tasks),
    )


def _looks(study: Study, tasks: Sequence[str]) -> dict[str, CurveLook]:
    """Return how the curves of those tasks are drawn that have a unit or a training set, or cannot be solved."""
    sets = with_training_set(study.trials)
    looks = {}
    for task in tasks:
        goal = study.goals[task]
        if goal.unit or task in sets:
            x_label = "epochs" if task in sets else LOOKS.x_label
            looks[task] = CurveLook(x_label, goal.label(LOOKS.y_label), task not in sets, goal.solvable, whole=True)
    return looks


def steps_of(trials: pd.DataFrame) -> np.ndarray:
    """Return the steps at which any of the trials was evaluated, in increasing order."""
    evaluated = [np.asarray(steps) for steps in trials["curve_steps"] if len(steps)]
    return np.unique(np.concatenate(evaluated or [np.zeros(0, dtype=np.int64)]).round(6))


def settled(trials: pd.DataFrame, steps: np.ndarray) -> np.ndarray:
    """Return validation losses of trials at common steps.

    steps: [S].
    Returns losses [trials, S]. A trial that stopped keeps its last loss; one that diverged, or was never evaluated,
    counts as infinite from there on.
    """
    losses = np.full((len(trials), len(steps)), np.inf)
    columns = (trials["curve_steps"], trials["curve_losses"], trials["status"])
    for row, (own_steps, own_losses, status) in enumerate(zip(*columns, strict=True)):
        if len(own_steps) == 0:
            continue
        values = losses_of(own_losses)
        if status == "diverged":
            own_steps, values = np.append(own_steps, own_steps[-1] + 0.5), np.append(values, np.inf)
        last = np.searchsorted(own_steps, steps + NEAR, side="right") - 1
        losses[row] = np.where(last >= 0, values[np.maximum(last, 0)], np.inf)
    return losses


def _limits(curves: pd.DataFrame, goal: Goal) -> tuple[float, float]:
    """Return the ends of the y axis: all curves, the floor and the solved loss, but nothing far from these two.

    Without a criterion of success they are those of `Goal.axis`.
    """
    seen = curves[["low", "y"]].to_numpy(dtype=float).ravel()
    seen, floor = seen[np.isfinite(seen)], goal.scale * goal.floor
    if not goal.solvable:
        return goal.axis(curves.groupby("variant")["y"].min())
    solved_loss = goal.scale * goal.solved_loss
    low = 0.75 * min([solved_loss, *seen.tolist()])
    high = 1.2 * max([floor, *seen.tolist()])
    return max(low, solved_loss / 100), min(max(high, 1.6 * floor), 4 * floor)


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the medians of all trials and of the best decile, with the quartiles of the latter."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry(
    "learning_curves",
    TITLE,
    CAPTION,
    numbers,
    draw,
    rows=lines_of_panels,
    most=4,
    of_losses=OF_LOSSES,
    of_curves=True,
    part_of_losses=EVIDENCE,
)
