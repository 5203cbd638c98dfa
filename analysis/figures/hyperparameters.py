"""Where the best trials lie in the range of every hyperparameter: is the search space wide enough?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.best import best_decile
from ..tables.importance import outcomes
from .choice import Axis, axis_of, tasks_in, variants_in
from .entry import Entry, a_row_for_each_pair
from .look import BACK, GREY, SHADE, look, styled
from .pieces import COUNTED, counts_text, empty, log_ticks, note_below, row_axis, row_names, row_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from runs.study.space import Dimension

    from ..study import Study

TITLE = "Is the search space wide enough?"
CAPTION = (
    "A row for each variant: grey ticks are all of its trials, marks its best decile (solved trials first, by steps "
    "to solve, then by validation loss). The outer tenths of each range are shaded, with the share of the best trials"
    " of all variants that lies there. Far more than 10 % at an edge says that better values may lie outside of the "
    "range. The size is the baseline's width with the same number of parameters."
)
ACROSS, ROWS = 4, 0.2  # panels side by side; inches of a row
COLUMNS = ["task", "variant", "point", "hyperparameter", "value", "score", "best_decile"]


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per trial and hyperparameter, with its value and whether the trial is in the best decile; `score` is
        the test loss on a task without a criterion of success.
    axes: the axis of each hyperparameter.
    edges: by hyperparameter, where the lower and the upper tenth of the range end and begin.
    outside: by (task, hyperparameter), the share of the best deciles that lies in each of these two tenths.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    axes: Mapping[str, Axis]
    edges: Mapping[str, tuple[float, float]]
    outside: Mapping[tuple[str, str], tuple[float, float]]
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
    facts = study.summary, tasks_in(study, data), variants_in(study, data)
    return Numbers(data, axes, edges, outside, *facts)


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
    """Draw a panel for each task and hyperparameter, with a row for each variant."""
    tasks, names, variants = numbers.tasks, list(numbers.axes), numbers.variants
    if not tasks:
        return empty("no trials yet")
    across = min(len(names), ACROSS)
    lines = [(task, names[k : k + across]) for task in tasks for k in range(0, len(names), across)]
    figure, grid, _ = row_panels(dict.fromkeys(range(len(lines)), variants), ROWS, 1.05, columns=across)
    for row, (task, shown) in zip(grid, lines, strict=True):
        for axes in row[len(shown) :]:
            axes.set_axis_off()
        for axes, name in zip(row, shown, strict=False):
            _dots(axes, numbers, task, name)
            _outer_tenths(axes, numbers, task, name)
            row_axis(axes, len(variants))
        row_names(row[: len(shown)], variants)
        sums = numbers.counts.loc[numbers.counts["task"] == task, COUNTED].sum()
        note_below(row[0], f"all variants: {counts_text(sums)}", 31)
        row[0].set_title(words.spoken(task), pad=14)
    return figure


def _dots(axes: Axes, numbers: Numbers, task: str, name: str) -> None:
    """Draw a row for each variant: all trials as ticks, the best decile as marks."""
    data = numbers.data
    own = data[(data["task"] == task) & (data["hyperparameter"] == name)]
    axes.set_xscale("log" if numbers.axes[name].log else "linear")
    looks: dict[str, Any] = {"lw": 0.5, "rasterized": len(own) > 500}
    for y, variant in enumerate(numbers.variants):
        mine = own[own["variant"] == variant]
        if not len(mine):
            continue
        axes.vlines(mine["value"], y - 0.28, y + 0.28, color=BACK, zorder=2, **looks)
        best, (colour, marker, _) = mine.loc[mine["best_decile"], "value"], look(variant)
        edge = colour if marker in "+*Xx1234" else "white"
        axes.plot(
            best,
            np.full(len(best), y),
            ls="none",
            marker=marker,
            color=colour,
            mec=edge,
            mew=0.4,
            ms=5.5,
            zorder=3,
            clip_on=False,
        )


def _outer_tenths(axes: Axes, numbers: Numbers, task: str, name: str) -> None:
    """Shade the outer tenths of the range, and write the share of the best trials in each."""
    axis, (lower, upper) = numbers.axes[name], numbers.edges[name]
    below, above = numbers.outside[task, name]
    for start, end, share, side, at in (
        (axis.low, lower, below, "left", axis.low),
        (upper, axis.high, above, "right", axis.high),
    ):
        axes.axvspan(start, end, color=SHADE, lw=0, zorder=0.5)
        place = axes.get_xaxis_transform()
        axes.text(at, 1.0, f"{100 * share:.0f} %", transform=place, color=GREY, ha=side, va="bottom")
    axes.set_xlim(axis.low, axis.high)
    axes.set_xlabel(words.spoken(name))
    if axis.log:
        log_ticks(axes.xaxis, labels=5)
    else:
        axes.locator_params(axis="x", nbins=4)


FIGURE = Entry("hyperparameters", TITLE, CAPTION, numbers, draw, rows=a_row_for_each_pair, most=34)
