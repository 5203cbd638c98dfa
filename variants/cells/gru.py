"""Gated recurrent units: the forms that must not be mixed up."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values, feed


class HiddenState(NamedTuple):
    """State of a unit that has nothing but its output: `h` [B, H]."""

    h: Tensor


class GRU(Keeping, Cell[HiddenState], name="gru"):
    """Gated recurrent unit, the reset gate applied before the recurrent product.

        r = s(W_r x + R_r h' + b_r)
        u = s(W_u x + R_u h' + b_u)
        n = tanh(W_n x + R_n (r*h') + b_n)
        h = u*h' + (1-u)*n

    `x` [B, I], `h` [B, H]. Olah's post writes (1-z)*h' + z*n: the same model with u = 1 - z. cuDNN, `torch.nn.GRU` and
    Keras apply r after the product: another model, `gru_reset_after`.
    Parameters: 3H(I+H+1).
    """

    State = HiddenState
    gates = ("r", "u", Gate("n", hears=("reset_h",)))
    keeps = ("u", 1)
    source = "Cho et al. 2014, 'Learning Phrase Representations using RNN Encoder-Decoder', eq. 5-8"

    @feed
    def reset_h(self, a: Values, s: HiddenState, p: Values) -> Tensor:
        return sigmoid(a.r) * s.h

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        u = sigmoid(a.u)
        n = tanh(a.n)
        return HiddenState(h=u * s.h + (1.0 - u) * n)


class GRUResetAfter(Keeping, Cell[HiddenState], name="gru_reset_after"):
    """Gated recurrent unit, the reset gate applied after the recurrent product.

        r = s(W_r x + R_r h' + b_r)
        u = s(W_u x + R_u h' + b_u)
        m = R_m h' + b_m
        n = tanh(W_n x + b_n + r*m)
        h = u*h' + (1-u)*n

    `x` [B, I], `h` [B, H]. Differs from `gru` in n: all recurrent products see h' and can be made at once, and the
    candidate has a second bias inside the reset. The model of cuDNN, Keras and, with two redundant biases,
    `torch.nn.GRU`. Parameters: 3H(I+H+1) + H.
    """

    State = HiddenState
    gates = ("r", "u", Gate("m", hears=("h",), input=False), Gate("n"))
    keeps = ("u", 1)
    source = "Cho et al. 2014, 'Learning Phrase Representations using RNN Encoder-Decoder', v1; cuDNN"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        r = sigmoid(a.r)
        u = sigmoid(a.u)
        n = tanh(a.n + r * a.m)
        return HiddenState(h=u * s.h + (1.0 - u) * n)
