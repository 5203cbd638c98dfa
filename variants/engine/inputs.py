"""What reaches the gates of a layer from its input."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Inputs(NamedTuple):
    """The terms `W x + b` of all pre-activations, not yet multiplied.

    x: [T, B, I]. weight: W of all gates in the cell's order, [G * H, I], zeros for a gate without. bias: [G * H], or None.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None = None

    def preactivations(self) -> Tensor:
        """The product for all steps at once, [T, B, G * H]."""
        return functional.linear(self.x, self.weight, self.bias)
