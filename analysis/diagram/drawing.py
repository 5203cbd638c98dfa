"""A diagram as shapes: elements, lines with rounded corners, labels, and the places of numbers beside lines."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from variants import Cell
from variants.engine.ir.graph import Graph

from .placing import LABEL, SMALL, Placed, Plan, Port, place
from .reading import Abstract, CannotDraw, is_vector, read
from .routing import Line, Point, route

CORNER = 8  # radius of a corner of a line
SMALLEST = 11.0  # size of text in pixels, so that none is below 8 points
NUMBER = (34, 23)  # room for two numbers of five characters, one above the other
FAR = (0, 3, 6, 9, 12, 16, 20, 25, 30, 40)  # how much further than necessary a number may stand from its line
SPREADS = (1.0, 1.3)  # how far apart elements stand, tried in this order until every line finds a way
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Node:
    """A layer, an operation or a constant.

    value: the graph's node that it computes. kind: layer, point, constant, cut or input or output.
    """

    value: int
    kind: str
    label: str
    x: float
    y: float
    width: float
    height: float
    number: int = 0

    @property
    def box(self) -> Box:
        return self.x - self.width / 2, self.y - self.height / 2, self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Wire:
    """A line from its source, or from a fork of an earlier line of the same value, to its end.

    value: the graph's node whose value it carries; negative for the input and for merged lines.
    end: "arrow", or empty where it merges into another line.
    spot: the middle of a place for a number beside the first line of each value, else None.
    drawn: the same points with curves out of a fork or into a merge.
    of, to: numbers of the value and of the element at which it ends; a label of the border where it ends there.
    """

    value: int
    points: tuple[Point, ...]
    end: str
    spot: Point | None
    drawn: tuple[Point, ...]
    of: int
    to: int | str
    role: str = ""


@dataclass(frozen=True)
class Text:
    """A label; what follows an underscore is below the line. anchor: start, middle or end. x, y: its base line."""

    x: float
    y: float
    text: str
    size: float
    anchor: str
    style: str

    @property
    def box(self) -> Box:
        sizes = (self.size, low_size(self.size), self.size)
        width = sum(0.56 * len(part) * size for part, size in zip(parts(self.text), sizes, strict=False))
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.y - 0.72 * self.size, left + width, self.y + 0.2 * self.size


@dataclass(frozen=True)
class Drawing:
    """A cell, drawn.

    left, top, width, height: of all that is drawn. frame: left, top, right and bottom of the cell itself.
    texts: labels beside nodes, lines and the border. graph: the traced graph, of which nodes and wires name nodes.
    """

    name: str
    left: float
    top: float
    width: float
    height: float
    frame: Box
    nodes: list[Node]
    wires: list[Wire]
    texts: list[Text]
    graph: Graph
    abstract: Abstract


def draw(cell: Cell) -> Drawing:
    """Draw a cell from its traced graph.

    cell: declared, with its knobs. Of one whose lowest layer differs, a layer above it is drawn.

    Returns the drawing, which has passed `check`.
    Raises CannotDraw, in one line, for a cell that cannot be traced or drawn rightly.

    >>> from variants import GRU
    >>> drawing = draw(GRU())
    >>> sorted(node.label for node in drawing.nodes if node.kind == "layer")
    ['tanh', 'σ', 'σ']
    """
    from .checking import check

    abstract = read(cell)
    reason = ""
    for spread in SPREADS:
        try:
            drawing = drawn(place(abstract, spread))
        except CannotDraw as error:
            reason = str(error)
            continue
        faults = check(drawing)
        if not faults:
            return drawing
        reason = f"{abstract.title}: {faults[0]}"
    raise CannotDraw(reason)


def drawn(plan: Plan) -> Drawing:
    """Return the shapes of a plan, with its lines."""
    lines = route(plan)
    nodes = [*(_node(p) for p in plan.placed.values() if p.element.kind != "merge"), *_ends(plan)]
    texts = _labels(plan)
    occupied = [node.box for node in nodes] + [text.box for text in texts]
    pieces = [around(a, b) for line in lines for a, b in pairwise(line.points)]
    for line in lines:
        if line.sink.role:
            text = _role(line, [*occupied, *pieces])
            texts.append(text)
            occupied.append(text.box)
    spots = _spots(plan, lines, [*occupied, *pieces])
    wires = [_wire(plan, line, lines[:k], _value(plan, line.net), spots.get(k)) for k, line in enumerate(lines)]
    left, top, right, bottom = plan.frame
    x0, x1 = (
        min(left, *(t.box[0] for t in texts)) - 8,
        max(right, *(t.box[2] for t in texts), *(n.box[2] for n in nodes)) + 8,
    )
    y0, y1 = min(top, *(n.box[1] for n in nodes)) - 6, max(bottom, *(n.box[3] for n in nodes)) + 6
    a = plan.abstract
    return Drawing(a.title, x0, y0, x1 - x0, y1 - y0, plan.frame, nodes, wires, texts, a.graph, a)


def low_size(size: float) -> float:
    """Return the size of what stands below the line beside text of a size: it stays readable."""
    return max(0.72 * size, SMALLEST)


def parts(label: str) -> list[str]:
    """Return a label, and what of it stands below the line where there is such a part: `c_t` gives c and t.

    >>> parts("h_depth_t"), parts("leaky relu"), parts("p_f×")
    (['h', 'depth,t'], ['leaky relu'], ['p', 'f', '×'])
    """
    found = re.match(r"([A-Za-z]\w*?)_([\w−]+)(.*)$", label)
    if not found:
        return [label]
    return [found[1], found[2].replace("_", ","), *([found[3]] if found[3] else [])]


def _value(plan: Plan, number: int) -> int:
    p = plan.placed.get(number)
    return p.element.value if p is not None else number


def _node(p: Placed) -> Node:
    e = p.element
    return Node(e.value, e.kind, e.label, p.x, p.y, p.width, p.height, e.number)


def _ends(plan: Plan) -> list[Node]:
    """The circles at the border: the input and what the layer below hands up, and the output."""
    nodes = []
    for port in plan.ports:
        if port.side not in ("bottom", "top"):
            continue
        away = 16 if port.side == "bottom" else -16
        letters = len("".join(parts(port.label)))
        wide = next(width for most, width in ((4, 32), (9, 64), (letters, 88)) if letters <= most)
        kind = "input" if port.side == "bottom" else "output"
        nodes.append(Node(port.number, kind, port.label, port.x, port.y + away, wide, 32, port.number))
    return nodes


def _labels(plan: Plan) -> list[Text]:
    texts = []
    for p in plan.placed.values():
        if p.element.kind == "layer":
            texts.append(Text(p.x - 6, p.y - p.height / 2 - 5, f"{p.element.name}_t", SMALL, "end", "name"))
    for port in plan.ports:
        if port.side == "left":
            texts.append(Text(port.x - 4, port.y - 7, port.label, LABEL, "start", "state"))
        elif port.side == "right":
            texts.append(Text(port.x + 4, port.y - 7, port.label, LABEL, "end", "state"))
    return texts


def _role(line: Line, occupied: list[Box]) -> Text:
    """Return what is written beside the end of a line, where it covers least."""
    x, y = line.points[-1]
    style = "vector" if is_vector(line.sink.role) else "role"
    if line.side in ("left", "right"):
        sign, anchor = (-1, "end") if line.side == "left" else (1, "start")
        places = [(x + sign * 8, y - 5, anchor), (x + sign * 8, y + 14, anchor), (x + sign * 20, y - 5, anchor)]
    else:
        sign = 1 if line.side == "bottom" else -1
        low = y + (15 if sign > 0 else -6)
        places = [(x + 6, low, "start"), (x - 6, low, "end"), (x + 6, low + 10 * sign, "start")]
    texts = [Text(px, py, line.sink.role, SMALL, a, style) for px, py, a in places]
    return min(texts, key=lambda t: _covers(t.box, occupied))


def _covers(box: Box, occupied: list[Box]) -> int:
    """Return how many labels, nodes and lines lie under a box."""
    x0, y0, x1, y1 = box
    return sum(x0 < right and left < x1 and y0 < bottom and top < y1 for left, top, right, bottom in occupied)


def meet(a: Box, b: Box) -> bool:
    """Return whether two boxes overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def around(a: Point, b: Point, margin: float = 1.0) -> Box:
    """Return the box around a straight piece of a line."""
    return min(a[0], b[0]) - margin, min(a[1], b[1]) - margin, max(a[0], b[0]) + margin, max(a[1], b[1]) + margin


def _around(spot: Point) -> Box:
    return spot[0] - NUMBER[0] / 2, spot[1] - NUMBER[1] / 2, spot[0] + NUMBER[0] / 2, spot[1] + NUMBER[1] / 2


def _spots(plan: Plan, lines: list[Line], occupied: list[Box]) -> dict[int, Point]:
    """Return the middle of a place for a number beside the lines of each value, by the first line of the value.

    occupied: nodes, labels and lines, of which a number covers as few as possible. The value with the fewest free
    places chooses first.
    """
    bringing: dict[int, list[int]] = {}
    for k, line in enumerate(lines):
        if _value(plan, line.net) >= 0:
            bringing.setdefault(_value(plan, line.net), []).append(k)
    places = {own[0]: _places([lines[k] for k in own], occupied) for own in bringing.values()}
    spots: dict[int, Point] = {}
    while places:
        k = min(places, key=lambda k: (sum(place[0] == 0 for place in places[k]), k))
        spots[k] = min(places.pop(k))[3]
        box = _around(spots[k])
        for other, found in places.items():
            places[other] = [(c + meet(_around(spot), box), far, n, spot) for c, far, n, spot in found]
    return spots


def _places(lines: list[Line], occupied: list[Box]) -> list[tuple[int, float, int, Point]]:
    """Return the places beside the lines of a value: how much a number there covers, how far it is, and where.

    Nearer to a line is better, and beside its first line better than beside a later one.
    """
    found: list[tuple[int, float, int, Point]] = []
    for late, line in enumerate(lines):
        for (x0, y0), (x1, y1) in pairwise(line.points):
            length = abs(x1 - x0) + abs(y1 - y0)
            for k in range(max(int(length / 10), 1)):
                x, y = x0 + (x1 - x0) * (10 * k + 5) / length, y0 + (y1 - y0) * (10 * k + 5) / length
                for far in FAR:
                    away = (0, NUMBER[1] / 2 + 3 + far) if y0 == y1 else (NUMBER[0] / 2 + 3 + far, 0)
                    for sign in (1, -1) if y0 != y1 else (-1, 1):
                        spot = (x + sign * away[0], y + sign * away[1])
                        found.append((_covers(_around(spot), occupied), far + 8 * late, len(found), spot))
    return found


def _wire(plan: Plan, line: Line, earlier: list[Line], value: int, spot: Point | None) -> Wire:
    merges = isinstance(line.sink.end, int) and plan.placed[line.sink.end].element.kind in ("merge", "cut")
    points = [*line.points]
    trunk = _flow(line.points[0], [e for e in earlier if e.net == line.net])
    if trunk is not None and _turns(trunk, points[0], points[1]):
        points.insert(0, (points[0][0] - trunk[0] * CORNER, points[0][1] - trunk[1] * CORNER))
    if merges and line.side in ("bottom", "top"):
        points.append((points[-1][0] + CORNER + 2, points[-1][1]))
    to = line.sink.end if isinstance(line.sink.end, int) else _border(line.sink.end)
    return Wire(value, tuple(line.points), "" if merges else "arrow", spot, tuple(points), line.net, to, line.sink.role)


def _border(port: Port) -> str:
    return f"{port.side} {port.label}"


def _flow(point: Point, lines: list[Line]) -> Point | None:
    """Return the direction in which a value flows at a point of its earlier lines, None where there is none."""
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line.points):
            if meet(around((x0, y0), (x1, y1), 0.5), around(point, point, 0.1)):
                length = abs(x1 - x0) + abs(y1 - y0)
                before = abs(point[0] - x0) + abs(point[1] - y0)
                return ((x1 - x0) / length, (y1 - y0) / length) if before >= CORNER else None
    return None


def _turns(trunk: Point, a: Point, b: Point) -> bool:
    return math.isclose(trunk[0] * (b[0] - a[0]) + trunk[1] * (b[1] - a[1]), 0.0, abs_tol=1e-6)
