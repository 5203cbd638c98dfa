"""Trained networks as safetensors files, which say what they are and are loaded by one call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..files import write_whole
from ..networks.building import untrained
from ..networks.network import NetworkModule
from .trial import Outcome, Trial

FORMAT = "lstm-variants model 1"


def save_model(path: Path, network: NetworkModule, trial: Trial, outcome: Outcome, about: Mapping[str, Any]) -> None:
    """Write the parameters of a trained network, each under its name in the network, and what they belong to.

    path: of the file, which is replaced at once or not at all; its folder is created where absent.
    network: whose parameters are written.
    trial: that it is of, with which `load_model` builds it again.
    outcome: of the training.
    about: versions, commit and the like, as plain values.

    The last three stand in the file's metadata, as JSON text under their names, beside `format`.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().clone() for name, value in network.named_parameters()}
    plain = {"trial": trial.as_dict(), "outcome": outcome.as_dict(), "about": dict(about)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(tensors, {"format": FORMAT, **{key: json.dumps(value) for key, value in plain.items()}}))


def load_model(path: str | Path) -> tuple[NetworkModule, Trial]:
    """Return the trained network in a file of weights, ready to evaluate, and the trial that trained it.

    path: of a file that `python -m runs.inside study=...` or `save_model` has written.

    Its outputs are those of the network that was saved, to the last bit on the same machine. Nothing is unpickled or
    imported: a variant or a task from outside the suite is found where you have imported it, or have allowed it by
    LSTM_VARIANTS_CLASSES in the environment.

    Returns the network, which takes a `tasks.Batch` and gives the answers [K, B, O]; its `recurrent` is the layer. And
    the trial, plain values that say all about the training.

    Raises ValueError where the file is not one of ours, does not fit its configuration, or names a class that is not
    found.

    >>> from runs import load_model
    >>> network, trial = load_model("results/quick/models/adding/gru.safetensors")
    >>> trial.variant["label"], trial.task["label"], network.training
    ('gru', 'adding', False)
    >>> outputs, state = network.recurrent(torch.zeros(7, 3, 2))  # inputs [T, B, I]
    """
    from safetensors.torch import load_file

    try:
        trial = Trial.from_dict(read_about(path)["trial"])
        network, _ = untrained(trial)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: its trial cannot be read: {type(error).__name__}: {error}") from None
    tensors, parameters = load_file(path), dict(network.named_parameters())
    stored, wanted = ({name: value.shape for name, value in found.items()} for found in (tensors, parameters))
    if stored != wanted:
        odd = sorted(name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name))
        raise ValueError(f"{path}: the weights do not fit the configuration stored with them: {', '.join(odd[:5])}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    return network.eval(), trial


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a file of weights says of itself: `trial`, `outcome` and `about` as plain values.

    path: of the file.

    Raises ValueError where there is no such file or it is not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a file of weights (safetensors): {error}") from None
    if found.get("format") != FORMAT:
        raise ValueError(f"{path} is not a model of this suite: its format is {found.get('format')!r}, not {FORMAT!r}")
    try:
        return {key: json.loads(found[key]) for key in ("trial", "outcome", "about")}
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a model of this suite: {type(error).__name__}: {error}") from None
