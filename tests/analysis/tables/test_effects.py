"""Effects of a made-up study: what was put in is found with its sign; a study without factors has none."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from analysis.study import Study
from analysis.tables.claim_effects import needed_where_unbounded
from analysis.tables.claim_rules import AGREES, DISAGREES, MIXED, UNDECIDED, UNTESTED
from analysis.tables.comparisons import BETTER, WORSE
from analysis.tables.effects import effects
from runs.record.archive import Archive, read_archive, write_archive
from runs.study.factors import Factors
from tests.analysis import factored, synthetic

PAIR = ("forget_gate", "output_activation")


@cache
def known() -> tuple[Study, pd.DataFrame]:
    """An input gate that helps, and an output activation that only a cell without forget gate needs."""
    study = factored.study({"input_gate": 2.0}, {("forget_gate", "output_activation"): -2.0}, points=40)
    return study, effects(study, flips=199, resamples=49)


def of(table, effect, endpoint="solve_rate"):
    return table[(table["effect"] == effect) & (table["endpoint"] == endpoint)].iloc[0]


def test_an_effect_is_the_mean_difference_of_cells_that_differ_in_this_part_alone():
    study, found = known()
    rates = study.trials.assign(solved=study.trials["status"] == "solved").groupby("part_input_gate")["solved"].mean()
    assert of(found, "input_gate")["difference"] == pytest.approx(rates["yes"] - rates["no"])


def test_a_pair_is_half_the_difference_of_the_effects_where_the_other_is_there_and_where_not():
    _, found = known()
    row = of(found, "forget_gate x output_activation")
    assert row["difference"] == pytest.approx((row["where_plus"] - row["where_minus"]) / 2)


def test_what_was_put_in_is_told_apart_with_its_sign():
    _, found = known()
    assert of(found, "input_gate")["verdict"] == BETTER
    assert of(found, "input_gate", "restricted_steps")["verdict"] == BETTER  # fewer steps
    assert of(found, "input_gate", "restricted_steps")["difference"] < 0
    assert of(found, "forget_gate x output_activation")["verdict"] == WORSE


def test_a_family_is_all_effects_on_a_task_for_one_endpoint():
    _, found = known()
    assert set(found.groupby(["task", "endpoint"]).size()) == {3 + 3}


def test_there_is_no_interval_below_ten_points_and_no_search_below_twenty():
    found = effects(factored.study(points=9), flips=19)
    assert found["low"].isna().all()
    assert np.isfinite(found["difference"]).all()
    assert set(found["endpoint"]) == {"solve_rate", "restricted_steps"}


def test_a_study_without_factors_has_no_effects():
    assert effects(synthetic.as_study(*synthetic.study(points=3))).empty


def test_an_archive_keeps_the_factors_and_the_columns_of_the_parts(tmp_path):
    study, _ = known()
    write_archive(Archive(study.every, study.design, study.about), tmp_path)
    again = read_archive(tmp_path / "trials.parquet")
    assert again.design.factors == study.design.factors
    assert set(again.table["part_forget_gate"]) == {"yes", "no"}


def test_the_claim_on_unbounded_cells_is_the_pair_of_output_activation_and_what_bounds_the_state():
    _, found = known()
    finding = needed_where_unbounded()(found[found["endpoint"] == "solve_rate"])
    assert finding.verdict == AGREES
    assert "output activation with forget gate on adding: worse by" in finding.evidence
    mains = found[found["kind"] == "main"]
    assert needed_where_unbounded()(mains).verdict == UNTESTED


def test_what_a_part_is_worth_at_both_levels_of_the_other_rests_on_the_points_of_the_effect():
    study = factored.study({"input_gate": 2.0}, {("forget_gate", "output_activation"): -2.0}, points=20)
    lacking = (study.every["variant"] == "lstm_ifo") & (study.every["point"] < 5)
    found = effects(study.with_trials(study.every[~lacking]), flips=19, resamples=19)
    assert set(found["points"]) == {15}
    for row in found[found["kind"] == "pair"].to_dict("records"):
        assert row["where_plus"] - row["where_minus"] == pytest.approx(2 * row["difference"])
        assert row["other_where_plus"] - row["other_where_minus"] == pytest.approx(2 * row["difference"])


def test_a_pair_that_a_floor_can_make_names_it():
    # nothing is solved without an input gate, so the forget gate is worth something only where there is one
    study = factored.study({"input_gate": 8.0, "forget_gate": 1.5}, points=40, start=-8.0)
    row = of(effects(study, flips=199, resamples=19), "input_gate x forget_gate")
    assert row["verdict"] == BETTER
    assert row["bound"] == "floor"
    assert {of(known()[1], name)["bound"] for name in ("input_gate", "forget_gate x output_activation")} == {""}


def test_no_claim_is_upheld_by_a_floor_or_a_ceiling():
    # with a forget gate everything is solved, so that nothing is left for an output activation to add
    study = factored.study({"output_activation": 1.5}, points=40, parts=PAIR)
    solved = study.every["status"].mask(study.every["part_forget_gate"] == "yes", "solved")
    found = effects(study.with_trials(study.every.assign(status=solved)), flips=199, resamples=19)
    assert of(found, "forget_gate x output_activation")["verdict"] == WORSE
    finding = needed_where_unbounded()(found[found["question"] == "ease"])
    assert finding.verdict.startswith(UNTESTED)


@pytest.mark.parametrize(
    ("mains", "pair", "points", "verdict"),
    [
        ({"output_activation": 2.0}, -2.0, 60, AGREES),
        ({}, 2.0, 60, DISAGREES),
        ({"output_activation": 3.0}, -1.8, 60, MIXED),  # needed less, and needed all the same
        ({}, -0.2, 12, UNDECIDED),
    ],
)
def test_the_claim_holds_fails_holds_in_part_or_is_open(mains, pair, points, verdict):
    pairs = {("forget_gate", "output_activation"): pair}
    study = factored.study(mains, pairs, points=points, parts=PAIR, start=-0.3)
    finding = needed_where_unbounded()(effects(study, flips=199, resamples=19).query("question == 'ease'"))
    assert finding.verdict == verdict, finding


@pytest.mark.parametrize("gating_first", [True, False])
@pytest.mark.parametrize(("pair", "verdict"), [(-2.0, AGREES), (2.0, DISAGREES)])
def test_coupled_gates_may_be_a_level_of_a_factor_with_others(pair, verdict, gating_first):
    parts = ("coupled", "output_activation") if gating_first else ("output_activation", "coupled")
    mains = {"output_activation": 1.0 - pair / 2}
    own = factored.study(mains, {("coupled", "output_activation"): pair}, points=60, parts=parts, start=-0.3)
    as_part = needed_where_unbounded()(effects(own, flips=199, resamples=19).query("question == 'ease'"))
    levels = {"gating" if part == "coupled" else part: ("yes", "no") for part in parts}
    renamed = {"gating": {"yes": "coupled", "no": "own"}}
    cells = {
        label: tuple(renamed.get(n, {}).get(level, level) for n, level in zip(levels, there, strict=True))
        for label, there in own.design.factors.cells.items()
    }
    factors = Factors(levels={**levels, "gating": ("own", "coupled")}, cells=cells)
    study = replace(own, design=replace(own.design, factors=factors))
    as_level = needed_where_unbounded()(effects(study, flips=199, resamples=19).query("question == 'ease'"))
    assert as_part.verdict == as_level.verdict == verdict, (as_part, as_level)
    assert "output activation with coupled on adding" in as_level.evidence
