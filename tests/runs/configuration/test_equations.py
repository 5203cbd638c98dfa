"""Equations reach a trial as they are written, from the command line, a preset and a study."""

import pytest

from runs.configuration.composing import composed_trial
from runs.configuration.equations import quoted
from runs.configuration.knobs import for_its_class
from runs.configuration.outside import variant_of

TEXT = "u = s(W x + R h' + b)\nh = u*h' + (1-u)*tanh(W_n x + R_n (u*h'))"


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "; "), f'"{TEXT}"'])
def test_the_command_line_takes_equations_without_more_quotes(text):
    trial = composed_trial(["variant=formula", f"variant.equations={text}", "task=adding"])
    assert trial.variant["equations"] == text.strip('"')


def test_a_command_that_is_no_program_of_hydra_takes_the_same():
    assert variant_of("formula", {"equations": TEXT})["equations"] == TEXT


def test_space_around_equations_changes_no_trial():
    node = {"_target_": "variants.Formula", "label": "formula", "keep_bias": 1.0}
    yaml, line = ({**node, "equations": text} for text in (f"{TEXT}\n", TEXT))
    assert for_its_class("variant", yaml, "formula") == for_its_class("variant", line, "formula")


def test_a_mistake_in_equations_is_one_line_with_its_place():
    with pytest.raises(ValueError, match=r"^formula: unknown function 'tan', .*; line 1, column 5, at 'tan.W x.'$"):
        composed_trial(["variant=formula", "variant.equations=h = tan(W x)", "task=adding"])


def test_other_arguments_stay_as_they_are():
    words = ["variant=gru", "task.lag=20", 'variants=[{a: {variant: formula, equations: "h = tanh(W x + R h\' + b)"}}]']
    assert quoted(words) == words
