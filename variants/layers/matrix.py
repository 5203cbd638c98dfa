"""mLSTM, whose memory is a matrix: an eager block behind the contract of a variant.

The memory of a sequence is computed in one of two forms that give the same numbers: `recurrent` goes from step to step
as the equations do, `chunked` computes `CHUNK` steps at once by products of matrices. A call of one step takes the
first, a longer one the second, which is several times as fast.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..cell import Gate
from ..engine import ENGINES, select_steps
from ..initialisation import GlorotOrthogonal, initialise, scheme_of, streams, within
from .control import Control, ControlRecurrent
from .options import GivenOptions, Options
from .passes import reverse
from .recurrent import kept_at_start

CHUNK = 64
"""How many steps are computed at once: the products of a chunk grow with its square, those between chunks with d^2."""
LARGEST = 80.0
"""Of the exponent in exp(-m): its exponential is just below the largest number of single precision."""


class MatrixState(NamedTuple):
    """State of an mLSTM: output `y` [B, H], the matrices `c` [B, H * d] of all heads row by row, `n` and `m`.

    d = H / heads; the normaliser `n` is [B, H], the stabiliser `m` [B, heads].
    """

    y: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


class Memory(NamedTuple):
    """What a layer remembers between steps: `c` [B, heads, d, d], `n` [B, heads, d] and `m` [B, heads]."""

    c: Tensor
    n: Tensor
    m: Tensor


class Signals(NamedTuple):
    """What drives the memory, computed from the inputs alone: `q`, `k` and `v` [B, heads, T, d].

    i, f: logarithms of the input gate and of the forget gate, [B, heads, T].
    """

    q: Tensor
    k: Tensor
    v: Tensor
    i: Tensor
    f: Tensor

    def part(self, first: int, count: int) -> Signals:
        """Return those of some steps."""
        q, k, v, i, f = (s.narrow(2, first, min(count, s.shape[2] - first)) for s in self)
        return Signals(q, k, v, i, f)


def recurrent(signals: Signals, memory: Memory) -> tuple[Tensor, Memory]:
    """Compute what the memory answers from step to step.

    signals: of T steps.
    memory: before the first step.

    Returns the answers [B, heads, T, d] before the output gate, and the memory after the last step.
    """
    c, n, m = memory
    answers = []
    for q, k, v, i, f in zip(*(s.unbind(2) for s in signals), strict=True):
        kept, m_old = f + m, m
        m = torch.maximum(kept, i).detach()  # a common factor of c and n, by which no answer changes
        f, i = torch.exp(f + m_old - m).unsqueeze(-1), torch.exp(i - m).unsqueeze(-1)  # [B, heads, 1]
        c = f.unsqueeze(-1) * c + (i * v).unsqueeze(-1) * k.unsqueeze(-2)
        n = f * n + i * k
        answers.append(_normalised((c @ q.unsqueeze(-1)).squeeze(-1), (n * q).sum(-1), m))
    return torch.stack(answers, dim=2), Memory(c, n, m)


def chunked(signals: Signals, memory: Memory | None, *, final: bool = True) -> tuple[Tensor, Memory | None]:
    """Compute what the memory answers, `CHUNK` steps at once; arguments and results are those of `recurrent`.

    memory: before the first step, or None for an empty one.
    final: whether the memory after the last step is wanted.

    With F the sum of log f since the start of the chunk, step s has the weight exp(i_s - F_s - M_t) in the answer of
    step t, where M_t = m_t - F_t is the largest of m before the chunk and of i_s - F_s up to t.
    """
    steps = signals.q.shape[2]
    answers = []
    for first in range(0, steps, CHUNK):
        own = signals.part(first, CHUNK)
        wanted = final or first + CHUNK < steps
        answer, memory = _chunk(own, memory, final=wanted)
        answers.append(answer)
    return answers[0] if len(answers) == 1 else torch.cat(answers, dim=2), memory


def _chunk(signals: Signals, memory: Memory | None, *, final: bool) -> tuple[Tensor, Memory | None]:
    """Compute the steps of one chunk, and with `final` the memory after the last of them."""
    q, k, v, i, f = signals
    forgotten = f.cumsum(-1)  # F [B, heads, T]
    written = i - forgotten
    start = written.new_zeros(written.shape[:2]) if memory is None else memory.m
    largest = torch.maximum(written.detach().cummax(-1).values, start.detach().unsqueeze(-1))  # M
    exponents = written.unsqueeze(-2) - largest.unsqueeze(-1)  # [B, heads, T, T]: of step s in the answer of step t
    later = exponents.new_ones(exponents.shape[-2:], dtype=torch.bool).triu(1)
    exponents = exponents.masked_fill(later, -math.inf)
    weights = exponents.exp() * (q @ k.transpose(-1, -2))  # [B, heads, T, T]
    answers, sums = weights @ v, weights.sum(-1)
    if memory is not None:
        kept = (start.unsqueeze(-1) - largest).exp().unsqueeze(-1)  # [B, heads, T, 1]
        answers = answers + kept * (q @ memory.c.transpose(-1, -2))
        sums = sums + (kept * q @ memory.n.unsqueeze(-1)).squeeze(-1)
    answers = _normalised(answers, sums, forgotten + largest)
    if not final:
        return answers, None
    weighted = k * (written - largest[..., -1:]).exp().unsqueeze(-1)
    c, n = v.transpose(-1, -2) @ weighted, weighted.sum(-2)
    if memory is not None:
        kept = (start - largest[..., -1]).exp().unsqueeze(-1)  # [B, heads, 1]
        c, n = c + kept.unsqueeze(-1) * memory.c, n + kept * memory.n
    return answers, Memory(c, n, forgotten[..., -1] + largest[..., -1])


def _normalised(answers: Tensor, sums: Tensor, m: Tensor) -> Tensor:
    """Return answers [..., d] divided by max(|n.q|, exp(-m))."""
    return answers / torch.maximum(sums.abs(), torch.exp((-m).clamp(max=LARGEST))).unsqueeze(-1)


class MatrixRecurrent(ControlRecurrent):
    """A stack of layers of `MLSTM` with the interface of `Recurrent`, run by autograd over products of matrices.

    It runs on any device and in any floating-point type.

    cell: an `MLSTM`.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer, divisible by the heads.
    options: those of `Options`, as keyword arguments; it takes no regularisers, and "auto" or "eager" as the engine.

    Attributes:
        parts: one dictionary of parameters per layer and direction, layer 0 forward first, as in `Recurrent`.

    Raises ValueError, naming the cell, for a size or an option that is wrong.

    >>> module = MatrixRecurrent(MLSTM(heads=2), input_size=3, hidden_size=6)
    >>> outputs, state = module(torch.zeros(7, 2, 3))
    >>> outputs.shape, state[0].c.shape
    (torch.Size([7, 2, 6]), torch.Size([2, 18]))
    """

    engine = "eager"

    def __init__(self, cell: MLSTM, input_size: int, hidden_size: int, **options: Unpack[GivenOptions]) -> None:
        super().__init__(cell, input_size, hidden_size, **options)
        given = Options(**options)
        self.heads = cell.heads
        self.why_eager = cell.why_eager if given.engine == "auto" else ""
        scheme, stream = scheme_of(cell, given.initialisation, GlorotOrthogonal), given.stream or streams(0)
        self.parts = nn.ModuleList()
        filled = []
        for layer in range(self.layers):
            width = self.output_size if layer > 0 else input_size
            shapes = cell.block_shapes(width, hidden_size)
            for direction in range(self.directions):
                like = torch.empty(hidden_size, width)
                blocks = {b.name: like.new_empty(like.shape if b.kind == "W" else (hidden_size,)) for b in cell.blocks}
                initialise(scheme, cell, blocks, within(stream, f"{layer}.{direction}"))
                # a gate of a head starts as that of its first unit would
                blocks = {n: v[:: hidden_size // shapes[n][0]].clone() for n, v in blocks.items()}
                self.parts.append(nn.ParameterDict([(n, nn.Parameter(v)) for n, v in blocks.items()]))
                filled.append((cell, blocks))
        self.kept = kept_at_start(filled)
        # v k^T is added to c, which is multiplied with q: two operations each for every number of c
        self.remembered_flops = 4 * len(self.parts) * hidden_size * (hidden_size // self.heads)

    @staticmethod
    def _check_engine(cell: Control, engine: str) -> None:
        if engine not in ENGINES:
            raise ValueError(f"{cell.title}: engine must be one of {', '.join(ENGINES)}, got {engine!r}")
        if engine == "fused":
            raise ValueError(f"{cell.title}: cannot be fused: {cell.why_eager}")

    def why_no_pass(self) -> str:
        """Say why there are no training steps or evaluations in prepared memory, as `Recurrent` does."""
        return self.cell.why_eager

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
        active = None
        if lengths is not None:
            active = torch.arange(len(x), device=x.device).unsqueeze(-1) < lengths  # [T, B]
            x = x.masked_fill(~active.unsqueeze(-1), 0.0)
        ends: list[MatrixState] = []
        for layer in range(self.layers):
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                turned = reverse(x, active) if direction == 1 else x
                y, memory = self._layer(k, turned, None if states is None else states[k], active, final=final)
                if memory is not None:
                    c, n, m = memory
                    ends.append(MatrixState(_last(y, lengths), c.flatten(1), n.flatten(1), m))
                outputs.append(reverse(y, active) if direction == 1 else y)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if active is not None:
                x = x.masked_fill(~active.unsqueeze(-1), 0.0)
        return select_steps(x, reads), tuple(ends)

    def _layer(
        self, k: int, x: Tensor, state: MatrixState | None, active: Tensor | None, *, final: bool
    ) -> tuple[Tensor, Memory | None]:
        """Return the outputs [T, B, H] of one layer and direction, and with `final` what it remembers at the end."""
        p = cast(nn.ParameterDict, self.parts[k])
        steps, batch, size = len(x), x.shape[1], self.hidden_size // self.heads
        shape = (steps, batch, self.heads, size)
        names = [gate.name for gate in self.cell.preactivations]
        values = functional.linear(x, torch.cat([p[f"W_{n}"] for n in names]), torch.cat([p[f"b_{n}"] for n in names]))
        q, key, v, o, i, f = torch.split(values, [len(p[f"b_{n}"]) for n in names], dim=-1)
        q, key, v = (s.reshape(shape).permute(1, 2, 0, 3) for s in (q, key / math.sqrt(size), v))
        i, f = i.permute(1, 2, 0), functional.logsigmoid(f).permute(1, 2, 0)  # [B, heads, T]
        if active is not None:  # behind the end nothing is written and nothing is forgotten
            over = ~active.T.unsqueeze(1)
            i, f = i.masked_fill(over, -math.inf), f.masked_fill(over, 0.0)
        signals, memory = Signals(q, key, v, i, f), None
        if state is not None:
            c, n, m = (s.to(values.dtype) for s in state[1:])
            memory = Memory(c.reshape(batch, self.heads, size, size), n.reshape(batch, self.heads, size), m)
        end: Memory | None
        if steps == 1:
            answers, end = recurrent(signals, memory or self._empty(values))
        else:
            answers, end = chunked(signals, memory, final=final)
        return torch.sigmoid(o) * answers.permute(2, 0, 1, 3).flatten(2), end if final else None

    def _empty(self, values: Tensor) -> Memory:
        """Return the memory before the first step, in the type of values [T, B, ...]."""
        batch, size = values.shape[1], self.hidden_size // self.heads
        c = values.new_zeros(batch, self.heads, size, size)
        return Memory(c, c.new_zeros(batch, self.heads, size), c.new_zeros(batch, self.heads))

    def extra_repr(self) -> str:
        return f"{self.cell!r}, {self.input_size}, {self.hidden_size}, layers={self.layers}, engine={self.engine!r}"


def _last(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last step of each sequence of [T, B, H]."""
    return sequence[-1] if lengths is None else select_steps(sequence, (lengths - 1).long().unsqueeze(0))[0]


class MLSTM(Control, name="mlstm"):
    """mLSTM: an LSTM whose memory is a matrix, and whose gates do not hear its output. It runs as an eager block.

        q = W_q x + b_q    k = (W_k x + b_k)/sqrt(d)    v = W_v x + b_v    o = s(W_o x + b_o)
        l = log(s(W_f x + b_f)) + m'
        u = W_i x + b_i
        m = max(l, u)
        c = exp(l-m)*c' + exp(u-m)*(v k^T)
        n = exp(l-m)*n' + exp(u-m)*k
        y = o*(c q)/max(|n q|, exp(-m))

    `x` [B, I], `y`, `n`, `q`, `k`, `v`, `o` [B, H]; of each of the heads `c` [B, d, d] with d = H/heads, and one number
    for each of `m`, `l`, `u` and n q. m only keeps numbers small: y does not depend on it. Differs from `slstm` in the
    memory of d numbers per unit, which q asks for what was stored under a key k like it, and in that nothing hears the
    output, so that all steps are computed at once. It is no elementwise step, so that it has no fused kernel and takes
    no regularisers. This is the cell of the paper, without the convolution, norm and projections of the paper's block.

    The paper writes h for y and adds b_k undivided; the division is that of the authors' code, which also adds 1e-6 to
    the divisor of y. All gates start as the initialisation says, those of a head as those of its first unit would. The
    authors' code (NX-AI, xlstm 2.0.6) instead starts W_i and W_f at 0, b_i at N(0, 0.1) and b_f from 3 to 6 over the
    heads, about what keep_bias=4.5 gives.

    heads: number of groups of units with a memory each; H must be divisible by it. Time and memory grow with H/heads.

    keep_bias: added at the start of training to the bias of the forget gates, so that more is kept.

    Parameters: (4H+2*heads)(I+1).
    """

    State = MatrixState
    recurrent = MatrixRecurrent
    runs = "a module of its own"
    is_a = "an eager block with a matrix memory"
    why_eager = "its memory is a matrix, which no fused kernel holds"
    gates = (Gate("q"), Gate("k"), Gate("v"), Gate("o"), Gate("i"), Gate("f"))
    keeps = ("f", 1)
    writes = ("i", 1)
    source = "Beck et al. 2024, 'xLSTM: Extended Long Short-Term Memory', mLSTM"

    def __init__(self, *, heads: int = 1, keep_bias: float = 1.0) -> None:
        if not isinstance(heads, int) or isinstance(heads, bool) or heads < 1:
            raise ValueError(f"{self.name}: heads must be a whole number of at least 1, got {heads!r}")
        self.heads = heads
        self.keep_bias = keep_bias

    def block_shapes(self, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """As for any cell, but the gates i and f have one row per head."""
        shapes = super().block_shapes(input_size, hidden_size)
        return {b.name: (self.heads, *shapes[b.name][1:]) if b.gate in "if" else shapes[b.name] for b in self.blocks}

    def size_of(self, name: str, hidden_size: int) -> int:
        """As for any cell, but the field `c` has a matrix per head, and `m` a number."""
        return {"c": hidden_size * (hidden_size // self.heads), "m": self.heads}.get(name, hidden_size)
