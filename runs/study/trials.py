"""Trials of a study on their way through its storage: waiting, claimed, running somewhere, finished, or arriving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial

from ..trial.trial import Outcome, Trial
from .processes import Signature, is_here
from .processes import alive as is_alive
from .storage.contract import index_of

Pair = tuple[str, str]
"""Labels of a task and a variant."""
Place = tuple[str, str, int]
"""Labels of a task and a variant, and the index of a trial in the plan."""


@dataclass(frozen=True)
class Claim:
    """What this process has claimed and runs.

    number: of the trial in the storage.
    task, variant: labels of its pair. index: its number in the plan.
    """

    number: int
    task: str
    variant: str
    index: int

    @property
    def pair(self) -> Pair:
        """Labels of its task and its variant."""
        return self.task, self.variant


@dataclass(frozen=True)
class Lease(Claim):
    """A trial of a study that this process has claimed and runs.

    trial: what to run.
    """

    trial: Trial


@dataclass(frozen=True)
class Finished:
    """A trial that has an outcome.

    task, variant: labels of its pair. index: its number in the plan.
    stored: its record in the storage.
    """

    task: str
    variant: str
    index: int
    stored: FrozenTrial

    @property
    def place(self) -> Place:
        """Its task, its variant and its index."""
        return self.task, self.variant, self.index

    @property
    def outcome(self) -> Outcome:
        """What happened in it."""
        return Outcome.from_dict(self.stored.user_attrs["outcome"])

    @property
    def status(self) -> str:
        """The status of its outcome."""
        return str(self.stored.user_attrs["outcome"]["status"])

    @property
    def session(self) -> int:
        """The number of the session in which it ran, 0 for trials from before there were sessions."""
        return int(self.stored.user_attrs.get("session", 0))


@dataclass(frozen=True)
class Arrival:
    """A trial that has ended elsewhere and becomes one of this study.

    task, variant: labels of its pair. index: its number in the plan.
    trial: what was run. values: its hyperparameters.
    outcome: what happened in it.
    session: the number, in this study, of the session in which it ran.
    """

    task: str
    variant: str
    index: int
    trial: Trial
    values: Mapping[str, float | int]
    outcome: Outcome
    session: int

    @property
    def pair(self) -> Pair:
        """Labels of its task and its variant."""
        return self.task, self.variant

    @property
    def place(self) -> Place:
        """Its task, its variant and its index."""
        return self.task, self.variant, self.index


@dataclass(frozen=True)
class Held:
    """A trial that is running somewhere.

    task, variant: labels of its pair. index: its number in the plan. number: of the trial in the storage.
    seconds: since when it runs.
    worker: the process that runs it. here: whether that is a process of this machine. alive: whether it lives; a
        process of another machine is taken to do so.
    """

    task: str
    variant: str
    index: int
    number: int
    seconds: float
    worker: Signature
    here: bool
    alive: bool

    @classmethod
    def of(cls, pair: Pair, trial: FrozenTrial) -> Held:
        """Return a running trial of a pair, from its record in the storage."""
        worker = trial.user_attrs.get("worker", {})
        here = is_here(worker)
        seconds = (datetime.now() - trial.datetime_start).total_seconds() if trial.datetime_start else 0.0
        living = not here or is_alive(worker)
        return cls(*pair, index_of(trial), trial._trial_id, max(0.0, seconds), worker, here, living)

    def __str__(self) -> str:
        where = "" if self.here else f" of {self.worker.get('host', 'a machine that has not signed')}"
        process = f"process {self.worker.get('pid', '?')}{where}{'' if self.alive else ', which is gone'}"
        return f"{self.task} {self.variant} {self.index} for {self.seconds:.0f} s in {process}"


@dataclass(frozen=True, order=True)
class Waiting:
    """A trial that waits. Trials are claimed in the order of these values.

    tries: how often it was tried or lost its worker together with its parent. What has killed a worker comes last, so
        that it takes down as little as possible.
    after_pilot: whether it is none of the pilot, which comes first, see `runs.study.pilot`.
    index: its number in the plan. place: that of its pair in the order of work.
    order: in which it was stored. number: of the trial in the storage.
    pair: labels of its task and variant.
    """

    tries: int
    after_pilot: bool
    index: int
    place: int
    order: int
    number: int
    pair: Pair

    @classmethod
    def of(cls, pair: Pair, place: int, trial: FrozenTrial, pilot: int) -> Waiting:
        """Return a waiting trial of a pair, from its record in the storage.

        pilot: how many of the first trials of this pair are the study's pilot.
        """
        tries = int(trial.user_attrs["attempt"] + trial.user_attrs.get("orphaned", 0))
        index = index_of(trial)
        return cls(tries, index >= pilot, index, place, trial.number, trial._trial_id, pair)
