"""Any cell as a module with the conventions of `torch.nn.LSTM`, so that a program swaps one line.

`torch.nn.LSTM(32, 64, batch_first=True)` becomes `variants.nn.LSTM(32, 64, batch_first=True)` for the same model, and
`variants.nn.RNN(Coupled(), 32, 64, batch_first=True)` for another cell.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .cell import Cell
from .cells import gru, lstm, rnn
from .declaration import check_whole_numbers
from .initialisation import Scheme, Stream, streams
from .layers import boundary
from .layers.control import Control
from .layers.native import Native
from .layers.recurrent import Recurrent
from .layers.torch_layout import layout_of

States = Tensor | tuple[Tensor, ...]


class FurtherOptions(TypedDict, total=False):
    """What `RNN` takes besides the arguments of `torch.nn.LSTM`; `variants.Options` describes each."""

    engine: str
    initialisation: Scheme | str | None
    recurrent_dropout: float
    zoneout: float | Mapping[str, float]
    layer_norm: bool


class RNN(nn.Module):
    """A stack of recurrent layers of any cell, called like `torch.nn.LSTM`.

    The parameters start as those of torch do, uniform in [-1/sqrt(H), 1/sqrt(H)], and then as the cell says, such as by
    its `keep_bias`. Their start and the masks of dropout are drawn from torch's global generator, which
    `torch.manual_seed` sets.

    cell: the declared cell, such as `Coupled()`, or the name of a registered one, such as "coupled".
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    num_layers: how many layers stand one above the other.
    bias: whether the gates have biases; a keep bias needs them.
    batch_first: whether inputs and outputs are [B, T, ...] in place of [T, B, ...]; states are not concerned.
    dropout: rate of dropout between layers in training, in [0, 1).
    bidirectional: whether a second cell reads the input of each layer backwards; outputs are twice as wide.
    proj_size: number of outputs P, less than H: outputs are a learned linear map of the units, which takes the cells
        `vanilla` and `peephole` to `lstmp`; any other cell is refused. 0: no projection.
    device: of the parameters.
    dtype: of the parameters; on the CPU, float32 is the fast one.
    options: `engine`, `initialisation`, `recurrent_dropout`, `zoneout` and `layer_norm`, as `variants.build` has them.

    Attributes:
        recurrent: the `Recurrent` that computes; its `engine` says which engine ran last.
        fields: names of the tensors of a state in their order, outputs first.

    Raises ValueError, naming the cell, the rule and the value, for an argument that is wrong.

    >>> from variants import Coupled
    >>> module = RNN(Coupled(), 3, 5, num_layers=2, batch_first=True)
    >>> output, (h, c) = module(torch.zeros(2, 7, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([2, 7, 5]), torch.Size([2, 2, 5]), torch.Size([2, 2, 5]))
    >>> module
    RNN(Coupled(peepholes=(), keep_bias=1.0), 3, 5, num_layers=2, batch_first=True)
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[FurtherOptions],
    ) -> None:
        super().__init__()
        cell = _checked_cell(cell)
        check_whole_numbers(cell, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise ValueError(f"{cell.title}: {name} must be True or False, got {flag!r}")
        cell = _projected(cell, proj_size, hidden_size)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.proj_size = cell.projected_size(hidden_size) if cell.projected else 0
        self.cell, self._options = cell, options
        between = dropout
        if num_layers == 1 and dropout:
            text = f"{cell.title}: dropout acts between layers and needs num_layers of at least 2, got 1 with {dropout}"
            warnings.warn(text, stacklevel=2)
            between = 0.0
        self._between = between
        self.fields = (*cell.shown, *(name for name in cell.State._fields if name not in cell.shown))
        declared = cell if bias else _without_biases(cell)
        self.recurrent = self._built(declared, _Zeros(), streams(0))
        self.reset_parameters()
        if device is not None or dtype is not None:
            self.to(device=device, dtype=dtype)

    def _built(self, cell: Cell, scheme: Scheme | str | None, stream: Stream) -> Recurrent:
        """Return layers of a cell with the options of this module."""
        further: FurtherOptions = {**self._options, "initialisation": scheme}
        return Recurrent(
            cell,
            self.input_size,
            self.hidden_size,
            layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self._between,
            stream=stream,
            generator=torch.default_generator,
            **further,
        )

    def reset_parameters(self) -> None:
        """Start all parameters again, in place, by numbers of torch's global generator.

        Nothing happens while torch traces or makes fake tensors, where parameters have no values.
        """
        if boundary.mode():
            return
        with torch.device("cpu"):
            seed = int(torch.empty((), dtype=torch.int64).random_())
            scheme = self._options.get("initialisation") or "uniform_fan"
            fresh = self._built(self.cell, scheme, streams(seed))  # with biases, which schemes and cells may set
        start = dict(fresh.named_parameters())
        with torch.no_grad():
            for name, parameter in self.recurrent.named_parameters():
                parameter.copy_(start[name])
        self.recurrent.kept = fresh.kept

    def flatten_parameters(self) -> None:
        """Do nothing: the kernels need no order of the parameters in memory. Programs for torch may call it."""

    def forward(self, input: Tensor | PackedSequence, hx: States | None = None) -> tuple[Any, States]:
        """Run over a batch of sequences.

        input: [T, B, I], with `batch_first` [B, T, I]; one sequence [T, I]; or packed sequences.
        hx: the state before the first step, by default zeros: one tensor [layers * directions, B, H] for each of
            `fields`, so (h, c) of an LSTM; the tensor itself where there is one field. For one sequence [T, I] they are
            [layers * directions, H]. The order is layer 0 forward, layer 0 backward, layer 1 ... A projected output has
            `proj_size` in place of H.

        Returns the outputs in the form of the input, with O = H * directions in place of I, and the state after the
        last step of each sequence, in the form of `hx`. A cell whose output is two fields has twice that O, and a
        projected one proj_size * directions.
        Raises ValueError, naming the cell, the rule and the value, for another shape.
        """
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        self._check_input(input)
        single = input.dim() == 2
        x = input.unsqueeze(1) if single else input
        if self.batch_first and not single:
            x = x.transpose(0, 1)
        outputs, last = self._run(x, self._given(hx, x.shape[1], single=single), None)
        if single:
            outputs, last = outputs.squeeze(1), [field.squeeze(1) for field in last]
        elif self.batch_first:
            outputs = outputs.transpose(0, 1)
        return outputs, self._form(last)

    def _packed(self, packed: PackedSequence, hx: States | None) -> tuple[PackedSequence, States]:
        """Return what `forward` does for packed sequences; the longest comes first inside."""
        data, sizes, order, back = packed
        if data.dim() != 2 or data.shape[1] != self.input_size:
            raise ValueError(
                f"{self.cell.title}: packed input must have data [N, {self.input_size}], got {list(data.shape)}"
            )
        x, lengths = pad_packed_sequence(PackedSequence(data, sizes))
        given = self._given(hx, x.shape[1], single=False)
        if given is not None and order is not None:
            given = {name: field.index_select(1, order) for name, field in given.items()}
        same = int(sizes[-1]) == int(sizes[0])
        outputs, last = self._run(x, given, None if same else lengths)
        if back is not None:
            last = [field.index_select(1, back) for field in last]
        return PackedSequence(pack_padded_sequence(outputs, lengths).data, sizes, order, back), self._form(last)

    def _run(
        self, x: Tensor, given: Mapping[str, Tensor] | None, lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return outputs [T, B, O] and the last state by field, each [layers * directions, B, H]."""
        state = None if given is None else tuple(given[name] for name in self.cell.State._fields)
        if torch.compiler.is_compiling() and not torch.compiler.is_exporting() and x.is_cpu:
            outputs, ends = _outside_graphs(self.recurrent, x, state, lengths)
        else:
            outputs, ends = self.recurrent(x, state, lengths)
        return outputs, [torch.stack([getattr(end, name) for end in ends]) for name in self.fields]

    def _form(self, last: Sequence[Tensor]) -> States:
        return last[0] if len(last) == 1 else tuple(last)

    def _check_input(self, given: object) -> None:
        """Raise ValueError where the input is not a tensor of two or three axes with the right width."""
        if isinstance(given, Tensor) and not given.is_nested:
            got: object = list(given.shape)
            if given.dim() in (2, 3) and given.shape[-1] == self.input_size:
                return
        else:
            got = "a nested tensor" if isinstance(given, Tensor) else type(given).__name__
        form = f"[B, T, {self.input_size}]" if self.batch_first else f"[T, B, {self.input_size}]"
        raise ValueError(
            f"{self.cell.title}: input must be {form}, [T, {self.input_size}] or packed sequences, got {got}"
        )

    def _given(self, hx: object, batch: int, *, single: bool) -> dict[str, Tensor] | None:
        """Return a given state by field, each [layers * directions, B, H], or None.

        batch: number of sequences B.
        single: whether the input is one sequence without an axis of sequences.
        """
        if hx is None:
            return None
        count = self.num_layers * self.recurrent.directions
        rows = [count] if single else [count, batch]
        shapes = [[*rows, self.cell.size_of(name, self.hidden_size)] for name in self.fields]
        one = len(self.fields) == 1
        given = [hx] if one else hx
        if not isinstance(given, tuple | list) or not all(isinstance(field, Tensor) for field in given):
            raise self._refused(shapes, type(hx).__name__)
        if len(given) != len(self.fields):
            raise self._refused(shapes, f"{len(given)} of them")
        for name, field, shape in zip(self.fields, given, shapes, strict=True):
            if list(field.shape) != shape:
                raise self._refused(shapes, f"{list(field.shape)} for {name}")
        if single:
            given = [field.unsqueeze(1) for field in given]
        return dict(zip(self.fields, given, strict=True))

    def _refused(self, shapes: list[list[int]], got: str) -> ValueError:
        """Return the error of a state that has another form."""
        names = ", ".join(self.fields)
        if len(shapes) == 1:
            form = f"one tensor {names} {shapes[0]}"
        elif self.cell.projected:
            form = f"tensors ({names}): {', '.join(map(str, shapes))}"
        else:
            form = f"tensors ({names}), each {shapes[0]}"
        return ValueError(f"{self.cell.title}: hx must be {form}, got {got}")

    def to_torch(self) -> nn.RNNBase:
        """Make the module of torch.nn that computes the same; its second biases are 0.

        Returns a `torch.nn.LSTM` for `vanilla` and `lstmp` without peepholes, `GRU` for `gru_reset_after`, `RNN` for
        `rnn` and `irnn`, with the options and copies of the weights of this module.
        Raises ValueError where torch has no such module.

        >>> module = LSTM(3, 5, batch_first=True)
        >>> x = torch.ones(2, 7, 3)
        >>> torch.allclose(module(x)[0], module.to_torch()(x)[0], atol=1e-6)
        True
        """
        layout = layout_of(self.cell)
        if layout is None:
            raise ValueError(
                f"{self.cell.title}: torch.nn has the cells vanilla and lstmp without peepholes, gru_reset_after, rnn "
                f"and irnn only, got {self.cell!r}"
            )
        for option in ("recurrent_dropout", "zoneout", "layer_norm"):
            if value := self._options.get(option):
                raise ValueError(f"{self.cell.title}: torch.nn has no {option}, got {value!r}")
        like = next(self.parameters())
        further = {"proj_size": self.proj_size} if self.proj_size else {}
        made: nn.RNNBase = layout.module(
            self.input_size,
            self.hidden_size,
            num_layers=self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self._between,
            bidirectional=self.bidirectional,
            device=like.device,
            dtype=like.dtype,
            **further,
        )
        with torch.no_grad():
            for part, suffix in self._places():
                held = cast(nn.ParameterDict, self.recurrent.parts[part])
                for stem, value in layout.joined(dict(held.named_parameters()), bias=self.bias).items():
                    getattr(made, stem + suffix).copy_(value)
        return made.train(self.training)

    def _places(self) -> Iterator[tuple[int, str]]:
        """Give the number of every layer and direction, and the end of torch's names of its parameters."""
        for layer in range(self.num_layers):
            for direction in range(self.recurrent.directions):
                yield layer * self.recurrent.directions + direction, f"_l{layer}" + direction * "_reverse"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """As for any module; the weights of the torch module that computes the same are understood too."""
        layout = layout_of(self.cell)
        if layout is not None:
            for part, suffix in self._places():
                stems = {stem: f"{prefix}{stem}{suffix}" for stem in layout.stems(bias=self.bias)}
                if all(name in state_dict for name in stems.values()):
                    blocks = layout.divided({stem: state_dict.pop(name) for stem, name in stems.items()})
                    state_dict |= {f"{prefix}recurrent.parts.{part}.{name}": v for name, v in blocks.items()}
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the attributes of a copy; its masks are drawn from torch's global generator too."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.recurrent.generator = torch.default_generator

    def extra_repr(self) -> str:
        """Return the arguments that differ from their defaults, as torch writes them."""
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        given = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        given += [f"{name}={value!r}" for name, value in self._options.items()]
        return ", ".join([*self._own(), str(self.input_size), str(self.hidden_size), *given])

    def _own(self) -> list[str]:
        return [repr(self.cell)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class LSTM(RNN):
    """`torch.nn.LSTM`, run by the engines of this library: the cell `vanilla` with `keep_bias=0`.

    arguments, options: those of `RNN` without the cell; with `proj_size` the cell is `lstmp`.

    It has one bias for each gate where torch has the sum of two, so that biases start from a narrower distribution.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(lstm.Vanilla(keep_bias=0.0), *arguments, **options)

    def extra_repr(self) -> str:
        """Return the arguments that differ from their defaults, as torch writes them."""
        return super().extra_repr() + (f", proj_size={self.proj_size}" if self.proj_size else "")

    def _own(self) -> list[str]:
        return []


class GRU(RNN):
    """`torch.nn.GRU`, run by the engines of this library: the cell `gru_reset_after` with `keep_bias=0`.

    arguments, options: those of `RNN` without the cell.

    It has one bias in the two gates where torch has the sum of two, and both in the candidate.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(gru.GRUResetAfter(keep_bias=0.0), *arguments, **options)

    def _own(self) -> list[str]:
        return []


def from_torch(module: nn.RNNBase) -> RNN:
    """Make the module of this library that computes the same as one of torch.nn, with copies of its weights.

    module: a `torch.nn.LSTM`, `GRU` or `RNN`; the two biases of a gate are added.

    Returns `LSTM`, `GRU`, or `RNN` of the cell `rnn` or `irnn`, with the options, type and device of the module.
    Raises ValueError for another module.

    >>> theirs = nn.GRU(3, 5)
    >>> x = torch.ones(7, 2, 3)
    >>> torch.allclose(from_torch(theirs)(x)[0], theirs(x)[0], atol=1e-6)
    True
    """
    if not isinstance(module, nn.RNNBase) or module.mode not in ("LSTM", "GRU", "RNN_TANH", "RNN_RELU"):
        raise ValueError(f"from_torch: module must be a torch.nn.LSTM, GRU or RNN, got {type(module).__name__}")
    kinds: dict[str, Callable[..., RNN]] = {"LSTM": LSTM, "GRU": GRU}
    cells = {"RNN_TANH": rnn.RNN, "RNN_RELU": rnn.IRNN}
    like = next(module.parameters())
    before = torch.get_rng_state()
    made = kinds.get(module.mode, RNN)(
        *([cells[module.mode]()] if module.mode in cells else []),
        module.input_size,
        module.hidden_size,
        num_layers=module.num_layers,
        bias=module.bias,
        batch_first=module.batch_first,
        dropout=module.dropout if module.num_layers > 1 else 0.0,
        bidirectional=module.bidirectional,
        proj_size=module.proj_size,
        device=like.device,
        dtype=like.dtype,
    )
    torch.set_rng_state(before)
    made.load_state_dict(module.state_dict())
    return made.train(module.training)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _outside_graphs(module: Recurrent, *arguments: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """Call a module as it is called without `torch.compile`, which has nothing to gain in its kernels."""
    outputs, ends = module(*arguments)
    return outputs, ends


class _Zeros(Scheme):
    """All parameters start as 0: they are set later."""

    def __call__(self, cell: Cell, blocks: Mapping[str, Tensor], stream: Stream) -> None:
        for tensor in blocks.values():
            nn.init.zeros_(tensor)


class _WithoutBiases:
    """Makes the cell of each layer without biases; it takes the place of a cell's `for_layer`.

    cell: the declared cell.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def __call__(self, layer: int) -> Cell:
        """Return the cell of a layer, whose gates have no biases."""
        return self.stripped(self._cell.for_layer(layer))

    @staticmethod
    def stripped(cell: Cell) -> Cell:
        """Return a copy of a cell whose gates have no biases."""
        made = copy.copy(cell)
        made.gates = tuple(gate._replace(bias=False) for gate in cell.preactivations)
        return made


def _without_biases(cell: Cell) -> Cell:
    """Return a copy of a cell whose gates have no biases in any layer."""
    made = _WithoutBiases.stripped(cell)
    made.for_layer = _WithoutBiases(cell)  # type: ignore[method-assign]
    return made


def _projected(cell: Cell, size: object, hidden_size: int) -> Cell:
    """Return the cell with so many outputs, or the cell itself for 0. Raises ValueError where there is none."""
    if type(size) is not int or not 0 <= size < hidden_size:
        raise ValueError(
            f"{cell.title}: proj_size must be a whole number from 0 to hidden_size - 1 = {hidden_size - 1}, "
            f"got {size!r}"
        )
    if size == 0:
        return cell
    if type(cell) not in (lstm.Vanilla, lstm.Peephole):
        raise ValueError(
            f"{cell.title}: proj_size must be 0, as only vanilla and peephole can have a projected output, got {size}"
        )
    return lstm.LSTMP(projection=size, **cell.knobs)  # type: ignore[arg-type]


def _checked_cell(cell: object) -> Cell:
    """Return the cell that is meant. Raises ValueError where there is none."""
    known = {name: cls for name, cls in Cell.registry.items() if not cls.control}
    if isinstance(cell, str) and cell in known:
        return known[cell]()
    if isinstance(cell, Native):
        raise ValueError(f"{cell.title}: is torch's own module, which needs no other form, got {cell!r}")
    if isinstance(cell, Control):
        raise ValueError(f"{cell.title}: is {cell.is_a}, for which there is variants.build, got {cell!r}")
    if not isinstance(cell, Cell):
        raise ValueError(
            f"RNN: cell must be a cell such as Coupled(), or one of the names {', '.join(known)}, got {cell!r}"
        )
    return cell


__all__ = ["GRU", "LSTM", "RNN", "from_torch"]
