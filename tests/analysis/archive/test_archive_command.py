"""`python -m analysis.archive`: ships a study, complete or not, and lists what is shipped."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.archive.__main__ import main
from analysis.archive.making import with_facts_of_curves
from analysis.load import archive_of
from runs.record import shipped, shipping
from runs.record.archive import read_archive, write_archive, write_values
from runs.record.baselines import FILE, identity
from runs.record.rows import COLUMNS, OF_CURVES, tidy
from runs.record.shipped import CURVES
from tests.analysis.synthetic import staged, study

ADDING = {"_target_": "tasks.Adding", "lag": 50}


@pytest.fixture
def results(tmp_path):
    """A results folder with the archive of a study whose last trials are missing."""
    rows, values = staged(*study(("vanilla", "gru"), points=6, name="mine"))
    rows = [row for row in rows if "stage" in row or row["variant"] == "vanilla" or row["point"] < 4]
    facts = {"commit": "cb6631658a98", "processor": "AMD EPYC", "python": "3.11.7", "versions": {"torch": "2.13.0"}}
    stages = {kind: {**own, "sessions": [facts]} for kind, own in values["stages"].items()}
    values |= {"tasks": {"adding": ADDING}, "sessions": [facts], "stages": stages}
    write_values(tidy(rows), values, tmp_path / "mine")
    return tmp_path


@pytest.fixture
def ship(results, capsys):
    """Call the command for a study of the results folder; returns exit code, output and what is on stderr."""

    def call(*arguments):
        code = main([*arguments, f"out={results / 'shipped'}"])
        return code, *capsys.readouterr()

    return lambda *arguments: call(*arguments, *([f"results={results}"] if arguments else []))


def test_a_study_is_shipped_with_its_checksum_and_its_curves_beside_the_study(ship, results):
    code, said, wrong = ship("from=mine")
    assert (code, wrong) == (0, "")
    assert read_archive(results / "shipped" / "mine.parquet").design.name == "mine"
    assert list(shipped.known_sums(results / "shipped")) == ["mine.parquet"]
    assert (results / "mine" / f"mine{CURVES}").is_file()
    assert not (results / "shipped" / f"mine{CURVES}").exists()
    assert str(results / "mine" / f"mine{CURVES}") in said


def test_what_is_missing_is_said_by_variant_and_task_and_stage(ship):
    _, said, _ = ship("from=mine")
    assert "  2 trials missing: 2 of gru on adding\n" in said


def test_the_list_says_trials_size_schema_and_where_they_ran(ship):
    ship("from=mine")
    code, said, wrong = ship()
    assert (code, wrong) == (0, "")
    first, place, missing = said.splitlines()
    assert first.startswith("mine: 62 trials (12 trials of the stage confirm and 40 trials of the stage horizon), ")
    assert ", schema 2, SHA-256 " in first
    assert place == "  62 trials: commit cb6631658a98, AMD EPYC, python 3.11.7, torch 2.13.0"
    assert missing == "  2 trials missing: 2 of gru on adding"


def test_an_archive_that_is_not_that_of_the_list_of_checksums_is_said_in_one_line(ship, results):
    ship("from=mine")
    with (results / "shipped" / "mine.parquet").open("ab") as file:
        file.write(b"x")
    code, said, wrong = ship()
    assert (code, said, wrong.count("\n")) == (1, "", 1)
    assert "mine.parquet has the SHA-256" in wrong


def test_an_empty_folder_has_no_archive(ship, results):
    assert ship()[:2] == (0, f"there is no archive in {results / 'shipped'}\n")


def test_the_same_study_again_changes_no_file(ship, results):
    ship("from=mine")
    before = {path.name: path.read_bytes() for path in (results / "shipped").iterdir()}
    _, said, _ = ship("from=mine")
    assert "; as before" in said
    assert {path.name: path.read_bytes() for path in (results / "shipped").iterdir()} == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"training": {"budget": 9}}, r"mine.parquet is there with another design \(.*training.budget"),
        ({"lost": 5}, "mine.parquet is there with 5 trials that this study does not have"),
    ],
)
def test_an_archive_that_is_there_is_not_lost(ship, results, change, said):
    rows, values = study(("vanilla", "gru"), points=6, name="mine")
    rows = [{**row, "trial_id": f"{row['variant']} {row['point']}"} for row in rows]
    write_values(tidy(rows), values, results / "mine")
    ship("from=mine")
    before = (results / "shipped" / "mine.parquet").read_bytes()
    write_values(tidy(rows[change.pop("lost", 0) :]), {**values, **change}, results / "mine")
    code, _, wrong = ship("from=mine")
    assert (code, wrong.count("\n")) == (2, 1)
    assert re.search(said, wrong)
    assert (results / "shipped" / "mine.parquet").read_bytes() == before


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (3, 2)])
def test_trials_with_other_ids_are_not_lost_and_failures_in_their_places_are(ship, results, failed, code):
    rows, values = study(("vanilla", "gru"), points=6, name="mine")
    write_values(tidy(rows), values, results / "mine")
    ship("from=mine")
    again = [
        {**row, "trial_id": f"{k}", "status": "failed" if k < failed else row["status"]} for k, row in enumerate(rows)
    ]
    write_values(tidy(again), values, results / "mine")
    found, _, wrong = ship("from=mine")
    assert found == code
    assert ("3 trials that this study does not have" in wrong) == bool(failed)


def test_the_baselines_of_the_tasks_are_shipped(ship, results):
    own = [{"name": "no input", "kind": "no_input", "loss": 0.17, "solved": None, "note": ""}]
    known = {"adding": [{**record, "of": identity({**ADDING, "label": "adding"})} for record in own]}
    (results / "mine" / FILE).write_text(json.dumps({**known, "another": known["adding"]}))
    ship("from=mine")
    assert read_archive(results / "shipped" / "mine.parquet").about["baselines"] == known


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study=mine", "from=mine"], "study or from must be given, not both"),
        (["study=other"], "study 'other' has not been started"),
        (["from=archive:nothing"], "there is no archive archive:nothing"),
        (["from=other.parquet"], "there is no file other.parquet"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(ship, results, arguments, said):
    code, out, wrong = ship(*arguments)
    assert (code, out, wrong.count("\n")) == (2, "", 1)
    assert said in wrong
    assert not (results / "shipped").exists()


def test_analyses_read_a_shipped_archive_by_its_name(ship, results, monkeypatch):
    ship("from=mine")
    monkeypatch.setattr(shipped, "FOLDER", results / "shipped")
    assert archive_of("archive:mine", results) == results / "shipped" / "mine.parquet"


def test_trials_that_were_restored_without_a_curve_keep_what_was_known_of_it(ship, results):
    ship("from=mine")
    facts = [column.name for column in COLUMNS if column.earlier == OF_CURVES]
    shipped_before = read_archive(results / "shipped" / "mine.parquet")
    known = shipped_before.table.assign(**{name: np.arange(len(shipped_before.table), dtype=float) for name in facts})
    shipped_before, without = replace(shipped_before, table=known), known.copy()
    without[facts] = np.nan
    blank = replace(shipped_before, table=without)
    kept = with_facts_of_curves(blank, shipped_before)
    for name in facts:
        assert kept.table[name].equals(shipped_before.table[name])
    other = without.assign(test_loss=without["test_loss"] + 1.0)
    assert with_facts_of_curves(replace(blank, table=other), shipped_before).table["low_loss"].isna().all()


def test_shipping_again_keeps_what_the_archive_there_knows_of_curves(ship, results):
    ship("from=mine")
    path = results / "shipped" / "mine.parquet"
    there = read_archive(path)  # without curves
    facts = [column.name for column in COLUMNS if column.earlier == OF_CURVES]
    numbers = np.arange(len(there.table), dtype=float)
    write_archive(replace(there, table=there.table.assign(**dict.fromkeys(facts, np.nan))), results / "mine")
    shipping.ship(replace(there, table=there.table.assign(**dict.fromkeys(facts, numbers))), path)
    assert ship("from=mine")[0] == 0
    assert read_archive(path).table["low_loss"].tolist() == numbers.tolist()
