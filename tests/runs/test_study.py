import multiprocessing
import os
import socket
import subprocess
import time
from dataclasses import replace

import psutil
import pytest
from optuna.trial import TrialState

from runs.study.plan import Search
from runs.study.study import (
    ATTEMPTS,
    DIED,
    Study,
    alive,
    open_storage,
    patiently,
    records,
    signature,
    started,
    thinned,
)
from runs.trial.training import run
from runs.trial.trial import Outcome
from runs.workers.status import next_step
from runs.workers.worker import work
from tests.runs.conftest import make_design

DONE = Outcome(
    status="finished",
    validation_loss=0.5,
    test_loss=0.4,
    curve_steps=(0, 6),
    curve_losses=(1.0, 0.5),
    train_losses=(None, 0.7),
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


@pytest.fixture
def study(folder, design):
    return Study.create(open_storage("", folder), Search(design), {"commit": "abc"})


def claim_all(study):
    claims = []
    while (claim := study.claim()) is not None:
        claims.append(claim)
    return claims


def test_every_point_of_the_design_is_claimed_once(study, design):
    claims = claim_all(study)
    assert len({(c.task, c.variant, c.point) for c in claims}) == len(claims) == len(design.pairs) * design.points


def test_points_are_claimed_in_interleaved_order(study, design):
    assert [(c.point, c.task, c.variant) for c in claim_all(study)] == [
        (p, *cell) for p in range(3) for cell in design.pairs
    ]


def test_a_told_trial_is_read_back_as_one_row(study):
    claim = study.claim()
    study.tell(claim, DONE)
    (row,) = study.records()
    assert (row["task"], row["variant"], row["point"], row["status"], row["test_loss"]) == (
        "adding",
        "vanilla",
        0,
        "finished",
        0.4,
    )


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
    again = Study.create(open_storage("", folder), Search(design), {})
    assert len(claim_all(again)) == len(design.pairs) * design.points - 5


def test_a_larger_number_of_points_extends_the_study(study, folder, design):
    claim_all(study)
    more = Study.create(open_storage("", folder), Search(replace(design, points=5)), {})
    assert {c.point for c in claim_all(more)} == {3, 4}


def test_a_smaller_number_of_points_changes_nothing(study, folder, design):
    fewer = Study.create(open_storage("", folder), Search(replace(design, points=1)), {})
    assert fewer.design.points == 3


def test_another_design_under_the_same_name_is_refused_and_said(study, folder, design):
    with pytest.raises(ValueError, match=r"different design \(seed: 0 there, 7 here\).*name=study_2"):
        Study.create(open_storage("", folder), Search(replace(design, seed=7)), {})


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
    assert Study.create(open_storage("", folder), Search(design), {}).claim().point == 0
    assert len(claim_all(study)) == len(design.pairs) * design.points - 1


def kill_worker_of(study, claim):
    study.storage.set_trial_user_attr(
        claim.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    )
    return study.recover()


def alone(design):
    """The design with a single trial."""
    return replace(
        design, points=1, tasks={"adding": design.tasks["adding"]}, variants={"vanilla": design.variants["vanilla"]}
    )


def test_a_point_that_kills_its_workers_is_recorded_as_failed(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    assert [kill_worker_of(study, study.claim()) for _ in range(ATTEMPTS)] == [1] * ATTEMPTS
    assert study.claim() is None
    (row,) = study.records()
    assert row["status"] == "failed"
    assert "died 3 times" in row["error"]


def test_a_fault_of_the_machine_is_an_attempt_and_no_outcome(study):
    claim = study.claim()
    study.lost(claim, "OSError: [Errno 24] Too many open files")
    assert study.records() == []
    assert sum(c["waiting"] for c in study.counts().values()) == study.size


def test_after_the_last_attempt_a_trial_is_told_failed_with_the_reason_of_each(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.lost(study.claim(), "OSError: no file left")
    kill_worker_of(study, study.claim())
    study.lost(study.claim(), "MemoryError: no memory")
    assert study.claim() is None
    assert study.failures() == ["OSError: no file left; its worker died; MemoryError: no memory (3 attempts)"]


def test_the_same_reason_three_times_is_said_once(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    for _ in range(ATTEMPTS):
        study.lost(study.claim(), "MemoryError: no memory")
    assert study.failures() == ["MemoryError: no memory (3 attempts)"]


def test_failed_trials_that_are_put_back_wait_with_fresh_attempts(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    for _ in range(2):
        for _ in range(ATTEMPTS):
            assert not study.finished()
            study.lost(study.claim(), "MemoryError: no memory")
        assert study.finished()
        assert study.retry() == 1
    study.tell(study.claim(), DONE)
    assert [row["status"] for row in study.records()] == ["finished"]
    assert study.claim() is None


def test_the_record_of_a_failed_trial_that_was_put_back_stays_in_the_storage(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.tell(study.claim(), Outcome(status="failed", error="ValueError: no"))
    study.retry()
    stored = study.trials(("adding", "vanilla"), (TrialState.FAIL,))
    assert [t.user_attrs["outcome"]["error"] for t in stored] == ["ValueError: no"]


def test_only_failed_trials_are_put_back(study):
    study.tell(study.claim(), DONE)
    study.tell(study.claim(), Outcome(status="diverged"))
    study.tell(study.claim(), Outcome(status="failed", error="ValueError: no"))
    assert study.retry() == 1
    assert sorted(row["status"] for row in study.records()) == ["diverged", "finished"]


def test_a_killed_retry_is_completed_by_the_next_to_plan(folder, design, monkeypatch):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.tell(study.claim(), Outcome(status="failed", error="ValueError: no"))
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_enqueue", lambda self: 0)
        study.retry()
    assert Study.create(open_storage("", folder), Search(alone(design)), {}).claim().point == 0


def test_a_worker_that_was_ended_on_purpose_costs_its_trial_no_attempt(study, monkeypatch):
    # The clock stands still, as on a machine so slow that a reading of the queue is young for long: what is put
    # back is claimed next.
    monkeypatch.setattr("runs.study.study.time.monotonic", lambda: 0.0)
    first = study.claim()
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    study.storage.set_trial_user_attr(first.number, "worker", dead)
    assert study.recover(ended={dead["pid"]}) == 1
    again = study.claim()
    assert (again.task, again.variant, again.point) == (first.task, first.variant, first.point)


def test_a_worker_that_died_with_its_parent_costs_its_trial_no_attempt_but_its_place(folder, design):
    study = Study.create(open_storage("", folder), Search(replace(alone(design), points=2)), {})
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    for _ in range(ATTEMPTS + 1):
        claim = study.claim()
        while claim.point != 0:
            study.tell(claim, DONE)
            claim = study.claim()
        study.storage.set_trial_user_attr(
            claim.number, "worker", {**dead, "parent": {"pid": 2**22 + 2, "started": 0.0}}
        )
        study.recover()
    assert [row["point"] for row in study.records()] == [1]
    assert study.claim().point == 0


def test_a_point_that_killed_a_worker_comes_last(study, design):
    first = study.claim()
    kill_worker_of(study, first)
    last = claim_all(study)[-1]
    assert (last.task, last.variant, last.point) == (first.task, first.variant, first.point)


def test_two_processes_that_recover_the_same_trial_do_not_double_it(study, design):
    first = study.claim()
    study.storage.set_trial_user_attr(
        first.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    )
    stored = study.storage.get_trial(first.number)
    for _ in range(2):
        study._lost((first.task, first.variant), stored, DIED)
    claims = claim_all(study)
    assert len({(c.task, c.variant, c.point) for c in claims}) == len(claims) == len(design.pairs) * design.points


def test_an_outcome_told_after_the_trial_was_taken_away_is_dropped(study):
    claim = study.claim()
    kill_worker_of(study, claim)
    assert not study.tell(claim, DONE)
    assert study.records() == []


def test_a_worker_of_another_machine_is_dead_after_silence_by_our_own_clock(study, monkeypatch):
    claim = study.claim()
    study.storage.set_trial_user_attr(claim.number, "worker", {"host": "elsewhere", "pid": 1, "started": 0.0})
    now = [1000.0]
    monkeypatch.setattr("runs.study.study.time.monotonic", lambda: now[0])
    assert study.recover() == 0
    now[0] += 100
    study.beat(claim, 1)
    assert study.recover() == 0
    now[0] += 100
    assert study.recover() == 0
    now[0] += 100
    assert study.recover() == 1


def test_a_study_of_points_proposed_as_it_goes_records_what_was_proposed(folder, design):
    study = Study.create(open_storage("", folder), Search(replace(design, sampler="tpe")), {})
    claim = study.claim()
    study.tell(claim, run(claim.trial))
    (row,) = study.records()
    assert row["learning_rate"] == claim.trial.training.learning_rate
    assert design.space["learning_rate"].value(row["u_learning_rate"]) == pytest.approx(row["learning_rate"])


def test_a_hopeless_trial_is_pruned_and_marked(folder, design):
    long = replace(design, pruner="median", training=replace(design.training, budget=20, evaluations=10))
    study = Study.create(open_storage("", folder), Search(replace(long, points=8)), {})
    statuses = []
    for _ in range(8 * 4):
        claim = study.claim()
        if (claim.task, claim.variant) != ("adding", "vanilla"):
            continue
        worse = (
            replace(claim.trial, training=replace(claim.trial.training, learning_rate=1e-9))
            if claim.point >= 6
            else claim.trial
        )
        outcome = run(worse, study.reporter(claim))
        study.tell(claim, outcome)
        statuses.append(outcome.status + outcome.error)
    assert "pruned" in statuses[6:]


def test_a_storage_that_is_away_for_a_moment_is_asked_again(monkeypatch, capsys):
    monkeypatch.setattr("runs.study.study.time.sleep", lambda seconds: None)
    answers = iter([OSError(28, "No space left on device"), 5])

    def action():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(action) == 5
    assert "No space left" in capsys.readouterr().err


FACTS = {
    "commit": "abc",
    "python": "3.11.7",
    "code": "c0de",
    "processor": "one",
    "versions": {"torch": "2.0", "numpy": "2.1"},
}


def test_a_study_that_goes_on_records_its_facts_as_a_session(folder, design):
    Study.create(open_storage("", folder), Search(design), FACTS)
    Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "def"})
    assert [s["commit"] for s in Study.open(open_storage("", folder), "study").sessions()] == ["abc", "def"]


def test_a_finished_study_gets_no_more_sessions(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), FACTS)
    study.tell(study.claim(), DONE)
    assert (
        len(Study.create(open_storage("", folder), Search(alone(design)), {**FACTS, "commit": "def"}).sessions()) == 1
    )


def test_each_row_says_in_which_session_it_ran(folder, design):
    study = Study.create(open_storage("", folder), Search(design), FACTS)
    study.tell(study.claim(), DONE)
    later = Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "def"})
    later.tell(later.claim(), DONE)
    rows, about = records(folder.parent, "study")
    assert sorted(about["sessions"][row["session"]]["commit"] for row in rows) == ["abc", "def"]


def test_what_is_different_in_a_session_is_said_in_one_line(folder, design):
    first = Study.create(open_storage("", folder), Search(design), FACTS)
    versions = {"torch": "2.13", "numpy": "2.1"}
    later = Study.create(
        open_storage("", folder), Search(design), {**FACTS, "commit": "def", "code": "f00d", "versions": versions}
    )
    assert first.news() == ""
    assert later.news().startswith(
        "session 1 differs from session 0 of this study: commit abc -> def, torch 2.0 -> 2.13; "
    )


def test_a_session_with_the_same_facts_is_no_news(folder, design):
    Study.create(open_storage("", folder), Search(design), FACTS)
    assert Study.create(open_storage("", folder), Search(design), {**FACTS, "command": "another"}).news() == ""


def test_code_that_was_changed_without_a_commit_is_news(folder, design):
    Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "abc+"})
    assert (
        "code c0de -> f00d"
        in Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "abc+", "code": "f00d"}).news()
    )


def test_a_worker_joins_the_session_of_its_own_environment_or_begins_one(study):
    study.join()
    assert study.session == 1
    other = Study.open(study.storage, "study")
    other.join()
    assert (other.session, len(other.sessions())) == (1, 2)
    assert set(study.sessions()[1]) >= {"commit", "code", "processor", "versions", "python"}


def test_a_trial_carries_the_facts_of_its_own_session(folder, design):
    Study.create(open_storage("", folder), Search(design), FACTS)
    later = Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "def"})
    later.tell(later.claim(), DONE)
    (told,) = later.told()
    assert Study.open(open_storage("", folder), "study").facts_of(told[2])["commit"] == "def"


def told_as(study, **attributes):
    """Tell a trial with other attributes than its own."""
    claim = study.claim()
    own = {"trial_id": claim.trial.id, "outcome": DONE.as_dict(), "session": study.session}
    study.storage.finish(claim.number, [], {**own, **attributes}, TrialState.COMPLETE, [0.5])
    return claim


def test_a_record_of_another_trial_than_the_one_planned_is_refused(study):
    study.join()
    claim = told_as(study, trial_id="0123456789abcdef")
    with pytest.raises(
        ValueError,
        match=f"study 'study': trial adding vanilla 0 is recorded as 0123456789abcdef, .* {claim.trial.id} there",
    ):
        study.records()


def test_a_record_with_other_hyperparameters_than_planned_is_refused(study, monkeypatch):
    study.tell(study.claim(), DONE)
    monkeypatch.setattr(type(study.design), "values", lambda self, task, point: {"learning_rate": 1.0, "size": 5})
    with pytest.raises(ValueError, match="trial adding vanilla 0 has other hyperparameters"):
        study.refuse_strangers()


def test_a_trial_of_other_code_may_have_another_id(study):
    told_as(study, trial_id="0123456789abcdef")
    assert len(study.records()) == 1


def test_a_record_of_another_trial_is_set_aside_and_its_point_runs_again(study):
    study.join()
    told_as(study, trial_id="0123456789abcdef")
    assert study.set_aside() == 1
    assert study.records() == []
    assert sum(c["waiting"] for c in study.counts().values()) == study.size


def plan(folder, points, barrier):
    import signal

    signal.alarm(120)
    barrier.wait()
    Study.create(open_storage("", folder), Search(make_design(points=points)), {})


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("there", [False, True])
def test_planners_at_the_same_time_plan_every_trial_once(folder, design, there):
    if there:
        Study.create(open_storage("", folder), Search(design), {})
    folder.mkdir(exist_ok=True)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    planners = [context.Process(target=plan, args=(folder, 20, barrier)) for _ in range(4)]
    for planner in planners:
        planner.start()
    for planner in planners:
        planner.join()
    assert [p.exitcode for p in planners] == [0] * 4
    study = Study.open(open_storage("", folder), "study")
    assert [len(study.trials(cell)) for cell in study.plan.pairs] == [20] * 4


def test_what_runs_is_held_by_a_process_for_some_time(study):
    claim = study.claim()
    (held,) = study.held()
    assert (held.task, held.variant, held.point, held.number) == ("adding", "vanilla", 0, claim.number)
    assert (held.worker["pid"], held.here, held.alive) == (os.getpid(), True, True)
    assert 0 <= held.seconds < 60
    assert str(held) == f"adding vanilla 0 for {held.seconds:.0f} s in process {os.getpid()}"


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

    monkeypatch.setattr("runs.workers.worker.run", ended)
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
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
    with pytest.raises(ValueError, match=r"study 'other' has not been started in .*; there is: study"):
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


@pytest.mark.parametrize(("changes", "more"), [({}, ""), ({"pruner": "median"}, " search=yes")])
def test_a_finished_study_is_followed_by_an_analysis_that_takes_it(changes, more, tmp_path):
    study = Study.create(open_storage("", tmp_path), Search(make_design(**changes)), {})
    assert next_step(study, "results") == f"next: python -m analysis study=study{more}"
