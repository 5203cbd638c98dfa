"""What the studies in a results folder found about each variant, read from the tables that their analyses wrote."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from runs.record.archive import ARCHIVE, read_archive
from variants import Cell

from .. import words
from ..statistics.endpoints import ENDPOINTS
from ..tables.claim_rules import UNANSWERED, UNTESTED, answered
from ..tables.comparisons import BETTER, OPEN, SAME, WORSE
from ..tables.lags import AT_LAG, SLOPE
from ..tables.literature import CLAIMS, MUSIC, Claim

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
    label: under which the study has it, with its knobs; empty where that is its own name.
    """

    study: str
    baseline: str
    lines: list[Line]
    label: str = ""


class ClaimFound(NamedTuple):
    """A claim of the literature about a variant, and what studies say of it.

    text, source: of the claim. verdicts: study, verdict and evidence of each study that answers it.
    """

    text: str
    source: str
    verdicts: list[tuple[str, str, str]]


class Tables(NamedTuple):
    """The tables of a study: its cells, comparisons and claims; empty where there are none.

    nodes: by label, what the design says of each variant: `_target_` and knobs.
    """

    study: str
    cells: pd.DataFrame
    comparisons: pd.DataFrame
    claims: pd.DataFrame
    nodes: Mapping[str, Mapping[str, Any]]


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
    cells, comparisons, claims = tables
    return Tables(folder.name, cells, comparisons, claims, _nodes(folder))


def _nodes(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the variants of the design in a study's archive; none where there is no archive."""
    path = folder / ARCHIVE
    return read_archive(path).design.variants if path.is_file() else {}


def found_about(variant: str, studies: list[Tables]) -> list[StudyFound]:
    """Return what the studies found about a variant, under its own name and under other labels of its class."""
    found = []
    for tables in studies:
        for label in _labels(variant, tables):
            cells = tables.cells[(tables.cells["variant"] == label) & (tables.cells["trials"] > 0)]
            if cells.empty:
                continue
            own = tables.comparisons[(tables.comparisons["variant"] == label) & tables.comparisons["primary"].eq(True)]
            baseline = words.spoken(str(own["baseline"].iloc[0])) if len(own) else ""
            lines = [_line(row, own[own["task"] == row["task"]]) for row in cells.to_dict("records")]
            found.append(StudyFound(tables.study, baseline, lines, _written(variant, label, tables.nodes)))
    return found


def _labels(variant: str, tables: Tables) -> list[str]:
    """Return the labels under which a study has a variant of the registry, its own name first."""
    cls = Cell.registry.get(variant)
    others = [label for label, node in tables.nodes.items() if cls is not None and _is_of(node, cls)]
    taken = variant in tables.nodes and variant not in others  # another class has its name there
    return list(dict.fromkeys(([] if taken else [variant]) + others))


def _is_of(node: Mapping[str, Any], cls: type[Cell]) -> bool:
    """Return whether a variant of a design is of a class of this package, without importing what it names."""
    package, _, name = str(node.get("_target_")).rpartition(".")
    return name == cls.__name__ and package.partition(".")[0] == "variants"


def _written(variant: str, label: str, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return another label of a variant with the knobs that it gives."""
    if label == variant:
        return ""
    knobs = {key: value for key, value in nodes[label].items() if key not in ("_target_", "label")}
    return ", ".join([label, *(f"{key} = {_plain(value)}" for key, value in knobs.items())])


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


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

    >>> [claim.text for claim in CLAIMS if is_about(claim, "lstm_1997")]
    ['Cutting the gradient where it leaves the cell costs nothing.']
    """
    row = {"variant": variant, "verdict": next(iter(UNANSWERED)), "endpoint": "solve_rate", "question": "ease"}
    kinds = [
        {"task": series, "series": series, "effect": effect, "longest": True}
        for series in ("adding", *MUSIC)  # of which some claims are
        for effect in (AT_LAG, SLOPE)
    ]
    rows, shares = pd.DataFrame([row | kind for kind in kinds]), pd.DataFrame(columns=["task", "hyperparameter"])
    baseline = "peephole" if variant == "vanilla" else "vanilla"
    try:
        return claim.test(rows, shares, baseline).verdict != UNTESTED
    except KeyError:  # a claim about hyperparameters, which reads other tables
        return False
