"""Claims of the literature on two parts together: the rule by which the effects of a study with factors answer them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from runs.study.factors import NO, YES

from .. import words
from .claim_rules import AGREES, AT_BOUND, MIXED, NOTHING, Finding, directed
from .comparisons import BETTER, MARGIN, WORSE
from .effects import PAIR, better_is_more

EffectTest = Callable[[pd.DataFrame], Finding]
BOUNDING = ("coupled", "forget_gate")  # parts that keep the state from growing, the strict one first


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
                return _but_needed(directed(rows, claimed_better=False), rows, part)
        return NOTHING

    return test


def _but_needed(finding: Finding, rows: pd.DataFrame, part: str) -> Finding:
    """Return a finding that is upheld in part where the part is needed with the bounding part, too."""
    upheld = rows[rows["verdict"] == WORSE]
    worth = upheld["where_plus"].where(upheld["part"] == part, upheld["other_where_plus"])
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
    """Return the rows of a pair of two parts that a cell has or has not, with its name in the column `variant`."""
    pairs = effects[(effects["kind"] == PAIR) & effects["low"].notna() & (effects["aliases"] == "")]
    both = (pairs["part"].isin((part, bounding))) & (pairs["other"].isin((part, bounding)))
    levels = (pairs["plus"] == YES) & (pairs["minus"] == NO) & (pairs["other_plus"] == YES)
    name = f"{part} with {bounding}".replace("_", " ")
    found = pairs[both & levels]
    at_bound = (found["bound"] != "") & found["verdict"].isin((BETTER, WORSE))
    return found.assign(variant=name, verdict=found["verdict"].mask(at_bound, AT_BOUND))
