"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "variants",
    "variants.cell",
    "variants.declaration",
    "variants.engine.inputs",
    "variants.initialisation",
    "variants.layers.boundary",
    "variants.layers.memory",
    "variants.layers.recurrent",
    "variants.layers.regularisation",
    "variants.layers.torch_layout",
    "variants.layers.watch",
    "variants.nn",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
