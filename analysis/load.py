"""A study as one tidy table and plain values, in the form that the analysis reads until it takes a `Study`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from runs.record import archive
from runs.record import tracked as in_mlflow
from runs.record.archive import ARCHIVE, Archive
from runs.record.archive import write_values as write_archive
from runs.record.rows import names_of, of_stage, tidy
from runs.record.tracked import tracked
from runs.study.design import Design

__all__ = [
    "ARCHIVE",
    "LISTS",
    "load",
    "names",
    "of_runs",
    "of_stage",
    "read_archive",
    "tidy",
    "tracked",
    "write_archive",
]

LISTS = names_of("integers", "floats")


def names(values: Any) -> list[str]:
    """The labels of a list of variants or tasks in a design: strings, mappings with a `label`, or the keys of a
    mapping.
    """
    if not values:
        return []
    if isinstance(values, Mapping):
        return [str(key) for key in values]
    return [str(v.get("label", v.get("name", v))) if isinstance(v, Mapping) else str(v) for v in values]


def read_archive(path: Path, stages: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and design from a Parquet archive alone; stages: whether with the stages after the search."""
    return _pair(archive.read_archive(path), stages)


def load(
    study: str, results: Path, storage: str = "", stages: bool = False, out: Path | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Table and design of a study from its storage; stages: whether with the stages after the search."""
    return _pair(archive.load(study, results, storage, out), stages)


def of_runs(runs: pd.DataFrame, design: Mapping[str, Any]) -> pd.DataFrame:
    """The columns of the tidy table that MLflow holds."""
    return in_mlflow.of_runs(runs, Design.from_dict(design))


def _pair(found: Archive, stages: bool) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = found.table if stages else of_stage(found.table, "search")
    return table, {**found.design.as_dict(), **found.about}
