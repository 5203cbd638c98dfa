"""Training and validation loss of the best decile against the epochs: how far they come apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.best import best_decile
from ..tables.gaps import in_epochs
from .choice import Line, lines_of, quantiles, tasks_in
from .entry import Entry, a_page_for_each_task
from .learning_curves import settled, steps_of
from .look import look, styled
from .pieces import empty, level_lines, names_beside, note_above, note_below
from .small_multiples import Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..goals import Goal
    from ..study import Study

TITLE = "Training and validation loss"
CAPTION = (
    "Which variants learn their training set by heart? The best decile of each variant: median validation loss (line)"
    " and median training loss (dashed) at each look; a validation line that rises again while the dashed one falls "
    "is over-fitting. A trial that stopped keeps its last losses. Diamond: the lowest point of the validation line. "
    "Below each panel the mean gap between the two losses, at the best look of each trial and at the last one. The "
    "training loss is the mean over the epoch before the look, with input noise where the trial has it, and while the"
    " parameters still change, so that a gap can be negative. Dotted: floor, reference and the best model of the last"
    " few inputs."
)
HEIGHT = 1.15  # inches of a panel
KINDS = ("training", "validation")


class Numbers(NamedTuple):
    """The numbers of the figure, of one task or of several.

    data: one row per place on a curve: task, variant, kind (training or validation), epoch, loss, and number of trials.
    gaps: of `tables.gaps`.
    lines: by task, what losses are held against.
    goals: by task.
    tasks, variants: in the order of the study.
    """

    data: pd.DataFrame
    gaps: pd.DataFrame
    lines: Mapping[str, Sequence[Line]]
    goals: Mapping[str, Goal]
    tasks: list[str]
    variants: list[str]


def numbers(study: Study, gaps: pd.DataFrame) -> Numbers:
    """Return median losses of the best decile at each epoch; gaps: of `tables.gaps`."""
    shown, parts = in_epochs(study.trials), []
    for row in gaps.to_dict("records"):
        own = shown[(shown["task"] == row["task"]) & (shown["variant"] == row["variant"])]
        best = own.iloc[best_decile(own["order"])]
        scale = study.goals[row["task"]].scale
        for kind, column in zip(KINDS, ("train_losses", "curve_losses"), strict=True):
            place = {"task": row["task"], "variant": row["variant"], "kind": kind}
            parts.append(_medians(best, column, scale).assign(**place))
    columns = ["task", "variant", "kind", "epoch", "loss", "trials"]
    data = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    variants = [variant for variant in study.variants if variant in set(data["variant"])]
    return Numbers(data, gaps, lines_of(study), study.goals, tasks_in(study, data), variants)


def _medians(best: pd.DataFrame, column: str, scale: float) -> pd.DataFrame:
    """Return the median loss of trials at each look, in the unit; a trial that stopped keeps its last loss."""
    epochs = steps_of(best)
    losses = settled(best.assign(curve_losses=best[column], status="finished"), epochs)
    middle = scale * quantiles(losses, (0.5,))[0]
    there = np.isfinite(middle)
    return pd.DataFrame({"epoch": epochs[there], "loss": middle[there], "trials": len(best)})


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a panel for each variant of each task."""
    if not numbers.variants:
        return empty("no losses on a training set")
    sheet = Sheet(numbers.tasks, numbers.variants, HEIGHT, "epochs", notes=3, named=True)
    for task in numbers.tasks:
        for variant in numbers.variants:
            axes = sheet.axes(task, variant)
            _panel(axes, numbers, task, variant)
            lines = numbers.lines.get(task, ())
            level_lines(axes, lines)
            if sheet.is_last(variant):
                names_beside(axes, lines, HEIGHT)
        sheet.frame(task, words.spoken(task), numbers.goals[task].label("loss"))
    return sheet.figure


def _panel(axes: Axes, numbers: Numbers, task: str, variant: str) -> None:
    """Draw both curves of a variant, its lowest validation loss and its gaps."""
    data, goal, own = numbers.data, numbers.goals[task], look(variant)
    of_task = data[data["task"] == task]
    for kind, dash in zip(KINDS, ((0, (3, 1.2)), "-"), strict=True):
        one = of_task[(of_task["variant"] == variant) & (of_task["kind"] == kind)]
        axes.plot(one["epoch"], one["loss"], color=own.colour, ls=dash, lw=1.2, zorder=3)
        if kind == "validation" and len(one):
            lowest = one.iloc[int(one["loss"].to_numpy().argmin())]
            axes.plot(lowest["epoch"], lowest["loss"], marker="D", ms=4, mfc="white", mec=own.colour, zorder=4)
    low, high = goal.axis(of_task.groupby(["variant", "kind"])["loss"].min())
    axes.set_ylim(low, high + 0.12 * (high - low))
    note_above(axes)
    gap = numbers.gaps[(numbers.gaps["task"] == task) & (numbers.gaps["variant"] == variant)].to_dict("records")
    if gap and gap[0]["trials"]:
        best, end = (words.signed(gap[0][f"gap_{when}"], "loss") for when in ("best", "end"))
        note_below(axes, f"gap at best {best}\nat the end {end}\n{words.trials(int(gap[0]['trials']))}", 15)
    axes.locator_params(axis="x", integer=True, nbins=3)


FIGURE = Entry(
    "over_fitting", TITLE, CAPTION, numbers, draw, needs=("gaps",), rows=a_page_for_each_task, of_curves=True
)
