"""Engines that run a declared cell over a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from ..cell import Cell
from . import eager, fused
from .inputs import Engine, Inputs, Request, select_steps
from .training import Blocks, Parameters, Session

ENGINES = ("auto", "eager", "fused")

__all__ = [
    "ENGINES",
    "Blocks",
    "Engine",
    "Inputs",
    "Parameters",
    "Request",
    "Session",
    "choose",
    "eager",
    "select_steps",
    "unserved",
]


def choose(engine: str, cell: Cell, layers: Sequence[Cell] = ()) -> tuple[str, str, Engine]:
    """Return the engine of a cell: its name, why it is eager where something faster was wanted, and its `run` function.

    engine: "auto" is fused where all layers can be traced, else eager; "eager" and "fused" are as they say.
    cell: the declared cell.
    layers: the cell as it stands in each layer, by default in the two lowest. Each is traced at every call of this
        function, so that a formula that has been edited since is the one that runs.

    Raises ValueError for another name, and for "fused" where a layer cannot be traced.
    """
    if engine not in ENGINES:
        raise ValueError(f"{cell.title}: engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "eager":
        return "eager", "", eager.run
    reason = fused.why_not(cell, layers)
    if not reason:
        return "fused", "", fused.run
    if engine == "fused":
        raise ValueError(f"{cell.title}: cannot be fused: {reason}")
    return "eager", reason, eager.run


def unserved(tensors: Iterable[Tensor], *, projected: bool) -> str:
    """Return which kind of tensor keeps the fused engine from serving a call, empty if none does.

    tensors: inputs, parameters, state. projected: whether a product stands before the lowest layer, which autocast
    makes in another type.
    """
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            return f"a {type(tensor).__name__}"
        if tensor.dtype is not torch.float32:
            return str(tensor.dtype)
        if not tensor.is_cpu:
            return f"the device {tensor.device.type}"
    if projected and torch.is_autocast_enabled("cpu"):
        return "autocast"
    return ""
