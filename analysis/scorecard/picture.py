"""The scorecard as a picture of one page: A4 upright, text of at least 8 points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import words
from ..diagram.picture import UNITS, paint_on
from ..figures.look import BACK, GREY, INK, look, save, settings
from ..figures.pieces import interval, mark, row_axis
from ..tables.comparisons import EVERYTHING_SOLVED, HARDLY_SOLVED, NOTHING_LEARNED
from . import panels
from .card import OVERALL, Card, searched
from .cell import About
from .said import Said, equation, notes, reach_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.27, 11.69  # inches of A4
EDGE, TOP = 0.5, 0.4  # margins left and right, above and below
INNER = WIDTH - 2 * EDGE
DOTS = 300
LINE = 0.148  # inches of a line of 8 points
ROW = 0.15  # of a task
SMALLEST = 0.5  # scale of a diagram, below which its labels cover each other
MOST = 20  # rows of tasks; a page has no room for more
FORMATS = ("png", "pdf", "svg")
IN_PLACE = {EVERYTHING_SOLVED: "all solved", HARDLY_SOLVED: "hardly solved", NOTHING_LEARNED: "not learned"}
"""What stands in place of a difference, by the verdict on it."""


class Room(NamedTuple):
    """How much room a page gives to what can do with less.

    diagram: greatest height in inches. sentences: whether the verdict has more than its headline.
    """

    diagram: float
    sentences: bool


ROOMS = (
    *(Room(height, True) for height in (2.9, 2.4, 2.1)),
    *(Room(height, False) for height in (2.4, 2.1, 1.95, 1.8, 1.6)),
)
"""Tried in this order until everything fits the page."""


class Paper:
    """A page on which things are placed in inches from the left and from the top.

    y: where the next thing begins.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.y = TOP

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes at a place."""
        place = (left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT)
        return self.figure.add_axes(place)

    def text(self, left: float, top: float, text: str, size: float = 8, **looks: Any) -> None:
        """Write one line, whose middle is half a line below its top."""
        height = LINE * size / 8
        place = (left / WIDTH, 1 - (top + height / 2) / HEIGHT)
        self.figure.text(*place, text, fontsize=size, **{"va": "center_baseline", "color": INK, **looks})

    def lines(self, left: float, width: float, text: str, size: float = 8, **looks: Any) -> None:
        """Write a text in lines that fit a width, and move below them."""
        for line in self.wrapped(text, width, size, looks.get("weight", "normal")):
            self.text(left, self.y, line, size, **looks)
            self.y += LINE * size / 8

    def wrapped(self, text: str, width: float, size: float = 8, weight: str = "normal") -> list[str]:
        """Return a text in lines that fit a width."""
        return broken(text, lambda line, _: width_of(line, size, weight) <= width)

    def heading(self, left: float, text: str) -> None:
        """Write the heading of a part at the present place."""
        self.text(left, self.y, text, 9, weight="bold")


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


def draw(card: Card, about: About, said: Said) -> Figure:
    """Return the page as a figure.

    card: the numbers.
    about: the cell.
    said: sentences.
    """
    with settings():
        for room in ROOMS:
            paper, fits = _drawn(card, about, said, room)
            if fits:
                break
    return paper.figure


def _drawn(card: Card, about: About, said: Said, room: Room) -> tuple[Paper, bool]:
    """Return the page, and whether everything fits it."""
    from matplotlib.figure import Figure as NewFigure

    paper = Paper(NewFigure(figsize=(WIDTH, HEIGHT), dpi=DOTS, facecolor="white"))
    _head(paper, card, said if room.sentences else said._replace(sentences=()))
    _cell(paper, about, said, room)
    _places(paper, card)
    top = paper.y
    _half_lags(paper, card)
    _sensitivity(paper, card)
    left, paper.y = paper.y, top
    _gradients(paper, card)
    _speed(paper, card)
    paper.y = max(left, paper.y)
    return paper, _foot(paper, said)


def write(card: Card, about: About, said: Said, folder: Path, name: str) -> list[Path]:
    """Write the picture as PNG, PDF and SVG, and the numbers of its tasks as CSV; return the files.

    folder: receives them.
    name: of the files, without suffix.
    """
    return save(draw(card, about, said), folder, name, card.places, FORMATS)


# The parts, from top to bottom
# ----------------------------------------------------------------------------------------------------------------------


def _head(paper: Paper, card: Card, said: Said) -> None:
    paper.text(EDGE, paper.y, said.title, 15, weight="bold")
    paper.text(EDGE, paper.y + 0.28, said.study, color=GREY)
    paper.y += 0.48
    from matplotlib.patches import Rectangle

    top = paper.y
    paper.y += 0.05
    paper.lines(EDGE + 0.1, INNER - 0.2, said.headline, 9, weight="bold")
    paper.y += 0.03
    for sentence in said.sentences:
        paper.lines(EDGE + 0.1, INNER - 0.2, sentence)
    paper.y += 0.05
    place = (EDGE / WIDTH, 1 - paper.y / HEIGHT)
    size = (INNER / WIDTH, (paper.y - top) / HEIGHT)
    box = Rectangle(place, *size, transform=paper.figure.transFigure, facecolor="#f1f4f8", edgecolor="none", zorder=-1)
    paper.figure.add_artist(box)
    colour = look(card.variant).colour
    bar = Rectangle(place, 0.04 / WIDTH, size[1], transform=paper.figure.transFigure, facecolor=colour, zorder=0)
    paper.figure.add_artist(bar)
    paper.y += 0.12


def _cell(paper: Paper, about: About, said: Said, room: Room) -> None:
    """Draw the diagram, with equations and parameters beside it."""
    left, bottom, facts, drawn = EDGE, paper.y, said.facts, about.drawing
    if drawn is not None:
        scale = min(0.8, 0.56 * INNER * UNITS / drawn.width, room.diagram * UNITS / drawn.height)
        if scale >= SMALLEST:
            paint_on(paper.figure, drawn, EDGE, paper.y, scale)
            left, bottom = EDGE + scale * drawn.width / UNITS + 0.25, paper.y + scale * drawn.height / UNITS
        else:
            facts = (*facts, "The diagram is too large for this picture; the page in HTML has it.")
    width = WIDTH - EDGE - left
    if about.about:
        paper.lines(left, width, about.about)
        paper.y += 0.07
    for line in about.equations:
        _equation(paper, left, width, line)
    paper.y += 0.07
    for fact in facts:
        paper.lines(left, width, fact, color=GREY)
    paper.y = max(bottom, paper.y) + 0.14


def _equation(paper: Paper, left: float, room: float, line: str) -> None:
    """Write an equation; one that is too long goes on in a second line, after a sign."""

    def indent(number: int) -> float:
        return 0.25 if number else 0.0

    for number, row in enumerate(broken(line, lambda row, k: width_of(equation(row)) <= room - indent(k))):
        paper.text(left + indent(number), paper.y, equation(row))
        paper.y += LINE * 1.08


NAMES, VALUE, STRIP, RANK, FOREST = 1.95, 0.42, 1.45, 0.72, 1.12  # widths of the columns of the tasks
GAP = 0.16


def _places(paper: Paper, card: Card) -> None:
    """Draw a row per task: the variant among the others, its place, and how it differs from the baseline."""
    solvable = card.places["solvable"]
    blocks = [card.places[solvable], *(one for _, one in card.places[~solvable].groupby("task", sort=False))]
    paper.heading(EDGE, f"Among {int(card.places['variants'].max())} cells")
    for rows in blocks:
        if len(rows):
            _block(paper, card, list(rows.head(MOST).to_dict("records")), max(0, len(rows) - MOST))


def _block(paper: Paper, card: Card, rows: Sequence[Mapping[Any, Any]], more: int) -> None:
    """Draw the rows of tasks that share their axes; more: rows that there is no room for."""
    solvable = bool(rows[0]["solvable"])
    heads = _heads(card, rows[0])
    left = EDGE + NAMES
    stops = [left, left + STRIP + GAP + VALUE, left + STRIP + GAP + VALUE + RANK + 0.1]
    stops.append(stops[2] + FOREST + GAP)
    top, height = paper.y + 0.17, ROW * len(rows)
    for x, text in ((stops[0], heads[0]), (stops[1] - VALUE + 0.1, "this"), (stops[1] + 0.02, "place")):
        paper.text(x, paper.y, text, color=GREY)

    def axes(x: float, width: float) -> Axes:
        found = paper.axes(x, top, width, height)
        row_axis(found, len(rows))
        found.set_ylim(len(rows) - 0.5, -0.5)
        found.spines["left"].set_visible(False)
        return found

    _strip(axes(stops[0], STRIP), card, rows)
    prefixes, width = (("", "quality_"), FOREST) if solvable else (("quality_",), 2 * FOREST + GAP)
    for prefix, x, text in zip(prefixes, stops[2:], heads[1:], strict=False):  # losses have one wide column
        _forest(axes(x, width), card, rows, prefix)
        paper.text(x, paper.y, text, color=GREY)
    for y in range(len(rows)):
        _row_texts(paper, rows, y, top + ROW * y, stops)
    paper.y = top + height + 0.33
    if more:
        paper.text(EDGE, paper.y - 0.1, f"{more} more tasks are on the page beside this picture.", color=GREY)
        paper.y += LINE


def _heads(card: Card, row: Mapping[Any, Any]) -> list[str]:
    """Return the headings of the columns: of the levels, and of the differences from the baseline."""
    best = f"best of {searched(card.points)}" if row["solvable"] else "best decile"
    if row["solvable"]:
        return ["solved by each cell, %", "more solved, points", f"{best}: score"]
    return ["test loss of each cell", f"lower test loss of the {best}"]


def _row_texts(paper: Paper, rows: Sequence[Mapping[Any, Any]], y: int, top: float, stops: Sequence[float]) -> None:
    """Write the name of a task, the level of the variant and its place."""
    row = rows[y]
    middle = top + (ROW - LINE) / 2
    bold: dict[str, Any] = {"weight": "bold"} if row["task"] == OVERALL else {}
    in_series = row["series"] != row["task"] and row["task"] != OVERALL
    if row["task"] == OVERALL:
        paper.text(EDGE, middle, "all tasks together", **bold)
    elif not in_series:
        paper.text(EDGE, middle, words.spoken(str(row["task"])))
    else:
        if y == 0 or rows[y - 1]["series"] != row["series"]:
            paper.text(EDGE, middle, words.spoken(str(row["series"])))
        paper.text(stops[0] - 0.1, middle, f"{row['lag']:.0f}", ha="right")
    unit = "%" if row["solvable"] else str(row["unit"])
    paper.text(stops[1] - 0.06, middle, words.number(row["value"], unit), ha="right", **bold)
    paper.text(stops[1] + 0.02, middle, rank_text(row), **bold)


def rank_text(row: Mapping[Any, Any]) -> str:
    """Return a place with its interval.

    >>> rank_text({"rank": 3, "rank_low": 1, "rank_high": 6}), rank_text({"rank": 3, "rank_low": float("nan")})
    ('3 [1, 6]', '3')
    """
    if not np.isfinite(row["rank_low"]):
        return f"{row['rank']:.0f}"
    return f"{row['rank']:.0f} [{row['rank_low']:.0f}, {row['rank_high']:.0f}]"


def _strip(axes: Axes, card: Card, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Draw the levels of all variants, with the baseline and the variant marked."""
    solvable = bool(rows[0]["solvable"])
    scale = 100.0 if solvable else 1.0
    for y, row in enumerate(rows):
        levels = card.levels[row["task"]]
        others = [scale * level for v, level in levels.items() if v not in (card.variant, card.baseline)]
        axes.plot(others, [y] * len(others), ls="none", marker="|", ms=6, mec=BACK, mew=1.0, zorder=2, clip_on=False)
        for variant in panels.own_and_baseline(card):
            first = variant == card.variant
            if variant in levels:
                colour, marker, _ = look(variant)
                style: dict[str, Any] = {"zorder": 4 if first else 3, "clip_on": False, "ms": 5}
                mark(axes, scale * levels[variant], y, marker, colour, filled=first, **style)
    if solvable:
        axes.set_xlim(-2, 102)
        axes.set_xticks([0, 50, 100])
        return
    goal = card.study.goals[rows[0]["task"]]
    axes.set_xlim(*reversed(goal.axis(list(card.levels[rows[0]["task"]].values()))))
    floor = float(goal.shown(goal.floor))
    axes.axvline(floor, color=GREY, lw=0.9, ls=(0, (4, 2)))
    axes.annotate(
        "floor",
        (floor, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        color=GREY,
    )


def _forest(axes: Axes, card: Card, rows: Sequence[Mapping[Any, Any]], prefix: str) -> None:
    """Draw differences from the baseline with their simultaneous intervals; better is to the right."""
    solvable = bool(rows[0]["solvable"])
    sign = 1.0 if solvable else -1.0
    scale = sign * (100.0 if solvable and not prefix else 1.0)
    colour, marker, _ = look(card.variant)
    known = [row for row in rows if words_for(row, prefix) == ""]
    ends = [abs(scale * row[f"{prefix}{end}"]) for row in known for end in ("low", "high", "difference")]
    most = max([0.1 * abs(scale), *(x for x in ends if np.isfinite(x))])
    tick = float(f"{0.7 * most:.1g}")
    axes.set_xlim(-1.1 * most, 1.1 * most)
    axes.set_xticks([-tick, 0, tick] if known else [], [f"−{tick:g}", "0", f"+{tick:g}"] if known else [])
    if known:
        axes.axvline(0, color=INK, lw=0.8, zorder=1)
    for y, row in enumerate(rows):
        text = words_for(row, prefix)
        if text:
            axes.annotate(
                text,
                (0.5, y),
                xycoords=("axes fraction", "data"),
                ha="center",
                va="center",
                color=GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
            continue
        low, high = sorted((scale * row[f"{prefix}low"], scale * row[f"{prefix}high"]))
        interval(axes, low, high, y, colour)
        mark(axes, scale * row[f"{prefix}difference"], y, marker, colour, filled=low * high > 0, ms=4.5)


def words_for(row: Mapping[Any, Any], prefix: str) -> str:
    """Return what stands in place of a difference where there is none; empty where there is one."""
    verdict = row[f"{prefix}verdict"]
    if not isinstance(verdict, str):
        return words.NOTHING
    return IN_PLACE.get(verdict, "")


HALF = (INNER - 0.35) / 2


def _half_lags(paper: Paper, card: Card) -> None:
    paper.heading(EDGE, "At which lag is half of the solve rate left?")
    paper.y += 0.22
    rows = card.own_half_lags
    if not rows:
        paper.lines(EDGE, HALF, notes(card)["half_lags"], color=GREY)
        paper.y += 0.1
        return
    height = max(0.22 * len(rows), 0.44)
    panels.half_lags(paper.axes(EDGE + 1.42, paper.y, 1.0, height), card)
    paper.y += height + 0.44


def _gradients(paper: Paper, card: Card) -> None:
    left = EDGE + HALF + 0.35
    paper.heading(left, "How far back does the gradient reach?")
    paper.y += 0.22
    if card.measured is None or not card.measured.reaches:
        paper.lines(left, HALF, notes(card)["reach"], color=GREY)
        paper.y += 0.1
        return
    panels.gradients(paper.axes(left + 0.5, paper.y, HALF - 0.55, 0.82), card)
    paper.y += 0.82 + 0.35
    for line in reach_lines(card):
        paper.lines(left, HALF, line, color=GREY)
    paper.y += 0.1


def _sensitivity(paper: Paper, card: Card) -> None:
    paper.heading(EDGE, "How much depends on the setting?")
    paper.y += 0.22
    if card.swept:
        width = (HALF - 0.45 - 0.2) / 2
        for k, name in enumerate(card.swept):
            axes = paper.axes(EDGE + 0.45 + k * (width + 0.2), paper.y, width, 0.68)
            panels.sensitivity(axes, card, name, labelled=k == 0)
        paper.y += 0.68 + 0.36
    paper.lines(EDGE, HALF, notes(card)["sensitivity"], color=GREY)
    paper.y += 0.1


def _speed(paper: Paper, card: Card) -> None:
    left = EDGE + HALF + 0.35
    paper.heading(left, "How long is a training step? (nn.LSTM = 1)")
    paper.y += 0.22
    if card.measured is None or not card.measured.speeds:
        paper.lines(left, HALF, notes(card)["speed"], color=GREY)
        return
    height = 0.17 * len(card.measured.speeds)
    panels.speeds(paper.axes(left + 1.98, paper.y, HALF - 1.98 - 1.15, height), card)
    paper.y += height + 0.24
    paper.lines(left, HALF, notes(card)["speed"], color=GREY)


def _foot(paper: Paper, said: Said) -> bool:
    """Write where the numbers come from at the foot of the page; return whether there is room for it."""
    lines = [line for text in said.foot for line in paper.wrapped(text, INNER)]
    begin = HEIGHT - TOP - LINE * len(lines)
    fits = paper.y <= begin
    paper.y = begin
    for line in lines:
        paper.lines(EDGE, INNER, line, color=GREY)
    return fits
