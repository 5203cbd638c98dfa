"""Effects of the parts of a cell against what chance alone would show: a half-normal plot for each task."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from .. import words
from ..statistics.endpoints import EASE
from .effect_matrix import part_name
from .entry import EVIDENCE, Entry, a_panel_for_each_task
from .look import BACK, COLOURS, GREY, INK, new_figure, page, styled
from .pieces import LINE, empty, note_below, on_curves, room_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Which effects stand out from chance?"
CAPTION = (
    "Which effects are more than chance? Each mark is an effect of a part or of a pair of parts on the decision of the "
    "task (the solve rate; without a criterion of success the loss of the best tenth), in standard errors, against the "
    "size that the effect of this rank would have if there were none: then all marks would lie along the grey line. "
    "Filled marks lie above the dashed line and are told apart from zero, all effects of a task being "
    "tested together; the largest have numbers. After Daniel 1959."
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
        own = effects[(effects["task"] == task) & effects["primary"] & np.isfinite(effects["error"].astype(float))]
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
    width = page().width if columns > 1 or page().narrow else 0.6 * page().width
    texts = {task: _names(numbers.data[numbers.data["task"] == task], width / columns) for task in numbers.tasks}
    figure = new_figure(width, rows * (PANEL + LINE * max(text.count("\n") + 1 for text in texts.values())))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(numbers.tasks) :]:
        axes.set_visible(False)
    for axes, task in zip(grid.flat, numbers.tasks, strict=False):
        _panel(axes, numbers.data[numbers.data["task"] == task])
        axes.set_title(words.spoken(task))
        axes.set_xlabel("size by chance, in standard errors")
        note_below(axes, texts[task], 34)
    for axes in grid[:, 0]:
        axes.set_ylabel("size, in standard errors")
    return figure


def _named(own: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the effects that have numbers, the largest first."""
    return own[own["quotient"] > own["critical"]].tail(MOST_NAMED)[::-1].to_dict("records")


def _names(own: pd.DataFrame, width: float) -> str:
    """Return the names of the effects that have numbers, for the room under a panel of a width in inches."""
    names = [" × ".join(part_name(part) for part in str(row["effect"]).split(" x ")) for row in _named(own)]
    text = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    return "\n".join(wrap(text or "none is told apart", room_for(width - 0.5)))


def _panel(axes: Axes, own: pd.DataFrame) -> None:
    most = float(own["expected"].max())
    critical = float(own["critical"].iloc[0])
    axes.plot([0, most], [0, most], color=BACK, lw=0.9)
    apart = own["quotient"] > critical if np.isfinite(critical) else own["quotient"] < 0
    if np.isfinite(critical):
        axes.axhline(critical, color=GREY, lw=0.9, ls=(0, (4, 2)))
    look: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4, "mec": COLOURS[0], "mew": 0.9}
    axes.plot(own["expected"][~apart], own["quotient"][~apart], mfc="white", **look)
    axes.plot(own["expected"][apart], own["quotient"][apart], mfc=COLOURS[0], **look)
    for number, row in enumerate(_named(own), 1):
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center", "color": INK}
        on_curves(axes.annotate(str(number), (row["expected"], row["quotient"]), xytext=(-6, 0), **place))
    axes.set_xlim(0, most * 1.08)
    axes.set_ylim(0, max(float(own["quotient"].max()), critical if np.isfinite(critical) else 0.0, most) * 1.1)


FIGURE = Entry("half_normal", TITLE, CAPTION, numbers, draw, ("effects",), a_panel_for_each_task, most=6, part=EVIDENCE)
