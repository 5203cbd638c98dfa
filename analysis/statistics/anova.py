"""Functional analysis of variance over the unit cube: how much of a study's outcome each hyperparameter explains, alone
and in pairs.

Letters of shapes: N trials, D hyperparameters, L terms of the surrogate, G grid points.

A surrogate of either kind is a sum of products f(u) = sum_l w_l prod_d phi_ld(u_d): a Gaussian process with a
squared-exponential kernel has a term per trial, a forest a term per leaf (an indicator of its box). Marginals and
interactions are then integrals over one or two coordinates at a time, exact but for the grid, without sampling. Hooker
2007; Hutter, Hoos & Leyton-Brown 2014 (fANOVA). The cube's measure is the search's own distribution, so log-scaled
hyperparameters are integrated in the logarithm.

Shares are of the variance of the surrogate. Times the cross-validated R2 of the surrogate they are of the variance of
the outcomes: the rest is the luck of a seed, or more than the trials can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import Floats

if TYPE_CHECKING:
    from .process import Kernel, Process
    from .trees import Forest

GRID = 64  # midpoints per coordinate
MOST_FOR_PROCESS = 600  # trials; a Gaussian process costs their cube
FEWEST = 40  # trials below which nothing is fitted
FOLDS = 5
GROUPS = 10  # of the jackknife
# a forest's variance is taken over 2^FINE points; over 2^COARSE in the jackknife, whose forests share the points and so
# their error, which leaves the differences between them as they are
FINE, COARSE = 13, 10


@dataclass(frozen=True)
class Products:
    """A sum of smooth products on a grid, as a Gaussian process is.

    weights: w_l [L].
    factors: phi_ld at the grid's midpoints [D, L, G].
    constant: added to the sum.
    variance: of the surrogate over the cube.
    """

    weights: Floats
    factors: Floats
    constant: float
    variance: float

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.factors)

    @cached_property
    def means(self) -> Floats:
        """Integral of every factor over its coordinate [D, L]."""
        means: Floats = self.factors.mean(axis=2)
        return means

    def marginal(self, *coordinates: int) -> Floats:
        """Return the surrogate integrated over all other coordinates: [G] for one coordinate, [G, G] for two."""
        rest = self.weights * np.prod(np.delete(self.means, coordinates, axis=0), axis=0)
        if len(coordinates) == 1:
            marginal: Floats = self.constant + rest @ self.factors[coordinates[0]]
        else:
            first, second = (self.factors[d] for d in coordinates)
            marginal = self.constant + (first * rest[:, None]).T @ second
        return marginal


@dataclass(frozen=True)
class Boxes:
    """A sum of indicators of boxes, as a forest is: a factor is 1 between two ends, and 0 elsewhere.

    Integrals over a cell of the grid are exact, also where a box is narrower than a cell.

    low, high: ends of the boxes [D, L].
    weights: w_l [L].
    variance: of the surrogate over the cube.
    """

    low: Floats
    high: Floats
    weights: Floats
    variance: float

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.low)

    @cached_property
    def steps(self) -> list[tuple[NDArray[np.intp], Floats]]:
        """How the mean of a factor changes from a cell of the grid to the next: the cells and the changes, both [4, L],
        for each coordinate.

        It goes up by 1 at the low end and down at the high one, each of which is shared by two cells.
        """
        found = []
        for low, high in zip(self.low * GRID, self.high * GRID, strict=True):
            cells = np.array([np.floor(low), np.floor(high)])
            beyond = np.array([low, high]) - cells
            changes = np.array([1 - beyond[0], beyond[0], beyond[1] - 1, -beyond[1]])
            start, end = cells.astype(np.intp)
            found.append((np.array([start, start + 1, end, end + 1]), changes))
        return found

    def marginal(self, *coordinates: int) -> Floats:
        """Return the surrogate integrated over all other coordinates: [G] for one coordinate, [G, G] for two."""
        rest = self.weights * np.prod(np.delete(self.high - self.low, coordinates, axis=0), axis=0)
        side, (cells, changes) = GRID + 2, self.steps[coordinates[0]]
        changes = changes * rest
        if len(coordinates) == 1:
            curve: Floats = np.bincount(cells.ravel(), changes.ravel(), side).astype(float).cumsum()[:GRID]
            return curve
        others, further = self.steps[coordinates[1]]
        places = (cells * side)[:, None] + others
        change = np.bincount(places.ravel(), (changes[:, None] * further).ravel(), side**2).reshape(side, side)
        marginal: Floats = change.cumsum(axis=0).cumsum(axis=1)[:GRID, :GRID]
        return marginal


@dataclass(frozen=True)
class Anova:
    """What each hyperparameter explains.

    names: of the hyperparameters.
    trials: N.
    kind: of the surrogate chosen.
    r2: by kind, of predictions in 5-fold cross-validation.
    grid: midpoints in the unit cube [G].
    mean: of the surrogate.
    curves, curve_errors: marginal of each hyperparameter [D, G], and its standard error.
    shares, share_errors: share of the surrogate's variance that each explains alone [D], and its standard error.
    pairs, pair_errors: share of the surrogate's variance that the interaction of two explains, and its standard error.
    surfaces: marginal of each two [G, G].
    rest: share of interactions of three and more.
    """

    names: tuple[str, ...]
    trials: int
    kind: str
    r2: dict[str, float]
    grid: Floats
    mean: float
    curves: Floats
    curve_errors: Floats
    shares: Floats
    share_errors: Floats
    pairs: dict[tuple[int, int], float]
    pair_errors: dict[tuple[int, int], float]
    surfaces: dict[tuple[int, int], Floats]
    rest: float


def ready() -> None:
    """Import what is needed to fit, which takes half a second; processes that are forked afterwards have it."""
    from . import process, trees  # noqa: F401


def analyse(
    points: ArrayLike,
    values: ArrayLike,
    names: Sequence[str],
    *,
    kind: str = "auto",
    jackknife: bool = True,
    seed: int = 0,
) -> Anova:
    """Fit a surrogate to the outcomes of trials and take its variance apart.

    A forest on a few hundred trials shows less of an interaction than there is: read its pairs as "at least".

    points: of the trials in the unit cube [N, D].
    values: outcomes [N].
    names: of the hyperparameters.
    kind: forest, process, or auto for the one with the better R2.
    jackknife: whether to estimate standard errors (else NaN), by leaving out a tenth of the trials at a time. They are
        those of the trials' sampling, not of the surrogate's bias.
    seed: of folds, groups and forest.

    Raises ValueError for points of another shape or outside of the cube, and for fewer than 40 trials.

    Source: Hooker 2007; Hutter, Hoos & Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter
    Importance".
    """
    u, y = np.asarray(points, dtype=float), np.asarray(values, dtype=float)
    if u.ndim != 2 or u.shape[1] != len(names) or len(u) != len(y):
        raise ValueError(f"anova: points must be [N, {len(names)}] and values [N], got {u.shape} and {y.shape}")
    if len(u) < FEWEST:
        raise ValueError(f"anova: needs at least {FEWEST} trials, got {len(u)}")
    if u.min() < 0 or u.max() > 1:
        raise ValueError(f"anova: points must lie in the unit cube, got values from {u.min():g} to {u.max():g}")
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # matrices are small: threads only wait for each other
        return _analyse(u, y, tuple(names), kind, jackknife, seed)


def _analyse(u: Floats, y: Floats, names: tuple[str, ...], kind: str, jackknife: bool, seed: int) -> Anova:
    from .process import fit_kernel

    kinds = ["forest", "process"] if kind == "auto" else [kind]
    kinds = [k for k in kinds if k == "forest" or len(u) <= MOST_FOR_PROCESS or kind == "process"]
    r2 = (
        {k: cross_validated_r2(u, y, k, seed) for k in kinds}
        if jackknife or len(kinds) > 1
        else {kinds[0]: float("nan")}
    )
    chosen = max(r2, key=lambda k: r2[k])
    kernel = fit_kernel(u, y) if chosen == "process" else None
    whole = fit(u, y, chosen, seed, kernel)
    shares, pairs, surfaces, curves = _decompose(whole)
    left_out = np.random.default_rng(seed).permutation(len(u)) % GROUPS
    parts = [
        _decompose(fit(u[left_out != g], y[left_out != g], chosen, seed, kernel, COARSE))
        for g in range(GROUPS if jackknife else 0)
    ]
    return Anova(
        names=names,
        trials=len(u),
        kind=chosen,
        r2=r2,
        grid=midpoints(),
        mean=float(curves[0].mean()),
        curves=curves,
        curve_errors=_jackknife(curves, [p[3] for p in parts]),
        shares=shares,
        share_errors=_jackknife(shares, [p[0] for p in parts]),
        pairs=pairs,
        pair_errors={k: float(_jackknife(np.array(pairs[k]), [np.array(p[1][k]) for p in parts])) for k in pairs},
        surfaces=surfaces,
        rest=float(max(0.0, 1 - shares.sum() - sum(pairs.values()))) if whole.variance > 0 else 0.0,
    )


def midpoints() -> Floats:
    """Return the grid of a coordinate [G]."""
    return (np.arange(GRID) + 0.5) / GRID


def _decompose(
    surrogate: Products | Boxes,
) -> tuple[Floats, dict[tuple[int, int], float], dict[tuple[int, int], Floats], Floats]:
    """Shares [D], shares of pairs, surfaces of pairs and marginal curves [D, G] of a surrogate; shares are 0 where it
    is constant.
    """
    count = surrogate.dimensions
    curves = np.array([surrogate.marginal(d) for d in range(count)])
    whole = surrogate.variance if surrogate.variance > 1e-18 else np.inf
    alone = curves.var(axis=1)
    surfaces = {pair: surrogate.marginal(*pair) for pair in combinations(range(count), 2)}
    pairs = {(i, j): max(0.0, float(s.var() - alone[i] - alone[j])) / whole for (i, j), s in surfaces.items()}
    return alone / whole, pairs, surfaces, curves


def _jackknife(estimate: Floats, parts: Sequence[Floats]) -> Floats:
    """Return standard error of an estimate from its values with one group left out each; NaN without any."""
    if not parts:
        return np.full_like(estimate, np.nan)
    values = np.array(parts)
    variance = (len(values) - 1) / len(values) * ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    error: Floats = np.sqrt(variance)
    return error


def cross_validated_r2(u: Floats, y: Floats, kind: str, seed: int) -> float:
    """Return share of the variance of values that a surrogate predicts of trials it was not fitted to, in 5 folds."""
    if y.var() == 0:
        return 0.0
    fold = np.random.default_rng(seed).permutation(len(u)) % FOLDS
    predicted = np.empty(len(y))
    for k in range(FOLDS):
        seen, unseen = fold != k, fold == k
        predicted[unseen] = model_of(u[seen], y[seen], kind, seed).predict(u[unseen])
    return float(1 - np.mean((y - predicted) ** 2) / y.var())


def model_of(u: Floats, y: Floats, kind: str, seed: int) -> Forest | Process:
    """Return a forest or a process that is fitted to trials."""
    from .process import Process
    from .trees import Forest

    return Forest.fit(u, y, seed) if kind == "forest" else Process.fit(u, y)


def fit(
    u: Floats, y: Floats, kind: str, seed: int = 0, kernel: Kernel | None = None, power: int = FINE
) -> Products | Boxes:
    """Return a surrogate as a sum of products.

    u, y: the trials in the unit cube [N, D] and their outcomes [N].
    kind: forest or process.
    seed: of a forest.
    kernel: of a process, if fitted before; else it is fitted here.
    power: a forest's variance is taken over 2^power points.
    """
    if kind == "forest":
        return _of_forest(u, y, seed, power)
    if kind == "process":
        return _of_process(u, y, kernel)
    raise ValueError(f"anova: kind must be forest, process or auto, got {kind!r}")


def _of_forest(u: Floats, y: Floats, seed: int, power: int) -> Boxes:
    from .trees import Forest

    forest = Forest.fit(u, y, seed)
    return Boxes(*forest.leaves(), forest.variance(seed, power))


def _of_process(u: Floats, y: Floats, kernel: Kernel | None) -> Products:
    from .process import Process

    model, grid = Process.fit(u, y, kernel), midpoints()
    lengths = model.kernel.lengths
    factors = np.exp(-0.5 * ((grid - u.T[:, :, None]) / lengths[:, None, None]) ** 2)  # [D, N, G]
    weights = model.scale * model.kernel.scale * model.weights
    means = factors.mean(axis=2)
    second = np.prod(factors @ factors.transpose(0, 2, 1) / GRID, axis=0)
    variance = float(weights @ second @ weights - (weights @ np.prod(means, axis=0)) ** 2)
    return Products(weights, factors, model.shift, max(0.0, variance))
