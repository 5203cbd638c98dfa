"""What a study can answer and what its cells keep at the start, in sentences and tables computed from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from .. import words
from ..study import Study
from ..tables.conditions import INSIDE, MEMORY, NO, SAME_START, Solves, forgetful, per_variant, remembers, start_ratio
from .tables import Column, Table, called, named

FORGOTTEN = 0.01  # share of a state below which nothing is remembered over a lag


def condition_sentences(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each series on what it can answer, given which conditions hold.

    table: of `tables.conditions.conditions`.
    """
    found = []
    for series, own in table.groupby("series", sort=False):
        fails = own[own["holds"] == NO]["condition"].tolist()
        unknown = own[own["holds"] == "unknown"]["condition"].tolist()
        if fails:
            found.append(f"{series}: {len(fails)} of {len(own)} conditions fail{_so(fails)}.")
        elif unknown:
            found.append(f"{series}: no condition fails, and {len(unknown)} of {len(own)} cannot be told.")
        else:
            found.append(f"{series}: all {len(own)} conditions hold.")
    return found


def _so(fails: Sequence[str]) -> str:
    """Return what follows from the conditions that fail, as far as one thing does."""
    so = []
    if MEMORY in fails:
        so.append("it says nothing about memory")
    if INSIDE in fails:
        so.append("its best settings may lie outside the space")
    return f": {words.listed(so)}" if so else ""


def without_conditions(study: Study) -> str:
    """Return a sentence on the tasks to which the conditions and all that is said by lag do not apply; empty for none.

    They have no lag, or no criterion of success.
    """
    named = [task for task in study.tasks if not remembers(study, task)]
    if not named:
        return ""
    none, one = not any(map(study.solvable, named)), len(named) == 1
    missing = "no criterion of success" if none else "no lag or no criterion of success"
    if none and not any(study.goals[task].lag for task in named):
        missing = "no lag and no criterion of success"
    return (
        f"{words.listed(named)} {'has' if one else 'have'} {missing}, so nothing is said there about how long a "
        "variant remembers: the conditions for that, solve rates by lag and the memory horizon are left out."
    )


def conditions_table(table: pd.DataFrame) -> Table:
    """Return the conditions of each series for the report; those that fail stand out."""
    columns = [called("series")._replace(title="task"), named("condition", "condition"), named("holds", "holds")]
    columns += [named("evidence", "numbers")]
    return Table.of(columns, table.to_dict("records"), lambda row: bool(row["holds"] == NO))


# The control
# ----------------------------------------------------------------------------------------------------------------------


def control_sentences(study: Study) -> dict[str, str]:
    """Return for each series that does not need memory a sentence that says so."""
    return {series: _without_memory(series, solves) for series, solves in forgetful(study).items()}


def _without_memory(series: str, solves: Solves) -> str:
    return (
        f"{series} does not need memory as measured here: even at lag {solves.lag} the plain network {solves.counted}, "
        "so differences on it say nothing about remembering."
    )


def with_controls(study: Study, paragraphs: Sequence[str]) -> list[str]:
    """Return paragraphs on tasks and series; those on one that does not need memory say so.

    The paragraph of a series, or of a task that is in none, has the numbers.

    paragraphs: those on a task or series begin with its name and a full stop, comma or colon.
    """
    said = control_sentences(study)
    short = "As {} shows at its longest lag, this task does not need memory as measured here."
    names = {task: short.format(name) for name in said for task in study.series[name].values()} | said
    found = []
    for text in paragraphs:
        about = [name for name in names if text.startswith(tuple(f"{name}{mark} " for mark in ".,:"))]
        found.append(" ".join([text, *(names[name] for name in about)]))
    return found


# What is kept at the start
# ----------------------------------------------------------------------------------------------------------------------


def start_sentences(study: Study, started: pd.DataFrame) -> list[str]:
    """Return where cells start unequal, and where the baseline starts without memory; none where neither is so.

    started: of `tables.conditions.starts`.
    """
    kept = per_variant(started)
    found = []
    if start_ratio(kept) > SAME_START:
        (least, first), (most, last) = (end((value, name) for name, value in kept.items()) for end in (min, max))
        found.append(
            f"The variants do not start equal: {last} keeps {most:.2f} of its state from one step to the next, {first} "
            f"{least:.2f}. A difference between them may be one of the start."
        )
    own = started[(started["variant"] == study.baseline) & (started["over_lag"] < FORGOTTEN)]
    if len(own):
        row = own.sort_values("lag", kind="stable").to_dict("records")[0]
        drawn, who = (" (the median of what was drawn)", "half of its trials remember nothing")
        if row["kept_low"] == row["kept_high"]:
            drawn, who = "", "nothing is remembered"
        found.append(
            f"At lag {row['lag']} ({row['task']}) {row['variant']} keeps {_tiny(row['over_lag'])} of its state at the "
            f"start of training, {row['kept']:.2f} a step{drawn}: at the start {who} over this lag or a longer one."
        )
    return found


def _tiny(share: float) -> str:
    """Write a small share with one digit.

    >>> _tiny(0.0000812), _tiny(0.004)
    ('8e-5', '4e-3')
    """
    return f"{share:.0e}".replace("e-0", "e-")


def starts_table(study: Study, started: pd.DataFrame) -> Table:
    """Return what each variant keeps per step, and after each lag, in a row; the baseline stands out."""
    lags = sorted(set(started["lag"]) - {0})
    columns = [called("variant"), Column("kept per step", lambda row: row["kept"], ".3f", _kept)]
    columns += [named(str(lag), f"after {lag} steps", ".2g") for lag in lags]
    rows: list[dict[str, Any]] = []
    for variant, own in started.groupby("variant", sort=False):
        median = float(own["kept"].median())
        ends = {"low": own["kept_low"].min(), "high": own["kept_high"].max()}
        over = {str(lag): median**lag for lag in lags}
        rows.append({"variant": variant, "kept": median, **ends, **over})
    return Table.of(columns, rows, lambda row: bool(row["variant"] == study.baseline))


def _kept(row: Any) -> str:
    """Return what is kept per step, with its range where it was drawn."""
    drawn = f" ({row['low']:.2f}–{row['high']:.2f})" if row["high"] - row["low"] >= 0.005 else ""
    return f"{row['kept']:.3f}{drawn}"
