from __future__ import annotations

import pandas as pd
import pytest

from analysis.report.claims import write_claims
from analysis.tables import claims

SHARES = pd.DataFrame(columns=["task", "variant", "term", "order", "share", "error", "r2_forest", "r2_process"])


def compared(*rows, low=-0.2, high=0.3):
    """Primary comparisons from (variant, difference, significant)."""
    facts = {"task": "adding", "endpoint": "solve_rate", "primary": True, "low": low, "high": high, "span": 1.0}
    return pd.DataFrame([{**facts, "variant": v, "difference": d, "significant": s} for v, d, s in rows])


def explained(**shares):
    facts = {"task": "adding", "variant": "vanilla", "error": 0.01, "r2_forest": 0.6, "r2_process": 0.7}
    return pd.DataFrame([{**facts, "term": t, "order": 2 if "×" in t else 1, "share": x} for t, x in shares.items()])


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("no_forget_gate", -0.3, True)], claims.AGREES),
        ([("no_forget_gate", -0.1, False)], claims.UNDECIDED),
        ([("no_forget_gate", 0.3, True)], claims.DISAGREES),
        ([("no_forget_gate", -0.3, True), ("no_forget_gate", 0.0, False)], claims.MIXED),
        ([("gru", -0.3, True)], claims.UNTESTED),
    ],
)
def test_claim_that_something_is_worse(rows, verdict):
    assert claims.worse("no_forget_gate")(compared(*rows), SHARES, "vanilla").verdict == verdict


def test_claim_of_a_difference_is_denied_where_it_can_only_be_small():
    rows = compared(("no_forget_gate", 0.0, False), low=-0.09, high=0.4)
    assert claims.worse("no_forget_gate")(rows, SHARES, "vanilla").verdict == claims.DISAGREES
    assert claims.improved("no_forget_gate")(rows, SHARES, "vanilla").verdict == claims.UNDECIDED
    wide = pd.concat([rows, compared(("no_forget_gate", 0.0, False)).assign(task="copying")])
    assert claims.worse("no_forget_gate")(wide, SHARES, "vanilla").verdict == claims.UNDECIDED


@pytest.mark.parametrize(
    ("row", "low", "verdict"),
    [
        (("coupled", -0.3, True), -0.4, claims.DISAGREES),
        (("coupled", 0.3, True), 0.1, claims.AGREES),
        (("coupled", 0.0, False), -0.09, claims.AGREES),
        (("coupled", 0.0, False), -0.11, claims.UNDECIDED),
        (("greff_cifg", -0.3, True), -0.4, claims.DISAGREES),
    ],
)
def test_claim_that_something_is_no_worse_needs_an_interval_that_excludes_the_margin(row, low, verdict):
    assert claims.not_worse("coupled")(compared(row, low=low), SHARES, "vanilla").verdict == verdict


def test_margin_is_a_share_of_the_budget_where_steps_are_compared_and_more_steps_are_worse():
    rows = compared(("coupled", 0.0, False), low=-500.0, high=150.0).assign(endpoint="restricted_steps", span=2000.0)
    assert claims.not_worse("coupled")(rows, SHARES, "vanilla").verdict == claims.AGREES
    assert claims.not_better("coupled")(rows, SHARES, "vanilla").verdict == claims.UNDECIDED


def test_claim_of_no_difference_is_denied_by_either_side():
    for difference in (-0.3, 0.3):
        assert (
            claims.no_different("peephole")(compared(("peephole", difference, True)), SHARES, "vanilla").verdict
            == claims.DISAGREES
        )


@pytest.mark.parametrize(
    ("variant", "baseline", "difference", "verdict"),
    [
        ("forget_bias_1", "forget_bias_0", 0.3, claims.AGREES),
        ("forget_bias_1", "forget_bias_0", -0.3, claims.DISAGREES),
        ("forget_bias_0", "vanilla", -0.3, claims.AGREES),
        ("gru", "vanilla", 0.3, claims.UNTESTED),
    ],
)
def test_forget_bias_of_one_is_judged_from_either_side(variant, baseline, difference, verdict):
    claim = next(c for c in claims.CLAIMS if "forget bias of 1 helps" in c.text)
    assert claim.test(compared((variant, difference, True)), SHARES, baseline).verdict == verdict


def test_dropping_peepholes_is_judged_from_either_baseline():
    claim = next(c for c in claims.CLAIMS if c.text.startswith("Dropping peepholes"))
    assert claim.test(compared(("greff_np", -0.3, True)), SHARES, "greff_v").verdict == claims.DISAGREES
    assert claim.test(compared(("peephole", 0.3, True)), SHARES, "vanilla").verdict == claims.DISAGREES
    assert claim.test(compared(("peephole", -0.3, True), high=-0.1), SHARES, "vanilla").verdict == claims.AGREES


def test_claim_about_the_lstm_is_not_tested_against_another_baseline():
    assert claims.worse("rnn")(compared(("rnn", -0.3, True)), SHARES, "gru").verdict == claims.UNTESTED


def test_evidence_gives_the_largest_difference_left_possible():
    text = claims.not_worse("coupled")(compared(("coupled", 0.05, False)), SHARES, "vanilla").evidence
    assert (
        text == "coupled on adding: not told apart, at most 20 percentage points worse and 30 percentage points better"
    )


def test_importance_of_hyperparameters():
    shares = explained(**{"learning_rate": 0.7, "size": 0.2, "learning_rate × size": 0.05})
    none = compared()
    for test, verdict in (
        (claims.ranked("learning_rate", 1), claims.AGREES),
        (claims.ranked("size", 1), claims.DISAGREES),
        (claims.ranked("size", 2), claims.AGREES),
        (claims.explains("learning_rate", claims.VARIANCE), claims.AGREES),
        (claims.explains("size", claims.VARIANCE), claims.DISAGREES),
        (claims.independent(), claims.AGREES),
        (claims.unimportant("size"), claims.DISAGREES),
        (claims.unimportant("momentum"), claims.UNTESTED),
    ):
        assert test(none, shares, "vanilla").verdict == verdict


def test_a_share_within_two_standard_errors_of_the_limit_is_undecided():
    shares = explained(learning_rate=0.7).assign(error=0.05)
    assert claims.explains("learning_rate", claims.VARIANCE)(compared(), shares, "vanilla").verdict == claims.UNDECIDED


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.9, 0.7], claims.UNDECIDED),  # sure for exactly half of the variants and tasks
        ([0.9, 0.9, 0.7], claims.AGREES),
        ([0.9, 0.9, 0.9, 0.4], claims.MIXED),
        ([0.9, 0.9, 0.4, 0.4], claims.UNDECIDED),
        ([0.9, 0.4, 0.4], claims.DISAGREES),
    ],
)
def test_a_claim_of_a_share_needs_more_than_half_of_the_variants_and_tasks(shares, verdict):
    found = pd.concat([explained(learning_rate=x).assign(error=0.05, variant=f"v{k}") for k, x in enumerate(shares)])
    assert claims.explains("learning_rate", claims.VARIANCE)(compared(), found, "vanilla").verdict == verdict


def test_evidence_of_a_share_counts_both_sides_of_the_limit():
    found = pd.concat([explained(size=x).assign(variant=f"v{k}") for k, x in enumerate((0.01, 0.2, 0.3))])
    assert claims.unimportant("size")(compared(), found, "vanilla") == claims.Finding(
        claims.DISAGREES, "size: median share 0.20; surely above 0.05 for 2, surely below for 1 of 3 variants and tasks"
    )


def test_evidence_of_a_rank_counts_the_variants_and_tasks_that_have_it():
    found = [explained(size=x, learning_rate=0.5).assign(variant=f"v{k}") for k, x in enumerate((0.2, 0.3, 0.6))]
    found = pd.concat(found, ignore_index=True)
    assert claims.ranked("learning_rate", 1)(compared(), found, "vanilla") == claims.Finding(
        claims.MIXED, "largest share for 2 of 3 variants and tasks; median share 0.50"
    )
    assert claims.ranked("size", 2)(compared(), found, "vanilla").evidence == (
        "second largest share for 2 of 3 variants and tasks; median share 0.30"
    )


@pytest.mark.parametrize(
    ("sizes", "verdict"),
    [
        ([0.2, 0.2, 0.2], claims.AGREES),
        ([0.2, 0.2, 0.6], claims.MIXED),
        ([0.2, 0.6], claims.DISAGREES),  # true for exactly half of the variants and tasks
    ],
)
def test_a_claim_of_a_rank_needs_more_than_half_of_the_variants_and_tasks(sizes, verdict):
    found = [explained(size=x, learning_rate=0.5).assign(variant=f"v{k}") for k, x in enumerate(sizes)]
    found = pd.concat(found, ignore_index=True)
    assert claims.ranked("learning_rate", 1)(compared(), found, "vanilla").verdict == verdict


def test_the_shares_of_all_pairs_of_hyperparameters_add_up_and_so_do_their_variances():
    pairs = {"a × b": 0.03, "a × c": 0.03, "b × c": 0.03}
    for error, verdict in ((0.002, claims.AGREES), (0.004, claims.UNDECIDED)):  # .09 + 2 (3 error²)^½ against .1
        shares = explained(**pairs).assign(error=error)
        assert claims.independent()(compared(), shares, "vanilla").verdict == verdict


def test_a_surrogate_counts_from_a_fifth_of_the_variance_on():
    for r2, verdict in ((0.2, claims.AGREES), (0.19, claims.UNTESTED)):
        shares = explained(learning_rate=0.9, size=0.1).assign(r2_forest=0.05, r2_process=r2)
        assert claims.ranked("learning_rate", 1)(compared(), shares, "vanilla").verdict == verdict


@pytest.mark.parametrize(("low", "verdict"), [(-0.0999, claims.AGREES), (-0.1, claims.UNDECIDED)])
def test_the_margin_itself_is_not_excluded_by_an_interval_that_reaches_it(low, verdict):
    row = ("coupled", 0.0, False)
    assert claims.not_worse("coupled")(compared(row, low=low), SHARES, "vanilla").verdict == verdict


def test_only_intervals_of_the_primary_endpoint_answer_claims():
    from tests.analysis.synthetic import by_hand

    study = by_hand({"variant": "vanilla"}, {"variant": "rnn"})
    usual = {"baseline": "vanilla", "greff_welch_p": 0.5, "points": 30}
    rows = compared(("rnn", -0.3, True)).assign(**usual)
    cases = (
        (rows, claims.AGREES),
        (rows.assign(primary=False), claims.UNTESTED),
        (rows.assign(low=float("nan")), claims.UNTESTED),
    )
    for comparisons, verdict in cases:
        found = claims.held_against(study, comparisons, SHARES).set_index("claim")
        assert found.loc["Gated units do better than the plain tanh network.", "verdict"] == verdict
        assert list(found.columns) == ["source", "verdict", "evidence", "studies"]


def test_shares_of_a_surrogate_that_predicts_nothing_prove_nothing():
    shares = explained(learning_rate=0.9, size=0.1).assign(r2_forest=0.05, r2_process=0.1)
    assert claims.ranked("learning_rate", 1)(compared(), shares, "vanilla").verdict == claims.UNTESTED


def test_page_gathers_the_claims_of_every_study(tmp_path):
    for study, verdict in (("one", claims.AGREES), ("two", claims.UNTESTED)):
        (tmp_path / study).mkdir()
        rows = [{"source": c.source, "claim": c.text, "verdict": verdict, "evidence": "e"} for c in claims.CLAIMS]
        pd.DataFrame(rows).to_csv(tmp_path / study / "claims.csv", index=False)
    html = write_claims(tmp_path).read_text()
    assert html.count('<a href="one/report.html">') == len(claims.CLAIMS)
    assert '<a href="two/report.html">' not in html


def test_every_claim_names_variants_that_exist_or_are_presets():
    from pathlib import Path

    from variants import Cell

    known = set(Cell.registry) | {path.stem for path in Path("conf/variant").glob("*.yaml")}
    unknown = {alias for names in claims.ALIASES.values() for alias in names} - known
    assert not unknown, f"claims speak of variants that are neither registered nor presets: {sorted(unknown)}"


def test_aliases_are_the_presets_of_greff_and_the_variants_on_which_they_are_built():
    from pathlib import Path

    from yaml import safe_load

    built_on = {path.stem: safe_load(path.read_text())["defaults"][0] for path in Path("conf/variant").glob("greff_*")}
    assert {alias: name for name, (_, alias) in claims.ALIASES.items()} == built_on


@pytest.fixture(scope="module")
def presets():
    """What each preset study compares: baseline, variants, hyperparameters, points."""
    from hydra import compose, initialize_config_dir

    from runs.configuration.schema import register
    from runs.configuration.study import design_from
    from runs.console.early import CONF

    register()
    names = sorted({name for claim in claims.CLAIMS for name in claim.studies})
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return {name: design_from(compose("sweep", overrides=[f"study={name}"])) for name in names}


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda c: c.text)
def test_every_claim_is_answered_by_the_presets_that_it_names(claim, presets):
    from analysis.statistics.anova import FEWEST
    from analysis.tables.comparisons import FEWEST_FOR_INFERENCE

    for name in claim.studies:
        design = presets[name]
        rows = compared(*((v, -0.1, False) for v in design.variants if v != design.baseline))
        space = list(design.space)
        shares = explained(**dict.fromkeys(space, 0.3), **{f"{space[0]} × {h}": 0.01 for h in space[1:]})
        assert claim.test(rows, shares, design.baseline).verdict != claims.UNTESTED, (
            f"{name} does not answer: {claim.text}"
        )
        assert design.points >= max(FEWEST, FEWEST_FOR_INFERENCE), f"{name} has too few points for inference"


def test_page_names_the_study_that_answers_a_claim(tmp_path):
    assert "python -m runs.sweep study=forget_bias" in write_claims(tmp_path).read_text()


def test_evidence_of_many_pairs_names_the_significant_and_the_most_open():
    rows = pd.concat(
        [compared((f"v{k}", 0.0, False), low=-0.01 * k, high=0.0) for k in range(9)] + [compared(("gru", -0.3, True))]
    )
    text = claims._evidence(rows.reset_index(drop=True))
    assert text.startswith("gru on adding: worse by 30 percentage points; v8 on adding: not told apart, at most 8 ")
    assert text.endswith("; 5 more, less open")
