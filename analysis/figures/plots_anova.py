"""The figures of the functional analysis of variance: marginal curves, shares, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..tables.importance import LEAST_R2
from ..tables.summary import cells, order
from . import style
from .pieces import MOST_CURVES, Drawn, empty, label_ends, log_ticks, note_counts, readable, row_names, styled
from .style import GREY, PALE, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Design = Mapping[str, Any]
_KIND = {"forest": "forest", "process": "Gaussian p."}
_RESPONSE = {"score": "score", "seconds": "seconds per trial"}


def _names(design: Design, found: pd.Series) -> list[str]:
    """Hyperparameters in the order of the design."""
    present = list(dict.fromkeys(found))
    listed = [n for n in (design.get("space") or {}) if n in present]
    return [*listed, *(n for n in present if n not in listed)]


def _scale(axes: Axes, design: Design, name: str, values: np.ndarray, few: bool) -> None:
    node = (design.get("space") or {}).get(name) or {}
    ends = np.sort(value_at(node, np.array([0.0, 1.0]))) if node else (values.min(), values.max())
    if node.get("log") and not node.get("complement") and values.min() > 0:
        axes.set_xscale("log")
        axes.set_xlim(*ends)
        log_ticks(axes.xaxis, few=few)
    else:
        axes.set_xlim(*ends)
        axes.locator_params(axis="x", nbins=4)


@styled
def marginals(table: pd.DataFrame, design: Design, marginals: pd.DataFrame) -> Drawn:
    """Mean score, and seconds in a second row, against one hyperparameter, averaged over all others: figure 4 of Greff
    et al. 2017.

    marginals: of `analysis.tables.importance`. Bands: two standard errors. Beyond six variants each has a row of its
    own with its scores, the others in grey.
    """
    numbers = cells(table, design)
    variants = [v for v in order(table, design, "variant") if v in set(marginals["variant"])]
    tasks = [t for t in order(table, design, "task") if t in set(marginals["task"])]
    if not variants:
        return Drawn(empty("too few trials for an analysis of variance"), marginals)
    names = _names(design, marginals["hyperparameter"])
    if len(variants) > MOST_CURVES:
        return _marginals_by_variant(marginals, design, numbers, variants, tasks, names)
    note = 0.13 + 0.115 * len(variants)
    heights = [1.55, 1.15] * len(tasks)
    figure = new_figure(style.WIDTH, len(tasks) * (sum(heights[:2]) + 0.95 + note))
    grid = figure.subplots(len(heights), len(names), squeeze=False, height_ratios=heights)
    for row, (task, response) in enumerate((t, r) for t in tasks for r in _RESPONSE):
        own = marginals[(marginals["task"] == task) & (marginals["response"] == response)]
        for column, name in enumerate(names):
            axes, ends = grid[row, column], []
            here = own[own["hyperparameter"] == name]
            for variant, curve in here.groupby("variant", sort=False):
                mark = look(str(variant))
                curve = curve.sort_values("value")
                middle, low, high = _band(curve, response)
                axes.plot(
                    curve["value"], middle, color=mark.colour, ls=mark.dash, zorder=3.5 if variant == variants[0] else 3
                )
                axes.fill_between(curve["value"], low, high, color=mark.colour, alpha=0.1, lw=0, zorder=2)
                ends.append((str(variant), float(curve["value"].iloc[-1]), float(middle.iloc[-1])))
            _scale(axes, design, name, here["value"].to_numpy(), few=True)
            if response == "score":
                axes.set_ylim(-0.03, 1.03)
                axes.tick_params(labelbottom=False)
            else:
                axes.set_yscale("log")
                low, high = own["mean"].min(), own["mean"].max()
                axes.set_ylim(np.exp(low - 0.15 * (high - low) - 0.1), np.exp(high + 0.15 * (high - low) + 0.1))
                log_ticks(axes.yaxis)
                axes.set_xlabel(name.replace("_", " "))
            if column == 0:
                axes.set_ylabel(_RESPONSE[response])
                if response == "score":
                    axes.set_title(task)
                else:
                    note_counts(axes, numbers[(numbers["task"] == task) & numbers["variant"].isin(variants)])
            else:
                axes.tick_params(labelleft=False)
            if column == len(names) - 1:
                label_ends(axes, ends, 1.55 if response == "score" else 1.15)
    return Drawn(figure, marginals)


def _band(curve: pd.DataFrame, response: str) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean and two standard errors to either side, in the units of the response."""
    half = 2 * curve["error"].fillna(0.0)
    bounds = curve["mean"], curve["mean"] - half, curve["mean"] + half
    return bounds if response == "score" else tuple(np.exp(b) for b in bounds)


def _marginals_by_variant(
    data: pd.DataFrame,
    design: Design,
    numbers: pd.DataFrame,
    variants: Sequence[str],
    tasks: Sequence[str],
    names: Sequence[str],
) -> Drawn:
    height = 0.5
    rows = [(t, v) for t in tasks for v in variants]
    figure = new_figure(style.WIDTH, height * len(rows) + 0.5)
    grid = figure.subplots(len(rows), len(names), squeeze=False)
    scores = data[data["response"] == "score"]
    for row, (task, variant) in enumerate(rows):
        for column, name in enumerate(names):
            axes = grid[row, column]
            here = scores[(scores["task"] == task) & (scores["hyperparameter"] == name)].sort_values("value")
            wide = here.pivot(index="value", columns="variant", values="mean")
            gap = np.vstack(
                [
                    wide.drop(columns=variant, errors="ignore").to_numpy(),
                    np.full((1, wide.shape[1] - (variant in wide)), np.nan),
                ]
            )
            at = np.tile(np.append(wide.index.to_numpy(), np.nan), gap.shape[1])
            axes.plot(at, gap.T.ravel(), color=PALE, lw=0.6, zorder=1)
            mine = here[here["variant"] == variant]
            mark = look(variant)
            if len(mine):
                middle, low, high = _band(mine, "score")
                axes.plot(mine["value"], middle, color=mark.colour, ls=mark.dash, zorder=3)
                axes.fill_between(mine["value"], low, high, color=mark.colour, alpha=0.2, lw=0, zorder=2)
            _scale(axes, design, name, here["value"].to_numpy(), few=True)
            axes.set_ylim(-0.05, 1.05)
            axes.set_yticks([0, 0.5, 1], ["0", "", "1"])
            axes.tick_params(labelsize=6.5, labelleft=column == 0, labelbottom=row == len(rows) - 1)
            if row == len(rows) - 1:
                axes.set_xlabel(name.replace("_", " "))
            if column == 0:
                cell = numbers[(numbers["task"] == task) & (numbers["variant"] == variant)].iloc[0]
                counts = f"N {cell['trials']}, solved {cell['solved']}, diverged {cell['diverged']}"
                for text, shift, size, colour in ((variant, 5, 7, readable(mark.colour)), (counts, -5, 5.5, GREY)):
                    where = {"xycoords": "axes fraction", "xytext": (-18, shift), "textcoords": "offset points"}
                    axes.annotate(text, (0, 0.5), ha="right", va="center", fontsize=size, color=colour, **where)
                if variant == variants[0]:
                    axes.set_title(task)
    return Drawn(figure, data)


@styled
def shares(table: pd.DataFrame, design: Design, shares: pd.DataFrame) -> Drawn:
    """Share of the score's variance that each hyperparameter explains alone, all pairs, and the rest: figure 5 of Greff
    et al. 2017.

    shares: of `analysis.tables.importance`. Bars are pale where the surrogate's R2 is below .2: there is too little to
    take apart.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    numbers = cells(table, design)
    variants = [v for v in order(table, design, "variant") if v in set(shares["variant"])]
    tasks = [t for t in order(table, design, "task") if t in set(shares["task"])]
    if not variants:
        return Drawn(empty("too few trials for an analysis of variance"), shares)
    names = _names(design, shares.loc[shares["order"] == 1, "term"])
    ramp = [colormaps["viridis"](x) for x in np.linspace(0.12, 0.95, len(names))]
    parts = [*zip(names, ramp, strict=True), ("all pairs", "#b8b8b8"), ("three and more", "#e4e4e4")]
    rows = {t: [v for v in variants if v in set(shares.loc[shares["task"] == t, "variant"])] for t in tasks}
    heights = [0.29 * len(rows[t]) + 0.55 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.45)
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)
    for axes, task in zip(grid.flat, tasks, strict=True):
        own = shares[shares["task"] == task]
        for y, variant in enumerate(rows[task]):
            mine = own[own["variant"] == variant]
            pairs = mine.loc[mine["order"] == 2, "share"].sum()
            alone = mine[mine["order"] == 1].set_index("term")
            values = [*alone.loc[names, "share"], pairs, mine.loc[mine["order"] == 3, "share"].sum()]
            errors = [*alone.loc[names, "error"], np.nan, np.nan]
            facts = mine.iloc[0]
            r2 = facts[["r2_forest", "r2_process"]].max()
            left = 0.0
            for (_, colour), value, error in zip(parts, values, errors, strict=True):
                axes.barh(
                    y,
                    value,
                    left=left,
                    height=0.74,
                    color=colour,
                    alpha=1.0 if r2 >= LEAST_R2 else 0.35,
                    ec="white",
                    lw=0.4,
                )
                if value >= 0.055:
                    text = f"{value:.2f}"[1:] if value < 0.995 else "1"
                    text += f" ± {error:.2f}".replace("0.", ".") if np.isfinite(error) and value > 0.16 else ""
                    dark = np.dot(np.array(_rgb(colour)), [0.299, 0.587, 0.114]) < 0.52 and r2 >= LEAST_R2
                    axes.text(
                        left + value / 2,
                        y,
                        text,
                        ha="center",
                        va="center",
                        fontsize=6.3,
                        color="white" if dark else "black",
                    )
                left += value
            if left == 0:
                axes.text(
                    0.5,
                    y,
                    "nothing to explain: the surrogate is constant",
                    ha="center",
                    va="center",
                    fontsize=6.3,
                    color=GREY,
                )
            words = f"R² {r2:.2f}, {_KIND[facts['surrogate']]}".replace("-", "−")
            where = {"xycoords": ("axes fraction", "data"), "xytext": (4, 0), "textcoords": "offset points"}
            axes.annotate(words, (1, y), va="center", fontsize=6.3, color=GREY, **where)
        axes.set_title(task)
        axes.set_xlim(0, 1.0)
        axes.set_ylim(len(rows[task]) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(visible=False)
        row_names(axes, numbers[numbers["task"] == task], rows[task])
    grid[-1, 0].set_xlabel("share of the surrogate's variance of the score, ± standard error")
    handles = [Patch(color=colour, label=name.replace("_", " ")) for name, colour in parts]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(parts), 6), fontsize=7, frameon=False)
    return Drawn(figure, shares)


def _rgb(colour: Any) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


@styled
def pairs(
    table: pd.DataFrame,
    design: Design,
    marginals: pd.DataFrame,
    shares: pd.DataFrame,
    surfaces: pd.DataFrame,
    variant: str | None = None,
) -> Drawn:
    """Mean score over every pair of hyperparameters, averaged over the others, of one variant: figure 6 of Greff et al.
    2017.

    Diagonal: marginal curves with two standard errors. Below: marginal surfaces. Above: the share of variance that is
    the interaction of the pair. variant: the first of the study (the baseline) if None. A block per task.
    """
    numbers = cells(table, design)
    present = [v for v in order(table, design, "variant") if v in set(shares["variant"])]
    if not present or (variant is not None and variant not in present):
        return Drawn(empty("too few trials for an analysis of variance"), surfaces.iloc[:0])
    variant = variant or present[0]
    surfaces, marginals, shares = (frame[frame["variant"] == variant] for frame in (surfaces, marginals, shares))
    tasks = [t for t in order(table, design, "task") if t in set(shares["task"])]
    names = _names(design, shares.loc[shares["order"] == 1, "term"])
    count = len(names)
    side = min(1.7, 6.2 / count)
    figure = new_figure(count * side + 1.1, len(tasks) * (count * side + 0.75))
    grid = figure.subplots(len(tasks) * count, count, squeeze=False)
    for block, task in enumerate(tasks):
        terms = shares[shares["task"] == task].set_index("term")
        for i, row_name in enumerate(names):
            for j, column_name in enumerate(names):
                axes = grid[block * count + i, j]
                if i == j:
                    curve = marginals[
                        (marginals["task"] == task)
                        & (marginals["hyperparameter"] == row_name)
                        & (marginals["response"] == "score")
                    ].sort_values("value")
                    middle, low, high = _band(curve, "score")
                    colour = look(variant).colour
                    axes.plot(curve["value"], middle, color=colour)
                    axes.fill_between(curve["value"], low, high, color=colour, alpha=0.18, lw=0)
                    axes.set_ylim(-0.03, 1.03)
                    axes.set_yticks([0, 0.5, 1])
                    axes.yaxis.set_ticks_position("right")
                    axes.spines["right"].set_visible(True)
                    axes.spines["left"].set_visible(False)
                    _scale(axes, design, row_name, curve["value"].to_numpy(), few=True)
                    text = f"{terms.loc[row_name, 'share']:.2f} alone"
                    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=6.5, color=GREY)
                elif j < i:
                    _surface(axes, design, surfaces[surfaces["task"] == task], marginals, column_name, row_name)
                else:
                    term = next(
                        t for t in (f"{row_name} × {column_name}", f"{column_name} × {row_name}") if t in terms.index
                    )
                    text = f"interaction\n{terms.loc[term, 'share']:.2f} ± {terms.loc[term, 'error']:.2f}"
                    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=8)
                    axes.set_axis_off()
                if i == count - 1:
                    axes.set_xlabel(column_name.replace("_", " "))
                else:
                    axes.tick_params(labelbottom=False)
                if j == 0 and i > 0:
                    axes.set_ylabel(row_name.replace("_", " "))
                elif j != i:
                    axes.tick_params(labelleft=False)
        grid[block * count, 0].set_title(f"{task}, {variant}")
        note_counts(
            grid[(block + 1) * count - 1, 0], numbers[(numbers["task"] == task) & (numbers["variant"] == variant)]
        )
    return Drawn(figure, surfaces)


def _surface(axes: Axes, design: Design, surfaces: pd.DataFrame, marginals: pd.DataFrame, across: str, up: str) -> None:
    """The marginal mean score over two hyperparameters, with its number at the corners of the scale 0 to 1."""
    here = surfaces[(surfaces["first"] == across) & (surfaces["second"] == up)]
    if here.empty:
        here = surfaces[(surfaces["first"] == up) & (surfaces["second"] == across)]
        here = here.rename(columns={"u_first": "u_second", "u_second": "u_first"})
    wide = here.pivot(index="u_second", columns="u_first", values="mean")
    space = design["space"]
    edges = np.linspace(0, 1, len(wide) + 1)
    x, y = value_at(space[across], edges), value_at(space[up], edges)
    axes.pcolormesh(x, y, wide.to_numpy(), cmap="cividis", vmin=0, vmax=1, rasterized=True)
    axes.grid(visible=False)
    for axis, node, values in ((axes.xaxis, space[across], x), (axes.yaxis, space[up], y)):
        set_scale, set_limits = (
            (axes.set_xscale, axes.set_xlim) if axis is axes.xaxis else (axes.set_yscale, axes.set_ylim)
        )
        if node.get("log") and not node.get("complement"):
            set_scale("log")
        set_limits(values.min(), values.max())
        if node.get("log") and not node.get("complement"):
            log_ticks(axis, few=True)


def value_at(node: Mapping[str, Any], u: np.ndarray) -> np.ndarray:
    """Values of a hyperparameter at coordinates of the unit cube, as its node of the design's space says."""
    low, high = float(node["low"]), float(node["high"])
    values = low * (high / low) ** u if node.get("log") else low + u * (high - low)
    return 1 - values if node.get("complement") else values
