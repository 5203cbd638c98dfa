from __future__ import annotations

import numpy as np

from analysis.load import tidy
from analysis.tables.summary import baseline_of, cells, order

from .synthetic import study


def cell(numbers, task, variant):
    return numbers[(numbers["task"] == task) & (numbers["variant"] == variant)].iloc[0]


def test_diverged_trials_stay_in_N_and_failed_ones_do_not():
    rows, design = study(points=60, failed=0.2)
    table = tidy(rows)
    row = cell(cells(table, design), "adding", "vanilla")
    own = table[table["variant"] == "vanilla"]
    assert row["failed"] == (own["status"] == "failed").sum() > 0
    assert row["diverged"] == (own["status"] == "diverged").sum() > 0
    assert row["trials"] + row["failed"] == 60


def test_a_pair_without_trials_has_a_row_with_N_zero():
    rows, design = study(points=5, tasks=("adding", "copying"), missing=(("gru", "copying"),))
    row = cell(cells(tidy(rows), design), "copying", "gru")
    assert row["trials"] == 0
    assert np.isnan(row["solve_rate"])


def test_baseline_comes_first_then_the_order_of_the_design_then_strangers():
    rows, design = study(("gru", "vanilla", "coupled"), points=2)
    extra = [{**row, "variant": "zz"} for row in rows if row["variant"] == "gru"]
    assert order(tidy(rows + extra), design, "variant") == ["vanilla", "gru", "coupled", "zz"]


def test_a_study_without_a_known_baseline_has_none(small):
    rows, design = study(("gru", "coupled"), points=2)
    assert baseline_of(tidy(rows), {**design, "baseline": None}) is None
