"""The tidy table of a study: its columns, and how trials become its rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..trial.trial import OF_THE_TASK, Outcome

if TYPE_CHECKING:
    import pandas as pd

    from tasks import Task

    from ..study.plan import Plan, Planned
    from ..study.trials import Finished

Row = dict[str, Any]
Kind = Literal["text", "integer", "float", "integers", "floats"]
SAME_AS_TASK = "of the task"
STAGES = ("search", "confirm", "horizon")
"""The stages of a study, in their order."""


class Column(NamedTuple):
    """A column that every table of trials has.

    name: of the column.
    kind: text, integer, float, or a list of integers or floats (an array in the table). A gap in a text is empty, in an
        integer 0, in a float or a list of floats NaN.
    meaning: what it says of a trial.
    mlflow: where a run in MLflow has it, as in `metrics.test_loss`; empty where it does not.
    earlier: the value for archives of earlier versions that lack the column, `SAME_AS_TASK` for that of the column
        `task`; None where it must be there.
    """

    name: str
    kind: Kind
    meaning: str
    mlflow: str = ""
    earlier: str | float | None = None


COLUMNS = (
    Column("study", "text", "name of the study", "tags.study"),
    Column("stage", "text", "search, confirm or horizon", earlier="search"),
    Column("variant", "text", "label of the variant", "tags.variant"),
    Column("task", "text", "label of the task", "tags.task"),
    Column("series", "text", "the series that the task is a level of, else the task", earlier=SAME_AS_TASK),
    Column("trial_id", "text", "hash of what was run", "tags.trial_id"),
    Column("status", "text", "solved, finished, exploded, diverged, pruned or failed", "tags.status"),
    Column("engine", "text", "which engine ran", "tags.engine"),
    Column("why_eager", "text", "why the eager engine ran where a faster one was asked for", earlier=""),
    Column("update", "text", "how updates were computed, compiled or autograd", "tags.update", earlier=""),
    Column("why_autograd", "text", "why updates were not compiled", earlier=""),
    Column("error", "text", "of a failed trial"),
    Column("test_metrics", "text", "metrics on the test set, as JSON"),
    Column("session", "integer", "number of the session in which it ran: a place in the archive's list", earlier=0),
    Column("point", "integer", "the place in the search space whose hyperparameters it has", "tags.point"),
    Column("block", "integer", "stage confirm: the block whose winner it runs again, else -1", earlier=-1),
    Column("replicate", "integer", "number among the runs that differ in their seeds only", earlier=0),
    Column("seed", "integer", "of initialisation, training data and noise", "params.seed"),
    Column("hidden_size", "integer", "units per layer and direction", "params.model.hidden_size"),
    Column("parameters", "integer", "trainable values", "metrics.parameters"),
    Column("flops_per_step", "integer", "of a forward pass, per sequence and time step", "metrics.flops_per_step"),
    Column("steps", "integer", "updates made", "metrics.steps"),
    Column("sequences", "integer", "training sequences seen"),
    Column(
        "best_step", "integer", "update with the lowest validation loss, or that of the solution", "metrics.best_step"
    ),
    Column("budget", "integer", "largest number of updates", "params.training.budget"),
    Column("lag", "integer", "of the task, in time steps; 0 where it has none"),
    Column("batch_size", "integer", "sequences per update", "params.training.batch_size"),
    Column("solved_step", "float", "update at which the task was solved, NaN where it was not", "metrics.solved_step"),
    Column("validation_loss", "float", "lowest loss on the validation set", "metrics.validation_loss"),
    Column("test_loss", "float", "loss on the test set with the parameters of `best_step`", "metrics.test_loss"),
    Column("score", "float", "of the test loss, from 0 (floor) to 1 (solved, or the reference)", "metrics.score"),
    Column("seconds", "float", "wall time", "metrics.seconds"),
    Column("kept", "float", "share of the state that a step keeps at the start", "metrics.kept", earlier=float("nan")),
    Column("epochs", "float", "how often the training set was used, NaN where there is none", earlier=float("nan")),
    Column("floor", "float", "loss of the best model without memory"),
    Column("solved_loss", "float", "loss at which the task counts as solved, NaN where it has no criterion"),
    Column("reference", "float", "loss at which the score of a task without criterion is 1", earlier=float("nan")),
    Column("reference_source", "text", "whose loss that is", earlier=""),
    Column("unit", "text", "of losses", earlier=""),
    Column("unit_scale", "float", "what a loss is multiplied by to be in this unit", earlier=1.0),
    Column("curve_steps", "integers", "updates at which the validation loss was taken"),
    Column("curve_losses", "floats", "the validation loss at these"),
    Column("train_losses", "floats", "mean training loss since the evaluation before, NaN at update 0"),
)
"""The columns of every table, in their order; hyperparameters and their coordinates `u_<name>` come after them."""

ORDER = ("stage", "task", "lag", "block", "replicate", "point", "variant")
"""The columns by which rows are sorted."""


def names_of(*kinds: Kind) -> list[str]:
    """Return the names of the columns of some kinds.

    >>> names_of("integers", "floats")
    ['curve_steps', 'curve_losses', 'train_losses']
    """
    return [column.name for column in COLUMNS if column.kind in kinds]


def row_of(plan: Plan, finished: Finished, planned: Planned, problem: Task | None) -> Row:
    """Return the row of a finished trial: its place in the plan, the trial, its outcome and its hyperparameters.

    finished: the trial in the storage. planned: the same trial in the plan. problem: its task, for outcomes of earlier
    versions and failed ones, which do not say what their task is; None where it cannot be made.
    """
    design, trial, stored, outcome = plan.design, planned.trial, finished.stored, finished.outcome
    values = outcome.as_dict()
    said = values.pop("task") or {name: getattr(problem, name, None) for name in OF_THE_TASK}
    if design.adaptive:
        unit = {name: dimension.coordinate(stored.params[name]) for name, dimension in design.space.items()}
    else:
        unit = design.unit(finished.task, planned.point)
    return {
        "study": design.name,
        "stage": plan.stage,
        "block": planned.block,
        "replicate": planned.replicate,
        "variant": finished.variant,
        "task": finished.task,
        "series": design.series_of(finished.task),
        "point": planned.point,
        "trial_id": trial.id,
        "session": finished.session,
        "seed": trial.seed,
        "hidden_size": trial.model.hidden_size,
        "batch_size": trial.training.batch_size,
        **values,
        "budget": outcome.budget or trial.training.updates,
        **said,
        "test_metrics": json.dumps(outcome.test_metrics),
        **{name: stored.params[name] for name in design.space},
        **{f"u_{name}": u for name, u in unit.items()},
    }


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a trial from its row in a table, the inverse of `row_of`.

    A gap, which is 0, NaN or empty in a table, is None where an outcome has None. What earlier versions did not record
    (the task, the budget) has the value that the row gives it. In a table without curves, these are empty.

    row: values by column.
    """
    known = {f.name: str(f.type) for f in fields(Outcome) if f.name not in ("task", "test_metrics")}
    values: dict[str, Any] = {}
    for column in COLUMNS:
        name, value = column.name, row[column.name]
        if name in known:
            values[name] = _list(name, value) if column.kind in ("integers", "floats") else _value(value, known[name])
    task = {name: _value(row[name], "float | None") if name in _MAY_LACK else row[name] for name in OF_THE_TASK}
    task["lag"] = int(row["lag"]) or None
    there = not math.isnan(row["floor"])
    metrics = json.loads(row["test_metrics"] or "{}")
    return Outcome(**{**values, "test_metrics": metrics, "task": task if there else {}})


_MAY_LACK = ("solved_loss", "reference")  # of a task: one has a criterion, another one a reference


def _value(value: Any, kind: str) -> Any:
    """Return a value of a table as an outcome has it.

    kind: the type of the outcome's field.
    """
    if kind.endswith("None") and (value is None or math.isnan(value)):
        return None
    if kind.startswith("str"):
        return str(value)
    return int(value) if kind.startswith("int") else float(value)


def _list(name: str, values: Any) -> tuple[Any, ...]:
    if name == "curve_steps":
        return tuple(map(int, values))
    gaps = name == "train_losses"  # there is none before the first update
    return tuple(None if gaps and math.isnan(value) else value for value in map(float, values))


def tidy(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table of trials from plain rows: one row per trial, `COLUMNS` first, sorted by `ORDER`.

    rows: values by column; None stands for a gap, in a list as well.
    Raises ValueError where a column is missing that every table must have.
    """
    import numpy as np
    import pandas as pd

    table = pd.DataFrame.from_records([dict(row) for row in rows])
    for column in COLUMNS:
        if column.earlier is not None:
            there = column.name in table
            earlier = table.get("task", "") if column.earlier == SAME_AS_TASK else column.earlier
            table[column.name] = table[column.name].fillna(earlier) if there else earlier
    names = [column.name for column in COLUMNS]
    lost = [name for name in names if name not in table]
    if lost:
        raise ValueError(f"a table of trials needs the columns {', '.join(lost)}")
    for name, kind, *_ in COLUMNS:
        if kind == "text":
            table[name] = table[name].fillna("").astype("str")
        elif kind == "integer":
            table[name] = pd.to_numeric(table[name]).fillna(0).astype("int64")
        elif kind == "float":
            table[name] = pd.to_numeric(table[name]).astype("float64")
        else:
            dtype = np.int64 if kind == "integers" else np.float64
            arrays = [np.array([np.nan if x is None else x for x in v], dtype=dtype) for v in table[name]]
            table[name] = pd.Series(arrays, table.index, dtype="object")
    others = [name for name in table if name not in names]
    stages = [*STAGES, *sorted(set(table["stage"]) - set(STAGES))]
    table["stage"] = pd.Categorical(table["stage"], stages)
    return table[[*names, *others]].sort_values([*ORDER], kind="stable", ignore_index=True).astype({"stage": "str"})


def of_stage(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the trials of a stage: search, confirm or horizon."""
    return table[table["stage"] == stage].reset_index(drop=True)
