"""Curves with bands, a panel for each variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import Line, by_variant, tasks_in, variants_in
from .look import BACK, Look, look
from .pieces import counts_text, empty, level_lines, log_ticks, names_beside, note_above, note_below
from .small_multiples import Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

FEWEST_IN_A_BAND = 10  # trials, for a band of resamples or proportions
COLUMNS = ("x", "y", "low", "high")
HEIGHT = 1.1  # inches of a panel
ALL, BEST = "all trials", "best decile"  # subsets of the trials
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
        where a variant has two curves: of all trials, which is dashed, and of the best decile.
    counts: the summary of the study.
    tasks, variants: those that have curves, in the order of the study.
    limits: by task, the ends of the y axis.
    levels: by task, horizontal lines with their names.
    looks: by task, how its curves are drawn where that is not as in the rest of the figure.
    nothing: what is written where there is no curve.
    """

    data: pd.DataFrame
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]
    limits: Mapping[str, tuple[float, float]]
    levels: Mapping[str, Sequence[Line]] = {}
    looks: Mapping[str, CurveLook] = {}
    nothing: str = "no trials yet"


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
    """Draw a panel for each variant of each task, with the curve of the first variant in grey behind it."""
    if not curves.variants:
        return empty(curves.nothing)
    levels = {task: [line for line in lines if line.name] for task, lines in curves.levels.items()}
    sheet = Sheet(curves.tasks, curves.variants, HEIGHT, looks.x_label, notes=2, named=any(levels.values()))
    first = curves.variants[0]
    for task in curves.tasks:
        own, look_of_task = curves.data[curves.data["task"] == task], curves.looks.get(task, looks)
        ends = _ends(own["x"])
        for variant in curves.variants:
            axes = sheet.axes(task, variant)
            _scales(axes, look_of_task, ends, curves.limits.get(task))
            if variant != first:
                _line(axes, own[own["variant"] == first], look_of_task, Look(BACK, "o", "-"), lw=1.0, zorder=2.5)
            _own_curve(axes, own[own["variant"] == variant], look_of_task, look(variant))
            note_above(axes)
            level_lines(axes, levels.get(task, ()))
            _ticks(axes, look_of_task)
            if sheet.is_last(variant):
                names_beside(axes, levels.get(task, ()), HEIGHT)
            note_below(axes, _note(curves.counts, task, variant), 15)
        behind = first if len(curves.variants) > 1 else ""
        sheet.frame(task, words.spoken(task), look_of_task.y_label, behind, look_of_task.x_label)
    return sheet.figure


def _ends(x: pd.Series) -> tuple[float, float]:
    """Return the smallest and the largest finite place of all curves of a task."""
    finite = x[np.isfinite(x)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _own_curve(axes: Axes, own: pd.DataFrame, looks: CurveLook, mine: Look) -> None:
    """Draw the curve of a variant with its band, and dashed the median of all trials where there is one."""
    behind = own["subset"] == ALL if "subset" in own else np.zeros(len(own), dtype=bool)
    every, shown = own[behind], own[~behind]
    if len(every):
        _line(axes, every, looks, mine._replace(dash=(0, (2.5, 1.2))), lw=1.0, zorder=2.8)
    _band(axes, shown, looks, mine.colour)
    _line(axes, shown, looks, mine._replace(dash="-"), zorder=3)


def _scales(axes: Axes, looks: CurveLook, ends: tuple[float, float], limits: tuple[float, float] | None) -> None:
    """Give a panel its scales and ranges, which all panels of a task have in common."""
    low, high = ends
    axes.set_xscale("log" if looks.x_log else "linear")
    axes.set_yscale("log" if looks.y_log else "linear")
    if looks.x_log:
        margin = max(high / low, 1.2) ** 0.03
        axes.set_xlim(low / margin, high * margin)
    else:
        margin = 0.03 * ((high - low) or 1.0)
        axes.set_xlim(low - margin, high + margin)
    if limits:
        axes.set_ylim(*limits)


def _line(axes: Axes, one: pd.DataFrame, looks: CurveLook, own: Look, **more: Any) -> None:
    if "subset" in one and own.colour == BACK:
        one = one[one["subset"] != ALL]
    finite = one[np.isfinite(one["y"])]
    axes.plot(
        finite["x"],
        finite["y"],
        color=own.colour,
        ls=own.dash,
        marker=own.marker if (looks.markers and own.colour != BACK) or len(finite) == 1 else None,
        ms=3.5,
        markevery=max(1, len(finite) // 8),
        drawstyle=looks.drawstyle,
        **more,
    )


def _band(axes: Axes, one: pd.DataFrame, looks: CurveLook, colour: str) -> None:
    """Draw a band as a pale area between thin lines."""
    if not one["low"].notna().any():
        return
    high = np.where(np.isposinf(one["high"]), _HIGHEST, one["high"])
    fill: dict[str, Any] = {"step": "post" if looks.steps else None, "alpha": 0.2, "lw": 0, "zorder": 2}
    axes.fill_between(one["x"], one["low"], high, color=colour, **fill)


def _ticks(axes: Axes, looks: CurveLook) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for axis, log, whole in ((axes.xaxis, looks.x_log, looks.whole), (axes.yaxis, looks.y_log, False)):
        if log:
            log_ticks(axis, labels=4)
        else:
            most = 3 if axis is axes.xaxis else 5
            axis.set_major_locator(MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(FuncFormatter(lambda x, _: words.tick(x)))


def _note(counts: pd.DataFrame, task: str, variant: str) -> str:
    """Return what became of the trials of a variant, in two lines."""
    row = counts[(counts["variant"] == variant) & (counts["task"] == task)].to_dict("records")
    return counts_text(row[0]).replace(", ", "\n", 1) if row else ""
