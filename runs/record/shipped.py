"""The archives that are shipped with the project: where they lie, and how they are found."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..console.known import instead
from ..files import write_whole
from ..names import checked_name

FOLDER = Path(__file__).resolve().parents[2] / "analysis" / "archive"
PREFIX = "archive:"
SUMS = "SHA256SUMS"
SEARCH = b"search"
"""The key in the metadata of a file that is the table of a search over cells, and not the archive of a study."""
CURVES = ".curves.parquet"
"""What the name of the file ends with that holds the learning curves of an archive without them."""


def names(folder: Path | None = None) -> list[str]:
    """Return the names of the archives in a folder, by default of those that are shipped."""
    files = (FOLDER if folder is None else folder).glob("*.parquet")
    return sorted(path.stem for path in files if not path.name.endswith(CURVES))


def known_sums(folder: Path | None = None) -> dict[str, str]:
    """Return the checksums of a folder's file `SHA256SUMS`, by the names of the files; none where it is not there.

    folder: by default that of the archives that are shipped.
    """
    try:
        lines = ((FOLDER if folder is None else folder) / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sum(path: Path) -> None:
    """Write the checksum of an archive into the file `SHA256SUMS` beside it, which `sha256sum -c` reads."""
    sums = {**known_sums(path.parent), path.name: sum_of(path)}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums) if (path.parent / name).is_file()]
    write_whole(path.parent / SUMS, "".join(lines))


def located(value: str) -> Path:
    """Return the path of an archive.

    value: `archive:<name>` for one that is shipped with the project, or the path of a file.

    Raises ValueError where there is none; it names those that are shipped.
    """
    if not value.startswith(PREFIX):
        path = Path(value)
        if not path.is_file():
            shipped = ", ".join(PREFIX + name for name in names())
            raise ValueError(f"there is no file {value}; the shipped archives are: {shipped or 'none'}")
        return path
    name = checked_name(value.removeprefix(PREFIX), "name of an archive")
    if name not in names():
        raise ValueError(f"there is no archive {value}; {instead(name, names(), 'the archives are', PREFIX)}")
    return FOLDER / f"{name}.parquet"
