import json
import os
import subprocess
import threading
import time

import pytest
from optuna.storages import JournalStorage
from optuna.study import StudyDirection

from runs.journal import SafeJournal


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


def test_a_write_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    append(path, 1)
    before = path.read_bytes()

    def full(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            append(path, 2)
    assert path.read_bytes() == before
    append(path, 3)
    assert read(path) == [1, 3]


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
