"""The norm of the gradient against the lag, before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.diagnosis import OF_THE_NETWORK, PHASES
from .choice import tasks_in, variants_in
from .diagnosis import NOTHING, outcomes_of
from .entry import Entry
from .look import BACK, look, styled
from .pieces import empty, log_ticks, note_below
from .small_multiples import Sheet, lines_of_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "How far back the gradient reaches"
CAPTION = (
    "What can a trained network still learn from? Of the best trial of each variant by validation loss: norm of the "
    "gradient of the last answer's loss by the state (all its fields, units and layers) that was carried a number of "
    "steps, the lag, before that answer, relative to lag 1; dotted before training, solid after it, grey the first "
    "variant. Mean over 32 test sequences. A line that falls says that what happened so long ago can hardly be "
    "learned from. Grey at the foot: how old the inputs are that decide the answer, the darker the more sequences "
    "have one there. *: the network is not the one of the study's table, since it was trained again by other code or "
    "elsewhere, or the study has been extended since."
)
LEAST_GRADIENT = 1e-9  # of the first, at the foot of a panel
_BOTTOM = "dotted: at the start, solid: trained"
HEIGHT = 1.15  # inches of a panel


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per (task, variant, phase, lag), see `tables.diagnosis`.
    relevant: one row per (task, phase, lag) at which some sequence has an input that decides the answer, with the
        largest share of such sequences.
    limits: by task, the ends of the y axis.
    outcomes: by (task, variant), how the run went that gave the network.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    relevant: pd.DataFrame
    limits: Mapping[str, tuple[float, float]]
    outcomes: Mapping[tuple[str, str], str]
    tasks: list[str]
    variants: list[str]

    def curve(self, task: str, variant: str, phase: str) -> tuple[np.ndarray, np.ndarray]:
        """Return lags and relative norms that a log axis can show."""
        data = self.data
        own = data[(data["task"] == task) & (data["variant"] == variant) & (data["phase"] == phase)]
        shown = own[np.isfinite(own["relative"]) & (own["relative"] > 0)].sort_values("lag")
        return shown["lag"].to_numpy(), shown["relative"].to_numpy()


def numbers(study: Study, gradients: pd.DataFrame) -> Numbers:
    """Return gradient norms relative to lag 1, and where the inputs are that decide the answer.

    gradients: of `tables.diagnosis`.
    """
    tasks = tasks_in(study, gradients)
    data = gradients.drop(columns=list(OF_THE_NETWORK)) if tasks else gradients
    relevant = data.groupby(["task", "phase", "lag"], as_index=False)["relevant"].max()
    limits = {task: _limits(data.loc[data["task"] == task, "relative"].to_numpy(dtype=float)) for task in tasks}
    shown = relevant[relevant["relevant"] > 0]
    return Numbers(data, shown, limits, outcomes_of(study, gradients), tasks, variants_in(study, gradients))


def _limits(relative: np.ndarray) -> tuple[float, float]:
    """Return ends of an axis that shows all gradients of a task, down to the smallest that is worth showing."""
    values = relative[np.isfinite(relative) & (relative > 0)]
    low, high = (max(LEAST_GRADIENT, values.min()), max(1.0, values.max())) if len(values) else (0.1, 1.0)
    margin = (high / low) ** 0.06 if high > low else 2.0
    return float(low / margin**2), float(min(high * margin, 1e30))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each variant of each task, before and after training, with the first variant in grey."""
    if not numbers.tasks:
        return empty(NOTHING)
    sheet = Sheet(numbers.tasks, numbers.variants, HEIGHT, f"lag in steps; {_BOTTOM}", notes=3)
    first = numbers.variants[0]
    for task in numbers.tasks:
        for variant in numbers.variants:
            axes = sheet.axes(task, variant)
            colour = look(variant).colour
            if variant != first:
                axes.plot(*numbers.curve(task, first, PHASES[1]), color=BACK, lw=1.0, zorder=2)
            axes.plot(*numbers.curve(task, variant, PHASES[0]), color=colour, lw=1.0, ls=":")
            axes.plot(*numbers.curve(task, variant, PHASES[1]), color=colour, lw=1.6, zorder=3)
            _scale(axes, numbers, task)
            _relevant(axes, numbers, task, PHASES[1])
            note_below(axes, numbers.outcomes.get((task, variant), "no diagnosis").replace(", ", "\n"), 15)
        behind = first if len(numbers.variants) > 1 else ""
        sheet.frame(task, words.spoken(task), "gradient norm, relative to lag 1", behind)
    return sheet.figure


def _scale(axes: Axes, numbers: Numbers, task: str) -> None:
    """Give the axes the range that shows all phases and variants of a task."""
    from matplotlib.ticker import MaxNLocator

    data = numbers.data
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_ylim(*numbers.limits[task])
    axes.set_xlim(0, max(2, data.loc[data["task"] == task, "lag"].max()))
    log_ticks(axes.yaxis, labels=4)


def _relevant(axes: Axes, numbers: Numbers, task: str, phase: str) -> None:
    """Shade the foot of a panel where the inputs are that decide the answer, the darker the more sequences."""
    from matplotlib.collections import PolyCollection

    found = numbers.relevant
    own = found[(found["task"] == task) & (found["phase"] == phase)]
    boxes = [[(lag - 0.5, 0), (lag + 0.5, 0), (lag + 0.5, 0.05), (lag - 0.5, 0.05)] for lag in own["lag"]]
    inks = [(0, 0, 0, 0.15 + 0.55 * share / own["relevant"].max()) for share in own["relevant"]]
    foot = axes.get_xaxis_transform()
    axes.add_collection(PolyCollection(boxes, facecolors=inks, lw=0, zorder=2, transform=foot), autolim=False)


FIGURE = Entry(
    "gradients", TITLE, CAPTION, numbers, draw, ("gradients",), rows=lines_of_panels, most=4, command="runs.inside"
)
