"""The figure of a page of findings: solve rate against the lag, for the LSTM and up to five others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from runs.files import replacing

from .. import words
from ..figures.look import GREY, INK, SHADE, look, new_figure, settings, styled
from ..study import Study
from ..tables.conditions import RATES
from ..tables.lags import lags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6  # curves of a panel
LARGER = {"*": 1.7, "p": 1.2}  # marks that look smaller than others of their size
WIDE, HIGH, LEGEND = 7.2, 2.4, 0.7  # inches: of the figure, of a row of panels, of the legend
ABREAST = 2  # panels of a row
KEY = "Description"  # of the PNG's text that holds the digest of its numbers


class Numbers(NamedTuple):
    """What is drawn.

    data: solve rates by lag, see `tables.lags.lags`.
    series, variants: in their order.
    baseline: is drawn on top and thicker.
    """

    data: pd.DataFrame
    series: list[str]
    variants: list[str]
    baseline: str


def numbers(study: Study, series: Sequence[str], variants: Sequence[str]) -> Numbers:
    """Return the solve rates of some variants by lag.

    Raises ValueError for more than six variants, and for a series or variant that the study lacks.
    """
    if len(variants) > MOST:
        raise ValueError(f"a figure has at most {MOST} curves, got {len(variants)}")
    table = lags(study)
    for column, wanted in (("series", series), ("variant", variants)):
        missing = [name for name in wanted if name not in set(table[column])]
        if missing:
            raise ValueError(f"{study.name} has no lags of {words.listed(missing)}")
    data = table[table["series"].isin(list(series)) & table["variant"].isin(list(variants))].reset_index(drop=True)
    return Numbers(data, list(series), list(variants), study.baseline or "")


def digest(numbers: Numbers) -> str:
    """Return a checksum of what is drawn."""
    text = repr((numbers.data.round(6).to_dict("list"), *numbers[1:]))
    return hashlib.sha256(text.encode()).hexdigest()


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each series, two to a row, with one legend below."""
    rows, columns = -(-len(numbers.series) // ABREAST), min(len(numbers.series), ABREAST)
    figure = new_figure(WIDE, HIGH * rows + LEGEND)
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(numbers.series) :]:
        axes.remove()
    for place, (axes, series) in enumerate(zip(panels, numbers.series, strict=False)):
        own = numbers.data[numbers.data["series"] == series]
        _panel(axes, own, numbers)
        axes.set_title(words.capital(words.spoken(series)))
        if place + columns >= len(numbers.series):
            axes.set_xlabel("lag in steps")
        if place % columns == 0:
            axes.set_ylabel("trials that solve it, in %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def save(numbers: Numbers, path: Path) -> None:
    """Write the figure as PNG, with the checksum of its numbers in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw(numbers)
    with settings(), replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part, metadata={"Software": None, KEY: digest(numbers)})  # type: ignore[no-untyped-call]


def digest_in(path: Path) -> str:
    """Return the checksum in a PNG; empty where there is none."""
    from PIL import Image

    with Image.open(path) as image:
        return str(image.info.get(KEY, ""))


def _panel(axes: Axes, own: pd.DataFrame, numbers: Numbers) -> None:
    steps = sorted(set(own["lag"]))
    ticks = np.log2(np.array(steps, dtype=float))
    reach = (ticks[-1] - ticks[0]) or 1.0
    axes.set_xlim(ticks[0] - 0.09 * reach, ticks[-1] + 0.09 * reach)
    axes.set_xticks(ticks, [words.tick(step) for step in steps])
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    for low, high in ((-3, 100 * RATES[0]), (100 * RATES[1], 103)):
        axes.axhspan(low, high, color=SHADE, lw=0, zorder=0.5)
    middle = (len(numbers.variants) - 1) / 2
    for place, variant in enumerate(numbers.variants):
        one = own[own["variant"] == variant].sort_values("lag")
        colour, marker, dash = look(variant)
        first = variant == numbers.baseline
        x = np.log2(one["lag"].to_numpy(dtype=float)) + 0.011 * reach * (place - middle)
        y, ends = 100 * one["solve_rate"].to_numpy(), 100 * one[["low", "high"]].to_numpy()
        axes.vlines(x, ends[:, 0], ends[:, 1], color=colour, lw=1.4 if first else 0.7, zorder=4 if first else 2)
        axes.plot(
            x,
            y,
            color=colour,
            ls=dash,
            lw=2.6 if first else 1.3,
            marker=marker,
            ms=(6 if first else 4.5) * LARGER.get(marker, 1.0),
            mec="white",
            mew=0.5,
            zorder=5 if first else 3,
            label=words.capital(words.spoken(variant)),
        )
    axes.tick_params(colors=GREY, labelcolor=INK)
