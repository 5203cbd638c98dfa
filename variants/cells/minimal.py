"""Recurrent units reduced to gates that see the input alone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, sigmoid, where
from torch.nn.functional import logsigmoid

from ..cell import Cell, Gate, Values
from .gru import HiddenState


class Minimal(Cell[HiddenState]):
    """What the minimal units have in common: a candidate that is not squashed.

    positive: whether the candidate n is made positive, by n + 1/2 where n >= 0 and s(n) elsewhere, as the paper's form
        in logarithms needs it.
    keep_bias: added at the start of training to the bias of the gate that keeps, so that more is kept.
    """

    State = HiddenState

    def __init__(self, *, positive: bool = False, keep_bias: float = 1.0) -> None:
        self.positive = positive
        self.keep_bias = keep_bias

    def candidate(self, n: Tensor) -> Tensor:
        return where(n >= 0.0, n + 0.5, sigmoid(n)) if self.positive else n


class MinGRU(Minimal, name="min_gru"):
    """minGRU: a GRU without reset whose gate and candidate see the input only.

        u = s(W_u x + b_u)
        n = W_n x + b_n
        h = (1-u)*h' + u*n

    `x` [B, I], `h` [B, H]. The paper writes z for u; u writes, the other way round than in `gru`. Differs from `gru` in
    that there are no recurrent matrices, no reset and no tanh. But for the bias b_n it is the model of `strongly_typed`
    with u and 1 - u exchanged. The paper's parallel scan is another order of the same sums; here time is a loop.
    Parameters: 2H(I+1).
    """

    gates = (Gate("u"), Gate("n"))
    keeps = ("u", -1)
    source = "Feng et al. 2024, 'Were RNNs All We Needed?', minGRU"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        u = sigmoid(a.u)
        return HiddenState(h=(1.0 - u) * s.h + u * self.candidate(a.n))


class MinLSTM(Minimal, name="min_lstm"):
    """minLSTM: an LSTM whose gates see the input only and share what they let through.

        f = s(W_f x + b_f)
        i = s(W_i x + b_i)
        n = W_n x + b_n
        h = f/(f+i)*h' + i/(f+i)*n

    `x` [B, I], `h` [B, H]. Differs from `min_gru` in its two gates, which are scaled to a sum of 1, and from `vanilla`
    in that there are no recurrent matrices, no output gate and no tanh. Parameters: 3H(I+1).
    """

    gates = (Gate("f"), Gate("i"), Gate("n"))
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "Feng et al. 2024, 'Were RNNs All We Needed?', minLSTM with gates of sum 1"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        # f/(f+i) from the logarithms, as the paper has it: both gates may be too small for a number.
        kept = sigmoid(logsigmoid(a.f) - logsigmoid(a.i))
        return HiddenState(h=kept * s.h + (1.0 - kept) * self.candidate(a.n))

    def kept(self, blocks: Mapping[str, Tensor]) -> Tensor | None:
        """Return f/(f+i) by the biases of both gates, [H]; None for gates without biases."""
        if "b_f" not in blocks:
            return None
        f, i = (sigmoid(blocks[name].detach()) for name in ("b_f", "b_i"))
        return f / (f + i)
