"""Where the candidates of a search ended: how many cells were drawn, and how many of them passed each gate."""

from __future__ import annotations

from typing import NamedTuple

from runs.discovery.candidate import DUPLICATE, FAILED, NOTHING, SCORED, VALIDITY
from runs.discovery.plan import ARMS, MUTATION

from ..words import spoken
from .search import AGAIN, Search
from .shares import percent


class Gate(NamedTuple):
    """A line of the funnel.

    text: what is counted. counts: by arm. rank: 0 for what is left after a gate, 1 for what ended there or aside.
    """

    text: str
    counts: dict[str, int]
    rank: int


def funnel(search: Search) -> list[Gate]:
    """Return how many candidates of each arm came how far, in the order in which candidates end."""
    toy, first = search.plan.toy, search.plan.tasks[0]
    lines = [
        ("cells drawn", "drawn", 0),
        ("could be seen to be no cells", "invalid", 1),
        ("there before", "duplicates", 1),
        ("new cells", "new", 0),
        ("no memory, or outputs that are not finite", VALIDITY, 1),
        ("compute the same as an earlier one", DUPLICATE, 1),
        ("failed", FAILED, 1),
        (f"trained on {spoken(toy)}", "trained", 0),
        (f"ended there, below {percent(search.plan.toy_reach)} of the GRU", toy, 1),
        (f"trained on {spoken(first)}", "first", 0),
        (f"ended there, below {percent(search.plan.reach)} of the GRU", first, 1),
        ("trained on all tasks, scored", SCORED, 0),
        ("above the GRU in the search", "above", 1),
        ("evaluated again", AGAIN, 1),
    ]
    counts = {arm: _counts(search, arm) for arm in ARMS}
    return [Gate(text, {arm: counts[arm][name] for arm in ARMS}, rank) for text, name, rank in lines]


def _counts(search: Search, arm: str) -> dict[str, int]:
    """Return the counts of an arm by the names that `funnel` uses."""
    own, new = search.table[search.table["arm"] == arm], search.new(arm)
    drawn = own[own["operation"] != AGAIN]
    ended = {str(status): int(count) for status, count in new["status"].value_counts().items()}
    toy, first = search.plan.toy, search.plan.tasks[0]
    found = {status: ended.get(status, 0) for status in (VALIDITY, DUPLICATE, FAILED, toy, first, SCORED)}
    standings = search.mutants if arm == MUTATION else search.random
    last = standings[-1] if standings else []
    return {
        **found,
        "drawn": int(drawn["proposals"].sum()),
        "invalid": int(drawn["invalid"].sum()),
        "duplicates": int(drawn["duplicates"].sum()),
        "new": len(new),
        NOTHING: int((drawn["status"] == NOTHING).sum()),
        "trained": found[toy] + found[first] + found[SCORED],
        "first": found[first] + found[SCORED],
        "above": sum(each.score > 1 for each in last if each.arm == arm),
        AGAIN: int((own["operation"] == AGAIN).sum()),
    }
