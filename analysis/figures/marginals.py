"""Mean scores and times against one hyperparameter, averaged over all others: figure 4 of Greff et al. 2017."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..tables.importance import LOSS, SCORE
from .choice import Axis, axis_of, hyperparameters_in, tasks_in, variants_in
from .entry import MOST_CURVES, Entry, a_family_for_each_task
from .importance import TOO_FEW, axis_along_x, loss_axis, with_bands
from .look import GREY, PALE, WIDTH, look, new_figure, styled
from .pieces import counts_text, empty, label_ends, log_ticks, note_counts, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "What each hyperparameter does"
CAPTION = (
    "Mean score, and seconds of a trial, against one hyperparameter, averaged over all others by a surrogate of "
    "the trials. Bands: two standard errors by jackknife (scores). With more than six variants each has a row, "
    "with the others in grey. After figure 4 of Greff et al. 2017."
)
OF_LOSSES = (
    "On a task without a criterion of success: the mean test loss, lower is better, on a log axis; a loss above that "
    "of the best constant answer counts as that loss, and so does a missing one. Greff et al. 2017 show in "
    "figure 4 the error and the time of their trials in the same way; they found the learning rate to matter most, "
    "then the hidden size, and momentum hardly at all."
)
RESPONSES = ("score", "seconds")  # from the top
_HEIGHTS = {"score": 1.55, "seconds": 1.15}  # inches


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the marginals as in `tables.importance`.
    curves: the same rows with y, low and high in the units of the response. The response `score` stands for the test
        loss on a task without a criterion of success.
    axes: the axis of each hyperparameter.
    limits: by task, the ends of the axis of the seconds.
    losses: label and ends of the axis of losses, by task without a criterion of success.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    curves: pd.DataFrame
    axes: Mapping[str, Axis]
    limits: Mapping[str, tuple[float, float]]
    losses: Mapping[str, tuple[str, float, float]]
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]

    def of(self, task: str, response: str, name: str) -> pd.DataFrame:
        """Return the curves of all variants in one panel."""
        curves = self.curves
        chosen = (curves["task"] == task) & (curves["response"] == response) & (curves["hyperparameter"] == name)
        return curves[chosen].sort_values("value", kind="stable")


def numbers(study: Study, marginals: pd.DataFrame) -> Numbers:
    """Return marginal curves with bands of two standard errors; marginals: of `tables.importance`."""
    names, tasks = hyperparameters_in(study, marginals["hyperparameter"]), tasks_in(study, marginals)
    curves = with_bands(marginals) if len(marginals) else marginals
    values = {name: marginals.loc[marginals["hyperparameter"] == name, "value"] for name in names}
    curves = curves.assign(response=curves["response"].replace(LOSS, SCORE)) if len(curves) else curves
    seconds = marginals[marginals["response"] == "seconds"]
    return Numbers(
        marginals,
        curves,
        {name: axis_of(study, name, values[name]) for name in names},
        {task: _limits(seconds.loc[seconds["task"] == task, "mean"]) for task in tasks},
        {task: loss_axis(study, task, curves) for task in tasks if not study.solvable(task)},
        study.summary,
        tasks,
        variants_in(study, marginals),
    )


def _limits(logarithms: pd.Series) -> tuple[float, float]:
    """Return ends of an axis that shows all means, with a margin."""
    low, high = logarithms.min(), logarithms.max()
    return float(np.exp(low - 0.15 * (high - low) - 0.1)), float(np.exp(high + 0.15 * (high - low) + 0.1))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw up to six variants in shared panels, scores above seconds; more in a row each, scores alone."""
    if not numbers.variants:
        return empty(TOO_FEW)
    return (_a_row_each if len(numbers.variants) > MOST_CURVES else _together)(numbers)


def _together(numbers: Numbers) -> Figure:
    tasks, variants, names = numbers.tasks, numbers.variants, list(numbers.axes)
    heights = [*_HEIGHTS.values()] * len(tasks)
    note = 0.13 + 0.115 * len(variants)
    figure = new_figure(WIDTH, len(tasks) * (sum(_HEIGHTS.values()) + 0.95 + note))
    grid = figure.subplots(len(heights), len(names), squeeze=False, height_ratios=heights)
    for row, (task, response) in zip(grid, [(t, r) for t in tasks for r in RESPONSES], strict=True):
        for axes, name in zip(row, names, strict=True):
            ends = [_curve(axes, one, str(v), v == variants[0]) for v, one in _curves(numbers.of(task, response, name))]
            axis_along_x(axes, numbers.axes[name])
            _response_axis(axes, response, name, numbers.limits[task], numbers.losses.get(task))
            axes.tick_params(labelleft=name == names[0])
            if name == names[-1]:
                label_ends(axes, ends, _HEIGHTS[response])
        loss = numbers.losses.get(task)
        row[0].set_ylabel("seconds per trial" if response == "seconds" else (loss or ("score",))[0])
        if response == "score":
            row[0].set_title(task)
        else:
            counts = numbers.counts
            note_counts(row[0], counts[(counts["task"] == task) & counts["variant"].isin(variants)])
    return figure


def _curves(here: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    return list(here.groupby("variant", sort=False))


def _curve(axes: Axes, one: pd.DataFrame, variant: str, in_front: bool) -> tuple[str, float, float]:
    """Draw a curve with its band; returns its name and its last place."""
    own = look(variant)
    axes.plot(one["value"], one["y"], color=own.colour, ls=own.dash, zorder=3.5 if in_front else 3)
    axes.fill_between(one["value"], one["low"], one["high"], color=own.colour, alpha=0.1, lw=0, zorder=2)
    return variant, float(one["value"].iloc[-1]), float(one["y"].iloc[-1])


def _response_axis(
    axes: Axes, response: str, name: str, limits: tuple[float, float], loss: tuple[str, float, float] | None
) -> None:
    if response == "score":
        if loss:
            axes.set_yscale("log")
            log_ticks(axes.yaxis)
        axes.set_ylim(*(loss[1:] if loss else (-0.03, 1.03)))
        axes.tick_params(labelbottom=False)
    else:
        axes.set_yscale("log")
        axes.set_ylim(*limits)
        log_ticks(axes.yaxis)
        axes.set_xlabel(name.replace("_", " "))


def _a_row_each(numbers: Numbers) -> Figure:
    names = list(numbers.axes)
    rows = [(task, variant) for task in numbers.tasks for variant in numbers.variants]
    figure = new_figure(WIDTH, 0.5 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), len(names), squeeze=False)
    for row, (task, variant) in zip(grid, rows, strict=True):
        for axes, name in zip(row, names, strict=True):
            _one_in_front(axes, numbers.of(task, "score", name), variant)
            axis_along_x(axes, numbers.axes[name])
            _small_axis(axes, numbers.losses.get(task))
            axes.tick_params(labelsize=6.5, labelleft=name == names[0], labelbottom=row is grid[-1])
        _name(row[0], numbers.counts, task, variant)
        if variant == numbers.variants[0]:
            loss = numbers.losses.get(task)
            row[0].set_title(f"{task}: {loss[0]}" if loss else task)
    for axes, name in zip(grid[-1], names, strict=True):
        axes.set_xlabel(name.replace("_", " "))
        axes.tick_params(labelbottom=True)
    return figure


def _small_axis(axes: Axes, loss: tuple[str, float, float] | None) -> None:
    """Give the y axis of a small panel its ends: scores from 0 to 1, or losses on a log axis."""
    if loss is None:
        axes.set_ylim(-0.05, 1.05)
        axes.set_yticks([0, 0.5, 1], ["0", "", "1"])
        return
    axes.set_yscale("log")
    axes.set_ylim(*loss[1:])
    log_ticks(axes.yaxis, few=True)


def _one_in_front(axes: Axes, here: pd.DataFrame, variant: str) -> None:
    """Draw the curves of the other variants in grey, as one line with gaps, and the one of the variant in front."""
    wide = here.pivot(index="u", columns="variant", values=["value", "y"]).drop(
        columns=variant, level=1, errors="ignore"
    )
    gap = pd.DataFrame(np.nan, index=[np.inf], columns=wide.columns)
    lines = pd.concat([wide, gap])
    axes.plot(lines["value"].to_numpy().T.ravel(), lines["y"].to_numpy().T.ravel(), color=PALE, lw=0.6, zorder=1)
    mine, own = here[here["variant"] == variant], look(variant)
    if len(mine):
        axes.plot(mine["value"], mine["y"], color=own.colour, ls=own.dash, zorder=3)
        axes.fill_between(mine["value"], mine["low"], mine["high"], color=own.colour, alpha=0.2, lw=0, zorder=2)


def _name(axes: Axes, counts: pd.DataFrame, task: str, variant: str) -> None:
    """Write the variant with N, solved and diverged left of its row."""
    row = counts[(counts["task"] == task) & (counts["variant"] == variant)].iloc[0]
    text = counts_text({**row, "failed": 0})
    for line, up, size, colour in ((variant, 5, 7, readable(look(variant).colour)), (text, -5, 5.5, GREY)):
        where: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (-18, up), "textcoords": "offset points"}
        axes.annotate(line, (0, 0.5), ha="right", va="center", fontsize=size, color=colour, **where)


FIGURE = Entry(
    "marginals", TITLE, CAPTION, numbers, draw, ("marginals",), a_family_for_each_task, 2, of_losses=OF_LOSSES
)
