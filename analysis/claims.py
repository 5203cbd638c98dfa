"""Claims of the literature held against a study: supported, contradicted, left open, or not tested by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import stats
from .plots_anova import LEAST_R2
from .summary import baseline_of
from .verdict import amount, better

Design = Mapping[str, Any]

SUPPORTED, MIXED, CONTRADICTED = "supported", "supported in part", "contradicted"
OPEN, STANDING, UNTESTED = "left open", "not contradicted", "not tested here"

# A claim on a part of the LSTM is tested by its ablation on either baseline.
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
    """What a study says of a claim: one of the words above, and the numbers behind it."""

    verdict: str
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A published claim.

    source: where it stands. text: the claim in our words. test: from the study's comparisons (primary endpoints), shares and baseline.
    """

    source: str
    text: str
    test: Callable[[pd.DataFrame, pd.DataFrame, str], Finding]


# Tests ---------------------------------------------------------------------------------------------------------------------


def _of(primary: pd.DataFrame, names: tuple[str, ...], baseline: str) -> pd.DataFrame:
    """Rows of variants under any of their names."""
    known = {alias for name in names for alias in ALIASES.get(name, (name,))} - {baseline}
    return primary[primary["variant"].isin(known)]


def worse(*names: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that each of these variants does worse than the LSTM."""
    return lambda primary, shares, baseline: _directed(_of(primary, names, baseline), baseline, claimed_better=False)


def improved(*names: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that each of these variants does better than the LSTM."""
    return lambda primary, shares, baseline: _directed(_of(primary, names, baseline), baseline, claimed_better=True)


def _directed(rows: pd.DataFrame, baseline: str, *, claimed_better: bool) -> Finding:
    if rows.empty or baseline not in LSTMS:
        return Finding(UNTESTED, "")
    found = [row for _, row in rows.iterrows() if row["significant"]]
    yes, no = ([r for r in found if better(r) == side] for side in (claimed_better, not claimed_better))
    if no:
        return Finding(MIXED if yes else CONTRADICTED, _evidence(rows))
    if not yes:
        return Finding(OPEN, _evidence(rows))
    return Finding(SUPPORTED if len(yes) == len(rows) else MIXED, _evidence(rows))


def not_better(*names: str, baselines: tuple[str, ...] = LSTMS) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that none of these variants does better than the LSTM. baselines: those that the claim speaks of."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline), baseline in baselines, sides=(True,))


def not_worse(*names: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that none of these variants does worse than the LSTM."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline), baseline in LSTMS, sides=(False,))


def no_different(*names: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that these variants do as well as the LSTM."""
    return lambda primary, shares, baseline: _denied(_of(primary, names, baseline), baseline in LSTMS, sides=(True, False))


def _denied(rows: pd.DataFrame, applies: bool, *, sides: tuple[bool, ...]) -> Finding:
    """A claim that there is no difference to some sides (better: True) is contradicted by one, and never proved."""
    if rows.empty or not applies:
        return Finding(UNTESTED, "")
    against = rows[[bool(row["significant"]) and better(row) in sides for _, row in rows.iterrows()]]
    return Finding(CONTRADICTED, _evidence(against)) if len(against) else Finding(STANDING, _evidence(rows))


def most_important(name: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that a hyperparameter explains more of the score's variance than any other."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        alone = _trusted(shares, 1)
        if alone.empty or name not in set(alone["term"]):
            return Finding(UNTESTED, "")
        first = alone.loc[alone.groupby(["task", "variant"])["share"].idxmax(), "term"]
        mine = alone.loc[alone["term"] == name, "share"]
        count, total = int((first == name).sum()), len(first)
        text = f"largest share for {count} of {total} variants and tasks; median share {mine.median():.2f}"
        return Finding(SUPPORTED if count == total else MIXED if 2 * count > total else CONTRADICTED, text)

    return test


def unimportant(name: str, limit: float = 0.05) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that a hyperparameter hardly matters: a share below `limit`."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        alone = _trusted(shares, 1)
        mine = alone[alone["term"] == name]
        if mine.empty:
            return Finding(UNTESTED, "")
        above = mine[mine["share"] - 2 * mine["error"].fillna(0) > limit]
        text = f"median share {mine['share'].median():.2f}; surely above {limit:.2f} for {len(above)} of {len(mine)} variants and tasks"
        return Finding(SUPPORTED if not len(above) else MIXED if 2 * len(above) <= len(mine) else CONTRADICTED, text)

    return test


def independent(limit: float = 0.1) -> Callable[[pd.DataFrame, pd.DataFrame, str], Finding]:
    """The claim that hyperparameters hardly interact: all pairs together explain less than `limit`."""

    def test(primary: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = _trusted(shares, 2)
        if found.empty:
            return Finding(UNTESTED, "")
        together = found.groupby(["task", "variant"])["share"].sum()
        above = int((together > limit).sum())
        text = f"pairs explain {together.median():.2f} in the median, above {limit:.2f} for {above} of {len(together)} variants and tasks"
        return Finding(SUPPORTED if not above else MIXED if 2 * above <= len(together) else CONTRADICTED, text)

    return test


def _trusted(shares: pd.DataFrame, order: int) -> pd.DataFrame:
    """Terms of an order where the surrogate predicts well enough."""
    if shares.empty:
        return shares
    return shares[(shares["order"] == order) & (shares[["r2_forest", "r2_process"]].max(axis=1) >= LEAST_R2)]


def _evidence(rows: pd.DataFrame) -> str:
    parts = []
    for _, row in rows.iterrows():
        endpoint = stats.ENDPOINTS[row["endpoint"]]
        if row["significant"]:
            text = f"{'better' if better(row) else 'worse'} by {amount(endpoint, abs(row['difference']))}"
        else:
            text = f"not told apart, no difference above {amount(endpoint, max(abs(row['low']), abs(row['high'])))}"
        parts.append(f"{row['variant']} on {row['task']}: {text}")
    return "; ".join(parts)


GREFF = "Greff et al. 2017, “LSTM: A Search Space Odyssey”"
JOZEFOWICZ = "Jozefowicz et al. 2015, “An Empirical Exploration of Recurrent Network Architectures”"

CLAIMS = [
    Claim(GREFF, "None of eight changes to the LSTM improves it.", not_better(*GREFF_CHANGES)),
    Claim(GREFF, "Without the forget gate the LSTM does worse.", worse("no_forget_gate")),
    Claim(GREFF, "Without the output activation the LSTM does worse.", worse("no_output_activation")),
    Claim(GREFF, "Coupling input and forget gate does not make the LSTM worse.", not_worse("coupled")),
    Claim(GREFF, "With and without peepholes the LSTM does equally well.", no_different("peephole", "vanilla")),
    Claim(GREFF, "Full gate recurrence does not improve the LSTM.", not_better("full_gate_recurrence")),
    Claim(GREFF, "The learning rate is by far the most important hyperparameter.", most_important("learning_rate")),
    Claim(GREFF, "Momentum hardly matters.", unimportant("momentum")),
    Claim(GREFF, "Hyperparameters hardly interact and can be tuned one by one.", independent()),
    Claim(
        JOZEFOWICZ,
        "The forget gate matters on all problems but language modelling.",
        worse("no_forget_gate"),
    ),
    Claim(JOZEFOWICZ, "The output gate is unimportant: without it the LSTM does no worse.", not_worse("no_output_gate")),
    Claim(JOZEFOWICZ, "With a forget bias of 1 the LSTM matches the GRU.", not_better("gru", baselines=("vanilla",))),
    Claim(
        "Chung et al. 2014, “Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling”",
        "Gated units do better than the plain tanh network.",
        worse("rnn"),
    ),
    Claim(
        "Le, Jaitly & Hinton 2015, “A Simple Way to Initialize Recurrent Networks of Rectified Linear Units”",
        "The IRNN is comparable to the LSTM on long-range problems.",
        not_worse("irnn"),
    ),
]


def held_against(table: pd.DataFrame, design: Design, comparisons: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """One row per claim: source, claim, verdict, evidence.

    A difference counts where `compare.comparisons` calls it significant; a claim that there is none can be contradicted, but never proved.
    """
    baseline = baseline_of(table, design) or ""
    primary = comparisons[comparisons["primary"] & comparisons["low"].notna()]
    rows = []
    for claim in CLAIMS:
        finding = claim.test(primary, shares, baseline)
        rows.append({"source": claim.source, "claim": claim.text, "verdict": finding.verdict, "evidence": finding.evidence})
    return pd.DataFrame(rows)
