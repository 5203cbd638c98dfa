"""What a report says of parts and pairs, and that dozens of combinations do not flood it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from analysis.figures import effect_matrix
from analysis.report.answer import found_sentences
from analysis.report.effect_sentences import effect_sentences, found_effects, pair_sentence, the_part, where
from analysis.report.report import Report
from analysis.study import Study
from analysis.tables.comparisons import comparisons
from analysis.tables.effects import effects
from tests.analysis import factored, synthetic
from tests.analysis.synthetic import as_study


@cache
def told(*, equal: bool = False):
    mains, pairs = ({}, {}) if equal else ({"input_gate": 2.0}, {("forget_gate", "output_activation"): -2.0})
    study = factored.study(mains, pairs, points=40)
    return study, effects(study, flips=199, resamples=49)


def test_parts_and_pairs_that_are_told_apart_are_named_first():
    found = found_effects(*told())
    assert found[0].startswith("What makes more settings succeed: the input gate (")
    assert " more (" in found[1]
    assert "more of 3 pairs are told apart" in found[1]


def test_of_equal_combinations_the_largest_possible_difference_is_told():
    (text,) = (text for text in effect_sentences(*told(equal=True)) if "solve rate" in text)
    assert "No pair is told apart; differences up to" in text
    assert "remain possible" in text


def row(where_plus, where_minus, **more):
    return {
        "effect": "forget_gate x output_activation",
        "part": "forget_gate",
        "other": "output_activation",
        "where_plus": where_plus,
        "where_minus": where_minus,
        "ratio_low": float("nan"),
        "ratio_high": float("nan"),
        "bound": "",
        "endpoint": "solve_rate",
        "question": "ease",
        "unit": "%",
        **more,
    }


TIMES = {"ratio_low": 1.4, "ratio_high": 3.6}


@pytest.mark.parametrize(
    ("ends", "more", "text"),
    [
        ((0.2, 0.4), TIMES, "without an output activation the forget gate is worth twice as much (40 instead of 20"),
        ((0.3, 0.1), TIMES, "with an output activation the forget gate is worth 3.0 times as much (30 instead of 10"),
        ((0.2, 0.4), {}, "without an output activation the forget gate is worth more (40 instead of 20 percentage"),
        ((0.2, -0.1), {}, "with an output activation the forget gate is worth more (20 instead of −10 percentage"),
        ((-0.1, -0.2), TIMES, "without an output activation the forget gate costs twice as much (20 instead of 10"),
        ((-0.2, 0.0), {}, "with an output activation the forget gate costs more (20 instead of 0 percentage"),
    ],
)
def test_a_pair_says_what_a_part_is_worth_with_and_without_the_other(ends, more, text):
    assert pair_sentence(row(*ends, **more), []).startswith(text)


def test_a_level_is_not_called_as_the_variant_of_its_name_is():
    assert the_part("gating:coupled-own") == "coupled instead of own gating"
    assert where("gating:coupled-own", there=True) == "where gating is coupled"
    assert the_part("coupled") == "coupling of the gates"


def test_how_many_times_as_much_stands_with_its_interval_only():
    assert "; 95 % interval 1.4 to 3.6 times)" in pair_sentence(row(0.2, 0.4, **TIMES), [])
    assert "times" not in pair_sentence(row(0.01, 0.3), [])


def test_a_pair_that_a_floor_can_make_says_so():
    text = pair_sentence(row(0.4, 0.0, bound="floor"), [])
    assert "hardly anything is solved, so that nothing is left to lose" in text


def test_the_part_with_the_larger_effect_is_the_subject():
    mains = [{"effect": "forget_gate", "difference": 0.05}, {"effect": "output_activation", "difference": 0.3}]
    others = {"other_where_plus": 0.25, "other_where_minus": 0.35, "other_ratio_low": 1.1, "other_ratio_high": 1.8}
    text = pair_sentence(row(0.0, 0.1, **others), mains)
    assert text.startswith("without a forget gate the output activation is worth 1.4 times as much (35 instead of 25")


def test_where_a_combination_has_no_trial_no_effect_is_told_and_the_figure_is_drawn():
    study = factored.study(points=12)
    study = study.with_trials(study.every[study.every["variant"] != "lstm_ifo"])
    found = effects(study, flips=19)
    assert found_effects(study, found)[0].startswith("No effect can be computed")
    effect_matrix.draw(effect_matrix.numbers(study, found))


@cache
def told_beside(skill):
    """A study of parts to whose archive a GRU was added, which succeeds as its skill says."""
    study = factored.study(points=40)
    rows, _ = synthetic.study(("gru",), ("adding",), 40, skill={"gru": skill})
    added = as_study(rows, {**study.about, **study.design.as_dict(), "variants": ["gru"], "factors": None})
    every = pd.concat([study.every, added.every], ignore_index=True)
    variants = [*study.design.as_dict()["variants"], {"_target_": "variants.GRU", "label": "gru"}]
    union = Study.of(every, {**study.about, **study.design.as_dict(), "variants": variants})
    return union, effects(union, flips=19), comparisons(union, swaps=199)


@pytest.mark.parametrize(
    ("skill", "said"),
    [(6.0, "The GRU succeeds more often than"), (-0.5, "No added cell is shown to differ from")],
)
def test_a_cell_beside_the_combinations_is_compared_with_the_baseline(skill, said, tmp_path):
    study, found, compared = told_beside(skill)
    assert study.beside == ["gru"]
    page = Report(study=study, effects=found, comparisons=compared).html(tmp_path)
    assert "Three parts of a recurrent cell, in eight combinations and one other cell, on" in page
    assert said in page
    assert 'id="beside-combinations"' in page
    assert 'id="by_solve_rate"' in page
    assert page.count("lstm_--o") == 0


def test_of_a_cell_beside_few_points_nothing_is_concluded():
    study, found, compared = told_beside(6.0)
    few = compared.assign(low=np.nan, high=np.nan)
    assert "The GRU was added; with fewer than 10 points, nothing is concluded of it." in found_sentences(
        study, few, found
    )


def test_a_report_shows_effects_and_not_every_combination(tmp_path):
    study, found = told()
    page = Report(study=study, effects=found, comparisons=comparisons(study, swaps=19)).html(tmp_path)
    assert "Three parts of a recurrent cell, in eight combinations" in page
    assert 'id="effects-table"' in page
    assert "input gate × forget gate" in page
    assert 'id="cells"' not in page
    assert 'id="settings-table"' not in page
    assert 'id="beside-combinations"' not in page
    assert page.count("lstm_--o") == 0
