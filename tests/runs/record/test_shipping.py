"""A shipped archive: small, the same for the same trials, nothing lost but curves, and nothing private in it."""

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from runs.record.archive import Archive, read_archive
from runs.record.rows import names_of, tidy
from runs.record.shipped import CURVES
from runs.record.shipping import packed, public, public_command, refuse_paths, ship, without_folders, write_curves
from tests.analysis.real import chorales
from tests.analysis.synthetic import staged, study

LISTS = names_of("integers", "floats")
SESSION = {
    "commit": "cb6631658a98",
    "code": "37dfc7bb9d8b",
    "python": "3.11.7",
    "versions": {"torch": "2.13.0"},
    "processor": "AMD EPYC",
    "created": "2026-11-26T05:45:04+00:00",
    "machine": "x86_64, Linux 6.1.0-my-own-kernel",
    "command": "python -m runs.sweep study=mine results=/home/somebody/results tracking=http://tracker:5000 workers=2",
    "tracking_uri": "http://tracker:5000",
    "study_id": "0d20801e2ee6df6c",
}


@pytest.fixture(scope="module")
def archive():
    """A study with both stages, failed trials, and a session for each of its stages."""
    rows, values = staged(*study(("vanilla", "gru"), ("adding", "temporal_order"), points=6, failed=0.1))
    stages = {kind: {**own, **SESSION, "sessions": [SESSION] * 2} for kind, own in values["stages"].items()}
    return Archive.of(tidy(rows), {**values, **SESSION, "sessions": [SESSION], "stages": stages})


def same_but_curves(one, other):
    pd.testing.assert_frame_equal(one.drop(columns=LISTS), other.drop(columns=LISTS), check_exact=True)


def test_nothing_but_the_curves_is_lost(archive, tmp_path):
    assert ship(archive, tmp_path / "a.parquet")
    again = read_archive(tmp_path / "a.parquet")
    same_but_curves(again.table, archive.table)
    assert again.design == archive.design
    assert not again.table[LISTS].map(len).any(axis=None)


def test_the_losses_of_a_training_set_stay_without_its_curves(tmp_path):
    whole = Archive.of(tidy(chorales(("greff_v",))[0]), chorales(("greff_v",))[1])
    ship(whole, tmp_path / "a.parquet")
    same_but_curves(read_archive(tmp_path / "a.parquet").table, whole.table)
    assert whole.table[["first_loss", "low_loss", "last_train_loss"]].notna().all(axis=None)


def test_the_same_trials_give_the_same_bytes_in_any_order(archive, tmp_path):
    shuffled = tidy(archive.table.sample(frac=1, random_state=3).to_dict("records"))
    for name, table in (("a", archive.table), ("b", shuffled)):
        ship(replace(archive, table=table), tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_file_of_the_same_content_is_not_written_again(archive, tmp_path):
    path = tmp_path / "a.parquet"
    ship(archive, path)
    metadata = pq.read_schema(path).metadata
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)  # as another version would compress it
    before = path.read_bytes()
    assert not ship(archive, path)
    assert path.read_bytes() == before
    assert ship(replace(archive, table=archive.table[1:]), path)


def test_a_trial_takes_less_than_a_hundred_bytes(tmp_path):
    rows, values = study(("vanilla", "gru", "coupled"), ("adding", "copying", "temporal_order"), points=100)
    rows = [{**row, "trial_id": hashlib.sha256(row["trial_id"].encode()).hexdigest()[:16]} for row in rows]
    for count in (450, 900):
        ship(Archive.of(tidy(rows[:count]), values), tmp_path / f"{count}.parquet")
    sizes = [(tmp_path / f"{count}.parquet").stat().st_size for count in (450, 900)]
    # losses of these trials have 53 random bits, those of real ones 24
    assert (sizes[1] - sizes[0]) / 450 < 100


def test_pandas_opens_it_as_a_plain_table(archive, tmp_path):
    ship(archive, tmp_path / "a.parquet")
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table["learning_rate"].tolist() == archive.table["learning_rate"].tolist()
    assert not {*LISTS} & {*table}


def test_metrics_become_columns_and_a_text_that_columns_cannot_hold_stays():
    rows = study(("gru",), points=2)[0]
    usual = [{**row, "test_metrics": json.dumps({"loss": row["test_loss"], "accuracy": 0.5})} for row in rows]
    table = packed(tidy(usual))
    assert table["test_metrics.accuracy"].to_pylist() == [0.5, 0.5]
    assert "test_metrics" not in table.column_names
    odd = [{**row, "test_metrics": json.dumps({"accuracy": 1, "loss": row["test_loss"]})} for row in rows]
    assert packed(tidy(odd))["test_metrics"].to_pylist() == [row["test_metrics"] for row in odd]


def test_curves_come_back_in_single_precision_where_their_file_lies_beside_the_archive(archive, tmp_path):
    ship(archive, tmp_path / "a.parquet")
    unique = archive.table.assign(trial_id=[str(k) for k in range(len(archive.table))])
    ship(replace(archive, table=unique), tmp_path / "a.parquet")
    assert write_curves(unique, tmp_path / "a.parquet") == tmp_path / f"a{CURVES}"
    again = read_archive(tmp_path / "a.parquet").table
    for name in LISTS:
        for ours, theirs in zip(again[name], unique[name], strict=True):
            single = theirs.astype("float32").astype(theirs.dtype) if theirs.dtype == float else theirs
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == single.tobytes()


@pytest.mark.parametrize(("content", "said"), [("short", "lacks the curves of "), ("text", "is no file of curves")])
def test_curves_of_another_state_of_the_study_are_refused_in_one_line(archive, tmp_path, content, said):
    ship(archive, tmp_path / "a.parquet")
    write_curves(archive.table.assign(trial_id=["x", *archive.table["trial_id"][1:]]), tmp_path / "a.parquet")
    if content == "text":
        (tmp_path / f"a{CURVES}").write_text("no table")
    with pytest.raises(ValueError, match=said) as refused:
        read_archive(tmp_path / "a.parquet")
    assert "\n" not in str(refused.value)


def test_places_and_names_of_machines_are_not_published(archive, tmp_path):
    ship(archive, tmp_path / "a.parquet")
    values = json.dumps(dict(read_archive(tmp_path / "a.parquet").about))
    for private in ("somebody", "tracker", "my-own-kernel", "workers", "study_id", "tracking_uri"):
        assert private not in values


def test_every_session_of_search_and_stages_keeps_what_its_numbers_depend_on(archive, tmp_path):
    ship(archive, tmp_path / "a.parquet")
    again = read_archive(tmp_path / "a.parquet")
    decisive = {"commit", "code", "python", "versions", "processor", "created"}
    for stage, session in (("search", 0), ("confirm", 1), ("horizon", 1)):
        assert {key: again.session(stage, session)[key] for key in decisive} == {key: SESSION[key] for key in decisive}
    assert again.session("search", 7) == {}
    assert again.about["stages"]["confirm"]["knobs"] == archive.about["stages"]["confirm"]["knobs"]
    assert again.about["command"] == "python -m runs.sweep study=mine"


def test_messages_of_failed_trials_name_files_without_their_folders(archive, tmp_path):
    table = archive.table.assign(error="ValueError: cannot read /home/somebody/data/a.csv")
    ship(replace(archive, table=table), tmp_path / "a.parquet")
    assert set(read_archive(tmp_path / "a.parquet").table["error"]) == {"ValueError: cannot read a.csv"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no '/home/my name/a b.csv', no /data.csv", "no 'a b.csv', no data.csv"),
        ("file:///home/me/a.csv and '/home/me' and /Users/me", "a.csv and '~' and ~"),
        ("~/a.csv or \\\\server\\share\\a.csv", "a.csv or a.csv"),
        ("3 / 4 and/or https://example.org/home/a", "3 / 4 and/or https://example.org/home/a"),
    ],
)
def test_no_folder_is_left_in_a_message(text, said):
    assert without_folders(text) == said


def test_a_folder_of_presets_is_not_in_a_published_command():
    for option in ("--config-dir mine", "--config-dir=mine", "-cd mine"):
        assert public_command(f"python -m runs.sweep {option} study=mine") == ""


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/a.csv",
        "~/data/a.csv",
        "C:\\Users\\me\\a.csv",
        "~/a.csv",
        "/a.csv",
        "file:///data/a.csv",
        "../home/me/a.csv",
    ],
)
def test_a_design_with_a_path_of_its_machine_is_refused_by_its_key(archive, tmp_path, path):
    tasks = {"own": {"_target_": "tasks.Sequences", "path": path}}
    with pytest.raises(ValueError, match=r"the design has tasks\.own\.path="):
        ship(replace(archive, design=replace(archive.design, tasks=tasks)), tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_a_relative_path_and_an_address_may_be_published():
    refuse_paths({"tasks": {"own": {"path": "data/a.csv", "source": "https://example.org/a/b"}}})


def test_knobs_that_the_trials_were_made_without_stay_named(archive, tmp_path):
    older = {**archive.design.as_dict(), "training": {"budget": 300}}
    ship(Archive.of(archive.table, older), tmp_path / "a.parquet")
    assert "training.criterion" in read_archive(tmp_path / "a.parquet").about["unnamed"]


def test_facts_that_are_not_on_record_stay_away():
    assert public({}) == {"sessions": [], "stages": {}}


def test_what_a_study_lacks_is_counted_by_stage_task_and_variant(archive):
    gone = archive.table.query("not (stage == 'search' and task == 'adding' and variant == 'gru' and point > 1)")
    assert replace(archive, table=gone).missing == {("search", "adding", "gru"): 4}
    stages = {"confirm": {**archive.about["stages"]["confirm"], "trials": 4 * 7}}  # six of each pair are there
    more = replace(archive, about={"stages": stages}).missing
    assert more == {
        ("confirm", task, variant): 1 for task in ("adding", "temporal_order") for variant in ("vanilla", "gru")
    }
