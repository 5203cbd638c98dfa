"""Whether a study has been started, told before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

from ..console.known import instead


class NoStudy(ValueError):
    """There is no study of this name."""


def there(results: Path) -> list[str]:
    """Return the names of the studies that have a journal in a results folder."""
    return sorted(path.parent.name for path in Path(results).glob("*/journal.log"))


def refuse_absent(results: Path, name: str, url: str = "") -> None:
    """Raise NoStudy, with the nearest name and those that there are, if a study has no journal.

    results: folder of all studies.
    name: of the study.
    url: of the storage; with one the study needs no journal, and nothing is raised.
    """
    if not url and not (Path(results) / name / "journal.log").exists():
        raise NoStudy(f"study {name!r} has not been started in {results}; {instead(name, there(results))}")
