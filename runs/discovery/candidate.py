"""A candidate of a search for cells, and what was found of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .plan import NAMES, REFERENCE, START

SCORED, FAILED = "scored", "failed"
VALIDITY, DUPLICATE, NOTHING = "validity", "duplicate", "nothing new"
"""What ends a candidate before it is trained: it is no valid cell, an earlier one in other words, or was not found."""
OPEN = (REFERENCE, START, NAMES)
"""The arms whose candidates no gate stops."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A cell that is to be tried. Its equations are in normal form.

    index: its number. generation: in which it is tried.
    arm: reference, start, gru_names, mutation or random.
    operation: how it came about: its arm's name, `mutate`, `fresh`, or `again` for a cell that is evaluated once more.
    equations: of the cell, empty where no new cell was found. key: hash of their structure.
    parents: numbers of the candidates that it comes from; for `again`, of the cell's first evaluation.
    changes: what has changed the nodes of its parent, see `runs.discovery.mutation.mutate`.
    block: the block of points at which it is trained.
    name: which of the GRU's names it has, from 1; 0 for none. Seeds depend on it.
    label: of a cell that has a name, such as vanilla.
    proposals: how many cells were drawn until this one was new. duplicates, invalid: how many of these were there
        already, and could be seen to be no valid cells.
    """

    index: int
    generation: int
    arm: str
    operation: str
    equations: str
    key: str
    parents: tuple[int, ...] = ()
    changes: tuple[str, ...] = ()
    block: int = 0
    name: int = 0
    label: str = ""
    proposals: int = 1
    duplicates: int = 0
    invalid: int = 0

    @property
    def gated(self) -> bool:
        """Whether it has to pass the gates."""
        return self.arm not in OPEN and self.operation != "again"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as they are stored; the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Candidate:
        """Return a candidate from plain values."""
        known = {each.name for each in fields(cls)}
        plain: dict[str, Any] = {
            k: tuple(v) if k in ("parents", "changes") else v for k, v in values.items() if k in known
        }
        return cls(**plain)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found of a candidate.

    status: scored where it was trained on all tasks; failed where an error ended it; else the gate at which it ended:
        validity, duplicate, the label of the toy or of the first task.
    reason: why it ended there, in words.
    values: by task what it reached at each of its points, see `runs.discovery.scoring.value`.
    solved: by task the updates after which it was solved at each point, None where it was not.
    seconds: wall time of everything. by_stage: wall time of the checks and of each task.
    ratio: smallest of the ratios to the best GRU at the same points, over the tasks that count; None without a score.
    parameters: trainable values of the network on the first task. widths: units by task.
    fingerprint: hash of its outputs for fixed weights; the same for cells that compute the same.
    twin: number of the earlier candidate that computes the same, None where there is none.
    """

    status: str
    reason: str = ""
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    solved: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    by_stage: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    parameters: int = 0
    widths: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    twin: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as they are stored; the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """Return a result from plain values."""
        known = {each.name for each in fields(cls)}
        plain = {k: v for k, v in values.items() if k in known}
        for key in ("values", "solved"):
            plain[key] = {task: tuple(found) for task, found in (plain.get(key) or {}).items()}
        return cls(**plain)

    @property
    def same(self) -> dict[str, Any]:
        """What is the same whichever worker found it: all but the times."""
        return {key: value for key, value in self.as_dict().items() if key not in ("seconds", "by_stage")}


@dataclass(frozen=True)
class Told:
    """A candidate and what was found of it."""

    candidate: Candidate
    result: Result
