"""What makes a figure hard to read: small, pale, overlapping or cut text, and pale lines and marks."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures import look
from analysis.figures.pieces import luminance

SMALLEST, OF_TEXT, OF_MARKS = 8.0, 4.5, 3.0  # points, contrasts on white
TOLERANCE = 1.0  # pixels by which boxes of text may overlap or stick out; they are larger than their letters


def faults(figure: Figure) -> list[str]:
    """Draw a figure and return what makes it hard to read; nothing of a good one."""
    with look.settings():
        FigureCanvasAgg(figure)
        figure.dpi = 100
        engine = figure.get_layout_engine()
        if engine is not None and figure.axes:
            engine.execute(figure)
        figure.set_layout_engine("none")
        figure.draw_without_rendering()  # legends and labels of axes get their places
        texts = _texts(figure)
        boxes = np.array([text.get_window_extent().extents for text in texts]).reshape(-1, 4)
        return [
            *(f"{_name(t)} has {t.get_fontsize():.1f} points" for t in texts if t.get_fontsize() < SMALLEST),
            *(f"{_name(t)} is pale" for t in texts if not _in_a_cell(t) and contrast(t.get_color()) < OF_TEXT),
            *_outside(figure, texts, boxes),
            *_overlapping(texts, boxes),
            *_pale_marks(figure),
        ]


def contrast(colour: object) -> float:
    """Return the contrast of a colour on white, as WCAG 2 defines it."""
    red, green, blue, alpha = to_rgba(colour)  # type: ignore[arg-type]
    return 1.05 / (luminance(1 - alpha * (1 - np.array([red, green, blue]))) + 0.05)


def _name(text: Text) -> str:
    return repr(text.get_text())


def _texts(figure: Figure) -> list[Text]:
    """Return the texts that are seen: not those of ticks outside of an axis."""
    hidden: set[Text] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = axes.axison and axes.get_visible()
            margin = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not shown or not low - margin <= tick.get_loc() <= high + margin:
                    hidden |= {tick.label1, tick.label2}
            if not shown:
                hidden |= {axis.label, axis.offsetText}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in dict.fromkeys(found) if text not in hidden]


def _in_a_cell(text: Text) -> bool:
    """Return whether a text stands in a coloured cell or bar, whose ink `pieces.ink_on` chooses."""
    return text.axes is not None and to_rgba(text.get_color())[:3] in ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def _outside(figure: Figure, texts: list[Text], boxes: np.ndarray) -> list[str]:
    width, height = figure.bbox.size
    room = np.array([-TOLERANCE, -TOLERANCE, width + TOLERANCE, height + TOLERANCE])
    out = (boxes[:, :2] < room[:2]).any(axis=1) | (boxes[:, 2:] > room[2:]).any(axis=1)
    return [f"{_name(texts[k])} is cut" for k in np.flatnonzero(out)]


def _overlapping(texts: list[Text], boxes: np.ndarray) -> list[str]:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = (high - low > TOLERANCE).all(axis=2)
    pairs = np.argwhere(np.triu(both, k=1))
    return [f"{_name(texts[a])} runs into {_name(texts[b])}" for a, b in pairs]


def _pale_marks(figure: Figure) -> list[str]:
    """Return lines and marks that are pale; areas may be, since they have an edge or stand behind a line."""
    found = []
    for axes in figure.axes:
        for line in axes.lines:
            colour = line.get_color() if line.get_linestyle() != "None" else line.get_markeredgecolor()
            if line.get_markeredgecolor() == "white":
                colour = line.get_markerfacecolor()
            white = to_rgba(colour)[:3] == (1.0, 1.0, 1.0)  # a rim
            if not white and contrast((*to_rgba(colour)[:3], line.get_alpha() or 1.0)) < OF_MARKS:
                found.append(f"a line or mark {colour} is pale")
        for marks in axes.collections:
            found += _pale(marks)
    return found


def _pale(marks: Collection) -> list[str]:
    if type(marks).__name__ not in ("PathCollection", "LineCollection"):
        return []
    colours = [*marks.get_facecolors(), *marks.get_edgecolors()]  # type: ignore[attr-defined]
    best = max((contrast(colour) for colour in colours), default=21.0)
    return [f"marks {colours[0]} are pale"] if best < OF_MARKS else []
