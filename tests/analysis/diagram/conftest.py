"""The drawings of all cells, which the tests share."""

from __future__ import annotations

import pytest

from analysis.diagram import draw
from variants import Cell


@pytest.fixture(scope="session")
def drawings():
    """By name, the drawing of every cell of the registry."""
    own = {n: cls for n, cls in Cell.registry.items() if cls.__module__.startswith("variants.")}
    return {n: draw(cls()) for n, cls in own.items() if not cls.control}
