"""Rules by which lags and single tasks answer a claim of the literature, and the rows that they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.intervals import LEVEL, bootstrap_interval
from ..study import Study
from .claim_rules import LSTMS, NOTHING, NOTHING_LEFT, Finding, Test, directed, of_variants
from .comparisons import (
    BETTER,
    FEWEST_FOR_INFERENCE,
    HARDLY_SOLVED,
    LEARNED,
    MARGIN,
    NOTHING_LEARNED,
    WORSE,
    by_interval,
    half_width,
    needed,
)
from .lags import AT_LAG, FEWEST_SOLVED, SLOPE, several, solved_by_lag

Series = Mapping[str, Mapping[int, str]]  # the tasks by lag of each series, see `lags.several`
KEPT = "kept"  # effect: how far the solve rate of the baseline at the longest lag is from half of that at the shortest
EASE_ROW = {"endpoint": "solve_rate", "question": "ease", "primary": True, "unit": "%"}


def at_longest_lag(test: Test) -> Test:
    """Return a claim about the longest lag of each series; tasks at a single lag do not count."""

    def longest(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        return test(rows[rows["longest"]] if "longest" in rows else rows.iloc[:0], shares, baseline)

    return longest


def on_series(test: Test, *names: str, others: bool = False) -> Test:
    """Return a claim about some tasks only.

    test: the claim.
    names: of the tasks, without their lags.
    others: whether it is about all tasks but these.
    """
    return lambda rows, shares, baseline: test(rows[rows["series"].isin(names) != others], shares, baseline)


def falls_faster(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that these variants lose more of their solve rate per doubling of the lag than the baseline."""
    return lambda rows, shares, baseline: directed(
        of_variants(rows, names, baseline, baselines, effect=SLOPE), claimed_better=False
    )


def remembers_long(baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that the baseline keeps more than half of its solve rate up to the longest lag."""

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        if "effect" not in rows or baseline not in baselines:
            return NOTHING
        return directed(rows[(rows["effect"] == KEPT) & (rows["variant"] == baseline)], claimed_better=True)

    return test


# The rows
# ----------------------------------------------------------------------------------------------------------------------


def with_lags(study: Study, comparisons: pd.DataFrame, lag_tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return comparisons with what is known about lags.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    lag_tables: of `tables.lags.lag_tables`; empty where they are not at hand, and then no claim about a change with the
        lag is answered.

    There are two more columns: `effect`, which is `lag` in the rows of the comparisons, and `longest`, whether the task
    has the longest lag of a series of several lags. There are two kinds of further rows. Those with the effect `slope`
    say what a variant loses per doubling of the lag, beside the baseline; where one of the two solves fewer than 10
    trials at the shortest lag it has nothing to lose, and the row does not count. Nor does it where one of the two has
    hardly anything left at the longest lag, unless it lost more all the same: the floor cut its fall short. Those with
    the effect `kept` are of the baseline: its solve rate at the longest lag minus half of that at the shortest, with an
    interval that holds for all series together.
    """
    tasks_of = several(study)
    ends = {tasks[max(tasks)] for tasks in tasks_of.values()}
    rows = comparisons.assign(effect=AT_LAG, longest=comparisons["task"].isin(ends))
    if not lag_tables:
        return rows
    more = [*_slopes(tasks_of, lag_tables["lag_effects"], lag_tables["lags"]), *_kept(study, tasks_of)]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True) if more else rows


def _slopes(tasks_of: Series, effects: pd.DataFrame, lags: pd.DataFrame) -> Iterator[dict[str, Any]]:
    known = lags.set_index(["series", "lag", "variant"]).sort_index()
    for row in effects[effects["effect"] == SLOPE].to_dict("records"):
        series, both = row["series"], [row["variant"], row["baseline"]]
        shortest, longest = min(tasks_of[series]), max(tasks_of[series])
        span = 1 / float(np.log2(longest / shortest))
        few = known.loc[(series, shortest)].loc[both, "solved"].min() < FEWEST_SOLVED
        ends = known.loc[(series, longest)].loc[both, "solve_rate"] < LEARNED["solve_rate"]
        half = half_width(row["low"], row["difference"], row["high"])
        yield {
            **{name: row[name] for name in ("series", "variant", "baseline", "effect", "points", "difference")},
            **{name: row[name] for name in ("value", "reference", "low", "high")},
            **EASE_ROW,
            "task": f"{series} per doubling of the lag",
            "longest": False,
            "span": span,
            "p": row["p"],
            "verdict": HARDLY_SOLVED if few else _above_floor(row["verdict"], *map(bool, ends)),
            "needed": needed(row["difference"], half, row["points"], span),
        }


def _above_floor(verdict: str, variant: bool, baseline: bool) -> str:
    """Return what may be said of two falls of which the floor cut that of the variant short, or of the baseline."""
    cut = {BETTER: variant, WORSE: baseline}.get(verdict, variant or baseline)
    return NOTHING_LEFT if cut else verdict


def _kept(study: Study, tasks_of: Series) -> Iterator[dict[str, Any]]:
    level = 1 - (1 - LEVEL) / max(1, len(tasks_of))
    for series, tasks in tasks_of.items():
        solved, variants = solved_by_lag(study, tasks)
        if not variants or variants[0] != study.baseline:
            continue
        own = solved[0][:, np.isfinite(solved[0]).all(axis=0)]
        values = own[-1] - own[0] / 2
        mean, points = float(values.mean()), len(values)
        enough = points >= FEWEST_FOR_INFERENCE
        low, high = bootstrap_interval(np.mean, values, level=level) if enough else (np.nan, np.nan)
        nothing = own[0].mean() < LEARNED["solve_rate"]
        yield {
            **EASE_ROW,
            "series": series,
            "variant": study.baseline,
            "baseline": study.baseline,
            "effect": KEPT,
            "points": points,
            "difference": mean,
            "value": float(own[-1].mean()),
            "reference": float(own[0].mean() / 2),
            "low": low,
            "high": high,
            "task": f"{tasks[max(tasks)]} beside half of its share at lag {min(tasks)}",
            "longest": False,
            "span": 1.0,
            "verdict": NOTHING_LEARNED if nothing else by_interval(low, mean, high, MARGIN),
            "needed": needed(mean, half_width(low, mean, high), points, 1.0),
        }
