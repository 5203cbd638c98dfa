"""A small panel for each variant of each task: no curve hides another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING

from .. import words
from .look import GREY, look, new_figure, page
from .pieces import LINE, NAMES, readable, room_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 5  # panels side by side at most, 4 where the variants need several lines
LEFT, GAP, RIGHT = 0.72, 0.26, 0.12  # inches: labels left of the first panel, between two panels, and right of the last
TITLE, TICKS, LABEL, BETWEEN = 0.24, 0.2, 0.2, 0.12  # inches: of a task, and below a line of panels


def across(variants: int) -> int:
    """Return panels side by side for a number of variants."""
    wide = variants if variants <= ACROSS else ACROSS - 1
    return max(2, page().columns(wide, narrow=2))


def lines_of_panels(variants: int, tasks: int) -> int:
    """Return how many lines the panels of a figure take on a wide page."""
    return tasks * -(-variants // (ACROSS if variants <= ACROSS else ACROSS - 1))


@dataclass
class Sheet:
    """A figure with a block of panels for each task, placed by hand, since a layout of so many axes is slow.

    tasks: a block each.
    variants: a panel each in every block.
    height: of a panel, in inches.
    x_label: below each block.
    notes: lines of text below each panel.
    named: whether lines of the panels have names right of the last panel.
    mentions: what stands behind the name of a variant.
    """

    tasks: Sequence[str]
    variants: Sequence[str]
    height: float
    x_label: str | Sequence[str]
    notes: int = 0
    named: bool = False
    mentions: Mapping[str, str] = field(default_factory=dict)
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        """Make the empty figure."""
        self.columns = across(len(self.variants))
        self.lines = -(-len(self.variants) // self.columns)
        right = NAMES if self.named else RIGHT
        self.width = (page().width - LEFT - right - GAP * (self.columns - 1)) / self.columns
        mentions = [f" ({self.mentions[v]})" if v in self.mentions else "" for v in self.variants]
        names = [f"{words.spoken(v)}{mention}" for v, mention in zip(self.variants, mentions, strict=True)]
        titles = ["\n".join(wrap(name, room_for(self.width), break_long_words=False)) for name in names]
        self.titles = dict(zip(self.variants, titles, strict=True))
        self.head = LINE * max(title.count("\n") + 1 for title in titles) + 0.05
        self.line = self.head + self.height + TICKS + LINE * self.notes + BETWEEN
        self.block = TITLE + self.lines * self.line + LABEL
        self.figure = new_figure(page().width, len(self.tasks) * self.block)
        self.figure.set_layout_engine("none")

    def axes(self, task: str, variant: str) -> Axes:
        """Return new axes for a variant of a task, with its name above."""
        k = list(self.variants).index(variant)
        left = LEFT + (k % self.columns) * (self.width + GAP)
        top = self._top(task) - TITLE - (k // self.columns) * self.line - self.head
        across_all, up = self.figure.get_size_inches()
        place = (left / across_all, (top - self.height) / up, self.width / across_all, self.height / up)
        axes = self.figure.add_axes(place)
        title = self.titles[variant]
        axes.set_title(title, fontsize=8, color=readable(look(variant).colour), pad=3, linespacing=1.0)
        axes.tick_params(labelleft=k % self.columns == 0)
        return axes

    def is_last(self, variant: str) -> bool:
        """Return whether a panel is the last of its line, so that names can stand right of it."""
        k = list(self.variants).index(variant)
        return k % self.columns == self.columns - 1 or k == len(self.variants) - 1

    def frame(self, task: str, title: str, y_label: str, behind: str = "", x_label: str = "") -> None:
        """Write what stands around the panels of a task: title, labels, and the variant that is grey in all of them.

        behind: that variant; empty for none.
        x_label: where it differs between tasks.
        """
        top = self._top(task)
        self._write(0.06, top - 0.06, title, va="top", fontsize=9, fontweight="bold")
        if behind:
            grey = f"grey: {words.spoken(behind)}"
            self._write(page().width - 0.06, top - 0.07, grey, va="top", ha="right", color=GREY)
        middle = top - TITLE - self.lines * self.line / 2
        self._write(0.13, middle, y_label, va="center", ha="center", rotation=90)
        center = LEFT + (page().width - LEFT - (NAMES if self.named else RIGHT)) / 2
        self._write(center, top - self.block + 0.09, x_label or str(self.x_label), ha="center", va="bottom")

    def _top(self, task: str) -> float:
        return float(self.figure.get_size_inches()[1]) - list(self.tasks).index(task) * self.block

    def _write(self, left: float, bottom: float, text: str, **looks: object) -> None:
        width, height = self.figure.get_size_inches()
        self.figure.text(left / width, bottom / height, text, **looks)  # type: ignore[arg-type]
