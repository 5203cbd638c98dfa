"""`python -m analysis.archive study=lags`: ship a study; without arguments, list the archives that are shipped.

python -m analysis.archive
python -m analysis.archive from=trials.parquet out=FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runs.arguments import key_values
from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly

KEYS = {
    "study": "name of the study to ship; it may still be running. Default: none.",
    "from": "an archive to ship in place of a study: its file, or its name in the results folder. Default: none.",
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
    if "study" in values and "from" in values:
        raise ValueError("study or from must be given, not both")
    if not {"study", "from"} & {*values}:
        return listed(folder)
    from runs.study.presence import refuse_absent
    from runs.study.storage.url import storage_url

    from ..load import Options, archive_of, load

    archive, storage = archive_of(values.get("from", ""), results), storage_url(dict(values))
    if archive is None:
        refuse_absent(results, values["study"], storage)
    import_quickly("analysis.archive.making")
    from .making import make

    given = load(Options(study=values.get("study", ""), results=results, archive=archive, storage=storage))
    for line in make(given, folder, results):
        print(line)
    return 0


def listed(folder: Path) -> int:
    """Print what the archives of a folder hold; return 1 if one of them cannot be read."""
    from runs.record.shipped import known_sums, names

    found = names(folder)
    if not found:
        print(f"there is no archive in {folder}")
        return 0
    import_quickly("analysis.archive.listing")
    from runs.console.text import complain

    from .listing import described

    sums, broken = known_sums(folder), False
    for name in found:
        try:
            print("\n".join(described(folder / f"{name}.parquet", sums)))
        except ValueError as error:
            complain(error)
            broken = True
    return int(broken)


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
