"""What to analyse, and the study behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.console.progress import SILENT, Progress

if TYPE_CHECKING:
    from runs.record.archive import Archive

    from .processes import Companion


def silent(line: str) -> None:
    """Announce nothing."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to analyse and where to write.

    study: name of the study; empty for the one that the archive names.
    results: folder of all studies.
    archive: an archive that is read instead of the storage.
    storage: URL of the storage; empty for the journal in the study's folder.
    search: whether a study that searched for each variant separately, or pruned trials, may be analysed.
    other: archive of a second study that is compared with this one.
    out: receives the folder `<study>` instead of `results`, which is then only read.
    formats: of the files of each figure; empty for SVG, and PNG of those that do not stand in the folded rest.
    figures: whether those are drawn, too, that a large study gets on request only, see `figures.gallery.on_request`.
    announce: is called with a line on what was left out or is computed again.
    progress: shows how far the analysis is.
    """

    study: str = ""
    results: Path = Path("results")
    archive: Path | None = None
    storage: str = ""
    search: bool = False
    other: Path | None = None
    out: Path | None = None
    formats: tuple[str, ...] = ()
    figures: bool = False
    announce: Callable[[str], None] = silent
    progress: Progress = SILENT

    @property
    def place(self) -> Path:
        """The folder that receives the folder of the study."""
        return Path(self.results if self.out is None else self.out)


def load(options: Options, companion: Companion | None = None) -> Archive:
    """Return the study of an analysis; the archive of one that is read from its storage is written on the way.

    options: say which study.
    companion: has begun to read it, see `begin_to_load`.

    Raises ValueError where there is no such study or archive, where no trial is finished, or where the archive cannot
    be written.
    """
    from runs.record.archive import keep, read_archive

    if options.archive is not None:
        return read_archive(options.archive)
    rows, values = (
        _records(options.results, options.study, options.storage) if companion is None else companion.result()
    )
    return keep(options.study, rows, values, options.place / options.study)


def begin_to_load(options: Options, companion: Companion) -> None:
    """Let a companion begin to read a study from its storage, for which it imports torch and Optuna."""
    if options.archive is None:
        companion.begin(_records, options.results, options.study, options.storage)


def _records(results: Path, study: str, storage: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from runs.console.start import import_quickly
    from runs.names import checked_name

    import_quickly("runs.study.finding")
    from runs.study.finding import records

    return records(results, checked_name(study, "study"), storage, stages=True)


def archived(results: Path) -> list[str]:
    """Return the names of the studies in a results folder that have an archive."""
    return sorted(path.parent.name for path in Path(results).glob("*/trials.parquet"))


def archive_of(value: str, results: Path) -> Path | None:
    """Return the archive behind an argument, see `archive_named`; None for an empty one."""
    return archive_named(value, results) if value else None


def archive_named(value: str, results: Path) -> Path:
    """Return the archive of a name: a file, one that is shipped, or that of a study in the results folder.

    value: a path, `archive:<name>`, or the name of a study.
    results: folder of all studies.

    Raises ValueError where there is no such archive.
    """
    from runs.console.known import meant
    from runs.record.shipped import PREFIX, located

    if value.startswith(PREFIX):
        return located(value)
    path = Path(value)
    named = results / value / "trials.parquet"
    if not path.is_file() and not named.is_file():
        is_path = "/" in value or "." in value
        archives = "" if is_path else f", and no archive {named}{meant(value, archived(results))}"
        raise ValueError(f"there is no file {value}{archives}")
    return path if path.is_file() else named
