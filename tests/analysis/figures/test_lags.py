"""The figures of lags: what stands where, in shared panels and in a panel for each variant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis import words
from analysis.figures import half_lags, solve_rate_by_lag
from analysis.figures.gallery import parts
from analysis.figures.look import BACK, look
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


def test_the_control_is_named_and_every_panel_has_its_variant():
    titles = [axes.get_title(loc="left") for axes in drawn(solve_rate_by_lag, lagged(FALLS)).axes]
    assert [" ".join(title.split()) for title in titles] == [
        words.spoken("vanilla"),
        words.spoken("gru"),
        f"{words.spoken('rnn')} (control)",
    ]


@pytest.mark.parametrize(("solved", "after"), [(0, ""), (20, ": needs no memory")])
def test_a_series_that_needs_no_memory_is_marked(solved, after):
    figure = drawn(solve_rate_by_lag, lagged({**FALLS, "rnn": (20, 20, solved)}))
    assert f"{words.spoken('adding')} (20 trials each){after}" in [text.get_text() for text in figure.texts]


def test_every_variant_has_a_panel_with_the_baseline_in_grey_beside_it():
    first, second, third = drawn(solve_rate_by_lag, lagged(FALLS)).axes
    curves = [[line for line in axes.lines if line.get_marker() != "None"] for axes in (first, second, third)]
    assert [len(lines) for lines in curves] == [1, 2, 2]
    grey, own = curves[1]
    assert (grey.get_color(), own.get_color()) == (BACK, look("gru").colour)
    assert grey.get_xdata()[0] < np.log2(30) < own.get_xdata()[0], "their intervals do not hide each other"


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
        assert written(axes).count("doublings more") == count


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
