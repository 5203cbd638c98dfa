"""Pieces that figures are made of: rows, marks, labels, levels, counts and ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import words
from .choice import Line, records_of
from .look import GREY, INK, WIDTH, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


# Rows of variants
# -------------------------------------------------------------------------------------------------------------------


TALLEST = 11.9  # inches of a figure, on a page


def row_panels(
    rows: Mapping[Any, Sequence[str]],
    height: float,
    around: float,
    columns: int = 1,
    extra: float = 0.1,
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a panel for each task that has a row for each of its variants.

    rows: by task, or by task and question, the variants.
    height, around: of one row, and of what stands around the rows of a panel, in inches. Rows are less high where the
        figure would be higher than a page.
    columns: panels side by side.
    extra: height of what stands around all panels, in inches.
    options: handed on to `Figure.subplots`.
    Returns the figure and its axes [tasks, columns].
    """
    room = (TALLEST - extra - around * len(rows)) / max(1, sum(map(len, rows.values())))
    heights = [min(height, room) * len(variants) + around for variants in rows.values()]
    figure = new_figure(WIDTH, sum(heights) + extra)
    return figure, figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights, **options)


def row_axis(axes: Axes, count: int, across: bool = True) -> None:
    """Give an axis `count` rows, the first on top, without ticks; across: whether grid lines run down through them."""
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y" if across else "both")


def row_names(axes: Axes, counts: pd.DataFrame, variants: Sequence[str]) -> None:
    """Write the names of the variants left of their rows, with N, solved and diverged below each.

    counts: rows of the summary of one task.
    """
    facts = records_of(counts)
    for y, variant in enumerate(variants):
        left_of_row(axes, variant, y, up=4.2, size=7.5, colour=INK)
        left_of_row(axes, counts_text(facts[variant]), y, up=-4.6, size=5.8, colour=GREY)


def left_of_row(axes: Axes, text: str, y: float, up: float = 0.0, size: float = 7.5, colour: str = INK) -> None:
    """Write a text left of a row; up: points above the middle of the row."""
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-5, up),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=size,
        color=colour,
    )


def right_of_row(axes: Axes, text: str, y: float, right: float = 6.0, size: float = 6.5, colour: str = INK) -> None:
    """Write a text right of a row; right: points from the edge of the axes."""
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(right, 0),
        textcoords="offset points",
        va="center",
        fontsize=size,
        color=colour,
    )


def right_heads(axes: Axes, stops: Sequence[float], texts: Sequence[str]) -> None:
    """Write small headings above the texts right of the rows; stops: points from the edge of the axes."""
    for right, text in zip(stops, texts, strict=False):
        axes.annotate(
            text,
            (1, 1),
            xycoords="axes fraction",
            xytext=(right, 3),
            textcoords="offset points",
            fontsize=6,
            color=GREY,
        )


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
    """Return white or black, whichever is easier to read on a colour (red, green, blue in [0, 1])."""
    return "white" if np.dot(colour[:3], [0.299, 0.587, 0.114]) < 0.52 else "black"


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


def label_ends(
    axes: Axes, ends: Sequence[tuple[str, float, float]], height: float, names: Mapping[str, str] | None = None
) -> None:
    """Write the names of variants right of the axes, each beside the end of its curve.

    ends: (variant, x, y) in data units.
    height: of the axes, in inches.
    names: of variants that are written otherwise.
    """
    if not ends:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    tips = np.array([to_axes.transform((x, y)) for _, x, y in ends])
    heights = np.clip(tips[:, 1], 0, 1)
    places = spread(heights, gap=0.125 / height, low=-0.02, high=1.02)
    for (variant, _, _), tip, y, place in zip(ends, tips, heights, places, strict=True):
        colour = look(variant).colour
        axes.plot(
            [min(tip[0], 1.0), 1.02, 1.055],
            [y, place, place],
            color=colour,
            lw=0.6,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.annotate(
            (names or {}).get(variant, variant),
            (1.055, place),
            xycoords="axes fraction",
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=readable(colour),
        )


def readable(colour: str) -> str:
    """Darken a colour until small text in it can be read on white: a contrast of 4.2 or more."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    while True:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        if linear @ [0.2126, 0.7152, 0.0722] <= 0.2:
            return str(to_hex(tuple(rgb)))
        rgb = rgb * 0.93


def counts_text(row: Mapping[Any, Any] | pd.Series) -> str:
    """N, solved and diverged of a row of the summary or of a sum of such rows; exploded and failed where there are any.

    Of a task without a criterion of success nothing is said about solved trials.

    >>> counts_text({"trials": 8, "solved": 3, "solvable": True, "diverged": 1, "exploded": 0, "failed": 0})
    'N 8, solved 3, diverged 1'
    >>> counts_text({"trials": 8, "solved": 0, "solvable": False, "diverged": 1, "exploded": 2, "failed": 0})
    'N 8, diverged 1, exploded 2'
    """
    solved = f", solved {row['solved']}" if row["solvable"] else ""
    more = [f", {name} {row[name]}" for name in ("exploded", "failed") if row[name]]
    return f"N {row['trials']}{solved}, diverged {row['diverged']}{''.join(more)}"


COUNTED = ["trials", "solved", "solvable", "diverged", "exploded", "failed"]
"""The columns of the summary that say what became of the trials."""


def note_counts(axes: Axes, counts: pd.DataFrame, below: float = 27) -> None:
    """Write N, solved and diverged of the variants in `counts` under a panel."""
    shown = counts[(counts["trials"] > 0) | (counts["failed"] > 0)]
    note_lines(axes, [f"{row['variant']}: {counts_text(row)}" for row in shown.to_dict("records")], below)


def note_pooled(axes: Axes, counts: pd.DataFrame, below: float = 29) -> None:
    """Write N, solved and diverged of all variants together under a panel."""
    note_lines(axes, [f"all variants: {counts_text(counts[COUNTED].sum())}"], below)


def note_lines(axes: Axes, lines: Sequence[str], below: float) -> None:
    """Write small lines under a panel.

    The layout makes room for their height but not for their width: they may run on under the next panel.
    below: points from the lower edge of the axes.
    """
    where: dict[str, Any] = {
        "xycoords": "axes fraction",
        "xytext": (0, -below),
        "textcoords": "offset points",
        "va": "top",
        "fontsize": 6,
        "linespacing": 1.25,
    }
    axes.annotate("\n".join("." for _ in lines), (0, 0), alpha=0, **where)
    axes.annotate("\n".join(lines), (0, 0), color=GREY, **where).set_in_layout(False)


def legend_height(variants: Sequence[str]) -> float:
    """Return height of the legend of markers, in inches."""
    return 0.16 * -(-len(variants) // 5)


def marker_legend(figure: Figure, variants: Sequence[str]) -> None:
    """Write the variants with their markers under all panels."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], ls="none", marker=look(v).marker, color=look(v).colour, ms=4.5) for v in variants]
    columns = max(1, min(len(variants), int(figure.get_size_inches()[0] / 1.4)))
    legend = figure.legend(
        marks, variants, loc="outside lower left", ncols=columns, fontsize=7, frameon=False, handletextpad=0.2
    )
    legend.set_in_layout(True)


_DOTTED: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": (0, (1, 1.5)), "zorder": 1.5}


def level_line(axes: Axes, value: float, label: str, along: str = "y") -> None:
    """Draw a dotted line at a value of the x or y axis, and write its name, where the value is in view."""
    low, high = sorted(axes.get_ylim() if along == "y" else axes.get_xlim())
    if not (np.isfinite(value) and low <= value <= high):
        return
    if along == "y":
        axes.axhline(value, **_DOTTED)
        # curves start at the floor and come down: the room is between the lines
        va = "top" if label.startswith("floor") else "bottom"
        text = axes.text(
            0.01, value, label, transform=axes.get_yaxis_transform(), fontsize=6.5, color=GREY, va=va, ha="left"
        )
    else:
        axes.axvline(value, **_DOTTED)
        text = axes.text(
            value, 1.0, label, transform=axes.get_xaxis_transform(), fontsize=6.5, color=GREY, va="bottom", ha="center"
        )
    text.set_zorder(6)


def level_lines(axes: Axes, lines: Sequence[Line], along: str = "y", height: float = 2.0) -> None:
    """Draw dotted lines at values of the x or y axis, and write their names so that they do not run into each other.

    height: of the axes, in inches. Names of lines along x stand above the axes, in a row each where there are many.
    """
    if not stacked(lines):
        for value, name in lines:
            level_line(axes, value, name, along)
        return
    low, high = sorted(axes.get_ylim() if along == "y" else axes.get_xlim())
    seen = sorted(line for line in lines if np.isfinite(line.value) and low <= line.value <= high)
    to_axes = axes.transData + axes.transAxes.inverted()
    if along == "x":
        places = [float(to_axes.transform((value, 0))[0]) for value, _ in seen]
        for k, ((value, name), place) in enumerate(zip(seen, places, strict=True)):
            axes.axvline(value, **_DOTTED)
            side = "left" if place < 0.3 else "center"
            where: dict[str, Any] = {
                "xycoords": "axes fraction",
                "textcoords": "offset points",
                "annotation_clip": False,
            }
            up = 2 + 6.5 * (len(seen) - 1 - k)
            axes.annotate(name, (place, 1), xytext=(0, up), ha=side, va="bottom", fontsize=5.8, color=GREY, **where)
        return
    places = [float(to_axes.transform((1, value))[1]) for value, _ in seen]
    for (value, name), place in zip(seen, spread(places, gap=0.1 / height, low=0.02, high=0.98), strict=True):
        axes.axhline(value, **_DOTTED)
        # curves come down from above: there is most room at the left
        on_curves(axes.text(0.01, place, name, transform=axes.transAxes, fontsize=6, color=GREY, va="bottom"))


def stacked(lines: Sequence[Line]) -> bool:
    """Return whether the names of lines may run into each other: there are others than floor and solved loss."""
    return len(lines) > 2 or any(not line.name.startswith(("floor", "solved")) for line in lines if line.name)


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
        on_curves(axes.text(0.5, 0.5, "above the axis", transform=axes.transAxes, ha="center", fontsize=6, color=GREY))


def linear_ticks(axis: Any, most: float) -> None:
    """Write the numbers of a linear axis up to `most`."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(axis.get_view_interval())
    axis.set_ticks([place for place in MaxNLocator(6).tick_values(low, high) if low <= place <= min(high, most)])


def log_ticks(axis: Any, few: bool = False, most: float = np.inf) -> None:
    """Write plain decimals on a log axis: 0.01, 0.1, 1.

    few: whether there is little room.
    most: there are no labels above it.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    decades = np.log10(high / low) if low > 0 else 9
    if decades < 0.7:
        subs: tuple[float, ...] = (1, 1.5, 2, 3, 4, 5, 7)
    elif decades < 1.7:
        subs = (1, 2, 5)
    elif decades < 3 and not few:
        subs = (1, 3)
    else:
        subs = (1,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=8 if decades > 5 else 99))
    axis.set_major_formatter(FuncFormatter(lambda x, _: words.tick(x) if x <= most else ""))
    axis.set_minor_locator(NullLocator())


def empty(text: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure(WIDTH, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    return figure
