"""MLflow shows the trials of the study that is in the storage, of no other one, and holds nobody up."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from runs import tracking as command
from runs.record import pages, tracking
from runs.record.mirror import Mirror
from runs.record.places import DEFAULT, default_uri, stored_uri, uri_of
from runs.record.tracking import Locked, Tracker, publish
from runs.study.plan import Search
from runs.study.space import Dimension
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design

SMALL = {
    "points": 2,
    "tasks": {"adding": {"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 4}},
    "match": "width",
    "space": {"learning_rate": Dimension(key="training.learning_rate", low=1e-3, high=1e-1, log=True)},
}
OUTCOME = {"steps": 6, "curve_steps": (0, 6), "curve_losses": (1.0, 0.5), "train_losses": (None, 0.7)}


@pytest.fixture(autouse=True)
def _database(empty, tmp_path):
    shutil.copy(empty, tmp_path / "mlflow.db")


def ran(results, loss=0.5, study_id="first", error="", **changes):
    """A study of four trials that were never trained, told with the same loss."""
    design = make_design(**SMALL | changes)
    facts = {"study_id": study_id} if study_id else {}
    study = Study.create(
        open_storage("", results / "study"),
        Search(design),
        facts | {"tracking_uri": DEFAULT, "command": "python -m runs.sweep"},
    )
    while claim := study.claim():
        status = "failed" if error else "finished"
        study.finish(
            claim,
            Outcome(status=status, validation_loss=None if error else loss, test_loss=loss, error=error, **OUTCOME),
        )
    return study


def in_mlflow(results):
    tracker = Tracker(results)
    return sorted((r.data.tags["trial_id"], r.data.metrics["test_loss"]) for r in tracker._runs("study"))


def in_storage(study):
    return sorted((row["trial_id"], row["test_loss"]) for row in study.records())


def anew(results):
    shutil.rmtree(results / "study")


def test_a_study_started_anew_with_another_seed_replaces_the_runs_of_the_old_one(tmp_path, capsys):
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    anew(tmp_path)
    study = ran(tmp_path, 0.25, "second", seed=7)
    assert Mirror(study, tmp_path).catch_up(patient=True) == 4
    assert in_mlflow(tmp_path) == in_storage(study)
    assert "mlflow: 4 runs of another study that was named 'study' were deleted" in capsys.readouterr().err


def test_a_mirror_of_some_variants_leaves_the_others_to_a_mirror_of_all(tmp_path):
    study = ran(tmp_path)
    some = Mirror(study, tmp_path, variants=["gru"])
    assert some.greeting().splitlines()[1].startswith("mlflow: runs of gru alone; all: python -m runs.tracking study=")
    assert some.catch_up(patient=True) == 2
    assert some.behind() == 0
    assert Mirror(study, tmp_path).catch_up(patient=True) == 2
    assert in_mlflow(tmp_path) == in_storage(study)


def test_the_same_trials_of_a_study_whose_journal_was_lost_are_written_again(tmp_path):
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    (tmp_path / "study" / "journal.log").unlink()
    study = ran(tmp_path, 0.25, "second")
    Mirror(study, tmp_path).catch_up(patient=True)
    assert in_mlflow(tmp_path) == in_storage(study)


def test_the_run_of_a_failed_trial_is_replaced_when_the_trial_was_put_back_and_done(tmp_path):
    study = Study.create(open_storage("", tmp_path / "study"), Search(make_design(points=1)), {"study_id": "first"})
    for _ in range(study.size):
        study.finish(study.claim(), Outcome(status="failed", error="MemoryError: none"))
    mirror = Mirror(study, tmp_path)
    assert mirror.catch_up(patient=True) == study.size
    study.retry()
    study.finish(study.claim(), Outcome(status="finished", test_loss=0.5))
    assert mirror.catch_up(patient=True) == 1
    assert Mirror(study, tmp_path).catch_up(patient=True) == 0
    runs = list(mirror.tracker._runs("study"))
    assert sorted(r.data.tags["status"] for r in runs) == ["failed"] * (study.size - 1) + ["finished"]


def test_a_run_of_another_trial_in_the_same_place_is_replaced_in_studies_without_an_id(tmp_path):
    Mirror(ran(tmp_path, study_id=""), tmp_path).catch_up(patient=True)
    anew(tmp_path)
    study = ran(tmp_path, 0.25, study_id="", seed=7)
    assert Mirror(study, tmp_path).catch_up(patient=True) == 4
    assert in_mlflow(tmp_path) == in_storage(study)


def test_runs_of_points_that_a_smaller_new_study_does_not_have_are_gone(tmp_path):
    Mirror(ran(tmp_path, points=3), tmp_path).catch_up(patient=True)
    anew(tmp_path)
    study = ran(tmp_path, study_id="second", points=1)
    Mirror(study, tmp_path).catch_up(patient=True)
    assert in_mlflow(tmp_path) == in_storage(study)


def test_the_summary_of_a_study_that_was_started_anew_is_gone(tmp_path):
    study = ran(tmp_path)
    Mirror(study, tmp_path).catch_up(patient=True)
    publish(tmp_path, study.design, study.facts, {"solved": 1.0}, [("adding", "gru", {})], [], "")
    anew(tmp_path)
    Mirror(ran(tmp_path, study_id="second"), tmp_path).catch_up(patient=True)
    assert list(Tracker(tmp_path)._runs("summaries")) == []


def test_a_run_that_is_no_trial_is_left_alone(tmp_path):
    tracker = Tracker(tmp_path)
    note = tracker.client.create_run(tracker.experiment("study"), tags={"mine": "yes"})
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    assert tracker.client.get_run(note.info.run_id).info.lifecycle_stage == "active"


def test_what_is_mirrored_is_not_written_again(tmp_path):
    study = ran(tmp_path)
    assert [Mirror(study, tmp_path).catch_up(patient=True) for _ in range(2)] == [4, 0]


def test_a_failed_trial_has_the_status_failed(tmp_path):
    Mirror(ran(tmp_path, error="RuntimeError: no"), tmp_path).catch_up(patient=True)
    runs = list(Tracker(tmp_path)._runs("study"))
    assert [r.info.status for r in runs] == ["FAILED"] * 4
    assert runs[0].data.tags["mlflow.note.content"].endswith("on adding: failed: RuntimeError: no")


def test_runs_and_experiments_say_in_the_dashboard_what_they_are(tmp_path):
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    tracker = Tracker(tmp_path)
    (first, *_) = tracker._runs("study")
    assert first.data.tags["mlflow.source.name"] == "python -m runs.sweep"
    assert first.data.tags["mlflow.user"]
    assert first.data.tags["mlflow.note.content"].endswith("on adding: finished at step 6")
    assert (
        tracker.client.get_experiment_by_name("study")
        .tags["mlflow.note.content"]
        .startswith("The trials of study study")
    )


def test_the_description_of_a_study_says_what_it_asks_and_where_its_report_is(tmp_path):
    study = ran(tmp_path)
    Mirror(study, tmp_path).catch_up(patient=True)
    experiment = Tracker(tmp_path).client.get_experiment_by_name("study")
    said = experiment.tags["mlflow.note.content"]
    assert "How do `gru` compare with `vanilla` on `adding` (lag 4)?" in said
    assert "2 trials on each task, 4 in all" in said
    assert f"[open the runs]({pages.address(experiment.experiment_id)})" in said
    assert f"`{tmp_path / 'study' / 'report.html'}`" in said


def test_every_run_names_its_task_with_its_knobs_as_its_dataset(tmp_path):
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    used = [r.inputs.dataset_inputs for r in Tracker(tmp_path)._runs("study")]
    ((dataset,),) = {tuple(i.dataset.name for i in inputs) for inputs in used}
    assert dataset == "adding"
    assert {json.loads(inputs[0].dataset.profile)["lag"] for inputs in used} == {4}
    assert len({inputs[0].dataset.digest for inputs in used}) == 1


def test_the_name_of_a_run_tells_task_variant_and_point(tmp_path):
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    names = sorted(r.info.run_name for r in Tracker(tmp_path)._runs("study"))
    assert names == [f"adding {variant} point {k}" for variant in ("gru", "vanilla") for k in range(2)]


def test_an_experiment_of_an_earlier_version_gets_views_and_description_when_tracking_catches_up(tmp_path):
    client = Tracker(tmp_path).client
    made = client.create_experiment("study", tags={"mlflow.note.content": "The trials of study study, one run each."})
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    tags = client.get_experiment(made).tags
    assert tags.keys() >= pages.views("study").keys()
    assert "How do `gru` compare" in tags["mlflow.note.content"]


def test_a_description_and_a_view_that_somebody_has_changed_stay(tmp_path):
    client = Tracker(tmp_path).client
    view = f"{pages.SAVED_VIEW}{pages.VIEW}"
    made = client.create_experiment("study", tags={"mlflow.note.content": "For the paper.", view: "mine"})
    Mirror(ran(tmp_path), tmp_path).catch_up(patient=True)
    tags = client.get_experiment(made).tags
    assert (tags["mlflow.note.content"], tags[view]) == ("For the paper.", "mine")


def test_the_page_of_a_study_is_said_once_its_trials_are_run(tmp_path):
    mirror = Mirror(ran(tmp_path), tmp_path)
    assert mirror.farewell() == f"mlflow: {Tracker(tmp_path).link('study')}\n"


def test_no_page_and_no_empty_line_is_printed_where_mlflow_cannot_be_used(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    assert Mirror(ran(tmp_path), tmp_path).farewell() == ""


def test_the_link_leads_to_the_runs_of_the_experiment(tmp_path):
    tracker = Tracker(tmp_path)
    page = f"http://127.0.0.1:5000/{pages.address(tracker.experiment('study'))}"
    assert tracker.link("study") == f"{page} (python -m runs.dashboard results={tmp_path})"


# A locked database
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path):
    Tracker(tmp_path).experiment("study")
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield tmp_path


def test_a_locked_database_holds_the_parent_up_for_a_second_and_costs_one_line(locked, capfd):
    mirror = Mirror(ran(locked), locked)
    begun = time.monotonic()
    assert mirror.catch_up(seconds=3) == 0
    assert time.monotonic() - begun < 6
    (line,) = capfd.readouterr().err.splitlines()
    assert line == f"mlflow: {locked}/mlflow.db: database is locked; the study goes on and MLflow catches up later"


def test_after_each_failure_the_mirror_rests_longer(locked, monkeypatch):
    monkeypatch.setattr(tracking, "LOCK_SECONDS", 0.01)
    mirror, rests = Mirror(ran(locked), locked), []
    for _ in range(5):
        mirror._silent_until = 0.0
        mirror.catch_up()
        rests.append(round(mirror._silent_until - time.monotonic()))
    assert rests == [10, 20, 40, 60, 60]


def test_runs_that_could_not_be_written_are_said_at_the_end(locked, capsys, monkeypatch):
    monkeypatch.delenv("LSTM_VARIANTS_CLASSES", raising=False)
    Mirror(ran(locked), locked).finish()
    said = f"mlflow: 4 runs are not in MLflow yet: python -m runs.tracking study=study results={locked}"
    assert said in capsys.readouterr().err.splitlines()


def test_the_command_names_the_locked_file_in_a_line(locked, capsys):
    ran(locked)
    assert command.main(["study=study", f"results={locked}"]) == 1
    assert capsys.readouterr().err == f"error: mlflow: {locked}/mlflow.db: database is locked\n"


def test_a_lock_that_comes_between_two_runs_is_noticed_before_mlflow_waits_for_it(tmp_path, monkeypatch):
    mirror = Mirror(ran(tmp_path), tmp_path)
    mirror.greeting()
    calls = iter([None, None, Locked("held")])

    def refuse(self):
        if error := next(calls):
            raise error

    monkeypatch.setattr(Tracker, "refuse_lock", refuse)
    with pytest.raises(Locked):
        mirror.catch_up(patient=True)
    assert mirror.written == 1


def test_a_server_that_is_silent_again_holds_the_parent_up_for_two_seconds(tmp_path, monkeypatch, capsys):
    import socket

    monkeypatch.setattr(tracking, "ANSWER_SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = Mirror(ran(tmp_path), tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        mirror.catch_up()
        mirror._silent_until = 0.0
        begun = time.monotonic()
        mirror.catch_up()
        assert time.monotonic() - begun < 0.8
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_garbled_lock_file_is_read_as_that_of_another_writer(tmp_path):
    study = ran(tmp_path)
    (tmp_path / "study" / "mirror.lock").write_text("4x")
    assert Mirror(study, tmp_path).catch_up(patient=True) == 4


# A results folder that is copied or moved
# ----------------------------------------------------------------------------------


def test_the_database_of_the_results_folder_is_stored_by_no_path(tmp_path):
    assert [stored_uri(uri, tmp_path) for uri in ("", "default", default_uri(tmp_path))] == ["default"] * 3
    assert stored_uri("http://me:S3CRET@host", tmp_path) == "http://***@host"


def test_a_copied_study_is_tracked_in_the_copy(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (tmp_path / "mlflow.db").rename(old / "mlflow.db")
    study = ran(old)
    Mirror(study, old).catch_up(patient=True)
    shutil.copytree(old, new)
    before = (old / "mlflow.db").read_bytes()
    copy = Study.open(open_storage("", new / "study"), "study")
    (new / "figure.png").touch()
    place = publish(new, copy.design, copy.facts, {}, [], [new / "figure.png"], uri_of(copy.facts, new))
    assert place.place == default_uri(new)
    assert (old / "mlflow.db").read_bytes() == before
    assert list((new / "mlartifacts").rglob("figure.png"))
    assert not list((old / "mlartifacts").rglob("figure.png"))


def test_files_of_an_experiment_that_was_moved_stay_in_reach_and_new_ones_go_where_it_is_now(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (tmp_path / "mlflow.db").rename(old / "mlflow.db")
    for number, folder in ((1, old), (2, new)):
        if folder == new:
            shutil.move(old, new)
        file = folder / f"{number}.csv"
        file.touch()
        Tracker(folder).summary(f"s{number}", {}, {}, {}, [file])
    assert not old.exists()
    client = Tracker(new).client
    found = {
        r.data.tags["summary_of"]: [f.path for f in client.list_artifacts(r.info.run_id)]
        for r in Tracker(new)._runs("summaries")
    }
    assert found == {"s1": ["1.csv"], "s2": ["2.csv"]}


@pytest.mark.parametrize("facts", [{"tracking_uri": "default"}, {"tracking_uri": "sqlite:////where/it/was/mlflow.db"}])
def test_a_study_of_before_and_of_now_finds_the_database_beside_it(facts, tmp_path):
    assert uri_of(facts, tmp_path) == default_uri(tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        {"tracking_uri": "sqlite:////where/it/was/mlflow.db", "study_id": "x"},
        {
            "tracking_uri": "sqlite:////shared/mlflow.db",
            "command": "python -m runs.sweep tracking.uri=sqlite:////shared/mlflow.db",
        },
        {"tracking_uri": "http://127.0.0.1:5000"},
    ],
)
def test_a_place_that_only_the_study_names_is_not_written_to(facts, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(
        ValueError, match=f"the study says that it is tracked in '{facts['tracking_uri']}'.*tracking=default"
    ):
        uri_of(facts, tmp_path)
    assert uri_of(facts, tmp_path, facts["tracking_uri"]) == facts["tracking_uri"]


def test_a_server_of_the_environment_is_used_with_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:S3CRET@host:5000")
    assert uri_of({"tracking_uri": "http://***@host:5000"}, tmp_path) == "http://me:S3CRET@host:5000"
    assert uri_of({"tracking_uri": "default"}, tmp_path, "server") == "http://me:S3CRET@host:5000"


def test_nothing_of_a_secret_reaches_what_a_study_stores(tmp_path, monkeypatch, capsys):
    from runs import sweep
    from tests.runs.configuration.test_command_line import call

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:S3CRET@127.0.0.1:9?token=T0KEN")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    small = ["study=smoke", "points=1", "training.budget=2", "training.evaluation_sequences=8", "~tasks.delayed_recall"]
    arguments = [*small, "variants=[vanilla]", "tracking=server", f"results={tmp_path}"]
    code, out, err = call(monkeypatch, capsys, sweep.main, "sweep", *arguments)
    assert code == 0, err
    written = b"".join(path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file())
    for secret in ("S3CRET", "T0KEN"):
        assert secret.encode() not in written
        assert secret not in out + err
    assert (
        json.loads((tmp_path / "smoke" / "design.json").read_text())["tracking_uri"]
        == "http://***@127.0.0.1:9?token=***"
    )


@pytest.mark.parametrize("damage", [lambda text: b"\0" * len(text), lambda text: text[: len(text) // 2]])
def test_a_damaged_database_is_named_with_its_cure(damage, tmp_path, capsys):
    (tmp_path / "mlflow.db").write_bytes(damage((tmp_path / "mlflow.db").read_bytes()))
    ran(tmp_path)
    assert command.main(["study=study", f"results={tmp_path}"]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"error: mlflow: {tmp_path / 'mlflow.db'} is damaged (")
    assert "move it away; python -m runs.tracking writes it again" in line
