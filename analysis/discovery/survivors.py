"""The figure of what survives: the share of the pool that has each trait, generation by generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ..figures.look import COLOURS, GREY, new_figure, page, styled
from ..figures.pieces import empty
from .search import Search
from .traits import TRAITS, survival

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Numbers(NamedTuple):
    """The numbers of the figure; shares: see `traits.survival`."""

    shares: pd.DataFrame


def numbers(search: Search) -> Numbers:
    """Return the numbers of the figure."""
    return Numbers(survival(search))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each trait: its share of the pool, and of the new mutants of each generation."""
    shares = numbers.shares
    if not len(shares):
        return empty("no generation is complete yet")
    columns = page().columns(4, 2)
    rows = -(-len(TRAITS) // columns)
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(page().width, 1.28 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    dots: dict[str, Any] = {"marker": "o", "ms": 2} if shares["generation"].max() < 15 else {}
    last = int(shares["generation"].max())
    for axes, trait in zip(grid.flat, TRAITS, strict=False):
        own = shares[shares["trait"] == trait]
        drawn = own.dropna(subset=["new"])
        axes.plot(drawn["generation"], 100 * drawn["new"], color=GREY, lw=0.9, ls=(0, (1.5, 1)), label="new mutants")
        axes.plot(own["generation"], 100 * own["pool"], color=COLOURS[4], lw=1.6, label="pool", **dots)
        axes.set_title(trait, fontsize=8)
        axes.set_ylim(-4, 104)
        axes.set_xlim(min(0.9, last - 0.5), last + 0.1)
        axes.set_yticks([0, 50, 100])
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("generation")
    for axes in grid[:, 0]:
        axes.set_ylabel("% of cells")
    marks, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(marks[::-1], names[::-1], loc="outside lower left", ncols=2, frameon=False, labelcolor=GREY)
    return figure
