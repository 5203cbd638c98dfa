from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.load import tidy
from analysis.plots_stages import horizons, memory_horizon, winners_curse

from .synthetic import study


def stage(solved_by_lag, variant="vanilla"):
    """Table of ten runs at each lag, of which so many solve the task."""
    rows = []
    for lag, solved in solved_by_lag.items():
        own, design = study((variant,), points=10)
        rows += [{**row, "lag": lag, "status": "solved" if k < solved else "finished"} for k, row in enumerate(own)]
    return tidy(rows), design


def test_horizon_is_where_half_of_the_runs_succeed():
    table, _ = stage({16: 10, 32: 10, 64: 5, 128: 0})
    row = horizons(table).iloc[0]
    assert row["horizon"] == pytest.approx(64.0)
    assert not row["at_least"]
    assert not row["at_most"]


def test_horizon_beyond_the_lags_is_a_bound():
    assert horizons(stage({16: 10, 32: 8})[0]).iloc[0]["at_least"]
    assert horizons(stage({16: 4, 32: 0})[0]).iloc[0]["at_most"]


def test_horizon_figure_draws_and_writes_the_estimate():
    table, design = stage({16: 10, 32: 10, 64: 5, 128: 0})
    figure, data = memory_horizon(table, design)
    figure.draw_without_rendering()
    assert any(text.get_text().startswith("64 [") for text in figure.axes[0].texts)
    assert len(data) == 1


def test_winners_curse_draws_and_writes_the_mean_drop(small):
    table, design = small
    scores = np.linspace(0.5, 1.0, 10)
    frame = pd.DataFrame({"task": "adding", "variant": "gru", "block": range(10), "search_score": scores, "fresh_score": scores - 0.25})
    figure, _ = winners_curse(table, design, frame)
    figure.draw_without_rendering()
    assert any(text.get_text() == "mean drop 0.25" for text in figure.axes[0].texts)
