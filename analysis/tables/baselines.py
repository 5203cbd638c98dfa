"""What models without memory, models of the last few inputs and random networks reach on the tasks of a study."""

from __future__ import annotations

import pandas as pd

from runs.record.baselines import KINDS, checked

from ..study import Study

COLUMNS = ["task", "name", "kind", "loss", "solved", "note"]


def baselines(study: Study) -> pd.DataFrame:
    """Return the baselines of the tasks of a study, one a row, in the order of the tasks and of `KINDS`.

    study: its facts have them as `baselines`, as `runs.record.baselines` describes; a study without them gives a table
        without rows.

    Returns the columns task, name, kind, loss (NaN where there is none), solved (NaN, or for the kind "guessing" the
    share of random networks that solve the task) and note.
    Raises ValueError where the facts hold something else.
    """
    found = checked(study.about.get("baselines", {}))
    rows = [
        (task, record["name"], kind, record.get("loss"), record.get("solved"), record.get("note", ""))
        for task in study.tasks
        for kind in KINDS
        for record in found.get(task, [])
        if record["kind"] == kind
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"loss": "float64", "solved": "float64"})


def guessed(table: pd.DataFrame) -> list[str]:
    """Return the tasks that random weights solve, of the table of `baselines`."""
    return list(table.loc[(table["kind"] == "guessing") & (table["solved"] > 0), "task"])
