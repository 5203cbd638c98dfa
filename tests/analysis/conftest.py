from __future__ import annotations

import pytest

from runs.record.rows import tidy
from tests.analysis.synthetic import study


@pytest.fixture(scope="session")
def small():
    """Table and design of three variants on two tasks with 20 points, in which some trials diverged."""
    rows, design = study(("vanilla", "gru", "no_forget_gate"), ("adding", "copying"), points=20)
    return tidy(rows), design
