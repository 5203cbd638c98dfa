"""A cell that an archive does not have, from its training to its page."""

import os
import subprocess
import sys

import pytest

from runs.scoring.measured import measured_file, read_measured
from tests.test_house import ROOT

pytestmark = pytest.mark.slow

CELL = """
from torch import sigmoid, tanh
from variants import Cell
from variants.cells.gru import HiddenState


class Minimal(Cell, name="minimal"):
    '''Minimal gated unit.

        f = s(W_f x + R_f h' + b_f)
        n = tanh(W_n x + R_n h' + b_n)
        h = (1-f)*h' + f*n
    '''

    State = HiddenState
    gates = ("f", "n")
    source = "nobody"

    def step(self, a, s, p):
        f = sigmoid(a.f)
        return HiddenState(h=(1 - f) * s.h + f * tanh(a.n))
"""


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cell_of_ones_own_gets_its_page(tmp_path):
    (tmp_path / "my_cells.py").write_text(CELL)
    run(tmp_path, "runs.sweep", "study=smoke", "tracking=none", f"results={tmp_path}")
    run(tmp_path, "runs.sweep", "study=smoke", "action=export", f"results={tmp_path}")
    archive = tmp_path / "smoke" / "trials.parquet"
    words = ["runs.score", "my_cells.Minimal", f"against={archive}", "points=2", f"results={tmp_path}"]
    said = run(tmp_path, *words)
    assert "2 points x 2 tasks = 4 trials" in said
    folder = tmp_path / "smoke_minimal"
    found = read_measured(measured_file(folder, "minimal"))
    assert [reach.variant for reach in found.reaches] == ["minimal", "vanilla"]
    assert len(found.speeds) == 4
    page = (folder / "score" / "minimal.html").read_text()
    assert "fewer than 10 points, nothing is concluded" in page
    assert "(1 − f) · h′ + f · n" in page
