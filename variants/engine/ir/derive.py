"""What a kernel does in one time step, forward and backward, derived from the declaration of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from torch import Tensor

from ...cell import Cell, Source, Values
from .graph import COMPARISONS, LOGIC, Graph
from .names import Kind, Name, derivative, of_kind
from .operations import SLOPES
from .tracing import Function, Traced, trace

ROOTS = frozenset(("tail", "swing"))
"""What sigmoid and tanh, and their derivatives, are computed from: the forward kernel saves this instead of them."""
CHEAP = frozenset(
    (
        "add",
        "sub",
        "mul",
        "neg",
        "abs",
        "where",
        "level",
        "level_slope",
        "bounded",
        "bounded_slope",
        *COMPARISONS,
        *LOGIC,
    )
)
"""Operations so cheap that the backward kernel repeats them: what they are computed from is saved, not their result."""


class Variation(NamedTuple):
    """What a caller adds to a cell, by names of fields and sources; kernels differ by it."""

    constants: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    active: bool = False


class Pass(NamedTuple):
    """An elementwise pass over all units: the operands of some sources, or the new state where there are none."""

    operands: tuple[str, ...]


class Known(NamedTuple):
    """The point in a step from which on the operands of these sources can be multiplied with R.

    In the backward pass it is the point at which the derivatives by these operands are complete.
    """

    sources: tuple[str, ...]


class Mix(NamedTuple):
    """`size` pre-activations from number `first` on: the bias and the products with the input and with some sources."""

    first: int
    size: int
    input: bool
    sources: tuple[str, ...]


class Store(NamedTuple):
    """A result of an elementwise pass.

    target: the pre-activation, previous state, vector or sequence from below of which this is (a part of) the
        derivative.
    """

    target: Name
    node: int
    add: bool


class BackwardPass(NamedTuple):
    """The derivative of a pass."""

    forward: Pass
    stores: tuple[Store, ...]


class BackwardProduct(NamedTuple):
    """The derivative by the operand of a source, which is a field of the state or else belongs to a pass."""

    source: str
    field: str | None
    add: bool


class Backward(NamedTuple):
    """The backward time step.

    fields: the fields of the state through which derivatives flow back in time.
    items: passes and products in their order.
    vectors, below: names of vectors and of fields of the layer below that get a derivative.
    """

    fields: tuple[str, ...]
    items: tuple[BackwardPass | BackwardProduct, ...]
    vectors: tuple[str, ...]
    below: tuple[str, ...]


class Derivation:
    """A cell under a variation as expressions, and the order of its passes and products in one time step.

    heads: how many blocks R is made of.
    projected: the field of the state that has P values in place of H, and its gate; empty where there is none.
    operands: by source, what its R is multiplied with. state_operands: sources whose operand is a field of the state as
    it is.
    step: the trace of the new state by field. operand_traces: those of the operands.
    schedule: passes and products of one time step in their order.
    saved: nodes that the forward kernel keeps for the backward kernel.
    """

    def __init__(self, cell: Cell, variation: Variation) -> None:
        self.variation, self.graph = variation, Graph()
        self.fields: tuple[str, ...] = cell.State._fields
        self.heads, self.projected = cell.heads, cell.projected
        self.gates = tuple(gate.name for gate in cell.preactivations)
        self.input_gates = tuple(gate.name for gate in cell.preactivations if gate.input)
        self.hears = {gate.name: frozenset(gate.hears) for gate in cell.preactivations}
        self.heard_by = {source.name: source.gates for source in cell.sources}
        common = [
            *(Name("s", field) for field in self.fields),
            *(Name("p", name) for name in cell.learned),
            *(Name("below", field) for field in variation.below),
        ]
        constants = [Name("p", constant) for constant in variation.constants]

        self.operands: dict[str, int] = {}
        self.state_operands: dict[str, str] = {}
        self.operand_traces: dict[str, Traced] = {}
        known: set[str] = set()
        for source in cell.sources:
            inputs = [*self._complete(known), *common]
            extra = [Name("drop", source.name)] if source.name in variation.drop else []
            output = Name("u", source.name)
            traced = trace(self.graph, _operand(cell, source), [*inputs, *constants, *extra], [output], inputs)
            node = self.operands[source.name] = traced.outputs[output]
            name = self.graph.name(node)
            if name is not None and name.kind == "s":
                as_it_is = {name: self.graph.input(derivative(output))}
                if traced.pulled in ({}, as_it_is):
                    self.state_operands[source.name] = name.of
            self.operand_traces[source.name] = traced
            known.add(source.name)
        inputs = [*self._complete(known), *common]
        extra = [Name("keep", field) for field in variation.keep]
        outputs = [Name("new", field) for field in self.fields]
        self.step = trace(self.graph, _new_state(cell, variation), [*inputs, *constants, *extra], outputs, inputs)
        self._choose_slopes()
        self.schedule = self._schedule()
        self.mixes = [item for item in self.schedule if isinstance(item, Mix)]
        self.saved = self._choose_saved()

    def _complete(self, known: set[str]) -> list[Name]:
        """Pre-activations that hear nothing but the given sources."""
        return [Name("a", gate) for gate in self.gates if self.hears[gate] <= known]

    def _schedule(self) -> tuple[Pass | Known | Mix, ...]:
        items: list[Pass | Known | Mix] = []
        waiting, known, mixed = list(self.operands), set[str](), set[str]()
        while waiting or len(mixed) < len(self.gates):
            now = [n for n in waiting if mixed.issuperset(of_kind("a", self.graph.inputs_of([self.operands[n]])))]
            if computed := tuple(n for n in now if n not in self.state_operands):
                items.append(Pass(computed))
            if now:
                items.append(Known(tuple(now)))
            known.update(now)
            waiting = [n for n in waiting if n not in known]
            mixes = self._mixes(known, mixed)
            items += mixes
            mixed.update(gate for m in mixes for gate in self.gates_of(m))
        return (*items, Pass(()))

    def gates_of(self, mix: Mix) -> tuple[str, ...]:
        """Return the gates whose pre-activations a product gives."""
        return self.gates[mix.first : mix.first + mix.size]

    def _mixes(self, known: set[str], mixed: set[str]) -> list[Mix]:
        """Return the pre-activations that can be computed now, neighbours that need the same in one."""
        mixes: list[Mix] = []
        for k, gate in enumerate(self.gates):
            if gate in mixed or not self.hears[gate] <= known:
                continue
            mix = Mix(k, 1, gate in self.input_gates, tuple(n for n in self.operands if n in self.hears[gate]))
            last = mixes[-1] if mixes else None
            if last is not None and last.first + last.size == k and last[2:] == mix[2:]:
                mixes[-1] = last._replace(size=last.size + 1)
            else:
                mixes.append(mix)
        return mixes

    def new(self, field: str) -> int:
        """Return the node of a field of the new state."""
        return self.step.outputs[Name("new", field)]

    def is_kept(self, node: int) -> bool:
        """Return whether a node that a kernel writes, as an operand or as a new state, is later read from there.

        Constants, previous states, vectors and the like are read where they always are. In a sequence that is not
        active, an operand and a new state hold something else.
        """
        name = self.graph.name(node)
        return self.graph.nodes[node][0] != "constant" and (name is None or name.kind == "a")

    def _choose_slopes(self) -> None:
        """Take the derivative of tanh and sigmoid from their value where the backward kernel reads that anyhow.

        What they are computed from is more precise where a unit saturates, and is as well at hand there as a rule:
        either it follows from the states, or the forward kernel saves it instead of the value. Only where the
        value itself is a state or an operand, one number more would have to be kept.
        """
        graph, available = self.graph, self._available()
        known: dict[int, int] = {}
        for n in self.reach(node for traced in self._traces() for node in traced.pulled.values()):
            operation = graph.nodes[n][0]
            if operation in SLOPES and not self._is_derivable(graph.operands(n)[0], available):
                activation, slope = SLOPES[operation]
                value = graph.apply(activation, *graph.operands(n))
                if value in available:
                    known[n] = slope(graph, value)
        for traced in self._traces():
            traced.pulled = {target: graph.substitute(node, known) for target, node in traced.pulled.items()}

    def _traces(self) -> tuple[Traced, ...]:
        return (self.step, *self.operand_traces.values())

    def _available(self) -> set[int]:
        """Return nodes that the backward kernel reads from memory anyhow."""
        return set(self.step.outputs.values()) | {
            n for source, n in self.operands.items() if source not in self.state_operands
        }

    def _is_derivable(self, node: int, available: Set[int]) -> bool:
        """Return whether a node can be computed from what is available, states, vectors and constants."""
        return not self._missing(node, available)

    def _missing(self, node: int, available: Set[int], beyond: Set[str] | None = None) -> set[int]:
        """Return what must be kept for a node to be computed from what is available: pre-activations.

        beyond: operations that are looked into; any other one is kept instead of the pre-activations below it. By
        default all are.
        """
        missing, seen, stack = set[int](), set[int](), [node]
        while stack:
            n = stack.pop()
            operation, name = self.graph.nodes[n][0], self.graph.name(n)
            if n in seen or n in available or operation == "constant":
                continue
            seen.add(n)
            if name is not None:
                if name.kind == "a":
                    missing.add(n)
            elif beyond is None or operation in beyond:
                stack.extend(self.graph.operands(n))
            elif self._missing(n, available):
                missing.add(n)
        return missing

    def _choose_saved(self) -> tuple[int, ...]:
        """Nodes without which the derivatives cannot be computed from states, vectors and operands; at most one per
        pre-activation.
        """
        graph = self.graph
        derivatives = [n for traced in self._traces() for n in traced.pulled.values()]
        nodes = sorted(self.reach(derivatives))
        by_cotangent: set[int] = set()
        for n in nodes:
            name = graph.name(n)
            if (name is not None and name.kind in ("d.new", "d.u")) or not by_cotangent.isdisjoint(graph.operands(n)):
                by_cotangent.add(n)
        needed = {o for n in nodes if n in by_cotangent for o in graph.operands(n)} | set(derivatives)
        available = self._available()
        saved: list[int] = []

        def save(n: int) -> None:
            if self._is_derivable(n, available):
                return
            missing = self._missing(n, available, CHEAP)
            if len(missing) == 1 and graph.nodes[min(missing)][0] in ROOTS:
                n = min(missing)
            elif graph.is_truth(n):
                for o in graph.operands(n):
                    save(o)
                return
            saved.append(n)
            available.add(n)

        for n in sorted(needed - by_cotangent):
            save(n)
        gates = [graph.input(name) for name in sorted(graph.inputs_of(saved)) if name.kind == "a"]
        return tuple(saved if len(saved) <= len(gates) else gates)

    def backward(self, sequences: Sequence[str], finals: Sequence[str]) -> Backward:
        """The backward time step, for derivatives that arrive at the sequences and at the last values of the given
        fields.
        """
        live = {*sequences, *finals}
        while True:
            contributions = self._contributions(live)
            carried = {t.of for _, pulled in contributions for t in pulled if t.kind == "s"}
            if carried <= live:
                break
            live |= carried
        fields = tuple(f for f in self.fields if f in live)
        contributed = {target for _, pulled in contributions for target in pulled}
        written: set[Name] = set()
        items: list[BackwardPass | BackwardProduct] = []
        for item, pulled in contributions:
            if isinstance(item, Known):
                for source in item.sources:
                    target = self._operand_name(source)
                    if target in pulled and self.operand_traces[source].pulled:
                        items.append(BackwardProduct(source, self.state_operands.get(source), target in written))
                        written.add(target)
                continue
            stores = [Store(t, n, t in written or t.kind == "p") for t, n in pulled.items()]
            if not item.operands:
                # What nothing adds to is 0. Rows that are not active hand on the derivative of their
                # state here and now.
                states = [Name("s", field) for field in fields]
                targets = [*(Name("a", gate) for gate in self.gates), *states]
                late = states if self.variation.active else []
                zero = self.graph.constant(0.0)
                stores += [
                    Store(t, zero, False) for t in targets if t not in pulled and (t not in contributed or t in late)
                ]
            written.update(s.target for s in stores)
            items.append(BackwardPass(item, tuple(stores)))

        def named(kind: Kind) -> tuple[str, ...]:
            return tuple(sorted(of_kind(kind, contributed)))

        return Backward(fields, tuple(items), named("p"), named("below"))

    def _operand_name(self, source: str) -> Name:
        """Return what R of a source is multiplied with: a field of the previous state, or a result of a pass."""
        field = self.state_operands.get(source)
        return Name("u", source) if field is None else Name("s", field)

    def _contributions(self, live: set[str]) -> list[tuple[Pass | Known, dict[Name, int]]]:
        """What passes and products from last to first add to which derivative, for derivatives by these fields of the
        new state.
        """
        graph, zero, nothing = self.graph, self.graph.constant(0.0), self.graph.nothing()
        dead = {graph.input(Name("d.new", f)): nothing for f in self.fields if f not in live}
        reached: set[Name] = set()
        result: list[tuple[Pass | Known, dict[Name, int]]] = []
        for item in reversed(self.schedule):
            if isinstance(item, Mix):
                continue
            pulled: dict[Name, int] = {}
            if isinstance(item, Known):
                for source in item.sources:
                    heard = any(Name("a", gate) in reached for gate in self.heard_by[source])
                    if heard and self.operand_traces[source].pulled:
                        pulled[self._operand_name(source)] = zero
            else:
                for traced in (
                    [self.operand_traces[n] for n in item.operands if Name("u", n) in reached]
                    if item.operands
                    else [self.step]
                ):
                    for target, node in traced.pulled.items():
                        node = graph.substitute(node, dead)
                        if node != nothing and graph.value(node) != 0.0:
                            pulled[target] = graph.apply("add", pulled[target], node) if target in pulled else node
            reached.update(pulled)
            result.append((item, pulled))
        return result

    def reach(self, nodes: Iterable[int]) -> set[int]:
        """Return the nodes themselves and all that they are computed from."""
        reached, stack = set[int](), list(nodes)
        while stack:
            n = stack.pop()
            if n not in reached:
                reached.add(n)
                stack.extend(self.graph.operands(n))
        return reached


def _values(cell: Cell, x: Mapping[Name, Tensor]) -> tuple[Values, NamedTuple, Values]:
    """Return the arguments (a, s, p) of a cell's functions."""

    def named(kind: Kind) -> dict[str, Tensor]:
        return {name.of: v for name, v in x.items() if name.kind == kind}

    below = {f"below_{field}": v for field, v in named("below").items()}
    return Values(**named("a"), **below), cell.State(**named("s")), Values(**named("p"))


def _operand(cell: Cell, source: Source) -> Function:
    def operand(x: Mapping[Name, Tensor]) -> dict[Name, Tensor]:
        a, s, p = _values(cell, x)
        vector = getattr(s, source.name) if source.feed is None else source.feed(a, s, p)
        drop = x.get(Name("drop", source.name))
        return {Name("u", source.name): vector if drop is None else vector * drop}

    return operand


def _new_state(cell: Cell, variation: Variation) -> Function:
    def new_state(x: Mapping[Name, Tensor]) -> dict[Name, Tensor]:
        a, s, p = _values(cell, x)
        new: dict[str, Tensor] = cell.step(a, s, p)._asdict()
        for field in variation.keep:
            keep = x[Name("keep", field)]
            new[field] = keep * getattr(s, field) + (1.0 - keep) * new[field]
        return {Name("new", field): value for field, value in new.items()}

    return new_state
