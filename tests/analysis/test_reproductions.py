"""The page of reproductions agrees with the published numbers, and the command says what was reproduced."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from analysis import reproductions as command
from analysis.tables.reproductions import ABLATION, PUBLISHED, STUDIES, published_text, reproductions
from runs.configuration.command_line import CONF, register
from runs.configuration.study import design_from
from runs.networks.building import untrained
from runs.networks.network import Setting
from runs.networks.reader import Reader
from runs.study.plan import Search

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reproductions.md").read_text()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.title)
def test_the_page_has_every_published_number_as_the_module_has_it(published):
    (row,) = [row for row in ROWS if row[0] == published.title]
    assert row[1] == published_text(published)
    assert published.source in PAGE


def test_the_page_has_no_other_numbers():
    titles = {row[0] for row in ROWS} - {"what", "---"}
    assert titles == {published.title for published in PUBLISHED}


def test_verdicts_of_the_page_follow_from_its_intervals():
    by_title = {published.title: published for published in PUBLISHED}
    for row in ROWS:
        if row[0] not in by_title:
            continue
        if row[2] == "–":
            assert row[3:5] == ["0", "not run"], row
            continue
        if row[3] == "1":
            assert row[4] == "too few seeds", row
            continue
        low, high = (float(v.replace(",", "")) for v in re.search(r"\((\S+) to (\S+)\)", row[2]).groups())
        published = by_title[row[0]]
        shown = {0: low <= published.value <= high, 1: low > 0, -1: high < 0}[published.direction]
        assert row[4] == ("reproduced" if shown else "not reproduced"), row


@pytest.fixture(scope="module")
def designs():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return {name: design_from(compose("sweep", overrides=[f"study={name}"])) for name in STUDIES}


def test_the_preset_of_the_ablation_has_the_published_variants(designs):
    assert set(designs["reproduce_ablation"].variants) == set(ABLATION)


@pytest.mark.parametrize(
    ("name", "outputs", "rate"), [("reproduce_adding", 1, 0.25), ("reproduce_order", 4, 1.0)], ids=["adding", "order"]
)
def test_a_rate_of_1997_makes_the_step_of_half_for_half_the_sum_of_squares(designs, name, outputs, rate):
    training = designs[name].training
    assert training.learning_rate == rate == 0.5 * outputs / 2  # our mean is 2 / outputs times their error
    assert (training.optimiser, training.batch_size, training.clip_norm) == ("sgd", 1, 0)
    assert (training.criterion, training.stop_when_solved) == ("training", True)


@pytest.mark.parametrize(
    ("name", "weights", "biases"), [("reproduce_adding", 93, [-3, -6]), ("reproduce_order", 156, [-2, -4])]
)
def test_a_network_of_1997_has_the_published_weights_and_start(designs, name, weights, biases):
    search = Search(designs[name])
    ((task, variant),) = designs[name].pairs
    network, problem = untrained(search.trial(task, variant, 0, {}))
    assert network.parameter_count == weights
    model = search.trial(task, variant, 0, {}).model
    assert Reader().parameter_count(Setting(network.recurrent.cell, problem, model)) == weights
    named = {place: p.detach() for place, p in network.named_parameters()}
    assert named.pop("recurrent.parts.0.b_i").tolist() == biases
    assert 0.05 < max(float(p.abs().max()) for p in named.values()) <= 0.1
    assert bool(named["readout.bias"].any()), "the read-out starts as all else"


def test_chrono_and_forget_bias_share_everything_but_the_initialisation(designs):
    ours, theirs = designs["reproduce_chrono"].as_dict(), designs["reproduce_forget_bias"].as_dict()
    assert {key for key in ours if ours[key] != theirs[key]} == {"name", "initialisation"}


def test_the_makefile_runs_every_study():
    recipe = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"\b{name}\b", recipe) for name in STUDIES)


def test_the_page_of_a_folder_that_lacks_studies_says_so():
    page = command.written(reproductions({}), {}, datetime(2026, 3, 1, tzinfo=UTC))
    assert page.count("| not run |") == len(PUBLISHED)
    assert "Written on 2026-03-01 from 0 trials" in page


def test_a_folder_without_studies_is_refused_in_one_line(tmp_path, capsys):
    assert command.main([f"results={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
