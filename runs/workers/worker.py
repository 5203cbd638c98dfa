"""A worker: a process of one thread that claims trials of a study, runs them and tells what happened."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType

from ..study.study import BEAT_SECONDS, Claim, Study, open_storage, patiently
from ..trial.faults import Interrupted, MachineFault, OutOfTime
from ..trial.training import prepare_process, run

STOP = "stop"  # a file of this name in a study's folder asks its workers to finish what they run and leave
AT_ONCE = "now"  # what stands in it where they are to leave at once
IDLE_SECONDS = 5.0
FAULT_SECONDS = 1.0  # of rest after the machine lacked something
GRACE_SECONDS = 10.0  # a worker that is asked to leave has this long for the update at hand, then it is ended
PR_SET_PDEATHSIG = 1  # of Linux


def work(storage: str, folder: Path, key: str, parent: int = 0, linger: bool = False, seconds: float = 0.0) -> int:
    """Run trials of a planned study until none waits; returns how many.

    SIGINT or SIGTERM stops it within one update, and so does the death of its parent; the trial at hand is put back.
    Where an update does not end, the process is ended after ten seconds.

    key: of the study or stage in the storage.
    parent: process id of the parent to live with, 0 for none.
    linger: stay until every trial is told, to take over the trials of workers that die; for workers that no parent
    watches.
    seconds: that a trial may take, 0 for no limit. One that takes longer is told failed.
    """
    prepare_process()
    die_with(parent)
    signalled = stop_on_signal()
    with Watch(folder, parent, seconds) as watch:

        def stopping() -> bool:
            return signalled() or watch.asked is not None or (parent != 0 and os.getppid() != parent)

        study = patiently(lambda: Study.open(open_storage(storage, folder), key), stopping)
        study.parent = parent
        patiently(study.join, stopping)
        done = 0
        while not stopping() and not (folder / STOP).exists():
            claim = patiently(study.claim, stopping)
            if claim is None:
                if not linger or patiently(study.finished, stopping):
                    break
                patiently(study.recover, stopping)
                patiently(study.enqueue, stopping)
                wait(IDLE_SECONDS, stopping)
                continue
            try:
                with heartbeat(study, claim), watch.over(study, claim):
                    outcome = run(claim.trial, study.reporter(claim), watch.limited(stopping), raise_faults=True)
            except Interrupted:
                study.put_back(claim)
                break
            # a launcher's signal handler: the job's time is over, or somebody more important came
            except (SystemExit, KeyboardInterrupt):
                study.put_back(claim)
                raise
            except MachineFault as fault:
                patiently(partial(study.lost, claim, str(fault)), signalled)
                wait(FAULT_SECONDS, stopping)
                continue
            done += patiently(partial(study.tell, claim, outcome), signalled)
        return done


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent dies, whatever it is doing then; on Linux, elsewhere `Watch`
    does so.

    parent: process id, 0 for none.
    """
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def wait(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleep, but no longer than until asked to stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopping():
        time.sleep(0.1)


def overtime(seconds: float) -> float:
    """How many seconds beyond the limit of a trial are left for the update at hand before its process is ended."""
    return min(GRACE_SECONDS, max(1.0, 0.1 * seconds))


class Watch:
    """A thread that ends this process where the trial at hand does not end in time: an update that hangs asks nothing
    and hears nothing.

    It takes signals from a pipe that the C handler writes into, as Python's handler waits for the update to end.
    Whoever holds Python's global lock for ever stops this thread too; such a worker is ended by its parent, or else by
    the thread of `faulthandler`.

    folder: of the study. parent: process id, 0 for none. seconds: that a trial may take, 0 for no limit.
    asked: when this worker was asked to leave, None where it was not.
    """

    def __init__(self, folder: Path, parent: int, seconds: float) -> None:
        self.folder, self.parent, self.seconds = folder, parent, seconds
        self.asked: float | None = None
        self._lock, self._over = threading.Lock(), threading.Event()
        self._at_hand: tuple[Study, Claim, float] | None = None  # and since when
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._heard, self._told = socket.socketpair()
        for end in (self._heard, self._told):
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._before)
        self._over.set()
        with contextlib.suppress(BlockingIOError):
            self._told.send(b"\0")
        self._thread.join()
        self._heard.close()
        self._told.close()

    @contextlib.contextmanager
    def over(self, study: Study, claim: Claim) -> Iterator[None]:
        """Watch over a trial as long as the block lasts."""
        self._at_hand = (study, claim, time.monotonic())
        if self.seconds:
            with contextlib.suppress(Exception):  # where stderr is no file
                faulthandler.dump_traceback_later(self.seconds + 3 * overtime(self.seconds), exit=True)
        try:
            yield
        finally:
            if self.seconds:
                faulthandler.cancel_dump_traceback_later()
            with self._lock:
                self._at_hand = None

    def limited(self, stopping: Callable[[], bool]) -> Callable[[], bool]:
        """What a trial asks at every update; it raises OutOfTime where the trial has taken too long."""
        if not self.seconds:
            return stopping

        def asked() -> bool:
            if self._at_hand is not None and time.monotonic() - self._at_hand[2] > self.seconds:
                raise OutOfTime(out_of_time(self.seconds))
            return stopping()

        return asked

    def _look(self) -> None:
        looked = 0.0
        while not self._over.is_set():
            ready, _, _ = select.select([self._heard], [], [], 0.5)
            now = time.monotonic()
            came = {*self._heard.recv(100)} & {signal.SIGINT, signal.SIGTERM} if ready else set()
            gone = self.parent != 0 and os.getppid() != self.parent
            if now - looked > 2.0:  # a file system over a network is asked seldom
                looked, gone = now, gone or at_once(self.folder)
            if self.asked is None and (came or gone):
                self.asked = now
            with self._lock:
                if self._at_hand is None:
                    continue
                study, claim, since = self._at_hand
                if self.seconds and now - since > self.seconds + overtime(self.seconds):
                    self._end(partial(study.fail, claim.number, out_of_time(self.seconds), now - since), 0)
                elif self.asked is not None and now - max(self.asked, since) > GRACE_SECONDS:
                    self._end(partial(study.put_back, claim), 1)

    def _end(self, last: Callable[[], None], code: int) -> None:
        """End this process with an exit code after one last action, for which there are five seconds: what hangs may
        hold its locks.
        """
        thread = threading.Thread(target=last, daemon=True)
        thread.start()
        thread.join(5.0)
        os._exit(code)


def out_of_time(seconds: float) -> str:
    """The error of a trial that took too long."""
    return f"time limit of {seconds:g} s"


def at_once(folder: Path) -> bool:
    """Whether the workers of a study are asked to leave at once."""
    try:
        return (folder / STOP).read_text().strip() == AT_ONCE
    except OSError:
        return False


@contextlib.contextmanager
def heartbeat(study: Study, claim: Claim) -> Iterator[None]:
    """Show other machines, as long as the block lasts, that this worker is alive."""
    over = threading.Event()

    def beat() -> None:
        count = 0
        while not over.wait(BEAT_SECONDS):
            count += 1
            # A storage that is away for a moment must not end the trial; telling its outcome will try again.
            with contextlib.suppress(Exception):
                study.beat(claim, count)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stop_on_signal() -> Callable[[], bool]:
    """A function that answers whether SIGINT or SIGTERM has come since."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(came)
