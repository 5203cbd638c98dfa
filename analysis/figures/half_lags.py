"""The lag at which half of the solve rate at the shortest lag is left, by variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import by_variant
from .entry import EVIDENCE, Entry, a_row_for_each_pair
from .look import GREY, look, page, styled
from .pieces import ROW, empty, interval, mark, right_heads, right_of_row, row_axis, row_names, row_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "At which lag is half of the solve rate left?"
CAPTION = (
    "How far back can a variant remember? The lag at which one half of the solve rate at the shortest lag is left; "
    "further to the right is better, and the dotted line is the baseline. Lines: 95 % intervals from a bootstrap of "
    "the points that all lags and variants share. Arrows and ≥: more than half is left at the longest lag, or may be,"
    " and the number is a bound. Right: by how many doublings of the lag a variant falls off later than the baseline,"
    " with an interval that holds for all variants of a series together; filled marks: it excludes zero. Without a "
    "line: too few points, or fewer than ten trials solved at the shortest lag. Trimmed Spearman-Kärber estimate over"
    " log2 lag."
)
STOPS = (6, 104)  # points right of the axes at which the texts of a row begin


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the half lags, see `tables.lags.half_lags`; variants in the order of the study.
    rows: by series, the variants from top to bottom.
    """

    data: pd.DataFrame
    rows: dict[str, list[str]]


def numbers(study: Study, half_lags: pd.DataFrame) -> Numbers:
    """Return the half lags of each series; half_lags: of `tables.lags`."""
    data = by_variant(half_lags, study.variants)
    rows = {str(s): data[data["series"] == s]["variant"].tolist() for s in dict.fromkeys(half_lags["series"])}
    return Numbers(data, rows)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each series, a row for each variant; the dotted line is the baseline."""
    data, rows = numbers
    if not rows:
        return empty("no task has several lags")
    figure, grid, two_lines = row_panels(rows, height=ROW, around=0.8)
    for axes, (series, variants) in zip(grid.flat, rows.items(), strict=True):
        own = data[data["series"] == series]
        _frame(axes, series, own)
        for y, row in enumerate(own.to_dict("records")):
            _row(axes, row, y)
        row_names([axes], variants, [_start(row) for row in own.to_dict("records")], two_lines=two_lines)
        row_axis(axes, len(variants))
        heads = ("half lag [95 %]", "doublings more")
        right_heads(axes, STOPS, heads if any(map(_has_doublings, own.to_dict("records"))) else heads[:1])
    return figure


def _frame(axes: Axes, series: str, own: pd.DataFrame) -> None:
    """Draw the axis of lags, and the half lag of the baseline as a dotted line."""
    first = own.iloc[0]
    shortest, longest = float(first["shortest"]), float(first["longest"])
    axes.set_xscale("log", base=2)
    axes.set_xlim(shortest, longest * (longest / shortest) ** 0.04)
    ticks = shortest * 2.0 ** np.arange(np.floor(np.log2(longest / shortest)) + 1)
    if longest > 1.25 * ticks[-1]:  # room for a label of its own
        ticks = np.append(ticks, longest)
    axes.set_xticks(ticks, [words.tick(round(x)) for x in ticks])
    axes.minorticks_off()
    axes.set_title(f"{words.spoken(series)}: lags {words.tick(shortest)} to {words.tick(longest)}", pad=12)
    axes.set_xlabel("lag in steps")
    baseline = own[(own["variant"] == own["baseline"]) & np.isfinite(own["half_lag"])]
    if len(baseline):
        axes.axvline(baseline["half_lag"].iloc[0], color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)


def _row(axes: Axes, row: Mapping[Any, Any], y: int) -> None:
    """Draw the half lag of a variant with its interval, an arrow where it has no upper end, and both in numbers."""
    variant, longest = str(row["variant"]), float(row["longest"])
    colour, marker, _ = look(variant)
    if np.isfinite(row["half_lag"]):
        open_end = np.isinf(row["high"]) or row["at_least"]
        interval(axes, row["low"], longest if open_end else row["high"], y, colour)
        if np.isinf(row["high"]) and not row["at_least"]:
            axes.plot(
                longest, y, ls="none", marker="$→$", ms=7, mfc=colour, mec=colour, mew=0.3, zorder=3, clip_on=False
            )
        filled = bool(row["significant"]) or variant == row["baseline"]
        mark(axes, row["half_lag"], y, marker, colour, filled=filled, clip_on=False)
        if row["at_least"]:  # beside the mark: a mark of a variant may be a triangle to the right
            beside: dict[str, Any] = {"xytext": (3.5, 0), "textcoords": "offset points", "annotation_clip": False}
            axes.annotate("→", (row["half_lag"], y), va="center", fontsize=9, color=colour, **beside)
    right_of_row(axes, words.half_lag(row), y, STOPS[0])
    if _has_doublings(row) and not page().narrow:
        ends = (row["doublings"], row["doublings_low"], row["doublings_high"])
        right_of_row(axes, "{} [{}, {}]".format(*(_doublings(x) for x in ends)), y, STOPS[1])


def _has_doublings(row: Mapping[Any, Any]) -> bool:
    """Return whether a row has a difference in doublings; of two bounds there is none."""
    both_beyond = row["at_least"] and row["doublings"] == 0
    return bool(np.isfinite(row["doublings"]) and np.isfinite(row["doublings_low"]) and not both_beyond)


def _start(row: Mapping[Any, Any]) -> str:
    """Return how many points a variant has, and how many it solves at the shortest lag."""
    return f"{row['points']} points, {100 * row['first_rate']:.0f} % solved at {row['shortest']}"


def _doublings(value: float) -> str:
    """Write a number of doublings with one digit and a sign; zero has none."""
    return f"{value:+.1f}".replace("-", "−") if abs(value) >= 0.05 else "0.0"


FIGURE = Entry(
    "half_lags",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("half_lags",),
    part=EVIDENCE,
    rows=a_row_for_each_pair,
    most=34,
    of_series=True,
)
