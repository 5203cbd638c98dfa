"""Reads the search of a page: from its storage, from its table, or from an archive that is shipped."""

from __future__ import annotations

from pathlib import Path

from runs.console.known import meant
from runs.discovery.finding import found
from runs.discovery.table import TABLE, frame, read_table
from runs.record.shipped import PREFIX, located
from runs.study.storage.opening import close_storage

from .search import Search

COLUMNS = (
    *("index", "generation", "arm", "operation", "equations", "key", "parents", "changes", "block", "label"),
    *("proposals", "duplicates", "invalid", "status", "ratio", "score", "parameters", "width"),
)
"""What the page reads of a table, beside the value of each task."""


def search_of(name: str, results: Path, storage: str = "") -> Search:
    """Return a search of the results folder, from its storage.

    name: of the search. results: folder of all studies. storage: URL, empty for the journal in the search's folder.

    Raises ValueError where there is no such search, or where no candidate was tried yet.
    """
    planned = found(results, name, storage)
    try:
        told = planned.told()
        about = {"facts": planned.facts, "sessions": planned.sessions.all()}
    finally:
        close_storage(planned.storage)
    if not told:
        raise ValueError(f"search {name!r}: no candidate was tried yet")
    return Search(planned.plan, frame(planned.plan, told), about)


def search_in(value: str, results: Path) -> Search:
    """Return a search from its table.

    value: path of the file, `archive:<name>`, or the name of a search in the results folder.
    results: folder of all studies.

    Raises ValueError where there is no such table.
    """
    path = table_named(value, results)
    plan, table, about = read_table(path)
    lacking = [name for name in (*COLUMNS, *(f"value_{task}" for task in plan.stages)) if name not in table]
    if lacking:
        raise ValueError(f"{path} must be a table of candidates with the columns {', '.join(lacking)}")
    if not len(table):
        raise ValueError(f"{path}: no candidate was tried yet")
    return Search(plan, table, about)


def table_named(value: str, results: Path) -> Path:
    """Return the path of a table of candidates; see `search_in`."""
    if value.startswith(PREFIX):
        return located(value)
    path, named = Path(value), results / value / TABLE
    if path.is_file() or named.is_file():
        return path if path.is_file() else named
    known = sorted(own.parent.name for own in results.glob(f"*/{TABLE}"))
    is_path = "/" in value or "." in value
    raise ValueError(f"there is no file {value}{'' if is_path else f', and no table {named}{meant(value, known)}'}")
