"""Writes files whole or not at all: a kill or a full disk leaves the old file, never half of a new one."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

STALE_SECONDS = 3600.0  # after this time the writer of a temporary file has certainly ended


def writable(folder: Path, key: str = "results") -> Path:
    """Return a folder that can be written; it is created if it does not exist.

    folder: the path.
    key: the argument that named it, for the message.

    Raises ValueError if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{key}: cannot write into {folder}: {error.strerror}") from None
    return folder


def subfolder(folder: Path, *names: str) -> Path:
    """Return a folder inside a folder; it is created if it does not exist.

    folder: the outer folder, perhaps somebody else's.
    names: of the folders inside, from the outside in.

    Raises ValueError if a link leads out of the outer folder.
    """
    found = folder.joinpath(*names)
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{found} must lie inside {folder}, but leads to {found.resolve()}")
    found.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file in the same folder; when the block ends, that file replaces `path`.

    The temporary name has the same ending as `path`, for writers that choose a format by it. If the block raises,
    `path` stays as it was and the temporary file is removed. The temporary file of a writer that was killed is removed
    by a later write of the same file, at the earliest an hour later.
    """
    part = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}.part{path.suffix}")
    for old in path.parent.glob(f".{escape(path.stem[:100])}-????????.part{escape(path.suffix)}"):
        with suppress(OSError):  # of a writer that was killed; another process may be faster
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.unlink()
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, so that others see the old content or the new, never a part of it."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
