"""Files are written whole or not at all, and nothing in runs/ or analysis/ writes in any other way."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from runs import files, sweep
from runs.files import replacing, subfolder, writable, write_whole
from runs.workers.accounting import read_cost
from runs.workers.actions import status
from runs.workers.planning import write_design
from tests.runs.conftest import make_design

ROOT = Path(__file__).resolve().parent.parent.parent
WRITERS = {
    *(
        "write_text",
        "write_bytes",
        "to_csv",
        "to_parquet",
        "to_json",
        "to_html",
        "to_pickle",
        "savefig",
        "write_table",
        "savez",
    ),
    *(
        "savez_compressed",
        "save_file",
        "save_model",
        "dump",
        "print_svg",
        "print_pdf",
        "print_png",
        "savetxt",
        "tofile",
    ),
}
IN_PLACE = {  # how many places may write in place, and why
    "runs/study/storage/journal.py": 9,  # appends under a lock, and cuts off half a line
    "runs/record/mirror.py": 1,  # the number in a lock file; any other text means that another process has written
    "runs/workers/pool.py": 1,  # a lock file without content
    "runs/locks.py": 1,  # a lock file without content
    "analysis/scorecard/page.py": 1,  # into memory
}


def in_place(source):
    """Lines of a program that write to a file which is not the temporary one of `replacing`."""
    tree = ast.parse(source)
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            child.parent = parent
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [
            a.value
            for a in [*node.args, *(k.value for k in node.keywords)]
            if isinstance(a, ast.Constant) and isinstance(a.value, str)
        ]
        opens = name == "open" and any(len(t) <= 3 and set(t) & set("wax+") for t in texts)
        module = (
            node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
        )
        writes = name in WRITERS and bool(node.args or node.keywords) and not (name == "save_model" and not module)
        if not (opens or writes or (module, name) in {("jupytext", "write"), ("np", "save"), ("torch", "save")}):
            continue
        if node.args and getattr(node.args[0], "id", "") == "buffer":  # in memory
            continue
        above = node
        while above is not None:
            if isinstance(above, ast.With) and any(
                isinstance(c := i.context_expr, ast.Call) and "replacing" in ast.dump(c) for i in above.items
            ):
                break
            above = getattr(above, "parent", None)
        else:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("folder", ["runs", "analysis"])
def test_no_file_is_written_in_place(folder):
    paths = [p for p in sorted((ROOT / folder).rglob("*.py")) if p.name != "files.py"]
    found = {p.relative_to(ROOT).as_posix(): in_place(p.read_text()) for p in paths}
    wrong = {path: lines for path, lines in found.items() if len(lines) > IN_PLACE.get(path, 0)}
    assert not wrong, (
        f"use runs.files.write_whole, or write to the path that `with replacing(path) as part` gives: {wrong}"
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            "path.write_text(x)",
            "path.write_bytes(x)",
            "open(path, 'w')",
            "path.open('wb')",
            "open(path, mode='a')",
            "table.to_csv(path)",
        ),
        *(
            "table.to_parquet(path=p)",
            "figure.savefig(path)",
            "pq.write_table(t, path)",
            "np.savez_compressed(path, a=a)",
            "json.dump(a, f)",
        ),
        *("np.save(path, a)", "jupytext.write(n, path)", "FigureCanvasSVG(figure).print_svg(path)"),
    ],
)
def test_a_write_in_place_is_found(line):
    assert in_place(line) == [1]
    assert in_place(f"with replacing(path) as part:\n    {line}") == []


@pytest.mark.parametrize(
    "line", ["path.read_text()", "open(path)", "open(path, 'rb')", "table.to_csv()", "json.dumps(a)", "path.open()"]
)
def test_reading_is_no_writing(line):
    assert in_place(line) == []


def test_what_a_killed_writer_left_is_removed_when_it_is_old(tmp_path):
    import os

    old, new, other = (
        tmp_path / name for name in (".a-01234567.part.csv", ".a-89abcdef.part.csv", ".b-01234567.part.csv")
    )
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    write_whole(tmp_path / "a.csv", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == [new.name, other.name, "a.csv"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_no_part(error, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("old")

    def half():
        with replacing(path) as part:
            part.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        half()
    assert [p.name for p in tmp_path.iterdir()] == ["file.csv"]
    assert path.read_text() == "old"


def test_a_disk_that_is_full_when_the_file_is_closed_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "session.json"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("session.json", "old")]


def fails_halfway(monkeypatch):
    """Let every file that is written from now on fail when it is complete but for its name."""

    def full(self, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)


def test_a_failure_leaves_what_belongs_to_a_study_as_it_was(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from runs.bench.report import write
    from runs.study.plan import Search
    from runs.trial.diagnosis_file import Diagnosis, write_diagnosis

    study = SimpleNamespace(plan=Search(make_design()), facts={})
    writers = {
        "design.json": lambda path: write_design(study, path.parent),
        "a.npz": lambda path: write_diagnosis(path, Diagnosis({}, {"a": np.zeros(3)})),
        "bench.json": lambda path: write([], {}, path.parent),
    }
    fails_halfway(monkeypatch)
    for name, writer in writers.items():
        path = tmp_path / name
        path.write_text("old")
        with pytest.raises(OSError, match="No space left"):
            writer(path)
        assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(writers)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"trials": "x"}', "\x00\x00"])
def test_a_session_file_that_cannot_be_read_is_ignored_with_its_name_and_the_cure(content, tmp_path, capsys):
    path = tmp_path / "session.json"
    path.write_text(content)
    assert read_cost(path) == {}
    said = capsys.readouterr().err
    assert said.startswith(f"{path} is ignored")
    assert "delete it, no trial is in it" in said


def test_a_session_file_is_read_where_it_is_whole_and_absence_is_no_fault(tmp_path, capsys):
    (tmp_path / "session.json").write_text(json.dumps({"trials": 3, "workers": 2}))
    assert read_cost(tmp_path / "session.json") == {"trials": 3, "workers": 2}
    assert read_cost(tmp_path / "absent.json") == {}
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"results: cannot write into {tmp_path}/file/x: Not a directory"):
        writable(tmp_path / "file" / "x")


def test_a_link_that_leads_out_of_a_folder_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "figures").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="must lie inside"):
        subfolder(tmp_path / "study", "figures")
    assert subfolder(tmp_path / "study", "tables").is_dir()


def test_the_status_of_a_study_writes_nothing(tmp_path, capsys):
    from runs.study.plan import Search
    from runs.study.storage.opening import open_storage
    from runs.study.study import Study

    folder = tmp_path / "study"
    Study.create(open_storage("", folder), Search(make_design()), {})
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} | {tmp_path: tmp_path.stat().st_mtime_ns}
    assert status("", folder, "study", "search") == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} | {tmp_path: tmp_path.stat().st_mtime_ns} == before


def test_the_status_of_a_study_that_is_not_there_makes_no_folder(monkeypatch, capsys, tmp_path):
    from tests.runs.configuration.test_command_line import call

    results = tmp_path / "results"
    code, _, err = call(monkeypatch, capsys, sweep.main, "sweep", "study=smoke", "action=status", f"results={results}")
    assert (code, results.exists()) == (2, False)
    assert "has not been started" in err
