"""How workers are asked to leave: by a signal, or by a file in the study's folder."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ..files import writable, write_whole

STOP = "stop"  # a file of this name in a study's folder asks its workers to finish the trial at hand and leave
AT_ONCE = "now"  # the content of that file if they are to leave at once
GRACE_SECONDS = 10.0  # after being asked to leave at once, a worker has this long before it is ended


def asked_to_stop(folder: Path) -> bool:
    """Return True if the workers of the study in this folder are asked to leave, after the trial at hand or at once."""
    return (folder / STOP).exists()


def asked_to_stop_at_once(folder: Path) -> bool:
    """Return True if the workers of the study in this folder are asked to leave without finishing their trials."""
    try:
        return (folder / STOP).read_text().strip() == AT_ONCE
    except OSError:
        return False


def ask_to_stop(folder: Path, at_once: bool = False) -> None:
    """Ask the workers of the study in this folder to leave. Raises ValueError if the folder cannot be written."""
    if at_once:
        write_whole(folder / STOP, AT_ONCE)
    else:
        (writable(folder) / STOP).touch()


def withdraw_stop(folder: Path) -> None:
    """Withdraw a request to stop, if there is one."""
    (folder / STOP).unlink(missing_ok=True)


def stop_on_signal() -> Callable[[], bool]:
    """Catch SIGINT and SIGTERM from now on; returns a function that says whether one of them has arrived."""
    arrived: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(arrived)
