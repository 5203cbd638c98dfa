"""Which knobs of a node were set, and which are only the defaults that Hydra has filled in."""

import doctest

import pytest

from runs.configuration import knobs
from runs.configuration.knobs import for_its_class, knobs_given
from variants import Vanilla

VANILLA = {"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla", "peepholes": [], "keep_bias": 1.0}


def test_the_example_is_true():
    assert doctest.testmod(knobs) == (0, 2)


@pytest.mark.parametrize("empty", [[], ()])
def test_a_list_is_as_good_as_a_tuple(empty):
    assert knobs_given({**VANILLA, "peepholes": empty}, Vanilla) == {}


def test_what_differs_from_the_default_or_is_no_knob_of_the_class_was_given():
    assert knobs_given({**VANILLA, "keep_bias": 0.0, "leak": 2}, Vanilla) == {"keep_bias": 0.0, "leak": 2}


def test_a_node_of_its_own_class_or_of_an_unknown_choice_stays_as_it_is():
    other = {**VANILLA, "_target_": "my.Cell"}
    assert for_its_class("variant", VANILLA, "vanilla") == VANILLA
    assert for_its_class("variant", other, None) == other
    assert for_its_class("variant", other, "no_such_choice") == other


def test_a_knob_that_the_command_line_sets_to_the_old_default_is_kept():
    other = {**VANILLA, "_target_": "my.Cell"}
    kept = for_its_class("variant", other, "vanilla", ["variant.keep_bias"])
    assert kept == {"_target_": "my.Cell", "label": "Cell", "keep_bias": 1.0}


def test_a_label_of_ones_own_and_the_name_of_another_choice_are_kept_and_found():
    assert for_its_class("variant", {**VANILLA, "_target_": "my.Cell", "label": "mine"}, "vanilla")["label"] == "mine"
    assert for_its_class("variant", {**VANILLA, "_target_": "variants.GRU"}, "vanilla")["label"] == "gru"
