"""A study that travels: trials from archives become trials of a study, to the last bit.

What is stored must be the trial that the plan has in its place, and what is there already must be the same; otherwise
nothing is stored. A trial counts as the same where everything that it computed is the same, whatever time it took.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from ..record.archive import Archive
from ..record.rows import Row, of_stage, outcome_of
from ..rules import require
from ..trial.trial import OF_THE_RUN, Outcome
from .design import differences
from .plan import Plan, Planned, Search
from .sessions import Facts
from .stages import Stage
from .storage.contract import Storage
from .study import Study
from .trials import Arrival, Place

Sources = Mapping[str, Archive]
"""Archives by the names that messages give them."""

NAMED = 3  # differences between designs that a message lists
CURVES = ("curve_steps", "curve_losses", "train_losses")


@dataclass(frozen=True)
class Travelled(Arrival):
    """A trial of an archive on its way to a study. Its session is still a place in the list of those that travel.

    source: the archive that it is from.
    """

    source: str


class Travelling(NamedTuple):
    """What archives have of a plan: trials by their places, and the facts of the sessions in which they ran."""

    trials: dict[Place, Travelled]
    sessions: list[Facts]


class Restored(NamedTuple):
    """A study or a stage that was restored.

    study: as it is now. places: of the trials that came from archives. there: how many of theirs it had already.
    replaced: how many of its own failed trials were replaced by outcomes.
    """

    study: Study
    places: Collection[Place]
    there: int
    replaced: int

    @property
    def stored(self) -> int:
        """How many trials came from archives."""
        return len(self.places)


def put_in(study: Study, archive: Archive, stage: str = "search") -> int:
    """Store the finished trials of an archive in a planned study as if they had run there; returns how many.

    Trials of tasks, variants or points that the plan does not have are left out. The sessions of the archive become
    sessions of the study. A trial that is there already stays; an outcome replaces a failure, and never the other way
    round.

    stage: search, confirm or horizon, whose trials the plan of the study has.

    Raises ValueError, and stores nothing, where a trial is not the one that the plan has in its place, or is there with
    other numbers.
    """
    with study.storage.alone(study.plan.key):
        arriving = gathered(study.plan, {"the archive": archive}, stage)
        return stored(study, arriving).stored


def restore(storage: Storage, sources: Sources, name: str = "") -> list[Restored]:
    """Restore a study from its archive, or from archives of parts of it, with its stages.

    A study that is there and has the same design receives what it lacks. Of different numbers of points the larger
    counts.

    storage: receives the study.
    sources: archives of one design.
    name: of the study, by default the one of the first archive.

    Returns the search, then the stages.
    Raises ValueError, and stores nothing, where the archives or the study that is there differ in their design or in a
    trial. Raises NotAllowed for a class that may not be imported.
    """
    return arrive(storage, prepared(sources, name, storage))


def prepared(sources: Sources, name: str, storage: Storage | None) -> list[tuple[Plan, Travelling]]:
    """Return the plans of a study and of its stages with their trials, as `restore` stores them, after all its checks.

    storage: which may have a part of the study already; None where there is none yet. Nothing is written.
    """
    search = _search(sources, name)
    there = None if storage is None else Study.if_there(storage, search.key)
    if there is not None:
        there.refuse_another(search, f"Nothing was restored. Under another name: name={search.design.name}_2")
        grown = there.plan.grown(search)
        assert isinstance(grown, Search)
        search = grown
    plans: list[tuple[Plan, Sources]] = [(search, sources), *_stages(storage, search, sources)]
    found = [(plan, gathered(plan, own, plan.stage)) for plan, own in plans]
    for plan, arriving in found:
        known = None if storage is None else Study.if_there(storage, plan.key)
        if known is not None:
            _compared(known, arriving.trials)
    return found


def arrive(storage: Storage, trials: Iterable[tuple[Plan, Travelling]]) -> list[Restored]:
    """Store what `prepared` returned. If this process is killed meanwhile, the same again stores the rest."""
    return [_restored(storage, plan, arriving) for plan, arriving in trials]


# Plans
# --------------------------------------------------------------------------------------------------------------------


def _search(sources: Sources, name: str) -> Search:
    """Return the search that all archives are of, with the most points of any. Raises ValueError where they differ."""
    (first, archive), *others = sources.items()
    for other, more in others:
        renamed = replace(more.design, name=archive.design.name)
        found = differences(archive.design.fixed(), renamed.fixed(), f"in {first}", f"in {other}")
        if found:
            raise ValueError(f"from: the archives are of different designs ({listed(found)}); nothing was restored")
    largest = max((archive.design for archive in sources.values()), key=lambda design: design.points)
    for label, node in {**largest.variants, **largest.tasks}.items():
        require("_target_" in node, f"from: {first} must say of which class its variants and tasks are", label)
    require(not largest.unknown, "from: the design must have no knobs that this version lacks", [*largest.unknown])
    return Search(replace(largest, name=name or archive.design.name))


def _stages(storage: Storage | None, search: Search, sources: Sources) -> Iterator[tuple[Plan, Sources]]:
    """Yield the plan of every stage in the archives, and the archives that have it.

    Raises ValueError where two archives, or an archive and the storage, have chosen other points.
    """
    plans: dict[str, Stage] = {}
    having: dict[str, dict[str, Archive]] = {}
    for name, archive in sources.items():
        for kind, values in (archive.about.get("stages") or {}).items():
            stage = _stage(name, values, search)
            require(stage.stage == kind, f"{name}: its stage {kind} must have a plan of this stage", stage.stage)
            known = plans.get(stage.key) or _there_as_stage(storage, stage)
            if known is not None:
                _refuse_other_stage(name, stage, known)
                grown = known.grown(stage)
                assert isinstance(grown, Stage)
                stage = grown
            plans[stage.key] = stage
            having.setdefault(stage.key, {})[name] = archive
    for key, plan in plans.items():
        yield plan, having[key]


def _stage(name: str, values: Any, search: Search) -> Stage:
    try:
        return Stage.from_dict(values, search)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: its stages are not plans of stages ({type(error).__name__}: {error})") from None


def _refuse_other_stage(name: str, stage: Stage, known: Stage) -> None:
    there, here = "in the other plan", f"in {name}"
    found = differences(known.fixed(), stage.fixed(), there, here)
    for task in known.chosen:
        for variant, points in known.chosen[task].items():
            own = [*stage.chosen.get(task, {}).get(variant, ())]
            if own != [*points]:
                found.append(f"the points that {variant} runs again on {task}: {[*points]} {there}, {own} {here}")
    if found:
        raise ValueError(f"{stage.title} was planned differently ({listed(found)}); nothing was restored")


def listed(found: Sequence[str]) -> str:
    """Return the first few texts of `runs.study.design.differences` as one, and how many more there are.

    >>> listed(["seed: 0 there, 7 here", "points: 5 there, 9 here"])
    'seed: 0 there, 7 here; points: 5 there, 9 here'
    """
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join([*found[:NAMED], *more])


def _there_as_stage(storage: Storage | None, stage: Stage) -> Stage | None:
    known = None if storage is None else Study.if_there(storage, stage.key)
    return known.plan if known is not None and isinstance(known.plan, Stage) else None


def sessions_of(archive: Archive, stage: str) -> list[Facts]:
    """Return the facts of the sessions of an archive's search or stage, in the order of their numbers."""
    about = archive.about if stage == "search" else archive.about["stages"][stage]
    left_out = {"sessions", "stages", "unnamed", "stage", "points", "knobs", "chosen", "trials"}
    first = {key: value for key, value in about.items() if key not in left_out}
    return [dict(facts) for facts in about.get("sessions") or [first]]


# Trials of archives
# --------------------------------------------------------------------------------------------------------------------


def gathered(plan: Plan, sources: Sources, stage: str) -> Travelling:
    """Return the trials of a plan that are in archives, and the sessions in which they ran.

    Where one archive has a failure and another an outcome of the same trial, the outcome counts, since the failure may
    be due to the machine.

    Raises ValueError where a trial is not the one that the plan has in its place, or where two archives have different
    numbers of it.
    """
    found: dict[Place, Travelled] = {}
    sessions: list[Facts] = []
    for name, archive in sources.items():
        facts = sessions_of(archive, stage)
        sessions += [each for each in facts if each not in sessions]
        for own in _travelled(plan, name, archive, stage, [sessions.index(each) for each in facts]):
            other = found.get(own.place)
            if other is None or (_failed(other.outcome) and not _failed(own.outcome)):
                found[own.place] = own
            elif not _failed(own.outcome):
                _refuse_other(own, other.outcome, other.source)
    return Travelling(found, sessions)


def _travelled(plan: Plan, name: str, archive: Archive, stage: str, sessions: Sequence[int]) -> Iterator[Travelled]:
    """Yield the trials of one archive that a plan has.

    sessions: the place of each of its sessions among those that travel.
    """
    lacking = [knob for knob in plan.design.space if knob not in archive.table]
    require(not lacking, f"{name}: its table must have a column of each hyperparameter", f"none of {lacking}")
    pairs = {*plan.pairs}
    unnamed = [str(knob) for knob in archive.about.get("unnamed") or ()]
    place_of = _index_in_stage(plan) if isinstance(plan, Stage) else _index_in_search(plan)
    rows: list[Row] = of_stage(archive.table, stage).to_dict("records")  # type: ignore[assignment]
    for row in rows:
        pair = (row["task"], row["variant"])
        index = place_of(row) if pair in pairs else None
        if index is None:
            continue
        values = _values(plan, row) if plan.design.adaptive else None
        planned = plan.planned(*pair, index, values)
        known = values or plan.design.values(pair[0], planned.point)
        _refuse_stranger(name, row, planned, known, unnamed)
        session = row["session"]
        require(0 <= session < len(sessions), f"{name}: column session must be below {len(sessions)}", session)
        yield Travelled(*pair, index, planned.trial, known, outcome_of(row), sessions[session], name)


def _index_in_search(plan: Plan) -> Callable[[Row], int | None]:
    return lambda row: int(row["point"]) if 0 <= row["point"] < plan.length else None


def _index_in_stage(plan: Stage) -> Callable[[Row], int | None]:
    """Return what finds the index of a row among the runs of its stage."""
    lags = plan.stage == "horizon"
    runs = {
        (task, run.block, run.replicate, run.lag if lags else 0): index
        for task in plan.design.tasks
        for index, run in enumerate(plan.runs_of(task))
    }
    return lambda row: runs.get((row["task"], row["block"], row["replicate"], row["lag"] if lags else 0))


def _values(plan: Plan, row: Row) -> dict[str, float | int]:
    """Return the hyperparameters of a row."""
    return {n: int(row[n]) if space.integer else float(row[n]) for n, space in plan.design.space.items()}


def _refuse_stranger(
    name: str, row: Row, planned: Planned, values: Mapping[str, float | int], unnamed: Sequence[str]
) -> None:
    """Raise ValueError where a row is not the trial that the plan has in its place.

    unnamed: knobs that the version which ran it did not know.
    """
    trial = f"{name}: trial {row['task']} {row['variant']} {planned.index}"
    for knob, value in values.items():
        if row[knob] != value:
            raise ValueError(f"{trial} has {knob}={row[knob]!r}, the design gives it {value!r}")
    for column, value in (
        ("point", planned.point),
        ("seed", planned.trial.seed),
        ("hidden_size", planned.trial.model.hidden_size),
    ):
        if row[column] != value:
            raise ValueError(f"{trial} has {column}={row[column]}, the design gives it {value}")
    if row["trial_id"] not in (planned.trial.id, planned.trial.id_without(unnamed)):
        raise ValueError(f"{trial} is recorded as {row['trial_id']}, the design has {planned.trial.id} there")


# Comparing and storing
# --------------------------------------------------------------------------------------------------------------------


def _restored(storage: Storage, plan: Plan, arriving: Travelling) -> Restored:
    found: list[Restored] = []
    Study.create(storage, plan, arriving.sessions[0], lambda study: found.append(stored(study, arriving)))
    return found[0]


def stored(study: Study, arriving: Travelling) -> Restored:
    """Store trials in a study that is locked. Raises ValueError where one of them is there with other numbers."""
    missing, replaced = _compared(study, arriving.trials)
    numbers = [study.sessions.adopt(facts) for facts in arriving.sessions] if missing else []
    arrivals = [replace(trial, session=numbers[trial.session]) for trial in missing]
    study.store(arrivals, replaced)
    places = {trial.place for trial in missing}
    return Restored(study, places, len(arriving.trials) - len(places), len(replaced))


def _compared(study: Study, arriving: Mapping[Place, Travelled]) -> tuple[list[Travelled], list[int]]:
    """Return the trials that a study lacks, in the order of work, and the numbers of its failures that they replace.

    Raises ValueError where a trial is there with other numbers.
    """
    there = {finished.place: finished for finished in study.finished_trials()}
    replaced: list[int] = []
    for place in arriving.keys() & there.keys():
        own, known = arriving[place], there[place]
        if known.status == "failed" and not _failed(own.outcome):
            replaced.append(known.stored._trial_id)
        elif known.status != "failed" and not _failed(own.outcome):
            _refuse_other(own, known.outcome, study.plan.title)
    kept = {place for place, known in there.items() if known.stored._trial_id not in replaced}
    order = {pair: place for place, pair in enumerate(study.plan.pairs)}
    missing = [trial for place, trial in arriving.items() if place not in kept]
    return sorted(missing, key=lambda trial: (trial.index, order[trial.task, trial.variant])), replaced


def _failed(outcome: Outcome) -> bool:
    return outcome.status == "failed"


def _refuse_other(own: Travelled, other: Outcome, where: str) -> None:
    """Raise ValueError where a trial has other numbers elsewhere."""
    found = difference(own.outcome, other, f"in {own.source}", f"in {where}")
    if found:
        raise ValueError(
            f"trial {own.task} {own.variant} {own.index} has other numbers in {own.source} than in {where}: {found}; "
            "nothing was restored"
        )


def difference(one: Outcome, other: Outcome, here: str = "here", there: str = "there") -> str:
    """Return the first thing in which two outcomes of a trial differ, and by how much; empty where none does.

    The time is not compared, nor is what one of them lacks: curves, the budget or what the task says, of an archive
    without curves or of an earlier version. Curves are compared in single precision, in which an archive may keep them.

    here, there: what the two are called.

    >>> a, b = Outcome(status="finished", test_loss=0.5), Outcome(status="finished", test_loss=0.25)
    >>> difference(a, b)
    'test_loss is 0.5 here, 0.25 there, 0.25 apart'
    """
    for name in (field.name for field in fields(Outcome) if field.name not in OF_THE_RUN):
        mine, theirs = getattr(one, name), getattr(other, name)
        lacking = name in (*CURVES, "task", "budget") and not (mine and theirs)
        if lacking or _same(name, mine, theirs):
            continue
        if name in CURVES:
            k = next((k for k, (a, b) in enumerate(zip(mine, theirs, strict=False)) if not _alike([a], [b])), -1)
            name = f"{name}[{k}]" if k >= 0 else f"the length of {name}"
            mine, theirs = (mine[k], theirs[k]) if k >= 0 else (len(mine), len(theirs))
        elif isinstance(mine, Mapping):
            key = next(key for key in {**mine, **theirs} if not _same(key, mine.get(key), theirs.get(key)))
            name, mine, theirs = f"{key} ({name})", mine.get(key), theirs.get(key)
        numbers = all(isinstance(value, int | float) for value in (mine, theirs))
        apart = f", {abs(mine - theirs):.2g} apart" if numbers else ""
        return f"{name} is {mine!r} {here}, {theirs!r} {there}{apart}"
    return ""


def _same(name: str, mine: Any, theirs: Any) -> bool:
    if name in CURVES:
        return len(mine) == len(theirs) and _alike(mine, theirs)
    if name == "lag":  # None and 0 are both for a task without one
        return bool((mine or 0) == (theirs or 0))
    if isinstance(mine, Mapping):
        return all(_same(key, mine.get(key), theirs.get(key)) for key in {**mine, **theirs})
    return bool(mine == theirs) or (mine != mine and theirs != theirs)  # two NaN are the same


def _alike(mine: Sequence[float | None], theirs: Sequence[float | None]) -> bool:
    """Return whether two curves are the same in single precision."""
    a, b = (np.array([np.nan if x is None else x for x in curve], dtype=np.float32) for curve in (mine, theirs))
    return np.array_equal(a, b, equal_nan=True)
