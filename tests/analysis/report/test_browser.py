"""The report and the pages beside it in a real browser, on a wide screen and on a phone."""

from __future__ import annotations

import pytest

from analysis.run import Options, analyse
from runs.record.archive import write_values
from runs.record.rows import tidy
from tests.analysis.synthetic import study
from tests.browsing import browser, needs_browser

pytestmark = needs_browser

WIDE, PHONE = 1280, 390
HEIGHT = 844
READY = "document.documentElement.dataset.ready === 'yes'"


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
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(chromium, folder):
    """The report by width, with what each page wrote to its console or threw, and the addresses that it asked for."""
    found = {}
    for width in (WIDE, PHONE):
        page = chromium.new_page(viewport={"width": width, "height": HEIGHT})
        page.messages, page.asked = [], []
        page.on("console", lambda message, page=page: page.messages.append(message.text))
        page.on("pageerror", lambda error, page=page: page.messages.append(str(error)))
        page.on("request", lambda request, page=page: page.asked.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.wait_for_function(READY)
        found[width] = page
    return found


@pytest.fixture(params=[WIDE, PHONE])
def page(request, pages):
    """The report at one width, with everything folded that was folded when it was opened."""
    opened = pages[request.param]
    opened.goto(opened.url.partition("#")[0])
    opened.wait_for_function(READY)
    return opened


def open_all(page):
    """Open every part; images far below the screen, which a reader would scroll to, are loaded at once."""
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    page.evaluate("[...document.images].forEach(image => image.loading = 'eager')")
    page.wait_for_function("[...document.images].every(image => image.complete)")


def test_report_opens_without_a_message_and_asks_for_nothing_but_itself(page):
    open_all(page)
    assert page.messages == []
    assert [url[:60] for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_title_and_findings_stand_on_the_first_screen(page):
    bottoms = page.evaluate(
        "[...document.querySelectorAll('h1, .found')].slice(0, 3).map(e => e.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 3
    assert max(bottoms) <= HEIGHT


def test_on_a_wide_screen_the_map_and_what_it_can_tell_stand_on_the_first_screen(pages):
    page = pages[WIDE]
    page.evaluate("scrollTo(0, 0)")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.answer img, .tells')].map(e => e.getBoundingClientRect().bottom)"
    )
    assert len(boxes) == 2
    assert max(boxes) <= HEIGHT


def test_the_page_never_scrolls_sideways(page):
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_is_cut_without_saying_so(page):
    open_all(page)
    page.wait_for_timeout(200)  # the boxes are measured after they are shown
    silent = """[...document.querySelectorAll('.wide')].filter(box => box.scrollWidth > box.clientWidth + 4
        && !getComputedStyle(box, '::before').content.includes('scroll')).map(box => box.innerHTML.slice(0, 80))"""
    assert page.evaluate(silent) == []
    outside = """[...document.querySelectorAll('table, img, pre, p, li')].filter(e => !e.closest('.wide')
        && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(outside) == []


def test_text_has_at_least_eight_points(page):
    open_all(page)
    sizes = """[...document.querySelectorAll('p, figcaption, td, th, button, li, code, dd, span')]
        .filter(e => e.innerText.trim()).map(e => parseFloat(getComputedStyle(e).fontSize))"""
    assert min(page.evaluate(sizes)) >= 8 * 96 / 72


def test_text_has_a_contrast_of_at_least_four_and_a_half(page):
    open_all(page)
    contrast = """() => {
        const level = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
        const light = rgb => { const [r, g, b] = rgb.match(/[0-9.]+/g).map(Number);
            return .2126 * level(r) + .7152 * level(g) + .0722 * level(b) };
        const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
            if (!/, 0\\)$/.test(c)) return c } return 'rgb(255, 255, 255)' };
        const kinds = 'p, td, th, li, a, code, summary, h1, h2, h3, dt, dd, figcaption, span';
        const texts = [...document.querySelectorAll(kinds)];
        return texts.filter(e => e.innerText.trim()).map(e => {
            const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
            return [(a + .05) / (b + .05), e.outerHTML.slice(0, 60)] }).sort((x, y) => x[0] - y[0])[0];
    }"""
    lowest, where = page.evaluate(contrast)
    assert lowest >= 4.5, where


def test_every_figure_shows_once_its_part_is_open(page):
    open_all(page)
    sizes = page.evaluate("[...document.images].map(i => [i.closest('figure').id, i.complete && i.naturalWidth])")
    assert len(sizes) >= 12
    assert [name for name, width in sizes if not width] == []


def test_a_link_opens_the_folded_part_that_it_leads_to(page):
    folded = page.evaluate("[...document.querySelectorAll('details.fold')].filter(d => !d.open).map(d => d.id)")
    assert {"numbers", "settings", "reproduce"} <= set(folded)
    page.evaluate("document.querySelector('nav a[href=\"#numbers\"]').click()")
    page.wait_for_function("document.getElementById('numbers').open")
    assert page.evaluate("document.getElementById('cells').getBoundingClientRect().top") < HEIGHT
    assert not page.evaluate("document.getElementById('settings').open")


def test_a_link_to_a_figure_opens_every_part_around_it(page, folder):
    page.goto((folder / "report.html").as_uri() + "#learning_curves")
    page.wait_for_function(READY)
    page.wait_for_function("document.getElementById('learning_curves').getBoundingClientRect().height > 100")


def test_every_link_within_the_page_has_a_target(page):
    targets = "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
    assert page.evaluate(f"{targets}.filter(id => !document.getElementById(id))") == []


COLUMN = "[...document.querySelectorAll('#{table} tbody tr')].map(r => r.cells[{column}].dataset.value)"


@pytest.mark.parametrize(
    ("table", "column", "numeric"),
    [("cells", 8, True), ("cells", 1, False), ("settings-table", 5, True), ("beside-table", 6, True)],
)
def test_a_click_on_a_heading_sorts_up_and_another_down(pages, table, column, numeric):
    page = pages[WIDE]
    key = (lambda x: float(x)) if numeric else str.lower
    for direction in ("ascending", "descending"):
        page.evaluate(f"document.querySelectorAll('#{table} thead button')[{column}].click()")
        shown = page.evaluate(COLUMN.format(table=table, column=column))
        known = [x for x in shown if x != ""]
        assert known == sorted(known, key=key, reverse=direction == "descending")
        assert shown[: len(known)] == known, "rows without a value come last"
        head = f"document.querySelectorAll('#{table} thead th')[{column}]"
        assert page.evaluate(f"{head}.getAttribute('aria-sort')") == direction
    assert len(shown) == page.evaluate(f"document.querySelectorAll('#{table} tbody tr').length") > 3


def test_everything_is_printed_also_what_is_folded(pages):
    page = pages[WIDE]
    page.reload()
    page.wait_for_function(READY)
    folded = page.pdf(prefer_css_page_size=True)
    assert folded.startswith(b"%PDF")
    assert page.evaluate("[...document.querySelectorAll('details')].every(part => part.open)")
    pages_of = folded.count(b"/Type /Page\n") + folded.count(b"/Type /Page ") + folded.count(b"/Type/Page/")
    assert pages_of >= 5


def test_a_sheet_of_paper_has_the_wide_figures(chromium, folder):
    page = chromium.new_page(viewport={"width": 688, "height": 1000})
    page.emulate_media(media="print")
    page.goto((folder / "report.html").as_uri())
    page.wait_for_function(READY)
    shown = """[...document.querySelectorAll('picture:has(source)')].map(
        p => p.querySelector('source').srcset === p.querySelector('img').currentSrc)"""
    narrow = page.evaluate(shown)
    page.close()
    assert len(narrow) > 0
    assert not any(narrow)


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize(("name", "link"), [("claims.html", "demo/report.html"), ("index.html", "demo/report.html")])
def test_pages_beside_the_studies_fit_and_lead_to_the_report(chromium, folder, width, name, link):
    page = chromium.new_page(viewport={"width": width, "height": HEIGHT})
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto((folder.parent / name).as_uri())
    page.wait_for_function(READY)
    assert messages == []
    assert page.evaluate("[...document.querySelectorAll('td a')].map(a => a.getAttribute('href'))").count(link) >= 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
