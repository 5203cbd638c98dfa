"""The stages after a search: its winners confirmed with fresh seeds, and the lag up to which its best configurations
remember.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from tasks import Task

from ..trial.trial import Trial, construct, require
from .design import Design, Dimension, number

Losses = Mapping[int, float | None]  # point to the validation loss of its trial, None where it has none


class Run(NamedTuple):
    """One trial of a stage, the same for all variants.

    choice: which of the chosen points it takes. block: whose winner that is, else -1. replicate: its number among its
    like.
    lag: of the task. purpose: what its seeds are derived from.
    """

    choice: int
    block: int
    replicate: int
    lag: int
    purpose: tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Stage 2. The winner of each block of points, by validation loss, is run again with a fresh seed, on fresh
    validation and test sets.

    Each block is a search of its own, so that its run is an unbiased replicate of "search, then train". In addition the
    best configuration of the whole search is run `repeats` times: a description of that configuration, no test of its
    variant. 200 points make ten blocks of 20 and 20 runs, a tenth of the search; 10 points make two blocks of five.

    blocks: how many at most. block_size: fewest points in a block; N points make blocks of the larger of it and N /
    blocks, and what the division leaves over is left out. repeats: runs of the best configuration; may be raised later.
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
        """The points of each block."""
        size = min(points, max(self.block_size, points // self.blocks))
        return [range(b * size, (b + 1) * size) for b in range(min(self.blocks, points // size))]

    def choose(self, losses: Losses) -> list[int]:
        """The winner of each block, then that of all points."""
        return [ranked({p: losses[p] for p in block})[0] for block in self.partition(len(losses))] + ranked(losses)[:1]

    def runs(self, points: int, lag: int) -> list[Run]:
        """The blocks in order, then the repeats."""
        blocks = len(self.partition(points))
        confirmed = [Run(b, b, 0, lag, ("block", b)) for b in range(blocks)]
        return confirmed + [Run(blocks, -1, r, lag, ("repeat", r)) for r in range(self.repeats)]


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Stage 3. The best configurations at the study's lag, by validation loss, are trained anew at lags that double.

    The lag at which half of the runs solve the task (Spearman-Kärber) is the variant's memory horizon, within the
    study's budget of updates. With ten runs at each lag its standard error is at most .17 doublings for one lag at
    which some runs solve the task and some do not, .24 for two.

    Most variants solve the study's own lag with their best configurations, so that the default looks further up than
    down: half, once, twice and four times the lag. A run takes time in proportion to its lag: if nothing were solved
    early, those would cost as much as 75 trials of the search for each (task, variant), 38 % of a search of 200 points,
    and each doubling more would double that. A horizon beyond the longest lag is reported as a bound, and `above` may
    be raised later: what has been run stays.

    below, above: doublings below and above the study's lag; the shortest lag is rounded and the others are its
    doublings.
    best: configurations. runs_per_lag: shared out among them.
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
        """From short to long, each twice the one before."""
        shortest = max(1, int(lag / 2**self.below + 0.5))
        return [shortest * 2**k for k in range(self.below + self.above + 1)]

    def choose(self, losses: Losses) -> list[int]:
        """The best points that have a loss; where none has one, the first."""
        found = [p for p in ranked(losses) if losses[p] is not None][: self.best]
        return found or ranked(losses)[:1]

    def runs(self, points: int, lag: int) -> list[Run]:
        """Lag by lag."""
        return [Run(j, -1, j, at, (at, j)) for at in self.lags(lag) for j in range(self.runs_per_lag)]


KINDS: dict[str, type[Confirm] | type[Horizon]] = {k.kind: k for k in (Confirm, Horizon)}


def ranked(losses: Losses) -> list[int]:
    """Points from the lowest to the highest loss; without a loss last, equal ones in the order of the search."""
    return sorted(losses, key=lambda p: (losses[p] is None, losses[p] or 0.0, p))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage as plain values: what `Design` is to a search. Everything but the knob that grows is fixed when it is
    first planned.

    search: the design of the study. points: how many the search had when the stage was planned; a search that was
    extended since gets a stage of its own. knobs: of the stage. chosen: task to variant to the points that it runs
    again, as `knobs.choose` chose them.
    """

    search: Design
    points: int
    knobs: Confirm | Horizon
    chosen: Mapping[str, Mapping[str, Sequence[int]]]

    adaptive: ClassVar[bool] = False
    comparison: ClassVar[bool] = True
    pruner: ClassVar[str] = "none"
    sampler: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for task, runs in self._runs.items():
            for lag in {run.lag for run in runs}:
                try:
                    construct(self._node(task, lag), Task)
                except ValueError as error:
                    raise ValueError(
                        f"stage={self.stage} (horizon.below={getattr(self.knobs, 'below', 0)}): {error}"
                    ) from None

    @classmethod
    def plan(cls, search: Design, knobs: Confirm | Horizon, losses: Mapping[tuple[str, str], Losses]) -> Stage:
        """The stage of a search that is complete.

        losses: of each (task, variant). Raises ValueError where the search compares nothing, or a lag is none of the
        task's.
        """
        require(
            search.comparison,
            f"stage={knobs.kind} needs a search in which all variants share their points and run them to the end "
            "(sampler random or sobol, pruner none)",
            f"sampler={search.sampler}, pruner={search.pruner}",
        )
        chosen = {t: {v: knobs.choose(losses[t, v]) for v in search.variants} for t in search.tasks}
        return cls(search=search, points=search.points, knobs=knobs, chosen=chosen)

    @property
    def stage(self) -> str:
        """confirm or horizon."""
        return self.knobs.kind

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.search.name

    @property
    def key(self) -> str:
        """The name in the storage."""
        return stage_key(self.name, self.stage, self.points)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"stage {self.stage} of study {self.name!r}"

    @property
    def space(self) -> Mapping[str, Dimension]:
        """The space of the search."""
        return self.search.space

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, variant) pairs in the order of work."""
        return self.search.cells

    @property
    def length(self) -> int:
        """Number of trials of each (task, variant)."""
        return len(next(iter(self._runs.values())))

    @cached_property
    def _runs(self) -> dict[str, list[Run]]:
        lags = {task: construct(node, Task).lag for task, node in self.search.tasks.items()}
        return {task: self.knobs.runs(self.points, lag) for task, lag in lags.items()}

    def point_of(self, task: str, variant: str, k: int) -> int:
        """The point whose hyperparameters trial k of a (task, variant) has."""
        chosen = self.chosen[task][variant]
        return chosen[self._runs[task][k].choice % len(chosen)]

    def place(self, task: str, k: int) -> dict[str, str | int]:
        """The columns of the tidy table that say what trial k is."""
        run = self._runs[task][k]
        return {"stage": self.stage, "block": run.block, "replicate": run.replicate}

    def unit(self, task: str, point: int) -> dict[str, float]:
        """Coordinates of a point of the search in the unit cube."""
        return self.search.unit(task, point)

    def values(self, task: str, point: int) -> dict[str, float | int]:
        """Hyperparameters of a point of the search."""
        return self.search.values(task, point)

    def trial(self, task: str, variant: str, k: int, values: Mapping[str, float | int] | None = None) -> Trial:
        """Trial k of a (task, variant): a trial of the search with other seeds, the same for all variants, and perhaps
        another lag.
        """
        run = self._runs[task][k]
        searched = self.search.trial(task, variant, self.point_of(task, variant, k), values)
        seed, data_seed = (
            number(self.search.seed, self.stage, what, task, *run.purpose) >> 1 for what in ("trial", "data")
        )
        return replace(searched, task=self._node(task, run.lag), seed=seed, data_seed=data_seed)

    def _node(self, task: str, lag: int) -> Mapping[str, Any]:
        node = self.search.tasks[task]
        return {**node, "lag": lag} if self.knobs.kind == Horizon.kind else node

    def grown(self, wanted: Stage) -> Stage:
        """This stage, which is stored, with the knobs wanted where those make it longer."""
        return replace(self, knobs=wanted.knobs) if wanted.length > self.length else self

    def as_dict(self) -> dict[str, Any]:
        """Plain values without the search, the inverse of `from_dict`."""
        return {"stage": self.stage, "points": self.points, "knobs": asdict(self.knobs), "chosen": self.chosen}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], search: Design) -> Stage:
        """A stage from plain values."""
        knobs = KINDS[values["stage"]](**values["knobs"])
        return cls(search=search, points=values["points"], knobs=knobs, chosen=values["chosen"])

    def differences(self, other: Stage) -> list[str]:
        """What another stage has otherwise, in the manner of `Design.differences`.

        What was chosen stays as it is stored.
        """
        mine, theirs = asdict(self.knobs), asdict(other.knobs)
        return [
            f"{self.stage}.{k}: {mine[k]!r} there, {theirs[k]!r} here"
            for k in mine
            if k != self.knobs.grows and mine[k] != theirs[k]
        ]


Plan = Design | Stage


def stage_key(name: str, stage: str, points: int) -> str:
    """The name in the storage of a stage that is planned from so many points of a study."""
    return f"{name}/{stage}-{points}"
