"""The cell that a search over architectures by reinforcement learning has found."""

from __future__ import annotations

from torch import relu, sigmoid, tanh

from ..cell import Cell, Gate, Values
from .lstm import LSTMState


class NAS(Cell[LSTMState], name="nas"):
    """The recurrent cell of neural architecture search.

        v_k = W_k x + R_k y' + b_k  for k = 1, 2, 3, 5, 6, 7, 8
        v_4 = (W_k4 x)*(R_m4 y' + b_m4)
        c = tanh(tanh(s(v_1)*relu(v_2)) + c')*tanh(s(v_3) + relu(v_4))
        r = tanh(tanh(tanh(v_5)*s(v_6)) + s(tanh(v_7) + s(v_8)))
        y = tanh(c*r)

    `x` [B, I], `y`, `c` [B, H]. The cell of the paper's figure in the form of its authors' code, TensorFlow's
    `NASCell`, in which v_4 is a product. Differs from `vanilla` in nearly all; nothing is a forget gate: c' goes
    through tanh at every step. Parameters: 8H(I+H+1).
    """

    State = LSTMState
    gates = ("v1", "v2", "v3", Gate("m4", hears=("y",), input=False), "v5", "v6", "v7", "v8", Gate("k4", bias=False))
    source = "Zoph & Le 2017, 'Neural Architecture Search with Reinforcement Learning'; TensorFlow's NASCell"

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        written = tanh(sigmoid(a.v1) * relu(a.v2))
        c = tanh(written + s.c) * tanh(sigmoid(a.v3) + relu(a.k4 * a.m4))
        read = tanh(tanh(a.v5) * sigmoid(a.v6)) + sigmoid(tanh(a.v7) + sigmoid(a.v8))
        return LSTMState(y=tanh(c * tanh(read)), c=c)
