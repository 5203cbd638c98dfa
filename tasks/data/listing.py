"""Finds the files of a data set that a user has, and tells whether one of them was changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def user_folder(path: str, task: str, needs: str) -> Path:
    """Return the folder that a user names.

    path: what was given; `~` is the user's home.
    task: name of the task, for the message.
    needs: what the task needs, for the message.

    Raises ValueError, in one line, where there is no such folder.
    """
    if not path:
        raise ValueError(f"{task} needs {needs}, got no path")
    place = Path(path).expanduser()
    if not place.is_dir():
        raise ValueError(f"{task} needs {needs}, got {path!r}, which is no folder")
    return place.resolve()


def listing_hash(root: Path, files: Iterable[Path]) -> str:
    """Return a SHA-256, in hexadecimal, that changes when a file comes, goes or is changed.

    root: the folder of the data set.
    files: below it. Name, size and time of the last change of each one are read, not its content.
    """
    whole = hashlib.sha256(str(root).encode())
    for file in sorted(files):
        facts = file.stat()
        whole.update(f"{file.relative_to(root).as_posix()}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return whole.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Return all files in a folder and the folders in it, sorted."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
