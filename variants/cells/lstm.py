"""The LSTM family: the complete formula stands once, each relative states what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, S, Values, feed


class LSTMState(NamedTuple):
    """State of an LSTM: output `y` and cell `c`, each [B, H]."""

    y: Tensor
    c: Tensor


class LSTM(Cell[S]):
    """The parts of a step that all LSTMs of the family have; a relative replaces some of them.

    `x` [B, I] is the input, `y'` and `c'` [B, H] the previous output and cell, `s` the logistic function, `*`
    elementwise.

    peepholes: the gates that see the cell through a vector, a subset of those the cell has.
    keep_bias: added at the start of training to the bias of the gate that keeps, here the forget gate, so that more is
        kept (Jozefowicz et al. 2015: 1).
    """

    gates: Sequence[str | Gate] = ("z", "i", "f", "o")
    keeps: tuple[str, int] | None = ("f", 1)
    writes: tuple[str, int] | None = ("i", 1)

    def __init__(self, *, peepholes: tuple[str, ...] = (), keep_bias: float = 1.0) -> None:
        self.peepholes = tuple(peepholes)
        self.keep_bias = keep_bias
        allowed = [gate.name for gate in self.preactivations if gate.name in ("i", "f", "o")]
        for gate in self.peepholes:
            if gate not in allowed:
                raise ValueError(
                    f"{self.name}: peepholes must be on gates that the cell has ({', '.join(allowed)}), got {gate!r}"
                )
        if len(set(self.peepholes)) < len(self.peepholes):
            raise ValueError(f"{self.name}: peepholes must name each gate once, got {', '.join(self.peepholes)}")
        self.vectors = tuple(f"p_{g}" for g in allowed if g in self.peepholes)

    def cell(self, a: Values, c: Tensor, p: Values) -> Tensor:
        """Return the new cell [B, H] from the previous one, `c`."""
        z = self.input_activation(a.z)
        i = self.input_gate(a, c, p)
        f = self.forget_gate(a, c, p)
        return f * c + i * z

    def output(self, a: Values, c: Tensor, p: Values) -> Tensor:
        """Return the output [B, H] from the new cell, `c`."""
        return self.output_gate(a, c, p) * self.output_activation(c)

    def input_activation(self, z: Tensor) -> Tensor:
        return tanh(z)

    def input_gate(self, a: Values, c: Tensor, p: Values) -> Tensor:
        return sigmoid(self.peep("i", a.i, c, p))

    def forget_gate(self, a: Values, c: Tensor, p: Values) -> Tensor:
        return sigmoid(self.peep("f", a.f, c, p))

    def output_gate(self, a: Values, c: Tensor, p: Values) -> Tensor:
        return sigmoid(self.peep("o", a.o, c, p))

    def output_activation(self, c: Tensor) -> Tensor:
        return tanh(c)

    def peep(self, gate: str, preactivation: Tensor, c: Tensor, p: Values) -> Tensor:
        """Return the pre-activation with its view of the cell, where the gate has one."""
        if gate not in self.peepholes:
            return preactivation
        vector: Tensor = getattr(p, f"p_{gate}")
        return preactivation + vector * c


class Vanilla(LSTM[LSTMState], name="vanilla"):
    """LSTM as it is used today: forget gate, no peepholes unless asked for.

        z = tanh(W_z x + R_z y' + b_z)
        i = s(W_i x + R_i y' + p_i*c' + b_i)
        f = s(W_f x + R_f y' + p_f*c' + b_f)
        c = f*c' + i*z
        o = s(W_o x + R_o y' + p_o*c + b_o)
        y = o*tanh(c)

    The output peephole looks at the new cell. Two baselines are called vanilla in the literature: this one, without
    peepholes (p = 0), is the LSTM of colah's "Understanding LSTM Networks" (2015), `torch.nn.LSTM` with one bias, and
    NP of Greff et al.; their V is `peephole` here. Parameters: 4H(I+H+1), plus H per peephole.
    """

    State = LSTMState
    source = "Gers, Schmidhuber & Cummins 2000, 'Learning to Forget', section 3"

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        c = self.cell(a, s.c, p)
        return LSTMState(y=self.output(a, c, p), c=c)


class Peephole(Vanilla, name="peephole"):
    """LSTM whose gates see the cell: the baseline V of the Greff study.

        i, f see c' and o sees c, each through a vector: + p_i*c', + p_f*c', + p_o*c

    Differs from `vanilla` in the default of `peepholes` only: all three. A subset gives "some gates and not others"
    (Olah 2015).
    Parameters: 4H(I+H+1) + 3H.
    """

    source = "Gers & Schmidhuber 2000, 'Recurrent Nets that Time and Count', section 3"

    def __init__(self, *, peepholes: tuple[str, ...] = ("i", "f", "o"), keep_bias: float = 1.0) -> None:
        super().__init__(peepholes=peepholes, keep_bias=keep_bias)


class LSTMP(Vanilla, name="lstmp"):
    """LSTM with a projection: its output is a learned linear map of the H units to P values.

        m = o*tanh(c)
        y = R_y m

    `x` [B, I] is the input, `y'` [B, P] and `c'` [B, H] the previous output and cell, `s` the logistic function, `*`
    elementwise. The gates hear the output, and the next layer and the read-out read it. Differs from `vanilla` in the
    output only. It is the recurrent projection of the paper, without a second one that nothing hears, and
    `torch.nn.LSTM` with `proj_size`.

    projection: P, the number of outputs, from 1 to H - 1; below 1 it is a share of H, which is rounded.

    Parameters: 4H(I+P+1) + PH, plus H per peephole.
    """

    gates: Sequence[str | Gate] = ("z", "i", "f", "o", Gate("y", hears=("m",), input=False, bias=False))
    projected = "y"
    source = (
        "Sak, Senior & Beaufays 2014, 'Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale "
        "Acoustic Modeling', section 2"
    )

    def __init__(self, *, projection: float = 0.5, peepholes: tuple[str, ...] = (), keep_bias: float = 1.0) -> None:
        super().__init__(peepholes=peepholes, keep_bias=keep_bias)
        if not projection > 0.0 or (projection >= 1.0 and projection % 1.0 != 0.0):
            raise ValueError(
                f"{self.name}: projection must be a whole number of at least 1, or a share between 0 and 1, "
                f"got {projection}"
            )
        self.projection = projection

    def projected_size(self, hidden_size: int) -> int:
        if self.projection >= 1.0:
            return int(self.projection)
        return min(hidden_size - 1, max(1, round(self.projection * hidden_size)))

    @feed
    def m(self, a: Values, s: LSTMState, p: Values) -> Tensor:
        return self.output(a, self.cell(a, s.c, p), p)

    def step(self, a: Values, s: LSTMState, p: Values) -> LSTMState:
        return LSTMState(y=a.y, c=self.cell(a, s.c, p))


class Coupled(Vanilla, name="coupled"):
    """LSTM with coupled input and forget gates (CIFG): what is not kept is written.

        f = 1 - i

    Differs from `vanilla` in the forget gate only; there are no W_f, R_f, p_f, b_f. The keep bias is subtracted from
    b_i, since 1 - s(v) = s(-v). Parameters: 3H(I+H+1), plus H per peephole.
    """

    gates = ("z", "i", "o")
    keeps = ("i", -1)
    writes = None
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', CIFG"

    def forget_gate(self, a: Values, c: Tensor, p: Values) -> Tensor:
        return 1.0 - self.input_gate(a, c, p)


class NoForgetGate(Vanilla, name="no_forget_gate"):
    """LSTM without forget gate (NFG): the cell is never erased.

        f = 1,  that is  c = c' + i*z

    Differs from `vanilla` in the forget gate only; there are no W_f, R_f, p_f, b_f, and no keep bias.
    Parameters: 3H(I+H+1), plus H per peephole.
    """

    gates: Sequence[str | Gate] = ("z", "i", "o")
    keeps = None
    never_forgets = True
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', NFG"

    def __init__(self, *, peepholes: tuple[str, ...] = ()) -> None:
        super().__init__(peepholes=peepholes)

    def forget_gate(self, a: Values, c: Tensor, p: Values) -> Any:
        return 1.0
