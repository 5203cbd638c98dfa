"""`python -m analysis.archive search=...`: ships the table of a search for cells, and lists it among the studies."""

from dataclasses import replace

import pytest

from analysis.archive.__main__ import main
from runs.discovery.table import frame, read_table, write_candidates
from runs.record.shipped import known_sums
from runs.record.shipping import paths_in
from tests.analysis.discovery.made_up import FACTS, made_up_plan, told_of


@pytest.fixture(scope="module")
def plan():
    return made_up_plan(name="found", generations=2)


@pytest.fixture(scope="module")
def table(plan):
    return frame(plan, told_of(plan))


@pytest.fixture
def ship(plan, table, tmp_path, capsys):
    """Ship a table; returns exit code, output and what is on stderr."""

    def call(table=table, plan=plan, facts=FACTS):
        write_candidates(plan, table, facts, tmp_path / "candidates.parquet")
        code = main([f"from={tmp_path / 'candidates.parquet'}", f"out={tmp_path / 'shipped'}"])
        return code, *capsys.readouterr()

    return call


def test_a_search_is_shipped_with_its_checksum(ship, plan, table, tmp_path):
    assert ship()[::2] == (0, "")
    own, again, _ = read_table(tmp_path / "shipped" / "found.parquet")
    assert (own, [*again["equations"]]) == (plan, [*table["equations"]])
    assert list(known_sums(tmp_path / "shipped")) == ["found.parquet"]


def test_the_list_has_searches_among_studies(ship, tmp_path, capsys):
    ship()
    assert main([f"out={tmp_path / 'shipped'}"]) == 0
    assert capsys.readouterr().out.startswith("found: search for cells, 87 candidates (")


def test_names_of_machines_and_folders_are_not_shipped(ship, table, tmp_path):
    reasons = ["OSError: cannot read /home/me/a.csv", *table["reason"][1:]]
    ship(table.assign(reason=reasons))
    _, again, about = read_table(tmp_path / "shipped" / "found.parquet")
    assert again["reason"][0] == "OSError: cannot read a.csv"
    assert "box" not in str(about)
    assert not paths_in(str(about))
    assert about["facts"]["commit"] == FACTS["facts"]["commit"]


def test_a_plan_with_a_path_of_this_machine_is_refused(ship, plan, tmp_path):
    toy = {**plan.design.tasks[plan.toy], "path": "/home/me/a.csv"}
    own = replace(plan, design=replace(plan.design, tasks={**plan.design.tasks, plan.toy: toy}))
    code, _, line = ship(plan=own)
    assert (code, line.count("\n")) == (2, 1)
    assert "path=/home/me/a.csv, a path of this machine" in line
    assert not list((tmp_path / "shipped").glob("*.parquet"))


def test_the_same_search_again_changes_no_file(ship, tmp_path):
    ship()
    before = (tmp_path / "shipped" / "found.parquet").read_bytes()
    assert "; as before" in ship()[1]
    assert (tmp_path / "shipped" / "found.parquet").read_bytes() == before


def test_more_candidates_replace_fewer_and_fewer_are_refused(ship, table):
    assert ship(table.head(60))[0] == 0
    assert "complete" in ship()[1]
    code, _, wrong = ship(table.head(60))
    assert (code, wrong.count("\n")) == (2, 1)
    assert "found.parquet is there with 27 candidates that this search does not have" in wrong


def test_another_plan_of_the_same_name_is_refused(ship, plan):
    ship()
    assert "found.parquet is there with another plan (pool: " in ship(plan=replace(plan, pool=7))[2]


def test_a_search_that_lacks_candidates_says_how_many(ship, table):
    assert ", 27 missing, " in ship(table.head(60))[1]


def test_a_shipped_search_that_was_changed_is_said_in_one_line(ship, tmp_path, capsys):
    ship()
    with (tmp_path / "shipped" / "found.parquet").open("r+b") as file:
        file.seek(100)
        file.write(b"x")
    assert main([f"out={tmp_path / 'shipped'}"]) == 1
    assert "which is not that of SHA256SUMS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search=nothere"], "study 'nothere' has not been started in "),
        (["search=a", "study=b"], "study or search must be given, not both"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, tmp_path, capsys):
    assert main([*arguments, f"results={tmp_path}"]) == 2
    assert said in capsys.readouterr().err
