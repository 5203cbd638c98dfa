"""What the operations of a traced graph compute, in torch and differentiable."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

OPERATIONS = MappingProxyType[str, Callable[..., Tensor]](
    {
        **{name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "exp", "pow")},
        **{name: getattr(torch, name) for name in ("floor", "ceil", "trunc", "round", "minimum", "maximum", "where")},
        **{name: getattr(torch, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
        **{name: getattr(torch, f"logical_{name}") for name in ("and", "or", "xor", "not")},
        **{name: getattr(torch, name) for name in ("expm1", "log", "log2", "log10", "log1p", "erf", "atan")},
        **{name: getattr(torch, name) for name in ("sin", "cos")},
    }
)
"""By name; `ROOTED` has the others."""
ROOTED = MappingProxyType[str, Callable[[Tensor], Tensor]]({"level": torch.sigmoid, "bounded": torch.tanh})
"""Functions that a kernel computes by way of another number, `ROOTS`, which the walk passes over."""
ROOTS = ("tail", "swing")
