"""The stages after a search as tables: what fresh seeds confirm, and how far back variants remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from runs.record.rows import names_of

from ..statistics.horizon import memory_horizon
from ..statistics.intervals import Floats, bootstrap_interval
from ..statistics.resampling import holm
from ..statistics.scores import (
    improvement_interval,
    interquartile_mean,
    probability_of_improvement,
    swap_p_of_improvement,
)
from ..study import Study
from .summary import usable

FEWEST_FOR_INTERVAL = 5  # replicates below which they are shown without interval
ALL = "all tasks"
CONFIRMED = [
    *("task", "variant", "replicates", "solved", "iqm", "low", "high", "improvement"),
    *("improvement_low", "improvement_high", "p", "p_holm"),
]
HORIZONS = ["task", "variant", "runs", "lags", "log2_horizon", "error", "horizon", "at_most", "at_least"]


def stage_tables(study: Study) -> dict[str, pd.DataFrame]:
    """Return the tables of the stages that have been run, by name; those of others are absent.

    replicates: the trials of block winners that were run again, and profiles the same where a variant has five or more.
    confirmation: their scores beside those of the search.
    confirmed: see `confirmed`.
    repeats: runs of the best configurations.
    best_configurations: see `best_configurations`.
    horizon_trials: trials at lags that double.
    horizons: see `horizons`.
    """
    lists = list(names_of("integers", "floats"))
    confirm, horizon = (study.stage(name).drop(columns=lists) for name in ("confirm", "horizon"))
    replicates, repeats = confirm[confirm["block"] >= 0], confirm[confirm["block"] < 0]
    tables = {}
    if len(usable(replicates)):
        tables["replicates"] = replicates
        tables["confirmation"] = confirmation(study, replicates)
        tables["confirmed"] = confirmed(study, replicates)
        tables["repeats"] = repeats
        if usable(replicates).groupby(["task", "variant"]).size().max() >= FEWEST_FOR_INTERVAL:
            tables["profiles"] = replicates
    if len(usable(repeats)):
        tables["best_configurations"] = best_configurations(study, repeats)
    if len(usable(horizon)):
        tables |= {"horizon_trials": horizon, "horizons": horizons(horizon)}
    return tables


# Confirmation
# ----------------------------------------------------------------------------------------------------------------------


def confirmation(study: Study, replicates: pd.DataFrame) -> pd.DataFrame:
    """Return one row per task, variant and block: the point that won it and its scores.

    replicates: trials of block winners with fresh seeds.

    Columns: point; search_score and search_status, those of the winner in the search; fresh_score and fresh_status,
    those of the same configuration with a fresh seed.
    """
    keys = ["task", "variant", "point"]
    there = study.table[[*keys, "score", "status"]].rename(columns={"score": "search_score", "status": "search_status"})
    here = usable(replicates)[[*keys, "block", "score", "status"]].rename(
        columns={"score": "fresh_score", "status": "fresh_status"}
    )
    return here.merge(there, on=keys, how="left").sort_values(["task", "variant", "block"], ignore_index=True)


def confirmed(study: Study, replicates: pd.DataFrame) -> pd.DataFrame:
    """Return what the replicates of "search, then train" say: one row per task and variant, then one over all tasks.

    replicates: trials of block winners with fresh seeds.

    Columns:
    replicates (N), solved;
    iqm: interquartile mean of the score, with low and high (bootstrap over the replicates of each task; NaN below
    five, and where all are equal);
    improvement: probability that a replicate scores higher than one of the baseline, with improvement_low and
    improvement_high; over all tasks the mean;
    p (labels swapped within blocks) and p_holm (adjusted over the variants of a task).
    """
    trials = usable(replicates)
    wide = {task: own.pivot(index="block", columns="variant", values="score") for task, own in trials.groupby("task")}
    solved = (trials["status"] == "solved").groupby([trials["task"], trials["variant"]]).sum()
    tasks = [t for t in study.tasks if t in wide]
    rows = [
        {
            "task": task,
            "variant": variant,
            "replicates": int(wide[task][variant].count()),
            "solved": int(solved.loc[(task, variant)]),
            **_middle([wide[task][variant].dropna().to_numpy()]),
            **_against_baseline(wide[task], variant, study.baseline),
        }
        for task in tasks
        for variant in study.variants
        if variant in wide[task]
    ]
    table = pd.DataFrame(rows).reindex(columns=CONFIRMED)
    table["p_holm"] = table.groupby("task")["p"].transform(holm)
    if len(tasks) < 2:
        return table
    everywhere = [
        {
            "task": ALL,
            "variant": variant,
            **table.loc[table["variant"] == variant, ["replicates", "solved"]].sum(),
            **_middle([wide[task][variant].dropna().to_numpy() for task in tasks]),
            "improvement": table.loc[table["variant"] == variant, "improvement"].mean(),
        }
        for variant in study.variants
        if all(variant in wide[task] for task in tasks)
    ]
    if not everywhere:
        return table
    return pd.concat([table, pd.DataFrame(everywhere, columns=table.columns)], ignore_index=True)


def _middle(samples: Sequence[Floats]) -> dict[str, float]:
    """Interquartile mean of all samples together, with its interval."""

    def statistic(*drawn: Floats) -> float:
        return interquartile_mean(np.concatenate(drawn))

    inferred = min(map(len, samples)) >= FEWEST_FOR_INTERVAL and np.ptp(np.concatenate(samples)) > 0
    low, high = bootstrap_interval(statistic, *samples) if inferred else (np.nan, np.nan)
    return {"iqm": statistic(*samples), "low": low, "high": high}


def _against_baseline(wide: pd.DataFrame, variant: str, baseline: str | None) -> dict[str, float]:
    """Return the probability of improvement of a variant on one task, with interval and p-value; none for the baseline.

    wide: scores by block and variant.
    """
    if variant == baseline or baseline not in wide:
        return {}
    ours, theirs = (wide[name].dropna().to_numpy() for name in (variant, baseline))
    both = wide[[variant, baseline]].dropna()
    p = swap_p_of_improvement(both[variant], both[baseline]) if len(both) else np.nan
    if not len(ours) or not len(theirs):
        return {"p": p}
    enough = min(len(ours), len(theirs)) >= FEWEST_FOR_INTERVAL
    low, high = improvement_interval(ours, theirs) if enough else (np.nan, np.nan)
    found = probability_of_improvement(ours, theirs)
    return {"improvement": found, "improvement_low": low, "improvement_high": high, "p": p}


def best_configurations(study: Study, repeats: pd.DataFrame) -> pd.DataFrame:
    """Return one row per task and variant: the best configuration of the search, and what fresh seeds made of it.

    repeats: runs of the best configurations with fresh seeds.

    Columns: point, the hyperparameters, hidden_size, search_score, runs, solved, and the lowest, median and highest
    score of the runs.
    """
    names = [name for name in study.design.space if name in repeats]
    groups = dict(tuple(usable(repeats).groupby(["task", "variant"])))
    searched = study.table.set_index(["task", "variant", "point"])["score"]
    rows: list[dict[str, Any]] = []
    for task, variant in study.pairs:
        if (task, variant) not in groups:
            continue
        own = groups[task, variant]
        first = own.iloc[0]
        lowest, median, highest = own["score"].quantile([0, 0.5, 1])
        rows.append(
            {
                "task": task,
                "variant": variant,
                **{name: first[name] for name in ("point", *names, "hidden_size")},
                "search_score": searched.get((task, variant, first["point"]), np.nan),
                "runs": len(own),
                "solved": int((own["status"] == "solved").sum()),
                "lowest": lowest,
                "median": median,
                "highest": highest,
            }
        )
    return pd.DataFrame(rows)


def fewest_to_conclude(variants: int, level: float = 0.05) -> int:
    """Return the number of replicates from which on a difference can be claimed at all.

    With P replicates the smallest possible p-value by label swaps is 2 / 2^P; adjusted for the number of variants by
    Holm's method it reaches the level at this P.

    variants: number of variants beside the baseline.
    level: largest p-value of a difference that is claimed.

    >>> fewest_to_conclude(1), fewest_to_conclude(4)
    (6, 8)
    """
    return int(np.ceil(1 + np.log2(variants / level)))


# Horizon
# ----------------------------------------------------------------------------------------------------------------------


def horizons(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per task and variant of a stage in which lags double: how far back it remembers.

    table: trials with columns task, variant, lag, status; a task is the same at all its lags. Lags after a gap are left
        out.

    Columns:
    runs, lags: numbers of both;
    log2_horizon, error: see `statistics.horizon.memory_horizon`; horizon: the same in steps;
    at_least: half of the runs or more solve the longest lag; at_most: fewer than half solve the shortest. Then the
    horizon is that lag, a bound without error. Where every lag is solved by all runs or by none the horizon may lie
    anywhere between two lags, and the error is the standard deviation of that, 12^(-1/2) doublings.
    """
    groups = usable(table).groupby(["task", "variant"])
    return pd.DataFrame([{"task": t, "variant": v, **_horizon(own)} for (t, v), own in groups], columns=HORIZONS)


def _horizon(own: pd.DataFrame) -> dict[str, Any]:
    by_lag = own.assign(solved=own["status"] == "solved").groupby("lag")["solved"].agg(["sum", "count"]).sort_index()
    doubling = np.append(True, np.isclose(np.diff(np.log2(by_lag.index.to_numpy(dtype=float))), 1.0))
    by_lag = by_lag[np.logical_and.accumulate(doubling)]
    shares = (by_lag["sum"] / by_lag["count"]).to_numpy()
    log2, error = memory_horizon(by_lag.index, by_lag["sum"], by_lag["count"])
    at_most = bool(shares[0] < 0.5)
    at_least = bool(shares[-1] >= 0.5) and not at_most
    if at_least or at_most:
        log2, error = float(np.log2(by_lag.index[-1 if at_least else 0])), np.nan
    elif set(shares) <= {0.0, 1.0}:
        error = 12**-0.5
    return {
        "runs": int(by_lag["count"].sum()),
        "lags": len(by_lag),
        "log2_horizon": log2,
        "error": error,
        "horizon": 2**log2,
        "at_most": at_most,
        "at_least": at_least,
    }
