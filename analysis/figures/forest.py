"""The difference of each variant to the baseline, task by task."""

from __future__ import annotations

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
    LINE,
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
    "Is a variant better or worse than the baseline, and by how much? Each mark is the difference over the points "
    "that both have; right of the line is better. Filled marks: better or worse, the interval excludes zero; half-"
    "filled: the same, the interval lies inside the grey band of a tenth, which counts as no difference; hollow: "
    "open. Lines: 95 % intervals that hold for all variants of a panel together; p: from label swaps. Where there are"
    " no intervals the points are too few to tell luck from skill, and thin lines only lead from zero to the marks. "
    "Ease: the solve rate. Quality: the expected score of the best of 20 trials (of all, where there are fewer), best"
    " by steps to solve, then by validation loss. No difference is shown where both learned nothing or solved "
    "everything; solved after tuning are those whose best trials solve the task, however few these are."
)
OF_LOSSES = (
    "Of a task without a criterion of success there is one question, quality: the mean test loss of the best tenth of"
    " the trials, chosen by validation loss. Better, a lower loss, is to the right; the band is a tenth of the way "
    "from the floor to the reference, or of the floor where there is no reference. Nothing learned: both best deciles"
    " are no better than the best model without memory."
)
STOPS = (6, 108, 138)  # points right of the axes at which the texts of a row begin
WIDE_STOPS = (6, 126, 156)  # of losses, which have more digits
AROUND = 1.05  # inches around the rows of a panel
NO_BREAK = "\u00a0"
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
    of_panel = {
        key: data[(data["task"] == key[0]) & (data["question"] == key[1])].set_index("variant").loc[variants]
        for key, variants in panels.items()
    }
    shown = {key: own[~own["verdict"].isin(GUARDS)] for key, own in of_panel.items()}
    notes = {key: _guards(own) for key, own in of_panel.items()}
    height = {key: AROUND + LINE * (note.count("\n") + 1) for key, note in notes.items()}
    figure, grid, two_lines = row_panels({key: [*own.index] or [""] for key, own in shown.items()}, ROW, height)
    for axes, (key, own) in zip(grid.flat, shown.items(), strict=True):
        of_task = counts[counts["task"] == key[0]]
        baseline = records_of(of_task)[of_panel[key]["baseline"].iloc[0]]
        _title(axes, key[0], of_panel[key].iloc[0], str(baseline["variant"]))
        if not len(own):
            axes.set_axis_off()
            note_below(axes, notes[key], 0)
            continue
        _rows(axes, own)
        _frame(axes, own)
        note = f"{words.spoken(str(baseline['variant']))}: {counts_text(baseline)}"
        note_below(axes, f"{note}\n{notes[key]}" if notes[key] else note, 30)
        row_axis(axes, len(own))
        row_names([axes], [*own.index], counts_of(of_task, [*own.index]), two_lines=two_lines)
    return figure


def _guards(own: pd.DataFrame) -> str:
    """Return in lines which variants have no difference to show, and why."""
    found: dict[str, list[str]] = {}
    for variant, row in own[own["verdict"].isin(GUARDS)].iterrows():
        found.setdefault(_guard(row), []).append(words.spoken(str(variant)))
    told = [f"{reason}: {words.listed(names)}" for reason, names in found.items()]
    return "\n".join(line for text in told for line in wrap(text, page().columns(72, 48)))


def _title(axes: Axes, task: str, first: pd.Series[Any], baseline: str) -> None:
    """Write task, question and endpoint, with the value of the baseline."""
    level = words.level(first["reference"], str(first["unit"]))
    title = f"{words.spoken(task)}, {first['question']}: {ENDPOINTS[first['endpoint']].title}"
    value = f"({words.spoken(baseline)}: {level})".replace(" ", NO_BREAK)
    title = f"{title} {value}"
    axes.set_title("\n".join(wrap(title, page().columns(64, 44))), pad=page().columns(14, 5))


def _rows(axes: Axes, own: pd.DataFrame) -> None:
    """Draw a difference with its interval in each row, and write both beside it."""
    unit = str(own["unit"].iloc[0])
    scale, stops = words.unit_of(unit).factor, STOPS if unit in words.UNITS else WIDE_STOPS
    inferred = own["low"].notna().any()
    for y, (variant, row) in enumerate(own.iterrows()):
        own_look = look(str(variant))
        interval(axes, scale * row["low"], scale * row["high"], y, own_look.colour)
        if not np.isfinite(row["low"]):
            low, high = sorted((0.0, scale * row["difference"]))
            interval(axes, low, high, y, own_look.colour, lw=0.8)
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


def _frame(axes: Axes, own: pd.DataFrame) -> None:
    """Draw the line of no difference and the band of the margin; own: the rows that are shown."""
    first = own.iloc[0]
    endpoint, unit = ENDPOINTS[first["endpoint"]], str(first["unit"])
    scale = words.unit_of(unit).factor
    margin = scale * MARGIN * first["span"]
    axes.axvspan(-margin, margin, color=GREY, alpha=0.13, lw=0, zorder=0.5)
    axes.axvline(0, color=INK, lw=0.9, zorder=1.5)
    reach = max(reach_of(scale * own[["low", "high", "difference"]].to_numpy(dtype=float)), 1.5 * margin)
    axes.set_xlim(*((reach, -reach) if endpoint.lower_is_better else (-reach, reach)))
    axes.locator_params(axis="x", nbins=page().columns(9, 5))
    of_unit = {"%": "percentage points"}.get(unit, unit)
    after = f" in {of_unit}" if of_unit else ""
    axes.set_xlabel(f"← worse    difference{after}    better →")


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
