"""Where texts and marks stand on a scorecard: they fit the page, and none covers another."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis import words
from analysis.figures.look import settings
from analysis.load import Options, load
from analysis.scorecard import page, panels
from analysis.scorecard.card import card_of
from analysis.scorecard.cell import About, about
from analysis.scorecard.fitting import BESIDE, DOTS, ELLIPSIS, LINE, beside, width_of, wrapped
from analysis.scorecard.picture import EDGE, HALF, HEIGHT, INNER, STRIP, TOP, WIDTH, _columns, _lag, _name, draw
from analysis.scorecard.said import said
from analysis.study import Study
from runs.record.shipped import located
from runs.scoring.measured import Speed
from tasks.catalogue import entries
from tests.analysis.scorecard.studies import card, measured, place, three

CARDS = {  # archive, variant, another cell, and quartiles of the speed
    "several lags": ("attention", "vanilla", "vanilla_attention", (0.25, 0.4)),
    "losses": ("real", "vanilla", "rnn", (0.2, 25.0)),
    "a baseline at the floor": ("generative", "vanilla_storn", "vanilla", (8.0, 8000.0)),
}


def at_speed(card, low, high):
    """The card with a cell of a speed in this range, and many units."""
    middle = float(np.sqrt(low * high))
    rows = (Speed(match, 512, 1365, 100, 32, middle, low, high, 0.01, 31) for match in ("width", "parameters"))
    return replace(card, measured=measured(card.variant)._replace(speeds=tuple(rows)))


def rendered(figure):
    figure.set_dpi(DOTS)
    figure.draw_without_rendering()
    return figure


def picture(card):
    cell = about(card.study.design.variants[card.variant], card.study.design.variants[card.baseline])
    return rendered(draw(card, cell, said(card, cell)))


@pytest.fixture(scope="module", params=CARDS)
def shipped(request):
    """The card of a cell of an archive, of which two cells are enough to lay it out."""
    archive, variant, other, speed = CARDS[request.param]
    study = Study.from_archive(load(Options(archive=located(f"archive:{archive}"))))
    few = study.every[study.every["variant"].isin([variant, other]) & (study.every["point"] < 12)]
    return at_speed(card_of(Study(few, study.design, study.about), variant), *speed)


@pytest.fixture(scope="module")
def drawn(shipped):
    return picture(shipped)


@pytest.fixture(scope="module")
def written(drawn):
    return texts(drawn)


def texts(figure):
    """The texts of a figure but those of the diagram, with their places in inches."""
    inside = {text for axes in figure.axes if not axes.axison for text in axes.findobj(Text)}
    shown = [t for t in figure.findobj(Text) if t not in inside and t.get_text().strip() and t.get_visible()]
    return [(text.get_text(), scaled(text.get_window_extent())) for text in shown]


def marks(axes):
    """The marks of axes, with their places in inches, and whether what reaches beyond the axes is cut off."""
    for line in axes.lines:
        if line.get_marker() != "None":
            radius = (line.get_markersize() / 2 + line.get_markeredgewidth() / 2) / 72
            # a stroke has no width of its own
            across = line.get_markeredgewidth() / 144 if line.get_marker() == "|" else radius
            for x, y in axes.transData.transform(line.get_xydata()) / DOTS:
                yield Bbox([[x - across, y - radius], [x + across, y + radius]]), line.get_clip_on()


def scaled(box):
    return Bbox(box.get_points() / DOTS)


def covered(shown):
    boxes = [(text, box.shrunk(0.98, 0.6)) for text, box in shown]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def beyond(shown, box, slack=0.04):
    x0, y0, x1, y1 = box
    within = x0 - slack, y0 - slack, x1 + slack, y1 + slack
    return [t for t, b in shown if b.x0 < within[0] or b.y0 < within[1] or b.x1 > within[2] or b.y1 > within[3]]


def cut(figure):
    """Marks that the edge of their axes cuts."""
    return [
        (axes.get_xlabel(), box.bounds)
        for axes in figure.axes
        for box, clipped in marks(axes)
        if clipped and scaled(axes.get_window_extent()).padded(1e-6).count_contains(box.corners()) < 4
    ]


def test_no_text_covers_another(written):
    assert covered(written) == []


def test_no_text_leaves_the_margins(written):
    assert beyond(written, (EDGE, TOP, WIDTH - EDGE, HEIGHT - TOP)) == []


def test_no_mark_covers_a_text(drawn, written):
    found = [box for axes in drawn.axes for box, _ in marks(axes)]
    assert [text for text, own in written if any(own.shrunk(1, 0.8).overlaps(box) for box in found)] == []


def test_marks_are_whole(drawn):
    assert cut(drawn) == []


def test_each_panel_of_the_page_holds_its_texts(shipped):
    with settings():
        for panel in (page._half_lags, page._gradients, page._sensitivity, page._speed):
            if panel is not page._half_lags or shipped.own_half_lags:
                figure = rendered(page.painted(panel(shipped)))
                width, height = figure.get_size_inches()
                assert (covered(texts(figure)), cut(figure)) == ([], [])
                assert beyond(texts(figure), (0, 0, width, height), slack=0.02) == []


def test_a_loss_beyond_the_axis_stands_at_its_end():
    archive, variant, other, _ = CARDS["losses"]
    study = Study.from_archive(load(Options(archive=located(f"archive:{archive}"))))
    few = study.every[study.every["variant"].isin([variant, other]) & (study.every["point"] < 10)]
    one = card_of(Study(few, study.design, study.about), variant)
    far = replace(one, levels={task: {**levels, other: 1e4} for task, levels in one.levels.items()})
    for axes in picture(far).axes:
        inner = scaled(axes.get_window_extent()).padded(0.06)
        assert all(inner.fully_containsx(box.x0) and inner.fully_containsx(box.x1) for box, _ in marks(axes))


@pytest.mark.parametrize("ends", [(0.25, 0.25), (0.2, 1.1), (0.45, 2.2), (0.04, 25), (8, 8000), (0.99, 1.01)])
def test_at_any_speed_numbers_are_apart_and_marks_clear_of_the_axis(ends, three_cells):
    with settings():
        figure = rendered(page.painted(page._speed(at_speed(three_cells, *ends))))
    (axes,) = figure.axes
    assert covered([shown for shown in texts(figure) if shown[0][0].isdigit()]) == []
    assert "1" in [label.get_text() for label in axes.get_xticklabels()]
    inner = scaled(axes.get_window_extent())
    assert all(inner.x0 < box.x0 and box.x1 < inner.x1 for box, _ in marks(axes))


@pytest.fixture(scope="module")
def three_cells():
    return card_of(three(), "gru", measured())


@pytest.mark.parametrize("units", [(32, 46), (128, 182)])
def test_the_texts_of_usual_speeds_have_one_line_each(units, three_cells):
    """Several lines a row would take the room of the diagram."""
    widths = {"width": units[0], "parameters": units[1]}
    speeds = [Speed(match, units[0], own, 100, 32, 0.5, 0.4, 0.6, 0.01, 31) for match, own in widths.items()]
    one = replace(three_cells, measured=measured()._replace(speeds=tuple(speeds)))
    assert panels.speed_texts(one, HALF, 0.17).row == 0.17


def test_the_names_of_the_tasks_of_lags_have_one_line_each(three_cells):
    series = ["adding", "selective_copying", "temporal_order", "delayed_recall"]
    rows = three_cells.half_lags[three_cells.half_lags["variant"] == "gru"]
    found = pd.concat([rows.assign(series=name) for name in series], ignore_index=True)
    assert panels.half_lag_texts(replace(three_cells, half_lags=found), HALF, 0.22).row == 0.22


@pytest.mark.parametrize("room", [HALF, page.WIDTH - 2 * page.EDGE])
def test_names_of_all_tasks_fit_beside_half_lags(room):
    rows = [(words.spoken(name), "155 [106, ≥ 160]") for name in entries()]
    for texts in (beside(rows, room, 0.22), *(beside([row], room, 0.22) for row in rows)):
        assert all(width_of(line) <= texts.before - BESIDE + 1e-9 for text in texts.left for line in text.split("\n"))
        assert texts.before + texts.width + texts.after == pytest.approx(room)
        assert texts.width >= 0.5
        assert ELLIPSIS not in "".join(texts.left + texts.right)
        assert texts.row >= LINE * max(1 + text.count("\n") for text in texts.left)


@pytest.mark.parametrize("lag", [5, 1000])
def test_names_of_all_tasks_fit_before_their_lags(lag):
    ranks = {"rank": 12, "rank_low": 10, "rank_high": 12}
    for name in entries():
        row = place(f"{name}_{lag}", "open", lag=lag, series=name, **ranks)
        columns = _columns([row])
        assert width_of(_name(row)) <= columns.names
        assert EDGE + columns.names < columns.lag - width_of(_lag(row))
        assert columns.lag < columns.strip
        assert columns.width >= STRIP


def test_a_name_without_end_is_shortened():
    assert [width_of(line) <= 1.0 for line in wrapped("a " + 50 * "cell_" + " b", 1.0)] == [True] * 3
    columns = _columns([place("task", "open", series=30 * "cell_", rank=2)])
    assert columns.width == pytest.approx(STRIP)


@pytest.fixture(scope="module")
def title():
    """Returns the title of a card of a variant."""
    one = card(place("adding", "open"))
    return lambda name: said(replace(one, variant=name), About()).title


def test_all_titles_fit_the_page(title):
    for name in sorted(words.NAMES, key=lambda name: -len(title(name)))[:5]:
        assert "".join(wrapped(title(name), INNER, 15, "bold")).replace(" ", "") == title(name).replace(" ", "")


def test_a_title_keeps_the_case_of_a_name(title):
    for name in ("slstm", "mlstm", "min_gru", "min_lstm", "iRNN", "xLSTM"):
        assert title(name).startswith(words.spoken(name))
    assert title("rnn") == "Plain tanh network (rnn)"


def test_all_marks_of_a_share_are_whole_at_both_ends(three_cells):
    thirds = three_cells.thirds.assign(value=[0.0, 1.0] * (len(three_cells.thirds) // 2))
    with settings():
        figure = rendered(page.painted(page._sensitivity(replace(three_cells, thirds=thirds))))
    assert panels.own_and_baseline(three_cells) == ["vanilla", "gru"]
    assert cut(figure) == []
