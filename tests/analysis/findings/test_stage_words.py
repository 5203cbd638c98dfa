"""The words about the stages after a search write counts and horizons that were made by hand."""

from __future__ import annotations

import pytest

from analysis.findings.results import Results
from analysis.findings.vocabulary import LATER, Vocabulary
from tests.analysis.synthetic import by_hand

BLOCKS = 10
FRESH = {("adding_30", "vanilla"): 3, ("adding_60", "vanilla"): 0, ("adding_30", "rnn"): 10, ("adding_60", "rnn"): 1}
RUNS = {15: 4, 30: 4, 60: 2, 120: 0}  # solved of 4


@pytest.fixture(scope="module")
def study():
    """A study of two lags with its stages; a repeat of the best configuration is no winner."""
    pairs = list(FRESH)
    search = [{"task": t, "variant": v, "point": p, "lag": int(t[7:])} for t, v in pairs for p in range(50)]
    winners = [
        {
            "stage": "confirm",
            "task": t,
            "variant": v,
            "block": b,
            "score": 1.0 if b < FRESH[t, v] else 0.1,
            "status": "solved" if b < FRESH[t, v] else "finished",
        }
        for t, v in pairs
        for b in range(BLOCKS)
    ]
    repeats = [{"stage": "confirm", "task": t, "variant": v, "block": -1, "status": "solved"} for t, v in pairs]
    runs = [
        {"stage": "horizon", "task": "adding_30", "lag": lag, "status": "solved" if k < solved else "finished"}
        for lag, solved in RUNS.items()
        for k in range(4)
    ]
    knobs = {"blocks": BLOCKS, "block_size": 5, "repeats": 1}
    stages = {"confirm": {"points": 50, "knobs": knobs}}
    levels = {"adding": ["adding_30", "adding_60"]}
    return by_hand(*search, *winners, *repeats, *runs, points=50, stages=stages, levels=levels)


def words_of(study, **options):
    return Vocabulary(("one",), lambda name: Results(study), **options).functions()


@pytest.fixture(scope="module")
def words(study):
    return words_of(study)


def test_winners_are_counted_by_variant_and_task_over_its_lags(words):
    assert (words["replicates"]("one"), words["searched"]("one")) == ("10", "5")
    assert words["fresh"]("one", "vanilla") == words["fresh"]("one", "vanilla", "adding") == "3 of 20"
    assert words["fresh"]("one", "rnn") == "11 of 20"


def test_a_table_of_winners_has_a_column_for_each_task_and_one_for_all(words):
    lines = words["fresh_table"]("one").splitlines()
    assert lines[0] == "| variant | `adding` | all |"
    assert [line.split(" | ")[1:] for line in lines[2:]] == [["3 of 20", "3 of 20 |"], ["11 of 20", "11 of 20 |"]]


def test_told_apart_is_where_the_replicates_say_so(words):
    assert words["fresh_told_apart"]("one", "rnn", "better") == "`adding_30`"
    assert words["fresh_told_apart"]("one", "rnn", "worse") == "no task"


def test_a_horizon_is_where_half_of_the_runs_solve_the_task(words):
    text = words["horizon"]("one", "adding_30", "vanilla")
    assert text.startswith("60 [")
    assert words["horizons_table"]("one").splitlines()[2] == f"| `vanilla` | {text} |"
    with pytest.raises(ValueError, match="one: no horizon of rnn on adding_30"):
        words["horizon"]("one", "adding_30", "rnn")


def test_a_stage_that_was_not_run_is_refused():
    plain = words_of(by_hand({"variant": "vanilla"}))
    with pytest.raises(ValueError, match=r"stage confirm of study .synthetic. has no trial in the archive"):
        plain["fresh"]("one", "vanilla")
    with pytest.raises(ValueError, match=r"stage horizon of study .synthetic. has no trial in the archive"):
        plain["horizons_table"]("one")


def test_counts_need_no_resampling_and_tests_do(study):
    quick = words_of(study, quick=True)
    assert quick["fresh"]("one", "rnn") == "11 of 20"
    assert quick["fresh_told_apart"]("one", "rnn", "better") == LATER


def test_trials_and_hours_are_those_of_all_stages(words, study):
    assert words["trials"]("one") == str(4 * 50 + 4 * BLOCKS + 4 + 16) == str(len(study.every))
