from __future__ import annotations

import pytest

from analysis.run import Options, analyse
from runs.record.archive import write_values
from runs.record.rows import tidy
from tests.analysis.report import browser
from tests.analysis.synthetic import study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.find() is None, reason="needs Chromium (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of a study with inference, an analysis of variance, and a second study beside it."""
    results = tmp_path_factory.mktemp("results")
    for name, points in (("demo", 42), ("other", 30)):
        rows, design = study(("vanilla", "gru"), ("adding", "copying"), points=points, failed=0.01, name=name)
        write_values(tidy(rows), design, results / name)
    demo, other = (results / name / "trials.parquet" for name in ("demo", "other"))
    analyse(Options(results=results, archive=demo, other=other))
    return results / "demo"


@pytest.fixture(scope="module")
def page(folder):
    with browser.Browser() as opened:
        opened.resize(1200, 900)
        opened.open(folder / "report.html")
        yield opened


def test_report_opens_without_a_message_on_the_console(page):
    assert page.messages == []


def test_report_asks_for_nothing_but_itself(page):
    assert [url[:60] for url in page.requests if not url.startswith(("file:", "data:"))] == []


def test_every_image_shows(page):
    sizes = page.evaluate("[...document.images].map(i => [i.closest('figure').id, i.complete && i.naturalWidth])")
    assert len(sizes) >= 12
    assert [name for name, width in sizes if not width] == []


def test_every_figure_has_a_caption_and_every_link_within_the_page_a_target(page):
    figures = "[...document.querySelectorAll('figure')]"
    bare = f"{figures}.filter(f => !f.querySelector('figcaption').innerText.trim()).map(f => f.id)"
    assert page.evaluate(bare) == []
    targets = "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
    assert page.evaluate(f"{targets}.filter(id => !document.getElementById(id))") == []


COLUMN = "[...document.querySelectorAll('#{table} tbody tr')].map(r => r.cells[{column}].dataset.value)"


@pytest.mark.parametrize(
    ("table", "column", "numeric"),
    [("cells", 8, True), ("cells", 1, False), ("settings-table", 5, True), ("beside-table", 6, True)],
)
def test_a_click_on_a_heading_sorts_up_and_another_down(page, table, column, numeric):
    key = (lambda x: float(x)) if numeric else str
    for direction in ("ascending", "descending"):
        page.evaluate(f"document.querySelectorAll('#{table} thead button')[{column}].click()")
        shown = page.evaluate(COLUMN.format(table=table, column=column))
        known = [x for x in shown if x != ""]
        assert known == sorted(known, key=key, reverse=direction == "descending")
        assert shown[: len(known)] == known, "rows without a value come last"
        assert (
            page.evaluate(f"document.querySelectorAll('#{table} thead th')[{column}].getAttribute('aria-sort')")
            == direction
        )
    assert len(shown) == page.evaluate(f"document.querySelectorAll('#{table} tbody tr').length") > 3


def test_nothing_sticks_out_of_a_phone(page):
    page.resize(390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    texts = "[...document.querySelectorAll('p, figcaption, td, th button, li')]"
    sizes = f"{texts}.map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(page.evaluate(sizes)) >= 12
    page.resize(1200, 900)


def test_prints_as_a_pdf_of_several_pages(page, tmp_path):
    page.print(tmp_path / "report.pdf")
    data = (tmp_path / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") + data.count(b"/Type/Page/") >= 5


def test_page_of_claims_opens_and_leads_to_the_report(page, folder):
    page.open(folder.parent / "claims.html")
    assert page.messages == []
    assert page.evaluate(
        "[...document.querySelectorAll('td a')].every(a => a.getAttribute('href') === 'demo/report.html')"
    )
    assert page.evaluate("document.querySelectorAll('h2').length") > 10
