"""What running a study has cost on this machine: trials, seconds and memory, kept in a file of the study's folder."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from optuna.trial import FrozenTrial

from ..files import write_whole
from ..record.mirror import Mirror
from ..study.claiming import Queue

SUMS = ("trials", "seconds", "worker_seconds", "trial_seconds", "mirrored", "mirror_seconds")  # over all sessions
WORTH_NOTING = 5.0  # seconds of planning


def session_cost(
    study: Queue[Any, Any], processes: Collection[int], begun: datetime, seconds: float, mirror: Mirror | None
) -> dict[str, float]:
    """Return what one session, a run of the command, has cost on this machine.

    The result has the keys of `SUMS`: finished trials; wall seconds; seconds of the workers and of their trials; trials
    written to MLflow and the seconds it took. A worker counts from the start of the session until it finished its last
    trial.

    processes: ids of the workers.
    begun: when they were started.
    seconds: how long the session took.
    """
    finished: dict[int, list[FrozenTrial]] = {}
    for trial in (finished.stored for finished in study.finished_trials()):
        worker = trial.user_attrs.get("worker", {})
        if worker.get("host") == socket.gethostname() and worker["pid"] in processes:
            finished.setdefault(worker["pid"], []).append(trial)
    spent = {pid: sum(t.user_attrs["outcome"]["seconds"] for t in trials) for pid, trials in finished.items()}
    present = 0.0
    for pid, trials in finished.items():
        ends = [(t.datetime_complete - begun).total_seconds() for t in trials if t.datetime_complete is not None]
        # between the seconds of its trials and those of the session, even if the wall clock is set meanwhile
        present += min(max([spent[pid], *ends]), max(seconds, spent[pid]))
    return {
        "trials": sum(map(len, finished.values())),
        "seconds": seconds,
        "worker_seconds": present,
        "trial_seconds": sum(spent.values()),
        "mirrored": mirror.written if mirror is not None else 0,
        "mirror_seconds": mirror.seconds if mirror is not None else 0.0,
    }


def read_cost(path: Path) -> dict[str, Any]:
    """Return what earlier sessions have cost; nothing if the file does not exist.

    A file that cannot be read is ignored with a warning.
    """
    try:
        known = json.loads(path.read_text())
        if all(isinstance(known.get(key, 0), int | float) for key in SUMS):
            return dict(known)
        why = "it does not hold numbers"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        why = str(error)
    cure = "delete it, no trial is in it"
    print(f"{path} is ignored, what earlier sessions cost is lost ({why}); {cure}", file=sys.stderr)
    return {}


def add_cost(path: Path, session: dict[str, float], planning: float, latest: dict[str, Any]) -> None:
    """Add the cost of a session to that of the earlier ones.

    path: the file.
    session: see `session_cost`.
    planning: seconds that planning took; a short time does not replace that of an earlier session, which has planned.
    latest: what is kept of the last session only.
    """
    known = read_cost(path)
    cost = {**known, **{key: value + known.get(key, 0) for key, value in session.items()}}
    if planning > WORTH_NOTING or "planning_seconds" not in cost:
        cost["planning_seconds"] = planning
    write_whole(path, json.dumps({**cost, **latest}) + "\n")


class Memory:
    """The megabytes that the parent and its workers hold: the first sample of processes that work, and the last.

    The difference shows whether a process grows during a study.
    """

    def __init__(self) -> None:
        self.first: list[float | None] = []
        self.last: list[float | None] = []

    def sample(self, processes: Sequence[int | None], working: bool) -> None:
        """Take a sample, unless a process has ended.

        processes: ids of the workers.
        working: whether all of them have run trials; before that their memory still grows with what they import.
        """
        found = [resident(process) for process in (os.getpid(), *processes)]
        if working and None not in found:
            self.first = self.first or found
            self.last = found


def resident(process: int | None) -> float | None:
    """Return the megabytes that a process holds in memory; None if it has ended or is a zombie."""
    try:
        return float(psutil.Process(process).memory_info().rss / 2**20) or None
    except psutil.Error:
        return None
