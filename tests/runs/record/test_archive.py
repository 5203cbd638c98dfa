"""The archive of a study: what is written is read back, and other files are read or refused."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from runs.record.archive import Archive, load, read_archive, write_archive, write_values
from runs.record.rows import tidy
from runs.study.plan import Search
from runs.study.storage.opening import open_storage
from runs.study.study import Study
from runs.trial.trial import Outcome
from tests.analysis.synthetic import staged, study
from tests.runs.conftest import make_design

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("module", ["runs.record.rows", "runs.record.archive", "runs.record.tracked"])
def test_a_record_is_read_without_torch(module):
    heavy = "{'torch', 'llvmlite', 'optuna', 'mlflow', 'pandas', 'pyarrow'}"
    code = f"import sys, {module}; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_archive_gives_back_table_design_and_facts(tmp_path):
    rows, values = staged(*study(points=6))
    archive = Archive.of(tidy(rows), values)
    write_archive(archive, tmp_path)
    again = read_archive(tmp_path / "trials.parquet")
    pd.testing.assert_frame_equal(again.table, archive.table)
    assert (again.design, again.about) == (archive.design, archive.about)
    assert set(again.about) == {"versions", "commit", "created", "command", "stages"}
    assert again.about["stages"]["confirm"]["knobs"]["block_size"] == 5


def test_an_archive_holds_the_trials_of_all_stages(tmp_path):
    rows, values = staged(*study(points=6))
    write_archive(Archive.of(tidy(rows), values), tmp_path)
    counts = read_archive(tmp_path / "trials.parquet").table["stage"].value_counts().to_dict()
    # five variants; one block of five points and five repeats; four lags with five runs
    assert counts == {"search": 30, "confirm": 5 * (1 + 5), "horizon": 5 * 4 * 5}


def test_the_table_as_text_has_lists_as_json(tmp_path):
    rows, values = study(("gru",), points=1)
    write_archive(Archive.of(tidy(rows), values), tmp_path)
    (row,) = pd.read_csv(tmp_path / "trials.csv").to_dict("records")
    assert json.loads(row["curve_steps"]) == rows[0]["curve_steps"]
    assert json.loads(row["train_losses"])[:2] == [None, rows[0]["train_losses"][1]]


def test_an_archive_of_before_there_was_a_reason_to_be_eager_has_none(tmp_path):
    rows, values = study(points=2)
    table = tidy(rows)
    write_values(table.drop(columns="why_eager"), values, tmp_path)
    assert read_archive(tmp_path / "trials.parquet").table["why_eager"].tolist() == [""] * len(table)


def test_an_archive_with_a_gap_in_a_whole_number_has_0_there(tmp_path):
    rows, values = study(("gru",), points=3)
    table = tidy(rows).astype({"parameters": "float64"})
    table.loc[1, "parameters"] = float("nan")
    write_values(table, values, tmp_path)
    parameters = read_archive(tmp_path / "trials.parquet").table["parameters"]
    assert (parameters.tolist(), str(parameters.dtype)) == (
        [rows[0]["parameters"], 0, rows[2]["parameters"]],
        "int64",
    )


def test_an_archive_of_something_else_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="holds no design"):
        read_archive(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "changes",
    [{"points": "many"}, {"space": {"rate": 3}}, {"training": {"budget": "x"}}, {"model": 5}, {"variants": 3}],
)
def test_an_archive_whose_design_is_of_another_kind_is_refused_by_its_name(changes, tmp_path):
    rows, values = study(("gru",), points=1)
    write_values(tidy(rows), {**values, **changes}, tmp_path)
    with pytest.raises(ValueError, match=r"trials\.parquet is not an archive of a study: "):
        read_archive(tmp_path / "trials.parquet")


def test_a_study_in_a_storage_is_archived_when_it_is_loaded(tmp_path):
    study = Study.create(open_storage("", tmp_path / "study"), Search(make_design(points=1)), {"commit": "abc"})
    while (claim := study.claim()) is not None:
        study.finish(claim, Outcome(status="finished", validation_loss=0.5, test_loss=0.4))
    loaded, read = load("study", tmp_path), read_archive(tmp_path / "study" / "trials.parquet")
    pd.testing.assert_frame_equal(loaded.table, read.table)
    assert loaded.design == read.design == make_design(points=1)
    assert read.about == loaded.about == {"commit": "abc", "sessions": [{"commit": "abc"}], "stages": {}}


def test_a_study_without_a_finished_trial_has_no_archive(tmp_path):
    Study.create(open_storage("", tmp_path / "study"), Search(make_design()), {})
    with pytest.raises(ValueError, match="study 'study' holds no finished trial yet"):
        load("study", tmp_path)
    assert not (tmp_path / "study" / "trials.parquet").exists()
