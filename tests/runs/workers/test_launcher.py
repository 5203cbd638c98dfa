"""Workers that a launcher starts: what the submitting process refuses before and says after, and who plans."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from runs.workers import launcher
from runs.workers.launcher import Submission, one_of_many
from runs.workers.stop import ask_to_stop


def config(tmp_path, worker=0, arguments=("worker=range(0,2)",), ray=None):
    """What Hydra hands to a callback and to a worker."""
    own = {"results": str(tmp_path), "name": "study", "stage": "search", "worker": worker, "trial_seconds": 0.0}
    own |= {"part": ""}
    own |= {"storage": {"url": ""}, "tracking": {"enabled": False, "uri": ""}}
    hydra = {"overrides": {"task": list(arguments)}, "launcher": {} if ray is None else {"ray": {"init": ray}}}
    return OmegaConf.create(own | {"hydra": hydra})


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """How a multirun ends: the exit code, or None where the process just goes on."""

    def end(finished, failed=0, arguments=("worker=range(0,2)",)):
        study = SimpleNamespace(finished=lambda: finished, pilot=list)
        monkeypatch.setattr(launcher, "opened", lambda *where: study)
        monkeypatch.setattr(launcher, "print_counts", lambda study: failed)
        monkeypatch.setattr(launcher, "next_step", lambda study, results: "next")
        (tmp_path / "study").mkdir(exist_ok=True)
        try:
            return Submission().on_multirun_end(config(tmp_path, arguments=arguments))
        except SystemExit as stop:
            return stop.code

    return end


def test_a_finished_study_ends_well_and_says_what_is_next(ended, capsys):
    assert ended(True) is None
    assert capsys.readouterr().out == "next\n"


def test_a_study_with_failed_or_missing_trials_ends_with_1(ended, capsys):
    assert (ended(True, failed=1), ended(False)) == (1, 1)
    assert "not finished: the same command goes on from here" in capsys.readouterr().err


def test_a_study_that_was_asked_to_stop_ends_with_0(ended, tmp_path):
    (tmp_path / "study").mkdir()
    ask_to_stop(tmp_path / "study")
    assert ended(False) == 0


def test_nothing_is_said_after_a_multirun_of_several_studies(ended, capsys):
    assert ended(False, arguments=("study=quick,smoke",)) is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ray", "before", "after"),
    [
        (None, None, None),
        ({"address": None}, None, "local"),
        ({"address": "10.0.0.1:6379"}, None, None),
        ({"address": None}, "10.0.0.2:6379", "10.0.0.2:6379"),
    ],
)
def test_ray_starts_here_unless_it_has_an_address(tmp_path, monkeypatch, ray, before, after):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if before:
        monkeypatch.setenv("RAY_ADDRESS", before)
    launcher._run_ray_here(config(tmp_path, ray=ray))
    assert launcher.os.environ.get("RAY_ADDRESS") == after


@pytest.mark.parametrize(("worker", "failed", "code"), [(0, 0, 0), (0, 2, 1), (1, 2, 0)])
def test_worker_0_plans_and_reports_failures_and_the_others_wait_for_the_plan(
    tmp_path, monkeypatch, capsys, worker, failed, code
):
    did, plan = [], SimpleNamespace(key="study")
    monkeypatch.setattr(launcher, "prepare_process", lambda: None)
    monkeypatch.setattr(launcher, "staged", lambda *what: plan)
    monkeypatch.setattr(launcher, "open_storage", lambda url, folder: None)
    monkeypatch.setattr(launcher, "announce", lambda study, folder: did.append("announce"))
    monkeypatch.setattr(launcher, "print_failures", lambda study: failed)
    monkeypatch.setattr(launcher.Study, "create", lambda storage, plan, about, part: did.append(about["command"]))
    monkeypatch.setattr(launcher.Study, "await_plan", lambda storage, plan: did.append("await"))
    monkeypatch.setattr(launcher, "work", lambda *where, linger, seconds, part: did.append(linger) or 3)
    assert one_of_many(config(tmp_path, worker), None, tmp_path, ["study=smoke", "space={a: 1}"]) == code
    plans = ["python -m runs.sweep study=smoke 'space={a: 1}'", "announce"]
    assert did == [*(plans if worker == 0 else ["await"]), True]
    assert capsys.readouterr().out == f"worker {worker}: 3 trials\n"
