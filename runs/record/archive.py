"""The archive of a study: one Parquet file with its table, its design and the facts of its runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import replacing, writable
from ..names import checked_name
from ..rules import require
from ..study.design import Design
from ..trial.trial import Model, Training
from .content import checksum
from .rows import ORDER, Row, names_of, tidied, tidy
from .shipped import CURVES, SEARCH

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ARCHIVE = "trials.parquet"
TABLE = "trials.csv"
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
        _refuse_other_facts(about)
        unnamed = [
            f"{part}.{field.name}"
            for part, kind in (("model", Model), ("training", Training))
            for field in fields(kind)
            if values.get(part) and field.name not in values[part]
        ]
        return cls(table, design, {"unnamed": unnamed, **about} if unnamed else about)

    def session(self, stage: str, number: int) -> Mapping[str, Any]:
        """Return the facts of the session in which a trial ran: commit, versions, processor; empty where unknown.

        stage, number: the values of its row in the columns `stage` and `session`.
        """
        own = self.about if stage == "search" else (self.about.get("stages") or {}).get(stage, {})
        sessions = own.get("sessions") or [own]
        return dict(sessions[number]) if number < len(sessions) else {}

    @property
    def planned(self) -> dict[str, int]:
        """The number of trials of each pair of a task and a variant, by stage, when the study is complete."""
        known = {"search": self.design.points or int(self.table["point"].max() + 1)}
        pairs = max(len(self.design.pairs), 1)
        stages = (self.about.get("stages") or {}).items()
        return known | {stage: int(own.get("trials", 0)) // pairs for stage, own in stages}

    @property
    def missing(self) -> Counter[tuple[str, str, str]]:
        """The number of trials that the study still lacks, by stage, task and variant; none where it is complete."""
        done = Counter(zip(*(self.table[name].tolist() for name in ("stage", "task", "variant")), strict=True))
        wanted = {(stage, *pair): count for stage, count in self.planned.items() for pair in self.design.pairs}
        return Counter({place: count - done[place] for place, count in wanted.items() if count > done[place]})


def _refuse_other_facts(about: Mapping[str, Any]) -> None:
    """Raise ValueError where what stands beside a design is not as `Archive.about` has it."""
    stages, unnamed = about.get("stages") or {}, about.get("unnamed") or []
    require(isinstance(stages, Mapping), "stages of an archive must be plans by their names", stages)
    require(isinstance(unnamed, list), "knobs that trials were made without must be a list", unnamed)
    for own in (about, *stages.values()):
        require(isinstance(own, Mapping), "a stage of an archive must have a plan", own)
        sessions = own.get("sessions") or []
        fine = isinstance(sessions, list) and all(isinstance(facts, Mapping) for facts in sessions)
        require(fine, "sessions of an archive must be a list of mappings", sessions)


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
    store_table(pa.Table.from_pandas(table, preserve_index=False), values, folder / ARCHIVE, compression="zstd")
    flat = table.copy()
    for column in names_of("integers", "floats"):
        lists = [array.tolist() for array in table[column]]
        flat[column] = [json.dumps([None if np.isnan(x) else x for x in numbers]) for numbers in lists]
    with replacing(folder / TABLE) as part:
        flat.to_csv(part, index=False, lineterminator="\n")
    return [folder / ARCHIVE, folder / TABLE]


def store_table(table: pa.Table, values: Any, path: Path, **options: Any) -> None:
    """Write a Parquet file with the design of a study, the number of the schema and a checksum in its metadata.

    table: of trials.
    values: of the design, with the facts beside them.
    path: of the file, which is replaced as a whole or not at all.
    options: of `pyarrow.parquet.ParquetWriter`.
    """
    import pyarrow.parquet as pq

    own = {_DESIGN: json.dumps(values), _SCHEMA: str(SCHEMA), _CHECKSUM: checksum_of(table, values)}
    table = table.replace_schema_metadata(None)
    # without Arrow's own copy of the schema, which would hold the design a second time
    with replacing(path) as part, pq.ParquetWriter(part, table.schema, store_schema=False, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({key.decode(): value for key, value in own.items()})


def checksum_of(table: pa.Table, values: Any) -> str:
    """Return the checksum of the archive that `store_table` writes of a table and values."""
    return checksum(table, json.dumps(values).encode())


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
        table = _with_metrics(arrow).to_pandas(ignore_metadata=True)
        if not set(names_of("integers", "floats")) & set(table):
            table = _with_curves(table, path.with_name(path.stem + CURVES))
        archive = Archive.of(tidied(table), json.loads(arrow.schema.metadata[_DESIGN]))
        for column in ("study", "stage", "task", "variant"):
            for name in archive.table[column].unique():
                checked_name(name, f"column {column}: a name")
        _refuse_twice(archive.table)
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
            if SEARCH in metadata:
                raise ValueError(
                    f"{path} is the table of a search over cells and not the archive of a study: "
                    "python -m analysis.discovery reads it"
                )
            if _DESIGN not in metadata:
                raise ValueError(f"{path} is not an archive of a study: it holds no design")
            _refuse_later(path, metadata.get(_SCHEMA, b"1"))
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not an archive of a study: {str(error).strip().splitlines()[0]}") from None
    stored = metadata.get(_CHECKSUM, b"").decode(errors="replace")
    if {_SCHEMA, _CHECKSUM} & {*metadata} and stored != (found := checksum(table, metadata[_DESIGN])):
        raise ValueError(
            f"{path} was changed after it was written: its checksum is {stored[:12]}, that of its content {found[:12]}"
        )
    return table


def stored_checksum(table: pa.Table) -> str:
    """Return the checksum of the content that an archive names; empty for one of the first schema."""
    return bytes((table.schema.metadata or {}).get(_CHECKSUM, b"")).decode(errors="replace")


def stored_schema(path: Path) -> int:
    """Return the number of the schema of an archive, without reading its trials."""
    import pyarrow.parquet as pq

    return int((pq.read_schema(path).metadata or {}).get(_SCHEMA, b"1"))


def _refuse_twice(table: pd.DataFrame) -> None:
    """Raise ValueError for a table that has two trials in one place."""
    twice = table[table.duplicated([*ORDER])]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(f"it holds the trial {row['stage']} {row['task']} {row['variant']} {row['point']} twice")


def _refuse_later(path: Path, schema: bytes) -> None:
    number = schema.decode(errors="replace")
    if not (number.isascii() and number.isdigit() and len(number) < 9) or int(number) > SCHEMA:
        raise ValueError(
            f"{path} is an archive of schema {number[:20]}, and this version reads schemas up to {SCHEMA}: a later "
            "version of the project is needed"
        )


def _with_metrics(table: pa.Table) -> pa.Table:
    """Return a table whose metrics on the test set are one text, which schema 2 may have in columns."""
    import pyarrow as pa

    names = [name for name in table.column_names if name.startswith(METRIC)]
    if "test_metrics" in table.column_names or "test_loss" not in table.column_names:
        return table
    keys = ["loss", *(name.removeprefix(METRIC) for name in names)]
    columns = [table.column(name).to_pylist() for name in ("test_loss", *names)]
    texts = [
        json.dumps({key: value for key, value in zip(keys, values, strict=True) if value is not None})
        for values in zip(*columns, strict=True)
    ]
    return table.drop_columns(names).append_column("test_metrics", pa.array(texts, pa.string()))


def _with_curves(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a table with the curves of its trials: those of a file where it is there, else empty ones.

    path: of the file of curves.
    Raises ValueError where it is no file of curves, or lacks those of a trial.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = names_of("integers", "floats")
    if not path.is_file():
        return table.assign(**{name: pd.Series([()] * len(table), table.index, dtype="object") for name in names})
    try:
        curves = pq.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} is no file of curves: {str(error).strip().splitlines()[0]}") from None
    if not {"trial_id", *names} <= set(curves) or "trial_id" not in table:
        raise ValueError(f"{path.name} is no file of curves: it needs the columns trial_id, {', '.join(names)}")
    known = curves.drop_duplicates("trial_id").set_index("trial_id")
    lost = int((~table["trial_id"].isin(known.index)).sum())
    if lost:
        raise ValueError(
            f"{path.name} lacks the curves of {lost} of {len(table)} trials: it belongs to another state of the "
            "study; without this file the archive is read without curves"
        )
    return table.assign(**{name: known[name].reindex(table["trial_id"]).to_numpy() for name in names})


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
