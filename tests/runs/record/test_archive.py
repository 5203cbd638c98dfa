"""The archive of a study: what is written is read back, and other files are read or refused."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runs.record.archive import (
    SCHEMA,
    Archive,
    load,
    read_archive,
    stored_schema,
    write_archive,
    write_values,
)
from runs.record.rows import tidy
from runs.record.shipped import located
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
    assert set(again.about) == {"versions", "commit", "created", "command", "stages", "unnamed"}
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


def test_the_table_of_a_search_over_cells_is_named_as_what_it_is():
    with pytest.raises(ValueError, match="is the table of a search over cells and not the archive of a study"):
        read_archive(located("archive:discover"))


def rewritten(path, table=None, **metadata):
    """Write an archive again with another table or other values in its metadata."""
    known = pq.read_schema(path).metadata
    changed = {f"lstm_variants_{key}".encode(): value for key, value in metadata.items()}
    kept = {key: value for key, value in {**known, **changed}.items() if value is not None}
    pq.write_table((pq.read_table(path) if table is None else table).replace_schema_metadata(kept), path)


@pytest.fixture
def written(tmp_path):
    rows, values = study(("gru",), points=3)
    write_values(tidy(rows), values, tmp_path)
    return tmp_path / "trials.parquet"


def test_an_archive_that_holds_a_trial_twice_is_refused(tmp_path):
    rows, values = study(("gru",), points=3)
    write_values(tidy([*rows, rows[1]]), values, tmp_path)
    with pytest.raises(ValueError, match="it holds the trial search adding gru 1 twice"):
        read_archive(tmp_path / "trials.parquet")


def test_an_archive_without_a_number_is_of_the_first_schema_and_is_read(written):
    whole = read_archive(written)
    ends = ["first_loss", "low_step", "low_loss", "low_train_loss", "last_step", "last_loss", "last_train_loss"]
    rewritten(written, pq.read_table(written).drop_columns(ends), schema=None, checksum=None)
    assert stored_schema(written) == 1
    pd.testing.assert_frame_equal(read_archive(written).table, whole.table, check_exact=True)


@pytest.mark.parametrize(("number", "said"), [(b"3", "schema 3"), (b"two", "schema two"), (b"9" * 99, "schema 9999")])
def test_an_archive_of_a_later_schema_is_refused_by_both_numbers(written, number, said):
    rewritten(written, schema=number)
    with pytest.raises(ValueError, match=rf"{said}.* reads schemas up to {SCHEMA}: a later version") as refused:
        read_archive(written)
    assert "\n" not in str(refused.value)


def edited(table, column, values):
    return table.set_column(table.column_names.index(column), column, pa.array(values))


CHANGES = {
    "a value": lambda table: edited(table, "test_loss", [0.5, *table["test_loss"].to_pylist()[1:]]),
    "a text": lambda table: edited(table, "status", ["solved"] * 3),
    "a gap": lambda table: edited(table, "solved_step", [None, None, None]),
    "a curve": lambda table: edited(table, "curve_losses", [[1.0], *table["curve_losses"].to_pylist()[1:]]),
    "a name": lambda table: table.rename_columns(
        [{"test_loss": "score", "score": "test_loss"}.get(n, n) for n in table.column_names]
    ),
    "a row less": lambda table: table.slice(1),
    "the order": lambda table: table.take([1, 0, 2]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_was_edited_is_refused_in_one_line(written, change):
    rewritten(written, CHANGES[change](pq.read_table(written)))
    with pytest.raises(ValueError, match=r"trials\.parquet was changed after it was written: its checksum is \w{12},"):
        read_archive(written)


def test_an_archive_whose_design_was_edited_is_refused(written):
    metadata = pq.read_schema(written).metadata
    rewritten(written, design=metadata[b"lstm_variants_design"].replace(b'"budget": 2000', b'"budget": 9000'))
    with pytest.raises(ValueError, match="was changed after it was written"):
        read_archive(written)


def complaint(path):
    """Return what is said of an archive that is refused; empty for one that is read."""
    try:
        read_archive(path)
    except ValueError as error:
        return str(error)
    return ""


def test_a_damaged_archive_is_refused_in_one_line_unless_nothing_that_counts_is_damaged(written):
    content, whole = written.read_bytes(), read_archive(written)
    refused = 0
    for place in range(0, len(content), len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        written.write_bytes(damaged)
        said = complaint(written)
        if not said:
            again = read_archive(written)
            assert again.design == whole.design
            pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
        assert not said or (said.startswith(f"{written} ") and "\n" not in said)
        refused += bool(said)
    assert refused > 10


def test_an_archive_cut_short_is_refused_in_one_line(written):
    written.write_bytes(written.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is not an archive of a study") as refused:
        read_archive(written)
    assert "\n" not in str(refused.value)


def test_fewer_bits_and_another_compression_do_not_change_the_checksum(written):
    table = pq.read_table(written)
    for column, kind in (("point", pa.int8()), ("lag", pa.int16()), ("score", pa.float64())):
        table = table.set_column(table.column_names.index(column), column, table[column].cast(kind))
    pq.write_table(table, written, compression="gzip")
    assert len(read_archive(written).table) == 3


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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sessions", "abc"),
        ("sessions", 3),
        ("sessions", ["abc"]),
        ("stages", 3),
        ("stages", {"confirm": 3}),
        ("stages", {"confirm": {"sessions": 3}}),
        ("unnamed", 3),
    ],
)
def test_facts_of_another_form_are_refused_by_their_name(key, value):
    rows, values = study(("gru",), points=2)
    with pytest.raises(ValueError, match=r"of an archive must|that trials were made without must"):
        Archive.of(tidy(rows), {**values, key: value})
