"""The design of a study: which trials it consists of, fixed before the first of them runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import Task
from variants import Cell, count_parameters

from ..names import checked_name
from ..trial.trial import Model, Training, Trial, construct, present_node, require, require_one_of

MATCHES = ("parameters", "width")
# samplers: points fixed before the study, or proposed as it goes
DESIGNED, ADAPTIVE = ("random", "sobol"), ("tpe", "cmaes")
PRUNERS = ("none", "asha", "median")


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The range of one hyperparameter.

    key: what it sets in a trial, `training.<name>` or `model.<name>`.
    low, high: ends of the range. log: uniform in the logarithm. integer: whole numbers, both ends included.
    complement: the value is 1 minus what is drawn (Greff's momentum).
    """

    key: str
    low: float
    high: float
    log: bool = False
    integer: bool = False
    complement: bool = False

    def __post_init__(self) -> None:
        known = [f"training.{f.name}" for f in fields(Training)] + [f"model.{f.name}" for f in fields(Model)]
        require(self.key in known, f"space: key must be one of {', '.join(known)}", self.key)
        require(self.low < self.high, f"space: low must be below high for {self.key}", (self.low, self.high))
        require(not self.log or self.low > 0, f"space: a log range must have low > 0 for {self.key}", self.low)

    def value(self, u: float) -> float | int:
        """The value at a coordinate u in [0, 1)."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.integer else (self.low, self.high)
        v = math.exp(math.log(low) + u * (math.log(high) - math.log(low))) if self.log else low + u * (high - low)
        if self.integer:
            return int(min(self.high, max(self.low, round(v))))
        v = min(high, max(low, v))
        return 1.0 - v if self.complement else v

    def coordinate(self, value: float | int) -> float:
        """The coordinate in [0, 1] of a value: the inverse of `value`, the middle of its share for a whole number."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.integer else (self.low, self.high)
        v = 1.0 - value if self.complement else value
        u = math.log(v / low) / math.log(high / low) if self.log else (v - low) / (high - low)
        return min(1.0, max(0.0, u))

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return (1.0 - self.high, 1.0 - self.low) if self.complement else (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study as plain values. Everything but `points` is fixed for its lifetime; `points` may grow.

    variants, tasks: label to configuration node, in order. Other fields as in `runs.config.SweepConfig`.
    sampler: random (independent uniform points) or sobol (scrambled Sobol sequence), both shared by all variants; or
    tpe or cmaes, by which Optuna searches for each (task, variant) on its own. pruner: none, asha or median. A study
    with an adaptive sampler or a pruner is a search for good settings, not a comparison.
    """

    name: str
    baseline: str
    variants: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Mapping[str, Any]]
    points: int
    match: str
    space: Mapping[str, Dimension]
    initialisation: Mapping[str, Any]
    model: Model
    training: Training
    seed: int = 0
    sampler: str = "random"
    pruner: str = "none"

    def __post_init__(self) -> None:
        checked_name(self.name, "name of a study")
        for part in ("variants", "tasks"):
            object.__setattr__(self, part, {label: present_node(node) for label, node in getattr(self, part).items()})
        object.__setattr__(self, "initialisation", present_node(self.initialisation))
        for thing, nodes in (("variant", self.variants), ("task", self.tasks)):
            for label, node in nodes.items():
                checked_name(label, f"name of a {thing}")
                checked_name(node.get("label", label), f"label of {thing} {label}")
        for name in self.space:
            checked_name(name, "name of a hyperparameter")
        require(len(self.variants) > 0, "variants of a study must not be empty", list(self.variants))
        require(len(self.tasks) > 0, "tasks of a study must not be empty", list(self.tasks))
        require(self.points >= 1, "points must be at least 1", self.points)
        require_one_of("match", self.match, MATCHES)
        require_one_of("baseline", self.baseline, self.variants, "the variants ")
        require_one_of("sampler", self.sampler, DESIGNED + ADAPTIVE)
        require_one_of("pruner", self.pruner, PRUNERS)
        require(len(self.space) > 0, "space must have at least one hyperparameter", list(self.space))
        for task in self.tasks:
            for u in (0.0, 1.0 - 1e-12):
                values = {n: d.value(u) for n, d in self.space.items()}
                for variant in self.variants:
                    self.trial(task, variant, 0, values)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, variant) pairs in the order of work."""
        return [(t, v) for t in self.tasks for v in self.variants]

    # What `runs.study.stages.Stage` answers otherwise: the trials of a search are its points.

    stage = "search"

    @property
    def key(self) -> str:
        """The name in the storage."""
        return self.name

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"study {self.name!r}"

    @property
    def length(self) -> int:
        """Number of trials of each (task, variant)."""
        return self.points

    def point_of(self, task: str, variant: str, k: int) -> int:
        """The point whose hyperparameters trial k of a (task, variant) has."""
        return k

    def place(self, task: str, k: int) -> dict[str, str | int]:
        """The columns of the tidy table that say what trial k is."""
        return {"stage": self.stage, "block": -1, "replicate": 0}

    def grown(self, wanted: Design) -> Design:
        """This design, which is stored, with as many points as wanted where those are more."""
        return wanted if wanted.points > self.points else self

    def unit(self, task: str, point: int) -> dict[str, float]:
        """Coordinates of a designed point in the unit cube, the same for all variants, whatever the number of points."""
        if self.sampler == "sobol":
            u = self._sobol(task)[point]
        else:
            u = np.random.default_rng(number(self.seed, "points", task, point)).random(len(self.space))
        return dict(zip(self.space, u.tolist(), strict=True))

    def _sobol(self, task: str) -> NDArray[np.float64]:
        if task not in self._sequences:
            from scipy.stats.qmc import Sobol

            rng = np.random.default_rng(number(self.seed, "points", task))
            power = max(1, (self.points - 1).bit_length())
            self._sequences[task] = Sobol(len(self.space), scramble=True, rng=rng).random_base2(power)
        return self._sequences[task]

    @cached_property
    def _sequences(self) -> dict[str, NDArray[np.float64]]:
        return {}

    @property
    def adaptive(self) -> bool:
        """Whether points are proposed during the study, for each variant on its own."""
        return self.sampler in ADAPTIVE

    @property
    def comparison(self) -> bool:
        """Whether variants may be compared by this study: shared points, every trial run to its end."""
        return not self.adaptive and self.pruner == "none"

    def values(self, task: str, point: int) -> dict[str, float | int]:
        """Hyperparameters of a designed point, by their names in the space."""
        return {name: self.space[name].value(u) for name, u in self.unit(task, point).items()}

    def trial(self, task: str, variant: str, point: int, values: Mapping[str, float | int] | None = None) -> Trial:
        """The trial of a variant at a point of a task; `values` are the hyperparameters, those of the designed point by
        default.
        """
        values = self.values(task, point) if values is None else values
        parts: dict[str, dict[str, Any]] = {"training": {}, "model": {}}
        for name, value in values.items():
            part, _, key = self.space[name].key.partition(".")
            parts[part][key] = value
        model = replace(self.model, **parts["model"])
        if self.match == "parameters":
            model = replace(model, hidden_size=self.matching_size(task, variant, model))
        return Trial(
            variant=self.variants[variant],
            task=self.tasks[task],
            initialisation=self.initialisation,
            model=model,
            training=replace(self.training, **parts["training"]),
            seed=number(self.seed, "trial", task, point) >> 1,
            data_seed=number(self.seed, "data", task) >> 1,
        )

    def matching_size(self, task: str, variant: str, model: Model) -> int:
        """The width at which a variant has as many parameters as the baseline has at `model.hidden_size`, as nearly as
        a width can.
        """
        if variant == self.baseline:
            return model.hidden_size
        key = (task, variant, model)
        if key not in self._sizes:
            self._sizes[key] = self._solve_size(task, variant, model)
        return self._sizes[key]

    @cached_property
    def _sizes(self) -> dict[tuple[str, str, Model], int]:
        return {}

    def _solve_size(self, task: str, variant: str, model: Model) -> int:
        problem = construct(self.tasks[task], Task)
        baseline, cell = (construct(self.variants[v], Cell) for v in (self.baseline, variant))
        target = network_parameters(baseline, problem, model, model.hidden_size)
        size = 1
        while network_parameters(cell, problem, model, size) < target:
            size += 1
        # A width may be impossible for a cell (clockwork's groups): take the nearest that it accepts, the
        # smaller one first.
        candidates = sorted(
            range(max(1, size - 64), size + 65), key=lambda n: abs(network_parameters(cell, problem, model, n) - target)
        )
        for n in candidates:
            try:
                cell.validate(n, model.layers)
            except ValueError:
                continue
            return n
        cell.validate(size, model.layers)
        raise AssertionError("a width was refused by validate, then accepted")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Design:
        """A design from plain values."""
        space = {name: Dimension(**node) for name, node in values["space"].items()}
        return cls(
            **{
                **values,
                "space": space,
                "model": Model(**values["model"]),
                "training": Training(**values["training"]),
            }
        )

    def differences(self, other: Design) -> list[str]:
        """What another design has otherwise, `points` aside: 'training.budget: 300 there, 400 here' with self as there."""
        mine, theirs = (dict(_flat(d.as_dict())) for d in (self, other))
        keys = [k for k in {**mine, **theirs} if k != "points"]
        return [
            f"{k}: {mine.get(k, 'absent')!r} there, {theirs.get(k, 'absent')!r} here"
            for k in keys
            if mine.get(k, "absent") != theirs.get(k, "absent")
        ]


def network_parameters(cell: Cell, task: Task, model: Model, hidden_size: int) -> int:
    """Trainable values of a network of the given width: cells of all layers and directions, and the read-out."""
    directions = 2 if model.bidirectional else 1
    cells = count_parameters(
        cell,
        task.input_size,
        hidden_size,
        layers=model.layers,
        bidirectional=model.bidirectional,
        layer_norm=model.layer_norm,
    )
    return cells + (hidden_size * directions + 1) * task.output_size


def number(*parts: int | str) -> int:
    """A 64-bit number derived from a seed and purposes."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _flat(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        return [pair for k, v in node.items() for pair in _flat(v, f"{prefix}.{k}" if prefix else str(k))]
    return [(prefix, list(node) if isinstance(node, tuple) else node)]
