"""The variants of two studies beside each other, and how much each variant differs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..tables.comparisons import GUARDS
from ..tables.two_studies import CHANGE
from .choice import records_of, rows_in
from .entry import Entry, two_rows_for_each_pair
from .look import GREY, INK, look, page, styled
from .pieces import empty, interval, mark, reach_of, right_heads, right_of_row, row_axis, row_names, row_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "This study and the other"
CAPTION = (
    "Does this study find what the other one found? Left the value of each variant: hollow in the other study, filled"
    " in this one. Right the difference, this study minus the other, over the points that both have where they are "
    "paired, else over all trials, with 95 % intervals that hold for all variants of a panel together. A row in bold "
    "differs: its interval excludes zero and p is at most .05. Nothing is shown where all sides learned nothing or "
    "solved everything. Without lines there are too few points for inference. How much the variant's advantage over "
    "the baseline changed stands in the table."
)
OF_LOSSES = (
    "Of a task without a criterion of success there is one question, quality: the mean test loss of the best decile, "
    "lower is better."
)
STOPS = (6, 100)  # points right of the axes at which the texts of a row begin


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the differences in the endpoints that decide, see `tables.two_studies`.
    rows: by task, the variants from top to bottom.
    """

    data: pd.DataFrame
    rows: dict[str, list[str]]


def numbers(study: Study, changes: pd.DataFrame) -> Numbers:
    """Return values in both studies and their differences, by question; changes: of `tables.two_studies`."""
    data = changes[changes["primary"]]
    return Numbers(data, rows_in(study, data))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw two panels for each task and question: values of both studies left, differences right."""
    data, rows = numbers
    if not rows:
        return empty("nothing common to both studies")
    panels = {(task, q): rows[task] for task, q in data[["task", "question"]].drop_duplicates().to_numpy().tolist()}
    panels = {key: panels[key] for task in rows for key in panels if key[0] == task}
    ratios: dict[str, Any] = {"width_ratios": (1, 1.15)}
    figure, grid, _ = row_panels(panels, height=0.26, around=1.15, columns=2, **ratios)
    for (left, right), ((task, question), variants) in zip(grid, panels.items(), strict=True):
        own = data[(data["task"] == task) & (data["question"] == question)]
        _rows(left, right, own, variants)
        for axes in (left, right):
            row_axis(axes, len(variants))
        row_names((left, right), variants)
        _frame(left, right, f"{words.spoken(task)}, {question}", own)
    return figure


def _rows(left: Axes, right: Axes, own: pd.DataFrame, variants: Sequence[str]) -> None:
    """Draw the values of each variant left, and the difference between the studies right."""
    change = records_of(own[own["what"] == CHANGE])
    unit = str(own["unit"].iloc[0])
    inferred = own["low"].notna().any()
    for y, variant in enumerate(variants):
        row = change[variant]
        _values(left, row, y, words.unit_of(unit).factor, variant)
        _difference(right, row, y, unit, variant)
        if inferred and row["verdict"] not in GUARDS and not page().narrow:
            right_of_row(right, words.p_value(row["p"]), y, STOPS[1])


def _values(axes: Axes, row: Mapping[Any, Any], y: float, scale: float, variant: str) -> None:
    """Draw the value in the other study hollow, that in this one filled, and a line between them."""
    colour, marker, _ = look(variant)
    axes.plot([scale * row["other"], scale * row["study"]], [y, y], color=colour, lw=1.0, zorder=2)
    mark(axes, scale * row["other"], y, marker, colour, filled=False, ms=8)
    mark(axes, scale * row["study"], y, marker, colour, filled=True, ms=4, zorder=4)


def _difference(axes: Axes, row: Mapping[Any, Any], y: float, unit: str, variant: str) -> None:
    """Draw a difference with its interval, and write both beside the row; only the verdict where there is none."""
    if row["verdict"] in GUARDS:
        right_of_row(axes, row["verdict"], y, STOPS[0], GREY)
        return
    colour, marker, _ = look(variant)
    scale = words.unit_of(unit).factor
    interval(axes, scale * row["low"], scale * row["high"], y, colour, lw=1.5)
    mark(axes, scale * row["difference"], y, marker, colour, filled=True, ms=5)
    text = words.difference(row["difference"], row["low"], row["high"], unit)
    if page().narrow:
        text = words.signed(row["difference"], unit)
    right_of_row(axes, text, y, STOPS[0], fontweight="bold" if row["significant"] else "normal")


def _frame(left: Axes, right: Axes, title: str, own: pd.DataFrame) -> None:
    """Give both panels their range, and write what is compared and in which unit."""
    endpoint = ENDPOINTS[own["endpoint"].iloc[0]]
    unit, span = str(own["unit"].iloc[0]), float(own["span"].iloc[0])
    scale = words.unit_of(unit).factor
    better = "← better" if endpoint.lower_is_better else "better →"
    change = own[own["what"] == CHANGE]
    points, how = int(change["points"].min()), "paired" if change["paired"].all() else "unpaired"
    shown = own[~own["verdict"].isin(GUARDS)]
    least = 0.15 if unit == "steps" else 0.15 * span
    reach = max(reach_of(scale * shown[["low", "high", "difference"]].to_numpy(dtype=float)), least * scale)
    right.axvline(0, color=INK, lw=0.9, zorder=1.5)
    right.set_xlim(-reach, reach)
    if not endpoint.of_losses and unit != "steps":  # shares and scores end at 0 and 1
        left.set_xlim(-0.03 * scale, 1.03 * scale)
    left.set_title(title, pad=5)
    left.set_xlabel("\n".join(wrap(f"{endpoint.title}{words.in_unit(unit)}", 30)) + f"   {better}")
    of_unit = {"%": "percentage points"}.get(unit, unit)
    unit_of_axis = f"; {of_unit}" if of_unit else ""
    right.set_xlabel(f"this study minus the other\n{how}, {points} points{unit_of_axis}   {better}")
    if not len(shown):
        for part in (right.xaxis, *right.spines.values()):
            part.set_visible(False)
        right.lines[0].set_visible(False)
        return
    inferred = own["low"].notna().any()
    right_heads(right, STOPS, ("difference [95 %]", "p") if inferred else ("difference",))


FIGURE = Entry(
    "beside", TITLE, CAPTION, numbers, draw, needs=("beside",), rows=two_rows_for_each_pair, of_losses=OF_LOSSES
)
