"""The candidates of a search as a table, one row each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..files import replacing
from ..record.shipped import SEARCH
from ..study.storage.opening import close_storage
from .candidate import SCORED, Told
from .finding import found
from .plan import ARMS, CellPlan
from .scoring import members
from .search import CellSearch

TABLE = "candidates.parquet"
"""The file in the folder of a search."""
PLAN = SEARCH
"""The key of the plan in the metadata of the file."""


def frame(plan: CellPlan, told: Sequence[Told]) -> pd.DataFrame:
    """Return the candidates as a table, in the order of their numbers.

    told: all candidates that were tried.

    The columns are those of `runs.discovery.candidate`, and for each task:
    `value_<task>`, the most that the candidate reached (see `runs.discovery.scoring.value`), not a number where it was
    not trained; `solved_<task>`, the smallest number of updates after which it was solved; `seconds_<task>` and
    `seconds_checks`. `ratio` is that of this evaluation; `score`, that over all points at which its cell was evaluated,
    stands at the first evaluation of each cell.
    """
    scores = {member.first.index: member.score for arm in ARMS for member in members(plan, told, arm)}
    rows = [_row(plan, each, scores.get(each.candidate.index)) for each in told]
    table = pd.DataFrame(rows, columns=None if rows else ["index"])
    for column in table.columns:
        if column.startswith(("seconds", "value_")):
            table[column] = table[column].astype("float32")
        elif column in ("twin", "width", "parameters") or column.startswith("solved_"):
            table[column] = table[column].astype("Int32")
    return table


def _row(plan: CellPlan, told: Told, score: float | None) -> dict[str, Any]:
    candidate, result = told.candidate, told.result
    row: dict[str, Any] = {
        **candidate.as_dict(),
        "parents": ";".join(map(str, candidate.parents)),
        "changes": ";".join(candidate.changes),
        "status": result.status,
        "reason": "" if result.status in (SCORED, *plan.stages) else result.reason,
        "ratio": result.ratio,
        "score": score,
        "parameters": result.parameters or None,
        "width": result.widths.get(plan.tasks[0]),
        "twin": result.twin,
        "seconds": round(result.seconds, 2),
        "seconds_checks": round(result.by_stage.get("checks", 0.0), 3),
    }
    for task in plan.stages:
        values, solved = result.values.get(task, ()), result.solved.get(task, ())
        row[f"value_{task}"] = max(values, default=None)
        row[f"solved_{task}"] = min((step for step in solved if step is not None), default=None)
        row[f"seconds_{task}"] = round(result.by_stage.get(task, 0.0), 2)
    return row


def save_table(search: CellSearch, path: Path) -> pd.DataFrame:
    """Write the candidates of a search as parquet, with the plan and the facts in the metadata; returns the table."""
    table = frame(search.plan, search.told())
    write_candidates(search.plan, table, {"facts": search.facts, "sessions": search.sessions.all()}, path)
    return table


def write_candidates(plan: CellPlan, table: pd.DataFrame, facts: Mapping[str, Any], path: Path) -> None:
    """Write a table of candidates as parquet.

    plan: of the search, which goes into the metadata. facts: `facts` and `sessions` of the search, likewise.
    path: of the file, which is replaced as a whole or not at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = {**plan.as_dict(), **facts}
    stored = pa.Table.from_pandas(table, preserve_index=False)
    stored = stored.replace_schema_metadata({**(stored.schema.metadata or {}), PLAN: json.dumps(about).encode()})
    with replacing(path) as part:
        pq.write_table(stored, part, compression="zstd", compression_level=19)


def read_table(path: Path) -> tuple[CellPlan, pd.DataFrame, dict[str, Any]]:
    """Return the plan, the candidates and the facts of a search that `save_table` has written.

    Raises ValueError for a file that is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stored = pq.read_table(path)
        about = json.loads((stored.schema.metadata or {})[PLAN])
    except (KeyError, ValueError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path} must be a table of candidates, as action=export of a search writes it") from error
    facts = {"facts": about.pop("facts", {}), "sessions": about.pop("sessions", [])}
    return CellPlan.from_dict(about), stored.to_pandas(), facts


def load_search(name: str, results: Path | str = "results", storage: str = "") -> tuple[CellPlan, list[Told]]:
    """Return the plan of a search and the candidates that were tried.

    name: of the search. results: folder of all searches. storage: URL, empty for the journal in the search's folder.
    Raises ValueError where there is no such search.
    """
    search = found(Path(results), name, storage)
    try:
        return search.plan, search.told()
    finally:
        close_storage(search.storage)
