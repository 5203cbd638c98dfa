"""Trained networks as safetensors files that say what they are and are loaded again by one call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..files import write_whole
from ..networks.readout import Network, untrained
from .trial import Outcome, Trial

FORMAT = "lstm-variants model 1"


def save_model(path: Path, network: Network, trial: Trial, outcome: Outcome, about: Mapping[str, Any]) -> None:
    """Write the parameters of a trained network, each under its name in the network, and what they belong to.

    The file's metadata: `format`, and as JSON `trial` (the resolved configuration), `outcome`, and `about` (versions,
    commit and the like). A file of this name is replaced at once or not at all.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().clone() for name, value in network.named_parameters()}
    plain = {"trial": trial.as_dict(), "outcome": outcome.as_dict(), "about": dict(about)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(tensors, {"format": FORMAT, **{key: json.dumps(value) for key, value in plain.items()}}))


def load_model(path: str | Path) -> tuple[Network, Trial]:
    """The trained network of a file written by `save_model`, ready to evaluate, and the trial that trained it.

    Its outputs are those of the network that was saved, to the last bit on the same machine. Nothing is unpickled or
    imported: a variant or task from outside the suite is found where you have imported it, or have allowed it by
    LSTM_VARIANTS_CLASSES in the environment. Raises ValueError where the file is not one of ours, does not fit its
    configuration, or names a class that is not found.
    """
    from safetensors.torch import load_file

    try:
        trial = Trial.from_dict(read_about(path)["trial"])
        network, _ = untrained(trial)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: its trial cannot be read: {type(error).__name__}: {error}") from None
    tensors, parameters = load_file(path), dict(network.named_parameters())
    shapes = [{name: tuple(value.shape) for name, value in values.items()} for values in (tensors, parameters)]
    if shapes[0] != shapes[1]:
        odd = sorted(name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name))
        raise ValueError(f"{path}: the weights do not fit the configuration stored with them: {', '.join(odd[:5])}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    return network.eval(), trial


def read_about(path: str | Path) -> dict[str, Any]:
    """What a file of weights says of itself, without its weights: `trial`, `outcome` and `about` as plain values.

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
