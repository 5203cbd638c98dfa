"""Networks of a study: every variant in each of them, with widths that match, and mistakes in one line."""

import json
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from analysis.tables.trial_commands import command
from runs.configuration.networks import network_nodes
from runs.configuration.schema import register
from runs.configuration.study import design_from
from runs.configuration.trial import trial_from
from runs.console.early import CONF
from runs.networks.building import untrained
from runs.study.design import Design
from runs.study.plan import Search

BOTH = "networks=[reader,{attention: {score: product}}]"


@pytest.fixture(scope="module", autouse=True)
def hydra():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def design(*overrides):
    return design_from(compose("sweep", overrides=["variants=[gru,vanilla]", "points=2", *overrides]))


def test_a_variant_keeps_its_label_in_the_reader_and_has_another_one_in_attention():
    found = design(BOTH)
    assert list(found.variants) == ["gru", "gru_attention", "vanilla", "vanilla_attention"]
    assert sorted(found.networks) == ["gru_attention", "vanilla_attention"]
    assert found.networks["gru_attention"]["score"] == "product"
    assert found.network_of("gru")["label"] == "reader"


def test_cell_and_network_are_factors_and_the_baseline_has_the_first_levels():
    found = design(BOTH)
    assert found.baseline == "vanilla"
    assert found.factors.levels == {"cell": ("vanilla", "gru"), "network": ("reader", "attention")}
    assert found.factors.of("gru_attention") == {"cell": "gru", "network": "attention"}
    assert "cell:gru-vanilla x network:attention-reader" in [effect.name for effect in found.factors.effects]


def test_a_study_of_readers_is_that_of_versions_without_networks():
    found = design()
    assert found.factors is None
    assert "networks" not in found.as_dict()
    assert found.as_dict() == design("networks=[reader]").as_dict()


def test_widths_match_the_parameters_of_whole_networks():
    search = Search(design(BOTH))
    trials = {variant: search.trial("adding", variant, 1) for variant in search.design.variants}
    counts = {variant: untrained(trial)[0].parameter_count for variant, trial in trials.items()}
    for variant in ("gru", "gru_attention", "vanilla_attention"):
        assert counts[variant] == pytest.approx(counts["vanilla"], rel=0.1)
    assert trials["vanilla_attention"].model.hidden_size < trials["vanilla"].model.hidden_size


def test_networks_survive_json():
    plain = json.loads(json.dumps(design(BOTH).as_dict()))
    assert json.loads(json.dumps(Design.from_dict(plain).as_dict())) == plain


def test_parts_of_a_cell_may_stand_beside_networks():
    parts = ["variants=[{lstm: {variant: modular_lstm}}]", "+factors={forget_gate: [true,false]}"]
    found = design(*parts, BOTH)
    assert found.factors.levels == {"forget_gate": ("yes", "no"), "network": ("reader", "attention")}
    assert len(found.variants) == 4
    assert found.baseline in found.variants


def test_one_network_other_than_the_reader_is_no_factor():
    found = design("networks=[attention]")
    assert (found.factors, found.baseline) == (None, "vanilla_attention")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["networks=[]"], "networks must be a list, as in [reader, {attention: {score: product}}], got []"),
        (["networks=attention"], "networks must be a list"),
        (["networks=[reader,reader]"], "networks must be different, got 'reader'"),
        (["networks=[{attention: {heads: 2}}]"], "unknown knob 'heads'"),
        (["networks=[{attention: {score: dot}}]"], "network.score must be one of additive, product, got 'dot'"),
        ([BOTH, "match=both"], "match must be parameters or width with networks other than the reader, got 'both'"),
        ([BOTH, "baseline=vanila"], "baseline must be one of the variants"),
        (
            ["networks=[{attention: {feeds: true}}]", "model.bidirectional=true"],
            "attention: network.feeds must be false with model.bidirectional",
        ),
    ],
    ids=str,
)
def test_a_mistake_in_networks_is_one_line(arguments, line):
    with pytest.raises(ValueError, match=re.escape(line)) as error:
        design(*arguments)
    assert "\n" not in str(error.value)


def test_a_label_names_a_second_version_of_a_network():
    found = network_nodes([{"wide": {"network": "attention", "size": 64}}])
    assert (found["wide"]["_target_"], found["wide"]["size"]) == ("runs.networks.Attention", 64)


def test_the_command_of_a_trial_names_its_network():
    words = ["network=attention", "network.size=5", "task=copying", "tracking=none"]
    trial = trial_from(compose("trial", overrides=words), {"network": "attention"}, words)
    assert "network=attention network.size=5" in command(trial)
    reader = trial_from(compose("trial", overrides=["tracking=none"]))
    assert "network" not in command(reader)
