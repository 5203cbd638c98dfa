"""The action `restore`: what it says, what it refuses, and that a refusal writes nothing."""

import pytest

from runs.configuration.checks import by_key
from runs.configuration.schema import plain
from runs.configuration.study import checked
from runs.study.finding import find
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.study.verifying import Check
from runs.workers import restore as module
from runs.workers.restore import restore
from tests.runs.conftest import make_design
from tests.runs.study.test_restoring import archived, made, run_all

COMMAND = "python -m runs.sweep study=study points=3 part=1/2 workers=2 storage=postgres results=old"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the archives a.parquet and b.parquet: the first 5 trials of a study, and all 12 of it."""
    folder = tmp_path_factory.mktemp("archives")
    for name, most in (("a", 5), ("b", 12)):
        facts = {"commit": "abc", "command": COMMAND, "created": name}
        made(folder / name, make_design(points=3), facts=facts, most=most)
        (folder / name / "out" / "trials.parquet").rename(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def call(composed, tmp_path, folder, monkeypatch):
    """Runs the action in the folder of the archives; by default no trial is run again."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        overrides = ["action=restore", f"results={tmp_path}/results", *arguments]
        overrides += [] if any(a.startswith("verify") for a in arguments) else ["verify=0"]
        config = composed("sweep", overrides=overrides)
        search, asked = checked(config, overrides), by_key(overrides)
        return restore(plain(config["from"]), config.verify, search, asked, "", tmp_path / "results")

    return run


def words(text):
    """A text without its line ends."""
    return " ".join(text.split())


def test_it_restores_the_study_and_says_the_command_that_goes_on(call, tmp_path, capsys):
    assert call("from=a.parquet") == 0
    out, err = capsys.readouterr()
    results = f"results={tmp_path}/results"
    assert "study 'study': 5 trials restored from a.parquet; 5 of 12 trials finished" in words(out)
    assert out.splitlines()[-1] == f"next: python -m runs.sweep study=study points=3 workers=2 {results}"
    assert "a session of this machine would differ from session 0 of this study: commit abc -> " in err
    assert sum(1 for _ in find(tmp_path / "results", "study").finished_trials()) == 5
    assert (tmp_path / "results" / "study" / "design.json").exists()


def test_archives_are_merged_into_what_is_there(call, capsys):
    call("from=a.parquet")
    call("from=[a.parquet,b.parquet]")
    out, _ = capsys.readouterr()
    assert "7 trials restored from a.parquet, b.parquet; 5 were there with the same numbers" in words(out)
    assert out.splitlines()[-1].startswith("next: python -m analysis study=study results=")


def test_a_study_can_have_another_name(call, tmp_path, capsys):
    call("from=a.parquet", "name=other")
    assert capsys.readouterr().out.splitlines()[-1].endswith(" name=other")
    assert find(tmp_path / "results", "other").design.name == "other"


def test_a_complete_study_is_finished_for_the_next_command(call, tmp_path):
    call("from=b.parquet")
    storage = open_storage("", tmp_path / "results" / "study")
    study = Study.create(storage, Search(make_design(points=3)), {"commit": "two"})
    assert study.finished()
    assert len(study.sessions.all()) == 1


def test_some_trials_are_run_again_where_any_were_restored(call, monkeypatch, capsys):
    asked = []
    again = lambda search, rows, sessions: asked.append(len(rows)) or Check()  # noqa: E731
    monkeypatch.setattr(module, "rerun", again)
    call("from=a.parquet", "verify=2")
    call("from=a.parquet", "verify=2")
    assert asked == [2]
    assert "running 2 restored trials again, to compare their bits" in capsys.readouterr().out


def test_those_that_are_run_again_came_just_now_and_have_the_facts_of_their_own_archive(call, monkeypatch):
    call("from=a.parquet")
    asked = []
    again = lambda search, rows, sessions: asked.append((rows, sessions)) or Check()  # noqa: E731
    monkeypatch.setattr(module, "rerun", again)
    call("from=[a.parquet,b.parquet]", "verify=9")
    ((rows, sessions),) = asked
    assert {sessions[row["session"]]["created"] for row in rows} == {"b"}
    assert 0 < len(rows) == len({(row["task"], row["variant"], row["point"]) for row in rows}) <= 7


def test_it_is_said_where_no_trial_can_be_run_again(call, monkeypatch, capsys):
    def away(*arguments):
        raise ValueError("chorales: needs the extra `music`")

    monkeypatch.setattr(module, "rerun", away)
    assert call("from=a.parquet", "verify=2") == 0
    assert "no restored trial could be run again: chorales: needs" in words(capsys.readouterr().out)


def test_what_a_pruner_or_sampler_does_not_find_in_an_archive_is_said(call, tmp_path, capsys):
    design = make_design(points=1, sampler="cmaes", pruner="median", name="adaptive")
    study = run_all(Study.create(open_storage("", tmp_path / "adaptive"), Search(design), {}), ("failed",))
    archived(study, tmp_path / "out")
    call(f"from={tmp_path}/out/trials.parquet")
    err = capsys.readouterr().err
    assert "sampler=cmaes: what the sampler has learned is in no archive" in err
    assert "pruner=median: the archive has no curves" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "action=restore needs archives, as in from=trials.parquet"),
        (["from=[]"], "action=restore needs archives, as in from=trials.parquet"),
        (["from=[a.parquet,a.parquet]"], "from must name different archives, got"),
        (["from=none.parquet"], "none.parquet"),
        (["from=archive:nothing"], "archive:nothing"),
        (["from=a.parquet", "points=9"], "points=9: is not read with action=restore; the design is that of a.parquet"),
        (["from=a.parquet", "stage=confirm"], "stage=confirm: is not read with action=restore"),
        (["from=a.parquet", "study=quick"], "a.parquet is the archive of another study (name: 'study' in a.parquet"),
        (["from=a.parquet", "verify=-1"], "verify must be 0 or more, got -1"),
        (["from=a.parquet", "part=1/2"], "part=1/2: is read with action=run and action=status only"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(call, tmp_path, arguments, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call(*arguments)
    assert message in str(error.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("argument", ["from=a.parquet", "verify=1"])
def test_what_restoring_reads_is_read_by_no_other_action(composed, argument):
    for action in ("run", "status"):
        overrides = [f"action={action}", argument]
        with pytest.raises(ValueError, match=rf"is read with action=restore only, got action={action}"):
            checked(composed("sweep", overrides=overrides), overrides)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["part=2/1"], "part must be K/N with K from 1 to N, as in part=1/2, got '2/1'"),
        (["part=1"], "part must be K/N"),
        (["study=smoke", "part=1/4"], "part: a study of 3 points has at most as many parts, got '1/4'"),
        (["sampler=tpe", "part=1/2"], "part needs points that are fixed before the study"),
        (["pruner=asha", "part=1/2"], "part needs points that are fixed before the study"),
        (["action=export", "part=1/2"], "part=1/2: is read with action=run and action=status only"),
    ],
)
def test_a_part_that_cannot_be_is_refused(composed, arguments, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        checked(composed("sweep", overrides=arguments), arguments)
    assert str(error.value).startswith(message)
