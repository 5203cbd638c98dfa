"""Whether a drawing shows its cell rightly: every line once, none through an element, nothing on top of another."""

from __future__ import annotations

from itertools import combinations, pairwise

from .drawing import Drawing, Text, Wire, around, meet
from .reading import Abstract
from .routing import Point

TOUCH = 1.5  # how far a line may reach into what it ends at


def check(drawing: Drawing) -> list[str]:
    """Return what is wrong with a drawing, one sentence a fault; none where it is right."""
    return [
        *_missing(drawing),
        *_through_nodes(drawing),
        *_on_each_other(drawing),
        *_overlapping(drawing),
        *_outside(drawing),
    ]


def expected(abstract: Abstract, borders: list[str]) -> list[tuple[int, int | str, str]]:
    """Return the edges that a drawing of a cell must have: the value, where it ends, what is written there."""
    edges: list[tuple[int, int | str, str]] = [*abstract.edges()]
    for border in borders:
        side, _, label = border.partition(" ")
        if side in ("right", "top"):
            edges.append((abstract.new[label.removesuffix("_t")], border, ""))
    return edges


def borders(abstract: Abstract) -> list[str]:
    """Return the ends at the border that a drawing of a cell must have."""
    new, old = abstract.new, abstract.old
    up = [f for f in new if f in abstract.shown or f in abstract.above]
    return [*(f"right {f}_t" for f in new if f in old or f not in up), *(f"top {f}_t" for f in up)]


def _missing(drawing: Drawing) -> list[str]:
    """Edges of the graph that are not drawn, or not from where they come, and lines that are no edge."""
    a = drawing.abstract
    right = sorted(expected(a, borders(a)), key=str)
    there = sorted(((w.of, w.to, w.role) for w in drawing.wires), key=str)
    if right != there:
        wrong = [e for e in right if there.count(e) != right.count(e)] or [e for e in there if e not in right]
        return [f"the line of value {wrong[0][0]} to {wrong[0][1]} is drawn {there.count(wrong[0])} times"]
    faults = []
    sides = {n.number: n for n in drawing.nodes if n.kind not in ("input", "output")}
    laid: dict[int, list[Wire]] = {}
    for w in drawing.wires:
        (x, y), before = w.points[0], laid.setdefault(w.of, [])
        source = sides.get(w.of)
        if before:
            begins = any(_on((x, y), u) for u in before)
        elif source is not None:
            begins = meet(_grown(source.box, TOUCH), around((x, y), (x, y), 0.1))
        else:
            begins = True
        end = sides.get(w.to) if isinstance(w.to, int) else None
        ends = end is None or meet(_grown(end.box, TOUCH), around(w.points[-1], w.points[-1], 0.1))
        if not (begins and ends):
            faults.append(f"the line of value {w.of} to {w.to} does not {'end' if begins else 'begin'} where it must")
        before.append(w)
    return faults


def _pieces(wire: Wire) -> list[tuple[Point, Point]]:
    return list(pairwise(wire.points))


def _on(point: Point, wire: Wire) -> bool:
    return any(meet(around(a, b, 0.5), around(point, point, 0.1)) for a, b in _pieces(wire))


def _grown(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _through_nodes(drawing: Drawing) -> list[str]:
    faults = []
    for wire in drawing.wires:
        for node in drawing.nodes:
            inner = _grown(node.box, -TOUCH)
            if any(meet(around(a, b, 0.0), inner) for a, b in _pieces(wire)):
                faults.append(f"the line of value {wire.of} to {wire.to} passes through {node.label or node.kind}")
    return faults


def _on_each_other(drawing: Drawing) -> list[str]:
    """Lines of different values that share more than the point at which they cross."""
    faults = []
    for one, other in combinations(drawing.wires, 2):
        if one.of == other.of:
            continue
        for a, b in _pieces(one):
            for c, d in _pieces(other):
                flat, flat_too = a[1] == b[1], c[1] == d[1]
                joined = b == d or b == c or a == d  # where lines merge
                if flat == flat_too and meet(around(a, b, 1.0), around(c, d, 1.0)) and not joined:
                    faults.append(f"the lines of values {one.of} and {other.of} lie on each other at {a}")
                if flat != flat_too and not joined and _touches(a, b, c, d):
                    faults.append(f"the lines of values {one.of} and {other.of} touch at {a}")
    return faults


def _touches(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether one piece ends on the other."""
    if not meet(around(a, b, 0.5), around(c, d, 0.5)):
        return False
    return any(meet(around(p, p, 0.1), around(q, r, 0.5)) for p, q, r in ((a, c, d), (b, c, d), (c, a, b), (d, a, b)))


def _overlapping(drawing: Drawing) -> list[str]:
    faults = [
        f"{one.label or one.kind} overlaps {other.label or other.kind}"
        for one, other in combinations(drawing.nodes, 2)
        if meet(one.box, other.box)
    ]
    for text in drawing.texts:
        faults += [f"{text.text} overlaps {n.label or n.kind}" for n in drawing.nodes if meet(text.box, n.box)]
        faults += [f"{text.text} lies on the line of value {w.of}" for w in drawing.wires if _covered(text, w)]
    return faults + [
        f"{one.text} overlaps {other.text}" for one, other in combinations(drawing.texts, 2) if meet(one.box, other.box)
    ]


def _covered(text: Text, wire: Wire) -> bool:
    return any(meet(text.box, around(a, b, 0.5)) for a, b in _pieces(wire))


def _outside(drawing: Drawing) -> list[str]:
    whole = (drawing.left, drawing.top, drawing.left + drawing.width, drawing.top + drawing.height)
    inside = [n.box for n in drawing.nodes if n.kind not in ("input", "output")]
    faults = [
        f"something stands outside of the frame at {b[0]:g}, {b[1]:g}"
        for b in inside
        if b[0] < drawing.frame[0] or b[1] < drawing.frame[1] or b[2] > drawing.frame[2] or b[3] > drawing.frame[3]
    ]
    boxes = [*(n.box for n in drawing.nodes), *(t.box for t in drawing.texts)]
    boxes += [around(a, b, 0) for w in drawing.wires for a, b in _pieces(w)]
    return faults + [
        f"something stands outside of the picture at {b[0]:g}, {b[1]:g}"
        for b in boxes
        if b[0] < whole[0] or b[1] < whole[1] or b[2] > whole[2] or b[3] > whole[3]
    ]
