"""Tasks with data in a configuration: their fingerprint, their training part, and what is refused."""

from dataclasses import replace

import pytest

from runs.configuration.study import design_from
from runs.configuration.trial import trial_from
from runs.study.plan import Search
from runs.study.stages import Confirm, Horizon, Stage
from runs.study.study import Study
from runs.trial.trial import Outcome
from runs.workers.status import print_counts
from tests.runs.study.test_stages import completed, results
from tests.tasks.samples import Tunes

TUNES = "tests.tasks.samples.Tunes"
STUDY = [
    "study=smoke",
    "~tasks",
    f"+tasks={{tunes: {{task: {TUNES}}}}}",
    "training.epochs=2",
    "training.batch_size=4",
    "points=1",
    "variants=[vanilla,gru]",
]


def design(composed, *overrides):
    return design_from(composed("sweep", overrides=[*STUDY, *overrides]))


def trial(composed, *overrides):
    given = [f"task._target_={TUNES}", "task.label=tunes", "training.batch_size=4", *overrides]
    return trial_from(composed("trial", overrides=given), {"task": "adding"}, given)


def test_a_trial_names_the_fingerprint_of_its_data(composed):
    assert trial(composed).task["sha256"] == Tunes().fingerprint


def test_a_study_names_the_fingerprint_of_its_data(composed):
    assert design(composed).tasks["tunes"]["sha256"] == Tunes().fingerprint


def test_a_study_goes_on_with_the_data_that_it_began_with_only(composed, storage, monkeypatch):
    study = completed(storage, design(composed))
    assert isinstance(study, Study)
    changed = Tunes(seed=1)
    monkeypatch.setattr(Tunes, "__init__", lambda self, *, seed=0, sha256="": vars(self).update(vars(changed)))
    with pytest.raises(ValueError, match=r"tasks\.tunes\.sha256"):
        study.refuse_another(Search(design(composed)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.bidirectional=true", "Tunes: model.bidirectional must be false, since each answer is a step to come"),
        ("training.training_sequences=12", "training.training_sequences must be at most the 11 of the training part"),
        ("training.batch_size=12", "training.batch_size must be at most the 11 sequences of the training part"),
    ],
)
@pytest.mark.parametrize("made", [trial, design])
def test_what_the_data_do_not_allow_is_refused_before_anything_runs(composed, made, override, message):
    with pytest.raises(ValueError, match=message):
        made(composed, override)


def test_tasks_without_a_lag_have_no_memory_horizon(composed, storage):
    study = completed(storage, design(composed))
    with pytest.raises(ValueError, match="stage=horizon needs tasks with a lag, which these do not have, got 'tunes'"):
        Stage.after(study.plan, Horizon(), results(study))


def test_tasks_without_a_lag_are_confirmed(composed, storage):
    study = completed(storage, design(composed))
    stage = Stage.after(study.plan, Confirm(repeats=1), results(study))
    assert stage.planned("tunes", "gru", 0).trial.task["sha256"] == Tunes().fingerprint


def test_the_table_of_a_study_needs_no_data(composed, storage, monkeypatch):
    said = {name: getattr(Tunes(), name) for name in ("lag", "floor", "solved_loss", "reference", "unit", "unit_scale")}
    study = Study.create(storage, Search(replace(design(composed), match="width")), {"commit": "abc"})
    while (claim := study.claim()) is not None:
        study.finish(claim, Outcome(status="finished", validation_loss=1.0, test_loss=1.0, budget=6, task=said))
    monkeypatch.setattr(Tunes, "__init__", None)
    rows = study.records()
    assert {(row["floor"], row["unit"], row["budget"], row["lag"]) for row in rows} == {(2.0, "nats per step", 6, None)}


def test_a_pruner_is_told_the_losses_of_the_epochs_of_the_data(composed, storage):
    study = Study.create(storage, Search(design(composed, "sampler=tpe", "pruner=median")), {"commit": "abc"})
    claim = study.claim()
    report = study.reporter(claim)
    for step in (0, 3, 6):  # 11 sequences in batches of 4, twice
        report(step, 1.0 + step)
    assert storage.get_trial(claim.number).intermediate_values == {0: 1.0, 3: 4.0, 6: 7.0}


def test_a_trial_that_failed_for_changed_data_does_not_hide_the_others(composed, storage, monkeypatch):
    study = Study.create(storage, Search(replace(design(composed), match="width")), {"commit": "abc"})
    study.finish(study.claim(), Outcome(status="failed", error="ValueError: tunes: the data must be those"))
    study.finish(study.claim(), Outcome(status="finished", validation_loss=1.0, test_loss=1.0, task={"floor": 2.0}))
    changed = design(composed).tasks["tunes"]["sha256"][::-1]
    monkeypatch.setattr(Tunes, "check_fingerprint", lambda self, sha256: (_ for _ in ()).throw(ValueError(changed)))
    assert [row["floor"] for row in study.records()] == [None, 2.0]


def test_the_status_of_a_study_without_a_criterion_says_nothing_of_solving(composed, storage, capsys):
    study = Study.create(storage, Search(replace(design(composed), match="width")), {"commit": "abc"})
    said = {"solved_loss": None, "floor": 2.0}
    for status in ("finished", "exploded"):
        study.finish(study.claim(), Outcome(status=status, validation_loss=1.0, test_loss=1.0, task=said))
    print_counts(study)
    head, *_, every = capsys.readouterr().out.splitlines()
    assert head.split()[1:] == ["finished", "trained", "exploded"]
    assert every.split() == ["all", "2", "1", "1"]
