"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["tasks.contract", "tasks.exact", "tasks.task"])
def test_examples_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
