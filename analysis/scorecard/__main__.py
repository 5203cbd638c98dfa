"""`python -m analysis.scorecard study=quick variant=gru`: one page on a cell, placed among those of a study.

    python -m analysis.scorecard from=trials.parquet variant=gru out=FOLDER

The page and the picture of one A4 page go to `<results>/<study>/score/`. Everything comes from the trials of the study,
but for speed and gradients, which `python -m runs.score` measures; without its file the page says that they were not
measured.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runs.console.ending import in_one_line
from runs.console.start import end_quickly, import_quickly

if TYPE_CHECKING:
    from runs.scoring.measured import Measured

    from ..load import Options
    from ..study import Study

KEYS = {
    "study": "name of the study; this or from must be given.",
    "results": "folder of all studies. Default: results.",
    "from": "an archive of a study to read in place of the storage: a file, or archive:NAME for one that is shipped. "
    "Default: none.",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL. Default: the journal in the study's folder.",
    "variant": "label of the cell in the study; it must be given.",
    "measured": "file that python -m runs.score has written on its speed and gradients. Default: that in the folder of "
    "the study.",
    "out": "folder that receives the files, in a folder of the study's name. Default: that of results.",
}


@in_one_line("the page")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    from runs.arguments import key_values

    values = key_values(arguments, KEYS, __doc__ or "")
    if values is None:
        return 0
    options = options_of(values)
    import_quickly("analysis.scorecard.picture")
    from ..load import load
    from ..study import Study

    study = Study.from_archive(load(options))
    for path in written(study, values["variant"], options, values.get("measured", "")):
        print(path)
    return 0


def options_of(values: Mapping[str, str]) -> Options:
    """Return which study the arguments name. Raises ValueError where they name none, or no variant."""
    from runs.record.shipped import located
    from runs.study.presence import refuse_absent
    from runs.study.storage.url import storage_url

    from ..load import Options

    results = Path(values.get("results", "results"))
    if not values.get("study") and not values.get("from"):
        raise ValueError("say which study: study=... or from=archive:lags")
    if values.get("study") and values.get("from"):
        raise ValueError(f"study or from, not both, got study={values['study']} and from={values['from']}")
    if not values.get("variant"):
        raise ValueError("say which cell: variant=gru")
    archive = located(values["from"]) if values.get("from") else None
    storage = storage_url(dict(values))
    if archive is None:
        refuse_absent(results, values["study"], storage)
    out = Path(values["out"]) if values.get("out") else None
    return Options(study=values.get("study", ""), results=results, archive=archive, storage=storage, out=out)


def written(study: Study, variant: str, options: Options, measured: str) -> list[Path]:
    """Write the scorecard of a variant; return the files, the page first.

    study: whose trials it rests on.
    variant: its label.
    options: where to write, and where to look for what was measured.
    measured: the file of that; empty for the one in the folder of the study.
    """
    from runs.files import subfolder, writable, write_whole
    from runs.names import checked_name, file_name
    from runs.scoring.measured import FOLDER

    from .card import card_of
    from .cell import about
    from .page import page
    from .picture import write
    from .said import said

    card = card_of(study, variant, measured_of(study, variant, options, measured))
    nodes = study.design.variants
    cell = about(nodes.get(variant, {}), nodes.get(card.baseline, {}))
    sentences = said(card, cell)
    folder = subfolder(writable(options.place / checked_name(study.name, "study")), FOLDER)
    name = file_name(variant)
    files = write(card, cell, sentences, folder, name)
    links = {path.suffix[1:].upper(): path.name for path in files}
    path = folder / f"{name}.html"
    write_whole(path, page(card, cell, sentences, links))
    return [path, *files]


def measured_of(study: Study, variant: str, options: Options, given: str) -> Measured | None:
    """Return what was measured of a variant, None where nothing was.

    given: the file; empty for the one in the folder of the study.

    Raises ValueError for a file that is not there or damaged, or that is of another variant.
    """
    from runs.scoring.measured import measured_file, read_measured

    usual = [measured_file(place / study.name, variant) for place in (options.place, Path(options.results))]
    path = Path(given) if given else next((p for p in usual if p.is_file()), None)
    if path is None:
        return None
    found = read_measured(path)
    if found.variant != variant:
        raise ValueError(f"measured: {path} is of {found.variant}, not of {variant}")
    return found


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
