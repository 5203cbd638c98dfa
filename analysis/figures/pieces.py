"""Pieces that figures are made of: rows, marks, labels, levels, counts and ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import Line, records_of
from .look import GREY, INK, look, new_figure, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


# Names
# -------------------------------------------------------------------------------------------------------------------


def wrapped(label: str, room: int) -> str:
    """Return the name in words of a variant, task or hyperparameter in lines of at most `room` characters.

    >>> wrapped("no_forget_gate", 10)
    'no forget\\ngate'
    """
    return "\n".join(wrap(words.spoken(label), room, break_long_words=False))


def room_for(inches: float) -> int:
    """Return how many characters of the text of a figure fit into a width."""
    return max(6, int(inches / CHARACTER))


CHARACTER = 0.068  # inches of a character of 8 points on average, with some room


# Rows of variants
# -------------------------------------------------------------------------------------------------------------------


TALLEST = 11.9  # inches of a figure, on a page
ROW = 0.34  # inches of a row with two lines of text
ABOVE = 0.22  # inches by which a row is higher on a narrow page, where its name stands above it


class Rows(NamedTuple):
    """A figure of rows: its axes [tasks, columns], and whether a row has room for a second line under its name."""

    figure: Figure
    grid: np.ndarray
    two_lines: bool


def row_panels(
    rows: Mapping[Any, Sequence[str]],
    height: float,
    around: float | Mapping[Any, float],
    columns: int = 1,
    extra: float = 0.1,
    **options: Any,
) -> Rows:
    """Return a figure with a panel for each task that has a row for each of its variants.

    rows: by task, or by task and question, the variants.
    height, around: of one row, and of what stands around the rows of a panel, or of each, in inches. Rows are less high
        where the figure would be higher than a page.
    columns: panels side by side; they stand below each other on a narrow page.
    extra: height of what stands around all panels, in inches.
    options: handed on to `Figure.subplots` of a wide page.
    """
    room_around = around if isinstance(around, Mapping) else dict.fromkeys(rows, around)
    if page().narrow:
        ratios = [len(rows[key]) for key in rows for _ in range(columns)]
        heights = [(height + ABOVE) * len(rows[key]) + room_around[key] for key in rows for _ in range(columns)]
        figure = new_figure(page().width, sum(heights) + extra)
        grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=ratios)
        return Rows(figure, grid.reshape(len(rows), columns), two_lines=False)
    room = (TALLEST - extra - sum(room_around.values())) / max(1, sum(map(len, rows.values())))
    heights = [min(height, room) * len(variants) + room_around[key] for key, variants in rows.items()]
    figure = new_figure(page().width, sum(heights) + extra)
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=[*map(len, rows.values())], **options)
    return Rows(figure, grid, two_lines=min(height, room) >= 0.95 * ROW)


def row_axis(axes: Axes, count: int, across: bool = True) -> None:
    """Give an axis `count` rows, the first on top, without ticks; across: whether grid lines run down through them."""
    axes.set_ylim(count - 0.5, -0.6)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y" if across else "both")


def row_names(
    panels: Sequence[Axes] | np.ndarray, variants: Sequence[str], small: Sequence[str] = (), *, two_lines: bool = True
) -> None:
    """Write the names of the variants left of their rows, or above them in each panel of a narrow page.

    panels: those of a task, from left.
    small: what stands below each name, where there is room for two lines.
    """
    for axes in panels if page().narrow else panels[:1]:
        for y, variant in enumerate(variants):
            if page().narrow:
                _above_row(axes, words.spoken(variant), y, 0.0, "left", INK)
                continue
            left_of_row(axes, words.spoken(variant), y, up=5.5 if small and two_lines else 0.0)
            if small and two_lines:
                left_of_row(axes, small[y], y, up=-5.5, colour=GREY)


def counts_of(counts: pd.DataFrame, variants: Sequence[str]) -> list[str]:
    """Return what became of the trials of each variant; counts: rows of the summary of one task."""
    facts = records_of(counts)
    return [counts_text(facts[variant]) for variant in variants]


def left_of_row(axes: Axes, text: str, y: float, up: float = 0.0, colour: str = INK) -> None:
    """Write a text left of a row; up: points above the middle of the row."""
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-5, up),
        textcoords="offset points",
        ha="right",
        va="center",
        color=colour,
    )


def right_of_row(axes: Axes, text: str, y: float, right: float = 6.0, colour: str = INK, **looks: Any) -> None:
    """Write a text right of a row, or above its right end on a narrow page.

    right: points from the edge of the axes.
    looks: other properties of the text.
    """
    if page().narrow:
        _above_row(axes, text, y, 1.0, "right", colour, **looks)
        return
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(right, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        **looks,
    )


def _above_row(axes: Axes, text: str, y: float, x: float, side: str, colour: str, **looks: Any) -> None:
    where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (x, y), xytext=(0, 13), ha=side, color=colour, **where, **looks)


def right_heads(axes: Axes, stops: Sequence[float], texts: Sequence[str]) -> None:
    """Write headings above the texts right of the rows; there are none on a narrow page.

    stops: points from the edge of the axes.
    """
    if page().narrow:
        return
    for right, text in zip(stops, texts, strict=False):
        axes.annotate(text, (1, 1), xycoords="axes fraction", xytext=(right, 3), textcoords="offset points", color=GREY)


def interval(axes: Axes, low: float, high: float, y: float, colour: str, **looks: Any) -> None:
    """Draw an interval as a line along a row, unless its lower end is missing."""
    if np.isfinite(low):
        axes.plot([low, high], [y, y], color=colour, **{"lw": 1.6, "solid_capstyle": "butt", "zorder": 2.5, **looks})


def mark(axes: Axes, x: float, y: float, marker: str, colour: str, *, filled: bool, **looks: Any) -> None:
    """Draw a mark in a row, filled or hollow."""
    fill = colour if filled else "white"
    common = {"ls": "none", "marker": marker, "ms": 5.5, "mec": colour, "mew": 1.1, "zorder": 3}
    axes.plot(x, y, mfc=fill, **{**common, **looks})


def ink_on(colour: Sequence[float]) -> str:
    """Return white or black, whichever has the larger contrast on a colour (red, green, blue in [0, 1])."""
    return "white" if luminance(np.asarray(colour[:3])) < 0.179 else "black"


def luminance(rgb: np.ndarray) -> float:
    """Return the relative luminance of a colour (red, green, blue in [0, 1]) as WCAG 2 defines it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def reach_of(values: np.ndarray) -> float:
    """Return a bit more than the largest absolute value that is finite; 1 where there is none."""
    seen = np.abs(values)
    return float(1.08 * max([*seen[np.isfinite(seen)], 0.0]) or 1.0)


# Labels and counts
# -------------------------------------------------------------------------------------------------------------------


def spread(positions: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Move positions as little as possible until neighbours are `gap` apart.

    low, high: ends of the room; where all do not fit with that gap, it becomes smaller.
    Returns the positions in the order given.

    >>> spread([0.5, 0.5], gap=0.25).tolist()
    [0.375, 0.625]
    """
    wanted = np.asarray(positions, dtype=float)
    count = len(wanted)
    if count == 0:
        return wanted
    gap = min(gap, (high - low) / max(count - 1, 1))
    ranks = np.argsort(wanted, kind="stable")
    # what is left may be anything that does not decrease: isotonic regression
    wanted = wanted[ranks] - gap * np.arange(count)
    blocks: list[list[float]] = []
    for value in wanted:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value_b, weight_b = blocks.pop()
            value_a, weight_a = blocks.pop()
            blocks.append([(value_a * weight_a + value_b * weight_b) / (weight_a + weight_b), weight_a + weight_b])
    flat = np.concatenate([np.full(int(weight), value) for value, weight in blocks])
    moved = np.empty(count)
    moved[ranks] = np.clip(flat, low, high - gap * (count - 1)) + gap * np.arange(count)
    return moved


def readable(colour: str) -> str:
    """Darken a colour until text in it can be read on white: a contrast of 4.5 or more."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    while luminance(rgb) > 1.05 / 4.5 - 0.051:
        rgb = rgb * 0.95
    return str(to_hex(tuple(rgb)))


def counts_text(row: Mapping[Any, Any] | pd.Series) -> str:
    """Write what became of the trials, from a row of the summary or a sum of such rows.

    Exploded and failed trials are named where there are any. Of a task without a criterion of success nothing is said
    about solved trials.

    >>> counts_text({"trials": 8, "solved": 3, "solvable": True, "diverged": 1, "exploded": 0, "failed": 0})
    '3 of 8 solved, 1 diverged'
    >>> counts_text({"trials": 8, "solved": 0, "solvable": False, "diverged": 1, "exploded": 2, "failed": 0})
    '8 trials, 1 diverged, 2 exploded'
    """
    first = f"{row['solved']} of {row['trials']} solved" if row["solvable"] else words.trials(row["trials"])
    more = [f", {row[name]} {name}" for name in ("exploded", "failed") if row[name]]
    return f"{first}, {row['diverged']} diverged{''.join(more)}"


COUNTED = ["trials", "solved", "solvable", "diverged", "exploded", "failed"]
"""The columns of the summary that say what became of the trials."""


def note_below(axes: Axes, text: str, below: float) -> None:
    """Write a text under a panel; below: points from the lower edge of the axes."""
    axes.annotate(
        text,
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -below),
        textcoords="offset points",
        va="top",
        color=GREY,
        linespacing=1.15,
    )


def marker_legend(figure: Figure, variants: Sequence[str]) -> None:
    """Write the variants with their markers under all panels."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], ls="none", marker=look(v).marker, color=look(v).colour, ms=4.5) for v in variants]
    names, columns = [words.spoken(variant) for variant in variants], page().columns(3)
    figure.legend(marks, names, loc="outside lower left", ncols=columns, frameon=False, handletextpad=0.2)


def legend_height(variants: Sequence[str]) -> float:
    """Return height of the legend of markers, in inches."""
    return 0.17 * -(-len(variants) // page().columns(3))


_DOTTED: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": (0, (1, 1.5)), "zorder": 1.5}


def level_lines(axes: Axes, lines: Sequence[Line], along: str = "y") -> None:
    """Draw dotted lines at values of the x or y axis, where they are in view."""
    low, high = sorted(axes.get_ylim() if along == "y" else axes.get_xlim())
    for line in lines:
        if np.isfinite(line.value) and low <= line.value <= high:
            (axes.axhline if along == "y" else axes.axvline)(line.value, **_DOTTED)


def names_beside(axes: Axes, lines: Sequence[Line], height: float) -> None:
    """Write the names of horizontal lines right of the axes, where no curve runs through them.

    height: of the axes, in inches.
    """
    low, high = sorted(axes.get_ylim())
    seen = [line for line in lines if np.isfinite(line.value) and low <= line.value <= high]
    to_axes = axes.transData + axes.transAxes.inverted()
    at = [float(to_axes.transform((axes.get_xlim()[1], line.value))[1]) for line in seen]
    names = ["\n".join(wrap(line.name, room_for(NAMES))) for line in seen]
    gap = LINE * max([1, *(name.count("\n") + 1 for name in names)]) / height
    for name, place in zip(names, spread(at, gap=gap, low=-0.05, high=1.05), strict=True):
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (4, 0)}
        axes.annotate(name, (1, place), va="center", color=GREY, linespacing=1.0, annotation_clip=False, **where)


LINE = 0.14  # inches from one line of text to the next
NAMES = 0.95  # inches that names of lines take right of a panel


def names_above(axes: Axes, lines: Sequence[Line]) -> int:
    """Write the names of vertical lines above the axes, in a row each; returns how many rows.

    The names must be written after the axis has its range.
    """
    low, high = sorted(axes.get_xlim())
    seen = sorted(line for line in lines if np.isfinite(line.value) and low <= line.value <= high)
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [float(to_axes.transform((line.value, 0))[0]) for line in seen]
    apart = len(seen) == 2 and places[1] - places[0] > 0.45  # both fit into one row
    for k, ((_, name), place) in enumerate(zip(seen, places, strict=True)):
        side = "left" if place < 0.5 else "right"
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        up = 2 if apart else 2 + 10 * (len(seen) - 1 - k)
        text = f"↓ {name}" if side == "left" else f"{name} ↓"
        axes.annotate(text, (place, 1), xytext=(0, up), ha=side, va="bottom", color=GREY, **where)
    return 1 if apart else len(seen)


def on_curves(text: Text) -> None:
    """Write a text over curves, with a white rim."""
    from matplotlib.patheffects import withStroke

    text.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
    text.set_zorder(6)


def note_above(axes: Axes) -> None:
    """Say where all curves of a panel lie above its axis."""
    high = max(axes.get_ylim())
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines() if line.get_zorder() >= 3]
    values = np.concatenate(curves or [np.zeros(0)])
    if len(values) and np.nanmin(values) > high:
        on_curves(axes.text(0.5, 0.5, "above the axis", transform=axes.transAxes, ha="center", color=GREY))


def linear_ticks(axis: Any, most: float) -> None:
    """Write the numbers of a linear axis up to `most`."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(axis.get_view_interval())
    axis.set_ticks([place for place in MaxNLocator(6).tick_values(low, high) if low <= place <= min(high, most)])


def log_ticks(axis: Any, labels: int = 7, most: float = np.inf) -> None:
    """Write plain decimals on a log axis: 0.01, 0.1, 1.

    labels: at most so many.
    most: there are no labels above it.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    places = log_places(max(low, 1e-30), min(high, most * (1 + 1e-9)), labels)
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(FuncFormatter(lambda x, _: words.tick(float(f"{x:.6g}"))))
    axis.set_minor_locator(NullLocator())


def log_places(low: float, high: float, most: int) -> list[float]:
    """Return at most so many round numbers of a range, evenly spread over a log axis, and two or more if it has them.

    >>> log_places(8, 128, 4), log_places(1e-4, 0.1, 4)
    ([10.0, 20.0, 50.0, 100.0], [0.0001, 0.001, 0.01, 0.1])
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
        places = [x for x in steps if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]
        if len(places) > most and found:
            break
        found = places
    return found[:: -(-len(found) // most)] if len(found) > most else found


def empty(text: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure(page().width, 1.0)
    figure.text(0.5, 0.5, "\n".join(wrap(text, room_for(page().width))), ha="center", va="center", color=GREY)
    return figure
