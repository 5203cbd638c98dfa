"""Nodes of earlier versions are read with the present names of their classes and knobs."""

import pytest

from analysis.tables.trial_commands import command
from runs.study.design import Design
from runs.trial.classes import WITHOUT_KEEP_BIAS, construct, present_node, target_of
from runs.trial.trial import Outcome, Trial
from variants import Cell, Grid, knobs_of
from variants.cells.lstm import LSTM

PLAIN = {
    "task": {"_target_": "tasks.Adding", "label": "adding", "lag": 50},
    "initialisation": {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"},
    "model": {},
    "training": {},
}


@pytest.mark.parametrize(
    ("node", "keep_bias"),
    [
        ({"_target_": "variants.lstm.Vanilla", "forget_bias": 0.5}, 0.5),
        ({"_target_": "variants.Vanilla", "keep_bias": 2.0}, 2.0),
        ({"_target_": "variants.gru.GRU"}, 0.0),
        ({"_target_": "variants.cells.mutants.Mut3"}, 0.0),
        ({"_target_": "variants.GRU", "keep_bias": 4.0}, 4.0),
    ],
)
def test_a_node_of_an_earlier_version_is_read_with_its_old_start(node, keep_bias):
    found = present_node(node)
    assert (found["keep_bias"], "forget_bias" in found) == (keep_bias, False)
    assert construct(found, Cell).keep_bias == keep_bias


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "my_package.Mine", "forget_bias": 0.5},
        {"_target_": "variants.Vanilla", "keep_bias": 1.0, "forget_bias": 0.5},  # a mistake of today
        {"_target_": "variants.RNN"},
        {"_target_": "variants.NoForgetGate", "peepholes": []},
    ],
)
def test_other_nodes_stay_as_they_are(node):
    assert present_node(node) == node


def test_cells_that_had_no_forget_bias_have_the_knob_and_are_not_of_the_family():
    with_knob = {target_of(cls) for cls in Cell.registry.values() if "keep_bias" in knobs_of(cls)}
    family = {target_of(cls) for cls in Cell.registry.values() if issubclass(cls, LSTM | Grid)}
    assert with_knob - family >= WITHOUT_KEEP_BIAS


def test_the_command_of_a_gru_of_an_earlier_version_starts_it_as_it_was():
    trial = Trial.from_dict({"variant": {"_target_": "variants.gru.GRU", "label": "gru"}, **PLAIN})
    assert "variant=gru variant.keep_bias=0.0 " in command(trial)


def test_a_design_of_an_earlier_version_has_the_present_knobs():
    values = {"name": "old", "variants": {"zero": {"_target_": "variants.lstm.Vanilla", "forget_bias": 0.0}}}
    assert Design.from_dict(values).variants == {"zero": {"_target_": "variants.Vanilla", "keep_bias": 0.0}}


def test_an_outcome_of_an_earlier_version_does_not_say_what_was_kept():
    assert Outcome.from_dict({"status": "solved"}).kept is None


class Refusing(Cell):
    """A cell that cannot be made."""

    def __init__(self, knob: int = 0) -> None:
        raise KnobError


class KnobError(ArithmeticError):
    """An error of its own, without a message."""


def test_a_class_that_raises_whatever_it_likes_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^tests\.runs\.trial\.test_classes\.Refusing cannot be made: KnobError: no message$"
    ):
        construct({"_target_": f"{__name__}.Refusing"}, Cell)
