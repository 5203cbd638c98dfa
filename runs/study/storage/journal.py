"""A journal file that survives writers that die: Optuna's file backend with a kernel lock and whole lines only.

Optuna's own backend (5.0) leaves two gaps. A write that is cut off, by a kill or by a full disk, leaves half a line,
and the next record is appended to it: from then on no reader gets past that line. And its lock is a file that a dead
writer leaves behind, on which all others wait for a grace period. Here a writer cuts off half a line, its own or that
of a dead one, and takes a lock that the system releases when its holder dies (`runs.locks`). Readers take no lock: a
whole line that was written is never changed or taken back. Each line carries a checksum, so that what a disk or a copy
has changed is noticed; `runs.study.storage.repair` keeps what is intact.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from ...arguments import command
from ...locks import lock, locked
from .contract import Ending, Storage, index_of


class Journal(JournalStorage, Storage):
    """Optuna's storage on a journal, with several records in one write, as every write waits for the disk."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._mine = threading.local()
        super().__init__(SafeJournal(path))
        # read by `create_new_trial` before the first is applied
        self._replay_result._last_created_trial_id_by_this_process = -1

    @contextmanager
    def together(self) -> Iterator[None]:
        """Collect what this thread writes in the block and append it at the end, or nothing where the block raises.

        In the block this thread reads the state at the beginning.
        Raises the first error of the records when they are applied.
        """
        logs: list[dict[str, Any]] = []
        self._mine.logs = logs
        try:
            yield
        finally:
            self._mine.logs = None
        if not logs:
            return
        with self._thread_lock:
            self._backend.append_logs(logs)
            refused = None
            # a record of ours that is refused ends the reading; the next reading goes on behind it
            for _ in range(len(logs) + 1):
                try:
                    self._sync_with_backend()
                    break
                except UpdateFinishedTrialError as error:
                    refused = refused or error
        if refused is not None:
            raise refused

    def add(self, trials: Iterable[tuple[int, FrozenTrial]]) -> None:
        """Create trials in one write."""
        with self.together():
            for study, template in trials:
                self.create_new_trial(study, template)

    def drop(self, numbers: Iterable[int]) -> None:
        """End trials without an outcome in one write; those that have ended already stay as they are."""
        with suppress(UpdateFinishedTrialError), self.together():
            for number in numbers:
                self.set_trial_state_values(number, TrialState.FAIL)

    def finish(self, number: int, ending: Ending) -> None:
        """Write the end of a running trial in one write."""
        with self.together():
            for step, value in ending.curve:
                self.set_trial_intermediate_value(number, step, value)
            for key, attribute in ending.attributes.items():
                self.set_trial_user_attr(number, key, attribute)
            self.set_trial_state_values(number, ending.state, ending.values)

    def others(self, study: int, index: int, number: int) -> list[FrozenTrial]:
        """Return the trials of a study with the same index, except for one."""
        stored = self.get_all_trials(study, deepcopy=False)
        return [trial for trial in stored if index_of(trial) == index and trial._trial_id != number]

    @contextmanager
    def alone(self, key: str, seconds: float = 600.0) -> Iterator[None]:
        """Let one process at a time into the block, on whatever machine.

        key: of the study; all studies of a journal share one lock.
        Raises LockHeld where another process does not leave the block in time.
        """
        with open(Path(self.path).with_name("plan.lock"), "a") as handle:
            lock(handle, seconds)
            yield

    def _write_log(self, op_code: int, extra_fields: dict[str, Any]) -> None:
        logs = getattr(self._mine, "logs", None)
        if logs is None:
            super()._write_log(op_code, extra_fields)
        else:
            logs.append({"op_code": op_code, "worker_id": self._replay_result.worker_id, **extra_fields})

    def _sync_with_backend(self) -> None:
        if getattr(self._mine, "logs", None) is None:
            super()._sync_with_backend()


class DamagedJournal(ValueError):
    """A journal holds a line that is not as it was written."""


class SafeJournal(JournalFileBackend):
    """Optuna's journal file, with whole records only, each with a checksum of its own.

    Optuna's own backend reads the same file: to it a checksum is one key more. Lines without one are read too.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._read = (0, 0)  # how many records have been read from the beginning, and how many bytes they take

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The records from a number on. Raises DamagedJournal for a line that is not as it was written."""
        number, place = self._read if self._read[0] <= log_number_from else (0, 0)
        with open(self._file_path, "rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # of a writer that is writing, or that died
                try:
                    record = checked(line)
                except ValueError:
                    line, record = self._again(place, number + 1)
                    file.seek(place + len(line))
                number, place = number + 1, place + len(line)
                self._read = number, place
                if number > log_number_from:
                    yield record

    def _again(self, place: int, number: int) -> tuple[bytes, dict[str, Any]]:
        """Read a line that looked damaged once more, while nobody writes.

        Half of it may have been cut off and overwritten while it was read.
        """
        mode = "r+b" if os.access(self._file_path, os.W_OK) else "rb"
        with locked(self._file_path, mode) as file:
            file.seek(place)
            line = file.readline()
        try:
            return line, checked(line)
        except ValueError as error:
            folder = Path(self._file_path).resolve().parent
            cure = command("runs.sweep", results=folder.parent, name=folder.name, action="repair")
            raise DamagedJournal(
                f"{self._file_path}, line {number}: {error}; nothing was changed. This keeps a copy of the file and "
                f"every record that is intact: {cure}"
            ) from None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records.

        Raises OSError where they cannot all be written, as on a full disk; the first of them may then be there. Raises
        LockHeld where another process does not release the lock.
        """
        if not logs:
            return
        text = b"".join(map(line_of, logs))
        with locked(self._file_path) as handle:
            end = whole(handle)
            handle.seek(end)
            rest = memoryview(text)
            try:
                while rest:
                    rest = rest[handle.write(rest) :]
            except BaseException:
                whole(handle)
                raise
            os.fsync(handle.fileno())


# Lines: {"op_code":..., ...,"crc":"0123abcd"} with the checksum of what stands before its key
# -----------------------------------

KEY = b',"crc":"'
TAIL = len(KEY) + 8 + len(b'"}\n')


def line_of(record: dict[str, Any]) -> bytes:
    """Return a record as a line of the journal."""
    text = json.dumps(record, separators=(",", ":")).encode()[:-1]
    return b'%b%b%08x"}\n' % (text, KEY, zlib.crc32(text))


def checked(line: bytes) -> dict[str, Any]:
    """Return the record of a line. Raises ValueError, saying what is wrong, where the line is not as it was written.

    A line without a checksum, of an earlier version or written by Optuna itself, must only be JSON.
    """
    key = line[-TAIL : 8 - TAIL]
    if key == KEY:
        if line[8 - TAIL :] != b'%08x"}\n' % zlib.crc32(line[:-TAIL]):
            raise ValueError("the line is not as it was written (its checksum is another)")
    elif sum(a == b for a, b in zip(key, KEY, strict=False)) > 5:
        raise ValueError("the line is not as it was written (its checksum has no name)")
    try:
        record = json.loads(line)
    except ValueError:
        raise ValueError("the line holds no record") from None
    if not isinstance(record, dict):
        raise ValueError("the line holds no record")
    return record


def whole(handle: IO[bytes]) -> int:
    """Return the length of a file up to its last line end; what a writer that died left after it is cut off."""
    size = end = handle.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 4096)
        handle.seek(start)
        found = handle.read(end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        handle.truncate(end)
    return end
