"""The stage of a study that a composed configuration asks for, planned from the study's finished search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from ..study.finding import find
from ..study.part import Part
from ..study.plan import Plan, Search
from ..study.presence import NoStudy
from ..study.ranking import Result
from ..study.stages import KINDS, Confirm, Horizon, Stage
from ..study.study import Study
from .against import Union
from .schema import plain

NAMED = 4  # pairs with missing trials that a message lists


def knobs_of_stage(config: DictConfig, stage: str) -> Confirm | Horizon:
    """Return the knobs of a stage. Raises ValueError for a value out of range.

    stage: confirm or horizon.
    """
    return KINDS[stage](**plain(config[stage]))


def staged(config: DictConfig, search: Search, url: str, folder: Path) -> Plan:
    """Return what the configuration wants to be run: the search itself, or a stage that is planned from its results.

    config: composed from `conf/sweep.yaml`.
    search: that the configuration describes.
    url: of the storage, empty for the journal in the folder.
    folder: of the study.

    Raises ValueError if the search does not exist, is not finished, or has another design.
    """
    if config.stage == "search":
        return search
    name = search.design.name
    first = f"first the same command without stage={config.stage}"
    if not Part.read(config.part).whole:
        first += ", for each part, and action=restore 'from=[one.parquet,other.parquet]' with the archives of all parts"
    try:
        study = find(folder.parent, name, url)
    except NoStudy as error:
        raise ValueError(f"stage={config.stage}: {error}; {first}") from None
    study.refuse_another(search)
    stored = study.plan
    assert isinstance(stored, Search)
    missing = _missing(study, max(search.length, stored.length))
    if missing:
        total = sum(missing.values())
        are = "trials are" if total > 1 else "trial is"
        raise ValueError(
            f"stage={config.stage} needs the complete search, but {total} {are} missing in study {name!r} "
            f"({_listed(missing)}); {first}"
        )
    results: dict[tuple[str, str], dict[int, Result]] = {pair: {} for pair in stored.pairs}
    for trial in study.finished_trials():
        outcome = trial.outcome
        results[trial.task, trial.variant][trial.index] = Result(outcome.validation_loss, outcome.solved_step)
    knobs = knobs_of_stage(config, config.stage)
    return Stage.after(stored, search.knobs(knobs) if isinstance(search, Union) else knobs, results)


def _missing(study: Study, points: int) -> dict[tuple[str, str], int]:
    """Return how many trials of a search are not finished, for each pair that has such trials."""
    missing = {pair: points - row["done"] for pair, row in study.counts().items()}
    return {pair: count for pair, count in missing.items() if count}


def _listed(missing: Mapping[tuple[str, str], int]) -> str:
    named = [f"{task} {variant} {count}" for (task, variant), count in missing.items()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more


def notes(wanted: Plan, stored: Plan, asked: Mapping[str, str]) -> list[str]:
    """Return lines on what the user asks for and what has no effect.

    A study keeps the points, and a stage the runs, that it has already; Adam does not read a momentum.

    wanted: what the configuration describes.
    stored: what the storage has.
    asked: the arguments by the keys that they set.
    """
    lines = [line for line in (_kept(wanted, stored, asked), _unread_momentum(wanted)) if line]
    if isinstance(wanted, Stage) and isinstance(wanted.knobs, Confirm) and wanted.knobs.repeats == 0 and not lines:
        lines.append("confirm.repeats=0: only the winner of each block is run again")
    return lines


def _kept(wanted: Plan, stored: Plan, asked: Mapping[str, str]) -> str:
    """Return the line on a number that the user asks for and that is smaller than the stored one."""
    if wanted.length >= stored.length:
        return ""
    if not isinstance(stored, Stage):
        return f"{asked['points']}: the study has {stored.length} points and keeps them" if "points" in asked else ""
    key, value = f"{stored.stage}.{stored.knobs.grows}", getattr(stored.knobs, stored.knobs.grows)
    return f"{asked[key]}: the stage was planned with {key}={value} and keeps its runs" if key in asked else ""


def _unread_momentum(wanted: Plan) -> str:
    """Return the line on a momentum that is searched and that the optimiser does not read."""
    optimiser = wanted.design.training.optimiser
    names = [name for name, dimension in wanted.design.space.items() if dimension.key == "training.momentum"]
    if not names or optimiser == "nesterov":
        return ""
    return f"space.{names[0]}: training.momentum is read with training.optimiser=nesterov only, got {optimiser}"
