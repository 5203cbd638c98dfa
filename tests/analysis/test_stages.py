from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.figures.gallery import FIGURES, parts
from analysis.figures.plots_stages import memory_horizon, winners_curse
from analysis.load import LISTS, of_stage, read_archive, tidy, write_archive
from analysis.tables.stages import best_configurations, confirmed, fewest_to_conclude, horizons, sections, stage_tables

from .synthetic import FIVE, TWENTY, staged, study


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


def test_horizon_figure_draws_and_writes_the_estimate():
    table, design = stage({16: 10, 32: 10, 64: 5, 128: 0})
    figure, data = memory_horizon(table, design)
    figure.draw_without_rendering()
    assert any(text.get_text().startswith("64 [") for text in figure.axes[0].texts)
    assert len(data) == 1


def test_winners_curse_draws_and_writes_the_mean_drop(small):
    table, design = small
    scores = np.linspace(0.5, 1.0, 10)
    frame = pd.DataFrame(
        {"task": "adding", "variant": "gru", "block": range(10), "search_score": scores, "fresh_score": scores - 0.25}
    )
    figure, _ = winners_curse(table, design, frame)
    figure.draw_without_rendering()
    assert any(text.get_text() == "mean drop 0.25" for text in figure.axes[0].texts)


@pytest.fixture(scope="module")
def both():
    """Table and design of a study of 60 points with both stages: ten blocks of six."""
    rows, design = staged(*study(FIVE, ("adding", "copying"), points=60), block_size=6)
    return tidy(rows), design


def test_stages_come_back_from_an_archive_and_are_left_out_unless_asked_for(both, tmp_path):
    table, design = both
    write_archive(table, design, tmp_path)
    again, design_again = read_archive(tmp_path / "trials.parquet", stages=True)
    pd.testing.assert_frame_equal(again, table)
    assert design_again == design
    pd.testing.assert_frame_equal(read_archive(tmp_path / "trials.parquet")[0], of_stage(table, "search"))


def test_an_archive_without_stages_is_a_search():
    rows, _ = study(points=3)
    table = tidy(rows)
    assert set(zip(table["stage"], table["block"], table["replicate"], strict=True)) == {("search", -1, 0)}


def test_a_study_without_stages_has_no_tables_of_them(small):
    assert stage_tables(*small) == {}


def test_each_confirmed_winner_stands_beside_its_score_in_the_search(both):
    table, design = both
    found = stage_tables(table, design)["confirmation"]
    assert len(found) == 2 * 5 * 10
    search = of_stage(table, "search").set_index(["task", "variant", "point"])["score"]
    assert all(row.search_score == search[row.task, row.variant, row.point] for row in found.itertuples())
    assert (found["fresh_score"] <= found["search_score"]).all()


def replicates(**scores):
    """Confirmed trials of one task with these scores, by variant and block."""
    rows, design = study(tuple(scores), points=1)
    table = [
        {**row, "stage": "confirm", "block": b, "score": x}
        for row in rows
        for b, x in enumerate(scores[row["variant"]])
    ]
    return tidy(table).drop(columns=list(LISTS)), design


def test_a_variant_that_is_better_in_all_blocks_is_told_apart_from_the_baseline():
    found = confirmed(*replicates(vanilla=np.linspace(0.1, 0.5, 10), gru=np.linspace(0.6, 0.9, 10))).set_index(
        "variant"
    )
    assert found.loc["gru", "improvement"] == 1.0
    assert found.loc["gru", "improvement_low"] < 0.9
    assert found.loc["gru", "p_holm"] == pytest.approx(2 / 2**10)
    assert np.isnan(found.loc["vanilla", "improvement"])


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    found = confirmed(*replicates(vanilla=[0.0, 0.0, 0.4, 0.5, 0.5, 0.6, 1.0, 1.0]))
    assert found["iqm"].iloc[0] == pytest.approx(0.5)


def test_equal_or_few_replicates_have_no_interval():
    assert confirmed(*replicates(vanilla=[1.0] * 10))["low"].isna().all()
    assert confirmed(*replicates(vanilla=[0.1, 0.5, 0.8]))["low"].isna().all()


@pytest.mark.parametrize(("variants", "fewest"), [(1, 6), (4, 8), (8, 9)])
def test_fewest_replicates_are_those_whose_clean_sweep_survives_holm(variants, fewest):
    assert fewest_to_conclude(variants) == fewest
    assert variants * 2 / 2**fewest <= 0.05 < variants * 2 / 2 ** (fewest - 1)


def test_the_best_configuration_is_described_by_its_fresh_seeds(both):
    table, design = both
    tables = stage_tables(table, design)
    found = best_configurations(of_stage(table, "search"), tables["repeats"], design)
    row = found[(found["task"] == "adding") & (found["variant"] == "gru")].iloc[0]
    own = table[(table["stage"] == "search") & (table["task"] == "adding") & (table["variant"] == "gru")]
    assert row["point"] == own.loc[own["validation_loss"].idxmin(), "point"]
    assert row["runs"] == 5
    assert row["lowest"] <= row["median"] <= row["highest"]


@pytest.mark.parametrize(
    ("variants", "tasks"), [(FIVE, ("adding", "copying")), (TWENTY, ("adding",)), (("vanilla",), ("adding",))]
)
def test_figures_of_the_stages_draw_and_fit_a_page(variants, tasks):
    rows, design = staged(*study(variants, tasks, points=30, failed=0.05))
    table = tidy(rows)
    tables = stage_tables(table, design)
    for spec in FIGURES:
        if spec.needs and set(spec.needs) <= set(tables):
            for _, arguments in parts(spec, of_stage(table, "search"), design, tables):
                drawn = spec.draw(*arguments)
                drawn.figure.draw_without_rendering()
                width, height = drawn.figure.get_size_inches()
                assert (width <= 7.3, height <= 12.0) == (True, True), spec.name


def test_marks_of_winners_on_the_same_spot_are_all_seen(both):
    table, design = both
    frame = pd.DataFrame(
        {"task": "adding", "variant": "gru", "block": range(4), "search_score": 0.5, "fresh_score": 0.5}
    )
    figure, _ = winners_curse(of_stage(table, "search"), design, frame)
    places = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    assert len(np.unique(places, axis=0)) == 4


def test_sentences_name_what_the_replicates_tell_apart(both):
    table, design = both
    parts = sections(table, design, stage_tables(table, design))
    text = " ".join(parts[0]["paragraphs"])
    assert "each of them a search of 6 trials" in text
    assert "10 replicates of" in text
    assert "More likely to do worse than vanilla: no_forget_gate, probability 0" in text
    assert "Not told apart from it by these replicates, with the probability of improvement: gru (" in text


def test_sentences_of_few_replicates_conclude_nothing():
    rows, design = staged(*study(FIVE, points=10))
    table = tidy(rows)
    text = " ".join(sections(table, design, stage_tables(table, design))[0]["paragraphs"])
    assert "With 2 replicates nothing is concluded" in text
    assert "needs 8 to be told from luck. That takes 40 points or more." in text
    assert "likely" not in text


def test_horizon_sentences_give_intervals_and_bounds():
    table, design = stage({16: 10, 32: 10, 64: 5, 128: 0})
    text = sections(table, design, {"horizons": horizons(table), "horizon_trials": table})[1]["paragraphs"][-1]
    assert text == "adding: vanilla 64 [51, 80]; 10 runs at each of the lags 16, 32, 64, 128."


def test_a_stage_that_was_not_run_is_one_command(small):
    confirm, horizon = sections(*small, {})
    assert (confirm["paragraphs"], confirm["command"]) == ([], "python -m runs.sweep study=synthetic stage=confirm")
    assert (horizon["paragraphs"], horizon["command"]) == ([], "python -m runs.sweep study=synthetic stage=horizon")


def test_a_stage_that_is_not_complete_or_older_than_its_search_says_so(both):
    table, design = both
    facts = {**design["stages"], "confirm": {**design["stages"]["confirm"], "trials": 999, "points": 50}}
    first, second, *_ = sections(table, {**design, "stages": facts}, stage_tables(table, design))[0]["paragraphs"]
    assert first == "Not complete: 150 of 999 trials of this stage have been run."
    assert second.startswith("Planned when the search had 50 points; it has 60 now.")


def test_the_command_of_a_stage_is_the_one_on_record_in_the_folder_of_now(small):
    table, design = small
    recorded = "python -m runs.sweep name=mine 'variants=[vanilla,my_package.MyCell]' results=old workers=2"
    confirm, _ = sections(table, {**design, "name": "mine", "command": recorded}, {}, "my results")
    wanted = "python -m runs.sweep name=mine 'variants=[vanilla,my_package.MyCell]' workers=2 stage=confirm 'results=my results'"
    assert confirm["command"] == wanted
    assert sections(table, {**design, "command": "rm -rf ~"}, {})[0]["command"] == ""
