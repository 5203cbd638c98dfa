"""A study's `factors` become variants with short labels; levels that exclude each other are refused by one line."""

import pytest

from runs.configuration.study import checked, design_from
from runs.study.design import Design

PARTS = ["study=smoke", "variants=[{lstm: {variant: modular_lstm}}]"]


def designed(composed, *overrides):
    return design_from(composed("sweep", overrides=[*PARTS, *overrides]))


def test_combinations_become_variants_with_short_labels(composed):
    design = designed(composed, "factors={forget_gate: [true, false], peepholes: [false, true]}")
    assert list(design.variants) == ["lstm_f-", "lstm_fp", "lstm_--", "lstm_-p"]
    assert design.baseline == "lstm_f-"
    node = design.variants["lstm_-p"]
    assert (node["forget_gate"], node["peepholes"], node["output_gate"]) == (False, True, True)
    assert design.factors.of("lstm_-p") == {"forget_gate": "no", "peepholes": "yes"}


def test_a_level_may_set_several_knobs(composed):
    gating = "{own: {}, coupled: {coupled: true}, none: {forget_gate: false}}"
    design = designed(composed, f"factors={{gating: {gating}, output_gate: [true, false]}}")
    assert list(design.variants)[:3] == ["lstm_own_o", "lstm_own_-", "lstm_coupled_o"]
    assert design.variants["lstm_coupled_o"]["coupled"] is True


def test_the_preset_of_parts_is_a_full_design_less_what_cannot_be(composed):
    design = design_from(composed("sweep", overrides=["study=parts"]))
    assert len(design.variants) == 64 - 4
    assert len(design.factors.left_out) == 4
    assert design.baseline == "lstm_ifogh-"


def test_levels_that_exclude_each_other_are_refused_by_one_line(composed):
    with pytest.raises(ValueError, match="exclude themselves") as refused:
        design_from(composed("sweep", overrides=["study=parts", "impossible=refuse"]))
    line = str(refused.value)
    assert line.startswith("factors: 4 of 64 combinations exclude themselves, the first is input_gate=no, forget_gate")
    assert "peepholes must be false in a cell without any gate" in line
    assert "impossible=leave_out" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["factors={forget_gate: [true]}"], "factors.forget_gate must be at least two different levels, as in"),
        (["factors={forget_gate: [true, true]}"], "factors.forget_gate must be at least two different levels"),
        (["factors={forgett_gate: [true, false]}"], "factors.forgett_gate: unknown knob 'forgett_gate'; did you mean"),
        (["factors={forget_gate: [true, maybe]}"], "variant lstm: forget_gate=maybe"),
        (["factors={a: {x: {coupled: true}, y: {}}, coupled: [false, true]}"], "factors.coupled must set other knobs"),
        (["factors={forget_gate: [true, false]}", "fraction=3"], "fraction must be 1, 2, 4 or another power of two"),
        (["factors={forget_gate: [true, false]}", "match=both"], "match must be parameters or width with factors"),
        (["factors={forget_gate: [true, false]}", "variants=[gru, rnn]"], "variants must be one variant with factors"),
        (["factors={forget_gate: [true, false]}", "impossible=no"], "impossible must be one of refuse, leave_out"),
        (["fraction=2"], "fraction is read with factors only, got 2"),
    ],
)
def test_what_is_no_factor_is_refused(composed, overrides, message):
    with pytest.raises(ValueError, match=message):
        designed(composed, *overrides)


def test_a_stored_design_has_its_factors_again_and_one_without_has_none(composed):
    design = designed(composed, "factors={forget_gate: [true, false], peepholes: [false, true]}")
    assert Design.from_dict(design.as_dict()) == design
    plain = design_from(composed("sweep", overrides=["study=smoke"]))
    assert "factors" not in plain.as_dict()
    assert Design.from_dict(plain.as_dict()).factors is None


def test_another_fraction_is_another_design(composed):
    both = "factors={forget_gate: [true, false], output_gate: [true, false], input_activation: [true, false]}"
    full, half = designed(composed, both), designed(composed, both, "fraction=2")
    assert "factors.fraction: 1 there, 2 here" in full.differences(half)


def test_a_search_of_factors_can_be_planned(composed):
    config = composed("sweep", overrides=[*PARTS, "factors={forget_gate: [true, false]}"])
    search = checked(config, [])
    assert search.trial("adding", "lstm_-", 0).variant["forget_gate"] is False
