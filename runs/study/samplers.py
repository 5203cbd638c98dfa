"""Optuna's samplers and pruners, for studies that search each pair of a task and a variant separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from .space import Dimension

LARGEST_CURVE = 20
"""Largest number of losses that are stored with a trial."""


def distribution(dimension: Dimension) -> FloatDistribution | IntDistribution:
    """Return the range of a hyperparameter as Optuna writes it."""
    low, high = dimension.limits
    if dimension.integer:
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log_axis)


def distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """Return the ranges of a space as Optuna writes them."""
    return {name: distribution(dimension) for name, dimension in space.items()}


def propose(study: optuna.Study, number: int, space: Mapping[str, Dimension]) -> dict[str, float | int]:
    """Return the hyperparameters that the sampler of a study proposes for a trial that has just been claimed.

    number: of the trial in the storage.
    """
    trial = optuna.trial.Trial(study, number)
    return {name: suggested(trial, name, dimension) for name, dimension in space.items()}


def suggested(trial: optuna.trial.Trial, name: str, dimension: Dimension) -> float | int:
    """Return the value of one hyperparameter that Optuna suggests for a trial."""
    known = distribution(dimension)
    if isinstance(known, IntDistribution):
        return trial.suggest_int(name, known.low, known.high, log=known.log)
    return trial.suggest_float(name, known.low, known.high, log=known.log)


def sampler_of(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return an adaptive sampler.

    name: tpe or cmaes. seed: of its random numbers.
    """
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=True)
    return optuna.samplers.CmaEsSampler(seed=seed)


def pruner_of(name: str, budget: int) -> optuna.pruners.BasePruner:
    """Return a pruner.

    name: asha or median. budget: of a trial, in updates.
    """
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, budget // 27), reduction_factor=3)
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=budget // 10)


def thinned(steps: Sequence[int], losses: Sequence[float]) -> list[tuple[int, float]]:
    """Return at most 20 evenly chosen points of a curve, among them its first and its last one.

    >>> [step for step, _ in thinned(range(39), range(39))][:4]
    [0, 2, 4, 6]
    """
    pairs = list(zip(steps, losses, strict=True))
    if len(pairs) <= LARGEST_CURVE:
        return pairs
    return [pairs[round(k * (len(pairs) - 1) / (LARGEST_CURVE - 1))] for k in range(LARGEST_CURVE)]
