"""The first screen of a report: its title, what was found, and what the study can and cannot tell, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import EASE, ENDPOINTS, QUALITY
from ..study import Study
from ..tables.baselines import baselines
from ..tables.comparisons import (
    BETTER,
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    GUARDS,
    HARDLY_SOLVED,
    MARGIN,
    NOTHING_LEARNED,
    OPEN,
    SAME,
    WORSE,
)
from ..tables.conditions import INSIDE, MEMORY, NO, START, YES
from ..words import the
from .effect_sentences import found_effects, smallest_seen

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
LONG = 330  # characters of what was found
MOST_GROUPS = 3  # of variants that a sentence names one by one


class Answer(NamedTuple):
    """What the first screen says.

    title: what was compared.
    found: the sentences on what was found.
    can, cannot: what the study can tell, and what it cannot, a sentence each.
    """

    title: str
    found: list[str]
    can: list[str]
    cannot: list[str]

    @property
    def long(self) -> bool:
        """Whether the sentences are so many that they stand beside the map, not above it."""
        return sum(map(len, self.found)) > LONG


def answer(
    study: Study,
    comparisons: pd.DataFrame | None,
    conditions: pd.DataFrame | None,
    effects: pd.DataFrame | None = None,
) -> Answer:
    """Return the first screen of a report.

    study: the study.
    comparisons: of `tables.comparisons`; None where the variants cannot be compared.
    conditions: of `tables.conditions`; None where there are none.
    effects: of `tables.effects`; None where the study has no factors.
    """
    can, cannot = _told(study, comparisons) if effects is None else (_told_of_parts(effects), [])
    more, less = _conditions(study, conditions)
    trials = int(study.summary["trials"].max()) if len(study.summary) else 0
    budget = int(study.trials["budget"].max()) if len(study.trials) else 0
    limits = f"Anything about other tasks, or about training for more than {budget:,} updates." if trials else ""
    found = found_sentences(study, comparisons, effects)
    return Answer(title(study), found, [*can, *more], [*cannot, *less, *filter(None, [limits])])


def title(study: Study) -> str:
    """Return what a study compares, such as `Five recurrent cells on three tasks`."""
    series, factors = list(study.series), study.design.factors
    cells = f"{number(len(study.variants))} recurrent cell{'s' * (len(study.variants) != 1)}"
    if factors is not None and set(factors.levels) == {"cell", "network"}:
        cells = " in ".join(
            f"{number(len(factors.levels[name]))} {what}{'s' * (len(factors.levels[name]) != 1)}"
            for name, what in (("cell", "recurrent cell"), ("network", "network"))
        )
    elif factors is not None:
        parts = f"{number(len(factors.levels))} part{'s' * (len(factors.levels) != 1)} of a recurrent cell"
        other = counted_others(len(study.beside))
        cells = f"{parts}, in {number(len(factors.cells))} combinations{other},"
    on = words.spoken(series[0]) if len(series) == 1 else f"{number(len(series))} tasks"
    lags = max((len(tasks) for tasks in study.series.values()), default=1)
    at = f", at {number(lags)} lags" if lags > 1 else ""
    return words.capital(f"{cells} on {on}{at}")


def counted_others(count: int) -> str:
    """Write how many cells stand beside the combinations of a study with factors.

    >>> counted_others(0), counted_others(1), counted_others(2)
    ('', ' and one other cell', ' and two other cells')
    """
    return f" and {number(count)} other cell{'s' * (count > 1)}" if count else ""


def number(count: int) -> str:
    """Write a small number as a word.

    >>> number(5), number(21)
    ('five', '21')
    """
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def places(study: Study, tasks: Iterable[str]) -> str:
    """Return tasks in words, those of a series together: `on adding two numbers (lags 30 and 100)`."""
    those = set(tasks)
    if those == set(study.tasks) and len(those) > 1:
        return "on both tasks" if len(those) == 2 else f"on all {number(len(those))} tasks"
    named = []
    for series, by_lag in study.series.items():
        own = [str(lag) for lag, task in by_lag.items() if task in those]
        if len(by_lag) == 1 and own:
            named.append(words.spoken(next(iter(by_lag.values()))))
        elif own and len(own) == len(by_lag):
            named.append(f"{words.spoken(series)} ({'both' if len(own) == 2 else 'all'} lags)")
        elif own:
            named.append(f"{words.spoken(series)} (lag{'s' * (len(own) > 1)} {words.listed(own)})")
    return f"on {words.listed(named)}"


# What was found
# ----------------------------------------------------------------------------------------------------------------------


def found_sentences(study: Study, comparisons: pd.DataFrame | None, effects: pd.DataFrame | None = None) -> list[str]:
    """Return one sentence for each question of a study; a description where nothing can be concluded.

    comparisons, effects: as in `answer`.
    """
    if not study.comparable:
        return ["This is a search: its variants did not get the same trials, so nothing here compares them."]
    if effects is not None:
        return [*found_effects(study, effects), *_found_beside(study, comparisons)]
    primary = pd.DataFrame() if comparisons is None else comparisons[comparisons["primary"]]
    if study.baseline is None or primary.empty:
        return _levels(study)
    inferred = primary[np.isfinite(primary["low"])]
    if inferred.empty:
        points = int(primary["points"].max())
        few = f"With {points} points, fewer than {FEWEST_FOR_INFERENCE}, differences between variants may be chance."
        return [few, *_levels(study)]
    found = _by_question(study, inferred)
    return found if any(map(study.solvable, study.tasks)) else [*found, *_levels(study)]


def _by_question(study: Study, inferred: pd.DataFrame) -> list[str]:
    """Return a sentence for each question, or for each kind of tasks where a study has both kinds."""
    return [
        question_sentence(study, own)
        for question in (EASE, QUALITY)
        for _, own in inferred[inferred["question"] == question].groupby("endpoint", sort=False)
    ]


def _found_beside(study: Study, comparisons: pd.DataFrame | None) -> list[str]:
    """Return what was found of the cells that stand beside the combinations of a study with factors."""
    if comparisons is None or not study.beside:
        return []
    own = comparisons[comparisons["primary"] & comparisons["variant"].isin(study.beside)]
    inferred = own[np.isfinite(own["low"])]
    if inferred.empty:
        verb, them = ("was", "it") if len(study.beside) == 1 else ("were", "them")
        few = f"with fewer than {FEWEST_FOR_INFERENCE} points, nothing is concluded of {them}"
        return [f"{words.capital(_listed(study.beside))} {verb} added; {few}."]
    return _by_question(study, inferred)


def question_sentence(study: Study, own: pd.DataFrame) -> str:
    """Return what was found on one question.

    own: the comparisons in the endpoint that decides it, which have an interval; there must be one at least. In a
        study with factors those of the cells that stand beside its combinations.
    """
    question = str(own["question"].iloc[0])
    losses = ENDPOINTS[own["endpoint"].iloc[0]].of_losses
    opening = "After tuning, " if question == QUALITY else "Over all its settings, " if losses else ""
    than = the(study.baseline or "")
    parts = [_group(study, own, verdict, opening, more) for verdict, more in _comparatives(question, losses).items()]
    if any(parts):
        return " ".join(filter(None, parts))
    verdicts = set(own["verdict"])
    if verdicts == {EVERYTHING_SOLVED}:
        who = "both sides solve every task" if study.beside else "every variant solves every task"
        done = who if question == QUALITY else "nearly every trial is solved"
        return words.capital(f"{opening}{done}, so that nothing can differ.")
    if verdicts <= {NOTHING_LEARNED, HARDLY_SOLVED}:
        return words.capital(f"{opening}hardly anything was learned, so that nothing can differ.")
    what = "its test loss" if losses else {EASE: "how often it succeeds", QUALITY: "its best score"}[question]
    return words.capital(
        f"{opening}no {'added cell' if study.beside else 'variant'} is shown to differ from {than} in {what}."
    )


def _comparatives(question: str, losses: bool) -> dict[str, tuple[str, str]]:
    """Return by verdict what is more or less, and the verb that stands before it."""
    if losses:
        return {WORSE: ("reach", "a higher loss"), BETTER: ("reach", "a lower loss")}
    if question == EASE:
        return {WORSE: ("succeed", "less often"), BETTER: ("succeed", "more often")}
    return {WORSE: ("reach", "a worse score"), BETTER: ("reach", "a better score")}


def _group(study: Study, own: pd.DataFrame, verdict: str, opening: str, more: tuple[str, str]) -> str:
    """Return which variants have a verdict, and where: those with the same tasks together, the most tasks first.

    opening: of the sentence. more: a verb, and what is more or less.
    The text is empty where no variant has the verdict.
    """
    verb, what = more
    than = the(study.baseline or "")
    rows = own[own["verdict"] == verdict]
    where: dict[tuple[str, ...], list[str]] = {}
    for variant, found in rows.groupby("variant", sort=False):
        where.setdefault(tuple(found["task"]), []).append(str(variant))
    groups = sorted(where.items(), key=lambda item: -len(item[0]))
    if not groups:
        return ""
    if len(groups) == 1:
        ((tasks, variants),) = groups
        verb = verb if len(variants) > 1 else _third(verb)
        return words.capital(f"{opening}{_listed(variants)} {verb} {what} than {than} {places(study, tasks)}.")
    if len(groups) == 2 and not any("(" in places(study, tasks) for tasks, _ in groups):
        named = [f"{_listed(variants)} ({places(study, tasks)})" for tasks, variants in groups]
        return words.capital(f"{opening}{' and '.join(named)} {verb} {what} than {than}.")
    texts = [f"{_listed(variants)} {places(study, tasks)}" for tasks, variants in groups[:MOST_GROUPS]]
    rest = sum(len(variants) for _, variants in groups[MOST_GROUPS:])
    texts += [f"and {number(rest)} other{'s' * (rest > 1)} on some tasks"] if rest else []
    return words.capital(f"{opening}these {verb} {what} than {than}: {'; '.join(texts)}.")


def _third(verb: str) -> str:
    return f"{verb}es" if verb.endswith("ch") else f"{verb}s"


def _listed(variants: Sequence[str]) -> str:
    if len(variants) > words.MOST_NAMED:
        return f"{number(len(variants))} variants"
    return words.listed([the(variant) for variant in variants])


def _levels(study: Study) -> list[str]:
    """Return a sentence on what each variant reaches on the first tasks."""
    found = []
    for task in study.tasks[:2]:
        own = study.summary[(study.summary["task"] == task) & (study.summary["trials"] > 0)]
        if own.empty:
            continue
        name = words.capital(words.spoken(task))
        if not study.solvable(task):
            found.append(_losses(study, task))
            continue
        own = own.sort_values("solve_rate", ascending=False, kind="stable").head(MOST_GROUPS)
        shown = [f"{r['solved']} of {r['trials']} trials by {the(r['variant'])}" for r in own.to_dict("records")]
        found.append(f"{name} is solved in {words.listed(shown)}.")
    return found


def _losses(study: Study, task: str) -> str:
    """Return the losses between which the variants lie on a task, and that of the best simple model."""
    unit = study.goals[task].unit
    own = study.summary[(study.summary["task"] == task) & np.isfinite(study.summary["decile_loss"])]
    if own.empty:
        return f"No trial on {words.spoken(task)} has a test loss."
    own = own.sort_values("decile_loss", kind="stable")
    best, worst = (
        f"{words.number(row['decile_loss'], unit)} ({the(row['variant'])})" for row in (own.iloc[0], own.iloc[-1])
    )
    reach = f"lies between {best} and {worst}" if len(own) > 1 else f"is {best}"
    text = f"The test loss of the best tenth of the trials on {words.spoken(task)}{words.in_unit(unit)} {reach}"
    known = baselines(study)
    simple = known[(known["task"] == task) & known["kind"].isin(("no_memory", "window")) & np.isfinite(known["loss"])]
    if simple.empty:
        return f"{text}; lower is better."
    model = simple.loc[simple["loss"].idxmin()]
    loss = words.number(float(study.goals[task].shown(model["loss"])), unit)
    return f"{text}; lower is better, and the best simple model ({model['name']}) has {loss}."


# What it can and cannot tell
# ----------------------------------------------------------------------------------------------------------------------


_WHAT = {
    "solve_rate": "how often a variant succeeds",
    "mean_loss": "the mean test loss of a variant",
    "expected_best_20": "the best score after tuning",
    "best_decile_loss": "the test loss after tuning",
}
_TUNED = (("does", "do"), "better or worse after tuning")
_DOES = {
    "solve_rate": (("succeeds", "succeed"), "more or less often"),
    "mean_loss": (("does", "do"), "better or worse over all its settings"),
    "expected_best_20": _TUNED,
    "best_decile_loss": _TUNED,
}


def _told(study: Study, comparisons: pd.DataFrame | None) -> tuple[list[str], list[str]]:
    """Return how small a difference shows, and which differences stay open."""
    if comparisons is None or comparisons.empty:
        return [], []
    can: list[str] = []
    cannot: list[str] = []
    primary = comparisons[comparisons["primary"]]
    inferred = primary[np.isfinite(primary["low"])]
    for endpoint, own in inferred[~inferred["verdict"].isin(GUARDS)].groupby("endpoint", sort=False):
        if own["unit"].nunique() == 1:
            unit = str(own["unit"].iloc[0])
            widths = np.maximum(own["difference"] - own["low"], own["high"] - own["difference"])
            low, high = widths.min(), widths.max()
            if unit in words.UNITS:  # a difference of losses may be larger than the span
                low, high = np.minimum([low, high], own["span"].max())
            size = words.amount(high, unit)
            if words.amount(low, unit) != size:
                size = f"{words.bare(low, unit)} to {size}"
            what = _WHAT[str(endpoint)]
            trials = f", with {int(own['points'].min())} trials of each variant on a task" if not can else ""
            which = ", depending on variant and task" if " to " in size and not can else ""
            can.append(f"Observed differences in {what} that are larger than {size}{which}{trials}.")
    same = primary[(primary["verdict"] == SAME) & (primary["question"] == EASE)]
    for _, own in same.groupby(["endpoint", "unit", "span"], sort=False):
        row = own.iloc[0]
        who = _listed(list(dict.fromkeys(own["variant"])))
        margin = words.amount(MARGIN * row["span"], str(row["unit"]))
        can.append(f"That {who} equal{'s' * (own['variant'].nunique() == 1)} {the(study.baseline or '')} within "
                   f"{margin} {places(study, own['task'])}.")  # fmt: skip
    easy = inferred[inferred["question"] == (EASE if EASE in set(primary["question"]) else QUALITY)]
    for endpoint, own in easy.groupby("endpoint", sort=False):
        decided = set(own.loc[own["verdict"].isin((BETTER, WORSE, SAME)), "variant"])
        rest = [v for v in dict.fromkeys(own.loc[own["verdict"] == OPEN, "variant"]) if v not in decided]
        open_ = own[(own["verdict"] == OPEN) & own["variant"].isin(rest)]
        if rest:
            largest = float(np.abs(open_[["low", "high"]].to_numpy()).max())
            verbs, more = _DOES[str(endpoint)]
            anywhere = " on any task" if len(study.tasks) > 1 else ""
            text = f"Whether {_listed(rest)} {verbs[len(rest) > 1]} {more} than {the(study.baseline or '')}{anywhere}"
            if open_["unit"].nunique() == 1:
                size = words.amount(largest, str(open_["unit"].iloc[0]))
                text += f": differences of up to {size} remain possible"
            cannot.append(f"{text}.")
    return can, cannot


def _told_of_parts(effects: pd.DataFrame) -> list[str]:
    """Return how small an effect of a part shows."""
    size = smallest_seen(effects)
    if not size:
        return []
    points = int(effects.loc[effects["primary"], "points"].min())
    return [f"Observed effects of parts and pairs that are larger than {size}, with every combination trained at "
            f"{points} points on a task."]  # fmt: skip


def _conditions(study: Study, conditions: pd.DataFrame | None) -> tuple[list[str], list[str]]:
    """Return what the conditions of the protocol let a study say, and what those that fail take from it."""
    if conditions is None or conditions.empty:
        return [], []
    holds = {(str(r["series"]), r["condition"]): r["holds"] for r in conditions.to_dict("records")}
    series = list(dict.fromkeys(conditions["series"]))
    kept = [words.spoken(s) for s in series if holds.get((s, MEMORY)) == YES]
    lost = [words.spoken(s) for s in series if holds.get((s, MEMORY)) == NO]
    can: list[str] = []
    cannot: list[str] = []
    if kept:
        tasks = "This task needs" if len(kept) == 1 else "These tasks need"
        can.append(f"{tasks} memory: {words.listed(kept)}. The plain network, which forgets soon, fails there.")
    if lost:
        cannot.append(f"Anything about memory on {words.listed(lost)}: a plain network solves it, too.")
    if any(holds.get((s, START)) == NO for s in series):
        cannot.append("Whether a difference comes from a cell or from its start: at first, some keep more than others.")
    outside = [words.spoken(s) for s in series if holds.get((s, INSIDE)) == NO]
    if outside:
        cannot.append(f"How well settings outside of the searched ranges do: some of the best lie at an end of a range "
                      f"({words.listed(outside)}).")  # fmt: skip
    return can, cannot
