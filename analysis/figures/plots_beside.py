"""The figure of two studies beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.endpoints import ENDPOINTS
from ..tables.summary import order
from ..tables.two_studies import ADVANTAGE, CHANGE
from . import style
from .pieces import Drawn, empty, styled
from .plots import forest_texts, units
from .style import GREY, look, new_figure

Design = Mapping[str, Any]
_GAP = 0.19  # of a row, between the variant's own difference and that of its lead


@styled
def beside(table: pd.DataFrame, design: Design, changes: pd.DataFrame) -> Drawn:
    """Both studies' values per variant, and their differences with simultaneous 95 % intervals; a panel per task.

    changes: of `analysis.tables.two_studies.changes`, the primary endpoint. Left: hollow the other study, filled this
    one. Right: the difference of the variant itself in its colour, below it, in grey, that of its lead over the
    baseline.
    """
    data = changes[changes["primary"]]
    tasks = [t for t in order(table, design, "task") if t in set(data["task"])]
    if not tasks:
        return Drawn(empty("nothing common to both studies"), data)
    rows = {
        t: [v for v in order(table, design, "variant") if v in set(data.loc[data["task"] == t, "variant"])]
        for t in tasks
    }
    row_height, stops = 0.33, (6, 92)
    heights = [row_height * len(rows[t]) + 0.95 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.1)
    grid = figure.subplots(len(tasks), 2, squeeze=False, height_ratios=heights, width_ratios=(1, 1.15))
    for (left, right), task in zip(grid, tasks, strict=True):
        own = data[data["task"] == task]
        endpoint = ENDPOINTS[own["endpoint"].iloc[0]]
        scale, form, unit = units(endpoint)
        by = {what: own[own["what"] == what].set_index("variant") for what in (CHANGE, ADVANTAGE)}
        for y, variant in enumerate(rows[task]):
            mark, row = look(variant), by[CHANGE].loc[variant]
            common = {"ls": "none", "marker": mark.marker, "mec": mark.colour, "mew": 1.1}
            left.plot(
                [scale * row["other"], scale * row["study"]], [y, y], color=mark.colour, lw=1.4, alpha=0.5, zorder=2
            )
            left.plot(scale * row["other"], y, mfc="white", zorder=3, ms=7, **common)
            left.plot(scale * row["study"], y, mfc=mark.colour, zorder=4, ms=4, **common)
            _interval(right, row, y - _GAP, scale, mark.colour, mark.marker)
            difference, p, _ = forest_texts(row, scale, form)
            texts = [
                (stops[0], difference, y - _GAP, style.INK),
                (stops[1], p if own["low"].notna().any() else "", y - _GAP, style.INK),
            ]
            if variant in by[ADVANTAGE].index:
                lead = by[ADVANTAGE].loc[variant]
                _interval(right, lead, y + _GAP, scale, GREY, "|")
                texts.append((stops[0], forest_texts(lead, scale, form)[0], y + _GAP, GREY))
            for x, text, at, colour in texts:
                where = {
                    "xycoords": ("axes fraction", "data"),
                    "xytext": (x, 0),
                    "textcoords": "offset points",
                    "va": "center",
                }
                right.annotate(text, (1, at), fontsize=6.3, color=colour, **where)
            left.annotate(
                variant,
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-5, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=7.5,
            )
        right.axvline(0, color=style.INK, lw=0.9, zorder=1.5)
        seen = np.abs(scale * own[["low", "high", "difference"]].to_numpy(dtype=float))
        reach = 1.08 * max([*seen[np.isfinite(seen)], 0.0]) or 1.0
        right.set_xlim(-reach, reach)
        if endpoint.unit != "steps":
            left.set_xlim(-0.03 * scale, 1.03 * scale)
        for axes in (left, right):
            axes.set_ylim(len(rows[task]) - 0.5, -0.5)
            axes.set_yticks([])
            axes.grid(visible=False, axis="y")
        better = "← better" if endpoint.lower_is_better else "better →"
        change = by[CHANGE]
        points, how = int(change["points"].min()), "paired" if change["paired"].all() else "unpaired"
        left.set_title(task, pad=5)
        left.set_xlabel(f"{endpoint.title}{' in %' if unit == ' %' else ''}   {better}", fontsize=7.5)
        right.set_title(
            f"this study minus the other, {how}, N {points}", pad=5, fontsize=7.5, fontweight="normal", loc="left"
        )
        right.set_xlabel(
            f"difference{' in percentage points' if unit == ' %' else unit and f' in{unit}'}   {better}", fontsize=7.5
        )
        inferred = own["low"].notna().any()
        for x, text in zip(stops, ("difference [95 %]", "p, Holm") if inferred else ("difference",), strict=False):
            right.annotate(
                text,
                (1, 1),
                xycoords="axes fraction",
                xytext=(x, 3),
                textcoords="offset points",
                fontsize=6,
                color=GREY,
            )
    return Drawn(figure, data)


def _interval(axes: Any, row: pd.Series, y: float, scale: float, colour: str, marker: str) -> None:
    if np.isfinite(row["low"]):
        axes.plot(
            [scale * row["low"], scale * row["high"]], [y, y], color=colour, lw=1.5, solid_capstyle="butt", zorder=2.5
        )
    fill = colour if row["significant"] else "white"
    axes.plot(
        scale * row["difference"],
        y,
        ls="none",
        marker=marker,
        ms=5 if marker != "|" else 6,
        mfc=fill,
        mec=colour,
        mew=1.1,
        zorder=3,
    )
