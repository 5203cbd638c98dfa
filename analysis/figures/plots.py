"""The figures of a study: one function per figure, from the table of trials to a drawing and the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..statistics.best import best_decile, best_weights, ranking, search_budgets
from ..statistics.endpoints import ENDPOINTS, Endpoint
from ..statistics.intervals import wilson
from ..statistics.scores import performance_profile
from ..tables.summary import cells, order, usable
from . import style
from .pieces import (
    MOST_CURVES,
    Drawn,
    Panel,
    counts_text,
    draw_curves,
    empty,
    level_line,
    log_ticks,
    losses_of,
    marker_legend,
    note_pooled,
    readable,
    row_names,
    short,
    styled,
)
from .style import GREY, SHADE, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Design = Mapping[str, Any]
FEWEST_IN_A_BOX = 5  # trials for quartiles
FEWEST_IN_A_BAND = 10  # trials for a bootstrap band


def _task_levels(table: pd.DataFrame) -> dict[str, list[tuple[float, str]]]:
    """By task, the lines of the floor and of the solved loss."""
    firsts = table.groupby("task")[["floor", "solved_loss"]].first()
    return {str(t): [(r["floor"], "floor: no memory"), (r["solved_loss"], "solved")] for t, r in firsts.iterrows()}


def _grid(table: pd.DataFrame) -> np.ndarray:
    """The steps [S] at which any of the trials was evaluated."""
    return np.unique(
        np.concatenate([np.asarray(s, dtype=np.int64) for s in table["curve_steps"]] or [np.zeros(0, dtype=np.int64)])
    )


def _settled(table: pd.DataFrame, steps: np.ndarray) -> np.ndarray:
    """Validation losses of trials on a common grid of steps [S]: [trials, S].

    A trial that stopped keeps its last loss; one that diverged, or has none, counts as infinite from there on.
    """
    losses = np.full((len(table), len(steps)), np.inf)
    for row, (own_steps, own_losses, status) in enumerate(
        zip(table["curve_steps"], table["curve_losses"], table["status"], strict=True)
    ):
        if len(own_steps) == 0:
            continue
        values = losses_of(own_losses)
        if status == "diverged":
            own_steps, values = np.append(own_steps, own_steps[-1] + 0.5), np.append(values, np.inf)
        index = np.searchsorted(own_steps, steps, side="right") - 1
        losses[row] = np.where(index >= 0, values[np.maximum(index, 0)], np.inf)
    return losses


def _quantiles(values: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """Quantiles down axis 0 as order statistics, so that infinite values stay what they are."""
    return np.quantile(values, at, axis=0, method="inverted_cdf")


@styled
def learning_curves(table: pd.DataFrame, design: Design) -> Drawn:
    """Validation loss against training steps: median over trials, the band from the first to the third quartile.

    Left all trials, right the best decile by validation loss. Trials that have stopped keep their last loss, diverged
    ones count as infinite. The evaluation before the first step is left out of the log axis.
    """
    trials = usable(table)
    rows = []
    grids = {task: _grid(group) for task, group in trials.groupby("task")}
    for (task, variant), group in trials.groupby(["task", "variant"]):
        steps = grids[task]
        best = group.iloc[best_decile(group["validation_loss"])]
        for subset, chosen in (("all trials", group), ("best decile", best)):
            low, middle, high = _quantiles(_settled(chosen, steps), (0.25, 0.5, 0.75))
            if len(chosen) < FEWEST_IN_A_BOX:
                low, high = np.full((2, len(steps)), np.nan)
            keep = steps > 0
            columns = {"x": steps[keep], "y": middle[keep], "low": low[keep], "high": high[keep]}
            rows.append(pd.DataFrame({"task": task, "variant": variant, "subset": subset, **columns}))
    variants, tasks = (
        order(table, design, "variant"),
        [t for t in order(table, design, "task") if t in set(trials["task"])],
    )
    data = (
        _in_order(pd.concat(rows), variants)
        if rows
        else pd.DataFrame(columns=["task", "variant", "subset", "x", "y", "low", "high"])
    )
    limits = {}
    for task, group in data.groupby("task"):
        facts = trials[trials["task"] == task].iloc[0]
        seen = group[["low", "y"]].to_numpy().ravel()
        seen = seen[np.isfinite(seen)]
        low = 0.75 * min([facts["solved_loss"], *seen.tolist()])
        high = 1.2 * max([facts["floor"], *seen.tolist()])
        limits[str(task)] = (
            max(low, facts["solved_loss"] / 100),
            min(max(high, 1.6 * facts["floor"]), 4 * facts["floor"]),
        )
    crowded = data["variant"].nunique() > MOST_CURVES
    subsets = ("best decile",) if crowded else ("all trials", "best decile")
    panels = [Panel({"task": t, "subset": s}, f"{t}, {s}") for t in tasks for s in subsets]
    return draw_curves(
        data,
        panels,
        cells(table, design),
        variants,
        x_label="training steps",
        y_label="validation loss",
        x_log=True,
        y_log=True,
        y_limits=limits,
        levels=_task_levels(trials) if len(trials) else None,
    )


def _in_order(data: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Rows sorted by the order of the variants, keeping their order within one."""
    return data.sort_values(
        "variant", key=lambda v: v.map({name: k for k, name in enumerate(variants)}), kind="stable", ignore_index=True
    )


@styled
def expected_best(table: pd.DataFrame, design: Design, budget: str = "trials", resamples: int = 400) -> Drawn:
    """Expected test score of the best trial by validation, against the budget of the search.

    budget: trials, or seconds (trials times the mean time of one). Drawn to a tenth of the trials: beyond it the
    unbiased estimator has too few disjoint samples. The band covers 95 % of bootstrap resamples of the trials.
    """
    if budget not in ("trials", "seconds"):
        raise ValueError(f"expected_best: budget must be trials or seconds, got {budget!r}")
    trials = usable(table)
    rows = []
    for (task, variant), group in trials.groupby(["task", "variant"]):
        budgets = search_budgets(len(group))
        score, validation = group["score"].to_numpy(), group["validation_loss"].to_numpy()
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(group), size=(resamples, len(group)))
        ranked = score[ranking(validation)]
        weights = np.array([best_weights(len(group), int(n)) for n in budgets])
        if len(group) >= FEWEST_IN_A_BAND:
            band = np.quantile(ranked[np.sort(drawn, axis=1)] @ weights.T, (0.025, 0.975), axis=0)
        else:
            band = np.full((2, len(budgets)), np.nan)
        unit = 1.0 if budget == "trials" else float(group["seconds"].mean())
        columns = {"n": budgets, "x": budgets * unit, "y": weights @ ranked, "low": band[0], "high": band[1]}
        rows.append(pd.DataFrame({"task": task, "variant": variant, **columns}))
    return _by_task(
        table,
        design,
        rows,
        x_label="trials in the search" if budget == "trials" else "seconds spent on the search",
        y_label="expected best score",
        x_log=budget == "seconds",
        y_limits=(-0.02, 1.04),
        markers=True,
    )


# Categories
# --------------------------------------------------------------------------------------------------------------


@styled
def boxes(table: pd.DataFrame, design: Design) -> Drawn:
    """Test losses of all trials and of the best decile by validation, as figure 3 of Greff et al. 2017.

    Box: quartiles; whiskers: range; line: median; diamond: geometric mean; bar behind: mean number of parameters of the
    best decile.
    Every trial is a dot: filled if solved, hollow if not, a cross if it diverged. Trials without any loss stand at the
    right edge and count as worse than all others.
    """
    trials = usable(table)
    numbers = cells(table, design)
    variants, tasks = order(table, design, "variant"), order(table, design, "task")
    row_height = 0.29
    figure = new_figure(style.WIDTH, len(tasks) * (row_height * len(variants) + 0.75) + 0.1)
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharey="row")
    heaviest = {
        t: np.nanmax([1.0, *group["decile_parameters"].dropna()])
        for t, group in numbers.groupby("task")
        if "decile_parameters" in group
    }
    collected = []
    for row, task in enumerate(tasks):
        group = trials[trials["task"] == task]
        everything = losses_of(group["test_loss"])
        finite = everything[np.isfinite(everything)]
        for column, subset in enumerate(("all trials", "best decile")):
            axes = grid[row, column]
            chosen = {}
            for variant in variants:
                own = group[group["variant"] == variant]
                chosen[variant] = own if subset == "all trials" else own.iloc[best_decile(own["validation_loss"])]
            shown = pd.concat(chosen.values())
            losses = losses_of(shown["test_loss"])
            inside = (
                losses[np.isfinite(losses)]
                if np.isfinite(losses).any()
                else finite
                if len(finite)
                else np.array([0.1, 1.0])
            )
            low, high = inside.min(), inside.max()
            span = max(np.log(high / low), 0.5)
            edge = high * np.exp(0.09 * span)
            lost = bool(np.isinf(losses).any())
            axes.set_xscale("log")
            axes.set_xlim(low * np.exp(-0.05 * span), edge * np.exp((0.06 if lost else 0.0) * span))
            axes.grid(visible=False, axis="y")
            for y, variant in enumerate(variants):
                own = chosen[variant]
                cell = numbers[(numbers["task"] == task) & (numbers["variant"] == variant)].iloc[0]
                if not len(own):
                    axes.text(
                        0.5,
                        y,
                        "no trials",
                        transform=axes.get_yaxis_transform(),
                        ha="center",
                        va="center",
                        fontsize=6.5,
                        color=GREY,
                    )
                    continue
                if column == 1:
                    width = 0.98 * cell["decile_parameters"] / heaviest[task]
                    axes.barh(y, width, height=0.94, color=SHADE, zorder=0, transform=axes.get_yaxis_transform())
                values = np.where(np.isinf(losses_of(own["test_loss"])), edge, losses_of(own["test_loss"]))
                if len(own) >= FEWEST_IN_A_BOX:
                    _box(axes, values, y, look(variant).colour)
                _strip(axes, own, values, y, look(variant))
                collected.append(
                    own[["task", "variant", "point", "status", "test_loss"]].assign(
                        subset=subset, decile_parameters=cell["decile_parameters"]
                    )
                )
            log_ticks(axes.xaxis, most=edge * np.exp(-0.1 * span) if lost else np.inf)
            if lost:
                axes.axvline(edge, color=GREY, lw=0.5, zorder=1)
                where = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top"}
                axes.text(edge, -0.03 / (row_height * len(variants)), "no\nloss", fontsize=6, color=GREY, **where)
            if len(group):
                facts = group.iloc[0]
                level_line(axes, facts["floor"], "floor", along="x")
                level_line(axes, facts["solved_loss"], "solved", along="x")
            axes.set_title(f"{task}, {subset}", pad=12)
            axes.set_xlabel("test loss")
            axes.set_ylim(len(variants) - 0.5, -0.5)
            axes.set_yticks([])
            if column == 0:
                row_names(axes, numbers[numbers["task"] == task], variants)
            else:
                _row_parameters(axes, numbers[numbers["task"] == task], variants)
    columns = ["task", "variant", "subset", "point", "status", "test_loss", "decile_parameters"]
    data = pd.concat(collected, ignore_index=True)[columns] if collected else pd.DataFrame(columns=columns)
    return Drawn(figure, data)


def _box(axes: Axes, values: np.ndarray, y: float, colour: str) -> None:
    q1, median, q3 = _quantiles(values, (0.25, 0.5, 0.75))
    box = {
        "whislo": values.min(),
        "q1": q1,
        "med": median,
        "q3": q3,
        "whishi": values.max(),
        "mean": np.exp(np.log(values).mean()),
    }
    axes.bxp(
        [box],
        positions=[y],
        widths=0.62,
        orientation="horizontal",
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.28, "edgecolor": colour, "linewidth": 0.8},
        whiskerprops={"color": colour, "linewidth": 0.8},
        capprops={"color": colour, "linewidth": 0.8},
        medianprops={"color": readable(colour), "linewidth": 1.8},
        meanprops={
            "marker": "D",
            "markersize": 3.4,
            "markerfacecolor": "white",
            "markeredgecolor": style.INK,
            "markeredgewidth": 0.7,
        },
        zorder=2.5,
    )


def _strip(axes: Axes, own: pd.DataFrame, values: np.ndarray, y: float, style_of: style.Look) -> None:
    """All trials as dots around a row, spread by the golden ratio so that the drawing is the same every time."""
    heights = y + 0.5 * ((np.arange(len(own)) * 0.6180339887 + 0.5) % 1 - 0.5)
    status = own["status"].to_numpy()
    size = 7 if len(own) <= 60 else 3.5
    common = {"zorder": 3, "linewidths": 0.5, "rasterized": len(own) > 300, "alpha": 0.75}
    solved, crossed = status == "solved", status == "diverged"
    hollow = ~solved & ~crossed
    axes.scatter(
        values[solved],
        heights[solved],
        s=size,
        color=style_of.colour,
        edgecolors="white",
        **{**common, "linewidths": 0.2},
    )
    axes.scatter(values[hollow], heights[hollow], s=size, facecolors="none", edgecolors=style_of.colour, **common)
    axes.scatter(values[crossed], heights[crossed], s=size * 1.3, marker="x", color=style_of.colour, **common)


def _row_parameters(axes: Axes, numbers: pd.DataFrame, variants: Sequence[str]) -> None:
    """Mean parameters of the best decile right of the rows."""
    facts = numbers.set_index("variant")
    place = {"xycoords": "axes fraction", "xytext": (0, 11), "textcoords": "offset points"}
    axes.annotate("parameters", (1.0, 1.0), fontsize=6, color=GREY, va="bottom", **place)
    for y, variant in enumerate(variants):
        text = short(facts.loc[variant].get("decile_parameters", np.nan))
        axes.text(1.01, y, text, transform=axes.get_yaxis_transform(), fontsize=6.5, color=GREY, va="center")


@styled
def heat_map(table: pd.DataFrame, design: Design) -> Drawn:
    """Solve rate and mean score of the best decile, variants down and tasks across; the small print is solved / N and
    the diverged.
    """
    from matplotlib import colormaps

    numbers = cells(table, design)
    variants, tasks = order(table, design, "variant"), order(table, design, "task")
    numbers = numbers.reindex(columns=[*numbers.columns, *({"decile_score"} - set(numbers.columns))])
    name_width, cell_width = 1.35, min(0.95, (style.WIDTH - 1.6) / (2 * len(tasks)))
    tilt = cell_width < 0.85
    height = 0.31 * len(variants) + (1.05 if tilt else 0.6) + 0.2
    figure = new_figure(max(4.2, name_width + 2 * cell_width * len(tasks) + 0.3), height)
    grid = figure.subplots(1, 2, squeeze=False, sharey=True)
    shading = colormaps["cividis"]
    for axes, (column, title) in zip(
        grid.flat, (("solve_rate", "solve rate"), ("decile_score", "score, best decile")), strict=True
    ):
        values = (
            numbers.pivot(index="variant", columns="task", values=column)
            .reindex(index=variants, columns=tasks)
            .to_numpy(dtype=float)
        )
        axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for y, variant in enumerate(variants):
            for x, task in enumerate(tasks):
                cell = numbers[(numbers["variant"] == variant) & (numbers["task"] == task)].iloc[0]
                value = values[y, x]
                if not np.isfinite(value):
                    text = f"failed {cell['failed']}" if cell["failed"] else "–"
                    axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=GREY)
                    continue
                luminance = np.dot(shading(value)[:3], [0.299, 0.587, 0.114])
                ink = "white" if luminance < 0.52 else "black"
                head = f"{100 * value:.0f} %" if column == "solve_rate" else f"{value:.2f}"
                axes.text(x, y - 0.17, head, ha="center", va="center", fontsize=7.5, color=ink)
                foot = f"{cell['solved']}/{cell['trials']}" if column == "solve_rate" else f"{cell['diverged']} div."
                axes.text(x, y + 0.27, foot, ha="center", va="center", fontsize=5.8, color=ink)
        axes.set_title(title)
        axes.set_xticks(
            range(len(tasks)),
            tasks,
            rotation=35 if tilt else 0,
            ha="right" if tilt else "center",
            rotation_mode="anchor",
        )
        axes.set_yticks(range(len(variants)), variants)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_facecolor("#f6f6f6")
        for spine in axes.spines.values():
            spine.set_visible(False)
    columns = [
        "task",
        "variant",
        "trials",
        "solved",
        "diverged",
        "failed",
        "solve_rate",
        "solve_low",
        "solve_high",
        "decile_score",
    ]
    return Drawn(figure, numbers[columns])


# Comparison
# ---------------------------------------------------------------------------------------------------------------


@styled
def forest(table: pd.DataFrame, design: Design, comparisons: pd.DataFrame) -> Drawn:
    """Differences to the baseline in the primary endpoint of each task, with simultaneous 95 % intervals; a panel per
    task.

    comparisons: of `analysis.tables.comparisons`. Filled marks: significant. Better is to the right in every panel.
    """
    numbers = cells(table, design)
    data = comparisons[comparisons["primary"]]
    tasks = [t for t in order(table, design, "task") if t in set(data["task"])]
    if not tasks:
        return Drawn(empty("no variant to compare with a baseline"), data)
    rows = {
        t: [v for v in order(table, design, "variant") if v in set(data.loc[data["task"] == t, "variant"])]
        for t in tasks
    }
    row_height, stops = 0.29, (6, 88, 118)  # inches; points right of the axes
    heights = [row_height * len(rows[t]) + 0.85 for t in tasks]
    figure = new_figure(style.WIDTH, sum(heights) + 0.1)
    grid = figure.subplots(len(tasks), 1, squeeze=False, height_ratios=heights)
    for axes, task in zip(grid.flat, tasks, strict=True):
        own = data[data["task"] == task].set_index("variant").loc[rows[task]]
        endpoint = ENDPOINTS[own["endpoint"].iloc[0]]
        scale, form, unit = units(endpoint)
        baseline = numbers[(numbers["task"] == task) & (numbers["variant"] == own["baseline"].iloc[0])].iloc[0]
        inferred = own["low"].notna().any()
        for y, (variant, row) in enumerate(own.iterrows()):
            mark = look(str(variant))
            if inferred:
                axes.plot(
                    [scale * row["low"], scale * row["high"]],
                    [y, y],
                    color=mark.colour,
                    lw=1.6,
                    solid_capstyle="butt",
                    zorder=2.5,
                )
            fill = mark.colour if row["significant"] else "white"
            axes.plot(
                scale * row["difference"],
                y,
                ls="none",
                marker=mark.marker,
                ms=5.5,
                mfc=fill,
                mec=mark.colour,
                mew=1.1,
                zorder=3,
            )
            for x, text in list(zip(stops, forest_texts(row, scale, form), strict=True))[: 3 if inferred else 1]:
                where = {
                    "xycoords": ("axes fraction", "data"),
                    "xytext": (x, 0),
                    "textcoords": "offset points",
                    "va": "center",
                }
                axes.annotate(text, (1, y), fontsize=6.5, color=style.INK, **where)
        axes.axvline(0, color=style.INK, lw=0.9, zorder=1.5)
        seen = np.abs(scale * own[["low", "high", "difference"]].to_numpy(dtype=float))
        reach = 1.08 * max([*seen[np.isfinite(seen)], 0.0]) or 1.0
        axes.set_xlim(*((reach, -reach) if endpoint.lower_is_better else (-reach, reach)))
        axes.set_ylim(len(own) - 0.5, -0.5)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        heads = ("difference [95 % interval]", "p, Holm", "Greff's p") if inferred else ("difference",)
        for x, text in zip(stops, heads, strict=False):
            axes.annotate(
                text,
                (1, 1),
                xycoords="axes fraction",
                xytext=(x, 3),
                textcoords="offset points",
                fontsize=6,
                color=GREY,
            )
        value = f"{format(scale * own['reference'].iloc[0], form)}{unit}"
        axes.set_title(f"{task}: {baseline['variant']} {value}", pad=5)
        measure = f"{endpoint.title}{', percentage points' if unit == ' %' else ''}"
        axes.set_xlabel(f"← worse    difference in {measure}    better →", fontsize=7)
        text = f"{baseline['variant']}: {counts_text(baseline)}"
        where = {
            "xycoords": "axes fraction",
            "xytext": (-5, -16),
            "textcoords": "offset points",
            "ha": "right",
            "va": "top",
        }
        axes.annotate(text, (0, 0), fontsize=5.8, color=GREY, **where)
        row_names(axes, numbers[numbers["task"] == task], rows[task])
    return Drawn(figure, data)


def units(endpoint: Endpoint) -> tuple[float, str, str]:
    """Factor, format and unit in which an endpoint is written."""
    if endpoint.name == "solve_rate":
        return 100.0, ".0f", " %"
    return (1.0, ",.0f", " steps") if endpoint.unit == "steps" else (1.0, ".2f", "")


def forest_texts(row: pd.Series, scale: float, form: str) -> tuple[str, str, str]:
    """Difference with its interval, adjusted p-value, and Greff's where the row has one, as they stand beside a row."""
    signed = f"+{form}"
    text = format(scale * row["difference"], signed)
    if np.isfinite(row["low"]):
        text += f" [{format(scale * row['low'], signed)}, {format(scale * row['high'], signed)}]"
    return text.replace("-", "−"), _p_text(row["p_holm"]), _p_text(row.get("greff_welch_p", np.nan))


def _p_text(p: float) -> str:
    if not np.isfinite(p):
        return "–"
    return "<.001" if p < 0.001 else f"{p:.3f}"[1:] if p < 0.9995 else "1"


@styled
def solve_curves(table: pd.DataFrame, design: Design) -> Drawn:
    """Share of trials that have solved the task against training steps, with pointwise 95 % Wilson bands.

    Diverged trials never solve it; none is dropped before the budget ends, so the shares are plain proportions.
    """
    trials = usable(table)
    rows = []
    for task, own in trials.groupby("task"):
        steps = _grid(own)
        steps = steps[steps > 0]
        for variant, group in own.groupby("variant"):
            solved = np.sort(group["solved_step"].dropna().to_numpy())
            upto = np.searchsorted(solved, steps, side="right")
            band = np.array([wilson(int(k), len(group)) if k else (np.nan, np.nan) for k in upto]).reshape(-1, 2)
            if len(group) < FEWEST_IN_A_BAND:
                band = np.full(band.shape, np.nan)
            columns = {"x": steps, "y": upto / len(group), "low": band[:, 0], "high": band[:, 1]}
            rows.append(pd.DataFrame({"task": task, "variant": variant, **columns}))
    highest = max([0.1, *(np.nanmax([r["y"].max(), r["high"].max()]) for r in rows if len(r))])
    limits = (-0.02 * highest, 1.04 * min(1.0, 1.05 * highest))
    return _by_task(
        table, design, rows, x_label="training steps", y_label="share solved", x_log=True, y_limits=limits, steps=True
    )


@styled
def performance_profiles(table: pd.DataFrame, design: Design) -> Drawn:
    """Share of trials whose test score reaches a threshold, against the threshold, with pointwise 95 % Wilson bands."""
    thresholds = np.linspace(0, 1, 51)
    rows = []
    for (task, variant), group in usable(table).groupby(["task", "variant"]):
        shares = performance_profile(group["score"], thresholds)
        band = np.array([wilson(round(share * len(group)), len(group)) for share in shares])
        if len(group) < FEWEST_IN_A_BAND:
            band = np.full(band.shape, np.nan)
        columns = {"x": thresholds, "y": shares, "low": band[:, 0], "high": band[:, 1]}
        rows.append(pd.DataFrame({"task": task, "variant": variant, **columns}))
    return _by_task(
        table, design, rows, x_label="score τ", y_label="share of trials with score ≥ τ", y_limits=(-0.02, 1.04)
    )


def _by_task(table: pd.DataFrame, design: Design, rows: list[pd.DataFrame], **kwargs: Any) -> Drawn:
    """Families of curves, a panel per task."""
    variants = order(table, design, "variant")
    data = (
        _in_order(pd.concat(rows), variants)
        if rows
        else pd.DataFrame(columns=["task", "variant", "x", "y", "low", "high"])
    )
    tasks = [t for t in order(table, design, "task") if t in set(data["task"])]
    return draw_curves(data, [Panel({"task": t}, t) for t in tasks], cells(table, design), variants, **kwargs)


# Trials
# -------------------------------------------------------------------------------------------------------------------


def _is_log(design: Design, name: str, values: pd.Series) -> bool:
    node = (design.get("space") or {}).get(name) or {}
    return bool(node.get("log")) and not node.get("complement") and bool((values > 0).all())


@styled
def hyperparameters(table: pd.DataFrame, design: Design) -> Drawn:
    """Score of every trial against every hyperparameter: is the box wide enough?

    Grey: all trials of all variants. Coloured: the best decile of each variant. Shaded: the outer tenths of the range,
    with the share of the best trials that lie in them; 10 % are expected of a hyperparameter without influence.
    """
    trials, numbers = usable(table), cells(table, design)
    names = [n for n in (design.get("space") or {}) if n in table]
    tasks = [t for t in order(table, design, "task") if t in set(trials["task"])]
    variants = [v for v in order(table, design, "variant") if v in set(trials["variant"])]
    columns = ["task", "variant", "point", "hyperparameter", "value", "score", "best_decile"]
    if not names or not tasks:
        return Drawn(empty("no trials yet"), pd.DataFrame(columns=columns))
    across = len(names)
    figure = new_figure(style.WIDTH, len(tasks) * 2.05 + 0.2 + 0.16 * -(-len(variants) // 5))
    grid = figure.subplots(len(tasks), across, squeeze=False, sharey=True)
    collected = []
    for row, task in enumerate(tasks):
        own = trials[trials["task"] == task]
        best = pd.concat([g.iloc[best_decile(g["validation_loss"])] for _, g in own.groupby("variant")])
        for column, name in enumerate(names):
            axes = grid[row, column]
            log = _is_log(design, name, table[name])
            axes.set_xscale("log" if log else "linear")
            axes.scatter(own[name], own["score"], s=3, color="#b5b5b5", lw=0, zorder=2, rasterized=len(own) > 500)
            for variant in variants:
                mine = best[best["variant"] == variant]
                mark = look(variant)
                axes.scatter(
                    mine[name],
                    mine["score"],
                    s=13,
                    marker=mark.marker,
                    color=mark.colour,
                    edgecolors="white",
                    linewidths=0.3,
                    zorder=3,
                )
            low, high = _range(design, name, table[name])
            to = np.log if log else np.asarray
            inner = [float(to(low) + share * (to(high) - to(low))) for share in (0.1, 0.9)]
            inner = [float(np.exp(x)) if log else x for x in inner]
            for start, end, share, ha, at in (
                (low, inner[0], (best[name] <= inner[0]).mean(), "left", low),
                (inner[1], high, (best[name] >= inner[1]).mean(), "right", high),
            ):
                axes.axvspan(start, end, color=SHADE, lw=0, zorder=0.5)
                axes.text(at, 1.1, f"{100 * share:.0f} %", fontsize=6.5, color=GREY, ha=ha, va="center")
            axes.set_xlim(low, high)
            axes.margins(x=0)
            axes.set_ylim(-0.04, 1.17)
            axes.set_yticks([0, 0.5, 1])
            axes.set_xlabel(name.replace("_", " "))
            if log:
                log_ticks(axes.xaxis, few=across > 3)
            if column == 0:
                axes.set_title(task)
                axes.set_ylabel("score")
                note_pooled(axes, numbers[numbers["task"] == task])
            marks = own[["task", "variant", "point", "score"]].assign(
                hyperparameter=name, value=own[name], best_decile=own.index.isin(best.index)
            )
            collected.append(marks)
    marker_legend(figure, variants)
    return Drawn(figure, pd.concat(collected, ignore_index=True)[columns])


def _range(design: Design, name: str, values: pd.Series) -> tuple[float, float]:
    """Smallest and largest value of a hyperparameter: as the design says, else as seen."""
    node = (design.get("space") or {}).get(name)
    if node is None:
        return float(values.min()), float(values.max())
    low, high = float(node["low"]), float(node["high"])
    return (1 - high, 1 - low) if node.get("complement") else (low, high)


@styled
def trade_off(table: pd.DataFrame, design: Design) -> Drawn:
    """Score of every trial against its parameters and its seconds, with the Pareto front over all variants.

    The front runs through the trials that no cheaper trial equals; it is chosen by the test score itself, so it
    flatters its trials.
    """
    trials, numbers = usable(table), cells(table, design)
    tasks = [t for t in order(table, design, "task") if t in set(trials["task"])]
    variants = [v for v in order(table, design, "variant") if v in set(trials["variant"])]
    columns = ["task", "variant", "point", "cost", "value", "score", "front"]
    if not tasks:
        return Drawn(empty("no trials yet"), pd.DataFrame(columns=columns))
    figure = new_figure(style.WIDTH, len(tasks) * 2.35 + 0.2 + 0.16 * -(-len(variants) // 5))
    grid = figure.subplots(len(tasks), 2, squeeze=False, sharey=True)
    collected = []
    for row, task in enumerate(tasks):
        own = trials[trials["task"] == task]
        for axes, cost in zip(grid[row], ("parameters", "seconds"), strict=True):
            on_front = pareto(own[cost].to_numpy(), own["score"].to_numpy())
            front = own[on_front].sort_values(cost)
            axes.set_xscale("log")
            axes.step(front[cost], front["score"], where="post", color=GREY, lw=1.0, zorder=2)
            for variant in variants:
                mark = look(variant)
                for chosen, size, alpha, edge in ((~on_front, 9, 0.45, "none"), (on_front, 24, 1.0, style.INK)):
                    mine = own[chosen & (own["variant"] == variant).to_numpy()]
                    looks = {
                        "marker": mark.marker,
                        "color": mark.colour,
                        "edgecolors": edge,
                        "linewidths": 0.6,
                        "alpha": alpha,
                    }
                    axes.scatter(
                        mine[cost], mine["score"], s=size, zorder=3 + (size > 9), rasterized=len(own) > 500, **looks
                    )
            axes.set_ylim(-0.04, 1.06)
            axes.set_title(f"{task}, {cost}")
            axes.set_xlabel(f"{cost} (trained values)" if cost == "parameters" else "seconds of the trial")
            log_ticks(axes.xaxis)
            note_pooled(axes, numbers[numbers["task"] == task])
            collected.append(
                own[["task", "variant", "point", "score"]].assign(cost=cost, value=own[cost], front=on_front)
            )
        grid[row, 0].set_ylabel("score")
    marker_legend(figure, variants)
    return Drawn(figure, pd.concat(collected, ignore_index=True)[columns])


def pareto(cost: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Which trials no other beats in cost and score, of equals the first; only scores above .05 count [P]."""
    front = np.zeros(len(cost), dtype=bool)
    best = 0.05
    for k in np.lexsort((-score, cost)):
        if score[k] > best:
            front[k], best = True, score[k]
    return front
