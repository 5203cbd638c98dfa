"""A sheet of drawings as a PNG: the shapes of the SVG, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.files import replacing

from .drawing import Drawing, Node, Text, Wire, parts
from .markup import (
    COLOURS,
    HALO,
    INK,
    LINE,
    MARK,
    VECTOR,
    Marks,
    crossings,
    head,
    in_order,
    label_style,
    middle,
    rounded,
    shortened,
    size_of,
)
from .reading import is_vector
from .routing import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS = 100  # of a drawing that are an inch
LEAST_POINTS = 8.0  # of text in a drawing that is made smaller
DOTS = 2 * UNITS  # of an inch in the file, so that a unit of the drawing is two dots
POINT = 72 / UNITS  # points of a unit


def png(drawing: Drawing, path: Path, *, marks: Marks | None = None) -> None:
    """Write a drawing as a PNG, two dots a unit.

    path: of the file; it is written whole or not at all.
    marks: what is drawn in another colour.
    """
    paint(path, drawing.width, drawing.height, [(drawing, -drawing.left, -drawing.top, marks or Marks())], [])


def paint_on(figure: Figure, drawing: Drawing, left: float, top: float, scale: float) -> None:
    """Draw a cell into a figure that has other things, too; no text gets smaller than 8 points.

    figure: of any size.
    drawing: of the cell.
    left, top: of its corner, in inches from the left and from the top.
    scale: of its size; with 1, a unit of the drawing is a hundredth of an inch.
    """
    from matplotlib import rc_context

    width, height = figure.get_size_inches()
    w, h = (scale * size / UNITS for size in (drawing.width, drawing.height))
    with rc_context({"font.family": "DejaVu Sans", "mathtext.fontset": "dejavuserif", "path.simplify": False}):
        axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        axes.axis("off")
        _Painter(axes, -drawing.left, -drawing.top, scale).drawing(drawing, Marks())


def paint(
    path: Path,
    width: float,
    height: float,
    drawings: Sequence[tuple[Drawing, float, float, Marks]],
    texts: Sequence[Text],
) -> None:
    """Write drawings and texts, each moved to its place on a sheet, as a PNG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.family": "DejaVu Sans", "mathtext.fontset": "dejavuserif", "path.simplify": False}):
        figure = Figure(figsize=(width / UNITS, height / UNITS), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.axis("off")
        for drawing, dx, dy, marks in drawings:
            _Painter(axes, dx, dy).drawing(drawing, marks)
        for text in texts:
            _Painter(axes, 0, 0).text(text)
        with replacing(path) as part:
            figure.savefig(part, dpi=DOTS, metadata={"Software": None})


class _Painter:
    """Adds shapes to axes, moved by dx and dy; scale: of the axes, for widths of lines and sizes of text."""

    def __init__(self, axes: Axes, dx: float, dy: float, scale: float = 1.0) -> None:
        self.axes, self.dx, self.dy, self.scale = axes, dx, dy, scale
        self.point = POINT * scale

    def drawing(self, drawing: Drawing, marks: Marks) -> None:
        x0, y0, x1, y1 = drawing.frame
        if x1 > x0:
            self._box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, 16, *COLOURS["frame"], 1.5)
        below: list[Wire] = []
        for group in in_order(drawing):
            for a, b in [pair for w in group for pair in crossings(w, below)]:
                self._path([a, b], COLOURS["frame"][0], HALO, "butt")
            for w in group:
                self._wire(w, marks.has_wire(w))
            below += group
        for node in drawing.nodes:
            self._node(node, marks.has_node(node))
        for text in drawing.texts:
            self.text(text)

    def _wire(self, wire: Wire, marked: bool) -> None:
        colour = MARK if marked else VECTOR if is_vector(wire.role) else INK
        self._path(shortened(wire) if wire.end else wire.drawn, colour, 2.6 if marked else LINE, "round")
        if wire.end:
            from matplotlib.patches import Polygon

            self._add(Polygon([self._at(p) for p in head(wire)], closed=True, facecolor=colour, edgecolor="none"))

    def _node(self, node: Node, marked: bool) -> None:
        from matplotlib.patches import Ellipse

        x, y, w, h = node.x, node.y, node.width, node.height
        fill, edge = COLOURS[node.kind]
        edge, wide = (MARK, 3.0) if marked else (edge, 1.5)
        if node.kind == "cut":
            self._path([(x - w / 2, y), (x + w / 2, y)], INK, LINE, "round")
            for dx in (-3, 3):
                self._path([(x + dx - 3, y + 9), (x + dx + 3, y - 9)], INK, LINE, "round")
        elif node.kind in ("layer", "constant") or node.label == "switch":
            self._box(x, y, w, h, {"layer": 4, "constant": 9}.get(node.kind, 15), fill, edge, wide)
        else:
            self._add(Ellipse(self._at((x, y)), w, h, facecolor=fill, edgecolor=edge, linewidth=wide * self.point))
        if node.label:
            self.text(Text(x, y + middle(node), node.label, size_of(node), "middle", label_style(node)))

    def text(self, text: Text) -> None:
        x, y = self._at((text.x, text.y))
        align: Any = {"start": "left", "middle": "center", "end": "right"}[text.anchor]
        colour = VECTOR if text.style == "vector" else INK
        self.axes.text(
            x,
            y,
            _typeset(text),
            fontsize=self._points(text.size),
            ha=align,
            va="baseline",
            color=colour,
            weight="bold" if text.style == "title" else "normal",
        )

    def _points(self, size: float) -> float:
        """Return the size of a text in points."""
        found = size * self.point * 0.95
        return found if self.scale == 1 else max(found, LEAST_POINTS)

    def _at(self, point: Point) -> Point:
        return point[0] + self.dx, point[1] + self.dy

    def _add(self, patch: Any) -> None:
        patch.set_zorder(2 + len(self.axes.patches) / 1000)
        self.axes.add_patch(patch)

    def _box(self, x: float, y: float, w: float, h: float, radius: float, fill: str, edge: str, wide: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        corner = self._at((x - w / 2, y - h / 2))
        style = f"round,pad=0,rounding_size={min(radius, h / 2, w / 2)}"
        self._add(
            FancyBboxPatch(corner, w, h, boxstyle=style, facecolor=fill, edgecolor=edge, linewidth=wide * self.point)
        )

    def _path(self, points: Sequence[Point], colour: str, wide: float, cap: Any) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Curve

        at = [self._at(p) for p in points]
        vertices, codes = [at[0]], [Curve.MOVETO]
        for curve in rounded(at):
            vertices += curve
            codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
        vertices.append(at[-1])
        codes.append(Curve.LINETO)
        patch = PathPatch(Curve(vertices, codes), facecolor="none", edgecolor=colour, linewidth=wide * self.point)
        patch.set_capstyle(cap)
        patch.set_joinstyle("round")
        self._add(patch)


def _typeset(text: Text) -> str:
    """Return a label in the notation of matplotlib: names in italics, with what stands below the line."""
    pieces = parts(text.text)
    if text.style not in ("state", "name", "vector", "inner") or (text.style == "inner" and len(pieces) == 1):
        return text.text
    name, *below = pieces
    low = f"_{{{_italic(below[0].replace('−', '-'))}}}" if below else ""
    return f"${_italic(name)}{low}$" + "".join(below[1:])


def _italic(name: str) -> str:
    return r"\mathit{" + name.replace("_", r"\_") + "}"
