"""The scorecard as a page, which can be read on a telephone and needs no other file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import words
from ..diagram.markup import svg
from ..figures.look import look, settings
from ..standalone import standalone
from ..typeset import typeset
from . import panels
from .card import OVERALL, Card, searched
from .cell import About
from .fitting import side_by_side
from .picture import rank_text, words_for
from .said import Said, notes, reach_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.8  # inches of a panel, about those of a telephone
EDGE, TOP = 0.03, 0.08  # margins of a panel left and right, and above
STRIP = (160, 14)  # of the small plot in a row, in pixels


def page(card: Card, about: About, said: Said, files: Mapping[str, str]) -> str:
    """Return the page as HTML.

    card: the numbers.
    about: the cell.
    said: sentences.
    files: names of the same card as other files, by what they are called, for links.
    """
    shown = notes(card)
    speeds = [] if card.measured is None else card.measured.speeds
    reaches = [] if card.measured is None else card.measured.reaches
    rows = list(card.places.to_dict("records"))
    return standalone(
        Path(__file__).parent / "templates",
        "scorecard.html.jinja",
        said=said,
        colour=look(card.variant).colour,
        about=about,
        drawing="" if about.drawing is None else svg(about.drawing),
        equations=[typeset(line) for line in about.equations],
        blocks=[_block(card, [row for row in rows if row["solvable"] == solvable]) for solvable in (True, False)],
        cells=int(card.places["variants"].max()),
        half_lags=_figure(_half_lags(card)) if card.own_half_lags else "",
        gradients=_figure(_gradients(card)) if reaches else "",
        reach=" ".join(reach_lines(card)) if reaches else shown["reach"],
        sensitivity=_figure(_sensitivity(card)) if card.swept else "",
        speed=_figure(_speed(card)) if speeds else "",
        notes=shown,
        files=files,
    )


# The table of tasks
# ----------------------------------------------------------------------------------------------------------------------


def _block(card: Card, rows: list[Mapping[Any, Any]]) -> dict[str, Any]:
    """Return the heads and the rows of the tasks with a criterion of success, or of those without one."""
    if not rows:
        return {"rows": []}
    solvable = bool(rows[0]["solvable"])
    best = f"best of {searched(card.points)}" if solvable else "best decile"
    level = "solved, %" if solvable else f"test loss, {best}"
    heads = [
        "task",
        "all cells",
        level,
        "place [95\u00a0%]",
        *(["solved more, points [95\u00a0%]"] if solvable else []),
    ]
    heads.append(f"score, {best}, more [95\u00a0%]" if solvable else "test loss less [95\u00a0%]")
    return {"heads": heads, "rows": [_row(card, row) for row in rows]}


def _row(card: Card, row: Mapping[Any, Any]) -> dict[str, Any]:
    unit = "%" if row["solvable"] else str(row["unit"])
    cells = [words.number(row["value"], unit), rank_text(row)]
    if row["solvable"]:
        cells.append(_difference(row, "", "%", 1.0))
    cells.append(_difference(row, "quality_", "" if row["solvable"] else unit, 1.0 if row["solvable"] else -1.0))
    return {
        "name": "all tasks together" if row["task"] == OVERALL else words.spoken(str(row["task"])),
        "overall": row["task"] == OVERALL,
        "cells": cells,
        "marks": _strip(card, row),
    }


def _difference(row: Mapping[Any, Any], prefix: str, unit: str, sign: float) -> str:
    """Return a difference from the baseline with its interval; sign: -1 where less is better."""
    text = words_for(row, prefix)
    if text:
        return text
    low, high = sorted((sign * row[f"{prefix}low"], sign * row[f"{prefix}high"]))
    return words.difference(sign * row[f"{prefix}difference"], low, high, unit)


def _strip(card: Card, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the places of the marks of a row in pixels: of the other cells, the baseline and the variant."""
    levels = card.levels[row["task"]]
    if row["solvable"]:
        ends, floor = (0.0, 1.0), None
    else:
        goal = card.study.goals[row["task"]]
        high, low = reversed(goal.axis(list(levels.values())))
        ends, floor = (high, low), float(goal.shown(goal.floor))
    width, height = STRIP

    def at(value: float) -> float:
        return round(5 + (width - 10) * float(np.clip((value - ends[0]) / (ends[1] - ends[0]), 0, 1)), 1)

    return {
        "width": width,
        "height": height,
        "others": [at(level) for v, level in levels.items() if v not in (card.variant, card.baseline)],
        "baseline": None if card.is_baseline or card.baseline not in levels else at(levels[card.baseline]),
        "variant": at(levels[card.variant]),
        "floor": None if floor is None else at(floor),
    }


# Figures
# ----------------------------------------------------------------------------------------------------------------------

NewAxes = Callable[..., "Axes"]
Drawn = Callable[[NewAxes], None]


def _half_lags(card: Card) -> tuple[float, Drawn]:
    texts = panels.half_lag_texts(card, WIDTH - 2 * EDGE, 0.27)
    return texts.height + 0.5, lambda axes: panels.half_lags(axes(texts.height, texts.before, texts.width), card, texts)


def _gradients(card: Card) -> tuple[float, Drawn]:
    def drawn(axes: NewAxes) -> None:
        place = axes(1.4)
        panels.gradients(place, card)
        side_by_side([place], EDGE, WIDTH - EDGE)

    return 1.9, drawn


def _sensitivity(card: Card) -> tuple[float, Drawn]:
    def drawn(axes: NewAxes) -> None:
        found = [axes(1.0) for _ in card.swept]
        for place, name in zip(found, card.swept, strict=True):
            panels.sensitivity(place, card, name, labelled=place is found[0])
        side_by_side(found, EDGE, WIDTH - EDGE, gap=0.15)

    return 1.55, drawn


def _speed(card: Card) -> tuple[float, Drawn]:
    texts = panels.speed_texts(card, WIDTH - 2 * EDGE, 0.2)
    return texts.height + 0.35, lambda axes: panels.speeds(axes(texts.height, texts.before, texts.width), card, texts)


def _figure(drawing: tuple[float, Drawn]) -> str:
    """Return a figure as the address of an image, which holds the image itself."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with settings():
        written = BytesIO()
        metadata = {"Date": None, "Creator": None}
        FigureCanvasSVG(painted(drawing)).print_svg(written, metadata=metadata)  # type: ignore[no-untyped-call]
    return f"data:image/svg+xml;base64,{b64encode(written.getvalue()).decode()}"


def painted(drawing: tuple[float, Drawn]) -> Figure:
    """Return a figure of the width of a telephone; drawing: its height, and what draws it."""
    from matplotlib.figure import Figure

    height, drawn = drawing
    figure = Figure(figsize=(WIDTH, height))

    def axes(tall: float, before: float = 0.5, width: float = WIDTH / 2) -> Axes:
        place = ((EDGE + before) / WIDTH, 1 - (TOP + tall) / height, width / WIDTH, tall / height)
        return figure.add_axes(place)

    drawn(axes)
    return figure
