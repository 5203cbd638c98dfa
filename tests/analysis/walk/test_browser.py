"""Tests of the page of a walk in a browser: what is shown are the numbers of its data."""

import pytest

from analysis.walk.data import View, page_data
from analysis.walk.page import Asked, page
from tests.analysis.walk.walks import moments_of, trained, unpacked
from tests.browsing import needs_browser, opened

pytestmark = needs_browser


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The address of a page, and the data in it."""
    found = trained("variant=vanilla", "task.lag=7", "hidden_size=5")
    moments, batch = moments_of(found)
    view = View(0, 2)
    path = tmp_path_factory.mktemp("walk") / "page.html"
    path.write_text(page(found, moments, view, batch, Asked([])), encoding="utf-8")
    return path.as_uri(), page_data(moments, view, found.task, batch)


def shown(tab, kind):
    """The numbers on the wires, by the number of their node."""
    texts = tab.eval_on_selector_all(
        f"#drawing text.{kind}", "all => all.filter(t => t.textContent).map(t => [+t.dataset.value, t.textContent])"
    )
    return {node: float(text.replace("−", "-")) for node, text in texts}


def assert_shown(tab, data, moment, unit, step):
    packed, nodes = unpacked(data), [part["node"] for part in data["parts"]]
    for kind, first in (("number", 0), ("slope", len(nodes))):
        found = shown(tab, kind)
        assert len(found) > 8
        for node, value in found.items():
            expected = float(packed[moment, first + nodes.index(node), unit, step])
            written = 5.1e-3 if abs(expected) > 0.0995 else 5.1e-4  # two digits after the point, three where small
            assert value == pytest.approx(expected, abs=written)


def test_slider_unit_and_training_change_the_numbers_to_those_of_the_data(walk):
    address, data = walk
    with opened(address) as tab:
        first = data["marked"].index(True)
        assert_shown(tab, data, 1, 2, first)
        tab.fill("#step", "6")
        assert_shown(tab, data, 1, 2, 5)
        tab.check("input[name=moment][value='0']")
        assert_shown(tab, data, 0, 2, 5)
        tab.select_option("#unit", label="5")
        assert_shown(tab, data, 0, 4, 5)
        tab.click("#strips tr.steps td:nth-child(2)")
        assert_shown(tab, data, 0, 4, 0)
        assert tab.messages == []
        assert tab.asked == [address]


def test_arrow_keys_and_play_move_in_time(walk):
    with opened(walk[0]) as tab:
        tab.fill("#step", "2")
        tab.eval_on_selector("#step", "slider => slider.blur()")
        tab.keyboard.press("ArrowRight")
        assert tab.text_content("#at") == "step 3 of 7"
        tab.keyboard.press("ArrowLeft")
        tab.keyboard.press("ArrowLeft")
        assert tab.text_content("#at") == "step 1 of 7"
        tab.click("#play")
        tab.wait_for_function("document.getElementById('at').textContent === 'step 2 of 7'")
        tab.click("#play")
        assert tab.text_content("#play") == "▶ play"


def test_the_part_under_the_pointer_is_explained_with_its_numbers(walk):
    address, data = walk
    part = next(k for k, part in enumerate(data["parts"]) if part["equation"] == "f · c′")
    node = data["parts"][part]["node"]
    with opened(address) as tab:
        tab.dispatch_event(f"#drawing g.node[data-value='{node}']", "click")
        assert tab.text_content("#equation") == "f · c′"
        value = unpacked(data)[1, part, 2, data["marked"].index(True)]
        assert float(tab.text_content("#worth").replace("−", "-")) == pytest.approx(value, abs=6e-5)


def test_a_strip_shows_the_values_of_its_part_at_every_step(walk):
    address, data = walk
    part = next(k for k, part in enumerate(data["parts"]) if part["name"] == "c")
    with opened(address) as tab:
        row = tab.locator("#strips tr.number", has=tab.locator("th", has_text="c")).first
        cells = row.locator("td").all_text_contents()
    wanted = unpacked(data)[1, part, 2]
    assert [float(text.replace("−", "-")) for text in cells] == pytest.approx(wanted, abs=0.0051)


def test_a_phone_does_not_scroll_sideways(walk):
    with opened(walk[0], width=390) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
