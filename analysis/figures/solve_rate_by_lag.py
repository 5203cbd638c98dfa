"""The share of trials that solve a task at each lag, by variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.conditions import RATES, forgetful
from .choice import by_variant
from .entry import MOST_CURVES, Entry
from .look import GREY, SHADE, WIDTH, look, new_figure, styled
from .pieces import empty, label_ends, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "How fast does the solve rate fall with the lag?"
CAPTION = (
    "Share of the trials that solve the task at each lag, with its 95 % interval (Wilson). All lags of a series have "
    "the same points and seeds. Grey bands: below 5 % (floor) and above 95 % (ceiling) variants cannot be compared. "
    "The control is the plain tanh network: where it solves the longest lag, the task does not need memory. With more"
    " than six variants each has a panel, with the baseline in grey."
)
ACROSS, HEIGHT, LOW = 4, 2.3, 1.25  # panels side by side; heights of axes in inches, of a family and of one variant
APART = 0.018  # of the axis between the marks of neighbouring variants, so that intervals do not hide each other


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the solve rates by lag, see `tables.lags`.
    series, variants: in the order of the study, the baseline first.
    baseline: the variant that is drawn in every panel.
    controls: the plain tanh networks.
    without_memory: the series that do not need memory as measured here.
    """

    data: pd.DataFrame
    series: list[str]
    variants: list[str]
    baseline: str
    controls: list[str]
    without_memory: list[str]


def numbers(study: Study, lags: pd.DataFrame) -> Numbers:
    """Return solve rates by lag; lags: of `tables.lags`."""
    series = [str(name) for name in dict.fromkeys(lags["series"])]
    variants = [variant for variant in study.variants if (lags["variant"] == variant).any()]
    data = by_variant(lags, study.variants)
    return Numbers(data, series, variants, study.baseline or "", study.controls, [*forgetful(study)])


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each series, or for each series and variant where there are more than six."""
    if not numbers.series:
        return empty("no task has several lags")
    return (_together if len(numbers.variants) <= MOST_CURVES else _a_panel_each)(numbers)


def _together(numbers: Numbers) -> Figure:
    columns = min(2, len(numbers.series))
    rows = -(-len(numbers.series) // columns)
    figure = new_figure(WIDTH, rows * (HEIGHT + 0.65))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(numbers.series) :]:
        axes.set_axis_off()
    for place, (axes, series) in enumerate(zip(grid.flat, numbers.series, strict=False)):
        own = numbers.data[numbers.data["series"] == series]
        _frame(axes, own)
        present = [variant for variant in numbers.variants if (own["variant"] == variant).any()]
        ends = [_curve(axes, own, variant, k - (len(present) - 1) / 2) for k, variant in enumerate(present)]
        axes.set_title(_title(numbers, series, own))
        axes.set_xlabel("lag in steps")
        if place % columns == 0:
            axes.set_ylabel("solve rate, %")
        label_ends(axes, ends, HEIGHT, {v: f"{v} (control)" for v in numbers.controls})
    return figure


def _a_panel_each(numbers: Numbers) -> Figure:
    rows = len(numbers.series) * -(-len(numbers.variants) // ACROSS)
    figure = new_figure(WIDTH, rows * (LOW + 0.35) + 0.3 * len(numbers.series) + 0.25)
    parts = figure.subfigures(len(numbers.series), 1, squeeze=False)
    for part, series in zip(parts.flat, numbers.series, strict=True):
        own = numbers.data[numbers.data["series"] == series]
        grid = part.subplots(-(-len(numbers.variants) // ACROSS), ACROSS, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(numbers.variants) :]:
            axes.set_axis_off()
        for axes, variant in zip(grid.flat, numbers.variants, strict=False):
            _frame(axes, own, named=axes is grid.flat[0])
            beside = 0.0 if variant == numbers.baseline else 0.8  # marks stand side by side, so do their intervals
            if beside and (own["variant"] == numbers.baseline).any():
                _curve(axes, own, numbers.baseline, -beside, grey=True)
            if (own["variant"] == variant).any():
                _curve(axes, own, variant, beside)
            name = f"{variant} (control)" if variant in numbers.controls else variant
            axes.set_title(name, fontsize=7.5, color=readable(look(variant).colour), pad=3)
            axes.tick_params(labelsize=7)
        part.suptitle(_title(numbers, series, own), x=0.01, ha="left", fontsize=8.5, fontweight="bold")
        part.supxlabel("lag in steps", fontsize=8)
        part.supylabel("solve rate, %", fontsize=8)
    return figure


def _title(numbers: Numbers, series: str, own: pd.DataFrame) -> str:
    """Return the title of a panel, with the number of trials, and whether the series does not need memory."""
    counts = sorted(set(own["trials"]))
    text = f"{series} (N {'–'.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))})"
    return f"{text}: does not need memory" if series in numbers.without_memory else text


def _frame(axes: Axes, own: pd.DataFrame, named: bool = True) -> None:
    """Draw the axes of a panel, with the floor and the ceiling; named: whether their names are written."""
    lags = np.array(sorted(set(own["lag"])), dtype=float)
    ticks = np.log2(lags)
    margin = 0.08 * (ticks[-1] - ticks[0])
    axes.set_xlim(ticks[0] - margin, ticks[-1] + margin)
    axes.set_xticks(ticks, [words.tick(lag) for lag in lags])
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    # curves fall from left to right: the room is below them on the left and above them on the right
    for low, high, name, at, x, side in (
        (-3, 100 * RATES[0], "floor", 1, 0.01, "left"),
        (100 * RATES[1], 103, "ceiling", 99, 0.99, "right"),
    ):
        axes.axhspan(low, high, color=SHADE, lw=0, zorder=0.5)
        if named:
            place = axes.get_yaxis_transform()
            axes.text(x, at, name, transform=place, fontsize=6.5, color=GREY, ha=side, va="center")


def _curve(
    axes: Axes, own: pd.DataFrame, variant: str, place: float, *, grey: bool = False
) -> tuple[str, float, float]:
    """Draw the curve of a variant; returns its name and its last place. place: of its marks, in steps aside."""
    one, (colour, marker, dash) = own[own["variant"] == variant].sort_values("lag"), look(variant)
    x = np.log2(one["lag"].to_numpy(dtype=float))
    low, high = axes.get_xlim()
    x = x + APART * (high - low) * place
    rates, ends = 100 * one["solve_rate"].to_numpy(), 100 * one[["low", "high"]].to_numpy()
    colour, back = ("#9a9a9a", 2.0) if grey else (colour, 3.0)
    edge = colour if marker in "+*Xx1234" else "white"
    axes.vlines(x, ends[:, 0], ends[:, 1], color=colour, lw=0.9, alpha=0.75, zorder=back)
    axes.plot(x, rates, color=colour, ls=dash, lw=1.1 if grey else 1.4, zorder=back + 0.2)
    axes.plot(
        x, rates, ls="none", color=colour, marker=marker, ms=3 if grey else 4.2, mec=edge, mew=0.4, zorder=back + 0.4
    )
    return variant, float(x[-1]), float(rates[-1])


def _rows(variants: int, series: int) -> int:
    """Return rows of panels."""
    return -(-series // 2) if variants <= MOST_CURVES else series * -(-variants // ACROSS)


FIGURE = Entry("solve_rate_by_lag", TITLE, CAPTION, numbers, draw, needs=("lags",), rows=_rows, most=6, of_series=True)
