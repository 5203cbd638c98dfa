"""The figures of the stages after the search: memory horizon, and confirmation with fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from . import stats, style
from .draw import Drawn, counts_text, empty, marker_legend, plain_number, row_names, styled
from .style import GREY, look, new_figure
from .summary import cells, order, usable

Design = Mapping[str, Any]


def horizons(table: pd.DataFrame) -> pd.DataFrame:
    """One row per (task, variant) of a stage in which lags double: log2_horizon and its standard error in doublings, horizon in steps.

    table: trials with columns task, variant, lag, status; a task is the same at all its lags. at_most: not all runs solve the shortest lag;
    at_least: some solve the longest; then the horizon is a bound.
    """
    rows = []
    for (task, variant), own in usable(table).groupby(["task", "variant"]):
        by_lag = own.assign(solved=own["status"] == "solved").groupby("lag")["solved"].agg(["sum", "count"]).sort_index()
        log2, error = stats.memory_horizon(by_lag.index, by_lag["sum"], by_lag["count"])
        solved_all, solved_any = by_lag["sum"].iloc[0] == by_lag["count"].iloc[0], by_lag["sum"].iloc[-1] > 0
        found = {"log2_horizon": log2, "error": error, "horizon": 2**log2, "at_most": not solved_all, "at_least": bool(solved_any)}
        rows.append({"task": task, "variant": variant, "runs": len(own), **found})
    columns = ["task", "variant", "runs", "log2_horizon", "error", "horizon", "at_most", "at_least"]
    return pd.DataFrame(rows, columns=columns)


@styled
def memory_horizon(table: pd.DataFrame, design: Design) -> Drawn:
    """Share of runs that solve a task at each lag, and the lag at which half of them do, with 95 % intervals.

    table: trials of the stage in which lags double, see `horizons`.
    """
    from matplotlib import colormaps

    found, numbers = horizons(table), cells(table, design)
    trials = usable(table)
    tasks = [t for t in order(table, design, "task") if t in set(found["task"])]
    if not tasks:
        return Drawn(empty("no runs yet"), found)
    rows = {t: [v for v in order(table, design, "variant") if v in set(found.loc[found["task"] == t, "variant"])] for t in tasks}
    heights = [0.3 * len(rows[t]) + 0.75 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.1)
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)
    shading = colormaps["cividis"]
    for axes, task in zip(grid.flat, tasks, strict=True):
        own = trials[trials["task"] == task]
        wide = own.assign(solved=own["status"] == "solved").pivot_table(index="variant", columns="lag", values="solved", aggfunc="mean")
        wide = wide.reindex(rows[task])
        lags = wide.columns.to_numpy(dtype=float)
        edges = 2 ** (np.log2(lags[0]) - 0.5 + np.arange(len(lags) + 1))
        axes.pcolormesh(edges, np.arange(len(wide) + 1) - 0.5, wide, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
        axes.set_xscale("log", base=2)
        for y, variant in enumerate(rows[task]):
            for lag, share in wide.loc[variant].items():
                if np.isfinite(share):
                    ink = "white" if np.dot(shading(share)[:3], [0.299, 0.587, 0.114]) < 0.52 else "black"
                    axes.text(lag, y - 0.26, f"{100 * share:.0f} %", ha="center", va="center", fontsize=6, color=ink)
            row = found[(found["task"] == task) & (found["variant"] == variant)].iloc[0]
            reach = 2 ** (row["log2_horizon"] + 1.96 * row["error"] * np.array([-1, 1]))
            axes.plot(reach, [y + 0.18] * 2, color="white", lw=3.6, solid_capstyle="butt", zorder=3)
            axes.plot(reach, [y + 0.18] * 2, color="#bd1f01", lw=1.8, solid_capstyle="butt", zorder=4)
            axes.plot(row["horizon"], y + 0.18, marker="D", ms=5, mfc="#bd1f01", mec="white", mew=0.8, zorder=5)
            where = {"xycoords": ("axes fraction", "data"), "xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(_horizon_text(row, reach), (1, y), fontsize=6.8, **where)
        axes.set_xticks(lags, [plain_number(x) for x in lags])
        axes.minorticks_off()
        axes.set_xlabel("lag in steps")
        axes.set_ylim(len(wide) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.set_title(f"{task}: share of runs that solve it")
        axes.annotate("memory horizon", (1, 1), xycoords="axes fraction", xytext=(5, 3), textcoords="offset points", fontsize=6, color=GREY)
        row_names(axes, numbers[numbers["task"] == task], rows[task])
    return Drawn(figure, found)


def _horizon_text(row: pd.Series, reach: np.ndarray) -> str:
    low, high = (f"{x:,.0f}" for x in reach)
    sign = "≥ " if row["at_least"] and not row["at_most"] else "≤ " if row["at_most"] and not row["at_least"] else ""
    return f"{sign}{row['horizon']:,.0f} [{low}, {high}]"


@styled
def winners_curse(table: pd.DataFrame, design: Design, confirmation: pd.DataFrame) -> Drawn:
    """Score of each search's winner in the search against its score with a fresh seed; below the diagonal the search had flattered it.

    confirmation: one row per (task, variant, block): search_score, fresh_score.
    """
    numbers = cells(table, design)
    tasks = [t for t in order(table, design, "task") if t in set(confirmation["task"])]
    variants = [v for v in order(table, design, "variant") if v in set(confirmation["variant"])]
    if not tasks:
        return Drawn(empty("nothing confirmed yet"), confirmation)
    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = new_figure(style.WIDTH * (columns + 0.3) / 3.3, rows * 2.75 + 0.25 + 0.16 * -(-len(variants) // 5))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    for place, (axes, task) in enumerate(zip(grid.flat, tasks, strict=False)):
        own = confirmation[confirmation["task"] == task]
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
        for variant in variants:
            mine, mark = own[own["variant"] == variant], look(variant)
            looks = {"marker": mark.marker, "color": mark.colour, "edgecolors": "white", "linewidths": 0.3, "alpha": 0.85}
            axes.scatter(mine["search_score"], mine["fresh_score"], s=18, zorder=3, clip_on=False, **looks)
        drop = (own["search_score"] - own["fresh_score"]).mean()
        axes.text(0.03, 0.97, f"mean drop {drop:.2f}".replace("-", "−"), transform=axes.transAxes, va="top", fontsize=7, color=GREY)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_aspect("equal")
        axes.set_title(task)
        sums = numbers.loc[numbers["task"] == task, ["trials", "solved", "diverged", "failed"]].sum()
        axes.set_xlabel(f"score in the search\n{counts_text(sums)}", fontsize=7)
        if place % columns == 0:
            axes.set_ylabel("score with a fresh seed")
    marker_legend(figure, variants)
    return Drawn(figure, confirmation)
