"""The norm of the gradient against the lag, before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ..tables.diagnosis import OF_THE_NETWORK, PHASES
from .choice import tasks_in, variants_in
from .diagnosis import NOTHING, outcomes_of
from .entry import MOST_CURVES, Entry, a_family_for_each_task
from .look import PALE, WIDTH, look, new_figure, styled
from .pieces import empty, label_ends, log_ticks, note_lines, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "How far back the gradient reaches"
CAPTION = (
    "The best trial of each variant by validation loss: norm of the gradient of the last answer's loss by the "
    "state (all its fields, units and layers) that was carried k steps before that answer, before and after "
    "training, relative to k = 1. Mean over 32 test sequences. A line that falls says that what happened k steps "
    "ago can hardly be learned from; grey at the foot: how old the inputs are that decide the answer, the darker "
    "the more sequences have one there. *: the network is not the one of the study's table, since it was trained "
    "again by other code or elsewhere, or the study has been extended since."
)
LEAST_GRADIENT = 1e-9  # of the first, at the foot of a panel
_ACROSS = 4  # panels side by side where each variant has its own
_BOTTOM = "dotted: at the start, solid: trained, grey: the others trained; at the foot: inputs that decide the answer"


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
    """Draw up to six variants in two panels for each task, before and after training; more in a panel each."""
    if not numbers.tasks:
        return empty(NOTHING)
    return (_a_panel_each if len(numbers.variants) > MOST_CURVES else _together)(numbers)


def _together(numbers: Numbers) -> Figure:
    height, variants = 1.9, numbers.variants
    figure = new_figure(WIDTH, len(numbers.tasks) * (height + 0.55 + 0.115 * len(variants)) + 0.15)
    grid = figure.subplots(len(numbers.tasks), 2, squeeze=False, sharey="row", sharex="row")
    for row, task in zip(grid, numbers.tasks, strict=True):
        for axes, phase in zip(row, PHASES, strict=True):
            ends = []
            for variant in variants:
                x, y = numbers.curve(task, variant, phase)
                if len(x):
                    own = look(variant)
                    axes.plot(x, y, color=own.colour, ls=own.dash, zorder=3.5 if variant == variants[0] else 3)
                    ends.append((variant, float(x[-1]), float(y[-1])))
            _scale(axes, numbers, task, few=False)
            _relevant(axes, numbers, task, phase)
            label_ends(axes, ends, height)
            axes.set_title(f"{task}, {phase}")
            axes.set_xlabel("lag in steps (grey at the foot: inputs that decide the answer)", fontsize=7)
        row[0].set_ylabel("gradient norm,\nrelative to lag 1")
        outcomes = numbers.outcomes
        note_lines(row[0], [f"{v}: {outcomes[task, v]}" for v in variants if (task, v) in outcomes], 27)
    return figure


def _a_panel_each(numbers: Numbers) -> Figure:
    variants, alone = numbers.variants, len(numbers.tasks) == 1
    lines = -(-len(variants) // _ACROSS)
    figure = new_figure(WIDTH, lines * len(numbers.tasks) * 1.55 + 0.3)
    grid = figure.subplots(lines * len(numbers.tasks), _ACROSS, squeeze=False, sharex=alone, sharey=alone)
    for block, task in enumerate(numbers.tasks):
        panels = grid[block * lines : (block + 1) * lines].ravel()
        for axes in panels[len(variants) :]:
            axes.set_axis_off()
        for place, (axes, variant) in enumerate(zip(panels, variants, strict=False)):
            last = place + _ACROSS >= len(variants)
            _one_in_front(axes, numbers, task, variant)
            if place == 0 or not alone:  # otherwise they share it
                _scale(axes, numbers, task, few=True)
            _relevant(axes, numbers, task, PHASES[1])
            axes.set_title(variant, fontsize=7.5, color=readable(look(variant).colour), pad=3)
            if place == 0 and not alone:
                axes.set_title(f"{task}\n{variant}", fontsize=7.5, pad=3)
            axes.tick_params(labelsize=6.5, labelbottom=last or not alone)
            text = numbers.outcomes.get((task, variant), "no diagnosis").replace(", test", ",\ntest")
            note_lines(axes, text.split("\n"), 15 if last or not alone else 5)
    figure.supxlabel(f"lag in steps\n{_BOTTOM}", fontsize=8)
    figure.supylabel("gradient norm, relative to lag 1", fontsize=8)
    return figure


def _one_in_front(axes: Axes, numbers: Numbers, task: str, variant: str) -> None:
    """Draw the other variants in grey, as one line with gaps, and both phases of one variant in front."""
    others = [np.array(numbers.curve(task, other, PHASES[1])) for other in numbers.variants if other != variant]
    line = np.concatenate([np.append(other, [[np.nan], [np.nan]], axis=1) for other in others], axis=1)
    colour = look(variant).colour
    axes.plot(*line, color=PALE, lw=0.6, zorder=1)
    axes.plot(*numbers.curve(task, variant, PHASES[0]), color=colour, lw=1.0, ls=":")
    axes.plot(*numbers.curve(task, variant, PHASES[1]), color=colour, lw=1.6, zorder=3)


def _scale(axes: Axes, numbers: Numbers, task: str, few: bool) -> None:
    """Give the axes the range that shows all phases and variants of a task."""
    from matplotlib.ticker import MaxNLocator

    data = numbers.data
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(*numbers.limits[task])
    axes.set_xlim(0, max(2, data.loc[data["task"] == task, "lag"].max()))
    log_ticks(axes.yaxis, few=few)


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
    "gradients", TITLE, CAPTION, numbers, draw, ("gradients",), a_family_for_each_task, most=3, command="runs.inside"
)
