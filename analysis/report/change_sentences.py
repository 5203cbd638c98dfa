"""What changed between two studies, in sentences computed from the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..tables.comparisons import FEWEST_FOR_INFERENCE, MARGIN, OPEN, SAME
from ..tables.two_studies import ADVANTAGE, CHANGE, TwoStudies
from .sentences import GUARDED, counted


def change_sentences(both: TwoStudies) -> list[str]:
    """Return one paragraph per task and question, and one on equal numbers and time.

    both: of `tables.two_studies.compare_studies`.
    """
    primary = both.pairs[both.pairs["primary"]]
    groups = primary.groupby(["task", "question"], sort=False)
    found = [_task(str(task), own, both.baseline) for (task, _), own in groups]
    once = primary[primary["what"] == CHANGE].drop_duplicates(["task", "variant"])
    closing = _closing(once)
    return [*found, closing] if closing else found


def counted_changes(both: TwoStudies) -> str:
    """Return in one sentence how many differences between the studies are told apart."""
    primary = both.pairs[both.pairs["primary"]]
    own, advantage = (primary[primary["what"] == what] for what in (CHANGE, ADVANTAGE))
    if primary["low"].isna().all():
        return "There are too few points to tell the studies apart."
    text = f"{int(own['significant'].sum())} of {len(own)} results of a variant differ between the studies"
    if len(advantage):
        text += f", and {int(advantage['significant'].sum())} of {len(advantage)} advantages over the baseline"
    return f"{text}."


def _closing(once: pd.DataFrame) -> str:
    sentences = []
    pairs, numbers, outcomes = (int(once[c].sum()) for c in ("pairs", "same_numbers", "same_outcome"))
    if pairs:
        sentences.append(
            f"Of {pairs} trials that both studies ran at the same point, {numbers} gave the same losses to the last "
            f"bit, and {outcomes} the same outcome (solved or not)."
        )
    if once["time"].notna().any():
        ratio = float(np.exp(np.log(once["time"].dropna()).mean()))
        sentences.append(
            f"A training step took {ratio:.2f} times as long in this study as in the other (geometric mean over "
            "variants and tasks)."
        )
    return " ".join(sentences)


def _task(task: str, own: pd.DataFrame, baseline: str | None) -> str:
    endpoint = ENDPOINTS[own["endpoint"].iloc[0]]
    change, advantage = own[own["what"] == CHANGE], own[own["what"] == ADVANTAGE]
    points = int(change["points"].min())
    how = (
        f"paired over {points} points that both studies have"
        if change["paired"].all()
        else f"unpaired, {points} trials or more on each side"
    )
    opening = f"{task}, {endpoint.question}: compared by the {endpoint.title}, {how}."
    if change["low"].isna().all():
        return (
            f"{opening} Fewer than {FEWEST_FOR_INFERENCE}: nothing is concluded; the differences only describe "
            "these trials."
        )
    text = [opening, *_changes(change, "", "No variant's own result is shown to differ between the studies")]
    if len(advantage):
        nothing = f"No advantage over {baseline} is shown to differ between the studies"
        text += _changes(advantage, f" in its advantage over {baseline}", nothing)
    return " ".join(text)


def _changes(rows: pd.DataFrame, of: str, nothing: str) -> list[str]:
    """Return sentences on the differences that are claimed, and on how large the others could still be."""
    found, unit, span = [], rows["unit"].iloc[0], rows["span"].iloc[0]
    for verdict, text in GUARDED.items():
        guarded = list(rows.loc[rows["verdict"] == verdict, "variant"])
        if guarded:
            found.append(f"{text} in both studies{of}: {counted(guarded)}.")
    claimed = rows[rows["significant"]]
    for word, side in (("Higher", claimed["difference"] > 0), ("Lower", ~(claimed["difference"] > 0))):
        named = [
            f"{r['variant']} by {words.size(r['difference'], r['low'], r['high'], r['p'], unit)}"
            for r in claimed[side].to_dict("records")
        ]
        if named:
            found.append(f"{word} in this study{of}: {'; '.join(named)}.")
    same = list(rows.loc[rows["verdict"] == SAME, "variant"])
    if same:
        found.append(f"The same within {words.amount(MARGIN * span, unit)}{of}: {counted(same)}.")
    rest = rows[(rows["verdict"] == OPEN) & np.isfinite(rows["low"])]
    limits = sorted((max(abs(r["low"]), abs(r["high"])), r["variant"]) for r in rest.to_dict("records"))
    if limits:
        shown = ", ".join(f"{variant} ({words.amount(limit, unit)})" for limit, variant in limits)
        if len(limits) > words.MOST_NAMED:
            shown = f"at most {words.amount(limits[-1][0], unit)} for {len(limits)} variants"
        beginning = f"Not told apart{of}" if len(claimed) else nothing
        found.append(f"{beginning}; the largest change that the data leave possible: {shown}.")
    return found
