"""One row per variant and task: what a study found, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..load import names
from ..statistics import stats


def order(table: pd.DataFrame, design: Mapping[str, Any], axis: str) -> list[str]:
    """The names along an axis, `variant` or `task`: the baseline first, then as the design lists them, then any others
    by name.
    """
    listed = names(design.get("variants" if axis == "variant" else "tasks"))
    found = sorted(set(table[axis]) - set(listed))
    every = [*listed, *found]
    baseline = baseline_of(table, design) if axis == "variant" else None
    return sorted(every, key=lambda name: name != baseline)


def baseline_of(table: pd.DataFrame, design: Mapping[str, Any]) -> str | None:
    """The variant that the others are held against: of the design, else `vanilla` or `greff_v` where the table has it."""
    listed = {*names(design.get("variants")), *table["variant"]}
    return next((name for name in (design.get("baseline"), "vanilla", "greff_v") if name in listed), None)


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """The trials that say something of a variant: all but the failed ones, in which the program broke.

    Diverged trials stay.
    """
    return table[table["status"] != "failed"]


def cells(table: pd.DataFrame, design: Mapping[str, Any]) -> pd.DataFrame:
    """One row per (task, variant) of the design, with N = 0 where no trial has run.

    Columns: trials (N, without failed ones), solved, diverged, failed; solve_rate with solve_low and solve_high
    (Wilson, 95 %); restricted_steps (mean of min(steps to solve, budget)); decile_score, decile_loss and
    decile_parameters (means over the best decile by validation, on test data; loss as geometric mean); expected_best_20
    (score; of all trials where there are fewer than 20); score, parameters, seconds (means over all); best_loss (test
    loss of the best trial by validation).
    """
    rows = []
    groups = dict(tuple(table.groupby(["task", "variant"])))
    for task in order(table, design, "task"):
        for variant in order(table, design, "variant"):
            every = groups.get((task, variant), table.iloc[:0])
            trials = usable(every)
            solved = int((trials["status"] == "solved").sum())
            low, high = stats.wilson(solved, len(trials))
            row: dict[str, Any] = {
                "task": task,
                "variant": variant,
                "trials": len(trials),
                "solved": solved,
                "diverged": int((trials["status"] == "diverged").sum()),
                "failed": len(every) - len(trials),
                "solve_rate": solved / len(trials) if len(trials) else np.nan,
                "solve_low": low if len(trials) else np.nan,
                "solve_high": high if len(trials) else np.nan,
            }
            if len(trials):
                validation, score = trials["validation_loss"].to_numpy(), trials["score"].to_numpy()
                best = trials.iloc[stats.best_decile(validation)]
                n = min(20, len(trials))
                with np.errstate(divide="ignore"):
                    logs = np.log(best["test_loss"].to_numpy())
                row |= {
                    "restricted_steps": float(stats.restricted_steps(trials["solved_step"], trials["budget"]).mean()),
                    "decile_score": float(best["score"].mean()),
                    "decile_loss": float(np.exp(logs.mean())),
                    "decile_parameters": float(best["parameters"].mean()),
                    "expected_best_20": float(stats.expected_best(score, validation, [n])[0]),
                    "score": float(score.mean()),
                    "parameters": float(trials["parameters"].mean()),
                    "seconds": float(trials["seconds"].mean()),
                    "best_loss": float(best["test_loss"].iloc[0]),
                }
            rows.append(row)
    return pd.DataFrame(rows)
