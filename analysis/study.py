"""A study as the analysis sees it: its trials, its design, and what every table and figure asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pandas as pd

from runs.study.design import Dimension

from .load import names, of_stage, read_archive
from .tables.summary import baseline_of, cells, order, usable


@dataclass(frozen=True, eq=False)
class Study:
    """Trials and design of a study; what is derived from them is computed once.

    every: the tidy table with the trials of all stages.
    design: the design of the search.
    about: facts of the runs: commit, versions, command, sessions, the designs of the stages.
    """

    every: pd.DataFrame
    design: Any
    about: Mapping[str, Any]

    @classmethod
    def of(cls, every: pd.DataFrame, values: Mapping[str, Any]) -> Study:
        """A study from its tidy table and the plain values that are stored with it."""
        return cls(every, _design(values), values)

    @classmethod
    def read(cls, path: Any) -> Study:
        """A study from its archive alone. Raises ValueError for a file that is no archive of a study."""
        return cls.of(*read_archive(path, stages=True))

    @property
    def name(self) -> str:
        """The name of the study."""
        return str(self.design.name)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The trials of the search."""
        return of_stage(self.every, "search")

    def stage(self, name: str) -> pd.DataFrame:
        """The trials of a stage: search, confirm or horizon."""
        return of_stage(self.every, name)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials of the search that say something of a variant: all but the failed ones."""
        return usable(self.table)

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks in the order of the design, then any others of the table."""
        return order(self.table, self.about, "task")

    @cached_property
    def variants(self) -> list[str]:
        """The variants: the baseline first, then in the order of the design, then any others of the table."""
        return order(self.table, self.about, "variant")

    @cached_property
    def baseline(self) -> str | None:
        """The variant that the others are compared with, None where there is none."""
        return baseline_of(self.table, self.about)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per pair of task and variant; see `tables.summary` for the columns."""
        return cells(self.table, self.about)

    @property
    def comparable(self) -> bool:
        """Whether all variants got the same trials: points fixed beforehand, none cut short."""
        return bool(self.design.comparison)

    def of_task(self, task: str) -> Study:
        """This study with one task only."""
        own = self.every[self.every["task"] == task]
        return Study.of(own, {**self.about, "tasks": [task]})

    def with_trials(self, table: pd.DataFrame) -> Study:
        """This study with other trials as those of the search, such as the replicates of a stage."""
        return replace(self, every=table.assign(stage="search"))


def _design(values: Mapping[str, Any]) -> Any:
    # A stand-in until `runs.study.design.Design` can be imported without torch and reads every archive.
    from .tables.comparisons import comparable

    known = {"key", "low", "high", "log", "integer", "complement"}
    space = {
        name: Dimension(**{"key": "training.learning_rate", **{k: v for k, v in node.items() if k in known}})
        for name, node in (values.get("space") or {}).items()
    }
    return SimpleNamespace(
        name=values.get("name", "unnamed"),
        space=space,
        points=int(values.get("points") or 0),
        tasks=names(values.get("tasks")),
        variants=names(values.get("variants")),
        baseline=values.get("baseline"),
        training=SimpleNamespace(**(values.get("training") or {})),
        comparison=comparable(values),
    )
