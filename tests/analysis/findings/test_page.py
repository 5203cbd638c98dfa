"""Pages from templates: filled paragraphs, no number by hand, and the parts of a page that are written."""

from __future__ import annotations

import pytest

from analysis.findings import figure
from analysis.findings.page import agrees, bare_numbers, between, rendered
from analysis.findings.results import Results
from analysis.findings.vocabulary import LATER, Vocabulary
from tests.analysis.figures.readable import faults
from tests.analysis.lagged import lagged

SOLVED = {"vanilla": (18, 16, 12), "rnn": (16, 8, 0), "gru": (16, 16, 12)}


@pytest.fixture(scope="module")
def words():
    return Vocabulary(("one",), {"one": Results(lagged(SOLVED))}.__getitem__)


# Rendering
# ----------------------------------------------------------------------------------------------------------------------


def test_numbers_stand_in_paragraphs_that_are_filled(words):
    template = "# Title\n\nSolved {{ solved('one', 'adding_60', 'rnn') }}\nof  trials. " + "word " * 40 + "\n"
    lines = rendered(template, words).splitlines()
    assert lines[:2] == ["# Title", ""]
    assert lines[2].startswith("Solved 8 of 20 of trials. word word")
    assert max(map(len, lines)) <= 120


def test_lists_tables_code_and_links_keep_their_form(words):
    template = (
        f"- one {'x' * 100} [a link with words](page.md)\n- two\n  goes on\n\n"
        f"| a |\n| - |\n\n```\nlong {'y ' * 80}\n\nend\n```\n"
    )
    assert rendered(template, words).splitlines() == [
        "- one " + "x" * 100,
        "  [a link with words](page.md)",
        "- two goes on",
        "",
        "| a |",
        "| - |",
        "",
        "```",
        "long " + "y " * 80,
        "",
        "end",
        "```",
    ]


def test_what_only_verifies_leaves_neither_a_line_nor_a_space(words):
    check = "{{ verify('one', 'worse', 'rnn', 'adding_120') }}"
    assert rendered(f"First\n{check}\nlast.{check}\n", words) == "First last.\n"


def test_a_name_that_is_not_in_the_vocabulary_is_an_error(words):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="'solvd' is undefined"):
        rendered("{{ solvd('one') }}", words)


def test_a_part_stands_between_its_comments_and_a_page_without_them_is_an_error():
    page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
    assert between(page, "x", "new\n") == "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="the page lacks the comments <!-- y: begin --> and <!-- y: end -->"):
        between(page, "y", "new")


# Numbers by hand
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("solved 53 % of the trials", ["53"]),
        ("by 1,080 or 0.25 points", ["1,080", "0.25"]),
        ("Twelve of fifty", ["Twelve", "fifty"]),
        ("one or two; someone", []),
        ("{{ rate('a', 'b_30', 'c') }} at `lag=30`, {# 12 #} {% if 3 %}", []),
        ("the LSTM of 1997 [here](page2.md), at the 95 % level, version 0.2", []),
        ("at the 96 % level, in 1897", ["96", "1897"]),
        ("```\nsweep points=3\n```", []),
    ],
)
def test_numbers_in_prose_are_found(prose, found):
    assert bare_numbers(prose) == found


def test_a_page_agrees_with_a_quick_one_only_if_all_its_own_text_is_there_in_order():
    quick = f"a {LATER} b {LATER} c"
    assert agrees("a 1\nb 22 c", quick)
    for page in ("a 1 c b", "a 1 2 c", "x a 1 b 2 c", "a 1 b 2 d", "a 1 b c d"):
        assert not agrees(page, quick)
    assert not agrees("a b", "a")


# The figure
# ----------------------------------------------------------------------------------------------------------------------


def test_the_figure_has_the_rates_of_its_variants_and_no_more_than_six():
    study = lagged(SOLVED)
    drawn = figure.numbers(study, ["adding"], ["vanilla", "rnn"])
    assert drawn.data["solve_rate"].tolist() == [0.9, 0.8, 0.8, 0.4, 0.6, 0.0]
    with pytest.raises(ValueError, match="at most 6 curves, got 7"):
        figure.numbers(study, ["adding"], ["vanilla"] * 7)
    with pytest.raises(ValueError, match="has no lags of irnn"):
        figure.numbers(study, ["adding"], ["vanilla", "irnn"])


def test_the_figure_is_readable_and_names_cells_in_words(words):
    drawn = figure.draw(figure.numbers(lagged(SOLVED), ["adding"], ["vanilla", "rnn", "gru"]))
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["LSTM", "Plain tanh network", "GRU"]
    assert faults(drawn) == []


def test_a_figure_holds_the_checksum_of_its_numbers(tmp_path):
    first, other = (
        figure.numbers(lagged({**SOLVED, "rnn": (16, n, 0)}), ["adding"], ["vanilla", "rnn"]) for n in (8, 9)
    )
    figure.save(first, tmp_path / "a.png")
    assert figure.digest_in(tmp_path / "a.png") == figure.digest(first) != figure.digest(other)


def test_a_template_places_a_figure_and_registers_it():
    words = Vocabulary(("one",), {"one": Results(lagged(SOLVED))}.__getitem__)
    text = rendered("{{ figure('rates', 'one', ['adding'], ['vanilla', 'rnn']) }}", words, docs="docs/")
    assert text == "![Share of the trials that solve a task, against the lag: adding two numbers](docs/rates.png)\n"
    assert words.figures == {"rates": ("one", ["adding"], ["vanilla", "rnn"])}
