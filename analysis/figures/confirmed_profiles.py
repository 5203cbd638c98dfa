"""Performance profiles of the winners that were trained again with fresh seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from . import performance_profiles
from .curves import Curves
from .entry import Entry, a_family_for_each_task

if TYPE_CHECKING:
    from ..study import Study

TITLE = "Performance profiles of the confirmed winners"
CAPTION = (
    "The share of the replicates of “search, then train” whose score is at least τ. Bands: Wilson, 95 %, "
    "pointwise; they need ten replicates."
)


def numbers(study: Study, profiles: pd.DataFrame) -> Curves:
    """Return the performance profiles of the winners; profiles: their trials with fresh seeds, see `stage_tables`."""
    return performance_profiles.numbers(study.with_trials(profiles))


draw = performance_profiles.draw
FIGURE = Entry("confirmed_profiles", TITLE, CAPTION, numbers, draw, ("profiles",), a_family_for_each_task, 6)
