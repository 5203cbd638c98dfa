"""The facts of a session: what numbers depend on, the classes of the user's among it."""

import importlib
import sys

import pytest

from runs.record import facts
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.workers.planning import changed_code
from tests.runs.conftest import make_design

CELL = """
from variants import Cell
from variants.cells.gru import HiddenState

class MyCell(Cell):
    State, gates, source = HiddenState, ("n",), "made up"

    def step(self, a, s, p):
        return HiddenState(h={share} * s.h + a.n)
"""


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """Writes a module of the user's with a cell, and imports it as a new process would."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(share):
        (tmp_path / "cells_of_mine.py").write_text(CELL.format(share=share))
        facts._hash_of_file.cache_clear()
        sys.modules.pop("cells_of_mine", None)
        importlib.invalidate_caches()
        return importlib.import_module("cells_of_mine").MyCell

    yield write
    sys.modules.pop("cells_of_mine", None)


def test_the_environment_names_classes_of_the_users_by_their_code_and_none_of_ours(cell):
    cell(0.5)
    before = facts.environment()
    cell(0.75)
    after = facts.environment()
    assert not any(name.startswith(("variants.", "tasks.")) for name in before["classes"])
    one, other = (own["classes"]["cells_of_mine.MyCell"] for own in (before, after))
    assert facts.changes(before, after) == [f"code of cells_of_mine.MyCell {one} -> {other}"]
    assert not facts.alike(before, after)


def test_a_class_that_one_side_does_not_know_is_no_change(cell):
    before = facts.environment()
    cell(0.5)
    assert facts.changes(before, facts.environment()) == []


def test_a_cell_that_was_changed_since_its_trials_ran_is_said_even_if_the_study_is_finished(cell, tmp_path):
    cell(0.5)
    variants = {
        "vanilla": {"_target_": "variants.Vanilla", "label": "vanilla"},
        "mine": {"_target_": "cells_of_mine.MyCell", "label": "mine"},
    }
    search = Search(make_design(variants=variants))
    study = Study.create(open_storage("", tmp_path / "study"), search, facts.environment())
    assert changed_code(study) == ""
    cell(0.75)
    assert changed_code(study).startswith("cells_of_mine.MyCell was changed since trials of this study ran, ")
    assert changed_code(Study.create(open_storage("", tmp_path / "other"), Search(make_design()), {})) == ""


@pytest.mark.parametrize("system_says", [True, False])
def test_the_processor_is_named_with_its_generation(monkeypatch, system_says):
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "znver9")
    if not system_says:
        monkeypatch.setattr("pathlib.Path.read_text", lambda path: "")
    facts.processor.cache_clear()
    try:
        assert facts.processor().endswith(" (znver9)")
        assert not facts.processor().startswith(" ")
    finally:
        facts.processor.cache_clear()
