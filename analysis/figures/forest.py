"""The difference of each variant to the baseline, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS, QUALITY
from ..tables.comparisons import BETTER, EVERYTHING_SOLVED, GUARDS, MARGIN, SAME, WORSE
from .choice import records_of, rows_in
from .entry import EVIDENCE, Entry, two_rows_for_each_pair
from .look import GREY, INK, look, page, styled
from .pieces import (
    ROW,
    counts_of,
    counts_text,
    empty,
    interval,
    mark,
    note_below,
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
    "Is a variant better or worse than the baseline, and by how much? Each mark is the difference over the points that "
    "both have; right of the line is better. Filled marks: better or worse, the interval excludes zero; half-filled: the "
    "same, the interval lies inside the grey band of a tenth, which counts as no difference; hollow: open. Lines: 95 % "
    "intervals that hold for all variants of a panel together; p: from label swaps. Where there are no intervals the "
    "points are too few to tell luck from skill, and thin lines only lead from zero to the marks. Ease: the solve rate. "
    "Quality: the expected score of the best of 20 trials (of all, where there are fewer), best by steps to solve, then "
    "by validation loss. No difference is shown where both learned nothing or solved everything; solved after tuning "
    "are those whose best trials solve the task, however few these are."
)
OF_LOSSES = (
    "Of a task without a criterion of success there is one question, quality: the mean test loss of the best "
    "tenth of the trials, chosen by validation loss. Better, a lower loss, is to the right; the band is a tenth "
    "of the way from the floor to the reference, or of the floor where there is no reference. Nothing learned: "
    "both best deciles are no better than the best model without memory."
)
STOPS = (6, 96, 126)  # points right of the axes at which the texts of a row begin
WIDE_STOPS = (6, 122, 152)  # of losses, which have more digits
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
    figure, grid, two_lines = row_panels(panels, height=ROW, around=1.1)
    for axes, ((task, question), variants) in zip(grid.flat, panels.items(), strict=True):
        own = data[(data["task"] == task) & (data["question"] == question)].set_index("variant").loc[variants]
        of_task = counts[counts["task"] == task]
        _rows(axes, own)
        _frame(axes, task, own, records_of(of_task)[own["baseline"].iloc[0]])
        row_axis(axes, len(own))
        row_names([axes], variants, counts_of(of_task, variants), two_lines=two_lines)
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
        if not np.isfinite(row["low"]):
            interval(axes, *sorted((0.0, scale * row["difference"])), y, own_look.colour, lw=0.8)
        fill = FILLS.get(row["verdict"], "none")
        looks = {"fillstyle": fill} if fill != "none" else {}
        filled = fill != "none"
        mark(axes, scale * row["difference"], y, own_look.marker, own_look.colour, filled=filled, **looks)
        if page().narrow:  # the interval is drawn, and there is little room
            verdict = f", {row['verdict']}" if inferred else ""
            right_of_row(axes, f"{words.signed(row['difference'], unit)}{verdict}", y)
            continue
        right_of_row(axes, words.difference(row["difference"], row["low"], row["high"], unit), y, stops[0])
        if inferred:
            right_of_row(axes, words.p_value(row["p"]), y, stops[1])
            right_of_row(axes, str(row["verdict"]), y, stops[2])
    heads = ("difference [95 %]", "p", "verdict") if inferred else ("difference",)
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
    level, name = words.level(first["reference"], unit), words.spoken(str(baseline["variant"]))
    title = f"{words.spoken(task)}, {first['question']}: {endpoint.title} ({name}: {level})"
    axes.set_title("\n".join(wrap(title, page().columns(64, 44))), pad=14)
    of_unit = {"%": "percentage points"}.get(unit, unit)
    after = f" in {of_unit}" if of_unit else ""
    axes.set_xlabel(f"← worse    difference{after}    better →")
    note_below(axes, f"{name}: {counts_text(baseline)}", 30)


FIGURE = Entry(
    "forest",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("comparisons",),
    part=EVIDENCE,
    rows=two_rows_for_each_pair,
    most=34,
    of_losses=OF_LOSSES,
)
