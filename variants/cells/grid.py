"""An LSTM along time and an LSTM along depth at every point of the grid of steps and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Values, feed


class GridState(NamedTuple):
    """Outputs of the LSTM along depth, `h_depth` and `c_depth`, and of the LSTM along time, `h_time` and `c_time`, each
    [B, H].
    """

    h_depth: Tensor
    c_depth: Tensor
    h_time: Tensor
    c_time: Tensor


class Grid(Cell[GridState], name="grid"):
    """2-D Grid LSTM, time first: memory cells along depth as well as along time.

        zt = tanh(W_zt x + R_zt h_time' + b_zt)      it, ft, ot = s(W x + R h_time' + b)
        c_time = ft*c_time' + it*zt                  h_time = ot*tanh(c_time)
        zd = tanh(W_zd x + R_zd h_time + b_zd)       id, fd, od = s(W x + R h_time + b)
        c_depth = fd*l + id*zd                       h_depth = od*tanh(c_depth)

    `x` [B, H] is h_depth of the layer below and `l` [B, H] its c_depth, both at the same step. The LSTM along depth
    hears the new h_time.
    The input enters through depth: in the lowest layer x stands for P x, a learned projection [H, I], and l for 0, so
    there is no fd. Layers hand on h_depth and c_depth, steps h_time and c_time; the output is h_depth. The paper writes
    tanh(o*c) for o*tanh(c); its matrices act on H = [h_time, h_depth] where ours are split into R and W.

    tied: whether all layers share the weights of the LSTM along depth.
    keep_bias: added at the start of training to the biases of both forget gates, ft and fd, so that more is kept.

    Parameters: 8H(2H+1), in the lowest layer 7H(2H+1), and once HI for the projection; with tied depth, each layer
    above the second has 4H(2H+1) and the second has H(2H+1) more.
    """

    State = GridState
    gates: Sequence[str | Gate] = (
        *(Gate(g, hears=("h_time",)) for g in ("zt", "it", "ft", "ot")),
        *(Gate(g, hears=("new_h_time",)) for g in ("zd", "id", "fd", "od")),
    )
    above = ("c_depth",)
    remembers = ("h_time", "c_time")
    keeps = ("ft", 1)
    writes = ("it", 1)
    projects_input = True
    source = "Kalchbrenner, Danihelka & Graves 2015, 'Grid Long Short-Term Memory', section 3"

    def __init__(self, *, tied: bool = False, keep_bias: float = 1.0) -> None:
        self.tied = tied
        self.keep_bias = keep_bias
        self.shared = tuple(gate.name for gate in self.preactivations if gate.name.endswith("d")) if tied else ()

    def for_layer(self, layer: int) -> Grid:
        return LowestGrid(tied=self.tied, keep_bias=self.keep_bias) if layer == 0 else self

    @feed
    def new_h_time(self, a: Values, s: GridState, p: Values) -> Tensor:
        return self.along_time(a, s)[0]

    def step(self, a: Values, s: GridState, p: Values) -> GridState:
        h_time, c_time = self.along_time(a, s)
        c_depth = self.c_depth(a)
        h_depth = sigmoid(a.od) * tanh(c_depth)
        return GridState(h_depth=h_depth, c_depth=c_depth, h_time=h_time, c_time=c_time)

    def along_time(self, a: Values, s: GridState) -> tuple[Tensor, Tensor]:
        c_time = sigmoid(a.ft) * s.c_time + sigmoid(a.it) * tanh(a.zt)
        return sigmoid(a.ot) * tanh(c_time), c_time

    def c_depth(self, a: Values) -> Tensor:
        return sigmoid(a.fd) * a.below_c_depth + sigmoid(a.id) * tanh(a.zd)

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        if "b_fd" in blocks:
            blocks["b_fd"].add_(self.keep_bias)


class LowestGrid(Grid):
    """The lowest layer of `grid`: nothing has been stored along depth yet.

    c_depth = id*zd
    """

    gates = tuple(g for g in Grid.gates if isinstance(g, Gate) and g.name != "fd")

    def c_depth(self, a: Values) -> Tensor:
        return sigmoid(a.id) * tanh(a.zd)
