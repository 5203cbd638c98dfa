"""How often a study finds a difference of the solve rate that is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm as normal

from ..statistics.endpoints import ENDPOINTS
from ..statistics.resampling import compare
from ..tables.comparisons import BETTER, WORSE, Measure, inferences
from .studies import SHARED, VARIANTS

DIFFERENCES = (0.1, 0.2, 0.3)  # by which one variant solves the task less often than the baseline
RATE = 0.5  # solve rate of the baseline and of the ten variants that do not differ


def powers(
    points: int,
    studies: int,
    *,
    differences: tuple[float, ...] = DIFFERENCES,
    swaps: int = 399,
    seed: int = 2026,
) -> pd.DataFrame:
    """Return how often a study tells one worse variant of eleven apart from a baseline that solves half of its trials.

    points: number of trials of each variant.
    studies: number of made-up studies for each difference.
    differences: of the solve rate, between the baseline and the variant that is worse.
    swaps: number of label swaps.
    seed: of the studies.

    Columns, all but the first shares of studies:
    difference, points, studies.
    found: in which the variant is called worse.
    opposite: in which it is called better.
    others: in which a variant that does not differ is called better or worse.
    covered: in which all eleven simultaneous intervals include the true differences.
    half_width: median of half the width of the interval of a variant that does not differ.
    """
    endpoint, measure, rows = ENDPOINTS["solve_rate"], Measure(1.0, 1.0, "%"), []
    for difference in differences:
        truth = np.r_[-difference, np.zeros(len(VARIANTS) - 2)]
        found = []
        for k in range(studies):
            rng = np.random.default_rng([seed, points, k, round(1000 * difference)])
            luck = np.sqrt(SHARED) * rng.normal(size=points)
            luck = luck + np.sqrt(1 - SHARED) * rng.normal(size=(len(VARIANTS), points))
            solved = (luck < normal.ppf(RATE + np.r_[0, truth])[:, None]).astype(float)
            result = compare(endpoint.weights, solved, np.zeros_like(solved), span=1.0, swaps=swaps, seed=k)
            levels = [{"solve_rate": float(own.mean()), "best_decile": 1.0} for own in solved]
            verdicts = [
                row["verdict"] for row in inferences(result, endpoint, measure, [(m, levels[0]) for m in levels[1:]])
            ]
            covered = ((result.low <= truth) & (truth <= result.high)).all()
            others = any(verdict in (BETTER, WORSE) for verdict in verdicts[1:])
            half = float(np.median(result.high - result.low)) / 2
            found.append([verdicts[0] == WORSE, verdicts[0] == BETTER, others, covered, half])
        means = np.mean(np.array(found, dtype=float)[:, :4], axis=0)
        rows.append([difference, points, studies, *means, float(np.median([row[4] for row in found]))])
    columns = ["difference", "points", "studies", "found", "opposite", "others", "covered", "half_width"]
    return pd.DataFrame(rows, columns=columns)
