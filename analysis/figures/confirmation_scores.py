"""The scores of winners that were trained again with fresh seeds, and their probability of improvement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.comparisons import SIGNIFICANT
from .choice import records_of, rows_in
from .entry import Entry, a_row_for_each_pair
from .look import GREY, INK, look, styled
from .pieces import counts_of, empty, interval, mark, readable, right_of_row, row_axis, row_names, row_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Confirmed with fresh seeds"
CAPTION = (
    "Does a winner of the search win again? Left, filled: the winner of each block of the search, trained again with "
    "a fresh seed; a count stands beside equal scores of 0 or 1. Black bars above and bands: their interquartile mean"
    " and its 95 % interval by bootstrap (from five winners on, where they are not all equal). Hollow: the best "
    "configuration of the whole search with fresh seeds, which describes that configuration and tests nothing. Right:"
    " the probability that a winner scores higher than one of the baseline, with 95 % intervals (Newcombe); right of "
    "the dotted line is better. Filled marks: told apart from the baseline (p at most .05 by label swaps within "
    "blocks, adjusted over the variants by Holm's method)."
)
OF_LOSSES = (
    "On a task without a criterion of success the score runs evenly from the floor (0) to the reference (1), or to a "
    "loss of 0, and ends at both: losses beyond them look alike here."
)


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: interquartile means and probabilities of improvement, see `tables.stages`.
    scores: one row per run: task, variant, score, and whether it is of a `winner` or of the best configuration.
    counts: the summary of the winners' runs.
    rows: by task, the variants from top to bottom.
    baseline: that the others are compared with.
    """

    data: pd.DataFrame
    scores: pd.DataFrame
    counts: pd.DataFrame
    rows: dict[str, list[str]]
    baseline: str | None


def numbers(study: Study, replicates: pd.DataFrame, confirmed: pd.DataFrame, repeats: pd.DataFrame) -> Numbers:
    """Return scores of all runs with fresh seeds, with what `tables.stages` says of them.

    replicates: winners of blocks, run again.
    confirmed: of `tables.stages`.
    repeats: runs of the best configurations.
    """
    winners, best = study.with_trials(replicates), study.with_trials(repeats)
    parts = [runs.trials[["task", "variant", "score"]].assign(winner=runs is winners) for runs in (winners, best)]
    scores = pd.concat(parts, ignore_index=True)
    return Numbers(confirmed, scores, winners.summary, rows_in(winners, winners.trials), winners.baseline)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a row for each variant: scores left, probability of improvement right."""
    rows = numbers.rows
    if not rows:
        return empty("nothing confirmed yet")
    ratios: dict[str, Any] = {"width_ratios": (1.5, 1)}
    figure, grid, two_lines = row_panels(rows, height=0.4, around=0.8, columns=2, **ratios)
    improvement = f"probability to score higher\nthan {words.spoken(numbers.baseline or 'the baseline')}"
    for (left, right), (task, variants) in zip(grid, rows.items(), strict=True):
        found = records_of(numbers.data[numbers.data["task"] == task])
        for y, variant in enumerate(variants):
            own = numbers.scores[(numbers.scores["task"] == task) & (numbers.scores["variant"] == variant)]
            _scores(left, own, y, variant)
            _middle(left, found[variant], y, variant)
            _improvement(right, found[variant], y, variant)
        right.axvline(0.5, color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
        for axes, label, room in ((left, "score with a fresh seed", 0.15), (right, improvement, 0.02)):
            axes.set_xlim(-room, 1 + room)
            row_axis(axes, len(variants))
            axes.set_xlabel(label)
        left.set_title(words.spoken(task))
        counts = numbers.counts[numbers.counts["task"] == task]
        row_names((left, right), variants, counts_of(counts, variants), two_lines=two_lines)
    return figure


def _scores(axes: Axes, own: pd.DataFrame, y: float, variant: str) -> None:
    """Draw the winners filled and the best configuration hollow, with a count beside equal scores of 0 or 1."""
    colour, marker, _ = look(variant)
    filled: dict[str, Any] = {"color": colour, "edgecolors": "white", "linewidths": 0.3, "s": 13, "marker": marker}
    hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": colour, "linewidths": 0.7, "s": 8, "marker": "o"}
    for winner, height, looks in ((True, -0.14, filled), (False, 0.2, hollow)):
        scores = own.loc[own["winner"] == winner, "score"]
        axes.scatter(scores, np.full(len(scores), y + height), zorder=3, **looks)
        for end, side, shift in ((0.0, "right", -4), (1.0, "left", 4)):  # where scores are equal, they are so at an end
            count = int((scores == end).sum())
            if count > 1:
                where: dict[str, Any] = {"xytext": (shift, -0.3), "textcoords": "offset points", "va": "center"}
                text, at = f"{count} ×", (end, y + height)
                axes.annotate(text, at, color=readable(colour), ha=side, **where)


def _middle(axes: Axes, row: Mapping[Any, Any], y: float, variant: str) -> None:
    """Draw the interquartile mean of the winners as a bar, and its interval as a band."""
    interval(axes, row["low"], row["high"], y - 0.14, look(variant).colour, lw=4.5, alpha=0.3, zorder=2)
    bar: dict[str, Any] = {"color": INK, "lw": 2.2, "zorder": 4, "solid_capstyle": "butt", "clip_on": False}
    axes.plot([row["iqm"]] * 2, [y - 0.42, y - 0.25], **bar)


def _improvement(axes: Axes, row: Mapping[Any, Any], y: float, variant: str) -> None:
    """Draw the probability of improvement with its interval, and write both beside the row."""
    if not np.isfinite(row["improvement"]):
        return
    colour, marker, _ = look(variant)
    interval(axes, row["improvement_low"], row["improvement_high"], y, colour)
    mark(axes, row["improvement"], y, marker, colour, filled=row["p_holm"] <= SIGNIFICANT, clip_on=False)
    text = words.interval(row["improvement"], row["improvement_low"], row["improvement_high"])
    right_of_row(axes, text, y, colour=readable(colour))


FIGURE = Entry(
    "confirmation_scores",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("replicates", "confirmed", "repeats"),
    rows=a_row_for_each_pair,
    of_losses=OF_LOSSES,
)
