"""Recurrent units whose memory is a gated sum of inputs."""

from __future__ import annotations

from torch import sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values
from .gru import HiddenState
from .lstm import LSTMState


class RAN(Keeping, Cell[LSTMState], name="ran"):
    """Recurrent additive network: an LSTM whose cell is a weighted sum of linear maps of the inputs.

        z = W_z x
        i = s(W_i x + R_i y' + b_i)
        f = s(W_f x + R_f y' + b_f)
        c = f*c' + i*z
        y = tanh(c)

    `x` [B, I], `y`, `c` [B, H]. Differs from `vanilla` in z, which is neither squashed nor hears y', and in that there
    is no output gate. The paper writes h for y. Parameters: 2H(I+H+1) + HI.
    """

    State = LSTMState
    gates = (Gate("z", bias=False), "i", "f")
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "Lee, Levy & Zettlemoyer 2017, 'Recurrent Additive Networks'"

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        c = sigmoid(a.f) * s.c + sigmoid(a.i) * a.z
        return LSTMState(y=tanh(c), c=c)


class CFN(Keeping, Cell[HiddenState], name="cfn"):
    """Chaos-free network: without input its state falls to 0 from any start.

        f = s(W_f x + R_f h' + b_f)
        i = s(W_i x + R_i h' + b_i)
        h = f*tanh(h') + i*tanh(W_n x)

    `x` [B, I], `h` [B, H]. The paper writes theta for f and eta for i. Differs from `ran` in where tanh stands: around
    what is kept and around the input. Parameters: 2H(I+H+1) + HI.
    """

    State = HiddenState
    gates = ("f", "i", Gate("n", bias=False))
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "Laurent & von Brecht 2017, 'A recurrent neural network without chaos'"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return HiddenState(h=sigmoid(a.f) * tanh(s.h) + sigmoid(a.i) * tanh(a.n))
