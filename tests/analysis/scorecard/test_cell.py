"""The equations on a scorecard are those of the cell that was trained, and not those of its class."""

import pytest

from analysis.scorecard.cell import LONGEST, about
from analysis.scorecard.fitting import beside
from variants.catalogue import entries

VANILLA = {"_target_": "variants.Vanilla", "label": "vanilla"}
TEXT = "n = relu(W_n x + b_n); h = n * tanh(W_a x + R_a h' + b_a) + (1 - n) * h'"


def test_a_cell_from_equations_shows_these():
    cell = about({"_target_": "variants.Formula", "label": "mine", "equations": TEXT}, VANILLA)
    assert cell.equations[0] == "n = relu(W_n x + b_n)"
    assert "LSTM" not in cell.about
    assert (cell.formula, cell.source) == ("", "its equations")


def test_a_part_that_was_taken_out_is_in_no_equation():
    parts = {"peepholes": True, "output_activation": False}
    cell = about({"_target_": "variants.ModularLSTM", "label": "x", **parts}, VANILLA)
    assert "y = c * o" in cell.equations
    assert any("p_o" in line for line in cell.equations)


@pytest.mark.parametrize("name", entries())
def test_where_knobs_are_usual_no_equation_is_longer_than_a_docstring_has(name):
    cell = about({"_target_": f"variants.{entries()[name].__name__}", "label": name}, VANILLA)
    assert cell.equations
    assert all(len(line) <= 2 * LONGEST for line in cell.equations)


@pytest.mark.parametrize("text", ["≥ 20 [20, ≥ 20]", "14 [5, 20]", "≥ 240 [240, ≥ 240]", "1.07", "i" * 20])
def test_a_text_that_has_room_beside_axes_is_whole(text):
    assert beside([("a name", text), ("another", "–")], room=4.0, row=0.2).right == (text, "–")
