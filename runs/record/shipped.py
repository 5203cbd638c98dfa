"""The archives of studies that are part of the project."""

from __future__ import annotations

from pathlib import Path

from ..console.known import unknown

FOLDER = Path(__file__).resolve().parents[2] / "analysis" / "archive"
PREFIX = "archive:"


def located(value: str) -> Path:
    """Return the path of an archive.

    value: a path of a parquet file, or the name of an archive that is shipped, as in `archive:lags`.
    Raises ValueError, naming the archives that there are, for another name.
    """
    if not value.startswith(PREFIX):
        return Path(value)
    name = value.removeprefix(PREFIX)
    names = sorted(path.stem for path in FOLDER.glob("*.parquet") if "." not in path.stem)
    if name not in names:
        raise ValueError(unknown("archive", name, names, above=PREFIX))
    return FOLDER / f"{name}.parquet"
