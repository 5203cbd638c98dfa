"""Factorial designs: fractions of the largest resolution, and effects that are the contrasts of the textbook."""

from functools import reduce
from itertools import combinations, product
from operator import xor

import numpy as np
import pytest

from runs.study.factors import NO, YES, Factors, best_generators, combined, resolution_of

TWO = (YES, NO)


def design(levels, fraction=1, without=()):
    cells, generators, resolution = combined(levels, fraction)
    cells = [cell for cell in cells if cell not in without]
    return Factors(
        levels=levels,
        cells={f"c{k}": cell for k, cell in enumerate(cells)},
        fraction=fraction,
        generators=generators,
        resolution=resolution,
    )


def response(factors, of):
    """What each cell reaches, by a function of its levels."""
    return np.array([of(dict(zip(factors.levels, cell, strict=True))) for cell in factors.cells.values()])


def estimates(factors, of):
    values = response(factors, of)
    return {effect.name: float(effect.weights @ values) for effect in factors.effects if effect.weights is not None}


# Box, Hunter & Hunter 2005, "Statistics for Experimenters", table 6.22: the largest resolution of each fraction
@pytest.mark.parametrize(
    ("factors", "added", "resolution"),
    [
        *((3, 1, 3), (4, 1, 4), (5, 1, 5), (5, 2, 3), (6, 1, 6), (6, 2, 4), (6, 3, 3), (7, 1, 7), (7, 2, 4)),
        *((7, 3, 4), (7, 4, 3), (8, 1, 8), (8, 2, 5), (8, 3, 4), (8, 4, 4), (9, 2, 6), (9, 5, 3), (10, 5, 4)),
        (10, 6, 3),
    ],
)
def test_generators_have_the_largest_resolution_there_is(factors, added, resolution):
    assert resolution_of(factors, best_generators(factors, added)) == resolution


def test_of_equal_resolutions_the_one_with_fewer_short_words_is_chosen():
    first, second = best_generators(7, 2)  # 2^(7-2) of resolution IV has one word of four letters at least, not three
    words = [first | 1 << 5, second | 1 << 6, (first | 1 << 5) ^ (second | 1 << 6)]
    assert sorted(word.bit_count() for word in words) == [4, 5, 5]


def test_a_full_design_has_the_effects_of_the_textbook():
    factors = design({"a": TWO, "b": TWO, "c": TWO})
    found = estimates(factors, lambda at: 3.0 * (at["a"] == YES) + 4.0 * (at["a"] == at["b"] == YES))
    # a is worth 3 without b and 7 with it; a pair is half of that difference
    assert found == pytest.approx({"a": 5, "b": 2, "c": 0, "a x b": 2, "a x c": 0, "b x c": 0})


def test_a_part_is_an_effect_of_having_it_also_where_the_baseline_lacks_it():
    found = estimates(design({"a": TWO, "p": (NO, YES)}), lambda at: 2.0 * (at["p"] == YES))
    assert found == pytest.approx({"a": 0, "p": 2, "a x p": 0})


def test_each_level_of_a_factor_with_several_is_held_against_the_first():
    factors = design({"gating": ("own", "coupled", "none"), "b": TWO})
    worth = {"own": 5.0, "coupled": 4.0, "none": 0.0}
    found = estimates(factors, lambda at: worth[at["gating"]] + (at["gating"] == "none") * (at["b"] == YES))
    assert found == pytest.approx(
        {
            "gating:coupled-own": -1,
            "gating:none-own": -4.5,
            "b": 1 / 3,
            "gating:coupled-own x b": 0,
            "gating:none-own x b": 0.5,
        }
    )


def test_cells_that_cannot_be_do_not_bias_an_effect():
    levels = {"a": TWO, "b": TWO, "p": (NO, YES)}
    factors = design(levels, without={(NO, NO, YES)})
    found = estimates(factors, lambda at: 3.0 * (at["a"] == YES) + (at["b"] == YES) + 2.0 * (at["p"] == YES))
    assert found == pytest.approx({"a": 3, "b": 1, "p": 2, "a x b": 0, "a x p": 0, "b x p": 0})


def test_a_fraction_of_resolution_v_estimates_all_pairs_without_an_alias():
    levels = dict.fromkeys("abcde", TWO)
    factors = design(levels, fraction=2)
    assert len(factors.cells) == 16
    assert not any(effect.aliases for effect in factors.effects)
    found = estimates(factors, lambda at: 2.0 * (at["a"] == YES) + 4.0 * (at["d"] == at["e"] == YES))
    expected = {"a": 2, "d": 2, "e": 2, "d x e": 2}
    assert found == pytest.approx({name: expected.get(name, 0) for name in found})
    assert len(found) == 5 + 10


def test_a_fraction_of_resolution_iv_names_the_pairs_that_cannot_be_told_apart():
    factors = design(dict.fromkeys("abcd", TWO), fraction=2)
    assert factors.generators == ("d = a x b x c",)
    aliases = {effect.name: effect.aliases for effect in factors.effects if effect.aliases}
    assert aliases == {"a x b": ("c x d",), "a x c": ("b x d",), "a x d": ("b x c",)}


def test_an_alias_has_the_sign_that_the_cells_give_it():
    factors = design({**dict.fromkeys("abc", TWO), "d": (NO, YES)}, fraction=2)
    assert factors.generators == ("d = -a x b x c",)
    found = {effect.name: effect for effect in factors.effects}
    assert found["a x b"].aliases == ("-c x d",)
    signs = [[1 if level == YES else -1 for level in cell] for cell in factors.cells.values()]
    assert {a * b * c * d for a, b, c, d in signs} == {-1}


def test_the_alias_of_a_named_level_has_the_sign_that_the_cells_give_it():
    factors = design({"a": TWO, "b": TWO, "gating": ("own", "coupled")}, fraction=2)
    (effect,) = (effect for effect in factors.effects if effect.name == "gating:coupled-own")
    signs = {
        (1 if a == YES else -1) * (1 if b == YES else -1) * (1 if gating == "coupled" else -1)
        for a, b, gating in factors.cells.values()
    }
    (sign,) = signs
    assert effect.aliases == (("a x b",) if sign == 1 else ("-a x b",))


def test_a_fraction_is_crossed_with_all_levels_of_a_factor_with_several():
    levels = {"gating": ("own", "coupled", "none"), **dict.fromkeys("abcde", TWO)}
    factors = design(levels, fraction=2)
    assert len(factors.cells) == 3 * 16
    worth = {"own": 5.0, "coupled": 4.0, "none": 0.0}
    found = estimates(factors, lambda at: worth[at["gating"]] * (1 + (at["a"] == YES)))
    assert found["gating:none-own"] == pytest.approx(-7.5)
    assert found["gating:none-own x a"] == pytest.approx(-2.5)
    assert found["a"] == pytest.approx(3)
    assert found["b"] == pytest.approx(0)


@pytest.mark.parametrize("fraction", [0, 3, -2])
def test_a_fraction_is_a_power_of_two(fraction):
    with pytest.raises(ValueError, match=f"fraction must be 1, 2, 4 or another power of two, got {fraction}"):
        combined(dict.fromkeys("abc", TWO), fraction)


def test_a_fraction_leaves_main_effects_apart():
    with pytest.raises(ValueError, match="which 4 factors with two levels allow up to 2, got 4"):
        combined(dict.fromkeys("abcd", TWO), 4)


def test_the_first_combination_has_the_first_level_of_each_factor():
    for fraction in (1, 2, 4):
        cells, *_ = combined({**dict.fromkeys("abcdef", TWO), "p": (NO, YES)}, fraction)
        assert cells[0] == (*[YES] * 6, NO)
        assert len(cells) == len({*cells}) == 128 / fraction


def test_plain_values_give_the_same_factors():
    from dataclasses import asdict

    factors = design({"a": TWO, "b": TWO, "c": TWO}, fraction=2)
    assert Factors.from_dict(asdict(factors)) == factors


def test_a_cell_needs_a_level_of_each_factor():
    with pytest.raises(ValueError, match="factors: c0 must have a level of each of a, b"):
        Factors(levels={"a": TWO, "b": TWO}, cells={"c0": (YES, "maybe")})


def test_every_pair_of_levels_is_there_in_a_full_design():
    assert {*design({"a": TWO, "b": ("x", "y", "z")}).cells.values()} == {*product(TWO, "xyz")}


@pytest.mark.parametrize("without", [set(), {(NO, NO, YES, YES, YES, YES)}])
def test_corners_of_a_pair_are_what_the_cells_reach_there_also_where_a_fraction_lacks_a_cell(without):
    factors = design(dict.fromkeys("abcdef", TWO), fraction=2, without=without)
    values = response(factors, lambda at: 10.0 + 2.0 * (at["a"] == YES) + 4.0 * (at["a"] == at["b"] == YES))
    (pair,) = (effect for effect in factors.effects if effect.name == "a x b")
    assert pair.ends == [(YES, YES), (YES, NO), (NO, YES), (NO, NO)]
    assert pair.corners @ values == pytest.approx([16, 12, 10, 10])


def test_an_effect_that_the_cells_do_not_tell_is_named():
    factors = design({"a": TWO, "b": TWO}, without={(NO, NO)})
    assert factors.lines[-1] == "not told by these cells: a x b"
    assert not any("not told" in line for line in design({"a": TWO, "b": TWO}).lines)


def test_a_fraction_is_the_same_by_brute_force():
    # the words of all products of generators; of all choices none has fewer short ones
    def pattern(factors, masks):
        words = [mask | 1 << (factors - len(masks) + k) for k, mask in enumerate(masks)]
        every = [reduce(xor, some) for n in range(1, len(words) + 1) for some in combinations(words, n)]
        return tuple(sum(word.bit_count() == length for word in every) for length in range(factors + 1))

    for factors, added in ((5, 2), (6, 2), (7, 3), (8, 2)):
        masks = [mask for mask in range(3, 2 ** (factors - added)) if mask.bit_count() > 1]
        best = min(pattern(factors, some) for some in combinations(masks, added))
        assert pattern(factors, best_generators(factors, added)) == best


@pytest.mark.parametrize(
    ("factors", "fraction", "generators", "resolution"),
    [
        ("ABCDEF", 2, ("F = A x B x C x D x E",), 6),
        ("ABCDEFGH", 4, ("G = A x B x C x D", "H = A x B x E x F"), 5),
    ],
)
def test_generators_are_those_of_the_published_table(factors, fraction, generators, resolution):
    assert combined(dict.fromkeys(factors, TWO), fraction)[1:] == (generators, resolution)
