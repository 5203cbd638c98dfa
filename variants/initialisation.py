"""Initialisation schemes: how the parameters of any cell start, independent of which cell it is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from .cell import Cell, register
from .layers.boundary import mode

Stream = Callable[[str], torch.Generator]
"""Gives the random generator that belongs to a purpose; the same purpose gives a generator in the same state."""


def streams(*seed: int | str) -> Stream:
    """Derive independent random streams from a seed.

    seed: one or more numbers and words. Different seeds give different streams.

    Returns a function from a purpose, such as "validation", to a new generator; the same seed and purpose always give
    the same numbers, and different purposes give independent ones.

    >>> first, again = (streams(3)("validation") for _ in range(2))
    >>> torch.equal(torch.rand(2, generator=first), torch.rand(2, generator=again))
    True
    """

    def stream(purpose: str) -> torch.Generator:
        digest = hashlib.sha256("/".join(map(str, (*seed, purpose))).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))

    return stream


def within(stream: Stream, place: str) -> Stream:
    """Derive the streams of one part of a model from those of the whole.

    stream: of the whole model.
    place: a name of the part, such as "0.1" for layer 0 backwards.

    Returns a function from a purpose to a generator, as `streams` does.

    >>> whole = streams(3)
    >>> torch.equal(
    ...     torch.rand(2, generator=within(whole, "0.1")("W_f")), torch.rand(2, generator=whole("0.1.W_f"))
    ... )
    True
    """
    return lambda purpose: stream(f"{place}.{purpose}")


class Scheme:
    """How the parameters of a cell start.

    A subclass with a name is registered: `class Zero(Scheme, name="zero")`. It defines `fill`, `finish` where several
    blocks depend on each other, and `readout` where the read-out does not start after Glorot. Keyword arguments of
    `__init__` are its knobs; they become its typed configuration.

    A scalar starts as the first value of a vector would, and a learned start of the state as a vector does.

    Every block has a stream of random numbers of its own, which its name chooses. So cells that have a block in common,
    such as W_z of an LSTM with and without a forget gate, start with the same values of it.

    Attributes:
        registry: all schemes with a name, by name.
        name: under which the scheme is registered; empty for a class without a name.

    >>> from variants import GRU, build
    >>> class Zero(Scheme):
    ...     def fill(self, kind, tensor, generator):
    ...         tensor.zero_()
    >>> module = build(GRU(keep_bias=0.0), input_size=2, hidden_size=3, initialisation=Zero())
    >>> all(not p.any() for p in module.parameters())
    True
    """

    registry: ClassVar[dict[str, type[Scheme]]] = {}
    name: ClassVar[str] = ""

    def __init_subclass__(cls, name: str | None = None) -> None:
        super().__init_subclass__()
        if name is not None:
            register("initialisation", Scheme.registry, name, cls)
            cls.name = name

    def __call__(self, cell: Cell, blocks: Mapping[str, Tensor], stream: Stream) -> None:
        """Fill the blocks of one layer and direction in place.

        cell: the cell as it stands in the layer.
        blocks: every block of `cell.blocks` by name, and possibly `P`, the projection of the input.
        stream: gives the generator of a block by its name.
        """
        kinds = {b.name: "p" if b.kind == "h" else b.kind for b in cell.blocks} | {"P": "P"}
        units = max(len(tensor) for tensor in blocks.values())
        with torch.no_grad():
            for block, tensor in blocks.items():
                if kinds[block] == "s":
                    vector = tensor.new_full((units,), math.nan)
                    self.fill("p", vector, stream(block))
                    tensor.copy_(vector[:1])
                elif kinds[block] == "R":
                    generator = stream(block)
                    for matrix in tensor.chunk(cell.heads):
                        self.fill("R", matrix, generator)
                else:
                    self.fill(kinds[block], tensor, stream(block))
            cell.add_keep_bias(blocks)
            cell.after_initialisation(blocks)
            self.finish(cell, blocks, stream)

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        """Fill one block in place.

        kind: "W" or "P" for a matrix [H, I], "R" for [H, H] (of a cell with heads, one head's; of one with a projected
            output, also [H, P] and [P, H]), "b" or "p" for [H].
        tensor: the block.
        generator: where all random numbers of the block come from.
        """
        raise NotImplementedError

    def finish(self, cell: Cell, blocks: Mapping[str, Tensor], stream: Stream) -> None:
        """Set what depends on several blocks, after `fill` and after the cell's own `after_initialisation`.

        cell: the cell as it stands in the layer.
        blocks: as in a call, filled.
        stream: gives a generator for a purpose.
        """

    def readout(self, weight: Tensor, bias: Tensor, stream: Stream) -> None:
        """Fill a linear read-out in place: by default uniform after Glorot, with zero bias.

        weight: [O, H], where H is the width of what it reads, twice that of a layer with two directions.
        bias: [O].
        stream: gives a generator for a purpose.
        """
        nn.init.xavier_uniform_(weight, generator=stream("readout"))
        nn.init.zeros_(bias)


def initialise(scheme: Scheme, cell: Cell, blocks: Mapping[str, Tensor], stream: Stream) -> None:
    """Fill the blocks of one layer and direction by a scheme.

    scheme: how they start.
    cell: the cell as it stands in the layer.
    blocks: every block by name, changed in place.
    stream: gives the generator of a block by its name.

    Raises ValueError where the scheme fails or leaves a block without finite values.
    """
    with torch.no_grad():
        for tensor in blocks.values():
            tensor.fill_(math.nan)
    name = scheme.name or type(scheme).__name__
    try:
        scheme(cell, dict(blocks), stream)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"{cell.title}: the initialisation {name} fails: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    for block, tensor in blocks.items():
        if not tensor.is_meta and not mode() and not bool(tensor.isfinite().all()):
            raise ValueError(
                f"{cell.title}: the initialisation {name} must fill every block in place with finite "
                f"values, got others in {block}"
            )


def initialise_readout(scheme: Scheme, weight: Tensor, bias: Tensor, stream: Stream) -> None:
    """Fill a linear read-out by a scheme.

    scheme: how it starts.
    weight: [O, H], changed in place.
    bias: [O], changed in place.
    stream: gives a generator for a purpose.

    Raises ValueError where the scheme leaves it without finite values.
    """
    with torch.no_grad():
        weight.fill_(math.nan)
        bias.fill_(math.nan)
        scheme.readout(weight, bias, stream)
    if not bool(weight.isfinite().all() and bias.isfinite().all()):
        name = scheme.name or type(scheme).__name__
        raise ValueError(f"the initialisation {name} must fill the read-out in place with finite values, got others")


def scheme_of(cell: Cell, given: Scheme | str | None, default: type[Scheme]) -> Scheme:
    """Find the scheme that an option means.

    cell: for its name in messages.
    given: a scheme, the name of one, or None.
    default: the class that None stands for.

    Returns the scheme.
    Raises ValueError for a name that is not registered.

    >>> from variants import GRU
    >>> type(scheme_of(GRU(), "gaussian", GlorotOrthogonal)).__name__
    'Gaussian'
    """
    if isinstance(given, Scheme):
        return given
    if given is not None and not (isinstance(given, str) and given in Scheme.registry):
        raise ValueError(
            f"{cell.title}: initialisation must be one of {', '.join(sorted(Scheme.registry))}, got {given!r}"
        )
    return default() if given is None else Scheme.registry[given]()


class GlorotOrthogonal(Scheme, name="glorot_orthogonal"):
    """Uniform input matrices, orthogonal recurrent matrices, biases and vectors 0.

    W ~ U[-a, a] with a = sqrt(6 / (I + H)) for each gate's matrix.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks" (W); Saxe,
    McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"
    (R).
    """

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        if kind == "R":
            nn.init.orthogonal_(tensor, generator=generator)
        elif kind in "WP":
            nn.init.xavier_uniform_(tensor, generator=generator)
        else:
            tensor.zero_()


class Identity(GlorotOrthogonal, name="identity"):
    """Every recurrent matrix starts as the identity; all else as in `glorot_orthogonal`.

    Source: Le, Jaitly & Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", here
    for any cell.
    """

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        if kind == "R":
            nn.init.eye_(tensor)
        else:
            super().fill(kind, tensor, generator)


class Gaussian(Scheme, name="gaussian"):
    """Everything from N(0, std^2).

    std: the standard deviation, above 0.

    Source: Greff et al. 2017, "LSTM: A Search Space Odyssey", section III, with std = 0.1.
    """

    def __init__(self, *, std: float = 0.1) -> None:
        if std <= 0:
            raise ValueError(f"gaussian: std must be positive, got {std}")
        self.std = std

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        tensor.normal_(0.0, self.std, generator=generator)

    def readout(self, weight: Tensor, bias: Tensor, stream: Stream) -> None:
        generator = stream("readout")
        for tensor in (weight, bias):
            tensor.normal_(0.0, self.std, generator=generator)


class Uniform(Scheme, name="uniform"):
    """Everything from U[-bound, bound].

    bound: the largest absolute value, above 0.

    Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", section 5, with bound = 0.1.
    """

    def __init__(self, *, bound: float = 0.1) -> None:
        if bound <= 0:
            raise ValueError(f"uniform: bound must be positive, got {bound}")
        self.bound = bound

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        tensor.uniform_(-self.bound, self.bound, generator=generator)

    def readout(self, weight: Tensor, bias: Tensor, stream: Stream) -> None:
        generator = stream("readout")
        for tensor in (weight, bias):
            tensor.uniform_(-self.bound, self.bound, generator=generator)


class UniformFan(Scheme, name="uniform_fan"):
    """Everything from U[-1/sqrt(H), 1/sqrt(H)].

    Source: `torch.nn.LSTM`.
    """

    def fill(self, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
        units = max(tensor.shape) if kind == "R" else tensor.shape[0]
        bound = 1.0 / math.sqrt(units)
        tensor.uniform_(-bound, bound, generator=generator)

    def readout(self, weight: Tensor, bias: Tensor, stream: Stream) -> None:
        bound, generator = 1.0 / math.sqrt(weight.shape[1]), stream("readout")
        for tensor in (weight, bias):
            tensor.uniform_(-bound, bound, generator=generator)


class Chrono(GlorotOrthogonal, name="chrono"):
    """Biases that spread the cell's memory over lags up to t_max; matrices as in `glorot_orthogonal`.

        b_keep = log U[1, t_max - 1]
        b_write = -b_keep

    The gate that keeps is f of an LSTM, 1 - i of a coupled one, u of a GRU. Its bias is set to b_keep, whatever the
    knob `keep_bias` of the cell says. A cell without such a gate, or whose gate has no bias, starts as with
    `glorot_orthogonal`.

    t_max: the longest lag in steps that the cell shall remember at the start, above 2.

    Source: Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3.
    """

    def __init__(self, *, t_max: float = 100.0) -> None:
        if t_max <= 2:
            raise ValueError(f"chrono: t_max must be above 2, got {t_max}")
        self.t_max = t_max

    def finish(self, cell: Cell, blocks: Mapping[str, Tensor], stream: Stream) -> None:
        if cell.keeps is None or f"b_{cell.keeps[0]}" not in blocks:
            return
        gate, sign = cell.keeps
        bias = blocks[f"b_{gate}"]
        times = torch.empty_like(bias).uniform_(1.0, self.t_max - 1.0, generator=stream("chrono"))
        bias.copy_(sign * times.log())
        if cell.writes is not None and f"b_{cell.writes[0]}" in blocks:
            gate, sign = cell.writes
            blocks[f"b_{gate}"].copy_(-sign * times.log())
