"""A gated unit that is small enough for microcontrollers: gate and candidate share their matrices."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn, sigmoid, tanh

from ..cell import Cell, Gate, Keeping, Values
from .gru import HiddenState


class FastGRNN(Keeping, Cell[HiddenState], name="fast_grnn"):
    """FastGRNN: a gated unit with one pair of matrices for its gate and its candidate.

        v = W_u x + R_u h'
        u = s(v + b_u)
        n = tanh(v + b_n)
        h = u*h' + (s(zeta)*(1-u) + s(nu))*n,  at the start zeta = 1, nu = -4

    `x` [B, I], `h` [B, H], b_u, b_n [H], zeta and nu one number each. The paper writes z for u. Differs from `ugrnn` in
    that u and n differ in their biases only, and in two scalars that weigh what is written. The paper's matrices of low
    rank, sparse and quantised, are left out. zeta and nu start as in the authors' code, whichever initialisation is
    chosen. Parameters: H(I+H+2) + 2.
    """

    State = HiddenState
    gates = (Gate("u", hears=("h",), bias=False),)
    vectors = ("b_u", "b_n")
    scalars = ("zeta", "nu")
    keeps = ("u", 1)
    source = "Kusupati et al. 2018, 'FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized GRNN'"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        u = sigmoid(a.u + p.b_u)
        n = tanh(a.u + p.b_n)
        return HiddenState(h=u * s.h + (sigmoid(p.zeta) * (1.0 - u) + sigmoid(p.nu)) * n)

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        nn.init.constant_(blocks["zeta"], 1.0)
        nn.init.constant_(blocks["nu"], -4.0)
