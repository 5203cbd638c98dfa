"""A command whose reader has gone ends quietly, with the exit code of its work."""

import os
import subprocess
import sys

import pytest

from tests.runs.console.test_start import COMMANDS
from tests.test_house import ROOT

TINY = ["training.budget=2", "training.evaluation_sequences=8", "model.hidden_size=4", "task.lag=5", "tracking=none"]


def unread(*arguments):
    """The exit code of `python -m` with these arguments whose output nobody reads, and what is on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    call = [sys.executable, "-m", *arguments]
    done = subprocess.run(call, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_that_nobody_reads_is_no_mistake(command):
    assert unread(command, "--help") == (0, "")


@pytest.mark.parametrize("call", [["variants"], ["variants", "gru"], ["tasks"], ["tasks", "adding"]], ids=" ".join)
def test_a_catalogue_that_nobody_reads_is_no_mistake(call):
    assert unread(*call) == (0, "")


def test_a_trial_is_recorded_also_if_nobody_reads_its_outcome(tmp_path):
    code, _ = unread("runs", *TINY, f"results={tmp_path}")
    assert (code, len(list((tmp_path / "trials").glob("*.json")))) == (0, 1)


def test_messages_that_nobody_reads_do_not_change_the_exit_code():
    call = f"{sys.executable} -m tasks addin 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", call], cwd=ROOT).returncode == 2


@pytest.mark.parametrize(("unbuffered", "first"), [("", "b"), ("1", "a")])
def test_lines_come_as_early_as_without_an_outlet(unbuffered, first):
    program = "import os, sys; from runs.console.outlet import outlive_readers; outlive_readers(); print('a'); "
    program += "print('b', file=sys.stderr); os._exit(0)"  # what still waits in a buffer is lost
    call = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.stdout.split()[0] == first
