"""What a scorecard says in words is what the intervals allow, and no more."""

import pandas as pd
import pytest

from analysis.scorecard.verdict import headline, verdict
from tests.analysis.scorecard.studies import card, overall, place, quality

OPEN, SOLVED = "open", "everything solved"


def test_open_says_how_large_a_difference_may_be():
    rows = overall(OPEN, 0.02, 0.1), place("adding", OPEN, 0.05, 0.2), place("copying", OPEN, -0.1, 0.2)
    assert headline(card(*rows)) == (
        "Not told apart from the LSTM at N = 20 points: differences of up to 12 percentage points over all tasks "
        "together remain possible."
    )
    assert verdict(card(*rows)) == [
        "At N = 20 points, not told apart from the LSTM on any task, where differences of up to 30 percentage points "
        "remain possible."
    ]


def test_a_difference_has_its_size_and_interval():
    said = headline(card(overall("better", 0.2), place("adding", "better", 0.3), place("copying", OPEN)))
    assert said == "At N = 20 points, easier to train than the LSTM on all tasks together (by 20 [10, 30] points)."


def test_where_tasks_differ_in_sign_nothing_is_said_of_their_mean():
    said = headline(card(overall("better", 0.2), place("adding", "better", 0.3), place("copying", "worse", -0.3)))
    assert said == (
        "At N = 20 points it depends on the task: easier to train than the LSTM on adding two numbers (by 30 [20, 40] "
        "points), harder on copying symbols (by 30 [20, 40] points)."
    )


def test_where_lags_differ_in_sign_it_depends_on_the_lag():
    rows = [
        place("adding_30", "better", 0.3, lag=30, series="adding"),
        place("adding_60", "worse", -0.3, lag=60, series="adding"),
    ]
    mean = {"series": "adding", "variant": "gru", "effect": "mean", "lag": 0, "verdict": OPEN}
    ends = {"difference": 0.0, "low": -0.1, "high": 0.1}
    single = [{**mean, "effect": "lag", "lag": row["lag"], "verdict": row["verdict"]} for row in rows]
    one = card(overall(OPEN), *rows, effects=[{**mean, **ends}, *single])
    assert "depends on the lag: easier to train than the LSTM on adding two numbers at lag 30 (by 30" in headline(one)
    assert "On adding two numbers it depends on the lag: easier at lag 30 and harder at lag 60." in verdict(one)


def test_a_difference_on_one_task_is_not_hidden_by_an_open_mean():
    said = headline(card(overall(OPEN, -0.02), place("adding", OPEN), place("copying", "worse", -0.3)))
    assert said == (
        "Not told apart from the LSTM at N = 20 points over all tasks together, but harder to train on copying symbols "
        "(by 30 [20, 40] points)."
    )


def test_a_difference_on_one_task_is_not_hidden_by_a_mean_that_is_the_same():
    said = headline(card(overall("same", -0.02), place("adding", OPEN), place("copying", "worse", -0.3)))
    assert said == (
        "At N = 20 points, as easy to train as the LSTM on all tasks together, within 10 percentage points, but harder "
        "on copying symbols (by 30 [20, 40] points)."
    )


def test_a_mean_that_is_close_because_both_fail_says_so():
    rows = place("adding", "same"), place("copying", "hardly solved"), place("parity", SOLVED)
    assert headline(card(overall("same"), *rows)).endswith(
        "within 10 percentage points (on 2 of 3 tasks both fail or both solve everything)."
    )


def test_a_mean_that_only_tasks_without_an_answer_make_close_is_no_equality():
    rows = place("adding", OPEN, 0.05, 0.19), place("copying", "hardly solved"), place("parity", SOLVED)
    assert headline(card(overall("same"), *rows)) == (
        "Not told apart from the LSTM at N = 20 points: differences of up to 24 percentage points on adding two "
        "numbers remain possible (on 2 of 3 tasks both fail or both solve everything)."
    )


def test_a_difference_that_is_told_apart_is_not_what_remains_possible():
    rows = place("adding", "same"), place("copying", "worse", -0.3), place("parity", SOLVED)
    said = headline(card(overall("same"), *rows))
    assert "remain possible" not in said
    assert ", but harder on copying symbols" in said


def test_quality_counts_tasks_and_names_them():
    one = card(
        overall(OPEN),
        place("adding", OPEN, **quality("worse", -0.4)),
        place("copying", OPEN, **quality(SOLVED)),
        place("parity", OPEN, **quality(OPEN, 0.0, 0.25)),
    )
    assert headline(one).endswith(
        "after tuning worse than the LSTM on 1, not told apart on 1, both solve 1 of 3 tasks."
    )
    assert verdict(one)[-1] == (
        "After tuning (the best of 20 trials), worse than the LSTM on adding two numbers (by 0.40 [0.30, 0.50]); not "
        "told apart from the LSTM on parity of bits, where differences of up to 0.25 in the score remain possible; "
        "both solve copying symbols."
    )


def test_losses_keep_their_unit():
    columns = {"solvable": False, "unit": "nats per step", **quality(OPEN, -0.05, 0.1)}
    one = card(place("chorales", None, **columns))
    assert headline(one) == (
        "At N = 20 points, after tuning not told apart from the LSTM: differences of up to 0.15 nats per step remain "
        "possible."
    )


def test_nothing_is_concluded_from_few_points():
    assert headline(card(place("adding", "better", 0.4, points=9))) == (
        "At N = 9, fewer than 10 points, nothing is concluded."
    )


def test_what_nobody_learns_is_no_tie():
    one = card(overall(OPEN), place("adding", "nothing learned"), place("copying", "nothing learned"))
    assert headline(one) == "At N = 20 points, neither learns any task."
    assert "not told apart" not in " ".join(verdict(one))


def test_the_baseline_is_not_compared_with_itself():
    one = card(place("adding", None, rank_low=1, rank_high=3), variant="vanilla")
    assert headline(one) == (
        "This is the baseline, with which 3 other cells are compared: it solves 50 % of its points on adding two "
        "numbers, place 2 of 4 (95 % interval 1 to 3)."
    )


def test_the_baseline_has_its_loss_on_each_task_where_none_can_be_solved():
    tasks = {"chorales": ("nats per step", 8.54, 5), "digits_permuted": ("nats", 0.513, 9), "tones": ("nats", 1.0, 2)}
    rows = [
        place(task, None, solvable=False, unit=unit, value=value, rank=rank, variants=2)
        for task, (unit, value, rank) in tasks.items()
    ]
    assert headline(card(*rows[:2], variant="vanilla")) == (
        "This is the baseline, with which 1 other cell is compared: the test loss of its best decile is 8.54 nats per "
        "step on Bach's chorales, place 5 of 2; the test loss of its best decile is 0.513 nats on handwritten digits, "
        "pixels permuted, place 9 of 2."
    )
    assert headline(card(*rows, rows[0], variant="vanilla")).endswith("; 1 more task below.")


def test_a_baseline_alone_is_compared_with_nothing():
    one = card(place("adding", None, variants=1, rank=1), variant="vanilla")
    assert headline(one).startswith(
        "This is the baseline, and no other cell is there to compare it with: it solves 50 %"
    )


def test_tasks_that_nobody_learns_are_counted_beside_those_that_both_solve():
    one = card(
        overall("same"),
        place("adding", SOLVED, **quality(SOLVED)),
        place("copying", "hardly solved", **quality("nothing learned")),
    )
    assert headline(one) == (
        "At N = 20 points, both solve everything on adding two numbers and hardly any trial is solved by either on "
        "copying symbols; after tuning both solve 1, neither learns 1 of 2 tasks."
    )


def test_what_is_said_of_a_mean_over_lags_says_that_it_is_one():
    mean = {"series": "adding", "variant": "gru", "effect": "mean", "lag": 0, "verdict": OPEN}
    effects = [{**mean, "difference": 0.0, "low": -0.1, "high": 0.1}]
    rows = place("adding_30", OPEN, lag=30, series="adding"), place("adding_60", OPEN, lag=60, series="adding")
    said = verdict(card(overall(OPEN), *rows, effects=effects))
    assert said[0].startswith("At N = 20 points, as a mean over the lags, not told apart from the LSTM")


@pytest.mark.parametrize(("p", "chance"), [(0.03, True), (0.01, False)])
def test_a_difference_on_one_of_several_tasks_says_where_it_may_be_chance(p, chance):
    compared = pd.DataFrame({"task": ["adding", "copying"], "endpoint": "solve_rate", "p": [1.0, p]})
    for mean in (OPEN, "same"):
        one = card(overall(mean), place("adding", OPEN), place("copying", "worse", -0.3), compared=compared)
        assert (", which among 2 tasks may be chance" in headline(one)) == chance


def test_it_depends_on_the_task_only_where_both_signs_are_beyond_chance():
    rows = overall(OPEN), place("adding", "better", 0.3), place("copying", "worse", -0.3)
    for p, said in ((0.03, "it may depend on the task"), (0.01, "it depends on the task")):
        one = card(
            *rows, compared=pd.DataFrame({"task": ["adding", "copying"], "endpoint": "solve_rate", "p": [0.01, p]})
        )
        assert said in headline(one)
        assert said in verdict(one)[0]
