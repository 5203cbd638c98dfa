"""Rules by which several comparisons together answer a claim: an order of variants, or signs that differ."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.endpoints import ENDPOINTS
from .claim_rules import (
    AGREES,
    DISAGREES,
    LSTMS,
    NOTHING,
    ON_LAG,
    UNANSWERED,
    UNDECIDED,
    Finding,
    Test,
    counted,
    directed,
    evidence,
    excludes,
    needed_for_difference,
    of_variants,
    unanswered,
)
from .comparisons import BETTER, MARGIN, SAME, WORSE, by_interval, half_width, needed, towards_better

Row = dict[Any, Any]


def in_order(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that each of these variants does worse than the next one.

    Two variants are compared by their differences to the baseline: one is worse where its whole interval lies below
    that of the other. This is stricter than an interval of their own would be.

    names: the worst first. A study that lacks one of them does not answer.
    """

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        each = [of_variants(rows, (name,), baseline, baselines) for name in names]
        if any(own.empty for own in each):
            return NOTHING
        return directed(pd.concat(_beside(*pair) for pair in pairwise(each)), claimed_better=False)

    return test


def depends_on_the_task(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that these variants do better than the baseline on some tasks and worse on others.

    It is denied where every comparison on two tasks or more is decided, and none contradicts another. Signs that differ
    between the lags of one task only make it depend on the lag.
    """

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        own = of_variants(rows, names, baseline, baselines)
        known, left_out = counted(own)
        if known.empty:
            return unanswered(own)
        where = {sign: set(known.loc[known["sure"] & (known["verdict"] == sign), "series"]) for sign in (BETTER, WORSE)}
        decided = (known["sure"] | (known["verdict"] == SAME)).all()
        if all(where.values()):
            verdict = AGREES if len(set.union(*where.values())) > 1 else ON_LAG
        else:
            verdict = DISAGREES if decided and known["series"].nunique() > 1 else UNDECIDED
        return Finding(verdict, evidence(known) + left_out)

    return test


def somewhere_better(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that at least one of these variants does better than the baseline on at least one task."""

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        own = of_variants(rows, names, baseline, baselines)
        known, left_out = counted(own)
        if known.empty:
            return unanswered(own)
        records = known.to_dict("records")
        found = known["sure"] & (known["verdict"] == BETTER)
        if found.any():
            verdict, known = AGREES, known[found]
        else:
            verdict = DISAGREES if all(excludes(row, (True,)) for row in records) else UNDECIDED
        least = min(needed_for_difference(row, BETTER) for row in records)
        return Finding(verdict, evidence(known) + left_out, least)

    return test


def _beside(worse: pd.DataFrame, better: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each task of two variants: the difference between their differences to the baseline."""
    found = []
    for mine, theirs in _pairs(worse, better):
        difference, endpoint = mine["difference"] - theirs["difference"], ENDPOINTS[mine["endpoint"]]
        most = np.inf if endpoint.of_losses else mine["span"]
        low, high = (float(np.clip(mine[a] - theirs[b], -most, most)) for a, b in (("low", "high"), ("high", "low")))
        verdict = towards_better(by_interval(low, difference, high, MARGIN * mine["span"]), endpoint)
        if mine["verdict"] in UNANSWERED and theirs["verdict"] in UNANSWERED:
            verdict = mine["verdict"]
        variant = f"{mine['variant']} beside {theirs['variant']}"
        row = {**mine, "variant": variant, "difference": difference, "low": low, "high": high, "verdict": verdict}
        half = half_width(low, difference, high)
        found.append({**row, "needed": needed(difference, half, mine["points"], mine["span"]), "p": np.nan})
    return pd.DataFrame(found, columns=worse.columns)


def _pairs(first: pd.DataFrame, second: pd.DataFrame) -> list[tuple[Row, Row]]:
    """Return the records of two tables that are about the same task and endpoint."""
    mine, theirs = (
        {(row["task"], row["endpoint"]): row for row in rows.to_dict("records")} for rows in (first, second)
    )
    return [(row, theirs[key]) for key, row in mine.items() if key in theirs]
