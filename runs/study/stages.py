"""The stages after a search: its winners are confirmed with fresh seeds, and trained at longer lags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from tasks import Task

from ..rules import require
from ..trial.classes import construct
from .design import Design, Node, seed_for
from .plan import Plan, Planned, Search
from .ranking import Results, ranked


class Run(NamedTuple):
    """One trial of a stage, the same for all variants.

    choice: which of the points that the stage has chosen gives its hyperparameters; counted around where there are
        fewer.
    block: the block of points whose winner it runs again, -1 for none.
    replicate: its number among the runs of the same block, or at the same lag.
    lag: of the task.
    purpose: what its seeds are derived from.
    """

    choice: int
    block: int
    replicate: int
    lag: int
    purpose: tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The second stage: the winners of the search are run again with fresh seeds, on fresh validation and test sets.

    The points are divided into blocks, and the best point of each block (see `runs.study.ranking`) is run once. A block
    is as good as a separate search, so that its run is an unbiased replicate of "search, then train". In addition the
    best configuration of the whole search is run `repeats` times, which describes that configuration and tests nothing.
    200 points make ten blocks of 20 and 20 runs, a tenth of the search; 10 points make two blocks of five.

    blocks: largest number of blocks.
    block_size: fewest points in a block. N points make blocks of N / blocks points where that is more; points that the
        division leaves over are in no block.
    repeats: runs of the best configuration; may be raised later.
    """

    kind: ClassVar[str] = "confirm"
    grows: ClassVar[str] = "repeats"

    blocks: int = 10
    block_size: int = 5
    repeats: int = 10

    def __post_init__(self) -> None:
        require(self.blocks >= 1, "confirm.blocks must be at least 1", self.blocks)
        require(self.block_size >= 1, "confirm.block_size must be at least 1", self.block_size)
        require(self.repeats >= 0, "confirm.repeats must be at least 0", self.repeats)

    def partition(self, points: int) -> list[range]:
        """Return the points of each block."""
        size = min(points, max(self.block_size, points // self.blocks))
        return [range(b * size, (b + 1) * size) for b in range(min(self.blocks, points // size))]

    def choose(self, results: Results, by_steps: bool = True) -> list[int]:
        """Return the winner of each block, then that of all points.

        by_steps: whether steps to solve decide, see `runs.study.ranking.rank_key`.
        """
        blocks = [{p: results[p] for p in block} for block in self.partition(len(results))]
        return [ranked(each, by_steps)[0] for each in (*blocks, results)]

    def runs(self, points: int, lag: int) -> list[Run]:
        """Return the blocks in order, then the repeats."""
        blocks = len(self.partition(points))
        confirmed = [Run(b, b, 0, lag, ("block", b)) for b in range(blocks)]
        return confirmed + [Run(blocks, -1, r, lag, ("repeat", r)) for r in range(self.repeats)]


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """The third stage: the best configurations of the search are trained with fresh seeds at lags that double.

    The lag at which half of the runs solve the task (Spearman-Kärber) is the variant's memory horizon, within the
    study's budget of updates. With ten runs at each lag its standard error is at most .17 doublings where some runs
    solve the task and some do not at one lag, and .24 where that is so at two lags.

    Most variants solve the study's own lag with their best configurations, so that by default there are more lags above
    it than below: half, once, twice and four times the lag. The time of a run is proportional to its lag: if nothing
    were solved early, these runs would cost as much as 75 trials of the search for each pair of a task and a variant,
    38 % of a search of 200 points, and each further doubling would double that. A horizon beyond the longest lag is
    reported as a bound, and `above` may be raised later, which keeps the runs that are done.

    Each task of a series has a horizon of its own: its best configurations at its lag, trained at lags around it. Runs
    of two tasks of a series at the same lag share their seeds, so that they differ in their configurations only.

    below, above: doublings below and above the study's lag. The shortest lag is rounded, the others are its doublings.
    best: number of configurations, the best at the study's lag (see `runs.study.ranking`).
    runs_per_lag: number of runs at each lag; they take turns with the configurations.
    """

    kind: ClassVar[str] = "horizon"
    grows: ClassVar[str] = "above"

    below: int = 1
    above: int = 2
    best: int = 3
    runs_per_lag: int = 10

    def __post_init__(self) -> None:
        require(self.below >= 0, "horizon.below must be at least 0", self.below)
        require(self.above >= 0, "horizon.above must be at least 0", self.above)
        require(self.best >= 1, "horizon.best must be at least 1", self.best)
        require(
            self.runs_per_lag >= self.best,
            f"horizon.runs_per_lag must be at least horizon.best ({self.best})",
            self.runs_per_lag,
        )

    def lags(self, lag: int) -> list[int]:
        """Return the lags from short to long, each twice the one before."""
        shortest = max(1, int(lag / 2**self.below + 0.5))
        return [shortest * 2**k for k in range(self.below + self.above + 1)]

    def choose(self, results: Results, by_steps: bool = True) -> list[int]:
        """Return the best points that have a loss; where none has one, the first.

        by_steps: whether steps to solve decide, see `runs.study.ranking.rank_key`.
        """
        found = ranked(results, by_steps)
        return [p for p in found if results[p].validation_loss is not None][: self.best] or found[:1]

    def runs(self, points: int, lag: int) -> list[Run]:
        """Return the runs, lag by lag."""
        return [Run(j, -1, j, at, (at, j)) for at in self.lags(lag) for j in range(self.runs_per_lag)]


KINDS: dict[str, type[Confirm] | type[Horizon]] = {k.kind: k for k in (Confirm, Horizon)}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The plan of a stage after a search. It is fixed when it is first stored, except for the knob that may grow.

    search: the plan of the search.
    points: how many the search had when the stage was planned; after the search is extended it gets a new stage.
    knobs: of the stage.
    chosen: task to variant to the points that are run again, as `knobs.choose` chose them.
    """

    search: Search
    points: int
    knobs: Confirm | Horizon
    chosen: Mapping[str, Mapping[str, Sequence[int]]]

    def __post_init__(self) -> None:
        for task, runs in self._runs.items():
            for lag in {run.lag for run in runs}:
                try:
                    construct(self._node(task, lag), Task)
                except ValueError as error:
                    below = getattr(self.knobs, "below", 0)
                    raise ValueError(f"stage={self.stage} (horizon.below={below}): {error}") from None

    @classmethod
    def after(cls, search: Search, knobs: Confirm | Horizon, results: Mapping[tuple[str, str], Results]) -> Stage:
        """Return the stage that follows a complete search.

        results: of each pair of a task and a variant.
        Raises ValueError where the search is no comparison of variants, or where the task has no such lag.
        """
        design = search.design
        require(
            design.comparison,
            f"stage={knobs.kind} needs a search in which all variants share their points and run them to the end "
            "(sampler random or sobol, pruner none)",
            f"sampler={design.sampler}, pruner={design.pruner}",
        )
        by_steps = design.training.stop_when_solved
        chosen = {t: {v: knobs.choose(results[t, v], by_steps) for v in design.variants} for t in design.tasks}
        return cls(search=search, points=design.points, knobs=knobs, chosen=chosen)

    @property
    def design(self) -> Design:
        """The design of the search."""
        return self.search.design

    @property
    def stage(self) -> str:
        """confirm or horizon."""
        return self.knobs.kind

    @property
    def key(self) -> str:
        """The name in the storage."""
        return f"{self.design.name}/{self.stage}-{self.points}"

    @property
    def title(self) -> str:
        """The name in messages."""
        return f"stage {self.stage} of study {self.design.name!r}"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of a task and a variant, in the order of work."""
        return self.design.pairs

    @property
    def length(self) -> int:
        """Number of trials of each pair."""
        return len(next(iter(self._runs.values())))

    @cached_property
    def _runs(self) -> dict[str, list[Run]]:
        lags = {task: construct(node, Task).lag for task, node in self.design.tasks.items()}
        none = [task for task, lag in lags.items() if lag is None]
        rule = f"stage={self.stage} needs tasks with a lag"
        require(self.knobs.kind != Horizon.kind or not none, f"{rule}, which these do not have", ", ".join(none))
        return {task: self.knobs.runs(self.points, lag or 0) for task, lag in lags.items()}

    def runs_of(self, task: str) -> list[Run]:
        """Return the runs of a task, which are the same for all variants, in the order of their indices."""
        return self._runs[task]

    def point_of(self, task: str, variant: str, index: int) -> int:
        """Return the point of the search whose hyperparameters a trial of a pair has."""
        chosen = self.chosen[task][variant]
        return chosen[self._runs[task][index].choice % len(chosen)]

    def planned(self, task: str, variant: str, index: int, values: Mapping[str, float | int] | None = None) -> Planned:
        """Return a trial of a pair: one of the search with other seeds, or at another lag.

        All variants have the same seeds, and so have all tasks of a series.

        values: the hyperparameters; by default those of its point.
        """
        run, point = self._runs[task][index], self.point_of(task, variant, index)
        purpose = (self.design.series_of(task), *run.purpose)
        trial = replace(
            self.search.trial(task, variant, point, values),
            task=self._node(task, run.lag),
            seed=seed_for(self.design.seed, self.stage, "trial", *purpose) >> 1,
            data_seed=seed_for(self.design.seed, self.stage, "data", *purpose) >> 1,
        )
        return Planned(index, point, run.block, run.replicate, trial)

    def _node(self, task: str, lag: int) -> Node:
        node = self.design.tasks[task]
        return {**node, "lag": lag} if self.knobs.kind == Horizon.kind else node

    def grown(self, wanted: Plan) -> Plan:
        """This stage, with the knobs that are wanted where these make it longer; what was chosen stays."""
        if isinstance(wanted, Stage) and wanted.length > self.length:
            return replace(self, knobs=wanted.knobs)
        return self

    def fixed(self) -> dict[str, Any]:
        """Return the knobs of the stage but the one that may grow."""
        return {f"{self.stage}.{k}": v for k, v in asdict(self.knobs).items() if k != self.knobs.grows}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values without the search, the inverse of `from_dict`."""
        return {"stage": self.stage, "points": self.points, "knobs": asdict(self.knobs), "chosen": self.chosen}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], search: Search) -> Stage:
        """Return a stage from plain values."""
        knobs = KINDS[values["stage"]](**values["knobs"])
        return cls(search=search, points=values["points"], knobs=knobs, chosen=values["chosen"])
