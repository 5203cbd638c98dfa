"""A worker: a process of one thread that claims trials of a study, runs them and tells what happened, until none waits."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from .study import Study, open_storage
from .train import Interrupted, prepare_process, run

STOP = "stop"  # a file of this name in a study's folder asks its workers to finish what they run and leave


def work(storage: str, folder: Path, name: str) -> int:
    """Run trials of a planned study until none waits; returns how many.

    SIGINT or SIGTERM stops it within one update; the trial at hand is put back.
    """
    prepare_process()
    stopping = stop_on_signal()
    study = Study.open(open_storage(storage, folder), name)
    done = 0
    while not stopping() and not (folder / STOP).exists() and (claim := study.claim()) is not None:
        try:
            outcome = run(claim.trial, stopping=stopping)
        except Interrupted:
            study.put_back(claim)
            break
        study.tell(claim, outcome)
        done += 1
    return done


def stop_on_signal() -> Callable[[], bool]:
    """A function that answers whether SIGINT or SIGTERM has come since."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(came)
