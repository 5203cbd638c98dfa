"""Mistakes are answered before anything slow is imported, and a process ends without a last search."""

import ast
import os
import subprocess
import sys

import pytest

from tests.test_house import MODULES, ROOT

SLOW = {"torch", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "hydra", "omegaconf", "optuna", "mlflow"}
STARTED = 'if __name__ == "__main__":'
NO_COMMANDS = {"runs.bench.worker"}  # which a benchmark starts by its file, for the code of another checkout
STARTING = {m.removesuffix(".__main__") for m, path in MODULES.items() if STARTED in path.read_text()}
COMMANDS = sorted(STARTING - NO_COMMANDS)


def answer(*arguments):
    """The exit code, output, last line of stderr and slow libraries of `python -m` with these arguments."""
    call = [sys.executable, "-X", "importtime", "-m", *arguments]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"COLUMNS": "80"})
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    said = [line for line in lines if not line.startswith("import time:")]
    return done.returncode, done.stdout, said, imported & SLOW


def test_the_commands_are_found():
    assert {"runs", "runs.sweep", "runs.inside", "analysis", "variants", "tasks"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_is_not_there_imports_nothing_slow(command):
    code, out, said, slow = answer(command, "--hlep")
    assert (code, out, len(said), slow) == (2, "", 1, set()), said


@pytest.mark.parametrize(
    "call",
    [
        "runs variant=vanila",
        "runs task=adding task.lagg=3",
        "runs training.updatess=3",
        "runs training.optimiser=adm",
        "runs.sweep study=quik",
        "runs.sweep variants=[vanilla,grru]",
        "runs.sweep tasks.adding.lagg=3",
        "runs.sweep study=quick action=stauts",
        "runs.inside study=nothere",
        "runs.inside stduy=quick",
        "runs.tracking study=nothere",
        "runs.bench --variants grru",
        "analysis study=nothere",
        "analysis.notebooks study=nothere",
        "analysis.notebooks only=inferense",
        "analysis.reproductions pgae=x",
        "analysis.calibration points=ten",
        "variants grru",
        "tasks addin",
    ],
)
def test_a_mistyped_name_imports_nothing_slow(call):
    code, out, said, slow = answer(*call.split())
    assert (code, out, len(said), slow) == (2, "", 1, set()), said
    assert said[0].startswith("error: ")


def test_a_process_ends_without_a_search_for_garbage():
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from runs.console.start import end_quickly; end_quickly()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_long_help_may_be_cut_off_by_its_reader():
    read = f"{sys.executable} -m runs --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", read], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_every_command_ends_quickly():
    """The function is called where the command starts, or by the answer that comes first."""
    callers = {"end_quickly", "answer", "answer_catalogue"}
    for command in COMMANDS:
        places = [MODULES[m] for m in (command, f"{command}.__main__") if m in MODULES]
        calls = [n for p in places for n in ast.walk(ast.parse(p.read_text())) if isinstance(n, ast.Call)]
        assert any(ast.unparse(call.func) in callers for call in calls), command
