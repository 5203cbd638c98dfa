"""The scorecard as a picture of one page: A4 upright, text of at least 8 points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from .fitting import DOTS, LINE, broken, shortened, side_by_side, thin_ticks, widest, width_of, wrapped
from .said import Said, equation, notes, reach_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.27, 11.69  # inches of A4
EDGE, TOP = 0.5, 0.4  # margins left and right, above and below
INNER = WIDTH - 2 * EDGE
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
        for line in wrapped(text, width, size, looks.get("weight", "normal")):
            self.text(left, self.y, line, size, **looks)
            self.y += LINE * size / 8

    def heading(self, left: float, text: str) -> None:
        """Write the heading of a part at the present place."""
        self.text(left, self.y, text, 9, weight="bold")


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
    paper.lines(EDGE, INNER, said.title, 15, weight="bold")
    paper.lines(EDGE, INNER, said.study, color=GREY)
    paper.y += 0.05
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


FOREST = 1.12  # inches of a column of differences
GAP, BEFORE, AFTER = 0.16, 0.08, 0.1  # between columns: usually, before a place, and after it
NAMES, STRIP = 1.85, 1.0  # inches of the column of names, and of the levels, at least


class Columns(NamedTuple):
    """The columns of the tasks, in inches from the left; each text column is as wide as its widest text.

    names: width of the names. lag: right end of the lags.
    strip, width: begin and width of the levels.
    value: right end of the own level. place: begin of the place.
    forests: begin of each column of differences.
    """

    names: float
    lag: float
    strip: float
    width: float
    value: float
    place: float
    forests: tuple[float, float]


def _columns(rows: Sequence[Mapping[Any, Any]]) -> Columns:
    """Return the columns for the rows of all tasks: the levels get what the texts leave."""
    forests = WIDTH - EDGE - 2 * FOREST - GAP
    place = forests - AFTER - widest(["place", *map(rank_text, rows)], "bold")
    value = place - BEFORE
    end = value - widest(["this", *map(_value, rows)], "bold") - GAP
    lags = widest(_lag(row) for row in rows if _in_series(row))
    after = AFTER + (lags + AFTER if lags else 0.0)
    wanted = max(NAMES - (lags + AFTER if lags else 0.0), widest(map(_name, rows)))
    names = min(wanted, end - STRIP - after - EDGE)
    strip = EDGE + names + after
    return Columns(names, strip - AFTER, strip, end - strip, value, place, (forests, forests + FOREST + GAP))


def _places(paper: Paper, card: Card) -> None:
    """Draw a row per task: the variant among the others, its place, and how it differs from the baseline."""
    solvable = card.places["solvable"]
    blocks = [card.places[solvable], *(one for _, one in card.places[~solvable].groupby("task", sort=False))]
    shown = [list(rows.head(MOST).to_dict("records")) for rows in blocks]
    columns = _columns([row for rows in shown for row in rows])
    paper.heading(EDGE, f"Among {int(card.places['variants'].max())} cells")
    for rows, every in zip(shown, blocks, strict=True):
        if rows:
            _block(paper, card, rows, len(every) - len(rows), columns)


def _block(paper: Paper, card: Card, rows: Sequence[Mapping[Any, Any]], more: int, columns: Columns) -> None:
    """Draw the rows of tasks that share their axes; more: rows that there is no room for."""
    solvable = bool(rows[0]["solvable"])
    heads = _heads(card, rows[0])
    top, height = paper.y + 0.17, ROW * len(rows)
    for x, text, side in (
        (columns.strip, heads[0], "left"),
        (columns.value, "this", "right"),
        (columns.place, "place", "left"),
    ):
        paper.text(x, paper.y, text, color=GREY, ha=side)

    def axes(x: float, width: float) -> Axes:
        found = paper.axes(x, top, width, height)
        row_axis(found, len(rows))
        found.set_ylim(len(rows) - 0.5, -0.5)
        found.spines["left"].set_visible(False)
        return found

    _strip(axes(columns.strip, columns.width), card, rows)
    prefixes, width = (("", "quality_"), FOREST) if solvable else (("quality_",), 2 * FOREST + GAP)
    for prefix, x, text in zip(prefixes, columns.forests, heads[1:], strict=False):  # losses have one wide column
        _forest(axes(x, width), card, rows, prefix)
        paper.text(x, paper.y, shortened(text, width), color=GREY)
    for y in range(len(rows)):
        _row_texts(paper, rows, y, top + ROW * y, columns)
    paper.y = top + height + 0.33
    if more:
        paper.text(EDGE, paper.y - 0.1, f"{more} more tasks are on the page beside this picture.", color=GREY)
        paper.y += LINE


def _heads(card: Card, row: Mapping[Any, Any]) -> list[str]:
    """Return the headings of the columns: of the levels, and of the differences from the baseline."""
    best = f"best of {searched(card.points)}" if row["solvable"] else "best decile"
    if row["solvable"]:
        return ["solved by each cell, %", "more solved, points", f"{best}: score"]
    return ["test loss (dashes: floor)", f"lower test loss of the {best}"]


def _row_texts(paper: Paper, rows: Sequence[Mapping[Any, Any]], y: int, top: float, columns: Columns) -> None:
    """Write the name of a task, the level of the variant and its place."""
    row = rows[y]
    middle = top + (ROW - LINE) / 2
    weight = _weight(row)
    if not _in_series(row) or y == 0 or rows[y - 1]["series"] != row["series"]:
        paper.text(EDGE, middle, shortened(_name(row), columns.names, weight=weight), weight=weight)
    if _in_series(row):
        paper.text(columns.lag, middle, _lag(row), ha="right")
    paper.text(columns.value, middle, _value(row), ha="right", weight=weight)
    paper.text(columns.place, middle, rank_text(row), weight=weight)


def _in_series(row: Mapping[Any, Any]) -> bool:
    """Return whether a row is a lag of a series, whose name stands in the first of its rows only."""
    return bool(row["task"] not in (OVERALL, row["series"]))


def _weight(row: Mapping[Any, Any]) -> str:
    return "bold" if row["task"] == OVERALL else "normal"


def _name(row: Mapping[Any, Any]) -> str:
    return "all tasks together" if row["task"] == OVERALL else words.spoken(str(row["series"]))


def _lag(row: Mapping[Any, Any]) -> str:
    return f"{row['lag']:.0f}"


def _value(row: Mapping[Any, Any]) -> str:
    return words.number(row["value"], "%" if row["solvable"] else str(row["unit"]))


def rank_text(row: Mapping[Any, Any]) -> str:
    """Return a place with its interval.

    >>> rank_text({"rank": 3, "rank_low": 1, "rank_high": 6}), rank_text({"rank": 3, "rank_low": float("nan")})
    ('3 [1, 6]', '3')
    """
    if not np.isfinite(row["rank_low"]):
        return f"{row['rank']:.0f}"
    return f"{row['rank']:.0f} [{row['rank_low']:.0f}, {row['rank_high']:.0f}]"


def _strip(axes: Axes, card: Card, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Draw the levels of all variants, with the baseline and the variant marked, and the floor of losses."""
    solvable = bool(rows[0]["solvable"])
    scale = 100.0 if solvable else 1.0
    ends = (0.0, 100.0)
    if not solvable:
        goal = card.study.goals[rows[0]["task"]]
        ends = goal.axis(list(card.levels[rows[0]["task"]].values()))
        floor = float(goal.shown(goal.floor))
        # it reaches beyond the row, so that no mark hides it
        axes.axvline(floor, -0.15, 1.15, color=GREY, lw=0.9, ls=(0, (3, 1.5)), clip_on=False)
    for y, row in enumerate(rows):
        levels = {v: float(np.clip(scale * level, *ends)) for v, level in card.levels[row["task"]].items()}
        others = [level for v, level in levels.items() if v not in (card.variant, card.baseline)]
        axes.plot(others, [y] * len(others), ls="none", marker="|", ms=6, mec=BACK, mew=1.0, zorder=2, clip_on=False)
        for variant in panels.own_and_baseline(card):
            first = variant == card.variant
            if variant in levels:
                colour, marker, _ = look(variant)
                style: dict[str, Any] = {"zorder": 4 if first else 3, "clip_on": False, "ms": 5}
                mark(axes, levels[variant], y, marker, colour, filled=first, **style)
    if solvable:
        axes.set_xlim(-2, 102)
        axes.set_xticks([0, 50, 100])
    else:
        axes.set_xlim(*reversed(ends))
    thin_ticks(axes)


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
    axes.set_xticks([])
    if known:
        axes.set_xticks([-tick, 0, tick], [words.powers(text) for text in (f"−{tick:g}", "0", f"+{tick:g}")])
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
        place = scale * row[f"{prefix}difference"]
        mark(axes, place, y, marker, colour, filled=low * high > 0, ms=4.5, clip_on=False)
    thin_ticks(axes, first=[0])


def words_for(row: Mapping[Any, Any], prefix: str) -> str:
    """Return what stands in place of a difference where there is none; empty where there is one."""
    verdict = row[f"{prefix}verdict"]
    if not isinstance(verdict, str):
        return words.NOTHING
    return IN_PLACE.get(verdict, "")


HALF = (INNER - 0.35) / 2
ALONE = 0.6 * HALF  # of a panel that may have another one beside it


def _half_lags(paper: Paper, card: Card) -> None:
    paper.heading(EDGE, "At which lag is half of the solve rate left?")
    paper.y += 0.22
    rows = card.own_half_lags
    if not rows:
        paper.lines(EDGE, HALF, notes(card)["half_lags"], color=GREY)
        paper.y += 0.1
        return
    texts = panels.half_lag_texts(card, HALF, 0.22 if len(rows) > 1 else 0.44)
    panels.half_lags(paper.axes(EDGE + texts.before, paper.y, texts.width, texts.height), card, texts)
    paper.y += texts.height + 0.44


def _gradients(paper: Paper, card: Card) -> None:
    left = EDGE + HALF + 0.35
    paper.heading(left, "How far back does the gradient reach?")
    paper.y += 0.22
    if card.measured is None or not card.measured.reaches:
        paper.lines(left, HALF, notes(card)["reach"], color=GREY)
        paper.y += 0.1
        return
    axes = paper.axes(left + 0.5, paper.y, HALF - 0.55, 0.82)
    panels.gradients(axes, card)
    side_by_side([axes], left, WIDTH - EDGE)
    paper.y += 0.82 + 0.4
    for line in reach_lines(card):
        paper.lines(left, HALF, line, color=GREY)
    paper.y += 0.1


def _sensitivity(paper: Paper, card: Card) -> None:
    paper.heading(EDGE, "How much depends on the setting?")
    paper.y += 0.22
    if card.swept:
        drawn = [paper.axes(EDGE, paper.y, HALF / 2, 0.68) for _ in card.swept]
        for axes, name in zip(drawn, card.swept, strict=True):
            panels.sensitivity(axes, card, name, labelled=axes is drawn[0])
        side_by_side(drawn, EDGE, EDGE + (HALF if len(drawn) > 1 else ALONE))
        paper.y += 0.68 + 0.41
    paper.lines(EDGE, HALF, notes(card)["sensitivity"], color=GREY)
    paper.y += 0.1


def _speed(paper: Paper, card: Card) -> None:
    left = EDGE + HALF + 0.35
    paper.heading(left, "How long is a training step? (nn.LSTM = 1)")
    paper.y += 0.22
    if card.measured is None or not card.measured.speeds:
        paper.lines(left, HALF, notes(card)["speed"], color=GREY)
        return
    texts = panels.speed_texts(card, HALF, 0.17)
    panels.speeds(paper.axes(left + texts.before, paper.y, texts.width, texts.height), card, texts)
    paper.y += texts.height + 0.24
    paper.lines(left, HALF, notes(card)["speed"], color=GREY)


def _foot(paper: Paper, said: Said) -> bool:
    """Write where the numbers come from at the foot of the page; return whether there is room for it."""
    lines = [line for text in said.foot for line in wrapped(text, INNER)]
    begin = HEIGHT - TOP - LINE * len(lines)
    fits = paper.y <= begin
    paper.y = begin
    for line in lines:
        paper.lines(EDGE, INNER, line, color=GREY)
    return fits
