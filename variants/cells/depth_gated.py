"""An LSTM whose cells are linked from layer to layer through a gate."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, sigmoid

from ..cell import Gate, Values
from .lstm import Vanilla


class DepthGated(Vanilla, name="depth_gated"):
    """Depth-gated LSTM: the cell also takes from the cell of the layer below, as much as a depth gate d lets through.

        d = s(W_d x + w_cd*c' + w_ld*l + b_d)
        c = f*c' + i*z + d*l

    `l` [B, H] is the cell of the layer below at the same step, and `x` its output; `w_cd`, `w_ld` are vectors. In the
    lowest layer `l` is a linear map of the input, l = W_l x, and the term w_ld*l is absent. Differs from `vanilla` in
    d; needs at least 2 layers. The paper's LSTM has peepholes on i, f, o: knob `peepholes`.

    Parameters: 4H(I+H+1) + H(I+1) + 2H, in the lowest layer 4H(I+H+1) + H(2I+1) + H; plus H per peephole and layer.
    """

    gates: Sequence[str | Gate] = ("z", "i", "f", "o", Gate("d"))
    above = ("c",)
    min_layers = 2
    source = "Yao, Cohn, Vylomova, Duh & Dyer 2015, 'Depth-Gated LSTM'"

    def __init__(self, *, peepholes: tuple[str, ...] = (), keep_bias: float = 1.0) -> None:
        super().__init__(peepholes=peepholes, keep_bias=keep_bias)
        self.vectors = (*self.vectors, *self.depth_vectors)

    depth_vectors: tuple[str, ...] = ("w_cd", "w_ld")

    def for_layer(self, layer: int) -> DepthGated:
        return LowestDepthGated(peepholes=self.peepholes, keep_bias=self.keep_bias) if layer == 0 else self

    def cell(self, a: Values, c: Tensor, p: Values) -> Tensor:
        d = sigmoid(a.d + p.w_cd * c + p.w_ld * a.below_c)
        return super().cell(a, c, p) + d * a.below_c


class LowestDepthGated(DepthGated):
    """The lowest layer of `depth_gated`: below it there is no cell but a linear map of the input.

    l = W_l x
    d = s(W_d x + w_cd*c' + b_d)
    """

    gates = ("z", "i", "f", "o", Gate("d"), Gate("l", bias=False))
    depth_vectors = ("w_cd",)

    def cell(self, a: Values, c: Tensor, p: Values) -> Tensor:
        d = sigmoid(a.d + p.w_cd * c)
        return Vanilla.cell(self, a, c, p) + d * a.l
