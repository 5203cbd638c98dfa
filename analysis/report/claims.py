"""The page of claims of the literature: what each study says of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from runs.files import write_whole

from ..tables.claim_rules import UNTESTED, answered
from ..tables.claims import CLAIMS
from ..tables.comparisons import MARGIN
from .pages import page

COLUMNS = ["source", "claim", "verdict", "needed", "evidence", "beside"]
# What a claim is about, in words, by its question.
ABOUT = {
    "ease": "About ease: the share of settings that work.",
    "quality": "About quality after tuning: what a search finds.",
    "both": "About both: ease (the share of settings that work) and quality after tuning (what a search finds).",
    "": "About hyperparameters.",
}


def write_claims(results: Path) -> Path:
    """Write `claims.html` beside the studies: every claim, and what each study that was analysed says of it.

    Claims that a study answers come first.

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
    groups = [
        {
            "claim": c.text,
            "source": c.source,
            "about": ABOUT[c.question],
            "rows": by_claim.get((c.text, c.source), []),
            "studies": c.studies,
        }
        for c in CLAIMS
    ]
    decided = {key for key, rows in by_claim.items() if any(answered(row["verdict"]) for row in rows)}
    groups.sort(key=lambda group: ((group["claim"], group["source"]) not in decided, not group["rows"]))
    path = Path(results) / "claims.html"
    write_whole(path, page("claims.html.jinja", groups=groups, answered=len(decided), margin=MARGIN))
    return path
