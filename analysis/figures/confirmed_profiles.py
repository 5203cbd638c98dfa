"""Performance profiles of the winners that were trained again with fresh seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from . import performance_profiles
from .curves import Curves
from .entry import Entry
from .small_multiples import lines_of_panels

if TYPE_CHECKING:
    from ..study import Study

TITLE = "Performance profiles of the confirmed winners"
CAPTION = (
    "The share of the winners, trained again with fresh seeds, whose test score is at least the score below. A curve "
    "above the grey baseline everywhere is better. Bands: 95 % intervals (Wilson) at each score by itself, from ten "
    "winners on."
)


def numbers(study: Study, profiles: pd.DataFrame) -> Curves:
    """Return the performance profiles of the winners; profiles: their trials with fresh seeds, see `stage_tables`."""
    return performance_profiles.numbers(study.with_trials(profiles))


draw = performance_profiles.draw
FIGURE = Entry("confirmed_profiles", TITLE, CAPTION, numbers, draw, ("profiles",), rows=lines_of_panels, most=4)
