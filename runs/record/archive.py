"""The archive of a study: one Parquet file with its table, its design and the facts of its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replacing, writable
from ..names import checked_name
from ..study.design import Design
from ..trial.trial import Model, Training
from .rows import Row, names_of, tidy

if TYPE_CHECKING:
    import pandas as pd

ARCHIVE = "trials.parquet"
TABLE = "trials.csv"
_METADATA = b"lstm_variants_design"


@dataclass(frozen=True, eq=False)
class Archive:
    """A study as it is kept and passed on.

    table: the tidy table with the trials of all stages; see `runs.record.rows`.
    design: of the search.
    about: facts of the first session (commit, versions, command, ...), `sessions` (the facts of each), and `stages`
        (the plan of each stage after the search, by its name). `unnamed` lists the knobs of the model and the training
        that the version which ran the trials did not know; their ids were made without these.
    """

    table: pd.DataFrame
    design: Design
    about: Mapping[str, Any]

    @classmethod
    def of(cls, table: pd.DataFrame, values: Mapping[str, Any]) -> Archive:
        """Return an archive of a table and of the plain values of a design with the facts beside them.

        Raises ValueError or TypeError where the values are no design.
        """
        design = Design.from_dict(values)
        known = {field.name for field in fields(Design)}
        about = {key: value for key, value in values.items() if key not in known}
        unnamed = [
            f"{part}.{field.name}"
            for part, kind in (("model", Model), ("training", Training))
            for field in fields(kind)
            if values.get(part) and field.name not in values[part]
        ]
        return cls(table, design, {"unnamed": unnamed, **about} if unnamed else about)


def write_archive(archive: Archive, folder: Path) -> list[Path]:
    """Write `trials.parquet`, and `trials.csv` with lists as JSON; returns both paths.

    Each file is replaced as a whole or not at all. Raises OSError where that is not possible.
    """
    return write_values(archive.table, {**archive.design.as_dict(), **archive.about}, folder)


def write_values(table: pd.DataFrame, values: Any, folder: Path) -> list[Path]:
    """Write an archive as `write_archive` does, from plain values that have not been checked.

    values: of the design, with the facts beside them.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _METADATA: json.dumps(values).encode()}
    with replacing(folder / ARCHIVE) as part:
        pq.write_table(arrow.replace_schema_metadata(metadata), part, compression="zstd")
    flat = table.copy()
    for column in names_of("integers", "floats"):
        lists = [array.tolist() for array in table[column]]
        flat[column] = [json.dumps([None if np.isnan(x) else x for x in numbers]) for numbers in lists]
    with replacing(folder / TABLE) as part:
        flat.to_csv(part, index=False, lineterminator="\n")
    return [folder / ARCHIVE, folder / TABLE]


def read_archive(path: Path) -> Archive:
    """Return a study from its archive alone.

    An archive may be somebody else's: no class that it names is imported, and all names in it are checked, since they
    may become names of files.
    Raises ValueError for a file that is no archive of a study, or that holds a name that is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is not an archive of a study: {str(error).strip().splitlines()[0]}") from None
    metadata = arrow.schema.metadata or {}
    if _METADATA not in metadata:
        raise ValueError(f"{path} is not an archive of a study: it holds no design")
    try:
        archive = Archive.of(tidy(arrow.to_pylist()), json.loads(metadata[_METADATA]))
        for column in ("study", "stage", "task", "variant"):
            for name in archive.table[column].unique():
                checked_name(name, f"column {column}: a name")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not an archive of a study: {error}") from None
    return archive


def load(study: str, results: Path, storage: str = "", out: Path | None = None) -> Archive:
    """Return a study from its storage; its archive is written on the way.

    study: its name. results: folder of all studies. storage: URL, empty for the journal in the study's folder.
    out: folder that receives the archive, by default `results/<study>`.
    Raises ValueError where there is no such study, where it has no finished trial, or where the archive cannot be
    written.
    """
    from ..study.finding import records

    checked_name(study, "study")
    rows, values = records(results, study, storage, stages=True)
    return keep(study, rows, values, Path(results) / study if out is None else out)


def keep(study: str, rows: Sequence[Row], values: Mapping[str, Any], folder: Path) -> Archive:
    """Return a study from what `runs.study.finding.records` read of it; its archive is written on the way.

    study: its name.
    rows: of its trials.
    values: of its design, with the facts beside them.
    folder: receives the archive.

    Raises ValueError where there is no finished trial, or where the archive cannot be written.
    """
    if not rows:
        raise ValueError(f"study {study!r} holds no finished trial yet")
    archive = Archive.of(tidy(rows), values)
    write_archive(archive, writable(folder))
    return archive
