"""The words of a page of findings about claims write what the tables of claims say."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.findings.claims import ClaimWords
from analysis.findings.guards import VERIFIED
from analysis.findings.results import Results
from analysis.tables.claim_rules import AGREES, UNDECIDED, UNTESTED
from analysis.tables.literature import CLAIMS
from tests.analysis.lagged import lagged

FALLS = "As the gap grows, the plain network falls behind."


@pytest.fixture(scope="module")
def results():
    return Results(lagged({"vanilla": (16, 16, 16), "rnn": (16, 8, 0), "gru": (16, 16, 14)}))


def test_a_verdict_is_that_of_the_table_and_refused_where_the_prose_says_another(results):
    words = ClaimWords(("one",), lambda name: results, "")
    assert words.verdict("one", "As the gap grows", says="agrees") == "agrees"
    with pytest.raises(ValueError, match="the prose says 'disagrees', the archive 'agrees'"):
        words.verdict("one", "As the gap grows", says="disagrees")
    with pytest.raises(ValueError, match="'The forget gate' begins 3 claims; it must begin one"):
        words.verdict("one", "The forget gate")


def test_the_table_has_every_claim_under_its_paper(results):
    whole = ClaimWords(("one",), lambda name: results, "").claims_table()
    assert f"| {FALLS} | `one`: **agrees** |  |" in whole
    assert whole.count("\n### ") + 1 == len({claim.source for claim in CLAIMS})
    assert all(claim.text in whole for claim in CLAIMS)


class Held:
    """Results of which only the verdicts on claims are known."""

    def __init__(self, *verdicts):
        given = [*verdicts, *[UNTESTED] * len(CLAIMS)]
        rows = [{"claim": c.text, "source": c.source, "verdict": v} for c, v in zip(CLAIMS, given, strict=False)]
        self.claims = pd.DataFrame(rows)


def test_a_claim_is_decided_where_one_study_decides_it_and_undecided_where_none_does():
    lacking = f"{UNTESTED}: everything was solved"
    held = {"a": Held(AGREES, UNDECIDED, UNDECIDED, lacking), "b": Held(UNDECIDED, UNDECIDED, lacking, lacking)}
    words = ClaimWords(("a", "b"), held.__getitem__, "")
    assert (words.decided_claims(), words.undecided_claims()) == ("1", "2")
    assert words.untested_claims() == str(len(CLAIMS) - 3)
    assert words.claims() == str(len(CLAIMS))


def test_only_what_is_decided_is_bold():
    words = ClaimWords(("a", "b"), {"a": Held(AGREES), "b": Held(UNDECIDED)}.__getitem__, "")
    assert f"| `a`: **{AGREES}**; `b`: {UNDECIDED} |" in words.claims_table()


def test_prose_that_rests_on_a_claim_is_refused_where_the_study_does_not_agree(results):
    words = ClaimWords(("one",), lambda name: results, "")
    assert words.upheld("one", "As the gap grows") == VERIFIED
    with pytest.raises(ValueError, match="the prose says 'agrees', the archive"):
        words.upheld("one", "As the gap grows", "Dropping peepholes costs nothing")
