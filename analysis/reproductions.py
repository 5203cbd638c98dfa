"""`python -m analysis.reproductions`: published numbers beside those of our studies `reproduce_...`.

`make reproduce` runs the studies first. The table goes to `results/reproductions.md` and `.csv`; `page=FILE` writes the
page to another place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runs.arguments import command, key_values
from runs.console.progress import SILENT, Progress
from runs.console.start import end_quickly
from runs.console.text import complain, say, width, wrapped
from runs.console.text import table as in_columns
from runs.files import replacing, writable, write_whole

if TYPE_CHECKING:
    import pandas as pd

    from .study import Study

COLUMNS = 120  # of the longest line of the page, without its tables
KEYS = {
    "results": "folder of all studies. Default: results.",
    "page": "file that receives the page. Default: reproductions.md in the results folder.",
}
NOTE = "<!-- Written by `python -m analysis.reproductions page=docs/reproductions.md` after `make reproduce`. -->"
INTRODUCTION = """
Published results that this suite repeats with its own cells, tasks and training. `make reproduce` runs all of it and
prints this table; `make reproduce SEEDS=10` takes ten seeds for the networks of 1997. It can be interrupted and goes on
where it stopped. Each study is a preset `conf/study/reproduce_*.yaml` whose points are seeds.

*Ours* is the estimate over seeds with its 95 % bootstrap interval (10,000 resamples of the seeds): the mean of
sequences and differences, the median of losses. A number is reproduced where it lies in our interval, a direction where
our whole interval lies on its side of 0. With few seeds an interval is wide, and then "reproduced" says little. *Not
run* means that the folder of results lacked a study; nothing is said of that number.
"""


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        # after the arguments: a mistake is reported before pandas is imported
        from .tables.reproductions import NOT_RUN, REPRODUCED, STUDIES, reproductions

        results = writable(Path(values.get("results", "results")))
        studies = read_studies(results, Progress())
        if not studies:
            sweep = command("runs.sweep", results=results, study=STUDIES[0])
            raise ValueError(f"{results} holds none of {', '.join(STUDIES)}; `make reproduce` or {sweep} runs them")
        table = reproductions(studies)
        with replacing(results / "reproductions.csv") as part:
            table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
        page = Path(values.get("page", results / "reproductions.md"))
        write_whole(page, written(table, studies, datetime.now(UTC)))
    except ValueError as error:
        complain(error)
        return 2
    print(in_columns(lines(table), width()))
    say(f"{(table['verdict'] == REPRODUCED).sum()} of {(table['verdict'] != NOT_RUN).sum()} reproduced; page: {page}")
    return 0


def read_studies(results: Path, progress: Progress = SILENT) -> dict[str, Study]:
    """Return those of the studies that are in a results folder, by name.

    results: folder of all studies. A study is read from its storage, or from its archive where there is no storage.
    progress: shows how many are read.
    """
    from runs.record import archive
    from runs.study.finding import records

    from .study import Study
    from .tables.reproductions import STUDIES

    found = {}
    for name in progress.follow(STUDIES, "studies read"):
        if (results / name / "journal.log").is_file():
            if not records(results, name, "", stages=True)[0]:
                continue  # no trial of it is finished yet
            found[name] = Study.from_archive(archive.load(name, results))
        elif (results / name / archive.ARCHIVE).is_file():
            found[name] = Study.read(results / name / archive.ARCHIVE)
    return found


def lines(table: pd.DataFrame) -> list[tuple[list[str], str]]:
    """Return the table as rows for the terminal: verdict; what was measured, published and own number.

    table: of `reproductions`.
    """
    return [
        ([str(row.verdict)], f"{row.title}: published {row.published_text}, ours {row.ours_text}")
        for row in table.itertuples()
    ]


def written(table: pd.DataFrame, studies: Mapping[str, Study], now: datetime) -> str:
    """Return the page as Markdown.

    table: of `reproductions`.
    studies: that it comes from, by name.
    now: when the page is written.
    """
    parts = [
        NOTE,
        "# Published numbers, reproduced or not",
        INTRODUCTION.strip(),
        wrapped(origin(studies, now), COLUMNS),
    ]
    for source in dict.fromkeys(table["source"]):
        rows = table[table["source"] == source]
        differs = dict.fromkeys(wrapped(text, COLUMNS) for text in rows["differs"])
        parts += [f"## {source}", _markdown(rows), *differs]
    return "\n\n".join(parts) + "\n"


def origin(studies: Mapping[str, Study], now: datetime) -> str:
    """Return a sentence that says when, on which processor, from which code, and in what time the numbers came."""

    def said(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(str(v) for v in values if v)) or "unknown"

    facts = [study.about for study in studies.values()]
    minutes = sum(float(study.every["seconds"].sum()) for study in studies.values()) / 60
    trials = sum(len(study.every) for study in studies.values())
    versions = said((about.get("versions") or {}).get("torch", "") for about in facts)
    return (
        f"Written on {now:%Y-%m-%d} from {trials} trials, which took {minutes:.0f} minutes together (wall time of one "
        f"process each, other work on the machine included). Processor: {said(a.get('processor') for a in facts)}. "
        f"Code: {said(a.get('commit') for a in facts)}; torch {versions}."
    )


def _markdown(rows: pd.DataFrame) -> str:
    """Return rows of the table in Markdown."""
    heads: Sequence[str] = ("what", "published", "ours (95 % interval)", "seeds", "verdict", "")
    cells = [[r.title, r.published_text, r.ours_text, str(r.seeds), r.verdict, r.note] for r in rows.itertuples()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (heads, ["---"] * len(heads), *cells))


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
