from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from analysis.explorer.explorer import write_explorer
from analysis.tables.trial_commands import trial_commands
from analysis.words import spoken
from tests.analysis.explorer.made import command_of, demo, odd, runnable, series, without_curves
from tests.analysis.real import chorales
from tests.analysis.synthetic import as_study, by_hand, study
from tests.browsing import needs_browser, opened

pytestmark = needs_browser

VARIANTS = ["vanilla", "gru", "no_forget_gate"]
STUDIES = {
    "demo": demo,
    "runnable": lambda: runnable(["vanilla", "gru", "rnn"]),
    "series": series,
    "losses": lambda: as_study(*chorales(("greff_v", "greff_nfg", "greff_noaf"))),
    "odd": odd,
    "without_curves": without_curves,
    "one_variant": lambda: as_study(*study(("vanilla",), points=5)),
    "one_trial": lambda: by_hand({}),
    "one_point": lambda: by_hand(*[{"variant": v} for v in VARIANTS]),
    "unsolved": lambda: by_hand(*[{"status": "finished", "score": 0.1}] * 4),
    "failed": lambda: as_study(*study(("vanilla",), points=3, failed=1.0)),
    "without_space": lambda: by_hand(*[{"variant": v} for v in ("vanilla", "gru")], space={}),
    "search": lambda: by_hand(*[{"status": s} for s in ("solved", "pruned", "finished")], sampler="tpe", pruner="asha"),
}


class Explorer:
    """The page of one study at a time, in one browser."""

    def __init__(self, page, folder):
        self.page, self.folder, self.study = page, folder, None

    def open(self, name, state=""):
        """Open the page of a study afresh, with the state behind # in its address."""
        path = self.folder / name / "explorer.html"
        self.study = STUDIES[name]()
        if not path.exists():
            write_explorer(self.study, path, trial_commands)
        self.page.goto("about:blank")
        self.page.messages.clear()
        self.page.asked.clear()
        self.page.goto(path.as_uri() + state)
        self.page.wait_for_function("window.explorer !== undefined")
        self.settle()
        return self.study.table

    def settle(self):
        """Wait for the table, which follows the plots."""
        self.page.evaluate("new Promise(done => setTimeout(done, 60))")

    @property
    def shown(self):
        return self.page.evaluate("explorer.shown()")

    @property
    def curves(self):
        return self.page.evaluate("explorer.curves()")

    @property
    def counts(self):
        return self.page.inner_text("#counts")

    @property
    def state(self):
        return self.page.evaluate("location.hash")

    def click(self, key):
        """Click the button of a cell, a heading or a filter."""
        self.page.click(f'[data-key="{key}"]')
        self.settle()

    def place(self, row):
        """Where the mark of a trial is, in the window."""
        box = self.page.locator("#scatter canvas.over").bounding_box()
        at = f"(() => {{ const s = explorer.scatter(); return s.places[s.rows.indexOf({row})]; }})()"
        left, top = self.page.evaluate(at)
        return box["x"] + left, box["y"] + top

    def drag(self, *corners):
        """Draw a region between two places."""
        (x0, y0), (x1, y1) = corners
        self.page.mouse.move(x0, y0)
        self.page.mouse.down()
        self.page.mouse.move(x1, y1, steps=4)
        self.page.mouse.up()
        self.settle()


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    with opened("about:blank") as page:
        yield Explorer(page, tmp_path_factory.mktemp("explorer"))


def rows(table, mask):
    return np.flatnonzero(mask).tolist()


@pytest.mark.parametrize("name", STUDIES)
def test_opens_without_a_message_or_a_request_and_shows_every_trial(explorer, name):
    table = explorer.open(name)
    assert explorer.page.messages == []
    assert [url for url in explorer.page.asked if not url.startswith("data:")] == [explorer.page.url]
    assert explorer.counts.startswith(f"{len(table)} of {len(table)} trial")
    assert explorer.shown == list(range(len(table)))


@pytest.mark.parametrize("name", ["demo", "losses"])
def test_the_map_holds_the_numbers_of_the_summary(explorer, name):
    explorer.open(name)
    cells = explorer.page.evaluate("mapNumbers(explorer.study, explorer.study.rows).flat()")
    summary = explorer.study.summary
    assert [cell["trials"] for cell in cells] == summary["trials"].tolist()
    assert [cell["solved"] for cell in cells] == summary["solved"].tolist()
    assert [cell["failed"] for cell in cells] == summary["failed"].tolist()
    if name == "demo":
        assert [cell["share"] for cell in cells] == pytest.approx(summary["solve_rate"].tolist())
    else:
        assert [cell["loss"] for cell in cells] == pytest.approx(summary["decile_loss"].tolist(), rel=1e-5)
        assert [cell["share"] for cell in cells] == pytest.approx(summary["decile_score"].tolist(), rel=1e-5)


def test_a_cell_opens_its_trials_and_opens_all_again(explorer):
    table = explorer.open("demo")
    explorer.click("copying/gru")
    assert explorer.state == "#task=copying&variant=gru"
    own = (table["task"] == "copying") & (table["variant"] == "gru")
    assert explorer.shown == rows(table, own)
    assert explorer.counts == f"{own.sum()} of {len(table)} trials shown: {(~own).sum()} hidden by filters."
    explorer.click("copying/gru")
    assert explorer.shown == rows(table, table["task"] != "")
    assert explorer.state == ""


@pytest.mark.parametrize(
    ("key", "column", "value"),
    [
        ("variant/gru", "variant", "gru"),
        ("task/adding", "task", "adding"),
        *((status, "status", status) for status in ("solved", "finished", "diverged", "failed")),
    ],
)
def test_a_filter_shows_the_trials_that_have_the_value(explorer, key, column, value):
    table = explorer.open("demo")
    explorer.click(key)
    own = table[column] == value
    assert 0 < own.sum() < len(table)
    assert explorer.shown == rows(table, own)
    assert explorer.counts.startswith(f"{own.sum()} of {len(table)} trials shown: {(~own).sum()} hidden")


def test_two_values_of_a_filter_add_up(explorer):
    table = explorer.open("demo")
    explorer.click("variant/gru")
    explorer.click("variant/vanilla")
    assert explorer.shown == rows(table, table["variant"].isin(["gru", "vanilla"]))


def test_a_lag_is_a_filter_of_a_series(explorer):
    table = explorer.open("series")
    explorer.click("60")
    assert explorer.shown == rows(table, table["lag"] == 60)
    explorer.open("demo")
    assert not explorer.page.is_visible("#lag")


def test_the_name_of_a_series_stands_for_its_tasks(explorer):
    table = explorer.open("series", "#task=adding&variant=gru")
    assert explorer.shown == rows(table, table["variant"] == "gru")


def test_filters_say_how_many_trials_they_would_show(explorer):
    table = explorer.open("demo", "#variant=gru&status=solved")
    texts = explorer.page.locator("#status button").all_inner_texts()
    found = {text.split(" (")[0]: int(text.split(" (")[1][:-1]) for text in texts}
    own = table[table["variant"] == "gru"]["status"].replace("finished", "not solved")
    assert found == own.value_counts().to_dict()


def test_dragging_a_region_shows_the_curves_of_exactly_its_trials(explorer):
    table = explorer.open("demo", "#variant=gru")
    box = explorer.page.locator("#scatter canvas.over").bounding_box()
    explorer.drag((box["x"] + 120, box["y"] + 90), (box["x"] + 270, box["y"] + 250))
    bounds = explorer.state.split("region=")[1].split("&")[0].split(",")
    low_x, high_x, low_y, high_y = map(float, bounds)
    inside = table["learning_rate"].between(low_x, high_x) & table["test_loss"].between(low_y, high_y)
    own = inside & (table["variant"] == "gru")
    assert 3 < own.sum() < (table["variant"] == "gru").sum()
    assert explorer.curves == explorer.shown == rows(table, own)
    outside = (table["variant"] == "gru").sum() - own.sum()
    assert explorer.counts.endswith(
        f"{(table['variant'] != 'gru').sum()} hidden by filters, {outside} outside the region."
    )


def test_a_region_that_reaches_into_the_strip_holds_the_trials_without_a_value(explorer):
    table = explorer.open("demo", "#y=solved_step&region=0.001,0.01,-Infinity,Infinity")
    inside = table["learning_rate"].between(0.001, 0.01)
    assert explorer.shown == rows(table, inside)
    explorer.page.evaluate("document.getElementById('bounds').open = true")
    explorer.page.fill("#y-high", "1000")
    explorer.page.press("#y-high", "Enter")
    explorer.settle()
    assert explorer.shown == rows(table, inside & (table["solved_step"] <= 1000))


def test_the_map_counts_the_trials_of_a_region_of_hyperparameters_only(explorer):
    table = explorer.open("demo", "#region=0.001,0.01,-Infinity,Infinity")
    own = table[table["learning_rate"].between(0.001, 0.01) & (table["status"] != "failed")]
    expected = own.groupby(["task", "variant"]).size()
    for (task, variant), trials in expected.items():
        text = explorer.page.inner_text(f'[data-key="{task}/{variant}"]')
        assert text.endswith(f"/{trials}"), (task, variant, text)


def test_a_region_of_results_does_not_change_the_map(explorer):
    explorer.open("demo")
    whole = explorer.page.inner_text("#map")
    explorer.open("demo", "#region=0,1,0,0.02&x=score")
    assert 0 < len(explorer.shown) < 120
    assert explorer.page.inner_text("#map") == whole


def test_equal_values_of_two_variants_do_not_hide_each_other(explorer):
    explorer.open("one_point")
    places = explorer.page.evaluate("explorer.scatter().places")
    assert len({round(left, 2) for left, _ in places}) == 3
    assert max(left for left, _ in places) - min(left for left, _ in places) <= 12


def test_every_trial_has_a_place_in_the_plot_also_without_a_loss(explorer):
    table = explorer.open("demo")
    missing = table["test_loss"].isna()
    assert missing.sum() > 2
    places = explorer.page.evaluate(
        "(() => { const s = explorer.scatter(); return s.places.map(p => [...p, s.y.end]); })()"
    )
    assert len(places) == len(table)
    assert np.isfinite(places).all()
    above = [top < end for _, top, end in places]
    assert rows(table, np.array(above)) == rows(table, missing)
    assert f"{missing.sum()} trials without test loss (no loss)" in explorer.page.inner_text("#scatter-says")


def test_the_address_keeps_the_state(explorer):
    state = (
        "#task=adding&variant=vanilla,gru&status=solved,diverged&x=size&y=seconds&ylog=no&region=10,60,0,9"
        "&over=seconds&curves=linear&sort=-seconds&trial=adding/gru/2"
    )
    explorer.open("demo", state)
    first = explorer.shown
    assert 0 < len(first) < 80
    explorer.page.select_option("#over", "steps")
    explorer.page.select_option("#over", "seconds")
    assert explorer.state == state
    explorer.open("demo", explorer.state)
    assert explorer.shown == first
    assert "gru" in explorer.page.inner_text("#detail")


def test_the_page_follows_its_address(explorer):
    table = explorer.open("demo", "#variant=gru")
    explorer.page.evaluate("location.hash = '#variant=vanilla'")
    explorer.settle()
    assert explorer.shown == rows(table, table["variant"] == "vanilla")


@pytest.mark.parametrize(
    "state", ["#variant=nobody", "#x=nothing&y=%E0%A4%A", "#region=1,2,x,4", "#trial=a/b/c", "#&&=="]
)
def test_an_address_that_makes_no_sense_is_left_out(explorer, state):
    table = explorer.open("demo", state)
    assert explorer.page.messages == []
    assert len(explorer.shown) == len(table)


def test_reset_shows_everything_again(explorer):
    table = explorer.open("demo", "#task=adding&x=size&region=10,60,0,9&trial=adding/gru/2")
    explorer.page.click("#reset")
    explorer.settle()
    assert (explorer.state, len(explorer.shown)) == ("", len(table))
    assert explorer.page.input_value("#x") == "learning_rate"


def test_no_trial_is_said_everywhere(explorer):
    explorer.open("demo", "#region=1e5,1e6,-Infinity,Infinity")
    assert explorer.counts.startswith("0 of 120 trials shown")
    for place in ("#curves", "#table-says"):
        assert "No trial fits these filters." in explorer.page.inner_text(place)


def test_a_click_on_a_mark_shows_the_values_and_the_command_of_the_trial(explorer):
    table = explorer.open("runnable")
    for row in range(len(table)):
        explorer.page.mouse.click(*explorer.place(row))
        explorer.settle()
        assert explorer.page.inner_text("#command") == command_of(explorer.study, row)
        assert table["trial_id"][row] in explorer.page.inner_text("#detail")


def test_the_pointer_over_a_mark_tells_its_values(explorer):
    table = explorer.open("runnable")
    explorer.page.mouse.move(*explorer.place(1))
    tip = explorer.page.inner_text("#tip")
    assert spoken(table["variant"][1]) in tip
    assert f"{spoken('size')}: {table['size'][1]}" in tip


def test_the_command_is_copied_and_selected_where_copying_is_refused(explorer):
    explorer.open("runnable", "#trial=adding/gru/1")
    with suppress(Exception):
        explorer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = explorer.page.inner_text("#command")
    explorer.page.click("#copy")
    explorer.page.wait_for_function("/Copied/.test(document.querySelector('#detail').innerText)")
    refuse = "navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => false"
    explorer.page.evaluate(refuse)
    explorer.page.click("#copy")
    explorer.page.wait_for_function("/press Ctrl/.test(document.querySelector('#detail').innerText)")
    assert explorer.page.evaluate("getSelection().toString()").strip() == text


def test_keys_reach_a_trial_without_a_pointer(explorer):
    explorer.open("runnable")
    explorer.page.focus("#scatter canvas.over")
    explorer.page.keyboard.press("ArrowRight")
    explorer.page.keyboard.press("ArrowRight")
    assert explorer.page.is_visible("#tip")
    explorer.page.keyboard.press("Enter")
    explorer.settle()
    assert explorer.page.inner_text("#command").startswith("python -m runs")


@pytest.mark.parametrize("column", ["seconds", "test_loss", "variant"])
def test_a_click_on_a_heading_sorts_the_table(explorer, column):
    table = explorer.open("demo", "#task=adding")
    own = table[table["task"] == "adding"]
    names = [spoken(v) for v in VARIANTS]
    values = own["variant"].map(VARIANTS.index) if column == "variant" else own[column]
    for down in (False, True):
        explorer.click(f"sort/{column}")
        order = values.sort_values(ascending=not down, kind="stable", na_position="last").index
        shown = explorer.page.evaluate("[...document.querySelectorAll('#table tbody button')].map(b => b.dataset.key)")
        ours = [values[int(key.split("/")[1])] for key in shown]
        np.testing.assert_array_equal(ours, values[order])
    assert explorer.page.inner_text("#table tbody button") in names


def test_a_long_table_says_that_it_is_cut(explorer):
    table = explorer.open("demo")
    assert len(table) == 120
    assert explorer.page.inner_text("#table-says").startswith("The first 100 of 120 trials, best first.")
    assert explorer.page.locator("#table tbody tr").count() == 100


def test_labels_are_text(explorer):
    explorer.open("odd", "#trial=" + "adding/%3C%2Fscript%3E%3Cb%3Ex%20%26%20y%3C%2Fb%3E/1")
    assert explorer.page.locator("b, i").count() == 0
    assert "</script>" in explorer.page.inner_text("#map")
    assert "<i>'\"</i>" in explorer.page.inner_text("#detail")


def test_curves_run_over_seconds_and_epochs_where_they_are_known(explorer):
    table = explorer.open("losses", "#over=epochs")
    ends = explorer.page.evaluate("explorer.curves().map(row => across(explorer.study, {over: 'epochs'}, row).at(-1))")
    assert ends == pytest.approx(table["epochs"][explorer.curves].tolist(), rel=1e-4)
    explorer.open("demo", "#over=epochs")
    assert explorer.page.input_value("#over") == "steps"


@pytest.mark.parametrize("name", STUDIES)
def test_a_phone_shows_one_column_without_a_scroll_to_the_side(explorer, name):
    explorer.page.set_viewport_size({"width": 390, "height": 844})
    try:
        explorer.open(name)
        assert explorer.page.evaluate("document.documentElement.scrollWidth") <= 390
        texts = "[...document.querySelectorAll('p, td, th, button, dt, dd, code, small, legend')]"
        sizes = explorer.page.evaluate(f"{texts}.map(e => parseFloat(getComputedStyle(e).fontSize))")
        assert min(sizes) >= 10.7, "8 points"
        assert not explorer.page.is_visible("#status"), "filters are folded"
    finally:
        explorer.page.set_viewport_size({"width": 1280, "height": 900})


def test_one_trial_has_the_words_of_its_task_where_it_used_its_budget(explorer):
    explorer.open("unsolved", "#trial=adding/vanilla/0")
    assert ": not solved, which means" in explorer.page.inner_text("#detail")
    assert explorer.page.inner_text('[data-key="finished"]').startswith("not solved (")
    explorer.page.wait_for_selector("#table tbody td:text-is('not solved')")
