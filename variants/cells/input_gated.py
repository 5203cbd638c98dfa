"""Recurrent units without recurrent matrices, made so that all products of a sequence can be computed at once."""

from __future__ import annotations

from torch import sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values
from .gru import HiddenState
from .lstm import LSTMState


class StronglyTyped(Keeping, Cell[HiddenState], name="strongly_typed"):
    """Strongly typed recurrent network (T-RNN): a moving average of linear maps of the inputs.

        z = W_z x
        f = s(W_f x + b_f)
        h = f*h' + (1-f)*z

    `x` [B, I], `h` [B, H]. Differs from `ugrnn` in that neither z nor f hears the state, and z is not squashed.
    Parameters: H(2I+1).
    """

    State = HiddenState
    gates = (Gate("z", bias=False), Gate("f"))
    keeps = ("f", 1)
    source = "Balduzzi & Ghifary 2016, 'Strongly-Typed Recurrent Neural Networks', T-RNN"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        f = sigmoid(a.f)
        return HiddenState(h=f * s.h + (1.0 - f) * a.z)


class QRNN(Keeping, Cell[LSTMState], name="qrnn"):
    """Quasi-recurrent network with fo-pooling and a window of one step.

        z = tanh(W_z x + b_z)
        f = s(W_f x + b_f)
        o = s(W_o x + b_o)
        c = f*c' + (1-f)*z
        y = o*c

    `x` [B, I], `y`, `c` [B, H]. Differs from `coupled` in that no gate hears y', and in that there is no tanh behind
    the cell. The paper's W is a convolution over the last k inputs, of which this is k = 1, and it writes h for y and
    no biases. Parameters: 3H(I+1).
    """

    State = LSTMState
    gates = (Gate("z"), Gate("f"), Gate("o"))
    keeps = ("f", 1)
    source = "Bradbury, Merity, Xiong & Socher 2017, 'Quasi-Recurrent Neural Networks', fo-pooling, k = 1"

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        f = sigmoid(a.f)
        c = f * s.c + (1.0 - f) * tanh(a.z)
        return LSTMState(y=sigmoid(a.o) * c, c=c)


class SRU(Keeping, Cell[LSTMState], name="sru"):
    """Simple recurrent unit: gates that see the cell through vectors, and a way for the input past the cell.

        z = W_z x
        f = s(W_f x + p_f*c' + b_f)
        c = f*c' + (1-f)*z
        r = s(W_r x + p_r*c' + b_r)
        y = r*c + (1-r)*(W_y x)

    `x` [B, I], `y`, `c` [B, H]. Differs from `qrnn` in p_f and p_r, in z, which is not squashed, and in what fills y
    where r is shut. The paper writes x for W_y x, which needs I = H, and v for p. Parameters: 4HI + 4H.
    """

    State = LSTMState
    gates = (Gate("z", bias=False), Gate("f"), Gate("r"), Gate("y", bias=False))
    vectors = ("p_f", "p_r")
    keeps = ("f", 1)
    source = "Lei et al. 2018, 'Simple Recurrent Units for Highly Parallelizable Recurrence'"

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        f = sigmoid(a.f + p.p_f * s.c)
        c = f * s.c + (1.0 - f) * a.z
        r = sigmoid(a.r + p.p_r * s.c)
        return LSTMState(y=r * c + (1.0 - r) * a.y, c=c)
