"""Recurrent networks without gates: the controls that every gate has to beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn, relu, tanh

from ..cell import Cell, Values
from .gru import HiddenState


class RNN(Cell[HiddenState], name="rnn"):
    """Simple recurrent network.

        h = tanh(W_h x + R_h h' + b_h)

    `x` [B, I] is the input, `h` [B, H] the output. Elman used the logistic function; tanh has become usual.
    Parameters: H(I+H+1).
    """

    State = HiddenState
    gates = ("h",)
    source = "Elman 1990, 'Finding Structure in Time'"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return HiddenState(h=self.activation(a.h))

    def activation(self, v: Tensor) -> Tensor:
        return tanh(v)


class IRNN(RNN, name="irnn"):
    """Simple recurrent network of rectified linear units that starts as an accumulator.

        h = relu(W_h x + R_h h' + b_h),  at the start R_h = identity, b_h = 0

    Differs from `rnn` in the activation and in how it starts, whichever initialisation is chosen. Parameters: H(I+H+1).
    """

    source = "Le, Jaitly & Hinton 2015, 'A Simple Way to Initialize Recurrent Networks of Rectified Linear Units'"

    def activation(self, v: Tensor) -> Tensor:
        return relu(v)

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        nn.init.eye_(blocks["R_h"])
        nn.init.zeros_(blocks["b_h"])
