"""The trials of a study as the explorer's page holds them: columns, thinned curves, and commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from runs.study.space import Dimension

from ..figures.look import look
from ..study import Study
from ..tables.settings import trial_of
from ..words import spoken

if TYPE_CHECKING:
    from runs.trial.trial import Trial

CURVE_POINTS = 40  # of a learning curve at most
CURVE_DIGITS = 4  # significant ones of its losses: an error of at most 0.05 %
DIGITS = 6  # significant ones of every other number, as in the CSV files

STATUSES = {
    "solved": "reached the loss at which the task counts as solved",
    "finished": "used its whole budget of updates; a task that can be solved was not solved",
    "pruned": "stopped early by the search, because it did worse than others",
    "exploded": "ended with a loss more than three times as high as before training, and as without memory",
    "diverged": "stopped because its loss was no longer a number",
    "failed": "the program broke, so it says nothing about the variant",
}

FINISHED = {True: "not solved", False: "trained"}
"""What the status `finished` is called on a task that can be solved, and on one without a criterion."""


class Measure(NamedTuple):
    """A number of a trial that the page can show on an axis and in the table.

    name: of the column in the table of trials.
    words: how a reader is told what it is.
    meaning: a sentence that explains it.
    log: whether its axis is logarithmic at first.
    none: what a missing value means.
    loss: whether it is a loss, which is written in the unit of its task.
    input: whether it was set before training.
    """

    name: str
    words: str
    meaning: str
    log: bool
    none: str = "no value"
    loss: bool = False
    input: bool = False


MEASURES = (
    Measure(
        "test_loss", "test loss", "Loss on the test set, after the best update; lower is better.", True, "no loss", True
    ),
    Measure(
        "validation_loss",
        "validation loss",
        "Lowest loss on the validation set during training; lower is better.",
        True,
        "no loss",
        True,
    ),
    Measure(
        "score",
        "score",
        "0: no better than the best model without memory; 1: the task is solved, or as good as the reference.",
        False,
        "no score",
    ),
    Measure(
        "solved_step", "steps to solve", "The update (training step) at which the task was solved.", True, "not solved"
    ),
    Measure("steps", "training steps", "Updates that the trial made.", False),
    Measure("hidden_size", "hidden size", "Units of each layer.", True, input=True),
    Measure("parameters", "parameters", "Numbers that training changes.", True, input=True),
    Measure("seconds", "seconds", "Time that the trial took, by the clock.", True),
    Measure("epochs", "epochs", "How often the whole training set was used.", False),
    Measure("kept", "share kept", "Share of the memory that one time step keeps, before training.", False),
)
"""What every trial may have beside its hyperparameters, in the order in which it is offered."""


def content(study: Study, commands: Callable[[Sequence[Trial | None]], list[str]]) -> dict[str, Any]:
    """Return what the page holds, as plain values for JSON.

    study: the study; the trials of its search are shown, failed ones too.
    commands: `trial_commands`, or what runs it in a process that has torch already.

    Returns
    name, about (sentences), tasks, variants, statuses, measures: what is shown and what it means;
    trials: columns by name, one value per trial, None for a gap;
    curves, curveless: see `curves_of`, and why there are none, empty where there are some;
    commands: see `words_of`.
    """
    table = study.table
    statuses = [*STATUSES, *sorted({*table["status"]} - {*STATUSES})]
    measures = measures_of(study)
    scale = table["unit_scale"]
    numbers = {m.name: _rounded(table[m.name] * (scale if m.loss else 1), DIGITS) for m in measures}
    places = {
        "task": _places(table["task"], study.tasks),
        "variant": _places(table["variant"], study.variants),
        "status": _places(table["status"], statuses),
        "point": table["point"].tolist(),
        "order": _rounded(table["order"], DIGITS),
        "id": table["trial_id"].tolist(),
        "error": table["error"].tolist(),
    }
    rows: list[dict[Any, Any]] = table.to_dict("records")
    trials = [trial_of(study, str(row["task"]), str(row["variant"]), row) for row in rows]
    return {
        "name": study.name,
        "others": len(study.every) - len(table),
        "digits": CURVE_DIGITS,
        "curve_points": CURVE_POINTS,
        "hyperparameters": study.hyperparameters,
        "tasks": [_task(study, task) for task in study.tasks],
        "variants": [_variant(variant, study.baseline) for variant in study.variants],
        "statuses": [
            {"name": name, "words": _status_words(study, name), "meaning": STATUSES.get(name, "")} for name in statuses
        ],
        "measures": [measure._asdict() for measure in measures],
        "trials": {**places, **numbers},
        "curves": curves_of(table),
        "curveless": study.curveless,
        "commands": words_of(commands(trials)),
    }


def measures_of(study: Study) -> list[Measure]:
    """Return what can be shown on an axis: the hyperparameters of the study, then `MEASURES` with any value."""
    space = study.design.space
    ours = [_hyperparameter(name, space[name]) for name in study.hyperparameters]
    known = {measure.name for measure in ours}
    others = [measure for measure in MEASURES if measure.name in study.table and measure.name not in known]
    return [*ours, *(measure for measure in others if study.table[measure.name].notna().any())]


def _hyperparameter(name: str, dimension: Dimension) -> Measure:
    low, high = dimension.limits
    meaning = f"A hyperparameter that the search drew from {low:g} to {high:g}."
    return Measure(name, spoken(name), meaning, dimension.log_axis, input=True)


def _status_words(study: Study, status: str) -> str:
    """Return what a reader is told a status is; `finished` has two names in a study with both kinds of tasks."""
    if status != "finished":
        return spoken(status)
    return " or ".join(dict.fromkeys(FINISHED[study.solvable(task)] for task in study.tasks))


def _task(study: Study, task: str) -> dict[str, Any]:
    goal = study.goals.get(task)
    series, solvable = study.design.series_of(task), study.solvable(task)
    facts: dict[str, Any] = {"name": task, "words": spoken(task), "series": series, "solvable": solvable}
    facts["finished"] = FINISHED[solvable]
    if goal is None:
        return {**facts, "unit": "", "lag": 0, "floor": None, "solved": None, "limit": None}
    numbers = {
        "floor": goal.scale * goal.floor,
        "solved": goal.scale * goal.solved_loss,
        "limit": goal.scale * goal.limit,
    }
    known = {name: value if np.isfinite(value) else None for name, value in numbers.items()}
    return {**facts, "unit": goal.unit, "lag": goal.lag, **known}


def _variant(variant: str, baseline: str | None) -> dict[str, Any]:
    own = look(variant)
    dash = [] if own.dash == "-" else list(own.dash[1])
    shape = {"colour": own.colour, "marker": own.marker, "dash": dash}
    return {"name": variant, "words": spoken(variant), "baseline": variant == baseline, **shape}


def curves_of(table: pd.DataFrame) -> dict[str, Any]:
    """Return the learning curves of the trials of a table, each of at most `CURVE_POINTS` points.

    A longer curve keeps points at equal distances, among them the first and the last.

    Returns
    grids: lists of steps, each there once; grid: number of the list that belongs to each trial;
    losses: those of all trials in one list, in the unit of their task, None where a loss is no finite number. A trial
    has as many as its list of steps.
    """
    grids: dict[tuple[int, ...], int] = {}
    own: list[int] = []
    kept: list[Any] = []
    for steps, losses, scale in zip(table["curve_steps"], table["curve_losses"], table["unit_scale"], strict=True):
        at = thinned(len(steps), CURVE_POINTS)
        own.append(grids.setdefault(tuple(np.asarray(steps)[at].tolist()), len(grids)))
        kept.append(scale * np.asarray(losses, dtype=float)[at])
    together = np.concatenate([*kept, np.empty(0)])
    return {"grids": [list(grid) for grid in grids], "grid": own, "losses": _rounded(together, CURVE_DIGITS)}


def thinned(length: int, most: int) -> list[int]:
    """Return which points of a curve are kept: all, or `most` at equal distances with the first and the last.

    >>> thinned(3, 5), thinned(9, 5)
    ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]


def words_of(commands: Sequence[str]) -> dict[str, Any]:
    """Return commands as numbers of their words, which they share: joined by spaces, the words are the command.

    >>> words_of(["run a", "", "run b"])
    {'words': ['run', 'a', 'b'], 'commands': [[0, 1], [], [0, 2]]}
    """
    known: dict[str, int] = {}
    numbers = [[known.setdefault(word, len(known)) for word in text.split(" ") if text] for text in commands]
    return {"words": list(known), "commands": numbers}


def _places(labels: Iterable[str], names: Sequence[str]) -> list[int]:
    places = {name: place for place, name in enumerate(names)}
    return [places[label] for label in labels]


def _rounded(values: Iterable[float], digits: int) -> list[float | int | None]:
    """Return numbers with so many significant digits; None for one that is not finite."""
    return [_number(float(value), digits) for value in values]


def _number(value: float, digits: int) -> float | int | None:
    if not np.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
