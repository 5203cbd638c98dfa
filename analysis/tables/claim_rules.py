"""Rules by which the comparisons of a study answer a claim of the literature about variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from .. import words
from ..statistics.endpoints import ENDPOINTS, QUALITY
from .comparisons import (
    BETTER,
    EVERYTHING_SOLVED,
    FEWEST_FOR_INFERENCE,
    HARDLY_SOLVED,
    MARGIN,
    NOTHING_LEARNED,
    SAME,
    SIGNIFICANT,
    WORSE,
    half_width,
    is_better,
)
from .lags import AT_LAG

AGREES, MIXED, DISAGREES = "agrees", "agrees in part", "disagrees"
ON_TASK, ON_LAG, ON_QUESTION = "depends on the task", "depends on the lag", "depends on the question"
UNDECIDED, UNTESTED = "undecided at this N", "not answered here"
NOTHING_LEFT = "nothing left"  # verdict on a fall with the lag that the floor cut short
AT_BOUND = "at a bound"  # verdict on a pair of parts that a floor or a ceiling can make
QUESTIONS = {"ease": "ease", "quality": "quality after tuning"}  # by the value of the column `question` of comparisons

# Verdicts of a comparison that say that it could not show a difference, in words.
UNANSWERED = {
    NOTHING_LEARNED: "nothing was learned",
    HARDLY_SOLVED: "hardly anything was solved",
    EVERYTHING_SOLVED: "everything was solved",
    NOTHING_LEFT: "at the longest lag hardly anything was left to lose",
    AT_BOUND: "a floor or a ceiling alone can make the parts seem to act together",
}
NO_NUMBER = np.inf  # `needed` where no number of points would uphold a claim

# A claim about a part of the LSTM is tested by removing that part from either baseline: `vanilla`, or the LSTM with
# peepholes of Greff et al. 2017, whose variants are presets in `conf/variant/greff_*.yaml`. This is the only table of
# variants in the analysis; a test compares it with the presets.
ALIASES = {
    "peephole": ("peephole", "greff_v"),
    "vanilla": ("vanilla", "greff_np"),
    "coupled": ("coupled", "greff_cifg"),
    "no_forget_gate": ("no_forget_gate", "greff_nfg"),
    "no_input_gate": ("no_input_gate", "greff_nig"),
    "no_output_gate": ("no_output_gate", "greff_nog"),
    "no_input_activation": ("no_input_activation", "greff_niaf"),
    "no_output_activation": ("no_output_activation", "greff_noaf"),
    "full_gate_recurrence": ("full_gate_recurrence", "greff_fgr"),
}
LSTMS = ("vanilla", "peephole", "greff_v", "greff_np", "native_lstm")


@dataclass(frozen=True)
class Finding:
    """What a study says of a claim.

    verdict: one of the words above; `answered` says whether it is an answer.
    evidence: the numbers behind it, in words.
    needed: the number of points with which the claim would be upheld if all differences stayed as they are estimated
        and the intervals shrank with the root of the number; infinite where no number would, NaN where nothing is
        known.
    """

    verdict: str
    evidence: str
    needed: float = np.nan


NOTHING = Finding(UNTESTED, "")
Test = Callable[[pd.DataFrame, pd.DataFrame, str], Finding]


def answered(verdict: str) -> bool:
    """Return whether a verdict is an answer, be it that the claim is undecided.

    >>> answered("disagrees"), answered("not answered here: nothing was learned")
    (True, False)
    """
    return not verdict.startswith(UNTESTED)


# Claims about variants
# ----------------------------------------------------------------------------------------------------------------------


def worse(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that each of these variants does worse than the baseline, if it is one of `baselines`."""
    return lambda rows, shares, baseline: directed(of_variants(rows, names, baseline, baselines), claimed_better=False)


def improved(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that each of these variants does better than the baseline."""
    return lambda rows, shares, baseline: directed(of_variants(rows, names, baseline, baselines), claimed_better=True)


def not_better(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that none of these variants does better than the baseline."""
    return lambda rows, shares, baseline: _denied(of_variants(rows, names, baseline, baselines), sides=(True,))


def not_worse(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that none of these variants does worse than the baseline."""
    return lambda rows, shares, baseline: _denied(of_variants(rows, names, baseline, baselines), sides=(False,))


def no_different(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that these variants do as well as the baseline."""
    return lambda rows, shares, baseline: _denied(of_variants(rows, names, baseline, baselines), sides=(True, False))


def first_that_answers(*tests: Test) -> Test:
    """Return a claim that can be tested from either side: against a baseline that has the part, or one that has not."""

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = [one(rows, shares, baseline) for one in tests]
        tried = [finding for finding in found if finding.verdict != UNTESTED]
        return next((finding for finding in tried if answered(finding.verdict)), (*tried, NOTHING)[0])

    return test


def both_questions(ease: Finding, quality: Finding) -> Finding:
    """Return what a study says of a claim about ease and quality, from what it says of each.

    A claim that is upheld for one question and denied for the other depends on the question. One that is upheld for
    one and open for the other is upheld in part.
    """
    found = {"ease": ease, "quality": quality}
    tried = {question: one for question, one in found.items() if one.verdict != UNTESTED}
    if not tried:
        return NOTHING
    evidence = "; ".join(f"{QUESTIONS[question]}: {one.evidence}" for question, one in tried.items())
    needed = max(one.needed for one in tried.values())
    answers = list(dict.fromkeys(one.verdict for one in tried.values() if answered(one.verdict)))
    if len(answers) < 2:
        return Finding(answers[0] if answers else quality.verdict, evidence, needed)
    depends = [verdict for verdict in answers if verdict in (ON_TASK, ON_LAG)]
    if depends:
        verdict = depends[0]
    elif DISAGREES in answers:
        verdict = DISAGREES if UNDECIDED in answers else ON_QUESTION
    else:
        verdict = MIXED
    return Finding(verdict, evidence, needed)


def of_variants(
    rows: pd.DataFrame, names: tuple[str, ...], baseline: str, baselines: tuple[str, ...], effect: str = AT_LAG
) -> pd.DataFrame:
    """Return rows of variants under any of their names; none where the claim is about another baseline.

    effect: of the rows, see `claim_lags.with_lags`.
    """
    known = {alias for name in names for alias in ALIASES.get(name, (name,))} - {baseline}
    own = rows[rows["variant"].isin(known) & (baseline in baselines)]
    return own[own["effect"] == effect] if "effect" in own else own


def directed(rows: pd.DataFrame, *, claimed_better: bool) -> Finding:
    """A claim of a difference: upheld where all rows have it, in part where some have, denied by an opposite or where
    all are below the margin. A single row counts where it is beyond chance over all tasks, see `counted`.
    """
    known, left_out = counted(rows)
    if known.empty:
        return unanswered(rows)
    claimed, opposite = (BETTER, WORSE) if claimed_better else (WORSE, BETTER)
    upheld, against = known["verdict"] == claimed, known["sure"] & (known["verdict"] == opposite)
    start = ""
    if against.any():
        verdict = _dependence(known, set(known.loc[against, "variant"]))
    elif upheld.all():
        verdict = AGREES
    elif (upheld & known["sure"]).any():
        verdict, start = MIXED, f"upheld by {int((upheld & known['sure']).sum())} of {len(known)} comparisons: "
    else:
        small = all(excludes(row, (claimed_better,)) for row in known.to_dict("records"))
        verdict = DISAGREES if small else UNDECIDED
    needed = max(needed_for_difference(row, claimed) for row in known.to_dict("records"))
    return Finding(verdict, start + evidence(known) + left_out, needed)


def _denied(rows: pd.DataFrame, *, sides: tuple[bool, ...]) -> Finding:
    """A claim of no difference to some sides (better: True): denied by a significant one that is not inside the margin
    and beyond chance over all tasks, upheld where all rows exclude the margin.
    """
    known, left_out = counted(rows)
    if known.empty:
        return unanswered(rows)
    against = known["sure"] & known["verdict"].isin([BETTER if side else WORSE for side in sides])
    if against.any():
        verdict, shown = _dependence(known, set(known.loc[against, "variant"])), known[against]
        if verdict != DISAGREES:
            shown = known[known["sure"]]
    else:
        upheld = all(excludes(row, sides) for row in known.to_dict("records"))
        verdict, shown = AGREES if upheld else UNDECIDED, known
    needed = max(_needed_for_none(row, side) for row in known.to_dict("records") for side in sides)
    return Finding(verdict, evidence(shown) + left_out, needed)


def _dependence(rows: pd.DataFrame, variants: set[str]) -> str:
    """Return the verdict where these variants contradict a claim: on what it depends, if each of them also differs to
    the other side somewhere.
    """
    signs = rows[rows["sure"] & rows["variant"].isin(variants)]
    if (signs.groupby("variant")["verdict"].nunique() < 2).any():
        return DISAGREES
    within = (signs.groupby(["variant", "series"])["verdict"].nunique() > 1).any()
    return ON_LAG if within else ON_TASK


def counted(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows that can show a difference, and a text that names the others.

    There are two more columns. `looks`: the number of tasks (or series) among these rows. `sure`: whether a row differs
    beyond chance over all of them. Intervals and p-values hold for the variants of one task; over the tasks it is
    Bonferroni's rule. A row without a p-value has an interval that is wide enough as it is.
    """
    guarded = rows["verdict"].isin(UNANSWERED)
    parts: dict[str, list[str]] = {}
    for (task, verdict), own in rows[guarded].groupby(["task", "verdict"], sort=False):
        whole = len(own) == (rows["task"] == task).sum()
        name = str(task) if whole else f"{words.listed(list(own['variant']))} on {task}"
        parts.setdefault(_why(str(verdict), own), []).append(name)
    texts = [f"{_some(names)}: {why}" for why, names in parts.items()]
    known = rows[~guarded]
    looks, p = known["task"].nunique(), known.get("p", 0.0)
    sure = known["verdict"].isin([BETTER, WORSE]) & ~(p * looks > SIGNIFICANT)
    return known.assign(looks=looks, sure=sure), f"; not counted: {'; '.join(texts)}" if texts else ""


def _some(names: Sequence[str]) -> str:
    """Return names of pairs and tasks; their number where they are many."""
    return words.listed(names) if len(names) <= words.MOST_NAMED else f"{len(names)} others"


def unanswered(rows: pd.DataFrame) -> Finding:
    """Return the finding where no row can show a difference."""
    why = list(dict.fromkeys(rows["verdict"]))
    if not why:
        return NOTHING
    _, left_out = counted(rows)
    return Finding(f"{UNTESTED}: {' or '.join(_why(verdict, rows) for verdict in why)}", left_out.removeprefix("; "))


def _why(verdict: str, rows: pd.DataFrame) -> str:
    """Return in words why rows of one question cannot show a difference; their best trials may be the only solved."""
    tuned = verdict == EVERYTHING_SOLVED and (rows["question"] == QUALITY).all()
    return UNANSWERED[verdict] + (" after tuning" if tuned else "")


# The margin and the number of points
# ----------------------------------------------------------------------------------------------------------------------


def _advantage(row: Mapping[Any, Any]) -> float:
    """Return the difference as a share of the endpoint's span, positive where the variant is better."""
    sign = -1 if ENDPOINTS[row["endpoint"]].lower_is_better else 1
    return sign * float(row["difference"]) / float(row["span"])


def _reach(row: Mapping[Any, Any], to_better: bool) -> float:
    """Return the largest difference to a side that the interval leaves possible, as a share of the endpoint's span."""
    upwards = to_better != ENDPOINTS[row["endpoint"]].lower_is_better
    return max(0.0, float(row["high"] if upwards else -row["low"])) / float(row["span"])


def excludes(row: Mapping[Any, Any], sides: tuple[bool, ...]) -> bool:
    """Return whether the interval excludes every difference of the margin or more to these sides."""
    return all(_reach(row, side) < MARGIN for side in sides)


def needed_for_difference(row: Mapping[Any, Any], claimed: str) -> float:
    """Return the points with which a row would have the difference that is claimed.

    An estimate of at most half the margin is never told apart before its interval fits inside the margin.
    """
    if row["verdict"] == claimed and not row["sure"]:  # until its p-value is small enough over all tasks
        return float(np.ceil(row["points"] * (ndtri(SIGNIFICANT / row["looks"] / 2) / ndtri(row["p"] / 2)) ** 2))
    if row["verdict"] == claimed:
        return float(np.clip(row["needed"], FEWEST_FOR_INFERENCE, row["points"]))
    towards = _advantage(row) * (1 if claimed == BETTER else -1)
    if towards <= MARGIN / 2 or not np.isfinite(row["needed"]):
        return NO_NUMBER
    return float(row["needed"])


def _needed_for_none(row: Mapping[Any, Any], side: bool) -> float:
    """Return the points with which the interval would fit inside the margin on a side, at the estimated difference."""
    if excludes(row, (side,)):
        return float(row["points"])
    room = MARGIN - _advantage(row) * (1 if side else -1)
    half = half_width(row["low"], row["difference"], row["high"]) / row["span"]
    return float(np.ceil(row["points"] * (half / room) ** 2 - 1e-9)) if room > 0 else NO_NUMBER


# Words
# ----------------------------------------------------------------------------------------------------------------------


def needed_text(needed: float) -> str:
    """Write the number of points with which a claim would be upheld.

    >>> needed_text(2400.0), needed_text(float("inf")), needed_text(float("nan"))
    ('2,400', 'no N', '')
    """
    if np.isnan(needed):
        return ""
    return f"{np.ceil(needed):,.0f}" if np.isfinite(needed) else "no N"


def evidence(rows: pd.DataFrame) -> str:
    """Return what is known of each pair: the significant ones first, then those that are most open."""
    parts = [_known(row) for row in sorted(rows.to_dict("records"), key=lambda row: -_openness(row))]
    if len(parts) > words.MOST_NAMED:
        parts = [*parts[: words.MOST_NAMED - 1], f"{len(parts) - words.MOST_NAMED + 1} more, less open"]
    return "; ".join(parts)


def _openness(row: Mapping[Any, Any]) -> float:
    """Return how large a difference remains possible, as a share of the span; infinite for one beyond chance."""
    if row["sure"]:
        return np.inf
    return max(_reach(row, to_better) for to_better in (False, True))


def _known(row: Mapping[Any, Any]) -> str:
    """Return what is known of one pair of a task and a variant."""
    unit = row.get("unit", "")
    margin = words.amount(MARGIN * row["span"], unit)
    if row["verdict"] in (BETTER, WORSE):
        text = f"{row['verdict']} by {words.amount(abs(row['difference']), unit)}"
        text += "" if row["sure"] else f": among {row['looks']} tasks one may differ so by chance"
    elif row["verdict"] == SAME and row["low"] * row["high"] > 0:
        side = BETTER if is_better(row) else WORSE
        text = f"{side} by {words.amount(abs(row['difference']), unit)}: different, but by less than {margin}"
    elif row["verdict"] == SAME:
        text = f"the same within {margin}"
    else:
        lower, higher = (words.amount(_reach(row, side) * row["span"], unit) for side in (False, True))
        text = f"not told apart, at most {lower} worse and {higher} better"
    return f"{row['variant']} on {row['task']}: {text}"
