"""Where the elements of a diagram stand: the belts of the state on top, gates in columns by what they feed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .reading import INPUT, Abstract, Element

UNIT = 10  # the grid on which everything stands and lines run
COLUMN, ROW, BELT = 80, 50, 40  # distances of columns, of rows of operations and of belts
BOX, CIRCLE = (40, 30), 30  # width and height of a layer, diameter of an operation
LETTER = 8.2  # width of a letter at the size of labels
LABEL = 15  # size of the text in elements and at the ends of lines
SMALL = 13  # size of the names of gates and of what is written at the end of a line


@dataclass
class Placed:
    """An element at its place: the middle, and the size."""

    element: Element
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Port:
    """An end of a line at the border of the diagram.

    number: of the value. side: left, right, bottom or top. label: what is written there.
    """

    number: int
    side: str
    label: str
    x: float
    y: float


@dataclass
class Plan:
    """A diagram with places, without lines.

    frame: left, top, right and bottom of the cell. belts: the elements of each belt from left to right.
    """

    abstract: Abstract
    placed: dict[int, Placed]
    ports: list[Port]
    frame: tuple[float, float, float, float]
    belts: dict[str, list[int]]


def place(abstract: Abstract, spread: float = 1.0) -> Plan:
    """Return a place for every element and every end of a line.

    spread: how far apart columns and rows stand, 1 for as near as usual.
    """
    return _Placer(abstract, spread).plan()


def extent(element: Element) -> tuple[float, float]:
    """Return the width and the height of an element, which follow from what stands in it."""
    if element.kind == "merge":
        return 0, 0
    if element.kind == "cut":
        return 20, 20
    text = math.ceil(max(len(element.label.replace("_", "")), 1) * LETTER / 20) * 20
    if element.kind == "layer":
        plain = sum(not entry.role for entry in element.entries)
        return max(BOX[0], text + 20 * (len(element.label) > 4), 20 * plain if plain % 2 == 0 else 10 * plain), BOX[1]
    if element.kind == "constant":
        return max(20, text), 20
    if len(element.label) < 2:
        return CIRCLE, CIRCLE
    return max(40, text + 20 * (len(element.label) > 3)), CIRCLE


class _Placer:
    def __init__(self, abstract: Abstract, spread: float) -> None:
        self.abstract, self.elements = abstract, abstract.elements
        self.column_width, self.row_height = _round(COLUMN * spread), _round(ROW * spread)
        self.belts = _belts(abstract)
        self.on_belt = {n for belt in self.belts.values() for n in belt}
        self.late = abstract.after(self.on_belt) - self.on_belt
        self.late = {n for n in self.late if self.elements[n].kind != "merge"}
        self.column: dict[int, float] = {}
        self.row: dict[int, int] = {}
        self.taken: set[tuple[float, int]] = set()
        self.branches = self._branches()
        self.heights: dict[int, int] = {}
        self.depths: dict[int, int] = {}

    # Rows
    # -----------------------------------------------------------------------------------------------------------------

    def _height(self, n: int) -> int:
        """How many rows above the gates an operation stands that is computed before the belts."""
        if n not in self.heights:
            below = [self._height(m) for m in self._reads(n) if self._is_free(m) and m not in self.branches]
            self.heights[n] = 1 + max(below, default=0)
        return self.heights[n]

    def _depth(self, n: int) -> int:
        """How many rows below the belts an operation stands that is computed from them."""
        if n not in self.depths:
            above = [self._depth(m) for m in self._reads(n) if self._is_free(m) and m in self.late]
            self.depths[n] = 1 + max(above, default=0)
        return self.depths[n]

    def _is_free(self, n: int) -> bool:
        """Whether a number is an operation that is on no belt."""
        return n in self.elements and self.elements[n].kind == "point" and n not in self.on_belt

    def _reads(self, n: int) -> list[int]:
        return list(dict.fromkeys(entry.of for entry in self.elements[n].entries)) if n in self.elements else []

    def _branches(self) -> set[int]:
        """Operations on one gate that others read as well: they stand beside the line of the gate."""
        found = set()
        for n, e in self.elements.items():
            reads, users = self._reads(n), self.abstract.users.get(n, [])
            if self._is_free(n) and len(reads) == 1 and len(users) == 1 and reads[0] in self.elements:
                gate = self.elements[reads[0]]
                if gate.kind == "layer" and len(self.abstract.users[gate.number]) > 1 and e.kind == "point":
                    found.add(n)
        return found

    # Columns
    # -----------------------------------------------------------------------------------------------------------------

    def _order(self) -> None:
        """Give a column to every layer and operation, from left to right."""
        for n in self.abstract.feeds:
            for belt in self.belts.values():
                if n in self.abstract.after(set(belt)):
                    for m in belt:
                        self._stand(m)
            self._stand(n)
        for belt in self.belts.values():
            for n in belt:
                self._stand(n)
        for n in self.abstract.new.values():
            self._stand(n)
        for n, e in self.elements.items():
            if e.kind in ("layer", "point"):
                self._stand(n)

    def _stand(self, n: int) -> None:
        e = self.elements.get(n)
        if e is None or n in self.column or e.kind == "constant":
            return
        if e.kind in ("merge", "cut"):
            for m in self._reads(n):
                self._stand(m)
            return
        if e.kind == "layer":
            for m in self._reads(n):  # a feed that it hears, or what a peephole sees
                if m in self.elements and self.elements[m].kind in ("point", "layer") and m not in self.late:
                    self._stand(m)
            self.column[n] = self._next()
            return
        self.column[n] = math.nan  # being placed: a belt may be read by what feeds it
        reads = sorted(self._reads(n), key=self._is_candidate)
        for m in [r for b in reads if b in self.branches for r in self._reads(b)] + reads:
            if m not in self.branches and m not in self.on_belt and not self._hangs(m):
                self._stand(m)
        if n in self.branches:
            self._branch(n)
            return
        row = self._row_of(n)
        columns = [self.column[m] for m in reads if m in self.column and not math.isnan(self.column[m])]
        columns += [self.column[r] for m in reads if m in self.branches for r in self._reads(m) if r in self.column]
        after = max((self.column[m] for m in self._previous(n)), default=-1.0)
        wanted = max([*columns, after + (1 if n in self.on_belt else 0)], default=self._next())
        wanted = math.ceil(max(wanted, 0.0))
        if (
            n in self.on_belt
            and len(reads) > 2
            and not any(self.elements[m].kind == "layer" for m in reads if m in self.elements)
        ):
            wanted += 1
        while (wanted, row) in self.taken or (
            n in self.on_belt and any((wanted, r) in self.taken for r in range(-9, 0))
        ):
            wanted += 1
        self.column[n], self.row[n] = wanted, row
        self.taken.add((wanted, row))
        for m in reads:
            if m in self.branches:
                self._stand(m)
            elif self._hangs(m) and m not in self.column:
                self._hang(m, wanted)

    def _hangs(self, n: int) -> bool:
        """Whether an operation is computed from belts alone: it hangs below them, above what reads it."""
        if n not in self.late or self.elements[n].kind != "point":
            return False
        return all(m in self.on_belt or self._hangs(m) or m not in self.elements for m in self._reads(n))

    def _hang(self, n: int, column: float) -> None:
        row = self._row_of(n)
        while (column, row) in self.taken:
            column += 1
        self.column[n], self.row[n] = column, row
        self.taken.add((column, row))
        for m in self._reads(n):
            if self._hangs(m) and m not in self.column:
                self._hang(m, column)

    def _previous(self, n: int) -> list[int]:
        """The element before one on its belt."""
        for belt in self.belts.values():
            if n in belt and belt.index(n) > 0:
                return [belt[belt.index(n) - 1]]
        return []

    def _row_of(self, n: int) -> int:
        """The row of an operation, from the belts downwards; those of belts are below 0."""
        if n in self.on_belt:
            return -1 - next(k for k, belt in enumerate(reversed(self.belts.values())) if n in belt)
        return self._depth(n) - 1 if n in self.late else self.rows - self._height(n)

    def _branch(self, n: int) -> None:
        """Stand between the column of a gate and that of the only user, at the height of the user."""
        (gate,), (user,) = self._reads(n), self.abstract.users[n]
        start, end = self.column[gate], self.column.get(user, self.column[gate])
        if math.isnan(end):
            end = start
        if start == end or user in self.on_belt:
            row, column = 0 if user in self.on_belt else self._row_of(user) + 1, end
        else:
            row, column = self._row_of(user), (start + end) / 2
        row = min(row, self.rows - 1)
        while (column, row) in self.taken:
            column += 0.5
        self.column[n], self.row[n] = column, row
        self.taken.add((column, row))

    def _is_candidate(self, n: int) -> bool:
        """Whether a value comes from a layer that is no gate: it stands right of the gate that it is multiplied by."""
        e = self.elements.get(n)
        return e is not None and e.kind == "layer" and e.label != "σ"

    def _next(self) -> int:
        used = [c for n, c in self.column.items() if not math.isnan(c) and self.elements[n].kind == "layer"]
        used += [c for n, c in self.column.items() if not math.isnan(c) and n not in self.branches]
        return math.floor(max(used, default=-1)) + 1

    # Places
    # -----------------------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        free = [n for n in self.elements if self._is_free(n) and n not in self.branches]
        self.rows = max([*(self._depth(n) if n in self.late else self._height(n) for n in free), 1])
        self._order()
        belts = max(len(self.belts), 1)
        self.belt_y = {f: k * BELT for k, f in enumerate(self.belts)}
        switches = any(self.elements[n].label == "switch" for n in self.on_belt)
        self.first_row = (belts - 1) * BELT + self.row_height + 20 * switches
        busy = any(self._is_busy(n) for n, e in self.elements.items() if e.kind == "layer")
        self.gate_y = _round(self.first_row + self.rows * self.row_height + 20 * busy)
        xs = self._columns_x()
        placed = {}
        for n, e in self.elements.items():
            if e.kind in ("merge", "cut", "constant"):
                continue
            width, height = extent(e)
            placed[n] = Placed(e, xs[self.column[n]], self._y(n), width, height)
        self._bus(placed)
        self._constants(placed)
        ports, frame = self._ports(placed)
        return Plan(self.abstract, placed, ports, frame, self.belts)

    def _is_busy(self, n: int) -> bool:
        """Whether there must be room above a layer, for a fork or, where lines come from its sides, for a number."""
        ends = list(self.abstract.new.values()).count(n)
        above = (self.column[n], self.rows - 1) in self.taken
        looks = any(entry.role for entry in self.elements[n].entries)
        return above and (looks or len(self.abstract.users.get(n, [])) + ends > 1)

    def _y(self, n: int) -> float:
        if self.elements[n].kind == "layer":
            return self.gate_y
        for field, belt in self.belts.items():
            if n in belt:
                return self.belt_y[field]
        return self.first_row + self.row[n] * self.row_height

    def _columns_x(self) -> dict[float, float]:
        """Return where each column stands: apart enough for what stands in it."""
        columns = sorted({*self.column.values(), *(math.floor(c) for c in self.column.values())})
        late = self._late_bus()
        merges = sum(e.kind in ("merge", "cut") for e in self.elements.values())
        widths = dict.fromkeys(columns, 40.0)
        for n, c in self.column.items():
            widths[c] = max(widths[c], extent(self.elements[n])[0])
        x = {}
        for k, c in enumerate(columns):
            if k == 0:
                x[c] = _round(90 + 20 * max(merges - 1, 0) + (widths[c] - 40) / 2)
                continue
            before = columns[k - 1]
            need = (widths[before] + widths[c]) / 2 + 20
            if c != math.floor(c) or before != math.floor(before):
                x[c] = x[before] + max(_round(need), 60)
            else:
                x[c] = x[before] + max(_round(need + 20), self.column_width * (c - before))
            x[c] = _round(x[c]) + 40 * (c == late)
        return x

    def _late_bus(self) -> float | None:
        """The first column of layers that hear a feed and the input on lines of their own, None where there is none."""
        fed = [n for n, e in self.elements.items() if e.kind == "merge" and self._reads(n)[0] in self.abstract.feeds]
        columns = [self.column[u] for n in fed for u in self.abstract.users[n] if u in self.column and n < 0]
        return min(columns, default=None) if fed and all(self._reads(n)[0] >= 0 for n in fed) else None

    def _bus(self, placed: dict[int, Placed]) -> None:
        """Put the merges of lines below the gates, at the left."""
        self.bus_y = self.gate_y + 50
        merges = sorted((n for n, e in self.elements.items() if e.kind == "merge"), reverse=True)
        x = 50.0
        for n in merges:
            hears = [placed[u].x for u in self.abstract.users.get(n, []) if u in placed and placed[u].width]
            if hears and self.elements[n].entries[0].of in self.abstract.feeds and self._reads(n)[0] >= 0:
                placed[n] = Placed(self.elements[n], min(hears) - 80, self.bus_y, 0, 0)
            else:
                placed[n] = Placed(self.elements[n], x, self.bus_y, 0, 0)
                x += 30
        cuts = [n for n, e in self.elements.items() if e.kind == "cut"]
        for k, n in enumerate(cuts):
            placed[n] = Placed(self.elements[n], 20, self.bus_y + 30 * k, 20, 20)
        if cuts:
            for n in merges:
                placed[n].x += 20

    def _constants(self, placed: dict[int, Placed]) -> None:
        """Put each constant beside the operation that reads it."""
        for n, e in self.elements.items():
            if e.kind != "constant":
                continue
            width, height = extent(e)
            users = [u for u in self.abstract.users.get(n, []) if u in placed]
            if users:
                near = placed[users[0]]
                placed[n] = Placed(e, near.x, near.y, width, height)
                for dx, dy in (
                    (70, 40),
                    (-60, 40),
                    (60, 40),
                    (-70, 0),
                    (0, 50),
                    (-60, 90),
                    (60, 90),
                    (0, -40),
                ):
                    placed[n].x, placed[n].y = near.x + dx, near.y + dy
                    if not any(overlap(placed[n], other, 12) for m, other in placed.items() if m != n):
                        break
            else:  # a new state that is a constant
                placed[n] = Placed(
                    e,
                    max((p.x + p.width / 2 for p in placed.values()), default=50) + 40 + _round(width / 2),
                    self.gate_y,
                    width,
                    height,
                )

    # Ends of lines
    # -----------------------------------------------------------------------------------------------------------------

    def _ports(self, placed: dict[int, Placed]) -> tuple[list[Port], tuple[float, float, float, float]]:
        a = self.abstract
        heights, low = self._heights()
        ups = [f for f in a.new if f in a.shown or f in a.above]
        wide = [70 if len(f) > 3 else 40 for f in ups]
        edge = _round(max((p.x + p.width / 2 for p in placed.values()), default=60))  # lines run in units
        right = edge + 20 + sum(wide[1:]) + 20 * bool(ups)
        readers = [self.elements[n].kind for n in self.abstract.users.get(INPUT, [])]
        raw = "layer" in readers or len(readers) > 1
        bottom = max(low - 10, self.bus_y + (30 if raw else 20))
        top = min((p.y - p.height / 2 for p in placed.values()), default=0) - (20 if self.belts else 35)
        away = max([30, *(_round(12 + 6 * len(f)) for f in heights)])
        ports = [Port(a.old[f], "left", f"{f}_t−1", -away, y) for f, y in heights.items() if f in a.old]
        ports += [Port(a.new[f], "right", f"{f}_t", right + away, heights[f]) for f in a.new if not self._only_up(f)]
        for k, f in enumerate(ups):
            ports.append(Port(a.new[f], "top", f"{f}_t", right - 20 - sum(wide[k + 1 :]), _floor(top) - 20))
        return [*ports, *self._inputs(placed, right, bottom)], (0, top, right, bottom)

    def _heights(self) -> tuple[dict[str, float], float]:
        """Return at which height the line of each field enters and leaves, and the next free height."""
        a, heights, low = self.abstract, dict[str, float](), self.bus_y
        for f in dict.fromkeys((*a.old, *a.new)):
            if f in self.belts and f in a.old:
                heights[f] = self.belt_y[f]
            elif not self._only_up(f):
                heights[f], low = low, low + 30
        return heights, low

    def _inputs(self, placed: dict[int, Placed], right: float, bottom: float) -> list[Port]:
        """Return where the input and what the layer below hands up come in."""
        ports = []
        if INPUT in self.abstract.users:
            merges = [placed[n].x for n in self.abstract.users[INPUT] if self.elements[n].kind == "merge"]
            ports.append(Port(INPUT, "bottom", "x_t", min(merges, default=50), _round(bottom) + 20))
        for f, n in self.abstract.below.items():
            users = [placed[u].x - placed[u].width / 2 for u in self.abstract.users.get(n, []) if u in placed]
            x = _round(min(users, default=right / 2) - 30)
            while any(abs(x - port.x) < 70 for port in ports):
                x += 10
            ports.append(Port(n, "bottom", f"{f}_below", x, _round(bottom) + 20))
        return ports

    def _only_up(self, field: str) -> bool:
        """Whether a field goes to the output or to the layer above and to no later step."""
        a = self.abstract
        return field not in a.old and (field in a.shown or field in a.above)


def overlap(a: Placed, b: Placed, apart: float = 0) -> bool:
    """Return whether two elements are nearer to each other than a distance."""
    return abs(a.x - b.x) < (a.width + b.width) / 2 + apart and abs(a.y - b.y) < (a.height + b.height) / 2 + apart


def _round(value: float) -> float:
    return math.ceil(value / UNIT - 1e-9) * UNIT


def _floor(value: float) -> float:
    return math.floor(value / UNIT + 1e-9) * UNIT


def _belts(abstract: Abstract) -> dict[str, list[int]]:
    """Return by field the operations between its previous and its new value, on the path with most sums and products.

    A field that has no such path from its previous value may have one from its value in the layer below.
    """
    belts: dict[str, list[int]] = {}
    taken: set[int] = set()
    for f, end in abstract.new.items():
        for start in (abstract.old.get(f), abstract.below.get(f)):
            path = _path(abstract, start, end, taken) if start is not None else None
            if path:
                belts[f] = path
                taken.update(path)
                break
    earlier = {
        f: sum(bool(abstract.after(set(b)) & set(path)) for g, b in belts.items() if g != f)
        for f, path in belts.items()
    }
    return {f: belts[f] for f in sorted(belts, key=lambda f: earlier[f])}


def _path(abstract: Abstract, start: int, end: int, taken: set[int]) -> list[int] | None:
    known: dict[int, list[int] | None] = {start: []}

    def worth(path: list[int]) -> tuple[int, int]:
        return sum(abstract.elements[n].label in ("+", "×") for n in path), len(path)

    def to(n: int) -> list[int] | None:
        if n not in known:
            known[n] = None
            e = abstract.elements.get(n)
            if e is not None and e.kind == "point" and n not in taken:
                paths = [p for entry in e.entries if entry.role != "if" and (p := to(entry.of)) is not None]
                if paths:
                    known[n] = [*max(paths, key=worth), n]
        return known[n]

    return to(end)
