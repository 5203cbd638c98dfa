"""All figures of a report in their order, drawn and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd

from runs.arguments import command
from runs.console.progress import SILENT, Progress

from ..processes import shared
from ..study import Study
from ..tables.gaps import with_training_set
from . import (
    activations,
    attention_maps,
    bounds,
    boxes,
    confirmation_scores,
    confirmed_profiles,
    effect_matrix,
    expected_best_trials,
    forest,
    gradients,
    half_lags,
    half_normal,
    heat_map,
    hyperparameters,
    learning_curves,
    marginals,
    memory_horizon,
    over_fitting,
    pairs,
    performance_profiles,
    samples,
    shares,
    solve_curves,
    solve_rate_by_lag,
    two_studies,
    winners_curse,
)
from .entry import MORE, Entry
from .look import FORMATS, NARROW, drawing_for, ready, save, save_narrow

TWO_STUDIES = two_studies.FIGURE  # stands in a section of its own in the report
FIGURES: list[Entry] = [
    TWO_STUDIES,
    effect_matrix.FIGURE,
    half_normal.FIGURE,
    effect_matrix.TUNED_FIGURE,
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
    bounds.FIGURE,
    gradients.FIGURE,
    activations.FIGURE,
    attention_maps.FIGURE,
    samples.FIGURE,
    confirmation_scores.FIGURE,
    confirmed_profiles.FIGURE,
    winners_curse.FIGURE,
]
LARGE = 30  # pairs of a task and a variant, above which `on_request` leaves figures out


@dataclass(frozen=True)
class Shown:
    """A figure that has been drawn and saved.

    figure: its entry in the gallery.
    task: of a figure that is drawn task by task, else empty.
    files: of all formats, SVG first, and CSV.
    width: in inches.
    words: its caption; that of the entry where it is empty.
    narrow: the SVG for a narrow screen, with its panels in one column; None for a figure in the folded rest, and for
        one that is drawn task by task.
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

    @property
    def png(self) -> Path | None:
        """Its PNG, if it was saved as one."""
        return next((path for path in self.files if path.suffix == ".png"), None)


def draw_all(
    study: Study,
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    workers: int = 1,
    progress: Progress = SILENT,
    formats: Sequence[str] = (),
    every: bool = True,
) -> list[Shown]:
    """Draw and save the figures; those too tall for a page task by task.

    study: the study.
    tables: that some figures need beside the study, by name, each with a column `task`. A figure whose table is
        missing is left out.
    folder: receives the files.
    workers: processes that share the figures.
    progress: shows how many are drawn.
    formats: of the files; empty for SVG, and PNG of those that do not stand in the folded rest.
    every: whether those of `on_request` are drawn, too; if not, files that an earlier call has left are removed.
    Returns the figures in their order.
    """
    ready()
    left_out = [] if every else on_request(study, tables)
    for entry in left_out:
        for task in {*study.tasks, *study.series}:
            for suffix in (*FORMATS, "csv"):
                (folder / f"{_file_name(entry, task)}.{suffix}").unlink(missing_ok=True)
    jobs = [
        partial(_draw_and_save, entry, task, part, more, folder, formats)
        for entry in FIGURES
        if _drawable(entry, study, tables) and entry not in left_out
        for task, part, more in parts(entry, study, tables)
    ]
    return list(progress.follow(shared(jobs, workers), "figures", len(jobs)))


def on_request(study: Study, tables: Mapping[str, pd.DataFrame]) -> list[Entry]:
    """Return the figures that a large study gets on request only: of the folded rest, drawn task by task.

    They would take most of the time of an analysis, and most of the size of its report.

    study: the study; it is large if it has more than `LARGE` pairs of a task and a variant.
    tables: as in `draw_all`.
    """
    if study.design.factors is not None or len(study.tasks) * len(study.variants) <= LARGE:
        return []
    folded = [entry for entry in FIGURES if _drawable(entry, study, tables) and entry.of(study).part == MORE]
    return [e for e in folded if e is not TWO_STUDIES and any(task for task, *_ in islice(parts(e, study, tables), 1))]


def absent(study: Study, tables: Mapping[str, pd.DataFrame], results: Path | str = "results") -> dict[str, list[str]]:
    """Return titles of the figures that are left out, by the command that makes what they need.

    results: the folder that the study is in.
    """
    commands: dict[str, list[str]] = {}
    for entry in FIGURES:
        if _of_its_kind(entry, study) and entry.command and not _complete(entry, tables):
            line = command(entry.command, study=study.name, results=results)
            commands.setdefault(line, []).append(entry.title)
    return commands


def without_curves(study: Study) -> list[str]:
    """Return titles of the figures that are left out because the archive of a study holds no learning curves."""
    sets = with_training_set(study.trials)
    if study.design.factors is not None:
        return []
    chosen = [entry for entry in FIGURES if entry.of_curves and (sets or "gaps" not in entry.needs)]
    return [entry.title for entry in chosen] if study.curveless else []


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


def _drawable(entry: Entry, study: Study, tables: Mapping[str, pd.DataFrame]) -> bool:
    if (entry.of_curves and study.curveless) or not _complete(entry, tables):
        return False
    if not _of_its_kind(entry, study):
        return False
    return not entry.of_solving or any(map(study.solvable, study.tasks))


def _of_its_kind(entry: Entry, study: Study) -> bool:
    """Return whether a figure is one of studies like this."""
    if entry.of_networks:
        return bool(study.design.networks)
    # one for each of dozens of combinations would hide what they tell together
    return study.design.factors is None or entry is TWO_STUDIES or "effects" in entry.needs


def _complete(entry: Entry, tables: Mapping[str, pd.DataFrame]) -> bool:
    return all(name in tables for name in entry.needs)


def _draw_and_save(
    entry: Entry, task: str, study: Study, tables: list[pd.DataFrame], folder: Path, formats: Sequence[str]
) -> Shown:
    """Draw a figure for a wide page and, where many readers see it, for a narrow one from the same numbers."""
    entry = entry.of(study)
    numbers = entry.numbers(study, *tables)
    figure = entry.draw(numbers)
    name = _file_name(entry, task)
    usual = ("svg",) if entry.part == MORE else ("svg", "png")  # a PNG is for slides and for the pages of MLflow
    files = save(figure, folder, name, numbers.data, formats or usual)
    narrow = None
    (folder / f"{name}.narrow.svg").unlink(missing_ok=True)
    if entry.part != MORE and not task:  # drawing the many others twice would take a third more time
        with drawing_for(NARROW):
            narrow = save_narrow(entry.draw(numbers), folder, name)
    return Shown(entry, task, files, float(figure.get_size_inches()[0]), entry.caption_of(study), narrow)


def _file_name(entry: Entry, task: str) -> str:
    """Return the name of the files of a figure, without suffix; task: empty for all."""
    label = "".join(c if c.isalnum() or c in "-_." else "_" for c in task)
    return f"{entry.name}_{label}" if task else entry.name
