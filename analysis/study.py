"""A study as the analysis sees it: its trials, its design, and what every table and figure asks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from runs.record.archive import Archive, read_archive
from runs.record.baselines import checked
from runs.record.rows import of_stage
from runs.record.shipped import CURVES
from runs.study.design import Design
from runs.trial.trial import READER

from .goals import UNKNOWN, Goal, goals_of
from .statistics.best import order_of
from .tables.summary import in_order, summarise, usable

BASELINES = ("vanilla", "greff_v")  # in studies whose design does not say
PLAIN = ("variants.RNN", "variants.rnn")  # the plain tanh network: its class, and its name where no class is on record


@dataclass(frozen=True, eq=False)
class Study:
    """Trials and design of a study; what is derived from them is computed once.

    every: the tidy table with the trials of all stages, see `runs.record.rows`.
    design: the design of the search.
    about: facts that are stored with the trials: commit, versions, command, `sessions`, and the plans of the `stages`.
    """

    every: pd.DataFrame
    design: Design
    about: Mapping[str, Any]

    @classmethod
    def of(cls, every: pd.DataFrame, values: Mapping[str, Any]) -> Study:
        """Return a study from its tidy table and the plain values of its design, with the facts beside them."""
        return cls.from_archive(Archive.of(every, values))

    @classmethod
    def from_archive(cls, archive: Archive) -> Study:
        """Return the study that an archive holds."""
        return cls(archive.table, archive.design, archive.about)

    @classmethod
    def read(cls, path: Path) -> Study:
        """Return a study from its archive alone.

        path: of `trials.parquet`.

        Raises ValueError for a file that is no archive of a study.
        """
        return cls.from_archive(read_archive(path))

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.design.name

    @cached_property
    def goals(self) -> dict[str, Goal]:
        """What the losses of each task with trials are held against, and their unit."""
        losses: dict[str, list[float]] = {}
        for task, own in checked(self.about.get("baselines", {})).items():
            losses[task] = [r["loss"] for r in own if r["kind"] == "no_input" and r.get("loss") is not None]
        stops = self.design.training.stop_when_solved
        return goals_of(self.every, {task: min(own) for task, own in losses.items() if own}, stops=stops)

    def solvable(self, task: str) -> bool:
        """Return whether a task has a criterion of success; one without any trial is taken to have one."""
        return self.goals.get(task, UNKNOWN).solvable

    @cached_property
    def series(self) -> dict[str, dict[int, str]]:
        """The tasks of each series by their lags, the shortest first; a task in no series is one of its own."""
        found: dict[str, dict[int, str]] = {}
        lags = self.table.groupby("task", sort=False)["lag"].first()
        for task in self.tasks:
            lag: Any = lags.get(task, self.design.tasks.get(task, {}).get("lag", 0))
            found.setdefault(self.design.series_of(task), {})[int(lag)] = task
        return {series: dict(sorted(tasks.items())) for series, tasks in found.items()}

    @cached_property
    def controls(self) -> list[str]:
        """The variants that are the plain tanh network, which should not solve a task that needs memory.

        Those in another network than the reader are none: with attention the network remembers in place of the cell.
        """
        read = [variant for variant in self.variants if dict(self.design.network_of(variant)) == READER]
        nodes = {variant: self.design.variants.get(variant, {}) for variant in read}
        return [variant for variant, node in nodes.items() if node.get("_target_", f"variants.{variant}") in PLAIN]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The trials of the search, with a column `order`: lower is better, see `statistics.best.order_of`."""
        trials = of_stage(self.every, "search")
        by_steps = self.design.training.stop_when_solved
        return trials.assign(order=order_of(trials["solved_step"], trials["validation_loss"], by_steps))

    def stage(self, name: str) -> pd.DataFrame:
        """Return the trials of a stage: search, confirm or horizon."""
        return of_stage(self.every, name)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials of the search that say something about a variant: all but the failed ones."""
        return usable(self.table)

    @cached_property
    def curveless(self) -> str:
        """Why no learning curve can be drawn, in one sentence; empty where one can."""
        if self.every["curve_steps"].map(len).any():
            return ""
        if not (self.every["steps"] > 0).any():
            return "No trial of this study has a learning curve."
        return (
            f"The archive of this study holds no learning curves: they are in {self.name}{CURVES}, and are read where "
            "that file lies beside the archive."
        )

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks in the order of the design, then any others of the table."""
        return in_order(list(self.design.tasks), self.every["task"])

    @cached_property
    def variants(self) -> list[str]:
        """The variants: the baseline first, then in the order of the design, then any others of the table."""
        every = in_order(list(self.design.variants), self.every["variant"])
        return sorted(every, key=lambda name: name != self.baseline)

    @cached_property
    def beside(self) -> list[str]:
        """The variants that are no combination of a study with factors, such as cells added to its archive."""
        factors = self.design.factors
        return [] if factors is None else [variant for variant in self.variants if variant not in factors.cells]

    @cached_property
    def baseline(self) -> str | None:
        """The variant that the others are compared with, None where there is none."""
        listed = {*self.design.variants, *self.every["variant"]}
        return next((name for name in (self.design.baseline, *BASELINES) if name in listed), None)

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of a task and a variant, in order."""
        return ((task, variant) for task in self.tasks for variant in self.variants)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per pair of a task and a variant; `tables.summary.summarise` says which columns."""
        return summarise(self.table, self.tasks, self.variants, self.goals)

    @property
    def hyperparameters(self) -> list[str]:
        """The hyperparameters of the search space that the table holds."""
        return [name for name in self.design.space if name in self.every]

    @property
    def comparable(self) -> bool:
        """Whether all variants got the same trials: points fixed beforehand, none cut short."""
        return self.design.comparison

    def of_task(self, task: str) -> Study:
        """This study with one task only."""
        design = replace(self.design, tasks={task: self.design.tasks.get(task, {"label": task})})
        part = replace(self, every=self.every[self.every["task"] == task], design=design)
        if part.variants == self.variants:  # its rows of the summary are known: a cached property is in the dictionary
            own = self.summary[self.summary["task"] == task].reset_index(drop=True)
            part.__dict__.update(summary=own)
        return part

    def with_trials(self, table: pd.DataFrame) -> Study:
        """This study with other trials as those of the search, such as the replicates of a stage."""
        return replace(self, every=table.assign(stage="search"))
