"""The plan of a search for cells that a composed configuration describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig

from ..discovery.plan import CellPlan
from ..discovery.proposing import start_graphs
from ..rules import require, require_one_of
from ..study.design import Design
from ..study.plan import Search
from ..trial.classes import allow
from ..trial.trial import Model, Training
from .checks import by_key, refuse_unread
from .nodes import dimension, variant_nodes
from .schema import SEARCH_ACTIONS, DiscoverConfig, plain
from .series import task_nodes
from .trial import checked_task

BASELINE = "gru"
READ_BY = {"hash": "adopt", "path": "adopt", "best": "verdict", "verdict_points": "verdict"}
"""Arguments that only one action reads."""


def checked_search(config: DictConfig, overrides: Sequence[str]) -> CellPlan:
    """Return the plan of a configuration after all checks that need no storage.

    config: composed from `conf/discover.yaml`.
    overrides: the arguments that it was composed from.

    Raises ValueError for whatever is wrong in the configuration, and for a key that is not read.
    """
    refuse_unread(config, DiscoverConfig)
    require_one_of("action", config.action, SEARCH_ACTIONS)
    require(config.workers >= 1, "workers must be at least 1", config.workers)
    require(config.trial_seconds >= 0, "trial_seconds must be 0 (no limit) or more", config.trial_seconds)
    for key in ("megabytes", "best", "verdict_points"):
        require(config[key] >= 1, f"{key} must be at least 1", config[key])
    if not config.results:
        raise ValueError("results must name a folder, got ''")
    for key, argument in by_key(overrides).items():
        action = READ_BY.get(key, config.action)
        if action != config.action:
            raise ValueError(f"{argument}: is read with action={action} only, got action={config.action}")
    plan = plan_from(config)
    Search(plan.design)  # that its trials can be built
    start_graphs(plan)  # that its start can be said by equations
    return plan


def plan_from(config: DictConfig) -> CellPlan:
    """Return the plan that a composed configuration describes. Raises ValueError for whatever is wrong in it."""
    values = plain(config)
    for key, kind, rule in (
        ("start", list, "a list, as in [vanilla, mut1]"),
        ("tasks", dict, "names with knobs, as in {adding: {lag: 50}}"),
        ("budgets", dict, "updates by task, as in {adding: 400}"),
        ("space", dict, "hyperparameters with ranges"),
    ):
        require(isinstance(values[key], kind), f"{key} must be {rule}", values[key])
    require_one_of("toy", values["toy"], values["tasks"], "the tasks ")
    own = {f.name: values[f.name] for f in fields(CellPlan) if f.name not in ("design", "budgets")}
    return CellPlan(
        **own,
        design=_design(values),
        budgets={str(task): _whole(f"budgets.{task}", budget) for task, budget in values["budgets"].items()},
    )


def _design(values: Mapping[str, Any]) -> Design:
    """Return what a search has in common with a study: the GRU and the start as variants, tasks, space and training."""
    model, training = Model(**values["model"]), Training(**values["training"])
    nodes, levels = task_nodes(values["tasks"])
    require(not levels, "tasks of a search must have one lag each", ", ".join(levels))
    allow([values["initialisation"]["_target_"]])
    cells = [entry for entry in values["start"] if entry != BASELINE]
    return Design(
        name=values["name"],
        baseline=BASELINE,
        variants=variant_nodes([BASELINE, *cells]),
        tasks={label: checked_task(node, model, training) for label, node in nodes.items()},
        points=values["points"] * values["blocks"],
        space={name: dimension(name, node) for name, node in values["space"].items()},
        initialisation=values["initialisation"],
        model=model,
        training=training,
        seed=values["seed"],
    )


def _whole(key: str, value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    require(whole, f"{key} must be a whole number", value)
    return int(value)
