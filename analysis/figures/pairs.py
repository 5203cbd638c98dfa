"""Mean scores over two hyperparameters of one variant, averaged over the others: figure 6 of Greff et al. 2017."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..tables.importance import SCORE, error_text, share_text
from .choice import Axis, axis_of, hyperparameters_in, tasks_in, variants_in
from .entry import Entry, a_panel_for_each_task
from .importance import TOO_FEW, axis_along_x, loss_axis, with_bands
from .look import GREY, VALUES, look, new_figure, styled
from .pieces import counts_text, empty, log_ticks, note_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Pairs of hyperparameters"
CAPTION = (
    "Do the hyperparameters of the baseline depend on each other? Below the diagonal the mean score over two of them,"
    " averaged over the others, from 0 (pale) to 1 (dark): stripes along an axis say that each can be tuned by "
    "itself. On the diagonal the mean score against one; above it the share of the variance of the score that only "
    "the two together explain, ± standard error (one digit below 100 trials). In the title the share of the variance "
    "that a model of the trials explains of trials it has not seen (R²). After figure 6 of Greff et al. 2017."
)
OF_LOSSES = (
    "On a task without a criterion of success: the mean test loss on a log scale, low is dark. Greff et al. 2017 "
    "found that hyperparameters hardly interact."
)


class Numbers(NamedTuple):
    """The numbers of the figure, of one variant.

    data: the surfaces as in `tables.importance`.
    curves: marginal curves of the score, with y, low and high.
    shares: by (task, term), share of the variance of the score and its error; a term is a hyperparameter or a pair.
    axes: the axis of each hyperparameter.
    edges: by hyperparameter, its values at the edges of the squares of a surface.
    counts: rows of the summary.
    tasks: from the top.
    variant: None where there are too few trials.
    losses: label and ends of the axis of losses, by task without a criterion of success.
    """

    data: pd.DataFrame
    curves: pd.DataFrame
    shares: pd.DataFrame
    axes: Mapping[str, Axis]
    edges: Mapping[str, np.ndarray]
    counts: pd.DataFrame
    tasks: list[str]
    variant: str | None
    losses: Mapping[str, tuple[str, float, float]]

    def term(self, task: str, first: str, second: str | None = None) -> pd.Series:
        """Return share and error of a hyperparameter or a pair, in either order."""
        names = {first} if second is None else {f"{first} × {second}", f"{second} × {first}"}
        return self.shares[(self.shares["task"] == task) & self.shares["term"].isin(names)].iloc[0]

    def surface(self, task: str, across: str, up: str) -> np.ndarray:
        """Return mean scores [up, across] of a pair of hyperparameters, in either order."""
        data = self.data[self.data["task"] == task]
        chosen, index, columns = (data["first"] == across) & (data["second"] == up), "u_second", "u_first"
        if not chosen.any():
            chosen, index, columns = (data["first"] == up) & (data["second"] == across), "u_first", "u_second"
        return data[chosen].pivot(index=index, columns=columns, values="mean").to_numpy()


def numbers(study: Study, marginals: pd.DataFrame, shares: pd.DataFrame, surfaces: pd.DataFrame) -> Numbers:
    """Return surfaces, marginal curves and shares of the first variant that has them, the baseline if it has.

    marginals, shares, surfaces: of `tables.importance`.
    """
    variant = next(iter(variants_in(study, shares)), None)
    data, curves, own = (frame[frame["variant"] == variant] for frame in (surfaces, marginals, shares))
    if variant:
        curves = with_bands(curves).assign(response=SCORE)
    names = hyperparameters_in(study, own.loc[own["order"] == 1, "term"])
    values = {name: curves.loc[curves["hyperparameter"] == name, "value"] for name in names}
    return Numbers(
        data,
        curves,
        own,
        {name: axis_of(study, name, values[name]) for name in names},
        {name: _edges(study, name, data["u_first"].nunique()) for name in names},
        study.summary[study.summary["variant"] == variant],
        tasks_in(study, own),
        variant,
        {task: loss_axis(study, task, curves) for task in tasks_in(study, own) if not study.solvable(task)},
    )


def _edges(study: Study, name: str, squares: int) -> np.ndarray:
    """Return values at the edges of squares of equal width in the unit cube; whole numbers are not rounded there."""
    dimension = replace(study.design.space[name], integer=False)
    return np.array([dimension.value(float(u)) for u in np.linspace(0, 1, squares + 1)])


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a square of panels for each task, a row and a column for each hyperparameter."""
    if numbers.variant is None:
        return empty(TOO_FEW)
    tasks, count = numbers.tasks, len(numbers.axes)
    side = min(1.7, 6.2 / count)
    figure = new_figure(count * side + 1.1, len(tasks) * (count * side + 0.75))
    grid = figure.subplots(len(tasks) * count, count, squeeze=False)
    for block, task in enumerate(tasks):
        square = grid[block * count : (block + 1) * count]
        _square(square, numbers, task)
        fit = numbers.term(task, next(iter(numbers.axes)))
        explained = f"{100 * max(fit['r2'], 0):.0f} %"
        loss = f": {numbers.losses[task][0]}" if task in numbers.losses else ""
        square[0, 0].set_title(f"{words.spoken(task)}, {words.spoken(numbers.variant)}, {explained} explained{loss}")
        counts = numbers.counts[numbers.counts["task"] == task]
        note_below(square[-1, 0], counts_text(counts.iloc[0]), 30)
    return figure


def _square(square: np.ndarray, numbers: Numbers, task: str) -> None:
    names = list(numbers.axes)
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            axes = square[i, j]
            if i == j:
                _diagonal(axes, numbers, task, row)
            elif j < i:
                _surface(axes, numbers, task, column, row)
            else:
                term = numbers.term(task, row, column)
                share = share_text(term["of_score"], term["trials"])
                text = f"interaction\n{share} ± {error_text(term['of_score_error'], term['trials'])}"
                axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
                axes.set_axis_off()
            if i == len(names) - 1:
                axes.set_xlabel(words.spoken(column))
            else:
                axes.tick_params(labelbottom=False)
            if j == 0 and i > 0:
                axes.set_ylabel(words.spoken(row))
            elif j != i:
                axes.tick_params(labelleft=False)


def _diagonal(axes: Axes, numbers: Numbers, task: str, name: str) -> None:
    """Draw the marginal curve of a hyperparameter, and write the share that it explains alone."""
    curves, colour = numbers.curves, look(str(numbers.variant)).colour
    one = curves[(curves["task"] == task) & (curves["hyperparameter"] == name)].sort_values("value", kind="stable")
    axes.plot(one["value"], one["y"], color=colour)
    axes.fill_between(one["value"], one["low"], one["high"], color=colour, alpha=0.18, lw=0)
    if task in numbers.losses:
        axes.set_yscale("log")
        axes.set_ylim(*numbers.losses[task][1:])
        log_ticks(axes.yaxis)
    else:
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_ticks_position("right")
    axes.spines["right"].set_visible(True)
    axes.spines["left"].set_visible(False)
    axis_along_x(axes, numbers.axes[name])
    term = numbers.term(task, name)
    text = f"{share_text(term['of_score'], term['trials'])} alone"
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", color=GREY)


def _surface(axes: Axes, numbers: Numbers, task: str, across: str, up: str) -> None:
    """Draw the mean score over two hyperparameters, from 0 (pale) to 1 (dark)."""
    x, y = numbers.edges[across], numbers.edges[up]
    looks: dict[str, Any] = {"cmap": VALUES, "vmin": 0, "vmax": 1}
    if task in numbers.losses:
        low, high = np.log(numbers.losses[task][1:])
        looks = {"cmap": f"{VALUES}_r", "vmin": low, "vmax": high}
    means = numbers.surface(task, across, up)
    axes.pcolormesh(x, y, np.log(means.clip(1e-9)) if task in numbers.losses else means, rasterized=True, **looks)
    axes.grid(visible=False)
    axes.set_xscale("log" if numbers.axes[across].log else "linear")
    axes.set_yscale("log" if numbers.axes[up].log else "linear")
    axes.set_xlim(x.min(), x.max())
    axes.set_ylim(y.min(), y.max())
    for axis, name in ((axes.xaxis, across), (axes.yaxis, up)):
        if numbers.axes[name].log:
            log_ticks(axis, labels=4)


FIGURE = Entry(
    "pairs",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("marginals", "shares", "surfaces"),
    rows=a_panel_for_each_task,
    most=1,
    of_losses=OF_LOSSES,
)
