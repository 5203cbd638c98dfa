"""Claims of the literature on two parts together: the rule by which the effects of a study with factors answer them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from runs.study.factors import NO, YES

from .claim_rules import NOTHING, Finding, directed
from .effects import PAIR

EffectTest = Callable[[pd.DataFrame], Finding]
BOUNDING = ("coupled", "forget_gate")  # parts that keep the state from growing, the strict one first


def needed_where_unbounded(part: str = "output_activation") -> EffectTest:
    """Return the claim that a part is needed only where the state can grow without bound.

    It is the pair of this part and of one that bounds the state: coupled gates, or else a forget gate, which bounds it
    less strictly. The claim is upheld where the part is worth less with the bounding part than without.
    """

    def test(effects: pd.DataFrame) -> Finding:
        for bounding in BOUNDING:
            rows = _pairs(effects, part, bounding)
            if len(rows):
                return directed(rows, claimed_better=False)
        return NOTHING

    return test


def _pairs(effects: pd.DataFrame, part: str, bounding: str) -> pd.DataFrame:
    """Return the rows of a pair of two parts that a cell has or has not, with its name in the column `variant`."""
    pairs = effects[(effects["kind"] == PAIR) & effects["low"].notna() & (effects["aliases"] == "")]
    both = (pairs["part"].isin((part, bounding))) & (pairs["other"].isin((part, bounding)))
    levels = (pairs["plus"] == YES) & (pairs["minus"] == NO) & (pairs["other_plus"] == YES)
    name = f"{part} with {bounding}".replace("_", " ")
    return pairs[both & levels].assign(variant=name)
