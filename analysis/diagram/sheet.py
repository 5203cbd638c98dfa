"""Drawings on a sheet: one, or two beside each other with a sentence below, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from variants.engine.ir.graph import Graph

from .drawing import Drawing, Node, Text, Wire
from .markup import Marks, described, inner, n, style, text_row
from .picture import paint
from .reading import Abstract

GAP, TITLE, LINE = 24, 17, 21  # between drawings; size of a title; height of a line of text
DIFFERENT = frozenset({-100})  # number of the wire in the legend that is marked, as what differs is


@dataclass
class Sheet:
    """Drawings with their places, and texts. title: for screen readers."""

    title: str
    width: float
    height: float
    drawings: list[tuple[Drawing, float, float, Marks]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def svg(self) -> str:
        """Return the sheet as a standalone SVG."""
        rows = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cell" role="img" viewBox="0 0 {n(self.width)} '
            f'{n(self.height)}" width="{n(self.width)}" height="{n(self.height)}">',
            f"<title>{escape(self.title)}</title>",
            f"<desc>{escape(' '.join(described(d) for d, *_ in self.drawings if d.abstract.elements))}</desc>",
            f"<style>{style()}</style>",
            f'<rect class="paper" width="{n(self.width)}" height="{n(self.height)}"/>',
        ]
        for drawing, dx, dy, marks in self.drawings:
            rows += [f'<g transform="translate({n(dx)} {n(dy)})">', *inner(drawing, marks), "</g>"]
        return "\n".join([*rows, *(text_row(text) for text in self.texts), "</svg>"]) + "\n"

    def png(self, path: Path) -> None:
        """Write the sheet as a PNG."""
        paint(path, self.width, self.height, self.drawings, self.texts)


def sheet(drawings: Sequence[tuple[Drawing, str, Marks]], sentences: Sequence[str] = ()) -> Sheet:
    """Return drawings beside each other, each with its title, sentences below them, and the legend.

    drawings: with title and what is marked.
    """
    key = legend(compared=any(marks != Marks() for _, _, marks in drawings))
    height = max(d.height for d, *_ in drawings)
    width = sum(d.width for d, *_ in drawings) + GAP * (len(drawings) - 1)
    whole = max(width, key.width)
    found = Sheet(" and ".join(title for _, title, _ in drawings), whole, 0)
    x = (whole - width) / 2
    for drawing, title, marks in drawings:
        found.texts.append(Text(x + drawing.width / 2, TITLE + 3, title, TITLE, "middle", "title"))
        found.drawings.append((drawing, x - drawing.left, TITLE + 12 - drawing.top + height - drawing.height, marks))
        x += drawing.width + GAP
    y = TITLE + 12 + height
    for line in [line for sentence in sentences for line in _wrapped(sentence, whole)]:
        y += LINE
        found.texts.append(Text(whole / 2, y, line, 15, "middle", "said"))
    y += 16
    found.drawings.append((key, (whole - key.width) / 2 - key.left, y - key.top, Marks(DIFFERENT)))
    found.height = y + key.height + 6
    return found


def legend(*, compared: bool = False) -> Drawing:
    """Return the grammar of the drawings as a drawing: what a box, a circle and each kind of line mean.

    compared: whether it also explains the colour of what differs between two cells.
    """
    nodes, wires, texts = list[Node](), list[Wire](), list[Text]()

    def wire(points: list[tuple[float, float]], *, end: str = "arrow", role: str = "", of: int = 0) -> None:
        given = tuple(points)
        wires.append(Wire(-1, given, end, None, given, of or -101 - len(wires), "", role))

    def label(x: float, text: str, y: float = 0) -> None:
        texts.append(Text(x, y + 5, text, 13, "start", "said"))

    nodes.append(Node(-1, "layer", "σ", 26, 0, 40, 30))
    label(54, "learned layer")
    nodes.append(Node(-1, "point", "×", 166, 0, 30, 30))
    label(189, "pointwise operation")
    wire([(346, -9), (382, -9)], end="")
    wire([(346, 10), (360, 10), (360, -9), (382, -9)])
    label(390, "lines merge")
    row = 38
    wire([(8, row - 9), (44, row - 9)])
    wire([(10, row - 9), (26, row - 9), (26, row + 10), (44, row + 10)])
    label(54, "copy", row)
    wire([(146, row), (182, row)], role="p")
    label(189, "times a weight per unit", row)
    nodes.append(Node(-1, "cut", "", 364, row, 30, 20))
    label(390, "gradient is cut", row)
    if compared:
        (different,) = DIFFERENT
        wire([(8, 2 * row), (44, 2 * row)], of=different)
        label(54, "differs between the two cells", 2 * row)
    empty = Abstract("legend", Graph(), {}, {}, {}, {}, [], (), (), ())
    return Drawing("legend", 0, -20, 490, 114 if compared else 76, (0, 0, 0, 0), nodes, wires, texts, Graph(), empty)


def _wrapped(sentence: str, width: float) -> list[str]:
    """Return a sentence in lines that fit a width."""
    lines, most = [""], max(int(width / 7.4), 20)
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + len(word) + 1 > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
