"""`python -m analysis study=quick`: tables, figures and report of a study."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

KEYS = {
    "study": "name of the study",
    "results": "folder of all studies (results)",
    "from": "an archive trials.parquet to read in place of the storage",
    "compare": "a second study to put beside it: its archive trials.parquet, or its name in the results folder",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL, where it is not the journal in the study's folder",
    "search": "yes to analyse a search (adaptive sampler or pruner), whose variants did not get the same trials",
    "tracking": "MLflow that receives figures, tables and report; none for nowhere (where the study was tracked; none with from= or out=)",
    "out": "folder that receives all files, in a folder of the study's name (that of results)",
}


def analyse(
    study: str,
    results: Path,
    *,
    archive: Path | None = None,
    storage: str = "",
    search: bool = False,
    other: Path | None = None,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Write archive, tables, figures and report into `results/<study>`; returns the files, the report last.

    study: its name, empty for the one that the archive names. archive: read in place of the storage.
    search: whether a study that searched each variant on its own, or pruned trials, may be analysed all the same.
    other: archive of a second study that is put beside this one. out: receives the folder `<study>` in place of
    `results`, which is then only read.
    tell: is handed a line before each part of the work, which takes minutes for a large study.
    Raises ValueError where there is no such study or archive, where it is a search and `search` is False, where the
    other study has no task or variant in common with it, or where the files cannot be written.
    """
    from runs.console.progress import Ticker
    from runs.files import replacing, subfolder, writable
    from runs.names import checked_name

    from . import load
    from .figures.gallery import absent, draw_all
    from .report.report import render, render_claims
    from .report.sentences import verdicts
    from .tables import diagnosis as diagnostics
    from .tables.claims import held_against
    from .tables.comparisons import comparable, comparisons
    from .tables.importance import importance
    from .tables.settings import recommended
    from .tables.stages import sections, stage_tables
    from .tables.summary import cells
    from .tables.two_studies import put_beside

    second = None if other is None else load.read_archive(other)  # a mistake in it is told before the work
    place = Path(results) if out is None else Path(out)
    if archive is None:
        every, design = load.load(study, results, storage, stages=True, out=place / study)
    else:
        every, design = load.read_archive(archive, stages=True)
    table = load.of_stage(every, "search")
    sampler, pruner = design.get("sampler", "random"), design.get("pruner", "none")
    if not search and not comparable(design):
        raise ValueError(
            f"study {design['name']!r} is a search (sampler={sampler}, pruner={pruner}): its variants did not get the same trials, so they "
            "cannot be compared; search=yes shows it all the same"
        )
    beside = None if second is None else put_beside(table, design, *second)
    folder = writable(place / checked_name(study or design["name"], "study"))
    artifacts = (
        [folder / load.ARCHIVE, folder / "trials.csv"] if archive is None else load.write_archive(every, design, folder)
    )
    workers = os.cpu_count() or 1
    tell(f"{design['name']}: {len(every)} trials read; importance of the hyperparameters")
    extra = importance(table, design, workers)
    tell("comparisons, claims, recommended settings, stages")
    if comparable(design):
        extra["comparisons"] = comparisons(table, design)
    if beside is not None:
        extra["beside"] = beside.cells
    claims = held_against(table, design, extra["comparisons"], extra["shares"]) if comparable(design) else None
    settings = recommended(table, design)
    stages = stage_tables(every, design) if comparable(design) else {}
    extra = {name: frame for name, frame in {**extra, **stages}.items() if len(frame) or name in stages}
    frames = {
        "cells": cells(table, design),
        "recommended": settings,
        **extra,
        **({} if claims is None else {"claims": claims}),
    }
    for name, frame in frames.items():
        with replacing(folder / f"{name}.csv") as part:
            frame.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
        artifacts.append(folder / f"{name}.csv")
    extra |= {
        name: frame for name, frame in diagnostics.read(Path(results) / folder.name / "models").items() if len(frame)
    }
    figures = draw_all(table, design, subfolder(folder, "figures"), extra, workers, Ticker(10, tell=tell))
    tell("report")
    artifacts += [path for shown in figures for path in shown.files]
    sentences = verdicts(table, design, extra["comparisons"]) if "comparisons" in extra else []
    shown = sections(every, design, stages, results if archive is None else None) if comparable(design) else []
    best = stages.get("best_configurations")
    left_out = absent(design, extra, results)
    report = render(
        table, design, figures, folder / "report.html", sentences, claims, beside, settings, left_out, shown, best
    )
    render_claims(place)
    return [*artifacts, report]


def archived(results: Path) -> list[str]:
    """Names of the studies in a results folder that have an archive."""
    return sorted(path.parent.name for path in Path(results).glob("*/trials.parquet"))


def archive_of(value: str, results: Path) -> Path | None:
    """The archive behind an argument: a file, or the name of a study in the results folder. None for no argument."""
    from runs.console.known import meant

    if not value:
        return None
    path = Path(value)
    named = results / value / "trials.parquet"
    if not path.is_file() and not named.is_file():
        is_path = "/" in value or "." in value
        raise ValueError(
            f"there is no file {value}"
            + ("" if is_path else f", and no archive {named}{meant(value, archived(results))}")
        )
    return path if path.is_file() else named


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from runs.arguments import key_values
    from runs.study.storage.url import storage_url

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        results = Path(values.get("results", "results"))
        if not values.get("study") and not values.get("from"):
            there = sorted({path.parent.name for path in results.glob("*/journal.log")} | {*archived(results)})
            raise ValueError(f"say which study: study=...; in {results} there is: {', '.join(there) or 'none'}")
        if values.get("search", "yes") != "yes":
            raise ValueError(f"search must be yes or not given, got {values['search']!r}")
        archive, other = (archive_of(values.get(key, ""), results) for key in ("from", "compare"))
        out = Path(values["out"]) if values.get("out") else None
        options: dict[str, Any] = {"storage": storage_url(values), "search": "search" in values, "out": out}
        options["tell"] = partial(print, flush=True)
        files = analyse(values.get("study", ""), results, archive=archive, other=other, **options)
    except ValueError as error:
        advice = "; out=FOLDER writes elsewhere" if "cannot write into" in str(error) else ""
        print(f"error: {error}{advice}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk; what was there before is still there, whole
        print(f"error: cannot write {error.filename or 'the files'}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{sum(path.suffix == '.png' for path in files)} figures, report: {files[-1]}")
    # an archive may come from anywhere
    publish(files, results, values.get("tracking", "none" if archive or out else ""))
    return 0


def publish(files: list[Path], results: Path, uri: str) -> None:
    """Attach the files to the study's run in MLflow, with its summary per (task, variant); says so where MLflow is out
    of reach.

    uri: as the user gives it; empty for the MLflow that the study was tracked in, `none` for none.
    """
    from runs.record import tracking
    from runs.secrets_in_urls import without_password
    from runs.study.design import Design

    from .load import read_archive
    from .tables.summary import cells

    table, design = read_archive(next(path for path in files if path.suffix == ".parquet"))
    try:
        uri = tracking.uri_of(design, results, uri)
    except ValueError as error:
        print(f"mlflow: not updated: {error}", file=sys.stderr)
        return
    if not uri:
        return
    rows = cells(table, design)
    numbers = rows.drop(columns=["task", "variant"])
    overall = {name: float(numbers[name].sum()) for name in ("trials", "solved", "diverged", "failed")}
    each = [
        (row["task"], row["variant"], dict(number))
        for (_, row), (_, number) in zip(rows.iterrows(), numbers.iterrows(), strict=True)
    ]
    try:
        place = tracking.publish(results, Design.from_dict(design), design, overall, each, files, uri)
    except Exception as error:  # the report is written; the dashboard may be away
        print(
            f"mlflow: not updated: {without_password(f'{type(error).__name__}: {error}'.splitlines()[0], uri)}",
            file=sys.stderr,
        )
        return
    print(f"mlflow: figures, tables and report in experiment {tracking.SUMMARIES!r} of {place}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
