"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

MODULES = ["tasks.contract", "tasks.task", "tasks.real.ctc", "tasks.real.iam_ondb", "tasks.real.timit"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
