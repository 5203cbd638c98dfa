"""The tables of a shipped archive, each computed once and only when it is asked for."""

from __future__ import annotations

import os
from functools import cache, cached_property

import pandas as pd

from runs.record.archive import read_archive
from runs.record.shipped import PREFIX, located

from ..study import Study
from ..tables.claims import held_against
from ..tables.comparisons import comparisons
from ..tables.effects import effects
from ..tables.importance import importance
from ..tables.lags import lag_tables
from ..tables.stages import stage_tables


class Results:
    """What a study says: the tables of its analysis.

    study: the study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def compared(self) -> pd.DataFrame:
        """See `tables.comparisons.comparisons`."""
        return comparisons(self.study)

    @cached_property
    def by_lag(self) -> dict[str, pd.DataFrame]:
        """See `tables.lags.lag_tables`."""
        return lag_tables(self.study, self.compared)

    @cached_property
    def shares(self) -> pd.DataFrame:
        """See `tables.importance.importance`; of all tables it takes the longest."""
        return importance(self.study, os.cpu_count() or 1)["shares"]

    @cached_property
    def claims(self) -> pd.DataFrame:
        """See `tables.claims.held_against`."""
        of_parts = self.effects if self.study.design.factors is not None else None
        return held_against(self.study, self.compared, self.shares, self.by_lag, of_parts)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """See `tables.effects.effects`."""
        return effects(self.study)

    @cached_property
    def stages(self) -> dict[str, pd.DataFrame]:
        """See `tables.stages.stage_tables`."""
        return stage_tables(self.study)


@cache
def shipped(name: str) -> Results:
    """Return the results of an archive that is shipped with the project, once for a process.

    name: of the study.

    Raises ValueError where there is no such archive.
    """
    return Results(Study.from_archive(read_archive(located(PREFIX + name))))
