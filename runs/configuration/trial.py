"""The trial that a composed configuration describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from tasks import DataTask, Task
from tasks.contract import try_out
from variants import Cell, Scheme

from ..names import checked_name
from ..networks.building import network_of, refuse_criterion, untrained
from ..networks.network import Setting, refuse_foresight
from ..study.design import Node
from ..trial.classes import allow, construct
from ..trial.data import sized
from ..trial.trial import Model, Training, Trial
from .checks import by_key, refuse_idle, refuse_unread
from .knobs import GROUPS, for_its_class
from .schema import TrialConfig, plain


def trial_from(config: DictConfig, choices: Mapping[str, str] | None = None, overrides: Sequence[str] = ()) -> Trial:
    """Return the trial that a composed configuration describes.

    config: composed from `conf/trial.yaml`.
    choices: the choice that was taken of each group.
    overrides: the arguments that the configuration was composed from.

    Raises ValueError for a value out of range, for a key that is not read, and for an argument without effect.
    """
    refuse_unread(config, TrialConfig)
    values = plain(config)
    asked = by_key(overrides)
    chosen = choices or {}
    nodes = {group: for_its_class(group, values[group], chosen.get(group), asked) for group in GROUPS}
    trial = Trial(
        **nodes,
        model=Model(**values["model"]),
        training=Training(**values["training"]),
        seed=values["seed"],
        data_seed=values["data_seed"],
    )
    trial = checked(trial)
    refuse_idle(config, asked)
    return trial


def checked_task(
    node: Mapping[str, Any], model: Model, training: Training, networks: Iterable[tuple[Node, Node]] = ()
) -> dict[str, Any]:
    """Build a task once, so that a mistake is found before anything is started.

    node: of the task.
    model, training: what it is to be learned by.
    networks: nodes of a variant and of the network around it, which must fit the task; without any, the reader must.

    Returns the node, which names the fingerprint of the data where the task has data.
    Raises ValueError where the task cannot be built, breaks the contract, or cannot be learned in this way.
    """
    task = construct(node, Task)
    try_out(task)
    refuse_foresight(task, model)
    for variant, network in networks:
        declared = network_of(network)
        declared.refuse(Setting(construct(variant, Cell), task, model))
        refuse_criterion(declared, training)
    sized(training, task)
    return {**node, "sha256": task.fingerprint} if isinstance(task, DataTask) else dict(node)


def checked(trial: Trial) -> Trial:
    """Build the parts of a trial once, so that a mistake is found before anything is started.

    Returns the trial, which names the fingerprint of its data where its task has data.
    Raises ValueError if a part cannot be built, if a label cannot be a name, and if the task breaks the contract of
    tasks. The classes that the trial names may be imported from now on.
    """
    allow(node["_target_"] for node in (trial.variant, trial.task, trial.initialisation, trial.network))
    for thing, node in (("variant", trial.variant), ("task", trial.task), ("network", trial.network)):
        checked_name(node["label"], f"{thing}.label")
    construct(trial.variant, Cell).validate(trial.model.hidden_size, trial.model.layers)
    task = checked_task(trial.task, trial.model, trial.training, [(trial.variant, trial.network)])
    construct(trial.initialisation, Scheme)
    if trial.model.regularised:  # not every variant can be
        untrained(trial)
    return replace(trial, task=task)
