"""Where two variants must be the same model: limits, zeros and saturated gates."""

import pytest
import torch

from tests.variants.cases import inputs_of, module_of, same, state_of
from variants import Cell, Recurrent

OPEN, SHUT = 60.0, -60.0  # beyond what a logistic function in float64 can tell from 1 and 0


def cell(name: str, **knobs) -> Cell:
    return Cell.registry[name](**knobs)


def transfer(source: Recurrent, target: Recurrent, change=lambda name, value: value) -> None:
    """Copy the parameters that two modules have in common, changed on the way."""
    with torch.no_grad():
        for one, other in zip(source.parts, target.parts, strict=True):
            for name in set(one) & set(other):
                other[name].copy_(change(name, one[name]))


def set_to(module: Recurrent, names: tuple[str, ...], value: float) -> None:
    with torch.no_grad():
        for part in module.parts:
            for name in set(names) & set(part):
                part[name].fill_(value)


def assert_same_model(one: Recurrent, other: Recurrent) -> None:
    inputs = inputs_of()
    same(one(inputs, state_of(one))[0], other(inputs, state_of(other))[0])


LSTM_WITH_PEEPHOLES = [n for n, c in Cell.registry.items() if not c.control and "peepholes" in c().knobs]


@pytest.mark.parametrize("name", LSTM_WITH_PEEPHOLES)
def test_zero_peepholes_are_none(name):
    gates = tuple(g.name for g in cell(name).preactivations if g.name in "ifo")
    seeing, blind = module_of(cell(name, peepholes=gates)), module_of(cell(name, peepholes=()))
    transfer(seeing, blind)
    set_to(seeing, ("p_i", "p_f", "p_o"), 0.0)
    assert_same_model(seeing, blind)


@pytest.mark.parametrize(("gate", "name"), [("f", "no_forget_gate"), ("i", "no_input_gate"), ("o", "no_output_gate")])
@pytest.mark.parametrize("peepholes", [False, True], ids=["vanilla", "peephole"])
def test_an_open_gate_is_no_gate(gate, name, peepholes):
    full = module_of(cell("vanilla", peepholes=("i", "f", "o") if peepholes else ()))
    without = module_of(cell(name, peepholes=tuple(g for g in "ifo" if g != gate) if peepholes else ()))
    set_to(full, (f"b_{gate}",), OPEN)
    transfer(full, without)
    assert_same_model(full, without)


def test_peephole_is_vanilla_with_all_peepholes():
    one, other = module_of(cell("peephole")), module_of(cell("vanilla", peepholes=("i", "f", "o")))
    assert_same_model(one, other)


def test_opposite_input_and_forget_gates_are_coupled():
    full, coupled = module_of(cell("vanilla")), module_of(cell("coupled"))
    with torch.no_grad():
        for part in full.parts:
            for kind in "WRb":
                part[f"{kind}_f"].copy_(-part[f"{kind}_i"])
    transfer(full, coupled)
    assert_same_model(full, coupled)


def test_zero_gate_recurrence_is_peephole():
    full, plain = module_of(cell("full_gate_recurrence", peepholes=("i", "f", "o"))), module_of(cell("peephole"))
    set_to(full, tuple(f"R_{gate}_{source}" for gate in "ifo" for source in "ifo"), 0.0)
    transfer(full, plain)
    inputs, state = inputs_of(), state_of(full)
    same(full(inputs, state)[0], plain(inputs, tuple(plain.cell.State(s.y, s.c) for s in state))[0])


def test_no_input_activation_is_vanilla_where_the_block_input_is_small():
    plain, linear = module_of(cell("vanilla"), layers=1), module_of(cell("no_input_activation"), layers=1)
    for module in (plain, linear):
        with torch.no_grad():
            for kind in "WRb":
                module.parts[0][f"{kind}_z"].mul_(1e-5)
    transfer(plain, linear)
    same(plain(inputs_of())[0], linear(inputs_of())[0], tolerance=1e-10)


def test_no_output_activation_shows_the_cell_behind_an_open_gate():
    module = module_of(cell("no_output_activation"))
    set_to(module, ("b_o",), OPEN)
    outputs, state = module(inputs_of())
    same(outputs[-1], state[-1].c)


def test_the_lstm_of_1997_is_no_forget_gate_with_halved_arguments_and_a_doubled_block_input():
    old, plain = module_of(cell("lstm_1997"), layers=1), module_of(cell("no_forget_gate"), layers=1)
    # With c = 2 C: C = C' + i tanh(v/2) and y = o tanh(C).
    transfer(old, plain, lambda name, value: 0.5 * value if name.endswith("_z") else value)
    state = state_of(old)
    halved = tuple(s._replace(c=0.5 * s.c) for s in state)
    same(old(inputs_of(), state)[0], plain(inputs_of(), halved)[0])


def test_a_reset_gate_that_is_open_makes_the_two_grus_the_same():
    before, after = module_of(cell("gru")), module_of(cell("gru_reset_after"))
    set_to(before, ("b_r",), OPEN)
    transfer(before, after)
    with torch.no_grad():
        for one, other in zip(before.parts, after.parts, strict=True):
            other["R_m"].copy_(one["R_n"])
            other["b_m"].zero_()
    assert_same_model(before, after)


def test_the_two_grus_are_not_the_same():
    before, after = module_of(cell("gru")), module_of(cell("gru_reset_after"))
    transfer(before, after)
    with torch.no_grad():
        for one, other in zip(before.parts, after.parts, strict=True):
            other["R_m"].copy_(one["R_n"])
            other["b_m"].zero_()
    assert not torch.allclose(before(inputs_of())[0], after(inputs_of())[0])


def test_mut2_is_gru_with_the_update_gate_turned_round():
    gru, mutant = module_of(cell("gru")), module_of(cell("mut2"))
    transfer(gru, mutant, lambda name, value: -value if name.endswith("_u") else value)
    assert_same_model(gru, mutant)


def test_mut3_is_mut2_where_the_state_is_small():
    two, three = module_of(cell("mut2"), layers=1), module_of(cell("mut3"), layers=1)
    transfer(two, three)
    small = (two.cell.State(h=state_of(two)[0].h * 1e-5),)
    same(two(inputs_of(1), small)[0], three(inputs_of(1), small)[0], tolerance=1e-13)


def test_clockwork_with_the_single_period_1_is_rnn():
    ticking, plain = module_of(cell("clockwork", periods=(1,))), module_of(cell("rnn"))
    transfer(ticking, plain)
    same(ticking(inputs_of())[0], plain(inputs_of())[0])


@pytest.mark.parametrize(
    ("step", "changed"), [(0, [1, 1, 1]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 0, 1]), (6, [1, 1, 1])]
)
def test_groups_of_clockwork_update_when_their_period_divides_the_step(step, changed):
    module = module_of(cell("clockwork", periods=(1, 2, 3)), layers=1)
    outputs, _ = module(inputs_of())
    before = outputs[step - 1] if step else torch.zeros_like(outputs[0])
    moved = (outputs[step] != before).unflatten(-1, (3, -1))  # [B, groups, units]
    assert moved.all(-1).all(0).tolist() == [bool(v) for v in changed]


def test_a_slow_group_of_clockwork_does_not_hear_a_fast_one():
    module = module_of(cell("clockwork", periods=(1, 3)), layers=1)
    state = state_of(module)
    changed = state[0].h.clone()
    fast, slow = changed.chunk(2, dim=-1)
    fast += 1.0
    before, after = module(inputs_of(1), state)[0], module(inputs_of(1), (state[0]._replace(h=changed),))[0]
    assert torch.equal(before[..., 3:], after[..., 3:]), f"the slow units {slow.shape} heard the fast ones"


def test_a_shut_depth_gate_is_vanilla():
    deep, plain = module_of(cell("depth_gated")), module_of(cell("vanilla"))
    set_to(deep, ("b_d",), SHUT)
    transfer(deep, plain)
    assert_same_model(deep, plain)


def test_grid_without_depth_is_an_lstm_of_the_projected_input():
    grid, plain = module_of(cell("grid"), layers=1), module_of(cell("vanilla"), layers=1, input_size=5)
    with torch.no_grad():
        for kind in "WRb":
            for gate in "zifo":
                plain.parts[0][f"{kind}_{gate}"].copy_(grid.parts[0][f"{kind}_{gate}t"])
    inputs = inputs_of()
    _, state = grid(inputs)
    _, expected = plain(inputs @ grid.project["P"].T)
    same(state[0].h_time, expected[0].y)


@pytest.mark.parametrize("shared", ["W_zd", "R_id", "b_od", "W_fd"])
def test_tied_grid_has_one_depth_weight_for_all_layers(shared):
    grid = module_of(cell("grid", tied=True), layers=3)
    assert len({id(part[shared]) for part in grid.parts if shared in part}) == 1


def test_tied_grid_has_its_own_time_weights_in_every_layer():
    grid = module_of(cell("grid", tied=True), layers=3)
    assert len({id(part["W_zt"]) for part in grid.parts}) == 3


def test_janet_without_a_shift_is_ugrnn():
    janet, plain = module_of(cell("janet", beta=0.0)), module_of(cell("ugrnn"))
    transfer(janet, plain)
    with torch.no_grad():
        for one, other in zip(janet.parts, plain.parts, strict=True):
            for kind in "WRb":
                other[f"{kind}_u"].copy_(one[f"{kind}_f"])
    assert_same_model(janet, plain)


def test_min_gru_without_a_bias_of_the_candidate_is_strongly_typed_with_the_gate_turned_round():
    minimal, typed = module_of(cell("min_gru")), module_of(cell("strongly_typed"))
    set_to(minimal, ("b_n",), 0.0)
    with torch.no_grad():
        for one, other in zip(minimal.parts, typed.parts, strict=True):
            other["W_z"].copy_(one["W_n"])
            other["W_f"].copy_(-one["W_u"])
            other["b_f"].copy_(-one["b_u"])
    assert_same_model(minimal, typed)


def test_opposite_gates_of_min_lstm_are_those_of_min_gru():
    # f/(f+i) = s(v) where f = s(v) and i = s(-v), since these add to 1.
    gated, plain = module_of(cell("min_lstm")), module_of(cell("min_gru"))
    with torch.no_grad():
        for one, other in zip(gated.parts, plain.parts, strict=True):
            for kind in "Wb":
                one[f"{kind}_i"].copy_(-one[f"{kind}_f"])
                other[f"{kind}_u"].copy_(one[f"{kind}_i"])
                other[f"{kind}_n"].copy_(one[f"{kind}_n"])
    assert_same_model(gated, plain)


def test_indrnn_with_the_diagonal_of_irnn_is_irnn():
    diagonal, whole = module_of(cell("indrnn")), module_of(cell("irnn"))
    transfer(diagonal, whole)
    with torch.no_grad():
        for one, other in zip(diagonal.parts, whole.parts, strict=True):
            other["R_h"].copy_(one["p_h"].diag())
    assert_same_model(diagonal, whole)


def test_the_output_of_slstm_does_not_depend_on_where_its_stabiliser_starts():
    module = module_of(cell("slstm"), layers=1)
    (zero,) = module.zero_state(3)
    same(module(inputs_of(), (zero._replace(m=zero.m + 3.0),))[0], module(inputs_of())[0])


@pytest.mark.parametrize("size", [1.0, 300.0])
def test_slstm_stays_finite_where_its_gates_are_large(size):
    module = module_of(cell("slstm"), layers=1)
    outputs, _ = module(size * inputs_of())
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "kept"), [("min_lstm", 0.7311 / 1.2311), ("lem", 0.7311), ("antisymmetric_rnn", 1.0), ("slstm", 0.7311)]
)
def test_what_a_new_cell_keeps_at_the_start_follows_from_its_formula(name, kept):
    assert Recurrent(cell(name), 4, 6).kept == pytest.approx(kept, abs=1e-4)


@pytest.mark.parametrize("scheme", ["glorot_orthogonal", "gaussian", "chrono"])
def test_linear_recurrences_start_with_the_leaks_of_their_papers_under_every_scheme(scheme):
    lru = Recurrent(cell("lru", r_min=0.5, r_max=0.9), 4, 200, initialisation=scheme).parts[0]
    radius = torch.exp(-torch.exp(lru["nu"]))
    assert 0.5 < radius.min() < radius.max() < 0.9
    same(torch.exp(2 * lru["gamma"]) + radius**2, torch.ones(200), tolerance=1e-5)
    leak = torch.sigmoid(Recurrent(cell("rg_lru"), 4, 200, initialisation=scheme).parts[0]["p_a"]) ** 8
    assert (leak.min().item(), leak.max().item()) == pytest.approx((0.9, 0.999), abs=1e-4)
