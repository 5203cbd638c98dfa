import multiprocessing
import os
import socket
import subprocess
import time
from dataclasses import replace

import psutil
import pytest
from optuna.trial import TrialState

from runs.study import ATTEMPTS, DIED, Study, alive, open_storage, patiently, records, signature, started, thinned
from runs.train import run
from runs.trial import Outcome
from runs.worker import work

DONE = Outcome(status="finished", validation_loss=0.5, test_loss=0.4, curve_steps=(0, 6), curve_losses=(1.0, 0.5), train_losses=(None, 0.7))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


@pytest.fixture
def study(folder, design):
    return Study.create(open_storage("", folder), design, {"commit": "abc"})


def claim_all(study):
    claims = []
    while (claim := study.claim()) is not None:
        claims.append(claim)
    return claims


def test_every_point_of_the_design_is_claimed_once(study, design):
    claims = claim_all(study)
    assert len({(c.task, c.variant, c.point) for c in claims}) == len(claims) == len(design.cells) * design.points


def test_points_are_claimed_in_interleaved_order(study, design):
    assert [(c.point, c.task, c.variant) for c in claim_all(study)] == [(p, *cell) for p in range(3) for cell in design.cells]


def test_a_told_trial_is_read_back_as_one_row(study):
    claim = study.claim()
    study.tell(claim, DONE)
    (row,) = study.records()
    assert (row["task"], row["variant"], row["point"], row["status"], row["test_loss"]) == ("adding", "vanilla", 0, "finished", 0.4)


def test_a_row_carries_hyperparameters_and_coordinates(study, design):
    study.tell(study.claim(), DONE)
    (row,) = study.records()
    assert {k: row[k] for k in design.space} == design.values("adding", 0)
    assert {k: row[f"u_{k}"] for k in design.space} == design.unit("adding", 0)


def test_optuna_knows_parameters_value_and_curve(study, design):
    study.tell(study.claim(), DONE)
    (stored,) = study.trials(("adding", "vanilla"), (TrialState.COMPLETE,))
    assert stored.params == design.values("adding", 0)
    assert stored.value == 0.5
    assert stored.intermediate_values == {0: 1.0, 6: 0.5}


def test_going_on_runs_what_is_left_and_no_more(study, folder, design):
    for _ in range(5):
        study.tell(study.claim(), DONE)
    again = Study.create(open_storage("", folder), design, {})
    assert len(claim_all(again)) == len(design.cells) * design.points - 5


def test_a_larger_number_of_points_extends_the_study(study, folder, design):
    claim_all(study)
    more = Study.create(open_storage("", folder), replace(design, points=5), {})
    assert {c.point for c in claim_all(more)} == {3, 4}


def test_a_smaller_number_of_points_changes_nothing(study, folder, design):
    fewer = Study.create(open_storage("", folder), replace(design, points=1), {})
    assert fewer.design.points == 3


def test_another_design_under_the_same_name_is_refused_and_said(study, folder, design):
    with pytest.raises(ValueError, match=r"different design \(seed: 0 there, 7 here\).*name=study_2"):
        Study.create(open_storage("", folder), replace(design, seed=7), {})


def test_what_was_put_back_is_claimed_again(study):
    first = study.claim()
    study.put_back(first)
    second = study.claim()
    assert (second.task, second.variant, second.point) == (first.task, first.variant, first.point)
    assert second.number != first.number


def claim_and_die(folder):
    study = Study.open(open_storage("", folder), "study")
    study.claim()
    os._exit(1)


def die(folder):
    process = multiprocessing.get_context("spawn").Process(target=claim_and_die, args=(folder,))
    process.start()
    process.join()


def test_the_point_of_a_dead_worker_waits_again(study, folder, design):
    die(folder)
    assert Study.create(open_storage("", folder), design, {}).claim().point == 0
    assert len(claim_all(study)) == len(design.cells) * design.points - 1


def kill_worker_of(study, claim):
    study.storage.set_trial_user_attr(claim.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0})
    return study.recover()


def test_a_point_that_kills_its_workers_is_recorded_as_failed(folder, design):
    alone = replace(design, points=1, tasks={"adding": design.tasks["adding"]}, variants={"vanilla": design.variants["vanilla"]})
    study = Study.create(open_storage("", folder), alone, {})
    assert [kill_worker_of(study, study.claim()) for _ in range(ATTEMPTS)] == [1] * ATTEMPTS
    assert study.claim() is None
    (row,) = study.records()
    assert row["status"] == "failed"
    assert "died 3 times" in row["error"]


def test_a_point_that_killed_a_worker_comes_last(study, design):
    first = study.claim()
    kill_worker_of(study, first)
    last = claim_all(study)[-1]
    assert (last.task, last.variant, last.point) == (first.task, first.variant, first.point)


def test_two_processes_that_recover_the_same_trial_do_not_double_it(study, design):
    first = study.claim()
    study.storage.set_trial_user_attr(first.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0})
    stored = study.storage.get_trial(first.number)
    for _ in range(2):
        study._lost((first.task, first.variant), stored, DIED)
    claims = claim_all(study)
    assert len({(c.task, c.variant, c.point) for c in claims}) == len(claims) == len(design.cells) * design.points


def test_an_outcome_told_after_the_trial_was_taken_away_is_dropped(study):
    claim = study.claim()
    kill_worker_of(study, claim)
    assert not study.tell(claim, DONE)
    assert study.records() == []


def test_a_worker_of_another_machine_is_dead_after_silence_by_our_own_clock(study, monkeypatch):
    claim = study.claim()
    study.storage.set_trial_user_attr(claim.number, "worker", {"host": "elsewhere", "pid": 1, "started": 0.0})
    now = [1000.0]
    monkeypatch.setattr("runs.study.time.monotonic", lambda: now[0])
    assert study.recover() == 0
    now[0] += 100
    study.beat(claim, 1)
    assert study.recover() == 0
    now[0] += 100
    assert study.recover() == 0
    now[0] += 100
    assert study.recover() == 1


def test_a_study_of_points_proposed_as_it_goes_records_what_was_proposed(folder, design):
    study = Study.create(open_storage("", folder), replace(design, sampler="tpe"), {})
    claim = study.claim()
    study.tell(claim, run(claim.trial))
    (row,) = study.records()
    assert row["learning_rate"] == claim.trial.training.learning_rate
    assert design.space["learning_rate"].value(row["u_learning_rate"]) == pytest.approx(row["learning_rate"])


def test_a_hopeless_trial_is_pruned_and_marked(folder, design):
    long = replace(design, pruner="median", training=replace(design.training, budget=20, evaluations=10))
    study = Study.create(open_storage("", folder), replace(long, points=8), {})
    statuses = []
    for _ in range(8 * 4):
        claim = study.claim()
        if (claim.task, claim.variant) != ("adding", "vanilla"):
            continue
        worse = replace(claim.trial, training=replace(claim.trial.training, learning_rate=1e-9)) if claim.point >= 6 else claim.trial
        outcome = run(worse, study.reporter(claim))
        study.tell(claim, outcome)
        statuses.append(outcome.status + outcome.error)
    assert "pruned" in statuses[6:]


def test_a_storage_that_is_away_for_a_moment_is_asked_again(monkeypatch, capsys):
    monkeypatch.setattr("runs.study.time.sleep", lambda seconds: None)
    answers = iter([OSError(28, "No space left on device"), 5])

    def action():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(action) == 5
    assert "No space left" in capsys.readouterr().err


def test_a_live_worker_keeps_its_claim(study):
    study.claim()
    assert study.recover() == 0


def test_a_clock_that_is_set_kills_no_worker(monkeypatch):
    mine = signature()
    boot = psutil.boot_time()
    for place in ("psutil.boot_time", "psutil._pslinux.boot_time"):  # the kernel's time of boot moves with the clock
        monkeypatch.setattr(place, lambda: boot + 3600)
    assert alive(mine)


def test_a_reused_process_id_is_not_the_worker():
    assert not alive({"pid": os.getpid(), "started": 0.0})


def test_a_zombie_is_not_alive():
    process = subprocess.Popen(["true"])
    born = started(psutil.Process(process.pid))
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not alive({"pid": process.pid, "started": born})
    process.wait()


def test_a_worker_that_its_launcher_ends_puts_its_trial_back(study, folder, design, monkeypatch):
    def ended(*arguments, **more):
        raise SystemExit(-1)

    monkeypatch.setattr("runs.worker.run", ended)
    monkeypatch.setattr("runs.worker.stop_on_signal", lambda: lambda: False)
    with pytest.raises(SystemExit):
        work("", folder, design.name)
    assert sum(c["waiting"] for c in study.counts().values()) == study.size
    assert study.claim().point == 0


def test_workers_that_read_what_waits_at_the_same_time_claim_nothing_twice(study, folder, design):
    other = Study.open(open_storage("", folder), design.name)
    study._stale = other._stale = float("inf")
    claims = []
    for k in range(study.size):
        claims.append((study, other)[k % 2].claim())
        study._stale = other._stale = float("inf")  # neither reads again
    assert len({(c.task, c.variant, c.point) for c in claims}) == study.size
    assert study.claim() is other.claim() is None


def test_a_failed_outcome_has_a_row_too(study):
    study.tell(study.claim(), Outcome(status="failed", error="RuntimeError: no"))
    (row,) = study.records()
    assert (row["status"], row["error"]) == ("failed", "RuntimeError: no")


def test_sqlite_is_refused_with_the_reason(folder):
    with pytest.raises(ValueError, match=r"SQLite is refused .* several workers"):
        open_storage("sqlite:///x.db", folder)


def test_an_absent_study_lists_what_there_is(study, folder):
    with pytest.raises(ValueError, match=r"study 'other' is not in .*; there is: study"):
        records(folder.parent, "other")


def test_the_order_of_work_does_not_change_a_result(study, design):
    claims = claim_all(study)
    one = {c.trial.id: run(c.trial) for c in claims[:4]}
    other = {c.trial.id: run(c.trial) for c in reversed(claims[:4])}
    assert {k: replace(v, seconds=0) for k, v in one.items()} == {k: replace(v, seconds=0) for k, v in other.items()}


def test_a_long_curve_is_thinned_to_twenty_with_its_end():
    points = thinned(tuple(range(57)), tuple(map(float, range(57))))
    assert len(points) == 20
    assert (points[0][0], points[-1][0]) == (0, 56)
