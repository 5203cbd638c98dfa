"""The compiled kernels of a search: thousands that are used once, in a folder of their own that does not grow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CACHE = "LSTM_VARIANTS_CACHE"
LIMIT = "LSTM_VARIANTS_SEARCH_MEGABYTES"
KEPT = 0.5
"""The share of the limit that is kept when the folder is full."""


@contextmanager
def kernels_in(folder: Path, megabytes: int) -> Iterator[None]:
    """Let this process, and the workers that it starts, keep their kernels in the folder of a search.

    megabytes: that they may take.
    """
    before = {name: os.environ.get(name) for name in (CACHE, LIMIT)}
    os.environ[CACHE], os.environ[LIMIT] = str(folder.resolve() / "kernels"), str(megabytes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def make_room() -> None:
    """Remove the oldest kernels where those of a search take more than they may, and say so on stderr.

    Nothing is done outside `kernels_in`.
    """
    limit, place = os.environ.get(LIMIT), os.environ.get(CACHE)
    if limit and place:
        line = trimmed(Path(place), int(float(limit) * 2**20))
        if line:
            print(line, file=sys.stderr, flush=True)


def trimmed(place: Path, limit: int) -> str:
    """Remove the oldest kernels of a folder until half of the limit is free, if they take more than that.

    place: the folder. limit: in bytes.

    Returns one line on what was done; empty where nothing was.
    """
    found = []
    for path in place.glob("*.kernel"):
        with suppress(OSError):  # another process removes files, too
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return ""
    left, count = total, 0
    for _, size, path in sorted(found):
        if left <= KEPT * limit:
            break
        with suppress(OSError):
            path.unlink()
        left, count = left - size, count + 1
    return (
        f"kernels of candidates: {total / 2**20:.1f} MB in {place} are more than {limit / 2**20:g} MB (megabytes=...); "
        f"the oldest {count} were removed, and are compiled again if they are needed"
    )
