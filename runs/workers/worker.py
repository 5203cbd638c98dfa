"""A worker: a process of one thread that claims trials of a study, runs them and stores their outcomes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..discovery.plan import is_search
from ..study.claiming import Queue
from ..study.part import WHOLE, Part
from ..study.processes import BEAT_SECONDS
from ..study.storage.contract import Storage
from ..study.storage.opening import open_storage, patiently
from ..study.study import Study
from ..study.trials import Claim
from ..trial.faults import Interrupted, MachineFault
from ..trial.training import prepare_process
from .stop import asked_to_stop, stop_on_signal
from .watch import Watch

FAULT_SECONDS = 1.0  # before the next trial after the machine lacked something
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent dies


def work(
    storage: str,
    folder: Path,
    key: str,
    parent: int = 0,
    linger: bool = False,
    seconds: float = 0.0,
    part: Part = WHOLE,
) -> int:
    """Run trials of a planned study until none is waiting; returns how many trials this worker has finished.

    Where the study wants its workers replaced after some trials, this one leaves after so many.

    SIGINT or SIGTERM stops it within one update, and so does the death of its parent; the trial at hand is put back.
    If the update does not end, the process is ended after ten seconds.

    storage: URL of the storage, empty for the journal in the folder.
    folder: of the study.
    key: of the study or stage in the storage.
    parent: process id of the parent to live with, 0 for none.
    linger: stay until every trial of the part is finished, to take over the trials of workers that die; for workers
        that no parent watches.
    seconds: that a trial may take, 0 for no limit. One that takes longer has failed.
    part: whose trials are run.
    """
    prepare_process()
    die_with(parent)
    signalled = stop_on_signal()
    with Watch(folder, parent, seconds) as watch:

        def stopping() -> bool:
            return signalled() or watch.asked is not None or (parent != 0 and os.getppid() != parent)

        study = patiently(lambda: planned_before(open_storage(storage, folder), key), stopping)
        study.parent, study.part = parent, part
        patiently(study.sessions.join, stopping)
        finished = 0
        while not (stopping() or asked_to_stop(folder) or 0 < study.most <= finished):
            claim = patiently(study.claim, stopping)
            if claim is None:
                if not (linger or study.grows) or patiently(study.finished, stopping):
                    break
                look_after(study, stopping)
                continue
            try:
                with heartbeat(study, claim), watch.over(study, claim):
                    outcome = study.run(claim, watch.limited(stopping))
            except Interrupted:
                study.put_back(claim)
                break
            except (SystemExit, KeyboardInterrupt):  # of a launcher's signal handler: the job is out of time
                study.put_back(claim)
                raise
            except MachineFault as fault:
                patiently(partial(study.lost, claim, str(fault)), signalled)
                wait(FAULT_SECONDS, stopping)
                continue
            finished += patiently(partial(study.finish, claim, outcome), signalled)
        return finished


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent dies, whatever the process is doing then.

    Only Linux can; elsewhere `Watch` ends the process.

    parent: process id, 0 for none.
    """
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it had died before the kernel was asked
            os._exit(1)


def look_after(study: Queue[Any, Any], stopping: Callable[[], bool]) -> None:
    """Put back the trials of workers that died, let wait what is absent, and sleep for a while."""
    patiently(study.recover, stopping)
    if not patiently(study.enqueue, stopping):
        wait(study.idle_seconds, stopping)


def wait(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleep, but not longer than until asked to stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopping():
        time.sleep(0.1)


def planned_before(storage: Storage, key: str) -> Queue[Any, Any]:
    """Return what was planned under a key in a storage: a study, a stage of one, or a search for cells."""
    if not is_search(key):
        return Study.open(storage, key)
    from ..discovery.search import CellSearch

    return CellSearch.open(storage, key)


@contextlib.contextmanager
def heartbeat(study: Queue[Any, Any], claim: Claim) -> Iterator[None]:
    """Show other machines that this worker is alive, as long as the block lasts."""
    over = threading.Event()

    def beat() -> None:
        count = 0
        while not over.wait(BEAT_SECONDS):
            count += 1
            # A storage that is away for a moment must not end the trial; storing its outcome will try again.
            with contextlib.suppress(Exception):
                study.beat(claim, count)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
