"""`python -m runs.discover`: bad input is one line that names the thing, the rule and the value."""

import json

import pytest

from runs import discover
from runs.configuration.discovery import checked_search, plan_from
from runs.console.early import CONF
from tests.runs.configuration.test_command_line import call
from tests.runs.discovery.conftest import make_plan, tried

PRESETS = sorted(path.stem for path in (CONF / "discovery").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_search_that_can_be_run(composed, preset):
    plan = checked_search(composed("discover", overrides=[f"discovery={preset}"]), [])
    assert plan.stages == [*plan.design.tasks]


def test_the_preset_of_ten_thousand_has_as_many_mutants(composed):
    plan = checked_search(composed("discover", overrides=["discovery=ten_thousand"]), [])
    assert plan.generations * plan.mutants >= 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["discovery=smok"], "unknown discovery 'smok'; did you mean 'smoke'?"),
        (["mutant=3"], "unknown key 'mutant'; did you mean 'mutants'?"),
        (["action=confirm"], "action must be one of run, status, stop, export, verdict, adopt, got 'confirm'"),
        (["mutants=0", "fresh=0"], "mutants or fresh must be at least 1, or no cell is tried, got 0"),
        (["toy=parity"], "toy must be one of the tasks memorisation, delayed_recall, adding, got 'parity'"),
        (["tasks.adding.lag=[3,5]"], "tasks of a search must have one lag each, got 'adding'"),
        (["start=[grru]"], "unknown variant 'grru'; did you mean 'gru'?"),
        (["start=[clockwork]"], "start: clockwork must be a cell that candidates can be made of: "),
        (["start=vanilla"], "start must be a list, as in start=[vanilla,gru], got 'vanilla'"),
        (["budgets.adding=x"], "budgets.adding must be a whole number, got 'x'"),
        (["training.budget=0"], "training.budget must be at least 1, got 0"),
        (["workers=0"], "workers must be at least 1, got 0"),
        (["megabytes=0"], "megabytes must be at least 1, got 0"),
        (["hash=abc"], "hash=abc: is read with action=adopt only, got action=run"),
        (["variants=[gru]"], "variants=[gru]: `python -m runs.discover` has no variants; "),
        (["name=a/b"], "name of a study must be 1 to 64 letters"),
        (["action=adopt", "name=nothere", "hash=abc"], "study 'nothere' has not been started in "),
        (["action=verdict", "name=nothere"], "study 'nothere' has not been started in "),
        (["action=adopt"], "action=adopt needs the hash of a cell, as in hash="),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, message):
    own = [] if arguments[0].startswith("discovery=") else ["discovery=smoke"]
    code, _, said = call(monkeypatch, capsys, discover.main, "discover", *own, *arguments, f"results={tmp_path}")
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    assert said.startswith(f"error: {message}"), said
    assert [*tmp_path.rglob("journal.log")] == []


def test_equations_of_a_start_that_do_not_parse_are_pointed_at(monkeypatch, capsys, tmp_path):
    entry = 'start=[{mine: {variant: formula, equations: "h = tanh(W x + R h\' + "}}]'
    code, _, said = call(
        monkeypatch, capsys, discover.main, "discover", "discovery=smoke", entry, f"results={tmp_path}"
    )
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    assert "mine" in said or "formula" in said


@pytest.fixture
def complete(tmp_path):
    """The results folder of a search that is complete."""
    tried(tmp_path / "found", make_plan(generations=1, names=1))
    return tmp_path


def acted(monkeypatch, capsys, results, *arguments):
    return call(monkeypatch, capsys, discover.main, "discover", "name=found", f"results={results}", *arguments)


def test_a_search_is_read_by_its_name_alone(monkeypatch, capsys, complete):
    code, out, _ = acted(monkeypatch, capsys, complete, "action=status")
    assert (code, "10 of 10 candidates were tried" in out, "GRU on adding: solves" in out) == (0, True, True)
    code, out, _ = acted(monkeypatch, capsys, complete, "action=export")
    assert (code, out) == (0, f"{complete}/found/candidates.parquet: 10 candidates\n")


def test_a_search_that_is_asked_to_stop_finds_the_request(monkeypatch, capsys, complete):
    code, out, _ = acted(monkeypatch, capsys, complete, "action=stop")
    assert (code, (complete / "found" / "stop").exists()) == (0, True)
    assert out.startswith("search 'found': workers leave after the trial at hand")


def test_an_unknown_hash_writes_nothing(monkeypatch, capsys, complete):
    code, _, said = acted(monkeypatch, capsys, complete, "action=adopt", "hash=0123456789", f"path={complete}/x.yaml")
    assert (code, said.startswith("error: hash '0123456789' is that of no candidate of search 'found'; ")) == (2, True)
    assert not (complete / "x.yaml").exists()


def test_a_search_that_cannot_go_on_says_so_in_one_line(monkeypatch, capsys, tmp_path, composed):
    words = ["discovery=smoke", "name=found", "budgets.adding=2"]
    tried(tmp_path / "found", plan_from(composed("discover", overrides=words)))
    code, out, said = call(monkeypatch, capsys, discover.main, "discover", *words, f"results={tmp_path}")
    assert (code, "2 of 21 candidates were tried" in out) == (1, True)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: search 'found' cannot go on: task adding must be one that the GRU solves: ")


@pytest.mark.slow
def test_a_verdict_says_what_is_left_of_the_best_cells(monkeypatch, capsys, complete):
    code, out, said = acted(monkeypatch, capsys, complete, "action=verdict", "best=2", "verdict_points=2", "workers=2")
    assert code == 0, said
    rows = json.loads((complete / "found" / "verdict.json").read_text())
    assert {row["variant"] for row in rows if row["search"] is None} == {"gru", "vanilla", "mut1", "mut2", "mut3"}
    assert [row["confirmed"] for row in rows if row["variant"] == "gru"] == [1.0]
    assert all(row["optimism"] == pytest.approx(row["search"] - row["confirmed"]) for row in rows if row["search"])
    assert "next: python -m analysis study=found_verdict" in out
