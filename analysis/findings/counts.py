"""The words of a page of findings that count trials by what they were given or by how they ended, see `vocabulary`.

Each takes the name of a study first. None needs resampling.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pandas as pd

from ..statistics.best import best_decile
from ..study import Study
from .results import Results

RUINED = ("diverged", "exploded")
GAIN = 0.01  # share of the loss of the best model without memory; who gains less has learned nothing from the past


class CountWords:
    """The functions that count trials for a template; every public method is one.

    read: gives the results of a study by its name.
    """

    def __init__(self, read: Callable[[str], Results]) -> None:
        self._read = read

    def solved_where(
        self, study: str, place: str, variant: str, name: str, *, least: float = -inf, below: float = inf
    ) -> str:
        """Write how many of the trials with certain values of a hyperparameter solve a task, such as `14 of 15`.

        place: a task, or a series, whose lags are then counted together.
        name: of the hyperparameter.
        least, below: the values count from `least` on, and up to `below` without it.
        """
        own = self._read(study).study
        tasks = list(own.series.get(place, {}).values()) or [place]
        rows = pd.concat([_trials(own, task, variant) for task in tasks])
        rows = rows[(rows[name] >= least) & (rows[name] < below)]
        return _share(rows["status"] == "solved")

    def decile_size(self, study: str, task: str) -> str:
        """Write how many trials the best decile of a variant on a task has."""
        return str(len(self._decile(study, task)))

    def reaching(self, study: str, task: str, variant: str) -> str:
        """Write how many settings lead to a test loss below the mean of the baseline's best decile: `11 of 30`."""
        return _share(self._reaches(study, task, variant)[1])

    def where_reaching(self, study: str, task: str, variant: str, name: str) -> str:
        """Write which values of a hyperparameter these settings have, such as `0.0006 to 0.0033`."""
        rows, reaches = self._reaches(study, task, variant)
        values = rows.loc[reaches, name]
        return f"{values.min():.2g} to {values.max():.2g}"

    def without_gain(self, study: str, task: str, variant: str) -> str:
        """Write how many trials gain less than `GAIN` on the best model without memory, such as `8 of 10`."""
        own = self._read(study).study
        loss = _trials(own, task, variant)["test_loss"]
        return _share(~(loss <= (1 - GAIN) * own.goals[task].floor))  # a trial without a loss counts

    def ruined(self, study: str, **parts: str) -> str:
        """Write how many trials of a study diverged or exploded.

        parts: levels of its factors, such as `forget_gate="no"`; only cells with all of them count.
        """
        own = self._read(study).study.trials
        for part, level in parts.items():
            own = own[own[f"part_{part}"] == level]
        return f"{int(own['status'].isin(RUINED).sum()):,}"

    def _reaches(self, study: str, task: str, variant: str) -> tuple[pd.DataFrame, pd.Series]:
        own = self._read(study).study
        rows = _trials(own, task, variant)
        return rows, rows["test_loss"] < self._decile(study, task)["test_loss"].mean()

    def _decile(self, study: str, task: str) -> pd.DataFrame:
        """Return the best decile of the baseline."""
        own = self._read(study).study
        rows = _trials(own, task, str(own.baseline))
        return rows.iloc[best_decile(rows["order"].to_numpy())]


def _trials(own: Study, task: str, variant: str) -> pd.DataFrame:
    rows = own.trials[(own.trials["task"] == task) & (own.trials["variant"] == variant)]
    if rows.empty:
        raise ValueError(f"{own.name}: no trials of {variant} on {task}")
    return rows


def _share(holds: pd.Series) -> str:
    return f"{int(holds.sum())} of {len(holds)}"
