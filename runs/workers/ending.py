"""Ends worker processes: when the user interrupts a run, and when a trial takes far too long."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from ..study.claiming import Queue
from . import stop
from .watch import out_of_time, overtime

TWICE_SECONDS = 0.5  # two signals within this time count as one
JOIN_SECONDS = 5.0  # waited for a process that has been killed


class Interruption:
    """What SIGINT and SIGTERM do to a run of a study. It is true once one has arrived.

    The first asks the workers to leave. A second one kills them and raises KeyboardInterrupt.

    processes: the workers; the list may change.
    ended: ids of the processes that were killed from here.
    since: when the first signal arrived, by the monotonic clock; None before.
    """

    def __init__(self, processes: list[BaseProcess]) -> None:
        self.processes, self.ended = processes, set[int]()
        self.since: float | None = None

    def __call__(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Handle a signal. Some programs send one twice within a moment, which counts as one."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
        elif now - self.since > TWICE_SECONDS:
            self.end()
            raise KeyboardInterrupt

    def __bool__(self) -> bool:
        return self.since is not None

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as long as the block lasts; no worker outlives it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self) for number in numbers}
        try:
            yield
        finally:
            self.end()  # if the block raised; else the workers have left
            for number, handler in before.items():
                signal.signal(number, handler)

    def ask(self) -> None:
        """Ask the workers to leave, and kill those that have not left after their grace."""
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        # a second later than the workers would end themselves
        if self.since is not None and time.monotonic() - self.since > stop.GRACE_SECONDS + 1.0:
            self.end()

    def end(self, only: BaseProcess | None = None) -> None:
        """Kill all workers, or only one, whatever they are doing."""
        for process in self.processes if only is None else [only]:
            if process.is_alive() and process.pid is not None:
                self.ended.add(process.pid)
                process.kill()


class Limit:
    """The time limit of trials, for workers that cannot keep it themselves.

    A worker cannot if the code that it calls never gives Python's global lock back.

    seconds: that a trial may take, 0 for no limit.
    """

    def __init__(self, study: Queue[Any, Any], seconds: float) -> None:
        self.study, self.seconds = study, seconds
        self._since: dict[int, float] = {}  # number of a trial in the storage to when it was first seen running

    def keep(self, processes: list[BaseProcess], interruption: Interruption) -> None:
        """Kill the workers whose trial has run far beyond the limit, and record that trial as failed."""
        if not self.seconds:
            return
        now, latest = time.monotonic(), self.seconds + 2 * overtime(self.seconds)
        held = {h.number: h for h in self.study.held() if h.here}
        self._since = {number: self._since.get(number, now) for number in held}
        for process in processes:
            for number, since in self._since.items():
                if held[number].worker.get("pid") == process.pid and process.is_alive() and now - since > latest:
                    interruption.end(process)
                    process.join(JOIN_SECONDS)
                    self.study.fail(number, out_of_time(self.seconds), now - since)
