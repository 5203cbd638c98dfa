"""Bounds on the likelihood against the number of parameters, beside losses without latent variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import Line, lines_of, tasks_in
from .entry import Entry, a_row_for_each_pair
from .look import GREY, look, new_figure, page, styled
from .pieces import LINE, empty, level_lines, readable, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..goals import Goal
    from ..study import Study

TITLE = "Bound against parameters"
CAPTION = (
    "What do latent variables buy, and for how many parameters? Each dot is the best decile of a variant: its "
    "importance-weighted bound (filled), or its exact loss where there are no latent variables (hollow). The line "
    "above a dot ends at the -ELBO, which training minimises. A cross stands where the latent variables are not used: "
    "the posterior has collapsed onto the prior. Dotted: floor, reference and the level at which the task is solved."
)
LOWEST, AROUND = 3.0, 0.75  # inches of a panel at least, and of what stands above and below it
WIDE = 3  # so many times as many parameters as the smallest variant has need an axis on a log scale


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: of `tables.bounds`.
    lines: by task, what losses are held against.
    goals: by task.
    tasks: in the order of the study.
    """

    data: pd.DataFrame
    lines: Mapping[str, Sequence[Line]]
    goals: Mapping[str, Goal]
    tasks: list[str]


def numbers(study: Study, bounds: pd.DataFrame) -> Numbers:
    """Return the numbers of the figure; bounds: of `tables.bounds`."""
    return Numbers(bounds, lines_of(study), study.goals, tasks_in(study, bounds))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task."""
    if not numbers.tasks:
        return empty("no latent variables")
    most = int(numbers.data.groupby("task")["variant"].size().max())
    height = max(LOWEST, AROUND + 1.3 * LINE * most)
    figure = new_figure(page().width, height * len(numbers.tasks))
    for axes, task in zip(figure.subplots(len(numbers.tasks), squeeze=False)[:, 0], numbers.tasks, strict=True):
        _panel(axes, numbers, task, height)
    return figure


def _panel(axes: Axes, numbers: Numbers, task: str, height: float) -> None:
    """Draw the variants of a task; height: of the panel and what stands around it, in inches."""
    own = numbers.data[numbers.data["task"] == task].sort_values("bound", kind="stable")
    for row in own.to_dict("records"):
        colour, latent = look(row["variant"]).colour, np.isfinite(row["kl"])
        unused = latent and row["used_dimensions"] < 0.5
        marker, face = ("x" if unused else "o"), (colour if latent else "white")
        if latent:
            axes.plot([row["parameters"]] * 2, [row["bound"], row["negative_elbo"]], color=colour, lw=1.2, zorder=2)
        axes.plot(row["parameters"], row["bound"], marker=marker, ms=6, mfc=face, mec=colour, ls="", zorder=3)
    level_lines(axes, numbers.lines.get(task, ()))
    if own["parameters"].max() > WIDE * own["parameters"].min():
        axes.set_xscale("log")
        axes.tick_params(axis="x", which="minor", labelbottom=False)
    else:
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)
        axes.locator_params(axis="x", nbins=5)
    axes.margins(x=0.06, y=0.12)
    _names(axes, own, height)
    axes.set_title(words.spoken(task), fontsize=9, fontweight="bold", loc="left")
    axes.set_xlabel("parameters")
    axes.set_ylabel(numbers.goals[task].label("loss"))


def _names(axes: Axes, own: pd.DataFrame, height: float) -> None:
    """Write the names of variants right of the axes, each joined to its dot, so that none covers another one."""
    low, high = axes.get_ylim()
    at = [(bound - low) / (high - low) for bound in own["bound"]]
    places = spread(at, gap=1.2 * LINE / (height - AROUND), low=-0.1, high=1.1)
    for row, place in zip(own.to_dict("records"), places, strict=True):
        name, colour = words.spoken(row["variant"]), readable(look(row["variant"]).colour)
        axes.text(1.03, place, name, transform=axes.transAxes, va="center", fontsize=8, color=colour, clip_on=False)
        line = {"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 0, "shrinkB": 4}
        dot = (row["parameters"], row["bound"])
        axes.annotate("", dot, (1.02, place), textcoords="axes fraction", arrowprops=line, annotation_clip=False)


FIGURE = Entry(
    "bounds",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("bounds",),
    rows=a_row_for_each_pair,
    of_networks=True,
)
