"""What a cell can declare besides gates and vectors: every kind on both engines, in all passes, and counted."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, sigmoid, tanh

from tests.variants.cases import fill
from variants import Cell, Gate, Recurrent, Scheme, feed
from variants.catalogue import card
from variants.cells.gru import HiddenState
from variants.cells.lstm import LSTMP

T, B, INPUTS, H = 7, 3, 4, 6


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


def sequences() -> Tensor:
    return torch.randn(T, B, INPUTS, generator=torch.Generator().manual_seed(1))


def results(module: Recurrent, x: Tensor, *, reusing: bool) -> list[Tensor]:
    """Outputs, last states, and derivatives by parameters and inputs."""
    x = x.clone().requires_grad_()
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    module.start_training() if reusing else module.end_training()
    outputs, last = module(x, lengths=[T, 2, 4], final=not reusing)
    ends = [v for s in last for v in s]
    (outputs.square().sum() + sum((v.sum() for v in ends), torch.zeros(()))).backward()
    return [v.detach().clone() for v in (outputs, *ends, x.grad, *(p.grad for p in module.parameters()))]


def agree(cell: Cell, units: int = H, **options: Any) -> None:
    """Both engines give what the specification gives in double precision: called, in training, and evaluated."""
    options = {"layers": 2} | options
    exact, fused = (Recurrent(cell, INPUTS, units, engine=e, **options) for e in ("eager", "fused"))
    fill(fused, std=min(0.5, units**-0.5))
    exact.load_state_dict(fused.state_dict())
    exact = exact.double()
    x = sequences()
    expected = results(exact, x.double(), reusing=False)
    for actual, right in zip(results(fused, x, reusing=False), expected, strict=True):
        torch.testing.assert_close(actual, right.float(), rtol=1e-5, atol=2e-5)
    expected = results(exact, x.double(), reusing=True)
    for _ in range(2):  # the second time, buffers hold the numbers of the first
        for actual, right in zip(results(fused, x, reusing=True), expected, strict=True):
            torch.testing.assert_close(actual, right.float(), rtol=1e-5, atol=2e-5)
    every = torch.arange(T).unsqueeze(1).repeat(1, B)
    found = fused.evaluation_pass(T, B, padded=False).outputs(x, None, every)
    with torch.no_grad():
        torch.testing.assert_close(found, fused(x)[0], rtol=0.0, atol=0.0)


# Scalars
# --------------------------------------------------------------------------------------------------------------------


class Fast(Cell):
    """The gated unit of Kusupati et al. 2018, which weighs its parts by two numbers."""

    State = HiddenState
    gates = (Gate("g", hears=("h",), bias=False),)
    vectors = ("b_g", "b_n")
    scalars = ("zeta", "nu")

    def step(self, a, s, p):
        u = sigmoid(a.g + p.b_g)
        return HiddenState(h=(sigmoid(p.zeta) * (1 - u) + sigmoid(p.nu)) * tanh(a.g + p.b_n) + u * s.h)


class FastVector(Fast):
    """The same with a vector instead of each number."""

    vectors = ("b_g", "b_n", "zeta", "nu")
    scalars = ()


def test_a_cell_with_scalars_is_the_same_on_both_engines():
    agree(Fast())


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_the_derivative_by_a_scalar_is_the_sum_of_those_by_a_vector_of_equal_values(engine):
    one, many = (Recurrent(cell, INPUTS, H, engine=engine) for cell in (Fast(), FastVector()))
    fill(one)
    with torch.no_grad():
        for name, p in many.named_parameters():
            p.copy_(dict(one.named_parameters())[name])
    for module in (one, many):
        module(sequences())[0].square().sum().backward()
    for name in ("zeta", "nu"):
        torch.testing.assert_close(one.parts[0][name].grad, many.parts[0][name].grad.sum(0, keepdim=True))


def test_a_scalar_is_one_parameter():
    assert Fast().parameter_count(INPUTS, H) == H * (INPUTS + H + 2) + 2
    assert Recurrent(Fast(), INPUTS, H).parts[0]["zeta"].shape == (1,)
    assert Recurrent(Fast(), INPUTS, H, layers=2).parameter_count == H * (INPUTS + H + 2) + H * (2 * H + 2) + 4


@pytest.mark.parametrize("name", Scheme.registry)
def test_a_scalar_starts_as_the_first_value_of_a_vector(name):
    one, many = (Recurrent(cell, INPUTS, H, initialisation=name).parts[0] for cell in (Fast(), FastVector()))
    assert torch.equal(one["zeta"], many["zeta"][:1])


def test_the_card_of_a_cell_shows_its_scalars():
    assert "    zeta     [1] 1" in card(Fast, INPUTS, H).splitlines()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scalars": "zeta"}, r"Wrong: scalars must be a tuple of names, as in \('p_i',\), got 'zeta'"),
        ({"scalars": ("1",)}, "Wrong: names in scalars must be Python identifiers"),
        ({"scalars": ("b_g",)}, "Wrong: vector 'b_g' has the name of another parameter"),
        ({"scalars": ("R_g",)}, "Wrong: scalar 'R_g' has the name of another parameter"),
    ],
)
def test_a_wrong_scalar_is_refused_by_one_line(attributes, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(type("Wrong", (Fast,), attributes)(), INPUTS, H)


# No recurrent matrix
# --------------------------------------------------------------------------------------------------------------------


class Minimal(Cell):
    """The unit of Feng et al. 2024: gates see the input only, so that no step multiplies by a matrix."""

    State = HiddenState
    gates = (Gate("z"), Gate("n"))

    def step(self, a, s, p):
        z = sigmoid(a.z)
        return HiddenState(h=(1 - z) * s.h + z * a.n)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"zoneout": 0.0}])
def test_a_cell_without_recurrent_matrices_is_the_same_on_both_engines(options):
    agree(Minimal(), **options)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_cell_without_recurrent_matrices_is_a_weighted_sum_of_its_inputs(engine):
    """h_t = sum over k of z_k n_k times the product of (1 - z) after k, for each unit by itself."""
    module = Recurrent(Minimal(), INPUTS, H, engine=engine)
    fill(module)
    x, part = sequences(), module.parts[0]
    z, n = (x @ part[f"W_{g}"].T + part[f"b_{g}"] for g in "zn")
    z = sigmoid(z)
    passed = torch.cumprod(1 - z.flip(0), 0).flip(0) / (1 - z)  # of step k at the end
    torch.testing.assert_close(module(x)[1][0].h, (passed * z * n).sum(0), rtol=1e-5, atol=1e-5)


def test_a_cell_without_recurrent_matrices_counts_none():
    assert Minimal().parameter_count(INPUTS, H) == 2 * H * (INPUTS + 1)


# A transformed R
# --------------------------------------------------------------------------------------------------------------------


class Antisymmetric(Cell):
    """A forward Euler step of a stable system, as in Chang et al. 2019: R - R^T - gamma I in the place of R."""

    State = HiddenState
    gates = ("z", "n")

    def transform_recurrent(self, matrix):
        return matrix - matrix.T - 0.1 * torch.eye(len(matrix), dtype=matrix.dtype)

    def step(self, a, s, p):
        return HiddenState(h=s.h + 0.5 * sigmoid(a.z) * tanh(a.n))


class Triangular(Antisymmetric):
    """The same from its free values alone: what lies above the diagonal."""

    def recurrent_mask(self, hidden_size):
        return torch.ones(hidden_size, hidden_size).triu(1)


@pytest.mark.parametrize("cell", [Antisymmetric(), Triangular()], ids=["all values", "free values"])
def test_a_cell_with_a_transformed_matrix_is_the_same_on_both_engines(cell):
    agree(cell, bidirectional=True)


def test_a_transformed_matrix_is_what_the_source_is_multiplied_with():
    module = Recurrent(Antisymmetric(), INPUTS, H)
    fill(module)
    plain = Recurrent(type("Plain", (Antisymmetric,), {"transform_recurrent": Cell.transform_recurrent})(), INPUTS, H)
    with torch.no_grad():
        for name, p in plain.named_parameters():
            given = dict(module.named_parameters())[name]
            p.copy_(given - given.T - 0.1 * torch.eye(H) if ".R_" in name else given)
    x = sequences()
    torch.testing.assert_close(module(x)[0], plain(x)[0])


def test_a_derivative_by_a_transformed_matrix_reaches_the_learned_one():
    """R - R^T has the derivative D - D^T, whose diagonal is 0."""
    module = Recurrent(Antisymmetric(), INPUTS, H, engine="fused")
    module(sequences())[0].square().sum().backward()
    gradient = module.parts[0]["R_n"].grad
    torch.testing.assert_close(gradient, -gradient.T)
    assert gradient.any()


def test_only_the_free_values_of_a_transformed_matrix_are_counted():
    assert Triangular().parameter_count(INPUTS, H) == 2 * (H * INPUTS + H * (H - 1) // 2 + H)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            lambda self, matrix: matrix[0],
            r"Wrong: transform_recurrent must return a matrix \[6, 6\] of the type of its",
        ),
        (lambda self, matrix: 3, r"Wrong: transform_recurrent must return a matrix \[6, 6\], got 3"),
        (lambda self, matrix: matrix.double(), "got float64"),
        (lambda self, matrix: matrix.mul_(2.0), "Wrong: transform_recurrent must not change its argument in place"),
        (lambda self, matrix: matrix.nothing(), "Wrong: transform_recurrent fails: AttributeError"),
    ],
)
def test_a_wrong_transform_is_refused_by_one_line(transform, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(type("Wrong", (Antisymmetric,), {"transform_recurrent": transform})(), INPUTS, H)


# Heads
# --------------------------------------------------------------------------------------------------------------------


class TwoFields(NamedTuple):
    h: Tensor
    c: Tensor


class Headed(Cell):
    """Gates that hear a state, two states or a feed, each by blocks of R."""

    State = TwoFields
    gates = (Gate("r", ("h",)), Gate("u", ("h", "c")), Gate("v"), Gate("n", ("reset",), bias=False))
    vectors = ("p_c",)

    def __init__(self, *, heads: int = 2) -> None:
        self.heads = heads

    @feed
    def reset(self, a, s, p):
        return sigmoid(a.r) * s.h

    def step(self, a, s, p):
        c = sigmoid(a.u) * s.c * p.p_c + tanh(a.n)
        return TwoFields(h=tanh(c) * sigmoid(a.v), c=c)


@pytest.mark.parametrize(("heads", "units"), [(2, 6), (3, 6), (6, 6), (2, 40), (4, 64)])
def test_a_cell_with_heads_is_the_same_on_both_engines(heads, units):
    agree(Headed(heads=heads), units=units, layers=1)


def test_a_stack_with_heads_is_the_same_on_both_engines():
    agree(Headed(heads=3), layers=2, bidirectional=True)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_heads_are_blocks_on_the_diagonal_of_a_whole_matrix(engine):
    headed, whole = (Recurrent(Headed(heads=n), INPUTS, H, engine=engine) for n in (3, 1))
    fill(headed)
    with torch.no_grad():
        for name, p in headed.named_parameters():
            same = dict(whole.named_parameters())[name]
            same.copy_(torch.block_diag(*p.chunk(3)) if ".R_" in name else p)
    x = sequences()
    for module in (headed, whole):
        module(x)[0].square().sum().backward()
    torch.testing.assert_close(headed(x)[0], whole(x)[0])
    for name, p in headed.named_parameters():
        gradient = dict(whole.named_parameters())[name].grad
        if ".R_" in name:
            gradient = torch.cat([gradient[k : k + 2, k : k + 2] for k in range(0, H, 2)])
        torch.testing.assert_close(p.grad, gradient, rtol=1e-5, atol=1e-5)


def test_one_head_does_not_hear_another_even_where_that_is_not_finite():
    module = Recurrent(Headed(heads=2), INPUTS, H, engine="fused")
    state = TwoFields(torch.zeros(B, H), torch.zeros(B, H))
    state.h[:, 0] = torch.nan
    new = module(sequences(), (state,))[1][0]
    assert new.h[:, : H // 2].isnan().all()
    assert new.h[:, H // 2 :].isfinite().all()


def test_heads_divide_the_number_of_recurrent_weights():
    assert Headed(heads=3).parameter_count(INPUTS, H) == H * (4 * INPUTS + 4 * H // 3 + 4)
    assert Recurrent(Headed(heads=3), INPUTS, H).parts[0]["R_u_c"].shape == (H, H // 3)


def test_each_head_starts_with_an_orthogonal_matrix():
    for matrix in Recurrent(Headed(heads=3), INPUTS, H).parts[0]["R_r"].detach().chunk(3):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(2))


def with_a_mask(self, hidden_size):
    return torch.ones(hidden_size, hidden_size)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"heads": 0}, "Wrong: heads must be a whole number of at least 1, got 0"),
        ({"heads": 4}, "hidden_size must be divisible by its 4 heads, got 6"),
        (
            {"heads": 2, "transform_recurrent": lambda self, m: -m},
            "heads must be 1 for a cell with transform_recurrent",
        ),
        ({"heads": 2, "recurrent_mask": with_a_mask}, "heads must be 1 for a cell with recurrent_mask, got 2"),
    ],
)
def test_wrong_heads_are_refused_by_one_line(attributes, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(type("Wrong", (Minimal,), attributes)(), INPUTS, H)


# Fixed matrices
# --------------------------------------------------------------------------------------------------------------------


class Delays(Cell):
    """A memory that a fixed matrix shifts from unit to unit, beside a learned one that reads it."""

    State = TwoFields
    gates = (Gate("c", ("c",), bias=False), Gate("n", ("c", "h")))
    fixed = ("R_c",)

    def fixed_matrices(self, hidden_size):
        return {"R_c": torch.eye(hidden_size).roll(1, 0)}

    def step(self, a, s, p):
        return TwoFields(h=tanh(a.n), c=0.9 * a.c)


class OnlyFixed(Delays):
    """No product with a state is learned."""

    gates = (Gate("c", ("c",), bias=False), Gate("n"))


@pytest.mark.parametrize("cell", [Delays(), OnlyFixed()], ids=["beside a learned one", "alone"])
def test_a_cell_with_a_fixed_matrix_is_the_same_on_both_engines(cell):
    agree(cell)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_fixed_matrix_multiplies_its_source(engine):
    module = Recurrent(OnlyFixed(), INPUTS, H, engine=engine)
    state = TwoFields(torch.zeros(1, H), torch.eye(H)[:1])
    new = module(torch.zeros(3, 1, INPUTS), (state,))[1][0]
    torch.testing.assert_close(new.c, 0.9**3 * torch.eye(H)[3:4])


def test_a_fixed_matrix_is_no_parameter_and_survives_a_change_of_type():
    module = Recurrent(Delays(), INPUTS, H)
    assert "R_c" not in module.parts[0]
    assert module.parameter_count == 2 * H * INPUTS + 2 * H**2 + H == sum(p.numel() for p in module.parameters())
    assert all("R_c" not in name for name in module.state_dict())
    assert torch.equal(module.half().double().fixed_0_0_R_c, torch.eye(H, dtype=torch.float64).roll(1, 0))


def test_the_card_of_a_cell_shows_its_fixed_matrices():
    assert f"    R_c      [{H}, {H}] fixed" in card(Delays, INPUTS, H).splitlines()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"fixed": ("R_x",)}, r"Wrong: fixed must be names of matrices \(R_n_h, R_c, R_n\), got 'R_x'"),
        ({"fixed_matrices": lambda self, h: {}}, "Wrong: fixed_matrices must return R_c, got {}"),
        ({"fixed_matrices": lambda self, h: {"R_c": torch.ones(h)}}, r"'R_c' must be a floating-point tensor \[6, 6\]"),
        ({"recurrent_mask": with_a_mask}, "Wrong: fixed must be empty for a cell with recurrent_mask"),
    ],
)
def test_a_wrong_fixed_matrix_is_refused_by_one_line(attributes, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(type("Wrong", (Delays,), attributes)(), INPUTS, H)


# Learned first states
# --------------------------------------------------------------------------------------------------------------------


class Started(Headed):
    """Both fields of the state start at what is learned."""

    starts = ("h", "c")

    def __init__(self, *, heads: int = 1) -> None:
        super().__init__(heads=heads)


class HalfStarted(Started):
    """One field starts at 0."""

    starts = ("c",)


@pytest.mark.parametrize("cell", [Started(), HalfStarted()], ids=["all fields", "one field"])
def test_a_cell_with_a_learned_first_state_is_the_same_on_both_engines(cell):
    agree(cell, bidirectional=True)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_learned_first_state_is_that_of_every_sequence(engine):
    module = Recurrent(HalfStarted(), INPUTS, H, engine=engine)
    fill(module)
    given = TwoFields(torch.zeros(B, H), module.parts[0]["c_0"].detach().expand(B, H))
    assert torch.equal(module(sequences())[0], module(sequences(), (given,))[0])


def test_a_learned_first_state_starts_at_0_and_counts_one_value_per_unit():
    module = Recurrent(Started(), INPUTS, H)
    assert not module.parts[0]["h_0"].any()
    assert module.parameter_count == Headed(heads=1).parameter_count(INPUTS, H) + 2 * H


def test_a_start_of_no_field_is_refused_by_one_line():
    with pytest.raises(ValueError, match=r"Wrong: starts must be fields of the state \(h, c\), got 'x'"):
        Recurrent(type("Wrong", (Headed,), {"starts": ("x",)})(), INPUTS, H)


# A projected output
# --------------------------------------------------------------------------------------------------------------------


class Projected(Cell):
    """An output of fewer values than units, which gates and the next layer hear beside a whole field."""

    State = TwoFields
    gates = (
        Gate("u", ("h",)),
        Gate("n", ("h", "passed"), bias=False),
        Gate("h", ("made",), input=False, bias=False),
    )
    vectors = ("p_c",)
    above = ("c",)
    projected = "h"

    def __init__(self, *, size: int = 2) -> None:
        self.size = size

    def projected_size(self, hidden_size):
        return self.size

    @feed
    def passed(self, a, s, p):
        return sigmoid(a.u) * s.c

    @feed
    def made(self, a, s, p):
        return sigmoid(a.u) * self.new(a, s, p)

    def new(self, a, s, p):
        return p.p_c * s.c + tanh(a.n) + (a.below_c if hasattr(a, "below_c") else 0.0)

    def step(self, a, s, p):
        return TwoFields(h=0.5 * s.h + tanh(a.h), c=self.new(a, s, p))


SIZES = [(1, 6), (5, 6), (2, 8), (13, 40), (40, 50)]


@pytest.mark.parametrize(("size", "units"), SIZES)
def test_a_cell_with_a_projected_output_is_the_same_on_both_engines(size, units):
    agree(Projected(size=size), units=units)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"layers": 1}], ids=["both directions", "one layer"])
def test_a_stack_with_projected_outputs_is_the_same_on_both_engines(options):
    agree(LSTMP(projection=4, peepholes=("i", "o")), units=9, **options)


@pytest.mark.parametrize("engine", ["eager", "fused"])
@pytest.mark.parametrize("regulariser", ["zoneout", "recurrent_dropout"])
def test_the_masks_of_a_projected_output_are_the_same_in_all_passes(engine, regulariser):
    module = Recurrent(Projected(), INPUTS, H, layers=2, engine=engine, **{regulariser: 0.3})
    fill(module)
    x, state = sequences(), module.generator.get_state()
    expected = module(x)[0]
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in module.parameters()]
    module.generator.set_state(state)
    other = Recurrent(Projected(), INPUTS, H, layers=2, engine="fused", **{regulariser: 0.3})
    other.load_state_dict(module.state_dict())
    other.generator = module.generator
    for p in other.parameters():
        p.grad = torch.zeros_like(p)
    steps = other.training_pass(T, B, padded=False)
    steps.forward(x, None)
    (made,) = steps.sequences
    torch.testing.assert_close(made, expected.detach(), rtol=1e-5, atol=1e-5)
    steps.derivatives[0].copy_(2 * made)
    steps.backward()
    for p, gradient in zip(other.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_what_stands_behind_a_projected_state_is_not_read(engine):
    module = Recurrent(Projected(size=2), INPUTS, H, engine=engine)
    whole = torch.full((B, H), torch.nan)
    whole[:, :2] = 0.25
    states = [TwoFields(h, torch.zeros(B, H)) for h in (whole[:, :2], torch.full((B, 2), 0.25))]
    one, other = (module(sequences(), (state,)) for state in states)
    assert torch.equal(one[0], other[0])
    assert one[0].shape == (T, B, 2)
    assert one[0].is_contiguous()
    assert one[1][0].h.shape == (B, 2)


def test_a_projected_output_counts_its_matrices():
    module = Recurrent(Projected(size=2), INPUTS, H, layers=2, bidirectional=True, layer_norm=True)
    one = [H * width * 2 + 2 * H * 2 + H * H + 2 * H + H + H for width in (INPUTS, 4)]
    assert module.parameter_count == 2 * sum(one) + 4 * (2 * H + 2)
    assert module.parameter_count == sum(p.numel() for p in module.parameters())
    assert module.output_size == 4


@pytest.mark.parametrize(
    ("share", "units", "size"), [(0.5, 7, 4), (0.5, 2, 1), (0.01, 9, 1), (0.99, 9, 8), (1, 9, 1), (8, 9, 8)]
)
def test_a_projection_is_a_number_or_a_share_of_the_units(share, units, size):
    assert LSTMP(projection=share).projected_size(units) == size
    assert Recurrent(LSTMP(projection=share), INPUTS, units).output_size == size


@pytest.mark.parametrize("given", [0, -0.5, 1.5, float("nan"), float("inf")])
def test_a_projection_that_is_neither_is_refused(given):
    with pytest.raises(ValueError, match="lstmp: projection must be a whole number of at least 1, or a share between"):
        LSTMP(projection=given)


@pytest.mark.parametrize("units", [1, 5])
def test_a_projection_to_as_many_values_as_there_are_units_is_refused(units):
    with pytest.raises(ValueError, match=f"lstmp: the projection must have .* fewer than hidden_size = {units}, got"):
        Recurrent(LSTMP(projection=5 if units == 5 else 0.5), INPUTS, units)


def test_a_projected_lstm_starts_as_that_of_torch():
    parts = Recurrent(LSTMP(projection=3), INPUTS, 400, initialisation="uniform_fan").parts[0]
    for name in ("R_y", "R_z"):
        assert 0.045 < parts[name].abs().max() <= 0.05  # 1 / sqrt(400)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"projected": "x"}, "projected must be the only field of the output"),
        ({"projected": "c"}, "projected must be the only field of the output"),
        ({"projected": 3}, "projected must be the name of a field of the state, got 3"),
        ({"shows": ("h", "c")}, "projected must be the only field of the output"),
        ({"above": ("h",)}, "not in `above` or `starts`, got 'h'"),
        ({"starts": ("h",)}, "not in `above` or `starts`, got 'h'"),
        ({"State": HiddenState}, "the state must have another field than the projected 'h'"),
        ({"gates": (Gate("u", ("h",)), Gate("n"), Gate("h", ("made",)))}, "the projected 'h' needs Gate"),
        ({"gates": (Gate("u", ("h",)), Gate("n"))}, "the projected 'h' needs Gate"),
        ({"gates": (Gate("u"), Gate("n"), Gate("h", ("c",), False, False))}, "needs Gate.* with a @feed that no other"),
        ({"heads": 2}, "a cell with a projected field must be without heads"),
        ({"recurrent_mask": with_a_mask}, "a cell with a projected field must be without recurrent_mask"),
        ({"transform_recurrent": lambda self, m: -m}, "must be without transform_recurrent"),
        ({"step": lambda self, a, s, p: TwoFields(h=a.h, c=s.h * s.c)}, "step fails: RuntimeError"),
        ({"step": lambda self, a, s, p: TwoFields(h=a.n, c=a.n)}, r"new state's 'h' must be .* \[B, 7\], got"),
    ],
)
def test_a_wrong_projected_field_is_refused_by_one_line(attributes, message):
    with pytest.raises(ValueError, match=f"Wrong: .*{message}"):
        Recurrent(type("Wrong", (Projected,), attributes)(), INPUTS, H)
