"""Small tables of the evidence: every variant against the baseline, a question at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from ..tables.comparisons import BETTER, EVERYTHING_SOLVED, GUARDS, OPEN, SAME, WORSE, resolution
from ..tables.lags import MEAN, SLOPE
from .answer import question_sentence

MARKS = {BETTER: "▲", WORSE: "▼", SAME: "=", OPEN: "?"}


class Shade(NamedTuple):
    """One cell: its text, and its verdict in one word for the colour; empty for none."""

    text: str
    kind: str = ""


class Row(NamedTuple):
    """One row: name in words, code name (empty for none), and a cell for each column."""

    name: str
    code: str
    cells: Sequence[Shade]


class Evidence(NamedTuple):
    """One question with its table.

    name: of the table in the page.
    title: the question.
    sentence: what was found, empty where the table says it.
    unit: what the numbers are.
    heads: of the columns after the first, in words.
    rows: the baseline first.
    note: how to read it.
    """

    name: str
    title: str
    sentence: str
    unit: str
    heads: Sequence[str]
    rows: Sequence[Row]
    note: str


TITLES = {
    "solve_rate": "How many settings work?",
    "restricted_steps": "How soon is a task solved?",
    "expected_best_20": "How good is it after tuning?",
    "mean_loss": "How good are its settings?",
    "best_decile_loss": "How good is it after tuning?",
}
MEANINGS = {
    "solve_rate": "Share of the trials that solve the task, in %",
    "restricted_steps": "Training steps to a solution, on average; an unsolved trial counts with all its steps",
    "expected_best_20": "Score of the best of 20 trials that tuning can expect; 0 without memory, 1 solved",
    "mean_loss": "Mean loss on test data of all trials; one above that of a model without memory counts as that",
    "best_decile_loss": "Loss on test data of the best tenth of the trials",
}
NOTE = (
    "First row: the baseline itself; below: the difference to it, with its 95 % interval in brackets. ▲ better, "
    "▼ worse, = the same within a tenth of the range, ? not told apart. A dash: hardly anything was learned, or "
    "everything was solved, so that nothing can differ."
)


def evidence(study: Study, comparisons: pd.DataFrame | None) -> list[Evidence]:
    """Return a table for each question that has differences to show; comparisons: of `tables.comparisons`."""
    if comparisons is None or comparisons.empty:
        return []
    found = []
    for endpoint in TITLES:
        own = comparisons[(comparisons["endpoint"] == endpoint) & (comparisons["verdict"] != "")]
        if len(own) and not set(own["verdict"]) <= set(GUARDS):
            found.append(_question(study, endpoint, own))
    return found


def _question(study: Study, endpoint: str, own: pd.DataFrame) -> Evidence:
    inferred = own[np.isfinite(own["low"])]
    sentence = question_sentence(study, inferred) if own["question"].iloc[0] and len(inferred) else ""
    tasks = [task for task in study.tasks if task in set(own["task"])]
    rows = {(str(r["task"]), str(r["variant"])): r for r in own.to_dict("records")}
    first = {str(r["task"]): r for r in own.drop_duplicates("task").to_dict("records")}
    baseline = study.baseline or ""
    levels = [Shade(words.number(first[t]["reference"], first[t]["unit"])) for t in tasks]
    table = [Row(words.spoken(baseline), baseline, levels)]
    for variant in study.variants:
        if variant != baseline and variant in set(own["variant"]):
            cells = [_shade(rows.get((task, variant))) for task in tasks]
            table.append(Row(words.spoken(variant), variant, cells))
    resolved = {str(r["task"]): r for r in resolution(own).to_dict("records")}
    smallest = [_smallest(resolved.get(task), str(first[task]["unit"])) for task in tasks]
    table.append(Row("Half-width of the intervals (median)", "", smallest))
    meaning, heads = MEANINGS[endpoint], [words.spoken(task) for task in tasks]
    if ENDPOINTS[endpoint].of_losses:
        units = [words.in_unit(first[task]["unit"]) for task in tasks]
        if len(set(units)) == 1:
            meaning += units[0]
        else:
            heads = [f"{head}{unit}" for head, unit in zip(heads, units, strict=True)]
    return Evidence(f"by_{endpoint}", TITLES[endpoint], sentence, meaning, heads, table, NOTE)


def _shade(row: Mapping[Any, Any] | None) -> Shade:
    if row is None:
        return Shade(words.NOTHING)
    if row["verdict"] in GUARDS:
        return Shade(f"{words.NOTHING} solved" if row["verdict"] == EVERYTHING_SOLVED else words.NOTHING)
    text = words.difference(row["difference"], row["low"], row["high"], row["unit"])
    if not np.isfinite(row["low"]):
        return Shade(text)
    return Shade(f"{MARKS[row['verdict']]} {text}", row["verdict"])


def _smallest(row: Mapping[Any, Any] | None, unit: str) -> Shade:
    return Shade(words.NOTHING if row is None else words.bare(row["half_width"], unit))


# Lags
# ----------------------------------------------------------------------------------------------------------------------

LAG_NOTE = (
    "Half lag: the lag at which one half of the solve rate at the shortest lag is left, with its 95 % interval. It is "
    "relative: a variant that solves little may have a long half lag. The two last columns are differences to the "
    "baseline in percentage points. ▲ better, ▼ worse, = the same within a tenth, ? not told apart."
)


def lag_evidence(study: Study, tables: Mapping[str, pd.DataFrame]) -> list[Evidence]:
    """Return a table for each series of lags; none where no task has several lags.

    study: the study.
    tables: those of `tables.lags.lag_tables` among others, by name.
    """
    if "half_lags" not in tables:
        return []
    found = []
    for series, own in tables["half_lags"].groupby("series", sort=False):
        effects, lags = (tables[name][tables[name]["series"] == series] for name in ("lag_effects", "lags"))
        changes = {(r["variant"], r["effect"]): r for r in effects.to_dict("records")}
        rates = {(r["variant"], r["lag"]): r["solve_rate"] for r in lags.to_dict("records")}
        steps = list(dict.fromkeys(lags["lag"]))
        rows = []
        for row in own.to_dict("records"):
            variant = str(row["variant"])
            cells = [Shade(words.number(rates.get((variant, lag), np.nan), "%")) for lag in steps]
            cells.append(Shade(words.half_lag(row), _way(row)))
            cells += [_change(changes.get((variant, effect))) for effect in (MEAN, SLOPE)]
            rows.append(Row(words.spoken(variant), variant, cells))
        heads = [*(f"solved at lag {lag}, in %" for lag in steps), "half lag", "over all lags", "per doubling"]
        title = words.capital(words.spoken(str(series)))
        found.append(Evidence(f"lag_{series}", title, "", "Solve rate by lag", heads, rows, LAG_NOTE))
    return found


def _way(row: Mapping[Any, Any]) -> str:
    if not row["significant"]:
        return ""
    return BETTER if row["doublings"] > 0 else WORSE


def _change(row: Mapping[Any, Any] | None) -> Shade:
    if row is None or row["verdict"] in GUARDS:
        return Shade(words.NOTHING)
    text = words.difference(row["difference"], row["low"], row["high"], "%")
    return Shade(f"{MARKS.get(row['verdict'], '')} {text}".strip(), row["verdict"] if row["verdict"] in MARKS else "")
