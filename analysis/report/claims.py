"""The page of claims of the literature: what each study says of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from runs.files import write_whole

from ..tables.claim_rules import AGREES, UNDECIDED, UNTESTED, answered
from ..tables.comparisons import MARGIN
from ..tables.literature import CLAIMS
from .pages import page

COLUMNS = ["source", "claim", "verdict", "needed", "evidence", "beside"]
# What a claim is about, in words, by its question.
ABOUT = {
    "ease": "About ease.",
    "quality": "About quality after tuning.",
    "both": "About ease and quality after tuning.",
    "": "About hyperparameters.",
}


def write_claims(results: Path) -> Path:
    """Write `claims.html` beside the studies: every claim, and what each study that was analysed says of it.

    They are grouped by paper; papers and claims that a study answers come first.

    results: folder of the studies. One whose claims cannot be read is left out, with a line on standard error.
    Returns the path of the page.
    """
    found = [pd.DataFrame(columns=[*COLUMNS, "study"])]
    for csv in sorted(Path(results).glob("*/claims.csv")):
        try:
            found.append(pd.read_csv(csv, keep_default_na=False)[COLUMNS].assign(study=csv.parent.name))
        except (ValueError, KeyError, OSError) as error:
            advice = "python -m analysis study=... writes it again"
            print(f"{csv} is left out of claims.html: {type(error).__name__}; {advice}", file=sys.stderr)
    every = pd.concat(found)
    tested = every[every["verdict"] != UNTESTED]
    by_claim = {key: rows.to_dict("records") for key, rows in tested.groupby(["claim", "source"])}
    papers = by_paper(
        [
            {
                "claim": c.text,
                "source": c.source,
                "place": c.place,
                "about": ABOUT[c.question],
                "studies": c.studies,
                "lacking": c.lacking,
                "rows": [
                    {**row, "differs": c.differs if may_differ(row["verdict"]) else ""}
                    for row in by_claim.get((c.text, c.source), [])
                ],
            }
            for c in CLAIMS
        ]
    )
    shown = [_paper(source, groups) for source, groups in papers.items()]
    shown.sort(key=lambda paper: not paper["answered"])
    answers = sum(paper["answered"] for paper in shown)
    path = Path(results) / "claims.html"
    write_whole(path, page("claims.html.jinja", papers=shown, answered=answers, count=len(CLAIMS), margin=MARGIN))
    return path


def by_paper(rows: Iterable[dict[Any, Any]]) -> dict[str, list[dict[Any, Any]]]:
    """Return rows with a `source` by their source, both in the order in which they come.

    >>> by_paper([{"source": "a", "n": 1}, {"source": "b", "n": 2}, {"source": "a", "n": 3}])["a"]
    [{'source': 'a', 'n': 1}, {'source': 'a', 'n': 3}]
    """
    found: dict[str, list[dict[Any, Any]]] = {}
    for row in rows:
        found.setdefault(row["source"], []).append(row)
    return found


def may_differ(verdict: str) -> bool:
    """Return whether a verdict calls for a reason why the study found something else than the paper.

    >>> [may_differ(verdict) for verdict in ("disagrees", "agrees", "undecided at this N", "not answered here")]
    [True, False, False, False]
    """
    return verdict not in (AGREES, UNDECIDED, UNTESTED)


def _paper(source: str, groups: list[dict[Any, Any]]) -> dict[str, Any]:
    """Return what the page shows of a paper; answered claims come first, untested ones are apart."""
    decided = [group for group in groups if any(answered(row["verdict"]) for row in group["rows"])]
    unanswered = [group for group in groups if group["rows"] and group not in decided]
    return {
        "source": source,
        "count": len(groups),
        "answered": len(decided),
        "tested": [*decided, *unanswered],
        "open": [group for group in groups if not group["rows"]],
    }
