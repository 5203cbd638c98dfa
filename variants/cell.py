"""The contract of a cell: what it declares, what follows from the declaration, and the registry.

A cell is a declaration, not a module: it owns no tensors. It names its pre-activations (`gates`), what each of them
hears, its per-unit vectors, and writes one elementwise `step`. Parameter shapes and counts, initialisation, both
engines, the tests, the benchmark and the catalogue are derived from that.

Letters follow Greff et al. 2017: `W` input weights, `R` recurrent weights, `p` per-unit vectors, `b` biases. Shapes: T
steps, B sequences, I inputs, H hidden units; time comes first.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple

import torch
from torch import Tensor
from typing_extensions import TypeVar

F = TypeVar("F", bound=Callable[..., Tensor])
S = TypeVar("S", bound=NamedTuple, default=Any)
"""The State of a cell. A bare `Cell` leaves it open."""
C = TypeVar("C", bound=type)


class Values(SimpleNamespace):
    """Named tensors of one step, each [B, H] or [H]: `a.f`, `p.p_f`.

    To a type checker every name is a tensor, since the names follow from the gates, and those may depend on a knob. A
    misspelt name is refused when a layer of the cell is built: one step is tried, and the message lists the names.
    """

    if TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Tensor: ...

    def __getattr__(self, name: str) -> Tensor:
        raise AttributeError(f"there is no {name!r} here; there is: {', '.join(vars(self)) or 'nothing'}")


class Gate(NamedTuple):
    """One pre-activation of a cell: `W x + sum of R source + b`, every term optional.

    name: how the step reads it, `a.<name>`; its parameters are W_<name>, R_<name> and b_<name>.
    hears: the sources that are multiplied by a recurrent matrix R: fields of the state, or methods marked `@feed`.
    input: whether there is a term W x.
    bias: whether there is a term b.
    """

    name: str
    hears: tuple[str, ...] = ()
    input: bool = True
    bias: bool = True


class Source(NamedTuple, Generic[S]):
    """One recurrent product of a step: R [len(gates) * H, H / heads] times a vector per sequence [B, H].

    A projected field has P values in place of H, and so has its gate.

    name: of a field of the state, or of a method marked `@feed`.
    gates: names of the pre-activations that hear it, neighbours in the order of the cell's gates.
    feed: elementwise function (a, s, p) -> [B, H] of what is known so far, or None for a field of the state.
    """

    name: str
    gates: tuple[str, ...]
    feed: Callable[[Values, S, Values], Tensor] | None


class Block(NamedTuple):
    """One named piece of a cell's parameters, such as W_f, R_f, b_f or p_f.

    name: as in `Cell.blocks`.
    kind: "W" [H, I], "R" [H, H / heads], "b" [H], "p" [H], "s" [1] for a scalar, or "h" [H] for a start of the state.
        R is [P, H] for the gate of a projected field, and [H, P] for what hears that field.
    gate: the pre-activation it feeds, empty for what belongs to no gate.
    source: what an R is multiplied with, else empty.
    """

    name: str
    kind: str
    gate: str = ""
    source: str = ""


def feed(method: F) -> F:
    """Mark a method of a cell as a source that gates can hear.

    method: an elementwise function (a, s, p) -> [B, H]. It may use the state and those pre-activations that hear only
        earlier sources.

    Returns the method itself.

    >>> from variants import GRU
    >>> GRU().feeds, GRU().sources[1].gates
    (('reset_h',), ('n',))
    """
    method._is_feed = True  # type: ignore[attr-defined]
    return method


class Cell(Generic[S]):
    """A recurrent cell, declared.

    A subclass with a name is registered: `class GRU(Cell[HiddenState], name="gru")`. In brackets stands the type of the
    state, so that a type checker knows what `step` gets and returns; a bare `Cell` leaves it open. Keyword arguments of
    `__init__` are the knobs of the cell; they become its typed configuration.

    Class attributes (a cell whose knobs change them sets them on the instance):
        name: under which the cell is registered; empty for a class without a name.
        State: NamedTuple of the state, every field [B, H]. The first field is the output, unless `shows` says more.
        gates: the pre-activations in order. A plain name hears the first field of the state and has W, R and b.
        vectors: names of the parameters that have one value per unit, such as peepholes.
        scalars: names of the parameters that are one number for the whole layer. The step reads each as a vector [H]
            whose values are all the same.
        starts: fields of the state whose value before the first step is learned, one number per unit for all sequences:
            the parameter `<field>_0`. All other fields start at 0.
        fixed: names of recurrent matrices that are not learned, such as R_m; `fixed_matrices` gives their values.
        projected: the field of the state that is the output and has fewer values than there are units, P in place of H;
            `projected_size` says how many. The gate of the same name is this projection: R [P, H] times a method marked
            `@feed`, without W and b. Empty for a cell without one.
        heads: into how many groups of neighbours the units are divided. A unit hears those of its own group only, so
            that R is block-diagonal: each head's block stands under that of the one before, [H, H / heads], and the
            products cost that much less.
        shows: fields of the state that stand beside each other in the output, [B, H * len(shows)]; by default the first
            field alone.
        above: fields of the state that the next layer reads as `a.below_<field>`.
        keeps: the gate whose bias decides how much of the state is kept, and a sign: 1 where a large bias keeps more,
            -1 where it keeps less. At the start of training the knob `keep_bias` of a cell that has it is added to this
            bias, by `Cell.add_keep_bias`; the initialisation `chrono` sets this bias itself. None where no gate does
            this.
        never_forgets: whether the whole state is kept at every step, whatever the parameters are.
        writes: the gate whose bias decides how much is written, and a sign, likewise.
        min_layers: the smallest number of layers with which the cell can be built.
        projects_input: whether a learned linear map P [H, I] stands before the lowest layer.
        shared: names of the gates whose W, R and b are common to all layers that have them.
        remembers: fields of the state on which zoneout can act, by default all. A field that only counts steps is left
            out.
        source: where the definition comes from. It becomes the last line of the docstring.
        control: True for what runs as one module and not from a declared step: a library's own implementation, or an
            eager block such as `mlstm`. It is left out of benchmarks' lists, and of studies unless it is asked for.

    Attributes of the class `Cell` itself:
        registry: all classes with a name, by name.

    >>> import torch
    >>> from variants import build
    >>> from variants.cells.gru import HiddenState
    >>> class Leaky(Cell[HiddenState]):
    ...     State = HiddenState
    ...     gates = ("n",)
    ...     def step(self, a: Values, s: HiddenState, p: Values) -> HiddenState:
    ...         return HiddenState(h=0.9 * s.h + 0.1 * torch.tanh(a.n))
    >>> outputs, state = build(Leaky(), input_size=2, hidden_size=3)(torch.zeros(5, 1, 2))
    >>> outputs.shape, Leaky().parameter_count(input_size=2, hidden_size=3)
    (torch.Size([5, 1, 3]), 18)
    """

    registry: ClassVar[dict[str, type[Cell]]] = {}
    name: ClassVar[str] = ""
    control: ClassVar[bool] = False

    State: type[S]
    gates: Sequence[str | Gate] = ()
    vectors: Sequence[str] = ()
    scalars: Sequence[str] = ()
    starts: Sequence[str] = ()
    fixed: Sequence[str] = ()
    projected: str = ""
    heads: int = 1
    shows: Sequence[str] = ()
    above: Sequence[str] = ()
    keeps: tuple[str, int] | None = None
    writes: tuple[str, int] | None = None
    never_forgets: bool = False
    min_layers: int = 1
    projects_input: bool = False
    shared: Sequence[str] = ()
    remembers: Sequence[str] | None = None
    source: str = ""

    def __init_subclass__(cls, name: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__doc__ and "source" in vars(cls) and "Source:" not in cls.__doc__:
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__)}\n\nSource: {cls.source}."
        if name is not None:
            register("variant", Cell.registry, name, cls)
            cls.name = name

    # What a cell writes
    # ---------------------------------------------------------------------------------------------------

    def step(self, a: Values, s: S, p: Values) -> S:
        """Make one time step, by elementwise operations only.

        a: the pre-activations by the name of their gate, and `below_<field>` of the layer below, each [B, H].
        s: the previous state, every field [B, H].
        p: vectors, scalars and constants by name, each [H].

        Returns the new state.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step(a, s, p)")

    def constants(self, hidden_size: int) -> Mapping[str, Tensor]:
        """Give the values per unit that are not learned.

        hidden_size: number of hidden units H.

        Returns tensors [H] by name; the step reads them as `p.<name>`. By default there are none.
        """
        return {}

    def recurrent_mask(self, hidden_size: int) -> Tensor | None:
        """Give the matrix that says which units hear which.

        hidden_size: number of hidden units H.

        Returns zeros and ones [H, H] that every R is multiplied with, or None where all units hear all.
        """
        return None

    def fixed_matrices(self, hidden_size: int) -> Mapping[str, Tensor]:
        """Give the recurrent matrices that are not learned.

        hidden_size: number of hidden units H.

        Returns matrices [H, H / heads] by the names in `fixed`; by default there are none.
        """
        return {}

    def transform_recurrent(self, matrix: Tensor) -> Tensor:
        """Compute the matrix that a source is multiplied with from the learned one.

        It is computed once for a sequence, by any operations of torch that have derivatives, outside of kernels.

        matrix: R of one gate and source, [H, H], after the mask where there is one.

        Returns a matrix of the same shape; by default the learned one.

        >>> import torch
        >>> from variants.cells.rnn import RNN
        >>> class Antisymmetric(RNN):
        ...     def transform_recurrent(self, matrix):
        ...         return matrix - matrix.T
        >>> Antisymmetric().transform_recurrent(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([[ 0., -1.],
                [ 1.,  0.]])
        """
        return matrix

    def projected_size(self, hidden_size: int) -> int:
        """Give the number of values of the projected field, P.

        hidden_size: number of hidden units H.

        Returns at least 1 and less than H for a cell that has such a field; `validate` checks it.
        """
        return hidden_size

    def validate(self, hidden_size: int, layers: int) -> None:
        """Check the sizes of a module before it is built.

        hidden_size: number of hidden units H of each layer.
        layers: how many layers.

        Raises ValueError, naming the cell, the rule and the value, for a size that the cell cannot have.
        """
        if hidden_size < 1:
            raise ValueError(f"{self.name}: hidden_size must be at least 1, got {hidden_size}")
        if self.heads > 1 and hidden_size % self.heads:
            raise ValueError(f"{self.name}: hidden_size must be divisible by its {self.heads} heads, got {hidden_size}")
        size = self.projected_size(hidden_size)
        if self.projected and not 1 <= size < hidden_size:
            raise ValueError(
                f"{self.title}: the projection must have at least 1 unit and fewer than hidden_size = {hidden_size}, "
                f"got {size}"
            )
        if layers < self.min_layers:
            raise ValueError(f"{self.name}: layers must be at least {self.min_layers}, got {layers}")

    def for_layer(self, layer: int) -> Cell[S]:
        """Give the cell as it stands in one layer; for a cell whose lowest layer differs.

        layer: its number; 0 is the lowest.

        Returns a cell with the same State; by default this one.
        """
        return self

    def after_initialisation(self, blocks: Mapping[str, Tensor]) -> None:
        """Adjust the parameters in place after an initialisation has filled them, for instance set a matrix.

        blocks: every block of `blocks` by name, to whose biases `add_keep_bias` has added.
        """

    # No engine sees a change of a cell: kernels, parameters and their names follow from what it was when a layer
    # was built.

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy of this cell has: its attributes.

        What follows from the declaration is left out; the copy derives it again.
        """
        return {k: v for k, v in self.__dict__.items() if not isinstance(getattr(Cell, k, None), cached_property)}

    # What follows from it
    # -------------------------------------------------------------------------------------------------

    def add_keep_bias(self, blocks: Mapping[str, Tensor]) -> None:
        """Add the knob `keep_bias` to the bias of the gate that keeps, in place; schemes call it.

        A large keep bias keeps more, so that it is subtracted where a large bias of the gate keeps less. A cell without
        this knob, or without `keeps`, is left as it is.

        blocks: every block of `blocks` by name, filled.

        Raises ValueError for a cell that takes the knob and does not store it.
        """
        if not hasattr(self, "keep_bias") and "keep_bias" in knobs_of(type(self)):
            raise ValueError(f"{self.title}: a cell that takes the knob keep_bias must store it as self.keep_bias")
        if self.keeps is None or not hasattr(self, "keep_bias"):
            return
        gate, sign = self.keeps
        if f"b_{gate}" in blocks:
            blocks[f"b_{gate}"].add_(sign * self.keep_bias)

    def kept(self, blocks: Mapping[str, Tensor]) -> Tensor | None:
        """Compute which share of the state each unit keeps from one step to the next, by the bias of its gate alone.

        blocks: every block of `blocks` by name.

        Returns s(sign * b) of the gate that keeps, [H], 1 for a cell that never forgets; None where no gate decides it.

        >>> import torch
        >>> from variants import Coupled
        >>> Coupled().kept({"b_i": torch.tensor([0.0, -1.0, 1.0])})
        tensor([0.5000, 0.7311, 0.2689])
        """
        if self.never_forgets:
            return torch.ones(())
        if self.keeps is None or f"b_{self.keeps[0]}" not in blocks:
            return None
        gate, sign = self.keeps
        return torch.sigmoid(sign * blocks[f"b_{gate}"].detach())

    @property
    def title(self) -> str:
        """What messages call this cell: its registered name, else the name of its class."""
        return self.name or type(self).__name__

    @cached_property
    def preactivations(self) -> tuple[Gate, ...]:
        """The gates in full: a plain name has become a `Gate` that hears the first field of the state."""
        first = self.State._fields[0]
        return tuple(g if isinstance(g, Gate) else Gate(g, (first,)) for g in self.gates)

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Fields of the state that make up the output: those of `shows`, or else the first one."""
        return tuple(self.shows) or self.State._fields[:1]

    @cached_property
    def feeds(self) -> tuple[str, ...]:
        """Names of the methods marked `@feed`, in the order in which they are written."""
        return tuple(n for n in _ordered_names(type(self)) if getattr(getattr(type(self), n, None), "_is_feed", False))

    @cached_property
    def sources(self) -> tuple[Source[S], ...]:
        """The recurrent products of one step in the order in which they can be computed.

        Raises ValueError where a gate hears something that is neither a field of the state nor a feed, or where the
        gates that hear the same source are not neighbours.
        """
        plan = self.preactivations
        sources = []
        known = (*self.State._fields, *self.feeds)
        for gate in plan:
            for name in gate.hears:
                if name not in known:
                    there = ", ".join(known)
                    raise ValueError(
                        f"{self.title}: gate {gate.name!r} hears {name!r}, which is no state field and "
                        f"no @feed; there is: {there}"
                    )
        for name in (*self.State._fields, *self.feeds):
            heard_by = [k for k, gate in enumerate(plan) if name in gate.hears]
            if not heard_by:
                continue
            names = tuple(plan[k].name for k in heard_by)
            if heard_by != list(range(heard_by[0], heard_by[-1] + 1)):
                raise ValueError(
                    f"{self.title}: the gates that hear {name!r} must be neighbours in `gates`, got {', '.join(names)}"
                )
            sources.append(Source(name, names, None if name in self.State._fields else getattr(self, name)))
        return tuple(sources)

    @cached_property
    def ready_after(self) -> tuple[tuple[str, ...], ...]:
        """Names of the pre-activations that are complete after k sources, for k = 0, 1, ..., len(sources)."""
        order = [s.name for s in self.sources]
        ready: list[list[str]] = [[] for _ in range(len(order) + 1)]
        for gate in self.preactivations:
            ready[max((order.index(n) + 1 for n in gate.hears), default=0)].append(gate.name)
        return tuple(map(tuple, ready))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every named piece of the parameters: the terms that are learned."""
        return tuple(b for b in self.terms if b.name not in self.fixed)

    @cached_property
    def terms(self) -> tuple[Block, ...]:
        """Everything that a step uses, in the order W, R, b, vectors, scalars, starts: W_f, R_f, b_f, p_f, zeta, c_0.

        R_f belongs to the first source that the gate hears; a further source has its name behind it: R_f_i.
        """
        plan = self.preactivations
        blocks = [Block(f"W_{g.name}", "W", g.name) for g in plan if g.input]
        for s in self.sources:
            for gate in plan:
                if gate.name in s.gates:
                    name = f"R_{gate.name}" if s.name == gate.hears[0] else f"R_{gate.name}_{s.name}"
                    blocks.append(Block(name, "R", gate.name, s.name))
        blocks += [Block(f"b_{g.name}", "b", g.name) for g in plan if g.bias]
        blocks += [Block(v, "p") for v in self.vectors]
        blocks += [Block(s, "s") for s in self.scalars]
        blocks += [Block(f"{field}_0", "h") for field in self.starts]
        return tuple(blocks)

    @cached_property
    def transforms(self) -> bool:
        """Whether a learned R is not itself what sources are multiplied with."""
        return type(self).transform_recurrent is not Cell.transform_recurrent

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The names of vectors and scalars, which a step reads as `p.<name>`."""
        return (*self.vectors, *self.scalars)

    def block_shapes(self, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Give the shape of every block of one layer and direction.

        input_size: number of inputs of the layer.
        hidden_size: number of hidden units H.

        Returns the shapes by name of the block.
        """
        units = hidden_size
        shapes = {"W": (units, input_size), "b": (units,), "p": (units,), "s": (1,), "h": (units,)}
        return {
            b.name: self.recurrent_shape(b.gate, b.source, units) if b.kind == "R" else shapes[b.kind]
            for b in self.blocks
        }

    def size_of(self, name: str, hidden_size: int) -> int:
        """Give the number of values that a field of the state, a gate or a source has for each sequence.

        name: of the field, the gate or the source.
        hidden_size: number of hidden units H.

        Returns P for the projected field and its gate, else H.
        """
        return self.projected_size(hidden_size) if self.projected and name == self.projected else hidden_size

    def recurrent_shape(self, gate: str, source: str, hidden_size: int) -> tuple[int, int]:
        """Give the shape of R of one gate and source: [H, H / heads], with P in place of H where one is projected.

        gate, source: their names.
        hidden_size: number of hidden units H.
        """
        return self.size_of(gate, hidden_size), self.size_of(source, hidden_size) // self.heads

    def output_size(self, hidden_size: int) -> int:
        """Give the width of the output of one layer in one direction.

        hidden_size: number of hidden units H.

        Returns H times the number of fields that the cell shows, or P where it shows the projected one.
        """
        return sum(self.size_of(field, hidden_size) for field in self.shown)

    def block_sizes(self, input_size: int, hidden_size: int) -> dict[str, int]:
        """Count the trainable values of every block of one layer and direction.

        input_size: number of inputs of the layer.
        hidden_size: number of hidden units H.

        Returns the counts by name of the block. What `recurrent_mask` hides is not counted.
        """
        mask = self.recurrent_mask(hidden_size)
        sizes = {name: math.prod(shape) for name, shape in self.block_shapes(input_size, hidden_size).items()}
        if mask is not None:
            sizes |= {b.name: int(mask.sum()) for b in self.blocks if b.kind == "R"}
        return sizes

    def parameter_count(self, input_size: int, hidden_size: int) -> int:
        """Count the trainable values of one layer and direction, without a projection of the input.

        input_size: number of inputs of the layer.
        hidden_size: number of hidden units H.
        """
        return sum(self.block_sizes(input_size, hidden_size).values())

    @property
    def knobs(self) -> dict[str, object]:
        """The knobs of this cell and their values."""
        return {name: getattr(self, name) for name in knobs_of(type(self))}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.knobs.items())})"


class Keeping:
    """The knob of a cell whose bias decides how long it remembers, for cells that have no other knobs.

    keep_bias: added at the start of training to the bias of the gate that keeps, so that more is kept.
    """

    def __init__(self, *, keep_bias: float = 1.0) -> None:
        self.keep_bias = keep_bias


def register(kind: str, registry: dict[str, C], name: str, cls: C) -> None:
    """Add a class to a registry.

    kind: what the classes of the registry are called in messages, such as "variant".
    registry: the classes by name, changed in place.
    name: of the class.
    cls: the class.

    Raises TypeError, naming both classes, for a name that is in the registry already.
    """
    if name in registry:
        other = registry[name]
        raise TypeError(
            f"{kind} name {name!r} is used twice: {other.__module__}.{other.__qualname__} and "
            f"{cls.__module__}.{cls.__qualname__}"
        )
    registry[name] = cls


def knobs_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the knobs of a class: the keyword arguments of its constructor, with types and defaults.

    >>> from variants import Vanilla
    >>> {name: knob.default for name, knob in knobs_of(Vanilla).items()}
    {'peepholes': (), 'keep_bias': 1.0}
    """
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    parameters = inspect.signature(cls.__init__, eval_str=True).parameters  # type: ignore[misc]
    return {n: q for n, q in parameters.items() if n != "self"}


def _ordered_names(cls: type) -> list[str]:
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for n in vars(base):
            names.pop(n, None)
            names[n] = None
    return list(names)
