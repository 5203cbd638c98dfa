"""The file of baselines: written whole, checked when it is read, and computed again where it does not fit."""

import json

import pytest

from runs.record import baselines as record
from runs.record.baselines import computed, identity, read_baselines, recorded, write_baselines

NODE = {"_target_": "tasks.DelayedRecall", "label": "mine", "lag": 3, "symbols": 2, "distractors": 1}
MODEL = {"name": "no input", "kind": "no_input", "loss": 0.5, "solved": None, "note": "", "of": identity(NODE)}


def test_what_is_written_is_read(tmp_path):
    write_baselines(tmp_path / "baselines.json", {"mine": [MODEL]})
    assert read_baselines(tmp_path / "baselines.json") == {"mine": [MODEL]}
    assert [path.name for path in tmp_path.iterdir()] == ["baselines.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_baselines(tmp_path / "baselines.json", {"mine": [MODEL]})
    with pytest.raises(TypeError):
        write_baselines(tmp_path / "baselines.json", {"mine": [{"loss": object()}]})
    assert read_baselines(tmp_path / "baselines.json") == {"mine": [MODEL]}


def test_no_file_holds_no_baselines(tmp_path):
    assert recorded({"mine": NODE}, [tmp_path / "baselines.json"]) == ({}, [])


def test_baselines_of_the_same_task_are_on_record_whatever_its_label(tmp_path):
    write_baselines(tmp_path / "b.json", {"mine": [MODEL], "other": [MODEL]})
    assert recorded({"mine": {**NODE, "label": "new"}}, [tmp_path / "b.json"]) == ({"mine": [MODEL]}, [])


@pytest.mark.parametrize("change", [{"lag": 4}, {"_target_": "tasks.Adding"}, {"sha256": "1"}])
def test_baselines_of_a_changed_task_are_not_on_record(tmp_path, change):
    write_baselines(tmp_path / "b.json", {"mine": [MODEL]})
    assert recorded({"mine": {**NODE, **change}}, [tmp_path / "b.json"]) == ({}, [])


def test_baselines_of_another_method_are_not_on_record(tmp_path, monkeypatch):
    write_baselines(tmp_path / "b.json", {"mine": [MODEL]})
    monkeypatch.setattr(record, "METHOD", record.METHOD + 1)
    assert recorded({"mine": NODE}, [tmp_path / "b.json"]) == ({}, [])


@pytest.mark.parametrize("content", ["{", "[]", '{"mine": [{"kind": "window"}]}', '{"mine": [{"name": NaN}]}', "\x00"])
def test_a_corrupt_file_is_said_in_one_line(tmp_path, content):
    (tmp_path / "b.json").write_text(content)
    found, lines = recorded({"mine": NODE}, [tmp_path / "b.json"])
    assert found == {}
    assert len(lines) == 1
    assert "holds no baselines: " in lines[0]
    assert lines[0].endswith("; computed again")
    assert "\n" not in lines[0]


def test_the_first_file_that_has_them_counts(tmp_path):
    write_baselines(tmp_path / "one.json", {"mine": [{**MODEL, "loss": 1.0}]})
    write_baselines(tmp_path / "two.json", {"mine": [{**MODEL, "loss": 2.0}]})
    found, _ = recorded({"mine": NODE}, [tmp_path / "none.json", tmp_path / "one.json", tmp_path / "two.json"])
    assert found["mine"][0]["loss"] == 1.0


def test_a_task_is_computed_with_models_and_guesses_of_its_identity():
    found, lines = computed({"mine": NODE})
    assert lines == []
    assert [model["kind"] for model in found["mine"]] == ["no_input", "no_memory", "window", "window", "guessing"]
    assert {model["of"] for model in found["mine"]} == {identity(NODE)}
    assert found["mine"][0]["note"].startswith("accuracy 0.")
    assert found["mine"][-1]["solved"] > 0
    assert "random networks solve it: " in found["mine"][-1]["note"]
    assert record.checked(json.loads(json.dumps(found))) == found


def test_a_task_that_cannot_be_built_is_left_out_in_one_line():
    found, lines = computed({"theirs": {"_target_": "somewhere.Strange"}, "bad": {**NODE, "lag": 0}})
    assert found == {}
    assert [line.partition(" are left out: ")[0] for line in lines] == ["baselines of theirs", "baselines of bad"]
    assert lines[1].endswith("lag must be at least 1, got 0")
