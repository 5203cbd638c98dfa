"""Files that are written whole or not at all: a kill or a full disk leaves the old file, never half of a new one."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

STALE_SECONDS = 3600.0  # after which a temporary file is nobody's


def writable(folder: Path, key: str = "results") -> Path:
    """The folder, created where absent. Raises ValueError where it cannot be written.

    key: the argument that named it.
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
    """A folder inside a folder, created where absent.

    Raises ValueError where a link leads out of it: the folder may be somebody else's.
    """
    found = folder.joinpath(*names)
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{found} must lie inside {folder}, but leads to {found.resolve()}")
    found.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file in the same folder; when the block ends, that file takes the place of `path`.

    The temporary name has the same ending as `path`, for writers that choose a format by it. Where the block raises,
    `path` stays as it was and the temporary file is removed; that of a writer that was killed goes with the next write
    an hour later.
    """
    part = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}.part{path.suffix}")
    for old in path.parent.glob(f".{escape(path.stem[:100])}-????????.part{escape(path.suffix)}"):
        with suppress(OSError):  # what a writer that was killed has left
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
