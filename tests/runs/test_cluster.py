"""Studies that outgrow a laptop: PostgreSQL, an MLflow server that comes and goes, workers started by Hydra's
launchers.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlflow
import psutil
import pytest

from runs.record.tracking import Tracker
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.storage.opening import close_storage, open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design
from tests.runs.servers import PASSWORD, MLflowServer, free_port, postgres, slurm

ROOT = Path(__file__).resolve().parent.parent.parent
# Trials of about a second: long enough to be killed in.
LONGER = ["training.budget=150", "tasks.adding.lag=30", "model.engine=eager"]
PATIENCE = 900  # seconds after which a test gives up, on a machine that does much else
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
        timeout=PATIENCE,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(results, storage=""):
    rows, _ = records(results, "smoke", storage)
    return [{k: v for k, v in row.items() if k not in ("seconds", "session")} for row in rows]


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
        target=lambda: out.append(
            call(tmp_path, "workers=2", "storage=postgres", "tracking=none", env={"STUDY_STORAGE": url})
        )
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
    where = f"tracking={window.uri}"  # the study alone is not believed
    try:
        both = [
            subprocess.Popen(command(results, where, module="runs.tracking"), cwd=ROOT, stdout=subprocess.DEVNULL)
            for _ in range(2)
        ]
        assert [p.wait(timeout=PATIENCE) for p in both] == [0, 0]
        assert "0 trials written, 12 in all" in call(results, where, module="runs.tracking")
        client = mlflow.MlflowClient(window.uri)
        runs = client.search_runs([client.get_experiment_by_name("smoke").experiment_id], max_results=100)
        assert sorted(r.data.tags["trial_id"] for r in runs) == sorted(r["trial_id"] for r in reference)
    finally:
        window.stop()


def open_database(url, barrier, answers):
    barrier.wait()
    try:
        open_storage(url, Path())
        answers.put("opened")
    except Exception as error:
        answers.put(repr(error))


def test_workers_that_meet_on_an_empty_database_all_open_it(server):
    context = multiprocessing.get_context("spawn")
    barrier, answers, url = context.Barrier(4), context.Queue(), server.create("empty")
    processes = [context.Process(target=open_database, args=(url, barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=PATIENCE) for _ in processes] == ["opened"] * 4


def plan(url, barrier, answers):
    storage = open_storage(url, Path())
    barrier.wait()
    try:
        Study.create(storage, Search(make_design(points=20)), {})
        answers.put("planned")
    except Exception as error:
        answers.put(repr(error))
    finally:
        close_storage(storage)


def test_planners_that_meet_on_a_database_plan_every_trial_once(server):
    context = multiprocessing.get_context("spawn")
    barrier, answers, url = context.Barrier(4), context.Queue(), server.create("planned")
    processes = [context.Process(target=plan, args=(url, barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=PATIENCE) for _ in processes] == ["planned"] * 4
    storage = open_storage(url, Path())
    study = Study.open(storage, "study")
    assert [len(study.trials(cell)) for cell in study.plan.pairs] == [20] * 4
    close_storage(storage)


def test_failed_trials_in_a_database_are_put_back(server):
    storage = open_storage(server.create("retried"), Path())
    study = Study.create(storage, Search(make_design()), {})
    for _ in range(3):
        study.lost(study.claim(), "MemoryError: none")
    study.finish(study.claim(), Outcome(status="failed", error="ValueError: no"))
    assert study.retry() == 1
    assert (study.failures(), sum(c["waiting"] for c in study.counts().values())) == ([], study.size)
    close_storage(storage)


def test_a_study_in_a_database_is_interrupted_and_goes_on(server, tmp_path, longer):
    url = server.create("interrupted")
    env = {**os.environ, "STUDY_STORAGE": url}
    arguments = command(tmp_path, *LONGER, "workers=2", "storage=postgres", "tracking=none")
    process = subprocess.Popen(arguments, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    design = tmp_path / "smoke" / "design.json"
    while not (design.exists() and records(tmp_path, "smoke", url)[0]):
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert 0 < len(table(tmp_path, url)) < len(longer)
    call(tmp_path, *LONGER, "workers=2", "storage=postgres", "tracking=none", env={"STUDY_STORAGE": url})
    assert table(tmp_path, url) == longer


STAGES = (["stage=confirm", "confirm.repeats=2"], ["stage=horizon", "horizon.best=1", "horizon.runs_per_lag=1"])


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    results = tmp_path_factory.mktemp("staged")
    for stage in ([], *STAGES):
        call(results, "workers=2", "tracking=none", *stage)
    return records(results, "smoke", stages=True)[0]


def without_seconds(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "session")} for row in rows]


def test_stages_on_postgres_give_the_table_of_the_journal(server, tmp_path, staged):
    url = server.create("staged")
    for stage in ([], *STAGES):
        call(tmp_path, "workers=2", "storage=postgres", "tracking=none", *stage, env={"STUDY_STORAGE": url})
    assert without_seconds(records(tmp_path, "smoke", url, stages=True)[0]) == without_seconds(staged)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_stages_by_a_launcher_give_the_same_table(tmp_path, staged, launcher):
    if launcher != "basic":
        need(launcher)
    call(tmp_path, "workers=2", "tracking=none")
    for stage in STAGES:
        out = call(tmp_path, "-m", "worker=range(0,2)", f"hydra/launcher={launcher}", "tracking=none", *stage)
        assert "next: python -m analysis study=smoke" in out
    assert without_seconds(records(tmp_path, "smoke", stages=True)[0]) == without_seconds(staged)


def test_a_stage_of_an_incomplete_search_is_refused_before_a_launcher_starts_anything(tmp_path):
    arguments = command(tmp_path, "-m", "worker=range(0,2)", "stage=confirm")
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: stage=confirm: study 'smoke' has not been started")
    assert len(done.stderr.splitlines()) == 1


# Launchers
# --------------------------------------------------------------------------------------------------------------------

PLUGINS = {"joblib": "hydra_joblib_launcher", "local": "hydra_submitit_launcher", "ray": "hydra_ray_launcher"}


def need(launcher):
    pytest.importorskip(f"hydra_plugins.{PLUGINS[launcher]}", reason=f"the extra for {launcher} is not installed")


def submit(results, launcher, *arguments, env=None):
    """Start a study through a launcher, in the background."""
    arguments = command(
        results, "-m", "worker=range(0,3)", f"hydra/launcher={launcher}", *LONGER, "tracking=none", *arguments
    )
    with results.with_name("out").open("w") as out:
        return subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True)


def claimed_by(results):
    """Process ids of the workers that have claimed a trial; waits for the first outcome and for two workers."""
    journal, workers = results / "smoke" / "journal.log", set()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = journal.read_text().splitlines() if journal.exists() else []
        workers = {json.loads(line)["user_attr"]["worker"]["pid"] for line in lines if '"worker"' in line}
        if len(workers) >= 2 and any('"outcome"' in line for line in lines):
            return sorted(workers)
        time.sleep(0.2)
    raise TimeoutError(results.with_name("out").read_text())


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    results = tmp_path_factory.mktemp("longer")
    call(results, *LONGER, "workers=2", "tracking=none")
    return table(results)


@pytest.mark.parametrize("launcher", [*PLUGINS, "ray beside a cluster"])
def test_workers_of_a_launcher_share_a_study(tmp_path, reference, launcher, request):
    launcher, _, beside = launcher.partition(" ")
    need(launcher)
    if beside:
        request.getfixturevalue("ray_address")
    out = call(tmp_path, "-m", "worker=range(0,3)", f"hydra/launcher={launcher}")
    assert "next: python -m analysis study=smoke" in out
    assert table(tmp_path) == reference
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("smoke").experiment_id], max_results=100)
    assert sorted(r.data.tags["trial_id"] for r in runs) == sorted(r["trial_id"] for r in reference)
    stored = json.loads((tmp_path / "smoke" / "design.json").read_text())["command"].split()
    assert stored[:4] == ["python", "-m", "runs.sweep", "study=smoke"]
    assert "worker=0" in stored


@pytest.mark.parametrize("launcher", ["joblib", "local"])
def test_a_killed_worker_of_a_launcher_costs_nothing(tmp_path, longer, launcher):
    need(launcher)
    results = tmp_path / "results"
    submission = submit(results, launcher)
    os.kill(claimed_by(results)[0], signal.SIGKILL)
    assert submission.wait(timeout=PATIENCE) == 1
    assert "error: a worker was lost" in (tmp_path / "out").read_text()
    call(results, *LONGER, "workers=2", "tracking=none")
    assert table(results) == longer


@pytest.mark.parametrize("launcher", ["basic", "joblib", "local"])
def test_a_mistake_is_found_before_a_launcher_starts_anything(tmp_path, launcher):
    if launcher != "basic":
        need(launcher)
    arguments = command(tmp_path, "-m", "worker=range(0,2)", f"hydra/launcher={launcher}", "variants=[vanilla,foo]")
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown variant 'foo'")
    assert len(done.stderr.splitlines()) == 1


def test_what_a_worker_refuses_ends_the_command_with_exit_code_2(tmp_path, reference):
    need("local")
    call(tmp_path, "workers=2", "tracking=none")
    arguments = command(
        tmp_path, "-m", "worker=range(0,1)", "hydra/launcher=local", "training.budget=31", "tracking=none"
    )
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: study 'smoke' exists with a different design (training.budget: 30 there, 31 here)" in done.stderr
    assert table(tmp_path) == reference


@pytest.fixture
def ray_address(tmp_path):
    """A Ray cluster of one node on loopback that runs beside the study, as `ray start` makes it."""
    need("ray")
    address, env = f"127.0.0.1:{free_port()}", {**os.environ, "RAY_AUTH_MODE": "token"}
    arguments = [
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={address.rpartition(':')[2]}",
        "--num-cpus=3",
    ]
    arguments += ["--include-dashboard=false", "--disable-usage-stats"]
    with (tmp_path / "ray").open("wb") as log:
        head = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), *arguments], stdout=log, stderr=log, env=env, start_new_session=True
        )
    end = time.monotonic() + PATIENCE
    while b"Ray runtime started" not in (tmp_path / "ray").read_bytes():
        assert head.poll() is None, (tmp_path / "ray").read_text()
        assert time.monotonic() < end, "Ray does not start"
        time.sleep(0.5)
    yield address
    children = psutil.Process(head.pid).children(recursive=True)
    head.terminate()
    head.wait(timeout=60)
    for child in psutil.wait_procs(children, timeout=20)[1]:
        child.kill()


def test_a_killed_worker_of_a_ray_cluster_costs_nothing(ray_address, tmp_path, longer):
    results = tmp_path / "results"
    submission = submit(
        results, "ray_cluster", env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_ADDRESS": ray_address}
    )
    os.kill(claimed_by(results)[0], signal.SIGKILL)
    # Ray starts a task again whose process died
    assert submission.wait(timeout=PATIENCE) == 0, (tmp_path / "out").read_text()
    assert table(results) == longer


@pytest.fixture
def cluster():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra `slurm` is not installed")
    with slurm() as running:
        yield running


def slot_of(process):
    """Job and number in its array of a worker that Slurm runs."""
    own = dict(v.split("=", 1) for v in Path(f"/proc/{process}/environ").read_text().split("\0") if "=" in v)
    return own["SLURM_ARRAY_JOB_ID"], int(own["SLURM_ARRAY_TASK_ID"])


def test_a_study_on_slurm_survives_a_cancelled_and_a_killed_worker(cluster, tmp_path, longer):
    results = tmp_path / "results"
    # Without Slurm's accounting the submitting process never hears of a job that was killed, so it is not waited for.
    submission = submit(results, "slurm", "hydra.launcher.mem_gb=1", env=cluster.env)
    try:
        victim = claimed_by(results)[0]
        job, task = slot_of(victim)
        os.kill(victim, signal.SIGKILL)
        cluster.call("scancel", f"{job}_{(task + 1) % 3}")
        end = time.monotonic() + PATIENCE
        while cluster.call("squeue", "-h") and time.monotonic() < end:
            time.sleep(1)
        assert table(results) == longer
    finally:
        os.killpg(submission.pid, signal.SIGKILL)
        submission.wait()


def test_workers_that_slurm_preempts_put_their_trials_back_and_are_queued_again(cluster, tmp_path, longer):
    results = tmp_path / "results"
    submission = submit(results, "slurm", "hydra.launcher.mem_gb=1", env=cluster.env)
    try:
        workers = claimed_by(results)
        (job, warned), (_, requeued) = (slot_of(w) for w in workers[:2])
        cluster.call("scancel", "--signal=USR2", f"{job}_{warned}")  # the warning that `signal_delay_s` asks for
        # what preemption does: SIGTERM, and SIGKILL after a grace
        cluster.call("scontrol", "requeue", f"{job}_{requeued}")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            shown = cluster.call("scontrol", "show", "job", "-o", job).splitlines()
            again = {int(line.split("ArrayTaskId=")[1].split()[0]) for line in shown if "Restarts=1" in line}
            if again == {warned, requeued}:
                break
            time.sleep(0.5)
        assert again == {warned, requeued}
        end = time.monotonic() + PATIENCE  # Slurm lets a job that is queued again wait for two minutes
        while cluster.call("squeue", "-h") and time.monotonic() < end:
            time.sleep(1)
        assert table(results) == longer
        journal = (results / "smoke" / "journal.log").read_text()
        assert '"attempt":2' not in journal, "a worker was held for dead instead of putting its trial back"
    finally:
        os.killpg(submission.pid, signal.SIGKILL)
        submission.wait()


def test_no_password_is_written_anywhere(server, tmp_path):
    env = {"STUDY_STORAGE": server.create("quiet")}
    launched = ["-m", "worker=range(0,2)", "hydra/launcher=local"]
    out = call(tmp_path, "workers=1", "storage=postgres", env=env)
    out += call(tmp_path, "name=launched", *launched, "storage=postgres", env=env)
    out += call(tmp_path, "storage=postgres", module="analysis", env=env)
    holders = [str(p) for p in tmp_path.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    assert holders == []
    assert PASSWORD not in out
