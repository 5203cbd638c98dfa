"""Studies that are killed, again and again: nothing is missing in the end, nothing is there twice, and no number is
different.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import psutil
import pytest

from runs.study.claiming import ATTEMPTS, DIED
from runs.study.finding import records

ROOT = Path(__file__).resolve().parent.parent.parent
# Trials of about a second: long enough to be killed in.
STUDY = ["study=smoke", "name=crash", "training.budget=100", "tasks.adding.lag=30", "model.engine=eager", "points=4"]
KILLS, PATIENCE = 20, 900  # seconds after which a test gives up, on a machine that does much else

pytestmark = pytest.mark.slow


def command(results, *arguments):
    return [sys.executable, "-m", "runs.sweep", *STUDY, f"results={results}", *arguments]


def start(results, *arguments, env=None):
    own = {**os.environ, **(env or {})}
    with log_of(results).open("ab") as log:
        return subprocess.Popen(
            command(results, *arguments), cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=own
        )


def log_of(results):
    """Beside the results, not in them: they may be on the disk that is full."""
    return results.with_name(f"{results.name}.log")


def finish(results, *arguments):
    done = subprocess.run(command(results, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    lost = f"{DIED} {ATTEMPTS} times" in done.stderr  # points that were killed too often
    assert done.returncode == 0 or (done.returncode == 1 and lost), done.stdout + done.stderr


def table(results):
    rows, _ = records(results, "crash")
    return {
        (r["task"], r["variant"], r["point"]): {k: v for k, v in r.items() if k not in ("seconds", "session")}
        for r in rows
    }


def workers_of(parent):
    try:
        return [p for p in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(p.cmdline())]
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    results = tmp_path_factory.mktemp("reference")
    finish(results, "workers=2", "tracking=none")
    return table(results)


def assert_equal(results, reference):
    mine = table(results)
    assert mine.keys() == reference.keys(), "a point is missing"
    lost = {k for k, row in mine.items() if row["status"] == "failed"}
    assert all("its worker died 3 times" in mine[k]["error"] for k in lost)
    assert {k: v for k, v in mine.items() if k not in lost} == {k: v for k, v in reference.items() if k not in lost}
    return lost


def test_twenty_kills_of_workers_and_parents_lose_and_double_nothing(tmp_path):
    chance, killed = random.Random(1), tmp_path / "killed"
    kills, points, parent = 0, 4, None
    while kills < KILLS:
        if parent is not None and parent.poll() == 0:
            points += 4  # done too early: it is extended, and killed further
        if parent is None or parent.poll() is not None:
            parent = start(killed, "workers=2", f"points={points}")
        while parent.poll() is None and not workers_of(parent):
            time.sleep(0.1)
        time.sleep(chance.uniform(0.5, 6.0))
        victims = workers_of(parent)
        if kills % 3 == 2 and parent.poll() is None:
            parent.kill()
            parent.wait()
            kills += 1
        elif victims:
            chance.choice(victims).kill()
            kills += 1
    if parent.poll() is None:
        parent.send_signal(signal.SIGINT)
        parent.wait(timeout=PATIENCE)
    finish(killed, "workers=2", f"points={points}")
    finish(tmp_path / "reference", "workers=2", "tracking=none", f"points={points}")
    reference = table(tmp_path / "reference")
    lost = assert_equal(killed, reference)
    assert len(lost) <= 3, "points that were killed three times; others should have gone first"
    client = mlflow.MlflowClient(f"sqlite:///{killed}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("crash").experiment_id], max_results=1000)
    assert len(runs) == len(reference)
    theirs = {
        (r.data.tags["task"], r.data.tags["variant"], int(r.data.tags["point"])): r.data.metrics.get("test_loss")
        for r in runs
    }
    assert theirs == {k: row["test_loss"] for k, row in table(killed).items()}


def test_workers_leave_when_their_parent_is_killed(tmp_path):
    parent = start(tmp_path, "workers=2", "tracking=none")
    while len(workers := workers_of(parent)) < 2:
        time.sleep(0.1)
    time.sleep(4)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


@pytest.mark.parametrize("times", [1, 2])
def test_interrupting_once_or_twice_puts_the_trials_back(tmp_path, reference, times):
    parent = start(tmp_path, "workers=2", "tracking=none")
    while not workers_of(parent):
        time.sleep(0.1)
    time.sleep(5)
    for _ in range(times):
        os.killpg(parent.pid, signal.SIGINT)
        time.sleep(0.7)
    # the second may find it at its exit; a shell calls both 130
    assert parent.wait(timeout=PATIENCE) in (130, -signal.SIGINT)
    finish(tmp_path, "workers=2", "tracking=none")
    assert not assert_equal(tmp_path, reference)


def test_a_worker_that_is_asked_to_terminate_puts_its_trial_back(tmp_path, reference):
    parent = start(tmp_path, "workers=2", "tracking=none")
    while len(workers := workers_of(parent)) < 2:
        time.sleep(0.1)
    time.sleep(5)
    workers[0].terminate()
    assert psutil.wait_procs(workers[:1], timeout=60)[1] == []
    parent.wait(timeout=PATIENCE)
    if parent.returncode:
        finish(tmp_path, "workers=2", "tracking=none")
    assert not assert_equal(tmp_path, reference)


def test_a_write_that_was_cut_off_in_the_journal_costs_nothing(tmp_path, reference):
    parent = start(tmp_path, "workers=2", "tracking=none")
    journal = tmp_path / "crash" / "journal.log"
    while not (journal.exists() and journal.read_text().count('"outcome"') >= 2):
        time.sleep(0.1)
    os.killpg(parent.pid, signal.SIGKILL)
    for worker in workers_of(parent):
        worker.kill()
    parent.wait()
    time.sleep(1)
    with journal.open("r+b") as handle:
        handle.truncate(journal.stat().st_size - 7)
    finish(tmp_path, "workers=2", "tracking=none")
    assert not assert_equal(tmp_path, reference)


def test_a_full_disk_holds_a_study_up_and_loses_nothing(tmp_path, reference):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a small disk here: {mount.stderr.strip()}")
    try:
        parent = start(disk, "workers=2", "tracking=none")
        journal = disk / "crash" / "journal.log"
        while not (journal.exists() and '"worker"' in journal.read_text()):
            time.sleep(0.1)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as handle:
            for size in (4096, 1):
                try:
                    while True:
                        handle.write(b"x" * size)
                except OSError:
                    continue
        end = time.monotonic() + PATIENCE
        while "No space left" not in log_of(disk).read_text():
            assert parent.poll() is None, "the study ended on a full disk"
            assert time.monotonic() < end, "nobody noticed that the disk is full"
            time.sleep(0.2)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        parent.wait(timeout=PATIENCE)
        if parent.returncode:
            finish(disk, "workers=2", "tracking=none")
        assert not assert_equal(disk, reference)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


# What a process sees of a clock that is set: the time, and the time of boot (the kernel's moves along); the monotonic
# clock goes on.
CLOCK = """
import os, time, psutil
import psutil._pslinux as linux

def offset():
    with open(os.environ["CLOCK"]) as handle:
        return float(handle.read())

def moved(function, unit=1):
    return lambda: function() + type(function())(offset() * unit)

time.time, time.time_ns = moved(time.time), moved(time.time_ns, 10**9)
psutil.boot_time = linux.boot_time = moved(linux.boot_time)
open(os.environ["CLOCK"] + f".{os.getpid()}", "w").close()
"""


@pytest.mark.parametrize("days", [-10, 10])
def test_a_clock_that_is_set_during_a_study_changes_nothing(tmp_path, reference, days):
    clock, results = tmp_path / "clock", tmp_path / "results"
    clock.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    parent = start(results, "workers=2", "tracking=none", env={"PYTHONPATH": str(tmp_path), "CLOCK": str(clock)})
    while len(table(results) if (results / "crash" / "design.json").exists() else ()) < 3:
        assert parent.poll() is None, log_of(results).read_text()
        time.sleep(0.1)
    assert len(list(tmp_path.glob("clock.*"))) >= 3, "parent and workers do not see the clock of this test"
    temporary = tmp_path / "new"
    temporary.write_text(str(days * 86400))
    temporary.replace(clock)
    os.kill(workers_of(parent)[0].pid, signal.SIGKILL)  # so that others look for what the dead one held
    assert parent.wait(timeout=PATIENCE) == 0, log_of(results).read_text()
    assert not assert_equal(results, reference)
    assert (results / "crash" / "journal.log").read_text().count('"attempt":2') <= 1, "a live worker was held for dead"
