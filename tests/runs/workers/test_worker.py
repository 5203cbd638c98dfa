"""Workers whose trial never ends, or whose machine lacks something: they leave, and what they held is not lost."""

import multiprocessing
import os
import signal
import time
from contextlib import nullcontext
from dataclasses import replace

import psutil
import pytest
from optuna.trial import TrialState

from runs.study.claiming import ATTEMPTS
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.study.trials import Held
from runs.trial.faults import Interrupted
from runs.workers.ending import Interruption, Limit
from runs.workers.status import outlook
from runs.workers.stop import STOP
from runs.workers.worker import work
from tests.runs.conftest import make_design
from tests.runs.endless import Endless

PATIENCE = 90.0  # seconds after which a test gives up, on a machine that does much else

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def endless(how):
    """A study of a single trial that never ends."""
    node = {"_target_": f"{Endless.__module__}.Endless", "label": "endless", "how": how}
    design = make_design(
        points=1, variants={"endless": node}, baseline="endless", tasks=dict([next(iter(make_design().tasks.items()))])
    )
    return replace(design, model=replace(design.model, engine="eager"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("runs.workers.stop.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("runs.workers.watch.overtime", lambda seconds: 0.5)
    return tmp_path / "study"


def begin(folder, how, **more):
    """A worker of such a study, at its trial; forked, as the imports take seconds."""
    study = Study.create(open_storage("", folder), Search(endless(how)), {})
    process = multiprocessing.get_context("fork").Process(target=work, args=("", folder, "study"), kwargs=more)
    process.start()
    until(lambda: study.held() and study.held()[0].worker)
    time.sleep(0.3)
    return study, process


def until(done):
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.02)


def counts(study):
    (row,) = study.counts().values()
    return {key: value for key, value in row.items() if value}


@pytest.mark.parametrize("how", ["lock", "sleep"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_hangs_leaves_after_its_grace_and_puts_its_trial_back(folder, how, number):
    study, process = begin(folder, how)
    os.kill(process.pid, number)
    process.join(PATIENCE)
    assert process.exitcode == 1
    assert counts(study) == {"waiting": 1}
    assert study.claim().index == 0


def test_a_worker_that_hangs_leaves_when_it_is_asked_to_at_once(folder):
    study, process = begin(folder, "lock")
    (folder / STOP).write_text("now")
    process.join(PATIENCE)
    assert process.exitcode == 1
    assert counts(study) == {"waiting": 1}


@pytest.mark.parametrize("how", ["lock", "sleep", "slow"])
def test_a_trial_that_takes_too_long_is_told_failed(folder, how):
    study, process = begin(folder, how, seconds=1.0)
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert [trial.outcome.error for trial in study.failures()] == ["time limit of 1 s"]


def test_a_trial_within_its_limit_of_time_is_run_as_without(tmp_path, design, monkeypatch):
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    numbers = []
    for name, seconds in (("with", 1000.0), ("without", 0.0)):
        study = Study.create(open_storage("", tmp_path / name), Search(replace(design, points=1)), {})
        assert work("", tmp_path / name, "study", seconds=seconds) == study.size
        numbers.append([{k: v for k, v in row.items() if k != "seconds"} for row in study.records()])
    assert numbers[0] == numbers[1]
    assert {row["status"] for row in numbers[0]} <= {"solved", "finished"}


@pytest.mark.parametrize(
    ("error", "raised"), [(Interrupted(), False), (SystemExit(1), True), (KeyboardInterrupt(), True)]
)
def test_a_worker_that_is_interrupted_puts_its_trial_back(tmp_path, monkeypatch, error, raised):
    def run(*arguments, **options):
        raise error

    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    monkeypatch.setattr("runs.study.study.run", run)
    study = Study.create(open_storage("", tmp_path), Search(make_design(points=1)), {})
    with pytest.raises(type(error)) if raised else nullcontext():
        assert work("", tmp_path, "study") == 0
    assert [(row["running"], row["waiting"]) for row in study.counts().values()] == [(0, 1)] * 4


def test_a_trial_that_never_gives_python_back_is_ended_by_the_parent_and_told_failed(folder, monkeypatch):
    monkeypatch.setattr("runs.workers.ending.overtime", lambda seconds: 0.2)
    study, process = begin(folder, "held", seconds=60.0)
    interruption = Interruption([process])
    limit = Limit(study, 0.5)
    until(lambda: limit.keep([process], interruption) or process.exitcode is not None)
    assert interruption.ended == {process.pid}
    assert [trial.outcome.error for trial in study.failures()] == ["time limit of 0.5 s"]


def parent_of(folder, ready):
    process = multiprocessing.get_context("fork").Process(
        target=work, args=("", folder, "study"), kwargs={"parent": os.getpid()}
    )
    process.start()
    ready.put(process.pid)
    time.sleep(1000)


@pytest.mark.parametrize("how", ["lock", "held"])
def test_no_worker_outlives_its_parent(folder, how):
    study = Study.create(open_storage("", folder), Search(endless(how)), {})
    context = multiprocessing.get_context("fork")
    ready = context.Queue()
    parent = context.Process(target=parent_of, args=(folder, ready))
    parent.start()
    worker = psutil.Process(ready.get(timeout=PATIENCE))
    until(lambda: study.held() and study.held()[0].worker)
    parent.kill()
    parent.join()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert study.recover() == 1
    assert [t.user_attrs["attempt"] for t in study.trials(("adding", "endless"), (TrialState.WAITING,))] == [1]


def test_a_fault_of_the_machine_is_tried_again_and_then_told(folder, monkeypatch):
    monkeypatch.setattr("runs.workers.worker.FAULT_SECONDS", 0.0)
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    study = Study.create(open_storage("", folder), Search(endless("memory")), {})
    assert work("", folder, "study") == 0
    (trial,) = study.failures()
    assert trial.outcome.error.endswith(f"MemoryError: none left ({ATTEMPTS} attempts)")


def test_a_trial_that_asks_for_an_impossible_amount_fails_after_its_attempts(folder, monkeypatch):
    monkeypatch.setattr("runs.workers.worker.FAULT_SECONDS", 0.0)
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    design = make_design(points=1, variants={"vanilla": make_design().variants["vanilla"]})
    tasks = {"adding": {**design.tasks["adding"], "lag": 10**12}}
    study = Study.create(open_storage("", folder), Search(replace(design, tasks=tasks)), {})
    assert work("", folder, "study") == 0
    (trial,) = study.failures()
    assert trial.outcome.error.endswith("(3 attempts)")


def test_signals_twice_end_all_workers_at_once(folder, capsys):
    study, process = begin(folder, "held")
    interruption = Interruption([process])
    interruption()
    interruption()  # within a moment: one that was passed on twice
    assert process.is_alive()
    interruption.since -= 1
    with pytest.raises(KeyboardInterrupt):
        interruption()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    study.recover(interruption.ended)
    assert counts(study) == {"waiting": 1}


# The line of `status`
# ---------------------------------------------------------------------------------------------------------


def held(seconds, pid=5, alive=True):
    return Held("adding", "gru", 3, 7, seconds, {"pid": pid, "host": "here"}, True, alive)


def test_the_time_left_is_that_of_the_trials_that_are_left():
    assert outlook(6, [2.0, 4.0], [held(1.0), held(2.0)]) == ["left: 6 trials of 3.0 s; about 9 s with 2 running"]


def test_a_trial_that_hangs_is_named_and_no_end_is_foretold():
    assert outlook(2, [2.0, 4.0], [held(812.0, pid=18233), held(1.0)]) == [
        "left: 2 trials of 3.0 s; no telling how long, as 1 trial may hang",
        "may hang: adding gru 3 for 812 s in process 18233; the longest that ended took 4.0 s",
    ]


def test_a_trial_whose_process_is_gone_does_not_run():
    assert outlook(1, [2.0], [held(10.0, alive=False)]) == [
        "left: 1 trial of 2.0 s; about 2 s with 1 running, but none is",
        "runs no more: adding gru 3 for 10 s in process 5, which is gone; "
        "the same command without action=status runs it again",
    ]
