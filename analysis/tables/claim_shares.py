"""Rules by which the importance of hyperparameters answers a claim of the literature.

All shares here are of the variance of the score, `of_score` in `tables.importance`: the share of the surrogate's
variance times the cross-validated R2 of the surrogate. Two standard errors make a difference sure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..statistics.anova import FEWEST
from ..statistics.intervals import Floats
from .claim_rules import AGREES, DISAGREES, MIXED, NO_NUMBER, NOTHING, UNDECIDED, UNTESTED, Finding, Test
from .importance import LEAST_R2, share_text

VARIANCE = 2 / 3  # of the score, that the learning rate is said to explain
ENOUGH_FOR_PAIRS = 200  # trials from which on interactions are claimed or denied, unless
R2_FOR_PAIRS = 0.6  # or more of the variance is predicted
NOT_PREDICTED = f"{UNTESTED}: the hyperparameters predict too little of the score"
ORDINALS = {1: "largest", 2: "second largest", 3: "third largest"}
SURE = 2  # standard errors
TOO_FEW_FOR_PAIRS = Finding(
    UNDECIDED, f"fewer than {ENOUGH_FOR_PAIRS} trials, and R² below {R2_FOR_PAIRS:.2f}", float(ENOUGH_FOR_PAIRS)
)


def ranked(name: str, place: int) -> Test:
    """Return the claim that a hyperparameter explains more of the score's variance than all others but `place` - 1.

    The shares of each variant on each task are compared with their errors: the hyperparameter is surely at its place,
    surely not, or it is open. The means over variants and tasks decide in the same way.
    """

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        alone = _trusted(shares, 1)
        if name not in set(alone["term"]) or alone["term"].nunique() <= place:
            return _no_answer(shares, name)
        pairs = ["task", "variant"]
        share, error = (alone.pivot(index=pairs, columns="term", values=v) for v in ("of_score", "error"))
        others = [term for term in share.columns if term != name]
        lead = share[[name]].to_numpy() - share[others].to_numpy()
        # Shares of one pair push each other aside: the error of a difference is at most the sum of the two errors.
        doubt = SURE * (error[[name]].to_numpy() + error[others].to_numpy())
        places = [_place(*row, place) for row in zip(lead, doubt, strict=True)]
        mean, of_mean = lead.mean(axis=0), _error_of_mean(doubt, share.index.get_level_values("task"))
        sure, wrong = places.count(True), places.count(False)
        found = _place(mean, of_mean, place)
        verdict = {True: MIXED if wrong else AGREES, False: DISAGREES, None: UNDECIDED}[found]
        rival = others[int(np.argsort(-share[others].mean().to_numpy())[min(place, len(others)) - 1])]
        trials = int(alone["trials"].min())
        mine, theirs = (share_text(float(share[term].mean()), trials) for term in (name, rival))
        text = (
            f"mean share {mine} against {theirs} for {rival}; surely the {ORDINALS[place]} share for {sure}, surely "
            f"not for {wrong} of {len(places)} pairs{_left_out(shares, len(places))}"
        )
        return Finding(verdict, text, NO_NUMBER if wrong else _needed_for_place(mean, of_mean, place, trials))

    return test


def explains(name: str, limit: float) -> Test:
    """Return the claim that a hyperparameter explains more than `limit` of the score's variance.

    It is denied only where even all of the variance that the surrogate does not predict would not reach the limit.
    """
    return lambda rows, shares, baseline: _against_limit(shares, _trusted(shares, 1), name, limit, above=True)


def unimportant(name: str, limit: float = 0.05) -> Test:
    """Return the claim that a hyperparameter hardly matters: a share below `limit`."""
    return lambda rows, shares, baseline: _against_limit(shares, _trusted(shares, 1), name, limit, above=False)


def independent(limit: float = 0.1) -> Test:
    """Return the claim that hyperparameters hardly interact: all pairs together explain less than `limit`.

    It is answered from 200 trials on, or where the surrogate predicts .6 of the score's variance.
    """

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = _trusted(shares, 2)
        if found.empty:
            return _no_answer(shares, "")
        enough = _enough_for_pairs(found)
        if enough.empty:
            return TOO_FEW_FOR_PAIRS
        by_pair = enough.assign(square=enough["error"] ** 2).groupby(["task", "variant"])
        whole = by_pair[["of_score", "square"]].sum().join(by_pair[["trials", "r2"]].first()).reset_index()
        whole = whole.assign(term="all pairs", error=np.sqrt(whole["square"]))
        return _against_limit(shares, whole, "all pairs", limit, above=False)

    return test


def separate(first: str, second: str, limit: float = 0.05) -> Test:
    """Return the claim that two hyperparameters hardly interact: together they explain less than `limit`.

    It is answered from 200 trials on, or where the surrogate predicts .6 of the score's variance.
    """

    def test(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
        found = _trusted(shares, 2)
        name = next((n for n in (f"{first} × {second}", f"{second} × {first}") if n in set(found["term"])), "")
        if not name:
            return _no_answer(shares, f"{first} × {second}")
        enough = _enough_for_pairs(found)
        return TOO_FEW_FOR_PAIRS if enough.empty else _against_limit(shares, enough, name, limit, above=False)

    return test


def _enough_for_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the terms of two hyperparameters that rest on enough trials, or on a good surrogate."""
    return pairs[(pairs["trials"] >= ENOUGH_FOR_PAIRS) | (pairs["r2"] >= R2_FOR_PAIRS)]


def _against_limit(shares: pd.DataFrame, trusted: pd.DataFrame, name: str, limit: float, *, above: bool) -> Finding:
    """Compare a share with a limit for every variant and task; more than half of them must be sure."""
    mine = trusted[trusted["term"] == name]
    if mine.empty:
        return _no_answer(shares, name)
    error, unknown = SURE * mine["error"], (1 - mine["r2"]) if above else 0.0
    over = int((mine["of_score"] - error > limit).sum())
    under = int((mine["of_score"] + unknown + error < limit).sum())
    least = int(mine["trials"].min())
    text = (
        f"{name}: median share of the variance of the {_outcome(mine)} {share_text(mine['of_score'].median(), least)} "
        f"(median R² {mine['r2'].median():.2f}); surely above {limit:.2f} for {over}, surely below for {under} of "
        f"{len(mine)} pairs{_left_out(shares, len(mine))}"
    )
    wrong, right = (under, over) if above else (over, under)
    room = (mine["of_score"] - limit) * (1 if above else -1)
    each = np.where(room > 0, mine["trials"] * (error / room.where(room > 0, 1.0)) ** 2, NO_NUMBER)
    needed = max(float(np.sort(each)[len(mine) // 2]), float(FEWEST))  # of more than half of them
    if 2 * max(wrong, right) <= len(mine):
        verdict = UNDECIDED
    elif not wrong:
        verdict = AGREES
    else:
        verdict = MIXED if right > wrong else DISAGREES
    if verdict == AGREES:
        needed = min(needed, float(least))
    return Finding(verdict, text, NO_NUMBER if wrong else needed)


def _place(lead: Floats, doubt: Floats, place: int) -> bool | None:
    """Return whether a share is at its place, from its lead over each other share; None where that is open."""
    above, below, ahead = int((lead < -doubt).sum()), int((lead > doubt).sum()), place - 1
    if above > ahead or below > len(lead) - ahead:
        return False
    return True if above + below == len(lead) else None


def _needed_for_place(lead: Floats, doubt: Floats, place: int, trials: int) -> float:
    """Return the trials with which a share would surely be at its place, if the leads stay as they are estimated."""
    if int((lead < 0).sum()) != place - 1 or (lead == 0).any():
        return NO_NUMBER
    return max(float(np.ceil(trials * ((doubt / lead) ** 2).max())), float(FEWEST))


def _error_of_mean(errors: Floats, tasks: pd.Index[str]) -> Floats:
    """Return the error of a mean over pairs [D] from the errors of each pair [P, D], at most.

    Variants of a task met the same points, so that their errors may all have the same sign: they add up. Tasks have
    points of their own: their variances add up.
    """
    sums = pd.DataFrame(errors).groupby(tasks).sum().to_numpy()
    whole: Floats = np.sqrt((sums**2).sum(axis=0)) / len(errors)
    return whole


def _trusted(shares: pd.DataFrame, order: int) -> pd.DataFrame:
    """Return the terms of an order of pairs whose surrogate predicts well enough, with errors of the score's shares."""
    if shares.empty:
        return pd.DataFrame(columns=["task", "variant", "term", "order", "of_score", "error", "r2", "trials"])
    chosen = shares[(shares["order"] == order) & (shares["r2"] >= LEAST_R2)]
    return chosen.assign(error=chosen["of_score_error"].fillna(0.0))


def _outcome(rows: pd.DataFrame) -> str:
    """Return what the shares of rows are of: score, test loss, or both."""
    named = {"loss": "test loss"}
    found = list(dict.fromkeys(rows["response"])) if "response" in rows else ["score"]
    return " or ".join(named.get(response, response) for response in found)


def _left_out(shares: pd.DataFrame, counted: int) -> str:
    """Return a text on the pairs that do not count, because too little is predicted or there are too few trials."""
    others = len(shares[["task", "variant"]].drop_duplicates()) - counted
    return f"; {others} more predict too little to count" if others else ""


def _no_answer(shares: pd.DataFrame, name: str) -> Finding:
    """Return the finding where no pair has a trusted share: there is none, or the surrogates predict too little."""
    if shares.empty or (name and name not in set(shares["term"])) or (shares["r2"] >= LEAST_R2).any():
        return NOTHING
    largest = shares["r2"].max()
    return Finding(NOT_PREDICTED, f"R² at most {largest:.2f}; a share counts from R² {LEAST_R2:.2f} on")
