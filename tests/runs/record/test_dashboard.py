"""`make dashboard` opens what it says, and a mistake is one line."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version

import pytest

from runs import dashboard
from runs.record import pages
from runs.record.dashboard import SCRIPT
from runs.record.mirror import Mirror
from runs.record.places import default_uri
from runs.record.tracking import Tracker, publish
from runs.study.plan import Search
from runs.study.space import Dimension
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.browsing import browser, needs_browser
from tests.runs.conftest import make_design
from tests.runs.servers import free_port
from tests.test_house import ROOT

COLUMNS = {"task", "variant", "task.lag", "status", "test_loss", "score", "solved_step"}


def test_no_trials_are_one_line(tmp_path, capsys):
    assert dashboard.main([f"results={tmp_path}", f"port={free_port()}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    said = (
        f"error: {tmp_path}/mlflow.db: no trial is in MLflow yet: run a study, as with python -m runs.sweep study=quick"
    )
    assert line == f"{said} results={tmp_path}"


def test_a_port_that_is_taken_is_one_line(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert dashboard.main([f"results={tmp_path}", f"port={port}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: port {port} cannot be used (Address already in use)")


def test_a_study_without_a_journal_is_one_line(tmp_path, capsys):
    assert dashboard.main([f"results={tmp_path}", "optuna=nope", f"port={free_port()}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/nope/journal.log: there is no such study with a journal")


def test_another_mlflow_is_served_as_it_is_and_one_line_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.server", None)
    monkeypatch.setattr(Tracker, "experiment", lambda tracker, name: "1")
    became = []

    def become(program, arguments):
        became.extend(arguments)
        raise InterruptedError  # nothing comes after it

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(InterruptedError):
        dashboard.serve(tmp_path, 5000, {"study": "1"})
    assert became[1:4] == ["-m", "mlflow", "server"]
    assert became[became.index("--backend-store-uri") + 1] == default_uri(tmp_path)
    printed = capsys.readouterr()
    assert pages.address("1") in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith(f"note: MLflow {version('mlflow')} (")
    assert "mlflow.server" in line


@pytest.mark.parametrize("name", ["study", pages.SUMMARIES, pages.SINGLE_TRIALS])
def test_every_saved_view_is_what_mlflow_reads(name):
    for value in pages.views(name).values():
        view = json.loads(value)
        assert isinstance(view["createdAt"], int)
        state = json.loads(view["state"])
        assert set(state["selectedColumns"]) < set(state["columnWidths"]) < set(state["columnOrder"])
        assert len(value) < 5000  # what MLflow takes as a tag


def test_the_script_looks_for_the_view_that_is_saved():
    key = f"{pages.SAVED_VIEW}{pages.VIEW}"
    assert key in pages.views("study")
    assert f'tag.key === "{key}"' in SCRIPT.read_text()


def test_the_view_of_trials_has_the_columns_that_matter():
    state = json.loads(json.loads(pages.views("study")[f"mlflow.sharedViewState.{pages.VIEW}"])["state"])
    assert {name.partition(".")[2].strip("`") for name in state["selectedColumns"]} == COLUMNS


# In a browser
# ---------------------------------------------------------------------------------------------------------------------


def studied(results):
    """A study of four trials that were never trained, of which one has failed, in MLflow; returns its page."""
    learning_rate = Dimension(key="training.learning_rate", low=1e-3, high=1e-1, log=True)
    adding = {"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 7}
    design = make_design(points=2, tasks={"adding": adding}, match="width", space={"learning_rate": learning_rate})
    study = Study.create(open_storage("", results / "study"), Search(design), {"command": "python -m runs.sweep"})
    ends = [("solved", 0.0123, ""), ("finished", 0.5, ""), ("diverged", None, ""), ("failed", None, "RuntimeError: no")]
    for status, loss, error in ends:
        curve = {"curve_steps": (0, 6), "curve_losses": (1.0, 0.5), "train_losses": (None, 0.7)}
        solved = {"solved_step": 6, "score": 1.0} if status == "solved" else {}
        outcome = Outcome(status=status, validation_loss=loss, test_loss=loss, error=error, steps=6, **curve, **solved)
        study.finish(study.claim(), outcome)
    Mirror(study, results).catch_up(patient=True)
    publish(results, design, {}, {"trials": 4.0, "solved": 1.0}, [("adding", "gru", {"trials": 2.0})], [], "")
    tracker = Tracker(results)
    return pages.address(tracker.experiment("study"))


@contextmanager
def served(port, *command):
    """A server of python ... on a port of loopback, which ends with the block."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read().decode()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(60)
        process.stderr.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return folder, studied(folder)


@contextmanager
def visited(address):
    """A page in a fresh profile, so wide that no column is left out."""
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 2000, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        yield page


def shown(page):
    """The table of runs, once it is filled: the heads of its columns, and the text of its cells."""
    page.get_by_role("columnheader", name="solved_step").first.wait_for()
    page.get_by_role("gridcell", name="0.0123").first.wait_for()
    heads = [head.strip() for head in page.get_by_role("columnheader").all_inner_texts()]
    return {head for head in heads if head in COLUMNS}, page.get_by_role("gridcell").all_inner_texts()


@pytest.mark.slow
def test_another_mlflow_answers_at_the_same_port(results):
    port = free_port()
    absent = "import sys; sys.modules['mlflow.server.fastapi_app'] = None; from runs import dashboard; "
    command = [f"{absent}dashboard.main(['results={results[0]}', 'port={port}'])"]
    with served(port, "-c", *command) as server, urllib.request.urlopen(server) as answer:
        page = answer.read().decode()
    assert "<title>MLflow" in page
    assert "sharedViewState" not in page  # our script


class TestInABrowser:
    pytestmark = needs_browser

    def test_a_click_on_a_study_leads_to_its_runs_with_the_columns_that_matter(self, results):
        port = free_port()
        with (
            served(port, "-m", "runs.dashboard", f"results={results[0]}", f"port={port}") as server,
            visited(f"{server}#/experiments") as page,
        ):
            page.get_by_role("link", name="study", exact=True).click()
            heads, cells = shown(page)
            assert heads == COLUMNS
            assert {"adding", "vanilla", "gru", "7", "solved", "diverged", "failed"} <= {*map(str.strip, cells)}
            page.get_by_role("button", name="Trials").click()
            page.get_by_role("menuitem", name="Failed trials").click()
            page.get_by_text("1 matching run").wait_for()
            assert page.get_by_role("gridcell", name="failed").count() == 1

    def test_the_address_that_is_printed_leads_there_on_any_server_of_mlflow(self, results):
        port, place = free_port(), f"sqlite:///{results[0]}/mlflow.db"
        command = ["-m", "mlflow", "server", "--workers", "1", "--port", str(port), "--backend-store-uri", place]
        with served(port, *command) as server:
            with visited(server + results[1]) as page:
                assert shown(page)[0] == COLUMNS
            with visited(server + results[1].replace("/runs?", "/runs?compareRunsMode=CHART&")) as page:
                page.get_by_text("curve_validation_loss").first.wait_for()
                page.locator(".js-plotly-plot").first.wait_for()
            with visited(f"{server}#/experiments") as page:  # this one opens on traces, with our description above
                page.get_by_role("link", name="study", exact=True).click()
                page.wait_for_url(re.compile("workflowType=genai"))
                page.get_by_role("button", name="Got it").click()  # a dialog about traces, over everything
                with page.expect_popup() as opened:
                    page.get_by_role("link", name="open the runs").click()
                assert shown(opened.value)[0] == COLUMNS
