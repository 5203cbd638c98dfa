"""Claims of the literature on two parts together: the rule by which the effects of a study with factors answer them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from runs.study.factors import NO, YES

from .. import words
from .claim_rules import AGREES, AT_BOUND, MIXED, NOTHING, Finding, directed
from .comparisons import BETTER, MARGIN, WORSE
from .effects import MAIN, PAIR, better_is_more

EffectTest = Callable[[pd.DataFrame], Finding]
Row = dict[Hashable, Any]
OF_PART = ("plus", "minus", "where_plus", "where_minus", "ratio_low", "ratio_high")  # columns that a pair has twice
BOUNDING = ("coupled", "forget_gate")  # what keeps the state from growing, the strict one first


def needed_where_unbounded(part: str = "output_activation") -> EffectTest:
    """Return the claim that a part is needed only where the state can grow without bound.

    It is the pair of this part and of one that bounds the state: coupled gates, or else a forget gate, which bounds it
    less strictly. The claim is upheld where the part is worth less with the bounding part than without, and in part
    where it is worth more than the margin even so. A pair that a floor or a ceiling can make answers nothing.
    """

    def test(effects: pd.DataFrame) -> Finding:
        for bounding in BOUNDING:
            rows = _pairs(effects, part, bounding)
            if len(rows):
                return _but_needed(directed(rows, claimed_better=False), rows)
        return NOTHING

    return test


def network_helps(network: str, instead_of: str = "reader") -> EffectTest:
    """Return the claim that a network around the cells does better than another one, on average over the cells."""

    def test(effects: pd.DataFrame) -> Finding:
        known = (effects["kind"] == MAIN) & effects["low"].notna() & (effects["part"] == "network")
        own = effects[known & (effects["plus"] == network) & (effects["minus"] == instead_of)]
        return directed(own.assign(variant=network), claimed_better=True) if len(own) else NOTHING

    return test


def _but_needed(finding: Finding, rows: pd.DataFrame) -> Finding:
    """Return a finding that is upheld in part where the part is needed with the bounding part, too."""
    upheld = rows[rows["verdict"] == WORSE]
    worth = upheld["where_plus"]
    towards = np.where(upheld["endpoint"].map(better_is_more).astype(bool), 1.0, -1.0)
    needed = upheld[worth * towards > MARGIN * upheld["span"]]
    if finding.verdict != AGREES or needed.empty:
        return finding
    sizes = [
        f"{words.amount(abs(size), unit)} on {task}"
        for size, unit, task in zip(worth[needed.index], needed["unit"], needed["task"], strict=True)
    ]
    return replace(finding, verdict=MIXED, evidence=f"{finding.evidence}; bounded, still worth {words.listed(sizes)}")


def _pairs(effects: pd.DataFrame, part: str, bounding: str) -> pd.DataFrame:
    """Return the rows of a pair of a part and of what bounds the state, with its name in the column `variant`.

    What bounds it is a part of its own that a cell has or has not, or a level of this name of a factor with several,
    such as `gating: {own: {}, coupled: {coupled: true}}`. There the row says how much more the part is worth at the
    other level; it is turned round, so that all rows say how much more it is worth where the state is bounded.
    """
    pairs = effects[(effects["kind"] == PAIR) & effects["low"].notna() & (effects["aliases"] == "")]
    rows = [_with_first(part, row) for row in pairs.to_dict("records") if part in (row["part"], row["other"])]
    found = [_turned(row) if row["other_minus"] == bounding else row for row in rows if _bounds(row, bounding)]
    table = pd.DataFrame(found, columns=effects.columns)
    at_bound = (table["bound"] != "") & table["verdict"].isin((BETTER, WORSE))
    name = f"{part} with {bounding}".replace("_", " ")
    return table.assign(variant=name, verdict=table["verdict"].mask(at_bound, AT_BOUND))


def _with_first(part: str, row: Row) -> Row:
    """Return the row of a pair with this part first."""
    if row["part"] == part:
        return row
    swapped: Row = {name: row[f"other_{name}"] for name in OF_PART}
    return {**row, **swapped, **{f"other_{name}": row[name] for name in OF_PART}, "part": part, "other": row["part"]}


def _bounds(row: Row, bounding: str) -> bool:
    """Return whether the first part is there or not, and the other one is what bounds the state or not."""
    levels = (row["other_plus"], row["other_minus"])
    there = (row["plus"], row["minus"]) == (YES, NO)
    return there and ((row["other"] == bounding and levels == (YES, NO)) or bounding in levels)


def _turned(row: Row) -> Row:
    """Return a row with the levels of its other part exchanged: what was better is worse."""
    opposite = {BETTER: WORSE, WORSE: BETTER}
    return {
        **row,
        "difference": -row["difference"],
        "low": -row["high"],
        "high": -row["low"],
        "other_plus": row["other_minus"],
        "other_minus": row["other_plus"],
        "where_plus": row["where_minus"],
        "where_minus": row["where_plus"],
        "other_where_plus": -row["other_where_plus"],
        "other_where_minus": -row["other_where_minus"],
        "verdict": opposite.get(row["verdict"], row["verdict"]),
    }
