"""The options of a module are said once."""

from dataclasses import fields

import pytest

from variants import Cell, Options, Vanilla, build
from variants.layers.options import GivenOptions

NAMES = [f.name for f in fields(Options)]
CHOSEN = {"dropout": 0.1, "recurrent_dropout": 0.1, "zoneout": {"h": 0.1}, "layer_norm": True}


def test_keyword_arguments_are_the_options():
    assert list(GivenOptions.__annotations__) == NAMES
    assert {n: str(t) for n, t in GivenOptions.__annotations__.items()} == {
        f.name: f"ForwardRef('{f.type}', module='variants.layers.options')" for f in fields(Options)
    }


@pytest.mark.parametrize("cell", [Vanilla(), Cell.registry["native_lstm"]()])
def test_a_name_that_is_no_option_is_refused(cell):
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        build(cell, 4, 5, layer=2)


@pytest.mark.parametrize("option", CHOSEN)
def test_a_control_refuses_every_option_that_it_has_no_use_for(option):
    with pytest.raises(ValueError, match=f"native_gru: a control takes no {option}, got"):
        build(Cell.registry["native_gru"](), 4, 5, **{option: CHOSEN[option]})
