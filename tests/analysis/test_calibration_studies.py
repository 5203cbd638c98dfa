"""Made-up studies of equal variants, through the whole way: tables, verdicts, sentences and claims."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from analysis.calibration import studies as studies_module
from analysis.calibration.__main__ import main
from analysis.calibration.errors import RARE, _claims, measured, most_errors
from analysis.calibration.page import tables, write_between_markers
from analysis.calibration.power import powers
from analysis.calibration.studies import SCENARIOS, VARIANTS, Scenario, Truth, made_up
from analysis.report.sentences import verdicts
from analysis.statistics.resampling import Comparison, compare
from analysis.tables import comparisons as module
from analysis.tables.claim_rules import MIXED
from analysis.tables.claims import held_against
from analysis.tables.comparisons import comparisons

FAMILIES = ["ease", "quality", "steps"]
SHORT = [pytest.mark.slow, pytest.mark.calibration]


@cache
def errors(name, points, studies, read=0):
    return measured(SCENARIOS[name], points, studies, read=read)


def each_on_its_own(weights, values, order, **options):
    """A broken rule: each variant has its own quantile of the swaps in place of that of the largest."""
    found = [compare(weights, values[[0, v]], order[[0, v]], **options) for v in range(1, len(values))]
    names = ("difference", "low", "high", "p", "points")
    return Comparison(*(np.concatenate([getattr(one, name) for one in found]) for name in names))


# The studies are what they say
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [truth for scenario in SCENARIOS.values() for truth in scenario.tasks])
def test_every_variant_solves_a_task_as_often_as_is_true(truth):
    study = made_up(Scenario("one", (truth,)), 2000, np.random.default_rng(7))
    solved = (study.trials["status"] == "solved").groupby(study.trials["variant"]).mean()
    assert len(solved) == len(VARIANTS)
    assert np.abs(solved - truth.rate).max() <= 4 * np.sqrt(truth.rate * (1 - truth.rate) / 2000)


def test_solved_trials_are_solved_at_a_look_within_their_budget():
    trials = made_up(SCENARIOS["lags"], 30, np.random.default_rng(3)).trials
    steps = trials.loc[trials["status"] == "solved", "solved_step"]
    assert (steps % 50 == 0).all()
    assert steps.between(50, 2000).all()
    assert trials.loc[trials["status"] != "solved", "solved_step"].isna().all()


def test_the_same_generator_makes_the_same_study():
    first, second = (made_up(SCENARIOS["few solve"], 12, np.random.default_rng(5)).every for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_lags_are_a_series_whose_points_share_luck():
    study = made_up(SCENARIOS["lags"], 300, np.random.default_rng(1))
    assert study.series == {"recall": {30: "recall_30", 60: "recall_60", 120: "recall_120"}}
    wide = study.trials.pivot(index=["variant", "point"], columns="task", values="score")
    assert wide.corr().to_numpy().min() > 0.15


def test_losses_without_a_criterion_of_success_lie_on_both_sides_of_the_floor():
    study = made_up(SCENARIOS["losses"], 1000, np.random.default_rng(4))
    assert not any(study.solvable(task) for task in study.tasks)
    below = (study.trials["test_loss"] < 1).groupby(study.trials["task"]).mean()
    assert below.to_dict() == pytest.approx(dict.fromkeys(study.tasks, 0.75), abs=0.02)
    ruined = (study.trials["test_loss"] > 2).groupby(study.trials["task"]).mean()
    assert ruined.to_dict() == pytest.approx({**dict.fromkeys(study.tasks, 0.0), "losses_ruined": 0.2}, abs=0.02)


def test_what_is_half_of_the_truth_is_no_error():
    """Equal variants: a claim that two are the same may be upheld in part, where one of its questions is undecided."""
    studies = [made_up(SCENARIOS["losses"], 50, np.random.default_rng(k)) for k in range(3)]
    found = [(held_against(s, c, pd.DataFrame()), _claims(s, c)) for s in studies for c in [comparisons(s, swaps=99)]]
    assert any((claims["verdict"] == MIXED).any() for claims, _ in found)
    assert not any(shares["claims_wrong"] for _, shares in found)


# The limits
# ----------------------------------------------------------------------------------------------------------------------


def test_the_limit_is_the_promise_and_the_error_of_the_count():
    # 13 of 100: more than 13 errors of probability .05 have probability .0005, more than 12 .0015
    assert most_errors(100) == 13
    assert binom.sf(13, 100, 0.05) <= RARE < binom.sf(12, 100, 0.05)


# The whole way
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [10, 50])
def test_a_study_on_the_floor_gives_no_verdict_and_no_claim(points):
    study = made_up(SCENARIOS["floor"], points, np.random.default_rng(points))
    compared = module.comparisons(study, swaps=99)
    assert set(compared.loc[compared["primary"], "verdict"]) == {"nothing learned"}
    assert not compared["significant"].any()
    text = " ".join(verdicts(study, compared)).lower()
    assert "nothing was learned" in text
    assert not any(stated in text for stated in ("better than", "worse than", "the same"))
    claims = held_against(study, compared, pd.DataFrame())
    assert claims["verdict"].str.startswith("not answered here").all()


@pytest.mark.parametrize("marks", [pytest.param(30, marks=SHORT), pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["three tasks", "all solve", "few solve", "losses"])
def test_equal_variants_differ_in_at_most_five_percent_of_the_studies(name, marks):
    families, _ = errors(name, 50, marks)
    for row in families.to_dict("records"):
        assert round(row["wrong"] * marks) <= most_errors(marks), row
        assert round((1 - row["covered"]) * marks) <= most_errors(marks), row


# Ease has few possible values, which makes its intervals a little too wide; 2 % is the least that they may err.
@pytest.mark.parametrize("studies", [pytest.param(30, marks=SHORT), pytest.param(200, marks=pytest.mark.slow)])
def test_intervals_are_not_so_wide_that_they_never_err(studies):
    families, _ = errors("three tasks", 50, studies)
    missed = round((1 - families["covered"]).sum() * studies)
    assert missed >= max(1, binom.ppf(RARE, len(families) * studies, 0.02))


@pytest.mark.slow
@pytest.mark.calibration
def test_a_quantile_for_each_variant_is_found_out(monkeypatch):
    monkeypatch.setattr(module, "compare", each_on_its_own)
    families, _ = measured(SCENARIOS["three tasks"], 50, 30, read=0)
    ease = families[families["family"] == "ease"]
    assert round(ease["wrong"].sum() * 30) > most_errors(3 * 30)


@pytest.mark.slow
@pytest.mark.parametrize("points", [10, 50, 200])
def test_equal_falls_over_lags_differ_in_at_most_five_percent_of_the_studies(points):
    families, _ = errors("lags", points, 60)
    assert set(families["family"]) == {*FAMILIES, "mean", "slope", "half lag"}
    for row in families.to_dict("records"):
        assert round(row["wrong"] * 60) <= most_errors(60), row


@pytest.mark.slow
@pytest.mark.parametrize(("name", "families"), [("three tasks", 6), ("few solve", 2)])
def test_no_sentence_and_no_claim_errs_more_often_than_the_verdicts_may(name, families):
    _, whole = errors(name, 50, 60, 60)
    limit = most_errors(60, 1 - 0.95**families) / 60
    assert whole["claims_wrong"].item() <= limit
    assert whole["stated"].item() <= limit + most_errors(60) / 60  # sentences also say how soon a task is solved


# Power
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.calibration
def test_a_large_difference_is_found_more_often_and_the_truth_is_covered():
    small, large = powers(50, 60, differences=(0.1, 0.3), swaps=199).to_dict("records")
    assert small["found"] < 0.4 < 0.6 < large["found"]
    for row in (small, large):
        assert round((1 - row["covered"]) * 60) <= most_errors(60)
        assert row["opposite"] == 0


# The page and the command
# ----------------------------------------------------------------------------------------------------------------------


def test_tables_replace_what_stands_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    first, last = "<!-- calibration: begin -->", "<!-- calibration: end -->"
    page.write_text(f"before\n{first}\nold\n{last}\nafter\n")
    write_between_markers(page, "| new |")
    assert page.read_text() == f"before\n{first}\n\n| new |\n\n{last}\nafter\n"


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match=r"page\.md: the page must have the lines <!-- calibration: begin -->"):
        write_between_markers(page, "new")


def test_tables_show_the_shares_that_were_measured():
    place = {"points": 10, "studies": 40}
    family = {**place, "scenario": "one", "task": "smooth", "family": "ease", "wrong": 0.025, "covered": 0.95}
    lag = {**family, "task": "recall", "family": "slope", "wrong": 0.5}
    whole = {**place, "scenario": "one", "read": 20, "wrong": 0.1, "stated": 0.05, "claims_wrong": 0.0}
    shares = {"right": 0.2, "undecided": 0.7, "unanswered": 0.1}
    power = {**place, "difference": 0.2, "found": 0.35, "others": 0.0, "covered": 1.0, "half_width": 0.384}
    welch = {"welch": 0.8, "welch_each": 0.125}
    text = tables(pd.DataFrame([family | welch, lag | welch]), pd.DataFrame([whole | shares]), pd.DataFrame([power]))
    assert "| smooth | 10 | 2.5 % |  |  | 95.0 % |  |  |" in text
    assert "| recall | 10 |  | 50.0 % |  |  | 95.0 % |  |" in text
    assert "| one | 10 | 10.0 % | 5.0 % | 0.0 % | 20.0 % | 70.0 % | 10.0 % |" in text
    assert "| smooth | 10 | 12.5 % | 80.0 % |" in text
    assert "| 20 | 10 | 35.0 % | 0.0 % | 100.0 % | ± 38 |" in text
    assert "40 studies with 10 points (3.4)" in text  # (.05 x .95 / 40)^½


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("studies=0", "studies must be positive whole numbers, got '0'"),
        ("points=ten", "points must be positive whole numbers, got 'ten'"),
        ("studies=10,20", "studies must be one number, or one for each of 3 points, got 2"),
    ],
)
def test_bad_arguments_get_one_line(argument, message, capsys):
    assert main([argument]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_the_numbers_do_not_depend_on_the_number_of_processes(monkeypatch, capsys):
    monkeypatch.setattr(studies_module, "SCENARIOS", {"floor": SCENARIOS["floor"]})
    texts = []
    for workers in (1, 2):
        assert main(["studies=2", "points=10,12", "power=1", "read=1", "swaps=19", f"workers={workers}"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[0].count("| floor | 1") == 6  # two numbers of points in three tables


def test_truths_are_those_of_the_issue():
    rates = {truth.label: truth.rate for scenario in SCENARIOS.values() for truth in scenario.tasks}
    assert rates == {
        "smooth": 0.38,
        "bimodal": 0.34,
        "own_optimum": 0.34,
        "all_solve": 1.0,
        "few_solve": 0.03,
        "floor": 0.0,
        "recall_30": 0.8,
        "recall_60": 0.4,
        "recall_120": 0.1,
        "losses": 0.0,
        "losses_ruined": 0.0,
        "losses_own_optimum": 0.0,
    }
    assert Truth("usual", 0.5).best_unsolved == 1.0
