"""The figure of score against size: all scored cells, those that no smaller one beats, and the known cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from ..figures.look import GREY, SHADE, look, new_figure, page, styled
from ..figures.pieces import on_curves, readable
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
    for arm, (colour, name) in LOOKS.items():
        own = found[found["arm"] == arm]
        looks = {"s": 8, "color": colour, "alpha": 0.6, "lw": 0, "rasterized": len(cells) > MOST_VECTORS}
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
    """Mark the cells that the search was given, each with its name; names of near ones stand apart."""
    places: list[tuple[float, float]] = []
    wide, high = axes.get_xlim()[1], axes.get_ylim()[1]
    for row in known.sort_values("score", ascending=False).to_dict("records"):
        label, x, y = str(row["label"]), float(row["size"]), float(row["score"])
        colour, marker, _ = look(label)
        axes.plot(x, y, marker=marker, color=colour, ms=6, mec="white", mew=0.6, zorder=5)
        near = sum(abs(x - a) < 0.2 * wide and abs(y - b) < 0.05 * high for a, b in places)
        places.append((x, y))
        up, side = (5, -11, 16, -22, 27)[near % 5], -4 if x > 0.85 * wide else 5
        text = axes.annotate(
            spoken(label),
            (x, y),
            xytext=(side, up),
            textcoords="offset points",
            color=readable(colour),
        )
        text.set_horizontalalignment("right" if side < 0 else "left")
        on_curves(text)
