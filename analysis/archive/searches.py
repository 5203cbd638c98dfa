"""Makes the shipped table of a search for cells, and says what such a table holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from runs.discovery.plan import MUTATION, RANDOM, CellPlan
from runs.discovery.table import PLAN, read_table, write_candidates
from runs.files import writable
from runs.names import checked_name
from runs.record.shipped import sum_of, write_sum
from runs.record.shipping import public, refuse_paths, without_folders
from runs.study.design import differences

from .. import words
from .listing import place, size

MOST_BYTES = 1_000_000  # of an archive in the repository
SINGLE = ("ratio", "score")


def is_search(path: Path) -> bool:
    """Return whether a file is a table of candidates, as its metadata say; False for what is no parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return PLAN in (pq.read_schema(path).metadata or {})
    except (pa.ArrowInvalid, OSError):
        return False


def make_search(plan: CellPlan, table: pd.DataFrame, about: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Write the table of a search as it is shipped, and its checksum; yields lines on it.

    Ratios and scores are in single precision, and of the times only that of each candidate is there. Names of machines,
    commands that name folders, and folders in the reasons of failed candidates are left out.

    plan, table, about: see `analysis.discovery.search.Search`. folder: receives `<name>.parquet` and `SHA256SUMS`.

    Raises ValueError where the archive that is there is of another search, or has candidates that this one lacks.
    """
    name = checked_name(plan.design.name, "search")
    path = writable(folder, "out") / f"{name}.parquet"
    refuse_paths(plan.as_dict())
    facts = {
        "facts": {key: value for key, value in public(about.get("facts") or {}).items() if key not in LISTS},
        "sessions": public({"sessions": about.get("sessions") or []})["sessions"],
    }
    own = shipped(table)
    same = path.is_file() and refuse_loss(path, plan, own, facts)
    if not same:
        write_candidates(plan, own, facts, path)
    write_sum(path)
    first, *others = described_search(path)
    yield f"{first}{'; as before' if same else ''}"
    yield from (f"  {line}" for line in others)
    if path.stat().st_size > MOST_BYTES:
        yield f"  it is larger than {MOST_BYTES // 1000:,} kB, which is much for a file in a repository"


LISTS = ("sessions", "stages")
"""What `public` adds to the facts of a study, which the facts of a search do not have."""


def shipped(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a table of candidates that are shipped, in as few bits as they need."""
    kept = table[[name for name in table.columns if not name.startswith("seconds_")]]
    single = {name: "float32" for name in SINGLE if name in kept}
    reasons = [without_folders(str(text)) for text in kept["reason"]]
    return kept.astype(single).assign(reason=reasons)


def refuse_loss(path: Path, plan: CellPlan, table: pd.DataFrame, facts: Mapping[str, Any]) -> bool:
    """Return whether the archive that is there holds the same, and raise ValueError where this one would lose some.

    path: of the archive that is there. plan, table, facts: what is to be written.
    """
    if not is_search(path):
        raise ValueError(f"{path.name} is there and is no table of candidates: out=FOLDER")
    known, before, about = read_table(path)
    found = differences(known.fixed(), plan.fixed())
    if found:
        raise ValueError(f"{path.name} is there with another plan ({'; '.join(found[:3])}): out=FOLDER")
    lost = len({*before["index"]} - {*table["index"]})
    if lost:
        raise ValueError(
            f"{path.name} is there with {lost} candidates that this search does not have; remove the file to lose them"
        )
    again = before.astype(table.dtypes.to_dict())
    return known == plan and bool(again.equals(table)) and about == facts


def described_search(path: Path) -> list[str]:
    """Return the lines on a table of candidates; the first begins with its name.

    Raises ValueError for a file that is no such table.
    """
    plan, table, about = read_table(path)
    counts = {arm: int(((table["arm"] == arm) & (table["operation"] != "again")).sum()) for arm in (MUTATION, RANDOM)}
    left = plan.length - len(table)
    facts = ["complete" if left <= 0 else f"{left:,} missing", size(path), f"SHA-256 {sum_of(path)[:12]}"]
    of = f"{counts[MUTATION]:,} mutants and {counts[RANDOM]:,} random cells"
    lines = [f"{path.stem}: search for cells, {len(table):,} candidates ({of}), {', '.join(facts)}"]
    sessions = [*(about["sessions"] or [about["facts"]])]
    places = dict.fromkeys(place(own) for own in sessions if own)
    scored = int(table["score"].notna().sum())
    return [*lines, *places, f"{scored:,} cells scored on {words.listed([words.spoken(task) for task in plan.tasks])}"]
