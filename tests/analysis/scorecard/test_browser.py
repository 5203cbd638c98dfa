"""The page of a scorecard in a browser."""

import pytest

from analysis.scorecard.card import card_of
from analysis.scorecard.cell import about
from analysis.scorecard.page import page
from analysis.scorecard.said import said
from tests.analysis.scorecard.studies import measured, three
from tests.browsing import needs_browser, opened

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    study = three()
    card = card_of(study, "gru", measured())
    cell = about(study.design.variants["gru"], study.design.variants["vanilla"])
    path = tmp_path_factory.mktemp("score") / "gru.html"
    path.write_text(page(card, cell, said(card, cell), {}))
    return path.as_uri()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(address, width):
    with opened(address, width) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert shown.messages == []
        assert [asked for asked in shown.asked if asked != address and not asked.startswith("data:")] == []
