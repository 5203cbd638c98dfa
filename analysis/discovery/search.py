"""A search for cells as its page sees it: the table of candidates, and which cells were best after each generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from runs.discovery.candidate import SCORED
from runs.discovery.plan import MUTATION, NAMES, RANDOM, REFERENCE, START, CellPlan
from runs.discovery.scoring import ARMS_OF

AGAIN = "again"
"""The operation of a candidate that is a cell of the pool, evaluated at further points."""


@dataclass(frozen=True)
class Standing:
    """A cell that was scored, and where it stood after a generation.

    index: number of its first evaluation. arm: of that. label: of a known cell, empty for one that was found.
    key, equations: of the cell. parameters: of its network on the first task, None where the table does not say.
    ratios: by task the most that it reached, divided by the most that the GRU reached at the same points.
    evaluations: at how many blocks of points.
    """

    index: int
    arm: str
    label: str
    key: str
    equations: str
    parameters: int | None
    ratios: Mapping[str, float]
    evaluations: int

    @property
    def score(self) -> float:
        """The smallest of the ratios."""
        return min(self.ratios.values())


@dataclass(frozen=True, eq=False)
class Search:
    """The candidates of a search and what was found of them.

    plan: of the search. table: see `runs.discovery.table.frame`. about: `facts` and `sessions` of the search.
    """

    plan: CellPlan
    table: pd.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the search."""
        return self.plan.design.name

    @cached_property
    def rows(self) -> dict[int, Mapping[str, Any]]:
        """The rows of the table by the numbers of the candidates."""
        records: Any = self.table.to_dict("records")
        return {int(row["index"]): row for row in records}

    @cached_property
    def cells(self) -> dict[str, str]:
        """The equations of the cells that the search was given, by label: the GRU first, then those of the start."""
        known = (row for row in self.rows.values() if row["arm"] in (REFERENCE, START))
        return {str(row["label"]): str(row["equations"]) for row in known}

    @cached_property
    def reference(self) -> dict[int, dict[str, float]]:
        """By block of points and by task the most that the GRU reached; 0 where its evaluation failed."""
        found = {int(row["block"]): row for row in self.rows.values() if row["arm"] == REFERENCE}
        return {
            block: {task: _number(found.get(block, {}).get(f"value_{task}")) for task in self.plan.stages}
            for block in range(self.plan.blocks)
        }

    @property
    def width(self) -> int:
        """Units of the GRU on the first task; those of the design where the table does not say."""
        widths = [row["width"] for row in self.rows.values() if row["arm"] == REFERENCE]
        known = [int(width) for width in widths if not pd.isna(width)]
        return known[0] if known else self.plan.design.model.hidden_size

    @cached_property
    def names(self) -> list[float]:
        """The scores of the GRU under its other names, the best first."""
        return sorted(self.ratios_of(NAMES), reverse=True)

    def ratios_of(self, arm: str) -> list[float]:
        """Return the ratios of the evaluations of an arm that were scored, in their order."""
        own = self.table[self.table["arm"] == arm]
        return [float(value) for value in own["ratio"].dropna()]

    def new(self, arm: str) -> pd.DataFrame:
        """Return the rows of an arm whose cell was new; without further evaluations, and without those never found."""
        own = self.table[self.table["arm"] == arm]
        return own[(own["operation"] != AGAIN) & (own["equations"] != "")]

    # The best cells
    # -----------------------------------------------------------------------------------------------------------------

    def standings(self, arm: str) -> list[list[Standing]]:
        """Return the scored cells of an arm after each generation, the best first.

        Of cells that compute the same only the first one is there, as in `runs.discovery.scoring.members`: the table
        has a score at the first evaluation of each such cell.

        arm: mutation, with which are the cells of the start; or another one.
        """
        arms = ARMS_OF.get(arm, (arm,))
        values: dict[str, dict[int, Mapping[str, Any]]] = {}
        now: dict[str, Standing] = {}
        mine = self.table[(self.table["status"] == SCORED) & self.table["arm"].isin(arms)]
        mine = mine[mine["key"].isin(mine.loc[mine["score"].notna(), "key"])]
        by_generation: dict[Any, Any] = {number: own.to_dict("records") for number, own in mine.groupby("generation")}
        found = []
        for generation in range(int(self.table["generation"].max()) + 1 if len(self.table) else 0):
            for row in by_generation.get(generation, []):
                key = str(row["key"])
                values.setdefault(key, {}).setdefault(int(row["block"]), row)
                now[key] = self._standing(values[key])
            found.append(sorted(now.values(), key=lambda each: (-each.score, each.index)))
        return found

    def _standing(self, blocks: Mapping[int, Mapping[str, Any]]) -> Standing:
        """Return where a cell stands; blocks: its evaluations."""
        ratios = {}
        for task in self.plan.tasks:
            own = max(_number(row[f"value_{task}"]) for row in blocks.values())
            best = max(self.reference[block][task] for block in blocks)
            ratios[task] = own / best if best > 0 else 0.0
        first = next(iter(blocks.values()))
        parameters = None if pd.isna(first["parameters"]) else int(first["parameters"])
        known = first["arm"] in (REFERENCE, START)
        label = str(first["label"]) if known else ""
        said = str(first["arm"]), label, str(first["key"]), str(first["equations"]), parameters
        return Standing(int(first["index"]), *said, ratios, len(blocks))

    @cached_property
    def mutants(self) -> list[list[Standing]]:
        """The standings of the search itself, see `standings`."""
        return self.standings(MUTATION)

    @cached_property
    def random(self) -> list[list[Standing]]:
        """The standings of the control without a memory of what was good, see `standings`."""
        return self.standings(RANDOM)

    @cached_property
    def best(self) -> list[Standing]:
        """The cells that the search has found, the best first; without those that it was given."""
        last = self.mutants[-1] if self.mutants else []
        return [each for each in last if each.arm == MUTATION]

    @cached_property
    def known(self) -> dict[str, Standing]:
        """The cells that the search was given, by label: the GRU first."""
        last = self.mutants[-1] if self.mutants else []
        found = {each.label: each for each in last if each.label}
        return {label: found[label] for label in self.cells if label in found}


def _number(value: Any) -> float:
    """Return a value of the table as a number, 0 where it is missing."""
    return 0.0 if value is None or pd.isna(value) else float(value)
