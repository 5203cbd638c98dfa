"""A journal file that survives writers that die: Optuna's file backend with a kernel lock and whole lines only.

Optuna's own backend (5.0) leaves two gaps. A write that is cut off, by a kill or by a full disk, leaves half a line, and the next record is
appended to it: from then on no reader gets past that line. And its lock is a file that a dead writer leaves behind, on which all others
wait for a grace period. Here a writer cuts off half a line, its own or that of a dead one, and locks with `flock`, which the kernel
releases when its holder dies. Readers take no lock: a whole line that was written is never changed or taken back.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState


class Journal(JournalStorage):
    """Optuna's storage on a journal, with several records in one write: every write waits for the disk, 7 ms on a busy one."""

    def __init__(self, path: str) -> None:
        self._mine = threading.local()
        super().__init__(SafeJournal(path))
        self._replay_result._last_created_trial_id_by_this_process = -1  # read by `create_new_trial` before the first is applied

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread writes in the block is appended at its end, or not at all where the block raises.

        What it reads in the block is as of the beginning. Raises what the records raise, the first of them, when they are applied.
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
            for _ in range(len(logs) + 1):  # a record of ours that is refused ends the reading; the next reading goes on behind it
                try:
                    self._sync_with_backend()
                    break
                except UpdateFinishedTrialError as error:
                    refused = refused or error
        if refused is not None:
            raise refused

    def add(self, trials: Iterable[tuple[int, FrozenTrial]]) -> None:
        """Create trials, given as (study id, template), in one write."""
        with self.together():
            for study, template in trials:
                self.create_new_trial(study, template)

    def finish(
        self, number: int, curve: Iterable[tuple[int, float]], attributes: Mapping[str, Any], state: TrialState, values: list[float] | None
    ) -> None:
        """Write the end of a running trial in one write. Raises UpdateFinishedTrialError where it has ended already."""
        with self.together():
            for step, value in curve:
                self.set_trial_intermediate_value(number, step, value)
            for key, attribute in attributes.items():
                self.set_trial_user_attr(number, key, attribute)
            self.set_trial_state_values(number, state, values)

    def others(self, study: int, point: int, number: int) -> list[FrozenTrial]:
        """The trials of a study whose attribute `point` this is, but for one."""
        stored = self.get_all_trials(study, deepcopy=False)
        return [t for t in stored if t.user_attrs["point"] == point and t._trial_id != number]

    def _write_log(self, op_code: int, extra_fields: dict[str, Any]) -> None:
        logs = getattr(self._mine, "logs", None)
        if logs is None:
            super()._write_log(op_code, extra_fields)
        else:
            logs.append({"op_code": op_code, "worker_id": self._replay_result.worker_id, **extra_fields})

    def _sync_with_backend(self) -> None:
        if getattr(self._mine, "logs", None) is None:
            super()._sync_with_backend()


class SafeJournal(JournalFileBackend):
    """Optuna's journal file, with whole records only."""

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The records from a number on. Raises ValueError where the file holds something else."""
        number = log_number_from
        for last in (False, True):
            try:
                for record in super().read_logs(number):
                    number += 1
                    yield record
                return
            except ValueError:
                if last:
                    raise
                # Half a line may have been cut off and written over while it was read: again, when nobody writes.
                self._log_number_offset.pop(number + 1, None)
                with open(self._file_path, "rb") as handle:
                    fcntl.flock(handle, fcntl.LOCK_SH)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records. Raises OSError where they cannot all be written (a full disk); of several, the first may then be there."""
        if not logs:
            return
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with open(self._file_path, "r+b", buffering=0) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # released when the file is closed, by us or by the kernel
            end = whole(handle)
            handle.seek(end)
            rest = memoryview(text.encode())
            try:
                while rest:
                    rest = rest[handle.write(rest) :]
            except BaseException:
                whole(handle)
                raise
            os.fsync(handle.fileno())


def whole(handle: IO[bytes]) -> int:
    """The length of a file up to its last line end; what a dead writer left behind it is cut off."""
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
