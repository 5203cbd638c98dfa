"""What a study with fresh points and seeds says of the cells that a search has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from runs.discovery.plan import CellPlan
from runs.discovery.verdict import confirmed, found_label, reached_in, verdict_name
from runs.record.shipped import FOLDER

from ..study import Study
from ..tables.comparisons import BETTER, WORSE, comparisons
from .search import Search


class Row(NamedTuple):
    """What the verdict says of a cell.

    label: as a variant of the study. key: its hash, empty for a known cell.
    search, confirmed: its score in the search and with fresh points, None where it has none.
    better, worse, neither: in how many comparisons with the GRU it is so (a task and a question each).
    """

    label: str
    key: str
    search: float | None
    confirmed: float | None
    better: int
    worse: int
    neither: int

    @property
    def optimism(self) -> float | None:
        """By how much the score of the search was too high; None where one of the two is missing."""
        return None if self.search is None or self.confirmed is None else self.search - self.confirmed


class Verdict(NamedTuple):
    """The verdict on a search.

    study: name of the study. points: how many each cell got. rows: the best confirmed score first.
    finished: whether all trials of its search are there.
    """

    study: str
    points: int
    rows: list[Row]
    finished: bool = True

    @property
    def found(self) -> list[Row]:
        """The rows of the cells that the search has found."""
        return [row for row in self.rows if row.key]

    @property
    def optimism(self) -> float | None:
        """The mean optimism of the cells that were found; None where none was confirmed."""
        known = [row.optimism for row in self.found if row.optimism is not None]
        return sum(known) / len(known) if known else None


def archive_of(plan: CellPlan, results: Path, shipped: bool) -> Path | None:
    """Return the archive of the study of the verdict; None where there is none.

    results: folder of all studies. shipped: whether the archives of the project are looked through, too.
    """
    name = verdict_name(plan)
    places = [results / name / "trials.parquet", *([FOLDER / f"{name}.parquet"] if shipped else [])]
    return next((path for path in places if path.is_file()), None)


def verdict(search: Search, study: Study) -> Verdict:
    """Return what a study says of the cells of a search.

    study: see `runs.discovery.verdict.study_of`.
    """
    records: Any = study.every.to_dict("records")
    scores = confirmed(reached_in(search.plan, records), search.plan.design.baseline)
    found = {found_label(each.key): each for each in search.best}
    known = search.known
    said = _compared(study)
    rows = []
    for variant in study.variants:
        cell = found.get(variant)
        searched = cell or known.get(variant)
        counts = said.get(variant, Counter())
        rows.append(
            Row(
                label=variant,
                key="" if cell is None else cell.key,
                search=None if searched is None else searched.score,
                confirmed=scores.get(variant),
                better=counts[BETTER],
                worse=counts[WORSE],
                neither=counts.total() - counts[BETTER] - counts[WORSE],
            )
        )
    points = int(study.table["point"].nunique())
    finished = len(study.table) >= len(study.tasks) * len(study.variants) * study.design.points
    return Verdict(study.name, points, sorted(rows, key=lambda row: -(row.confirmed or 0.0)), finished)


def _compared(study: Study) -> Mapping[str, Counter[str]]:
    """Return by variant how often each verdict was passed on its difference to the GRU, in what decides a question."""
    table = comparisons(study)
    primary: pd.DataFrame = table[table["primary"]]
    return {str(variant): Counter(own["verdict"].tolist()) for variant, own in primary.groupby("variant")}
