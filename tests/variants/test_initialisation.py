"""Initialisation schemes have their distributions, and a stream depends on seed and purpose only."""

import math

import pytest
import torch

from tests.variants.cases import DEFAULTS, fitting
from variants import GRU, Cell, Recurrent, Scheme, build, knobs_of, streams
from variants.initialisation import Chrono, Gaussian, Uniform, initialise_readout

INPUTS, H = 60, 100  # large enough for statistics


def part(name: str, scheme, **knobs) -> dict[str, torch.Tensor]:
    module = Recurrent(Cell.registry[name](**knobs), INPUTS, H, initialisation=scheme)
    return {n: v.detach() for n, v in module.parts[0].items()}


SCHEMES = [pytest.param(name, id=name) for name in Scheme.registry]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("cell", DEFAULTS)
def test_every_scheme_starts_every_cell_with_finite_values(cell: Cell, scheme: str):
    module = Recurrent(cell, 4, fitting(cell), layers=max(2, cell.min_layers), initialisation=scheme)
    assert all(torch.isfinite(p).all() for p in module.parameters())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_stream_gives_the_same_start(scheme):
    one, other = part("peephole", scheme), part("peephole", scheme)
    assert all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.id not in ("identity",)])
def test_another_seed_gives_another_start(scheme):
    cell = Cell.registry["vanilla"]()
    one, other = (Recurrent(cell, 4, 5, initialisation=scheme, stream=streams(seed)) for seed in (1, 2))
    assert not torch.equal(one.parts[0]["R_z"], other.parts[0]["R_z"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_and_directions_start_from_different_values(scheme):
    module = Recurrent(Cell.registry["vanilla"](), 10, 5, layers=2, bidirectional=True, initialisation=scheme)
    assert len({p["W_z"].sum().item() for p in module.parts}) == 4


@pytest.mark.parametrize("block", ["W_z", "R_z", "W_o", "R_i"])
def test_cells_that_share_a_block_start_from_the_same_values_of_it(block):
    assert torch.equal(part("vanilla", "gaussian")[block], part("no_forget_gate", "gaussian")[block])


def test_glorot_draws_inputs_from_their_bound():
    w, bound = part("vanilla", "glorot_orthogonal")["W_i"], math.sqrt(6 / (INPUTS + H))
    assert 0.98 * bound < w.abs().max() <= bound
    assert w.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)


@pytest.mark.parametrize("gate", ["z", "i", "f", "o"])
def test_glorot_orthogonal_draws_orthogonal_recurrent_matrices(gate):
    r = part("vanilla", "glorot_orthogonal")[f"R_{gate}"]
    torch.testing.assert_close(r @ r.T, torch.eye(H), rtol=0, atol=1e-5)


def test_glorot_orthogonal_leaves_vectors_and_biases_at_zero():
    w = part("peephole", "glorot_orthogonal", keep_bias=0.0)
    assert not any(w[n].any() for n in w if n[0] in "bp")


@pytest.mark.parametrize("block", ["W_z", "R_z", "b_z", "p_i"])
def test_gaussian_draws_everything_from_its_deviation(block):
    v = part("peephole", Gaussian(std=0.1))[block]
    assert v.std().item() == pytest.approx(0.1, rel=0.25 if v.dim() == 1 else 0.03)
    assert abs(v.mean().item()) < 4 * 0.1 / math.sqrt(v.numel())


@pytest.mark.parametrize("block", ["W_z", "R_z", "b_z", "p_i"])
def test_uniform_fan_draws_everything_as_torch_does(block):
    v, bound = part("peephole", "uniform_fan")[block], 1 / math.sqrt(H)
    assert 0.9 * bound < v.abs().max() <= bound


@pytest.mark.parametrize("block", ["W_z", "R_z", "b_z", "p_i"])
def test_uniform_draws_everything_from_its_bound(block):
    v = part("peephole", Uniform(bound=0.3))[block]
    assert 0.9 * 0.3 < v.abs().max() <= 0.3
    assert abs(v.mean().item()) < 4 * 0.3 / math.sqrt(3 * v.numel())


def readout(scheme) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = torch.empty(50, H), torch.empty(50)
    initialise_readout(scheme, weight, bias, streams(3))
    return weight, bias


class OnlyFill(Scheme):
    def fill(self, kind, tensor, generator):
        tensor.zero_()


@pytest.mark.parametrize(
    "scheme",
    [*(Scheme.registry[name]() for name in ("glorot_orthogonal", "identity", "chrono")), OnlyFill()],
    ids=["glorot_orthogonal", "identity", "chrono", "OnlyFill"],
)
def test_a_read_out_starts_after_glorot_with_zero_bias_unless_its_scheme_says_otherwise(scheme):
    weight, bias = readout(scheme)
    expected = torch.nn.init.xavier_uniform_(torch.empty(50, H), generator=streams(3)("readout"))
    assert torch.equal(weight, expected)
    assert not bias.any()


@pytest.mark.parametrize(
    ("scheme", "largest"),
    [(Uniform(bound=0.3), 0.3), (Scheme.registry["uniform_fan"](), 1 / math.sqrt(H))],
    ids=["uniform", "uniform_fan"],
)
def test_a_uniform_scheme_draws_the_read_out_from_the_same_bound(scheme, largest):
    for v in readout(scheme):
        assert 0.9 * largest < v.abs().max() <= largest
        assert v.std().item() == pytest.approx(largest / math.sqrt(3), rel=0.3 if v.dim() == 1 else 0.03)


def test_gaussian_draws_the_read_out_and_its_bias_from_the_same_deviation():
    for v in readout(Gaussian(std=0.2)):
        assert v.std().item() == pytest.approx(0.2, rel=0.25 if v.dim() == 1 else 0.03)


def test_a_scheme_that_leaves_a_read_out_unfilled_is_refused():
    class Forgetful(OnlyFill):
        def readout(self, weight, bias, stream):
            weight.zero_()

    with pytest.raises(ValueError, match="the initialisation Forgetful must fill the read-out in place"):
        readout(Forgetful())


@pytest.mark.parametrize("cell", DEFAULTS)
def test_identity_starts_every_recurrent_matrix_as_the_identity(cell: Cell):
    module = Recurrent(cell, 4, fitting(cell), layers=cell.min_layers, initialisation="identity")
    for here, values in zip(module.cells, module.parts, strict=True):
        assert all(torch.equal(values[b.name], torch.eye(*values[b.name].shape)) for b in here.blocks if b.kind == "R")


def test_identity_leaves_biases_at_zero_but_for_the_keep_bias():
    w = part("vanilla", "identity", keep_bias=1.0)
    assert {n: v.unique().tolist() for n, v in w.items() if n[0] == "b"} == {
        "b_z": [0.0],
        "b_i": [0.0],
        "b_f": [1.0],
        "b_o": [0.0],
    }


@pytest.mark.parametrize("scheme", ["glorot_orthogonal", "gaussian", "uniform_fan", "identity"])
@pytest.mark.parametrize(
    ("name", "block", "sign"),
    [
        ("vanilla", "b_f", 1),
        ("full_gate_recurrence", "b_f", 1),
        ("coupled", "b_i", -1),
        ("grid", "b_ft", 1),
        ("gru", "b_u", 1),
        ("gru_reset_after", "b_u", 1),
        ("mut1", "b_u", -1),
        ("mut2", "b_u", -1),
        ("mut3", "b_u", -1),
    ],
)
def test_the_keep_bias_is_added_once(scheme, name, block, sign):
    torch.testing.assert_close(
        part(name, scheme, keep_bias=3.0)[block], part(name, scheme, keep_bias=0.0)[block] + 3.0 * sign
    )


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in Cell.registry.items() if cls.keeps])
def test_every_cell_whose_bias_decides_what_it_keeps_has_the_knob_with_the_same_default(cls):
    assert knobs_of(cls)["keep_bias"].default == 1.0


def test_grid_adds_the_keep_bias_to_both_forget_gates():
    cell = Cell.registry["grid"](keep_bias=3.0)
    upper = Recurrent(cell, 4, 5, layers=2).parts[1]
    biases = {name: value.unique().tolist() for name, value in upper.items() if name.startswith("b_")}
    assert biases == {name: [0.0] for name in biases} | {"b_ft": [3.0], "b_fd": [3.0]}


class Own(Cell):
    """A cell of somebody else: u writes, so that a large bias keeps less."""

    State, gates, keeps = GRU.State, ("u", "n"), ("u", -1)

    def __init__(self, *, keep_bias: float = 1.0) -> None:
        self.keep_bias = keep_bias

    def step(self, a, s, p):
        u = a.u.sigmoid()
        return self.State(h=(1 - u) * s.h + u * a.n.tanh())


class OwnStart(Own):
    def after_initialisation(self, blocks):
        blocks["b_n"].fill_(7.0)


class Forgetful(Own):
    def __init__(self, *, keep_bias: float = 1.0) -> None:
        pass


@pytest.mark.parametrize("cls", [Own, OwnStart])
def test_a_cell_of_ones_own_gets_its_keep_bias_whatever_else_it_adjusts(cls):
    module = Recurrent(cls(keep_bias=2.0), 4, 5)
    assert module.parts[0]["b_u"].unique().tolist() == [-2.0]
    assert module.kept == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_a_cell_that_takes_the_keep_bias_and_forgets_it_is_refused():
    with pytest.raises(ValueError, match="Forgetful: a cell that takes the knob keep_bias must store it as self"):
        Recurrent(Forgetful(), 4, 5)


# What is kept at the start
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layers"), [("vanilla", 1), ("coupled", 2), ("gru", 1), ("mut1", 1), ("grid", 3)])
def test_a_keep_bias_of_one_keeps_what_the_logistic_function_of_one_is(name, layers):
    assert Recurrent(Cell.registry[name](), 4, 5, layers=layers).kept == pytest.approx(0.7310586)


def test_what_is_kept_is_the_mean_over_the_units_of_all_layers_and_directions():
    module = Recurrent(GRU(keep_bias=0.5), 4, 5, layers=2, bidirectional=True, initialisation=Gaussian(std=1.0))
    shares = [1 / (1 + math.exp(-b)) for part in module.parts for b in part["b_u"].tolist()]
    assert len(shares) == 20
    assert module.kept == pytest.approx(sum(shares) / 20)


def test_what_is_kept_at_the_start_does_not_follow_the_training():
    module = Recurrent(GRU(), 4, 5)
    module.parts[0]["b_u"].data.fill_(9.0)
    assert module.kept == pytest.approx(0.7310586)


@pytest.mark.parametrize("name", ["native_lstm", "native_gru"])
def test_a_control_keeps_what_its_gate_says(name):
    assert build(Cell.registry[name](keep_bias=2.0), 4, 5, initialisation="identity").kept == pytest.approx(0.8807971)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("no_forget_gate", 1.0), ("lstm_1997", 1.0), ("rnn", None), ("irnn", None), ("clockwork", None)],
)
def test_a_cell_without_a_gate_that_keeps_keeps_all_or_nobody_knows(name, kept):
    assert Recurrent(Cell.registry[name](), 4, 8).kept == kept


def test_what_is_kept_on_the_device_meta_is_not_known():
    with torch.device("meta"):
        assert Recurrent(GRU(), 4, 5).kept is None


def test_the_keep_bias_is_not_added_again_when_the_module_runs():
    module = Recurrent(Cell.registry["vanilla"](keep_bias=3.0), 4, 5)
    for _ in range(3):
        module(torch.zeros(2, 1, 4))
    assert module.parts[0]["b_f"].unique().tolist() == [3.0]


@pytest.mark.parametrize(
    ("name", "block", "sign"),
    [
        ("vanilla", "b_f", 1),
        ("coupled", "b_i", -1),
        ("gru", "b_u", 1),
        ("gru_reset_after", "b_u", 1),
        ("mut2", "b_u", -1),
    ],
)
def test_chrono_spreads_the_time_of_the_gate_that_keeps_evenly(name, block, sign):
    times = (sign * part(name, Chrono(t_max=50.0))[block]).exp()  # U[1, 49]
    assert times.min() >= 1.0
    assert times.max() <= 49.0
    distance = (times.sort().values - 1) / 48 - torch.linspace(0, 1, H)
    assert distance.abs().max() < 1.63 / math.sqrt(H), "Kolmogorov-Smirnov at 1 %"


def test_chrono_writes_as_much_as_it_forgets():
    w = part("vanilla", "chrono")
    assert torch.equal(w["b_i"], -w["b_f"])


def test_chrono_takes_the_place_of_the_keep_bias():
    assert torch.equal(part("vanilla", "chrono", keep_bias=5.0)["b_f"], part("vanilla", "chrono", keep_bias=0.0)["b_f"])


def test_chrono_starts_a_cell_without_a_gate_that_keeps_like_its_base():
    one, other = part("rnn", "chrono"), part("rnn", "glorot_orthogonal")
    assert all(torch.equal(one[n], other[n]) for n in one)


def test_chrono_starts_a_cell_whose_gates_have_no_bias():
    class Unbiased(Cell.registry["gru"]):
        gates = tuple(g._replace(bias=False) for g in Cell.registry["gru"]().preactivations)

    module = Recurrent(Unbiased(), INPUTS, H, initialisation=Chrono())
    assert not any(name.startswith("parts.0.b_") for name, _ in module.named_parameters())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_irnn_starts_as_an_accumulator_under_every_scheme(scheme):
    w = part("irnn", scheme)
    assert torch.equal(w["R_h"], torch.eye(H))
    assert not w["b_h"].any()


def test_the_projection_of_the_input_is_drawn():
    module = Recurrent(Cell.registry["grid"](), INPUTS, H, initialisation=Gaussian(std=0.1))
    assert module.project["P"].std().item() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize(
    "wrong",
    [lambda: Gaussian(std=0.0), lambda: Uniform(bound=0.0), lambda: Chrono(t_max=2.0)],
    ids=["gaussian", "uniform", "chrono"],
)
def test_a_scheme_refuses_a_value_without_meaning(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()


def test_a_stream_is_the_same_for_the_same_purpose():
    assert torch.equal(torch.rand(3, generator=streams(1, "a")("x")), torch.rand(3, generator=streams(1, "a")("x")))


@pytest.mark.parametrize(("seed", "purpose"), [((2,), "x"), ((1,), "y"), ((1, "x"), "x")])
def test_a_stream_differs_for_another_seed_or_purpose(seed, purpose):
    assert not torch.equal(torch.rand(3, generator=streams(1)("x")), torch.rand(3, generator=streams(*seed)(purpose)))
