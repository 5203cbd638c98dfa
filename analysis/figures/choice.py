"""What a figure shows of a study: which tasks and variants, in which order, on which axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..goals import Goal
from ..tables.baselines import baselines

if TYPE_CHECKING:
    from ..study import Study

_LEAST_LOSS = 1e-9  # stands for a loss of zero on a log axis
FLOOR = "floor"  # loss of the best model without memory
ALIKE = 0.005  # relative difference of two losses that share a line
CLEAR = 0.9  # times the floor: a loss on a log axis below it has a line beside that of the floor


class Axis(NamedTuple):
    """The axis of one hyperparameter: its ends, and whether it is logarithmic."""

    low: float
    high: float
    log: bool


def tasks_in(study: Study, table: pd.DataFrame) -> list[str]:
    """Return the tasks of a table in the order of the study."""
    there = set(table["task"])
    return [task for task in study.tasks if task in there]


def variants_in(study: Study, table: pd.DataFrame) -> list[str]:
    """Return the variants of a table, the baseline first, then in the order of the study."""
    there = set(table["variant"])
    return [variant for variant in study.variants if variant in there]


def rows_in(study: Study, table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the variants of a table by task, both in the order of the study."""
    return {task: variants_in(study, table[table["task"] == task]) for task in tasks_in(study, table)}


def records_of(table: pd.DataFrame) -> dict[str, Mapping[Any, Any]]:
    """Return the rows of a table with one row per variant, by variant."""
    return {str(row["variant"]): row for row in table.to_dict("records")}


def by_variant(table: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Return rows in the order of the variants; the rows of one variant keep their order."""
    place = {name: k for k, name in enumerate(variants)}
    return table.sort_values("variant", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def hyperparameters_in(study: Study, found: pd.Series) -> list[str]:
    """Return the hyperparameters that are found, in the order of the search space, then any others."""
    present = list(dict.fromkeys(found))
    return [
        *(name for name in study.design.space if name in present),
        *(n for n in present if n not in study.design.space),
    ]


def axis_of(study: Study, name: str, values: pd.Series) -> Axis:
    """Return the axis of a hyperparameter: its range in the search space, else the range of the values.

    values: those that are shown; an axis is logarithmic only where all are positive.
    """
    dimension = study.design.space.get(name)
    if dimension is None:
        return Axis(float(values.min()), float(values.max()), False)
    logarithmic = dimension.log_axis and bool((values > 0).all())
    return Axis(float(dimension.limits[0]), float(dimension.limits[1]), logarithmic)


def losses_of(values: pd.Series | np.ndarray) -> np.ndarray:
    """Return losses for a log axis: infinite where there is none, never below a tiny positive number."""
    losses = np.asarray(values, dtype=float)
    return np.where(np.isfinite(losses), np.maximum(losses, _LEAST_LOSS), np.inf)


def quantiles(values: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """Return quantiles along axis 0 as order statistics, so that infinite values stay what they are."""
    return np.asarray(np.quantile(values, at, axis=0, method="inverted_cdf"))


class Line(NamedTuple):
    """A line at a loss: where it stands, in the unit of the task, and its name."""

    value: float
    name: str


def lines_of(study: Study) -> dict[str, list[Line]]:
    """Return what losses are held against by task: the floor, score 1 or the reference, and the best window.

    That is the best model of the last few inputs, where it is better than the floor (on a log axis, clearly so). Where
    its loss is that of the reference, or a published one is, the line of the reference has its name.
    """
    found = {task: _lines(goal) for task, goal in study.goals.items()}
    for task, own in baselines(study).groupby("task", sort=False):
        if task in found:
            found[str(task)] = _with_baselines(found[str(task)], study.goals[str(task)], own[np.isfinite(own["loss"])])
    return found


def _lines(goal: Goal) -> list[Line]:
    target = Line(goal.scale * goal.solved_loss, "score 1")
    if not goal.solvable:
        target = Line(goal.scale * goal.reference, "reference")
    return [line for line in (Line(goal.scale * goal.floor, FLOOR), target) if np.isfinite(line.value)]


def _with_baselines(lines: list[Line], goal: Goal, own: pd.DataFrame) -> list[Line]:
    windows = own[own["kind"] == "window"].sort_values("loss", kind="stable").head(1)
    for row in pd.concat([own[own["kind"] == "published"], windows]).to_dict("records"):
        value = goal.scale * row["loss"]
        same = next((line for line in lines if abs(line.value - value) <= ALIKE * abs(value)), None)
        least = goal.scale * goal.floor * (CLEAR if goal.solvable else 1.0)
        if same is None and row["kind"] == "window" and value < least:
            lines = [*lines, Line(value, row["name"])]
        elif same is not None and same.name == "reference":
            lines = [Line(same.value, f"reference: {row['name']}") if line is same else line for line in lines]
    return lines
