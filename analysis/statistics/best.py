"""The best trials of a search: which they are, and how good the best of so many is expected to be.

Best means the same everywhere: see `order_of`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from .intervals import Floats, Integers
from .welch import welch_test

DECILE = 0.1


def order_of(solved_step: ArrayLike, validation_loss: ArrayLike, by_steps: bool = True) -> Floats:
    """Return one number per trial by which trials are sorted, the best first; equal trials have the same number.

    Trials that solved the task come before those that did not, sorted by the steps they took to solve it, then by
    validation loss: a solved trial stops training, so that its loss says when it stopped and not how good it is.
    Unsolved trials are sorted by validation loss. This is `runs.study.ranking.rank_key` for many trials at once.

    solved_step: the update at which a trial solved its task [K], NaN where it did not.
    validation_loss: the lowest one [K]; NaN for a trial without any, which comes last.
    by_steps: False for training that does not stop when the task is solved (`training.stop_when_solved=false`): the
        validation loss alone decides.

    Returns 0, 1, 2 and so on [K], NaN for trials without a finite loss.

    >>> order_of([float("nan"), 300, 200, 200], [0.01, 0.1, 0.3, 0.3]).tolist()
    [2.0, 1.0, 0.0, 0.0]
    """
    steps, losses = np.asarray(solved_step, dtype=float), np.asarray(validation_loss, dtype=float)
    steps = np.where(np.isfinite(steps) & by_steps, steps, np.inf)
    finite = np.isfinite(losses)
    order = np.full(len(losses), np.nan)
    if finite.any():
        keys = np.column_stack([steps[finite], losses[finite]])
        order[finite] = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    return order


def ranking(order: ArrayLike) -> Integers:
    """Return the indices of trials from the best to the worst.

    order: a number per trial [P], lower is better, see `order_of`. A trial without a finite one (it diverged) comes
        last; ties keep the order given.

    >>> ranking([3, float("nan"), 1]).tolist()
    [2, 0, 1]
    """
    numbers = np.asarray(order, dtype=float)
    return np.argsort(np.where(np.isfinite(numbers), numbers, np.inf), kind="stable")


def best_decile(order: ArrayLike) -> Integers:
    """Return the indices of the best tenth of the trials, rounded up, at least one.

    order: of the trials [P], see `order_of`.

    Source: Greff et al. 2017, "LSTM: A Search Space Odyssey", section V.
    """
    best_first = ranking(order)
    return best_first[: max(1, int(np.ceil(DECILE * len(best_first) - 1e-9)))]


def best_weights(trials: int, n: int) -> Floats:
    """Return the probability that the trial of rank 1..P is the best among n drawn without replacement.

    trials: number P of trials to draw from.
    n: number drawn.

    Returns probabilities [P]. The trial of rank r is the best of the draw when the other n - 1 come from the P - r
    that are worse: C(P - r, n - 1) / C(P, n).

    Raises ValueError where n is not between 1 and P.

    >>> best_weights(4, 2).round(3).tolist()
    [0.5, 0.333, 0.167, 0.0]
    """
    if not 1 <= n <= trials:
        raise ValueError(f"best_weights: n must lie between 1 and the number of trials ({trials}), got {n}")
    worse = trials - np.arange(1, trials + 1)
    with np.errstate(divide="ignore"):
        log_weights = np.where(
            worse >= n - 1,
            gammaln(worse + 1) - gammaln(n) - gammaln(np.maximum(worse - n + 2, 1)),
            -np.inf,
        )
    log_all = gammaln(trials + 1) - gammaln(n + 1) - gammaln(trials - n + 1)
    weights: Floats = np.exp(log_weights - log_all)
    return weights


def expected_best(values: ArrayLike, order: ArrayLike, budgets: ArrayLike) -> Floats:
    """Return the expected value of the best trial out of n, for each n in `budgets`.

    values: what is reported of each trial [P], for example the test score.
    order: what chooses a trial [P], lower is better, see `order_of`.
    budgets: numbers n of trials in a search, each between 1 and P.

    Every subset of n trials counts once, so the estimator is unbiased. Dodge et al. 2019 ("Show your work") draw with
    replacement, which is biased downwards.
    """
    ranked = np.asarray(values, dtype=float)[ranking(order)]
    return np.array([best_weights(len(ranked), int(n)) @ ranked for n in np.atleast_1d(np.asarray(budgets))])


def search_budgets(trials: int, few: int = 5) -> Integers:
    """Return the budgets 1..P/10 up to which a curve of the expected best is drawn.

    trials: number P of trials.
    few: the curve goes at least this far where there are so many trials.
    """
    return np.arange(1, max(trials // 10, min(few, trials)) + 1)


def greff_welch(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return the p-value of Welch's test on the test losses of two best deciles, as Greff et al. 2017 compute it.

    Do not rely on it: the losses of a best decile are order statistics that share a random threshold, so the test
    rejects a true null hypothesis far more often than in the 5 % that it promises.

    ours, theirs: test losses of the two best deciles; losses that are not finite are left out.

    Returns NaN where there are fewer than two losses on a side.

    Source: Greff et al. 2017, "LSTM: A Search Space Odyssey", section V.
    """
    samples = [np.asarray(x, dtype=float) for x in (ours, theirs)]
    samples = [x[np.isfinite(x)] for x in samples]
    if min(len(x) for x in samples) < 2:
        return float("nan")
    if all(np.ptp(x) == 0 for x in samples):
        return 1.0 if samples[0][0] == samples[1][0] else 0.0
    return float(welch_test(*samples).pvalue)
