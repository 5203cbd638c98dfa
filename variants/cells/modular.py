"""One LSTM whose parts are knobs, so that a study can combine them instead of taking out one at a time."""

from __future__ import annotations

from collections import namedtuple
from itertools import combinations
from typing import Any

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Values
from .greff import GatesState
from .lstm import LSTMState

# States of cells whose gates remember: y, c and the gates there are. Pickle finds a class by its name in this module.
_REMEMBERING: dict[tuple[str, ...], Any] = {("i", "f", "o"): GatesState}
for _count in (1, 2):
    for _gates in combinations("ifo", _count):
        _name = f"Gates{''.join(_gates).upper()}State"
        _REMEMBERING[_gates] = globals()[_name] = namedtuple(_name, ("y", "c", *_gates), module=__name__)


class ModularLSTM(Cell[Any], name="modular_lstm"):
    """LSTM whose parts can each be taken out or added, in any combination.

        z = tanh(W_z x + R_z y' + b_z)
        i = s(W_i x + R_i y' + p_i*c' + b_i)
        f = s(W_f x + R_f y' + p_f*c' + b_f)
        c = f*c' + i*z
        o = s(W_o x + R_o y' + p_o*c + b_o)
        y = o*tanh(c)

    With the defaults it is `vanilla`. With one knob changed it is one of the other cells of Greff et al. 2017, with the
    same parameters, outputs and gradients to the last bit. Cells that lack several parts have no name of their own.
    Parameters: (1 + gates)H(I+H+1) with the defaults of the last three parts; gates: 3 less those taken out.

    input_gate: whether i is learned; else i = 1.
    forget_gate: whether f is learned; else f = 1 and keep_bias has no effect.
    output_gate: whether o is learned; else o = 1.
    coupled: f = 1 - i in place of a forget gate of its own; needs input_gate and forget_gate.
    input_activation: whether z is squashed by tanh.
    output_activation: whether the output is squashed by tanh; else y = o*c.
    peepholes: whether the gates see the cell; needs a gate.
    gate_recurrence: whether the gates hear all gates of the previous step; needs a gate.
    keep_bias: added at the start of training to the bias of the gate that keeps, so that more is kept.
    """

    State = LSTMState
    source = "Greff et al. 2017, 'LSTM: A Search Space Odyssey', section 3, whose eight changes are combined here"

    def __init__(
        self,
        *,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        coupled: bool = False,
        input_activation: bool = True,
        output_activation: bool = True,
        peepholes: bool = False,
        gate_recurrence: bool = False,
        keep_bias: float = 1.0,
    ) -> None:
        if coupled and not (input_gate and forget_gate):
            raise ValueError(
                "modular_lstm: coupled needs an input and a forget gate, got "
                f"input_gate={input_gate} and forget_gate={forget_gate}"
            )
        self.input_gate, self.forget_gate, self.output_gate = input_gate, forget_gate, output_gate
        self.coupled = coupled
        self.input_activation, self.output_activation = input_activation, output_activation
        self.peepholes, self.gate_recurrence, self.keep_bias = peepholes, gate_recurrence, keep_bias
        learned = {"i": input_gate, "f": forget_gate and not coupled, "o": output_gate}
        own = tuple(gate for gate, there in learned.items() if there)
        for name, wanted in (("peepholes", peepholes), ("gate_recurrence", gate_recurrence)):
            if wanted and not own:
                raise ValueError(f"modular_lstm: {name} must be false in a cell without any gate, got true")
        if gate_recurrence:
            self.State = _REMEMBERING[own]
            self.gates = ("z", *(Gate(gate, hears=("y", *own)) for gate in own))
        else:
            self.gates = ("z", *own)
        self.vectors = tuple(f"p_{gate}" for gate in own) if peepholes else ()
        self.never_forgets = not forget_gate
        keeping = {(True, False): ("f", 1), (True, True): ("i", -1)}
        self.keeps = keeping.get((forget_gate, coupled))
        self.writes = ("i", 1) if input_gate and not coupled else None

    def step(self, a: Values, s: Any, p: Values) -> Any:
        z = tanh(a.z) if self.input_activation else a.z
        # in the order of `LSTM.cell`: sums of gradients through peepholes then have the same bits
        i = self._input(a, s.c, p)
        f = self._forget(a, s.c, p)
        c = f * s.c + i * z
        o = self._output(a, c, p)
        y = o * (tanh(c) if self.output_activation else c)
        if not self.gate_recurrence:
            return LSTMState(y=y, c=c)
        # computed once more, as `full_gate_recurrence` does: sums of gradients then have the same bits
        gates = {"i": (self._input, s.c), "f": (self._forget, s.c), "o": (self._output, c)}
        fields: tuple[str, ...] = self.State._fields
        remembered = [gates[name] for name in fields[2:]]
        return self.State(y, c, *(gate(a, seen, p) for gate, seen in remembered))

    def _input(self, a: Values, c: Tensor, p: Values) -> Any:
        return self._gate("i", a, c, p) if self.input_gate else 1.0

    def _forget(self, a: Values, c: Tensor, p: Values) -> Any:
        if self.coupled:
            return 1.0 - self._input(a, c, p)
        return self._gate("f", a, c, p) if self.forget_gate else 1.0

    def _output(self, a: Values, c: Tensor, p: Values) -> Any:
        return self._gate("o", a, c, p) if self.output_gate else 1.0

    def _gate(self, name: str, a: Values, c: Tensor, p: Values) -> Tensor:
        preactivation: Tensor = getattr(a, name)
        return sigmoid(preactivation + getattr(p, f"p_{name}") * c if self.peepholes else preactivation)
