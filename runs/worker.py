"""A worker: a process of one thread that claims trials of a study, runs them and tells what happened."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

from .study import BEAT_SECONDS, Claim, Study, open_storage, patiently
from .train import Interrupted, prepare_process, run

STOP = "stop"  # a file of this name in a study's folder asks its workers to finish what they run and leave
IDLE_SECONDS = 5.0


def work(storage: str, folder: Path, key: str, parent: int = 0, linger: bool = False) -> int:
    """Run trials of a planned study until none waits; returns how many.

    SIGINT or SIGTERM stops it within one update, and so does the death of its parent; the trial at hand is put back.

    key: of the study or stage in the storage.
    parent: process id of the parent to live with, 0 for none.
    linger: stay until every trial is told, to take over the trials of workers that die; for workers that no parent watches.
    """
    prepare_process()
    signalled = stop_on_signal()

    def stopping() -> bool:
        return signalled() or (parent != 0 and os.getppid() != parent)

    study = patiently(lambda: Study.open(open_storage(storage, folder), key), stopping)
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
            with heartbeat(study, claim):
                outcome = run(claim.trial, study.reporter(claim), stopping)
        except Interrupted:
            study.put_back(claim)
            break
        except (SystemExit, KeyboardInterrupt):  # a launcher's signal handler: the job's time is over, or somebody more important came
            study.put_back(claim)
            raise
        done += patiently(partial(study.tell, claim, outcome), signalled)
    return done


def wait(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleep, but no longer than until asked to stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopping():
        time.sleep(0.1)


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
