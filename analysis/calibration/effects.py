"""How often a study with factors errs where no part has an effect, and how often it finds an interaction."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import norm as normal

from runs.console.progress import SILENT, Progress
from runs.study.factors import NO, YES, Factors

from ..statistics.effects import compare_means
from .power import RATE
from .studies import SHARED

INTERACTIONS = (0.0, 0.05, 0.1, 0.2)  # of two parts, in the solve rate, as `tables.effects` defines it


def effect_powers(
    points: int,
    studies: int,
    *,
    interactions: tuple[float, ...] = INTERACTIONS,
    parts: int = 6,
    flips: int = 399,
    seed: int = 2026,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return how often the interaction of two parts of a full design is found, and how often another effect is.

    The combinations solve half of their trials; no part has a main effect.

    points: at which every combination is trained.
    studies: number of made-up studies for each interaction.
    interactions: of the first two parts; 0 for none.
    parts: number of factors with two levels.
    flips: number of flips of signs.
    seed: of the studies.
    progress: shows how many studies are done.

    Columns, all but the first three shares of studies:
    interaction, points, studies.
    found: in which the interaction is told apart, with its sign.
    wrong: in which an effect is told apart that is not there.
    covered: in which all simultaneous intervals include the true effects.
    half_width: median of half the width of an interval.
    """
    names = [f"part_{k}" for k in range(parts)]
    cells = {f"c{k}": levels for k, levels in enumerate(product((YES, NO), repeat=parts))}
    effects = Factors(levels=dict.fromkeys(names, (YES, NO)), cells=cells).effects
    contrasts = np.stack([effect.weights for effect in effects if effect.weights is not None])
    signs = np.array([[1.0 if level == YES else -1.0 for level in levels] for levels in cells.values()])
    rows = []
    for interaction in interactions:
        rate = RATE + interaction / 2 * signs[:, 0] * signs[:, 1]
        truth = contrasts @ rate
        there = np.abs(truth) > 1e-9
        found = []
        for k in progress.follow(range(studies), f"interaction of {interaction:g}, {points} points"):
            rng = np.random.default_rng([seed, points, k, round(1000 * interaction)])
            luck = np.sqrt(SHARED) * rng.normal(size=points)
            luck = luck + np.sqrt(1 - SHARED) * rng.normal(size=(len(cells), points))
            solved = (luck < normal.ppf(rate)[:, None]).astype(float)
            result = compare_means(contrasts, solved, span=1.0, flips=flips, seed=k)
            apart = result.low * result.high > 0
            right = apart[there] & (result.difference[there] * truth[there] > 0)
            covered = (result.low <= truth + 1e-12) & (truth - 1e-12 <= result.high)
            half = float(np.median(result.high - result.low)) / 2
            found.append([right.any(), apart[~there].any(), covered.all(), half])
        means = np.mean(np.array(found, dtype=float)[:, :3], axis=0)
        rows.append([interaction, points, studies, *means, float(np.median([row[3] for row in found]))])
    return pd.DataFrame(rows, columns=["interaction", "points", "studies", "found", "wrong", "covered", "half_width"])
