import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from runs.files import write_whole
from runs.locks import LockHeld
from runs.study.storage.journal import DamagedJournal, Journal, SafeJournal
from runs.study.storage.opening import patiently


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.log"


def append(path, *records):
    SafeJournal(str(path)).append_logs([{"record": r} for r in records])


def read(path):
    return [r["record"] for r in SafeJournal(str(path)).read_logs(0)]


def test_records_come_back_in_order(path):
    append(path, 1, 2)
    append(path, 3)
    assert read(path) == [1, 2, 3]


@pytest.mark.parametrize("half", [b'{"rec', b'{"record":9}', b"x" * 10_000])
def test_half_a_line_of_a_dead_writer_is_cut_off_by_the_next(path, half):
    append(path, 1)
    with path.open("ab") as handle:
        handle.write(half)
    append(path, 2)
    assert read(path) == [1, 2]


def test_half_a_line_does_not_stop_a_reader(path):
    append(path, 1)
    with path.open("ab") as handle:
        handle.write(b'{"rec')
    assert read(path) == [1]


class Small:
    """A file on a disk with room for some bytes more."""

    def __init__(self, handle, room):
        self.handle, self.room = handle, room

    def __getattr__(self, name):
        return getattr(self.handle, name)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.handle.close()

    def write(self, data):
        if self.room == 0:
            raise OSError(28, "No space left on device")
        done = self.handle.write(data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize(("room", "left"), [(0, [1, 4]), (5, [1, 4]), (30, [1, 2, 4]), (40, [1, 2, 4])])
def test_a_disk_that_is_full_keeps_whole_records_only(path, monkeypatch, room, left):
    append(path, 1)
    with monkeypatch.context() as patch:
        patch.setattr("runs.locks.open", lambda *a, **k: Small(path.open(*a[1:], **k), room), raising=False)
        with pytest.raises(OSError, match="No space left"):
            append(path, 2, 3)
    append(path, 4)
    assert read(path) == left


WRITER = """
import sys
from runs.study.storage.journal import SafeJournal

journal = SafeJournal(sys.argv[1])
for n in range(300):
    journal.append_logs([{"writer": int(sys.argv[2]), "n": 3 * n + k, "text": "x" * 3000} for k in range(3)])
"""


def test_who_reads_while_others_write_reads_whole_records_in_order(path):
    append(path)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(k)], cwd=Path(__file__).parents[3])
        for k in range(2)
    ]
    journal, seen = SafeJournal(str(path)), []
    try:
        while any(w.poll() is None for w in writers):
            seen += journal.read_logs(len(seen))
    finally:
        for writer in writers:
            writer.wait()
    seen += journal.read_logs(len(seen))
    assert [w.returncode for w in writers] == [0, 0]
    assert [[r["n"] for r in seen if r["writer"] == k] for k in range(2)] == [list(range(900))] * 2


def test_what_is_no_record_is_an_error_that_names_file_line_and_cure(path):
    append(path, 1)
    with path.open("ab") as handle:
        handle.write(b"nonsense\n")
    append(path, 2)
    cure = f"python -m runs.sweep name={path.parent.name} action=repair results={path.parent.parent}"
    with pytest.raises(DamagedJournal, match=f"{path}, line 2: the line holds no record; .*: {cure}"):
        read(path)


def test_a_flipped_bit_is_noticed_wherever_it_is(path):
    append(path, 1, 200, 3)
    good = path.read_bytes()
    first, second = good.index(b"\n") + 1, good.index(b"\n", good.index(b"\n") + 1) + 1
    for place in range(first, second):
        for bit in range(8):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            path.write_bytes(bytes(bad))
            with pytest.raises(DamagedJournal, match=r"line [23]:"):
                read(path)


def test_a_line_without_a_checksum_of_an_earlier_version_is_read(path):
    path.write_bytes(b'{"record":1}\n')
    append(path, 2)
    with path.open("ab") as handle:
        handle.write(b'{"record":3}\n')
    assert read(path) == [1, 2, 3]


def test_who_has_read_a_journal_reads_what_is_new_only(path):
    append(path, 1, 2)
    journal = SafeJournal(str(path))
    assert [r["record"] for r in journal.read_logs(0)] == [1, 2]
    append(path, 3)
    assert [r["record"] for r in journal.read_logs(2)] == [3]
    assert [r["record"] for r in journal.read_logs(1)] == [2, 3]


STOPPED = """
import fcntl, os, signal, sys
handle = open(sys.argv[1], "r+b")
fcntl.flock(handle, fcntl.LOCK_EX)
print("locked", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def stopped_holder(path):
    """A process that holds the journal's lock and was stopped; its number."""
    append(path, 1)
    holder = subprocess.Popen([sys.executable, "-c", STOPPED, str(path)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    while psutil.Process(holder.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    yield holder.pid
    holder.kill()
    holder.communicate()


def test_a_stopped_process_with_the_lock_is_named_and_does_not_hold_others_up_for_ever(
    path, stopped_holder, monkeypatch, capsys
):
    monkeypatch.setattr("runs.locks.NOTICE_SECONDS", 0.1)
    monkeypatch.setattr("runs.locks.HELD_SECONDS", 0.4)
    with pytest.raises(LockHeld, match=rf"journal.log has been locked for 0 s by process {stopped_holder} \(stopped, "):
        append(path, 2)
    assert f"waiting for {path}, which is locked by process {stopped_holder} (stopped" in capsys.readouterr().err
    assert read(path) == [1]


def test_what_waits_for_a_stopped_process_goes_on_when_that_is_gone(path, stopped_holder, monkeypatch, capsys):
    monkeypatch.setattr("runs.locks.HELD_SECONDS", 0.1)
    threading.Timer(0.4, os.kill, (stopped_holder, 9)).start()
    patiently(lambda: append(path, 2))
    assert read(path) == [1, 2]
    assert "storage is away (LockHeld: " in capsys.readouterr().err


def test_who_waited_for_a_journal_that_was_replaced_writes_into_the_new_one(path):
    append(path, 1)
    with path.open("r+b") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        writer = threading.Thread(target=append, args=(path, 2))
        writer.start()
        time.sleep(0.1)
        write_whole(path, path.read_bytes())
    writer.join()
    assert read(path) == [1, 2]


def test_the_lock_of_a_dead_writer_holds_nobody_up(path):
    append(path, 1)
    holder = subprocess.Popen(["flock", str(path), "sleep", "60"], start_new_session=True)
    time.sleep(0.3)
    writer = threading.Thread(target=append, args=(path, 2))
    writer.start()
    time.sleep(0.2)
    assert writer.is_alive(), "the lock did not hold"
    os.killpg(holder.pid, 9)
    holder.wait()
    writer.join(timeout=5)
    assert read(path) == [1, 2]


def test_writers_at_the_same_time_lose_nothing(path):
    append(path)
    threads = [threading.Thread(target=lambda k=k: [append(path, 100 * k + n) for n in range(20)]) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read(path)) == sorted(100 * k + n for k in range(4) for n in range(20))


def test_optuna_reads_its_studies_from_it(path):
    JournalStorage(SafeJournal(str(path))).create_new_study([StudyDirection.MINIMIZE], "study")
    assert [s.study_name for s in JournalStorage(SafeJournal(str(path))).get_all_studies()] == ["study"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.fixture
def journal(path):
    return Journal(str(path))


def waiting(point):
    return create_trial(state=TrialState.WAITING, user_attrs={"point": point})


def test_what_is_written_together_is_one_write(journal, path, monkeypatch):
    study = journal.create_new_study([StudyDirection.MINIMIZE], "study")
    writes = []
    append = SafeJournal.append_logs
    monkeypatch.setattr(SafeJournal, "append_logs", lambda self, logs: writes.append(len(logs)) or append(self, logs))
    journal.add((study, waiting(k)) for k in range(7))
    assert writes == [7]
    assert [t.user_attrs["point"] for t in journal.get_all_trials(study)] == list(range(7))


def test_optuna_reads_what_was_written_together(journal, path):
    study = journal.create_new_study([StudyDirection.MINIMIZE], "study")
    journal.add((study, waiting(k)) for k in range(3))
    theirs = JournalStorage(JournalFileBackend(str(path)))
    assert theirs.get_all_trials(study) == journal.get_all_trials(study)


def test_what_was_to_be_written_together_is_dropped_when_something_fails(journal, path):
    study = journal.create_new_study([StudyDirection.MINIMIZE], "study")
    before = path.read_bytes()

    def fail():
        with journal.together():
            journal.set_study_user_attr(study, "a", 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == before
    journal.set_study_user_attr(study, "b", 2)
    assert journal.get_study_user_attrs(study) == {"b": 2}


def test_records_for_a_finished_trial_are_refused_and_hold_up_nothing_after_them(journal, path):
    study = journal.create_new_study([StudyDirection.MINIMIZE], "study")
    number = journal.create_new_trial(study)
    Journal(str(path)).set_trial_state_values(number, TrialState.FAIL)

    def late():
        with journal.together():
            for k in range(3):
                journal.set_trial_user_attr(number, f"key{k}", k)

    with pytest.raises(UpdateFinishedTrialError):
        late()
    journal.add([(study, waiting(5))])
    assert [t.user_attrs for t in journal.get_all_trials(study)] == [{}, {"point": 5}]


def test_another_thread_writes_while_one_collects(journal, path):
    study = journal.create_new_study([StudyDirection.MINIMIZE], "study")
    with journal.together():
        journal.set_study_user_attr(study, "mine", 1)
        other = threading.Thread(target=journal.set_study_user_attr, args=(study, "theirs", 2))
        other.start()
        other.join()
        assert b"theirs" in path.read_bytes()
        assert b"mine" not in path.read_bytes()
    assert journal.get_study_user_attrs(study) == {"mine": 1, "theirs": 2}


KILLED = """
import os, signal, sys
from runs.study.storage.journal import SafeJournal
import runs.locks

class Half:
    def __init__(self, handle): self.handle = handle
    def __getattr__(self, name): return getattr(self.handle, name)
    def __enter__(self): return self
    def __exit__(self, *what): self.handle.close()
    def write(self, data):
        self.handle.write(data[: len(data) - int(sys.argv[2])])
        os.kill(os.getpid(), signal.SIGKILL)

runs.locks.open = lambda *a, **k: Half(open(*a, **k))
SafeJournal(sys.argv[1]).append_logs([{"record": 2}, {"record": 3}])
"""


@pytest.mark.parametrize(("lost", "left"), [(1, [1, 2, 4]), (30, [1, 2, 4]), (40, [1, 4])])
def test_a_writer_that_is_killed_in_the_middle_of_a_write_costs_its_last_record(path, lost, left):
    append(path, 1)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(lost)], cwd=Path(__file__).parents[3])
    assert done.returncode == -9
    append(path, 4)
    assert read(path) == left
