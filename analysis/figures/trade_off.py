"""The score of every trial against its parameters and its seconds, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..tables.importance import loss_axis, outcomes
from .choice import tasks_in, variants_in
from .entry import Entry, a_panel_for_each_task
from .look import GREY, INK, WIDTH, look, new_figure, styled
from .pieces import empty, legend_height, log_ticks, marker_legend, note_pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Score against parameters and time"
CAPTION = (
    "Every trial; the line is the Pareto front over all variants, through the outlined trials that no cheaper "
    "trial equals (above a score of .05). The front is chosen by the test score itself and therefore flatters its "
    "trials."
)
OF_LOSSES = (
    "On a task without a criterion of success: the test loss, lower is better; only trials below the floor are on "
    "the front, and what lies off the axis stands at its upper end."
)
COLUMNS = ["task", "variant", "point", "cost", "value", "score", "front"]
LABELS = {"parameters": "parameters (trained values)", "seconds": "seconds of the trial"}
LEAST_SCORE = 0.05  # of a trial on the front


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per trial and cost (parameters or seconds), with its value and whether the trial is on the front.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    losses, limits: label and ends of the axis of losses, by task without a criterion of success; there `score` of
        `data` is the test loss.
    """

    data: pd.DataFrame
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]
    losses: Mapping[str, str]
    limits: Mapping[str, tuple[float, float]]


def numbers(study: Study) -> Numbers:
    """Return costs and scores of all trials, and which of them no cheaper trial equals."""
    parts = []
    floors = {task: float(goal.shown(goal.floor)) for task, goal in study.goals.items() if not goal.solvable}
    least = {task: -floors[task] if task in floors else LEAST_SCORE for task in study.goals}
    for task in tasks_in(study, study.trials):
        own = study.trials[study.trials["task"] == task]
        for cost in LABELS:
            values = outcomes(own, study.goals[task])
            front = pareto(own[cost].to_numpy(), (values if study.solvable(task) else -values).to_numpy(), least[task])
            parts.append(own.assign(cost=cost, value=own[cost], front=front, score=values)[COLUMNS])
    data = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    losses = {task: study.goals[task].label("test loss") for task in floors}
    limits = {task: loss_axis(study, task) for task in floors}
    return Numbers(data, study.summary, tasks_in(study, data), variants_in(study, data), losses, limits)


def pareto(cost: np.ndarray, score: np.ndarray, least: float = LEAST_SCORE) -> np.ndarray:
    """Return which trials no other beats in cost and score.

    cost, score: [P]. Of equal trials the first is on the front; only scores above `least` count.
    Returns booleans [P].

    >>> pareto(np.array([1.0, 2.0, 3.0]), np.array([0.2, 0.1, 0.3])).tolist()
    [True, False, True]
    """
    front = np.zeros(len(cost), dtype=bool)
    best = least
    for k in np.lexsort((-score, cost)):
        if score[k] > best:
            front[k], best = True, score[k]
    return front


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw two panels for each task, parameters left and seconds right."""
    data, counts, tasks, variants, losses, limits = numbers
    if not tasks:
        return empty("no trials yet")
    figure = new_figure(WIDTH, len(tasks) * 2.35 + 0.2 + legend_height(variants))
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharey="row")
    for row, task in zip(grid, tasks, strict=True):
        for axes, cost in zip(row, LABELS, strict=True):
            own = data[(data["task"] == task) & (data["cost"] == cost)]
            _panel(axes, own.assign(score=own["score"].clip(upper=limits.get(task, (0.0, np.inf))[1])), variants)
            low, high = limits.get(task, (-0.04, 1.01))
            axes.set_ylim(low, high + 0.05 * (high - low))
            axes.set_title(f"{task}, {cost}")
            axes.set_xlabel(LABELS[cost])
            log_ticks(axes.xaxis)
            note_pooled(axes, counts[counts["task"] == task])
        row[0].set_ylabel(losses.get(task, "score"))
    marker_legend(figure, variants)
    return figure


def _panel(axes: Axes, own: pd.DataFrame, variants: list[str]) -> None:
    on_front = own["front"].to_numpy(dtype=bool)
    front = own[on_front].sort_values("value")
    axes.set_xscale("log")
    axes.step(front["value"], front["score"], where="post", color=GREY, lw=1.0, zorder=2)
    for variant in variants:
        colour, marker, _ = look(variant)
        for chosen, size, alpha, edge in ((~on_front, 9, 0.45, "none"), (on_front, 24, 1.0, INK)):
            mine = own[chosen & (own["variant"] == variant).to_numpy()]
            looks: dict[str, Any] = {"marker": marker, "color": colour, "edgecolors": edge, "linewidths": 0.6}
            looks |= {"alpha": alpha, "zorder": 4 if size > 9 else 3, "rasterized": len(own) > 500}
            axes.scatter(mine["value"], mine["score"], s=size, **looks)


FIGURE = Entry("trade_off", TITLE, CAPTION, numbers, draw, rows=a_panel_for_each_task, most=4, of_losses=OF_LOSSES)
