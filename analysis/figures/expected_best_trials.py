"""The expected test score of the best trial of a search, against the number of its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..statistics.best import best_weights, ranking, search_budgets
from ..tables.importance import outcomes
from .choice import lines_of
from .curves import FEWEST_IN_A_BAND, CurveLook, Curves, curve, curves_of, draw_curves
from .entry import Entry
from .look import styled
from .small_multiples import lines_of_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Expected best against the number of trials"
CAPTION = (
    "What does tuning get out of a variant? The test score that a random search of n trials can expect when it keeps "
    "the best one (solved trials first, by steps to solve, then by validation loss). Above the grey baseline a "
    "variant is better after a search of that size. Unbiased over all subsets of n trials, drawn to a tenth of the "
    "trials (at least five). Bands: 95 % of bootstrap resamples, each variant by itself; overlapping bands do not "
    "mean equal variants."
)
OF_LOSSES = "On a task without a criterion of success: the test loss that can be expected, lower is better."
RESAMPLES = 400
LOOKS = CurveLook("trials in the search", "expected best score", markers=True, whole=True)


def numbers(study: Study) -> Curves:
    """Return the expected best score of a search of n trials by task and variant, for n up to a tenth of the trials.

    Beyond a tenth the unbiased estimator has too few disjoint samples. The band covers 95 % of bootstrap resamples.
    """
    parts = [
        _expected(str(task), str(variant), own, outcomes(own, study.goals[str(task)]))
        for (task, variant), own in study.trials.groupby(["task", "variant"])
    ]
    curves = curves_of(study, parts, (-0.02, 1.04))
    return with_losses(study, curves, LOOKS, "expected best test loss")


def with_losses(study: Study, curves: Curves, looks: CurveLook, label: str) -> Curves:
    """Return curves whose axis has losses on tasks without a criterion of success; label: of that axis."""
    tasks = [task for task in curves.tasks if not study.solvable(task)]
    if not tasks:
        return curves
    lines, limits = lines_of(study), dict(curves.limits)
    for task in tasks:
        own, goal = curves.data[curves.data["task"] == task], study.goals[task]
        limits[task] = goal.axis(own.groupby("variant")["y"].min())
    return curves._replace(
        limits=limits,
        levels={**curves.levels, **{task: lines[task] for task in tasks}},
        looks={task: looks._replace(y_label=study.goals[task].label(label)) for task in tasks},
    )


def _expected(task: str, variant: str, trials: pd.DataFrame, values: pd.Series[float]) -> pd.DataFrame:
    count = len(trials)
    budgets = search_budgets(count)
    ranked = values.to_numpy()[ranking(trials["order"].to_numpy())]
    weights = np.array([best_weights(count, int(n)) for n in budgets])
    band = np.full((2, len(budgets)), np.nan)
    if count >= FEWEST_IN_A_BAND:
        drawn = np.sort(np.random.default_rng(0).integers(count, size=(RESAMPLES, count)), axis=1)
        band = np.quantile(ranked[drawn] @ weights.T, (0.025, 0.975), axis=0)
    return curve(task, variant, budgets * 1.0, weights @ ranked, band, n=budgets)


@styled
def draw(numbers: Curves) -> Figure:
    """Draw the expected scores with a marker at each number of trials."""
    return draw_curves(numbers, LOOKS)


FIGURE = Entry("expected_best_trials", TITLE, CAPTION, numbers, draw, rows=lines_of_panels, most=4, of_losses=OF_LOSSES)
