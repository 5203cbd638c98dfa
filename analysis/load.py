"""A study as one tidy table: from its storage, or from the Parquet archive written beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ARCHIVE = "trials.parquet"
_DESIGN_KEY = b"lstm_variants_design"

TEXT = ("study", "stage", "variant", "task", "trial_id", "status", "engine", "why_eager", "error", "test_metrics")
INTEGER = (
    "session",
    "point",
    "block",
    "replicate",
    "seed",
    "hidden_size",
    "parameters",
    "flops_per_step",
    "steps",
    "sequences",
    "best_step",
    "budget",
    "lag",
    "batch_size",
)
FLOAT = ("solved_step", "validation_loss", "test_loss", "score", "seconds", "floor", "solved_loss")
ABSENT = {
    "stage": "search",
    "block": -1,
    "replicate": 0,
    "session": 0,
    "why_eager": "",
}  # in the place of columns that an archive of an earlier version lacks
STAGES = ("search", "confirm", "horizon")
LISTS = {"curve_steps": np.int64, "curve_losses": np.float64, "train_losses": np.float64}


def tidy(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of trials from plain rows: one row per trial, fixed columns first, in the order task, point, variant.

    stage: search; confirm, with the `block` whose winner is run again, or -1 for the best configuration and the number
    of its `replicate`; horizon, with the number of the `replicate` at its lag. The point is that of the search whose
    hyperparameters a trial has. The session is the place of the facts of its run in the list `sessions` of the design.
    Lists become arrays; None in a list or a number becomes NaN. Hyperparameters and their unit-cube coordinates `u_...`
    come last.
    """
    fixed = [*TEXT, *INTEGER, *FLOAT, *LISTS]
    table = pd.DataFrame.from_records([dict(row) for row in rows])
    for column, value in ABSENT.items():
        table[column] = table[column].fillna(value) if column in table else value
    lost = [column for column in fixed if column not in table]
    if lost:
        raise ValueError(f"a table of trials needs the columns {', '.join(lost)}")
    for column in TEXT:
        table[column] = table[column].fillna("").astype("str")
    for column in INTEGER:
        table[column] = pd.to_numeric(table[column]).fillna(0).astype("int64")
    for column in FLOAT:
        table[column] = pd.to_numeric(table[column]).astype("float64")
    for column, kind in LISTS.items():
        table[column] = [np.array([np.nan if x is None else x for x in values], dtype=kind) for values in table[column]]
    others = [column for column in table if column not in fixed]
    table["stage"] = pd.Categorical(table["stage"], [*STAGES, *sorted(set(table["stage"]) - set(STAGES))])
    keys = ["stage", "task", "lag", "block", "replicate", "point", "variant"]
    return table[[*fixed, *others]].sort_values(keys, kind="stable", ignore_index=True).astype({"stage": "str"})


def of_stage(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """The trials of a stage."""
    return table[table["stage"] == stage].reset_index(drop=True)


def names(values: Any) -> list[str]:
    """The labels of a list of variants or tasks in a design: strings, mappings with a `label`, or the keys of a
    mapping.
    """
    if not values:
        return []
    if isinstance(values, Mapping):
        return [str(key) for key in values]
    return [str(v.get("label", v.get("name", v))) if isinstance(v, Mapping) else str(v) for v in values]


def write_archive(table: pd.DataFrame, design: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `trials.parquet`, with the design in its metadata, and `trials.csv`, with lists as JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from runs.files import replacing

    folder.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _DESIGN_KEY: json.dumps(design).encode()}
    with replacing(folder / ARCHIVE) as part:
        pq.write_table(arrow.replace_schema_metadata(metadata), part, compression="zstd")
    flat = table.copy()
    for column in LISTS:
        flat[column] = [json.dumps([None if np.isnan(x) else x for x in values.tolist()]) for values in table[column]]
    with replacing(folder / "trials.csv") as part:
        flat.to_csv(part, index=False, lineterminator="\n")
    return [folder / ARCHIVE, folder / "trials.csv"]


def read_archive(path: Path, stages: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and design from a Parquet archive alone. Raises ValueError for a file that is not one, or that holds names
    that are none.

    stages: whether the table holds the stages after the search, too. An archive may be somebody else's: nothing of it
    is imported, and its names may become names of files.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from runs.names import checked_design, checked_name

    try:
        arrow = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is not an archive of a study: {str(error).strip().splitlines()[0]}") from None
    metadata = arrow.schema.metadata or {}
    if _DESIGN_KEY not in metadata:
        raise ValueError(f"{path} is not an archive of a study: it holds no design")
    try:
        design = json.loads(metadata[_DESIGN_KEY])
        checked_design(design)
        table = tidy(arrow.to_pylist())
        for column in ("study", "stage", "task", "variant"):
            for name in table[column].unique():
                checked_name(name, f"column {column}: a name")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not an archive of a study: {error}") from None
    return table if stages else of_stage(table, "search"), design


def load(
    study: str, results: Path, storage: str = "", stages: bool = False, out: Path | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and design of a study from its storage; the archive `results/<study>/trials.parquet` is written on the way.

    stages: whether the table holds the stages after the search, too; the archive always does.
    storage: URL, empty for the journal in the study's folder. out: folder of the archive, in the place of
    `results/<study>`. Raises ValueError where there is no such study or no trial in it, or where the archive cannot be
    written.
    """
    from runs.files import writable
    from runs.names import checked_name
    from runs.study.study import records

    checked_name(study, "study")
    rows, design = records(results, study, storage, stages=True)
    if not rows:
        raise ValueError(f"study {study!r} holds no finished trial yet")
    table = tidy(rows)
    write_archive(table, design, writable(Path(results) / study if out is None else out))
    return table if stages else of_stage(table, "search"), design


def tracked(design: Mapping[str, Any], results: Path) -> str:
    """The URI of the MLflow that a study was tracked in; empty where it was not, or where that is out of reach.

    results: the folder in which the study is now. Out of reach is a SQLite file that is not there, and a place that
    only the design
    names: it may be somebody else's, so that it is not asked unless MLFLOW_TRACKING_URI names it too.
    """
    from runs.record.tracking import uri_of

    try:
        uri = uri_of(design, results)
    except ValueError:
        return ""
    return "" if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file() else uri


_IN_PARAMS = {
    "seed": "seed",
    "hidden_size": "model.hidden_size",
    "budget": "training.budget",
    "batch_size": "training.batch_size",
}
_IN_METRICS = (
    "steps",
    "solved_step",
    "best_step",
    "validation_loss",
    "test_loss",
    "score",
    "parameters",
    "flops_per_step",
    "seconds",
)


def of_runs(runs: pd.DataFrame, design: Mapping[str, Any]) -> pd.DataFrame:
    """The columns of the tidy table that MLflow holds, with the same numbers in the same order.

    runs: what `mlflow.search_runs` returns for the experiment of the study. What MLflow does not hold is left out: the
    constants of the task, the curves (they are metric histories), the coordinates of the points, and the stages after
    the search.
    """
    if "tags.stage" in runs:  # runs from before there were stages have no such tag
        runs = runs[runs["tags.stage"].fillna("search") == "search"]
    columns = {n: runs[f"tags.{n}"].astype("str") for n in ("study", "variant", "task", "trial_id", "status", "engine")}
    columns["point"] = pd.to_numeric(runs["tags.point"])
    columns |= {name: pd.to_numeric(runs[f"params.{key}"]) for name, key in _IN_PARAMS.items()}
    columns |= {name: runs.get(f"metrics.{name}", pd.Series(np.nan, runs.index)) for name in _IN_METRICS}
    space = design.get("space") or {}
    columns |= {name: pd.to_numeric(runs[f"params.{name}"]) for name in space}
    table = pd.DataFrame(columns)
    whole = [c for c in table if c in INTEGER] + [name for name, node in space.items() if node.get("integer")]
    table = table.astype(dict.fromkeys(whole, "int64") | {c: "float64" for c in table if c in FLOAT})
    return table.sort_values(["task", "point", "variant"], kind="stable", ignore_index=True)
