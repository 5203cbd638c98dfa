"""What differs between two drawn cells: elements and lines without a counterpart, and a sentence that says so."""

from __future__ import annotations

import re

from .drawing import Drawing
from .markup import Edge, Marks
from .reading import INPUT, Abstract, Element

THROUGH = ("merge", "cut")  # what a value passes without being changed
WORDS = {"σ": "the logistic function", "linear": "nothing"}  # what squashes a layer


def compare(one: Drawing, other: Drawing) -> tuple[Marks, Marks, str]:
    """Return what is marked in each of two drawings, and a sentence on what differs.

    Gates and fields of the state have the counterpart of the same name, the output always has the output; an operation
    has the one that stands in the same place of the formula. What has none is marked.
    """
    matched = _Match(one.abstract, other.abstract)
    back = {v: k for k, v in matched.pairs.items()}
    marks = _marks(one.abstract, other.abstract, matched.pairs, one), _marks(other.abstract, one.abstract, back, other)
    if not any(m.values or m.edges for m in marks):
        return *marks, f"{one.name} and {other.name} have the same diagram."
    said = _differences(one.abstract, other.abstract, matched.pairs)
    end = "; ".join(dict.fromkeys(said)) or "the same parts, connected otherwise where the colour is"
    return *marks, f"{one.name} against {other.name}: {end}."


class _Match:
    """Pairs the numbers of two diagrams, from the new values of the state downwards."""

    def __init__(self, one: Abstract, other: Abstract) -> None:
        self.one, self.other = one, other
        self.pairs: dict[int, int] = {INPUT: INPUT}
        self.known: dict[tuple[int, int], int] = {}
        for mine, theirs in ((one.old, other.old), (one.below, other.below)):
            for f, g in _fields(one, other):
                if f in mine and g in theirs:
                    self.pairs[mine[f]] = theirs[g]
        named = {e.name: e for e in other.elements.values() if e.kind == "layer"}
        for e in one.elements.values():
            if e.kind == "layer" and e.name in named and named[e.name].label == e.label:
                self.pairs[e.number] = named[e.name].number
        for f, g in _fields(one, other):
            if f in one.new and g in other.new:
                self._pair(one.new[f], other.new[g])
        layers = [(e, self.pairs[e.number]) for e in one.elements.values() if e.number in self.pairs]
        for e, twin in layers:
            self._operands(e, other.elements[twin])

    def _alike(self, a: int, b: int) -> int:
        """How many elements below two numbers correspond; 0 where they are not of the same kind."""
        if self.pairs.get(a) == b:
            return 1
        mine, theirs = self.one.elements.get(a), self.other.elements.get(b)
        if mine is None or theirs is None or mine.kind == "layer":
            return 0
        if (mine.kind, mine.label) != (theirs.kind, theirs.label):
            return 0
        if (a, b) not in self.known:
            self.known[a, b] = 0
            self.known[a, b] = 1 + sum(self._alike(x, y) for x, y in self._best(mine, theirs))
        return self.known[a, b]

    def _best(self, mine: Element, theirs: Element) -> list[tuple[int, int]]:
        """Return pairs of operands, those that are most alike first."""
        free, pairs = [entry.of for entry in theirs.entries], []
        ranked = [(self._alike(x.of, y), k, x.of, y) for k, x in enumerate(mine.entries) for y in free]
        taken: set[int] = set()
        for like, k, x, y in sorted(ranked, key=lambda r: (-r[0], r[1])):
            if like and k not in taken and y in free:
                taken.add(k)
                free.remove(y)
                pairs.append((x, y))
        return pairs

    def _pair(self, a: int, b: int) -> None:
        if a in self.pairs or b in self.pairs.values() or not self._alike(a, b):
            return
        # one more term in a sum, or factor in a product: what is below corresponds better
        for x in (entry.of for entry in self.one.elements[a].entries):
            if self._alike(x, b) > self._alike(a, b):
                self._pair(x, b)
                return
        for y in (entry.of for entry in self.other.elements[b].entries):
            if self._alike(a, y) > self._alike(a, b):
                self._pair(a, y)
                return
        self.pairs[a] = b
        mine, theirs = self.one.elements[a], self.other.elements[b]
        self._operands(mine, theirs)

    def _operands(self, mine: Element, theirs: Element) -> None:
        for x, y in self._best(mine, theirs):
            if x in self.one.elements and y in self.other.elements:
                self._pair(x, y)


def _fields(one: Abstract, other: Abstract) -> list[tuple[str, str]]:
    """Return the fields of the state that correspond: the output, and those of the same name."""
    common = [(f, f) for f in one.new if f in other.new and f not in one.shown and f not in other.shown]
    return [*zip(one.shown, other.shown, strict=False), *common]


def _heard(a: Abstract, number: int) -> set[int]:
    """Return what lines are merged to a number."""
    e = a.elements.get(number)
    if e is None or e.kind not in THROUGH:
        return {number}
    return set[int]().union(*(_heard(a, entry.of) for entry in e.entries))


def _edges(a: Abstract) -> set[tuple[int, int, str]]:
    """Return the edges of a diagram as if no lines were merged."""
    return {
        (of, e.number, entry.role)
        for e in a.elements.values()
        if e.kind not in THROUGH
        for entry in e.entries
        for of in _heard(a, entry.of)
    }


def _marks(a: Abstract, b: Abstract, pairs: dict[int, int], drawing: Drawing) -> Marks:
    """Return what a diagram has and the other one has not."""
    alone = {n for n, e in a.elements.items() if n not in pairs and e.kind != "merge"}
    theirs = _edges(b)
    only = {
        (of, to, role)
        for of, to, role in _edges(a)
        if of in alone or to in alone or (pairs.get(of, of), pairs.get(to, to), role) not in theirs
    }
    edges: set[Edge] = set()
    twins = {f for f, _ in _fields(a, b)}
    for w in drawing.wires:
        if isinstance(w.to, str):
            if w.of in alone or w.to.split()[1].removesuffix("_t") not in twins:
                edges.add((w.of, w.to, w.role))
            continue
        ends = _ends(a, w.to, w.role)
        parts = _heard(a, w.of)
        if all((of, to, role) in only for of in parts for to, role in ends):
            edges.add((w.of, w.to, w.role))
    return Marks(frozenset(alone), frozenset(edges))


def _ends(a: Abstract, number: int, role: str) -> list[tuple[int, str]]:
    """Return where a line to an element brings its value: the element, or what reads the lines that it merges."""
    if a.elements[number].kind not in THROUGH:
        return [(number, role)]
    below = [(to, x.role) for to in a.users.get(number, []) for x in a.elements[to].entries if x.of == number]
    return [found for to, r in below for found in _ends(a, to, r)]


def _differences(one: Abstract, other: Abstract, pairs: dict[int, int]) -> list[str]:
    """Return what differs in parts of a sentence, seen from the first cell."""
    back = {v: k for k, v in pairs.items()}
    mine, theirs = ({e.name: e for e in a.elements.values() if e.kind == "layer"} for a in (one, other))
    said = []
    if missing := [g for g in other.gates if g not in mine]:
        said.append(f"no {_listed(missing)}")
    if more := [g for g in one.gates if g not in theirs]:
        said.append(f"{_listed(more)} besides")
    for g in one.gates:
        if g in theirs and mine[g].label != theirs[g].label:
            here, there = (WORDS.get(e.label, e.label) for e in (mine[g], theirs[g]))
            said.append(f"{here} squashes {g} instead of {there}")
    for g in one.gates:
        if g in theirs:
            said += _hearing(mine[g], theirs[g], one, other, pairs)
    for a, b in pairs.items():
        e, twin = one.elements.get(a), other.elements.get(b)
        if e is None or twin is None or e.kind != "point":
            continue
        lone = [x.of for x in e.entries if x.of not in pairs]
        gone = [y.of for y in twin.entries if y.of not in back]
        if len(lone) == len(gone) == 1 and written(one, lone[0]) != written(other, gone[0]):
            said.append(f"{written(one, lone[0])} stands in the place of {written(other, gone[0])}")
    cuts = [sum(e.kind == "cut" for e in a.elements.values()) for a in (one, other)]
    if bool(cuts[0]) != bool(cuts[1]):
        said.append(f"the gradient {'is' if cuts[0] else 'is not'} cut before the gates")
    state = [f for f in one.new if f not in other.new and f not in one.shown]
    if state:
        said.append(f"{_listed(state)} {'are' if len(state) > 1 else 'is'} kept as state")
    return said


def _hearing(e: Element, twin: Element, one: Abstract, other: Abstract, pairs: dict[int, int]) -> list[str]:
    """Return what a layer hears that its counterpart does not, and the other way round."""
    mine = {(pairs.get(of, ("", of)), x.role): of for x in e.entries for of in _heard(one, x.of)}
    theirs = {(of, y.role): of for y in twin.entries for of in _heard(other, y.of)}
    more = [(written(one, of), key[1]) for key, of in mine.items() if key not in theirs]
    less = [(written(other, of), key[1]) for key, of in theirs.items() if key not in mine]
    said = []
    for does, found in (("", more), ("does not ", less)):
        if heard := [text for text, role in found if not role]:
            said.append(f"{e.name} {does}{'hear' if does else 'hears'} {_listed(heard)}")
        said += [f"{e.name} {does}{'see' if does else 'sees'} {text} through {role}" for text, role in found if role]
    return said


def written(a: Abstract, number: int) -> str:
    """Return the formula of a value: names of gates, and fields of the state with ' for the previous step."""
    if number == INPUT:
        return "x"
    names = {n: f"{f}'" for f, n in a.old.items()} | {n: f"{f} of the layer below" for f, n in a.below.items()}
    e = a.elements.get(number)
    if e is None:
        return names.get(number, "?")
    if e.kind == "layer":
        return e.name
    if number in a.new.values():
        return next(f for f, n in a.new.items() if n == number)
    if e.kind in ("constant", "cut"):
        return e.label or written(a, e.entries[0].of)
    inside = [written(a, entry.of) for entry in e.entries]
    if len(inside) == 2 and e.label in ("+", "×", "a − b", "a ÷ b"):
        sign = e.label.strip("ab ").replace("×", "*")
        return f"{inside[0]}{sign}{inside[1]}" if sign == "*" else f"({inside[0]} {sign} {inside[1]})"
    if len(inside) == 1 and e.label[-1:] in "−×÷":
        return f"{e.label.replace('×', '*')}{inside[0]}"
    if len(inside) == 1 and re.search(r"\bv\b", e.label):
        return re.sub(r"\bv\b", inside[0], e.label)
    return f"{e.label}({', '.join(inside)})"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
