"""Gates and states of trained networks over one test sequence."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .choice import rows_in
from .diagnosis import NOTHING, outcomes_of
from .entry import Entry, a_page_for_each_task
from .look import GREY, VALUES, new_figure, page, styled
from .pieces import LINE, empty, room_for, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study import Study

TITLE = "Gates and states over one sequence"
CAPTION = (
    "The same trials over the first test sequence: units down, steps across; of several layers the highest. Gates "
    "show what comes out of their squashing function (a pre-activation that nothing squashes as it is), states what "
    "is carried on. The units of a variant stand in the same order in all its maps, by their part in the first "
    "principal component of its states; of more than 64 units every k-th is drawn."
)
MOST_UNITS = 64  # in one heat map; of more every k-th in their order
MOST_COLUMNS = 6  # heat maps side by side
_NAMES, _GAP, _TITLE, _HEAD = 1.6, 0.1, 0.22, 0.42  # inches


class Map(NamedTuple):
    """One heat map: a gate or a state, its squashing function (empty for none), and values [units, T]."""

    kind: str
    name: str
    function: str
    values: np.ndarray


class Sequence(NamedTuple):
    """The test sequence of a task: inputs [features, T], steps that decide an answer, steps at which one is read."""

    inputs: np.ndarray
    marks: np.ndarray
    reads: np.ndarray


class Numbers(NamedTuple):
    """The numbers of the figure.

    data: one row per unit of a map, with its value at each step, rounded to four digits.
    maps: by task and variant, the maps of the gates and states.
    sequences: by task.
    outcomes: by (task, variant), how the run went that gave the network.
    """

    data: pd.DataFrame
    maps: Mapping[str, Mapping[str, list[Map]]]
    sequences: Mapping[str, Sequence]
    outcomes: Mapping[tuple[str, str], str]

    @property
    def columns(self) -> int:
        """Heat maps side by side."""
        return min(MOST_COLUMNS, max(len(maps) for variants in self.maps.values() for maps in variants.values()))

    @property
    def lines(self) -> int:
        """Lines of heat maps: one for the inputs of each task, and as many as each variant needs."""
        return len(self.maps) + sum(-(-len(m) // self.columns) for own in self.maps.values() for m in own.values())


def numbers(study: Study, sequences: pd.DataFrame) -> Numbers:
    """Return the gates and states of the best network of each pair over one test sequence, with one order of its units.

    sequences: of `tables.diagnosis`; of several layers the highest is shown.
    """
    shown = sequences[sequences["top"].astype(bool)]
    maps: dict[str, dict[str, list[Map]]] = {}
    inputs, parts = {}, []
    for task, variants in rows_in(study, shown).items():
        own = {variant: shown[(shown["task"] == task) & (shown["variant"] == variant)] for variant in variants}
        inputs[task] = _sequence(own[variants[0]])
        maps[task] = {variant: _maps(rows) for variant, rows in own.items()}
        parts += [_table(task, variant, found) for variant, all_maps in maps[task].items() for found in all_maps]
    data = pd.concat(parts, ignore_index=True) if parts else sequences
    return Numbers(data, maps, inputs, outcomes_of(study, shown))


def _sequence(own: pd.DataFrame) -> Sequence:
    values = {kind: own.loc[own["kind"] == kind, "values"].to_list() for kind in ("input", "mark", "read")}
    return Sequence(np.stack(values["input"]), np.flatnonzero(values["mark"][0]), np.flatnonzero(values["read"][0]))


def _maps(own: pd.DataFrame) -> list[Map]:
    """Return the maps of the gates and states of one variant."""
    found = []
    for kind in ("gate", "state"):
        for name, units in own[own["kind"] == kind].groupby("name", sort=False):
            values = np.nan_to_num(np.stack(units.sort_values("unit")["values"].to_list()).astype(float))
            found.append(Map(kind, str(name), units["function"].iloc[0], values))
    states = [one.values / max(np.abs(one.values).max(), 1e-12) for one in found if one.kind == "state"]
    ranks = unit_order(np.concatenate(states, axis=1))
    if len(ranks) > MOST_UNITS:
        ranks = ranks[np.unique(np.linspace(0, len(ranks) - 1, MOST_UNITS).round().astype(int))]
    return [one._replace(values=one.values[ranks]) for one in found]


def unit_order(states: np.ndarray) -> np.ndarray:
    """Return units by their part in the first principal component of their states, the most positive first.

    states: [units, anything].
    Returns indices [units].
    """
    left, _, right = np.linalg.svd(states, full_matrices=False)
    sign = 1.0 if right[0].sum() >= 0 else -1.0
    return np.argsort(-sign * left[:, 0].round(9), kind="stable")


def _table(task: str, variant: str, found: Map) -> pd.DataFrame:
    head = {"task": task, "variant": variant, **found._asdict(), "row": np.arange(len(found.values))}
    del head["values"]
    steps = {f"step_{t}": found.values[:, t] for t in range(found.values.shape[1])}
    return pd.DataFrame({**head, **steps}).round(4)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw a heat map for each gate and state: units down, steps across, with the inputs of the task above."""
    if not numbers.maps:
        return empty(NOTHING)
    sheet = _Sheet(numbers)
    sheet.legend()
    line = 0
    for task, variants in numbers.maps.items():
        sequence = numbers.sequences[task]
        axes = sheet.axes(line, 0)
        _heat_map(axes, sequence.inputs, "input", sequence, "input")
        facts = f"{len(sequence.inputs)} inputs, {sequence.inputs.shape[1]} steps"
        _row_name(axes, task, facts, sheet.height + _TITLE, bold=True)
        line += 1
        for variant, maps in variants.items():
            for k, found in enumerate(maps):
                axes = sheet.axes(line + k // sheet.columns, k % sheet.columns)
                function = found.function if found.kind == "gate" else ""
                _heat_map(axes, found.values, found.name, sequence, function)
                if k == 0:
                    _row_name(axes, variant, numbers.outcomes[task, variant], sheet.height + _TITLE)
            line += -(-len(maps) // sheet.columns)
    return sheet.figure


class _Sheet:
    """A figure with places for heat maps, which are computed by hand since a layout of so many axes is slow."""

    def __init__(self, numbers: Numbers) -> None:
        self.columns = numbers.columns
        self.height = float(np.clip(11.3 / numbers.lines - _TITLE, 0.28, 0.95))
        self.width = (page().width - _NAMES - 0.1 - _GAP * (self.columns - 1)) / self.columns
        self.figure = new_figure(page().width, numbers.lines * (self.height + _TITLE) + _HEAD + 0.1)
        self.figure.set_layout_engine("none")
        self.size = self.figure.get_size_inches()
        self.top = self.size[1] - _HEAD

    def axes(self, line: int, column: int) -> Axes:
        """Return new axes in a line and a column."""
        left, bottom = _NAMES + column * (self.width + _GAP), self.top - (line + 1) * (self.height + _TITLE)
        return self._axes(left, bottom, self.width, self.height)

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        across, up = self.size
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up))

    def legend(self) -> None:
        """Write above all heat maps what marks and colours mean."""
        marks = "▼ input that decides an answer    ▲ step at which an answer is read (not marked where most are)"
        self._write(_NAMES, self.size[1] - 0.12, marks)
        colours = {VALUES: "sigmoid gates, 0 to 1", "RdBu_r": "others, ± the value in the title, white at 0"}
        for k, (cmap, text) in enumerate(colours.items()):
            left, middle = _NAMES + k * 2.1, self.size[1] - 0.3
            bar = self._axes(left, middle - 0.04, 0.35, 0.08)
            bar.imshow(np.linspace(0, 1, 64)[None, :], cmap=cmap, aspect="auto")
            bar.set_axis_off()
            self._write(left + 0.4, middle, text)

    def _write(self, left: float, bottom: float, text: str) -> None:
        self.figure.text(left / self.size[0], bottom / self.size[1], text, color=GREY, va="center")


def _heat_map(axes: Axes, values: np.ndarray, name: str, sequence: Sequence, function: str) -> None:
    """Draw one heat map with its name and, where its scale is its own, the end of the scale."""
    colours: dict[str, Any] = {"cmap": VALUES, "vmin": 0, "vmax": 1}
    if function == "input" and values.min() >= 0:
        colours = {"cmap": "Greys", "vmin": 0, "vmax": max(1.0, values.max())}
    elif function not in ("sigmoid", "hardsigmoid"):
        limit = max(float(np.abs(values).max()), 1e-12)
        colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        name = f"{name}  ±{limit:.2g}"
    extent = (-0.5, values.shape[1] - 0.5, len(values) - 0.5, -0.5)
    axes.imshow(values, aspect="auto", interpolation="none", extent=extent, **colours)
    axes.set_title(name, fontsize=8, pad=5.5, fontweight="normal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(function == "input")
    for steps, y, marker in ((sequence.marks, 1.03, "v"), (sequence.reads, -0.03, "^")):
        if len(steps) <= max(1, values.shape[1] // 2):
            where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "ls": "none"}
            axes.plot(steps, np.full(len(steps), y), marker=marker, ms=2.6, mew=0, color="black", **where)


def _row_name(axes: Axes, name: str, facts: str, inches: float, *, bold: bool = False) -> None:
    """Write the name of a row left of its first heat map, and small print under it as far as there is room.

    inches: height of the row.
    """
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    where |= {"va": "top", "annotation_clip": False, "linespacing": 1.0}
    first = wrapped(name, room_for(_NAMES - 0.1))
    lines = first.count("\n") + 1
    axes.annotate(first, (0, 1), xytext=(-5, 0), fontweight="bold" if bold else "normal", **where)
    rest = wrap(facts, room_for(_NAMES - 0.1))[: max(0, int(inches / LINE) - lines)]
    if rest:
        axes.annotate("\n".join(rest), (0, 1), xytext=(-5, -72 * LINE * lines), color=GREY, **where)


FIGURE = Entry(
    "activations",
    TITLE,
    CAPTION,
    numbers,
    draw,
    needs=("sequences",),
    rows=a_page_for_each_task,
    command="runs.inside",
)
