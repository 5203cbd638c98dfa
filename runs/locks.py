"""Locks on open files that the system takes back when their holder ends, however it ends.

On POSIX a lock is `flock` on the file itself, where every version of this project looks for it. Windows locks the first
byte of a file and lets nobody else read it, so what others read without a lock has a file beside it that is locked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

NOTICE_SECONDS, HELD_SECONDS = 5.0, 60.0  # without the lock: until the holder is named, until the wait is given up
LOCKED_IS_UNREADABLE = os.name == "nt"


class LockHeld(TimeoutError, ValueError):
    """Another process has held a lock for too long: a worker tries again, a command reports a mistake."""


def try_lock(handle: IO[Any]) -> bool:
    """Lock an open file if nobody else holds its lock, without waiting.

    The lock is released when the file is closed, or when the process ends.

    handle: open for writing, as the lock of a file on NFS is refused otherwise.

    Returns whether the file is locked now. Raises OSError where the file system has no locks.

    >>> with open(os.devnull, "w") as first, open(os.devnull, "w") as second:
    ...     try_lock(first), try_lock(second)
    (True, False)
    """
    from filelock import lock_descriptor  # takes 30 ms, which most commands can do without

    return lock_descriptor(handle.fileno(), blocking=False)


def lock(handle: IO[Any], seconds: float | None = None) -> None:
    """Lock an open file, and wait while another process holds its lock.

    A holder that was stopped (SIGSTOP, a machine that sleeps) never lets go: it is named on stderr after five seconds.

    handle: open for writing.
    seconds: the longest wait, by default a minute.

    Raises LockHeld after that time.
    """
    begun, pause, said = time.monotonic(), 0.0005, False
    while not try_lock(handle):
        waited = time.monotonic() - begun
        if waited > (HELD_SECONDS if seconds is None else seconds):
            raise LockHeld(f"{handle.name} has been locked for {waited:.0f} s by {holder(handle)}")
        if waited > NOTICE_SECONDS and not said:
            said = True
            print(f"waiting for {handle.name}, which is locked by {holder(handle)}", file=sys.stderr, flush=True)
        time.sleep(pause)
        pause = min(0.02, 1.5 * pause)


@contextmanager
def locked(path: str, mode: str = "r+b") -> Iterator[IO[bytes]]:
    """Open a file without a buffer, and hold its lock as long as the block lasts.

    path: of a file that others may read meanwhile, and that another holder may have replaced.
    mode: "r+b", or "rb" where the file cannot be written.

    Raises LockHeld as `lock` does.
    """
    while True:
        with open(path, mode, buffering=0) as handle, _to_lock(path, handle) as target:
            lock(target)
            if os.fstat(handle.fileno()).st_ino == os.stat(path).st_ino:  # else it was replaced while we waited
                yield handle
                return


@contextmanager
def _to_lock(path: str, handle: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file whose lock stands for a file that others read: that file, or the one beside it."""
    if LOCKED_IS_UNREADABLE:
        with open(f"{path}.lock", "ab") as beside:
            yield beside
    else:
        yield handle


def holder(handle: IO[Any]) -> str:
    """Describe the process that holds the lock of a file: its number, its command, and whether it is stopped."""
    inode = f":{os.fstat(handle.fileno()).st_ino}"
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        pid = next(int(words[4]) for words in locks if words[1] == "FLOCK" and words[5].endswith(inode))
        process = psutil.Process(pid)
        stopped = "stopped, " if process.status() == psutil.STATUS_STOPPED else ""
        return f"process {pid} ({stopped}{' '.join(process.cmdline())[:100]})"
    except (OSError, StopIteration, ValueError, IndexError, psutil.Error):
        return "another process"
