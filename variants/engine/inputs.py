"""What reaches the gates of a layer from its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Gate


class Inputs(NamedTuple):
    """The terms `W x + b` of all pre-activations, not yet multiplied: a kernel does that step by step, in the
    processor's cache.

    x: [T, B, I]. weight: W of the gates that have one, in the cell's order, [n * H, I]. bias: of all gates, [G * H],
    zeros for a gate without; or None.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None

    def preactivations(self, plan: Sequence[Gate], units: int) -> Tensor:
        """The product for all steps at once, [T, B, G * H]; a gate without input is left with its bias."""
        heard = [gate.name for gate in plan if gate.input]
        if len(heard) == len(plan):
            return functional.linear(self.x, self.weight, self.bias)
        products = {}
        if heard:
            products = dict(zip(heard, functional.linear(self.x, self.weight).chunk(len(heard), dim=-1), strict=True))
        nothing = self.x.new_zeros(*self.x.shape[:2], units)
        terms = torch.cat([products.get(gate.name, nothing) for gate in plan], dim=-1)
        return terms if self.bias is None else terms + self.bias
