"""The figures of lags: what stands where, in shared panels and in a panel for each variant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis.figures import half_lags, solve_rate_by_lag
from analysis.figures.gallery import parts
from analysis.figures.look import look
from analysis.tables import lags
from tests.analysis.lagged import lagged

FALLS = {"vanilla": (20, 20, 10), "gru": (20, 20, 20), "rnn": (10, 4, 0)}


def drawn(module, study):
    table = {"lags": lags.lags, "half_lags": lags.half_lags}[module.FIGURE.needs[0]](study)
    return module.draw(module.numbers(study, table))


def written(axes):
    return [text.get_text() for text in axes.texts]


def test_solve_rates_stand_at_their_lags_with_their_intervals():
    figure = drawn(solve_rate_by_lag, lagged({"vanilla": (20, 10, 0)}))
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_marker() == look("vanilla").marker]
    assert marks[0].get_xdata().tolist() == pytest.approx(np.log2([30, 60, 120]).tolist())
    assert marks[0].get_ydata().tolist() == [100.0, 50.0, 0.0]
    low, high = axes.collections[0].get_segments()[1][:, 1]
    assert (low, high) == pytest.approx((29.93, 70.07), abs=0.01)


def test_floor_ceiling_and_control_are_labelled():
    (axes,) = drawn(solve_rate_by_lag, lagged(FALLS)).axes
    assert {"floor", "ceiling", "rnn (control)"} <= set(written(axes))
    assert axes.get_title(loc="left") == "adding (N 20)"


def test_a_series_that_does_not_need_memory_is_marked():
    (axes,) = drawn(solve_rate_by_lag, lagged({**FALLS, "rnn": (20, 20, 20)})).axes
    assert axes.get_title(loc="left") == "adding (N 20): does not need memory"


@pytest.mark.parametrize(("variants", "panels"), [(6, 1), (7, 8)])
def test_more_than_six_variants_have_a_panel_each_with_the_baseline_in_grey(variants, panels):
    names = ["vanilla", *(f"cell_{k}" for k in range(variants - 1))]
    figure = drawn(solve_rate_by_lag, lagged(dict.fromkeys(names, (20, 10, 5))))
    assert len(figure.axes) == panels
    curves = [len([line for line in axes.lines if line.get_marker() != "None"]) for axes in figure.axes]
    assert curves == ([6] if panels == 1 else [1, 2, 2, 2, 2, 2, 2, 0])


def test_in_panels_of_their_own_marks_stand_beside_the_baseline_and_one_panel_names_the_bands():
    names = ["vanilla", *(f"cell_{k}" for k in range(6))]
    first, second, *_ = drawn(solve_rate_by_lag, lagged(dict.fromkeys(names, (20, 10, 0)))).axes
    grey, own = (line.get_xdata()[0] for line in second.lines if line.get_marker() != "None")
    assert grey < np.log2(30) < own
    assert ("floor" in written(first), "floor" in written(second)) == (True, False)


def test_a_half_lag_has_its_interval_or_an_arrow_where_it_is_a_bound():
    (axes,) = drawn(half_lags, lagged(FALLS)).axes
    assert [line.get_marker() for line in axes.lines if line.get_marker() not in ("None", "$→$")] == [
        look("vanilla").marker,
        look("gru").marker,
        look("rnn").marker,
    ]
    assert written(axes).count("→") == 1
    assert "≥ 120 [120, ≥ 120]" in written(axes)


def test_the_axis_of_half_lags_ends_with_the_longest_lag_where_it_has_room():
    for lags_of_series, ticks in (((30, 100), ["30", "60", "100"]), ((30, 64), ["30", "60"]), ((30, 60), ["30", "60"])):
        (axes,) = drawn(half_lags, lagged({"vanilla": (20, 5)}, lags=lags_of_series)).axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ticks


def test_few_points_have_no_column_of_doublings():
    for points, count in ((20, 1), (6, 0)):
        (axes,) = drawn(half_lags, lagged({"vanilla": (points, 5), "gru": (points, 3)}, points, (30, 60))).axes
        assert written(axes).count("doublings later than the baseline") == count


@pytest.mark.parametrize(("most", "names"), [(0, ["adding", "copying"]), (9, [""])])
def test_figures_of_lags_that_are_too_tall_are_cut_by_series(most, names):
    study = lagged(FALLS)
    table = lags.lags(study)
    both = pd.concat([table, table.assign(series="copying")])
    entry = replace(solve_rate_by_lag.FIGURE, most=most)
    found = {name: set(needed[0]["series"]) for name, _, needed in parts(entry, study, {"lags": both})}
    assert list(found) == names
    assert most or found == {"adding": {"adding"}, "copying": {"copying"}}


def test_a_page_of_many_variants_fits():
    names = ["vanilla", *(f"cell_{k}" for k in range(19))]
    figure = drawn(solve_rate_by_lag, lagged(dict.fromkeys(names, (4, 2, 1)), points=4))
    assert tuple(figure.get_size_inches() <= (7.3, 12.0)) == (True, True)
    assert any("lag in steps" in text.get_text() for text in figure.findobj(Text))
