"""Bounds on the likelihood of networks with latent variables, and how much of their latent variables they use."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from ..goals import Goal
from ..statistics.best import best_decile
from ..study import Study

COLUMNS = [
    *("task", "variant", "trials", "parameters", "bound", "negative_elbo", "kl", "largest_kl"),
    *("used_dimensions", "latent_dimensions", "collapsed"),
]
PARTS = ("negative_elbo", "kl", "largest_kl", "used_dimensions", "latent_dimensions")
"""Metrics that networks with latent variables have beside their loss."""


def bounds(study: Study) -> pd.DataFrame:
    """Return one row per task and variant of tasks on which a variant has latent variables; none of other tasks.

    All are means over the best decile of the trials, in nats a step or in the unit of the task.

    Columns:
    trials: of the best decile.
    parameters: trainable values.
    bound: the loss; of latent variables the negative importance-weighted bound, of others the exact value.
    negative_elbo, kl, largest_kl, used_dimensions, latent_dimensions: as `runs.networks.latent.LatentModule.look` has
        them; NaN for variants without latent variables.
    collapsed: share of all trials, not of the best decile alone, whose posterior has collapsed onto the prior, so that
        no latent dimension is used; NaN for variants without latent variables.
    """
    rows = []
    for task in study.tasks:
        own = study.trials[study.trials["task"] == task]
        found = [
            {"task": task, "variant": variant, **_of(trials, study.goals[task])}
            for variant in study.variants
            if len(trials := own[own["variant"] == variant])
        ]
        rows += found if any(np.isfinite(row["kl"]) for row in found) else []
    return pd.DataFrame(rows, columns=COLUMNS)


def _of(trials: pd.DataFrame, goal: Goal) -> dict[str, Any]:
    """Return the row of a pair."""
    parts = pd.DataFrame([_parts(text) for text in trials["test_metrics"]], trials.index, columns=list(PARTS))
    chosen = best_decile(trials["order"].to_numpy())
    best, measured = trials.iloc[chosen], parts.iloc[chosen].mean()
    known = parts["used_dimensions"].dropna()
    scaled = {name: float(goal.shown([measured[name]])[0]) for name in ("negative_elbo", "kl", "largest_kl")}
    return {
        "trials": len(best),
        "parameters": float(best["parameters"].mean()),
        "bound": float(goal.shown(best["test_loss"]).mean()),
        **scaled,
        **{name: float(measured[name]) for name in ("used_dimensions", "latent_dimensions")},
        "collapsed": float((known == 0).mean()) if len(known) else np.nan,
    }


def _parts(text: str) -> dict[str, float]:
    found = json.loads(text or "{}")
    return {name: float(found.get(name, np.nan)) for name in PARTS}
