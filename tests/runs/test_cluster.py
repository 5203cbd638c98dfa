"""Studies that outgrow a laptop: PostgreSQL, an MLflow server that comes and goes, workers started by Hydra's launchers."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlflow
import pytest

from runs.study import records
from runs.tracking import Tracker
from tests.runs.servers import PASSWORD, MLflowServer, postgres

ROOT = Path(__file__).resolve().parent.parent.parent
STUDY = ["study=smoke", "training.budget=30", "training.evaluation_sequences=16", "points=3"]

pytestmark = pytest.mark.slow


def command(results, *arguments, module="runs.sweep"):
    own = STUDY if module == "runs.sweep" else ["study=smoke"]
    flags = [a for a in arguments if a.startswith("-")]
    return [sys.executable, "-m", module, *flags, *own, f"results={results}", *(a for a in arguments if a not in flags)]


def call(results, *arguments, module="runs.sweep", env=None):
    done = subprocess.run(
        command(results, *arguments, module=module),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(results, storage=""):
    rows, _ = records(results, "smoke", storage)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    results = tmp_path_factory.mktemp("reference")
    call(results, "workers=2", "tracking=none")
    return table(results)


@pytest.fixture(scope="module")
def server():
    with postgres() as running:
        yield running


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_postgres_gives_the_table_of_the_journal_to_the_last_bit(server, tmp_path, reference, workers):
    url = server.create(f"study{workers}")
    call(tmp_path, f"workers={workers}", "storage=postgres", "tracking=none", env={"STUDY_STORAGE": url})
    assert table(tmp_path, url) == reference


def test_a_database_that_restarts_holds_a_study_up_and_loses_nothing(server, tmp_path, reference):
    url = server.create("restarted")
    out = []
    runner = threading.Thread(
        target=lambda: out.append(call(tmp_path, "workers=2", "storage=postgres", "tracking=none", env={"STUDY_STORAGE": url}))
    )
    runner.start()
    while not (tmp_path / "smoke" / "design.json").exists():
        time.sleep(0.1)
    time.sleep(3)
    server.stop()
    time.sleep(3)
    server.start()
    runner.join()
    assert out, "the study did not end"
    assert table(tmp_path, url) == reference


def test_an_mlflow_server_that_was_away_catches_up_each_trial_once(server, tmp_path, reference):
    window = MLflowServer(tmp_path / "mlflow", server.create("mlflow"))
    window.start()
    results, env = tmp_path / "results", {"MLFLOW_TRACKING_URI": window.uri}
    results.mkdir()
    Tracker(results, window.uri).experiment("smoke")
    window.stop()
    call(results, "workers=2", "tracking=server", env=env)
    assert table(results) == reference
    window.start()
    try:
        both = [subprocess.Popen(command(results, module="runs.tracking"), cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [p.wait(timeout=200) for p in both] == [0, 0]
        assert "0 trials written, 12 in all" in call(results, module="runs.tracking")
        client = mlflow.MlflowClient(window.uri)
        runs = client.search_runs([client.get_experiment_by_name("smoke").experiment_id], max_results=100)
        assert sorted(r.data.tags["trial_id"] for r in runs) == sorted(r["trial_id"] for r in reference)
    finally:
        window.stop()


@pytest.mark.parametrize(("launcher", "plugin"), [("joblib", "hydra_joblib_launcher"), ("local", "hydra_submitit_launcher")])
def test_workers_of_a_launcher_share_a_study(tmp_path, reference, launcher, plugin):
    pytest.importorskip(f"hydra_plugins.{plugin}", reason=f"the extra for {launcher} is not installed")
    call(tmp_path, "-m", "worker=range(0,3)", f"hydra/launcher={launcher}", "tracking=none")
    assert table(tmp_path) == reference


def test_no_password_is_written_anywhere(server, tmp_path, reference):
    url = server.create("quiet")
    out = call(tmp_path, "workers=1", "storage=postgres", env={"STUDY_STORAGE": url})
    call(tmp_path, "storage=postgres", module="analysis", env={"STUDY_STORAGE": url})
    holders = [str(p) for p in tmp_path.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    assert holders == []
    assert PASSWORD not in out
