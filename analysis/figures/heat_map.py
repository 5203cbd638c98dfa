"""Solve rates and scores of all variants on all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

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
    "trials below. A dash marks a pair without trials."
)
COLUMNS = [
    *("task", "variant", "trials", "solved", "diverged", "failed", "solve_rate", "solve_low", "solve_high"),
    "decile_score",
]


class Numbers(NamedTuple):
    """The numbers of the figure: the summary of each pair, with tasks from left and variants from the top."""

    data: pd.DataFrame
    tasks: list[str]
    variants: list[str]


def numbers(study: Study) -> Numbers:
    """Return counts, solve rate and score of the best decile of each task and variant."""
    return Numbers(study.summary.reindex(columns=COLUMNS), study.tasks, study.variants)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw two heat maps: solve rates left, scores right."""
    data, tasks, variants = numbers
    width = min(0.95, (WIDTH - 1.6) / (2 * len(tasks)))
    tilt = width < 0.85
    height = 0.31 * len(variants) + (1.05 if tilt else 0.6) + 0.2
    figure = new_figure(max(4.2, 1.35 + 2 * width * len(tasks) + 0.3), height)
    left, right = figure.subplots(1, 2, sharey=True)
    _heat_map(left, numbers, "solve_rate", [_solve_texts(row) for row in data.to_dict("records")])
    _heat_map(right, numbers, "decile_score", [_score_texts(row) for row in data.to_dict("records")])
    for axes, title in ((left, "solve rate"), (right, "score, best decile")):
        angle, side = (35, "right") if tilt else (0, "center")
        axes.set_title(title)
        axes.set_xticks(range(len(tasks)), tasks, rotation=angle, ha=side, rotation_mode="anchor")
        axes.set_yticks(range(len(variants)), variants)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_facecolor("#f6f6f6")
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _solve_texts(row: Mapping[Any, Any]) -> tuple[str, str]:
    return f"{100 * row['solve_rate']:.0f} %", f"{row['solved']}/{row['trials']}"


def _score_texts(row: Mapping[Any, Any]) -> tuple[str, str]:
    return f"{row['decile_score']:.2f}", f"{row['diverged']} div."


def _heat_map(axes: Axes, numbers: Numbers, column: str, texts: list[tuple[str, str]]) -> None:
    """Draw one column of the summary; texts: what stands in each pair, a large line and a small one."""
    from matplotlib import colormaps

    data, tasks, variants = numbers
    wide = data.pivot(index="variant", columns="task", values=column).reindex(index=variants, columns=tasks)
    axes.imshow(np.ma.masked_invalid(wide.to_numpy(dtype=float)), vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for row, (head, foot) in zip(data.to_dict("records"), texts, strict=True):
        x, y, value = tasks.index(row["task"]), variants.index(row["variant"]), row[column]
        if not np.isfinite(value):
            text = f"failed {row['failed']}" if row["failed"] else "–"
            axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=GREY)
            continue
        ink = ink_on(colormaps["cividis"](value))
        axes.text(x, y - 0.17, head, ha="center", va="center", fontsize=7.5, color=ink)
        axes.text(x, y + 0.27, foot, ha="center", va="center", fontsize=5.8, color=ink)


FIGURE = Entry("heat_map", TITLE, CAPTION, numbers, draw)
