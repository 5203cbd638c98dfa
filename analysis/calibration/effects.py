"""How often a study with factors errs where no part has an effect, and how often it finds an interaction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm as normal

from runs.study.factors import NO, YES, Factors, combined

from ..statistics.effects import compare_means
from .power import RATE
from .studies import SHARED

FLIPS = 399


class Kind(NamedTuple):
    """Made-up studies of one kind.

    name: as it stands in the table.
    main: effect of every part on the solve rate. interaction: of the first two parts, as `tables.effects` defines it.
    shared: share of the variance of a trial's luck that its point gives to all combinations.
    fraction: 2 for half of the combinations.
    """

    name: str
    main: float = 0.0
    interaction: float = 0.0
    shared: float = SHARED
    fraction: int = 1


KINDS = (
    Kind("none"),
    Kind("none, half of the combinations", fraction=2),
    Kind("one pair by 5", interaction=0.05),
    Kind("one pair by 10", interaction=0.1),
    Kind("one pair by 10, half of the combinations", interaction=0.1, fraction=2),
    Kind("one pair by 20", interaction=0.2),
    Kind("every part by 10", main=0.1),
    Kind("every part by 10, points differ more", main=0.1, shared=0.9),
)


def effect_powers(
    points: int,
    studies: int,
    *,
    kinds: tuple[Kind, ...] = KINDS,
    parts: int = 6,
    flips: int = FLIPS,
    seed: int = 2026,
) -> pd.DataFrame:
    """Return how often effects of parts on the solve rate are found, and how often others are.

    The combinations solve half of their trials on the whole.

    points: at which every combination is trained.
    studies: number of made-up studies of each kind.
    kinds: of studies.
    parts: number of factors with two levels.
    flips: number of flips of signs.
    seed: of the studies.

    Columns, of which the last four are shares of studies but for the half width:
    kind, points, studies.
    found: share of the effects that are there that are told apart, with their sign; NaN where there are none.
    wrong: in which an effect is told apart that is not there.
    covered: in which all simultaneous intervals include the true effects.
    half_width: median of half the width of an interval.
    """
    rows = []
    for number, kind in enumerate(kinds):
        levels = {f"part_{k}": (YES, NO) for k in range(parts)}
        cells = {f"c{k}": cell for k, cell in enumerate(combined(levels, kind.fraction)[0])}
        effects = Factors(levels=levels, cells=cells, fraction=kind.fraction).effects
        contrasts = np.stack([effect.weights for effect in effects if effect.weights is not None])
        signs = np.array([[1.0 if level == YES else -1.0 for level in cell] for cell in cells.values()])
        rate = RATE + kind.main / 2 * signs.sum(axis=1) + kind.interaction / 2 * signs[:, 0] * signs[:, 1]
        truth = contrasts @ rate
        there = np.abs(truth) > 1e-9
        found = []
        for k in range(studies):
            rng = np.random.default_rng([seed, points, k, number])
            luck = np.sqrt(kind.shared) * rng.normal(size=points)
            luck = luck + np.sqrt(1 - kind.shared) * rng.normal(size=(len(cells), points))
            solved = (luck < normal.ppf(rate)[:, None]).astype(float)
            result = compare_means(contrasts, solved, span=1.0, flips=flips, seed=k)
            apart = result.low * result.high > 0
            right = apart[there] & (result.difference[there] * truth[there] > 0)
            covered = (result.low <= truth + 1e-12) & (truth - 1e-12 <= result.high)
            half = float(np.median(result.high - result.low)) / 2
            found.append([right.mean() if there.any() else np.nan, apart[~there].any(), covered.all(), half])
        means = np.mean(np.array(found, dtype=float)[:, :3], axis=0)
        rows.append([kind.name, points, studies, *means, float(np.median([row[3] for row in found]))])
    return pd.DataFrame(rows, columns=["kind", "points", "studies", "found", "wrong", "covered", "half_width"])
