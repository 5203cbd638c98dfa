"""What the answers of trained networks attend to, in a few test sequences."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from .choice import rows_in
from .diagnosis import NOTHING, outcomes_of
from .entry import Entry, a_page_for_each_task
from .look import GREY, VALUES, new_figure, page, styled
from .pieces import LINE, empty, room_for, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Attention maps"
CAPTION = (
    "Does a network look at what decides the answer? The best trial of each network that attends, on the first three "
    "test sequences: steps across, answers down, the first one at the top; the darker, the more of its attention an "
    "answer gives to a step (white 0, darkest 1). Triangles above: inputs that decide the answers. Under each name "
    "stands the mean share of attention that lies on such inputs."
)
_NAMES, _GAP, _TITLE, _HEAD = 1.7, 0.12, 0.22, 0.32  # inches


class Map(NamedTuple):
    """One sequence: what each answer attends to [K, T], and the steps that decide the answers."""

    values: np.ndarray
    marks: np.ndarray


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per (task, variant, sequence, answer, step), with the attention that the step gets.
    maps: by task and variant, one for each sequence.
    shares: by (task, variant), the mean share of attention on steps that decide the answers.
    outcomes: by (task, variant), how the run went that gave the network.
    """

    data: pd.DataFrame
    maps: Mapping[str, Mapping[str, list[Map]]]
    shares: Mapping[tuple[str, str], float]
    outcomes: Mapping[tuple[str, str], str]


def numbers(study: Study, attention: pd.DataFrame) -> Numbers:
    """Return what the answers of the best network of each pair attend to.

    attention: of `tables.diagnosis`.
    """
    maps: dict[str, dict[str, list[Map]]] = {}
    shares: dict[tuple[str, str], float] = {}
    for task, variants in rows_in(study, attention).items():
        for variant in variants:
            own = attention[(attention["task"] == task) & (attention["variant"] == variant)]
            found = [_map(rows) for _, rows in own.groupby("sequence")]
            maps.setdefault(task, {})[variant] = found
            shares[task, variant] = float(np.mean([one.values[:, one.marks].sum(1).mean() for one in found]))
    if not maps:
        return Numbers(attention, {}, {}, {})
    heads = ["task", "variant", "sequence", "answer", "read"]
    data = attention[[*heads, "values"]].explode("values").rename(columns={"values": "attention"})
    data["step"] = data.groupby(heads).cumcount()
    data["attention"] = data["attention"].astype(float).round(4)
    return Numbers(data.reset_index(drop=True), maps, shares, outcomes_of(study, attention))


def _map(rows: pd.DataFrame) -> Map:
    values = np.stack(rows.sort_values("answer")["values"].to_list()).astype(float)
    return Map(values, np.flatnonzero(rows["relevant"].iloc[0]))


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a row for each network with a heat map for each sequence."""
    if not numbers.maps:
        return empty(NOTHING)
    rows = [(task, variant) for task, variants in numbers.maps.items() for variant in variants]
    across = max(len(numbers.maps[task][variant]) for task, variant in rows)
    tall = float(np.clip(11.3 / len(rows) - _TITLE, 0.28, 0.95))
    figure = new_figure(page().width, len(rows) * (tall + _TITLE) + _HEAD)
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    own = (width - _NAMES - 0.1 - _GAP * (across - 1)) / across
    legend = "▼ input that decides the answers; steps across, answers down"
    figure.text(_NAMES / width, 1 - 0.12 / height, legend, color=GREY, va="center")
    for line, (task, variant) in enumerate(rows):
        bottom = height - _HEAD - (line + 1) * (tall + _TITLE) + 0.1
        for k, found in enumerate(numbers.maps[task][variant]):
            left = _NAMES + k * (own + _GAP)
            axes = figure.add_axes((left / width, bottom / height, own / width, tall / height))
            _heat_map(axes, found)
            if k == 0:
                share = f"{numbers.shares[task, variant]:.0%} on marked inputs"
                facts = [numbers.outcomes[task, variant], share, words.spoken(task)]
                _row_name(axes, words.spoken(variant), facts, tall + 0.1)
    return figure


def _heat_map(axes: Axes, found: Map) -> None:
    answers, steps = found.values.shape
    extent = (-0.5, steps - 0.5, answers - 0.5, -0.5)
    axes.imshow(found.values, aspect="auto", interpolation="none", extent=extent, cmap=VALUES, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    if len(found.marks) < steps:
        where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "ls": "none"}
        axes.plot(found.marks, np.full(len(found.marks), 1.05), marker="v", ms=2.6, mew=0, color="black", **where)


def _row_name(axes: Axes, name: str, facts: list[str], inches: float) -> None:
    """Write the name of a row left of its first heat map, and small print under it as far as there is room.

    inches: from the top of the heat map to what is below it.
    """
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    where |= {"va": "top", "annotation_clip": False, "linespacing": 1.0}
    room = room_for(_NAMES - 0.1)
    first = wrapped(name, room)
    lines = first.count("\n") + 1
    axes.annotate(first, (0, 1), xytext=(-5, 0), **where)
    rest = [line for fact in facts for line in wrap(fact, room)][: max(0, int(inches / LINE) - lines)]
    if rest:
        axes.annotate("\n".join(rest), (0, 1), xytext=(-5, -72 * LINE * lines), color=GREY, **where)


FIGURE = Entry(
    "attention_maps",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("attention",),
    rows=a_page_for_each_task,
    command="runs.inside",
    of_networks=True,
)
