"""Lines between the elements of a diagram, along a grid, so that none passes through an element or lies on another."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from .placing import LETTER, UNIT, Placed, Plan, Port
from .reading import PARTS, CannotDraw, Entry, is_vector

Vertex = tuple[int, int]
Point = tuple[float, float]
SIDES: dict[str, Vertex] = {"right": (1, 0), "bottom": (0, 1), "left": (-1, 0), "top": (0, -1)}
BEND, CROSSING, BESIDE, FORK, ABOVE = 3.0, 5.0, 0.6, 0.5, 1.5  # what they cost, in steps of the grid
AROUND = 20  # room outside of the frame, in steps of the grid
ROUNDS = 4  # how often routing starts again with a line that found no way as its first


@dataclass(frozen=True)
class Sink:
    """Where a line ends: an entry of an element, or an end at the border.

    sides: by side the vertex before the end, and the point at which the line touches.
    """

    end: int | Port
    role: str
    sides: dict[str, tuple[Vertex, Point]]


@dataclass
class Net:
    """All lines that bring one value.

    starts: by side the vertex behind the source and the point where the line leaves it.
    """

    number: int
    starts: dict[str, tuple[Vertex, Point]]
    sinks: list[Sink]


@dataclass
class Line:
    """A line from its source, or from a fork, to its end.

    points: its corners. net: the value that it brings. sink: where it ends. side: of the element at which it ends.
    """

    net: int
    sink: Sink
    points: list[Point]
    side: str


@dataclass
class _Laid:
    """What a net occupies: the edges, by vertex the neighbours, and the sides of elements that it uses."""

    neighbours: dict[Vertex, set[Vertex]] = field(default_factory=lambda: defaultdict(set))
    lines: list[Line] = field(default_factory=list)
    used: set[tuple[int, str]] = field(default_factory=set)


class _NoWay(Exception):
    def __init__(self, net: int) -> None:
        super().__init__(net)
        self.net = net


def route(plan: Plan) -> list[Line]:
    """Return a line for every edge of a diagram.

    Raises CannotDraw where there is no way.
    """
    return _Router(plan).lines()


class _Router:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        left, top, right, bottom = plan.frame
        self.low = (math.floor(left / UNIT) - AROUND, math.floor(top / UNIT) - AROUND)
        self.high = (math.ceil(right / UNIT) + AROUND, math.ceil(bottom / UNIT) + AROUND)
        self.frame = tuple(round(v / UNIT) for v in plan.frame)
        self.highest = min((p.y for p in plan.placed.values()), default=0.0)
        self.blocked: dict[Vertex, int] = {}
        for n, p in plan.placed.items():
            self._block(n, p)
        self.laid: dict[int, _Laid] = {}
        self.at: dict[Vertex, set[int]] = defaultdict(set)
        self.foreign: dict[Vertex, set[int]] = {}  # what lies of other nets than the one that is being laid
        self.beside: set[Vertex] = set()  # next to that
        self.steps: dict[Vertex, list[tuple[Vertex, Vertex, float, bool]]] = {}
        self.nets = self._nets()

    def _block(self, n: int, p: Placed) -> None:
        margin = 0 if p.element.kind == "merge" else 6
        x0, x1 = p.x - p.width / 2 - margin, p.x + p.width / 2 + margin
        y0, y1 = p.y - p.height / 2 - margin, p.y + p.height / 2 + margin
        if p.element.kind == "layer":  # its name stands at the upper left
            self._block_box(n, p.x - 8 - LETTER * (len(p.element.name) + 1), p.x - 4, y0 - 13, y0)
        self._block_box(n, x0, x1, y0, y1)

    def _block_box(self, n: int, x0: float, x1: float, y0: float, y1: float) -> None:
        for i in range(math.ceil(x0 / UNIT), math.floor(x1 / UNIT) + 1):
            for j in range(math.ceil(y0 / UNIT), math.floor(y1 / UNIT) + 1):
                self.blocked[i, j] = n

    # What is to be connected
    # -----------------------------------------------------------------------------------------------------------------

    def _nets(self) -> list[Net]:
        plan, nets = self.plan, dict[int, Net]()

        def net(number: int) -> Net:
            if number not in nets:
                nets[number] = Net(number, self._starts(number), [])
            return nets[number]

        for n, p in plan.placed.items():
            for k, entry in enumerate(p.element.entries):
                net(entry.of).sinks.append(Sink(n, entry.role, self._entries(p, k, entry)))
        for port in plan.ports:
            if port.side in ("right", "top"):
                vertex = (round(port.x / UNIT), round(port.y / UNIT))
                back = "left" if port.side == "right" else "bottom"
                net(port.number).sinks.append(Sink(port, "", {back: (vertex, (port.x, port.y))}))
        return sorted(nets.values(), key=self._first)

    def _first(self, net: Net) -> tuple[int, float]:
        """Belts first, then short lines before long ones."""
        on_belt = any(net.number in belt for belt in self.plan.belts.values())
        x, y = next(iter(net.starts.values()))[0]
        far = max((abs(v[0] - x) + abs(v[1] - y) for s in net.sinks for v, _ in s.sides.values()), default=0)
        return (0 if on_belt else 1, far)

    def _starts(self, number: int) -> dict[str, tuple[Vertex, Point]]:
        for port in self.plan.ports:
            if port.number == number and port.side in ("left", "bottom"):
                return {"right" if port.side == "left" else "top": (_vertex(port.x, port.y), (port.x, port.y))}
        p = self.plan.placed[number]
        if p.element.kind == "layer":
            return {"top": _side(p, "top", 0)}
        if p.element.kind in ("merge", "cut"):
            return {"right": _side(p, "right", 0)}
        if any(number in belt for belt in self.plan.belts.values()):
            return {"right": _side(p, "right", 0)}
        return {s: _side(p, s, 0) for s in SIDES}

    def _entries(self, p: Placed, k: int, entry: Entry) -> dict[str, tuple[Vertex, Point]]:
        n = p.element.number
        if p.element.kind == "merge":
            first = self.plan.placed.get(p.element.entries[0].of)
            if first is not None and first.element.kind == "point":  # a feed, which comes from above
                return {s: _side(p, s, 0) for s in ("left", "top", "bottom")}
            if k == 0:
                return {"left": _side(p, "left", 0)}
            return {s: _side(p, s, 0) for s in ("bottom", "top")}
        if p.element.kind == "cut":
            return {"left": _side(p, "left", 0)}
        if p.element.kind == "layer":
            if entry.role:
                return {s: _side(p, s, 1) for s in ("left", "right")}
            plain = [e for e in p.element.entries if not e.role]
            apart = UNIT if len(plain) % 2 else 2 * UNIT
            shift = apart * (plain.index(entry) - (len(plain) - 1) / 2)
            return {"bottom": _side(p, "bottom", 1, shift)}
        for belt in self.plan.belts.values():
            if n in belt:
                before = belt[belt.index(n) - 1] if belt.index(n) else None
                comes = entry.of == before if before is not None else self._is_begin(n, entry.of)
                if comes:
                    return {"left": _side(p, "left", 1)}
                if entry.role:
                    shift = 2 * UNIT * (1 if entry.role == "then" else -1)
                    return {s: _side(p, s, 1, shift) for s in ("bottom", "top")}
                return {s: _side(p, s, 1) for s in ("bottom", "top")}
        return {s: _side(p, s, 1) for s in SIDES}

    def _is_begin(self, n: int, number: int) -> bool:
        """Whether a number is what the belt of an element begins with."""
        a = self.plan.abstract
        return any(belt[0] == n and number in (a.old.get(f), a.below.get(f)) for f, belt in self.plan.belts.items())

    # Laying
    # -----------------------------------------------------------------------------------------------------------------

    def lines(self) -> list[Line]:
        order = list(self.nets)
        for _ in range(ROUNDS):
            self.laid, self.at = {}, defaultdict(set)
            try:
                for net in order:
                    self._lay(net)
                self._improve(order)
                return [line for net in self.nets for line in self.laid[net.number].lines]
            except _NoWay as failed:
                late = next(n for n in order if n.number == failed.net)
                if order[0] is late:
                    break
                order.remove(late)
                order.insert(0, late)
        raise CannotDraw(f"{self.plan.abstract.title}: its lines find no way without touching each other")

    def _improve(self, order: list[Net]) -> None:
        """Lay every net again while all others lie, and keep what is better."""
        for _ in range(2):
            for net in order:
                before, cost = self.laid[net.number], self._cost(net.number)
                self._lift(net.number)
                try:
                    self._lay(net)
                    better = self._cost(net.number) < cost - 1e-6
                except _NoWay:
                    better = False
                    self._lift(net.number)
                if not better:
                    self._lift(net.number)
                    self._put(net.number, before)

    def _lift(self, number: int) -> None:
        for v in self.laid.pop(number, _Laid()).neighbours:
            self.at[v].discard(number)

    def _put(self, number: int, laid: _Laid) -> None:
        self.laid[number] = laid
        for v in laid.neighbours:
            self.at[v].add(number)

    def _cost(self, number: int) -> float:
        laid = self.laid[number]
        cost = 0.0
        for v, others in laid.neighbours.items():
            cost += len(others) / 2 + CROSSING * (len(self.at[v]) > 1) + self._beside(v, number)
        return cost + sum(BEND * (len(line.points) - 2) for line in laid.lines)

    def _beside(self, v: Vertex, number: int) -> float:
        near = ((v[0] + dx, v[1] + dy) for dx, dy in SIDES.values())
        return BESIDE * any(self.at[w] - {number} for w in near if w in self.at)

    def _lay(self, net: Net) -> None:
        laid = _Laid()
        self._put(net.number, laid)
        self.foreign = {v: others for v, numbers in self.at.items() if (others := numbers - {net.number})}
        self.beside = {(x + dx, y + dy) for x, y in self.foreign for dx, dy in SIDES.values()}
        waiting = list(net.sinks)
        while waiting:
            found = [(self._way(net, laid, sink), sink) for sink in waiting]
            ways = [(way[0], k, way, sink) for k, (way, sink) in enumerate(found) if way is not None]
            if len(ways) < len(waiting):
                raise _NoWay(net.number)
            _, _, (_, path, start, side), sink = max(ways, key=lambda w: (self._rank(w[2][1], w[3]), w[0], -w[1]))
            waiting.remove(sink)
            self._take(net, laid, path, start, sink, side)

    @staticmethod
    def _rank(path: list[Vertex], sink: Sink) -> int:
        """Which lines of a value are laid first: straight ones, then the one to the output; peepholes last."""
        if is_vector(sink.role):
            return -1
        if len(path) > 1 and (len({x for x, _ in path}) == 1 or len({y for _, y in path}) == 1):
            return 2
        return 1 if isinstance(sink.end, Port) and sink.end.side == "top" else 0

    def _take(self, net: Net, laid: _Laid, path: list[Vertex], start: str, sink: Sink, side: str) -> None:
        for v, w in pairwise(path):
            laid.neighbours[v].add(w)
            laid.neighbours[w].add(v)
        for v in path:
            laid.neighbours[v]  # also a path of one vertex
            self.at[v].add(net.number)
        points: list[Point] = [(float(x * UNIT), float(y * UNIT)) for x, y in path]
        if start:
            points.insert(0, net.starts[start][1])
            laid.used.add((net.number, start))
        points.append(sink.sides[side][1])
        if isinstance(sink.end, int):
            laid.used.add((sink.end, side))
        laid.lines.append(Line(net.number, sink, _corners(points), side))

    def _used(self) -> set[tuple[int, str]]:
        return {u for laid in self.laid.values() for u in laid.used}

    def _way(self, net: Net, laid: _Laid, sink: Sink) -> tuple[float, list[Vertex], str, str] | None:
        """Return the cheapest way from what is laid of a net to a sink: cost, vertices, sides of its ends."""
        used = self._used()
        goals: dict[tuple[Vertex, Vertex], str] = {}
        on_belt = any(sink.end in belt for belt in self.plan.belts.values())
        for side, (v, _) in sink.sides.items():
            dx, dy = SIDES[side]
            free = len(sink.sides) == 1 or sink.role in PARTS or (sink.end, side) not in used
            free = free and not (on_belt and side == "top" and "bottom" in goals.values())
            if free and self._is_free_end(v, net.number):
                goals[v, (-dx, -dy)] = side
        if not goals:
            return None
        ends = {v for v, _ in goals}
        far: dict[Vertex, int] = {}
        queue: list[tuple[float, float, int, Vertex, Vertex]] = []
        best: dict[tuple[Vertex, Vertex], float] = {}
        origin: dict[tuple[Vertex, Vertex], tuple[Vertex, Vertex] | str] = {}
        count = 0

        def push(v: Vertex, d: Vertex, cost: float, came: tuple[Vertex, Vertex] | str) -> None:
            nonlocal count
            if cost < best.get((v, d), math.inf):
                best[v, d], origin[v, d] = cost, came
                if v not in far:
                    far[v] = min(abs(v[0] - x) + abs(v[1] - y) for x, y in ends)
                count += 1
                heapq.heappush(queue, (cost + far[v], cost, count, v, d))

        for v, d, cost, came in self._begins(net, laid, used):
            push(v, d, cost, came)
        while queue:
            _, cost, _, v, d = heapq.heappop(queue)
            if cost > best[v, d]:
                continue
            if (v, d) in goals:
                path, before = [v], origin[v, d]
                while not isinstance(before, str):
                    path.append(before[0])
                    before = origin[before]
                return cost, _once(path[::-1]), before, goals[v, d]
            if v in ends:
                for (goal, e), _ in goals.items():
                    if goal == v and e != (-d[0], -d[1]):
                        push(v, e, cost + BEND, (v, d))
                continue
            back, straight = (-d[0], -d[1]), v in self.foreign
            for e, w, price, blocked in self._steps_from(v):
                if e == back or (straight and e != d) or (blocked and w not in ends) or w in laid.neighbours:
                    continue
                price += (BEND if e != d else 0.0) + (BESIDE if w in self.beside else 0.0)
                if w in self.foreign:
                    if w in ends or not self._crosses(w, e):
                        continue
                    price += CROSSING
                push(w, e, cost + price, (v, d))
        return None

    def _is_free_end(self, v: Vertex, number: int) -> bool:
        return not (self.at.get(v, set()) - {number})

    def _begins(self, net: Net, laid: _Laid, used: set[tuple[int, str]]) -> Iterable[tuple[Vertex, Vertex, float, str]]:
        if not laid.neighbours:
            for side, (v, _) in net.starts.items():
                taken = (net.number, side) in used and len(net.starts) > 1
                if not taken and self._is_free_end(v, net.number):
                    yield v, SIDES[side], 0.0, side
            return
        heads = {vertex for line in laid.lines for vertex in self._corridor(line)}
        for v, others in list(laid.neighbours.items()):
            if len(self.at[v]) > 1 or v in heads:
                continue
            for d in SIDES.values():
                w = (v[0] + d[0], v[1] + d[1])
                if w not in others:
                    flows = (v[0] - d[0], v[1] - d[1]) in others
                    yield v, d, FORK + (0 if flows and len(others) == 1 else BEND), ""

    def _corridor(self, line: Line) -> set[Vertex]:
        """Return the last vertices of a line, where its arrow stands."""
        if isinstance(line.sink.end, Port):
            return {_vertex(*line.points[-1])}
        v = line.sink.sides[line.side][0]
        return {v}

    def _steps_from(self, v: Vertex) -> list[tuple[Vertex, Vertex, float, bool]]:
        """Return the steps that lead on from a vertex, whatever lies there: direction, vertex, cost, if blocked."""
        if v not in self.steps:
            self.steps[v] = []
            for e in SIDES.values():
                w = (v[0] + e[0], v[1] + e[1])
                on_grid = self.low[0] <= w[0] <= self.high[0] and self.low[1] <= w[1] <= self.high[1]
                if on_grid and self._is_inside(v, w, e):
                    price = 1.0 + ABOVE * (w[1] * UNIT < self.highest)
                    self.steps[v].append((e, w, price, w in self.blocked))
        return self.steps[v]

    def _crosses(self, w: Vertex, e: Vertex) -> bool:
        """Whether a step in a direction onto a vertex crosses the only line of another net there at a right angle."""
        (other, *more) = self.foreign[w]
        across = {(w[0] - e[1], w[1] - e[0]), (w[0] + e[1], w[1] + e[0])}
        return not more and self.laid[other].neighbours[w] == across

    def _is_inside(self, v: Vertex, w: Vertex, e: Vertex) -> bool:
        """Whether a step stays in the frame, or crosses it straight on its way from or to an end at the border."""
        left, top, right, bottom = self.frame
        if left < w[0] < right and top < w[1] < bottom:
            return True
        for port in self.plan.ports:
            x, y = _vertex(port.x, port.y)
            if port.side in ("left", "right") and e[1] == 0 and w[1] == y and (w[0] <= left) == (port.side == "left"):
                return True
            if port.side in ("top", "bottom") and e[0] == 0 and w[0] == x and (w[1] <= top) == (port.side == "top"):
                return True
        return False


def _vertex(x: float, y: float) -> Vertex:
    return round(x / UNIT), round(y / UNIT)


def _side(p: Placed, side: str, arrow: int, shift: float = 0) -> tuple[Vertex, Point]:
    """Return the vertex before a side of an element, with room for an arrow, and the point on the side itself."""
    dx, dy = SIDES[side]
    half = p.width / 2 if dx else p.height / 2
    if p.element.kind in ("merge", "cut"):
        arrow = 0
    away = 0 if p.element.kind == "merge" else math.ceil((half + 4 + 7 * arrow) / UNIT)
    x, y = p.x + (shift if dy else 0), p.y
    if p.element.kind == "merge":
        away = 0 if (dx, dy) == (0, 0) else 1
    vertex = _vertex(x + dx * away * UNIT, y + dy * away * UNIT)
    return vertex, (x + dx * half, y + dy * half)


def _once(path: list[Vertex]) -> list[Vertex]:
    return [v for k, v in enumerate(path) if k == 0 or v != path[k - 1]]


def _corners(points: list[Point]) -> list[Point]:
    """Return a line without points that stand between two others on a straight piece, or twice."""
    kept: list[Point] = []
    for p in points:
        if kept and p == kept[-1]:
            continue
        if len(kept) > 1 and _straight(kept[-2], kept[-1], p):
            kept[-1] = p
        else:
            kept.append(p)
    return kept


def _straight(a: Point, b: Point, c: Point) -> bool:
    return (a[0] == b[0] == c[0]) or (a[1] == b[1] == c[1])
