"""A small network before and after a training, and its page, for the tests of the walk."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from analysis.walk.data import Moment
from analysis.walk.interpreter import numbers
from analysis.walk.network import Trained, one_sequence, planned, trained_here
from analysis.walk.options import options_of
from tasks import Batch


def trained(*words: str) -> Trained:
    """Return the network that the words of the command ask for, after a few updates."""
    options = options_of(["training.budget=12", "training.evaluations=2", "training.evaluation_sequences=8", *words])
    assert options is not None
    return trained_here(planned(options), lambda step, loss: None)


def moments_of(found: Trained) -> tuple[list[Moment], Batch]:
    """Return the numbers of a network before and after its training, over the first test sequence."""
    batch, _ = one_sequence(found.task, found.trial, 0)
    networks = {"before training": found.before, "after training": found.after}
    return [Moment(name, numbers(network, found.task, batch)) for name, network in networks.items()], batch


def unpacked(data: dict[str, Any]) -> np.ndarray:
    """Return the numbers of a page's data: moments, rows, units, steps."""
    flat = np.frombuffer(base64.b64decode(data["numbers"]), dtype="<f4")
    return flat.reshape(len(data["moments"]), data["rows"], len(data["kept"]), data["steps"])
