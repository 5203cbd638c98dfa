"""The words of a page of findings about the claims of the literature, see `vocabulary`.

What a study says of a claim needs resampling; so it is left out where the words are quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..report.claims import by_paper, may_differ
from ..tables.claim_rules import AGREES, UNDECIDED, UNTESTED, answered
from ..tables.literature import CLAIMS, Claim
from .guards import VERIFIED, one_row, refuse_false
from .markdown import table
from .results import Results


class ClaimWords:
    """The functions about claims that a template may call; every public method is one.

    studies: names of the studies that the page is about.
    read: gives the results of a study by its name.
    later: stands for what needs resampling; empty where it is computed.
    """

    def __init__(self, studies: Sequence[str], read: Callable[[str], Results], later: str) -> None:
        self._studies = tuple(studies)
        self._read = read
        self._later = later

    def verdict(self, study: str, claim: str, *, says: str = "") -> str:
        """Write what a study says of a claim of the literature.

        claim: the beginning of its text, as in `tables.literature`.
        says: the verdict that the prose states, see `difference`.
        """
        if self._later:
            return self._later
        found = [known for known in CLAIMS if known.text.startswith(claim)]
        if len(found) != 1:
            raise ValueError(f"{claim!r} begins {len(found)} claims; it must begin one")
        verdict = str(self._claim(study, found[0])["verdict"])
        refuse_false(says, verdict, f"{claim!r} in {study}")
        return verdict

    def upheld(self, study: str, *claims: str) -> str:
        """Write nothing; the page is not written where a study does not agree with each of these claims.

        claims: the beginnings of their texts, as in `verdict`.
        """
        for claim in claims:
            self.verdict(study, claim, says=AGREES)
        return VERIFIED

    def claims(self) -> str:
        """Write the number of claims."""
        return str(len(CLAIMS))

    def decided_claims(self) -> str:
        """Write how many claims at least one study decides: agrees, disagrees, or says on what it depends."""
        return self._count(lambda found: any(map(_decides, found)))

    def undecided_claims(self) -> str:
        """Write how many claims were tested and are undecided in every study that tests them."""
        return self._count(lambda found: any(map(answered, found)) and not any(map(_decides, found)))

    def untested_claims(self) -> str:
        """Write how many claims no study could test."""
        return self._count(lambda found: not any(map(answered, found)))

    def claims_table(self) -> str:
        """Write all claims, a table for each paper: what each study says, and why where it differs from the paper."""
        if self._later:
            return self._later
        parts = []
        for source, claims in by_paper({"source": c.source, "claim": c} for c in CLAIMS).items():
            rows = [self._claim_row(one["claim"]) for one in claims]
            rows.sort(key=lambda row: row[1] == UNTESTED)
            parts.append(
                f"### {source}\n\n{table(['claim', 'verdict', 'why it may differ, or what is lacking'], rows)}"
            )
        return "\n\n".join(parts)

    def _claim(self, study: str, claim: Claim) -> Mapping[Any, Any]:
        return one_row(self._read(study).claims, {"claim": claim.text, "source": claim.source}, study)

    def _count(self, holds: Callable[[list[str]], bool]) -> str:
        """Write for how many claims something holds of the verdicts of all studies."""
        if self._later:
            return self._later
        found = ([str(self._claim(name, claim)["verdict"]) for name in self._studies] for claim in CLAIMS)
        return str(sum(map(holds, found)))

    def _claim_row(self, claim: Claim) -> list[str]:
        """Return the row of a claim: its text, what each study says that tests it, and why that may differ."""
        found = {name: str(self._claim(name, claim)["verdict"]) for name in self._studies}
        tested = {name: verdict for name, verdict in found.items() if verdict != UNTESTED}
        if not tested:
            others = " or ".join(f"`study={name}`" for name in claim.studies)
            more = " with more points" if set(claim.studies) & set(self._studies) else ""
            return [claim.text, UNTESTED, claim.lacking or f"{others}{more} would answer it."]
        verdicts = "; ".join(f"`{name}`: {_bold(verdict)}" for name, verdict in tested.items())
        return [claim.text, verdicts, claim.differs if any(map(may_differ, tested.values())) else ""]


def _decides(verdict: str) -> bool:
    return answered(verdict) and verdict != UNDECIDED


def _bold(verdict: str) -> str:
    return f"**{verdict}**" if _decides(verdict) else verdict
