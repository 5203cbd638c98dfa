"""The words of a page of findings about a search over cells, see `vocabulary`.

Each takes the name of a search first. What the study of its verdict says needs resampling; so it is left out where the
words are quick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from runs.arguments import RESULTS
from runs.console.text import counted
from runs.discovery.plan import MUTATION, RANDOM
from runs.discovery.verdict import verdict_name
from runs.record.shipped import PREFIX

from .. import words
from ..discovery.loading import search_in
from ..discovery.search import Search
from ..discovery.verdict import Row, Verdict, verdict
from .markdown import table
from .results import shipped


@cache
def searched(name: str) -> Search:
    """Return a search that is shipped, once for a process."""
    return search_in(PREFIX + name, Path(RESULTS))


@cache
def judged(name: str) -> Verdict:
    """Return the verdict on a search, from the study that is shipped with it, once for a process."""
    search = searched(name)
    return verdict(search, shipped(verdict_name(search.plan)).study)


def words_in(owner: object) -> dict[str, Callable[..., str]]:
    """Return the words that an object of a class of words has, by name: its public methods, but for `functions`."""
    names = [n for n in vars(type(owner)) if not n.startswith("_") and n != "functions"]
    return {name: word for name in names if callable(word := getattr(owner, name))}


class SearchWords:
    """The functions about searches that a template may call; every public method is one.

    later: stands for what needs resampling; empty where it is computed.
    """

    def __init__(self, later: str) -> None:
        self._later = later

    def candidates(self, name: str) -> str:
        """Write how many candidates were tried: new cells, known ones, and further evaluations."""
        return f"{len(searched(name).table):,}"

    def new_cells(self, name: str, arm: str = "") -> str:
        """Write how many cells that were not there before were tried.

        arm: mutation or random; empty for both.
        """
        return f"{sum(len(searched(name).new(each)) for each in _arms(arm)):,}"

    def scored(self, name: str, arm: str) -> str:
        """Write how many cells of an arm passed all gates."""
        return f"{len(_best(searched(name), arm)):,}"

    def best_score(self, name: str, arm: str) -> str:
        """Write the best score of an arm in the search."""
        return f"{_best(searched(name), arm)[0]:.2f}"

    def names_spread(self, name: str) -> str:
        """Write between which scores the GRU lies under its other names, such as `0.95 to 1.02`."""
        names = searched(name).names
        return f"{names[-1]:.2f} to {names[0]:.2f}"

    def confirmed(self, name: str, label: str = "") -> str:
        """Write the score of a cell with fresh points and seeds; without a label that of the best cell found."""
        return self._later or f"{self._row(name, label).confirmed:.2f}"

    def best_found(self, name: str) -> str:
        """Write the name as a variant of the cell with the best confirmed score."""
        return self._later or self._row(name, "").label

    def found_above(self, name: str) -> str:
        """Write how many of the cells that the verdict is about have a confirmed score above the GRU's: `6 of 10`."""
        return self._later or self._of(name, lambda row: (row.confirmed or 0.0) > 1)

    def found_better(self, name: str) -> str:
        """Write how many of these cells are better than the GRU in some comparison and worse in none: `9 of 10`."""
        return self._later or self._of(name, lambda row: bool(row.better) and not row.worse)

    def optimism(self, name: str, label: str = "") -> str:
        """Write by how much the score of a cell was too high in the search; without a label the mean of those found."""
        if self._later:
            return self._later
        return f"{self._row(name, label).optimism if label else judged(name).optimism:.2f}"

    def found(self, name: str) -> str:
        """Write the names of these cells as variants, with spaces between them."""
        return self._later or " ".join(row.label for row in judged(name).found)

    def verdict_points(self, name: str) -> str:
        """Write the number of fresh points that each cell of the verdict got."""
        return self._later or counted(judged(name).points, "point")

    def verdict_table(self, name: str) -> str:
        """Write a table of the cells of the verdict, the best confirmed score first."""
        if self._later:
            return self._later
        rows = []
        for row in judged(name).rows:
            numbers = [f"{x:.2f}" if x is not None else "" for x in (row.search, row.confirmed, row.optimism)]
            against = "" if row.label == searched(name).plan.design.baseline else " / ".join(
                map(str, (row.better, row.worse, row.neither))
            )  # fmt: skip
            spoken = words.spoken(row.label) if not row.key else ""
            rows.append([f"`{row.label}`" + (f": {spoken}" if spoken else ""), *numbers, against])
        return table(["cell", "search", "fresh points", "too high by", "better / worse / open"], rows)

    def _of(self, name: str, holds: Callable[[Row], bool]) -> str:
        found = judged(name).found
        return f"{sum(map(holds, found))} of {len(found)}"

    def _row(self, name: str, label: str) -> Row:
        rows = judged(name).rows if label else judged(name).found
        return next(row for row in rows if label in ("", row.label))


def _arms(arm: str) -> tuple[str, ...]:
    return (arm,) if arm else (MUTATION, RANDOM)


def _best(search: Search, arm: str) -> list[float]:
    """Return the scores of the cells of an arm, the best first; without cells that the search was given."""
    last = (search.mutants if arm == MUTATION else search.random)[-1]
    return [each.score for each in last if each.arm == arm]
