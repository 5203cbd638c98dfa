"""What each part of a cell is worth, and how much each pair of parts helps each other, as a matrix for each task."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import EASE, QUALITY
from ..tables.comparisons import GUARDS
from ..tables.effects import MAIN, better_is_more
from .entry import ANSWER, MORE, Entry, a_panel_for_each_task
from .look import GREY, new_figure, page, styled
from .pieces import LINE, empty, ink_on, room_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "What each part is worth, and which parts help each other"
READ = (
    "On the diagonal the effect of a part: cells that have it less cells that lack it, all else being the same. Below "
    "the diagonal half of how much larger the effect of the one part is where the other is there: above 0 the two help "
    "each other, below 0 the one can stand in for the other. Bold: told apart from 0, as its 95 % interval, which "
    "holds for all numbers of a task together, excludes it. A dagger: at one corner of the pair hardly "
    "anything is solved, or nearly everything, which alone can make it differ. A star: not told from other effects by "
    "this fraction, see the table of effects. Orange helps, purple harms; the colours of all panels are on one scale."
)
CAPTION = f"Which parts make more settings succeed? In percentage points of the solve rate. {READ}"
OF_LOSSES = (
    "On a task without a criterion of success: effects on the mean test loss of all trials, in the unit of the task, "
    "with the sign turned, so that above 0 the part lowers the loss."
)
ALL_LOSSES = (
    "Which parts lower the test loss? By how much, on average over all trials, in the unit of the task; above 0 the "
    f"part lowers it. {READ}"
)
"""The caption in a study without any criterion of success."""
TUNED_TITLE = "What each part is worth after tuning"
TUNED = f"Which parts make the best of a search of 20 trials better? In hundredths of its expected score. {READ}"
COLOURS = "PuOr_r"  # two hues that all colour blindness keeps apart
NAMES, NARROW_NAMES, MOST = 1.25, 0.98, 0.52  # inches of the names left of a matrix, and of a cell at most
UPRIGHT = 0.066  # inches of height that a letter of a name below a matrix takes


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: the effects that are shown, with `shown`, the effect so that above 0 is better, in what the cells say.
    tasks: from the top.
    names: of the parts, from the top.
    """

    data: pd.DataFrame
    tasks: list[str]
    names: list[str]


def numbers(study: Study, effects: pd.DataFrame) -> Numbers:
    """Return the effects on the solve rate, or on the mean loss where there is none."""
    return _numbers(study, effects, lambda own: EASE if (own["question"] == EASE).any() else QUALITY)


def tuned_numbers(study: Study, effects: pd.DataFrame) -> Numbers:
    """Return the effects on what a search finds."""
    return _numbers(study, effects, lambda own: QUALITY)


def _numbers(study: Study, effects: pd.DataFrame, question_of: Any) -> Numbers:
    parts = []
    for task in study.tasks:
        own = effects[effects["task"] == task]
        if len(own):
            parts.append(own[own["question"] == question_of(own)])
    data = pd.concat(parts) if parts else effects.iloc[:0]
    sign = np.where(data["endpoint"].map(better_is_more).astype(bool), 1.0, -1.0)
    factor = [100.0 if unit in ("%", "") else 1.0 for unit in data["unit"]]
    data = data.assign(shown=data["difference"] * sign * factor)
    return Numbers(
        data, list(dict.fromkeys(data["task"])), list(dict.fromkeys(data.loc[data["kind"] == MAIN, "effect"]))
    )


def part_name(effect: str) -> str:
    """Return the name in words of a main effect.

    >>> part_name("input_gate"), part_name("coupled"), part_name("gating:coupled-own")
    ('input gate', 'coupling of the gates', 'gating: coupled, not own')
    >>> part_name("cell:gru-vanilla"), part_name("network:attention-reader")
    ('GRU, not LSTM', 'attention, not a read-out')
    """
    name, _, levels = effect.partition(":")
    plus, _, minus = levels.partition("-")
    told = f"{level_name(plus, name)}, not {level_name(minus, name)}" if levels else ""
    if levels and name in NAMED_BY_LEVELS:
        return told
    part = "coupling of the gates" if name == "coupled" else words.spoken(name)
    return f"{part}: {told}" if levels else part


NAMED_BY_LEVELS = ("cell", "network")
"""Factors whose levels need no name of the factor beside them: variants, and the networks around them."""


def level_name(level: str, factor: str = "") -> str:
    """Return a level in words: as its study names it, since variants may have names of the same letters.

    factor: whose level it is; those of `NAMED_BY_LEVELS` are variants and networks.

    >>> level_name("coupled"), level_name("no_input_gate", "cell"), level_name("reader", "network")
    ('coupled', 'LSTM without input gate', 'a read-out')
    """
    if factor not in NAMED_BY_LEVELS:
        return level.replace("_", " ")
    return "a read-out" if level == "reader" else words.spoken(level)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a matrix for each task, two beside each other where there is room."""
    if numbers.data.empty:
        return empty("No effect can be computed yet.")
    count, tasks = len(numbers.names), numbers.tasks
    left = NARROW_NAMES if page().narrow else NAMES
    columns = min(page().columns(2), len(tasks))
    cell = min(MOST, (page().width - columns * (left + 0.08)) / columns / count)
    rows, head = -(-len(tasks) // columns), 2.4 * LINE
    foot = UPRIGHT * max(len(part_name(name)) for name in numbers.names) + 0.15
    height = head + count * cell + foot
    width = left + count * cell + 0.08
    figure = new_figure(max(columns * width, 3.0), rows * height)
    figure.set_layout_engine("none")
    across, up = figure.get_size_inches()
    reach = max(float(np.abs(numbers.data["shown"].fillna(0.0)).max()), 1e-9)
    for k, task in enumerate(tasks):
        x, y = (k % columns) * width + left, up - (k // columns) * height - head - count * cell
        axes = figure.add_axes((x / across, y / up, count * cell / across, count * cell / up))
        own = numbers.data[numbers.data["task"] == task]
        _matrix(axes, own, numbers.names, reach)
        title = wrap(words.spoken(task), room_for(width - 0.1))[:2]
        figure.text((x - left + 0.03) / across, (y + count * cell + 0.08) / up, "\n".join(title), fontweight="bold")
    return figure


def _matrix(axes: Axes, own: pd.DataFrame, names: Sequence[str], reach: float) -> None:
    """Draw the effects of one task; reach: the value of the strongest colour."""
    from matplotlib import colormaps

    count = len(names)
    shades, texts = np.full((count, count), np.nan), {}
    for row in own.to_dict("records"):
        at = [names.index(name) for name in str(row["effect"]).split(" x ") if name in names]
        low, high = min(at), max(at)
        shades[high, low] = row["shown"]
        apart = bool(row["low"] * row["high"] > 0) and row["verdict"] not in GUARDS
        marks = ("*" if row["aliases"] else "") + ("†" if row["bound"] and apart else "")
        texts[high, low] = (_text(row["shown"], row["unit"]) + marks, apart)
    axes.imshow(np.ma.masked_invalid(shades), vmin=-reach, vmax=reach, cmap=COLOURS, aspect="auto")
    for (y, x), (text, apart) in texts.items():
        ink = ink_on(colormaps[COLOURS]((shades[y, x] / reach + 1) / 2))
        axes.text(x, y, text, ha="center", va="center", color=ink, fontweight="bold" if apart else "normal")
    for k in range(count):
        axes.add_patch(_frame(k))
    axes.set_xticks(range(count), [part_name(name) for name in names], rotation=90)
    axes.set_yticks(range(count), ["\n".join(wrap(part_name(name), 15 if page().narrow else 20)) for name in names])
    axes.tick_params(length=0, pad=3)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _frame(k: int) -> Any:
    """Return the frame of a cell on the diagonal."""
    from matplotlib.patches import Rectangle

    return Rectangle((k - 0.47, k - 0.47), 0.94, 0.94, fill=False, edgecolor=GREY, linewidth=0.8)


def _text(value: float, unit: str) -> str:
    """Return the number in a cell of a matrix.

    >>> _text(-12.4, "%"), _text(-0.937, "nats per step"), _text(-0.001, "nats")
    ('−12', '−0.94', '0.00')
    """
    if not np.isfinite(value):
        return words.NOTHING
    if unit in ("%", ""):
        return words.signed(value / 100, "%")
    text = f"{value:+.2f}".replace("-", "−")  # there is room for so many characters
    return "0.00" if text[1:] == "0.00" else text


FIGURE = Entry(
    "effect_matrix",
    TITLE,
    CAPTION,
    numbers,
    draw,
    ("effects",),
    a_panel_for_each_task,
    most=6,
    part=ANSWER,
    of_losses=OF_LOSSES,
)
TUNED_FIGURE = Entry(
    "effect_matrix_tuned",
    TUNED_TITLE,
    TUNED,
    tuned_numbers,
    draw,
    ("effects",),
    a_panel_for_each_task,
    most=6,
    part=MORE,
    of_solving=True,
)
