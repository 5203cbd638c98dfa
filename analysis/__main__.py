"""`python -m analysis study=quick`: tables, figures and report of a study."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

KEYS = {
    "study": "name of the study",
    "results": "folder of all studies (results)",
    "from": "an archive trials.parquet to read in place of the storage",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL, where it is not the journal in the study's folder",
    "search": "yes to analyse a search (adaptive sampler or pruner), whose variants did not get the same trials",
    "tracking": "MLflow that receives figures, tables and report; none for nowhere (where the study was tracked)",
}


def analyse(study: str, results: Path, *, archive: Path | None = None, storage: str = "", search: bool = False) -> list[Path]:
    """Write archive, tables, figures and report into `results/<study>`; returns the files, the report last.

    study: its name, empty for the one that the archive names. archive: read in place of the storage.
    search: whether a study that searched each variant on its own, or pruned trials, may be analysed all the same.
    Raises ValueError where there is no such study or archive, or where it is a search and `search` is False.
    """
    from . import load
    from .claims import held_against
    from .compare import comparable, comparisons
    from .gallery import draw_all
    from .importance import importance
    from .report import render, render_claims
    from .stages import sections, stage_tables
    from .summary import cells
    from .verdict import verdicts

    if archive is None:
        every, design = load.load(study, results, storage, stages=True)
    else:
        every, design = load.read_archive(archive, stages=True)
    table = load.of_stage(every, "search")
    sampler, pruner = design.get("sampler", "random"), design.get("pruner", "none")
    if not search and not comparable(design):
        raise ValueError(
            f"study {design['name']!r} is a search (sampler={sampler}, pruner={pruner}): its variants did not get the same trials, so they "
            "cannot be compared; search=yes shows it all the same"
        )
    folder = Path(results) / (study or str(design["name"]))
    artifacts = [folder / load.ARCHIVE, folder / "trials.csv"] if archive is None else load.write_archive(every, design, folder)
    workers = os.cpu_count() or 1
    extra = importance(table, design, workers)
    if comparable(design):
        extra["comparisons"] = comparisons(table, design)
    claims = held_against(table, design, extra["comparisons"], extra["shares"]) if comparable(design) else None
    stages = stage_tables(every, design) if comparable(design) else {}
    extra = {name: frame for name, frame in {**extra, **stages}.items() if len(frame) or name in stages}
    for name, frame in {"cells": cells(table, design), **extra, **({} if claims is None else {"claims": claims})}.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
        artifacts.append(folder / f"{name}.csv")
    figures = draw_all(table, design, folder / "figures", extra, workers)
    artifacts += [path for shown in figures for path in shown.files]
    sentences = verdicts(table, design, extra["comparisons"]) if "comparisons" in extra else []
    shown = sections(every, design, stages) if comparable(design) else []
    report = render(table, design, figures, folder / "report.html", sentences, claims, stages=shown, best=stages.get("best_configurations"))
    render_claims(Path(results))
    return [*artifacts, report]


def studies(results: Path) -> list[str]:
    """Names of the studies in a results folder: those with a journal or an archive."""
    return sorted({path.parent.name for pattern in ("*/journal.log", "*/trials.parquet") for path in Path(results).glob(pattern)})


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from runs.shell import key_values, storage_url

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        results = Path(values.get("results", "results"))
        if not values.get("study") and not values.get("from"):
            raise ValueError(f"say which study: study=...; in {results} there is: {', '.join(studies(results)) or 'none'}")
        archive: Any = Path(values["from"]) if values.get("from") else None
        if archive is not None and not archive.is_file():
            raise ValueError(f"there is no file {archive}")
        files = analyse(
            values.get("study", ""), results, archive=archive, storage=storage_url(values), search=values.get("search") == "yes"
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{sum(path.suffix == '.png' for path in files)} figures, report: {files[-1]}")
    publish(files, results, values.get("tracking", ""))
    return 0


def publish(files: list[Path], results: Path, uri: str) -> None:
    """Attach the files to the study's run in MLflow, with its summary per (task, variant); says so where MLflow is out of reach.

    uri: of MLflow; empty for the one that the study was tracked in, `none` for none.
    """
    from runs import tracking

    from .load import read_archive
    from .summary import cells

    table, design = read_archive(next(path for path in files if path.suffix == ".parquet"))
    if uri == "none" or not (uri or design.get("tracking_uri")):
        return
    rows = cells(table, design)
    numbers = rows.drop(columns=["task", "variant"])
    overall = {name: float(numbers[name].sum()) for name in ("trials", "solved", "diverged", "failed")}
    each = [(row["task"], row["variant"], dict(number)) for (_, row), (_, number) in zip(rows.iterrows(), numbers.iterrows(), strict=True)]
    try:
        place = tracking.publish(results, design, overall, each, files, uri)
    except Exception as error:  # the report is written; the dashboard may be away
        print(f"mlflow: not updated: {type(error).__name__}: {error}", file=sys.stderr)
        return
    print(f"mlflow: figures, tables and report in experiment {tracking.SUMMARIES!r} of {place}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
