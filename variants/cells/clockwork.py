"""A simple recurrent network in groups of units that tick at different rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, tanh, where

from ..cell import Cell, Values


class ClockworkState(NamedTuple):
    """Output `h` and the number of steps `wait` until a unit's next update, each [B, H]."""

    h: Tensor
    wait: Tensor


class Clockwork(Cell[ClockworkState], name="clockwork"):
    """Clockwork RNN: groups of units that update every T_k steps and keep their value in between.

        h = tanh(W_h x + R_h h' + b_h)  where  t mod T_k = 0,  else  h = h'

    `x` [B, I], `h` [B, H]; H/g units in each of g groups with periods T_1 < ... < T_g; at t = 0 all update. R_h is
    block upper triangular: group k hears group j only if T_j >= T_k. Differs from `rnn` in the periods and this mask;
    with the single period 1 it is `rnn`. The state carries `wait`, the steps until a unit's next update, so that a
    sequence can be cut anywhere; it is no memory. All groups are computed at every step, so no time is saved here.

    periods: T_1 < ... < T_g, their number is the number of groups.

    Parameters: H(I+1) + H^2 (g+1)/(2g), what the mask hides in R_h not counted.
    """

    State = ClockworkState
    gates = ("h",)
    remembers = ("h",)
    source = "Koutnik, Greff, Gomez & Schmidhuber 2014, 'A Clockwork RNN', section 3"

    def __init__(self, *, periods: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)) -> None:
        self.periods = tuple(periods)
        if (
            not self.periods
            or self.periods[0] < 1
            or any(a >= b for a, b in zip(self.periods, self.periods[1:], strict=False))
        ):
            raise ValueError(f"{self.name}: periods must be at least 1 and increase, got {self.periods}")

    def validate(self, hidden_size: int, layers: int) -> None:
        super().validate(hidden_size, layers)
        groups = len(self.periods)
        if hidden_size % groups:
            raise ValueError(f"{self.name}: hidden_size must be divisible by its {groups} groups, got {hidden_size}")

    def constants(self, hidden_size: int) -> Mapping[str, Tensor]:
        periods = torch.tensor(self.periods, dtype=torch.get_default_dtype())
        return {"period": periods.repeat_interleave(hidden_size // len(self.periods))}

    def recurrent_mask(self, hidden_size: int) -> Tensor:
        period = self.constants(hidden_size)["period"]
        return (period.unsqueeze(0) >= period.unsqueeze(1)).to(period.dtype)

    def step(self, a: Values, s: ClockworkState, p: Values) -> ClockworkState:
        now = s.wait <= 0.5
        return ClockworkState(h=where(now, tanh(a.h), s.h), wait=where(now, p.period, s.wait) - 1.0)
