"""All figures of a report in their order, drawn and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from runs.arguments import command

from ..processes import forks, shared
from ..study import Study
from . import (
    activations,
    boxes,
    confirmation_scores,
    confirmed_profiles,
    expected_best_trials,
    forest,
    gradients,
    half_lags,
    heat_map,
    hyperparameters,
    learning_curves,
    marginals,
    memory_horizon,
    over_fitting,
    pairs,
    performance_profiles,
    shares,
    solve_curves,
    solve_rate_by_lag,
    two_studies,
    winners_curse,
)
from .entry import MORE, Entry
from .look import NARROW, drawing_for, ready, save, save_narrow

TWO_STUDIES = two_studies.FIGURE  # stands in a section of its own in the report
FIGURES: list[Entry] = [
    TWO_STUDIES,
    forest.FIGURE,
    solve_rate_by_lag.FIGURE,
    half_lags.FIGURE,
    boxes.FIGURE,
    expected_best_trials.FIGURE,
    solve_curves.FIGURE,
    performance_profiles.FIGURE,
    heat_map.FIGURE,
    memory_horizon.FIGURE,
    marginals.FIGURE,
    shares.FIGURE,
    pairs.FIGURE,
    hyperparameters.FIGURE,
    learning_curves.FIGURE,
    over_fitting.FIGURE,
    gradients.FIGURE,
    activations.FIGURE,
    confirmation_scores.FIGURE,
    confirmed_profiles.FIGURE,
    winners_curse.FIGURE,
]
FEW_FIGURES = 20  # that one process draws faster than others start, where they cannot be forked


@dataclass(frozen=True)
class Shown:
    """A figure that has been drawn and saved.

    figure: its entry in the gallery.
    task: of a figure that is drawn task by task, else empty.
    files: SVG, PDF, PNG and CSV.
    width: in inches.
    words: its caption; that of the entry where it is empty.
    narrow: the SVG for a narrow screen, with its panels in one column; None for a figure in the folded rest.
    """

    figure: Entry
    task: str
    files: list[Path]
    width: float
    words: str = ""
    narrow: Path | None = None

    @property
    def caption(self) -> str:
        """What it shows and how to read it."""
        return self.words or self.figure.caption

    @property
    def name(self) -> str:
        """The name of its files, without suffix."""
        return self.files[0].stem

    def file(self, suffix: str) -> Path:
        """Return the file of a format: svg, pdf, png or csv."""
        return next(path for path in self.files if path.suffix == f".{suffix}")


def draw_all(
    study: Study,
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    workers: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Shown]:
    """Draw and save every figure; those too tall for a page task by task.

    study: the study.
    tables: that some figures need beside the study, by name, each with a column `task`. A figure whose table is
        missing is left out.
    folder: receives the files.
    workers: processes that share the figures.
    tell: receives a line after each figure.
    Returns the figures in their order.
    """
    ready()
    jobs = [
        partial(_draw_and_save, entry, task, part, more, folder)
        for entry in FIGURES
        if _complete(entry, tables) and (not entry.of_solving or any(map(study.solvable, study.tasks)))
        for task, part, more in parts(entry, study, tables)
    ]
    figures = []
    for shown in _done(jobs, workers):
        figures.append(shown)
        tell(f"figures: {len(figures)} of {len(jobs)}")
    return figures


def _done(jobs: list[partial[Shown]], workers: int) -> Iterable[Shown]:
    """Return the figures of all jobs, drawn by as many processes as pays."""
    if min(workers, len(jobs)) > 1 and forks():
        return shared(jobs, workers)
    if workers > 1 and len(jobs) > FEW_FIGURES:
        from joblib import Parallel, delayed

        calls = [delayed(job.func)(*job.args) for job in jobs]
        found: Iterable[Shown] = Parallel(n_jobs=workers, return_as="generator")(calls)
        return found
    return (job() for job in jobs)


def absent(study: Study, tables: Mapping[str, pd.DataFrame], results: Path | str = "results") -> dict[str, list[str]]:
    """Return titles of the figures that are left out, by the command that makes what they need.

    results: the folder that the study is in.
    """
    commands: dict[str, list[str]] = {}
    for entry in FIGURES:
        if entry.command and not _complete(entry, tables):
            line = command(entry.command, study=study.name, results=results)
            commands.setdefault(line, []).append(entry.title)
    return commands


def parts(
    entry: Entry, study: Study, tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, Study, list[pd.DataFrame]]]:
    """What a figure is drawn from: everything at once, or task by task where it would be too tall.

    Yields the task or series (empty for all), the study and the tables of the figure.
    """
    needed = [tables[name] for name in entry.needs]
    units = list(dict.fromkeys(needed[0]["series"])) if entry.of_series else study.tasks
    if len(units) <= 1 or entry.rows(len(study.variants), len(units)) <= entry.most:
        yield "", study, needed
        return
    if entry.of_series:
        for series in units:
            yield str(series), study, [table[table["series"] == series] for table in needed]
        return
    for task in study.tasks:
        part, own = study.of_task(task), [table[table["task"] == task] for table in needed]
        if len(part.table) and (not own or any(map(len, own))):
            yield task, part, own


def _complete(entry: Entry, tables: Mapping[str, pd.DataFrame]) -> bool:
    return all(name in tables for name in entry.needs)


def _draw_and_save(entry: Entry, task: str, study: Study, tables: list[pd.DataFrame], folder: Path) -> Shown:
    """Draw a figure for a wide page and, where many readers see it, for a narrow one from the same numbers."""
    entry = entry.of(study)
    numbers = entry.numbers(study, *tables)
    figure = entry.draw(numbers)
    name = f"{entry.name}_{_file_name(task)}" if task else entry.name
    files = save(figure, folder, name, numbers.data)
    narrow = None
    if entry.part != MORE:  # the others are folded, and drawing them twice would take a third more time
        with drawing_for(NARROW):
            narrow = save_narrow(entry.draw(numbers), folder, name)
    return Shown(entry, task, files, float(figure.get_size_inches()[0]), entry.caption_of(study), narrow)


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in label)
