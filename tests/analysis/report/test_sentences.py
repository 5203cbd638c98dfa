"""Every sentence of a study as a whole, from numbers that are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.report.change_sentences import change_sentences
from analysis.report.sentences import verdicts
from analysis.report.stage_sentences import confirmed_sentences, horizon_sentences
from analysis.statistics.endpoints import ENDPOINTS
from analysis.tables.comparisons import COLUMNS
from analysis.tables.stages import HORIZONS
from analysis.tables.two_studies import ADVANTAGE, CHANGE, TwoStudies
from tests.analysis.synthetic import by_hand

METHOD = (
    "Intervals and p-values hold for all variants together, for each task and each question separately; a "
    "difference is told apart where its interval excludes zero, which is where p is at most .05. The best trials "
    "are those that solved the task in the fewest steps, then those with the lowest validation loss. Welch's test "
    "on the best deciles, as in Greff et al. 2017, would have marked as different from vanilla: {}. It marks equal "
    "variants too, several times as often as its 5 %, and decides nothing here."
)


def compared(*rows, **facts):
    """Comparisons with the columns given, of `gru` on adding by the solve rate unless they say otherwise."""
    usual = {"task": "adding", "series": "adding", "variant": "gru", "baseline": "vanilla", "endpoint": "solve_rate"}
    usual |= {"question": "ease", "primary": True, "verdict": "open", "needed": 90.0, "span": 1.0, "points": 30}
    usual |= {"value": 0.7, "reference": 0.52, "difference": 0.18, "low": -0.05, "high": 0.41, "p": 0.034}
    usual |= {"greff_welch_p": 0.5}
    full = [{**usual, **facts, **row} for row in rows]
    full = [{**row, "significant": row["verdict"] in ("better", "worse")} for row in full]
    full = [{"unit": ENDPOINTS[row["endpoint"]].unit, **row} for row in full]
    return pd.DataFrame(full, columns=COLUMNS)


STEPS = {"endpoint": "restricted_steps", "question": "", "primary": False, "span": 2000.0, "reference": 1250.0}
QUALITY = {"endpoint": "expected_best_20", "question": "quality", "reference": 0.412}


def solved(rate, variants=("vanilla", "gru"), tasks=("adding",), **columns):
    """A study of a hundred trials of each variant on each task, of which so many percent solve it."""
    trials = [{"status": "solved" if k < rate else "finished", **columns} for k in range(100)]
    return by_hand(*({**trial, "variant": v, "task": t} for t in tasks for v in variants for trial in trials))


EASE = "adding. Ease: vanilla solves the task at 52 % of its points. "


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"verdict": "better", "low": 0.05, "high": 0.31},
            "Better than vanilla: gru by 18 percentage points (95 % interval 5 to 31 percentage points, p = .034). "
            "30 points tell 13 percentage points apart; 10 would need about 51.",
        ),
        (
            {"verdict": "worse", "low": -0.31, "high": -0.05, "difference": -0.18, "p": 0.0004},
            "Worse than vanilla: gru by 18 percentage points (95 % interval 5 to 31 percentage points, p < .001). "
            "30 points tell 13 percentage points apart; 10 would need about 51.",
        ),
        (
            {"low": -0.05, "high": 0.41},
            "Not told apart from it, with the largest difference that the data leave possible: gru (41 percentage "
            "points). 30 points tell 23 percentage points apart; 10 would need about 160.",
        ),
        (
            {"low": -0.41, "high": 0.05, "difference": -0.18},
            "Not told apart from it, with the largest difference that the data leave possible: gru (41 percentage "
            "points). 30 points tell 23 percentage points apart; 10 would need about 160.",
        ),
        (
            {"verdict": "same", "low": 0.01, "high": 0.09, "difference": 0.05},
            "The same within 10 percentage points: gru. 30 points tell 4 percentage points apart.",
        ),
        ({"verdict": "nothing learned"}, "Nothing was learned."),
        ({"verdict": "everything solved"}, "Everything was solved."),
    ],
)
def test_paragraph_of_a_task_on_ease(row, text):
    _, _, task, method = verdicts(solved(50), compared(row))
    assert task == EASE + text
    assert method == METHOD.format("nothing")


@pytest.mark.parametrize(("difference", "verdict"), [(-300.0, "better"), (300.0, "worse")])
def test_how_soon_stands_beside_ease(difference, verdict):
    low, high = sorted((difference / 2, 1.5 * difference))
    row = {**STEPS, "difference": difference, "low": low, "high": high, "verdict": verdict}
    assert verdicts(solved(99), compared({"verdict": "everything solved"}, row))[2] == (
        f"{EASE}Everything was solved. How soon: vanilla takes 1,250 steps on average, an unsolved trial its whole "
        f"budget. {verdict.capitalize()} than vanilla: gru by 300 steps (95 % interval 150 steps to 450 steps, "
        "p = .034). 30 points tell 150 steps apart."
    )


@pytest.mark.parametrize(("points", "search"), [(30, "20 trials"), (20, "20 trials"), (12, "all 12 trials")])
def test_paragraph_of_a_task_on_quality_says_how_many_trials_are_searched(points, search):
    row = {**QUALITY, "difference": 0.2, "low": 0.1, "high": 0.3, "verdict": "better", "points": points}
    assert verdicts(solved(50), compared(row))[2] == (
        f"adding. Quality after tuning: the best of {search} of vanilla is expected to score 0.41. Better than "
        f"vanilla: gru by 0.20 (95 % interval 0.10 to 0.30, p = .034). {points} points tell 0.10 apart."
    )


def test_quality_is_solved_after_tuning_though_few_trials_solve_the_task():
    quality = {**QUALITY, "verdict": "everything solved", "reference": 1.0}
    first, second, task, _ = verdicts(solved(50), compared({}, quality))
    assert second == "Quality after tuning: everything was solved after tuning on adding."
    assert task.endswith("is expected to score 1.00. Everything was solved after tuning.")
    assert "solved after" not in first


def test_pairs_that_learned_nothing_are_named_where_others_did():
    rows = [{"verdict": "nothing learned"}, {"variant": "irnn", "verdict": "nothing learned"}, {"variant": "rnn"}]
    task = verdicts(solved(50, ("vanilla", "gru", "irnn", "rnn")), compared(*rows))[2]
    assert task.startswith(f"{EASE}Nothing was learned by vanilla and by gru and irnn. Not told apart from it, ")
    assert "gru (" not in task


def opening(*rows, tasks=("adding", "copying"), question=0, **facts):
    """The opening paragraph on a question."""
    variants = ("vanilla", *dict.fromkeys(row.get("variant", "gru") for row in rows))
    return verdicts(solved(50, variants, tasks), compared(*rows, **facts))[question]


def test_the_opening_names_what_is_better_worse_the_same_and_not_told_apart():
    rows = [
        {"variant": "gru", "verdict": "better"},
        {"variant": "gru", "verdict": "better", "task": "copying"},
        {"variant": "rnn", "verdict": "worse", "task": "copying"},
        {"variant": "rnn"},
        {"variant": "irnn"},
        {"variant": "mut1", "verdict": "same"},
    ]
    assert opening(*rows) == (
        "Ease: better than vanilla: gru (all tasks); worse than vanilla: rnn (copying); the same within 10 percentage "
        "points: mut1 (adding); not told apart from vanilla on any task: irnn."
    )


def test_the_two_questions_have_an_opening_each():
    rows = [{"verdict": "better"}, {**QUALITY, "verdict": "same"}]
    assert opening(*rows, tasks=("adding",)) == "Ease: better than vanilla: gru (adding)."
    text = "Quality after tuning: the same within 0.10: gru (adding)."
    assert opening(*rows, tasks=("adding",), question=1) == text


def test_a_variant_that_is_better_on_one_task_and_worse_on_another_depends_on_the_task():
    rows = [{"verdict": v, "task": t} for t, v in (("adding", "better"), ("copying", "worse"))]
    assert opening(*rows) == "Ease: depends on the task: gru (better on adding, worse on copying)."


@pytest.mark.parametrize(
    ("verdict", "text"),
    [("nothing learned", "nothing was learned"), ("everything solved", "everything was solved")],
)
def test_a_task_on_which_nothing_can_be_told_is_said_once(verdict, text):
    rows = [{"variant": v, "verdict": verdict, "task": "copying"} for v in ("gru", "rnn")]
    assert opening(*rows, {"verdict": "better"}) == f"Ease: better than vanilla: gru (adding); {text} on copying."


@pytest.mark.parametrize(
    ("count", "first", "limits"),
    [
        (2, "v1 and v0", "v0 (11 percentage points) and v1 (12 percentage points)"),
        (7, "7 variants", "7 variants, from 11 percentage points (v0) to 17 percentage points (v6)"),
    ],
)
def test_many_variants_are_counted_and_few_are_named(count, first, limits):
    rows = [{"variant": f"v{k}", "low": -0.11 - 0.01 * k, "high": 0.05} for k in reversed(range(count))]
    found = verdicts(solved(50), compared(*rows))
    assert found[0] == f"Ease: not told apart from vanilla on any task: {first}."
    assert f"Not told apart from it, with the largest difference that the data leave possible: {limits}." in found[2]


def test_the_resolution_of_a_task_rests_on_the_fewest_points_of_its_variants():
    assert "25 points tell " in verdicts(solved(50), compared({}, {"variant": "rnn", "points": 25}))[2]


@pytest.mark.parametrize(
    ("p", "marked"),
    [
        ([0.049, 0.5], "v0 on adding"),
        ([0.01, 0.02], "v0 on adding and v1 on adding"),
        ([0.05], "nothing"),
        ([0.01] * 7 + [0.5], "7 of 8 variants and tasks"),
    ],
)
def test_the_last_paragraph_says_what_greffs_test_would_have_marked(p, marked):
    rows = [{"variant": f"v{k}", "greff_welch_p": x} for k, x in enumerate(p)]
    assert verdicts(solved(50), compared(*rows))[-1] == METHOD.format(marked)


def test_a_task_with_too_few_points_says_so_where_another_has_enough():
    rows = [{}, {"task": "copying", "low": np.nan, "high": np.nan, "p": np.nan, "points": 9}]
    found = verdicts(solved(50, tasks=("adding", "copying")), compared(*rows))
    assert found[3] == "copying: too few points for a conclusion."


def test_an_endpoint_that_decides_nothing_changes_no_verdict():
    other = {"primary": False, "endpoint": "best_decile", "question": "", "low": -9.0, "high": 9.0, "greff_welch_p": 0}
    assert verdicts(solved(50), compared({}, other)) == verdicts(solved(50), compared({}))


def test_the_best_trials_are_those_of_the_lowest_loss_where_training_goes_on_after_the_solution():
    study = by_hand({}, {"variant": "gru"}, training={"stop_when_solved": False})
    assert "The best trials are those with the lowest validation loss. " in verdicts(study, compared({}))[-1]


def test_few_points_are_described_by_what_was_solved():
    few = compared({"low": np.nan, "high": np.nan, "points": 9})
    trials = [{"variant": v, "status": "solved" if k < n else "finished"} for v, n in (("vanilla", 3), ("gru", 5))
              for k in range(12)]  # fmt: skip
    assert verdicts(by_hand(*trials), few) == [
        "With 9 points per task, fewer than 10, nothing is concluded; the differences only describe these trials.",
        "adding: solved by gru 5 of 12 and vanilla 3 of 12 trials.",
    ]


def test_few_points_of_an_unsolved_task_are_described_by_the_best_deciles():
    few = compared({"low": np.nan, "high": np.nan, "points": 9})
    trials = [{"variant": v, "score": s, "validation_loss": 1.0} for v, s in (("vanilla", 0.214), ("gru", 0.5))]
    assert (
        verdicts(by_hand(*trials), few)[1]
        == "adding: solved by no trial; the best deciles score gru (0.50) and vanilla (0.21)."
    )


def test_a_description_of_many_variants_names_six():
    few = compared({"low": np.nan, "high": np.nan, "points": 9})
    trials = [{"variant": f"v{k}", "status": "solved"} for k in range(9)]
    text = verdicts(by_hand(*trials, {"variant": "vanilla", "status": "solved"}), few)[1]
    assert text.endswith("v4 1 of 1 trials, and fewer by 4 others.")


# Two studies
# ----------------------------------------------------------------------------------------------------------------------


def changed(*rows, **facts):
    """Two studies with these changes, of `gru` on adding by the solve rate unless they say otherwise."""
    usual = {"task": "adding", "variant": "gru", "what": CHANGE, "endpoint": "solve_rate", "primary": True}
    usual |= {"question": "ease", "verdict": "open", "p": 0.004, "unit": "%", "span": 1.0}
    usual |= {"paired": True, "points": 40, "study": 0.4, "other": 0.6, "difference": -0.2, "low": -0.3, "high": 0.1}
    usual |= {"same_numbers": 0, "same_outcome": 0, "pairs": 0, "time": np.nan}
    full = [{**usual, **facts, **row} for row in rows]
    pairs = pd.DataFrame([{**row, "significant": row["verdict"] in ("better", "worse")} for row in full])
    return TwoStudies("new", "old", "vanilla", pd.DataFrame(), pairs)


CLAIMED = {"verdict": "worse", "high": -0.1}
LEADS = {"what": ADVANTAGE, "p": 0.02}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [CLAIMED],
            "Lower in this study: gru by 20 percentage points (95 % interval 10 to 30 percentage points, p = .004).",
        ),
        (
            [{"verdict": "better", "difference": 0.2, "low": 0.1, "high": 0.3}],
            "Higher in this study: gru by 20 percentage points (95 % interval 10 to 30 percentage points, p = .004).",
        ),
        (
            [{}],
            "No variant's own result is shown to differ between the studies; the largest change that the data leave "
            "possible: gru (30 percentage points).",
        ),
        (
            [CLAIMED, {"variant": "rnn", "high": 0.4}],
            "Lower in this study: gru by 20 percentage points (95 % interval 10 to 30 percentage points, p = .004). "
            "Not told apart; the largest change that the data leave possible: rnn (40 percentage points).",
        ),
        (
            [CLAIMED, {**CLAIMED, **LEADS}],
            "Lower in this study: gru by 20 percentage points (95 % interval 10 to 30 percentage points, p = .004). "
            "Lower in this study in its advantage over vanilla: gru by 20 percentage points (95 % interval 10 to 30 "
            "percentage points, p = .020).",
        ),
        (
            [{"verdict": "nothing learned"}, {"verdict": "same", "variant": "rnn"}],
            "Nothing was learned in both studies: gru. The same within 10 percentage points: rnn.",
        ),
        (
            [CLAIMED, LEADS],
            "Lower in this study: gru by 20 percentage points (95 % interval 10 to 30 percentage points, p = .004). No "
            "advantage over vanilla is shown to differ between the studies; the largest change that the data leave "
            "possible: gru (30 percentage points).",
        ),
        (
            [{"variant": f"v{k}", "low": -0.1 - 0.01 * k, "high": 0.0} for k in range(7)],
            "No variant's own result is shown to differ between the studies; the largest change that the data leave "
            "possible: at most 16 percentage points for 7 variants.",
        ),
    ],
)
def test_paragraph_on_what_changed_on_a_task(rows, text):
    opening = "adding, ease: compared by the solve rate, paired over 40 points that both studies have."
    assert change_sentences(changed(*rows)) == [f"{opening} {text}"]


def test_studies_without_common_points_are_called_unpaired():
    text = change_sentences(changed({}, {"points": 25, "variant": "rnn"}, paired=False))[0]
    assert text.startswith(
        "adding, ease: compared by the solve rate, unpaired, 25 trials or more on each side. No variant's"
    )


def test_few_common_points_give_no_conclusion():
    assert change_sentences(changed({"low": np.nan, "high": np.nan, "points": 8})) == [
        "adding, ease: compared by the solve rate, paired over 8 points that both studies have. Fewer than 10: nothing "
        "is concluded; the differences only describe these trials."
    ]


def test_the_last_paragraph_counts_equal_trials_once_and_gives_the_ratio_of_times():
    facts = {"pairs": 40, "same_numbers": 30, "same_outcome": 36}
    rows = [{**facts, "time": 2.0}, {**facts, "variant": "rnn", "time": 0.5}, {**facts, **LEADS, "time": 9.0}]
    rows += [{**facts, "primary": False, "endpoint": "best_decile", "time": 9.0}]
    assert change_sentences(changed(*rows))[-1] == (
        "Of 80 trials that both studies ran at the same point, 60 gave the same losses to the last bit, and 72 the same"
        " outcome (solved or not). A training step took 1.00 times as long in this study as in the other (geometric"
        " mean over variants and tasks)."
    )


# Stages
# ----------------------------------------------------------------------------------------------------------------------

STUDY = by_hand({"variant": "vanilla"}, {"variant": "gru"}, stages={"horizon": {"knobs": {"best": 3}}})
LAST = (
    "Probability of improvement: that a replicate scores higher than one of the baseline, ties counted half. A "
    "difference is claimed where the p-value, from label swaps within blocks and Holm-adjusted over the variants of a "
    "task, is at most .05."
)


def replicated(*rows):
    """The table of replicates of `vanilla` and of these variants on adding."""
    usual = {"task": "adding", "variant": "gru", "replicates": 10, "solved": 7, "iqm": 0.9, "low": 0.8, "high": 1.0}
    usual |= {"improvement": 0.25, "improvement_low": 0.1, "improvement_high": 0.45, "p": 0.01, "p_holm": 0.02}
    nothing = dict.fromkeys(("improvement", "improvement_low", "improvement_high", "p", "p_holm"), np.nan)
    return {
        "confirmed": pd.DataFrame(
            [{**usual, "variant": "vanilla", "solved": 9, **nothing}, *({**usual, **r} for r in rows)]
        )
    }


def test_the_first_paragraph_on_replicates_says_how_they_were_made():
    stages = {"confirm": {"points": 60, "knobs": {"blocks": 10, "block_size": 5}}}
    study = by_hand({"variant": "vanilla"}, {"variant": "gru"}, stages=stages)
    assert confirmed_sentences(study, replicated({}))[0] == (
        "The trials were split into blocks, each of them a search of 6 trials. The best trial of each block was "
        "trained again with a fresh seed and scored on fresh test data: 10 replicates of “search, then train” "
        "per task and variant, free of the luck that made them win. All variants share blocks and seeds. "
        "This asks what one such search finds, which is another question than that of the verdicts on the whole study."
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, "More likely to do worse than vanilla: gru, probability 0.25 [0.10, 0.45], p = .020."),
        (
            {"improvement": 0.8, "p_holm": 0.0001},
            "More likely to do better than vanilla: gru, probability 0.80 [0.10, 0.45], p < .001.",
        ),
        ({"p_holm": 0.05}, "More likely to do worse than vanilla: gru, probability 0.25 [0.10, 0.45], p = .050."),
        (
            {"p_holm": 0.051},
            "Not told apart from it by these replicates, with the probability of improvement: gru (0.25 [0.10, 0.45]).",
        ),
    ],
)
def test_paragraph_on_the_replicates_of_a_task(row, text):
    _, task, last = confirmed_sentences(STUDY, replicated(row))
    assert task == f"adding: solved by vanilla 9 of 10, gru 7 of 10. {text}"
    assert last == LAST


def test_replicates_over_all_tasks_are_named_from_the_highest_score():
    overall = [{"task": "all tasks", "variant": v, "iqm": s} for v, s in (("gru", 0.7), ("rnn", 0.85))]
    assert confirmed_sentences(STUDY, replicated({}, *overall))[1] == (
        "Interquartile mean score over all tasks: rnn 0.85 [0.80, 1.00], gru 0.70 [0.80, 1.00]."
    )


def test_the_task_with_the_most_variants_decides_how_many_replicates_are_needed():
    tables = replicated({}, {"variant": "rnn"}, {"task": "copying"})
    tables["confirmed"]["replicates"] = 5
    assert confirmed_sentences(STUDY, tables)[-1].startswith(
        "With 5 replicates nothing is concluded: with 2 variants beside the baseline, even a variant that wins every "
        "comparison needs 7 replicates"
    )


@pytest.mark.parametrize(
    ("replicates", "text"),
    [
        (5, "With 5 replicates nothing is concluded: with 1 variant beside the baseline, even a variant that wins every"
            " comparison needs 6 replicates to be distinguished from luck. That takes 30 points or more."),
        (6, LAST),
    ],
)  # fmt: skip
def test_too_few_replicates_conclude_nothing(replicates, text):
    tables = replicated({})
    tables["confirmed"]["replicates"] = replicates
    found = confirmed_sentences(STUDY, tables)
    assert found[-1] == text
    assert ("likely" in found[1]) is (replicates == 6)


def test_the_task_with_the_most_variants_decides_how_many_replicates_a_conclusion_takes():
    tables = replicated({}, {"variant": "rnn"}, {"task": "copying"})
    tables["confirmed"]["replicates"] = 6  # enough for one variant, 1 + log2(1 / .05), but not for two
    assert "needs 7 replicates to be distinguished from luck." in confirmed_sentences(STUDY, tables)[-1]


def test_the_points_that_a_conclusion_takes_are_those_of_the_blocks_of_this_study():
    stages = {"confirm": {"points": 70, "knobs": {"blocks": 10, "block_size": 5}}}
    tables = replicated({})
    tables["confirmed"]["replicates"] = 5
    text = confirmed_sentences(by_hand({"variant": "vanilla"}, {"variant": "gru"}, stages=stages), tables)[-1]
    assert text.endswith("needs 6 replicates to be distinguished from luck. That takes 42 points or more.")


def test_horizons_are_named_from_the_longest_with_the_lags_that_were_run():
    rows = [("vanilla", 5.0, 0.25, False, False), ("gru", 7.0, np.nan, False, True), ("rnn", 4.0, np.nan, True, False)]
    found = pd.DataFrame(
        [{"task": "adding", "variant": v, "log2_horizon": h, "error": e, "horizon": 2**h,
          "at_most": most, "at_least": least} for v, h, e, most, least in rows], columns=HORIZONS)  # fmt: skip
    trials = [{"task": "adding", "variant": v, "lag": lag, "status": "solved", "budget": 2000}
              for v in ("vanilla", "gru") for lag in (64, 16, 32) for _ in range(4)]  # fmt: skip
    failed = [{"task": "adding", "variant": "gru", "lag": 128, "status": "failed", "budget": 9000}]
    opening, adding = horizon_sentences(STUDY, {"horizons": found, "horizon_trials": pd.DataFrame(trials + failed)})
    assert adding == "adding: gru ≥ 128, vanilla 32 [23, 45], rnn < 16; 4 runs at each of the lags 16, 32, 64."
    assert opening == (
        "The best 3 configurations of each variant at the study's lag were trained again, with at most 2,000 updates,"
        " at lags that double. The memory horizon is the lag in steps up to which half of the runs solve the task, with"
        " its 95 % interval; ≥ and < are bounds where the lags ended. Configurations were chosen at the study's lag, so"
        " that a longer lag may be within reach of others; horizons are not tested against each other."
    )
