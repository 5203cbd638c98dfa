"""What the studies in a results folder found about each variant, read from the tables that their analyses wrote."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..tables.claim_rules import UNANSWERED, UNTESTED, answered
from ..tables.claims import CLAIMS, Claim
from ..tables.comparisons import BETTER, OPEN, SAME, WORSE

VERDICTS = {
    BETTER: "better",
    WORSE: "worse",
    SAME: "no difference of note",
    OPEN: "not told apart",
    **UNANSWERED,
}


class Line(NamedTuple):
    """What a study found on one task.

    task: in words. solved: how many trials of how many, or the best loss. differences: to the baseline, in words.
    """

    task: str
    solved: str
    differences: list[str]


class StudyFound(NamedTuple):
    """What a study found about a variant.

    study: its name. baseline: in words, empty for the baseline itself and where there is none. lines: of each task.
    """

    study: str
    baseline: str
    lines: list[Line]


class ClaimFound(NamedTuple):
    """A claim of the literature about a variant, and what studies say of it.

    text, source: of the claim. verdicts: study, verdict and evidence of each study that answers it.
    """

    text: str
    source: str
    verdicts: list[tuple[str, str, str]]


class Tables(NamedTuple):
    """The tables of a study: its cells, comparisons and claims; empty where there are none."""

    study: str
    cells: pd.DataFrame
    comparisons: pd.DataFrame
    claims: pd.DataFrame


def read_studies(results: Path) -> list[Tables]:
    """Return the tables of all studies in a folder that have been analysed, by name.

    A study whose tables cannot be read is left out, with a line on standard error.
    """
    found = []
    for path in sorted(Path(results).glob("*/cells.csv")):
        try:
            found.append(_tables(path.parent))
        except (ValueError, KeyError, OSError) as error:
            advice = f"python -m analysis study={path.parent.name} writes them again"
            print(f"{path.parent} is left out: {type(error).__name__}: {error}; {advice}", file=sys.stderr)
    return found


def _tables(folder: Path) -> Tables:
    """Return the tables of a study. Raises KeyError for a column that is missing, ValueError for what is no table."""
    needed = {
        "cells": ["task", "variant", "trials", "solved", "solve_rate", "best_loss"],
        "comparisons": ["task", "variant", "baseline", "endpoint", "primary", "difference", "low", "high", "verdict"],
        "claims": ["claim", "source", "verdict", "evidence"],
    }
    tables = []
    for name, columns in needed.items():
        path = folder / f"{name}.csv"
        table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=columns)
        tables.append(table[columns])
    return Tables(folder.name, *tables)


def found_about(variant: str, studies: list[Tables]) -> list[StudyFound]:
    """Return what the studies found about a variant, of those that have it under its own name."""
    found = []
    for tables in studies:
        cells = tables.cells[(tables.cells["variant"] == variant) & (tables.cells["trials"] > 0)]
        if cells.empty:
            continue
        own = tables.comparisons[(tables.comparisons["variant"] == variant) & tables.comparisons["primary"].eq(True)]
        baseline = words.spoken(str(own["baseline"].iloc[0])) if len(own) else ""
        lines = [_line(row, own[own["task"] == row["task"]]) for row in cells.to_dict("records")]
        found.append(StudyFound(tables.study, baseline, lines))
    return found


def _line(row: Mapping[Any, Any], comparisons: pd.DataFrame) -> Line:
    trials = int(row["trials"])
    if pd.notna(row["solve_rate"]):
        solved = f"{int(row['solved'])} of {trials} ({words.level(float(row['solve_rate']), '%')})"
    else:
        solved = f"no criterion; best loss {float(row['best_loss']):.3g} of {trials} trials"
    differences = [_difference(one) for one in comparisons.to_dict("records")]
    return Line(words.spoken(str(row["task"])), solved, list(filter(None, differences)))


def _difference(row: Mapping[Any, Any]) -> str:
    endpoint = ENDPOINTS.get(str(row["endpoint"]))
    if endpoint is None or pd.isna(row["difference"]):
        return ""
    value, low, high = (float(row[key]) for key in ("difference", "low", "high"))
    verdict = VERDICTS.get(str(row["verdict"]), str(row["verdict"]))
    unit = words.unit_of(endpoint.unit).after_difference
    return f"{endpoint.title} {words.difference(value, low, high, endpoint.unit)}{unit}: {verdict}"


def claims_about(variant: str, studies: list[Tables]) -> list[ClaimFound]:
    """Return the claims of the literature about a variant, and what each study says that answers them."""
    found = []
    for claim in CLAIMS:
        if not is_about(claim, variant):
            continue
        verdicts = [
            (tables.study, str(row["verdict"]), str(row["evidence"]))
            for tables in studies
            for row in tables.claims.to_dict("records")
            if (row["claim"], row["source"]) == (claim.text, claim.source) and answered(str(row["verdict"]))
        ]
        found.append(ClaimFound(claim.text, claim.source, verdicts))
    return found


@cache
def is_about(claim: Claim, variant: str) -> bool:
    """Return whether a study of a variant and a baseline, with no other variants, would answer a claim.

    >>> [claim.text for claim in CLAIMS if is_about(claim, "irnn")]
    ['The IRNN is comparable to the LSTM on long-range problems.']
    """
    row = {
        "task": "any",
        "series": "any",
        "variant": variant,
        "verdict": next(iter(UNANSWERED)),
        "endpoint": "solve_rate",
    }
    rows, shares = pd.DataFrame([row | {"question": "ease"}]), pd.DataFrame(columns=["task", "hyperparameter"])
    baseline = "peephole" if variant == "vanilla" else "vanilla"
    try:
        return claim.test(rows, shares, baseline).verdict != UNTESTED
    except KeyError:  # a claim about hyperparameters, which reads other tables
        return False
