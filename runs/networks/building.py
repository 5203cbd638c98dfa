"""The network of a trial, built from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks import Task
from tasks.contract import check_task
from variants import Cell, Scheme, streams

from ..trial.classes import construct
from ..trial.trial import Training, Trial
from . import Network
from .network import Setting


def untrained(trial: Trial) -> tuple[Any, Task]:
    """Return the network of a trial as it stands before training, and its task.

    trial: says which cell, network, task, initialisation and options; its seed gives the parameters.

    Raises ValueError where the trial cannot be built.
    """
    task = construct(trial.task, Task)
    check_task(task)
    setting = Setting(construct(trial.variant, Cell), task, trial.model)
    network, scheme = network_of(trial.network), construct(trial.initialisation, Scheme)
    network.refuse(setting)
    return network.build(setting, scheme, streams(trial.seed, "initialisation")), task


def network_of(node: Mapping[str, Any]) -> Network:
    """Return the network that a configuration node describes.

    node: `_target_` and the knobs.
    """
    return construct(node, Network)


def refuse_criterion(network: Network, training: Training) -> None:
    """Raise ValueError where answers to training sequences shall decide, and a network gives no answers."""
    if not network.Module.answering and training.criterion == "training":
        rule = "training.criterion must be held_out, since the network gives no answers"
        raise ValueError(f"{network.name}: {rule}, got training")
