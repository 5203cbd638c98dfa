"""Trials that wait in a storage until a worker claims them: a study has such a queue, and so has a search for cells."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from ..trial.trial import Outcome
from .design import Design
from .part import WHOLE
from .processes import Liveness, alive, is_here, signature
from .sessions import Facts, Sessions
from .storage.contract import Ending, Storage, index_of
from .trials import Claim, Finished, Held, Pair, Waiting

if TYPE_CHECKING:
    from .plan import Listed

ATTEMPTS = 3
"""How often a trial is tried in all where its worker dies or its machine lacks something."""
DIED = "its worker died"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

Claimed = TypeVar("Claimed", bound=Claim)
Ended = TypeVar("Ended")


class Queue(ABC, Generic[Claimed, Ended]):
    """The trials of a plan in a storage, which processes claim, finish, lose and put back.

    plan: what it runs. facts: of its first session. sessions: of the study, and the one in which this process runs
    trials. parent: process id of the process that started this worker and that it lives with, 0 for none. part: whose
    trials this process claims; the plan and the record are of the whole study.
    """

    idle_seconds = 5.0
    """How long a worker without a trial waits before it looks for one again."""
    grows = False
    """Whether trials are added while others run, so that a worker without a trial waits for the next ones."""
    things = "trials"
    """What a line on progress counts."""
    most = 0
    """After how many trials a worker is replaced by a new process; 0 for never."""

    plan: Listed

    def __init__(self, storage: Storage, plan: Listed, facts: Facts, ids: dict[Pair, int]) -> None:
        self.storage, self.plan, self.facts, self._ids = storage, plan, facts, ids
        self.sessions, self.parent, self.part = Sessions(storage, plan.key), 0, WHOLE
        self._queue: list[Waiting] = []  # the next one last
        self._stale = 0.0
        self._liveness = Liveness()

    @property
    def design(self) -> Design:
        """The design of the search."""
        return self.plan.design

    # What is particular to a kind of trials
    # -------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, claim: Claimed, stopping: Callable[[], bool]) -> Ended:
        """Run a claimed trial and return what happened.

        stopping: asked before every update whether to stop. It may raise `OutOfTime`.
        Raises Interrupted as soon as `stopping` answers True, and MachineFault where the machine lacked something.
        """

    @abstractmethod
    def finish(self, claim: Claimed, ended: Ended) -> bool:
        """Store what happened in a claimed trial, in one write.

        Returns False where the trial was taken from this worker meanwhile, as it seemed dead: what happened is dropped,
        and the trial runs again.
        """

    @abstractmethod
    def pilot(self) -> list[str]:
        """Return lines on what the baseline's first trials say; empty until these are finished, or without a pilot."""

    @abstractmethod
    def _template(self, pair: Pair, index: int, attempt: int, **more: Any) -> FrozenTrial:
        """Return a trial that waits, as it is stored."""

    @abstractmethod
    def _leased(self, pair: Pair, index: int, number: int) -> Claimed:
        """Return a trial that this process has just claimed."""

    def _first(self, pair: Pair) -> int:
        """Return how many of the first trials of a pair are claimed before all others."""
        return 0

    def _failure(self, error: str, seconds: float) -> Mapping[str, Any]:
        """Return the outcome of a trial that has failed, as it is stored."""
        return Outcome(status="failed", error=error, seconds=seconds).as_dict()

    # Planning
    # -------------------------------------------------------------------------------------------------------------

    def enqueue(self) -> int:
        """Let every trial of the plan wait that is neither waiting, running nor finished; returns how many."""
        if not self._absent():
            return 0
        with self.storage.alone(self.plan.key):
            return self._enqueue()

    def _enqueue(self) -> int:
        absent = self._absent()
        self.storage.add((self._ids[pair], self._template(pair, index, attempt=1)) for pair, index in absent)
        self._queue = []
        return len(absent)

    def _absent(self) -> list[tuple[Pair, int]]:
        """Return the trials of the plan that no stored trial stands for, in the order of work."""
        retired = self._retired()
        present = {
            pair: {index_of(t) for t in self.trials(pair) if not t.state.is_finished() or has_outcome(t, retired)}
            for pair in self.plan.pairs
        }
        indices = range(self.plan.length)
        return [(pair, index) for index in indices for pair in self.plan.pairs if index not in present[pair]]

    @cached_property
    def _meta(self) -> int:
        return self.storage.get_study_id_from_name(self.plan.key)

    def _retired(self) -> frozenset[int]:
        """Return numbers of the stored trials whose outcome does not count any more."""
        return frozenset(self.storage.get_study_user_attrs(self._meta).get("retired", ()))

    def retry(self) -> int:
        """Let all failed trials wait again, with fresh attempts; returns how many.

        Their outcomes stay in the storage and do not count any more.
        """
        return self._retire(lambda finished: finished.status == "failed")

    def _retire(self, wanted: Callable[[Finished], bool]) -> int:
        with self.storage.alone(self.plan.key):
            found = {finished.stored._trial_id for finished in self.finished_trials() if wanted(finished)}
            if found:
                # One record. If this process is killed after it, the trials are absent, and the next process that
                # plans lets them wait.
                self.storage.set_study_user_attr(self._meta, "retired", sorted(found | self._retired()))
            self._enqueue()
        return len(found)

    def _wait(self, pair: Pair, index: int, attempt: int, **more: Any) -> None:
        self.storage.create_new_trial(self._ids[pair], self._template(pair, index, attempt, **more))
        self._queue = []

    # Trials whose workers are gone
    # -------------------------------------------------------------------------------------------------------------

    def recover(self, ended: Collection[int] = ()) -> int:
        """Let the trials wait again whose workers are dead; returns how many there were.

        A trial that has lost three workers has failed. The death of a worker does not count as an attempt where it was
        ended on purpose, and where its parent is dead too: what ended both was probably not the trial, and the next
        attempt, which comes last, will show it.

        ended: process ids of workers that were ended on purpose.
        """
        found = 0
        for pair in self.plan.pairs:
            for trial in self.trials(pair, (TrialState.RUNNING,)):
                worker = trial.user_attrs.get("worker", {})
                if not self._liveness.is_dead(trial._trial_id, worker, trial.user_attrs.get("beat")):
                    continue
                found += 1
                here = is_here(worker)
                if here and worker["pid"] in ended:
                    self._again(pair, trial)
                elif here and "parent" in worker and not alive(worker["parent"]):
                    self._again(pair, trial, orphaned=trial.user_attrs.get("orphaned", 0) + 1)
                else:
                    self._lost(pair, trial, DIED)
        return found

    def _lost(self, pair: Pair, trial: FrozenTrial, reason: str) -> None:
        """Count a failed attempt at a running trial; after the last attempt the trial has failed, with the reasons."""
        attempt, reasons = trial.user_attrs.get("attempt", 1), [*trial.user_attrs.get("reasons", []), reason]
        if attempt < ATTEMPTS:
            self._again(pair, trial, attempt=attempt + 1, reasons=reasons)
            return
        if {*reasons} == {DIED}:
            self.fail(trial._trial_id, f"{DIED} {attempt} times")
            return
        said = "; ".join(reasons if len({*reasons}) > 1 else reasons[-1:])
        self.fail(trial._trial_id, f"{said} ({attempt} attempts)")

    def _again(self, pair: Pair, trial: FrozenTrial, **changed: Any) -> None:
        """Let a running trial wait again, with what is known of its attempts."""
        kept = ("attempt", "reasons", "orphaned")
        known: dict[str, Any] = {key: trial.user_attrs[key] for key in kept if key in trial.user_attrs}
        # It waits first and fails then. If this process is killed in between, the trial is stored twice, and the second
        # one is dropped when it is claimed.
        self._wait(pair, index_of(trial), **{"attempt": 1, **known, **changed})
        self._drop(trial._trial_id)

    def fail(self, number: int, error: str, seconds: float = 0.0) -> None:
        """Finish a running trial as failed, unless it has ended meanwhile.

        number: of the trial in the storage. seconds: that it took.
        """
        attributes = {"outcome": self._failure(error, seconds), "session": self.sessions.number}
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.finish(number, Ending(TrialState.FAIL, attributes))

    def _drop(self, number: int) -> None:
        # Another process that recovers at the same time may have been faster.
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(number, TrialState.FAIL)

    # Working
    # -------------------------------------------------------------------------------------------------------------

    def claim(self) -> Claimed | None:
        """Take the next waiting trial in the order of the plan, or None where none waits."""
        while self._waits():
            waiting = self._queue.pop()
            pair, index, number = waiting.pair, waiting.index, waiting.number
            try:
                taken = self.storage.set_trial_state_values(number, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                taken = False
            if not taken:
                continue
            self.storage.set_trial_user_attr(number, "worker", signature(self.parent))
            retired = self._retired()
            others = self.storage.others(self._ids[pair], index, number)
            if any(_goes_before(other, waiting.order, retired) for other in others):
                self._drop(number)
                continue
            return self._leased(pair, index, number)
        return None

    def _waits(self) -> bool:
        """Return whether a trial waits.

        The queue is read again when that reading took at most a twentieth of the time since: a database takes seconds
        for thousands of trials.
        """
        if not self._queue or time.monotonic() > self._stale:
            begun = time.monotonic()
            first = {pair: self._first(pair) for pair in self.plan.pairs}
            waiting = [
                Waiting.of(pair, place, trial, first[pair])
                for place, pair in enumerate(self.plan.pairs)
                for trial in self.trials(pair, (TrialState.WAITING,))
                if self.part.has(index_of(trial))
            ]
            self._queue = sorted(waiting, reverse=True)
            self._stale = time.monotonic() + 20 * (time.monotonic() - begun)
        return bool(self._queue)

    def beat(self, lease: Claimed, count: int) -> None:
        """Show other machines that the worker of a trial is alive.

        count: another number each time.
        """
        self.storage.set_trial_user_attr(lease.number, "beat", count)

    def put_back(self, lease: Claimed) -> None:
        """Let a claimed trial wait again, without counting an attempt."""
        stored = self.storage.get_trial(lease.number)
        if not stored.state.is_finished():
            self._again(lease.pair, stored)
        self._queue = []

    def lost(self, lease: Claimed, reason: str) -> None:
        """Count a failed attempt at a claimed trial, for a reason that is not the trial's; it waits again.

        After the last attempt it has failed.
        """
        stored = self.storage.get_trial(lease.number)
        if not stored.state.is_finished():
            self._lost(lease.pair, stored, reason)

    def held(self) -> list[Held]:
        """Return the trials that run, those that have run longest first."""
        found = [Held.of(pair, trial) for pair in self.plan.pairs for trial in self.trials(pair, (TrialState.RUNNING,))]
        return sorted(found, key=lambda held: -held.seconds)

    # Reading
    # -------------------------------------------------------------------------------------------------------------

    def trials(self, pair: Pair, states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        """Return stored trials of a pair of a task and a variant."""
        return self.storage.get_all_trials(self._ids[pair], deepcopy=False, states=states)

    def finished_trials(self) -> Iterator[Finished]:
        """Every trial of the plan that has an outcome, once, ordered by pair and index."""
        retired = self._retired()
        for pair in self.plan.pairs:
            by_index: dict[int, FrozenTrial] = {}
            for trial in self.trials(pair, ENDED):
                if has_outcome(trial, retired) and index_of(trial) < self.plan.length:
                    by_index.setdefault(index_of(trial), trial)
            for index in sorted(by_index):
                yield Finished(*pair, index, by_index[index])

    @property
    def size(self) -> int:
        """Number of trials of the plan."""
        return len(self.plan.pairs) * self.plan.length

    @property
    def share(self) -> int:
        """Number of trials of the part of this process: all, unless it was told to run a part."""
        return len(self.plan.pairs) * sum(map(self.part.has, range(self.plan.length)))

    def left(self) -> int:
        """Return how many trials of the part of this process have not finished."""
        return self.share - sum(self.part.has(finished.index) for finished in self.finished_trials())

    def finished(self) -> bool:
        """Return whether every trial of the part of this process has finished."""
        return self.left() == 0

    def waiting(self) -> int:
        """Return how many trials of the part of this process neither run nor have finished."""
        return self.left() - sum(self.part.has(held.index) for held in self.held())

    def failures(self) -> list[Finished]:
        """Return the trials that have failed."""
        return [finished for finished in self.finished_trials() if finished.status == "failed"]


def has_outcome(trial: FrozenTrial, retired: Collection[int]) -> bool:
    """Return whether a stored trial has an outcome that counts; others wait, run, were put back, lost or retired."""
    return "outcome" in trial.user_attrs and trial._trial_id not in retired


def _goes_before(trial: FrozenTrial, order: int, retired: Collection[int]) -> bool:
    """Return whether another stored trial of the same index replaces one that was just claimed.

    It does where it has an outcome that counts, or where it runs and was stored earlier.

    order: in which the claimed one was stored.
    """
    if trial.state.is_finished():
        return has_outcome(trial, retired)
    return trial.state == TrialState.RUNNING and trial.number < order
