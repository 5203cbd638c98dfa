"""Recurrent networks that are steps of a differential equation in time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Values, feed
from .gru import HiddenState
from .lstm import LSTMState


class LEM(Cell[LSTMState], name="lem"):
    """Long expressive memory: two coupled equations whose time steps are gates.

        d = dt*s(W_d x + R_d y' + b_d)
        e = dt*s(W_e x + R_e y' + b_e)
        c = (1-e)*c' + e*tanh(W_z x + R_z y' + b_z)
        y = (1-d)*y' + d*tanh(W_n x + R_n c + b_n)

    `x` [B, I], `y`, `c` [B, H]. The paper writes z for c. y hears the new c. Differs from `coupled` in that y is a
    memory as well: it is updated through a gate d and hears the cell through a matrix R_n. The gate that keeps c is 1 -
    e.

    dt: the largest time step, above 0 and at most 1.
    keep_bias: subtracted at the start of training from b_e, so that more of c is kept.

    Parameters: 4H(I+H+1).
    """

    State = LSTMState
    gates = ("d", "e", "z", Gate("n", hears=("new_c",)))
    keeps = ("e", -1)
    source = "Rusch, Mishra, Erichson & Mahoney 2022, 'Long Expressive Memory for Sequence Modeling', LEM"

    def __init__(self, *, dt: float = 1.0, keep_bias: float = 1.0) -> None:
        if not 0.0 < dt <= 1.0:
            raise ValueError(f"{self.name}: dt must be above 0 and at most 1, got {dt}")
        self.dt = dt
        self.keep_bias = keep_bias

    @feed
    def new_c(self, a: Values, s: LSTMState, p: Values) -> Tensor:
        e = self.dt * sigmoid(a.e)
        return (1.0 - e) * s.c + e * tanh(a.z)

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        d = self.dt * sigmoid(a.d)
        return LSTMState(y=(1.0 - d) * s.y + d * tanh(a.n), c=self.new_c(a, s, p))

    def kept(self, blocks: Mapping[str, Tensor]) -> Tensor | None:
        """Return 1 - dt*s(b_e), [H]; None for gates without biases."""
        if "b_e" not in blocks:
            return None
        return 1.0 - self.dt * sigmoid(blocks["b_e"].detach())


class CoRNN(Cell[LSTMState], name="cornn"):
    """Coupled oscillatory network: each unit is a driven, damped oscillator.

        c = c' + dt*(tanh(W_n x + R_n y' + R_n_c c' + b_n) - gamma*y' - epsilon*c')
        y = y' + dt*c

    `x` [B, I], the position `y` and the velocity `c` [B, H]. The paper writes z for c and lets the
    damping see the old velocity, as here, or the new one. Differs from `rnn` in the second order in time: tanh changes
    the velocity, not the state. No gate decides what is kept.

    dt: the time step, above 0.
    gamma: the force that pulls a unit back to 0.
    epsilon: the damping.

    Parameters: H(I+2H+1).
    """

    State = LSTMState
    gates = (Gate("n", hears=("y", "c")),)
    source = "Rusch & Mishra 2021, 'Coupled Oscillatory Recurrent Neural Network (coRNN)'"

    def __init__(self, *, dt: float = 0.1, gamma: float = 1.0, epsilon: float = 1.0) -> None:
        if dt <= 0.0:
            raise ValueError(f"{self.name}: dt must be above 0, got {dt}")
        self.dt = dt
        self.gamma = gamma
        self.epsilon = epsilon

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        c = s.c + self.dt * (tanh(a.n) - self.gamma * s.y - self.epsilon * s.c)
        return LSTMState(y=s.y + self.dt * c, c=c)


class AntisymmetricRNN(Cell[HiddenState], name="antisymmetric_rnn"):
    """Antisymmetric network: a change that neither grows nor fades is added to the state.

        h = h' + dt*tanh(W_h x + (R_h - R_h^T - gamma*1) h' + b_h)

    `x` [B, I], `h` [B, H], 1 the unit matrix. The paper writes epsilon for dt. Differs from `rnn` in that tanh changes
    the state instead of replacing it, and in the matrix, whose eigenvalues have the real part -gamma: at gamma = 0 what
    the state was is neither forgotten nor amplified. Of the H^2 values of R_h the H(H-1)/2 differences matter.

    dt: the time step, above 0.
    gamma: what is subtracted on the diagonal, at least 0, so that steps of finite size stay stable.

    Parameters: H(I+H+1).
    """

    State = HiddenState
    gates = ("h",)
    never_forgets = True
    source = "Chang, Chen, Haber & Chi 2019, 'AntisymmetricRNN: A Dynamical System View on Recurrent Neural Networks'"

    def __init__(self, *, dt: float = 0.1, gamma: float = 0.01) -> None:
        if dt <= 0.0:
            raise ValueError(f"{self.name}: dt must be above 0, got {dt}")
        if gamma < 0.0:
            raise ValueError(f"{self.name}: gamma must be at least 0, got {gamma}")
        self.dt = dt
        self.gamma = gamma

    def transform_recurrent(self, matrix: Tensor) -> Tensor:
        return matrix - matrix.T - self.gamma * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)

    def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
        return HiddenState(h=s.h + self.dt * tanh(a.h))
