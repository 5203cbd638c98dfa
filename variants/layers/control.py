"""Controls: cells that run as one module of torch, not from a declared step, behind the contract of a variant."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, NamedTuple, Unpack

from torch import Tensor, nn

from ..cell import Cell
from ..declaration import check_options, check_sizes
from . import boundary
from .options import GivenOptions, Options
from .recurrent import count_parameters

TAKEN = frozenset(("layers", "bidirectional", "engine", "initialisation", "stream", "generator"))
"""The options of a module that a control takes; each of the others must be as by default."""


class Control(Cell):
    """A control: runs as one module, not from a declared step.

    Class attributes:
        recurrent: the class of its sequence module.
        runs: what messages say that it runs, such as "torch.nn.LSTM".
        is_a: what messages say that it is, such as "a kernel of the library".
        why_eager: why it runs on the eager engine; empty where it does not.
    """

    control = True
    recurrent: ClassVar[type[ControlRecurrent]]
    runs: ClassVar[str]
    is_a: ClassVar[str]
    why_eager: ClassVar[str] = ""


class Checked(NamedTuple):
    """The arguments of a call of a control, checked.

    x: inputs [T, B, I]. state: one State per layer and direction, or None. lengths: [B], or None. reads: [K, B] or
    None.
    """

    x: Tensor
    state: tuple[Any, ...] | None
    lengths: Tensor | None
    reads: Tensor | None


class ControlRecurrent(nn.Module):
    """What the sequence modules of controls have in common; a subclass has `forward`, and sets `kept`.

    cell: a control, such as `NativeLSTM()`.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    options: those of `Options`, as keyword arguments; a control takes no regularisers.

    Attributes:
        engine: which engine runs.
        why_eager: why it is the eager one where "auto" was asked for; else empty.
        kept: that of `Recurrent`.
        remembered_flops: floating-point operations, by sequence and step, of products with matrices that the layers
            remember; 0 for layers that remember vectors.

    Raises ValueError, naming the cell, for a size or an option that is wrong.
    """

    engine: str
    why_eager = ""
    kept: float | None
    remembered_flops = 0

    def __init__(self, cell: Control, input_size: int, hidden_size: int, **options: Unpack[GivenOptions]) -> None:
        super().__init__()
        given = Options(**options)
        check_sizes(cell, input_size=input_size, hidden_size=hidden_size, layers=given.layers)
        check_options(cell, given)
        self._check_engine(cell, given.engine)
        for option in sorted({f.name for f in fields(Options)} - TAKEN):
            if value := getattr(given, option):
                raise ValueError(f"{cell.title}: a control takes no {option}, got {value!r}")
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.layers, self.directions = given.layers, 2 if given.bidirectional else 1

    @staticmethod
    def _check_engine(cell: Control, engine: str) -> None:
        """Raise ValueError for an engine that cannot be asked for."""
        raise NotImplementedError

    @property
    def parameter_count(self) -> int:
        """Number of trainable values."""
        return count_parameters(
            self.cell, self.input_size, self.hidden_size, layers=self.layers, bidirectional=self.directions == 2
        )

    @property
    def output_size(self) -> int:
        """Width of an output: H times the number of directions."""
        return self.hidden_size * self.directions

    def why_no_pass(self) -> str:
        """Say why there are no training steps or evaluations in prepared memory, as `Recurrent` does."""
        raise NotImplementedError

    def _checked(
        self, inputs: Tensor, state: tuple[Any, ...] | None, lengths: Tensor | None, reads: Tensor | None
    ) -> Checked:
        """Return the arguments of a call after all checks."""
        cell: Any = self.cell
        x = boundary.checked_inputs(cell, inputs, self.input_size, next(self.parameters()))
        if state is not None:
            state = boundary.checked_state(cell, state, x, self.hidden_size, self.layers, self.directions)
        readable = not boundary.mode() and not x.is_meta
        if lengths is not None:
            lengths = boundary.checked_lengths(cell, lengths, x, readable=readable)
        if reads is not None:
            reads = boundary.checked_reads(cell, reads, x, lengths, readable=readable)
        return Checked(x, state, lengths, reads)
