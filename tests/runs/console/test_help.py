"""`--help` of every command: one style, every key with its meaning, 80 columns, and nothing slow to import."""

import re
from functools import cache
from importlib import import_module

import pytest

from runs.console import page, text
from runs.console.early import defaults, keys
from runs.console.manual import PARTS
from runs.console.source import keys_in_source
from tests.runs.console.test_start import COMMANDS, answer
from tests.test_house import ROOT

HYDRA = {"runs": "trial", "runs.sweep": "sweep"}
STATED = ("Options:\n", "--help", "Exit codes: 0 ")
HELPED = [*COMMANDS, "docs"]


@cache
def helped(command):
    """The text of `python -m command --help` in a terminal of 80 columns."""
    code, out, said, slow = answer(command, "--help")
    assert (code, said) == (0, [])
    return out, slow


def explained(out):
    """What a help says of each name that its sections list."""
    said = {}
    for heading, lines in re.findall(r"^(\w[^\n]*):\n((?:  [^\n]*\n)+)", out, re.MULTILINE):
        if heading != "Examples":
            rows = re.findall(r"^  (\S.*?)(?:  +(\S.*)|)$((?:\n {4,}.*$)*)", lines, re.MULTILINE)
            said |= {name: f"{first} {rest}".strip() for name, first, rest in rows}
    return said


@pytest.mark.parametrize("command", HELPED)
def test_help_has_an_example_options_and_exit_codes(command):
    out, _ = helped(command)
    assert [part for part in (f"Examples:\n  python -m {command}", *STATED) if part not in out] == []


@pytest.mark.parametrize("command", HELPED)
def test_help_fits_the_terminal(command):
    out, _ = helped(command)
    assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", HELPED)
def test_help_imports_nothing_slow(command):
    assert helped(command)[1] == set()


@pytest.mark.parametrize("command", HELPED)
def test_help_says_what_each_of_its_names_means(command):
    said = explained(helped(command)[0])
    assert said
    assert [name for name, meaning in said.items() if not meaning.endswith(".")] == []


@pytest.mark.parametrize("command", [c for c in HELPED if c not in HYDRA])
def test_help_explains_every_key_that_a_command_takes(command):
    module = import_module(f"{command}.__main__" if (ROOT / command.replace(".", "/")).is_dir() else command)
    said = explained(helped(command)[0])
    for key, meaning in getattr(module, "KEYS", {}).items():
        assert key in said
        assert "Default: " in meaning or "must be given" in meaning, key


@pytest.mark.parametrize("command", HYDRA)
def test_help_explains_every_key_of_a_configuration(command):
    name = HYDRA[command]
    said = explained(helped(command)[0])
    groups, own = set(defaults(name)), keys(name) - {"hydra"}
    inner = {f"{part}.{field}" for part in PARTS if part in own for field in keys_in_source(*PARTS[part]).fields}
    expected = (own - groups - set(PARTS)) | inner | (groups - {"model"})  # of which there is one choice
    assert expected - set(said) == set()


def test_a_default_is_read_from_the_source():
    found = keys_in_source("runs/trial/trial.py", "Training").defaults
    assert (found["optimiser"], found["learning_rate"], found["stop_when_solved"]) == ("adam", "0.003", "true")


def test_a_page_shows_the_commands_of_a_docstring_as_examples(monkeypatch):
    monkeypatch.setattr(page, "width", lambda: 80)
    shown = page.help_page("`a b=1`: adds.\n\nMore of it.\n\n    a b=2\n    a b=3\n", {}, codes="")
    assert shown == "Adds.\n\nMore of it.\n\nExamples:\n  a b=1\n  a b=2\n  a b=3"


def test_a_command_in_backquotes_stays_on_one_line():
    assert text.wrapped("see `python -m tasks` for all", 18) == "see\n`python -m tasks`\nfor all"


@pytest.mark.parametrize(("columns", "used"), [("40", 60), ("80", 80), ("300", text.LONGEST)])
def test_lines_are_never_very_short_or_very_long(monkeypatch, columns, used):
    monkeypatch.setenv("COLUMNS", columns)
    assert text.width() == used
