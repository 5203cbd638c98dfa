"""The library's own recurrent modules behind the contract of a variant: controls for tests and for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn

from ..cell import Gate, Keeping
from ..cells.gru import HiddenState
from ..cells.lstm import LSTMState
from ..engine import select_steps
from ..initialisation import UniformFan, initialise, scheme_of, streams, within
from .control import Control, ControlRecurrent
from .options import GivenOptions, Options
from .recurrent import kept_at_start


class NativeRecurrent(ControlRecurrent):
    """A recurrent module of torch.nn with the interface of `Recurrent`.

    All its parameters start uniformly unless a scheme is given, and the keep bias is added; its second bias starts at
    0.

    cell: a control, such as `NativeLSTM()`.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    options: those of `Options`, as keyword arguments; a control takes no regularisers and no other engine.

    Raises ValueError, naming the cell, for a size or an option that is wrong.
    """

    engine = "native"

    def __init__(self, cell: Native, input_size: int, hidden_size: int, **options: Unpack[GivenOptions]) -> None:
        super().__init__(cell, input_size, hidden_size, **options)
        given = Options(**options)
        with torch.random.fork_rng(devices=()):  # torch draws its own start from the global generator
            self.module = type(cell).module(
                input_size, hidden_size, num_layers=self.layers, bidirectional=given.bidirectional
            )
        scheme, stream = scheme_of(cell, given.initialisation, UniformFan), given.stream or streams(0)
        names = [gate.name for gate in cell.preactivations]
        filled = []
        for layer in range(self.layers):
            for direction in range(self.directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                blocks: dict[str, Tensor] = {}
                for kind, stem in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih")):
                    pieces = getattr(self.module, stem + suffix).data.chunk(len(names))
                    blocks |= {f"{kind}_{n}": v for n, v in zip(names, pieces, strict=True)}
                getattr(self.module, "bias_hh" + suffix).data.zero_()
                initialise(scheme, cell, blocks, within(stream, f"{layer}.{direction}"))
                filled.append((cell, blocks))
        self.kept = kept_at_start(filled)

    @staticmethod
    def _check_engine(cell: Control, engine: str) -> None:
        if engine != "auto":
            raise ValueError(f"{cell.title}: runs the library's own kernel and needs engine auto, got {engine!r}")

    def why_no_pass(self) -> str:
        """Say why there are no training steps or evaluations in prepared memory, as `Recurrent` does."""
        return "the layers are a module of torch"

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Any, ...] | None = None,
        lengths: Tensor | None = None,
        *,
        final: bool = True,
        reads: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a batch of sequences; arguments and results are those of `Recurrent.forward`."""
        x, states, lengths, reads = self._checked(inputs, state, lengths, reads)
        first: Tensor | tuple[Tensor, ...] | None = None
        if states is not None:
            stacked = [torch.stack(f) for f in zip(*states, strict=True)]
            first = stacked[0] if len(stacked) == 1 else tuple(stacked)
        packed: Tensor | nn.utils.rnn.PackedSequence = x
        if lengths is not None and len(lengths) > 0:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        outputs, last = self.module(packed, first)
        if packed is not x:
            outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, total_length=len(x))
        outputs = select_steps(outputs, reads)
        if not final:
            return outputs, ()
        fields: tuple[Tensor, ...] = last if isinstance(last, tuple) else (last,)
        return outputs, tuple(self.cell.State(*values) for values in zip(*fields, strict=True))


class Native(Control):
    """A control that runs as one module of torch.nn."""

    recurrent = NativeRecurrent
    is_a = "a kernel of the library"
    module: ClassVar[Callable[..., nn.RNNBase]]

    def block_sizes(self, input_size: int, hidden_size: int) -> dict[str, int]:
        """As for any cell, and a second bias for every gate."""
        second = {f"b_{gate.name}_2": hidden_size for gate in self.preactivations}
        return super().block_sizes(input_size, hidden_size) | second


class NativeLSTM(Keeping, Native, name="native_lstm"):
    """`torch.nn.LSTM`, the library's own kernel: a control.

        z = tanh(W_z x + R_z y' + b_z)    i, f, o = s(W x + R y' + b)    c = f*c' + i*z    y = o*tanh(c)

    The model of `vanilla` but for a second, redundant bias. Parameters: 4H(I+H+2).
    """

    module = nn.LSTM
    runs = "torch.nn.LSTM"
    State = LSTMState
    gates = ("i", "f", "z", "o")
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "torch.nn.LSTM"


class NativeGRU(Keeping, Native, name="native_gru"):
    """`torch.nn.GRU`, the library's own kernel: a control.

        r, u = s(W x + R h' + b)    n = tanh(W_n x + b_n + r*(R_n h' + c_n))    h = u*h' + (1-u)*n

    The reset gate is applied after the product: not the model of `gru`. Parameters: 3H(I+H+2).
    """

    module = nn.GRU
    runs = "torch.nn.GRU"
    State = HiddenState
    gates = ("r", "u", "n")
    keeps = ("u", 1)
    source = "torch.nn.GRU"


class NativeRNN(Native, name="native_rnn"):
    """`torch.nn.RNN`, the library's own kernel: a control.

        h = tanh(W x + R h' + b + b_2)

    Parameters: H(I+H+2).
    """

    module = nn.RNN
    runs = "torch.nn.RNN"
    State = HiddenState
    gates = (Gate("h", hears=("h",)),)
    source = "torch.nn.RNN"
