"""What a study runs: a plan lists the trials of each pair of a task and a variant; a search is the first of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any, Protocol

from tasks import Task
from variants import Cell, knobs_of

from ..networks.building import network_of
from ..networks.network import Setting
from ..rules import require, require_one_of
from ..trial.classes import construct
from ..trial.trial import Model, Training, Trial
from .design import ADAPTIVE, DESIGNED, Design, Node
from .space import OF_VARIANT, check_knobs

MATCHES = ("parameters", "width", "both")
PRUNERS = ("none", "asha", "median")
KEYS = [f"{part.__name__.lower()}.{f.name}" for part in (Training, Model) for f in fields(part)]
"""What a hyperparameter can set in a trial, besides a knob of the variants."""


@dataclass(frozen=True)
class Planned:
    """One trial of a plan.

    index: its number among the trials of its pair.
    point: the place in the search space whose hyperparameters it has.
    block: the group of points whose winner it runs again, -1 for none.
    replicate: its number among the trials of the same configuration that differ in their seeds.
    trial: what to run.
    """

    index: int
    point: int
    block: int
    replicate: int
    trial: Trial


class Listed(Protocol):
    """What a queue needs to know of a plan: how many trials there are, of what, and under which name."""

    @property
    def design(self) -> Design:
        """The design of the search."""

    @property
    def stage(self) -> str:
        """search, or the name of a stage after it."""

    @property
    def key(self) -> str:
        """The name in the storage."""

    @property
    def title(self) -> str:
        """The name in messages."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of a task and a variant, in the order of work."""

    @property
    def length(self) -> int:
        """Number of trials of each pair."""


class Plan(Listed, Protocol):
    """The trials of a study, or of a stage after its search; each pair of a task and a variant has as many."""

    def point_of(self, task: str, variant: str, index: int) -> int:
        """Return the point whose hyperparameters a trial of a pair has."""

    def planned(self, task: str, variant: str, index: int, values: Mapping[str, float | int] | None = None) -> Planned:
        """Return a trial of a pair.

        values: the hyperparameters, where they are not those of a designed point.
        """

    def grown(self, wanted: Plan) -> Plan:
        """This plan, which is stored, made as long as another one of the same key where that is longer."""

    def fixed(self) -> dict[str, Any]:
        """Return the values that must not change once the plan is stored, by flat keys."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as they are stored."""


@dataclass(frozen=True)
class Search:
    """The first stage of a study: every variant is trained at every point. The index of a trial is its point.

    Raises ValueError for a design that cannot be run, and NotAllowed for a class that may not be imported.

    >>> from runs.study.space import Dimension
    >>> glorot = {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"}
    >>> space = {"learning_rate": Dimension(key="training.learning_rate", low=1e-3, high=1e-1, log=True)}
    >>> variants = {"gru": {"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0}}
    >>> tasks = {"adding": {"_target_": "tasks.Adding", "label": "adding", "lag": 20}}
    >>> search = Search(
    ...     Design(
    ...         name="mine",
    ...         baseline="gru",
    ...         variants=variants,
    ...         tasks=tasks,
    ...         points=3,
    ...         space=space,
    ...         initialisation=glorot,
    ...     )
    ... )
    >>> search.planned("adding", "gru", 2).trial.task["lag"]
    20
    """

    design: Design

    def __post_init__(self) -> None:
        design = self.design
        for key in (dimension.key for dimension in design.space.values()):
            require_key(key)
        require(len(design.variants) > 0, "variants of a study must not be empty", list(design.variants))
        require(len(design.tasks) > 0, "tasks of a study must not be empty", list(design.tasks))
        require(design.points >= 1, "points must be at least 1", design.points)
        require_one_of("match", design.match, MATCHES)
        require_one_of("baseline", design.baseline, design.variants, "the variants ")
        require_one_of("sampler", design.sampler, DESIGNED + ADAPTIVE)
        require_one_of("pruner", design.pruner, PRUNERS)
        searched = len(design.space) > 0 or not design.adaptive
        require(searched, f"space must have a hyperparameter with sampler={design.sampler}", list(design.space))
        variants, same_width = matched(design.variants, design.baseline, design.match, design.same_width)
        require(
            (variants.keys(), same_width) == (design.variants.keys(), design.same_width),
            f"variants must be {', '.join(variants)} with match={design.match}",
            list(design.variants),
        )
        cells = {label: construct(node, Cell) for label, node in design.variants.items()}
        defaults = {v: {n: q.default for n, q in knobs_of(type(cell)).items()} for v, cell in cells.items()}
        check_knobs(design.space, design.variants, defaults)
        for u in (0.0, 1.0 - 1e-12):  # the ends of every range
            values = {name: dimension.value(u) for name, dimension in design.space.items()}
            for task, variant in self.pairs:
                self.trial(task, variant, 0, values)

    @property
    def stage(self) -> str:
        """The name of the first stage."""
        return "search"

    @property
    def key(self) -> str:
        """The name in the storage."""
        return self.design.name

    @property
    def title(self) -> str:
        """The name in messages."""
        return f"study {self.design.name!r}"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of a task and a variant, in the order of work."""
        return self.design.pairs

    @property
    def length(self) -> int:
        """Number of trials of each pair."""
        return self.design.points

    def point_of(self, task: str, variant: str, index: int) -> int:
        """Return the index itself."""
        return index

    def planned(self, task: str, variant: str, index: int, values: Mapping[str, float | int] | None = None) -> Planned:
        """Return the trial of a variant at a point of a task.

        index: the point. values: the hyperparameters; by default those of the designed point.
        """
        return Planned(index, index, -1, 0, self.trial(task, variant, index, values))

    def grown(self, wanted: Plan) -> Plan:
        """This search, or the one that is wanted where that has more points."""
        return wanted if wanted.length > self.length else self

    def fixed(self) -> dict[str, Any]:
        """Return all values of the design but the number of points."""
        return self.design.fixed()

    def as_dict(self) -> dict[str, Any]:
        """Return the design as plain values."""
        return self.design.as_dict()

    def trial(self, task: str, variant: str, point: int, values: Mapping[str, float | int] | None = None) -> Trial:
        """Return the trial of a variant at a point of a task; its width is matched where the design says so."""
        trial = self.design.trial(task, variant, point, values)
        width = self.matching_size(task, variant, trial.model)
        return replace(trial, model=replace(trial.model, hidden_size=width))

    def matching_size(self, task: str, variant: str, model: Model) -> int:
        """Return the width of a variant that matches the baseline as the design says.

        It is the one at which the variant has as nearly as possible the baseline's number of parameters, or as nearly
        as possible the baseline's width.

        model: with the width of the baseline.
        """
        if variant == self.design.baseline:
            return model.hidden_size
        key = (task, variant, model)
        if key not in self._sizes:
            self._sizes[key] = self._solve_size(task, variant, model)
        return self._sizes[key]

    @cached_property
    def _sizes(self) -> dict[tuple[str, str, Model], int]:
        return {}

    def _solve_size(self, task: str, variant: str, model: Model) -> int:
        design = self.design
        cell = construct(design.variants[variant], Cell)
        if design.match == "width" or variant in design.same_width:
            return nearest_accepted(cell, model, model.hidden_size, lambda width: abs(width - model.hidden_size))
        problem = construct(design.tasks[task], Task)
        wanted = self._parameters(design.baseline, problem, model)(model.hidden_size)
        parameters = self._parameters(variant, problem, model)
        size = 1
        while parameters(size) < wanted:
            size += 1
        return nearest_accepted(cell, model, size, lambda width: abs(parameters(width) - wanted))

    def _parameters(self, variant: str, problem: Task, model: Model) -> Callable[[int], int]:
        """Return what counts the parameters of a variant's network by its width, each width once for all points."""
        around = replace(model, hidden_size=1)
        sizes = (problem.name, problem.input_size, problem.output_size, getattr(problem, "steps", None))
        key = (variant, *sizes, around)  # all of a task that parts of networks are as wide as
        if key not in self._counts:
            cell = construct(self.design.variants[variant], Cell)
            network = network_of(self.design.network_of(variant))
            self._counts[key] = cache(
                lambda width: network.parameter_count(Setting(cell, problem, replace(model, hidden_size=width)))
            )
        return self._counts[key]

    @cached_property
    def _counts(self) -> dict[tuple[str, str, int, int, int | None, Model], Callable[[int], int]]:
        return {}


def nearest_accepted(cell: Cell, model: Model, size: int, distance: Callable[[int], int]) -> int:
    """Return the nearest width that a cell accepts, the smaller one of two that are equally near.

    A cell may refuse a width, as clockwork does with one that its groups do not divide.

    model: the network around the cell. size: 64 widths to both sides of it are tried. distance: of a width.
    Raises the ValueError of the cell where it accepts none of these.
    """
    refused = None
    for width in sorted(range(max(1, size - 64), size + 65), key=distance):
        try:
            cell.validate(width, model.layers)
        except ValueError as error:
            refused = refused or error
            continue
        return width
    assert refused is not None
    raise refused


def matched(
    variants: Mapping[str, Node], baseline: str, match: str, known: Mapping[str, str]
) -> tuple[dict[str, Node], dict[str, str]]:
    """Return the variants of a study in the order of work, and those that are there a second time, to their originals.

    With match=both each variant but the baseline is followed by `<label>_same_width`, which has the baseline's width.

    known: variants that are there a second time already.
    Raises ValueError where a variant has the name of another one's second.

    >>> nodes = {"vanilla": {"label": "vanilla"}, "gru": {"label": "gru"}}
    >>> matched(nodes, "vanilla", "both", {})[1]
    {'gru_same_width': 'gru'}
    """
    if match != "both":
        return dict(variants), {}
    found: dict[str, Node] = {}
    same_width: dict[str, str] = {}
    for label, node in variants.items():
        if label in known:
            continue
        found[label] = node
        if label != baseline:
            second = f"{label}_same_width"
            rule = f"with match=both no variant may be called {second}, as {label} with the baseline's width is"
            require(second not in variants or second in known, rule, second)
            found[second], same_width[second] = {**node, "label": second}, label
    return found, same_width


def require_key(key: str) -> None:
    """Raise ValueError unless a hyperparameter can set this in a trial, as in `training.learning_rate`."""
    of_variant = key.startswith(OF_VARIANT) and key.removeprefix(OF_VARIANT).isidentifier()
    require(of_variant or key in KEYS, f"space: key must be one of {', '.join(KEYS)}, {OF_VARIANT}<knob>", key)
