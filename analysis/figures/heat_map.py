"""Solve rates and steps to solve of all variants on all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .entry import ANSWER, Entry
from .look import GREY, VALUES, new_figure, page, styled
from .pieces import CHARACTER, LINE, TALLEST, ink_on, room_for, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Variants and tasks at a glance"
CAPTION = (
    "Which variant solves which task, and how fast? The darker a cell, the better. Left the share of trials that "
    "solved the task, with solved / all trials below; right the mean number of training steps until a trial solved "
    "it, where an unsolved trial counts with its whole budget. Compare the rows within a column: a row that is darker"
    " in every column belongs to a variant that is easier to use. Whether a difference is more than chance, the "
    "intervals of the next figures say. A dash: no trials."
)
OF_LOSSES = (
    "A task without a criterion of success has neither; it has a map of its own with the mean test loss of the best "
    "tenth of the trials, lower is better, from the floor (pale) to the reference (dark)."
)
COLUMNS = [
    *("task", "variant", "trials", "solved", "diverged", "failed", "solve_rate", "solve_low", "solve_high"),
    "restricted_steps",
]
NAMES, WIDEST_NAMES, NARROW_NAMES = 2.25, 3.0, 1.18  # inches of the names of the variants
LEAST, MOST, GAP = 0.37, 0.95, 0.25  # inches of a cell, at least and at most, and between two maps


class Map(NamedTuple):
    """One heat map: the column of the summary in its cells, how dark they are [0, 1], its title and its tasks."""

    column: str
    dark: pd.Series
    title: str
    tasks: list[str]


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the summary of each pair.
    tasks, variants: from left, and from the top.
    maps: from left.
    small: by variant, its name in code and how many of its trials diverged.
    series: by task, the series that it is a level of.
    """

    data: pd.DataFrame
    tasks: list[str]
    variants: list[str]
    maps: list[Map]
    small: Mapping[str, str]
    series: Mapping[str, str]


def numbers(study: Study) -> Numbers:
    """Return counts, solve rate and steps to solve, or the loss of the best decile, of each task and variant."""
    summary = study.summary.reindex(columns=list(dict.fromkeys([*study.summary, *COLUMNS])))
    columns = COLUMNS if summary["solvable"].all() else [*COLUMNS, "decile_score", "decile_loss"]
    budgets = summary["task"].map(study.trials.groupby("task")["budget"].max())
    solvable = [task for task in study.tasks if study.solvable(task)]
    others = [task for task in study.tasks if not study.solvable(task)]
    maps = [
        Map("solve_rate", summary["solve_rate"], "solve rate in %", solvable),
        Map(
            "restricted_steps",
            1 - summary["restricted_steps"] / budgets,
            "mean steps to solve (unsolved: whole budget)",
            solvable,
        ),
    ]
    if others:
        maps.append(Map("decile_loss", summary["decile_score"], "mean test loss of the best tenth", others))
    own = {v: summary[summary["variant"] == v] for v in study.variants}
    small = {variant: _small(variant, rows) for variant, rows in own.items()}
    return Numbers(
        summary.reindex(columns=columns),
        study.tasks,
        study.variants,
        [one for one in maps if one.tasks],
        small,
        {task: study.design.series_of(task) for task in study.tasks},
    )


def _small(variant: str, rows: pd.DataFrame) -> str:
    counts = rows[["diverged", "exploded", "failed"]].sum()
    told = [f", {number:.0f} {name}" for name, number in counts.items() if number or name == "diverged"]
    return f"{variant}{''.join(told)}"


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw the maps beside each other, or below each other where their cells would be too narrow."""
    narrow = page().narrow
    longest = max(len(words.spoken(variant)) for variant in numbers.variants)
    names = NARROW_NAMES if narrow else min(max(NAMES, longest * CHARACTER + 0.08), WIDEST_NAMES)
    room = page().width - names - 0.08
    columns = sum(len(one.tasks) for one in numbers.maps)
    beside = (room - GAP * (len(numbers.maps) - 1)) / columns
    if beside >= LEAST:
        lines = [numbers.maps]
        cell = min(beside, MOST)
    else:
        most = int(room / LEAST)
        lines = [[part] for one in numbers.maps for part in _cut(one, most, numbers.series)]
        cell = min(room / max(len(part.tasks) for (part,) in lines), MOST)
    return _Sheet(numbers, lines, names, cell).figure


def _cut(whole: Map, most: int, series: Mapping[str, str]) -> list[Map]:
    """Return a map in as few parts as possible, of about equal width, between series where that is possible.

    most: the largest number of tasks of a part.
    series: that each task is a level of.
    """
    together = [list(tasks) for _, tasks in groupby(whole.tasks, lambda task: series[task])]
    pieces = [tasks[k : k + most] for tasks in together for k in range(0, len(tasks), most)]
    packed = [_packed(pieces, width) for width in range(max(map(len, pieces)), most + 1)]
    return [whole._replace(tasks=tasks) for tasks in min(packed, key=len)]


def _packed(pieces: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Return tasks in parts of at most so many, in their order, with no piece cut."""
    parts: list[list[str]] = [[]]
    for piece in pieces:
        if len(parts[-1]) + len(piece) > width:
            parts.append([])
        parts[-1].extend(piece)
    return parts


class _Sheet:
    """A figure with places for maps, which are computed by hand."""

    def __init__(self, numbers: Numbers, lines: Sequence[Sequence[Map]], names: float, cell: float) -> None:
        self.numbers, self.names, self.cell = numbers, names, cell
        labels = {task: wrapped(task, max(9, room_for(cell - 0.04))) for task in numbers.tasks}
        self.upright = any(room_for(cell) < max(map(len, label.split("\n"))) for label in labels.values())
        if self.upright:
            labels = {task: wrapped(task, 16) for task in numbers.tasks}
        self.labels = labels
        parts = [label.split("\n") for label in labels.values()]
        longest = max(len(line) for part in parts for line in part)
        head = longest * 0.06 if self.upright else LINE * max(map(len, parts))
        self.titles = {id(one): wrap(one.title, room_for(cell * len(one.tasks))) for line in lines for one in line}
        title = LINE * 1.1 * max(map(len, self.titles.values()))
        self.above, self.title = head + title + 0.16, title
        count = len(numbers.variants)
        self.own = [wrapped(variant, room_for(names)) for variant in numbers.variants]
        most = (TALLEST / len(lines) - self.above - 0.1) / count
        most_lines = max(name.count("\n") + 1 for name in self.own)
        wanted = LINE * max(2, most_lines if page().narrow else most_lines + 1) + 0.08
        self.row = wanted if page().narrow else min(wanted, max(most, 0.2))
        self.height = self.above + count * self.row + 0.1
        widest = max(sum(len(one.tasks) for one in line) * cell + GAP * (len(line) - 1) for line in lines)
        self.figure = new_figure(min(page().width, names + widest + 0.08), len(lines) * self.height)
        self.figure.set_layout_engine("none")
        for k, line in enumerate(lines):
            left = names
            for one in line:
                self._map(one, left, k, named=one is line[0])
                left += len(one.tasks) * cell + GAP

    def _map(self, one: Map, left: float, k: int, named: bool) -> None:
        """Draw a map; left: in inches; k: the line it stands in; named: whether the variants stand left of it."""
        across, up = self.figure.get_size_inches()
        count, width = len(self.numbers.variants), self.cell * len(one.tasks)
        top = up - k * self.height - self.above
        low = top - count * self.row
        axes = self.figure.add_axes((left / across, low / up, width / across, count * self.row / up))
        self._cells(axes, one)
        title = "\n".join(self.titles[id(one)])
        self.figure.text(left / across, (top + self.above - 0.03) / up, title, fontweight="bold", va="top")
        for x, task in enumerate(one.tasks):
            looks: dict[str, Any] = {"rotation": 90 if self.upright else 0, "linespacing": 1.0}
            place = (left + (x + 0.5) * self.cell) / across, (top + 0.05) / up
            self.figure.text(*place, self.labels[task], ha="center", va="bottom", **looks)
        if not named:
            return
        two_lines = not page().narrow and self.row >= 0.3
        for y, (variant, name) in enumerate(zip(self.numbers.variants, self.own, strict=True)):
            middle = top - (y + 0.5) * self.row
            where: dict[str, Any] = {"ha": "right", "va": "center", "linespacing": 1.0}
            lift = LINE / 2 if two_lines else 0.0
            self.figure.text((left - 0.07) / across, (middle + lift) / up, name, **where)
            if two_lines:
                small = self.numbers.small[variant]
                below = lift * (name.count("\n") + 1)
                self.figure.text((left - 0.07) / across, (middle - below) / up, small, color=GREY, **where)

    def _cells(self, axes: Axes, one: Map) -> None:
        from matplotlib import colormaps

        numbers = self.numbers
        variants, tasks = numbers.variants, one.tasks
        dark = numbers.data.assign(dark=one.dark).pivot(index="variant", columns="task", values="dark")
        shades = dark.reindex(index=variants, columns=tasks).to_numpy(dtype=float)
        axes.imshow(np.ma.masked_invalid(shades), vmin=0, vmax=1, cmap=VALUES, aspect="auto")
        axes.set_xticks(np.arange(len(tasks) - 1) + 0.5, [])
        axes.set_yticks(np.arange(len(variants) - 1) + 0.5, [])
        axes.grid(color="white", linewidth=1.0)
        axes.set_axisbelow(False)
        axes.tick_params(length=0)
        axes.set_facecolor("#f6f6f6")
        axes.spines[:].set_visible(False)
        for row in numbers.data[numbers.data["task"].isin(tasks)].to_dict("records"):
            x, y = tasks.index(row["task"]), variants.index(row["variant"])
            ink = ink_on(colormaps[VALUES](shades[y, x])) if np.isfinite(shades[y, x]) else GREY
            head, foot = self._texts(row, one.column)
            foot = foot if self.row >= 0.3 and len(foot) <= room_for(self.cell) + 1 else ""
            lift = 0.07 / self.row if foot else 0.0
            axes.text(x, y - lift, head, ha="center", va="center", color=ink, fontweight="bold" if foot else "normal")
            if foot:
                axes.text(x, y + lift, foot, ha="center", va="center", color=ink)

    def _texts(self, row: Mapping[Any, Any], column: str) -> tuple[str, str]:
        """Return the text of a cell, and the second line of it or nothing."""
        value = row[column]
        if not np.isfinite(value):
            return "failed" if row["failed"] else words.NOTHING, ""
        if column == "solve_rate":
            return f"{100 * value:.0f}", f"{row['solved']}/{row['trials']}"
        if column == "restricted_steps":
            return words.count(value) if row["solved"] else "never", ""
        return words.number(value, "loss"), ""


FIGURE = Entry("heat_map", TITLE, CAPTION, numbers, draw, part=ANSWER, of_losses=OF_LOSSES)
