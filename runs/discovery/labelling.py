"""An order of the parts of a graph, and their signs, that do not depend on the order of nodes and fields.

The order follows from what a part is computed from and what is computed from it, refined until nothing changes. Parts
that are still alike are told apart by trying each of them first; the result that sorts first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .terms import Parts

MOST_TRIES = 64  # of orders of parts that are alike; with more, the order of the nodes decides the rest
_KINDS = ("lin", "half", "product", "sum", "relu", "tanh", "field")  # so that it prints as u*h' + (1 - u)*n


@dataclass
class Labelled:
    """An order of parts.

    order: the number of each part that is used, in order.
    rank: the place of each part in it.
    minus: the terms of sums and relu that have a minus, as pairs of parts; and the new values that do, as (-1, field).
    signs: for each part 1, or -1 where it is taken with the other sign; for a field f under -1 - f.
    """

    order: list[int]
    rank: dict[int, int]
    minus: set[tuple[int, int]]
    signs: dict[int, int]


def labelled(parts: Parts) -> Labelled:
    """Return the order of the parts of a graph and the signs of their terms."""
    return _Labeller(parts).best()


class _Labeller:
    """Orders the parts of one graph. used: their numbers. fields: the part of each field that is read."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._new = parts.parts, parts.new
        stack, used = [value.part for value in parts.new.values()], set[int]()
        while stack:
            k = stack.pop()
            if k not in used:
                used.add(k)
                stack.extend(of for of, _ in parts.parts[k].terms)
        self._used = sorted(used)
        self._place = {k: place for place, k in enumerate(self._used)}
        # Each field that is read has a part, except an output that only its reader sees.
        self._field = {parts.parts[k].number: k for k in self._used if parts.parts[k].kind == "field"}
        self._down = [[(abs(a), self._place[of]) for of, a in parts.parts[k].terms] for k in self._used]
        self._up = list[list[tuple[int, int]]]([] for _ in self._used)
        for place, edges in enumerate(self._down):
            for a, of in edges:
                self._up[of].append((a, place))
        self._leaves = list[tuple[Any, Labelled]]()
        self._masks = self._gauge()

    def best(self) -> Labelled:
        self._try(self._refined(self._first()))
        return min(self._leaves, key=lambda leaf: leaf[0])[1]

    def _first(self) -> list[int]:
        """Return the first colours: what a part is, by itself."""
        output = self._new[0].part
        labels = []
        for k in self._used:
            part = self._parts[k]
            what = (part.input, part.bias, len(part.terms) > 0) if part.kind == "lin" else ()
            labels.append(
                (_KINDS.index(part.kind), part.twice, what, part.kind == "field" and part.number == 0, k == output)
            )
        return _ranks(labels)

    def _refined(self, colours: list[int]) -> list[int]:
        """Return colours that also tell apart parts whose neighbours differ."""
        news = [(self._place[self._field[f]], self._place[v.part]) for f, v in self._new.items() if f in self._field]
        while True:
            told: list[Any] = [
                (
                    colours[place],
                    sorted((a, colours[of]) for a, of in self._down[place]),
                    sorted((a, colours[of]) for a, of in self._up[place]),
                    [],
                )
                for place in range(len(colours))
            ]
            for field, new in news:
                told[field][3].append((0, colours[new]))
            for field, new in news:
                told[new][3].append((1, colours[field]))
            for row in told:
                row[3].sort()
            found = _ranks(told)
            if max(found) == max(colours):
                return found
            colours = found

    def _try(self, colours: list[int]) -> None:
        """Note the orders that refine colours."""
        count = [0] * len(colours)
        for colour in colours:
            count[colour] += 1
        alike = next((colour for colour, number in enumerate(count) if number > 1), None)
        if alike is None:
            order = sorted(self._used, key=lambda k: colours[self._place[k]])
            self._leaves.append(self._leaf(order))
            return
        for place in [p for p, colour in enumerate(colours) if colour == alike]:
            chosen = [2 * colour + (colour == alike and p != place) for p, colour in enumerate(colours)]
            self._try(self._refined(_ranks(chosen)))
            if len(self._leaves) >= MOST_TRIES:
                return

    def _leaf(self, order: list[int]) -> tuple[Any, Labelled]:
        """Return what decides between orders, and an order with its signs."""
        rank = {k: number for number, k in enumerate(order)}
        said = [sorted((rank[of], abs(a)) for of, a in self._parts[k].terms) for k in order]
        fields = sorted(self._new, key=lambda f: (f > 0, rank[self._field[f]] if f in self._field else -1))
        ends = [rank[self._new[f].part] for f in fields]
        places = list[tuple[tuple[int, int], int, int]]()  # a term, whether it has a minus now, and what changes that
        for f in fields:  # first, so that a new value begins with a minus only where no sign can be chosen
            places.append(((-1, f), int(self._new[f].sign < 0), self._masks[self._new[f].part] ^ self._masks[-1 - f]))
        for k in order:
            if self._parts[k].kind in ("sum", "relu"):
                for of, a in sorted(self._parts[k].terms, key=lambda term: rank[term[0]]):
                    places.append(((k, of), int(a < 0), self._masks[k] ^ self._masks[of]))
        bits, free = _least([(bit, mask) for _, bit, mask in places])
        signs = {k: -1 if (mask & free).bit_count() % 2 else 1 for k, mask in self._masks.items()}
        minus = {term for (term, _, _), bit in zip(places, bits, strict=True) if bit}
        return (said, ends, bits), Labelled(order, rank, minus, signs)

    def _gauge(self) -> dict[int, int]:
        """Return for each part which free signs change its sign, as bits; for field f under -1 - f.

        Free are the signs of gates, of fields, and of sums without a number.
        """
        masks = {-1 - f: 1 << f for f in self._new}
        free = max(self._new) + 1
        for k in self._used:  # a part has a larger number than those that it is computed from
            part = self._parts[k]
            masks[k] = 0
            if part.kind == "lin" or (part.kind == "sum" and part.twice == 0):
                masks[k] = 1 << free
                free += 1
            elif part.kind == "field":
                masks[k] = masks[-1 - part.number]
            elif part.kind in ("tanh", "half", "product"):
                for of, power in part.terms:
                    masks[k] ^= masks[of] if power % 2 else 0
        return masks


def _ranks(labels: Sequence[Any]) -> list[int]:
    """Return the rank of each label among those that differ."""
    numbers = list[int]([0] * len(labels))
    rank, before = -1, None
    for place in sorted(range(len(labels)), key=lambda p: labels[p]):
        if rank < 0 or labels[place] != before:
            rank, before = rank + 1, labels[place]
        numbers[place] = rank
    return numbers


def _least(places: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """Return the bits that sort first among all that free signs can make of some bits, and the free signs that do.

    places: each bit, and as a mask which free signs change it.
    """
    known = list[tuple[int, int, int]]()  # a bit of a mask, a mask with it, and what free signs under it must add up to
    found = []
    for bit, mask in places:
        for lead, other, value in known:
            if mask & lead:
                mask, bit = mask ^ other, bit ^ value
        if mask:
            known.append((mask & -mask, mask, bit))
        found.append(0 if mask else bit)
    free = 0
    for lead, mask, value in reversed(known):
        if (mask & free).bit_count() % 2 != value:
            free |= lead
    return found, free
