"""The page and the picture of a scorecard."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text

from analysis.scorecard.__main__ import main
from analysis.scorecard.card import card_of
from analysis.scorecard.cell import About, about
from analysis.scorecard.page import page
from analysis.scorecard.picture import HEIGHT, WIDTH, draw
from analysis.scorecard.said import said
from runs.record.archive import Archive, write_archive
from runs.scoring.measured import measured_file, write_measured
from tests.analysis.scorecard.studies import measured, three


@pytest.fixture(scope="module")
def study():
    return three()


@pytest.fixture(scope="module")
def whole(study):
    """Card, cell and sentences with all that can be measured."""
    card = card_of(study, "gru", measured())
    cell = about(study.design.variants["gru"], study.design.variants["vanilla"])
    return card, cell, said(card, cell)


@pytest.fixture(scope="module")
def figure(whole):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    found = draw(*whole)
    found.set_dpi(100)
    FigureCanvasAgg(found).draw()
    return found


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_the_picture_is_a_page_of_a4(figure):
    assert figure.get_size_inches().tolist() == pytest.approx([210 / 25.4, 297 / 25.4], abs=0.01)


def test_no_text_is_below_8_points(figure):
    assert [text.get_text() for text in texts(figure) if text.get_fontsize() < 8] == []


def test_all_text_is_on_the_page(figure):
    edge = np.array([[0.0, 0.0], [WIDTH, HEIGHT]]) * figure.dpi
    boxes = {text.get_text(): text.get_window_extent() for text in texts(figure)}
    outside = [t for t, b in boxes.items() if b.x0 < edge[0, 0] or b.x1 > edge[1, 0] or not 0 < b.y0 < edge[1, 1]]
    assert outside == []


def test_sentences_do_not_cover_each_other(figure):
    shown = [text for text in figure.texts if text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.98, 0.6)) for text in shown]
    assert [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)] == []


def test_the_picture_names_processor_commit_date_and_points(figure):
    shown = " ".join(text.get_text() for text in texts(figure))
    for fact in ("a processor", "c0ffee", "2026-01-02", "N = 12 points", "95 %"):
        assert fact in shown


def test_what_is_not_on_record_is_said_in_whole_words(study):
    bare = replace(card_of(study, "gru"), measured=measured()._replace(facts={}))
    foot = said(bare, About()).foot
    assert foot[-1] == "Speed and gradients: processor not on record, commit not on record, date not on record."


def test_facts_of_several_sessions_are_all_named(study):
    sessions = [
        {"processor": "one", "commit": "0123456789abcdef", "created": "2026-01-03T00:00:00+00:00"},
        {"processor": "one", "commit": "0123456789abffff", "created": "2026-01-02T00:00:00+00:00"},
        {"processor": "other", "commit": "c0ffee"},
    ]
    bare = replace(card_of(study, "gru"), measured=measured()._replace(facts={"sessions": sessions}))
    assert said(bare, About()).foot[-1] == (
        "Speed and gradients: processor one and other, commit 0123456789ab and c0ffee, date 2026-01-02 to 2026-01-03."
    )


def test_the_page_says_verdict_equations_and_places(whole):
    written = page(*whole, {"PNG": "gru.png"})
    for text in (whole[2].headline, "u · h′ + (1 − u) · n", "3,360 with 2 inputs", 'href="gru.png"', "0.75 times"):
        assert text in written
    assert written.count('<th scope="row">') == 4  # three lags and all of them together
    assert "http" not in written.replace("http://www.w3.org", "")


def test_what_was_not_measured_is_said(study):
    card = card_of(study, "gru")
    written = page(card, About(why="its class is not imported"), said(card, About(why="its class is not imported")), {})
    assert written.count("Not measured: python -m runs.score") == 2
    assert "No diagram: its class is not imported" in written


@pytest.fixture
def archive(study, tmp_path):
    write_archive(Archive(study.every, study.design, study.about), tmp_path)
    return tmp_path / "trials.parquet"


@pytest.mark.slow
def test_the_command_writes_page_and_pictures(archive, study, tmp_path, capsys):
    out = tmp_path / "out"
    write_measured(measured_file(out / study.name, "gru"), measured())
    assert main([f"from={archive}", "variant=gru", f"out={out}"]) == 0
    names = {path.name for path in (out / study.name / "score").iterdir()}
    assert names == {f"gru.{kind}" for kind in ("html", "png", "pdf", "svg", "csv", "json")}
    assert "0.50 (0.40 to 0.60)" not in capsys.readouterr().out
    assert "after 45 steps" in (out / study.name / "score" / "gru.html").read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "say which study"),
        (("from=absent.parquet", "variant=gru"), "there is no file absent.parquet"),
        (("from={archive}",), "say which cell"),
        (("from={archive}", "variant=grru"), "unknown variant 'grru'; did you mean 'gru'"),
        (("from={archive}", "study=lags", "variant=gru"), "study or from, not both"),
        (("from={archive}", "variant=gru", "measured={damaged}"), "is not a file of python -m runs.score"),
        (("from={archive}", "variant=gru", "measured={other}"), "is of irnn, not of gru"),
    ],
)
def test_a_mistake_is_one_line(words, line, archive, tmp_path, capsys):
    damaged, other = tmp_path / "damaged.json", tmp_path / "other.json"
    damaged.write_text("{}")
    write_measured(other, measured("irnn"))
    given = [word.format(archive=archive, damaged=damaged, other=other) for word in words]
    assert main([*given, f"out={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert line in said[0]
    assert not (tmp_path / "out").exists()


def test_a_diagram_that_would_be_too_small_is_left_to_the_page(study):
    card = card_of(study, "gru")
    wide = about({"_target_": "variants.Grid", "label": "grid"}, study.design.variants["vanilla"])
    sentences = said(card, wide)
    shown = " ".join(text.get_text() for text in draw(card, wide, sentences).texts)
    assert "The diagram is too large for this picture" in shown
    assert "<title>The cell grid" in page(card, wide, sentences, {})
