from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.report.stage_sentences import sections
from analysis.statistics.resampling import holm
from analysis.statistics.scores import improvement_interval, swap_p_of_improvement
from analysis.study import Study
from analysis.tables.stages import (
    ALL,
    best_configurations,
    confirmation,
    confirmed,
    fewest_to_conclude,
    horizons,
    stage_tables,
)
from runs.record.archive import write_values
from runs.record.rows import of_stage, tidy
from tests.analysis.synthetic import FIVE, as_study, by_hand, staged, study


def stage(solved_by_lag, variant="vanilla"):
    """Table of ten runs at each lag, of which so many solve the task."""
    rows = []
    for lag, solved in solved_by_lag.items():
        own, design = study((variant,), points=10)
        rows += [{**row, "lag": lag, "status": "solved" if k < solved else "finished"} for k, row in enumerate(own)]
    return tidy(rows), design


def test_horizon_is_where_half_of_the_runs_succeed():
    table, _ = stage({16: 10, 32: 10, 64: 5, 128: 0})
    row = horizons(table).iloc[0]
    assert row["horizon"] == pytest.approx(64.0)
    assert not row["at_least"]
    assert not row["at_most"]


def test_horizon_beyond_the_lags_is_a_bound():
    longest, shortest = horizons(stage({16: 10, 32: 8})[0]).iloc[0], horizons(stage({16: 4, 32: 0})[0]).iloc[0]
    assert (longest["at_least"], longest["horizon"]) == (True, 32)
    assert (shortest["at_most"], shortest["horizon"]) == (True, 16)
    assert np.isnan([longest["error"], shortest["error"]]).all()


def test_horizon_between_two_lags_keeps_the_doubt_of_half_a_doubling():
    row = horizons(stage({16: 10, 32: 10, 64: 0})[0]).iloc[0]
    assert row["horizon"] == pytest.approx(32 * 2**0.5)
    assert row["error"] == pytest.approx(12**-0.5)


def test_lags_after_a_gap_are_left_out():
    row = horizons(stage({16: 10, 32: 0, 128: 0})[0]).iloc[0]
    assert (row["lags"], row["runs"]) == (2, 20)


@pytest.fixture(scope="module")
def both():
    """Table and design of a study of 60 points with both stages: ten blocks of six."""
    rows, design = staged(*study(FIVE, ("adding", "copying"), points=60), block_size=6)
    return tidy(rows), design


@pytest.fixture(scope="module")
def whole(both):
    """The same as a study, and its tables."""
    made = Study.of(*both)
    return made, stage_tables(made)


def test_stages_come_back_from_an_archive_and_are_no_trials_of_the_search(both, tmp_path):
    table, design = both
    write_values(table, design, tmp_path)
    again = Study.read(tmp_path / "trials.parquet")
    pd.testing.assert_frame_equal(again.every, table)
    assert again.about["stages"] == design["stages"]
    pd.testing.assert_frame_equal(again.table.drop(columns="order"), of_stage(table, "search"))


def test_an_archive_without_stages_is_a_search():
    rows, _ = study(points=3)
    table = tidy(rows)
    assert set(zip(table["stage"], table["block"], table["replicate"], strict=True)) == {("search", -1, 0)}


def test_a_study_without_stages_has_no_tables_of_them(small):
    assert stage_tables(Study.of(*small)) == {}


def test_each_confirmed_winner_stands_beside_its_score_in_the_search(whole):
    made, tables = whole
    found = tables["confirmation"]
    assert len(found) == 2 * 5 * 10
    search = made.table.set_index(["task", "variant", "point"])["score"]
    assert all(row.search_score == search[row.task, row.variant, row.point] for row in found.itertuples())
    assert (found["fresh_score"] <= found["search_score"]).all()


def test_rows_of_a_confirmation_are_what_a_hand_computes():
    search = [{"score": 0.5, "status": "finished"}, {"score": 0.9, "status": "solved"}]
    fresh = {"stage": "confirm", "point": 1, "score": 0.7, "status": "finished"}
    made = by_hand(*search, {**fresh, "block": 0}, {**fresh, "block": 1, "status": "failed"})
    found = confirmation(made, made.stage("confirm"))
    assert found.to_dict("records") == [
        {
            "task": "adding",
            "variant": "vanilla",
            "point": 1,
            "block": 0,
            "fresh_score": 0.7,
            "fresh_status": "finished",
            "search_score": 0.9,
            "search_status": "solved",
        }
    ]


def replicates(**scores):
    """What confirmed trials of one task with these scores say, by variant and block; a score of 1 is solved."""
    rows = [
        {"stage": "confirm", "variant": v, "block": b, "score": x, "status": "solved" if x == 1 else "finished"}
        for v, own in scores.items()
        for b, x in enumerate(own)
        if x is not None
    ]
    made = by_hand(*rows)
    return confirmed(made, made.every).set_index("variant")


def test_a_variant_that_is_better_in_all_blocks_is_told_apart_from_the_baseline():
    found = replicates(vanilla=np.linspace(0.1, 0.5, 10), gru=np.linspace(0.6, 0.9, 10))
    assert found.loc["gru", "improvement"] == 1.0
    assert found.loc["gru", "improvement_low"] < 0.9
    assert found.loc["gru", "p_holm"] == pytest.approx(2 / 2**10)
    assert np.isnan(found.loc["vanilla", "improvement"])


def test_rows_of_replicates_are_what_a_hand_computes():
    found = replicates(vanilla=[0.1, 0.2, 0.3, 0.4], gru=[0.4, 0.3, 0.2, 1.0], rnn=[0.0, 0.1, None, 0.1])
    assert found["replicates"].tolist() == [4, 4, 3]
    assert found["solved"].tolist() == [0, 1, 0]
    assert found["iqm"].tolist() == pytest.approx([0.25, 0.35, 0.2 / 3])
    assert found["improvement"].tolist()[1:] == pytest.approx([(3.5 + 2.5 + 1.5 + 4) / 16, 1 / 12])
    # the labels of vanilla and gru: 4 pairs, of which 2 are mirrored; of vanilla and rnn: 3 pairs, all one way
    assert found["p"].tolist()[1:] == [swap_p_of_improvement([0.4, 0.3, 0.2, 1.0], [0.1, 0.2, 0.3, 0.4]), 2 / 2**3]
    assert found["p_holm"].tolist()[1:] == holm(found["p"].tolist()[1:]).tolist()


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    assert replicates(vanilla=[0.0, 0.0, 0.4, 0.5, 0.5, 0.6, 1.0, 1.0])["iqm"].iloc[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("scores", "known"), [([0.9] * 10, False), ([0.1, 0.5, 0.8, 0.9], False), ([0.1, 0.2, 0.4, 0.8, 0.9], True)]
)
def test_equal_or_few_replicates_have_no_interval(scores, known):
    found = replicates(vanilla=scores)
    assert found[["low", "high"]].notna().to_numpy().tolist() == [[known, known]]


@pytest.mark.parametrize(("count", "known"), [(4, False), (5, True)])
def test_the_probability_of_improvement_has_an_interval_from_five_replicates_on(count, known):
    found = replicates(vanilla=[0.1] * count, gru=[0.2] * count).loc["gru"]
    assert found["improvement"] == 1.0
    assert np.isfinite(found["improvement_low"]) == known
    if known:
        assert (found["improvement_low"], found["improvement_high"]) == improvement_interval([0.2] * 5, [0.1] * 5)


def test_over_all_tasks_the_scores_are_pooled_and_the_probabilities_averaged():
    rows = [
        {"stage": "confirm", "task": t, "variant": v, "block": b, "score": x}
        for t, own in {"adding": {"vanilla": [0.1, 0.2], "gru": [0.3, 0.4], "rnn": [0.0, 0.0]},
                       "copying": {"vanilla": [0.5, 0.6], "gru": [0.1, 0.2]}}.items()
        for v, scores in own.items() for b, x in enumerate(scores)
    ]  # fmt: skip
    made = by_hand(*rows)
    found = confirmed(made, made.every)
    overall = found[found["task"] == ALL].set_index("variant")
    assert overall.index.tolist() == ["vanilla", "gru"], "rnn lacks a task"
    assert overall["replicates"].tolist() == [4, 4]
    assert overall["iqm"].tolist() == pytest.approx([0.35, 0.25])  # of .1 .2 .5 .6 and of .1 .2 .3 .4
    assert overall.loc["gru", "improvement"] == 0.5  # 1 on adding, 0 on copying
    assert overall[["improvement_low", "p", "p_holm"]].isna().all().all()


@pytest.mark.parametrize(("variants", "fewest"), [(1, 6), (4, 8), (8, 9)])
def test_fewest_replicates_are_those_whose_clean_sweep_survives_holm(variants, fewest):
    assert fewest_to_conclude(variants) == fewest
    assert variants * 2 / 2**fewest <= 0.05 < variants * 2 / 2 ** (fewest - 1)


def test_the_best_configuration_is_described_by_its_fresh_seeds(whole):
    made, tables = whole
    found = best_configurations(made, tables["repeats"])
    row = found[(found["task"] == "adding") & (found["variant"] == "gru")].iloc[0]
    own = made.table[(made.table["task"] == "adding") & (made.table["variant"] == "gru")]
    assert row["point"] == own.loc[own["validation_loss"].idxmin(), "point"]
    assert row["search_score"] == own.loc[own["validation_loss"].idxmin(), "score"]
    assert row["runs"] == 5
    assert row["lowest"] <= row["median"] <= row["highest"]


def test_rows_of_best_configurations_are_what_a_hand_computes():
    place = {"learning_rate": 0.02, "size": 16, "input_noise": 0.25, "hidden_size": 18}
    search = [{**place, "score": 0.8}, {**place, "score": 0.6, "learning_rate": 0.5}]
    scores = [(0.7, "finished"), (1.0, "solved"), (0.4, "finished"), (0.0, "failed")]
    fresh = [{**place, "stage": "confirm", "point": 0, "score": s, "status": x} for s, x in scores]
    made = by_hand(*search, *fresh)
    assert best_configurations(made, made.stage("confirm")).to_dict("records") == [
        {
            "task": "adding",
            "variant": "vanilla",
            "point": 0,
            **place,
            "search_score": 0.8,
            "runs": 3,
            "solved": 1,
            "lowest": 0.4,
            "median": 0.7,
            "highest": 1.0,
        }
    ]


def test_horizons_leave_failed_runs_out_and_keep_the_error_of_the_others():
    runs = {16: (4, 4), 32: (2, 4), 64: (0, 4)}  # solved, of
    rows = [
        {"lag": lag, "status": "solved" if k < solved else "finished"}
        for lag, (solved, n) in runs.items()
        for k in range(n)
    ]
    found = horizons(by_hand(*rows, {"lag": 64, "status": "failed"}).every).iloc[0]
    assert found[["runs", "lags", "log2_horizon", "horizon"]].tolist() == [12, 3, 5.0, 32.0]
    assert found["error"] == pytest.approx((0.5 * 0.5 / 3) ** 0.5)


@pytest.mark.parametrize(
    ("solved", "bound"), [((5, 5), "at_least"), ((5, 4), ""), ((4, 5), "at_most"), ((10, 4), ""), ((4, 0), "at_most")]
)
def test_a_horizon_is_a_bound_where_half_of_the_runs_are_not_crossed(solved, bound):
    rows = [
        {"lag": lag, "status": "solved" if k < n else "finished"}
        for lag, n in zip((16, 32), solved, strict=True)
        for k in range(10)
    ]
    found = horizons(by_hand(*rows).every).iloc[0]
    assert [name for name in ("at_least", "at_most") if found[name]] == ([bound] if bound else [])


# Sections
# ----------------------------------------------------------------------------------------------------------------------


def test_both_sections_of_a_study_with_both_stages_have_paragraphs_and_no_command(whole):
    confirm, horizon = sections(*whole)
    assert (confirm.stage, confirm.title, confirm.command) == ("confirm", "Confirmed with fresh seeds", "")
    assert (horizon.stage, horizon.title, horizon.command) == ("horizon", "How far back a variant remembers", "")
    assert "each of them a search of 6 trials" in confirm.paragraphs[0]
    assert len(horizon.paragraphs) == 3


def test_sentences_of_few_replicates_conclude_nothing():
    made = as_study(*staged(*study(FIVE, points=10)))
    text = " ".join(sections(made, stage_tables(made))[0].paragraphs)
    assert "With 2 replicates nothing is concluded: with 4 variants beside the baseline" in text
    assert "needs 8 replicates to be distinguished from luck. That takes 40 points or more." in text
    assert "likely" not in text


def test_horizon_sentences_give_intervals_and_bounds():
    table, design = stage({16: 10, 32: 10, 64: 5, 128: 0})
    tables = {"horizons": horizons(table), "horizon_trials": table}
    text = sections(Study.of(table, design), tables)[1].paragraphs[-1]
    assert text == "adding: vanilla 64 [51, 80]; 10 runs at each of the lags 16, 32, 64, 128."


def test_a_stage_that_was_not_run_is_one_command(small):
    confirm, horizon = sections(Study.of(*small), {})
    assert (confirm.paragraphs, confirm.command) == ([], "python -m runs.sweep study=synthetic stage=confirm")
    assert (horizon.paragraphs, horizon.command) == ([], "python -m runs.sweep study=synthetic stage=horizon")


def test_a_stage_that_is_not_complete_or_older_than_its_search_says_so(whole):
    made, tables = whole
    facts = {"confirm": {**made.about["stages"]["confirm"], "trials": 999, "points": 50}}
    older = replace(made, about={**made.about, "stages": facts})
    first, second, *_ = sections(older, tables)[0].paragraphs
    assert first == "Not complete: 150 of 999 trials of this stage have been run."
    assert second == (
        "Planned when the search had 50 points; it has 60 now. The same command with stage=confirm plans it again."
    )


def test_a_complete_stage_of_the_whole_search_has_no_warning(whole):
    made, tables = whole
    facts = {"confirm": {**made.about["stages"]["confirm"], "trials": 150, "points": 60}}
    complete = sections(replace(made, about={**made.about, "stages": facts}), tables)[0]
    assert complete.paragraphs[0].startswith("The trials were split into blocks")


def test_the_command_of_a_stage_is_the_one_on_record_in_the_folder_of_now(small):
    table, design = small
    recorded = "python -m runs.sweep name=mine 'variants=[vanilla,my_package.MyCell]' results=old workers=2"
    confirm, _ = sections(Study.of(table, {**design, "name": "mine", "command": recorded}), {}, "my results")
    wanted = "python -m runs.sweep name=mine 'variants=[vanilla,my_package.MyCell]' workers=2 stage=confirm"
    assert confirm.command == f"{wanted} 'results=my results'"
    assert sections(Study.of(table, {**design, "command": "rm -rf ~"}), {})[0].command == ""
