"""The expected test score of the best trial of a search, against the time that the search takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import expected_best_trials
from .curves import CurveLook, Curves, draw_curves
from .entry import Entry, a_family_for_each_task
from .look import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Expected best against time"
CAPTION = (
    "The same against the time that the search takes: n times the mean seconds per trial of that variant, on the "
    "machine and engine of the study."
)
LOOKS = CurveLook("seconds spent on the search", "expected best score", x_log=True, markers=True)


def numbers(study: Study) -> Curves:
    """Return the expected best score of a search of n trials, with n times the mean seconds of a trial instead of n."""
    curves = expected_best_trials.numbers(study)
    if not curves.variants:
        return curves
    keys = ["task", "variant"]
    means = study.trials.groupby(keys)["seconds"].mean().rename("mean").reset_index()
    seconds = curves.data[keys].merge(means, on=keys, how="left")["mean"]
    looks = {task: LOOKS._replace(y_label=own.y_label) for task, own in curves.looks.items()}
    return curves._replace(data=curves.data.assign(x=curves.data["n"] * seconds), looks=looks)


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the expected scores with a marker at each number of trials."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry("expected_best_seconds", TITLE, CAPTION, numbers, draw, rows=a_family_for_each_task, most=6)
