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
from .content import checksum
from .rows import Row, names_of, tidy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ARCHIVE = "trials.parquet"
TABLE = "trials.csv"
CURVES = ".curves.parquet"
"""What the name of the file ends with that holds the learning curves of an archive without them."""

SCHEMA = 2
"""The number of the form of an archive; files without a number have the first one.

1: the columns of `runs.record.rows` as far as that version had them, with the learning curves.
2: a checksum; columns of the curves' ends; curves may be absent or in a file of their own, numbers may be stored in
   fewer bits where nothing is lost, and the metrics on the test set may be columns `test_metrics.<name>`.
"""

METRIC = "test_metrics."
_DESIGN, _SCHEMA, _CHECKSUM = b"lstm_variants_design", b"lstm_variants_schema", b"lstm_variants_checksum"


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

    folder.mkdir(parents=True, exist_ok=True)
    write_table(pa.Table.from_pandas(table, preserve_index=False), values, folder / ARCHIVE, compression="zstd")
    flat = table.copy()
    for column in names_of("integers", "floats"):
        lists = [array.tolist() for array in table[column]]
        flat[column] = [json.dumps([None if np.isnan(x) else x for x in numbers]) for numbers in lists]
    with replacing(folder / TABLE) as part:
        flat.to_csv(part, index=False, lineterminator="\n")
    return [folder / ARCHIVE, folder / TABLE]


def write_table(table: pa.Table, values: Any, path: Path, **options: Any) -> None:
    """Write a Parquet file with the design of a study, the number of the schema and a checksum in its metadata.

    table: of trials.
    values: of the design, with the facts beside them.
    path: of the file, which is replaced as a whole or not at all.
    options: of `pyarrow.parquet.write_table`.
    """
    import pyarrow.parquet as pq

    design = json.dumps(values).encode()
    own = {_DESIGN: design, _SCHEMA: str(SCHEMA).encode(), _CHECKSUM: checksum(table, design).encode()}
    with replacing(path) as part:
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **own}), part, **options)


def read_archive(path: Path) -> Archive:
    """Return a study from its archive alone.

    The learning curves of an archive without them are read from `<name>.curves.parquet` where that lies beside it;
    else they are empty. An archive may be somebody else's: no class that it names is imported, and all names in it are
    checked, since they may become names of files.

    path: of the Parquet file.

    Raises ValueError for a file that is no archive of a study, that has a schema of a later version, that was changed
    after it was written, or that holds a name that is none.
    """
    arrow = read_table(path)
    try:
        rows, lists = _with_metrics(arrow.to_pylist()), names_of("integers", "floats")
        if not set(lists) & set(arrow.column_names):
            curves = _curves(path.with_name(path.stem + CURVES), [str(row.get("trial_id")) for row in rows])
            rows = [{**row, **dict(zip(lists, own, strict=True))} for row, own in zip(rows, curves, strict=True)]
        archive = Archive.of(tidy(rows), json.loads(arrow.schema.metadata[_DESIGN]))
        for column in ("study", "stage", "task", "variant"):
            for name in archive.table[column].unique():
                checked_name(name, f"column {column}: a name")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not an archive of a study: {error}") from None
    return archive


def read_table(path: Path) -> pa.Table:
    """Return the table of an archive as it is stored, with its metadata.

    Raises ValueError for a file that is no archive of a study, that has a schema of a later version, or whose content
    is not that of its checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            if _DESIGN not in metadata:
                raise ValueError(f"{path} is not an archive of a study: it holds no design")
            _refuse_later(path, metadata.get(_SCHEMA, b"1"))
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not an archive of a study: {str(error).strip().splitlines()[0]}") from None
    stored = metadata.get(_CHECKSUM, b"").decode(errors="replace")
    if _SCHEMA in metadata and stored != (found := checksum(table, metadata[_DESIGN])):
        raise ValueError(
            f"{path} was changed after it was written: its checksum is {stored[:12]}, that of its content {found[:12]}"
        )
    return table


def stored_checksum(table: pa.Table) -> str:
    """Return the checksum of the content that an archive names; empty for one of the first schema."""
    return bytes((table.schema.metadata or {}).get(_CHECKSUM, b"")).decode(errors="replace")


def stored_schema(table: pa.Table) -> int:
    """Return the number of the schema of an archive."""
    return int((table.schema.metadata or {}).get(_SCHEMA, b"1"))


def _refuse_later(path: Path, schema: bytes) -> None:
    number = schema.decode(errors="replace")
    if not (number.isascii() and number.isdigit() and len(number) < 9) or int(number) > SCHEMA:
        raise ValueError(
            f"{path} is an archive of schema {number[:20]}, and this version reads schemas up to {SCHEMA}: a later "
            "version of the project is needed"
        )


def _with_metrics(rows: list[Row]) -> list[Row]:
    """Return rows whose metrics on the test set are one text, which schema 2 may have in columns."""
    names = [name for name in (rows[0] if rows else ()) if name.startswith(METRIC)]
    if not rows or "test_metrics" in rows[0]:
        return rows
    whole = []
    for row in rows:
        metrics = {"loss": row.get("test_loss"), **{name.removeprefix(METRIC): row.pop(name) for name in names}}
        text = json.dumps({name: value for name, value in metrics.items() if value is not None})
        whole.append({**row, "test_metrics": text})
    return whole


def _curves(path: Path, trials: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the curves of trials, from a file of curves where it is there: steps, losses and training losses.

    path: of that file. trials: their ids.
    Raises ValueError where it is no file of curves, or lacks those of a trial.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return [((), (), ()) for _ in trials]
    names = ("trial_id", *names_of("integers", "floats"))
    try:
        columns = pq.read_table(path, columns=list(names)).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} is no file of curves: {str(error).strip().splitlines()[0]}") from None
    if set(columns) != set(names):
        raise ValueError(f"{path.name} is no file of curves: it needs the columns {', '.join(names)}")
    known = dict(zip(columns["trial_id"], zip(*(columns[name] for name in names[1:]), strict=True), strict=True))
    lost = sum(trial not in known for trial in trials)
    if lost:
        raise ValueError(
            f"{path.name} lacks the curves of {lost} of {len(trials)} trials: it belongs to another state of the "
            "study; without this file the archive is read without curves"
        )
    return [known[trial] for trial in trials]


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
