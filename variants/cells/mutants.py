"""The three best cells of an evolutionary search over recurrent architectures."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values, feed
from .gru import HiddenState


class Mut1(Keeping, Cell[HiddenState], name="mut1"):
    """Mutant 1: the update gate does not hear the state, and the input reaches the candidate squashed and without
    reset.

        u = s(W_u x + b_u)
        r = s(W_r x + R_r h' + b_r)
        n = tanh(R_n (r*h') + tanh(W_p x) + b_n)
        h = n*u + h'*(1-u)

    `x` [B, I], `h` [B, H]. The paper writes z for u and tanh(x) for tanh(W_p x), which needs I = H; a learned map W_p
    (P of other implementations) takes its place. Here u writes and 1 - u keeps, the other way round than in `gru`.
    Parameters: 3HI + 2H^2 + 3H.
    """

    State = HiddenState
    gates: Sequence[str | Gate] = (Gate("u"), "r", Gate("p", bias=False), Gate("n", hears=("reset_h",), input=False))
    keeps = ("u", -1)
    source = "Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures', MUT1"

    @feed
    def reset_h(self, a: Values, s: HiddenState, p: Values) -> Tensor:
        return sigmoid(a.r) * s.h

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return self.update(a, s, tanh(a.n + tanh(a.p)))

    def update(self, a: Values, s: HiddenState, n: Tensor) -> HiddenState:
        u = sigmoid(a.u)
        return HiddenState(h=n * u + s.h * (1.0 - u))


class Mut2(Mut1, name="mut2"):
    """Mutant 2: with a learned map of the reset gate's input, the model of `gru` with u and 1 - u exchanged.

        u = s(W_u x + R_u h' + b_u)
        r = s(W_r x + R_r h' + b_r)
        n = tanh(W_n x + R_n (r*h') + b_n)
        h = n*u + h'*(1-u)

    Differs from `mut1` in u, which hears the state, and in n. The paper writes x for W_r x, which needs I = H; a
    learned map takes its place here. Parameters: 3H(I+H+1).
    """

    gates: Sequence[str | Gate] = ("u", "r", Gate("n", hears=("reset_h",)))
    source = "Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures', MUT2"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return self.update(a, s, tanh(a.n))


class Mut3(Mut2, name="mut3"):
    """Mutant 3: a GRU whose update gate hears the state squashed.

        u = s(W_u x + R_u tanh(h') + b_u)
        r = s(W_r x + R_r h' + b_r)
        n = tanh(W_n x + R_n (r*h') + b_n)
        h = n*u + h'*(1-u)

    Differs from `mut2` in what R_u is multiplied with. Parameters: 3H(I+H+1).
    """

    gates = (Gate("u", hears=("tanh_h",)), "r", Gate("n", hears=("reset_h",)))
    source = "Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures', MUT3"

    @feed
    def tanh_h(self, a: Values, s: HiddenState, p: Values) -> Tensor:
        return tanh(s.h)
