"""What a study says, in sentences computed from its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS, RATES
from ..study import Study
from ..tables.comparisons import FEWEST_FOR_INFERENCE, is_better, resolution

CLOSE = 0.03  # a solve rate to one at which the primary endpoint changes


def verdicts(study: Study, comparisons: pd.DataFrame) -> list[str]:
    """Return one paragraph for the study, one per task, and one for the method.

    A difference is claimed where its adjusted p-value is at most .05 and its interval excludes zero. Otherwise the
    paragraph gives the largest difference that the interval leaves possible, and never says that there is none.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    """
    primary = comparisons[comparisons["primary"]]
    if study.baseline is None or primary.empty:
        return []
    tasks = [t for t in study.tasks if t in set(primary["task"])]
    inferred = primary[np.isfinite(primary["low"])]
    if inferred.empty:
        opening = (
            f"With {int(primary['points'].max())} points per task, fewer than {FEWEST_FOR_INFERENCE}, nothing is "
            "concluded; the differences only describe these trials."
        )
        return [opening, *(_described(task, study.summary) for task in tasks)]
    resolved = resolution(comparisons[comparisons["primary"]]).set_index("task")["half_width"]
    return [
        _overall(inferred, tasks, study.baseline),
        *(_task(task, inferred[inferred["task"] == task], study.summary, resolved.get(task, np.nan)) for task in tasks),
        _method(inferred, study.baseline),
    ]


def _overall(inferred: pd.DataFrame, tasks: list[str], baseline: str) -> str:
    """Return which variants are better or worse than the baseline on which tasks."""
    parts = []
    found = inferred[inferred["significant"]]
    for good, word in ((True, "better"), (False, "worse")):
        on: dict[str, list[str]] = {}
        for row in found.to_dict("records"):
            if is_better(row) == good:
                on.setdefault(row["variant"], []).append(row["task"])
        if on:
            named = [f"{variant} ({_all_or(where, tasks)})" for variant, where in on.items()]
            parts.append(f"{word} than {baseline}: {words.listed(named)}")
    never = [v for v in inferred["variant"].unique() if v not in set(found["variant"])]
    if never:
        named_or_counted = words.listed(never) if len(never) <= words.MOST_NAMED else f"{len(never)} variants"
        parts.append(f"not told apart from {baseline} on any task: {named_or_counted}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _all_or(on: list[str], tasks: list[str]) -> str:
    return "all tasks" if len(on) == len(tasks) > 1 else ", ".join(on)


def _task(task: str, own: pd.DataFrame, summary: pd.DataFrame, half_width: float) -> str:
    """Return the paragraph of a task.

    own: its comparisons by the primary endpoint. half_width: of their intervals.
    """
    if own.empty:
        return f"{task}: too few points for a conclusion."
    first = own.iloc[0]
    endpoint, counted = ENDPOINTS[first["endpoint"]], summary[summary["task"] == task]
    rate = counted["solved"].sum() / counted["trials"].sum()
    sentences = [
        f"{task}: {words.level(rate, '%')} of all trials solved it, so the variants are compared by their "
        f"{endpoint.title}."
    ]
    if min(abs(rate - edge) for edge in RATES) < CLOSE:
        sentences.append(
            "That share is close to one at which another endpoint takes over, and then the conclusion may be another."
        )
    for good, word in ((True, "Better"), (False, "Worse")):
        named = [
            f"{r['variant']} by {words.size(r['difference'], r['low'], r['high'], r['p_holm'], endpoint.unit)}"
            for r in own.to_dict("records")
            if r["significant"] and is_better(r) == good
        ]
        if named:
            shown = words.level(first["reference"], endpoint.unit)
            sentences.append(f"{word} than {first['baseline']} ({shown}): {words.listed(named)}.")
    sentences += _not_distinguished(own[~own["significant"]], endpoint.unit)
    points = int(own["points"].min())
    sentences.append(f"Resolution with {points} points: ± {words.amount(half_width, endpoint.unit)}.")
    return " ".join(sentences)


def _not_distinguished(rest: pd.DataFrame, unit: str) -> list[str]:
    """Return the sentence on differences that are not claimed; none where there are none."""
    limits = sorted((max(abs(row["low"]), abs(row["high"])), row["variant"]) for row in rest.to_dict("records"))
    if not limits:
        return []
    named = words.listed([f"{variant} ({words.amount(limit, unit)})" for limit, variant in limits])
    if len(limits) > words.MOST_NAMED:
        (least, first), (most, last) = limits[0], limits[-1]
        named = (
            f"{len(limits)} variants, from {words.amount(least, unit)} ({first}) to {words.amount(most, unit)} ({last})"
        )
    return [f"Not told apart from it, with the largest difference that the data leave possible: {named}."]


def _method(inferred: pd.DataFrame, baseline: str) -> str:
    """Return what the intervals mean, and what Greff's test would have said."""
    marked = inferred[inferred["greff_welch_p"] < 0.05]
    pairs = [f"{row['variant']} on {row['task']}" for row in marked.to_dict("records")] or ["nothing"]
    shown = words.listed(pairs)
    if len(pairs) > words.MOST_NAMED:
        shown = f"{len(pairs)} of {len(inferred)} variants and tasks"
    return (
        "Intervals and p-values hold for all variants of a task together. Welch's test on the best deciles, as in "
        f"Greff et al. 2017, would have marked as different from {baseline}: {shown}. It marks equal variants too, "
        "several times as often as its 5 %, and decides nothing here."
    )


def _described(task: str, summary: pd.DataFrame) -> str:
    """Return the paragraph of a task with too few points for a conclusion."""
    own = summary[(summary["task"] == task) & (summary["trials"] > 0)]
    if not own["solved"].any():
        best = own.sort_values(["decile_score"], ascending=False, kind="stable").head(words.MOST_NAMED)
        named = [f"{row['variant']} ({words.number(row['decile_score'])})" for row in best.to_dict("records")]
        return f"{task}: solved by no trial; the best deciles score {words.listed(named)}."
    own = own.sort_values("solve_rate", ascending=False, kind="stable")
    named = [
        f"{row['variant']} {row['solved']} of {row['trials']}" for row in own.head(words.MOST_NAMED).to_dict("records")
    ]
    more = f", and fewer by {len(own) - words.MOST_NAMED} others" if len(own) > words.MOST_NAMED else ""
    return f"{task}: solved by {words.listed(named)} trials{more}."
