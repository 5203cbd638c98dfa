"""`python -m analysis.discovery name=mine`: a page on a search for cells, `found.html` in the folder of the search.

python -m analysis.discovery from=archive:discover out=FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runs.arguments import key_values
from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly

if TYPE_CHECKING:
    from .search import Search
    from .verdict import Verdict

KEYS = {
    "name": "name of the search, which may still be running; this or from must be given.",
    "from": "a table of candidates to read in place of the storage: its file, the name of a search in the results "
    "folder, or archive:NAME for one that is shipped (python -m analysis.archive lists them). Default: none.",
    "results": "folder of all studies, also of that of the verdict. Default: results.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the search's folder.",
    "out": "folder that receives the page, in a folder of the search's name. Default: that of results.",
}


@in_one_line("the page")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    values = key_values(arguments, KEYS, __doc__ or "")
    if values is None:
        return 0
    given = [key for key in ("name", "from") if values.get(key)]
    if len(given) != 1:
        raise ValueError(f"say which search, by one of name=... and from=..., got {' and '.join(given) or 'neither'}")
    results = Path(values.get("results", "results"))
    search = _loaded(values, results)
    from runs.files import writable

    place = writable(Path(values["out"]), "out") if values.get("out") else writable(results)
    import_quickly("analysis.discovery.page")
    from ..report.index import write_index
    from .page import summarised, write_page

    verdict = _verdict(search, values, results)
    path = write_page(search, verdict, results, place)
    summarised(search, verdict, path.parent)
    write_index(place)
    print(f"{len(search.table):,} candidates: {path}")
    return 0


def _loaded(values: Mapping[str, str], results: Path) -> Search:
    """Return the search that the arguments name. Raises ValueError where there is none."""
    from runs.names import checked_name
    from runs.study.presence import refuse_absent
    from runs.study.storage.url import storage_url

    storage = storage_url(dict(values))
    if values.get("name"):
        name = checked_name(values["name"], "search")
        refuse_absent(results, name, storage)
        from .loading import search_of

        return search_of(name, results, storage)
    from .loading import search_in

    return search_in(values["from"], results)


def _verdict(search: Search, values: Mapping[str, str], results: Path) -> Verdict | None:
    """Return the verdict on a search, None where there is none.

    The study is read from its storage, else from its archive in the results folder; of a table also from the archives
    of the project.
    """
    from runs.console.text import say
    from runs.discovery.verdict import verdict_name
    from runs.record.archive import read_archive
    from runs.study.presence import there
    from runs.study.storage.url import storage_url

    from ..load import Options, load
    from ..study import Study
    from .verdict import archive_of, verdict

    out = Path(values["out"]) if values.get("out") else None
    name, storage = verdict_name(search.plan), storage_url(dict(values))
    path = archive_of(search.plan, results, shipped="from" in values)
    try:
        if storage or name in there(results):
            archive = load(Options(study=name, results=results, storage=storage, out=out))
        elif path is not None:
            archive = read_archive(path)
        else:
            return None
        found = verdict(search, Study.from_archive(archive))
    except ValueError as error:  # it was only begun, or the file is not what its name says
        say(f"no verdict: {error}")
        return None
    if not found.found:
        say(f"no verdict: study {name} has none of the cells that this search has found")
        return None
    return found


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
