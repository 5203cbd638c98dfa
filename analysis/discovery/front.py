"""The figure of score against size: all scored cells, those that no smaller one beats, and the known cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ..figures.look import GREY, SHADE, look, new_figure, page, styled
from ..figures.pieces import CHARACTER, on_curves, readable
from ..words import spoken
from .progress import LOOKS, MOST_VECTORS, room
from .search import Search, Standing
from .traits import size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Numbers(NamedTuple):
    """The numbers of the figure.

    cells: one row a scored cell: `key`, `label` (empty for a cell that was found), `arm`, `size`, `score`, and `front`,
        whether no other cell that was found is at most as large and scores more.
    units: at which width sizes are counted. names: the scores of the GRU under its other names, the best first.
    """

    cells: pd.DataFrame
    units: int
    names: list[float]


def numbers(search: Search) -> Numbers:
    """Return size and score of all scored cells, the smallest first."""
    last = [*(search.mutants[-1] if search.mutants else []), *(search.random[-1] if search.random else [])]
    rows = [(e.key, e.label, e.arm, size(e.equations, search.width), e.score) for e in last]
    cells = pd.DataFrame(rows, columns=["key", "label", "arm", "size", "score"])
    cells = cells.sort_values(["size", "score"], ascending=[True, False], kind="stable").reset_index(drop=True)
    own = cells["score"].where(cells["label"] == "")
    before = own.cummax().ffill().shift()
    cells["front"] = own.notna() & (before.isna() | (own > before))
    return Numbers(cells, search.width, search.names)


def smallest(search: Search, reach: float) -> Standing | None:
    """Return the smallest cell that was found with at least a score, of equal ones the best; None without one."""
    found = [each for each in search.best if each.score >= reach]
    return min(found, key=lambda each: (size(each.equations, search.width), -each.score), default=None)


@styled
def draw(numbers: Numbers) -> Figure:
    """Draw all cells as dots, the front as steps, and the known cells by their names."""
    figure = new_figure(page().width, 3.3 if page().narrow else 3.1)
    axes = figure.subplots()
    cells = numbers.cells
    found = cells[cells["label"] == ""]
    for arm, (colour, name) in reversed(LOOKS.items()):  # the search on top of its control
        own = found[found["arm"] == arm]
        looks: dict[str, Any] = {
            "s": 8,
            "color": colour,
            "alpha": 0.6,
            "lw": 0,
            "rasterized": len(cells) > MOST_VECTORS,
        }
        axes.scatter(own["size"], own["score"], label=name, zorder=2.5, **looks)
    front = found[found["front"]]
    if len(front):
        x, y = [*front["size"], cells["size"].max()], [*front["score"], front["score"].iloc[-1]]
        axes.step(x, y, where="post", color=GREY, lw=1.0, zorder=2, label="no smaller cell scores more")
    if numbers.names:
        axes.axhspan(numbers.names[-1], numbers.names[0], color=SHADE, zorder=0.5, lw=0)
    axes.set_ylim(*room([*cells["score"], *numbers.names]))
    axes.set_xlim(0, 1.08 * max([1, *cells["size"]]))
    _known(axes, cells[cells["label"] != ""])
    axes.set_xlabel(f"parameters of the cell at {numbers.units} units and 2 inputs")
    axes.set_ylabel("share of the GRU, on the worst task")
    figure.legend(loc="outside lower left", ncols=page().columns(3), frameon=False, labelcolor=GREY)
    return figure


def _known(axes: Axes, known: pd.DataFrame) -> None:
    """Mark the cells that the search was given, each with its name; names do not lie on each other."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    character, line = CHARACTER / (0.85 * page().width) * (right - left), 0.06 * (high - low)
    marks = zip(known["size"], known["score"], strict=True)
    taken = [(float(x) - 0.5 * character, character, float(y)) for x, y in marks]
    for row in known.sort_values("score", ascending=False).to_dict("records"):
        label, x, y = str(row["label"]), float(row["size"]), float(row["score"])
        colour, marker, _ = look(label)
        axes.plot(x, y, marker=marker, color=colour, ms=6, mec="white", mew=0.6, zorder=5)
        name = spoken(label)
        wide = len(name) * character
        begin = x + 0.6 * character if x + wide + character < right else x - wide - 0.6 * character
        free = (
            k for k in (0.7, -0.7, 0.0, 1.7, -1.7, 2.7, -2.7) if not _covered(taken, begin, wide, y + k * line, line)
        )
        height = y + next(free, 3.6) * line
        taken.append((begin, wide, height))
        on_curves(axes.text(begin, height, name, color=readable(colour), va="center"))


def _covered(taken: list[tuple[float, float, float]], begin: float, wide: float, height: float, line: float) -> bool:
    """Return whether a name would lie on one that stands already: begin, width and height of each."""
    return any(abs(height - own) < line and begin < at + w and at < begin + wide for at, w, own in taken)
