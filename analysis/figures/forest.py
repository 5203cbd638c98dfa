"""The difference of each variant to the baseline, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS, QUALITY
from ..tables.comparisons import BETTER, EVERYTHING_SOLVED, GUARDS, MARGIN, SAME, WORSE
from .choice import records_of, rows_in
from .entry import Entry, two_rows_for_each_pair
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
    "Difference between each variant and the baseline over the points that both have, by both questions. Ease: the "
    "solve rate, the share of points at which a variant solves the task. Quality: the expected score of the best of 20 "
    "trials (of all, where there are fewer); best are those that solved the task in the fewest steps, then those with "
    "the lowest validation loss. Lines: 95 % intervals that hold for all variants of a task and question together; p: "
    "from label swaps, at most .05 exactly where the interval excludes zero. Band: differences below a tenth, which "
    "count as none. Filled marks: better or worse; half-filled: the same, the interval lies inside the band; hollow: "
    "open. Where a variant and the baseline both learned nothing, or solved everything, no difference is shown; solved "
    "after tuning are those whose best trials solve the task, however few these are. "
    "Greff's p: Welch's test on the test losses of the best deciles, unadjusted; it marks equal variants far too "
    "often. Without lines the study has too few points for inference."
)
OF_LOSSES = (
    "Of a task without a criterion of success there is one question, quality: the mean test loss of the best "
    "tenth of the trials, chosen by validation loss. Better, a lower loss, is to the right; the band is a tenth "
    "of the way from the floor to the reference, or of the floor where there is no reference. Nothing learned: "
    "both best deciles are no better than the best model without memory."
)
STOPS = (6, 88, 112, 140)  # points right of the axes at which the texts of a row begin
WIDE_STOPS = (6, 98, 120, 146)  # of losses, which have more digits
FILLS = {BETTER: "full", WORSE: "full", SAME: "left"}  # of the marks, by verdict; none for others


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the comparisons with the baseline in the endpoints that decide, see `tables.comparisons`.
    counts: the summary of the study.
    rows: by task, the variants from top to bottom.
    """

    data: pd.DataFrame
    counts: pd.DataFrame
    rows: dict[str, list[str]]


def numbers(study: Study, comparisons: pd.DataFrame) -> Numbers:
    """Return the differences in the endpoints that decide; comparisons: of `tables.comparisons`."""
    data = comparisons[comparisons["primary"]]
    return Numbers(data, study.summary, rows_in(study, data))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each task and question. Better is to the right; the verdict is in the fill of the mark."""
    data, counts, rows = numbers
    if not rows:
        return empty("no variant to compare with a baseline")
    panels = {(task, q): rows[task] for task, q in data[["task", "question"]].drop_duplicates().to_numpy().tolist()}
    panels = {key: panels[key] for task in rows for key in panels if key[0] == task}
    figure, grid = row_panels(panels, height=0.29, around=0.85)
    for axes, ((task, question), variants) in zip(grid.flat, panels.items(), strict=True):
        own = data[(data["task"] == task) & (data["question"] == question)].set_index("variant").loc[variants]
        of_task = counts[counts["task"] == task]
        _rows(axes, own)
        _frame(axes, task, own, records_of(of_task)[own["baseline"].iloc[0]])
        row_axis(axes, len(own))
        row_names(axes, of_task, variants)
    return figure


def _rows(axes: Axes, own: pd.DataFrame) -> None:
    """Draw a difference with its interval in each row, and write both beside it."""
    unit = str(own["unit"].iloc[0])
    scale, stops = words.unit_of(unit).factor, STOPS if unit in words.UNITS else WIDE_STOPS
    inferred = own["low"].notna().any()
    for y, (variant, row) in enumerate(own.iterrows()):
        if row["verdict"] in GUARDS:
            right_of_row(axes, _guard(row), y, stops[0], colour=GREY)
            continue
        own_look = look(str(variant))
        interval(axes, scale * row["low"], scale * row["high"], y, own_look.colour)
        fill = FILLS.get(row["verdict"], "none")
        looks = {"fillstyle": fill} if fill != "none" else {}
        filled = fill != "none"
        mark(axes, scale * row["difference"], y, own_look.marker, own_look.colour, filled=filled, **looks)
        right_of_row(axes, words.difference(row["difference"], row["low"], row["high"], unit), y, stops[0])
        if inferred:
            right_of_row(axes, words.p_value(row["p"]), y, stops[1])
            right_of_row(axes, str(row["verdict"]), y, stops[2])
            right_of_row(axes, words.p_value(row["greff_welch_p"]), y, stops[3])
    heads = ("difference [95 % interval]", "p", "verdict", "Greff's p") if inferred else ("difference",)
    right_heads(axes, stops, heads)


def _guard(row: pd.Series[Any]) -> str:
    """Return the words for a verdict that says that no difference could show."""
    if row["verdict"] == EVERYTHING_SOLVED and row["question"] == QUALITY:
        return "solved after tuning"
    return str(row["verdict"])


def _frame(axes: Axes, task: str, own: pd.DataFrame, baseline: Mapping[Any, Any]) -> None:
    """Draw the line of no difference and the band of the margin, and write what is compared with what.

    baseline: its row of the summary.
    """
    endpoint, first = ENDPOINTS[own["endpoint"].iloc[0]], own.iloc[0]
    unit = str(first["unit"])
    scale = words.unit_of(unit).factor
    margin = scale * MARGIN * first["span"]
    axes.axvspan(-margin, margin, color=GREY, alpha=0.13, lw=0, zorder=0.5)
    axes.axvline(0, color=INK, lw=0.9, zorder=1.5)
    shown = own[~own["verdict"].isin(GUARDS)]
    reach = max(reach_of(scale * shown[["low", "high", "difference"]].to_numpy(dtype=float)), 1.5 * margin)
    axes.set_xlim(*((reach, -reach) if endpoint.lower_is_better else (-reach, reach)))
    level = words.level(first["reference"], unit)
    axes.set_title(f"{task}, {first['question']}: {baseline['variant']} {level}", pad=5)
    of_unit = {"%": "percentage points"}.get(unit, unit)
    after = f", {of_unit}" if of_unit else ""
    axes.set_xlabel(f"← worse    difference in {endpoint.title}{after}    better →", fontsize=7)
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


FIGURE = Entry(
    "forest", TITLE, CAPTION, numbers, draw, needs=("comparisons",), rows=two_rows_for_each_pair, of_losses=OF_LOSSES
)
