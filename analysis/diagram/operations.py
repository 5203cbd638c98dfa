"""What the operations of a traced graph compute, in torch and differentiable."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

from variants.engine.ir.graph import COMPARISONS, LOGIC

_OF_NUMBERS = (
    *("add", "sub", "mul", "div", "neg", "abs", "sqrt", "exp", "pow", "minimum", "maximum", "where"),
    *("floor", "ceil", "trunc", "round", "expm1", "log", "log2", "log10", "log1p", "erf", "atan", "sin", "cos"),
)
OPERATIONS = MappingProxyType[str, Callable[..., Tensor]](
    {name: getattr(torch, name) for name in (*_OF_NUMBERS, *COMPARISONS)}
    | {name: getattr(torch, f"logical_{name}") for name in LOGIC}
)
"""By name; `ROOTED` has the others."""
ROOTED = MappingProxyType[str, Callable[[Tensor], Tensor]]({"level": torch.sigmoid, "bounded": torch.tanh})
"""Functions that a kernel computes by way of another number, `ROOTS`, which the walk passes over."""
ROOTS = ("tail", "swing")
