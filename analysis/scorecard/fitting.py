"""Texts of a scorecard are measured, and fitted to the room that they have: in lines, in columns and beside axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS = 300  # of an inch
LINE = 0.148  # inches of a line of 8 points
BESIDE = 0.06  # inches between axes and the texts beside them
BETWEEN = 0.05  # inches between the numbers of an axis
ELLIPSIS = "…"
ROUNDING = 1e-6  # inches


# Widths
# ----------------------------------------------------------------------------------------------------------------------


@cache
def width_of(text: str, size: float = 8, weight: str = "normal") -> float:
    """Return the width of a line in inches."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    found: float = _renderer().get_text_width_height_descent(text, font, "$" in text)[0]
    return found / DOTS


@cache
def _renderer() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(16, 16, DOTS)  # type: ignore[no-untyped-call]


def widest(texts: Iterable[str], weight: str = "normal") -> float:
    """Return the width of the widest of some texts in inches; 0 where there is none."""
    return max((width_of(text, weight=weight) for text in texts), default=0.0)


# Lines
# ----------------------------------------------------------------------------------------------------------------------


def broken(text: str, fits: Callable[[str, int], bool]) -> list[str]:
    """Return a text in lines, each of as many words as fit; fits: whether a line does, which also gets its number.

    >>> broken("as many words as fit", lambda line, number: len(line) <= (7 if number == 0 else 9))
    ['as many', 'words as', 'fit']
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and not fits(longer, len(lines) - 1):
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def wrapped(text: str, width: float, size: float = 8, weight: str = "normal") -> list[str]:
    """Return a text in lines that fit a width; a word that is wider by itself loses its end.

    >>> wrapped("copying symbols in another order", 1.0)
    ['copying symbols', 'in another order']
    """
    lines = broken(text, lambda line, _: width_of(line, size, weight) <= width + ROUNDING)
    return [shortened(line, width, size, weight) for line in lines]


def shortened(text: str, width: float, size: float = 8, weight: str = "normal") -> str:
    """Return a text that fits a width: the same, or its beginning and an ellipsis.

    >>> shortened("copying symbols", 1.0), shortened("copying symbols", 0.7)
    ('copying symbols', 'copying sy…')
    """
    if width_of(text, size, weight) <= width + ROUNDING:
        return text
    for end in range(len(text) - 1, 0, -1):
        shorter = text[:end].rstrip() + ELLIPSIS
        if width_of(shorter, size, weight) <= width + ROUNDING:
            return shorter
    return ELLIPSIS


# Beside axes
# ----------------------------------------------------------------------------------------------------------------------


class Beside(NamedTuple):
    """The texts beside the rows of a panel.

    left: in lines. right: of one line each.
    before, width, after: inches left of the axes, of the axes, and right of them.
    row: inches of a row.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    before: float
    width: float
    after: float
    row: float

    @property
    def height(self) -> float:
        """The inches of all rows."""
        return self.row * len(self.left)


def beside(texts: Sequence[tuple[str, str]], room: float, row: float, axes: float = 1.0) -> Beside:
    """Return texts beside rows such that all fit into the room; those on the left get several lines where they must.

    texts: left and right of each row.
    room: inches for texts and axes.
    row: inches of a row, unless its text needs more.
    axes: inches that the axes should have; they get what the texts leave, at least half of it.
    """
    lefts, rights = [left for left, _ in texts], [right for _, right in texts]
    after = BESIDE + min(widest(rights), 0.4 * room)
    rights = [shortened(right, after - BESIDE) for right in rights]
    longest_word = widest(word for left in lefts for word in left.split())
    most = max(room - after - axes, min(BESIDE + longest_word, room - after - axes / 2))
    lines = [wrapped(left, most - BESIDE) for left in lefts]
    before = BESIDE + widest(line for own in lines for line in own)
    row = max([row, *(LINE * len(own) + 0.02 for own in lines if len(own) > 1)])
    return Beside(tuple(map("\n".join, lines)), tuple(rights), before, room - before - after, after, row)


def write_beside(axes: Axes, texts: Beside) -> None:
    """Write the texts of `beside` left and right of axes that have their limits."""
    where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
    points = 72 * BESIDE
    for y, (left, right) in enumerate(zip(texts.left, texts.right, strict=True)):
        axes.annotate(left, (0, y), xytext=(-points, 0), ha="right", linespacing=1.05, **where)
        axes.annotate(right, (1, y), xytext=(points, 0), ha="left", **where)


def side_by_side(panels: Sequence[Axes], left: float, right: float, gap: float = 0.1) -> None:
    """Widen or narrow panels such that they and their labels fill the room from left to right, all equally wide.

    left, right: inches from the left of the figure.
    gap: inches between the labels of neighbours.
    """
    figure = panels[0].get_figure()
    assert figure is not None
    whole = figure.get_figure(root=True).get_figwidth()
    for _ in range(2):  # a label below a panel reaches less far out once the panel is wider
        over = [_overhang(axes) for axes in panels]
        width = (right - left - sum(map(sum, over)) - gap * (len(panels) - 1)) / len(panels)
        x = left
        for axes, (before, after) in zip(panels, over, strict=True):
            place = axes.get_position()
            axes.set_position(((x + before) / whole, place.y0, width / whole, place.height))
            x += before + width + after + gap
    for axes in panels:
        thin_ticks(axes)


def _overhang(axes: Axes) -> tuple[float, float]:
    """Return by how many inches what belongs to axes reaches beyond them on the left and on the right."""
    dots = axes.figure.dpi
    inner, outer = axes.get_window_extent(), axes.get_tightbbox()
    assert outer is not None
    return max(0.0, inner.x0 - outer.x0) / dots, max(0.0, outer.x1 - inner.x1) / dots


# Along an axis
# ----------------------------------------------------------------------------------------------------------------------


def thin_ticks(axes: Axes, first: Sequence[float] = ()) -> None:
    """Leave out ticks of the x axis whose numbers would touch those of others.

    axes: with its limits and its final place.
    first: ticks that stay in any case; after them the outer ones go before the inner ones.
    """
    low, high = sorted(axes.get_xlim())
    places = [float(x) for x in axes.get_xticks() if low <= x <= high]
    names = axes.xaxis.get_major_formatter().format_ticks(places)
    at = dict(zip(places, (axes.transData.transform((x, 0))[0] / axes.figure.dpi for x in places), strict=True))
    named = dict(zip(places, names, strict=True))
    kept: list[float] = []
    for x in sorted(places, key=lambda x: (x not in first, x not in (places[0], places[-1]))):
        apart = (abs(at[x] - at[y]) - (width_of(named[x]) + width_of(named[y])) / 2 for y in kept)
        if all(gap >= BETWEEN for gap in apart):
            kept.append(x)
    axes.set_xticks(sorted(kept), [named[x] for x in sorted(kept)])


def log_limits(low: float, high: float, width: float, margin: float = 0.07) -> tuple[float, float]:
    """Return the ends of a log axis that leave room for marks at both ends of a range.

    low, high: of the range.
    width, margin: of the axis, and of the room at each end, in inches.

    >>> low, high = log_limits(1.0, 100.0, width=1.2, margin=0.1)
    >>> round(low, 3), round(high, 1)
    (0.631, 158.5)
    """
    factor = max((high / low) ** (margin / (width - 2 * margin)), 1.05)
    return low / factor, high * factor
