"""Property tests: random cells, sizes and calls.

A small deterministic part runs with the other tests, `make fuzz` runs thousands.
"""

import os
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from tests.variants.cases import DEFAULTS, fill, fitting
from tests.variants.formulas import cells
from variants import Cell, Gate, Recurrent, build
from variants.cells.gru import HiddenState

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
FEW = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


def examples(few: int) -> settings:
    """Settings of a property: so many fixed examples, or as many random ones as `make fuzz` asks for."""
    if not EXAMPLES:
        return settings(FEW, max_examples=few)
    return settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), print_blob=True)


REGISTERED = [p.values[0] for p in DEFAULTS]
SIZES = st.sampled_from([1, 2, 3, 5, 8, 13])
OPTIONS = st.fixed_dictionaries(
    {"layers": st.sampled_from([1, 1, 2]), "bidirectional": st.booleans()},
    optional={"zoneout": st.just(0.3), "recurrent_dropout": st.just(0.3)},
)


@st.composite
def calls(draw: st.DrawFn, steps: int, batch: int) -> dict[str, Any]:
    """Lengths, steps to read and whether there is a state, for a right call."""
    lengths = draw(st.none() | st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    most = lengths or [steps] * batch
    row = st.tuples(*(st.integers(0, m - 1) for m in most))
    reads = draw(st.none() | st.lists(row, min_size=1, max_size=steps))
    return {
        "lengths": lengths,
        "reads": None if reads is None else [list(r) for r in reads],
        "state": draw(st.booleans()),
    }


def run(module: Recurrent, x: torch.Tensor, call: dict[str, Any], *, reusing: bool) -> list[torch.Tensor]:
    """Outputs, last states, and derivatives by parameters, inputs and first state."""
    kind = next(module.parameters()).dtype
    module.generator.manual_seed(5)
    x = x.to(kind).requires_grad_()
    source = torch.Generator().manual_seed(2)
    first = None
    if call["state"] and not reusing:
        shape = (x.shape[1], module.hidden_size)
        first = tuple(
            c.State(*(torch.randn(shape, generator=source).to(kind).mul(0.5).requires_grad_() for _ in c.State._fields))
            for c in module.cells
        )
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    if reusing:
        module.start_training()
    outputs, last = module(x, first, call["lengths"], reads=call["reads"], final=not reusing)
    ends = [v for s in last for v in s]
    total = sum((v * torch.linspace(0.3, 1.0, v.numel(), dtype=kind).view_as(v)).sum() for v in (outputs, *ends))
    values = [v.detach().clone() for v in (outputs, *ends)]
    if total.requires_grad:
        total.backward()
    states = [v for s in first or () for v in s]
    return [*values, *(torch.zeros_like(v) if v.grad is None else v.grad for v in (*module.parameters(), x, *states))]


def agree(
    cell: Cell,
    sizes: tuple[int, int, int, int],
    options: dict[str, Any],
    call: dict[str, Any],
    *,
    reusing: bool,
    training: bool,
) -> None:
    """The fused engine is about as near to double precision as the eager one is in single precision."""
    steps, batch, inputs, units = sizes
    truth, eager, fused = (
        Recurrent(cell, inputs, units, engine=e, **options).train(training) for e in ("eager", "eager", "auto")
    )
    fill(eager)
    for module in (truth, fused):
        module.load_state_dict(eager.state_dict())
    event(f"engine {fused.engine}: {fused.why_eager[:60]}")
    x = torch.randn(steps, batch, inputs, generator=torch.Generator().manual_seed(1))
    found = [run(m, x, call, reusing=reusing) for m in (truth.double(), eager, fused)]
    assert fused.engine == "fused", fused.why_eager
    for right, one, other in zip(*found, strict=True):
        assert one.shape == other.shape == right.shape
        assert torch.equal(one.isfinite(), other.isfinite())
        ok = right.isfinite() & one.isfinite()
        if not ok.any():
            continue
        scale = 1.0 + float(right[ok].abs().max())
        wrong, allowed = float((other.double() - right)[ok].abs().max()), float((one.double() - right)[ok].abs().max())
        assert wrong <= 3e-5 * scale + 30 * allowed, f"off by {wrong}, the eager engine by {allowed}, of {scale}"


@examples(12)
@given(cell=cells(), sizes=st.tuples(st.sampled_from([1, 2, 5]), SIZES, SIZES, SIZES), options=OPTIONS, data=st.data())
def test_a_random_cell_is_the_same_on_both_engines(cell, sizes, options, data):
    call, reusing, training = data.draw(calls(*sizes[:2])), data.draw(st.booleans()), data.draw(st.booleans())
    agree(cell, sizes, options, call, reusing=reusing, training=training)


@examples(12)
@given(
    cell=st.sampled_from(REGISTERED),
    sizes=st.tuples(st.sampled_from([1, 2, 7]), SIZES, SIZES, SIZES),
    options=OPTIONS,
    data=st.data(),
)
def test_a_registered_cell_is_the_same_on_both_engines(cell, sizes, options, data):
    sizes = (*sizes[:3], fitting(cell, sizes[3]))
    options = options | {"layers": max(cell.min_layers, options["layers"])}
    call, reusing, training = data.draw(calls(*sizes[:2])), data.draw(st.booleans()), data.draw(st.booleans())
    agree(cell, sizes, options, call, reusing=reusing, training=training)


def mostly(right: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is right three times out of four: a value, or values of a strategy."""
    strategy = right if isinstance(right, st.SearchStrategy) else st.just(right)
    return st.sampled_from([strategy, strategy, strategy, others]).flatmap(lambda chosen: chosen)


# Calls that may be wrong
# ------------------------------------------------------------------------------------------------------

SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4, 5]), min_size=0, max_size=4)
KINDS = st.sampled_from([torch.float32, torch.float32, torch.float64, torch.int64, torch.bool])
TENSORS = st.builds(lambda shape, kind: torch.ones(shape).to(kind), SHAPES, KINDS)
RIGHT_INPUTS = st.integers(0, 999).map(lambda seed: torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(seed)))
NEAR = st.builds(
    lambda shape: torch.ones(shape), st.tuples(st.sampled_from([3, 4]), st.just(4), st.sampled_from([2, 3]))
)
NUMBERS = st.integers(-2, 6)
THINGS = (
    st.none()
    | TENSORS
    | NUMBERS
    | st.text(max_size=2)
    | st.lists(NUMBERS, max_size=5)
    | st.floats(allow_subnormal=False)
)
FIELDS = st.builds(
    lambda shape: torch.ones(shape),
    st.sampled_from([(4, 5), (4, 5), (1, 5), (5,), (4, 1), (3, 5), (4, 6), (1, 4, 5), (2, 4, 5)]),
)
STATES = THINGS | st.lists(FIELDS | st.tuples(FIELDS, FIELDS) | st.tuples(FIELDS), max_size=3).map(tuple)
LENGTHS = THINGS | st.lists(st.integers(0, 5), min_size=4, max_size=4).map(torch.tensor)
READS = THINGS | st.lists(st.lists(st.integers(-1, 4), min_size=4, max_size=4), max_size=4).map(torch.tensor)


@cache
def engines(name: str) -> tuple[torch.nn.Module, ...]:
    """A small module of a cell on the eager and on the fused engine, and the library's own."""
    native = Cell.registry[{"vanilla": "native_lstm", "gru": "native_gru"}[name]]()
    return (*(build(Cell.registry[name](), 3, 5, engine=e) for e in ("eager", "fused")), build(native, 3, 5))


def answer(module: torch.nn.Module, arguments: tuple[Any, ...], reads: Any) -> Any:
    """The outputs of a call, or the line that refuses it; any other exception goes through."""
    try:
        return module(*arguments, reads=reads)[0].detach()
    except ValueError as error:
        return str(error)


@examples(300)
@given(
    x=mostly(RIGHT_INPUTS, NEAR | TENSORS | THINGS),
    state=mostly(None, STATES),
    lengths=mostly(st.none() | st.lists(st.integers(1, 4), min_size=4, max_size=4), LENGTHS),
    reads=mostly(
        st.none() | st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5), READS
    ),
)
@pytest.mark.parametrize("name", ["vanilla", "gru"])
def test_any_call_is_answered_alike_by_all_engines_or_refused_by_one_line(name, x, state, lengths, reads):
    first, *others = engines(name)
    found = answer(first, (x, state, lengths), reads)
    event("refused" if isinstance(found, str) else "answered")
    for other in others:
        same = answer(other, (x, state, lengths), reads)
        if isinstance(found, str):
            assert "\n" not in found
            assert isinstance(same, str)
            assert same.partition(": ")[2] == found.partition(": ")[2]
        else:
            assert same.shape == found.shape
            if other is others[0]:
                torch.testing.assert_close(same, found, atol=1e-5, rtol=1e-5)


NAMES = st.sampled_from(
    ["n", "m", "h", "c", "b", "t", "p_i", "b_n", "W_n", "below_h", "self", "in", "1x", "", "a.b", "__x__", "step", "é"]
)
HEARS = st.lists(NAMES, max_size=2).map(tuple) | NAMES
GATES = st.lists(NAMES | st.builds(Gate, NAMES, HEARS, st.booleans(), st.booleans()), max_size=4).map(tuple) | NAMES
STEPS = [
    lambda self, a, s, p: HiddenState(a.n),
    lambda self, a, s, p: HiddenState(p.p_i),
    lambda self, a, s, p: (a.n,),
    lambda self, a, s, p: HiddenState(torch.ones(3)),
    lambda self, a, s, p: HiddenState(1.0),
    lambda self, a, s, p: None,
]
CONSTANTS = [
    lambda self, h: {},
    lambda self, h: {"n": torch.ones(h)},
    lambda self, h: {"n": torch.ones(())},
    lambda self, h: 3,
]


def first_gate(self, a, s, p):
    return HiddenState(torch.tanh(next(iter(vars(a).values()))))


ODD = {
    "gates": mostly(("n",), GATES),
    "vectors": mostly(("p_i",), st.lists(NAMES, max_size=2).map(tuple) | NAMES | st.none()),
    "above": mostly((), st.lists(NAMES, max_size=1).map(tuple)),
    "step": mostly(first_gate, st.sampled_from(STEPS)),
    "constants": mostly(CONSTANTS[0], st.sampled_from(CONSTANTS)),
}


@examples(150)
@given(attributes=st.fixed_dictionaries(ODD))
def test_any_declaration_runs_on_both_engines_or_is_refused_by_one_line(attributes):
    cell = type("Odd", (Cell,), {"State": HiddenState, **attributes})()
    answers = []
    for engine in ("eager", "auto"):
        try:
            module = Recurrent(cell, 3, 5, engine=engine)
        except ValueError as error:
            answers.append(str(error))
            continue
        outputs, _ = module(torch.ones(4, 2, 3), lengths=[4, 2])
        answers.append(outputs.detach())
    event("refused" if isinstance(answers[0], str) else "built")
    if isinstance(answers[0], str):
        assert answers[0].startswith("Odd: ")
        assert answers[0] == answers[1]
    else:
        torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-5)


def test_the_random_declarations_are_of_both_kinds():
    """So that the property above does not hold by refusing everything."""
    built = 0

    @settings(FEW, max_examples=60)
    @given(attributes=st.fixed_dictionaries(ODD))
    def count(attributes):
        nonlocal built
        try:
            Recurrent(type("Odd", (Cell,), {"State": HiddenState, **attributes})(), 3, 5, engine="eager")
        except ValueError:
            assume(False)
        built += 1

    count()
    assert built >= 5
