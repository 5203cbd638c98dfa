"""Random masks that regularise a recurrent layer, drawn from an explicit generator.

Three kinds, usable on every cell: dropout between layers, a fresh mask at every step (Zaremba et al. 2014); recurrent
dropout on what the recurrent matrices see, one mask for a whole sequence (Gal & Ghahramani 2016, "A Theoretically
Grounded Application of Dropout in Recurrent Neural Networks", section 4); zoneout, where a unit keeps its previous
value with some probability, and the expectation of that at evaluation (Krueger et al. 2017, "Zoneout", section 3).
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ..cell import Cell

REMEMBERED = 1024
"""For how many calls inside a checkpoint the masks can be drawn again; each takes 5 kB."""


def bernoulli(probability: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Ones with the given probability, else zeros, in the dtype and on the device of `like`, drawn on the generator's
    device.
    """
    drawn = torch.rand(shape, generator=generator, device=generator.device) < probability
    return drawn.to(like.device, like.dtype)


def dropout_mask(rate: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """0 with probability `rate`, else 1 / (1 - rate), so that the expectation is 1."""
    return bernoulli(1.0 - rate, shape, like, generator) / (1.0 - rate)


def check_rate(cell: Cell, option: str, rate: float) -> float:
    """The rate, or ValueError where it is no probability below 1."""
    if not isinstance(rate, Real) or isinstance(rate, bool) or not 0.0 <= rate < 1.0:
        raise ValueError(f"{cell.title}: {option} must be in [0, 1), got {rate!r}")
    return float(rate)


def zoneout_rates(cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """Rate of zoneout by field of the state, where it is not 0; one number stands for every field that remembers."""
    allowed = cell.State._fields if cell.remembers is None else tuple(cell.remembers)
    rates = dict(zoneout) if isinstance(zoneout, Mapping) else dict.fromkeys(allowed, zoneout)
    for field, rate in rates.items():
        if field not in allowed:
            raise ValueError(
                f"{cell.title}: zoneout must be on a field that remembers ({', '.join(allowed)}), got {field!r}"
            )
        rates[field] = check_rate(cell, f"zoneout of {field}", rate)
    return {field: rate for field, rate in rates.items() if rate > 0.0}


class Replay:
    """Draws the masks of a call again where `torch.utils.checkpoint` repeats the call in the backward pass.

    A checkpoint keeps nothing of its first run but the inputs, and restores the state of torch's global generator only.
    So the state of the module's own generator is remembered for each first run, by the inputs of the call.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[int, int, bool], tuple[weakref.ref[Tensor], Tensor | None]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"_states": OrderedDict()}  # a copy of a module has no first run behind it

    def generator(self, cell: Cell, own: torch.Generator, inputs: Tensor) -> torch.Generator:
        """The generator for the masks of this call: the module's own, or one that repeats what it drew.

        Raises ValueError where a repeated call cannot be told from others.
        """
        # also while a checkpoint repeats a call
        hooked = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        first = torch._C._current_graph_task_id() == -1  # no backward pass is running
        if first and not hooked and torch.is_grad_enabled():
            return own
        key = (inputs.data_ptr(), 0 if inputs.is_inference() else inputs._version, hooked)
        if first:
            self._remember(key, inputs, own)
            return own
        _, state = self._states.pop(key, (None, None))
        if state is None:
            raise ValueError(
                f"{cell.title}: the inputs of a call that torch.utils.checkpoint repeats must have been "
                "given to one call only, so that "
                "the same masks can be drawn, got inputs of no call or of several; give each call its "
                "own copy of the inputs"
            )
        again = torch.Generator(own.device)
        again.set_state(state)
        return again

    def _remember(self, key: tuple[int, int, bool], inputs: Tensor, own: torch.Generator) -> None:
        before, _ = self._states.pop(key, (None, None))
        shared = before is not None and before() is inputs
        self._states[key] = weakref.ref(inputs), None if shared else own.get_state()
        if len(self._states) > REMEMBERED:
            self._states.popitem(last=False)
