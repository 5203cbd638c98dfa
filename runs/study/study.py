"""A study and its storage in Optuna: plan, claim, tell, recover. The storage is the record; every worker on every
machine talks to it.

One Optuna study per (task, variant), named `<study>/<task>/<variant>`, holds its trials; one named `<study>` holds the
design. A point is a waiting trial until a worker claims it. Points are claimed in interleaved order, so that a study
stopped at any time is balanced. A stage after the search is a study as well, named `<study>/<stage>-<points>`; its
trials are numbered where those of a search are points.

Whoever runs trials does so in a session: facts (commit, versions, processor) that are stored once and that each outcome
points to.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import optuna
import psutil
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tasks import Task

from ..console.known import instead
from ..record.facts import alike, changes, code, environment, facts
from ..record.rows import Row, row_of
from ..rules import require
from ..secrets_in_urls import without_password
from ..trial.evaluation import evaluation_grid
from ..trial.faults import Pruned
from ..trial.trial import Outcome, Trial, construct
from .design import Design, differences
from .plan import Plan, Search
from .space import Dimension
from .stages import Stage
from .storage.database import Database
from .storage.journal import Journal

LARGEST_CURVE = 20  # intermediate values that are stored with a trial
ATTEMPTS = 3  # a point whose worker died, or whose machine lacked something, is tried this many times in all
DIED = "its worker died"
BEAT_SECONDS = 20.0  # a worker shows this often that it lives
SILENCE_SECONDS = 120.0  # and is held for dead by other machines after this time without
DATABASE_AWAY = ("OperationalError", "InterfaceError", "PendingRollbackError")  # of SQLAlchemy
UNSIGNED_SECONDS = 30.0  # a claim whose owner died before it could sign it

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

Storage = Journal | Database


def open_storage(url: str, folder: Path) -> Storage:
    """The Optuna storage behind a URL; empty stands for the journal file in the study's folder.

    Raises ValueError for SQLite: several workers on one study then run trials twice.
    """
    if url.startswith("sqlite"):
        raise ValueError(
            "storage: SQLite is refused for studies because several workers would run trials twice and block each other; "
            f"leave storage empty for a journal file or give a PostgreSQL URL, got {url.partition(':')[0]}"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url:
        return open_database(url)
    folder.mkdir(parents=True, exist_ok=True)
    return Journal(str(folder / "journal.log"))


class StorageAway(ConnectionError, ValueError):
    """A database that cannot be reached: worth another try to a worker, a mistake to a command."""


def open_database(url: str) -> Storage:
    """The Optuna storage in a database; its tables are created where absent.

    Raises StorageAway, or ValueError for a wrong URL.
    """
    for attempt in range(10):
        try:
            return Database(url)
        except Exception as error:  # of SQLAlchemy, of a driver, of Optuna
            # Workers that start on an empty database create its tables at the same moment; all but one
            # fail, and find them next time.
            if type(error).__name__ in ("IntegrityError", "ProgrammingError") and attempt < 9:
                time.sleep(0.5 + random.random())
                continue
            kind = StorageAway if type(error).__name__ in DATABASE_AWAY else ValueError
            reason = " ".join(str(getattr(error, "orig", None) or error).split("(Background on")[0].split())
            raise kind(
                f"storage: cannot open {without_password(url)}: {without_password(reason.replace(url, '...'), url)[:300]}"
            ) from None
    raise AssertionError("unreachable")


T = TypeVar("T")


def patiently(action: Callable[[], T], stopping: Callable[[], bool] = lambda: False, seconds: float = 1800.0) -> T:
    """Do something with a storage, again and again where it is away for a while: a full disk, a database that restarts.

    Whatever is done must bear being done twice. Raises the last error after half an hour, or when asked to stop.
    """
    end, pause = time.monotonic() + seconds, 0.5
    while True:
        try:
            return action()
        except Exception as error:
            away = (
                isinstance(error, OSError | optuna.exceptions.StorageInternalError)
                or type(error).__name__ in DATABASE_AWAY
            )
            if not away or stopping() or time.monotonic() > end:
                raise
            print(
                f"storage is away ({type(error).__name__}: {without_password(str(error).splitlines()[0])[:100]}); trying again",
                file=sys.stderr,
                flush=True,
            )
            time.sleep(pause)
            pause = min(10.0, 2 * pause)


def close_storage(storage: Storage) -> None:
    """Give back the connections of a database; a journal holds none."""
    storage.remove_session()
    if isinstance(storage, Database):
        storage.engine.dispose()


@dataclass(frozen=True)
class Claim:
    """A trial that this process has taken: its number in the storage, its place in the design, and what to run."""

    number: int
    task: str
    variant: str
    point: int
    trial: Trial


@dataclass(frozen=True)
class Finished:
    """A trial that has an outcome, in the storage.

    task, variant: labels of its pair. index: its number in the plan.
    """

    task: str
    variant: str
    index: int
    stored: FrozenTrial

    @property
    def outcome(self) -> Outcome:
        """What happened in it."""
        return Outcome.from_dict(self.stored.user_attrs["outcome"])

    @property
    def session(self) -> int:
        """The number of the session in which it ran, 0 for trials from before there were sessions."""
        return int(self.stored.user_attrs.get("session", 0))


class Held(NamedTuple):
    """A trial that somebody runs, for so many seconds.

    worker: who, as claims are signed. here: whether that is a process of this machine. alive: whether it lives, as far
    as can be told.
    """

    task: str
    variant: str
    point: int
    number: int
    seconds: float
    worker: dict[str, Any]
    here: bool
    alive: bool

    def __str__(self) -> str:
        where = "" if self.here else f" of {self.worker.get('host', 'a machine that has not signed')}"
        gone = "" if self.alive else ", which is gone"
        return f"{self.task} {self.variant} {self.point} for {self.seconds:.0f} s in process {self.worker.get('pid', '?')}{where}{gone}"


class Study:
    """A planned study in a storage.

    facts: of its first session. session: the number of the session in which this process runs trials, see `join`.
    parent: process id of the process that started this worker, 0 for none.
    """

    def __init__(self, storage: Storage, plan: Plan, facts: dict[str, Any], ids: dict[tuple[str, str], int]) -> None:
        self.storage, self.plan, self.facts, self._ids = storage, plan, facts, ids
        self.session, self.parent = 0, 0
        self._queue: list[tuple[int, int, int, int, int, tuple[str, str]]] = []  # of waiting trials, the next one last
        self._stale = 0.0

    @property
    def design(self) -> Design:
        """The design of the search."""
        return self.plan.design

    # Opening
    # --------------------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, storage: Storage, plan: Plan, facts: dict[str, Any]) -> Study:
        """Open the study of this plan, creating or extending it; processes that do so at the same time wait for each
        other.

        facts: versions, commit, command and the like, stored as a session of the study unless it is finished.
        Raises ValueError where the storage holds a study of this name with another design, saying what differs.
        """
        with storage.alone(plan.key):
            return cls._create(storage, plan, facts)

    @classmethod
    def _create(cls, storage: Storage, plan: Plan, facts: dict[str, Any]) -> Study:
        known = None
        try:
            known = cls.open(storage, plan.key)
        except KeyError:
            names = {s.study_name for s in storage.get_all_studies()}
            if plan.key not in names:
                storage.create_new_study([StudyDirection.MINIMIZE], plan.key)
            meta = storage.get_study_id_from_name(plan.key)
            storage.set_study_user_attr(meta, "facts", facts)
        else:
            anew = (
                f"Start anew under another name: name={plan.design.name}_2"
                if plan.stage == "search"
                else "It stays as it was planned first"
            )
            known.refuse_another(plan, f"Nothing was changed. {anew}")
            plan = known.plan.grown(plan)
            meta = storage.get_study_id_from_name(plan.key)
        storage.set_study_user_attr(meta, "design", plan.as_dict())
        existing = {s.study_name for s in storage.get_all_studies()}
        ids = {}
        for task, variant in plan.pairs:
            name = f"{plan.key}/{task}/{variant}"
            new = name not in existing
            ids[task, variant] = (
                storage.create_new_study([StudyDirection.MINIMIZE], name)
                if new
                else storage.get_study_id_from_name(name)
            )
        study = cls(storage, plan, facts if known is None else known.facts, ids)
        if known is not None and not study.finished():
            study._begin(facts)
        study.recover()
        study._enqueue()
        storage.set_study_user_attr(meta, "planned", plan.length)
        return study

    @classmethod
    def open(cls, storage: Storage, key: str) -> Study:
        """A study, or a stage of one, that was planned before. Raises KeyError if there is none of this name."""
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(key))
        if "design" not in attributes:
            raise KeyError(key)
        values = attributes["design"]
        plan: Plan
        if "chosen" in values:
            search = cls.open(storage, key.partition("/")[0]).plan
            assert isinstance(search, Search)
            plan = Stage.from_dict(values, search)
        else:
            plan = Search(Design.from_dict(values))
            require(plan.key == key, f"the study stored as {key!r} must have this name", plan.key)
        existing = {s.study_name: s._study_id for s in storage.get_all_studies()}
        ids = {(t, v): existing[f"{key}/{t}/{v}"] for t, v in plan.pairs if f"{key}/{t}/{v}" in existing}
        return cls(storage, plan, attributes.get("facts", {}), ids)

    @classmethod
    def await_plan(cls, storage: Storage, plan: Plan, seconds: float = 600.0) -> Study:
        """The study as soon as another process has planned it. Raises TimeoutError if none does so in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(plan.key))
            except KeyError:
                attributes = {}
            if attributes.get("planned", 0) >= plan.length:
                study = cls.open(storage, plan.key)
                study.refuse_another(plan)
                return study
            time.sleep(0.5)
        raise TimeoutError(f"{plan.title} was not planned within {seconds:.0f} s; is worker 0 running?")

    def refuse_another(self, plan: Plan, advice: str = "") -> None:
        """Raise ValueError, saying what differs, where this study was planned differently."""
        found = differences(self.plan.fixed(), plan.fixed())
        if found:
            raise ValueError(f"{plan.title} exists with a different design ({'; '.join(found)}). {advice}".strip())

    @classmethod
    def stages(cls, storage: Storage, name: str) -> list[Study]:
        """The stages of a study that were planned, those of the fewest points first."""
        keys = [
            s.study_name
            for s in storage.get_all_studies()
            if s.study_name.startswith(f"{name}/") and "design" in s.user_attrs
        ]
        stages = [(study.plan, study) for study in (cls.open(storage, key) for key in keys)]
        planned = [(plan.points, study) for plan, study in stages if isinstance(plan, Stage)]
        return [study for _, study in sorted(planned, key=lambda pair: pair[0])]

    # Sessions
    # -------------------------------------------------------------------------------------------------------------

    @cached_property
    def _meta(self) -> int:
        return self.storage.get_study_id_from_name(self.plan.key)

    def sessions(self) -> list[dict[str, Any]]:
        """The facts of every session in which trials of this study could run, in the order of their numbers."""
        attributes = self.storage.get_study_user_attrs(self._meta)
        later = itertools.takewhile(lambda key: key in attributes, (f"session {k}" for k in itertools.count(1)))
        return [attributes.get("facts", {}), *(attributes[key] for key in later)]

    def _begin(self, facts: dict[str, Any]) -> None:
        self.session = len(self.sessions())
        self.storage.set_study_user_attr(self._meta, f"session {self.session}", facts)

    def join(self) -> None:
        """Run trials in the latest session with the code, the versions and the processor of this process; begin one
        where there is none.
        """
        if not self._joined():
            with self.storage.alone(self.plan.key):
                if not self._joined():
                    self._begin(facts())

    def _joined(self) -> bool:
        mine = environment()
        same = [k for k, known in enumerate(self.sessions()) if alike(known, mine)]
        self.session = same[-1] if same else self.session
        return bool(same)

    def news(self, number: int | None = None) -> str:
        """One line on what numbers depend on and what is different in a session from an earlier one; empty where
        nothing is.

        number: of the session, by default that of this process.
        """
        sessions, number = self.sessions(), self.session if number is None else number
        for k in reversed(range(number)):
            different = changes(sessions[k], sessions[number])
            if different:
                return (
                    f"session {number} differs from session {k} of this study: {', '.join(different)}; "
                    "numbers may differ in the last bits or more, and the column `session` says which trial ran in which"
                )
        return ""

    def facts_of(self, stored: FrozenTrial) -> dict[str, Any]:
        """The facts of the session in which a stored trial ran."""
        k = int(stored.user_attrs.get("session", 0))
        if k >= len(self._known):
            self._known = self.sessions()
        return self._known[k] if k < len(self._known) else {}

    @cached_property
    def _known(self) -> list[dict[str, Any]]:
        return self.sessions()

    # Planning
    # -------------------------------------------------------------------------------------------------------------

    def enqueue(self) -> int:
        """Make every point of the design wait that is neither waiting, running nor told; returns how many."""
        if not self._absent():
            return 0
        with self.storage.alone(self.plan.key):
            return self._enqueue()

    def _enqueue(self) -> int:
        absent = self._absent()
        self.storage.add((self._ids[cell], self._template(cell, point, attempt=1)) for cell, point in absent)
        self._queue = []
        return len(absent)

    def _absent(self) -> list[tuple[tuple[str, str], int]]:
        retired = self._retired()
        present = {
            cell: {t.user_attrs["point"] for t in self.trials(cell) if _counts(t, retired)} for cell in self.plan.pairs
        }
        return [
            (cell, point) for point in range(self.plan.length) for cell in self.plan.pairs if point not in present[cell]
        ]

    def _retired(self) -> frozenset[int]:
        """Numbers of the stored trials whose outcome does not count any more."""
        return frozenset(self.storage.get_study_user_attrs(self._meta).get("retired", ()))

    def retry(self) -> int:
        """Make the points of all failed trials wait again, with fresh attempts; returns how many.

        Their outcomes stay in the storage and do not count any more.
        """
        return self._retire(lambda task, variant, t: t.user_attrs["outcome"]["status"] == "failed")

    def set_aside(self) -> int:
        """Make the points wait again whose stored trial is not the one of the design; returns how many."""
        return self._retire(lambda task, variant, t: self.stranger(task, variant, t) != "")

    def _retire(self, wanted: Callable[[str, str, FrozenTrial], bool]) -> int:
        with self.storage.alone(self.plan.key):
            found = {t._trial_id for task, variant, t in self.told() if wanted(task, variant, t)}
            if found:
                # One record: killed after it, the points are absent, and the next to plan makes them wait.
                self.storage.set_study_user_attr(self._meta, "retired", sorted(found | self._retired()))
            self._enqueue()
        return len(found)

    def _wait(self, cell: tuple[str, str], point: int, attempt: int, **more: Any) -> None:
        self.storage.create_new_trial(self._ids[cell], self._template(cell, point, attempt, **more))
        self._queue = []

    def _template(self, cell: tuple[str, str], point: int, attempt: int, **more: Any) -> FrozenTrial:
        adaptive = self.design.adaptive
        return create_trial(
            state=TrialState.WAITING,
            params={} if adaptive else self.design.values(cell[0], self.plan.point_of(*cell, point)),
            distributions={} if adaptive else self.distributions,
            user_attrs={"point": point, "attempt": attempt, **{key: value for key, value in more.items() if value}},
        )

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The space as Optuna writes it."""
        return {name: distribution(d) for name, d in self.design.space.items()}

    def recover(self, ended: Collection[int] = ()) -> int:
        """Put back the points whose workers died; a point that killed three is told failed. Returns how many.

        A worker of this machine is dead when its process is; one of another machine when its heartbeat has stood still
        for two minutes by this process's own clock.

        ended: process ids of workers that were ended on purpose; their deaths do not count against their trials. Nor
        does that of a
        worker whose parent is dead too: whatever took both was not the trial, or the next attempt, which comes last,
        will show it.
        """
        found = 0
        for cell in self.plan.pairs:
            for trial in self.trials(cell, (TrialState.RUNNING,)):
                worker: dict[str, Any] = trial.user_attrs.get("worker", {})
                here = worker.get("host") == socket.gethostname()
                if here:
                    dead = not alive(worker)
                else:
                    beat = (worker, trial.user_attrs.get("beat"))
                    known, since = self._beats.get(trial._trial_id, (None, 0.0))
                    if known != beat:
                        self._beats[trial._trial_id] = (beat, time.monotonic())
                        dead = False
                    else:
                        dead = time.monotonic() - since > (SILENCE_SECONDS if worker else UNSIGNED_SECONDS)
                if not dead:
                    continue
                found += 1
                if here and worker["pid"] in ended:
                    self._again(cell, trial)
                elif here and "parent" in worker and not alive(worker["parent"]):
                    self._again(cell, trial, orphaned=trial.user_attrs.get("orphaned", 0) + 1)
                else:
                    self._lost(cell, trial, DIED)
        return found

    @cached_property
    def _beats(self) -> dict[int, tuple[Any, float]]:
        return {}

    def _lost(self, cell: tuple[str, str], trial: FrozenTrial, reason: str) -> None:
        """Count an attempt at a running trial that came to nothing; after the last the point is told failed, with the
        reasons.
        """
        attempt, reasons = trial.user_attrs.get("attempt", 1), [*trial.user_attrs.get("reasons", []), reason]
        if attempt < ATTEMPTS:
            self._again(cell, trial, attempt=attempt + 1, reasons=reasons)
            return
        alone = len(set(reasons)) == 1
        text = f"{DIED} {attempt} times" if {*reasons} == {DIED} else "; ".join(reasons[-1:] if alone else reasons)
        if {*reasons} != {DIED}:
            text += f" ({attempt} attempts)"
        self.fail(trial._trial_id, text)

    def _again(self, cell: tuple[str, str], trial: FrozenTrial, **changed: Any) -> None:
        """Make the point of a running trial wait again, with what is known of its attempts."""
        known: dict[str, Any] = {
            key: trial.user_attrs[key] for key in ("attempt", "reasons", "orphaned") if key in trial.user_attrs
        }
        # Wait first, then fail: killed in between, the point is there twice, and the second is dropped when it
        # is claimed.
        self._wait(cell, trial.user_attrs["point"], **{"attempt": 1, **known, **changed})
        self._drop(trial._trial_id)

    def fail(self, number: int, error: str, seconds: float = 0.0) -> None:
        """Tell a running trial failed, unless it has ended meanwhile."""
        outcome = Outcome(status="failed", error=error, seconds=seconds)
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.storage.finish(
                number, [], {"outcome": outcome.as_dict(), "session": self.session}, TrialState.FAIL, None
            )

    def _drop(self, number: int) -> None:
        # Another process that recovers at the same time may have been faster.
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.storage.set_trial_state_values(number, TrialState.FAIL)

    # Working
    # --------------------------------------------------------------------------------------------------------------

    def claim(self) -> Claim | None:
        """Take the next waiting trial in the order of the design, or None if none waits."""
        while self._waiting():
            _, point, _, order, number, cell = self._queue.pop()
            try:
                taken = self.storage.set_trial_state_values(number, TrialState.RUNNING)
            except optuna.exceptions.UpdateFinishedTrialError:
                taken = False
            if not taken:
                continue
            self.storage.set_trial_user_attr(number, "worker", signature(self.parent))
            retired = self._retired()
            if any(_before(t, order, retired) for t in self.storage.others(self._ids[cell], point, number)):
                self._drop(number)
                continue
            values = self._propose(cell, number) if self.design.adaptive else None
            return Claim(number, *cell, point, self.plan.planned(*cell, point, values).trial)
        return None

    def _waiting(self) -> bool:
        """Whether something waits, as of a reading at most twenty times as old as it took; a database takes seconds for
        thousands.
        """
        if not self._queue or time.monotonic() > self._stale:
            begun = time.monotonic()
            waiting = [
                (
                    tries(trial),
                    trial.user_attrs["point"],
                    k,
                    trial.number,
                    trial._trial_id,
                    cell,
                )
                for k, cell in enumerate(self.plan.pairs)
                for trial in self.trials(cell, (TrialState.WAITING,))
            ]
            # What killed a worker before comes last, so that it takes down as little as possible.
            self._queue = sorted(waiting, reverse=True)
            self._stale = time.monotonic() + 20 * (time.monotonic() - begun)
        return bool(self._queue)

    def _propose(self, cell: tuple[str, str], number: int) -> dict[str, Any]:
        """Let Optuna's sampler propose the hyperparameters of a claimed trial."""
        seed = number % 2**32
        sampler: optuna.samplers.BaseSampler
        if self.design.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=True)
        else:
            sampler = optuna.samplers.CmaEsSampler(seed=seed)
        name = f"{self.plan.key}/{cell[0]}/{cell[1]}"
        study = optuna.load_study(study_name=name, storage=self.storage, sampler=sampler)
        trial = optuna.trial.Trial(study, number)
        return {
            k: trial.suggest_int(k, d.low, d.high, log=d.log)
            if isinstance(d, IntDistribution)
            else trial.suggest_float(k, d.low, d.high, log=d.log)
            for k, d in self.distributions.items()
            if isinstance(d, IntDistribution | FloatDistribution)
        }

    def beat(self, claim: Claim, count: int) -> None:
        """Show other machines that the worker of a claim is alive."""
        self.storage.set_trial_user_attr(claim.number, "beat", count)

    def put_back(self, claim: Claim) -> None:
        """Give a claimed trial back: its point waits again."""
        stored = self.storage.get_trial(claim.number)
        if not stored.state.is_finished():
            self._again((claim.task, claim.variant), stored)
        self._queue = []

    def lost(self, claim: Claim, reason: str) -> None:
        """Count an attempt at a claimed trial that came to nothing for a reason that is not the trial's: its point
        waits again.

        After the last attempt it is told failed.
        """
        stored = self.storage.get_trial(claim.number)
        if not stored.state.is_finished():
            self._lost((claim.task, claim.variant), stored, reason)

    def held(self) -> list[Held]:
        """The trials that run, those that have run longest first."""
        found = []
        for cell in self.plan.pairs:
            for t in self.trials(cell, (TrialState.RUNNING,)):
                worker = t.user_attrs.get("worker", {})
                here = worker.get("host") == socket.gethostname()
                seconds = (datetime.now() - t.datetime_start).total_seconds() if t.datetime_start else 0.0
                found.append(
                    Held(
                        *cell,
                        t.user_attrs["point"],
                        t._trial_id,
                        max(0.0, seconds),
                        worker,
                        here,
                        not here or alive(worker),
                    )
                )
        return sorted(found, key=lambda h: -h.seconds)

    def reporter(self, claim: Claim) -> Callable[[int, float], None]:
        """What a trial calls at every evaluation: with a pruner, it stores the loss and raises `Pruned` where the
        pruner says so.
        """
        if self.design.pruner == "none":
            return lambda step, loss: None
        pruner: optuna.pruners.BasePruner
        if self.design.pruner == "asha":
            pruner = optuna.pruners.SuccessiveHalvingPruner(
                min_resource=max(1, claim.trial.training.budget // 27), reduction_factor=3
            )
        else:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=claim.trial.training.budget // 10)
        name = f"{self.plan.key}/{claim.task}/{claim.variant}"
        study = optuna.load_study(study_name=name, storage=self.storage, pruner=pruner)
        grid = evaluation_grid(claim.trial.training)
        reported = {step for step, _ in thinned(grid, [0.0] * len(grid))}

        def report(step: int, loss: float) -> None:
            if step not in reported:
                return
            patiently(lambda: self.storage.set_trial_intermediate_value(claim.number, step, loss))
            if step > 0 and patiently(lambda: pruner.prune(study, self.storage.get_trial(claim.number))):
                raise Pruned(step)

        return report

    def tell(self, claim: Claim, outcome: Outcome) -> bool:
        """Store what happened, once and at once: the curve as intermediate values, the outcome as an attribute, the
        state.

        False where the trial was taken from this worker meanwhile, held for dead: its outcome is dropped, the point is
        run again.
        """
        state, values = TrialState.FAIL, None
        if outcome.status == "pruned":
            state = TrialState.PRUNED
        elif outcome.validation_loss is not None:
            state, values = TrialState.COMPLETE, [outcome.validation_loss]
        curve = thinned(outcome.curve_steps, outcome.curve_losses) if self.design.pruner == "none" else []
        attributes = {
            "trial_id": claim.trial.id,
            "hidden_size": claim.trial.model.hidden_size,
            "outcome": outcome.as_dict(),
        }
        attributes["session"] = self.session
        try:
            self.storage.finish(claim.number, curve, attributes, state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        return True

    # Reading
    # --------------------------------------------------------------------------------------------------------------

    def trials(self, cell: tuple[str, str], states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        """Stored trials of a (task, variant)."""
        return self.storage.get_all_trials(self._ids[cell], deepcopy=False, states=states)

    def told(self) -> Iterator[tuple[str, str, FrozenTrial]]:
        """Every point that has an outcome, once: (task, variant, stored trial), ordered by task, variant and point."""
        retired = self._retired()
        for cell in self.plan.pairs:
            by_point: dict[int, FrozenTrial] = {}
            for trial in self.trials(cell, ENDED):
                point = trial.user_attrs["point"]
                if "outcome" in trial.user_attrs and trial._trial_id not in retired and point < self.plan.length:
                    by_point.setdefault(point, trial)
            for point in sorted(by_point):
                yield (*cell, by_point[point])

    @property
    def size(self) -> int:
        """Number of trials of the design."""
        return len(self.plan.pairs) * self.plan.length

    def finished(self) -> bool:
        """Whether every point of the design is told."""
        return sum(1 for _ in self.told()) == self.size

    def counts(self) -> dict[tuple[str, str], dict[str, int]]:
        """Per (task, variant): number of points told, running and waiting, and of those told how many by status."""
        counts = {cell: {"told": 0, "running": 0, "waiting": 0} for cell in self.plan.pairs}
        for task, variant, trial in self.told():
            row = counts[task, variant]
            row["told"] += 1
            status = trial.user_attrs["outcome"]["status"]
            row[status] = row.get(status, 0) + 1
        for cell, row in counts.items():
            row["running"] = len(self.trials(cell, (TrialState.RUNNING,)))
            row["waiting"] = self.plan.length - row["told"] - row["running"]
        return counts

    def failures(self) -> list[str]:
        """The errors of the trials that are told failed."""
        told = (t.user_attrs["outcome"] for _, _, t in self.told())
        return [outcome["error"] for outcome in told if outcome["status"] == "failed"]

    def stranger(self, task: str, variant: str, stored: FrozenTrial) -> str:
        """What is wrong with a stored trial that is not the one of the design; empty where it is."""
        return self._wrong(
            task,
            variant,
            stored,
            self.plan.planned(task, variant, stored.user_attrs["point"], stored.params).trial.id,
        )

    def _wrong(self, task: str, variant: str, stored: FrozenTrial, planned: str) -> str:
        """As `stranger`, for the id of the trial in the design.

        Code of another version may give the same trial another id (a knob more in `Training`), so that of its trials
        only the hyperparameters are compared.
        """
        k, recorded = stored.user_attrs["point"], stored.user_attrs.get("trial_id")
        if not self.design.adaptive and stored.params != self.design.values(task, self.plan.point_of(task, variant, k)):
            return f"trial {task} {variant} {k} has other hyperparameters than the design gives it"
        if recorded not in (planned, None) and self.facts_of(stored).get("code") == code():
            return f"trial {task} {variant} {k} is recorded as {recorded}, the design has {planned} there"
        return ""

    def refuse_strangers(self) -> None:
        """Raise ValueError where a stored trial is not the one of the design."""
        for told in self.told():
            self._refuse(self.stranger(*told))

    def _refuse(self, wrong: str) -> None:
        if wrong:
            cure = "action=repair sets such records aside, and their points run again with the next run"
            raise ValueError(f"{self.plan.title}: {wrong}; {cure}")

    def record(self, task: str, variant: str, stored: FrozenTrial) -> Row:
        """One row of the tidy table; see `runs.record.rows`.

        Raises ValueError where the stored trial is not the one of the design.
        """
        finished = Finished(task, variant, stored.user_attrs["point"], stored)
        planned = self.plan.planned(task, variant, finished.index, stored.params)
        self._refuse(self._wrong(task, variant, stored, planned.trial.id))
        return row_of(self.plan, finished, planned, self._problem(planned.trial))

    def _problem(self, trial: Trial) -> Task:
        key = json.dumps(trial.task, sort_keys=True)
        if key not in self._problems:
            self._problems[key] = construct(trial.task, Task)
        return self._problems[key]

    @cached_property
    def _problems(self) -> dict[str, Task]:
        return {}

    def records(self) -> list[dict[str, Any]]:
        """The tidy table as rows. Raises ValueError where a stored trial is not the one of the design."""
        return [self.record(*told) for told in self.told()]


class NoStudy(ValueError):
    """There is no study of this name."""


def there(results: Path) -> list[str]:
    """The names of the studies that have a journal in a results folder."""
    return sorted(path.parent.name for path in Path(results).glob("*/journal.log"))


def find(results: Path, name: str, url: str = "") -> Study:
    """A study that was planned before; nothing is created. Raises NoStudy, with the nearest name and those that there
    are.

    url: of the storage, empty for the journal in the study's folder.
    """
    if not url and not (Path(results) / name / "journal.log").exists():
        raise NoStudy(f"study {name!r} has not been started in {results}; {instead(name, there(results))}")
    storage = open_storage(url, Path(results) / name)
    try:
        return Study.open(storage, name)
    except KeyError:
        names = sorted(
            s.study_name for s in storage.get_all_studies() if "/" not in s.study_name and "design" in s.user_attrs
        )
        close_storage(storage)
        raise NoStudy(f"study {name!r} is not in its storage; {instead(name, names)}") from None
    except BaseException:
        close_storage(storage)
        raise


def records(
    results: Path, name: str, storage: str = "", stages: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a study's search and its design with the facts stored with it. Raises NoStudy where there is none.

    stages: whether to append the rows of the stages after the search, of each the one planned last; the design then has
    them as `stages`.
    """
    study = find(results, name, storage)
    opened = study.storage
    try:
        rows, design = study.records(), {**study.plan.as_dict(), **study.facts, "sessions": study.sessions()}
        if stages:
            last = {s.plan.stage: s for s in Study.stages(opened, name)}
            rows += [row for stage in last.values() for row in stage.records()]
            design["stages"] = {
                kind: {**s.facts, **s.plan.as_dict(), "trials": s.size, "sessions": s.sessions()}
                for kind, s in last.items()
            }
        return rows, design
    finally:
        close_storage(opened)


def distribution(dimension: Dimension) -> BaseDistribution:
    """The range of a hyperparameter as Optuna writes it."""
    low, high = dimension.limits
    if dimension.integer:
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log_axis)


def thinned(steps: Sequence[int], losses: Sequence[float]) -> list[tuple[int, float]]:
    """At most 20 evenly chosen points of a curve, its last one among them."""
    pairs = list(zip(steps, losses, strict=True))
    if len(pairs) <= LARGEST_CURVE:
        return pairs
    return [pairs[round(k * (len(pairs) - 1) / (LARGEST_CURVE - 1))] for k in range(LARGEST_CURVE)]


def signature(parent: int = 0) -> dict[str, Any]:
    """What a worker signs its claims with.

    parent: process id of the process that started it and that it lives with, 0 for none.
    """
    mine: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "started": started(psutil.Process())}
    if parent:
        with contextlib.suppress(psutil.Error):
            mine["parent"] = {"pid": parent, "started": started(psutil.Process(parent))}
    return mine


def tries(trial: FrozenTrial) -> int:
    """How often a stored trial was tried or lost its worker together with its parent."""
    return int(trial.user_attrs["attempt"] + trial.user_attrs.get("orphaned", 0))


def started(process: psutil.Process) -> str:
    """When a process was started, as text that stays the same when the clock on the wall is set.

    Linux: which boot, and clock ticks since then; `create_time` there is these ticks plus a time of boot that moves
    with the clock. Raises psutil.Error where there is no such process.
    """
    stat = Path(f"/proc/{process.pid}/stat")
    if not Path("/proc/sys/kernel/random/boot_id").exists():
        return str(process.create_time())
    try:
        ticks = stat.read_text().rpartition(")")[2].split()[19]
    except OSError:
        raise psutil.NoSuchProcess(process.pid) from None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks}"


def alive(worker: dict[str, Any]) -> bool:
    """Whether the process that signed a claim on this machine still runs; a reused process id or a zombie does not
    count.
    """
    try:
        process = psutil.Process(worker["pid"])
        return bool(started(process) == worker["started"] and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _counts(trial: FrozenTrial, retired: Collection[int]) -> bool:
    """Whether a stored trial stands for its point: it waits, runs, or has an outcome that counts.

    Others were put back, lost or retired.
    """
    return not trial.state.is_finished() or ("outcome" in trial.user_attrs and trial._trial_id not in retired)


def _before(trial: FrozenTrial, order: int, retired: Collection[int]) -> bool:
    """Whether a stored trial of the same point goes before the one of this number: it has an outcome that counts, or
    runs and is older.
    """
    if trial.state.is_finished():
        return _counts(trial, retired)
    return trial.state == TrialState.RUNNING and trial.number < order
