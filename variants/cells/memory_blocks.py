"""The network of 1997: memory blocks of two cells that share their gates, in a fully connected hidden layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, sigmoid, tanh

from ..cell import Cell, Gate, Values, feed


class BlockState(NamedTuple):
    """State of memory blocks: outputs `y1`, `y2` and cells `c1`, `c2`, and their gates `i`, `o`, each [B, H]."""

    y1: Tensor
    y2: Tensor
    c1: Tensor
    c2: Tensor
    i: Tensor
    o: Tensor


class MemoryBlocks(Cell[BlockState], name="memory_blocks"):
    """The network of 1997: H memory blocks of two cells that share an input gate and an output gate.

        u' = (y1', y2', i', o'), all cells and gates of the layer, as a constant
        i  = s(W_i x + R_i u' + b_i)
        o  = s(W_o x + R_o u' + b_o)
        c1 = c1' + i*g(W_z1 x + R_z1 u' + b_z1)     g(v) = 4 s(v) - 2 = 2 tanh(v/2), in [-2, 2]
        c2 = c2' + i*g(W_z2 x + R_z2 u' + b_z2)
        y1 = o*h(c1)                                h(v) = 2 s(v) - 1 = tanh(v/2), in [-1, 1]
        y2 = o*h(c2)

    Everything hears everything: each R of a formula stands for four matrices [H, H], one for each part of u'. The
    output is y1 beside y2, 2H numbers; gates are not read. There is no forget gate. The gradient is truncated: errors
    reach W, R and b at the gates and block inputs and go no further back; through time they flow in c alone.
    `lstm_1997` has one cell a block, and its gates do not hear each other. The hidden size H counts blocks. Published
    networks have two blocks for adding and for two relevant symbols, three for three symbols.

    input_gate_bias: the biases b_i at the start of training, from the first block on and again from the first value
        where there are more blocks than values; by default they start as the initialisation says. Published: -3, -6
        for adding; -2, -4 for temporal order with two symbols, and -6 for a third block.

    With 2 inputs, 2 blocks and a read-out of one unit there are 88 + 5 = 93 weights as published for adding, with 8
    inputs and 4 units 136 + 20 = 156. Parameters: 4H(I+4H+1).
    """

    State = BlockState
    shows = ("y1", "y2")
    gates = tuple(
        Gate(g, hears=("constant_y1", "constant_y2", "constant_i", "constant_o")) for g in ("z1", "z2", "i", "o")
    )
    source = "Hochreiter & Schmidhuber 1997, 'Long Short-Term Memory', sections 4, 5.4, 5.6 and appendix A.1"

    def __init__(self, *, input_gate_bias: tuple[float, ...] = ()) -> None:
        self.input_gate_bias = tuple(input_gate_bias)

    @feed
    def constant_y1(self, a: Values, s: BlockState, p: Values) -> Tensor:
        return s.y1.detach()

    @feed
    def constant_y2(self, a: Values, s: BlockState, p: Values) -> Tensor:
        return s.y2.detach()

    @feed
    def constant_i(self, a: Values, s: BlockState, p: Values) -> Tensor:
        return s.i.detach()

    @feed
    def constant_o(self, a: Values, s: BlockState, p: Values) -> Tensor:
        return s.o.detach()

    def step(self, a: Values, s: BlockState, p: Values) -> BlockState:
        i, o = sigmoid(a.i), sigmoid(a.o)
        c1 = s.c1 + i * (2.0 * tanh(0.5 * a.z1))
        c2 = s.c2 + i * (2.0 * tanh(0.5 * a.z2))
        return BlockState(y1=o * tanh(0.5 * c1), y2=o * tanh(0.5 * c2), c1=c1, c2=c2, i=i, o=o)

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        if self.input_gate_bias:
            bias, given = blocks["b_i"], torch.tensor(self.input_gate_bias)
            bias.copy_(given.repeat(len(bias) // len(given) + 1)[: len(bias)])
