"""The examples in docstrings of tasks give what they say."""

import doctest
import importlib

import pytest

MODULES = [
    *("baselines", "contract", "exact", "real.ctc", "real.iam_ondb", "real.timit", "task"),
    *("data.cache", "data.files", "data.keys", "data.models", "data.packages", "data.split"),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    result = doctest.testmod(importlib.import_module(f"tasks.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
