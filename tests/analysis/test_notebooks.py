from __future__ import annotations

import runpy
import subprocess
import sys

import pandas as pd
import pytest

from analysis.notebooks import __main__ as notebooks
from analysis.notebooks.__main__ import FOLDER, NAMES, execute, main, without_network
from runs.record.archive import load, write_values
from runs.record.rows import tidy
from runs.record.tracked import of_runs, tracked
from tests.analysis.synthetic import study

ROOT = FOLDER.parent.parent


@pytest.fixture
def analysed(tmp_path):
    rows, design = study(("vanilla", "gru"), points=41, name="demo")
    write_values(tidy(rows), design, tmp_path / "demo")
    return tmp_path


def command(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    """The smoke study, run for real, cut short and mirrored into MLflow's SQLite."""
    results = tmp_path_factory.mktemp("results")
    command(
        "runs.sweep",
        "study=smoke",
        "training.budget=8",
        "training.evaluation_sequences=16",
        "points=2",
        f"results={results}",
    )
    return results


def test_mlflow_and_the_storage_give_the_same_numbers(small_study, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    archive = load("smoke", small_study)
    table = archive.table
    mlflow.set_tracking_uri(tracked(archive.about, small_study))
    runs = of_runs(mlflow.search_runs(experiment_names=["smoke"]), archive.design)
    pd.testing.assert_frame_equal(runs, table[runs.columns], check_exact=True)
    assert len(runs) == 8
    assert {
        "task",
        "variant",
        "point",
        "status",
        "test_loss",
        "score",
        "seconds",
        "learning_rate",
        "hidden_size",
    } <= set(runs)


def test_runs_of_the_stages_are_left_out_and_those_without_the_tag_are_of_the_search(small_study):
    import mlflow

    archive = load("smoke", small_study)
    design = archive.design
    mlflow.set_tracking_uri(tracked(archive.about, small_study))
    runs = mlflow.search_runs(experiment_names=["smoke"])
    confirmed = runs.assign(**{"tags.stage": "confirm"})
    for frame in (pd.concat([runs, confirmed], ignore_index=True), runs.drop(columns="tags.stage")):
        pd.testing.assert_frame_equal(of_runs(frame, design), of_runs(runs, design))


def test_an_mlflow_that_is_not_within_reach_is_no_uri(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracked({}, tmp_path) == ""
    assert tracked({"tracking_uri": "default"}, tmp_path) == ""
    (tmp_path / "mlflow.db").touch()
    assert tracked({"tracking_uri": "default"}, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_server_that_only_a_file_names_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    design = {"tracking_uri": "http://***@127.0.0.1:5000"}
    assert tracked(design, tmp_path) == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://T0KEN@127.0.0.1:5000")
    assert tracked(design, tmp_path) == "http://T0KEN@127.0.0.1:5000"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of jupyter and its kernel
@pytest.mark.parametrize("name", ["overview", "inside_a_cell"])
def test_notebook_of_a_real_study_has_its_networks_and_finds_the_same_numbers_in_mlflow(name, small_study):
    for module in ("jupytext", "nbclient", "nbconvert", "ipykernel"):
        pytest.importorskip(module, reason="the extra `notebooks` is not installed")
    load("smoke", small_study)
    command("runs.inside", "study=smoke", f"results={small_study}")
    notebook, page = execute(name, "smoke", small_study)
    text = notebook.read_text()
    assert "8 runs; the same numbers as in the table: True" in text
    assert "image/png" in text
    assert "Warning" not in text
    if name == "inside_a_cell":
        assert "gru on adding: test loss" in text
    assert 'src="http' not in page.read_text()


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
        pytest.importorskip(module, reason="the extra `notebooks` is not installed")
    notebook, page = execute("overview", "demo", analysed)
    assert "image/png" in notebook.read_text()
    html = page.read_text()
    assert "data:image/png" in html
    assert 'src="http' not in html


def test_scripts_from_elsewhere_are_removed():
    elsewhere = '<script src="https://x.org/a.js"></script><script>import m from "https://x.org";</script>'
    html = f"{elsewhere}<script>var a = 1;</script>"
    assert without_network(html) == "<script>var a = 1;</script>"


def test_a_study_that_was_not_analysed_is_one_line_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "journal.log").touch()
    assert main([f"results={tmp_path}", "study=raw"]) == 2
    assert f"run python -m analysis study=raw results={tmp_path} first" in capsys.readouterr().err


def test_a_study_that_is_not_there_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main([f"results={tmp_path}", "study=absent"]) == 2
    assert capsys.readouterr().err == f"error: there is no study 'absent' in {tmp_path}; there is: none\n"


def test_the_notebooks_read_an_archive_by_its_file(analysed, monkeypatch):
    asked = []
    monkeypatch.setattr(notebooks, "execute", lambda *arguments: asked.append(arguments) or [])
    path = analysed / "demo" / "trials.parquet"
    assert main([f"from={path}", "only=overview", f"results={analysed / 'none'}", f"out={analysed / 'out'}"]) == 0
    assert asked == [("overview", "demo", analysed / "none", analysed / "out", path)]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_opens_with_a_title(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert "# %% [markdown]\n# # " in text
