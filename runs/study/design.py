"""The design of a study as plain data: what it compares, at which points, and with which seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..names import checked_name
from ..rules import require
from ..trial.classes import present_node
from ..trial.trial import READER, Model, Training, Trial
from .factors import Factors
from .space import Dimension

DESIGNED, ADAPTIVE = ("random", "sobol"), ("tpe", "cmaes")
"""Samplers whose points are fixed before the study, and those that propose points while it runs."""

Node = Mapping[str, Any]
"""A class and its knobs: `_target_`, `label`, and the knobs by name."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study as plain values, which can be read without torch. All but `points` is fixed when the study is created.

    Only names are checked here, since an archive may be of an earlier version or incomplete;
    `runs.study.plan.Search` checks that the design can be run.

    name: of the study.
    baseline: the variant that the others are compared with, empty for none.
    variants, tasks: label to configuration node, in the order of work.
    points: how many places in the space each pair of a task and a variant is trained at; may grow.
    levels: name of a series to its tasks, the one with the shortest lag first; the tasks of a series share points and
        seeds. Empty where every task has one lag.
    match: parameters (each variant gets the width at which it has as many as the baseline), width, or both: every
        variant but the baseline is there twice.
    same_width: the variants that are there a second time for match=both, with the baseline's width, to the variant that
        each of them repeats.
    factors: where the variants are combinations of parts, which; None where they are not.
    networks: variant to the configuration node of the network around it; the others have the reader.
    space: name of a hyperparameter to its range. Where it is empty, points differ in their seeds only.
    initialisation: configuration node.
    model, training: what the hyperparameters of a point do not set.
    seed: from which points, initialisation and data are derived.
    sampler: random (independent uniform points) or sobol (scrambled Sobol sequence), both shared by all variants; tpe
        or cmaes, by which Optuna searches for each pair separately.
    pruner: none, asha or median.
    unknown: entries of `model` and `training` that only another version of this code knows, by `model.<name>`.
    """

    name: str
    baseline: str = ""
    variants: Mapping[str, Node]
    tasks: Mapping[str, Node]
    points: int
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    match: str = "parameters"
    same_width: Mapping[str, str] = field(default_factory=dict)
    factors: Factors | None = None
    networks: Mapping[str, Node] = field(default_factory=dict)
    space: Mapping[str, Dimension] = field(default_factory=dict)
    initialisation: Node = field(default_factory=dict)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    seed: int = 0
    sampler: str = "random"
    pruner: str = "none"
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.name, "name of a study")
        for part, thing in (("variants", "variant"), ("tasks", "task")):
            nodes = {label: present_node(node) for label, node in getattr(self, part).items()}
            object.__setattr__(self, part, nodes)
            for label, node in nodes.items():
                checked_name(label, f"name of a {thing}")
                checked_name(node.get("label", label), f"label of {thing} {label}")
        object.__setattr__(self, "initialisation", present_node(self.initialisation))
        networks = {label: present_node(node) for label, node in self.networks.items() if dict(node) != READER}
        object.__setattr__(self, "networks", networks)
        for name in self.space:
            checked_name(name, "name of a hyperparameter")
        if self.baseline:
            checked_name(self.baseline, "name of the baseline")
        for series, tasks in self.levels.items():
            for name in (series, *tasks):
                checked_name(name, "name of a series or of one of its tasks")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of a task and a variant, in the order of work."""
        return [(t, v) for t in self.tasks for v in self.variants]

    @property
    def adaptive(self) -> bool:
        """Whether points are proposed during the study, for each variant separately."""
        return self.sampler in ADAPTIVE

    @property
    def comparison(self) -> bool:
        """Whether variants may be compared by this study: shared points, and every trial is run to its end."""
        return not self.adaptive and self.pruner == "none"

    def series_of(self, task: str) -> str:
        """Return the series that a task belongs to; the task's own label where it is in none."""
        return self._series.get(task, task)

    @cached_property
    def _series(self) -> dict[str, str]:
        return {task: series for series, tasks in self.levels.items() for task in tasks}

    def network_of(self, variant: str) -> Node:
        """Return the configuration node of the network around a variant."""
        return self.networks.get(variant, READER)

    # Points and trials
    # -------------------------------------------------------------------------------------------------------------

    def unit(self, task: str, point: int) -> dict[str, float]:
        """Return coordinates of a designed point in the unit cube, by hyperparameter.

        They are the same for all variants and all tasks of a series, and do not depend on the number of points.
        """
        if not self.space:
            return {}
        series = self.series_of(task)
        if self.sampler == "sobol":
            u = self._sobol(series)[point]
        else:
            u = np.random.default_rng(seed_for(self.seed, "points", series, point)).random(len(self.space))
        return dict(zip(self.space, u.tolist(), strict=True))

    def values(self, task: str, point: int) -> dict[str, float | int]:
        """Return hyperparameters of a designed point, by their names in the space."""
        return {name: self.space[name].value(u) for name, u in self.unit(task, point).items()}

    def trial(self, task: str, variant: str, point: int, values: Mapping[str, float | int] | None = None) -> Trial:
        """Return the trial of a variant at a point of a task, with the width that the point or `model` says.

        `runs.study.plan.Search.trial` gives the width that matches the baseline, for which it needs the classes.

        values: the hyperparameters; by default those of the designed point.
        """
        values = self.values(task, point) if values is None else values
        series = self.series_of(task)
        parts: dict[str, dict[str, Any]] = {"training": {}, "model": {}, "variant": {}}
        for name, value in values.items():
            part, _, key = self.space[name].key.partition(".")
            parts[part][key] = value
        node = self.variants[variant]
        knobs = {knob: value for knob, value in parts["variant"].items() if knob in node}  # others ignore them
        return Trial(
            variant={**node, **knobs},
            task=self.tasks[task],
            initialisation=self.initialisation,
            network=self.network_of(variant),
            model=replace(self.model, **parts["model"]),
            training=replace(self.training, **parts["training"]),
            seed=seed_for(self.seed, "trial", series, point) >> 1,
            data_seed=seed_for(self.seed, "data", series) >> 1,
        )

    def trial_again(self, task: str, variant: str, row: Mapping[str, Any]) -> Trial:
        """Return a trial of the search as its row in the table of trials describes it, to train it once more.

        task, variant: labels of the design.
        row: has the columns point and hidden_size; hyperparameters that it lacks keep the values of the design.

        Raises ValueError where the design does not say enough.
        """
        if self.unknown or not self.initialisation:
            raise ValueError("the design of the study is not complete, so that no trial can be trained again")
        known = {name: dimension for name, dimension in self.space.items() if name in row}
        values = {n: int(row[n]) if dimension.integer else float(row[n]) for n, dimension in known.items()}
        trial = self.trial(task, variant, int(row["point"]), values)
        return replace(trial, model=replace(trial.model, hidden_size=int(row["hidden_size"])))

    def _sobol(self, series: str) -> NDArray[np.float64]:
        if series not in self._sequences:
            from scipy.stats.qmc import Sobol

            rng = np.random.default_rng(seed_for(self.seed, "points", series))
            power = max(1, (self.points - 1).bit_length())
            self._sequences[series] = Sobol(len(self.space), scramble=True, rng=rng).random_base2(power)
        return self._sequences[series]

    @cached_property
    def _sequences(self) -> dict[str, NDArray[np.float64]]:
        return {}

    # Plain values
    # -------------------------------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `from_dict`."""
        values = asdict(replace(self, unknown={}))
        del values["unknown"]
        if self.factors is None:
            del values["factors"]  # as in archives of earlier versions
        if not self.networks:
            del values["networks"]
        for key, value in self.unknown.items():
            part, _, name = key.partition(".")
            values[part][name] = value
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Design:
        """Return a design from plain values: those of `as_dict`, of an earlier version, or incomplete ones.

        values: only `name` is required. Variants and tasks may be a list of labels, or of nodes with a label. What is
            missing has its default; other keys, such as the facts that an archive stores beside the design, are left
            out.
        Raises ValueError for a name that is none, and ValueError or TypeError for values of another kind.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"the design of a study must be a mapping, got {type(values).__name__}")
        parts = {part: dict(values.get(part) or {}) for part in ("model", "training")}
        known = {"model": {f.name for f in fields(Model)}, "training": {f.name for f in fields(Training)}}
        ours = {part: {k: v for k, v in own.items() if k in known[part]} for part, own in parts.items()}
        plain = {k: values[k] for k in ("match", "seed", "sampler", "pruner") if values.get(k) is not None}
        return cls(
            name=values.get("name", ""),
            variants=_nodes(values.get("variants"), "variant"),
            tasks=_nodes(values.get("tasks"), "task"),
            points=int(values.get("points") or 0),
            baseline=values.get("baseline") or "",
            levels={name: tuple(labels) for name, labels in (values.get("levels") or {}).items()},
            same_width=dict(values.get("same_width") or {}),
            factors=Factors.from_dict(values["factors"]) if values.get("factors") else None,
            networks=dict(values.get("networks") or {}),
            space={name: _dimension(name, node) for name, node in (values.get("space") or {}).items()},
            initialisation=values.get("initialisation") or {},
            model=Model(**ours["model"]),
            training=Training(**ours["training"]),
            unknown={f"{p}.{k}": v for p, own in parts.items() for k, v in own.items() if k not in known[p]},
            **plain,
        )

    def differences(self, other: Design) -> list[str]:
        """Return what differs in another design, except for the number of points.

        Returns one text for each value: 'training.budget: 300 there, 400 here', where `self` is there and `other` here.
        """
        return differences(self.fixed(), other.fixed())

    def fixed(self) -> dict[str, Any]:
        """Return all values but the number of points, by flat keys, as a user writes them.

        A series is one task with a list of lags, and variants that `match` has added are left out.
        """
        values = self.as_dict()
        for key in ("points", "levels", "same_width"):
            del values[key]
        for key in ("cells", "aliases", "resolution", "generators", "left_out"):  # they follow from the others
            values.get("factors", {}).pop(key, None)
        values["variants"] = {v: node for v, node in self.variants.items() if v not in self.same_width}
        values["tasks"] = {}
        for task, node in self.tasks.items():
            series = self.series_of(task)
            lag = {} if task == series else {"lag": [*values["tasks"].get(series, {}).get("lag", ()), node.get("lag")]}
            values["tasks"][series] = {**node, "label": series, **lag} if lag else node
        return flat(values)


def seed_for(*parts: int | str) -> int:
    """Return a 64-bit seed for a purpose.

    parts: the seed of the study and what it is for.

    >>> seed_for(0, "data", "adding")
    16153145010530335555
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by their keys, joined by dots.

    >>> flat({"training": {"budget": 300}, "seed": 0})
    {'training.budget': 300, 'seed': 0}
    """
    if isinstance(node, Mapping) and node:
        below = [flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in node.items()]
        return {key: value for values in below for key, value in values.items()}
    return {prefix: list(node) if isinstance(node, tuple) else node}


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], there: str = "there", here: str = "here"
) -> list[str]:
    """Return what differs between two flat mappings, one text for each key.

    there, here: where the texts say that the values of the first and of the second mapping are.

    >>> differences({"seed": 0, "points": 5}, {"seed": 7, "points": 5})
    ['seed: 0 there, 7 here']
    >>> differences({"seed": 0}, {"seed": 7}, "in a.parquet", "in b.parquet")
    ['seed: 0 in a.parquet, 7 in b.parquet']
    """
    return [
        f"{k}: {one.get(k, 'absent')!r} {there}, {other.get(k, 'absent')!r} {here}"
        for k in {**one, **other}
        if one.get(k, "absent") != other.get(k, "absent")
    ]


def _nodes(values: Mapping[str, Any] | Iterable[Any] | None, thing: str) -> dict[str, Node]:
    """Return variants or tasks by label, from a mapping, a list of labels, or a list of nodes."""
    if isinstance(values, Mapping):
        return {label: node if isinstance(node, Mapping) else {"label": label} for label, node in values.items()}
    nodes: dict[str, Node] = {}
    for entry in values or ():
        node = entry if isinstance(entry, Mapping) else {"label": entry}
        nodes[checked_name(node.get("label", node.get("name")), f"name of a {thing}")] = node
    return nodes


def _dimension(name: str, node: Mapping[str, Any]) -> Dimension:
    checked_name(name, "name of a hyperparameter")
    require("low" in node and "high" in node, f"space.{name} must have low and high", dict(node))
    return Dimension(**{"key": "", **{f.name: node[f.name] for f in fields(Dimension) if f.name in node}})
