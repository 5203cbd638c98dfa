"""Recurrent units with a single gate."""

from __future__ import annotations

from torch import Tensor, relu, sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values, feed
from .gru import HiddenState


class MGU(Keeping, Cell[HiddenState], name="mgu"):
    """Minimal gated unit: one gate that forgets and resets.

        f = s(W_f x + R_f h' + b_f)
        n = tanh(W_n x + R_n (f*h') + b_n)
        h = (1-f)*h' + f*n

    `x` [B, I], `h` [B, H]. A large f writes. Differs from `gru` in that one gate stands for the reset r and for 1 - u.
    Parameters: 2H(I+H+1).
    """

    State = HiddenState
    gates = ("f", Gate("n", hears=("reset_h",)))
    keeps = ("f", -1)
    source = "Zhou, Wu, Zhang & Zhou 2016, 'Minimal Gated Unit for Recurrent Neural Networks'"

    @feed
    def reset_h(self, a: Values, s: HiddenState, p: Values) -> Tensor:
        return sigmoid(a.f) * s.h

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        f = sigmoid(a.f)
        return HiddenState(h=(1.0 - f) * s.h + f * tanh(a.n))


class UGRNN(Keeping, Cell[HiddenState], name="ugrnn"):
    """Update gate network: a simple recurrent network with one gate that keeps.

        u = s(W_u x + R_u h' + b_u)
        n = tanh(W_n x + R_n h' + b_n)
        h = u*h' + (1-u)*n

    `x` [B, I], `h` [B, H]. The paper writes g for u and c for n. Differs from `gru` in that there is no reset gate.
    Parameters: 2H(I+H+1).
    """

    State = HiddenState
    gates = ("u", "n")
    keeps = ("u", 1)
    source = "Collins, Sohl-Dickstein & Sussillo 2017, 'Capacity and Trainability in Recurrent Neural Networks', UGRNN"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        u = sigmoid(a.u)
        return HiddenState(h=u * s.h + (1.0 - u) * self.candidate(a.n))

    def candidate(self, n: Tensor) -> Tensor:
        return tanh(n)


class LiGRU(UGRNN, name="li_gru"):
    """Light GRU: no reset gate, rectified candidate, here without batch normalisation.

        u = s(W_u x + R_u h' + b_u)
        n = relu(W_n x + R_n h' + b_n)
        h = u*h' + (1-u)*n

    Differs from `ugrnn` in relu. The paper writes z for u and normalises W_u x and W_n x over the batch, which bounds
    n; without it n can grow. Parameters: 2H(I+H+1).
    """

    source = "Ravanelli, Brakel, Omologo & Bengio 2018, 'Light Gated Recurrent Units for Speech Recognition'"

    def candidate(self, n: Tensor) -> Tensor:
        return relu(n)


class JANET(Cell[HiddenState], name="janet"):
    """JANET: an LSTM with nothing but the forget gate.

        f = s(W_f x + R_f h' + b_f)
        i = 1 - s(W_f x + R_f h' + b_f - beta)
        n = tanh(W_n x + R_n h' + b_n)
        h = f*h' + i*n

    `x` [B, I], `h` [B, H]. Differs from `coupled` in that there is no output gate and no tanh behind the cell, and from
    `ugrnn` in beta: with beta = 0 it is `ugrnn`. The paper starts b_f as `initialisation=chrono` does.

    beta: subtracted in the input gate, so that more is written than was forgotten.
    keep_bias: added at the start of training to the bias of the forget gate, so that more is kept.

    Parameters: 2H(I+H+1).
    """

    State = HiddenState
    gates = ("f", "n")
    keeps = ("f", 1)
    source = "van der Westhuizen & Lasenby 2018, 'The unreasonable effectiveness of the forget gate'"

    def __init__(self, *, beta: float = 1.0, keep_bias: float = 1.0) -> None:
        self.beta = beta
        self.keep_bias = keep_bias

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        f = sigmoid(a.f)
        i = 1.0 - sigmoid(a.f - self.beta)
        return HiddenState(h=f * s.h + i * tanh(a.n))


class STAR(Keeping, Cell[HiddenState], name="star"):
    """Stackable recurrent unit (STAR): one gate, and a candidate that does not hear the state.

        k = s(W_k x + R_k h' + b_k)
        z = tanh(W_z x + b_z)
        h = tanh((1-k)*h' + k*z)

    `x` [B, I], `h` [B, H]. k writes. Differs from `ugrnn` in z, which has no R, and in the tanh around the new state,
    which shrinks what is kept at every step. Parameters: 2H(I+1) + H^2.
    """

    State = HiddenState
    gates = ("k", Gate("z"))
    keeps = ("k", -1)
    source = "Turkoglu et al. 2021, 'Gating Revisited: Deep Multi-layer RNNs That Can Be Trained'"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        k = sigmoid(a.k)
        return HiddenState(h=tanh((1.0 - k) * s.h + k * tanh(a.z)))
