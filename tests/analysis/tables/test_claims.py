from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.report.claims import write_claims
from analysis.tables import claim_rules as rules
from analysis.tables import claim_shares, claims, halves
from analysis.tables.claim_effects import network_helps
from analysis.tables.importance import COLUMNS, with_score
from analysis.tables.literature import CLAIMS, GREFF_CHANGES
from tests.tasks.real.instances import in_place_of_music21

SHARES = pd.DataFrame(columns=COLUMNS["shares"])
NONE = pd.DataFrame(columns=["variant", "verdict"])
OLAH_ON_LAGS = "Plain recurrent networks can use distant information in theory, but do not learn to; LSTMs do."


def compared(*rows, half=0.15, points=50, question="quality", **more):
    """Comparisons by a solve rate from (variant, task, difference) or (variant, task, verdict that shows nothing)."""
    usual = {
        "endpoint": "solve_rate",
        "question": question,
        "primary": True,
        "points": points,
        "span": 1.0,
        "unit": "%",
    }
    made = []
    for variant, task, difference in rows:
        row = {**usual, "task": task, "series": task.split("_")[0], "variant": variant, "difference": 0.0}
        if isinstance(difference, str):
            made.append({**row, "low": -half, "high": half, "verdict": difference, "needed": np.nan})
            continue
        low, high = difference - half, difference + half
        if max(-low, high) < 0.1:
            verdict = "same"
        elif low * high > 0:
            verdict = "better" if difference > 0 else "worse"
        else:
            verdict = "open"
        needed = np.ceil(points * (half / max(abs(difference), 0.1 - abs(difference))) ** 2 - 1e-9)
        made.append({**row, "difference": difference, "low": low, "high": high, "verdict": verdict, "needed": needed})
    return pd.DataFrame(made).assign(**more)


def explained(trials=200, error=0.01, r2=1.0, variant="vanilla", task="adding", **shares):
    """Shares of the variance of a surrogate with this R2; a name with × is a pair."""
    facts = {"task": task, "variant": variant, "error": error, "r2_forest": 0.1, "r2_process": r2, "trials": trials}
    rows = [{**facts, "term": t, "order": 2 if "×" in t else 1, "share": x} for t, x in shares.items()]
    return with_score(pd.DataFrame(rows))


def on(test, rows, baseline="vanilla"):
    return test(rows, SHARES, baseline)


# Verdicts
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("no_forget_gate", "adding", -0.3)], rules.AGREES),
        ([("no_forget_gate", "adding", -0.1)], rules.UNDECIDED),
        ([("no_forget_gate", "adding", 0.3)], rules.DISAGREES),
        ([("no_forget_gate", "adding", -0.3), ("no_forget_gate", "copying", 0.0)], rules.MIXED),
        ([("no_forget_gate", "adding", -0.3), ("no_forget_gate", "copying", 0.3)], rules.ON_TASK),
        ([("no_forget_gate", "adding_30", -0.3), ("no_forget_gate", "adding_120", 0.3)], rules.ON_LAG),
        ([("gru", "adding", -0.3)], rules.UNTESTED),
    ],
)
def test_claim_that_something_is_worse(rows, verdict):
    assert on(rules.worse("no_forget_gate"), compared(*rows)).verdict == verdict


def test_one_task_worse_and_two_better_is_not_called_agreement_in_part():
    rows = compared(("no_forget_gate", "a", -0.3), ("no_forget_gate", "b", 0.3), ("no_forget_gate", "c", 0.4))
    for test in (rules.worse, rules.improved, rules.not_worse, rules.not_better, rules.no_different):
        assert on(test("no_forget_gate"), rows).verdict == "depends on the task"


def test_different_variants_on_either_side_do_not_depend_on_the_task():
    rows = compared(("coupled", "adding", 0.3), ("no_input_gate", "copying", -0.3))
    assert on(rules.not_better(*GREFF_CHANGES), rows).verdict == rules.DISAGREES
    assert on(rules.worse("coupled", "no_input_gate"), rows).verdict == rules.DISAGREES


def test_claim_of_a_difference_is_denied_where_it_can_only_be_small():
    rows = compared(("no_forget_gate", "adding", 0.07), half=0.165)  # from -.095 to .235
    assert on(rules.worse("no_forget_gate"), rows).verdict == rules.DISAGREES
    assert on(rules.improved("no_forget_gate"), rows).verdict == rules.UNDECIDED
    wide = pd.concat([rows, compared(("no_forget_gate", "copying", 0.0))])
    assert on(rules.worse("no_forget_gate"), wide).verdict == rules.UNDECIDED


@pytest.mark.parametrize(
    ("name", "difference", "verdict"),
    [
        ("coupled", -0.3, rules.DISAGREES),
        ("coupled", 0.3, rules.AGREES),
        ("coupled", 0.051, rules.AGREES),  # from -.099
        ("coupled", 0.049, rules.UNDECIDED),  # from -.101
        ("greff_cifg", -0.3, rules.DISAGREES),
    ],
)
def test_claim_that_something_is_no_worse_needs_an_interval_that_excludes_the_margin(name, difference, verdict):
    assert on(rules.not_worse("coupled"), compared((name, "adding", difference))).verdict == verdict


def test_the_margin_itself_is_not_excluded_by_an_interval_that_reaches_it():
    rows = compared(("coupled", "adding", 0.0))
    assert on(rules.not_worse("coupled"), rows.assign(low=-0.0999)).verdict == rules.AGREES
    assert on(rules.not_worse("coupled"), rows.assign(low=-0.1)).verdict == rules.UNDECIDED


def test_a_significant_difference_inside_the_margin_is_none():
    rows = compared(("coupled", "adding", 0.03), ("coupled", "copying", -0.03), half=0.02)
    for test in (rules.not_better, rules.not_worse, rules.no_different):
        found = on(test("coupled"), rows)
        assert found.verdict == rules.AGREES
        assert found.evidence == (
            "coupled on adding: better by 3 percentage points: different, but by less than 10 percentage points; "
            "coupled on copying: worse by 3 percentage points: different, but by less than 10 percentage points"
        )
    assert on(rules.worse("coupled"), rows).verdict == on(rules.improved("coupled"), rows).verdict == rules.DISAGREES


def test_margin_is_a_share_of_the_budget_where_steps_are_compared_and_more_steps_are_worse():
    rows = compared(("coupled", "adding", 0.0)).assign(endpoint="restricted_steps", span=2000.0, low=-500.0, high=150.0)
    assert on(rules.not_worse("coupled"), rows).verdict == rules.AGREES
    assert on(rules.not_better("coupled"), rows).verdict == rules.UNDECIDED


def test_claim_of_no_difference_is_denied_by_either_side():
    for difference in (-0.3, 0.3):
        assert on(rules.no_different("peephole"), compared(("peephole", "adding", difference))).verdict == "disagrees"


@pytest.mark.parametrize(
    ("variant", "baseline", "difference", "verdict"),
    [
        ("forget_bias_1", "forget_bias_0", 0.3, rules.AGREES),
        ("forget_bias_1", "forget_bias_0", -0.3, rules.DISAGREES),
        ("forget_bias_0", "vanilla", -0.3, rules.AGREES),
        ("gru", "vanilla", 0.3, rules.UNTESTED),
    ],
)
def test_forget_bias_of_one_is_judged_from_either_side(variant, baseline, difference, verdict):
    claim = next(c for c in CLAIMS if "forget bias of 1 helps" in c.text)
    assert on(claim.test, compared((variant, "adding", difference)), baseline).verdict == verdict


def test_dropping_peepholes_is_judged_from_either_baseline():
    claim = next(c for c in CLAIMS if c.text.startswith("Dropping peepholes"))
    assert on(claim.test, compared(("greff_np", "adding", -0.3)), "greff_v").verdict == rules.DISAGREES
    assert on(claim.test, compared(("peephole", "adding", 0.3))).verdict == rules.DISAGREES
    assert on(claim.test, compared(("peephole", "adding", -0.3))).verdict == rules.AGREES


def test_claim_about_the_lstm_is_not_tested_against_another_baseline():
    assert on(rules.worse("rnn"), compared(("rnn", "adding", -0.3)), "gru").verdict == rules.UNTESTED


def test_evidence_gives_the_largest_difference_left_possible():
    text = on(rules.not_worse("coupled"), compared(("coupled", "adding", 0.05), half=0.25)).evidence
    assert (
        text == "coupled on adding: not told apart, at most 20 percentage points worse and 30 percentage points better"
    )
    same = on(rules.not_worse("coupled"), compared(("coupled", "adding", 0.0), half=0.05)).evidence
    assert same == "coupled on adding: the same within 10 percentage points"


# Guards
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["nothing learned", "nothing learned"], "not answered here: nothing was learned"),
        (["everything solved", "everything solved"], "not answered here: everything was solved after tuning"),
        (
            ["nothing learned", "everything solved"],
            "not answered here: nothing was learned or everything was solved after tuning",
        ),
    ],
)
def test_where_no_comparison_can_show_a_difference_no_claim_is_answered(verdicts, expected):
    rows = compared(*(("gru", task, v) for task, v in zip(("adding", "copying"), verdicts, strict=True)), half=0.01)
    for test in (rules.worse, rules.improved, rules.not_worse, rules.not_better, rules.no_different):
        assert on(test("gru"), rows).verdict == expected


def test_what_only_the_best_trials_solve_is_called_solved_after_tuning():
    rows = compared(("gru", "adding", "everything solved"), question="quality")
    found = on(rules.worse("gru"), rows)
    assert found.verdict == "not answered here: everything was solved after tuning"
    assert found.evidence == "not counted: adding: everything was solved after tuning"


def test_a_comparison_that_cannot_show_a_difference_does_not_count_beside_one_that_can():
    rows = compared(
        ("gru", "adding", -0.3), ("gru", "copying", "nothing learned"), ("rnn", "adding", "nothing learned")
    )
    found = on(rules.worse("gru", "rnn"), rows)
    assert found.verdict == rules.AGREES
    assert found.evidence == (
        "gru on adding: worse by 30 percentage points; not counted: copying and rnn on adding: nothing was learned"
    )


def test_the_other_side_of_a_claim_is_asked_where_the_first_has_no_answer():
    first, second = compared(("gru", "adding", "nothing learned")), compared(("rnn", "adding", -0.3))
    test = rules.first_that_answers(rules.worse("gru"), rules.worse("rnn"))
    assert on(test, pd.concat([first, second])).verdict == rules.AGREES
    assert on(test, first).verdict == "not answered here: nothing was learned"


def test_a_floored_study_of_twelve_variants_and_three_tasks_decides_no_claim():
    """The whole way from trials: 200 points each, none solved, the largest score .036."""
    from analysis.tables.comparisons import comparisons
    from tests.analysis.synthetic import by_hand

    rng = np.random.default_rng(0)
    variants = ("vanilla", "peephole", "gru", "rnn", "irnn", *GREFF_CHANGES[1:])
    pairs = [(v, task) for v in variants for task in ("adding", "copying", "delayed_recall")]
    rows = [
        {"variant": v, "task": task, "point": k, "score": score, "validation_loss": 1 - score, "test_loss": 1 - score}
        for v, task in pairs
        for k, score in enumerate(rng.uniform(0, 0.036, size=200))
    ]
    study = by_hand(*rows)
    found = claims.held_against(study, comparisons(study, swaps=49), SHARES).set_index("claim")["verdict"]
    assert len(variants) == 12
    assert set(found) == {"not answered here: nothing was learned", "not answered here"}
    assert set(found.index[found == "not answered here"]) == {
        *(c.text for c in CLAIMS if c.question == "" or not c.studies),
        *(c.text for c in CLAIMS if c.studies == ("forget_bias",)),  # of which it has no variant
        *(c.text for c in CLAIMS if c.studies == ("greff_chorales",)),  # of which it has no task
        *(c.text for c in CLAIMS if c.of_parts is not None),  # it has no factors
        *(c.text for c in CLAIMS if "long lag" in c.text or c.question == "ease"),  # of which it has but one each
        OLAH_ON_LAGS,
    }


# Questions
# ----------------------------------------------------------------------------------------------------------------------


def held(comparisons, shares=SHARES):
    from tests.analysis.synthetic import by_hand

    return claims.held_against(by_hand({"variant": "vanilla"}, {"variant": "rnn"}), comparisons, shares)


def of_rnn(comparisons):
    found = held(comparisons).set_index("claim")
    return found.loc["Gated units do better than the plain tanh network."]


def test_only_the_question_of_a_claim_counts_and_the_other_is_shown_beside():
    ease, quality = (compared(("rnn", "adding", d), question=q) for d, q in ((-0.3, "ease"), (0.0, "quality")))
    row = of_rnn(pd.concat([ease, quality]))
    assert (row["question"], row["verdict"]) == ("quality", rules.UNDECIDED)
    assert row["beside"] == "Ease, the other question, not counted: rnn on adding: worse by 30 percentage points"


def test_a_claim_about_quality_is_not_answered_by_ease():
    ease = compared(("rnn", "adding", -0.3), question="ease")
    solved = compared(("rnn", "adding", "everything solved"))
    assert of_rnn(ease)["verdict"] == rules.UNTESTED
    row = of_rnn(pd.concat([ease, solved]))
    assert row["verdict"] == "not answered here: everything was solved after tuning"
    assert row["beside"].endswith("rnn on adding: worse by 30 percentage points")


def test_claims_about_hyperparameters_ask_no_question():
    about = {c.text: c.question for c in CLAIMS}
    assert about["Momentum hardly matters."] == ""
    assert about["A forget bias of 1 helps the LSTM."] == "both"
    assert {q for text, q in about.items() if "GRU" in text} == {"quality"}
    assert about["As the gap grows, the plain network falls behind."] == "ease"


@pytest.mark.parametrize(
    ("ease", "quality", "verdict"),
    [
        (rules.AGREES, rules.AGREES, rules.AGREES),
        (rules.AGREES, rules.UNDECIDED, rules.MIXED),
        (rules.AGREES, rules.DISAGREES, rules.ON_QUESTION),
        (rules.DISAGREES, rules.MIXED, rules.ON_QUESTION),
        (rules.UNDECIDED, rules.DISAGREES, rules.DISAGREES),
        (rules.ON_TASK, rules.AGREES, rules.ON_TASK),
        (rules.AGREES, "not answered here: everything was solved after tuning", rules.AGREES),
        (rules.UNTESTED, rules.UNDECIDED, rules.UNDECIDED),
        (rules.UNTESTED, rules.UNTESTED, rules.UNTESTED),
        ("not answered here: nothing was learned",) * 3,
    ],
)
def test_a_claim_about_both_questions_joins_their_verdicts(ease, quality, verdict):
    found = rules.both_questions(rules.Finding(ease, "e", 30.0), rules.Finding(quality, "q", 70.0))
    assert found.verdict == verdict
    if rules.UNTESTED not in (ease, quality):
        assert (found.evidence, found.needed) == ("ease: e; quality after tuning: q", 70.0)


def test_only_intervals_of_the_endpoint_that_decides_answer_claims():
    rows = compared(("rnn", "adding", -0.3))
    for comparisons, verdict in (
        (rows, rules.AGREES),
        (rows.assign(primary=False), rules.UNTESTED),
        (rows.assign(low=np.nan), rules.UNTESTED),
    ):
        assert of_rnn(comparisons)["verdict"] == verdict
    assert list(held(rows).columns) == claims.COLUMNS


# The number of points
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "needed"),
    [
        (-0.1, 113),  # 50 (.15 / .1)²
        (-0.3, 13),  # 50 (.15 / .3)²: fewer would have done
        (-0.06, 313),  # 50 (.15 / .06)²
        (-0.05, np.inf),  # told apart only where it also lies inside the margin
        (0.3, np.inf),
        (0.1, np.inf),
    ],
)
def test_a_claim_of_a_difference_says_at_which_number_of_points_it_would_be_upheld(difference, needed):
    found = on(rules.worse("gru"), compared(("gru", "adding", difference)))
    assert found.needed == needed


@pytest.mark.parametrize(
    ("difference", "test", "needed"),
    [
        (0.0, rules.no_different, 113),  # 50 (.15 / .1)²
        (0.05, rules.no_different, 450),  # 50 (.15 / .05)²
        (0.05, rules.not_worse, 50),  # 50 (.15 / .15)²
        (0.1, rules.not_better, np.inf),
        (0.12, rules.no_different, np.inf),
        (0.12, rules.not_worse, 50),  # already
    ],
)
def test_a_claim_of_none_needs_the_points_at_which_the_intervals_fit_inside_the_margin(difference, test, needed):
    assert on(test("gru"), compared(("gru", "adding", difference))).needed == needed


def test_the_most_demanding_comparison_gives_the_number_of_points_of_a_claim():
    rows = compared(("gru", "adding", 0.0), ("gru", "copying", 0.05), ("gru", "recall", "nothing learned"))
    assert on(rules.no_different("gru"), rows).needed == 450
    table = held(pd.concat([rows, compared(("rnn", "adding", 0.1))])).set_index("claim")["needed"]
    assert table["GRU and LSTM are about equal."] == "450"
    assert table["Gated units do better than the plain tanh network."] == "no N"
    assert table["Momentum hardly matters."] == ""


# Hyperparameters
# ----------------------------------------------------------------------------------------------------------------------


def test_importance_of_hyperparameters():
    shares = explained(**{"learning_rate": 0.7, "size": 0.2, "noise": 0.04, "learning_rate × size": 0.05})
    for test, verdict in (
        (claim_shares.ranked("learning_rate", 1), rules.AGREES),
        (claim_shares.ranked("size", 1), rules.DISAGREES),
        (claim_shares.ranked("size", 2), rules.AGREES),
        (claim_shares.ranked("learning_rate", 2), rules.DISAGREES),
        (claim_shares.explains("learning_rate", claim_shares.VARIANCE), rules.AGREES),
        (claim_shares.explains("size", claim_shares.VARIANCE), rules.DISAGREES),
        (claim_shares.independent(), rules.AGREES),
        (claim_shares.unimportant("size"), rules.DISAGREES),
        (claim_shares.unimportant("momentum"), rules.UNTESTED),
    ):
        assert test(NONE, shares, "vanilla").verdict == verdict


def test_a_share_within_two_standard_errors_of_the_limit_is_undecided():
    shares = explained(learning_rate=0.7, error=0.05)
    assert (
        claim_shares.explains("learning_rate", claim_shares.VARIANCE)(NONE, shares, "vanilla").verdict
        == rules.UNDECIDED
    )


def test_a_share_of_a_poor_surrogate_is_a_smaller_share_of_the_score():
    for r2, verdict in ((0.9, rules.AGREES), (0.8, rules.UNDECIDED)):  # .9 · .8 = .72 ± 2 · .05 · .8 against .667
        shares = explained(learning_rate=0.9, error=0.05, r2=r2)
        assert claim_shares.explains("learning_rate", claim_shares.VARIANCE)(NONE, shares, "vanilla").verdict == verdict


def test_two_thirds_are_denied_only_where_what_is_not_predicted_would_not_fill_them():
    for r2, verdict in ((0.9, rules.DISAGREES), (0.6, rules.UNDECIDED)):  # .5 R² + 1 - R²: .55 or .7 against .667
        shares = explained(learning_rate=0.5, r2=r2)
        assert claim_shares.explains("learning_rate", claim_shares.VARIANCE)(NONE, shares, "vanilla").verdict == verdict


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.9, 0.7], rules.UNDECIDED),  # sure for exactly half of the variants and tasks
        ([0.9, 0.9, 0.7], rules.AGREES),
        ([0.9, 0.9, 0.9, 0.4], rules.MIXED),
        ([0.9, 0.9, 0.4, 0.4], rules.UNDECIDED),
        ([0.9, 0.4, 0.4], rules.DISAGREES),
    ],
)
def test_a_claim_of_a_share_needs_more_than_half_of_the_variants_and_tasks(shares, verdict):
    found = pd.concat([explained(learning_rate=x, error=0.05, variant=f"v{k}") for k, x in enumerate(shares)])
    assert claim_shares.explains("learning_rate", claim_shares.VARIANCE)(NONE, found, "vanilla").verdict == verdict


def test_evidence_of_a_share_counts_both_sides_of_the_limit():
    for trials, median in ((200, "0.20"), (99, "0.2")):
        each = [explained(size=x, trials=trials, variant=f"v{k}") for k, x in enumerate((0.01, 0.2, 0.3))]
        assert claim_shares.unimportant("size")(NONE, pd.concat(each), "vanilla") == rules.Finding(
            rules.DISAGREES,
            f"size: median share of the variance of the score {median} (median R² 1.00); surely above 0.05 for 2, "
            "surely below for 1 of 3 pairs",
            np.inf,
        )


def test_a_claim_of_a_share_says_at_which_number_of_trials_it_would_be_upheld():
    each = [explained(learning_rate=x, error=0.1, variant=f"v{k}") for k, x in enumerate((0.767, 0.717, 0.9))]
    found = claim_shares.explains("learning_rate", 0.667)(NONE, pd.concat(each), "vanilla")
    assert (found.verdict, round(found.needed)) == (rules.UNDECIDED, 800)  # 200 (.2 / .1)², in two of three


@pytest.mark.parametrize(
    ("sizes", "verdict"),
    [
        ([0.2, 0.2, 0.2], rules.AGREES),
        ([0.2, 0.2, 0.6], rules.MIXED),  # first in the mean, but not for one
        ([0.2, 0.8], rules.UNDECIDED),  # equal in the mean
        ([0.2, 0.85], rules.UNDECIDED),  # .525 against .5, two errors of a mean are .04
        ([0.2, 0.95], rules.DISAGREES),
        ([0.45], rules.AGREES),
        ([0.47], rules.UNDECIDED),  # a lead of .03 against 2 (.01 + .01)
        ([0.53], rules.UNDECIDED),
        ([0.55], rules.DISAGREES),
    ],
)
def test_a_rank_is_decided_by_the_mean_share_with_its_error(sizes, verdict):
    each = [explained(size=x, learning_rate=0.5, variant=f"v{k}") for k, x in enumerate(sizes)]
    found = claim_shares.ranked("learning_rate", 1)(NONE, pd.concat(each, ignore_index=True), "vanilla")
    assert found.verdict == verdict


def test_evidence_of_a_rank_counts_the_variants_and_tasks_where_it_is_sure():
    each = [explained(size=x, learning_rate=0.5, variant=f"v{k}") for k, x in enumerate((0.2, 0.48, 0.6))]
    found = claim_shares.ranked("learning_rate", 1)(NONE, pd.concat(each, ignore_index=True), "vanilla")
    assert found.evidence == (
        "mean share 0.50 against 0.43 for size; surely the largest share for 1, surely not for 1 of 3 pairs"
    )


def test_errors_add_up_within_a_task_and_in_squares_between_tasks():
    """Leads of .15 with an error of .1 each: the mean's is .1 in one task, .1 / 3^½ = .058 over three."""
    for tasks, verdict in (("aaa", rules.UNDECIDED), ("abc", rules.AGREES)):
        each = [
            explained(size=0.3, learning_rate=0.45, error=0.05, variant=f"v{k}", task=t) for k, t in enumerate(tasks)
        ]
        found = claim_shares.ranked("learning_rate", 1)(NONE, pd.concat(each, ignore_index=True), "vanilla")
        assert found.verdict == verdict
        needed = {"aaa": 200 * (0.2 / 0.15) ** 2, "abc": 200 * (0.2 / 0.15) ** 2 / 3}[tasks]
        assert found.needed == np.ceil(needed)


def ranks(pairs, tasks, studies=100, truth=(0.45, 0.25, 0.05), noise=0.12, seed=0):
    """Verdicts of simulated studies on the claim that the learning rate comes first."""
    rng, found = np.random.default_rng(seed), []
    facts = {"order": 1, "r2_forest": 1.0, "r2_process": 1.0, "trials": 50}
    names = np.tile(["learning_rate", "size", "noise"], pairs)
    place = {"variant": np.repeat([f"v{k}" for k in range(pairs)], 3), "task": np.repeat(np.arange(pairs) % tasks, 3)}
    for _ in range(studies):
        share = np.tile(truth, pairs) + noise * rng.normal(size=3 * pairs)
        error = noise * np.sqrt(rng.chisquare(9, size=3 * pairs) / 9)  # as a jackknife of ten groups knows it
        frame = with_score(pd.DataFrame({**place, "term": names, "share": share, "error": error, **facts}))
        found.append(claim_shares.ranked("learning_rate", 1)(NONE, frame, "vanilla").verdict)
    return found


@pytest.mark.parametrize("pairs", [3, 15, 36])
def test_a_true_rank_is_not_denied_for_the_errors_of_its_shares(pairs):
    found = ranks(pairs, tasks=3)
    assert found.count(rules.DISAGREES) == 0
    assert found.count(rules.MIXED) <= 1


def test_a_rank_that_is_clear_is_found():
    assert ranks(15, tasks=3, studies=20, truth=(0.7, 0.1, 0.05)).count(rules.AGREES) >= 18
    assert ranks(15, tasks=3, studies=20, truth=(0.1, 0.7, 0.05)).count(rules.DISAGREES) >= 18


def test_the_shares_of_all_pairs_of_hyperparameters_add_up_and_so_do_their_variances():
    pairs = {"a × b": 0.03, "a × c": 0.03, "b × c": 0.03}
    for error, verdict in ((0.002, rules.AGREES), (0.004, rules.UNDECIDED)):  # .09 + 2 (3 error²)^½ against .1
        assert claim_shares.independent()(NONE, explained(**pairs, error=error), "vanilla").verdict == verdict


@pytest.mark.parametrize(
    ("trials", "r2", "verdict"),
    [(200, 0.5, rules.AGREES), (199, 0.6, rules.AGREES), (199, 0.59, rules.UNDECIDED)],
)
def test_interaction_is_answered_with_enough_trials_or_a_good_surrogate(trials, r2, verdict):
    found = claim_shares.independent()(NONE, explained(**{"a × b": 0.01}, trials=trials, r2=r2), "vanilla")
    assert found.verdict == verdict
    if verdict == rules.UNDECIDED:
        assert found.needed == 200


def test_evidence_of_a_share_counts_the_pairs_that_are_left_out():
    shares = pd.concat([explained(size=0.2, noise=0.0, r2=r2, variant=f"v{k}") for k, r2 in enumerate((0.9, 0.4, 0.3))])
    for test in (claim_shares.unimportant("size"), claim_shares.ranked("size", 1)):
        assert test(NONE, shares, "v0").evidence.endswith("of 1 pairs; 2 more predict too little to count")


def test_a_surrogate_counts_from_half_of_the_variance_on():
    for r2, verdict in ((0.5, rules.AGREES), (0.49, claim_shares.NOT_PREDICTED)):
        shares = explained(learning_rate=0.9, size=0.1, r2=r2)
        assert claim_shares.ranked("learning_rate", 1)(NONE, shares, "vanilla").verdict == verdict
        assert claim_shares.ranked("momentum", 1)(NONE, shares, "vanilla").verdict == rules.UNTESTED


# The page, the list, the presets
# ----------------------------------------------------------------------------------------------------------------------


def test_page_gathers_the_claims_of_every_study(tmp_path):
    for study, verdict in (("one", rules.AGREES), ("two", rules.UNTESTED)):
        (tmp_path / study).mkdir()
        rows = [{"source": c.source, "claim": c.text} for c in CLAIMS]
        facts = {"verdict": verdict, "evidence": "e", "needed": "240", "beside": "ease: too"}
        pd.DataFrame(rows).assign(**facts).to_csv(tmp_path / study / "claims.csv", index=False)
    html = write_claims(tmp_path).read_text()
    assert html.count('<a href="one/report.html">') == len(CLAIMS)
    assert '<a href="two/report.html">' not in html
    assert html.count(">240</td>") == html.count("ease: too") == len(CLAIMS)
    assert "About quality after tuning" in html


def test_page_counts_and_shows_first_only_claims_that_a_study_answers(tmp_path):
    last, first = CLAIMS[-1], CLAIMS[0]
    (tmp_path / "one").mkdir()
    facts = {"evidence": "e", "needed": "", "beside": ""}
    verdicts = [(first, "not answered here: everything was solved after tuning"), (last, "agrees")]
    rows = [{"source": c.source, "claim": c.text, "verdict": verdict, **facts} for c, verdict in verdicts]
    pd.DataFrame(rows).to_csv(tmp_path / "one" / "claims.csv", index=False)
    html = write_claims(tmp_path).read_text()
    assert f"1 of {len(CLAIMS)} claims is answered by a study here" in html
    assert html.index("<strong>agrees") < html.index("<strong>not answered here")


def test_page_shows_that_a_study_learned_nothing(tmp_path):
    (tmp_path / "floored").mkdir()
    rows = compared(("rnn", "adding", "nothing learned"))
    held(rows).to_csv(tmp_path / "floored" / "claims.csv", index=False)
    assert "not answered here: nothing was learned" in write_claims(tmp_path).read_text()


def test_every_claim_names_variants_that_exist_or_are_presets():
    from pathlib import Path

    from variants import Cell

    known = set(Cell.registry) | {path.stem for path in Path("conf/variant").glob("*.yaml")}
    unknown = {alias for names in rules.ALIASES.values() for alias in names} - known
    assert not unknown, f"claims speak of variants that are neither registered nor presets: {sorted(unknown)}"


def test_aliases_are_the_presets_of_greff_and_the_variants_on_which_they_are_built():
    from pathlib import Path

    from yaml import safe_load

    built_on = {path.stem: safe_load(path.read_text())["defaults"][0] for path in Path("conf/variant").glob("greff_*")}
    assert {alias: name for name, (_, alias) in rules.ALIASES.items()} == built_on


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """What each preset study compares: baseline, variants, hyperparameters, points; no package of data is needed."""
    from hydra import compose, initialize_config_dir

    from runs.configuration.schema import register
    from runs.configuration.study import design_from
    from runs.console.early import CONF

    register()
    names = sorted({name for claim in CLAIMS for name in claim.studies})
    with pytest.MonkeyPatch.context() as patch, initialize_config_dir(str(CONF), version_base="1.3"):
        in_place_of_music21(tmp_path_factory.mktemp("corpus"), patch)
        return {name: design_from(compose("sweep", overrides=[f"study={name}"])) for name in names}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.text)
def test_every_claim_is_answered_by_the_presets_that_it_names(claim, presets):
    from analysis.statistics.anova import FEWEST
    from analysis.tables.comparisons import FEWEST_FOR_INFERENCE

    for name in claim.studies:
        design = presets[name]
        if claim.of_parts is not None:
            assert claim.of_parts(effects_of(design)).verdict != rules.UNTESTED
            assert design.points >= FEWEST_FOR_INFERENCE
            continue
        space = list(design.space)
        shares = explained(**dict.fromkeys(space, 0.3), **{f"{space[0]} × {h}": 0.01 for h in space[1:]})
        assert claim.test(rows_of(design), shares, design.baseline).verdict != rules.UNTESTED, (
            f"{name} does not answer: {claim.text}"
        )
        assert design.points >= max(FEWEST, FEWEST_FOR_INFERENCE), f"{name} has too few points for inference"
    assert bool(claim.studies) != bool(claim.lacking)
    assert claim.differs or not claim.studies


def effects_of(design):
    """All effects that a study of this design has, all undecided."""
    effects = design.factors.effects
    levels = [
        {"kind": "pair" if len(e.parts) == 2 else "main"}
        | {"part": e.parts[0], "plus": e.plus[0], "minus": e.minus[0]}
        | {"other": e.parts[-1], "other_plus": e.plus[-1], "other_minus": e.minus[-1]}
        for e in effects
    ]
    rows = compared(*((e.name, "adding", -0.1) for e in effects))
    said = {"aliases": "", "bound": ""}
    for name in ("where_plus", "where_minus", "ratio_low", "ratio_high"):
        said |= {name: 0.1, f"other_{name}": 0.1}
    return rows.assign(**pd.DataFrame(levels), **said)


@pytest.mark.parametrize(("found", "verdict"), [("better", rules.AGREES), ("worse", rules.DISAGREES)])
def test_a_network_helps_where_its_effect_instead_of_the_reader_does(presets, found, verdict):
    effects = effects_of(presets["attention"])
    own = (effects["kind"] == "main") & (effects["plus"] == "attention")
    low, high = (0.1, 0.5) if found == "better" else (-0.5, -0.1)
    signed = {"difference": (low + high) / 2, "low": low, "high": high}
    for name, value in {**signed, "verdict": found, "p": 0.001, "significant": True}.items():
        effects.loc[own, name] = value
    assert network_helps("attention")(effects).verdict == verdict
    assert network_helps("storn")(effects).verdict == rules.UNTESTED


def rows_of(design):
    """Comparisons of all kinds that a study of this design has, all undecided."""
    others = [v for v in design.variants if v != design.baseline]
    kinds = []
    for task in design.tasks:
        kinds.append(compared(*((v, task, -0.1) for v in others), effect="lag", longest=design.series_of(task) != task))
        names = [halves.name_of(hyperparameter) for hyperparameter in design.space]
        kinds.append(compared(*((name, task, -0.1) for name in names), effect="half", longest=True))
        kinds.append(compared((design.baseline, task, -0.1), effect="kept", longest=False))
        kinds.append(compared(*((v, task, -0.1) for v in others), effect="slope", longest=False))
    rows = pd.concat(kinds, ignore_index=True)
    return rows.assign(series=rows["task"].map(design.series_of))


def test_page_names_the_study_that_answers_a_claim_or_what_is_lacking(tmp_path):
    html = write_claims(tmp_path).read_text()
    assert "python -m runs.sweep study=forget_bias" in html
    assert "No task here asks for an event at an exact time." in html
    assert "<code>make reproduce</code>" in html


def test_page_has_one_part_for_each_paper_and_those_with_answers_first(tmp_path):
    (tmp_path / "one").mkdir()
    last = CLAIMS[-1]
    facts = {"verdict": "disagrees", "evidence": "e", "needed": "", "beside": ""}
    pd.DataFrame([{"source": last.source, "claim": last.text, **facts}]).to_csv(
        tmp_path / "one" / "claims.csv", index=False
    )
    html = write_claims(tmp_path).read_text()
    papers = list(dict.fromkeys(claim.source for claim in CLAIMS))
    assert html.count("<h2>") == len(papers)
    last, first = (f"<h2>{source}".replace("&", "&amp;") for source in (last.source, papers[0]))
    assert html.index(last) < html.index(first)


@pytest.mark.parametrize(
    ("verdict", "shown"), [("disagrees", True), ("agrees in part", True), ("agrees", False), (rules.UNDECIDED, False)]
)
def test_page_says_why_a_verdict_may_differ_from_the_paper(tmp_path, verdict, shown):
    (tmp_path / "one").mkdir()
    claim = next(claim for claim in CLAIMS if claim.text == "Momentum hardly matters.")
    row = {"source": claim.source, "claim": claim.text, "verdict": verdict, "evidence": "e", "needed": "", "beside": ""}
    pd.DataFrame([row]).to_csv(tmp_path / "one" / "claims.csv", index=False)
    assert (f"Why it may differ: {claim.differs}" in write_claims(tmp_path).read_text()) == shown


def test_evidence_of_many_pairs_names_the_significant_and_the_most_open():
    rows = [compared((f"v{k}", "adding", 0.0), half=0.1 + 0.01 * k) for k in range(9)]
    rows += [compared(("gru", "adding", -0.3))]
    text = rules.evidence(rules.counted(pd.concat(rows))[0])
    assert text.startswith("gru on adding: worse by 30 percentage points; v8 on adding: not told apart, at most 18 ")
    assert text.endswith("; 5 more, less open")
