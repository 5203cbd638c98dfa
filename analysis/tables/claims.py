"""Claims of the literature and what a study says of them: it agrees, disagrees, is undecided, or does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..study import Study
from .comparisons import is_better
from .importance import LEAST_R2

AGREES, MIXED, DISAGREES = "agrees", "agrees in part", "disagrees"
UNDECIDED, UNTESTED = "undecided at this N", "not answered here"
MARGIN = 0.1  # a difference below it counts as none: 10 percentage points, .1 of the score, a tenth of the budget
VARIANCE = 2 / 3  # of the score, that the learning rate is said to explain

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
GREFF_CHANGES = tuple(name for name in ALIASES if name != "peephole")
LSTMS = ("vanilla", "peephole", "greff_v", "greff_np", "native_lstm")


@dataclass(frozen=True)
class Finding:
    """What a study says of a claim.

    verdict: one of the words above.
    evidence: the numbers behind it, in words.
    """

    verdict: str
    evidence: str


NOTHING = Finding(UNTESTED, "")
Test = Callable[[pd.DataFrame, pd.DataFrame, str], Finding]


@dataclass(frozen=True)
class Claim:
    """A published claim.

    source: where it stands.
    text: the claim in our words.
    test: gives the finding from a study's comparisons by the primary endpoints, its shares and its baseline.
    studies: presets of `conf/study` that answer it.
    """

    source: str
    text: str
    test: Test
    studies: tuple[str, ...]


# Tests
# ---------------------------------------------------------------------------------------------------------------------


def worse(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that each of these variants does worse than the baseline, if it is one of `baselines`."""
    return lambda primary, shares, baseline: _directed(_of(primary, names, baseline, baselines), claimed_better=False)


def improved(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that each of these variants does better than the baseline."""
    return lambda primary, shares, baseline: _directed(_of(primary, names, baseline, baselines), claimed_better=True)


def not_better(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that none of these variants does better than the baseline."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline, baselines), sides=(True,))


def not_worse(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that none of these variants does worse than the baseline."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline, baselines), sides=(False,))


def no_different(*names: str, baselines: tuple[str, ...] = LSTMS) -> Test:
    """Return the claim that these variants do as well as the baseline."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline, baselines), sides=(True, False))


def first_that_answers(*tests: Test) -> Test:
    """Return a claim that can be tested from either side: against a baseline that has the part, or one that has not."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = (one(primary, shares, baseline) for one in tests)
        return next((finding for finding in found if finding.verdict != UNTESTED), NOTHING)

    return test


def _of(primary: pd.DataFrame, names: tuple[str, ...], baseline: str, baselines: tuple[str, ...]) -> pd.DataFrame:
    """Return rows of variants under any of their names; none where the claim is about another baseline."""
    known = {alias for name in names for alias in ALIASES.get(name, (name,))} - {baseline}
    return primary[primary["variant"].isin(known) & (baseline in baselines)]


def _reach(row: Mapping[Any, Any], to_better: bool) -> float:
    """Return the largest difference to a side that the interval leaves possible, as a share of the endpoint's span."""
    upwards = to_better != ENDPOINTS[row["endpoint"]].lower_is_better
    return max(0.0, float(row["high"] if upwards else -row["low"])) / float(row["span"])


def _directed(rows: pd.DataFrame, *, claimed_better: bool) -> Finding:
    """A claim of a difference: upheld where it is significant, denied by a significant opposite or where all are below
    the margin.
    """
    if rows.empty:
        return NOTHING
    found = [is_better(row) == claimed_better for row in rows.to_dict("records") if row["significant"]]
    if any(found):
        return Finding(AGREES if sum(found) == len(rows) else MIXED, _evidence(rows))
    small = all(_reach(row, claimed_better) < MARGIN for row in rows.to_dict("records"))
    return Finding(DISAGREES if found or small else UNDECIDED, _evidence(rows))


def _denied(rows: pd.DataFrame, *, sides: tuple[bool, ...]) -> Finding:
    """A claim of no difference to some sides (better: True): denied by a significant one, upheld where all are below
    the margin.
    """
    if rows.empty:
        return NOTHING
    against = rows[[bool(row["significant"]) and is_better(row) in sides for row in rows.to_dict("records")]]
    if len(against):
        return Finding(DISAGREES, _evidence(against))
    largest = max(_reach(row, side) for row in rows.to_dict("records") for side in sides)
    return Finding(AGREES if largest < MARGIN else UNDECIDED, _evidence(rows))


def ranked(name: str, place: int) -> Test:
    """Return the claim that a hyperparameter explains more of the score's variance than all others but `place` - 1."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        alone = _trusted(shares, 1)
        if alone.empty or name not in set(alone["term"]):
            return NOTHING
        ranks = alone.groupby(["task", "variant"])["share"].rank(ascending=False, method="first")
        places = ranks[alone["term"] == name]
        count, total = int((places == place).sum()), len(places)
        ordinal = {1: "largest", 2: "second largest", 3: "third largest"}[place]
        median = alone.loc[places.index, "share"].median()
        text = f"{ordinal} share for {count} of {total} variants and tasks; median share {median:.2f}"
        return Finding(_mostly(total - count, total), text)

    return test


def explains(name: str, limit: float) -> Test:
    """Return the claim that a hyperparameter explains more than `limit` of the score's variance."""
    return lambda primary, shares, baseline: _against_limit(_trusted(shares, 1), name, limit, above=True)


def unimportant(name: str, limit: float = 0.05) -> Test:
    """Return the claim that a hyperparameter hardly matters: a share below `limit`."""
    return lambda primary, shares, baseline: _against_limit(_trusted(shares, 1), name, limit, above=False)


def independent(limit: float = 0.1) -> Test:
    """Return the claim that hyperparameters hardly interact: all pairs together explain less than `limit`."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = _trusted(shares, 2)
        if found.empty:
            return NOTHING
        sums = (
            found.assign(square=found["error"].fillna(0) ** 2).groupby(["task", "variant"])[["share", "square"]].sum()
        )
        whole = sums.reset_index().assign(term="all pairs", error=lambda t: np.sqrt(t["square"]))
        return _against_limit(whole, "all pairs", limit, above=False)

    return test


def _against_limit(shares: pd.DataFrame, name: str, limit: float, *, above: bool) -> Finding:
    """Compare a share with a limit for every variant and task; two standard errors between them make it sure."""
    mine = shares[shares["term"] == name] if len(shares) else shares
    if mine.empty:
        return NOTHING
    error = 2 * mine["error"].fillna(0)
    over, under = int((mine["share"] - error > limit).sum()), int((mine["share"] + error < limit).sum())
    text = (
        f"{name}: median share {mine['share'].median():.2f}; surely above {limit:.2f} for {over}, "
        f"surely below for {under} of {len(mine)} variants and tasks"
    )
    wrong, right = (under, over) if above else (over, under)
    if 2 * max(wrong, right) <= len(mine):
        return Finding(UNDECIDED, text)
    return Finding(_mostly(wrong, len(mine)), text)


def _mostly(wrong: int, total: int) -> str:
    """Return the verdict where a claim is wrong for some of all variants and tasks."""
    if not wrong:
        return AGREES
    return MIXED if 2 * wrong < total else DISAGREES


def _trusted(shares: pd.DataFrame, order: int) -> pd.DataFrame:
    """Terms of an order where the surrogate predicts well enough."""
    if shares.empty:
        return shares
    return shares[(shares["order"] == order) & (shares[["r2_forest", "r2_process"]].max(axis=1) >= LEAST_R2)]


def _evidence(rows: pd.DataFrame) -> str:
    """Return what is known of each pair: the significant ones first, then those that are most open."""
    parts = [_known(row) for row in sorted(rows.to_dict("records"), key=lambda row: -_openness(row))]
    if len(parts) > words.MOST_NAMED:
        parts = [*parts[: words.MOST_NAMED - 1], f"{len(parts) - words.MOST_NAMED + 1} more, less open"]
    return "; ".join(parts)


def _openness(row: Mapping[Any, Any]) -> float:
    """Return how large a difference remains possible, as a share of the span; infinite for a significant difference."""
    return np.inf if row["significant"] else max(_reach(row, to_better) for to_better in (False, True))


def _known(row: Mapping[Any, Any]) -> str:
    """Return what is known of one pair of a task and a variant."""
    unit = ENDPOINTS[row["endpoint"]].unit
    if row["significant"]:
        text = f"{'better' if is_better(row) else 'worse'} by {words.amount(abs(row['difference']), unit)}"
    else:
        worse, better = (words.amount(_reach(row, side) * row["span"], unit) for side in (False, True))
        text = f"not told apart, at most {worse} worse and {better} better"
    return f"{row['variant']} on {row['task']}: {text}"


GREFF = "Greff et al. 2017, “LSTM: A Search Space Odyssey”"
JOZEFOWICZ = "Jozefowicz et al. 2015, “An Empirical Exploration of Recurrent Network Architectures”"

CHUNG = "Chung et al. 2014, “Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling”"
LE = "Le, Jaitly & Hinton 2015, “A Simple Way to Initialize Recurrent Networks of Rectified Linear Units”"
BOTH = ("family", "greff")  # presets

CLAIMS = [
    Claim(GREFF, "None of eight changes to the LSTM improves it.", not_better(*GREFF_CHANGES), BOTH),
    Claim(GREFF, "The forget gate is critical: without it the LSTM does worse.", worse("no_forget_gate"), BOTH),
    Claim(
        GREFF, "The output activation is critical: without it the LSTM does worse.", worse("no_output_activation"), BOTH
    ),
    Claim(GREFF, "Coupling input and forget gate costs nothing.", not_worse("coupled"), BOTH),
    Claim(
        GREFF,
        "Dropping peepholes costs nothing.",
        first_that_answers(
            not_worse("vanilla", baselines=("peephole", "greff_v")),
            not_better("peephole", baselines=("vanilla", "greff_np", "native_lstm")),
        ),
        BOTH,
    ),
    Claim(GREFF, "Full gate recurrence does not improve the LSTM.", not_better("full_gate_recurrence"), BOTH),
    Claim(
        GREFF,
        "The learning rate explains more than two thirds of the variance of the score.",
        explains("learning_rate", VARIANCE),
        ("greff",),
    ),
    Claim(GREFF, "The learning rate is the most important hyperparameter.", ranked("learning_rate", 1), BOTH),
    Claim(GREFF, "The hidden size is the second most important hyperparameter.", ranked("size", 2), BOTH),
    Claim(GREFF, "Momentum hardly matters.", unimportant("momentum"), ("greff",)),
    Claim(GREFF, "Hyperparameters hardly interact and can be tuned one by one.", independent(), BOTH),
    Claim(
        JOZEFOWICZ,
        "A forget bias of 1 helps the LSTM.",
        first_that_answers(
            improved("forget_bias_1", "vanilla", baselines=("forget_bias_0", "greff_np")),
            worse("forget_bias_0", baselines=("forget_bias_1", "vanilla")),
        ),
        ("forget_bias",),
    ),
    Claim(JOZEFOWICZ, "The forget gate matters on all problems but language modelling.", worse("no_forget_gate"), BOTH),
    Claim(
        JOZEFOWICZ,
        "The output gate is unimportant: without it the LSTM does no worse.",
        not_worse("no_output_gate"),
        BOTH,
    ),
    Claim(
        JOZEFOWICZ,
        "With a forget bias of 1 the GRU is no better than the LSTM.",
        not_better("gru", baselines=("vanilla",)),
        ("family",),
    ),
    Claim(CHUNG, "GRU and LSTM are about equal.", no_different("gru"), ("family",)),
    Claim(CHUNG, "Gated units do better than the plain tanh network.", worse("rnn"), ("family",)),
    Claim(LE, "The IRNN is comparable to the LSTM on long-range problems.", not_worse("irnn"), ("family",)),
]


def held_against(study: Study, comparisons: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim: source, claim, verdict, evidence, studies (presets that answer it).

    A claim of a difference is upheld where `tables.comparisons` calls it significant. A claim that there is none is
    upheld where the simultaneous interval excludes every difference of `MARGIN` or more, and denied by a significant
    one. All else is undecided.

    study: the study.
    comparisons: of `tables.comparisons.comparisons`.
    shares: of `tables.importance.importance`.
    """
    primary = comparisons[comparisons["primary"] & comparisons["low"].notna()]
    rows = []
    for claim in CLAIMS:
        finding = claim.test(primary, shares, study.baseline or "")
        row = {"source": claim.source, "claim": claim.text, "verdict": finding.verdict, "evidence": finding.evidence}
        rows.append({**row, "studies": ", ".join(claim.studies)})
    return pd.DataFrame(rows)
