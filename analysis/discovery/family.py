"""The family tree of a cell: its ancestors up to a cell that the search was given, and what changed at each step."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pandas as pd

from ..words import spoken
from .search import Search

WORDS = {
    "activation": "an activation replaced",
    "elementwise": "a sum, difference or product replaced",
    "insert": "an activation put in",
    "remove": "a node removed",
    "ancestor": "a node replaced by what it is computed from",
    "combine": "two nodes combined",
    "input": "W x put in or taken out",
}
"""The operations of `runs.discovery.mutation` in words."""


class Ancestor(NamedTuple):
    """One step of a family tree.

    title: its label in words, or its hash. number, generation: of the candidate.
    ratio: of this evaluation, None where it was not scored.
    lines: its equations, each with whether its parent has no such line.
    changes: what has made it of its parent, in words; empty for the first one.
    """

    title: str
    number: int
    generation: int
    ratio: float | None
    lines: list[tuple[str, bool]]
    changes: str


def ancestors(search: Search, index: int) -> list[Ancestor]:
    """Return the ancestors of a candidate, the oldest first, and the candidate last.

    index: of the candidate. A parent that is not in the table ends the line.
    """
    rows, found, seen = search.rows, list[Ancestor](), set[int]()
    while index in rows and index not in seen:  # a file may hold anything, also a cell that is its own ancestor
        seen.add(index)
        row = rows[index]
        parents = [int(text) for text in str(row["parents"]).split(";") if text.isdigit()]
        parent = rows.get(parents[0]) if parents else None
        before = set() if parent is None else {*str(parent["equations"]).splitlines()}
        lines = [(line, parent is not None and line not in before) for line in str(row["equations"]).splitlines()]
        title = spoken(str(row["label"])) if row["label"] else str(row["key"])
        ratio = None if pd.isna(row["ratio"]) else float(row["ratio"])
        found.append(Ancestor(title, index, int(row["generation"]), ratio, lines, changed(str(row["changes"]))))
        if parent is None:
            break
        index = parents[0]
    return found[::-1]


def changed(changes: str) -> str:
    """Return what has changed a cell, in words.

    changes: names of operations, divided by ";".

    >>> changed("insert;insert;input")
    'an activation put in (2 times), W x put in or taken out'
    """
    counts = Counter(name for name in changes.split(";") if name)
    return ", ".join(
        f"{WORDS.get(name, name)}{f' ({number} times)' if number > 1 else ''}" for name, number in counts.items()
    )
