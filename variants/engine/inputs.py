"""What an engine is asked for: one layer in one direction over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Cell, Gate

NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Inputs(NamedTuple):
    """The terms `W x + b` of all pre-activations, not yet multiplied.

    A kernel multiplies step by step, while the numbers are in the processor's cache.

    x: [T, B, I].
    weight: W of the gates that have one, in the cell's order, [n * H, I].
    bias: of all gates, [G * H], zeros for a gate without; or None.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None

    def preactivations(self, gates: Sequence[Gate], units: int) -> Tensor:
        """Return the product for all steps at once, [T, B, G * H]; a gate without input is left with its bias."""
        heard = [gate.name for gate in gates if gate.input]
        if len(heard) == len(gates):
            return functional.linear(self.x, self.weight, self.bias)
        products = {}
        if heard:
            products = dict(zip(heard, functional.linear(self.x, self.weight).chunk(len(heard), dim=-1), strict=True))
        nothing = self.x.new_zeros(*self.x.shape[:2], units)
        terms = torch.cat([products.get(gate.name, nothing) for gate in gates], dim=-1)
        return terms if self.bias is None else terms + self.bias


class Request(NamedTuple):
    """One layer in one direction over a sequence of T steps and B sequences.

    cell: the cell as it stands in the layer.
    inputs: x [T, B, I] with W and b of all gates, not yet multiplied.
    state: the cell's State before the first step, fields [B, H], or [B, P] for a projected one.
    recurrent: R by source, the gates that hear it one below the other, [n * H, H].
    values: vectors and constants by name, [H].
    below: sequences of the layer below by field, [T, B, H].
    active: [T, B] bool; where False the state stays as it was. None where all are.
    keep: zoneout by field, broadcastable to [T, B, H]: the new value is keep * old + (1 - keep) * new.
    drop: recurrent dropout by source, [B, H]: what a source is multiplied with before its product.
    normalise: gain and bias [H] by gate of a layer normalisation of the complete pre-activation; the eager engine only.
    read: fields of the state whose sequences are wanted, by default all.
    final: whether the state after the last step is wanted.
    second: called when a second derivative is asked for, which the eager engine then serves. Without it, the fused
        engine raises ValueError.
    """

    cell: Cell
    inputs: Inputs
    state: NamedTuple
    recurrent: Mapping[str, Tensor] = NOTHING
    values: Mapping[str, Tensor] = NOTHING
    below: Mapping[str, Tensor] = NOTHING
    active: Tensor | None = None
    keep: Mapping[str, Tensor] = NOTHING
    drop: Mapping[str, Tensor] = NOTHING
    normalise: Mapping[str, tuple[Tensor, Tensor | None]] | None = None
    read: Sequence[str] | None = None
    final: bool = True
    second: Callable[[], None] | None = None

    @property
    def units(self) -> int:
        """H, the width of a field of the state that is not projected."""
        fields = zip(self.cell.State._fields, self.state, strict=True)
        units: int = next(v.shape[-1] for name, v in fields if name != self.cell.projected)
        return units


Engine = Callable[[Request], tuple[NamedTuple, "NamedTuple | None"]]
"""Serves a request.

Returns the State of sequences, fields [T, B, H] and None where not read, and the State after the last step, fields
[B, H], or None.
"""


def select_steps(sequence: Tensor, reads: Tensor | None) -> Tensor:
    """Take some steps of each sequence.

    sequence: [T, B, H].
    reads: [K, B] whole numbers, the steps to take; None for all.

    Returns [K, B, H], or the sequence itself where `reads` is None.

    >>> import torch
    >>> select_steps(torch.arange(6.0).view(3, 2, 1), torch.tensor([[2, 0]])).flatten()
    tensor([4., 1.])
    """
    if reads is None:
        return sequence
    return sequence.gather(0, reads.unsqueeze(-1).expand(*reads.shape, sequence.shape[-1]))
