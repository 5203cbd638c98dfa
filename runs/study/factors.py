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
    """

    parts: tuple[str, ...]
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    weights: Floats | None
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The parts, and the levels where a part has more than yes and no: `input_gate x gating:own-coupled`."""
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
            return [effect._replace(weights=_matched(effect, cells)) for effect in wanted]
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
    turned = {name for name in two if _ordered(levels[name])[0] != levels[name][0]}
    words = []
    for name, mask in zip(two[basic:], masks, strict=True):
        others = [two[k] for k in range(basic) if mask >> k & 1]
        sign = "-" if len(turned & {name, *others}) % 2 else ""
        words.append(f"{name} = {sign}{' x '.join(others)}")
    return found, tuple(words), resolution_of(len(two), masks)


# Effects
# ----------------------------------------------------------------------------------------------------------------------


def _ordered(levels: Sequence[str]) -> list[str]:
    """Return levels with that of a cell that has the part first; else the baseline's is first."""
    return [YES, NO] if {*levels} == {YES, NO} else list(levels)


def _wanted(levels: Mapping[str, Sequence[str]]) -> Iterator[Effect]:
    """Yield main effects and pairs without their weights."""
    against = {name: [(own[0], other) for other in own[1:]] for name, own in zip(
        levels, map(_ordered, levels.values()), strict=True)}  # fmt: skip
    for name in levels:
        yield from (Effect((name,), (plus,), (minus,), None) for plus, minus in against[name])
    for pair in combinations(levels, 2):
        for (plus, minus), (plus_2, minus_2) in product(*(against[name] for name in pair)):
            yield Effect(pair, (plus, plus_2), (minus, minus_2), None)


def _matched(effect: Effect, cells: Sequence[Mapping[str, str]]) -> Floats | None:
    """Return the weights of the mean over all groups of cells that differ in nothing but the parts of an effect."""
    count, weights = 2 ** len(effect.parts), np.zeros(len(cells))
    groups: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for k, cell in enumerate(cells):
        own = tuple(cell[part] for part in effect.parts)
        if all(level in ends for level, *ends in zip(own, effect.plus, effect.minus, strict=True)):
            rest = tuple(level for part, level in cell.items() if part not in effect.parts)
            signs = [1 if level == plus else -1 for level, plus in zip(own, effect.plus, strict=True)]
            groups.setdefault(rest, []).append((k, int(np.prod(signs))))
    whole = [group for group in groups.values() if len(group) == count]
    for k, sign in (member for group in whole for member in group):
        weights[k] = sign * 2 / count / len(whole)
    return weights if whole else None


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
    known = np.abs(inverse @ matrix - np.eye(matrix.shape[1])).max(axis=1) < 1e-9
    found = []
    for effect in wanted:
        if effect.name in kept:
            k = 1 + list(kept).index(effect.name)
            weights = 2.0 * inverse[k] if known[k] else None
            found.append(effect._replace(weights=weights, aliases=tuple(kept[effect.name])))
    return found


def _column(effect: Effect, cells: Sequence[Mapping[str, str]], levels: Mapping[str, Sequence[str]]) -> Floats:
    """Return a column of the model matrix; the columns of a factor with several levels have zero sums.

    A coefficient is half of the effect: level `plus` is 1/2 above and `minus` 1/2 below the mean of the two, and what
    the coefficients of the other levels add to both is the same.
    """
    values = np.ones(len(cells))
    for part, minus in zip(effect.parts, effect.minus, strict=True):
        share = 2.0 / len(levels[part])
        values *= [share - 2.0 * (cell[part] == minus) for cell in cells]
    return values
