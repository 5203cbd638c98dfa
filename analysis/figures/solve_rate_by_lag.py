"""The share of trials that solve a task at each lag, by variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.conditions import RATES, forgetful
from .choice import by_variant
from .entry import EVIDENCE, Entry
from .look import BACK, SHADE, look, styled
from .pieces import empty
from .small_multiples import Sheet, lines_of_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "How fast does the solve rate fall with the lag?"
CAPTION = (
    "Share of the trials that solve the task at each lag; the flatter a curve, the longer the variant remembers. "
    "Vertical lines: 95 % intervals (Wilson). All lags of a series have the same points and seeds. In the shaded "
    "bands at the foot (below 5 %) and at the top (above 95 %) variants cannot be compared. The control is the plain "
    "tanh network: where it solves the longest lag, the task does not need memory."
)
HEIGHT = 1.15  # inches of a panel
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
    """Draw a panel for each variant of each series, with the baseline in grey behind it."""
    if not numbers.series:
        return empty("no task has several lags")
    controls = dict.fromkeys(numbers.controls, "control")
    sheet = Sheet(numbers.series, numbers.variants, HEIGHT, "lag in steps", mentions=controls)
    for series in numbers.series:
        own = numbers.data[numbers.data["series"] == series]
        present = set(own["variant"])
        for variant in numbers.variants:
            axes = sheet.axes(series, variant)
            _frame(axes, own)
            beside = 0.0 if variant == numbers.baseline else 0.8  # marks stand side by side, so do their intervals
            if beside and numbers.baseline in present:
                _curve(axes, own, numbers.baseline, -beside, grey=True)
            if variant in present:
                _curve(axes, own, variant, beside)
        behind = numbers.baseline if numbers.baseline in present and len(numbers.variants) > 1 else ""
        sheet.frame(series, _title(numbers, series, own), "solve rate in %", behind)
    return sheet.figure


def _title(numbers: Numbers, series: str, own: pd.DataFrame) -> str:
    """Return the title of a panel, with the number of trials, and whether the series does not need memory."""
    counts = sorted(set(own["trials"]))
    each = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    text = f"{words.spoken(series)} ({each} trials each)"
    return f"{text}: needs no memory" if series in numbers.without_memory else text


def _frame(axes: Axes, own: pd.DataFrame) -> None:
    """Draw the axes of a panel, with the bands in which variants cannot be compared."""
    lags = np.array(sorted(set(own["lag"])), dtype=float)
    ticks = np.log2(lags)
    margin = 0.08 * ((ticks[-1] - ticks[0]) or 1.0)
    axes.set_xlim(ticks[0] - margin, ticks[-1] + margin)
    axes.set_xticks(ticks, [words.tick(lag) for lag in lags])
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    for low, high in ((-3, 100 * RATES[0]), (100 * RATES[1], 103)):
        axes.axhspan(low, high, color=SHADE, lw=0, zorder=0.5)


def _curve(axes: Axes, own: pd.DataFrame, variant: str, place: float, *, grey: bool = False) -> None:
    """Draw the curve of a variant; place: of its marks, in steps aside."""
    one, (colour, marker, _) = own[own["variant"] == variant].sort_values("lag"), look(variant)
    x = np.log2(one["lag"].to_numpy(dtype=float))
    low, high = axes.get_xlim()
    x = x + APART * (high - low) * place
    rates, ends = 100 * one["solve_rate"].to_numpy(), 100 * one[["low", "high"]].to_numpy()
    colour, back = (BACK, 2.0) if grey else (colour, 3.0)
    edge = colour if marker in "+*Xx1234" else "white"
    axes.vlines(x, ends[:, 0], ends[:, 1], color=colour, lw=0.9, zorder=back)
    axes.plot(x, rates, color=colour, ls="-", lw=1.1 if grey else 1.4, zorder=back + 0.2)
    axes.plot(
        x, rates, ls="none", color=colour, marker=marker, ms=3 if grey else 4.2, mec=edge, mew=0.4, zorder=back + 0.4
    )


FIGURE = Entry(
    "solve_rate_by_lag",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("lags",),
    part=EVIDENCE,
    rows=lines_of_panels,
    most=6,
    of_series=True,
)
