"""A cell that is added to an archive: the check of bits, what is stored, what is run, and what it costs."""

import pandas as pd
import pytest
from omegaconf import OmegaConf

from runs.configuration.against import union_from
from runs.record.archive import keep, read_archive
from runs.record.facts import environment
from runs.study.finding import records
from runs.study.plan import Search
from runs.study.ranking import Result
from runs.study.stages import Confirm, Stage
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.study.verifying import Check
from runs.trial.training import run
from runs.workers import against
from runs.workers.against import created, eager, expected_seconds, known_check, mirrored
from tests.runs.configuration.test_against import DESIGN
from variants import Cell
from variants.cells.gru import HiddenState


class Gamma(Cell):
    """A cell with a function that the fused engine does not know."""

    State = HiddenState
    gates = ("n",)
    source = "made up"

    def step(self, a, s, p):
        return HiddenState(h=a.n.lgamma())


class Broken(Cell):
    """A cell whose step fails."""

    State = HiddenState
    gates = ("n",)
    source = "made up"

    def step(self, a, s, p):
        raise RuntimeError("it is broken")


def finish(study):
    """Run all waiting trials of a study; returns the variants that ran."""
    ran = []
    while (claim := study.claim()) is not None:
        study.finish(claim, run(claim.trial))
        ran.append(claim.variant)
    return ran


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive of a study that ran here."""
    folder = tmp_path_factory.mktemp("archives")
    finish(Study.create(open_storage("", folder / "old"), Search(DESIGN), {**environment(), "commit": "abc1234"}))
    keep("old", *records(folder, "old"), folder / "old")
    return folder / "old" / "trials.parquet"


def union(path, variants=("variants.IRNN",), **asked):
    values = {"tasks": None, "lags": [], **asked, "against": str(path), "variants": list(variants)}
    return union_from(OmegaConf.create(values), {key: f"{key}=..." for key in asked})


def facts():
    return {**environment(), "commit": "def5678", "command": "python -m runs.sweep against=old"}


@pytest.fixture
def plan(tmp_path, archive, monkeypatch):
    """Plans the union in a storage, and says how many checks were made."""
    checks = []
    made = against.checked_bits
    monkeypatch.setattr(against, "checked_bits", lambda search: checks.append(search) or made(search))

    def of(path=archive, about=None, workers=2, **asked):
        search = union(path, **asked)
        storage = open_storage("", tmp_path / search.key)
        return created(storage, search, search, facts() if about is None else about, workers), checks

    return of


def test_only_the_new_variant_is_run(plan):
    study, _ = plan(points=2)
    assert {*finish(study)} == {"irnn"}
    assert study.finished()


def test_the_trials_of_the_archive_keep_their_bits(plan, archive):
    study, _ = plan()
    there = read_archive(archive).table.set_index(["task", "variant", "point"])
    rows = pd.DataFrame(study.records()).set_index(["task", "variant", "point"])
    assert len(rows) == len(there) == 18
    assert (rows["validation_loss"] == there["validation_loss"].reindex(rows.index)).all()
    assert (rows["trial_id"] == there["trial_id"].reindex(rows.index)).all()


def test_the_check_is_stored_with_the_facts_of_the_session(plan):
    known = plan(points=2)[0].facts["against"]
    assert (known["archive"], known["variants"]) == ("old", ["vanilla", "gru"])
    check = Check.from_dict(known["check"])
    assert len(check.reruns) == 3
    assert {each.variant for each in check.reruns} == {"vanilla"}
    assert check.exact


def test_the_same_command_goes_on_without_another_check(plan):
    finish(plan(points=1)[0])
    study, checks = plan(points=3)
    assert len(checks) == 1
    assert len(finish(study)) == 2 * 3  # the two new points on three tasks


def test_another_environment_makes_its_own_check_and_session(plan):
    study, _ = plan(points=1, about={**facts(), "processor": "an abacus"})
    assert len(study.sessions.all()) == 2  # that one, and the archive's
    study, checks = plan(points=1)
    assert len(checks) == 2
    assert study.sessions.all()[2]["against"]["archive"] == "old"


def test_a_union_of_another_design_is_refused_before_the_check(plan):
    plan(points=1, lags=[4])
    with pytest.raises(ValueError, match=r"Nothing was changed\. Use another name: name=old_irnn_2"):
        plan(points=1, lags=[6])
    assert len(plan(points=1, lags=[4])[1]) == 1


def test_a_cell_that_cannot_run_is_refused_before_the_check_and_nothing_is_stored(plan, archive, tmp_path):
    _, checks = plan(points=1)
    broken = {"variants": [f"{__name__}.Broken"], "points": 1}
    with pytest.raises(ValueError, match="it is broken"):
        plan(**broken)
    assert len(checks) == 1
    search = union(archive, **broken)
    assert Study.known(open_storage("", tmp_path / search.key), search) is None


def test_a_union_takes_another_variant(plan, tmp_path):
    study, _ = plan(points=1)
    finish(study)
    keep("old_irnn", *records(tmp_path, "old_irnn"), tmp_path / "old_irnn")
    again, checks = plan(tmp_path / "old_irnn" / "trials.parquet", variants=["variants.Clockwork"])
    assert again.design.name == "old_irnn_clockwork"
    assert {*finish(again)} == {"clockwork"}
    assert len(checks) == 2


def test_the_check_of_another_archive_does_not_count():
    mine = {**environment(), "against": {"archive": "old", "check": Check().as_dict()}}
    assert known_check([mine], "old") == Check()
    assert known_check([mine], "new") is None
    assert known_check([{**mine, "processor": "an abacus"}], "old") is None


def test_the_cost_is_that_of_the_trials_that_are_left(plan, capsys):
    plan(points=2)
    out = capsys.readouterr().out
    assert "cost: 6 trials to run, about " in out
    assert "workers=2" in out


def test_the_time_of_a_task_is_the_median_over_variants():
    seconds = {"vanilla": (1.0, 3.0), "gru": (4.0, 4.0), "rnn": (90.0, 90.0)}
    rows = [
        {"stage": "search", "status": "solved", "task": "adding", "variant": v, "seconds": s}
        for v, own in seconds.items()
        for s in own
    ]
    failed = {"stage": "search", "status": "failed", "task": "adding", "variant": "gru", "seconds": 900.0}
    assert expected_seconds(pd.DataFrame([*rows, failed]), {("adding", "new"): 5, ("adding", "gru"): 0}) == 5 * 4.0


def test_only_new_variants_go_to_mlflow_while_they_run(archive):
    search = union(archive)
    assert mirrored(search, search) == ["irnn"]
    assert mirrored(Search(DESIGN), Search(DESIGN)) == []


def test_a_cell_that_runs_on_the_eager_engine_is_named(archive):
    search = union(archive, variants=[f"{__name__}.Gamma"])
    assert eager(search, "Gamma")
    assert not eager(search, "gru")


# Stages


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """The archive of a study with a stage."""
    folder = tmp_path_factory.mktemp("staged")
    storage = open_storage("", folder / "old")
    study = Study.create(storage, Search(DESIGN), facts())
    finish(study)
    finish(Study.create(storage, stage_of(study, Confirm(block_size=2, repeats=1)), facts()))
    keep("old", *records(folder, "old", stages=True), folder / "old")
    return folder / "old" / "trials.parquet"


def stage_of(study, knobs):
    results = {pair: {} for pair in study.plan.pairs}
    for each in study.finished_trials():
        results[each.task, each.variant][each.index] = Result(each.outcome.validation_loss, each.outcome.solved_step)
    return Stage.after(study.plan, knobs, results)


def test_a_stage_of_the_archive_is_run_for_the_new_variant_only(plan, staged):
    search = union(staged)
    study, _ = plan(staged)
    finish(study)
    stage = stage_of(study, search.knobs(Confirm()))
    assert stage.knobs == Confirm(block_size=2, repeats=1)
    assert {*finish(created(study.storage, stage, search, facts(), 1))} == {"irnn"}


def test_a_stage_with_other_knobs_is_run_for_all_variants(plan, staged, capsys):
    search = union(staged)
    study, _ = plan(staged)
    finish(study)
    knobs = Confirm(block_size=3, repeats=1)
    assert search.knobs(knobs) == knobs
    assert {*finish(created(study.storage, stage_of(study, knobs), search, facts(), 1))} == {"vanilla", "gru", "irnn"}
    out = " ".join(capsys.readouterr().out.split())
    assert "it has no such confirm stage, so that all variants run it" in out
    assert "18 trials (2 variants x 3 tasks x 3 points) stand beside irnn" in out


def test_a_part_of_an_archive_has_no_stage(staged):
    assert union(staged, points=2).knobs(Confirm()) == Confirm()
