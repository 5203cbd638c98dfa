"""Machine code on disk, kept from process to process.

It is run without a look at it, so only files that nobody but the user could have written are read.

The folder is LSTM_VARIANTS_CACHE, else `lstm-variants` in XDG_CACHE_HOME, else in `~/.cache`; where none of these can
be had, nothing is kept. Its files are trusted if the folder and the file belong to the user or to root and nobody else
may write to them. With LSTM_VARIANTS_CACHE_SHARED=1 the members of the folder's group are trusted as well: then folder
and files may belong to any of them and be writable by the group, if the user is a member, too. What is not trusted is
not read but compiled again, with one warning. Links are never followed. On systems without owners of files (Windows)
the folder is the user's own by its place, and nothing is checked.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 256 * 2**20
"""Size of the folder beyond which the oldest files are removed."""
TRIMMED_EVERY = 64
"""How many files this process writes between two checks of the folder's size; the first check is at its first file."""
STALE_SECONDS = 3600.0
"""Age at which a part of a file was left behind by a process that died."""

_OURS = re.compile(r"[0-9a-f]{64}\.kernel|\.(kernel-)?\w{8}\.part")
_warned: set[Path] = set()
_written = 0


def folder() -> Path | None:
    """Return where machine code is kept, whether it exists or not; None for a user without a home."""
    chosen = os.environ.get("LSTM_VARIANTS_CACHE")
    if chosen:
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm-variants"
    except RuntimeError:
        return None


def read(key: str) -> bytes | None:
    """Return what was written under a key; None where there is nothing, or nothing whole, or nothing to be trusted."""
    place = folder()
    try:
        group = _group(place)
        if place is None or group is None:
            return None
        path = place / _name(key)
        if path.is_symlink():
            _refuse(place, f"holds {path.name}, which must not be a link")
            return None
        # Without O_NOFOLLOW a link could come in between, without O_NONBLOCK a pipe would keep us waiting.
        flags = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
        with open(os.open(path, sum(getattr(os, name, 0) for name in flags)), "rb") as file:
            status = os.fstat(file.fileno())
            why = _why_not(status, group)
            if why or not stat.S_ISREG(status.st_mode):
                _refuse(place, f"holds {path.name}, which {why or 'must be a file'}")
                return None
            content = file.read()
    except OSError:
        return None
    digest, payload = content[:32], content[32:]
    return payload if _digest(key, payload) == digest else None


def write(key: str, payload: bytes) -> None:
    """Keep a payload under a key: others see all of it or nothing.

    Where the folder cannot be written or trusted nothing is kept.
    """
    global _written
    place = folder()
    if place is None:
        return
    try:
        _make(place)
        group = _group(place)
        if group is None:
            return
        if _written % TRIMMED_EVERY == 0:
            _trim(place)
        _written += 1
        handle, part = tempfile.mkstemp(dir=place, prefix=".kernel-", suffix=".part")  # for the user alone
        try:
            with open(handle, "wb") as file:
                file.write(_digest(key, payload) + payload)
                if _shared():
                    with suppress(OSError):
                        os.fchown(file.fileno(), -1, group)
                    os.fchmod(file.fileno(), 0o644)
            os.replace(part, place / _name(key))
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
    except OSError:
        return


def _name(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}.kernel"


def _digest(key: str, payload: bytes) -> bytes:
    """Return the digest of key and payload, so that a file under another name counts as damaged."""
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + payload).digest()


def _shared() -> bool:
    return os.environ.get("LSTM_VARIANTS_CACHE_SHARED") == "1" and hasattr(os, "geteuid")


def _make(place: Path) -> None:
    """Create the folder where absent, for the user alone, or for the user's group where it is shared."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
        if _shared():
            place.chmod(0o2770)  # its files get its group


def _group(place: Path | None) -> int | None:
    """Return the group of a folder that can be trusted; None where there is no such folder.

    Raises OSError where there is none at all.
    """
    if place is None:
        return None
    status = os.lstat(place)
    if not stat.S_ISDIR(status.st_mode):
        _refuse(place, "must be a folder, and no link to one")
        return None
    why = _why_not(status, status.st_gid)
    if why:
        _refuse(place, why)
    return None if why else status.st_gid


def _why_not(status: os.stat_result, group: int) -> str:
    """Return why a folder or a file of it cannot be trusted; empty where it can.

    group: of the folder; with a shared cache its members may own and write it.
    """
    if not hasattr(os, "geteuid"):
        return ""
    owner, mode = status.st_uid, stat.S_IMODE(status.st_mode)
    if owner in (os.geteuid(), 0) and not mode & 0o022:
        return ""
    got = f"got owner {owner}, group {status.st_gid} and mode {mode:o}"
    if not _shared():
        return f"must belong to you and be writable by you alone, {got}"
    member = status.st_gid == group and group in (os.getegid(), *os.getgroups())
    return "" if member and not mode & 0o002 else f"must belong to a group of yours and not be writable by all, {got}"


def _refuse(place: Path, why: str) -> None:
    """Warn once that no kernels are taken from a folder."""
    if place not in _warned:
        _warned.add(place)
        cure = "set LSTM_VARIANTS_CACHE to a folder of your own, or, if this one is, use chmod go-w"
        warnings.warn(
            f"kernel cache {place} {why}; kernels are compiled again; to keep them, {cure}",
            RuntimeWarning,
            stacklevel=2,
        )


def _trim(place: Path) -> None:
    """Remove what processes that died have left behind, and the oldest files beyond the limit.

    Files of other names are left alone.
    """
    kept: list[tuple[float, int, str]] = []
    with os.scandir(place) as entries:
        for entry in entries:
            with suppress(OSError):  # another process removes files, too
                if not _OURS.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
                    continue
                status = entry.stat(follow_symlinks=False)
                if not entry.name.endswith(".part"):
                    kept.append((status.st_mtime, status.st_size, entry.path))
                elif time.time() - status.st_mtime > STALE_SECONDS:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if total <= MOST_BYTES:
            return
        with suppress(OSError):
            os.unlink(path)
        total -= size
