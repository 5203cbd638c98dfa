"""A whole study from the shell, with real workers and a real MLflow database."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runs.record.tracking import Tracker
from runs.secrets_in_urls import without_password
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.sweep import main
from runs.trial.trial import Model, Outcome, Training, Trial
from runs.workers.status import print_counts
from tests.runs.configuration.test_command_line import call
from tests.runs.conftest import make_design

ROOT = Path(__file__).resolve().parent.parent.parent
STUDY = ["study=smoke", "training.budget=8", "training.evaluation_sequences=16", "points=2"]


def sweep(results, *arguments):
    command = [sys.executable, "-m", "runs.sweep", *STUDY, f"results={results}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def here(monkeypatch, capsys):
    """The same in this process, which saves the imports: exit code, stdout, stderr."""
    return lambda results, *arguments: call(
        monkeypatch, capsys, main, "sweep", *STUDY, f"results={results}", *arguments
    )


def table(results):
    rows, _ = records(results, "smoke")
    return [{k: v for k, v in row.items() if k not in ("seconds", "session")} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    done = sweep(results, "workers=2")
    assert done.returncode == 0, done.stderr
    return results


def test_a_study_runs_every_trial_of_its_design(finished):
    assert {(r["task"], r["variant"], r["point"]) for r in table(finished)} == {
        (t, v, p) for t in ("adding", "delayed_recall") for v in ("vanilla", "gru") for p in (0, 1)
    }


def test_the_same_command_does_nothing_when_all_is_done(finished, here):
    before = (finished / "smoke" / "journal.log").read_bytes().count(b"\n")
    code, out, _ = here(finished, "workers=2")
    assert code == 0
    assert "all 8 trials are finished" in out
    rows = table(finished)
    assert len(rows) == 8
    assert (finished / "smoke" / "journal.log").read_bytes().count(b"\n") - before < 5


def test_another_design_is_refused_and_changes_nothing(finished, here):
    before = (finished / "smoke" / "journal.log").read_bytes()
    code, _, err = here(finished, "training.budget=9")
    assert code == 2
    assert "training.budget: 8 there, 9 here" in err
    assert "name=smoke_2" in err
    assert (finished / "smoke" / "journal.log").read_bytes() == before


def test_one_worker_gives_the_same_table_to_the_last_bit(finished, tmp_path, here):
    code, _, err = here(tmp_path, "workers=1", "tracking.enabled=false")
    assert code == 0, err
    assert table(tmp_path) == table(finished)


def test_mlflow_has_one_finished_run_per_trial_with_the_same_numbers(finished):
    import mlflow

    runs = mlflow.MlflowClient(f"sqlite:///{finished}/mlflow.db")
    found = runs.search_runs([runs.get_experiment_by_name("smoke").experiment_id], max_results=100)
    theirs = {r.data.tags["trial_id"]: r.data.metrics["test_loss"] for r in found if r.info.status == "FINISHED"}
    assert theirs == {r["trial_id"]: r["test_loss"] for r in table(finished)}


def test_the_cost_of_a_session_is_that_of_its_trials_workers_and_mirror(finished, here):
    cost = json.loads((finished / "smoke" / "session.json").read_text())
    assert (cost["trials"], cost["mirrored"], cost["workers"]) == (8, 8, 2)
    assert cost["trial_seconds"] == pytest.approx(sum(r["seconds"] for r in records(finished, "smoke")[0]))
    assert cost["trial_seconds"] <= cost["worker_seconds"] <= 2 * cost["seconds"]
    assert 0 < cost["mirror_seconds"] <= cost["seconds"]
    _, shown, _ = here(finished, "action=status")
    assert f"{1000 * (cost['worker_seconds'] - cost['trial_seconds']) / 8:.0f} ms of its worker" in shown
    assert f"{1000 * cost['mirror_seconds'] / 8:.0f} ms of the parent to write it to MLflow" in shown


def test_the_design_stands_beside_the_results_with_versions_and_commit(finished):
    design = json.loads((finished / "smoke" / "design.json").read_text())
    assert design["points"] == 2
    assert set(design) >= {"versions", "commit", "command", "created", "python"}


def test_an_interrupted_study_goes_on_and_ends_the_same(finished, tmp_path, here):
    command = [sys.executable, "-m", "runs.sweep", *STUDY, f"results={tmp_path}", "workers=1", "tracking.enabled=false"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = tmp_path / "smoke" / "journal.log"
    while process.poll() is None and not (journal.exists() and '"worker"' in journal.read_text()):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    assert here(tmp_path, "workers=1", "tracking.enabled=false")[0] == 0
    assert table(tmp_path) == table(finished)


def test_failures_are_counted_with_their_reasons_and_the_way_out(tmp_path, capsys):
    study = Study.create(open_storage("", tmp_path), Search(make_design()), {})
    for error in ("MemoryError: none\nhere", "MemoryError: none\nthere", "ValueError: no"):
        study.finish(study.claim(), Outcome(status="failed", error=error))
    assert print_counts(study) == 3
    assert capsys.readouterr().err.splitlines() == [
        "3 trials FAILED of 12: action=retry puts them back",
        "  2 x MemoryError: none",
        "      in adding vanilla 0, recall vanilla 0",
        "  1 x ValueError: no",
        "      in adding vanilla 1",
        "  whole messages: column `error` of the table that action=export writes",
    ]


@pytest.mark.slow
def test_a_study_with_failed_trials_ends_with_exit_code_1_until_they_are_put_back_and_done(tmp_path):
    arguments = ["workers=2", "tracking=none", "points=1", "training.budget=4"]
    done = sweep(tmp_path, *arguments, "tasks.adding.lag=1000000000")
    assert done.returncode == 1
    assert "2 trials FAILED of 4: action=retry puts them back" in done.stderr
    assert sweep(tmp_path, *arguments, "tasks.adding.lag=1000000000").returncode == 1
    done = sweep(tmp_path, "action=retry")
    assert (done.returncode, done.stdout.partition(";")[0]) == (0, "study 'smoke': 2 failed trials put back")
    assert [row["task"] for row in table(tmp_path)] == ["delayed_recall"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_study_whose_trials_hang(tmp_path, times):
    own = ["variants=[vanilla,tests.runs.endless.Endless]", "model.engine=eager", "workers=2", "tracking=none"]
    command = [sys.executable, "-m", "runs.sweep", *STUDY, f"results={tmp_path}", *own]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = tmp_path / "smoke" / "journal.log"
    while process.poll() is None and not (journal.exists() and journal.read_text().count('"worker"') >= 3):
        time.sleep(0.1)
    time.sleep(1)
    begun = time.monotonic()
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1.0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - begun < (40, 15)[times - 1]
    study = Study.open(open_storage("", tmp_path / "smoke"), "smoke")
    assert (study.held(), study.failures()) == ([], [])


TRIAL = Trial(
    variant={"_target_": "variants.cells.gru.GRU", "label": "gru"},
    task={"_target_": "tasks.synthetic.adding.Adding", "label": "adding"},
    initialisation={},
    model=Model(),
    training=Training(),
)
OUTCOME = Outcome(
    status="finished", curve_steps=(0, 4), curve_losses=(1.0, 0.5), train_losses=(None, 0.7), test_metrics={"loss": 0.5}
)


@pytest.fixture
def tracker(empty, tmp_path):
    shutil.copy(empty, tmp_path / "mlflow.db")
    return Tracker(tmp_path)


def test_a_run_that_was_cut_off_is_deleted_and_not_counted(tracker):
    tracker.trial("study", TRIAL, OUTCOME, {"point": 0}, {})
    half = tracker.client.create_run(
        tracker.experiment("study"), tags={"task": "adding", "variant": "gru", "point": "1"}
    )
    assert set(tracker.mirrored("study")) == {("adding", "gru", 0)}
    assert tracker.client.get_run(half.info.run_id).info.lifecycle_stage == "deleted"


def test_a_run_holds_the_curve_step_by_step(tracker):
    run = tracker.trial("study", TRIAL, OUTCOME, {"point": 0}, {})
    history = tracker.client.get_metric_history(run, "curve_validation_loss")
    assert [(m.step, m.value) for m in history] == [(0, 1.0), (4, 0.5)]


def test_a_run_of_the_eager_engine_has_the_reason_as_a_tag(tracker):
    run = tracker.trial("study", TRIAL, replace(OUTCOME, why_eager="step calls lgamma"), {"point": 0}, {})
    assert tracker.client.get_run(run).data.tags["why_eager"] == "step calls lgamma"


def test_a_summary_replaces_the_one_before(tracker, tmp_path):
    (tmp_path / "figure.png").touch()
    for rate in (0.1, 0.2):
        tracker.summary("study", {}, {}, {"solve_rate": rate}, [tmp_path / "figure.png"])
    (run,) = tracker.client.search_runs([tracker.experiment("summaries")])
    assert run.data.metrics["solve_rate"] == 0.2
    assert [f.path for f in tracker.client.list_artifacts(run.info.run_id, "figures")] == ["figures/figure.png"]


def test_a_password_is_not_shown():
    assert without_password("postgresql+psycopg://me:secret@host/db") == "postgresql+psycopg://me:***@host/db"
    assert (
        without_password("postgresql://host/db?password=secret&user=me") == "postgresql://host/db?password=***&user=me"
    )
    assert without_password("http://127.0.0.1:5000/me@here") == "http://127.0.0.1:5000/me@here"
