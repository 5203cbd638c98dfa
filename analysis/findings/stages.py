"""The words of a page of findings about the stages after a search, see `vocabulary`.

Each takes the name of a study first. Counts of trials are there when the words are quick; what is resampled is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from .. import words
from ..report.stage_sentences import block_size
from ..study import Study
from ..tables.comparisons import SIGNIFICANT
from ..tables.stages import horizons
from .markdown import table
from .results import Results


class StageWords:
    """The functions about stages that a template may call; every public method is one.

    read: gives the results of a study by its name.
    later: stands for what needs resampling; empty where it is computed.
    """

    def __init__(self, read: Callable[[str], Results], later: str) -> None:
        self._read = read
        self._later = later

    def replicates(self, study: str) -> str:
        """Write how many winners of blocks each variant has on a task."""
        return str(self._fresh(study).groupby(["task", "variant"]).size().max())

    def searched(self, study: str) -> str:
        """Write how many points each of these winners was chosen from."""
        return str(block_size(self._read(study).study))

    def fresh(self, study: str, variant: str, series: str = "") -> str:
        """Write how many of a variant's winners solve their task with a fresh seed, such as `31 of 40`.

        series: a task at all its lags; empty for all tasks.
        """
        own = self._read(study).study
        wanted = set(own.series[series].values()) if series else set(own.tasks)
        rows = self._fresh(study)
        rows = rows[(rows["variant"] == variant) & rows["task"].isin(wanted)]
        return "{} of {}".format(*_solved(rows))

    def fresh_table(self, study: str) -> str:
        """Write a table of these counts: a row for each variant, a column for each task over all its lags, and all."""
        own = self._read(study).study
        rows = [
            [f"`{variant}`: {words.spoken(variant)}", *(self.fresh(study, variant, name) for name in (*own.series, ""))]
            for variant in own.variants
        ]
        return table(["variant", *(f"`{name}`" for name in own.series), "all"], rows)

    def fresh_told_apart(self, study: str, variant: str, side: str) -> str:
        """Write on which tasks the replicates of a variant are told apart from those of the baseline.

        side: better or worse. Writes "no task" where there is none.
        """
        if self._later:
            return self._later
        found = self._read(study).stages["confirmed"]
        sides = {"better": found["improvement"] > 0.5, "worse": found["improvement"] < 0.5}
        rows = found[(found["variant"] == variant) & (found["p_holm"] <= SIGNIFICANT) & sides[side]]
        return words.listed([f"`{task}`" for task in rows["task"]]) if len(rows) else "no task"

    def horizon(self, study: str, task: str, variant: str) -> str:
        """Write the lag up to which half of the runs solve a task, with its 95 % interval: `64 [48, 85]` or `≥ 400`."""
        rows = self._horizons(study)
        own = rows[(rows["task"] == task) & (rows["variant"] == variant)]
        if len(own) != 1:
            raise ValueError(f"{study}: no horizon of {variant} on {task}")
        return _horizon(own.iloc[0])

    def horizons_table(self, study: str) -> str:
        """Write a table of memory horizons: a row for each variant, a column for each task."""
        own, rows = self._read(study).study, self._horizons(study)
        found = {(r["task"], r["variant"]): _horizon(r) for r in rows.to_dict("records")}
        tasks = [task for task in own.tasks if task in set(rows["task"])]
        lines = [[f"`{v}`", *(found.get((t, v), words.NOTHING) for t in tasks)] for v in own.variants]
        return table(["variant", *(words.spoken(task) for task in tasks)], lines)

    def _fresh(self, study: str) -> pd.DataFrame:
        rows = _stage(self._read(study).study, "confirm")
        return rows[rows["block"] >= 0]

    def _horizons(self, study: str) -> pd.DataFrame:
        return horizons(_stage(self._read(study).study, "horizon"))


def _stage(study: Study, stage: str) -> pd.DataFrame:
    trials = study.stage(stage)
    if trials.empty:
        raise ValueError(f"stage {stage} of study {study.name!r} has no trial in the archive")
    return trials


def _solved(trials: pd.DataFrame) -> tuple[int, int]:
    return int((trials["status"] == "solved").sum()), len(trials)


def _horizon(row: Any) -> str:
    return words.horizon(row["log2_horizon"], row["error"], at_least=row["at_least"], at_most=row["at_most"])
