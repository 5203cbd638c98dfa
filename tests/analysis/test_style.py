from __future__ import annotations

from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from analysis.figures import pieces as draw
from analysis.figures import plots, style


def test_palette_is_petroff10():
    assert tuple(to_hex(c) for c in matplotlib.color_sequences["petroff10"]) == style.COLOURS


def test_vanilla_is_black():
    assert style.look("vanilla").colour == "#000000"


def test_no_two_known_variants_look_alike():
    same = [(a, b) for a, b in combinations(style.LOOKS, 2) if style.LOOKS[a] == style.LOOKS[b]]
    assert not same, f"give one of each pair another marker or dash in style.LOOKS: {same}"


def test_an_unknown_variant_looks_the_same_in_every_study():
    assert style.look("my_own_cell") == style.look("my_own_cell") == style.Look("#ffa90e", "<", (0, (1.5, 1)))


def test_an_unknown_variant_is_not_taken_for_a_known_one():
    known = {(look.colour, look.marker) for look in style.LOOKS.values()}
    assert not known & {style.look(f"cell_{k}")[:2] for k in range(50)}


def test_figures_have_reproducible_bytes(small, tmp_path):
    table, design = small[0][small[0]["task"] == "adding"], {**small[1], "tasks": ["adding"]}
    for folder in "ab":
        drawn = plots.boxes(table, design)
        style.save(drawn.figure, tmp_path / folder, "boxes", drawn.data)
    for suffix in ("svg", "pdf", "png", "csv"):
        first, second = ((tmp_path / folder / f"boxes.{suffix}").read_bytes() for folder in "ab")
        assert first == second, f"the {suffix} differs between two drawings"


def test_labels_are_moved_apart_and_stay_inside():
    moved = draw.spread([0.5, 0.5, 0.5, 0.98, 1.0], gap=0.1)
    assert np.diff(np.sort(moved)).min() == pytest.approx(0.1)
    assert moved.max() <= 1.0
    assert draw.spread([0.1, 0.9, 0.4], gap=0.1).tolist() == pytest.approx([0.1, 0.9, 0.4])


def test_labels_keep_their_order():
    moved = draw.spread([0.51, 0.5, 0.52, 0.1], gap=0.2)
    assert np.argsort(moved).tolist() == [3, 1, 0, 2]
