"""Effects of parts: contrasts of cells that met the same points, with simultaneous confidence intervals.

Letters of shapes: C cells, P points, E effects, B flips or resamples.

The points are the units. Cells at a point share hyperparameters, seeds and data, so they are not independent; each
effect is therefore computed within each point first.

`compare_means` is for means over trials. If no part has an effect, the sign of an effect at a point is as likely the
one as the other, so the signs of all effects of a point are flipped together, at random. Each effect is divided by its
standard error after each flip anew (Student's t), and the largest of the E quotients of each flip gives one critical
value for all of them: the interval is the effect, give or take that many standard errors, and the p-value is at most
.05 exactly where the interval excludes zero. Where there are effects, flips of their signs make all of them seem to
move together, which they do not. So the signs of their deviations from the effects are flipped, too, and the larger
quotients count.

`compare_best` is for statistics of the best trials, which are no means over points. Points are resampled, with all
cells of a point together, and the quotients are those of the deviations from what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from .endpoints import Weights
from .intervals import LEVEL, Floats, Integers
from .resampling import ALIKE, FEWEST, Comparison

Contrasts = Floats  # weights of cells [E, C]


@dataclass(frozen=True)
class Effects(Comparison):
    """E effects and what may be said of them; error: their standard errors [E]."""

    error: Floats


def compare_means(contrasts: Contrasts, values: Floats, *, span: float, flips: int = 1999, seed: int = 0) -> Effects:
    """Compare cells by contrasts of their means.

    contrasts: weights of the cells [E, C].
    values: of the trials [C, P]; a point that lacks a trial of a cell that counts in an effect is left out of it.
    span: range of the values. A standard error of zero, where nothing varies, is replaced by the span divided by P.
    flips: number of random flips of signs.
    seed: of the flips.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing"; Romano & Wolf 2005.

    >>> values = np.array([[1.0] * 11 + [0.0], [0.0] * 12])
    >>> found = compare_means(np.array([[1.0, -1.0]]), values, span=1.0)
    >>> f"{found.difference[0]:.2f}", bool(found.low[0] > 0), bool(found.p[0] < 0.05)
    ('0.92', True, True)
    """
    rng = np.random.default_rng(seed)
    signs = np.where(rng.random((flips, values.shape[1])) < 0.5, -1.0, 1.0)
    count = len(contrasts)
    effect, error, points = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    largest = np.zeros((2, flips))
    for e, weights in enumerate(contrasts):
        used = weights != 0
        whole = np.isfinite(values[used]).all(axis=0)
        own = weights[used] @ values[used][:, whole]
        points[e] = len(own)
        if len(own) < FEWEST:
            continue
        effect[e] = float(np.mean(own))
        floor = span / len(own)
        error[e] = _errors(effect[e : e + 1], float(np.mean(own**2)), len(own), floor)[0]
        for k, moving in enumerate((own, own - effect[e])):
            moved = signs[:, whole] @ moving / len(own)
            errors = _errors(moved, float(np.mean(moving**2)), len(own), floor)
            largest[k] = np.maximum(largest[k], np.abs(moved) / errors)
    return _comparison(effect, error, np.max(np.sort(largest, axis=1), axis=0), points)


def ratio_interval(larger: Floats, smaller: Floats, quotient: float) -> tuple[float, float]:
    """Return the interval for the ratio of two means; NaN where it has no end, as the smaller mean may be zero.

    larger, smaller: the numbers of which the means are taken, at the same points [P].
    quotient: how many standard errors a mean may be off.

    Source: Fieller 1954, "Some Problems in Interval Estimation".

    >>> low, high = ratio_interval(np.array([4.0, 4.2, 3.8]), np.array([2.0, 2.1, 1.9]), 2.0)
    >>> f"{low:.2f} {high:.2f}"
    '2.00 2.00'
    """
    if not np.isfinite(quotient):
        return np.nan, np.nan
    means = np.mean((larger, smaller), axis=1)
    products = np.outer(means, means) - quotient**2 * np.cov((larger, smaller)) / len(larger)
    (c, b), a = products[0], products[1, 1]
    if not a > 0:
        return np.nan, np.nan
    off = np.sqrt(max(b**2 - a * c, 0.0))
    return float((b - off) / a), float((b + off) / a)


def compare_best(
    contrasts: Contrasts, weights: Weights, values: Floats, order: Floats, *, span: float, resamples: int = 999,
    seed: int = 0
) -> Effects:  # fmt: skip
    """Compare cells by contrasts of a statistic of their best trials.

    contrasts: weights of the cells [E, C].
    weights: of the statistic, a weighted mean over trials, see `statistics.endpoints`.
    values, order: of the trials [C, P]; points that lack a trial of any cell are left out.
    span: range of the values, for effects that do not vary.
    resamples: number of resamples of the points.
    seed: of the resamples.

    The bootstrap takes the points for the whole population, so standard errors are divided by (1 - 1/k)^½, where k is
    the number of trials on which a statistic rests, as in `statistics.resampling`.
    """
    whole = np.isfinite(values).all(axis=0)
    values, order, points = values[:, whole], order[:, whole], int(whole.sum())
    nothing = np.full(len(contrasts), np.nan)
    if points < FEWEST:
        return _comparison(nothing, nothing, np.zeros(resamples), np.full(len(contrasts), points))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(points, np.full(points, 1 / points), size=resamples).astype(float)
    seen = np.array([float(weights(np.ones((1, points)), own)[0] @ v) for own, v in zip(order, values, strict=True)])
    again = np.stack([weights(counts, own) @ v for own, v in zip(order, values, strict=True)])
    effect, moved = contrasts @ seen, contrasts @ again
    spread = np.std(moved, axis=1, ddof=1)
    rests = min(1 / np.sum(weights(np.ones((1, points)), own)[0] ** 2) for own in order)
    error = np.maximum(spread, 1e-12) / np.sqrt(1 - 1 / max(rests, 1.5))
    error = np.where(spread > 1e-12, error, span / points)
    quotients = np.abs(moved - effect[:, None])[spread > 1e-12] / spread[spread > 1e-12, None]
    largest = np.max(quotients, axis=0, initial=0.0)
    return _comparison(effect, error, largest, np.full(len(contrasts), points))


def _errors(means: Floats, squares: float, points: int, floor: float) -> Floats:
    """Return standard errors of means of numbers whose squares have one mean, whatever their signs; at least a floor
    where they do not vary.
    """
    variance = np.maximum(squares - means**2, 0.0) / (points - 1)
    return np.where(variance > 1e-12 * max(squares, 1e-300), np.sqrt(variance), floor)


def _comparison(effect: Floats, error: Floats, largest: Floats, points: Integers) -> Effects:
    """Return effects with intervals; largest: quotient of each flip or resample [B].

    The critical value is at least that of Student's t for a single effect.
    """
    flips = len(largest)
    largest = np.sort(largest) * (1 + ALIKE)
    quotient, freedom = np.abs(effect) / error, np.maximum(points - 1, 1)
    as_large = flips - np.searchsorted(largest, np.nan_to_num(quotient), side="left")
    p = np.maximum((1 + as_large) / (1 + flips), 2 * student.sf(quotient, freedom))
    allowed = int(round(1 - LEVEL, 9) * (1 + flips))
    critical = largest[-allowed] if allowed else np.inf
    half = np.maximum(critical, student.isf((1 - LEVEL) / 2, freedom)) * error
    return Effects(effect, effect - half, effect + half, np.where(np.isfinite(error), p, np.nan), points, error)
