"""The figures of the stages after the search: memory horizon, and confirmation with fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import words
from ..tables.stages import horizons
from ..tables.summary import baseline_of, cells, order, usable
from . import style
from .pieces import Drawn, counts_text, empty, marker_legend, plain_number, readable, row_names, styled
from .style import GREY, look, new_figure

Design = Mapping[str, Any]


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
    rows = {
        t: [v for v in order(table, design, "variant") if v in set(found.loc[found["task"] == t, "variant"])]
        for t in tasks
    }
    heights = [0.3 * len(rows[t]) + 0.75 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.1)
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)
    shading = colormaps["cividis"]
    for axes, task in zip(grid.flat, tasks, strict=True):
        own = trials[trials["task"] == task]
        wide = own.assign(solved=own["status"] == "solved").pivot_table(
            index="variant", columns="lag", values="solved", aggfunc="mean"
        )
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
            bound = row["at_least"] or row["at_most"]
            if not bound:
                reach = 2 ** (row["log2_horizon"] + 1.96 * row["error"] * np.array([-1, 1]))
                axes.plot(reach, [y + 0.18] * 2, color="white", lw=3.6, solid_capstyle="butt", zorder=3)
                axes.plot(reach, [y + 0.18] * 2, color="#bd1f01", lw=1.8, solid_capstyle="butt", zorder=4)
            marker = "D" if not bound else ">" if row["at_least"] else "<"
            axes.plot(
                row["horizon"],
                y + 0.18,
                marker=marker,
                ms=5 if not bound else 6,
                mfc="#bd1f01",
                mec="white",
                mew=0.8,
                zorder=5,
            )
            where = {
                "xycoords": ("axes fraction", "data"),
                "xytext": (5, 0),
                "textcoords": "offset points",
                "va": "center",
            }
            axes.annotate(
                words.horizon(row["log2_horizon"], row["error"], at_least=row["at_least"], at_most=row["at_most"]),
                (1, y),
                fontsize=6.8,
                **where,
            )
        axes.set_xticks(lags, [plain_number(x) for x in lags])
        axes.minorticks_off()
        axes.set_xlabel("lag in steps")
        axes.set_ylim(len(wide) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.set_title(f"{task}: share of runs that solve it")
        axes.annotate(
            "memory horizon",
            (1, 1),
            xycoords="axes fraction",
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=6,
            color=GREY,
        )
        row_names(axes, numbers[numbers["task"] == task], rows[task])
    return Drawn(figure, found)


@styled
def confirmation_scores(
    table: pd.DataFrame, design: Design, confirmed: pd.DataFrame, repeats: pd.DataFrame | None = None
) -> Drawn:
    """Scores of the replicates of "search, then train" with their interquartile mean, and their probability of
    improvement, task by task.

    table: trials of block winners run again. confirmed: of `stages.confirmed`. repeats: runs of the best
    configurations.
    """
    numbers, baseline, trials = cells(table, design), baseline_of(table, design), usable(table)
    tasks = [t for t in order(table, design, "task") if t in set(trials["task"])]
    if not tasks:
        return Drawn(empty("nothing confirmed yet"), confirmed)
    rows = {
        t: [v for v in order(table, design, "variant") if v in set(trials.loc[trials["task"] == t, "variant"])]
        for t in tasks
    }
    heights = [0.36 * len(rows[t]) + 0.8 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.1)
    grid = figure.subplots(len(tasks), 2, squeeze=False, height_ratios=heights, width_ratios=(1.5, 1))
    for (left, right), task in zip(grid, tasks, strict=True):
        found = confirmed[confirmed["task"] == task].set_index("variant")
        for y, variant in enumerate(rows[task]):
            mark, row = look(variant), found.loc[variant]
            for runs, height, fill in ((trials, -0.14, True), (repeats, 0.2, False)):
                if runs is None:
                    continue
                mine = usable(runs[(runs["task"] == task) & (runs["variant"] == variant)])
                looks = (
                    {"color": mark.colour, "edgecolors": "white", "linewidths": 0.3} if fill else _hollow(mark.colour)
                )
                looks |= {"s": 13 if fill else 8, "marker": mark.marker if fill else "o"}
                left.scatter(mine["score"], np.full(len(mine), y + height), zorder=3, **looks)
                # where scores are equal, they are so at an end
                for end, side, shift in ((0.0, "right", -4), (1.0, "left", 4)):
                    if (count := int((mine["score"] == end).sum())) > 1:
                        where = {"xytext": (shift, -0.3), "textcoords": "offset points", "va": "center", "ha": side}
                        left.annotate(
                            f"{count} ×", (end, y + height), fontsize=5.5, color=readable(mark.colour), **where
                        )
            if np.isfinite(row["low"]):
                left.plot(
                    [row["low"], row["high"]],
                    [y - 0.14] * 2,
                    color=mark.colour,
                    lw=4.5,
                    alpha=0.3,
                    solid_capstyle="butt",
                    zorder=2,
                )
            left.plot(
                [row["iqm"]] * 2,
                [y - 0.42, y - 0.25],
                color=style.INK,
                lw=2.2,
                zorder=4,
                solid_capstyle="butt",
                clip_on=False,
            )
            if np.isfinite(row["improvement"]):
                if np.isfinite(row["improvement_low"]):
                    span = [row["improvement_low"], row["improvement_high"]]
                    right.plot(span, [y, y], color=mark.colour, lw=1.6, solid_capstyle="butt", zorder=2.5)
                fill = mark.colour if row["p_holm"] <= 0.05 else "white"
                right.plot(
                    row["improvement"],
                    y,
                    marker=mark.marker,
                    ms=5.5,
                    mfc=fill,
                    mec=mark.colour,
                    mew=1.1,
                    zorder=3,
                    clip_on=False,
                )
                where = {
                    "xycoords": ("axes fraction", "data"),
                    "xytext": (6, 0),
                    "textcoords": "offset points",
                    "va": "center",
                }
                right.annotate(_improvement_text(row), (1, y), fontsize=6.5, color=readable(mark.colour), **where)
        right.axvline(0.5, color=GREY, lw=0.8, ls=(0, (1, 1.5)), zorder=1.5)
        for axes, label, room in (
            (left, "score with a fresh seed", 0.09),
            (right, f"probability of improvement over {baseline}", 0.02),
        ):
            axes.set_xlim(-room, 1 + room)
            axes.set_ylim(len(rows[task]) - 0.5, -0.5)
            axes.set_yticks([])
            axes.grid(visible=False, axis="y")
            axes.set_xlabel(label)
        left.set_title(task)
        row_names(left, numbers[numbers["task"] == task], rows[task])
    return Drawn(figure, confirmed)


def _apart(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in which marks on the same spot lie around it, as seeds of a sunflower do."""
    spots = pd.DataFrame({"x": np.round(x, 2), "y": np.round(y, 2)})
    k = spots.groupby(["x", "y"]).cumcount().to_numpy()
    radius, angle = 0.024 * np.sqrt(k), 2.4 * k
    return x + radius * np.cos(angle), y + radius * np.sin(angle)


def _hollow(colour: str) -> dict[str, Any]:
    return {"facecolors": "none", "edgecolors": colour, "linewidths": 0.7}


def _improvement_text(row: pd.Series) -> str:
    text = f"{row['improvement']:.2f}"
    if np.isfinite(row["improvement_low"]):
        text += f" [{row['improvement_low']:.2f}, {row['improvement_high']:.2f}]"
    return text


@styled
def winners_curse(table: pd.DataFrame, design: Design, confirmation: pd.DataFrame) -> Drawn:
    """Score of each search's winner in the search against its score with a fresh seed; below the diagonal the search
    had flattered it.

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
        spread = own.assign(
            **dict(zip(("x", "y"), _apart(own["search_score"].to_numpy(), own["fresh_score"].to_numpy()), strict=True))
        )
        for variant in variants:
            mine, mark = spread[spread["variant"] == variant], look(variant)
            looks = {
                "marker": mark.marker,
                "color": mark.colour,
                "edgecolors": "white",
                "linewidths": 0.3,
                "alpha": 0.85,
            }
            axes.scatter(mine["x"], mine["y"], s=18, zorder=3, clip_on=False, **looks)
        drop = (own["search_score"] - own["fresh_score"]).mean()
        axes.text(
            0.03,
            0.9,
            f"mean drop {drop:.2f}".replace("-", "−"),
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            color=GREY,
        )
        axes.set_xlim(-0.02, 1.04)
        axes.set_ylim(-0.02, 1.04)
        axes.set_aspect("equal")
        axes.set_title(task)
        sums = numbers.loc[numbers["task"] == task, ["trials", "solved", "diverged", "failed"]].sum()
        axes.set_xlabel(f"score in the search; {len(own)} winners\nsearch: {counts_text(sums)}", fontsize=7)
        if place % columns == 0:
            axes.set_ylabel("score with a fresh seed")
    marker_legend(figure, variants)
    return Drawn(figure, confirmation)
