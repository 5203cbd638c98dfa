"""The fused engine against the specification: every registered cell, cells of its own, and what it must refuse."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.variants.cases import CASES, DEFAULTS, fill, fitting, generator
from variants import Cell, Gate, Recurrent, Vanilla, feed
from variants.engine import Inputs, Request, choose, eager, fused
from variants.engine.cpu import machine
from variants.engine.ir.derive import Variation

TOLERANCE, FLOOR = 1e-5, 1e-6
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


class Memory(NamedTuple):
    h: Tensor
    c: Tensor
    count: Tensor


class Everything(Cell):
    """What no single registered cell has at once: two feeds, one heard with a state, a gate without input or bias,
    detach, a counter.
    """

    State = Memory
    gates = (
        Gate("r", ("h",)),
        Gate("u", ("h", "c"), bias=False),
        Gate("n", ("fed", "mild")),
        Gate("v", (), input=False),
    )
    vectors = ("p_r", "p_c")
    above = ("c", "h")

    def constants(self, hidden_size):
        return {"slope": torch.linspace(0.5, 1.5, hidden_size)}

    @feed
    def fed(self, a, s, p):
        return torch.sigmoid(a.r + p.p_r * s.c) * s.h

    @feed
    def mild(self, a, s, p):
        return torch.tanh(s.c.detach() * p.slope) + a.u

    def step(self, a, s, p):
        below = a.below_c if hasattr(a, "below_c") else 0.0 * s.c
        due = s.count < 1.5
        c = torch.where(due, torch.relu(a.n) + 0.5 * s.c * p.p_c + below, s.c)
        return Memory(
            h=torch.tanh(c) * torch.sigmoid(a.u) + a.v,
            c=c,
            count=torch.where(due, s.count + 1.0, torch.zeros_like(s.count)),
        )


class Operations(Cell):
    """Every operation of the table, in forms that autograd differentiates."""

    State = Pair
    gates = ("a", "b")

    def step(self, a, s, p):
        x, y = a.a, a.b
        positive = torch.exp(x) + y.abs() + torch.square(y)
        bent = (
            torch.clamp(x, -0.5, 0.7)
            + torch.clamp(y, min=0.1)
            + torch.minimum(x, y) * torch.maximum(x, s.y)
            - positive.reciprocal()
        )
        logic = ((x > 0) & (y <= 0.3)) | ~(x >= y) | torch.logical_and(x != 0, y == 0)
        chosen = torch.where(logic, torch.sqrt(positive), (2.0 - x) / (1.0 + positive))
        flags = (
            (x < y).float() * 0.5
            + x.masked_fill(y > 0.5, -1.0)
            + x.sign() * y**3
            + torch.ones_like(x)
            - torch.full_like(y, 0.25)
        )
        return Pair(x=torch.tanh(chosen - flags), y=torch.sigmoid(torch.rsub(bent, 1.0)) * -x.pow(2))


class Averaging(Cell):
    """A weighted mean of its candidates: the outputs do not depend on the bias of the gate that gives the weights."""

    State = Memory
    gates = ("z", "i")

    def step(self, a, s, p):
        weight = torch.exp(a.i)
        c, total = s.c + weight * torch.tanh(a.z), s.count + weight
        return Memory(h=c / total, c=c, count=total)


class Softmax(Cell):
    """Not elementwise: units see each other."""

    State = Pair
    gates = ("a",)

    def step(self, a, s, p):
        return Pair(x=torch.softmax(a.a, dim=-1), y=s.y)


class ByValue(Softmax):
    """Depends on the values of tensors."""

    def step(self, a, s, p):
        return Pair(x=a.a if float(a.a.sum()) > 0 else -a.a, y=s.y)


class BySize(Softmax):
    """Depends on the number of units."""

    def step(self, a, s, p):
        return Pair(x=a.a / a.a.shape[-1] ** 0.5, y=s.y)


class ByNumpy(Softmax):
    """Decides by values that torch does not see."""

    def step(self, a, s, p):
        return Pair(x=a.a * (2.0 if (a.a.detach().numpy() > 5.0).any() else 1.0), y=s.y)


class ByList(Softmax):
    """Decides by values that torch does not see."""

    def step(self, a, s, p):
        return Pair(x=a.a * (2.0 if max(map(max, a.a.tolist())) > 5.0 else 1.0), y=s.y)


class ByMode(Softmax):
    """Is another formula at evaluation."""

    def step(self, a, s, p):
        return Pair(x=a.a * (2.0 if torch.is_grad_enabled() else 1.0), y=s.y)


class Hooked(Softmax):
    """Clips the derivative by its state, of which what comes through the outputs is a part."""

    def step(self, a, s, p):
        if s.x.requires_grad:
            s.x.register_hook(lambda g: g.clamp(-0.1, 0.1))
        return Pair(x=a.a + s.x, y=s.y)


def modules(
    cell: Cell, least: int, inputs: int, layers: int = 1, std: float = 0.5, **options
) -> tuple[Recurrent, Recurrent]:
    """The same module twice: by the specification and fused."""
    size, layers = fitting(cell, least), max(layers, cell.min_layers)
    if any(cell.for_layer(layer).shared for layer in range(layers)):
        options["bidirectional"] = False  # the layers would differ in width
    made = []
    for engine in ("eager", "fused"):
        module = Recurrent(cell, inputs, size, layers=layers, engine=engine, generator=generator(5), **options)
        fill(module, std=std)
        made.append(module)
    return made[0], made[1]


def states(module: Recurrent, batch: int) -> tuple:
    source = generator(2)
    result = []
    for cell in module.cells:
        memory = cell.State._fields if cell.remembers is None else cell.remembers
        sizes = {n: (batch, cell.size_of(n, module.hidden_size)) for n in cell.State._fields}
        drawn = {n: torch.rand(sizes[n], generator=source) - 0.5 for n in memory}
        result.append(cell.State(*(drawn.get(n, torch.zeros(sizes[n])).requires_grad_() for n in cell.State._fields)))
    return tuple(result)


def trained(
    module: Recurrent, steps: int, batch: int, carried: bool = True, lengths: bool = False
) -> dict[str, Tensor]:
    """Outputs, final states and the derivatives of a function of them by everything."""
    x = torch.randn(steps, batch, module.input_size, generator=generator(1)).requires_grad_()
    state = states(module, batch) if carried else None
    given = torch.randint(1, steps + 1, (batch,), generator=generator(3)) if lengths else None
    outputs, final = module(x, state, given)
    results = {"outputs": outputs} | {f"final {k} {n}": v for k, s in enumerate(final) for n, v in s._asdict().items()}
    source = generator(4)
    loss = sum((torch.randn(v.shape, generator=source) * v).sum() for v in results.values())
    by = {"x": x} | dict(module.named_parameters())
    by |= {f"state {k} {n}": v for k, s in enumerate(state or ()) for n, v in s._asdict().items()}
    gradients = torch.autograd.grad(loss, list(by.values()), allow_unused=True)
    results |= {
        f"d {n}": torch.zeros_like(v) if g is None else g for (n, v), g in zip(by.items(), gradients, strict=True)
    }
    return {n: v.detach() for n, v in results.items()}


def agree(actual: dict[str, Tensor], expected: dict[str, Tensor], what: object) -> None:
    """Compare results; a derivative may be 0 but for what rounding leaves of terms as large as the others."""
    assert actual.keys() == expected.keys()
    floor = FLOOR * (1.0 + max(float(value.norm()) for value in expected.values()))
    for name, value in expected.items():
        difference, size = float((actual[name] - value).norm()), float(value.norm())
        assert difference <= TOLERANCE * size + floor, f"{what!r}: {name} differs by {difference:.2g} of {size:.2g}"


SHAPES = [
    pytest.param({"steps": 7, "batch": 3}, {"least": 5, "inputs": 4}, id="small"),
    pytest.param({"steps": 1, "batch": 1, "carried": False}, {"least": 1, "inputs": 1}, id="ones"),
    pytest.param(
        {"steps": 13, "batch": 2, "lengths": True},
        {"least": 29, "inputs": 3, "layers": 2, "bidirectional": True, "std": 0.2},
        id="stack",
    ),
]


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("cell", [*CASES, Everything()])
def test_both_engines_agree_on_outputs_states_and_all_derivatives(cell: Cell, shape, size):
    by_definition, kernel = modules(cell, **size)
    agree(trained(kernel, **shape), trained(by_definition, **shape), cell)


def test_both_engines_agree_on_every_operation_of_the_table():
    pair = modules(Operations(), 9, 4, std=0.3)
    agree(trained(pair[1], 3, 20), trained(pair[0], 3, 20), "operations")


def test_both_engines_agree_where_a_derivative_is_truly_0():
    found = []
    for module in modules(Averaging(), 5, 4):
        outputs, _ = module(torch.randn(60, 16, 4, generator=generator(1)), final=False)
        weights = torch.randn(outputs.shape, generator=generator(4))
        by = dict(module.named_parameters())
        found.append(dict(zip(by, torch.autograd.grad((outputs * weights).sum(), list(by.values())), strict=True)))
    assert float(found[0]["parts.0.b_i"].norm()) < 1e-6 * float(found[0]["parts.0.W_i"].norm())
    agree(found[1], found[0], Averaging())


EAGER: dict[str, str] = {}  # variants that only the eager engine runs, with the reason


@pytest.mark.parametrize("cell", DEFAULTS)
def test_every_variant_runs_fused_but_those_that_are_named_here(cell: Cell):
    assert fused.why_not(cell) == EAGER.get(cell.name, "")


@pytest.mark.parametrize("cell", [*DEFAULTS, Everything()])
def test_both_engines_agree_under_recurrent_dropout_and_zoneout(cell: Cell):
    pair = modules(cell, 5, 4, layers=2, recurrent_dropout=0.4, zoneout=0.3)
    agree(trained(pair[1], 7, 3, lengths=True), trained(pair[0], 7, 3, lengths=True), cell)
    for module in pair:
        module.eval()
    agree(trained(pair[1], 7, 3), trained(pair[0], 7, 3), cell)


@pytest.mark.parametrize("batch", [2, 4, 5, 6, 8, 23])
def test_both_engines_agree_for_every_remainder_of_the_batch(batch):
    pair = modules(Cell.registry["peephole"](), 17, 3)
    agree(trained(pair[1], 5, batch), trained(pair[0], 5, batch), batch)


def test_both_engines_agree_over_many_chunks_of_a_sequence(monkeypatch):
    monkeypatch.setattr(fused, "CHUNK", 100)
    monkeypatch.setattr(fused, "CHUNK_ROWS", 6)
    for name in ("peephole", "gru"):
        pair = modules(Cell.registry[name](), 5, 4)
        agree(trained(pair[1], 11, 3), trained(pair[0], 11, 3), name)


def test_both_engines_agree_for_a_wide_input():
    pair = modules(Cell.registry["gru"](), 5, fused.NARROW + 7, std=0.2)
    agree(trained(pair[1], 11, 3), trained(pair[0], 11, 3), "gru")


def arguments(cell: Cell, steps: int, batch: int, units: int, inputs: int, below: tuple[str, ...] = ()) -> dict:
    """Random arguments of an engine's `run`, which want derivatives."""
    source = generator(6)

    def draw(*shape: int) -> Tensor:
        return (torch.randn(shape, generator=source) * 0.5).requires_grad_()

    heard = sum(gate.input for gate in cell.preactivations)
    return {
        "inputs": Inputs(
            draw(steps, batch, inputs), draw(heard * units, inputs), draw(len(cell.preactivations) * units)
        ),
        "state": cell.State(*(draw(batch, cell.size_of(n, units)) for n in cell.State._fields)),
        "recurrent": {
            s.name: draw(len(s.gates) * cell.size_of(s.gates[0], units), cell.size_of(s.name, units))
            for s in cell.sources
        },
        "values": {n: draw(units) for n in cell.vectors} | dict(cell.constants(units)),
        "below": {n: draw(steps, batch, units) for n in below},
    }


@pytest.mark.parametrize("below", [(), ("c",)])
def test_derivatives_flow_from_every_sequence_and_through_the_layer_below(below):
    cell = Everything()
    results = []
    for run in (eager.run, fused.run):
        given = arguments(cell, 6, 4, 9, 3, below)
        sequences, final = run(Request(cell, **given))
        source = generator(7)
        loss = sum((torch.randn(v.shape, generator=source) * v).sum() for v in (*sequences, final.c))
        leaves = [*given["inputs"], *given["state"], *given["recurrent"].values(), *given["below"].values()]
        leaves += [given["values"][n] for n in cell.vectors]
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        results.append(
            {str(k): torch.zeros(()) if g is None else g.detach() for k, g in enumerate((*sequences, *final, *found))}
        )
    agree(results[1], results[0], cell)


def test_each_derivative_alone_is_right():
    """Kernels are made for the fields at which derivatives arrive."""
    cell = Cell.registry["peephole"]()
    for field in range(4):
        found = []
        for run in (eager.run, fused.run):
            given = arguments(cell, 5, 2, 7, 3)
            sequences, final = run(Request(cell, **given))
            by = [*given["inputs"], *given["state"], *given["recurrent"].values()]
            gradients = torch.autograd.grad((*sequences, *final)[field].square().sum(), by, allow_unused=True)
            found.append({str(k): torch.zeros(()) if g is None else g for k, g in enumerate(gradients)})
        agree(found[1], found[0], field)


@pytest.mark.parametrize("cell", DEFAULTS)
def test_without_derivatives_the_outputs_are_the_same_bits(cell: Cell):
    module = modules(cell, 9, 4, layers=2)[1]
    x = torch.randn(6, 5, 4, generator=generator(1))
    trained_outputs, _ = module(x)
    with torch.no_grad():
        outputs, _ = module(x)
    with torch.inference_mode():
        inferred, _ = module(x)
    assert torch.equal(outputs, trained_outputs)
    assert torch.equal(inferred, trained_outputs)


def test_a_cell_can_be_traced_in_inference_mode():
    with torch.inference_mode():
        module = Recurrent(Cell.registry["gru"](), 3, 5, engine="fused")
        assert module(torch.ones(2, 2, 3))[0].shape == (2, 2, 5)


@pytest.mark.parametrize("cell", DEFAULTS)
def test_numbers_that_are_not_finite_stay_so(cell: Cell):
    by_definition, kernel = modules(cell, 9, 4)
    for bad in (float("nan"), float("inf"), -float("inf")):
        x = torch.randn(6, 3, 4, generator=generator(1))
        x[2, 1, 0] = bad
        expected, actual = by_definition(x)[0], kernel(x)[0]
        assert torch.equal(actual.isfinite(), expected.isfinite()), f"{cell!r}: {bad} in the input"
        assert torch.equal(actual.isnan(), expected.isnan()), f"{cell!r}: {bad} in the input"


def test_a_state_that_explodes_is_not_hidden():
    module = modules(Cell.registry["irnn"](), 8, 2, std=3.0)[1]
    x = torch.ones(200, 2, 2, requires_grad=True)
    outputs, _ = module(x)
    outputs.sum().backward()
    assert not outputs.isfinite().all()
    assert not x.grad.isfinite().all()


def test_the_same_inputs_give_the_same_bits():
    module = modules(Cell.registry["peephole"](), 37, 5, layers=2)[1]
    one, other = trained(module, 23, 7), trained(module, 23, 7)
    assert all(torch.equal(v, other[n]) for n, v in one.items())


def test_calls_at_the_same_time_do_not_disturb_each_other():
    module = modules(Cell.registry["gru"](), 33, 5)[1]
    expected, found = trained(module, 50, 7), []
    threads = [threading.Thread(target=lambda: found.append(trained(module, 50, 7))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(v, result[n]) for result in found for n, v in expected.items())


def test_more_threads_give_the_same_result():
    by_definition, kernel = modules(Cell.registry["peephole"](), 37, 5)
    expected = trained(by_definition, 23, 40)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        agree(trained(kernel, 23, 40), expected, "two threads")
    finally:
        torch.set_num_threads(before)


def test_a_second_backward_pass_gives_the_same_derivatives():
    module = modules(Cell.registry["gru"](), 9, 4)[1]
    x = torch.randn(6, 3, 4, generator=generator(1), requires_grad=True)
    loss = module(x)[0].square().sum()
    (one,) = torch.autograd.grad(loss, x, retain_graph=True)
    (other,) = torch.autograd.grad(loss, x)
    assert torch.equal(one, other)


def test_an_output_changed_in_place_is_noticed():
    module = modules(Cell.registry["vanilla"](), 9, 4)[1]
    outputs, _ = module(torch.ones(6, 3, 4))
    outputs.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@pytest.mark.parametrize(
    "unpack", [torch.Tensor.half, lambda t: t.flatten()[:1], lambda t: t.to("meta")], ids=["half", "short", "meta"]
)
def test_a_hook_that_gives_back_another_tensor_than_was_saved_is_refused(unpack):
    module, x = Recurrent(Cell.registry["vanilla"](), 4, 5), torch.ones(7, 3, 4)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
        outputs, _ = module(x)
    with pytest.raises(ValueError, match="vanilla: hooks on saved tensors must give back what they were given"):
        outputs.sum().backward()


def test_a_hook_may_give_back_what_was_saved_with_gaps_in_memory():
    module, x, found = Recurrent(Cell.registry["vanilla"](), 4, 5), torch.ones(7, 3, 4), []
    for unpack in (lambda t: t, lambda t: torch.stack([t, t], dim=-1)[..., 0]):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
            outputs, _ = module(x)
        found.append(torch.autograd.grad(outputs.sum(), module.parts[0]["R_z"])[0])
    assert torch.equal(*found)


def test_tanh_and_sigmoid_are_right_to_single_precision():
    class Curves(Cell):
        State = Pair
        gates = (Gate("a", bias=False),)

        def step(self, a, s, p):
            return Pair(x=torch.tanh(a.a), y=torch.sigmoid(a.a))

    x = torch.cat([torch.linspace(-100, 100, 40_001), torch.logspace(-30, 1, 5_001), -torch.logspace(-30, 1, 5_001)])
    inputs = Inputs(x.view(1, -1, 1), torch.ones(1, 1))
    zeros = torch.zeros(len(x), 1)
    found, _ = fused.run(Request(Curves(), inputs, Pair(zeros, zeros)))
    tanh, sigmoid = (v.flatten().double() for v in found)
    exact = x.double()
    assert float((tanh / torch.tanh(exact) - 1).abs()[exact != 0].max()) < 5e-7
    normal = exact > -87.0  # below, the result is no normal number
    assert float((sigmoid / torch.sigmoid(exact) - 1).abs()[normal].max()) < 5e-7
    assert float(tanh.abs().max()) <= 1.0
    assert float(sigmoid.max()) <= 1.0
    assert float(sigmoid[~normal].max()) < 2e-38


def test_a_cell_from_elsewhere_is_fused():
    assert choose("auto", Everything())[:2] == ("fused", "")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Softmax(), "'_softmax' is not elementwise"),
        (ByValue(), "'sum' is not elementwise"),
        (BySize(), "depends on the number of units"),
        (ByNumpy(), "reads numbers by Tensor.numpy"),
        (ByList(), "reads numbers by Tensor.tolist"),
        (ByMode(), "depends on whether derivatives are taken"),
        (Hooked(), "registers a hook on an argument"),
    ],
)
def test_a_cell_that_cannot_be_fused_says_why_and_runs_by_definition(cell: Cell, reason: str):
    module = Recurrent(cell, 3, 5)
    assert module.engine == "eager"
    assert reason in module.why_eager
    with pytest.raises(ValueError, match=f"Cell: .*{reason}" if cell.name else reason):
        Recurrent(cell, 3, 5, engine="fused")


def test_a_fused_module_refuses_another_type():
    module = modules(Cell.registry["gru"](), 5, 4)[1].double()
    with pytest.raises(
        ValueError, match=r"gru: the fused engine needs plain torch\.float32 tensors on the cpu, got torch\.float64"
    ):
        module(torch.ones(2, 2, 4, dtype=torch.float64))


def test_the_default_type_does_not_matter():
    torch.set_default_dtype(torch.float64)
    try:
        assert fused.why_not(Cell.registry["mut1"]()) == ""
    finally:
        torch.set_default_dtype(torch.float32)


PROGRAM = """
import sys, torch
from variants import Cell, Recurrent
from variants.engine.cpu import machine
torch.manual_seed(0)
module = Recurrent(Cell.registry["peephole"](), 3, 11)
outputs, _ = module(torch.randn(5, 4, 3))
outputs.sum().backward()
numbers = torch.cat([outputs.flatten(), *(p.grad.flatten() for p in module.parameters())])
assert "numba" not in sys.modules and "sympy" not in sys.modules
print(module.engine, machine.compiled, numbers.view(torch.int32).sum(dtype=torch.int64).item())
"""


def in_a_process(folder: Path) -> list[str]:
    environment = os.environ | {"LSTM_VARIANTS_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_second_process_compiles_nothing_and_gives_the_same_bits(tmp_path):
    first, second = in_a_process(tmp_path), in_a_process(tmp_path)
    assert first[:2] == ["fused", "6"]  # forward, backward, and the four functions that all kernels call
    assert second == ["fused", "0", first[2]]


def test_a_damaged_file_of_the_cache_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path))
    code = 'define void @"nothing"() {\n ret void\n}\n'
    for damage in (None, lambda content: content[:40], lambda content: b"", lambda content: content[:-1] + b"x"):
        monkeypatch.setattr(machine, "_addresses", {})
        for file in tmp_path.iterdir():
            if damage is not None:
                file.write_bytes(damage(file.read_bytes()))
        before = machine.compiled
        assert machine.load(code, "nothing") != 0
        assert machine.compiled == before + 1
        assert len(list(tmp_path.iterdir())) == 1
        monkeypatch.setattr(machine, "_addresses", {})
        machine.load(code, "nothing")
        assert machine.compiled == before + 1


def test_without_a_folder_for_the_cache_kernels_are_compiled(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(blocked / "folder"))
    before = machine.compiled
    code = 'define void @"nothing"() {\n ret void\n}\n'
    assert machine.load(code, "nothing") != 0
    assert machine.compiled == before + 1


def test_cells_of_a_class_with_the_same_knobs_share_their_kernels():
    one, same, other = Vanilla(), Vanilla(), Vanilla(peepholes=("f",))
    assert fused.program(one, Variation()) is fused.program(same, Variation())
    assert fused.program(one, Variation()) is not fused.program(other, Variation())


def test_cells_of_one_formula_share_their_kernels_whatever_their_attributes():
    one, other = Vanilla(), Vanilla()
    one.scales, other.scales = [1.0], [2.0]
    assert fused.program(one, Variation()) is fused.program(one, Variation())
    assert fused.program(one, Variation()) is fused.program(other, Variation())


SHORT_WAYS = [
    pytest.param({}, None, False, id="all outputs"),
    pytest.param({}, [[6, 3], [2, 6], [6, 0]], False, id="outputs where they are read"),
    pytest.param({"bidirectional": True}, [[3, 1]], True, id="both directions and padding"),
]


@pytest.mark.parametrize(("options", "reads", "padded"), SHORT_WAYS)
@pytest.mark.parametrize("cell", DEFAULTS, ids=repr)
def test_a_module_in_training_gives_the_same_outputs_and_gradients(cell: Cell, options, reads, padded):
    """In every of several updates of one size, and of another size between them."""
    options = {} if any(cell.for_layer(layer).shared for layer in range(2)) else options  # layers would differ in width
    plain, reusing = (
        Recurrent(cell, 3, fitting(cell, 5), layers=max(2, cell.min_layers), engine="fused", **options)
        for _ in range(2)
    )
    flat, source = reusing.flatten_parameters(), generator()
    reusing.start_training()
    for steps in (7, 7, 9, 7):
        x, lengths = torch.randn(steps, 2, 3, generator=source), torch.tensor([4, 7]) if padded else None
        asked = None if reads is None else torch.tensor(reads)
        found = []
        flat.gradient.zero_()
        for module in (plain, reusing):
            module.zero_grad(set_to_none=module is plain)
            outputs, _ = module(x, lengths=lengths, final=module is plain, reads=asked)
            found.append(outputs.detach().clone())
            (outputs * torch.linspace(0.5, 1.0, outputs.numel()).view_as(outputs)).sum().backward()
        gradients = torch.cat(
            [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in plain.parameters()]
        )
        assert torch.equal(*found)
        torch.testing.assert_close(flat.gradient, gradients, rtol=1e-6, atol=1e-6)
        assert gradients.any()


def test_a_module_in_training_refuses_a_derivative_of_a_run_that_is_not_the_last():
    module = Recurrent(Vanilla(), 3, 5, engine="fused")
    module.start_training()
    module.flatten_parameters()
    earlier, _ = module(torch.ones(4, 2, 3), final=False)
    module(torch.zeros(4, 2, 3), final=False)
    with pytest.raises(ValueError, match=r"vanilla: between start_training\(\) and end_training\(\) a module must"):
        earlier.sum().backward()


def test_a_module_after_training_is_as_before():
    module = Recurrent(Vanilla(), 3, 5, engine="fused")
    flat = module.flatten_parameters()
    module.start_training()
    module.end_training()
    first, _ = module(torch.ones(4, 2, 3), final=False)
    second, _ = module(torch.zeros(4, 2, 3), final=False)
    (first.sum() - second.sum()).backward()
    assert flat.gradient.any()
