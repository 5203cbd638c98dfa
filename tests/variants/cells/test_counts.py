"""Numbers of parameters are those of the formulas."""

import pytest

from tests.variants.cases import CASES, fitting
from variants import Cell, Recurrent, build, count_parameters

# One layer with i inputs and h units, with the default knobs.
FORMULAS = {
    "vanilla": lambda i, h: 4 * h * (i + h + 1),
    "peephole": lambda i, h: 4 * h * (i + h + 1) + 3 * h,
    "coupled": lambda i, h: 3 * h * (i + h + 1),
    "no_forget_gate": lambda i, h: 3 * h * (i + h + 1),
    "no_input_gate": lambda i, h: 3 * h * (i + h + 1),
    "no_output_gate": lambda i, h: 3 * h * (i + h + 1),
    "no_input_activation": lambda i, h: 4 * h * (i + h + 1),
    "no_output_activation": lambda i, h: 4 * h * (i + h + 1),
    "full_gate_recurrence": lambda i, h: 4 * h * (i + h + 1) + 9 * h**2,
    "modular_lstm": lambda i, h: 4 * h * (i + h + 1),
    "lstm_1997": lambda i, h: 3 * h * (i + h + 1),
    "memory_blocks": lambda i, h: 4 * h * (i + 4 * h + 1),
    "gru": lambda i, h: 3 * h * (i + h + 1),
    "gru_reset_after": lambda i, h: 3 * h * (i + h + 1) + h,
    "rnn": lambda i, h: h * (i + h + 1),
    "irnn": lambda i, h: h * (i + h + 1),
    "mut1": lambda i, h: 3 * h * i + 2 * h**2 + 3 * h,
    "mut2": lambda i, h: 3 * h * (i + h + 1),
    "mut3": lambda i, h: 3 * h * (i + h + 1),
    "clockwork": lambda i, h: h * (i + 1) + h**2 * 9 // 16,
    "depth_gated": lambda i, h: 4 * h * (i + h + 1) + h * (i + 1) + 2 * h,
    "grid": lambda i, h: 4 * h * (i + h + 1) + 4 * h * (i + h + 1),
    "min_gru": lambda i, h: 2 * h * (i + 1),
    "min_lstm": lambda i, h: 3 * h * (i + 1),
    "mgu": lambda i, h: 2 * h * (i + h + 1),
    "ugrnn": lambda i, h: 2 * h * (i + h + 1),
    "li_gru": lambda i, h: 2 * h * (i + h + 1),
    "janet": lambda i, h: 2 * h * (i + h + 1),
    "star": lambda i, h: 2 * h * (i + 1) + h**2,
    "ran": lambda i, h: 2 * h * (i + h + 1) + h * i,
    "cfn": lambda i, h: 2 * h * (i + h + 1) + h * i,
    "strongly_typed": lambda i, h: h * (2 * i + 1),
    "qrnn": lambda i, h: 3 * h * (i + 1),
    "sru": lambda i, h: 4 * h * i + 4 * h,
    "nas": lambda i, h: 8 * h * (i + h + 1),
    "scrn": lambda i, h: h * (2 * i + 2 * h + 1),
    "multiplicative_lstm": lambda i, h: 4 * h * (i + h + 1) + h * (i + h),
    "indrnn": lambda i, h: h * (i + 2),
    "lem": lambda i, h: 4 * h * (i + h + 1),
    "cornn": lambda i, h: h * (i + 2 * h + 1),
    "lru": lambda i, h: 3 * h * i + 2 * h**2 + 3 * h,
    "rg_lru": lambda i, h: 3 * h * i + 3 * h,
    "fast_grnn": lambda i, h: h * (i + h + 2) + 2,
    "antisymmetric_rnn": lambda i, h: h * (i + h + 1),
    "slstm": lambda i, h: 4 * h * (i + h + 1),
    "lstmp": lambda i, h: 4 * h * (i + h // 2 + 1) + h // 2 * h,
    "formula": lambda i, h: 4 * h * (i + h + 1),
    "native_lstm": lambda i, h: 4 * h * (i + h + 2),
    "native_gru": lambda i, h: 3 * h * (i + h + 2),
    "native_rnn": lambda i, h: h * (i + h + 2),
    "mlstm": lambda i, h: (4 * h + 2) * (i + 1),
}
# With a peephole on every gate that there is.
ALL_PEEPHOLES = {
    "vanilla": lambda i, h: 4 * h * (i + h + 1) + 3 * h,
    "coupled": lambda i, h: 3 * h * (i + h + 1) + 2 * h,
    "no_forget_gate": lambda i, h: 3 * h * (i + h + 1) + 2 * h,
    "no_input_gate": lambda i, h: 3 * h * (i + h + 1) + 2 * h,
    "no_output_gate": lambda i, h: 3 * h * (i + h + 1) + 2 * h,
    "no_input_activation": lambda i, h: 4 * h * (i + h + 1) + 3 * h,
    "no_output_activation": lambda i, h: 4 * h * (i + h + 1) + 3 * h,
    "full_gate_recurrence": lambda i, h: 4 * h * (i + h + 1) + 3 * h + 9 * h**2,
}


@pytest.mark.parametrize("name", Cell.registry)
def test_a_layer_has_as_many_parameters_as_the_formula_says(name):
    assert name in FORMULAS, f"{name}: add its formula to FORMULAS"
    assert Cell.registry[name]().parameter_count(5, 16) == FORMULAS[name](5, 16)


@pytest.mark.parametrize("name", ALL_PEEPHOLES)
def test_a_peephole_costs_one_value_per_unit(name):
    gates = tuple(g.name for g in Cell.registry[name]().preactivations if g.name in "ifo")
    assert Cell.registry[name](peepholes=gates).parameter_count(5, 16) == ALL_PEEPHOLES[name](5, 16)


def test_the_lowest_layer_of_depth_gated_has_a_linear_map_of_the_input():
    assert Cell.registry["depth_gated"]().for_layer(0).parameter_count(5, 16) == 4 * 16 * 22 + 16 * (2 * 5 + 1) + 16


def test_grid_counts_the_projection_once_and_tied_weights_once():
    lowest, time, forget = 7 * 16 * 33, 4 * 16 * 33, 16 * 33
    assert (
        count_parameters(Cell.registry["grid"](tied=True), 5, 16, layers=3) == 16 * 5 + lowest + (time + forget) + time
    )


@pytest.mark.parametrize(
    ("cell", "bidirectional"),
    [pytest.param(*case.values, False, id=f"{case.id}-forward") for case in CASES]
    + [pytest.param(*case.values, True, id=f"{case.id}-both") for case in CASES if not case.values[0].shared],
)
def test_the_count_from_the_declaration_is_that_of_the_module(cell: Cell, bidirectional: bool):
    hidden = fitting(cell)
    module = Recurrent(cell, 4, hidden, layers=3, bidirectional=bidirectional)
    masks = 0 if module.recurrent_mask is None else int((1 - module.recurrent_mask).sum()) * len(module.parts)
    held = sum(p.numel() for p in module.parameters()) - masks
    assert count_parameters(cell, 4, hidden, layers=3, bidirectional=bidirectional) == module.parameter_count == held


@pytest.mark.parametrize("name", [n for n, c in Cell.registry.items() if c.control])
def test_the_count_of_a_control_is_that_of_the_module(name):
    module = build(Cell.registry[name](), 4, 5, layers=2, bidirectional=True)
    assert module.parameter_count == sum(p.numel() for p in module.parameters())


def test_gains_of_layer_normalisation_are_counted():
    module = Recurrent(Cell.registry["vanilla"](), 4, 5, layer_norm=True)
    assert module.parameter_count == 4 * 5 * 10 + 4 * 5
