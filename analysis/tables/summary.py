"""One row per pair of a task and a variant: what a study found, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.best import best_decile, expected_best
from ..statistics.endpoints import SEARCH, restricted_steps
from ..statistics.intervals import wilson


def in_order(listed: Sequence[str], found: Iterable[str]) -> list[str]:
    """Return names as a design lists them, then any others that were found, by name.

    >>> in_order(["vanilla", "gru"], ["rnn", "gru", "irnn"])
    ['vanilla', 'gru', 'irnn', 'rnn']
    """
    return [*listed, *sorted(set(found) - set(listed))]


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that say something about a variant: all but the failed ones, in which the program broke.

    Diverged trials stay.
    """
    return table[table["status"] != "failed"]


def summarise(table: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str]) -> pd.DataFrame:
    """Return one row per pair of a task and a variant, with N = 0 where no trial has run.

    table: trials of a search with their order, as in `Study.table`.
    tasks, variants: in the order of the rows.

    Columns:
    trials (N, without failed ones), solved, diverged, failed;
    solve_rate with solve_low and solve_high (Wilson, 95 %);
    restricted_steps (mean of min(steps to solve, budget));
    decile_score, decile_loss and decile_parameters (means over the best decile, on test data; the
    geometric mean for the loss);
    expected_best_20 (score; of all trials where there are fewer than 20);
    score, parameters, seconds (means over all trials);
    best_loss (test loss of the best trial).
    """
    groups = dict(tuple(table.groupby(["task", "variant"])))
    pairs = ((task, variant) for task in tasks for variant in variants)
    return pd.DataFrame([_row(*pair, groups.get(pair, table.iloc[:0])) for pair in pairs])


def _row(task: str, variant: str, every: pd.DataFrame) -> dict[str, Any]:
    trials = usable(every)
    solved = int((trials["status"] == "solved").sum())
    low, high = wilson(solved, len(trials)) if len(trials) else (np.nan, np.nan)
    row: dict[str, Any] = {
        "task": task,
        "variant": variant,
        "trials": len(trials),
        "solved": solved,
        "diverged": int((trials["status"] == "diverged").sum()),
        "failed": len(every) - len(trials),
        "solve_rate": solved / len(trials) if len(trials) else np.nan,
        "solve_low": low,
        "solve_high": high,
    }
    return row | _means(trials) if len(trials) else row


def _means(trials: pd.DataFrame) -> dict[str, float]:
    order, score = trials["order"].to_numpy(), trials["score"].to_numpy()
    best = trials.iloc[best_decile(order)]
    with np.errstate(divide="ignore"):
        logs = np.log(best["test_loss"].to_numpy())
    return {
        "restricted_steps": float(restricted_steps(trials["solved_step"], trials["budget"]).mean()),
        "decile_score": float(best["score"].mean()),
        "decile_loss": float(np.exp(logs.mean())),
        "decile_parameters": float(best["parameters"].mean()),
        "expected_best_20": float(expected_best(score, order, [min(SEARCH, len(trials))])[0]),
        "score": float(score.mean()),
        "parameters": float(trials["parameters"].mean()),
        "seconds": float(trials["seconds"].mean()),
        "best_loss": float(best["test_loss"].iloc[0]),
    }
