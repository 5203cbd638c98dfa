"""How the modules of torch.nn stack the parameters of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..cell import Cell
from ..cells import gru, lstm, rnn


class Layout(NamedTuple):
    """The parameters of one layer and direction of a module of torch.nn, in blocks [H, ...] of a cell.

    module: makes the module.
    stacked: names of the blocks in each parameter, by the beginning of its name. A bias that is named twice is the sum
        of two of torch.
    """

    module: Callable[..., nn.RNNBase]
    stacked: Mapping[str, tuple[str, ...]]

    def stems(self, *, bias: bool) -> tuple[str, ...]:
        """Give the beginnings of the names of the parameters that a module has, with or without biases."""
        return tuple(stem for stem in self.stacked if bias or not stem.startswith("bias"))

    def divided(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Divide parameters of torch into blocks.

        parameters: by the beginnings of their names.

        Returns the blocks by name; biases of one name are added.
        """
        blocks: dict[str, Tensor] = {}
        for stem, parameter in parameters.items():
            names = self.stacked[stem]
            for name, piece in zip(names, parameter.chunk(len(names)), strict=True):
                blocks[name] = blocks[name] + piece if name in blocks else piece
        return blocks

    def joined(self, blocks: Mapping[str, Tensor], *, bias: bool) -> dict[str, Tensor]:
        """Join blocks to parameters of torch.

        blocks: by name.
        bias: whether there are biases; the second of one name is 0.

        Returns the parameters by the beginnings of their names.
        """
        seen: set[str] = set()
        parameters = {}
        for stem in self.stems(bias=bias):
            names = self.stacked[stem]
            parameters[stem] = torch.cat([torch.zeros_like(blocks[n]) if n in seen else blocks[n] for n in names])
            seen.update(names)
        return parameters


def _layout(module: Callable[..., nn.RNNBase], inputs: str, recurrent: str, projected: str = "") -> Layout:
    """Return the layout of gates with one letter, which have inputs, are recurrent or projected, in torch's order."""
    matrices = {
        "weight_ih": tuple(f"W_{gate}" for gate in inputs),
        "weight_hh": tuple(f"R_{gate}" for gate in recurrent),
    }
    biases = {
        "bias_ih": tuple(f"b_{gate}" for gate in inputs),
        "bias_hh": tuple(f"b_{gate}" for gate in recurrent),
    }
    projections = {"weight_hr": tuple(f"R_{gate}" for gate in projected)} if projected else {}
    return Layout(module, matrices | biases | projections)


LAYOUTS: dict[type[Cell], Layout] = {
    lstm.Vanilla: _layout(nn.LSTM, "ifzo", "ifzo"),
    lstm.LSTMP: _layout(nn.LSTM, "ifzo", "ifzo", "y"),
    gru.GRUResetAfter: _layout(nn.GRU, "run", "rum"),
    rnn.RNN: _layout(nn.RNN, "h", "h"),
    rnn.IRNN: _layout(partial(nn.RNN, nonlinearity="relu"), "h", "h"),
}
"""By the class of a cell, the module of torch.nn that computes the same."""


def layout_of(cell: Cell) -> Layout | None:
    """Find the module of torch.nn that computes the same as a cell.

    cell: the declared cell.

    Returns its layout, or None where torch has no such module.

    >>> from variants import GRU, Vanilla
    >>> layout_of(GRU()) is None, layout_of(Vanilla(peepholes=("o",))) is None
    (True, True)
    >>> layout_of(Vanilla()).stacked["weight_ih"]
    ('W_i', 'W_f', 'W_z', 'W_o')
    """
    return None if getattr(cell, "peepholes", ()) else LAYOUTS.get(type(cell))
