"""Every number of README's results and of docs/findings.md is that of the shipped archives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.findings import figure
from analysis.findings.page import agrees, bare_numbers, between
from analysis.findings.vocabulary import LATER
from docs import findings

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("docs/findings.md", "README.md")
OUT_OF_DATE = "is out of date: run `make docs`"


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_what_needs_no_resampling_is_what_the_archives_say(page):
    assert agrees(text(page), findings.texts(quick=True)[page]), f"{page} {OUT_OF_DATE}"


@pytest.mark.slow  # resamples every archive
@pytest.mark.parametrize("page", PAGES)
def test_every_number_is_what_the_archives_say(page):
    assert text(page) == findings.texts()[page], f"{page} {OUT_OF_DATE}"


@pytest.mark.parametrize("page", PAGES)
def test_a_number_that_was_changed_by_hand_is_seen(page):
    before, after = (r"solves \d+ %", "solves 101 %") if page == "docs/findings.md" else (r"[\d,]+ trials", "1 trials")
    changed = re.sub(before, after, text(page), count=1)
    assert changed != text(page)
    assert not agrees(changed, findings.texts(quick=True)[page])


@pytest.mark.parametrize("template", [findings.PAGE, findings.PART], ids=lambda path: path.name)
def test_the_prose_has_no_number_by_hand(template):
    assert bare_numbers(template.read_text(encoding="utf-8")) == []


def test_each_figure_shows_the_numbers_of_its_archive():
    drawn = findings.figures()
    assert drawn
    for path, numbers in drawn.items():
        assert figure.digest_in(ROOT / path) == figure.digest(numbers), f"{path} {OUT_OF_DATE}"


def test_readme_has_its_results_between_two_comments():
    assert between(text("README.md"), "results", "x") != text("README.md")


def test_a_quick_page_leaves_something_out():
    assert LATER in findings.texts(quick=True)["README.md"]
