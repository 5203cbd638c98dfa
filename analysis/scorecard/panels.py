"""The panels of a scorecard; each is drawn into axes that are given to it, for the picture and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runs.scoring.measured import Speed

from .. import words
from ..figures.look import BACK, GREY, INK, SHADE, look
from ..figures.pieces import interval, log_ticks, mark
from .card import PARTS, Card
from .fitting import Beside, beside, log_limits, thin_ticks, write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_GRADIENT = 1e-9  # of that at lag 1, at the foot of the panel
HUNDREDTH = 0.01
"""Share of the gradient at lag 1 below which it counts as gone."""
ROUND = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 5)]
"""Numbers that an axis of ratios may have."""


def own_and_baseline(card: Card) -> list[str]:
    """Return the baseline and the variant, in the order in which they are drawn."""
    return [*dict.fromkeys([card.baseline, card.variant])]


# Half lags
# ----------------------------------------------------------------------------------------------------------------------


def half_lag_texts(card: Card, room: float, row: float) -> Beside:
    """Return the texts beside the rows of `half_lags`; room, row: inches of all, and of a row."""
    texts = [(words.spoken(str(own["series"])), words.half_lag(own)) for own in card.own_half_lags]
    return beside(texts, room, row, axes=0.85)


def half_lags(axes: Axes, card: Card, texts: Beside) -> None:
    """Draw the half lag of the variant in each series, with those of the others behind it.

    axes: of the width and the height that `texts` say.
    card: the numbers.
    texts: of `half_lag_texts`.
    """
    rows = card.own_half_lags
    axes.set_xscale("log", base=2)
    low, high = (f(row[end] for row in rows) for f, end in ((min, "shortest"), (max, "longest")))
    axes.set_xlim(*log_limits(low, high, texts.width))
    ticks = low * 2.0 ** np.arange(int(np.log2(high / low)) + 1)
    axes.set_xticks(ticks, [words.tick(round(x)) for x in ticks])
    axes.minorticks_off()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("half lag in steps")
    for y, row in enumerate(rows):
        axes.plot([row["shortest"], row["longest"]], [y, y], color=SHADE, lw=9, solid_capstyle="butt", zorder=1)
        others = card.half_lags[(card.half_lags["series"] == row["series"]) & np.isfinite(card.half_lags["half_lag"])]
        axes.plot(others["half_lag"], [y] * len(others), ls="none", marker="|", ms=7, mec=BACK, mew=1.1, zorder=2)
        for variant in own_and_baseline(card):
            for one in others[others["variant"] == variant].to_dict("records"):
                _half_lag(axes, one, y, first=variant == card.variant)
    write_beside(axes, texts)
    thin_ticks(axes)


def _half_lag(axes: Axes, row: Mapping[Any, Any], y: int, *, first: bool) -> None:
    """Draw one half lag; first: whether it is that of the card, which has its interval."""
    colour, marker, _ = look(str(row["variant"]))
    if first:
        interval(axes, row["low"], min(row["high"], row["longest"]), y, colour)
    mark(axes, row["half_lag"], y, marker, colour, filled=first, zorder=4 if first else 3, clip_on=False)


# Gradients
# ----------------------------------------------------------------------------------------------------------------------


def gradients(axes: Axes, card: Card) -> None:
    """Draw how large the gradient is some steps before the last answer, at the start (dotted) and trained."""
    assert card.measured is not None
    reaches = sorted(card.measured.reaches, key=lambda reach: reach.variant == card.variant)
    longest, least = 1, 1.0
    for reach in reaches:
        first = reach.variant == card.variant
        colour = look(reach.variant).colour if first else BACK
        for curve, dash, wide in ((reach.start, ":", 1.2), (reach.trained, "-", 1.8)):
            y = np.array(curve, dtype=float)
            shown = np.where(np.isfinite(y) & (y > 0), y, np.nan)
            lags = np.arange(1, len(y) + 1)
            axes.plot(lags, shown, color=colour, ls=dash, lw=wide, zorder=3 if first else 2)
            longest, least = max(longest, len(y)), min(least, np.nanmin(shown, initial=1.0))
    axes.set_yscale("log")
    axes.set_xlim(0, longest)
    axes.set_ylim(max(least / 2, LEAST_GRADIENT), None)
    axes.axhline(HUNDREDTH, color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=1)
    log_ticks(axes.yaxis, labels=4)
    axes.set_xlabel("steps before the last answer")
    axes.set_ylabel("gradient norm")


def reach_text(curve: Sequence[float]) -> str:
    """Return after how many steps the gradient first falls below a hundredth of that at lag 1, or that it never does.

    >>> reach_text([1.0, 0.1, 0.001]), reach_text([1.0, 0.5]), reach_text([])
    ('after 3 steps', 'never', 'not measured')
    """
    if not len(curve):
        return "not measured"
    below = np.flatnonzero(~(np.asarray(curve, dtype=float) >= HUNDREDTH))
    return f"after {below[0] + 1} steps" if len(below) else "never"


# Sensitivity
# ----------------------------------------------------------------------------------------------------------------------


def sensitivity(axes: Axes, card: Card, hyperparameter: str, *, labelled: bool = True) -> None:
    """Draw the share of solved trials in each third of the range of a hyperparameter; labelled: the y axis."""
    rows = card.thirds[card.thirds["hyperparameter"] == hyperparameter]
    variants = [v for v in own_and_baseline(card) if (rows["variant"] == v).any()]
    for k, variant in enumerate(variants):
        own = rows[rows["variant"] == variant].sort_values("part")
        x = own["part"].to_numpy() + 0.16 * (k - (len(variants) - 1) / 2)
        colour, marker, _ = look(variant)
        first = variant == card.variant
        ink, value = colour if first else BACK, 100 * own["value"].to_numpy()
        axes.plot(x, value, color=ink, lw=1.2, zorder=2)
        known = np.isfinite(own["low"].to_numpy())
        axes.vlines(x[known], 100 * own["low"][known], 100 * own["high"][known], color=ink, lw=1.4, zorder=2.5)
        for one, height, sure in zip(x, value, known, strict=True):
            mark(axes, one, height, marker, ink, filled=bool(sure) and first, clip_on=False)
    ends = rows[rows["variant"] == variants[0]].sort_values("part")
    edges = [*ends["from"], ends["to"].iloc[-1]]
    dimension = card.study.design.space[hyperparameter]
    names = [words.powers(f"{x:.1g}") if dimension.log else words.two_digits(float(x)) for x in edges]
    axes.set_xticks(np.arange(PARTS + 1) - 0.5, names)
    axes.set_xlim(-0.5, PARTS - 0.5)
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 50, 100])
    axes.set_xlabel(words.spoken(hyperparameter))
    if labelled:
        axes.set_ylabel("share in %")
    else:
        axes.set_yticklabels([])


# Speed
# ----------------------------------------------------------------------------------------------------------------------


def speed_name(speed: Speed) -> str:
    """Return at which widths a speed was measured; that with as many parameters stands below that of the same width.

    >>> speed_name(Speed("parameters", 32, 37, 100, 32, 0.5, 0.4, 0.6, 0.001, 31))
    'as many parameters (37)'
    """
    if speed.match == "width":
        same = "" if speed.units == speed.cell_units else f" ({speed.cell_units})"
        return f"{speed.units} units, same width{same}"
    return f"as many parameters ({speed.cell_units})"


def speed_text(speed: Speed) -> str:
    """Return a ratio of times with its quartiles."""
    return f"{speed.ratio:.2f} ({speed.low:.2f} to {speed.high:.2f})"


def speed_texts(card: Card, room: float, row: float) -> Beside:
    """Return the texts beside the rows of `speeds`; room, row: inches of all, and of a row."""
    assert card.measured is not None
    return beside([(speed_name(own), speed_text(own)) for own in card.measured.speeds], room, row, axes=0.8)


def speeds(axes: Axes, card: Card, texts: Beside) -> None:
    """Draw the time of a training step beside that of torch.nn.LSTM, which is 1.

    axes: of the width and the height that `texts` say.
    card: the numbers.
    texts: of `speed_texts`.
    """
    assert card.measured is not None
    rows = card.measured.speeds
    colour, marker, _ = look(card.variant)
    axes.set_xscale("log")
    ends = [1.0, *(x for row in rows for x in (row.low, row.ratio, row.high))]
    low, high = log_limits(min(ends), max(ends), texts.width)
    axes.set_xlim(low, high)
    axes.axvline(1, color=INK, lw=0.9, ls=(0, (4, 2)), zorder=1)
    near = [x for x in ROUND if low <= x <= high and x != 1]
    ticks = sorted({1.0, *near[:1], *near[-1:]})
    axes.set_xticks(ticks, [words.tick(x) for x in ticks])
    axes.minorticks_off()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    for y, row in enumerate(rows):
        interval(axes, row.low, row.high, y, colour)
        mark(axes, row.ratio, y, marker, colour, filled=True, clip_on=False)
    write_beside(axes, texts)
    thin_ticks(axes, first=[1.0])
