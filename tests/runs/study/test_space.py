"""A hyperparameter that is a knob of the variants: who gets what is drawn, and which spaces are refused."""

from dataclasses import replace

import pytest

from runs.study.plan import Search
from runs.study.samplers import distributions
from runs.study.space import Dimension, check_knobs
from tests.runs.conftest import make_design

KEEP_BIAS = Dimension(key="variant.keep_bias", low=0.0, high=5.0)
VARIANTS = {
    "vanilla": {"_target_": "variants.Vanilla", "label": "vanilla", "keep_bias": 1.0},
    "gru": {"_target_": "variants.GRU", "label": "gru", "keep_bias": 1.0},
    "rnn": {"_target_": "variants.RNN", "label": "rnn"},
}


@pytest.fixture
def search():
    design = make_design(variants=VARIANTS)
    return Search(replace(design, space={**design.space, "keep_bias": KEEP_BIAS}))


def test_variants_that_have_the_knob_get_the_same_value_at_a_point(search):
    drawn = search.design.values("adding", 2)["keep_bias"]
    assert 0.0 <= drawn <= 5.0
    assert drawn == 5.0 * search.design.unit("adding", 2)["keep_bias"]
    for variant in ("vanilla", "gru"):
        assert search.trial("adding", variant, 2).variant == {**VARIANTS[variant], "keep_bias": drawn}


def test_a_variant_without_the_knob_ignores_it(search):
    assert search.trial("adding", "rnn", 2).variant == VARIANTS["rnn"]


def test_a_value_that_a_sampler_proposes_reaches_the_variant(search):
    assert distributions(search.design.space)["keep_bias"].high == 5.0
    values = {"learning_rate": 0.01, "size": 5, "keep_bias": 3.5}
    assert search.trial("adding", "gru", 0, values).variant["keep_bias"] == 3.5


def test_the_width_that_matches_the_baseline_does_not_depend_on_the_knob(search):
    low, high = ({"learning_rate": 0.01, "size": 8, "keep_bias": b} for b in (0.0, 5.0))
    assert search.trial("adding", "gru", 0, low).model == search.trial("adding", "gru", 0, high).model


@pytest.mark.parametrize(
    ("dimension", "node", "default", "message"),
    [
        (KEEP_BIAS, {}, {}, r"space.x.key must be a knob that a variant has, got 'variant.keep_bias'"),
        (KEEP_BIAS, {"keep_bias": 1.0}, {"keep_bias": True}, "space.x.key must be that of a number"),
        (KEEP_BIAS, {"keep_bias": 1}, {"keep_bias": 1}, "space.x.integer must be true for keep_bias of mine"),
        (KEEP_BIAS, {}, {"keep_bias": 1.0}, "the node of variant mine must have keep_bias, which the study searches"),
        (
            KEEP_BIAS,
            {"keep_bias": 4.0},
            {"keep_bias": 1.0},
            r"variant mine sets keep_bias=4.0, which the study searches in space.x; ~space.x takes it out",
        ),
    ],
)
def test_a_space_that_does_not_fit_its_variants_is_refused(dimension, node, default, message):
    with pytest.raises(ValueError, match=message):
        check_knobs({"x": dimension}, {"mine": node}, {"mine": default})


def test_a_study_whose_variant_sets_the_knob_is_refused_where_the_space_draws_it(search):
    other = {**VARIANTS, "zero": {**VARIANTS["gru"], "label": "zero", "keep_bias": 0.0}}
    with pytest.raises(ValueError, match=r"variant zero sets keep_bias=0\.0, which the study searches in space\.keep_"):
        Search(replace(search.design, variants=other))


def test_a_key_of_a_variant_without_a_knob_is_refused():
    with pytest.raises(ValueError, match=r"space: key must be one of .*, variant.<knob>, got 'variant.'"):
        Search(make_design(space={"x": Dimension(key="variant.", low=0.0, high=1.0)}))
