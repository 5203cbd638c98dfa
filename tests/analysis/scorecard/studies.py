"""Cards made up by hand, and small studies behind real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.scorecard.card import OVERALL, PLACES, THIRDS, Card
from analysis.study import Study
from analysis.tables.lags import HALF_LAGS, LAG_EFFECTS
from runs.scoring.measured import Measured, Reach, Speed
from tests.analysis.lagged import lagged


def place(task: str, verdict: str, difference: float = 0.0, half: float = 0.1, **columns: Any) -> dict[str, Any]:
    """A row of `places`: the solve rate differs by so much, with half the width of its interval."""
    row: dict[str, Any] = dict.fromkeys(PLACES, np.nan)
    ends = {"low": difference - half, "high": difference + half}
    usual = {"task": task, "series": task, "lag": 0, "solvable": True, "unit": "%", "points": 20, "variants": 4}
    return {**row, **usual, "verdict": verdict, "difference": difference, **ends, "value": 0.5, "rank": 2, **columns}


def quality(verdict: str, difference: float = 0.0, half: float = 0.1, span: float = 1.0) -> dict[str, Any]:
    """The columns of the quality after tuning."""
    ends = {"quality_low": difference - half, "quality_high": difference + half, "span": span}
    return {"quality_verdict": verdict, "quality_difference": difference, **ends}


def card(*rows: dict[str, Any], variant: str = "gru", effects: Sequence[dict[str, Any]] = (), **parts: Any) -> Card:
    """A card of these places; nothing else of it matters."""
    study = lagged({"vanilla": (1, 0, 0), "gru": (1, 0, 0)}, points=1)
    table = pd.DataFrame(list(effects), columns=None if effects else LAG_EFFECTS)
    none = {name: pd.DataFrame(columns=columns) for name, columns in (("half_lags", HALF_LAGS), ("thirds", THIRDS))}
    empty = {"levels": {}, "compared": pd.DataFrame(), **none, "measured": None}
    return Card(study, variant, pd.DataFrame(list(rows), columns=PLACES), **{**empty, "effects": table, **parts})


def overall(verdict: str, difference: float = 0.0, half: float = 0.1) -> dict[str, Any]:
    """The row of all tasks together."""
    return place(OVERALL, verdict, difference, half, series="")


def three(points: int = 12) -> Study:
    """A study of three variants at three lags."""
    counts = {"vanilla": (10, 6, 2), "gru": (12, 11, 10), "no_forget_gate": (10, 2, 0)}
    at = np.arange(points) / points
    variants = [
        {"_target_": f"variants.{name}", "label": label}
        for label, name in (("vanilla", "Vanilla"), ("gru", "GRU"), ("no_forget_gate", "NoForgetGate"))
    ]
    study = lagged(counts, points=points)
    every = study.every.assign(u_learning_rate=study.every["point"].map(dict(enumerate(at))))
    values = {**study.design.as_dict(), **study.about, "variants": variants}
    return Study.of(every, values)


def measured(variant: str = "gru") -> Measured:
    """What was measured of a variant, made up."""
    speeds = tuple(Speed(m, 32, u, 100, 32, 0.5, 0.4, 0.6, 0.01, 31) for m, u in (("width", 32), ("parameters", 37)))
    curves = [0.9**k for k in range(100)], [0.99**k for k in range(100)]
    reaches = tuple(Reach(name, name, 3, 37, "solved", *curves) for name in dict.fromkeys(("vanilla", variant)))
    facts = {"processor": "a processor", "commit": "c0ffee", "created": "2026-01-02T03:04:05+00:00"}
    return Measured(variant, facts, "fused", "", speeds, "adding_60", reaches)
