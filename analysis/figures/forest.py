"""The difference of each variant to the baseline, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from .choice import records_of, rows_in
from .entry import Entry, a_row_for_each_pair
from .look import GREY, INK, look, styled
from .pieces import (
    counts_text,
    empty,
    interval,
    mark,
    reach_of,
    right_heads,
    right_of_row,
    row_axis,
    row_names,
    row_panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Differences to the baseline"
CAPTION = (
    "Difference between each variant and the baseline in the endpoint that the share of solved trials chooses for "
    "the task (solve rate between 5 and 95 %, above it steps to solve, below it the score of the best decile), "
    "over the points that both have. Lines: 95 % intervals that hold for all variants of a task together. Filled "
    "marks: the interval excludes zero and the label-swap p-value, Holm-adjusted over the variants, is at most "
    ".05. Greff's p: Welch's test on the test losses of the best deciles, unadjusted; it marks equal variants far "
    "too often. Without lines the study has too few points for inference."
)
STOPS = (6, 88, 118)  # points right of the axes at which the texts of a row begin


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the comparisons with the baseline in the endpoint of each task, see `tables.comparisons`.
    counts: the summary of the study.
    rows: by task, the variants from top to bottom.
    """

    data: pd.DataFrame
    counts: pd.DataFrame
    rows: dict[str, list[str]]


def numbers(study: Study, comparisons: pd.DataFrame) -> Numbers:
    """Return the differences in the primary endpoint of each task; comparisons: of `tables.comparisons`."""
    data = comparisons[comparisons["primary"]]
    return Numbers(data, study.summary, rows_in(study, data))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task. Better is to the right in every panel; filled marks are significant."""
    data, counts, rows = numbers
    if not rows:
        return empty("no variant to compare with a baseline")
    figure, grid = row_panels(rows, height=0.29, around=0.85)
    for axes, (task, variants) in zip(grid.flat, rows.items(), strict=True):
        own = data[data["task"] == task].set_index("variant").loc[variants]
        of_task = counts[counts["task"] == task]
        _rows(axes, own)
        _frame(axes, task, own, records_of(of_task)[own["baseline"].iloc[0]])
        row_axis(axes, len(own))
        row_names(axes, of_task, variants)
    return figure


def _rows(axes: Axes, own: pd.DataFrame) -> None:
    """Draw a difference with its interval in each row, and write both beside it."""
    unit = ENDPOINTS[own["endpoint"].iloc[0]].unit
    scale = words.UNITS[unit].factor
    inferred = own["low"].notna().any()
    for y, (variant, row) in enumerate(own.iterrows()):
        own_look = look(str(variant))
        interval(axes, scale * row["low"], scale * row["high"], y, own_look.colour)
        mark(axes, scale * row["difference"], y, own_look.marker, own_look.colour, filled=bool(row["significant"]))
        right_of_row(axes, words.difference(row["difference"], row["low"], row["high"], unit), y, STOPS[0])
        if inferred:
            right_of_row(axes, words.p_value(row["p"]), y, STOPS[1])
            right_of_row(axes, words.p_value(row["greff_welch_p"]), y, STOPS[2])
    right_heads(axes, STOPS, ("difference [95 % interval]", "p", "Greff's p") if inferred else ("difference",))


def _frame(axes: Axes, task: str, own: pd.DataFrame, baseline: Mapping[Any, Any]) -> None:
    """Draw the line of no difference, and write what is compared with what; baseline: its row of the summary."""
    endpoint = ENDPOINTS[own["endpoint"].iloc[0]]
    axes.axvline(0, color=INK, lw=0.9, zorder=1.5)
    reach = reach_of(words.UNITS[endpoint.unit].factor * own[["low", "high", "difference"]].to_numpy(dtype=float))
    axes.set_xlim(*((reach, -reach) if endpoint.lower_is_better else (-reach, reach)))
    axes.set_title(f"{task}: {baseline['variant']} {words.level(own['reference'].iloc[0], endpoint.unit)}", pad=5)
    points = ", percentage points" if endpoint.unit == "%" else ""
    axes.set_xlabel(f"← worse    difference in {endpoint.title}{points}    better →", fontsize=7)
    axes.annotate(
        f"{baseline['variant']}: {counts_text(baseline)}",
        (0, 0),
        xycoords="axes fraction",
        xytext=(-5, -16),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=5.8,
        color=GREY,
    )


FIGURE = Entry("forest", TITLE, CAPTION, numbers, draw, needs=("comparisons",), rows=a_row_for_each_pair)
