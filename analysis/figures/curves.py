"""Families of curves with bands: all variants in one panel, or a panel for each variant where there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .choice import Line, by_variant, tasks_in, variants_in
from .entry import MOST_CURVES
from .look import GREY, PALE, RC, WIDTH, look, new_figure
from .pieces import counts_text, empty, label_ends, level_lines, log_ticks, note_above, note_counts, readable, stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

FEWEST_IN_A_BAND = 10  # trials, for a band of resamples or proportions
COLUMNS = ("x", "y", "low", "high")
_ACROSS = 4  # panels side by side where each variant has its own
_HIGHEST = 1e30  # stands for an infinite upper end of a band


class CurveLook(NamedTuple):
    """How curves are drawn: labels and scales of the axes, as steps or lines, with or without markers.

    whole: whether the places on the x axis are whole numbers.
    """

    x_label: str
    y_label: str
    x_log: bool = False
    y_log: bool = False
    steps: bool = False
    markers: bool = False
    whole: bool = False

    @property
    def drawstyle(self) -> str:
        """The name that matplotlib has for steps or lines."""
        return "steps-post" if self.steps else "default"


class Curves(NamedTuple):
    """The numbers of a figure of curves.

    data: one row per place on a curve: task, variant, x, y, and the ends low and high of the band; a column `subset`
        where a task has several panels.
    counts: the summary of the study.
    tasks, variants: those that have curves, in the order of the study.
    limits: by task, the ends of the y axis.
    levels: by task, horizontal lines with their names.
    subsets: of each task, a panel each; empty for one panel without a name.
    looks: by task, how its curves are drawn where that is not as in the rest of the figure.
    """

    data: pd.DataFrame
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]
    limits: Mapping[str, tuple[float, float]]
    levels: Mapping[str, Sequence[Line]] = {}
    subsets: tuple[str, ...] = ()
    looks: Mapping[str, CurveLook] = {}

    @property
    def panels(self) -> list[tuple[str, str, pd.DataFrame]]:
        """Task, title and rows of each family of curves."""
        found = []
        for task in self.tasks:
            own = self.data[self.data["task"] == task]
            found += [(task, f"{task}, {name}", own[own["subset"] == name]) for name in self.subsets] or [
                (task, task, own)
            ]
        return found


def curves_of(
    study: Study,
    parts: Sequence[pd.DataFrame],
    limits: tuple[float, float] | Mapping[str, tuple[float, float]],
    **more: Any,
) -> Curves:
    """Return the numbers of a figure of curves from those of each curve.

    study: the study.
    parts: one table for each curve, see `Curves.data`.
    limits: ends of the y axis, of all tasks or by task.
    more: other fields of `Curves`.
    """
    data = (
        by_variant(pd.concat(parts), study.variants) if parts else pd.DataFrame(columns=["task", "variant", *COLUMNS])
    )
    tasks = tasks_in(study, data)
    by_task = limits if isinstance(limits, Mapping) else dict.fromkeys(tasks, limits)
    return Curves(data, study.summary, tasks, variants_in(study, data), by_task, **more)


def curve(task: str, variant: str, x: Any, y: Any, band: np.ndarray, **more: Any) -> pd.DataFrame:
    """Return the table of one curve; band: its lower and upper ends [2, points]."""
    return pd.DataFrame({"task": task, "variant": variant, **more, "x": x, "y": y, "low": band[0], "high": band[1]})


def draw_curves(curves: Curves, looks: CurveLook) -> Figure:
    """Draw up to six variants in shared panels, more in a panel each with the others in grey."""
    if not curves.variants:
        return empty("no trials yet")
    by_task = {task: curves.looks.get(task, looks) for task in curves.tasks}
    return (_a_panel_each if len(curves.variants) > MOST_CURVES else _together)(curves, by_task)


def _together(curves: Curves, by_task: Mapping[str, CurveLook]) -> Figure:
    panels, variants = curves.panels, curves.variants
    columns = min(2, len(panels))
    height = 2.5 if columns == 1 else 2.0
    rows = -(-len(panels) // columns)
    figure = new_figure(WIDTH, rows * (height + 0.55 + 0.115 * len(variants)) + 0.1)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for place, (axes, (task, title, own)) in enumerate(zip(grid.flat, panels, strict=False)):
        looks = by_task[task]
        _scales(axes, looks)
        ends = []
        for variant, one in own.groupby("variant", sort=False):
            colour = look(str(variant)).colour
            end = _line(axes, one, str(variant), looks, in_front=variant == variants[0])
            _band(axes, one, looks, color=colour, alpha=0.1, lw=0)
            _band(axes, one, looks, fc="none", ec=colour, alpha=0.5, lw=0.5)  # the edges keep overlapping bands apart
            ends += [end] if end else []
        _limits(axes, curves.limits.get(task))
        level_lines(axes, curves.levels.get(task, ()), height=height)
        _ticks(axes, looks, few=False)
        axes.set_title(title)
        axes.set_xlabel(looks.x_label)
        label_ends(axes, ends, height)
        note_counts(axes, curves.counts[(curves.counts["task"] == task) & curves.counts["variant"].isin(variants)])
        if place % columns == 0 or curves.looks:
            axes.set_ylabel(looks.y_label)
    return figure


def _a_panel_each(curves: Curves, by_task: Mapping[str, CurveLook]) -> Figure:
    panels, variants = curves.panels, curves.variants
    spots = [(*panel, variant) for panel in panels for variant in variants]
    rows, alone = -(-len(spots) // _ACROSS), len(panels) == 1
    figure = new_figure(WIDTH, rows * (1.15 + 0.42) + (0.3 if alone else 0.1))
    grid = figure.subplots(rows, _ACROSS, squeeze=False, sharex=alone, sharey=alone)
    for axes in grid.flat[len(spots) :]:
        axes.set_axis_off()
    for place, (axes, (task, title, own, variant)) in enumerate(zip(grid.flat, spots, strict=False)):
        first, lowest = place % len(variants) == 0, place + _ACROSS >= len(spots)
        looks = by_task[task]
        _scales(axes, looks)
        _others(axes, own[own["variant"] != variant], looks)
        one = own[own["variant"] == variant]
        if len(one):
            _line(axes, one, variant, looks, in_front=variant == variants[0])
            _band(axes, one, looks, color=look(variant).colour, alpha=0.22, lw=0)
        _limits(axes, curves.limits.get(task))
        note_above(axes)
        lines = curves.levels.get(task, ())
        apart = alone and stacked(lines)  # their names stand beside the title
        level_lines(axes, lines if first and not apart else [Line(value, "") for value, _ in lines], height=1.15)
        _ticks(axes, looks, few=True)
        if alone:
            axes.tick_params(labelbottom=lowest, labelleft=place % _ACROSS == 0)
        axes.set_title(variant, fontsize=7.5, color=readable(look(variant).colour), pad=3)
        if first and not alone:
            axes.set_title(f"{title}\n{variant}", fontsize=7.5, pad=3)
        _note(axes, curves.counts, task, variant, below=15 if lowest or not alone else 4)
        axes.tick_params(labelsize=6.5)
    if alone:
        figure.suptitle(panels[0][1], x=0.01, ha="left", fontsize=RC["axes.titlesize"], fontweight="bold")
        lines = curves.levels.get(panels[0][0], ())
        if stacked(lines):
            names = "; ".join(line.name for line in sorted(lines, reverse=True))
            figure.text(0.99, 0.98, f"dotted, from the top: {names}", fontsize=6, color=GREY, ha="right", va="top")
    looks = by_task[panels[0][0]]
    figure.supxlabel(looks.x_label, fontsize=8)
    figure.supylabel(looks.y_label, fontsize=8)
    return figure


def _scales(axes: Axes, looks: CurveLook) -> None:
    axes.set_xscale("log" if looks.x_log else "linear")
    axes.set_yscale("log" if looks.y_log else "linear")


def _line(
    axes: Axes, one: pd.DataFrame, variant: str, looks: CurveLook, *, in_front: bool
) -> tuple[str, float, float] | None:
    """Draw a curve; returns its name and its last place, None where nothing of it is finite."""
    finite, own = one[np.isfinite(one["y"])], look(variant)
    axes.plot(
        finite["x"],
        finite["y"],
        color=own.colour,
        ls=own.dash,
        zorder=3.5 if in_front else 3,
        marker=own.marker if looks.markers or len(finite) == 1 else None,
        markevery=max(1, len(finite) // 8),
        drawstyle=looks.drawstyle,
    )
    return (variant, float(finite["x"].iloc[-1]), float(finite["y"].iloc[-1])) if len(finite) else None


def _band(axes: Axes, one: pd.DataFrame, looks: CurveLook, **fill: Any) -> None:
    if one["low"].notna().any():
        high = np.where(np.isposinf(one["high"]), _HIGHEST, one["high"])
        axes.fill_between(one["x"], one["low"], high, zorder=2, step="post" if looks.steps else None, **fill)


def _others(axes: Axes, others: pd.DataFrame, looks: CurveLook) -> None:
    """Draw the curves of the other variants in grey, as one line with gaps: that is faster than nineteen lines."""
    gaps = others.groupby("variant", sort=False).tail(1).assign(y=np.nan)
    line = pd.concat([others, gaps]).sort_values("variant", kind="stable")
    line.loc[~np.isfinite(line["y"]), "y"] = np.nan
    axes.plot(line["x"], line["y"], color=PALE, lw=0.7, zorder=1, drawstyle=looks.drawstyle)


def _limits(axes: Axes, limits: tuple[float, float] | None) -> None:
    if limits:
        axes.set_ylim(*limits)
    axes.margins(x=0.02)
    axes.autoscale_view(scaley=False)


def _ticks(axes: Axes, looks: CurveLook, *, few: bool) -> None:
    if looks.x_log:
        log_ticks(axes.xaxis, few=few)
    if looks.whole and not looks.x_log:
        axes.locator_params(axis="x", integer=True)
    if looks.y_log:
        log_ticks(axes.yaxis, few=few)


def _note(axes: Axes, counts: pd.DataFrame, task: str, variant: str, below: float) -> None:
    """Write N, solved and diverged of one variant under its panel, in two lines."""
    row = counts[(counts["variant"] == variant) & (counts["task"] == task)].to_dict("records")
    text = counts_text(row[0]).replace(", diverged", ",\ndiverged") if row else ""
    where: dict[str, Any] = {
        "xycoords": "axes fraction",
        "xytext": (0, -below),
        "textcoords": "offset points",
        "va": "top",
    }
    axes.annotate(text, (0, 0), fontsize=6, color=GREY, **where)
