"""What a study says, in sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import words
from ..goals import Goal
from ..statistics.endpoints import EASE, QUALITY, SEARCH
from ..study import Study
from ..tables.comparisons import (
    BETTER,
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    HARDLY_SOLVED,
    MARGIN,
    NOTHING_LEARNED,
    OPEN,
    SAME,
    WORSE,
    resolution,
)

QUESTIONS = {EASE: "Ease", QUALITY: "Quality after tuning"}
GUARDED = {
    NOTHING_LEARNED: "Nothing was learned",
    HARDLY_SOLVED: "Hardly any trial was solved",
    EVERYTHING_SOLVED: "Everything was solved",
}
AFTER_TUNING = " after tuning"  # what is added where the best trials solve a task, however few they are


def verdicts(study: Study, comparisons: pd.DataFrame) -> list[str]:
    """Return one paragraph for each of the two questions, one per task, and one for the method.

    A difference is claimed where its interval excludes zero, unless it lies inside the margin: then the two are called
    the same within it. Otherwise the paragraph gives the largest difference that the interval leaves possible, and
    never says that there is none. Nothing is said of differences where nothing was learned or everything was solved.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    """
    primary = comparisons[comparisons["primary"]]
    if study.baseline is None or primary.empty:
        return []
    tasks = [t for t in study.tasks if t in set(primary["task"])]
    inferred = comparisons[np.isfinite(comparisons["low"])]
    if inferred.empty:
        opening = (
            f"With {int(primary['points'].max())} points per task, fewer than {FEWEST_FOR_INFERENCE}, nothing is "
            "concluded; the differences only describe these trials."
        )
        return [opening, *(_described(task, study) for task in tasks)]
    return [
        *(_overall(inferred, tasks, study.baseline, question) for question in QUESTIONS),
        *(_task(task, inferred[inferred["task"] == task], study) for task in tasks),
        _method(inferred[inferred["primary"]], study),
    ]


# The whole study
# ----------------------------------------------------------------------------------------------------------------------


def _overall(inferred: pd.DataFrame, tasks: list[str], baseline: str, question: str) -> str:
    """Return on which tasks the variants are better, worse or the same as the baseline in the answer to a question."""
    own = inferred[inferred["question"] == question]
    on = {
        verdict: {str(v): list(rows["task"]) for v, rows in found.groupby("variant", sort=False)}
        for verdict, found in own.groupby("verdict")
    }
    better, worse, same = (on.get(verdict, {}) for verdict in (BETTER, WORSE, SAME))
    both = [v for v in better if v in worse]
    tasks = [task for task in tasks if task in set(own["task"])]
    parts = [
        f"{word} than {baseline}: {_named({v: where for v, where in found.items() if v not in both}, tasks)}"
        for word, found in (("better", better), ("worse", worse))
        if set(found) - set(both)
    ]
    if both:
        named = [f"{v} (better on {', '.join(better[v])}, worse on {', '.join(worse[v])})" for v in both]
        parts.append(f"depends on the task: {words.listed(named)}")
    if same:
        parts.append(f"the same within {_margin(own)}: {_named(same, tasks)}")
    never = [v for v in on.get(OPEN, {}) if v not in {*better, *worse, *same}]
    if never:
        named_or_counted = words.listed(never) if len(never) <= words.MOST_NAMED else f"{len(never)} variants"
        parts.append(f"not told apart from {baseline} on any task: {named_or_counted}")
    for verdict, text in _guarded(question).items():
        where = [t for t in tasks if set(own.loc[own["task"] == t, "verdict"]) == {verdict}]
        if where:
            parts.append(f"{text[0].lower()}{text[1:]} on {_all_or(where, tasks)}")
    return f"{QUESTIONS[question]}: {'; '.join(parts)}." if parts else f"{QUESTIONS[question]}: nothing is concluded."


def _guarded(question: str) -> dict[str, str]:
    """Return the words for each verdict that says that no difference could show, in the answer to a question."""
    solved = GUARDED[EVERYTHING_SOLVED]
    return {**GUARDED, EVERYTHING_SOLVED: f"{solved}{AFTER_TUNING}" if question == QUALITY else solved}


def _named(found: dict[str, list[str]], tasks: list[str]) -> str:
    """Return variants, each with the tasks on which something holds."""
    return words.listed([f"{variant} ({_all_or(where, tasks)})" for variant, where in found.items()])


def _all_or(on: list[str], tasks: list[str]) -> str:
    return "all tasks" if len(on) == len(tasks) > 1 else ", ".join(on)


def _margin(own: pd.DataFrame) -> str:
    """Return the margin of the rows of one question, if it is the same on all tasks."""
    found = {words.amount(MARGIN * row["span"], row["unit"]) for row in own.to_dict("records")}
    return found.pop() if len(found) == 1 else "the margin of the task"


# A task
# ----------------------------------------------------------------------------------------------------------------------


def _task(task: str, own: pd.DataFrame, study: Study) -> str:
    """Return the paragraph of a task: ease, how soon, then quality; own: its comparisons that have an interval."""
    if own.empty:
        return f"{task}: too few points for a conclusion."
    resolved = {row["endpoint"]: row for row in resolution(own).to_dict("records")}
    sentences = []
    for name, opening in (
        ("solve_rate", "Ease: {baseline} solves the task at {level} of its points."),
        ("restricted_steps", "How soon: {baseline} takes {level} on average, an unsolved trial its whole budget."),
        ("expected_best_20", "Quality after tuning: the best of {search} of {baseline} is expected to score {level}."),
        ("mean_loss", "Ease: the settings of {baseline} have a mean test loss of {level}{against}."),
        (
            "best_decile_loss",
            "Quality after tuning: the best decile of {baseline} has a test loss of {level}{against}.",
        ),
    ):
        rows = own[own["endpoint"] == name]
        if rows.empty or (name == "restricted_steps" and set(rows["verdict"]) <= {NOTHING_LEARNED, HARDLY_SOLVED}):
            continue
        first = rows.iloc[0]
        unit = str(first["unit"])
        facts = {"baseline": first["baseline"], "level": words.level(first["reference"], unit)}
        facts["against"] = _against(study.goals[task])
        sentences.append(opening.format(**facts, search=_search(int(rows["points"].min()))))
        sentences += _differences(rows, unit)
        if name in resolved:
            sentences.append(_resolution(resolved[name], unit, first["span"]))
    return f"{task}. {' '.join(sentences)}"


def _against(goal: Goal) -> str:
    """Return in brackets what a loss is held against."""
    floor = f"{words.number(float(goal.shown(goal.floor)), goal.unit)} without memory"
    if not np.isfinite(goal.reference):
        return f" ({floor})"
    return f" ({floor}, {words.number(float(goal.shown(goal.reference)), goal.unit)} the reference)"


def _search(points: int) -> str:
    return f"{SEARCH} trials" if points >= SEARCH else f"all {points} trials"


def _differences(rows: pd.DataFrame, unit: str) -> list[str]:
    """Return the sentences on all differences of a task in one endpoint, verdict by verdict."""
    found, first = [], rows.iloc[0]
    for verdict, text in _guarded(first["question"]).items():
        named = list(rows.loc[rows["verdict"] == verdict, "variant"])
        if len(named) == len(rows):
            return [f"{text}."]
        if named:
            found.append(f"{text} by {first['baseline']} and by {counted(named)}.")
    for verdict, word in ((BETTER, "Better"), (WORSE, "Worse")):
        named = [
            f"{r['variant']} by {words.size(r['difference'], r['low'], r['high'], r['p'], unit)}"
            for r in rows[rows["verdict"] == verdict].to_dict("records")
        ]
        if named:
            found.append(f"{word} than {first['baseline']}: {words.listed(named)}.")
    same = list(rows.loc[rows["verdict"] == SAME, "variant"])
    if same:
        found.append(f"The same within {words.amount(MARGIN * first['span'], unit)}: {counted(same)}.")
    return found + _not_distinguished(rows[rows["verdict"] == OPEN], unit)


def counted(names: list[str]) -> str:
    """Return a list of names, or how many variants they are where they are many."""
    return words.listed(names) if len(names) <= words.MOST_NAMED else f"{len(names)} variants"


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


def _resolution(row: Mapping[Any, Any], unit: str, span: float) -> str:
    """Return what the points of a task can tell apart, and how many would tell a tenth of the span apart."""
    bounded = unit in words.UNITS  # a difference of losses may be larger than the span
    apart = "no difference" if bounded and row["half_width"] >= span else words.amount(row["half_width"], unit)
    text = f"{row['points']:.0f} points tell {apart} apart"
    if row["needed"] <= row["points"]:
        return f"{text}."
    return f"{text}; {words.bare(MARGIN * span, unit)} would need about {words.about(row['needed'])}."


def _method(inferred: pd.DataFrame, study: Study) -> str:
    """Return what the intervals mean, and what Greff's test would have said."""
    once = inferred.drop_duplicates(["task", "variant"])
    marked = once[once["greff_welch_p"] < 0.05]
    pairs = [f"{row['variant']} on {row['task']}" for row in marked.to_dict("records")] or ["nothing"]
    shown = words.listed(pairs)
    if len(pairs) > words.MOST_NAMED:
        shown = f"{len(pairs)} of {len(once)} variants and tasks"
    best = "those with the lowest validation loss"
    if study.design.training.stop_when_solved and any(map(study.solvable, study.tasks)):
        best = f"those that solved the task in the fewest steps, then {best}"
    return (
        "Intervals and p-values hold for all variants together, for each task and each question separately; a "
        "difference is told apart where its interval excludes zero, which is where p is at most .05. The best trials "
        f"are {best}. Welch's test on the best deciles, as in Greff et al. 2017, would have marked as different from "
        f"{study.baseline}: {shown}. It marks equal variants too, several times as often as its 5 %, and decides "
        "nothing here."
    )


def _described(task: str, study: Study) -> str:
    """Return the paragraph of a task with too few points for a conclusion."""
    own = study.summary[(study.summary["task"] == task) & (study.summary["trials"] > 0)]
    if not study.solvable(task):
        goal = study.goals[task]
        best = own.sort_values("decile_loss", kind="stable").head(words.MOST_NAMED)
        named = [f"{row['variant']} ({words.number(row['decile_loss'], goal.unit)})" for row in best.to_dict("records")]
        return f"{task}: the best deciles have test losses{words.in_unit(goal.unit)} of {words.listed(named)}."
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
