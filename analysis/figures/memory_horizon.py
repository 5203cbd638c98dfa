"""The share of runs that solve a task at each lag, and the lag at which half of them do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.stages import horizons
from .choice import records_of, rows_in
from .entry import Entry, a_row_for_each_pair
from .look import COLOURS, VALUES, styled
from .pieces import (
    ROW,
    counts_of,
    empty,
    ink_on,
    interval,
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

TITLE = "Memory horizon"
CAPTION = (
    "How far back can the best settings of a variant remember? Cells: the share of runs that solve the task at each "
    "lag, the darker the more. The diamond is the lag at which half of them do (Spearman-Kärber estimate) with its 95"
    " % interval; further right is better. Triangles, ≥ and <: half of the runs solve even the longest lag tried, or "
    "fewer than half the shortest, and the number is a bound."
)
RED = COLOURS[1]


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the horizons, see `tables.stages`.
    solved: by task, the share of solved runs: variants down, lags across, missing where there is no run.
    counts: the summary of the runs.
    rows: by task, the variants from top to bottom.
    """

    data: pd.DataFrame
    solved: Mapping[str, pd.DataFrame]
    counts: pd.DataFrame
    rows: dict[str, list[str]]


def numbers(study: Study, horizon_trials: pd.DataFrame) -> Numbers:
    """Return shares of solved runs by lag, and horizons; horizon_trials: runs of the stage in which lags double."""
    runs = study.with_trials(horizon_trials)
    data = horizons(runs.table)
    rows = rows_in(runs, data)
    return Numbers(data, {task: _solved(runs.trials, task, rows[task]) for task in rows}, runs.summary, rows)


def _solved(trials: pd.DataFrame, task: str, variants: list[str]) -> pd.DataFrame:
    own = trials[trials["task"] == task].assign(solved=lambda runs: runs["status"] == "solved")
    return own.pivot_table(index="variant", columns="lag", values="solved", aggfunc="mean").reindex(variants)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a heat map for each task, a row for each variant with its horizon in it."""
    data, solved, counts, rows = numbers
    if not rows:
        return empty("no runs yet")
    figure, grid, two_lines = row_panels(rows, height=ROW, around=0.8)
    for axes, (task, variants) in zip(grid.flat, rows.items(), strict=True):
        _heat_map(axes, solved[task])
        found = records_of(data[data["task"] == task])
        for y, variant in enumerate(variants):
            _horizon(axes, found[variant], y)
        row_axis(axes, len(variants), across=False)
        axes.set_title(f"{words.spoken(task)}: share of runs that solve it")
        right_heads(axes, (5,), ("memory horizon",))
        own = counts[counts["task"] == task]
        row_names([axes], variants, counts_of(own, variants), two_lines=two_lines)
    return figure


def _heat_map(axes: Axes, solved: pd.DataFrame) -> None:
    from matplotlib import colormaps

    lags = solved.columns.to_numpy(dtype=float)
    edges = 2 ** (np.log2(lags[0]) - 0.5 + np.arange(len(lags) + 1))
    rows = np.arange(len(solved) + 1) - 0.5
    axes.pcolormesh(edges, rows, solved, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    axes.set_xscale("log", base=2)
    for y, shares in enumerate(solved.to_numpy(dtype=float)):
        for lag, share in zip(lags, shares, strict=True):
            if np.isfinite(share):
                ink = ink_on(colormaps[VALUES](share))
                axes.text(lag, y - 0.22, f"{100 * share:.0f} %", ha="center", va="center", color=ink)
    axes.set_xticks(lags, [words.tick(x) for x in lags])
    axes.minorticks_off()
    axes.set_xlabel("lag in steps")


def _horizon(axes: Axes, row: Mapping[Any, Any], y: float) -> None:
    """Draw a horizon: a diamond with its interval, or a triangle where it is a bound."""
    marker, size = (">" if row["at_least"] else "<", 6) if row["at_least"] or row["at_most"] else ("D", 5)
    if marker == "D":
        low, high = 2 ** (row["log2_horizon"] + 1.96 * row["error"] * np.array([-1, 1]))
        interval(axes, low, high, y + 0.25, "white", lw=3.6, zorder=3)
        interval(axes, low, high, y + 0.25, RED, lw=1.8, zorder=4)
    axes.plot(row["horizon"], y + 0.25, marker=marker, ms=size, mfc=RED, mec="white", mew=0.8, zorder=5)
    facts = {name: row[name] for name in ("log2_horizon", "error", "at_least", "at_most")}
    right_of_row(axes, words.horizon(**facts), y, right=5)


FIGURE = Entry("memory_horizon", TITLE, CAPTION, numbers, draw, needs=("horizon_trials",), rows=a_row_for_each_pair)
