from __future__ import annotations

import runpy

import pytest

from analysis.load import tidy, write_archive
from analysis.notebooks.__main__ import FOLDER, NAMES, execute, main, without_network

from .synthetic import study


@pytest.fixture
def analysed(tmp_path):
    rows, design = study(("vanilla", "gru"), points=41, name="demo")
    write_archive(tidy(rows), design, tmp_path / "demo")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_as_plain_python(name, analysed, monkeypatch):
    monkeypatch.setenv("STUDY", "demo")
    monkeypatch.setenv("RESULTS", str(analysed))
    runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of jupyter and its kernel
def test_notebook_is_executed_to_ipynb_and_html_that_needs_no_network(analysed):
    for module in ("jupytext", "nbclient", "nbconvert", "ipykernel"):
        pytest.importorskip(module)
    notebook, page = execute("study", "demo", analysed)
    assert "image/png" in notebook.read_text()
    html = page.read_text()
    assert "data:image/png" in html
    assert 'src="http' not in html


def test_scripts_from_elsewhere_are_removed():
    html = '<script src="https://x.org/a.js"></script><script>import m from "https://x.org";</script><script>var a = 1;</script>'
    assert without_network(html) == "<script>var a = 1;</script>"


def test_a_study_that_was_not_analysed_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main([f"results={tmp_path}", "study=absent"]) == 2
    assert "run python -m analysis study=absent first" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_notebook_opens_with_a_title(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert "# %% [markdown]\n# # " in text
