"""Factorial designs: which cells a study of parts compares, and the contrasts that are the effects of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..names import checked_name
from ..rules import require

YES, NO = "yes", "no"
"""The levels of a part that a cell has or has not."""

ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
MOST = 10  # factors with two levels, of which a fraction is chosen
FIRST_LETTERS = {  # of the parts of an LSTM, as in the equations
    "input_gate": "i",
    "forget_gate": "f",
    "output_gate": "o",
    "input_activation": "g",
    "output_activation": "h",
    "coupled": "c",
    "peepholes": "p",
    "gate_recurrence": "r",
}
Floats = NDArray[np.float64]


class Effect(NamedTuple):
    """One effect as a contrast of cells.

    parts: one factor for a main effect, two for a pair.
    plus, minus: a level of each of them. The main effect is that of `plus` less that of `minus`; a pair is half of how
        much larger the effect of the first part is where the second is at `plus` than where it is at `minus`.
    weights: of the cells, in the order of `Factors.cells`; None for an effect that the cells do not tell.
    aliases: effects that this one cannot be told from, with their sign.
    corners: of a pair, weights of the cells in the mean at each of its four corners: both parts at `plus`, the first
        at `plus` and the second at `minus`, the first at `minus` and the second at `plus`, both at `minus` [4, cells];
        of a main effect, at `plus` and at `minus` [2, cells]. None where the cells do not tell them.
    """

    parts: tuple[str, ...]
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    weights: Floats | None
    aliases: tuple[str, ...] = ()
    corners: Floats | None = None

    @property
    def ends(self) -> list[tuple[str, ...]]:
        """The levels at each corner."""
        return list(product(*zip(self.plus, self.minus, strict=True)))

    @property
    def name(self) -> str:
        """The parts, and the levels where a part has more than yes and no: `input_gate x gating:coupled-own`."""
        levels = zip(self.parts, self.plus, self.minus, strict=True)
        return " x ".join(p if {plus, minus} == {YES, NO} else f"{p}:{plus}-{minus}" for p, plus, minus in levels)


@dataclass(frozen=True, kw_only=True)
class Factors:
    """The factors of a study: its variants are combinations of their levels.

    levels: factor to the names of its levels; the baseline has the first of each.
    cells: label of a variant to its level of each factor, in the order of the factors.
    fraction: 2 for half of the combinations of the factors with two levels, 4 for a quarter; 1 for all.
    generators: which factors follow from others in a fraction: `peepholes = input_gate x forget_gate`.
    left_out: combinations that no cell can have, and that were left out.
    resolution: of the fraction: no effect of p factors is aliased with one of fewer than `resolution - p`; 0 for all.
    aliases: main effects and pairs that cannot be told apart, those of each group together.
    """

    levels: Mapping[str, tuple[str, ...]]
    cells: Mapping[str, tuple[str, ...]]
    fraction: int = 1
    generators: tuple[str, ...] = ()
    left_out: tuple[tuple[str, ...], ...] = ()
    resolution: int = 0
    aliases: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for name, levels in self.levels.items():
            for level in (name, *levels):
                checked_name(level, f"factors.{name}: a level")
        for label, levels in self.cells.items():
            fits = len(levels) == len(self.levels) and all(
                level in known for level, known in zip(levels, self.levels.values(), strict=True)
            )
            require(fits, f"factors: {label} must have a level of each of {', '.join(self.levels)}", levels)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Factors:
        """Return factors from plain values, as a design stores them."""
        return cls(
            levels={name: tuple(levels) for name, levels in values["levels"].items()},
            cells={label: tuple(levels) for label, levels in values["cells"].items()},
            fraction=int(values.get("fraction", 1)),
            generators=tuple(values.get("generators", ())),
            left_out=tuple(map(tuple, values.get("left_out", ()))),
            resolution=int(values.get("resolution", 0)),
            aliases=tuple(map(tuple, values.get("aliases", ()))),
        )

    def of(self, label: str) -> dict[str, str]:
        """Return the level of each factor of a variant; empty for a variant that is no combination."""
        return dict(zip(self.levels, self.cells.get(label, ()), strict=False))

    @cached_property
    def effects(self) -> list[Effect]:
        """The main effects and all pairs, in the order of the factors; those of which an alias stands first are left
        out.
        """
        cells = [dict(zip(self.levels, levels, strict=True)) for levels in self.cells.values()]
        wanted = list(_wanted(self.levels))
        if self.fraction == 1:
            return [_matched(effect, cells) for effect in wanted]
        return _estimated(wanted, cells, self.levels)

    @property
    def lines(self) -> list[str]:
        """What a command says of the design."""
        several = "factor" if len(self.levels) == 1 else "factors"
        whole = int(np.prod([len(levels) for levels in self.levels.values()]))
        cells = f"{len(self.cells)} of {whole} combinations" if len(self.cells) < whole else f"all {whole} combinations"
        lines = [f"{len(self.levels)} {several}, {cells}"]
        if self.fraction > 1:
            resolution = f"resolution {ROMAN[self.resolution]}"
            lines[0] += f", a fraction of 1/{self.fraction} of {resolution} ({'; '.join(self.generators)})"
            groups = [" = ".join(group) for group in self.aliases]
            lines.append(
                f"aliases: {'; '.join(groups)}" if groups else "aliases: no main effect or pair has another as an alias"
            )
        if self.left_out:
            lines.append(f"left out: {len(self.left_out)} combinations that no cell can have")
        unknown = [effect.name for effect in self.effects if effect.weights is None]
        if unknown:
            lines.append(f"not told by these cells: {', '.join(unknown)}")
        return lines


# Fractions
# ----------------------------------------------------------------------------------------------------------------------


def best_generators(factors: int, added: int) -> tuple[int, ...]:
    """Return which basic factors are multiplied for each added factor of a two-level fraction.

    Of all choices it is one with the fewest short words: first the largest resolution, then the fewest words of that
    length, and so on (minimum aberration).

    factors: number of all factors.
    added: how many of them, the last ones, follow from the others.

    Returns one number for each added factor; its bits are the basic factors.
    Source: Fries & Hunter 1980, "Minimum aberration 2^(k-p) designs".

    >>> [f"{mask:b}" for mask in best_generators(5, 1)]
    ['1111']
    """
    basic = factors - added
    choices = [mask for mask in range(3, 2**basic) if mask.bit_count() > 1]
    choices.sort(key=lambda mask: (-mask.bit_count(), mask))
    best: tuple[tuple[int, ...], tuple[int, ...]] = ((factors,) * (factors + 1), ())

    def extend(chosen: tuple[int, ...], words: list[int], start: int) -> None:
        nonlocal best
        if len(chosen) == added:
            best = min(best, (_pattern(words, factors), chosen))
            return
        for k in range(start, len(choices)):
            word = choices[k] | 1 << (basic + len(chosen))
            more = [*words, word, *(word ^ other for other in words)]
            if _pattern(more, factors) <= best[0]:  # words are only added
                extend((*chosen, choices[k]), more, k + 1)

    extend((), [], 0)
    return best[1]


def resolution_of(factors: int, generators: Sequence[int]) -> int:
    """Return the length of the shortest word of a fraction; 0 without generators.

    >>> resolution_of(5, [0b1111])
    5
    """
    basic = factors - len(generators)
    words: list[int] = []
    for k, mask in enumerate(generators):
        word = mask | 1 << (basic + k)
        words += [word, *(word ^ other for other in words)]
    return min((word.bit_count() for word in words), default=0)


def _pattern(words: Sequence[int], factors: int) -> tuple[int, ...]:
    """Return how many words there are of each length, the shortest first; fewer short words come first in order."""
    lengths = [word.bit_count() for word in words]
    return tuple(lengths.count(length) for length in range(factors + 1))


def combined(levels: Mapping[str, Sequence[str]], fraction: int) -> tuple[list[tuple[str, ...]], tuple[str, ...], int]:
    """Return the combinations of levels of a design, the first levels of all factors first.

    levels: factor to its levels. A fraction is one of the factors with two levels; it is crossed with all levels of the
        others.
    fraction: 1, 2, 4, ...

    Returns combinations, generators in words, and the resolution.
    Raises ValueError for a fraction that is none, or with which main effects could not be told apart.
    """
    two = [name for name, own in levels.items() if len(own) == 2]
    added = fraction.bit_length() - 1
    require(fraction >= 1 and fraction == 1 << added, "fraction must be 1, 2, 4 or another power of two", fraction)
    if fraction == 1:
        return list(product(*levels.values())), (), 0
    require(len(two) <= MOST, f"factors of a fraction must be at most {MOST} with two levels", len(two))
    basic = len(two) - added
    rule = (
        f"fraction must leave main effects apart from each other, which {len(two)} factors with two levels allow up to"
    )
    most = max(2**p for p in range(len(two)) if 2 ** (len(two) - p) > len(two)) if two else 1
    require(fraction <= most, f"{rule} {most}", fraction)
    masks = best_generators(len(two), added)
    found = []
    for choice in product(*levels.values()):
        at = dict(zip(levels, choice, strict=True))
        bits = [levels[name].index(at[name]) for name in two]
        follows = [sum(bits[k] for k in range(basic) if mask >> k & 1) % 2 for mask in masks]
        if follows == bits[basic:]:
            found.append(choice)
    turned = {name for name in two if next(_ends(levels[name]))[0] != levels[name][0]}
    words = []
    for name, mask in zip(two[basic:], masks, strict=True):
        others = [two[k] for k in range(basic) if mask >> k & 1]
        sign = "-" if len(turned & {name, *others}) % 2 else ""
        words.append(f"{name} = {sign}{' x '.join(others)}")
    return found, tuple(words), resolution_of(len(two), masks)


# Effects
# ----------------------------------------------------------------------------------------------------------------------


def _ends(levels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield `plus` and `minus` of the effects of a factor: with and without the part, else a level and the baseline's.

    >>> list(_ends(["no", "yes"])), list(_ends(["own", "coupled", "none"]))
    ([('yes', 'no')], [('coupled', 'own'), ('none', 'own')])
    """
    if {*levels} == {YES, NO}:
        yield YES, NO
    else:
        yield from ((level, levels[0]) for level in levels[1:])


def _wanted(levels: Mapping[str, Sequence[str]]) -> Iterator[Effect]:
    """Yield main effects and pairs without their weights."""
    against = {name: list(_ends(own)) for name, own in levels.items()}
    for name in levels:
        yield from (Effect((name,), (plus,), (minus,), None) for plus, minus in against[name])
    for pair in combinations(levels, 2):
        for (plus, minus), (plus_2, minus_2) in product(*(against[name] for name in pair)):
            yield Effect(pair, (plus, plus_2), (minus, minus_2), None)


def _matched(effect: Effect, cells: Sequence[Mapping[str, str]]) -> Effect:
    """Return an effect with the weights of the mean over all groups of cells that differ in nothing but its parts."""
    ends = effect.ends
    groups: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for k, cell in enumerate(cells):
        own = tuple(cell[part] for part in effect.parts)
        if own in ends:
            rest = tuple(level for part, level in cell.items() if part not in effect.parts)
            groups.setdefault(rest, {})[own] = k
    whole = [group for group in groups.values() if len(group) == len(ends)]
    if not whole:
        return effect
    corners = np.zeros((len(ends), len(cells)))
    for group in whole:
        corners[[ends.index(own) for own in group], list(group.values())] = 1 / len(whole)
    return effect._replace(weights=_signs(effect) @ corners, corners=corners)


def _signs(effect: Effect) -> Floats:
    """Return what the mean at each corner counts in an effect."""
    return np.array([1.0, -1.0] if len(effect.parts) == 1 else [0.5, -0.5, -0.5, 0.5])


def _estimated(
    wanted: Sequence[Effect], cells: Sequence[Mapping[str, str]], levels: Mapping[str, Sequence[str]]
) -> list[Effect]:
    """Return effects of a fraction by least squares; an effect with an alias before it becomes one of its aliases."""
    columns = {effect.name: _column(effect, cells, levels) for effect in wanted}
    kept: dict[str, list[str]] = {}
    for effect in wanted:
        same = next((n for n in kept if abs(columns[n] @ columns[effect.name]) > len(cells) - 1e-9), "")
        if not same or any(len(levels[part]) > 2 for part in effect.parts):
            kept[effect.name] = []
        else:
            sign = "-" if columns[same] @ columns[effect.name] < 0 else ""
            kept[same].append(f"{sign}{effect.name}")
    matrix = np.column_stack([np.ones(len(cells)), *(columns[name] for name in kept)])
    inverse = np.linalg.pinv(matrix)
    modelled = [effect for effect in wanted if effect.name in kept]
    found = []
    for effect in modelled:
        corners = np.array([
            [1.0, *(_share(other, dict(zip(effect.parts, end, strict=True)), levels) for other in modelled)]
            for end in effect.ends
        ])  # fmt: skip
        known = [
            functional @ inverse if np.allclose(functional @ inverse @ matrix, functional, atol=1e-9) else None
            for functional in (_signs(effect) @ corners, *corners)
        ]
        means = None if any(weights is None for weights in known) else np.array(known[1:])
        found.append(effect._replace(weights=known[0], aliases=tuple(kept[effect.name]), corners=means))
    return found


def _share(effect: Effect, at: Mapping[str, str], levels: Mapping[str, Sequence[str]]) -> float:
    """Return the value in the column of an effect where some factors have given levels, the mean over all others."""
    return float(_column(effect, [at], levels)[0]) if {*effect.parts} <= {*at} else 0.0


def _column(effect: Effect, cells: Sequence[Mapping[str, str]], levels: Mapping[str, Sequence[str]]) -> Floats:
    """Return a column of the model matrix; the columns of a factor with several levels have zero sums.

    A coefficient is half of the effect: level `plus` is 1/2 above and `minus` 1/2 below the mean of the two, and what
    the coefficients of the other levels add to both is the same.
    """
    values = np.ones(len(cells))
    for part, plus in zip(effect.parts, effect.plus, strict=True):
        share = 2.0 / len(levels[part])
        values *= [2.0 * (cell[part] == plus) - share for cell in cells]
    return values
