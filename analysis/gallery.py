"""Which figures a report holds, in what order, and what is written under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from . import plots, style
from .draw import MOST_CURVES
from .summary import order

Design = Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """One figure of the report.

    name: of its files. draw: from table and design. caption: what it shows and how to read it.
    rows: height in units of variants or panels for V variants and T tasks; the figure is drawn task by task where it exceeds `most`.
    """

    name: str
    title: str
    draw: Callable[[pd.DataFrame, Design], plots.Drawn]
    caption: str
    rows: Callable[[int, int], int] = lambda variants, tasks: 0
    most: int = 30


@dataclass(frozen=True)
class Shown:
    """A figure that has been drawn and saved."""

    name: str
    title: str
    caption: str
    files: list[Path]
    width: float  # inches

    def file(self, suffix: str) -> Path:
        """The file of a format: svg, pdf, png or csv."""
        return next(path for path in self.files if path.suffix == f".{suffix}")


def _curves(variants: int, tasks: int) -> int:
    return tasks if variants <= MOST_CURVES else 99 * (tasks > 1)


FIGURES: list[Spec] = [
    Spec(
        "boxes",
        "Test loss of all trials and of the best tenth",
        plots.boxes,
        "Left every trial, right the best tenth by validation loss. Boxes: quartiles, with the median as a line and the range as "
        "whiskers; diamonds: geometric means. Dots are trials: filled if solved, hollow if not, crosses if diverged; trials that "
        "diverged before any loss was measured stand at “no loss” and count as worse than all others. Grey bars and the numbers "
        "beside them: mean number of parameters in the best tenth. After figure 3 of Greff et al. 2017.",
        lambda v, t: v * t,
    ),
    Spec(
        "expected_best_trials",
        "Expected best against the number of trials",
        partial(plots.expected_best, budget="trials"),
        "The test score that a random search of n trials can expect when it keeps the trial with the lowest validation loss: an "
        "unbiased estimate over all subsets of n trials, drawn to a tenth of the trials (at least five). Bands: 95 % of bootstrap"
        " resamples, each curve by itself; overlapping bands do not mean equal variants.",
        _curves,
        9,
    ),
    Spec(
        "expected_best_seconds",
        "Expected best against time",
        partial(plots.expected_best, budget="seconds"),
        "The same against the time that the search takes: n times the mean seconds per trial of that variant, on the machine and "
        "engine of the study.",
        _curves,
        9,
    ),
    Spec(
        "heat_map",
        "Variants and tasks at a glance",
        plots.heat_map,
        "Left the share of trials that solved the task, with solved / N below; right the mean test score of the best tenth (0: no"
        " better than the best model without memory, 1: the solved loss), with the number of diverged trials below. A dash marks "
        "a pair without trials.",
    ),
    Spec(
        "learning_curves",
        "Learning curves",
        plots.learning_curves,
        "Validation loss: median over trials, with a band between the quartiles. Trials that stopped keep their last loss; after "
        "divergence a trial counts as infinite. Dotted lines: the loss of the best model without memory, and the loss at which "
        "the score reaches 1 (a task whose criterion is an accuracy can be solved above it). Bands need five trials. With more "
        "than six variants each has a panel, showing the best tenth, with the others in grey.",
        _curves,
        9,
    ),
]


def draw_all(table: pd.DataFrame, design: Design, folder: Path, specs: list[Spec] | None = None) -> Iterator[Shown]:
    """Draw and save every figure into a folder, one by one; those too tall for a page task by task."""
    variants, tasks = order(table, design, "variant"), order(table, design, "task")
    for spec in FIGURES if specs is None else specs:
        apart = len(tasks) > 1 and spec.rows(len(variants), len(tasks)) > spec.most
        for task in tasks if apart else [None]:
            part = table if task is None else table[table["task"] == task]
            if task is not None and part.empty:
                continue
            facts = design if task is None else {**design, "tasks": [task]}
            drawn = spec.draw(part, facts)
            name = spec.name if task is None else f"{spec.name}_{_file_name(task)}"
            files = style.save(drawn.figure, folder, name, drawn.data)
            title = spec.title if task is None else f"{spec.title}: {task}"
            yield Shown(name, title, spec.caption, files, float(drawn.figure.get_size_inches()[0]))


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in label)
