"""Linear recurrences: each unit shrinks and turns its own state, and nothing squashes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, cos, exp, expm1, sigmoid, sin, sqrt
from torch.nn.functional import softplus

from ..cell import Cell, Gate, Values, feed
from .gru import HiddenState

SHARPNESS = 8.0
"""The constant c of the RG-LRU: how much faster an open recurrence gate forgets."""
LEAST = 1e-30
"""The smallest square of what the RG-LRU writes, so that the derivative of its root is finite."""


class ComplexState(NamedTuple):
    """State of a linear recurrence in the complex plane: output `y`, real part `a` and imaginary part `b`, [B, H]."""

    y: Tensor
    a: Tensor
    b: Tensor


class LRU(Cell[ComplexState], name="lru"):
    """Linear recurrent unit: complex numbers that shrink and turn at learned rates.

        r = exp(-exp(nu)), phi = exp(theta), g = exp(gamma)
        a = r*(cos(phi)*a' - sin(phi)*b') + g*(W_a x)
        b = r*(sin(phi)*a' + cos(phi)*b') + g*(W_b x)
        y = W_y x + R_y a + R_y_imaginary b

    `x` [B, I], `y`, `a`, `b` [B, H]; nu, theta, gamma [H]. In the paper a + ib is x, W_a and W_b are B, R_y
    and -R_y_imaginary are C and W_y is D, there a diagonal matrix, which needs I = H. Differs from `rnn` in that
    nothing is squashed and that the recurrent matrix is diagonal, but complex. The paper puts layers of it between
    networks without memory, so that only the whole is nonlinear; here a layer is linear.

    r_min: smallest r at the start.
    r_max: largest r at the start, below 1. Over the units r^2 is spread evenly from r_min^2 to r_max^2, as the paper
        draws it; g starts at sqrt(1 - r^2).
    max_phase: largest phi at the start, in radians; the phases are spread evenly over (0, max_phase].

    Parameters: 3HI + 2H^2 + 3H.
    """

    State = ComplexState
    gates = (Gate("a", bias=False), Gate("b", bias=False), Gate("y", hears=("real", "imaginary"), bias=False))
    vectors = ("nu", "theta", "gamma")
    remembers = ("a", "b")
    source = "Orvieto et al. 2023, 'Resurrecting Recurrent Neural Networks for Long Sequences', LRU"

    def __init__(self, *, r_min: float = 0.9, r_max: float = 0.999, max_phase: float = 0.3) -> None:
        if not 0.0 <= r_min < r_max < 1.0:
            raise ValueError(f"{self.name}: 0 <= r_min < r_max < 1 must hold, got r_min {r_min}, r_max {r_max}")
        if not 0.0 < max_phase <= 2 * math.pi:
            raise ValueError(f"{self.name}: max_phase must be above 0 and at most 2 pi, got {max_phase}")
        self.r_min = r_min
        self.r_max = r_max
        self.max_phase = max_phase

    @feed
    def real(self, a: Values, s: ComplexState, p: Values) -> Tensor:
        r, phi = exp(-exp(p.nu)), exp(p.theta)
        return r * (cos(phi) * s.a - sin(phi) * s.b) + exp(p.gamma) * a.a

    @feed
    def imaginary(self, a: Values, s: ComplexState, p: Values) -> Tensor:
        r, phi = exp(-exp(p.nu)), exp(p.theta)
        return r * (sin(phi) * s.a + cos(phi) * s.b) + exp(p.gamma) * a.b

    def step(self, a: Values, s: ComplexState, p: Values) -> ComplexState:
        return ComplexState(y=a.y, a=self.real(a, s, p), b=self.imaginary(a, s, p))

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        units = len(blocks["nu"])
        place = (torch.arange(units, dtype=torch.float64) + 0.5) / units
        square = self.r_min**2 + place * (self.r_max**2 - self.r_min**2)
        # Steps of the golden ratio are even as well, and in another order: slow units turn at all rates.
        turn = torch.arange(1, units + 1, dtype=torch.float64) * (math.sqrt(5) - 1) / 2 % 1.0
        blocks["nu"].copy_((-0.5 * square.log()).log())
        blocks["theta"].copy_((self.max_phase * turn).log())
        blocks["gamma"].copy_(0.5 * (1.0 - square).log())

    def kept(self, blocks: Mapping[str, Tensor]) -> Tensor | None:
        """Return r, [H]."""
        return exp(-exp(blocks["nu"].detach()))


class RGLRU(Cell[HiddenState], name="rg_lru"):
    """Real-gated linear recurrent unit (RG-LRU): a leak whose rate the input chooses.

        r = s(W_r x + b_r)
        i = s(W_i x + b_i)
        a = s(p_a)^(8*r)
        h = a*h' + sqrt(1-a^2)*(i*(W_n x))

    `x` [B, I], `h` [B, H]. The paper writes Lambda for p_a, and x for W_n x, which needs I = H; a learned map takes its
    place. Differs from `min_gru` in that what is written follows from what is kept through a square root, which keeps
    the variance of h, and in s(p_a)^8, which an open gate r keeps and which is learned. At the start it is spread
    evenly over the units from 0.9 to 0.999, whichever initialisation is chosen. The authors' code leaves
    the square root out at the first step. Parameters: 3HI + 3H.
    """

    State = HiddenState
    gates = (Gate("r"), Gate("i"), Gate("n", bias=False))
    vectors = ("p_a",)
    source = "De et al. 2024, 'Griffin: Mixing Gated Linear Recurrences with Local Attention', RG-LRU"

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        rate = -SHARPNESS * sigmoid(a.r) * softplus(-p.p_a)
        written = sqrt((-expm1(2.0 * rate)).clamp(min=LEAST))
        return HiddenState(h=exp(rate) * s.h + written * (sigmoid(a.i) * a.n))

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        leaks = torch.linspace(0.9, 0.999, len(blocks["p_a"]), dtype=torch.float64)
        blocks["p_a"].copy_(torch.logit(leaks ** (1.0 / SHARPNESS)))

    def kept(self, blocks: Mapping[str, Tensor]) -> Tensor | None:
        """Return the leak by the bias of its gate alone, [H]; None for gates without biases."""
        if "b_r" not in blocks:
            return None
        return exp(-SHARPNESS * sigmoid(blocks["b_r"].detach()) * softplus(-blocks["p_a"].detach()))
