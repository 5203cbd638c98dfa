"""The rules of the house: who may import whom, and names that no file may carry."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"variants", "tasks", "runs", "analysis"}
ALLOWED = {"variants": set(), "tasks": set(), "runs": {"variants", "tasks"}, "analysis": {"runs", "variants", "tasks"}}
# the start of a command
COMMANDS = {f"{folder}/{file}.py" for folder in ("variants", "tasks") for file in ("__init__", "__main__")}
CONSOLE = "runs.console"
HEAVY = {
    "hydra": {"runs/config.py", "runs/__main__.py", "runs/sweep.py"},
    "omegaconf": {"runs/config.py", "runs/__main__.py", "runs/sweep.py"},
    "optuna": {
        "runs/study/study.py",
        "runs/study/storage/journal.py",
        "runs/study/storage/database.py",
        "runs/sweep.py",
    },
    "mlflow": {"runs/record/tracking.py"},
}
NEVER = {"variants": {"pandas", "matplotlib", "sklearn"}, "tasks": {"pandas", "matplotlib", "sklearn", "llvmlite"}}
FILES = sorted(p for folder in OURS for p in (ROOT / folder).rglob("*.py") if "notebooks" not in p.parts)


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, at any depth of its code; relative imports stay within the folder."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


def from_runs(path: Path) -> set[str]:
    """Modules of `runs` that a file imports by their full names."""
    nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level == 0]
    return {n.module for n in nodes if n.module and n.module.partition(".")[0] == "runs"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_imports_only_the_folders_it_may(path):
    folder = path.relative_to(ROOT).parts[0]
    wrong = (imported(path) & OURS) - ALLOWED[folder]
    if relative(path) in COMMANDS and all(module.startswith(f"{CONSOLE}.") for module in from_runs(path)):
        wrong -= {"runs"}
    assert not wrong, (
        f"{relative(path)} imports {', '.join(wrong)}; {folder} may import {ALLOWED[folder] or 'none of the others'}"
    )


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_libraries_stay_in_their_modules(path):
    folder = path.relative_to(ROOT).parts[0]
    names = imported(path)
    wrong = {n for n, places in HEAVY.items() if n in names and relative(path) not in places} | names & NEVER.get(
        folder, set()
    )
    assert not wrong, f"{relative(path)} imports {', '.join(wrong)}, which belongs into {[HEAVY.get(n) for n in wrong]}"


def test_what_commands_share_needs_the_standard_library_only():
    found = set().union(*(imported(path) for path in FILES if path.parts[-2] == "console"))
    assert found <= set(sys.stdlib_module_names), "a mistyped name is answered before anything heavy is imported"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_hides_a_module_of_the_standard_library(path):
    assert path.stem not in sys.stdlib_module_names, f"{relative(path)} has the name of a standard-library module"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_opens_with_a_sentence(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{relative(path)} needs a docstring that says what it is"
