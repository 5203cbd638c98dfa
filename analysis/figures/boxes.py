"""The test losses of all trials and of the best decile, after figure 3 of Greff et al. 2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..goals import UNKNOWN, Goal
from ..statistics.best import best_decile
from .choice import Line, lines_of, losses_of, quantiles, records_of
from .entry import EVIDENCE, Entry, a_row_for_each_pair
from .look import GREY, INK, Look, look, page, styled
from .pieces import (
    counts_of,
    level_lines,
    linear_ticks,
    log_ticks,
    names_above,
    readable,
    right_heads,
    right_of_row,
    row_axis,
    row_names,
    row_panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Test loss of all trials and of the best decile"
CAPTION = (
    "How good are the trials of a variant, and how much do they scatter? Further left is better. Dots are trials: "
    "filled if solved, hollow if not, crosses if diverged; those that diverged before any loss was measured stand at "
    "“no loss”. Boxes: quartiles, with the median as a line and the range as whiskers, from five trials on; diamonds:"
    " geometric means. Solved is decided by the criterion of the task, which may be an accuracy, so filled dots can "
    "lie on either side of the line “score 1”. The best decile (solved trials first, by steps to solve, then by "
    "validation loss) has a panel where it has five trials; beside it stands the mean number of its parameters. After"
    " figure 3 of Greff et al. 2017."
)
OF_LOSSES = (
    "On a task without a criterion of success diamonds are arithmetic means, crosses are also trials that exploded, "
    "and a trial whose loss is above that of the best constant answer stands with those without a loss. Dotted: "
    "floor, reference and the best model of the last few inputs. Greff et al. 2017 show in figure 3 all trials of a "
    "variant and the best tenth of them; they found that no variant does significantly better than their LSTM, and "
    "that leaving out the forget gate or the output activation does significantly worse."
)
SUBSETS = ("all trials", "best decile")
FEWEST_IN_A_BOX = 5  # trials, for quartiles
COLUMNS = ["task", "variant", "subset", "point", "status", "test_loss", "decile_parameters"]
LINEAR = 3.0  # times the lowest loss: an axis that ends below it is linear where losses are of no log scale
_ROW = 0.34  # inches


class Scale(NamedTuple):
    """The axis of a panel: ends, where trials without a loss stand, whether there are any, and whether it is linear.

    limit: the loss from which on a trial stands with those that have none; infinite where there is no limit.
    """

    low: float
    high: float
    no_loss: float
    lost: bool
    linear: bool = False
    limit: float = np.inf

    @property
    def last_tick(self) -> float:
        """The largest loss that may have a tick, so that it does not run into the words `no loss`."""
        return self.moved(self.no_loss, -0.1) if self.lost else np.inf

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the axis, with a margin."""
        return self.moved(self.low, -0.05), self.moved(self.no_loss, 0.06 if self.lost else 0.0)

    def moved(self, x: float, share: float) -> float:
        """Return the place that lies a share of the axis right of x."""
        if self.linear:
            return x + share * max(self.high - self.low, 1e-9)
        return float(x * np.exp(share * max(float(np.log(self.high / self.low)), 0.5)))


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per dot; `test_loss` is missing where none was measured.
    x: where each dot of `data` stands.
    boxes: one row per (task, subset, variant) with trials: whislo, q1, med, q3, whishi and mean (geometric); quartiles
        need five trials.
    scales: the axis of each (task, subset).
    levels: by task, what losses are held against.
    labels: by task, that of the axis.
    counts: the summary of the study.
    tasks, variants: from top to bottom.
    """

    data: pd.DataFrame
    x: np.ndarray
    boxes: pd.DataFrame
    scales: Mapping[tuple[str, str], Scale]
    levels: Mapping[str, Sequence[Line]]
    labels: Mapping[str, str]
    counts: pd.DataFrame
    tasks: list[str]
    variants: list[str]


def numbers(study: Study) -> Numbers:
    """Test losses of all trials and of the best decile, with their quartiles and geometric means.

    Losses are in the unit of the task. A trial whose loss is above `Goal.limit`, on a task without a criterion
    of success, stands where those without a loss do.
    """
    parts, places, boxes, scales = [], [], [], {}
    for task in study.tasks:
        trials = study.trials[study.trials["task"] == task]
        counts = study.summary[study.summary["task"] == task]
        groups, goal = dict(tuple(trials.groupby("variant"))), study.goals.get(task, UNKNOWN)
        for subset in SUBSETS:
            chosen = {v: _subset(groups[v], subset) for v in study.variants if v in groups}
            shown = pd.concat(chosen.values()) if chosen else trials
            scale = scales[task, subset] = _scale(_losses(shown, goal), _losses(trials, goal), goal)
            for variant, own in chosen.items():
                losses = _losses(own, goal)
                x = np.where(np.isinf(losses), scale.no_loss, losses)
                parameters = float(records_of(counts)[variant]["decile_parameters"])
                boxes.append(
                    {
                        "task": task,
                        "subset": subset,
                        "variant": variant,
                        **_box(x, arithmetic=not goal.solvable),
                    }
                )
                parts.append(own.assign(subset=subset, decile_parameters=parameters))
                places.append(x)
    data = pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)
    x = np.concatenate(places) if places else np.zeros(0)
    facts = study.summary, study.tasks, study.variants
    lines = lines_of(study)
    labels = {task: study.goals.get(task, UNKNOWN).label("test loss") for task in study.tasks}
    return Numbers(data, x, pd.DataFrame(boxes), scales, lines, labels, *facts)


def _losses(trials: pd.DataFrame, goal: Goal) -> np.ndarray:
    """Return test losses in the unit, infinite for a trial without one or, without a criterion, beyond the limit."""
    losses = losses_of(trials["test_loss"])
    beyond = losses > goal.limit  # never where there is no limit
    return goal.scale * np.where(beyond, np.inf, losses)


def _subset(trials: pd.DataFrame, subset: str) -> pd.DataFrame:
    return trials if subset == SUBSETS[0] else trials.iloc[best_decile(trials["order"])]


def _scale(losses: np.ndarray, of_task: np.ndarray, goal: Goal) -> Scale:
    """Return the axis that shows the losses of a panel; without any the losses of its task, without these a decade."""
    candidates = (losses[np.isfinite(losses)], of_task[np.isfinite(of_task)], np.array([0.1, 1.0]))
    seen = next(values for values in candidates if len(values))
    low, high = float(seen.min()), float(seen.max())
    if not goal.solvable:  # what the losses are held against is in view
        against = [goal.scale * loss for loss in (goal.floor, goal.reference) if np.isfinite(loss)]
        low, high = min(low, *against), max(high, *against)
    limit = goal.scale * goal.limit if np.isfinite(goal.limit) else np.inf
    linear = not goal.solvable and high < LINEAR * low
    scale = Scale(low, high, high, bool(np.isinf(losses).any()), linear, limit)
    return scale._replace(no_loss=scale.moved(high, 0.09))


def _box(x: np.ndarray, *, arithmetic: bool = False) -> dict[str, float]:
    """Return range, quartiles and mean, by default the geometric one; the names are those of `Axes.bxp`."""
    if len(x) < FEWEST_IN_A_BOX:
        return {}
    q1, median, q3 = quantiles(x, (0.25, 0.5, 0.75))
    mean = x.mean() if arithmetic else np.exp(np.log(x).mean())
    return {"whislo": x.min(), "q1": q1, "med": median, "q3": q3, "whishi": x.max(), "mean": mean}


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw boxes and dots, a row for each variant; all trials left, the best decile right."""
    tasks, variants = numbers.tasks, numbers.variants
    lines = max((len(lines) for lines in numbers.levels.values()), default=0)
    subsets = SUBSETS if _has_boxes(numbers, SUBSETS[1]) else SUBSETS[:1]
    around = 0.75 + 0.14 * lines
    figure, grid, two_lines = row_panels(dict.fromkeys(tasks, variants), _ROW, around, columns=len(subsets))
    for row, task in zip(grid, tasks, strict=True):
        for axes, subset in zip(row, subsets, strict=True):
            _frame(axes, numbers, task, subset)
            _rows(axes, numbers, task, subset)
        counts = numbers.counts[numbers.counts["task"] == task]
        row_names(row, variants, counts_of(counts, variants), two_lines=two_lines)
        _parameters(row[-1], counts, variants)
    return figure


def _has_boxes(numbers: Numbers, subset: str) -> bool:
    """Return whether any variant has enough trials in a subset for a box."""
    sizes = numbers.data[numbers.data["subset"] == subset].groupby(["task", "variant"]).size()
    return bool((sizes >= FEWEST_IN_A_BOX).any())


def _frame(axes: Axes, numbers: Numbers, task: str, subset: str) -> None:
    """Draw axes, ticks and title, and the line at which trials without a loss stand."""
    scale, count = numbers.scales[task, subset], len(numbers.variants)
    axes.set_xscale("linear" if scale.linear else "log")
    axes.set_xlim(*scale.ends)
    row_axis(axes, count)
    if scale.linear:
        linear_ticks(axes.xaxis, most=scale.last_tick)
    else:
        log_ticks(axes.xaxis, most=scale.last_tick)
    if scale.lost:
        axes.axvline(scale.no_loss, color=GREY, lw=0.5, zorder=1)
        where: dict[str, Any] = {
            "transform": axes.get_xaxis_transform(),
            "ha": "center",
            "va": "top",
            "linespacing": 1.0,
        }
        text = "no\nloss" if np.isinf(scale.limit) else f"none or\n> {scale.limit:.3g}"
        axes.text(scale.no_loss, -0.04 / (_ROW * count), text, color=GREY, **where)
    lines = numbers.levels.get(task, ())
    level_lines(axes, lines, along="x")
    axes.set_title(f"{words.spoken(task)}, {subset}", pad=5 + 10 * names_above(axes, lines))
    axes.set_xlabel(numbers.labels.get(task, "test loss"), labelpad=2 + 9 * scale.lost)


def _rows(axes: Axes, numbers: Numbers, task: str, subset: str) -> None:
    data, boxes = numbers.data, numbers.boxes
    inside = axes.get_yaxis_transform()
    for y, variant in enumerate(numbers.variants):
        chosen = (data["task"] == task) & (data["subset"] == subset) & (data["variant"] == variant)
        if not chosen.any():
            axes.text(0.5, y, "no trials", transform=inside, ha="center", va="center", color=GREY)
            continue
        keys = zip(("task", "subset", "variant"), (task, subset, variant), strict=True)
        box = boxes[np.logical_and.reduce([boxes[name] == value for name, value in keys])].iloc[0]
        if chosen.sum() >= FEWEST_IN_A_BOX:
            _draw_box(axes, dict(box.items()), y, look(variant).colour)
        _dots(axes, data.loc[chosen, "status"].to_numpy(), numbers.x[chosen.to_numpy()], y, look(variant))


def _draw_box(axes: Axes, box: dict[Any, Any], y: float, colour: str) -> None:
    line = {"color": colour, "linewidth": 0.8}
    diamond = {"marker": "D", "markersize": 3.4, "markerfacecolor": "white", "markeredgecolor": INK}
    axes.bxp(
        [box],
        positions=[y],
        widths=0.62,
        orientation="horizontal",
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.28, "edgecolor": colour, "linewidth": 0.8},
        whiskerprops=line,
        capprops=line,
        medianprops={"color": readable(colour), "linewidth": 1.8},
        meanprops={**diamond, "markeredgewidth": 0.7},
        zorder=2.5,
    )


def _dots(axes: Axes, status: np.ndarray, x: np.ndarray, y: float, own: Look) -> None:
    """Draw trials around a row; heights follow the golden ratio, so that the drawing is the same every time."""
    heights = y + 0.5 * ((np.arange(len(x)) * 0.6180339887 + 0.5) % 1 - 0.5)
    size = 11 if len(x) <= 60 else 4
    common: dict[str, Any] = {"zorder": 3, "linewidths": 0.6, "rasterized": len(x) > 300}
    solved, crossed = status == "solved", np.isin(status, ("diverged", "exploded"))
    hollow = ~solved & ~crossed
    filled = {**common, "linewidths": 0.2, "color": own.colour, "edgecolors": "white"}
    axes.scatter(x[solved], heights[solved], s=size, **filled)
    axes.scatter(x[hollow], heights[hollow], s=size, facecolors="none", edgecolors=own.colour, **common)
    axes.scatter(x[crossed], heights[crossed], s=size * 1.3, marker="x", color=own.colour, **common)


def _parameters(axes: Axes, counts: pd.DataFrame, variants: list[str]) -> None:
    """Write the mean parameters of the best decile right of the rows."""
    facts = records_of(counts)
    right_heads(axes, (6,), ("parameters",))
    for y, variant in enumerate(variants):
        text = words.count(facts[variant].get("decile_parameters", np.nan))
        right_of_row(axes, f"{text} parameters" if page().narrow else text, y, colour=GREY)


FIGURE = Entry(
    "boxes",
    TITLE,
    CAPTION,
    numbers,
    draw,
    rows=a_row_for_each_pair,
    most=32,
    of_losses=OF_LOSSES,
    part_of_losses=EVIDENCE,
)
