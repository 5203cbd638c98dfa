"""A simple recurrent network with slow context units beside it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, sigmoid

from ..cell import Cell, Gate, Values, feed


class ContextState(NamedTuple):
    """State of a network with context units: hidden units `h` and context units `c`, each [B, H]."""

    h: Tensor
    c: Tensor


class SCRN(Cell[ContextState], name="scrn"):
    """Structurally constrained recurrent network: context units that change slowly, at a fixed rate.

        c = alpha*c' + (1-alpha)*(W_c x)
        h = s(W_h x + R_h h' + R_h_context c + b_h)

    `x` [B, I], `h`, `c` [B, H]; the output is h and c beside each other, [B, 2H], since the paper's answer U h + V c
    reads both. The paper writes s for c, has no bias, and lets the number of context units differ from that of hidden
    units. Differs from `rnn` in c, which no gate controls. alpha is not learned.

    alpha: share of the context that is kept at each step, from 0 to 1.

    Parameters: H(2I+2H+1).
    """

    State = ContextState
    shows = ("h", "c")
    gates = (Gate("c", bias=False), Gate("h", hears=("h", "context")))
    source = "Mikolov, Joulin, Chopra, Mathieu & Ranzato 2015, 'Learning Longer Memory in Recurrent Neural Networks'"

    def __init__(self, *, alpha: float = 0.95) -> None:
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"{self.name}: alpha must be from 0 to 1, got {alpha}")
        self.alpha = alpha

    @feed
    def context(self, a: Values, s: ContextState, p: Values) -> Tensor:
        return self.alpha * s.c + (1.0 - self.alpha) * a.c

    def step(self, a: Values, s: ContextState, p: Values) -> ContextState:
        return ContextState(h=sigmoid(a.h), c=self.context(a, s, p))
