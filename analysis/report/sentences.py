"""What a study says, in sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics import stats
from ..tables.comparisons import FEWEST_FOR_INFERENCE, resolution
from ..tables.summary import baseline_of, cells, order

Design = Mapping[str, Any]
MOST_NAMED = 6  # variants in one sentence
CLOSE = 0.03  # a solve rate to one at which the primary endpoint changes


def verdicts(table: pd.DataFrame, design: Design, comparisons: pd.DataFrame) -> list[str]:
    """One paragraph for the study, one per task, one for the method.

    comparisons: of `compare.comparisons`. A difference is claimed where its adjusted p-value is at most .05 and its
    interval excludes zero; otherwise the paragraph gives the largest difference that the interval leaves possible,
    never that there is none.
    """
    primary, baseline = comparisons[comparisons["primary"]], baseline_of(table, design)
    if baseline is None or primary.empty:
        return []
    tasks = [t for t in order(table, design, "task") if t in set(primary["task"])]
    inferred = primary[np.isfinite(primary["low"])]
    if inferred.empty:
        points = int(primary["points"].max())
        opening = f"With {points} points per task, fewer than {FEWEST_FOR_INFERENCE}, nothing is concluded; differences are descriptions."
        return [opening, *(_described(task, cells(table, design)) for task in tasks)]
    numbers, resolved = cells(table, design), resolution(comparisons)
    return [
        _overall(inferred, tasks, baseline),
        *(_task(task, inferred, numbers, resolved) for task in tasks),
        _greff(inferred, baseline),
    ]


def amount(endpoint: stats.Endpoint, value: float) -> str:
    """A difference or half width with its unit: 24 percentage points, 310 steps, 0.12."""
    if endpoint.name == "solve_rate":
        return f"{100 * value:.0f} percentage points"
    return f"{value:,.0f} steps" if endpoint.unit == "steps" else f"{value:.2f}"


def better(row: pd.Series) -> bool:
    """Whether a difference is to the advantage of the variant."""
    return bool((row["difference"] > 0) != stats.ENDPOINTS[row["endpoint"]].lower_is_better)


def _overall(inferred: pd.DataFrame, tasks: list[str], baseline: str) -> str:
    found = inferred[inferred["significant"]]
    parts = []
    for good, word in ((True, "better"), (False, "worse")):
        chosen = found[[better(row) == good for _, row in found.iterrows()]] if len(found) else found
        if len(chosen):
            by_variant = chosen.groupby("variant", sort=False)["task"].agg(list)
            named = _list([f"{variant} ({_all_or(on, tasks)})" for variant, on in by_variant.items()])
            parts.append(f"{word} than {baseline}: {named}")
    never = [v for v in inferred["variant"].unique() if v not in set(found["variant"])]
    if never:
        named = _list(never) if len(never) <= MOST_NAMED else f"{len(never)} variants"
        parts.append(f"not told apart from {baseline} on any task: {named}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _all_or(on: list[str], tasks: list[str]) -> str:
    return "all tasks" if len(on) == len(tasks) > 1 else ", ".join(on)


def _task(task: str, inferred: pd.DataFrame, numbers: pd.DataFrame, resolved: pd.DataFrame) -> str:
    own, counted = inferred[inferred["task"] == task], numbers[numbers["task"] == task]
    if own.empty:
        return f"{task}: too few points for a conclusion."
    endpoint = stats.ENDPOINTS[own["endpoint"].iloc[0]]
    rate = counted["solved"].sum() / counted["trials"].sum()
    sentences = [
        f"{task}: {100 * rate:.0f} % of all trials solved it, so the variants are compared by their {endpoint.title}."
    ]
    if min(abs(rate - edge) for edge in stats.RATES) < CLOSE:
        sentences.append(
            "That share is close to one at which another endpoint takes over, and the conclusion may turn with it."
        )
    reference = own["reference"].iloc[0]
    shown = f"{100 * reference:.0f} %" if endpoint.name == "solve_rate" else amount(endpoint, reference)
    for good, word in ((True, "Better"), (False, "Worse")):
        chosen = [row for _, row in own.iterrows() if row["significant"] and better(row) == good]
        if chosen:
            named = _list([f"{row['variant']} by {in_words(endpoint, row)}" for row in chosen])
            sentences.append(f"{word} than {own['baseline'].iloc[0]} ({shown}): {named}.")
    rest = [row for _, row in own.iterrows() if not row["significant"]]
    if rest:
        limits = sorted((max(abs(row["low"]), abs(row["high"])), row["variant"]) for row in rest)
        if len(limits) <= MOST_NAMED:
            named = _list([f"{variant} ({amount(endpoint, limit)})" for limit, variant in limits])
        else:
            (least, first), (most, last) = limits[0], limits[-1]
            named = (
                f"{len(limits)} variants, from {amount(endpoint, least)} ({first}) to {amount(endpoint, most)} ({last})"
            )
        sentences.append(f"Not told apart from it, with the largest difference that the data leave possible: {named}.")
    half = resolved.loc[(resolved["task"] == task) & resolved["primary"], "half_width"].iloc[0]
    points = int(own["points"].min())
    sentences.append(f"Resolution with {points} points: ± {amount(endpoint, half)}.")
    return " ".join(sentences)


def in_words(endpoint: stats.Endpoint, row: pd.Series) -> str:
    """The size of a difference with its interval, and with its p-value where it has one."""
    sign = 1 if row["difference"] > 0 else -1
    low, high = sorted((sign * row["low"], sign * row["high"]))
    start = f"{100 * low:.0f}" if endpoint.name == "solve_rate" else amount(endpoint, low)
    p = (
        ", p < .001"
        if row["p_holm"] < 0.001
        else f", p = {row['p_holm']:.3f}".replace("0.", ".")
        if np.isfinite(row["p_holm"])
        else ""
    )
    return f"{amount(endpoint, abs(row['difference']))} (95 % interval {start} to {amount(endpoint, high)}{p})"


def _greff(inferred: pd.DataFrame, baseline: str) -> str:
    marked = inferred[inferred["greff_welch_p"] < 0.05]
    pairs = _list([f"{row['variant']} on {row['task']}" for _, row in marked.iterrows()]) if len(marked) else "nothing"
    if len(marked) > MOST_NAMED:
        pairs = f"{len(marked)} of {len(inferred)} variants and tasks"
    return (
        "Intervals and p-values hold for all variants of a task together. "
        f"Welch's test on the best deciles, as in Greff et al. 2017, would have marked as different from {baseline}: {pairs}. "
        "It marks equal variants too, several times as often as its 5 %, and decides nothing here."
    )


def _described(task: str, numbers: pd.DataFrame) -> str:
    own = numbers[(numbers["task"] == task) & (numbers["trials"] > 0)].sort_values(
        "solve_rate", ascending=False, kind="stable"
    )
    if not own["solved"].any():
        own = own.sort_values("decile_score", ascending=False, kind="stable")
        first = [f"{row['variant']} ({row['decile_score']:.2f})" for _, row in own.head(MOST_NAMED).iterrows()]
        return f"{task}: solved by no trial; the best deciles score {_list(first)}."
    first = [f"{row['variant']} {row['solved']} of {row['trials']}" for _, row in own.head(MOST_NAMED).iterrows()]
    more = f", and fewer by {len(own) - MOST_NAMED} others" if len(own) > MOST_NAMED else ""
    return f"{task}: solved by {_list(first)} trials{more}."


def _list(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
