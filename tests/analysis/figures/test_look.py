from __future__ import annotations

from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from analysis.figures import boxes, look, pieces
from tests.analysis.synthetic import as_study, study


def test_palette_is_petroff10():
    assert tuple(to_hex(c) for c in matplotlib.color_sequences["petroff10"]) == look.COLOURS


def test_vanilla_is_black():
    assert look.look("vanilla").colour == "#000000"


def test_no_two_known_variants_look_alike():
    same = [(a, b) for a, b in combinations(look.LOOKS, 2) if look.LOOKS[a] == look.LOOKS[b]]
    assert not same, f"give one of each pair another marker or dash in look.LOOKS: {same}"


def test_an_unknown_variant_looks_the_same_in_every_study():
    assert look.look("my_own_cell") == look.look("my_own_cell") == look.Look("#ffa90e", "<", (0, (1.5, 1)))


def test_an_unknown_variant_is_not_taken_for_a_known_one():
    known = {(own.colour, own.marker) for own in look.LOOKS.values()}
    assert not known & {look.look(f"cell_{k}")[:2] for k in range(50)}


def test_names_in_small_print_have_enough_contrast():
    for variant, own in look.LOOKS.items():
        rgb = np.array(to_rgb(pieces.readable(own.colour)))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.19, f"{variant}: contrast of its name on white"


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
    assert pieces.counts_text(row) == "N 8, solved 3, diverged 1, failed 2"


def test_reach_is_a_bit_more_than_the_largest_finite_value():
    assert pieces.reach_of(np.array([[-2.0, 1.0], [np.nan, np.inf]])) == pytest.approx(2.16)
    assert pieces.reach_of(np.array([np.nan])) == 1.0
