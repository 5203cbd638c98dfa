"""The words of a page of findings write numbers that were computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.findings.guards import VERIFIED
from analysis.findings.results import Results
from analysis.findings.vocabulary import LATER, Vocabulary
from tests.analysis import factored
from tests.analysis.lagged import lagged
from tests.analysis.synthetic import by_hand


@pytest.fixture(scope="module")
def words():
    """At lags 30, 60 and 120 the plain network solves 16, 8 and 0 of 20 trials, the LSTM 16, the GRU 16, 16 and 14."""
    solved = {"vanilla": (16, 16, 16), "rnn": (16, 8, 0), "gru": (16, 16, 14)}
    seconds = {"seconds": dict.fromkeys(solved, 90.0)}
    results = {"one": Results(lagged(solved, **seconds)), "two": Results(lagged({"vanilla": (5, 5, 5)}, points=10))}
    return Vocabulary(("one", "two"), results.__getitem__)


def test_trials_are_counted_in_a_study_in_all_and_by_status(words):
    assert (words.trials("one"), words.trials("two"), words.trials()) == ("180", "30", "210")
    assert words.trials("one", status="solved") == "118"  # 3 · 16 + 24 + 46
    assert words.trials(status="diverged") == "0"


def test_facts_of_a_study(words):
    assert (words.variants("one"), words.tasks("one"), words.points("one")) == ("3", "1", "20")
    assert words.lags("one", "adding") == "30, 60 and 120"
    assert (words.shortest("one", "adding"), words.longest("one", "adding")) == ("30", "120")
    assert words.hours("one") == "4.5"  # 180 trials of 90 s


def test_points_that_differ_between_pairs_are_a_range():
    study = by_hand(*({"variant": v, "task": "adding"} for v in ("vanilla", "vanilla", "rnn")))
    assert Vocabulary(("x",), lambda name: Results(study)).points("x") == "1 to 2"


def test_rates_are_shares_of_the_trials(words):
    assert words.rate("one", "adding_60", "rnn") == "40 %"
    assert words.solved("one", "adding_60", "rnn") == "8 of 20"
    assert words.rate_over_lags("one", "adding", "rnn") == "40 %"  # (.8 + .4 + 0) / 3


def test_a_difference_has_its_interval_and_its_direction_is_left_to_the_prose(words):
    text = words.difference("one", "adding_120", "rnn")
    assert text.startswith("80 [")
    assert text.endswith("] percentage points")
    assert words.difference("one", "adding_120", "rnn", signed=True).startswith("−80 [−")
    row = words._read("one").compared.set_index(["task", "variant", "endpoint"]).loc["adding_120", "rnn", "solve_rate"]
    low, high = (round(-100 * row[end]) for end in ("high", "low"))
    assert text == f"80 [{low}, {high}] percentage points"


def test_an_interval_around_zero_keeps_its_signs(words):
    text = words.difference("one", "adding_120", "gru")  # 70 against 80 %
    assert text.startswith("10 [−")


def test_a_change_per_doubling_and_a_mean_over_lags(words):
    assert words.per_doubling("one", "adding", "rnn").startswith("40 [")  # 80 points over two doublings
    assert words.over_lags("one", "adding", "rnn").startswith("40 [")  # 40 against 80 %


def test_a_half_lag_is_that_of_the_table(words):
    assert words.half_lag("one", "adding", "rnn").startswith("60 [")  # half of .8 is left at lag 60
    assert words.half_lag("one", "adding", "vanilla").startswith("≥ 120")


def test_prose_that_an_archive_contradicts_is_refused(words):
    assert words.difference("one", "adding_120", "rnn", says="worse")
    with pytest.raises(ValueError, match=r"the prose says 'better', the archive 'worse': rnn on adding_120 in one"):
        words.difference("one", "adding_120", "rnn", says="better")
    with pytest.raises(ValueError, match="the prose says 'same', the archive 'worse': rnn on adding in one"):
        words.over_lags("one", "adding", "rnn", says="same")
    with pytest.raises(ValueError, match="the prose says 'better', the archive 'worse'"):
        words.per_doubling("one", "adding", "rnn", says="better")


def test_what_the_prose_says_without_a_number_is_verified(words):
    assert words.verify("one", "worse", "rnn", "adding_120", "adding") == VERIFIED
    assert words.verify("one", "open|same", "gru", "adding_30", "adding_120") == VERIFIED
    with pytest.raises(ValueError, match=r"the prose says 'open\|same', the archive 'worse': rnn on adding_120 in one"):
        words.verify("one", "open|same", "rnn", "adding_30", "adding_120")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda w: w.rate("one", "adding_31", "rnn"), "one: 0 rows with adding_31, rnn; there must be one"),
        (lambda w: w.rate("one", "adding_30", "irnn"), "one: 0 rows with adding_30, irnn"),
        (lambda w: w.lags("one", "copying"), "one has no series 'copying'; it has adding"),
    ],
)
def test_a_name_that_is_not_there_is_an_error(words, call, error):
    with pytest.raises(ValueError, match=error):
        call(words)


def test_tables_have_a_row_for_each_variant_and_mark_what_is_told_apart(words):
    assert words.rates_table("one", "adding").splitlines() == [
        "| variant | `adding` 30 | `adding` 60 | `adding` 120 |",
        "| --- | --- | --- | --- |",
        "| `vanilla` | 80 % | 80 % | 80 % |",
        "| `rnn` | 80 % | **40 %** | **0 %** |",
        "| `gru` | 80 % | 80 % | 70 % |",
    ]
    assert words.half_lags_table("one").splitlines()[3].startswith("| `rnn` | **60 [")


def test_losses_are_those_of_the_best_decile_and_of_the_lowest_validation_loss():
    rng = np.random.default_rng(0)
    facts = {"task": "adding", "solved_loss": np.nan, "reference": 0.5, "floor": 1.0, "unit": "nats"}
    rows = [
        {"variant": variant, "validation_loss": 0.6 + k / 100, "test_loss": best + k / 100, **facts}
        for variant, best in (("vanilla", 0.7), ("gru", 0.9))
        for k in rng.permutation(20)
    ]
    words = Vocabulary(("x",), lambda name: Results(by_hand(*rows)))
    assert words.loss("x", "adding", "gru") == "0.905"  # the mean of .90 and .91
    assert words.lowest_loss("x", "adding", "gru") == "0.900"
    assert (words.floor("x", "adding"), words.reference("x", "adding")) == ("1.00", "0.500")
    assert words.difference("x", "adding", "gru", signed=True).startswith("+0.20 [")
    assert words.losses_table("x", "adding").count("\n") == 3


def test_a_quick_vocabulary_leaves_out_what_needs_resampling_and_computes_nothing_of_it(words):
    quick = Vocabulary(("one",), words._read, quick=True)
    fresh = {"one": Results(words._read("one").study)}
    quick._read = fresh.__getitem__
    assert quick.rate("one", "adding_60", "rnn") == "40 %"
    assert quick.difference("one", "adding_60", "rnn", says="wrong") == LATER
    assert quick.functions()["claims_table"]() == quick.half_lag("one", "adding", "rnn") == LATER
    assert f"| `rnn` | {LATER}80 %{LATER} |" in quick.rates_table("one", "adding")
    assert not {"compared", "by_lag", "claims", "shares"} & set(vars(fresh["one"]))


def test_every_public_method_is_a_word_of_the_template(words):
    assert {"rate", "difference", "half_lag", "trials", "hours", "verdict"} <= set(words.functions())
    assert not any(name.startswith("_") or name in ("functions", "quick") for name in words.functions())


@pytest.mark.parametrize(
    ("number", "text"), [("0", "no"), ("3", "three"), ("12", "twelve"), ("13", "13"), ("1,080", "1,080")]
)
def test_small_numbers_are_written_in_letters(words, number, text):
    assert words.numeral(number) == text


def test_the_largest_open_difference(words):
    rows = words._read("one").compared
    rows = rows[(rows["task"] == "adding_120") & (rows["endpoint"] == "solve_rate") & (rows["verdict"] == "open")]
    assert isinstance(rows, pd.DataFrame)
    largest = round(100 * max(-float(rows["low"].min()), float(rows["high"].max())))
    assert words.open_at_most("one", "adding_120") == f"{largest} percentage points"


# Effects
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def factored_words():
    study = factored.study({"input_gate": 2.0}, {("forget_gate", "output_activation"): -2.0}, points=40)
    return Vocabulary(("parts",), {"parts": Results(study)}.__getitem__)


def test_an_effect_is_written_with_its_interval_and_refused_where_the_prose_says_another_thing(factored_words):
    text = factored_words.effect("parts", "adding", "input_gate", says="better")
    row = factored_words._read("parts").effects.query("effect == 'input_gate' and endpoint == 'solve_rate'").iloc[0]
    assert text.startswith(f"{100 * row['difference']:.0f} [")
    with pytest.raises(ValueError, match="the prose says 'worse'"):
        factored_words.effect("parts", "adding", "input_gate", says="worse")


def test_a_pair_is_written_as_what_its_first_part_is_worth_at_both_levels_of_the_other(factored_words):
    rows = factored_words._read("parts").effects
    row = rows.query("effect == 'forget_gate x output_activation' and endpoint == 'solve_rate'").iloc[0]
    text = factored_words.effect_by_other("parts", "adding", "forget_gate x output_activation")
    ends = [f"{100 * row[name]:+.0f}".replace("-", "−") for name in ("where_plus", "where_minus")]
    assert text == f"{ends[0]} and {ends[1]} percentage points"


def test_effects_are_verified_on_every_task_or_on_one(factored_words):
    assert factored_words.verify_effects("parts", "better", "input_gate", task="adding")
    with pytest.raises(ValueError, match="the archive 'better'"):
        factored_words.verify_effects("parts", "open", "input_gate")
    with pytest.raises(ValueError, match="no effect nothing"):
        factored_words.verify_effects("parts", "open", "nothing")


def test_a_table_of_effects_has_a_row_for_each_part_and_shows_which_are_told_apart(factored_words):
    lines = factored_words.effects_table("parts").splitlines()
    assert lines[0].startswith("| part | adding two numbers")
    own = next(line for line in lines if line.startswith("| input gate |"))
    row = factored_words._read("parts").effects.query("effect == 'input_gate' and endpoint == 'solve_rate'").iloc[0]
    assert row["significant"]
    assert own.split(" | ")[1].startswith(f"**+{100 * row['difference']:.0f} [")
    assert len(lines) == 2 + len(factored_words._read("parts").study.design.factors.levels)


def test_pairs_that_are_told_apart_are_counted(factored_words):
    rows = factored_words._read("parts").effects.query("kind == 'pair' and endpoint == 'solve_rate'")
    assert rows["significant"].any()
    assert factored_words.pairs_told_apart("parts") == f"{int(rows['significant'].sum())} of {len(rows)}"
