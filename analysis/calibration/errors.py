"""How often studies of equal variants say that some differ, by the way of a real study: tables, sentences, claims.

Since no variant differs from another, every difference that is stated is an error. The rule promises at most 5 % of
studies with an error, for each task and each question separately.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from ..report.lag_sentences import lag_sentences
from ..report.sentences import verdicts
from ..statistics.endpoints import EASE, QUALITY
from ..study import Study
from ..tables.claim_rules import AGREES, MIXED, UNDECIDED, answered
from ..tables.claims import held_against
from ..tables.comparisons import BETTER, GUARDS, SAME, WORSE, comparisons
from ..tables.lags import MEAN, SLOPE, lag_tables
from .studies import SCENARIOS, Scenario, made_up

PROMISE = 0.05  # largest share of studies of equal variants with an error in a family
RARE = 0.001  # probability of more errors than `most_errors`, where the promise is just kept
SOON, HALF_LAG = "steps", "half lag"  # families that decide no question, but stand in sentences
FAMILIES = {
    "solve_rate": EASE,
    "expected_best_20": QUALITY,
    "restricted_steps": SOON,
    "mean_loss": EASE,  # this and the next: of a task without a criterion of success
    "best_decile_loss": QUALITY,
}
"""By endpoint."""
STATED = re.compile(r"\b(?:better|worse|earlier|later) than|loses .* (?:more|less) per doubling", re.IGNORECASE)
DIFFERENT = re.compile(r": (?:better|worse) by [^:;]+(?:;|$)")  # evidence of a claim that rests on a difference


def measured(
    scenario: Scenario,
    points: int,
    studies: int,
    *,
    read: int | None = None,
    swaps: int = 99,
    seed: int = 2026,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how often made-up studies of equal variants err: a row per family, and a row for whole studies.

    scenario: what is true of the tasks.
    points: number of trials of each variant on each task.
    studies: number of made-up studies.
    read: of how many of them the sentences and claims are read, which takes longer than the tables; by default of all.
    swaps: number of label swaps.
    seed: of the studies.

    Columns of the first table, all shares of studies:
    task, family: a task (or series) with ease, quality, steps, mean, slope or half lag.
    wrong: with a verdict of better or worse.
    covered: in which all simultaneous intervals include the true difference, zero.
    guarded: in which nothing was learned or everything solved, for all variants.
    welch: in which Greff's test marks some variant; welch_each: share of the single tests that mark one.

    Columns of the second table: wrong (some verdict of any family), stated (some sentence that states a difference),
    claims_wrong (some claim that is answered against the truth, or by a difference that is not there), and the mean
    shares of the claims that are right, undecided and unanswered. All but the first are of the `read` studies.
    """
    read = studies if read is None else min(read, studies)
    families: list[dict[str, Any]] = []
    whole: list[dict[str, Any]] = []
    for k in range(studies):
        study = made_up(scenario, points, np.random.default_rng([seed, points, k, *scenario.name.encode()]))
        compared = comparisons(study, swaps=swaps, seed=k)
        lags = lag_tables(study, compared, swaps=swaps, seed=k, resamples=1000)
        own = [*_families(compared), *_lag_families(lags)]
        families += own
        said: dict[str, float] = {}
        if k < read:
            sentences = _without_method([*verdicts(study, compared), *lag_sentences(study, lags)])
            said = {"stated": any(STATED.search(sentence) for sentence in sentences), **_claims(study, compared)}
        whole.append({"wrong": any(row["wrong"] for row in own), **said})
    place: dict[str, Any] = {"scenario": scenario.name, "points": points, "studies": studies}
    by_family = pd.DataFrame(families).groupby(["task", "family"], sort=False).mean().reset_index()
    shares = pd.DataFrame(whole).astype(float).mean()
    return by_family.assign(**place), pd.DataFrame([{**place, "read": read, **shares}])


def most_errors(studies: int, promise: float = PROMISE) -> int:
    """Return the number of errors that a rule exceeds with a probability of at most .001 if it keeps its promise.

    >>> most_errors(100), most_errors(1000)
    (13, 72)
    """
    return int(binom.isf(RARE, studies, promise))


# What one study says
# ----------------------------------------------------------------------------------------------------------------------


def _families(compared: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield whether each family of a study errs."""
    for (task, endpoint), rows in compared.groupby(["task", "endpoint"], sort=False):
        if endpoint in FAMILIES:
            yield {
                "task": task,
                "family": FAMILIES[str(endpoint)],
                "wrong": rows["verdict"].isin([BETTER, WORSE]).any(),
                "covered": not _excludes_zero(rows["low"], rows["high"]),
                "guarded": rows["verdict"].isin(GUARDS).all(),
                "welch": (rows["greff_welch_p"] < PROMISE).any(),
                "welch_each": (rows["greff_welch_p"] < PROMISE).mean(),
            }


def _lag_families(tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Yield whether the families of a series of lags err; none where there is no series."""
    if not tables:
        return
    unknown = {"guarded": np.nan, "welch": np.nan, "welch_each": np.nan}
    for (series, effect), rows in tables["lag_effects"].groupby(["series", "effect"], sort=False):
        if effect in (MEAN, SLOPE):
            found = {"wrong": rows["significant"].any(), "covered": not _excludes_zero(rows["low"], rows["high"])}
            yield {**unknown, "task": series, "family": effect, **found}
    for series, rows in tables["half_lags"].groupby("series", sort=False):
        found = {"covered": not _excludes_zero(rows["doublings_low"], rows["doublings_high"])}
        yield {**unknown, "task": series, "family": HALF_LAG, "wrong": rows["significant"].any(), **found}


def _excludes_zero(low: pd.Series[float], high: pd.Series[float]) -> bool:
    return bool(((low > 0) | (high < 0)).any())


def _without_method(sentences: list[str]) -> list[str]:
    """Return the paragraphs but those on the method, which are the same in every study."""
    return [s for s in sentences if not s.startswith(("Intervals and p-values hold", "The half lag is the lag"))]


def _claims(study: Study, compared: pd.DataFrame) -> dict[str, float]:
    """Return whether a claim is answered wrongly, and the shares of those that are right, undecided and unanswered."""
    about_variants = held_against(study, compared, pd.DataFrame()).loc[lambda t: t["question"] != ""]
    verdict = about_variants["verdict"]
    undecided, silent = verdict == UNDECIDED, ~verdict.map(answered)
    right = about_variants["claim"].map(_true_of_equal_variants())
    in_part = (verdict == MIXED) & (right == AGREES)  # where one of its two questions is undecided
    against = (verdict != right) & ~in_part
    invented = about_variants["evidence"].str.contains(DIFFERENT)
    wrong = ~undecided & ~silent & (against | invented)
    shares = {"right": ~undecided & ~silent & ~wrong, "undecided": undecided, "unanswered": silent}
    return {"claims_wrong": bool(wrong.any()), **{name: float(found.mean()) for name, found in shares.items()}}


@cache
def _true_of_equal_variants() -> dict[str, str]:
    """Return what is right to say of each claim: that of differences which are known to be zero."""
    right: dict[str, str] = {}
    for name in ("three tasks", "lags"):  # the one answers claims about several tasks, the other those about long lags
        study = made_up(SCENARIOS[name], 10, np.random.default_rng(0))
        known = comparisons(study, swaps=19)
        known = known.assign(difference=0.0, low=-1e-6, high=1e-6, verdict=SAME, significant=False)
        for row in held_against(study, known, pd.DataFrame()).to_dict("records"):
            if row["claim"] not in right or (answered(row["verdict"]) and row["verdict"] != UNDECIDED):
                right[row["claim"]] = row["verdict"]
    return right
