"""The archives that are shipped with the project: where they lie, and how their files are made."""

from __future__ import annotations

from pathlib import Path

from ..console.known import instead
from ..names import checked_name
from .archive import CURVES

FOLDER = Path(__file__).resolve().parents[2] / "analysis" / "archive"
PREFIX = "archive:"


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of the archives in a folder, by default of those that are shipped."""
    return sorted(path.stem for path in folder.glob("*.parquet") if not path.name.endswith(CURVES))


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
    name = value.removeprefix(PREFIX)
    path = FOLDER / f"{checked_name(name, 'name of an archive')}.parquet"
    if not path.is_file():
        raise ValueError(f"there is no archive {value}; {instead(name, names(), 'the archives are', PREFIX)}")
    return path
