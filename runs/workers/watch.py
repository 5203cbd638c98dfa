"""Ends the process of a worker whose trial does not end in time."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from ..study.claiming import Queue
from ..study.trials import Claim
from ..trial.faults import OutOfTime
from . import stop

LOOK_SECONDS = 0.5  # between two checks of the trial
FILE_SECONDS = 2.0  # between two looks for the file that asks to stop: a network file system is asked rarely
LAST_SECONDS = 5.0  # for the last action of a process that is about to be ended


class AtHand(NamedTuple):
    """The trial that a worker is running. since: by the monotonic clock."""

    study: Queue[Any, Any]
    claim: Claim
    since: float


class Watch:
    """A thread that ends this process if the trial at hand does not end in time.

    It is needed for a training step that hangs: Python runs its handlers of signals only after the step. So this
    thread reads the signals from a socket into which the C handler writes. A step that holds Python's global lock for
    ever stops this thread too; such a worker is ended by its parent, or else by the thread of `faulthandler`.

    folder: of the study.
    parent: process id of the parent to live with, 0 for none.
    seconds: that a trial may take, 0 for no limit.
    asked: when this worker was asked to leave at once, by the monotonic clock; None if it was not.
    """

    def __init__(self, folder: Path, parent: int, seconds: float) -> None:
        self.folder, self.parent, self.seconds = folder, parent, seconds
        self.asked: float | None = None
        self._at_hand: AtHand | None = None
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._signals, self._handler = socket.socketpair()
        for end in (self._signals, self._handler):
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._handler.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._before)
        self._over.set()
        with contextlib.suppress(BlockingIOError):
            self._handler.send(b"\0")  # wakes the thread
        self._thread.join()
        self._signals.close()
        self._handler.close()

    @contextlib.contextmanager
    def over(self, study: Queue[Any, Any], claim: Claim) -> Iterator[None]:
        """Watch over a trial as long as the block lasts."""
        self._at_hand = AtHand(study, claim, time.monotonic())
        if self.seconds:
            with contextlib.suppress(Exception):  # if stderr is not a file
                faulthandler.dump_traceback_later(self.seconds + 3 * overtime(self.seconds), exit=True)
        try:
            yield
        finally:
            if self.seconds:
                faulthandler.cancel_dump_traceback_later()
            with self._lock:
                self._at_hand = None

    def limited(self, stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Return the question that a trial asks at every update: whether it is to stop.

        The returned function raises OutOfTime if the trial has taken too long.

        stopping: whether the worker is asked to leave.
        """
        if not self.seconds:
            return stopping

        def asked() -> bool:
            if self._at_hand is not None and time.monotonic() - self._at_hand.since > self.seconds:
                raise OutOfTime(out_of_time(self.seconds))
            return stopping()

        return asked

    def _look(self) -> None:
        """Check the trial again and again, and end the process if it must."""
        looked = 0.0
        while not self._over.is_set():
            signalled = self._wait_for_signal()
            now = time.monotonic()
            leave = signalled or (self.parent != 0 and os.getppid() != self.parent)
            if now - looked > FILE_SECONDS:
                looked, leave = now, leave or stop.asked_to_stop_at_once(self.folder)
            if leave and self.asked is None:
                self.asked = now
            with self._lock:
                if self._at_hand is not None:
                    self._end_if_late(self._at_hand, now)

    def _wait_for_signal(self) -> bool:
        """Wait for a moment; returns True if SIGINT or SIGTERM has arrived."""
        ready, _, _ = select.select([self._signals], [], [], LOOK_SECONDS)
        return bool(ready) and not {signal.SIGINT, signal.SIGTERM}.isdisjoint(self._signals.recv(100))

    def _end_if_late(self, at_hand: AtHand, now: float) -> None:
        study, claim, since = at_hand
        if self.seconds and now - since > self.seconds + overtime(self.seconds):
            _end(partial(study.fail, claim.number, out_of_time(self.seconds), now - since), 0)
        elif self.asked is not None and now - max(self.asked, since) > stop.GRACE_SECONDS:
            _end(partial(study.put_back, claim), 1)


def _end(last: Callable[[], None], code: int) -> None:
    """End this process with an exit code after one last action.

    The action has five seconds, in a thread: what hangs may hold the locks that it needs.
    """
    thread = threading.Thread(target=last, daemon=True)
    thread.start()
    thread.join(LAST_SECONDS)
    os._exit(code)


def overtime(seconds: float) -> float:
    """Return how many seconds beyond its limit a trial has for the update at hand, before its process is ended.

    >>> overtime(5.0), overtime(60.0), overtime(3600.0)
    (1.0, 6.0, 10.0)
    """
    return min(stop.GRACE_SECONDS, max(1.0, 0.1 * seconds))


def out_of_time(seconds: float) -> str:
    """Return the error of a trial that took too long."""
    return f"time limit of {seconds:g} s"
