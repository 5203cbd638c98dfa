"""An LSTM whose recurrent matrices depend on the input."""

from __future__ import annotations

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values, feed
from .lstm import LSTMState


class MultiplicativeLSTM(Keeping, Cell[LSTMState], name="multiplicative_lstm"):
    """Multiplicative LSTM: gates hear a product of the input and the previous output.

        m = (W_m x)*(R_k y')
        z = tanh(W_z x + R_z m + b_z)
        i = s(W_i x + R_i m + b_i)
        f = s(W_f x + R_f m + b_f)
        o = s(W_o x + R_o m + b_o)
        c = f*c' + i*z
        y = o*tanh(c)

    `x` [B, I], `y`, `c`, `m` [B, H]. Differs from `vanilla` in that m stands in the place of y', so that each input has
    recurrent weights of its own. The paper writes h for y and no biases.
    Parameters: 4H(I+H+1) + H(I+H).
    """

    State = LSTMState
    gates = (
        Gate("m", bias=False),
        Gate("k", hears=("y",), input=False, bias=False),
        *(Gate(gate, hears=("product",)) for gate in "zifo"),
    )
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "Krause, Lu, Murray & Renals 2016, 'Multiplicative LSTM for sequence modelling'"

    @feed
    def product(self, a: Values, s: LSTMState, p: Values) -> Tensor:
        return a.m * a.k

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        c = sigmoid(a.f) * s.c + sigmoid(a.i) * tanh(a.z)
        return LSTMState(y=sigmoid(a.o) * tanh(c), c=c)
