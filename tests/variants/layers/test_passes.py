"""Training steps without autograd: against the specification, and within the memory that is theirs."""

import itertools
import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.variants.cases import INPUTS, REGISTERED, B, H, T, fill, fitting, generator
from tests.variants.engine.test_fused import Everything
from variants import Cell, FlatMemory, Recurrent
from variants.layers.passes import TrainingPass

ODD = (1, 5, 7, 9, 15, 17, 27)
CELLS = {name: REGISTERED[name]() for name in ("vanilla", "peephole", "gru", "depth_gated", "memory_blocks", "grid")}


class InputLast(Everything):
    """Its first gate has no input, so that the rows of W have other numbers than those of b."""

    gates = tuple(sorted(Everything.gates, key=lambda gate: gate.input))


CELLS |= {"everything": Everything(), "input last": InputLast()}
MARGIN = 64
SIZES = [(T, B), (1, B), (T, 1), (1, 1)]


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


class Guarded:
    """Tensors in the middle of memory that holds something else, which must neither be read nor written."""

    def __init__(self) -> None:
        self._memory: list[tuple[Tensor, int]] = []

    def __call__(self, tensor: Tensor) -> Tensor:
        """The same numbers, with NaN in front and behind."""
        memory = torch.full((tensor.numel() + 2 * MARGIN,), math.nan)
        self._memory.append((memory, tensor.numel()))
        return memory[MARGIN:-MARGIN].view(tensor.shape).copy_(tensor)

    def check(self) -> None:
        assert self._memory
        for memory, count in self._memory:
            assert memory[:MARGIN].isnan().all()
            assert memory[MARGIN + count :].isnan().all()


class Given(NamedTuple):
    """What a training step is given: inputs, lengths, and by sequence of the highest layer a derivative."""

    x: Tensor
    lengths: Tensor | None
    derivatives: list[Tensor]


def module_of(cell: Cell, least: int = H, *, inputs: int = INPUTS, layers: int = 1, **options: Any) -> Recurrent:
    options = {"engine": "fused", "generator": generator(5)} | options
    module = Recurrent(cell, inputs, fitting(cell, least), layers=max(layers, cell.min_layers), **options)
    fill(module, std=min(0.5, module.hidden_size**-0.5))
    return module


def given_of(module: Recurrent, steps: int = T, batch: int = B, *, padded: bool = False) -> Given:
    source = generator(6)
    x = torch.randn(steps, batch, module.input_size, generator=source)
    lengths = torch.randint(1, steps + 1, (batch,), generator=source) if padded else None
    count = module.directions * len(module.cell.shown)
    derivatives = [
        torch.randn(steps, batch, module.cell.size_of(module.cell.shown[0], module.hidden_size), generator=source)
        for _ in range(count)
    ]
    if lengths is not None:
        for derivative in derivatives:
            derivative.masked_fill_(torch.arange(steps)[:, None, None] >= lengths[:, None], 0.0)
    return Given(x, lengths, derivatives)


def prepared(module: Recurrent, given: Given, steps: int = 0) -> TrainingPass:
    steps, batch = max(len(given.x), steps), given.x.shape[1]
    made = module.training_pass(steps, batch, padded=given.lengths is not None)
    assert isinstance(made, TrainingPass), made
    return made


def step(layers: TrainingPass, given: Given) -> list[Tensor]:
    """Take one step; returns the sequences of the highest layer."""
    steps = len(given.x)
    layers.forward(given.x, given.lengths)
    for target, derivative in zip(layers.derivatives, given.derivatives, strict=True):
        target[:steps] = derivative
    layers.backward()
    for target in layers.derivatives:
        target.zero_()
    return [s[:steps].clone() for s in layers.sequences]


def gradients_of(module: Recurrent) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in module.named_parameters()}


def by_specification(module: Recurrent, given: Given) -> dict[str, Tensor]:
    """Return the gradients of a module in float64 for the same derivatives, each in its direction's order of time."""
    outputs, _ = module(given.x.double(), lengths=given.lengths)
    parts = list(given.derivatives)
    shown = len(module.cell.shown)
    for k in range(shown, len(parts)):
        lengths = torch.full((B,), T) if given.lengths is None else given.lengths
        parts[k] = torch.stack(
            [torch.cat([d[:n].flip(0), d[n:]]) for d, n in zip(parts[k].unbind(1), lengths, strict=True)], 1
        )
    torch.autograd.backward(outputs, torch.cat(parts, -1).double())
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in module.named_parameters()}


STACKS = {
    "one": {},
    "lengths": {"padded": True},
    "stack": {"layers": 3, "bidirectional": True, "padded": True},
    "masks": {"layers": 2, "dropout": 0.3, "recurrent_dropout": 0.4, "zoneout": 0.2, "padded": True},
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("flat", [True, False], ids=["flat", "apart"])
def test_gradients_are_those_of_the_specification(name: str, stack: str, flat: bool):
    options = dict(STACKS[stack])
    padded = options.pop("padded", False)
    ours, right = (module_of(CELLS[name], **options, engine=engine) for engine in ("fused", "eager"))
    given = given_of(ours, padded=padded)
    if flat:
        ours.flatten_parameters()
    else:
        for p in ours.parameters():
            p.grad = torch.zeros_like(p)
    step(prepared(ours, given), given)
    expected = by_specification(right.double(), given)
    for n, gradient in gradients_of(ours).items():
        size = float(expected[n].abs().max())
        assert float((gradient - expected[n]).abs().max()) <= 1e-5 * size + 1e-7, n
    assert any(g.any() for g in expected.values())


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", ["peephole", "depth_gated", "grid"])
def test_room_for_more_steps_changes_no_bit(name: str, stack: str):
    options = dict(STACKS[stack])
    padded = options.pop("padded", False)
    found = []
    for room in (0, T + 1, 5 * T):
        module = module_of(CELLS[name], **options)
        given = given_of(module, padded=padded)
        memory = module.flatten_parameters()
        layers = prepared(module, given, room)
        if room == 5 * T:  # whose memory has been used for longer sequences
            module.generator.manual_seed(7)
            step(layers, given_of(module, 5 * T, padded=padded))
            memory.gradient.zero_()
        module.generator.manual_seed(5)
        found.append([*step(layers, given), memory.gradient.clone()])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_derivatives_are_left_as_they_are():
    module = module_of(CELLS["vanilla"], layers=2, bidirectional=True)
    module.flatten_parameters()
    given = given_of(module)
    layers = prepared(module, given)
    layers.forward(given.x, None)
    for target, derivative in zip(layers.derivatives, given.derivatives, strict=True):
        target.copy_(derivative)
    layers.backward()
    assert all(map(torch.equal, layers.derivatives, given.derivatives))


@pytest.mark.parametrize(("inputs", "shift"), [(INPUTS, 0), (40, 1)])
@pytest.mark.parametrize("name", CELLS)
def test_a_pass_reads_and_writes_its_own_memory_only(name: str, inputs: int, shift: int):
    """At widths that fill no vector."""
    for k, least in enumerate(ODD):
        size, padded = SIZES[(k + shift) % 4], k % 3 == 0
        results = []
        guarded = Guarded()
        for inside in (lambda t: t, guarded):
            module = module_of(CELLS[name], least, inputs=inputs, layers=2)
            in_memory(module.flatten_parameters(), module, inside)
            given = given_of(module, *size, padded=padded)
            given = given._replace(x=inside(given.x))
            results.append([*step(prepared(module, given), given), *gradients_of(module).values()])
        assert all(v.isfinite().all() for v in results[0])
        assert all(map(torch.equal, *results)), least
        guarded.check()


def in_memory(memory: FlatMemory, module: Recurrent, inside: Any) -> None:
    """Move parameters and gradients of a module to other memory."""
    memory.values, memory.gradient = inside(memory.values), inside(memory.gradient)
    start = 0
    for p in module.parameters():
        p.data, p.grad = (v.narrow(0, start, p.numel()).view_as(p) for v in (memory.values, memory.gradient))
        start += p.numel()
    assert start == len(memory.values)


def called(module: Recurrent, given: Given, state: Any, inside: Any) -> list[Tensor]:
    """Return all results and derivatives of an ordinary call, for what lies `inside` of memory."""
    for p in module.parameters():
        p.data, p.grad = inside(p.data), None
    x = inside(given.x).requires_grad_()
    state = [type(s)(*(inside(v).requires_grad_() for v in s)) for s in state]
    outputs, final = module(x, tuple(state), given.lengths)
    source = generator(8)
    results = [outputs, *itertools.chain.from_iterable(final)]
    arriving = [inside(torch.randn(v.shape, generator=source)) for v in results]
    by = [x, *itertools.chain.from_iterable(state), *module.parameters()]
    found = torch.autograd.grad(results, by, arriving, allow_unused=True)
    return [v.detach() for v in (*results, *(g for g in found if g is not None))]


@pytest.mark.parametrize(("inputs", "shift"), [(INPUTS, 0), (40, 1)])
@pytest.mark.parametrize("name", ["vanilla", "peephole", "gru", "depth_gated", "everything"])
def test_a_call_reads_and_writes_its_own_memory_only(name: str, inputs: int, shift: int):
    """At widths that fill no vector."""
    for k, least in enumerate(ODD):
        size, padded = SIZES[(k + shift) % 4], k % 3 == 0
        results = []
        guarded = Guarded()
        for inside in (lambda t: t.clone(), guarded):
            module = module_of(CELLS[name], least, inputs=inputs, layers=2)
            given = given_of(module, *size, padded=padded)
            results.append(called(module, given, module.zero_state(size[1]), inside))
        assert all(v.isfinite().all() for v in results[0])
        assert len(results[0]) == len(results[1])
        assert all(map(torch.equal, *results)), least
        guarded.check()


def negated(tensor: Tensor) -> Tensor:
    """Return the same numbers as torch keeps a part of a conjugate: the others, to be negated when they are read."""
    return torch._neg_view(-tensor)


def wide(tensor: Tensor) -> Tensor:
    """Return the same numbers as rows of a wider tensor, with NaN between them."""
    between = torch.full_like(tensor, math.nan)
    return torch.cat([between, tensor, between], -1).narrow(-1, tensor.shape[-1], tensor.shape[-1])


VIEWS = {
    "negated": negated,
    "in wider rows": wide,
    "last axis first": lambda v: v.transpose(0, -1).contiguous().transpose(0, -1),
    "batch first": lambda v: v.transpose(0, 1).contiguous().transpose(0, 1),
    "numbers apart": lambda v: v.repeat_interleave(2, -1)[..., ::2],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("inputs", [INPUTS, 40])
@pytest.mark.parametrize("name", ["vanilla", "grid"])
def test_a_pass_takes_any_view_of_its_inputs(name: str, inputs: int, view: str):
    results = []
    for viewed in (lambda t: t, VIEWS[view]):
        module = module_of(CELLS[name], 7, inputs=inputs)
        module.flatten_parameters()
        given = given_of(module, padded=True)
        results.append(
            [*step(prepared(module, given), given._replace(x=viewed(given.x))), *gradients_of(module).values()]
        )
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("view", [*VIEWS, "expanded"])
@pytest.mark.parametrize("inputs", [INPUTS, 40])
@pytest.mark.parametrize("least", [7, 16])
def test_a_call_takes_any_view_of_inputs_and_derivatives(inputs: int, least: int, view: str):
    results = []
    for change in (lambda t: t, VIEWS.get(view, lambda t: t)):
        module = module_of(CELLS["peephole"], least, inputs=inputs, layers=2)
        given = given_of(module)
        x = change(given.x).detach().requires_grad_()
        outputs, _ = module(x)
        derivative = given.derivatives[0]
        if view == "expanded":
            derivative = derivative[:1, :1, :1].expand_as(outputs)
            derivative = derivative if results else derivative.contiguous()
        by = [x, *module.parameters()]
        results.append([outputs.detach(), *torch.autograd.grad(outputs, by, change(derivative))])
    assert all(map(torch.equal, *results))
