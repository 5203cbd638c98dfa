"""Copies the finished trials of a study to MLflow while it runs, and afterwards."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..arguments import command
from ..locks import lock, try_lock
from ..secrets_in_urls import without_password
from ..trial.trial import Trial
from .places import DEFAULT, default_uri
from .tracking import Run, Tracker, Unusable

if TYPE_CHECKING:
    from ..study.plan import Planned
    from ..study.study import Study
    from ..study.trials import Finished

REST_SECONDS = (10.0, 60.0)
"""How long a mirror rests after a failure, and at most after several of them."""


class Mirror:
    """Copies the finished trials of a study to MLflow, each once, even if several processes of this machine do so.

    Where MLflow is out of reach the trials stay in the storage of the study until the next call.

    results: the results folder, where a lock is kept. uri: of MLflow, empty for SQLite in `results`.
    variants: whose trials are copied; all where it is empty.
    """

    def __init__(self, study: Study, results: Path, uri: str = "", variants: Collection[str] = ()) -> None:
        self.study, self.results, self.variants = study, Path(results), variants
        self.uri = default_uri(self.results) if uri in ("", DEFAULT) else uri
        self.tracker: Tracker | None = None
        self.done: dict[tuple[str, str, int], Run] = {}
        self.written, self.seconds = 0, 0.0  # runs that this mirror has written, and how long that took
        self._generation: int | None = None
        self._silent_until, self._rest = 0.0, REST_SECONDS[0]

    def greeting(self) -> str:
        """Return where the runs go, and what writes those that are left out; a line each."""
        name, place = self.study.design.name, without_password(self.uri)
        rest = f"\nmlflow: runs of {', '.join(self.variants)} alone; all: {self._all()}" if self.variants else ""
        try:
            self._describe()
        except Exception as error:  # whatever a client raises for a server that is away
            return f"mlflow: {error if isinstance(error, Unusable) else f'{place} is out of reach'}; the study goes on"
        return f"mlflow: experiment {name!r} in {place}{rest}"

    def farewell(self) -> str:
        """Return a line with the page that shows the runs and the command that serves it.

        It is empty, without an end of line, where MLflow is out of reach.
        """
        try:
            return f"mlflow: {self._tracker().link(self.study.design.name)}\n"
        except Exception:  # it was said where the runs could not be written
            return ""

    def _describe(self) -> None:
        """Let the experiment say what the study is; a stage belongs to the study of its search."""
        tracker, design = self._tracker(), self.study.design
        if self.study.plan.stage == "search":
            tracker.describe_study(design)
        else:
            tracker.experiment(design.name)

    def _tracker(self) -> Tracker:
        if self.tracker is None:
            self.tracker = Tracker(self.results, self.uri)
        return self.tracker

    @cached_property
    def study_id(self) -> str:
        """The random text that was stored when the study was created, in a stage that of its search.

        It tells two studies of the same name apart; studies of earlier versions have none.
        """
        study = self.study
        search = study if study.plan.stage == "search" else type(study).open(study.storage, study.design.name)
        return str(search.facts.get("study_id", ""))

    def catch_up(self, patient: bool = False, seconds: float = math.inf) -> int:
        """Write every finished trial that has no run yet; returns how many.

        After a failure the mirror rests before it tries again, longer after each.

        patient: wait for another process that is writing, and raise what goes wrong instead of trying again later.
        seconds: begin no further run after this time; the next call goes on.
        """
        begun, before = time.monotonic(), self.written
        if not patient and begun < self._silent_until:
            return 0
        try:
            with self._lock(patient) as held:
                if held is not None:
                    self._write_missing(held, patient, begun + seconds)
        except Exception as error:  # the study must not stop because the dashboard did
            if patient:
                raise
            self._generation, self._silent_until = None, time.monotonic() + self._rest
            self._rest = min(REST_SECONDS[1], 2 * self._rest)
            why = str(error) if isinstance(error, Unusable) else type(error).__name__
            print(f"mlflow: {why}; the study goes on and MLflow catches up later", file=sys.stderr)
        return self.written - before

    def _write_missing(self, held: _Held, patient: bool, end: float) -> None:
        """Write the runs that are missing while the lock is held, and begin none after a time."""
        tracker = self._tracker()
        tracker.refuse_lock()
        if self._rest > REST_SECONDS[0] and not patient:
            tracker.refuse_silence()
        if self._generation is None or self._generation != held.generation:
            self._describe()
            self._read(tracker)
        for finished in self._finished():
            known = self.done.get(finished.place)
            if known is not None and self._is_of(known, finished):
                continue
            if time.monotonic() > end:
                break
            held.count()
            tracker.refuse_lock()
            begun = time.monotonic()
            if known is not None:  # of another trial in this place: the study was started again with other values
                tracker.client.delete_run(known.id)
                del self.done[finished.place]
            self.done[finished.place] = self._write(tracker, finished)
            self.seconds += time.monotonic() - begun
            self.written += 1
        self._generation = held.generation
        self._rest = REST_SECONDS[0]

    def _read(self, tracker: Tracker) -> None:
        """Read which runs there are; runs of another study of the same name are deleted."""
        name = self.study.design.name
        self.done = tracker.mirrored(name, self.study.plan.key, self.study_id)
        if tracker.replaced:
            print(
                f"mlflow: {tracker.replaced} runs of another study that was named {name!r} were deleted",
                file=sys.stderr,
            )
            tracker.replaced = 0

    def behind(self) -> int:
        """Return how many finished trials are not known to have a run."""
        return sum(1 for finished in self._finished() if finished.place not in self.done)

    def finish(self) -> None:
        """Write what is left, and say how to do so later where it could not be done."""
        self._silent_until = 0.0
        self.catch_up()
        if left := self.behind():
            print(f"mlflow: {left} runs are not in MLflow yet: {self._all()}", file=sys.stderr)

    def _all(self) -> str:
        """Return the command that writes all trials of the study."""
        return command("runs.tracking", study=self.study.design.name, results=self.results)

    def _finished(self) -> Iterator[Finished]:
        """Return the finished trials that are copied."""
        trials = self.study.finished_trials()
        return (finished for finished in trials if not self.variants or finished.variant in self.variants)

    def _is_of(self, run: Run, finished: Finished) -> bool:
        """Return whether a run is of this record of a trial."""
        same_trial = run.trial == self._trial_id(finished, self._planned(finished).trial)
        return same_trial and run.record in ("", str(finished.stored._trial_id))

    def _planned(self, finished: Finished) -> Planned:
        return self.study.plan.planned(finished.task, finished.variant, finished.index, finished.stored.params)

    def _trial_id(self, finished: Finished, trial: Trial) -> str:
        return str(finished.stored.user_attrs.get("trial_id") or trial.id)  # absent where its workers died

    def _write(self, tracker: Tracker, finished: Finished) -> Run:
        plan, name, planned = self.study.plan, self.study.design.name, self._planned(finished)
        trial_id, record = self._trial_id(finished, planned.trial), str(finished.stored._trial_id)
        tags = {
            "study": name,
            "point": planned.point,
            "commit": self.study.sessions.of(finished.session).get("commit", ""),
            "stage": plan.stage,
            "study_id": self.study_id,
            "mlflow.source.name": str(self.study.facts.get("command", ""))[:1000],
            "trial_id": trial_id,
            "record": record,
        }
        if plan.stage != "search":
            tags |= {
                "block": planned.block,
                "replicate": planned.replicate,
                "key": plan.key,
                "number": finished.index,
            }
        run = tracker.trial(name, planned.trial, finished.outcome, tags, finished.stored.params)
        return Run(run, trial_id, record)

    @contextmanager
    def _lock(self, patient: bool) -> Iterator[_Held | None]:
        folder = self.results / self.study.design.name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "mirror.lock").open("a+") as handle:
            if patient:
                lock(handle, math.inf)
            held = patient or try_lock(handle)
            yield _Held(handle) if held else None


class _Held:
    """The lock of a mirror while it is held.

    generation: how many runs were written under this lock, by whichever process.
    """

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle
        handle.seek(0)
        text = handle.read()
        self.generation = int(text) if text.isdecimal() else 0

    def count(self) -> None:
        """Count a run that is about to be written."""
        self.generation += 1
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(str(self.generation))
        self._handle.flush()
