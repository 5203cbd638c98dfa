"""What is timed: a training step of every contestant at one size, in turns, within one process of one thread."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from variants import Cell, Recurrent, build

from ..trial.optimiser import Flat
from . import peers
from .options import Settings

INPUTS = 2  # width of the inputs, as most of the tasks have it
YARDSTICK = "native_lstm"
FEWEST_TURNS = 3  # of which a median can be taken

Step = Callable[[], object]


class Size(NamedTuple):
    """T steps, B sequences and N units of one measurement."""

    steps: int
    batch: int
    units: int


class Measurement(NamedTuple):
    """Median seconds of each contestant for one variant at one size.

    seconds: by contestant, those of `contestants`.
    """

    variant: str
    size: Size
    seconds: Mapping[str, float]

    def row(self) -> dict[str, str | int | float]:
        """Return the measurement as plain values, one level deep."""
        return {"variant": self.variant, **self.size._asdict(), **self.seconds}


def control_of(cell: Cell) -> str:
    """Return the name of the native module that a cell is compared with: the one that computes most nearly as much.

    It is the RNN for a cell with one pre-activation; for others the GRU where they remember one vector per unit, as it
    does, and the LSTM where they remember several.

    >>> [control_of(Cell.registry[name]()) for name in ("irnn", "gru", "vanilla")]
    ['native_rnn', 'native_gru', 'native_lstm']
    """
    if len(cell.preactivations) == 1:
        return "native_rnn"
    remembered = cell.State._fields if cell.remembers is None else cell.remembers
    return "native_gru" if len(remembered) == 1 else YARDSTICK


def training_step(module: nn.Module, inputs: Tensor) -> Step:
    """Return a forward and backward pass over `inputs` [T, B, I], as any module that is called."""
    parameters = list(module.parameters())

    def step() -> None:
        outputs, _ = module(inputs)
        torch.autograd.backward(outputs, torch.ones_like(outputs))
        for p in parameters:
            p.grad = None

    return step


def update(module: nn.Module, inputs: Tensor) -> Step:
    """Return the same as a trial does it: memory is prepared once, and gradients are added to those in one vector."""
    flat = Flat(module)

    def step() -> None:
        outputs, _ = module(inputs, final=False)
        flat.gradient.zero_()
        torch.autograd.backward(outputs, torch.ones_like(outputs))

    return step


def products(cell: Cell, layers: int, size: Size) -> Step:
    """Return the matrix products of a training step alone, the limit of any implementation.

    cell, layers: whose products they are.
    size: of the sequences.

    First come those of each step, then those that are made over the whole sequence at once.
    """
    rows, units, width = size.steps * size.batch, size.units, INPUTS
    inside: list[tuple[Tensor, Tensor, Tensor]] = []
    outside: list[tuple[Tensor, Tensor]] = []
    if cell.projects_input:
        x, out = torch.randn(rows, INPUTS), torch.randn(rows, units)
        outside += [(x, torch.randn(INPUTS, units)), (x.T, out)]
        width = units
    for layer in range(layers):
        here = cell.for_layer(layer)
        heard = sum(gate.input for gate in here.preactivations) * units
        x, grad = torch.randn(rows, width), torch.randn(rows, heard)
        outside += [(x, torch.randn(width, heard)), (x.T, grad)]
        if layer > 0 or cell.projects_input:
            outside.append((grad, torch.randn(heard, width)))
        for source in here.sources:
            rows_of_gate, inner = here.recurrent_shape(source.gates[0], source.name, units)
            columns = len(source.gates) * rows_of_gate // here.heads
            for _ in range(here.heads):
                state, matrix = torch.randn(size.batch, inner), torch.randn(inner, columns)
                grads = torch.randn(size.batch, columns)
                inside.append((state, matrix, torch.empty(size.batch, columns)))
                inside.append((grads, matrix.T, torch.empty(size.batch, inner)))
                outside.append((torch.randn(inner, rows), torch.randn(rows, columns)))
        width = cell.output_size(units)

    def step() -> None:
        for _ in range(size.steps):
            for left, right, out in inside:
                torch.mm(left, right, out=out)
        for left, right in outside:
            torch.mm(left, right)

    return step


def contestants(cell: Cell, size: Size, *, eager: bool, others: bool) -> dict[str, Step]:
    """Return what is timed for one variant at one size, by name.

    cell: of the variant.
    size: of the sequences.
    eager: whether the eager engine takes part, which takes most of the time.
    others: whether other libraries do, where they are installed.

    "fused" is the fused engine as a trial trains with it and "call" the same engine as a module that is called; both
    are absent where it cannot run the cell. "native" is the control, "native_lstm" torch.nn.LSTM where that is not the
    control, "products" the limit.
    """
    layers = max(1, cell.min_layers)
    inputs = torch.randn(size.steps, size.batch, INPUTS)

    def module(of: Cell, engine: str = "auto") -> nn.Module:
        return build(of, INPUTS, size.units, layers=layers, engine=engine)

    found: dict[str, Step] = {}
    try:
        found["fused"] = update(module(cell, "fused"), inputs)
        found["call"] = training_step(module(cell, "fused"), inputs)
    except ValueError as error:
        print(f"{cell.name}: {error}", file=sys.stderr)
    control = control_of(cell)
    found["native"] = training_step(module(Cell.registry[control]()), inputs)
    if control != YARDSTICK:
        found[YARDSTICK] = training_step(module(Cell.registry[YARDSTICK]()), inputs)
    found["products"] = products(cell, layers, size)
    if eager:
        found["eager"] = training_step(module(cell, "eager"), inputs)
    if others:
        specification = module(cell, "eager")
        assert isinstance(specification, Recurrent)
        found |= {name: training_step(peer, inputs) for name, peer in peers.modules(specification).items()}
        found |= peers.functions(cell.name, size.steps, size.batch, INPUTS, size.units)
    return found


def medians(steps: Mapping[str, Step], turns: int, seconds: float) -> dict[str, float]:
    """Return the median seconds of each contestant.

    steps: the contestants by name. They are timed in turns, so that a change of the machine's speed meets all of them.
    turns: how many are timed, after one that is not.
    seconds: there are fewer turns, but at least three, where they take longer than this together.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    begun = time.perf_counter()
    for turn in range(turns + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:
                times[name].append(time.perf_counter() - start)
        if turn >= FEWEST_TURNS and time.perf_counter() - begun > seconds:
            break
    return {name: statistics.median(values) for name, values in times.items()}


def measured(variant: str, size: Size, given: Settings) -> Measurement:
    """Return the measurement of a variant at one size.

    variant: a registered name.
    size: of the sequences.
    given: who takes part, and how many turns there are.

    Raises ValueError where the cell cannot have this width.
    """
    cell = Cell.registry[variant]()
    cell.validate(size.units, max(1, cell.min_layers))
    steps = contestants(cell, size, eager=given.eager, others=given.peers)
    seconds = medians(steps, given.turns, given.seconds)
    seconds.setdefault(YARDSTICK, seconds["native"])
    return Measurement(variant, size, seconds)
