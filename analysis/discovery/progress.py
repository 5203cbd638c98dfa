"""The figure of the scores over the generations: every candidate, the best so far by arm, and how much is noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from runs.discovery.plan import MUTATION, RANDOM

from ..figures.look import COLOURS, GREY, INK, SHADE, new_figure, page, styled
from ..figures.pieces import on_curves
from .search import Search

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {MUTATION: (COLOURS[4], "mutation"), RANDOM: (COLOURS[3], "random")}
"""Colour and name of each arm, in all figures of the page."""
MOST_VECTORS = 1500
"""Marks above which a figure stores their picture, which is smaller."""


class Numbers(NamedTuple):
    """The numbers of the figure.

    candidates: one row an evaluation of a new cell that was scored: `generation`, `arm`, `ratio`.
    best: the score of the best cell so far, over all its evaluations: `generation`, `arm`, `score`.
    names: the scores of the GRU under its other names, the best first.
    """

    candidates: pd.DataFrame
    best: pd.DataFrame
    names: list[float]


def numbers(search: Search) -> Numbers:
    """Return the numbers of the figure."""
    candidates = pd.concat([search.new(arm).assign(arm=arm) for arm in LOOKS])
    candidates = candidates.loc[candidates["ratio"].notna(), ["generation", "arm", "ratio"]].reset_index(drop=True)
    rows = []
    for arm, standings in ((MUTATION, search.mutants), (RANDOM, search.random)):
        for generation, standing in enumerate(standings):
            own = [each.score for each in standing if each.arm == arm]
            rows += [(generation, arm, own[0])] if own else []
    return Numbers(candidates, pd.DataFrame(rows, columns=["generation", "arm", "score"]), search.names)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw the ratios of all candidates as dots, the best so far as lines, and the noise as a band."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(page().width, 3.3 if page().narrow else 3.1)
    axes = figure.subplots()
    candidates = numbers.candidates
    for arm, (colour, _) in LOOKS.items():
        own = candidates[candidates["arm"] == arm]
        side = -0.16 if arm == MUTATION else 0.16
        many = len(candidates) > MOST_VECTORS
        axes.scatter(
            own["generation"] + side,
            own["ratio"],
            s=5,
            color=colour,
            alpha=0.35 if many else 0.6,
            lw=0,
            rasterized=many,
        )
    last = 1
    for arm, (colour, _) in LOOKS.items():
        own = numbers.best[numbers.best["arm"] == arm]
        axes.plot(own["generation"], own["score"], color=colour, lw=1.8, zorder=4)
        last = max([last, *own["generation"]])
    axes.set_xlim(0.4, last + 0.6)
    _levels(axes, numbers)
    axes.set_xlabel("generation")
    axes.set_ylabel("share of the GRU, on the worst task")
    axes.set_ylim(*room([*candidates["ratio"], *numbers.best["score"], *numbers.names]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, numbers)
    return figure


def room(scores: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that shows all scores, and the GRU at 1.

    >>> room([0.62, 1.04])
    (0.5, 1.1)
    """
    low, high = min([1.0, *scores]), max([1.0, *scores])
    return max(0.0, float(np.floor(10 * low - 0.5) / 10)), float(np.ceil(10 * high + 0.5) / 10)


def _levels(axes: Axes, numbers: Numbers) -> None:
    """Draw the GRU, and the range of its other names."""
    axes.axhline(1.0, color=INK, lw=0.9, zorder=2)
    if numbers.names:
        axes.axhspan(numbers.names[-1], numbers.names[0], color=SHADE, zorder=0.5, lw=0)
    on_curves(axes.text(0.995, 1.0, "GRU", transform=axes.get_yaxis_transform(), ha="right", va="bottom", color=INK))


def _legend(figure: Figure, numbers: Numbers) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Line2D | Patch] = []
    names = []
    for arm, (colour, name) in LOOKS.items():
        if (numbers.candidates["arm"] == arm).any():
            marks.append(Line2D([], [], color=colour, lw=1.8, marker="o", ms=2.5))
            names.append(f"{name}: every cell, best so far")
    if numbers.names:
        marks.append(Patch(color=SHADE))
        names.append(f"the GRU under {len(numbers.names)} other names")
    figure.legend(marks, names, loc="outside lower left", ncols=page().columns(3), frameon=False, labelcolor=GREY)
