"""Tests of the gallery of cells: every cell, and nothing that no study has found."""

import pytest

from analysis.gallery_of_cells import page
from analysis.gallery_of_cells.__main__ import main
from analysis.gallery_of_cells.cards import Card, cards, family
from analysis.gallery_of_cells.found import claims_about, found_about, is_about, read_studies
from analysis.tables.literature import CLAIMS
from tests.analysis.gallery_of_cells.studies import with_a_study
from variants import Cell
from variants.layers.recurrent import count_parameters


@pytest.fixture(scope="module")
def all_cards():
    return cards()


@pytest.fixture
def results(tmp_path):
    return with_a_study(tmp_path)


def test_there_is_a_card_of_every_cell_of_the_registry(all_cards):
    own = {name for name, cls in Cell.registry.items() if cls.__module__.startswith("variants.")}
    assert {card.label for card in all_cards} == own


def test_every_cell_of_ours_has_a_family_a_source_and_equations(all_cards):
    own = [card for card in all_cards if not card.control]
    assert [card.label for card in own if not (card.family and card.source and card.equations_html)] == []
    assert family(Cell.registry["native_gru"]) == "Controls of the library"


def test_a_cell_is_drawn_or_the_reason_is_told(all_cards):
    assert [card.label for card in all_cards if bool(card.drawing_html) == bool(card.why)] == []


def test_parameters_are_those_of_the_fewest_layers(all_cards):
    gru = next(card for card in all_cards if card.label == "gru")
    assert gru.parameters.startswith(f"{count_parameters(Cell.registry['gru'](), 2, 32):,} ")


def test_solve_rates_and_differences_are_those_of_the_tables(results):
    (found,) = found_about("gru", read_studies(results))
    assert (found.study, found.baseline) == ("small", "LSTM")
    adding, chorales = found.lines
    assert adding.solved == "6 of 9 (67 %)"
    assert adding.differences == ["solve rate +33 [+10, +50] percentage points: better"]
    assert chorales.solved == "no criterion; best loss 8.25 of 9 trials"
    assert chorales.differences == []


def test_a_preset_and_the_second_width_stand_under_the_cell_of_their_class(results):
    (tables,) = read_studies(results)
    nodes = {
        "gru": {"_target_": "variants.cells.mut.MUT1", "label": "gru"},
        "vanilla": {"_target_": "variants.GRU", "label": "vanilla", "keep_bias": 0.0},
    }
    (found,) = found_about("gru", [tables._replace(nodes=nodes)])
    assert found.label == "vanilla, keep_bias = 0"
    assert found.lines[0].solved == "3 of 9 (33 %)"
    assert found_about("vanilla", [tables._replace(nodes=nodes)]) == []


def test_nothing_is_said_of_a_variant_that_no_study_has_run(results):
    assert found_about("mut1", read_studies(results)) == []


def test_claims_are_those_that_a_study_of_the_cell_would_answer(results):
    of_gru = claims_about("gru", read_studies(results))
    assert {claim.text for claim in of_gru} == {
        "With a forget bias of 1 the GRU is no better than the LSTM.",
        "GRU and LSTM are about equal.",
        "Which of GRU and LSTM is better depends on the task.",
        "Some other cells work better than the LSTM on certain tasks.",
    }
    (equal,) = [claim for claim in of_gru if claim.verdicts]
    assert equal.verdicts == [("small", "disagrees", "GRU on adding: better")]


def test_a_claim_about_hyperparameters_is_about_no_cell():
    about = {claim.text for claim in CLAIMS for name in Cell.registry if is_about(claim, name)}
    assert "Momentum hardly matters." not in about
    assert "Full gate recurrence does not improve the LSTM." in about


def test_a_study_whose_tables_are_broken_is_left_out_with_a_line(results, capsys):
    (results / "other").mkdir()
    (results / "other" / "cells.csv").write_text("a,b\n1,2\n")
    assert [tables.study for tables in read_studies(results)] == ["small"]
    assert "other is left out: KeyError" in capsys.readouterr().err


def card_of(label, **texts):
    given = {"about": "A cell.", "relation": "", "source": "Somebody 2020", "title": label, "family": "Cells"} | texts
    return Card(label, equations_html=[], written_html=[], formula_html="", parameters="3", drawing_html="",
                why="too large", control=False, **given)  # fmt: skip


def test_text_from_outside_is_escaped(results):
    nasty = "<script>alert(1)</script>"
    text = page.write_gallery([card_of("gru", about=nasty, source=nasty)], results, results).read_text()
    assert nasty not in text
    assert text.count("&lt;script&gt;") == 2


def test_reports_and_walks_are_linked_from_the_results_folder_only(results, tmp_path):
    (results / "walk").mkdir()
    (results / "walk" / "gru_on_adding.html").write_text("")
    text = page.write_gallery([card_of("gru")], results, results).read_text()
    assert 'href="small/report.html"' in text
    assert 'href="walk/gru_on_adding.html"' in text
    other = tmp_path / "elsewhere"
    other.mkdir()
    text = page.write_gallery([card_of("gru")], results, other).read_text()
    assert 'href="small' not in text
    assert 'href="walk' not in text


def test_without_studies_the_page_says_so(tmp_path):
    text = page.write_gallery([card_of("gru")], tmp_path, tmp_path).read_text()
    assert "No study in this results folder has been analysed yet" in text
    assert "No study in this folder has run it." in text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["resluts=x"], "unknown key 'resluts'; did you mean 'results'?"),
        (["out=/proc/none"], "out: cannot write into /proc/none"),
    ],
)
def test_bad_input_is_one_line(capsys, words, line):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {line}")
    assert error.count("\n") == 1


def test_a_results_folder_that_is_not_there_is_refused_and_not_made(tmp_path, capsys):
    results = tmp_path / "typo"
    assert main([f"results={results}", f"out={tmp_path}"]) == 2
    assert capsys.readouterr().err == f"error: results: there is no folder {results}\n"
    assert list(tmp_path.iterdir()) == []
