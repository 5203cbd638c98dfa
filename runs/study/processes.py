"""Which processes run trials, and whether they are still alive."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

BEAT_SECONDS = 20.0
"""How often a worker shows that it is alive."""
SILENCE_SECONDS = 120.0
"""A worker of another machine that has not shown itself for so long counts as dead."""
UNSIGNED_SECONDS = 30.0
"""A trial that nobody has signed for so long was claimed by a process that died before it could sign."""

Signature = Mapping[str, Any]
"""A process: `host`, `pid`, `started`, and `parent` (`pid` and `started`) where it lives with its parent."""


def signature(parent: int = 0) -> dict[str, Any]:
    """Return what a worker signs its trials with.

    parent: process id of the process that started it and that it lives with, 0 for none.
    """
    mine: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid(), "started": started(psutil.Process())}
    if parent:
        with contextlib.suppress(psutil.Error):
            mine["parent"] = {"pid": parent, "started": started(psutil.Process(parent))}
    return mine


def started(process: psutil.Process) -> str:
    """When a process was started, as text that stays the same when the wall clock is set.

    On Linux it names the boot and the clock ticks since then; psutil's `create_time` adds the time of the boot, which
    moves with the wall clock.
    Raises psutil.Error where there is no such process.
    """
    stat, boot = Path(f"/proc/{process.pid}/stat"), Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return str(process.create_time())
    try:
        ticks = stat.read_text().rpartition(")")[2].split()[19]
    except OSError:
        raise psutil.NoSuchProcess(process.pid) from None
    return f"{boot.read_text().strip()} {ticks}"


def alive(worker: Signature) -> bool:
    """Return whether a process of this machine still runs; a zombie and another process with its id do not count."""
    try:
        process = psutil.Process(worker["pid"])
        return bool(started(process) == worker["started"] and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_here(worker: Signature) -> bool:
    """Return whether a process is one of this machine."""
    return bool(worker.get("host") == socket.gethostname())


class Liveness:
    """Which workers are dead, as far as this process can tell.

    A worker of this machine is dead when its process is. One of another machine is dead when its heartbeat has not
    changed for two minutes by the clock of this process.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, float]] = {}  # the last heartbeat of a trial, and since when

    def is_dead(self, number: int, worker: Signature, beat: object) -> bool:
        """Return whether the worker of a running trial is dead.

        number: of the trial in the storage. worker: empty where nobody has signed it. beat: the last heartbeat.
        """
        if is_here(worker):
            return not alive(worker)
        shown = (dict(worker), beat)
        last, since = self._seen.get(number, (None, 0.0))
        if last != shown:
            self._seen[number] = (shown, time.monotonic())
            return False
        return time.monotonic() - since > (SILENCE_SECONDS if worker else UNSIGNED_SECONDS)
