"""The design of a study that a composed configuration describes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from ..console.text import counted
from ..networks.building import untrained
from ..rules import require, require_one_of
from ..study.design import Design, Node
from ..study.factors import Factors
from ..study.part import Part
from ..study.plan import Search, matched
from ..study.space import Dimension
from ..study.stages import KINDS
from ..trial.classes import allow
from ..trial.trial import Model, Training
from .against import union_from
from .checks import by_key, refuse_idle, refuse_unread
from .factors import factorial
from .networks import crossed
from .nodes import dimension, variant_nodes
from .schema import ACTIONS, SweepConfig, plain
from .series import task_nodes
from .stage import knobs_of_stage
from .trial import checked_task

ACTIONS_THAT_READ = {"part": ("run", "status"), "from": ("restore",), "verify": ("restore",)}
"""Arguments that only some actions read, with the names of these actions."""


def checked(config: DictConfig, overrides: Sequence[str]) -> Search:
    """Return the search of a configuration after all checks that need no storage.

    config: composed from `conf/sweep.yaml`.
    overrides: the arguments that it was composed from.

    Raises ValueError for whatever is wrong in the configuration, for a key that is not read, and for an argument
    without effect.
    """
    refuse_unread(config, SweepConfig)
    require_one_of("action", config.action, ACTIONS)
    require_one_of("stage", config.stage, ("search", *KINDS))
    require(config.workers >= 1, "workers must be at least 1", config.workers)
    require(config.trial_seconds >= 0, "trial_seconds must be 0 (no limit) or more", config.trial_seconds)
    require(config.verify >= 0, "verify must be 0 or more", config.verify)
    part = Part.read(config.part)
    require(config.worker is None or config.worker >= 0, "worker must be at least 0", config.worker)
    for stage in KINDS:
        knobs_of_stage(config, stage)
    search = union_from(config, by_key(overrides)) if config.against else Search(design_from(config))
    _refuse_regularisation(search)
    _check_part(part, config, search.design)
    asked = by_key(overrides)
    refuse_idle(config, asked)
    refuse_idle_in_study(config, search.design, asked)
    return search


def design_from(config: DictConfig) -> Design:
    """Return the design that a composed configuration describes. Raises ValueError for whatever is wrong in it."""
    values = plain(config)
    values["tasks"] = {} if values["tasks"] is None else values["tasks"]
    for key, kind, rule in (
        ("variants", list, "a list, as in [vanilla, gru]"),
        ("tasks", dict, "names with knobs, as in {adding: {lag: 50}}"),
        ("space", dict, "hyperparameters with ranges"),
    ):
        require(isinstance(values[key], kind), f"{key} must be {rule}", values[key])
    space = {name: dimension(name, node) for name, node in values["space"].items()}
    _refuse_two_of_a_key(space)
    named, networks, factors, baseline = crossed(*_compared(values))
    rule = "match must be parameters or width with networks other than the reader"
    require(values["match"] != "both" or not networks, rule, values["match"])
    variants, same_width = matched(named, baseline, values["match"], {})
    tasks, levels = task_nodes(values["tasks"])
    model, training = Model(**values["model"]), Training(**values["training"])
    others = [(variants[label], node) for label, node in networks.items()]
    tasks = {label: checked_task(node, model, training, others) for label, node in tasks.items()}
    allow([values["initialisation"]["_target_"]])
    return Design(
        name=values["name"],
        baseline=baseline,
        variants=variants,
        factors=factors,
        networks=networks,
        tasks=tasks,
        points=values["points"],
        levels=levels,
        match=values["match"],
        same_width=same_width,
        space=space,
        initialisation=values["initialisation"],
        model=model,
        training=training,
        seed=values["seed"],
        sampler=values["sampler"],
        pruner=values["pruner"],
    )


def _compared(values: Mapping[str, Any]) -> tuple[Mapping[str, Node], Any, Factors | None, str]:
    """Return the variants of a study by their labels, its networks, its factors if it has some, and its baseline."""
    if not values["factors"]:
        for key, usual in (("fraction", 1), ("impossible", "refuse")):
            require(values[key] == usual, f"{key} is read with factors only", values[key])
        return variant_nodes(values["variants"]), values["networks"], None, values["baseline"]
    require(values["match"] != "both", "match must be parameters or width with factors", values["match"])
    factors, fraction, impossible = (values[key] for key in ("factors", "fraction", "impossible"))
    variants, found, baseline = factorial(values["variants"], factors, fraction, impossible, values["baseline"])
    return variants, values["networks"], found, baseline


def _refuse_regularisation(search: Search) -> None:
    """Raise ValueError if the model is regularised, at least at the upper end of the space, and a variant cannot be."""
    design = search.design
    largest = {name: dimension.value(1.0 - 1e-12) for name, dimension in design.space.items()}
    for task, variant in design.pairs[: len(design.variants)]:  # those of the first task
        trial = search.trial(task, variant, 0, largest)
        if trial.model.regularised:
            untrained(trial)


def _check_part(part: Part, config: DictConfig, design: Design) -> None:
    """Raise ValueError for a part of a study that cannot be divided, or that would have no trial."""
    if part.whole:
        return
    rule = "part needs points that are fixed before the study (sampler random or sobol, pruner none)"
    require(design.comparison, rule, f"sampler={design.sampler}, pruner={design.pruner}")
    if config.stage == "search":
        points = counted(design.points, "point")
        require(part.of <= design.points, f"part: a study of {points} has at most as many parts", config.part)


def _refuse_two_of_a_key(space: Mapping[str, Dimension]) -> None:
    """Raise ValueError if two hyperparameters set the same option, as only one of them would have an effect."""
    names: dict[str, str] = {}
    for name, found in space.items():
        other = names.setdefault(found.key, name)
        rule = f"space.{name}.key must be another one than that of space.{other}; ~space.{other} takes that one out"
        require(other == name, rule, found.key)


def refuse_idle_in_study(config: DictConfig, design: Design, asked: Mapping[str, str]) -> None:
    """Raise ValueError for an argument of a study that has no effect.

    Such an argument is read at another stage only, sets what the study searches, or changes nothing.

    asked: the arguments by the keys that they set, see `by_key`.
    """
    searched = {dimension.key: name for name, dimension in design.space.items()}
    for key, argument in asked.items():
        part, _, name = key.partition(".")
        if part == "tasks" and name and _is_empty_mapping(name, argument):
            merged = f"it is merged into the knobs of {name}"
            raise ValueError(f"{argument}: an empty mapping changes nothing, since {merged}")
        if key in ACTIONS_THAT_READ and config.action not in ACTIONS_THAT_READ[key]:
            actions = " and ".join(f"action={action}" for action in ACTIONS_THAT_READ[key])
            raise ValueError(f"{argument}: is read with {actions} only, got action={config.action}")
        if part in KINDS and part != config.stage:
            raise ValueError(f"{argument}: is read with stage={part} only, got stage={config.stage}")
        if key in searched:
            place = f"space.{searched[key]}"
            raise ValueError(f"{argument}: the study searches it in {place}; ~{place} takes it out of the search")
    if "worker" in asked and "workers" in asked:
        rule = "is not read where a launcher starts the workers"
        raise ValueError(f"{asked['workers']}: {rule}, got {asked['worker']}")


def _is_empty_mapping(name: str, argument: str) -> bool:
    """Return True if an argument such as `tasks={adding: {}}` gives a task that exists no knobs."""
    return not argument.startswith("+") and bool(re.search(rf"\b{re.escape(name)}: *{{ *}}", argument))
