"""A recurrent network whose units hear themselves only."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, relu

from ..cell import Cell, Gate, Values
from .gru import HiddenState


class IndRNN(Cell[HiddenState], name="indrnn"):
    """Independently recurrent network: each unit has one recurrent weight, to itself.

        h = relu(W_h x + p_h*h' + b_h),  at the start p_h = 1/H, 2/H, ..., 1

    `x` [B, I], `h` [B, H]. The paper writes u for p_h. Differs from `irnn` in that R_h is diagonal; units meet in the
    layer above only. At the start the weights are spread evenly over (0, 1], where the paper draws them, whichever
    initialisation is chosen, so that units forget at different rates. Parameters: H(I+2).
    """

    State = HiddenState
    gates = (Gate("h"),)
    vectors = ("p_h",)
    source = "Li et al. 2018, 'Independently Recurrent Neural Network (IndRNN)'"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return HiddenState(h=relu(a.h + p.p_h * s.h))

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        weights = blocks["p_h"]
        weights.copy_(torch.arange(1, len(weights) + 1) / len(weights))
