"""Mean scores against one hyperparameter, averaged over all others: figure 4 of Greff et al. 2017."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from .. import words
from ..tables.importance import LOSS, SCORE
from .choice import Axis, axis_of, hyperparameters_in, records_of, tasks_in, variants_in
from .entry import Entry
from .importance import TOO_FEW, axis_along_x, loss_axis, with_bands
from .look import BACK, GREY, look, new_figure, page, styled
from .pieces import LINE, TALLEST, counts_text, empty, log_ticks, readable, room_for, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "What each hyperparameter does"
CAPTION = (
    "Which values of a hyperparameter are good? The mean score against one hyperparameter, averaged over all others "
    "by a surrogate of the trials: a row for each variant, the first variant in grey behind the others. A flat curve "
    "belongs to a hyperparameter that hardly matters. Bands: two standard errors by jackknife. After "
    "figure 4 of Greff et al. 2017."
)
OF_LOSSES = (
    "On a task without a criterion of success: the mean test loss, lower is better, on a log axis; a loss above that "
    "of the best constant answer counts as that loss, and so does a missing one. Greff et al. 2017 show in figure 4 "
    "the error and the time of their trials in the same way; they found the learning rate to matter most, then the "
    "hidden size, and momentum hardly at all."
)
NAMES, GAP = 2.05, 0.16  # inches: left of the panels, and between two of them
HEAD, HEIGHT, BETWEEN, FOOT = 0.32, 0.6, 0.1, 0.45  # inches: of a task, of a panel, below it, below all of a task


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the marginals as in `tables.importance`.
    curves: the same rows with y, low and high. The response `score` stands for the test
        loss on a task without a criterion of success.
    axes: the axis of each hyperparameter.
    losses: label and ends of the axis of losses, by task without a criterion of success.
    counts: the summary of the study.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    curves: pd.DataFrame
    axes: Mapping[str, Axis]
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
    return Numbers(
        marginals,
        curves,
        {name: axis_of(study, name, values[name]) for name in names},
        {task: loss_axis(study, task, curves) for task in tasks if not study.solvable(task)},
        study.summary,
        tasks,
        variants_in(study, marginals),
    )


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a row of panels for each task and variant, a column for each hyperparameter."""
    if not numbers.variants:
        return empty(TOO_FEW)
    sheet = _Sheet(numbers)
    for task in numbers.tasks:
        for variant in numbers.variants:
            for name in numbers.axes:
                axes = sheet.axes(task, variant, name)
                _curves(axes, numbers.of(task, SCORE, name), variant, numbers.variants[0])
                axis_along_x(axes, numbers.axes[name])
                _small_axis(axes, numbers.losses.get(task))
                last = variant == numbers.variants[-1]
                axes.tick_params(labelleft=name == next(iter(numbers.axes)), labelbottom=last)
                if last:
                    axes.set_xlabel(words.spoken(name))
        sheet.names(task)
    return sheet.figure


class _Sheet:
    """A figure with places for panels, which are computed by hand since a layout of so many axes is slow."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        count = len(numbers.axes)
        self.width = (page().width - NAMES - 0.1 - GAP * (count - 1)) / count
        self.height = min(HEIGHT, (TALLEST - HEAD - FOOT) / len(numbers.variants) - BETWEEN)
        self.block = HEAD + len(numbers.variants) * (self.height + BETWEEN) + FOOT
        self.figure = new_figure(page().width, len(numbers.tasks) * self.block)
        self.figure.set_layout_engine("none")

    def axes(self, task: str, variant: str, name: str) -> Axes:
        """Return new axes for a hyperparameter of a variant."""
        across, up = self.figure.get_size_inches()
        left = NAMES + list(self.numbers.axes).index(name) * (self.width + GAP)
        low = self._top(task, variant) - self.height
        return self.figure.add_axes((left / across, low / up, self.width / across, self.height / up))

    def names(self, task: str) -> None:
        """Write the task, and each variant with what became of its trials left of its row."""
        across, up = self.figure.get_size_inches()
        numbers = self.numbers
        loss = numbers.losses.get(task)
        title = f"{words.spoken(task)}: {loss[0] if loss else 'score'}"
        self.figure.text(0.06 / across, (self._top(task) - 0.06) / up, title, fontsize=9, fontweight="bold", va="top")
        facts = records_of(numbers.counts[numbers.counts["task"] == task])
        for variant in numbers.variants:
            middle, room = self._top(task, variant) - self.height / 2, room_for(NAMES - 0.35)
            texts = [wrapped(variant, room), "\n".join(wrap(counts_text(facts[variant]), room))]
            lines = [text.count("\n") + 1 for text in texts]
            shown = len(texts) if LINE * sum(lines) <= self.height + BETWEEN else 1
            top = middle + LINE * sum(lines[:shown]) / 2
            colours = (readable(look(variant).colour), GREY)
            for text, colour, size in list(zip(texts, colours, lines, strict=True))[:shown]:
                looks: dict[str, Any] = {"color": colour, "ha": "right", "va": "top", "linespacing": 1.0}
                self.figure.text((NAMES - 0.33) / across, top / up, text, **looks)
                top -= LINE * size

    def _top(self, task: str, variant: str = "") -> float:
        """Return the top of a task, or of the row of a variant, in inches."""
        top = float(self.figure.get_size_inches()[1]) - self.numbers.tasks.index(task) * self.block
        if not variant:
            return top
        return top - HEAD - self.numbers.variants.index(variant) * (self.height + BETWEEN)


def _curves(axes: Axes, here: pd.DataFrame, variant: str, first: str) -> None:
    """Draw the curve of a variant with its band, and that of the first variant in grey behind it."""
    if variant != first:
        behind = here[here["variant"] == first]
        axes.plot(behind["value"], behind["y"], color=BACK, lw=1.0, zorder=2.5)
    mine, colour = here[here["variant"] == variant], look(variant).colour
    if len(mine):
        axes.plot(mine["value"], mine["y"], color=colour, zorder=3)
        axes.fill_between(mine["value"], mine["low"], mine["high"], color=colour, alpha=0.2, lw=0, zorder=2)


def _small_axis(axes: Axes, loss: tuple[str, float, float] | None) -> None:
    """Give the y axis of a small panel its ends: scores from 0 to 1, or losses on a log axis."""
    if loss is None:
        axes.set_ylim(-0.05, 1.05)
        axes.set_yticks([0, 0.5, 1], ["0", "", "1"])
        return
    axes.set_yscale("log")
    axes.set_ylim(*loss[1:])
    log_ticks(axes.yaxis, labels=4)


def _rows(variants: int, tasks: int) -> int:
    """Return rows of panels."""
    return variants * tasks


FIGURE = Entry("marginals", TITLE, CAPTION, numbers, draw, ("marginals",), rows=_rows, most=12, of_losses=OF_LOSSES)
