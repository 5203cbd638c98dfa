"""The study that `against=` describes: the design of an archive, with variants of the user's added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from variants import Cell, knobs_of

from ..console.known import instead
from ..console.text import counted
from ..names import checked_name
from ..record.archive import Archive, read_archive
from ..record.shipped import located
from ..rules import require
from ..study.design import Design, Node
from ..study.plan import Search, matched
from ..study.stages import Confirm, Horizon, Stage
from ..trial.classes import NotAllowed, construct
from .nodes import variant_nodes
from .schema import plain
from .trial import checked_task

LONGEST_NAME = 64
NAMED = 4  # pairs with missing trials that a message names


@dataclass(frozen=True, eq=False)
class Union(Search):
    """The search of an archive with more variants: those trials that the archive holds need not be run.

    archive: the part of it that belongs to the design: its tasks and its points.
    source: what the user calls it, such as `archive:lags`.
    whole: whether that part is all of the archive's search, so that its stages belong to the union, too.
    missing: how many trials the archive lacks at the points that it was to have.
    """

    archive: Archive
    source: str
    whole: bool
    missing: int

    @property
    def new(self) -> list[str]:
        """The variants that the archive does not have."""
        return [variant for variant in self.design.variants if variant not in self.archive.design.variants]

    def knobs(self, wanted: Confirm | Horizon) -> Confirm | Horizon:
        """Return the knobs of a stage: those of the archive's, if it has the stage and the user asks for no others."""
        values, usual = self._planned(wanted.kind), type(wanted)()
        return type(wanted)(**values["knobs"]) if values and wanted == usual else wanted

    def holds(self, stage: Stage) -> bool:
        """Return whether the archive has a stage that was planned as this one: the same points are run again."""
        values = self._planned(stage.stage)
        if not values:
            return False
        there = Stage.from_dict(values, self)
        return there.fixed() == stage.fixed() and all(
            list(there.chosen[task][variant]) == list(stage.chosen[task][variant])
            for task, variant in self.archive.design.pairs
        )

    def _planned(self, stage: str) -> Mapping[str, Any]:
        """Return the plan of a stage of the archive that belongs to the union, too; empty where there is none."""
        return (self.archive.about.get("stages") or {}).get(stage) or {} if self.whole else {}

    @property
    def notes(self) -> list[str]:
        """Lines on what the study takes of the archive."""
        part, count = self.archive.design, int((self.archive.table["stage"] == "search").sum())
        size = " x ".join(
            counted(number, thing)
            for number, thing in ((len(part.variants), "variant"), (len(part.tasks), "task"), (part.points, "point"))
        )
        new = f"{', '.join(self.new)}, which {'is' if len(self.new) == 1 else 'are'} trained at the same points"
        lines = [f"against {self.source}: {counted(count, 'trial')} ({size}) stand beside {new} with the same seeds"]
        if self.missing:
            rest = f"all variants have the first {counted(part.points, 'point')} on every task, and these are compared"
            lines.append(f"{self.source} lacks {counted(self.missing, 'trial')}: {rest}")
        return lines


def union_from(config: DictConfig, asked: Mapping[str, str]) -> Union:
    """Return the study that adds the variants of a configuration to an archive.

    config: composed from `conf/sweep.yaml`, with `against`.
    asked: the arguments by the keys that they set.

    Raises ValueError for an archive that does not exist or is not that of a comparison, for a task, lag or point that
    it lacks, and for a variant that it has already or that cannot be trained as its variants were.
    """
    source, path = str(config.against), located(str(config.against))
    archive = read_archive(path)
    _refuse_other_kinds(archive.design, source)
    tasks = chosen_tasks(archive.design, plain(config.tasks), plain(config.lags), source)
    reduced = _part(archive, tasks, archive.design.points)
    points, missing = _balanced(reduced, source)
    if "points" in asked:
        have = f"{source} has{' for all variants and tasks' if missing else ''}"
        require(1 <= config.points <= points, f"points must be 1 to {points}, as many as {have}", config.points)
        points = config.points
    part = _part(archive, tasks, points)
    whole = len(tasks) == len(archive.design.tasks) and points == archive.design.points
    new = _new_variants(plain(config.variants), archive.design, source)
    name = config.name if "name" in asked else "_".join([archive.design.name, *new])
    design = with_variants(part.design, new, name)
    require(design.name != archive.design.name, "name must be another one than that of the archive", design.name)
    _refuse_what_is_not_here(design, source)
    _refuse_searched_knobs(design, new, source)
    _refuse_widths(design, new, source)
    return Union(design, part, source, whole, missing)


def _refuse_other_kinds(design: Design, source: str) -> None:
    """Raise ValueError for an archive whose trials a new variant cannot be compared with."""
    if not design.comparison:
        kind = f"sampler={design.sampler}, pruner={design.pruner}"
        why = "its variants did not get the same trials, so none can be added"
        raise ValueError(f"against: {source} is the archive of a search ({kind}): {why}")
    if design.unknown:
        known = "which this version of the code does not know, so that it cannot train as the archive's variants were"
        raise ValueError(f"against: {source} sets {', '.join(design.unknown)}, {known}")
    for thing, nodes in (("variant", design.variants), ("task", design.tasks)):
        for label, node in nodes.items():
            if "_target_" not in node:
                raise ValueError(f"against: {source} does not say of which class its {thing} {label} is")


# Tasks and points
# --------------------------------------------------------------------------------------------------------------------


def chosen_tasks(design: Design, names: Any, lags: Any, source: str) -> list[str]:
    """Return the tasks that a study takes of an archive, in the order of the archive.

    design: of the archive.
    names: series or tasks, None for all.
    lags: of the tasks to be taken, empty for all. A series that is not named and has none of them is left out.
    source: what the user calls the archive.

    Raises ValueError for a name or a lag that the archive does not have.
    """
    wanted = names is None or (isinstance(names, list) and len(names) > 0)
    require(wanted, "tasks must be names of series or tasks of the archive, as in tasks=[adding]", names)
    series = {task: design.series_of(task) for task in design.tasks}
    there = list(dict.fromkeys([*series.values(), *series]))
    for name in names or ():
        if name not in there:
            raise ValueError(f"tasks: {source} has no {name!r}; {instead(str(name), there, 'it has')}")
    found = [task for task in series if names is None or {task, series[task]} & set(names)]
    listed = lags if isinstance(lags, list) else [lags]
    if not listed:
        return found
    of_task = {task: design.tasks[task].get("lag") for task in found}
    known = {lag for lag in of_task.values() if lag is not None}
    for lag in listed:
        have = f"lags must be among those of {source} ({', '.join(map(str, sorted(known))) or 'none has one'})"
        require(isinstance(lag, int) and lag in known, have, lag)
    for name in names or ():
        own = [of_task[task] for task in found if name in (task, series[task])]
        require(bool({*own} & {*listed}), f"lags must name one of {name} ({', '.join(map(str, own))})", listed)
    return [task for task in found if of_task[task] in listed]


def _part(archive: Archive, tasks: Sequence[str], points: int) -> Archive:
    """Return the trials of an archive on some tasks at its first points, with the design that fits them."""
    design = archive.design
    levels = {name: tuple(task for task in own if task in tasks) for name, own in design.levels.items()}
    kept = replace(
        design,
        tasks={task: node for task, node in design.tasks.items() if task in tasks},
        levels={name: own for name, own in levels.items() if own},
        points=points,
    )
    table = archive.table
    ours = table["task"].isin(list(tasks)) & table["variant"].isin(list(design.variants))
    search = table["stage"] == "search"
    return replace(archive, table=table[ours & (~search | (table["point"] < points))], design=kept)


def _balanced(archive: Archive, source: str) -> tuple[int, int]:
    """Return how many of its first points an archive has for every pair, and how many trials it lacks in all.

    Raises ValueError where that is none.
    """
    search = archive.table[archive.table["stage"] == "search"]
    there = search.groupby(["task", "variant"])["point"].agg(set).to_dict()
    points, missing = archive.design.points, 0
    for pair in archive.design.pairs:
        absent = sorted(set(range(archive.design.points)) - there.get(pair, set()))
        missing += len(absent)
        points = min([points, *absent[:1]])
    if points == 0:
        pairs = [
            f"{task} {variant}" for task, variant in archive.design.pairs if 0 not in there.get((task, variant), ())
        ]
        more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        raise ValueError(
            f"against: {source} lacks {counted(missing, 'trial')}, and no point is complete for all variants and "
            f"tasks; the first is missing for {', '.join(pairs[:NAMED])}{more}"
        )
    return points, missing


# Variants
# --------------------------------------------------------------------------------------------------------------------


def _new_variants(entries: Any, design: Design, source: str) -> dict[str, Mapping[str, Any]]:
    """Return the variants that the user adds, by label. Raises ValueError for none, and for a name that is taken."""
    example = "variants=[my_package.MyCell]"
    wanted = isinstance(entries, list) and len(entries) > 0
    require(wanted, f"variants must be the cells that are added to the archive, as in {example}", entries)
    new = variant_nodes(entries)
    for label, node in new.items():
        if label in design.variants:
            choice = next((entry for entry in entries if entry in (label, node["_target_"])), label)
            other = f"variants=[{{my_{label}: {{variant: {choice}}}}}]"
            raise ValueError(f"variants: {source} has a {label} already; under a name of its own it is {other}")
    return new


def with_variants(design: Design, new: Mapping[str, Node], name: str) -> Design:
    """Return a design with variants added after its own.

    new: nodes by label.
    name: of the study.
    """
    if len(name) > LONGEST_NAME:
        raise ValueError(f"name: {name} has more than {LONGEST_NAME} letters; name=... gives the study a shorter one")
    checked_name(name, "name of a study")
    originals = {label: node for label, node in design.variants.items() if label not in design.same_width}
    variants, same_width = matched({**originals, **new}, design.baseline, design.match, {})
    return replace(design, name=name, variants=variants, same_width=same_width)


def _refuse_what_is_not_here(design: Design, source: str) -> None:
    """Raise ValueError where a class or the data of a task of an archive cannot be found here."""
    for label, node in design.tasks.items():
        try:
            checked_task(node, design.model, design.training)
        except NotAllowed:
            raise
        except ValueError as error:
            raise ValueError(f"against: task {label} of {source} cannot be made here: {error}") from None


def _refuse_searched_knobs(design: Design, new: Mapping[str, Node], source: str) -> None:
    """Raise ValueError for a new variant that sets a knob which the points of the archive set."""
    for name, dimension in design.space.items():
        for label, node in new.items():
            defaults = {k: knob.default for k, knob in knobs_of(type(construct(node, Cell))).items()}
            own = node.get(dimension.knob)
            if dimension.knob in defaults and own != defaults[dimension.knob]:
                searched = f"which the points of {source} set (space.{name})"
                raise ValueError(f"variants: {label} sets {dimension.knob}={own}, {searched}; leave it out")


def _refuse_widths(design: Design, new: Mapping[str, Node], source: str) -> None:
    """Raise ValueError for a new variant that cannot have the width that the archive's points ask for."""
    for label in new:
        own = {v: node for v, node in design.variants.items() if v in (design.baseline, label)}
        alone = replace(design, variants=own, same_width={}, match="width" if design.match == "width" else "parameters")
        try:
            Search(alone)
        except NotAllowed:
            raise
        except ValueError as error:
            wanted = f"{label} cannot be trained at the points of {source}"
            raise ValueError(
                f"variants: {wanted}, which give it about as many parameters as {design.baseline}: {error}"
            ) from None
