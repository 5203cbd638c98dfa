"""One row per pair of a task and a variant: what a study found, in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..goals import UNKNOWN, Goal
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

    Diverged and exploded trials stay.
    """
    return table[table["status"] != "failed"]


def summarise(
    table: pd.DataFrame, tasks: Sequence[str], variants: Sequence[str], goals: Mapping[str, Goal]
) -> pd.DataFrame:
    """Return one row per pair of a task and a variant, with N = 0 where no trial has run.

    table: trials of a search with their order, as in `Study.table`.
    tasks, variants: in the order of the rows.
    goals: of the tasks.

    Columns:
    trials (N, without failed ones), solved, diverged, exploded, failed; solvable: whether the task can be solved;
    solve_rate with solve_low and solve_high (Wilson, 95 %);
    restricted_steps (mean of min(steps to solve, budget));
    decile_score, decile_loss and decile_parameters (means over the best decile, on test data; the
    geometric mean for the loss);
    expected_best_20 (score; of all trials where there are fewer than 20);
    score, parameters, seconds (means over all trials);
    best_loss (test loss of the best trial).

    Losses are in the unit of their task. A task without a criterion of success has no solve rate, no steps to solve and
    no expected best score; its decile_loss is the mean of losses, see `Goal.limited`, and there
    are also expected_best_20_loss, epochs (mean over all trials) and decile_<metric> of the test metrics.
    """
    groups = dict(tuple(table.groupby(["task", "variant"])))
    pairs = ((task, variant) for task in tasks for variant in variants)
    rows = [_row(*pair, groups.get(pair, table.iloc[:0]), goals.get(pair[0], UNKNOWN)) for pair in pairs]
    return pd.DataFrame(rows)


def _row(task: str, variant: str, every: pd.DataFrame, goal: Goal) -> dict[str, Any]:
    trials = usable(every)
    count = {status: int((trials["status"] == status).sum()) for status in ("solved", "diverged", "exploded")}
    rate = count["solved"] / len(trials) if len(trials) and goal.solvable else np.nan
    low, high = wilson(count["solved"], len(trials)) if np.isfinite(rate) else (np.nan, np.nan)
    row: dict[str, Any] = {
        "task": task,
        "variant": variant,
        "trials": len(trials),
        **count,
        "failed": len(every) - len(trials),
        "solvable": goal.solvable,
        "solve_rate": rate,
        "solve_low": low,
        "solve_high": high,
    }
    return row | _means(trials, goal) if len(trials) else row


def _means(trials: pd.DataFrame, goal: Goal) -> dict[str, float]:
    """Return the means of a pair; scores of a task that can be solved, limited losses of another."""
    order = trials["order"].to_numpy()
    at, size = best_decile(order), min(SEARCH, len(trials))
    best = trials.iloc[at]
    row: dict[str, float] = {}
    if goal.solvable:
        with np.errstate(divide="ignore"):
            logs = np.log(goal.shown(best["test_loss"]))
        row["restricted_steps"] = float(restricted_steps(trials["solved_step"], trials["budget"]).mean())
        decile_loss, values, expected = np.exp(logs.mean()), trials["score"].to_numpy(), "expected_best_20"
    else:
        losses = goal.limited(trials["test_loss"])
        decile_loss, values, expected = losses[at].mean(), losses, "expected_best_20_loss"
    row |= {
        "decile_score": float(best["score"].mean()),
        "decile_loss": float(decile_loss),
        "decile_parameters": float(best["parameters"].mean()),
        expected: float(expected_best(values, order, [size])[0]),
        "score": float(trials["score"].to_numpy().mean()),
        "parameters": float(trials["parameters"].mean()),
        "seconds": float(trials["seconds"].mean()),
        "best_loss": float(goal.shown(best["test_loss"])[0]),
    }
    if goal.solvable:
        return row
    if "epochs" in trials and trials["epochs"].notna().any():
        row["epochs"] = float(trials["epochs"].mean())
    return row | _metrics(best)


def _metrics(best: pd.DataFrame) -> dict[str, float]:
    """Return the means of the test metrics other than the loss, as `decile_<name>`."""
    found = pd.DataFrame([json.loads(text or "{}") for text in best["test_metrics"]]).drop(
        columns="loss", errors="ignore"
    )
    return {f"decile_{name}": float(values.astype(float).mean()) for name, values in found.items()}
