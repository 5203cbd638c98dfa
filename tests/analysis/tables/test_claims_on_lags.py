"""Rules that hold a claim against lags, against single tasks, against an order of variants, and against halves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.tables import claim_rules as rules
from analysis.tables.claim_contrasts import depends_on_the_task, in_order, somewhere_better
from analysis.tables.claim_lags import at_longest_lag, falls_faster, on_series, remembers_long, with_lags
from analysis.tables.claim_shares import separate
from analysis.tables.claims import held_against
from analysis.tables.comparisons import comparisons
from analysis.tables.halves import halves, harms, helps
from analysis.tables.importance import COLUMNS
from analysis.tables.lags import lag_tables
from tests.analysis.lagged import lagged
from tests.analysis.synthetic import by_hand
from tests.analysis.tables.test_claims import NONE, compared, explained

SHARES = pd.DataFrame(columns=COLUMNS["shares"])


def rows_of(study):
    found = comparisons(study, swaps=199)
    return with_lags(study, found, lag_tables(study, found, resamples=99, swaps=199))


def verdict(test, rows, baseline="vanilla"):
    return test(rows, SHARES, baseline).verdict


# Lags
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fading():
    """The plain network keeps up at lag 30 and solves nothing at lag 120; the others rise."""
    return rows_of(lagged({"vanilla": (12, 14, 16), "rnn": (16, 8, 0), "gru": (12, 16, 20)}))


def test_a_claim_about_long_lags_reads_the_longest_lag_of_a_series_only(fading):
    assert verdict(at_longest_lag(rules.worse("rnn")), fading) == rules.AGREES
    assert set(fading.loc[fading["longest"], "task"]) == {"adding_120"}
    assert verdict(rules.worse("rnn"), fading) == rules.MIXED


def test_a_task_at_one_lag_has_no_longest_lag():
    study = by_hand(*({"variant": v, "task": "adding"} for v in ("vanilla", "rnn")))
    rows = with_lags(study, comparisons(study, swaps=49), {})
    assert verdict(at_longest_lag(rules.worse("rnn")), rows) == rules.UNTESTED


def test_a_variant_that_loses_more_per_doubling_falls_faster(fading):
    assert verdict(falls_faster("rnn"), fading) == rules.AGREES
    found = falls_faster("rnn")(fading, SHARES, "vanilla")
    # .8 + .2 over two doublings
    assert found.evidence == "rnn on adding per doubling of the lag: worse by 50 percentage points"
    assert verdict(falls_faster("gru"), fading) != rules.AGREES


def test_a_variant_with_nothing_to_lose_does_not_count_as_falling_slower():
    rows = rows_of(lagged({"vanilla": (20, 10, 0), "rnn": (9, 5, 0)}))
    assert verdict(falls_faster("rnn"), rows) == "not answered here: hardly anything was solved"


def test_slopes_answer_no_claim_about_single_lags(fading):
    rows = fading[fading["effect"] == "slope"]
    assert verdict(rules.worse("rnn"), rows) == rules.UNTESTED


@pytest.mark.parametrize(
    ("solved", "expected"),
    [((18, 18, 17), rules.AGREES), ((18, 9, 1), rules.DISAGREES), ((10, 8, 6), rules.UNDECIDED)],
)
def test_to_remember_long_is_to_keep_more_than_half_of_the_solve_rate(solved, expected):
    assert verdict(remembers_long(), rows_of(lagged({"vanilla": solved, "rnn": (1, 0, 0)}))) == expected


def test_without_tables_of_lags_no_claim_about_a_change_is_answered():
    study = lagged({"vanilla": (16, 16, 16), "rnn": (16, 8, 0)})
    found = comparisons(study, swaps=199)
    without, whole = (
        held_against(study, found, SHARES, tables).set_index("claim")["verdict"]
        for tables in (None, lag_tables(study, found, resamples=99, swaps=199))
    )
    text = "As the gap grows, the plain network falls behind."
    assert (without[text], whole[text]) == (rules.UNTESTED, rules.AGREES)


def test_a_claim_about_some_tasks_reads_these_only():
    rows = compared(("gru", "adding", -0.3), ("gru", "chorales", 0.3))
    for others, expected in ((False, rules.DISAGREES), (True, rules.AGREES)):
        assert verdict(on_series(rules.worse("gru"), "chorales", others=others), rows) == expected


# Orders and signs
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (-0.5, 0.0, rules.AGREES),  # intervals of ± .15 apart
        (-0.3, 0.0, rules.UNDECIDED),  # they touch
        (0.0, -0.5, rules.DISAGREES),
    ],
)
def test_a_variant_is_worse_than_another_where_their_intervals_lie_apart(first, second, expected):
    rows = compared(("no_forget_gate", "adding", first), ("no_input_gate", "adding", second))
    assert verdict(in_order("no_forget_gate", "no_input_gate"), rows) == expected


def test_an_order_holds_where_each_step_holds_and_needs_all_of_its_variants():
    rows = compared(("rnn", "adding", -0.9), ("gru", "adding", -0.5), ("irnn", "adding", -0.4))
    assert verdict(in_order("rnn", "gru", "irnn"), rows) == rules.MIXED
    assert verdict(in_order("rnn", "gru"), rows) == rules.AGREES
    assert verdict(in_order("rnn", "gru", "peephole"), rows) == rules.UNTESTED


def test_a_difference_between_two_variants_is_no_larger_than_the_span():
    rows = compared(("rnn", "adding", -0.9), ("gru", "adding", 0.0), half=0.5)
    assert "at most 100 percentage points worse and 10 " in in_order("rnn", "gru")(rows, SHARES, "vanilla").evidence


@pytest.mark.parametrize(
    ("differences", "depends", "somewhere"),
    [
        ((0.3, -0.3), rules.AGREES, rules.AGREES),
        ((0.3, 0.3), rules.DISAGREES, rules.AGREES),
        ((-0.3, -0.3), rules.DISAGREES, rules.DISAGREES),
        ((0.3, 0.0), rules.UNDECIDED, rules.AGREES),
        ((-0.3, 0.0), rules.UNDECIDED, rules.UNDECIDED),
    ],
)
def test_signs_on_two_tasks(differences, depends, somewhere):
    rows = compared(*(("gru", task, d) for task, d in zip(("adding", "copying"), differences, strict=True)))
    assert verdict(depends_on_the_task("gru"), rows) == depends
    assert verdict(somewhere_better("gru"), rows) == somewhere


# Halves of a hyperparameter's range
# ----------------------------------------------------------------------------------------------------------------------


def halved(upper, lower, points=20, **columns):
    """Trials of the LSTM with this many solved of the upper and of the lower half of the keep bias."""
    rows = [
        {"variant": "vanilla", "task": "adding", "keep_bias": 5 * u, "u_keep_bias": u, **columns}
        | {"status": "solved" if k < solved else "finished", "solved_step": 100.0 if k < solved else None}
        for u, solved in ((0.75, upper), (0.25, lower))
        for k in range(points)
    ]
    space = {"keep_bias": {"low": 0.0, "high": 5.0, "log": False, "integer": False}}
    return by_hand(*rows, space=space)


@pytest.mark.parametrize(
    ("upper", "lower", "more", "less"),
    [
        (18, 6, rules.AGREES, rules.DISAGREES),
        (6, 18, rules.DISAGREES, rules.AGREES),
        (11, 10, rules.UNDECIDED, rules.UNDECIDED),
        (20, 20, "not answered here: everything was solved", "not answered here: everything was solved"),
    ],
)
def test_a_hyperparameter_helps_where_its_upper_half_solves_more(upper, lower, more, less):
    rows = pd.DataFrame(halves(halved(upper, lower), set()))
    assert verdict(helps("keep_bias"), rows) == more
    assert verdict(harms("keep_bias"), rows) == less
    assert verdict(helps("size"), rows) == rules.UNTESTED


def test_the_interval_between_two_halves_is_that_of_newcombe():
    (row,) = halves(halved(18, 6), {"adding"})
    # Wilson: 18 of 20 [.6990, .9721], 6 of 20 [.1455, .5190]; .6 - √(.2010² + .2190²), .6 + √(.0721² + .1545²)
    assert (row["value"], row["reference"], row["difference"]) == pytest.approx((0.9, 0.3, 0.6))
    assert (row["low"], row["high"]) == pytest.approx((0.3027, 0.7705), abs=2e-4)
    assert row["longest"]
    assert row["variant"] == "upper half of keep_bias"


def test_a_half_with_fewer_than_ten_trials_has_no_interval():
    (row,) = halves(halved(5, 2, points=9), set())
    assert np.isnan(row["low"])


def test_a_larger_test_loss_in_the_upper_half_is_worse():
    rng = np.random.default_rng(0)
    rows = [
        {"variant": "vanilla", "task": "adding", "input_noise": u, "u_input_noise": u, "test_loss": loss}
        | {"solved_loss": np.nan, "reference": 0.1, "floor": 1.0}
        for u, middle in ((0.9, 0.8), (0.1, 0.4))
        for loss in middle + 0.05 * rng.standard_normal(15)
    ]
    space = {"input_noise": {"low": 0.0, "high": 1.0, "log": False, "integer": False}}
    found = pd.DataFrame(halves(by_hand(*rows, space=space), set()))
    assert found["difference"].item() == pytest.approx(0.4, abs=0.05)
    assert verdict(harms("input_noise"), found) == rules.AGREES


def test_two_hyperparameters_are_separate_where_their_pair_explains_little():
    for share, expected in ((0.01, rules.AGREES), (0.2, rules.DISAGREES)):
        shares = explained(**{"learning_rate × size": share})
        assert separate("size", "learning_rate")(NONE, shares, "vanilla").verdict == expected
    few = explained(**{"learning_rate × size": 0.01}, trials=199, r2=0.59)
    assert separate("size", "learning_rate")(NONE, few, "vanilla").needed == 200


# Chance over several tasks, and floors
# ----------------------------------------------------------------------------------------------------------------------

TASKS = ("adding", "copying", "parity", "delayed_recall")


@pytest.mark.parametrize(
    ("p", "worse", "better"), [(0.03, rules.UNDECIDED, rules.UNDECIDED), (0.01, "agrees in part", "disagrees")]
)
def test_one_of_four_tasks_decides_a_claim_only_beyond_chance_over_all_of_them(p, worse, better):
    rows = compared(("rnn", "adding", -0.3), *(("rnn", task, 0.0) for task in TASKS[1:])).assign(p=[p, 1, 1, 1])
    found = rules.worse("rnn")(rows, SHARES, "vanilla")
    assert found.verdict == worse
    assert ("among 4 tasks one may differ so by chance" in found.evidence) == (p == 0.03)
    assert found.evidence.startswith("upheld by 1 of 4 comparisons: ") == (p == 0.01)
    for denied in (rules.not_worse, rules.no_different):
        assert verdict(denied("rnn"), rows) == better
    upside = rows.assign(difference=-rows["difference"], low=-rows["high"], high=-rows["low"])
    upside = upside.assign(verdict=rows["verdict"].replace("worse", "better"))
    assert verdict(somewhere_better("rnn"), upside) == (rules.AGREES if p == 0.01 else rules.UNDECIDED)


def test_a_claim_that_every_task_upholds_needs_no_allowance_for_chance():
    rows = compared(*(("rnn", task, -0.3) for task in TASKS)).assign(p=0.04)
    assert verdict(rules.worse("rnn"), rows) == rules.AGREES


def test_a_difference_within_chance_says_with_how_many_points_it_would_be_beyond():
    rows = compared(("rnn", "adding", -0.3), ("rnn", "copying", -0.3)).assign(p=[0.03, 0.01])
    needed = rules.worse("rnn")(rows.assign(verdict=["worse", "open"]), SHARES, "vanilla").needed
    assert needed == 54  # 50 (2.241 / 2.170)² = 53.3 of the first: the quantiles of p = .025 and p = .03, two-sided


def test_a_cell_on_the_floor_does_not_fall_slower_and_one_beside_it_not_faster():
    sinking = rows_of(lagged({"vanilla": (20, 18, 12), "rnn": (10, 0, 0)}))
    assert (
        verdict(falls_faster("rnn"), sinking)
        == "not answered here: at the longest lag hardly anything was left to lose"
    )
    sunk = rows_of(lagged({"vanilla": (10, 0, 0), "rnn": (20, 18, 0)}))
    assert (
        verdict(falls_faster("rnn"), sunk) == "not answered here: at the longest lag hardly anything was left to lose"
    )


def test_one_task_does_not_show_that_nothing_depends_on_the_task():
    one = compared(("gru", "adding_30", 0.3), ("gru", "adding_120", 0.3))
    assert verdict(depends_on_the_task("gru"), one) == rules.UNDECIDED
    lag = compared(("gru", "adding_30", 0.3), ("gru", "adding_120", -0.3))
    assert verdict(depends_on_the_task("gru"), lag) == rules.ON_LAG


def test_everything_at_one_lag_and_nothing_at_another_is_no_equality():
    study = lagged({"vanilla": (20, 0), "rnn": (20, 0)}, lags=(30, 60))
    effects = lag_tables(study, comparisons(study, swaps=49))["lag_effects"]
    assert effects.loc[effects["effect"] == "mean", "verdict"].tolist() == ["open"]


def test_intervals_of_halves_hold_for_all_tasks_together():
    one = halved(18, 6)
    parts = [one.table.assign(task=task, series=task) for task in TASKS]
    many = one.with_trials(pd.concat(parts, ignore_index=True))
    (alone,), rows = halves(one, set()), list(halves(many, set()))
    assert len(rows) == len(TASKS)
    assert all(row["low"] < alone["low"] - 0.05 for row in rows)
