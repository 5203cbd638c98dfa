"""Claims of the literature and what a study says of them: it agrees, disagrees, is undecided, or does not answer."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ..study import Study
from .claim_lags import with_lags
from .claim_rules import QUESTIONS, UNANSWERED, UNTESTED, Finding, both_questions, needed_text
from .halves import halves
from .literature import BOTH, CLAIMS, EASE, QUALITY

COLUMNS = [
    *("source", "place", "claim", "question", "verdict", "needed", "evidence", "beside", "studies"),
    *("differs", "lacking"),
]


def held_against(
    study: Study,
    comparisons: pd.DataFrame,
    shares: pd.DataFrame,
    lag_tables: Mapping[str, pd.DataFrame] | None = None,
    effects: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one row per claim: what it is about, the verdict of the study, and what it rests on.

    A claim of a difference is upheld where `tables.comparisons` calls it significant. A claim that there is none is
    upheld where the simultaneous interval excludes every difference of `MARGIN` or more, also where it excludes zero,
    and denied by a significant one. Significant differences of both signs mean that it depends on the task or the lag.
    A comparison in which nothing was learned, or everything solved, does not count. All else is undecided.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    shares: of `tables.importance.importance`.
    lag_tables: of `tables.lags.lag_tables`; without them no claim about what changes with the lag is answered.
    effects: of `tables.effects.effects`; without them no claim about two parts together is answered.

    Columns:
    source, place, claim, question, differs, lacking: of the claim.
    verdict, evidence: of the study.
    needed: the number of points with which the claim would be upheld if the differences stayed as they are estimated;
        `no N` where no number would, empty where that is unknown.
    beside: what the study says on the other question, which does not count.
    studies: presets that answer the claim.
    """
    every = with_lags(study, comparisons, lag_tables or {})
    large = pd.DataFrame(halves(study, set(every.loc[every["longest"], "task"])))
    every = pd.concat([part for part in (every, large) if len(part)], ignore_index=True) if len(every) else every
    usable = every["low"].notna() | every["verdict"].isin(UNANSWERED)
    primary = every[every["primary"].astype(bool) & usable]
    by_question = {question: primary[primary["question"] == question] for question in QUESTIONS}
    rows = []
    for claim in CLAIMS:
        found = {q: claim.test(own, shares, study.baseline or "") for q, own in by_question.items()}
        if claim.of_parts is not None and effects is not None:
            found = {q: claim.of_parts(effects[effects["question"] == q]) for q in QUESTIONS}
        finding = (
            both_questions(found[EASE], found[QUALITY]) if claim.question == BOTH else found[claim.question or EASE]
        )
        rows.append(
            {
                "source": claim.source,
                "place": claim.place,
                "claim": claim.text,
                "question": claim.question,
                "verdict": finding.verdict,
                "needed": needed_text(finding.needed),
                "evidence": finding.evidence,
                "beside": _beside(claim.question, found),
                "studies": ", ".join(claim.studies),
                "differs": claim.differs,
                "lacking": claim.lacking,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _beside(question: str, found: dict[str, Finding]) -> str:
    """Return the evidence on the other question, labelled as such; empty where a claim has none."""
    other = {EASE: QUALITY, QUALITY: EASE}.get(question)
    if other is None or found[other].verdict == UNTESTED:
        return ""
    return f"{QUESTIONS[other].capitalize()}, the other question, not counted: {found[other].evidence}"
