"""What is said about lags, from studies whose numbers are set by hand."""

from __future__ import annotations

from analysis.report.lag_sentences import lag_sentences
from analysis.tables.comparisons import comparisons
from analysis.tables.lags import lag_tables
from tests.analysis.lagged import lagged
from tests.analysis.synthetic import by_hand


def said(solved, points=20, **marked):
    """The sentences on a series; marked: by variant, the lags at which it is said to be better and worse."""
    study = lagged(solved, points)
    tables = lag_tables(study, comparisons(study, swaps=199), resamples=200, swaps=199)
    for variant, lags in marked.items():
        effects = tables["lag_effects"]
        for lag, difference in lags.items():
            row = (effects["variant"] == variant) & (effects["lag"] == lag)
            effects.loc[row, "difference"], effects.loc[row, "significant"] = difference, True
    return lag_sentences(study, tables)


def test_there_are_none_without_a_series():
    study = by_hand({}, {"variant": "gru"})
    assert lag_sentences(study, lag_tables(study, comparisons(study, swaps=19))) == []


def test_a_series_says_who_falls_off_earlier_and_later_with_half_lags():
    text, method = said({"vanilla": (40, 25, 4), "gru": (40, 40, 38), "no_forget_gate": (40, 10, 0)}, points=40)
    assert text.startswith("adding, lags 30, 60 and 120: vanilla solves 100 % of its trials at lag 30; half of that is")
    assert "Falls off earlier than vanilla: no_forget_gate at 4" in text
    assert "Falls off later than vanilla: gru at ≥ 120 [120, ≥ 120]." in text
    assert method.startswith("The half lag is")


def test_a_baseline_above_one_half_has_no_half_lag_of_its_own():
    text = said({"vanilla": (20, 18, 16), "gru": (20, 18, 16)})[0]
    assert "and still more than half as many at lag 120." in text


def test_the_interaction_is_said_in_percentage_points_per_doubling():
    text = said({"vanilla": (20, 19, 18), "no_forget_gate": (20, 10, 0)})[0]
    # vanilla loses 5, no_forget_gate 50 per doubling
    assert "no_forget_gate loses 45 [" in text
    assert "percentage points more per doubling of the lag than vanilla." in text


def test_a_variant_that_loses_less_since_it_has_less_is_said_to():
    text = said({"vanilla": (40, 20, 0), "rnn": (2, 1, 0)}, points=40)[0]
    assert "less per doubling of the lag than vanilla, but it has less to lose (5 % against 100 % at lag 30)." in text
    assert "Without a half lag, since fewer than 10 trials at lag 30 are solved: rnn." in text


def test_differences_of_both_signs_depend_on_the_lag():
    text = said({"vanilla": (10, 10, 10), "gru": (10, 10, 10)}, gru={30: 0.3, 120: -0.3})[0]
    assert "gru depends on the lag: better at 30, worse at 120." in text


def test_nothing_is_said_but_that_where_nothing_was_learned():
    assert (
        said({"vanilla": (0, 0, 0), "gru": (0, 0, 0)})[0]
        == "adding, lags 30, 60 and 120: no trial was solved at any lag."
    )


def test_few_points_conclude_nothing():
    text = said({"vanilla": (9, 6, 0), "gru": (9, 9, 9)}, points=9)[0]
    assert "With 9 points, fewer than 10, nothing is concluded." in text
    assert "per doubling" not in text
