"""Random masks that regularise a recurrent layer, drawn from an explicit generator.

There are three kinds, and every cell can have them.

- Dropout between layers: a fresh mask at every step. (Zaremba et al. 2014, "Recurrent Neural Network Regularization")
- Recurrent dropout on the vectors that the recurrent matrices are multiplied with: one mask for a whole sequence. (Gal
  & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", section 4)
- Zoneout: a unit keeps its previous value with some probability. At evaluation the expectation takes its place.
  (Krueger et al. 2017, "Zoneout", section 3)
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from numbers import Real

import torch
from torch import Tensor

from ..cell import Cell

REMEMBERED = 1024
"""The number of calls inside checkpoints whose masks can be drawn a second time; each takes 5 kB of memory."""


def bernoulli(probability: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a mask of ones and zeros.

    probability: of a one.
    shape: of the mask.
    like: a tensor of the wanted type and device.
    generator: where the random numbers come from; they are drawn on its device.

    Returns the mask.

    >>> generator = torch.Generator().manual_seed(0)
    >>> bernoulli(1.0, (3,), torch.empty(0), generator)
    tensor([1., 1., 1.])
    """
    drawn = torch.rand(shape, generator=generator, device=generator.device) < probability
    return drawn.to(like.device, like.dtype)


def dropout_mask(rate: float, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a mask of dropout, whose expectation is 1.

    rate: the probability of a 0; all other values are 1 / (1 - rate).
    shape: of the mask.
    like: a tensor of the wanted type and device.
    generator: where the random numbers come from.

    Returns the mask.

    >>> generator = torch.Generator().manual_seed(0)
    >>> dropout_mask(0.5, (1000,), torch.empty(0), generator).unique()
    tensor([0., 2.])
    """
    return bernoulli(1.0 - rate, shape, like, generator) / (1.0 - rate)


def check_rate(cell: Cell, option: str, rate: float) -> float:
    """Check the rate of a regulariser.

    cell: for its name in messages.
    option: the name of the option that was given.
    rate: what was given.

    Returns the rate.
    Raises ValueError where it is not in [0, 1).
    """
    if not isinstance(rate, Real) or isinstance(rate, bool) or not 0.0 <= rate < 1.0:
        raise ValueError(f"{cell.title}: {option} must be in [0, 1), got {rate!r}")
    return float(rate)


def zoneout_rates(cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """Find the rate of zoneout for each field of the state.

    cell: its `remembers` says which fields can have zoneout.
    zoneout: one rate for all these fields, or rates by field.

    Returns the rates by field, without those that are 0.
    Raises ValueError for another field or a rate that is not in [0, 1).

    >>> from variants import Vanilla
    >>> zoneout_rates(Vanilla(), 0.1), zoneout_rates(Vanilla(), {"c": 0.5})
    ({'y': 0.1, 'c': 0.1}, {'c': 0.5})
    """
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
    """Draws the same masks a second time where `torch.utils.checkpoint` repeats a call in the backward pass.

    A checkpoint keeps the inputs of the first run only, and restores the state of torch's global generator only. So
    this class stores the state of the module's own generator at each first run, and finds it by the inputs.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[int, int, bool], tuple[weakref.ref[Tensor], Tensor | None]] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {"_states": OrderedDict()}  # a copy of a module has no first run behind it

    def generator(self, cell: Cell, own: torch.Generator, inputs: Tensor) -> torch.Generator:
        """Choose the generator for the masks of a call.

        cell: for its name in messages.
        own: the generator of the module.
        inputs: of the call, as the caller gave them.

        Returns the module's own generator; for a call that a checkpoint repeats, one that draws the same numbers again.
        Raises ValueError for a repeated call whose inputs were given to several calls, or to none.
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
