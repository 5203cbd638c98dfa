from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from analysis.figures import boxes, look, pieces
from tests.analysis.figures.readable import contrast
from tests.analysis.synthetic import as_study, study

MACHADO = {  # of full severity, on linear colours; Machado, Oliveira & Fernandes 2009
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = [[0.412456, 0.357576, 0.180438], [0.212673, 0.715152, 0.072175], [0.019334, 0.119192, 0.950304]]
WHITE = (0.95047, 1.0, 1.08883)


def seen(colour, kind):
    """The colour in CIELAB as a reader sees it whose colour vision is of a kind."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    shares = TO_XYZ @ np.clip(np.array(MACHADO[kind]) @ linear, 0, 1) / WHITE
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_lab_is_that_of_a_known_colour():
    assert seen("#ff0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("kind", MACHADO)
def test_colours_stay_apart_under_colour_blindness(kind):
    colours = sorted({own.colour for own in look.LOOKS.values()})
    close = {pair: np.linalg.norm(seen(pair[0], kind) - seen(pair[1], kind)) for pair in combinations(colours, 2)}
    assert min(close.values()) >= 20, f"{min(close, key=close.get)}: nearer than 20 (CIE76) with {kind}"


@pytest.mark.parametrize("variant", look.LOOKS)
def test_every_colour_has_a_contrast_of_three_on_white(variant):
    assert contrast(look.LOOKS[variant].colour) >= 3


def test_greys_have_their_contrast_on_white():
    assert (contrast(look.BACK) >= 3, contrast(look.GREY) >= 4.5) == (True, True)


def test_vanilla_is_black():
    assert look.look("vanilla").colour == "#000000"


def test_no_two_known_variants_look_alike():
    same = [(a, b) for a, b in combinations(look.LOOKS, 2) if look.LOOKS[a] == look.LOOKS[b]]
    assert not same, f"give one of each pair another marker or dash in look.LOOKS: {same}"


def test_an_unknown_variant_looks_the_same_in_every_study():
    assert look.look("my_own_cell") == look.look("my_own_cell") == look.Look(look.COLOURS[1], "<", (0, (1.5, 1)))


def test_an_unknown_variant_is_not_taken_for_a_known_one():
    known = {(own.colour, own.marker) for own in look.LOOKS.values()}
    assert not known & {look.look(f"cell_{k}")[:2] for k in range(50)}


def test_names_in_small_print_have_enough_contrast():
    for variant, own in look.LOOKS.items():
        assert contrast(pieces.readable(own.colour)) >= 4.5, f"{variant}: contrast of its name on white"


def test_text_in_a_cell_is_black_or_white_by_its_contrast():
    for share in np.linspace(0, 1, 21):
        cell = colormaps[look.VALUES](share)
        ink = {"white": contrast(cell), "black": 21 / contrast(cell)}
        assert ink[pieces.ink_on(cell)] >= 4.5


def test_ticks_of_a_log_axis_are_round_and_more_than_one():
    assert pieces.log_places(8, 128, 4) == [10, 20, 50, 100]
    assert pieces.log_places(12, 60, 5) == [15, 20, 30, 40, 50]
    assert pieces.log_places(1e-4, 1e-1, 4) == [1e-4, 1e-3, 1e-2, 1e-1]


def test_a_page_is_narrow_only_within_its_block():
    with look.drawing_for(look.NARROW):
        assert (look.page().width, look.page().columns(4), look.page().columns(4, 2)) == (3.5, 1, 2)
    assert (look.page().width, look.page().columns(4)) == (7.2, 4)


def test_figures_have_reproducible_bytes(tmp_path):
    small = as_study(*study(("vanilla", "gru"), points=20))
    for folder in "ab":
        look.save(
            *boxes.FIGURE.drawn(small)[:1], tmp_path / folder, "boxes", boxes.numbers(small).data, ("svg", "png", "pdf")
        )
    for suffix in ("svg", "pdf", "png", "csv"):
        first, second = ((tmp_path / folder / f"boxes.{suffix}").read_bytes() for folder in "ab")
        assert first == second, f"the {suffix} differs between two drawings"


def test_labels_are_moved_apart_and_stay_inside():
    moved = pieces.spread([0.5, 0.5, 0.5, 0.98, 1.0], gap=0.1)
    assert np.sort(moved).tolist() == pytest.approx([0.4, 0.5, 0.6, 0.9, 1.0])
    assert pieces.spread([0.1, 0.9, 0.4], gap=0.1).tolist() == pytest.approx([0.1, 0.9, 0.4])


def test_labels_that_do_not_fit_share_the_room():
    assert pieces.spread([0.5, 0.5, 0.5], gap=0.9).tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_labels_keep_their_order():
    moved = pieces.spread([0.51, 0.5, 0.52, 0.1], gap=0.2)
    assert np.argsort(moved).tolist() == [3, 1, 0, 2]


def test_counts_name_failed_trials_where_there_are_any():
    row = {"trials": 8, "solved": 3, "solvable": True, "diverged": 1, "exploded": 0, "failed": 2}
    assert pieces.counts_text(row) == "3 of 8 solved, 1 diverged, 2 failed"


def test_reach_is_a_bit_more_than_the_largest_finite_value():
    assert pieces.reach_of(np.array([[-2.0, 1.0], [np.nan, np.inf]])) == pytest.approx(2.16)
    assert pieces.reach_of(np.array([np.nan])) == 1.0
