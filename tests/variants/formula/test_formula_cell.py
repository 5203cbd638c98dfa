"""A cell from its equations behaves as a declared one: it can be copied, keeps, is shown and is refused."""

import copy
import pickle

import pytest
import torch

from variants import build
from variants.__main__ import main
from variants.engine import fused
from variants.formula.cell import Formula

LEAKY = "u = s(W x + R h' + b)\nv = u*h'\nh = (1-u)*tanh(W_n x + R_n v) + v"


def test_it_is_fused():
    assert fused.why_not(Formula(equations=LEAKY)) == ""


def test_a_copy_of_a_module_and_of_its_state_computes_the_same():
    module, x = build(Formula(equations=LEAKY), 4, 5), torch.ones(7, 3, 4)
    outputs, state = module(x)
    again, kept = copy.deepcopy(module), pickle.loads(pickle.dumps(state))
    assert torch.equal(again(x)[0], outputs)
    assert torch.equal(again(x, kept)[0], module(x, state)[0])


def test_a_copy_keeps_what_was_set_later():
    cell = Formula(equations=LEAKY)
    cell.gates = [gate._replace(bias=False) for gate in cell.preactivations]
    for again in (copy.copy(cell), copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert not any(gate.bias for gate in again.preactivations)


@pytest.mark.parametrize(("equations", "sign"), [(LEAKY, 1), (LEAKY.replace("u*h'", "(1-u)*h'"), -1)])
def test_the_keep_bias_is_added_to_the_gate_that_keeps_with_its_sign(equations, sign):
    started = [dict(build(Formula(equations=equations, keep_bias=k), 4, 5).named_parameters()) for k in (0.0, 3.0)]
    (without, added) = (next(v for n, v in parameters.items() if "b_u" in n) for parameters in started)
    assert (added - without).tolist() == pytest.approx([3.0 * sign] * 5)


def test_text_is_kept_as_it_is_written_but_for_space_around_it():
    assert Formula(equations=f"\n{LEAKY}\n").equations == LEAKY


def test_a_name_that_a_cell_needs_itself_cannot_be_heard():
    with pytest.raises(
        ValueError, match=r"^formula: step is heard by an R and cannot have this name; line 1, column 1"
    ):
        Formula(equations="step = 2*h'\nh = tanh(W x + R step)")
    with pytest.raises(
        ValueError, match=r"^formula: feed is heard by an R and cannot have this name; line 2, column 13"
    ):
        Formula(equations="# feed = 3\n  u = 2*h'; feed = u; h = tanh(W x + R feed)")


@pytest.mark.parametrize("name", ["c", "p"])
def test_a_line_may_be_called_like_a_new_field_that_is_heard(name):
    field = f"{name} = 0.5*{name}' + tanh(W x)"
    cell = Formula(equations=f"{field}; new_{name} = s({name}); h = tanh(W x + R_n {name}) + R_m new_{name} + h'")
    assert set(cell.feeds) == {f"new_{name}", f"new_{name}_2"}


def test_where_of_two_numbers_has_the_type_of_what_is_compared():
    module = build(Formula(equations="v = W x + h'\nh = where(0 < v, 1, -1)"), 4, 5).double()
    assert module(torch.ones(7, 3, 4).double())[0].dtype is torch.float64


def test_equations_must_be_text():
    with pytest.raises(ValueError, match=r"^formula: equations must be text, .* got 3$"):
        Formula(equations=3)


def test_the_command_shows_a_card(capsys):
    assert main(["formula", f"equations={LEAKY}", "--inputs", "4", "--hidden", "5"]) == 0
    out = capsys.readouterr().out
    for line in ("    v = u*h'", "State: h [B, 5]; the output is h", "What keeps: u.", "Its kernels are fused."):
        assert line in out


def test_the_command_says_that_nothing_keeps(capsys):
    assert main(["formula", "equations=h = tanh(W x + R h')"]) == 0
    assert "What keeps: nothing. The knob keep_bias has no effect, as no gate keeps." in capsys.readouterr().out


def test_the_command_writes_equations_and_a_class(capsys):
    assert main(["peephole", "peepholes=[o]", "--equations"]) == 0
    assert "o = s(W_o x + R_o y' + b_o + p_o*c)" in capsys.readouterr().out
    assert main(["gru", "--class"]) == 0
    assert "class MyCell(Keeping, Cell[MyCellState]):" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clockwork", "--equations"], "clockwork: it has a mask on R, which equations do not say"),
        (["formula", "equations=h = W x"], "formula: the output h does not depend on any earlier step"),
        (["gru", "keepbias=1"], "gru: unknown knob 'keepbias'; its knobs are: keep_bias"),
        (["gru", "keep_bias=much"], "gru: keep_bias must be a number, got 'much'"),
        (["peephole", "peepholes=i"], "peephole: peepholes must be a list, as in [i,f], got 'i'"),
        (["gru", "keep_bias"], "knobs must be written as knob=value, got 'keep_bias'"),
        (["--class"], "--class needs the name of a variant"),
        (["gru", "--class", "--kernel"], "one of --kernel, --class may be given, got 2"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
