"""The table of a study as far as MLflow holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..study.design import Design
from .places import uri_of
from .rows import COLUMNS

if TYPE_CHECKING:
    import pandas as pd


def tracked(about: Mapping[str, Any], results: Path) -> str:
    """Return the URI of the MLflow that a study was tracked in, empty where it was not or where that cannot be used.

    A SQLite file that does not exist cannot be used. A place that only the archive names is not used either, since the
    archive may be somebody else's, unless MLFLOW_TRACKING_URI names it too.

    about: facts of the study. results: the folder in which the study is now.
    """
    try:
        uri = uri_of(about, results)
    except ValueError:
        return ""
    return "" if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file() else uri


def of_runs(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Return the columns of the tidy table that MLflow holds, with the same numbers in the same order.

    Not in MLflow are the constants of the task, the curves (they are metric histories) and the coordinates of the
    points. Stages after the search are left out.

    runs: what `mlflow.search_runs` returns for the experiment of the study. design: of the study.
    """
    import numpy as np
    import pandas as pd

    if "tags.stage" in runs:  # runs from before there were stages have no such tag
        runs = runs[runs["tags.stage"].fillna("search") == "search"]
    kinds = {column.name: column.kind for column in COLUMNS if column.mlflow}
    nothing = pd.Series(np.nan, runs.index)  # no trial has this metric
    table = pd.DataFrame({c.name: runs.get(c.mlflow, nothing) for c in COLUMNS if c.mlflow})
    for name, dimension in design.space.items():
        table[name], kinds[name] = runs[f"params.{name}"], "integer" if dimension.integer else "float"
    for name in (name for name, kind in kinds.items() if kind != "text"):
        table[name] = pd.to_numeric(table[name])
    types = {"text": "str", "integer": "int64", "float": "float64"}
    table = table.astype({name: types[kind] for name, kind in kinds.items()})
    return table.sort_values(["task", "point", "variant"], kind="stable", ignore_index=True)
