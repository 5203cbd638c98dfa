import json
import multiprocessing
import os
import socket
import subprocess
import time
from dataclasses import replace

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from runs.study.claiming import ATTEMPTS, DIED
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.processes import alive, signature, started
from runs.study.samplers import distribution, pruner_of, sampler_of, thinned
from runs.study.space import Dimension
from runs.study.storage.contract import Ending
from runs.study.storage.journal import line_of
from runs.study.storage.opening import open_storage, patiently
from runs.study.study import Study
from runs.study.trials import Waiting
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
    assert len({(c.task, c.variant, c.index) for c in claims}) == len(claims) == len(design.pairs) * design.points


def test_points_are_claimed_in_interleaved_order(study, design):
    claimed = [(c.index, c.task, c.variant) for c in claim_all(study)]
    of_others = [place for place in claimed if place[2] != design.baseline]
    assert of_others == [(p, t, v) for p in range(3) for t, v in design.pairs if v != design.baseline]


def test_the_first_five_points_of_the_baseline_are_claimed_first(folder):
    design = make_design(points=7)
    study = Study.create(open_storage("", folder), Search(design), FACTS)
    claimed = [(c.index, c.task, c.variant) for c in claim_all(study)]
    pilot = [(p, t, "vanilla") for p in range(5) for t in design.tasks]
    assert claimed == pilot + [place for p in range(7) for pair in design.pairs if (place := (p, *pair)) not in pilot]


def test_the_pilot_speaks_once_all_its_trials_have_finished(folder):
    design = make_design(points=6)
    study = Study.create(open_storage("", folder), Search(design), FACTS)
    for number in range(11):
        assert study.pilot() == [] if number < 10 else len(study.pilot()) == 3
        claim = study.claim()
        solved = claim.task == "recall" and claim.index == 4
        study.finish(claim, Outcome(status="solved" if solved else "finished", validation_loss=1.0))
    assert study.pilot()[0].startswith("pilot: nothing is learned on adding: 0 of 5 points, best score .00;")
    assert study.pilot()[2].endswith(": recall (1 of 5 points)")


def test_a_finished_trial_is_read_back_as_one_row(study):
    claim = study.claim()
    study.finish(claim, DONE)
    (row,) = study.records()
    assert (row["task"], row["variant"], row["point"], row["status"], row["test_loss"]) == (
        "adding",
        "vanilla",
        0,
        "finished",
        0.4,
    )


def test_a_row_carries_hyperparameters_and_coordinates(study, design):
    study.finish(study.claim(), DONE)
    (row,) = study.records()
    assert {k: row[k] for k in design.space} == design.values("adding", 0)
    assert {k: row[f"u_{k}"] for k in design.space} == design.unit("adding", 0)


def test_a_row_carries_the_lag_and_the_losses_of_its_task(study, design):
    study.finish(study.claim(), DONE)
    (row,) = study.records()
    lag = design.tasks["adding"]["lag"]
    assert (row["lag"], row["floor"], row["solved_loss"]) == (lag, (1 - 1 / (2 * (lag - lag // 2))) / 6, 0.01)


def test_what_is_neither_done_nor_running_is_counted_as_waiting(study, design):
    study.finish(study.claim(), DONE)
    for _ in range(2):  # the pilot comes first: the last of these is the second one of the baseline on its first task
        study.claim()
    counts = {"done": 1, "finished": 1, "running": 1, "waiting": design.points - 2}
    assert study.counts()["adding", "vanilla"] == counts


def test_optuna_knows_parameters_value_and_curve(study, design):
    study.finish(study.claim(), DONE)
    (stored,) = study.trials(("adding", "vanilla"), (TrialState.COMPLETE,))
    assert stored.params == design.values("adding", 0)
    assert stored.value == 0.5
    assert stored.intermediate_values == {0: 1.0, 6: 0.5}


def test_going_on_runs_what_is_left_and_no_more(study, folder, design):
    for _ in range(5):
        study.finish(study.claim(), DONE)
    again = Study.create(open_storage("", folder), Search(design), {})
    assert len(claim_all(again)) == len(design.pairs) * design.points - 5


def test_a_larger_number_of_points_extends_the_study(study, folder, design):
    claim_all(study)
    more = Study.create(open_storage("", folder), Search(replace(design, points=5)), {})
    assert {c.index for c in claim_all(more)} == {3, 4}


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
    assert (second.task, second.variant, second.index) == (first.task, first.variant, first.index)
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
    assert Study.create(open_storage("", folder), Search(design), {}).claim().index == 0
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


def test_after_the_last_attempt_a_trial_has_failed_with_the_reason_of_each(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.lost(study.claim(), "OSError: no file left")
    kill_worker_of(study, study.claim())
    study.lost(study.claim(), "MemoryError: no memory")
    assert study.claim() is None
    assert [trial.outcome.error for trial in study.failures()] == [
        "OSError: no file left; its worker died; MemoryError: no memory (3 attempts)"
    ]


def test_the_same_reason_three_times_is_said_once(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    for _ in range(ATTEMPTS):
        study.lost(study.claim(), "MemoryError: no memory")
    assert [trial.outcome.error for trial in study.failures()] == ["MemoryError: no memory (3 attempts)"]


def test_failed_trials_that_are_put_back_wait_with_fresh_attempts(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    for _ in range(2):
        for _ in range(ATTEMPTS):
            assert not study.finished()
            study.lost(study.claim(), "MemoryError: no memory")
        assert study.finished()
        assert study.retry() == 1
    study.finish(study.claim(), DONE)
    assert [row["status"] for row in study.records()] == ["finished"]
    assert study.claim() is None


def test_the_record_of_a_failed_trial_that_was_put_back_stays_in_the_storage(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.finish(study.claim(), Outcome(status="failed", error="ValueError: no"))
    study.retry()
    stored = study.trials(("adding", "vanilla"), (TrialState.FAIL,))
    assert [t.user_attrs["outcome"]["error"] for t in stored] == ["ValueError: no"]


def test_only_failed_trials_are_put_back(study):
    study.finish(study.claim(), DONE)
    study.finish(study.claim(), Outcome(status="diverged"))
    study.finish(study.claim(), Outcome(status="failed", error="ValueError: no"))
    assert study.retry() == 1
    assert sorted(row["status"] for row in study.records()) == ["diverged", "finished"]


def test_a_killed_retry_is_completed_by_the_next_to_plan(folder, design, monkeypatch):
    study = Study.create(open_storage("", folder), Search(alone(design)), {})
    study.finish(study.claim(), Outcome(status="failed", error="ValueError: no"))
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_enqueue", lambda self: 0)
        study.retry()
    assert Study.create(open_storage("", folder), Search(alone(design)), {}).claim().index == 0


def test_a_worker_that_was_ended_on_purpose_costs_its_trial_no_attempt(study, monkeypatch):
    # The clock stands still, as on a machine so slow that a reading of the queue is young for long: what is put
    # back is claimed next.
    monkeypatch.setattr("runs.study.study.time.monotonic", lambda: 0.0)
    first = study.claim()
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    study.storage.set_trial_user_attr(first.number, "worker", dead)
    assert study.recover(ended={dead["pid"]}) == 1
    again = study.claim()
    assert (again.task, again.variant, again.index) == (first.task, first.variant, first.index)


def test_a_worker_that_died_with_its_parent_costs_its_trial_no_attempt_but_its_place(folder, design):
    study = Study.create(open_storage("", folder), Search(replace(alone(design), points=2)), {})
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    for _ in range(ATTEMPTS + 1):
        claim = study.claim()
        while claim.index != 0:
            study.finish(claim, DONE)
            claim = study.claim()
        study.storage.set_trial_user_attr(
            claim.number, "worker", {**dead, "parent": {"pid": 2**22 + 2, "started": 0.0}}
        )
        study.recover()
    assert [row["point"] for row in study.records()] == [1]
    assert study.claim().index == 0


def test_a_point_that_killed_a_worker_comes_last(study, design):
    first = study.claim()
    kill_worker_of(study, first)
    last = claim_all(study)[-1]
    assert (last.task, last.variant, last.index) == (first.task, first.variant, first.index)


def test_two_processes_that_recover_the_same_trial_do_not_double_it(study, design):
    first = study.claim()
    study.storage.set_trial_user_attr(
        first.number, "worker", {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 0.0}
    )
    stored = study.storage.get_trial(first.number)
    for _ in range(2):
        study._lost((first.task, first.variant), stored, DIED)
    claims = claim_all(study)
    assert len({(c.task, c.variant, c.index) for c in claims}) == len(claims) == len(design.pairs) * design.points


def test_an_outcome_that_comes_after_the_trial_was_taken_away_is_dropped(study):
    claim = study.claim()
    kill_worker_of(study, claim)
    assert not study.finish(claim, DONE)
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
    study.finish(claim, run(claim.trial))
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
            if claim.index >= 6
            else claim.trial
        )
        outcome = run(worse, study.reporter(claim))
        study.finish(claim, outcome)
        statuses.append(outcome.status + outcome.error)
    assert "pruned" in statuses[6:]


def test_a_storage_that_is_away_for_a_moment_is_asked_again(monkeypatch, capsys):
    monkeypatch.setattr("runs.study.storage.opening.time.sleep", lambda seconds: None)
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
    assert [s["commit"] for s in Study.open(open_storage("", folder), "study").sessions.all()] == ["abc", "def"]


def test_a_finished_study_gets_no_more_sessions(folder, design):
    study = Study.create(open_storage("", folder), Search(alone(design)), FACTS)
    study.finish(study.claim(), DONE)
    assert (
        len(Study.create(open_storage("", folder), Search(alone(design)), {**FACTS, "commit": "def"}).sessions.all())
        == 1
    )


def test_each_row_says_in_which_session_it_ran(folder, design):
    study = Study.create(open_storage("", folder), Search(design), FACTS)
    study.finish(study.claim(), DONE)
    later = Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "def"})
    later.finish(later.claim(), DONE)
    rows, about = records(folder.parent, "study")
    assert sorted(about["sessions"][row["session"]]["commit"] for row in rows) == ["abc", "def"]


def test_what_is_different_in_a_session_is_said_in_one_line(folder, design):
    first = Study.create(open_storage("", folder), Search(design), FACTS)
    versions = {"torch": "2.13", "numpy": "2.1"}
    later = Study.create(
        open_storage("", folder), Search(design), {**FACTS, "commit": "def", "code": "f00d", "versions": versions}
    )
    assert first.sessions.news() == ""
    assert later.sessions.news().startswith(
        "session 1 differs from session 0 of this study: commit abc -> def, torch 2.0 -> 2.13; "
    )


def test_a_session_with_the_same_facts_is_no_news(folder, design):
    Study.create(open_storage("", folder), Search(design), FACTS)
    assert Study.create(open_storage("", folder), Search(design), {**FACTS, "command": "another"}).sessions.news() == ""


def test_code_that_was_changed_without_a_commit_is_news(folder, design):
    Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "abc+"})
    assert (
        "code c0de -> f00d"
        in Study.create(
            open_storage("", folder), Search(design), {**FACTS, "commit": "abc+", "code": "f00d"}
        ).sessions.news()
    )


def test_a_worker_joins_the_session_of_its_own_environment_or_begins_one(study):
    study.sessions.join()
    assert study.sessions.number == 1
    other = Study.open(study.storage, "study")
    other.sessions.join()
    assert (other.sessions.number, len(other.sessions.all())) == (1, 2)
    assert set(study.sessions.all()[1]) >= {"commit", "code", "processor", "versions", "python"}


def test_a_trial_carries_the_facts_of_its_own_session(folder, design):
    Study.create(open_storage("", folder), Search(design), FACTS)
    later = Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "def"})
    later.finish(later.claim(), DONE)
    (finished,) = later.finished_trials()
    assert Study.open(open_storage("", folder), "study").sessions.of(finished.session)["commit"] == "def"


def test_a_session_that_is_not_there_has_no_facts(folder, design):
    sessions = Study.create(open_storage("", folder), Search(design), FACTS).sessions
    assert (sessions.of(0), sessions.of(1)) == (FACTS, {})


def test_the_session_that_a_worker_joins_is_the_latest_of_its_environment(study, monkeypatch):
    places = ("one", "two", "one")
    for processor in places:
        monkeypatch.setattr("runs.study.sessions.environment", lambda name=processor: {**FACTS, "processor": name})
        study.sessions.begin({**FACTS, "processor": processor})
    study.sessions.join()
    assert (study.sessions.number, len(study.sessions.all())) == (3, 4)


def test_news_compares_a_session_with_the_latest_one_that_differs(folder, design):
    sessions = Study.create(open_storage("", folder), Search(design), {**FACTS, "commit": "a"}).sessions
    for commit in "bcc":
        sessions.begin({**FACTS, "commit": commit})
    assert sessions.news().startswith("session 3 differs from session 1 of this study: commit b -> c; ")
    assert sessions.news(1).startswith("session 1 differs from session 0 of this study: commit a -> b; ")


def finished_as(study, **attributes):
    """Finish a trial with other attributes than its own."""
    claim = study.claim()
    own = {"trial_id": claim.trial.id, "outcome": DONE.as_dict(), "session": study.sessions.number}
    study.storage.finish(claim.number, Ending(TrialState.COMPLETE, {**own, **attributes}, [0.5]))
    return claim


def test_a_record_of_another_trial_than_the_one_planned_is_refused(study):
    study.sessions.join()
    claim = finished_as(study, trial_id="0123456789abcdef")
    with pytest.raises(
        ValueError,
        match=f"study 'study': trial adding vanilla 0 is recorded as 0123456789abcdef, .* {claim.trial.id} there",
    ):
        study.records()


def test_a_record_with_other_hyperparameters_than_planned_is_refused(study, monkeypatch):
    study.finish(study.claim(), DONE)
    monkeypatch.setattr(type(study.design), "values", lambda self, task, point: {"learning_rate": 1.0, "size": 5})
    with pytest.raises(ValueError, match="trial adding vanilla 0 has other hyperparameters"):
        study.refuse_strangers()


def test_a_trial_of_other_code_may_have_another_id(study):
    finished_as(study, trial_id="0123456789abcdef")
    assert len(study.records()) == 1


def test_a_record_of_another_trial_is_set_aside_and_its_point_runs_again(study):
    study.sessions.join()
    finished_as(study, trial_id="0123456789abcdef")
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
    assert (held.task, held.variant, held.index, held.number) == ("adding", "vanilla", 0, claim.number)
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

    monkeypatch.setattr("runs.study.study.run", ended)
    monkeypatch.setattr("runs.workers.worker.stop_on_signal", lambda: lambda: False)
    with pytest.raises(SystemExit):
        work("", folder, design.name)
    assert sum(c["waiting"] for c in study.counts().values()) == study.size
    assert study.claim().index == 0


def test_workers_that_read_what_waits_at_the_same_time_claim_nothing_twice(study, folder, design):
    other = Study.open(open_storage("", folder), design.name)
    study._stale = other._stale = float("inf")
    claims = []
    for k in range(study.size):
        claims.append((study, other)[k % 2].claim())
        study._stale = other._stale = float("inf")  # neither reads again
    assert len({(c.task, c.variant, c.index) for c in claims}) == study.size
    assert study.claim() is other.claim() is None


def test_a_failed_outcome_has_a_row_too(study):
    study.finish(study.claim(), Outcome(status="failed", error="RuntimeError: no"))
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


def test_a_curve_of_twenty_is_kept_whole_and_of_one_more_leaves_out_its_middle():
    assert thinned(range(20), [1.0] * 20) == [(k, 1.0) for k in range(20)]
    # k * 20 / 19 rounds to k up to 9, then to k + 1
    assert [step for step, _ in thinned(range(21), [1.0] * 21)] == [*range(10), *range(11, 21)]


def test_a_long_curve_is_thinned_to_twenty_with_its_end():
    points = thinned(tuple(range(57)), tuple(map(float, range(57))))
    assert len(points) == 20
    assert (points[0][0], points[-1][0]) == (0, 56)


@pytest.mark.parametrize(("changes", "more"), [({}, ""), ({"pruner": "median"}, " search=yes")])
def test_a_finished_study_is_followed_by_an_analysis_that_takes_it(changes, more, tmp_path):
    study = Study.create(open_storage("", tmp_path), Search(make_design(**changes)), {})
    assert next_step(study, "results") == f"next: python -m analysis study=study{more}"


# Storages of earlier versions
# -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def earlier(folder, design):
    """A study as earlier versions stored it: a trial's index was named `point`; three trials have finished."""
    study = Study.create(open_storage("", folder), Search(design), {"commit": "abc"})
    for _ in range(3):
        study.finish(study.claim(), DONE)
    journal = folder / "journal.log"
    assert b'"index":' in journal.read_bytes()
    lines = [json.loads(line) for line in journal.read_bytes().replace(b'"index":', b'"point":').splitlines()]
    journal.write_bytes(b"".join(line_of({k: v for k, v in line.items() if k != "crc"}) for line in lines))
    return folder


def test_a_storage_in_which_the_index_is_named_point_is_read(earlier):
    study = Study.open(open_storage("", earlier), "study")
    assert [(f.index, f.task, f.variant) for f in study.finished_trials()] == [
        (0, "adding", "vanilla"),
        (1, "adding", "vanilla"),
        (0, "recall", "vanilla"),
    ]
    assert [row["point"] for row in study.records()] == [0, 1, 0]


def test_a_storage_in_which_the_index_is_named_point_goes_on(earlier, design):
    study = Study.create(open_storage("", earlier), Search(replace(design, points=4)), {})
    claims = claim_all(study)
    places = [(k, *pair) for k in range(4) for pair in design.pairs]
    pilot = [place for place in places if place[2] == "vanilla"]  # of at most five points
    assert [(c.index, *c.pair) for c in claims] == [*pilot[3:], *(place for place in places if place not in pilot)]
    study.put_back(claims[0])
    assert study.claim().index == claims[0].index


def test_a_trial_of_an_earlier_version_that_runs_twice_is_dropped_once(earlier, design):
    study = Study.open(open_storage("", earlier), "study")
    pair = ("recall", "gru")
    study.storage.add([(study._ids[pair], study._template(pair, 0, attempt=1))])
    claims = claim_all(study)
    assert len({(c.index, *c.pair) for c in claims}) == len(claims) == study.size - 3


# Order of work, and samplers
# -------------------------------------------------------------------------------------------------------------


def test_waiting_trials_are_ordered_by_tries_pilot_index_pair_and_when_they_were_stored():
    late, order = True, [(1, False, 3, 0, 0, 4)]
    order += [(1, late, 0, 0, 5, 9), (1, late, 0, 1, 0, 8), (1, late, 1, 0, 0, 7), (1, late, 1, 0, 1, 6)]
    order += [(2, False, 0, 0, 0, 5)]
    waiting = [Waiting(*place, ("task", "variant")) for place in order]
    assert sorted([waiting[k] for k in (3, 1, 4, 5, 0, 2)]) == waiting


@pytest.mark.parametrize(
    ("dimension", "low", "high", "log"),
    [
        (Dimension(key="training.learning_rate", low=1e-3, high=1e-1, log=True), 1e-3, 1e-1, True),
        (Dimension(key="training.momentum", low=0.25, high=0.5, log=True, complement=True), 0.5, 0.75, False),
        (Dimension(key="model.hidden_size", low=4.0, high=9.0, log=True, integer=True), 4, 9, True),
    ],
)
def test_optuna_gets_the_range_of_the_value(dimension, low, high, log):
    known = distribution(dimension)
    assert (known.low, known.high, known.log) == (low, high, log)
    assert isinstance(known.low, int) == dimension.integer


def test_a_pruner_waits_for_a_share_of_the_budget():
    halving, median = pruner_of("asha", 270), pruner_of("median", 270)
    assert (halving._min_resource, halving._reduction_factor, pruner_of("asha", 5)._min_resource) == (10, 3, 1)
    assert (median._n_startup_trials, median._n_warmup_steps) == (5, 27)


def test_a_sampler_is_the_one_that_is_named():
    assert isinstance(sampler_of("tpe", 1), optuna.samplers.TPESampler)
    assert isinstance(sampler_of("cmaes", 1), optuna.samplers.CmaEsSampler)


def test_of_two_outcomes_of_a_trial_the_one_that_was_stored_first_counts(study):
    study.finish(study.claim(), DONE)
    pair = ("adding", "vanilla")
    study.storage.add([(study._ids[pair], study._template(pair, 0, attempt=1))])
    twin = study.trials(pair)[-1]._trial_id
    study.storage.set_trial_state_values(twin, TrialState.RUNNING)
    other = {"outcome": replace(DONE, test_loss=0.3).as_dict()}
    study.storage.finish(twin, Ending(TrialState.COMPLETE, other, [0.5]))
    assert [row["test_loss"] for row in study.records()] == [0.4]
