"""The pool of workers, what it costs and what is printed of it, with processes and studies that only pretend."""

import json
import os
import signal
import socket
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from runs.study.part import WHOLE
from runs.study.trials import Held
from runs.trial.trial import Outcome
from runs.workers import accounting, actions, ending, pool, status, stop
from runs.workers.accounting import Memory, add_cost, read_cost, session_cost
from runs.workers.ending import Interruption, Limit
from runs.workers.pool import Pool, run_pool
from runs.workers.stop import STOP, ask_to_stop, asked_to_stop, asked_to_stop_at_once, withdraw_stop


class Process:
    """A worker that pretends. signals: what it was sent, in order."""

    def __init__(self, pid=7, exitcode=None):
        self.pid, self.exitcode, self.signals = pid, exitcode, []

    def is_alive(self):
        return self.exitcode is None

    def terminate(self):
        self.signals.append("terminate")

    def kill(self):
        self.signals.append("kill")
        self.exitcode = -signal.SIGKILL

    def join(self, timeout=None):
        pass


class Study:
    """A study of 5 trials that pretends. finished: the records of its trials that have finished."""

    def __init__(self, finished=0, waiting=0, held=(), errors=(), comparison=True, stage="search"):
        self.ended = [
            SimpleNamespace(task="adding", variant="gru", stored=trial, outcome=Outcome(status="solved"))
            for trial in finished or []
        ]
        failed = [Outcome(status="failed", error=error) for error in errors]
        self.ended += [SimpleNamespace(task="adding", variant="gru", index=k, outcome=o) for k, o in enumerate(failed)]
        self.queued, self.running, self.errors = waiting, list(held), list(errors)
        self.plan = SimpleNamespace(stage=stage, key="study", title="study 'study'", pairs=[("adding", "gru")])
        self.design = SimpleNamespace(name="study", comparison=comparison, pairs=[("adding", "gru")])
        self.size, self.recovered, self.enqueued, self.failed = 5, [], 0, []
        self.share, self.part, self.things = self.size, WHOLE, "trials"
        self.said = []  # of the pilot

    def finished_trials(self):
        return iter(self.ended)

    def waiting(self):
        return self.queued

    def left(self):
        return self.share - len(self.ended)

    def finished(self):
        return self.left() == 0

    def counts(self):
        return {("adding", "gru"): {"done": len(self.ended), "waiting": self.queued, "running": 0}}

    def held(self):
        return self.running

    def recover(self, ended=()):
        self.recovered.append(set(ended))

    def enqueue(self):
        self.enqueued += 1

    def fail(self, number, error, seconds):
        self.failed.append((number, error, seconds))

    def failures(self):
        return [finished for finished in self.finished_trials() if finished.outcome.status == "failed"]

    def pilot(self):
        return self.said


def trial(pid=7, seconds=1.0, end=None, host=None):
    """A finished trial of a worker."""
    attributes = {"worker": {"pid": pid, "host": host or socket.gethostname()}, "outcome": {"seconds": seconds}}
    return SimpleNamespace(user_attrs=attributes, datetime_complete=end)


def held(number=3, pid=7, seconds=1.0, here=True, alive=True):
    return Held("adding", "gru", 0, number, seconds, {"pid": pid, "host": "there"}, here, alive)


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """A pool that starts processes that pretend, with ids from 100 on."""

    def make(study, processes=()):
        made = Pool(study, "", tmp_path)
        made.processes += processes

        def start(k):
            made.pids.add(100 + k)
            return Process(100 + k)

        monkeypatch.setattr(made, "_start", start)
        return made

    return make


# The pool
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finished", "asked", "started"), [(0, 3, 3), (3, 4, 2), (5, 4, 0)])
def test_no_more_workers_are_started_than_there_are_trials(workers, finished, asked, started):
    made = workers(Study([trial()] * finished))
    made.start(asked)
    assert len(made.processes) == started


def test_a_worker_that_died_is_replaced_and_counted(workers):
    made = workers(Study(waiting=1), [Process(8), Process(7, exitcode=-9)])
    made._replace_ended()
    assert ([p.pid for p in made.processes], made.replaced) == ([8, 101], 1)


def test_a_worker_that_had_nothing_to_do_is_replaced_and_not_counted(workers):
    made = workers(Study(waiting=1), [Process(7, exitcode=0)])
    made._replace_ended()
    assert ([p.pid for p in made.processes], made.replaced) == ([100], 0)


def test_a_worker_that_was_killed_from_here_is_replaced_and_not_counted(workers):
    study = Study(waiting=1)
    made = workers(study, [Process(7, exitcode=-9)])
    made.interruption.ended.add(7)
    made._replace_ended()
    assert ([p.pid for p in made.processes], made.replaced, study.recovered) == ([100], 0, [{7}])


def test_a_worker_that_ended_is_not_replaced_if_nothing_waits(workers):
    study = Study(waiting=0)
    made = workers(study, [Process(7, exitcode=-9)])
    made._replace_ended()
    assert ([p.pid for p in made.processes], made.replaced) == ([7], 0)
    assert (study.recovered, study.enqueued) == ([set()], 1), "what it held must wait before that is known"


def test_workers_are_wanted_until_all_is_finished(workers):
    assert workers(Study([trial()] * 4))._wanted()
    assert not workers(Study([trial()] * 5))._wanted()


def test_workers_are_not_wanted_after_an_interruption_or_a_request_to_stop_or_too_many_deaths(workers, tmp_path):
    interrupted, dying, stopped = workers(Study()), workers(Study()), workers(Study())
    interrupted.interruption()
    dying.replaced = pool.MOST_REPLACED
    assert not interrupted._wanted()
    assert not dying._wanted()
    dying.replaced -= 1
    assert dying._wanted()
    ask_to_stop(tmp_path)
    assert not stopped._wanted()


def test_what_the_pilot_says_is_printed_once_and_not_again_in_a_later_session(workers, capsys):
    study = Study()
    first = workers(study)
    first._say_pilot()
    assert capsys.readouterr().out == ""
    study.said = ["pilot: one", "pilot: two"]
    first._say_pilot()
    first._say_pilot()
    assert capsys.readouterr().out == "pilot: one\npilot: two\n"
    workers(study)._say_pilot()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("finished", "stopped", "interrupted", "code", "line"),
    [
        (5, False, False, 0, ""),
        (5, True, False, 0, ""),
        (4, True, False, 0, "not finished (asked to stop): the same command goes on from here\n"),
        (4, False, False, 1, "not finished (workers ended with [3]): the same command goes on from here\n"),
        (4, True, True, 130, "interrupted: the trials at hand were put back; the same command goes on from here\n"),
        (5, False, True, 130, "interrupted: the trials at hand were put back; the same command goes on from here\n"),
    ],
)
def test_the_exit_code_says_how_a_run_ended(workers, tmp_path, capsys, finished, stopped, interrupted, code, line):
    made = workers(Study([trial()] * finished), [Process(7, exitcode=3)])
    if stopped:
        ask_to_stop(tmp_path)
    if interrupted:
        made.interruption()
    assert (made.exit_code(), capsys.readouterr().err) == (code, line)


def test_a_run_notes_what_it_has_cost(workers, tmp_path, monkeypatch):
    study = Study([trial(100, 2.0), trial(100, 3.0), trial(99, 50.0)], waiting=2)
    made = workers(study)
    monkeypatch.setattr(made, "wait", lambda mirror: None)
    mirror = SimpleNamespace(written=4, seconds=0.5, finish=lambda: None)
    assert run_pool(made, 1, mirror, planning=0.25) == 1
    cost = json.loads((tmp_path / "session.json").read_text())
    kept = ("trials", "trial_seconds", "worker_seconds", "mirrored", "mirror_seconds", "planning_seconds", "workers")
    assert [cost[key] for key in kept] == [2, 5.0, 5.0, 4, 0.5, 0.25, 1]
    assert (study.recovered, study.enqueued) == ([set()], 1)


@pytest.mark.parametrize(
    ("error", "interrupted", "line"),
    [
        (KeyboardInterrupt(), True, "interrupted twice: the workers were ended at once; the same command goes on"),
        (OSError("gone"), True, "interrupted while the storage was away (OSError); the same command goes on from here"),
    ],
)
def test_a_run_that_breaks_off_after_an_interruption_ends_with_130(
    workers, tmp_path, monkeypatch, capsys, error, interrupted, line
):
    study = Study(waiting=1)
    made = workers(study)

    def wait(mirror):
        made.interruption()
        raise error

    monkeypatch.setattr(made, "wait", wait)
    assert run_pool(made, 2, None) == 130
    assert capsys.readouterr().err.startswith(line)
    assert [p.signals for p in made.processes] == [["kill"], ["kill"]]
    assert study.recovered == ([{*()}] if isinstance(error, KeyboardInterrupt) else [])
    assert not (tmp_path / "session.json").exists()


def test_an_error_without_an_interruption_is_raised_and_no_worker_outlives_it(workers, monkeypatch):
    made = workers(Study(waiting=1))
    before = signal.getsignal(signal.SIGTERM)

    def wait(mirror):
        raise OSError("gone")

    monkeypatch.setattr(made, "wait", wait)
    with pytest.raises(OSError, match="gone"):
        run_pool(made, 1, None)
    assert made.processes[0].signals == ["kill"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_processes_are_named_once(workers, monkeypatch, capsys):
    made = workers(Study(held=[held(pid=1, here=False)]))
    for _ in range(3):
        made._name_other_processes()
    assert capsys.readouterr().err.count("in the hands of other processes") == 1


# Interruptions and limits
# ----------------------------------------------------------------------------------------------------------------------


def test_living_workers_are_asked_to_leave_and_killed_a_second_after_their_grace():
    living, ended = Process(7), Process(8, exitcode=0)
    interruption = Interruption([living, ended])
    interruption()
    interruption.since -= stop.GRACE_SECONDS + 0.5
    interruption.ask()
    assert (living.signals, ended.signals) == (["terminate"], [])
    interruption.since -= 1.0
    interruption.ask()
    assert (living.signals, ended.signals) == (["terminate", "terminate", "kill"], [])
    assert interruption.ended == {7}


@pytest.mark.parametrize(
    ("seconds", "elapsed", "killed"), [(60.0, 71.9, False), (60.0, 72.1, True), (5.0, 6.9, False), (5.0, 7.1, True)]
)
def test_a_worker_is_killed_after_the_limit_and_twice_its_overtime(monkeypatch, seconds, elapsed, killed):
    clock = [100.0]
    monkeypatch.setattr(ending.time, "monotonic", lambda: clock[0])
    study, own, other = Study(held=[held(3, pid=7)]), Process(7), Process(8)
    interruption, limit = Interruption([own, other]), Limit(study, seconds)
    limit.keep([own, other], interruption)
    clock[0] += elapsed
    limit.keep([own, other], interruption)
    assert (own.signals, other.signals) == (["kill"] if killed else [], [])
    assert study.failed == ([(3, f"time limit of {seconds:g} s", pytest.approx(elapsed))] if killed else [])


def test_a_trial_of_another_machine_has_no_limit_here(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(ending.time, "monotonic", lambda: clock[0])
    study, own = Study(held=[held(3, pid=7, here=False)]), Process(7)
    limit = Limit(study, 1.0)
    for _ in range(2):
        limit.keep([own], Interruption([own]))
        clock[0] += 1000.0
    assert own.signals == []


def test_a_request_to_stop_is_made_made_urgent_and_withdrawn(tmp_path):
    assert (asked_to_stop(tmp_path), asked_to_stop_at_once(tmp_path)) == (False, False)
    ask_to_stop(tmp_path)
    assert (asked_to_stop(tmp_path), asked_to_stop_at_once(tmp_path)) == (True, False)
    ask_to_stop(tmp_path, at_once=True)
    assert (asked_to_stop(tmp_path), asked_to_stop_at_once(tmp_path)) == (True, True)
    withdraw_stop(tmp_path)
    withdraw_stop(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "running", "content", "line"),
    [
        (False, 1, "", "study 'study': workers leave after the trial at hand; action=run goes on"),
        (
            True,
            1,
            "now",
            "study 'study': workers leave at once and put their trials back; what hangs is ended after 10 s",
        ),
        (True, 0, "", "study 'study': workers leave after the trial at hand; action=run goes on"),
    ],
)
def test_stop_waits_for_trials_unless_it_is_asked_again(tmp_path, monkeypatch, capsys, before, running, content, line):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(actions, "opened", lambda *where: Study(held=[held()] * running + [held(alive=False)]))
    if before:
        ask_to_stop(tmp_path)
    assert actions.stop("", tmp_path, "study", "search") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == line
    assert sum(text.startswith("at hand: ") for text in said) == running
    assert ("action=stop once more does not wait for them" in said) == (running > 0 and not before)
    assert (tmp_path / STOP).read_text() == content


# What it costs
# ----------------------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def test_a_worker_counts_from_the_start_to_the_end_of_its_last_trial():
    study = Study([trial(1, 2.0, at(4)), trial(1, 3.0, at(8)), trial(2, 5.0, at(6)), trial(9, 70.0, at(7))])
    cost = session_cost(study, {1, 2}, NOON, 10.0, None)
    assert cost == {
        "trials": 3,
        "seconds": 10.0,
        "worker_seconds": 8.0 + 6.0,
        "trial_seconds": 2.0 + 3.0 + 5.0,
        "mirrored": 0,
        "mirror_seconds": 0.0,
    }


@pytest.mark.parametrize(("end", "present"), [(-5000, 3.0), (5000, 10.0), (4, 4.0)])
def test_a_clock_that_is_set_does_not_make_a_worker_present_for_less_than_its_trials_or_longer_than_the_session(
    end, present
):
    cost = session_cost(Study([trial(1, 3.0, at(end))]), {1}, NOON, 10.0, None)
    assert cost["worker_seconds"] == present


def test_trials_of_a_process_of_the_same_number_on_another_machine_do_not_count():
    assert session_cost(Study([trial(1, 3.0, at(4), host="elsewhere")]), {1}, NOON, 10.0, None)["trials"] == 0


def test_costs_of_sessions_are_added_and_the_rest_is_of_the_last(tmp_path):
    path = tmp_path / "session.json"
    add_cost(path, {"trials": 2, "seconds": 1.5}, 0.25, {"workers": 4})
    add_cost(path, {"trials": 3, "seconds": 2.0}, 0.75, {"workers": 1})
    assert read_cost(path) == {"trials": 5, "seconds": 3.5, "planning_seconds": 0.25, "workers": 1}
    add_cost(path, {"trials": 0, "seconds": 0.0}, 6.0, {"workers": 1})
    assert read_cost(path)["planning_seconds"] == 6.0


def test_memory_is_that_of_the_first_and_the_last_sample_of_processes_that_work(monkeypatch):
    sizes = {os.getpid(): 10.0, 7: 1.0}
    monkeypatch.setattr(accounting, "resident", sizes.get)
    memory = Memory()
    memory.sample([7], working=False)
    assert (memory.first, memory.last) == ([], [])
    for size in (2.0, 3.0, None):
        sizes[7] = size
        memory.sample([7], working=True)
    assert (memory.first, memory.last) == ([10.0, 2.0], [10.0, 3.0])


# What is printed
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("longest", "seconds", "hangs"), [(4.0, 30.0, False), (4.0, 30.1, True), (20.0, 60.0, False)])
def test_a_trial_may_hang_after_half_a_minute_and_three_times_the_longest(longest, seconds, hangs):
    lines = status.outlook(2, [1.0, longest], [held(seconds=seconds)])
    assert (len(lines) == 2, "may hang" in lines[0]) == (hangs, hangs)


def test_nothing_is_said_of_the_time_left_before_a_trial_has_ended_or_after_the_last():
    assert status.outlook(5, [], [held(seconds=1000.0)]) == []
    assert status.outlook(0, [1.0], []) == []


def test_the_table_of_counts_is_exact(capsys):
    study = Study([trial()] * 4, waiting=1, errors=["ValueError: no"])
    rows = {("adding", "gru"): {"done": 4, "solved": 1, "finished": 2, "failed": 1, "waiting": 1, "running": 0}}
    study.counts = lambda: rows | {("copying", "gru"): {"done": 2, "diverged": 2, "waiting": 3, "running": 5}}
    assert status.print_counts(study) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "study    finished  solved  unsolved  diverged  failed  running  waiting",
        "adding          4       1         2         0       1        0        1",
        "  gru           4       1         2         0       1        0        1",
        "copying         2       0         0         2       0        5        3",
        "  gru           2       0         0         2       0        5        3",
        "all             6       1         2         2       1        5        4",
    ]
    assert said.err.splitlines()[:3] == [
        "1 trial FAILED of 5: action=retry puts it back",
        "  1 x ValueError: no",
        "      in adding gru 0",
    ]


def test_the_row_of_a_task_is_the_sum_of_its_variants(capsys):
    study = Study()
    study.counts = lambda: {("adding", name): {"done": k, "solved": 1} for name, k in (("gru", 2), ("rnn", 3))}
    status.print_counts(study)
    assert capsys.readouterr().out.splitlines()[1].split() == ["adding", "5", "2", "0"]


def test_what_no_trial_is_has_no_column(capsys):
    study = Study()
    study.counts = lambda: {("adding", "gru"): {"done": 2, "pruned": 1, "waiting": 0}}
    status.print_counts(study)
    assert capsys.readouterr().out.splitlines()[0].split() == ["study", "finished", "solved", "unsolved", "pruned"]


def test_files_and_headings_of_a_stage_carry_its_name():
    search, stage = Study(), Study(stage="confirm")
    assert [status.result_file(study, "design") for study in (search, stage)] == ["design.json", "confirm_design.json"]
    assert [status.heading(study) for study in (search, stage)] == ["study", "study confirm"]


def test_trials_of_processes_of_other_commands_are_named(monkeypatch):
    own = held(pid=os.getpid())
    assert status.in_other_hands(Study(held=[own, held(pid=1, alive=False)])) == ""
    line = status.in_other_hands(Study(held=[own, *(held(pid=k) for k in range(1, 6))]))
    assert line.startswith(
        "study: 5 trials in the hands of other processes, which are waited for: adding gru 0 for 1 s "
    )
    assert " and 2 more; " in line
