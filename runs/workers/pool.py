"""The pool of worker processes that run a study on this machine: they are started, watched and replaced."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from ..console.progress import Bar
from ..console.text import duration, say
from ..locks import try_lock
from ..record.mirror import Mirror
from ..study.claiming import Queue
from ..study.storage.opening import patiently
from .accounting import Memory, add_cost, session_cost
from .ending import JOIN_SECONDS, Interruption, Limit
from .status import heading, in_other_hands, result_file
from .stop import asked_to_stop, asked_to_stop_at_once
from .worker import work

POLL_SECONDS = 0.5  # between two checks of the workers
LONGEST_POLL_SECONDS = 5.0  # the same if reading the storage is slow
READINGS = 30  # the sleep between two readings of the storage is this many times as long as the last one took
MIRROR_SECONDS = 3.0  # spent on MLflow before the workers are looked at again, even if MLflow is far behind
RECOVER_SECONDS = 3.0  # for putting trials back after a second interruption
MOST_REPLACED = 100  # dead workers; beyond it something is wrong with the machine

T = TypeVar("T")


@contextmanager
def sole_parent(folder: Path) -> Iterator[None]:
    """Hold the lock of a study on this machine as long as the block lasts.

    Raises ValueError if another process holds it.
    """
    with (folder / "parent.lock").open("a") as handle:
        if not try_lock(handle):
            rule = "only one `python -m runs.sweep` may run a study at a time on a machine"
            raise ValueError(f"study: {rule}, and one is running on {folder}")
        yield


class Pool:
    """The workers of a study on this machine.

    study: planned in its storage.
    url: of the storage, empty for the journal in the folder.
    folder: of the study.
    seconds: that a trial may take, 0 for no limit.
    processes: the workers, some of which may have ended.
    pids: ids of all processes that were started.
    replaced: how many workers died by themselves and were replaced.
    """

    def __init__(self, study: Queue[Any, Any], url: str, folder: Path, seconds: float = 0.0) -> None:
        self.study, self.url, self.folder, self.seconds = study, url, folder, seconds
        self.processes: list[BaseProcess] = []
        self.pids: set[int] = set()
        self.replaced = 0
        self.interruption = Interruption(self.processes)
        self.memory = Memory()
        self._limit = Limit(study, seconds)
        self._waiting_for = ""  # the line on other processes that was printed last
        self._pilot_said = bool(study.pilot())  # by the session in which the pilot was finished

    def start(self, workers: int) -> None:
        """Start the workers, but not more than there are trials to run."""
        for k in range(min(workers, self.study.left())):
            self.processes.append(self._start(k))

    def _start(self, k: int) -> BaseProcess:
        arguments = (self.url, self.folder, self.study.plan.key, os.getpid(), False, self.seconds, self.study.part)
        process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, name=f"worker {k}")
        process.start()
        assert process.pid is not None
        self.pids.add(process.pid)
        return process

    def wait(self, mirror: Mirror | None) -> None:
        """Wait until every trial is finished or the workers were asked to leave, and show how far they are.

        mirror: writes finished trials to MLflow meanwhile; None for no MLflow.
        """
        begun, reading = time.perf_counter(), 0.0
        finished = first = self._finished()
        with Bar(f"{heading(self.study)}, {self.study.things}", self.study.share, first=first) as bar:
            while self._working() or self._wanted():
                self._pass_interruption_on()
                # reading thousands of trials from a database takes seconds, in which the workers wait for it
                time.sleep(min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, READINGS * reading)))
                if mirror is not None and not self.interruption:
                    mirror.catch_up(seconds=MIRROR_SECONDS)
                if self.interruption:
                    continue
                polled = time.monotonic()
                finished = self._ask(self._finished)
                bar.to(finished, f"{duration(time.perf_counter() - begun)} so far")
                self._say_pilot()
                self._ask(lambda: self._limit.keep(self.processes, self.interruption))
                reading = time.monotonic() - polled
                self.memory.sample([p.pid for p in self.processes], finished - first >= 2 * len(self.processes))
                if self._wanted():
                    self._replace_ended()
                    self._name_other_processes()
            self._say_pilot()

    def leave(self) -> None:
        """Wait for the workers to end, and put back what those that died have left."""
        for process in self.processes:
            process.join()
        self.recover()
        self.study.enqueue()

    def recover(self) -> None:
        """Put back the trials of workers that died."""
        self.study.recover(self.interruption.ended)

    def recover_in_time(self) -> None:
        """Put back the trials of workers that were killed, but do not wait for a storage that hangs.

        If it cannot be done, the next run does it, and counts an attempt against these trials.
        """
        for process in self.processes:
            process.join(JOIN_SECONDS)

        def recover() -> None:
            with suppress(Exception):
                self.recover()

        thread = threading.Thread(target=recover, daemon=True)
        thread.start()
        thread.join(RECOVER_SECONDS)

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask the storage, again and again while it is away, unless the run is interrupted."""
        return patiently(question, lambda: bool(self.interruption))

    def _finished(self) -> int:
        return self.study.share - self.study.left()

    def _working(self) -> bool:
        return any(process.is_alive() for process in self.processes)

    def _wanted(self) -> bool:
        """Return True if workers are still needed: trials are left and nobody has asked to stop."""
        if self.interruption or self.replaced >= MOST_REPLACED or asked_to_stop(self.folder):
            return False
        return not self._ask(self.study.finished)

    def _pass_interruption_on(self) -> None:
        if asked_to_stop_at_once(self.folder) and not self.interruption:
            self.interruption()
        if self.interruption:
            self.interruption.ask()

    def _replace_ended(self) -> None:
        """Start a new worker for each one that has ended, if a trial is waiting.

        Workers leave when no trial is waiting. But one is waiting again as soon as that of a dead worker is put back.
        """
        for k, process in enumerate(self.processes):
            if process.is_alive():
                continue
            self._ask(self.recover)
            self._ask(self.study.enqueue)
            if self.study.waiting():
                died = bool(process.exitcode) and process.pid not in self.interruption.ended
                self.replaced += int(died)
                self.processes[k] = self._start(k)

    def _name_other_processes(self) -> None:
        """Say once for whom this command waits, if its own workers have nothing to do."""
        others = "" if self._working() else in_other_hands(self.study)
        if others and not self._waiting_for:
            print(others, file=sys.stderr, flush=True)
        self._waiting_for = others

    def _say_pilot(self) -> None:
        """Say once what the baseline's first points say of the study, as soon as they are finished."""
        if self._pilot_said or self.interruption:
            return
        for line in self._ask(self.study.pilot):
            self._pilot_said = True
            say(line)

    def exit_code(self) -> int:
        """Say on stderr why the study is not finished, if it is not; returns the exit code."""
        if self.interruption:
            print("interrupted: the trials at hand were put back; the same command goes on from here", file=sys.stderr)
            return 130
        if self.study.finished():
            return 0
        stopped = asked_to_stop(self.folder)
        why = "asked to stop" if stopped else f"workers ended with {[p.exitcode for p in self.processes]}"
        print(f"not finished ({why}): the same command goes on from here", file=sys.stderr)
        return 0 if stopped else 1


def run_pool(pool: Pool, workers: int, mirror: Mirror | None, planning: float = 0.0) -> int:
    """Run the trials of a study with a pool of workers, and note what it has cost.

    pool: without workers yet.
    workers: how many to start.
    mirror: writes finished trials to MLflow; None for no MLflow.
    planning: seconds that planning the study took, to be noted with the other costs.

    Returns 0 if every trial is finished or the workers were asked to stop, 130 if it was interrupted, else 1.
    """
    wall_clock, begun = datetime.now(), time.perf_counter()
    with pool.interruption.handling():
        try:
            pool.start(workers)
            pool.wait(mirror)
            pool.leave()
            if mirror is not None:
                mirror.finish()
        except KeyboardInterrupt:
            pool.recover_in_time()
            ended = "the workers were ended at once"
            print(f"interrupted twice: {ended}; the same command goes on from here", file=sys.stderr)
            return 130
        except Exception as error:
            if not pool.interruption:
                raise
            away = f"the storage was away ({type(error).__name__})"
            print(f"interrupted while {away}; the same command goes on from here", file=sys.stderr)
            return 130
    latest = {
        "workers": len(pool.processes),
        "replaced_workers": pool.replaced,
        "megabytes_first": pool.memory.first,
        "megabytes_last": pool.memory.last,
    }
    cost = session_cost(pool.study, pool.pids, wall_clock, time.perf_counter() - begun, mirror)
    add_cost(pool.folder / result_file(pool.study, "session"), cost, planning, latest)
    return pool.exit_code()
