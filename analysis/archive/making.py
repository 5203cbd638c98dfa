"""Makes the shipped archive of a study, and refuses to lose what an earlier one holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.files import writable
from runs.names import checked_name
from runs.record.archive import Archive, read_archive
from runs.record.baselines import FILE, fitting, recorded
from runs.record.rows import COLUMNS, OF_CURVES, ORDER
from runs.record.shipped import known_sums, write_sum
from runs.record.shipping import ship, write_curves

from .listing import described, size

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1_000_000  # of an archive in the repository


def make(archive: Archive, folder: Path, results: Path) -> Iterator[str]:
    """Write the archive of a study as it is shipped, its checksum and its curves; yields lines on them.

    archive: of the study, which may lack trials.
    folder: receives `<study>.parquet` and `SHA256SUMS`.
    results: its folder `<study>` receives `<study>.curves.parquet`, and may have the baselines of the tasks.

    Raises ValueError where the archive that is there has another design, or trials that this one lacks.
    """
    name = checked_name(archive.design.name, "study")
    path = writable(folder, "out") / f"{name}.parquet"
    if path.is_file():
        refuse_loss(path, archive)
        archive = with_facts_of_curves(archive, read_archive(path))
    written = ship(with_baselines(archive, results / name / FILE), path)
    write_sum(path)
    first, *others = described(path, known_sums(folder))
    yield f"{first}{'' if written else '; as before'}"
    yield from others
    if path.stat().st_size > MOST_BYTES:
        yield f"  it is larger than {MOST_BYTES // 1000:,} kB, which is much for a file in a repository"
    if archive.table["curve_steps"].map(len).any():
        curves = write_curves(archive.table, writable(results / name) / path.name)
        yield f"  learning curves: {curves}, {size(curves)}; the archive has them where that file lies beside it"


def with_facts_of_curves(archive: Archive, before: Archive) -> Archive:
    """Return an archive in which trials without a curve have what an earlier archive knows of their curves.

    A trial that was restored from an archive has no curve, from which its first, lowest and last losses could follow.

    archive: the new one.
    before: an earlier one. A trial is the same one where its place in the study, its id and its test loss are.
    """
    names = [column.name for column in COLUMNS if column.earlier == OF_CURVES]
    place = [*ORDER, "trial_id", "test_loss"]
    own, known = (table.assign(test_loss=table["test_loss"].astype(str)) for table in (archive.table, before.table))
    earlier = known.set_index(place)[names].reindex(list(zip(*(own[name] for name in place), strict=True)))
    earlier = earlier.set_axis(archive.table.index)
    lacking = archive.table[names].isna().all(axis=1)
    table = archive.table.copy()
    for name in names:
        table[name] = table[name].where(~lacking, earlier[name])
    return replace(archive, table=table)


def refuse_loss(path: Path, archive: Archive) -> None:
    """Raise ValueError where an archive that is there has another design, or trials that the new one lacks.

    path: of the archive that is there.
    archive: the new one.
    """
    before = read_archive(path)
    different = before.design.differences(archive.design)
    if different:
        raise ValueError(f"{path.name} is there with another design ({'; '.join(different[:3])}): out=FOLDER")
    now = _statuses(archive.table)
    # a failed trial is no loss where it was run again, and a finished one is where it failed
    lost = sum(at not in now or status != "failed" == now[at] for at, status in _statuses(before.table).items())
    if lost:
        raise ValueError(
            f"{path.name} is there with {lost} trials that this study does not have; remove the file to lose them"
        )


def _statuses(table: pd.DataFrame) -> dict[tuple[Any, ...], str]:
    """Return the statuses of trials by their places in the plans of a study; another version gives them other ids."""
    return dict(zip(zip(*(table[name].tolist() for name in ORDER), strict=True), table["status"].tolist(), strict=True))


def with_baselines(archive: Archive, path: Path) -> Archive:
    """Return an archive with the baselines of its tasks in its facts: those of a file, else those that it has."""
    nodes = {label: node for label, node in archive.design.tasks.items() if "_target_" in node}
    found, _ = recorded(nodes, [path])
    both = fitting(archive.about.get("baselines"), nodes) | found
    return replace(archive, about={**archive.about, "baselines": both}) if both else archive
