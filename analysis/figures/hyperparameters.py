"""The score of every trial against every hyperparameter: is the search space wide enough?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..statistics.best import best_decile
from ..tables.importance import loss_axis, outcomes
from .choice import Axis, axis_of, tasks_in, variants_in
from .entry import Entry, a_panel_for_each_task
from .look import GREY, SHADE, WIDTH, look, new_figure, styled
from .pieces import empty, legend_height, log_ticks, marker_legend, note_pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from runs.study.space import Dimension

    from ..study import Study

TITLE = "Is the search space wide enough?"
CAPTION = (
    "Score of every trial (grey) against each hyperparameter, with the best decile of each variant marked. "
    "Shaded: the outer tenths of the range and the share of the best trials that lie there. Far more than 10 % at "
    "an edge says that better values may lie outside. The size is the baseline's width with the same number of "
    "parameters."
)
OF_LOSSES = (
    "On a task without a criterion of success: the test loss, lower is better; what lies off the axis stands at "
    "its upper end."
)
COLUMNS = ["task", "variant", "point", "hyperparameter", "value", "score", "best_decile"]


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per trial and hyperparameter, with its value and whether the trial is in the best decile.
    axes: the axis of each hyperparameter.
    edges: by hyperparameter, where the lower and the upper tenth of the range end and begin.
    outside: by (task, hyperparameter), the share of the best deciles that lies in each of these two tenths.
    losses: label and ends of the axis of losses, by task without a criterion of success; there `score` of `data` is
        the test loss.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    axes: Mapping[str, Axis]
    edges: Mapping[str, tuple[float, float]]
    outside: Mapping[tuple[str, str], tuple[float, float]]
    losses: Mapping[str, tuple[str, float, float]]
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]


def numbers(study: Study) -> Numbers:
    """Return values and scores of all trials, and how many of the best lie in the outer tenths of the search space.

    Of a hyperparameter without influence, 10 % of the best trials are expected in each tenth.
    """
    names = [name for name in study.design.space if name in study.table]
    axes = {name: axis_of(study, name, study.table[name]) for name in names}
    edges = {name: _edges(study.design.space[name], axis) for name, axis in axes.items()}
    parts, outside = [], {}
    for task in tasks_in(study, study.trials) if names else []:
        own = study.trials[study.trials["task"] == task]
        best = np.concatenate([g.index[best_decile(g["order"])] for _, g in own.groupby("variant")])
        for name in names:
            values, (lower, upper) = own.loc[best, name], edges[name]
            outside[task, name] = float((values <= lower).mean()), float((values >= upper).mean())
            parts.append(own.assign(hyperparameter=name, value=own[name], best_decile=own.index.isin(best)))
            parts[-1] = parts[-1].assign(score=outcomes(own, study.goals[task]))[COLUMNS]
    data = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    losses = {t: _loss_axis(study, t) for t in tasks_in(study, data) if not study.solvable(t)}
    facts = study.summary, tasks_in(study, data), variants_in(study, data)
    return Numbers(data, axes, edges, outside, losses, *facts)


def _loss_axis(study: Study, task: str) -> tuple[str, float, float]:
    return study.goals[task].label("test loss"), *loss_axis(study, task)


def _edges(dimension: Dimension, axis: Axis) -> tuple[float, float]:
    """Return where the lower tenth of a range ends, and where the upper one begins, as its values are drawn."""
    if dimension.complement:
        lower, upper = sorted((float(dimension.value(0.1)), float(dimension.value(0.9))))
        return lower, upper
    low, high = (np.log(axis.low), np.log(axis.high)) if axis.log else (axis.low, axis.high)
    inner = [float(low + share * (high - low)) for share in (0.1, 0.9)]
    lower, upper = (float(np.exp(x)) if axis.log else x for x in inner)
    return lower, upper


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task and hyperparameter: all trials in grey, the best decile of each variant marked."""
    tasks, names = numbers.tasks, list(numbers.axes)
    if not tasks:
        return empty("no trials yet")
    figure = new_figure(WIDTH, len(tasks) * 2.05 + 0.2 + legend_height(numbers.variants))
    grid = figure.subplots(len(tasks), len(names), squeeze=False, sharey="row")
    for row, task in enumerate(tasks):
        for axes, name in zip(grid[row], names, strict=True):
            _dots(axes, numbers, task, name)
            _outer_tenths(axes, numbers, task, name)
            if numbers.axes[name].log:
                log_ticks(axes.xaxis, few=len(names) > 3)
        grid[row, 0].set_title(task)
        grid[row, 0].set_ylabel(numbers.losses[task][0] if task in numbers.losses else "score")
        note_pooled(grid[row, 0], numbers.counts[numbers.counts["task"] == task])
    marker_legend(figure, numbers.variants)
    return figure


def _dots(axes: Axes, numbers: Numbers, task: str, name: str) -> None:
    data = numbers.data
    own = data[(data["task"] == task) & (data["hyperparameter"] == name)]
    if task in numbers.losses:  # what is off the axis stands at its end
        own = own.assign(score=own["score"].clip(upper=numbers.losses[task][2]))
    axes.set_xscale("log" if numbers.axes[name].log else "linear")
    axes.scatter(
        own["value"], own["score"], s=3, color="#b5b5b5", lw=0, zorder=2, clip_on=False, rasterized=len(own) > 500
    )
    for variant in numbers.variants:
        best, (colour, marker, _) = own[own["best_decile"] & (own["variant"] == variant)], look(variant)
        looks: dict[str, Any] = {"marker": marker, "color": colour, "edgecolors": "white", "linewidths": 0.3}
        looks |= {"clip_on": False}
        axes.scatter(best["value"], best["score"], s=13, zorder=3, **looks)


def _outer_tenths(axes: Axes, numbers: Numbers, task: str, name: str) -> None:
    """Shade the outer tenths of the range, and write the share of the best trials in each."""
    axis, (lower, upper) = numbers.axes[name], numbers.edges[name]
    below, above = numbers.outside[task, name]
    loss = numbers.losses.get(task)
    top = loss[2] + 0.09 * (loss[2] - loss[1]) if loss else 1.1
    for start, end, share, side, at in (
        (axis.low, lower, below, "left", axis.low),
        (upper, axis.high, above, "right", axis.high),
    ):
        axes.axvspan(start, end, color=SHADE, lw=0, zorder=0.5)
        axes.text(at, top, f"{100 * share:.0f} %", fontsize=6.5, color=GREY, ha=side, va="center")
    axes.set_xlim(axis.low, axis.high)
    axes.margins(x=0)
    if loss:
        axes.set_ylim(loss[1], loss[2] + 0.16 * (loss[2] - loss[1]))
    else:
        axes.set_ylim(-0.04, 1.17)
        axes.set_yticks([0, 0.5, 1])
    axes.set_xlabel(name.replace("_", " "))


FIGURE = Entry(
    "hyperparameters", TITLE, CAPTION, numbers, draw, rows=a_panel_for_each_task, most=4, of_losses=OF_LOSSES
)
