"""The tidy table of a study: its columns, and how trials become its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..trial.trial import OF_THE_TASK, Outcome

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from tasks import Task

    from ..study.plan import Plan, Planned
    from ..study.trials import Finished

Row = dict[str, Any]
Kind = Literal["text", "integer", "float", "integers", "floats"]
SAME_AS_TASK = "of the task"
OF_CURVES = "of the curves"
PART = "part_"
"""Begins the names of the columns that say which level of a factor a variant has."""

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
        `task`, `OF_CURVES` for what the learning curves say; None where it must be there.
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
    Column("first_loss", "float", "validation loss before the first update, if one was taken", earlier=OF_CURVES),
    Column(
        "low_step",
        "float",
        "with a training set: update of the look with the lowest validation loss",
        earlier=OF_CURVES,
    ),
    Column("low_loss", "float", "validation loss at this look", earlier=OF_CURVES),
    Column("low_train_loss", "float", "training loss at this look: the mean since the look before", earlier=OF_CURVES),
    Column(
        "last_step", "float", "with a training set: update of the last look whose losses are finite", earlier=OF_CURVES
    ),
    Column("last_loss", "float", "validation loss at this look", earlier=OF_CURVES),
    Column("last_train_loss", "float", "training loss at this look: the mean since the look before", earlier=OF_CURVES),
    Column("curve_steps", "integers", "updates at which the validation loss was taken"),
    Column("curve_losses", "floats", "the validation loss at these"),
    Column("train_losses", "floats", "mean training loss since the evaluation before, NaN at update 0"),
)
"""The columns of every table, in their order; hyperparameters and their coordinates `u_<name>` come after them, and in
a study with factors the level of each factor, `part_<name>`.
"""

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
    levels = {} if design.factors is None else design.factors.of(finished.variant)
    levels = {f"{PART}{name}": level for name, level in levels.items()}
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
        **levels,
    }


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a trial from its row, the inverse of `row_of`.

    All values are the same to the last bit; the curves are empty where the table has none. Trials of versions that did
    not record what their task says of its losses have it, as their row does.

    row: of a tidy table, as a mapping.
    """
    if row["status"] == "failed":
        return Outcome(status="failed", error=str(row["error"]), seconds=float(row["seconds"]))
    whole = ("steps", "budget", "sequences", "best_step", "parameters", "flops_per_step")
    values: dict[str, Any] = {name: int(row[name]) for name in whole}
    values |= {name: _or_none(row[name]) for name in ("epochs", "validation_loss", "test_loss", "kept")}
    values |= {name: str(row[name]) for name in ("engine", "why_eager", "update", "why_autograd", "error")}
    steps = tuple(int(step) for step in row["curve_steps"])
    train = zip(steps, row["train_losses"], strict=True)
    return Outcome(
        status=str(row["status"]),
        solved_step=int(row["solved_step"]) if row["solved_step"] == row["solved_step"] else None,
        test_metrics=json.loads(row["test_metrics"]),
        score=float(row["score"]),
        seconds=float(row["seconds"]),
        curve_steps=steps,
        curve_losses=tuple(float(loss) for loss in row["curve_losses"]),
        train_losses=tuple(None if step == 0 else float(loss) for step, loss in train),
        **values,
        task={
            **{name: str(row[name]) for name in ("reference_source", "unit")},
            **{name: _or_none(row[name]) for name in ("floor", "solved_loss", "reference", "unit_scale")},
            "lag": int(row["lag"]) or None,
        },
    )


def _or_none(value: float) -> float | None:
    return float(value) if value == value else None  # NaN is a gap


def tidy(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table of trials from plain rows: one row per trial, `COLUMNS` first, sorted by `ORDER`.

    rows: values by column; None stands for a gap, in a list as well.
    Raises ValueError where a column is missing that every table must have.
    """
    import pandas as pd

    return tidied(pd.DataFrame.from_records([dict(row) for row in rows]))


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of trials from another table of them, as `tidy` does."""
    import numpy as np
    import pandas as pd

    table = table.copy(deep=False)
    for column in COLUMNS:
        if column.earlier is not None and column.earlier != OF_CURVES:
            there = column.name in table
            earlier = table.get("task", "") if column.earlier == SAME_AS_TASK else column.earlier
            table[column.name] = table[column.name].fillna(earlier) if there else earlier
    names, curves = [column.name for column in COLUMNS], names_of("integers", "floats")
    of_curves = [column.name for column in COLUMNS if column.earlier == OF_CURVES]
    if not set(of_curves) <= set(table) and set(curves) <= set(table):
        looks = zip(*(table[name] for name in curves), pd.to_numeric(table["epochs"]).notna(), strict=True)
        table[of_curves] = pd.DataFrame([_ends(*own) for own in looks], table.index, of_curves)
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
            arrays = [_array(values, dtype) for values in table[name]]
            table[name] = pd.Series(arrays, table.index, dtype="object")
    others = [name for name in table if name not in names]
    stages = [*STAGES, *sorted(set(table["stage"]) - set(STAGES))]
    table["stage"] = pd.Categorical(table["stage"], stages)
    return table[[*names, *others]].sort_values([*ORDER], kind="stable", ignore_index=True).astype({"stage": "str"})


def _array(values: Any, dtype: type) -> NDArray[Any]:
    import numpy as np

    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.astype(dtype)
    return np.array([np.nan if x is None else x for x in values], dtype=dtype)


def _ends(steps: Any, losses: Any, train: Any, counts_epochs: bool) -> tuple[float, ...]:
    """Return the first loss of the curves of a trial, then step, validation and training loss at two looks.

    They are the look with the lowest validation loss and the last one, of those whose losses are finite; NaN for a
    trial that does not count epochs.
    """
    import numpy as np

    first = losses[0] if len(steps) and len(losses) and steps[0] == 0 else np.nan
    both = min(len(steps), len(losses), len(train)) if counts_epochs else 0
    looks: NDArray[np.float64] = np.array([steps[:both], losses[:both], train[:both]], dtype=float)
    looks = looks[:, np.isfinite(looks[1:]).all(axis=0)]
    if not looks.shape[1]:
        return (first, *[np.nan] * 6)
    return (first, *looks[:, looks[1].argmin()], *looks[:, -1])


def of_stage(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the trials of a stage: search, confirm or horizon."""
    return table[table["stage"] == stage].reset_index(drop=True)
