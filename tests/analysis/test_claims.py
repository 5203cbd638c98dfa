from __future__ import annotations

import pandas as pd
import pytest

from analysis import claims
from analysis.report import render_claims

SHARES = pd.DataFrame(columns=["task", "variant", "term", "order", "share", "error", "r2_forest", "r2_process"])


def compared(*rows):
    """Primary comparisons from (variant, difference, significant)."""
    facts = {"task": "adding", "endpoint": "solve_rate", "primary": True, "low": -0.2, "high": 0.3}
    return pd.DataFrame([{**facts, "variant": v, "difference": d, "significant": s} for v, d, s in rows])


def explained(**shares):
    facts = {"task": "adding", "variant": "vanilla", "error": 0.01, "r2_forest": 0.6, "r2_process": 0.7}
    return pd.DataFrame([{**facts, "term": t, "order": 2 if "×" in t else 1, "share": x} for t, x in shares.items()])


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("no_forget_gate", -0.3, True)], claims.SUPPORTED),
        ([("no_forget_gate", -0.1, False)], claims.OPEN),
        ([("no_forget_gate", 0.3, True)], claims.CONTRADICTED),
        ([("no_forget_gate", -0.3, True), ("no_forget_gate", 0.0, False)], claims.MIXED),
        ([("gru", -0.3, True)], claims.UNTESTED),
    ],
)
def test_claim_that_something_is_worse(rows, verdict):
    assert claims.worse("no_forget_gate")(compared(*rows), SHARES, "vanilla").verdict == verdict


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (("coupled", -0.3, True), claims.CONTRADICTED),
        (("coupled", 0.3, True), claims.STANDING),
        (("coupled", 0.0, False), claims.STANDING),
        (("greff_cifg", -0.3, True), claims.CONTRADICTED),
    ],
)
def test_claim_that_something_is_no_worse_is_never_proved(row, verdict):
    assert claims.not_worse("coupled")(compared(row), SHARES, "vanilla").verdict == verdict


def test_claim_of_no_difference_is_contradicted_by_either_side():
    for difference in (-0.3, 0.3):
        assert claims.no_different("peephole")(compared(("peephole", difference, True)), SHARES, "vanilla").verdict == claims.CONTRADICTED


def test_claim_about_the_lstm_is_not_tested_against_another_baseline():
    assert claims.worse("rnn")(compared(("rnn", -0.3, True)), SHARES, "gru").verdict == claims.UNTESTED


def test_evidence_gives_the_largest_difference_left_possible():
    text = claims.not_worse("coupled")(compared(("coupled", 0.05, False)), SHARES, "vanilla").evidence
    assert text == "coupled on adding: not told apart, no difference above 30 percentage points"


def test_importance_of_the_learning_rate():
    shares = explained(**{"learning_rate": 0.6, "size": 0.2, "learning_rate × size": 0.05})
    none = compared()
    assert claims.most_important("learning_rate")(none, shares, "vanilla").verdict == claims.SUPPORTED
    assert claims.most_important("size")(none, shares, "vanilla").verdict == claims.CONTRADICTED
    assert claims.independent()(none, shares, "vanilla").verdict == claims.SUPPORTED
    assert claims.unimportant("size")(none, shares, "vanilla").verdict == claims.CONTRADICTED
    assert claims.unimportant("momentum")(none, shares, "vanilla").verdict == claims.UNTESTED


def test_shares_of_a_surrogate_that_predicts_nothing_prove_nothing():
    shares = explained(learning_rate=0.9, size=0.1).assign(r2_forest=0.05, r2_process=0.1)
    assert claims.most_important("learning_rate")(compared(), shares, "vanilla").verdict == claims.UNTESTED


def test_page_gathers_the_claims_of_every_study(tmp_path):
    for study, verdict in (("one", claims.SUPPORTED), ("two", claims.UNTESTED)):
        (tmp_path / study).mkdir()
        rows = [{"source": c.source, "claim": c.text, "verdict": verdict, "evidence": "e"} for c in claims.CLAIMS]
        pd.DataFrame(rows).to_csv(tmp_path / study / "claims.csv", index=False)
    html = render_claims(tmp_path).read_text()
    assert html.count('<a href="one/report.html">') == len(claims.CLAIMS)
    assert '<a href="two/report.html">' not in html


def test_every_claim_names_variants_that_exist_or_are_presets():
    from pathlib import Path

    from variants import Cell

    presets = {path.stem for path in Path("conf/variant").glob("*.yaml")} or set()
    known = set(Cell.registry) | presets
    unknown = {alias for names in claims.ALIASES.values() for alias in names} - known
    assert not unknown, f"claims speak of variants that are neither registered nor presets: {sorted(unknown)}"
