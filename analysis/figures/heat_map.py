"""Solve rates and scores of all variants on all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .entry import Entry
from .look import GREY, WIDTH, new_figure, styled
from .pieces import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Variants and tasks at a glance"
CAPTION = (
    "Left the share of trials that solved the task, with solved / N below; right the mean test score of the best "
    "decile (0: no better than the best model without memory, 1: the solved loss), with the number of diverged "
    "(div.) and, where there are any, exploded (expl.) trials below. A dash marks a pair without trials."
)
OF_LOSSES = (
    "A task without a criterion of success has no solve rate; on the right stands the mean test loss of its best "
    "decile, in the unit of the task, with the colour of the mean score (0: the floor, 1: the reference)."
)
COLUMNS = [
    *("task", "variant", "trials", "solved", "diverged", "failed", "solve_rate", "solve_low", "solve_high"),
    "decile_score",
]


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the summary of each pair.
    tasks, variants: from left, and from the top.
    solvable: the tasks that have a solve rate.
    small: by task and variant, the small text about what became of the trials.
    """

    data: pd.DataFrame
    tasks: list[str]
    variants: list[str]
    solvable: list[str]
    small: Mapping[tuple[str, str], str]


def numbers(study: Study) -> Numbers:
    """Return counts, solve rate and score of the best decile of each task and variant."""
    summary = study.summary
    columns = COLUMNS if summary["solvable"].all() else [*COLUMNS, "decile_loss"]
    small = {(str(row["task"]), str(row["variant"])): _small(row) for row in summary.to_dict("records")}
    solvable = [task for task in study.tasks if study.solvable(task)]
    return Numbers(summary.reindex(columns=columns), study.tasks, study.variants, solvable, small)


def _small(row: Mapping[Any, Any]) -> str:
    exploded = f", {row['exploded']} expl." if row["exploded"] else ""
    return f"{row['diverged']} div.{exploded}"


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw two heat maps: solve rates left, scores right."""
    _, tasks, variants, solvable, _ = numbers
    columns = len(solvable) + len(tasks)
    width = min(0.95, (WIDTH - 1.6) / columns)
    tilt = width < 0.85
    height = 0.31 * len(variants) + (1.05 if tilt else 0.6) + 0.2
    figure = new_figure(max(4.2, 1.35 + width * columns + 0.3), height)
    maps = [("solve_rate", "solve rate", solvable), ("decile_score", _quality(numbers), tasks)]
    maps = [one for one in maps if one[2]]
    ratios = [len(own) for *_, own in maps]
    grid = figure.subplots(1, len(maps), sharey=True, squeeze=False, width_ratios=ratios)
    for axes, (column, title, own) in zip(grid.flat, maps, strict=True):
        angle, side = (35, "right") if tilt else (0, "center")
        _heat_map(axes, numbers, column, own)
        axes.set_title(title)
        axes.set_xticks(range(len(own)), own, rotation=angle, ha=side, rotation_mode="anchor")
        axes.set_yticks(range(len(variants)), variants)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_facecolor("#f6f6f6")
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _solve_texts(row: Mapping[Any, Any]) -> tuple[str, str]:
    return f"{100 * row['solve_rate']:.0f} %", f"{row['solved']}/{row['trials']}"


def _quality(numbers: Numbers) -> str:
    """Return what the texts of the right map are."""
    kinds = ["score"] if numbers.solvable else []
    return f"{' or '.join(kinds + ['test loss'] * (len(numbers.solvable) < len(numbers.tasks)))}, best decile"


def _score_texts(numbers: Numbers, row: Mapping[Any, Any]) -> tuple[str, str]:
    small = numbers.small[row["task"], row["variant"]]
    if row["task"] in numbers.solvable:
        return f"{row['decile_score']:.2f}", small
    return words.number(row["decile_loss"], "loss"), small


def _heat_map(axes: Axes, numbers: Numbers, column: str, tasks: list[str]) -> None:
    """Draw one column of the summary; tasks: from left."""
    from matplotlib import colormaps

    variants, data = numbers.variants, numbers.data[numbers.data["task"].isin(tasks)]
    rows = data.to_dict("records")
    texts = [_solve_texts(row) if column == "solve_rate" else _score_texts(numbers, row) for row in rows]
    wide = data.pivot(index="variant", columns="task", values=column).reindex(index=variants, columns=tasks)
    axes.imshow(np.ma.masked_invalid(wide.to_numpy(dtype=float)), vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for row, (head, foot) in zip(rows, texts, strict=True):
        x, y, value = tasks.index(row["task"]), variants.index(row["variant"]), row[column]
        if not np.isfinite(value):
            text = f"failed {row['failed']}" if row["failed"] else "–"
            axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=GREY)
            continue
        ink = ink_on(colormaps["cividis"](value))
        axes.text(x, y - 0.17, head, ha="center", va="center", fontsize=7.5, color=ink)
        axes.text(x, y + 0.27, foot, ha="center", va="center", fontsize=5.8, color=ink)


FIGURE = Entry("heat_map", TITLE, CAPTION, numbers, draw, of_losses=OF_LOSSES, part="answer")
