"""What a variant computes has not changed."""

import pytest

from tests.golden import cells
from tests.variants.cases import REGISTERED

AGAIN = "changed; if this is meant, write it again with `python -m tests.golden` and put it into the changelog"


@pytest.mark.parametrize("name", REGISTERED)
def test_outputs_have_not_changed(name):
    then, now = cells.read(name)["outputs"], cells.numbers(name)["outputs"]
    assert [v for row in now for v in row] == pytest.approx([v for row in then for v in row], rel=1e-9, abs=1e-12), (
        f"{name} {AGAIN}"
    )


@pytest.mark.parametrize("name", REGISTERED)
def test_gradients_have_not_changed(name):
    then, now = cells.read(name)["gradients"], cells.numbers(name)["gradients"]
    assert now == pytest.approx(then, rel=1e-9, abs=1e-12), f"{name} {AGAIN}"
