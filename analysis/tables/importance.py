"""The functional analysis of variance of every variant on every task, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics import anova
from .summary import order, usable

Design = Mapping[str, Any]
RESPONSES = ("score", "seconds")
CELLS = 16  # of a pair's surface along each side, in the table


def importance(table: pd.DataFrame, design: Design, workers: int = 1) -> dict[str, pd.DataFrame]:
    """Three tables of what each hyperparameter does to the test score; empty where a pair has fewer than 40 trials.

    workers: processes that share the pairs.

    shares: one row per (task, variant, term), a term being a hyperparameter, a pair or `rest`: share of the surrogate's
    variance, its standard error, the surrogate chosen and the cross-validated R2 of both kinds.
    marginals: one row per (task, variant, response, hyperparameter, u): the marginal mean and its standard error, for
    the score and for the seconds of a trial (geometric mean; its error is a factor's logarithm).
    surfaces: one row per (task, variant, first, second, u_first, u_second): the marginal mean score of a pair.
    """
    from joblib import Parallel, delayed

    names = [name for name in (design.get("space") or {}) if f"u_{name}" in table]
    columns = [*(f"u_{name}" for name in names), "score", "seconds"]
    jobs = [
        delayed(_explain)(task, variant, trials[columns], names, design["space"])
        for task, variant, trials in _cells(table, design)
        if names and len(trials) >= anova.FEWEST
    ]
    found = Parallel(n_jobs=workers if len(jobs) > 1 else 1)(jobs)
    wanted = {
        "shares": [
            "task",
            "variant",
            "term",
            "order",
            "share",
            "error",
            "surrogate",
            "trials",
            "r2_forest",
            "r2_process",
        ],
        "marginals": ["task", "variant", "response", "hyperparameter", "u", "value", "mean", "error"],
        "surfaces": ["task", "variant", "first", "second", "u_first", "u_second", "mean"],
    }
    empty = {name: pd.DataFrame(columns=columns) for name, columns in wanted.items()}
    return (
        {name: pd.concat([t[name] for t in found], ignore_index=True).reindex(columns=wanted[name]) for name in wanted}
        if found
        else empty
    )


def _explain(
    task: str, variant: str, trials: pd.DataFrame, names: list[str], space: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    points, place = trials[[f"u_{name}" for name in names]].to_numpy(), {"task": task, "variant": variant}
    found = anova.analyse(points, trials["score"], names)
    times = anova.analyse(points, np.log(trials["seconds"].clip(lower=1e-6)), names, jackknife=False)
    facts = {"surrogate": found.kind, "trials": found.trials, **{f"r2_{k}": v for k, v in found.r2.items()}}
    curves = [
        pd.DataFrame({**place, "response": response, **columns})
        for response, result in zip(RESPONSES, (found, times), strict=True)
        for columns in _curves(result, space)
    ]
    surfaces = [pd.DataFrame({**place, **columns}) for columns in _surfaces(found)]
    return {
        "shares": pd.DataFrame([{**place, **row, **facts} for row in _terms(found)]),
        "marginals": pd.concat(curves),
        "surfaces": pd.concat(surfaces) if surfaces else pd.DataFrame(),
    }


def value_at(node: Mapping[str, Any], u: np.ndarray) -> np.ndarray:
    """Values of a hyperparameter at coordinates of the unit cube, as its node of the design's space says."""
    low, high = float(node["low"]), float(node["high"])
    values = low * (high / low) ** u if node.get("log") else low + u * (high - low)
    return 1 - values if node.get("complement") else values


def _cells(table: pd.DataFrame, design: Design) -> Iterator[tuple[str, str, pd.DataFrame]]:
    groups = dict(tuple(usable(table).groupby(["task", "variant"])))
    for task in order(table, design, "task"):
        for variant in order(table, design, "variant"):
            if (task, variant) in groups:
                yield task, variant, groups[task, variant]


def _terms(found: anova.Anova) -> Iterator[dict[str, Any]]:
    for name, share, error in zip(found.names, found.shares, found.share_errors, strict=True):
        yield {"term": name, "order": 1, "share": share, "error": error}
    for (i, j), share in found.pairs.items():
        yield {
            "term": f"{found.names[i]} × {found.names[j]}",
            "order": 2,
            "share": share,
            "error": found.pair_errors[i, j],
        }
    yield {"term": "rest", "order": 3, "share": found.rest, "error": np.nan}


def _curves(found: anova.Anova, space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, curve, error in zip(found.names, found.curves, found.curve_errors, strict=True):
        yield {
            "hyperparameter": name,
            "u": found.grid,
            "value": value_at(space[name], found.grid),
            "mean": curve,
            "error": error,
        }


def _surfaces(found: anova.Anova) -> Iterator[dict[str, Any]]:
    block = anova.GRID // CELLS
    for (i, j), surface in found.surfaces.items():
        coarse = surface.reshape(CELLS, block, CELLS, block).mean(axis=(1, 3))
        at = (np.arange(CELLS) + 0.5) / CELLS
        first, second = np.meshgrid(at, at, indexing="ij")
        names = {"first": found.names[i], "second": found.names[j]}
        yield {**names, "u_first": first.ravel(), "u_second": second.ravel(), "mean": coarse.ravel()}
