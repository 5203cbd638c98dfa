"""Pieces that figures are made of: labels, levels, counts, ticks, and families of curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from . import style
from .style import GREY, PALE, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 6  # in one panel; beyond it every variant gets a panel of its own
_LEAST_LOSS = 1e-9  # stands for a loss of zero on a log axis


class Drawn(NamedTuple):
    """A figure and the numbers plotted in it, one row per mark. A notebook shows the figure."""

    figure: Figure
    data: pd.DataFrame

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        buffer = BytesIO()
        with rc_context({"backend": "agg", **style.RC}):
            FigureCanvasAgg(self.figure).print_png(buffer)
        return buffer.getvalue()


def styled(draw: Callable[..., Drawn]) -> Callable[..., Drawn]:
    """Draw under the settings of `style`, whatever the caller's are."""

    @wraps(draw)
    def inner(*args: Any, **kwargs: Any) -> Drawn:
        from matplotlib import rc_context

        with rc_context({"backend": "agg", **style.RC}):
            return draw(*args, **kwargs)

    return inner


def spread(positions: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Positions moved as little as possible so that neighbours are `gap` apart, within [low, high] if they fit."""
    positions = np.asarray(positions, dtype=float)
    count = len(positions)
    if count == 0:
        return positions
    gap = min(gap, (high - low) / max(count - 1, 1))
    ranks = np.argsort(positions, kind="stable")
    # labels may then be anything that does not decrease: isotonic regression
    wanted = positions[ranks] - gap * np.arange(count)
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


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, float]], height: float) -> None:
    """Write names beside the right edge at the end of their curves: (variant, x, y) in data units; height of the axes
    in inches.
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
            variant,
            (1.055, place),
            xycoords="axes fraction",
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=readable(colour),
        )


def readable(colour: str) -> str:
    """A colour dark enough for small text on white: luminance of at most .22 (contrast 3.9 or more)."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    while True:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        if linear @ [0.2126, 0.7152, 0.0722] <= 0.2:
            return str(to_hex(rgb))
        rgb = rgb * 0.93


def counts_text(row: Mapping[str, Any]) -> str:
    """N, solved and diverged of a row of `summary.cells` or of sums of such rows; failed where there are any."""
    text = f"N {row['trials']}, solved {row['solved']}, diverged {row['diverged']}"
    return text + (f", failed {row['failed']}" if row["failed"] else "")


def note_counts(axes: Axes, numbers: pd.DataFrame, below: float = 27) -> None:
    """Write N, solved and diverged of the variants in `numbers` under a panel."""
    shown = numbers[(numbers["trials"] > 0) | (numbers["failed"] > 0)]
    note_lines(axes, [f"{row['variant']}: {counts_text(row)}" for row in shown.to_dict("records")], below)


def note_pooled(axes: Axes, numbers: pd.DataFrame, below: float = 29) -> None:
    """Write N, solved and diverged of all variants together under a panel."""
    note_lines(axes, [f"all variants: {counts_text(numbers[['trials', 'solved', 'diverged', 'failed']].sum())}"], below)


def note_lines(axes: Axes, lines: Sequence[str], below: float) -> None:
    """Small lines under a panel.

    The layout makes room for their height, not for their width: they may run on under the next panel.
    """
    where = {
        "xycoords": "axes fraction",
        "xytext": (0, -below),
        "textcoords": "offset points",
        "va": "top",
        "fontsize": 6,
        "linespacing": 1.25,
    }
    axes.annotate("\n".join("." for _ in lines), (0, 0), alpha=0, **where)
    axes.annotate("\n".join(lines), (0, 0), color=GREY, **where).set_in_layout(False)


def marker_legend(figure: Figure, variants: Sequence[str]) -> None:
    """Markers of the variants and their names, under all panels."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], ls="none", marker=look(v).marker, color=look(v).colour, ms=4.5) for v in variants]
    columns = max(1, min(len(variants), int(figure.get_size_inches()[0] / 1.4)))
    legend = figure.legend(
        marks, variants, loc="outside lower left", ncols=columns, fontsize=7, frameon=False, handletextpad=0.2
    )
    legend.set_in_layout(True)


def level_line(axes: Axes, value: float, label: str, along: str = "y") -> None:
    """A dotted line at a value of the x or y axis with its name at the inner end, where the value is in view."""
    low, high = sorted(axes.get_ylim() if along == "y" else axes.get_xlim())
    if not (np.isfinite(value) and low <= value <= high):
        return
    if along == "y":
        axes.axhline(value, color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
        # curves start at the floor and come down: the room is between the lines
        va = "top" if label.startswith("floor") else "bottom"
        text = axes.text(
            0.01, value, label, transform=axes.get_yaxis_transform(), fontsize=6.5, color=GREY, va=va, ha="left"
        )
    else:
        axes.axvline(value, color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
        text = axes.text(
            value, 1.0, label, transform=axes.get_xaxis_transform(), fontsize=6.5, color=GREY, va="bottom", ha="center"
        )
    text.set_zorder(6)


def losses_of(values: pd.Series | np.ndarray) -> np.ndarray:
    """Losses for a log axis: infinite where there is none, never below a tiny positive number."""
    losses = np.asarray(values, dtype=float)
    return np.where(np.isfinite(losses), np.maximum(losses, _LEAST_LOSS), np.inf)


def short(number: float) -> str:
    """A count in at most four characters: 812, 4.1k, 53k, 1.2M."""
    if not np.isfinite(number):
        return "–"
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            scaled = number / limit
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def log_ticks(axis: Any, few: bool = False, most: float = np.inf) -> None:
    """Plain decimal labels on a log axis: 0.01, 0.1, 1; between decades too where it is short; none above `most`."""
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
    axis.set_major_formatter(FuncFormatter(lambda x, _: plain_number(x) if x <= most else ""))
    axis.set_minor_locator(NullLocator())


def plain_number(x: float) -> str:
    """A number for a tick: 0.0001, 0.01, 30, 20k."""
    if x >= 1e4:
        return f"{x / 1e6:g}M" if x >= 1e6 else f"{x / 1e3:g}k"
    if 0 < x < 1e-4:
        mantissa, power = f"{x:.0e}".split("e")
        exponent = f"$10^{{{int(power)}}}$"
        return exponent if mantissa == "1" else f"{mantissa}·{exponent}"
    return f"{x:.12f}".rstrip("0").rstrip(".") if 0 < x < 1e-3 else f"{x:g}"


def empty(text: str) -> Figure:
    """A figure that says why there is nothing to see."""
    figure = new_figure(style.WIDTH, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    return figure


def row_names(axes: Axes, numbers: pd.DataFrame, variants: Sequence[str]) -> None:
    """Names of the variants left of their rows, N, solved and diverged under each."""
    facts = numbers.set_index("variant")
    for y, variant in enumerate(variants):
        for text, shift, size, colour in (
            (variant, 4.2, 7.5, style.INK),
            (counts_text(facts.loc[variant]), -4.6, 5.8, GREY),
        ):
            axes.annotate(
                text,
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-5, shift),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=size,
                color=colour,
            )


# Curves
# ------------------------------------------------------------------------------------------------------------------


class Panel(NamedTuple):
    """What one family of curves looks like: `key` of the rows of the data it shows, and its title."""

    key: Mapping[str, Any]
    title: str


def draw_curves(
    data: pd.DataFrame,
    panels: Sequence[Panel],
    numbers: pd.DataFrame,
    variants: Sequence[str],
    *,
    x_label: str,
    y_label: str,
    x_log: bool = False,
    y_log: bool = False,
    y_limits: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    levels: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    steps: bool = False,
    columns: int | None = None,
    markers: bool = False,
) -> Drawn:
    """Curves with bands from long data (task, variant, x, y, low, high): all in one panel, or a panel each beyond six
    variants.

    levels: by task, horizontal lines and their names. y_limits: of all panels, or by task. steps: draw as steps.
    """
    present = [v for v in variants if v in set(data["variant"])]
    if not present or data.empty:
        return Drawn(empty("no trials yet"), data)
    crowded = len(present) > MOST_CURVES
    spots = [(panel, focus) for panel in panels for focus in (present if crowded else [None])]
    columns = (4 if crowded else min(columns or 2, len(spots))) if not crowded or len(spots) > 3 else len(spots)
    rows = -(-len(spots) // columns)
    panel_height = 1.15 if crowded else (2.5 if columns == 1 else 2.0)
    below = 0.42 if crowded else 0.55 + 0.115 * len(present)
    figure = new_figure(style.WIDTH, rows * (panel_height + below) + (0.3 if crowded and len(panels) == 1 else 0.1))
    share = crowded and len(panels) == 1
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    for axes in grid.flat[len(spots) :]:
        axes.set_axis_off()
    for place, (axes, (panel, focus)) in enumerate(zip(grid.flat, spots, strict=False)):
        mine = data[np.logical_and.reduce([data[k] == v for k, v in panel.key.items()])]
        task = panel.key.get("task")
        axes.set_xscale("log" if x_log else "linear")
        axes.set_yscale("log" if y_log else "linear")
        ends = []
        if crowded:
            others = mine[mine["variant"] != focus]
            # one line with gaps is drawn faster than nineteen
            gaps = others.groupby("variant", sort=False).tail(1).assign(y=np.nan)
            line = pd.concat([others, gaps]).sort_values("variant", kind="stable")
            line.loc[~np.isfinite(line["y"]), "y"] = np.nan
            axes.plot(
                line["x"], line["y"], color=PALE, lw=0.7, zorder=1, drawstyle="steps-post" if steps else "default"
            )
            mine = mine[mine["variant"] == focus]
        for variant, curve in mine.groupby("variant", sort=False):
            finite = curve[np.isfinite(curve["y"])]
            style_of = look(str(variant))
            z = 3.5 if variant == present[0] else 3
            axes.plot(
                finite["x"],
                finite["y"],
                color=style_of.colour,
                ls=style_of.dash,
                zorder=z,
                marker=style_of.marker if markers or len(finite) == 1 else None,
                markevery=max(1, len(finite) // 8),
                drawstyle="steps-post" if steps else "default",
            )
            if "low" in curve and curve["low"].notna().any():
                high = np.where(np.isposinf(curve["high"]), 1e30, curve["high"])
                band = {"zorder": 2, "step": "post" if steps else None}
                axes.fill_between(
                    curve["x"], curve["low"], high, color=style_of.colour, alpha=0.22 if crowded else 0.1, lw=0, **band
                )
                if not crowded:  # overlapping bands are told apart by their edges
                    axes.fill_between(
                        curve["x"], curve["low"], high, fc="none", ec=style_of.colour, alpha=0.5, lw=0.5, **band
                    )
            if len(finite):
                ends.append((str(variant), float(finite["x"].iloc[-1]), float(finite["y"].iloc[-1])))
        limits = y_limits.get(task) if isinstance(y_limits, Mapping) else y_limits
        if limits:
            axes.set_ylim(*limits)
        axes.margins(x=0.02)
        axes.autoscale_view(scaley=False)
        for value, name in (levels or {}).get(task, ()):
            level_line(axes, value, name if not crowded or place % len(present) == 0 else "")
        if x_log:
            log_ticks(axes.xaxis, few=crowded)
        if y_log:
            log_ticks(axes.yaxis, few=crowded)
        if share:
            axes.tick_params(labelbottom=place + columns >= len(spots), labelleft=place % columns == 0)
        if crowded:
            axes.set_title(str(focus), fontsize=7.5, color=readable(look(str(focus)).colour), pad=3)
            if len(panels) > 1 and place % len(present) == 0:
                axes.set_title(f"{panel.title}\n{focus}", fontsize=7.5, pad=3)
            row = numbers[(numbers["variant"] == focus) & (numbers["task"] == task)].to_dict("records")
            text = counts_text(row[0]).replace(", diverged", ",\ndiverged") if row else ""
            drop = (0, -15 if not share or place + columns >= len(spots) else -4)
            where = {"xycoords": "axes fraction", "xytext": drop, "textcoords": "offset points", "va": "top"}
            axes.annotate(text, (0, 0), fontsize=6, color=GREY, **where)
            axes.tick_params(labelsize=6.5)
        else:
            axes.set_title(panel.title)
            axes.set_xlabel(x_label)
            label_ends(axes, ends, panel_height)
            note_counts(axes, numbers[(numbers["task"] == task) & numbers["variant"].isin(present)])
            if place % columns == 0:
                axes.set_ylabel(y_label)
    if crowded:
        if len(panels) == 1:
            figure.suptitle(panels[0].title, x=0.01, ha="left", fontsize=style.RC["axes.titlesize"], fontweight="bold")
        figure.supxlabel(x_label, fontsize=8)
        figure.supylabel(y_label, fontsize=8)
    return Drawn(figure, data)
