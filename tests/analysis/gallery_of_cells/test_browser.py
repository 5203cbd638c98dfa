"""Tests of the gallery of cells in a browser."""

import pytest

from analysis.gallery_of_cells import page
from analysis.gallery_of_cells.cards import cards
from tests.analysis.gallery_of_cells.studies import with_a_study
from tests.browsing import needs_browser, opened
from variants import Cell

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    results = with_a_study(tmp_path_factory.mktemp("results"))
    return page.write_gallery(cards(), results, results).as_uri()


@pytest.mark.parametrize("width", [390, 1280])
def test_every_cell_is_there_and_nothing_is_asked_for(address, width):
    with opened(address, width=width) as tab:
        names = tab.eval_on_selector_all("article", "all => all.map(one => one.id)")
        assert set(names) == {name for name, cls in Cell.registry.items() if cls.__module__.startswith("variants.")}
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.messages == []
        assert tab.asked == [address]


def test_the_filter_shows_cells_by_word_and_family(address):
    with opened(address) as tab:
        tab.fill("#word", "mutant 2")
        shown = "all => all.filter(one => !one.hidden).map(one => one.id)"
        assert "mut2" in tab.eval_on_selector_all("article", shown)
        assert "vanilla" not in tab.eval_on_selector_all("article", shown)
        tab.fill("#word", "")
        tab.select_option("#family", "Gated recurrent units")
        assert tab.eval_on_selector_all("article", shown) == ["gru", "gru_reset_after"]


def test_a_link_to_a_cell_shows_it_though_it_is_filtered_out(address):
    with opened(address) as tab:
        tab.fill("#word", "clockwork")
        tab.evaluate("location.hash = '#gru'")
        tab.wait_for_selector("article#gru", state="visible")
