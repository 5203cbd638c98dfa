"""`python -m runs.score`: what it runs, what it says first, and what it refuses."""

import signal
import sys

import pytest

from runs import score
from runs.record.archive import Archive, write_archive
from runs.record.rows import tidy
from tests.analysis.synthetic import study as synthetic
from tests.runs.conftest import make_design

SECONDS = 30.0


@pytest.fixture
def archive(tmp_path):
    """The file of an archive of two variants on two tasks, 25 points, 30 seconds a trial."""
    design = make_design(points=25)
    template = synthetic(("vanilla",), points=1)[0][0]
    usual = {**template, "study": "study", "stage": "search", "status": "solved", "lag": 4, "seconds": SECONDS}
    pairs = [(v, t) for v in design.variants for t in design.tasks]
    rows = [{**usual, "variant": v, "task": t, "point": point} for v, t in pairs for point in range(25)]
    write_archive(Archive(tidy(rows), design, {}), tmp_path)
    return tmp_path / "trials.parquet"


@pytest.fixture
def commands(monkeypatch):
    """Commands that would have been run in a process of their own, without the interpreter."""
    found = []

    def waited(command):
        assert command[:2] == [sys.executable, "-m"]
        found.append(command[2:])
        return 130

    monkeypatch.setattr(score, "waited", waited)
    return found


def test_a_cell_of_the_archive_is_not_trained(archive, commands, tmp_path):
    results = tmp_path / "results"
    assert score.main(["gru", f"against={archive}", f"results={results}", "speed=no"]) == 130
    assert commands == [["analysis.scorecard", "variant=gru", f"from={archive}", f"results={results}"]]


def test_a_class_of_the_archive_by_its_path_is_the_same_cell(archive, commands):
    score.main(["variants.GRU", f"against={archive}", "speed=no"])
    assert commands == [["analysis.scorecard", "variant=gru", f"from={archive}", "results=results"]]


def test_a_new_cell_is_trained_at_as_many_points_as_the_minutes_allow(archive, commands, capsys):
    # 12 of 15 minutes by two workers are 1,440 s; a point of two tasks takes 60 s
    assert score.main(["mut1", f"against={archive}"]) == 130
    assert commands[0] == [
        *("runs.sweep", f"against={archive}", "variants=[mut1]", "points=20", "workers=2", "results=results"),
        *("name=study_mut1", "tracking=none"),
    ]
    assert "20 points x 2 tasks = 40 trials, about 10 min with workers=2" in " ".join(capsys.readouterr().out.split())
    score.main(["mut1", f"against={archive}", "minutes=5"])
    assert "points=8" in commands[1]
    assert "fewer than 10 points nothing is concluded" in " ".join(capsys.readouterr().out.split())


def test_points_tasks_lags_and_names_are_handed_on(archive, commands):
    score.main(
        ["mut1", f"against={archive}", "points=3", "tasks=[adding]", "lags=4", "label=my_mut", "name=mine", "workers=1"]
    )
    assert commands[0][2:] == [
        *("variants=[{my_mut: {variant: mut1}}]", "tasks=[adding]", "lags=4", "points=3", "workers=1"),
        *("results=results", "name=mine", "tracking=none"),
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "say which cell"),
        (["gruu"], "unknown variant 'gruu'; did you mean 'gru'"),
        (["gru", "mut1"], "variant is given twice"),
        (["my_package.Nothing"], "cannot import 'my_package.Nothing'"),
        (["gru", "against=archive:nothing"], "there is no archive archive:nothing"),
        (["gru", "points=0"], "points must be a number from 1 on, got '0'"),
        (["gru", "speed=fast"], "speed must be no or not given, got 'fast'"),
        (["mut1", "label=a b"], "label must be"),
        (["mut1", "tasks=[adds]"], "has no 'adds'"),
        (["mut1", "lags=[7]"], "lags must be among those of"),
        (["mut1", f"results={__file__}"], f"results: cannot write into {__file__}"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_run(words, line, archive, commands, capsys):
    against = [] if any(word.startswith("against=") for word in words) else [f"against={archive}"]
    assert score.main([*words, *against]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert line in said[0]
    assert commands == []


def test_the_exit_code_is_that_of_the_command():
    assert score.waited([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_an_interrupted_command_ends_in_its_own_way(capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may ignore it
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(0.2)"
    try:
        assert score.waited([sys.executable, "-c", code]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "interrupted: the same command goes on\n"
