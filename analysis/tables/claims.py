"""Claims of the literature and what a study says of them: it agrees, disagrees, is undecided, or does not answer."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..study import Study
from .claim_rules import (
    ALIASES,
    QUESTIONS,
    UNANSWERED,
    UNTESTED,
    Finding,
    Test,
    both_questions,
    first_that_answers,
    improved,
    needed_text,
    no_different,
    not_better,
    not_worse,
    worse,
)
from .claim_shares import VARIANCE, explains, independent, ranked, unimportant

EASE, QUALITY, BOTH, NEITHER = "ease", "quality", "both", ""  # what a claim is about
COLUMNS = ["source", "claim", "question", "verdict", "needed", "evidence", "beside", "studies"]
GREFF_CHANGES = tuple(name for name in ALIASES if name != "peephole")


@dataclass(frozen=True)
class Claim:
    """A published claim.

    source: where it stands.
    text: the claim in our words.
    question: what it is about: `ease` (how many settings work), `quality` (what a search finds), `both`, or nothing for
        a claim about hyperparameters. Only comparisons that answer this question count.
    test: gives the finding from a study's comparisons, its shares and its baseline.
    studies: presets of `conf/study` that answer it.
    """

    source: str
    text: str
    question: str
    test: Test
    studies: tuple[str, ...]


GREFF = "Greff et al. 2017, “LSTM: A Search Space Odyssey”"
JOZEFOWICZ = "Jozefowicz et al. 2015, “An Empirical Exploration of Recurrent Network Architectures”"

CHUNG = "Chung et al. 2014, “Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling”"
LE = "Le, Jaitly & Hinton 2015, “A Simple Way to Initialize Recurrent Networks of Rectified Linear Units”"
PRESETS = ("family", "greff")

CLAIMS = [
    Claim(GREFF, "None of eight changes to the LSTM improves it.", QUALITY, not_better(*GREFF_CHANGES), PRESETS),
    Claim(
        GREFF, "The forget gate is critical: without it the LSTM does worse.", QUALITY, worse("no_forget_gate"), PRESETS
    ),
    Claim(
        GREFF,
        "The output activation is critical: without it the LSTM does worse.",
        QUALITY,
        worse("no_output_activation"),
        PRESETS,
    ),
    Claim(GREFF, "Coupling input and forget gate costs nothing.", QUALITY, not_worse("coupled"), PRESETS),
    Claim(
        GREFF,
        "Dropping peepholes costs nothing.",
        QUALITY,
        first_that_answers(
            not_worse("vanilla", baselines=("peephole", "greff_v")),
            not_better("peephole", baselines=("vanilla", "greff_np", "native_lstm")),
        ),
        PRESETS,
    ),
    Claim(
        GREFF, "Full gate recurrence does not improve the LSTM.", QUALITY, not_better("full_gate_recurrence"), PRESETS
    ),
    Claim(
        GREFF,
        "The learning rate explains more than two thirds of the variance of the score.",
        NEITHER,
        explains("learning_rate", VARIANCE),
        ("greff",),
    ),
    Claim(
        GREFF, "The learning rate is the most important hyperparameter.", NEITHER, ranked("learning_rate", 1), PRESETS
    ),
    Claim(GREFF, "The hidden size is the second most important hyperparameter.", NEITHER, ranked("size", 2), PRESETS),
    Claim(GREFF, "Momentum hardly matters.", NEITHER, unimportant("momentum"), ("greff",)),
    Claim(GREFF, "Hyperparameters hardly interact and can be tuned one by one.", NEITHER, independent(), PRESETS),
    Claim(
        JOZEFOWICZ,
        "A forget bias of 1 helps the LSTM.",
        BOTH,
        first_that_answers(
            improved("forget_bias_1", "vanilla", baselines=("forget_bias_0", "greff_np")),
            worse("forget_bias_0", baselines=("forget_bias_1", "vanilla")),
        ),
        ("forget_bias",),
    ),
    Claim(
        JOZEFOWICZ,
        "The forget gate matters on all problems but language modelling.",
        QUALITY,
        worse("no_forget_gate"),
        PRESETS,
    ),
    Claim(
        JOZEFOWICZ,
        "The output gate is unimportant: without it the LSTM does no worse.",
        QUALITY,
        not_worse("no_output_gate"),
        PRESETS,
    ),
    Claim(
        JOZEFOWICZ,
        "With a forget bias of 1 the GRU is no better than the LSTM.",
        QUALITY,
        not_better("gru", baselines=("vanilla",)),
        ("family",),
    ),
    Claim(CHUNG, "GRU and LSTM are about equal.", QUALITY, no_different("gru"), ("family",)),
    Claim(CHUNG, "Gated units do better than the plain tanh network.", QUALITY, worse("rnn"), ("family",)),
    Claim(LE, "The IRNN is comparable to the LSTM on long-range problems.", QUALITY, not_worse("irnn"), ("family",)),
]


def held_against(study: Study, comparisons: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim: what it is about, the verdict of the study, and what it rests on.

    A claim of a difference is upheld where `tables.comparisons` calls it significant. A claim that there is none is
    upheld where the simultaneous interval excludes every difference of `MARGIN` or more, also where it excludes zero,
    and denied by a significant one. Significant differences of both signs mean that it depends on the task or the lag.
    A comparison in which nothing was learned, or everything solved, does not count. All else is undecided.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    shares: of `tables.importance.importance`.

    Columns:
    source, claim, question: of the claim.
    verdict, evidence: of the study.
    needed: the number of points with which the claim would be upheld if the differences stayed as they are estimated;
        `no N` where no number would, empty where that is unknown.
    beside: what the study says on the other question, which does not count.
    studies: presets that answer the claim.
    """
    usable = comparisons["low"].notna() | comparisons["verdict"].isin(UNANSWERED)
    primary = comparisons[comparisons["primary"] & usable]
    by_question = {question: primary[primary["question"] == question] for question in QUESTIONS}
    rows = []
    for claim in CLAIMS:
        found = {q: claim.test(own, shares, study.baseline or "") for q, own in by_question.items()}
        finding = (
            both_questions(found[EASE], found[QUALITY]) if claim.question == BOTH else found[claim.question or EASE]
        )
        rows.append(
            {
                "source": claim.source,
                "claim": claim.text,
                "question": claim.question,
                "verdict": finding.verdict,
                "needed": needed_text(finding.needed),
                "evidence": finding.evidence,
                "beside": _beside(claim.question, found),
                "studies": ", ".join(claim.studies),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _beside(question: str, found: dict[str, Finding]) -> str:
    """Return the evidence on the other question, labelled as such; empty where a claim has none."""
    other = {EASE: QUALITY, QUALITY: EASE}.get(question)
    if other is None or found[other].verdict == UNTESTED:
        return ""
    return f"{QUESTIONS[other].capitalize()}, the other question, not counted: {found[other].evidence}"
