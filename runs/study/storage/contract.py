"""What a study needs of a storage beyond Optuna's own methods; the journal and the database both have it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


class Ending(NamedTuple):
    """The end of a trial, as it is stored.

    state: Optuna's.
    attributes: JSON values by name.
    values: Optuna's list of objectives, None where there is none.
    curve: steps and losses.
    """

    state: TrialState
    attributes: Mapping[str, Any]
    values: list[float] | None = None
    curve: Iterable[tuple[int, float]] = ()


class Storage(BaseStorage):
    """Optuna's storage, with what a study does often as one write."""

    @abstractmethod
    def add(self, trials: Iterable[tuple[int, FrozenTrial]]) -> None:
        """Create trials that wait, or that have ended.

        trials: (study id, template) of each.
        """

    @abstractmethod
    def drop(self, numbers: Iterable[int]) -> None:
        """End trials without an outcome, in one write; those that have ended already stay as they are.

        numbers: of trials in the storage.
        """

    @abstractmethod
    def finish(self, number: int, ending: Ending) -> None:
        """Write the end of a running trial.

        number: of the trial in the storage.
        Raises UpdateFinishedTrialError where it has ended already.
        """

    @abstractmethod
    def others(self, study: int, index: int, number: int) -> list[FrozenTrial]:
        """Return the trials of a study with the same index in its plan, except for one.

        study: its id. number: of the trial that is left out.
        """

    @abstractmethod
    def alone(self, key: str, seconds: float = 600.0) -> AbstractContextManager[None]:
        """A block into which one process at a time is let, on whatever machine.

        key: of the study. seconds: how long to wait for another process.
        Raises LockHeld where that does not leave the block in time.
        """


INDEX = ("index", "point")
"""The attribute of a stored trial that holds its index in the plan: its present name, and that of earlier versions."""


def index_of(trial: FrozenTrial) -> int:
    """Return the index of a stored trial in its plan."""
    return int(next(trial.user_attrs[name] for name in INDEX if name in trial.user_attrs))
