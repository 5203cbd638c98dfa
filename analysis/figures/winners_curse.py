"""The score of each winner in the search against its score with a fresh seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import tasks_in, variants_in
from .entry import Entry, a_panel_for_each_task
from .look import GREY, look, new_figure, page, styled
from .pieces import COUNTED, counts_text, empty, legend_height, marker_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "What the search promised and what it kept"
CAPTION = (
    "How much of a winning score was luck? Each mark is the winner of a block of the search: its score there, and the"
    " score of the same configuration with a fresh seed. Marks below the diagonal were flattered by the search. Marks"
    " on the same spot are spread around it."
)


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per winner, see `tables.stages.confirmation`.
    marks: the same rows with x and y, where the mark of each stands.
    drops: by task, the mean of the score in the search minus that with a fresh seed.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    marks: pd.DataFrame
    drops: dict[str, float]
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]


def numbers(study: Study, confirmation: pd.DataFrame) -> Numbers:
    """Return scores of the winners in the search and with a fresh seed; confirmation: of `tables.stages`."""
    tasks, parts, drops = tasks_in(study, confirmation), [], {}
    for task in tasks:
        own = confirmation[confirmation["task"] == task]
        x, y = apart(own["search_score"].to_numpy(), own["fresh_score"].to_numpy())
        parts.append(own.assign(x=x, y=y))
        drops[task] = float((own["search_score"] - own["fresh_score"]).mean())
    marks = pd.concat(parts) if parts else confirmation
    return Numbers(confirmation, marks, drops, study.summary, tasks, variants_in(study, confirmation))


def apart(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates in which marks on the same spot lie around it, as the seeds of a sunflower do."""
    spots = pd.DataFrame({"x": np.round(x, 2), "y": np.round(y, 2)})
    k = spots.groupby(["x", "y"]).cumcount().to_numpy()
    radius, angle = 0.024 * np.sqrt(k), 2.4 * k
    return x + radius * np.cos(angle), y + radius * np.sin(angle)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task, with the diagonal on which the search kept what it promised."""
    tasks, variants = numbers.tasks, numbers.variants
    if not tasks:
        return empty("nothing confirmed yet")
    columns = min(page().columns(3), len(tasks))
    rows = -(-len(tasks) // columns)
    figure = new_figure(page().width, rows * 2.95 + 0.25 + legend_height(variants))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    for place, (axes, task) in enumerate(zip(grid.flat, tasks, strict=False)):
        own = numbers.marks[numbers.marks["task"] == task]
        _panel(axes, own, variants, numbers.drops[task])
        axes.set_title(words.spoken(task))
        counts = numbers.counts[numbers.counts["task"] == task]
        sums = counts[COUNTED].sum()
        axes.set_xlabel(f"score in the search ({len(own)} winners)\n{counts_text(sums)}")
        if place % columns == 0:
            axes.set_ylabel("score with a fresh seed")
    marker_legend(figure, variants)
    return figure


def _panel(axes: Axes, own: pd.DataFrame, variants: list[str], drop: float) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
    for variant in variants:
        mine, (colour, marker, _) = own[own["variant"] == variant], look(variant)
        looks: dict[str, Any] = {"marker": marker, "color": colour, "edgecolors": "white", "linewidths": 0.3}
        axes.scatter(mine["x"], mine["y"], s=18, zorder=3, clip_on=False, **looks)
    text = f"mean drop {drop:.2f}".replace("-", "−")
    axes.text(0.03, 0.9, text, transform=axes.transAxes, va="top", color=GREY)
    axes.set_xlim(-0.02, 1.04)
    axes.set_ylim(-0.02, 1.04)
    axes.set_aspect("equal")


FIGURE = Entry("winners_curse", TITLE, CAPTION, numbers, draw, ("confirmation",), rows=a_panel_for_each_task, most=9)
