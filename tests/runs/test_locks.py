"""Locks of files: between processes, across versions, and on a system whose locked files cannot be read."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from runs import locks
from runs.locks import LockHeld, locked, try_lock
from runs.workers.pool import sole_parent

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from runs.locks import try_lock
handle = open(sys.argv[1], "a")
print(try_lock(handle), flush=True)
sys.stdin.read()
"""
EARLIER_VERSION = """
import fcntl, sys
handle = open(sys.argv[1], "a")
fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
print(True, flush=True)
sys.stdin.read()
"""
WITHOUT_POSIX = """
import importlib, os, signal, sys
import psutil  # its half for Linux needs `resource`
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "getegid", "geteuid", "getuid", "killpg", "setsid"):
    delattr(os, name)
for name in ("SIGHUP", "SIGKILL"):
    delattr(signal, name)
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.lock"
    path.touch()
    return path


@pytest.fixture
def hold(path):
    """Start a process that holds the lock of the file, by the code of a script; returns it."""
    started = []

    def start(code):
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(holder)
        assert holder.stdout.readline() == b"True\n"
        return holder

    yield start
    for holder in started:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("code", [HOLDER, EARLIER_VERSION], ids=["this version", "an earlier version"])
def test_what_another_process_has_locked_is_not_locked_again(path, hold, code):
    hold(code)
    with path.open("a") as handle:
        assert not try_lock(handle)


def test_an_earlier_version_respects_the_lock(path):
    with path.open("a") as ours, path.open("a") as theirs:
        assert try_lock(ours)
        with pytest.raises(BlockingIOError):
            fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_killed_process_holds_no_lock(path, hold):
    holder = hold(HOLDER)
    holder.kill()
    holder.wait()
    with path.open("a") as handle:
        assert try_lock(handle)


def test_a_study_that_an_earlier_version_runs_is_not_run_again(path, hold):
    hold(EARLIER_VERSION)
    path.rename(path.with_name("parent.lock"))
    with pytest.raises(ValueError, match="one is running on"), sole_parent(path.parent):
        pass


def test_where_a_locked_file_cannot_be_read_the_file_beside_it_is_locked(path, monkeypatch):
    monkeypatch.setattr(locks, "LOCKED_IS_UNREADABLE", True)
    monkeypatch.setattr(locks, "HELD_SECONDS", 0.0)
    with locked(str(path)) as handle:
        with path.open("a") as other:
            assert try_lock(other)
        with pytest.raises(LockHeld, match=r"a\.lock\.lock has been locked"), locked(str(path)):
            pass
        handle.write(b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["variants", "tasks", "runs", "analysis"])
def test_modules_import_where_the_system_is_not_posix(folder):
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths if path.parent.name != "notebooks"]
    subprocess.run([sys.executable, "-c", WITHOUT_POSIX, *names], cwd=ROOT, check=True)
