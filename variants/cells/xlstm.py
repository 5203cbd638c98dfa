"""The cells of the xLSTM: gates that grow exponentially, with a normaliser and a stabiliser."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, exp, maximum, sigmoid, tanh
from torch.nn.functional import logsigmoid

from ..cell import Cell, Values

LEAST = -60.0
"""The smallest exponent v - m, so that n is above 0 after the first step even where m is far above v."""


class NormalisedState(NamedTuple):
    """State of an sLSTM: output `y`, cell `c`, normaliser `n` and stabiliser `m`, each [B, H]."""

    y: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


class SLSTM(Cell[NormalisedState], name="slstm"):
    """sLSTM: an LSTM with an exponential input gate, whose cell is divided by the sum of its weights.

        z = tanh(W_z x + R_z y' + b_z)
        v = W_i x + R_i y' + b_i
        l = log(s(W_f x + R_f y' + b_f)) + m'
        o = s(W_o x + R_o y' + b_o)
        m = max(v, l)
        c = exp(l-m)*c' + exp(v-m)*z
        n = exp(l-m)*n' + exp(v-m)
        y = o*(c/n)

    `x` [B, I], `y`, `c`, `n`, `m` [B, H]. m only keeps numbers small: y does not depend on it, nor on where it starts.
    What is written has a weight of at least exp(-60), since a weight of 0 at the first step would make n 0.
    Differs from `vanilla` in the input gate exp(v), which can outweigh all that was written before, and in n in the
    place of tanh. The paper writes h for y and allows exp for s in the forget gate. Zoneout acts on y, since c, n and m
    belong together.

    heads: number of groups of units that hear only each other, so that every R is block-diagonal.
    keep_bias: added at the start of training to the bias of the forget gate, so that more is kept.

    Parameters: 4H(I+H/heads+1).
    """

    State = NormalisedState
    gates = ("z", "i", "f", "o")
    keeps = ("f", 1)
    writes = ("i", 1)
    remembers = ("y",)
    source = "Beck et al. 2024, 'xLSTM: Extended Long Short-Term Memory', sLSTM"

    def __init__(self, *, heads: int = 1, keep_bias: float = 1.0) -> None:
        if heads < 1:
            raise ValueError(f"{self.name}: heads must be at least 1, got {heads}")
        self.heads = heads
        self.keep_bias = keep_bias

    def step(self, a: Values, s: NormalisedState, p: Values) -> NormalisedState:
        kept = logsigmoid(a.f) + s.m
        m = maximum(a.i, kept)
        f, i = exp(kept - m), exp((a.i - m).clamp(min=LEAST))
        c = f * s.c + i * tanh(a.z)
        n = f * s.n + i
        return NormalisedState(y=sigmoid(a.o) * (c / n), c=c, n=n, m=m)
