"""What is kept on disk: read again, made again where it is damaged, written by several processes at once."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tasks.data import cache
from tasks.data.cache import Parsed, cached, digest, file_of, folder

VERSIONS = {"package": "1.2", "parser": 3}
MADE = Parsed({"a": np.arange(12, dtype=np.int16).reshape(3, 4), "b": np.array([], np.float32)}, {"names": ["x", "y"]})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path))
    return tmp_path


def kept():
    return cached("set", VERSIONS, lambda: MADE)


def refused():
    raise AssertionError("parsed again")


def same(found):
    return digest(found.arrays) == digest(MADE.arrays) and found.facts == MADE.facts


def test_the_second_call_reads_what_the_first_one_wrote():
    kept()
    assert same(cached("set", VERSIONS, refused))


def test_what_is_read_may_be_changed():
    kept()
    found = cached("set", VERSIONS, refused)
    found.arrays["a"][0, 0] = 7
    assert same(cached("set", VERSIONS, refused))


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:-1], lambda c: b"", lambda c: b"x" + c[1:], lambda c: c[:80] + b"?" + c[81:], lambda c: c[:40]],
    ids=["truncated", "empty", "another digest", "a byte of the header", "a digest cut short"],
)
def test_a_damaged_file_is_made_again_and_said_in_one_line(damage, capsys):
    kept()
    path = file_of("set", VERSIONS)
    path.write_bytes(damage(path.read_bytes()))
    assert same(kept())
    assert capsys.readouterr().err == f"set: {path} is damaged; it is made again\n"
    assert same(cached("set", VERSIONS, refused))


def test_a_file_of_another_version_is_made_again_and_said_in_one_line(capsys):
    cached("set", {**VERSIONS, "parser": 2}, lambda: Parsed({}))
    os.replace(file_of("set", {**VERSIONS, "parser": 2}), file_of("set", VERSIONS))
    assert same(kept())
    (line,) = capsys.readouterr().err.splitlines()
    assert "was written for {'package': '1.2', 'parser': '2'}, not for {'package': '1.2', 'parser': '3'}" in line


def test_other_versions_have_other_files():
    kept()
    with pytest.raises(AssertionError, match="parsed again"):
        cached("set", {**VERSIONS, "package": "1.3"}, refused)


def test_a_folder_that_cannot_be_written_keeps_nothing(place, monkeypatch):
    (place / "file").touch()
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(place / "file"))
    assert same(kept())


def test_nothing_but_the_file_is_left(place):
    kept()
    assert list(folder().iterdir()) == [file_of("set", VERSIONS)]


def test_two_processes_at_once_leave_one_whole_file():
    code = (
        f"import importlib.util as u; spec = u.spec_from_file_location('cache', {cache.__file__!r})\n"
        "cache = u.module_from_spec(spec); spec.loader.exec_module(cache); import numpy as np\n"
        "print(cache.cached('big', {}, lambda: cache.Parsed({'a': np.arange(10 ** 6)})).arrays['a'].sum())"
    )  # without torch, which would take seconds
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in started] == ["499999500000\n"] * 2
    assert cached("big", {}, refused).arrays["a"].sum() == 499999500000
    assert len(list(folder().iterdir())) == 1


@pytest.mark.parametrize(
    "other",
    [{"a": np.arange(4)}, {"b": np.arange(3)}, {"a": np.arange(3.0)}, {"a": np.arange(3).reshape(1, 3)}, {}],
    ids=["content", "name", "type", "shape", "nothing"],
)
def test_a_digest_tells_contents_names_types_and_shapes_apart(other):
    assert digest(other) != digest({"a": np.arange(3)})
