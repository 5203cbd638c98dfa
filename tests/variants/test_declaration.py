"""The declaration of a cell is checked when a layer is built; every valid declaration runs on both engines."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn, sigmoid, tanh

from tests.variants.cases import fill
from variants import Cell, Gate, Recurrent, Scheme, Vanilla, build, feed
from variants.cells.clockwork import Clockwork
from variants.cells.gru import HiddenState

T, B, INPUTS, H = 6, 3, 4, 5
FOREIGN = nn.Parameter(torch.tensor(0.5))


class Unit(Cell):
    """The simplest unit; the cells below differ from it in what is wrong with them."""

    State = HiddenState
    gates = ("n",)

    def step(self, a, s, p):
        return HiddenState(h=tanh(a.n))


class Pair(NamedTuple):
    h: Tensor
    c: Tensor


def cell_with(**attributes) -> Cell:
    return type("Odd", (Unit,), attributes)()


def stepping(step) -> Cell:
    return cell_with(step=lambda self, a, s, p: step(a, s, p))


def stepping_itself() -> Cell:
    def step(self, a, s, p):
        self.count = getattr(self, "count", 0) + 1
        return HiddenState(a.n)

    return cell_with(step=step)


def owning(value) -> Cell:
    cell = Unit()
    cell.own = value
    return cell


WRONG_DECLARATIONS = {
    "a class": (Unit, "cell must be an instance of a subclass of Cell"),
    "no state": (cell_with(State=tuple), "Odd: State must be a NamedTuple class"),
    "gates as text": (cell_with(gates="n"), r"Odd: gates must be a tuple of names and Gates.*got 'n'"),
    "one gate without comma": (cell_with(gates=Gate("n")), "Odd: gates must be a tuple"),
    "gates of other things": (cell_with(gates=("n", 3)), "Odd: gates must be a tuple"),
    "no gates": (cell_with(gates=()), "Odd: gates must name at least one pre-activation, got none"),
    "a gate twice": (cell_with(gates=("n", "n")), "Odd: names in gates must be different, got 'n' twice"),
    "a gate with a dot": (cell_with(gates=("n.m",)), "Odd: names in gates must be Python identifiers.*got 'n.m'"),
    "a keyword": (cell_with(gates=("n", "in")), "Odd: names in gates must be Python identifiers.*got 'in'"),
    "a name of Python": (
        cell_with(vectors=("__class__",)),
        "Odd: names in vectors must be Python identifiers.*got '__class__'",
    ),
    "an empty name": (cell_with(vectors=("",)), "Odd: names in vectors must be Python identifiers.*got ''"),
    "a gate that hears nothing known": (
        cell_with(gates=(Gate("n", ("g",)),)),
        "gate 'n' hears 'g', which is no state field and no @feed; there is: h",
    ),
    "a method that is no feed": (
        cell_with(gates=(Gate("n", ("step",)),)),
        "gate 'n' hears 'step', which is no state field and no @feed",
    ),
    "hears as text": (
        cell_with(gates=(Gate("n", "h"),)),
        r"gate 'n' must hear a tuple of names, as in \('h',\), got 'h'",
    ),
    "no vectors but None": (cell_with(vectors=None), "Odd: vectors must be a tuple of names.*got None"),
    "hears None": (cell_with(gates=(Gate("n", None),)), "gate 'n' must hear a tuple of names.*got None"),
    "a source twice": (cell_with(gates=(Gate("n", ("h", "h")),)), "gate 'n' must hear each source once"),
    "gates that are no neighbours": (
        cell_with(gates=("n", Gate("m"), "o")),
        "that hear 'h' must be neighbours in `gates`, got n, o",
    ),
    "a gate without any term": (
        cell_with(gates=("n", Gate("m", (), input=False, bias=False))),
        "gate 'm' must have an input, a source",
    ),
    "a lost comma": (
        cell_with(vectors=("scale")),
        r"Odd: vectors must be a tuple of names, as in \('p_i',\), got 'scale'",
    ),
    "a vector twice": (cell_with(vectors=("p", "p")), "Odd: names in vectors must be different, got 'p' twice"),
    "a vector named as a bias": (cell_with(vectors=("b_n",)), "vector 'b_n' has the name of another parameter"),
    "a feed named as a field": (cell_with(h=feed(lambda self, a, s, p: s.h)), "the @feed 'h' has the name of a field"),
    "an unknown gate that layers share": (cell_with(shared=("q",)), r"shared must be names of gates \(n\), got 'q'"),
    "an unknown field that is shown": (cell_with(shows=("c",)), r"shows must be fields of the state \(h\), got 'c'"),
    "an unknown field above": (cell_with(above=("c",)), r"above must be fields of the state \(h\), got 'c'"),
    "an unknown field that remembers": (
        cell_with(remembers=("c",)),
        r"remembers must be fields of the state \(h\), got 'c'",
    ),
    "a parameter": (
        owning(nn.Parameter(torch.zeros(H))),
        "Unit: a cell owns no tensors.*'own' is or holds one.*got Parameter",
    ),
    "a tensor": (owning(torch.zeros(H)), "a cell owns no tensors.*got Tensor"),
    "a module": (owning(nn.Linear(2, 2)), "a cell owns no tensors.*got Linear"),
    "tensors in a list": (owning([1, {"x": torch.zeros(2)}]), "a cell owns no tensors.*got list"),
    "a tensor of the class": (cell_with(table=torch.zeros(3)), "a cell owns no tensors.*'table'"),
    "a constant that is a scalar": (
        cell_with(constants=lambda self, h: {"k": torch.tensor(0.3)}),
        r"constant 'k' must be .*\[5\].*got float32 \[\]",
    ),
    "a long constant": (
        cell_with(constants=lambda self, h: {"k": torch.ones(h + 1)}),
        r"constant 'k' must be .*got float32 \[6\]",
    ),
    "a whole constant": (
        cell_with(constants=lambda self, h: {"k": torch.arange(h)}),
        r"constant 'k' must be .*got int64 \[5\]",
    ),
    "a number as constant": (cell_with(constants=lambda self, h: {"k": 0.3}), "constant 'k' must be .*got 0.3"),
    "a learned constant": (
        cell_with(constants=lambda self, h: {"k": nn.Parameter(torch.ones(h))}),
        "constant 'k' must be .*not learned",
    ),
    "constants in a list": (
        cell_with(constants=lambda self, h: [torch.ones(h)]),
        "constants must return names and tensors, got list",
    ),
    "a constant named as a vector": (
        cell_with(vectors=("k",), constants=lambda self, h: {"k": torch.ones(h)}),
        "'k' must be a vector or a constant, got both",
    ),
    "a narrow mask": (
        cell_with(recurrent_mask=lambda self, h: torch.ones(h, 1)),
        r"recurrent_mask must be zeros and ones \[5, 5\], got float32 \[5, 1\]",
    ),
    "a mask of halves": (
        cell_with(recurrent_mask=lambda self, h: torch.full((h, h), 0.5)),
        "recurrent_mask must be zeros and ones",
    ),
    "a typo in a step": (
        stepping(lambda a, s, p: HiddenState(a.forget)),
        "step fails: AttributeError: there is no 'forget' here; there is: n",
    ),
    "a typo in a vector": (stepping(lambda a, s, p: HiddenState(p.p_i)), "there is no 'p_i' here; there is: nothing"),
    "a step without return": (stepping(lambda a, s, p: None), "step must return a HiddenState of h, got a NoneType"),
    "another state": (stepping(lambda a, s, p: Pair(a.n, a.n)), "step must return a HiddenState of h, got a Pair of 2"),
    "a plain tuple": (stepping(lambda a, s, p: (a.n,)), "step must return a HiddenState of h, got a tuple of 1"),
    "a number in the state": (
        stepping(lambda a, s, p: HiddenState(1.0)),
        r"the new state's 'h' must be a floating-point tensor \[B, 5\], got 1.0",
    ),
    "truth values in the state": (
        stepping(lambda a, s, p: HiddenState(a.n > 0)),
        r"'h' must be a floating-point tensor \[B, 5\], got bool \[B, 5\]",
    ),
    "a sliced state": (
        stepping(lambda a, s, p: HiddenState(a.n[:, :2])),
        r"'h' must be a floating-point tensor \[B, 5\], got float32 \[B, 2\]",
    ),
    "a foreign parameter": (
        stepping(lambda a, s, p: HiddenState(a.n * FOREIGN)),
        "depends on a parameter that the cell does not declare",
    ),
    "a state changed in place": (
        stepping(lambda a, s, p: HiddenState(a.n + s.h.mul_(0.5))),
        "step must not change its arguments in place, got another s.h",
    ),
    "a state changed unseen by autograd": (
        stepping(lambda a, s, p: HiddenState(a.n + s.h.data.mul_(0.5))),
        "step must not change its arguments in place, got another s.h",
    ),
    "another type in the state": (
        stepping(lambda a, s, p: HiddenState(a.n.double())),
        r"'h' must be a floating-point tensor \[B, 5\] of the type of its arguments, got float64 for float32",
    ),
    "a step that counts": (stepping_itself(), "Odd: a step must not change the cell, got a new '"),
    "no cell for a layer": (
        cell_with(for_layer=lambda self, k: None),
        r"Odd: for_layer\(0\) must return a cell with the State of Odd, got None",
    ),
    "another state in a layer": (
        cell_with(for_layer=lambda self, k: Vanilla()),
        r"for_layer\(0\) must return a cell with the State of Odd",
    ),
    "constants that fail": (cell_with(constants=lambda self, h: {}["k"]), "Odd: constants fails: KeyError: 'k'"),
    "a mask that fails": (
        cell_with(recurrent_mask=lambda self, h: {}["k"]),
        "Odd: recurrent_mask fails: KeyError: 'k'",
    ),
    "a size check that fails": (cell_with(validate=lambda self, h, n: {}["k"]), "Odd: validate fails: KeyError: 'k'"),
    "a sparse constant": (
        cell_with(constants=lambda self, h: {"k": torch.ones(h).to_sparse()}),
        "constant 'k' must be .*got .*sparse",
    ),
    "a constant without values": (
        cell_with(constants=lambda self, h: {"k": torch.ones(h, device="meta")}),
        "constant 'k' must be .*got float32 .* on meta",
    ),
    "a learned mask": (
        cell_with(recurrent_mask=lambda self, h: torch.ones(h, h, requires_grad=True)),
        "recurrent_mask must be zeros and",
    ),
    "a complex mask": (
        cell_with(recurrent_mask=lambda self, h: torch.ones(h, h) * (1 + 0j)),
        "recurrent_mask must be zeros and",
    ),
    "a projection by text": (cell_with(projects_input="no"), "Odd: projects_input must be True or False, got 'no'"),
    "a gate that keeps but is none": (
        cell_with(keeps=("f", 1)),
        r"Odd: keeps must be None or one of n and 1 or -1.*got \('f', 1\)",
    ),
    "no step": (
        type("Odd", (Cell,), {"State": HiddenState, "gates": ("n",)})(),
        r"step fails: NotImplementedError: Odd does not define step",
    ),
    "a feed that fails": (
        cell_with(f=feed(lambda self, a, s, p: a.n), gates=(Gate("n", ("f",)),)),
        "the feed 'f' fails: AttributeError: there is no 'n' here; there is: nothing",
    ),
}


@pytest.mark.parametrize("engine", ["auto", "eager"])
@pytest.mark.parametrize(("cell", "message"), WRONG_DECLARATIONS.values(), ids=WRONG_DECLARATIONS)
def test_a_wrong_declaration_is_refused_when_a_layer_is_built(cell, message, engine):
    with pytest.raises(ValueError, match=message) as refused:
        Recurrent(cell, INPUTS, H, engine=engine)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(n for n, c in Cell.registry.items() if not c.control))
def test_building_a_layer_leaves_the_global_generator_as_it_was(name):
    before = torch.random.get_rng_state()
    Recurrent(Cell.registry[name](), INPUTS, 8, layers=2)
    assert torch.equal(torch.random.get_rng_state(), before)


def same_on_both_engines(cell: Cell, **options) -> None:
    """Outputs, last state and all gradients, reusing or not, padded or not."""
    eager, fused = (Recurrent(cell, INPUTS, H, engine=e, layers=2, **options) for e in ("eager", "fused"))
    fill(eager)
    fused.load_state_dict(eager.state_dict())
    x, lengths = torch.linspace(-1, 1, T * B * INPUTS).view(T, B, INPUTS), torch.tensor([T, 2, 4])
    for reusing in (False, True):
        found = []
        for module in (eager, fused):
            for p in module.parameters():
                p.grad = torch.zeros_like(p)
            if reusing:
                module.start_training()
            outputs, last = module(x, lengths=lengths, final=not reusing)
            ends = [] if reusing else [v for s in last for v in s]
            (outputs.square().sum() + sum(v.sum() for v in ends)).backward()
            found.append(
                [outputs.detach().clone(), *(v.detach() for v in ends), *(p.grad for p in module.parameters())]
            )
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


NAMES = ("b", "t", "copy", "self", "u", "ä")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["vector", "constant", "field", "gate", "feed"])
def test_every_valid_name_works(kind, name):
    step = {
        "vector": lambda self, a, s, p: HiddenState(tanh(a.n) + getattr(p, name)),
        "constant": lambda self, a, s, p: HiddenState(tanh(a.n) * getattr(p, name)),
        "gate": lambda self, a, s, p: HiddenState(tanh(a.n) * sigmoid(getattr(a, name))),
        "feed": lambda self, a, s, p: HiddenState(tanh(a.n)),
    }.get(kind)
    attributes = {
        "vector": {"vectors": (name,)},
        "constant": {"constants": lambda self, h: {name: torch.linspace(0.5, 1.5, h)}},
        "gate": {"gates": ("n", Gate(name, ("h",)))},
        "feed": {name: feed(lambda self, a, s, p: 0.5 * s.h), "gates": (Gate("n", (name,)),)},
        "field": {"above": (name,)},
    }[kind]
    if kind == "field":
        State = NamedTuple("State", [("h", Tensor), (name, Tensor)])

        def step(self, a, s, p):
            return State(tanh(a.n) + getattr(s, name), sigmoid(a.n) + getattr(a, f"below_{name}", 0.0 * s.h))

        attributes["State"] = State
    if kind == "feed" and name in dir(Cell):
        pytest.skip("a method of Cell")
    options = {"zoneout": {name: 0.0}} if kind == "field" else {}
    same_on_both_engines(cell_with(step=step, **attributes), **options)


@pytest.mark.parametrize("name", ["b", "t"])
def test_zoneout_of_a_field_of_any_name_is_the_same_on_both_engines(name):
    State = NamedTuple("State", [("h", Tensor), (name, Tensor)])
    step = lambda self, a, s, p: State(tanh(a.n) + getattr(s, name), sigmoid(a.n))  # noqa: E731
    same_on_both_engines(cell_with(State=State, step=step), zoneout={name: 0.5, "h": 0.25})


MINIMAL = {
    "without any bias": cell_with(gates=(Gate("n", ("h",), bias=False),)),
    "without any input": cell_with(gates=(Gate("n", ("h",), input=False),)),
    "without input or bias": cell_with(
        gates=(Gate("n", ("h",), input=False, bias=False),), step=lambda self, a, s, p: HiddenState(tanh(a.n) + 0.5)
    ),
    "without a gate that hears": cell_with(gates=(Gate("n"),)),
    "with a bias only": cell_with(gates=(Gate("n", input=False),)),
    "with a gate of each kind": cell_with(
        gates=("n", Gate("m", bias=False), Gate("o", input=False)),
        step=lambda self, a, s, p: HiddenState(tanh(a.n) * a.m + a.o),
    ),
    "with a state of vectors only": cell_with(
        State=Pair, vectors=("v",), step=lambda self, a, s, p: Pair(tanh(a.n) * s.c, torch.exp(p.v))
    ),
}


@pytest.mark.parametrize("cell", MINIMAL.values(), ids=MINIMAL)
def test_a_cell_runs_on_both_engines_whatever_it_leaves_out(cell):
    same_on_both_engines(cell)


@pytest.mark.parametrize("engine", ["eager", "auto"])
def test_a_cell_without_any_bias_has_2_h_i_plus_h_parameters(engine):
    cell = cell_with(gates=(Gate("n", ("h",), bias=False), Gate("m", ("h",), bias=False)))
    assert Recurrent(cell, INPUTS, H, engine=engine).parameter_count == 2 * H * (INPUTS + H)


def test_layer_normalisation_of_a_cell_without_inputs_runs():
    module = Recurrent(MINIMAL["without any input"], INPUTS, H, layer_norm=True)
    assert module(torch.ones(T, B, INPUTS))[0].shape == (T, B, H)


class Leaky(Unit):
    rate = 0.1

    def step(self, a, s, p):
        return HiddenState(h=(1 - self.rate) * s.h + self.rate * tanh(a.n))


SCALE = {"by": 1.0}


class Scaled(Unit):
    def step(self, a, s, p):
        return HiddenState(h=SCALE["by"] * tanh(a.n))


def outputs_of(cell: Cell, engine: str) -> Tensor:
    return Recurrent(cell, INPUTS, H, engine=engine)(torch.ones(T, B, INPUTS))[0]


def test_a_new_layer_runs_the_present_formula(monkeypatch):
    """Also where a class attribute, the step itself or a global that it reads was changed after an earlier layer."""
    cells, before = (Leaky(), Scaled()), []
    for change in (
        lambda: None,
        lambda: monkeypatch.setattr(Leaky, "rate", 0.9),
        lambda: monkeypatch.setitem(SCALE, "by", 3.0),
    ):
        change()
        for cell in cells:
            assert torch.allclose(outputs_of(cell, "fused"), outputs_of(cell, "eager"), atol=1e-5)
            assert torch.allclose(outputs_of(type(cell)(), "fused"), outputs_of(cell, "eager"), atol=1e-5)
        before.append([outputs_of(cell, "fused") for cell in cells])
    monkeypatch.setattr(Leaky, "step", lambda self, a, s, p: HiddenState(h=a.n))
    assert torch.allclose(outputs_of(cells[0], "fused"), outputs_of(cells[0], "eager"), atol=1e-5)
    assert not torch.allclose(before[0][0], before[1][0])
    assert not torch.allclose(before[1][1], before[2][1])


def test_constants_in_double_precision_have_the_type_of_the_parameters():
    cell = cell_with(
        constants=lambda self, h: {"k": torch.linspace(0, 1, h, dtype=torch.float64)},
        step=lambda self, a, s, p: HiddenState(tanh(a.n) * p.k),
    )
    module = Recurrent(cell, INPUTS, H)
    assert module(torch.ones(T, B, INPUTS))[0].dtype is torch.float32
    assert module.engine == "fused"


def test_a_declared_cell_that_is_right_is_accepted_with_knobs_on_the_instance():
    assert Recurrent(Vanilla(peepholes=("o",)), INPUTS, H).engine == "fused"


WRONG_OPTIONS = {
    "a rate as text": ({"dropout": "0.5", "layers": 2}, r"dropout must be in \[0, 1\), got '0.5'"),
    "no rate": ({"recurrent_dropout": None}, r"recurrent_dropout must be in \[0, 1\), got None"),
    "a rate as tensor": ({"zoneout": torch.tensor(0.5)}, r"zoneout of h must be in \[0, 1\), got tensor"),
    "a generator": ({"generator": 5}, "generator must be a torch.Generator or None, got 5"),
    "a stream": ({"stream": 5}, r"stream must give a torch.Generator for a purpose, as streams\(0\) does, got 5"),
    "a stream of numbers": ({"stream": lambda purpose: None}, "stream must give a torch.Generator for a purpose"),
    "a list of schemes": ({"initialisation": ["chrono"]}, "initialisation must be one of chrono, "),
    "directions as text": ({"bidirectional": "no"}, "bidirectional must be True or False, got 'no'"),
    "layer normalisation as text": ({"layer_norm": "no"}, "layer_norm must be True or False, got 'no'"),
    "an engine": ({"engine": "quick"}, "engine must be one of auto, eager, fused, got 'quick'"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_refused_by_a_line_that_names_the_cell(options, message):
    with pytest.raises(ValueError, match=f"^Unit: {message}"):
        Recurrent(Unit(), INPUTS, H, **options)


class Unfilled(Scheme):
    """Returns values in place of filling blocks."""

    def fill(self, kind, tensor, generator):
        return torch.zeros_like(tensor)


class Failing(Scheme):
    """Fails."""

    def fill(self, kind, tensor, generator):
        raise KeyError("k")


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        (Unfilled(), "Unfilled must fill every block in place with finite values, got others in W_."),
        (Failing(), "Failing fails: KeyError: 'k'"),
    ],
    ids=["unfilled", "failing"],
)
@pytest.mark.parametrize("name", ["vanilla", "native_lstm"])
def test_an_initialisation_that_leaves_a_block_without_values_is_refused(name, scheme, message):
    with pytest.raises(ValueError, match=f"{name}: the initialisation {message}"):
        build(Cell.registry[name](), INPUTS, H, initialisation=scheme)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_what_is_done_to_a_cell_is_for_later_layers_only(engine):
    cell = Leaky()
    earlier = Recurrent(cell, INPUTS, H, engine=engine)
    before = earlier(torch.ones(T, B, INPUTS))[0]
    cell.rate, cell.gates = 0.9, ("n", "m")
    later = Recurrent(cell, INPUTS, H, engine=engine)
    assert torch.equal(earlier(torch.ones(T, B, INPUTS))[0], before)
    assert [b.name for b in later.cell.blocks] == ["W_n", "W_m", "R_n", "R_m", "b_n", "b_m"]
    assert not torch.allclose(later(torch.ones(T, B, INPUTS))[0], before)


@pytest.mark.parametrize(
    "change", [lambda m: m.to_empty(device="cpu"), lambda m: m.half().float()], ids=["emptied", "rounded"]
)
def test_constants_and_mask_come_from_the_declaration_whatever_is_done_to_a_module(change):
    module = Recurrent(Clockwork(periods=(1, 3, 4097)), INPUTS, 6)
    expected = {n: b.clone() for n, b in module.named_buffers()}
    change(module)
    assert {n: b.tolist() for n, b in module.named_buffers()} == {n: b.tolist() for n, b in expected.items()}


def test_a_layer_with_a_mask_is_built_without_values_and_filled_later():
    cell, plain = Clockwork(periods=(1, 3)), Recurrent(Clockwork(periods=(1, 3)), INPUTS, 6)
    with torch.device("meta"):
        module = Recurrent(cell, INPUTS, 6)
    module.to_empty(device="cpu").load_state_dict(plain.state_dict())
    x = torch.ones(4, 2, INPUTS)
    assert torch.equal(module(x)[0], plain(x)[0])
