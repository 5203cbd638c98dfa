"""`python -m analysis study=quick`: tables, figures and report of a study.

python -m analysis study=mine compare=quick
python -m analysis from=trials.parquet out=FOLDER
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .load import Options, archive_of, archived, begin_to_load
from .processes import Companion

if TYPE_CHECKING:
    from collections.abc import Mapping


KEYS = {
    "study": "name of the study; this or from must be given.",
    "results": "folder of all studies. Default: results.",
    "from": "an archive to read in place of the storage: its file, its name in the results folder, or archive:NAME for "
    "one that is shipped (python -m analysis.archive lists them). Default: none.",
    "compare": "a second study to put beside it, named like that of from. Default: none.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the study's folder.",
    "search": "yes to analyse a search (adaptive sampler or pruner), whose variants did not get the same trials. "
    "Default: it is refused.",
    "tracking": "MLflow that receives figures, tables and report; none for nowhere. Default: where the study "
    "was tracked; none with from= or out=.",
    "figures": "all to draw also the figures that a large study (more than 30 pairs of a task and a variant) gets on "
    "request only: those of the folded rest that take a page for each task. Default: they are named in the report.",
    "formats": "of each figure: any of svg,png,pdf; SVG is always written. Default: SVG, and PNG of the figures that "
    "are not in the folded rest.",
    "out": "folder that receives all files, in a folder of the study's name. Default: that of results.",
}


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    from runs.arguments import key_values
    from runs.console.start import import_quickly
    from runs.console.text import complain

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        options = options_of(values)
        with Companion() as companion:
            begin_to_load(options, companion)
            # meanwhile, and after the arguments: a mistake is reported before pandas is imported
            import_quickly("analysis.run")
            from .figures.look import ready
            from .run import analyse, publish

            ready()
            files = analyse(options, companion)
    except ValueError as error:
        advice = "; out=FOLDER writes elsewhere" if "cannot write into" in str(error) else ""
        complain(f"{error}{advice}")
        return 2
    except OSError as error:  # a full disk; what was there before is still there, whole
        complain(f"cannot write {error.filename or 'the files'}: {error.strerror or error}")
        return 1
    print(f"{sum(path.suffix == '.svg' for path in files)} figures, report: {files[-1]}")
    # an archive may come from anywhere
    publish(files, options.results, values.get("tracking", "none" if options.archive or options.out else ""))
    return 0


def options_of(values: Mapping[str, str]) -> Options:
    """Return the options that the arguments say. Raises ValueError where they make no sense."""
    from runs.console.progress import Progress
    from runs.study.presence import refuse_absent, there
    from runs.study.storage.url import storage_url

    results = Path(values.get("results", "results"))
    if not values.get("study") and not values.get("from"):
        names = sorted({*there(results), *archived(results)})
        raise ValueError(f"say which study: study=...; in {results} there is: {', '.join(names) or 'none'}")
    if values.get("search", "yes") != "yes":
        raise ValueError(f"search must be yes or not given, got {values['search']!r}")
    if values.get("figures", "all") != "all":
        raise ValueError(f"figures must be all or not given, got {values['figures']!r}")
    archive, other = (archive_of(values.get(key, ""), results) for key in ("from", "compare"))
    storage = storage_url(dict(values))
    if archive is None:
        refuse_absent(results, values["study"], storage)
    return Options(
        study=values.get("study", ""),
        results=results,
        archive=archive,
        storage=storage,
        search="search" in values,
        other=other,
        out=Path(values["out"]) if values.get("out") else None,
        formats=formats_of(values.get("formats", "")),
        figures="figures" in values,
        announce=partial(print, flush=True),
        progress=Progress(),
    )


def formats_of(value: str) -> tuple[str, ...]:
    """Return the formats of figures behind an argument, SVG first; none for an empty one.

    Raises ValueError for an unknown one.

    >>> formats_of("pdf")
    ('svg', 'pdf')
    """
    from .figures.look import FORMATS

    asked = value.split(",") if value else []
    unknown = [name for name in asked if name not in FORMATS]
    if unknown:
        raise ValueError(f"formats must be any of {','.join(FORMATS)}, separated by commas, got {value!r}")
    return tuple(name for name in FORMATS if asked and name in ("svg", *asked))


if __name__ == "__main__":
    from runs.console.start import end_quickly

    end_quickly()
    sys.exit(main(sys.argv[1:]))
