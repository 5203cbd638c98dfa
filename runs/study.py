"""A study and its storage in Optuna: plan, claim, tell, recover. The storage is the record; every worker on every machine talks to it.

One Optuna study per (task, variant), named `<study>/<task>/<variant>`, holds its trials; one named `<study>` holds the design. A point is
a waiting trial until a worker claims it. Points are claimed in interleaved order, so that a study stopped at any time is balanced.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tasks import Task

from .design import Design, Dimension
from .trial import Outcome, Trial, construct

LARGEST_CURVE = 20  # intermediate values that are stored with a trial
ATTEMPTS = 3  # a point whose worker died is tried this many times in all
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def open_storage(url: str, folder: Path) -> BaseStorage:
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
        return optuna.storages.RDBStorage(url)
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "journal.log")
    return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path, grace_period=5)))


@dataclass(frozen=True)
class Claim:
    """A trial that this process has taken: its number in the storage, its place in the design, and what to run."""

    number: int
    task: str
    variant: str
    point: int
    trial: Trial


class Study:
    """A planned study in a storage."""

    def __init__(self, storage: BaseStorage, design: Design, facts: dict[str, Any], ids: dict[tuple[str, str], int]) -> None:
        self.storage, self.design, self.facts, self._ids = storage, design, facts, ids

    # Opening --------------------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, storage: BaseStorage, design: Design, facts: dict[str, Any]) -> Study:
        """Open the study of this design, creating or extending it. Only one process may do so at a time.

        facts: versions, commit, command and the like, stored with a new study.
        Raises ValueError where the storage holds a study of this name with another design, saying what differs.
        """
        try:
            known = cls.open(storage, design.name)
        except KeyError:
            meta = storage.create_new_study([StudyDirection.MINIMIZE], design.name)
            storage.set_study_user_attr(meta, "facts", facts)
        else:
            differences = known.design.differences(design)
            if differences:
                raise ValueError(
                    f"study {design.name!r} exists with a different design ({'; '.join(differences)}). "
                    f"Nothing was changed. Start anew under another name: name={design.name}_2"
                )
            if known.design.points >= design.points:
                design = known.design if known.design.points > design.points else design
            meta, facts = storage.get_study_id_from_name(design.name), known.facts
        storage.set_study_user_attr(meta, "design", design.as_dict())
        existing = {s.study_name for s in storage.get_all_studies()}
        ids = {}
        for task, variant in design.cells:
            name = f"{design.name}/{task}/{variant}"
            new = name not in existing
            ids[task, variant] = storage.create_new_study([StudyDirection.MINIMIZE], name) if new else storage.get_study_id_from_name(name)
        study = cls(storage, design, facts, ids)
        study.recover()
        study.enqueue()
        return study

    @classmethod
    def open(cls, storage: BaseStorage, name: str) -> Study:
        """A study that was planned before. Raises KeyError if there is none of this name."""
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
        if "design" not in attributes:
            raise KeyError(name)
        design = Design.from_dict(attributes["design"])
        existing = {s.study_name: s._study_id for s in storage.get_all_studies()}
        ids = {(t, v): existing[f"{name}/{t}/{v}"] for t, v in design.cells if f"{name}/{t}/{v}" in existing}
        return cls(storage, design, attributes.get("facts", {}), ids)

    # Planning -------------------------------------------------------------------------------------------------------------

    def enqueue(self) -> int:
        """Make every point of the design wait that is neither waiting, running nor told; returns how many."""
        present = {cell: {t.user_attrs["point"] for t in self.trials(cell) if _counts(t)} for cell in self.design.cells}
        added = 0
        for point in range(self.design.points):
            for cell in self.design.cells:
                if point not in present[cell]:
                    self._wait(cell, point, attempt=1)
                    added += 1
        return added

    def _wait(self, cell: tuple[str, str], point: int, attempt: int) -> None:
        task, _ = cell
        template = create_trial(
            state=TrialState.WAITING,
            params=self.design.values(task, point),
            distributions={name: distribution(d) for name, d in self.design.space.items()},
            user_attrs={"point": point, "attempt": attempt},
        )
        self.storage.create_new_trial(self._ids[cell], template)

    def recover(self) -> int:
        """Put back the points of workers of this machine that died; a point that killed three is told failed. Returns how many."""
        found = 0
        for cell in self.design.cells:
            for trial in self.trials(cell, (TrialState.RUNNING,)):
                worker = trial.user_attrs.get("worker")
                if worker is None:
                    # A claim whose owner died before it could sign, or is about to sign.
                    age = time.time() - trial.datetime_start.timestamp() if trial.datetime_start else 1e9
                    dead = age > 30
                else:
                    dead = worker["host"] == socket.gethostname() and not alive(worker)
                if dead:
                    found += 1
                    self._lost(cell, trial)
        return found

    def _lost(self, cell: tuple[str, str], trial: FrozenTrial) -> None:
        point, attempt = trial.user_attrs["point"], trial.user_attrs.get("attempt", 1)
        if attempt >= ATTEMPTS:
            outcome = Outcome(status="failed", error=f"its worker died {attempt} times")
            self.storage.set_trial_user_attr(trial._trial_id, "outcome", outcome.as_dict())
            self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            return
        # Wait first, then fail: killed in between, the point is there twice at worst, and the second is dropped when claimed.
        self._wait(cell, point, attempt + 1)
        self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    # Working --------------------------------------------------------------------------------------------------------------

    def claim(self) -> Claim | None:
        """Take the next waiting trial in the order of the design, or None if none waits."""
        while True:
            waiting = [
                (trial.user_attrs["point"], k, trial.number, trial._trial_id, cell)
                for k, cell in enumerate(self.design.cells)
                for trial in self.trials(cell, (TrialState.WAITING,))
            ]
            if not waiting:
                return None
            for point, _, _, number, cell in sorted(waiting):
                try:
                    taken = self.storage.set_trial_state_values(number, TrialState.RUNNING)
                except optuna.exceptions.UpdateFinishedTrialError:
                    taken = False
                if not taken:
                    continue
                started = psutil.Process().create_time()
                self.storage.set_trial_user_attr(number, "worker", {"host": socket.gethostname(), "pid": os.getpid(), "started": started})
                others = [t for t in self.trials(cell) if t.user_attrs["point"] == point and t._trial_id != number and _counts(t)]
                if any(t.state != TrialState.WAITING for t in others):
                    self.storage.set_trial_state_values(number, TrialState.FAIL)
                    break
                return Claim(number, *cell, point, self.design.trial(*cell, point))

    def put_back(self, claim: Claim) -> None:
        """Give a claimed trial back: its point waits again."""
        attempt = self.storage.get_trial(claim.number).user_attrs.get("attempt", 1)
        self._wait((claim.task, claim.variant), claim.point, attempt)
        self.storage.set_trial_state_values(claim.number, TrialState.FAIL)

    def tell(self, claim: Claim, outcome: Outcome) -> None:
        """Store what happened, once: the curve as intermediate values, the outcome as an attribute, then the state."""
        for step, loss in thinned(outcome.curve_steps, outcome.curve_losses):
            self.storage.set_trial_intermediate_value(claim.number, step, loss)
        self.storage.set_trial_user_attr(claim.number, "trial_id", claim.trial.id)
        self.storage.set_trial_user_attr(claim.number, "hidden_size", claim.trial.model.hidden_size)
        self.storage.set_trial_user_attr(claim.number, "outcome", outcome.as_dict())
        if outcome.validation_loss is None:
            self.storage.set_trial_state_values(claim.number, TrialState.FAIL)
        else:
            self.storage.set_trial_state_values(claim.number, TrialState.COMPLETE, [outcome.validation_loss])

    # Reading --------------------------------------------------------------------------------------------------------------

    def trials(self, cell: tuple[str, str], states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        """Stored trials of a (task, variant)."""
        return self.storage.get_all_trials(self._ids[cell], deepcopy=False, states=states)

    def told(self) -> Iterator[tuple[str, str, FrozenTrial]]:
        """Every point that has an outcome, once: (task, variant, stored trial), ordered by task, variant and point."""
        for cell in self.design.cells:
            by_point: dict[int, FrozenTrial] = {}
            for trial in self.trials(cell):
                point = trial.user_attrs["point"]
                if trial.state.is_finished() and "outcome" in trial.user_attrs and point < self.design.points:
                    by_point.setdefault(point, trial)
            for point in sorted(by_point):
                yield (*cell, by_point[point])

    def counts(self) -> dict[tuple[str, str], dict[str, int]]:
        """Per (task, variant): number of points told, running and waiting, and of those told how many by status."""
        counts = {cell: {"told": 0, "running": 0, "waiting": 0} for cell in self.design.cells}
        for task, variant, trial in self.told():
            row = counts[task, variant]
            row["told"] += 1
            status = trial.user_attrs["outcome"]["status"]
            row[status] = row.get(status, 0) + 1
        for cell, row in counts.items():
            row["running"] = len(self.trials(cell, (TrialState.RUNNING,)))
            row["waiting"] = self.design.points - row["told"] - row["running"]
        return counts

    def record(self, task: str, variant: str, stored: FrozenTrial) -> dict[str, Any]:
        """One row of the tidy table: the place in the design, the trial, its hyperparameters and its outcome."""
        point = stored.user_attrs["point"]
        trial, problem = self.design.trial(task, variant, point), construct(self.design.tasks[task], Task)
        outcome = Outcome.from_dict(stored.user_attrs["outcome"])
        row: dict[str, Any] = {
            "study": self.design.name,
            "variant": variant,
            "task": task,
            "point": point,
            "trial_id": trial.id,
            "seed": trial.seed,
            "hidden_size": trial.model.hidden_size,
            "budget": trial.training.budget,
            "batch_size": trial.training.batch_size,
            "lag": problem.lag,
            "floor": problem.floor,
            "solved_loss": problem.solved_loss,
        }
        row |= outcome.as_dict() | {"test_metrics": json.dumps(outcome.test_metrics)}
        for name, value in self.design.values(task, point).items():
            row[name] = value
        row |= {f"u_{name}": u for name, u in self.design.unit(task, point).items()}
        return row

    def records(self) -> list[dict[str, Any]]:
        """The tidy table as rows."""
        return [self.record(*told) for told in self.told()]


def records(results: Path, name: str, storage: str = "") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a study and its design with the facts stored with it. Raises ValueError, listing the studies, if there is none."""
    folder = Path(results) / name
    if not storage and not (folder / "journal.log").exists():
        there = sorted(p.parent.name for p in Path(results).glob("*/journal.log"))
        raise ValueError(f"study {name!r} is not in {results}; there is: {', '.join(there) or 'none'}")
    try:
        study = Study.open(open_storage(storage, folder), name)
    except KeyError:
        raise ValueError(f"study {name!r} is not in its storage") from None
    return study.records(), {**study.design.as_dict(), **study.facts}


def distribution(dimension: Dimension) -> BaseDistribution:
    """The range of a hyperparameter as Optuna writes it."""
    low, high = dimension.limits
    if dimension.integer:
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log and not dimension.complement)


def thinned(steps: tuple[int, ...], losses: tuple[float, ...]) -> list[tuple[int, float]]:
    """At most 20 evenly chosen points of a curve, its last one among them."""
    pairs = list(zip(steps, losses, strict=True))
    if len(pairs) <= LARGEST_CURVE:
        return pairs
    return [pairs[round(k * (len(pairs) - 1) / (LARGEST_CURVE - 1))] for k in range(LARGEST_CURVE)]


def alive(worker: dict[str, Any]) -> bool:
    """Whether the process that signed a claim on this machine still runs; a reused process id does not count."""
    try:
        return bool(abs(psutil.Process(worker["pid"]).create_time() - worker["started"]) < 1.0)
    except psutil.Error:
        return False


def _counts(trial: FrozenTrial) -> bool:
    """Whether a stored trial stands for its point: it waits, runs, or has an outcome. Others were put back or lost."""
    return not trial.state.is_finished() or "outcome" in trial.user_attrs
