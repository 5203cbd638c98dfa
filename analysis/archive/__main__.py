"""`python -m analysis.archive study=lags`: ship a study or a search; without arguments, list what is shipped.

python -m analysis.archive
python -m analysis.archive from=trials.parquet out=FOLDER
python -m analysis.archive search=discover
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runs.arguments import key_values
from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly

KEYS = {
    "study": "name of the study to ship; it may still be running. Default: none.",
    "search": "name of the search for cells to ship; it may still be running. Default: none.",
    "from": "an archive to ship in place of a study: its file, which may be a table of candidates, or its name in the "
    "results folder. Default: none.",
    "results": "folder of all studies; the learning curves are written there. Default: results.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the study's folder.",
    "out": "folder of the archives, with their checksums in SHA256SUMS. Default: analysis/archive.",
}


@in_one_line("the archive")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code, which is 1 if an archive of the list cannot be read."""
    values = key_values(arguments, KEYS, __doc__ or "")
    if values is None:
        return 0
    from runs.record.shipped import FOLDER

    folder, results = Path(values.get("out") or FOLDER), Path(values.get("results", "results"))
    given = [key for key in ("study", "search", "from") if key in values]
    if len(given) > 1:
        raise ValueError(f"{' or '.join(given)} must be given, not {'both' if len(given) == 2 else 'all'}")
    if not given:
        return listed(folder)
    for line in _shipped(values, folder, results):
        print(line)
    return 0


def _shipped(values: Mapping[str, str], folder: Path, results: Path) -> Iterator[str]:
    """Ship what the arguments name; yields lines on it."""
    from runs.study.presence import refuse_absent
    from runs.study.storage.url import storage_url

    from ..load import Options, archive_of, load

    if values.get("search"):
        yield from _searched(values, folder, results)
        return
    archive, storage = archive_of(values.get("from", ""), results), storage_url(dict(values))
    if archive is None:
        refuse_absent(results, values["study"], storage)
    import_quickly("analysis.archive.making")
    from .making import make
    from .searches import is_search, make_search

    if archive is not None and is_search(archive):
        from runs.discovery.table import read_table

        yield from make_search(*read_table(archive), folder)
        return
    given = load(Options(study=values.get("study", ""), results=results, archive=archive, storage=storage))
    yield from make(given, folder, results)


def _searched(values: Mapping[str, str], folder: Path, results: Path) -> Iterator[str]:
    """Ship a search from its storage; yields lines on it."""
    from runs.names import checked_name
    from runs.study.presence import refuse_absent
    from runs.study.storage.url import storage_url

    name, storage = checked_name(values["search"], "search"), storage_url(dict(values))
    refuse_absent(results, name, storage)
    import_quickly("runs.discovery.table")
    from runs.discovery.finding import found
    from runs.discovery.table import frame
    from runs.study.storage.opening import close_storage

    from .searches import make_search

    planned = found(results, name, storage)
    try:
        told, about = planned.told(), {"facts": planned.facts, "sessions": planned.sessions.all()}
    finally:
        close_storage(planned.storage)
    yield from make_search(planned.plan, frame(planned.plan, told), about, folder)


def listed(folder: Path) -> int:
    """Print what the archives of a folder hold; return 1 if one of them cannot be read."""
    from runs.record.shipped import known_sums, names

    found = names(folder)
    if not found:
        print(f"there is no archive in {folder}")
        return 0
    import_quickly("analysis.archive.listing")
    from runs.console.text import complain

    from .listing import checked_sum, described
    from .searches import described_search, is_search

    sums, broken = known_sums(folder), False
    for name in found:
        try:
            path = folder / f"{name}.parquet"
            if is_search(path):
                checked_sum(path, sums)
                print("\n  ".join(described_search(path)))
            else:
                print("\n".join(described(path, sums)))
        except ValueError as error:
            complain(error)
            broken = True
    return int(broken)


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
