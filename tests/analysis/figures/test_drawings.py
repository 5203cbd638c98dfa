"""What is written in figures, and which marks and lines stand where, from a few trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis import words
from analysis.figures import (
    boxes,
    forest,
    heat_map,
    hyperparameters,
    memory_horizon,
    shares,
    solve_curves,
    winners_curse,
)
from analysis.figures.look import look
from analysis.tables.importance import with_score
from tests.analysis.synthetic import by_hand


def written(axes):
    return [text.get_text() for text in axes.texts]


def test_heat_map_writes_solve_rate_steps_to_solve_and_what_diverged():
    trials = [{"status": "solved", "solved_step": 400.0}, *[{"status": "diverged"}] * 2]
    figure = heat_map.draw(heat_map.numbers(by_hand(*trials, {}, {"status": "failed"})))
    left, right = figure.axes
    assert written(left) == ["25", "1/4"]
    assert written(right) == ["1.6k"], "the mean of 400 steps and three budgets of 2,000"
    around = [text.get_text() for text in figure.texts]
    assert {words.spoken("vanilla"), "vanilla, 2 diverged, 1 failed"} <= set(around)


def test_heat_map_says_where_no_trial_solved_a_task():
    _, right = heat_map.draw(heat_map.numbers(by_hand({}, {}))).axes
    assert written(right) == ["never"]


def test_dots_are_filled_if_solved_hollow_if_not_and_crosses_if_diverged():
    trials = [{"status": s} for s in ("solved", "finished", "finished", "diverged", "diverged", "diverged")]
    filled, hollow, crosses = boxes.draw(boxes.numbers(by_hand(*trials))).axes[0].collections
    assert [len(dots.get_offsets()) for dots in (filled, hollow, crosses)] == [1, 2, 3]
    assert [len(dots.get_facecolor()) for dots in (filled, hollow)] == [1, 0]


def test_a_share_of_solved_trials_holds_from_its_step_on():
    trials = [{"status": "solved", "solved_step": 10.0, "curve_steps": [0, 10, 20], "curve_losses": [1.0] * 3}]
    line = solve_curves.draw(solve_curves.numbers(by_hand(*trials))).axes[0].lines[0]
    assert (line.get_drawstyle(), line.get_xdata().tolist()) == ("steps-post", [10, 20])


def test_shares_of_the_best_trials_stand_at_the_tenth_in_which_they_lie():
    trials = [{"variant": v, "learning_rate": rate} for v, rate in (("vanilla", 1e-4), ("gru", 1e-4), ("rnn", 1e-1))]
    axes = hyperparameters.draw(hyperparameters.numbers(by_hand(*trials))).axes[0]
    found = [(text.get_text(), text.get_position()[0]) for text in axes.texts if text.get_text().endswith(" %")]
    assert found == [("67 %", 1e-4), ("33 %", 1e-1)]


@pytest.mark.parametrize(("fresh", "text"), [(0.6, "mean drop 0.30"), (0.95, "mean drop −0.05")])
def test_a_drop_is_positive_where_a_fresh_seed_does_worse(fresh, text):
    frame = pd.DataFrame([{"task": "adding", "variant": "vanilla", "search_score": 0.9, "fresh_score": fresh}])
    assert text in written(winners_curse.draw(winners_curse.numbers(by_hand({}), frame)).axes[0])


def compared_by_hand(*rows):
    usual = {"task": "adding", "baseline": "vanilla", "endpoint": "solve_rate", "question": "ease", "primary": True}
    usual |= {"value": 0.7, "reference": 0.5, "difference": 0.2, "low": 0.1, "high": 0.3, "p": 0.01, "points": 30}
    usual |= {"greff_welch_p": 0.5, "span": 1.0, "unit": "%"}
    study = by_hand({}, *({"variant": row["variant"]} for row in rows), baseline="vanilla")
    return forest.draw(forest.numbers(study, pd.DataFrame([{**usual, **row} for row in rows]))).axes[0]


def test_a_mark_is_filled_where_told_apart_half_where_the_same_and_hollow_where_open():
    verdicts = {"gru": "better", "rnn": "open", "irnn": "same", "mut1": "worse"}
    axes = compared_by_hand(*({"variant": v, "verdict": verdict} for v, verdict in verdicts.items()))
    marks = [line for line in axes.lines if line.get_marker() in {look(v).marker for v in verdicts}]
    fills = [(to_hex(line.get_markerfacecolor()), line.get_fillstyle()) for line in marks]
    colours = {v: to_hex(look(v).colour) for v in verdicts}
    assert fills == [
        (colours["gru"], "full"),
        ("#ffffff", "full"),
        (colours["irnn"], "left"),
        (colours["mut1"], "full"),
    ]
    assert [float(line.get_xdata()[0]) for line in marks] == pytest.approx([20.0] * 4)


def test_no_difference_is_drawn_where_nothing_was_learned():
    axes = compared_by_hand({"variant": "gru", "verdict": "nothing learned"}, {"variant": "rnn", "verdict": "open"})
    assert [line for line in axes.lines if line.get_marker() == look("gru").marker] == []
    assert any(text.endswith(f"nothing learned: {words.spoken('gru')}") for text in written(axes))


def test_a_mark_without_an_interval_has_a_line_from_zero():
    axes = compared_by_hand({"variant": "gru", "verdict": "open", "low": np.nan, "high": np.nan})
    assert [0.0, 20.0] in [[float(x) for x in line.get_xdata()] for line in axes.lines]


def test_the_margin_is_a_band_around_zero():
    band = compared_by_hand({"variant": "gru", "verdict": "open"}).patches[0]
    assert (band.get_x(), band.get_width()) == pytest.approx((-10, 20))


def test_bars_are_pale_and_have_errors_where_there_is_room():
    usual = {"task": "adding", "surrogate": "forest", "r2_process": 0.0}
    terms = [("learning_rate", 1, 0.5, 0.04), ("size", 1, 0.2, 0.02), ("rest", 3, 0.2, np.nan)]
    rows = [
        {**usual, "variant": v, "r2_forest": r2, "term": term, "order": order, "share": share, "error": error}
        for v, r2 in (("vanilla", 0.5), ("gru", 0.49))
        for term, order, share, error in terms
    ]
    study = by_hand({}, {"variant": "gru"})
    for trials, text in ((100, [".25 ± .02", ".10"]), (99, [".2 ± .1", ".1"])):  # halves, as R² is .5
        axes = shares.draw(shares.numbers(study, with_score(pd.DataFrame(rows).assign(trials=trials)))).axes[0]
        alphas = {round(bar.get_y() + bar.get_height() / 2): bar.get_alpha() for bar in axes.patches}
        assert alphas == {0: 1.0, 1: 0.35}
        assert [t for t in written(axes) if t.startswith(".")][:2] == text


def runs(variant, *solved):
    """Four runs at lag 16 and at each of its doublings, of which so many solve the task."""
    return [
        {"variant": variant, "lag": 16 * 2**j, "status": "solved" if k < n else "finished"}
        for j, n in enumerate(solved)
        for k in range(4)
    ]


def test_a_horizon_is_a_diamond_with_its_interval_or_a_triangle_to_where_it_may_lie():
    table = by_hand(*runs("vanilla", 4, 2, 0), *runs("gru", 4, 4, 4), *runs("rnn", 1, 0, 0)).table
    study = by_hand({}, {"variant": "gru"}, {"variant": "rnn"})
    axes = memory_horizon.draw(memory_horizon.numbers(study, table)).axes[0]
    assert [line.get_marker() for line in axes.lines if line.get_marker() != "None"] == ["D", ">", "<"]
    ends = [line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata()) == 2]
    half = 1.96 * (0.5 * 0.5 / 3) ** 0.5  # of the runs at lag 32, in doublings around 16 · 2^(1.5 - 0.5)
    assert ends == [pytest.approx([32 * 2**-half, 32 * 2**half])] * 2
