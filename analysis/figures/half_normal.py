"""Effects of the parts of a cell against what chance alone would show: a half-normal plot for each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from .. import words
from ..statistics.endpoints import EASE
from .effect_matrix import part_name
from .entry import EVIDENCE, Entry, a_panel_for_each_task
from .look import BACK, COLOURS, GREY, INK, new_figure, page, styled
from .pieces import empty, on_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Which effects stand out from chance?"
CAPTION = (
    "Which effects are more than chance? Each mark is an effect of a part or of a pair of parts on the decision of the "
    "task (the solve rate; without a criterion of success the loss of the best tenth), in standard errors, against the "
    "size that the effect of this rank would have if there were none: then all marks would lie along the grey line. "
    "Filled marks with a name lie above the dashed line and are told apart from zero, all effects of a task being "
    "tested together. After Daniel 1959."
)
PANEL = 2.4  # inches of the height of a panel
MOST_NAMED = 6  # effects that are named in a panel


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: an effect a row, with `quotient`, its size in standard errors, `expected`, that of its rank without effects,
        and `critical`, the quotient above which it is told apart.
    tasks: from left.
    """

    data: pd.DataFrame
    tasks: list[str]


def numbers(study: Study, effects: pd.DataFrame) -> Numbers:
    """Return the quotients of the effects in the endpoint that decides, by task and size."""
    parts = []
    for task in study.tasks:
        own = effects[(effects["task"] == task) & effects["primary"] & np.isfinite(effects["error"])]
        eased = own["question"] == EASE
        own = own[eased] if eased.any() else own
        if len(own):
            parts.append(_ranked(own))
    data = pd.concat(parts) if parts else effects.iloc[:0].assign(quotient=[], expected=[], critical=[])
    return Numbers(data, list(dict.fromkeys(data["task"])))


def _ranked(own: pd.DataFrame) -> pd.DataFrame:
    quotient = (own["difference"] / own["error"]).abs()
    half = np.maximum(own["difference"] - own["low"], own["high"] - own["difference"])
    found = own.assign(quotient=quotient, critical=float((half / own["error"]).median()))
    found = found.sort_values("quotient", kind="stable")
    ranks = (np.arange(len(found)) + 0.5) / len(found)
    return found.assign(expected=norm.ppf(0.5 + ranks / 2))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task."""
    if numbers.data.empty:
        return empty("No effect can be computed yet.")
    columns = min(page().columns(2), len(numbers.tasks))
    rows = -(-len(numbers.tasks) // columns)
    figure = new_figure(page().width if columns > 1 or page().narrow else 0.6 * page().width, rows * PANEL)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(numbers.tasks) :]:
        axes.set_visible(False)
    for axes, task in zip(grid.flat, numbers.tasks, strict=False):
        _panel(axes, numbers.data[numbers.data["task"] == task])
        axes.set_title(words.spoken(task))
    for axes in grid[-1]:
        axes.set_xlabel("size by chance, in standard errors")
    for axes in grid[:, 0]:
        axes.set_ylabel("size, in standard errors")
    return figure


def _panel(axes: Axes, own: pd.DataFrame) -> None:
    most = float(own["expected"].max())
    critical = float(own["critical"].iloc[0])
    axes.plot([0, most], [0, most], color=BACK, lw=0.9)
    apart = own["quotient"] > critical if np.isfinite(critical) else own["quotient"] < 0
    if np.isfinite(critical):
        axes.axhline(critical, color=GREY, lw=0.9, ls=(0, (4, 2)))
    look = {"ls": "none", "marker": "o", "ms": 4, "mec": COLOURS[0], "mew": 0.9}
    axes.plot(own["expected"][~apart], own["quotient"][~apart], mfc="white", **look)
    axes.plot(own["expected"][apart], own["quotient"][apart], mfc=COLOURS[0], **look)
    named = own[apart].tail(MOST_NAMED)
    for row in named.to_dict("records"):
        name = " × ".join(part_name(part) for part in str(row["effect"]).split(" x "))
        place = {"xytext": (-6, 0), "textcoords": "offset points", "ha": "right", "va": "center", "color": INK}
        on_curves(axes.annotate(name, (row["expected"], row["quotient"]), **place))
    axes.set_xlim(0, most * 1.08)
    axes.set_ylim(0, max(float(own["quotient"].max()), critical if np.isfinite(critical) else 0.0, most) * 1.1)


FIGURE = Entry("half_normal", TITLE, CAPTION, numbers, draw, ("effects",), a_panel_for_each_task, most=6, part=EVIDENCE)
