"""A drawing as SVG, written from its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from .drawing import CORNER, SMALLEST, Drawing, Node, Text, Wire, low_size, parts
from .placing import LABEL
from .reading import is_vector
from .routing import Point

COLOURS = {
    "frame": ("#d9ecd6", "#7fab7c"),
    "layer": ("#fdf0a8", "#b98f14"),
    "point": ("#f6c3cd", "#b8506b"),
    "constant": ("#ffffff", "#8a8a8a"),
    "input": ("#bfdcf5", "#4f84b8"),
    "output": ("#e2d3f0", "#80609f"),
    "cut": ("none", "none"),
}
INK, VECTOR, MARK = "#1f2a1f", "#a03325", "#c2410c"
FONT = "'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"
SERIF = "'Times New Roman', 'STIX Two Text', 'DejaVu Serif', serif"
LINE, HALO, GAP, ARROW = 1.8, 8.0, 5.0, (9.0, 7.0)


Edge = tuple[int, int | str, str]


@dataclass(frozen=True)
class Marks:
    """What is drawn in another colour.

    values: of nodes and wires. edges: further wires, by the value, where it ends, and what is written there.
    """

    values: frozenset[int] = frozenset()
    edges: frozenset[Edge] = frozenset()

    def has_node(self, node: Node) -> bool:
        """Return whether a node is marked."""
        return node.number in self.values or (node.value >= 0 and node.value in self.values)

    def has_wire(self, wire: Wire) -> bool:
        """Return whether a wire is marked."""
        at = (wire.of, wire.value) if wire.value >= 0 else (wire.of,)
        return any(v in self.values for v in at) or (wire.of, wire.to, wire.role) in self.edges


def svg(drawing: Drawing, *, title: str = "", marked: frozenset[int] = frozenset(), walk: bool = False) -> str:
    """Write a drawing as a standalone SVG.

    title: for screen readers; by default what is drawn.
    marked: values whose nodes and wires are drawn in another colour.
    walk: whether each spot gets two empty texts, `number` and `slope`, which a page fills.

    Returns the text of the file. Every wire is `<g class="wire" data-value="17">`, every node
    `<g class="node" data-value="17">`.
    """
    shown = title or f"The cell {drawing.name}, drawn from its definition"
    left, top, width, height = drawing.left, drawing.top, drawing.width, drawing.height
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cell" role="img" viewBox="{n(left)} {n(top)} {n(width)} '
        f'{n(height)}" width="{n(width)}" height="{n(height)}">',
        f"<title>{escape(shown)}</title>",
        f"<desc>{escape(described(drawing))}</desc>",
        f"<style>{style()}</style>",
        f'<rect class="paper" x="{n(left)}" y="{n(top)}" width="{n(width)}" height="{n(height)}"/>',
        *inner(drawing, Marks(marked)),
    ]
    if walk:
        rows += [row for w in drawing.wires if w.spot is not None for row in _numbers(w.value, w.spot)]
    return "\n".join([*rows, "</svg>"]) + "\n"


def inner(drawing: Drawing, marks: Marks) -> list[str]:
    """Return the shapes of a drawing as lines of an SVG, in its own coordinates."""
    x0, y0, x1, y1 = drawing.frame
    rows = []
    if x1 > x0:
        rows.append(f'<rect class="frame" x="{n(x0)}" y="{n(y0)}" width="{n(x1 - x0)}" height="{n(y1 - y0)}" rx="16"/>')
    below: list[Wire] = []
    for group in in_order(drawing):
        gaps = [(a, b) for w in group for a, b in crossings(w, below)]
        rows += [f'<path class="halo" d="M{n(a[0])} {n(a[1])}L{n(b[0])} {n(b[1])}"/>' for a, b in gaps]
        rows += [_wire(w, marks.has_wire(w)) for w in group]
        below += group
    rows += [_node(node, marks.has_node(node)) for node in drawing.nodes]
    return rows + [text_row(text) for text in drawing.texts]


def in_order(drawing: Drawing) -> list[list[Wire]]:
    """Return the wires by value in the order in which they are drawn: those that run on top of others come last."""
    groups: dict[int, list[Wire]] = {}
    for w in drawing.wires:
        groups.setdefault(w.of, []).append(w)
    belts = {w.of for w in drawing.wires if w.points[0][1] == w.points[-1][1] and len(w.points) == 2}
    return [groups[k] for k in sorted(groups, key=lambda k: (k in belts, k))]


def crossings(wire: Wire, below: Sequence[Wire]) -> list[tuple[Point, Point]]:
    """Return the short pieces of a wire at which it runs over others, which get a gap there."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(wire.points):
        for other in below:
            for (u0, v0), (u1, v1) in pairwise(other.points):
                if y0 == y1 and u0 == u1 and min(x0, x1) < u0 < max(x0, x1) and min(v0, v1) < y0 < max(v0, v1):
                    found.append(((u0 - GAP, y0), (u0 + GAP, y0)))
                if x0 == x1 and v0 == v1 and min(u0, u1) < x0 < max(u0, u1) and min(y0, y1) < v0 < max(y0, y1):
                    found.append(((x0, v0 - GAP), (x0, v0 + GAP)))
    return found


def described(drawing: Drawing) -> str:
    """Return in words what a drawing shows, for readers who cannot see it."""
    layers = [f"{e.name}: {e.label}" for e in drawing.abstract.elements.values() if e.kind == "layer"]
    operations = [node.label for node in drawing.nodes if node.kind == "point"]
    state = ", ".join(drawing.abstract.new)
    return (
        f"Learned layers {', '.join(layers) or 'none'}; pointwise operations {' '.join(operations) or 'none'}; "
        f"state {state}."
    )


def style() -> str:
    """Return the rules of the classes of a drawing."""
    rules = [f".cell .{k}{{fill:{fill};stroke:{edge};stroke-width:1.5}}" for k, (fill, edge) in COLOURS.items()]
    rules += [
        ".cell .paper{fill:#fff}",
        f".cell .line{{fill:none;stroke:{INK};stroke-width:{LINE};stroke-linejoin:round;stroke-linecap:round}}",
        f".cell .halo{{fill:none;stroke:{COLOURS['frame'][0]};stroke-width:{n(HALO)}}}",
        f".cell .head{{fill:{INK}}}",
        f".cell .vector .line{{stroke:{VECTOR}}}.cell .vector .head{{fill:{VECTOR}}}",
        f".cell .marked .line{{stroke:{MARK};stroke-width:2.6}}.cell .marked .head{{fill:{MARK}}}",
        f".cell .marked>rect,.cell .marked>ellipse{{stroke:{MARK};stroke-width:3}}",
        f".cell text{{font-family:{FONT};fill:{INK}}}",
        f".cell .math{{font-family:{SERIF};font-style:italic}}",
        f".cell text.vector{{fill:{VECTOR}}}.cell .title{{font-weight:bold}}",
        f".cell .number{{font-size:{n(SMALLEST)}px}}.cell .slope{{font-size:{n(SMALLEST)}px;fill:#b91c1c}}",
    ]
    return "".join(rules)


def rounded(points: Sequence[Point]) -> list[tuple[Point, Point, Point]]:
    """Return for each corner of a line where its curve begins, the corner itself, and where the curve ends."""
    curves: list[tuple[Point, Point, Point]] = []
    for (x0, y0), (x1, y1), (x2, y2) in zip(points, points[1:], points[2:], strict=False):
        before, after = _length((x0, y0), (x1, y1)), _length((x1, y1), (x2, y2))
        r = min(CORNER, before / 2 if curves else before, after if (x2, y2) == points[-1] else after / 2)
        a = (x1 + (x0 - x1) * r / before, y1 + (y0 - y1) * r / before)
        b = (x1 + (x2 - x1) * r / after, y1 + (y2 - y1) * r / after)
        curves.append((a, (x1, y1), b))
    return curves


def path(points: Sequence[Point]) -> str:
    """Return a line with rounded corners as the path of an SVG."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    curves = [f"L{n(a[0])} {n(a[1])}Q{n(x)} {n(y)} {n(b[0])} {n(b[1])}" for a, (x, y), b in rounded(points)]
    return "".join([f"M{n(x0)} {n(y0)}", *curves, f"L{n(x1)} {n(y1)}"])


def head(wire: Wire) -> list[Point]:
    """Return the corners of the arrow at the end of a wire."""
    (x0, y0), (x1, y1) = wire.drawn[-2:]
    length, (long, wide) = _length((x0, y0), (x1, y1)), ARROW
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    bx, by = x1 - dx * long, y1 - dy * long
    return [(x1, y1), (bx - dy * wide / 2, by + dx * wide / 2), (bx + dy * wide / 2, by - dx * wide / 2)]


def n(value: float) -> str:
    """Return a number as short as possible."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0" if abs(value) < 0.005 else "-0")


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _wire(wire: Wire, marked: bool) -> str:
    classes = f"wire{' vector' * is_vector(wire.role)}{' marked' * marked}"
    arrow = ""
    if wire.end:
        arrow = f'<path class="head" d="M{"L".join(f"{n(x)} {n(y)}" for x, y in head(wire))}Z"/>'
    shown = path(shortened(wire)) if wire.end else path(wire.drawn)
    return f'<g class="{classes}" data-value="{wire.value}"><path class="line" d="{shown}"/>{arrow}</g>'


def shortened(wire: Wire) -> list[Point]:
    """Return the points of a wire that ends within its arrow."""
    (x0, y0), (x1, y1) = wire.drawn[-2:]
    length = _length((x0, y0), (x1, y1))
    keep = max(length - ARROW[0] + 2, 0.5) / length
    return [*wire.drawn[:-1], (x0 + (x1 - x0) * keep, y0 + (y1 - y0) * keep)]


def _node(node: Node, marked: bool) -> str:
    x, y, w, h = node.x, node.y, node.width, node.height
    if node.kind == "cut":
        strokes = "".join(f"M{n(x + dx - 3)} {n(y + 9)}L{n(x + dx + 3)} {n(y - 9)}" for dx in (-3, 3))
        shape = f'<path class="line" d="M{n(x - w / 2)} {n(y)}H{n(x + w / 2)}{strokes}"/>'
    elif node.kind in ("layer", "constant") or node.label == "switch":
        radius = {"layer": 4, "constant": 9}.get(node.kind, 15)
        at = f'x="{n(x - w / 2)}" y="{n(y - h / 2)}" width="{n(w)}" height="{n(h)}"'
        shape = f'<rect class="{node.kind}" {at} rx="{radius}"/>'
    else:
        shape = f'<ellipse class="{node.kind}" cx="{n(x)}" cy="{n(y)}" rx="{n(w / 2)}" ry="{n(h / 2)}"/>'
    text = (
        text_row(Text(x, y + middle(node), node.label, size_of(node), "middle", label_style(node)))
        if node.label
        else ""
    )
    return f'<g class="node{" marked" * marked}" data-value="{node.value}">{shape}{text}</g>'


def size_of(node: Node) -> float:
    """Return the size of the text in a node."""
    return 20 if node.label in ("×", "+", "−", "÷", "σ") else LABEL


def middle(node: Node) -> float:
    """Return how far below the middle of a node the base line of its text is."""
    return {"×": 6.5, "+": 6.5, "−": 6.5, "÷": 6.5, "σ": 6.0}.get(node.label, 5.0)


def label_style(node: Node) -> str:
    """Return how the text in a node is set: names of values as mathematics."""
    return "state" if node.kind in ("input", "output", "constant") else "inner"


def text_row(text: Text) -> str:
    """Return a label as an element of an SVG."""
    pieces = parts(text.text) if text.style in ("state", "name", "vector", "inner") else [text.text]
    low = f'<tspan dy="{n(text.size * 0.25)}" font-size="{n(low_size(text.size))}">'
    inner = escape(pieces[0]) + (f"{low}{escape(pieces[1])}</tspan>" if len(pieces) > 1 else "")
    if len(pieces) > 2:
        inner += f'<tspan dy="{n(-text.size * 0.25)}">{escape(pieces[2])}</tspan>'
    classes = " ".join(filter(None, ("math" if text.style in ("state", "name", "vector") else "", text.style)))
    return (
        f'<text class="{classes}" x="{n(text.x)}" y="{n(text.y)}" font-size="{n(text.size)}" '
        f'text-anchor="{text.anchor}">{inner}</text>'
    )


def _numbers(value: int, spot: Point) -> list[str]:
    x, y = spot
    return [
        f'<text class="{kind}" data-value="{value}" x="{n(x)}" y="{n(y + dy)}" text-anchor="middle"></text>'
        for kind, dy in (("number", -2), ("slope", 10))
    ]
