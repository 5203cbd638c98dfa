"""The ablations of the Greff study, each as the one thing that it takes from the LSTM or adds to it; and the LSTM of
1997.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, tanh

from ..cell import Gate, Values, feed
from .lstm import LSTM, LSTMState, NoForgetGate, Vanilla


class NoInputGate(Vanilla, name="no_input_gate"):
    """LSTM without input gate (NIG): everything is written.

        i = 1,  that is  c = f*c' + z

    Differs from `vanilla` in the input gate only; there are no W_i, R_i, p_i, b_i.
    Parameters: 3H(I+H+1), plus H per peephole.
    """

    gates = ("z", "f", "o")
    writes = None
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', NIG"

    def input_gate(self, a: Values, c: Tensor, p: Values) -> Any:
        return 1.0


class NoOutputGate(Vanilla, name="no_output_gate"):
    """LSTM without output gate (NOG): the cell is always shown.

        o = 1,  that is  y = tanh(c)

    Differs from `vanilla` in the output gate only; there are no W_o, R_o, p_o, b_o.
    Parameters: 3H(I+H+1), plus H per peephole.
    """

    gates = ("z", "i", "f")
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', NOG"

    def output_gate(self, a: Values, c: Tensor, p: Values) -> Any:
        return 1.0


class NoInputActivation(Vanilla, name="no_input_activation"):
    """LSTM without input activation function (NIAF): what is written is not squashed.

        z = W_z x + R_z y' + b_z

    Differs from `vanilla` in the block input only. Parameters: 4H(I+H+1), plus H per peephole.
    """

    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', NIAF"

    def input_activation(self, z: Tensor) -> Tensor:
        return z


class NoOutputActivation(Vanilla, name="no_output_activation"):
    """LSTM without output activation function (NOAF): what is shown is not squashed.

        y = o*c

    Differs from `vanilla` in the output only. Parameters: 4H(I+H+1), plus H per peephole.
    """

    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', NOAF"

    def output_activation(self, c: Tensor) -> Tensor:
        return c


class GatesState(NamedTuple):
    """State of an LSTM whose gates remember: output `y`, cell `c`, and the gates `i`, `f`, `o`, each [B, H]."""

    y: Tensor
    c: Tensor
    i: Tensor
    f: Tensor
    o: Tensor


class FullGateRecurrence(LSTM[GatesState], name="full_gate_recurrence"):
    """LSTM whose gates hear all gates of the previous step (FGR), as in the first LSTM of 1997.

        i = s(W_i x + R_i y' + R_i_i i' + R_i_f f' + R_i_o o' + p_i*c' + b_i)
        f = s(W_f x + R_f y' + R_f_i i' + R_f_f f' + R_f_o o' + p_f*c' + b_f)
        o = s(W_o x + R_o y' + R_o_i i' + R_o_f f' + R_o_o o' + p_o*c + b_o)

    Differs from `vanilla` by these nine matrices [H, H]. The state has the gates as further fields `i`, `f`, `o` [B,
    H], 0 before the first step. Parameters: 4H(I+H+1) + 9H^2, plus H per peephole.
    """

    State = GatesState
    gates = ("z", *(Gate(g, hears=("y", "i", "f", "o")) for g in ("i", "f", "o")))
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', FGR"

    def step(self, a: Values, s: GatesState, p: Values) -> GatesState:
        c = self.cell(a, s.c, p)
        return GatesState(
            y=self.output(a, c, p),
            c=c,
            i=self.input_gate(a, s.c, p),
            f=self.forget_gate(a, s.c, p),
            o=self.output_gate(a, c, p),
        )


class LSTM1997(NoForgetGate, name="lstm_1997"):
    """The memory cell of 1997: no forget gate, wider squashing functions, and a gradient that is cut outside the cell.

        z = g(W_z x + R_z y' + b_z)      g(v) = 4 s(v) - 2 = 2 tanh(v/2), in [-2, 2]
        y = o*h(c)                       h(v) = 2 s(v) - 1 = tanh(v/2), in [-1, 1]
        dy'/d(anything) = 0 inside W x + R y' + b

    Differs from `no_forget_gate` in g and h, in the gradient, and in having no peepholes. Errors flow back in time
    through the cell c = c' + i*z alone, where nothing scales them; at the block input and the gates they change W, R
    and b and go no further back. They still reach the input x, so layers can be stacked. The networks of that paper had
    more, which `memory_blocks` has: blocks of cells that share their gates, gates that hear the gates, and biases of
    the gates chosen for each task. Parameters: 3H(I+H+1).
    """

    gates = tuple(Gate(g, hears=("detached_y",)) for g in ("z", "i", "o"))
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', section 4 and appendix A.1"

    def __init__(self) -> None:
        super().__init__()

    @feed
    def detached_y(self, a: Values, s: LSTMState, p: Values) -> Tensor:
        return s.y.detach()

    def input_activation(self, z: Tensor) -> Tensor:
        return 2.0 * tanh(0.5 * z)

    def output_activation(self, c: Tensor) -> Tensor:
        return tanh(0.5 * c)
