"""Solve rates by lag, half lags and the interaction of variant and lag, from studies whose numbers are set by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.tables.comparisons import comparisons
from analysis.tables.lags import half_lags, lag_effects, lag_tables, lags, slope_weights
from tests.analysis.lagged import lagged
from tests.analysis.synthetic import by_hand

FALLS = {"vanilla": (20, 20, 10), "gru": (20, 20, 20), "no_forget_gate": (20, 10, 0)}


def effects(solved, points=20):
    study = lagged(solved, points)
    return lag_effects(study, comparisons(study, swaps=199), swaps=199).set_index(["effect", "lag", "variant"])


def test_a_task_at_one_lag_has_no_tables():
    study = by_hand({}, {"variant": "gru"})
    assert lag_tables(study, comparisons(study, swaps=19)) == {}


def test_lags_have_one_row_for_each_lag_and_variant_with_wilson_intervals():
    table = lags(lagged({"vanilla": (10, 5, 0)}, points=10))
    assert table[["series", "lag", "task", "trials", "solved", "solve_rate"]].values.tolist() == [
        ["adding", 30, "adding_30", 10, 10, 1.0],
        ["adding", 60, "adding_60", 10, 5, 0.5],
        ["adding", 120, "adding_120", 10, 0, 0.0],
    ]
    assert table.loc[1, ["low", "high"]].tolist() == pytest.approx([0.2366, 0.7634], abs=1e-4)


def test_half_lags_are_bounds_where_the_rate_stays_above_one_half():
    table = half_lags(lagged(FALLS), resamples=200).set_index("variant")
    assert table["at_least"].to_dict() == {"vanilla": False, "gru": True, "no_forget_gate": False}
    assert table["half_lag"].to_dict() == pytest.approx({"vanilla": 120, "gru": 120, "no_forget_gate": 60}, rel=1e-3)
    assert np.isinf(table.loc["gru", "high"])
    assert np.isnan(table.loc["vanilla", "doublings"])
    assert table.loc["no_forget_gate", "doublings"] == pytest.approx(-1, abs=1e-3)
    assert table["significant"].to_dict() == {"vanilla": False, "gru": False, "no_forget_gate": True}


def test_a_half_lag_of_fewer_than_ten_solved_trials_has_no_interval():
    table = half_lags(lagged({"vanilla": (20, 20, 10), "rnn": (9, 2, 0)}), resamples=99).set_index("variant")
    assert np.isfinite(table.loc["vanilla", "low"])
    assert table.loc["rnn", ["low", "high", "doublings_low"]].isna().all()


def test_slope_is_the_least_squares_line_over_log2_lag():
    rates = [0.9, 0.7, 0.1]
    assert slope_weights([20, 50, 180]) @ rates == pytest.approx(np.polyfit(np.log2([20, 50, 180]), rates, 1)[0])


def test_effects_are_the_mean_difference_and_the_difference_per_doubling():
    found = effects(FALLS)
    assert found.loc[("mean", 0, "no_forget_gate"), "difference"] == pytest.approx(0.5 - 50 / 60)
    # per doubling vanilla loses (20 - 10) / 20 / 2, no_forget_gate 20 / 20 / 2
    assert found.loc[("slope", 0, "no_forget_gate"), ["value", "reference", "difference"]].tolist() == pytest.approx(
        [-0.5, -0.25, -0.25]
    )
    assert found.loc[("lag", 60, "no_forget_gate"), "difference"] == pytest.approx(-0.5)


def test_the_verdict_on_an_effect_is_the_sign_of_an_interval_that_excludes_zero():
    found = effects({"vanilla": (20, 18, 16), "gru": (20, 18, 16), "rnn": (20, 4, 0)})
    assert found.loc[("mean", 0, "rnn"), "verdict"] == "worse"
    assert found.loc[("slope", 0, "rnn"), "verdict"] == "worse"
    assert not found.loc[("mean", 0, "gru"), "significant"]


def test_nothing_is_said_of_effects_where_nothing_was_learned_at_any_lag():
    found = effects({"vanilla": (0, 0, 0), "gru": (0, 0, 0), "rnn": (20, 0, 0)})
    assert found["verdict"][["mean", "slope"]].unstack()["gru"].tolist() == ["nothing learned"] * 2
    assert found.loc[("mean", 0, "rnn"), "verdict"] != "nothing learned"


@pytest.mark.parametrize(
    ("at_lags", "verdict"),
    [
        (["nothing learned", "hardly solved", "nothing learned"], "hardly solved"),
        (["everything solved"] * 3, "everything solved"),
        (["everything solved", "hardly solved", "hardly solved"], "open"),
    ],
)
def test_effects_have_the_verdict_of_single_lags_that_could_not_show_a_difference(at_lags, verdict):
    study = lagged({"vanilla": (20, 10, 5), "gru": (20, 10, 5)})  # equal point by point
    compared = comparisons(study, swaps=19)
    rates = compared["endpoint"] == "solve_rate"
    compared.loc[rates, "verdict"] = at_lags
    found = lag_effects(study, compared, swaps=19).set_index("effect")
    assert found.loc[["mean", "slope"], "verdict"].tolist() == [verdict] * 2


def test_a_slope_is_the_same_where_less_than_the_margin_is_lost_over_all_lags(monkeypatch):
    study = lagged({"vanilla": (20, 10, 5), "gru": (20, 10, 5)})
    for half, verdict in ((0.049, "same"), (0.051, "open")):  # of two doublings
        row = {"points": 20, "value": 0.0, "reference": 0.0, "difference": 0.0, "low": -half, "high": half, "p": 1.0}
        monkeypatch.setattr("analysis.tables.lags._contrast", lambda *given, row=row: iter([row]))
        found = lag_effects(study, comparisons(study, swaps=19), swaps=19).set_index("effect")
        assert found.loc["slope", "verdict"] == verdict


def test_too_few_points_have_no_interval():
    found = effects({"vanilla": (9, 5, 0), "gru": (9, 9, 9)}, points=9)
    assert found.loc[("mean", 0, "gru"), ["low", "high", "p"]].isna().all()
    assert found.loc[("mean", 0, "gru"), "verdict"] == "open"
