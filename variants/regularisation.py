"""Random masks that regularise a recurrent layer, drawn from an explicit generator.

Three kinds, usable on every cell: dropout between layers, a fresh mask at every step (Zaremba et al. 2014); recurrent dropout on what the
recurrent matrices see, one mask for a whole sequence (Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
Recurrent Neural Networks", section 4); zoneout, where a unit keeps its previous value with some probability, and the expectation of
that at evaluation (Krueger et al. 2017, "Zoneout", section 3).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .cell import Cell


def bernoulli(probability: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Ones with the given probability, else zeros, in the dtype and on the device of `like`, drawn on the generator's device."""
    drawn = torch.rand(shape, generator=generator, device=generator.device) < probability
    return drawn.to(like.device, like.dtype)


def dropout_mask(rate: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """0 with probability `rate`, else 1 / (1 - rate), so that the expectation is 1."""
    return bernoulli(1.0 - rate, shape, like, generator) / (1.0 - rate)


def check_rate(cell: Cell, option: str, rate: float) -> float:
    """The rate, or ValueError where it is no probability below 1."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{cell.name}: {option} must be in [0, 1), got {rate}")
    return rate


def zoneout_rates(cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """Rate of zoneout by field of the state, where it is not 0; one number stands for every field that remembers."""
    allowed = cell.State._fields if cell.remembers is None else tuple(cell.remembers)
    rates = dict(zoneout) if isinstance(zoneout, Mapping) else dict.fromkeys(allowed, zoneout)
    for field, rate in rates.items():
        if field not in allowed:
            raise ValueError(f"{cell.name}: zoneout must be on a field that remembers ({', '.join(allowed)}), got {field!r}")
        check_rate(cell, f"zoneout of {field}", rate)
    return {field: rate for field, rate in rates.items() if rate > 0.0}
