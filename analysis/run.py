"""The whole analysis of a study: from its trials to archive, tables, figures and report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from runs.arguments import command
from runs.console.progress import SILENT, Progress
from runs.files import replacing, subfolder, writable
from runs.names import checked_name
from runs.record.archive import ARCHIVE, TABLE, Archive, write_archive
from runs.record.baselines import FILE, read_baselines

from .baselines import begin_baselines
from .explorer.explorer import write_explorer
from .figures.gallery import absent, draw_all, on_request
from .load import Options, load
from .processes import Companion
from .report.bound_sentences import bound_sentences
from .report.cells import drawings
from .report.claims import write_claims
from .report.condition_sentences import with_controls
from .report.gap_sentences import gap_sentences
from .report.index import write_index, write_summary
from .report.lag_sentences import lag_sentences
from .report.report import Report
from .report.sentences import verdicts
from .report.stage_sentences import sections
from .study import Study
from .tables import diagnosis
from .tables.baselines import baselines
from .tables.bounds import bounds
from .tables.claims import held_against
from .tables.comparisons import comparisons
from .tables.conditions import conditions
from .tables.edges import edges
from .tables.effects import effects
from .tables.gaps import gaps
from .tables.importance import importance
from .tables.lags import lag_tables
from .tables.settings import recommended
from .tables.stages import stage_tables
from .tables.trial_commands import trial_commands
from .tables.two_studies import TwoStudies, compare_studies, refuse_incomparable

if TYPE_CHECKING:
    from runs.trial.trial import Trial


class Tables(NamedTuple):
    """The tables of a study.

    written: by the name of their files, in order.
    comparisons: of the variants, None for a search.
    claims: of the literature, None for a search.
    stages: those of the stages, by name.
    importance: those of the analysis of variance, by name.
    settings: that the study recommends.
    """

    written: dict[str, pd.DataFrame]
    comparisons: pd.DataFrame | None
    claims: pd.DataFrame | None
    stages: dict[str, pd.DataFrame]
    importance: dict[str, pd.DataFrame]
    settings: pd.DataFrame


def analyse(options: Options, companion: Companion | None = None) -> list[Path]:
    """Write archive, tables, figures and report into `<results>/<study>`; return the files, the report last.

    options: what to analyse and where to write.
    companion: a process that has begun to read the study (`load.begin_to_load`), and then does what needs torch.

    Raises ValueError where there is no such study or archive, where it is a search and `options.search` is False, where
    the other study has no task or variant in common with it, or where the files cannot be written.
    """
    other = None if options.other is None else Study.read(options.other)  # a mistake in it is found before the work
    study = Study.from_archive(load(options, companion))
    if not options.search and not study.comparable:
        raise ValueError(
            f"study {study.name!r} is a search (sampler={study.design.sampler}, pruner={study.design.pruner}): its "
            "variants did not get the same trials, so they cannot be compared; search=yes shows it all the same"
        )
    if other is not None:
        refuse_incomparable(study, other)
    folder = writable(options.place / checked_name(options.study or study.name, "study"))
    if options.archive is None:
        files = [folder / ARCHIVE, folder / TABLE]
    else:
        files = write_archive(Archive(study.every, study.design, study.about), folder)
    with_baselines = begin_baselines(study, options, folder, companion)
    options.progress.step(f"{study.name}: {len(study.every)} trials are read")
    if all(map(study.solvable, study.tasks)):  # their scores need no baselines, which may be computed meanwhile
        explained = _explained(study, options.progress)
        study = with_baselines(study)
    else:  # losses are limited by those of constant answers, see `Goal.limited`
        study = with_baselines(study)
        explained = _explained(study, options.progress)
    both = None if other is None else compare_studies(study, other)
    tables = tabulate(study, both, explained, options.progress, companion)
    files += _write(tables.written, folder)
    explorer = write_explorer(study, folder / "explorer.html", _commands(companion))
    return [*files, explorer, *_report(study, both, tables, folder, options, cells_of(study, companion))]


def _explained(study: Study, progress: Progress) -> dict[str, pd.DataFrame]:
    """Return the tables of the importance of hyperparameters; of a study with factors for no variant."""
    of = study if study.design.factors is None else study.with_trials(study.table.iloc[:0])
    return importance(of, os.cpu_count() or 1, progress)


def tabulate(
    study: Study,
    both: TwoStudies | None,
    explained: dict[str, pd.DataFrame],
    progress: Progress = SILENT,
    companion: Companion | None = None,
) -> Tables:
    """Return all tables of a study.

    study: the study.
    both: the comparison with another study, if there is one.
    explained: the tables of the importance of its hyperparameters.
    progress: shows how far it is.
    companion: a process that has torch; without one it is imported here.
    """
    progress.step("comparisons, claims, recommended settings, stages")
    settings = recommended(study, _commands(companion))
    compared = comparisons(study) if study.comparable else None
    by_lag = {} if compared is None else lag_tables(study, compared)
    parts = effects(study) if study.comparable else None
    claims = None if compared is None else held_against(study, compared, explained["shares"], by_lag, parts)
    stages = stage_tables(study) if study.comparable else {}
    ends = edges(study)
    written = {"cells": study.summary, "recommended": settings}
    written |= {name: table for name, table in explained.items() if len(table)}
    written |= {} if compared is None or not len(compared) else {"comparisons": compared}
    written |= by_lag
    written |= {} if parts is None or not len(parts) else {"effects": parts}
    apart = gaps(study)
    written |= {"gaps": apart} if len(apart) else {}
    latent = bounds(study)
    written |= {"bounds": latent} if len(latent) else {}
    written |= {"edges": ends} | ({"conditions": conditions(study, ends)} if study.comparable else {})
    written |= {} if both is None else {"beside": both.pairs}
    known = baselines(study)
    written |= {"baselines": known} if len(known) else {}
    written |= stages
    written |= {} if claims is None else {"claims": claims}
    return Tables(written, compared, claims, stages, explained, settings)


def _commands(companion: Companion | None) -> Callable[[Sequence[Trial | None]], list[str]]:
    """Return `trial_commands`, called in a process that has torch, if there is one."""
    return trial_commands if companion is None else partial(companion.call, trial_commands)


def _write(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    for name, table in tables.items():
        with replacing(folder / f"{name}.csv") as part:
            table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    return [folder / f"{name}.csv" for name in tables]


def cells_of(study: Study, companion: Companion | None = None) -> dict[str, str]:
    """Return the drawings of the variants of a study as SVG, by variant; those that cannot be drawn are left out.

    Of the combinations of a study with factors only the baseline is drawn.

    study: the study.
    companion: a process that has torch; without one it is imported here.
    """
    named = [variant for variant in study.variants if variant in study.design.variants]
    if study.design.factors is not None:  # dozens that differ in a part each
        named = [variant for variant in named if variant == study.baseline or variant not in study.design.factors.cells]
    nodes = [dict(study.design.variants[variant]) for variant in named]
    drawn = drawings(nodes) if companion is None else companion.call(drawings, nodes)
    return {variant: svg for variant, svg in zip(named, drawn, strict=True) if svg}


def _report(
    study: Study,
    both: TwoStudies | None,
    tables: Tables,
    folder: Path,
    options: Options,
    cells: Mapping[str, str],
) -> list[Path]:
    """Draw the figures and write the report; returns the files, the report last."""
    extra = {name: table for name, table in tables.written.items() if name not in ("cells", "recommended", "claims")}
    inside = diagnosis.read(Path(options.results) / folder.name / "models")
    extra |= {name: table for name, table in inside.items() if len(table)}
    place, workers = subfolder(folder, "figures"), os.cpu_count() or 1
    figures = draw_all(study, extra, place, workers, options.progress, options.formats, options.figures)
    left_out = [] if options.figures else [entry.title for entry in on_request(study, extra)]
    options.progress.step("report")
    results = options.results if options.archive is None else None
    found = [] if tables.comparisons is None else verdicts(study, tables.comparisons)
    found += gap_sentences(study, tables.written.get("gaps"))
    report = Report(
        study=study,
        figures=figures,
        verdicts=with_controls(study, found),
        latent=bound_sentences(study, tables.written.get("bounds")),
        lags=with_controls(study, lag_sentences(study, tables.written)),
        edges=tables.written["edges"],
        conditions=tables.written.get("conditions"),
        claims=tables.claims,
        both=both,
        settings=tables.settings,
        stages=sections(study, tables.stages, results) if study.comparable else [],
        best=tables.stages.get("best_configurations"),
        absent=absent(study, extra, options.results),
        on_request={_with_all_figures(options): left_out} if left_out else {},
        comparisons=tables.comparisons,
        lag_tables=tables.written,
        cells=cells,
        effects=tables.written.get("effects"),
    )
    path = report.write(folder / "report.html")
    write_summary(folder, report.summary())
    write_claims(options.place)
    write_index(options.place)
    return [*(path for shown in figures for path in shown.files), path]


def _with_all_figures(options: Options) -> str:
    """Return the command that repeats an analysis with the figures that a large study gets on request."""
    given = {"study": options.study} if options.study else {}
    given |= {"from": str(options.archive)} if options.archive else {}
    given |= {"compare": str(options.other)} if options.other else {}
    given |= {"search": "yes"} if options.search else {}
    given |= {"formats": ",".join(options.formats)} if options.formats else {}
    given |= {"out": str(options.out)} if options.out else {}
    return command("analysis", **given, figures="all", results=options.results)


def publish(files: list[Path], results: Path, uri: str) -> None:
    """Attach the files to the study's run in MLflow, with its summary; print where that is, or why it could not be.

    files: of `analyse`.
    results: folder of all studies.
    uri: as the user gives it; empty for the MLflow that the study was tracked in, `none` for none.
    """
    from runs.record import tracking
    from runs.record.places import uri_of
    from runs.secrets_in_urls import without_password

    archive = next(path for path in files if path.suffix == ".parquet")
    study = Study.read(archive)
    try:
        known = read_baselines(archive.parent / FILE)  # they limit losses here as in the tables
        study = replace(study, about={**study.about, "baselines": known})
        uri = uri_of(study.about, results, uri)
    except ValueError as error:
        print(f"mlflow: not updated: {error}", file=sys.stderr)
        return
    if not uri:
        return
    numbers = study.summary.drop(columns=["task", "variant", "solvable"])
    overall = {name: float(numbers[name].sum()) for name in ("trials", "solved", "diverged", "exploded", "failed")}
    each = [(*pair, dict(row)) for pair, (_, row) in zip(study.pairs, numbers.iterrows(), strict=True)]
    try:
        written = tracking.publish(results, study.design, study.about, overall, each, files, uri)
    except Exception as error:  # the report is written; the dashboard may be away
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"mlflow: not updated: {without_password(first, uri)}", file=sys.stderr)
        return
    print(f"mlflow: figures, tables and report in experiment {tracking.SUMMARIES!r} of {written.place}")
    print(f"mlflow: {written.trials}")
